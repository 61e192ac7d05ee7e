/* The scalars of crypto/lanes against GMP, and its SHA-512 against libsodium's. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/rng.h"
#include "crypto/cpu.h"
#include "crypto/lanes/sc.h"
#include "crypto/lanes/sha512.h"
#include "unit/crypto_reference.h"

#if LANES

static struct rng rng;

/* A number of COUNT words: random, or close to a multiple of L, or at an end. */
static void pick(mpz_t out, size_t count)
{
    uint64_t words[8];
    mpz_t most;
    mpz_init(most);
    mpz_ui_pow_ui(most, 2, 64 * count);
    for (size_t i = 0; i < count; i++)
        words[i] = rng_next(&rng);
    ref_from_words(out, words, count);
    switch (rng_below(&rng, 6)) {
    case 0: /* a multiple of L and a little more or less */
        mpz_fdiv_q_2exp(out, out, rng_below(&rng, 64 * count));
        mpz_fdiv_q(out, out, ref_l);
        mpz_mul(out, out, ref_l);
        mpz_add_ui(out, out, rng_below(&rng, 3));
        if (mpz_sgn(out) > 0)
            mpz_sub_ui(out, out, 1);
        break;
    case 1: /* the largest of all, or a little less */
        mpz_sub_ui(out, most, 1 + rng_below(&rng, 3));
        break;
    case 2: /* the largest multiple of L and its neighbours */
        mpz_fdiv_q(out, most, ref_l);
        mpz_mul(out, out, ref_l);
        mpz_sub_ui(out, out, rng_below(&rng, 3));
        break;
    case 3: /* small */
        mpz_set_ui(out, rng_below(&rng, 3));
        break;
    case 4: /* many bits alike */
        for (size_t i = 0; i < count; i++)
            words[i] = rng_below(&rng, 2) ? UINT64_MAX : 0;
        ref_from_words(out, words, count);
        break;
    default:
        break;
    }
    mpz_clear(most);
}

LANES_TARGET static void value_of(mpz_t out, const struct sc *in, int lane)
{
    mpz_set_ui(out, 0);
    for (int i = 4; i >= 0; i--) {
        uint64_t limb[LANES];
        lane_store(limb, in->l[i]);
        REQUIRE(limb[lane] < UINT64_C(1) << 52);
        mpz_mul_2exp(out, out, 52);
        mpz_add_ui(out, out, limb[lane]);
    }
}

LANES_TARGET static void load_words(__m512i *words_out, mpz_t *values, size_t count)
{
    uint64_t words[8][LANES];
    for (int lane = 0; lane < LANES; lane++) {
        uint64_t row[8];
        ref_to_words(row, count, values[lane]);
        for (size_t i = 0; i < count; i++)
            words[i][lane] = row[i];
    }
    for (size_t i = 0; i < count; i++)
        words_out[i] = lane_load(words[i]);
}

LANES_TARGET static void reduce_once(void)
{
    mpz_t values[LANES], got;
    __m512i words[8];
    struct sc scalar;
    mpz_init(got);
    for (int lane = 0; lane < LANES; lane++) {
        mpz_init(values[lane]);
        pick(values[lane], 8);
    }
    load_words(words, values, 8);
    lanes_sc_reduce(&scalar, words);
    for (int lane = 0; lane < LANES; lane++) {
        value_of(got, &scalar, lane);
        mpz_mod(values[lane], values[lane], ref_l);
        REQUIRE_AT(mpz_cmp(got, values[lane]) == 0, "lane %d", lane);
        mpz_clear(values[lane]);
    }
    mpz_clear(got);
}

START_TEST(reduce)
{
    rng_init(&rng, seed_of("reduce", 61));
    for (int i = 0; i < rounds_of(4000); i++)
        reduce_once();
}
END_TEST

static void sum_of(mpz_t out, const struct sc_digits *digits, int lane, int width, int count)
{
    mpz_set_ui(out, 0);
    for (int i = count - 1; i >= 0; i--) {
        const unsigned size = digits->size[i][lane];
        mpz_mul_2exp(out, out, (unsigned)width);
        REQUIRE(size <= 1u << (width - 1));
        if (digits->negative[i] >> lane & 1)
            mpz_sub_ui(out, out, size);
        else
            mpz_add_ui(out, out, size);
    }
}

/* 256-bit numbers: the same number again, whether it is below L, and its digits if it is. */
LANES_TARGET static void words_once(void)
{
    mpz_t values[LANES], got;
    __m512i words[4];
    struct sc scalar;
    struct sc_digits five, ten;
    lane_mask below_l;
    mpz_init(got);
    for (int lane = 0; lane < LANES; lane++) {
        mpz_init(values[lane]);
        pick(values[lane], 4);
        if (rng_below(&rng, 2))
            mpz_mod(values[lane], values[lane], ref_l);
    }
    load_words(words, values, 4);
    lanes_sc_from_words(&scalar, &below_l, words);
    lanes_sc_digits5(&five, &scalar);
    lanes_sc_digits10(&ten, &scalar);
    for (int lane = 0; lane < LANES; lane++) {
        value_of(got, &scalar, lane);
        REQUIRE(mpz_cmp(got, values[lane]) == 0);
        const bool below = mpz_cmp(values[lane], ref_l) < 0;
        REQUIRE((below_l >> lane & 1) == below);
        sum_of(got, &five, lane, 5, 51);
        REQUIRE(!below || mpz_cmp(got, values[lane]) == 0);
        sum_of(got, &ten, lane, 10, 26);
        REQUIRE(!below || mpz_cmp(got, values[lane]) == 0);
        mpz_clear(values[lane]);
    }
    mpz_clear(got);
}

START_TEST(words_and_digits)
{
    rng_init(&rng, seed_of("words_and_digits", 62));
    for (int i = 0; i < rounds_of(4000); i++)
        words_once();
}
END_TEST

/* Eight messages of any lengths side by side; each digest is libsodium's. */
LANES_TARGET static void hash_once(const uint8_t *bytes, const size_t len[LANES])
{
    struct sha512_message messages[LANES];
    __m512i digest[8];
    uint64_t words[8][LANES];
    for (int lane = 0; lane < LANES; lane++) {
        memcpy(messages[lane].head, bytes + 3 * lane, 64);
        messages[lane].body = len[lane] ? bytes + 100 + lane : NULL;
        messages[lane].len = len[lane];
    }
    lanes_sha512(digest, messages);
    for (int i = 0; i < 8; i++)
        lane_store(words[i], digest[i]);
    for (int lane = 0; lane < LANES; lane++) {
        crypto_hash_sha512_state state;
        uint8_t want[64];
        crypto_hash_sha512_init(&state);
        crypto_hash_sha512_update(&state, messages[lane].head, 64);
        crypto_hash_sha512_update(&state, messages[lane].body, messages[lane].len);
        crypto_hash_sha512_final(&state, want);
        for (int i = 0; i < 8; i++)
            REQUIRE(memcmp(&words[i][lane], want + 8 * i, 8) == 0);
    }
}

START_TEST(sha512)
{
    static uint8_t bytes[4096];
    size_t len[LANES];
    rng_init(&rng, seed_of("sha512", 63));
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)rng_next(&rng);
    for (size_t at = 0; at <= 700; at++) {
        for (size_t lane = 0; lane < LANES; lane++)
            len[lane] = at;
        hash_once(bytes, len);
        for (size_t lane = 0; lane < LANES; lane++)
            len[lane] = rng_below(&rng, 4) ? rng_below(&rng, 700) : rng_below(&rng, 3900);
        len[at % LANES] = at;
        hash_once(bytes, len);
    }
}
END_TEST

#endif

START_TEST(there_are_no_lanes)
{
    puts("SKIP crypto_lanes_sc: no AVX-512-IFMA, or SVM_LANES=off");
    ck_assert(!crypto_cpu_has_ifma());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crypto_lanes_sc");
    TCase *tcase = tcase_create("sc");
#if LANES
    if (crypto_cpu_has_ifma()) {
        reference_init();
        tcase_set_timeout(tcase, 120);
        tcase_add_test(tcase, reduce);
        tcase_add_test(tcase, words_and_digits);
        tcase_add_test(tcase, sha512);
    } else
#endif
        tcase_add_test(tcase, there_are_no_lanes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
