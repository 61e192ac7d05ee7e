/* The log: one put per commit group, the commit point of everything in it. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "store/group.h"
#include "store/parts.h"

uint8_t *store_group_reserve(struct store *store, size_t bytes)
{
    SVM_ASSERT(bytes > 0);
    SVM_ASSERT(bytes <= (1u << 20) + (64u << 10));
    if (STORE_GROUP_BYTES_MAX - store->group_frames < bytes)
        return NULL;
    uint8_t *room = store->group + STORE_GROUP_HEADER_BYTES + store->group_frames;
    store->group_frames += bytes;
    return room;
}

/* synced_raise: both C and G sync; the position never goes back. */
static void synced_raise(struct store *store, uint64_t seq)
{
    uint64_t have = atomic_load_explicit(&store->synced, memory_order_relaxed);
    while (have < seq &&
           !atomic_compare_exchange_weak_explicit(&store->synced, &have, seq, memory_order_release,
                                                  memory_order_relaxed))
        continue;
    store_dir_synced_put(&store->dir, seq);
}

static void count_sync(struct store *store, uint64_t since_us)
{
    atomic_fetch_add_explicit(&store->counts.syncs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&store->counts.sync_us, store_now_us() - since_us,
                              memory_order_relaxed);
}

static enum svm_err group_write(struct store *store, uint64_t first, uint64_t last,
                                uint64_t node_ms)
{
    uint8_t key[STORE_LOG_KEY_BYTES];
    struct store_group group = {
        .first = first,
        .last = last,
        .node_ms = node_ms,
        .synced = atomic_load_explicit(&store->synced, memory_order_acquire),
        .prev = store->log_hash,
        .frames = {store->group + STORE_GROUP_HEADER_BYTES, store->group_frames},
    };
    store_group_seal(&group, store->group);
    bytes_put_u64be(key, first);
    struct svm_kv_op put = {
        .key = {key, sizeof key},
        .value = {store->group, STORE_GROUP_HEADER_BYTES + store->group_frames},
    };
    bool sync = store->mode == STORE_SYNC;
    uint64_t since_us = sync ? store_now_us() : 0;

    FAULT_POINT("store.append.before_write");
    enum svm_err err = store->log_kv.write(store->log_kv.self, &put, 1, sync);
    FAULT_POINT("store.append.after_write");
    if (err != SVM_OK)
        return store_fail_io(store, err, "the log cannot be written", &store->log_kv);

    store->log_hash = group.hash;
    atomic_fetch_add_explicit(&store->counts.log_bytes, put.value.len, memory_order_relaxed);
    atomic_fetch_add_explicit(&store->dirty_bytes, put.value.len, memory_order_relaxed);
    atomic_store_explicit(&store->logged, last, memory_order_release);
    if (sync) {
        count_sync(store, since_us);
        synced_raise(store, last);
    }
    return SVM_OK;
}

enum svm_err store_group_commit(struct store *store, uint64_t first, uint64_t last,
                                uint64_t node_ms)
{
    if (store_has_failed(store))
        return SVM_E_IO;
    SVM_ASSERT(first == atomic_load_explicit(&store->logged, memory_order_relaxed) + 1);
    SVM_ASSERT(last >= first);

    enum svm_err err = SVM_OK;
    if (store->mode == STORE_MEMORY) {
        atomic_store_explicit(&store->logged, last, memory_order_release);
        atomic_store_explicit(&store->synced, last, memory_order_release);
    } else {
        SVM_ASSERT(store->group_frames > 0);
        err = group_write(store, first, last, node_ms);
    }
    store->group_frames = 0;
    if (err == SVM_OK)
        atomic_fetch_add_explicit(&store->counts.groups, 1, memory_order_relaxed);
    return err;
}

enum svm_err store_log_sync(struct store *store)
{
    if (store_has_failed(store))
        return SVM_E_IO;
    uint64_t logged = atomic_load_explicit(&store->logged, memory_order_acquire);
    if (store->mode == STORE_MEMORY || store_synced(store) >= logged)
        return SVM_OK;

    uint64_t since_us = store_now_us();
    FAULT_POINT("store.sync.before");
    enum svm_err err = store->log_kv.sync(store->log_kv.self);
    FAULT_POINT("store.sync.after");
    if (err != SVM_OK)
        return store_fail_io(store, err, "the log cannot be synced", &store->log_kv);
    count_sync(store, since_us);
    synced_raise(store, logged);
    return SVM_OK;
}

uint64_t store_logged(const struct store *store)
{
    return atomic_load_explicit(&store->logged, memory_order_acquire);
}

uint64_t store_synced(const struct store *store)
{
    return atomic_load_explicit(&store->synced, memory_order_acquire);
}

uint64_t store_durable(const struct store *store)
{
    switch (store->mode) {
    case STORE_MEMORY:
        return 0;
    case STORE_WRITE:
        return store_logged(store);
    case STORE_SYNC:
    case STORE_INTERVAL:
        break;
    }
    return store_synced(store);
}

uint64_t store_dirty_bytes(const struct store *store)
{
    return atomic_load_explicit(&store->dirty_bytes, memory_order_relaxed);
}

/* ---- audit ------------------------------------------------------------------------------------------------- */

/* visit_group: every frame of GROUP from FROM_SEQ on. *GO_ON is what the visitor wants. */
static enum svm_err visit_group(const struct store_group *group, uint64_t from_seq,
                                struct model_frame *frame, store_frame_fn *visit, void *arg,
                                bool *go_on)
{
    struct svm_bytes rest = group->frames;
    for (uint64_t seq = group->first; seq <= group->last; seq++) {
        enum svm_err err = model_frame_decode(frame, &rest);
        if (err != SVM_OK)
            return err;
        if (frame->seq != seq)
            return SVM_E_CORRUPT;
        if (seq < from_seq)
            continue;
        *go_on = visit(arg, frame);
        if (!*go_on)
            return SVM_OK;
    }
    return rest.len == 0 ? SVM_OK : SVM_E_CORRUPT;
}

static enum svm_err visit_groups(struct svm_kv_iter *iter, const struct svm_kv_ops *kv,
                                 uint64_t from_seq, struct model_frame *frame,
                                 store_frame_fn *visit, void *arg)
{
    struct store_group group = {0};
    struct svm_digest expected = {{0}};
    uint64_t next = 0; /* 0 = at the first group that is left: what it must follow is not known */
    bool go_on = true;
    struct svm_bytes key, value;
    kv->iter_seek(iter, (struct svm_bytes){(const uint8_t *)"", 0});
    for (; go_on && kv->iter_valid(iter, &key, &value); kv->iter_next(iter)) {
        if (!store_group_parse(&group, key, value))
            return SVM_E_CORRUPT;
        if (next != 0 && group.first != next)
            return SVM_E_CORRUPT;
        if (next != 0 && memcmp(group.prev.b, expected.b, 32) != 0)
            return SVM_E_CORRUPT;
        if (group.last >= from_seq) {
            if (!store_group_frames_intact(&group))
                return SVM_E_CORRUPT;
            enum svm_err err = visit_group(&group, from_seq, frame, visit, arg, &go_on);
            if (err != SVM_OK)
                return err;
        }
        next = group.last + 1;
        expected = group.hash;
    }
    return SVM_OK;
}

enum svm_err store_log_visit(struct store *store, uint64_t from_seq, store_frame_fn *visit,
                             void *arg)
{
    if (store->mode == STORE_MEMORY)
        return SVM_OK;
    const struct svm_kv_ops *kv = &store->log_kv;
    struct model_frame *frame = malloc(sizeof *frame);
    if (frame == NULL)
        return SVM_E_NO_MEMORY;
    struct svm_kv_iter *iter = kv->iter_open(kv->self);
    if (iter == NULL) {
        free(frame);
        return SVM_E_NO_MEMORY;
    }
    enum svm_err err = visit_groups(iter, kv, from_seq, frame, visit, arg);
    enum svm_err closed = kv->iter_close(iter);
    free(frame);
    return closed != SVM_OK ? closed : err;
}
