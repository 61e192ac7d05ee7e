/* mvcc: snapshots, the floor, and what is trimmed: exactly what no snapshot can see, against a naive twin. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "mvcc_bed.h"

enum { PINS = 40, STEPS = 12000 };

static uint64_t seed;
static struct mvcc_bed bed;

static void setup(void)
{
    mvcc_bed_init(&bed);
}

static void teardown(void)
{
    mvcc_bed_deinit(&bed);
}

static void collect_round(void)
{
    struct mvcc_collected collected = {0};
    while (mvcc_collect(bed.objects, bed.thread, 0, UINT64_MAX, 1000, &collected)) {
    }
    mvcc_quiesce(bed.thread);
}

struct twin {
    uint64_t begins[STEPS + 1]; /* of versions 1, 2, ... */
    uint64_t versions;
    struct mvcc_pin pins[PINS];
    uint32_t pin_count;
};

static bool twin_needs(const struct twin *twin, uint64_t i, uint64_t applied)
{
    if (i + 1 == twin->versions || twin->begins[i + 1] > applied) {
        return true;
    }
    for (uint32_t j = 0; j < twin->pin_count; j++) {
        if (twin->begins[i] <= twin->pins[j].seq && twin->pins[j].seq < twin->begins[i + 1]) {
            return true;
        }
    }
    return false;
}

/* The chain holds what the twin needs and nothing else. */
static void compare_chain(const struct twin *twin, const struct mvcc_head *head)
{
    const struct mvcc_version *v = mvcc_newest(head);
    for (uint64_t i = twin->versions; i-- > 0;) {
        if (twin_needs(twin, i, mvcc_applied(bed.mvcc))) {
            ck_assert_ptr_nonnull(v);
            ck_assert_uint_eq(v->begin_seq, twin->begins[i]);
            v = mvcc_older(v);
        }
    }
    ck_assert_ptr_null(v);
}

static void compare_reads(const struct twin *twin, const struct mvcc_head *head)
{
    for (uint32_t j = 0; j < twin->pin_count; j++) {
        uint64_t expected = 0;
        while (expected < twin->versions && twin->begins[expected] <= twin->pins[j].seq) {
            expected++;
        }
        const struct mvcc_version *v = mvcc_read_at(head, twin->pins[j].seq);
        ck_assert_uint_eq(v == NULL ? 0 : mvcc_bed_number(v), expected);
        ck_assert(!mvcc_pin_cancelled(bed.mvcc, &twin->pins[j]));
    }
}

START_TEST(trimmed_is_what_nobody_can_see)
{
    static struct twin twin;
    struct rng rng;
    rng_init(&rng, seed);
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 0, 0);
    struct mvcc_head *elsewhere = mvcc_bed_hold(&bed, 2, 0, 0);
    uint64_t other = 0;
    uint64_t floor = 0;
    for (int step = 0; step < STEPS; step++) {
        switch (rng_below(&rng, 8)) {
        case 0:
        case 1:
        case 2:
            twin.begins[twin.versions] = mvcc_bed_write(&bed, head, twin.versions + 1);
            twin.versions++;
            break;
        case 3: /* seqs that leave the object alone */
            (void)mvcc_bed_write(&bed, elsewhere, ++other);
            break;
        case 4:
            if (twin.pin_count < PINS && mvcc_pin(bed.mvcc, 1000, &twin.pins[twin.pin_count])) {
                ck_assert_uint_eq(twin.pins[twin.pin_count].seq, mvcc_applied(bed.mvcc));
                twin.pin_count++;
            }
            break;
        case 5:
            if (twin.pin_count > 0) {
                uint64_t at = rng_below(&rng, twin.pin_count);
                mvcc_unpin(bed.mvcc, &twin.pins[at]);
                twin.pins[at] = twin.pins[--twin.pin_count];
            }
            break;
        case 6: {
            uint64_t now = mvcc_floor_advance(bed.mvcc, bed.thread, 500);
            uint64_t least = mvcc_applied(bed.mvcc);
            for (uint32_t j = 0; j < twin.pin_count; j++) {
                least = twin.pins[j].seq < least ? twin.pins[j].seq : least;
            }
            ck_assert_uint_eq(now, least);
            ck_assert_uint_eq(mvcc_floor(bed.mvcc), least);
            ck_assert_uint_ge(now, floor);
            floor = now;
            if (rng_below(&rng, 4) == 0) {
                collect_round();
                compare_chain(&twin, head);
            }
            break;
        }
        default:
            mvcc_quiesce(bed.thread);
            compare_reads(&twin, head);
        }
        ck_assert_uint_eq(mvcc_pins_open(bed.mvcc), twin.pin_count);
    }
    struct mvcc_counts counts;
    mvcc_counts(bed.objects, &counts);
    ck_assert_uint_eq(counts.versions, mvcc_bed_chain(head) + mvcc_bed_chain(elsewhere));
    ck_assert_uint_eq(counts.garbage, counts.versions - 2);
    ck_assert_uint_eq(counts.trimmed, twin.versions + other - counts.versions);
    while (twin.pin_count > 0) {
        mvcc_unpin(bed.mvcc, &twin.pins[--twin.pin_count]);
    }
}
END_TEST

/* A chain that grew while nobody advanced the floor is trimmed in bounded steps, and in the end altogether. */
START_TEST(a_long_chain_is_trimmed_in_steps)
{
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 0, 0);
    for (uint64_t v = 1; v <= 5000; v++) {
        (void)mvcc_bed_write(&bed, head, v);
    }
    ck_assert_uint_eq(mvcc_bed_chain(head), 5000);
    (void)mvcc_floor_advance(bed.mvcc, bed.thread, 0);
    uint64_t version = 5000;
    uint64_t longest_step = 0;
    while (mvcc_bed_chain(head) > 20) {
        uint64_t before = mvcc_bed_chain(head);
        (void)mvcc_bed_write(&bed, head, ++version);
        uint64_t step = before + 1 - mvcc_bed_chain(head);
        longest_step = step > longest_step ? step : longest_step;
        ck_assert_uint_gt(step, 0);
    }
    ck_assert_uint_le(longest_step, 1024);
    ck_assert_uint_le(version, 5006);
}
END_TEST

/* Nobody publishes behind a chain that has gone cold: the walk finishes it, and lets go of the head and of its caller on the way. */
START_TEST(a_long_cold_chain_goes_in_one_walk)
{
    enum { LONG = 5000 };
    struct mvcc_collected collected = {0};
    struct mvcc_pin pin;
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 0, 0);
    for (uint64_t v = 1; v <= LONG; v++) {
        if (v == LONG / 2) {
            ck_assert(mvcc_pin(bed.mvcc, 0, &pin));
        }
        (void)mvcc_bed_write(&bed, head, v);
    }
    (void)mvcc_floor_advance(bed.mvcc, bed.thread, 0);
    for (uint64_t before = 0; mvcc_collect(bed.objects, bed.thread, 0, UINT64_MAX, 1, &collected);
         before = collected.versions) {
        ck_assert_uint_le(collected.versions - before, 1024);
    }
    ck_assert_uint_eq(mvcc_bed_chain(head), 2); /* the newest, and the pin's */
    ck_assert_uint_eq(collected.versions, LONG - 2);
    mvcc_unpin(bed.mvcc, &pin);
}
END_TEST

START_TEST(without_a_floor_nothing_goes)
{
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 0, 0);
    for (uint64_t v = 1; v <= 100; v++) {
        (void)mvcc_bed_write(&bed, head, v);
    }
    collect_round();
    ck_assert_uint_eq(mvcc_bed_chain(head), 100);
    (void)mvcc_floor_advance(bed.mvcc, bed.thread, 0);
    collect_round();
    ck_assert_uint_eq(mvcc_bed_chain(head), 1);
}
END_TEST

START_TEST(old_pins_are_cancelled_and_hold_nothing)
{
    struct mvcc_head *head = mvcc_bed_hold(&bed, 1, 0, 0);
    struct mvcc_pin old;
    struct mvcc_pin young;
    uint64_t first = mvcc_bed_write(&bed, head, 1);
    ck_assert(mvcc_pin(bed.mvcc, 1000, &old));
    uint64_t second = mvcc_bed_write(&bed, head, 2);
    ck_assert(mvcc_pin(bed.mvcc, 2000, &young));
    (void)mvcc_bed_write(&bed, head, 3);
    ck_assert_uint_eq(mvcc_floor_advance(bed.mvcc, bed.thread, 1000), first); /* not before 1000 */
    collect_round();
    ck_assert_uint_eq(mvcc_bed_chain(head), 3);
    ck_assert(!mvcc_pin_cancelled(bed.mvcc, &old));

    ck_assert_uint_eq(mvcc_floor_advance(bed.mvcc, bed.thread, 1001), second);
    collect_round();
    ck_assert_uint_eq(mvcc_bed_chain(head), 2);
    ck_assert(mvcc_pin_cancelled(bed.mvcc, &old));
    ck_assert(!mvcc_pin_cancelled(bed.mvcc, &young));
    ck_assert_uint_eq(mvcc_pins_open(bed.mvcc), 2); /* its owner still has to unpin */
    mvcc_unpin(bed.mvcc, &old);
    ck_assert(mvcc_pin(bed.mvcc, 3000, &old)); /* the same place, a new date */
    ck_assert(!mvcc_pin_cancelled(bed.mvcc, &old));
    mvcc_unpin(bed.mvcc, &old);
    mvcc_unpin(bed.mvcc, &young);
}
END_TEST

START_TEST(pins_are_limited)
{
    struct mvcc_pin pins[PINS + 1];
    for (int i = 0; i < PINS; i++) {
        ck_assert(mvcc_pin(bed.mvcc, 1, &pins[i]));
    }
    ck_assert(!mvcc_pin(bed.mvcc, 1, &pins[PINS]));
    mvcc_unpin(bed.mvcc, &pins[7]);
    ck_assert(mvcc_pin(bed.mvcc, 1, &pins[7]));
    for (int i = 0; i < PINS; i++) {
        mvcc_unpin(bed.mvcc, &pins[i]);
    }
}
END_TEST

int main(void)
{
    const char *given = getenv("SVM_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SVM_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    Suite *suite = suite_create("mvcc_pin");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, trimmed_is_what_nobody_can_see);
    tcase_add_test(tcase, a_long_chain_is_trimmed_in_steps);
    tcase_add_test(tcase, a_long_cold_chain_goes_in_one_walk);
    tcase_add_test(tcase, without_a_floor_nothing_goes);
    tcase_add_test(tcase, old_pins_are_cancelled_and_hold_nothing);
    tcase_add_test(tcase, pins_are_limited);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
