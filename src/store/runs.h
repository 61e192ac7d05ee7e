/* store/runs.h - which digest lies where: sorted runs of packed entries, kept as few rows of `state`.
 *
 * A row for each digest would cost the database ten times what its sixteen bytes are worth. So the digests of a batch become one
 * run: entries sorted by the first eight bytes of the digest, packed into pages. Runs follow each other in order of position;
 * neighbours of one size are merged, so that there are few and each digest is written again a few times at most.
 *
 *     key                      value
 *     'i' run 8                head: version 1, first 8, last 8, entries 8, pages 4
 *     'j' run 8                map: first prefix of each page, 8 each; then the filter, lines of 64 bytes
 *     'r' run 8, page 4        entries: prefix 8, place 8, ascending
 *
 * A lookup asks each run's filter (one line of memory; 1.3 bytes for each entry, read when first asked for), and reads a page
 * where the filter says yes. Prefixes may be equal; who looks up compares the whole digest at the place.
 *
 * Runs are written with the batch they belong to. A merged run is written first, then takes the place of the old ones, whose rows
 * are deleted in a later batch: readers never miss. After a crash a run whose positions lie within those of a younger one is such
 * a leftover.
 *
 * Thread   find: any. The rest: one at a time (G).
 * Memory   its own; a merge takes up to 2 x 16 bytes for each of RUN_ENTRIES_MAX entries for its duration. */
#ifndef STORE_RUNS_H
#define STORE_RUNS_H

#include <pthread.h>

#include "store/batch.h"

enum { STORE_PLACE_BITS = 8 };
struct store_run_entry {
    uint64_t prefix; /* first eight bytes of the digest, big-endian */
    uint64_t place;  /* a position << STORE_PLACE_BITS | something */
};
struct store_run;
struct store_runs_gone {
    uint64_t id;
    uint32_t pages;
};
struct store_runs {
    pthread_rwlock_t lock; /* guards runs, count */
    struct store_run **runs;
    size_t count, cap;
    uint64_t next_id;
    struct store_run_entry *entries, *other; /* of the run under way */
    size_t entry_count, entry_cap;
    struct store_run *made;       /* rows are in the batch, not published yet */
    struct store_runs_gone *gone; /* whose rows the next batch deletes */
    size_t gone_count, gone_cap;
    size_t gone_taken; /* so many of them in the batch under way */
};

SVM_MUST_USE bool store_runs_init(struct store_runs *runs);
void store_runs_deinit(struct store_runs *runs);
/* store_runs_load: what KV holds. SVM_OK, SVM_E_IO, SVM_E_CORRUPT, SVM_E_NO_MEMORY. */
SVM_MUST_USE enum svm_err store_runs_load(struct store_runs *runs, const struct svm_kv_ops *kv);

/* store_runs_begin: forget what was added since the last publication.
 * store_runs_add: an entry of the run under way. SVM_OK or SVM_E_NO_MEMORY.
 * store_runs_seal: the rows of the run under way, of positions FIRST..LAST, into BATCH, with deletions that are due.
 * store_runs_publish: BATCH was written: lookups see the run. */
void store_runs_begin(struct store_runs *runs);
SVM_MUST_USE enum svm_err store_runs_add(struct store_runs *runs, const struct svm_digest *digest,
                                         uint64_t place);
SVM_MUST_USE enum svm_err store_runs_seal(struct store_runs *runs, struct store_batch *batch,
                                          uint64_t first, uint64_t last);
void store_runs_publish(struct store_runs *runs);

/* store_runs_trim: give back the memory of runs under way and of merges. When there is none under way. */
void store_runs_trim(struct store_runs *runs);

/* store_runs_merge: if there are too many runs of one size, the rows of one in their place into BATCH, without entries of
 * positions below FLOOR; *MERGED_OUT says whether there are any. Then write and publish as above. SVM_OK, SVM_E_IO, SVM_E_CORRUPT, SVM_E_NO_MEMORY. */
SVM_MUST_USE enum svm_err store_runs_merge(struct store_runs *runs, const struct svm_kv_ops *kv,
                                           struct store_batch *batch, uint64_t floor,
                                           bool *merged_out);
/* store_runs_drop: runs that end below position SEQ are not asked any more; the next batch deletes their rows. */
void store_runs_drop(struct store_runs *runs, uint64_t seq);

/* store_runs_find: VISIT each place that DIGEST may lead to, youngest run first, until it returns something else than
 * SVM_E_NOT_FOUND, which is then returned. SVM_E_IO, SVM_E_CORRUPT, SVM_E_NO_MEMORY. */
typedef enum svm_err store_place_fn(void *arg, uint64_t place);
SVM_MUST_USE enum svm_err store_runs_find(struct store_runs *runs, const struct svm_kv_ops *kv,
                                          const struct svm_digest *digest, store_place_fn *visit,
                                          void *arg);
size_t store_runs_count(struct store_runs *runs);

#endif
