/* exec/op.c - the ten operations and their prices. Rules: docs/protocol.md, section "Execution".
 *
 * Each answers true when it is done and false when it has failed or found no memory. Where several rules could stop an
 * operation the order is: gas, the right to withdraw, balance, overflow. */
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "crypto/sha256.h"
#include "exec/run.h"

/* clang-format off */
static const uint16_t GAS_OP[SVM_OP_COUNT] = {
    [SVM_OP_TRANSFER] = 100, [SVM_OP_PAY] = 300,    [SVM_OP_MOVE] = 150,   [SVM_OP_CREATE] = 300,
    [SVM_OP_UPDATE] = 100,   [SVM_OP_ADD] = 100,    [SVM_OP_EXPECT] = 50,  [SVM_OP_DELETE] = 100,
    [SVM_OP_SHARE] = 100,    [SVM_OP_FREEZE] = 100,
};
/* clang-format on */

static const char COIN_TYPE[] = "coin";
enum { COIN_TYPE_LEN = sizeof COIN_TYPE - 1 };

static bool fail(struct exec_run *run, enum svm_failure failure)
{
    run->failure = failure;
    return false;
}

/* own_owned: a private version for what only the sender's own objects allow. */
static struct model_object *own_owned(struct exec_run *run, uint16_t index)
{
    SVM_ASSERT(index < run->tx->input_count);
    SVM_ASSERT(run->tx->inputs[index].kind == SVM_KIND_OWNED);
    return exec_run_own(run, index);
}

/* withdraw: check the right, then the balance, then take AMOUNT out of INDEX. */
static bool withdraw(struct exec_run *run, uint16_t index, uint64_t amount)
{
    const struct model_object *seen = exec_run_see(run, index);
    if (seen->kind == SVM_KIND_SHARED && !seen->open_withdraw &&
        memcmp(seen->party.b, run->tx->sender.b, sizeof seen->party.b) != 0)
        return fail(run, SVM_FAILURE_WITHDRAW_DENIED);
    if (seen->balance < amount)
        return fail(run, SVM_FAILURE_INSUFFICIENT_BALANCE);
    struct model_object *from = exec_run_own(run, index);
    if (from == NULL)
        return false;
    from->balance -= amount;
    return true;
}

static bool op_transfer(struct exec_run *run, const struct svm_op *op)
{
    struct model_object *object = own_owned(run, op->input);
    if (object == NULL)
        return false;
    object->party = op->u.transfer.to;
    run->transfers++;
    return true;
}

static bool op_pay(struct exec_run *run, const struct svm_op *op, uint16_t op_index)
{
    if (!withdraw(run, op->input, op->u.pay.amount.units))
        return false;
    const struct svm_bytes type = {(const uint8_t *)COIN_TYPE, COIN_TYPE_LEN};
    struct model_object *coin = exec_run_create(run, op_index, type, (struct svm_bytes){NULL, 0});
    if (coin == NULL)
        return false;
    coin->kind = SVM_KIND_OWNED;
    coin->party = op->u.pay.to;
    coin->balance = op->u.pay.amount.units;
    run->transfers++;
    return true;
}

static bool op_move(struct exec_run *run, const struct svm_op *op)
{
    const uint64_t amount = op->u.move.amount.units;
    SVM_ASSERT(op->input != op->u.move.into);
    if (!withdraw(run, op->input, amount))
        return false;
    struct model_object *into = exec_run_own(run, op->u.move.into);
    if (into == NULL)
        return false;
    if (into->balance > UINT64_MAX - amount)
        return fail(run, SVM_FAILURE_OVERFLOW);
    into->balance += FAULT_BUG("move-twice") ? 2 * amount : amount;
    return true;
}

static bool op_create(struct exec_run *run, const struct svm_op *op, uint16_t op_index)
{
    struct model_object *object =
        exec_run_create(run, op_index, op->u.create.type, op->u.create.data);
    if (object == NULL)
        return false;
    const struct svm_owner *owner = &op->u.create.owner;
    model_object_kind_set(object, owner->kind);
    switch (owner->kind) {
    case SVM_KIND_OWNED:
        object->party = owner->address;
        break;
    case SVM_KIND_SHARED:
        object->party = run->tx->sender;
        object->open_withdraw = owner->open_withdraw;
        break;
    case SVM_KIND_IMMUTABLE:
        break;
    }
    return true;
}

static bool op_update(struct exec_run *run, const struct svm_op *op)
{
    const struct svm_bytes data = op->u.update.data;
    SVM_ASSERT(data.len <= SVM_DATA_BYTES_MAX);
    const uint8_t type_len = exec_run_see(run, op->input)->type_len;
    struct model_object *object = exec_run_resize(run, op->input, type_len, (uint32_t)data.len);
    if (object == NULL)
        return false;
    if (data.len > 0)
        memcpy(object->bytes + type_len, data.ptr, data.len);
    return true;
}

static bool op_add(struct exec_run *run, const struct svm_op *op)
{
    const struct model_object *seen = exec_run_see(run, op->input);
    const size_t offset = op->u.add.offset;
    const int64_t delta = op->u.add.delta;
    if (offset + 8 > seen->data_len)
        return fail(run, SVM_FAILURE_OUT_OF_BOUNDS);
    const uint64_t before = bytes_get_u64le(model_object_data(seen) + offset);
    /* |delta| without meeting -INT64_MIN */
    const uint64_t size = delta < 0 ? 0 - (uint64_t)delta : (uint64_t)delta;
    if (delta < 0 ? before < size : before > UINT64_MAX - size)
        return fail(run, SVM_FAILURE_OVERFLOW);
    struct model_object *object = exec_run_own(run, op->input);
    if (object == NULL)
        return false;
    bytes_put_u64le(object->bytes + object->type_len + offset, before + (uint64_t)delta);
    return true;
}

static bool op_expect(struct exec_run *run, const struct svm_op *op)
{
    const struct model_object *seen = exec_run_see(run, op->input);
    bool holds = false;
    switch (op->u.expect.kind) {
    case SVM_CHECK_BALANCE_AT_LEAST:
        holds = seen->balance >= op->u.expect.value;
        break;
    case SVM_CHECK_DATA_HASH: {
        uint8_t hash[32];
        crypto_sha256(hash, model_object_data(seen), seen->data_len);
        holds = memcmp(hash, op->u.expect.hash, sizeof hash) == 0;
        break;
    }
    case SVM_CHECK_VERSION:
        holds = run->inputs[op->input]->version == op->u.expect.value;
        break;
    }
    return holds || fail(run, SVM_FAILURE_EXPECT_FAILED);
}

static bool op_delete(struct exec_run *run, const struct svm_op *op)
{
    SVM_ASSERT(op->input < run->tx->input_count);
    SVM_ASSERT(run->tx->inputs[op->input].kind == SVM_KIND_OWNED);
    if (exec_run_see(run, op->input)->balance != 0)
        return fail(run, SVM_FAILURE_BALANCE_NOT_ZERO);
    struct model_object *tomb = exec_run_resize(run, op->input, 0, 0);
    if (tomb == NULL)
        return false;
    memset(&tomb->party, 0, sizeof tomb->party);
    tomb->deleted = true;
    return true;
}

static bool op_share(struct exec_run *run, const struct svm_op *op)
{
    struct model_object *object = own_owned(run, op->input);
    if (object == NULL)
        return false;
    object->kind = SVM_KIND_SHARED;
    object->party = run->tx->sender;
    object->open_withdraw = op->u.share.open_withdraw;
    return true;
}

static bool op_freeze(struct exec_run *run, const struct svm_op *op)
{
    struct model_object *object = own_owned(run, op->input);
    if (object == NULL)
        return false;
    object->kind = SVM_KIND_IMMUTABLE;
    memset(&object->party, 0, sizeof object->party);
    object->open_withdraw = false;
    return true;
}

static uint64_t op_gas(const struct svm_op *op)
{
    SVM_ASSERT((unsigned)op->kind < SVM_OP_COUNT);
    uint64_t gas = GAS_OP[op->kind];
    if (op->kind == SVM_OP_CREATE)
        gas += op->u.create.type.len + op->u.create.data.len;
    else if (op->kind == SVM_OP_UPDATE)
        gas += op->u.update.data.len;
    return gas;
}

bool exec_run_op(struct exec_run *run, uint16_t op_index)
{
    const struct svm_op *op = &run->tx->ops[op_index];
    const uint64_t gas = op_gas(op);
    if (gas > run->tx->gas_limit - run->gas_used) {
        run->gas_used = run->tx->gas_limit;
        return fail(run, SVM_FAILURE_GAS_TOO_LOW);
    }
    run->gas_used += gas;
    switch (op->kind) {
    case SVM_OP_TRANSFER:
        return op_transfer(run, op);
    case SVM_OP_PAY:
        return op_pay(run, op, op_index);
    case SVM_OP_MOVE:
        return op_move(run, op);
    case SVM_OP_CREATE:
        return op_create(run, op, op_index);
    case SVM_OP_UPDATE:
        return op_update(run, op);
    case SVM_OP_ADD:
        return op_add(run, op);
    case SVM_OP_EXPECT:
        return op_expect(run, op);
    case SVM_OP_DELETE:
        return op_delete(run, op);
    case SVM_OP_SHARE:
        return op_share(run, op);
    case SVM_OP_FREEZE:
        return op_freeze(run, op);
    case SVM_OP_COUNT:
        break;
    }
    SVM_ASSERT(op->kind < SVM_OP_COUNT);
    return false;
}
