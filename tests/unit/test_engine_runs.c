/* Runs: a chain on a shared object is handed out many at a time and executed in groups. What happens when one of its middle meets a claim,
 * fails or is refused: those behind it keep their turn, and nothing is left behind. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine_rig.h"

static const enum svm_durability modes[] = {SVM_MEMORY, SVM_SYNC};
enum { MODES = 2, LENGTH = 150, PAUSES = 20, FIRST_EXACT = 40, SECOND_EXACT = 60 };

static struct rig rig;
static struct support_tx txs[LENGTH];
static struct rig_call calls[LENGTH];
static _Atomic bool fast_held;     /* those on the fast path wait under their claims */
static _Atomic uint32_t fast_ones; /* how many have been there */

/* One transaction of the chain. */
struct link {
    int64_t delta;     /* is added to the counter; 0 = it only reads it */
    const char *owned; /* pays one unit out of this too; NULL = nothing */
    uint64_t version;  /* of that; 0 = latest */
    bool reads_pool;
};

static void forge(struct support_tx *tx, const char *from, const struct link *link, uint64_t nonce)
{
    struct svm_dev_account sender, receiver;
    struct svm_chain_info info;
    struct svm_id id;
    svm_dev_account(&sender, support_account(from));
    svm_dev_account(&receiver, support_account("dave"));
    svm_chain_info(rig.engine, &info);
    struct svm_tx_builder *builder = svm_tx_builder_create(info.chain, &sender.address);
    svm_tx_builder_gas_limit(builder, 100000);
    svm_tx_builder_expires(builder, svm_now_ms(rig.engine) + 60000);
    svm_tx_builder_nonce(builder, nonce);
    svm_dev_object_id(&id, "counter");
    const int counter = svm_tx_builder_shared(builder, &id, link->delta != 0);
    if (link->delta != 0) {
        struct svm_op op = {.kind = SVM_OP_ADD, .input = (uint16_t)counter};
        op.u.add.delta = link->delta;
        svm_tx_builder_op(builder, &op);
    }
    if (link->reads_pool) {
        svm_dev_object_id(&id, "pool");
        svm_tx_builder_shared(builder, &id, false);
    }
    if (link->owned) {
        svm_dev_object_id(&id, link->owned);
        const int owned = link->version ? svm_tx_builder_owned(builder, &id, link->version)
                                        : svm_tx_builder_owned_latest(builder, &id);
        struct svm_op op = {.kind = SVM_OP_PAY, .input = (uint16_t)owned};
        op.u.pay.to = receiver.address;
        op.u.pay.amount.units = 1;
        svm_tx_builder_op(builder, &op);
    }
    support_finish(tx, builder, &sender.key);
}

static void hold_fast_ones(void *arg, const struct svm_digest *digest, enum svm_path path)
{
    (void)arg;
    (void)digest;
    if (path != SVM_PATH_FAST)
        return;
    atomic_fetch_add(&fast_ones, 1);
    while (atomic_load(&fast_held))
        rig_sleep(1);
}

/* ---- the chain ---------------------------------------------------------------------------------------------------- */

/* Writers, readers between them, some that fail, one that meets a claim, one that is refused. */
static struct link link_of(unsigned i)
{
    if (i == PAUSES)
        return (struct link){.delta = 1, .owned = "alice spare 0"};
    if (i == FIRST_EXACT || i == SECOND_EXACT)
        return (struct link){.delta = 1, .owned = "alice spare 1", .version = 1};
    if (i % 10 == 3)
        return (struct link){.owned = "alice spare 2"};
    return (struct link){.delta = i % 17 == 5 ? INT64_MIN : (int64_t)i + 1};
}

static void submit_chain(void)
{
    struct svm_submission batch[LENGTH];
    memset(calls, 0, sizeof calls);
    for (unsigned i = 0; i < LENGTH; i++) {
        const struct link link = link_of(i);
        forge(&txs[i], link.owned ? "alice" : "carol", &link, i);
        batch[i] = (struct svm_submission){.bytes = txs[i].bytes, .arg = &calls[i]};
    }
    svm_run_batch(rig.engine, batch, LENGTH, SVM_WAIT_EXECUTED, rig_called);
    for (unsigned i = 0; i < LENGTH; i++)
        ck_assert_int_eq(batch[i].err, SVM_OK);
}

/* What is added by those before END that are executed; WRITTEN_OUT: how often the counter changes. REFUSED is refused. */
static uint64_t sum_of(unsigned end, unsigned refused, uint64_t *written_out)
{
    uint64_t sum = 0;
    *written_out = 0;
    for (unsigned i = 0; i < end; i++) {
        const struct link link = link_of(i);
        if (i == refused || i == SECOND_EXACT || link.delta == 0 || link.delta == INT64_MIN)
            continue;
        sum += (uint64_t)link.delta;
        ++*written_out;
    }
    return sum;
}

static uint64_t counter_version(void)
{
    struct svm_snapshot *snapshot;
    struct svm_object *object;
    struct svm_id id;
    svm_dev_object_id(&id, "counter");
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_object_get(snapshot, &id, &object), SVM_OK);
    const uint64_t version = object->version;
    svm_object_free(object);
    svm_snapshot_close(snapshot);
    return version;
}

/* Each of FROM .. END - 1 has been answered, in the order they came. */
static void answered_in_order(unsigned from, unsigned end, unsigned refused)
{
    uint64_t last = 0;
    for (unsigned i = from; i < end; i++) {
        ck_assert_msg(rig_answered(&calls[i], 20000), "%u has no answer", i);
        const enum svm_err err = i == SECOND_EXACT ? SVM_E_VERSION_CONFLICT
                                 : i == refused    ? SVM_E_BUSY
                                                   : SVM_OK;
        ck_assert_msg(calls[i].err == err, "%u: %s", i, svm_err_name(calls[i].err));
        if (err != SVM_OK)
            continue;
        ck_assert_int_eq(calls[i].path, SVM_PATH_CONSENSUS);
        ck_assert_int_eq(calls[i].failure != SVM_FAILURE_NONE, link_of(i).delta == INT64_MIN);
        ck_assert_msg(calls[i].seq > last, "%u at %llu, the one before it at %llu", i,
                      (unsigned long long)calls[i].seq, (unsigned long long)last);
        last = calls[i].seq;
    }
}

static void nothing_is_left(void)
{
    static struct svm_stats stats;
    for (unsigned ms = 0; ms < 5000; ms++) {
        svm_stats(rig.engine, &stats);
        if (stats.inflight == 0)
            break;
        rig_sleep(1);
    }
    ck_assert_uint_eq(stats.inflight, 0);
    ck_assert_uint_eq(stats.ordered_waiting, 0);
}

static void open_with_claim(enum svm_durability mode, uint32_t attempts, struct support_tx *tx,
                            struct rig_call *call)
{
    rig_init(&rig, mode);
    rig.hooks.claimed = hold_fast_ones;
    rig.config.busy_attempts_max = attempts;
    rig_open(&rig);
    atomic_store(&fast_ones, 0);
    atomic_store(&fast_held, true);
    support_pay(tx, rig.engine, "alice", "alice spare 0", 0, "bob", 1);
    rig_submit(&rig, call, tx, SVM_WAIT_EXECUTED);
    for (unsigned ms = 0; atomic_load(&fast_ones) == 0 && ms < 5000; ms++)
        rig_sleep(1);
    ck_assert_uint_eq(atomic_load(&fast_ones), 1);
}

static void all_is_exact(uint64_t start, unsigned refused)
{
    uint64_t written;
    const uint64_t sum = start + sum_of(LENGTH, refused, &written);
    nothing_is_left();
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), sum);
    ck_assert_uint_eq(counter_version(), 1 + written);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 1"), 999);
    if (!rig.hooks.log_ops)
        return;
    rig_reopen(&rig);
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), sum);
    ck_assert_uint_eq(counter_version(), 1 + written);
}

/* One in the middle meets a claim: who stands before it is executed, who stands behind it waits, and all goes on after. */
START_TEST(a_pause_in_the_middle)
{
    struct support_tx holder;
    struct rig_call held;
    uint64_t written;
    open_with_claim(modes[_i], 1000000, &holder, &held);
    const uint64_t start = support_counter(rig.engine, "counter");
    submit_chain();
    answered_in_order(0, PAUSES, LENGTH);
    rig_sleep(30);
    for (unsigned i = PAUSES; i < LENGTH; i++)
        ck_assert_msg(atomic_load(&calls[i].calls) == 0, "%u was not held back", i);
    ck_assert_uint_eq(support_counter(rig.engine, "counter"),
                      start + sum_of(PAUSES, LENGTH, &written));
    atomic_store(&fast_held, false);
    ck_assert(rig_answered(&held, 5000));
    answered_in_order(0, LENGTH, LENGTH);
    all_is_exact(start, LENGTH);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 998);
    rig_deinit(&rig);
}
END_TEST

/* It gives up while the claim is held: those behind it are executed nevertheless. */
START_TEST(who_gives_up_holds_nobody_back)
{
    struct support_tx holder;
    struct rig_call held;
    open_with_claim(modes[_i], 5, &holder, &held);
    const uint64_t start = support_counter(rig.engine, "counter");
    submit_chain();
    answered_in_order(0, LENGTH, PAUSES);
    ck_assert(!rig_answered(&held, 1));
    atomic_store(&fast_held, false);
    ck_assert(rig_answered(&held, 5000));
    all_is_exact(start, PAUSES);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 999);
    rig_deinit(&rig);
}
END_TEST

/* Half a run stands in its pause when the engine is drained: it is finished first. */
static void *drain(void *arg)
{
    svm_engine_drain(arg);
    return NULL;
}

START_TEST(a_drain_finishes_the_run)
{
    struct support_tx holder;
    struct rig_call held;
    pthread_t thread;
    open_with_claim(modes[_i], 1000000, &holder, &held);
    const uint64_t start = support_counter(rig.engine, "counter");
    submit_chain();
    ck_assert_int_eq(pthread_create(&thread, NULL, drain, rig.engine), 0);
    rig_sleep(20);
    ck_assert_int_eq(atomic_load(&calls[PAUSES].calls), 0);
    atomic_store(&fast_held, false);
    pthread_join(thread, NULL);
    answered_in_order(0, LENGTH, LENGTH);
    all_is_exact(start, LENGTH);
    rig_deinit(&rig);
}
END_TEST

/* ---- whose position may become void ----------------------------------------------------------------------------------- */

static struct mvcc_head *disturbed;
static uint64_t disturbed_state;
static struct svm_digest disturbs; /* under its claims the object DISTURBED gets a claim */

static void disturb(void *arg, const struct svm_digest *digest, enum svm_path path)
{
    (void)path;
    struct svm_id id;
    if (disturbed || memcmp(digest->b, disturbs.b, sizeof disturbs.b) != 0)
        return;
    const struct rig *at = arg;
    svm_dev_object_id(&id, "pool");
    disturbed = mvcc_find(at->engine->objects, id.b, sizeof id.b);
    ck_assert_ptr_nonnull(disturbed);
    ck_assert(mvcc_try_claim(disturbed, &disturbed_state));
}

/* The first reads what nobody has claimed, so its position may become void: the second must not have worked on what it made. Here it
 * would be: what the first has read is claimed when the second is under its claims. */
START_TEST(no_claim_is_taken_over_from_what_may_be_void)
{
    rig_init(&rig, modes[_i]);
    rig.hooks.claimed = disturb;
    rig.config.busy_attempts_max = 1000000;
    rig_open(&rig);
    const uint64_t start = support_counter(rig.engine, "counter");
    struct svm_submission batch[3];
    memset(calls, 0, sizeof calls);
    disturbed = NULL;
    for (unsigned i = 0; i < 3; i++) {
        const struct link link = {.delta = 1 + (int64_t)i, .reads_pool = i == 0};
        forge(&txs[i], "carol", &link, i);
        batch[i] = (struct svm_submission){.bytes = txs[i].bytes, .arg = &calls[i]};
    }
    disturbs = txs[1].digest;
    svm_run_batch(rig.engine, batch, 3, SVM_WAIT_EXECUTED, rig_called);
    ck_assert_ptr_nonnull(disturbed);
    mvcc_release(disturbed, disturbed_state);
    uint64_t last = 0;
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(rig_answered(&calls[i], 20000));
        ck_assert_int_eq(calls[i].err, SVM_OK);
        ck_assert_uint_gt(calls[i].seq, last);
        last = calls[i].seq;
    }
    nothing_is_left();
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), start + 6);
    ck_assert_uint_eq(counter_version(), 4);
    rig_deinit(&rig);
}
END_TEST

/* ---- jobs that came together --------------------------------------------------------------------------------------- */

/* All of the chain name the counter and one coin: the order knows them as one. In the middle somebody else claims the counter: who stands before
 * that is executed, who stands behind it waits. It is claimed when the group of the next one is opened, which asks for the time. */
static _Atomic(struct mvcc_head *) counter_head;
static _Atomic bool claim_armed, claim_had;
static uint64_t claim_state, (*true_boot_ns)(void *self);

static void note_counter(void *arg, const struct svm_digest *digest, enum svm_path path)
{
    const struct rig *at = arg;
    struct svm_id id;
    (void)digest;
    (void)path;
    svm_dev_object_id(&id, "counter");
    if (!atomic_load(&counter_head))
        atomic_store(&counter_head, mvcc_find(at->engine->objects, id.b, sizeof id.b));
}

static uint64_t boot_ns_claims(void *self)
{
    struct mvcc_head *head = atomic_load(&counter_head);
    if (head && mvcc_state_version(mvcc_state(head)) == PAUSES + 1 &&
        atomic_exchange(&claim_armed, false)) {
        const bool claimed = mvcc_try_claim(head, &claim_state);
        atomic_store(claimed ? &claim_had : &claim_armed, true);
    }
    return true_boot_ns(self);
}

static void open_together(enum svm_durability mode, uint32_t attempts)
{
    atomic_store(&counter_head, NULL);
    atomic_store(&claim_armed, true);
    atomic_store(&claim_had, false);
    rig_init(&rig, mode);
    rig.config.busy_attempts_max = attempts;
    rig.hooks.claimed = note_counter;
    true_boot_ns = rig.clock.boot_ns;
    rig.clock.boot_ns = boot_ns_claims;
    rig_open(&rig);
}

static void submit_together(void)
{
    struct svm_submission batch[LENGTH];
    memset(calls, 0, sizeof calls);
    for (unsigned i = 0; i < LENGTH; i++) {
        const struct link link = {.delta = 1, .owned = "alice spare 0"};
        forge(&txs[i], "alice", &link, i);
        batch[i] = (struct svm_submission){.bytes = txs[i].bytes, .arg = &calls[i]};
    }
    svm_run_batch(rig.engine, batch, LENGTH, SVM_WAIT_EXECUTED, rig_called);
    for (unsigned i = 0; i < LENGTH; i++)
        ck_assert_int_eq(batch[i].err, SVM_OK);
}

/* FROM .. END - 1 are executed, one right after the other, each with the version that follows from its place. */
static void executed_in_a_row(unsigned from, unsigned end)
{
    for (unsigned i = from; i < end; i++) {
        ck_assert_msg(rig_answered(&calls[i], 20000), "%u has no answer", i);
        ck_assert_msg(calls[i].err == SVM_OK, "%u: %s", i, svm_err_name(calls[i].err));
        ck_assert(i == from || calls[i].seq == calls[i - 1].seq + 1);
    }
}

START_TEST(a_pause_among_those_that_came_together)
{
    open_together(modes[_i], 1000000);
    const uint64_t start = support_counter(rig.engine, "counter");
    submit_together();
    executed_in_a_row(0, PAUSES);
    rig_sleep(30);
    ck_assert(atomic_load(&claim_had));
    for (unsigned i = PAUSES; i < LENGTH; i++)
        ck_assert_msg(atomic_load(&calls[i].calls) == 0, "%u was not held back", i);
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), start + PAUSES);
    mvcc_release(atomic_load(&counter_head), claim_state);
    executed_in_a_row(PAUSES, LENGTH);
    nothing_is_left();
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), start + LENGTH);
    ck_assert_uint_eq(counter_version(), LENGTH + 1);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 1000 - LENGTH);
    rig_deinit(&rig);
}
END_TEST

/* The claim stays: each gives up in its turn, and afterwards the object is free for others. */
START_TEST(those_that_came_together_give_up)
{
    struct rig_call last;
    struct support_tx add;
    open_together(modes[_i], 2);
    const uint64_t start = support_counter(rig.engine, "counter");
    submit_together();
    executed_in_a_row(0, PAUSES);
    for (unsigned i = PAUSES; i < LENGTH; i++) {
        ck_assert_msg(rig_answered(&calls[i], 20000), "%u has no answer", i);
        ck_assert_int_eq(calls[i].err, SVM_E_BUSY);
    }
    nothing_is_left();
    mvcc_release(atomic_load(&counter_head), claim_state);
    support_add(&add, rig.engine, "alice", "counter", 5, 1);
    rig_submit(&rig, &last, &add, SVM_WAIT_EXECUTED);
    ck_assert(rig_answered(&last, 5000));
    ck_assert_int_eq(last.err, SVM_OK);
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), start + PAUSES + 5);
    rig_deinit(&rig);
}
END_TEST

/* They count one by one towards object_queue_max. */
START_TEST(those_that_came_together_are_counted)
{
    enum { QUEUE = 10 };
    rig_init(&rig, modes[_i]);
    rig.config.object_queue_max = QUEUE;
    rig_open(&rig);
    struct svm_submission batch[ENGINE_BATCH];
    memset(calls, 0, sizeof calls);
    for (unsigned i = 0; i < ENGINE_BATCH; i++) {
        const struct link link = {.delta = 1};
        forge(&txs[i], "carol", &link, i);
        batch[i] = (struct svm_submission){.bytes = txs[i].bytes, .arg = &calls[i]};
    }
    svm_run_batch(rig.engine, batch, ENGINE_BATCH, SVM_WAIT_EXECUTED, rig_called);
    for (unsigned i = 0; i < ENGINE_BATCH; i++) {
        ck_assert(rig_answered(&calls[i], 5000));
        ck_assert_int_eq(calls[i].err, i < QUEUE ? SVM_OK : SVM_E_BUSY);
    }
    nothing_is_left();
    ck_assert_uint_eq(counter_version(), 1 + QUEUE);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine_runs");
    TCase *tcase = tcase_create("runs");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, a_pause_in_the_middle, 0, MODES);
    tcase_add_loop_test(tcase, who_gives_up_holds_nobody_back, 0, MODES);
    tcase_add_loop_test(tcase, a_drain_finishes_the_run, 0, MODES);
    tcase_add_loop_test(tcase, no_claim_is_taken_over_from_what_may_be_void, 0, MODES);
    tcase_add_loop_test(tcase, a_pause_among_those_that_came_together, 0, MODES);
    tcase_add_loop_test(tcase, those_that_came_together_give_up, 0, MODES);
    tcase_add_loop_test(tcase, those_that_came_together_are_counted, 0, MODES);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
