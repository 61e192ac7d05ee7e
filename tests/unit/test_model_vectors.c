/* tests/vectors/tx.json: transactions that another implementation has encoded and signed. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <svm/tx.h>

#include "base/bytes.h"

static struct svm_tx_space space;
static uint8_t buf[SVM_TX_BYTES_MAX];

static struct svm_bytes unhex(const json_t *vector, const char *name)
{
    const char *text = json_string_value(json_object_get(vector, name));
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

static void check_vector(const json_t *vector)
{
    const struct svm_bytes seed = unhex(vector, "seed"), tx_bytes = unhex(vector, "transaction");
    const struct svm_bytes signed_bytes = unhex(vector, "signed"),
                           digest_bytes = unhex(vector, "digest");
    struct svm_signed_tx stx;
    struct svm_refusal refusal;
    struct svm_secret_key key;
    struct svm_digest digest;
    size_t len;
    const enum svm_err err = svm_signed_tx_decode(&stx, &space, signed_bytes, &refusal);
    ck_assert_msg(err == SVM_OK, "%s: %s", json_string_value(json_object_get(vector, "name")),
                  refusal.reason);
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
    json_error_t error;
    json_t *vectors = json_load_file("tests/vectors/tx.json", 0, &error), *vector;
    size_t i;
    ck_assert_msg(vectors != NULL, "%s", error.text);
    ck_assert_uint_ge(json_array_size(vectors), 20);
    json_array_foreach(vectors, i, vector)
    {
        check_vector(vector);
    }
    json_decref(vectors);
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
