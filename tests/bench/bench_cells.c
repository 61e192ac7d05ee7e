/* bench_cells: interactive transactions on cells: one measured run of one row.
 *
 * Usage: bench_cells ROW [--threads N] [--seconds S] [--seed N] [--cells N] [--batch N]
 *   cells-uniform    2 reads + 2 writes, two cells drawn evenly
 *   cells-zipf99     the same, drawn by Zipf's law with exponent 0.99
 *
 * Every transaction takes 1 from one cell and gives 2 to another: it reads both, and writes both, and the sum over all cells counts the commits. Memory
 * mode. THREADS callers and nobody else; with --batch each hands in N closures at a time (svm_cell_run_batch), without it one (svm_cell_run).
 * Cells are drawn before the clock starts. Latency is the caller's: of the whole batch. Prints one line of JSON, and only after the sum, the
 * engine's own count and the callers' were found to be the same. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/latency.h"
#include "bench/rig.h"

enum { THREADS_MAX = 64, PLAN = 1 << 18, BATCH_MAX = 1024, START = 1000000 };

struct options {
    const char *row;
    uint32_t threads, cells, batch;
    double seconds;
    uint64_t seed;
};

struct pair {
    uint32_t from, to;
};

struct caller {
    _Alignas(128) struct svm_engine *engine;
    const struct options *options;
    struct pair *plan;          /* PLAN of them, walked in a circle */
    uint64_t committed, failed; /* of all */
    uint64_t timed;             /* committed in the timed part */
    struct hist latency;        /* ns, of the timed part */
    pthread_t thread;
};

static _Atomic int phase; /* 0 wait, 1 warm up, 2 measure, 3 stop */

/* ---- transactions --------------------------------------------------------------------------------------------- */

/* A cell's key is its number, spread over eight bytes. */
static struct svm_bytes key_of(uint64_t *key, uint32_t cell)
{
    *key = (uint64_t)cell * UINT64_C(0x9e3779b97f4a7c15);
    return (struct svm_bytes){(const uint8_t *)key, sizeof *key};
}

static enum svm_err get(struct svm_cell_txn *txn, uint32_t cell, uint64_t *value_out)
{
    uint64_t key;
    struct svm_bytes value;
    enum svm_err err = svm_cell_get(txn, key_of(&key, cell), &value);
    if (err == SVM_OK)
        memcpy(value_out, value.ptr, sizeof *value_out);
    return err;
}

static enum svm_err put(struct svm_cell_txn *txn, uint32_t cell, uint64_t value)
{
    uint64_t key;
    return svm_cell_put(txn, key_of(&key, cell),
                        (struct svm_bytes){(const uint8_t *)&value, sizeof value});
}

static enum svm_err take_and_give(void *arg, struct svm_cell_txn *txn)
{
    const struct pair *pair = arg;
    uint64_t from, to, keys[2];
    const struct svm_bytes both[2] = {key_of(&keys[0], pair->from), key_of(&keys[1], pair->to)};
    svm_cell_prefetch(txn, both, 2);
    enum svm_err err = get(txn, pair->from, &from);
    if (err == SVM_OK)
        err = get(txn, pair->to, &to);
    if (err == SVM_OK)
        err = put(txn, pair->from, from - 1);
    if (err == SVM_OK)
        err = put(txn, pair->to, to + 2);
    return err;
}

/* ---- cells ------------------------------------------------------------------------------------------------------ */

struct range {
    uint32_t first, count;
    uint64_t sum;
};

static enum svm_err fill_range(void *arg, struct svm_cell_txn *txn)
{
    const struct range *range = arg;
    enum svm_err err = SVM_OK;
    for (uint32_t i = 0; i < range->count && err == SVM_OK; i++)
        err = put(txn, range->first + i, START);
    return err;
}

static enum svm_err sum_range(void *arg, struct svm_cell_txn *txn)
{
    struct range *range = arg;
    enum svm_err err = SVM_OK;
    range->sum = 0;
    for (uint32_t i = 0; i < range->count && err == SVM_OK; i++) {
        uint64_t value = 0;
        err = get(txn, range->first + i, &value);
        range->sum += value;
    }
    return err;
}

/* Runs FN over all cells, some at a time; returns the sum of the sums. */
static uint64_t over_all(struct svm_engine *engine, svm_cell_fn *fn, uint32_t cells)
{
    enum { STEP = 200 };
    uint64_t sum = 0;
    for (uint32_t at = 0; at < cells; at += STEP) {
        struct range range = {.first = at, .count = cells - at < STEP ? cells - at : STEP};
        enum svm_err err = svm_cell_run(engine, fn, &range, SVM_WAIT_EXECUTED, NULL, NULL);
        if (err != SVM_OK)
            die("walking over the cells: %s", svm_err_name(err));
        sum += range.sum;
    }
    return sum;
}

/* ---- draws ------------------------------------------------------------------------------------------------------- */

/* Source   Gray et al., "Quickly generating billion-record synthetic databases", SIGMOD 1994, section 3.2; as in YCSB. Ranks are scattered over the
 * cells: the first ones are no neighbours. */
struct zipf {
    double theta, zeta_n, eta, alpha, half;
    uint32_t n;
};

static void zipf_init(struct zipf *zipf, uint32_t n, double theta)
{
    double zeta_2 = 1 + pow(0.5, theta), zeta_n = 0;
    for (uint32_t i = 1; i <= n; i++)
        zeta_n += pow(1.0 / i, theta);
    *zipf = (struct zipf){.theta = theta,
                          .zeta_n = zeta_n,
                          .eta = (1 - pow(2.0 / n, 1 - theta)) / (1 - zeta_2 / zeta_n),
                          .alpha = 1 / (1 - theta),
                          .half = zeta_2,
                          .n = n};
}

static uint32_t zipf_next(const struct zipf *zipf, struct random *random)
{
    double u = (double)(random_next(random) >> 11) * 0x1p-53, uz = u * zipf->zeta_n;
    uint32_t rank;
    if (uz < 1)
        rank = 0;
    else if (uz < zipf->half)
        rank = 1;
    else
        rank = (uint32_t)(zipf->n * pow(zipf->eta * u - zipf->eta + 1, zipf->alpha));
    rank = rank < zipf->n ? rank : zipf->n - 1;
    struct random scatter = {rank};
    return (uint32_t)(random_next(&scatter) % zipf->n);
}

static uint32_t draw(const struct zipf *zipf, struct random *random)
{
    return zipf->theta > 0 ? zipf_next(zipf, random) : (uint32_t)(random_next(random) % zipf->n);
}

static void plan_make(struct caller *caller, const struct zipf *zipf, uint64_t seed)
{
    struct random random = {seed};
    caller->plan = malloc(PLAN * sizeof *caller->plan);
    if (caller->plan == NULL)
        die("no memory");
    for (uint32_t i = 0; i < PLAN; i++) {
        struct pair *pair = &caller->plan[i];
        pair->from = draw(zipf, &random);
        do
            pair->to = draw(zipf, &random);
        while (pair->to == pair->from);
    }
}

/* ---- callers ------------------------------------------------------------------------------------------------------ */

static uint32_t run_batch(struct caller *caller, uint32_t at)
{
    struct svm_cell_job jobs[BATCH_MAX];
    struct svm_cell_batch_stats stats;
    uint32_t count = caller->options->batch;
    for (uint32_t i = 0; i < count; i++)
        jobs[i] = (struct svm_cell_job){.fn = take_and_give, .arg = &caller->plan[(at + i) % PLAN]};
    svm_cell_run_batch(caller->engine, jobs, count, SVM_WAIT_EXECUTED, &stats);
    caller->committed += stats.fast + stats.consensus;
    caller->failed += stats.failed;
    return count;
}

static uint32_t run_one(struct caller *caller, uint32_t at)
{
    enum svm_err err = svm_cell_run(caller->engine, take_and_give, &caller->plan[at % PLAN],
                                    SVM_WAIT_EXECUTED, NULL, NULL);
    caller->committed += err == SVM_OK;
    caller->failed += err != SVM_OK;
    return 1;
}

static void *caller_main(void *arg)
{
    struct caller *caller = arg;
    uint32_t at = 0;
    while (atomic_load(&phase) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    for (int now; (now = atomic_load_explicit(&phase, memory_order_relaxed)) < 3;) {
        const uint64_t before = caller->committed, from_ns = now_ns();
        const uint32_t count =
            caller->options->batch > 0 ? run_batch(caller, at) : run_one(caller, at);
        at += count;
        if (now == 2) { /* the warm-up does not count */
            caller->timed += caller->committed - before;
            hist_add_many(&caller->latency, now_ns() - from_ns, count);
        }
    }
    return NULL;
}

static void sleep_s(double seconds)
{
    struct timespec pause = {.tv_sec = (time_t)seconds,
                             .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
}

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The callers' count, the engine's and that of the cells are one. */
static void check(const struct options *options, struct svm_engine *engine, uint64_t committed,
                  uint64_t failed, uint64_t counted)
{
    const uint64_t sum = over_all(engine, sum_range, options->cells);
    if (failed > 0)
        die("the audit fails: %llu transactions failed", (unsigned long long)failed);
    if (counted != committed)
        die("the audit fails: the engine counts %llu commits and the callers %llu",
            (unsigned long long)counted, (unsigned long long)committed);
    if (sum != (uint64_t)options->cells * START + committed)
        die("the audit fails: the cells have gained %lld and the callers count %llu commits",
            (long long)(sum - (uint64_t)options->cells * START), (unsigned long long)committed);
}

static void measure(const struct options *options, struct svm_engine *engine)
{
    static struct caller callers[THREADS_MAX];
    static struct hist latency;
    struct zipf zipf = {.n = options->cells};
    struct svm_stats first, before, after;
    uint64_t committed = 0, failed = 0, timed = 0;
    if (strcmp(options->row, "cells-zipf99") == 0)
        zipf_init(&zipf, options->cells, 0.99);
    svm_stats(engine, &first);
    for (uint32_t i = 0; i < options->threads; i++) {
        callers[i].engine = engine;
        callers[i].options = options;
        plan_make(&callers[i], &zipf, options->seed * 1000003 + i);
        if (pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]) != 0)
            die("no thread");
    }
    atomic_store(&phase, 1);
    sleep_s(options->seconds < 4 ? options->seconds / 4 : 1);
    svm_stats(engine, &before);
    double start = now_s(), cpu = cpu_s();
    atomic_store(&phase, 2);
    sleep_s(options->seconds);
    atomic_store(&phase, 3);
    double seconds = now_s() - start;
    for (uint32_t i = 0; i < options->threads; i++) {
        pthread_join(callers[i].thread, NULL);
        committed += callers[i].committed;
        failed += callers[i].failed;
        timed += callers[i].timed;
        hist_merge(&latency, &callers[i].latency);
        free(callers[i].plan);
    }
    cpu = cpu_s() - cpu;
    svm_stats(engine, &after);
    check(options, engine, committed, failed, after.cell_committed - first.cell_committed);
    printf("{\"row\":\"%s\",\"value\":%.0f,\"unit\":\"tx/s\",\"threads\":%u,\"batch\":%u,"
           "\"seconds\":%.2f,\"cpu_ns\":%.0f,\"conflicts\":%llu,\"cells\":%u,\"seed\":%llu",
           options->row, (double)timed / seconds, options->threads, options->batch, seconds,
           cpu * 1e9 / (double)timed,
           (unsigned long long)(after.cell_conflicts - before.cell_conflicts), options->cells,
           (unsigned long long)options->seed);
    latency_print("", &latency);
    printf("}\n");
}

static void parse(struct options *options, int argc, char **argv)
{
    for (int i = 2; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value == NULL)
            die("%s needs a value", name);
        const unsigned long long number = strtoull(value, NULL, 10);
        if (strcmp(name, "--threads") == 0)
            options->threads = (uint32_t)number;
        else if (strcmp(name, "--seconds") == 0)
            options->seconds = strtod(value, NULL);
        else if (strcmp(name, "--seed") == 0)
            options->seed = number;
        else if (strcmp(name, "--cells") == 0)
            options->cells = (uint32_t)number;
        else if (strcmp(name, "--batch") == 0)
            options->batch = (uint32_t)number;
        else
            die("unknown option %s", name);
    }
    if (strcmp(options->row, "cells-uniform") != 0 && strcmp(options->row, "cells-zipf99") != 0)
        die("usage: bench_cells cells-uniform|cells-zipf99 [options]");
    if (options->threads == 0 || options->threads > THREADS_MAX || options->batch > BATCH_MAX ||
        options->cells < 2)
        die("--threads 1..%d, --batch 0..%d, --cells at least 2", THREADS_MAX, BATCH_MAX);
}

int main(int argc, char **argv)
{
    struct options options = {.row = argc > 1 ? argv[1] : "",
                              .threads = 2,
                              .cells = 1000000,
                              .seconds = 10,
                              .seed = (uint64_t)time(NULL)};
    struct svm_config config;
    struct svm_engine *engine;
    struct svm_refusal refusal;
    parse(&options, argc, argv);
    fprintf(stderr, "seed %llu\n", (unsigned long long)options.seed);
    svm_config_init(&config);
    config.durability = SVM_MEMORY;
    config.workers = 1; /* those beyond the first would help the callers */
    if (svm_engine_open(&engine, &config, &refusal) != SVM_OK)
        die("the engine does not open: %s", refusal.reason);
    over_all(engine, fill_range, options.cells);
    measure(&options, engine);
    svm_engine_close(engine);
    return 0;
}
