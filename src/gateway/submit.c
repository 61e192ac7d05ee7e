#include "gateway/submit.h"

#include "gateway/convert.h"
#include "gateway/exchange.h"
#include "gateway/state.h"

_Static_assert((int)RPC_WAIT_NONE == SVM_WAIT_NONE && (int)RPC_WAIT_EXECUTED == SVM_WAIT_EXECUTED &&
                   (int)RPC_WAIT_DURABLE == SVM_WAIT_DURABLE,
               "the contract's Wait follows enum svm_wait");

uint32_t submit_timeout(const struct rpc_call *call, uint64_t timeout_ms)
{
    const uint32_t longest = rpc_gateway(call)->config.request_timeout_ms;
    return timeout_ms == 0 || timeout_ms > longest ? longest : (uint32_t)timeout_ms;
}

const struct rpc_answer *submit_overloaded(struct rpc_call *call)
{
    return rpc_fail_error(
        call, &(struct rpc_error){.err = SVM_E_OVERLOADED,
                                  .notes = {{.key = "scope", .text = "waiters"},
                                            {.key = "limit", .number = GATEWAY_WAITERS_MAX}}});
}

const struct rpc_answer *submit_not_found(struct rpc_call *call, const char *kind,
                                          const uint8_t id[32])
{
    char hex[67];
    svm_hex32_format(hex, id);
    return rpc_fail_error(call, &(struct rpc_error){.err = SVM_E_NOT_FOUND,
                                                    .notes = {{.key = "kind", .text = kind},
                                                              {.key = "id", .text = hex}}});
}

enum svm_err submit_item(struct rpc_receipt *out, struct rpc_call *call,
                         const struct wait_item *item, struct svm_bytes tx)
{
    const uint64_t durable_seq = svm_durable_seq(rpc_engine(call));
    if (item->finished && item->err != SVM_OK) {
        return item->err;
    }
    if (item->finished && item->receipt != NULL) {
        if (!convert_receipt(out, rpc_arena(call), item->receipt, item->durable_seq,
                             item->durable)) {
            return SVM_E_NO_MEMORY;
        }
        out->duplicate = item->duplicate;
        return SVM_OK;
    }
    struct svm_digest digest;
    if (item->finished && item->digest_known) {
        digest = item->digest;
    } else if (!convert_signed_digest(&digest, tx)) {
        return SVM_E_TX_DECODE;
    }
    convert_pending(out, &digest, durable_seq);
    out->duplicate = item->finished && item->duplicate;
    return SVM_OK;
}

static const struct rpc_answer *finish(struct rpc_call *call, const struct wait_group *group,
                                       void *arg)
{
    const struct svm_bytes *tx = arg;
    const struct wait_item *item = &group->items[0];
    struct rpc_receipt receipt;
    const enum svm_err err = submit_item(&receipt, call, item, *tx);
    if (err != SVM_OK) {
        return rpc_fail_refusal(call, err, item->finished ? item->refusal : NULL);
    }
    return rpc_answer_value(call, &rpc_schema_receipt, &receipt);
}

const struct rpc_answer *submit_transaction(struct rpc_call *call, struct svm_bytes tx,
                                            enum rpc_wait wait, uint64_t timeout_ms)
{
    struct gateway *gateway = rpc_gateway(call);
    struct svm_bytes *kept = arena_get(rpc_arena(call), sizeof *kept);
    struct wait_group *group = kept != NULL ? waits_create(gateway, 1, WAIT_WHOLE) : NULL;
    if (group == NULL) {
        return submit_overloaded(call);
    }
    *kept = tx;
    gateway->counters.submitted[call->exchange->over_unix ? GATEWAY_UNIX : GATEWAY_HTTP]++;
    waits_submit(group, 0, tx, (enum svm_wait)wait);
    return rpc_later_group(call, group, submit_timeout(call, timeout_ms), finish, kept);
}
