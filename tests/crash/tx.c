#include "crash/tx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* A transaction under construction. */
struct draft {
    struct svm_tx_builder *builder;
    struct svm_engine *engine;
    struct rng *rng;
    struct svm_dev_account sender;
    bool exact;   /* an exact input: may live for ever */
    bool creates; /* its first operation creates an object */
};

static void add_op(struct draft *draft, const struct svm_op *op)
{
    SVM_ASSERT(svm_tx_builder_op(draft->builder, op) >= 0);
}

static uint16_t own(struct draft *draft, const struct svm_id *id)
{
    return (uint16_t)svm_tx_builder_owned_latest(draft->builder, id);
}

/* own_exact: at the version that is the newest now; by the time it arrives it may not be. */
static uint16_t own_exact(struct draft *draft, const struct svm_id *id)
{
    struct svm_snapshot *snapshot;
    struct svm_object *object;
    uint64_t version = 1;
    if (svm_snapshot_open(draft->engine, &snapshot) == SVM_OK) {
        if (svm_object_get(snapshot, id, &object) == SVM_OK) {
            version = object->version;
            svm_object_free(object);
        }
        svm_snapshot_close(snapshot);
    }
    draft->exact = true;
    return (uint16_t)svm_tx_builder_owned(draft->builder, id, version);
}

static void coin_of(struct svm_id *id_out, struct draft *draft)
{
    uint64_t spare = rng_below(draft->rng, 6);
    char label[40];
    *id_out = draft->sender.coin;
    if (spare == 5)
        return;
    snprintf(label, sizeof label, "%s spare %u", draft->sender.name, (unsigned)spare);
    svm_dev_object_id(id_out, label);
}

static void pay(struct draft *draft, uint16_t from, uint64_t amount)
{
    struct svm_dev_account to;
    svm_dev_account(&to, (unsigned)rng_below(draft->rng, SVM_DEV_ACCOUNTS));
    struct svm_op op = {.kind = SVM_OP_PAY, .input = from};
    op.u.pay.to = to.address;
    op.u.pay.amount.units = amount;
    add_op(draft, &op);
}

static void draft_pay(struct draft *draft, bool exact, bool too_much)
{
    struct svm_id id;
    coin_of(&id, draft);
    uint16_t from = exact ? own_exact(draft, &id) : own(draft, &id);
    pay(draft, from, too_much ? UINT64_C(1) << 50 : 1 + rng_below(draft->rng, 3));
}

static int64_t draft_add(struct draft *draft)
{
    struct svm_id id;
    svm_dev_object_id(&id, "counter");
    struct svm_op op = {.kind = SVM_OP_ADD,
                        .input = (uint16_t)svm_tx_builder_shared(draft->builder, &id, true)};
    op.u.add.delta = (int64_t)(1 + rng_below(draft->rng, 9));
    add_op(draft, &op);
    if (rng_below(draft->rng, 2)) { /* and something is read that is not written */
        struct svm_op expect = {.kind = SVM_OP_EXPECT};
        svm_dev_object_id(&id, "pool");
        expect.input = (uint16_t)svm_tx_builder_shared(draft->builder, &id, false);
        expect.u.expect.kind = SVM_CHECK_BALANCE_AT_LEAST;
        add_op(draft, &expect);
    }
    return op.u.add.delta;
}

static void draft_pool(struct draft *draft)
{
    struct svm_id pool, coin;
    svm_dev_object_id(&pool, "pool");
    uint16_t shared = (uint16_t)svm_tx_builder_shared(draft->builder, &pool, true);
    if (rng_below(draft->rng, 2)) {
        pay(draft, shared, 1 + rng_below(draft->rng, 5));
        return;
    }
    coin_of(&coin, draft);
    struct svm_op op = {.kind = SVM_OP_MOVE, .input = own(draft, &coin)};
    op.u.move.into = shared;
    op.u.move.amount.units = 1 + rng_below(draft->rng, 5);
    add_op(draft, &op);
}

static void draft_create(struct draft *draft)
{
    static const uint8_t data[48];
    struct svm_op op = {.kind = SVM_OP_CREATE};
    op.u.create.type = (struct svm_bytes){(const uint8_t *)"doc", 3};
    op.u.create.data = (struct svm_bytes){data, rng_below(draft->rng, sizeof data)};
    uint64_t dice = rng_below(draft->rng, 8);
    if (dice == 0) {
        op.u.create.owner.kind = SVM_KIND_SHARED;
        op.u.create.owner.open_withdraw = true;
    } else if (dice == 1) {
        op.u.create.owner.kind = SVM_KIND_IMMUTABLE;
    } else {
        op.u.create.owner.address = draft->sender.address;
    }
    add_op(draft, &op);
    draft->creates = true;
}

/* draft_doc: something happens to an object that exists, or does not any more. */
static void draft_doc(struct draft *draft, const struct svm_id *doc)
{
    static const uint8_t data[24] = "changed";
    struct svm_op op = {.input = own(draft, doc)};
    switch (rng_below(draft->rng, 8)) {
    case 0:
        op.kind = SVM_OP_DELETE;
        break;
    case 1:
        op.kind = SVM_OP_SHARE;
        op.u.share.open_withdraw = false;
        break;
    case 2:
        op.kind = SVM_OP_FREEZE;
        break;
    case 3: {
        struct svm_dev_account to;
        svm_dev_account(&to, (unsigned)rng_below(draft->rng, SVM_DEV_ACCOUNTS));
        op.kind = SVM_OP_TRANSFER;
        op.u.transfer.to = to.address;
        break;
    }
    case 4: /* fails, yet its version moves */
        op.kind = SVM_OP_EXPECT;
        op.u.expect.kind = SVM_CHECK_BALANCE_AT_LEAST;
        op.u.expect.value = 7;
        break;
    default:
        op.kind = SVM_OP_UPDATE;
        op.u.update.data = (struct svm_bytes){data, sizeof data};
        break;
    }
    add_op(draft, &op);
}

static void finish(struct crash_tx *tx, struct draft *draft)
{
    uint8_t raw[JOURNAL_TX_BYTES];
    size_t len;
    struct svm_refusal refusal;
    svm_tx_builder_nonce(draft->builder, rng_next(draft->rng));
    svm_tx_builder_gas_limit(draft->builder, 100000);
    svm_tx_builder_expires(draft->builder, draft->exact ? 0 : svm_now_ms(draft->engine) + 300000);
    enum svm_err err = svm_tx_builder_finish(draft->builder, raw, sizeof raw, &len, &refusal);
    SVM_ASSERT(err == SVM_OK);
    svm_tx_digest(&tx->digest, (struct svm_bytes){raw, len});
    err = svm_tx_sign(tx->bytes, sizeof tx->bytes, &tx->len, (struct svm_bytes){raw, len},
                      &draft->sender.key);
    SVM_ASSERT(err == SVM_OK);
    svm_tx_builder_destroy(draft->builder);
}

void crash_tx_random(struct crash_tx *tx, struct svm_engine *engine, struct rng *rng,
                     unsigned index, struct svm_id *doc)
{
    static const struct svm_id none;
    struct svm_chain_info info;
    struct draft draft = {.engine = engine, .rng = rng};
    uint64_t dice = rng_below(rng, 100);
    svm_chain_info(engine, &info);
    /* The faucet's coin is everybody's: they meet each other's claims, and fall back. */
    svm_dev_account(&draft.sender,
                    dice < 15 ? SVM_DEV_ACCOUNTS : index + 3 * (unsigned)rng_below(rng, 3));
    draft.builder = svm_tx_builder_create(info.chain, &draft.sender.address);
    SVM_ASSERT(draft.builder != NULL);
    tx->delta = 0;

    bool has_doc = memcmp(doc->b, none.b, sizeof doc->b) != 0;
    if (dice < 15)
        pay(&draft, own(&draft, &draft.sender.coin), 1);
    else if (dice < 35)
        draft_pay(&draft, false, false);
    else if (dice < 50)
        draft_pay(&draft, true, false);
    else if (dice < 55)
        draft_pay(&draft, false, true);
    else if (dice < 70)
        tx->delta = draft_add(&draft);
    else if (dice < 78)
        draft_pool(&draft);
    else if (dice < 88 || !has_doc)
        draft_create(&draft);
    else
        draft_doc(&draft, doc);
    bool creates = draft.creates;
    finish(tx, &draft);
    if (creates)
        svm_tx_new_object_id(doc, &tx->digest, 0);
}
