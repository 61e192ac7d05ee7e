/* Over its life: drain and close under load, clocks that leap, room that ends and comes back, settings, copies. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/internal.h"
#include "engine_rig.h"

static struct rig rig;

static enum svm_err put(void *arg, struct svm_cell_txn *txn)
{
    return svm_cell_put(txn, (struct svm_bytes){arg, 1}, (struct svm_bytes){arg, 1});
}

struct committer {
    pthread_t thread;
    uint8_t key;
    enum svm_err err;
};

static void *commit_one(void *arg)
{
    struct committer *c = arg;
    c->err = svm_cell_run(rig.engine, put, &c->key, SVM_WAIT_DURABLE, NULL, NULL);
    return NULL;
}

static void *close_now(void *arg)
{
    svm_engine_close(rig.engine);
    atomic_store((_Atomic bool *)arg, true);
    return NULL;
}

/* Interactive commits wait for the disk while the engine is closed: close waits for them. */
START_TEST(close_waits_for_commits)
{
    enum { N = 32 };
    struct committer c[N];
    pthread_t closer;
    _Atomic bool closed = false;
    rig_init(&rig, SVM_SYNC);
    rig_open(&rig);
    atomic_store(&rig.log_held, true);
    for (uint8_t i = 0; i < N; i++) {
        c[i] = (struct committer){.key = (uint8_t)('a' + i)};
        pthread_create(&c[i].thread, NULL, commit_one, &c[i]);
    }
    while (svm_applied_seq(rig.engine) < N)
        rig_sleep(1);
    pthread_create(&closer, NULL, close_now, &closed);
    rig_sleep(50);
    ck_assert(!atomic_load(&closed));
    atomic_store(&rig.log_held, false);
    pthread_join(closer, NULL);
    for (size_t i = 0; i < N; i++) {
        pthread_join(c[i].thread, NULL);
        ck_assert_int_eq(c[i].err, SVM_OK);
    }
    rig_open(&rig);
    ck_assert_uint_eq(svm_applied_seq(rig.engine), N);
    rig_deinit(&rig);
}
END_TEST

START_TEST(drain_answers_everything)
{
    enum { N = 50 };
    struct support_tx tx;
    struct support_wait wait;
    struct svm_refusal refusal;
    rig_init(&rig, (enum svm_durability)_i);
    rig.config.durability_interval_ms = 60000; /* nobody waits for that */
    rig_open(&rig);
    support_wait_init(&wait, N);
    support_add(&tx, rig.engine, "alice", "counter", 1, 999); /* the first interval passes here */
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, NULL);
    rig_sleep(20);
    for (unsigned i = 0; i < N; i++) {
        support_add(&tx, rig.engine, "alice", "counter", 1, i);
        ck_assert_int_eq(
            svm_submit(rig.engine, tx.bytes, SVM_WAIT_DURABLE, support_wait_one, &wait, NULL),
            SVM_OK);
    }
    svm_engine_drain(rig.engine);
    ck_assert_uint_eq(wait.expected, 0);
    ck_assert_uint_eq(wait.ok, N);
    ck_assert_int_eq(
        svm_submit(rig.engine, tx.bytes, SVM_WAIT_NONE, support_wait_one, &wait, &refusal),
        SVM_E_SHUTTING_DOWN);
    rig_deinit(&rig);
}
END_TEST

/* The process stops between its looks at the two clocks (a suspended machine, SIGSTOP). */
START_TEST(a_pause_is_no_leap)
{
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    for (unsigned i = 0; i < 50; i++) {
        atomic_store(&rig.leap_ms, 300000);
        rig_pass(&rig, 1);
        rig_sleep(4);
    }
    struct svm_refusal detail;
    rig_pass(&rig, 1);
    rig_sleep(50);
    ck_assert_msg(svm_health(rig.engine, &detail) == SVM_OK, "%s", detail.reason);
    rig_deinit(&rig);
}
END_TEST

/* A clock that is beyond all that an object can hold stands still at the last moment; everything else goes on. */
START_TEST(a_clock_stops_at_the_last_time_of_an_object)
{
    enum { TRANSACTIONS = 3 };
    const uint64_t last_ms = ((uint64_t)1 << 47) - 1;
    rig_init(&rig, SVM_MEMORY);
    atomic_store(&rig.wall_ms, (uint64_t)1 << 60);
    rig_open(&rig);
    ck_assert_uint_eq(svm_now_ms(rig.engine), last_ms);
    for (uint64_t i = 0; i < TRANSACTIONS; i++) {
        struct support_tx tx;
        support_pay(&tx, rig.engine, "alice", "alice spare 0", i + 1, "bob", 10);
        rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, NULL);
        rig_sleep(5);
    }
    struct svm_id id;
    struct svm_object *object;
    struct svm_snapshot *snapshot;
    model_dev_object_id(&id, "alice spare 0");
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_object_get(snapshot, &id, &object), SVM_OK);
    svm_snapshot_close(snapshot);
    ck_assert_uint_eq(object->version, 1 + TRANSACTIONS);
    ck_assert_uint_eq(object->modified_ms, last_ms);
    svm_object_free(object);
    ck_assert_uint_eq(svm_now_ms(rig.engine), last_ms);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_leap_stops_admission_until_the_clocks_agree)
{
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    struct svm_refusal detail;
    uint64_t before = svm_now_ms(rig.engine);
    atomic_fetch_add(&rig.wall_ms, 3600000);
    rig_sleep(50);
    ck_assert_int_eq(svm_health(rig.engine, &detail), SVM_E_OVERLOADED);
    ck_assert_uint_eq(svm_now_ms(rig.engine), before);
    struct support_tx tx;
    struct rig_call call;
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    ck_assert_int_eq(
        svm_submit(rig.engine, tx.bytes, SVM_WAIT_EXECUTED, rig_called, &call, &detail),
        SVM_E_OVERLOADED);
    atomic_fetch_sub(&rig.wall_ms, 3600000);
    rig_sleep(50);
    ck_assert_int_eq(svm_health(rig.engine, &detail), SVM_OK);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, NULL);
    rig_deinit(&rig);
}
END_TEST

/* An addition that is good for ten minutes; those of the others are for one. */
static void add_long(void)
{
    struct support_tx tx;
    struct svm_chain_info info;
    struct svm_dev_account sender;
    struct svm_id id;
    struct svm_op op = {.kind = SVM_OP_ADD, .u.add.delta = 1};
    svm_chain_info(rig.engine, &info);
    svm_dev_account(&sender, support_account("alice"));
    svm_dev_object_id(&id, "counter");
    struct svm_tx_builder *builder = svm_tx_builder_create(info.chain, &sender.address);
    svm_tx_builder_gas_limit(builder, 100000);
    svm_tx_builder_expires(builder, svm_now_ms(rig.engine) + 600000);
    op.input = (uint16_t)svm_tx_builder_shared(builder, &id, true);
    svm_tx_builder_op(builder, &op);
    support_finish(&tx, builder, &sender.key);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, NULL);
}

/* Memory mode: receipts fill the room; when they have expired, it is there again, though nothing is written meanwhile: also if there are more than
 * are forgotten at once, and if the oldest of them stays. */
START_TEST(room_comes_back)
{
    rig_init(&rig, SVM_MEMORY);
    rig.config.workers = 1;
    rig.config.tx_dedupe_bytes = _i ? 64 << 10 : 4096;
    rig_open(&rig);
    struct support_tx tx;
    struct svm_refusal refusal;
    struct rig_call call;
    unsigned n = 0;
    if (_i == 2)
        add_long();
    for (; n < 5000; n++) {
        support_add(&tx, rig.engine, "alice", "counter", 1, n);
        memset(&call, 0, sizeof call);
        if (svm_submit(rig.engine, tx.bytes, SVM_WAIT_EXECUTED, rig_called, &call, &refusal) !=
            SVM_OK)
            break;
        ck_assert(rig_answered(&call, 2000));
    }
    ck_assert_int_eq(refusal.err, SVM_E_STORAGE_READ_ONLY);
    rig_pass(&rig, 61000);
    for (unsigned i = 0; i < 2000 && svm_health(rig.engine, NULL) != SVM_OK; i++)
        rig_sleep(1);
    ck_assert_int_eq(svm_health(rig.engine, NULL), SVM_OK);
    for (unsigned i = 0; i < 2000; i++) {
        if (receipts_bytes(rig.engine->receipts) <= rig.config.tx_dedupe_bytes)
            break;
        rig_sleep(1);
    }
    ck_assert_uint_le(receipts_bytes(rig.engine->receipts), rig.config.tx_dedupe_bytes);
    support_add(&tx, rig.engine, "alice", "counter", 1, 100000);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, NULL);
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), n + 1 + (_i == 2));
    rig_deinit(&rig);
}
END_TEST

START_TEST(settings_are_checked)
{
    struct svm_engine *engine;
    struct svm_refusal detail;
    struct support_tx tx;
    struct rig_call call;
    rig_init(&rig, SVM_MEMORY);
    rig.config.tx_effects_bytes_max = 2u << 20; /* the log's frames are smaller */
    ck_assert_int_eq(svm_engine_open(&engine, &rig.config, &detail), SVM_E_BAD_CONFIG);
    rig.config.tx_effects_bytes_max = 1u << 20;
    rig_open(&rig);

    struct svm_config config = rig.config;
    config.tx_expiry_max_ms = 30000;
    svm_reconfigure(rig.engine, &config);
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 0, "bob", 10);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_E_EXPIRY_TOO_FAR, &call);
    ck_assert_uint_eq(call.refusal.limit, 30000);
    config.tx_expiry_max_ms = 3600000; /* longer than receipts are kept: refused as a whole */
    config.receipts_seconds = 60;
    svm_reconfigure(rig.engine, &config);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_E_EXPIRY_TOO_FAR, &call);
    ck_assert_uint_eq(call.refusal.limit, 30000);
    rig_deinit(&rig);
}
END_TEST

START_TEST(an_old_snapshot_is_cancelled)
{
    rig_init(&rig, SVM_MEMORY);
    rig.config.gc_snapshot_age_max_ms = 1000;
    rig_open(&rig);
    struct svm_snapshot *snapshot;
    struct svm_object *object;
    struct svm_id id;
    svm_dev_object_id(&id, "alice spare 0");
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_object_get(snapshot, &id, &object), SVM_OK);
    svm_object_free(object);
    rig_pass(&rig, 2000);
    rig_sleep(5);
    svm_gc_run(rig.engine);
    ck_assert_int_eq(svm_object_get(snapshot, &id, &object), SVM_E_SNAPSHOT_TOO_OLD);
    ck_assert_ptr_null(object);
    svm_snapshot_close(snapshot);

    struct svm_cell_txn *txn;
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    rig_pass(&rig, 2000);
    rig_sleep(5);
    svm_gc_run(rig.engine);
    const struct svm_bytes key = {(const uint8_t *)"k", 1};
    ck_assert_int_eq(svm_cell_put(txn, key, key), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL), SVM_E_SNAPSHOT_TOO_OLD);
    rig_deinit(&rig);
}
END_TEST

/* Somebody else writes what it reads, every time. */
static enum svm_err lose(void *arg, struct svm_cell_txn *txn)
{
    static uint8_t n;
    const struct svm_bytes mine = {(const uint8_t *)"mine", 4}, hot = {(const uint8_t *)"hot", 3};
    struct svm_cell_txn *other;
    struct svm_bytes value;
    uint32_t *attempts = arg;
    enum svm_err err = svm_cell_get(txn, hot, &value);
    ck_assert(err == SVM_OK || err == SVM_E_NOT_FOUND);
    ++*attempts;
    n++;
    ck_assert_int_eq(svm_cell_begin(rig.engine, &other), SVM_OK);
    ck_assert_int_eq(svm_cell_put(other, hot, (struct svm_bytes){&n, 1}), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(other, SVM_WAIT_EXECUTED, NULL, NULL), SVM_OK);
    return svm_cell_put(txn, mine, hot);
}

START_TEST(retries_end)
{
    rig_init(&rig, SVM_MEMORY);
    rig.config.cell_attempts_max = 7;
    rig_open(&rig);
    struct svm_cell_key key;
    uint32_t attempts = 0;
    ck_assert_int_eq(svm_cell_run(rig.engine, lose, &attempts, SVM_WAIT_EXECUTED, NULL, &key),
                     SVM_E_RETRIES_EXHAUSTED);
    ck_assert_uint_eq(attempts, 7);
    ck_assert_uint_eq(key.len, 3);
    ck_assert_mem_eq(key.b, "hot", 3);
    rig_deinit(&rig);
}
END_TEST

static struct mvcc_head *claim_cell(struct mvcc_thread *thread, const char *key, uint64_t *state)
{
    struct mvcc_head *head;
    mvcc_online(thread);
    if (mvcc_hold(rig.engine->cells, thread, (const uint8_t *)key, strlen(key), &head) ==
        MVCC_HELD_LOAD)
        mvcc_load_finish(rig.engine->cells, thread, head, NULL, 0);
    ck_assert(mvcc_try_claim(head, state));
    mvcc_offline(thread);
    return head;
}

static void *release_soon(void *arg)
{
    rig_sleep(20);
    mvcc_release(arg, MVCC_ABSENT);
    return NULL;
}

/* CONFLICT is said of a winner that was published; a claim may yet come to nothing. */
START_TEST(a_claim_is_no_conflict)
{
    const struct svm_bytes x = {(const uint8_t *)"x", 1}, y = {(const uint8_t *)"y", 1};
    struct svm_cell_txn *txn;
    struct svm_cell_key key;
    struct svm_bytes value;
    uint64_t state;
    pthread_t releaser;
    rig_init(&rig, SVM_MEMORY);
    rig.config.busy_attempts_max = 100000;
    rig_open(&rig);
    struct mvcc_thread *thread = mvcc_thread_create(rig.engine->mvcc);
    for (unsigned reads = 0; reads < 2; reads++) { /* the claimed one is read, or written */
        ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
        if (reads)
            ck_assert_int_eq(svm_cell_get(txn, x, &value), SVM_E_NOT_FOUND);
        ck_assert_int_eq(svm_cell_put(txn, reads ? y : x, x), SVM_OK);
        struct mvcc_head *head = claim_cell(thread, "x", &state);
        struct svm_config config = rig.config;
        config.busy_attempts_max = 3;
        if (!reads) { /* for ever: BUSY, with its name */
            svm_reconfigure(rig.engine, &config);
            ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, &key), SVM_E_BUSY);
            ck_assert_uint_eq(key.len, 1);
            ck_assert_int_eq(key.b[0], 'x');
            mvcc_release(head, state);
            svm_reconfigure(rig.engine, &rig.config);
        } else { /* for a while: nothing is lost */
            pthread_create(&releaser, NULL, release_soon, head);
            ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, &key), SVM_OK);
            pthread_join(releaser, NULL);
        }
        mvcc_unhold(head);
    }
    mvcc_thread_destroy(thread);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_checkpoint_opens)
{
    char dir[64], copy[96];
    struct svm_config config;
    struct svm_engine *engine;
    struct svm_refusal detail;
    struct support_tx tx;
    struct svm_receipt *receipt;
    struct svm_digest before, after;
    struct svm_snapshot *snapshot;
    uint64_t seq;
    support_temp_dir(dir);
    svm_config_init(&config);
    config.workers = 2;
    config.disk_free_min_bytes = 0;
    char data[96];
    snprintf(data, sizeof data, "%s/data", dir);
    snprintf(copy, sizeof copy, "%s/copy", dir);
    config.datadir = data;
    ck_assert_msg(svm_engine_open(&engine, &config, &detail) == SVM_OK, "%s", detail.reason);
    for (unsigned i = 0; i < 20; i++) {
        support_add(&tx, engine, "alice", "counter", 1, i);
        ck_assert_int_eq(svm_submit_wait(engine, tx.bytes, SVM_WAIT_DURABLE, &receipt, NULL, NULL),
                         SVM_OK);
        svm_receipt_free(receipt);
    }
    ck_assert_int_eq(svm_snapshot_open(engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_state_hash(snapshot, &before), SVM_OK);
    svm_snapshot_close(snapshot);
    ck_assert_msg(svm_checkpoint(engine, copy, &seq, &detail) == SVM_OK, "%s", detail.reason);
    ck_assert_uint_eq(seq, 20);
    ck_assert_int_eq(svm_checkpoint(engine, copy, &seq, &detail), SVM_E_INVALID_PARAMS);
    support_add(&tx, engine, "alice", "counter", 1, 20);
    ck_assert_int_eq(svm_submit_wait(engine, tx.bytes, SVM_WAIT_DURABLE, &receipt, NULL, NULL),
                     SVM_OK);
    svm_receipt_free(receipt);
    svm_engine_close(engine);

    config.datadir = copy;
    ck_assert_msg(svm_engine_open(&engine, &config, &detail) == SVM_OK, "%s", detail.reason);
    ck_assert_uint_eq(svm_applied_seq(engine), 20);
    ck_assert_uint_eq(support_counter(engine, "counter"), 20);
    ck_assert_int_eq(svm_snapshot_open(engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_state_hash(snapshot, &after), SVM_OK);
    svm_snapshot_close(snapshot);
    ck_assert_mem_eq(before.b, after.b, 32);
    svm_engine_close(engine);
    support_remove_dir(dir);
}
END_TEST

/* Executed means that it can be read: while a position before it is open, nobody is told. */
START_TEST(nobody_is_told_before_it_can_be_read)
{
    static struct engine_record nothing = {.kind = RECORD_VOID};
    struct support_tx tx;
    struct support_wait wait;
    rig_init(&rig, _i == 0 ? SVM_MEMORY : SVM_WRITE);
    rig_open(&rig);
    support_wait_init(&wait, 1);
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 1, "bob", 3);
    uint64_t gap = mvcc_seq_next(rig.engine->mvcc);
    ck_assert_int_eq(
        svm_submit(rig.engine, tx.bytes, SVM_WAIT_EXECUTED, support_wait_one, &wait, NULL), SVM_OK);
    while (mvcc_seq_outstanding(rig.engine->mvcc) < 2)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    pthread_mutex_lock(&wait.lock);
    ck_assert_uint_eq(wait.ok, 0);
    pthread_mutex_unlock(&wait.lock);
    mvcc_seq_hand_over(rig.engine->mvcc, gap, &nothing);
    support_wait_all(&wait);
    ck_assert_uint_eq(wait.ok, 1);
    ck_assert_uint_ge(svm_applied_seq(rig.engine), gap + 1);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("life");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, close_waits_for_commits);
    tcase_add_loop_test(tc, nobody_is_told_before_it_can_be_read, 0, 2);
    tcase_add_loop_test(tc, drain_answers_everything, SVM_MEMORY, SVM_INTERVAL + 1);
    tcase_add_test(tc, a_pause_is_no_leap);
    tcase_add_test(tc, a_clock_stops_at_the_last_time_of_an_object);
    tcase_add_test(tc, a_leap_stops_admission_until_the_clocks_agree);
    tcase_add_loop_test(tc, room_comes_back, 0, 3);
    tcase_add_test(tc, settings_are_checked);
    tcase_add_test(tc, an_old_snapshot_is_cancelled);
    tcase_add_test(tc, retries_end);
    tcase_add_test(tc, a_claim_is_no_conflict);
    tcase_add_test(tc, a_checkpoint_opens);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
