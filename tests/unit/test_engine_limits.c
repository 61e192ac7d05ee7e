/* Limits met: who is over one is told which, nobody within them suffers, and when there is room again it goes on. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/cells.h"
#include "engine_rig.h"

static struct rig rig;

/* ---- waiters ------------------------------------------------------------------------------------------------------ */

START_TEST(so_many_may_wait)
{
    struct support_tx tx;
    struct rig_call first, second, third, late = {0};
    rig_init(&rig, SVM_SYNC);
    rig.config.waiters_max = 1;
    rig_open(&rig);
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    atomic_store(&rig.log_held, true);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, &first);
    rig_submit(&rig, &second, &tx, SVM_WAIT_DURABLE); /* a copy: it waits */
    ck_assert(!rig_answered(&second, 50));
    rig_submit(&rig, &third, &tx, SVM_WAIT_DURABLE);
    ck_assert(rig_answered(&third, 2000));
    ck_assert_int_eq(third.err, SVM_E_OVERLOADED);
    ck_assert_msg(strstr(third.refusal.reason, "engine.waiters_max") != NULL, "%s",
                  third.refusal.reason);
    ck_assert_int_eq(svm_wait(rig.engine, &tx.digest, SVM_WAIT_DURABLE, rig_called, &late),
                     SVM_E_OVERLOADED);
    rig_sleep(5);
    ck_assert_int_eq(atomic_load(&late.calls), 0);
    atomic_store(&rig.log_held, false);
    ck_assert(rig_answered(&second, 2000));
    ck_assert_int_eq(second.err, SVM_OK);
    ck_assert_int_eq(svm_wait(rig.engine, &tx.digest, SVM_WAIT_DURABLE, rig_called, &late), SVM_OK);
    ck_assert(rig_answered(&late, 2000));
    ck_assert_int_eq(late.err, SVM_OK);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    rig_deinit(&rig);
}
END_TEST

/* INTERVAL: executed and written, but there is no place left among those who wait for the fsync. */
START_TEST(so_many_wait_for_the_interval)
{
    struct support_tx tx[3];
    struct rig_call calls[3];
    unsigned ok = 0, refused = 0;
    rig_init(&rig, SVM_INTERVAL);
    rig.config.waiters_max = 1;
    rig.config.durability_interval_ms = 600000;
    rig_open(&rig);
    support_pay(&tx[0], rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    rig_do(&rig, &tx[0], SVM_WAIT_DURABLE, SVM_OK, NULL); /* the interval begins anew */
    for (unsigned i = 0; i < 3; i++) {
        support_add(&tx[i], rig.engine, "alice", "counter", 1, i);
        rig_submit(&rig, &calls[i], &tx[i], SVM_WAIT_DURABLE);
    }
    for (unsigned ms = 0; ms < 5000 && refused < 2; ms++) {
        rig_sleep(1);
        refused = 0;
        for (unsigned i = 0; i < 3; i++)
            refused += (unsigned)atomic_load(&calls[i].calls);
    }
    ck_assert_uint_eq(refused, 2);
    rig_pass(&rig, 600001);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(rig_answered(&calls[i], 5000));
        ok += calls[i].err == SVM_OK;
        if (calls[i].err != SVM_OK) {
            ck_assert_int_eq(calls[i].err, SVM_E_OVERLOADED);
            ck_assert_msg(strstr(calls[i].refusal.reason, "executed, but") != NULL, "%s",
                          calls[i].refusal.reason);
        }
    }
    ck_assert_uint_eq(ok, 1);
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), 3); /* all the same */
    for (unsigned i = 0; i < 3; i++) {                            /* durable by now */
        rig_do(&rig, &tx[i], SVM_WAIT_DURABLE, SVM_OK, &calls[i]);
        ck_assert(calls[i].duplicate);
    }
    rig_deinit(&rig);
}
END_TEST

/* What a wait asks for may be there already, or be less than it says. */
START_TEST(waits_of_each_kind)
{
    struct support_tx tx, other;
    struct rig_call first, waited[3];
    static const enum svm_wait waits[] = {SVM_WAIT_NONE, SVM_WAIT_EXECUTED, SVM_WAIT_DURABLE};
    rig_init(&rig, _i ? SVM_SYNC : SVM_MEMORY);
    rig_open(&rig);
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    support_pay(&other, rig.engine, "alice", "alice spare 1", 1, "bob", 10);
    atomic_store(&rig.claims_held, true);
    rig_submit(&rig, &first, &tx, SVM_WAIT_EXECUTED);
    while (atomic_load(&rig.at_claims) == 0)
        rig_sleep(1);
    for (unsigned i = 0; i < 3; i++) {
        memset(&waited[i], 0, sizeof waited[i]);
        ck_assert_int_eq(svm_wait(rig.engine, &tx.digest, waits[i], rig_called, &waited[i]),
                         SVM_OK);
        ck_assert(!rig_answered(&waited[i], 10)); /* it is not executed yet */
    }
    atomic_store(&rig.claims_held, false);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(rig_answered(&waited[i], 5000));
        ck_assert_int_eq(waited[i].err, SVM_OK);
    }
    for (unsigned i = 0; i < 3; i++) { /* now it is */
        memset(&waited[i], 0, sizeof waited[i]);
        ck_assert_int_eq(svm_wait(rig.engine, &tx.digest, waits[i], rig_called, &waited[i]),
                         SVM_OK);
        ck_assert(rig_answered(&waited[i], 5000));
        ck_assert_int_eq(waited[i].err, SVM_OK);
    }
    memset(&waited[0], 0, sizeof waited[0]);
    ck_assert_int_eq(svm_wait(rig.engine, &other.digest, SVM_WAIT_DURABLE, rig_called, &waited[0]),
                     SVM_OK);
    ck_assert(rig_answered(&waited[0], 5000));
    ck_assert_int_eq(waited[0].err, SVM_E_NOT_FOUND);
    struct svm_receipt *receipt;
    ck_assert_int_eq(svm_receipt_get(rig.engine, &other.digest, &receipt), SVM_E_NOT_FOUND);
    rig_deinit(&rig);
}
END_TEST

/* ---- what is dirty ------------------------------------------------------------------------------------------------ */

static enum svm_err (*state_write)(void *self, const struct svm_kv_op *ops, size_t count,
                                   bool sync);
static _Atomic bool state_held;

static enum svm_err slow_write(void *self, const struct svm_kv_op *ops, size_t count, bool sync)
{
    while (atomic_load(&state_held))
        rig_sleep(1);
    return state_write(self, ops, count, sync);
}

static void hold_state(void)
{
    state_write = rig.state_ops.write;
    rig.state_ops.write = slow_write;
    rig.state_ops.ingest = NULL;
    atomic_store(&state_held, false);
}

static const struct svm_bytes key = {(const uint8_t *)"k", 1};

static enum svm_err put(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    return svm_cell_put(txn, key, key);
}

static _Atomic bool group_held;

static void hold_group(void *arg, const struct svm_receipt *receipt, const struct svm_tx *tx)
{
    (void)arg;
    (void)receipt;
    (void)tx;
    while (atomic_load(&group_held))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void *let_go_later(void *arg)
{
    (void)arg;
    nanosleep(&(struct timespec){.tv_nsec = 600000000}, NULL);
    atomic_store(&group_held, false);
    return NULL;
}

/* A group that takes its time (the disk stalls, the state is behind) makes interactive commits wait for their places, and refuses none. */
START_TEST(places_in_the_log_are_waited_for)
{
    struct support_tx tx;
    struct rig_call call = {0};
    pthread_t thread;
    rig_init(&rig, SVM_SYNC);
    rig.config.inflight_max = 64;
    rig.hooks.committed = hold_group;
    rig_open(&rig);
    atomic_store(&group_held, true);
    support_add(&tx, rig.engine, "alice", "counter", 1, 0);
    rig_submit(&rig, &call, &tx, SVM_WAIT_EXECUTED);
    ck_assert(rig_answered(&call, 5000));
    ck_assert_int_eq(pthread_create(&thread, NULL, let_go_later, NULL), 0);
    for (unsigned i = 0; i < 200; i++)
        ck_assert_int_eq(svm_cell_run(rig.engine, put, NULL, SVM_WAIT_EXECUTED, NULL, NULL),
                         SVM_OK);
    ck_assert(!atomic_load(&group_held));
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    rig_deinit(&rig);
}
END_TEST

/* The state does not follow: nothing is admitted beyond storage.dirty_bytes_max; when it follows again, all is. */
START_TEST(the_log_may_be_so_far_ahead)
{
    struct support_tx tx;
    struct rig_call call;
    struct svm_refusal refusal = {0};
    struct svm_cell_txn *txn;
    enum svm_err err = SVM_OK;
    rig_init(&rig, SVM_SYNC);
    rig.config.dirty_bytes_max = 4000;
    hold_state();
    rig_open(&rig);
    atomic_store(&state_held, true);
    unsigned n = 0;
    for (; n < 200 && err == SVM_OK; n++) {
        support_add(&tx, rig.engine, "alice", "counter", 1, n);
        memset(&call, 0, sizeof call);
        err = svm_submit(rig.engine, tx.bytes, SVM_WAIT_DURABLE, rig_called, &call, &refusal);
        if (err == SVM_OK)
            ck_assert(rig_answered(&call, 5000));
    }
    ck_assert_int_eq(err, SVM_E_OVERLOADED);
    ck_assert_msg(strstr(refusal.reason, "storage.dirty_bytes_max") != NULL, "%s", refusal.reason);
    ck_assert_uint_eq(refusal.retry_after_ms, 50);
    ck_assert_uint_gt(n, 2);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_E_OVERLOADED);
    ck_assert_int_eq(svm_cell_run(rig.engine, put, NULL, SVM_WAIT_EXECUTED, NULL, NULL),
                     SVM_E_OVERLOADED);
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), n - 1); /* reads are served */
    atomic_store(&state_held, false);
    for (unsigned i = 0; i < 5000 && err != SVM_OK; i++) {
        rig_sleep(1);
        err = svm_cell_run(rig.engine, put, NULL, SVM_WAIT_DURABLE, NULL, NULL);
    }
    ck_assert_int_eq(err, SVM_OK);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, NULL);
    rig_deinit(&rig);
}
END_TEST

/* ---- records of interactive commits ---------------------------------------------------------------------------------- */

struct many {
    pthread_t thread;
    unsigned n, ok, overloaded, other;
};

static void *commit_many(void *arg)
{
    struct many *many = arg;
    for (unsigned i = 0; i < many->n; i++) {
        enum svm_err err = svm_cell_run(rig.engine, put, NULL, SVM_WAIT_EXECUTED, NULL, NULL);
        many->ok += err == SVM_OK;
        many->overloaded += err == SVM_E_OVERLOADED;
        many->other += err != SVM_OK && err != SVM_E_OVERLOADED;
        if (err != SVM_OK)
            break;
    }
    return NULL;
}

/* The disk stands still: interactive commits go on while there are records, then they are told, after some patience. */
START_TEST(the_log_stands_still)
{
    struct many many = {.n = 1000};
    rig_init(&rig, SVM_SYNC);
    rig.config.inflight_max = 64;
    rig_open(&rig);
    atomic_store(&rig.log_held, true);
    ck_assert_int_eq(pthread_create(&many.thread, NULL, commit_many, &many), 0);
    if (_i) { /* or fails while they wait */
        while (svm_applied_seq(rig.engine) < 64)
            rig_sleep(1);
        rig_sleep(30);
        store_kv_ram_fail_at(rig.log, 1);
        atomic_store(&rig.log_held, false);
    }
    pthread_join(many.thread, NULL);
    ck_assert_uint_ge(many.ok, 64);
    ck_assert_uint_lt(many.ok, 1000);
    if (_i == 0) {
        ck_assert_uint_eq(many.overloaded, 1);
        atomic_store(&rig.log_held, false);
        ck_assert_int_eq(svm_cell_run(rig.engine, put, NULL, SVM_WAIT_DURABLE, NULL, NULL), SVM_OK);
    } else {
        ck_assert_int_eq(svm_health(rig.engine, NULL), SVM_E_IO);
        ck_assert_int_eq(svm_cell_run(rig.engine, put, NULL, SVM_WAIT_DURABLE, NULL, NULL),
                         SVM_E_STORAGE_READ_ONLY);
    }
    rig_deinit(&rig);
}
END_TEST

/* ---- sizes of interactive transactions -------------------------------------------------------------------------------- */

static uint8_t bytes[20000];

static struct svm_bytes some(size_t len)
{
    return (struct svm_bytes){bytes, len};
}

static struct svm_bytes numbered(unsigned n, uint8_t text[4])
{
    memcpy(text, &n, 4);
    return (struct svm_bytes){text, 4};
}

START_TEST(a_transaction_may_be_so_large)
{
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    uint8_t text[4];
    rig_init(&rig, SVM_SYNC);
    rig.config.tx_effects_bytes_max = 1024;
    rig.config.cell_value_bytes_max = 3000;
    rig_open(&rig);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_put(txn, key, some(3001)), SVM_E_LIMIT_EXCEEDED);
    ck_assert_int_eq(svm_cell_put(txn, key, some(2000)), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_DURABLE, NULL, NULL), SVM_E_LIMIT_EXCEEDED);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_get(txn, key, &value), SVM_E_NOT_FOUND); /* nothing was written */
    enum svm_err err = SVM_OK;
    unsigned n = 0;
    for (; err == SVM_OK && n < 100; n++) /* sixteen times the limit may be kept for it */
        err = svm_cell_put(txn, numbered(n, text), some(1000));
    ck_assert_int_eq(err, SVM_E_LIMIT_EXCEEDED);
    ck_assert_uint_eq(n, 17);
    svm_cell_abort(txn);
    for (n = 0; n < 20; n++) { /* one by one */
        ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
        ck_assert_int_eq(svm_cell_put(txn, numbered(n, text), some(900)), SVM_OK);
        ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_DURABLE, NULL, NULL), SVM_OK);
    }
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    err = SVM_OK;
    for (n = 0; err == SVM_OK && n < 20; n++) /* and what is read counts too */
        err = svm_cell_get(txn, numbered(n, text), &value);
    ck_assert_int_eq(err, SVM_E_LIMIT_EXCEEDED);
    ck_assert_uint_eq(n, 19);
    svm_cell_abort(txn);
    rig_deinit(&rig);
}
END_TEST

START_TEST(so_many_keys_may_be_read)
{
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    uint8_t text[4];
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    unsigned wrong = 0;
    for (unsigned n = 0; n < CELL_KEYS_MAX; n++)
        wrong += svm_cell_get(txn, numbered(n, text), &value) != SVM_E_NOT_FOUND;
    ck_assert_uint_eq(wrong, 0);
    ck_assert_int_eq(svm_cell_get(txn, numbered(CELL_KEYS_MAX, text), &value),
                     SVM_E_LIMIT_EXCEEDED);
    ck_assert_int_eq(svm_cell_get(txn, numbered(0, text), &value), SVM_E_NOT_FOUND); /* again */
    ck_assert_int_eq(svm_cell_put(txn, numbered(0, text), some(1)), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL), SVM_OK);
    rig_deinit(&rig);
}
END_TEST

/* A hint changes nothing, whatever is hinted at. */
START_TEST(a_hint_reads_nothing)
{
    struct svm_cell_txn *txn;
    struct svm_bytes keys[40], value;
    uint8_t texts[40][4];
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    ck_assert_int_eq(svm_cell_run(rig.engine, put, NULL, SVM_WAIT_EXECUTED, NULL, NULL), SVM_OK);
    for (unsigned n = 0; n < 40; n++)
        keys[n] = numbered(n, texts[n]);
    keys[1] = key;
    keys[2] = (struct svm_bytes){bytes, 0};
    keys[3] = (struct svm_bytes){bytes, SVM_CELL_KEY_MAX + 1};
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    svm_cell_prefetch(txn, keys, 40);
    svm_cell_prefetch(txn, keys, 0);
    ck_assert_int_eq(svm_cell_run(rig.engine, put, NULL, SVM_WAIT_EXECUTED, NULL, NULL), SVM_OK);
    ck_assert_int_eq(svm_cell_put(txn, keys[5], key), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL), SVM_OK); /* not read */
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_get(txn, key, &value), SVM_OK);
    svm_cell_abort(txn);
    rig_deinit(&rig);
}
END_TEST

/* ---- snapshots and sessions ------------------------------------------------------------------------------------------ */

START_TEST(so_many_snapshots_may_be_open)
{
    enum { TRIES = 300 };
    struct svm_snapshot *snapshots[TRIES];
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    enum svm_err err = SVM_OK;
    size_t n = 0;
    struct svm_cell_job job = {.fn = put};
    struct svm_cell_batch_stats stats;
    rig_init(&rig, SVM_MEMORY);
    rig.config.sessions_max = 1;
    rig_open(&rig);
    for (; n < TRIES && err == SVM_OK; n++)
        err = svm_snapshot_open(rig.engine, &snapshots[n]);
    ck_assert_int_eq(err, SVM_E_OVERLOADED);
    n--;
    ck_assert_uint_eq(n, 256 + rig.config.sessions_max);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_E_OVERLOADED);
    ck_assert_int_eq(svm_cell_run(rig.engine, put, NULL, SVM_WAIT_EXECUTED, NULL, NULL),
                     SVM_OK); /* reads nothing: it needs none */
    struct support_tx tx;
    struct svm_receipt *receipt;
    struct svm_refusal refusal;
    static struct svm_route route;
    support_add(&tx, rig.engine, "alice", "counter", 1, 1);
    ck_assert_int_eq(svm_simulate(rig.engine, tx.bytes, true, &receipt, &refusal),
                     SVM_E_OVERLOADED);
    ck_assert_int_eq(svm_explain_route(rig.engine, tx.bytes, true, &route, &refusal),
                     SVM_E_OVERLOADED);
    ck_assert_int_eq(refusal.err, SVM_E_OVERLOADED);
    svm_snapshot_close(snapshots[--n]);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_get(txn, key, &value), SVM_OK);
    svm_cell_run_batch(rig.engine, &job, 1, SVM_WAIT_EXECUTED, &stats); /* the only session */
    ck_assert_int_eq(job.err, SVM_E_OVERLOADED);
    ck_assert_uint_eq(stats.failed, 1);
    ck_assert_int_eq(svm_cell_run(rig.engine, put, NULL, SVM_WAIT_EXECUTED, NULL, NULL),
                     SVM_E_OVERLOADED);
    svm_cell_abort(txn);
    svm_cell_run_batch(rig.engine, &job, 1, SVM_WAIT_DURABLE, NULL);
    ck_assert_int_eq(job.err, SVM_OK);
    while (n > 0)
        svm_snapshot_close(snapshots[--n]);
    rig_deinit(&rig);
}
END_TEST

/* ---- transactions ---------------------------------------------------------------------------------------------------- */

/* COUNT notes of LEN bytes each. */
static uint8_t raw[16000], signed_bytes[16200];
static struct svm_bytes make_notes(unsigned count, size_t len, uint64_t nonce,
                                   struct svm_digest *digest)
{
    struct svm_dev_account sender;
    struct svm_chain_info info;
    struct svm_refusal refusal;
    struct svm_bytes made = {signed_bytes, 0};
    size_t raw_len;
    svm_dev_account(&sender, 0);
    svm_chain_info(rig.engine, &info);
    struct svm_tx_builder *builder = svm_tx_builder_create(info.chain, &sender.address);
    svm_tx_builder_gas_limit(builder, 10000000);
    svm_tx_builder_expires(builder, svm_now_ms(rig.engine) + 60000);
    svm_tx_builder_nonce(builder, nonce);
    for (unsigned i = 0; i < count; i++) {
        struct svm_op op = {.kind = SVM_OP_CREATE};
        op.u.create.owner = (struct svm_owner){.kind = SVM_KIND_OWNED, .address = sender.address};
        op.u.create.type = (struct svm_bytes){(const uint8_t *)"note", 4};
        op.u.create.data = some(len);
        svm_tx_builder_op(builder, &op);
    }
    ck_assert_msg(svm_tx_builder_finish(builder, raw, sizeof raw, &raw_len, &refusal) == SVM_OK,
                  "%s", refusal.reason);
    svm_tx_builder_destroy(builder);
    svm_tx_digest(digest, (struct svm_bytes){raw, raw_len});
    ck_assert_int_eq(svm_tx_sign(signed_bytes, sizeof signed_bytes, &made.len,
                                 (struct svm_bytes){raw, raw_len}, &sender.key),
                     SVM_OK);
    return made;
}

static bool stop(void *arg, const struct svm_object *object)
{
    unsigned *seen = arg;
    return object->version > 0 && ++*seen < 3;
}

START_TEST(effects_may_be_so_large)
{
    struct svm_receipt *receipt;
    struct svm_refusal refusal;
    struct svm_digest digest;
    rig_init(&rig, SVM_SYNC);
    rig.config.tx_effects_bytes_max = 12000;
    rig_open(&rig);
    struct svm_bytes large = make_notes(7, 2000, 1, &digest);
    ck_assert_int_eq(svm_submit_wait(rig.engine, large, SVM_WAIT_DURABLE, &receipt, NULL, &refusal),
                     SVM_E_LIMIT_EXCEEDED);
    ck_assert_ptr_null(receipt);
    ck_assert_uint_eq(refusal.limit, 12000);
    ck_assert_uint_gt(refusal.got, 14000);
    ck_assert_int_eq(svm_receipt_get(rig.engine, &digest, &receipt), SVM_E_NOT_FOUND);
    for (unsigned i = 0; i < 3; i++) { /* a frame larger than what a job keeps */
        large = make_notes(5, 2000, 2 + i, &digest);
        struct svm_outcome outcome;
        ck_assert_int_eq(
            svm_submit_wait(rig.engine, large, SVM_WAIT_DURABLE, &receipt, &outcome, NULL), SVM_OK);
        ck_assert_uint_eq(receipt->change_count, 5);
        ck_assert(!outcome.pending);
        svm_receipt_free(receipt);
    }
    struct svm_snapshot *snapshot;
    unsigned seen = 0;
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_state_scan(snapshot, stop, &seen), SVM_OK);
    ck_assert_uint_eq(seen, 3);
    svm_snapshot_close(snapshot);
    rig_deinit(&rig);
}
END_TEST

/* So many credits that seats keep some: all of them are there in the end. */
START_TEST(seats_keep_credits)
{
    enum { BATCH = 150 };
    static struct support_tx txs[BATCH];
    static struct svm_submission submissions[BATCH];
    struct support_wait wait;
    rig_init(&rig, SVM_MEMORY);
    rig.config.inflight_max = 8192;
    rig_open(&rig);
    for (unsigned round = 0; round < 4; round++) {
        support_wait_init(&wait, BATCH);
        for (unsigned i = 0; i < BATCH; i++) {
            support_add(&txs[i], rig.engine, "alice", "counter", 1, round * BATCH + i);
            submissions[i] = (struct svm_submission){.bytes = txs[i].bytes, .arg = &wait};
        }
        svm_run_batch(rig.engine, submissions, BATCH, SVM_WAIT_EXECUTED, support_wait_one);
        support_wait_all(&wait);
        ck_assert_uint_eq(wait.ok, BATCH);
        struct svm_stats stats;
        svm_stats(rig.engine, &stats);
        ck_assert_uint_eq(stats.inflight, 0);
    }
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), 4 * BATCH);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("limits");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, so_many_may_wait);
    tcase_add_test(tc, so_many_wait_for_the_interval);
    tcase_add_loop_test(tc, waits_of_each_kind, 0, 2);
    tcase_add_test(tc, places_in_the_log_are_waited_for);
    tcase_add_test(tc, the_log_may_be_so_far_ahead);
    tcase_add_loop_test(tc, the_log_stands_still, 0, 2);
    tcase_add_test(tc, a_transaction_may_be_so_large);
    tcase_add_test(tc, so_many_keys_may_be_read);
    tcase_add_test(tc, a_hint_reads_nothing);
    tcase_add_test(tc, so_many_snapshots_may_be_open);
    tcase_add_test(tc, effects_may_be_so_large);
    tcase_add_test(tc, seats_keep_credits);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
