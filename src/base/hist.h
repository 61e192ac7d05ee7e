/* base/hist.h - a latency histogram: log-linear buckets, 32 per power of two, so a value is known to 1/32 (3.2 %).
 *
 *     values   0 .. 63   64 .. 127   128 .. 255   ...
 *     width       1          2           4        ...      1920 buckets for all of uint64_t, 15 KiB
 *
 * The unit (ns, us) is the caller's. One thread adds; any thread may read, merge from, or take percentiles at the same time and
 * sees a state of a moment ago: every field is a relaxed atomic and only ever grows, so no reader needs the writer to stop.
 * Memory   a struct of fixed size, nothing is allocated.
 * Source   HdrHistogram (Tene), with 5 bits of precision; here the buckets are those of base 2 throughout. */
#ifndef BASE_HIST_H
#define BASE_HIST_H

#include <stdatomic.h>
#include <stdint.h>

enum { HIST_BITS = 5, HIST_BUCKETS = (64 - HIST_BITS + 1) << HIST_BITS };

struct hist {
    _Atomic uint64_t count;
    _Atomic uint64_t sum;
    _Atomic uint64_t max;
    _Atomic uint64_t buckets[HIST_BUCKETS];
};

void hist_init(struct hist *hist);
/* hist_add: O(1), no locked instruction. Thread   the one writer of HIST. */
void hist_add(struct hist *hist, uint64_t value);
/* hist_add_many: the same, COUNT times. */
void hist_add_many(struct hist *hist, uint64_t value, uint64_t count);
/* hist_merge: add what FROM holds to HIST. Thread   the one writer of HIST; FROM may be written meanwhile. */
void hist_merge(struct hist *hist, const struct hist *from);
/* hist_percentile: the smallest bucket end that at least PPM millionths of the values do not exceed, never above the maximum;
 * 0 when empty. 500000 = median, 990000 = p99, 1000000 = maximum. */
uint64_t hist_percentile(const struct hist *hist, uint32_t ppm);

static inline uint64_t hist_count(const struct hist *hist)
{
    return atomic_load_explicit(&hist->count, memory_order_relaxed);
}

static inline uint64_t hist_sum(const struct hist *hist)
{
    return atomic_load_explicit(&hist->sum, memory_order_relaxed);
}

static inline uint64_t hist_max(const struct hist *hist)
{
    return atomic_load_explicit(&hist->max, memory_order_relaxed);
}

/* hist_bucket: the bucket of VALUE. hist_bucket_end: the largest value in BUCKET. */
uint32_t hist_bucket(uint64_t value);
uint64_t hist_bucket_end(uint32_t bucket);

#endif
