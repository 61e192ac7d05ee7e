#include "crash/driver.h"

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

/* ---- life ------------------------------------------------------------------------------------------------------ */

void driver_init(struct driver *driver)
{
    const char *seed = getenv("SVM_SEED");
    *driver = (struct driver){.mode = SVM_SYNC, .cycles = 10, .top = "/tmp/supervm-crash-XXXXXX"};
    driver->seed = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
}

bool driver_arg(struct driver *driver, const char *name, const char *value)
{
    if (strcmp(name, "--mode") == 0) {
        driver->mode = SVM_WRITE;
        while (driver->mode <= SVM_INTERVAL &&
               strcmp(value, svm_durability_name(driver->mode)) != 0)
            driver->mode++;
        return driver->mode <= SVM_INTERVAL;
    }
    if (strcmp(name, "--cycles") == 0) {
        driver->cycles = (unsigned)strtoul(value, NULL, 10);
        return driver->cycles > 0;
    }
    if (strcmp(name, "--seed") == 0) {
        driver->seed = strtoull(value, NULL, 10);
        return true;
    }
    if (strcmp(name, "--dir") == 0) {
        snprintf(driver->top, sizeof driver->top, "%s", value);
        driver->given = true;
        return true;
    }
    if (strcmp(name, "--bug") == 0 && strcmp(value, "ack-early") == 0) {
        driver->ack_early = true;
        return true;
    }
    return false;
}

void driver_begin(struct driver *driver)
{
    if (!driver->given && mkdtemp(driver->top) == NULL)
        driver_die(driver->top);
    rng_init(&driver->rng, driver->seed);
}

void driver_path(char path[300], const struct driver *driver, const char *name)
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

void driver_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int driver_end(struct driver *driver)
{
    uint64_t answers =
        driver->answers + (driver->journal != NULL ? atomic_load(&driver->journal->answers) : 0);
    printf("%s: %u kills, %u of them while opening, %u directories, %" PRIu64
           " durable answers, %" PRIu64 " transactions looked up\n",
           svm_durability_name(driver->mode), driver->kills, driver->kills_opening, driver->dirs,
           answers, driver->checked);
    if (driver->failed > 0 && !driver->ack_early)
        printf("kept: %s\n", driver->top);
    else if (!driver->given)
        driver_remove(driver->top);
    printf("%u passed, %u failed\n", driver->passed, driver->failed);
    return driver->failed > 0;
}

void driver_fresh(struct driver *driver)
{
    static const char *const names[] = {"data", "checkpoint", "checkpoint.partial",
                                        "checkpoint.old"};
    char path[300];
    if (driver->journal != NULL) {
        driver->answers += atomic_load(&driver->journal->answers);
        munmap(driver->journal, sizeof *driver->journal);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        driver_path(path, driver, names[i]);
        driver_remove(path);
    }
    driver_path(path, driver, "journal");
    remove(path);
    driver->journal = journal_map(path);
    if (driver->journal == NULL)
        driver_die(path);
    driver->dirs++;
}

void driver_die(const char *what)
{
    fprintf(stderr, "crash: %s: %s\n", what, strerror(errno));
    exit(2);
}

void driver_sleep_us(uint64_t us)
{
    nanosleep(&(struct timespec){.tv_sec = (time_t)(us / 1000000),
                                 .tv_nsec = (long)(us % 1000000) * 1000},
              NULL);
}

/* ---- children -------------------------------------------------------------------------------------------------- */

pid_t driver_spawn(struct driver *driver, const char *role)
{
    char seed[24], mode[4], flags[4];
    snprintf(seed, sizeof seed, "%" PRIu64, rng_next(&driver->rng));
    snprintf(mode, sizeof mode, "%d", (int)driver->mode);
    snprintf(flags, sizeof flags, "%d",
             (driver->ack_early ? 1 : 0) | (driver->busy_house ? 2 : 0) | (driver->spoil ? 4 : 0) |
                 (driver->power ? 8 : 0));
    atomic_store(&driver->journal->ready, 0);
    atomic_store(&driver->journal->hit, 0);
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        driver_die("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/proc/self/exe", "crash", "--role", role, driver->top, mode, seed, flags,
              driver->at == NULL ? "" : driver->at, (char *)NULL);
        _exit(4);
    }
    return child;
}

int driver_finish(pid_t child)
{
    int status;
    if (waitpid(child, &status, 0) != child)
        driver_die("wait");
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return WTERMSIG(status) == SIGKILL ? -1 : -2;
}

bool driver_wait(pid_t child, unsigned limit_ms)
{
    siginfo_t info = {0};
    for (unsigned waited_us = 0; waited_us < limit_ms * 1000; waited_us += 500) {
        if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
            driver_die("wait");
        if (info.si_pid == child)
            return true;
        driver_sleep_us(500);
    }
    return false;
}

/* kill_between_calls: between what it has done and its record of that, CHILD is not killed: it is stopped, and looked at. */
static void kill_between_calls(const struct driver *driver, pid_t child)
{
    siginfo_t info;
    while (driver->calling != NULL) {
        kill(child, SIGSTOP);
        if (waitid(P_PID, (id_t)child, &info, WSTOPPED | WEXITED | WNOWAIT) != 0 ||
            info.si_code != CLD_STOPPED || atomic_load(driver->calling) == 0)
            break;
        (void)waitid(P_PID, (id_t)child, &info, WSTOPPED);
        kill(child, SIGCONT);
        driver_sleep_us(100);
    }
    kill(child, SIGKILL);
}

bool driver_kill(struct driver *driver, pid_t child, const char *role)
{
    kill_between_calls(driver, child);
    int code = driver_finish(child);
    driver->kills++;
    if (code == -1)
        return true;
    printf("     the %s ended by itself: %d\n", role, code);
    return false;
}

/* Recovery is killed too, and must be able to begin anew. */
bool driver_kill_early(struct driver *driver)
{
    bool store_only = rng_below(&driver->rng, 2);
    const char *role = store_only ? "recover" : "work";
    pid_t child = driver_spawn(driver, role);
    driver_sleep_us(rng_below(&driver->rng, 90000));
    bool opening = atomic_load(&driver->journal->ready) == 0;
    driver->kills_opening += opening;
    return driver_kill(driver, child, role);
}

bool driver_kill_loaded(struct driver *driver, uint64_t span_us)
{
    pid_t child = driver_spawn(driver, "work");
    for (unsigned waited = 0; atomic_load(&driver->journal->ready) == 0; waited++) {
        if (waited > 60000) {
            printf("     the worker does not open within a minute\n");
            driver_kill(driver, child, "work");
            return false;
        }
        if (driver_wait(child, 1)) {
            printf("     the worker could not open: %d\n", driver_finish(child));
            return false;
        }
        driver_sleep_us(500);
    }
    driver_sleep_us(5000 + rng_below(&driver->rng, span_us));
    return driver_kill(driver, child, "work");
}

bool driver_check(struct driver *driver)
{
    int code = driver_finish(driver_spawn(driver, "check"));
    driver->checked += atomic_load(&driver->journal->next);
    if (code < 0 || code > 1)
        printf("     the checker ended with %d\n", code);
    return code == 0;
}

/* ---- the other side -------------------------------------------------------------------------------------------- */

int role_main(char **argv)
{
    char data[300], path[300];
    struct driver driver;
    snprintf(driver.top, sizeof driver.top, "%s", argv[1]);
    driver_path(data, &driver, "data");
    driver_path(path, &driver, "journal");
    int flags = atoi(argv[4]);
    const struct role_args args = {.datadir = data,
                                   .journal = journal_map(path),
                                   .mode = (enum svm_durability)atoi(argv[2]),
                                   .seed = strtoull(argv[3], NULL, 10),
                                   .ack_early = (flags & 1) != 0,
                                   .busy_house = (flags & 2) != 0,
                                   .spoil = (flags & 4) != 0,
                                   .power = (flags & 8) != 0,
                                   .at = argv[5]};
    if (args.journal == NULL)
        return 3;
    if (strcmp(argv[0], "work") == 0)
        return role_work(&args);
    return strcmp(argv[0], "recover") == 0 ? role_recover(&args) : role_check(&args);
}
