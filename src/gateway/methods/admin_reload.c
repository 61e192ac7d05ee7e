#include "gateway/gen/rpc_methods.h"
#include <stdlib.h>
#include <string.h>

#include "gateway/admin.h"
#include "gateway/state.h"

const struct rpc_answer *admin_reload_handle(struct rpc_call *call,
                                             const struct rpc_admin_reload_params *params)
{
    const struct gateway_admin *admin = &rpc_gateway(call)->config.admin;
    char reason[512] = "";
    char *changes = NULL;
    (void)params;
    if (admin->reload == NULL) {
        return admin_disabled(call);
    }
    if (admin->reload(admin->arg, &changes, reason, sizeof reason) != SVM_OK) {
        /* the file is wrong, not the node: the operator who asked is told what */
        return rpc_fail_error(call,
                              &(struct rpc_error){.err = SVM_E_INVALID_PARAMS,
                                                  .message = "the configuration was not taken over",
                                                  .notes = {{.key = "reason", .text = reason}}});
    }
    if (changes == NULL) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    const struct rpc_admin_reload_result result = {
        .changes = {.ptr = (const uint8_t *)changes, .len = strlen(changes)}};
    const struct rpc_answer *answer = rpc_ok_admin_reload(call, &result);
    free(changes);
    return answer;
}
