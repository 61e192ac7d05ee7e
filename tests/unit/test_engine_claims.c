/* A claim that stands in the way: nothing waits while it holds one, nobody waits for ever, and what was given up is as it was. The claims are
 * the test's own, on heads of the engine's tables. */
#include <check.h>
#include <string.h>

#include "engine/internal.h"
#include "engine_rig.h"

static struct rig rig;
static struct mvcc_head *head; /* held by the test */
static uint64_t state;
enum { MAINTENANCE = 16 }; /* the collector's bit in a state word: mvcc.h */

static const struct svm_bytes a = {(const uint8_t *)"a", 1}, b = {(const uint8_t *)"b", 1},
                              one = {(const uint8_t *)"1", 1};

static void hold_head(struct mvcc_table *table, const uint8_t *key, size_t len)
{
    struct mvcc_thread *thread = mvcc_thread_create(rig.engine->mvcc);
    mvcc_online(thread);
    ck_assert_int_eq(mvcc_hold(table, thread, key, len, &head), MVCC_HELD);
    mvcc_offline(thread);
    mvcc_thread_destroy(thread);
}

static void claim(void)
{
    for (unsigned i = 0; i < 5000 && !mvcc_try_claim(head, &state); i++)
        rig_sleep(1); /* the collector's */
    ck_assert(mvcc_state_claimed(mvcc_state(head)));
}

static void let_go(void)
{
    mvcc_release(head, state);
}

/* The claim of a collector that has lost its processor. */
static void maintain(bool on)
{
    if (on)
        state = atomic_fetch_or(&head->state, MAINTENANCE);
    else
        atomic_store(&head->state, state);
    ck_assert(mvcc_state_maintained(mvcc_state(head)) == on);
}

/* ---- cells --------------------------------------------------------------------------------------------------------- */

static enum svm_err put_both(void *arg, struct svm_cell_txn *txn)
{
    unsigned *runs = arg;
    ++*runs;
    enum svm_err err = svm_cell_put(txn, a, one);
    return err == SVM_OK ? svm_cell_put(txn, b, *runs == 1 ? one : a) : err;
}

static enum svm_err read_and_put(void *arg, struct svm_cell_txn *txn)
{
    struct svm_bytes value;
    (void)arg;
    enum svm_err err = svm_cell_get(txn, b, &value);
    return err == SVM_OK ? svm_cell_put(txn, a, value) : err;
}

static bool holds(struct svm_bytes key, struct svm_bytes expected)
{
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    enum svm_err err = svm_cell_get(txn, key, &value);
    bool same = err == SVM_OK && value.len == expected.len &&
                memcmp(value.ptr, expected.ptr, value.len) == 0;
    svm_cell_abort(txn);
    return same;
}

static void cells_open(enum svm_durability mode)
{
    unsigned runs = 0;
    rig_init(&rig, mode);
    rig.config.busy_attempts_max = 3;
    rig.config.cell_attempts_max = 40;
    rig.config.gc_enabled = 0;
    rig_open(&rig);
    ck_assert_int_eq(svm_cell_run(rig.engine, put_both, &runs, SVM_WAIT_EXECUTED, NULL, NULL),
                     SVM_OK);
    hold_head(rig.engine->cells, b.ptr, b.len);
}

START_TEST(a_claimed_cell_is_busy)
{
    struct svm_cell_key key = {.len = 0};
    struct svm_stats before, after;
    unsigned runs = 1;
    cells_open(_i ? SVM_SYNC : SVM_MEMORY);
    svm_stats(rig.engine, &before);
    claim();
    enum svm_err err =
        svm_cell_run(rig.engine, put_both, &runs, SVM_WAIT_EXECUTED, NULL, &key); /* written */
    ck_assert_int_eq(err, SVM_E_BUSY);
    ck_assert_uint_eq(runs, 17); /* sixteen times */
    ck_assert_uint_eq(key.len, 1);
    ck_assert_uint_eq(key.b[0], 'b');
    key.len = 0;
    err = svm_cell_run(rig.engine, read_and_put, NULL, SVM_WAIT_EXECUTED, NULL, &key); /* read */
    ck_assert_int_eq(err, SVM_E_BUSY);
    ck_assert_uint_eq(key.b[0], 'b');
    let_go();
    svm_stats(rig.engine, &after);
    ck_assert_uint_eq(after.cell_committed, before.cell_committed);
    ck_assert(holds(a, one)); /* let go of, too */
    ck_assert(holds(b, one));
    ck_assert_int_eq(svm_cell_run(rig.engine, put_both, &runs, SVM_WAIT_DURABLE, NULL, &key),
                     SVM_OK);
    ck_assert(holds(b, a));
    mvcc_unhold(head);
    rig_deinit(&rig);
}
END_TEST

/* The collector's claim changes nothing: a reader looks through it, a writer is patient for a while. */
START_TEST(a_maintained_cell_is_waited_for)
{
    struct svm_cell_txn *txn;
    struct svm_cell_key key = {.len = 0};
    cells_open(SVM_MEMORY);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(read_and_put(NULL, txn), SVM_OK);
    maintain(true);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, &key), SVM_OK);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_put(txn, b, a), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, &key), SVM_E_BUSY);
    ck_assert_uint_eq(key.b[0], 'b');
    maintain(false);
    ck_assert(holds(b, one));
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_put(txn, b, a), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, &key), SVM_OK);
    ck_assert(holds(b, a));
    mvcc_unhold(head);
    rig_deinit(&rig);
}
END_TEST

static void *let_go_soon(void *arg)
{
    (void)arg;
    rig_sleep(20);
    let_go();
    return NULL;
}

/* A batch: the fast ones are tried once, then as the others; those who stay busy are counted as failed. */
START_TEST(a_batch_meets_a_claim)
{
    unsigned runs[2] = {1, 1};
    struct svm_cell_job jobs[] = {{.fn = put_both, .arg = &runs[0], .fast = true},
                                  {.fn = put_both, .arg = &runs[1]}};
    struct svm_cell_batch_stats stats;
    cells_open(SVM_SYNC);
    claim();
    svm_cell_run_batch(rig.engine, jobs, 2, SVM_WAIT_DURABLE, &stats);
    ck_assert_int_eq(jobs[0].err, SVM_E_BUSY);
    ck_assert_int_eq(jobs[1].err, SVM_E_BUSY);
    ck_assert_uint_eq(stats.fallbacks, 1);
    ck_assert_uint_eq(stats.failed, 2);
    ck_assert_uint_eq(stats.fast + stats.consensus, 0);
    ck_assert_uint_eq(stats.retries, 30);
    pthread_t thread;
    rig.config.busy_attempts_max = 100000;
    svm_reconfigure(rig.engine, &rig.config);
    ck_assert_int_eq(pthread_create(&thread, NULL, let_go_soon, NULL), 0);
    svm_cell_run_batch(rig.engine, jobs, 2, SVM_WAIT_DURABLE, NULL);
    pthread_join(thread, NULL);
    ck_assert_int_eq(jobs[0].err, SVM_OK);
    ck_assert_int_eq(jobs[1].err, SVM_OK);
    ck_assert(holds(b, a));
    mvcc_unhold(head);
    rig_deinit(&rig);
}
END_TEST

/* ---- objects ------------------------------------------------------------------------------------------------------- */

static void open_with_object(const char *label)
{
    struct svm_id id;
    rig_init(&rig, SVM_MEMORY);
    rig.config.busy_attempts_max = 3;
    rig.config.gc_enabled = 0;
    rig_open(&rig);
    svm_dev_object_id(&id, label);
    hold_head(rig.engine->objects, id.b, sizeof id.b);
}

/* Exact ones wait where they are, `latest` ones fall back once; either way for a bounded number of attempts. */
START_TEST(a_claimed_object_is_busy)
{
    struct support_tx tx;
    struct rig_call call;
    open_with_object("alice spare 0");
    support_pay(&tx, rig.engine, "alice", "alice spare 0", _i ? 1 : 0, "bob", 10);
    claim();
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_E_BUSY, &call);
    ck_assert_uint_eq(call.refusal.attempts, 3);
    let_go();
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 1000);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, &call);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    mvcc_unhold(head);
    rig_deinit(&rig);
}
END_TEST

/* Under a collector's claim neither falls back: that one goes by itself. */
START_TEST(a_maintained_object_is_waited_for)
{
    struct support_tx tx;
    struct rig_call call;
    open_with_object(_i == 2 ? "counter" : "alice spare 0");
    if (_i == 2)
        support_add(&tx, rig.engine, "alice", "counter", 1, 1);
    else
        support_pay(&tx, rig.engine, "alice", "alice spare 0", _i ? 1 : 0, "bob", 10);
    maintain(true);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_E_BUSY, &call);
    maintain(false);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, &call);
    ck_assert_int_eq(call.fallback, SVM_FALLBACK_NONE);
    mvcc_unhold(head);
    rig_deinit(&rig);
}
END_TEST

/* alice's coin pays herself, and the counter is only read. */
static void pay_beside_counter(struct support_tx *tx)
{
    struct svm_dev_account sender;
    struct svm_chain_info info;
    struct svm_id id, coin;
    svm_dev_object_id(&id, "counter");
    svm_dev_object_id(&coin, "alice spare 0");
    svm_dev_account(&sender, support_account("alice"));
    svm_chain_info(rig.engine, &info);
    struct svm_tx_builder *builder = svm_tx_builder_create(info.chain, &sender.address);
    svm_tx_builder_gas_limit(builder, 100000);
    struct svm_op pay = {.kind = SVM_OP_PAY};
    pay.input = (uint16_t)svm_tx_builder_owned(builder, &coin, 1);
    (void)svm_tx_builder_shared(builder, &id, false);
    pay.u.pay.to = sender.address;
    pay.u.pay.amount.units = 10;
    svm_tx_builder_op(builder, &pay);
    support_finish(tx, builder, &sender.key);
}

/* What is only read: claimed by somebody, or by the collector. */
START_TEST(a_claimed_read_is_busy)
{
    struct support_tx tx;
    struct rig_call call;
    open_with_object("counter");
    pay_beside_counter(&tx);
    if (_i)
        maintain(true);
    else
        claim();
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_E_BUSY, &call);
    if (_i)
        maintain(false);
    else
        let_go();
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 1000);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, &call);
    mvcc_unhold(head);
    rig_deinit(&rig);
}
END_TEST

/* It is claimed while the transaction is at work: that is seen before it takes a position. */
START_TEST(a_read_is_claimed_meanwhile)
{
    struct support_tx tx;
    struct rig_call call;
    open_with_object("counter");
    pay_beside_counter(&tx);
    uint64_t before = svm_applied_seq(rig.engine);
    atomic_store(&rig.at_claims, 0);
    atomic_store(&rig.claims_held, true);
    rig_submit(&rig, &call, &tx, SVM_WAIT_EXECUTED);
    while (atomic_load(&rig.at_claims) == 0)
        rig_sleep(1);
    claim();
    atomic_store(&rig.claims_held, false);
    ck_assert(rig_answered(&call, 5000));
    ck_assert_int_eq(call.err, SVM_E_BUSY);
    ck_assert_uint_eq(svm_applied_seq(rig.engine), before); /* not even a void one */
    let_go();
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, &call);
    mvcc_unhold(head);
    rig_deinit(&rig);
}
END_TEST

/* Admitted in time, and it is too late when the claim has gone. */
START_TEST(who_waits_may_expire)
{
    struct support_tx tx;
    struct rig_call call;
    open_with_object(_i ? "counter" : "alice spare 0");
    rig.config.busy_attempts_max = 1000000;
    svm_reconfigure(rig.engine, &rig.config);
    if (_i)
        support_add(&tx, rig.engine, "alice", "counter", 1, 1);
    else
        support_pay(&tx, rig.engine, "alice", "alice spare 0", 0, "bob", 10);
    claim();
    rig_submit(&rig, &call, &tx, SVM_WAIT_EXECUTED);
    ck_assert(!rig_answered(&call, 20));
    rig_pass(&rig, 61000);
    rig_sleep(20);
    let_go();
    ck_assert(rig_answered(&call, 5000));
    ck_assert_int_eq(call.err, SVM_E_EXPIRED);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 1000);
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), 0);
    mvcc_unhold(head);
    rig_deinit(&rig);
}
END_TEST

/* Somebody has guessed the id that is about to be made, and looks there. */
START_TEST(a_new_object_s_place_is_claimed)
{
    struct support_tx tx;
    struct rig_call call;
    struct svm_id id;
    struct svm_receipt *receipt;
    rig_init(&rig, SVM_MEMORY);
    rig.config.busy_attempts_max = 3;
    rig.config.gc_enabled = 0;
    rig_open(&rig);
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 1, "bob", 10); /* a coin for bob */
    svm_tx_new_object_id(&id, &tx.digest, 0);
    struct mvcc_thread *thread = mvcc_thread_create(rig.engine->mvcc);
    mvcc_online(thread);
    ck_assert(mvcc_hold_new(rig.engine->objects, thread, id.b, sizeof id.b, &head)); /* claimed */
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_E_BUSY, &call);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 1000);
    mvcc_release(head, MVCC_ABSENT);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, &call);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    ck_assert_int_eq(svm_receipt_get(rig.engine, &tx.digest, &receipt), SVM_OK);
    ck_assert_mem_eq(receipt->changes[0].id.b, id.b, sizeof id.b);
    svm_receipt_free(receipt);
    mvcc_unhold(head);
    mvcc_offline(thread);
    mvcc_thread_destroy(thread);
    rig_deinit(&rig);
}
END_TEST

/* ---- ends -------------------------------------------------------------------------------------------------------------- */

static void *drain(void *arg)
{
    (void)arg;
    svm_engine_drain(rig.engine);
    return NULL;
}

static pthread_t drainer;

static enum svm_err put_and_drain(void *arg, struct svm_cell_txn *txn)
{
    unsigned *runs = arg;
    if (*runs == 0) {
        ck_assert_int_eq(pthread_create(&drainer, NULL, drain, NULL), 0);
        while (svm_health(rig.engine, NULL) != SVM_E_SHUTTING_DOWN)
            rig_sleep(1);
    }
    return put_both(arg, txn);
}

/* The node drains while a closure loses its race: it is not tried again. */
START_TEST(a_drain_ends_the_attempts)
{
    unsigned runs = 0;
    cells_open(SVM_SYNC);
    claim();
    enum svm_err err =
        svm_cell_run(rig.engine, put_and_drain, &runs, SVM_WAIT_EXECUTED, NULL, NULL);
    ck_assert_int_eq(err, SVM_E_SHUTTING_DOWN);
    ck_assert_uint_eq(runs, 1);
    pthread_join(drainer, NULL);
    let_go();
    mvcc_unhold(head);
    rig_deinit(&rig);
}
END_TEST

static enum svm_err put_own(void *arg, struct svm_cell_txn *txn)
{
    return svm_cell_put(txn, (struct svm_bytes){arg, 2}, one);
}

/* A batch large enough for helpers, and no session for them: the caller does it all. */
START_TEST(helpers_without_a_session)
{
    enum { MANY = 600 };
    static struct svm_cell_job jobs[MANY];
    static uint8_t keys[MANY][2];
    struct svm_cell_batch_stats stats;
    rig_init(&rig, SVM_MEMORY);
    rig.config.sessions_max = 1;
    rig.config.workers = 4;
    rig_open(&rig);
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < MANY; i++) {
            memcpy(keys[i], &i, 2);
            jobs[i] = (struct svm_cell_job){.fn = put_own, .arg = keys[i], .fast = i % 2};
        }
        svm_cell_run_batch(rig.engine, jobs, MANY, SVM_WAIT_EXECUTED, &stats);
        ck_assert_uint_eq(stats.fast, MANY / 2);
        ck_assert_uint_eq(stats.consensus, MANY / 2);
        ck_assert_uint_eq(stats.failed, 0);
    }
    uint64_t seq = 0;
    ck_assert_int_eq(svm_cell_run(rig.engine, put_own, keys[0], SVM_WAIT_DURABLE, &seq, NULL),
                     SVM_OK);
    ck_assert_uint_eq(seq, svm_applied_seq(rig.engine));
    struct svm_cell_txn *txn;
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(put_own(keys[1], txn), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_DURABLE, &seq, NULL), SVM_OK);
    ck_assert_uint_eq(seq, svm_applied_seq(rig.engine));
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("claims");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_claimed_cell_is_busy, 0, 2);
    tcase_add_test(tc, a_maintained_cell_is_waited_for);
    tcase_add_test(tc, a_batch_meets_a_claim);
    tcase_add_loop_test(tc, a_claimed_object_is_busy, 0, 2);
    tcase_add_loop_test(tc, a_maintained_object_is_waited_for, 0, 3);
    tcase_add_loop_test(tc, a_claimed_read_is_busy, 0, 2);
    tcase_add_test(tc, a_read_is_claimed_meanwhile);
    tcase_add_loop_test(tc, who_waits_may_expire, 0, 2);
    tcase_add_test(tc, a_new_object_s_place_is_claimed);
    tcase_add_test(tc, a_drain_ends_the_attempts);
    tcase_add_test(tc, helpers_without_a_session);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
