/* Life of a store: configuration, creation, opening, closing, failing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "store/group.h"
#include "store/parts.h"
#include "store/rows.h"

enum {
    REASON_BYTES = 120,
    DISK_FREE_CACHE_MS = 100,
    STORE_INGEST_BYTES = 4 << 20,
    STORE_BLOCK_CACHE_BYTES = 64 << 20
};

#define SAY(reason, ...) ((void)snprintf((reason), REASON_BYTES, __VA_ARGS__))

uint64_t store_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

void store_say(const struct store *store, int level, const char *event, const char *text)
{
    if (store->log != NULL)
        store->log(store->log_arg, level, event, text);
}

enum svm_err store_fail(struct store *store, enum svm_err err, const char *what,
                        const struct svm_kv_ops *kv)
{
    int none = 0;
    if (atomic_compare_exchange_strong(&store->failed, &none, 1)) {
        /* It keeps its first failure, which can be an older one: of a read, when this is no memory. */
        const char *why = kv == NULL || err != SVM_E_IO ? NULL : kv->failure(kv->self);
        if (why == NULL)
            why = svm_err_text(err);
        snprintf(store->failure, sizeof store->failure, "%s: %s", what, why);
        atomic_store_explicit(&store->failed, 2, memory_order_release);
        store_say(store, 0, "store.failed", store->failure);
    }
    return err;
}

enum svm_err store_fail_io(struct store *store, enum svm_err err, const char *what,
                           const struct svm_kv_ops *kv)
{
    (void)store_fail(store, err, what, kv);
    return SVM_E_IO;
}

const char *store_failure(const struct store *store)
{
    switch (atomic_load_explicit(&store->failed, memory_order_acquire)) {
    case 0:
        return NULL;
    case 2:
        return store->failure;
    default:
        return "the store has failed";
    }
}

/* ---- open -------------------------------------------------------------------------------------------------- */

static enum svm_err no_memory(char reason[120])
{
    SAY(reason, "out of memory");
    return SVM_E_NO_MEMORY;
}

static void store_destroy(struct store *store)
{
    if (store->state_open)
        store->state_kv.close(store->state_kv.self);
    if (store->log_open)
        store->log_kv.close(store->log_kv.self);
    store_dir_close(&store->dir);
    store_batch_deinit(&store->batch);
    store_receipts_deinit(&store->receipts);
    free(store->object);
    free(store->frame);
    free(store->group);
    free(store);
}

static struct store *store_make(const struct store_config *config)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    store->mode = config->mode;
    store->log = config->log;
    store->log_arg = config->log_arg;
    store->ingest_bytes = config->ingest_bytes == 0 ? STORE_INGEST_BYTES : config->ingest_bytes;
    store_dir_init(&store->dir);
    store_batch_init(&store->batch);
    if (!store_receipts_init(&store->receipts)) {
        free(store);
        return NULL;
    }
    store_retention(store, config->receipts_seconds, config->history_versions,
                    config->history_seconds);
    atomic_init(&store->disk_free_bytes, UINT64_MAX);

    store->group = malloc(STORE_GROUP_HEADER_BYTES + STORE_GROUP_BYTES_MAX);
    store->frame = malloc(sizeof *store->frame);
    store->object = malloc(model_object_size(SVM_TYPE_BYTES_MAX, SVM_DATA_BYTES_MAX));
    if (store->group == NULL || store->frame == NULL || store->object == NULL) {
        store_destroy(store);
        return NULL;
    }
    return store;
}

static enum svm_err database_open(struct svm_kv_ops *ops_out, bool *open_out,
                                  const struct store_config *config, bool is_log, char reason[120])
{
    char *path = store_dir_join(config->datadir, is_log ? "log" : "state");
    if (path == NULL)
        return no_memory(reason);
    uint64_t cache =
        config->block_cache_bytes ? config->block_cache_bytes : STORE_BLOCK_CACHE_BYTES;
    enum svm_err err = is_log ? store_kv_segments_open(ops_out, path, reason)
                              : store_kv_rocks_open(ops_out, path, cache, reason);
    free(path);
    *open_out = err == SVM_OK;
    return err;
}

static enum svm_err databases_open(struct store *store, const struct store_config *config,
                                   const struct svm_digest *genesis, bool *is_new_out,
                                   char reason[120])
{
    *is_new_out = false;
    if (config->datadir == NULL) {
        SVM_ASSERT(config->log_ops != NULL && config->state_ops != NULL);
        store->log_kv = *config->log_ops;
        store->state_kv = *config->state_ops;
        store->log_open = store->state_open = true;
        return SVM_OK;
    }
    enum svm_err err = store_dir_open(&store->dir, config->datadir, genesis, is_new_out, reason);
    if (err == SVM_OK)
        err = database_open(&store->state_kv, &store->state_open, config, false, reason);
    if (err == SVM_OK)
        err = database_open(&store->log_kv, &store->log_open, config, true, reason);
    return err;
}

/* meta_read: SVM_E_NOT_FOUND = `state` has none. */
static enum svm_err meta_read(struct store *store, char reason[120])
{
    static const uint8_t key = ROW_META;
    struct svm_kv_ops *kv = &store->state_kv;
    uint8_t *row;
    size_t len;
    enum svm_err err = kv->get(kv->self, (struct svm_bytes){&key, 1}, &row, &len);
    if (err == SVM_E_NOT_FOUND)
        return err;
    if (err != SVM_OK) {
        const char *why = kv->failure(kv->self);
        SAY(reason, "the state cannot be read: %.80s", why == NULL ? svm_err_text(err) : why);
        return err;
    }
    err = store_meta_decode(&store->meta, (struct svm_bytes){row, len});
    free(row);
    if (err != SVM_OK)
        SAY(reason, "the meta row of the state is damaged");
    return err;
}

static enum svm_err is_empty(const struct svm_kv_ops *kv, bool *empty_out)
{
    struct svm_bytes key, value;
    struct svm_kv_iter *iter = kv->iter_open(kv->self);
    if (iter == NULL)
        return SVM_E_NO_MEMORY;
    kv->iter_seek_last(iter);
    *empty_out = !kv->iter_valid(iter, &key, &value);
    return kv->iter_close(iter);
}

/* create: `state` gets the genesis, then the directory its FORMAT. A creation that was interrupted is begun anew, but
 * nothing that ever held a transaction is touched. */
static enum svm_err create(struct store *store, const struct model_genesis *genesis,
                           char reason[120])
{
    bool log_empty = false;
    enum svm_err err = is_empty(&store->log_kv, &log_empty);
    if (err != SVM_OK) {
        SAY(reason, "the log cannot be read");
        return err;
    }
    if (!log_empty || store->meta.seq > 0) {
        SAY(reason, "there are transactions, but no %s: a part of the data is missing",
            store->dir.path == NULL ? "state" : "FORMAT");
        return SVM_E_FOREIGN_DATA;
    }
    err = store_state_create(store, genesis);
    FAULT_POINT("store.create.after_state");
    if (err != SVM_OK) {
        SAY(reason, "%.119s", store_has_failed(store) ? store->failure : svm_err_text(err));
        return err;
    }
    if (store->dir.path == NULL)
        return SVM_OK;
    return store_dir_finish(store->dir.path, genesis->canonical, &genesis->digest, reason);
}

static enum svm_err open_disk(struct store *store, const struct store_config *config,
                              const struct model_genesis *genesis, struct store_opened *opened,
                              char reason[120])
{
    bool is_new;
    enum svm_err err = databases_open(store, config, &genesis->digest, &is_new, reason);
    if (err != SVM_OK)
        return err;
    err = meta_read(store, reason);
    if (err == SVM_E_NOT_FOUND && config->datadir != NULL && !is_new) {
        SAY(reason, "the state has lost its meta row");
        return SVM_E_CORRUPT;
    }
    if (err != SVM_OK && err != SVM_E_NOT_FOUND)
        return err;
    is_new = is_new || err == SVM_E_NOT_FOUND;

    if (is_new) {
        err = create(store, genesis, reason);
        if (err != SVM_OK)
            return err;
    } else if (memcmp(store->meta.genesis.b, genesis->digest.b, 32) != 0) {
        SAY(reason, "the state belongs to another genesis");
        return SVM_E_FOREIGN_DATA;
    }
    opened->created = is_new;
    err = store_runs_load(&store->receipts.runs, &store->state_kv);
    if (err != SVM_OK) {
        SAY(reason, "the index of receipts cannot be read: %.70s", svm_err_text(err));
        return err;
    }
    return store_recover(store, opened, reason);
}

enum svm_err store_open(struct store **store_out, const struct store_config *config,
                        const struct model_genesis *genesis, struct store_opened *opened_out,
                        char reason[120])
{
    reason[0] = '\0';
    struct store *store = store_make(config);
    if (store == NULL)
        return no_memory(reason);
    struct store_opened opened = {.next_seq = 1, .node_ms = genesis->time_ms, .created = true};
    enum svm_err err = SVM_OK;
    if (config->mode != STORE_MEMORY)
        err = open_disk(store, config, genesis, &opened, reason);
    if (err != SVM_OK) {
        store_destroy(store);
        return err;
    }
    store_memory_sample(store);
    *opened_out = opened;
    *store_out = store;
    return SVM_OK;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    if (!store_has_failed(store)) {
        enum svm_err err = store_log_sync(store);
        (void)err; /* said by store_fail */
    }
    store_destroy(store);
}

/* ---- operation --------------------------------------------------------------------------------------------- */

uint64_t store_disk_free(struct store *store)
{
    if (store->dir.path == NULL)
        return UINT64_MAX;
    uint64_t now_ms = store_now_us() / 1000;
    uint64_t at_ms = atomic_load_explicit(&store->disk_free_at_ms, memory_order_acquire);
    if (at_ms == 0 || now_ms - at_ms >= DISK_FREE_CACHE_MS) {
        uint64_t bytes = store_dir_free_bytes(&store->dir);
        atomic_store_explicit(&store->disk_free_bytes, bytes, memory_order_relaxed);
        atomic_store_explicit(&store->disk_free_at_ms, now_ms, memory_order_release);
        return bytes;
    }
    return atomic_load_explicit(&store->disk_free_bytes, memory_order_relaxed);
}

void store_counts(struct store *store, struct store_counts *counts_out)
{
#define COUNT(name) atomic_load_explicit(&store->counts.name, memory_order_relaxed)
    *counts_out = (struct store_counts){
        .groups = COUNT(groups),
        .log_bytes = COUNT(log_bytes),
        .syncs = COUNT(syncs),
        .sync_us = COUNT(sync_us),
        .rows = COUNT(rows),
        .history_pruned = COUNT(history_pruned),
        .receipts_pruned = COUNT(receipts_pruned),
        .disk_free_bytes = store_disk_free(store),
    };
#undef COUNT
}

void store_memory_sample(struct store *store)
{
    if (store->mode == STORE_MEMORY || store->state_kv.memory == NULL)
        return;
    struct svm_kv_memory memory = {0};
    store->state_kv.memory(store->state_kv.self, &memory);
#define KEEP(name) atomic_store_explicit(&store->memory.name, memory.name, memory_order_relaxed)
    KEEP(block_cache);
    KEEP(write_buffers);
    KEEP(table_readers);
#undef KEEP
}

void store_memory(const struct store *store, struct svm_kv_memory *memory_out)
{
#define KEPT(name) atomic_load_explicit(&store->memory.name, memory_order_relaxed)
    *memory_out = (struct svm_kv_memory){
        .block_cache = KEPT(block_cache),
        .write_buffers = KEPT(write_buffers),
        .table_readers = KEPT(table_readers),
    };
#undef KEPT
}

enum svm_err store_compact(struct store *store)
{
    if (store->mode == STORE_MEMORY)
        return SVM_OK;
    if (store_has_failed(store))
        return SVM_E_IO;
    enum svm_err err = store->state_kv.compact(store->state_kv.self);
    if (err != SVM_OK)
        return store_fail(store, err, "compaction failed", &store->state_kv);
    err = store->log_kv.compact(store->log_kv.self);
    if (err != SVM_OK)
        return store_fail(store, err, "compaction failed", &store->log_kv);
    return SVM_OK;
}
