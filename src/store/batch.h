/* store/batch.h - rows on their way into `state`: collected in any order, written sorted, each key once.
 *
 * Of several operations on one key the last one counts: objects, cells and the owner index are coalesced by that. History
 * rows and receipts have keys of their own and all stay.
 *
 * Thread   one at a time (G).
 * Memory   keys and values live in chunks that the batch owns and uses again; running out of memory sticks until clear. */
#ifndef STORE_BATCH_H
#define STORE_BATCH_H

#include "store/store.h"

struct store_batch_chunk;
struct store_batch_rank {
    uint64_t rank; /* first eight bytes of the key, as a number */
    uint32_t index;
};
/* Where a row was put last; a row falls onto one place, and the youngest is remembered. */
struct store_batch_place {
    uint64_t rank;
    uint32_t index; /* of its operation; with CAP 0 none */
    uint32_t cap;   /* bytes that its value has room for */
};
struct store_batch {
    struct store_batch_chunk *chunks; /* newest first */
    struct store_batch_chunk *spare;
    struct svm_kv_op *ops, *sorted;
    struct store_batch_rank *ranks, *ranks_other;
    size_t count, cap;
    size_t chunks_lately, count_lately; /* in sixteenths */
    struct store_batch_place *places;   /* NULL until there is a row, or for want of memory */
    bool no_memory;
};

void store_batch_init(struct store_batch *batch);
void store_batch_deinit(struct store_batch *batch);
/* store_batch_clear: empty. It keeps the memory of batches as long as the latest ones; of one that was much longer it is given back by and by. */
void store_batch_clear(struct store_batch *batch);

/* store_batch_alloc: SIZE bytes that last until clear; NULL = no memory. */
uint8_t *store_batch_alloc(struct store_batch *batch, size_t size);
/* store_batch_put, _del: KEY and VALUE were given by store_batch_alloc, or outlive the batch. */
void store_batch_put(struct store_batch *batch, struct svm_bytes key, struct svm_bytes value);
void store_batch_del(struct store_batch *batch, struct svm_bytes key);

/* store_batch_row: put a row with the key KIND, ID and a value of LEN (not 0) bytes, which is given to be filled in now; NULL = no memory.
 * While it is remembered where the row was put before, it takes that place: what is written again and again costs a copy. Rows
 * of KIND must come this way only. */
uint8_t *store_batch_row(struct store_batch *batch, uint8_t kind, const uint8_t id[32], size_t len);
/* store_batch_trim: give memory back. When empty. */
void store_batch_trim(struct store_batch *batch);

/* store_batch_sort: the operations in ascending key order, each key once.
 * Returns SVM_OK or SVM_E_NO_MEMORY (of this call or of an earlier one). */
SVM_MUST_USE enum svm_err store_batch_sort(struct store_batch *batch,
                                           const struct svm_kv_op **ops_out, size_t *count_out);
/* store_batch_tail: index of the first of COUNT sorted OPS whose key begins with KIND or above. */
size_t store_batch_tail(const struct svm_kv_op *ops, size_t count, uint8_t kind);

#endif
