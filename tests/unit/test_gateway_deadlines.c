/* gateway/deadlines: never early, late by two ticks at most, each once; against a plain list as the oracle. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/deadlines.h"

enum { COUNT = 500 };

struct entry {
    struct deadline deadline;
    uint64_t due_ms;
    bool set;
    unsigned passed;
};

static struct deadlines wheel;
static struct entry entries[COUNT];
static uint64_t now_ms;

static void on_passed(struct deadline *deadline)
{
    struct entry *entry = (struct entry *)deadline;
    ck_assert(entry->set);
    ck_assert_uint_ge(now_ms, entry->due_ms);
    entry->set = false;
    entry->passed++;
}

START_TEST(test_random_against_list)
{
    const char *given = getenv("SVM_SEED");
    unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : 1;
    printf("SVM_SEED=%u\n", seed);
    now_ms = 123456;
    deadlines_init(&wheel, now_ms);
    for (int step = 0; step < 20000; step++) {
        struct entry *entry = &entries[rand_r(&seed) % COUNT];
        const int what = rand_r(&seed) % 4;
        if (what < 2 && !entry->set) {
            /* beyond one turn of the wheel too */
            const uint64_t after_ms = (uint64_t)(rand_r(&seed) % 30000);
            entry->due_ms = now_ms + after_ms;
            entry->set = true;
            deadlines_set(&wheel, &entry->deadline, now_ms, after_ms, on_passed);
        } else if (what == 2) {
            entry->set = false;
            deadlines_unset(&wheel, &entry->deadline);
        } else {
            /* sometimes the loop was away for longer than a turn */
            now_ms += (uint64_t)(rand_r(&seed) % (step % 1000 == 0 ? 50000 : 20));
            size_t late = 0;
            deadlines_run(&wheel, now_ms);
            for (int i = 0; i < COUNT; i++) {
                late += entries[i].set && entries[i].due_ms + 2 * DEADLINES_TICK_MS <= now_ms;
            }
            ck_assert_uint_eq(late, 0);
        }
    }
    size_t left = 0;
    for (int i = 0; i < COUNT; i++) {
        left += entries[i].set;
    }
    ck_assert_uint_eq(left, wheel.count);
}
END_TEST

static struct deadline second;
static unsigned second_passed;

static void count_second(struct deadline *deadline)
{
    (void)deadline;
    second_passed++;
}

static void unset_second(struct deadline *deadline)
{
    (void)deadline;
    deadlines_unset(&wheel, &second);
}

START_TEST(test_unset_from_a_callback)
{
    struct deadline first = {0};
    deadlines_init(&wheel, 0);
    deadlines_set(&wheel, &first, 0, 100, unset_second);
    deadlines_set(&wheel, &second, 0, 100, count_second);
    deadlines_run(&wheel, 1000);
    ck_assert_uint_eq(second_passed, 0);
    ck_assert_uint_eq(wheel.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_deadlines");
    TCase *tcase = tcase_create("deadlines");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_random_against_list);
    tcase_add_test(tcase, test_unset_from_a_callback);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
