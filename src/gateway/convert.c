#include "gateway/convert.h"

#include <stdlib.h>
#include <string.h>

/* ---- receipts --------------------------------------------------------------------------------------------- */

static void convert_change(struct rpc_change *out, const struct svm_change *change)
{
    *out = (struct rpc_change){.id = change->id,
                               .version = change->version,
                               .kind = (enum rpc_kind)change->kind,
                               .owner = change->owner,
                               .has_owner = change->kind == SVM_KIND_OWNED};
}

/* The changes are created, then mutated, then deleted: three runs of one array. */
static bool convert_effects(struct rpc_effects *out, struct arena *arena,
                            const struct svm_receipt *receipt)
{
    struct rpc_change *changes = arena_get(arena, receipt->change_count * sizeof *changes);
    size_t counts[3] = {0, 0, 0};
    if (changes == NULL) {
        return false;
    }
    for (size_t i = 0; i < receipt->change_count; i++) {
        convert_change(&changes[i], &receipt->changes[i]);
        counts[receipt->changes[i].change]++;
    }
    *out = (struct rpc_effects){.created = changes,
                                .created_count = counts[SVM_CHANGE_CREATED],
                                .mutated = changes + counts[SVM_CHANGE_CREATED],
                                .mutated_count = counts[SVM_CHANGE_MUTATED],
                                .deleted = changes + counts[SVM_CHANGE_CREATED] +
                                           counts[SVM_CHANGE_MUTATED],
                                .deleted_count = counts[SVM_CHANGE_DELETED]};
    return true;
}

bool convert_receipt(struct rpc_receipt *out, struct arena *arena,
                     const struct svm_receipt *receipt, uint64_t durable_seq, bool durable)
{
    const bool failed = receipt->failure != SVM_FAILURE_NONE;
    *out = (struct rpc_receipt){
        .digest = receipt->digest,
        .status = failed                                   ? RPC_STATUS_FAILED
                  : durable && durable_seq >= receipt->seq ? RPC_STATUS_DURABLE
                                                           : RPC_STATUS_EXECUTED,
        .path = (enum rpc_path)receipt->path,
        .has_path = true,
        .has_fallback = receipt->fallback != SVM_FALLBACK_NONE,
        .fallback = {.reason = svm_fallback_name(receipt->fallback),
                     .object = receipt->fallback_object},
        .seq = receipt->seq,
        .has_seq = true,
        .durable_seq = durable_seq,
        .gas_used = receipt->gas_used,
        .has_gas_used = true,
        .latency_us = receipt->latency_us,
        .has_latency_us = true,
        .has_failure = failed,
        .failure = {.name = svm_failure_name(receipt->failure), .op = receipt->failed_op},
        .has_effects = true,
    };
    return convert_effects(&out->effects, arena, receipt);
}

void convert_with_sender(struct rpc_receipt *out, const struct svm_receipt *receipt)
{
    out->has_sender = true;
    out->sender = receipt->sender;
    out->has_executed_ms = true;
    out->executed_ms = receipt->node_ms;
}

void convert_pending(struct rpc_receipt *out, const struct svm_digest *digest, uint64_t durable_seq)
{
    *out = (struct rpc_receipt){
        .digest = *digest, .status = RPC_STATUS_PENDING, .durable_seq = durable_seq};
}

/* ---- objects ---------------------------------------------------------------------------------------------- */

bool convert_object(struct rpc_object *out, struct arena *arena, const struct svm_object *object)
{
    static const struct svm_digest none;
    *out = (struct rpc_object){
        .id = object->id,
        .version = object->version,
        .kind = (enum rpc_kind)object->kind,
        .owner = object->owner,
        .has_owner = object->kind == SVM_KIND_OWNED,
        .controller = object->controller,
        .has_controller = object->kind == SVM_KIND_SHARED,
        .open_withdraw = object->open_withdraw,
        .balance = object->balance.units,
        .type = arena_string(arena, (const char *)object->type.ptr, object->type.len),
        .data = object->data,
        .created_ms = object->created_ms,
        .modified_ms = object->modified_ms,
        .last_tx = object->last_tx,
        .has_last_tx = memcmp(&object->last_tx, &none, sizeof none) != 0,
    };
    return out->type != NULL;
}

/* ---- decoding --------------------------------------------------------------------------------------------- */

bool convert_signed_digest(struct svm_digest *digest_out, struct svm_bytes bytes)
{
    struct svm_signed_tx stx;
    struct svm_tx_space *space = malloc(sizeof *space);
    const bool ok = space != NULL && svm_signed_tx_decode(&stx, space, bytes, NULL) == SVM_OK;
    if (ok) {
        svm_tx_digest(digest_out, stx.tx_bytes);
    }
    free(space);
    return ok;
}

bool convert_is_signed(struct svm_bytes bytes)
{
    struct svm_tx tx;
    struct svm_signed_tx stx;
    struct svm_tx_space *space = malloc(sizeof *space);
    const bool is_unsigned = space != NULL &&
                             svm_signed_tx_decode(&stx, space, bytes, NULL) != SVM_OK &&
                             svm_tx_decode(&tx, space, bytes, NULL) == SVM_OK;
    free(space);
    return !is_unsigned;
}

static void convert_input(struct rpc_input *out, const struct svm_input *in)
{
    *out = (struct rpc_input){.kind = (enum rpc_kind)in->kind,
                              .id = in->id,
                              .version = in->version,
                              .has_version = in->exact,
                              .mutable = in->writable,
                              .has_mutable = in->kind == SVM_KIND_SHARED};
}

static void convert_check(struct rpc_check *out, const struct svm_op *op)
{
    *out = (struct rpc_check){.kind = (enum rpc_check_kind)op->u.expect.kind,
                              .amount = op->u.expect.value,
                              .version = op->u.expect.value};
    memcpy(out->hash.b, op->u.expect.hash, sizeof out->hash.b);
}

static bool convert_op(struct rpc_op *out, struct arena *arena, const struct svm_op *op)
{
    *out = (struct rpc_op){
        .op = (enum rpc_op_name)op->kind, .input = op->input, .from = op->input, .type = ""};
    switch (op->kind) {
    case SVM_OP_TRANSFER:
        out->to = op->u.transfer.to;
        break;
    case SVM_OP_PAY:
        out->to = op->u.pay.to;
        out->amount = op->u.pay.amount.units;
        break;
    case SVM_OP_MOVE:
        out->into = op->u.move.into;
        out->amount = op->u.move.amount.units;
        break;
    case SVM_OP_CREATE:
        out->owner =
            (struct rpc_owner){.kind = (enum rpc_kind)op->u.create.owner.kind,
                               .address = op->u.create.owner.address,
                               .open_withdraw = op->u.create.owner.open_withdraw,
                               .has_open_withdraw = op->u.create.owner.kind == SVM_KIND_SHARED};
        out->type = arena_string(arena, (const char *)op->u.create.type.ptr, op->u.create.type.len);
        out->data = op->u.create.data;
        break;
    case SVM_OP_UPDATE:
        out->data = op->u.update.data;
        break;
    case SVM_OP_ADD:
        out->offset = op->u.add.offset;
        out->delta = op->u.add.delta;
        break;
    case SVM_OP_EXPECT:
        convert_check(&out->check, op);
        break;
    case SVM_OP_SHARE:
        out->open_withdraw = op->u.share.open_withdraw;
        out->has_open_withdraw = true;
        break;
    case SVM_OP_DELETE:
    case SVM_OP_FREEZE:
    case SVM_OP_COUNT:
        break;
    }
    return out->type != NULL;
}

bool convert_transaction(struct rpc_transaction *out, struct arena *arena, const struct svm_tx *tx)
{
    struct rpc_input *inputs = arena_get(arena, tx->input_count * sizeof *inputs);
    struct rpc_op *ops = arena_get(arena, tx->op_count * sizeof *ops);
    if (inputs == NULL || ops == NULL) {
        return false;
    }
    for (size_t i = 0; i < tx->input_count; i++) {
        convert_input(&inputs[i], &tx->inputs[i]);
    }
    for (size_t i = 0; i < tx->op_count; i++) {
        if (!convert_op(&ops[i], arena, &tx->ops[i])) {
            return false;
        }
    }
    *out = (struct rpc_transaction){.chain = tx->chain,
                                    .has_chain = true,
                                    .sender = tx->sender,
                                    .nonce = tx->nonce,
                                    .has_nonce = true,
                                    .expires_ms = tx->expires_ms,
                                    .has_expires_ms = true,
                                    .gas_limit = tx->gas_limit,
                                    .has_gas_limit = true,
                                    .inputs = inputs,
                                    .inputs_count = tx->input_count,
                                    .ops = ops,
                                    .ops_count = tx->op_count};
    return true;
}

/* ---- encoding --------------------------------------------------------------------------------------------- */

enum { GAS_LIMIT_DEFAULT = 1000000 };

static int add_input(struct svm_tx_builder *builder, const struct rpc_input *input)
{
    switch (input->kind) {
    case RPC_KIND_OWNED:
        return input->has_version ? svm_tx_builder_owned(builder, &input->id, input->version)
                                  : svm_tx_builder_owned_latest(builder, &input->id);
    case RPC_KIND_SHARED:
        return svm_tx_builder_shared(builder, &input->id, input->has_mutable && input->mutable);
    case RPC_KIND_IMMUTABLE:
        return svm_tx_builder_immutable(builder, &input->id);
    }
    return -1;
}

static void fill_expect(struct svm_op *out, const struct rpc_check *check)
{
    out->u.expect.kind = (enum svm_check_kind)check->kind;
    out->u.expect.value = check->kind == RPC_CHECK_KIND_VERSION ? check->version : check->amount;
    memcpy(out->u.expect.hash, check->hash.b, sizeof out->u.expect.hash);
}

static void fill_create(struct svm_op *out, const struct rpc_op *op)
{
    out->u.create.owner = (struct svm_owner){.kind = (enum svm_kind)op->owner.kind,
                                             .address = op->owner.address,
                                             .open_withdraw = op->owner.open_withdraw};
    out->u.create.type =
        (struct svm_bytes){.ptr = (const uint8_t *)op->type, .len = strlen(op->type)};
    out->u.create.data = op->data;
}

static struct svm_op build_op(const struct rpc_op *op)
{
    const bool pays = op->op == RPC_OP_NAME_PAY || op->op == RPC_OP_NAME_MOVE;
    struct svm_op out = {.kind = (enum svm_op_kind)op->op,
                         .input = (uint16_t)(pays ? op->from : op->input)};
    switch (op->op) {
    case RPC_OP_NAME_TRANSFER:
        out.u.transfer.to = op->to;
        break;
    case RPC_OP_NAME_PAY:
        out.u.pay.to = op->to;
        out.u.pay.amount.units = op->amount;
        break;
    case RPC_OP_NAME_MOVE:
        out.u.move.into = (uint16_t)op->into;
        out.u.move.amount.units = op->amount;
        break;
    case RPC_OP_NAME_CREATE:
        fill_create(&out, op);
        break;
    case RPC_OP_NAME_UPDATE:
        out.u.update.data = op->data;
        break;
    case RPC_OP_NAME_ADD:
        out.u.add.offset = (uint16_t)op->offset;
        out.u.add.delta = op->delta;
        break;
    case RPC_OP_NAME_EXPECT:
        fill_expect(&out, &op->check);
        break;
    case RPC_OP_NAME_SHARE:
        out.u.share.open_withdraw = op->has_open_withdraw && op->open_withdraw;
        break;
    case RPC_OP_NAME_DELETE:
    case RPC_OP_NAME_FREEZE:
        break;
    }
    return out;
}

/* Operations name inputs by their place in the list; the builder gives handles in the order of adding. */
static void build(struct svm_tx_builder *builder, const struct rpc_transaction *in)
{
    svm_tx_builder_nonce(builder, in->has_nonce ? in->nonce : 0);
    svm_tx_builder_expires(builder, in->has_expires_ms ? in->expires_ms : 0);
    svm_tx_builder_gas_limit(builder, in->has_gas_limit ? in->gas_limit : GAS_LIMIT_DEFAULT);
    for (size_t i = 0; i < in->inputs_count; i++) {
        (void)add_input(builder, &in->inputs[i]); /* errors stick until finish */
    }
    for (size_t i = 0; i < in->ops_count; i++) {
        const struct svm_op op = build_op(&in->ops[i]);
        (void)svm_tx_builder_op(builder, &op);
    }
}

enum svm_err convert_encode(struct svm_bytes *out, struct arena *arena,
                            const struct rpc_transaction *in, uint64_t chain,
                            struct svm_refusal *refusal)
{
    struct svm_tx_builder *builder =
        svm_tx_builder_create(in->has_chain ? in->chain : chain, &in->sender);
    uint8_t *buf = arena_get(arena, SVM_TX_BYTES_MAX);
    size_t len = 0;
    if (builder == NULL || buf == NULL) {
        if (builder != NULL) {
            svm_tx_builder_destroy(builder);
        }
        return SVM_E_NO_MEMORY;
    }
    build(builder, in);
    const enum svm_err err = svm_tx_builder_finish(builder, buf, SVM_TX_BYTES_MAX, &len, refusal);
    svm_tx_builder_destroy(builder);
    *out = (struct svm_bytes){.ptr = buf, .len = len};
    return err;
}
