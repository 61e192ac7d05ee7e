/* The rules of a transaction that need no state. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/tx.h"

enum svm_err model_tx_refuse(struct svm_refusal *refusal, enum svm_err err, const char *format, ...)
{
    if (refusal == NULL)
        return err;
    memset(refusal, 0, sizeof *refusal);
    refusal->err = err;
    va_list args;
    va_start(args, format);
    vsnprintf(refusal->reason, sizeof refusal->reason, format, args);
    va_end(args);
    return err;
}

static enum svm_err refuse_op(struct svm_refusal *refusal, size_t op_index, const struct svm_op *op,
                              const char *reason)
{
    enum svm_err err = model_tx_refuse(refusal, SVM_E_OP_INVALID, "operation %zu (%s): %s",
                                       op_index, svm_op_name(op->kind), reason);
    if (refusal != NULL) {
        refusal->has |= SVM_HAS_OP;
        refusal->op = (uint16_t)op_index;
    }
    return err;
}

static enum svm_err refuse_input(struct svm_refusal *refusal, size_t index,
                                 const struct svm_input *input, const char *reason)
{
    enum svm_err err = model_tx_refuse(refusal, SVM_E_OP_INVALID, "input %zu %s", index, reason);
    if (refusal != NULL) {
        refusal->has |= SVM_HAS_OBJECT;
        refusal->object = input->id;
    }
    return err;
}

bool model_type_is_good(struct svm_bytes type)
{
    if (type.len == 0 || type.len > SVM_TYPE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < type.len; i++) {
        const uint8_t c = type.ptr[i];
        const bool good =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= ':') || c == '.' || c == '_' || c == '-';
        if (!good)
            return false;
    }
    return true;
}

/* ---- form -------------------------------------------------------------------------------------------------- */

static const char *bad_form_of_create(const struct svm_op *op)
{
    if ((unsigned)op->u.create.owner.kind > SVM_KIND_IMMUTABLE)
        return "the owner is of an unknown kind";
    if (!model_type_is_good(op->u.create.type))
        return "the type must be 1 to 64 of a-z 0-9 . _ : -";
    if (op->u.create.data.len > SVM_DATA_BYTES_MAX)
        return "the data has more than 65536 bytes";
    return NULL;
}

static const char *bad_form_of_op(const struct svm_op *op)
{
    if ((unsigned)op->kind >= SVM_OP_COUNT)
        return "unknown kind";
    if (op->kind == SVM_OP_CREATE)
        return bad_form_of_create(op);
    if (op->kind == SVM_OP_UPDATE && op->u.update.data.len > SVM_DATA_BYTES_MAX)
        return "the data has more than 65536 bytes";
    if (op->kind == SVM_OP_EXPECT && (unsigned)op->u.expect.kind > SVM_CHECK_VERSION)
        return "the check is of an unknown kind";
    return NULL;
}

enum svm_err model_tx_check_form(const struct svm_tx *tx, struct svm_refusal *refusal)
{
    if (tx->privacy > TX_PRIVACY_PRIVATE)
        return model_tx_refuse(refusal, SVM_E_OP_INVALID, "privacy is neither 0 nor 1");
    if (tx->input_count > SVM_TX_INPUTS_MAX)
        return model_tx_refuse(refusal, SVM_E_OP_INVALID, "more than 256 inputs");
    if (tx->op_count > SVM_TX_OPS_MAX)
        return model_tx_refuse(refusal, SVM_E_OP_INVALID, "more than 256 operations");
    for (size_t i = 0; i < tx->input_count; i++) {
        const struct svm_input *input = &tx->inputs[i];
        if ((unsigned)input->kind > SVM_KIND_IMMUTABLE)
            return refuse_input(refusal, i, input, "is of an unknown kind");
        if (input->exact && input->kind != SVM_KIND_OWNED)
            return refuse_input(refusal, i, input, "names a version, which only owned ones have");
        if (i > 0 && memcmp(input[-1].id.b, input->id.b, sizeof input->id.b) >= 0)
            return refuse_input(refusal, i, input, "is not in strictly ascending order of ids");
    }
    for (size_t i = 0; i < tx->op_count; i++) {
        const char *reason = bad_form_of_op(&tx->ops[i]);
        if (reason != NULL)
            return refuse_op(refusal, i, &tx->ops[i], reason);
    }
    return SVM_OK;
}

/* ---- operations -------------------------------------------------------------------------------------------- */

/* Inputs that an earlier operation has transferred, shared, frozen or deleted. */
struct closed_set {
    uint64_t bits[SVM_TX_INPUTS_MAX / 64];
};

static bool is_closed(const struct closed_set *closed, unsigned index)
{
    return (closed->bits[index / 64] >> index % 64 & 1) != 0;
}

static void close_input(struct closed_set *closed, unsigned index)
{
    closed->bits[index / 64] |= UINT64_C(1) << index % 64;
}

static bool is_writable(const struct svm_input *input)
{
    return input->kind == SVM_KIND_OWNED || (input->kind == SVM_KIND_SHARED && input->writable);
}

static const char *bad_target(const struct svm_tx *tx, const struct closed_set *closed,
                              unsigned index, bool writes)
{
    if (index >= tx->input_count)
        return "names an input that does not exist";
    if (is_closed(closed, index))
        return "names an input that an earlier operation has closed";
    if (!writes || is_writable(&tx->inputs[index]))
        return NULL;
    return tx->inputs[index].kind == SVM_KIND_IMMUTABLE
               ? "writes an immutable input"
               : "writes a shared input that is not declared mutable";
}

static const char *bad_move(const struct svm_tx *tx, const struct closed_set *closed,
                            const struct svm_op *op)
{
    const char *reason = bad_target(tx, closed, op->u.move.into, true);
    if (reason != NULL)
        return reason;
    if (op->u.move.into == op->input)
        return "from and into are the same input";
    return op->u.move.amount.units == 0 ? "the amount must be greater than 0" : NULL;
}

/* Transfer, Delete, Share, Freeze: only of an owned object, and nothing comes after. */
static const char *bad_closing(const struct svm_tx *tx, struct closed_set *closed,
                               const struct svm_op *op)
{
    if (tx->inputs[op->input].kind != SVM_KIND_OWNED)
        return "needs an owned input";
    close_input(closed, op->input);
    return NULL;
}

static const char *bad_op(const struct svm_tx *tx, struct closed_set *closed,
                          const struct svm_op *op)
{
    if (op->kind == SVM_OP_CREATE)
        return bad_form_of_create(op);
    const char *reason = bad_target(tx, closed, op->input, op->kind != SVM_OP_EXPECT);
    if (reason != NULL)
        return reason;
    switch (op->kind) {
    case SVM_OP_PAY:
        return op->u.pay.amount.units == 0 ? "the amount must be greater than 0" : NULL;
    case SVM_OP_MOVE:
        return bad_move(tx, closed, op);
    case SVM_OP_TRANSFER:
    case SVM_OP_DELETE:
    case SVM_OP_SHARE:
    case SVM_OP_FREEZE:
        return bad_closing(tx, closed, op);
    case SVM_OP_UPDATE:
    case SVM_OP_ADD:
    case SVM_OP_EXPECT:
        return NULL;
    case SVM_OP_CREATE:
    case SVM_OP_COUNT:
        break;
    }
    return "unknown kind";
}

enum svm_err model_tx_check_ops(const struct svm_tx *tx, struct svm_refusal *refusal)
{
    struct closed_set closed = {{0}};
    for (size_t i = 0; i < tx->op_count; i++) {
        const char *reason = bad_op(tx, &closed, &tx->ops[i]);
        if (reason != NULL)
            return refuse_op(refusal, i, &tx->ops[i], reason);
    }
    return SVM_OK;
}

enum svm_err svm_tx_check(const struct svm_tx *tx, struct svm_refusal *refusal)
{
    enum svm_err err = model_tx_check_form(tx, refusal);
    return err != SVM_OK ? err : model_tx_check_ops(tx, refusal);
}
