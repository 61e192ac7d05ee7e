/* A transaction under construction: inputs by handle, in any order. */
#include <stdlib.h>
#include <string.h>

#include "model/tx.h"

struct svm_tx_builder {
    struct svm_tx tx; /* without inputs and ops; they are below */
    struct svm_input inputs[SVM_TX_INPUTS_MAX];
    struct svm_op ops[SVM_TX_OPS_MAX];
    uint8_t *op_bytes
        [SVM_TX_OPS_MAX]; /* what the type and data of an operation point into; NULL = nothing */
    uint16_t input_count;
    uint16_t op_count;
    const char *failure; /* first thing that went wrong; NULL = nothing */
};

struct svm_tx_builder *svm_tx_builder_create(uint64_t chain, const struct svm_address *sender)
{
    struct svm_tx_builder *builder = calloc(1, sizeof *builder);
    if (builder == NULL)
        return NULL;
    builder->tx.chain = chain;
    builder->tx.sender = *sender;
    return builder;
}

void svm_tx_builder_destroy(struct svm_tx_builder *builder)
{
    if (builder == NULL)
        return;
    for (size_t i = 0; i < builder->op_count; i++)
        free(builder->op_bytes[i]);
    free(builder);
}

void svm_tx_builder_nonce(struct svm_tx_builder *builder, uint64_t nonce)
{
    builder->tx.nonce = nonce;
}

void svm_tx_builder_expires(struct svm_tx_builder *builder, uint64_t expires_ms)
{
    builder->tx.expires_ms = expires_ms;
}

void svm_tx_builder_gas_limit(struct svm_tx_builder *builder, uint64_t gas_limit)
{
    builder->tx.gas_limit = gas_limit;
}

static int fail(struct svm_tx_builder *builder, const char *reason)
{
    if (builder->failure == NULL)
        builder->failure = reason;
    return -1;
}

static int add_input(struct svm_tx_builder *builder, struct svm_input input)
{
    if (builder->input_count == SVM_TX_INPUTS_MAX)
        return fail(builder, "more than 256 inputs");
    builder->inputs[builder->input_count] = input;
    return builder->input_count++;
}

int svm_tx_builder_owned(struct svm_tx_builder *builder, const struct svm_id *id, uint64_t version)
{
    return add_input(builder, (struct svm_input){.id = *id,
                                                 .kind = SVM_KIND_OWNED,
                                                 .exact = true,
                                                 .writable = true,
                                                 .version = version});
}

int svm_tx_builder_owned_latest(struct svm_tx_builder *builder, const struct svm_id *id)
{
    return add_input(builder,
                     (struct svm_input){.id = *id, .kind = SVM_KIND_OWNED, .writable = true});
}

int svm_tx_builder_shared(struct svm_tx_builder *builder, const struct svm_id *id, bool writable)
{
    return add_input(builder,
                     (struct svm_input){.id = *id, .kind = SVM_KIND_SHARED, .writable = writable});
}

int svm_tx_builder_immutable(struct svm_tx_builder *builder, const struct svm_id *id)
{
    return add_input(builder, (struct svm_input){.id = *id, .kind = SVM_KIND_IMMUTABLE});
}

/* ---- operations -------------------------------------------------------------------------------------------- */

/* own: let BYTES point to a copy of what it points to, at *AT, which is advanced. */
static void own(struct svm_bytes *bytes, uint8_t **at)
{
    if (bytes->len > 0)
        memcpy(*at, bytes->ptr, bytes->len);
    bytes->ptr = *at;
    *at += bytes->len;
}

/* own_bytes: replace the borrowed byte strings of OP by copies. NULL in COPY_OUT when there are none. */
static bool own_bytes(struct svm_op *op, uint8_t **copy_out)
{
    *copy_out = NULL;
    if (op->kind != SVM_OP_CREATE && op->kind != SVM_OP_UPDATE)
        return true;
    struct svm_bytes *data = op->kind == SVM_OP_CREATE ? &op->u.create.data : &op->u.update.data;
    const size_t type_len = op->kind == SVM_OP_CREATE ? op->u.create.type.len : 0;
    if (type_len > SVM_TYPE_BYTES_MAX || data->len > SVM_DATA_BYTES_MAX)
        return false;
    uint8_t *at = malloc(type_len + data->len + 1);
    if (at == NULL)
        return false;
    *copy_out = at;
    if (op->kind == SVM_OP_CREATE)
        own(&op->u.create.type, &at);
    own(data, &at);
    return true;
}

int svm_tx_builder_op(struct svm_tx_builder *builder, const struct svm_op *op)
{
    if (builder->op_count == SVM_TX_OPS_MAX)
        return fail(builder, "more than 256 operations");
    struct svm_op copy = *op;
    uint8_t *bytes;
    if (!own_bytes(&copy, &bytes))
        return fail(builder, "the type or data of an operation is too long");
    builder->ops[builder->op_count] = copy;
    builder->op_bytes[builder->op_count] = bytes;
    return builder->op_count++;
}

/* ---- finish ------------------------------------------------------------------------------------------------ */

struct slot {
    struct svm_id id;
    uint16_t handle;
};

static int compare_slots(const void *left, const void *right)
{
    const struct slot *l = left, *r = right;
    return memcmp(l->id.b, r->id.b, sizeof l->id.b);
}

/* sort_inputs: the inputs in id order into SPACE; index_of[handle] is where each went. */
static void sort_inputs(const struct svm_tx_builder *builder, struct svm_tx_space *space,
                        uint16_t index_of[SVM_TX_INPUTS_MAX])
{
    struct slot slots[SVM_TX_INPUTS_MAX];
    for (uint16_t i = 0; i < builder->input_count; i++)
        slots[i] = (struct slot){.id = builder->inputs[i].id, .handle = i};
    qsort(slots, builder->input_count, sizeof slots[0], compare_slots);
    for (uint16_t i = 0; i < builder->input_count; i++) {
        space->inputs[i] = builder->inputs[slots[i].handle];
        index_of[slots[i].handle] = i;
    }
}

/* A handle that was never given stays what it is: svm_tx_check says which operation names it. */
static uint16_t index_for(const struct svm_tx_builder *builder, const uint16_t *index_of,
                          uint16_t handle)
{
    return handle < builder->input_count ? index_of[handle] : handle;
}

static void rewrite_ops(const struct svm_tx_builder *builder, struct svm_tx_space *space,
                        const uint16_t *index_of)
{
    for (size_t i = 0; i < builder->op_count; i++) {
        struct svm_op op = builder->ops[i];
        if (op.kind != SVM_OP_CREATE)
            op.input = index_for(builder, index_of, op.input);
        if (op.kind == SVM_OP_MOVE)
            op.u.move.into = index_for(builder, index_of, op.u.move.into);
        space->ops[i] = op;
    }
}

static enum svm_err finish_in(struct svm_tx_space *space, const struct svm_tx_builder *builder,
                              uint8_t *buf, size_t cap, size_t *len_out,
                              struct svm_refusal *refusal)
{
    uint16_t index_of[SVM_TX_INPUTS_MAX];
    sort_inputs(builder, space, index_of);
    rewrite_ops(builder, space, index_of);
    struct svm_tx tx = builder->tx;
    tx.input_count = builder->input_count;
    tx.op_count = builder->op_count;
    tx.inputs = space->inputs;
    tx.ops = space->ops;
    enum svm_err err = svm_tx_check(&tx, refusal);
    if (err != SVM_OK)
        return err;
    err = svm_tx_encode(buf, cap, len_out, &tx);
    if (err != SVM_E_TX_TOO_LARGE)
        return err;
    const size_t limit = cap < TX_UNSIGNED_BYTES_MAX ? cap : TX_UNSIGNED_BYTES_MAX;
    model_tx_refuse(refusal, err, "the transaction has %zu bytes, the limit is %zu", *len_out,
                    limit);
    if (refusal != NULL) {
        refusal->has |= SVM_HAS_LIMIT;
        refusal->limit = limit;
        refusal->got = *len_out;
    }
    return err;
}

enum svm_err svm_tx_builder_finish(struct svm_tx_builder *builder, uint8_t *buf, size_t cap,
                                   size_t *len_out, struct svm_refusal *refusal)
{
    *len_out = 0;
    if (builder->failure != NULL)
        return model_tx_refuse(refusal, SVM_E_OP_INVALID, "%s", builder->failure);
    struct svm_tx_space *space = malloc(sizeof *space);
    if (space == NULL)
        return model_tx_refuse(refusal, SVM_E_NO_MEMORY, "%s", svm_err_text(SVM_E_NO_MEMORY));
    const enum svm_err err = finish_in(space, builder, buf, cap, len_out, refusal);
    free(space);
    return err;
}
