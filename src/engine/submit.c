#include "engine/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void refusal_init(struct svm_refusal *refusal, enum svm_err err)
{
    memset(refusal, 0, sizeof *refusal);
    refusal->err = err;
    if (svm_err_retry(err) == SVM_RETRY_LATER) {
        refusal->has |= SVM_HAS_RETRY_AFTER;
        refusal->retry_after_ms = ENGINE_RETRY_MS;
    }
}

void refusal_because(struct svm_refusal *refusal, enum svm_err err, const char *format, ...)
{
    va_list ap;
    refusal_init(refusal, err);
    va_start(ap, format);
    vsnprintf(refusal->reason, sizeof refusal->reason, format, ap);
    va_end(ap);
}

/* Is the node able to take anything at all? MUST_FREE_OUT: nothing but what frees memory. */
static enum svm_err admit(struct svm_engine *engine, struct svm_refusal *refusal,
                          bool *must_free_out)
{
    enum engine_room room = room_now(engine);
    *must_free_out = room == ROOM_TO_FREE;
    if (atomic_load_explicit(&engine->draining, memory_order_seq_cst)) {
        refusal_because(refusal, SVM_E_SHUTTING_DOWN,
                        "the node is draining; send the same bytes to it after its restart");
        return SVM_E_SHUTTING_DOWN;
    }
    if (atomic_load_explicit(&engine->fatal, memory_order_relaxed) != SVM_OK) {
        refusal_because(refusal, SVM_E_STORAGE_READ_ONLY,
                        "the disk has failed; the node is stopping");
        return SVM_E_STORAGE_READ_ONLY;
    }
    if (room > ROOM_TO_FREE) {
        room_refuse(refusal, room);
        return SVM_E_STORAGE_READ_ONLY;
    }
    if (atomic_load_explicit(&engine->clock_fault, memory_order_relaxed)) {
        refusal_because(refusal, SVM_E_OVERLOADED,
                        "the wall clock leapt further than node.clock_jump_max; waiting until "
                        "the clocks agree");
        refusal->retry_after_ms = 1000;
        return SVM_E_OVERLOADED;
    }
    if (store_dirty_bytes(engine->store) > config_of(engine)->dirty_bytes_max) {
        refusal_because(refusal, SVM_E_OVERLOADED,
                        "the log is further ahead of the state than storage.dirty_bytes_max");
        refusal->retry_after_ms = 50;
        return SVM_E_OVERLOADED;
    }
    return SVM_OK;
}

static void job_init(struct engine_job *job, uint64_t now_ns)
{
    job->state = JOB_NEW;
    job->entry = NULL;
    job->heads = job->own_heads;
    job->held_count = 0;
    job->has_exact = job->answered = job->digest_known = false;
    job->fallback = SVM_FALLBACK_NONE;
    job->attempts = 0;
    job->retry_at_ns = 0;
    job->void_seq = 0;
    job->behind = NULL;
    job->waits_behind = false;
    job->refusal = NULL;
    job->parked_waiters = NULL;
    job->bytes = NULL;
    job->tx_bytes = (struct svm_bytes){NULL, 0};
    job->tx.inputs = job->own_inputs;
    job->tx.ops = job->own_ops;
    job->admitted_ns = now_ns;
}

/* Those who are told the same time come back together: it is moved by up to a half either way. */
static void full(struct svm_engine *engine, struct svm_refusal *refusal)
{
    uint32_t ms = atomic_load_explicit(&engine->retry_ms, memory_order_relaxed);
    uint32_t spread = (uint32_t)atomic_load_explicit(&engine->counters.refused[SVM_E_OVERLOADED],
                                                     memory_order_relaxed);
    refusal_because(refusal, SVM_E_OVERLOADED, "engine.inflight_max transactions are in flight");
    refusal->retry_after_ms = ms - ms / 2 + spread * 2654435761u % (ms + 1);
    refusal->has |= SVM_HAS_LIMIT;
    refusal->limit = refusal->got = config_of(engine)->inflight_max;
}

/* Up to COUNT credits, first those that SEAT (may be NULL) has kept. Returns how many there were. */
static uint32_t jobs_take(struct svm_engine *engine, struct engine_worker *seat,
                          struct engine_job **jobs, uint32_t count)
{
    uint32_t indices[ENGINE_BATCH], taken = 0;
    SVM_ASSERT(count <= ENGINE_BATCH);
    while (seat && taken < count && seat->credit_count > 0)
        indices[taken++] = seat->credits[--seat->credit_count];
    if (taken < count)
        taken += stack_pop_some(&engine->free_jobs, indices + taken, count - taken);
    if (taken == 0)
        return 0;
    atomic_fetch_add(&engine->admitted, taken);
    uint64_t now_ns = engine_now_ns(engine);
    for (uint32_t i = 0; i < taken; i++) {
        jobs[i] = &engine->jobs[indices[i]];
        const uint8_t *job = (const uint8_t *)jobs[i]; /* it was last another core's, perhaps */
        for (size_t line = 0; line < offsetof(struct engine_job, own_bytes); line += 64)
            __builtin_prefetch(job + line, 1);
    }
    for (uint32_t i = 0; i < taken; i++)
        job_init(jobs[i], now_ns);
    return taken;
}

void job_unhold(struct engine_job *job)
{
    for (uint16_t i = 0; i < job->held_count; i++)
        mvcc_unhold(job->heads[i]);
    job->held_count = 0;
}

/* Gives back what JOB holds beside its credit. */
static void job_clean(struct engine_job *job)
{
    SVM_ASSERT(job->held_count == 0);
    if (job->bytes != job->own_bytes)
        free(job->bytes);
    job->bytes = NULL;
    if (job->tx.inputs != job->own_inputs)
        free((void *)(uintptr_t)job->tx.inputs);
    job->tx.inputs = NULL;
    if (job->tx.ops != job->own_ops)
        free((void *)(uintptr_t)job->tx.ops);
    job->tx.ops = NULL;
    if (job->heads != job->own_heads)
        free(job->heads);
    job->heads = NULL;
    if (job->record.frame_cap > ENGINE_FRAME_KEEP) {
        free(job->record.frame);
        job->record.frame = NULL;
        job->record.frame_cap = 0;
    }
    free(job->refusal);
    job->refusal = NULL;
}

void jobs_release(struct svm_engine *engine, struct engine_job *const *jobs, uint32_t count)
{
    uint32_t indices[ENGINE_BATCH];
    SVM_ASSERT(count <= ENGINE_BATCH);
    for (uint32_t i = 0; i < count; i++) {
        job_clean(jobs[i]);
        indices[i] = jobs[i]->index;
    }
    stack_push_all(&engine->free_jobs, indices, count);
    atomic_fetch_add(&engine->released, count);
}

void worker_release(struct engine_worker *worker, struct engine_job *const *jobs, uint32_t count)
{
    struct svm_engine *engine = worker->engine;
    uint32_t keep = ENGINE_SEAT_CREDITS - worker->credit_count;
    if (worker->index < engine->worker_count || !engine->seat_credits || keep < count) {
        jobs_release(engine, jobs, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        job_clean(jobs[i]);
        worker->credits[worker->credit_count++] = jobs[i]->index;
    }
    atomic_fetch_add(&engine->released, count);
}

void job_release(struct svm_engine *engine, struct engine_job *job)
{
    jobs_release(engine, &job, 1);
}

/* Where in SignedTransaction bytes the first input stands: variant 1, chain 8, sender 32, nonce 8, expires 8, gas 8, privacy 1,
 * then count, the input's variant and its id. A hint only: what is wrong is found by the worker. */
enum { OFFSET_INPUT_VARIANT = 67, OFFSET_INPUT_ID = 68 };

/* Transactions on the same owned object go to the same worker, so that they do not meet each other's claims; all others
 * are dealt round. Any worker takes from any ring, so this is affinity, not correctness. */
static struct engine_worker *worker_for(struct svm_engine *engine, const uint8_t *id)
{
    uint32_t n = engine->worker_count;
    if (n == 1)
        return &engine->workers[0];
    if (id) {
        uint32_t h;
        memcpy(&h, id + 4, sizeof h);
        return &engine->workers[(uint32_t)(((uint64_t)h * n) >> 32)];
    }
    return &engine
                ->workers[atomic_fetch_add_explicit(&engine->next_worker, 1, memory_order_relaxed) %
                          n];
}

static struct engine_worker *worker_of(struct svm_engine *engine, const struct engine_job *job)
{
    bool owned;
    if (!job->bytes) {
        owned = job->tx.input_count && job->tx.inputs[0].kind == SVM_KIND_OWNED;
        return worker_for(engine, owned ? job->tx.inputs[0].id.b : NULL);
    }
    owned =
        job->bytes_len > OFFSET_INPUT_ID + 32 && job->bytes[OFFSET_INPUT_VARIANT] == SVM_KIND_OWNED;
    return worker_for(engine, owned ? job->bytes + OFFSET_INPUT_ID : NULL);
}

/* Wakes WORKER; when it is busy and its ring fills, a neighbour too, who takes from it. */
static void wake(struct svm_engine *engine, struct engine_worker *worker)
{
    enum { BACKLOG = 16 };
    park_wake(&worker->park);
    if (engine->worker_count > 1 && ring_depth(worker->ring) >= BACKLOG)
        park_wake(&engine->workers[(worker->index + 1) % engine->worker_count].park);
}

bool job_copy_tx(struct engine_job *job, const struct svm_tx *tx)
{
    struct svm_input *inputs = job->own_inputs;
    struct svm_op *ops = job->own_ops;
    if (tx->input_count > ENGINE_JOB_INPUTS && !(inputs = malloc(tx->input_count * sizeof *inputs)))
        return false;
    if (tx->op_count > ENGINE_JOB_OPS && !(ops = malloc(tx->op_count * sizeof *ops))) {
        if (inputs != job->own_inputs)
            free(inputs);
        return false;
    }
    if (tx->input_count)
        memcpy(inputs, tx->inputs, tx->input_count * sizeof *inputs);
    if (tx->op_count)
        memcpy(ops, tx->ops, tx->op_count * sizeof *ops);
    /* What may be written follows from the kind, whatever a hand-made transaction says. */
    for (uint16_t i = 0; i < tx->input_count; i++)
        inputs[i].writable = inputs[i].kind == SVM_KIND_OWNED ||
                             (inputs[i].kind == SVM_KIND_SHARED && inputs[i].writable);
    job->tx = *tx;
    job->tx.inputs = inputs;
    job->tx.ops = ops;
    return true;
}

/* Fills JOB from S. Without memory the job goes back. */
static enum svm_err job_fill(struct engine_job *job, const struct svm_submission *s,
                             enum svm_wait wait, svm_submit_fn *callback,
                             struct svm_refusal *refusal)
{
    bool filled;
    job->wait = wait;
    job->callback = callback;
    job->arg = s->arg;
    if (s->tx) {
        filled = job_copy_tx(job, s->tx);
        job->digest = *s->digest;
        job->digest_known = true;
    } else {
        job->bytes = s->bytes.len > ENGINE_JOB_BYTES ? malloc(s->bytes.len) : job->own_bytes;
        filled = job->bytes != NULL;
        job->bytes_len = s->bytes.len;
        if (filled && s->bytes.len)
            memcpy(job->bytes, s->bytes.ptr, s->bytes.len);
    }
    if (filled)
        return SVM_OK;
    job_release(job->engine, job);
    refusal_init(refusal, SVM_E_OVERLOADED);
    return SVM_E_OVERLOADED;
}

static enum svm_err too_large(const struct svm_engine *engine, const struct svm_submission *s,
                              struct svm_refusal *refusal)
{
    if (s->tx || s->bytes.len <= config_of(engine)->tx_bytes_max)
        return SVM_OK;
    refusal_because(refusal, SVM_E_TX_TOO_LARGE, "the signed transaction exceeds tx.bytes_max");
    refusal->has |= SVM_HAS_LIMIT;
    refusal->limit = config_of(engine)->tx_bytes_max;
    refusal->got = s->bytes.len;
    return SVM_E_TX_TOO_LARGE;
}

static void refuse(struct svm_engine *engine, struct svm_submission *s,
                   const struct svm_refusal *local)
{
    stats_refused(&engine->counters, local->err);
    s->err = local->err;
    if (s->refusal)
        *s->refusal = *local;
}

/* Admits a part of a batch: as many of the COUNT submissions as there are credits for become JOBS_OUT, in order; the others are refused. */
static uint32_t admit_part(struct svm_engine *engine, struct engine_worker *seat,
                           struct svm_submission *submissions, uint32_t count, enum svm_wait wait,
                           svm_submit_fn *callback, struct engine_job *jobs_out[ENGINE_BATCH])
{
    struct svm_refusal refusal;
    struct engine_job *credits[ENGINE_BATCH];
    uint32_t used = 0, n = 0;
    bool must_free, open = admit(engine, &refusal, &must_free) == SVM_OK, is_full = false;
    uint32_t have = open ? jobs_take(engine, seat, credits, count) : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct svm_submission *s = &submissions[i];
        struct svm_refusal own;
        s->err = too_large(engine, s, &own);
        if (s->err == SVM_OK && used == have) {
            if (open && !is_full)
                full(engine, &refusal);
            is_full = true;
            s->err = refusal.err;
            refuse(engine, s, &refusal);
            continue;
        }
        if (s->err == SVM_OK) {
            credits[used]->must_free = must_free;
            s->err = job_fill(credits[used++], s, wait, callback, &own);
        }
        if (s->err == SVM_OK)
            jobs_out[n++] = credits[used - 1];
        else
            refuse(engine, s, &own);
    }
    if (used < have)
        jobs_release(engine, credits + used, have - used);
    return n;
}

static void submit_part(struct svm_engine *engine, struct svm_submission *submissions,
                        uint32_t count, enum svm_wait wait, svm_submit_fn *callback)
{
    struct engine_job *jobs[ENGINE_BATCH];
    uint64_t woken = 0;
    uint32_t n = admit_part(engine, NULL, submissions, count, wait, callback, jobs);
    /* A few that can be verified in the time of one stay together, and wake one worker. */
    struct engine_worker *one = n > 0 && n <= engine->together ? worker_of(engine, jobs[0]) : NULL;
    for (uint32_t i = 0; i < n; i++) {
        struct engine_worker *worker = one ? one : worker_of(engine, jobs[i]);
        ring_push(worker->ring, jobs[i]); /* as large as all credits together */
        woken |= UINT64_C(1) << worker->index;
    }
    count_add(&engine->counters.submitted, count);
    for (uint32_t w = 0; w < engine->worker_count; w++)
        if (woken >> w & 1)
            wake(engine, &engine->workers[w]);
}

static uint32_t part_of(size_t left)
{
    return left < ENGINE_BATCH ? (uint32_t)left : ENGINE_BATCH;
}

void svm_submit_batch(struct svm_engine *engine, struct svm_submission *submissions, size_t count,
                      enum svm_wait wait, svm_submit_fn *callback)
{
    atomic_fetch_add(&engine->calls, 1);
    for (size_t i = 0; i < count; i += ENGINE_BATCH)
        submit_part(engine, &submissions[i], part_of(count - i), wait, callback);
    atomic_fetch_sub(&engine->calls, 1);
}

void svm_run_batch(struct svm_engine *engine, struct svm_submission *submissions, size_t count,
                   enum svm_wait wait, svm_submit_fn *callback)
{
    uint32_t seat;
    struct engine_job *jobs[ENGINE_BATCH];
    atomic_fetch_add(&engine->calls, 1);
    if (!stack_try_pop(&engine->seats, &seat)) {
        svm_submit_batch(engine, submissions, count, wait, callback);
        atomic_fetch_sub(&engine->calls, 1);
        return;
    }
    struct engine_worker *worker = &engine->workers[engine->worker_count + seat];
    mvcc_online(worker->mvcc);
    for (size_t i = 0; i < count; i += ENGINE_BATCH) {
        uint32_t part = part_of(count - i);
        uint32_t n = admit_part(engine, worker, &submissions[i], part, wait, callback, jobs);
        count_own(&worker->counters.submitted, part);
        worker_run(worker, jobs, n);
    }
    mvcc_offline(worker->mvcc);
    stack_push(&engine->seats, seat);
    atomic_fetch_sub(&engine->calls, 1);
}

static enum svm_err submit_one(struct svm_engine *engine, struct svm_submission *s,
                               enum svm_wait wait, svm_submit_fn *callback)
{
    svm_submit_batch(engine, s, 1, wait, callback);
    return s->err;
}

enum svm_err svm_submit(struct svm_engine *engine, struct svm_bytes bytes, enum svm_wait wait,
                        svm_submit_fn *callback, void *arg, struct svm_refusal *refusal)
{
    struct svm_submission s = {.bytes = bytes, .arg = arg, .refusal = refusal};
    return submit_one(engine, &s, wait, callback);
}

enum svm_err svm_submit_decoded(struct svm_engine *engine, const struct svm_tx *tx,
                                const struct svm_digest *digest, enum svm_wait wait,
                                svm_submit_fn *callback, void *arg, struct svm_refusal *refusal)
{
    struct svm_submission s = {.tx = tx, .digest = digest, .arg = arg, .refusal = refusal};
    return submit_one(engine, &s, wait, callback);
}

/* ---- blocking form ------------------------------------------------------------------------------------------ */

struct blocking {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool finished;
    struct svm_outcome outcome;
    struct svm_refusal refusal;
    struct svm_receipt *receipt;
};

static void blocking_done(void *arg, const struct svm_outcome *outcome)
{
    struct blocking *b = arg;
    pthread_mutex_lock(&b->lock);
    b->outcome = *outcome;
    if (outcome->refusal)
        b->refusal = *outcome->refusal;
    if (outcome->receipt)
        b->receipt = svm_receipt_copy(outcome->receipt);
    b->finished = true;
    pthread_cond_signal(&b->done);
    pthread_mutex_unlock(&b->lock);
}

enum svm_err svm_submit_wait(struct svm_engine *engine, struct svm_bytes bytes, enum svm_wait wait,
                             struct svm_receipt **receipt_out, struct svm_outcome *outcome_out,
                             struct svm_refusal *refusal)
{
    struct blocking b = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
    *receipt_out = NULL;
    enum svm_err err = svm_submit(engine, bytes, wait, blocking_done, &b, refusal);
    if (err != SVM_OK)
        return err;
    pthread_mutex_lock(&b.lock);
    while (!b.finished)
        pthread_cond_wait(&b.done, &b.lock);
    pthread_mutex_unlock(&b.lock);

    bool had_receipt = b.outcome.receipt != NULL;
    b.outcome.receipt = NULL;
    b.outcome.refusal = NULL;
    if (outcome_out)
        *outcome_out = b.outcome;
    if (refusal)
        *refusal = b.refusal;
    *receipt_out = b.receipt;
    return had_receipt && !b.receipt ? SVM_E_NO_MEMORY : b.outcome.err;
}
