/* model_verify: each of many transactions gets the verdict it would get alone, whatever its neighbours and its length. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

enum { LONG = 20000 };

static struct svm_secret_key keys[4];
static struct svm_public_key public_keys[4];
static struct svm_address senders[4];
static uint8_t bytes[MODEL_VERIFY_MAX][LONG];
static struct svm_signature signatures[MODEL_VERIFY_MAX];
static struct model_signed txs[MODEL_VERIFY_MAX];

/* Transaction I: LEN bytes, signed by key I % 4 over 00 00 53 and the bytes. */
static void make(size_t i, size_t len)
{
    static uint8_t message[3 + LONG] = {0x00, 0x00, 0x53};
    for (size_t b = 0; b < len; b++)
        bytes[i][b] = (uint8_t)(b * 31 + i);
    memcpy(message + 3, bytes[i], len);
    svm_sign(&signatures[i], &keys[i % 4], (struct svm_bytes){message, 3 + len});
    txs[i] = (struct model_signed){
        &senders[i % 4], &public_keys[i % 4], &signatures[i], {bytes[i], len}};
}

static void make_keys(void)
{
    for (unsigned k = 0; k < 4; k++) {
        memset(keys[k].seed, (int)k + 1, sizeof keys[k].seed);
        svm_key_public(&public_keys[k], &keys[k]);
        svm_key_address(&senders[k], &public_keys[k]);
    }
}

START_TEST(each_by_itself)
{
    enum model_verdict verdicts[MODEL_VERIFY_MAX];
    make_keys();
    for (size_t count = 0; count <= MODEL_VERIFY_MAX; count += 1 + count / 4) {
        for (size_t i = 0; i < count; i++) {
            make(i, 60 + 7 * i);
            if (i % 5 == 1)
                txs[i].sender = &senders[(i + 1) % 4];
            if (i % 7 == 2)
                bytes[i][i] ^= 0x40;
            verdicts[i] = MODEL_BAD_SIGNATURE;
        }
        model_verify(verdicts, txs, count);
        for (size_t i = 0; i < count; i++) {
            const enum model_verdict want = i % 5 == 1   ? MODEL_OTHER_SENDER
                                            : i % 7 == 2 ? MODEL_BAD_SIGNATURE
                                                         : MODEL_SIGNED;
            ck_assert_msg(verdicts[i] == want, "%zu of %zu", i, count);
        }
    }
}
END_TEST

/* More than fits together: two share the room, the rest are verified alone. */
START_TEST(long_ones)
{
    enum model_verdict verdicts[6];
    make_keys();
    for (size_t i = 0; i < 6; i++)
        make(i, i % 2 ? 100 : LONG);
    bytes[4][LONG - 1] ^= 1;
    bytes[5][99] ^= 1;
    model_verify(verdicts, txs, 6);
    for (size_t i = 0; i < 6; i++)
        ck_assert_int_eq(verdicts[i], i < 4 ? MODEL_SIGNED : MODEL_BAD_SIGNATURE);
}
END_TEST

START_TEST(reasons)
{
    struct svm_refusal refusal = {.err = SVM_OK};
    ck_assert_int_eq(model_verdict_err(MODEL_SIGNED, &refusal), SVM_OK);
    ck_assert_int_eq(model_verdict_err(MODEL_OTHER_SENDER, &refusal), SVM_E_BAD_SIGNATURE);
    ck_assert_ptr_nonnull(strstr(refusal.reason, "sender"));
    ck_assert_int_eq(model_verdict_err(MODEL_BAD_SIGNATURE, &refusal), SVM_E_BAD_SIGNATURE);
    ck_assert_ptr_nonnull(strstr(refusal.reason, "does not verify"));
    ck_assert_int_eq(refusal.err, SVM_E_BAD_SIGNATURE);
    ck_assert_int_eq(model_verdict_err(MODEL_BAD_SIGNATURE, NULL), SVM_E_BAD_SIGNATURE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_verify");
    TCase *tcase = tcase_create("verify");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, each_by_itself);
    tcase_add_test(tcase, long_ones);
    tcase_add_test(tcase, reasons);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
