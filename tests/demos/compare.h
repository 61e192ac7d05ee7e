/* demos/compare.h - the transactions of the two comparing demonstrations: half of them fast (key fast:{i}, each its own,
 * under an object of alice's or bob's in turn), half consensus (one key pool_shares, under one shared object). */
#ifndef DEMO_COMPARE_H
#define DEMO_COMPARE_H

#include "demos/closures.h"
#include "demos/demo.h"

struct compare {
    size_t each; /* fast ones, and as many consensus ones */
    struct svm_id owned[2], pool;
    struct closure *closures; /* fast, then consensus */
};

void compare_create(struct compare *compare, struct demo *demo, size_t each);
void compare_destroy(struct compare *compare);
/* compare_check: the keys and the pool hold what ROUNDS runs of all closures make of them. */
void compare_check(const struct compare *compare, const struct demo *demo, uint64_t rounds);

#endif
