#include "engine/internal.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

struct svm_snapshot {
    struct svm_engine *engine;
    struct mvcc_pin pin;
};

struct mvcc_thread *reader_take(struct svm_engine *engine)
{
    uint32_t index;
    while (!stack_try_pop(&engine->readers, &index))
        sched_yield(); /* ENGINE_READERS queries at once; each is short */
    mvcc_online(engine->reader_threads[index]);
    return engine->reader_threads[index];
}

void reader_give(struct svm_engine *engine, struct mvcc_thread *thread)
{
    mvcc_offline(thread);
    uint32_t index = 0;
    while (engine->reader_threads[index] != thread)
        index++;
    stack_push(&engine->readers, index);
}

enum svm_err svm_snapshot_open(struct svm_engine *engine, struct svm_snapshot **snapshot_out)
{
    struct svm_snapshot *snapshot = malloc(sizeof *snapshot);
    if (!snapshot)
        return SVM_E_OVERLOADED;
    snapshot->engine = engine;
    if (!mvcc_pin(engine->mvcc, engine_node_ms(engine), &snapshot->pin)) {
        free(snapshot);
        return SVM_E_OVERLOADED;
    }
    *snapshot_out = snapshot;
    return SVM_OK;
}

void svm_snapshot_close(struct svm_snapshot *snapshot)
{
    if (!snapshot)
        return;
    if (mvcc_pin_cancelled(snapshot->engine->mvcc, &snapshot->pin))
        count_add(&snapshot->engine->counters.snapshots_cancelled, 1);
    mvcc_unpin(snapshot->engine->mvcc, &snapshot->pin);
    free(snapshot);
}

uint64_t svm_snapshot_seq(const struct svm_snapshot *snapshot)
{
    return snapshot->pin.seq;
}

/* The head of KEY, resident and held; waits out another one's load (a disk read). NULL: it cannot exist (memory mode). */
static enum svm_err hold(struct svm_engine *engine, struct mvcc_thread *thread,
                         const struct svm_id *id, struct mvcc_head **head_out)
{
    if (engine->memory && !mvcc_find(engine->objects, id->b, sizeof id->b))
        return SVM_E_NOT_FOUND;
    for (;;) {
        enum svm_err err = SVM_OK;
        switch (mvcc_hold(engine->objects, thread, id->b, sizeof id->b, head_out)) {
        case MVCC_HELD:
            return SVM_OK;
        case MVCC_HELD_LOAD:
            err = engine_load(engine, engine->objects, thread, *head_out);
            return err == SVM_OK ? SVM_OK : SVM_E_IO;
        case MVCC_HELD_LOADING:
            while (mvcc_state_status(mvcc_state(*head_out)) == MVCC_LOADING)
                sched_yield();
            if (mvcc_state_status(mvcc_state(*head_out)) != MVCC_DEAD)
                return SVM_OK;
            mvcc_unhold(*head_out);
            break;
        case MVCC_HOLD_NO_MEMORY:
            return SVM_E_OVERLOADED;
        }
    }
}

enum svm_err query_object(struct svm_engine *engine, struct mvcc_thread *thread,
                          const struct svm_id *id, uint64_t seq, struct svm_object **object_out,
                          bool copy_deleted)
{
    struct mvcc_head *head;
    *object_out = NULL;
    enum svm_err err = hold(engine, thread, id, &head);
    if (err != SVM_OK)
        return err;
    const struct mvcc_version *version = mvcc_read_at(head, seq);
    if (!version) {
        err = SVM_E_NOT_FOUND;
    } else {
        err = version->tombstone ? SVM_E_OBJECT_DELETED : SVM_OK;
        if (err == SVM_OK || copy_deleted) {
            *object_out = model_object_give(id, (const void *)version->payload, version->begin_seq);
            if (!*object_out)
                err = SVM_E_NO_MEMORY;
        }
    }
    mvcc_unhold(head);
    mvcc_quiesce(thread);
    return err;
}

bool snapshot_cancelled(const struct svm_snapshot *snapshot)
{
    return mvcc_pin_cancelled(snapshot->engine->mvcc, &snapshot->pin);
}

static enum svm_err still_good(const struct svm_snapshot *snapshot, enum svm_err err)
{
    return snapshot_cancelled(snapshot) ? SVM_E_SNAPSHOT_TOO_OLD : err;
}

enum svm_err svm_object_get(struct svm_snapshot *snapshot, const struct svm_id *id,
                            struct svm_object **object_out)
{
    struct mvcc_thread *thread = reader_take(snapshot->engine);
    enum svm_err err =
        query_object(snapshot->engine, thread, id, snapshot->pin.seq, object_out, false);
    reader_give(snapshot->engine, thread);
    enum svm_err good = still_good(snapshot, err);
    if (good != err) {
        svm_object_free(*object_out);
        *object_out = NULL;
    }
    return good;
}

/* The kind of ID at SEQ and, of an owned one, whether SENDER owns it. What is resident is looked at without a hold: the
 * thread is online, and the snapshot's pin keeps the version. */
static enum svm_err look(struct svm_engine *engine, struct mvcc_thread *thread,
                         const struct svm_id *id, uint64_t seq, const struct svm_address *sender,
                         enum svm_kind *kind_out)
{
    struct mvcc_head *head = mvcc_find(engine->objects, id->b, sizeof id->b);
    const struct mvcc_version *version = head ? mvcc_read_at(head, seq) : NULL;
    const bool held = !version && !engine->memory;
    if (held) {
        const enum svm_err err = hold(engine, thread, id, &head);
        if (err != SVM_OK)
            return err == SVM_E_NOT_FOUND ? SVM_E_OBJECT_NOT_FOUND : err;
        version = mvcc_read_at(head, seq);
    }
    enum svm_err err = SVM_OK;
    if (!version) {
        err = SVM_E_OBJECT_NOT_FOUND;
    } else if (version->tombstone) {
        err = SVM_E_OBJECT_DELETED;
    } else {
        const struct model_object *object = (const void *)version->payload;
        *kind_out = (enum svm_kind)object->kind;
        if (*kind_out == SVM_KIND_OWNED &&
            memcmp(&object->party, sender, sizeof object->party) != 0)
            err = SVM_E_NOT_OWNER;
    }
    if (held)
        mvcc_unhold(head);
    return err;
}

enum svm_err svm_route_objects(struct svm_snapshot *snapshot, const struct svm_address *sender,
                               const struct svm_id *const *ids, size_t count,
                               enum svm_path *path_out)
{
    struct mvcc_thread *thread = reader_take(snapshot->engine);
    enum svm_path path = SVM_PATH_FAST;
    enum svm_err err = SVM_OK;
    for (size_t i = 0; i < count && err == SVM_OK; i++) {
        enum svm_kind kind = SVM_KIND_OWNED;
        err = look(snapshot->engine, thread, ids[i], snapshot->pin.seq, sender, &kind);
        if (kind == SVM_KIND_SHARED)
            path = SVM_PATH_CONSENSUS;
    }
    reader_give(snapshot->engine, thread);
    err = still_good(snapshot, err);
    if (err == SVM_OK)
        *path_out = path;
    return err;
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

enum { CANDIDATES = 256 };

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct svm_id));
}

/* Takes COUNT ascending ids along; a source that gave all it may reaches no further than its last one. */
static void take_along(struct svm_id *out, size_t *count_out, const struct svm_id *ids,
                       size_t count, struct svm_id *reach)
{
    memcpy(out + *count_out, ids, count * sizeof *ids);
    *count_out += count;
    if (count == CANDIDATES && memcmp(ids[count - 1].b, reach->b, sizeof reach->b) < 0)
        *reach = ids[count - 1];
}

/* The next candidates > AFTER, ascending: what `state` says and what has not reached it. The overlay is asked on either side of `state`: before,
 * for what leaves it meanwhile, which has reached `state`; behind, for what changes hands meanwhile and is gone from `state`. */
static enum svm_err candidates(struct svm_engine *engine, const struct svm_address *owner,
                               const struct svm_id *after, struct svm_id out[3 * CANDIDATES],
                               size_t *count_out)
{
    struct svm_id ids[CANDIDATES], reach;
    size_t n, all = 0, k = 0;
    memset(reach.b, 0xff, sizeof reach.b);
    n = owners_list(engine->owners, owner, after, ids, CANDIDATES);
    take_along(out, &all, ids, n, &reach);
    if (!engine->memory) {
        enum svm_err err = store_owned(engine->store, owner, after, ids, CANDIDATES, &n);
        if (err != SVM_OK)
            return err;
        take_along(out, &all, ids, n, &reach);
        n = owners_list(engine->owners, owner, after, ids, CANDIDATES);
        take_along(out, &all, ids, n, &reach);
    }
    qsort(out, all, sizeof *out, by_id);
    for (size_t i = 0; i < all && memcmp(out[i].b, reach.b, sizeof reach.b) <= 0; i++)
        if (k == 0 || memcmp(out[k - 1].b, out[i].b, sizeof out[i].b) != 0)
            out[k++] = out[i];
    *count_out = k;
    return SVM_OK;
}

static bool owned_by(const struct svm_object *object, const struct svm_address *owner)
{
    return object->kind == SVM_KIND_OWNED &&
           memcmp(object->owner.b, owner->b, sizeof owner->b) == 0;
}

static enum svm_err list(struct svm_snapshot *snapshot, struct mvcc_thread *thread,
                         const struct svm_address *owner, const struct svm_id *after,
                         struct svm_object **objects_out, size_t limit, size_t *count_out,
                         bool *more_out)
{
    struct svm_engine *engine = snapshot->engine;
    struct svm_id ids[3 * CANDIDATES], last;
    size_t n = 1;
    while (n > 0) {
        enum svm_err err = candidates(engine, owner, after, ids, &n);
        if (err != SVM_OK)
            return err;
        for (size_t i = 0; i < n; i++) {
            struct svm_object *object;
            err = query_object(engine, thread, &ids[i], snapshot->pin.seq, &object, false);
            if (err == SVM_E_NOT_FOUND || err == SVM_E_OBJECT_DELETED)
                continue;
            if (err != SVM_OK)
                return err;
            if (!owned_by(object, owner)) {
                svm_object_free(object);
            } else if (*count_out == limit) {
                svm_object_free(object);
                *more_out = true;
                return SVM_OK;
            } else {
                objects_out[(*count_out)++] = object;
            }
        }
        if (n > 0) {
            last = ids[n - 1];
            after = &last;
        }
    }
    return SVM_OK;
}

enum svm_err svm_object_list(struct svm_snapshot *snapshot, const struct svm_address *owner,
                             const struct svm_id *after, struct svm_object **objects_out,
                             size_t limit, size_t *count_out, bool *more_out)
{
    *count_out = 0;
    *more_out = false;
    struct mvcc_thread *thread = reader_take(snapshot->engine);
    enum svm_err err =
        list(snapshot, thread, owner, after, objects_out, limit, count_out, more_out);
    reader_give(snapshot->engine, thread);
    err = still_good(snapshot, err);
    if (err != SVM_OK) {
        for (size_t i = 0; i < *count_out; i++)
            svm_object_free(objects_out[i]);
        *count_out = 0;
    }
    return err;
}

/* ---- scans --------------------------------------------------------------------------------------------------------- */

struct id_list {
    struct svm_id *ids;
    size_t count, cap;
    bool failed;
};

static bool id_list_add(struct id_list *list, const struct svm_id *id)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 1024;
        struct svm_id *ids = realloc(list->ids, cap * sizeof *ids);
        if (!ids) {
            list->failed = true;
            return false;
        }
        list->ids = ids;
        list->cap = cap;
    }
    list->ids[list->count++] = *id;
    return true;
}

static bool collect_resident(void *arg, struct mvcc_head *head)
{
    struct svm_id id;
    memcpy(id.b, head->key, sizeof id.b);
    return id_list_add(arg, &id);
}

/* Every id that may be live: resident ones first, then those on the disk (an eviction in between moves an id from the first to the second). */
static enum svm_err all_ids(struct svm_engine *engine, struct mvcc_thread *thread,
                            struct id_list *list)
{
    enum { PAGE = 4096 };
    enum svm_err err = SVM_OK;
    mvcc_visit(engine->objects, collect_resident, list);
    mvcc_quiesce(thread);
    struct svm_id *page = malloc(PAGE * sizeof *page), last;
    const struct svm_id *after = NULL;
    size_t n = engine->memory ? 0 : PAGE;
    if (!page)
        return SVM_E_NO_MEMORY;
    while (n == PAGE && err == SVM_OK) {
        err = store_objects(engine->store, after, page, PAGE, &n);
        for (size_t i = 0; err == SVM_OK && i < n; i++)
            id_list_add(list, &page[i]);
        if (err == SVM_OK && n > 0) {
            last = page[n - 1];
            after = &last;
        }
    }
    free(page);
    if (list->count > 0)
        qsort(list->ids, list->count, sizeof *list->ids, by_id);
    return list->failed ? SVM_E_NO_MEMORY : err;
}

enum svm_err svm_state_scan(struct svm_snapshot *snapshot, svm_object_visit_fn *visit, void *arg)
{
    struct id_list ids = {0};
    struct mvcc_thread *thread = reader_take(snapshot->engine);
    enum svm_err err = all_ids(snapshot->engine, thread, &ids);
    for (size_t i = 0; err == SVM_OK && i < ids.count; i++) {
        struct svm_object *object;
        if (i > 0 && memcmp(&ids.ids[i], &ids.ids[i - 1], sizeof ids.ids[i]) == 0)
            continue;
        err =
            query_object(snapshot->engine, thread, &ids.ids[i], snapshot->pin.seq, &object, false);
        if (err == SVM_E_NOT_FOUND || err == SVM_E_OBJECT_DELETED) {
            err = SVM_OK;
            continue;
        }
        if (err != SVM_OK)
            break;
        bool more = visit(arg, object);
        svm_object_free(object);
        if (!more)
            break;
    }
    reader_give(snapshot->engine, thread);
    free(ids.ids);
    return still_good(snapshot, err);
}

static bool hash_visit(void *arg, const struct svm_object *object)
{
    struct svm_digest digest;
    svm_object_digest(&digest, object);
    model_hash_add(arg, digest.b, sizeof digest.b);
    return true;
}

enum svm_err svm_state_hash(struct svm_snapshot *snapshot, struct svm_digest *hash_out)
{
    struct model_hash hash;
    model_hash_init(&hash);
    enum svm_err err = svm_state_scan(snapshot, hash_visit, &hash);
    model_hash_final(&hash, hash_out);
    return err;
}

/* ---- receipts ------------------------------------------------------------------------------------------------------- */

enum svm_err svm_receipt_get(struct svm_engine *engine, const struct svm_digest *digest,
                             struct svm_receipt **receipt_out)
{
    struct receipt_entry *entry = receipts_find(engine->receipts, digest);
    *receipt_out = NULL;
    if (entry) {
        struct model_receipt_space space;
        const struct svm_receipt *receipt = receipts_read(entry, &space);
        bool known = receipt && receipt->seq <= mvcc_applied(engine->mvcc);
        if (known)
            *receipt_out = svm_receipt_copy(receipt);
        receipts_unlock(engine->receipts, entry);
        if (!known)
            return SVM_E_BUSY;
        return *receipt_out ? SVM_OK : SVM_E_NO_MEMORY;
    }
    if (engine->memory)
        return SVM_E_NOT_FOUND;
    return store_receipt_get(engine->store, digest, receipt_out);
}

enum svm_err svm_wait(struct svm_engine *engine, const struct svm_digest *digest,
                      enum svm_wait wait, svm_submit_fn *callback, void *arg)
{
    struct svm_receipt *receipt = NULL;
    struct receipt_entry *entry = receipts_find(engine->receipts, digest);
    if (entry) {
        receipts_await(entry);
        struct model_receipt_space space;
        const struct svm_receipt *known = receipts_read(entry, &space);
        uint64_t reached = wait == SVM_WAIT_DURABLE && !engine->memory ? engine_durable(engine)
                                                                       : mvcc_applied(engine->mvcc);
        bool queued = false;
        if (known && known->seq <= reached)
            receipt = svm_receipt_copy(known);
        else if (atomic_load(&engine->fatal) == SVM_OK)
            queued = receipts_wait(
                engine->receipts, entry,
                &(struct engine_waiter){.callback = callback,
                                        .arg = arg,
                                        .wait = wait == SVM_WAIT_NONE ? SVM_WAIT_EXECUTED : wait});
        receipts_unlock(engine->receipts, entry);
        if (queued && wait == SVM_WAIT_DURABLE)
            commit_hurry(engine);
        if (queued)
            return SVM_OK;
        if (!receipt)
            return SVM_E_OVERLOADED;
    } else {
        enum svm_err err =
            engine->memory ? SVM_E_NOT_FOUND : store_receipt_get(engine->store, digest, &receipt);
        if (err != SVM_OK) {
            struct svm_refusal refusal;
            refusal_because(&refusal, err == SVM_E_NOT_FOUND ? err : SVM_E_IO, "%s",
                            err == SVM_E_NOT_FOUND ? "no transaction of this digest is known here"
                                                   : "the receipt could not be looked up");
            answer_refusal(engine, callback, arg, digest, &refusal);
            return SVM_OK;
        }
    }
    answer_receipt(engine, callback, arg, receipt, false);
    svm_receipt_free(receipt);
    return SVM_OK;
}
