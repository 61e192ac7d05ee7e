/* mvcc: single interleavings between threads, forced at the library's fault points.
 *
 * Needs a library built with its points: make BUILD=tsan CPPFLAGS=-DSVM_FAULTS test-mvcc. Without them the tests say so and
 * prove nothing. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "base/thread.h"
#include "mvcc_bed.h"

/* The first thread to come to POINT waits there until `go`, or for LIMIT_MS where the other one is right to wait for it. */
struct gate {
    const char *point;
    uint32_t limit_ms;
    _Atomic uint32_t arrived;
    _Atomic bool go;
};
static struct gate gates[3];

static void pause_ms(uint32_t ms)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
}

static void hook(void *arg, const char *point)
{
    (void)arg;
    for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++) {
        struct gate *gate = &gates[i];
        if (gate->point != NULL && strcmp(gate->point, point) == 0 &&
            atomic_fetch_add(&gate->arrived, 1) == 0) {
            for (uint32_t ms = 0; !atomic_load(&gate->go) && ms < gate->limit_ms; ms++) {
                pause_ms(1);
            }
            return;
        }
    }
}

static void gate_set(size_t i, const char *point, uint32_t limit_ms)
{
    gates[i] = (struct gate){.point = point, .limit_ms = limit_ms};
}

static void gate_await(size_t i)
{
    while (atomic_load(&gates[i].arrived) == 0) {
        pause_ms(1);
    }
}

static bool ready(void)
{
    if (!fault_enabled()) {
        printf("fault points are off: not tested\n");
        return false;
    }
    memset(gates, 0, sizeof gates);
    fault_hook_set(hook, NULL);
    return true;
}

static struct mvcc_bed bed;

static void setup(void)
{
    mvcc_bed_init(&bed);
}

static void teardown(void)
{
    fault_hook_set(NULL, NULL);
    mvcc_bed_deinit(&bed);
}

/* ---- hold against eviction ---------------------------------------------------------------------------------- */

static struct mvcc_head *held_head;
static enum mvcc_hold_result held_result;

static void hold_in_thread(void *arg)
{
    (void)arg;
    struct mvcc_thread *thread = mvcc_thread_create(bed.mvcc);
    uint8_t key[32];
    mvcc_bed_key(key, 1);
    mvcc_online(thread);
    held_result = mvcc_hold(bed.objects, thread, key, 32, &held_head);
    mvcc_offline(thread);
    mvcc_thread_destroy(thread);
}

static void evict_all(void)
{
    struct mvcc_collected collected = {0};
    (void)mvcc_floor_advance(bed.mvcc, bed.thread, 0);
    for (int i = 0; i < 3; i++) { /* the first takes the mark of use away */
        (void)mvcc_collect(bed.objects, bed.thread, UINT64_MAX, 0, SIZE_MAX, &collected);
        mvcc_quiesce(bed.thread);
    }
}

static void evict_in_thread(void *arg)
{
    (void)arg;
    evict_all();
}

/* The head was found, then evicted, then the hold is counted: it must not count. */
START_TEST(a_hold_that_comes_after_the_eviction_starts_anew)
{
    if (!ready()) {
        return;
    }
    static struct thread thread;
    mvcc_unhold(mvcc_bed_hold(&bed, 1, 1, 0));
    gate_set(0, "mvcc.hold.found", UINT32_MAX);
    ck_assert(thread_start(&thread, "holder", hold_in_thread, NULL));
    gate_await(0);
    evict_all();
    atomic_store(&gates[0].go, true);
    thread_join(&thread);
    ck_assert_int_eq(held_result, MVCC_HELD_LOAD);
    mvcc_load_finish(bed.objects, bed.thread, held_head, NULL, 0);
    mvcc_unhold(held_head);
}
END_TEST

/* The hold comes when the evictor has closed the head and not yet removed it. */
START_TEST(a_hold_within_the_eviction_starts_anew)
{
    if (!ready()) {
        return;
    }
    static struct thread holder;
    static struct thread evictor;
    mvcc_unhold(mvcc_bed_hold(&bed, 1, 1, 0));
    gate_set(0, "mvcc.evict.closed", 50); /* the holder is right to wait for the evictor */
    ck_assert(thread_start(&evictor, "evictor", evict_in_thread, NULL));
    gate_await(0);
    ck_assert(thread_start(&holder, "holder", hold_in_thread, NULL));
    thread_join(&holder);
    thread_join(&evictor);
    ck_assert_int_eq(held_result, MVCC_HELD_LOAD);
    ck_assert_int_eq(mvcc_state_status(mvcc_state(held_head)), MVCC_LOADING);
    mvcc_load_finish(bed.objects, bed.thread, held_head, NULL, 0);
    mvcc_unhold(held_head);
}
END_TEST

/* ---- pin against floor -------------------------------------------------------------------------------------- */

static struct mvcc_pin pinned;

static void pin_in_thread(void *arg)
{
    (void)arg;
    bool ok = mvcc_pin(bed.mvcc, 1, &pinned);
    SVM_ASSERT(ok);
}

static void pin_while_the_floor_moves(const char *point)
{
    static struct thread thread;
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 0, 0);
    (void)mvcc_bed_write(&bed, head, 1);
    gate_set(0, point, UINT32_MAX);
    ck_assert(thread_start(&thread, "reader", pin_in_thread, NULL));
    gate_await(0);
    (void)mvcc_bed_write(&bed, head, 2);
    (void)mvcc_bed_write(&bed, head, 3);
    (void)mvcc_floor_advance(bed.mvcc, bed.thread, 0);
    (void)mvcc_bed_write(&bed, head, 4); /* trims */
    atomic_store(&gates[0].go, true);
    thread_join(&thread);
    uint64_t expected = 0;
    for (uint64_t v = 1; v <= 4; v++) { /* version v was written at seq v */
        expected = v <= pinned.seq ? v : expected;
    }
    ck_assert_ptr_nonnull(mvcc_read_at(head, pinned.seq));
    ck_assert_uint_eq(mvcc_bed_number(mvcc_read_at(head, pinned.seq)), expected);
    mvcc_unpin(bed.mvcc, &pinned);
    mvcc_unhold(head);
}

START_TEST(a_snapshot_that_the_floor_passed_is_taken_anew)
{
    if (ready()) {
        pin_while_the_floor_moves("mvcc.pin.before");
        ck_assert_uint_ge(pinned.seq, 3);
    }
}
END_TEST

START_TEST(a_snapshot_that_is_stored_is_respected_or_taken_anew)
{
    if (ready()) {
        pin_while_the_floor_moves("mvcc.pin.stored");
    }
}
END_TEST

/* ---- walk against trim -------------------------------------------------------------------------------------- */

static uint64_t walked;

/* What the snapshot `pinned` sees of HEAD. */
static void walk_in_thread(void *arg)
{
    const struct mvcc_head *head = arg;
    struct mvcc_thread *thread = mvcc_thread_create(bed.mvcc);
    mvcc_online(thread);
    const struct mvcc_version *version = mvcc_read_at(head, pinned.seq);
    walked = version != NULL ? mvcc_bed_number(version) : 0;
    mvcc_offline(thread);
    mvcc_thread_destroy(thread);
}

/* The reader stands on a version behind which is what it looks for, when that version is taken out of the chain. */
START_TEST(a_walk_finds_its_way_when_the_ground_is_retired)
{
    if (!ready()) {
        return;
    }
    static struct thread walker;
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 0, 0);
    (void)mvcc_bed_write(&bed, head, 1);
    ck_assert(mvcc_pin(bed.mvcc, 1, &pinned));
    (void)mvcc_bed_write(&bed, head, 2);
    (void)mvcc_bed_write(&bed, head, 3);
    gate_set(0, "mvcc.walk.step", UINT32_MAX);
    ck_assert(thread_start(&walker, "walker", walk_in_thread, head));
    gate_await(0);
    (void)mvcc_bed_write(&bed, head, 4);
    (void)mvcc_floor_advance(bed.mvcc, bed.thread, 0);
    (void)mvcc_bed_write(&bed, head, 5);
    ck_assert_uint_eq(mvcc_bed_chain(head), 3); /* 2 and 3 are gone */
    atomic_store(&gates[0].go, true);
    thread_join(&walker);
    ck_assert_uint_eq(walked, 1);
    mvcc_unpin(bed.mvcc, &pinned);
    mvcc_unhold(head);
}
END_TEST

/* The reader is older than the one version of a head that is evicted: there is nothing behind it, now as before. */
START_TEST(a_walk_ends_when_the_head_is_evicted)
{
    if (!ready()) {
        return;
    }
    static struct thread walker;
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 0, 0);
    (void)mvcc_bed_write(&bed, head, 1);
    mvcc_unhold(head);
    pinned = (struct mvcc_pin){.seq = 0};
    gate_set(0, "mvcc.walk.step", UINT32_MAX);
    ck_assert(thread_start(&walker, "walker", walk_in_thread, head));
    gate_await(0);
    evict_all();
    ck_assert_int_eq(mvcc_state_status(mvcc_state(head)),
                     MVCC_DEAD); /* the walker keeps it from being freed */
    walked = 99;
    atomic_store(&gates[0].go, true);
    thread_join(&walker);
    ck_assert_uint_eq(walked, 0);
}
END_TEST

/* ---- hand-over ---------------------------------------------------------------------------------------------- */

static void hand_over_in_thread(void *arg)
{
    mvcc_seq_hand_over(bed.mvcc, (uint64_t)(uintptr_t)arg, NULL);
}

/* Three finish at once. The first has marked its place and not yet guessed, so the others have to carry applied: one has looked when two were
 * finished, one has seen all; then the one moves applied and the other cannot. Somebody has to look again. */
START_TEST(applied_is_not_left_behind)
{
    if (!ready()) {
        return;
    }
    static struct thread threads[3];
    ck_assert_uint_eq(mvcc_seq_next_many(bed.mvcc, 3), 1);
    gate_set(0, "mvcc.hand_over.after", UINT32_MAX);
    for (size_t i = 0; i < 3; i++) {
        if (i > 0) {
            gate_set(i, "mvcc.hand_over.scanned", UINT32_MAX);
        }
        ck_assert(
            thread_start(&threads[i], "finisher", hand_over_in_thread, (void *)(uintptr_t)(i + 1)));
        gate_await(i);
    }
    atomic_store(&gates[1].go, true);
    while (mvcc_applied(bed.mvcc) == 0) {
        pause_ms(1);
    }
    atomic_store(&gates[2].go, true);
    thread_join(&threads[1]);
    thread_join(&threads[2]);
    ck_assert_uint_eq(mvcc_applied(bed.mvcc), 3);
    atomic_store(&gates[0].go, true);
    thread_join(&threads[0]);
    ck_assert_uint_eq(mvcc_applied(bed.mvcc), 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mvcc_race");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_hold_that_comes_after_the_eviction_starts_anew);
    tcase_add_test(tcase, a_hold_within_the_eviction_starts_anew);
    tcase_add_test(tcase, a_snapshot_that_the_floor_passed_is_taken_anew);
    tcase_add_test(tcase, a_snapshot_that_is_stored_is_respected_or_taken_anew);
    tcase_add_test(tcase, a_walk_finds_its_way_when_the_ground_is_retired);
    tcase_add_test(tcase, a_walk_ends_when_the_head_is_evicted);
    tcase_add_test(tcase, applied_is_not_left_behind);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
