/* svm_run_batch: callers lend their threads. The same results as svm_submit_batch, and what only this way can go wrong: a batch that meets itself, callbacks
 * that submit again, more threads than seats, credits that run out. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <svm.h>

#include "engine_rig.h"

static const enum svm_durability modes[] = {SVM_MEMORY, SVM_WRITE, SVM_SYNC, SVM_INTERVAL};
enum { MODES = 4 };

static struct svm_submission entry(const struct support_tx *tx, void *arg)
{
    return (struct svm_submission){.bytes = tx->bytes, .arg = arg};
}

/* COUNT transactions in one call, all of which must be admitted, to the last answer. */
static void run_all(struct rig *rig, struct support_wait *wait, const struct support_tx *txs,
                    size_t count, enum svm_wait level)
{
    struct svm_submission *batch = calloc(count, sizeof *batch);
    support_wait_init(wait, count);
    for (size_t i = 0; i < count; i++)
        batch[i] = entry(&txs[i], wait);
    svm_run_batch(rig->engine, batch, count, level, support_wait_one);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(batch[i].err, SVM_OK);
    support_wait_all(wait);
    free(batch);
}

/* ---- the same as svm_submit_batch ----------------------------------------------------------------------------------- */

enum { MIXED = 48 };

/* Chains of exact versions, good and bad ones between them. */
static void mix(struct rig *rig, struct support_tx txs[MIXED])
{
    for (unsigned i = 0; i < MIXED; i++) {
        unsigned line = i % 4, step = i / 4; /* 12 steps */
        char label[32];
        snprintf(label, sizeof label, "alice spare %u", line);
        if (line == 3)
            support_add(&txs[i], rig->engine, "carol", "counter", step + 1, i);
        else if (line == 2 && step % 3 == 1)
            support_pay(&txs[i], rig->engine, "bob", label, 1, "alice", 1); /* not bob's */
        else if (line == 2)
            support_pay(&txs[i], rig->engine, "alice", label, 1 + step - (step + 1) / 3, "bob",
                        5000 * (step % 3 == 2) + 1); /* more than there is: it fails */
        else
            support_pay(&txs[i], rig->engine, "alice", label, 1 + step, "bob", 1 + step);
        if (line == 0 && step == 11)
            txs[i].buf[txs[i].bytes.len - 1] ^= 1; /* the signature */
        if (line == 1 && step == 11)
            txs[i].bytes.len -= 7;
    }
}

static void run_mixed(enum svm_durability mode, bool lend, struct support_wait *wait,
                      struct svm_digest *hash)
{
    struct rig rig;
    struct svm_submission batch[MIXED];
    static struct support_tx txs[MIXED];
    rig_init(&rig, mode);
    rig_open(&rig);
    mix(&rig, txs);
    support_wait_init(wait, MIXED);
    for (unsigned i = 0; i < MIXED; i++)
        batch[i] = entry(&txs[i], wait);
    (lend ? svm_run_batch : svm_submit_batch)(rig.engine, batch, MIXED, SVM_WAIT_DURABLE,
                                              support_wait_one);
    support_wait_all(wait);
    struct svm_snapshot *snapshot;
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_state_hash(snapshot, hash), SVM_OK);
    svm_snapshot_close(snapshot);
    rig_deinit(&rig);
}

START_TEST(as_submitted)
{
    struct support_wait given, lent;
    struct svm_digest hash_given, hash_lent;
    run_mixed(modes[_i], false, &given, &hash_given);
    run_mixed(modes[_i], true, &lent, &hash_lent);
    ck_assert_uint_eq(given.ok, lent.ok);
    ck_assert_uint_eq(given.failed, lent.failed);
    ck_assert_uint_eq(given.refused, lent.refused);
    ck_assert_mem_eq(given.by_error, lent.by_error, sizeof given.by_error);
    ck_assert_uint_gt(lent.ok, 0);
    ck_assert_uint_gt(lent.failed, 0);
    ck_assert_uint_gt(lent.refused, 2);
    ck_assert_mem_eq(hash_given.b, hash_lent.b, sizeof hash_lent.b);
}
END_TEST

/* ---- a batch that meets itself ---------------------------------------------------------------------------------------- */

START_TEST(copies_are_executed_once)
{
    enum { COPIES = 100 };
    struct rig rig;
    struct support_wait wait;
    static struct support_tx txs[COPIES];
    rig_init(&rig, modes[_i]);
    rig_open(&rig);
    for (unsigned i = 0; i < COPIES; i++)
        support_pay(&txs[i], rig.engine, "alice", "alice spare 0", 1, "bob", 3);
    run_all(&rig, &wait, txs, COPIES, SVM_WAIT_DURABLE);
    ck_assert_uint_eq(wait.ok, COPIES);
    ck_assert_uint_eq(wait.duplicates, COPIES - 1);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 997);
    run_all(&rig, &wait, txs, COPIES, SVM_WAIT_EXECUTED);
    ck_assert_uint_eq(wait.duplicates, COPIES);
    ck_assert_uint_eq(svm_applied_seq(rig.engine), 1);
    rig_deinit(&rig);
}
END_TEST

/* A coin that one transaction of the batch makes is spent by the next: bob's, then carol's, ... */
START_TEST(what_it_makes_it_can_use)
{
    enum { LENGTH = 40 };
    static const char *const names[] = {"alice", "bob", "carol", "dave"};
    struct rig rig;
    struct support_wait wait;
    static struct support_tx txs[LENGTH];
    rig_init(&rig, modes[_i]);
    rig_open(&rig);
    struct svm_id coin;
    svm_dev_object_id(&coin, "alice spare 0");
    for (unsigned i = 0; i < LENGTH; i++) {
        support_pay_from(&txs[i], rig.engine, names[i % 4], &coin, 0, names[(i + 1) % 4], 900 - i);
        svm_tx_new_object_id(&coin, &txs[i].digest, 0);
    }
    run_all(&rig, &wait, txs, LENGTH, SVM_WAIT_EXECUTED);
    ck_assert_uint_eq(wait.ok, LENGTH);
    rig_deinit(&rig);
}
END_TEST

/* Exact versions one after the other, over more than one part and many groups: whoever meets its own group's claim comes next. */
START_TEST(chains_run_through)
{
    enum { LENGTH = 100 };
    struct rig rig;
    struct support_wait wait;
    static struct support_tx txs[2 * LENGTH];
    rig_init(&rig, modes[_i]);
    rig.config.busy_attempts_max = 1;
    rig_open(&rig);
    for (unsigned i = 0; i < LENGTH; i++) {
        support_pay(&txs[2 * i], rig.engine, "alice", "alice spare 0", 1 + i, "bob", 1);
        support_pay(&txs[2 * i + 1], rig.engine, "bob", "bob spare 0", 1 + i, "carol", 1);
    }
    run_all(&rig, &wait, txs, 2 * LENGTH, SVM_WAIT_EXECUTED);
    ck_assert_uint_eq(wait.ok, 2 * LENGTH);
    ck_assert_uint_eq(wait.fast, 2 * LENGTH);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 1000 - LENGTH);
    rig_deinit(&rig);
}
END_TEST

/* A `latest` input falls back when somebody else holds it, not when the group before it does. */
START_TEST(own_group_is_no_contention)
{
    enum { COUNT = 120 };
    struct rig rig;
    struct support_wait wait;
    struct svm_stats stats;
    static struct support_tx txs[COUNT];
    rig_init(&rig, modes[_i]);
    rig_open(&rig);
    for (unsigned i = 0; i < COUNT; i++)
        support_pay(&txs[i], rig.engine, "alice", "alice coin", 0, "bob", 1 + i);
    run_all(&rig, &wait, txs, COUNT, SVM_WAIT_DURABLE);
    ck_assert_uint_eq(wait.ok, COUNT);
    ck_assert_uint_eq(wait.fast, COUNT);
    ck_assert_uint_eq(wait.fallbacks, 0);
    svm_stats(rig.engine, &stats);
    ck_assert_uint_eq(stats.retries, 0);
    ck_assert_uint_eq(stats.conflicts, 0);
    ck_assert_uint_eq(stats.submitted, COUNT);
    ck_assert_uint_eq(rig_balance(&rig, "alice coin"), 1000000 - COUNT * (COUNT + 1) / 2);
    rig_deinit(&rig);
}
END_TEST

/* FROM's five spare coins each pay 1 to TO: more inputs and operations than fit into a job. */
static void pay_by_five(struct support_tx *tx, struct rig *rig, const char *from, uint64_t version,
                        const char *to)
{
    struct svm_dev_account sender, receiver;
    struct svm_chain_info info;
    struct svm_refusal refusal;
    uint8_t raw[2048];
    size_t len;
    svm_dev_account(&sender, support_account(from));
    svm_dev_account(&receiver, support_account(to));
    svm_chain_info(rig->engine, &info);
    struct svm_tx_builder *builder = svm_tx_builder_create(info.chain, &sender.address);
    svm_tx_builder_gas_limit(builder, 100000);
    for (unsigned i = 0; i < 5; i++) {
        struct svm_id id;
        char label[32];
        snprintf(label, sizeof label, "%s spare %u", from, i);
        svm_dev_object_id(&id, label);
        struct svm_op op = {.kind = SVM_OP_PAY,
                            .input = (uint16_t)svm_tx_builder_owned(builder, &id, version)};
        op.u.pay.to = receiver.address;
        op.u.pay.amount.units = 1;
        svm_tx_builder_op(builder, &op);
    }
    ck_assert_int_eq(svm_tx_builder_finish(builder, raw, sizeof raw, &len, &refusal), SVM_OK);
    svm_tx_builder_destroy(builder);
    svm_tx_digest(&tx->digest, (struct svm_bytes){raw, len});
    ck_assert_int_eq(svm_tx_sign(tx->buf, sizeof tx->buf, &tx->bytes.len,
                                 (struct svm_bytes){raw, len}, &sender.key),
                     SVM_OK);
    tx->bytes.ptr = tx->buf;
}

START_TEST(large_ones_share_a_place)
{
    enum { STEPS = 12, LARGE = 3 };
    static const char *names[LARGE] = {"alice", "bob", "carol"};
    struct rig rig;
    struct support_wait wait;
    static struct support_tx txs[STEPS * (LARGE + 1)];
    rig_init(&rig, modes[_i]);
    rig.config.busy_attempts_max = 1;
    rig_open(&rig);
    for (unsigned step = 0, n = 0; step < STEPS; step++) {
        for (unsigned k = 0; k < LARGE; k++)
            pay_by_five(&txs[n++], &rig, names[k], 1 + step, "dave");
        support_pay(&txs[n++], rig.engine, "dave", "dave spare 0", 1 + step, "alice", 1);
    }
    run_all(&rig, &wait, txs, STEPS * (LARGE + 1), SVM_WAIT_DURABLE);
    ck_assert_uint_eq(wait.ok, STEPS * (LARGE + 1));
    ck_assert_uint_eq(rig_balance(&rig, "carol spare 4"), 1000 - STEPS);
    rig_deinit(&rig);
}
END_TEST

START_TEST(decoded_ones)
{
    enum { COUNT = 40 };
    struct rig rig;
    struct support_wait wait;
    struct svm_submission batch[COUNT];
    static struct support_tx txs[COUNT];
    static struct svm_signed_tx decoded[COUNT];
    static struct svm_tx_space spaces[COUNT];
    rig_init(&rig, modes[_i]);
    rig_open(&rig);
    support_wait_init(&wait, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        struct svm_refusal refusal;
        support_pay(&txs[i], rig.engine, "alice", "alice spare 2", 1 + i, "bob", 1);
        ck_assert_int_eq(svm_signed_tx_decode(&decoded[i], &spaces[i], txs[i].bytes, &refusal),
                         SVM_OK);
        batch[i] = i % 2 ? entry(&txs[i], &wait)
                         : (struct svm_submission){
                               .tx = &decoded[i].tx, .digest = &txs[i].digest, .arg = &wait};
    }
    svm_run_batch(rig.engine, batch, COUNT, SVM_WAIT_DURABLE, support_wait_one);
    support_wait_all(&wait);
    ck_assert_uint_eq(wait.ok, COUNT);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 2"), 1000 - COUNT);
    rig_deinit(&rig);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------------------------------------- */

START_TEST(credits_run_out)
{
    enum { CREDITS = 64, COUNT = 100 };
    struct rig rig;
    struct support_wait wait;
    struct svm_submission batch[COUNT];
    static struct svm_refusal refusals[COUNT];
    static struct support_tx txs[COUNT];
    rig_init(&rig, SVM_WRITE);
    rig.config.inflight_max = CREDITS;
    rig_open(&rig);
    support_wait_init(&wait, CREDITS);
    for (unsigned i = 0; i < COUNT; i++) {
        support_pay(&txs[i], rig.engine, "alice", "alice spare 0", 1 + i, "bob", 1);
        batch[i] = entry(&txs[i], &wait);
        batch[i].refusal = &refusals[i];
    }
    atomic_store(&rig.log_held, true);
    svm_run_batch(rig.engine, batch, COUNT, SVM_WAIT_EXECUTED, support_wait_one);
    for (unsigned i = 0; i < COUNT; i++) {
        ck_assert_int_eq(batch[i].err, i < CREDITS ? SVM_OK : SVM_E_OVERLOADED);
        if (i < CREDITS)
            continue;
        ck_assert_int_eq(refusals[i].err, SVM_E_OVERLOADED);
        ck_assert(refusals[i].has & SVM_HAS_LIMIT);
        ck_assert_uint_eq(refusals[i].limit, CREDITS);
    }
    support_wait_all(&wait);
    ck_assert_uint_eq(wait.ok, CREDITS);
    atomic_store(&rig.log_held, false);
    svm_engine_drain(rig.engine);
    struct svm_stats stats;
    svm_stats(rig.engine, &stats);
    ck_assert_uint_eq(stats.inflight, 0);
    svm_run_batch(rig.engine, batch, 1, SVM_WAIT_EXECUTED, support_wait_one);
    ck_assert_int_eq(batch[0].err, SVM_E_SHUTTING_DOWN);
    ck_assert_uint_eq(wait.ok, CREDITS);
    rig_deinit(&rig);
}
END_TEST

/* ---- many threads ---------------------------------------------------------------------------------------------------------- */

enum { THREADS = 20, ROUNDS = 6, PER_ROUND = 24 };

struct lender {
    struct rig *rig;
    unsigned index;
    uint64_t ok, adds;
    pthread_t thread;
};

/* Its own coin in a chain, a coin that two threads pay from as `latest`, and the counter that all share. */
static void *lend(void *arg)
{
    struct lender *lender = arg;
    struct rig *rig = lender->rig;
    struct svm_dev_account me;
    svm_dev_account(&me, lender->index % SVM_DEV_ACCOUNTS);
    struct support_tx *txs = calloc(PER_ROUND, sizeof *txs);
    char own[32], coin[32];
    snprintf(own, sizeof own, "%s spare %u", me.name, lender->index / SVM_DEV_ACCOUNTS);
    snprintf(coin, sizeof coin, "%s coin", me.name);
    for (unsigned round = 0, version = 1; round < ROUNDS; round++) {
        struct support_wait wait;
        for (unsigned i = 0; i < PER_ROUND; i++)
            if (i % 3 == 0)
                support_pay(&txs[i], rig->engine, me.name, own, version++, "alice", 1);
            else if (i % 3 == 1)
                support_pay(&txs[i], rig->engine, me.name, coin, 0, "alice",
                            1 + (lender->index * ROUNDS + round) * PER_ROUND + i);
            else
                support_add(&txs[i], rig->engine, me.name, "counter", 1,
                            lender->index * 10000 + round * PER_ROUND + i);
        run_all(rig, &wait, txs, PER_ROUND, round % 2 ? SVM_WAIT_DURABLE : SVM_WAIT_EXECUTED);
        ck_assert_uint_eq(wait.ok, PER_ROUND);
        lender->ok += wait.ok;
        lender->adds += PER_ROUND / 3;
    }
    free(txs);
    return NULL;
}

START_TEST(more_threads_than_seats)
{
    struct rig rig;
    static struct lender lenders[THREADS];
    memset(lenders, 0, sizeof lenders);
    rig_init(&rig, modes[_i]);
    rig.config.inflight_max = 1024;
    rig.config.busy_attempts_max = 100000;
    rig_open(&rig);
    for (unsigned i = 0; i < THREADS; i++) {
        lenders[i].rig = &rig;
        lenders[i].index = i;
        ck_assert_int_eq(pthread_create(&lenders[i].thread, NULL, lend, &lenders[i]), 0);
    }
    uint64_t ok = 0, adds = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(lenders[i].thread, NULL);
        ok += lenders[i].ok;
        adds += lenders[i].adds;
    }
    ck_assert_uint_eq(ok, THREADS * ROUNDS * PER_ROUND);
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), adds);
    ck_assert_uint_eq(rig_balance(&rig, "carol spare 1"), 1000 - ROUNDS * PER_ROUND / 3);
    svm_engine_drain(rig.engine);
    struct svm_stats stats;
    svm_stats(rig.engine, &stats);
    ck_assert_uint_eq(stats.inflight, 0);
    ck_assert_uint_eq(stats.waiters, 0);
    ck_assert_uint_eq(stats.ordered_waiting, 0);
    rig_deinit(&rig);
}
END_TEST

/* ---- callbacks that call again ----------------------------------------------------------------------------------------------- */

enum { DEPTH = 24 }; /* more than there are seats */

struct nest {
    struct rig *rig;
    struct support_tx txs[DEPTH + 1];
    unsigned at;
    struct support_wait wait;
};

/* Each answer runs the next one of the chain from within. */
static void run_next(void *arg, const struct svm_outcome *outcome)
{
    struct nest *nest = arg;
    unsigned next = ++nest->at; /* the next callback cannot run before the next submission */
    if (next < DEPTH) {
        struct svm_submission one = entry(&nest->txs[next], nest);
        svm_run_batch(nest->rig->engine, &one, 1, SVM_WAIT_EXECUTED, run_next);
        ck_assert_int_eq(one.err, SVM_OK);
    } else {
        ck_assert_int_eq(svm_submit(nest->rig->engine, nest->txs[DEPTH].bytes, SVM_WAIT_EXECUTED,
                                    support_wait_one, &nest->wait, NULL),
                         SVM_OK);
    }
    ck_assert_int_eq(svm_wait(nest->rig->engine, &nest->txs[0].digest, SVM_WAIT_DURABLE,
                              support_wait_one, &nest->wait),
                     SVM_OK);
    support_wait_one(&nest->wait, outcome);
}

START_TEST(callbacks_run_batches)
{
    struct rig rig;
    static struct nest nest;
    rig_init(&rig, modes[_i]);
    rig_open(&rig);
    memset(&nest, 0, sizeof nest);
    nest.rig = &rig;
    for (unsigned i = 0; i <= DEPTH; i++)
        support_pay(&nest.txs[i], rig.engine, "alice", "alice spare 0", 1 + i, "bob", 1);
    support_wait_init(&nest.wait, 2 * DEPTH + 1);
    struct svm_submission one = entry(&nest.txs[0], &nest);
    svm_run_batch(rig.engine, &one, 1, SVM_WAIT_EXECUTED, run_next);
    ck_assert_int_eq(one.err, SVM_OK);
    support_wait_all(&nest.wait);
    ck_assert_uint_eq(nest.wait.ok, 2 * DEPTH + 1);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 1000 - DEPTH - 1);
    rig_deinit(&rig);
}
END_TEST

/* ---- pauses -------------------------------------------------------------------------------------------------------------------- */

struct still {
    struct rig rig;
    _Atomic uint64_t now_ns;
    struct clock clock;
    struct svm_digest held; /* stops under its claims */
    _Atomic bool hold, there, stall;
};

static uint64_t still_wall_ms(void *self)
{
    (void)self;
    return 1800000000000u;
}

static uint64_t still_boot_ns(void *self)
{
    return atomic_load(&((struct still *)self)->now_ns);
}

static void still_claimed(void *arg, const struct svm_digest *digest, enum svm_path path)
{
    struct still *still = arg;
    (void)path;
    if (memcmp(digest->b, still->held.b, sizeof digest->b) != 0)
        return;
    atomic_store(&still->there, true);
    while (atomic_load(&still->hold))
        sched_yield();
}

static void still_step(void *arg, uint32_t worker)
{
    struct still *still = arg;
    (void)worker;
    while (atomic_load(&still->stall))
        rig_sleep(1);
}

struct still_run {
    struct still *still;
    struct support_tx tx;
    struct support_wait wait;
};

static void *run_held(void *arg)
{
    struct still_run *run = arg;
    run_all(&run->still->rig, &run->wait, &run->tx, 1, SVM_WAIT_EXECUTED);
    return NULL;
}

/* What met a claim is tried again after a pause, and only so often: batches of others that pass by do not use its attempts up. */
START_TEST(passing_batches_keep_the_pause)
{
    enum { ATTEMPTS = 4, PASSING = 40 };
    static struct still still;
    static struct still_run run;
    struct support_tx second, add;
    struct support_wait wait, passing;
    pthread_t thread;
    memset(&still, 0, sizeof still);
    rig_init(&still.rig, modes[_i]);
    still.clock = (struct clock){still_wall_ms, still_boot_ns, &still};
    atomic_store(&still.now_ns, 1000000000000u);
    still.rig.hooks.clock = &still.clock;
    still.rig.hooks.claimed = still_claimed;
    still.rig.hooks.worker_step = still_step;
    still.rig.hooks.arg = &still;
    still.rig.config.workers = 1;
    still.rig.config.busy_attempts_max = ATTEMPTS;
    rig_open(&still.rig);
    struct svm_engine *engine = still.rig.engine;

    run.still = &still;
    support_pay(&run.tx, engine, "alice", "alice spare 0", 1, "bob", 1);
    support_pay(&second, engine, "alice", "alice spare 0", 2, "bob", 1);
    still.held = run.tx.digest;
    atomic_store(&still.stall, true);
    atomic_store(&still.hold, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_held, &run), 0);
    rig_until(&still.there);

    support_wait_init(&wait, 1);
    struct svm_submission one = entry(&second, &wait);
    svm_run_batch(engine, &one, 1, SVM_WAIT_EXECUTED, support_wait_one);
    ck_assert_int_eq(one.err, SVM_OK);
    for (unsigned i = 0; i < PASSING; i++) {
        support_add(&add, engine, "carol", "counter", 1, i);
        support_wait_init(&passing, 1);
        struct svm_submission other = entry(&add, &passing);
        svm_run_batch(engine, &other, 1, SVM_WAIT_NONE, support_wait_one);
        ck_assert_int_eq(other.err, SVM_OK);
    }
    pthread_mutex_lock(&wait.lock);
    ck_assert_uint_eq(wait.expected, 1); /* not answered yet */
    pthread_mutex_unlock(&wait.lock);
    atomic_store(&still.hold, false);
    pthread_join(thread, NULL);
    atomic_store(&still.now_ns, 1001000000000u);
    atomic_store(&still.stall, false);
    support_wait_all(&wait);
    ck_assert_uint_eq(wait.ok, 1);
    rig_deinit(&still.rig);
}
END_TEST

/* ---- runs --------------------------------------------------------------------------------------------------------- */

/* A chain on one shared object is handed out in runs and executed in groups: order and receipts are what one by one gives, those that fail
 * between the others included; and who does not belong to it is not held up. */
START_TEST(a_hot_chain_is_exact)
{
    enum { LENGTH = 600, FAILS = 17, ASIDE = 50 };
    struct rig rig;
    static struct support_tx txs[LENGTH];
    static struct rig_call calls[LENGTH];
    struct svm_submission batch[LENGTH];
    rig_init(&rig, modes[_i]);
    rig.config.inflight_max = 1024;
    rig_open(&rig);
    const uint64_t start = support_counter(rig.engine, "counter");
    memset(calls, 0, sizeof calls);
    for (unsigned i = 0; i < LENGTH; i++) {
        if (i % ASIDE == ASIDE - 1)
            support_pay(&txs[i], rig.engine, "alice", "alice spare 0", 0, "bob", 1 + i);
        else
            support_add(&txs[i], rig.engine, "carol", "counter",
                        i % FAILS == 5 ? INT64_MIN : (int64_t)i, i);
        batch[i] = entry(&txs[i], &calls[i]);
    }
    svm_run_batch(rig.engine, batch, LENGTH, SVM_WAIT_DURABLE, rig_called);
    uint64_t sum = start, last = 0, written = 0;
    for (unsigned i = 0; i < LENGTH; i++) {
        ck_assert_int_eq(batch[i].err, SVM_OK);
        ck_assert(rig_answered(&calls[i], 20000));
        ck_assert_int_eq(calls[i].err, SVM_OK);
        if (i % ASIDE == ASIDE - 1)
            continue;
        ck_assert_int_eq(calls[i].path, SVM_PATH_CONSENSUS);
        ck_assert_uint_gt(calls[i].seq, last);
        last = calls[i].seq;
        ck_assert_int_eq(calls[i].failure != SVM_FAILURE_NONE, i % FAILS == 5);
        if (calls[i].failure == SVM_FAILURE_NONE) {
            sum += i;
            written++;
        }
    }
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), sum);
    ck_assert_uint_eq(svm_applied_seq(rig.engine), LENGTH); /* no position was void */
    struct svm_snapshot *snapshot;
    struct svm_object *object;
    struct svm_id id;
    svm_dev_object_id(&id, "counter");
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_object_get(snapshot, &id, &object), SVM_OK);
    ck_assert_uint_eq(object->version, 1 + written);
    svm_object_free(object);
    svm_snapshot_close(snapshot);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine_run_batch");
    TCase *tcase = tcase_create("run_batch");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, as_submitted, 0, MODES);
    tcase_add_loop_test(tcase, copies_are_executed_once, 0, MODES);
    tcase_add_loop_test(tcase, what_it_makes_it_can_use, 0, MODES);
    tcase_add_loop_test(tcase, chains_run_through, 0, MODES);
    tcase_add_loop_test(tcase, own_group_is_no_contention, 0, MODES);
    tcase_add_loop_test(tcase, large_ones_share_a_place, 0, MODES);
    tcase_add_loop_test(tcase, decoded_ones, 0, MODES);
    tcase_add_test(tcase, credits_run_out);
    tcase_add_loop_test(tcase, more_threads_than_seats, 0, MODES);
    tcase_add_loop_test(tcase, callbacks_run_batches, 0, MODES);
    tcase_add_loop_test(tcase, a_hot_chain_is_exact, 0, MODES);
    tcase_add_loop_test(tcase, passing_batches_keep_the_pause, 0, MODES);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
