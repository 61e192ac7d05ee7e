/* gateway/routing.h - the engine's statistics as results of the stats_ methods. Pure. */
#ifndef GATEWAY_ROUTING_H
#define GATEWAY_ROUTING_H

#include "gateway/gen/rpc_types.h"
#include <svm/engine.h>

/* Where the result's lists live. */
struct routing_counts {
    struct schema_count fallbacks[SVM_FALLBACK_COUNT];
    struct schema_count refused[SVM_ERR_COUNT];
};

void routing_result(struct rpc_stats_routing_result *out, struct routing_counts *counts,
                    const struct svm_stats *stats);

void routing_path_counts(struct rpc_path_counts *out, const uint64_t by_path[3]);
void routing_kind_counts(struct rpc_kind_counts *out, const uint64_t by_kind[3]);
void routing_latency(struct rpc_latency *out, const struct svm_latency *latency);
void routing_stages(struct rpc_stages *out, const struct svm_latency by_stage[SVM_STAGE_COUNT]);
void routing_rates(struct rpc_rates *out, const struct svm_stats *stats);

#endif
