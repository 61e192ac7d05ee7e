/* Contention on purpose: the counter of the original system's demo, and claims that are held until others have met them. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "traffic.h"

enum {
    DEMO = 100,
    DEMO_THREADS = 8,
    DEMO_TIMES = 100,
    HELD_TIMES = 50,
    HELD_K = 40,
    PATIENCE = 20000
};

/* ---- a hundred increments of one cell ------------------------------------------------------------------------------------ */

static enum svm_err increment(void *arg, struct svm_cell_txn *txn)
{
    const struct svm_bytes key = {(const uint8_t *)"counter", 7};
    struct svm_bytes value;
    uint64_t n = 0;
    (void)arg;
    enum svm_err err = svm_cell_get(txn, key, &value);
    if (err == SVM_OK)
        memcpy(&n, value.ptr, sizeof n);
    else if (err != SVM_E_NOT_FOUND)
        return err;
    n++;
    sched_yield(); /* the demo's contention on any number of processors */
    return svm_cell_put(txn, key, (struct svm_bytes){(const uint8_t *)&n, sizeof n});
}

struct demo {
    struct bank bank;
    struct svm_id counter;
    struct slip slips[DEMO];
    struct wave wave;
    uint64_t value;
};

static void cell_body(void *arg, unsigned thread, struct rng *rng, uint64_t round)
{
    struct demo *demo = arg;
    (void)rng;
    (void)round;
    for (unsigned i = thread; i < DEMO; i += DEMO_THREADS)
        LITMUS_MUST(svm_cell_run(demo->bank.engine, increment, NULL, SVM_WAIT_EXECUTED, NULL,
                                 NULL) == SVM_OK);
}

static bool cell_anomaly(void *arg, uint64_t round)
{
    struct demo *demo = arg;
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    uint64_t n;
    LITMUS_MUST(svm_cell_begin(demo->bank.engine, &txn) == SVM_OK);
    LITMUS_MUST(svm_cell_get(txn, (struct svm_bytes){(const uint8_t *)"counter", 7}, &value) ==
                SVM_OK);
    memcpy(&n, value.ptr, sizeof n);
    svm_cell_abort(txn);
    return n != DEMO * (round + 1);
}

static void counter_body(void *arg, unsigned thread, struct rng *rng, uint64_t round)
{
    struct demo *demo = arg;
    (void)rng;
    (void)round;
    for (unsigned i = thread; i < DEMO; i += DEMO_THREADS) {
        slip_init(&demo->slips[i], &demo->bank.alice.address);
        slip_add(&demo->slips[i], slip_shared(&demo->slips[i], &demo->counter, true), 1);
        slip_send(&demo->bank, &demo->wave, &demo->slips[i]);
    }
    wave_wait(&demo->wave);
}

static bool counter_anomaly(void *arg, uint64_t round)
{
    struct demo *demo = arg;
    struct svm_snapshot *snapshot = bank_look(&demo->bank);
    uint64_t value = bank_value(snapshot, &demo->counter);
    svm_snapshot_close(snapshot);
    for (unsigned i = 0; i < DEMO; i++)
        LITMUS_MUST(slip_ok(&demo->slips[i]));
    return value != DEMO * (round + 1);
}

static uint64_t run_demo(bool cells, uint64_t rounds)
{
    static struct demo demo;
    memset(&demo, 0, sizeof demo);
    bank_open(&demo.bank, 4, NULL);
    svm_dev_object_id(&demo.counter, "counter");
    wave_init(&demo.wave);
    const struct litmus_race race = {.threads = DEMO_THREADS,
                                     .body = cells ? cell_body : counter_body,
                                     .anomaly = cells ? cell_anomaly : counter_anomaly,
                                     .arg = &demo};
    uint64_t times = rounds < DEMO_TIMES * 10 ? rounds / 10 + 1 : DEMO_TIMES;
    uint64_t anomalies = litmus_race(&race, times);
    bank_close(&demo.bank);
    wave_deinit(&demo.wave);
    return anomalies;
}

static uint64_t cell_demo(uint64_t rounds)
{
    return run_demo(true, rounds);
}

static uint64_t counter_demo(uint64_t rounds)
{
    return run_demo(false, rounds);
}

/* ---- a claim is held: all `latest` that come meanwhile fall back ------------------------------------------------------------- */

struct held {
    struct svm_digest digest;
    _Atomic bool armed, entered, released;
};

static void pause_us(long us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

/* The first transaction after arming is held under its claims. */
static void on_claimed(void *arg, const struct svm_digest *digest, enum svm_path path)
{
    struct held *held = arg;
    (void)digest;
    (void)path;
    if (!atomic_exchange(&held->armed, false))
        return;
    atomic_store(&held->entered, true);
    while (!atomic_load(&held->released))
        pause_us(10);
}

static uint64_t fallbacks(struct bank *bank)
{
    static struct svm_stats stats;
    svm_stats(bank->engine, &stats);
    return stats.fallbacks[SVM_FALLBACK_CONTENDED];
}

static void fill_pay(struct bank *bank, struct slip *slip, uint64_t version)
{
    slip_init(slip, &bank->alice.address);
    struct svm_op *op = slip_op(slip, SVM_OP_PAY, slip_owned(slip, &bank->alice.coin, version));
    op->u.pay.to = bank->bob.address;
    op->u.pay.amount.units = 1;
}

static bool fell_back(const struct bank *bank, const struct slip *slip)
{
    return slip_ok(slip) && slip->receipt.path == SVM_PATH_CONSENSUS &&
           slip->receipt.fallback == SVM_FALLBACK_CONTENDED &&
           memcmp(slip->receipt.fallback_object.b, bank->alice.coin.b, 32) == 0;
}

/* K transactions meet the claim of one. */
static uint64_t hold_once(struct bank *bank, struct held *held, uint64_t k)
{
    static struct slip holder, slips[HELD_K];
    struct wave wave;
    wave_init(&wave);
    struct svm_snapshot *snapshot = bank_look(bank);
    uint64_t balance = bank_balance(snapshot, &bank->alice.coin), before = fallbacks(bank);
    svm_snapshot_close(snapshot);

    atomic_store(&held->entered, false);
    atomic_store(&held->released, false);
    atomic_store(&held->armed, true);
    fill_pay(bank, &holder, 0);
    slip_send(bank, &wave, &holder);
    while (!atomic_load(&held->entered))
        pause_us(10);
    for (uint64_t i = 0; i < k; i++) {
        fill_pay(bank, &slips[i], 0);
        slip_send(bank, &wave, &slips[i]);
    }
    for (unsigned i = 0; fallbacks(bank) < before + k && i < PATIENCE; i++)
        pause_us(20);
    atomic_store(&held->released, true);
    wave_wait(&wave);

    uint64_t wrong = !slip_ok(&holder) || holder.receipt.fallback != SVM_FALLBACK_NONE ||
                     holder.receipt.path != SVM_PATH_FAST;
    for (uint64_t i = 0; i < k; i++)
        wrong += !fell_back(bank, &slips[i]) || slips[i].receipt.seq < holder.receipt.seq;
    wrong += fallbacks(bank) != before + k;
    snapshot = bank_look(bank);
    wrong += bank_balance(snapshot, &bank->alice.coin) != balance - 1 - k;
    svm_snapshot_close(snapshot);
    wave_deinit(&wave);
    return wrong;
}

static uint64_t held_claim(uint64_t rounds)
{
    static struct held held;
    struct engine_hooks hooks = {.claimed = on_claimed, .arg = &held};
    struct bank bank;
    struct rng rng;
    uint64_t wrong = 0, times = rounds < HELD_TIMES * 10 ? rounds / 10 + 1 : HELD_TIMES;
    rng_init(&rng, litmus_options.seed);
    memset(&held, 0, sizeof held);
    bank_open(&bank, 4, &hooks);
    for (uint64_t i = 0; i < times && wrong == 0; i++)
        wrong += hold_once(&bank, &held, 1 + rng_below(&rng, HELD_K));
    bank_close(&bank);
    return wrong;
}

const struct litmus_case litmus_contention[] = {
    {"demo: 100 closures on one cell", cell_demo},
    {"demo: 100 transactions on one counter", counter_demo},
    {"a held claim makes exactly those fall back that meet it", held_claim},
    {NULL, NULL},
};
