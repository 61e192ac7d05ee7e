/* All interleavings of small tests of the real code.
 *
 *     main_weave [--samples N] [--limit N] [NAME]      samples: random orders of each test, beside all of them
 *
 * With SVM_BUG the code has that defect, and the tests are run as they are.
 *
 * Each test is run in every order of its steps (weave_search), then in random orders, some of them with compare-and-swaps that fail for
 * no reason; then once more with its defect, which some order has to show. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "cases.h"

bool case_wrong;

static struct {
    uint64_t passed, failed;
    uint64_t runs, samples;
} totals;

void case_threads(void *(*const *runs)(void *), size_t count)
{
    pthread_t threads[8];
    for (size_t i = 0; i < count; i++)
        CASE_CHECK(pthread_create(&threads[i], NULL, runs[i], NULL) == 0);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void verdict(bool good, const char *name, const char *what)
{
    if (good) {
        totals.passed++;
        return;
    }
    totals.failed++;
    printf("FAILED %s: %s\n", name, what);
}

struct options {
    uint64_t samples, limit, seed;
    const char *only, *bug;
};

static void run_case(const struct case_of *c, const struct options *options)
{
    struct weave_found all, some, defect;
    const char *name = c->test.name;
    weave_search(&all, &c->test, options->limit);
    if (all.failed) {
        printf("%s: %s\n", name, weave_failure());
        weave_transcript(60);
    }
    verdict(!all.failed, name, "an order of its steps");
    weave_sample(&some, &c->test, options->seed, options->samples);
    if (some.failed)
        printf("%s, SVM_SEED=%llu: %s\n", name, (unsigned long long)(options->seed + some.runs - 1),
               weave_failure());
    verdict(!some.failed, name, "a random order");

    if (options->bug != NULL) /* that is what the orders have to show */
        return;
    case_wrong = c->bug == NULL;
    fault_bug_set(c->bug);
    weave_search(&defect, &c->test, options->limit);
    verdict(defect.failed, name, "its defect is not seen");
    printf("%-34s %9llu %s  %9llu pruned  %3llu steps  %9llu random  defect \"%s\": run %llu, %s\n",
           name, (unsigned long long)(all.runs - all.pruned), all.complete ? "all" : "not all",
           (unsigned long long)all.pruned, (unsigned long long)all.steps_most,
           (unsigned long long)some.runs, c->defect, (unsigned long long)defect.runs,
           defect.failed ? weave_failure() : "NOT SEEN");
    case_wrong = false;
    fault_bug_set(NULL);
    totals.runs += all.runs - all.pruned;
    totals.samples += some.runs;
    fflush(stdout);
}

static void run_cases(const struct case_of *cases, const struct options *options)
{
    for (; cases->test.name != NULL; cases++)
        if (options->only == NULL || strstr(cases->test.name, options->only) != NULL)
            run_case(cases, options);
}

int main(int argc, char **argv)
{
    struct options options = {.samples = 10000, .limit = 2000000, .seed = 1};
    const char *seed = getenv("SVM_SEED"), *bug = getenv("SVM_BUG");
    options.bug = bug != NULL && bug[0] != 0 ? bug : NULL;
    if (seed != NULL)
        options.seed = strtoull(seed, NULL, 10);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--samples") == 0 && i + 1 < argc)
            options.samples = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--limit") == 0 && i + 1 < argc)
            options.limit = strtoull(argv[++i], NULL, 10);
        else
            options.only = argv[i];
    }
    printf("SVM_SEED=%llu\n", (unsigned long long)options.seed);
    run_cases(cases_base, &options);
    run_cases(cases_table, &options);
    run_cases(cases_index, &options);
    printf("%llu interleavings, %llu random ones\n", (unsigned long long)totals.runs,
           (unsigned long long)totals.samples);
    printf("%llu passed, %llu failed\n", (unsigned long long)totals.passed,
           (unsigned long long)totals.failed);
    return totals.failed != 0;
}
