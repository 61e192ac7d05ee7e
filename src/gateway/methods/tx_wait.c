#include "gateway/convert.h"
#include "gateway/gen/rpc_methods.h"
#include "gateway/state.h"
#include "gateway/submit.h"

static const struct rpc_answer *finish(struct rpc_call *call, const struct wait_group *group,
                                       void *arg)
{
    const struct rpc_tx_wait_params *params = arg;
    const struct wait_item *item = &group->items[0];
    struct rpc_receipt result;
    if (item->finished && item->err == SVM_E_NOT_FOUND) {
        return submit_not_found(call, "transaction", params->digest.b);
    }
    if (item->finished && item->err != SVM_OK) {
        return rpc_fail_refusal(call, item->err, item->refusal);
    }
    if (!item->finished || item->receipt == NULL) {
        convert_pending(&result, &params->digest, svm_durable_seq(rpc_engine(call)));
        return rpc_ok_tx_wait(call, &result);
    }
    if (!convert_receipt(&result, rpc_arena(call), item->receipt, item->durable_seq,
                         item->durable)) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    convert_with_sender(&result, item->receipt);
    return rpc_ok_tx_wait(call, &result);
}

const struct rpc_answer *tx_wait_handle(struct rpc_call *call,
                                        const struct rpc_tx_wait_params *params)
{
    struct rpc_tx_wait_params *kept = arena_get(rpc_arena(call), sizeof *kept);
    struct wait_group *group = kept != NULL ? waits_create(rpc_gateway(call), 1, WAIT_WHOLE) : NULL;
    if (group == NULL) {
        return submit_overloaded(call);
    }
    *kept = *params;
    waits_await(group, 0, &params->digest, (enum svm_wait)params->wait);
    return rpc_later_group(call, group,
                           submit_timeout(call, params->has_timeout_ms ? params->timeout_ms : 0),
                           finish, kept);
}
