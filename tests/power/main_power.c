/* Power cuts: an engine under mixed load, over the real database and the real log, loses its power at any call to the disk, opening
 * included; its directory becomes what a disk could then hold (disk.h), and what had been promised is looked for.
 *
 *     driver --exec, shim.so--> worker, recoverer    the power fails at their n-th call, or they are killed and the page cache stays
 *        |<--tape--'
 *        +--disk_cut, disk_write--> data/ --exec, shim.so--> checker (tests/crash) */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "crash/driver.h"
#include "power/disk.h"

enum { LIFE_MS = 1500, SMALL = 60, MIDDLE = 500, LARGE = 6000 };

struct power {
    struct driver driver;
    struct tape *tape;
    struct disk *disk;
    enum disk_kind kind;
    char tape_path[300], data[300];
    unsigned cuts, timed;      /* at a call; when time was over */
    struct disk_counts counts; /* of the disks before */
};

static void tape_map(struct power *power)
{
    int fd = open(power->tape_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, TAPE_BYTES) != 0)
        driver_die(power->tape_path);
    void *at = mmap(NULL, TAPE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        driver_die("mmap");
    close(fd);
    power->tape = at;
}

/* tape_clear: a new one, without room on the disk. */
static void tape_clear(struct power *power)
{
    if (truncate(power->tape_path, 0) != 0 || truncate(power->tape_path, TAPE_BYTES) != 0)
        driver_die(power->tape_path);
}

/* environment: of the children. The driver has loaded no shim. */
static void environment(const struct power *power, bool liar)
{
    char shim[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", shim, sizeof shim - 10);
    SVM_ASSERT(len > 0);
    shim[len] = '\0';
    strcpy(strrchr(shim, '/') + 1, "shim.so");
    if (access(shim, R_OK) != 0)
        driver_die(shim);
    setenv("LD_PRELOAD", shim, 1);
    setenv(TAPE_ENV, power->tape_path, 1);
    setenv(TAPE_ENV_TOP, power->data, 1);
    setenv(TAPE_ENV_LIAR, liar ? "1" : "0", 1);
}

/* ---- one cut --------------------------------------------------------------------------------------------------- */

static void counts_add(struct power *power)
{
    const struct disk_counts more = disk_counts(power->disk);
    struct disk_counts *all = &power->counts;
    all->entries += more.entries;
    all->syncs += more.syncs;
    all->names_kept += more.names_kept;
    all->names_undone += more.names_undone;
    all->sectors_kept += more.sectors_kept;
    all->sectors_undone += more.sectors_undone;
    all->torn += more.torn;
}

static void fresh(struct power *power)
{
    driver_fresh(&power->driver);
    if (power->disk != NULL)
        counts_add(power);
    disk_destroy(power->disk);
    power->disk = disk_create();
    power->kind = power->kind == DISK_LOOSE ? DISK_JOURNALLED : DISK_LOOSE;
    if (!disk_write(power->disk, power->data))
        driver_die(power->data);
    tape_clear(power);
}

static uint64_t random_call(struct rng *rng, bool rare)
{
    static const uint64_t ranges[] = {SMALL, MIDDLE, LARGE};
    return 1 + rng_below(rng, ranges[rng_below(rng, rare ? 2 : 3)]);
}

/* life: one process that ends in a cut, at a call or when it has had its time. */
static bool life(struct power *power)
{
    struct driver *driver = &power->driver;
    const char *role = rng_below(&driver->rng, 4) == 0 ? "recover" : "work";
    atomic_store(&power->tape->calls, 0);
    bool rare = rng_below(&driver->rng, 3) == 0;
    atomic_store(&power->tape->rare, rare);
    atomic_store(&power->tape->cut, random_call(&driver->rng, rare));
    pid_t child = driver_spawn(driver, role);
    bool ended = driver_wait(child, 200 + (unsigned)rng_below(&driver->rng, LIFE_MS));
    power->cuts += ended;
    power->timed += !ended;
    if (ended && driver_finish(child) != -1) {
        printf("     the %s ended by itself\n", role);
        return false;
    }
    return ended || driver_kill(driver, child, role);
}

static bool cycle(struct power *power)
{
    struct driver *driver = &power->driver;
    bool good = true;
    atomic_store(&power->tape->cut, 0);
    atomic_store(&power->tape->calling, 0);
    driver->calling = &power->tape->calling;
    if (rng_below(&driver->rng, 3) == 0) /* killed first: what it wrote is in the page cache */
        good = rng_below(&driver->rng, 2) ? driver_kill_early(driver)
                                          : driver_kill_loaded(driver, 60000);
    atomic_store(&power->tape->calling, 0);
    good = good && life(power);
    disk_play(power->disk, power->kind, power->tape);
    disk_cut(power->disk, power->kind, &driver->rng);
    if (!disk_write(power->disk, power->data))
        driver_die(power->data);
    tape_clear(power);
    driver->power = true;
    good = good && driver_check(driver);
    driver->power = false;
    return good;
}

static void cycles_run(struct power *power)
{
    struct driver *driver = &power->driver;
    uint64_t left = 0;
    for (unsigned i = 0; i < driver->cycles; i++) {
        if (left == 0 || atomic_load(&driver->journal->next) > JOURNAL_RECORDS / 4) {
            fresh(power);
            left = 4 + rng_below(&driver->rng, 8);
        }
        left--;
        if (cycle(power)) {
            driver->passed++;
            continue;
        }
        driver->failed++;
        printf("FAIL cycle %u of %s, a %s disk, directory %u, %u lives\n", i,
               svm_durability_name(driver->mode),
               power->kind == DISK_LOOSE ? "loose" : "journalled", driver->dirs,
               atomic_load(&driver->journal->lives));
        return; /* what comes after would fail for the same reason */
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: main_power [--mode write|sync|interval] [--cycles N] [--seed S] "
                    "[--dir D] [--bug no-sync]\n");
    return 2;
}

static void report(struct power *power)
{
    const struct disk_counts *counts = &power->counts;
    counts_add(power);
    printf("cuts: %u at a call, %u at a moment; %" PRIu64 " calls, %" PRIu64
           " syncs; not synced: %" PRIu64 " names kept, %" PRIu64 " undone, %" PRIu64
           " sectors kept, %" PRIu64 " undone, %" PRIu64 " torn\n",
           power->cuts, power->timed, counts->entries, counts->syncs, counts->names_kept,
           counts->names_undone, counts->sectors_kept, counts->sectors_undone, counts->torn);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--role") == 0)
        return argc == 8 ? role_main(argv + 2) : 2;
    static struct power power;
    struct driver *driver = &power.driver;
    bool liar = false;
    driver_init(driver);
    strcpy(driver->top, "/tmp/supervm-power-XXXXXX");
    for (int i = 1; i < argc; i += 2) {
        bool bug =
            i + 1 < argc && strcmp(argv[i], "--bug") == 0 && strcmp(argv[i + 1], "no-sync") == 0;
        liar |= bug;
        if (i + 1 == argc || (!bug && !driver_arg(driver, argv[i], argv[i + 1])))
            return usage();
    }
    driver_begin(driver);
    driver->ack_early = false;
    driver_path(power.tape_path, driver, "tape");
    driver_path(power.data, driver, "data");
    tape_map(&power);
    environment(&power, liar);
    printf("mode %s, seed %" PRIu64 ", cuts %u%s\n", svm_durability_name(driver->mode),
           driver->seed, driver->cycles, liar ? ", syncs do nothing" : "");
    cycles_run(&power);
    report(&power);
    munmap(power.tape, TAPE_BYTES);
    disk_destroy(power.disk);
    remove(power.tape_path);
    return driver_end(driver);
}
