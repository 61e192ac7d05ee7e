/* GET /metrics: the Prometheus text format 0.0.4. Labels come from tables, so their number is bounded. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gateway/http.h"
#include "gateway/replies.h"
#include "gateway/state.h"

#define TYPE_PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"

static void head(struct text *text, const char *name, const char *type, const char *help)
{
    text_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sample(struct text *text, const char *name, const char *labels, uint64_t value)
{
    text_puts(text, name);
    if (labels[0] != '\0') {
        text_printf(text, "{%s}", labels);
    }
    text_put_char(text, ' ');
    text_put_u64(text, value);
    text_put_char(text, '\n');
}

static void one(struct text *text, const char *name, const char *type, const char *help,
                uint64_t value)
{
    head(text, name, type, help);
    sample(text, name, "", value);
}

/* Microseconds as seconds. */
static void put_seconds(struct text *text, uint64_t us)
{
    text_printf(text, "%llu.%06llu", (unsigned long long)(us / 1000000),
                (unsigned long long)(us % 1000000));
}

static void seconds(struct text *text, const char *name, const char *type, const char *help,
                    uint64_t us)
{
    head(text, name, type, help);
    text_puts(text, name);
    text_put_char(text, ' ');
    put_seconds(text, us);
    text_put_char(text, '\n');
}

static void by_path(struct text *text, const char *name, const char *help, const uint64_t values[3])
{
    head(text, name, "counter", help);
    for (int i = 0; i < 3; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "path=\"%s\"", svm_path_name((enum svm_path)i));
        sample(text, name, labels, values[i]);
    }
}

static void histogram(struct text *text, const char *name, const char *labels,
                      const uint64_t *at_or_below, uint64_t count, uint64_t sum_us)
{
    for (size_t i = 0; i < SVM_HISTOGRAM_BOUNDS; i++) {
        text_printf(text, "%s_bucket{%s,le=\"", name, labels);
        put_seconds(text, svm_histogram_le_us[i]);
        text_printf(text, "\"} %llu\n", (unsigned long long)at_or_below[i]);
    }
    text_printf(text, "%s_bucket{%s,le=\"+Inf\"} %llu\n%s_sum{%s} ", name, labels,
                (unsigned long long)count, name, labels);
    put_seconds(text, sum_us);
    text_printf(text, "\n%s_count{%s} %llu\n", name, labels, (unsigned long long)count);
}

static void transactions(struct text *text, const struct svm_stats *stats,
                         const struct gateway_counters *counters)
{
    static const char *const transports[GATEWAY_TRANSPORTS] = {"http", "unix", "stream"};
    char labels[96];
    head(text, "supervm_tx_submitted_total", "counter", "Transactions handed in, by transport.");
    for (int i = 0; i < GATEWAY_TRANSPORTS; i++) {
        snprintf(labels, sizeof labels, "transport=\"%s\"", transports[i]);
        sample(text, "supervm_tx_submitted_total", labels, counters->submitted[i]);
    }
    by_path(text, "supervm_tx_routed_total", "Transactions by the router's first choice.",
            stats->routed);
    head(text, "supervm_tx_completed_total", "counter",
         "Executed transactions by path and status.");
    for (int i = 0; i < 3; i++) {
        snprintf(labels, sizeof labels, "path=\"%s\",status=\"ok\"",
                 svm_path_name((enum svm_path)i));
        sample(text, "supervm_tx_completed_total", labels, stats->completed[i]);
        snprintf(labels, sizeof labels, "path=\"%s\",status=\"failed\"",
                 svm_path_name((enum svm_path)i));
        sample(text, "supervm_tx_completed_total", labels, stats->failed[i]);
    }
    head(text, "supervm_tx_rejected_total", "counter", "Refused transactions by error.");
    for (int i = SVM_OK + 1; i < SVM_ERR_COUNT; i++) {
        if (stats->refused[i] > 0) {
            snprintf(labels, sizeof labels, "name=\"%s\"", svm_err_name((enum svm_err)i));
            sample(text, "supervm_tx_rejected_total", labels, stats->refused[i]);
        }
    }
    head(text, "supervm_fast_fallback_total", "counter",
         "Transactions that the fast path handed over.");
    for (int i = SVM_FALLBACK_NONE + 1; i < SVM_FALLBACK_COUNT; i++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"", svm_fallback_name((enum svm_fallback)i));
        sample(text, "supervm_fast_fallback_total", labels, stats->fallbacks[i]);
    }
    one(text, "supervm_tx_duplicates_total", "counter", "Submissions of something already known.",
        stats->duplicates);
    one(text, "supervm_transfers_total", "counter",
        "Operations that moved an object or balance to another owner.", stats->transfers);
    head(text, "supervm_tx_latency_seconds", "histogram",
         "Latency of executed transactions by path and stage.");
    for (int path = 0; path < 2; path++) {
        for (int stage = 0; stage < SVM_STAGE_COUNT; stage++) {
            const struct svm_latency *latency = &stats->latency[path][stage];
            snprintf(labels, sizeof labels, "path=\"%s\",stage=\"%s\"",
                     svm_path_name((enum svm_path)path), svm_stage_name((enum svm_stage)stage));
            histogram(text, "supervm_tx_latency_seconds", labels, latency->at_or_below,
                      latency->count, latency->sum_us);
        }
    }
}

static void versions(struct text *text, const struct svm_stats *stats)
{
    one(text, "supervm_mvcc_txn_started_total", "counter", "Interactive transactions begun.",
        stats->cell_started);
    one(text, "supervm_mvcc_txn_committed_total", "counter", "Interactive transactions committed.",
        stats->cell_committed);
    one(text, "supervm_mvcc_txn_aborted_total", "counter", "Interactive transactions aborted.",
        stats->cell_aborted);
    head(text, "supervm_mvcc_conflicts_total", "counter", "Lost races by kind.");
    sample(text, "supervm_mvcc_conflicts_total", "kind=\"object\"", stats->conflicts);
    sample(text, "supervm_mvcc_conflicts_total", "kind=\"cell\"", stats->cell_conflicts);
    one(text, "supervm_mvcc_retries_total", "counter", "Attempts after the first.",
        stats->retries + stats->cell_retries);
    one(text, "supervm_mvcc_versions", "gauge", "Versions in memory.", stats->versions);
    one(text, "supervm_mvcc_resident_bytes", "gauge", "Bytes of versions in memory.",
        stats->resident_bytes);
    one(text, "supervm_mvcc_snapshots", "gauge", "Open snapshots.", stats->snapshots_open);
    one(text, "supervm_mvcc_snapshots_cancelled_total", "counter", "Snapshots that grew too old.",
        stats->snapshots_cancelled);
    one(text, "supervm_mvcc_loads_total", "counter", "Objects and cells read from disk.",
        stats->loads);
    one(text, "supervm_mvcc_evictions_total", "counter", "Objects and cells dropped from memory.",
        stats->evictions);
    one(text, "supervm_gc_runs_total", "counter", "Garbage collections.", stats->gc_runs);
    one(text, "supervm_gc_versions_removed_total", "counter", "Versions removed.",
        stats->gc_versions_removed);
    seconds(text, "supervm_gc_duration_seconds_total", "counter", "Time spent collecting.",
            stats->gc_total_us);
    head(text, "supervm_objects", "gauge", "Live objects by ownership.");
    for (int i = 0; i < 3; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "ownership=\"%s\"", svm_kind_name((enum svm_kind)i));
        sample(text, "supervm_objects", labels, stats->objects[i]);
    }
}

static void storage(struct text *text, const struct svm_stats *stats)
{
    one(text, "supervm_seq_applied", "gauge", "Every transaction up to here can be read.",
        stats->applied_seq);
    one(text, "supervm_seq_durable", "gauge", "Every transaction up to here is durable.",
        stats->durable_seq);
    one(text, "supervm_seq_materialised", "gauge",
        "Every transaction up to here is in the state store.", stats->materialised_seq);
    one(text, "supervm_wal_groups_total", "counter", "Commit groups written.", stats->log_groups);
    one(text, "supervm_wal_bytes_total", "counter", "Bytes written to the log.", stats->log_bytes);
    one(text, "supervm_wal_syncs_total", "counter", "Calls of fsync.", stats->log_syncs);
    seconds(text, "supervm_wal_sync_seconds_total", "counter", "Time spent in fsync.",
            stats->log_sync_us);
    seconds(text, "supervm_wal_paced_seconds_total", "counter",
            "Time that commit groups have waited because the state store was behind.",
            stats->log_paced_us);
    one(text, "supervm_wal_dirty_bytes", "gauge", "Log not yet in the state store.",
        stats->dirty_bytes);
    one(text, "supervm_state_rows_written_total", "counter", "Rows written to the state store.",
        stats->state_rows_written);
    one(text, "supervm_state_block_cache_bytes", "gauge",
        "Blocks of the state store's files in memory.", stats->block_cache_bytes);
    one(text, "supervm_state_write_buffers_bytes", "gauge",
        "Rows written to the state store and not yet in its files.", stats->write_buffers_bytes);
    one(text, "supervm_state_table_readers_bytes", "gauge",
        "What open files of the state store take beyond their blocks.", stats->table_readers_bytes);
    one(text, "supervm_receipts_bytes", "gauge",
        "Receipts in memory, with the table of their digests.", stats->receipts_bytes);
    one(text, "supervm_disk_free_bytes", "gauge", "Free on the disk.", stats->disk_free_bytes);
    one(text, "supervm_read_only", "gauge", "Writes are refused until there is room.",
        stats->read_only ? 1 : 0);
}

static void queues(struct text *text, const struct gateway *gateway, const struct svm_stats *stats)
{
    head(text, "supervm_queue_depth", "gauge", "Work in flight by queue.");
    sample(text, "supervm_queue_depth", "queue=\"inflight\"", stats->inflight);
    sample(text, "supervm_queue_depth", "queue=\"ordered\"", stats->ordered_waiting);
    sample(text, "supervm_queue_depth", "queue=\"waiters\"", stats->waiters);
    sample(text, "supervm_queue_depth", "queue=\"calls\"", gateway->calls);
    sample(text, "supervm_queue_depth", "queue=\"blocking\"", gateway->blocking);
    head(text, "supervm_queue_capacity", "gauge", "Limit of the queue.");
    sample(text, "supervm_queue_capacity", "queue=\"inflight\"", stats->inflight_max);
    sample(text, "supervm_queue_capacity", "queue=\"calls\"", gateway->config.calls_max);
    sample(text, "supervm_queue_capacity", "queue=\"blocking\"", gateway->config.blocking_max);
    head(text, "supervm_http_connections", "gauge", "Open connections by transport.");
    if (gateway->tcp != NULL) {
        sample(text, "supervm_http_connections", "transport=\"http\"",
               listener_connections(gateway->tcp));
    }
    if (gateway->local != NULL) {
        sample(text, "supervm_http_connections", "transport=\"unix\"",
               listener_connections(gateway->local));
    }
    one(text, "supervm_http_refused_total", "counter",
        "Requests refused before they reached a method.", gateway->counters.http_refused);
    one(text, "supervm_http_reply_bytes", "gauge", "Replies that clients have not taken yet.",
        gateway->replies.bytes);
    one(text, "supervm_http_reply_bytes_max", "gauge", "Limit of them, beside small ones.",
        replies_limit(gateway));
    one(text, "supervm_http_cut_total", "counter",
        "Connections cut because their reply was not taken and room was needed.",
        gateway->counters.http_cut);
}

static const char *method_label(size_t index)
{
    return index < rpc_methods_count ? rpc_methods[index].name : "other";
}

static void method_requests(struct text *text, const struct gateway_counters *counters,
                            size_t index)
{
    for (int err = SVM_OK; err < SVM_ERR_COUNT; err++) {
        const uint64_t value = counters->requests[index][err];
        char labels[128];
        if (value > 0) {
            snprintf(labels, sizeof labels, "method=\"%s\",code=\"%d\"", method_label(index),
                     err == SVM_OK ? 0 : svm_err_rpc_code((enum svm_err)err));
            sample(text, "supervm_rpc_requests_total", labels, value);
        }
    }
}

static void method_durations(struct text *text, const struct gateway_counters *counters,
                             size_t index)
{
    uint64_t at_or_below[SVM_HISTOGRAM_BOUNDS], count = 0;
    char labels[96];
    for (size_t i = 0; i < SVM_HISTOGRAM_BOUNDS; i++) {
        count += counters->durations[index][i];
        at_or_below[i] = count;
    }
    count += counters->durations[index][SVM_HISTOGRAM_BOUNDS];
    if (count > 0) {
        snprintf(labels, sizeof labels, "method=\"%s\"", method_label(index));
        histogram(text, "supervm_rpc_duration_seconds", labels, at_or_below, count,
                  counters->duration_us[index]);
    }
}

static void calls(struct text *text, const struct gateway_counters *counters)
{
    head(text, "supervm_rpc_requests_total", "counter",
         "JSON-RPC calls by method and error code; 0 = answered.");
    for (size_t i = 0; i <= RPC_METHODS_MAX; i++) {
        method_requests(text, counters, i);
    }
    head(text, "supervm_rpc_duration_seconds", "histogram", "Duration of JSON-RPC calls.");
    for (size_t i = 0; i <= RPC_METHODS_MAX; i++) {
        method_durations(text, counters, i);
    }
}

static uint64_t count_fds(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir != NULL && readdir(dir) != NULL) {
        count++;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count > 3 ? count - 3 : 0; /* ".", ".." and the directory itself */
}

static uint64_t resident_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%llu %llu", &size, &resident) != 2) {
            resident = 0;
        }
        fclose(file);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void process(struct text *text, const struct gateway *gateway)
{
    struct rusage usage = {0};
    const struct gateway_build *build = &gateway->config.build;
    (void)getrusage(RUSAGE_SELF, &usage);
    const uint64_t us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                        (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    seconds(text, "process_cpu_seconds_total", "counter", "User and system time.", us);
    one(text, "process_resident_memory_bytes", "gauge", "Memory in RAM.", resident_bytes());
    one(text, "process_open_fds", "gauge", "Open file descriptors.", count_fds());
    one(text, "process_start_time_seconds", "gauge", "When the node began to serve, Unix time.",
        gateway->started_ms / 1000);
    head(text, "supervm_build_info", "gauge", "What is running; always 1.");
    text_printf(text, "supervm_build_info{version=\"%s\",commit=\"%s\",build=\"%s\"} 1\n",
                build->version, build->commit, build->kind);
}

void metrics_reply(struct http_request *request)
{
    const struct gateway *gateway = request->listener->gateway;
    struct svm_stats stats;
    struct text text;
    svm_stats(gateway->engine, &stats);
    text_init(&text, 4 * 1024 * 1024);
    transactions(&text, &stats, &gateway->counters);
    versions(&text, &stats);
    storage(&text, &stats);
    queues(&text, gateway, &stats);
    calls(&text, &gateway->counters);
    process(&text, gateway);
    http_reply(request, MHD_HTTP_OK, TYPE_PROMETHEUS, &text);
}
