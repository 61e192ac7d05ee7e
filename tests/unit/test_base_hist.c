/* Unit tests of base/hist.h. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hist.h"
#include "base/rng.h"

START_TEST(test_buckets_are_contiguous)
{
    uint64_t next = 0; /* first value of the bucket */
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        uint64_t end = hist_bucket_end(i);
        ck_assert_uint_ge(end, next);
        ck_assert_uint_eq(hist_bucket(next), i);
        ck_assert_uint_eq(hist_bucket(end), i);
        ck_assert_msg(end - next <= next / 32, "bucket %u is wider than 1/32", i);
        next = end + 1;
    }
    ck_assert_uint_eq(next, 0); /* the last one ends at UINT64_MAX */
}
END_TEST

START_TEST(test_empty)
{
    static struct hist hist;
    hist_init(&hist);
    ck_assert_uint_eq(hist_percentile(&hist, 500000), 0);
    ck_assert_uint_eq(hist_percentile(&hist, 1000000), 0);
    ck_assert_uint_eq(hist_count(&hist), 0);
}
END_TEST

START_TEST(test_percentiles_of_small_values_are_exact)
{
    static struct hist hist;
    hist_init(&hist);
    for (uint64_t v = 1; v <= 50; v++) {
        hist_add(&hist, v);
    }
    ck_assert_uint_eq(hist_percentile(&hist, 0), 1);
    ck_assert_uint_eq(hist_percentile(&hist, 20000), 1);
    ck_assert_uint_eq(hist_percentile(&hist, 20001), 2);
    ck_assert_uint_eq(hist_percentile(&hist, 500000), 25);
    ck_assert_uint_eq(hist_percentile(&hist, 980000), 49);
    ck_assert_uint_eq(hist_percentile(&hist, 1000000), 50);
    ck_assert_uint_eq(hist_count(&hist), 50);
    ck_assert_uint_eq(hist_sum(&hist), 1275);
    ck_assert_uint_eq(hist_max(&hist), 50);
}
END_TEST

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

START_TEST(test_percentiles_against_sorting)
{
    static struct hist hist;
    static struct hist half[2];
    static uint64_t values[20000];
    const char *text = getenv("SVM_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 1;
    printf("SVM_SEED=%" PRIu64 "\n", seed);
    struct rng rng;
    rng_init(&rng, seed);
    hist_init(&hist);
    hist_init(&half[0]);
    hist_init(&half[1]);
    for (size_t i = 0; i < 20000; i++) {
        values[i] = rng_next(&rng) >> rng_below(&rng, 64);
        hist_add(&half[i & 1], values[i]);
    }
    hist_merge(&hist, &half[0]);
    hist_merge(&hist, &half[1]);
    qsort(values, 20000, sizeof values[0], compare);
    for (uint32_t ppm = 50; ppm <= 1000000; ppm += 50) { /* 50 ppm = one value */
        uint64_t exact = values[(size_t)ppm / 50 - 1];
        uint64_t got = hist_percentile(&hist, ppm);
        ck_assert_uint_ge(got, exact);
        ck_assert_uint_le(got - exact, exact / 32);
    }
    ck_assert_uint_eq(hist_count(&hist), 20000);
    ck_assert_uint_eq(hist_max(&hist), values[19999]);
    ck_assert_uint_eq(hist_sum(&hist), hist_sum(&half[0]) + hist_sum(&half[1]));
}
END_TEST

/* A merge looks at no more of a set than it holds, and leaves none of that out: at zero alone, with gaps, up to the last bucket. */
START_TEST(test_sparse_sets_merge)
{
    static struct hist sum;
    static struct hist parts[4];
    static const uint64_t values[4][3] = {
        {0, 0, 0}, {0, UINT64_MAX, 7}, {1u << 20, 3, 1u << 20}, {0}};
    static const size_t counts[4] = {3, 3, 3, 0};
    static uint32_t want[HIST_BUCKETS];
    uint64_t max = 0;
    uint64_t total = 0;
    hist_init(&sum);
    for (size_t i = 0; i < 4; i++) {
        hist_init(&parts[i]);
        for (size_t j = 0; j < counts[i]; j++) {
            hist_add(&parts[i], values[i][j]);
            want[hist_bucket(values[i][j])]++;
            max = values[i][j] > max ? values[i][j] : max;
            total += values[i][j]; /* wraps, as theirs does */
        }
        hist_merge(&sum, &parts[i]);
        ck_assert_uint_eq(hist_max(&sum), max);
        ck_assert_uint_eq(hist_sum(&sum), total);
        for (uint32_t bucket = 0; bucket < HIST_BUCKETS; bucket++) {
            ck_assert_uint_eq(atomic_load(&sum.buckets[bucket]), want[bucket]);
        }
    }
    ck_assert_uint_eq(hist_bucket(UINT64_MAX), HIST_BUCKETS - 1);
    ck_assert_uint_eq(hist_count(&sum), 9);
    ck_assert_uint_eq(hist_percentile(&sum, 444444), 0); /* four of nine are zero */
    ck_assert_uint_eq(hist_percentile(&sum, 444445), 3);
    ck_assert_uint_eq(hist_percentile(&sum, 1000000), UINT64_MAX);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("hist");
    tcase_add_test(tc, test_buckets_are_contiguous);
    tcase_add_test(tc, test_empty);
    tcase_add_test(tc, test_percentiles_of_small_values_are_exact);
    tcase_add_test(tc, test_percentiles_against_sorting);
    tcase_add_test(tc, test_sparse_sets_merge);
    Suite *suite = suite_create("base_hist");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
