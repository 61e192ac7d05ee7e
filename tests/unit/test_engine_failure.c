/* The disk fails: whoever was promised an answer gets one. */
#include <check.h>
#include <string.h>

#include "engine_rig.h"

static struct rig rig;

/* INTERVAL: the group is written, the fsync behind it fails. */
START_TEST(a_failed_fsync_answers_who_waits)
{
    rig_init(&rig, SVM_INTERVAL);
    rig.config.durability_interval_ms = 300;
    rig_open(&rig);
    struct support_tx tx;
    struct rig_call submitted, copy, waited;
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, NULL); /* the interval begins anew */
    store_kv_ram_fail_at(rig.log, 2);
    support_pay(&tx, rig.engine, "alice", "alice spare 1", 1, "bob", 10);
    rig_submit(&rig, &submitted, &tx, SVM_WAIT_DURABLE);
    rig_submit(&rig, &copy, &tx, SVM_WAIT_DURABLE);
    memset(&waited, 0, sizeof waited);
    rig_sleep(20);
    ck_assert_int_eq(svm_wait(rig.engine, &tx.digest, SVM_WAIT_DURABLE, rig_called, &waited),
                     SVM_OK);
    ck_assert(rig_answered(&submitted, 3000));
    ck_assert(rig_answered(&copy, 3000));
    ck_assert(rig_answered(&waited, 3000));
    ck_assert_int_eq(submitted.err, SVM_E_STORAGE_READ_ONLY);
    ck_assert_int_eq(copy.err, SVM_E_STORAGE_READ_ONLY);
    ck_assert_int_eq(waited.err, SVM_E_STORAGE_READ_ONLY);
    rig_deinit(&rig);
}
END_TEST

/* The copy was admitted before the failure and looks after it. */
START_TEST(a_late_copy_is_answered_too)
{
    rig_init(&rig, SVM_SYNC);
    rig_open(&rig);
    struct support_tx tx;
    struct rig_call first, copy;
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 0, "bob", 10);
    store_kv_ram_fail_at(rig.log, 1);
    atomic_store(&rig.log_held, true);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, &first);
    struct support_tx other;
    support_pay(&other, rig.engine, "alice", "alice spare 1", 1, "bob", 10);
    struct rig_call later;
    atomic_store(&rig.claims_held, true);
    atomic_store(&rig.at_claims, 0);
    rig_submit(&rig, &later, &other, SVM_WAIT_DURABLE); /* a worker stops here */
    while (atomic_load(&rig.at_claims) == 0)
        rig_sleep(1);
    atomic_store(&rig.stall_worker, true);
    struct support_tx third;
    rig_pass(&rig, 1);
    support_pay(&third, rig.engine, "alice", "alice spare 2", 1, "bob", 10);
    struct rig_call stopped;
    rig_submit(&rig, &stopped, &third, SVM_WAIT_DURABLE); /* and the other here */
    rig_until(&rig.stalled);
    rig_submit(&rig, &copy, &tx, SVM_WAIT_DURABLE);
    atomic_store(&rig.log_held, false); /* the write fails */
    struct svm_refusal detail;
    for (unsigned i = 0; i < 3000 && svm_health(rig.engine, &detail) == SVM_OK; i++)
        rig_sleep(1);
    ck_assert_int_eq(svm_health(rig.engine, &detail), SVM_E_IO);
    atomic_store(&rig.stalled, false);
    atomic_store(&rig.claims_held, false);
    ck_assert(rig_answered(&copy, 3000));
    ck_assert_int_eq(copy.err, SVM_E_STORAGE_READ_ONLY);
    ck_assert(rig_answered(&later, 3000));
    ck_assert(rig_answered(&stopped, 3000));
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("failure");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_failed_fsync_answers_who_waits);
    tcase_add_test(tc, a_late_copy_is_answered_too);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
