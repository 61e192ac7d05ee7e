/* The simulation: seed after seed of the real engine on simulated threads, time and disks (sim.h).
 *
 *     main_sim [--seeds N] [--from SEED] [--bug NAME] [--defects 0]      SEED: SVM_SEED, else 1; NAME: SVM_BUG
 *     main_sim --seed SEED                                 one, with its plan and the end of its transcript
 *
 * Each seed has a process of its own, two at a time, so that it finds the same memory as when it is run alone; a failure is said with its
 * seed and the last events. Without --bug each seeded defect of the engine is looked for too, and must be found. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "sim.h"

enum { PROCESSES = 2, FAILURES_MAX = 3, EVENTS_SHOWN = 60, CRASHED = 70 };

struct options {
    uint64_t seeds, from;
    const char *bug;
    bool verbose, no_defects;
};

/* Shared by the processes. */
static struct shared {
    uint64_t done, failed;
    struct sim_counts counts;
} * shared;

static uint64_t seed_now;

static void add_counts(const struct sim_counts *counts)
{
    const uint64_t *from = (const uint64_t *)(const void *)counts;
    uint64_t *to = (uint64_t *)(void *)&shared->counts;
    for (size_t i = 0; i < sizeof *counts / sizeof *from; i++)
        __atomic_fetch_add(&to[i], from[i], __ATOMIC_RELAXED);
}

static void say_failure(const char *why)
{
    struct sim_plan plan;
    sim_plan_make(&plan, seed_now);
    printf("FAILED seed %llu: %s\n", (unsigned long long)seed_now, why);
    sim_plan_say(&plan);
    weave_transcript(EVENTS_SHOWN);
}

static void on_crash(int number)
{
    say_failure(number == SIGABRT ? "an assertion" : strsignal(number));
    fflush(stdout);
    _exit(CRASHED);
}

static void catch_crashes(void)
{
    static char stack[64 << 10];
    const stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternative, NULL);
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
    static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
}

static bool run_seed(uint64_t seed)
{
    struct sim_counts counts = {0};
    seed_now = seed;
    bool good = sim_run(seed, &counts);
    add_counts(&counts);
    if (!good)
        say_failure(weave_failure());
    return good;
}

static void count_result(bool good)
{
    uint64_t *result = good ? &shared->done : &shared->failed;
    __atomic_fetch_add(result, 1, __ATOMIC_RELAXED);
}

static pid_t start(const struct options *options, uint64_t seed)
{
    fflush(stdout);
    pid_t child = fork();
    SVM_ASSERT(child >= 0);
    if (child != 0)
        return child;
    if (options->bug != NULL)
        SVM_ASSERT(freopen("/dev/null", "w", stdout) != NULL &&
                   freopen("/dev/null", "w", stderr) != NULL);
    catch_crashes();
    fault_bug_set(options->bug);
    bool good = run_seed(seed);
    fflush(stdout);
    _exit(good ? 0 : 1);
}

/* run_seeds: all of them, or until some have failed. */
static void run_seeds(const struct options *options)
{
    uint64_t next = 0, running = 0;
    memset(shared, 0, sizeof *shared);
    for (;;) {
        bool more = next < options->seeds && shared->failed < FAILURES_MAX;
        while (more && running < PROCESSES) {
            start(options, options->from + next++);
            running++;
            more = next < options->seeds;
        }
        if (running == 0)
            return;
        int status;
        if (wait(&status) < 0)
            return;
        running--;
        count_result(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* Of FAULT_BUG: those that a short run must find. */
static const char *const bugs[] = {"ack-early", "skip-claim", "skip-validation",
                                   "drop-edge", "gc-early",   "reuse-version"};
enum { BUGS = sizeof bugs / sizeof bugs[0] };

/* Each defect must be found within the same seeds. */
static uint64_t run_bugs(const struct options *options)
{
    uint64_t missed = 0;
    for (int i = 0; i < BUGS; i++) {
        struct options with = *options;
        with.bug = bugs[i];
        run_seeds(&with);
        bool found = shared->failed > 0;
        missed += !found;
        printf("seeded defect %-16s %s, %llu of %llu seeds\n", bugs[i],
               found ? "found" : "NOT FOUND", (unsigned long long)shared->failed,
               (unsigned long long)(shared->failed + shared->done));
    }
    return missed;
}

static int one_seed(const struct options *options)
{
    struct sim_plan plan;
    catch_crashes();
    printf("seed %llu\n", (unsigned long long)options->from);
    sim_plan_make(&plan, options->from);
    sim_plan_say(&plan);
    fault_bug_set(options->bug);
    bool good = run_seed(options->from);
    if (good)
        weave_transcript(EVENTS_SHOWN);
    printf("%llu lives, %llu cut off, %llu executed, %llu lost, %llu refused, %llu cells, %llu "
           "steps\n",
           (unsigned long long)shared->counts.lives, (unsigned long long)shared->counts.cut,
           (unsigned long long)shared->counts.executed, (unsigned long long)shared->counts.lost,
           (unsigned long long)shared->counts.refused, (unsigned long long)shared->counts.cells,
           (unsigned long long)shared->counts.steps);
    printf("%d passed, %d failed\n", good, !good);
    return !good;
}

static void on_point(void *arg, const char *point)
{
    (void)arg;
    weave_point(point);
}

static void read_options(struct options *options, int argc, char **argv)
{
    const char *seed = getenv("SVM_SEED");
    *options = (struct options){.seeds = 1000, .from = seed != NULL ? strtoull(seed, NULL, 10) : 1};
    const char *bug = getenv("SVM_BUG");
    options->bug = bug != NULL && bug[0] != 0 ? bug : NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seeds") == 0)
            options->seeds = number;
        if (strcmp(argv[i], "--from") == 0 || strcmp(argv[i], "--seed") == 0)
            options->from = number;
        options->verbose |= strcmp(argv[i], "--seed") == 0;
        options->no_defects |= strcmp(argv[i], "--defects") == 0 && number == 0;
        if (strcmp(argv[i], "--bug") != 0)
            continue;
        options->bug = argv[i + 1];
    }
}

/* The same addresses in every process, so that a seed is the same run every time. */
static void fix_addresses(char **argv)
{
    int now = personality(0xffffffff);
    if (now == -1 || (now & ADDR_NO_RANDOMIZE) != 0 ||
        personality((unsigned)now | ADDR_NO_RANDOMIZE) == -1)
        return;
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    struct options options;
    fix_addresses(argv);
    read_options(&options, argc, argv);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    SVM_ASSERT(shared != MAP_FAILED);
    fault_hook_set(on_point, NULL);
    (void)svm_genesis_dev(); /* what is made once is made outside of the lives */
    if (options.verbose)
        return one_seed(&options);

    printf("SVM_SEED=%llu, %llu seeds\n", (unsigned long long)options.from,
           (unsigned long long)options.seeds);
    run_seeds(&options);
    const struct shared result = *shared;
    const struct sim_counts *c = &result.counts;
    printf("%llu lives, %llu cut off at some step, %llu power cuts, %llu with a failing disk; %llu "
           "transactions executed, %llu of them "
           "lost as allowed, %llu refused, %llu duplicates, %llu interactive; %llu steps\n",
           (unsigned long long)c->lives, (unsigned long long)c->cut,
           (unsigned long long)c->power_cuts, (unsigned long long)c->disk_failures,
           (unsigned long long)c->executed, (unsigned long long)c->lost,
           (unsigned long long)c->refused, (unsigned long long)c->duplicates,
           (unsigned long long)c->cells, (unsigned long long)c->steps);
    bool plain = options.bug == NULL && !options.no_defects;
    uint64_t missed = plain && result.failed == 0 ? run_bugs(&options) : 0;
    uint64_t found = plain && result.failed == 0 ? BUGS - missed : 0;
    printf("%llu passed, %llu failed\n", (unsigned long long)(result.done + found),
           (unsigned long long)(result.failed + missed));
    return result.failed + missed > 0;
}
