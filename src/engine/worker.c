#include "engine/internal.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/*~ A worker takes up to 64 transactions at once, so that the cache misses of one overlap the work on another:
 *
 *     take -> prepare each (decode, digest, dedupe, verify) -> dispatch each (route; fast: run now; shared: propose)
 *          -> the order -> run what is ready -> look again at what met a claim -> answer what became readable
 *
 * Nothing here waits: what cannot go on is put on the worker's own retry list, bounded in attempts. */

/* ---- answers before execution --------------------------------------------------------------------------------- */

static void answer_pending(struct svm_engine *engine, svm_submit_fn *callback, void *arg,
                           const struct svm_digest *digest, bool duplicate)
{
    callback(arg, &(struct svm_outcome){.err = SVM_OK,
                                        .pending = true,
                                        .duplicate = duplicate,
                                        .digest_known = true,
                                        .digest = *digest,
                                        .durable_seq = engine_durable(engine)});
}

/* ENTRY (locked) is what JOB is a copy of: answer from it or wait for it. The job ends; its lock too. */
static void join(struct engine_worker *worker, struct engine_job *job, struct receipt_entry *entry)
{
    struct svm_engine *engine = worker->engine;
    receipts_await(entry); /* before anything is looked at that it may wait for */
    struct model_receipt_space space;
    const struct svm_receipt *receipt = receipts_read(entry, &space);
    struct svm_receipt *copy = NULL;
    bool waits = false, full = false;
    if (receipt && engine_satisfied(engine, receipt->seq, job->wait)) {
        copy = svm_receipt_copy(receipt);
        full = copy == NULL;
    } else if (job->wait != SVM_WAIT_NONE) {
        waits = receipts_wait(
            engine->receipts, entry,
            &(struct engine_waiter){
                .callback = job->callback, .arg = job->arg, .wait = job->wait, .duplicate = true});
        full = !waits;
    }
    receipts_unlock(engine->receipts, entry);
    if (waits && job->wait == SVM_WAIT_DURABLE)
        commit_hurry(engine);
    count_own(&worker->counters.duplicates, 1);
    if (copy) {
        answer_receipt(engine, job->callback, job->arg, copy, true);
        svm_receipt_free(copy);
    } else if (full) {
        struct svm_refusal refusal;
        refusal_because(&refusal, SVM_E_OVERLOADED, "engine.waiters_max callers wait already");
        answer_refusal(engine, job->callback, job->arg, &job->digest, &refusal);
    } else if (!waits) {
        answer_pending(engine, job->callback, job->arg, &job->digest, true);
    }
    job_release(engine, job);
}

/* May the disk know a digest that memory does not? Exact inputs guard themselves: theirs is looked up when they are refused. */
static bool may_be_on_disk(struct svm_engine *engine, const struct engine_job *job)
{
    if (engine->memory || job->has_exact || FAULT_BUG("dedupe-disk"))
        return false;
    /* An earlier life may have allowed more than this one does now. */
    if (engine->receipts_before_start &&
        job->tx.expires_ms <= engine->opened_ms + ENGINE_EXPIRY_MAX_MS)
        return true;
    return job->tx.expires_ms <= receipts_evicted_expires(engine->receipts);
}

/* ---- prepare ---------------------------------------------------------------------------------------------------- */

static enum svm_err decode(struct engine_worker *worker, struct engine_job *job,
                           struct svm_refusal *refusal)
{
    struct svm_signed_tx stx;
    enum svm_err err;
    if (!job->bytes) {
        err = svm_tx_check(&job->tx, refusal);
    } else {
        err = svm_signed_tx_decode(&stx, &worker->space,
                                   (struct svm_bytes){job->bytes, job->bytes_len}, refusal);
        if (err == SVM_OK) {
            if (!job_copy_tx(job, &stx.tx)) {
                job->tx.inputs = job->own_inputs;
                job->tx.ops = job->own_ops;
                refusal_init(refusal, SVM_E_OVERLOADED);
                return SVM_E_OVERLOADED;
            }
            job->public_key = stx.public_key;
            job->signature = stx.signature;
            job->tx_bytes = stx.tx_bytes;
            svm_tx_digest(&job->digest, stx.tx_bytes);
            job->digest_known = true;
        }
    }
    refusal->err = err;
    for (uint16_t i = 0; err == SVM_OK && i < job->tx.input_count; i++)
        job->has_exact |= job->tx.inputs[i].exact;
    return err;
}

/* Decodes JOB. false = it was malformed and has ended. */
static bool read_bytes(struct engine_worker *worker, struct engine_job *job)
{
    struct svm_refusal refusal;
    refusal_clear(&refusal);
    enum svm_err err = decode(worker, job, &refusal);
    if (err == SVM_OK)
        return true;
    if (err == SVM_E_PRIVACY_UNAVAILABLE)
        count_own(&worker->counters.routed[SVM_PATH_PRIVATE], 1);
    job_refuse_now(worker->engine, job, &refusal);
    return false;
}

/* Answers JOB if its digest has a receipt already, and refuses what no object is needed to refuse. True = its signature is to be looked at
 * next; ADMISSION_OUT is OK, or EXPIRED. */
static bool look_up(struct engine_worker *worker, struct engine_job *job,
                    enum svm_err *admission_out)
{
    struct svm_engine *engine = worker->engine;
    struct svm_refusal refusal;
    struct receipt_entry *entry;
    if (job->bytes && !FAULT_BUG("dedupe-skip") &&
        (entry = receipts_find(engine->receipts, &job->digest)) != NULL) {
        /* Only a finished one may answer before the signature is verified. */
        if (receipts_seq(entry) != 0) {
            join(worker, job, entry);
            return false;
        }
        receipts_unlock(engine->receipts, entry);
    }
    *admission_out = route_admit(engine, &job->tx, worker->now_ms, &refusal);
    if (*admission_out == SVM_OK && job->must_free && !room_may_free(&job->tx)) {
        room_refuse(&refusal, ROOM_TO_FREE);
        *admission_out = refusal.err;
    }
    if (*admission_out == SVM_OK || *admission_out == SVM_E_EXPIRED)
        return true;
    job_refuse(worker, job, &refusal);
    return false;
}

/* Verifies the signatures of JOBS together. Those who fail end; returns how many are left, with their ADMISSIONS. */
static size_t verify(struct engine_worker *worker, struct engine_job **jobs,
                     enum svm_err *admissions, size_t count)
{
    struct model_signed checks[ENGINE_BATCH];
    enum model_verdict verdicts[ENGINE_BATCH];
    _Static_assert((int)ENGINE_BATCH <= (int)MODEL_VERIFY_MAX, "a batch is verified at once");
    if (!config_of(worker->engine)->verify_signatures)
        return count;
    size_t checked = 0, left = 0;
    for (size_t i = 0; i < count; i++)
        if (jobs[i]->bytes) /* decoded ones were verified by who decoded them */
            checks[checked++] = (struct model_signed){&jobs[i]->tx.sender, &jobs[i]->public_key,
                                                      &jobs[i]->signature, jobs[i]->tx_bytes};
    if (checked > 0)
        model_verify(verdicts, checks, checked);
    checked = 0;
    for (size_t i = 0; i < count; i++) {
        struct svm_refusal refusal;
        refusal_clear(&refusal);
        if (jobs[i]->bytes && model_verdict_err(verdicts[checked++], &refusal) != SVM_OK) {
            job_refuse_now(worker->engine, jobs[i], &refusal);
            continue;
        }
        admissions[left] = admissions[i];
        jobs[left++] = jobs[i];
    }
    return left;
}

/* What JOB's receipt will probably need. */
static size_t receipt_room(const struct engine_job *job)
{
    size_t changes = job->tx.input_count, owners = 0;
    for (uint16_t i = 0; i < job->tx.op_count && changes <= MODEL_PACKED_CHANGES; i++) {
        const enum svm_op_kind kind = job->tx.ops[i].kind;
        changes += kind == SVM_OP_CREATE || kind == SVM_OP_PAY;
        owners += kind == SVM_OP_TRANSFER || kind == SVM_OP_PAY;
    }
    return changes > MODEL_PACKED_CHANGES ? 0 : model_packed_size(changes, owners);
}

/* Makes JOB, which is signed, the only one of its digest. false = it has ended. */
static bool enter(struct engine_worker *worker, struct engine_job *job, enum svm_err admission)
{
    struct svm_engine *engine = worker->engine;
    struct svm_refusal refusal;
    struct receipt_entry *entry;
    if (admission == SVM_E_EXPIRED) {
        /* A copy that came in time decides for all. One that enters after this look has seen the same time. */
        if ((entry = receipts_find(engine->receipts, &job->digest)) != NULL) {
            join(worker, job, entry);
            return false;
        }
        (void)route_admit(engine, &job->tx, worker->now_ms, &refusal);
        job_refuse(worker, job, &refusal);
        return false;
    }
    switch (receipts_enter(engine->receipts, worker->pool, &job->digest,
                           job->has_exact ? 0 : job->tx.expires_ms, receipt_room(job), &entry)) {
    case RECEIPTS_ENTERED:
        job->entry = entry;
        /* Memory knew nothing of it. To be asked now and not before: a receipt that is evicted while one looks is missed by neither, for
         * the mark of evictions goes up first. */
        return !may_be_on_disk(engine, job) || !ended_by_disk(worker, job);
    case RECEIPTS_FOUND:
        join(worker, job, entry);
        return false;
    case RECEIPTS_NO_MEMORY:
        break;
    }
    refusal_init(&refusal, SVM_E_OVERLOADED);
    job_refuse_now(engine, job, &refusal);
    return false;
}

/* ---- runs ------------------------------------------------------------------------------------------------------- */

/*~ A chain of ordered transactions on one object is handed out in runs: the first is ready, and each of the others (`behind`) is when
 * the one before it has ended. A worker takes as many of a run into its hands as make a group. Whoever comes to a pause takes
 * those behind it out of the worker's hands (`waits_behind`), wherever the pause is spent; when it has ended, they go on. */

void worker_order_done(struct engine_worker *worker, struct engine_job *job)
{
    if (job->state != JOB_ORDERED)
        return;
    if (job->order_slot != (uint32_t)ENGINE_NO_SLOT)
        worker->finished[worker->finished_count++] = job->order_slot;
    struct engine_job *next = job->behind;
    if (next && next->waits_behind) {
        next->waits_behind = false;
        job_list_push(&worker->local, next);
    }
}

static void hold_back_behind(struct engine_job *job)
{
    for (job = job->behind; job && !job->waits_behind; job = job->behind)
        job->waits_behind = true;
}

/* ---- dispatch --------------------------------------------------------------------------------------------------- */

/* JOB met something that will pass: it is looked at again after a random, growing pause, a bounded number of times. */
static void again(struct engine_worker *worker, struct engine_job *job,
                  const struct svm_refusal *because)
{
    struct svm_engine *engine = worker->engine;
    count_own(&worker->counters.retries, 1);
    if (++job->attempts > config_of(engine)->busy_attempts_max) {
        struct svm_refusal refusal;
        if (because && because->err == SVM_E_BUSY)
            refusal = *because;
        else
            refusal_because(&refusal, SVM_E_BUSY,
                            "an input stayed claimed for all attempts (engine.busy_attempts_max)");
        refusal.has |= SVM_HAS_ATTEMPTS;
        refusal.attempts = job->attempts - 1;
        worker_order_done(worker, job);
        job_refuse(worker, job, &refusal);
        return;
    }
    uint32_t shift = job->attempts < 10 ? job->attempts : 10; /* 1 us .. 1 ms */
    hold_back_behind(job);
    job->retry_at_ns = worker->now_ns + (rng_next(&worker->rng) & ((UINT64_C(1000) << shift) - 1));
    job_list_push(&worker->retry, job);
}

/* The early look at an ordered transaction's inputs: a refusal before it has a position costs nobody anything. */
static enum attempt_result look(struct engine_job *job, struct svm_refusal *refusal)
{
    for (uint16_t i = 0; i < job->tx.input_count; i++) {
        const struct mvcc_version *version = mvcc_newest(job->heads[i]);
        const struct model_object *object = version ? (const void *)version->payload : NULL;
        refusal_clear(refusal);
        enum svm_err err = exec_check_input(&job->tx, i, object, refusal);
        if (err == SVM_OK)
            continue;
        refusal->err = err;
        if (err == SVM_E_VERSION_CONFLICT && job->tx.inputs[i].version > object->version)
            return ATTEMPT_AGAIN;
        if (version) {
            refusal->has |= SVM_HAS_SEQ;
            refusal->seq = version->begin_seq;
        }
        return ATTEMPT_REFUSED;
    }
    return ATTEMPT_EXECUTED;
}

static void settle(struct engine_worker *worker, struct engine_job *job, enum attempt_result result,
                   const struct svm_refusal *refusal)
{
    switch (result) {
    case ATTEMPT_EXECUTED:
        return;
    case ATTEMPT_REFUSED:
        worker_order_done(worker, job);
        job_refuse(worker, job, refusal);
        return;
    case ATTEMPT_AGAIN:
        again(worker, job, refusal);
        return;
    case ATTEMPT_FALLBACK:
        job->path = SVM_PATH_CONSENSUS;
        job->fallback = SVM_FALLBACK_CONTENDED;
        count_own(&worker->counters.fallbacks[SVM_FALLBACK_CONTENDED], 1);
        job_list_push(&worker->proposed, job);
        return;
    }
}

static void commit_group(struct engine_worker *worker)
{
    struct engine_job *void_jobs[ENGINE_GROUP];
    size_t n = execute_commit(worker, void_jobs);
    for (size_t i = 0; i < n; i++)
        again(worker, void_jobs[i], NULL);
}

/* Executes JOBS, which are held, in groups. Whatever else is done with one of them (an answer, a refusal) is done while no claim is held. */
static void run_group(struct engine_worker *worker, struct engine_job **jobs, size_t count)
{
    struct svm_refusal refusal;
    uint32_t joined = 0;
    for (size_t i = 0; i < count; i++) {
        refusal_clear(&refusal);
        if (jobs[i]->waits_behind)
            continue;
        enum attempt_result result = execute_join(worker, jobs[i], &refusal);
        if (result != ATTEMPT_EXECUTED && joined > 0) {
            commit_group(worker);
            joined = 0;
            if (jobs[i]->waits_behind)
                continue;
            if (result == ATTEMPT_AGAIN ||
                result == ATTEMPT_FALLBACK) { /* perhaps of its own group */
                refusal_clear(&refusal);
                result = execute_join(worker, jobs[i], &refusal);
            }
        }
        if (result == ATTEMPT_EXECUTED)
            joined++;
        else
            settle(worker, jobs[i], result, &refusal);
        if (joined == ENGINE_GROUP) {
            commit_group(worker);
            joined = 0;
        }
    }
    commit_group(worker);
}

static void route(struct engine_worker *worker, struct engine_job *job)
{
    route_decide(&job->tx, &job->path);
    count_own(&worker->counters.routed[job->path], 1);
    job->routed_ns = worker->now_ns;
    job->state = JOB_ROUTED;
}

/* Holds JOB's inputs. False = it has met an end or a pause, or, when one BEFORE it is held and not executed yet, *LATER: what it names may
 * be what that one makes, and it may stand behind that one. */
static bool hold(struct engine_worker *worker, struct engine_job *job, bool before, bool *later)
{
    struct svm_refusal refusal;
    refusal_clear(&refusal);
    enum attempt_result result = execute_hold(worker, job, &refusal);
    *later = before && result != ATTEMPT_EXECUTED &&
             (job->state == JOB_ORDERED ||
              (result == ATTEMPT_REFUSED && refusal.err == SVM_E_OBJECT_NOT_FOUND));
    if (result != ATTEMPT_EXECUTED && !*later)
        settle(worker, job, result, &refusal);
    return result == ATTEMPT_EXECUTED;
}

/* A shared one has its early look, then its turn in the order. True = it is to be executed now. */
static bool pass(struct engine_worker *worker, struct engine_job *job)
{
    struct svm_refusal refusal;
    if (job->state != JOB_ROUTED || job->path != SVM_PATH_CONSENSUS)
        return true;
    refusal_clear(&refusal);
    enum attempt_result result = look(job, &refusal);
    if (result == ATTEMPT_EXECUTED)
        job_list_push(&worker->proposed, job);
    else
        settle(worker, job, result, &refusal);
    return false;
}

static void dispatch(struct engine_worker *worker, struct engine_job *job)
{
    bool later;
    if (hold(worker, job, false, &later) && pass(worker, job))
        run_group(worker, &job, 1);
}

/* Those of JOBS, all held, that can be executed now are; the others are proposed. */
static void run_held(struct engine_worker *worker, struct engine_job **jobs, size_t count)
{
    size_t n = 0;
    /* The version behind the newest is what publication trims. */
    for (size_t i = 0; i < count; i++)
        for (uint16_t k = i > 0 && jobs[i]->heads[0] == jobs[i - 1]->heads[0];
             k < jobs[i]->held_count && k < ENGINE_JOB_INPUTS; k++) {
            const struct mvcc_version *version = mvcc_newest(jobs[i]->heads[k]);
            if (version)
                __builtin_prefetch(mvcc_older(version), 1);
        }
    for (size_t i = 0; i < count; i++)
        if (pass(worker, jobs[i]))
            jobs[n++] = jobs[i];
    run_group(worker, jobs, n);
}

/* JOB names one object, the one that BEFORE names, who holds it and has seen that it is there: is it held with it? *MORE: it is to be held once
 * more. A chain's jobs come one after the other, and the line of its head is another worker's too. */
static bool hold_with(const struct engine_job *before, struct engine_job *job, uint32_t *more)
{
    if (job->tx.input_count != 1 || before->tx.input_count != 1)
        return false;
    if (job->held_count == 1)
        return job->heads[0] == before->heads[0];
    if (memcmp(&job->tx.inputs[0].id, &before->tx.inputs[0].id, sizeof(struct svm_id)) != 0)
        return false;
    job->heads[0] = before->heads[0];
    job->held_count = 1;
    ++*more;
    return true;
}

/* What belongs to hold_with: MORE of them are in JOBS, and the last of these has it too. */
static void hold_settle(struct engine_job *const *jobs, size_t count, uint32_t *more)
{
    if (*more > 0)
        mvcc_hold_more(jobs[count - 1]->heads[0], *more);
    *more = 0;
}

static void prefetch_versions(const struct engine_job *job)
{
    for (uint16_t k = 0; k < job->held_count && k < ENGINE_JOB_INPUTS; k++) {
        const struct mvcc_version *version = mvcc_newest(job->heads[k]);
        __builtin_prefetch(version);
        __builtin_prefetch((const uint8_t *)version + 64);
        __builtin_prefetch((const uint8_t *)version + 128);
    }
}

/* Holds and executes JOBS, in order. */
static void run_routed(struct engine_worker *worker, struct engine_job **jobs, size_t count)
{
    size_t n = 0;
    uint32_t more = 0;
    for (size_t i = 0; i < count; i++) {
        bool later;
        struct engine_job *job = jobs[i];
        if (job->waits_behind)
            continue;
        if (n > 0 && hold_with(jobs[n - 1], job, &more)) {
            jobs[n++] = job;
            continue;
        }
        hold_settle(jobs, n, &more);
        bool held = hold(worker, job, n > 0, &later);
        if (later) {
            run_held(worker, jobs, n);
            n = 0;
            if (job->waits_behind)
                continue;
            held = hold(worker, job, false, &later);
        }
        if (!held)
            continue;
        prefetch_versions(job);
        jobs[n++] = job;
    }
    hold_settle(jobs, n, &more);
    run_held(worker, jobs, n);
}

/* A caller that does not wait is answered once its transaction is known to be good. */
static void answer_unwaiting(struct engine_worker *worker, struct engine_job *job)
{
    if (job->wait == SVM_WAIT_NONE && !job->answered) {
        job->answered = true;
        answer_pending(worker->engine, job->callback, job->arg, &job->digest, false);
    }
}

/* ---- the step --------------------------------------------------------------------------------------------------- */

static size_t take(struct engine_worker *worker, struct engine_job *jobs[ENGINE_BATCH])
{
    struct svm_engine *engine = worker->engine;
    size_t n = 0;
    for (uint32_t k = 0; k < engine->worker_count && n == 0; k++) {
        struct ring *ring = engine->workers[(worker->index + k) % engine->worker_count].ring;
        while (n < ENGINE_BATCH && (jobs[n] = ring_try_pop(ring)) != NULL)
            n++;
    }
    return n;
}

/* Asks for the part of the owner index that JOB will change: STEP after step. */
static void prefetch_owners(struct svm_engine *engine, const struct engine_job *job, unsigned step)
{
    for (uint16_t k = 0; k < job->tx.op_count && k < ENGINE_JOB_OPS; k++) {
        const struct svm_op *op = &job->tx.ops[k];
        if (op->kind == SVM_OP_TRANSFER)
            owners_prefetch(engine->owners, &op->u.transfer.to, &job->tx.inputs[op->input].id,
                            step);
        else if (op->kind == SVM_OP_PAY)
            owners_prefetch(engine->owners, &op->u.pay.to, NULL, step);
    }
}

/* Prepares up to a batch of jobs in passes, each of which asks for the memory that the next one needs. */
static void run_new(struct engine_worker *worker, struct engine_job **jobs, size_t count)
{
    struct svm_engine *engine = worker->engine;
    enum svm_err admissions[ENGINE_BATCH];
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (read_bytes(worker, jobs[i])) {
            receipts_prefetch(engine->receipts, &jobs[i]->digest);
            for (uint16_t k = 0; k < jobs[i]->tx.input_count && k < ENGINE_JOB_INPUTS; k++) {
                jobs[i]->hashes[k] = mvcc_hash_key(engine->objects, jobs[i]->tx.inputs[k].id.b,
                                                   sizeof(struct svm_id));
                mvcc_prefetch(engine->objects, jobs[i]->hashes[k]);
            }
            prefetch_owners(engine, jobs[i], 0);
            jobs[n++] = jobs[i];
        }
    count = n;
    n = 0;
    for (size_t i = 0; i < count; i++) {
        receipts_prefetch_behind(engine->receipts, &jobs[i]->digest);
        for (uint16_t k = 0; k < jobs[i]->tx.input_count && k < ENGINE_JOB_INPUTS; k++)
            mvcc_prefetch_head(engine->objects, jobs[i]->hashes[k]);
        prefetch_owners(engine, jobs[i], 1);
    }
    for (size_t i = 0; i < count; i++) {
        prefetch_owners(engine, jobs[i], 2);
        if (look_up(worker, jobs[i], &admissions[n]))
            jobs[n++] = jobs[i];
    }
    count = verify(worker, jobs, admissions, n);
    n = 0;
    for (size_t i = 0; i < count; i++)
        if (enter(worker, jobs[i], admissions[i]))
            jobs[n++] = jobs[i];
    for (size_t i = 0; i < n; i++) {
        prefetch_owners(engine, jobs[i], 3);
        answer_unwaiting(worker, jobs[i]);
        route(worker, jobs[i]);
    }
    run_routed(worker, jobs, n);
}

static void propose(struct engine_worker *worker)
{
    struct engine_job *jobs[ENGINE_BATCH];
    struct svm_engine *engine = worker->engine;
    while (worker->proposed.head) {
        size_t n = 0;
        while (n < ENGINE_BATCH && (jobs[n] = job_list_pop(&worker->proposed)) != NULL)
            n++;
        engine->order.propose(engine->order.self, engine, worker, jobs, n);
    }
}

/* Takes up to a group of jobs that are ready: ordered ones with those behind them, and what a seat has left to be tried again. What a
 * seat has left in its pause stays in it. */
static size_t take_ready(struct engine_worker *worker, struct engine_job *jobs[ENGINE_GROUP],
                         size_t *taken)
{
    size_t n = 0;
    struct engine_job *job;
    *taken = 0;
    while (n < ENGINE_GROUP && ((job = job_list_pop(&worker->local)) != NULL ||
                                (job = ring_try_pop(worker->engine->ready)) != NULL)) {
        ++*taken;
        if (job->retry_at_ns > worker->now_ns) {
            job_list_push(&worker->retry, job);
            continue;
        }
        jobs[n++] = job;
        while (n < ENGINE_GROUP && (job = job->behind) != NULL) {
            job->waits_behind = false;
            jobs[n++] = job;
            ++*taken;
        }
    }
    return n;
}

static bool run_ordered(struct engine_worker *worker)
{
    struct svm_engine *engine = worker->engine;
    struct engine_job *jobs[ENGINE_GROUP], *other;
    size_t ran = 0;
    /* A chain that is fed keeps `local` full; what lies in the ring waits behind what is in it now, and no longer. */
    if (worker->index < engine->worker_count && worker->local.head &&
        (other = ring_try_pop(engine->ready)) != NULL)
        job_list_push(&worker->local, other);
    while (ran < 4 * ENGINE_BATCH) {
        if (worker->finished_count > ENGINE_BATCH - ENGINE_GROUP ||
            (!worker->local.head && worker->finished_count > 0))
            order_finish(engine, worker);
        size_t taken, n = take_ready(worker, jobs, &taken);
        if (taken == 0)
            break;
        ran += taken;
        run_routed(worker, jobs, n);
    }
    order_finish(engine, worker);
    return ran > 0;
}

static bool run_retries(struct engine_worker *worker)
{
    struct job_list due = worker->retry;
    bool ran = false;
    worker->retry = (struct job_list){0};
    for (struct engine_job *job; (job = job_list_pop(&due));) {
        if (job->retry_at_ns > worker->now_ns) {
            job_list_push(&worker->retry, job);
            continue;
        }
        ran = true;
        dispatch(worker, job);
        if (worker->finished_count == ENGINE_BATCH)
            order_finish(worker->engine, worker);
    }
    return ran;
}

static void look_at_clocks(struct engine_worker *worker)
{
    worker->now_ns = engine_now_ns(worker->engine);
    worker->now_ms = engine_node_ms(worker->engine);
}

bool worker_step(struct engine_worker *worker)
{
    struct svm_engine *engine = worker->engine;
    struct engine_job *jobs[ENGINE_BATCH];
    if (engine->hooks.worker_step)
        engine->hooks.worker_step(engine->hooks.arg, worker->index);
    atomic_fetch_add_explicit(&worker->ticks, 1, memory_order_relaxed);
    look_at_clocks(worker);

    bool busy = worker->local.head != NULL;
    size_t n = take(worker, jobs);
    if (n > 0)
        run_new(worker, jobs, n);
    busy |= n > 0;
    if (worker->retry.head)
        busy |= run_retries(worker);
    propose(worker);
    busy |= run_ordered(worker);
    propose(worker);
    if (busy)
        complete_executed(engine);
    complete_own(worker);
    owner_log_step(worker->owner_log, engine->memory ? 0 : store_materialised(engine->store));
    mvcc_quiesce(worker->mvcc);
    return busy;
}

void worker_run(struct engine_worker *worker, struct engine_job **jobs, size_t count)
{
    struct svm_engine *engine = worker->engine;
    look_at_clocks(worker);
    run_new(worker, jobs, count);
    while (worker->proposed.head || worker->local.head) {
        propose(worker);
        run_ordered(worker);
    }
    /* What met a claim is tried again by those who have the time to wait. */
    for (struct engine_job *job; (job = job_list_pop(&worker->retry));) {
        ring_push(engine->ready, job); /* as large as all credits together */
        park_wake(&engine->workers[job->index % engine->worker_count].park);
    }
    complete_executed(engine);
    complete_own(worker);
    while (
        worker->done.head) { /* another thread is between taking a position and handing it over */
        sched_yield();
        complete_own(worker);
    }
    owner_log_step(worker->owner_log, engine->memory ? 0 : store_materialised(engine->store));
    mvcc_quiesce(worker->mvcc);
}

static bool has_work(const struct engine_worker *worker)
{
    struct svm_engine *engine = worker->engine;
    if (worker->local.head || ring_depth(engine->ready) > 0)
        return true;
    for (uint32_t i = 0; i < engine->worker_count; i++)
        if (ring_depth(engine->workers[i].ring) > 0)
            return true;
    return false;
}

void worker_main(void *arg)
{
    enum { IDLE_US = 10000, RETRY_US = 20 }; /* idle ones look at their neighbours' rings */
    struct engine_worker *worker = arg;
    mvcc_online(worker->mvcc);
    while (!atomic_load(&worker->engine->stop_workers)) {
        if (worker_step(worker))
            continue;
        uint32_t ticket = park_prepare(&worker->park);
        if (has_work(worker) || atomic_load(&worker->engine->stop_workers)) {
            park_cancel(&worker->park);
            continue;
        }
        mvcc_offline(worker->mvcc);
        bool soon = worker->retry.head || worker->done.head;
        park_wait(&worker->park, ticket, soon ? RETRY_US : IDLE_US);
        mvcc_online(worker->mvcc);
    }
    mvcc_offline(worker->mvcc);
}
