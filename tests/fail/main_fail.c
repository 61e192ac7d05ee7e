/* Failing calls: each allocation, thread, disk call of our own code fails at its n-th use, once and from there on, in a process each. No
 * crash, no hang, typed answers; afterwards the directory opens and holds all that was acknowledged.
 *
 *     driver --fork--> life: scenario with one failing call, close, open again, look
 *        '--shared report--'
 *
 * Usage: main_fail [POINTS]              at most POINTS (8) places for each kind of call in a scenario, spread from one that SVM_SEED chooses;
 *                                        0 or SVM_LONG=1: every place
 *        main_fail SCENARIO KIND N [good] one life, to look at */
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "scenario.h"

enum { POINTS = 8, LIFE_S = 30 };

static unsigned passed, failed, hits, opened;

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void dir_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* dir_make: in memory if that can be: syncs are many, and not what is tried here. */
static void dir_make(char path[64])
{
    strcpy(path, "/dev/shm/supervm-fail-XXXXXX");
    if (mkdtemp(path) != NULL)
        return;
    strcpy(path, "/tmp/supervm-fail-XXXXXX");
    if (mkdtemp(path) == NULL) {
        perror(path);
        exit(1);
    }
}

static void one_life(struct task *task, void (*fn)(struct task *))
{
    memset(task->report, 0, sizeof *task->report);
    dir_make(task->dir);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(LIFE_S);
        fn(task);
        exit(0); /* not _exit: what looks for leaks does so here */
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child)
        snprintf(task->report->text, sizeof task->report->text, "no process");
    dir_remove(task->dir);
    const char *text = task->report->text;
    bool good = status == 0 && text[0] == '\0';
    good ? passed++ : failed++;
    hits += task->report->failed > 0;
    opened += task->report->opened;
    if (!good)
        printf("FAIL %s %s %u%s: %s%s (status %x)\n", task->scenario->name, calls_names[task->kind],
               task->n, task->for_good ? " for good" : "", text,
               WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "", (unsigned)status);
}

/* plan: how often each kind is called in each scenario when nothing fails. Returns the number of lives that a complete run has. */
static unsigned plan(struct task *task, unsigned (*counts)[CALLS_COUNT])
{
    unsigned all = 0;
    for (unsigned s = 0; s < scenario_count; s++) {
        task->scenario = &scenarios[s];
        one_life(task, scenario_run);
        printf("%-9s", scenarios[s].name);
        for (int k = 0; k < CALLS_COUNT; k++) {
            counts[s][k] = task->report->counts[k];
            all += 2 * counts[s][k];
            printf(" %5u %s", counts[s][k], calls_names[k]);
        }
        printf("\n");
    }
    return all;
}

/* places: the lives of one kind of call in one scenario: at COUNT places, or POINTS of them. */
static void places(struct task *task, unsigned count, unsigned points, struct rng *rng)
{
    unsigned stride = points == 0 || count <= points ? 1 : (count + points - 1) / points;
    for (unsigned n = 1 + (unsigned)rng_below(rng, stride); n <= count; n += stride) {
        task->n = n;
        task->for_good = false;
        one_life(task, scenario_run);
        task->for_good = true;
        one_life(task, scenario_run);
    }
}

/* only: one life, as the arguments say. */
static int only(struct task *task, int argc, char **argv)
{
    for (unsigned s = 0; s < scenario_count; s++)
        if (strcmp(argv[1], scenarios[s].name) == 0)
            task->scenario = &scenarios[s];
    for (int k = 0; k < CALLS_COUNT; k++)
        if (strcmp(argv[2], calls_names[k]) == 0)
            task->kind = (enum calls_kind)k;
    task->n = (unsigned)strtoul(argv[3], NULL, 10);
    task->for_good = argc > 4;
    one_life(task, scenario_run);
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}

static uint64_t seed_get(void)
{
    const char *text = getenv("SVM_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    printf("SVM_SEED=%" PRIu64 "\n", seed);
    return seed;
}

int main(int argc, char **argv)
{
    unsigned counts[16][CALLS_COUNT];
    struct rng rng;
    struct task task = {.scenario = &scenarios[0]};
    task.report =
        mmap(NULL, sizeof *task.report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (task.report == MAP_FAILED)
        return 1;
    if (argc > 3)
        return only(&task, argc, argv);
    rng_init(&rng, seed_get());
    unsigned all = plan(&task, counts);
    unsigned points = getenv("SVM_LONG") != NULL    ? 0
                      : getenv("SVM_SHORT") != NULL ? 1
                      : argc > 1                    ? (unsigned)strtoul(argv[1], NULL, 10)
                                                    : POINTS;
    for (unsigned s = 0; s < scenario_count; s++)
        for (int k = 0; k < CALLS_COUNT; k++) {
            task.scenario = &scenarios[s];
            task.kind = (enum calls_kind)k;
            places(&task, counts[s][k], points, &rng);
        }
    task.n = 0;
    one_life(&task, scenario_full_disk);
    printf("%u lives of %u: in %u a call failed, in %u the engine opened\n", passed + failed, all,
           hits, opened);
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
