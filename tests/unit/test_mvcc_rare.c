/* mvcc: what happens seldom: loads that are overtaken or given up, versions that have gone, pins without a place of their own, a burst of them
 * while the floor moves. The linker leads qsbr_drain here (--wrap): it runs in the middle of that. */
#include <check.h>
#include <string.h>

#include "mvcc/internal.h"
#include "mvcc_bed.h"

static struct mvcc_bed bed;
static void (*on_drain)(void);

void __real_qsbr_drain(struct qsbr_thread *thread);
void __wrap_qsbr_drain(struct qsbr_thread *thread);
void __wrap_qsbr_drain(struct qsbr_thread *thread)
{
    void (*fn)(void) = on_drain;
    on_drain = NULL;
    if (fn != NULL) {
        fn();
    }
    __real_qsbr_drain(thread);
}

static void setup(void)
{
    mvcc_bed_init(&bed);
}

static void teardown(void)
{
    mvcc_bed_deinit(&bed);
}

static struct mvcc_head *begin_load(uint64_t n)
{
    uint8_t key[32];
    struct mvcc_head *head;
    mvcc_bed_key(key, n);
    ck_assert_int_eq(mvcc_hold(bed.objects, bed.thread, key, sizeof key, &head), MVCC_HELD_LOAD);
    return head;
}

/* Somebody creates what is being looked for on the disk: the load that fails, or finds nothing, has no say in it. */
START_TEST(a_load_is_overtaken)
{
    uint8_t key[32];
    struct mvcc_head *loading = begin_load(1), *made;
    mvcc_bed_key(key, 1);
    ck_assert(mvcc_hold_new(bed.objects, bed.thread, key, sizeof key, &made));
    ck_assert_ptr_eq(made, loading);
    struct mvcc_head *other;
    ck_assert(!mvcc_hold_new(bed.objects, bed.thread, key, sizeof key, &other)); /* claimed */
    if (_i == 0) {
        mvcc_load_abort(bed.objects, bed.thread, loading);
    } else {
        mvcc_load_finish(bed.objects, bed.thread, loading,
                         _i == 1 ? NULL : mvcc_bed_version(&bed, 7, 7), _i == 1 ? 0 : 7);
        mvcc_unhold(loading);
    }
    uint64_t seq = mvcc_seq_next(bed.mvcc);
    mvcc_publish(bed.objects, bed.thread, made, mvcc_bed_version(&bed, 1, 1), seq);
    mvcc_seq_hand_over(bed.mvcc, seq, NULL);
    (void)mvcc_seq_take(bed.mvcc, seq);
    ck_assert_int_eq(mvcc_state_status(mvcc_state(made)), MVCC_LIVE);
    ck_assert_uint_eq(mvcc_bed_chain(made), 1);
    ck_assert_uint_eq(mvcc_newest(made)->begin_seq, 1);
    ck_assert_ptr_eq(mvcc_find(bed.objects, key, sizeof key), made);
    mvcc_unhold(made);
}
END_TEST

/* The load is given up while others wait for it: they find the head dead, nobody else finds it, and it goes when they have let go, or with
 * the domain. */
START_TEST(a_load_is_given_up)
{
    uint8_t key[32];
    struct mvcc_head *loading = begin_load(1), *waiting, *again;
    struct mvcc_counts counts;
    uint64_t state;
    mvcc_bed_key(key, 1);
    ck_assert_int_eq(mvcc_hold(bed.objects, bed.thread, key, sizeof key, &waiting),
                     MVCC_HELD_LOADING);
    ck_assert(!mvcc_try_claim(waiting, &state));
    mvcc_load_abort(bed.objects, bed.thread, loading);
    ck_assert_int_eq(mvcc_state_status(mvcc_state(waiting)), MVCC_DEAD);
    ck_assert(!mvcc_try_claim(waiting, &state));
    ck_assert_ptr_null(mvcc_find(bed.objects, key, sizeof key));
    mvcc_counts(bed.objects, &counts);
    ck_assert_uint_eq(counts.heads, 0);
    again = mvcc_bed_hold(&bed, 1, 3, 0); /* another head, another load */
    ck_assert_ptr_ne(again, waiting);
    ck_assert_int_eq(mvcc_state_status(mvcc_state(again)), MVCC_LIVE);
    mvcc_unhold(again);
    struct mvcc_collected collected = {0};
    (void)mvcc_collect(bed.objects, bed.thread, 0, UINT64_MAX, 1000000, &collected);
    ck_assert_int_eq(mvcc_state_status(mvcc_state(waiting)), MVCC_DEAD); /* it is held */
    if (_i == 0) {
        mvcc_unhold(waiting);
        (void)mvcc_collect(bed.objects, bed.thread, 0, UINT64_MAX, 1000000, &collected);
        mvcc_quiesce(bed.thread);
    }
    ck_assert_ptr_eq(mvcc_find(bed.objects, key, sizeof key), again);
}
END_TEST

/* Who stands on a version that is retired is not led on from it. */
START_TEST(nothing_is_behind_what_has_gone)
{
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 0, 0);
    (void)mvcc_bed_write(&bed, head, 1);
    (void)mvcc_bed_write(&bed, head, 2);
    (void)mvcc_bed_write(&bed, head, 3);
    struct mvcc_version *middle = mvcc_older(mvcc_newest(head));
    ck_assert_ptr_nonnull(mvcc_older(middle));
    (void)mvcc_floor_advance(bed.mvcc, bed.thread, 0);
    (void)mvcc_bed_write(&bed, head, 4); /* trims; this thread has not quiesced since */
    ck_assert_ptr_null(mvcc_older(middle));
    ck_assert_uint_eq(mvcc_bed_chain(head), 2);
    mvcc_unhold(head);
}
END_TEST

/* A place that there is not, or that somebody else has: any other. */
START_TEST(a_pin_finds_a_place)
{
    struct mvcc_pin first = {.slot = 1000}, second = {.slot = 0};
    ck_assert(mvcc_pin_again(bed.mvcc, 1, &first));
    ck_assert_uint_lt(first.slot, 40);
    second.slot = first.slot;
    ck_assert(mvcc_pin_again(bed.mvcc, 1, &second));
    ck_assert_uint_ne(second.slot, first.slot);
    ck_assert_uint_eq(mvcc_pins_open(bed.mvcc), 2);
    mvcc_unpin(bed.mvcc, &first);
    mvcc_unpin(bed.mvcc, &second);
    ck_assert_uint_eq(mvcc_pins_open(bed.mvcc), 0);
}
END_TEST

enum { BURST = 30 };
static struct mvcc_pin burst[BURST];

static void pin_many(void)
{
    for (unsigned i = 0; i < BURST; i++) {
        bool pinned = mvcc_pin(bed.mvcc, 1, &burst[i]);
        SVM_ASSERT(pinned);
    }
}

/* More pins than there is room for come while the floor is about to move: it does not, and the next time it sees them all. */
START_TEST(a_burst_of_pins)
{
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 0, 0);
    (void)mvcc_bed_write(&bed, head, 1);
    uint64_t floor = mvcc_floor_advance(bed.mvcc, bed.thread, 0);
    ck_assert_uint_eq(floor, 1);
    (void)mvcc_bed_write(&bed, head, 2);
    on_drain = pin_many;
    ck_assert_uint_eq(mvcc_floor_advance(bed.mvcc, bed.thread, 0), floor);
    ck_assert_uint_eq(mvcc_floor_applied(bed.mvcc), 1);
    (void)mvcc_bed_write(&bed, head, 3);
    (void)mvcc_bed_write(&bed, head, 4);
    ck_assert_uint_eq(mvcc_floor_advance(bed.mvcc, bed.thread, 0), 2);
    (void)mvcc_bed_write(&bed, head, 5); /* trims what they do not see */
    for (unsigned i = 0; i < BURST; i++) {
        const struct mvcc_version *seen = mvcc_read_at(head, burst[i].seq);
        ck_assert_ptr_nonnull(seen);
        ck_assert_uint_eq(seen->begin_seq, 2);
        ck_assert(!mvcc_pin_cancelled(bed.mvcc, &burst[i]));
        mvcc_unpin(bed.mvcc, &burst[i]);
    }
    mvcc_unhold(head);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mvcc_rare");
    TCase *tcase = tcase_create("rare");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_load_is_overtaken, 0, 3);
    tcase_add_loop_test(tcase, a_load_is_given_up, 0, 2);
    tcase_add_test(tcase, nothing_is_behind_what_has_gone);
    tcase_add_test(tcase, a_pin_finds_a_place);
    tcase_add_test(tcase, a_burst_of_pins);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
