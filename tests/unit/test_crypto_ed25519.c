/* Ed25519 against RFC 8032, Wycheproof and the corner cases on which implementations disagree: the set of signatures that
 * we accept is part of the protocol. Vectors: tests/vectors/README.md. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/ed25519.h"
#include "unit/crypto_reference.h"

/* unhex: TEXT into a new buffer. */
static uint8_t *unhex(const char *text, size_t *len_out)
{
    const size_t len = strlen(text);
    uint8_t *bytes = malloc(len / 2 + 1);
    ck_assert(hex_decode(bytes, len / 2, len_out, text, len));
    return bytes;
}

/* The same job at every place of batches of 1 and 8 and some of 70, among a good and a bad one in turn, whose verdicts stay theirs. */
static void assert_batches_agree(const struct crypto_ed25519_job *job, bool want)
{
    static const char message[] = "a neighbour";
    static const uint8_t seed[32] = {1, 2, 3};
    enum { LONGEST = 70 };
    uint8_t public_key[32], good[64], bad[64];
    struct crypto_ed25519_job jobs[LONGEST];
    bool verdicts[LONGEST];
    crypto_ed25519_public(public_key, seed);
    crypto_ed25519_sign(good, seed, message, sizeof message);
    memcpy(bad, good, sizeof bad);
    bad[40] ^= 4;
    static const size_t counts[] = {1, 8, LONGEST};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        const size_t count = counts[c];
        for (size_t place = 0; place < count; place += count < 9 ? 1 : 23) {
            for (size_t i = 0; i < count; i++) {
                jobs[i] = (struct crypto_ed25519_job){public_key, i % 2 ? bad : good, message,
                                                      sizeof message};
                verdicts[i] = i % 2;
            }
            jobs[place] = *job;
            verdicts[place] = !want;
            crypto_ed25519_verify_batch(verdicts, jobs, count);
            for (size_t i = 0; i < count; i++)
                REQUIRE_AT(verdicts[i] == (i == place ? want : i % 2 == 0),
                           "place %zu of %zu, asked for %zu", i, count, place);
        }
    }
}

static bool verify_hex(const char *public_key, const char *signature, const char *message)
{
    size_t public_len, signature_len, message_len;
    uint8_t *p = unhex(public_key, &public_len), *s = unhex(signature, &signature_len);
    uint8_t *m = unhex(message, &message_len);
    ck_assert_uint_eq(public_len, 32);
    const bool good = signature_len == 64 && crypto_ed25519_verify(p, s, m, message_len);
    if (signature_len == 64)
        assert_batches_agree(&(struct crypto_ed25519_job){p, s, m, message_len}, good);
    free(p);
    free(s);
    free(m);
    return good;
}

struct rfc8032 {
    const char *seed, *public_key, *message, *signature;
};

/* RFC 8032, section 7.1: tests 1, 2, 3 and SHA(abc). */
static const struct rfc8032 vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6594a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3fee"
     "bbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e"
     "0303dca179c138ac17ad9bef1177331a704"},
};

START_TEST(rfc8032_vector)
{
    const struct rfc8032 *v = &vectors[_i];
    uint8_t public_key[32], signature[64];
    char text[129];
    size_t len;
    uint8_t *seed = unhex(v->seed, &len), *message = unhex(v->message, &len);
    crypto_ed25519_public(public_key, seed);
    hex_encode(text, public_key, 32);
    ck_assert_str_eq(text, v->public_key);
    crypto_ed25519_sign(signature, seed, message, len);
    hex_encode(text, signature, 64);
    ck_assert_str_eq(text, v->signature);
    const struct crypto_ed25519_job job = {public_key, signature, message, len};
    ck_assert(crypto_ed25519_verify(public_key, signature, message, len));
    assert_batches_agree(&job, true);
    for (unsigned bit = 0; bit < 512; bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool verdict = true;
        ck_assert(!crypto_ed25519_verify(public_key, signature, message, len));
        crypto_ed25519_verify_batch(&verdict, &job, 1);
        ck_assert(!verdict);
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(seed);
    free(message);
}
END_TEST

enum { LINE_BYTES = 8192 };

/* The published vectors are not part of the tree (tests/vectors/README.md). Returns how many there were; none: SKIP. */
static unsigned verify_published(const char *set)
{
    static char line[LINE_BYTES];
    unsigned count = 0;
    char command[64];
    snprintf(command, sizeof command, "tests/vectors/ed25519.py %s", set);
    FILE *published = popen(command, "r");
    ck_assert_ptr_nonnull(published);
    while (fgets(line, sizeof line, published) != NULL) {
        char *field[5], *rest = line;
        for (size_t i = 0; i < 5; i++) {
            field[i] = strtok_r(rest, " \n", &rest);
            ck_assert_ptr_nonnull(field[i]);
            if (strcmp(field[i], "-") == 0)
                field[i] = field[i] + 1;
        }
        const bool want = strcmp(field[4], "valid") == 0;
        ck_assert_msg(verify_hex(field[1], field[2], field[3]) == want, "%s %s: want %d", set,
                      field[0], want);
        count++;
    }
    ck_assert_int_eq(pclose(published), 0);
    if (count == 0)
        printf("SKIP %s: ../shared/vectors/ does not hold it\n", set);
    return count;
}

/* None and many: a batch may have any length. */
START_TEST(batches_of_any_length)
{
    enum { MOST = 200 };
    static const char message[] = "one of many";
    static const uint8_t seed[32] = {7};
    static uint8_t signatures[MOST][64];
    struct crypto_ed25519_job jobs[MOST];
    bool verdicts[MOST + 1];
    uint8_t public_key[32];
    crypto_ed25519_public(public_key, seed);
    crypto_ed25519_sign(signatures[0], seed, message, sizeof message);
    for (size_t i = 0; i < MOST; i++) {
        memcpy(signatures[i], signatures[0], 64);
        if (i % 5 == 3)
            signatures[i][i % 64] ^= 0x10;
        jobs[i] = (struct crypto_ed25519_job){public_key, signatures[i], message, sizeof message};
    }
    crypto_ed25519_verify_batch(verdicts, jobs, 0);
    for (size_t count = 1; count <= MOST; count += 1 + count / 9) {
        verdicts[count] = true; /* not written */
        crypto_ed25519_verify_batch(verdicts, jobs, count);
        for (size_t i = 0; i < count; i++)
            REQUIRE_AT(verdicts[i] == (i % 5 != 3), "%zu of %zu", i, count);
        ck_assert(verdicts[count]);
    }
}
END_TEST

START_TEST(wycheproof)
{
    const unsigned count = verify_published("wycheproof");
    ck_assert(count == 0 || count == 151);
}
END_TEST

/* "Taming the many EdDSAs": what libsodium decides, we decide. */
START_TEST(disputed_signatures)
{
    const unsigned count = verify_published("speccheck");
    ck_assert(count == 0 || count == 12);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crypto_ed25519");
    TCase *tcase = tcase_create("ed25519");
    tcase_add_loop_test(tcase, rfc8032_vector, 0, sizeof vectors / sizeof vectors[0]);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, batches_of_any_length);
    tcase_add_test(tcase, wycheproof);
    tcase_add_test(tcase, disputed_signatures);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
