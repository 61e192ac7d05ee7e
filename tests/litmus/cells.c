/* Races of interactive transactions. */
#include <string.h>

#include "litmus.h"

enum { PURSES = 8, PURSE = 1000 };

struct cells {
    struct svm_engine *engine;
    int64_t saw[LITMUS_THREADS_MAX][2];
    _Atomic uint64_t torn;
};

struct call {
    struct cells *cells;
    struct rng *rng;
    unsigned thread;
    uint64_t round;
};

static struct svm_bytes key_of(const char *key)
{
    return (struct svm_bytes){(const uint8_t *)key, strlen(key)};
}

/* 0 when absent. */
static enum svm_err get(struct svm_cell_txn *txn, const char *key, int64_t *value_out, bool *found)
{
    struct svm_bytes value;
    enum svm_err err = svm_cell_get(txn, key_of(key), &value);
    *value_out = 0;
    if (found)
        *found = err == SVM_OK;
    if (err == SVM_OK)
        memcpy(value_out, value.ptr, sizeof *value_out);
    return err == SVM_E_NOT_FOUND ? SVM_OK : err;
}

static enum svm_err put(struct svm_cell_txn *txn, const char *key, int64_t value)
{
    return svm_cell_put(txn, key_of(key),
                        (struct svm_bytes){(const uint8_t *)&value, sizeof value});
}

static void run(struct cells *cells, svm_cell_fn *fn, unsigned thread, struct rng *rng,
                uint64_t round)
{
    struct call call = {cells, rng, thread, round};
    LITMUS_MUST(svm_cell_run(cells->engine, fn, &call, SVM_WAIT_EXECUTED, NULL, NULL) == SVM_OK);
}

static void read_both(struct cells *cells, const char *x, const char *y, int64_t *x_out,
                      int64_t *y_out)
{
    struct svm_cell_txn *txn;
    LITMUS_MUST(svm_cell_begin(cells->engine, &txn) == SVM_OK);
    LITMUS_MUST(get(txn, x, x_out, NULL) == SVM_OK && get(txn, y, y_out, NULL) == SVM_OK);
    LITMUS_MUST(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL) == SVM_OK);
}

static uint64_t race(uint64_t rounds, struct litmus_race race)
{
    static struct cells cells;
    memset(&cells, 0, sizeof cells);
    cells.engine = litmus_open(1, NULL);
    race.arg = &cells;
    uint64_t anomalies = litmus_race(&race, rounds) + atomic_load(&cells.torn);
    svm_engine_close(cells.engine);
    return anomalies;
}

/* ---- lost update ----------------------------------------------------------------------------------------------------- */

static enum svm_err increment(void *arg, struct svm_cell_txn *txn)
{
    struct call *call = arg;
    int64_t x;
    enum svm_err err = get(txn, "x", &x, NULL);
    litmus_jitter(call->rng);
    return err == SVM_OK ? put(txn, "x", x + 1) : err;
}

static void lost_update_body(void *arg, unsigned thread, struct rng *rng, uint64_t round)
{
    run(arg, increment, thread, rng, round);
}

static bool lost_update_anomaly(void *arg, uint64_t round)
{
    int64_t x, y;
    read_both(arg, "x", "y", &x, &y);
    return x != 2 * (int64_t)(round + 1);
}

static uint64_t lost_update(uint64_t rounds)
{
    return race(rounds, (struct litmus_race){.threads = 2,
                                             .body = lost_update_body,
                                             .anomaly = lost_update_anomaly});
}

/* ---- write skew: each may go while the other stays --------------------------------------------------------------------- */

static enum svm_err both_on(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    enum svm_err err = put(txn, "x", 1);
    return err == SVM_OK ? put(txn, "y", 1) : err;
}

static void skew_setup(void *arg, uint64_t round)
{
    run(arg, both_on, 0, NULL, round);
}

static enum svm_err go_off(void *arg, struct svm_cell_txn *txn)
{
    struct call *call = arg;
    int64_t x, y;
    enum svm_err err = get(txn, "x", &x, NULL);
    if (err == SVM_OK)
        err = get(txn, "y", &y, NULL);
    litmus_jitter(call->rng);
    if (err != SVM_OK || x + y < 2)
        return err;
    return put(txn, call->thread == 0 ? "x" : "y", 0);
}

static void skew_body(void *arg, unsigned thread, struct rng *rng, uint64_t round)
{
    run(arg, go_off, thread, rng, round);
}

static bool skew_anomaly(void *arg, uint64_t round)
{
    int64_t x, y;
    (void)round;
    read_both(arg, "x", "y", &x, &y);
    return x + y != 1;
}

static uint64_t write_skew(uint64_t rounds)
{
    return race(rounds,
                (struct litmus_race){
                    .threads = 2, .setup = skew_setup, .body = skew_body, .anomaly = skew_anomaly});
}

/* ---- the same with absence: put mine if yours is not there --------------------------------------------------------------- */

static enum svm_err both_gone(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    enum svm_err err = svm_cell_del(txn, key_of("a"));
    return err == SVM_OK ? svm_cell_del(txn, key_of("b")) : err;
}

static void absent_setup(void *arg, uint64_t round)
{
    run(arg, both_gone, 0, NULL, round);
}

static enum svm_err put_if_alone(void *arg, struct svm_cell_txn *txn)
{
    struct call *call = arg;
    int64_t value;
    bool there;
    enum svm_err err = get(txn, call->thread == 0 ? "b" : "a", &value, &there);
    litmus_jitter(call->rng);
    return err == SVM_OK && !there ? put(txn, call->thread == 0 ? "a" : "b", 1) : err;
}

static void absent_body(void *arg, unsigned thread, struct rng *rng, uint64_t round)
{
    run(arg, put_if_alone, thread, rng, round);
}

static bool absent_anomaly(void *arg, uint64_t round)
{
    int64_t a, b;
    (void)round;
    read_both(arg, "a", "b", &a, &b);
    return a + b != 1;
}

static uint64_t write_skew_on_absence(uint64_t rounds)
{
    return race(rounds, (struct litmus_race){.threads = 2,
                                             .setup = absent_setup,
                                             .body = absent_body,
                                             .anomaly = absent_anomaly});
}

/* ---- long fork: two readers disagree about which of two writes came first ------------------------------------------------ */

static enum svm_err write_round(void *arg, struct svm_cell_txn *txn)
{
    struct call *call = arg;
    return put(txn, call->thread == 0 ? "x" : "y", (int64_t)call->round + 1);
}

static void fork_body(void *arg, unsigned thread, struct rng *rng, uint64_t round)
{
    struct cells *cells = arg;
    litmus_jitter(rng);
    if (thread < 2)
        run(cells, write_round, thread, rng, round);
    else
        read_both(cells, thread == 2 ? "x" : "y", thread == 2 ? "y" : "x", &cells->saw[thread][0],
                  &cells->saw[thread][1]);
}

static bool fork_anomaly(void *arg, uint64_t round)
{
    const struct cells *cells = arg;
    int64_t new = (int64_t)round + 1;
    return cells->saw[2][0] == new && cells->saw[2][1] != new && cells->saw[3][0] == new &&
           cells->saw[3][1] != new;
}

static uint64_t long_fork(uint64_t rounds)
{
    return race(rounds,
                (struct litmus_race){.threads = 4, .body = fork_body, .anomaly = fork_anomaly});
}

/* ---- torn snapshot, and the same read twice ------------------------------------------------------------------------------- */

static const char *const purses[PURSES] = {"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"};

static enum svm_err fill_purses(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    enum svm_err err = SVM_OK;
    for (unsigned i = 0; i < PURSES && err == SVM_OK; i++)
        err = put(txn, purses[i], PURSE);
    return err;
}

static void torn_setup(void *arg, uint64_t round)
{
    if (round == 0)
        run(arg, fill_purses, 0, NULL, 0);
}

static enum svm_err transfer(void *arg, struct svm_cell_txn *txn)
{
    struct call *call = arg;
    unsigned from = (unsigned)rng_below(call->rng, PURSES);
    unsigned to = (from + 1 + (unsigned)rng_below(call->rng, PURSES - 1)) % PURSES;
    int64_t a, b, amount = (int64_t)rng_below(call->rng, 10);
    enum svm_err err = get(txn, purses[from], &a, NULL);
    if (err == SVM_OK)
        err = get(txn, purses[to], &b, NULL);
    if (err == SVM_OK)
        err = put(txn, purses[from], a - amount);
    return err == SVM_OK ? put(txn, purses[to], b + amount) : err;
}

static void count_purses(struct cells *cells, struct rng *rng)
{
    struct svm_cell_txn *txn;
    int64_t sum = 0, value, again;
    LITMUS_MUST(svm_cell_begin(cells->engine, &txn) == SVM_OK);
    for (unsigned i = 0; i < PURSES; i++) {
        LITMUS_MUST(get(txn, purses[i], &value, NULL) == SVM_OK);
        sum += value;
        if (i == PURSES / 2)
            litmus_jitter(rng);
    }
    LITMUS_MUST(get(txn, purses[PURSES - 1], &again, NULL) == SVM_OK);
    LITMUS_MUST(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL) == SVM_OK);
    if (sum != PURSES * PURSE || again != value)
        atomic_fetch_add(&cells->torn, 1);
}

static void torn_body(void *arg, unsigned thread, struct rng *rng, uint64_t round)
{
    if (thread < 2)
        run(arg, transfer, thread, rng, round);
    else
        count_purses(arg, rng);
}

static uint64_t torn_snapshot(uint64_t rounds)
{
    return race(rounds, (struct litmus_race){.threads = 4, .setup = torn_setup, .body = torn_body});
}

/* ---- the read-only anomaly of Fekete, O'Neil and O'Neil (SIGMOD Record 2004) ------------------------------------------------ */

static enum svm_err both_zero(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    enum svm_err err = put(txn, "x", 0);
    return err == SVM_OK ? put(txn, "y", 0) : err;
}

static void bank_setup(void *arg, uint64_t round)
{
    run(arg, both_zero, 0, NULL, round);
}

static enum svm_err deposit(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    int64_t y;
    enum svm_err err = get(txn, "y", &y, NULL);
    return err == SVM_OK ? put(txn, "y", y + 20) : err;
}

static enum svm_err withdraw(void *arg, struct svm_cell_txn *txn)
{
    struct call *call = arg;
    int64_t x, y;
    enum svm_err err = get(txn, "x", &x, NULL);
    if (err == SVM_OK)
        err = get(txn, "y", &y, NULL);
    litmus_jitter(call->rng);
    return err == SVM_OK ? put(txn, "x", x - (x + y < 10 ? 11 : 10)) : err;
}

static void bank_body(void *arg, unsigned thread, struct rng *rng, uint64_t round)
{
    struct cells *cells = arg;
    litmus_jitter(rng);
    if (thread < 2)
        run(cells, thread == 0 ? withdraw : deposit, thread, rng, round);
    else
        read_both(cells, "x", "y", &cells->saw[2][0], &cells->saw[2][1]);
}

static bool bank_anomaly(void *arg, uint64_t round)
{
    struct cells *cells = arg;
    int64_t x, y;
    (void)round;
    read_both(cells, "x", "y", &x, &y);
    bool deposited_first = cells->saw[2][0] == 0 && cells->saw[2][1] == 20;
    return y != 20 || (x != -10 && x != -11) || (deposited_first && x == -11);
}

static uint64_t read_only_anomaly(uint64_t rounds)
{
    return race(rounds,
                (struct litmus_race){
                    .threads = 3, .setup = bank_setup, .body = bank_body, .anomaly = bank_anomaly});
}

/* ---- dirty and intermediate reads: only even values are ever committed ------------------------------------------------------- */

static enum svm_err odd_then_even(void *arg, struct svm_cell_txn *txn)
{
    struct call *call = arg;
    enum svm_err err = put(txn, "x", 2 * (int64_t)call->round + 1);
    litmus_jitter(call->rng);
    return err == SVM_OK ? put(txn, "x", 2 * (int64_t)call->round) : err;
}

static void dirty_body(void *arg, unsigned thread, struct rng *rng, uint64_t round)
{
    struct cells *cells = arg;
    struct svm_cell_txn *txn;
    if (thread == 0) {
        LITMUS_MUST(svm_cell_begin(cells->engine, &txn) == SVM_OK);
        LITMUS_MUST(put(txn, "x", 2 * (int64_t)round + 1) == SVM_OK);
        litmus_jitter(rng);
        svm_cell_abort(txn);
    } else if (thread == 1) {
        run(cells, odd_then_even, thread, rng, round);
    } else {
        litmus_jitter(rng);
        read_both(cells, "x", "x", &cells->saw[2][0], &cells->saw[2][1]);
    }
}

static bool dirty_anomaly(void *arg, uint64_t round)
{
    const struct cells *cells = arg;
    (void)round;
    return cells->saw[2][0] % 2 != 0 || cells->saw[2][0] != cells->saw[2][1];
}

static uint64_t dirty_read(uint64_t rounds)
{
    return race(rounds,
                (struct litmus_race){.threads = 3, .body = dirty_body, .anomaly = dirty_anomaly});
}

const struct litmus_case litmus_cells[] = {
    {"cells: lost update", lost_update},
    {"cells: write skew", write_skew},
    {"cells: write skew on absence", write_skew_on_absence},
    {"cells: long fork", long_fork},
    {"cells: torn snapshot", torn_snapshot},
    {"cells: read-only anomaly", read_only_anomaly},
    {"cells: dirty read", dirty_read},
    {NULL, NULL},
};
