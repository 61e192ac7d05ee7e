/* unit/model_random.h - seeded randomness and random transactions that pass svm_tx_check.
 * The seed is printed first and taken back from SVM_SEED; SVM_SHORT asks for a tenth of the rounds. */
#ifndef UNIT_MODEL_RANDOM_H
#define UNIT_MODEL_RANDOM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <svm/tx.h>

struct random {
    uint64_t state;
};

/* random_next: SplitMix64. */
static inline uint64_t random_next(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline uint32_t random_below(struct random *r, uint32_t bound)
{
    return (uint32_t)(random_next(r) % bound);
}

static inline bool random_one_in(struct random *r, uint32_t n)
{
    return random_below(r, n) == 0;
}

static inline void random_bytes(struct random *r, void *out, size_t len)
{
    for (uint8_t *p = out; len > 0; len--)
        *p++ = (uint8_t)random_next(r);
}

/* random_u64: often at an edge. */
static inline uint64_t random_u64(struct random *r)
{
    static const uint64_t edges[] = {0, 1, 127, 128, 255, 256, UINT32_MAX, INT64_MAX, UINT64_MAX};
    if (random_one_in(r, 3))
        return edges[random_below(r, sizeof edges / sizeof edges[0])];
    return random_next(r) >> random_below(r, 64);
}

static inline struct random random_seeded(const char *test)
{
    const char *text = getenv("SVM_SEED");
    const uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    printf("%s: SVM_SEED=%llu\n", test, (unsigned long long)seed);
    fflush(stdout);
    return (struct random){seed};
}

static inline unsigned random_rounds(unsigned full)
{
    return getenv("SVM_SHORT") != NULL ? full / 10 + 1 : full;
}

/* ---- transactions ------------------------------------------------------------------------------------------ */

enum { RANDOM_POOL_BYTES = 48 * 1024 };

/* A transaction with everything it points to. */
struct random_tx {
    struct svm_tx tx;
    struct svm_tx_space space;
    uint8_t pool[RANDOM_POOL_BYTES];
    size_t pool_used;
    bool closed[SVM_TX_INPUTS_MAX];
};

static inline struct svm_bytes random_data(struct random *r, struct random_tx *t)
{
    uint32_t len = random_below(r, 40);
    if (random_one_in(r, 8))
        len = 120 + random_below(r, 16); /* around the first length of two bytes */
    if (random_one_in(r, 64))
        len = 16380 + random_below(r, 8); /* and of three */
    if (len > RANDOM_POOL_BYTES - t->pool_used)
        len = 0;
    const struct svm_bytes data = {t->pool + t->pool_used, len};
    random_bytes(r, t->pool + t->pool_used, len);
    t->pool_used += len;
    return data;
}

static inline struct svm_bytes random_type(struct random *r, struct random_tx *t)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789._:-";
    const uint32_t len = 1 + random_below(r, random_one_in(r, 4) ? SVM_TYPE_BYTES_MAX : 8);
    if (len > RANDOM_POOL_BYTES - t->pool_used)
        return (struct svm_bytes){(const uint8_t *)"coin", 4};
    uint8_t *at = t->pool + t->pool_used;
    for (uint32_t i = 0; i < len; i++)
        at[i] = (uint8_t)letters[random_below(r, sizeof letters - 1)];
    t->pool_used += len;
    return (struct svm_bytes){at, len};
}

static inline int random_compare_inputs(const void *left, const void *right)
{
    return memcmp(((const struct svm_input *)left)->id.b, ((const struct svm_input *)right)->id.b,
                  32);
}

static inline void random_inputs(struct random *r, struct random_tx *t)
{
    const uint32_t count = random_below(r, random_one_in(r, 20) ? SVM_TX_INPUTS_MAX + 1 : 6);
    for (uint32_t i = 0; i < count; i++) {
        struct svm_input input = {.kind = SVM_KIND_OWNED, .writable = true};
        random_bytes(r, input.id.b, sizeof input.id.b);
        if (random_one_in(r, 3)) {
            input.kind = random_one_in(r, 2) ? SVM_KIND_SHARED : SVM_KIND_IMMUTABLE;
            input.writable = input.kind == SVM_KIND_SHARED && random_one_in(r, 2);
        }
        if (input.kind == SVM_KIND_OWNED && !random_one_in(r, 3)) {
            input.exact = true;
            input.version = random_u64(r);
        }
        t->space.inputs[i] = input;
    }
    qsort(t->space.inputs, count, sizeof t->space.inputs[0], random_compare_inputs);
    t->tx.inputs = t->space.inputs;
    t->tx.input_count = (uint16_t)count;
}

static inline void random_create(struct random *r, struct random_tx *t, struct svm_op *op)
{
    op->kind = SVM_OP_CREATE;
    op->u.create.owner = (struct svm_owner){.kind = (enum svm_kind)random_below(r, 3)};
    if (op->u.create.owner.kind == SVM_KIND_OWNED)
        random_bytes(r, op->u.create.owner.address.b, 32);
    op->u.create.owner.open_withdraw =
        op->u.create.owner.kind == SVM_KIND_SHARED && random_one_in(r, 2);
    op->u.create.type = random_type(r, t);
    op->u.create.data = random_data(r, t);
}

static inline void random_expect(struct random *r, struct svm_op *op)
{
    op->u.expect.kind = (enum svm_check_kind)random_below(r, 3);
    if (op->u.expect.kind == SVM_CHECK_DATA_HASH)
        random_bytes(r, op->u.expect.hash, 32);
    else
        op->u.expect.value = random_u64(r);
}

/* random_fill: the rest of OP, whose kind and input are chosen; INTO is another writable input, or -1. */
static inline void random_fill(struct random *r, struct random_tx *t, struct svm_op *op, int into)
{
    switch (op->kind) {
    case SVM_OP_TRANSFER:
        random_bytes(r, op->u.transfer.to.b, 32);
        break;
    case SVM_OP_PAY:
        random_bytes(r, op->u.pay.to.b, 32);
        op->u.pay.amount.units = random_u64(r) | 1;
        break;
    case SVM_OP_MOVE:
        if (into < 0) {
            op->kind = SVM_OP_ADD;
            random_fill(r, t, op, into);
            return;
        }
        op->u.move.into = (uint16_t)into;
        op->u.move.amount.units = random_u64(r) | 1;
        break;
    case SVM_OP_UPDATE:
        op->u.update.data = random_data(r, t);
        break;
    case SVM_OP_ADD:
        op->u.add.offset = (uint16_t)random_next(r);
        op->u.add.delta = (int64_t)random_u64(r);
        break;
    case SVM_OP_EXPECT:
        random_expect(r, op);
        break;
    case SVM_OP_SHARE:
        op->u.share.open_withdraw = random_one_in(r, 2);
        break;
    case SVM_OP_DELETE:
    case SVM_OP_FREEZE:
    case SVM_OP_CREATE:
    case SVM_OP_COUNT:
        break;
    }
}

/* random_writable: an open writable input other than NOT, or -1. */
static inline int random_writable(struct random *r, const struct random_tx *t, int not )
{
    for (unsigned tries = 0; tries < 8 && t->tx.input_count > 0; tries++) {
        const int i = (int)random_below(r, t->tx.input_count);
        if (i != not &&t->tx.inputs[i].writable && !t->closed[i])
            return i;
    }
    return -1;
}

static inline void random_op(struct random *r, struct random_tx *t, struct svm_op *op)
{
    memset(op, 0, sizeof *op);
    const int input = random_writable(r, t, -1);
    op->kind = (enum svm_op_kind)random_below(r, SVM_OP_COUNT);
    if (input < 0 || op->kind == SVM_OP_CREATE) {
        random_create(r, t, op);
        return;
    }
    const bool closes = op->kind == SVM_OP_TRANSFER || op->kind == SVM_OP_DELETE ||
                        op->kind == SVM_OP_SHARE || op->kind == SVM_OP_FREEZE;
    if (closes && t->tx.inputs[input].kind != SVM_KIND_OWNED)
        op->kind = SVM_OP_ADD;
    else
        t->closed[input] = closes;
    op->input = (uint16_t)input;
    random_fill(r, t, op, random_writable(r, t, input));
}

static inline void random_tx(struct random *r, struct random_tx *t)
{
    memset(&t->tx, 0, sizeof t->tx);
    memset(t->closed, 0, sizeof t->closed);
    t->pool_used = 0;
    t->tx.chain = random_u64(r);
    random_bytes(r, t->tx.sender.b, 32);
    t->tx.nonce = random_u64(r);
    t->tx.expires_ms = random_u64(r);
    t->tx.gas_limit = random_u64(r);
    random_inputs(r, t);
    const uint32_t count = random_below(r, random_one_in(r, 20) ? SVM_TX_OPS_MAX + 1 : 6);
    for (uint32_t i = 0; i < count; i++)
        random_op(r, t, &t->space.ops[i]);
    t->tx.ops = t->space.ops;
    t->tx.op_count = (uint16_t)count;
}

#endif
