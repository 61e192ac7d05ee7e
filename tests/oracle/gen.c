#include "gen.h"

#include <stdlib.h>
#include <string.h>

static bool chance(struct gen *gen, unsigned percent)
{
    return rng_below(&gen->rng, 100) < percent;
}

static uint64_t below(struct gen *gen, uint64_t bound)
{
    return rng_below(&gen->rng, bound);
}

void gen_init(struct gen *gen, uint64_t seed, const struct ref *ref, uint64_t chain)
{
    memset(gen, 0, sizeof *gen);
    rng_init(&gen->rng, seed);
    gen->ref = ref;
    gen->chain = chain;
    for (unsigned i = 0; i <= MODEL_DEV_ACCOUNTS; i++)
        model_dev_account(&gen->accounts[i], i);
}

/* ---- objects ---------------------------------------------------------------------------------------------------- */

static const struct ref_object *random_object(struct gen *gen)
{
    return ref_at(gen->ref, below(gen, ref_count(gen->ref)));
}

/* The first live one of KIND from a random place on; there is always one in the genesis that cannot go. */
static const struct ref_object *random_of_kind(struct gen *gen, enum svm_kind kind)
{
    size_t count = ref_count(gen->ref), at = below(gen, count);
    for (size_t i = 0; i < count; i++) {
        const struct ref_object *object = ref_at(gen->ref, (at + i) % count);
        if (object->kind == kind && !object->deleted)
            return object;
    }
    return random_object(gen);
}

void gen_batch(struct gen *gen, uint64_t now_ms)
{
    gen->now_ms = now_ms;
    gen->fresh_count = 0;
    gen->hot_count = 2 + below(gen, GEN_HOT - 1);
    for (size_t i = 0; i < gen->hot_count; i++) {
        enum svm_kind kind = gen->ordered_only || chance(gen, 35) ? SVM_KIND_SHARED
                             : chance(gen, 8)                     ? SVM_KIND_IMMUTABLE
                                                                  : SVM_KIND_OWNED;
        const struct ref_object *object = random_of_kind(gen, kind);
        gen->hot[i] = (struct gen_hot){object->id, object->version};
    }
}

static struct gen_hot *find_hot(struct gen *gen, const struct svm_id *id)
{
    for (size_t i = 0; i < gen->hot_count; i++)
        if (memcmp(gen->hot[i].id.b, id->b, sizeof id->b) == 0)
            return &gen->hot[i];
    return NULL;
}

static struct svm_id pick_id(struct gen *gen)
{
    struct svm_id id;
    uint64_t roll = below(gen, 100);
    if (roll < 60)
        return gen->hot[below(gen, gen->hot_count)].id;
    if (gen->ordered_only)
        return random_of_kind(gen, SVM_KIND_SHARED)->id;
    if (roll < 63 && gen->fresh_count > 0)
        return gen->fresh[below(gen, gen->fresh_count)];
    if (roll < 64) {
        for (size_t i = 0; i < sizeof id.b; i++)
            id.b[i] = (uint8_t)rng_next(&gen->rng);
        return id;
    }
    return random_object(gen)->id; /* deleted ones too */
}

static bool owned_by(const struct ref_object *object, const struct svm_address *address)
{
    return object && !object->deleted && object->kind == SVM_KIND_OWNED &&
           memcmp(object->party.b, address->b, sizeof address->b) == 0;
}

/* An id for one more input of SENDER's transaction: mostly one that it may use. */
static struct svm_id pick_for(struct gen *gen, const struct svm_address *sender)
{
    struct svm_id id = pick_id(gen);
    for (unsigned i = 0; i < 12; i++, id = pick_id(gen)) {
        const struct ref_object *object = ref_get(gen->ref, &id);
        if (!object || object->kind != SVM_KIND_OWNED || owned_by(object, sender) || chance(gen, 4))
            break;
    }
    return id;
}

/* ---- inputs ----------------------------------------------------------------------------------------------------- */

static uint64_t guess_version(struct gen *gen, const struct svm_id *id)
{
    const struct gen_hot *hot = find_hot(gen, id);
    const struct ref_object *object = ref_get(gen->ref, id);
    return hot ? hot->version : object ? object->version : 1;
}

static struct svm_input make_input(struct gen *gen, const struct svm_id *id)
{
    const struct ref_object *object = ref_get(gen->ref, id);
    struct svm_input input = {.id = *id, .kind = object ? object->kind : SVM_KIND_OWNED};
    if (!gen->ordered_only && chance(gen, 2))
        input.kind = (enum svm_kind)below(gen, 3);
    if (input.kind == SVM_KIND_SHARED)
        input.writable = chance(gen, 65);
    if (input.kind != SVM_KIND_OWNED)
        return input;
    input.writable = true;
    input.exact = chance(gen, 55);
    if (input.exact) {
        uint64_t current = object ? object->version : 1;
        uint64_t roll = below(gen, 100);
        input.version = roll < 60 ? guess_version(gen, id) : current;
        if (roll >= 96)
            input.version += 1 + below(gen, 2);
        else if (roll >= 92 && current > 1)
            input.version = current - 1;
    }
    return input;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct svm_input *)a)->id.b, ((const struct svm_input *)b)->id.b, 32);
}

static void make_inputs(struct gen *gen, struct gen_tx *t)
{
    size_t wanted = below(gen, 100) < 4 ? 0 : 1 + below(gen, chance(gen, 15) ? GEN_INPUTS : 3);
    if (gen->ordered_only && wanted == 0)
        wanted = 1;
    struct svm_id first = pick_id(gen);
    const struct ref_object *object = ref_get(gen->ref, &first);
    t->tx.sender = gen->accounts[below(gen, MODEL_DEV_ACCOUNTS)].address;
    if (object && object->kind == SVM_KIND_OWNED && !object->deleted && chance(gen, 94))
        t->tx.sender = object->party;
    for (size_t i = 0; i < wanted; i++) {
        struct svm_id id = i == 0 ? first : pick_for(gen, &t->tx.sender);
        bool twice = false;
        for (uint16_t k = 0; k < t->tx.input_count; k++)
            twice |= memcmp(t->inputs[k].id.b, id.b, sizeof id.b) == 0;
        if (!twice)
            t->inputs[t->tx.input_count++] = make_input(gen, &id);
    }
    qsort(t->inputs, t->tx.input_count, sizeof t->inputs[0], by_id);
    for (uint16_t i = 0; i < t->tx.input_count; i++)
        t->shared |= t->inputs[i].kind == SVM_KIND_SHARED;
}

/* What the batch's later transactions will find. */
static void foresee(struct gen *gen, const struct gen_tx *t)
{
    uint64_t highest = 0;
    for (uint16_t i = 0; i < t->tx.input_count; i++) {
        uint64_t version = guess_version(gen, &t->inputs[i].id);
        highest = version > highest ? version : highest;
    }
    for (uint16_t i = 0; i < t->tx.input_count; i++) {
        struct gen_hot *hot = find_hot(gen, &t->inputs[i].id);
        if (hot && t->inputs[i].kind == SVM_KIND_OWNED)
            hot->version = highest + 1;
    }
    for (uint16_t i = 0; i < t->tx.op_count; i++)
        if (gen->fresh_count < 16 &&
            (t->ops[i].kind == SVM_OP_CREATE || t->ops[i].kind == SVM_OP_PAY))
            svm_tx_new_object_id(&gen->fresh[gen->fresh_count++], &t->digest, i);
}

/* ---- operations --------------------------------------------------------------------------------------------------- */

struct ops {
    struct gen *gen;
    struct gen_tx *t;
    size_t data_used;
    bool closed[GEN_INPUTS];
};

static struct svm_bytes some_data(struct ops *ops)
{
    static const uint16_t lengths[] = {0, 7, 8, 16, 16, 24, 40, 64};
    size_t len = lengths[below(ops->gen, 8)];
    if (chance(ops->gen, 2))
        len = GEN_DATA_BYTES_MAX;
    uint8_t *at = ops->t->data + ops->data_used;
    ops->data_used += len;
    for (size_t i = 0; i < len; i++)
        at[i] = i % 8 < 6 ? (uint8_t)rng_next(&ops->gen->rng) : 0;
    return (struct svm_bytes){at, len};
}

static uint64_t some_amount(struct ops *ops, uint16_t from)
{
    const struct ref_object *object = ref_get(ops->gen->ref, &ops->t->inputs[from].id);
    uint64_t balance = object ? object->balance : 0;
    uint64_t roll = below(ops->gen, 100);
    if (roll < 5)
        return balance + 1 + below(ops->gen, 1000);
    if (roll < 12 && balance > 0)
        return balance;
    return 1 + below(ops->gen, balance / 8 + 1);
}

static const struct svm_address *somebody(struct gen *gen)
{
    return &gen->accounts[below(gen, MODEL_DEV_ACCOUNTS)].address;
}

/* An input that may be written and is open, or -1. */
static int pick_writable(struct ops *ops, int but, bool owned)
{
    const struct gen_tx *t = ops->t;
    for (unsigned tries = 0; t->tx.input_count > 0 && tries < 8; tries++) {
        int i = (int)below(ops->gen, t->tx.input_count);
        if (t->inputs[i].writable && !ops->closed[i] && i != but &&
            (!owned || t->inputs[i].kind == SVM_KIND_OWNED))
            return i;
    }
    return -1;
}

static void make_create(struct ops *ops, struct svm_op *op)
{
    static const char *const types[] = {"note", "game:sword", "counter", "a.b_c-d"};
    const char *type = types[below(ops->gen, 4)];
    op->kind = SVM_OP_CREATE;
    op->u.create.owner.kind = chance(ops->gen, 80)   ? SVM_KIND_OWNED
                              : chance(ops->gen, 70) ? SVM_KIND_SHARED
                                                     : SVM_KIND_IMMUTABLE;
    if (op->u.create.owner.kind == SVM_KIND_OWNED)
        op->u.create.owner.address = *somebody(ops->gen);
    if (op->u.create.owner.kind == SVM_KIND_SHARED)
        op->u.create.owner.open_withdraw = chance(ops->gen, 50);
    op->u.create.type = (struct svm_bytes){(const uint8_t *)type, strlen(type)};
    op->u.create.data = some_data(ops);
}

static void make_add(struct ops *ops, struct svm_op *op)
{
    op->u.add.offset = chance(ops->gen, 90) ? 0 : (uint16_t)below(ops->gen, 80);
    op->u.add.delta = (int64_t)below(ops->gen, 1000) - 100;
    if (chance(ops->gen, 4))
        op->u.add.delta = chance(ops->gen, 50) ? INT64_MAX : INT64_MIN;
}

static void make_expect(struct ops *ops, struct svm_op *op, const struct ref_object *object)
{
    op->u.expect.kind = (enum svm_check_kind)below(ops->gen, 3);
    bool wrong = chance(ops->gen, 15);
    switch (op->u.expect.kind) {
    case SVM_CHECK_BALANCE_AT_LEAST:
        op->u.expect.value = (object ? object->balance / 2 : 0) + (wrong ? UINT64_MAX / 2 : 0);
        break;
    case SVM_CHECK_VERSION:
        op->u.expect.value = guess_version(ops->gen, &ops->t->inputs[op->input].id) + wrong;
        break;
    case SVM_CHECK_DATA_HASH:
        if (object) {
            struct model_hash hash;
            struct svm_digest digest;
            model_hash_init(&hash);
            model_hash_add(&hash, object->data, object->data_len);
            model_hash_final(&hash, &digest);
            memcpy(op->u.expect.hash, digest.b, sizeof op->u.expect.hash);
        }
        op->u.expect.hash[0] ^= wrong;
        break;
    }
}

/* An operation that reads: any input that is not closed. */
static bool make_reading(struct ops *ops, struct svm_op *op)
{
    if (ops->t->tx.input_count == 0)
        return false;
    op->input = (uint16_t)below(ops->gen, ops->t->tx.input_count);
    op->kind = SVM_OP_EXPECT;
    make_expect(ops, op, ref_get(ops->gen->ref, &ops->t->inputs[op->input].id));
    return !ops->closed[op->input];
}

static bool make_writing(struct ops *ops, struct svm_op *op, uint64_t roll)
{
    int i = pick_writable(ops, -1, roll >= 72);
    if (i < 0)
        return false;
    op->input = (uint16_t)i;
    if (roll < 22) {
        op->kind = SVM_OP_PAY;
        op->u.pay.to = *somebody(ops->gen);
        op->u.pay.amount.units = some_amount(ops, op->input);
    } else if (roll < 37) {
        int into = pick_writable(ops, i, false);
        if (into < 0)
            return false;
        op->kind = SVM_OP_MOVE;
        op->u.move.into = (uint16_t)into;
        op->u.move.amount.units = some_amount(ops, op->input);
    } else if (roll < 47) {
        op->kind = SVM_OP_UPDATE;
        op->u.update.data = some_data(ops);
    } else if (roll < 72) {
        op->kind = SVM_OP_ADD;
        make_add(ops, op);
    } else if (roll < 86) {
        op->kind = SVM_OP_TRANSFER;
        op->u.transfer.to = *somebody(ops->gen);
    } else if (roll < 94) {
        op->kind = SVM_OP_DELETE;
    } else if (roll < 98) {
        op->kind = SVM_OP_SHARE;
        op->u.share.open_withdraw = chance(ops->gen, 50);
    } else {
        op->kind = SVM_OP_FREEZE;
    }
    ops->closed[i] |= roll >= 72;
    return true;
}

static void make_ops(struct gen *gen, struct gen_tx *t)
{
    struct ops ops = {.gen = gen, .t = t};
    size_t wanted = chance(gen, 3) ? 0 : 1 + below(gen, chance(gen, 20) ? GEN_OPS : 3);
    for (size_t i = 0; i < wanted; i++) {
        struct svm_op *op = &t->ops[t->tx.op_count];
        memset(op, 0, sizeof *op);
        uint64_t roll = below(gen, 100);
        bool made = true;
        if (roll < 14)
            make_create(&ops, op);
        else if (roll < 28)
            made = make_reading(&ops, op);
        else
            made = make_writing(&ops, op, below(gen, 100));
        t->tx.op_count = (uint16_t)(t->tx.op_count + made);
    }
}

/* ---- the whole ------------------------------------------------------------------------------------------------------ */

static uint64_t base_gas(const struct gen_tx *t)
{
    return t->shared ? 5000 : 1000;
}

/* A fault that no state can cure. Returns what the engine must say, SVM_OK when it does not apply. */
static enum svm_err spoil(struct gen *gen, struct gen_tx *t)
{
    switch (below(gen, 8)) {
    case 0:
        t->tx.chain ^= 1;
        return SVM_E_WRONG_CHAIN;
    case 1:
        t->tx.expires_ms = gen->now_ms - 1 - below(gen, 1000);
        return SVM_E_EXPIRED;
    case 2:
        t->tx.expires_ms = gen->now_ms + 3600000;
        return SVM_E_EXPIRY_TOO_FAR;
    case 3:
        t->tx.gas_limit = base_gas(t) - 1;
        return SVM_E_GAS_TOO_LOW;
    case 4:
        t->tx.privacy = 1;
        return SVM_E_PRIVACY_UNAVAILABLE;
    case 5:
        memset(&t->ops[0], 0, sizeof t->ops[0]);
        t->ops[0] = (struct svm_op){.kind = SVM_OP_FREEZE, .input = GEN_INPUTS};
        t->tx.op_count = 1;
        return SVM_E_OP_INVALID;
    case 6:
        memset(&t->ops[0], 0, sizeof t->ops[0]);
        t->ops[0].kind = SVM_OP_CREATE;
        t->ops[0].u.create.owner.kind = SVM_KIND_IMMUTABLE;
        t->ops[0].u.create.type = (struct svm_bytes){(const uint8_t *)"big", 3};
        t->ops[0].u.create.data = (struct svm_bytes){t->data, GEN_DATA_BYTES_MAX + 1};
        t->tx.op_count = 1;
        return SVM_E_LIMIT_EXCEEDED;
    default:
        return SVM_OK;
    }
}

/* Faults of the bytes. */
static void spoil_bytes(struct gen *gen, struct gen_tx *t)
{
    switch (below(gen, 4)) {
    case 0:
        t->len -= 1 + below(gen, t->len - 1);
        t->planned = SVM_E_TX_DECODE;
        break;
    case 1:
        t->bytes[t->len++] = 0;
        t->planned = SVM_E_TX_DECODE;
        break;
    case 2:
        t->len = GEN_TX_BYTES_MAX + 1;
        t->planned = SVM_E_TX_TOO_LARGE;
        break;
    default:
        if (gen->sign) {
            t->bytes[t->len - 1 - below(gen, 64)] ^= 1;
            t->planned = SVM_E_BAD_SIGNATURE;
        }
        break;
    }
}

static const struct svm_secret_key *key_of(const struct gen *gen, const struct svm_address *address)
{
    for (unsigned i = 0; i <= MODEL_DEV_ACCOUNTS; i++)
        if (memcmp(gen->accounts[i].address.b, address->b, sizeof address->b) == 0)
            return &gen->accounts[i].key;
    SVM_ASSERT(false);
    return NULL;
}

static void encode(struct gen *gen, struct gen_tx *t)
{
    uint8_t raw[GEN_BYTES];
    size_t len;
    t->tx.inputs = t->inputs;
    t->tx.ops = t->ops;
    enum svm_err err = svm_tx_encode(raw, sizeof raw - 128, &len, &t->tx);
    SVM_ASSERT(err == SVM_OK);
    svm_tx_digest(&t->digest, (struct svm_bytes){raw, len});
    if (gen->sign) {
        err = svm_tx_sign(t->bytes, GEN_BYTES, &t->len, (struct svm_bytes){raw, len},
                          key_of(gen, &t->tx.sender));
        SVM_ASSERT(err == SVM_OK);
        return;
    }
    memcpy(t->bytes, raw, len); /* one Ed25519 auth of zeros: nobody looks */
    memset(t->bytes + len, 0, 98);
    t->bytes[len] = 1;
    t->len = len + 98;
}

struct gen_tx *gen_make(struct gen *gen)
{
    struct gen_tx *t = calloc(1, sizeof *t);
    SVM_ASSERT(t != NULL);
    t->data = calloc(1, (GEN_OPS + 2) * GEN_DATA_BYTES_MAX);
    t->bytes = calloc(1, GEN_BYTES);
    SVM_ASSERT(t->data != NULL && t->bytes != NULL);
    make_inputs(gen, t);
    make_ops(gen, t);
    bool exact = false;
    for (uint16_t i = 0; i < t->tx.input_count; i++)
        exact |= t->inputs[i].exact;
    t->tx.chain = gen->chain;
    t->tx.nonce = ++gen->nonce;
    t->tx.gas_limit = chance(gen, 6) ? base_gas(t) + below(gen, 700) : 100000;
    if (!exact || chance(gen, 50))
        t->tx.expires_ms = gen->now_ms + 120000 + below(gen, 300000);
    if (chance(gen, 6))
        t->planned = spoil(gen, t);
    encode(gen, t);
    if (t->planned == SVM_OK && chance(gen, 3))
        spoil_bytes(gen, t);
    if (t->planned == SVM_OK)
        foresee(gen, t);
    return t;
}

void gen_free(struct gen_tx *t)
{
    svm_receipt_free(atomic_load(&t->committed));
    free(t->data);
    free(t->bytes);
    free(t);
}
