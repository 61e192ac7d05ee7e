/* Bytes to transactions. */
#include "model/bcs.h"
#include "model/tx.h"

static bool get_owner(struct bcs_reader *r, struct svm_owner *owner)
{
    const uint8_t *start = r->at;
    uint32_t tag;
    if (!bcs_get_uleb(r, &tag))
        return false;
    *owner = (struct svm_owner){.kind = SVM_KIND_OWNED};
    switch (tag) {
    case SVM_KIND_OWNED:
        return bcs_get_array(r, owner->address.b, sizeof owner->address.b);
    case SVM_KIND_SHARED:
        owner->kind = SVM_KIND_SHARED;
        return bcs_get_bool(r, &owner->open_withdraw);
    case SVM_KIND_IMMUTABLE:
        owner->kind = SVM_KIND_IMMUTABLE;
        return true;
    default:
        return bcs_fail(r, start, "an owner of an unknown kind");
    }
}

static bool get_input(struct bcs_reader *r, struct svm_input *input)
{
    const uint8_t *start = r->at;
    uint32_t tag;
    if (!bcs_get_uleb(r, &tag))
        return false;
    if (tag > SVM_KIND_IMMUTABLE)
        return bcs_fail(r, start, "an input of an unknown kind");
    if (!bcs_get_array(r, input->id.b, sizeof input->id.b))
        return false;
    input->kind = (enum svm_kind)tag;
    input->exact = false;
    input->writable = tag == SVM_KIND_OWNED;
    input->version = 0;
    if (tag == SVM_KIND_SHARED)
        return bcs_get_bool(r, &input->writable);
    if (tag == SVM_KIND_IMMUTABLE)
        return true;
    return bcs_get_option(r, &input->exact) && (!input->exact || bcs_get_u64(r, &input->version));
}

static bool get_type(struct bcs_reader *r, struct svm_bytes *type)
{
    return bcs_get_bytes(r, type, SVM_TYPE_BYTES_MAX, "a type of more than 64 bytes");
}

static bool get_data(struct bcs_reader *r, struct svm_bytes *data)
{
    return bcs_get_bytes(r, data, SVM_DATA_BYTES_MAX, "data of more than 65536 bytes");
}

static bool get_expect(struct bcs_reader *r, struct svm_op *op)
{
    if (!bcs_get_u16(r, &op->input))
        return false;
    const uint8_t *start = r->at;
    uint32_t tag;
    if (!bcs_get_uleb(r, &tag))
        return false;
    if (tag > SVM_CHECK_VERSION)
        return bcs_fail(r, start, "a check of an unknown kind");
    op->u.expect.kind = (enum svm_check_kind)tag;
    if (tag == SVM_CHECK_DATA_HASH)
        return bcs_get_array(r, op->u.expect.hash, sizeof op->u.expect.hash);
    return bcs_get_u64(r, &op->u.expect.value);
}

static bool get_add(struct bcs_reader *r, struct svm_op *op)
{
    uint64_t bits;
    if (!bcs_get_u16(r, &op->input) || !bcs_get_u16(r, &op->u.add.offset) || !bcs_get_u64(r, &bits))
        return false;
    memcpy(&op->u.add.delta, &bits, sizeof bits); /* two's complement as it stands */
    return true;
}

static bool get_create(struct bcs_reader *r, struct svm_op *op)
{
    op->input = 0;
    return get_owner(r, &op->u.create.owner) && get_type(r, &op->u.create.type) &&
           get_data(r, &op->u.create.data);
}

static bool get_pay(struct bcs_reader *r, struct svm_op *op)
{
    return bcs_get_u16(r, &op->input) && bcs_get_array(r, op->u.pay.to.b, sizeof op->u.pay.to.b) &&
           bcs_get_u64(r, &op->u.pay.amount.units);
}

static bool get_move(struct bcs_reader *r, struct svm_op *op)
{
    return bcs_get_u16(r, &op->input) && bcs_get_u16(r, &op->u.move.into) &&
           bcs_get_u64(r, &op->u.move.amount.units);
}

static bool get_op(struct bcs_reader *r, struct svm_op *op)
{
    const uint8_t *start = r->at;
    uint32_t tag;
    if (!bcs_get_uleb(r, &tag))
        return false;
    if (tag >= SVM_OP_COUNT)
        return bcs_fail(r, start, "an operation of an unknown kind");
    op->kind = (enum svm_op_kind)tag;
    switch (op->kind) {
    case SVM_OP_TRANSFER:
        return bcs_get_u16(r, &op->input) &&
               bcs_get_array(r, op->u.transfer.to.b, sizeof op->u.transfer.to.b);
    case SVM_OP_PAY:
        return get_pay(r, op);
    case SVM_OP_MOVE:
        return get_move(r, op);
    case SVM_OP_CREATE:
        return get_create(r, op);
    case SVM_OP_UPDATE:
        return bcs_get_u16(r, &op->input) && get_data(r, &op->u.update.data);
    case SVM_OP_ADD:
        return get_add(r, op);
    case SVM_OP_EXPECT:
        return get_expect(r, op);
    case SVM_OP_SHARE:
        return bcs_get_u16(r, &op->input) && bcs_get_bool(r, &op->u.share.open_withdraw);
    case SVM_OP_DELETE:
    case SVM_OP_FREEZE:
        return bcs_get_u16(r, &op->input);
    case SVM_OP_COUNT:
        break;
    }
    return bcs_fail(r, start, "an operation of an unknown kind");
}

static bool get_inputs(struct bcs_reader *r, struct svm_tx *tx, struct svm_input *inputs)
{
    uint32_t count;
    if (!bcs_get_len(r, &count, SVM_TX_INPUTS_MAX, "more than 256 inputs"))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *start = r->at;
        if (!get_input(r, &inputs[i]))
            return false;
        if (i > 0 && memcmp(inputs[i - 1].id.b, inputs[i].id.b, sizeof inputs[i].id.b) >= 0)
            return bcs_fail(r, start,
                            "the inputs are not in strictly ascending order of their ids");
    }
    tx->input_count = (uint16_t)count;
    tx->inputs = inputs;
    return true;
}

static bool get_ops(struct bcs_reader *r, struct svm_tx *tx, struct svm_op *ops)
{
    uint32_t count;
    if (!bcs_get_len(r, &count, SVM_TX_OPS_MAX, "more than 256 operations"))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!get_op(r, &ops[i]))
            return false;
    tx->op_count = (uint16_t)count;
    tx->ops = ops;
    return true;
}

/* get_v1: TransactionV1, behind its tag. */
static bool get_v1(struct bcs_reader *r, struct svm_tx *tx, struct svm_tx_space *space)
{
    if (!bcs_get_u64(r, &tx->chain) || !bcs_get_array(r, tx->sender.b, sizeof tx->sender.b) ||
        !bcs_get_u64(r, &tx->nonce) || !bcs_get_u64(r, &tx->expires_ms) ||
        !bcs_get_u64(r, &tx->gas_limit) || !bcs_get_u8(r, &tx->privacy))
        return false;
    if (tx->privacy > TX_PRIVACY_PRIVATE)
        return bcs_fail(r, r->at - 1, "privacy is neither 0 nor 1");
    return get_inputs(r, tx, space->inputs) && get_ops(r, tx, space->ops);
}

static enum svm_err refuse_bytes(const struct bcs_reader *r, struct svm_refusal *refusal)
{
    enum svm_err err = model_tx_refuse(refusal, SVM_E_TX_DECODE, "%s", r->reason);
    if (refusal != NULL) {
        refusal->has |= SVM_HAS_OFFSET;
        refusal->offset = (uint64_t)(r->bad_at - r->begin);
    }
    return err;
}

static enum svm_err refuse_private(struct svm_refusal *refusal)
{
    return model_tx_refuse(refusal, SVM_E_PRIVACY_UNAVAILABLE,
                           "private transactions are not available on this node");
}

static enum svm_err refuse_size(struct svm_refusal *refusal, size_t limit, size_t got)
{
    enum svm_err err = model_tx_refuse(
        refusal, SVM_E_TX_TOO_LARGE, "the transaction has %zu bytes, the limit is %zu", got, limit);
    if (refusal != NULL) {
        refusal->has |= SVM_HAS_LIMIT;
        refusal->limit = limit;
        refusal->got = got;
    }
    return err;
}

/* decode_tx: a Transaction; on SVM_OK the reader stands behind it and the form of TX is good. The static rules and
 * privacy = 1 are judged later, so that malformed bytes are always called malformed. */
static enum svm_err decode_tx(struct bcs_reader *r, struct svm_tx *tx, struct svm_tx_space *space,
                              struct svm_refusal *refusal)
{
    uint32_t tag;
    if (!bcs_get_uleb(r, &tag))
        return refuse_bytes(r, refusal);
    if (tag == TX_VARIANT_PRIVATE)
        return refuse_private(refusal);
    if (tag != TX_VARIANT_V1)
        return model_tx_refuse(refusal, SVM_E_UNSUPPORTED_VERSION,
                               "transaction variant %u is unknown; this node reads variant 0 (V1)",
                               (unsigned)tag);
    return get_v1(r, tx, space) ? SVM_OK : refuse_bytes(r, refusal);
}

/* judge: the rules for well-formed transactions. */
static enum svm_err judge(const struct svm_tx *tx, struct svm_refusal *refusal)
{
    if (tx->privacy == TX_PRIVACY_PRIVATE)
        return refuse_private(refusal);
    return model_tx_check_ops(tx, refusal);
}

enum svm_err svm_tx_decode(struct svm_tx *tx_out, struct svm_tx_space *space,
                           struct svm_bytes bytes, struct svm_refusal *refusal)
{
    if (bytes.len > TX_UNSIGNED_BYTES_MAX)
        return refuse_size(refusal, TX_UNSIGNED_BYTES_MAX, bytes.len);
    struct bcs_reader r;
    bcs_reader_init(&r, bytes);
    enum svm_err err = decode_tx(&r, tx_out, space, refusal);
    if (err != SVM_OK)
        return err;
    if (!bcs_get_end(&r))
        return refuse_bytes(&r, refusal);
    return judge(tx_out, refusal);
}

static bool get_auths(struct bcs_reader *r, struct svm_signed_tx *stx)
{
    const uint8_t *start = r->at;
    uint32_t count, tag;
    if (!bcs_get_uleb(r, &count))
        return false;
    if (count != 1)
        return bcs_fail(r, start, "a transaction carries exactly one signature");
    start = r->at;
    if (!bcs_get_uleb(r, &tag))
        return false;
    if (tag != TX_AUTH_ED25519)
        return bcs_fail(r, start, "a signature of an unknown kind");
    return bcs_get_array(r, stx->public_key.b, sizeof stx->public_key.b) &&
           bcs_get_array(r, stx->signature.b, sizeof stx->signature.b);
}

enum svm_err svm_signed_tx_decode(struct svm_signed_tx *stx_out, struct svm_tx_space *space,
                                  struct svm_bytes bytes, struct svm_refusal *refusal)
{
    if (bytes.len > SVM_TX_BYTES_MAX)
        return refuse_size(refusal, SVM_TX_BYTES_MAX, bytes.len);
    struct bcs_reader r;
    bcs_reader_init(&r, bytes);
    enum svm_err err = decode_tx(&r, &stx_out->tx, space, refusal);
    if (err != SVM_OK)
        return err;
    stx_out->tx_bytes = (struct svm_bytes){r.begin, (size_t)(r.at - r.begin)};
    if (!get_auths(&r, stx_out) || !bcs_get_end(&r))
        return refuse_bytes(&r, refusal);
    return judge(&stx_out->tx, refusal);
}
