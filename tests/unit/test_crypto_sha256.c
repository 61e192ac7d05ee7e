/* SHA-256 against FIPS 180-4 and against itself in pieces. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"

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
    tcase_add_test(tcase, secrets);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
