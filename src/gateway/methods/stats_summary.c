#include "gateway/gen/rpc_methods.h"
#include "gateway/routing.h"
#include "gateway/state.h"

static uint64_t sum(const uint64_t *values, size_t count)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++) {
        all += values[i];
    }
    return all;
}

static void fill(struct rpc_stats_summary_result *out, const struct svm_stats *stats)
{
    *out = (struct rpc_stats_summary_result){.since_ms = stats->since_ms,
                                             .now_ms = stats->now_ms,
                                             .submitted = stats->submitted,
                                             .refused = sum(stats->refused, SVM_ERR_COUNT),
                                             .fallbacks = sum(stats->fallbacks, SVM_FALLBACK_COUNT),
                                             .applied_seq = stats->applied_seq,
                                             .durable_seq = stats->durable_seq,
                                             .inflight = stats->inflight,
                                             .inflight_max = stats->inflight_max,
                                             .ordered_waiting = stats->ordered_waiting,
                                             .waiters = stats->waiters,
                                             .workers = stats->workers,
                                             .resident_bytes = stats->resident_bytes,
                                             .dirty_bytes = stats->dirty_bytes,
                                             .read_only = stats->read_only};
    routing_rates(&out->rates_milli, stats);
    routing_path_counts(&out->completed, stats->completed);
    routing_path_counts(&out->failed, stats->failed);
    routing_kind_counts(&out->objects, stats->objects);
    routing_latency(&out->latency.fast, &stats->latency[SVM_PATH_FAST][SVM_STAGE_TOTAL]);
    routing_latency(&out->latency.consensus, &stats->latency[SVM_PATH_CONSENSUS][SVM_STAGE_TOTAL]);
}

const struct rpc_answer *stats_summary_handle(struct rpc_call *call,
                                              const struct rpc_stats_summary_params *params)
{
    struct svm_stats stats;
    struct rpc_stats_summary_result result;
    const char *names[PROBES_THREADS_MAX];
    uint64_t ticks[PROBES_THREADS_MAX];
    struct rpc_thread threads[PROBES_THREADS_MAX];
    (void)params;
    svm_stats(rpc_engine(call), &stats);
    fill(&result, &stats);
    result.threads = threads;
    result.threads_count = svm_progress(rpc_engine(call), names, ticks, PROBES_THREADS_MAX);
    for (size_t i = 0; i < result.threads_count; i++) {
        threads[i] = (struct rpc_thread){.name = names[i], .ticks = ticks[i]};
    }
    return rpc_ok_stats_summary(call, &result);
}
