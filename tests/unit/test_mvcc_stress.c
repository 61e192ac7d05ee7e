/* mvcc: threads against one table (mvcc_stress.h), honest and with a step left out.
 *
 *   SVM_SEED       seed of the run; printed
 *   SVM_STRESS_MS  length of the honest run, default 2000 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/fault.h"
#include "mvcc_stress.h"

static uint64_t seed;
static uint32_t duration_ms;

static struct stress_config config_of(enum stress_sabotage sabotage)
{
    return (struct stress_config){.seed = seed,
                                  .workers = 3,
                                  .readers = 2,
                                  .base_keys = 48,
                                  .duration_ms = duration_ms,
                                  .stop_at_violation = true,
                                  .sabotage = sabotage};
}

START_TEST(the_order_of_seq_is_the_serial_order)
{
    struct stress_config config = config_of(STRESS_HONEST);
    struct stress_result r;
    stress_run(&config, &r);
    printf("%" PRIu64 " commits, %" PRIu64 " void, %" PRIu64 " retries, %" PRIu64
           " snapshots, %" PRIu64 " cancelled, %" PRIu64 " loads, %" PRIu64 " evicted, %" PRIu64
           " trimmed, %" PRIu64 " created; fault points %s\n",
           r.commits, r.voids, r.retries, r.snapshots, r.cancelled, r.loads, r.evicted, r.trimmed,
           r.created, fault_enabled() ? "on" : "off");
    ck_assert_msg(r.violations == 0, "%" PRIu64 " violations, the first: %s", r.violations,
                  r.first);
    /* A run in which nothing happened proves nothing. */
    ck_assert_uint_gt(r.commits, 100);
    ck_assert_uint_gt(r.snapshots, 0);
    ck_assert_uint_gt(r.loads, 0);
    ck_assert_uint_gt(r.evicted, 0);
    ck_assert_uint_gt(r.trimmed, 0);
}
END_TEST

static void expect_violation(enum stress_sabotage sabotage)
{
    struct stress_result r = {0};
    for (int attempt = 0; attempt < 20 && r.violations == 0; attempt++) {
        struct stress_config config = config_of(sabotage);
        config.seed += (uint64_t)attempt;
        config.duration_ms = 2000;
        stress_run(&config, &r);
    }
    printf("found: %s\n", r.first);
    ck_assert_uint_gt(r.violations, 0);
}

/* The judge must see what it is there for. */
START_TEST(without_the_second_validation_it_is_not)
{
    expect_violation(STRESS_NO_VALIDATION);
}
END_TEST

START_TEST(without_a_pin_a_snapshot_is_torn)
{
    expect_violation(STRESS_NO_PIN);
}
END_TEST

int main(void)
{
    const char *given = getenv("SVM_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SVM_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    given = getenv("SVM_STRESS_MS");
    duration_ms = given != NULL ? (uint32_t)strtoul(given, NULL, 10) : 2000;
    Suite *suite = suite_create("mvcc_stress");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, duration_ms / 1000 + 120);
    tcase_add_test(tcase, the_order_of_seq_is_the_serial_order);
    tcase_add_test(tcase, without_the_second_validation_it_is_not);
    tcase_add_test(tcase, without_a_pin_a_snapshot_is_torn);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
