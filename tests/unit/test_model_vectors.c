/* tests/vectors/tx.txt: transactions that another implementation has encoded and signed. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <svm/tx.h>

#include "base/bytes.h"

enum { LINE_BYTES = 8192 };

static struct svm_tx_space space;
static uint8_t buf[SVM_TX_BYTES_MAX];

static struct svm_bytes unhex(const char *text)
{
    ck_assert_ptr_nonnull(text);
    uint8_t *bytes = malloc(strlen(text) / 2 + 1);
    size_t len;
    ck_assert(hex_decode(bytes, strlen(text) / 2, &len, text, strlen(text)));
    return (struct svm_bytes){bytes, len};
}

static void assert_same(struct svm_bytes want, const uint8_t *got, size_t len)
{
    ck_assert_uint_eq(want.len, len);
    ck_assert_mem_eq(want.ptr, got, len);
}

/* check_vector: a LINE of seed, transaction, signed transaction, digest. */
static void check_vector(char *line)
{
    char *rest = line;
    const struct svm_bytes seed = unhex(strtok_r(rest, " \n", &rest));
    const struct svm_bytes tx_bytes = unhex(strtok_r(rest, " \n", &rest));
    const struct svm_bytes signed_bytes = unhex(strtok_r(rest, " \n", &rest));
    const struct svm_bytes digest_bytes = unhex(strtok_r(rest, " \n", &rest));
    struct svm_signed_tx stx;
    struct svm_refusal refusal;
    struct svm_secret_key key;
    struct svm_digest digest;
    size_t len;
    const enum svm_err err = svm_signed_tx_decode(&stx, &space, signed_bytes, &refusal);
    ck_assert_msg(err == SVM_OK, "%s", refusal.reason);
    ck_assert_int_eq(svm_signed_tx_verify(&stx, NULL), SVM_OK);
    assert_same(tx_bytes, stx.tx_bytes.ptr, stx.tx_bytes.len);
    svm_tx_digest(&digest, tx_bytes);
    assert_same(digest_bytes, digest.b, sizeof digest.b);
    ck_assert_int_eq(svm_tx_encode(buf, sizeof buf, &len, &stx.tx), SVM_OK);
    assert_same(tx_bytes, buf, len);
    memcpy(key.seed, seed.ptr, sizeof key.seed);
    ck_assert_int_eq(svm_tx_sign(buf, sizeof buf, &len, tx_bytes, &key), SVM_OK);
    assert_same(signed_bytes, buf, len);
    free((void *)(uintptr_t)seed.ptr);
    free((void *)(uintptr_t)tx_bytes.ptr);
    free((void *)(uintptr_t)signed_bytes.ptr);
    free((void *)(uintptr_t)digest_bytes.ptr);
}

START_TEST(every_vector_holds)
{
    static char line[LINE_BYTES];
    FILE *file = fopen("tests/vectors/tx.txt", "r");
    ck_assert_ptr_nonnull(file);
    unsigned count = 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (line[0] != '#') {
            check_vector(line);
            count++;
        }
    fclose(file);
    ck_assert_uint_ge(count, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_vectors");
    TCase *tcase = tcase_create("vectors");
    tcase_add_test(tcase, every_vector_holds);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
