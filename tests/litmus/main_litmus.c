/* Races that a serializable engine cannot lose: main_litmus [--rounds N] [--case NAME] [--bug NAME]
 *
 * Each case must end without an anomaly. Then, in a build that has seeded defects (BUILD=prove), the test of the test: with validation or
 * claims left out, cases that rest on them must fail.
 * The seed is SVM_SEED or the clock. SVM_SHORT: a fraction of the rounds (sanitizers). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "litmus.h"

static uint64_t passed, failed;

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void run_cases(const struct litmus_case *cases, const char *only, uint64_t rounds)
{
    for (; cases->name; cases++) {
        if (only && strcmp(cases->name, only) != 0)
            continue;
        double start = now_s();
        uint64_t anomalies = cases->run(rounds);
        passed += anomalies == 0;
        failed += anomalies != 0;
        printf("%s %-58s %8llu anomalies %6.1f s\n", anomalies ? "FAIL" : "ok  ", cases->name,
               (unsigned long long)anomalies, now_s() - start);
        fflush(stdout);
    }
}

/* Runs CASE with the seeded defect: it must go red. */
static void expect_red(const char *name, const char *bug, uint64_t rounds, uint64_t seed)
{
    char rounds_text[24], seed_text[24];
    int status = 0;
    snprintf(rounds_text, sizeof rounds_text, "%llu", (unsigned long long)rounds);
    snprintf(seed_text, sizeof seed_text, "%llu", (unsigned long long)seed);
    fflush(stdout);
    litmus_moves(); /* the other one has less time than the watch gives */
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        setenv("SVM_SEED", seed_text, 1);
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(127);
        alarm(60);
        execl("/proc/self/exe", "main_litmus", "--rounds", rounds_text, "--case", name, "--bug",
              bug, (char *)NULL);
        _exit(127);
    }
    bool red = pid > 0 && waitpid(pid, &status, 0) == pid &&
               (WIFSIGNALED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 127));
    passed += red;
    failed += !red;
    printf("%s with %s it fails: %s\n", red ? "ok  " : "FAIL", bug, name);
}

int main(int argc, char **argv)
{
    bool is_short = getenv("SVM_SHORT") != NULL;
    const char *seed = getenv("SVM_SEED"), *only = NULL;
    uint64_t rounds = is_short ? 3000 : 100000;
    litmus_options.seed = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
            rounds = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--case") == 0 && i + 1 < argc) {
            only = argv[++i];
        } else if (strcmp(argv[i], "--bug") == 0 && i + 1 < argc && fault_enabled()) {
            fault_bug_set(argv[++i]);
        } else {
            fprintf(stderr, "usage: main_litmus [--rounds N] [--case NAME] [--bug NAME]\n");
            return 2;
        }
    }
    printf("SVM_SEED=%llu, %llu rounds each\n", (unsigned long long)litmus_options.seed,
           (unsigned long long)rounds);
    litmus_watch();
    run_cases(litmus_cells, only, rounds);
    run_cases(litmus_objects, only, rounds);
    run_cases(litmus_contention, only, rounds);
    if (!only && fault_enabled() && !fault_seeded()) {
        const uint64_t red_rounds = 10000;
        expect_red("cells: lost update", "skip-validation", red_rounds, litmus_options.seed);
        expect_red("cells: write skew on absence", "skip-validation", rounds / 4,
                   litmus_options.seed);
        expect_red("cells: write skew", "skip-validation", red_rounds, litmus_options.seed);
        expect_red("a held claim makes exactly those fall back that meet it", "skip-claim",
                   red_rounds, litmus_options.seed);
    }
    printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)failed);
    return failed ? 1 : 0;
}
