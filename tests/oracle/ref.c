#include "ref.h"

#include <stdlib.h>
#include <string.h>

struct ref {
    struct ref_object *objects; /* ascending ids */
    size_t count;
    uint64_t seq;
    uint64_t transfers;
};

static void *must(void *memory)
{
    SVM_ASSERT(memory != NULL);
    return memory;
}

static uint8_t *copy_bytes(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = must(malloc(len + 1));
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

static struct ref_object copy_object(const struct ref_object *object)
{
    struct ref_object copy = *object;
    copy.type = copy_bytes(object->type, object->type_len);
    copy.data = copy_bytes(object->data, object->data_len);
    return copy;
}

static void free_object(struct ref_object *object)
{
    free(object->type);
    free(object->data);
}

/* ---- the state --------------------------------------------------------------------------------------------- */

/* place_of: index of the first object whose id is not below ID. */
static size_t place_of(const struct ref *ref, const struct svm_id *id)
{
    size_t low = 0, high = ref->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (memcmp(ref->objects[middle].id.b, id->b, 32) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct ref_object *ref_get(const struct ref *ref, const struct svm_id *id)
{
    const size_t place = place_of(ref, id);
    if (place == ref->count || memcmp(ref->objects[place].id.b, id->b, 32) != 0)
        return NULL;
    return &ref->objects[place];
}

/* put: OBJECT (whose bytes the state takes) replaces the one with its id, or is new. */
static void put(struct ref *ref, struct ref_object object)
{
    const size_t place = place_of(ref, &object.id);
    if (place < ref->count && memcmp(ref->objects[place].id.b, object.id.b, 32) == 0) {
        free_object(&ref->objects[place]);
        ref->objects[place] = object;
        return;
    }
    ref->objects = must(realloc(ref->objects, (ref->count + 1) * sizeof object));
    memmove(&ref->objects[place + 1], &ref->objects[place], (ref->count - place) * sizeof object);
    ref->objects[place] = object;
    ref->count++;
}

struct ref *ref_create(const struct model_genesis *genesis)
{
    struct ref *ref = must(calloc(1, sizeof *ref));
    for (size_t i = 0; i < genesis->object_count; i++) {
        const struct model_object *from = genesis->objects[i].object;
        put(ref, (struct ref_object){
                     .id = genesis->objects[i].id,
                     .version = from->version,
                     .kind = (enum svm_kind)from->kind,
                     .party = from->party,
                     .open_withdraw = from->open_withdraw,
                     .balance = from->balance,
                     .type = copy_bytes(from->bytes, from->type_len),
                     .type_len = from->type_len,
                     .data = copy_bytes(from->bytes + from->type_len, from->data_len),
                     .data_len = from->data_len,
                     .created_ms = from->created_ms,
                     .modified_ms = from->modified_ms,
                 });
    }
    return ref;
}

void ref_destroy(struct ref *ref)
{
    for (size_t i = 0; i < ref->count; i++)
        free_object(&ref->objects[i]);
    free(ref->objects);
    free(ref);
}

size_t ref_count(const struct ref *ref)
{
    return ref->count;
}

const struct ref_object *ref_at(const struct ref *ref, size_t index)
{
    return &ref->objects[index];
}

uint64_t ref_seq(const struct ref *ref)
{
    return ref->seq;
}

uint64_t ref_transfers(const struct ref *ref)
{
    return ref->transfers;
}

struct svm_object ref_object_view(const struct ref_object *object)
{
    struct svm_object view = {
        .id = object->id,
        .version = object->version,
        .kind = object->kind,
        .open_withdraw = object->open_withdraw,
        .balance = {object->balance},
        .type = {object->type, object->type_len},
        .data = {object->data, object->data_len},
        .created_ms = object->created_ms,
        .modified_ms = object->modified_ms,
        .last_tx = object->last_tx,
        .seq = object->seq,
    };
    if (object->kind == SVM_KIND_OWNED)
        view.owner = object->party;
    if (object->kind == SVM_KIND_SHARED)
        view.controller = object->party;
    return view;
}

void ref_state_hash(const struct ref *ref, struct svm_digest *hash_out)
{
    struct model_hash hash;
    model_hash_init(&hash);
    for (size_t i = 0; i < ref->count; i++) {
        if (ref->objects[i].deleted)
            continue;
        const struct svm_object view = ref_object_view(&ref->objects[i]);
        struct svm_digest digest;
        svm_object_digest(&digest, &view);
        model_hash_add(&hash, digest.b, sizeof digest.b);
    }
    model_hash_final(&hash, hash_out);
}

uint64_t ref_sum_of_balances(const struct ref *ref)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < ref->count; i++)
        sum += ref->objects[i].balance;
    return sum;
}

/* ---- refusals ---------------------------------------------------------------------------------------------- */

static bool has_shared(const struct svm_tx *tx)
{
    for (size_t i = 0; i < tx->input_count; i++)
        if (tx->inputs[i].kind == SVM_KIND_SHARED)
            return true;
    return false;
}

static uint64_t base_gas(const struct svm_tx *tx)
{
    return has_shared(tx) ? 5000 : 1000;
}

static enum svm_err check_input(const struct svm_input *input, const struct ref_object *object,
                                const struct svm_address *sender)
{
    const bool wants_write =
        input->kind == SVM_KIND_OWNED || (input->kind == SVM_KIND_SHARED && input->writable);
    if (object == NULL)
        return SVM_E_OBJECT_NOT_FOUND;
    if (object->deleted)
        return SVM_E_OBJECT_DELETED;
    if (object->kind != input->kind)
        return wants_write && object->kind == SVM_KIND_IMMUTABLE ? SVM_E_OBJECT_IMMUTABLE
                                                                 : SVM_E_WRONG_INPUT_KIND;
    if (object->kind == SVM_KIND_OWNED && memcmp(object->party.b, sender->b, 32) != 0)
        return SVM_E_NOT_OWNER;
    if (object->kind == SVM_KIND_OWNED && input->exact && object->version != input->version)
        return SVM_E_VERSION_CONFLICT;
    return SVM_OK;
}

static enum svm_err check(const struct ref *ref, const struct svm_tx *tx,
                          struct svm_refusal *refusal)
{
    if (refusal != NULL)
        memset(refusal, 0, sizeof *refusal);
    enum svm_err err = tx->gas_limit < base_gas(tx) ? SVM_E_GAS_TOO_LOW : SVM_OK;
    for (size_t i = 0; i < tx->input_count && err == SVM_OK; i++) {
        err = check_input(&tx->inputs[i], ref_get(ref, &tx->inputs[i].id), &tx->sender);
        if (err != SVM_OK && refusal != NULL) {
            refusal->has = SVM_HAS_OBJECT;
            refusal->object = tx->inputs[i].id;
        }
    }
    if (refusal != NULL)
        refusal->err = err;
    return err;
}

/* ---- one execution ----------------------------------------------------------------------------------------- */

/* The inputs as this transaction changes them, and what it creates. */
struct run {
    const struct svm_tx *tx;
    const struct svm_digest *digest;
    struct ref_object inputs[SVM_TX_INPUTS_MAX];
    bool written[SVM_TX_INPUTS_MAX]; /* some operation changed it */
    struct ref_object created[SVM_TX_OPS_MAX];
    size_t created_count;
    uint64_t version_read[SVM_TX_INPUTS_MAX];
    uint64_t new_version;
    uint64_t gas_used;
    uint64_t node_ms;
    uint64_t transfers;
    enum svm_failure failure;
    uint16_t failed_op;
};

static struct ref_object *created(struct run *run, size_t op_index, struct svm_bytes type,
                                  struct svm_bytes data)
{
    struct ref_object *object = &run->created[run->created_count++];
    *object = (struct ref_object){
        .type = copy_bytes(type.ptr, type.len),
        .type_len = type.len,
        .data = copy_bytes(data.ptr, data.len),
        .data_len = data.len,
        .created_ms = run->node_ms,
    };
    svm_tx_new_object_id(&object->id, run->digest, (uint16_t)op_index);
    return object;
}

static bool may_withdraw(const struct run *run, const struct ref_object *from)
{
    return from->kind == SVM_KIND_OWNED || from->open_withdraw ||
           memcmp(from->party.b, run->tx->sender.b, 32) == 0;
}

static enum svm_failure run_pay(struct run *run, size_t op_index, const struct svm_op *op)
{
    struct ref_object *from = &run->inputs[op->input];
    const uint64_t amount = op->u.pay.amount.units;
    if (!may_withdraw(run, from))
        return SVM_FAILURE_WITHDRAW_DENIED;
    if (from->balance < amount)
        return SVM_FAILURE_INSUFFICIENT_BALANCE;
    from->balance -= amount;
    run->written[op->input] = true;
    struct ref_object *coin = created(run, op_index, (struct svm_bytes){(const uint8_t *)"coin", 4},
                                      (struct svm_bytes){NULL, 0});
    coin->kind = SVM_KIND_OWNED;
    coin->party = op->u.pay.to;
    coin->balance = amount;
    run->transfers++;
    return SVM_FAILURE_NONE;
}

static enum svm_failure run_move(struct run *run, const struct svm_op *op)
{
    struct ref_object *from = &run->inputs[op->input], *into = &run->inputs[op->u.move.into];
    const uint64_t amount = op->u.move.amount.units;
    if (!may_withdraw(run, from))
        return SVM_FAILURE_WITHDRAW_DENIED;
    if (from->balance < amount)
        return SVM_FAILURE_INSUFFICIENT_BALANCE;
    if (into->balance > UINT64_MAX - amount)
        return SVM_FAILURE_OVERFLOW;
    from->balance -= amount;
    into->balance += amount;
    run->written[op->input] = true;
    run->written[op->u.move.into] = true;
    return SVM_FAILURE_NONE;
}

static enum svm_failure run_create(struct run *run, size_t op_index, const struct svm_op *op)
{
    struct ref_object *object = created(run, op_index, op->u.create.type, op->u.create.data);
    object->kind = op->u.create.owner.kind;
    if (object->kind == SVM_KIND_OWNED)
        object->party = op->u.create.owner.address;
    if (object->kind == SVM_KIND_SHARED) {
        object->party = run->tx->sender;
        object->open_withdraw = op->u.create.owner.open_withdraw;
    }
    return SVM_FAILURE_NONE;
}

static enum svm_failure run_update(struct run *run, const struct svm_op *op)
{
    struct ref_object *object = &run->inputs[op->input];
    free(object->data);
    object->data = copy_bytes(op->u.update.data.ptr, op->u.update.data.len);
    object->data_len = op->u.update.data.len;
    run->written[op->input] = true;
    return SVM_FAILURE_NONE;
}

static enum svm_failure run_add(struct run *run, const struct svm_op *op)
{
    struct ref_object *object = &run->inputs[op->input];
    if ((size_t)op->u.add.offset + 8 > object->data_len)
        return SVM_FAILURE_OUT_OF_BOUNDS;
    uint8_t *at = object->data + op->u.add.offset;
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value * 256 + at[i];
    uint64_t rest;
    if (__builtin_add_overflow(value, op->u.add.delta, &rest)) /* exact, whatever the signs */
        return SVM_FAILURE_OVERFLOW;
    for (int i = 0; i < 8; i++, rest /= 256)
        at[i] = (uint8_t)(rest % 256);
    run->written[op->input] = true;
    return SVM_FAILURE_NONE;
}

static enum svm_failure run_expect(const struct run *run, const struct svm_op *op)
{
    const struct ref_object *object = &run->inputs[op->input];
    bool holds = false;
    struct model_hash hash;
    struct svm_digest digest;
    switch (op->u.expect.kind) {
    case SVM_CHECK_BALANCE_AT_LEAST:
        holds = object->balance >= op->u.expect.value;
        break;
    case SVM_CHECK_DATA_HASH:
        model_hash_init(&hash);
        model_hash_add(&hash, object->data, object->data_len);
        model_hash_final(&hash, &digest);
        holds = memcmp(digest.b, op->u.expect.hash, 32) == 0;
        break;
    case SVM_CHECK_VERSION:
        holds = run->version_read[op->input] == op->u.expect.value;
        break;
    }
    return holds ? SVM_FAILURE_NONE : SVM_FAILURE_EXPECT_FAILED;
}

static enum svm_failure run_delete(struct run *run, const struct svm_op *op)
{
    struct ref_object *object = &run->inputs[op->input];
    if (object->balance != 0)
        return SVM_FAILURE_BALANCE_NOT_ZERO;
    object->deleted = true;
    memset(object->party.b, 0, 32);
    object->type_len = 0;
    object->data_len = 0;
    run->written[op->input] = true;
    return SVM_FAILURE_NONE;
}

static uint64_t cost_of(const struct svm_op *op)
{
    static const uint64_t price[SVM_OP_COUNT] = {
        [SVM_OP_TRANSFER] = 100, [SVM_OP_PAY] = 300,    [SVM_OP_MOVE] = 150,  [SVM_OP_CREATE] = 300,
        [SVM_OP_UPDATE] = 100,   [SVM_OP_ADD] = 100,    [SVM_OP_EXPECT] = 50, [SVM_OP_DELETE] = 100,
        [SVM_OP_SHARE] = 100,    [SVM_OP_FREEZE] = 100,
    };
    uint64_t cost = price[op->kind];
    if (op->kind == SVM_OP_CREATE)
        cost += op->u.create.type.len + op->u.create.data.len;
    if (op->kind == SVM_OP_UPDATE)
        cost += op->u.update.data.len;
    return cost;
}

static enum svm_failure run_op(struct run *run, size_t op_index, const struct svm_op *op)
{
    struct ref_object *object = &run->inputs[op->input];
    switch (op->kind) {
    case SVM_OP_TRANSFER:
        object->party = op->u.transfer.to;
        run->written[op->input] = true;
        run->transfers++;
        return SVM_FAILURE_NONE;
    case SVM_OP_PAY:
        return run_pay(run, op_index, op);
    case SVM_OP_MOVE:
        return run_move(run, op);
    case SVM_OP_CREATE:
        return run_create(run, op_index, op);
    case SVM_OP_UPDATE:
        return run_update(run, op);
    case SVM_OP_ADD:
        return run_add(run, op);
    case SVM_OP_EXPECT:
        return run_expect(run, op);
    case SVM_OP_DELETE:
        return run_delete(run, op);
    case SVM_OP_SHARE:
        object->kind = SVM_KIND_SHARED;
        object->party = run->tx->sender;
        object->open_withdraw = op->u.share.open_withdraw;
        run->written[op->input] = true;
        return SVM_FAILURE_NONE;
    case SVM_OP_FREEZE:
        object->kind = SVM_KIND_IMMUTABLE;
        memset(object->party.b, 0, 32);
        run->written[op->input] = true;
        return SVM_FAILURE_NONE;
    case SVM_OP_COUNT:
        break;
    }
    SVM_ASSERT(false);
    return SVM_FAILURE_NONE;
}

static void run_ops(struct run *run)
{
    run->gas_used = base_gas(run->tx);
    for (size_t i = 0; i < run->tx->op_count; i++) {
        const uint64_t cost = cost_of(&run->tx->ops[i]);
        run->failed_op = (uint16_t)i;
        if (run->gas_used + cost > run->tx->gas_limit) {
            run->gas_used = run->tx->gas_limit;
            run->failure = SVM_FAILURE_GAS_TOO_LOW;
            return;
        }
        run->gas_used += cost;
        run->failure = run_op(run, i, &run->tx->ops[i]);
        if (run->failure != SVM_FAILURE_NONE)
            return;
    }
    run->failed_op = 0;
}

/* ---- outcome ----------------------------------------------------------------------------------------------- */

struct changes {
    struct svm_change items[MODEL_WRITES_MAX];
    size_t count;
};

/* write_back: OBJECT becomes the newest version; its bytes are taken. */
static void write_back(struct ref *ref, const struct run *run, struct changes *changes,
                       struct ref_object object, enum svm_change_kind change)
{
    object.version = run->new_version;
    object.modified_ms = run->node_ms;
    object.last_tx = *run->digest;
    object.seq = ref->seq;
    struct svm_change *item = &changes->items[changes->count++];
    memset(item, 0, sizeof *item);
    item->id = object.id;
    item->version = object.version;
    item->change = object.deleted ? SVM_CHANGE_DELETED : change;
    item->kind = object.deleted ? SVM_KIND_OWNED : object.kind;
    if (!object.deleted && object.kind == SVM_KIND_OWNED)
        item->owner = object.party;
    put(ref, object);
}

static void write_ok(struct ref *ref, struct run *run, struct changes *changes)
{
    for (size_t i = 0; i < run->tx->input_count; i++) {
        if (run->tx->inputs[i].kind == SVM_KIND_OWNED || run->written[i])
            write_back(ref, run, changes, run->inputs[i], SVM_CHANGE_MUTATED);
        else
            free_object(&run->inputs[i]);
    }
    for (size_t i = 0; i < run->created_count; i++)
        write_back(ref, run, changes, run->created[i], SVM_CHANGE_CREATED);
    ref->transfers += run->transfers;
}

/* write_failed: the owned inputs as they were, with a new version; everything else is thrown away. */
static void write_failed(struct ref *ref, struct run *run, struct changes *changes)
{
    for (size_t i = 0; i < run->tx->input_count; i++) {
        free_object(&run->inputs[i]);
        if (run->tx->inputs[i].kind == SVM_KIND_OWNED)
            write_back(ref, run, changes, copy_object(ref_get(ref, &run->tx->inputs[i].id)),
                       SVM_CHANGE_MUTATED);
    }
    for (size_t i = 0; i < run->created_count; i++)
        free_object(&run->created[i]);
}

static int compare_changes(const void *left, const void *right)
{
    const struct svm_change *l = left, *r = right;
    if (l->change != r->change)
        return l->change < r->change ? -1 : 1;
    return memcmp(l->id.b, r->id.b, 32);
}

static struct svm_receipt *receipt_of(const struct ref *ref, const struct run *run,
                                      struct changes *changes)
{
    qsort(changes->items, changes->count, sizeof changes->items[0], compare_changes);
    const size_t changes_bytes = changes->count * sizeof changes->items[0];
    struct svm_receipt *receipt = must(malloc(sizeof *receipt + changes_bytes));
    memcpy(receipt + 1, changes->items, changes_bytes);
    *receipt = (struct svm_receipt){
        .digest = *run->digest,
        .sender = run->tx->sender,
        .seq = ref->seq,
        .node_ms = run->node_ms,
        .gas_used = run->gas_used,
        .failure = run->failure,
        .failed_op = run->failed_op,
        .change_count = (uint16_t)changes->count,
        .path = has_shared(run->tx) ? SVM_PATH_CONSENSUS : SVM_PATH_FAST,
        .changes = (const struct svm_change *)(receipt + 1),
    };
    return receipt;
}

static struct run *start(const struct ref *ref, const struct svm_tx *tx,
                         const struct svm_digest *digest, uint64_t node_ms)
{
    struct run *run = must(calloc(1, sizeof *run));
    run->tx = tx;
    run->digest = digest;
    run->node_ms = node_ms;
    uint64_t newest = 0;
    for (size_t i = 0; i < tx->input_count; i++) {
        run->inputs[i] = copy_object(ref_get(ref, &tx->inputs[i].id));
        run->version_read[i] = run->inputs[i].version;
        if (run->inputs[i].version > newest)
            newest = run->inputs[i].version;
    }
    run->new_version = newest + 1;
    return run;
}

enum svm_err ref_apply(struct ref *ref, const struct svm_tx *tx, const struct svm_digest *digest,
                       uint64_t node_ms, struct svm_receipt **receipt_out,
                       struct svm_refusal *refusal)
{
    const enum svm_err err = check(ref, tx, refusal);
    if (err != SVM_OK)
        return err;
    struct run *run = start(ref, tx, digest, node_ms);
    struct changes *changes = must(calloc(1, sizeof *changes));
    ref->seq++;
    run_ops(run);
    if (run->failure == SVM_FAILURE_NONE)
        write_ok(ref, run, changes);
    else
        write_failed(ref, run, changes);
    if (receipt_out != NULL)
        *receipt_out = receipt_of(ref, run, changes);
    free(changes);
    free(run);
    return SVM_OK;
}
