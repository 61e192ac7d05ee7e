#include "gateway/gen/rpc_methods.h"
#include <uv.h>

const struct rpc_answer *admin_run_gc_handle(struct rpc_call *call,
                                             const struct rpc_admin_run_gc_params *params)
{
    const uint64_t start_ns = uv_hrtime();
    (void)params;
    struct rpc_admin_run_gc_result result = {.versions_removed = svm_gc_run(rpc_engine(call))};
    result.elapsed_us = (uv_hrtime() - start_ns) / 1000;
    return rpc_ok_admin_run_gc(call, &result);
}
