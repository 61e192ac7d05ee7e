#include "gateway/gen/rpc_methods.h"

const struct rpc_answer *stats_storage_handle(struct rpc_call *call,
                                              const struct rpc_stats_storage_params *params)
{
    struct svm_stats stats;
    (void)params;
    svm_stats(rpc_engine(call), &stats);
    const struct rpc_stats_storage_result result = {
        .log_groups = stats.log_groups,
        .log_bytes = stats.log_bytes,
        .log_syncs = stats.log_syncs,
        .log_sync_us = stats.log_sync_us,
        .dirty_bytes = stats.dirty_bytes,
        .disk_free_bytes = stats.disk_free_bytes,
        .state_rows_written = stats.state_rows_written,
        .block_cache_bytes = stats.block_cache_bytes,
        .write_buffers_bytes = stats.write_buffers_bytes,
        .table_readers_bytes = stats.table_readers_bytes,
        .history_pruned = stats.history_pruned,
        .receipts_pruned = stats.receipts_pruned,
        .read_only = stats.read_only,
        .logged_seq = stats.logged_seq,
        .durable_seq = stats.durable_seq,
        .materialised_seq = stats.materialised_seq};
    return rpc_ok_stats_storage(call, &result);
}
