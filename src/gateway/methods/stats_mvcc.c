#include "gateway/gen/rpc_methods.h"

const struct rpc_answer *stats_mvcc_handle(struct rpc_call *call,
                                           const struct rpc_stats_mvcc_params *params)
{
    struct svm_stats stats;
    (void)params;
    svm_stats(rpc_engine(call), &stats);
    const struct rpc_stats_mvcc_result result = {.resident_objects = stats.resident_objects,
                                                 .resident_cells = stats.resident_cells,
                                                 .versions = stats.versions,
                                                 .resident_bytes = stats.resident_bytes,
                                                 .loads = stats.loads,
                                                 .evictions = stats.evictions,
                                                 .cells_started = stats.cell_started,
                                                 .cells_committed = stats.cell_committed,
                                                 .cells_aborted = stats.cell_aborted,
                                                 .cells_conflicts = stats.cell_conflicts,
                                                 .cells_retries = stats.cell_retries,
                                                 .snapshots_open = stats.snapshots_open,
                                                 .snapshots_cancelled = stats.snapshots_cancelled,
                                                 .applied_seq = stats.applied_seq,
                                                 .durable_seq = stats.durable_seq,
                                                 .logged_seq = stats.logged_seq,
                                                 .materialised_seq = stats.materialised_seq,
                                                 .gc_floor_seq = stats.gc_floor_seq};
    return rpc_ok_stats_mvcc(call, &result);
}
