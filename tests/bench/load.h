/* bench/load.h - the closed-loop generator: keeps a window of single-object transactions in flight and counts what is done. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench/rig.h"

/* Which transactions, out of 100: the rest is on the other path.
 *   fast       Add of 1 to a counter of its owner's; with TRANSFER: of a coin from its account to the next. The exact
 *              version is named.
 *   consensus  Add of 1 to a shared counter */
struct load {
    unsigned fast_percent;
    bool transfer;
    struct population *owned;  /* coins or owned counters; NULL when fast_percent is 0 */
    struct population *shared; /* NULL when fast_percent is 100 */
};
struct load_result {
    double timed_at; /* now_s: when the timed part began */
    double seconds;  /* of the timed part */
    uint64_t timed;  /* done within it */
    double cpu_ns;   /* processor time of the process for each of them, the generator's included */
    uint64_t fast, consensus; /* done over the whole run, warm-up included */
};
/* load_run: warm up, run, settle. Every transaction must succeed. */
void load_run(struct load_result *result, struct rig *rig, const struct load *load);
/* load_check: AFTER differs from BEFORE by what RESULT says was done, and by nothing else; else the process ends. */
void load_check(const struct load_result *result, const struct load *load,
                const struct audit *before, const struct audit *after);

#endif
