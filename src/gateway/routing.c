#include "gateway/routing.h"

static uint64_t ppm(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (uint64_t)((double)part * 1e6 / (double)whole + 0.5) : 0;
}

void routing_path_counts(struct rpc_path_counts *out, const uint64_t by_path[3])
{
    *out = (struct rpc_path_counts){.fast = by_path[SVM_PATH_FAST],
                                    .consensus = by_path[SVM_PATH_CONSENSUS],
                                    .private = by_path[SVM_PATH_PRIVATE]};
}

void routing_kind_counts(struct rpc_kind_counts *out, const uint64_t by_kind[3])
{
    *out = (struct rpc_kind_counts){.owned = by_kind[SVM_KIND_OWNED],
                                    .shared = by_kind[SVM_KIND_SHARED],
                                    .immutable = by_kind[SVM_KIND_IMMUTABLE]};
}

void routing_latency(struct rpc_latency *out, const struct svm_latency *latency)
{
    *out = (struct rpc_latency){.count = latency->count,
                                .sum_us = latency->sum_us,
                                .p50_us = latency->p50_us,
                                .p95_us = latency->p95_us,
                                .p99_us = latency->p99_us,
                                .p999_us = latency->p999_us,
                                .max_us = latency->max_us};
}

void routing_stages(struct rpc_stages *out, const struct svm_latency by_stage[SVM_STAGE_COUNT])
{
    routing_latency(&out->total, &by_stage[SVM_STAGE_TOTAL]);
    routing_latency(&out->queue, &by_stage[SVM_STAGE_QUEUE]);
    routing_latency(&out->execute, &by_stage[SVM_STAGE_EXECUTE]);
    routing_latency(&out->durable, &by_stage[SVM_STAGE_DURABLE]);
}

void routing_rates(struct rpc_rates *out, const struct svm_stats *stats)
{
    *out = (struct rpc_rates){
        .last1s = stats->rate_1s, .last10s = stats->rate_10s, .last60s = stats->rate_60s};
}

static void fallback_counts(struct rpc_stats_routing_result *out, struct schema_count *counts,
                            const struct svm_stats *stats)
{
    uint64_t sum = 0;
    size_t count = 0;
    for (int i = SVM_FALLBACK_NONE + 1; i < SVM_FALLBACK_COUNT; i++) {
        counts[count++] = (struct schema_count){.name = svm_fallback_name((enum svm_fallback)i),
                                                .value = stats->fallbacks[i]};
        sum += stats->fallbacks[i];
    }
    out->fallbacks = counts;
    out->fallbacks_count = count;
    out->fallback_ppm = ppm(sum, stats->routed[SVM_PATH_FAST]);
}

static void refused_counts(struct rpc_stats_routing_result *out, struct schema_count *counts,
                           const struct svm_stats *stats)
{
    size_t count = 0;
    for (int i = SVM_OK + 1; i < SVM_ERR_COUNT; i++) {
        if (stats->refused[i] > 0) {
            counts[count++] = (struct schema_count){.name = svm_err_name((enum svm_err)i),
                                                    .value = stats->refused[i]};
        }
    }
    out->refused = counts;
    out->refused_count = count;
}

void routing_result(struct rpc_stats_routing_result *out, struct routing_counts *counts,
                    const struct svm_stats *stats)
{
    uint64_t executed[3], all = 0;
    for (int i = 0; i < 3; i++) {
        executed[i] = stats->completed[i] + stats->failed[i];
        all += executed[i];
    }
    *out = (struct rpc_stats_routing_result){.since_ms = stats->since_ms,
                                             .now_ms = stats->now_ms,
                                             .submitted = stats->submitted,
                                             .conflicts = stats->conflicts,
                                             .retries = stats->retries,
                                             .duplicates = stats->duplicates,
                                             .transfers = stats->transfers};
    routing_path_counts(&out->routed, stats->routed);
    routing_path_counts(&out->completed, stats->completed);
    routing_path_counts(&out->failed, stats->failed);
    out->fast_ppm = ppm(executed[SVM_PATH_FAST], all);
    out->consensus_ppm = ppm(executed[SVM_PATH_CONSENSUS], all);
    out->private_ppm = ppm(executed[SVM_PATH_PRIVATE], all);
    fallback_counts(out, counts->fallbacks, stats);
    refused_counts(out, counts->refused, stats);
    routing_rates(&out->rates_milli, stats);
    routing_stages(&out->latency.fast, stats->latency[SVM_PATH_FAST]);
    routing_stages(&out->latency.consensus, stats->latency[SVM_PATH_CONSENSUS]);
    routing_kind_counts(&out->objects, stats->objects);
}
