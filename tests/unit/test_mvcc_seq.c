/* mvcc: the sequence. Whatever the order of handing over, applied is the end of the finished prefix. */
#include <check.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/rng.h"
#include "mvcc/mvcc.h"

static uint64_t seed;

static struct mvcc *create(uint32_t inflight_max, uint64_t first_seq)
{
    const struct mvcc_config config = {.records_kept = true,
                                       .inflight_max = inflight_max,
                                       .pins_max = 4,
                                       .threads_max = 2,
                                       .first_seq = first_seq};
    struct mvcc *mvcc = mvcc_create(&config);
    ck_assert_ptr_nonnull(mvcc);
    ck_assert_uint_eq(mvcc_applied(mvcc), first_seq - 1);
    return mvcc;
}

/* The same with runs of numbers that are taken and handed over together: applied never stands inside one. */
START_TEST(a_run_is_finished_as_one)
{
    enum { RUNS = 4000, LONGEST = 16, OPEN_MAX = 12 };
    struct mvcc *mvcc = create(256, 1);
    struct rng rng;
    rng_init(&rng, seed + 77);
    static bool finished[RUNS * LONGEST + 2];
    static void *records[LONGEST];
    uint64_t first[OPEN_MAX], prefix = 0, next = 1, taken = 0;
    uint32_t count[OPEN_MAX], open = 0;
    for (uint32_t runs = 0; runs < RUNS || open > 0;) {
        if (runs < RUNS && open < OPEN_MAX && next - 1 - taken + LONGEST <= 256 &&
            rng_below(&rng, 2) == 0) {
            count[open] = 1 + (uint32_t)rng_below(&rng, LONGEST);
            first[open] = mvcc_seq_next_many(mvcc, count[open]);
            ck_assert_uint_eq(first[open], next);
            next += count[open++];
            runs++;
        }
        if (open > 0 && rng_below(&rng, 2) == 0) {
            uint32_t at = (uint32_t)rng_below(&rng, open);
            for (uint32_t i = 0; i < count[at]; i++) {
                finished[first[at] + i] = true;
                records[i] = &finished[first[at] + i];
            }
            mvcc_seq_hand_over_many(mvcc, first[at], records, count[at]);
            open--;
            first[at] = first[open];
            count[at] = count[open];
        }
        while (prefix + 1 < next && finished[prefix + 1])
            prefix++;
        ck_assert_uint_eq(mvcc_applied(mvcc), prefix);
        while (taken < prefix) {
            taken++;
            ck_assert_ptr_eq(mvcc_seq_take(mvcc, taken), &finished[taken]);
        }
    }
    ck_assert_uint_eq(mvcc_seq_outstanding(mvcc), 0);
    mvcc_destroy(mvcc);
}
END_TEST

/* Take numbers, hand them over in random order, take the records in order: for rings of every size, over many turns. */
START_TEST(applied_is_the_finished_prefix)
{
    uint32_t inflight_max = 1u << (_i + 1);
    uint64_t first = 1 + (uint64_t)_i * 1000003;
    struct mvcc *mvcc = create(inflight_max, first);
    struct rng rng;
    rng_init(&rng, seed + (uint64_t)_i);
    static uint64_t open[8192];
    static bool finished[1 << 16];
    static int records[1 << 16];
    uint64_t next = first;
    uint64_t taken = first - 1;
    uint64_t prefix = first - 1;
    uint32_t open_count = 0;
    while (next < first + 8000) {
        if (next - taken - 1 < inflight_max && rng_below(&rng, 2) == 0) {
            ck_assert_uint_eq(mvcc_seq_next(mvcc), next);
            finished[next - first] = false;
            open[open_count++] = next++;
        }
        if (open_count > 0 && rng_below(&rng, 2) == 0) {
            uint64_t at = rng_below(&rng, open_count);
            uint64_t seq = open[at];
            open[at] = open[--open_count];
            finished[seq - first] = true;
            mvcc_seq_hand_over(mvcc, seq, &records[seq - first]);
            while (prefix + 1 < next && finished[prefix + 1 - first]) {
                prefix++;
            }
        }
        ck_assert_uint_eq(mvcc_applied(mvcc), prefix);
        while (taken < prefix && rng_below(&rng, 3) != 0) {
            taken++;
            ck_assert_ptr_eq(mvcc_seq_peek(mvcc, taken), &records[taken - first]);
            ck_assert_ptr_eq(mvcc_seq_take(mvcc, taken), &records[taken - first]);
        }
    }
    mvcc_destroy(mvcc);
}
END_TEST

START_TEST(handing_over_without_a_credit_aborts)
{
    struct mvcc *mvcc = create(4, 1);
    for (int i = 0; i < 5; i++) {
        mvcc_seq_hand_over(mvcc, mvcc_seq_next(mvcc), NULL);
    }
}
END_TEST

START_TEST(taking_what_is_not_applied_aborts)
{
    struct mvcc *mvcc = create(4, 1);
    (void)mvcc_seq_next(mvcc);
    mvcc_seq_hand_over(mvcc, mvcc_seq_next(mvcc), NULL);
    (void)mvcc_seq_take(mvcc, 1);
}
END_TEST

int main(void)
{
    const char *given = getenv("SVM_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SVM_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    Suite *suite = suite_create("mvcc_seq");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_run_is_finished_as_one);
    tcase_add_loop_test(tcase, applied_is_the_finished_prefix, 0, 12);
    tcase_add_test_raise_signal(tcase, handing_over_without_a_credit_aborts, SIGABRT);
    tcase_add_test_raise_signal(tcase, taking_what_is_not_applied_aborts, SIGABRT);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
