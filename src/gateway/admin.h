/* gateway/admin.h - what the admin_ methods have in common. */
#ifndef GATEWAY_ADMIN_H
#define GATEWAY_ADMIN_H

#include "gateway/gateway.h"
#include "gateway/rpc.h"

/* admin_disabled: the daemon has given no function for this method. */
static inline const struct rpc_answer *admin_disabled(struct rpc_call *call)
{
    return rpc_fail_error(call,
                          &(struct rpc_error){.err = SVM_E_METHOD_DISABLED,
                                              .message = "this process does not offer the method",
                                              .notes = {{.key = "namespace", .text = "admin"}}});
}

#endif
