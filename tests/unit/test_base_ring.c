/* base/ring: order, bounds, and every item exactly once between several producers and consumers. */
#include "base/ring.h"

#include <check.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/thread.h"

enum { PRODUCERS = 3, CONSUMERS = 3, ITEMS = 20000, CAPACITY = 64 };

static void *item_of(uintptr_t n)
{
    return (void *)(n + 1);
}

START_TEST(first_in_first_out_within_bounds)
{
    struct ring *ring = ring_create(8);
    ck_assert_ptr_nonnull(ring);
    uintptr_t in = 0;
    uintptr_t out = 0;
    for (int round = 0; round < 100; round++) {
        while (ring_try_push(ring, item_of(in))) {
            in++;
        }
        ck_assert_uint_eq(in - out, 8);
        ck_assert_uint_eq(ring_depth(ring), 8);
        int pops = 1 + round % 8;
        for (int i = 0; i < pops; i++) {
            ck_assert_ptr_eq(ring_try_pop(ring), item_of(out));
            out++;
        }
        ck_assert_uint_eq(ring_depth(ring), 8 - (size_t)pops);
    }
    while (out < in) {
        ck_assert_ptr_eq(ring_try_pop(ring), item_of(out));
        out++;
    }
    ck_assert_ptr_null(ring_try_pop(ring));
    ck_assert_uint_eq(ring_depth(ring), 0);
    ring_destroy(ring);
}
END_TEST

static struct ring *shared;
static _Atomic uint32_t seen[PRODUCERS * ITEMS];
static _Atomic uint32_t popped;
static _Atomic uint32_t out_of_order;

static void produce(void *arg)
{
    uintptr_t base = (uintptr_t)arg * ITEMS;
    for (uintptr_t i = 0; i < ITEMS; i++) {
        while (!ring_try_push(shared, item_of(base + i))) {
            sched_yield();
        }
    }
}

/* The items of one producer reach one consumer in their order. */
static void consume(void *arg)
{
    (void)arg;
    uintptr_t next[PRODUCERS] = {0};
    while (atomic_load(&popped) < PRODUCERS * ITEMS) {
        void *item = ring_try_pop(shared);
        if (item == NULL) {
            sched_yield();
            continue;
        }
        uintptr_t n = (uintptr_t)item - 1;
        atomic_fetch_add(&seen[n], 1);
        atomic_fetch_add(&popped, 1);
        if (n % ITEMS < next[n / ITEMS]) {
            atomic_fetch_add(&out_of_order, 1);
        }
        next[n / ITEMS] = n % ITEMS + 1;
    }
}

START_TEST(every_item_once)
{
    static struct thread threads[PRODUCERS + CONSUMERS];
    shared = ring_create(CAPACITY);
    ck_assert_ptr_nonnull(shared);
    for (uintptr_t i = 0; i < PRODUCERS; i++) {
        ck_assert(thread_start(&threads[i], "producer", produce, (void *)i));
    }
    for (int i = 0; i < CONSUMERS; i++) {
        ck_assert(thread_start(&threads[PRODUCERS + i], "consumer", consume, NULL));
    }
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++) {
        thread_join(&threads[i]);
    }
    for (int i = 0; i < PRODUCERS * ITEMS; i++) {
        ck_assert_uint_eq(atomic_load(&seen[i]), 1);
    }
    ck_assert_uint_eq(atomic_load(&out_of_order), 0);
    ring_destroy(shared);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base_ring");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(
        tcase,
        30); /* a ring that loses an item may never end; below the limit of tests/mutants/run */
    tcase_add_test(tcase, first_in_first_out_within_bounds);
    tcase_add_test(tcase, every_item_once);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
