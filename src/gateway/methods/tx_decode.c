#include "gateway/gen/rpc_methods.h"
#include <string.h>

#include "gateway/convert.h"

const struct rpc_answer *tx_decode_handle(struct rpc_call *call,
                                          const struct rpc_tx_decode_params *params)
{
    struct rpc_tx_decode_result result = {.signed_ = convert_is_signed(params->tx),
                                          .tx = params->tx};
    struct svm_signed_tx stx;
    struct svm_refusal refusal = {0};
    enum svm_err err;
    struct svm_tx_space *space = arena_get(rpc_arena(call), sizeof *space);
    if (space == NULL) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    if (result.signed_) {
        err = svm_signed_tx_decode(&stx, space, params->tx, &refusal);
    } else {
        err = svm_tx_decode(&stx.tx, space, params->tx, &refusal);
    }
    if (err != SVM_OK) {
        return rpc_fail_refusal(call, err, &refusal);
    }
    if (result.signed_) {
        result.tx = stx.tx_bytes;
        result.has_public_key = true;
        memcpy(result.public_key.b, stx.public_key.b, sizeof result.public_key.b);
        result.has_signature = true;
        result.signature = stx.signature;
    }
    svm_tx_digest(&result.digest, result.tx);
    if (!convert_transaction(&result.transaction, rpc_arena(call), &stx.tx)) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    return rpc_ok_tx_decode(call, &result);
}
