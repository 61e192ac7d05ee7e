/* base/qsbr: nothing is freed under a reader, everything is freed in the end. */
#include "base/qsbr.h"

#include <check.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/rng.h"
#include "base/thread.h"

static uint64_t seed;

#define ALIVE UINT64_C(0x600dc0de600dc0de)
#define OURS  UINT64_C(0xbeef) /* above the link */

struct block {
    struct qsbr_entry entry;
    _Atomic uint64_t mark;
};

static _Atomic uint64_t freed;
static _Atomic uint64_t freed_other;

static void block_reclaim(void *arg, struct qsbr_entry *entry)
{
    (void)arg;
    struct block *block = (struct block *)(void *)entry;
    ck_assert_uint_eq(atomic_load(&entry->link) >> QSBR_LINK_BITS, OURS);
    atomic_store(&block->mark,
                 0); /* a reader that is still here sees it, without a sanitizer too */
    atomic_fetch_add(&freed, 1);
    free(block);
}

static void other_reclaim(void *arg, struct qsbr_entry *entry)
{
    atomic_fetch_add(&freed_other, 1);
    block_reclaim(arg, entry);
}

static qsbr_reclaim_fn *const reclaim[QSBR_KINDS] = {block_reclaim, other_reclaim, NULL, NULL};

static struct block *block_create(void)
{
    struct block *block = malloc(sizeof *block);
    ck_assert_ptr_nonnull(block);
    atomic_init(&block->mark, ALIVE);
    atomic_init(&block->entry.link, (uintptr_t)OURS << QSBR_LINK_BITS);
    return block;
}

static void retire(struct qsbr_thread *thread, uint32_t kind)
{
    qsbr_retire(thread, kind, &block_create()->entry, sizeof(struct block));
}

START_TEST(a_reader_holds_back_what_was_retired_since)
{
    struct qsbr *qsbr = qsbr_create(4, reclaim, NULL);
    struct qsbr_thread *writer = qsbr_thread_create(qsbr, NULL);
    struct qsbr_thread *reader = qsbr_thread_create(qsbr, NULL);
    ck_assert(qsbr != NULL && writer != NULL && reader != NULL);
    qsbr_online(reader);
    qsbr_online(writer);
    retire(writer, 0);
    for (int i = 0; i < 10; i++) {
        qsbr_drain(writer);
        qsbr_quiesce(writer);
    }
    ck_assert_uint_eq(atomic_load(&freed), 0);
    ck_assert_uint_eq(qsbr_pending(writer), 1);
    qsbr_quiesce(reader);
    qsbr_quiesce(writer);
    ck_assert_uint_eq(atomic_load(&freed), 1);

    retire(writer, 1);
    qsbr_drain(writer);
    qsbr_quiesce(writer);
    ck_assert_uint_eq(atomic_load(&freed), 1);
    qsbr_offline(reader); /* an offline reader holds back nothing */
    qsbr_quiesce(writer);
    ck_assert_uint_eq(atomic_load(&freed), 2);
    ck_assert_uint_eq(atomic_load(&freed_other), 1);

    qsbr_online(reader); /* nor does one that came after */
    retire(writer, 0);
    qsbr_drain(writer);
    qsbr_offline(reader);
    qsbr_online(reader);
    qsbr_quiesce(writer);
    ck_assert_uint_eq(atomic_load(&freed), 3);
    qsbr_offline(reader);
    qsbr_offline(writer);
    qsbr_thread_destroy(reader);
    qsbr_thread_destroy(writer);
    qsbr_destroy(qsbr);
}
END_TEST

START_TEST(leftovers_go_to_the_domain)
{
    struct qsbr *qsbr = qsbr_create(3, reclaim, NULL);
    struct qsbr_thread *reader = qsbr_thread_create(qsbr, NULL);
    struct qsbr_thread *writer = qsbr_thread_create(qsbr, NULL);
    struct qsbr_thread *drainer = qsbr_thread_create(qsbr, NULL);
    ck_assert(qsbr != NULL && reader != NULL && writer != NULL && drainer != NULL);
    ck_assert_ptr_null(qsbr_thread_create(qsbr, NULL)); /* threads_max */
    qsbr_online(reader);
    qsbr_online(writer);
    for (int i = 0; i < 10000; i++) { /* far more batches than a thread has places for */
        retire(writer, 0);
    }
    ck_assert_uint_eq(qsbr_pending(writer), 10000);
    qsbr_offline(writer); /* more than it may keep */
    ck_assert_uint_lt(qsbr_pending(writer), QSBR_KEPT_ENTRIES);
    qsbr_drain(drainer);
    ck_assert_uint_eq(atomic_load(&freed), 0);
    qsbr_thread_destroy(writer);
    qsbr_quiesce(reader);
    qsbr_drain(drainer);
    ck_assert_uint_eq(atomic_load(&freed), 10000);

    qsbr_online(drainer);
    for (int i = 0; i < 5; i++) {
        retire(drainer, 0);
    }
    qsbr_offline(drainer);
    qsbr_thread_destroy(drainer);
    qsbr_offline(reader);
    qsbr_thread_destroy(reader);
    qsbr_destroy(qsbr); /* the last resort */
    ck_assert_uint_eq(atomic_load(&freed), 10005);
}
END_TEST

/* Threads read and replace the blocks of a small array of pointers. */
enum { CELLS = 16, THREADS = 4, ROUNDS = 30000 };
static _Atomic(struct block *) cells[CELLS];
static _Atomic uint64_t dead_seen;
static _Atomic uint64_t retired;

struct actor {
    struct qsbr_thread *qt;
    struct thread thread;
    struct rng rng;
};

static void act(void *arg)
{
    struct actor *a = arg;
    qsbr_online(a->qt);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t cell = rng_below(&a->rng, CELLS);
        if (rng_below(&a->rng, 4) == 0) {
            struct block *old = atomic_exchange(&cells[cell], block_create());
            qsbr_retire(a->qt, 0, &old->entry, sizeof *old);
            atomic_fetch_add(&retired, 1);
        } else {
            struct block *block = atomic_load_explicit(&cells[cell], memory_order_acquire);
            if (rng_below(&a->rng, 16) == 0) {
                sched_yield();
            }
            if (atomic_load_explicit(&block->mark, memory_order_relaxed) != ALIVE) {
                atomic_fetch_add(&dead_seen, 1);
            }
        }
        switch (rng_below(&a->rng, 24)) {
        case 0:
            qsbr_offline(a->qt);
            sched_yield();
            qsbr_online(a->qt);
            break;
        case 1:
            qsbr_drain(a->qt);
            break;
        case 2:
        case 3:
            qsbr_quiesce(a->qt);
            break;
        default:
            break;
        }
    }
    qsbr_offline(a->qt);
}

START_TEST(no_reader_meets_a_freed_block)
{
    static struct actor actors[THREADS];
    struct qsbr *qsbr = qsbr_create(THREADS, reclaim, NULL);
    ck_assert_ptr_nonnull(qsbr);
    for (int i = 0; i < CELLS; i++) {
        atomic_init(&cells[i], block_create());
    }
    for (uint64_t i = 0; i < THREADS; i++) {
        actors[i].qt = qsbr_thread_create(qsbr, NULL);
        ck_assert_ptr_nonnull(actors[i].qt);
        rng_init(&actors[i].rng, seed + i);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert(thread_start(&actors[i].thread, "actor", act, &actors[i]));
    }
    for (int i = 0; i < THREADS; i++) {
        thread_join(&actors[i].thread);
    }
    uint64_t freed_meanwhile = atomic_load(&freed);
    for (int i = 0; i < THREADS; i++) {
        qsbr_thread_destroy(actors[i].qt);
    }
    qsbr_destroy(qsbr);
    for (int i = 0; i < CELLS; i++) {
        free(atomic_load(&cells[i]));
    }
    ck_assert_uint_eq(atomic_load(&dead_seen), 0);
    ck_assert_uint_eq(atomic_load(&freed), atomic_load(&retired));
    /* It must have been freeing all along, not at the end. */
    ck_assert_uint_gt(freed_meanwhile, atomic_load(&retired) / 2);
}
END_TEST

/* Going online against freeing, as often as can be: the announcement must be ordered before the first read. */
enum { CROSSING_MS = 500 };
static _Atomic(struct block *) crossing;
static _Atomic bool crossed;

static void cross(void *arg)
{
    struct actor *a = arg;
    uint64_t end_ns = clock_system.boot_ns(NULL) + CROSSING_MS * UINT64_C(1000000);
    for (uint64_t i = 0; i % 256 != 0 || clock_system.boot_ns(NULL) < end_ns; i++) {
        qsbr_online(a->qt);
        struct block *block = atomic_load_explicit(&crossing, memory_order_acquire);
        for (int again = 0; again < 8; again++) {
            if (atomic_load_explicit(&block->mark, memory_order_relaxed) != ALIVE) {
                atomic_fetch_add(&dead_seen, 1);
            }
        }
        qsbr_offline(a->qt);
    }
    atomic_store(&crossed, true);
}

START_TEST(who_comes_online_is_seen_or_sees)
{
    static struct actor reader;
    struct qsbr *qsbr = qsbr_create(2, reclaim, NULL);
    struct qsbr_thread *writer = qsbr_thread_create(qsbr, NULL);
    reader.qt = qsbr_thread_create(qsbr, NULL);
    ck_assert(qsbr != NULL && writer != NULL && reader.qt != NULL);
    atomic_init(&crossing, block_create());
    ck_assert(thread_start(&reader.thread, "reader", cross, &reader));
    while (!atomic_load_explicit(&crossed, memory_order_relaxed)) {
        struct block *old = atomic_exchange(&crossing, block_create());
        qsbr_retire(writer, 0, &old->entry, sizeof *old);
        qsbr_drain(writer);
    }
    thread_join(&reader.thread);
    qsbr_thread_destroy(reader.qt);
    qsbr_thread_destroy(writer);
    qsbr_destroy(qsbr);
    free(atomic_load(&crossing));
    ck_assert_uint_eq(atomic_load(&dead_seen), 0);
}
END_TEST

int main(void)
{
    const char *given = getenv("SVM_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SVM_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    Suite *suite = suite_create("base_qsbr");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_reader_holds_back_what_was_retired_since);
    tcase_add_test(tcase, leftovers_go_to_the_domain);
    tcase_add_test(tcase, no_reader_meets_a_freed_block);
    tcase_add_test(tcase, who_comes_online_is_seen_or_sees);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
