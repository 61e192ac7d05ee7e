/* Ordered transactions: who comes later waits in the order, not at the claim of who came first. */
#include <check.h>
#include <stdlib.h>

#include "engine_rig.h"

enum { FOLLOWERS = 3 };

static struct rig rig;

static uint64_t retries(void)
{
    static struct svm_stats stats;
    svm_stats(rig.engine, &stats);
    return stats.retries;
}

START_TEST(a_follower_waits_in_the_order)
{
    static struct support_tx txs[1 + FOLLOWERS];
    static struct rig_call calls[1 + FOLLOWERS];
    rig_init(&rig, SVM_MEMORY);
    rig.config.verify_signatures = false;
    rig_open(&rig);
    for (unsigned i = 0; i <= FOLLOWERS; i++)
        support_add(&txs[i], rig.engine, "alice", "counter", 1, 1 + i);
    atomic_store(&rig.claims_held, true);
    rig_submit(&rig, &calls[0], &txs[0], SVM_WAIT_EXECUTED);
    for (unsigned ms = 0; atomic_load(&rig.at_claims) == 0 && ms < 5000; ms++)
        rig_sleep(1);
    ck_assert_uint_eq(atomic_load(&rig.at_claims), 1);

    /* The other worker has them while the first one holds its claim. */
    for (unsigned i = 1; i <= FOLLOWERS; i++)
        rig_submit(&rig, &calls[i], &txs[i], SVM_WAIT_EXECUTED);
    rig_sleep(50);
    ck_assert_uint_eq(retries(), 0);
    ck_assert_uint_eq(atomic_load(&rig.at_claims), 1);

    atomic_store(&rig.claims_held, false);
    for (unsigned i = 0; i <= FOLLOWERS; i++) {
        ck_assert(rig_answered(&calls[i], 5000));
        ck_assert_int_eq(calls[i].err, SVM_OK);
        ck_assert_int_eq(calls[i].path, SVM_PATH_CONSENSUS);
        ck_assert_uint_gt(calls[i].seq, i == 0 ? 0 : calls[0].seq);
    }
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), 1 + FOLLOWERS);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("order");
    TCase *tcase = tcase_create("order");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_follower_waits_in_the_order);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
