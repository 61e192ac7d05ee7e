#include "gateway/convert.h"
#include "gateway/gen/rpc_methods.h"
#include "gateway/submit.h"

const struct rpc_answer *tx_simulate_handle(struct rpc_call *call,
                                            const struct rpc_tx_simulate_params *params)
{
    const bool is_signed = params->has_signed_ ? params->signed_ : convert_is_signed(params->tx);
    struct svm_receipt *receipt = NULL;
    struct svm_refusal refusal = {0};
    struct rpc_receipt result;
    const enum svm_err err =
        svm_simulate(rpc_engine(call), params->tx, is_signed, &receipt, &refusal);
    if (err != SVM_OK) {
        return rpc_fail_refusal(call, err, &refusal);
    }
    const bool ok = convert_receipt(&result, rpc_arena(call), receipt,
                                    svm_durable_seq(rpc_engine(call)), false);
    svm_receipt_free(receipt);
    return ok ? rpc_ok_tx_simulate(call, &result) : rpc_fail(call, SVM_E_NO_MEMORY);
}
