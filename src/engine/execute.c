#include "engine/internal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Executing transactions, on either path. The two differ in what stands before it (the fast path: nothing; the consensus path: the
 * scheduler has let everybody pass who comes first) and in what meeting a claim means. */

enum { SMALL_WRITES = ENGINE_JOB_INPUTS + ENGINE_JOB_OPS };

static struct mvcc_version *version_of(const struct model_object *object)
{
    return (struct mvcc_version *)((uintptr_t)object - offsetof(struct mvcc_version, payload));
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
    uint64_t number;
    uint64_t seq;
};

static void *loading_alloc(void *arg, size_t size)
{
    struct loading *loading = arg;
    loading->version = mvcc_version_create(loading->thread, (uint32_t)size);
    return loading->version ? loading->version->payload : NULL;
}

static void *loading_alloc_cell(void *arg, size_t size)
{
    struct loading *loading = arg;
    loading->version = cell_version_create(loading->thread, size);
    return loading->version ? loading->version->payload + CELL_NUMBER_BYTES : NULL;
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
        loading->seq = seq;
        loading->number = object->version;
        loading->version->tombstone = object->deleted;
    }
    return err;
}

static enum svm_err load_cell(struct svm_engine *engine, struct mvcc_head *head,
                              struct loading *loading)
{
    uint64_t seq;
    bool deleted;
    size_t len;
    enum svm_err err =
        store_cell_get(engine->store, (struct svm_bytes){head->key, head->key_len}, &seq,
                       &loading->number, &deleted, loading_alloc_cell, loading, &len);
    if (err == SVM_OK && !loading->version) /* an empty value is none that the store misses */
        err = SVM_E_NO_MEMORY;
    if (err == SVM_OK && loading->number >= MVCC_SEQ_MAX)
        err = SVM_E_CORRUPT;
    if (err == SVM_OK) {
        cell_version_number_set(loading->version, loading->number);
        loading->seq = seq;
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
    if (err == SVM_OK && (loading.seq > MVCC_SEQ_MAX || loading.number >= MVCC_SEQ_MAX))
        err = SVM_E_CORRUPT; /* nothing that a node has written, and the next must fit */
    if (err == SVM_OK)
        mvcc_version_begin_set(loading.version, loading.seq);
    if (err == SVM_OK || err == SVM_E_NOT_FOUND) {
        mvcc_load_finish(table, thread, head, err == SVM_OK ? loading.version : NULL,
                         loading.number);
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
        if (job->held_count < ENGINE_JOB_INPUTS &&
            (head = mvcc_hold_resident(engine->objects, job->hashes[job->held_count], id->b,
                                       sizeof id->b)) != NULL) {
            job->heads[job->held_count++] = head;
            continue;
        }
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

/* ---- attempts -------------------------------------------------------------------------------------------------- */

/* One transaction of the open group, and what it holds; everything is undone by attempt_undo, at any point before seq. The arrays are as
 * long as the transaction may be. */
struct attempt {
    struct engine_job *job;
    uint16_t claimed;   /* writable inputs before this index are claimed */
    uint16_t made;      /* heads of created objects, claimed */
    uint16_t touched;   /* hands that change */
    bool applied;       /* `result` holds versions */
    bool large;         /* the arrays are those of the large place */
    bool plain;         /* small, and everything it reads is claimed: it is never void */
    uint8_t taken_over; /* inputs, by bit: the claim was that of an earlier attempt */
    uint8_t passed_on;  /* inputs: a later attempt has the claim */
    uint8_t giver[ENGINE_JOB_INPUTS]; /* by input taken over: that attempt */
    uint64_t node_ms;
    struct exec_result result;
    uint64_t *states;                    /* by input: the word before the claim, or as read */
    const struct model_object **objects; /* by input */
    struct mvcc_head **created;          /* by created object, in order of ids */
    struct owner_touch *touches;
};

/* Room for a transaction that fits into a job, and for one of any legal size. */
struct small_place {
    uint64_t states[ENGINE_JOB_INPUTS];
    const struct model_object *objects[ENGINE_JOB_INPUTS];
    struct mvcc_head *created[ENGINE_JOB_OPS];
    struct owner_touch touches[2 * SMALL_WRITES];
    struct model_write writes[SMALL_WRITES];
};
struct large_place {
    uint64_t states[SVM_TX_INPUTS_MAX];
    const struct model_object *objects[SVM_TX_INPUTS_MAX];
    struct mvcc_head *created[SVM_TX_OPS_MAX];
    struct owner_touch touches[2 * MODEL_WRITES_MAX];
    struct model_write writes[MODEL_WRITES_MAX];
};

/*~ A group: transactions of one worker that are claimed, checked and applied one after the other, take their positions with one step, and
 * are then published one after the other. Claims are held for the length of a group, so it is short. See claim.c: each of them has its
 * claims before the positions are taken and validates afterwards, which is all that the proof asks for.
 *
 * Among themselves they touch different objects, for whoever meets a claim ends the group before it; but for a shared object that an
 * earlier one of the group has written. Of that the later one takes over the claim, and works on the version that is not
 * published yet. To everybody else the object is claimed from the first to the last of them, and changes once; their positions
 * stand in a row and are finished by one mark, so that no snapshot lies between them, and the versions in between, which nobody can have
 * seen, end with the group. Neither of the two may become void: all their inputs are claimed. */
struct execute_group {
    uint32_t count;
    bool large_taken;
    uint64_t now_ns; /* when it was opened */
    struct attempt attempts[ENGINE_GROUP];
    struct small_place small[ENGINE_GROUP];
    struct large_place large;
};

struct execute_group *execute_group_create(void)
{
    return calloc(1, sizeof(struct execute_group));
}

void execute_group_destroy(struct execute_group *group)
{
    free(group);
}

/* The next place of GROUP for JOB; NULL = it does not fit beside another large one. */
static struct attempt *attempt_open(struct execute_group *group, struct engine_job *job)
{
    struct attempt *a = &group->attempts[group->count];
    *a = (struct attempt){.job = job};
    if (job->tx.input_count <= ENGINE_JOB_INPUTS && job->tx.op_count <= ENGINE_JOB_OPS) {
        struct small_place *place = &group->small[group->count];
        a->states = place->states;
        a->objects = place->objects;
        a->created = place->created;
        a->touches = place->touches;
        a->result.writes = place->writes;
        a->plain = true;
        for (uint16_t i = 0; i < job->tx.input_count; i++)
            a->plain &= job->tx.inputs[i].writable;
        return a;
    }
    if (group->large_taken)
        return NULL;
    a->large = group->large_taken = true;
    a->states = group->large.states;
    a->objects = group->large.objects;
    a->created = group->large.created;
    a->touches = group->large.touches;
    a->result.writes = group->large.writes;
    return a;
}

static bool has_bit(uint8_t inputs, uint16_t i)
{
    return i < ENGINE_JOB_INPUTS && (inputs >> i & 1) != 0;
}

/* What A has made of its input I; NULL = nothing. */
static struct model_write *write_of(const struct attempt *a, uint16_t i)
{
    for (uint16_t w = 0; w < a->result.write_count; w++)
        if (a->result.writes[w].input == (int)i)
            return &a->result.writes[w];
    return NULL;
}

/* The input of A that is HEAD and whose claim A has, or -1. */
static int claim_of(const struct attempt *a, const struct mvcc_head *head)
{
    for (uint16_t i = 0; i < a->claimed; i++)
        if (a->job->heads[i] == head && !has_bit(a->passed_on, i))
            return i;
    return -1;
}

/* Input I of A is claimed: by an earlier attempt of GROUP, which has written it and can pass the claim on? */
static bool take_over_claim(struct execute_group *group, struct attempt *a, uint16_t i)
{
    if (!a->plain || a->job->tx.inputs[i].kind != SVM_KIND_SHARED)
        return false;
    for (uint32_t g = group->count; g-- > 0;) {
        struct attempt *giver = &group->attempts[g];
        const int k = giver->plain ? claim_of(giver, a->job->heads[i]) : -1;
        if (k < 0)
            continue;
        const struct model_write *w = write_of(giver, (uint16_t)k);
        if (!w || w->object->kind != SVM_KIND_SHARED || w->object->deleted ||
            w->prior.kind != MODEL_PRIOR_SHARED)
            return false;
        giver->passed_on |= (uint8_t)(1u << k);
        a->taken_over |= (uint8_t)(1u << i);
        a->giver[i] = (uint8_t)g;
        a->objects[i] = w->object;
        return true;
    }
    return false;
}

static void give_back_claim(struct execute_group *group, struct attempt *a, uint16_t i)
{
    struct attempt *giver = &group->attempts[a->giver[i]];
    for (uint16_t k = 0; k < giver->claimed; k++)
        if (giver->job->heads[k] == a->job->heads[i])
            giver->passed_on &= (uint8_t) ~(1u << k);
}

/* Has A written all that it has taken over? Else what its giver has made would have no one who publishes it. */
static bool replaces_taken_over(const struct attempt *a)
{
    for (uint16_t i = 0; i < ENGINE_JOB_INPUTS; i++)
        if (has_bit(a->taken_over, i) && !write_of(a, i))
            return false;
    return true;
}

static void attempt_undo(struct engine_worker *worker, struct attempt *a)
{
    struct engine_job *job = a->job;
    struct exec_result *result = &a->result;
    for (uint16_t i = 0; i < a->touched; i++)
        owners_undo(worker->owner_log, &a->touches[i]);
    for (uint16_t i = 0; i < a->made; i++) {
        mvcc_release(a->created[i], MVCC_ABSENT);
        mvcc_unhold(a->created[i]);
    }
    for (uint16_t i = 0; a->applied && i < result->write_count; i++)
        mvcc_version_destroy(worker->mvcc, version_of(result->writes[i].object));
    for (uint16_t i = 0; i < a->claimed; i++)
        if (has_bit(a->taken_over, i))
            give_back_claim(worker->group, a, i);
        else if (job->tx.inputs[i].writable)
            mvcc_release(job->heads[i], a->states[i]);
    receipts_let_go(job->entry);
    if (a->large)
        worker->group->large_taken = false;
}

/* What stands in the way of input I: STATE is not an unclaimed, resident word. */
static enum attempt_result in_the_way(struct attempt *a, uint16_t i, uint64_t state)
{
    const struct svm_input *input = &a->job->tx.inputs[i];
    if (a->job->path == SVM_PATH_FAST && input->kind == SVM_KIND_OWNED && !input->exact &&
        mvcc_state_claimed(state) && !FAULT_BUG("no-fallback")) {
        a->job->fallback_object = input->id;
        return ATTEMPT_FALLBACK;
    }
    return ATTEMPT_AGAIN;
}

/* Claims the writable inputs in id order and notes the words of the others. */
static enum attempt_result claim_inputs(struct execute_group *group, struct attempt *a)
{
    struct engine_job *job = a->job;
    for (uint16_t i = 0; i < job->tx.input_count; i++) {
        struct mvcc_head *head = job->heads[i];
        if (job->tx.inputs[i].writable) {
            bool claimed = mvcc_try_claim(head, &a->states[i]);
            if (!claimed && !take_over_claim(group, a, i) && !FAULT_BUG("skip-claim"))
                return in_the_way(a, i, a->states[i]);
            a->claimed = (uint16_t)(i + 1);
            if (!has_bit(a->taken_over, i))
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

static bool touch(struct engine_worker *worker, struct attempt *a, const struct model_write *w,
                  const struct svm_address *owner, bool gains)
{
    struct owner_touch *touch = &a->touches[a->touched];
    *touch = (struct owner_touch){
        .owner = owner,
        .id = &w->id,
        .from = w->input < 0 ? 0 : mvcc_newest(a->job->heads[w->input])->begin_seq + 1,
        .gains = gains};
    if (!owners_touch(worker->owner_log, touch))
        return false;
    a->touched++;
    return true;
}

/* The owner index learns of hands that change. */
static bool touch_owners(struct engine_worker *worker, struct attempt *a)
{
    const struct exec_result *result = &a->result;
    for (uint16_t i = 0; i < result->write_count; i++) {
        const struct model_write *w = &result->writes[i];
        bool was = w->prior.kind == MODEL_PRIOR_OWNED;
        bool is = w->object->kind == SVM_KIND_OWNED && !w->object->deleted;
        if (was && is &&
            memcmp(w->prior.owner.b, w->object->party.b, sizeof w->object->party.b) == 0)
            continue;
        if ((was && !touch(worker, a, w, &w->prior.owner, false)) ||
            (is && !touch(worker, a, w, &w->object->party, true)))
            return false;
    }
    return true;
}

/* Heads for created objects: nobody can know their ids, yet they are claimed as all others. */
static bool make_heads(struct engine_worker *worker, struct attempt *a)
{
    const struct exec_result *result = &a->result;
    for (uint16_t i = 0; i < result->write_count; i++)
        if (result->writes[i].input < 0) {
            if (!mvcc_hold_new(worker->engine->objects, worker->mvcc, result->writes[i].id.b,
                               sizeof result->writes[i].id.b, &a->created[a->made]))
                return false;
            a->made++;
        }
    return true;
}

static void fill_effects(const struct attempt *a, struct model_effects *effects, uint64_t seq,
                         uint64_t node_ms)
{
    const struct engine_job *job = a->job;
    const struct exec_result *result = &a->result;
    uint64_t latency_us = (job->opened_ns - job->admitted_ns) / 1000;
    *effects = (struct model_effects){.digest = job->digest,
                                      .sender = job->tx.sender,
                                      .seq = seq,
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
                                      .writes = result->writes};
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

/* Does A leave less in memory than it finds? A tombstone stays, but nobody owns it; what changes hands may make a new owner known. */
static bool frees(const struct attempt *a)
{
    const struct exec_result *result = &a->result;
    uint64_t found = 0, left = (uint64_t)result->transfers * ROOM_ENTRY_BYTES;
    for (uint16_t i = 0; i < result->write_count; i++) {
        const struct model_write *w = &result->writes[i];
        left += model_object_size(w->object->type_len, w->object->data_len);
        if (w->input < 0) {
            left += ROOM_ENTRY_BYTES;
            continue;
        }
        const struct model_object *was = a->objects[w->input];
        found += model_object_size(was->type_len, was->data_len) + w->object->deleted;
    }
    return left < found;
}

/* Everything that can fail is done here, before seq. */
static enum attempt_result prepare(struct engine_worker *worker, struct attempt *a,
                                   uint64_t node_ms, struct svm_refusal *refusal)
{
    struct svm_engine *engine = worker->engine;
    const struct exec_alloc alloc = {version_alloc, version_free, worker->mvcc};
    struct model_effects effects;
    if (exec_apply(&a->result, &a->job->tx, &a->job->digest, a->objects, node_ms, &alloc) !=
        SVM_OK) {
        refusal_init(refusal, SVM_E_OVERLOADED);
        return ATTEMPT_REFUSED;
    }
    a->applied = true;
    if (a->job->must_free && !frees(a)) {
        room_refuse(refusal, ROOM_TO_FREE);
        return ATTEMPT_REFUSED;
    }
    a->job->opened_ns = worker->group->now_ns;
    fill_effects(a, &effects, 0, node_ms);
    size_t size = model_effects_size(&effects);
    if (size > config_of(engine)->tx_effects_bytes_max) {
        refusal_because(refusal, SVM_E_LIMIT_EXCEEDED,
                        "the effects exceed tx.effects_bytes_max; split the transaction");
        refusal->has |= SVM_HAS_LIMIT;
        refusal->limit = config_of(engine)->tx_effects_bytes_max;
        refusal->got = size;
        return ATTEMPT_REFUSED;
    }
    a->node_ms = node_ms;
    if (!receipts_keep(a->job->entry, worker->pool, &effects) ||
        (!engine->memory && !reserve_frame(&a->job->record, size))) {
        refusal_init(refusal, SVM_E_OVERLOADED);
        return ATTEMPT_REFUSED;
    }
    /* Somebody who guessed the id of a new object may be looking, under a claim, whether it exists. That passes. */
    if (!make_heads(worker, a))
        return ATTEMPT_AGAIN;
    if (!touch_owners(worker, a)) {
        refusal_init(refusal, SVM_E_OVERLOADED);
        return ATTEMPT_REFUSED;
    }
    return ATTEMPT_EXECUTED;
}

static bool reads_unchanged(const struct attempt *a)
{
    if (FAULT_BUG("skip-validation"))
        return true;
    for (uint16_t i = 0; i < a->job->tx.input_count; i++)
        if (!a->job->tx.inputs[i].writable &&
            !mvcc_unchanged(a->job->heads[i], a->states[i], false))
            return false;
    return true;
}

static enum attempt_result attempt_run(struct engine_worker *worker, struct attempt *a,
                                       struct svm_refusal *refusal)
{
    struct svm_engine *engine = worker->engine;
    enum attempt_result result = claim_inputs(worker->group, a);
    /* Not the step's: whom another worker told EXPIRED by its clock must not be executed by an older one. */
    uint64_t node_ms = atomic_load_explicit(&engine->node_ms, memory_order_acquire);
    if (result == ATTEMPT_EXECUTED)
        result = check_inputs(a, node_ms, refusal);
    if (result == ATTEMPT_EXECUTED && engine->hooks.claimed)
        engine->hooks.claimed(engine->hooks.arg, &a->job->digest, a->job->path);
    if (result == ATTEMPT_EXECUTED)
        result = prepare(worker, a, node_ms, refusal);
    if (result == ATTEMPT_EXECUTED && !reads_unchanged(a))
        result = ATTEMPT_AGAIN;
    if (result == ATTEMPT_EXECUTED && !replaces_taken_over(a))
        result = ATTEMPT_AGAIN;
    /* A refusal must rest on what is published: the group ends, and it is tried once more. */
    return result == ATTEMPT_REFUSED && a->taken_over != 0 ? ATTEMPT_AGAIN : result;
}

enum attempt_result execute_join(struct engine_worker *worker, struct engine_job *job,
                                 struct svm_refusal *refusal)
{
    struct execute_group *group = worker->group;
    SVM_ASSERT(group->count < ENGINE_GROUP);
    if (job->void_seq != 0 && job->void_seq > engine_committed(worker->engine))
        return ATTEMPT_AGAIN;
    struct attempt *a = attempt_open(group, job);
    if (!a)
        return ATTEMPT_AGAIN;
    if (group->count == 0)
        group->now_ns = engine_now_ns(worker->engine);
    enum attempt_result result = attempt_run(worker, a, refusal);
    if (result == ATTEMPT_EXECUTED)
        group->count++;
    else
        attempt_undo(worker, a);
    return result;
}

/* ---- publication ----------------------------------------------------------------------------------------------- */

/* Point of no return: SEQ is taken and the reads hold. Nothing below allocates, blocks on a claim, or fails. */
static void publish(struct engine_worker *worker, struct attempt *a, uint64_t seq)
{
    struct svm_engine *engine = worker->engine;
    struct engine_job *job = a->job;
    struct exec_result *result = &a->result;

    /* The receipt first: whoever sees a new version can find what made it. */
    receipts_publish(job->entry, seq);
    for (uint16_t i = 0; i < a->touched; i++)
        owners_settle(worker->owner_log, &a->touches[i], seq);

    uint16_t made = 0, written = 0;
    for (uint16_t i = 0; i < result->write_count; i++) {
        const struct model_write *w = &result->writes[i];
        struct mvcc_version *version = version_of(w->object);
        mvcc_version_number_set(version, w->object->version);
        version->tombstone = w->object->deleted;
        if (w->input < 0) {
            struct mvcc_head *head = a->created[made++];
            mvcc_publish(engine->objects, worker->mvcc, head, version, seq);
            mvcc_unhold(head);
            continue;
        }
        /* Inputs and writes are both in order of ids: what lies between two writes was claimed and left alone. */
        for (; written < w->input; written++)
            if (job->tx.inputs[written].writable)
                mvcc_release(job->heads[written], a->states[written]);
        if (!has_bit(a->passed_on, written))
            mvcc_publish(engine->objects, worker->mvcc, job->heads[written], version, seq);
        written++;
    }
    for (; written < job->tx.input_count; written++)
        if (job->tx.inputs[written].writable)
            mvcc_release(job->heads[written], a->states[written]);
}

/* Live objects by kind: what a write was before, and what it is now. */
static void count_objects(struct engine_counters *counters, const struct exec_result *result)
{
    for (uint16_t i = 0; i < result->write_count; i++) {
        const struct model_write *w = &result->writes[i];
        int was = w->prior.kind != MODEL_PRIOR_NONE ? (int)(w->prior.kind - MODEL_PRIOR_OWNED) : -1;
        int is = w->object->deleted ? -1 : (int)w->object->kind;
        if (was == is)
            continue;
        if (was >= 0)
            atomic_fetch_sub_explicit(&counters->objects[was], 1, memory_order_relaxed);
        if (is >= 0)
            atomic_fetch_add_explicit(&counters->objects[is], 1, memory_order_relaxed);
    }
}

/* The record of a published attempt; after the hand-over the job is the committer's, or in memory mode on this worker's list of done ones. */
static void record_fill(struct engine_worker *worker, struct attempt *a, uint64_t seq)
{
    struct engine_job *job = a->job;
    struct engine_record *record = &job->record;
    record->kind = RECORD_JOB;
    record->seq = seq;
    record->node_ms = a->node_ms;
    record->frame_len = 0;
    if (!worker->engine->memory) {
        struct model_effects effects;
        fill_effects(a, &effects, seq, record->node_ms);
        record->frame_len =
            (uint32_t)(model_effects_encode(record->frame, &effects) - record->frame);
        SVM_ASSERT(record->frame_len <= record->frame_cap);
    }
    count_objects(&worker->counters, &a->result);
    count_own(&worker->counters.transfers, a->result.transfers);
    worker_order_done(worker, job);
}

/* Holds of one head that a group gives back together: its line is another worker's too. */
struct held {
    struct mvcc_head *head;
    uint32_t count;
};

static void unhold_later(struct held *held, struct engine_job *job)
{
    if (job->held_count != 1 || (held->count > 0 && held->head != job->heads[0])) {
        job_unhold(job);
        return;
    }
    held->head = job->heads[0];
    held->count++;
    job->held_count = 0;
}

/* What of A's nobody has seen nor will. */
static void drop_passed_on(struct engine_worker *worker, struct attempt *a)
{
    for (uint16_t i = 0; a->passed_on != 0 && i < ENGINE_JOB_INPUTS; i++)
        if (has_bit(a->passed_on, i))
            mvcc_version_destroy(worker->mvcc, version_of(write_of(a, i)->object));
}

static struct engine_record void_record = {.kind = RECORD_VOID};

/* The group is published, but for those of it that are void: what took how long. */
static void stamp(struct engine_worker *worker, void *const *records)
{
    const struct execute_group *group = worker->group;
    const uint64_t now_ns = engine_now_ns(worker->engine);
    for (uint32_t i = 0; i < group->count; i++) {
        struct engine_job *job = group->attempts[i].job;
        if (records[i] == &void_record)
            continue;
        job->executed_ns = now_ns;
        stats_executed(&worker->counters, job, group->attempts[i].result.failure);
    }
}

size_t execute_commit(struct engine_worker *worker, struct engine_job *again_out[ENGINE_GROUP])
{
    struct execute_group *group = worker->group;
    struct svm_engine *engine = worker->engine;
    void *records[ENGINE_GROUP];
    struct held held = {NULL, 0};
    size_t again = 0;
    if (group->count == 0)
        return 0;
    uint64_t first = mvcc_seq_next_many(engine->mvcc, group->count);
    for (uint32_t i = 0; i < group->count; i++) {
        struct attempt *a = &group->attempts[i];
        if (!reads_unchanged(a)) {
            attempt_undo(worker, a);
            a->job->void_seq = first + i;
            count_own(&worker->counters.conflicts, 1);
            records[i] = &void_record;
            again_out[again++] = a->job;
            continue;
        }
        publish(worker, a, first + i);
        record_fill(worker, a, first + i);
        drop_passed_on(worker, a);
        unhold_later(&held, a->job);
        records[i] = &a->job->record;
        if (engine->memory)
            job_list_push(&worker->done, a->job); /* nobody else takes it */
    }
    if (held.count > 0)
        mvcc_unhold_many(held.head, held.count);
    stamp(worker, records);
    mvcc_seq_hand_over_many(engine->mvcc, first, records, group->count);
    group->count = 0;
    group->large_taken = false;
    return again;
}
