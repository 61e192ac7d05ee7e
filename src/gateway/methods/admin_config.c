#include "gateway/gen/rpc_methods.h"
#include <stdlib.h>
#include <string.h>

#include "gateway/admin.h"
#include "gateway/state.h"

const struct rpc_answer *admin_config_handle(struct rpc_call *call,
                                             const struct rpc_admin_config_params *params)
{
    const struct gateway_admin *admin = &rpc_gateway(call)->config.admin;
    (void)params;
    if (admin->config_json == NULL) {
        return admin_disabled(call);
    }
    char *json = admin->config_json(admin->arg);
    if (json == NULL) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    const struct rpc_admin_config_result result = {
        .config = {.ptr = (const uint8_t *)json, .len = strlen(json)}};
    const struct rpc_answer *answer = rpc_ok_admin_config(call, &result);
    free(json);
    return answer;
}
