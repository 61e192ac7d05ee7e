/* bench_original: the original system's own workloads, with its counts, keys, values and formatting inside the timed part,
 * beside the best it was ever seen to do on the reference machine.
 *
 *     bench_original                        every row, RUNS (5; QUICK=1: 3) times, each a process of its own; a table
 *     bench_original ROW [--threads N]      one run; the last line is one JSON object
 *     bench_original list                   rows and threads
 *
 * Fairness. The original handed closures to a pool of as many threads as there are cores. Here the callers' own threads
 * call svm_cell_run_batch on chunks (demos/closures.h), and no thread of the engine's helps them; they are started within the timed part, as the pool was. Routing is
 * within it too, and is real: each object is looked up in the engine's table, its kind decides the path, its owner must be
 * the sender (the original's batches did not look). Making objects and closures is not timed where it was not there.
 * Success only counts; what was written is read back and summed before a figure is printed.
 * The original's figures are the best single runs of its correct version; where only its later version, which loses updates,
 * has the program, of that one. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "demos/closures.h"
#include "demos/demo.h"
#include "demos/workload.h"

enum { THREADS_LISTED = 3 };

struct outcome {
    uint64_t ok, failed, conflicts;
    double seconds;
};

struct row {
    const char *name;
    unsigned threads[THREADS_LISTED]; /* the first is the row's own; 0 ends them */
    void (*run)(struct outcome *outcome_out, struct demo *demo, const struct row *row,
                unsigned threads);
    uint64_t count, size; /* transactions; accounts, keys or batch: what the row makes of it */
    uint64_t theirs;      /* per second: best run seen on the reference machine; 0 = none */
};

/* SplitMix64. */
static uint64_t random_of(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint32_t random_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)((random_of(state) >> 32) * bound >> 32);
}

static double random_share(uint64_t *state)
{
    return (double)(random_of(state) >> 11) * 0x1p-53;
}

static void *must_alloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        demo_die("out of memory");
    return memory;
}

static void take(struct outcome *outcome, const struct closures_result *result)
{
    *outcome = (struct outcome){.ok = result->ok,
                                .failed = result->failed + result->refused,
                                .conflicts = result->retries + result->fallbacks,
                                .seconds = result->seconds};
}

/* ---- one batch: large, mixed ---------------------------------------------------------------------------------- */

static void run_workload(struct outcome *out, struct demo *demo, size_t fast, size_t consensus,
                         uint32_t owned, uint32_t pools, unsigned threads)
{
    struct workload workload;
    struct closures_result result;
    workload_create(&workload, demo, fast, consensus, owned, pools);
    closures_run(&result, demo->engine, workload.closures, fast + consensus, threads,
                 CLOSURES_ROUTED);
    workload_check(&workload, demo, &result);
    workload_destroy(&workload);
    take(out, &result);
}

static void run_large(struct outcome *out, struct demo *demo, const struct row *row,
                      unsigned threads)
{
    run_workload(out, demo, row->count / 2, row->count / 2, 1000, 10, threads);
}

static void run_mixed(struct outcome *out, struct demo *demo, const struct row *row,
                      unsigned threads)
{
    run_workload(out, demo, row->count * 7 / 10, row->count * 3 / 10, 700, 30, threads);
}

/* ---- transfers ------------------------------------------------------------------------------------------------ */

enum { TRANSFER_BALANCE = 1000, TRANSFER_SEED = 42, TRANSFER_ACCOUNTS = 50 };

/* Each balance is what the transfers make it, in whatever order: one after the other none falls below 595 of its 1,000, so nobody is ever short. A
 * sum alone would not see those that wrote nothing. */
static void transfers_check(const struct demo *demo, const struct closure *closures, size_t count,
                            uint32_t accounts)
{
    int64_t expected[TRANSFER_ACCOUNTS];
    for (uint32_t i = 0; i < accounts; i++)
        expected[i] = TRANSFER_BALANCE;
    for (size_t i = 0; i < count; i++) {
        expected[closures[i].from] -= closures[i].amount;
        expected[closures[i].to] += closures[i].amount;
    }
    for (uint32_t i = 0; i < accounts; i++) {
        const struct text key = text_make("account_", i, "");
        const int64_t balance = cell_read_number(demo->engine, text_bytes(&key));
        if (balance != expected[i])
            demo_die("account_%u has %lld instead of %lld", i, (long long)balance,
                     (long long)expected[i]);
    }
}

/* Two different accounts at random, 1 to 10 from one to the other; a short balance moves nothing. */
static void run_transfers(struct outcome *out, struct demo *demo, const struct row *row,
                          unsigned threads)
{
    struct closure *closures = must_alloc(row->count, sizeof *closures);
    struct closures_result result;
    uint64_t random = TRANSFER_SEED;
    const uint32_t accounts = (uint32_t)row->size;
    for (uint32_t i = 0; i < accounts; i++) {
        const struct text key = text_make("account_", i, "");
        cell_store(demo->engine, text_bytes(&key), text_literal("1000"));
    }
    for (uint64_t i = 0; i < row->count; i++) {
        const uint32_t from = random_below(&random, accounts);
        const uint32_t step = 1 + random_below(&random, accounts - 1);
        closures[i] = (struct closure){.fn = closure_transfer,
                                       .from = from,
                                       .to = (from + step) % accounts,
                                       .amount = 1 + random_below(&random, 10)};
    }
    closures_run(&result, demo->engine, closures, row->count, threads, CLOSURES_CONSENSUS);
    take(out, &result);
    const int64_t sum = cells_sum(demo->engine, "account_", accounts, "");
    if (sum != (int64_t)accounts * TRANSFER_BALANCE)
        demo_die("the accounts hold %lld together", (long long)sum);
    if (out->ok == row->count)
        transfers_check(demo, closures, row->count, accounts);
    free(closures);
}

/* ---- one thread: fast path wall, mixed path ------------------------------------------------------------------- */

enum { WALL_OBJECTS = 10000, PATH_SHARED = 2000, PATH_SEED = 2025, LOOK_AFRESH = 256 };

/* What the original kept of each execution: a histogram of nanoseconds and counters. */
struct wall {
    struct svm_id *objects; /* owned by alice, then shared */
    struct svm_snapshot *snapshot;
    uint64_t buckets[64];
    uint64_t last_ns, sum_ns, executed, accumulator;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The state to look at is at most LOOK_AFRESH transactions old. */
static void wall_look(struct wall *wall, struct demo *demo, uint64_t index)
{
    if (index % LOOK_AFRESH != 0)
        return;
    svm_snapshot_close(wall->snapshot);
    demo_must(svm_snapshot_open(demo->engine, &wall->snapshot), NULL, "opening a snapshot");
}

/* The closure of the original's fast path: four additions, modulo 7. It touches no state. */
static uint64_t four_additions(uint64_t seed)
{
    uint64_t sum = seed;
    sum += seed ^ 1;
    sum += seed ^ 2;
    sum += seed ^ 3;
    sum += seed ^ 4;
    return sum % 7;
}

/* Runs it and notes what passed since the last one: the whole execution, not the closure alone. */
static void wall_closure(struct wall *wall, uint64_t index)
{
    wall->accumulator += four_additions(index);
    const uint64_t now = now_ns(), ns = now - wall->last_ns;
    wall->buckets[ns == 0 ? 0 : 63 - __builtin_clzll(ns)]++;
    wall->sum_ns += ns;
    wall->last_ns = now;
    wall->executed++;
}

static void wall_create(struct wall *wall, struct demo *demo, size_t shared)
{
    const struct svm_owner alice = demo_owned(&demo->accounts[ALICE].address), all = demo_shared();
    *wall = (struct wall){.objects = must_alloc(WALL_OBJECTS + shared, sizeof *wall->objects)};
    demo_create(demo, wall->objects, WALL_OBJECTS, &alice, 1, "bench.owned");
    demo_create(demo, wall->objects + WALL_OBJECTS, shared, &all, 1, "bench.shared");
}

static void wall_destroy(struct wall *wall)
{
    uint64_t observed = 0;
    for (unsigned i = 0; i < 64; i++)
        observed += wall->buckets[i];
    if (observed != wall->executed || wall->accumulator > 6 * wall->executed)
        demo_die("%llu executions were observed", (unsigned long long)observed);
    svm_snapshot_close(wall->snapshot);
    free(wall->objects);
}

/* Random object, transaction, owner check, closure: one thread, all objects alice's. */
static void run_fast_wall(struct outcome *out, struct demo *demo, const struct row *row,
                          unsigned threads)
{
    struct wall wall;
    uint64_t random = PATH_SEED;
    (void)threads;
    wall_create(&wall, demo, 0);
    wall.last_ns = now_ns();
    const double begin = demo_now_s();
    for (uint64_t i = 0; i < row->count; i++) {
        enum svm_path path = SVM_PATH_CONSENSUS;
        const struct closure closure = {
            .n = i,
            .object_count = 1,
            .objects = {&wall.objects[random_below(&random, WALL_OBJECTS)]},
            .sender = &demo->accounts[ALICE].address};
        wall_look(&wall, demo, i);
        if (closure_route(&path, wall.snapshot, &closure) != SVM_OK || path != SVM_PATH_FAST)
            out->failed++;
        else
            wall_closure(&wall, i);
    }
    out->seconds = demo_now_s() - begin;
    out->ok = wall.executed;
    wall_destroy(&wall);
}

/* key_{n} = val, and read again: a fresh key for each transaction. */
static enum svm_err write_and_read(void *arg, struct svm_cell_txn *txn)
{
    const struct closure *closure = arg;
    const struct text key = text_make("key_", closure->n, "");
    struct svm_bytes value;
    const enum svm_err err = svm_cell_put(txn, text_bytes(&key), text_literal("val"));
    return err == SVM_OK ? svm_cell_get(txn, text_bytes(&key), &value) : err;
}

/* `size` percent under one owned object, without state; the others under an owned and a shared one, as a transaction. */
static void run_mixed_path(struct outcome *out, struct demo *demo, const struct row *row,
                           unsigned threads)
{
    struct wall wall;
    uint64_t random = PATH_SEED, written = 0;
    bool *is_written = must_alloc(row->count, sizeof *is_written);
    (void)threads;
    wall_create(&wall, demo, PATH_SHARED);
    wall.last_ns = now_ns();
    const double begin = demo_now_s();
    for (uint64_t i = 0; i < row->count; i++) {
        const bool fast = random_share(&random) < (double)row->size / 100;
        struct closure closure = {
            .n = i, .object_count = fast ? 1 : 2, .sender = &demo->accounts[ALICE].address};
        closure.objects[0] =
            &wall.objects[(size_t)(random_share(&random) * WALL_OBJECTS) % WALL_OBJECTS];
        if (!fast)
            closure.objects[1] = &wall.objects[WALL_OBJECTS + random_below(&random, PATH_SHARED)];
        enum svm_path path;
        wall_look(&wall, demo, i);
        if (closure_route(&path, wall.snapshot, &closure) != SVM_OK) {
            out->failed++;
        } else if (path == SVM_PATH_FAST) {
            wall_closure(&wall, i);
            out->ok++;
        } else {
            struct svm_cell_job job = {.fn = write_and_read, .arg = &closure};
            struct svm_cell_batch_stats stats;
            closures_run_jobs(demo->engine, &job, 1, &stats);
            is_written[i] = job.err == SVM_OK;
            written += is_written[i];
            out->conflicts += stats.retries;
            out->failed += stats.failed;
        }
    }
    out->seconds = demo_now_s() - begin;
    out->ok += written;
    for (uint64_t i = 0; i < row->count; i++) {
        const struct text key = text_make("key_", i, "");
        if (cell_holds(demo->engine, text_bytes(&key), text_literal("val")) != is_written[i])
            demo_die("key_%llu is not as it was written", (unsigned long long)i);
    }
    free(is_written);
    wall_destroy(&wall);
}

/* ---- threads of a row's own ----------------------------------------------------------------------------------- */

struct part {
    struct crew *crew;
    unsigned index;
    uint64_t ok, failed, conflicts;
};
struct crew {
    struct svm_engine *engine;
    const struct row *row;
    void (*work)(struct part *part);
    _Alignas(64) _Atomic uint64_t next;
};

static void *part_run(void *arg)
{
    struct part *part = arg;
    part->crew->work(part);
    return NULL;
}

static void crew_run(struct outcome *out, struct demo *demo, const struct row *row,
                     unsigned threads, void (*work)(struct part *part))
{
    struct crew crew = {.engine = demo->engine, .row = row, .work = work};
    struct part parts[CLOSURE_THREADS_MAX];
    pthread_t handles[CLOSURE_THREADS_MAX];
    const double begin = demo_now_s();
    for (unsigned i = 0; i < threads; i++) {
        parts[i] = (struct part){.crew = &crew, .index = i};
        if (i > 0 && pthread_create(&handles[i], NULL, part_run, &parts[i]) != 0)
            demo_die("a thread could not be started");
    }
    part_run(&parts[0]);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(handles[i], NULL);
    out->seconds = demo_now_s() - begin;
    for (unsigned i = 0; i < threads; i++) {
        out->ok += parts[i].ok;
        out->failed += parts[i].failed;
        out->conflicts += parts[i].conflicts;
    }
}

/* ---- blind writes in batches ---------------------------------------------------------------------------------- */

enum { BLIND_KEYS = 1000, BLIND_BATCH_MAX = 64 };

struct blind {
    uint64_t index;
};

static enum svm_err write_blind(void *arg, struct svm_cell_txn *txn)
{
    const struct blind *blind = arg;
    const struct text key = text_make("key_", blind->index % BLIND_KEYS, "");
    const struct text value = text_make("value_", blind->index, "");
    return svm_cell_put(txn, text_bytes(&key), text_bytes(&value));
}

/* Batches of `size`, each transaction one of its own, the next batch to whoever is free. */
static void blind_work(struct part *part)
{
    const struct row *row = part->crew->row;
    struct svm_cell_job jobs[BLIND_BATCH_MAX];
    struct blind blinds[BLIND_BATCH_MAX];
    for (;;) {
        const uint64_t begin = atomic_fetch_add(&part->crew->next, row->size);
        if (begin >= row->count)
            return;
        const uint64_t count = row->count - begin < row->size ? row->count - begin : row->size;
        struct svm_cell_batch_stats stats;
        for (uint64_t i = 0; i < count; i++) {
            blinds[i].index = begin + i;
            jobs[i] = (struct svm_cell_job){.fn = write_blind, .arg = &blinds[i]};
        }
        closures_run_jobs(part->crew->engine, jobs, count, &stats);
        part->ok += stats.consensus;
        part->failed += stats.failed;
        part->conflicts += stats.retries;
    }
}

/* Each key must hold a value that was written to it: value_{i} with i mod 1000 = key. */
static void blind_check(struct demo *demo)
{
    for (uint64_t k = 0; k < BLIND_KEYS; k++) {
        const struct text key = text_make("key_", k, "");
        struct svm_cell_txn *txn;
        struct svm_bytes value;
        demo_must(svm_cell_begin(demo->engine, &txn), NULL, "beginning a transaction");
        demo_must(svm_cell_get(txn, text_bytes(&key), &value), NULL, "reading a cell");
        uint64_t index = 0;
        for (size_t i = 6; i < value.len; i++)
            index = 10 * index + (uint64_t)(value.ptr[i] - '0');
        const struct text expected = text_make("value_", index, "");
        if (index % BLIND_KEYS != k || expected.len != value.len ||
            memcmp(expected.s, value.ptr, value.len) != 0)
            demo_die("key_%llu holds what nobody wrote there", (unsigned long long)k);
        svm_cell_abort(txn);
    }
}

static void run_blind(struct outcome *out, struct demo *demo, const struct row *row,
                      unsigned threads)
{
    struct svm_stats before, after;
    svm_stats(demo->engine, &before);
    crew_run(out, demo, row, threads, blind_work);
    svm_stats(demo->engine, &after);
    if (after.cell_committed - before.cell_committed != out->ok)
        demo_die("the engine has committed %llu",
                 (unsigned long long)(after.cell_committed - before.cell_committed));
    blind_check(demo);
}

/* ---- stress: raw begin and commit, no retry ------------------------------------------------------------------- */

static void commit_raw(struct part *part, struct svm_cell_txn *txn, enum svm_err err)
{
    if (err == SVM_OK || err == SVM_E_NOT_FOUND) {
        err = svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL);
    } else {
        svm_cell_abort(txn);
    }
    part->ok += err == SVM_OK;
    part->failed += err != SVM_OK;
    part->conflicts += err == SVM_E_CONFLICT;
}

static uint64_t congruential(uint64_t *x)
{
    return *x = *x * 1103515245u + 12345u;
}

/* 100 keys; the first 70 are read, the others written blindly: the two never meet. */
static void stress_mixed_work(struct part *part)
{
    const struct row *row = part->crew->row;
    uint64_t x = part->index;
    for (uint64_t i = 0; i < row->count / row->threads[0]; i++) {
        const uint64_t index = congruential(&x) % row->size;
        const struct text key = text_make("key_", index, "");
        struct svm_cell_txn *txn;
        struct svm_bytes value;
        demo_must(svm_cell_begin(part->crew->engine, &txn), NULL, "beginning a transaction");
        if (index * 10 < row->size * 7) {
            commit_raw(part, txn, svm_cell_get(txn, text_bytes(&key), &value));
        } else {
            const struct text number = text_make("", congruential(&x) % 1000000, "");
            commit_raw(part, txn, svm_cell_put(txn, text_bytes(&key), text_bytes(&number)));
        }
    }
}

static void stress_hot_work(struct part *part)
{
    const struct row *row = part->crew->row;
    uint64_t x = part->index;
    for (uint64_t i = 0; i < row->count / row->threads[0]; i++) {
        const struct text key = text_make("hot_", congruential(&x) % row->size, "");
        struct svm_cell_txn *txn;
        demo_must(svm_cell_begin(part->crew->engine, &txn), NULL, "beginning a transaction");
        commit_raw(part, txn, cell_add(txn, text_bytes(&key), 1));
    }
}

static void preset(struct demo *demo, const char *prefix, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        const struct text key = text_make(prefix, i, "");
        cell_store(demo->engine, text_bytes(&key), text_literal("0"));
    }
}

static void run_stress_mixed(struct outcome *out, struct demo *demo, const struct row *row,
                             unsigned threads)
{
    preset(demo, "key_", row->size);
    crew_run(out, demo, row, threads, stress_mixed_work);
    if (cells_sum(demo->engine, "key_", row->size * 7 / 10, "") != 0)
        demo_die("a key that was only read has changed");
}

static void run_stress_hot(struct outcome *out, struct demo *demo, const struct row *row,
                           unsigned threads)
{
    preset(demo, "hot_", row->size);
    crew_run(out, demo, row, threads, stress_hot_work);
    const int64_t sum = cells_sum(demo->engine, "hot_", row->size, "");
    if (sum != (int64_t)out->ok)
        demo_die("the hot keys hold %lld after %llu additions", (long long)sum,
                 (unsigned long long)out->ok);
}

/* ---- stress: a plan in one batch ------------------------------------------------------------------------------- */

static enum svm_err plan_add(void *arg, struct svm_cell_txn *txn)
{
    const struct closure *closure = arg;
    const struct text key = text_make("k", closure->from, "");
    return cell_add(txn, text_bytes(&key), 1);
}

static enum svm_err plan_read(void *arg, struct svm_cell_txn *txn)
{
    const struct closure *closure = arg;
    const struct text key = text_make("k", closure->from, "");
    int64_t number;
    return cell_number(&number, txn, text_bytes(&key));
}

/* Making the plan is timed, as it was. `size` keys; with 100 of them 30 % add and 70 % read, with 5 all add. */
static void run_plan(struct outcome *out, struct demo *demo, const struct row *row,
                     unsigned threads)
{
    enum { PLANNERS = 8 };
    const bool hot = row->size < 100;
    const uint64_t each = row->count / PLANNERS;
    struct closures_result result;
    uint64_t additions = 0;
    preset(demo, "k", row->size);
    const double begin = demo_now_s();
    struct closure *closures = must_alloc(row->count, sizeof *closures);
    for (uint64_t planner = 0; planner < PLANNERS; planner++) {
        uint64_t random = (hot ? 0xfeedbeefu : 0xc0ffeeu) + planner;
        for (uint64_t i = 0; i < each; i++) {
            const bool add = hot || random_share(&random) < 0.3;
            closures[planner * each + i] =
                (struct closure){.fn = add ? plan_add : plan_read,
                                 .from = random_below(&random, (uint32_t)row->size)};
            additions += add;
        }
    }
    closures_run(&result, demo->engine, closures, row->count, threads, CLOSURES_CONSENSUS);
    result.seconds = demo_now_s() - begin;
    const int64_t sum = cells_sum(demo->engine, "k", row->size, "");
    if (result.failed == 0 && sum != (int64_t)additions)
        demo_die("the keys hold %lld after %llu additions", (long long)sum,
                 (unsigned long long)additions);
    free(closures);
    take(out, &result);
}

/* ---- the rows -------------------------------------------------------------------------------------------------- */

/* Theirs: best single run of the correct version, whichever number of threads; (h) only the later version has it. */
static const struct row rows[] = {
    {"large-5000", {2, 1}, run_large, 10000, 0, 1300000},
    {"large-10000", {2, 1}, run_large, 20000, 0, 1180000},
    {"mixed-70-30", {2, 1}, run_mixed, 10000, 0, 1412771},
    {"transfers-50", {2, 1}, run_transfers, 10000, 50, 680000},
    {"transfers-5", {2, 1}, run_transfers, 10000, 5, 190000},
    {"fast-wall-200k", {1}, run_fast_wall, 200000, 0, 7800000},    /* (h) */
    {"fast-wall-2m", {1}, run_fast_wall, 2000000, 0, 7800000},     /* (h) */
    {"mixed-path-80", {1}, run_mixed_path, 200000, 80, 1810000},   /* (h) */
    {"blind-batches", {8, 2, 1}, run_blind, 1000000, 32, 2040000}, /* (h) */
    {"stress-mixed", {8}, run_stress_mixed, 8000, 100, 820384},    /* (h) */
    {"stress-hot", {16}, run_stress_hot, 8000, 5, 1024972},        /* (h) */
    {"stress-plan", {2, 1}, run_plan, 16000, 100, 1566000},        /* (h) */
    {"stress-plan-hot", {2, 1}, run_plan, 8000, 5, 0},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static int run_one(const struct row *row, unsigned threads)
{
    struct demo demo;
    struct outcome outcome = {0};
    const unsigned used = threads ? threads : row->threads[0];
    if (row->run == run_stress_mixed || row->run == run_stress_hot || row->threads[0] == 1)
        if (used != row->threads[0])
            demo_die("%s is defined for %u threads", row->name, row->threads[0]);
    demo_open(&demo, row->name);
    row->run(&outcome, &demo, row, used);
    svm_engine_close(demo.engine);
    if (outcome.ok + outcome.failed != row->count)
        demo_die("%llu of %llu are accounted for",
                 (unsigned long long)(outcome.ok + outcome.failed), (unsigned long long)row->count);
    printf(
        "{\"row\":\"original-%s\",\"value\":%.0f,\"unit\":\"tx/s\",\"threads\":%u,\"count\":%llu,"
        "\"ok\":%llu,\"failed\":%llu,\"conflicts\":%llu,\"seconds\":%.6f,\"theirs\":%llu}\n",
        row->name, (double)outcome.ok / outcome.seconds, used, (unsigned long long)row->count,
        (unsigned long long)outcome.ok, (unsigned long long)outcome.failed,
        (unsigned long long)outcome.conflicts, outcome.seconds, (unsigned long long)row->theirs);
    return 0;
}

/* ---- every row, each run a process of its own ------------------------------------------------------------------ */

enum { RUNS_MAX = 99, LINE_MAX_BYTES = 1024 };

struct figures {
    unsigned count;
    double values[RUNS_MAX];
    char last[LINE_MAX_BYTES]; /* the JSON of the last run */
};

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One run in a fresh process. False: it has said on stderr what is wrong. */
static bool run_fresh(struct figures *figures, const struct row *row, unsigned threads)
{
    char number[16], line[LINE_MAX_BYTES];
    int ends[2], status = 0;
    snprintf(number, sizeof number, "%u", threads);
    if (pipe(ends) != 0)
        demo_die("no pipe");
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("/proc/self/exe", "bench_original", row->name, "--threads", number, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *output = child > 0 ? fdopen(ends[0], "r") : NULL;
    if (output == NULL)
        demo_die("no process");
    while (fgets(line, sizeof line, output) != NULL)
        if (line[0] == '{')
            memcpy(figures->last, line, sizeof line);
    fclose(output);
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return false;
    const char *value = strstr(figures->last, "\"value\":");
    if (value == NULL)
        return false;
    figures->values[figures->count++] = strtod(value + strlen("\"value\":"), NULL);
    return true;
}

/* A row's line of the table; then its JSON with the medians. */
static bool measure(const struct row *row, unsigned threads, unsigned runs)
{
    struct figures figures = {.count = 0};
    for (unsigned run = 0; run < runs; run++)
        if (!run_fresh(&figures, row, threads)) {
            printf("%-18s %7u  no figure\n", row->name, threads);
            return false;
        }
    qsort(figures.values, figures.count, sizeof figures.values[0], by_value);
    const double median = runs % 2 ? figures.values[runs / 2]
                                   : (figures.values[runs / 2 - 1] + figures.values[runs / 2]) / 2;
    printf("%-18s %7u %12.0f %12.0f .. %-12.0f", row->name, threads, median, figures.values[0],
           figures.values[runs - 1]);
    if (row->theirs)
        printf(" %12llu %6.2f\n", (unsigned long long)row->theirs, median / (double)row->theirs);
    else
        printf(" %12s\n", "-");
    return true;
}

/* What two threads pay when they touch the same line: one round trip between them, in nanoseconds. On a virtual machine it
 * changes with where the host has put its processors, and with it every figure of two threads. */
static _Alignas(128) _Atomic int line_turn;
enum { LINE_TRIPS = 100000 };

static void *line_answer(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < LINE_TRIPS; i++) {
        while (atomic_load(&line_turn) != 1) {
        }
        atomic_store(&line_turn, 0);
    }
    return NULL;
}

static void tell_line(void)
{
    pthread_t other;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || pthread_create(&other, NULL, line_answer, NULL) != 0)
        return;
    const double begin = demo_now_s();
    for (unsigned i = 0; i < LINE_TRIPS; i++) {
        while (atomic_load(&line_turn) != 0) {
        }
        atomic_store(&line_turn, 1);
    }
    pthread_join(other, NULL);
    printf("a cache line goes to the other core and back in %.0f ns\n",
           (demo_now_s() - begin) * 1e9 / LINE_TRIPS);
}

static int run_all(void)
{
    const char *quick = getenv("QUICK"), *wanted = getenv("RUNS");
    const unsigned long asked = wanted ? strtoul(wanted, NULL, 10) : 0;
    const unsigned runs = asked >= 1 && asked <= RUNS_MAX    ? (unsigned)asked
                          : quick && strcmp(quick, "1") == 0 ? 3
                                                             : 5;
    bool good = true;
    tell_line();
    printf("transactions per second, median of %u runs, each a process of its own\n", runs);
    printf("%-18s %7s %12s %12s .. %-12s %12s %6s\n", "original-", "threads", "ours", "least",
           "most", "theirs, best", "ratio");
    for (unsigned i = 0; i < ROWS; i++)
        for (unsigned t = 0; t < THREADS_LISTED && rows[i].threads[t]; t++)
            good = measure(&rows[i], rows[i].threads[t], runs) && good;
    tell_line();
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return run_all();
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (unsigned i = 0; i < ROWS; i++)
            for (unsigned t = 0; t < THREADS_LISTED && rows[i].threads[t]; t++)
                printf("%s --threads %u\n", rows[i].name, rows[i].threads[t]);
        return 0;
    }
    if (argc != 2 && (argc != 4 || strcmp(argv[2], "--threads") != 0))
        demo_die("usage: bench_original [list | ROW [--threads N]]");
    const char *name = argv[1];
    if (strncmp(name, "original-", 9) == 0)
        name += 9;
    const unsigned threads = (unsigned)demo_argument(argc, argv, 3, 0, 1, CLOSURE_THREADS_MAX);
    for (unsigned i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return run_one(&rows[i], threads);
    demo_die("no row %s; `bench_original list` names them", name);
}
