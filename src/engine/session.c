#include "engine/cells.h"

#include <stdlib.h>
#include <string.h>

/* ---- sessions --------------------------------------------------------------------------------------------------------- */

/* Where a thread looks first: the session it used last, of whatever engine. Threads start at different ones. */
static _Thread_local uint32_t hint = UINT32_MAX;
static _Atomic uint32_t next_hint;

enum svm_err sessions_create(struct svm_engine *engine)
{
    uint32_t n = config_of(engine)->sessions_max;
    engine->session_array =
        aligned_alloc(_Alignof(struct svm_cell_txn), n * sizeof *engine->session_array);
    if (!engine->session_array)
        return SVM_E_NO_MEMORY;
    memset(engine->session_array, 0, n * sizeof *engine->session_array);
    engine->session_count = n;
    for (uint32_t i = 0; i < n; i++) {
        struct svm_cell_txn *txn = &engine->session_array[i];
        txn->engine = engine;
        txn->entries = txn->own_entries;
        txn->writes = txn->own_writes;
        txn->cap = CELL_ENTRIES_OWN;
        txn->pin.slot = i;
        rng_init(&txn->rng, engine_now_ns(engine) + i);
    }
    return SVM_OK;
}

static void arena_free(struct svm_cell_txn *txn, bool all)
{
    while (txn->arena && (all || txn->arena->next)) {
        struct cell_chunk *chunk = txn->arena;
        txn->arena = chunk->next;
        free(chunk);
    }
    if (txn->arena)
        txn->arena->len = 0;
}

void sessions_destroy(struct svm_engine *engine)
{
    for (uint32_t i = 0; i < engine->session_count; i++) {
        struct svm_cell_txn *txn = &engine->session_array[i];
        if (txn->thread)
            mvcc_thread_destroy(txn->thread);
        if (txn->entries != txn->own_entries) {
            free(txn->entries);
            free(txn->writes);
        }
        free(txn->index);
        free(txn->frame_writes);
        arena_free(txn, true);
    }
    free(engine->session_array);
}

uint32_t sessions_open(struct svm_engine *engine, bool inside)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < engine->session_count; i++) {
        int state = atomic_load(&engine->session_array[i].session);
        open += inside ? state == SESSION_INSIDE : state != SESSION_FREE;
    }
    return open;
}

void sessions_count(struct svm_engine *engine, struct svm_stats *stats)
{
    for (uint32_t i = 0; i < engine->session_count; i++) {
        const struct cell_counters *c = &engine->session_array[i].counters;
        stats->cell_started += atomic_load_explicit(&c->started, memory_order_relaxed);
        stats->cell_committed += atomic_load_explicit(&c->committed, memory_order_relaxed);
        stats->cell_aborted += atomic_load_explicit(&c->aborted, memory_order_relaxed);
        stats->cell_conflicts += atomic_load_explicit(&c->conflicts, memory_order_relaxed);
        stats->cell_retries += atomic_load_explicit(&c->retries, memory_order_relaxed);
        stats->snapshots_cancelled += atomic_load_explicit(&c->cancelled, memory_order_relaxed);
    }
}

static bool try_take(struct svm_cell_txn *txn, enum session_state state)
{
    int free_one = SESSION_FREE;
    if (atomic_load_explicit(&txn->session, memory_order_relaxed) != SESSION_FREE ||
        !atomic_compare_exchange_strong(&txn->session, &free_one, (int)state))
        return false;
    if (!txn->thread && !(txn->thread = mvcc_thread_create(txn->engine->mvcc))) {
        session_give(txn);
        return false;
    }
    return true;
}

/* The hint was no good: any other. `calls` keeps the engine there meanwhile. */
static struct svm_cell_txn *take_other(struct svm_engine *engine, enum session_state state)
{
    struct svm_cell_txn *found = NULL;
    atomic_fetch_add(&engine->calls, 1);
    for (uint32_t i = 1; i <= engine->session_count && !found; i++) {
        uint32_t at = (hint + i) % engine->session_count;
        if (try_take(&engine->session_array[at], state)) {
            found = &engine->session_array[at];
            hint = at;
        }
    }
    atomic_fetch_sub(&engine->calls, 1);
    return found;
}

struct svm_cell_txn *session_take(struct svm_engine *engine, enum session_state state,
                                  enum svm_err *err_out)
{
    if (hint == UINT32_MAX)
        hint = atomic_fetch_add_explicit(&next_hint, 1, memory_order_relaxed);
    if (hint >= engine->session_count)
        hint %= engine->session_count;
    struct svm_cell_txn *txn = &engine->session_array[hint];
    if (!try_take(txn, state))
        txn = take_other(engine, state);
    if (!txn) {
        *err_out = atomic_load(&engine->draining) ? SVM_E_SHUTTING_DOWN : SVM_E_OVERLOADED;
        return NULL;
    }
    if (atomic_load(&engine->draining)) {
        session_give(txn);
        *err_out = SVM_E_SHUTTING_DOWN;
        return NULL;
    }
    return txn;
}

void session_give(struct svm_cell_txn *txn)
{
    atomic_store_explicit(&txn->session, SESSION_FREE, memory_order_release);
}

/* ---- begin and end ---------------------------------------------------------------------------------------------------- */

enum svm_err cell_admit(struct svm_cell_txn *txn)
{
    struct svm_engine *engine = txn->engine;
    enum engine_room room = room_now(engine);
    txn->must_free = room == ROOM_TO_FREE;
    if (atomic_load_explicit(&engine->draining, memory_order_acquire))
        return SVM_E_SHUTTING_DOWN;
    if (atomic_load_explicit(&engine->fatal, memory_order_acquire) != SVM_OK || room > ROOM_TO_FREE)
        return SVM_E_STORAGE_READ_ONLY;
    if (store_dirty_bytes(engine->store) > config_of(engine)->dirty_bytes_max)
        return SVM_E_OVERLOADED;
    return SVM_OK;
}

void cell_start(struct svm_cell_txn *txn)
{
    SVM_ASSERT(txn->count == 0);
    cell_count(&txn->counters.started);
}

/* What dates a snapshot. The collector looks at the clock four times a second at least: its last look is good enough where snapshots may grow old. */
static uint64_t date_ms(struct svm_engine *engine)
{
    enum { OLD_MS = 10000 };
    return config_of(engine)->gc_snapshot_age_max_ms >= OLD_MS
               ? atomic_load_explicit(&engine->node_ms, memory_order_relaxed)
               : engine_node_ms(engine);
}

bool cell_pin(struct svm_cell_txn *txn)
{
    if (!txn->pinned)
        txn->pinned = mvcc_pin_again(txn->engine->mvcc, date_ms(txn->engine), &txn->pin);
    return txn->pinned;
}

enum svm_err svm_cell_begin(struct svm_engine *engine, struct svm_cell_txn **txn_out)
{
    enum svm_err err;
    struct svm_cell_txn *txn = session_take(engine, SESSION_INSIDE, &err);
    if (!txn)
        return err;
    err = cell_admit(txn);
    if (err == SVM_OK && !cell_pin(txn))
        err = SVM_E_OVERLOADED;
    if (err != SVM_OK) {
        session_give(txn);
        return err;
    }
    cell_start(txn);
    atomic_store_explicit(&txn->session, SESSION_OPEN, memory_order_release);
    *txn_out = txn;
    return SVM_OK;
}

static void discard(struct svm_cell_txn *txn)
{
    while (txn->discarded) {
        struct mvcc_version *version = txn->discarded;
        txn->discarded = mvcc_older(version);
        mvcc_private_chain(version, NULL);
        mvcc_version_destroy(txn->thread, version);
    }
}

void cell_end(struct svm_cell_txn *txn)
{
    for (uint32_t i = 0; i < txn->count; i++) {
        struct cell_entry *entry = &txn->entries[i];
        mvcc_unhold(entry->head);
        if (entry->version)
            mvcc_version_destroy(txn->thread, entry->version);
    }
    discard(txn);
    if (txn->pinned) {
        if (mvcc_pin_cancelled(txn->engine->mvcc, &txn->pin))
            cell_count(&txn->counters.cancelled);
        mvcc_unpin(txn->engine->mvcc, &txn->pin);
    }
    txn->pinned = false;
    txn->count = txn->read_count = txn->write_count = 0;
    if (txn->bytes > 0)
        arena_free(txn, false);
    txn->bytes = 0;
}

void svm_cell_abort(struct svm_cell_txn *txn)
{
    cell_count(&txn->counters.aborted);
    cell_end(txn);
    session_give(txn);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

bool cell_bytes_fit(const struct svm_cell_txn *txn, size_t len)
{
    return txn->bytes + len <= 16 * (size_t)config_of(txn->engine)->tx_effects_bytes_max;
}

enum svm_err cell_copy(struct svm_cell_txn *txn, struct svm_bytes bytes, struct svm_bytes *copy_out)
{
    enum { CHUNK_BYTES = 16384 };
    if (!cell_bytes_fit(txn, bytes.len))
        return SVM_E_LIMIT_EXCEEDED;
    if (!txn->arena || txn->arena->cap - txn->arena->len < bytes.len) {
        size_t cap = bytes.len > CHUNK_BYTES ? bytes.len : CHUNK_BYTES;
        struct cell_chunk *chunk = malloc(sizeof *chunk + cap);
        if (!chunk)
            return SVM_E_OVERLOADED;
        *chunk = (struct cell_chunk){.next = txn->arena, .cap = cap};
        txn->arena = chunk;
    }
    uint8_t *at = txn->arena->bytes + txn->arena->len;
    memcpy(at, bytes.ptr, bytes.len);
    txn->arena->len += bytes.len;
    txn->bytes += bytes.len;
    *copy_out = (struct svm_bytes){at, bytes.len};
    return SVM_OK;
}
