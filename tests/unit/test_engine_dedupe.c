/* One digest, one effect: copies in flight, copies behind time, copies behind memory. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "engine_rig.h"

static struct rig rig;

static void until_claimed(void)
{
    while (atomic_load(&rig.at_claims) == 0)
        rig_sleep(1);
}

static void until_materialised(uint64_t seq)
{
    struct svm_stats stats;
    do {
        rig_sleep(5);
        svm_stats(rig.engine, &stats);
    } while (stats.materialised_seq < seq);
    rig_sleep(300); /* the committer walks its line at least ten times a second */
}

START_TEST(a_copy_in_flight_waits_for_the_first)
{
    rig_init(&rig, SVM_SYNC);
    rig_open(&rig);
    struct support_tx tx;
    struct rig_call first, executed, durable, none;
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 0, "bob", 10);
    atomic_store(&rig.claims_held, true);
    atomic_store(&rig.log_held, true);
    rig_submit(&rig, &first, &tx, SVM_WAIT_EXECUTED);
    until_claimed();
    rig_submit(&rig, &executed, &tx, SVM_WAIT_EXECUTED);
    rig_submit(&rig, &durable, &tx, SVM_WAIT_DURABLE);
    rig_submit(&rig, &none, &tx, SVM_WAIT_NONE);
    ck_assert(rig_answered(&none, 2000));
    ck_assert(none.pending && none.duplicate);
    ck_assert(!rig_answered(&executed, 50));
    struct svm_receipt *receipt;
    ck_assert_int_eq(svm_receipt_get(rig.engine, &tx.digest, &receipt), SVM_E_BUSY);
    atomic_store(&rig.claims_held, false);
    ck_assert(rig_answered(&first, 2000));
    ck_assert(rig_answered(&executed, 2000));
    ck_assert(!rig_answered(&durable, 50));
    atomic_store(&rig.log_held, false);
    ck_assert(rig_answered(&durable, 2000));
    ck_assert(!first.duplicate && executed.duplicate && durable.duplicate);
    ck_assert_uint_eq(durable.seq, first.seq);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    rig_deinit(&rig);
}
END_TEST

/* The first copy is under way in time; its second must not be told that nothing will ever come of it. */
START_TEST(no_copy_is_expired_while_the_first_runs)
{
    rig_init(&rig, _i ? SVM_SYNC : SVM_MEMORY);
    rig_open(&rig);
    struct support_tx tx;
    struct rig_call first, second;
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 0, "bob", 10);
    atomic_store(&rig.claims_held, true);
    rig_submit(&rig, &first, &tx, SVM_WAIT_EXECUTED);
    until_claimed();
    rig_pass(&rig, 61000);
    rig_submit(&rig, &second, &tx, SVM_WAIT_EXECUTED);
    rig_answered(&second, 300);
    atomic_store(&rig.claims_held, false);
    ck_assert(rig_answered(&first, 2000));
    ck_assert(rig_answered(&second, 2000));
    ck_assert_int_eq(first.err, SVM_OK);
    ck_assert_int_eq(second.err, SVM_OK);
    ck_assert(second.duplicate);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_receipt_comes_before_expired)
{
    rig_init(&rig, _i ? SVM_SYNC : SVM_MEMORY);
    rig_open(&rig);
    struct support_tx tx;
    struct rig_call first, again;
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 0, "bob", 10);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, &first);
    rig_pass(&rig, 61000);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, &again);
    ck_assert(again.duplicate);
    ck_assert_uint_eq(again.seq, first.seq);

    struct svm_tx_space *space = malloc(sizeof *space);
    struct svm_signed_tx stx;
    ck_assert_int_eq(svm_signed_tx_decode(&stx, space, tx.bytes, NULL), SVM_OK);
    memset(&again, 0, sizeof again);
    ck_assert_int_eq(svm_submit_decoded(rig.engine, &stx.tx, &tx.digest, SVM_WAIT_DURABLE,
                                        rig_called, &again, NULL),
                     SVM_OK);
    ck_assert(rig_answered(&again, 2000));
    ck_assert_int_eq(again.err, SVM_OK);
    ck_assert(again.duplicate);
    free(space);
    rig_deinit(&rig);
}
END_TEST

/* What a library's caller has put together itself may say that a shared input is exact. No version guards that one, so nothing may rest on it: a digest that
 * memory has let go must not execute again. */
START_TEST(a_version_guards_an_owned_input_only)
{
    rig_init(&rig, _i ? SVM_SYNC : SVM_MEMORY);
    rig.config.tx_dedupe_bytes =
        _i ? 0 : 400; /* in memory eight times that, and no more is taken */
    rig_open(&rig);
    struct support_tx tx, other;
    struct rig_call call[2], done;
    struct svm_tx_space *space = malloc(sizeof *space);
    struct svm_signed_tx stx;
    support_add(&tx, rig.engine, "alice", "counter", 1, 1000);
    ck_assert_int_eq(svm_signed_tx_decode(&stx, space, tx.bytes, NULL), SVM_OK);
    struct svm_input input = stx.tx.inputs[0];
    ck_assert_int_eq(stx.tx.input_count, 1);
    ck_assert_int_eq(input.kind, SVM_KIND_SHARED);
    input.exact = true;
    stx.tx.inputs = &input;
    stx.tx.expires_ms = 0;
    for (unsigned k = 0; k < 2; k++) {
        memset(&call[k], 0, sizeof call[k]);
        const enum svm_err err = svm_submit_decoded(rig.engine, &stx.tx, &tx.digest,
                                                    SVM_WAIT_DURABLE, rig_called, &call[k], NULL);
        ck_assert(err != SVM_OK || rig_answered(&call[k], 2000));
        call[k].err = err != SVM_OK ? err : call[k].err;
        for (unsigned i = 0; i < 3; i++) { /* the last one walked is kept in memory */
            support_add(&other, rig.engine, "alice", "counter", 1, 3 * k + i);
            rig_do(&rig, &other, SVM_WAIT_DURABLE, SVM_OK, &done);
        }
        if (_i)
            until_materialised(done.seq);
    }
    ck_assert_uint_le(support_counter(rig.engine, "counter"), 6 + 1);
    for (unsigned k = 0; k < 2; k++)
        ck_assert_int_eq(call[k].err, SVM_E_OP_INVALID);
    free(space);
    rig_deinit(&rig);
}
END_TEST

/* The second copy has looked in memory before the first was finished, and enters after memory has let the first one's receipt go. */
START_TEST(no_gap_between_memory_and_disk)
{
    rig_init(&rig, SVM_SYNC);
    rig.config.tx_dedupe_bytes = 0;
    rig_open(&rig);
    struct support_tx tx, other;
    struct rig_call first, second, done;
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 0, "bob", 10);
    atomic_store(&rig.claims_held, true);
    rig_submit(&rig, &first, &tx, SVM_WAIT_DURABLE);
    until_claimed();
    atomic_store(&rig.stall_worker, true);
    rig_pass(&rig, 1);
    rig_submit(&rig, &second, &tx, SVM_WAIT_DURABLE);
    rig_until(&rig.stalled);
    atomic_store(&rig.claims_held, false);
    ck_assert(rig_answered(&first, 2000));
    for (unsigned i = 0; i < 3; i++) { /* the last one walked is kept in memory */
        support_add(&other, rig.engine, "alice", "counter", 1, i);
        rig_do(&rig, &other, SVM_WAIT_DURABLE, SVM_OK, &done);
    }
    until_materialised(done.seq);
    atomic_store(&rig.stalled, false);
    ck_assert(rig_answered(&second, 2000));
    ck_assert_int_eq(second.err, SVM_OK);
    ck_assert_uint_eq(second.seq, first.seq);
    ck_assert(second.duplicate);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    rig_deinit(&rig);
}
END_TEST

/* The limit on expiry was longer before the restart than it is now. */
START_TEST(a_shorter_expiry_max_forgets_nothing)
{
    rig_init(&rig, SVM_SYNC);
    rig_open(&rig);
    struct support_tx tx;
    struct rig_call first, again;
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 0, "bob", 10); /* good for 60 s */
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, &first);
    rig.config.tx_expiry_max_ms = 10000;
    rig_reopen(&rig);
    rig_pass(&rig, 55000);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, &again);
    ck_assert_uint_eq(again.seq, first.seq);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("dedupe");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_copy_in_flight_waits_for_the_first);
    tcase_add_loop_test(tc, no_copy_is_expired_while_the_first_runs, 0, 2);
    tcase_add_loop_test(tc, a_receipt_comes_before_expired, 0, 2);
    tcase_add_loop_test(tc, a_version_guards_an_owned_input_only, 0, 2);
    tcase_add_test(tc, no_gap_between_memory_and_disk);
    tcase_add_test(tc, a_shorter_expiry_max_forgets_nothing);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
