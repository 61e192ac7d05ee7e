#include "gateway/admin.h"
#include "gateway/gen/rpc_methods.h"
#include "gateway/state.h"

const struct rpc_answer *admin_drain_handle(struct rpc_call *call,
                                            const struct rpc_admin_drain_params *params)
{
    const struct gateway_admin *admin = &rpc_gateway(call)->config.admin;
    (void)params;
    if (admin->drain == NULL) {
        return admin_disabled(call);
    }
    const struct rpc_admin_drain_result result = {.accepted = true};
    const struct rpc_answer *answer = rpc_ok_admin_drain(call, &result);
    gateway_begin_drain(rpc_gateway(call));
    admin->drain(admin->arg);
    return answer;
}
