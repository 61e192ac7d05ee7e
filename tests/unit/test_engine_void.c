/* Somebody claims what was read between the taking of a position and the second look at it: the position is void, nothing of the
 * transaction is seen, and it is tried again at another. The linker leads the taking of positions here (--wrap). */
#include <check.h>
#include <string.h>

#include "engine/internal.h"
#include "engine_rig.h"

static struct rig rig;

/* ---- between the position and the second look ------------------------------------------------------------------ */

static _Atomic bool armed;
static struct mvcc_head *head; /* what is claimed there */
static uint64_t head_state;
static _Atomic unsigned claims;

static void claim_now(void)
{
    if (atomic_exchange(&armed, false)) {
        bool claimed = mvcc_try_claim(head, &head_state);
        SVM_ASSERT(claimed);
        atomic_fetch_add(&claims, 1);
    }
}

uint64_t __real_mvcc_seq_next(struct mvcc *mvcc);
uint64_t __wrap_mvcc_seq_next(struct mvcc *mvcc);
uint64_t __wrap_mvcc_seq_next(struct mvcc *mvcc)
{
    uint64_t seq = __real_mvcc_seq_next(mvcc);
    claim_now();
    return seq;
}

uint64_t __real_mvcc_seq_next_many(struct mvcc *mvcc, uint32_t count);
uint64_t __wrap_mvcc_seq_next_many(struct mvcc *mvcc, uint32_t count);
uint64_t __wrap_mvcc_seq_next_many(struct mvcc *mvcc, uint32_t count)
{
    uint64_t seq = __real_mvcc_seq_next_many(mvcc, count);
    claim_now();
    return seq;
}

/* The head of KEY, which is resident and stays so: the engine is the rig's, and no collector evicts in its short life. */
static struct mvcc_head *find(struct mvcc_table *table, const uint8_t *key, size_t len)
{
    struct mvcc_thread *thread = mvcc_thread_create(rig.engine->mvcc);
    struct mvcc_head *found;
    mvcc_online(thread);
    ck_assert_int_eq(mvcc_hold(table, thread, key, len, &found), MVCC_HELD);
    mvcc_offline(thread);
    mvcc_thread_destroy(thread);
    return found; /* held */
}

static void arm(struct mvcc_head *which)
{
    head = which;
    atomic_store(&claims, 0);
    atomic_store(&armed, true);
}

static void let_go(void)
{
    mvcc_release(head, head_state);
}

/* ---- transactions ------------------------------------------------------------------------------------------------ */

/* FROM's coin LABEL pays 10 to bob if the counter, which is only read, holds 0. */
static void pay_if_zero(struct support_tx *tx, const char *from, const char *label)
{
    struct svm_dev_account sender, receiver;
    struct svm_chain_info info;
    struct svm_id coin, counter;
    svm_dev_account(&sender, support_account(from));
    svm_dev_account(&receiver, support_account("bob"));
    svm_dev_object_id(&coin, label);
    svm_dev_object_id(&counter, "counter");
    svm_chain_info(rig.engine, &info);
    struct svm_tx_builder *builder = svm_tx_builder_create(info.chain, &sender.address);
    svm_tx_builder_gas_limit(builder, 100000);
    svm_tx_builder_expires(builder, svm_now_ms(rig.engine) + 60000);
    struct svm_op pay = {.kind = SVM_OP_PAY};
    pay.input = (uint16_t)svm_tx_builder_owned_latest(builder, &coin);
    pay.u.pay.to = receiver.address;
    pay.u.pay.amount.units = 10;
    (void)svm_tx_builder_shared(builder, &counter, false);
    svm_tx_builder_op(builder, &pay);
    support_finish(tx, builder, &sender.key);
}

static void until_claimed(void)
{
    for (unsigned i = 0; i < 5000 && atomic_load(&claims) == 0; i++)
        rig_sleep(1);
    ck_assert_uint_eq(atomic_load(&claims), 1);
}

START_TEST(a_transaction_gives_its_position_up)
{
    static const enum svm_durability modes[] = {SVM_MEMORY, SVM_SYNC, SVM_INTERVAL};
    struct support_tx tx, other;
    struct rig_call call, next;
    struct svm_stats before, after;
    struct svm_id id;
    rig_init(&rig, modes[_i]);
    rig.config.durability_interval_ms = 5;
    rig_open(&rig);
    svm_dev_object_id(&id, "counter");
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), 0);
    struct mvcc_head *counter = find(rig.engine->objects, id.b, sizeof id.b);
    svm_stats(rig.engine, &before);
    pay_if_zero(&tx, "alice", "alice spare 0");
    arm(counter);
    rig_submit(&rig, &call, &tx, SVM_WAIT_DURABLE);
    until_claimed();
    ck_assert(!rig_answered(&call, 30));
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 1000);
    support_pay(&other, rig.engine, "alice", "alice spare 1", 1, "bob", 10);
    rig_do(&rig, &other, SVM_WAIT_EXECUTED, SVM_OK, &next); /* others go on */
    let_go();
    ck_assert(rig_answered(&call, 5000));
    ck_assert_int_eq(call.err, SVM_OK);
    ck_assert_uint_gt(call.seq, before.applied_seq + 1); /* the first was void */
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    svm_stats(rig.engine, &after);
    ck_assert_uint_eq(after.conflicts, before.conflicts + 1);
    mvcc_unhold(counter);
    if (modes[_i] != SVM_MEMORY) { /* the void position is in the log */
        rig_reopen(&rig);
        ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
        ck_assert_uint_eq(svm_applied_seq(rig.engine), call.seq > next.seq ? call.seq : next.seq);
        rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, &next);
        ck_assert(next.duplicate);
        ck_assert_uint_eq(next.seq, call.seq);
    }
    rig_deinit(&rig);
}
END_TEST

/* What it has read stays claimed for all attempts. */
START_TEST(it_is_not_tried_for_ever)
{
    struct support_tx tx;
    struct rig_call call;
    struct svm_id id;
    rig_init(&rig, SVM_MEMORY);
    rig.config.busy_attempts_max = 3;
    rig_open(&rig);
    svm_dev_object_id(&id, "counter");
    struct mvcc_head *counter = find(rig.engine->objects, id.b, sizeof id.b);
    pay_if_zero(&tx, "alice", "alice spare 0");
    arm(counter);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_E_BUSY, &call);
    ck_assert_uint_eq(call.refusal.attempts, 3);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 1000);
    let_go();
    mvcc_unhold(counter);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, NULL);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    rig_deinit(&rig);
}
END_TEST

/* ---- cells --------------------------------------------------------------------------------------------------------- */

static const struct svm_bytes from = {(const uint8_t *)"from", 4}, to = {(const uint8_t *)"to", 2},
                              one = {(const uint8_t *)"1", 1};

static enum svm_err copy(void *arg, struct svm_cell_txn *txn)
{
    struct svm_bytes value;
    unsigned *runs = arg;
    if (++*runs == 2)
        let_go(); /* whoever had claimed it has gone away */
    enum svm_err err = svm_cell_get(txn, from, &value);
    return err == SVM_OK ? svm_cell_put(txn, to, value) : err;
}

static enum svm_err write_from(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    return svm_cell_put(txn, from, one);
}

static enum svm_err value_of(struct svm_bytes key)
{
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    enum svm_err err = svm_cell_get(txn, key, &value);
    svm_cell_abort(txn);
    return err;
}

static struct mvcc_head *cells_open(enum svm_durability mode)
{
    rig_init(&rig, mode);
    rig_open(&rig);
    ck_assert_int_eq(svm_cell_run(rig.engine, write_from, NULL, SVM_WAIT_DURABLE, NULL, NULL),
                     SVM_OK);
    return find(rig.engine->cells, from.ptr, from.len);
}

START_TEST(a_commit_gives_its_position_up)
{
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    struct svm_cell_key lost;
    uint64_t seq = 0;
    unsigned runs = 0;
    struct mvcc_head *source = cells_open(_i ? SVM_SYNC : SVM_MEMORY);
    rig.config.busy_attempts_max = 1; /* the commit is not tried again */
    svm_reconfigure(rig.engine, &rig.config);
    uint64_t before = svm_applied_seq(rig.engine);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_get(txn, from, &value), SVM_OK);
    ck_assert_int_eq(svm_cell_put(txn, to, value), SVM_OK);
    arm(source);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_DURABLE, &seq, &lost), SVM_E_BUSY);
    ck_assert_uint_eq(atomic_load(&claims), 1);
    ck_assert_uint_eq(seq, 0);
    ck_assert_uint_eq(lost.len, from.len);
    ck_assert_mem_eq(lost.b, from.ptr, from.len);
    ck_assert_int_eq(value_of(to), SVM_E_NOT_FOUND);
    ck_assert_uint_eq(svm_applied_seq(rig.engine), before + 1); /* void */
    let_go();
    arm(source);
    ck_assert_int_eq(svm_cell_run(rig.engine, copy, &runs, SVM_WAIT_DURABLE, &seq, NULL), SVM_OK);
    ck_assert_uint_eq(runs, 2);
    ck_assert_uint_eq(seq, before + 3);
    ck_assert_int_eq(value_of(to), SVM_OK);
    mvcc_unhold(source);
    if (_i) {
        rig_reopen(&rig);
        ck_assert_int_eq(value_of(to), SVM_OK);
        ck_assert_uint_eq(svm_applied_seq(rig.engine), seq);
    }
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("void");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_transaction_gives_its_position_up, 0, 3);
    tcase_add_test(tc, it_is_not_tried_for_ever);
    tcase_add_loop_test(tc, a_commit_gives_its_position_up, 0, 2);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
