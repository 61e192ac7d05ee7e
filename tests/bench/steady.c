#include "bench/steady.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVERY_MS = 50, SAMPLES_MAX = 100000 };
/* One batch of the materialiser's: what stands between two of them, and says nothing; nor does what a moment shows. */
static const double BATCH_BYTES = 64.0 * 1024 * 1024, STEADY_SECONDS_MIN = 5;

struct sample {
    double at, dirty, lag, applied, log_bytes, syncs, versions, resident, gc_us;
};

struct steady {
    struct rig *rig;
    char collector[64]; /* where the system tells what its thread has run; empty = it does not */
    pthread_t thread;
    _Atomic bool stop;
    size_t count;
    struct sample samples[SAMPLES_MAX];
};

/* The engine's counter tells the walks alone, and where workers trim what they touch there are none: the collector's own
 * work is what its thread has run. */
static void find_collector(struct steady *steady)
{
    DIR *tasks = opendir("/proc/self/task");
    for (const struct dirent *entry; tasks != NULL && (entry = readdir(tasks)) != NULL;) {
        char path[64], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fgets(name, sizeof name, file) != NULL && strcmp(name, "svm-gc\n") == 0)
            snprintf(steady->collector, sizeof steady->collector, "/proc/self/task/%.16s/schedstat",
                     entry->d_name);
        fclose(file);
    }
    if (tasks != NULL)
        closedir(tasks);
}

static double collector_us(const struct steady *steady)
{
    unsigned long long ns = 0;
    FILE *file = steady->collector[0] == 0 ? NULL : fopen(steady->collector, "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu", &ns) != 1)
        ns = 0;
    fclose(file);
    return (double)ns / 1000;
}

static void take_sample(struct steady *steady)
{
    struct svm_stats stats;
    svm_stats(steady->rig->engine, &stats);
    const uint64_t behind =
        stats.applied_seq > stats.materialised_seq ? stats.applied_seq - stats.materialised_seq : 0;
    steady->samples[steady->count++] = (struct sample){.at = now_s(),
                                                       .dirty = (double)stats.dirty_bytes,
                                                       .lag = (double)behind,
                                                       .applied = (double)stats.applied_seq,
                                                       .log_bytes = (double)stats.log_bytes,
                                                       .syncs = (double)stats.log_syncs,
                                                       .versions = (double)stats.versions,
                                                       .resident = (double)stats.resident_bytes,
                                                       .gc_us = collector_us(steady)};
}

static void *watch(void *arg)
{
    struct steady *steady = arg;
    while (!atomic_load(&steady->stop) && steady->count < SAMPLES_MAX) {
        take_sample(steady);
        nanosleep(&(struct timespec){.tv_nsec = EVERY_MS * 1000 * 1000}, NULL);
    }
    return NULL;
}

struct steady *steady_start(struct rig *rig)
{
    struct steady *steady = calloc(1, sizeof *steady);
    if (steady == NULL)
        die("out of memory");
    steady->rig = rig;
    find_collector(steady);
    if (pthread_create(&steady->thread, NULL, watch, steady) != 0)
        die("cannot start a thread");
    return steady;
}

/* The samples between FROM and TO are [*first, *end). */
static void between(const struct steady *steady, double from, double to, size_t *first, size_t *end)
{
    size_t i = 0;
    while (i < steady->count && steady->samples[i].at < from)
        i++;
    *first = i;
    while (i < steady->count && steady->samples[i].at <= to)
        i++;
    *end = i;
}

static void quarter(const struct steady *steady, double from, double to, double *dirty, double *lag)
{
    size_t first, end;
    between(steady, from, to, &first, &end);
    *dirty = *lag = 0;
    for (size_t i = first; i < end; i++) {
        *dirty += steady->samples[i].dirty / (double)(end - first);
        *lag += steady->samples[i].lag / (double)(end - first);
    }
}

void steady_stop(struct steady_result *result, struct steady *steady, double from, double to)
{
    atomic_store(&steady->stop, true);
    pthread_join(steady->thread, NULL);
    const double part = (to - from) / 4;
    size_t first, end;
    *result = (struct steady_result){.seconds = to - from};
    quarter(steady, from, from + part, &result->dirty_first, &result->lag_first);
    quarter(steady, to - part, to, &result->dirty_last, &result->lag_last);
    between(steady, from, to, &first, &end);
    for (size_t i = first; i < end; i++) {
        const struct sample *sample = &steady->samples[i];
        if (sample->versions > result->versions_max)
            result->versions_max = sample->versions;
        if (sample->resident > result->resident_max)
            result->resident_max = sample->resident;
    }
    if (end >= first + 2) {
        const struct sample *a = &steady->samples[first], *z = &steady->samples[end - 1];
        const double seconds = z->at - a->at;
        result->log_bytes = (z->log_bytes - a->log_bytes) * (to - from) / seconds;
        if (z->applied > a->applied)
            result->bytes_each = (z->log_bytes - a->log_bytes) / (z->applied - a->applied);
        result->syncs_s = (z->syncs - a->syncs) / seconds;
        result->gc_us_s = (z->gc_us - a->gc_us) / seconds;
    }
    free(steady);
}

/* By more than a quarter, and by more than one batch. */
static bool has_grown(double first, double last)
{
    return last > first * 1.25 && last > first + BATCH_BYTES;
}

void steady_require(const struct steady_result *result)
{
    if (result->seconds < STEADY_SECONDS_MIN)
        return;
    if (has_grown(result->dirty_first, result->dirty_last))
        die("the materialiser falls behind: %.0f MiB are dirty at first and %.0f at last: no "
            "figure",
            result->dirty_first / 1048576, result->dirty_last / 1048576);
    if (has_grown(result->lag_first * result->bytes_each, result->lag_last * result->bytes_each))
        die("the materialiser falls behind: by %.0f transactions at first and %.0f at last: no "
            "figure",
            result->lag_first, result->lag_last);
}

void steady_print(const struct steady_result *result, uint64_t done, bool on_disk)
{
    printf(",\"versions_max\":%.0f,\"resident_max\":%.0f,\"gc_us_s\":%.0f", result->versions_max,
           result->resident_max, result->gc_us_s);
    if (on_disk)
        printf(",\"dirty_first\":%.0f,\"dirty_last\":%.0f,\"lag_first\":%.0f,\"lag_last\":%.0f,"
               "\"log_bytes\":%.1f,\"syncs_s\":%.0f",
               result->dirty_first, result->dirty_last, result->lag_first, result->lag_last,
               result->log_bytes / (double)(done > 0 ? done : 1), result->syncs_s);
}
