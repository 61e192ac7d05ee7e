/* svm/engine.h - the SuperVM engine as a library.
 *
 *      submit --> ring --> workers: decode, dedupe, verify, route, execute, publish --> committer --> callbacks
 *                                                                                         |
 *                          query at a snapshot  <--  object table  <--  state (RocksDB) <-+ materialiser
 *
 * Threads. Every function may be called from any thread unless it says otherwise; none needs a lock of the caller's.
 * Callbacks run on threads of the engine: they must not block and must not call svm_engine_close.
 * Memory. What a call *gives* is freed with the function its comment names; everything else is borrowed. */
#ifndef SVM_ENGINE_H
#define SVM_ENGINE_H

#include <svm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct svm_engine;

/* ---- settings --------------------------------------------------------------------------------------------- */

enum svm_durability { SVM_MEMORY = 0, SVM_WRITE = 1, SVM_SYNC = 2, SVM_INTERVAL = 3 };
const char *svm_durability_name(enum svm_durability mode);

/* A log sink: one line, already formatted by level and event. May be called from any thread of the engine. */
enum svm_log_level { SVM_LOG_ERROR, SVM_LOG_WARN, SVM_LOG_INFO, SVM_LOG_DEBUG };
typedef void svm_log_fn(void *arg, enum svm_log_level level, const char *event, const char *text);

struct svm_config {
    const char *datadir;      /* NULL only with SVM_MEMORY */
    const char *genesis_json; /* text of the genesis file; NULL = svm_genesis_dev() */
    enum svm_durability durability;
    uint32_t durability_interval_ms; /* SVM_INTERVAL: at most this long between fsyncs */

    uint32_t workers;           /* threads; 0 = one per core, at most 64 */
    uint32_t inflight_max;      /* transactions admitted and not yet finished; a power of two */
    uint32_t object_queue_max;  /* transactions waiting in order for one object */
    uint32_t busy_attempts_max; /* attempts against a claim before BUSY */
    uint32_t waiters_max;       /* duplicates and svm_wait calls waiting at once */

    uint32_t tx_bytes_max;
    uint32_t tx_inputs_max;
    uint32_t tx_ops_max;
    uint32_t tx_data_bytes_max;
    uint32_t tx_effects_bytes_max;
    uint64_t tx_expiry_max_ms;
    uint64_t tx_dedupe_bytes; /* receipts kept in memory once materialised */

    uint64_t cache_bytes;         /* objects and cells kept in memory once materialised */
    uint64_t block_cache_bytes;   /* of the state database: blocks of its files that were read */
    uint64_t dirty_bytes_max;     /* log not yet materialised; beyond it OVERLOADED */
    uint64_t disk_free_min_bytes; /* below it writes are refused and reads served */
    uint64_t receipts_seconds;
    uint64_t
        history_versions; /* versions of one object kept on disk besides the newest; 0 = no history */
    uint64_t history_seconds;

    uint32_t gc_enabled; /* 0 = never collect (tests) */
    uint32_t gc_adaptive;
    uint32_t gc_interval_ms; /* start value; moves between min and max when adaptive */
    uint32_t gc_interval_min_ms;
    uint32_t gc_interval_max_ms;
    uint32_t gc_threshold; /* versions of garbage that start a run */
    uint32_t gc_threshold_min;
    uint32_t gc_threshold_max;
    uint32_t gc_snapshot_age_max_ms;

    uint32_t sessions_max; /* interactive transactions at once; and 256 snapshots more */
    uint32_t cell_value_bytes_max;
    uint32_t cell_attempts_max; /* svm_cell_run: attempts before RETRIES_EXHAUSTED */

    bool verify_signatures;     /* false only for benchmarks and tests of the engine alone */
    uint32_t clock_jump_max_ms; /* admission stops when the wall clock leaps further than this */
    svm_log_fn *log;            /* NULL = silent */
    void *log_arg;
    void *test_hooks; /* tests: struct engine_hooks; NULL otherwise */
};

/* svm_config_init: the documented defaults. */
void svm_config_init(struct svm_config *config);

/* ---- life ------------------------------------------------------------------------------------------------- */

/* svm_engine_open: open or create the data directory, recover, start the threads.
 *   engine_out  out  gives: svm_engine_close
 *   detail      out  may be NULL: `reason` tells what is wrong and what to do
 * Returns  SVM_OK, SVM_E_BAD_CONFIG, SVM_E_BAD_GENESIS, SVM_E_LOCKED, SVM_E_FOREIGN_DATA, SVM_E_CORRUPT,
 *          SVM_E_STORAGE_FULL (no room to create it), SVM_E_IO, SVM_E_NO_MEMORY. */
SVM_MUST_USE enum svm_err svm_engine_open(struct svm_engine **engine_out,
                                          const struct svm_config *config,
                                          struct svm_refusal *detail);
/* svm_engine_drain: admit nothing more (SHUTTING_DOWN); return when everything admitted has been answered. */
void svm_engine_drain(struct svm_engine *engine);
/* svm_engine_close: drain, sync, stop the threads, free. */
void svm_engine_close(struct svm_engine *engine);

/* ---- chain ------------------------------------------------------------------------------------------------ */

struct svm_chain_info {
    uint64_t chain;            /* what transactions name */
    struct svm_digest genesis; /* SHA-256 of the canonical genesis */
    bool dev;                  /* the genesis is svm_genesis_dev() */
};
void svm_chain_info(struct svm_engine *engine, struct svm_chain_info *info_out);

/* The deterministic development genesis, canonical JSON: ten accounts alice .. judy with one coin of 1,000,000 each and
 * five coins of 1,000 for the pre-signed lines, a faucet, a shared counter, a shared pool and an immutable object. */
const char *svm_genesis_dev(void);
enum { SVM_DEV_ACCOUNTS = 10 };
struct svm_dev_account {
    const char *name;
    struct svm_secret_key key; /* SHA-256("supervm dev key " || name): public knowledge */
    struct svm_public_key public_key;
    struct svm_address address;
    struct svm_id coin;
};
/* INDEX SVM_DEV_ACCOUNTS is the faucet, whose coin is the object "faucet". */
void svm_dev_account(struct svm_dev_account *account_out, unsigned index);
/* Object ids of the dev genesis: SHA-256("supervm dev object " || label): "alice coin", "alice spare 0".."4", ...,
 * "faucet", "counter", "pool", "notice". */
void svm_dev_object_id(struct svm_id *id_out, const char *label);

/* ---- submit ----------------------------------------------------------------------------------------------- */

/* When the callback runs: when the transaction was admitted, executed (its effects can be read), or durable. */
enum svm_wait { SVM_WAIT_NONE = 0, SVM_WAIT_EXECUTED = 1, SVM_WAIT_DURABLE = 2 };

/* What a submitter is told. Borrowed for the time of the callback. */
struct svm_outcome {
    enum svm_err
        err; /* SVM_OK: `receipt`, or `pending` with SVM_WAIT_NONE; else refused, see `refusal` */
    bool pending;
    bool duplicate; /* an earlier submission of the same transaction did the work */
    bool digest_known;
    bool durable; /* the receipt's seq is durable */
    struct svm_digest digest;
    uint64_t durable_seq;
    const struct svm_receipt *receipt;
    const struct svm_refusal *refusal;
};
typedef void svm_submit_fn(void *arg, const struct svm_outcome *outcome);

/* svm_submit: hand in SignedTransaction BYTES (copied).
 *   callback  runs exactly once when SVM_OK is returned, and never otherwise
 * Returns  SVM_OK; SVM_E_OVERLOADED, SVM_E_SHUTTING_DOWN, SVM_E_TX_TOO_LARGE, SVM_E_STORAGE_READ_ONLY with REFUSAL
 *          (may be NULL) filled.
 * In memory mode beyond cache_bytes, what leaves less in memory than it finds is executed; anything else is refused with
 * SVM_E_STORAGE_READ_ONLY in the callback. */
SVM_MUST_USE enum svm_err svm_submit(struct svm_engine *engine, struct svm_bytes bytes,
                                     enum svm_wait wait, svm_submit_fn *callback, void *arg,
                                     struct svm_refusal *refusal);

/* One of a batch: SignedTransaction bytes; or, when `tx` is not NULL, what svm_submit_decoded takes. `err` and `refusal` are per
 * entry. */
struct svm_submission {
    struct svm_bytes bytes;
    const struct svm_tx *tx;
    const struct svm_digest *digest; /* with `tx` */
    void *arg;
    struct svm_refusal *refusal; /* may be NULL; filled unless `err` is SVM_OK */
    enum svm_err err;
};
/* svm_submit_batch: svm_submit (svm_submit_decoded) for each, with one wake-up. */
void svm_submit_batch(struct svm_engine *engine, struct svm_submission *submissions, size_t count,
                      enum svm_wait wait, svm_submit_fn *callback);
/* svm_run_batch: the same, and the calling thread does the work of a worker on them, so that nothing crosses from one core to another.
 * For embedders that bring their own threads: with one per core give svm_config.workers = 1. When it returns, each entry has been
 * executed or refused, or is in the hands of other threads: behind others in the order of an object, or after meeting a claim. Callbacks,
 * also those of others, may run within the call, and while it lasts the thread takes on what became ready behind its own. At most ENGINE_SEATS (16)
 * threads at once; a further one's batch goes the way of svm_submit_batch. */
void svm_run_batch(struct svm_engine *engine, struct svm_submission *submissions, size_t count,
                   enum svm_wait wait, svm_submit_fn *callback);

/* svm_submit_decoded: for embedders that have decoded and verified themselves. TX (inputs and ops
 * included) is copied; its byte strings are borrowed until the transaction has been executed: until
 * the callback, but with SVM_WAIT_NONE, whose callback comes before, until it is known to be
 * finished (svm_wait, svm_engine_drain). Otherwise as svm_submit. */
SVM_MUST_USE enum svm_err svm_submit_decoded(struct svm_engine *engine, const struct svm_tx *tx,
                                             const struct svm_digest *digest, enum svm_wait wait,
                                             svm_submit_fn *callback, void *arg,
                                             struct svm_refusal *refusal);

/* svm_submit_wait: svm_submit and block until the outcome. Not from a callback.
 *   receipt_out  out  gives: svm_receipt_free; NULL unless SVM_OK and not pending
 *   outcome_out  out  may be NULL; its receipt and refusal pointers are NULL */
SVM_MUST_USE enum svm_err svm_submit_wait(struct svm_engine *engine, struct svm_bytes bytes,
                                          enum svm_wait wait, struct svm_receipt **receipt_out,
                                          struct svm_outcome *outcome_out,
                                          struct svm_refusal *refusal);
struct svm_receipt *
svm_receipt_copy(const struct svm_receipt *receipt); /* gives: svm_receipt_free; NULL = no memory */
void svm_receipt_free(struct svm_receipt *receipt);

/* svm_wait: the callback runs when the transaction DIGEST reaches WAIT, or at once with NOT_FOUND when nothing of that
 * digest is known, with IO when that cannot be looked up. Returns SVM_OK or SVM_E_OVERLOADED (waiters_max). */
SVM_MUST_USE enum svm_err svm_wait(struct svm_engine *engine, const struct svm_digest *digest,
                                   enum svm_wait wait, svm_submit_fn *callback, void *arg);

/* svm_receipt_get: what became of DIGEST. Durable and not yet durable receipts alike; compare with svm_durable_seq.
 * Returns SVM_OK (gives: svm_receipt_free), SVM_E_NOT_FOUND, SVM_E_BUSY (admitted, not executed yet), SVM_E_IO. */
SVM_MUST_USE enum svm_err svm_receipt_get(struct svm_engine *engine,
                                          const struct svm_digest *digest,
                                          struct svm_receipt **receipt_out);

uint64_t svm_applied_seq(struct svm_engine *engine); /* every transaction up to here can be read */
uint64_t svm_durable_seq(
    struct svm_engine *engine); /* every transaction up to here survives, as the mode promises */
uint64_t svm_now_ms(struct svm_engine *engine); /* node time */

/* ---- simulate, explain ------------------------------------------------------------------------------------- */

/* svm_simulate: execute SignedTransaction (or unsigned Transaction, SIGNED = false) BYTES against a snapshot; nothing is
 * written. The receipt's seq is the snapshot's. Returns as a submission would.
 *   receipt_out  out  gives: svm_receipt_free */
SVM_MUST_USE enum svm_err svm_simulate(struct svm_engine *engine, struct svm_bytes bytes,
                                       bool is_signed, struct svm_receipt **receipt_out,
                                       struct svm_refusal *refusal);

enum svm_route_rule {
    SVM_RULE_PRIVATE,      /* a private variant */
    SVM_RULE_SHARED_INPUT, /* an input is shared: ordered */
    SVM_RULE_ALL_OWNED,    /* every input is the sender's own, or immutable: fast */
    SVM_RULE_NO_INPUT,     /* no input at all: fast */
    SVM_RULE_REFUSED       /* see the refusal */
};
const char *svm_route_rule_name(enum svm_route_rule rule); /* "PRIVATE", "SHARED_INPUT", ... */
struct svm_route_input {
    struct svm_id id;
    bool known, deleted;
    enum svm_kind declared, actual;
    bool exact;
    uint64_t given, current;
    struct svm_address owner;
};
struct svm_route {
    enum svm_path path;
    enum svm_route_rule rule;
    enum svm_err err; /* SVM_OK, or what a submission would be refused with now */
    struct svm_refusal refusal;
    uint64_t seq; /* snapshot */
    uint16_t input_count;
    struct svm_route_input inputs[SVM_TX_INPUTS_MAX];
};
/* svm_explain_route: which path BYTES (as svm_simulate) would take now, by which rule, and why.
 * Returns SVM_OK, or a decoding error. */
SVM_MUST_USE enum svm_err svm_explain_route(struct svm_engine *engine, struct svm_bytes bytes,
                                            bool is_signed, struct svm_route *route_out,
                                            struct svm_refusal *refusal);

/* ---- query ------------------------------------------------------------------------------------------------ */

/* A consistent view of the state after transaction `seq`. Bounded in number (sessions_max + 256, those of
 * interactive transactions among them; then SVM_E_OVERLOADED) and age (gc_snapshot_age_max_ms, then SNAPSHOT_TOO_OLD). One thread at a time may use it. */
struct svm_snapshot;
SVM_MUST_USE enum svm_err svm_snapshot_open(struct svm_engine *engine,
                                            struct svm_snapshot **snapshot_out);
void svm_snapshot_close(struct svm_snapshot *snapshot);
uint64_t svm_snapshot_seq(const struct svm_snapshot *snapshot);

/* svm_object_get: the object ID in SNAPSHOT.
 *   object_out  out  gives: svm_object_free (the bytes are part of the same allocation)
 * Returns SVM_OK, SVM_E_NOT_FOUND, SVM_E_OBJECT_DELETED, SVM_E_SNAPSHOT_TOO_OLD, SVM_E_IO. */
SVM_MUST_USE enum svm_err svm_object_get(struct svm_snapshot *snapshot, const struct svm_id *id,
                                         struct svm_object **object_out);
void svm_object_free(struct svm_object *object);

/* svm_route_objects: the path of a transaction of SENDER's that lists these objects, as of SNAPSHOT, by the router's rules: a
 * shared one leads to consensus, an owned one must be the sender's, an immutable one makes no difference. Nothing is
 * copied or allocated: for embedders that route closures of their own (`fast` of svm_cell_job).
 *   path_out  out  written only on SVM_OK
 * Returns SVM_OK, SVM_E_OBJECT_NOT_FOUND, SVM_E_OBJECT_DELETED, SVM_E_NOT_OWNER, SVM_E_SNAPSHOT_TOO_OLD, SVM_E_OVERLOADED,
 *         SVM_E_IO. */
SVM_MUST_USE enum svm_err svm_route_objects(struct svm_snapshot *snapshot,
                                            const struct svm_address *sender,
                                            const struct svm_id *const *ids, size_t count,
                                            enum svm_path *path_out);

/* svm_object_list: up to LIMIT objects owned by OWNER with ids > AFTER (NULL = from the start), in id order.
 *   objects_out  out  array of LIMIT pointers; each gives: svm_object_free
 *   more_out     out  there are further ones after the last
 * Returns SVM_OK, SVM_E_SNAPSHOT_TOO_OLD, SVM_E_IO. */
SVM_MUST_USE enum svm_err svm_object_list(struct svm_snapshot *snapshot,
                                          const struct svm_address *owner,
                                          const struct svm_id *after,
                                          struct svm_object **objects_out, size_t limit,
                                          size_t *count_out, bool *more_out);

/* svm_state_scan: every live object in id order. Slow; for audits. Stops when VISIT returns false. */
typedef bool svm_object_visit_fn(void *arg, const struct svm_object *object);
SVM_MUST_USE enum svm_err svm_state_scan(struct svm_snapshot *snapshot, svm_object_visit_fn *visit,
                                         void *arg);
/* svm_state_hash: SHA-256 over the object digests of live objects in id order. */
SVM_MUST_USE enum svm_err svm_state_hash(struct svm_snapshot *snapshot,
                                         struct svm_digest *hash_out);

/* ---- interactive transactions over cells -------------------------------------------------------------------- */

/* Cells: a key-value space beside the objects, keys of 1..64 bytes, MVCC with snapshot reads, own writes seen, every read
 * validated at commit (absence included): serializable. One thread at a time may use a transaction. */
struct svm_cell_txn;
/* svm_cell_begin: start at the newest snapshot. Returns SVM_OK, SVM_E_OVERLOADED (sessions_max), SVM_E_SHUTTING_DOWN, SVM_E_STORAGE_READ_ONLY. */
SVM_MUST_USE enum svm_err svm_cell_begin(struct svm_engine *engine, struct svm_cell_txn **txn_out);
/* svm_cell_get: VALUE_OUT is borrowed until the transaction ends.
 * Returns SVM_OK, SVM_E_NOT_FOUND (tracked as read), SVM_E_SNAPSHOT_TOO_OLD, SVM_E_LIMIT_EXCEEDED, SVM_E_IO. */
SVM_MUST_USE enum svm_err svm_cell_get(struct svm_cell_txn *txn, struct svm_bytes key,
                                       struct svm_bytes *value_out);
/* svm_cell_prefetch: a hint: KEYS are about to be read or written. Fetches them from memory into the cache together, which a row of calls would do one by
 * one; reads nothing, tracks nothing, cannot fail. Keys beyond the first 16, and keys of a length that cannot be, are passed over. */
void svm_cell_prefetch(struct svm_cell_txn *txn, const struct svm_bytes *keys, size_t count);
/* svm_cell_put / svm_cell_del: buffered until commit; the bytes are copied. */
SVM_MUST_USE enum svm_err svm_cell_put(struct svm_cell_txn *txn, struct svm_bytes key,
                                       struct svm_bytes value);
SVM_MUST_USE enum svm_err svm_cell_del(struct svm_cell_txn *txn, struct svm_bytes key);
/* svm_cell_commit: ends TXN whatever it returns.
 *   seq_out  out  may be NULL; position (a read-only transaction: its snapshot)
 *   key_out  out  may be NULL; on CONFLICT the key that was lost, on BUSY the one that stayed claimed
 * Returns SVM_OK (readable, and durable when the WAIT is SVM_WAIT_DURABLE), SVM_E_CONFLICT, SVM_E_BUSY, SVM_E_OVERLOADED,
 *         SVM_E_STORAGE_READ_ONLY (begun in memory mode beyond cache_bytes, and it would leave no less in memory than it finds). */
struct svm_cell_key {
    uint8_t b[SVM_CELL_KEY_MAX];
    uint8_t len;
};
SVM_MUST_USE enum svm_err svm_cell_commit(struct svm_cell_txn *txn, enum svm_wait wait,
                                          uint64_t *seq_out, struct svm_cell_key *key_out);
void svm_cell_abort(struct svm_cell_txn *txn);

/* svm_cell_run: FN in a transaction, retried with random back-off when it is defeated, at most cell_attempts_max times.
 * FN returns SVM_OK to commit, anything else to abort (then returned as it is).
 * Returns also SVM_E_RETRIES_EXHAUSTED (KEY_OUT, may be NULL, names the last key lost) and SVM_E_BUSY (KEY_OUT stayed claimed through 16 attempts). */
typedef enum svm_err svm_cell_fn(void *arg, struct svm_cell_txn *txn);
SVM_MUST_USE enum svm_err svm_cell_run(struct svm_engine *engine, svm_cell_fn *fn, void *arg,
                                       enum svm_wait wait, uint64_t *seq_out,
                                       struct svm_cell_key *key_out);

/* svm_cell_run_batch: each of COUNT closures as one svm_cell_run, in no particular order, a big batch by several threads of the engine besides the
 * caller's (config.workers in all): closures must be fit for that; they do not run any more when the call returns. FAST marks those whose caller holds what they touch alone:
 * they are tried once, and rerun as consensus ones when defeated (a fallback).
 *   stats_out  out  the counts that the original system's execute_batch returns */
struct svm_cell_job {
    svm_cell_fn *fn;
    void *arg;
    bool fast;
    enum svm_err err;
    uint64_t seq;
};
struct svm_cell_batch_stats {
    uint64_t fast, consensus, fallbacks, failed, retries;
};
void svm_cell_run_batch(struct svm_engine *engine, struct svm_cell_job *jobs, size_t count,
                        enum svm_wait wait, struct svm_cell_batch_stats *stats_out);

/* ---- statistics --------------------------------------------------------------------------------------------- */

/* Times begin with admission, of the part of a batch (64) that a transaction is in, and end for the group (16) that it is executed in. */
enum svm_stage {
    SVM_STAGE_TOTAL,   /* admission to publication: it can be read; its answer follows */
    SVM_STAGE_QUEUE,   /* admission to the step of the worker that routes it */
    SVM_STAGE_EXECUTE, /* from there to publication: signatures are checked in that step */
    SVM_STAGE_DURABLE, /* admission to durability, of those that wait for it */
    SVM_STAGE_COUNT
};
const char *svm_stage_name(enum svm_stage stage); /* "total", "queue", "execute", "durable" */

/* Cumulative latency histogram: `le_us[i]` upper bounds, `count[i]` observations at or below. */
enum { SVM_HISTOGRAM_BOUNDS = 20 };
extern const uint32_t svm_histogram_le_us[SVM_HISTOGRAM_BOUNDS];
struct svm_latency {
    uint64_t count, sum_us;
    uint64_t p50_us, p95_us, p99_us, p999_us, max_us;
    uint64_t at_or_below[SVM_HISTOGRAM_BOUNDS];
};

struct svm_stats {
    uint64_t since_ms, now_ms;
    /* routing */
    uint64_t submitted, duplicates, retries, conflicts;
    uint64_t routed[3];    /* by svm_path: first choice of the router */
    uint64_t completed[3]; /* by svm_path: executed and ok, on the path that executed it */
    uint64_t failed[3];    /* by svm_path: executed and failed */
    uint64_t fallbacks[SVM_FALLBACK_COUNT];
    uint64_t refused[SVM_ERR_COUNT];
    uint64_t rate_1s, rate_10s, rate_60s; /* executed transactions per second, milli-units */
    struct svm_latency latency[2][SVM_STAGE_COUNT]; /* by path (fast, consensus) and stage */
    /* objects */
    uint64_t objects[3]; /* live, by svm_kind */
    uint64_t transfers;  /* operations that moved an object or balance to another owner */
    /* mvcc */
    uint64_t resident_objects, resident_cells, versions, resident_bytes;
    uint64_t loads, evictions;
    uint64_t cell_started, cell_committed, cell_aborted, cell_conflicts, cell_retries;
    uint64_t snapshots_open, snapshots_cancelled;
    uint64_t applied_seq, durable_seq, logged_seq, materialised_seq, gc_floor_seq;
    /* gc */
    uint64_t gc_runs, gc_versions_removed, gc_last_us, gc_total_us;
    uint32_t gc_interval_ms, gc_threshold, gc_adaptive;
    /* storage */
    uint64_t log_groups, log_bytes, log_syncs, log_sync_us, dirty_bytes, disk_free_bytes;
    uint64_t log_paced_us; /* groups have waited so long because the state was behind */
    uint64_t state_rows_written, history_pruned, receipts_pruned;
    uint64_t receipts_bytes; /* in memory, with the table of their digests */
    uint64_t block_cache_bytes, write_buffers_bytes,
        table_readers_bytes; /* of the state database, a second ago at most while it is not busy */
    bool read_only; /* there is no room for more: svm_health says of what, and what is taken yet */
    /* queues */
    uint64_t inflight, inflight_max, ordered_waiting, waiters;
    uint32_t workers;
};
void svm_stats(struct svm_engine *engine, struct svm_stats *stats_out);

/* ---- operation ---------------------------------------------------------------------------------------------- */

/* svm_progress: a number per thread that grows while the thread is alive (a watchdog compares two readings).
 *   names_out  static strings, "worker", "committer", "gc"
 * Returns how many were written, at most CAP. */
size_t svm_progress(struct svm_engine *engine, const char **names_out, uint64_t *ticks_out,
                    size_t cap);
/* svm_health: SVM_OK, SVM_E_STORAGE_READ_ONLY, SVM_E_SHUTTING_DOWN or SVM_E_IO with REASON filled. */
enum svm_err svm_health(struct svm_engine *engine, struct svm_refusal *detail);
/* svm_on_fatal: FN runs once, on a thread of the engine, when the disk has failed and nothing more will be acknowledged. */
typedef void svm_fatal_fn(void *arg, enum svm_err err, const char *reason);
void svm_on_fatal(struct svm_engine *engine, svm_fatal_fn *fn, void *arg);
/* svm_checkpoint: a consistent copy (hard links, the log copied) under DIR, which must not exist, on the data directory's file system, with a
 * manifest. Blocks.
 * Returns SVM_OK (SEQ_OUT: what it holds), SVM_E_INVALID_PARAMS (DIR cannot be made; DETAIL says why and what to do), SVM_E_STORAGE_FULL (no room
 *         for the copy; DETAIL says how much is needed), SVM_E_IO (the disk), SVM_E_METHOD_DISABLED (memory mode). What fails leaves nothing
 *         behind, and the engine goes on. */
SVM_MUST_USE enum svm_err svm_checkpoint(struct svm_engine *engine, const char *dir,
                                         uint64_t *seq_out, struct svm_refusal *detail);
SVM_MUST_USE enum svm_err svm_compact(struct svm_engine *engine);
/* svm_gc_run: collect now; returns the versions removed. */
uint64_t svm_gc_run(struct svm_engine *engine);
/* svm_reconfigure: take over the reloadable settings (limits, gc_*, cache_bytes, *_seconds, history_*) of CONFIG. */
void svm_reconfigure(struct svm_engine *engine, const struct svm_config *config);

#ifdef __cplusplus
}
#endif
#endif
