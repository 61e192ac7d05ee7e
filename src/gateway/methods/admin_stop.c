#include "gateway/admin.h"
#include "gateway/gen/rpc_methods.h"
#include "gateway/state.h"

const struct rpc_answer *admin_stop_handle(struct rpc_call *call,
                                           const struct rpc_admin_stop_params *params)
{
    const struct gateway_admin *admin = &rpc_gateway(call)->config.admin;
    (void)params;
    if (admin->stop == NULL) {
        return admin_disabled(call);
    }
    const struct rpc_admin_stop_result result = {.accepted = true};
    const struct rpc_answer *answer = rpc_ok_admin_stop(call, &result);
    admin->stop(admin->arg);
    return answer;
}
