#include "gateway/convert.h"
#include "gateway/gen/rpc_methods.h"

struct many {
    struct rpc_object_item *items;
    struct svm_object **objects;
    struct rpc_error *errors;
    struct svm_refusal *refusals;
};

/* One id. Returns an error only when it is not the id's own. */
static enum svm_err get_one(struct many *many, size_t i, struct rpc_call *call,
                            struct svm_snapshot *snapshot, const struct svm_id *id)
{
    const enum svm_err err = svm_object_get(snapshot, id, &many->objects[i]);
    many->items[i].id = *id;
    if (err == SVM_OK) {
        many->items[i].has_object = true;
        return convert_object(&many->items[i].object, rpc_arena(call), many->objects[i])
                   ? SVM_OK
                   : SVM_E_NO_MEMORY;
    }
    if (err != SVM_E_NOT_FOUND && err != SVM_E_OBJECT_DELETED) {
        return err;
    }
    many->refusals[i] = (struct svm_refusal){.err = err, .has = SVM_HAS_OBJECT, .object = *id};
    many->errors[i] = (struct rpc_error){.err = err, .refusal = &many->refusals[i]};
    many->items[i].error = &many->errors[i];
    return SVM_OK;
}

static const struct rpc_answer *get_all(struct rpc_call *call, struct svm_snapshot *snapshot,
                                        struct many *many,
                                        const struct rpc_object_get_many_params *params)
{
    for (size_t i = 0; i < params->ids_count; i++) {
        const enum svm_err err = get_one(many, i, call, snapshot, &params->ids[i]);
        if (err != SVM_OK) {
            return rpc_fail(call, err);
        }
    }
    const struct rpc_object_get_many_result result = {.items = many->items,
                                                      .items_count = params->ids_count,
                                                      .seq = svm_snapshot_seq(snapshot),
                                                      .durable_seq =
                                                          svm_durable_seq(rpc_engine(call))};
    return rpc_ok_object_get_many(call, &result);
}

const struct rpc_answer *object_get_many_handle(struct rpc_call *call,
                                                const struct rpc_object_get_many_params *params)
{
    const size_t count = params->ids_count;
    struct svm_snapshot *snapshot = NULL;
    struct many many = {
        .items = arena_get_zeroed(rpc_arena(call), count, sizeof *many.items),
        .objects = arena_get_zeroed(rpc_arena(call), count, sizeof(struct svm_object *)),
        .errors = arena_get_zeroed(rpc_arena(call), count, sizeof *many.errors),
        .refusals = arena_get_zeroed(rpc_arena(call), count, sizeof *many.refusals)};
    if (many.items == NULL || many.objects == NULL || many.errors == NULL ||
        many.refusals == NULL) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    const enum svm_err err = svm_snapshot_open(rpc_engine(call), &snapshot);
    if (err != SVM_OK) {
        return rpc_fail(call, err);
    }
    const struct rpc_answer *answer = get_all(call, snapshot, &many, params);
    for (size_t i = 0; i < count; i++) {
        if (many.objects[i] != NULL) {
            svm_object_free(many.objects[i]);
        }
    }
    svm_snapshot_close(snapshot);
    return answer;
}
