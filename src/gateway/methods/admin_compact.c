#include "gateway/gen/rpc_methods.h"
#include <uv.h>

const struct rpc_answer *admin_compact_handle(struct rpc_call *call,
                                              const struct rpc_admin_compact_params *params)
{
    const uint64_t start_ns = uv_hrtime();
    (void)params;
    const enum svm_err err = svm_compact(rpc_engine(call));
    if (err == SVM_E_METHOD_DISABLED) {
        static const char reason[] =
            "there is nothing on disk to compact in durability mode memory";
        return rpc_fail_error(
            call, &(struct rpc_error){
                      .err = err, .message = reason, .notes = {{.key = "reason", .text = reason}}});
    }
    if (err != SVM_OK) {
        return rpc_fail(call, err);
    }
    const struct rpc_admin_compact_result result = {.elapsed_us = (uv_hrtime() - start_ns) / 1000};
    return rpc_ok_admin_compact(call, &result);
}
