#include "gateway/admin.h"
#include "gateway/gen/rpc_methods.h"
#include "gateway/state.h"

const struct rpc_answer *
admin_set_log_level_handle(struct rpc_call *call,
                           const struct rpc_admin_set_log_level_params *params)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    const struct gateway_admin *admin = &rpc_gateway(call)->config.admin;
    char reason[256] = "";
    if (admin->set_log_level == NULL) {
        return admin_disabled(call);
    }
    if (admin->set_log_level(admin->arg, names[params->level], reason, sizeof reason) != SVM_OK) {
        return rpc_fail_param(call, "level", reason, names[params->level]);
    }
    const struct rpc_admin_set_log_level_result result = {.level = params->level};
    return rpc_ok_admin_set_log_level(call, &result);
}
