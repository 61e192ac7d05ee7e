#include "traffic.h"

#include <stdlib.h>
#include <string.h>

#include "model/model.h"

void bank_open(struct bank *bank, unsigned workers, struct engine_hooks *hooks)
{
    struct svm_chain_info info;
    memset(bank, 0, sizeof *bank);
    bank->engine = litmus_open(workers, hooks);
    svm_chain_info(bank->engine, &info);
    bank->chain = info.chain;
    svm_dev_account(&bank->alice, 0);
    svm_dev_account(&bank->bob, 1);
    svm_dev_account(&bank->carol, 2);
}

void bank_close(struct bank *bank)
{
    svm_engine_close(bank->engine);
}

/* ---- waves ----------------------------------------------------------------------------------------------------------- */

void wave_init(struct wave *wave)
{
    pthread_mutex_init(&wave->lock, NULL);
    pthread_cond_init(&wave->changed, NULL);
    wave->open = 0;
}

void wave_wait(struct wave *wave)
{
    pthread_mutex_lock(&wave->lock);
    while (wave->open > 0)
        pthread_cond_wait(&wave->changed, &wave->lock);
    pthread_mutex_unlock(&wave->lock);
}

void wave_deinit(struct wave *wave)
{
    pthread_mutex_destroy(&wave->lock);
    pthread_cond_destroy(&wave->changed);
}

static void answered(void *arg, const struct svm_outcome *outcome)
{
    struct slip *slip = arg;
    pthread_mutex_lock(&slip->wave->lock);
    slip->answers++;
    slip->err = outcome->err;
    if (outcome->refusal)
        slip->refusal = *outcome->refusal;
    if (outcome->receipt) {
        slip->receipt = *outcome->receipt;
        if (slip->receipt.change_count > 0)
            slip->change = outcome->receipt->changes[0];
        slip->receipt.changes = NULL;
    }
    if (--slip->wave->open == 0)
        pthread_cond_broadcast(&slip->wave->changed);
    pthread_mutex_unlock(&slip->wave->lock);
}

/* ---- slips ------------------------------------------------------------------------------------------------------------ */

void slip_init(struct slip *slip, const struct svm_address *sender)
{
    memset(slip, 0, sizeof *slip);
    slip->tx.sender = *sender;
    slip->tx.gas_limit = 100000;
}

static uint16_t add_input(struct slip *slip, const struct svm_input *input)
{
    LITMUS_MUST(slip->tx.input_count < SLIP_INPUTS);
    slip->inputs[slip->tx.input_count] = *input;
    return slip->tx.input_count++;
}

uint16_t slip_owned(struct slip *slip, const struct svm_id *id, uint64_t version)
{
    return add_input(slip, &(struct svm_input){.id = *id,
                                               .kind = SVM_KIND_OWNED,
                                               .exact = version != 0,
                                               .writable = true,
                                               .version = version});
}

uint16_t slip_shared(struct slip *slip, const struct svm_id *id, bool writable)
{
    return add_input(slip,
                     &(struct svm_input){.id = *id, .kind = SVM_KIND_SHARED, .writable = writable});
}

struct svm_op *slip_op(struct slip *slip, enum svm_op_kind kind, uint16_t input)
{
    LITMUS_MUST(slip->tx.op_count < SLIP_OPS);
    struct svm_op *op = &slip->ops[slip->tx.op_count++];
    op->kind = kind;
    op->input = input;
    return op;
}

void slip_add(struct slip *slip, uint16_t input, int64_t delta)
{
    slip_op(slip, SVM_OP_ADD, input)->u.add.delta = delta;
}

void slip_put(struct slip *slip, uint16_t input, const uint64_t *value)
{
    slip_op(slip, SVM_OP_UPDATE, input)->u.update.data =
        (struct svm_bytes){(const uint8_t *)value, sizeof *value};
}

void slip_expect(struct slip *slip, uint16_t input, const uint64_t *value)
{
    struct svm_op *op = slip_op(slip, SVM_OP_EXPECT, input);
    struct model_hash hash;
    struct svm_digest digest;
    model_hash_init(&hash);
    model_hash_add(&hash, value, sizeof *value);
    model_hash_final(&hash, &digest);
    op->u.expect.kind = SVM_CHECK_DATA_HASH;
    memcpy(op->u.expect.hash, digest.b, sizeof op->u.expect.hash);
}

void slip_send(struct bank *bank, struct wave *wave, struct slip *slip)
{
    uint8_t bytes[1024];
    size_t len;
    slip->wave = wave;
    slip->tx.inputs = slip->inputs;
    slip->tx.ops = slip->ops;
    slip->tx.chain = bank->chain;
    slip->tx.nonce = atomic_fetch_add(&bank->nonce, 1);
    slip->tx.expires_ms = svm_now_ms(bank->engine) + 300000;
    LITMUS_MUST(svm_tx_encode(bytes, sizeof bytes - 98, &len, &slip->tx) == SVM_OK);
    svm_tx_digest(&slip->digest, (struct svm_bytes){bytes, len});
    memset(bytes + len, 0, 98); /* one Ed25519 auth that nobody looks at */
    bytes[len] = 1;
    pthread_mutex_lock(&wave->lock);
    wave->open++;
    pthread_mutex_unlock(&wave->lock);
    LITMUS_MUST(svm_submit(bank->engine, (struct svm_bytes){bytes, len + 98}, SVM_WAIT_EXECUTED,
                           answered, slip, NULL) == SVM_OK);
}

bool slip_ok(const struct slip *slip)
{
    return slip->answers == 1 && slip->err == SVM_OK && slip->receipt.failure == SVM_FAILURE_NONE;
}

/* ---- objects ----------------------------------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct svm_id));
}

void bank_create(struct bank *bank, struct svm_id *ids_out, size_t count, bool shared)
{
    static const uint64_t zero;
    struct slip *slips = calloc(count, sizeof *slips);
    struct wave wave;
    LITMUS_MUST(slips != NULL);
    wave_init(&wave);
    for (size_t i = 0; i < count; i++) {
        slip_init(&slips[i], &bank->alice.address);
        struct svm_op *op = slip_op(&slips[i], SVM_OP_CREATE, 0);
        op->u.create.owner.kind = shared ? SVM_KIND_SHARED : SVM_KIND_OWNED;
        if (!shared)
            op->u.create.owner.address = bank->alice.address;
        op->u.create.type = (struct svm_bytes){(const uint8_t *)"cell", 4};
        op->u.create.data = (struct svm_bytes){(const uint8_t *)&zero, sizeof zero};
        slip_send(bank, &wave, &slips[i]);
    }
    wave_wait(&wave);
    for (size_t i = 0; i < count; i++) {
        LITMUS_MUST(slip_ok(&slips[i]));
        ids_out[i] = slips[i].change.id;
    }
    qsort(ids_out, count, sizeof *ids_out, by_bytes);
    wave_deinit(&wave);
    free(slips);
}

struct svm_snapshot *bank_look(struct bank *bank)
{
    struct svm_snapshot *snapshot;
    LITMUS_MUST(svm_snapshot_open(bank->engine, &snapshot) == SVM_OK);
    return snapshot;
}

uint64_t bank_value(struct svm_snapshot *snapshot, const struct svm_id *id)
{
    struct svm_object *object;
    uint64_t value;
    LITMUS_MUST(svm_object_get(snapshot, id, &object) == SVM_OK);
    LITMUS_MUST(object->data.len >= sizeof value);
    memcpy(&value, object->data.ptr, sizeof value);
    svm_object_free(object);
    return value;
}

uint64_t bank_balance(struct svm_snapshot *snapshot, const struct svm_id *id)
{
    struct svm_object *object;
    LITMUS_MUST(svm_object_get(snapshot, id, &object) == SVM_OK);
    uint64_t balance = object->balance.units;
    svm_object_free(object);
    return balance;
}
