/* Signatures verified eight at a time, against libsodium: the same verdict for every one of them, whatever its neighbours are.
 *
 *     input    seed 8, count 1, then edits: which 1, field 1, offset 2, change 1
 *
 * The seed draws cases on which verifiers have disagreed (lanes/cases.h); the edits change bytes of them. */
#include "fuzz.h"

#include <sodium.h>

#include "crypto/ed25519.h"
#include "lanes/cases.h"

enum { JOBS_MAX = 24 };

static struct example examples[JOBS_MAX];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct rng rng;
    (void)argc;
    (void)argv;
    FUZZ_CHECK(sodium_init() >= 0, "libsodium");
    rng_init(&rng, 1);
    cases_init(&rng);
    return 0;
}

static void edit(struct example *example, struct fuzz_in *in)
{
    const uint8_t field = fuzz_u8(in);
    const size_t at = (size_t)fuzz_uint(in, 2);
    const uint8_t change = fuzz_u8(in);
    switch (field % 4) {
    case 0:
        example->public_key[at % 32] ^= change;
        break;
    case 1:
        example->signature[at % 64] ^= change;
        break;
    case 2:
        example->len = at % (CASE_MESSAGE_MAX + 1);
        break;
    default:
        example->message[at % CASE_MESSAGE_MAX] ^= change;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};
    struct crypto_ed25519_job jobs[JOBS_MAX];
    bool verdicts[JOBS_MAX + 1];
    struct rng rng;
    rng_init(&rng, fuzz_uint(&in, 8));
    const size_t count = fuzz_u8(&in) % (JOBS_MAX + 1);
    for (size_t i = 0; i < count; i++)
        case_make(&examples[i], &rng);
    while (in.left > 0 && count > 0)
        edit(&examples[fuzz_u8(&in) % count], &in);
    uint8_t *messages[JOBS_MAX];
    for (size_t i = 0; i < count; i++) {
        messages[i] = fuzz_copy(examples[i].message, examples[i].len);
        jobs[i] = (struct crypto_ed25519_job){.public_key = examples[i].public_key,
                                              .signature = examples[i].signature,
                                              .message = messages[i],
                                              .len = examples[i].len};
    }
    crypto_ed25519_verify_batch(verdicts, jobs, count);
    for (size_t i = 0; i < count; i++) {
        const bool want = crypto_sign_verify_detached(jobs[i].signature, jobs[i].message,
                                                      jobs[i].len, jobs[i].public_key) == 0;
        FUZZ_CHECK(verdicts[i] == want, "signature %zu of %zu (%s): libsodium says %d", i, count,
                   case_kind_names[examples[i].kind], want);
        free(messages[i]);
    }
    return 0;
}
