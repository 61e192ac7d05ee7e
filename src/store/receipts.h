/* store/receipts.h - receipts on disk: packed in order of position, found by digest.
 *
 *     key                      value
 *     'x' position 8           head: receipts 2, last position 8, latest node time 8; then each: length 4, receipt row
 *
 * A page holds about four KiB of receipts that follow each other, and the key is the position of its first. Pages are appended, never
 * in between, so the database writes them once. Where in them a digest is, the runs tell (runs.h): place = position of the page
 * << 8 | which of it.
 *
 * Thread   get: any. The rest: one at a time (G). */
#ifndef STORE_RECEIPTS_H
#define STORE_RECEIPTS_H

#include "store/runs.h"

enum { STORE_PAGE_HEAD_BYTES = 18 };
/* The head of a page. */
struct store_page {
    uint16_t count;
    uint64_t last;
    uint64_t newest_ms;
};
/* store_page_parse: false = this is no page. */
bool store_page_parse(struct store_page *page_out, struct svm_bytes value);

struct store_receipts {
    struct store_runs runs;
    /* the page under way */
    uint8_t *page;
    size_t page_len, page_cap;
    uint64_t page_first;
    struct store_page head;
};
SVM_MUST_USE bool store_receipts_init(struct store_receipts *receipts);
void store_receipts_deinit(struct store_receipts *receipts);

/* store_receipts_begin: a new batch; what was added and not published is forgotten.
 * store_receipts_add: the receipt of TX, which comes from a frame, in order of position.
 * store_receipts_seal: all added since, as rows of BATCH, which covers positions FIRST..LAST.
 * store_receipts_publish: BATCH was written. Then they are found. */
void store_receipts_begin(struct store_receipts *receipts);
SVM_MUST_USE enum svm_err store_receipts_add(struct store_receipts *receipts,
                                             struct store_batch *batch,
                                             const struct model_effects *tx);
SVM_MUST_USE enum svm_err store_receipts_seal(struct store_receipts *receipts,
                                              struct store_batch *batch, uint64_t first,
                                              uint64_t last);
void store_receipts_publish(struct store_receipts *receipts);

/* store_receipts_get: gives (svm_receipt_free). SVM_OK, SVM_E_NOT_FOUND, SVM_E_IO, SVM_E_CORRUPT, SVM_E_NO_MEMORY. */
SVM_MUST_USE enum svm_err store_receipts_get(struct store_receipts *receipts,
                                             const struct svm_kv_ops *kv,
                                             const struct svm_digest *digest,
                                             struct svm_receipt **receipt_out);

#endif
