#include "gateway/gen/rpc_methods.h"
#include <string.h>

#include "base/bytes.h"
#include "gateway/convert.h"

/* A cursor is the hex of the last id seen and of a hash over the query, so that it cannot be used for another one. */
enum { CURSOR_BYTES = 40, CURSOR_TEXT = 2 * CURSOR_BYTES };

/* FNV-1a, 64 bits: it tells queries apart, and protects nothing. */
static uint64_t query_hash(const struct rpc_object_list_by_owner_params *params)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < sizeof params->owner.b; i++) {
        hash = (hash ^ params->owner.b[i]) * 0x100000001b3;
    }
    return (hash ^ (params->has_kind ? 1 + (uint64_t)params->kind : 0)) * 0x100000001b3;
}

static void cursor_format(char text[CURSOR_TEXT + 1],
                          const struct rpc_object_list_by_owner_params *params,
                          const struct svm_id *last)
{
    uint8_t bytes[CURSOR_BYTES];
    memcpy(bytes, last->b, sizeof last->b);
    bytes_put_u64le(bytes + sizeof last->b, query_hash(params));
    hex_encode(text, bytes, sizeof bytes);
}

static bool cursor_parse(struct svm_id *last_out,
                         const struct rpc_object_list_by_owner_params *params)
{
    uint8_t bytes[CURSOR_BYTES];
    size_t len = 0;
    if (strlen(params->cursor) != CURSOR_TEXT ||
        !hex_decode(bytes, sizeof bytes, &len, params->cursor, CURSOR_TEXT) ||
        bytes_get_u64le(bytes + sizeof last_out->b) != query_hash(params)) {
        return false;
    }
    memcpy(last_out->b, bytes, sizeof last_out->b);
    return true;
}

static const struct rpc_answer *answer(struct rpc_call *call,
                                       const struct rpc_object_list_by_owner_params *params,
                                       const struct svm_snapshot *snapshot,
                                       struct svm_object **objects, size_t count, bool more)
{
    char cursor[CURSOR_TEXT + 1];
    struct rpc_object *items = arena_get(rpc_arena(call), count * sizeof *items);
    for (size_t i = 0; i < count; i++) {
        if (items == NULL || !convert_object(&items[i], rpc_arena(call), objects[i])) {
            return rpc_fail(call, SVM_E_NO_MEMORY);
        }
    }
    struct rpc_object_list_by_owner_result result = {.items = items,
                                                     .items_count = count,
                                                     .has_next_cursor = more && count > 0,
                                                     .next_cursor = cursor,
                                                     .seq = svm_snapshot_seq(snapshot),
                                                     .durable_seq =
                                                         svm_durable_seq(rpc_engine(call))};
    if (result.has_next_cursor) {
        cursor_format(cursor, params, &objects[count - 1]->id);
    }
    return rpc_ok_object_list_by_owner(call, &result);
}

static const struct rpc_answer *list(struct rpc_call *call,
                                     const struct rpc_object_list_by_owner_params *params,
                                     struct svm_snapshot *snapshot, const struct svm_id *after)
{
    size_t count = 0;
    bool more = false;
    /* shared and immutable objects have no owner: nothing to look for */
    const bool none = params->has_kind && params->kind != RPC_KIND_OWNED;
    struct svm_object **objects =
        arena_get_zeroed(rpc_arena(call), params->limit, sizeof(struct svm_object *));
    if (objects == NULL) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    const enum svm_err err = none ? SVM_OK
                                  : svm_object_list(snapshot, &params->owner, after, objects,
                                                    params->limit, &count, &more);
    if (err != SVM_OK) {
        return rpc_fail(call, err);
    }
    const struct rpc_answer *result = answer(call, params, snapshot, objects, count, more);
    for (size_t i = 0; i < count; i++) {
        svm_object_free(objects[i]);
    }
    return result;
}

const struct rpc_answer *
object_list_by_owner_handle(struct rpc_call *call,
                            const struct rpc_object_list_by_owner_params *params)
{
    struct svm_snapshot *snapshot = NULL;
    struct svm_id after;
    if (params->has_cursor && !cursor_parse(&after, params)) {
        return rpc_fail_error(
            call,
            &(struct rpc_error){
                .err = SVM_E_BAD_CURSOR,
                .notes = {{.key = "param", .text = "cursor"},
                          {.key = "expected",
                           .text = "nextCursor of the page before, with the same owner and kind"},
                          {.key = "got", .text = params->cursor}}});
    }
    const enum svm_err err = svm_snapshot_open(rpc_engine(call), &snapshot);
    if (err != SVM_OK) {
        return rpc_fail(call, err);
    }
    const struct rpc_answer *result =
        list(call, params, snapshot, params->has_cursor ? &after : NULL);
    svm_snapshot_close(snapshot);
    return result;
}
