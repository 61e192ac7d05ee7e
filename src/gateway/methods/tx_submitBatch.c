#include "gateway/exchange.h"
#include "gateway/gen/rpc_methods.h"
#include "gateway/state.h"
#include "gateway/submit.h"

static const struct rpc_answer *finish(struct rpc_call *call, const struct wait_group *group,
                                       void *arg)
{
    const struct rpc_tx_submit_batch_params *params = arg;
    const size_t count = params->txs_count;
    struct rpc_batch_item *items = arena_get_zeroed(rpc_arena(call), count, sizeof *items);
    if (items == NULL) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    for (size_t i = 0; i < count; i++) {
        const struct wait_item *item = &group->items[i];
        const enum svm_err err = submit_item(&items[i].result, call, item, params->txs[i]);
        items[i].has_result = err == SVM_OK;
        if (err != SVM_OK) {
            struct rpc_error *error = arena_get(rpc_arena(call), sizeof *error);
            if (error == NULL) {
                return rpc_fail(call, SVM_E_NO_MEMORY);
            }
            *error =
                (struct rpc_error){.err = err, .refusal = item->finished ? item->refusal : NULL};
            items[i].error = error;
        }
    }
    const struct rpc_tx_submit_batch_result result = {.items = items, .items_count = count};
    return rpc_ok_tx_submit_batch(call, &result);
}

const struct rpc_answer *tx_submit_batch_handle(struct rpc_call *call,
                                                const struct rpc_tx_submit_batch_params *params)
{
    struct gateway *gateway = rpc_gateway(call);
    const uint64_t limit = gateway->config.batch_items_max;
    if (params->txs_count > limit) {
        return rpc_fail_error(
            call, &(struct rpc_error){.err = SVM_E_LIMIT_EXCEEDED,
                                      .notes = {{.key = "scope", .text = "txs"},
                                                {.key = "limit", .number = limit},
                                                {.key = "got", .number = params->txs_count}}});
    }
    struct wait_group *group = waits_create(gateway, params->txs_count, WAIT_WHOLE);
    if (group == NULL) {
        return submit_overloaded(call);
    }
    gateway->counters.submitted[call->exchange->over_unix ? GATEWAY_UNIX : GATEWAY_HTTP] +=
        params->txs_count;
    waits_submit_all(group, params->txs, (enum svm_wait)params->wait);
    return rpc_later_group(call, group,
                           submit_timeout(call, params->has_timeout_ms ? params->timeout_ms : 0),
                           finish, call->params);
}
