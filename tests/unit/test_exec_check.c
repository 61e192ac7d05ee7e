/* exec_check_input: each refusal, and which stands before which. */
#include <check.h>
#include <stdlib.h>

#include "unit/exec_bed.h"

START_TEST(check_input)
{
    struct bed bed;
    bed_init(&bed);
    bed_owned(&bed, 4, 100);
    struct svm_input *input = &bed.inputs[0];
    struct model_object *object = bed.objects[0];
    struct svm_refusal refusal;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, &refusal), SVM_OK);
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, NULL, &refusal), SVM_E_OBJECT_NOT_FOUND);
    ck_assert_uint_eq(refusal.has, SVM_HAS_OBJECT);
    ck_assert_mem_eq(&refusal.object, &input->id, 32);

    input->exact = true;
    input->version = 3;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, &refusal), SVM_E_VERSION_CONFLICT);
    ck_assert_uint_eq(refusal.has,
                      SVM_HAS_OBJECT | SVM_HAS_GIVEN | SVM_HAS_CURRENT | SVM_HAS_WINNER);
    ck_assert_uint_eq(refusal.given, 3);
    ck_assert_uint_eq(refusal.current, 4);
    ck_assert_mem_eq(&refusal.winner, &object->last_tx, 32);
    input->version = 5;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, NULL), SVM_E_VERSION_CONFLICT);

    /* each rule stands before the next */
    object->party = BOB;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, &refusal), SVM_E_NOT_OWNER);
    ck_assert_mem_eq(&refusal.owner, &BOB, 32);
    ck_assert_mem_eq(&refusal.sender, &ALICE, 32);
    object->kind = SVM_KIND_SHARED;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, &refusal), SVM_E_WRONG_INPUT_KIND);
    ck_assert_int_eq(refusal.declared, SVM_KIND_OWNED);
    ck_assert_int_eq(refusal.actual, SVM_KIND_SHARED);
    object->kind = SVM_KIND_IMMUTABLE;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, &refusal), SVM_E_OBJECT_IMMUTABLE);
    ck_assert_uint_ne(refusal.has & SVM_HAS_KINDS, 0);
    object->deleted = true;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, &refusal), SVM_E_OBJECT_DELETED);
    bed_deinit(&bed);
}
END_TEST

/* Every pair of declared and actual kind. */
START_TEST(check_kinds)
{
    for (int declared = 0; declared < 4; declared++) { /* 3: shared, read only */
        for (int actual = 0; actual < 3; actual++) {
            struct bed bed;
            bed_init(&bed);
            bed_input(&bed, object_new((enum svm_kind)actual, &ALICE, 4, 0, "", 0));
            bed.inputs[0].kind = declared == 3 ? SVM_KIND_SHARED : (enum svm_kind)declared;
            bed.inputs[0].writable = declared < 2;
            enum svm_err expected = SVM_E_WRONG_INPUT_KIND;
            if ((int)bed.inputs[0].kind == actual)
                expected = SVM_OK;
            else if (actual == SVM_KIND_IMMUTABLE && declared < 2)
                expected = SVM_E_OBJECT_IMMUTABLE;
            ck_assert_int_eq(exec_check_input(&bed.tx, 0, bed.objects[0], NULL), expected);
            bed_deinit(&bed);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exec check");
    TCase *tcase = tcase_create("check");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, check_input);
    tcase_add_test(tcase, check_kinds);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
