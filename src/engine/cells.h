/* engine/cells.h - what the files of the interactive transactions share; the rest of the engine sees only what internal.h declares.
 *
 *      session.c   sessions: taken by a call, given back; arena; begin and end              cells.c   reads and writes
 *      cell_commit.c   claim, seq, validate, publish, hand over; waiting                    cell_run.c   closures, batches, helpers
 *
 * A session is a transaction's place: its registration with the table, its snapshot slot, its scratch, its counters. A thread finds the one it used last
 * by a hint of its own, so in the steady state no line is shared: taking and giving back is one compare-and-swap of the session's own word.
 *
 *      SESSION_FREE --take--> SESSION_OPEN (begun; between calls)  <-->  SESSION_INSIDE (in svm_cell_commit, svm_cell_run, a batch)
 *
 * Whoever takes a session looks at `draining` after it, and drain stores `draining` before it looks at the sessions, all sequentially consistent: one of them
 * sees the other. Giving back is the last access to the engine that a call makes.
 *
 * Each key that a transaction touches has one entry, with one hold on its head, whether it is read, written or both. */
#ifndef ENGINE_CELLS_H
#define ENGINE_CELLS_H

#include "engine/internal.h"

enum session_state { SESSION_FREE, SESSION_OPEN, SESSION_INSIDE };

enum {
    CELL_ENTRIES_OWN = 8, /* entries inside the session; without an index up to there */
    CELL_KEYS_MAX = MODEL_CELL_WRITES_MAX
};

struct cell_entry {
    struct mvcc_head *head;
    struct mvcc_version *version; /* the write, private until published; NULL = none */
    uint64_t read_state;          /* the word that the read saw or stands for */
    uint64_t state;               /* the word before the claim */
    struct svm_bytes value;       /* what the read found, in the arena */
    bool read, found, claimed;
};

/* Values read, copied: they stay where they are until the transaction ends. */
struct cell_chunk {
    struct cell_chunk *next;
    size_t len, cap;
    uint8_t bytes[];
};

/* Written by the session's user alone, summed by anybody. */
struct cell_counters {
    _Atomic uint64_t started, committed, aborted, conflicts, retries, cancelled;
};
static inline void cell_count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

struct svm_cell_txn {
    _Alignas(128) _Atomic int session; /* enum session_state */
    bool pinned;
    bool must_free; /* begun while there was room for nothing else */
    struct svm_engine *engine;
    struct mvcc_thread *thread; /* NULL before the first use */
    struct mvcc_pin pin;        /* its slot is kept in mind from one transaction to the next */
    struct cell_entry *entries;
    uint16_t *writes; /* places of the entries that are written */
    uint32_t count, cap, read_count, write_count;
    uint16_t *index; /* by hash of the key: place + 1; while count > CELL_ENTRIES_OWN */
    uint32_t index_mask, index_cap;
    struct cell_chunk *arena;
    size_t bytes;                   /* in the arena and in versions */
    struct mvcc_version *discarded; /* own writes written over: somebody may borrow them */
    struct engine_record *record;   /* with a log: for the commit under way */
    struct model_cell_write *frame_writes;
    uint32_t frame_cap;
    struct rng rng;
    struct cell_counters counters;
    struct cell_entry own_entries[CELL_ENTRIES_OWN];
    uint16_t own_writes[CELL_ENTRIES_OWN];
};

/* session.c */
/* session_take: a free session, in STATE. NULL and ERR_OUT: SHUTTING_DOWN, OVERLOADED (all in use, or no memory). */
struct svm_cell_txn *session_take(struct svm_engine *engine, enum session_state state,
                                  enum svm_err *err_out);
void session_give(struct svm_cell_txn *txn);
/* cell_admit: may TXN begin now? SVM_OK, SHUTTING_DOWN, STORAGE_READ_ONLY, OVERLOADED. */
enum svm_err cell_admit(struct svm_cell_txn *txn);
/* cell_start: TXN, a session that was taken, is an empty transaction. cell_pin: its snapshot, once; false = no slot.
 * cell_end: lets go of everything but the session. */
void cell_start(struct svm_cell_txn *txn);
bool cell_pin(struct svm_cell_txn *txn);
void cell_end(struct svm_cell_txn *txn);
/* cell_copy: BYTES, to last as long as the transaction. SVM_OK, LIMIT_EXCEEDED, OVERLOADED. */
enum svm_err cell_copy(struct svm_cell_txn *txn, struct svm_bytes bytes,
                       struct svm_bytes *copy_out);
/* cell_bytes_fit: may LEN more bytes be kept by TXN? Together at most 16 times the effects limit. */
bool cell_bytes_fit(const struct svm_cell_txn *txn, size_t len);

/* cell_commit.c */
/* cell_commit: ends TXN, whatever it returns, but for the session. SEQ_OUT is written on SVM_OK; then the writes are published, and readable after cell_await.
 * Counts the outcome. */
enum svm_err cell_commit(struct svm_cell_txn *txn, uint64_t *seq_out, struct svm_cell_key *key_out);
/* cell_await: until everything up to SEQ is readable. cell_await_durable: SVM_OK, or IO: it will not be durable in this life. */
void cell_await(struct svm_engine *engine, uint64_t seq);
enum svm_err cell_await_durable(struct svm_engine *engine, uint64_t seq);
/* cell_back_off: a random pause that grows with ATTEMPT: 1 us .. 1 ms. */
void cell_back_off(struct svm_engine *engine, struct rng *rng, uint32_t attempt);

#endif
