#include "gateway/gen/rpc_methods.h"
#include "gateway/state.h"

_Static_assert((int)RPC_DURABILITY_MEMORY == SVM_MEMORY && (int)RPC_DURABILITY_WRITE == SVM_WRITE &&
                   (int)RPC_DURABILITY_SYNC == SVM_SYNC &&
                   (int)RPC_DURABILITY_INTERVAL == SVM_INTERVAL,
               "the contract's Durability follows enum svm_durability");

static void fill_engine_limits(struct rpc_limits *out, const struct svm_config *config)
{
    out->tx_bytes = config->tx_bytes_max;
    out->tx_inputs = config->tx_inputs_max;
    out->tx_ops = config->tx_ops_max;
    out->tx_data_bytes = config->tx_data_bytes_max;
    out->tx_effects_bytes = config->tx_effects_bytes_max;
    out->tx_expiry_ms = config->tx_expiry_max_ms;
    out->receipts_seconds = config->receipts_seconds;
    out->history_versions = config->history_versions;
    out->snapshot_age_ms = config->gc_snapshot_age_max_ms;
    out->inflight = config->inflight_max;
    out->object_queue = config->object_queue_max;
    out->waiters = config->waiters_max;
}

static void fill_gateway_limits(struct rpc_limits *out, const struct gateway_config *config)
{
    out->body_bytes = config->body_bytes_max;
    out->response_bytes = config->response_bytes_max;
    out->batch_items = config->batch_items_max;
    out->stream_items = config->stream_items_max;
    out->connections = config->connections_max;
    out->calls = config->calls_max;
    out->blocking_calls = config->blocking_max;
    out->request_timeout_ms = config->request_timeout_ms;
    out->json_depth = RPC_JSON_DEPTH_MAX;
    out->list_items = RPC_LIST_ITEMS_MAX;
}

static struct rpc_listeners listeners(const struct gateway *gateway)
{
    return (struct rpc_listeners){.http = gateway_bound_address(gateway),
                                  .has_http = gateway->tcp != NULL,
                                  .unix = gateway_unix_path(gateway),
                                  .has_unix = gateway->local != NULL};
}

const struct rpc_answer *node_info_handle(struct rpc_call *call,
                                          const struct rpc_node_info_params *params)
{
    static const uint64_t tx_variants[] = {1};
    const struct gateway *gateway = rpc_gateway(call);
    const struct gateway_build *build = &gateway->config.build;
    const struct svm_config *config = gateway->config.engine;
    struct svm_stats stats;
    (void)params;
    svm_stats(gateway->engine, &stats);
    struct rpc_node_info_result result = {
        .chain = {.id = gateway->chain.chain,
                  .genesis = gateway->chain.genesis,
                  .dev = gateway->chain.dev},
        .versions = {.node = build->version,
                     .commit = build->commit,
                     .compiler = build->compiler,
                     .build = build->kind,
                     .api = RPC_API_VERSION,
                     .tx = tx_variants,
                     .tx_count = sizeof tx_variants / sizeof tx_variants[0]},
        .dev = gateway->config.dev,
        .started_ms = gateway->started_ms,
        .now_ms = svm_now_ms(gateway->engine),
        .applied_seq = stats.applied_seq,
        .durable_seq = stats.durable_seq,
        .workers = stats.workers,
        .listeners = listeners(gateway),
        .durability = (enum rpc_durability)config->durability,
    };
    fill_engine_limits(&result.limits, config);
    fill_gateway_limits(&result.limits, &gateway->config);
    return rpc_ok_node_info(call, &result);
}
