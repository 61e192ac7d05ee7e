#include "gateway/convert.h"
#include "gateway/gen/rpc_methods.h"
#include "gateway/submit.h"

static const struct rpc_answer *answer(struct rpc_call *call, const struct svm_snapshot *snapshot,
                                       const struct svm_object *object)
{
    struct rpc_object_get_result result = {.seq = svm_snapshot_seq(snapshot),
                                           .durable_seq = svm_durable_seq(rpc_engine(call))};
    if (!convert_object(&result.object, rpc_arena(call), object)) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    return rpc_ok_object_get(call, &result);
}

static const struct rpc_answer *refuse(struct rpc_call *call, enum svm_err err,
                                       const struct svm_id *id)
{
    if (err == SVM_E_NOT_FOUND) {
        return submit_not_found(call, "object", id->b);
    }
    const struct svm_refusal refusal = {.err = err, .has = SVM_HAS_OBJECT, .object = *id};
    return rpc_fail_refusal(call, err, &refusal);
}

const struct rpc_answer *object_get_handle(struct rpc_call *call,
                                           const struct rpc_object_get_params *params)
{
    struct svm_snapshot *snapshot = NULL;
    struct svm_object *object = NULL;
    enum svm_err err = svm_snapshot_open(rpc_engine(call), &snapshot);
    if (err != SVM_OK) {
        return rpc_fail(call, err);
    }
    err = svm_object_get(snapshot, &params->id, &object);
    const struct rpc_answer *result =
        err == SVM_OK ? answer(call, snapshot, object) : refuse(call, err, &params->id);
    if (err == SVM_OK) {
        svm_object_free(object);
    }
    svm_snapshot_close(snapshot);
    return result;
}
