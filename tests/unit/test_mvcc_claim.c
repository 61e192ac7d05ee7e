/* mvcc: claims, validation and publication, one interleaving at a time. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

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

START_TEST(a_claim_excludes_others_until_released)
{
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 7, 0);
    uint64_t state;
    uint64_t other;
    ck_assert(mvcc_try_claim(head, &state));
    ck_assert_int_eq(mvcc_state_status(state), MVCC_LIVE);
    ck_assert_uint_eq(mvcc_state_version(state), 7);
    ck_assert(!mvcc_state_claimed(state));
    ck_assert(!mvcc_try_claim(head, &other));
    ck_assert(mvcc_state_claimed(other));
    ck_assert(mvcc_unchanged(head, state, true));
    ck_assert(!mvcc_unchanged(head, state, false));
    mvcc_release(head, state);
    ck_assert(mvcc_unchanged(head, state, false));
    ck_assert(!mvcc_unchanged(head, state, true));
    ck_assert(mvcc_try_claim(head, &state));
    mvcc_release(head, state);
    mvcc_unhold(head);
}
END_TEST

/* The size stands beside the address of the version behind: whatever happens to that, it stays. */
START_TEST(a_version_says_its_size_wherever_it_is)
{
    static const uint32_t sizes[] = {
        1, 8, 511, 512, 513, 640, 65536 + 160, (16 << 20) + 8, MVCC_PAYLOAD_MAX};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 0, 0);
    for (uint32_t i = 0; i < SIZES; i++) {
        uint64_t state;
        struct mvcc_version *v = mvcc_version_create(bed.thread, sizes[i]);
        ck_assert_ptr_nonnull(v);
        memset(v->payload, 0xff, sizes[i]);
        ck_assert_uint_eq(mvcc_version_size(v), sizes[i]);
        ck_assert(!v->tombstone);
        mvcc_version_number_set(v, i == SIZES - 1 ? MVCC_SEQ_MAX : i + 1);
        ck_assert(mvcc_try_claim(head, &state));
        uint64_t seq = mvcc_seq_next(bed.mvcc);
        mvcc_publish(bed.objects, bed.thread, head, v, seq);
        mvcc_seq_hand_over(bed.mvcc, seq, NULL);
        (void)mvcc_seq_take(bed.mvcc, seq);
        ck_assert_uint_eq(v->begin_seq, seq);
    }
    ck_assert_uint_eq(mvcc_state_version(mvcc_state(head)), MVCC_SEQ_MAX);
    const struct mvcc_version *v = mvcc_newest(head);
    for (uint32_t i = SIZES; i-- > 0; v = mvcc_older(v)) {
        ck_assert_uint_eq(mvcc_version_size(v), sizes[i]);
        ck_assert_uint_eq(v->payload[sizes[i] - 1], 0xff);
    }
    ck_assert_ptr_null(v);
    struct mvcc_counts before, counts;
    mvcc_counts(bed.objects, &before);
    (void)mvcc_floor_advance(bed.mvcc, bed.thread, 0);
    struct mvcc_collected collected = {0};
    while (mvcc_collect(bed.objects, bed.thread, 0, UINT64_MAX, 100, &collected)) {
    }
    mvcc_counts(bed.objects, &counts);
    ck_assert_uint_eq(collected.versions, SIZES - 1);
    ck_assert_uint_eq(mvcc_version_size(mvcc_newest(head)), MVCC_PAYLOAD_MAX);
    uint64_t gone = 0;
    for (uint32_t i = 0; i < SIZES - 1; i++)
        gone += mvcc_block_bytes(mvcc_version_block_bytes(sizes[i]));
    ck_assert_uint_eq(before.bytes - counts.bytes, gone);
    ck_assert_ptr_null(mvcc_version_create(bed.thread, MVCC_PAYLOAD_MAX + 1));
    mvcc_unhold(head);
}
END_TEST

START_TEST(publishing_moves_state_and_chain)
{
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 0, 0);
    uint64_t state = mvcc_state(head);
    ck_assert_uint_eq(state, 0); /* ABSENT */
    ck_assert_ptr_null(mvcc_newest(head));
    uint64_t first = mvcc_bed_write(&bed, head, 3);
    ck_assert(!mvcc_unchanged(head, state, false)); /* an absent read is defeated too */
    uint64_t second = mvcc_bed_write(&bed, head, 9);
    ck_assert_uint_eq(first + 1, second);
    ck_assert_uint_eq(mvcc_state_version(mvcc_state(head)), 9);
    ck_assert_ptr_null(mvcc_read_at(head, first - 1));
    ck_assert_uint_eq(mvcc_bed_number(mvcc_read_at(head, first)), 3);
    ck_assert_uint_eq(mvcc_bed_number(mvcc_read_at(head, second)), 9);
    ck_assert_uint_eq(mvcc_read_at(head, UINT64_MAX)->begin_seq, second);

    uint64_t claimed;
    ck_assert(mvcc_try_claim(head, &claimed));
    struct mvcc_version *gone = mvcc_bed_version(&bed, 10, 0);
    gone->tombstone = true;
    uint64_t seq = mvcc_seq_next(bed.mvcc);
    mvcc_publish(bed.objects, bed.thread, head, gone, seq);
    mvcc_seq_hand_over(bed.mvcc, seq, NULL);
    ck_assert_int_eq(mvcc_state_status(mvcc_state(head)), MVCC_TOMBSTONE);
    ck_assert(mvcc_read_at(head, seq)->tombstone);
    (void)mvcc_seq_take(bed.mvcc, seq);
    (void)mvcc_bed_write(&bed, head, 11); /* a cell may be put again */
    ck_assert_int_eq(mvcc_state_status(mvcc_state(head)), MVCC_LIVE);
    mvcc_unhold(head);
}
END_TEST

/* T reads x and writes y; W overwrites x between T's first validation and T's seq. W has the lower seq, T has not seen it:
 * only the validation after the seq can tell. */
START_TEST(the_validation_after_seq_sees_who_came_before)
{
    struct mvcc_head *x = mvcc_bed_hold(&bed, 1, 1, 0);
    struct mvcc_head *y = mvcc_bed_hold(&bed, 2, 1, 0);
    uint64_t read = mvcc_state(x);
    uint64_t claim;
    ck_assert(mvcc_try_claim(y, &claim));
    ck_assert(mvcc_unchanged(x, read, false));
    uint64_t seq_w = mvcc_bed_write(&bed, x, 2);
    uint64_t seq_t = mvcc_seq_next(bed.mvcc);
    ck_assert_uint_lt(seq_w, seq_t);
    ck_assert(!mvcc_unchanged(x, read, false));
    mvcc_release(y, claim);
    mvcc_seq_hand_over(bed.mvcc, seq_t, NULL);

    /* The same with W's claim only: it may have its seq already. */
    (void)mvcc_seq_take(bed.mvcc, seq_t);
    read = mvcc_state(x);
    uint64_t claim_x;
    ck_assert(mvcc_try_claim(x, &claim_x));
    ck_assert(!mvcc_unchanged(x, read, false));
    mvcc_release(x, claim_x);
    ck_assert(mvcc_unchanged(x, read, false));
    mvcc_unhold(x);
    mvcc_unhold(y);
}
END_TEST

START_TEST(loading_and_new_heads)
{
    uint8_t key[32];
    struct mvcc_head *head;
    struct mvcc_head *same;
    uint64_t state;
    mvcc_bed_key(key, 5);
    ck_assert_int_eq(mvcc_hold(bed.objects, bed.thread, key, 32, &head), MVCC_HELD_LOAD);
    ck_assert(!mvcc_try_claim(head, &state));
    ck_assert_int_eq(mvcc_state_status(state), MVCC_LOADING);

    mvcc_bed_key(key, 6);
    ck_assert(mvcc_hold_new(bed.objects, bed.thread, key, 32, &same));
    ck_assert(mvcc_state_claimed(mvcc_state(same)));
    ck_assert(!mvcc_hold_new(bed.objects, bed.thread, key, 32, &same)); /* claimed by the first */
    ck_assert_ptr_null(same);
    same = mvcc_find(bed.objects, key, 32);
    ck_assert_ptr_nonnull(same);
    mvcc_release(same, 0);
    ck_assert_int_eq(mvcc_state_status(mvcc_state(same)), MVCC_ABSENT);
    mvcc_unhold(same);

    /* Somebody asked for the id before it existed: ABSENT can be had, LOADING is taken over. */
    ck_assert(mvcc_hold_new(bed.objects, bed.thread, key, 32, &same));
    mvcc_release(same, 0);
    mvcc_unhold(same);
    mvcc_bed_key(key, 5);
    ck_assert(mvcc_hold_new(bed.objects, bed.thread, key, 32, &same));
    ck_assert_ptr_eq(same, head);
    uint64_t seq = mvcc_seq_next(bed.mvcc);
    mvcc_publish(bed.objects, bed.thread, same, mvcc_bed_version(&bed, 4, 4), seq);
    mvcc_seq_hand_over(bed.mvcc, seq, NULL);
    mvcc_load_finish(bed.objects, bed.thread, head, mvcc_bed_version(&bed, 4, 99),
                     4); /* too late */
    ck_assert_uint_eq(mvcc_newest(head)->payload[0], 4);
    ck_assert(!mvcc_hold_new(bed.objects, bed.thread, key, 32, &same)); /* LIVE */
    mvcc_unhold(head);
    mvcc_unhold(head);
}
END_TEST

START_TEST(an_aborted_load_is_looked_up_again)
{
    uint8_t key[32];
    struct mvcc_head *head;
    struct mvcc_head *waiting;
    struct mvcc_head *again;
    struct mvcc_collected collected = {0};
    mvcc_bed_key(key, 8);
    ck_assert_int_eq(mvcc_hold(bed.objects, bed.thread, key, 32, &head), MVCC_HELD_LOAD);
    ck_assert_int_eq(mvcc_hold(bed.objects, bed.thread, key, 32, &waiting), MVCC_HELD_LOADING);
    mvcc_load_abort(bed.objects, bed.thread, head);
    ck_assert_ptr_null(mvcc_find(bed.objects, key, 32));
    for (int i = 0; i < 3; i++) { /* held: it stays, however often everybody quiesces */
        (void)mvcc_collect(bed.objects, bed.thread, 0, 0, 10000, &collected);
        mvcc_quiesce(bed.thread);
    }
    ck_assert_int_eq(mvcc_state_status(mvcc_state(waiting)), MVCC_DEAD);
    mvcc_unhold(waiting);
    ck_assert_int_eq(mvcc_hold(bed.objects, bed.thread, key, 32, &again), MVCC_HELD_LOAD);
    mvcc_load_finish(bed.objects, bed.thread, again, NULL, 0);
    ck_assert_int_eq(mvcc_hold(bed.objects, bed.thread, key, 32, &again), MVCC_HELD);
    mvcc_unhold(again);
    mvcc_unhold(again);
    (void)mvcc_collect(bed.objects, bed.thread, 0, 0, 10000, &collected);
    mvcc_quiesce(bed.thread);
}
END_TEST

/* A caller's bug ends the process. */
START_TEST(publishing_without_a_claim_aborts)
{
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 1, 0);
    mvcc_publish(bed.objects, bed.thread, head, mvcc_bed_version(&bed, 2, 2),
                 mvcc_seq_next(bed.mvcc));
}
END_TEST

START_TEST(publishing_a_version_that_does_not_rise_aborts)
{
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 5, 0);
    (void)mvcc_bed_write(&bed, head, 5);
}
END_TEST

START_TEST(letting_go_too_often_aborts)
{
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 5, 0);
    mvcc_unhold(head);
    mvcc_unhold(head);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mvcc_claim");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_claim_excludes_others_until_released);
    tcase_add_test(tcase, publishing_moves_state_and_chain);
    tcase_add_test(tcase, a_version_says_its_size_wherever_it_is);
    tcase_add_test(tcase, the_validation_after_seq_sees_who_came_before);
    tcase_add_test(tcase, loading_and_new_heads);
    tcase_add_test(tcase, an_aborted_load_is_looked_up_again);
    tcase_add_test_raise_signal(tcase, publishing_without_a_claim_aborts, SIGABRT);
    tcase_add_test_raise_signal(tcase, publishing_a_version_that_does_not_rise_aborts, SIGABRT);
    tcase_add_test_raise_signal(tcase, letting_go_too_often_aborts, SIGABRT);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
