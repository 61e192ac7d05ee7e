/* Reading what is not in memory: by two at once, from a disk that fails for one of them, and of what is not there or is deleted. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "engine_rig.h"

static struct rig rig;

/* ---- a state that is slow, or fails -------------------------------------------------------------------------------- */

static _Atomic bool reads_held;
static _Atomic unsigned at_read, reads_failing; /* so many of the next ones */
static _Atomic bool walks_failing;
static enum svm_err (*state_get)(void *self, struct svm_bytes key, uint8_t **value_out,
                                 size_t *len_out);
static struct svm_kv_iter *(*state_walk)(void *self);

static _Atomic int spoiled = -1;  /* this byte of what is read */
static _Atomic uint64_t numbered; /* the version of the cells that are read, if not 0 */
static _Atomic uint64_t come_to;  /* the position that the state says it has come to, if not 0 */
static _Atomic size_t read_len;

static bool take_failure(void)
{
    unsigned left = atomic_load(&reads_failing);
    while (left > 0)
        if (atomic_compare_exchange_weak(&reads_failing, &left, left - 1))
            return true;
    return false;
}

static enum svm_err get(void *self, struct svm_bytes key, uint8_t **value_out, size_t *len_out)
{
    atomic_fetch_add(&at_read, 1);
    while (atomic_load(&reads_held))
        rig_sleep(1);
    if (take_failure())
        return SVM_E_IO;
    enum svm_err err = state_get(self, key, value_out, len_out);
    const int at = atomic_load(&spoiled);
    if (err == SVM_OK) {
        atomic_store(&read_len, *len_out);
        if (at >= 0 && (size_t)at < *len_out)
            (*value_out)[at] ^= 0xff;
        const uint64_t number = atomic_load(&numbered);
        if (number != 0 && key.len > 0 && key.ptr[0] == 'c')
            memcpy(*value_out + 8, &number, sizeof number);
        const uint64_t seq = atomic_load(&come_to);
        if (seq != 0 && *len_out > 48 && memcmp(*value_out, "SVMM", 4) == 0) /* store/meta.h */
            memcpy(*value_out + 40, &seq, sizeof seq);
    }
    return err;
}

static struct svm_kv_iter *walk(void *self)
{
    return atomic_load(&walks_failing) ? NULL : state_walk(self);
}

static void open_rig(void)
{
    rig_init(&rig, SVM_SYNC);
    state_get = rig.state_ops.get;
    rig.state_ops.get = get;
    state_walk = rig.state_ops.iter_open;
    rig.state_ops.iter_open = walk;
    atomic_store(&reads_held, false);
    atomic_store(&walks_failing, false);
    atomic_store(&reads_failing, 0);
    rig_open(&rig);
    atomic_store(&at_read, 0);
}

/* ---- who reads ------------------------------------------------------------------------------------------------------ */

static const struct svm_bytes key = {(const uint8_t *)"k", 1};

static enum svm_err put(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    return svm_cell_put(txn, key, key);
}

static enum svm_err read_cell(void)
{
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    enum svm_err err = svm_cell_begin(rig.engine, &txn);
    if (err != SVM_OK)
        return err;
    err = svm_cell_get(txn, key, &value);
    svm_cell_abort(txn);
    return err;
}

static enum svm_err read_object(void)
{
    struct svm_snapshot *snapshot;
    struct svm_object *object;
    struct svm_id id;
    svm_dev_object_id(&id, "alice spare 0");
    enum svm_err err = svm_snapshot_open(rig.engine, &snapshot);
    if (err != SVM_OK)
        return err;
    err = svm_object_get(snapshot, &id, &object);
    svm_object_free(object);
    svm_snapshot_close(snapshot);
    return err;
}

struct reader {
    pthread_t thread;
    enum svm_err (*read)(void);
    enum svm_err err;
};

static void *reader_main(void *arg)
{
    struct reader *reader = arg;
    reader->err = reader->read();
    return NULL;
}

static void reader_start(struct reader *reader, bool cell)
{
    reader->read = cell ? read_cell : read_object;
    ck_assert_int_eq(pthread_create(&reader->thread, NULL, reader_main, reader), 0);
}

static void until_reading(unsigned n)
{
    for (unsigned i = 0; i < 5000 && atomic_load(&at_read) < n; i++)
        rig_sleep(1);
    ck_assert_uint_ge(atomic_load(&at_read), n);
}

/* A cell in the state that is not resident. */
static void open_with_cell(void)
{
    open_rig();
    ck_assert_int_eq(svm_cell_run(rig.engine, put, NULL, SVM_WAIT_DURABLE, NULL, NULL), SVM_OK);
    rig_reopen(&rig);
    atomic_store(&at_read, 0);
}

/* One goes to the disk, the other waits for it; when it fails for the first, the second goes by itself. */
START_TEST(two_read_the_same)
{
    struct reader readers[2];
    const bool cell = _i & 1;
    const unsigned failing = (unsigned)_i >> 1;
    open_with_cell();
    atomic_store(&reads_held, true);
    reader_start(&readers[0], cell);
    until_reading(1);
    reader_start(&readers[1], cell);
    rig_sleep(20);
    ck_assert_uint_eq(atomic_load(&at_read), 1);
    atomic_store(&reads_failing, failing);
    atomic_store(&reads_held, false);
    unsigned failed = 0, ok = 0;
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(readers[i].thread, NULL);
        failed += readers[i].err == SVM_E_IO;
        ok += readers[i].err == SVM_OK;
    }
    ck_assert_uint_eq(failed, failing);
    ck_assert_uint_eq(ok, 2 - failing);
    ck_assert_int_eq(cell ? read_cell() : read_object(), SVM_OK);
    ck_assert_int_eq(svm_health(rig.engine, NULL), SVM_OK);
    rig_deinit(&rig);
}
END_TEST

/* A transaction waits for a load that somebody else has begun; when that fails it loads by itself, or is refused when that fails too. */
START_TEST(a_transaction_meets_a_load)
{
    struct reader reader;
    struct support_tx tx;
    struct rig_call call;
    open_rig();
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    atomic_store(&reads_held, true);
    reader_start(&reader, false);
    until_reading(1);
    rig_submit(&rig, &call, &tx, SVM_WAIT_DURABLE);
    ck_assert(!rig_answered(&call, 30));
    atomic_store(&reads_failing, (unsigned)_i);
    atomic_store(&reads_held, false);
    pthread_join(reader.thread, NULL);
    ck_assert_int_eq(reader.err, _i > 0 ? SVM_E_IO : SVM_OK);
    ck_assert(rig_answered(&call, 5000));
    ck_assert_int_eq(call.err, _i == 2 ? SVM_E_INTERNAL : SVM_OK);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), _i == 2 ? 1000 : 990);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, &call);
    ck_assert(call.duplicate == (_i != 2));
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    rig_deinit(&rig);
}
END_TEST

/* Cells read or written from a disk that fails: the transaction may go on without them. */
START_TEST(a_cell_that_cannot_be_read)
{
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    open_with_cell();
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    atomic_store(&reads_failing, 2);
    ck_assert_int_eq(svm_cell_get(txn, key, &value), SVM_E_IO);
    ck_assert_int_eq(svm_cell_put(txn, key, key), SVM_E_IO);
    ck_assert_int_eq(svm_cell_get(txn, key, &value), SVM_OK);
    ck_assert_uint_eq(value.len, 1);
    ck_assert_int_eq(svm_cell_del(txn, key), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_DURABLE, NULL, NULL), SVM_OK);
    ck_assert_int_eq(read_cell(), SVM_E_NOT_FOUND);
    rig_reopen(&rig);
    ck_assert_int_eq(read_cell(), SVM_E_NOT_FOUND);
    rig_deinit(&rig);
}
END_TEST

/* A row that is not what was written: an error, or whatever it says, but the engine stays what it is. */
START_TEST(a_spoiled_row_is_survived)
{
    unsigned refused = 0;
    size_t len = 1;
    open_with_cell();
    for (size_t at = 0; at < len; at += getenv("SVM_SHORT") && at > 30 ? 5 : 1) {
        atomic_store(&spoiled, (int)at);
        enum svm_err err = _i ? read_cell() : read_object();
        atomic_store(&spoiled, -1);
        len = atomic_load(&read_len);
        ck_assert_msg(err == SVM_OK || err == SVM_E_IO || err == SVM_E_NOT_FOUND ||
                          err == SVM_E_OBJECT_DELETED,
                      "byte %zu: %s", at, svm_err_name(err));
        refused += err == SVM_E_IO;
        ck_assert_int_eq(svm_health(rig.engine, NULL), SVM_OK);
        if (err != SVM_E_IO) /* it is resident now */
            rig_reopen(&rig);
    }
    ck_assert_uint_gt(len, 1);
    ck_assert_uint_gt(refused, 0);
    ck_assert_int_eq(_i ? read_cell() : read_object(), SVM_OK);
    rig_deinit(&rig);
}
END_TEST

/* A version whose next one would not fit is nothing that a node has written. */
START_TEST(the_next_version_has_to_fit)
{
    enum { NUMBER_BITS = 54 };
    const bool last = _i == 0;
    open_with_cell();
    atomic_store(&numbered, ((uint64_t)1 << NUMBER_BITS) - (last ? 1 : 2));
    ck_assert_int_eq(read_cell(), last ? SVM_E_IO : SVM_OK);
    atomic_store(&numbered, 0);
    ck_assert_int_eq(svm_health(rig.engine, NULL), SVM_OK);
    ck_assert_int_eq(svm_cell_run(rig.engine, put, NULL, SVM_WAIT_DURABLE, NULL, NULL), SVM_OK);
    ck_assert_int_eq(read_cell(), SVM_OK);
    rig_deinit(&rig);
}
END_TEST

/* A chain so long that its last positions might be met is not opened; one with half of them left is. */
START_TEST(a_position_that_no_chain_comes_to)
{
    enum { HALF_BITS = 53 };
    struct svm_refusal detail;
    const bool last = _i == 0;
    open_rig();
    rig_close(&rig);
    atomic_store(&come_to, ((uint64_t)1 << HALF_BITS) - (last ? 1 : 2));
    ck_assert_int_eq(svm_engine_open(&rig.engine, &rig.config, &detail),
                     last ? SVM_E_CORRUPT : SVM_OK);
    atomic_store(&come_to, 0);
    if (last) {
        ck_assert_ptr_nonnull(strstr(detail.reason, "position"));
        rig_open(&rig);
    }
    ck_assert_int_eq(svm_cell_run(rig.engine, put, NULL, SVM_WAIT_DURABLE, NULL, NULL), SVM_OK);
    rig_deinit(&rig);
}
END_TEST

/* ---- questions -------------------------------------------------------------------------------------------------------- */

static struct support_tx tx;
static struct svm_object *objects[400];

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

static enum svm_err ask_paths(struct svm_snapshot *snapshot)
{
    struct svm_dev_account account;
    struct svm_id id;
    const struct svm_id *ids[] = {&id};
    enum svm_path path;
    svm_dev_account(&account, 0);
    svm_dev_object_id(&id, "alice spare 3");
    return svm_route_objects(snapshot, &account.address, ids, 1, &path);
}

static enum svm_err ask_simulate(struct svm_snapshot *snapshot)
{
    struct svm_receipt *receipt;
    (void)snapshot;
    enum svm_err err = svm_simulate(rig.engine, tx.bytes, true, &receipt, NULL);
    svm_receipt_free(receipt);
    return err;
}

static enum svm_err ask_route(struct svm_snapshot *snapshot)
{
    static struct svm_route route;
    (void)snapshot;
    return svm_explain_route(rig.engine, tx.bytes, true, &route, NULL);
}

static enum svm_err (*const questions[])(struct svm_snapshot *) = {ask_list, ask_hash, ask_paths,
                                                                   ask_simulate, ask_route};

START_TEST(a_question_is_not_answered_from_a_disk_that_fails)
{
    struct svm_snapshot *snapshot;
    open_rig();
    support_pay(&tx, rig.engine, "alice", "alice spare 2", 1, "bob", 10);
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    atomic_store(&reads_failing, 1);
    ck_assert_int_eq(questions[_i](snapshot), SVM_E_IO);
    ck_assert_uint_eq(atomic_load(&reads_failing), 0);
    if (_i < 2) { /* these walk */
        atomic_store(&walks_failing, true);
        ck_assert_int_eq(questions[_i](snapshot), SVM_E_NO_MEMORY);
        atomic_store(&walks_failing, false);
    }
    ck_assert_int_eq(questions[_i](snapshot), SVM_OK);
    svm_snapshot_close(snapshot);
    rig_deinit(&rig);
}
END_TEST

/* ---- what is not there ------------------------------------------------------------------------------------------------- */

static struct svm_tx_builder *builder_of(const struct svm_dev_account *sender)
{
    struct svm_chain_info info;
    svm_chain_info(rig.engine, &info);
    struct svm_tx_builder *builder = svm_tx_builder_create(info.chain, &sender->address);
    svm_tx_builder_gas_limit(builder, 10000000);
    svm_tx_builder_expires(builder, svm_now_ms(rig.engine) + 60000);
    return builder;
}

static uint8_t raw[16000];
static struct svm_bytes finish(struct svm_tx_builder *builder)
{
    struct svm_refusal refusal;
    size_t len;
    ck_assert_msg(svm_tx_builder_finish(builder, raw, sizeof raw, &len, &refusal) == SVM_OK, "%s",
                  refusal.reason);
    svm_tx_builder_destroy(builder);
    return (struct svm_bytes){raw, len};
}

/* An unsigned transaction that deletes ID at VERSION. */
static struct svm_bytes deletion(const struct svm_id *id, uint64_t version)
{
    struct svm_dev_account sender;
    svm_dev_account(&sender, 0);
    struct svm_tx_builder *builder = builder_of(&sender);
    struct svm_op op = {.kind = SVM_OP_DELETE};
    op.input = (uint16_t)svm_tx_builder_owned(builder, id, version);
    svm_tx_builder_op(builder, &op);
    return finish(builder);
}

static void sign(struct svm_bytes unsigned_bytes)
{
    struct svm_dev_account sender;
    svm_dev_account(&sender, 0);
    svm_tx_digest(&tx.digest, unsigned_bytes);
    ck_assert_int_eq(svm_tx_sign(tx.buf, sizeof tx.buf, &tx.bytes.len, unsigned_bytes, &sender.key),
                     SVM_OK);
    tx.bytes.ptr = tx.buf;
}

/* Simulated and explained as it would be refused: unknown, deleted, signed or not. */
START_TEST(what_is_gone_is_explained)
{
    static struct svm_route route;
    struct svm_receipt *receipt;
    struct svm_refusal refusal;
    struct svm_id id, unknown = {{7}};
    struct svm_bytes bytes;
    rig_init(&rig, _i ? SVM_SYNC : SVM_MEMORY);
    rig_open(&rig);
    struct svm_dev_account sender;
    svm_dev_account(&sender, 0);
    struct svm_tx_builder *builder = builder_of(&sender);
    struct svm_op op = {.kind = SVM_OP_CREATE};
    op.u.create.owner = (struct svm_owner){.kind = SVM_KIND_OWNED, .address = sender.address};
    op.u.create.type = (struct svm_bytes){(const uint8_t *)"note", 4};
    svm_tx_builder_op(builder, &op);
    sign(finish(builder));
    ck_assert_int_eq(svm_simulate(rig.engine, tx.bytes, true, &receipt, &refusal), SVM_OK);
    svm_receipt_free(receipt);
    ck_assert_int_eq(
        svm_submit_wait(rig.engine, tx.bytes, SVM_WAIT_DURABLE, &receipt, NULL, &refusal), SVM_OK);
    id = receipt->changes[0].id;
    uint64_t version = receipt->changes[0].version;
    svm_receipt_free(receipt);

    bytes = deletion(&unknown, 1);
    ck_assert_int_eq(svm_simulate(rig.engine, bytes, false, &receipt, &refusal),
                     SVM_E_OBJECT_NOT_FOUND);
    ck_assert_int_eq(svm_explain_route(rig.engine, bytes, false, &route, NULL), SVM_OK);
    ck_assert_int_eq(route.err, SVM_E_OBJECT_NOT_FOUND);
    ck_assert_int_eq(route.rule, SVM_RULE_REFUSED);
    ck_assert(!route.inputs[0].known);

    bytes = deletion(&id, version);
    ck_assert_int_eq(svm_simulate(rig.engine, bytes, false, &receipt, NULL), SVM_OK);
    ck_assert_int_eq(receipt->changes[0].change, SVM_CHANGE_DELETED);
    svm_receipt_free(receipt);
    ck_assert_int_eq(svm_explain_route(rig.engine, bytes, false, &route, &refusal), SVM_OK);
    ck_assert_int_eq(route.rule, SVM_RULE_ALL_OWNED);
    sign(bytes);
    ck_assert_int_eq(
        svm_submit_wait(rig.engine, tx.bytes, SVM_WAIT_DURABLE, &receipt, NULL, &refusal), SVM_OK);
    svm_receipt_free(receipt);
    bytes = deletion(&id, version + 1);
    ck_assert_int_eq(svm_simulate(rig.engine, bytes, false, &receipt, &refusal),
                     SVM_E_OBJECT_DELETED);
    ck_assert(refusal.has & SVM_HAS_SEQ);
    ck_assert_int_eq(svm_explain_route(rig.engine, bytes, false, &route, &refusal), SVM_OK);
    ck_assert_int_eq(route.err, SVM_E_OBJECT_DELETED);
    ck_assert(route.inputs[0].known && route.inputs[0].deleted);
    ck_assert_int_eq(
        svm_simulate(rig.engine, (struct svm_bytes){raw, 3}, false, &receipt, &refusal),
        SVM_E_TX_DECODE);
    ck_assert_int_eq(svm_explain_route(rig.engine, (struct svm_bytes){raw, 3}, true, &route, NULL),
                     SVM_E_TX_DECODE);

    struct svm_snapshot *snapshot;
    const struct svm_id *ids[] = {&id, &unknown};
    enum svm_path path;
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_route_objects(snapshot, &sender.address, ids, 2, &path),
                     SVM_E_OBJECT_DELETED);
    ck_assert_int_eq(svm_route_objects(snapshot, &sender.address, ids + 1, 1, &path),
                     SVM_E_OBJECT_NOT_FOUND);
    ck_assert_int_eq(svm_route_objects(snapshot, &sender.address, ids, 0, &path), SVM_OK);
    struct svm_digest hash; /* which passes over what is deleted */
    ck_assert_int_eq(svm_state_hash(snapshot, &hash), SVM_OK);
    svm_snapshot_close(snapshot);
    rig_deinit(&rig);
}
END_TEST

/* ---- long lists --------------------------------------------------------------------------------------------------------- */

/* More than one look at the index gives, some of it in the state and some not yet: each once, in order. */
START_TEST(a_long_list_is_whole)
{
    enum { TXS = 40, EACH = 15, MANY = TXS * EACH };
    static struct svm_object *all[MANY + 1];
    struct svm_dev_account sender, owner;
    struct svm_snapshot *snapshot;
    struct svm_receipt *receipt;
    size_t count, seen = 0;
    bool more = true;
    rig_init(&rig, _i ? SVM_SYNC : SVM_MEMORY);
    rig_open(&rig);
    svm_dev_account(&sender, 0);
    memset(&owner, 0, sizeof owner);
    memset(&owner.address, 0x77, sizeof owner.address);
    for (unsigned i = 0; i < TXS; i++) {
        struct svm_tx_builder *builder = builder_of(&sender);
        svm_tx_builder_nonce(builder, i);
        for (unsigned k = 0; k < EACH; k++) {
            struct svm_op op = {.kind = SVM_OP_CREATE};
            op.u.create.owner =
                (struct svm_owner){.kind = SVM_KIND_OWNED, .address = owner.address};
            op.u.create.type = (struct svm_bytes){(const uint8_t *)"note", 4};
            svm_tx_builder_op(builder, &op);
        }
        sign(finish(builder));
        ck_assert_int_eq(
            svm_submit_wait(rig.engine, tx.bytes, SVM_WAIT_DURABLE, &receipt, NULL, NULL), SVM_OK);
        svm_receipt_free(receipt);
    }
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_object_list(snapshot, &owner.address, NULL, all, MANY + 1, &count, &more),
                     SVM_OK);
    ck_assert_uint_eq(count, MANY);
    ck_assert(!more);
    for (size_t i = 1; i < count; i++)
        ck_assert(memcmp(all[i - 1]->id.b, all[i]->id.b, sizeof all[i]->id.b) < 0);
    const struct svm_id *after = NULL;
    do {
        ck_assert_int_eq(
            svm_object_list(snapshot, &owner.address, after, objects, 256, &count, &more), SVM_OK);
        for (size_t i = 0; i < count; i++) {
            ck_assert_mem_eq(objects[i]->id.b, all[seen + i]->id.b, sizeof all[0]->id.b);
            svm_object_free(objects[i]);
        }
        seen += count;
        after = &all[seen - 1]->id;
    } while (more);
    ck_assert_uint_eq(seen, MANY);
    for (size_t i = 0; i < MANY; i++)
        svm_object_free(all[i]);
    svm_snapshot_close(snapshot);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("reads");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, two_read_the_same, 0, 6);
    tcase_add_loop_test(tc, a_transaction_meets_a_load, 0, 3);
    tcase_add_test(tc, a_cell_that_cannot_be_read);
    tcase_add_loop_test(tc, a_spoiled_row_is_survived, 0, 2);
    tcase_add_loop_test(tc, the_next_version_has_to_fit, 0, 2);
    tcase_add_loop_test(tc, a_position_that_no_chain_comes_to, 0, 2);
    tcase_add_loop_test(tc, a_question_is_not_answered_from_a_disk_that_fails, 0, 5);
    tcase_add_loop_test(tc, what_is_gone_is_explained, 0, 2);
    tcase_add_loop_test(tc, a_long_list_is_whole, 0, 2);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
