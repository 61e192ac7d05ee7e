/* unit/exec_random.h - seeded randomness for the tests of this room: the seed is printed first and taken back from SVM_SEED. */
#ifndef UNIT_EXEC_RANDOM_H
#define UNIT_EXEC_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct random {
    uint64_t state;
};

/* random_next: SplitMix64. */
static inline uint64_t random_next(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline uint32_t random_below(struct random *r, uint32_t bound)
{
    return (uint32_t)(random_next(r) % bound);
}

static inline struct random random_seeded(const char *test)
{
    const char *text = getenv("SVM_SEED");
    const uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    printf("%s: SVM_SEED=%llu\n", test, (unsigned long long)seed);
    fflush(stdout);
    return (struct random){seed};
}

#endif
