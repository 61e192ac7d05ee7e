/* demos/workload.h - the original's two large workloads, which differ in their numbers only: blind writes to keys of their
 * own under owned objects, then additions to the counters of a few shared pools. One batch, the fast ones first.
 *
 *      fast i:      object i mod owned, sender its owner;  fast_{i} = val_{i}
 *      consensus i: pool i mod pools;                      pool_{p}_counter + 1
 *
 * The owner of object i is the address that repeats the byte i mod 256. */
#ifndef DEMO_WORKLOAD_H
#define DEMO_WORKLOAD_H

#include "demos/closures.h"
#include "demos/demo.h"

enum { WORKLOAD_OWNERS = 256 };

struct workload {
    size_t fast, consensus;
    uint32_t owned, pools;
    struct svm_owner *owners;
    struct svm_id *objects; /* owned, then pools */
    struct closure *closures;
};

/* workload_create: the objects, made by transactions, and the closures. Nothing of it is timed. */
void workload_create(struct workload *workload, struct demo *demo, size_t fast, size_t consensus,
                     uint32_t owned, uint32_t pools);
void workload_destroy(struct workload *workload);

/* workload_check: every blind write is there, and the pools' counters together are what was executed on the consensus
 * path. Returns the counters' sum; ends the process when something is wrong. */
uint64_t workload_check(const struct workload *workload, const struct demo *demo,
                        const struct closures_result *result);

/* workload_tell: run it on THREADS threads, print what the original prints, with the original's FIGURES below, check. */
struct workload_theirs {
    const char *claimed;  /* by its documents, on their machine */
    const char *measured; /* its correct version on our reference machine, best run */
};
void workload_tell(struct workload *workload, struct demo *demo, unsigned threads,
                   const struct workload_theirs *theirs);

#endif
