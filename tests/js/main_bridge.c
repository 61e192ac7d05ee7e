/* js/main_bridge.c - SuperVM's codec behind a pipe, for the cross-check against other implementations.
 *
 * A request is a line, the answer is a line of JSON:
 *     decode HEX         SignedTransaction -> {"err", "offset"?, "op"?, "reason"?, "verify", "digest", "again", "tx"}
 *     sign SEED HEX      Transaction -> {"signed", "address", "publicKey"}
 *     random SEED        a random signed transaction -> {"signed", "seed", "tx"}
 *     sample N           the N-th sample of Frame or Receipt -> {"type", "bytes"}; {} behind the last
 * "again" is what our encoder makes of the decoded transaction; "tx" has the shape that @mysten/bcs gives it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/model_random.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "model/model.h"

static struct svm_tx_space space;
static uint8_t in[2 * SVM_TX_BYTES_MAX], out[SVM_TX_BYTES_MAX];
static char line[5 * SVM_TX_BYTES_MAX];

static void put_hex(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    putchar('"');
    for (size_t i = 0; i < len; i++)
        printf("%02x", p[i]);
    putchar('"');
}

static void put_hex_of(const char *name, const void *bytes, size_t len)
{
    printf("\"%s\":", name);
    put_hex(bytes, len);
}

/* ---- transactions as JSON ---------------------------------------------------------------------------------- */

static void put_input(const struct svm_input *input)
{
    static const char *const names[] = {"Owned", "Shared", "Immutable"};
    printf("{\"%s\":{", names[input->kind]);
    put_hex_of("id", input->id.b, 32);
    if (input->kind == SVM_KIND_OWNED && input->exact)
        printf(",\"version\":\"%llu\"", (unsigned long long)input->version);
    else if (input->kind == SVM_KIND_OWNED)
        printf(",\"version\":null");
    else if (input->kind == SVM_KIND_SHARED)
        printf(",\"mutable\":%s", input->writable ? "true" : "false");
    printf("}}");
}

static void put_owner(const struct svm_owner *owner)
{
    printf("\"owner\":{");
    if (owner->kind == SVM_KIND_OWNED)
        put_hex_of("Address", owner->address.b, 32);
    else if (owner->kind == SVM_KIND_SHARED)
        printf("\"Shared\":{\"open_withdraw\":%s}", owner->open_withdraw ? "true" : "false");
    else
        printf("\"Immutable\":true");
    printf("}");
}

static void put_check(const struct svm_op *op)
{
    static const char *const names[] = {"BalanceAtLeast", "DataHash", "Version"};
    printf(",\"check\":{");
    if (op->u.expect.kind == SVM_CHECK_DATA_HASH)
        put_hex_of(names[SVM_CHECK_DATA_HASH], op->u.expect.hash, 32);
    else
        printf("\"%s\":\"%llu\"", names[op->u.expect.kind], (unsigned long long)op->u.expect.value);
    printf("}");
}

static void put_amount(struct svm_amount amount)
{
    printf(",\"amount\":\"%llu\"", (unsigned long long)amount.units);
}

static void put_create(const struct svm_op *op)
{
    put_owner(&op->u.create.owner);
    printf(",\"type\":\"%.*s\",", (int)op->u.create.type.len, (const char *)op->u.create.type.ptr);
    put_hex_of("data", op->u.create.data.ptr, op->u.create.data.len);
}

static void put_fields(const struct svm_op *op)
{
    switch (op->kind) {
    case SVM_OP_TRANSFER:
        putchar(',');
        put_hex_of("to", op->u.transfer.to.b, 32);
        break;
    case SVM_OP_PAY:
        putchar(',');
        put_hex_of("to", op->u.pay.to.b, 32);
        put_amount(op->u.pay.amount);
        break;
    case SVM_OP_MOVE:
        printf(",\"into\":%u", op->u.move.into);
        put_amount(op->u.move.amount);
        break;
    case SVM_OP_UPDATE:
        putchar(',');
        put_hex_of("data", op->u.update.data.ptr, op->u.update.data.len);
        break;
    case SVM_OP_ADD:
        printf(",\"offset\":%u,\"delta\":\"%lld\"", op->u.add.offset, (long long)op->u.add.delta);
        break;
    case SVM_OP_EXPECT:
        put_check(op);
        break;
    case SVM_OP_SHARE:
        printf(",\"open_withdraw\":%s", op->u.share.open_withdraw ? "true" : "false");
        break;
    case SVM_OP_CREATE:
    case SVM_OP_DELETE:
    case SVM_OP_FREEZE:
    case SVM_OP_COUNT:
        break;
    }
}

static void put_op(const struct svm_op *op)
{
    static const char *const names[SVM_OP_COUNT] = {"Transfer", "Pay",   "Move",   "Create",
                                                    "Update",   "Add",   "Expect", "Delete",
                                                    "Share",    "Freeze"};
    printf("{\"%s\":{", names[op->kind]);
    if (op->kind == SVM_OP_CREATE) {
        put_create(op);
    } else {
        const bool from = op->kind == SVM_OP_PAY || op->kind == SVM_OP_MOVE;
        printf("\"%s\":%u", from ? "from" : "input", op->input);
        put_fields(op);
    }
    printf("}}");
}

static void put_tx(const struct svm_tx *tx)
{
    printf(",\"tx\":{\"V1\":{\"chain\":\"%llu\",", (unsigned long long)tx->chain);
    put_hex_of("sender", tx->sender.b, 32);
    printf(",\"nonce\":\"%llu\",\"expires_ms\":\"%llu\",\"gas_limit\":\"%llu\",\"privacy\":%u,"
           "\"inputs\":[",
           (unsigned long long)tx->nonce, (unsigned long long)tx->expires_ms,
           (unsigned long long)tx->gas_limit, tx->privacy);
    for (size_t i = 0; i < tx->input_count; i++) {
        printf("%s", i > 0 ? "," : "");
        put_input(&tx->inputs[i]);
    }
    printf("],\"ops\":[");
    for (size_t i = 0; i < tx->op_count; i++) {
        printf("%s", i > 0 ? "," : "");
        put_op(&tx->ops[i]);
    }
    printf("]}}");
}

/* ---- requests ---------------------------------------------------------------------------------------------- */

static void answer_decode(const char *hex)
{
    struct svm_signed_tx stx;
    struct svm_refusal refusal;
    size_t len;
    SVM_ASSERT(hex_decode(in, sizeof in, &len, hex, strlen(hex)));
    const enum svm_err err =
        svm_signed_tx_decode(&stx, &space, (struct svm_bytes){in, len}, &refusal);
    printf("{\"err\":\"%s\"", svm_err_name(err));
    if (err != SVM_OK) {
        printf(",\"reason\":\"%s\",\"offset\":%llu,\"op\":%u}\n", refusal.reason,
               (unsigned long long)refusal.offset, refusal.op);
        return;
    }
    struct svm_digest digest;
    svm_tx_digest(&digest, stx.tx_bytes);
    printf(",\"verify\":\"%s\",", svm_err_name(svm_signed_tx_verify(&stx, &refusal)));
    put_hex_of("digest", digest.b, 32);
    SVM_ASSERT(svm_tx_encode(out, sizeof out, &len, &stx.tx) == SVM_OK);
    putchar(',');
    put_hex_of("again", out, len);
    put_tx(&stx.tx);
    printf("}\n");
}

static void answer_sign(char *rest)
{
    char *hex = strchr(rest, ' ');
    SVM_ASSERT(hex != NULL);
    *hex++ = '\0';
    struct svm_secret_key key;
    struct svm_public_key public_key;
    struct svm_address address;
    size_t len;
    SVM_ASSERT(hex_decode(key.seed, sizeof key.seed, &len, rest, strlen(rest)) && len == 32);
    SVM_ASSERT(hex_decode(in, sizeof in, &len, hex, strlen(hex)));
    SVM_ASSERT(svm_tx_sign(out, sizeof out, &len, (struct svm_bytes){in, len}, &key) == SVM_OK);
    svm_key_public(&public_key, &key);
    svm_key_address(&address, &public_key);
    printf("{");
    put_hex_of("signed", out, len);
    putchar(',');
    put_hex_of("address", address.b, 32);
    putchar(',');
    put_hex_of("publicKey", public_key.b, 32);
    printf("}\n");
}

static void answer_random(const char *seed)
{
    static struct random_tx random;
    struct random r = {strtoull(seed, NULL, 0)};
    struct svm_secret_key key;
    struct svm_public_key public_key;
    size_t len;
    random_bytes(&r, key.seed, sizeof key.seed);
    random_tx(&r, &random);
    svm_key_public(&public_key, &key);
    svm_key_address(&random.tx.sender, &public_key);
    SVM_ASSERT(svm_tx_encode(out, sizeof out, &len, &random.tx) == SVM_OK);
    SVM_ASSERT(svm_tx_sign(out, sizeof out, &len, (struct svm_bytes){out, len}, &key) == SVM_OK);
    printf("{");
    put_hex_of("signed", out, len);
    putchar(',');
    put_hex_of("seed", key.seed, sizeof key.seed);
    put_tx(&random.tx);
    printf("}\n");
}

/* ---- samples of what nodes write --------------------------------------------------------------------------- */

static struct model_object *sample_object(enum svm_kind kind, bool deleted)
{
    struct model_object *object = calloc(1, model_object_size(4, 2));
    SVM_ASSERT(object != NULL);
    *object = (struct model_object){
        .last_tx = {{9}}, .version = 7, .created_ms = 1, .modified_ms = 2, .deleted = deleted};
    model_object_kind_set(object, kind);
    if (deleted)
        return object;
    if (kind != SVM_KIND_IMMUTABLE)
        object->party.b[0] = 8;
    object->open_withdraw = kind == SVM_KIND_SHARED;
    object->balance = 1000;
    object->type_len = 4;
    object->data_len = 2;
    memcpy(object->bytes, "coin\x01\x02", 6);
    return object;
}

/* sample_effects: writes of every shape. The objects live as long as the process. */
static struct model_effects sample_effects(struct model_write writes[4])
{
    const bool first = writes[0].object == NULL;
    for (unsigned i = 0; i < 4 && first; i++) {
        writes[i].id.b[0] = (uint8_t)(i + 1);
        writes[i].object = sample_object(i < 3 ? (enum svm_kind)i : SVM_KIND_OWNED, i == 3);
        writes[i].prior.kind = i == 3 ? MODEL_PRIOR_OWNED : (enum model_prior_kind)i;
        if (writes[i].prior.kind == MODEL_PRIOR_OWNED)
            writes[i].prior.owner.b[0] = 6;
    }
    return (struct model_effects){
        .digest = {{9}},
        .sender = {{5}},
        .seq = 77,
        .node_ms = 88,
        .gas_used = 1300,
        .path = SVM_PATH_CONSENSUS,
        .fallback = SVM_FALLBACK_CONTENDED,
        .fallback_object = {{2}},
        .latency_us = 250,
        .transfers = 2,
        .write_count = 4,
        .writes = writes,
    };
}

static void put_sample(const char *type, const uint8_t *end)
{
    printf("{\"type\":\"%s\",", type);
    put_hex_of("bytes", out, (size_t)(end - out));
    printf("}\n");
}

static void answer_sample(const char *number)
{
    static struct model_write writes[4];
    static const struct model_cell_write cells[] = {
        {.key = {(const uint8_t *)"a", 1}, .version = 3, .value = {(const uint8_t *)"one", 3}},
        {.key = {(const uint8_t *)"b", 1}, .version = 4, .deleted = true},
    };
    const struct model_cell_effects cell_effects = {
        .seq = 5, .node_ms = 6, .write_count = 2, .writes = cells};
    struct model_effects effects = sample_effects(writes);
    switch (atoi(number)) {
    case 0:
        put_sample("Frame", model_effects_encode(out, &effects));
        break;
    case 1:
        effects.write_count = 0;
        effects.fallback = SVM_FALLBACK_NONE;
        effects.failure = SVM_FAILURE_OVERFLOW;
        effects.failed_op = 3;
        put_sample("Frame", model_effects_encode(out, &effects));
        break;
    case 2:
        put_sample("Frame", model_cell_effects_encode(out, &cell_effects));
        break;
    case 3:
        put_sample("Frame", model_void_encode(out, 12));
        break;
    case 4: {
        struct svm_receipt *receipt = model_receipt_of(&effects);
        SVM_ASSERT(receipt != NULL);
        put_sample("Receipt", model_receipt_encode(out, receipt));
        free(receipt);
        break;
    }
    default:
        printf("{}\n");
    }
}

int main(void)
{
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "decode ", 7) == 0)
            answer_decode(line + 7);
        else if (strncmp(line, "sign ", 5) == 0)
            answer_sign(line + 5);
        else if (strncmp(line, "random ", 7) == 0)
            answer_random(line + 7);
        else if (strncmp(line, "sample ", 7) == 0)
            answer_sample(line + 7);
        else
            return 2;
        fflush(stdout);
    }
    return 0;
}
