#include "engine/cells.h"

#include <stdio.h>
#include <stdlib.h>

/* Closures in interactive transactions, one at a time or in batches.
 *
 *      caller:  open a batch --> take CHUNK jobs, run them, again --> close --> wait for the helpers inside
 *      helper:  sleep --> join while it is open --> take CHUNK jobs, run them, again --> leave
 *
 * `members` counts the helpers inside and carries CLOSED: who joins does it by compare-and-swap of an open word, so after the caller has closed nobody comes,
 * and what it then sees at zero stays. Helpers are not waited for: on a busy machine the caller may have done it all before one wakes. */

/* ---- one closure ------------------------------------------------------------------------------------------------------ */

static enum svm_err run_once(struct svm_cell_txn *txn, svm_cell_fn *fn, void *arg,
                             uint64_t *seq_out, struct svm_cell_key *key_out)
{
    enum svm_err err = cell_admit(txn);
    if (err != SVM_OK)
        return err;
    cell_start(txn);
    err = fn(arg, txn);
    if (err != SVM_OK) {
        cell_count(&txn->counters.aborted);
        cell_end(txn);
        return err;
    }
    err = cell_commit(txn, seq_out, key_out);
    if (err == SVM_OK) /* the next one, of this thread or of whoever it tells, finds the writes */
        cell_await(txn->engine, *seq_out);
    return err;
}

/* By a winner, or by a claim that a thread without a processor could not let go of. */
static bool defeated(enum svm_err err)
{
    return err == SVM_E_CONFLICT || err == SVM_E_BUSY;
}

static enum svm_err run(struct svm_cell_txn *txn, svm_cell_fn *fn, void *arg, uint64_t *seq_out,
                        struct svm_cell_key *key_out, uint64_t *retries)
{
    enum { BUSY_MAX = 16 };
    struct svm_engine *engine = txn->engine;
    uint32_t attempts = config_of(engine)->cell_attempts_max, busy = 0;
    for (uint32_t attempt = 0; attempt < attempts; attempt++) {
        enum svm_err err = run_once(txn, fn, arg, seq_out, key_out);
        if (!defeated(err) || (err == SVM_E_BUSY && ++busy == BUSY_MAX))
            return err;
        cell_count(&txn->counters.retries);
        ++*retries;
        cell_back_off(engine, &txn->rng, attempt);
    }
    return SVM_E_RETRIES_EXHAUSTED;
}

enum svm_err svm_cell_run(struct svm_engine *engine, svm_cell_fn *fn, void *arg, enum svm_wait wait,
                          uint64_t *seq_out, struct svm_cell_key *key_out)
{
    uint64_t seq, retries = 0;
    enum svm_err err;
    struct svm_cell_txn *txn = session_take(engine, SESSION_INSIDE, &err);
    if (!txn)
        return err;
    err = run(txn, fn, arg, &seq, key_out, &retries);
    if (err == SVM_OK && seq_out)
        *seq_out = seq;
    if (err != SVM_OK || wait != SVM_WAIT_DURABLE || engine->memory) {
        session_give(txn);
        return err;
    }
    atomic_fetch_add(&engine->calls, 1); /* the session is free for others meanwhile */
    session_give(txn);
    err = cell_await_durable(engine, seq);
    atomic_fetch_sub(&engine->calls, 1);
    return err;
}

/* ---- batches ---------------------------------------------------------------------------------------------------------- */

enum {
    CHUNK = 32,
    WORTH_HELP = 8 * CHUNK, /* a batch below is done before a helper is awake */
    HELPERS_MAX = ENGINE_WORKERS_MAX
};
#define CLOSED 0x80000000u

struct cell_helper {
    struct cell_pool *pool;
    struct thread thread;
    _Alignas(64) struct svm_cell_batch_stats stats; /* of its part of the batch */
};

struct cell_pool {
    struct svm_engine *engine;
    uint32_t count;
    pthread_mutex_t lock; /* one batch at a time has the helpers; only ever tried */
    struct park park;     /* helpers without a batch */
    struct park done;     /* the caller */
    _Atomic bool stop;
    _Atomic uint64_t number; /* of batches opened */
    _Alignas(128) _Atomic uint32_t members;
    _Alignas(128) _Atomic size_t next; /* first job that nobody has taken */
    _Alignas(128) struct svm_cell_job *jobs;
    size_t jobs_count;
    struct cell_helper helpers[HELPERS_MAX];
};

static void run_job(struct svm_cell_txn *txn, struct svm_cell_job *job,
                    struct svm_cell_batch_stats *stats)
{
    if (job->fast) {
        job->err = run_once(txn, job->fn, job->arg, &job->seq, NULL);
        stats->fast += job->err == SVM_OK;
        stats->fallbacks += defeated(job->err);
        if (!defeated(job->err)) {
            stats->failed += job->err != SVM_OK;
            return;
        }
    }
    job->err = run(txn, job->fn, job->arg, &job->seq, NULL, &stats->retries);
    stats->consensus += job->err == SVM_OK;
    stats->failed += job->err != SVM_OK;
}

static void run_jobs(struct svm_cell_txn *txn, struct svm_cell_job *jobs, size_t count,
                     struct svm_cell_batch_stats *stats)
{
    for (size_t i = 0; i < count; i++)
        run_job(txn, &jobs[i], stats);
}

/* One chunk of the open batch; false = there is none left. */
static bool run_chunk(struct cell_pool *pool, struct svm_cell_txn *txn,
                      struct svm_cell_batch_stats *stats)
{
    size_t at = atomic_fetch_add_explicit(&pool->next, CHUNK, memory_order_relaxed);
    if (at >= pool->jobs_count)
        return false;
    size_t left = pool->jobs_count - at;
    run_jobs(txn, &pool->jobs[at], left < CHUNK ? left : CHUNK, stats);
    return true;
}

/* ---- helpers ---------------------------------------------------------------------------------------------------------- */

static bool join(struct cell_pool *pool)
{
    uint32_t members = atomic_load_explicit(&pool->members, memory_order_relaxed);
    while ((members & CLOSED) == 0)
        if (atomic_compare_exchange_weak_explicit(&pool->members, &members, members + 1,
                                                  memory_order_acquire, memory_order_relaxed))
            return true;
    return false;
}

static void leave(struct cell_pool *pool)
{
    if (atomic_fetch_sub_explicit(&pool->members, 1, memory_order_seq_cst) == (CLOSED | 1))
        park_wake_all(&pool->done);
}

/* Closures that defeat each other are done sooner by one thread alone: the helper goes when more than a quarter had to be done again. */
static bool in_the_way(const struct svm_cell_batch_stats *stats)
{
    uint64_t done = stats->fast + stats->consensus + stats->failed;
    return (stats->retries + stats->fallbacks) * 4 > done + CHUNK;
}

static void help(struct cell_helper *helper)
{
    enum svm_err err;
    struct cell_pool *pool = helper->pool;
    struct svm_cell_txn *txn = session_take(pool->engine, SESSION_INSIDE, &err);
    if (!txn)
        return;
    while (!in_the_way(&helper->stats) && run_chunk(pool, txn, &helper->stats)) {
    }
    session_give(txn);
}

static void helper_main(void *arg)
{
    struct cell_helper *helper = arg;
    struct cell_pool *pool = helper->pool;
    uint64_t last = 0;
    for (;;) {
        uint32_t ticket = park_prepare(&pool->park);
        uint64_t number = atomic_load(&pool->number);
        bool stop = atomic_load(&pool->stop);
        if (number == last && !stop) {
            park_wait(&pool->park, ticket, 0);
            continue;
        }
        park_cancel(&pool->park);
        if (stop)
            return;
        last = number;
        if (!join(pool))
            continue;
        last = atomic_load(&pool->number);
        help(helper);
        leave(pool);
    }
}

bool cell_pool_start(struct svm_engine *engine, uint32_t helpers)
{
    struct cell_pool *pool = aligned_alloc(_Alignof(struct cell_pool), sizeof *pool);
    if (!pool)
        return false;
    *pool = (struct cell_pool){.engine = engine};
    pthread_mutex_init(&pool->lock, NULL);
    park_init(&pool->park);
    park_init(&pool->done);
    atomic_store(&pool->members, CLOSED);
    engine->cell_pool = pool;
    for (; pool->count < helpers && pool->count < HELPERS_MAX; pool->count++) {
        struct cell_helper *helper = &pool->helpers[pool->count];
        char name[24];
        snprintf(name, sizeof name, "svm-cell-%u", pool->count);
        helper->pool = pool;
        if (!thread_start(&helper->thread, name, helper_main, helper))
            return false;
    }
    return true;
}

void cell_pool_stop(struct svm_engine *engine)
{
    struct cell_pool *pool = engine->cell_pool;
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    park_wake_all(&pool->park);
    for (uint32_t i = 0; i < pool->count; i++)
        thread_join(&pool->helpers[i].thread);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* ---- the caller ------------------------------------------------------------------------------------------------------- */

static void add_stats(struct svm_cell_batch_stats *sum, const struct svm_cell_batch_stats *part)
{
    sum->fast += part->fast;
    sum->consensus += part->consensus;
    sum->fallbacks += part->fallbacks;
    sum->failed += part->failed;
    sum->retries += part->retries;
}

static void await_helpers(struct cell_pool *pool)
{
    atomic_fetch_or(&pool->members, CLOSED);
    while (atomic_load(&pool->members) != CLOSED) {
        uint32_t ticket = park_prepare(&pool->done);
        if (atomic_load(&pool->members) == CLOSED)
            park_cancel(&pool->done);
        else
            park_wait(&pool->done, ticket, 0);
    }
}

/* With the helpers: under the pool's lock. */
static void run_together(struct cell_pool *pool, struct svm_cell_txn *txn,
                         struct svm_cell_job *jobs, size_t count,
                         struct svm_cell_batch_stats *stats)
{
    pool->jobs = jobs;
    pool->jobs_count = count;
    for (uint32_t i = 0; i < pool->count; i++)
        pool->helpers[i].stats = (struct svm_cell_batch_stats){0};
    atomic_store(&pool->next, 0);
    atomic_store(&pool->members, 0);
    atomic_fetch_add(&pool->number, 1);
    park_wake_all(&pool->park);
    while (run_chunk(pool, txn, stats)) {
    }
    await_helpers(pool);
    for (uint32_t i = 0; i < pool->count; i++)
        add_stats(stats, &pool->helpers[i].stats);
}

/* Waits once, for the last position of all. What will not be durable is failed, though executed. */
static void await_batch(struct svm_engine *engine, struct svm_cell_job *jobs, size_t count,
                        struct svm_cell_batch_stats *stats)
{
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++)
        if (jobs[i].err == SVM_OK && jobs[i].seq > last)
            last = jobs[i].seq;
    if (cell_await_durable(engine, last) == SVM_OK)
        return;
    uint64_t durable = engine_durable(engine);
    for (size_t i = 0; i < count; i++) {
        if (jobs[i].err != SVM_OK || jobs[i].seq <= durable)
            continue;
        jobs[i].err = SVM_E_IO;
        uint64_t *was = jobs[i].fast && stats->fast > 0 ? &stats->fast : &stats->consensus;
        *was -= *was > 0;
        stats->failed++;
    }
}

static void run_batch(struct svm_cell_txn *txn, struct svm_cell_job *jobs, size_t count,
                      struct svm_cell_batch_stats *stats)
{
    struct cell_pool *pool = txn->engine->cell_pool;
    if (count < WORTH_HELP || pool->count == 0 || pthread_mutex_trylock(&pool->lock) != 0) {
        run_jobs(txn, jobs, count, stats);
        return;
    }
    run_together(pool, txn, jobs, count, stats);
    pthread_mutex_unlock(&pool->lock);
}

void svm_cell_run_batch(struct svm_engine *engine, struct svm_cell_job *jobs, size_t count,
                        enum svm_wait wait, struct svm_cell_batch_stats *stats_out)
{
    struct svm_cell_batch_stats stats = {0};
    enum svm_err err;
    struct svm_cell_txn *txn = session_take(engine, SESSION_INSIDE, &err);
    for (size_t i = 0; i < count && !txn; i++, stats.failed++)
        jobs[i].err = err;
    if (txn) {
        run_batch(txn, jobs, count, &stats);
        if (wait == SVM_WAIT_DURABLE)
            await_batch(engine, jobs, count, &stats);
        session_give(txn);
    }
    if (stats_out)
        *stats_out = stats;
}
