/* bench/zipf.h - a sequence of draws by Zipf's law, made before the clock starts. */
#ifndef BENCH_ZIPF_H
#define BENCH_ZIPF_H

#include "bench/rig.h"

/* zipf_draw: COUNT of the numbers below N; the one of rank K comes with probability proportional to 1 / K^THETA (0 = evenly). Ranks are
 * scattered over the numbers, so that neighbours have nothing in common.
 * Returns  gives: free */
uint32_t *zipf_draw(uint32_t count, uint32_t n, double theta, struct random *random);

#endif
