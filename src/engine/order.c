#include "engine/internal.h"

/* The dependency graph is made of the declared inputs: what a transaction may write (owned, and shared that are mutable) and what it
 * reads of shared objects. Immutable ones order nothing. */
static size_t declared_refs(const struct svm_tx *tx, struct exec_ref refs[SVM_TX_INPUTS_MAX])
{
    size_t n = 0;
    for (uint16_t i = 0; i < tx->input_count; i++)
        if (tx->inputs[i].kind != SVM_KIND_IMMUTABLE)
            refs[n++] = (struct exec_ref){tx->inputs[i].id, tx->inputs[i].writable};
    return n;
}

/* Has one of JOB's objects object_queue_max transactions before it already? Then order_slot is the index of that input. */
static bool crowded(struct svm_engine *engine, struct engine_job *job)
{
    for (uint16_t i = 0; i < job->tx.input_count; i++)
        if (job->tx.inputs[i].kind != SVM_KIND_IMMUTABLE &&
            exec_scheduler_depth(engine->scheduler, &job->tx.inputs[i].id) >=
                config_of(engine)->object_queue_max) {
            job->order_slot = i;
            return true;
        }
    return false;
}

/* JOB is ready, with those who have come with it, and those who can follow them at once go with it: see exec_scheduler_run. */
static void make_ready(struct svm_engine *engine, struct engine_worker *worker,
                       struct engine_job *job, size_t *local)
{
    uint32_t run[ENGINE_RUN];
    struct engine_job *last = job->last;
    size_t count = exec_scheduler_run(engine->scheduler, last->order_slot, run, ENGINE_RUN);
    for (size_t i = 0; i < count; i++) {
        struct engine_job *next = engine->slot_jobs[run[i]];
        next->waits_behind = true;
        last->behind = next;
        last = next->last;
    }
    if (worker && *local < ENGINE_BATCH) {
        job_list_push(&worker->local, job);
        ++*local;
        return;
    }
    ring_push(engine->ready, job); /* as large as all credits together */
}

static void wake_others(struct svm_engine *engine, const struct engine_worker *worker)
{
    for (uint32_t i = 0; i < engine->worker_count; i++)
        if (!worker || i != worker->index)
            park_wake(&engine->workers[i].park);
}

static bool only_writes(const struct exec_ref *refs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!refs[i].write)
            return false;
    return count > 0;
}

/* Jobs that came one right after the other and write the same objects, and read none: a chain whatever else there is. The scheduler sees one job. */
struct chain {
    struct engine_job *first; /* NULL = there is none that could be joined */
    struct exec_ref refs[SVM_TX_INPUTS_MAX];
    size_t ref_count;
};

static bool chain_join(struct svm_engine *engine, struct chain *chain, struct engine_job *job,
                       const struct exec_ref *refs, size_t count)
{
    if (!chain->first || count != chain->ref_count ||
        memcmp(refs, chain->refs, count * sizeof *refs) != 0)
        return false;
    struct engine_job *before = chain->first->last;
    if (!exec_scheduler_more(engine->scheduler, before->order_slot,
                             config_of(engine)->object_queue_max))
        return false;
    job->order_slot = before->order_slot;
    before->order_slot = (uint32_t)ENGINE_NO_SLOT;
    before->behind = job;
    job->waits_behind = true;
    chain->first->last = job;
    return true;
}

/* JOB, alone as yet, has SLOT. */
static void chain_begin(struct chain *chain, struct engine_job *job, uint32_t slot,
                        const struct exec_ref *refs, size_t count)
{
    job->order_slot = slot;
    job->last = job;
    chain->first = only_writes(refs, count) ? job : NULL;
    chain->ref_count = count;
    if (chain->first)
        memcpy(chain->refs, refs, count * sizeof *refs);
}

/* Gives JOB its place. false = there is none for it; order_slot is the index of the crowded input. */
static bool order_one(struct svm_engine *engine, struct chain *chain, struct engine_job *job,
                      struct job_list *ready_now)
{
    struct exec_ref refs[SVM_TX_INPUTS_MAX];
    size_t n = declared_refs(&job->tx, refs);
    bool ready = false;
    if (FAULT_BUG("drop-edge") && n > 0)
        n--;
    if (!chain_join(engine, chain, job, refs, n)) {
        chain->first = NULL;
        job->order_slot = 0;
        if (crowded(engine, job) || engine->free_slot_count == 0)
            return false;
        uint32_t slot = engine->free_slots[engine->free_slot_count - 1];
        if (exec_scheduler_insert(engine->scheduler, slot, refs, n, &ready) != SVM_OK)
            return false;
        engine->free_slot_count--;
        engine->slot_jobs[slot] = job;
        chain_begin(chain, job, slot, refs, n);
    }
    job->state = JOB_ORDERED;
    job->attempts = 0;
    job->retry_at_ns = 0;
    if (ready)
        job_list_push(ready_now, job);
    return true;
}

static void refuse_crowded(struct svm_engine *engine, struct engine_worker *worker,
                           struct engine_job *job)
{
    struct svm_refusal refusal;
    refusal_because(&refusal, SVM_E_BUSY,
                    "too many transactions wait for this object (engine.object_queue_max)");
    refusal.has |= SVM_HAS_OBJECT | SVM_HAS_LIMIT;
    refusal.object = job->tx.inputs[job->order_slot].id;
    refusal.limit = refusal.got = config_of(engine)->object_queue_max;
    job_refuse(worker, job, &refusal);
}

void order_decided(struct svm_engine *engine, struct engine_worker *worker,
                   struct engine_job *const *jobs, size_t count)
{
    struct job_list refused = {0};
    struct job_list ready_now = {0}; /* their runs are put together when all have come */
    struct chain chain;
    size_t local = 0, placed = 0;
    chain.first = NULL;
    pthread_mutex_lock(&engine->order_lock);
    for (size_t i = 0; i < count; i++) {
        if (order_one(engine, &chain, jobs[i], &ready_now))
            placed++;
        else
            job_list_push(&refused, jobs[i]);
    }
    atomic_fetch_add_explicit(&engine->ordered, placed, memory_order_relaxed);
    for (struct engine_job *job; (job = job_list_pop(&ready_now));)
        make_ready(engine, worker, job, &local);
    pthread_mutex_unlock(&engine->order_lock);
    if (ring_depth(engine->ready) > 0)
        wake_others(engine, worker);
    for (struct engine_job *job; (job = job_list_pop(&refused));)
        refuse_crowded(engine, worker, job);
}

static void solo_propose(void *self, struct svm_engine *engine, struct engine_worker *worker,
                         struct engine_job *const *jobs, size_t count)
{
    (void)self;
    order_decided(engine, worker, jobs, count);
}

void order_solo_init(struct svm_order_ops *ops)
{
    *ops = (struct svm_order_ops){.self = NULL, .propose = solo_propose};
}

void order_finish(struct svm_engine *engine, struct engine_worker *worker)
{
    if (worker->finished_count == 0)
        return;
    size_t local = 0;
    pthread_mutex_lock(&engine->order_lock);
    for (size_t i = 0; i < worker->finished_count; i++) {
        uint32_t slot = worker->finished[i];
        size_t n = exec_scheduler_finish(engine->scheduler, slot, worker->ready);
        for (size_t r = 0; r < n; r++)
            make_ready(engine, worker, engine->slot_jobs[worker->ready[r]], &local);
        engine->slot_jobs[slot] = NULL;
        engine->free_slots[engine->free_slot_count++] = slot;
    }
    pthread_mutex_unlock(&engine->order_lock);
    worker->finished_count = 0;
    if (ring_depth(engine->ready) > 0)
        wake_others(engine, worker);
}
