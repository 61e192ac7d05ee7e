#include "cli/cli.h"

#include "base/bytes.h"
#include <svm/tx.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The same JSON form as tx_decode of the node gives, without asking it. */

static json_t *json_u64(uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return json_string(text);
}

static json_t *json_hex32(const uint8_t bytes[32])
{
    char text[67];
    svm_hex32_format(text, bytes);
    return json_string(text);
}

static json_t *json_hex(const uint8_t *bytes, size_t len)
{
    char text[2 * 64 + 3] = "0x";
    hex_encode(text + 2, bytes, len);
    return json_string(text);
}

static json_t *json_base64(struct svm_bytes bytes)
{
    char *text = malloc(base64_text_len(bytes.len) + 1);
    if (text == NULL) {
        return NULL;
    }
    base64_encode(text, bytes.ptr, bytes.len);
    json_t *json = json_string(text);
    free(text);
    return json;
}

static json_t *input_json(const struct svm_input *input)
{
    json_t *json =
        json_pack("{s:s, s:o}", "kind", svm_kind_name(input->kind), "id", json_hex32(input->id.b));
    if (input->kind == SVM_KIND_OWNED && input->exact) {
        json_object_set_new(json, "version", json_u64(input->version));
    }
    if (input->kind == SVM_KIND_SHARED) {
        json_object_set_new(json, "mutable", json_boolean(input->writable));
    }
    return json;
}

static json_t *check_json(const struct svm_op *op)
{
    switch (op->u.expect.kind) {
    case SVM_CHECK_BALANCE_AT_LEAST:
        return json_pack("{s:s, s:o}", "kind", "balanceAtLeast", "amount",
                         json_u64(op->u.expect.value));
    case SVM_CHECK_DATA_HASH:
        return json_pack("{s:s, s:o}", "kind", "dataHash", "hash", json_hex32(op->u.expect.hash));
    case SVM_CHECK_VERSION:
        return json_pack("{s:s, s:o}", "kind", "version", "version", json_u64(op->u.expect.value));
    }
    return NULL;
}

static json_t *owner_json(const struct svm_owner *owner)
{
    json_t *json = json_pack("{s:s}", "kind", svm_kind_name(owner->kind));
    if (owner->kind == SVM_KIND_OWNED) {
        json_object_set_new(json, "address", json_hex32(owner->address.b));
    }
    if (owner->kind == SVM_KIND_SHARED) {
        json_object_set_new(json, "openWithdraw", json_boolean(owner->open_withdraw));
    }
    return json;
}

static void create_json(json_t *json, const struct svm_op *op)
{
    json_object_set_new(json, "owner", owner_json(&op->u.create.owner));
    json_object_set_new(json, "type",
                        json_stringn((const char *)op->u.create.type.ptr, op->u.create.type.len));
    json_object_set_new(json, "data", json_base64(op->u.create.data));
}

static json_t *op_json(const struct svm_op *op)
{
    json_t *json = json_pack("{s:s}", "op", svm_op_name(op->kind));
    const bool from = op->kind == SVM_OP_PAY || op->kind == SVM_OP_MOVE;
    if (op->kind != SVM_OP_CREATE) {
        json_object_set_new(json, from ? "from" : "input", json_integer(op->input));
    }
    switch (op->kind) {
    case SVM_OP_TRANSFER:
        json_object_set_new(json, "to", json_hex32(op->u.transfer.to.b));
        break;
    case SVM_OP_PAY:
        json_object_set_new(json, "to", json_hex32(op->u.pay.to.b));
        json_object_set_new(json, "amount", json_u64(op->u.pay.amount.units));
        break;
    case SVM_OP_MOVE:
        json_object_set_new(json, "into", json_integer(op->u.move.into));
        json_object_set_new(json, "amount", json_u64(op->u.move.amount.units));
        break;
    case SVM_OP_CREATE:
        create_json(json, op);
        break;
    case SVM_OP_UPDATE:
        json_object_set_new(json, "data", json_base64(op->u.update.data));
        break;
    case SVM_OP_ADD: {
        char text[24];
        snprintf(text, sizeof text, "%lld", (long long)op->u.add.delta);
        json_object_set_new(json, "offset", json_integer(op->u.add.offset));
        json_object_set_new(json, "delta", json_string(text));
        break;
    }
    case SVM_OP_EXPECT:
        json_object_set_new(json, "check", check_json(op));
        break;
    case SVM_OP_SHARE:
        json_object_set_new(json, "openWithdraw", json_boolean(op->u.share.open_withdraw));
        break;
    case SVM_OP_DELETE:
    case SVM_OP_FREEZE:
    case SVM_OP_COUNT:
        break;
    }
    return json;
}

static json_t *tx_json(const struct svm_tx *tx)
{
    json_t *inputs = json_array();
    json_t *ops = json_array();
    for (size_t i = 0; i < tx->input_count; i++) {
        json_array_append_new(inputs, input_json(&tx->inputs[i]));
    }
    for (size_t i = 0; i < tx->op_count; i++) {
        json_array_append_new(ops, op_json(&tx->ops[i]));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "chain", json_u64(tx->chain), "sender",
                     json_hex32(tx->sender.b), "nonce", json_u64(tx->nonce), "expiresMs",
                     json_u64(tx->expires_ms), "gasLimit", json_u64(tx->gas_limit), "inputs",
                     inputs, "ops", ops);
}

/* A signed transaction, else an unsigned one: they cannot be taken for each other, as both must end with their bytes. */
static enum svm_err decode_either(struct svm_signed_tx *stx, bool *signed_out,
                                  struct svm_bytes bytes, struct svm_refusal *refusal)
{
    static struct svm_tx_space space;
    struct svm_refusal second = {.err = SVM_OK};
    *signed_out = true;
    const enum svm_err err = svm_signed_tx_decode(stx, &space, bytes, refusal);
    if (err == SVM_OK) {
        return SVM_OK;
    }
    if (svm_tx_decode(&stx->tx, &space, bytes, &second) == SVM_OK) {
        *signed_out = false;
        stx->tx_bytes = bytes;
        return SVM_OK;
    }
    return err;
}

int command_tx_decode(struct cli *cli, struct args *args)
{
    struct svm_signed_tx stx;
    struct svm_refusal refusal = {.err = SVM_OK};
    struct svm_digest digest;
    bool is_signed = false;
    size_t len = 0;
    if (args_check(args, 1, 2, "tx") != CLI_OK) {
        return CLI_USAGE;
    }
    uint8_t *bytes = read_base64(&len, args->argc > 1 ? args->argv[1] : "-");
    if (bytes == NULL) {
        return CLI_USAGE;
    }
    const enum svm_err err =
        decode_either(&stx, &is_signed, (struct svm_bytes){bytes, len}, &refusal);
    if (err != SVM_OK) {
        free(bytes);
        return cli_fail(CLI_RPC_ERROR, "%s: %s", svm_err_name(err),
                        refusal.reason[0] != '\0' ? refusal.reason : svm_err_text(err));
    }
    svm_tx_digest(&digest, stx.tx_bytes);
    json_t *answer =
        json_pack("{s:o, s:o, s:o, s:b}", "transaction", tx_json(&stx.tx), "digest",
                  json_hex32(digest.b), "tx", json_base64(stx.tx_bytes), "signed", (int)is_signed);
    if (is_signed) {
        json_object_set_new(answer, "publicKey", json_hex32(stx.public_key.b));
        json_object_set_new(answer, "signature", json_hex(stx.signature.b, sizeof stx.signature.b));
        json_object_set_new(answer, "verified",
                            json_boolean(svm_signed_tx_verify(&stx, NULL) == SVM_OK));
    }
    if (!cli->json_given) {
        cli->json = true;
    }
    print_result(cli, answer);
    json_decref(answer);
    free(bytes);
    return CLI_OK;
}
