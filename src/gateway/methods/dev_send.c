#include "gateway/dev.h"
#include "gateway/gen/rpc_methods.h"
#include "gateway/state.h"
#include "gateway/submit.h"

const struct rpc_answer *dev_send_handle(struct rpc_call *call,
                                         const struct rpc_dev_send_params *params)
{
    struct gateway *gateway = rpc_gateway(call);
    const struct svm_dev_account *account = dev_account_find(gateway, params->from);
    struct svm_address to;
    struct svm_bytes tx;
    struct svm_refusal refusal = {0};
    if (account == NULL) {
        return rpc_fail_param(call, "from", "name or address of a dev account", params->from);
    }
    if (!dev_address_parse(&to, gateway, params->to)) {
        return rpc_fail_param(call, "to", "name of a dev account, or 0x and 64 hex digits",
                              params->to);
    }
    const struct dev_payment payment = {.from = account,
                                        .to = &to,
                                        .coin = params->has_coin ? params->coin : account->coin,
                                        .amount = params->amount,
                                        .chain = gateway->chain.chain,
                                        .nonce = dev_nonce(gateway),
                                        .expires_ms = svm_now_ms(gateway->engine) + DEV_EXPIRY_MS};
    const enum svm_err err = dev_payment_sign(&tx, rpc_arena(call), &payment, &refusal);
    if (err != SVM_OK) {
        return rpc_fail_refusal(call, err, &refusal);
    }
    return submit_transaction(call, tx, params->wait,
                              params->has_timeout_ms ? params->timeout_ms : 0);
}
