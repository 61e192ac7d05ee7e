/* bench_growth: what grows with the state, one line of JSON for each size: cost per transaction, memory, collection, start, recovery.
 *
 * Usage: bench_growth [--objects N[,N...]] [--seconds S] [--datadir DIR] [--cache-mb MB] [--workers N] [--seed N]
 *   --objects    sizes, ascending; default 10000,100000,1000000 (add 10000000 on a quiet machine with 16 GiB)
 *   --datadir    with it the state is on disk too: a process fills it and is killed, another recovers; then a clean start is
 *                timed, and reads of all objects; then each gets an Add, in an order of chance, `sync`. What does not fit into --cache-mb
 *                (default 2048) is read again
 *
 * Each size has two processes of its own: memory and start-up are not those of the size before. Every run is audited. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/load.h"
#include "bench/rig.h"
#include "bench/steady.h"

struct options {
    struct settings rig;
    const char *sizes;
    const char *datadir;
};

/* What one run of one load says. */
struct seen {
    double rate, cpu_ns, gc_us_per_s;
    double loads; /* objects fetched from the disk, for each transaction */
    uint64_t gc_runs;
};

static struct seen run(struct rig *rig, const struct load *load)
{
    struct load_result result;
    struct audit before, after;
    struct svm_stats from, to;
    struct steady_result steady;
    audit_state(&before, rig);
    svm_stats(rig->engine, &from);
    struct steady *watch = steady_start(rig);
    load_run(&result, rig, load);
    steady_stop(&steady, watch, result.timed_at, result.timed_at + result.seconds);
    svm_stats(rig->engine, &to);
    audit_state(&after, rig);
    load_check(&result, load, &before, &after);
    if (rig->settings.durability != SVM_MEMORY)
        steady_require(&steady);
    return (struct seen){.rate = (double)result.timed / result.seconds,
                         .cpu_ns = result.cpu_ns,
                         .gc_us_per_s = steady.gc_us_s,
                         .loads = (double)(to.loads - from.loads) /
                                  (double)(result.fast + result.consensus),
                         .gc_runs = to.gc_runs - from.gc_runs};
}

/* In memory: coins that stay where they are, then coins that change hands. */
static void in_memory(const struct options *options)
{
    struct population coins = {0};
    struct svm_stats stats;
    struct settings settings = options->rig;
    settings.durability = SVM_MEMORY;
    struct rig *rig = rig_open(&settings);
    const uint64_t before = process_bytes();
    const double started = now_s();
    population_create(&coins, rig, POPULATION_COINS, settings.objects);
    const double created_s = now_s() - started;
    svm_stats(rig->engine, &stats);
    /* receipts of the making and the owner index included, what the generator remembers not */
    const double own = sizeof coins.ids[0] + sizeof coins.versions[0];
    const double each = (double)(process_bytes() - before) / settings.objects - own;
    const struct load load = {.fast_percent = 100, .transfer = true, .owned = &coins};
    const struct seen transfer = run(rig, &load);
    printf("{\"row\":\"growth-memory\",\"objects\":%u,\"create_per_s\":%.0f,\"tx_per_s\":%.0f,"
           "\"cpu_ns\":%.0f,\"bytes_resident_each\":%.0f,\"bytes_counted_each\":%.0f,"
           "\"gc_us_per_s\":%.0f,\"gc_runs\":%llu,\"seed\":%llu}\n",
           settings.objects, settings.objects / created_s, transfer.rate, transfer.cpu_ns, each,
           (double)stats.resident_bytes / (double)stats.resident_objects, transfer.gc_us_per_s,
           (unsigned long long)transfer.gc_runs, (unsigned long long)settings.seed);
    rig_close(rig);
    population_destroy(&coins);
}

/* Fills the directory and waits to be killed: nothing is closed. */
_Noreturn static void fill_until_killed(const struct settings *settings, int ready)
{
    struct population population = {0};
    struct rig *rig = rig_open(settings);
    struct svm_stats stats;
    population_create(&population, rig, POPULATION_SHARED, settings->objects);
    do { /* executed is not durable yet */
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        svm_stats(rig->engine, &stats);
    } while (stats.durable_seq < stats.applied_seq);
    if (write(ready, "", 1) != 1)
        die("the parent is gone");
    for (;;)
        pause();
}

/* Another process fills the directory and is killed. How long it took to fill. */
static double fill(const struct settings *settings)
{
    int ready[2];
    char byte;
    if (pipe(ready) != 0)
        die("no pipe");
    const double started = now_s();
    const pid_t child = fork();
    if (child == 0)
        fill_until_killed(settings, ready[1]);
    close(ready[1]);
    if (child < 0 || read(ready[0], &byte, 1) != 1)
        die("the directory was not filled");
    const double filled_s = now_s() - started;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]);
    return filled_s;
}

static double timed_open(const struct settings *settings, struct rig **rig_out)
{
    const double started = now_s();
    *rig_out = rig_open(settings);
    return now_s() - started;
}

static bool remember(void *arg, const struct svm_object *object)
{
    struct population *population = arg;
    if (object_is_counter(object))
        population->ids[population->count++] = object->id;
    return true;
}

/* The counters that another process has made, in an order of chance: that of their ids would be that of the disk. */
static void population_find(struct population *population, struct rig *rig, uint32_t count_most)
{
    struct svm_snapshot *snapshot;
    struct random random = {rig->settings.seed};
    *population = (struct population){.ids = malloc(count_most * sizeof *population->ids)};
    if (population->ids == NULL || svm_snapshot_open(rig->engine, &snapshot) != SVM_OK ||
        svm_state_scan(snapshot, remember, population) != SVM_OK)
        die("the state cannot be scanned");
    svm_snapshot_close(snapshot);
    for (uint32_t i = population->count; i > 1; i--) {
        const uint32_t j = (uint32_t)(random_next(&random) % i);
        const struct svm_id swap = population->ids[i - 1];
        population->ids[i - 1] = population->ids[j];
        population->ids[j] = swap;
    }
}

static void on_disk(const struct options *options)
{
    char dir[4096];
    struct rig *rig;
    struct audit killed, clean;
    struct population counters;
    struct svm_stats stats;
    struct settings settings = options->rig;
    snprintf(dir, sizeof dir, "%s/%u", options->datadir, settings.objects);
    settings.durability = SVM_SYNC;
    settings.datadir = dir;
    const double filled_s = fill(&settings);
    settings.seed++; /* no digest of the other process's comes again */
    const double recovery_s = timed_open(&settings, &rig);
    audit_state(&killed, rig);
    rig_close(rig);
    if (killed.objects < settings.objects)
        die("the audit fails: %llu objects", (unsigned long long)killed.objects);
    const double open_s = timed_open(&settings, &rig);
    const double scan_from = now_s();
    audit_state(&clean, rig);
    const double scan_s = now_s() - scan_from;
    svm_stats(rig->engine, &stats);
    population_find(&counters, rig, (uint32_t)clean.objects);
    if (memcmp(&clean, &killed, sizeof clean) != 0)
        die("the audit fails: the state after a clean start is another");
    if (counters.count != settings.objects)
        die("the audit fails: %u counters", counters.count);
    const struct load load = {.shared = &counters};
    const struct seen adds = run(rig, &load);
    rig_close(rig);
    population_destroy(&counters);
    printf("{\"row\":\"growth-disk\",\"objects\":%u,\"fill_per_s\":%.0f,\"recovery_s\":%.3f,"
           "\"open_s\":%.3f,\"scan_ns_each\":%.0f,\"resident_objects\":%llu,"
           "\"resident_bytes\":%llu,\"disk_tx_per_s\":%.0f,\"disk_cpu_ns\":%.0f,"
           "\"disk_loads\":%.3f,\"disk_cache_bytes\":%llu,\"seed\":%llu}\n",
           settings.objects, settings.objects / filled_s, recovery_s, open_s,
           scan_s * 1e9 / (double)clean.objects, (unsigned long long)stats.resident_objects,
           (unsigned long long)stats.resident_bytes, adds.rate, adds.cpu_ns, adds.loads,
           (unsigned long long)(settings.cache_bytes ? settings.cache_bytes : RIG_CACHE_BYTES),
           (unsigned long long)options->rig.seed);
}

/* In a process of its own. */
static void apart(void (*part)(const struct options *), const struct options *options)
{
    int status;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        part(options);
        fflush(stdout);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        die("%u objects: no figure", options->rig.objects);
}

static void parse(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value == NULL)
            die("%s needs a value", name);
        const unsigned long long number = strtoull(value, NULL, 10);
        if (strcmp(name, "--objects") == 0)
            options->sizes = value;
        else if (strcmp(name, "--seconds") == 0)
            options->rig.seconds = strtod(value, NULL);
        else if (strcmp(name, "--datadir") == 0)
            options->datadir = value;
        else if (strcmp(name, "--cache-mb") == 0)
            options->rig.cache_bytes = (uint64_t)number << 20;
        else if (strcmp(name, "--workers") == 0)
            options->rig.workers = (uint32_t)number;
        else if (strcmp(name, "--seed") == 0)
            options->rig.seed = number;
        else
            die("unknown option %s", name);
    }
}

int main(int argc, char **argv)
{
    struct options options = {
        .rig = {.window = 4096, .inflight = 16384, .seconds = 5, .seed = (uint64_t)time(NULL)},
        .sizes = "10000,100000,1000000"};
    parse(&options, argc, argv);
    const uint64_t disk_cache = options.rig.cache_bytes;
    for (const char *at = options.sizes; *at != 0;) {
        char *end;
        options.rig.objects = (uint32_t)strtoul(at, &end, 10);
        if (options.rig.objects < 1000 || (*end != 0 && *end != ','))
            die("--objects: numbers from 1000, with commas between");
        at = *end == ',' ? end + 1 : end;
        options.rig.cache_bytes = (uint64_t)16 << 30; /* in memory everything must fit */
        apart(in_memory, &options);
        options.rig.cache_bytes = disk_cache;
        if (options.datadir != NULL)
            apart(on_disk, &options);
    }
    return 0;
}
