#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

/* Positions are finished in any order; `applied` is the end of the contiguous prefix. Behind it run, each in order of seq:
 *
 *     completed   the `executed` answers were given           whoever holds complete_lock (it is only ever tried)
 *     committed   written to the log                           C
 *     durable     the `durable` answers were given            C
 *
 * In memory mode there is no log, hence nothing to put in order: every worker answers and ends its own jobs once they are applied. */

uint64_t engine_durable(struct svm_engine *engine)
{
    return store_durable(engine->store);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

void answer_receipt(struct svm_engine *engine, svm_submit_fn *callback, void *arg,
                    const struct svm_receipt *receipt, bool duplicate)
{
    uint64_t durable = engine_durable(engine);
    callback(arg, &(struct svm_outcome){.err = SVM_OK,
                                        .duplicate = duplicate,
                                        .digest_known = true,
                                        .durable = !engine->memory && receipt->seq <= durable,
                                        .digest = receipt->digest,
                                        .durable_seq = durable,
                                        .receipt = receipt});
}

void answer_refusal(struct svm_engine *engine, svm_submit_fn *callback, void *arg,
                    const struct svm_digest *digest, const struct svm_refusal *refusal)
{
    callback(arg, &(struct svm_outcome){.err = refusal->err,
                                        .digest_known = digest != NULL,
                                        .digest = digest ? *digest : (struct svm_digest){{0}},
                                        .durable_seq = engine_durable(engine),
                                        .refusal = refusal});
}

void answer_waiters(struct svm_engine *engine, struct engine_waiter *waiters,
                    const struct svm_digest *digest, const struct svm_receipt *receipt,
                    const struct svm_refusal *refusal)
{
    while (waiters) {
        struct engine_waiter *waiter = waiters;
        waiters = waiter->next;
        if (receipt)
            answer_receipt(engine, waiter->callback, waiter->arg, receipt, waiter->duplicate);
        else
            answer_refusal(engine, waiter->callback, waiter->arg, digest, refusal);
        receipts_waiter_free(engine->receipts, waiter);
    }
}

/* ---- executed --------------------------------------------------------------------------------------------------- */

/* In memory mode whoever waits for durability waits for this; with the seeded defect in every mode, before the log is written. */
static void answer_executed(struct svm_engine *engine, struct engine_job *job)
{
    bool early = engine->memory || FAULT_BUG("ack-early");
    enum svm_wait content = early ? SVM_WAIT_DURABLE : SVM_WAIT_EXECUTED;
    struct model_receipt_space space;
    const bool answer = !job->answered && job->wait <= content;
    const bool awaited = receipts_awaited(job->entry);
    if (!answer && !awaited)
        return;
    const struct svm_receipt *receipt = receipts_read(job->entry, &space);
    if (answer) {
        job->answered = true;
        answer_receipt(engine, job->callback, job->arg, receipt, false);
    }
    if (awaited)
        answer_waiters(engine, receipts_detach(engine->receipts, job->entry, content), &job->digest,
                       receipt, NULL);
}

static void tell_hook(struct svm_engine *engine, const struct engine_job *job)
{
    struct model_receipt_space space;
    if (engine->hooks.committed)
        engine->hooks.committed(engine->hooks.arg, receipts_read(job->entry, &space), &job->tx);
}

/* What may be forgotten goes in parts: of a worker, which holds up its callers meanwhile (POOL is its own), as much as it has made, and twice
 * that; of the committer (NULL) what takes a fraction of a millisecond, for it holds up who works on LINE. True = there is more. */
static bool evict(struct svm_engine *engine, struct receipt_line *line, struct pool *pool)
{
    enum { OWN = 2 * ENGINE_BATCH, OF_OTHERS = 1024 };
    const struct receipt_limits limits = {
        .bytes_max = config_of(engine)->tx_dedupe_bytes,
        .materialised = store_materialised(engine->store),
        .now_ms = atomic_load_explicit(&engine->node_ms, memory_order_relaxed),
        .most = pool ? OWN : OF_OTHERS,
        .memory_mode = engine->memory};
    return receipts_evict(engine->receipts, line, pool, &limits);
}

/* Answers what waited for durability and lets go of receipts that need not stay in memory. */
static void walk_durable(struct svm_engine *engine)
{
    uint64_t durable = engine_durable(engine);
    struct receipt_line *line = &engine->line;
    atomic_thread_fence(memory_order_seq_cst); /* for receipts_awaited */
    for (struct receipt_entry *entry; (entry = receipts_next_durable(line, durable));) {
        if (!receipts_awaited(entry))
            continue;
        FAULT_POINT("engine.durable.before");
        struct model_receipt_space space;
        struct engine_waiter *waiters = receipts_detach(engine->receipts, entry, SVM_WAIT_DURABLE);
        answer_waiters(engine, waiters, &entry->digest, receipts_read(entry, &space), NULL);
    }
    engine->forgets = evict(engine, line, NULL);
}

void commit_hurry(struct svm_engine *engine)
{
    atomic_store(&engine->hurry, true);
    park_wake(&engine->commit_park);
}

/* Is there reason to write what has gathered? */
static bool in_a_hurry(struct svm_engine *engine)
{
    enum { GATHER_MAX = 256 };
    uint32_t share = config_of(engine)->inflight_max / 4; /* what gathers keeps its credits */
    uint64_t gathered = atomic_load(&engine->completed) - atomic_load(&engine->committed);
    return atomic_load(&engine->hurry) || gathered >= (share < GATHER_MAX ? share : GATHER_MAX) ||
           atomic_load(&engine->draining) || atomic_load(&engine->stop_committer);
}

/* Gives the answers for AT + 1 .. TO. */
static void complete_range(struct svm_engine *engine, uint64_t at, uint64_t to)
{
    if (at == to)
        return; /* somebody else was faster */
    FAULT_POINT("engine.executed.before");
    atomic_thread_fence(memory_order_seq_cst); /* for receipts_awaited */
    bool durable = false;
    for (uint64_t seq = at + 1; seq <= to; seq++) {
        struct engine_record *record = mvcc_seq_peek(engine->mvcc, seq);
        if (record->kind != RECORD_JOB)
            continue;
        struct engine_job *job = (struct engine_job *)record;
        durable |= job->wait == SVM_WAIT_DURABLE;
        answer_executed(engine, job);
    }
    atomic_store(&engine->completed, to);
    if (durable)
        atomic_store(&engine->hurry, true);
    FAULT_POINT("engine.executed.after");
}

void complete_executed(struct svm_engine *engine)
{
    bool any = engine->memory;
    while (!engine->memory && atomic_load(&engine->completed) < mvcc_applied(engine->mvcc)) {
        if (pthread_mutex_trylock(&engine->complete_lock) != 0)
            break; /* its holder looks again after it has let go */
        complete_range(engine, atomic_load_explicit(&engine->completed, memory_order_relaxed),
                       mvcc_applied(engine->mvcc));
        pthread_mutex_unlock(&engine->complete_lock);
        atomic_thread_fence(memory_order_seq_cst); /* whoever found it locked: its mark is seen */
        any = true;
    }
    if (any) {
        if (!engine->memory && (!atomic_load(&engine->lingering) || in_a_hurry(engine)))
            park_wake(&engine->commit_park);
        park_wake_all(&engine->applied_park);
    }
}

uint64_t engine_committed(struct svm_engine *engine)
{
    return engine->memory ? mvcc_applied(engine->mvcc)
                          : atomic_load_explicit(&engine->committed, memory_order_acquire);
}

void complete_own(struct engine_worker *worker)
{
    struct svm_engine *engine = worker->engine;
    uint64_t applied = FAULT_BUG("answer-early") ? UINT64_MAX : mvcc_applied(engine->mvcc);
    while (worker->done.head && worker->done.head->record.seq <= applied) {
        struct engine_job *jobs[ENGINE_BATCH];
        uint32_t n = 0;
        atomic_thread_fence(memory_order_seq_cst); /* for receipts_awaited */
        while (n < ENGINE_BATCH && worker->done.head && worker->done.head->record.seq <= applied) {
            jobs[n] = job_list_pop(&worker->done);
            tell_hook(engine, jobs[n]);
            answer_executed(engine, jobs[n++]);
        }
        pthread_mutex_lock(&worker->line.lock);
        for (uint32_t i = 0; i < n; i++)
            receipts_finished(&worker->line, jobs[i]->entry,
                              receipts_class(jobs[i]->entry, worker->now_ms));
        (void)evict(engine, &worker->line, worker->pool); /* C goes on if there is more */
        pthread_mutex_unlock(&worker->line.lock);
        worker_release(worker, jobs, n);
    }
}

/* ---- the committer ---------------------------------------------------------------------------------------------- */

/* One group under way: the jobs whose frames are in it. */
struct group {
    uint64_t first, last, node_ms;
    struct job_list jobs;
};

static bool group_write(struct svm_engine *engine, struct group *group)
{
    SVM_ASSERT(group->first <= group->last);
    if (store_group_commit(engine->store, group->first, group->last, group->node_ms) == SVM_OK)
        return true;
    engine_fail(engine, SVM_E_IO, store_failure(engine->store));
    return false;
}

static void refusal_failed(struct svm_refusal *refusal)
{
    refusal_because(refusal, SVM_E_STORAGE_READ_ONLY,
                    "the disk failed before this was durable; ask again after the node's restart");
}

/* Nothing more is acknowledged: what became of JOB is not known until the node has recovered. */
static void answer_failed(struct svm_engine *engine, struct engine_job *job)
{
    struct svm_refusal refusal;
    refusal_failed(&refusal);
    if (!job->answered)
        answer_refusal(engine, job->callback, job->arg, &job->digest, &refusal);
    job->answered = true;
    answer_waiters(engine, receipts_detach(engine->receipts, job->entry, SVM_WAIT_DURABLE),
                   &job->digest, NULL, &refusal);
}

/* JOB is in the log, as it is NOW_NS: its receipt joins the line of finished ones. Who waits for durability is answered when the line is
 * walked. Its credit is the caller's to give back. */
static void job_logged(struct svm_engine *engine, struct engine_job *job, uint64_t now_ns,
                       bool failed)
{
    struct receipt_entry *entry = job->entry;
    if (failed) {
        answer_failed(engine, job);
    } else if (!job->answered) {
        SVM_ASSERT(job->wait == SVM_WAIT_DURABLE);
        if (receipts_seq(entry) <= engine_durable(engine)) {
            struct model_receipt_space space;
            hist_add(
                &engine->counters.latency[job->path == SVM_PATH_FAST ? 0 : 1][SVM_STAGE_DURABLE],
                (now_ns - job->admitted_ns) / 1000);
            answer_receipt(engine, job->callback, job->arg, receipts_read(entry, &space), false);
        } else {
            struct receipt_entry *locked = receipts_find(engine->receipts, &job->digest);
            SVM_ASSERT(locked == entry);
            receipts_await(entry);
            const struct engine_waiter waiter = {
                .callback = job->callback, .arg = job->arg, .wait = job->wait};
            bool queued = receipts_wait(engine->receipts, entry, &waiter);
            receipts_unlock(engine->receipts, entry);
            if (!queued) {
                struct svm_refusal refusal;
                refusal_because(
                    &refusal, SVM_E_OVERLOADED,
                    "executed, but engine.waiters_max callers wait already; ask with tx_wait");
                answer_refusal(engine, job->callback, job->arg, &job->digest, &refusal);
            }
        }
        job->answered = true;
    }
    receipts_finished(&engine->line, entry, 0);
}

static void group_answer(struct svm_engine *engine, struct group *group, bool failed)
{
    struct engine_job *logged[ENGINE_BATCH];
    uint32_t count = 0;
    FAULT_POINT("engine.answer.before");
    atomic_store_explicit(&engine->committed, group->last, memory_order_release);
    const uint64_t now_ns = engine_now_ns(engine);
    for (struct engine_job *job; (job = job_list_pop(&group->jobs));) {
        job_logged(engine, job, now_ns, failed);
        logged[count++] = job;
        if (count == ENGINE_BATCH || !group->jobs.head) {
            jobs_release(engine, logged, count);
            count = 0;
        }
    }
    FAULT_POINT("engine.answer.after");
    park_wake_all(&engine->durable_park);
}

/* Room for LEN frame bytes in the open group; writes the group out when it is full. */
static uint8_t *group_room(struct svm_engine *engine, struct group *group, size_t len, bool *failed)
{
    uint8_t *out = store_group_reserve(engine->store, len);
    if (out)
        return out;
    *failed |= !group_write(engine, group);
    group_answer(engine, group, *failed);
    group->first = group->last + 1;
    return *failed ? NULL : store_group_reserve(engine->store, len);
}

/* Workers wrote the records and frames: they lie in other caches, or in none any more. */
static void group_prefetch(struct svm_engine *engine, uint64_t seq, uint64_t to)
{
    enum { RECORD_AHEAD = 12, FRAME_AHEAD = 6, FRAME_BYTES = 320, LINE_BYTES = 64 };
    if (seq + RECORD_AHEAD > to)
        return;
    const struct engine_record *record = mvcc_seq_peek(engine->mvcc, seq + RECORD_AHEAD);
    __builtin_prefetch(record);
    __builtin_prefetch((const uint8_t *)record + offsetof(struct engine_job, next), 1);
    record = mvcc_seq_peek(engine->mvcc, seq + FRAME_AHEAD);
    for (uint32_t at = 0; at < record->frame_len && at < FRAME_BYTES; at += LINE_BYTES)
        __builtin_prefetch(record->frame + at);
}

/* Takes position SEQ into GROUP. */
static void group_add(struct svm_engine *engine, struct group *group, uint64_t seq, bool *failed)
{
    struct engine_record *record = mvcc_seq_take(engine->mvcc, seq);
    if (!*failed) {
        size_t len = record->kind == RECORD_VOID ? model_void_size(seq) : record->frame_len;
        uint8_t *out = group_room(engine, group, len, failed);
        if (out && record->kind == RECORD_VOID)
            model_void_encode(out, seq);
        else if (out)
            memcpy(out, record->frame, len);
    }
    group->last = seq;
    if (record->kind != RECORD_VOID && record->node_ms > group->node_ms)
        group->node_ms = record->node_ms;
    if (record->kind == RECORD_JOB) {
        tell_hook(engine, (struct engine_job *)record);
        job_list_push(&group->jobs, (struct engine_job *)record);
    } else if (record->kind == RECORD_CELLS) {
        record_give(engine, record);
    }
}

/* Refusals that rest on what was not durable yet; in memory mode, on what was not applied yet. */
static void walk_parked(struct svm_engine *engine)
{
    uint64_t durable = engine->memory ? mvcc_applied(engine->mvcc) : engine_durable(engine);
    for (struct engine_job *job; (job = ring_try_pop(engine->park_ring));)
        job_list_push(&engine->parked, job);
    struct job_list still = {0};
    bool failed = atomic_load(&engine->fatal) != SVM_OK;
    for (struct engine_job *job; (job = job_list_pop(&engine->parked));) {
        if (!failed && job->refusal->seq > durable) {
            job_list_push(&still, job);
            continue;
        }
        struct svm_refusal refusal = *job->refusal;
        if (failed && refusal.seq > durable)
            refusal_because(&refusal, SVM_E_STORAGE_READ_ONLY,
                            "the disk failed; ask again after the node's restart");
        job_refuse_now(engine, job, &refusal);
    }
    engine->parked = still;
}

/* Executed, perhaps logged, and never to be durable in this life: whoever waits for that is told. Later ones too, who find such a receipt. */
static void walk_stranded(struct svm_engine *engine)
{
    if (atomic_load(&engine->fatal) == SVM_OK)
        return;
    struct svm_refusal refusal;
    struct svm_digest digest;
    struct engine_waiter *waiters;
    size_t bucket_at = 0;
    refusal_failed(&refusal);
    while (
        receipts_waiters(engine->receipts) > 0 &&
        (waiters = receipts_strand(engine->receipts, engine_durable(engine), &bucket_at, &digest)))
        answer_waiters(engine, waiters, &digest, NULL, &refusal);
}

/* INTERVAL: an fsync every durability_interval_ms while there is something to sync. */
static void sync_by_interval(struct svm_engine *engine, bool now)
{
    if (config_of(engine)->durability != SVM_INTERVAL ||
        store_synced(engine->store) >= store_logged(engine->store))
        return;
    uint64_t now_ns = engine_now_ns(engine);
    if (!now && now_ns - engine->last_sync_ns <
                    (uint64_t)config_of(engine)->durability_interval_ms * 1000000u)
        return;
    engine->last_sync_ns = now_ns;
    if (store_log_sync(engine->store) != SVM_OK)
        engine_fail(engine, SVM_E_IO, store_failure(engine->store));
    park_wake_all(&engine->durable_park);
}

/* Memory mode: receipts go with time too, not only when others come: without room none would come any more. */
static void walk_quiet(struct svm_engine *engine)
{
    engine->forgets = false;
    for (uint32_t i = 0; i < engine->worker_count + ENGINE_SEATS; i++) {
        struct receipt_line *line = &engine->workers[i].line;
        if (pthread_mutex_trylock(&line->lock) != 0)
            continue; /* its worker does it */
        engine->forgets |= evict(engine, line, NULL);
        pthread_mutex_unlock(&line->lock);
    }
}

/* It looks by itself ten times a second; sooner when there is a batch as large as it will be. */
static void wake_materialiser(struct svm_engine *engine)
{
    uint64_t dirty = store_dirty_bytes(engine->store);
    if (dirty >= STORE_PACE_BYTES || dirty >= config_of(engine)->dirty_bytes_max / 4)
        park_wake(&engine->materialise_park);
}

/* What C does beside groups. */
static void look_after(struct svm_engine *engine)
{
    sync_by_interval(engine, atomic_load(&engine->draining));
    if (engine->memory)
        walk_quiet(engine);
    else
        walk_durable(engine);
    walk_parked(engine);
    walk_stranded(engine);
}

bool committer_step(struct svm_engine *engine)
{
    struct group group = {.first =
                              atomic_load_explicit(&engine->committed, memory_order_relaxed) + 1};
    group.last = group.first - 1;
    atomic_fetch_add_explicit(&engine->committer_ticks, 1, memory_order_relaxed);
    bool failed = atomic_load(&engine->fatal) != SVM_OK;
    uint64_t to = atomic_load(&engine->completed);
    bool busy = !engine->memory && to >= group.first;
    if (busy) {
        for (uint64_t seq = group.first; seq <= to; seq++) {
            group_prefetch(engine, seq, to);
            group_add(engine, &group, seq, &failed);
        }
        if (!failed)
            failed = !group_write(engine, &group);
        group_answer(engine, &group, failed);
        wake_materialiser(engine);
    }
    look_after(engine);
    return busy;
}

/* The state is behind: the next group waits for a while, and whoever waits for it with it. Not when there will be no more. */
static bool keep_pace(struct svm_engine *engine)
{
    enum { SHORT_US = 100, LOOK_US = 10000 };
    if (engine->memory || atomic_load(&engine->draining) || atomic_load(&engine->stop_committer) ||
        atomic_load(&engine->fatal) != SVM_OK)
        return false;
    struct store_counts counts;
    store_counts(engine->store, &counts);
    const uint64_t now_ns = engine_now_ns(engine);
    const uint64_t wait_us =
        pace_look(&engine->pace, now_ns, counts.log_bytes, store_dirty_bytes(engine->store),
                  config_of(engine)->dirty_bytes_max) /
        1000;
    if (wait_us < SHORT_US)
        return false;
    look_after(engine);
    park_wait(&engine->pace_park, park_prepare(&engine->pace_park),
              wait_us < LOOK_US ? (uint32_t)wait_us : LOOK_US);
    count_add(&engine->paced_us, (engine_now_ns(engine) - now_ns) / 1000);
    atomic_fetch_add_explicit(&engine->committer_ticks, 1, memory_order_relaxed);
    return true;
}

/* While nobody waits for the disk, what is executed gathers for a while: a group and its sync cost as much for one as for a hundred. Who
 * reads `lingering` as true has raised `completed` before C reads it again. */
static void linger(struct svm_engine *engine)
{
    enum { LINGER_US = 1000 };
    if (atomic_load(&engine->completed) != atomic_load(&engine->committed) &&
        !engine->parked.head && !in_a_hurry(engine)) {
        atomic_store(&engine->lingering, true);
        uint32_t ticket = park_prepare(&engine->commit_park);
        if (in_a_hurry(engine))
            park_cancel(&engine->commit_park);
        else
            park_wait(&engine->commit_park, ticket, LINGER_US);
        atomic_store(&engine->lingering, false);
    }
    if (atomic_load(&engine->hurry))
        atomic_store(&engine->hurry, false); /* before `completed` is read */
}

void committer_main(void *arg)
{
    enum { IDLE_US = 100000 };
    struct svm_engine *engine = arg;
    pace_init(&engine->pace, engine_now_ns(engine), 0, store_dirty_bytes(engine->store),
              config_of(engine)->dirty_bytes_max);
    for (;;) {
        linger(engine);
        if (keep_pace(engine) || committer_step(engine))
            continue;
        complete_executed(engine);
        uint32_t ticket = park_prepare(&engine->commit_park);
        bool work = atomic_load(&engine->completed) > atomic_load(&engine->committed) ||
                    ring_depth(engine->park_ring) > 0;
        if (work || atomic_load(&engine->stop_committer)) {
            park_cancel(&engine->commit_park);
            if (work)
                continue;
            break;
        }
        bool soon = engine->parked.head || engine->forgets ||
                    (config_of(engine)->durability == SVM_INTERVAL &&
                     store_synced(engine->store) < store_logged(engine->store));
        park_wait(&engine->commit_park, ticket, soon ? 1000 : IDLE_US);
    }
    sync_by_interval(engine, true);
    if (!engine->memory)
        walk_durable(engine);
    walk_parked(engine);
    walk_stranded(engine);
}
