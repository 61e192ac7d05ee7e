/* Parallel equals sequential: random batches on small engines of every make, each judged against the sequential reference.
 *
 *     main_oracle [--batches N] [--seed N] [--bug NAME] [--no-bugs]
 *
 * The seed comes from SVM_SEED, else from the clock, and is printed first. SVM_SHORT: a few hundred batches (sanitizers).
 * --bug is one of the seeded defects of base/fault.h (BUILD=prove): the run must fail. Without it a build that has them also runs itself
 * once for each of these, and expects each run to fail:
 *   skip-validation  matters to cells alone. Objects: what a transaction only reads is immutable or, shared, ordered by the
 *                    scheduler; validation is the net below that.
 *   drop-edge        claims and validation are the net: results stay right. What breaks is the promise that an ordered transaction
 *                    never meets another's claim; worlds of shared objects alone check it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "world.h"

enum { WORLD_BATCHES = 100, FAILED_WORLDS_MAX = 3, BUG_SECONDS = 120 };

static const char *const own_bugs[] = {"skip-validation", "skip-claim", "drop-edge"};
enum { BUGS = sizeof own_bugs / sizeof own_bugs[0] };

struct options {
    unsigned batches, bug_batches;
    uint64_t seed;
    bool bugs;
};

struct totals {
    struct world_result sum;
    uint64_t passed, failed;
};

static struct world_plan make_plan(const struct options *options, unsigned index, unsigned batches)
{
    static const unsigned workers[] = {1, 2, 4, 8};
    struct rng rng;
    rng_init(&rng, options->seed + index * UINT64_C(0x9e3779b97f4a7c15));
    struct world_plan plan = {.seed = rng_next(&rng),
                              .batches = batches,
                              .workers = workers[index % 4],
                              .disk = (enum world_disk)(index % WORLD_DISKS),
                              .gc = (enum world_gc)((index / 2 + index / 12) % WORLD_GCS)};
    plan.sign = index % 5 == 1;
    plan.reopen = rng_below(&rng, 3) == 0;
    plan.ordered = index % 8 == 5 || (fault_bug("drop-edge") && index % 2);
    if (plan.ordered) {
        plan.gc = WORLD_GC_OFF; /* a collector's claim is in the way too */
        plan.disk = WORLD_MEMORY;
        plan.workers = plan.workers < 2 ? 2 : plan.workers;
    }
    return plan;
}

static const char *gc_name(enum world_gc gc)
{
    return gc == WORLD_GC_OFF ? "off" : gc == WORLD_GC_NORMAL ? "normal" : "frantic";
}

static const char *disk_name(enum world_disk disk)
{
    return disk == WORLD_MEMORY ? "memory" : disk == WORLD_DISK ? "disk" : "disk, tiny cache";
}

static void add(struct world_result *sum, const struct world_result *r)
{
    const uint64_t *from = (const uint64_t *)(const void *)r;
    uint64_t *to = (uint64_t *)(void *)sum;
    for (size_t i = 0; i < sizeof *r / sizeof *from; i++)
        to[i] += from[i];
}

static void run_worlds(struct totals *totals, const struct options *options)
{
    unsigned done = 0;
    uint64_t failed_worlds = 0;
    for (unsigned index = 0; done < options->batches && failed_worlds < FAILED_WORLDS_MAX;
         index++) {
        unsigned rest = options->batches - done;
        unsigned batches = rest < WORLD_BATCHES ? rest : WORLD_BATCHES;
        struct world_plan plan = make_plan(options, index, batches);
        struct world_result result;
        world_run(&result, &plan);
        add(&totals->sum, &result);
        done += batches;
        if (result.failures == 0) {
            totals->passed += batches;
            continue;
        }
        failed_worlds++;
        totals->failed += batches;
        printf("FAILED world %u: workers %u, gc %s, %s%s%s: %llu failures\n", index, plan.workers,
               gc_name(plan.gc), disk_name(plan.disk), plan.sign ? ", signed" : "",
               plan.ordered ? ", ordered" : "", (unsigned long long)result.failures);
    }
}

/* ---- was everything reached? ------------------------------------------------------------------------------------------ */

static void print_counts(const struct world_result *r)
{
    const struct judge_counts *c = &r->counts;
    printf("executed %llu (fast %llu, consensus %llu, fallbacks %llu), duplicates %llu, snapshots "
           "%llu, "
           "cell transactions %llu\n",
           (unsigned long long)c->executed, (unsigned long long)c->fast,
           (unsigned long long)c->consensus, (unsigned long long)c->fallbacks,
           (unsigned long long)c->duplicates, (unsigned long long)c->sightings,
           (unsigned long long)r->cell_txns);
    printf("loads %llu, evictions %llu, collected %llu, retries %llu, void %llu\nops:",
           (unsigned long long)r->loads, (unsigned long long)r->evictions,
           (unsigned long long)r->gc_removed, (unsigned long long)r->retries,
           (unsigned long long)r->conflicts);
    for (int i = 0; i < SVM_OP_COUNT; i++)
        printf(" %s %llu", svm_op_name((enum svm_op_kind)i), (unsigned long long)c->ops[i]);
    printf("\nfailures:");
    for (int i = 1; i < SVM_FAILURE_COUNT; i++)
        printf(" %s %llu", svm_failure_name((enum svm_failure)i), (unsigned long long)c->failed[i]);
    printf("\nrefusals:");
    for (int i = 1; i < SVM_ERR_COUNT; i++)
        if (c->refused[i])
            printf(" %s %llu", svm_err_name((enum svm_err)i), (unsigned long long)c->refused[i]);
    printf("\n");
}

/* A proof that never met a case has not proved it. */
static bool everything_reached(const struct world_result *r)
{
    static const enum svm_err refusals[] = {
        SVM_E_TX_DECODE,
        SVM_E_TX_TOO_LARGE,
        SVM_E_BAD_SIGNATURE,
        SVM_E_WRONG_CHAIN,
        SVM_E_EXPIRED,
        SVM_E_EXPIRY_TOO_FAR,
        SVM_E_GAS_TOO_LOW,
        SVM_E_OP_INVALID,
        SVM_E_PRIVACY_UNAVAILABLE,
        SVM_E_OBJECT_NOT_FOUND,
        SVM_E_NOT_OWNER,
        SVM_E_OBJECT_IMMUTABLE,
        SVM_E_OBJECT_DELETED,
        SVM_E_WRONG_INPUT_KIND,
        SVM_E_VERSION_CONFLICT,
        SVM_E_BUSY,
        SVM_E_LIMIT_EXCEEDED,
    };
    bool all = true;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (r->counts.refused[refusals[i]] == 0) {
            printf("never refused with %s\n", svm_err_name(refusals[i]));
            all = false;
        }
    for (int i = 1; i < SVM_FAILURE_COUNT; i++)
        if (r->counts.failed[i] == 0) {
            printf("never failed with %s\n", svm_failure_name((enum svm_failure)i));
            all = false;
        }
    for (int i = 0; i < SVM_OP_COUNT; i++)
        if (r->counts.ops[i] == 0) {
            printf("no %s succeeded\n", svm_op_name((enum svm_op_kind)i));
            all = false;
        }
    if (r->counts.fallbacks == 0 || r->counts.duplicates == 0 || r->counts.sightings == 0 ||
        r->loads == 0 || r->evictions == 0 || r->gc_removed == 0 || r->cell_txns == 0) {
        printf(
            "no fallback, duplicate, snapshot, load, eviction, collection or cell transaction\n");
        all = false;
    }
    return all;
}

/* ---- the test of the test ------------------------------------------------------------------------------------------------ */

static bool bug_is_red(const struct options *options, const char *bug)
{
    char batches[16], seed[32];
    int status;
    snprintf(batches, sizeof batches, "%u", options->bug_batches);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)options->seed);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(127);
        alarm(BUG_SECONDS);
        execl("/proc/self/exe", "main_oracle", "--batches", batches, "--seed", seed, "--bug", bug,
              (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    bool red = WIFSIGNALED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 127);
    printf("seeded defect %-15s %s (%s %d)\n", bug, red ? "found" : "NOT FOUND",
           WIFSIGNALED(status) ? "signal" : "exit",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return red;
}

/* ---- main ------------------------------------------------------------------------------------------------------------------ */

static void parse(struct options *options, int argc, char **argv)
{
    bool is_short = getenv("SVM_SHORT") != NULL;
    const char *seed = getenv("SVM_SEED");
    *options = (struct options){.batches = is_short ? 600 : 10000,
                                .bug_batches = is_short ? 400 : 800,
                                .seed = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL),
                                .bugs = fault_enabled() && !fault_seeded()};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--batches") == 0 && i + 1 < argc) {
            options->batches = (unsigned)strtoul(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            options->seed = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--bug") == 0 && i + 1 < argc) {
            fault_bug_set(argv[++i]);
            options->bugs = false;
        } else if (strcmp(argv[i], "--no-bugs") == 0) {
            options->bugs = false;
        } else {
            fprintf(stderr,
                    "usage: main_oracle [--batches N] [--seed N] [--bug NAME] [--no-bugs]\n");
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct options options;
    struct totals totals = {0};
    parse(&options, argc, argv);
    if (fault_seeded() && !fault_enabled()) {
        fprintf(stderr, "seeded defects are in BUILD=prove\n");
        return 2;
    }
    printf("SVM_SEED=%llu, %u batches\n", (unsigned long long)options.seed, options.batches);
    fflush(stdout);
    run_worlds(&totals, &options);
    print_counts(&totals.sum);
    if (options.batches >= 600) {
        bool all = everything_reached(&totals.sum);
        totals.passed += all;
        totals.failed += !all;
    }
    for (unsigned bug = 0; options.bugs && bug < BUGS; bug++) {
        bool red = bug_is_red(&options, own_bugs[bug]);
        totals.passed += red;
        totals.failed += !red;
    }
    printf("%llu passed, %llu failed\n", (unsigned long long)totals.passed,
           (unsigned long long)totals.failed);
    return totals.failed ? 1 : 0;
}
