#include "gateway/gen/rpc_methods.h"
#include "gateway/routing.h"

const struct rpc_answer *stats_latency_handle(struct rpc_call *call,
                                              const struct rpc_stats_latency_params *params)
{
    struct svm_stats stats;
    struct rpc_stats_latency_result result;
    (void)params;
    svm_stats(rpc_engine(call), &stats);
    routing_stages(&result.fast, stats.latency[SVM_PATH_FAST]);
    routing_stages(&result.consensus, stats.latency[SVM_PATH_CONSENSUS]);
    return rpc_ok_stats_latency(call, &result);
}
