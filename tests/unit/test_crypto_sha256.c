/* SHA-256 against FIPS 180-4, against itself in pieces and against libsodium. Run with SVM_SHA=off for the portable path. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/bytes.h"
#include "base/rng.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"

static uint64_t seed(void)
{
    const char *text = getenv("SVM_SEED");
    const uint64_t value = text ? strtoull(text, NULL, 10) : 20260722;
    printf("SVM_SEED=%" PRIu64 "\n", value);
    return value;
}

static void assert_hash(const char *message, size_t len, const char *want)
{
    uint8_t hash[32];
    char text[65];
    crypto_sha256(hash, message, len);
    hex_encode(text, hash, sizeof hash);
    ck_assert_str_eq(text, want);
}

START_TEST(published_values)
{
    assert_hash("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_hash("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    assert_hash(million, 1000000,
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}
END_TEST

START_TEST(pieces_are_the_whole)
{
    uint8_t message[300], whole[32], pieces[32];
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)(i * 7);
    for (size_t len = 0; len <= sizeof message; len += 3)
        for (size_t step = 1; step < 130; step += 9) {
            struct crypto_sha256 sha, copy;
            crypto_sha256_init(&sha);
            for (size_t at = 0; at < len; at += step)
                crypto_sha256_add(&sha, message + at, len - at < step ? len - at : step);
            copy = sha; /* a state is a value */
            crypto_sha256_add(&sha, "x", 1);
            crypto_sha256_final(&copy, pieces);
            crypto_sha256(whole, message, len);
            ck_assert_mem_eq(whole, pieces, 32);
        }
}
END_TEST

/* Every length up to 1024, at every alignment, and every way of cutting in three: what libsodium says. */
START_TEST(libsodium_agrees)
{
    static uint8_t message[1024 + 64];
    struct rng rng;
    rng_init(&rng, seed());
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)rng_next(&rng);
    for (size_t len = 0; len <= 1024; len++) {
        uint8_t want[32], hash[32];
        const uint8_t *at = message + rng_below(&rng, 64);
        crypto_hash_sha256(want, at, len);
        crypto_sha256(hash, at, len);
        ck_assert_mem_eq(hash, want, 32);
        for (unsigned i = 0; i < 64; i++) {
            struct crypto_sha256 sha;
            const size_t first = rng_below(&rng, len + 1);
            const size_t second = rng_below(&rng, len - first + 1);
            crypto_sha256_init(&sha);
            crypto_sha256_add(&sha, at, first);
            crypto_sha256_add(&sha, at + first, second);
            crypto_sha256_add(&sha, at + first + second, len - first - second);
            crypto_sha256_final(&sha, hash);
            ck_assert_mem_eq(hash, want, 32);
        }
    }
}
END_TEST

/* The length is counted in 64 bits: 2^32 bits are 512 MiB. */
START_TEST(longer_than_32_bits_of_length)
{
    static uint8_t chunk[1 << 20];
    struct crypto_sha256 sha;
    crypto_hash_sha256_state sodium;
    uint8_t want[32], hash[32];
    memset(chunk, 0x5a, sizeof chunk);
    crypto_sha256_init(&sha);
    crypto_hash_sha256_init(&sodium);
    for (unsigned i = 0; i < 2; i++) {
        crypto_sha256_add(&sha, chunk, sizeof chunk - 1);
        crypto_hash_sha256_update(&sodium, chunk, sizeof chunk - 1);
    }
    sha.bits += UINT64_C(1) << 40; /* as if whole blocks had gone before */
    sodium.count += UINT64_C(1) << 40;
    crypto_sha256_final(&sha, hash);
    crypto_hash_sha256_final(&sodium, want);
    ck_assert_mem_eq(hash, want, 32);
}
END_TEST

START_TEST(secrets)
{
    uint8_t a[32], b[32], zero[32] = {0};
    crypto_random(a, sizeof a);
    crypto_random(b, sizeof b);
    ck_assert(!crypto_equal(a, b, 32));
    memcpy(b, a, 32);
    ck_assert(crypto_equal(a, b, 32));
    b[31] ^= 1;
    ck_assert(!crypto_equal(a, b, 32));
    crypto_wipe(a, sizeof a);
    ck_assert_mem_eq(a, zero, 32);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crypto_sha256");
    TCase *tcase = tcase_create("sha256");
    tcase_add_test(tcase, published_values);
    tcase_add_test(tcase, pieces_are_the_whole);
    tcase_add_test(tcase, libsodium_agrees);
    tcase_add_test(tcase, longer_than_32_bits_of_length);
    tcase_add_test(tcase, secrets);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
