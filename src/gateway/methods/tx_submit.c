#include "gateway/gen/rpc_methods.h"
#include "gateway/submit.h"

const struct rpc_answer *tx_submit_handle(struct rpc_call *call,
                                          const struct rpc_tx_submit_params *params)
{
    return submit_transaction(call, params->tx, params->wait,
                              params->has_timeout_ms ? params->timeout_ms : 0);
}
