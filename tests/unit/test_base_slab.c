/* Blocks that threads pass to each other: nobody's bytes are anybody else's, and what is free goes back. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/ring.h"
#include "base/rng.h"
#include "base/slab.h"

static uint64_t seed;

static unsigned scale(unsigned n)
{
    return getenv("SVM_SHORT") ? n / 10 : n;
}

static void must(bool ok, const char *what)
{
    if (!ok)
        ck_abort_msg("seed %llu: %s", (unsigned long long)seed, what);
}

/* Every byte of a block says its size and whose it is. */
static void mark(uint8_t *block, size_t size, uint8_t whose)
{
    memset(block, whose, size);
    block[0] = (uint8_t)(size & 0xff);
    block[1] = (uint8_t)(size >> 8);
}

static size_t marked(const uint8_t *block)
{
    size_t size = block[0] | (size_t)block[1] << 8;
    for (size_t i = 3; i < size; i++)
        must(block[i] == block[2], "a block is its owner's alone");
    return size;
}

struct end {
    struct slab_depot *depot;
    struct ring *in, *out;
    uint64_t seed;
    uint8_t whose;
};

/* Takes blocks for the other, gives back what the other took. */
static void *run_end(void *arg)
{
    struct end *end = arg;
    struct slab_cache cache;
    struct rng rng;
    rng_init(&rng, end->seed);
    slab_cache_init(&cache, end->depot);
    for (unsigned i = 0; i < scale(200000); i++) {
        size_t size = 3 + (i / 1000 % 2 ? rng_below(&rng, SLAB_BYTES_MAX - 2) : 157);
        uint8_t *block = slab_take(&cache, size);
        must(block != NULL && (uintptr_t)block % 8 == 0, "a block");
        mark(block, size, end->whose);
        if (!ring_try_push(end->out, block)) /* the other is slow, or has finished */
            slab_give(&cache, block, marked(block));
        uint8_t *other = rng_below(&rng, 8) ? ring_try_pop(end->in) : NULL;
        if (other)
            slab_give(&cache, other, marked(other));
        if (i % 50000 == 0)
            slab_depot_trim(end->depot);
    }
    slab_cache_deinit(&cache);
    return NULL;
}

START_TEST(blocks_pass_between_threads)
{
    struct slab_depot *depot = slab_depot_create();
    struct ring *there = ring_create(4096), *back = ring_create(4096);
    struct end ends[2] = {{depot, there, back, seed, 0xa5}, {depot, back, there, seed + 1, 0x5a}};
    pthread_t other;
    ck_assert_int_eq(pthread_create(&other, NULL, run_end, &ends[1]), 0);
    run_end(&ends[0]);
    pthread_join(other, NULL);
    struct slab_cache cache;
    slab_cache_init(&cache, depot);
    for (uint8_t *block; (block = ring_try_pop(there)) || (block = ring_try_pop(back));)
        slab_give(&cache, block, marked(block));
    slab_cache_deinit(&cache);
    ring_destroy(there);
    ring_destroy(back);
    slab_depot_destroy(depot);
}
END_TEST

START_TEST(what_is_free_serves_other_sizes)
{
    enum { BLOCKS = 40000 };
    static uint8_t *blocks[BLOCKS];
    struct slab_depot *depot = slab_depot_create();
    struct slab_cache cache;
    slab_cache_init(&cache, depot);
    uint64_t most = 0;
    for (size_t size = 100; size <= 400; size += 100) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            must((blocks[i] = slab_take(&cache, size)) != NULL, "a block");
            mark(blocks[i], size, (uint8_t)i);
        }
        if (slab_depot_bytes(depot) > most)
            most = slab_depot_bytes(depot);
        const unsigned kept = size % 200 ? 7 : 800; /* of which about one in each chunk stays */
        for (unsigned i = 0; i < BLOCKS; i++)
            if (i % kept)
                slab_give(&cache, blocks[i], marked(blocks[i]));
        slab_depot_trim(depot);
        for (unsigned i = 0; i < BLOCKS; i += kept)
            slab_give(&cache, blocks[i], marked(blocks[i]));
        slab_cache_deinit(&cache); /* what it has holds on to chunks */
        slab_depot_trim(depot);
    }
#if !defined(__SANITIZE_ADDRESS__)
    ck_assert_uint_ge(most, (uint64_t)BLOCKS * 400);
    ck_assert_uint_le(most, (uint64_t)BLOCKS * 400 + ((uint64_t)8 << 20));
    ck_assert_uint_le(slab_depot_bytes(depot), (uint64_t)8 << 20);
#endif
    slab_depot_destroy(depot);
}
END_TEST

int main(void)
{
    const char *given = getenv("SVM_SEED");
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    Suite *suite = suite_create("base");
    TCase *tc = tcase_create("slab");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, blocks_pass_between_threads);
    tcase_add_test(tc, what_is_free_serves_other_sizes);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
