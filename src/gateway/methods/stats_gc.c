#include "gateway/gen/rpc_methods.h"

const struct rpc_answer *stats_gc_handle(struct rpc_call *call,
                                         const struct rpc_stats_gc_params *params)
{
    struct svm_stats stats;
    (void)params;
    svm_stats(rpc_engine(call), &stats);
    const struct rpc_stats_gc_result result = {.runs = stats.gc_runs,
                                               .versions_removed = stats.gc_versions_removed,
                                               .last_us = stats.gc_last_us,
                                               .total_us = stats.gc_total_us,
                                               .interval_ms = stats.gc_interval_ms,
                                               .threshold = stats.gc_threshold,
                                               .adaptive = stats.gc_adaptive != 0,
                                               .versions = stats.versions,
                                               .floor_seq = stats.gc_floor_seq,
                                               .snapshots_open = stats.snapshots_open};
    return rpc_ok_stats_gc(call, &result);
}
