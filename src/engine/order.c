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

/* JOB is ready, and those who can follow it at once go with it: see exec_scheduler_run. */
static void make_ready(struct svm_engine *engine, struct engine_worker *worker,
                       struct engine_job *job, size_t *local)
{
    uint32_t run[ENGINE_RUN];
    size_t count = exec_scheduler_run(engine->scheduler, job->order_slot, run, ENGINE_RUN);
    struct engine_job *last = job;
    for (size_t i = 0; i < count; i++) {
        last = last->behind = engine->slot_jobs[run[i]];
        last->waits_behind = true;
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

void order_decided(struct svm_engine *engine, struct engine_worker *worker,
                   struct engine_job *const *jobs, size_t count)
{
    struct exec_ref refs[SVM_TX_INPUTS_MAX];
    struct job_list refused = {0};
    struct job_list ready_now = {0}; /* their runs are put together when all have come */
    size_t local = 0;
    pthread_mutex_lock(&engine->order_lock);
    for (size_t i = 0; i < count; i++) {
        struct engine_job *job = jobs[i];
        job->order_slot = 0;
        if (crowded(engine, job) || engine->free_slot_count == 0) {
            job_list_push(&refused, job);
            continue;
        }
        uint32_t slot = engine->free_slots[--engine->free_slot_count];
        size_t n = declared_refs(&job->tx, refs);
        if (FAULT_BUG("drop-edge") && n > 0)
            n--;
        bool ready;
        if (exec_scheduler_insert(engine->scheduler, slot, refs, n, &ready) != SVM_OK) {
            engine->free_slots[engine->free_slot_count++] = slot;
            job_list_push(&refused, job);
            continue;
        }
        job->order_slot = slot;
        job->state = JOB_ORDERED;
        job->attempts = 0;
        job->retry_at_ns = 0;
        engine->slot_jobs[slot] = job;
        atomic_fetch_add_explicit(&engine->ordered, 1, memory_order_relaxed);
        if (ready)
            job_list_push(&ready_now, job);
    }
    for (struct engine_job *job; (job = job_list_pop(&ready_now));)
        make_ready(engine, worker, job, &local);
    pthread_mutex_unlock(&engine->order_lock);
    if (ring_depth(engine->ready) > 0)
        wake_others(engine, worker);

    for (struct engine_job *job; (job = job_list_pop(&refused));) {
        struct svm_refusal refusal;
        const struct svm_id *id = &job->tx.inputs[job->order_slot].id;
        refusal_because(&refusal, SVM_E_BUSY,
                        "too many transactions wait for this object (engine.object_queue_max)");
        refusal.has |= SVM_HAS_OBJECT | SVM_HAS_LIMIT;
        refusal.object = *id;
        refusal.limit = refusal.got = config_of(engine)->object_queue_max;
        job_refuse(worker, job, &refusal);
    }
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
