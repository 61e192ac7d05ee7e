#include "base/hist.h"

#include "base/assert.h"

/* One writer: load, add and store need not be one operation. */
static void bump(_Atomic uint64_t *field, uint64_t delta)
{
    uint64_t old = atomic_load_explicit(field, memory_order_relaxed);
    atomic_store_explicit(field, old + delta, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *field)
{
    return atomic_load_explicit(field, memory_order_relaxed);
}

void hist_init(struct hist *hist)
{
    atomic_init(&hist->count, 0);
    atomic_init(&hist->sum, 0);
    atomic_init(&hist->max, 0);
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        atomic_init(&hist->buckets[i], 0);
    }
}

uint32_t hist_bucket(uint64_t value)
{
    if (value < (1u << HIST_BITS)) {
        return (uint32_t)value;
    }
    uint32_t exponent = 63u - (uint32_t)__builtin_clzll(value);
    uint32_t shift = exponent - HIST_BITS;
    uint32_t within = (uint32_t)(value >> shift) & ((1u << HIST_BITS) - 1);
    return ((shift + 1) << HIST_BITS) + within;
}

uint64_t hist_bucket_end(uint32_t bucket)
{
    SVM_ASSERT(bucket < HIST_BUCKETS);
    if (bucket < (1u << HIST_BITS)) {
        return bucket;
    }
    uint32_t shift = (bucket >> HIST_BITS) - 1;
    uint64_t lead = (1u << HIST_BITS) + (bucket & ((1u << HIST_BITS) - 1));
    return (lead << shift) + (((uint64_t)1 << shift) - 1);
}

void hist_add(struct hist *hist, uint64_t value)
{
    hist_add_many(hist, value, 1);
}

void hist_add_many(struct hist *hist, uint64_t value, uint64_t count)
{
    bump(&hist->buckets[hist_bucket(value)], count);
    bump(&hist->count, count);
    bump(&hist->sum, value * count);
    if (value > get(&hist->max)) {
        atomic_store_explicit(&hist->max, value, memory_order_relaxed);
    }
}

void hist_merge(struct hist *hist, const struct hist *from)
{
    uint64_t count = 0;
    if (get(&from->count) == 0) {
        return; /* most are empty: a set for each thread that may come */
    }
    const uint32_t last = hist_bucket(get(&from->max));
    for (uint32_t i = 0; i <= last; i++) {
        uint64_t n = get(&from->buckets[i]);
        if (n != 0) {
            bump(&hist->buckets[i], n);
            count += n;
        }
    }
    /* The count of what was merged, not FROM's, which may have moved on. */
    bump(&hist->count, count);
    bump(&hist->sum, get(&from->sum));
    if (get(&from->max) > get(&hist->max)) {
        atomic_store_explicit(&hist->max, get(&from->max), memory_order_relaxed);
    }
}

uint64_t hist_percentile(const struct hist *hist, uint32_t ppm)
{
    SVM_ASSERT(ppm <= 1000000u);
    uint64_t total = 0;
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        total += get(&hist->buckets[i]);
    }
    if (total == 0) {
        return 0;
    }
    /* ceil(total * ppm / 10^6) without overflow, at least one value. */
    uint64_t want = total / 1000000u * ppm + (total % 1000000u * ppm + 999999u) / 1000000u;
    want = want == 0 ? 1 : want;
    uint64_t max = get(&hist->max);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        seen += get(&hist->buckets[i]);
        if (seen >= want) {
            uint64_t end = hist_bucket_end(i);
            return end < max ? end : max;
        }
    }
    return max;
}
