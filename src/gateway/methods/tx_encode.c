#include "gateway/gen/rpc_methods.h"
#include <string.h>

#include "gateway/convert.h"
#include "gateway/state.h"

enum { PREFIX_BYTES = 3 };

const struct rpc_answer *tx_encode_handle(struct rpc_call *call,
                                          const struct rpc_tx_encode_params *params)
{
    struct rpc_tx_encode_result result;
    struct svm_refusal refusal = {0};
    const enum svm_err err = convert_encode(&result.tx, rpc_arena(call), &params->transaction,
                                            rpc_gateway(call)->chain.chain, &refusal);
    if (err != SVM_OK) {
        return rpc_fail_refusal(call, err, &refusal);
    }
    uint8_t *message = arena_get(rpc_arena(call), PREFIX_BYTES + result.tx.len);
    if (message == NULL) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    memcpy(message, "\x00\x00\x53", PREFIX_BYTES);
    memcpy(message + PREFIX_BYTES, result.tx.ptr, result.tx.len);
    result.signing_message =
        (struct svm_bytes){.ptr = message, .len = PREFIX_BYTES + result.tx.len};
    svm_tx_digest(&result.digest, result.tx);
    return rpc_ok_tx_encode(call, &result);
}
