/* store/store.h - door of the store room: log first, state later (ARCHITECTURE section 6).
 *
 *     committer --group--> log (segments; one put = one commit group, hash-chained)  = the commit point
 *                            |
 *                            +--> materialiser --sorted, coalesced batch--> state (RocksDB; WAL off; one column family)
 *                                  (the very same function recovers)          objects, cells, history, owner index,
 *                                                                             receipts, meta {M, group hash, node time}
 *
 * Threads: append/sync: one (C). materialise, trim, sweep, checkpoint, compact: one (G) or under the caller's lock. Reads: any.
 * Errors: every failure of a write or a sync is final: the store refuses all later writes with SVM_E_IO and says why.
 * The room refuses to know: claims, queues, JSON, clocks (time comes in). RocksDB stays inside, behind struct svm_kv_ops. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "model/model.h"

/* ---- key-value port ----------------------------------------------------------------------------------------- */

/* What the store needs of a database; RocksDB is one implementation, store_kv_ram another (tests, simulation). Keys are ordered
 * bytewise. One instance each for log and state. */
struct svm_kv_op {
    struct svm_bytes key, value;
    bool del;
};
struct svm_kv_iter; /* a consistent view since its creation */
struct
    svm_kv_memory { /* bytes: blocks of tables read; written and not yet on disk; open tables, beyond the first */
    uint64_t block_cache, write_buffers, table_readers;
};
struct svm_kv_ops {
    void *self;
    /* write: all ops atomically; SYNC = durable on return (log only). */
    enum svm_err (*write)(void *self, const struct svm_kv_op *ops, size_t count, bool sync);
    enum svm_err (*sync)(void *self); /* everything written so far is durable (log) */
    /* sync_found: what was there when the instance was opened, from the key FROM on, is durable, whatever became of the syncs of the process that wrote
     * it (log). NULL = sync is enough. */
    enum svm_err (*sync_found)(void *self, uint64_t from);
    enum svm_err (*flush)(
        void *self); /* everything written so far is on disk without a WAL (state); waits */
    /* ingest: as write, but durable on return, with all that was written before (state). OPS ascend, each key once; those from
     * TAIL on (COUNT = none) have keys above everything that is there. NULL = not to be had: write. */
    enum svm_err (*ingest)(void *self, const struct svm_kv_op *ops, size_t count, size_t tail);
    enum svm_err (*del_range)(void *self, struct svm_bytes from, struct svm_bytes to);
    /* drop: give back the room of [FROM, TO), which nobody reads any more, as far as that is cheap. Keys may stay. NULL = never. */
    enum svm_err (*drop)(void *self, struct svm_bytes from, struct svm_bytes to);
    /* get: gives *value_out (free); SVM_E_NOT_FOUND. */
    enum svm_err (*get)(void *self, struct svm_bytes key, uint8_t **value_out, size_t *len_out);
    struct svm_kv_iter *(*iter_open)(void *self);                      /* NULL = no memory */
    void (*iter_seek)(struct svm_kv_iter *iter, struct svm_bytes key); /* first key >= KEY */
    void (*iter_seek_last)(struct svm_kv_iter *iter);
    bool (*iter_valid)(struct svm_kv_iter *iter, struct svm_bytes *key_out,
                       struct svm_bytes *value_out);
    void (*iter_next)(struct svm_kv_iter *iter);
    enum svm_err (*iter_close)(
        struct svm_kv_iter *iter); /* SVM_E_IO when it met an error on the way */
    /* checkpoint: a copy of everything at DIR, which is not there; linked where it can be. What fails is the copy, with REASON: the
     * instance goes on. */
    enum svm_err (*checkpoint)(void *self, const char *dir, char reason[120]);
    enum svm_err (*compact)(void *self);
    /* memory: what the database holds of it now. NULL = nothing to tell. */
    void (*memory)(void *self, struct svm_kv_memory *memory_out);
    void (*close)(void *self);
    /* failure: what the first failed write or sync said, or else the first failed read, or NULL. After a failed write or sync of the log
     * nothing more is written; a failed read ends nothing. */
    const char *(*failure)(void *self);
};
/* store_kv_rocks_open: RocksDB at DIR, for `state`: no WAL, bloom filters, sorted batches. Options respect the hazards of 7.8.3.
 * BLOCK_CACHE_BYTES of blocks that were read stay in memory, with the tables' indexes and filters. */
SVM_MUST_USE enum svm_err store_kv_rocks_open(struct svm_kv_ops *ops_out, const char *dir,
                                              uint64_t block_cache_bytes, char reason[120]);
/* store_kv_segments_open: files at DIR that are appended to, for the log. Keys are eight bytes and ascend; a write is one put; a
 * range of deletion begins at the front, or ends above all keys. */
SVM_MUST_USE enum svm_err store_kv_segments_open(struct svm_kv_ops *ops_out, const char *dir,
                                                 char reason[120]);
/* store_kv_ram_create: in memory, ordered; survives close so that a test can reopen it: store_kv_ram_destroy frees. */
struct store_kv_ram;
struct store_kv_ram *store_kv_ram_create(void);
void store_kv_ram_ops(struct svm_kv_ops *ops_out, struct store_kv_ram *ram);
void store_kv_ram_destroy(struct store_kv_ram *ram);
/* store_kv_ram_crash: the power fails: all but what was durable is gone (log: after the last sync; state: after the last flush),
 * except the first KEEP_UNSYNCED_LOG_WRITES writes after that point. Between store_close and store_open. Ends an injected failure. */
void store_kv_ram_crash(struct store_kv_ram *ram, size_t keep_unsynced_log_writes);
size_t store_kv_ram_unsynced(struct store_kv_ram *ram); /* how many writes a crash could take */
/* store_kv_ram_fail_at: the STEPS-th write, sync, flush or range deletion from now on fails, and all after it; 0 = none. */
void store_kv_ram_fail_at(struct store_kv_ram *ram, uint64_t steps);

/* ---- life --------------------------------------------------------------------------------------------------- */

struct store_config {
    const char *datadir; /* NULL: use log_ops and state_ops, or MEMORY */
    enum store_mode { STORE_MEMORY, STORE_WRITE, STORE_SYNC, STORE_INTERVAL } mode;
    const struct svm_kv_ops *log_ops,
        *state_ops;             /* tests: instead of RocksDB; not NULL together or not at all */
    uint64_t block_cache_bytes; /* of the state's database; 0 = 64 MiB */
    uint64_t receipts_seconds;
    uint64_t history_versions; /* 0 = no history */
    uint64_t history_seconds;
    uint64_t
        ingest_bytes; /* of log in one batch, from which on it enters `state` as a file; 0 = 4 MiB */
    void (*log)(void *arg, int level, const char *event,
                const char *text); /* level: 0 error .. 3 debug; may be NULL */
    void *log_arg;
};
/* What recovery found. */
struct store_opened {
    uint64_t next_seq;      /* 1 + max(log end, M) */
    uint64_t node_ms;       /* latest node time logged */
    uint64_t receipts_seen; /* 1 when there may be receipts of before the start */
    uint64_t objects[3];    /* live objects by kind */
    uint64_t transfers;
    bool created;        /* a new data directory, filled with the genesis */
    uint64_t replayed;   /* transactions replayed from the log */
    uint64_t cut_groups; /* groups of a legal power cut that were removed */
};
struct store;
/* store_open: lock the directory (own LOCK file with the pid), check FORMAT and genesis, open both databases, recover: run the materialiser
 * to the end of the log while the hash chain holds.
 * MODE MEMORY: keeps nothing; append counts, materialised stays 0, every get is NOT_FOUND; genesis is the caller's. What OPENED says of objects is then zero.
 * Returns SVM_OK, SVM_E_LOCKED, SVM_E_FOREIGN_DATA, SVM_E_CORRUPT, SVM_E_STORAGE_FULL (while a new directory is made), SVM_E_IO, SVM_E_NO_MEMORY with
 * REASON. */
SVM_MUST_USE enum svm_err store_open(struct store **store_out, const struct store_config *config,
                                     const struct model_genesis *genesis,
                                     struct store_opened *opened_out, char reason[120]);
/* store_close: sync the log (not in MEMORY), materialise nothing more, close, unlock. */
void store_close(struct store *store);
const char *
store_failure(const struct store *store); /* NULL, or why the store has failed for good */

/* ---- log: the committer -------------------------------------------------------------------------------------- */

enum { STORE_GROUP_BYTES_MAX = 4 << 20, STORE_GROUP_BYTES_GOOD = 256 << 10 };
/* store_group_reserve: room for BYTES more frame bytes in the open group, or NULL: commit it first. A frame is at most 1 MiB + 64 KiB. */
uint8_t *store_group_reserve(struct store *store, size_t bytes);
/* store_group_commit: write the open group: positions FIRST..LAST, latest node time, then sync when the mode is SYNC.
 * On return logged (and in SYNC synced) is LAST. In MEMORY FRAMES may be empty. SVM_OK or SVM_E_IO (final). */
SVM_MUST_USE enum svm_err store_group_commit(struct store *store, uint64_t first, uint64_t last,
                                             uint64_t node_ms);
/* store_log_sync: INTERVAL and shutdown: everything logged is durable. */
SVM_MUST_USE enum svm_err store_log_sync(struct store *store);
uint64_t store_logged(const struct store *store);
uint64_t store_synced(const struct store *store);
uint64_t
store_durable(const struct store *store); /* by mode: MEMORY 0, WRITE logged, else synced */
uint64_t store_dirty_bytes(const struct store *store); /* logged and not materialised */

/* ---- state: the materialiser --------------------------------------------------------------------------------- */

/* store_materialise: consume synced groups (MODE WRITE and INTERVAL: syncs the log first when nothing synced is left) up to about BYTES_MAX
 * of log into one sorted state batch with its meta row. DID_OUT: groups consumed. A small batch is held by `state` after the next
 * flush; a big one is a file and durable on return.
 * BYTES_MAX = STORE_PACED: batches of the size that costs least. A little (below 1 MiB) and a lot (STORE_PACE_BYTES) go at once, what
 * lies between waits for more, a second since the last batch at most: then nothing is done and DID_OUT is 0. A batch takes about
 * 1.7 times its bytes of log in memory, and that much of the log is what a start has to replay. */
enum { STORE_PACED = 0, STORE_PACE_BYTES = 64 << 20 };
SVM_MUST_USE enum svm_err store_materialise(struct store *store, size_t bytes_max,
                                            uint64_t *did_out);
uint64_t store_materialised(const struct store *store); /* M */
/* store_trim: flush `state` unless a file holds it all, then delete the log up to M. Called when enough has piled up. */
SVM_MUST_USE enum svm_err store_trim(struct store *store);
/* store_sweep: drop receipts older than receipts_seconds and history beyond its limits; visits at most BUDGET rows. */
SVM_MUST_USE enum svm_err store_sweep(struct store *store, uint64_t now_ms, size_t budget);
void store_retention(struct store *store, uint64_t receipts_seconds, uint64_t history_versions,
                     uint64_t history_seconds);

/* ---- reads: any thread ---------------------------------------------------------------------------------------- */

/* store_object_get: newest materialised version. ALLOC gives memory for the decoded object. Tombstones are given as objects with `deleted`.
 * Returns SVM_OK, SVM_E_NOT_FOUND, SVM_E_IO, SVM_E_CORRUPT, SVM_E_NO_MEMORY. */
typedef void *store_alloc_fn(void *arg, size_t size);
SVM_MUST_USE enum svm_err store_object_get(struct store *store, const struct svm_id *id,
                                           uint64_t *seq_out, store_alloc_fn *alloc, void *arg,
                                           struct model_object **object_out);
/* store_cell_get: VALUE is given by ALLOC with exactly its length; a deleted cell has DELETED_OUT and version. */
SVM_MUST_USE enum svm_err store_cell_get(struct store *store, struct svm_bytes key,
                                         uint64_t *seq_out, uint64_t *version_out,
                                         bool *deleted_out, store_alloc_fn *alloc, void *arg,
                                         size_t *len_out);
/* store_receipt_get: gives (svm_receipt_free). */
SVM_MUST_USE enum svm_err store_receipt_get(struct store *store, const struct svm_digest *digest,
                                            struct svm_receipt **receipt_out);
/* store_owned: ids in the owner index of OWNER that are > AFTER (NULL = all), at most LIMIT, ascending. */
SVM_MUST_USE enum svm_err store_owned(struct store *store, const struct svm_address *owner,
                                      const struct svm_id *after, struct svm_id *ids_out,
                                      size_t limit, size_t *count_out);
/* store_objects: ids of all object rows (tombstones too) > AFTER, at most LIMIT, ascending. */
SVM_MUST_USE enum svm_err store_objects(struct store *store, const struct svm_id *after,
                                        struct svm_id *ids_out, size_t limit, size_t *count_out);

/* ---- operation ------------------------------------------------------------------------------------------------ */

struct store_counts {
    uint64_t groups, log_bytes, syncs, sync_us, rows, history_pruned, receipts_pruned,
        disk_free_bytes;
};
void store_counts(struct store *store, struct store_counts *counts_out);
/* store_memory: of the state's database, when it was asked last: at the start, and by store_memory_sample (G), which takes the database's lock. */
void store_memory(const struct store *store, struct svm_kv_memory *memory_out);
void store_memory_sample(struct store *store);
uint64_t store_disk_free(struct store *store); /* bytes; UINT64_MAX without a directory */
/* store_checkpoint: DIR must not exist: pause trimming, flush and checkpoint state, then log, then write and fsync MANIFEST {seq, hashes, genesis}.
 * A data directory made of a checkpoint opens as any other.
 * Returns SVM_OK, SVM_E_METHOD_DISABLED (no data directory), SVM_E_INVALID_PARAMS (DIR, which REASON says what to do about), SVM_E_STORAGE_FULL
 * (no room for the copy), SVM_E_IO (the disk), SVM_E_NO_MEMORY, with REASON. Then nothing is left at DIR, and the store goes on. */
SVM_MUST_USE enum svm_err store_checkpoint(struct store *store, const char *dir, uint64_t *seq_out,
                                           char reason[120]);
SVM_MUST_USE enum svm_err store_compact(struct store *store);
/* store_log_visit: audit: every frame of the log from FROM_SEQ on, in order; GROUP_HASH of each group is verified.
 * Stops when VISIT returns false. Frames already trimmed are not seen. */
typedef bool store_frame_fn(void *arg, const struct model_frame *frame);
SVM_MUST_USE enum svm_err store_log_visit(struct store *store, uint64_t from_seq,
                                          store_frame_fn *visit, void *arg);

#endif
