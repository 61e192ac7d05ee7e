/* Transactions: bytes that decode are the one encoding of what they decode to; what can be encoded decodes to itself. */
#include "fuzz.h"

#include <svm/tx.h>

static struct svm_tx_space space, space_again;
static uint8_t again[SVM_TX_BYTES_MAX + 1024];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

/* A refusal says what, and where. */
static void check_refusal(enum svm_err err, const struct svm_refusal *refusal, size_t len)
{
    FUZZ_CHECK(err == SVM_E_TX_DECODE || err == SVM_E_TX_TOO_LARGE ||
                   err == SVM_E_UNSUPPORTED_VERSION || err == SVM_E_PRIVACY_UNAVAILABLE ||
                   err == SVM_E_OP_INVALID,
               "%s", svm_err_name(err));
    FUZZ_CHECK(refusal->err == err, "%s", svm_err_name(refusal->err));
    FUZZ_CHECK((refusal->has & SVM_HAS_OFFSET) == 0 || refusal->offset <= len, "offset %llu of %zu",
               (unsigned long long)refusal->offset, len);
    FUZZ_CHECK(memchr(refusal->reason, '\0', sizeof refusal->reason) != NULL, "reason");
}

static void check_identity(const struct svm_tx *tx, struct svm_bytes bytes)
{
    size_t len = 0;
    FUZZ_CHECK(svm_tx_check(tx, NULL) == SVM_OK, "decoded, and breaks the rules");
    FUZZ_CHECK(svm_tx_encode(again, sizeof again, &len, tx) == SVM_OK, "decoded, not encodable");
    FUZZ_CHECK(len == bytes.len && memcmp(again, bytes.ptr, len) == 0,
               "a second encoding: %zu, %zu", len, bytes.len);
    if (len > 0)
        FUZZ_CHECK(svm_tx_encode(again, len - 1, &len, tx) == SVM_E_TX_TOO_LARGE, "CAP");
    FUZZ_CHECK(len == bytes.len, "length of what does not fit: %zu", len);
}

/* The builder, given the same inputs and operations, makes the same bytes: the inputs are in order already. */
static void check_builder(const struct svm_tx *tx, struct svm_bytes bytes)
{
    size_t len = 0;
    struct svm_tx_builder *builder = svm_tx_builder_create(tx->chain, &tx->sender);
    if (builder == NULL)
        return;
    svm_tx_builder_nonce(builder, tx->nonce);
    svm_tx_builder_expires(builder, tx->expires_ms);
    svm_tx_builder_gas_limit(builder, tx->gas_limit);
    for (unsigned i = 0; i < tx->input_count; i++) {
        const struct svm_input *input = &tx->inputs[i];
        const int handle =
            input->kind == SVM_KIND_SHARED
                ? svm_tx_builder_shared(builder, &input->id, input->writable)
            : input->kind == SVM_KIND_IMMUTABLE ? svm_tx_builder_immutable(builder, &input->id)
            : input->exact ? svm_tx_builder_owned(builder, &input->id, input->version)
                           : svm_tx_builder_owned_latest(builder, &input->id);
        FUZZ_CHECK(handle == (int)i, "handle %d", handle);
    }
    for (unsigned i = 0; i < tx->op_count; i++)
        FUZZ_CHECK(svm_tx_builder_op(builder, &tx->ops[i]) == (int)i, "operation %u", i);
    FUZZ_CHECK(svm_tx_builder_finish(builder, again, sizeof again, &len, NULL) == SVM_OK, "finish");
    FUZZ_CHECK(len == bytes.len && memcmp(again, bytes.ptr, len) == 0, "the builder's bytes");
    svm_tx_builder_destroy(builder);
}

static void try_neighbour(struct svm_bytes bytes)
{
    struct svm_tx tx;
    if (svm_tx_decode(&tx, &space, bytes, NULL) == SVM_OK)
        check_identity(&tx, bytes);
}

static void try_unsigned(struct svm_bytes bytes)
{
    struct svm_tx tx;
    struct svm_refusal refusal;
    const enum svm_err err = svm_tx_decode(&tx, &space, bytes, &refusal);
    if (err != SVM_OK) {
        check_refusal(err, &refusal, bytes.len);
        FUZZ_CHECK(svm_tx_decode(&tx, &space, bytes, NULL) == err, "without a refusal");
        return;
    }
    check_identity(&tx, bytes);
    check_builder(&tx, bytes);
    fuzz_neighbours(bytes, try_neighbour);
}

static void try_signed(struct svm_bytes bytes)
{
    struct svm_signed_tx stx;
    struct svm_refusal refusal;
    const enum svm_err err = svm_signed_tx_decode(&stx, &space, bytes, &refusal);
    if (err != SVM_OK) {
        check_refusal(err, &refusal, bytes.len);
        return;
    }
    const size_t lead = stx.tx_bytes.len;
    FUZZ_CHECK(stx.tx_bytes.ptr == bytes.ptr && lead < bytes.len, "what was signed");
    check_identity(&stx.tx, stx.tx_bytes);
    FUZZ_CHECK(bytes.len == lead + 98 && bytes.ptr[lead] == 1 && bytes.ptr[lead + 1] == 0 &&
                   memcmp(bytes.ptr + lead + 2, stx.public_key.b, 32) == 0 &&
                   memcmp(bytes.ptr + lead + 34, stx.signature.b, 64) == 0,
               "the auth");
    (void)!svm_signed_tx_verify(&stx, &refusal);
}

/* ---- the other way: a transaction made of any numbers ------------------------------------------------------- */

static void make_op(struct svm_op *op, struct fuzz_in *in)
{
    memset(op, 0, sizeof *op);
    op->kind = (enum svm_op_kind)(fuzz_u8(in) % (SVM_OP_COUNT + 1));
    op->input = (uint16_t)(fuzz_u8(in) % 5);
    switch (op->kind) {
    case SVM_OP_TRANSFER:
        op->u.transfer.to.b[0] = fuzz_u8(in);
        break;
    case SVM_OP_PAY:
        op->u.pay.amount.units = fuzz_uint(in, 2);
        break;
    case SVM_OP_MOVE:
        op->u.move.amount.units = fuzz_uint(in, 2);
        op->u.move.into = (uint16_t)(fuzz_u8(in) % 5);
        break;
    case SVM_OP_CREATE:
        op->u.create.owner.kind = (enum svm_kind)(fuzz_u8(in) % 4);
        op->u.create.owner.open_withdraw = fuzz_u8(in) & 1;
        op->u.create.type = fuzz_slice(in, fuzz_u8(in) % (SVM_TYPE_BYTES_MAX + 2));
        op->u.create.data = fuzz_slice(in, fuzz_u8(in));
        break;
    case SVM_OP_UPDATE:
        op->u.update.data = fuzz_slice(in, fuzz_uint(in, 2));
        break;
    case SVM_OP_ADD:
        op->u.add.delta = (int64_t)fuzz_uint(in, 8);
        op->u.add.offset = (uint16_t)fuzz_uint(in, 2);
        break;
    case SVM_OP_EXPECT:
        op->u.expect.kind = (enum svm_check_kind)(fuzz_u8(in) % 4);
        op->u.expect.value = fuzz_uint(in, 3);
        break;
    case SVM_OP_SHARE:
        op->u.share.open_withdraw = fuzz_u8(in) & 1;
        break;
    case SVM_OP_DELETE:
    case SVM_OP_FREEZE:
    case SVM_OP_COUNT:
        break;
    }
}

static void make_tx(struct svm_tx *tx, struct fuzz_in *in)
{
    memset(tx, 0, sizeof *tx);
    tx->chain = fuzz_uint(in, 1);
    tx->expires_ms = fuzz_uint(in, 2);
    tx->privacy = (uint8_t)(fuzz_u8(in) / 100);
    tx->input_count = (uint16_t)(fuzz_u8(in) % 5);
    tx->op_count = (uint16_t)(fuzz_u8(in) % 5);
    for (unsigned i = 0; i < tx->input_count; i++) {
        struct svm_input *input = &space_again.inputs[i];
        memset(input, 0, sizeof *input);
        const uint8_t what = fuzz_u8(in);
        input->id.b[0] = fuzz_u8(in);
        input->kind = (enum svm_kind)(what & 3);
        input->exact = what >> 2 & 1;
        input->writable = what >> 3 & 1;
        input->version = fuzz_u8(in);
    }
    for (unsigned i = 0; i < tx->op_count; i++)
        make_op(&space_again.ops[i], in);
    tx->inputs = space_again.inputs;
    tx->ops = space_again.ops;
}

static void try_struct(struct fuzz_in in)
{
    static uint8_t encoded[SVM_TX_BYTES_MAX];
    struct svm_tx tx, back;
    size_t len = 0;
    make_tx(&tx, &in);
    const enum svm_err err = svm_tx_encode(encoded, sizeof encoded, &len, &tx);
    FUZZ_CHECK(err == SVM_OK || err == SVM_E_OP_INVALID || err == SVM_E_TX_TOO_LARGE, "%s",
               svm_err_name(err));
    const enum svm_err checked = svm_tx_check(&tx, NULL);
    FUZZ_CHECK(checked == SVM_OK || checked == SVM_E_OP_INVALID, "%s", svm_err_name(checked));
    FUZZ_CHECK(checked != SVM_OK || err == SVM_OK, "in order, and not encodable");
    if (err != SVM_OK)
        return;
    uint8_t *copy = fuzz_copy(encoded, len);
    const struct svm_bytes bytes = {copy, len};
    const enum svm_err decoded = svm_tx_decode(&back, &space, bytes, NULL);
    const enum svm_err want = checked != SVM_OK ? SVM_E_OP_INVALID
                              : tx.privacy != 0 ? SVM_E_PRIVACY_UNAVAILABLE
                                                : SVM_OK;
    FUZZ_CHECK(decoded == want || (tx.privacy != 0 && decoded == SVM_E_PRIVACY_UNAVAILABLE),
               "%s, not %s", svm_err_name(decoded), svm_err_name(want));
    if (decoded == SVM_OK)
        check_identity(&back, bytes);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct svm_bytes bytes = {data, size};
    try_unsigned(bytes);
    try_signed(bytes);
    try_struct((struct fuzz_in){data, size});
    return 0;
}
