/* What mvcc_stress.c (the threads) and mvcc_stress_judge.c share. */
#ifndef TESTS_UNIT_MVCC_STRESS_WORLD_H
#define TESTS_UNIT_MVCC_STRESS_WORLD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/rng.h"
#include "base/thread.h"
#include "mvcc/mvcc.h"
#include "mvcc_stress.h"

enum {
    KEYS = 256,
    INFLIGHT = 256,
    ACCESS_MAX = 5,
    OBSERVED_MAX = 3000,
    THREADS = 16,
    BALANCE = 1000
};

/* An object as the replay, the disk and an observation know it. */
struct row {
    uint64_t version; /* 0 = never existed */
    uint64_t begin_seq;
    uint64_t balance;
    bool tombstone;
};

struct access {
    uint32_t key;
    bool write;
    bool fresh;
    bool claimed;
    struct mvcc_head *head;
    uint64_t state;
    struct row seen;
    struct row next;
    struct mvcc_version *version;
};

struct record {
    bool published;
    uint32_t count;
    struct access accesses[ACCESS_MAX];
};

struct observation {
    uint64_t seq;
    uint64_t versions[KEYS];
};

struct world {
    const struct stress_config *config;
    struct stress_result *result;
    struct mvcc *mvcc;
    struct mvcc_table *table;
    _Atomic bool stop;
    _Atomic uint32_t workers_left;
    _Atomic int credits;
    _Atomic uint32_t next_fresh;
    _Atomic bool writable[KEYS]; /* a key that is being created is its creator's alone */
    _Atomic uint64_t materialised;
    _Atomic uint64_t violations;
    pthread_mutex_t mutex; /* disk, result->first */
    struct row disk[KEYS];
    struct row replay[KEYS]; /* committer only */
    struct record **log;     /* by seq - 1; committer only */
    uint64_t log_len, log_cap;
};

struct actor {
    struct world *world;
    struct mvcc_thread *mt;
    struct thread thread;
    struct rng rng;
    struct observation *observed;
    uint32_t observed_count;
    uint64_t commits, voids, retries, snapshots, cancelled, created;
};

__attribute__((format(printf, 2, 3))) void stress_violation(struct world *w, const char *format,
                                                            ...);
struct row stress_row_of(const struct mvcc_version *version); /* NULL: all zero */

/* After the threads have ended. */
void stress_judge_snapshots(struct world *w, const struct actor *readers, uint32_t count);
void stress_judge_table(struct world *w);
void stress_judge_eviction(struct world *w, struct actor *a);

#endif
