/* Memory that is not to be had: whoever asks is told so, nothing is half done, nothing is lost, and it works again afterwards. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine_rig.h"
#include "failing_memory.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOW = 1, STEP = 9 };
#else
enum { SLOW = 0, STEP = 1 };
#endif

static struct svm_engine *engine;
static struct svm_config config;

/* Small, so that it is quickly made. */
static void configure(void)
{
    svm_config_init(&config);
    config.durability = SVM_MEMORY;
    config.workers = 1;
    config.inflight_max = 64;
    config.sessions_max = 4;
    config.waiters_max = 8;
    config.tx_dedupe_bytes = 1 << 20;
}

static void setup(void)
{
    struct svm_refusal detail;
    configure();
    ck_assert_msg(svm_engine_open(&engine, &config, &detail) == SVM_OK, "%s", detail.reason);
}

static void teardown(void)
{
    svm_engine_close(engine);
}

static bool typed(enum svm_err err)
{
    return err == SVM_E_OVERLOADED || err == SVM_E_NO_MEMORY;
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

static unsigned calls_of_opening(void)
{
    memory_fail(MEMORY_OF_ME, 0, false);
    enum svm_err err = svm_engine_open(&engine, &config, NULL);
    (void)memory_back();
    ck_assert_int_eq(err, SVM_OK);
    svm_engine_close(engine);
    return atomic_load(&memory_calls);
}

static void open_without(unsigned n, bool for_good)
{
    struct svm_refusal detail;
    memory_fail(MEMORY_OF_ME, n, for_good);
    enum svm_err err = svm_engine_open(&engine, &config, &detail);
    unsigned failed = memory_back();
    if (failed == 0) { /* this time it needed fewer */
        ck_assert_int_eq(err, SVM_OK);
        svm_engine_close(engine);
        return;
    }
    ck_assert_msg(err != SVM_OK, "opened although call %u failed", n);
    ck_assert_msg(err == SVM_E_NO_MEMORY, "call %u: %s %s", n, svm_err_name(err), detail.reason);
    ck_assert_int_eq(detail.err, err);
    ck_assert_ptr_null(engine);
}

/* Hundreds of them are alike: the places of the table's shards. */
START_TEST(an_engine_is_there_or_not)
{
    configure();
    unsigned calls = calls_of_opening(), alike = 0;
    ck_assert_uint_gt(calls, 500);
    for (unsigned n = 1; n <= calls; n++) {
        /* In steps through the many, one by one through what stands before and behind them. */
        bool among = n > 40 && n + 300 < calls;
        if ((among || SLOW) && ++alike % (among ? (SLOW ? 397 : 97) : 13) != 0)
            continue;
        open_without(n, false);
        if (n % 3 == 0)
            open_without(n, true);
    }
    svm_engine_close(NULL);
    setup();
    teardown();
}
END_TEST

/* ---- interactive transactions ------------------------------------------------------------------------------------ */

static struct svm_bytes key_of(unsigned n, char text[16])
{
    return (struct svm_bytes){(const uint8_t *)text, (size_t)snprintf(text, 16, "key %u", n)};
}

static uint8_t value[40000]; /* more than a chunk of an arena */

/* Reads and writes more keys than a session has places for, some of them twice. */
static enum svm_err read_and_write(struct svm_cell_txn *txn)
{
    char text[16];
    struct svm_bytes found;
    for (unsigned i = 0; i < 24; i++) {
        struct svm_bytes key = key_of(i, text);
        enum svm_err err = svm_cell_get(txn, key, &found);
        if (err == SVM_OK || err == SVM_E_NOT_FOUND)
            err = svm_cell_put(txn, key, (struct svm_bytes){value, i % 8 == 0 ? sizeof value : 8});
        if (err == SVM_OK && i % 3 == 0)
            err = svm_cell_del(txn, key);
        if (err == SVM_OK && i % 6 == 0)
            err = svm_cell_put(txn, key, (struct svm_bytes){value, 1200});
        if (err != SVM_OK)
            return err;
    }
    return SVM_OK;
}

static unsigned cells_found(void)
{
    unsigned found = 0;
    char text[16];
    struct svm_cell_txn *txn;
    struct svm_bytes got;
    ck_assert_int_eq(svm_cell_begin(engine, &txn), SVM_OK);
    for (unsigned i = 0; i < 24; i++)
        found += svm_cell_get(txn, key_of(i, text), &got) == SVM_OK;
    svm_cell_abort(txn);
    return found;
}

START_TEST(cells_are_written_together_or_not_at_all)
{
    unsigned n = 0, failed;
    setup();
    do {
        struct svm_cell_txn *txn;
        memory_fail(MEMORY_OF_ME, ++n, false);
        enum svm_err err = svm_cell_begin(engine, &txn);
        if (err == SVM_OK) {
            err = read_and_write(txn);
            if (err == SVM_OK)
                err = svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL);
            else
                svm_cell_abort(txn);
        }
        failed = memory_back();
        ck_assert_uint_ge(failed, err != SVM_OK);
        ck_assert_msg(err == SVM_OK || err == SVM_E_OVERLOADED, "%s", svm_err_name(err));
        ck_assert_uint_eq(cells_found(), err == SVM_OK ? 20 : 0);
        teardown(); /* what was had stays: begin anew */
        setup();
    } while (failed > 0 || n < 3);
    ck_assert_uint_gt(n, 9);
    teardown();
}
END_TEST

START_TEST(a_session_is_had_or_not)
{
    struct svm_cell_txn *txn;
    setup();
    memory_fail(MEMORY_OF_ME, 1, true);
    enum svm_err err = svm_cell_begin(engine, &txn); /* no session has been used yet */
    (void)memory_back();
    ck_assert_int_eq(err, SVM_E_OVERLOADED);
    ck_assert_int_eq(svm_cell_begin(engine, &txn), SVM_OK);
    svm_cell_abort(txn);
    teardown();
}
END_TEST

/* ---- questions --------------------------------------------------------------------------------------------------- */

static struct support_tx tx;
static struct svm_object *objects[4];

static enum svm_err ask_object(struct svm_snapshot *snapshot)
{
    struct svm_id id;
    struct svm_object *object;
    svm_dev_object_id(&id, "counter");
    enum svm_err err = svm_object_get(snapshot, &id, &object);
    svm_object_free(object);
    return (err == SVM_OK) == (object != NULL) ? err : SVM_E_INTERNAL;
}

static enum svm_err ask_list(struct svm_snapshot *snapshot)
{
    struct svm_dev_account account;
    size_t count;
    bool more;
    svm_dev_account(&account, 0);
    enum svm_err err = svm_object_list(snapshot, &account.address, NULL, objects, 4, &count, &more);
    for (size_t i = 0; i < count; i++)
        svm_object_free(objects[i]);
    return count > 0 && err != SVM_OK ? SVM_E_INTERNAL : err;
}

static enum svm_err ask_hash(struct svm_snapshot *snapshot)
{
    struct svm_digest hash;
    return svm_state_hash(snapshot, &hash);
}

static enum svm_err ask_receipt(struct svm_snapshot *snapshot)
{
    struct svm_receipt *receipt;
    (void)snapshot;
    enum svm_err err = svm_receipt_get(engine, &tx.digest, &receipt);
    svm_receipt_free(receipt);
    return err;
}

static enum svm_err ask_simulate(struct svm_snapshot *snapshot)
{
    struct svm_receipt *receipt;
    struct svm_refusal refusal;
    (void)snapshot;
    enum svm_err err = svm_simulate(engine, tx.bytes, true, &receipt, &refusal);
    svm_receipt_free(receipt);
    return refusal.err == err ? err : SVM_E_INTERNAL;
}

static enum svm_err ask_route(struct svm_snapshot *snapshot)
{
    static struct svm_route route;
    struct svm_refusal refusal;
    (void)snapshot;
    enum svm_err err = svm_explain_route(engine, tx.bytes, true, &route, &refusal);
    return refusal.err == err ? err : SVM_E_INTERNAL;
}

static enum svm_err ask_snapshot(struct svm_snapshot *snapshot)
{
    enum svm_err err = svm_snapshot_open(engine, &snapshot);
    if (err == SVM_OK)
        svm_snapshot_close(snapshot);
    return err;
}

static enum svm_err ask_wait(struct svm_snapshot *snapshot)
{
    struct support_wait wait;
    (void)snapshot;
    support_wait_init(&wait, 1);
    enum svm_err err = svm_wait(engine, &tx.digest, SVM_WAIT_EXECUTED, support_wait_one, &wait);
    if (err == SVM_OK)
        support_wait_all(&wait);
    return err;
}

static void reconfigure(void)
{
    struct svm_config other = config;
    other.tx_inputs_max = 1;
    memory_fail(MEMORY_OF_ME, 1, true);
    svm_reconfigure(engine, &other); /* the old settings stay */
    (void)memory_back();
}

static enum svm_err (*const questions[])(struct svm_snapshot *) = {
    ask_object, ask_list, ask_hash, ask_receipt, ask_simulate, ask_route, ask_snapshot, ask_wait};

START_TEST(a_question_has_its_answer_or_none)
{
    struct svm_snapshot *snapshot;
    struct svm_receipt *receipt;
    unsigned n = 0, failed;
    setup();
    support_pay(&tx, engine, "alice", "alice spare 0", 1, "bob", 10);
    ck_assert_int_eq(svm_submit_wait(engine, tx.bytes, SVM_WAIT_EXECUTED, &receipt, NULL, NULL),
                     SVM_OK);
    svm_receipt_free(receipt);
    if (_i == 4 || _i == 5) /* of one that is yet to come */
        support_pay(&tx, engine, "alice", "alice spare 1", 1, "bob", 10);
    reconfigure();
    ck_assert_int_eq(svm_snapshot_open(engine, &snapshot), SVM_OK);
    do {
        n++;
        memory_fail(MEMORY_OF_ME, n, n % 2 == 0);
        enum svm_err err = questions[_i](snapshot);
        failed = memory_back();
        ck_assert_msg(failed > 0 ? typed(err) : err == SVM_OK, "question %d, call %u: %s", _i, n,
                      svm_err_name(err));
    } while (failed > 0);
    ck_assert_uint_gt(n, 1);
    svm_snapshot_close(snapshot);
    svm_snapshot_close(NULL);
    teardown();
}
END_TEST

/* ---- transactions ------------------------------------------------------------------------------------------------ */

/* Made of many parts: objects with data, more operations and inputs than a job has places for. */
static void make_large(const char *from, unsigned creates, size_t data_len, unsigned pays)
{
    struct svm_dev_account sender;
    struct svm_chain_info info;
    struct svm_id id;
    static uint8_t data[2000];
    char label[32];
    svm_chain_info(engine, &info);
    svm_dev_account(&sender, support_account(from));
    struct svm_tx_builder *builder = svm_tx_builder_create(info.chain, &sender.address);
    svm_tx_builder_gas_limit(builder, 10000000);
    svm_tx_builder_expires(builder, svm_now_ms(engine) + 60000);
    for (unsigned i = 0; i < pays; i++) {
        snprintf(label, sizeof label, "%s spare %u", from, i);
        svm_dev_object_id(&id, label);
        struct svm_op op = {.kind = SVM_OP_PAY,
                            .input = (uint16_t)svm_tx_builder_owned_latest(builder, &id)};
        op.u.pay.to = sender.address;
        op.u.pay.amount.units = 1;
        svm_tx_builder_op(builder, &op);
    }
    for (unsigned i = 0; i < creates; i++) {
        struct svm_op op = {.kind = SVM_OP_CREATE};
        op.u.create.owner = (struct svm_owner){.kind = SVM_KIND_OWNED, .address = sender.address};
        op.u.create.type = (struct svm_bytes){(const uint8_t *)"note", 4};
        op.u.create.data = (struct svm_bytes){data, data_len};
        svm_tx_builder_op(builder, &op);
    }
    support_finish(&tx, builder, &sender.key);
}

/* What a transaction of these may change: how many objects there are, and what they hold. */
static struct svm_digest state(void)
{
    struct svm_snapshot *snapshot;
    struct svm_digest hash;
    ck_assert_int_eq(svm_snapshot_open(engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_state_hash(snapshot, &hash), SVM_OK);
    svm_snapshot_close(snapshot);
    return hash;
}

static enum svm_err run_here(const struct support_tx *one)
{
    struct support_wait wait;
    struct svm_submission s = {.bytes = one->bytes, .arg = &wait};
    support_wait_init(&wait, 1);
    svm_run_batch(engine, &s, 1, SVM_WAIT_EXECUTED, support_wait_one);
    if (s.err == SVM_OK)
        support_wait_all(&wait);
    for (int err = 1; s.err == SVM_OK && err < SVM_ERR_COUNT; err++)
        if (wait.by_error[err] > 0)
            return (enum svm_err)err;
    return s.err;
}

static void make(unsigned kind)
{
    if (kind == 0)
        support_pay(&tx, engine, "alice", "alice spare 0", 1, "bob", 10);
    else if (kind == 1)
        support_add(&tx, engine, "alice", "counter", 1, 1);
    else if (kind == 2)
        make_large("alice", 1, 1800, 0);
    else
        make_large("alice", 20, 10, 5);
}

/* On the caller's own thread, in an engine that has executed nothing yet: all that it needs is asked for anew. */
START_TEST(a_transaction_is_executed_or_not)
{
    unsigned n = 0, failed;
    do {
        setup();
        make((unsigned)_i);
        struct svm_digest before = state();
        n = n == 0 ? 1 : n + STEP;
        memory_fail(MEMORY_OF_ME, n, false);
        enum svm_err err = run_here(&tx);
        failed = memory_back();
        ck_assert_msg(err == SVM_OK || (failed > 0 && (typed(err) || err == SVM_E_BUSY)),
                      "kind %d, call %u: %s", _i, n, svm_err_name(err));
        struct svm_digest after = state();
        ck_assert((memcmp(&before, &after, sizeof after) == 0) == (err != SVM_OK));
        if (err != SVM_OK)
            ck_assert_int_eq(run_here(&tx), SVM_OK);
        struct svm_digest again = state();
        ck_assert_int_eq(run_here(&tx), SVM_OK); /* a copy */
        after = state();
        ck_assert_mem_eq(&again, &after, sizeof after);
        teardown();
    } while (failed > 0);
    ck_assert_uint_gt(n, 1);
}
END_TEST

/* By workers, who have nobody to ask. */
START_TEST(workers_without_memory_refuse)
{
    unsigned refused = 0;
    setup();
    for (unsigned n = 1; n <= 8; n++) {
        struct support_wait wait;
        support_add(&tx, engine, "alice", "counter", 1, n);
        support_wait_init(&wait, 1);
        memory_fail(MEMORY_OF_OTHERS, 1, true);
        enum svm_err err =
            svm_submit(engine, tx.bytes, SVM_WAIT_EXECUTED, support_wait_one, &wait, NULL);
        if (err == SVM_OK)
            support_wait_all(&wait);
        (void)memory_back();
        ck_assert_int_eq(err, SVM_OK);
        refused += wait.by_error[SVM_E_OVERLOADED] == 1;
        ck_assert_uint_eq(wait.ok + wait.by_error[SVM_E_OVERLOADED], 1);
        ck_assert_uint_eq(support_counter(engine, "counter"), n - refused);
    }
    teardown();
}
END_TEST

/* Longer than a job has room for. */
START_TEST(bytes_that_cannot_be_kept_are_refused)
{
    struct support_wait wait;
    struct svm_refusal refusal;
    setup();
    make_large("alice", 1, 1800, 0);
    support_wait_init(&wait, 1);
    memory_fail(MEMORY_OF_ME, 1, true);
    enum svm_err err =
        svm_submit(engine, tx.bytes, SVM_WAIT_EXECUTED, support_wait_one, &wait, &refusal);
    (void)memory_back();
    ck_assert_int_eq(err, SVM_E_OVERLOADED);
    ck_assert_int_eq(refusal.err, SVM_E_OVERLOADED);
    ck_assert_int_eq(run_here(&tx), SVM_OK);
    teardown(); /* would wait for a credit that was lost */
}
END_TEST

/* ---- loads ------------------------------------------------------------------------------------------------------- */

static const struct svm_bytes full = {(const uint8_t *)"full", 4},
                              empty = {(const uint8_t *)"empty", 5},
                              gone = {(const uint8_t *)"gone", 4}, nothing = {NULL, 0};

static enum svm_err write_cells(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    enum svm_err err = svm_cell_put(txn, full, full);
    if (err == SVM_OK)
        err = svm_cell_put(txn, empty, nothing);
    return err == SVM_OK ? svm_cell_del(txn, gone) : err;
}

static enum svm_err read_cells(struct svm_cell_txn *txn)
{
    struct svm_bytes got;
    enum svm_err err = svm_cell_get(txn, full, &got);
    if (err == SVM_OK && got.len != 4)
        return SVM_E_INTERNAL;
    if (err == SVM_OK)
        err = svm_cell_get(txn, empty, &got);
    if (err == SVM_OK && got.len != 0)
        return SVM_E_INTERNAL;
    if (err == SVM_OK)
        err = svm_cell_get(txn, gone, &got);
    return err;
}

/* From the disk, where a cell may be empty and a deleted one is. */
START_TEST(a_cell_is_loaded_or_not)
{
    static struct rig rig;
    struct svm_cell_txn *txn;
    unsigned n = 0, failed;
    rig_init(&rig, SVM_SYNC);
    rig_open(&rig);
    ck_assert_int_eq(svm_cell_run(rig.engine, write_cells, NULL, SVM_WAIT_DURABLE, NULL, NULL),
                     SVM_OK);
    do {
        rig_reopen(&rig);
        ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
        memory_blocks_only = true; /* the disks of the rig cannot do without the other */
        memory_fail(MEMORY_OF_ME, ++n, false);
        enum svm_err err = read_cells(txn);
        failed = memory_back();
        ck_assert_msg(failed > 0 ? err == SVM_E_OVERLOADED || err == SVM_E_IO
                                 : err == SVM_E_NOT_FOUND,
                      "call %u: %s", n, svm_err_name(err));
        ck_assert_int_eq(read_cells(txn), SVM_E_NOT_FOUND);
        svm_cell_abort(txn);
    } while (failed > 0);
    ck_assert_uint_ge(n, 6);
    rig_deinit(&rig);
}
END_TEST

/* The inputs of a transaction, its record, and what it creates. */
START_TEST(an_input_is_loaded_or_not)
{
    static struct rig rig;
    unsigned n = 0, failed;
    do {
        rig_init(&rig, SVM_SYNC);
        rig_open(&rig);
        engine = rig.engine;
        make(_i ? 3 : 0);
        memory_blocks_only = true;
        n = n == 0 ? 1 : n + STEP;
        memory_fail(MEMORY_OF_ME, n, n % 2 == 0);
        enum svm_err err = run_here(&tx);
        failed = memory_back();
        ck_assert_msg(err == SVM_OK || (failed > 0 &&
                                        (typed(err) || err == SVM_E_BUSY || err == SVM_E_INTERNAL)),
                      "call %u: %s", n, svm_err_name(err));
        if (err != SVM_OK)
            ck_assert_int_eq(run_here(&tx), SVM_OK);
        ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), _i ? 999 : 990);
        rig_deinit(&rig);
    } while (failed > 0);
    ck_assert_uint_gt(n, 4);
}
END_TEST

/* ---- receipts ---------------------------------------------------------------------------------------------------- */

static struct svm_digest digest_of(uint64_t n)
{
    struct svm_digest digest;
    for (size_t k = 0; k < sizeof digest.b; k += 8) {
        n = n * 6364136223846793005u + 1442695040888963407u;
        uint64_t word = n ^ n >> 29;
        memcpy(digest.b + k, &word, 8);
    }
    return digest;
}

/* Places for more digests cannot be had: the buckets serve until they are full, and nobody is forgotten. */
START_TEST(receipts_that_cannot_grow)
{
    enum { TRIES = 80000 };
    static bool in[TRIES];
    unsigned entered = 0, wrong = 0;
    struct receipt_entry *entry;
    struct svm_digest digest = {{0}};
    struct pool *pool = pool_create();
    struct receipt_table *table = receipts_create(1, 1);
    memory_fail(MEMORY_OF_ME, 1, true);
    struct receipt_table *none = receipts_create(1, 1);
    enum receipts_enter_result result = receipts_enter(table, pool, &digest, 1, 99, &entry);
    (void)memory_back();
    ck_assert_ptr_null(none);
    ck_assert_int_eq(result, RECEIPTS_NO_MEMORY);
    for (unsigned i = 0; i < TRIES; i++) {
        digest = digest_of(i);
        memory_blocks_not = true; /* entries are had, places are not */
        memory_fail(MEMORY_OF_ME, 1, true);
        in[i] = receipts_enter(table, pool, &digest, 1, 99, &entry) == RECEIPTS_ENTERED;
        (void)memory_back();
        entered += in[i];
    }
    ck_assert_uint_gt(entered, 100);
    ck_assert_uint_lt(entered, TRIES);
    for (unsigned i = 0; i < TRIES; i++) {
        digest = digest_of(i);
        entry = receipts_find(table, &digest);
        wrong += (entry != NULL) != in[i];
        if (entry)
            receipts_unlock(table, entry);
    }
    ck_assert_uint_eq(wrong, 0);
    receipts_destroy(table);
    receipts_destroy(NULL);
    pool_destroy(pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("memory");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, an_engine_is_there_or_not);
    tcase_add_test(tc, cells_are_written_together_or_not_at_all);
    tcase_add_test(tc, a_session_is_had_or_not);
    tcase_add_loop_test(tc, a_question_has_its_answer_or_none, 0, 8);
    tcase_add_loop_test(tc, a_transaction_is_executed_or_not, 0, 4);
    tcase_add_test(tc, workers_without_memory_refuse);
    tcase_add_test(tc, a_cell_is_loaded_or_not);
    tcase_add_loop_test(tc, an_input_is_loaded_or_not, 0, 2);
    tcase_add_test(tc, receipts_that_cannot_grow);
    tcase_add_test(tc, bytes_that_cannot_be_kept_are_refused);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
