/* lanes: crypto_ed25519_verify_batch against libsodium's crypto_sign_verify_detached, signature by signature.
 *
 *     main_lanes [CASES]      default 200000; SVM_LONG=1: 10000000, SVM_SHORT=1: 20000
 *
 * Batches of 1 to 130 random and adversarial signatures (cases.h). One verdict that differs ends the run with the case in full. At
 * the end every kind must have shown what it is there to show, so that the run cannot pass by making no cases. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sodium.h>

#include "cases.h"
#include "crypto/ed25519.h"

enum { BATCH_MAX = 130 };

struct tally {
    uint64_t accepted, refused;
};

static void print_hex(const char *name, const uint8_t *bytes, size_t len)
{
    printf("%s ", name);
    for (size_t i = 0; i < len; i++)
        printf("%02x", bytes[i]);
    printf("\n");
}

static bool compare(const struct example *e, bool verdict, size_t at, size_t count,
                    struct tally *tally)
{
    const bool want =
        crypto_sign_verify_detached(e->signature, e->message, e->len, e->public_key) == 0;
    if (want)
        tally->accepted++;
    else
        tally->refused++;
    if (want == verdict)
        return true;
    printf("DIFFERENT: libsodium %d, batch %d; place %zu of %zu, %s\n", want, verdict, at, count,
           case_kind_names[e->kind]);
    print_hex("key      ", e->public_key, 32);
    print_hex("signature", e->signature, 64);
    print_hex("message  ", e->message, e->len);
    return false;
}

/* Whether CASE has been seen as often on either side as it must be. */
static bool is_telling(enum case_kind kind, const struct tally *t)
{
    const uint64_t all = t->accepted + t->refused;
    switch (kind) {
    case CASE_VALID:
        return t->refused == 0 && all > 0;
    case CASE_MIXED:
        return t->accepted > all / 32 && t->refused > all / 2;
    case CASE_MIXED_HOLDS:
        return t->accepted > all / 2;
    case CASE_FLIP_SIGNATURE:
    case CASE_FLIP_KEY:
    case CASE_FLIP_MESSAGE:
    case CASE_SIGN_BIT:
    case CASE_S_PLUS_L:
    case CASE_S_EDGE:
    case CASE_SMALL_A:
    case CASE_SMALL_R:
    case CASE_NONCANONICAL_A:
    case CASE_NONCANONICAL_R:
    case CASE_ANY_KEY:
    case CASE_NOISE:
        return t->accepted == 0 && all > 0;
    case CASE_KINDS:
    default:
        return false;
    }
}

static uint64_t cases_asked(int argc, char **argv)
{
    if (argc > 1)
        return strtoull(argv[1], NULL, 10);
    if (getenv("SVM_LONG"))
        return 10000000;
    return getenv("SVM_SHORT") ? 20000 : 200000;
}

int main(int argc, char **argv)
{
    static struct example examples[BATCH_MAX];
    static struct crypto_ed25519_job jobs[BATCH_MAX];
    static struct tally tallies[CASE_KINDS];
    bool verdicts[BATCH_MAX];
    struct rng rng;
    const char *text = getenv("SVM_SEED");
    const uint64_t seed = text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);
    const uint64_t cases = cases_asked(argc, argv);
    const time_t begin = time(NULL);
    printf("SVM_SEED=%" PRIu64 ", %" PRIu64 " cases, %s\n", seed, cases, crypto_ed25519_lanes());
    fflush(stdout);
    if (sodium_init() < 0)
        return 1;
    rng_init(&rng, seed);
    cases_init(&rng);
    bool same = true;
    for (uint64_t done = 0; done < cases && same;) {
        const size_t count = 1 + (size_t)rng_below(&rng, BATCH_MAX);
        for (size_t i = 0; i < count; i++) {
            struct example *e = &examples[i];
            case_make(e, &rng);
            jobs[i] = (struct crypto_ed25519_job){e->public_key, e->signature, e->message, e->len};
        }
        crypto_ed25519_verify_batch(verdicts, jobs, count);
        for (size_t i = 0; i < count && same; i++)
            same = compare(&examples[i], verdicts[i], i, count, &tallies[examples[i].kind]);
        done += count;
    }
    int failed = same ? 0 : 1;
    for (int k = 0; k < CASE_KINDS; k++) {
        const bool telling = is_telling((enum case_kind)k, &tallies[k]);
        printf("%-28s accepted %9" PRIu64 "  refused %9" PRIu64 "%s\n", case_kind_names[k],
               tallies[k].accepted, tallies[k].refused, telling ? "" : "  NOT WHAT IT IS FOR");
        failed += !telling;
    }
    printf("%ld s\n%d passed, %d failed\n", (long)(time(NULL) - begin), CASE_KINDS + 1 - failed,
           failed);
    return failed != 0;
}
