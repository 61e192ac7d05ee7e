/* crash/tx.h - random signed transactions of the dev chain, of every operation; many succeed, some fail, some are refused. */
#ifndef CRASH_TX_H
#define CRASH_TX_H

#include <svm.h>

#include "base/rng.h"
#include "crash/journal.h"

struct crash_tx {
    struct svm_digest digest;
    int64_t delta; /* what it adds to the counter when it succeeds */
    size_t len;
    uint8_t bytes[JOURNAL_TX_BYTES];
};

/* crash_tx_random: for the payer INDEX (it owns the accounts INDEX, INDEX + 3, INDEX + 6). DOC: an object of the payer's making that may
 * be acted on; replaced when the transaction creates one. */
void crash_tx_random(struct crash_tx *tx, struct svm_engine *engine, struct rng *rng,
                     unsigned index, struct svm_id *doc);

/* crash_cell_number: the u64 in cell KEY; 0 = absent, UINT64_MAX = it cannot be read. */
uint64_t crash_cell_number(struct svm_cell_txn *txn, const char *key);

#endif
