/* What leaves the disk: log groups that a flushed `state` holds, receipts that are too old, history beyond its limits. */
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "store/group.h"
#include "store/parts.h"
#include "store/rows.h"

enum { ORDER_KEY_BYTES = 1 + 8, HISTORY_KEY_BYTES = 1 + 32 + 8 };

/* ---- log --------------------------------------------------------------------------------------------------- */

/* drop_receipts: the sweep's deletions are flushed; what these files hold besides is swept. */
static enum svm_err drop_receipts(struct store *store)
{
    const struct svm_kv_ops *kv = &store->state_kv;
    if (kv->drop == NULL || store->sweep.dropped == store->sweep.order)
        return SVM_OK;
    uint8_t from[ORDER_KEY_BYTES] = {ROW_ORDER}, to[ORDER_KEY_BYTES] = {ROW_ORDER};
    bytes_put_u64be(to + 1, store->sweep.order);
    enum svm_err err = kv->drop(kv->self, (struct svm_bytes){from, sizeof from},
                                (struct svm_bytes){to, sizeof to});
    if (err != SVM_OK)
        return store_fail_io(store, err, "old receipts cannot be dropped", kv);
    store->sweep.dropped = store->sweep.order;
    return SVM_OK;
}

enum svm_err store_trim(struct store *store)
{
    if (store->mode == STORE_MEMORY)
        return SVM_OK;
    if (store_has_failed(store))
        return SVM_E_IO;
    uint64_t upto = store->meta.seq;
    SVM_ASSERT(store->trimmed <= upto);
    if (store->trimmed == upto)
        return SVM_OK;

    enum svm_err err = SVM_OK;
    FAULT_POINT("store.trim.before_flush");
    if ((store->held < upto || store->sweep.dropped < store->sweep.order) &&
        !FAULT_BUG("trim-early"))
        err = store->state_kv.flush(store->state_kv.self);
    FAULT_POINT("store.trim.after_flush");
    if (err != SVM_OK)
        return store_fail_io(store, err, "the state cannot be flushed", &store->state_kv);
    store->held = upto;
    err = drop_receipts(store);
    if (err != SVM_OK)
        return err;

    uint8_t from[STORE_LOG_KEY_BYTES], to[STORE_LOG_KEY_BYTES];
    bytes_put_u64be(from, store->trimmed + 1);
    bytes_put_u64be(to, upto + 1);
    err = store->log_kv.del_range(store->log_kv.self, (struct svm_bytes){from, sizeof from},
                                  (struct svm_bytes){to, sizeof to});
    FAULT_POINT("store.trim.after_delete");
    if (err != SVM_OK)
        return store_fail_io(store, err, "the log cannot be trimmed", &store->log_kv);
    store->trimmed = upto;
    return SVM_OK;
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

void store_retention(struct store *store, uint64_t receipts_seconds, uint64_t history_versions,
                     uint64_t history_seconds)
{
    atomic_store_explicit(&store->receipts_seconds, receipts_seconds, memory_order_relaxed);
    atomic_store_explicit(&store->history_versions, history_versions, memory_order_relaxed);
    atomic_store_explicit(&store->history_seconds, history_seconds, memory_order_relaxed);
}

/* too_old: AT_MS lies more than SECONDS before NOW_MS. No sum overflows. */
static bool too_old(uint64_t at_ms, uint64_t seconds, uint64_t now_ms)
{
    return now_ms > at_ms && (now_ms - at_ms) / 1000 >= seconds;
}

static void del_key(struct store_batch *batch, const uint8_t *key, size_t len)
{
    uint8_t *copy = store_batch_alloc(batch, len);
    if (copy == NULL)
        return; /* sticks in the batch */
    memcpy(copy, key, len);
    store_batch_del(batch, (struct svm_bytes){copy, len});
}

/* Pages of receipts in order of position; node time hardly differs from that order, so the first page with a young one ends the walk. */
static enum svm_err sweep_receipts(struct store *store, struct svm_kv_iter *iter, uint64_t now_ms,
                                   size_t *budget, struct store_sweep_at *at, uint64_t *dropped)
{
    const struct svm_kv_ops *kv = &store->state_kv;
    uint64_t seconds = atomic_load_explicit(&store->receipts_seconds, memory_order_relaxed);
    struct svm_bytes key, value;
    struct row_key from;
    uint8_t seq[8];
    bytes_put_u64be(seq, at->order);
    row_key_set(&from, ROW_ORDER, seq, sizeof seq, NULL, 0);

    kv->iter_seek(iter, row_key_bytes(&from));
    for (; *budget > 0 && kv->iter_valid(iter, &key, &value); kv->iter_next(iter)) {
        struct store_page page;
        if (key.ptr[0] != ROW_ORDER)
            break;
        if (key.len != ORDER_KEY_BYTES || !store_page_parse(&page, value))
            return SVM_E_CORRUPT;
        if (!too_old(page.newest_ms, seconds, now_ms))
            break;
        del_key(&store->batch, key.ptr, key.len);
        at->order = page.last + 1;
        *dropped += page.count;
        *budget -= *budget < page.count ? *budget : page.count;
    }
    return SVM_OK;
}

/* history_goes: whether the row that the cursor stands on may go. */
static bool history_goes(const struct store_sweep_at *at, uint64_t versions, uint64_t seconds,
                         uint64_t now_ms)
{
    if (versions == 0)
        return true;
    if (at->count == 0)
        return false; /* the newest stays */
    return at->count > versions || too_old(at->since_ms, seconds, now_ms);
}

/* History from where the last sweep stopped, each id from its newest version on. A version may go when `history_versions`
 * newer ones besides the newest are there, or when it was superseded more than `history_seconds` ago: what was the state
 * at any time within these seconds can still be told. */
static enum svm_err sweep_history(struct store *store, struct svm_kv_iter *iter, uint64_t now_ms,
                                  size_t *budget, struct store_sweep_at *at, uint64_t *dropped)
{
    static const uint8_t history = ROW_HISTORY;
    const struct svm_kv_ops *kv = &store->state_kv;
    uint64_t versions = atomic_load_explicit(&store->history_versions, memory_order_relaxed);
    uint64_t seconds = atomic_load_explicit(&store->history_seconds, memory_order_relaxed);
    struct svm_bytes key, value;

    if (at->key_len == 0)
        at->in_id = false;
    kv->iter_seek(iter, at->key_len == 0 ? (struct svm_bytes){&history, 1}
                                         : (struct svm_bytes){at->key, at->key_len});
    for (;; kv->iter_next(iter)) {
        if (!kv->iter_valid(iter, &key, &value) || key.ptr[0] != ROW_HISTORY) {
            at->key_len = 0; /* once around */
            return SVM_OK;
        }
        if (key.len != HISTORY_KEY_BYTES || value.len < ROW_SEQ_BYTES)
            return SVM_E_CORRUPT;
        memcpy(at->key, key.ptr, key.len);
        at->key_len = key.len;
        if (*budget == 0)
            return SVM_OK; /* here it goes on next time */

        if (!at->in_id || memcmp(at->id, key.ptr + 1, 32) != 0) {
            memcpy(at->id, key.ptr + 1, 32);
            at->in_id = true;
            at->count = 0;
        }
        struct svm_bytes row = {value.ptr + ROW_SEQ_BYTES, value.len - ROW_SEQ_BYTES};
        if (model_row_object_size(row) == 0)
            return SVM_E_CORRUPT;
        if (model_row_decode(store->object, row) != SVM_OK)
            return SVM_E_CORRUPT;
        if (history_goes(at, versions, seconds, now_ms)) {
            del_key(&store->batch, key.ptr, key.len);
            ++*dropped;
        }
        at->count++;
        at->since_ms = store->object->modified_ms;
        --*budget;
    }
}

enum svm_err store_sweep(struct store *store, uint64_t now_ms, size_t budget)
{
    if (store->mode == STORE_MEMORY || budget == 0)
        return SVM_OK;
    if (store_has_failed(store))
        return SVM_E_IO;
    const struct svm_kv_ops *kv = &store->state_kv;
    struct store_sweep_at at = store->sweep; /* moves on when the deletions are written */
    uint64_t receipts = 0, versions = 0;
    struct svm_kv_iter *iter = kv->iter_open(kv->self);
    if (iter == NULL)
        return SVM_E_NO_MEMORY;

    /* Half the budget at most for receipts, so that neither walk starves the other. */
    size_t half = (budget + 1) / 2;
    size_t rest = budget - half;
    store_batch_clear(&store->batch);
    enum svm_err err = sweep_receipts(store, iter, now_ms, &half, &at, &receipts);
    rest += half;
    if (err == SVM_OK)
        err = sweep_history(store, iter, now_ms, &rest, &at, &versions);
    enum svm_err closed = kv->iter_close(iter);
    if (err == SVM_OK)
        err = closed;

    const struct svm_kv_op *ops;
    size_t count = 0;
    if (err == SVM_OK)
        err = store_batch_sort(&store->batch, &ops, &count);
    if (err == SVM_OK && count > 0) {
        err = kv->write(kv->self, ops, count, false);
        if (err != SVM_OK)
            err = store_fail_io(store, err, "the state cannot be written", kv);
    }
    FAULT_POINT("store.sweep.after_write");
    store_batch_clear(&store->batch);
    if (err != SVM_OK)
        return err;
    store->sweep = at;
    store_runs_drop(&store->receipts.runs, at.order);
    atomic_fetch_add_explicit(&store->counts.receipts_pruned, receipts, memory_order_relaxed);
    atomic_fetch_add_explicit(&store->counts.history_pruned, versions, memory_order_relaxed);
    return SVM_OK;
}
