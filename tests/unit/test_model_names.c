/* The tables of errors and names: complete, distinct, total. */
#include <check.h>
#include <string.h>

#include <svm/types.h>

START_TEST(every_error_has_its_facts)
{
    for (int err = SVM_OK; err < SVM_ERR_COUNT; err++) {
        const enum svm_err e = (enum svm_err)err;
        ck_assert_uint_gt(strlen(svm_err_name(e)), 1);
        ck_assert_uint_gt(strlen(svm_err_text(e)), 7);
        ck_assert_str_ne(svm_retry_name(svm_err_retry(e)), "unknown");
        for (int other = SVM_OK; other < err; other++) {
            ck_assert_str_ne(svm_err_name(e), svm_err_name((enum svm_err)other));
            ck_assert_int_ne(svm_err_rpc_code(e), svm_err_rpc_code((enum svm_err)other));
        }
    }
    ck_assert_str_eq(svm_err_name(SVM_OK), "OK");
    ck_assert_str_eq(svm_err_name(SVM_E_VERSION_CONFLICT), "VERSION_CONFLICT");
    ck_assert_int_eq(svm_err_rpc_code(SVM_E_VERSION_CONFLICT), 1201);
    ck_assert_int_eq(svm_err_retry(SVM_E_VERSION_CONFLICT), SVM_RETRY_REBUILD);
    ck_assert_int_eq(svm_err_class(SVM_E_LIMIT_EXCEEDED), SVM_CLASS_LIMIT);
}
END_TEST

START_TEST(unknown_values_are_harmless)
{
    ck_assert_str_eq(svm_err_name((enum svm_err)SVM_ERR_COUNT), "INTERNAL");
    ck_assert_str_eq(svm_err_name((enum svm_err) - 1), "INTERNAL");
    ck_assert_str_eq(svm_failure_name((enum svm_failure)99), "unknown");
    ck_assert_str_eq(svm_kind_name((enum svm_kind)3), "unknown");
    ck_assert_str_eq(svm_op_name(SVM_OP_COUNT), "unknown");
    ck_assert_str_eq(svm_path_name((enum svm_path)3), "unknown");
    ck_assert_str_eq(svm_fallback_name(SVM_FALLBACK_COUNT), "unknown");
    ck_assert_str_eq(svm_retry_name((enum svm_retry)4), "unknown");
}
END_TEST

START_TEST(names_are_those_of_the_protocol)
{
    ck_assert_str_eq(svm_failure_name(SVM_FAILURE_NONE), "");
    ck_assert_str_eq(svm_failure_name(SVM_FAILURE_WITHDRAW_DENIED), "WITHDRAW_DENIED");
    ck_assert_str_eq(svm_failure_name(SVM_FAILURE_OVERFLOW), "OVERFLOW");
    for (int f = 1; f < SVM_FAILURE_COUNT; f++)
        ck_assert_uint_gt(strlen(svm_failure_text((enum svm_failure)f)), 10);
    ck_assert_str_eq(svm_kind_name(SVM_KIND_IMMUTABLE), "immutable");
    ck_assert_str_eq(svm_op_name(SVM_OP_TRANSFER), "transfer");
    ck_assert_str_eq(svm_op_name(SVM_OP_MOVE), "move");
    ck_assert_str_eq(svm_op_name(SVM_OP_EXPECT), "expect");
    ck_assert_str_eq(svm_op_name(SVM_OP_FREEZE), "freeze");
    ck_assert_str_eq(svm_path_name(SVM_PATH_CONSENSUS), "consensus");
    ck_assert_str_eq(svm_fallback_name(SVM_FALLBACK_CONTENDED), "CONTENDED");
    ck_assert_str_eq(svm_retry_name(SVM_RETRY_LATER), "later");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_names");
    TCase *tcase = tcase_create("names");
    tcase_add_test(tcase, every_error_has_its_facts);
    tcase_add_test(tcase, unknown_values_are_harmless);
    tcase_add_test(tcase, names_are_those_of_the_protocol);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
