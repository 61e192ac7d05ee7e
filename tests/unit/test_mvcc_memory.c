/* mvcc: without memory nothing is half there: what was asked for is refused, what there was is found, and it works again afterwards. */
#include <check.h>
#include <string.h>

#include "failing_memory.h"
#include "mvcc/internal.h"
#include "mvcc_bed.h"

static struct mvcc_bed bed;

static void setup(void)
{
    mvcc_bed_init(&bed);
}

static void teardown(void)
{
    mvcc_bed_deinit(&bed);
}

static const struct mvcc_config config = {
    .records_kept = true, .inflight_max = 64, .pins_max = 4, .threads_max = 2, .first_seq = 1};

START_TEST(a_domain_is_there_or_not)
{
    memory_fail(MEMORY_OF_ME, 0, false);
    struct mvcc *mvcc = mvcc_create(&config);
    (void)memory_back();
    ck_assert_ptr_nonnull(mvcc);
    unsigned calls = atomic_load(&memory_calls);
    mvcc_destroy(mvcc);
    ck_assert_uint_gt(calls, 2 * MVCC_SHARDS);
    for (unsigned n = 1; n <= calls; n++) {
        memory_fail(MEMORY_OF_ME, n, n % 2 == 0);
        mvcc = mvcc_create(&config);
        ck_assert_uint_ge(memory_back(), 1);
        ck_assert_msg(mvcc == NULL, "created although call %u failed", n);
    }
    mvcc_destroy(NULL);
}
END_TEST

START_TEST(a_thread_is_there_or_not)
{
    struct mvcc_thread *thread;
    unsigned n = 0, failed;
    do {
        memory_fail(MEMORY_OF_ME, ++n, false);
        thread = mvcc_thread_create(bed.mvcc);
        failed = memory_back();
        ck_assert((thread == NULL) == (failed > 0));
    } while (failed > 0);
    ck_assert_uint_gt(n, 1);
    mvcc_thread_destroy(thread);
    mvcc_thread_destroy(NULL);
}
END_TEST

static bool resident(uint64_t n)
{
    uint8_t key[32];
    mvcc_bed_key(key, n);
    return mvcc_find(bed.objects, key, sizeof key) != NULL;
}

START_TEST(without_a_head_nothing_is_held)
{
    uint8_t key[32];
    struct mvcc_head *head;
    struct mvcc_counts counts;
    mvcc_bed_key(key, 7);
    memory_fail(MEMORY_OF_ME, 1, true);
    enum mvcc_hold_result held = mvcc_hold(bed.objects, bed.thread, key, sizeof key, &head);
    bool made = mvcc_hold_new(bed.objects, bed.thread, key, sizeof key, &head);
    struct mvcc_version *small = mvcc_version_create(bed.thread, 8);
    struct mvcc_version *large = mvcc_version_create(bed.thread, 1 << 20);
    (void)memory_back();
    ck_assert_int_eq(held, MVCC_HOLD_NO_MEMORY);
    ck_assert(!made);
    ck_assert_ptr_null(small);
    ck_assert_ptr_null(large);
    ck_assert(!resident(7));
    mvcc_counts(bed.objects, &counts);
    ck_assert_uint_eq(counts.heads, 0);
    head = mvcc_bed_hold(&bed, 7, 1, 0);
    ck_assert(resident(7));
    mvcc_unhold(head);
}
END_TEST

/* Larger arrays cannot be had: the old ones serve until they are nearly full, then new heads are refused and old ones are found. */
START_TEST(an_index_that_cannot_grow)
{
    enum { TRIES = 40000 };
    static bool in[TRIES];
    uint32_t refused = 0, entered = 1;
    mvcc_unhold(mvcc_bed_hold(&bed, 0, 1, 0));
    in[0] = true;
    memory_blocks_not = true; /* arrays fail */
    memory_fail(MEMORY_OF_ME, 1, true);
    for (uint32_t n = 1; n < TRIES; n++) {
        uint8_t key[32];
        struct mvcc_head *head;
        mvcc_bed_key(key, n);
        in[n] = mvcc_hold(bed.objects, bed.thread, key, sizeof key, &head) == MVCC_HELD_LOAD;
        if (in[n]) {
            mvcc_load_finish(bed.objects, bed.thread, head, NULL, 0);
            mvcc_unhold(head);
        }
        refused += !in[n];
        entered += in[n];
    }
    ck_assert_uint_gt(memory_back(), 0);
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_gt(entered, 256 * 64 / 2);
    struct mvcc_counts counts;
    mvcc_counts(bed.objects, &counts);
    ck_assert_uint_eq(counts.heads, entered);
    uint32_t wrong = 0; /* ck_assert writes a file each time */
    for (uint32_t n = 0; n < TRIES; n++)
        wrong += resident(n) != in[n];
    for (uint32_t n = 0; n < TRIES; n++)
        mvcc_unhold(mvcc_bed_hold(&bed, n, 1, 0));
    for (uint32_t n = 0; n < TRIES; n++)
        wrong += !resident(n);
    ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(without_memory_the_floor_stays)
{
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 0, 0);
    ck_assert_uint_eq(mvcc_floor_applied(bed.mvcc), 0);
    ck_assert(mvcc_needed(bed.mvcc, 0, 0)); /* there is no floor yet */
    (void)mvcc_bed_write(&bed, head, 1);
    uint64_t floor = mvcc_floor_advance(bed.mvcc, bed.thread, 0);
    ck_assert_uint_eq(floor, 1);
    (void)mvcc_bed_write(&bed, head, 2);
    (void)mvcc_bed_write(&bed, head, 3);
    memory_fail(MEMORY_OF_ME, 1, true);
    uint64_t now = mvcc_floor_advance(bed.mvcc, bed.thread, 0);
    ck_assert_uint_eq(memory_back(), 1);
    ck_assert_uint_eq(now, floor);
    ck_assert_uint_eq(mvcc_floor_applied(bed.mvcc), 1);
    ck_assert(mvcc_needed(bed.mvcc, 1, 2));
    ck_assert_uint_eq(mvcc_bed_chain(head), 3);
    ck_assert_uint_eq(mvcc_floor_advance(bed.mvcc, bed.thread, 0), 3);
    ck_assert(!mvcc_needed(bed.mvcc, 1, 2));
    mvcc_unhold(head);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mvcc_memory");
    TCase *tcase = tcase_create("memory");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_domain_is_there_or_not);
    tcase_add_test(tcase, a_thread_is_there_or_not);
    tcase_add_test(tcase, without_a_head_nothing_is_held);
    tcase_add_test(tcase, an_index_that_cannot_grow);
    tcase_add_test(tcase, without_memory_the_floor_stays);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
