#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

const uint32_t svm_histogram_le_us[SVM_HISTOGRAM_BOUNDS] = {
    50,   100,  200,   300,   500,   750,    1000,   1500,    2000,    3000,
    5000, 7500, 10000, 20000, 50000, 100000, 500000, 1000000, 5000000, 10000000};

const char *svm_stage_name(enum svm_stage stage)
{
    switch (stage) {
    case SVM_STAGE_TOTAL:
        return "total";
    case SVM_STAGE_QUEUE:
        return "queue";
    case SVM_STAGE_EXECUTE:
        return "execute";
    case SVM_STAGE_DURABLE:
        return "durable";
    case SVM_STAGE_COUNT:
        break;
    }
    return "";
}

void stats_refused(struct engine_counters *counters, enum svm_err err)
{
    count_add(&counters->refused[err], 1);
}

void stats_executed(struct engine_counters *counters, const struct engine_job *job,
                    enum svm_failure failure)
{
    struct hist *latency = counters->latency[job->path == SVM_PATH_FAST ? 0 : 1];
    count_own(&counters->executed, 1);
    count_own(failure == SVM_FAILURE_NONE ? &counters->completed[job->path]
                                          : &counters->failed[job->path],
              1);
    hist_add(&latency[SVM_STAGE_TOTAL], (job->executed_ns - job->admitted_ns) / 1000);
    hist_add(&latency[SVM_STAGE_QUEUE],
             job->routed_ns > job->admitted_ns ? (job->routed_ns - job->admitted_ns) / 1000 : 0);
    hist_add(&latency[SVM_STAGE_EXECUTE],
             job->executed_ns > job->routed_ns ? (job->executed_ns - job->routed_ns) / 1000 : 0);
}

/* Each set of counters: the workers', the seats', then everybody else's. */
static uint32_t sets(const struct svm_engine *engine)
{
    return engine->worker_count + ENGINE_SEATS;
}

static struct engine_counters *counters_at(struct svm_engine *engine, uint32_t i)
{
    return i < sets(engine) ? &engine->workers[i].counters : &engine->counters;
}

static uint64_t sum(struct svm_engine *engine, size_t offset)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i <= sets(engine); i++) {
        const uint8_t *base = (const uint8_t *)counters_at(engine, i);
        total += atomic_load_explicit((const _Atomic uint64_t *)(const void *)(base + offset),
                                      memory_order_relaxed);
    }
    return total;
}
#define SUM(member) sum(engine, offsetof(struct engine_counters, member))

uint64_t stats_executed_total(struct svm_engine *engine)
{
    return SUM(executed);
}

/* Executed transactions per second over the last SECONDS whole seconds, in thousandths. */
static uint64_t rate(struct svm_engine *engine, uint32_t seconds)
{
    uint32_t at = atomic_load(&engine->sampled_at);
    if (at == 0)
        return 0;
    if (seconds > at)
        seconds = at;
    uint64_t now = atomic_load(&engine->sampled[at % 64]);
    uint64_t then = seconds == at ? 0 : atomic_load(&engine->sampled[(at - seconds) % 64]);
    return (now - then) * 1000 / seconds;
}

static void summarise(struct svm_latency *out, struct svm_engine *engine, unsigned path,
                      enum svm_stage stage, struct hist *merged)
{
    hist_init(merged);
    for (uint32_t i = 0; i <= sets(engine); i++)
        hist_merge(merged, &counters_at(engine, i)->latency[path][stage]);
    out->count = hist_count(merged);
    out->sum_us = hist_sum(merged);
    out->max_us = hist_max(merged);
    out->p50_us = hist_percentile(merged, 500000);
    out->p95_us = hist_percentile(merged, 950000);
    out->p99_us = hist_percentile(merged, 990000);
    out->p999_us = hist_percentile(merged, 999000);
    uint32_t bound = 0;
    uint64_t below = 0;
    for (uint32_t b = 0; b < HIST_BUCKETS && bound < SVM_HISTOGRAM_BOUNDS; b++) {
        while (bound < SVM_HISTOGRAM_BOUNDS && hist_bucket_end(b) > svm_histogram_le_us[bound])
            out->at_or_below[bound++] = below;
        below += atomic_load_explicit(&merged->buckets[b], memory_order_relaxed);
    }
}

static void routing(struct svm_engine *engine, struct svm_stats *s)
{
    s->submitted = SUM(submitted);
    s->duplicates = SUM(duplicates);
    s->retries = SUM(retries);
    s->conflicts = SUM(conflicts);
    s->transfers = engine->transfers_at_open + SUM(transfers);
    for (size_t i = 0; i < 3; i++) {
        s->routed[i] = SUM(routed[i]);
        s->completed[i] = SUM(completed[i]);
        s->failed[i] = SUM(failed[i]);
        int64_t live = (int64_t)engine->objects_at_open[i];
        for (uint32_t w = 0; w <= sets(engine); w++)
            live += atomic_load_explicit(&counters_at(engine, w)->objects[i], memory_order_relaxed);
        s->objects[i] = live < 0 ? 0 : (uint64_t)live;
    }
    for (size_t i = 0; i < SVM_FALLBACK_COUNT; i++)
        s->fallbacks[i] = SUM(fallbacks[i]);
    for (size_t i = 0; i < SVM_ERR_COUNT; i++)
        s->refused[i] = SUM(refused[i]);
    s->rate_1s = rate(engine, 1);
    s->rate_10s = rate(engine, 10);
    s->rate_60s = rate(engine, 60);
    struct hist *merged = malloc(sizeof *merged);
    for (unsigned path = 0; merged && path < 2; path++)
        for (int stage = 0; stage < SVM_STAGE_COUNT; stage++)
            summarise(&s->latency[path][stage], engine, path, (enum svm_stage)stage, merged);
    free(merged);
}

struct table_sums stats_tables(struct svm_engine *engine)
{
    struct mvcc_counts objects, cells;
    mvcc_counts(engine->objects, &objects);
    mvcc_counts(engine->cells, &cells);
    return (struct table_sums){.heads = objects.heads + cells.heads,
                               .garbage = objects.garbage + cells.garbage,
                               .bytes = objects.bytes + cells.bytes};
}

static void versions(struct svm_engine *engine, struct svm_stats *s)
{
    struct mvcc_counts objects, cells;
    mvcc_counts(engine->objects, &objects);
    mvcc_counts(engine->cells, &cells);
    s->resident_objects = objects.heads;
    s->resident_cells = cells.heads;
    s->versions = objects.versions + cells.versions;
    s->resident_bytes = objects.bytes + cells.bytes;
    s->loads = objects.loads + cells.loads;
    s->evictions = objects.evicted + cells.evicted;
    s->gc_versions_removed = objects.trimmed + cells.trimmed;
    s->snapshots_open = mvcc_pins_open(engine->mvcc);
    s->snapshots_cancelled = SUM(snapshots_cancelled);
    sessions_count(engine, s);
    s->applied_seq = mvcc_applied(engine->mvcc);
    s->durable_seq = engine_durable(engine);
    s->logged_seq = engine->memory ? s->applied_seq : store_logged(engine->store);
    s->materialised_seq = store_materialised(engine->store);
    s->gc_floor_seq = mvcc_floor(engine->mvcc);
    s->gc_runs = atomic_load(&engine->gc_runs);
    s->gc_last_us = atomic_load(&engine->gc_last_us);
    s->gc_total_us = atomic_load(&engine->gc_total_us);
    s->gc_interval_ms = atomic_load(&engine->gc_interval_ms);
    s->gc_threshold = atomic_load(&engine->gc_threshold);
    s->gc_adaptive = config_of(engine)->gc_adaptive;
}

static void storage(struct svm_engine *engine, struct svm_stats *s)
{
    struct store_counts counts;
    store_counts(engine->store, &counts);
    s->log_groups = counts.groups;
    s->log_bytes = counts.log_bytes;
    s->log_syncs = counts.syncs;
    s->log_sync_us = counts.sync_us;
    s->log_paced_us = atomic_load(&engine->paced_us);
    s->dirty_bytes = store_dirty_bytes(engine->store);
    s->disk_free_bytes = engine->memory ? 0 : store_disk_free(engine->store);
    s->state_rows_written = counts.rows;
    s->history_pruned = counts.history_pruned;
    s->receipts_pruned = counts.receipts_pruned;
    s->receipts_bytes = receipts_bytes(engine->receipts) + receipts_table_bytes(engine->receipts);
    s->read_only = room_now(engine) != ROOM_ENOUGH;
    struct svm_kv_memory memory;
    store_memory(engine->store, &memory);
    s->block_cache_bytes = memory.block_cache;
    s->write_buffers_bytes = memory.write_buffers;
    s->table_readers_bytes = memory.table_readers;
}

void svm_stats(struct svm_engine *engine, struct svm_stats *stats_out)
{
    memset(stats_out, 0, sizeof *stats_out);
    stats_out->since_ms = engine->opened_ms;
    stats_out->now_ms = engine_node_ms(engine);
    routing(engine, stats_out);
    versions(engine, stats_out);
    storage(engine, stats_out);
    pthread_mutex_lock(&engine->order_lock);
    stats_out->ordered_waiting = exec_scheduler_count(engine->scheduler);
    pthread_mutex_unlock(&engine->order_lock);
    stats_out->inflight = engine_inflight(engine);
    stats_out->inflight_max = config_of(engine)->inflight_max;
    stats_out->waiters = receipts_waiters(engine->receipts);
    stats_out->workers = engine->worker_count;
}

size_t svm_progress(struct svm_engine *engine, const char **names_out, uint64_t *ticks_out,
                    size_t cap)
{
    size_t n = 0;
    for (uint32_t i = 0; i < engine->worker_count && n < cap; i++, n++) {
        names_out[n] = "worker";
        ticks_out[n] = atomic_load(&engine->workers[i].ticks);
    }
    const char *const names[] = {"committer", "gc", "materialiser"};
    const _Atomic uint64_t *const ticks[] = {&engine->committer_ticks, &engine->gc_ticks,
                                             &engine->materialiser_ticks};
    for (size_t i = 0; i < 3 && n < cap; i++, n++) {
        names_out[n] = names[i];
        ticks_out[n] = atomic_load(ticks[i]);
    }
    return n;
}
