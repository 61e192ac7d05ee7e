/* The materialiser: whole groups of the log become rows of `state`, one sorted batch with its meta row. Recovery runs the
 * very same function. Rows of objects are the bytes that stand in the frames. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "store/group.h"
#include "store/parts.h"
#include "store/rows.h"

enum {
    MERGE_FILE_ENTRIES = 1 << 16, /* a merged run of so many enters as a file */
    PACE_LITTLE = 1 << 20,
    PACE_US = 1000000
};

static enum svm_err put_row(struct store_batch *batch, uint8_t kind, const void *a, size_t a_len,
                            const void *b, size_t b_len, struct svm_bytes value)
{
    uint8_t *key = store_batch_alloc(batch, 1 + a_len + b_len);
    if (key == NULL)
        return SVM_E_NO_MEMORY;
    size_t len = row_key_encode(key, kind, a, a_len, b, b_len);
    store_batch_put(batch, (struct svm_bytes){key, len}, value);
    return SVM_OK;
}

static enum svm_err put_owned(struct store_batch *batch, const uint8_t owner[32],
                              const struct svm_id *id, bool del)
{
    uint8_t *key = store_batch_alloc(batch, 1 + 32 + 32);
    if (key == NULL)
        return SVM_E_NO_MEMORY;
    struct svm_bytes bytes = {key, row_key_encode(key, ROW_OWNED, owner, 32, id->b, 32)};
    if (del)
        store_batch_del(batch, bytes);
    else
        store_batch_put(batch, bytes, (struct svm_bytes){key, 0});
    return SVM_OK;
}

/* put_index: the owner index and the totals follow from what the object was and what it is. */
static enum svm_err put_index(struct store_batch *batch, struct store_meta *meta,
                              const struct svm_id *id, const struct model_prior *prior,
                              const struct model_row_head *now)
{
    bool was_owned = prior->kind == MODEL_PRIOR_OWNED;
    bool is_owned = !now->deleted && now->kind == SVM_KIND_OWNED;
    bool same = was_owned && is_owned && memcmp(prior->owner.b, now->party, 32) == 0;

    if (prior->kind != MODEL_PRIOR_NONE) {
        SVM_ASSERT(meta->objects[prior->kind - MODEL_PRIOR_OWNED] > 0);
        meta->objects[prior->kind - MODEL_PRIOR_OWNED]--;
    }
    if (!now->deleted) {
        SVM_ASSERT(now->kind < 3);
        meta->objects[now->kind]++;
    }
    if (same)
        return SVM_OK;
    enum svm_err err = SVM_OK;
    if (was_owned)
        err = put_owned(batch, prior->owner.b, id, true);
    if (err == SVM_OK && is_owned)
        err = put_owned(batch, now->party, id, false);
    return err;
}

/* put_object: one version: newest row, history, index. NOW is the head of ROW. */
static enum svm_err put_object(struct store_batch *batch, struct store_meta *meta,
                               const struct svm_id *id, const struct model_prior *prior,
                               const struct model_row_head *now, struct svm_bytes row, uint64_t seq,
                               bool history)
{
    const size_t len = ROW_SEQ_BYTES + row.len;
    uint8_t *value = store_batch_row(batch, ROW_OBJECT, id->b, len);
    if (value == NULL)
        return SVM_E_NO_MEMORY;
    bytes_put_u64le(value, seq);
    memcpy(value + ROW_SEQ_BYTES, row.ptr, row.len);
    enum svm_err err = SVM_OK;
    if (history) { /* the newest row's place may be taken by the next one: a copy */
        uint8_t version[8], *copy = store_batch_alloc(batch, len);
        if (copy == NULL)
            return SVM_E_NO_MEMORY;
        memcpy(copy, value, len);
        row_version_put(version, now->version);
        err = put_row(batch, ROW_HISTORY, id->b, 32, version, sizeof version,
                      (struct svm_bytes){copy, len});
    }
    return err == SVM_OK ? put_index(batch, meta, id, prior, now) : err;
}

static enum svm_err apply_tx(struct store *store, struct store_meta *meta,
                             const struct model_effects *tx, bool history)
{
    enum svm_err err = store_receipts_add(&store->receipts, &store->batch, tx);
    for (size_t i = 0; err == SVM_OK && i < tx->write_count; i++) {
        const struct model_write *write = &tx->writes[i];
        err = put_object(&store->batch, meta, &write->id, &write->prior, &tx->heads[i], write->row,
                         tx->seq, history);
    }
    meta->transfers += tx->transfers;
    return err;
}

static enum svm_err apply_cells(struct store *store, const struct model_cell_effects *cells)
{
    for (size_t i = 0; i < cells->write_count; i++) {
        const struct model_cell_write *write = &cells->writes[i];
        size_t size = ROW_CELL_HEAD_BYTES + write->value.len;
        uint8_t *value = store_batch_alloc(&store->batch, size);
        if (value == NULL)
            return SVM_E_NO_MEMORY;
        bytes_put_u64le(value, cells->seq);
        bytes_put_u64le(value + 8, write->version);
        value[16] = write->deleted;
        if (write->value.len > 0)
            memcpy(value + ROW_CELL_HEAD_BYTES, write->value.ptr, write->value.len);
        enum svm_err err = put_row(&store->batch, ROW_CELL, write->key.ptr, write->key.len, NULL, 0,
                                   (struct svm_bytes){value, size});
        if (err != SVM_OK)
            return err;
    }
    return SVM_OK;
}

static enum svm_err apply_group(struct store *store, struct store_meta *meta,
                                const struct store_group *group, bool history)
{
    struct svm_bytes rest = group->frames;
    for (uint64_t seq = group->first; seq <= group->last; seq++) {
        enum svm_err err = model_frame_decode(store->frame, &rest);
        if (err != SVM_OK)
            return err;
        if (store->frame->seq != seq)
            return SVM_E_CORRUPT;
        switch (store->frame->kind) {
        case MODEL_FRAME_TX:
            err = apply_tx(store, meta, &store->frame->tx, history);
            break;
        case MODEL_FRAME_CELLS:
            err = apply_cells(store, &store->frame->cells);
            break;
        case MODEL_FRAME_VOID:
            break;
        }
        if (err != SVM_OK)
            return err;
    }
    if (rest.len != 0)
        return SVM_E_CORRUPT;
    meta->seq = group->last;
    meta->hash = group->hash;
    if (group->node_ms > meta->node_ms)
        meta->node_ms = group->node_ms;
    return SVM_OK;
}

/* collect: groups from the log into the batch; META moves along. */
static enum svm_err collect(struct store *store, struct store_meta *meta, uint64_t upto,
                            size_t bytes_max, uint64_t *did_out, size_t *bytes_out)
{
    const struct svm_kv_ops *kv = &store->log_kv;
    bool history = atomic_load_explicit(&store->history_versions, memory_order_relaxed) > 0;
    struct svm_kv_iter *iter = kv->iter_open(kv->self);
    if (iter == NULL)
        return SVM_E_NO_MEMORY;

    uint8_t from[STORE_LOG_KEY_BYTES];
    bytes_put_u64be(from, meta->seq + 1);
    kv->iter_seek(iter, (struct svm_bytes){from, sizeof from});
    enum svm_err err = SVM_OK;
    struct svm_bytes key, value;
    while (err == SVM_OK && meta->seq < upto && *bytes_out < bytes_max &&
           kv->iter_valid(iter, &key, &value)) {
        struct store_group group;
        bool good = store_group_parse(&group, key, value) && group.first == meta->seq + 1 &&
                    group.last <= upto && memcmp(group.prev.b, meta->hash.b, 32) == 0;
        err = good ? apply_group(store, meta, &group, history) : SVM_E_CORRUPT;
        *bytes_out += value.len;
        ++*did_out;
        kv->iter_next(iter);
    }
    enum svm_err closed = kv->iter_close(iter);
    if (closed != SVM_OK)
        return closed;
    /* A log that ends before what was synced has lost something. */
    if (err == SVM_OK && meta->seq < upto && *bytes_out < bytes_max)
        err = SVM_E_CORRUPT;
    return err;
}

/* rows_write: the batch. AS_FILE: durably, as files of their own. */
static enum svm_err rows_write(struct store *store, bool as_file)
{
    const struct svm_kv_ops *kv = &store->state_kv;
    const struct svm_kv_op *ops;
    size_t count;
    enum svm_err err = store_batch_sort(&store->batch, &ops, &count);
    if (err != SVM_OK)
        return err;
    FAULT_POINT("store.materialise.before_write");
    if (as_file)
        err = kv->ingest(kv->self, ops, count, store_batch_tail(ops, count, ROW_ORDER));
    else
        err = kv->write(kv->self, ops, count, false);
    FAULT_POINT("store.materialise.after_write");
    if (err != SVM_OK)
        return store_fail_io(store, err, "the state cannot be written", &store->state_kv);
    atomic_fetch_add_explicit(&store->counts.rows, count, memory_order_relaxed);
    return SVM_OK;
}

/* batch_write: the batch with META as its last word, as a file if asked and if the database can. A file holds a meta row as
 * well, so the rows and M are there together or not at all. */
static enum svm_err batch_write(struct store *store, const struct store_meta *meta, bool as_file)
{
    static const uint8_t key = ROW_META;
    uint8_t row[STORE_META_BYTES];
    store_meta_encode(row, meta);
    store_batch_put(&store->batch, (struct svm_bytes){&key, 1},
                    (struct svm_bytes){row, sizeof row});
    as_file = as_file && store->state_kv.ingest != NULL;
    enum svm_err err = rows_write(store, as_file);
    if (err == SVM_OK && as_file)
        store->held = meta->seq;
    return err;
}

/* runs_merge: too many runs of one size become one. Without memory they stay as they are. */
static enum svm_err runs_merge(struct store *store)
{
    struct store_runs *runs = &store->receipts.runs;
    for (bool merged = true; merged;) {
        store_batch_clear(&store->batch);
        enum svm_err err =
            store_runs_merge(runs, &store->state_kv, &store->batch, store->sweep.order, &merged);
        bool as_file = runs->entry_count >= MERGE_FILE_ENTRIES && store->state_kv.ingest != NULL;
        if (err == SVM_OK && merged)
            err = rows_write(store, as_file);
        if (merged)
            FAULT_POINT("store.runs.merged");
        store_batch_clear(&store->batch);
        if (err == SVM_OK && merged)
            store_runs_publish(runs);
        else
            store_runs_begin(runs);
        if (err == SVM_E_NO_MEMORY)
            return SVM_OK;
        if (err != SVM_OK)
            return store_fail(store, err, "the index of receipts cannot be merged",
                              &store->state_kv);
    }
    return SVM_OK;
}

enum svm_err store_materialise_upto(struct store *store, uint64_t upto, size_t bytes_max,
                                    uint64_t *did_out)
{
    struct store_meta meta = store->meta;
    uint64_t did = 0;
    size_t bytes = 0;
    *did_out = 0;
    if (meta.seq >= upto)
        return SVM_OK;

    store_batch_clear(&store->batch);
    store_receipts_begin(&store->receipts);
    enum svm_err err = collect(store, &meta, upto, bytes_max, &did, &bytes);
    if (err == SVM_OK)
        err = store_receipts_seal(&store->receipts, &store->batch, store->meta.seq + 1, meta.seq);
    if (err == SVM_OK)
        err = batch_write(store, &meta, bytes >= store->ingest_bytes);
    store_batch_clear(&store->batch);
    if (err == SVM_E_CORRUPT)
        return store_fail(store, err, "the log is damaged", &store->log_kv);
    if (err == SVM_E_IO)
        return store_fail(store, err, "the log cannot be read", &store->log_kv);
    if (err != SVM_OK)
        return err; /* no memory: nothing was written, another time perhaps */

    SVM_ASSERT(meta.seq > store->meta.seq);
    store->meta = meta;
    FAULT_POINT("store.materialise.before_publish");
    store_receipts_publish(&store->receipts);
    atomic_fetch_sub_explicit(&store->dirty_bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&store->materialised, meta.seq, memory_order_release);
    *did_out = did;
    return runs_merge(store);
}

/* not_yet: more of the log would make a better batch. Every file of `state` costs a share of a compaction, however small it
 * is, and rows that are written again before the batch is made cost nothing. */
static bool not_yet(struct store *store)
{
    uint64_t dirty = store_dirty_bytes(store);
    if (dirty < PACE_LITTLE || dirty >= STORE_PACE_BYTES)
        return false;
    return store_now_us() - store->batched_us < PACE_US;
}

enum svm_err store_materialise(struct store *store, size_t bytes_max, uint64_t *did_out)
{
    *did_out = 0;
    if (store->mode == STORE_MEMORY)
        return SVM_OK;
    if (store_has_failed(store))
        return SVM_E_IO;
    if (bytes_max == STORE_PACED) {
        if (not_yet(store))
            return SVM_OK;
        bytes_max = STORE_PACE_BYTES;
        store->batched_us = store_now_us();
    }
    if (store_synced(store) == store->meta.seq) {
        enum svm_err err = store->mode == STORE_SYNC ? SVM_OK : store_log_sync(store);
        if (err != SVM_OK)
            return err;
        if (store_synced(store) == store->meta.seq) { /* quiet: what the last batches took */
            store_batch_trim(&store->batch);
            store_runs_trim(&store->receipts.runs);
        }
    }
    uint64_t upto = FAULT_BUG("materialise-ahead") ? store_logged(store) : store_synced(store);
    return store_materialise_upto(store, upto, bytes_max, did_out);
}

uint64_t store_materialised(const struct store *store)
{
    return atomic_load_explicit(&store->materialised, memory_order_acquire);
}

/* ---- genesis ----------------------------------------------------------------------------------------------- */

static enum svm_err put_genesis(struct store *store, struct store_meta *meta,
                                const struct model_genesis *genesis)
{
    static const struct model_prior nothing = {.kind = MODEL_PRIOR_NONE};
    bool history = atomic_load_explicit(&store->history_versions, memory_order_relaxed) > 0;
    for (size_t i = 0; i < genesis->object_count; i++) {
        const struct model_genesis_object *object = &genesis->objects[i];
        size_t size = model_row_size(object->object);
        uint8_t *row = store_batch_alloc(&store->batch, size);
        if (row == NULL)
            return SVM_E_NO_MEMORY;
        uint8_t *end = model_row_encode(row, object->object);
        SVM_ASSERT(end == row + size);
        struct model_row_head head;
        bool good = model_row_head_get(&head, (struct svm_bytes){row, size});
        SVM_ASSERT(good);
        enum svm_err err = put_object(&store->batch, meta, &object->id, &nothing, &head,
                                      (struct svm_bytes){row, size}, 0, history);
        if (err != SVM_OK)
            return err;
    }
    return SVM_OK;
}

/* is_empty: whether `state` holds no row at all. */
static enum svm_err is_empty(struct store *store, bool *empty_out)
{
    static const uint8_t lowest[1] = {0};
    const struct svm_kv_ops *kv = &store->state_kv;
    struct svm_bytes key, value;
    struct svm_kv_iter *iter = kv->iter_open(kv->self);
    if (iter == NULL)
        return SVM_E_NO_MEMORY;
    kv->iter_seek(iter, (struct svm_bytes){lowest, sizeof lowest});
    *empty_out = !kv->iter_valid(iter, &key, &value);
    return kv->iter_close(iter);
}

/* leftovers_delete: an interrupted creation may have left rows of another genesis. Where there is nothing, nothing is deleted: a deletion
 * that spans all keys would hold every file of appended rows in the first level, to be compacted, until it is compacted itself. */
static enum svm_err leftovers_delete(struct store *store)
{
    static const uint8_t lowest[1] = {0}, highest[1] = {0xff};
    const struct svm_kv_ops *kv = &store->state_kv;
    bool empty = false;
    enum svm_err err = is_empty(store, &empty);
    if (err == SVM_OK && !empty)
        err =
            kv->del_range(kv->self, (struct svm_bytes){lowest, 1}, (struct svm_bytes){highest, 1});
    return err == SVM_OK ? err : store_fail(store, err, "the state cannot be written", kv);
}

enum svm_err store_state_create(struct store *store, const struct model_genesis *genesis)
{
    struct svm_kv_ops *kv = &store->state_kv;
    struct store_meta meta = {
        .genesis = genesis->digest, .hash = genesis->digest, .node_ms = genesis->time_ms};

    enum svm_err err = leftovers_delete(store);
    if (err != SVM_OK)
        return err;
    store_batch_clear(&store->batch);
    err = put_genesis(store, &meta, genesis);
    if (err == SVM_OK)
        err = batch_write(store, &meta, false);
    store_batch_clear(&store->batch);
    if (err != SVM_OK)
        return err;
    FAULT_POINT("store.create.before_flush");
    err = kv->flush(kv->self);
    if (err != SVM_OK)
        return store_fail(store, err, "the state cannot be flushed", kv);
    store->meta = meta;
    return SVM_OK;
}
