#include "gateway/gen/rpc_methods.h"
#include "gateway/probes.h"
#include "gateway/state.h"

const struct rpc_answer *node_health_handle(struct rpc_call *call,
                                            const struct rpc_node_health_params *params)
{
    struct gateway *gateway = rpc_gateway(call);
    struct probe_check checks[PROBE_CHECKS_MAX];
    struct rpc_health_check items[PROBE_CHECKS_MAX];
    struct rpc_node_health_result result = {.status = RPC_HEALTH_STATUS_OK, .checks = items};
    (void)params;
    result.checks_count = probes_run(gateway, checks);
    for (size_t i = 0; i < result.checks_count; i++) {
        items[i] = (struct rpc_health_check){
            .name = checks[i].name, .ok = checks[i].ok, .text = checks[i].text};
        if (!checks[i].ok) {
            result.status = RPC_HEALTH_STATUS_DEGRADED;
        }
    }
    if (gateway->draining) {
        result.status = RPC_HEALTH_STATUS_DRAINING;
    }
    return rpc_ok_node_health(call, &result);
}
