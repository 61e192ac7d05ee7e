#include "engine/internal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* One attempt to execute a transaction, on either path. The two differ in what stands before it (the fast path: nothing; the
 * consensus path: the scheduler has let everybody pass who comes first) and in what meeting a claim means. */

static struct mvcc_version *version_of(struct model_object *object)
{
    return (struct mvcc_version *)(void *)((uint8_t *)object -
                                           offsetof(struct mvcc_version, payload));
}

static const struct model_object *object_of(const struct mvcc_version *version)
{
    return version ? (const struct model_object *)(const void *)version->payload : NULL;
}

static struct model_object *version_alloc(void *arg, size_t size)
{
    struct mvcc_version *version = mvcc_version_create(arg, (uint32_t)size);
    return version ? (struct model_object *)(void *)version->payload : NULL;
}

static void version_free(void *arg, struct model_object *object)
{
    mvcc_version_destroy(arg, version_of(object));
}

/* ---- loading ------------------------------------------------------------------------------------------------- */

struct loading {
    struct mvcc_thread *thread;
    struct mvcc_version *version;
};

static void *loading_alloc(void *arg, size_t size)
{
    struct loading *loading = arg;
    loading->version = mvcc_version_create(loading->thread, (uint32_t)size);
    return loading->version ? loading->version->payload : NULL;
}

static enum svm_err load_object(struct svm_engine *engine, struct mvcc_head *head,
                                struct loading *loading)
{
    struct svm_id id;
    struct model_object *object;
    uint64_t seq;
    memcpy(id.b, head->key, sizeof id.b);
    enum svm_err err = store_object_get(engine->store, &id, &seq, loading_alloc, loading, &object);
    if (err == SVM_OK) {
        loading->version->begin_seq = seq;
        loading->version->version = object->version;
        loading->version->tombstone = object->deleted;
    }
    return err;
}

static enum svm_err load_cell(struct svm_engine *engine, struct mvcc_head *head,
                              struct loading *loading)
{
    uint64_t seq, version;
    bool deleted;
    size_t len;
    enum svm_err err = store_cell_get(engine->store, (struct svm_bytes){head->key, head->key_len},
                                      &seq, &version, &deleted, loading_alloc, loading, &len);
    if (err == SVM_OK) {
        loading->version->begin_seq = seq;
        loading->version->version = version;
        loading->version->tombstone = deleted;
    }
    return err;
}

enum svm_err engine_load(struct svm_engine *engine, struct mvcc_table *table,
                         struct mvcc_thread *thread, struct mvcc_head *head)
{
    struct loading loading = {.thread = thread};
    enum svm_err err = SVM_E_NOT_FOUND;
    if (!engine->memory)
        err = table == engine->objects ? load_object(engine, head, &loading)
                                       : load_cell(engine, head, &loading);
    if (err == SVM_OK || err == SVM_E_NOT_FOUND) {
        mvcc_load_finish(table, thread, head, err == SVM_OK ? loading.version : NULL);
        return SVM_OK;
    }
    if (loading.version)
        mvcc_version_destroy(thread, loading.version);
    mvcc_load_abort(table, thread, head);
    return err;
}

enum attempt_result execute_hold(struct engine_worker *worker, struct engine_job *job,
                                 struct svm_refusal *refusal)
{
    struct svm_engine *engine = worker->engine;
    const struct svm_tx *tx = &job->tx;
    if (tx->input_count > ENGINE_JOB_INPUTS && job->heads == job->own_heads) {
        job->heads = malloc(tx->input_count * sizeof(struct mvcc_head *));
        if (!job->heads) {
            job->heads = job->own_heads;
            refusal_init(refusal, SVM_E_OVERLOADED);
            return ATTEMPT_REFUSED;
        }
    }
    while (job->held_count < tx->input_count) {
        const struct svm_id *id = &tx->inputs[job->held_count].id;
        struct mvcc_head *head;
        if (engine->memory && !mvcc_find(engine->objects, id->b, sizeof id->b)) {
            /* There is no disk that could know it: no head is made for what does not exist. */
            refusal->err = exec_check_input(tx, job->held_count, NULL, refusal);
            return ATTEMPT_REFUSED;
        }
        switch (mvcc_hold(engine->objects, worker->mvcc, id->b, sizeof id->b, &head)) {
        case MVCC_HELD:
            job->heads[job->held_count++] = head;
            break;
        case MVCC_HELD_LOAD:
            if (engine_load(engine, engine->objects, worker->mvcc, head) != SVM_OK) {
                refusal_because(refusal, SVM_E_INTERNAL,
                                "an input could not be read from the disk");
                return ATTEMPT_REFUSED;
            }
            job->heads[job->held_count++] = head;
            break;
        case MVCC_HELD_LOADING:
            job->heads[job->held_count++] = head;
            break;
        case MVCC_HOLD_NO_MEMORY:
            refusal_init(refusal, SVM_E_OVERLOADED);
            return ATTEMPT_REFUSED;
        }
    }
    /* A load that another one aborted leaves a dead head: everything is looked up again. */
    for (uint16_t i = 0; i < job->held_count; i++) {
        enum mvcc_status status = mvcc_state_status(mvcc_state(job->heads[i]));
        if (status == MVCC_DEAD)
            job_unhold(job);
        if (status == MVCC_DEAD || status == MVCC_LOADING)
            return ATTEMPT_AGAIN;
    }
    return ATTEMPT_EXECUTED;
}

/* ---- one attempt ---------------------------------------------------------------------------------------------- */

/* What an attempt holds; everything is undone by attempt_undo, at any point before seq. */
struct attempt {
    struct engine_worker *worker;
    struct engine_job *job;
    uint16_t claimed; /* writable inputs before this index are claimed */
    uint16_t made;    /* heads of created objects, claimed */
    uint16_t touched; /* hands that change */
    bool applied;     /* worker->result holds versions */
    struct svm_receipt *receipt;
    uint64_t states[SVM_TX_INPUTS_MAX];
    const struct model_object *objects[SVM_TX_INPUTS_MAX];
    struct mvcc_head *created[SVM_TX_OPS_MAX];
    struct owner_touch touches[2 * MODEL_WRITES_MAX];
    struct model_write writes[MODEL_WRITES_MAX];
};

static void attempt_undo(struct attempt *a)
{
    struct engine_job *job = a->job;
    struct exec_result *result = &a->worker->result;
    for (uint16_t i = 0; i < a->touched; i++)
        owners_undo(a->worker->owner_log, &a->touches[i]);
    for (uint16_t i = 0; i < a->made; i++) {
        mvcc_release(a->created[i], MVCC_ABSENT);
        mvcc_unhold(a->created[i]);
    }
    for (uint16_t i = 0; a->applied && i < result->write_count; i++)
        version_free(a->worker->mvcc, result->writes[i].object);
    for (uint16_t i = 0; i < a->claimed; i++)
        if (job->tx.inputs[i].writable)
            mvcc_release(job->heads[i], a->states[i]);
    pool_give(a->receipt);
    a->receipt = NULL;
    a->touched = a->made = a->claimed = 0;
    a->applied = false;
}

/* What stands in the way of input I: STATE is not an unclaimed, resident word. */
static enum attempt_result in_the_way(struct attempt *a, uint16_t i, uint64_t state)
{
    const struct svm_input *input = &a->job->tx.inputs[i];
    if (a->job->path == SVM_PATH_FAST && input->kind == SVM_KIND_OWNED && !input->exact &&
        mvcc_state_claimed(state)) {
        a->job->fallback_object = input->id;
        return ATTEMPT_FALLBACK;
    }
    return ATTEMPT_AGAIN;
}

/* Claims the writable inputs in id order and notes the words of the others. */
static enum attempt_result claim_inputs(struct attempt *a)
{
    struct engine_job *job = a->job;
    bool skip = a->worker->engine->hooks.bug == ENGINE_BUG_SKIP_CLAIM;
    for (uint16_t i = 0; i < job->tx.input_count; i++) {
        struct mvcc_head *head = job->heads[i];
        if (job->tx.inputs[i].writable) {
            if (!mvcc_try_claim(head, &a->states[i]) && !skip)
                return in_the_way(a, i, a->states[i]);
            a->claimed = (uint16_t)(i + 1);
            a->objects[i] = object_of(mvcc_newest(head));
        } else {
            a->claimed = (uint16_t)(i + 1);
            a->states[i] = mvcc_state(head);
            a->objects[i] = object_of(mvcc_newest(head));
            if (mvcc_state_claimed(a->states[i]) || mvcc_state_maintained(a->states[i]) ||
                mvcc_state(head) != a->states[i])
                return ATTEMPT_AGAIN;
        }
    }
    return ATTEMPT_EXECUTED;
}

/* Everything that may refuse the transaction for what its inputs are now. */
static enum attempt_result check_inputs(struct attempt *a, uint64_t node_ms,
                                        struct svm_refusal *refusal)
{
    const struct svm_tx *tx = &a->job->tx;
    for (uint16_t i = 0; i < tx->input_count; i++) {
        refusal_clear(refusal);
        enum svm_err err = exec_check_input(tx, i, a->objects[i], refusal);
        if (err == SVM_OK)
            continue;
        if (err == SVM_E_VERSION_CONFLICT && tx->inputs[i].version > a->objects[i]->version) {
            refusal_because(
                refusal, SVM_E_BUSY,
                "the version is ahead of what is known; its transaction may be on its way");
            refusal->has |= SVM_HAS_OBJECT | SVM_HAS_GIVEN | SVM_HAS_CURRENT;
            refusal->object = tx->inputs[i].id;
            refusal->given = tx->inputs[i].version;
            refusal->current = a->objects[i]->version;
            return ATTEMPT_AGAIN;
        }
        refusal->err = err;
        if (a->objects[i]) {
            refusal->has |= SVM_HAS_SEQ;
            refusal->seq = mvcc_newest(a->job->heads[i])->begin_seq;
        }
        return ATTEMPT_REFUSED;
    }
    if (tx->expires_ms && tx->expires_ms <= node_ms) {
        refusal_because(refusal, SVM_E_EXPIRED,
                        "the transaction expired before it could be executed");
        refusal->has |= SVM_HAS_TIME;
        refusal->expires_ms = tx->expires_ms;
        refusal->now_ms = node_ms;
        return ATTEMPT_REFUSED;
    }
    return ATTEMPT_EXECUTED;
}

static bool touch(struct attempt *a, const struct exec_write *w, const struct svm_address *owner,
                  bool gains)
{
    struct owner_touch *touch = &a->touches[a->touched];
    *touch = (struct owner_touch){
        .owner = owner,
        .id = &w->id,
        .from = w->input < 0 ? 0 : mvcc_newest(a->job->heads[w->input])->begin_seq + 1,
        .gains = gains};
    if (!owners_touch(a->worker->owner_log, touch))
        return false;
    a->touched++;
    return true;
}

/* The owner index learns of hands that change. */
static bool touch_owners(struct attempt *a)
{
    const struct exec_result *result = &a->worker->result;
    for (uint16_t i = 0; i < result->write_count; i++) {
        const struct exec_write *w = &result->writes[i];
        bool was = w->prior.kind == MODEL_PRIOR_OWNED;
        bool is = w->object->kind == SVM_KIND_OWNED && !w->object->deleted;
        if (was && is &&
            memcmp(w->prior.owner.b, w->object->party.b, sizeof w->object->party.b) == 0)
            continue;
        if ((was && !touch(a, w, &w->prior.owner, false)) ||
            (is && !touch(a, w, &w->object->party, true)))
            return false;
    }
    return true;
}

/* Heads for created objects: nobody can know their ids, yet they are claimed as all others. */
static bool make_heads(struct attempt *a)
{
    const struct exec_result *result = &a->worker->result;
    for (uint16_t i = 0; i < result->write_count; i++)
        if (result->writes[i].input < 0) {
            if (!mvcc_hold_new(a->worker->engine->objects, a->worker->mvcc, result->writes[i].id.b,
                               sizeof result->writes[i].id.b, &a->created[a->made]))
                return false;
            a->made++;
        }
    return true;
}

static void fill_effects(struct attempt *a, struct model_effects *effects, uint64_t node_ms)
{
    struct engine_job *job = a->job;
    const struct exec_result *result = &a->worker->result;
    for (uint16_t i = 0; i < result->write_count; i++)
        a->writes[i] = (struct model_write){.id = result->writes[i].id,
                                            .prior = result->writes[i].prior,
                                            .object = result->writes[i].object};
    job->executed_ns = engine_now_ns(job->engine);
    uint64_t latency_us = (job->executed_ns - job->admitted_ns) / 1000;
    *effects = (struct model_effects){.digest = job->digest,
                                      .sender = job->tx.sender,
                                      .node_ms = node_ms,
                                      .gas_used = result->gas_used,
                                      .failure = result->failure,
                                      .failed_op = result->failed_op,
                                      .path = job->path,
                                      .fallback = job->fallback,
                                      .latency_us = latency_us > UINT32_MAX ? UINT32_MAX
                                                                            : (uint32_t)latency_us,
                                      .transfers = result->transfers,
                                      .write_count = result->write_count,
                                      .writes = a->writes};
    if (job->fallback != SVM_FALLBACK_NONE)
        effects->fallback_object = job->fallback_object;
}

/* The frame is reserved for the longest position, so that nothing allocates after seq. */
static bool reserve_frame(struct engine_record *record, size_t size)
{
    if (record->frame_cap >= size)
        return true;
    size_t cap = size < 512 ? 512 : size;
    uint8_t *frame = realloc(record->frame, cap);
    if (!frame)
        return false;
    record->frame = frame;
    record->frame_cap = (uint32_t)cap;
    return true;
}

/* Everything that can fail is done here, before seq. */
static enum attempt_result prepare(struct attempt *a, struct model_effects *effects,
                                   uint64_t node_ms, struct svm_refusal *refusal)
{
    struct svm_engine *engine = a->worker->engine;
    const struct exec_alloc alloc = {version_alloc, version_free, a->worker->mvcc};
    if (exec_apply(&a->worker->result, &a->job->tx, &a->job->digest, a->objects, node_ms, &alloc) !=
        SVM_OK) {
        refusal_init(refusal, SVM_E_OVERLOADED);
        return ATTEMPT_REFUSED;
    }
    a->applied = true;
    fill_effects(a, effects, node_ms);
    size_t size = model_effects_size(effects);
    if (size > config_of(engine)->tx_effects_bytes_max) {
        refusal_because(refusal, SVM_E_LIMIT_EXCEEDED,
                        "the effects exceed tx.effects_bytes_max; split the transaction");
        refusal->has |= SVM_HAS_LIMIT;
        refusal->limit = config_of(engine)->tx_effects_bytes_max;
        refusal->got = size;
        return ATTEMPT_REFUSED;
    }
    void *memory = pool_take(a->worker->pool, model_receipt_need(effects));
    a->receipt = memory ? model_receipt_make(memory, effects) : NULL;
    if (!a->receipt || (!engine->memory && !reserve_frame(&a->job->record, size))) {
        refusal_init(refusal, SVM_E_OVERLOADED);
        return ATTEMPT_REFUSED;
    }
    /* Somebody who guessed the id of a new object may be looking, under a claim, whether it exists. That passes. */
    if (!make_heads(a))
        return ATTEMPT_AGAIN;
    if (!touch_owners(a)) {
        refusal_init(refusal, SVM_E_OVERLOADED);
        return ATTEMPT_REFUSED;
    }
    return ATTEMPT_EXECUTED;
}

static bool reads_unchanged(const struct attempt *a)
{
    if (a->worker->engine->hooks.bug == ENGINE_BUG_SKIP_VALIDATION)
        return true;
    for (uint16_t i = 0; i < a->job->tx.input_count; i++)
        if (!a->job->tx.inputs[i].writable &&
            !mvcc_unchanged(a->job->heads[i], a->states[i], false))
            return false;
    return true;
}

/* Point of no return: SEQ is taken and the reads hold. Nothing below allocates, blocks on a claim, or fails. */
static void publish(struct attempt *a, uint64_t seq)
{
    struct svm_engine *engine = a->worker->engine;
    struct engine_job *job = a->job;
    struct exec_result *result = &a->worker->result;

    /* The receipt first: whoever sees a new version can find what made it. */
    a->receipt->seq = seq;
    atomic_store_explicit(&job->entry->receipt, a->receipt, memory_order_release);
    for (uint16_t i = 0; i < a->touched; i++)
        owners_settle(a->worker->owner_log, &a->touches[i], seq);

    bool written[SVM_TX_INPUTS_MAX] = {false};
    uint16_t made = 0;
    for (uint16_t i = 0; i < result->write_count; i++) {
        struct exec_write *w = &result->writes[i];
        struct mvcc_version *version = version_of(w->object);
        version->version = w->object->version;
        version->tombstone = w->object->deleted;
        struct mvcc_head *head = w->input < 0 ? a->created[made++] : job->heads[w->input];
        if (w->input >= 0)
            written[w->input] = true;
        mvcc_publish(engine->objects, a->worker->mvcc, head, version, seq);
        if (w->input < 0)
            mvcc_unhold(head);
    }
    for (uint16_t i = 0; i < job->tx.input_count; i++)
        if (job->tx.inputs[i].writable && !written[i])
            mvcc_release(job->heads[i], a->states[i]);
}

/* Live objects by kind: what a write was before, and what it is now. */
static void count_objects(struct engine_counters *counters, const struct exec_result *result)
{
    for (uint16_t i = 0; i < result->write_count; i++) {
        const struct exec_write *w = &result->writes[i];
        if (w->prior.kind != MODEL_PRIOR_NONE)
            atomic_fetch_sub_explicit(&counters->objects[w->prior.kind - MODEL_PRIOR_OWNED], 1,
                                      memory_order_relaxed);
        if (!w->object->deleted)
            atomic_fetch_add_explicit(&counters->objects[w->object->kind], 1, memory_order_relaxed);
    }
}

static void hand_over(struct attempt *a, struct model_effects *effects, uint64_t seq)
{
    struct engine_worker *worker = a->worker;
    struct svm_engine *engine = worker->engine;
    struct engine_job *job = a->job;
    job->record.kind = RECORD_JOB;
    job->record.seq = seq;
    job->record.node_ms = effects->node_ms;
    job->record.frame_len = 0;
    if (!engine->memory) {
        effects->seq = seq;
        const uint8_t *end = model_effects_encode(job->record.frame, effects);
        job->record.frame_len = (uint32_t)(end - job->record.frame);
        SVM_ASSERT(job->record.frame_len <= job->record.frame_cap);
    }
    count_objects(&worker->counters, &worker->result);
    stats_executed(&worker->counters, job, a->receipt);
    count_add(&worker->counters.transfers, effects->transfers);
    if (job->state == JOB_ORDERED)
        worker->finished[worker->finished_count++] = job->order_slot;
    job_unhold(job);
    mvcc_seq_hand_over(engine->mvcc, seq,
                       &job->record); /* from here on the job is the committer's */
}

static struct engine_record void_record = {.kind = RECORD_VOID};

enum attempt_result execute_attempt(struct engine_worker *worker, struct engine_job *job,
                                    struct svm_refusal *refusal)
{
    struct svm_engine *engine = worker->engine;
    struct attempt a;
    a.worker = worker;
    a.job = job;
    a.claimed = a.made = a.touched = 0;
    a.applied = false;
    a.receipt = NULL;
    struct model_effects effects;

    if (job->void_seq > atomic_load_explicit(&engine->committed, memory_order_acquire))
        return ATTEMPT_AGAIN;
    enum attempt_result result = claim_inputs(&a);
    /* Not the step's: whom another worker told EXPIRED by its clock must not be executed by an older one. */
    uint64_t node_ms = atomic_load_explicit(&engine->node_ms, memory_order_acquire);
    if (result == ATTEMPT_EXECUTED)
        result = check_inputs(&a, node_ms, refusal);
    if (result == ATTEMPT_EXECUTED && engine->hooks.claimed)
        engine->hooks.claimed(engine->hooks.arg, &job->digest, job->path);
    if (result == ATTEMPT_EXECUTED)
        result = prepare(&a, &effects, node_ms, refusal);
    if (result == ATTEMPT_EXECUTED && !reads_unchanged(&a))
        result = ATTEMPT_AGAIN;
    if (result != ATTEMPT_EXECUTED) {
        attempt_undo(&a);
        return result;
    }

    uint64_t seq = mvcc_seq_next(engine->mvcc);
    if (!reads_unchanged(&a)) {
        attempt_undo(&a);
        job->void_seq = seq;
        count_add(&worker->counters.conflicts, 1);
        mvcc_seq_hand_over(engine->mvcc, seq, &void_record);
        return ATTEMPT_AGAIN;
    }
    publish(&a, seq);
    hand_over(&a, &effects, seq);
    return ATTEMPT_EXECUTED;
}
