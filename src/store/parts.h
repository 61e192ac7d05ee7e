/* store/parts.h - struct store and what the files of this room share.
 *
 * Who writes what:
 *   C  group*, log_hash; `logged`, `dirty_bytes` up
 *   G  meta, batch, frame, object, trimmed, sweep; `materialised`, `dirty_bytes` down
 *   both  `synced` (only ever raised), counters, `failure` (first one wins)
 * Positions are stored with release after what they promise is true, and read with acquire. */
#ifndef STORE_PARTS_H
#define STORE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/batch.h"
#include "store/dir.h"
#include "store/meta.h"
#include "store/receipts.h"
#include "store/store.h"

/* Where the sweep of history stands; `count` and `since_ms` are of the id that the cursor points into. */
struct store_sweep_at {
    uint8_t key[1 + 32 + 8]; /* next key to look at */
    size_t key_len;          /* 0 = start over */
    uint8_t id[32];
    bool in_id;
    uint64_t count;    /* newer rows of `id` seen */
    uint64_t since_ms; /* when the next newer version was written */
    uint64_t order;    /* receipts at positions below are gone */
    uint64_t dropped;  /* and their room was given back below this one */
};

struct store {
    enum store_mode mode;
    struct svm_kv_ops log_kv, state_kv;
    bool log_open, state_open; /* ours to close */
    struct store_dir dir;
    void (*log)(void *arg, int level, const char *event, const char *text);
    void *log_arg;

    uint8_t *group; /* header, then frames */
    size_t group_frames;
    struct svm_digest log_hash; /* of the last group logged */

    _Atomic uint64_t logged, synced, materialised;
    _Atomic uint64_t dirty_bytes;
    _Atomic uint64_t receipts_seconds, history_versions, history_seconds;

    struct store_meta meta;
    uint64_t held;       /* `state` holds this position durably: the log up to it may go */
    uint64_t batched_us; /* when the last batch was written */
    size_t ingest_bytes;
    struct store_batch batch;
    struct store_receipts receipts;
    struct model_frame *frame;
    struct model_object *object; /* scratch: room for the largest */
    uint64_t trimmed;            /* groups that begin at or below are gone from the log */
    struct store_sweep_at sweep;

    struct {
        _Atomic uint64_t groups, log_bytes, syncs, sync_us, rows, history_pruned, receipts_pruned;
    } counts;
    struct {
        _Atomic uint64_t block_cache, write_buffers, table_readers;
    } memory; /* when the database was asked last */
    _Atomic uint64_t disk_free_bytes, disk_free_at_ms;

    _Atomic int failed; /* 0 no, 1 being written, 2 `failure` can be read */
    char failure[240];
};

/* store_fail: the store is done for: note WHAT and why: what KV (may be NULL) says of an SVM_E_IO, else ERR. Returns ERR for the caller to pass
 * on; store_fail_io: SVM_E_IO, whatever ERR is. */
enum svm_err store_fail(struct store *store, enum svm_err err, const char *what,
                        const struct svm_kv_ops *kv);
enum svm_err store_fail_io(struct store *store, enum svm_err err, const char *what,
                           const struct svm_kv_ops *kv);
static inline bool store_has_failed(const struct store *store)
{
    return atomic_load_explicit(&store->failed, memory_order_acquire) != 0;
}
void store_say(const struct store *store, int level, const char *event, const char *text);
uint64_t store_now_us(void); /* monotonic; for counters and the pace alone */

/* store_materialise_upto: the materialiser. Consume whole groups, first M + 1, last at most UPTO, until BYTES_MAX of log are
 * read or the log ends; one batch. The headers' chain is checked; the frames' hashes were, where they came from (recovery, commit). */
SVM_MUST_USE enum svm_err store_materialise_upto(struct store *store, uint64_t upto,
                                                 size_t bytes_max, uint64_t *did_out);

/* store_state_create: fill an empty `state` with the genesis, durably. */
SVM_MUST_USE enum svm_err store_state_create(struct store *store,
                                             const struct model_genesis *genesis);

/* store_recover: log and state are open, `meta` is read: verify the chain, remove what a legal power cut left behind its
 * end, materialise the rest, set all positions. */
SVM_MUST_USE enum svm_err store_recover(struct store *store, struct store_opened *opened,
                                        char reason[120]);

#endif
