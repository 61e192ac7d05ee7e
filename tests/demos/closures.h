/* demos/closures.h - the original's way of working: closures over a key space, in batches that are routed by the objects
 * they list.
 *
 *      closures_run:  threads take chunks -> route each closure by its objects -> svm_cell_run_batch
 *
 * The original handed a batch to a pool of threads. Here the callers' own threads run svm_cell_run_batch, each on the next
 * chunk; they are started within closures_run, so their start is part of the time, as the start of the pool was there.
 * Objects decide the route and nothing else, as in the original: what a closure touches is its own affair. */
#ifndef DEMO_CLOSURES_H
#define DEMO_CLOSURES_H

#include <svm.h>

enum { CLOSURE_OBJECTS_MAX = 2, CLOSURE_THREADS_MAX = 64 };

/* One closure. FN gets the closure itself as its argument. */
struct closure {
    svm_cell_fn *fn;
    uint64_t n; /* what FN makes its keys and values of */
    uint32_t from, to, amount;
    enum svm_err err; /* out */
    uint8_t object_count;
    const struct svm_id *objects[CLOSURE_OBJECTS_MAX];
    const struct svm_address *sender;
};

/* What a batch came to. `ok` = fast + consensus. */
struct closures_result {
    uint64_t ok, fast, consensus, fallbacks, failed, refused, retries;
    double seconds;
};

enum closures_routing {
    CLOSURES_ROUTED,   /* by a look at every object: kind, and owner = sender */
    CLOSURES_CONSENSUS /* no objects: all of them as transactions of the consensus path */
};

/* closures_run: all of CLOSURES on THREADS threads, the caller being one of them; returns when all are done. */
void closures_run(struct closures_result *result_out, struct svm_engine *engine,
                  struct closure *closures, size_t count, unsigned threads,
                  enum closures_routing routing);

/* closures_run_jobs: svm_cell_run_batch, and what met OVERLOADED again after a short pause, until it has been taken.
 *   stats_out  out  a job that was repeated counts once, each repetition as a retry */
void closures_run_jobs(struct svm_engine *engine, struct svm_cell_job *jobs, size_t count,
                       struct svm_cell_batch_stats *stats_out);

/* closure_route: SVM_OK and the path, or why it is refused: any shared object leads to consensus; owned objects must be
 * the sender's; an immutable object makes no difference. */
SVM_MUST_USE enum svm_err closure_route(enum svm_path *path_out, struct svm_snapshot *snapshot,
                                        const struct closure *closure);

/* ---- closures ------------------------------------------------------------------------------------------------- */

enum svm_err closure_blind_write(void *arg, struct svm_cell_txn *txn); /* fast_{n} = val_{n} */
/* pool_{from}_counter + 1, decimal text, from nothing = 0 */
enum svm_err closure_pool_add(void *arg, struct svm_cell_txn *txn);
/* account_{from} -= amount, account_{to} += amount; nothing when the balance is short */
enum svm_err closure_transfer(void *arg, struct svm_cell_txn *txn);

/* ---- cells as text ---------------------------------------------------------------------------------------------- */

/* A key or a value: PREFIX, a decimal number, SUFFIX. */
struct text {
    size_t len;
    char s[48];
};
struct text text_make(const char *prefix, uint64_t number, const char *suffix);
struct svm_bytes text_bytes(const struct text *text); /* borrows */
struct svm_bytes text_literal(const char *literal);
/* cell_add: read KEY as decimal text, absent = 0, write it plus DELTA. */
enum svm_err cell_add(struct svm_cell_txn *txn, struct svm_bytes key, int64_t delta);
/* cell_number: KEY as decimal text in TXN, absent = 0. Returns as svm_cell_get, but never NOT_FOUND. */
SVM_MUST_USE enum svm_err cell_number(int64_t *number_out, struct svm_cell_txn *txn,
                                      struct svm_bytes key);
/* cell_read_number: the same in a transaction of its own. Ends the process when that cannot be done. */
int64_t cell_read_number(struct svm_engine *engine, struct svm_bytes key);
/* cell_holds: KEY has exactly this value now. */
bool cell_holds(struct svm_engine *engine, struct svm_bytes key, struct svm_bytes value);
/* cell_store: put one cell in a transaction of its own. Ends the process when that cannot be done. */
void cell_store(struct svm_engine *engine, struct svm_bytes key, struct svm_bytes value);
/* cells_sum: the numbers of {PREFIX}{0}{SUFFIX} .. {PREFIX}{COUNT-1}{SUFFIX}, together. */
int64_t cells_sum(struct svm_engine *engine, const char *prefix, uint64_t count,
                  const char *suffix);

#endif
