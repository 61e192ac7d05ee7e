/* A node in memory mode with more objects than cache.bytes allows: what frees memory is taken, through every door, until there is room again; nothing else is. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "engine_rig.h"

enum { OBJECTS = 256, DATA = 3000, LESS = 100, CELLS = 64 };

static struct rig rig;
static struct svm_id ids[OBJECTS];
static uint64_t versions[OBJECTS];
static uint64_t filled;
static uint8_t data[DATA + 100];
static struct svm_dev_account alice, bob;

static struct svm_tx_builder *begin(void)
{
    static uint64_t nonce;
    struct svm_chain_info info;
    svm_chain_info(rig.engine, &info);
    struct svm_tx_builder *builder = svm_tx_builder_create(info.chain, &alice.address);
    svm_tx_builder_gas_limit(builder, 1000000);
    svm_tx_builder_nonce(builder, ++nonce);
    svm_tx_builder_expires(builder, svm_now_ms(rig.engine) + 60000);
    return builder;
}

static void add_create(struct svm_tx_builder *builder, size_t len)
{
    struct svm_op op = {.kind = SVM_OP_CREATE};
    op.u.create.owner = (struct svm_owner){.kind = SVM_KIND_OWNED, .address = alice.address};
    op.u.create.type = (struct svm_bytes){(const uint8_t *)"note", 4};
    op.u.create.data = (struct svm_bytes){data, len};
    svm_tx_builder_op(builder, &op);
}

static int add_input(struct svm_tx_builder *builder, unsigned i)
{
    return svm_tx_builder_owned(builder, &ids[i], versions[i]);
}

static void add_op(struct svm_tx_builder *builder, int input, enum svm_op_kind kind, size_t len)
{
    struct svm_op op = {.kind = kind, .input = (uint16_t)input};
    if (kind == SVM_OP_UPDATE)
        op.u.update.data = (struct svm_bytes){data, len};
    if (kind == SVM_OP_TRANSFER)
        op.u.transfer.to = bob.address;
    svm_tx_builder_op(builder, &op);
}

static enum svm_err run(struct svm_tx_builder *builder, struct svm_refusal *refusal)
{
    struct support_tx tx;
    struct svm_receipt *receipt;
    struct svm_outcome outcome = {.err = SVM_OK};
    support_finish(&tx, builder, &alice.key);
    enum svm_err err =
        svm_submit_wait(rig.engine, tx.bytes, SVM_WAIT_EXECUTED, &receipt, &outcome, refusal);
    if (receipt)
        ck_assert_int_eq(receipt->failure, SVM_FAILURE_NONE);
    svm_receipt_free(receipt);
    return err;
}

static enum svm_err run_op(unsigned i, enum svm_op_kind kind, size_t len)
{
    struct svm_refusal refusal;
    struct svm_tx_builder *builder = begin();
    add_op(builder, add_input(builder, i), kind, len);
    return run(builder, &refusal);
}

static enum svm_err create(struct svm_refusal *refusal)
{
    struct svm_tx_builder *builder = begin();
    add_create(builder, DATA);
    return run(builder, refusal);
}

static void create_objects(void)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct support_tx tx;
        struct svm_receipt *receipt;
        struct svm_tx_builder *builder = begin();
        add_create(builder, DATA);
        support_finish(&tx, builder, &alice.key);
        ck_assert_int_eq(
            svm_submit_wait(rig.engine, tx.bytes, SVM_WAIT_EXECUTED, &receipt, NULL, NULL), SVM_OK);
        ids[i] = receipt->changes[0].id;
        versions[i] = receipt->changes[0].version;
        svm_receipt_free(receipt);
    }
}

/* The node may have BYTES less than its objects and cells take; what its owner index takes it has more than that. */
static void become_full(int64_t bytes)
{
    struct svm_stats stats;
    struct svm_refusal refusal;
    struct svm_config config = rig.config;
    svm_gc_run(rig.engine);
    svm_stats(rig.engine, &stats);
    filled = stats.resident_bytes;
    config.cache_bytes = (uint64_t)((int64_t)filled - bytes);
    svm_reconfigure(rig.engine, &config);
    for (unsigned i = 0; i < 5000 && svm_health(rig.engine, &refusal) == SVM_OK; i++)
        rig_sleep(1);
    ck_assert_int_eq(refusal.err, SVM_E_STORAGE_READ_ONLY);
}

static void until_writable(void)
{
    struct svm_refusal refusal;
    for (unsigned i = 0; i < 10000 && svm_health(rig.engine, &refusal) != SVM_OK; i++)
        rig_sleep(1);
    ck_assert_msg(svm_health(rig.engine, &refusal) == SVM_OK, "%s", refusal.reason);
}

static void open_rig(void)
{
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    svm_dev_account(&alice, support_account("alice"));
    svm_dev_account(&bob, support_account("bob"));
}

/* ---- transactions ------------------------------------------------------------------------------------------------ */

/* By deletions, and by updates that shrink. */
START_TEST(what_frees_makes_room)
{
    struct svm_refusal refusal;
    open_rig();
    create_objects();
    become_full(OBJECTS / 2 * DATA);
    ck_assert_int_eq(create(&refusal), SVM_E_STORAGE_READ_ONLY);
    ck_assert_uint_eq(refusal.retry_after_ms, 1000);
    ck_assert_ptr_nonnull(strstr(refusal.reason, "cache.bytes"));
    for (unsigned i = 0; i < OBJECTS / 2 + OBJECTS / 4; i++) {
        enum svm_err err = run_op(i, _i ? SVM_OP_UPDATE : SVM_OP_DELETE, LESS);
        ck_assert_msg(err == SVM_OK, "%u: %s", i, svm_err_name(err));
    }
    until_writable();
    struct svm_stats stats;
    svm_stats(rig.engine, &stats);
    ck_assert(!stats.read_only);
    ck_assert_uint_lt(stats.resident_bytes, filled - (uint64_t)OBJECTS / 2 * DATA);
    ck_assert_int_eq(create(&refusal), SVM_OK);
    rig_deinit(&rig);
}
END_TEST

/* What would leave more than it finds, or as much, is refused, with the objects as they were. */
START_TEST(what_does_not_free_is_refused)
{
    struct svm_refusal refusal;
    struct svm_tx_builder *builder;
    open_rig();
    create_objects();
    become_full(OBJECTS / 2 * DATA);
    ck_assert_int_eq(run_op(0, SVM_OP_UPDATE, DATA + 1), SVM_E_STORAGE_READ_ONLY);
    ck_assert_int_eq(run_op(0, SVM_OP_UPDATE, DATA), SVM_E_STORAGE_READ_ONLY);
    ck_assert_int_eq(run_op(0, SVM_OP_TRANSFER, 0), SVM_E_STORAGE_READ_ONLY);
    ck_assert_int_eq(run_op(0, SVM_OP_FREEZE, 0), SVM_E_STORAGE_READ_ONLY);
    builder = begin(); /* one goes, one like it comes */
    add_op(builder, add_input(builder, 0), SVM_OP_DELETE, 0);
    add_create(builder, DATA);
    ck_assert_int_eq(run(builder, &refusal), SVM_E_STORAGE_READ_ONLY);
    builder = begin(); /* less, but for what a further owner takes */
    int input = add_input(builder, 0);
    add_op(builder, input, SVM_OP_UPDATE, DATA - 1);
    add_op(builder, input, SVM_OP_TRANSFER, 0);
    ck_assert_int_eq(run(builder, &refusal), SVM_E_STORAGE_READ_ONLY);
    builder = begin(); /* one goes, a small one comes */
    add_op(builder, add_input(builder, 0), SVM_OP_DELETE, 0);
    add_create(builder, LESS);
    ck_assert_int_eq(run(builder, &refusal), SVM_OK);
    struct svm_stats stats;
    svm_stats(rig.engine, &stats);
    ck_assert_uint_eq(stats.refused[SVM_E_STORAGE_READ_ONLY], 6);
    ck_assert(stats.read_only);
    rig_deinit(&rig);
}
END_TEST

/* The objects alone are within cache.bytes, and there is always somebody who deletes: what goes is collected for all that. */
START_TEST(deletions_that_trickle_make_room)
{
    enum { FIRST = OBJECTS / 2, PAUSE_MS = 300, MORE = 30, TOMBSTONE = 128 };
    struct svm_refusal refusal;
    open_rig();
    create_objects();
    become_full(-(FIRST + MORE) * TOMBSTONE);
    unsigned i = 0;
    for (; i < FIRST; i++)
        ck_assert_int_eq(run_op(i, SVM_OP_DELETE, 0), SVM_OK);
    for (; i < FIRST + MORE && svm_health(rig.engine, &refusal) != SVM_OK; i++) {
        rig_sleep(PAUSE_MS);
        ck_assert_int_eq(run_op(i, SVM_OP_DELETE, 0), SVM_OK);
    }
    ck_assert_msg(svm_health(rig.engine, &refusal) == SVM_OK, "%s", refusal.reason);
    rig_deinit(&rig);
}
END_TEST

static void delete_many(bool lend)
{
    static struct support_tx txs[OBJECTS];
    static struct svm_submission batch[OBJECTS];
    struct support_wait wait;
    support_wait_init(&wait, OBJECTS);
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct svm_tx_builder *builder = begin();
        if (i % 2)
            add_create(builder, 0);
        else
            add_op(builder, add_input(builder, i), SVM_OP_DELETE, 0);
        support_finish(&txs[i], builder, &alice.key);
        batch[i] = (struct svm_submission){.bytes = txs[i].bytes, .arg = &wait};
    }
    (lend ? svm_run_batch : svm_submit_batch)(rig.engine, batch, OBJECTS, SVM_WAIT_EXECUTED,
                                              support_wait_one);
    for (unsigned i = 0; i < OBJECTS; i++)
        ck_assert_int_eq(batch[i].err, SVM_OK);
    support_wait_all(&wait);
    ck_assert_uint_eq(wait.ok, OBJECTS / 2);
    ck_assert_uint_eq(wait.by_error[SVM_E_STORAGE_READ_ONLY], OBJECTS / 2);
}

START_TEST(batches_free_too)
{
    open_rig();
    create_objects();
    become_full(OBJECTS * DATA); /* to stay so */
    delete_many(_i);
    rig_deinit(&rig);
}
END_TEST

/* ---- cells ------------------------------------------------------------------------------------------------------- */

struct write {
    unsigned from, to;
    size_t len; /* 0: deleted */
};

static enum svm_err write_cells(void *arg, struct svm_cell_txn *txn)
{
    const struct write *write = arg;
    enum svm_err err = SVM_OK;
    for (unsigned i = write->from; i < write->to && err == SVM_OK; i++) {
        uint8_t name = (uint8_t)(i + 1);
        struct svm_bytes key = {&name, 1};
        err = write->len ? svm_cell_put(txn, key, (struct svm_bytes){data, write->len})
                         : svm_cell_del(txn, key);
    }
    return err;
}

static enum svm_err run_cells(unsigned from, unsigned to, size_t len)
{
    struct write write = {from, to, len};
    return svm_cell_run(rig.engine, write_cells, &write, SVM_WAIT_EXECUTED, NULL, NULL);
}

START_TEST(cells_free_too)
{
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    open_rig();
    ck_assert_int_eq(run_cells(0, CELLS, DATA), SVM_OK);
    become_full(CELLS / 4 * DATA);
    ck_assert_int_eq(run_cells(CELLS, CELLS + 1, 1), SVM_E_STORAGE_READ_ONLY);
    ck_assert_int_eq(run_cells(0, 1, DATA), SVM_E_STORAGE_READ_ONLY);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_get(txn, (struct svm_bytes){(const uint8_t *)"\1", 1}, &value),
                     SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL), SVM_OK);
    ck_assert_int_eq(run_cells(0, CELLS / 4, LESS), SVM_OK);
    ck_assert_int_eq(run_cells(CELLS / 4, CELLS / 2 + CELLS / 4, 0), SVM_OK);
    until_writable();
    ck_assert_int_eq(run_cells(CELLS, CELLS + 1, 1), SVM_OK);
    rig_deinit(&rig);
}
END_TEST

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

/* A snapshot keeps what is deleted after it: an eighth of cache.bytes may go on that, then nothing is taken until it is closed. */
START_TEST(what_a_snapshot_keeps_is_bounded)
{
    struct svm_refusal refusal;
    struct svm_snapshot *snapshot;
    open_rig();
    create_objects();
    become_full((OBJECTS - 16) * DATA);
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    enum svm_err err = SVM_OK;
    for (unsigned i = 0; i < OBJECTS && err == SVM_OK; i++) {
        err = run_op(i, SVM_OP_UPDATE, DATA - 1);
        rig_sleep(1);
    }
    ck_assert_int_eq(err, SVM_E_STORAGE_READ_ONLY);
    ck_assert_int_eq(svm_health(rig.engine, &refusal), SVM_E_STORAGE_READ_ONLY);
    ck_assert_ptr_nonnull(strstr(refusal.reason, "snapshot"));
    struct svm_object *object;
    ck_assert_int_eq(svm_object_get(snapshot, &ids[0], &object), SVM_OK);
    ck_assert_uint_eq(object->data.len, DATA);
    svm_object_free(object);
    svm_snapshot_close(snapshot);
    for (unsigned i = 0; i < 10000 && err == SVM_E_STORAGE_READ_ONLY; i++) {
        rig_sleep(1);
        err = run_op(OBJECTS - 1, SVM_OP_DELETE, 0);
    }
    ck_assert_int_eq(err, SVM_OK);
    rig_deinit(&rig);
}
END_TEST

/* Receipts that wait for their expiry are no object's memory: no deletion gives it back. */
START_TEST(no_room_for_receipts)
{
    struct svm_refusal refusal;
    open_rig();
    create_objects();
    struct svm_config config = rig.config;
    config.tx_dedupe_bytes = 1;
    svm_reconfigure(rig.engine, &config);
    for (unsigned i = 0; i < 5000 && svm_health(rig.engine, &refusal) == SVM_OK; i++)
        rig_sleep(1);
    ck_assert_ptr_nonnull(strstr(refusal.reason, "tx.dedupe_bytes"));
    ck_assert_int_eq(run_op(0, SVM_OP_DELETE, 0), SVM_E_STORAGE_READ_ONLY);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("room");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, what_frees_makes_room, 0, 2);
    tcase_add_test(tc, what_does_not_free_is_refused);
    tcase_add_test(tc, deletions_that_trickle_make_room);
    tcase_add_loop_test(tc, batches_free_too, 0, 2);
    tcase_add_test(tc, cells_free_too);
    tcase_add_test(tc, what_a_snapshot_keeps_is_bounded);
    tcase_add_test(tc, no_room_for_receipts);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
