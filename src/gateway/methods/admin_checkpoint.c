#include "gateway/gen/rpc_methods.h"

const struct rpc_answer *admin_checkpoint_handle(struct rpc_call *call,
                                                 const struct rpc_admin_checkpoint_params *params)
{
    struct rpc_admin_checkpoint_result result = {.dir = params->dir};
    struct svm_refusal detail = {0};
    if (params->dir[0] != '/') {
        return rpc_fail_param(call, "dir", "an absolute path", params->dir);
    }
    const enum svm_err err = svm_checkpoint(rpc_engine(call), params->dir, &result.seq, &detail);
    if (err == SVM_E_INVALID_PARAMS || err == SVM_E_STORAGE_FULL) {
        return rpc_fail_error(call,
                              &(struct rpc_error){.err = err,
                                                  .refusal = &detail,
                                                  .notes = {{.key = "param", .text = "dir"},
                                                            {.key = "got", .text = params->dir}}});
    }
    if (err != SVM_OK) {
        return rpc_fail_refusal(call, err, &detail);
    }
    return rpc_ok_admin_checkpoint(call, &result);
}
