/* store/meta.h - what `state` says of itself: how far it has come, on which chain, with which totals. */
#ifndef STORE_META_H
#define STORE_META_H

#include "store/store.h"

/*     offset  bytes
 *          0      4  "SVMM"
 *          4      4  version = 1
 *          8     32  genesis digest
 *         40      8  seq               M: the state is exactly that after this transaction
 *         48     32  hash              of the group that ends at M; before the first: the genesis digest
 *         80      8  node_ms
 *         88     24  live objects: owned, shared, immutable
 *        112      8  transfers */
enum { STORE_META_BYTES = 120 };
struct store_meta {
    struct svm_digest genesis;
    uint64_t seq;
    struct svm_digest hash;
    uint64_t node_ms;
    uint64_t objects[3];
    uint64_t transfers;
};
void store_meta_encode(uint8_t out[STORE_META_BYTES], const struct store_meta *meta);
SVM_MUST_USE enum svm_err store_meta_decode(struct store_meta *meta_out, struct svm_bytes row);

#endif
