/* kill -9, again and again: an engine under mixed load is killed at any moment, opening included, or at every named point
 * of its code, and what it had promised is looked for. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/driver.h"
#include "crash/points.h"

struct plan {
    const char *points; /* a file with their names; NULL = random moments */
    unsigned hits, share, shares;
};

static bool cycle(struct driver *driver)
{
    bool good = true;
    for (uint64_t n = rng_below(&driver->rng, 3); n > 0; n--)
        good &= driver_kill_early(driver);
    good &= driver_kill_loaded(driver, rng_below(&driver->rng, 3) == 0 ? 60000 : 795000);
    for (uint64_t n = rng_below(&driver->rng, 3); n > 1; n--)
        good &= driver_kill_early(driver);
    return driver_check(driver) && good;
}

static void cycles_run(struct driver *driver)
{
    uint64_t left = 0;
    for (unsigned i = 0; i < driver->cycles; i++) {
        if (left == 0 || atomic_load(&driver->journal->next) > JOURNAL_RECORDS / 2) {
            driver_fresh(driver);
            left = 6 + rng_below(&driver->rng, 8);
        }
        left--;
        if (cycle(driver)) {
            driver->passed++;
            continue;
        }
        driver->failed++;
        printf("FAIL cycle %u of %s, directory %u, %u lives\n", i,
               svm_durability_name(driver->mode), driver->dirs,
               atomic_load(&driver->journal->lives));
        return; /* what comes after would fail for the same reason */
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: main_crash [--mode write|sync|interval] [--cycles N] [--seed S] "
                    "[--dir D] [--bug ack-early] [--points FILE] [--hits N] [--share I/N]\n");
    return 2;
}

static bool plan_arg(struct plan *plan, const char *name, const char *value)
{
    if (strcmp(name, "--points") == 0)
        plan->points = value;
    else if (strcmp(name, "--hits") == 0)
        plan->hits = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--share") == 0)
        return sscanf(value, "%u/%u", &plan->share, &plan->shares) == 2 &&
               plan->share < plan->shares;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--role") == 0)
        return argc == 8 ? role_main(argv + 2) : 2;
    struct driver driver;
    struct plan plan = {.hits = 20, .shares = 1};
    driver_init(&driver);
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc ||
            (!driver_arg(&driver, argv[i], argv[i + 1]) && !plan_arg(&plan, argv[i], argv[i + 1])))
            return usage();
    driver_begin(&driver);
    if (plan.points != NULL) {
        printf("points %u/%u, seed %" PRIu64 ", %u times each\n", plan.share, plan.shares,
               driver.seed, plan.hits);
        points_run(&driver, plan.points, plan.hits, plan.share, plan.shares);
        return driver_end(&driver);
    }
    printf("mode %s, seed %" PRIu64 ", cycles %u%s\n", svm_durability_name(driver.mode),
           driver.seed, driver.cycles, driver.ack_early ? ", acknowledging early" : "");
    cycles_run(&driver);
    return driver_end(&driver);
}
