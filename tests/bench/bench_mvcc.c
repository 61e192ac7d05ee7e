/* bench_mvcc: what one claimed write costs in the object table, without anything around it.
 *
 *     bench_mvcc [SECONDS [OBJECTS [THREADS]]]      defaults: 2 1000000, 1 and 2 threads
 *
 * A transaction here: hold one random object, claim it, copy its version, take a seq, publish, hand over, let go. Batches of 32 with
 * prefetches, as a worker does. Thread 0 also is the committer (takes records) and the collector (advances the floor).
 * Afterwards the versions are summed over all objects: a lost or doubled write shows, and then no figure is printed. */
#include <inttypes.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/rng.h"
#include "base/thread.h"
#include "mvcc/mvcc.h"

enum { BATCH = 32, INFLIGHT = 1 << 14, PAYLOAD = 112, THREADS_MAX = 8 };

struct bench {
    struct mvcc *mvcc;
    struct mvcc_table *table;
    uint64_t objects;
    uint32_t threads;
    _Atomic bool stop;
    _Atomic uint64_t taken;
};

struct worker {
    _Alignas(128) struct bench *bench;
    struct mvcc_thread *table_thread;
    struct thread thread;
    uint32_t index;
    uint64_t commits;
    uint64_t conflicts;
    uint64_t collected;
    uint64_t last_seq;
    uint64_t cpu_ns;
};

/* The payload: a balance, the version's number, nothing. */
static void number_set(struct mvcc_version *version, uint64_t number)
{
    mvcc_version_number_set(version, number);
    memcpy(version->payload + 8, &number, sizeof number);
}

static uint64_t number_of(const struct mvcc_version *version)
{
    uint64_t number;
    memcpy(&number, version->payload + 8, sizeof number);
    return number;
}

static void key_of(uint8_t key[32], uint64_t object)
{
    struct rng rng;
    rng_init(&rng, object);
    for (int i = 0; i < 4; i++) {
        memcpy(key + 8 * i, &rng.s[i], 8);
    }
}

static void populate(struct bench *bench)
{
    struct mvcc_thread *thread = mvcc_thread_create(bench->mvcc);
    SVM_ASSERT(thread != NULL);
    for (uint64_t i = 0; i < bench->objects; i++) {
        uint8_t key[32];
        key_of(key, i);
        struct mvcc_head *head;
        mvcc_online(thread);
        enum mvcc_hold_result held = mvcc_hold(bench->table, thread, key, 32, &head);
        struct mvcc_version *version = mvcc_version_create(thread, PAYLOAD);
        SVM_ASSERT(held == MVCC_HELD_LOAD);
        SVM_ASSERT(version != NULL);
        memset(version->payload, 0, PAYLOAD);
        number_set(version, 1);
        version->begin_seq = 0;
        mvcc_load_finish(bench->table, thread, head, version, 1);
        mvcc_unhold(head);
        mvcc_offline(thread);
    }
    mvcc_thread_destroy(thread);
}

/* One transaction; false when the object was claimed. */
static bool add_one(struct worker *w, struct mvcc_head *head)
{
    struct bench *bench = w->bench;
    uint64_t state;
    if (!mvcc_try_claim(head, &state)) {
        return false;
    }
    const struct mvcc_version *old = mvcc_newest(head);
    struct mvcc_version *version = mvcc_version_create(w->table_thread, PAYLOAD);
    SVM_ASSERT(version != NULL);
    memcpy(version->payload, old->payload, PAYLOAD);
    uint64_t balance;
    memcpy(&balance, version->payload, sizeof balance);
    balance++;
    memcpy(version->payload, &balance, sizeof balance);
    number_set(version, number_of(old) + 1);
    uint64_t seq = mvcc_seq_next(bench->mvcc);
    mvcc_publish(bench->table, w->table_thread, head, version, seq);
    mvcc_seq_hand_over(bench->mvcc, seq, head);
    w->last_seq = seq;
    return true;
}

static void commit_and_collect(struct worker *w)
{
    struct bench *bench = w->bench;
    uint64_t taken = atomic_load_explicit(&bench->taken, memory_order_relaxed);
    uint64_t applied = mvcc_applied(bench->mvcc);
    while (taken < applied) {
        (void)mvcc_seq_take(bench->mvcc, ++taken);
    }
    atomic_store_explicit(&bench->taken, taken, memory_order_release);
    if (taken - w->collected >= 8192) {
        w->collected = taken;
        (void)mvcc_floor_advance(bench->mvcc, w->table_thread, 0);
        struct mvcc_collected counts = {0};
        (void)mvcc_collect(bench->table, w->table_thread, 0, UINT64_MAX, 4096, &counts);
    }
}

static void work(void *arg)
{
    struct worker *w = arg;
    struct bench *bench = w->bench;
    struct rng rng;
    rng_init(&rng, 1 + w->index);
    uint8_t keys[BATCH][32];
    struct mvcc_head *heads[BATCH];
    mvcc_online(w->table_thread);
    while (!atomic_load_explicit(&bench->stop, memory_order_relaxed)) {
        for (int i = 0; i < BATCH; i++) {
            key_of(keys[i], rng_below(&rng, bench->objects));
            mvcc_prefetch(bench->table, mvcc_hash_key(bench->table, keys[i], 32));
        }
        for (int i = 0; i < BATCH; i++) {
            mvcc_prefetch_head(bench->table, mvcc_hash_key(bench->table, keys[i], 32));
        }
        for (int i = 0; i < BATCH; i++) {
            enum mvcc_hold_result held =
                mvcc_hold(bench->table, w->table_thread, keys[i], 32, &heads[i]);
            SVM_ASSERT(held == MVCC_HELD);
            __builtin_prefetch(mvcc_newest(heads[i]));
        }
        for (int i = 0; i < BATCH; i++) {
            bool done = add_one(w, heads[i]);
            w->commits += done;
            w->conflicts += !done;
            mvcc_unhold(heads[i]);
        }
        mvcc_quiesce(w->table_thread);
        if (w->index == 0) {
            commit_and_collect(w);
        }
        /* Credits: whoever is far ahead of what was taken waits. (Not of applied: that stands still while one that took a number
         * is not running.) */
        while (w->last_seq > atomic_load(&bench->taken) + INFLIGHT / 2 &&
               !atomic_load(&bench->stop)) {
            if (w->index == 0) {
                commit_and_collect(w);
            }
            mvcc_quiesce(w->table_thread);
            sched_yield();
        }
    }
    mvcc_offline(w->table_thread);
    struct timespec cpu;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    w->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
}

static bool sum_visit(void *arg, struct mvcc_head *head)
{
    uint64_t balance;
    memcpy(&balance, mvcc_newest(head)->payload, sizeof balance);
    *(uint64_t *)arg += balance;
    return true;
}

static void run(uint32_t threads, double seconds, uint64_t objects)
{
    struct bench bench = {.objects = objects, .threads = threads};
    const struct mvcc_config config = {.records_kept = true,
                                       .inflight_max = INFLIGHT,
                                       .pins_max = 64,
                                       .threads_max = 16,
                                       .first_seq = 1};
    size_t heap_before = mallinfo2().uordblks + mallinfo2().hblkhd;
    bench.mvcc = mvcc_create(&config);
    SVM_ASSERT(bench.mvcc != NULL);
    bench.table = mvcc_table(bench.mvcc, MVCC_OBJECTS);
    populate(&bench);
    size_t heap = mallinfo2().uordblks + mallinfo2().hblkhd - heap_before;

    static struct worker workers[THREADS_MAX];
    memset(workers, 0, sizeof workers);
    uint64_t begin_ns = clock_system.boot_ns(clock_system.self);
    for (uint32_t i = 0; i < threads; i++) {
        workers[i].bench = &bench;
        workers[i].index = i;
        workers[i].table_thread = mvcc_thread_create(bench.mvcc);
        bool started = workers[i].table_thread != NULL &&
                       thread_start(&workers[i].thread, "bench", work, &workers[i]);
        SVM_ASSERT(started);
    }
    struct timespec pause = {.tv_sec = (time_t)seconds,
                             .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
    atomic_store(&bench.stop, true);
    uint64_t commits = 0;
    uint64_t conflicts = 0;
    uint64_t cpu_ns = 0;
    for (uint32_t i = 0; i < threads; i++) {
        thread_join(&workers[i].thread);
        commits += workers[i].commits;
        conflicts += workers[i].conflicts;
        cpu_ns += workers[i].cpu_ns;
        mvcc_thread_destroy(workers[i].table_thread);
    }
    double took = (double)(clock_system.boot_ns(clock_system.self) - begin_ns) * 1e-9;

    uint64_t sum = 0;
    mvcc_visit(bench.table, sum_visit, &sum);
    struct mvcc_counts counts;
    mvcc_counts(bench.table, &counts);
    if (sum != commits || mvcc_applied(bench.mvcc) != commits) {
        printf("WRONG: %" PRIu64 " commits, balances %" PRIu64 ", applied %" PRIu64 "\n", commits,
               sum, mvcc_applied(bench.mvcc));
        exit(1);
    }
    printf(
        "threads=%u objects=%" PRIu64 " payload=%d: %.2f M/s, %.0f ns of processor each; %" PRIu64
        " claimed by another, %" PRIu64 " versions behind the newest at the end, "
        "%.0f bytes per object (payload included)\n",
        threads, objects, PAYLOAD, (double)commits / took * 1e-6, (double)cpu_ns / (double)commits,
        conflicts, counts.garbage, (double)heap / (double)objects);
    mvcc_destroy(bench.mvcc);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 2.0;
    uint64_t objects = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    uint32_t threads = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    if (seconds <= 0 || objects == 0 || threads > THREADS_MAX) {
        fprintf(stderr, "usage: bench_mvcc [SECONDS [OBJECTS [THREADS]]]\n");
        return 2;
    }
    if (threads > 0) {
        run(threads, seconds, objects);
        return 0;
    }
    run(1, seconds, objects);
    run(2, seconds, objects);
    return 0;
}
