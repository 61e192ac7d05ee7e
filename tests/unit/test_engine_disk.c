/* The disk has failed for good: nothing more is acknowledged, everybody is told, reads go on, and what was durable is there at the next start. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "engine_rig.h"

static struct rig rig;
static _Atomic unsigned fatals;

static void fatal(void *arg, enum svm_err err, const char *reason)
{
    ck_assert_ptr_eq(arg, &rig);
    ck_assert_int_ne(err, SVM_OK);
    ck_assert_uint_gt(strlen(reason), 0);
    atomic_fetch_add(&fatals, 1);
}

static void open_rig(enum svm_durability mode)
{
    rig_init(&rig, mode);
    rig_open(&rig);
    atomic_store(&fatals, 0);
    svm_on_fatal(rig.engine, fatal, &rig);
}

static void until_failed(void)
{
    struct svm_refusal detail;
    for (unsigned i = 0; i < 5000; i++) {
        if (svm_health(rig.engine, &detail) != SVM_OK && atomic_load(&fatals) > 0)
            break; /* it is told a moment later */
        rig_sleep(1);
    }
    ck_assert_int_eq(svm_health(rig.engine, &detail), SVM_E_IO);
    ck_assert_uint_gt(strlen(detail.reason), 0);
}

static void until_applied(uint64_t seq)
{
    for (unsigned i = 0; i < 5000 && svm_applied_seq(rig.engine) < seq; i++)
        rig_sleep(1);
    ck_assert_uint_ge(svm_applied_seq(rig.engine), seq);
}

/* ---- interactive transactions ------------------------------------------------------------------------------------------ */

static uint8_t big[60000];

struct write {
    uint8_t key;
    size_t values; /* so many big ones; 0: one byte */
    enum svm_err fails;
};

static enum svm_err put(void *arg, struct svm_cell_txn *txn)
{
    const struct write *write = arg;
    uint8_t key[2] = {write->key, 0};
    if (write->fails != SVM_OK)
        return write->fails;
    if (write->values == 0)
        return svm_cell_put(txn, (struct svm_bytes){key, 1}, (struct svm_bytes){key, 1});
    enum svm_err err = SVM_OK;
    for (size_t i = 0; i < write->values && err == SVM_OK; i++) {
        key[1] = (uint8_t)i;
        err = svm_cell_put(txn, (struct svm_bytes){key, 2}, (struct svm_bytes){big, sizeof big});
    }
    return err;
}

static bool is_there(struct svm_bytes key)
{
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    bool found = svm_cell_get(txn, key, &value) == SVM_OK;
    svm_cell_abort(txn);
    return found;
}

enum { JOBS = 6 };
struct batch {
    pthread_t thread;
    struct write writes[JOBS];
    struct svm_cell_job jobs[JOBS];
    struct svm_cell_batch_stats stats;
};

static void *batch_main(void *arg)
{
    struct batch *batch = arg;
    svm_cell_run_batch(rig.engine, batch->jobs, JOBS, SVM_WAIT_DURABLE, &batch->stats);
    return NULL;
}

/* Executed, but never durable in this life: counted and told as failed, whichever path they took. */
START_TEST(a_batch_that_is_never_durable)
{
    static struct batch batch;
    memset(&batch, 0, sizeof batch);
    open_rig(SVM_SYNC);
    struct write before = {.key = 'z'};
    ck_assert_int_eq(svm_cell_run(rig.engine, put, &before, SVM_WAIT_DURABLE, NULL, NULL), SVM_OK);
    uint64_t durable = svm_durable_seq(rig.engine);
    for (unsigned i = 0; i < JOBS; i++) {
        batch.writes[i] = (struct write){.key = (uint8_t)('a' + i)};
        batch.jobs[i] = (struct svm_cell_job){.fn = put, .arg = &batch.writes[i], .fast = i < 2};
    }
    batch.writes[3].fails = SVM_E_INVALID_PARAMS;
    atomic_store(&rig.log_held, true);
    ck_assert_int_eq(pthread_create(&batch.thread, NULL, batch_main, &batch), 0);
    until_applied(durable + JOBS - 1);
    store_kv_ram_fail_at(rig.log, 1);
    atomic_store(&rig.log_held, false);
    pthread_join(batch.thread, NULL);
    for (unsigned i = 0; i < JOBS; i++)
        ck_assert_int_eq(batch.jobs[i].err, i == 3 ? SVM_E_INVALID_PARAMS : SVM_E_IO);
    ck_assert_uint_eq(batch.stats.fast, 0);
    ck_assert_uint_eq(batch.stats.consensus, 0);
    ck_assert_uint_eq(batch.stats.failed, JOBS);
    until_failed();
    ck_assert_uint_eq(atomic_load(&fatals), 1);
    ck_assert_uint_eq(svm_durable_seq(rig.engine), durable);
    rig_close(&rig);
    store_kv_ram_crash(rig.log, 0);
    store_kv_ram_crash(rig.state, 0);
    rig_open(&rig);
    ck_assert(is_there((struct svm_bytes){(const uint8_t *)"z", 1}));
    ck_assert(!is_there((struct svm_bytes){(const uint8_t *)"a", 1}));
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_commit_that_is_never_durable)
{
    struct svm_cell_txn *txn;
    struct write write = {.key = 'a'};
    uint64_t seq = 0;
    open_rig(SVM_SYNC);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(put(&write, txn), SVM_OK);
    store_kv_ram_fail_at(rig.log, 1);
    if (_i == 0) {
        ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_DURABLE, &seq, NULL), SVM_E_IO);
        ck_assert_uint_eq(seq, 0);
    } else {
        svm_cell_abort(txn);
        ck_assert_int_eq(svm_cell_run(rig.engine, put, &write, SVM_WAIT_DURABLE, NULL, NULL),
                         SVM_E_IO);
    }
    until_failed();
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_E_STORAGE_READ_ONLY);
    ck_assert_int_eq(svm_cell_run(rig.engine, put, &write, SVM_WAIT_NONE, NULL, NULL),
                     SVM_E_STORAGE_READ_ONLY);
    rig_deinit(&rig);
}
END_TEST

/* ---- groups larger than one put ------------------------------------------------------------------------------------------ */

/* More has gathered than a group of the log may hold: it is written in parts, in order; when a part fails, none behind it is. */
START_TEST(a_group_in_parts)
{
    enum { COMMITS = 8, VALUES = 16 };
    struct write write = {.key = '0'};
    struct support_tx tx;
    struct rig_call call;
    open_rig(SVM_SYNC);
    ck_assert_int_eq(svm_cell_run(rig.engine, put, &write, SVM_WAIT_DURABLE, NULL, NULL), SVM_OK);
    uint64_t durable = svm_durable_seq(rig.engine);
    atomic_store(&rig.log_held, true);
    ck_assert_int_eq(svm_cell_run(rig.engine, put, &write, SVM_WAIT_EXECUTED, NULL, NULL), SVM_OK);
    rig_sleep(50); /* the committer is at it */
    for (unsigned i = 0; i < COMMITS; i++) {
        write = (struct write){.key = (uint8_t)('a' + i), .values = VALUES};
        ck_assert_int_eq(svm_cell_run(rig.engine, put, &write, SVM_WAIT_EXECUTED, NULL, NULL),
                         SVM_OK);
    }
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    rig_submit(&rig, &call, &tx, SVM_WAIT_DURABLE);
    until_applied(durable + COMMITS + 2);
    if (_i > 0) /* the first goes, and so many parts */
        store_kv_ram_fail_at(rig.log, 1 + (uint64_t)_i);
    atomic_store(&rig.log_held, false);
    ck_assert(rig_answered(&call, 5000));
    ck_assert_int_eq(call.err, _i > 0 ? SVM_E_STORAGE_READ_ONLY : SVM_OK);
    uint64_t now = svm_durable_seq(rig.engine);
    ck_assert_uint_ge(now, durable + (uint64_t)(_i > 0));
    ck_assert_uint_le(now, durable + COMMITS + 2);
    rig_close(&rig);
    store_kv_ram_crash(rig.log, 0);
    store_kv_ram_crash(rig.state, 0);
    rig_open(&rig);
    unsigned there = 0;
    for (unsigned i = 0; i < COMMITS; i++) {
        const uint8_t key[2] = {(uint8_t)('a' + i), VALUES - 1};
        bool is = is_there((struct svm_bytes){key, 2});
        ck_assert(!is || there == i); /* a prefix */
        there += is;
    }
    ck_assert_uint_eq(svm_applied_seq(rig.engine), now);
    ck_assert(_i > 0 ? there < COMMITS : there == COMMITS);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), _i > 0 ? 1000 : 990);
    rig_deinit(&rig);
}
END_TEST

/* ---- refusals that rest on what is never durable ---------------------------------------------------------------------------- */

START_TEST(a_refusal_that_rests_on_nothing)
{
    struct support_tx first, second;
    struct rig_call winner, loser, copy;
    open_rig(SVM_SYNC);
    support_pay(&first, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    support_pay(&second, rig.engine, "alice", "alice spare 0", 1, "bob", 11);
    atomic_store(&rig.log_held, true);
    rig_do(&rig, &first, SVM_WAIT_EXECUTED, SVM_OK, &winner);
    rig_submit(&rig, &loser, &second, SVM_WAIT_DURABLE);
    rig_submit(&rig, &copy, &second, SVM_WAIT_DURABLE);
    ck_assert(!rig_answered(&loser, 50)); /* the winner may be lost yet */
    store_kv_ram_fail_at(rig.log, 1);
    atomic_store(&rig.log_held, false);
    ck_assert(rig_answered(&loser, 5000));
    ck_assert(rig_answered(&copy, 5000));
    ck_assert_int_eq(loser.err, SVM_E_STORAGE_READ_ONLY);
    ck_assert_int_eq(copy.err, SVM_E_STORAGE_READ_ONLY);
    struct svm_refusal refusal;
    ck_assert_int_eq(
        svm_submit(rig.engine, second.bytes, SVM_WAIT_NONE, rig_called, &copy, &refusal),
        SVM_E_STORAGE_READ_ONLY);
    rig_deinit(&rig);
}
END_TEST

/* ---- the state -------------------------------------------------------------------------------------------------------------- */

/* The log is fine and the state is not: that is final too, and the log has it all. */
START_TEST(a_state_that_fails)
{
    struct support_tx tx;
    struct rig_call call;
    open_rig(_i ? SVM_WRITE : SVM_SYNC);
    store_kv_ram_fail_at(rig.state, 1);
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, &call);
    rig_pass(&rig, 2000); /* a second is what it waits for company, where nobody syncs */
    until_failed();
    ck_assert_uint_eq(atomic_load(&fatals), 1);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    struct svm_cell_txn *txn;
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_E_STORAGE_READ_ONLY);
    rig_close(&rig);
    store_kv_ram_fail_at(rig.state, 0);
    store_kv_ram_crash(rig.state, 0);
    rig_open(&rig);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    struct rig_call again;
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, &again);
    ck_assert(again.duplicate);
    ck_assert_uint_eq(again.seq, call.seq);
    rig_deinit(&rig);
}
END_TEST

/* ---- no room ---------------------------------------------------------------------------------------------------------------- */

/* In memory mode tables and receipts have their limits: beyond them writes are refused and reads served. */
START_TEST(no_room_in_memory)
{
    struct support_tx tx;
    struct rig_call call;
    struct svm_cell_txn *txn;
    struct write write = {.key = 'a'};
    struct svm_refusal refusal;
    open_rig(SVM_MEMORY);
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 0, "bob", 10);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, &call);
    struct svm_config config = rig.config;
    if (_i)
        config.tx_dedupe_bytes = 1; /* its receipt is kept until it has expired */
    else
        config.cache_bytes = 1;
    svm_reconfigure(rig.engine, &config);
    for (unsigned i = 0; i < 5000 && svm_health(rig.engine, &refusal) == SVM_OK; i++)
        rig_sleep(1);
    ck_assert_int_eq(refusal.err, SVM_E_STORAGE_READ_ONLY);
    ck_assert_int_eq(svm_cell_run(rig.engine, put, &write, SVM_WAIT_NONE, NULL, NULL),
                     SVM_E_STORAGE_READ_ONLY);
    if (_i) {
        ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_E_STORAGE_READ_ONLY);
        ck_assert_int_eq(
            svm_submit(rig.engine, tx.bytes, SVM_WAIT_NONE, rig_called, &call, &refusal),
            SVM_E_STORAGE_READ_ONLY);
        ck_assert_uint_eq(refusal.retry_after_ms, 1000);
    } else { /* what frees would be taken: see test_engine_room */
        support_pay(&tx, rig.engine, "alice", "alice spare 1", 0, "bob", 10);
        rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_E_STORAGE_READ_ONLY, &call);
        ck_assert_uint_eq(call.refusal.retry_after_ms, 1000);
    }
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    svm_reconfigure(rig.engine, &rig.config);
    for (unsigned i = 0; i < 5000 && svm_health(rig.engine, &refusal) != SVM_OK; i++)
        rig_sleep(1);
    ck_assert_int_eq(svm_cell_run(rig.engine, put, &write, SVM_WAIT_NONE, NULL, NULL), SVM_OK);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("disk");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_batch_that_is_never_durable);
    tcase_add_loop_test(tc, a_commit_that_is_never_durable, 0, 2);
    tcase_add_loop_test(tc, a_group_in_parts, 0, 3);
    tcase_add_test(tc, a_refusal_that_rests_on_nothing);
    tcase_add_loop_test(tc, a_state_that_fails, 0, 2);
    tcase_add_loop_test(tc, no_room_in_memory, 0, 2);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
