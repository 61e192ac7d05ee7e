#include "gateway/convert.h"
#include "gateway/gen/rpc_methods.h"
#include "gateway/submit.h"

const struct rpc_answer *tx_get_handle(struct rpc_call *call,
                                       const struct rpc_tx_get_params *params)
{
    struct svm_engine *engine = rpc_engine(call);
    struct svm_receipt *receipt = NULL;
    struct rpc_receipt result;
    const enum svm_err err = svm_receipt_get(engine, &params->digest, &receipt);
    const uint64_t durable_seq = svm_durable_seq(engine);
    if (err == SVM_E_BUSY) {
        convert_pending(&result, &params->digest, durable_seq);
        return rpc_ok_tx_get(call, &result);
    }
    if (err == SVM_E_NOT_FOUND) {
        return submit_not_found(call, "transaction", params->digest.b);
    }
    if (err != SVM_OK) {
        return rpc_fail(call, err);
    }
    const bool ok = convert_receipt(&result, rpc_arena(call), receipt, durable_seq, true);
    convert_with_sender(&result, receipt);
    svm_receipt_free(receipt);
    return ok ? rpc_ok_tx_get(call, &result) : rpc_fail(call, SVM_E_NO_MEMORY);
}
