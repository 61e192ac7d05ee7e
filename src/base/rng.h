/* base/rng.h - random numbers: a seedable generator for tests and back-off, and the kernel's for secrets of the process.
 *
 * Thread   a struct rng belongs to one thread; rng_os is for any.
 * Source   xoshiro256** 1.0 (Blackman and Vigna), seeded by splitmix64. Not for cryptography. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
/* rng_below: uniform in [0, BOUND), without bias. BOUND > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/* rng_os: LEN unpredictable bytes from the kernel. Cannot fail once the kernel is up; asserts. */
void rng_os(void *out, size_t len);

#endif
