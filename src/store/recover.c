/* Recovery: how far does the log hold, may it end there, and materialise up to it.
 *
 *     M = meta.seq          E = end of the intact chain        S = highest position known to have been synced
 *     ---[trimmed]---(groups <= M)---|---(groups that link up)---|E   (anything behind a break)
 *
 * E < S: what was promised is gone, refuse. E >= S: a power cut took an unsynced tail; what lies behind the break is
 * removed durably, before anything is appended. S comes from M, every readable header, and the SYNCED file. */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "store/group.h"
#include "store/parts.h"

enum { REASON_BYTES = 120, REPLAY_BYTES = 32 << 20 };

struct scan {
    uint64_t begin;         /* first position in the log; 0 = the log is empty */
    uint64_t end;           /* E */
    struct svm_digest hash; /* of the group that ends at E */
    uint64_t node_ms;
    uint64_t synced; /* S */
    uint64_t bytes;  /* of the groups in (M, E] */
    uint64_t behind; /* groups after the break */
    uint64_t
        next; /* keys of what is kept lie below it, all others not: keys ascend, whatever they say */
    bool broken;
    bool old_seen, old_fits; /* groups up to M: the last of them ends at M with the anchor's hash */
};

/* scan_group: take the next value of the log into account. */
static void scan_group(struct scan *scan, const struct store_meta *meta, struct svm_bytes key,
                       struct svm_bytes value)
{
    struct store_group group;
    bool readable = store_group_parse(&group, key, value);
    if (readable && group.synced > scan->synced)
        scan->synced = group.synced;

    uint64_t first = key.len == STORE_LOG_KEY_BYTES ? bytes_get_u64be(key.ptr) : UINT64_MAX;
    if (scan->begin == 0)
        scan->begin = first;
    if (first <= meta->seq) {
        scan->next = first + 1;
        scan->old_seen = true;
        scan->old_fits =
            readable && group.last == meta->seq && memcmp(group.hash.b, meta->hash.b, 32) == 0;
        return;
    }
    bool links = !scan->broken && readable && group.first == scan->end + 1 &&
                 memcmp(group.prev.b, scan->hash.b, 32) == 0 && store_group_frames_intact(&group);
    if (!links) {
        scan->broken = true;
        scan->behind++;
        return;
    }
    scan->next = first + 1;
    scan->end = group.last;
    scan->hash = group.hash;
    scan->bytes += value.len;
    if (group.node_ms > scan->node_ms)
        scan->node_ms = group.node_ms;
}

static enum svm_err scan_log(struct store *store, struct scan *scan, char reason[120])
{
    const struct svm_kv_ops *kv = &store->log_kv;
    const struct store_meta *meta = &store->meta;
    *scan = (struct scan){
        .end = meta->seq, .hash = meta->hash, .node_ms = meta->node_ms, .synced = meta->seq};
    struct svm_kv_iter *iter = kv->iter_open(kv->self);
    if (iter == NULL) {
        snprintf(reason, REASON_BYTES, "out of memory");
        return SVM_E_NO_MEMORY;
    }
    struct svm_bytes key, value;
    kv->iter_seek(iter, (struct svm_bytes){(const uint8_t *)"", 0});
    for (; kv->iter_valid(iter, &key, &value); kv->iter_next(iter))
        scan_group(scan, meta, key, value);
    if (kv->iter_close(iter) != SVM_OK) {
        const char *why = kv->failure(kv->self);
        snprintf(reason, REASON_BYTES, "the log cannot be read: %s", why == NULL ? "unknown" : why);
        return SVM_E_CORRUPT;
    }
    uint64_t marked = store_dir_synced_get(&store->dir);
    if (marked > scan->synced)
        scan->synced = marked;
    return SVM_OK;
}

static enum svm_err judge(const struct scan *scan, const struct store_meta *meta, char reason[120])
{
    if (scan->old_seen && !scan->old_fits) {
        snprintf(reason, REASON_BYTES, "log and state do not fit at seq %llu: restore a checkpoint",
                 (unsigned long long)meta->seq);
        return SVM_E_CORRUPT;
    }
    if (scan->end < scan->synced) {
        snprintf(reason, REASON_BYTES,
                 "the log breaks after seq %llu, but %llu was synced: restore a checkpoint",
                 (unsigned long long)scan->end, (unsigned long long)scan->synced);
        return SVM_E_CORRUPT;
    }
    return SVM_OK;
}

/* cut: durably delete all from the key NEXT on. */
static enum svm_err cut(struct store *store, uint64_t next)
{
    static const uint8_t above_all[9] = {255, 255, 255, 255, 255, 255, 255, 255, 255};
    struct svm_kv_ops *kv = &store->log_kv;
    uint8_t from[STORE_LOG_KEY_BYTES];
    bytes_put_u64be(from, next);
    enum svm_err err = kv->del_range(kv->self, (struct svm_bytes){from, sizeof from},
                                     (struct svm_bytes){above_all, sizeof above_all});
    FAULT_POINT("store.recover.after_cut");
    return err == SVM_OK ? kv->sync(kv->self) : err;
}

static enum svm_err replay(struct store *store, uint64_t end)
{
    while (store->meta.seq < end) {
        uint64_t did;
        enum svm_err err = store_materialise_upto(store, end, REPLAY_BYTES, &did);
        if (err != SVM_OK)
            return err;
        FAULT_POINT("store.recover.after_batch");
    }
    return SVM_OK;
}

static void positions_set(struct store *store, const struct scan *scan)
{
    store->log_hash = scan->hash;
    store->held = store->meta.seq; /* read from disk */
    store->trimmed =
        scan->begin == 0 || scan->begin > store->meta.seq ? store->meta.seq : scan->begin - 1;
    atomic_store_explicit(&store->logged, scan->end, memory_order_release);
    atomic_store_explicit(&store->synced, scan->end, memory_order_release);
    atomic_store_explicit(&store->materialised, store->meta.seq, memory_order_release);
    atomic_store_explicit(&store->dirty_bytes, scan->bytes, memory_order_relaxed);
    store_dir_synced_put(&store->dir, scan->end);
}

static void report(const struct store *store, const struct store_opened *opened)
{
    char text[160];
    snprintf(text, sizeof text, "%llu transactions replayed, next is %llu",
             (unsigned long long)opened->replayed, (unsigned long long)opened->next_seq);
    store_say(store, 2, "store.recovered", text);
    if (opened->cut_groups == 0)
        return;
    snprintf(text, sizeof text,
             "a power cut left %llu unsynced groups behind a gap after seq %llu; they were removed",
             (unsigned long long)opened->cut_groups, (unsigned long long)opened->next_seq - 1);
    store_say(store, 1, "store.cut", text);
}

/* sync_found: what can be read may stand in the page cache alone: the last process has not synced it, or its sync has failed. Before its
 * groups are judged, so that what is built upon is what the disk has; and whatever the marks say, which rest on syncs as well. */
static enum svm_err sync_found(struct store *store, char reason[120])
{
    struct svm_kv_ops *kv = &store->log_kv;
    enum svm_err err =
        kv->sync_found ? kv->sync_found(kv->self, store->meta.seq + 1) : kv->sync(kv->self);
    if (err != SVM_OK) {
        store_fail(store, err, "the log cannot be synced", kv);
        snprintf(reason, REASON_BYTES, "%.119s", store->failure);
    }
    return err;
}

enum svm_err store_recover(struct store *store, struct store_opened *opened, char reason[120])
{
    struct scan scan;
    enum svm_err err = sync_found(store, reason);
    if (err != SVM_OK)
        return err;
    err = scan_log(store, &scan, reason);
    if (err == SVM_OK)
        err = judge(&scan, &store->meta, reason);
    if (err != SVM_OK)
        return err;

    FAULT_POINT("store.recover.scanned");
    if (scan.behind > 0)
        err = cut(store, scan.next);
    if (err != SVM_OK) {
        store_fail(store, err, "the log cannot be cut", &store->log_kv);
        snprintf(reason, REASON_BYTES, "%.119s", store->failure);
        return err;
    }
    FAULT_POINT("store.recover.after_sync");
    positions_set(store, &scan);
    opened->replayed = scan.end - store->meta.seq;
    err = replay(store, scan.end);
    if (err != SVM_OK) {
        snprintf(reason, REASON_BYTES, "replay stopped after seq %llu: %.70s",
                 (unsigned long long)store->meta.seq,
                 store_has_failed(store) ? store->failure : svm_err_text(err));
        return err;
    }
    opened->cut_groups = scan.behind;
    opened->next_seq = scan.end + !FAULT_BUG("reuse-position");
    opened->node_ms = scan.node_ms > store->meta.node_ms ? scan.node_ms : store->meta.node_ms;
    opened->receipts_seen = scan.end > 0;
    memcpy(opened->objects, store->meta.objects, sizeof opened->objects);
    opened->transfers = store->meta.transfers;
    report(store, opened);
    return SVM_OK;
}
