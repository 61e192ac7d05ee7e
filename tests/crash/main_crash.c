/* kill -9, again and again: an engine under mixed load is killed at any moment, opening included, and what it had
 * promised is looked for.
 *
 *     driver --exec--> worker (load; killed)    the driver never opens an engine itself: RocksDB does not survive a fork
 *            --exec--> recoverer (killed)       opens and trims the store without end
 *            --exec--> checker                  exit code 0 = everything is there */
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "crash/role.h"

struct driver {
    enum svm_durability mode;
    unsigned cycles;
    uint64_t seed;
    bool ack_early;
    char top
        [256]; /* data/ and journal lie in it; removed at the end unless the caller gave it or something failed */
    bool given;
    struct rng rng;
    struct journal *journal;
    unsigned passed, failed, kills, kills_opening, dirs;
    uint64_t checked, answers;
};

static void path_in(char path[300], const struct driver *driver, const char *name)
{
    snprintf(path, 300, "%s/%s", driver->top, name);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void die(const char *what)
{
    fprintf(stderr, "crash: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void sleep_us(uint64_t us)
{
    nanosleep(&(struct timespec){.tv_sec = (time_t)(us / 1000000),
                                 .tv_nsec = (long)(us % 1000000) * 1000},
              NULL);
}

/* ---- children -------------------------------------------------------------------------------------------------- */

static pid_t spawn(struct driver *driver, const char *role)
{
    char seed[24], mode[4];
    snprintf(seed, sizeof seed, "%" PRIu64, rng_next(&driver->rng));
    snprintf(mode, sizeof mode, "%d", (int)driver->mode);
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/proc/self/exe", "crash", "--role", role, driver->top, mode, seed,
              driver->ack_early ? "1" : "0", (char *)NULL);
        _exit(4);
    }
    return child;
}

/* finish: the child's exit code; -1 = killed by us; -2 = by something else. */
static int finish(pid_t child)
{
    int status;
    if (waitpid(child, &status, 0) != child)
        die("wait");
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return WTERMSIG(status) == SIGKILL ? -1 : -2;
}

/* kill_child: false = it had ended by itself, which no worker does. */
static bool kill_child(struct driver *driver, pid_t child, const char *role)
{
    kill(child, SIGKILL);
    int code = finish(child);
    driver->kills++;
    if (code == -1)
        return true;
    printf("     the %s ended by itself: %d\n", role, code);
    return false;
}

/* kill_early: while it opens, most likely; recovery is killed too, and must be able to begin anew. */
static bool kill_early(struct driver *driver)
{
    bool store_only = rng_below(&driver->rng, 2);
    const char *role = store_only ? "recover" : "work";
    atomic_store(&driver->journal->ready, 0);
    pid_t child = spawn(driver, role);
    sleep_us(rng_below(&driver->rng, 90000));
    bool opening = atomic_load(&driver->journal->ready) == 0;
    driver->kills_opening += opening;
    return kill_child(driver, child, role);
}

static bool kill_loaded(struct driver *driver)
{
    atomic_store(&driver->journal->ready, 0);
    pid_t child = spawn(driver, "work");
    for (unsigned waited = 0; atomic_load(&driver->journal->ready) == 0; waited++) {
        if (waited > 60000) {
            printf("     the worker does not open within a minute\n");
            kill_child(driver, child, "work");
            return false;
        }
        if (waitpid(child, NULL, WNOHANG) != 0) {
            printf("     the worker could not open\n");
            return false;
        }
        sleep_us(1000);
    }
    uint64_t span_us = rng_below(&driver->rng, 3) == 0 ? 60000 : 795000;
    sleep_us(5000 + rng_below(&driver->rng, span_us));
    return kill_child(driver, child, "work");
}

/* ---- cycles ---------------------------------------------------------------------------------------------------- */

static void fresh(struct driver *driver)
{
    char path[300];
    if (driver->journal != NULL) {
        driver->answers += atomic_load(&driver->journal->answers);
        munmap(driver->journal, sizeof *driver->journal);
    }
    path_in(path, driver, "data");
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    path_in(path, driver, "journal");
    remove(path);
    driver->journal = journal_map(path);
    if (driver->journal == NULL)
        die(path);
    driver->dirs++;
}

static bool cycle(struct driver *driver)
{
    bool good = true;
    for (uint64_t n = rng_below(&driver->rng, 3); n > 0; n--)
        good &= kill_early(driver);
    good &= kill_loaded(driver);
    for (uint64_t n = rng_below(&driver->rng, 3); n > 1; n--)
        good &= kill_early(driver);
    int code = finish(spawn(driver, "check"));
    driver->checked += atomic_load(&driver->journal->next);
    if (code < 0 || code > 1)
        printf("     the checker ended with %d\n", code);
    return good && code == 0;
}

static void run(struct driver *driver)
{
    uint64_t left = 0;
    for (unsigned i = 0; i < driver->cycles; i++) {
        if (left == 0 || atomic_load(&driver->journal->next) > JOURNAL_RECORDS / 2) {
            fresh(driver);
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

/* ---- arguments ------------------------------------------------------------------------------------------------- */

static int role_main(char **argv)
{
    char data[300], path[300];
    struct driver driver;
    snprintf(driver.top, sizeof driver.top, "%s", argv[1]);
    path_in(data, &driver, "data");
    path_in(path, &driver, "journal");
    const struct role_args args = {.datadir = data,
                                   .journal = journal_map(path),
                                   .mode = (enum svm_durability)atoi(argv[2]),
                                   .seed = strtoull(argv[3], NULL, 10),
                                   .ack_early = atoi(argv[4]) != 0};
    if (args.journal == NULL)
        return 3;
    if (strcmp(argv[0], "work") == 0)
        return role_work(&args);
    return strcmp(argv[0], "recover") == 0 ? role_recover(&args) : role_check(&args);
}

static int usage(void)
{
    fprintf(stderr, "usage: main_crash [--mode write|sync|interval] [--cycles N] [--seed S] "
                    "[--dir D] [--bug ack-early]\n");
    return 2;
}

static bool read_args(struct driver *driver, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(name, "--mode") == 0) {
            driver->mode = SVM_WRITE;
            while (driver->mode <= SVM_INTERVAL &&
                   strcmp(value, svm_durability_name(driver->mode)) != 0)
                driver->mode++;
            if (driver->mode > SVM_INTERVAL)
                return false;
        } else if (strcmp(name, "--cycles") == 0) {
            driver->cycles = (unsigned)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--seed") == 0) {
            driver->seed = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--dir") == 0) {
            snprintf(driver->top, sizeof driver->top, "%s", value);
            driver->given = true;
        } else if (strcmp(name, "--bug") == 0 && strcmp(value, "ack-early") == 0) {
            driver->ack_early = true;
        } else {
            return false;
        }
    }
    return driver->cycles > 0;
}

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "--role") == 0)
        return role_main(argv + 2);
    const char *seed = getenv("SVM_SEED");
    struct driver driver = {.mode = SVM_SYNC, .cycles = 10, .top = "/tmp/supervm-crash-XXXXXX"};
    driver.seed = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    if (!read_args(&driver, argc, argv))
        return usage();
    if (!driver.given && mkdtemp(driver.top) == NULL)
        die(driver.top);
    printf("mode %s, seed %" PRIu64 ", cycles %u%s\n", svm_durability_name(driver.mode),
           driver.seed, driver.cycles, driver.ack_early ? ", acknowledging early" : "");
    rng_init(&driver.rng, driver.seed);
    run(&driver);

    uint64_t answers = driver.answers + atomic_load(&driver.journal->answers);
    printf("%s: %u kills, %u of them while opening, %u directories, %" PRIu64
           " durable answers, %" PRIu64 " transactions looked up\n",
           svm_durability_name(driver.mode), driver.kills, driver.kills_opening, driver.dirs,
           answers, driver.checked);
    if (driver.failed > 0 && !driver.ack_early)
        printf("kept: %s\n", driver.top);
    else if (!driver.given)
        nftw(driver.top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    printf("%u passed, %u failed\n", driver.passed, driver.failed);
    return driver.failed > 0;
}
