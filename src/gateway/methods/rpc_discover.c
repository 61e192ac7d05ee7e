#include "gateway/gen/rpc_methods.h"
#include "gateway/state.h"

const struct rpc_answer *rpc_discover_handle(struct rpc_call *call,
                                             const struct rpc_rpc_discover_params *params)
{
    const struct gateway *gateway = rpc_gateway(call);
    (void)params;
    return rpc_ok_rpc_discover(call, (struct svm_bytes){.ptr = (const uint8_t *)gateway->openrpc,
                                                        .len = gateway->openrpc_len});
}
