#include "gateway/gen/rpc_methods.h"
#include "gateway/routing.h"

const struct rpc_answer *stats_routing_handle(struct rpc_call *call,
                                              const struct rpc_stats_routing_params *params)
{
    struct svm_stats stats;
    struct routing_counts counts;
    struct rpc_stats_routing_result result;
    (void)params;
    svm_stats(rpc_engine(call), &stats);
    routing_result(&result, &counts, &stats);
    return rpc_ok_stats_routing(call, &result);
}
