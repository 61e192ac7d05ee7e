/* Transactions to bytes. Sizes first, then a writer that trusts them. */
#include "base/assert.h"
#include "model/bcs.h"
#include "model/tx.h"

static size_t owner_size(const struct svm_owner *owner)
{
    switch (owner->kind) {
    case SVM_KIND_OWNED:
        return 1 + sizeof owner->address.b;
    case SVM_KIND_SHARED:
        return 2;
    case SVM_KIND_IMMUTABLE:
        break;
    }
    return 1;
}

static uint8_t *put_owner(uint8_t *p, const struct svm_owner *owner)
{
    p = bcs_put_u8(p, (uint8_t)owner->kind);
    if (owner->kind == SVM_KIND_OWNED)
        return bcs_put_array(p, owner->address.b, sizeof owner->address.b);
    if (owner->kind == SVM_KIND_SHARED)
        return bcs_put_u8(p, owner->open_withdraw);
    return p;
}

static size_t input_size(const struct svm_input *input)
{
    const size_t head = 1 + sizeof input->id.b;
    switch (input->kind) {
    case SVM_KIND_OWNED:
        return head + (input->exact ? 9 : 1);
    case SVM_KIND_SHARED:
        return head + 1;
    case SVM_KIND_IMMUTABLE:
        break;
    }
    return head;
}

static uint8_t *put_input(uint8_t *p, const struct svm_input *input)
{
    p = bcs_put_u8(p, (uint8_t)input->kind);
    p = bcs_put_array(p, input->id.b, sizeof input->id.b);
    switch (input->kind) {
    case SVM_KIND_OWNED:
        p = bcs_put_u8(p, input->exact);
        return input->exact ? bcs_put_u64(p, input->version) : p;
    case SVM_KIND_SHARED:
        return bcs_put_u8(p, input->writable);
    case SVM_KIND_IMMUTABLE:
        break;
    }
    return p;
}

static size_t op_size(const struct svm_op *op)
{
    enum { TAG = 1, INPUT = 2, ADDRESS = 32, U64 = 8 };
    switch (op->kind) {
    case SVM_OP_TRANSFER:
        return TAG + INPUT + ADDRESS;
    case SVM_OP_PAY:
        return TAG + INPUT + ADDRESS + U64;
    case SVM_OP_MOVE:
        return TAG + INPUT + INPUT + U64;
    case SVM_OP_CREATE:
        return TAG + owner_size(&op->u.create.owner) + bcs_bytes_size(op->u.create.type.len) +
               bcs_bytes_size(op->u.create.data.len);
    case SVM_OP_UPDATE:
        return TAG + INPUT + bcs_bytes_size(op->u.update.data.len);
    case SVM_OP_ADD:
        return TAG + INPUT + 2 + U64;
    case SVM_OP_EXPECT:
        return TAG + INPUT + 1 + (op->u.expect.kind == SVM_CHECK_DATA_HASH ? 32 : U64);
    case SVM_OP_SHARE:
        return TAG + INPUT + 1;
    case SVM_OP_DELETE:
    case SVM_OP_FREEZE:
    case SVM_OP_COUNT:
        break;
    }
    return TAG + INPUT;
}

static uint8_t *put_create(uint8_t *p, const struct svm_op *op)
{
    p = put_owner(p, &op->u.create.owner);
    p = bcs_put_bytes(p, op->u.create.type.ptr, op->u.create.type.len);
    return bcs_put_bytes(p, op->u.create.data.ptr, op->u.create.data.len);
}

static uint8_t *put_expect(uint8_t *p, const struct svm_op *op)
{
    p = bcs_put_u8(p, (uint8_t)op->u.expect.kind);
    if (op->u.expect.kind == SVM_CHECK_DATA_HASH)
        return bcs_put_array(p, op->u.expect.hash, sizeof op->u.expect.hash);
    return bcs_put_u64(p, op->u.expect.value);
}

static uint8_t *put_op(uint8_t *p, const struct svm_op *op)
{
    p = bcs_put_u8(p, (uint8_t)op->kind);
    if (op->kind == SVM_OP_CREATE)
        return put_create(p, op);
    p = bcs_put_u16(p, op->input);
    switch (op->kind) {
    case SVM_OP_TRANSFER:
        return bcs_put_array(p, op->u.transfer.to.b, sizeof op->u.transfer.to.b);
    case SVM_OP_PAY:
        p = bcs_put_array(p, op->u.pay.to.b, sizeof op->u.pay.to.b);
        return bcs_put_u64(p, op->u.pay.amount.units);
    case SVM_OP_MOVE:
        p = bcs_put_u16(p, op->u.move.into);
        return bcs_put_u64(p, op->u.move.amount.units);
    case SVM_OP_UPDATE:
        return bcs_put_bytes(p, op->u.update.data.ptr, op->u.update.data.len);
    case SVM_OP_ADD:
        p = bcs_put_u16(p, op->u.add.offset);
        return bcs_put_u64(p, (uint64_t)op->u.add.delta);
    case SVM_OP_EXPECT:
        return put_expect(p, op);
    case SVM_OP_SHARE:
        return bcs_put_u8(p, op->u.share.open_withdraw);
    case SVM_OP_CREATE:
    case SVM_OP_DELETE:
    case SVM_OP_FREEZE:
    case SVM_OP_COUNT:
        break;
    }
    return p;
}

static size_t tx_size(const struct svm_tx *tx)
{
    size_t size = 1 + 8 + sizeof tx->sender.b + 8 + 8 + 8 + 1;
    size += bcs_uleb_size(tx->input_count) + bcs_uleb_size(tx->op_count);
    for (size_t i = 0; i < tx->input_count; i++)
        size += input_size(&tx->inputs[i]);
    for (size_t i = 0; i < tx->op_count; i++)
        size += op_size(&tx->ops[i]);
    return size;
}

static uint8_t *put_tx(uint8_t *p, const struct svm_tx *tx)
{
    p = bcs_put_u8(p, TX_VARIANT_V1);
    p = bcs_put_u64(p, tx->chain);
    p = bcs_put_array(p, tx->sender.b, sizeof tx->sender.b);
    p = bcs_put_u64(p, tx->nonce);
    p = bcs_put_u64(p, tx->expires_ms);
    p = bcs_put_u64(p, tx->gas_limit);
    p = bcs_put_u8(p, tx->privacy);
    p = bcs_put_uleb(p, tx->input_count);
    for (size_t i = 0; i < tx->input_count; i++)
        p = put_input(p, &tx->inputs[i]);
    p = bcs_put_uleb(p, tx->op_count);
    for (size_t i = 0; i < tx->op_count; i++)
        p = put_op(p, &tx->ops[i]);
    return p;
}

enum svm_err svm_tx_encode(uint8_t *buf, size_t cap, size_t *len_out, const struct svm_tx *tx)
{
    *len_out = 0;
    enum svm_err err = model_tx_check_form(tx, NULL);
    if (err != SVM_OK)
        return err;
    const size_t size = tx_size(tx);
    *len_out = size;
    if (size > cap || size > TX_UNSIGNED_BYTES_MAX)
        return SVM_E_TX_TOO_LARGE;
    const uint8_t *end = put_tx(buf, tx);
    SVM_ASSERT(end == buf + size);
    return SVM_OK;
}
