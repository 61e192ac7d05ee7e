/* engine/internal.h - what the files of the engine room share. The room's door is <svm/engine.h>.
 *
 *   submit.c    admission: credits, limits, which worker                              any thread
 *   worker.c    one step of a worker: decode, dedupe, verify, route, run, retry       W
 *   refuse.c    the end of what is not executed                                    W, C
 *   execute.c   groups of attempts: hold, claim, check, apply, seq, validate, publish W
 *   order.c     the solo order and the dependency scheduler                           W (under order_lock)
 *   receipts.c  receipts by digest = the dedupe table, and who waits for them         any thread
 *   commit.c    hand-over in order of seq, groups, durability, last answers           W (executed), C (durable)
 *   pace.c      how fast the log may grow while the state is behind it                C
 *   maintain.c  floor, collection, materialiser, retention, disk and clock watch      G, S
 *   owners.c    owner index of what is not materialised yet (owner_tree.c, owner_log.c)  any thread
 *   query.c     snapshots, objects, lists, scans                                      any thread
 *   session.c, cells.c, cell_commit.c, cell_run.c   interactive transactions          the embedder's threads
 *   route.c     the routing decision; simulate and explain                            W, any thread
 *   stats.c     counters and histograms                                               any thread
 *   open.c      settings, threads, life
 *
 * W is a worker, or a caller's thread on a seat (svm_run_batch): whoever holds a struct engine_worker.
 *
 * Lock order (a thread takes them left to right and never waits while it holds a claim): order_lock; complete_lock;
 * a receipt line; a receipt bucket; an owner shard. */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <svm/engine.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/hist.h"
#include "base/park.h"
#include "base/pool.h"
#include "base/ring.h"
#include "base/rng.h"
#include "base/stack.h"
#include "base/thread.h"
#include "engine/hooks.h"
#include "engine/owners.h"
#include "engine/pace.h"
#include "exec/exec.h"
#include "model/model.h"
#include "mvcc/mvcc.h"
#include "store/store.h"

enum {
    ENGINE_BATCH = 64, /* jobs that a worker takes at once */
    ENGINE_GROUP = 16, /* of which as many at most hold their claims together */
    ENGINE_RUN = 63,   /* jobs that may stand behind a ready one: a run of ENGINE_BATCH */
    ENGINE_NO_SLOT = -1,
    ENGINE_WORKERS_MAX = 64,
    ENGINE_SEATS = 16, /* threads of the embedder that may work at once: svm_run_batch */
    ENGINE_SEAT_CREDITS = 2 * ENGINE_BATCH, /* credits that a seat keeps between batches */
    ENGINE_READERS = 32,                    /* queries at once, beyond sessions */
    ENGINE_JOB_BYTES = 512,                 /* transaction bytes kept inside a job */
    ENGINE_JOB_INPUTS = 4,                  /* inputs and operations kept inside a job */
    ENGINE_JOB_OPS = 4,
    ENGINE_FRAME_KEEP = 4096,   /* a larger frame buffer is given back after use */
    ENGINE_RETRY_MS = 5,        /* advice when the node is at capacity: no shorter, */
    ENGINE_RETRY_MAX_MS = 2000, /* and no longer */
    ENGINE_EXPIRY_MAX_MS =
        86400000, /* tx_expiry_max_ms is at most this; an earlier life may have had it */
    ENGINE_EFFECTS_MAX = 1 << 20 /* tx_effects_bytes_max is at most this: the log's frames are */
};

/* ---- counters ----------------------------------------------------------------------------------------------- */

/* One per worker, plus one for everybody else (atomic adds either way; a worker's own are never contended). */
struct engine_counters {
    _Atomic uint64_t submitted, duplicates, retries, conflicts, transfers, executed;
    _Atomic uint64_t routed[3], completed[3], failed[3];
    _Atomic uint64_t fallbacks[SVM_FALLBACK_COUNT];
    _Atomic uint64_t refused[SVM_ERR_COUNT];
    _Atomic uint64_t snapshots_cancelled; /* of queries; the sessions count their own */
    _Atomic int64_t objects[3];
    struct hist latency[2][SVM_STAGE_COUNT];
};
static inline void count_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* count_own: for a counter that this thread alone writes: no locked instruction. */
static inline void count_own(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* ---- versions of cells ------------------------------------------------------------------------------------------ */

/* A cell's payload: the version's number, then the value. An object's number is in the object. */
enum { CELL_NUMBER_BYTES = 8 };
static inline struct mvcc_version *cell_version_create(struct mvcc_thread *thread, size_t value_len)
{
    return mvcc_version_create(thread, (uint32_t)(CELL_NUMBER_BYTES + value_len));
}
/* cell_version_number_set: of a private one. */
static inline void cell_version_number_set(struct mvcc_version *version, uint64_t number)
{
    mvcc_version_number_set(version, number);
    memcpy(version->payload, &number, CELL_NUMBER_BYTES);
}
static inline uint64_t cell_version_number(const struct mvcc_version *version)
{
    uint64_t number;
    memcpy(&number, version->payload, CELL_NUMBER_BYTES);
    return number;
}
static inline struct svm_bytes cell_version_value(const struct mvcc_version *version)
{
    return (struct svm_bytes){version->payload + CELL_NUMBER_BYTES,
                              mvcc_version_size(version) - CELL_NUMBER_BYTES};
}

/* ---- receipts ----------------------------------------------------------------------------------------------- */

struct engine_waiter {
    struct engine_waiter *next;
    svm_submit_fn *callback;
    void *arg;
    enum svm_wait wait;
    bool duplicate;
};

/* One digest: in flight while `seq` is 0, finished afterwards. Guarded by its bucket's lock, but for `seq`, which the executing
 * worker stores before it publishes, and `whole` and `room`, which are that worker's until then. The first line of a block of pool.h ends with the
 * digest: with the second that is all that forgetting looks at. */
struct receipt_entry {
    struct receipt_entry *fifo_next; /* finished ones, in order of seq: the next in its lane */
    _Atomic uint64_t seq;
    struct svm_digest digest;
    struct engine_waiter *waiters;
    uint64_t expires_ms; /* 0: an exact input guards it */
    uint32_t bytes;      /* what it counts for, once it is finished */
    uint16_t room_bytes;
    _Atomic bool awaited; /* somebody waits or is about to: set before `applied` is looked at */
    bool whole; /* `room` has the address of the receipt, which did not fit: a block of its own */
    _Alignas(8) uint8_t room[]; /* the receipt, packed */
};

/* What one with a change or two takes, with its place in the table: a guess, for the size of the table. In memory mode there is no disk that would
 * know a digest, so they stay until they expire: up to so many times tx.dedupe_bytes. */
enum { RECEIPT_BYTES = 256, RECEIPTS_MEMORY_FACTOR = 8 };
#define ENGINE_DEDUPE_BYTES_MAX (UINT64_C(1) << 40)
struct receipt_table;
/* receipts_create: as large as so many ENTRIES want it; more cost some time each. NULL = no memory. */
struct receipt_table *receipts_create(uint64_t entries, uint32_t waiters_max);
void receipts_destroy(struct receipt_table *table);
/* receipts_enter: insert DIGEST in flight.
 *   room   the receipt will probably need at most so much, packed: it is taken with the entry
 *   FOUND  an entry exists. It is locked until receipts_unlock(ENTRY_OUT). */
enum receipts_enter_result { RECEIPTS_ENTERED, RECEIPTS_FOUND, RECEIPTS_NO_MEMORY };
enum receipts_enter_result receipts_enter(struct receipt_table *table, struct pool *pool,
                                          const struct svm_digest *digest, uint64_t expires_ms,
                                          size_t room, struct receipt_entry **entry_out);
/* receipts_keep: the executing worker, of ENTRY in flight: this will be its receipt; false = no memory. receipts_let_go: perhaps not after all
 * (nothing happens if there is none). receipts_publish: it is, at SEQ. */
bool receipts_keep(struct receipt_entry *entry, struct pool *pool,
                   const struct model_effects *effects);
void receipts_let_go(struct receipt_entry *entry);
void receipts_publish(struct receipt_entry *entry, uint64_t seq);
/* receipts_seq: its position, 0 = in flight. receipts_read: its receipt, in SPACE or not, for as long as both last; NULL = in flight. */
static inline uint64_t receipts_seq(const struct receipt_entry *entry)
{
    return atomic_load_explicit(&entry->seq, memory_order_acquire);
}
const struct svm_receipt *receipts_read(const struct receipt_entry *entry,
                                        struct model_receipt_space *space);
/* receipts_find: locked entry of DIGEST or NULL (nothing locked). */
struct receipt_entry *receipts_find(struct receipt_table *table, const struct svm_digest *digest);
void receipts_unlock(struct receipt_table *table, struct receipt_entry *entry);
/* receipts_wait: queue a waiter on the locked ENTRY. false = waiters_max. */
bool receipts_wait(struct receipt_table *table, struct receipt_entry *entry,
                   const struct engine_waiter *waiter);
/* receipts_awaited: may ENTRY have waiters? The caller has fenced after `applied` (or `durable`) moved: whoever is not seen here sees that. */
static inline bool receipts_awaited(const struct receipt_entry *entry)
{
    return atomic_load_explicit(&entry->awaited, memory_order_relaxed);
}
/* receipts_await: the locked ENTRY is going to have a waiter, unless what it waits for has come: look at that after this call. */
void receipts_await(struct receipt_entry *entry);
/* receipts_prefetch: touch the bucket of DIGEST. receipts_prefetch_behind: a step later, touch what is behind it. */
void receipts_prefetch(struct receipt_table *table, const struct svm_digest *digest);
void receipts_prefetch_behind(struct receipt_table *table, const struct svm_digest *digest);
/* receipts_detach: take the waiters that are content with WAIT (and all below). */
struct engine_waiter *receipts_detach(struct receipt_table *table, struct receipt_entry *entry,
                                      enum svm_wait wait);
/* receipts_strand: C, when the disk has failed: take who waits for the durability of one executed transaction beyond DURABLE; its digest in
 * DIGEST_OUT. BUCKET_AT is the caller's place, 0 at first. NULL = there is no more. */
struct engine_waiter *receipts_strand(struct receipt_table *table, uint64_t durable,
                                      size_t *bucket_at, struct svm_digest *digest_out);
void receipts_waiter_free(struct receipt_table *table, struct engine_waiter *waiter);
/* receipts_refuse: take the in-flight ENTRY out of the table and free it; returns all its waiters. */
struct engine_waiter *receipts_refuse(struct receipt_table *table, struct receipt_entry *entry);
/* Finished entries. With a disk there is one line, the committer's, of one queue: in order of seq, oldest first. Without one each worker has its
 * own, so that what it has made is forgotten by itself too, of a queue for each class of life: who stays until it expires stands in nobody's way but
 * of those that live about as long. Thread   the holder of `lock`. */
struct receipt_lane {
    struct receipt_entry *head, *tail;
    struct receipt_entry *
        walk; /* the first that receipts_next_durable has not given; in memory mode nobody asks, and it may be gone */
};
/* Entry N is in lane N % RECEIPT_LANES: so the next ones to be forgotten are known, and can be asked for, before the first is read. */
enum { RECEIPT_LANES = 8, RECEIPT_CLASSES = 5 };
struct receipt_queue {
    struct receipt_lane lanes[RECEIPT_LANES];
    uint64_t joined, walked, left; /* how many so far; those who left are forgotten */
    uint64_t until_ms;             /* without a disk: its oldest one stays until then, at least */
};
struct receipt_line {
    _Alignas(128) pthread_mutex_t lock;
    struct receipt_queue queues[RECEIPT_CLASSES];
    uint64_t fresh; /* have joined since the last receipts_evict */
    _Atomic uint64_t bytes;
    struct receipt_line *next; /* of the table */
};
/* receipts_line_init: an empty line of TABLE, before any thread uses either. */
void receipts_line_init(struct receipt_table *table, struct receipt_line *line);
/* receipts_finished: ENTRY joins LINE, in the queue of its CLASS: 0 with a disk, else receipts_class. */
void receipts_finished(struct receipt_line *line, struct receipt_entry *entry, unsigned class);
/* receipts_class: 0: an exact input guards ENTRY; otherwise by how long it has to live from NOW_MS on. */
unsigned receipts_class(const struct receipt_entry *entry, uint64_t now_ms);
/* receipts_next_durable: C: the next finished entry with seq <= DURABLE that this function has not given yet, or NULL. With a disk only
 * what it has given is evicted. */
struct receipt_entry *receipts_next_durable(struct receipt_line *line, uint64_t durable);
/* receipts_evict: drop finished entries of LINE while more than `bytes_max` are held in all lines, oldest first (of each queue): with a disk those up to
 * `materialised`; without one those that cannot execute again at `now_ms`, but for a few that an exact input guards: somebody may ask for them. Of a burst that has become old at once not all: `most`, and besides
 * two for each that has joined since the last call, so that forgetting keeps up with whatever is made. True = there are more.
 *   pool  the calling thread's, or NULL */
struct receipt_limits {
    uint64_t bytes_max, materialised, now_ms, most;
    bool memory_mode;
};
bool receipts_evict(struct receipt_table *table, struct receipt_line *line, struct pool *pool,
                    const struct receipt_limits *limits);
/* receipts_evicted_expires: latest expiry among evicted receipts: a digest that expires later was never evicted. */
uint64_t receipts_evicted_expires(const struct receipt_table *table);
/* receipts_bytes: of finished ones. receipts_table_bytes: of the table itself, which stay the same. */
uint64_t receipts_bytes(const struct receipt_table *table);
uint64_t receipts_table_bytes(const struct receipt_table *table);
uint32_t receipts_waiters(const struct receipt_table *table);

/* ---- jobs --------------------------------------------------------------------------------------------------- */

struct svm_engine;
struct engine_job;
struct engine_worker;

/* What is handed over with a position of the order. */
enum record_kind { RECORD_JOB, RECORD_CELLS, RECORD_VOID };
struct engine_record {
    enum record_kind kind;
    uint8_t *frame; /* encoded effects; NULL in memory mode */
    uint32_t frame_len, frame_cap;
    uint64_t seq, node_ms;
};

/* Is there room for more? */
enum engine_room {
    ROOM_ENOUGH,
    ROOM_TO_FREE, /* in memory mode: for what leaves less than it finds, as counted below; otherwise for nothing */
    ROOM_UNCOLLECTED, /* and that has used up its reserve */
    ROOM_NO_RECEIPTS,
    ROOM_NO_DISK
};
/* What a new object, cell or owner counts beside its bytes: more than its head, its place in the index and its entry with its owner take. */
enum { ROOM_ENTRY_BYTES = 512 };

enum job_state { JOB_NEW, JOB_ROUTED, JOB_ORDERED };

/* One admitted transaction: a credit. Allocated at start; goes from free ring to worker to committer to free ring. */
struct engine_job {
    struct engine_record record; /* first: a record of kind RECORD_JOB is the job */
    struct svm_engine *engine;
    uint32_t index;
    enum job_state state;
    enum svm_wait wait;
    svm_submit_fn *callback;
    void *arg;
    uint64_t admitted_ns, routed_ns;
    uint64_t
        opened_ns; /* its group was: what its receipt tells as latency, for that stands before anything is published */
    uint64_t executed_ns; /* its group was published, all of it */
    uint8_t *bytes;       /* SignedTransaction, own_bytes or malloc; NULL for decoded ones */
    size_t bytes_len;
    struct svm_tx tx; /* inputs and ops point into this job */
    struct svm_digest digest;
    struct svm_public_key public_key;
    struct svm_signature signature;
    struct svm_bytes tx_bytes;
    struct receipt_entry *entry; /* NULL before dedupe */
    struct mvcc_head **heads;    /* one per input, held up to held_count */
    uint16_t held_count;
    bool has_exact, answered, digest_known;
    bool must_free; /* admitted while there was room for nothing else */
    enum svm_path path;
    enum svm_fallback fallback;
    struct svm_id fallback_object;
    uint32_t attempts;
    uint64_t retry_at_ns;
    uint64_t void_seq;   /* a position it gave up: not tried again before that is committed */
    uint32_t order_slot; /* ENGINE_NO_SLOT: that of a later one behind it, who stands for both */
    struct engine_job *last;   /* who has the slot of the ordered ones that begin with this one */
    struct engine_job *behind; /* it is ready when this one has ended, on whatever worker that is */
    bool waits_behind;         /* and it is not in that worker's hands yet */
    struct svm_refusal *refusal;          /* parked until durable; malloc */
    struct engine_waiter *parked_waiters; /* likewise: of duplicates that asked for durability */
    struct engine_job *next;
    struct svm_input own_inputs[ENGINE_JOB_INPUTS];
    struct svm_op own_ops[ENGINE_JOB_OPS];
    struct mvcc_head *own_heads[ENGINE_JOB_INPUTS];
    struct mvcc_hash hashes[ENGINE_JOB_INPUTS]; /* of the first inputs */
    uint8_t own_bytes[ENGINE_JOB_BYTES];
};

/* ---- the order ---------------------------------------------------------------------------------------------- */

/* Who decides the order of shared transactions. `solo`: this node, in the order of arrival. A BFT engine plugs in here later: `propose` hands a job in;
 * the engine learns of its position by order_decided, in order. */
struct svm_order_ops {
    void *self;
    void (*propose)(void *self, struct svm_engine *engine, struct engine_worker *worker,
                    struct engine_job *const *jobs, size_t count);
};

/* ---- threads ------------------------------------------------------------------------------------------------ */

struct job_list {
    struct engine_job *head, *tail;
};
static inline void job_list_push(struct job_list *list, struct engine_job *job)
{
    job->next = NULL;
    if (list->tail)
        list->tail->next = job;
    else
        list->head = job;
    list->tail = job;
}
static inline struct engine_job *job_list_pop(struct job_list *list)
{
    struct engine_job *job = list->head;
    if (job) {
        list->head = job->next;
        if (!list->head)
            list->tail = NULL;
    }
    return job;
}

struct engine_worker {
    struct svm_engine *engine;
    uint32_t index;
    struct thread thread;
    struct mvcc_thread *mvcc;
    struct pool *pool; /* entries and receipts */
    struct owner_log *owner_log;
    struct ring *ring;
    struct park park;
    _Atomic uint64_t ticks;
    struct job_list retry;    /* own jobs that met a claim, LOADING, or a version ahead */
    struct job_list local;    /* ordered jobs that are ready, to run here */
    struct job_list proposed; /* consensus jobs of this batch, not yet in the order */
    struct job_list done;     /* memory mode: executed, in order of seq, not yet answered */
    struct receipt_line line; /* memory mode: receipts of what it has executed */
    uint32_t credits[ENGINE_SEAT_CREDITS]; /* a seat's: jobs that it had last, to be had again */
    uint32_t credit_count;
    uint32_t finished[ENGINE_BATCH]; /* order slots that are done, not yet out of the scheduler */
    size_t finished_count;
    uint64_t now_ns, now_ms; /* of this step */
    struct rng rng;
    struct engine_counters counters;
    struct execute_group *group;
    struct svm_tx_space space;
    uint32_t *ready; /* scratch: order_slots */
};

struct svm_engine {
    _Atomic(const struct svm_config *) config; /* immutable; a reload puts another in place */
    struct config_node *configs;               /* all there were, freed at the end */
    pthread_mutex_t config_lock;
    struct engine_hooks hooks;
    const struct clock *clock;
    struct model_genesis genesis;
    bool dev, memory;
    struct store *store;
    struct mvcc *mvcc;
    struct mvcc_table *objects, *cells;
    struct receipt_table *receipts;
    struct owners *owners;

    /* admission */
    struct engine_job *jobs;
    struct stack free_jobs;  /* indices: the credits */
    struct stack free_cells; /* indices of cell_records */
    struct engine_record *cell_records;
    _Atomic uint32_t next_worker;
    uint32_t together; /* so many signatures are verified in the time of one */
    /* In flight is what was admitted less what was released. Each has a line of its own: one is the submitters', the other the completers'. */
    _Alignas(128) _Atomic uint64_t admitted;
    _Alignas(128) _Atomic uint64_t released;
    _Alignas(128) _Atomic bool draining, clock_fault;
    _Atomic uint8_t room;      /* enum engine_room; room.c */
    _Atomic uint32_t retry_ms; /* what those are told who find the node at capacity; maintain.c */
    _Atomic int fatal;         /* enum svm_err */
    _Atomic uint64_t calls;    /* svm_submit calls inside: drain waits for them */

    /* workers */
    struct engine_worker *
        workers; /* worker_count with a thread and a ring each, then ENGINE_SEATS that callers lend a thread */
    uint32_t worker_count;
    struct stack seats; /* of those the free ones: index - worker_count */
    bool seat_credits;  /* there are enough for seats to keep some */

    /* order */
    pthread_mutex_t order_lock;
    struct svm_order_ops order;
    struct exec_scheduler *scheduler;
    uint32_t
        order_slots; /* a slot outlives its job: the credit may be in use again before the slot is free */
    uint32_t *free_slots; /* a stack of free_slot_count */
    uint32_t free_slot_count;
    struct engine_job **slot_jobs;
    _Atomic uint64_t ordered; /* position of the last decided one */
    struct ring *
        ready; /* jobs that any worker may take up: ordered ones that are ready, and what a seat has left */

    /* commit */
    struct thread committer;
    struct park commit_park;
    _Atomic bool hurry;     /* somebody waits for the disk; C takes it back when it sets about it */
    _Atomic bool lingering; /* C's: it sleeps, and what is executed need not wake it */
    pthread_mutex_t complete_lock;
    _Atomic uint64_t completed; /* executed answers were given up to here; not in memory mode */
    _Atomic uint64_t committed; /* taken and written up to here; not in memory mode */
    struct receipt_line line;   /* C; not in memory mode */
    struct park applied_park, durable_park; /* interactive commits that wait */
    uint64_t last_sync_ns;                  /* C */
    bool forgets;                           /* C: there is more to forget than one look may */
    struct pace pace;                       /* C: how fast the log may grow */
    struct park pace_park;                  /* nobody wakes it */
    _Atomic uint64_t paced_us;              /* C has waited so long for the materialiser */
    struct job_list parked;                 /* C: refusals that rest on what is not durable */
    struct ring *park_ring;                 /* W -> C */
    _Atomic uint64_t committer_ticks;

    /* maintenance */
    struct thread gc, materialiser;
    struct mvcc_thread *gc_mvcc;
    struct park gc_park, materialise_park;
    _Atomic bool stop_workers, stop_committer, stop_maintenance;
    _Atomic uint64_t gc_ticks, materialiser_ticks;
    uint64_t state_synced_ns;   /* under state_lock or by the materialiser alone */
    pthread_mutex_t gc_lock;    /* collection: G or svm_gc_run */
    pthread_mutex_t state_lock; /* materialise, trim, sweep, checkpoint, compact */
    _Atomic uint32_t gc_interval_ms, gc_threshold;
    uint64_t gc_applied; /* at the last step; under gc_lock */
    struct {
        uint64_t kept;  /* versions behind the newest that it found no reason to remove */
        uint64_t floor; /* while this was the floor: they may be removed when it has moved */
        uint64_t removed, took_ns, ended_ns;
    } gc_walk; /* the last one; under gc_lock */
    _Atomic uint64_t gc_runs, gc_removed, gc_last_us, gc_total_us;
    _Atomic uint64_t sampled[64]; /* executed transactions at each second, for rates */
    _Atomic uint32_t sampled_at;
    uint64_t room_base;               /* room.c; G alone */
    _Atomic uint64_t applied_then[2]; /* at the last whole second, and at the one before */

    /* queries and sessions */
    struct stack readers; /* indices of reader_threads */
    struct mvcc_thread **reader_threads;
    uint32_t reader_count;
    struct svm_cell_txn *session_array;
    uint32_t session_count;
    struct cell_pool *cell_pool; /* helpers of svm_cell_run_batch */

    /* time */
    _Atomic uint64_t node_ms;
    _Atomic int64_t wall_minus_boot_ms;
    uint64_t opened_ms;
    bool receipts_before_start;
    uint64_t
        expiry_max_seen_ms; /* under config_lock: the longest tx_expiry_max_ms since the start */

    struct engine_counters counters; /* of everybody but the workers */
    uint64_t objects_at_open[3], transfers_at_open;

    pthread_mutex_t fatal_lock;
    svm_fatal_fn *fatal_fn;
    void *fatal_arg;
    char fatal_reason[120];
    unsigned threads_started; /* besides those of the cell pool */
};

/* open.c */
static inline const struct svm_config *config_of(const struct svm_engine *engine)
{
    return atomic_load_explicit(&engine->config, memory_order_acquire);
}
void engine_log(struct svm_engine *engine, enum svm_log_level level, const char *event,
                const char *format, ...) __attribute__((format(printf, 4, 5)));
/* engine_fail: final. Nothing is acknowledged from now on. */
void engine_fail(struct svm_engine *engine, enum svm_err err, const char *reason);
uint64_t engine_now_ns(const struct svm_engine *engine);
/* engine_node_ms: node time: max(clock, last used, last logged); never goes back, never leaps beyond clock_jump_max_ms. */
uint64_t engine_node_ms(struct svm_engine *engine);

/* submit.c */
/* job_release: answered and written: give the credit back. jobs_release: many at once, at most ENGINE_BATCH. */
void job_release(struct svm_engine *engine, struct engine_job *job);
void jobs_release(struct svm_engine *engine, struct engine_job *const *jobs, uint32_t count);
/* worker_release: the same; a seat keeps some for its next batch. */
void worker_release(struct engine_worker *worker, struct engine_job *const *jobs, uint32_t count);
static inline uint64_t engine_inflight(const struct svm_engine *engine)
{
    uint64_t released = atomic_load(&engine->released); /* first: it never passes admitted */
    return atomic_load(&engine->admitted) - released;
}
void job_unhold(struct engine_job *job);
/* job_copy_tx: TX's inputs and operations into the job (its byte strings stay where they are). false = no memory. */
bool job_copy_tx(struct engine_job *job, const struct svm_tx *tx);
/* refusal_init: an empty refusal of ERR. refusal_because: with a reason. */
void refusal_init(struct svm_refusal *refusal, enum svm_err err);
/* refusal_clear: as good as new for who fills it: nothing is said. The other fields mean nothing without their bit. */
static inline void refusal_clear(struct svm_refusal *refusal)
{
    refusal->err = SVM_OK;
    refusal->has = 0;
    refusal->reason[0] = 0;
}
void refusal_because(struct svm_refusal *refusal, enum svm_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* worker.c */
void worker_main(void *arg);
bool worker_step(struct engine_worker *worker); /* false = nothing to do */
/* worker_order_done: JOB, if it was ordered, is executed or about to be refused: its slot is free, and who stands behind it is ready. */
void worker_order_done(struct engine_worker *worker, struct engine_job *job);
/* worker_run: JOBS (at most ENGINE_BATCH, new) on the seat WORKER by a caller's thread, to the end, or into the hands of others. */
void worker_run(struct engine_worker *worker, struct engine_job **jobs, size_t count);

/* execute.c */
enum attempt_result {
    ATTEMPT_EXECUTED, /* handed over */
    ATTEMPT_REFUSED,  /* REFUSAL is filled */
    ATTEMPT_AGAIN,    /* met a claim, LOADING, or a version ahead of what is known */
    ATTEMPT_FALLBACK  /* a `latest` input is claimed: the consensus path may wait for it */
};
struct execute_group *execute_group_create(void); /* NULL = no memory */
void execute_group_destroy(struct execute_group *group);
/* execute_join: claim, check and apply JOB, which is held, as the next one of the worker's open group (which has room). What
 * stands in its way may be another one of the group: execute_commit, and try again.
 *   EXECUTED  its claims are held until execute_commit, which must follow before anything waits
 *   others    nothing is held */
enum attempt_result execute_join(struct engine_worker *worker, struct engine_job *job,
                                 struct svm_refusal *refusal);
/* execute_commit: give the group its positions, publish it and hand it over; the group is empty then. Returns how many of it did
 * not keep what they had read: they are in AGAIN_OUT, to be tried again. */
size_t execute_commit(struct engine_worker *worker, struct engine_job *again_out[ENGINE_GROUP]);
/* execute_hold: make all inputs resident and held. AGAIN while somebody loads; REFUSED (IO, NO_MEMORY). EXECUTED = held. */
enum attempt_result execute_hold(struct engine_worker *worker, struct engine_job *job,
                                 struct svm_refusal *refusal);
/* engine_load: read the key of a LOADING head from the store and finish it. */
enum svm_err engine_load(struct svm_engine *engine, struct mvcc_table *table,
                         struct mvcc_thread *thread, struct mvcc_head *head);

/* refuse.c */
/* job_refuse: the end of a refused job: its receipt if it is an old acquaintance, else the refusal, at once or when that on which it rests is durable. */
void job_refuse(struct engine_worker *worker, struct engine_job *job,
                const struct svm_refusal *refusal);
void job_refuse_now(struct svm_engine *engine, struct engine_job *job,
                    const struct svm_refusal *refusal);
/* engine_satisfied: is SEQ far enough for who waits for WAIT? */
bool engine_satisfied(struct svm_engine *engine, uint64_t seq, enum svm_wait wait);
/* ended_by_disk: ends JOB with the receipt that an earlier life of its digest has left and memory has let go, or, when that cannot be looked up,
 * with a refusal. False = the disk knows none. */
bool ended_by_disk(struct engine_worker *worker, struct engine_job *job);

/* order.c */
void order_solo_init(struct svm_order_ops *ops);
/* order_decided: JOBS have the next positions. Ready ones go to the local list of WORKER (NULL: to the ready ring). */
void order_decided(struct svm_engine *engine, struct engine_worker *worker,
                   struct engine_job *const *jobs, size_t count);
void order_finish(struct svm_engine *engine, struct engine_worker *worker);

/* route.c */
enum svm_route_rule route_decide(const struct svm_tx *tx, enum svm_path *path_out);
/* route_admit: the checks that need no object: chain, expiry, gas, limits. */
enum svm_err route_admit(struct svm_engine *engine, const struct svm_tx *tx, uint64_t now_ms,
                         struct svm_refusal *refusal);

/* commit.c */
void committer_main(void *arg);
/* committer_step: one group: everything completed, up to a good size. false = there was nothing. */
bool committer_step(struct svm_engine *engine);
/* complete_executed: give the `executed` answers for everything that became applied. In memory mode every worker gives its own
 * (complete_own); then this only wakes who waits for `applied`. */
void complete_executed(struct svm_engine *engine);
/* commit_hurry: somebody waits for the disk: the committer shall not let positions gather. Any thread. */
void commit_hurry(struct svm_engine *engine);
/* complete_own: memory mode: end WORKER's jobs that became applied. */
void complete_own(struct engine_worker *worker);
/* engine_committed: positions up to here are taken and written, or in memory mode applied. */
uint64_t engine_committed(struct svm_engine *engine);
/* answer_waiters: run and free WAITERS with the receipt (or the refusal). */
void answer_waiters(struct svm_engine *engine, struct engine_waiter *waiters,
                    const struct svm_digest *digest, const struct svm_receipt *receipt,
                    const struct svm_refusal *refusal);
void answer_receipt(struct svm_engine *engine, svm_submit_fn *callback, void *arg,
                    const struct svm_receipt *receipt, bool duplicate);
/* answer_refusal: DIGEST may be NULL: not known. */
void answer_refusal(struct svm_engine *engine, svm_submit_fn *callback, void *arg,
                    const struct svm_digest *digest, const struct svm_refusal *refusal);
uint64_t engine_durable(struct svm_engine *engine);

/* maintain.c */
void gc_main(void *arg);
void materialiser_main(void *arg);
bool gc_step(struct svm_engine *engine, bool forced);
bool materialiser_step(struct svm_engine *engine);

/* room.c */
/* room_watch: look at memory or disk, and say so when it has changed. G alone.
 * room_reason: one sentence, with the setting and the cure. room_refuse: STORAGE_READ_ONLY with it.
 * room_may_free: could TX leave less in memory than it finds? Whether it does is known once it has been applied. */
void room_watch(struct svm_engine *engine);
static inline enum engine_room room_now(struct svm_engine *engine)
{
    return (enum engine_room)atomic_load_explicit(&engine->room, memory_order_relaxed);
}
const char *room_reason(enum engine_room room);
void room_refuse(struct svm_refusal *refusal, enum engine_room room);
bool room_may_free(const struct svm_tx *tx);

/* query.c */
/* snapshot_cancelled: what was read from SNAPSHOT so far may be anything. */
bool snapshot_cancelled(const struct svm_snapshot *snapshot);
struct mvcc_thread *reader_take(struct svm_engine *engine);
void reader_give(struct svm_engine *engine, struct mvcc_thread *thread);
/* query_object: the version that SEQ sees, copied (svm_object_free). A tombstone: OBJECT_DELETED with OBJECT_OUT given too. */
enum svm_err query_object(struct svm_engine *engine, struct mvcc_thread *thread,
                          const struct svm_id *id, uint64_t seq, struct svm_object **object_out,
                          bool copy_deleted);

/* session.c */
enum svm_err sessions_create(struct svm_engine *engine);
void sessions_destroy(struct svm_engine *engine);
/* sessions_open: how many are in use; INSIDE: by a call that has not returned. */
uint32_t sessions_open(struct svm_engine *engine, bool inside);
/* sessions_count: add what they have counted to STATS. */
void sessions_count(struct svm_engine *engine, struct svm_stats *stats);

/* cell_commit.c */
void record_give(struct svm_engine *engine, struct engine_record *record);

/* cell_run.c */
/* cell_pool_start: HELPERS threads that wait for batches; false = no memory, or the system has no more threads. */
bool cell_pool_start(struct svm_engine *engine, uint32_t helpers);
void cell_pool_stop(struct svm_engine *engine);

/* stats.c */
void stats_executed(struct engine_counters *counters, const struct engine_job *job,
                    enum svm_failure failure);
void stats_refused(struct engine_counters *counters, enum svm_err err);
uint64_t stats_executed_total(struct svm_engine *engine);
/* stats_tables: what objects and cells take, in sum. */
struct table_sums {
    uint64_t heads, garbage, bytes;
};
struct table_sums stats_tables(struct svm_engine *engine);

#endif
