#include "engine/internal.h"

#include <stdlib.h>

/* How a transaction ends that is not executed: with a refusal, now or when that on which it rests is durable, or with the receipt of the time
 * when it was. */

bool engine_satisfied(struct svm_engine *engine, uint64_t seq, enum svm_wait wait)
{
    if (wait == SVM_WAIT_DURABLE && !engine->memory)
        return seq <= engine_durable(engine);
    return wait == SVM_WAIT_NONE || seq <= mvcc_applied(engine->mvcc);
}

void job_refuse_now(struct svm_engine *engine, struct engine_job *job,
                    const struct svm_refusal *refusal)
{
    struct engine_waiter *waiters =
        job->entry ? receipts_refuse(engine->receipts, job->entry) : NULL;
    job->entry = NULL;
    stats_refused(&engine->counters, refusal->err);
    if (!job->answered)
        answer_refusal(engine, job->callback, job->arg, job->digest_known ? &job->digest : NULL,
                       refusal);
    answer_waiters(engine, waiters, &job->digest, NULL, refusal);
    answer_waiters(engine, job->parked_waiters, &job->digest, NULL, refusal);
    job->parked_waiters = NULL;
    job_unhold(job);
    job_release(engine, job);
}

static void answer_from_disk(struct engine_worker *worker, struct engine_job *job,
                             struct svm_receipt *receipt)
{
    struct svm_engine *engine = worker->engine;
    struct engine_waiter *waiters =
        job->entry ? receipts_refuse(engine->receipts, job->entry) : NULL;
    job->entry = NULL;
    count_own(&worker->counters.duplicates, 1);
    if (!job->answered)
        answer_receipt(engine, job->callback, job->arg, receipt, true);
    answer_waiters(engine, waiters, &job->digest, receipt, NULL);
    svm_receipt_free(receipt);
    job_unhold(job);
    job_release(engine, job);
}

bool ended_by_disk(struct engine_worker *worker, struct engine_job *job)
{
    struct svm_engine *engine = worker->engine;
    struct svm_receipt *receipt = NULL;
    struct svm_refusal refusal;
    enum svm_err err =
        engine->memory ? SVM_E_NOT_FOUND : store_receipt_get(engine->store, &job->digest, &receipt);
    if (err == SVM_OK) {
        answer_from_disk(worker, job, receipt);
    } else if (err != SVM_E_NOT_FOUND) {
        refusal_because(
            &refusal, SVM_E_INTERNAL,
            "its receipt could not be looked up on the disk; send the same bytes again");
        job_refuse_now(engine, job, &refusal);
    }
    return err != SVM_E_NOT_FOUND;
}

/* Refusals that rest on state: a retry of one's own success gets its receipt instead. */
static bool rests_on_state(enum svm_err err)
{
    return err == SVM_E_VERSION_CONFLICT || err == SVM_E_NOT_OWNER || err == SVM_E_OBJECT_DELETED ||
           err == SVM_E_WRONG_INPUT_KIND || err == SVM_E_OBJECT_IMMUTABLE ||
           err == SVM_E_OBJECT_NOT_FOUND || err == SVM_E_EXPIRED;
}

/* REFUSAL rests on what is not durable: those who asked for durability wait for that, JOB with them; all others are told now. false = nobody
 * did, or there is no memory; whoever is left is to be told now. */
static bool park(struct svm_engine *engine, struct engine_job *job,
                 const struct svm_refusal *refusal)
{
    struct engine_waiter *waiters =
        job->entry ? receipts_refuse(engine->receipts, job->entry) : NULL;
    struct engine_waiter *hasty = NULL;
    job->entry = NULL;
    while (waiters) {
        struct engine_waiter *waiter = waiters;
        struct engine_waiter **list =
            waiter->wait == SVM_WAIT_DURABLE ? &job->parked_waiters : &hasty;
        waiters = waiter->next;
        waiter->next = *list;
        *list = waiter;
    }
    answer_waiters(engine, hasty, &job->digest, NULL, refusal);
    bool durable = !job->answered && job->wait == SVM_WAIT_DURABLE;
    if ((!durable && !job->parked_waiters) || !(job->refusal = malloc(sizeof *refusal)))
        return false;
    if (!durable && !job->answered)
        answer_refusal(engine, job->callback, job->arg, &job->digest, refusal);
    job->answered = !durable;
    *job->refusal = *refusal;
    job_unhold(job);
    ring_push(engine->park_ring, job); /* as large as all credits together */
    commit_hurry(engine);
    return true;
}

void job_refuse(struct engine_worker *worker, struct engine_job *job,
                const struct svm_refusal *refusal)
{
    struct svm_engine *engine = worker->engine;
    if (rests_on_state(refusal->err) && ended_by_disk(worker, job))
        return;
    if ((refusal->has & SVM_HAS_SEQ) && !engine_satisfied(engine, refusal->seq, SVM_WAIT_DURABLE) &&
        park(engine, job, refusal))
        return;
    job_refuse_now(engine, job, refusal);
}
