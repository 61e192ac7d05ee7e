/* exec_apply against the reference: the same random transactions, one after the other, must give the same receipts, refusals
 * and state. The transactions aim at what exists, so that most run; some fail, some are refused. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/model_random.h"
#include "exec/exec.h"
#include "ref.h"

enum { SENDERS = 3, OBJECTS_MAX = 20000, INPUTS = 5, OPS = 6 };

/* The other state: what exec_apply reads and writes. It finds objects by walking the reference's, so ids are enough. */
struct slot {
    struct svm_id id;
    struct model_object *object;
};
static struct slot slots[OBJECTS_MAX];
static size_t slot_count;
static struct model_dev_account senders[SENDERS];
static struct model_write room[MODEL_WRITES_MAX];
static struct exec_result result = {.writes = room};

static struct model_object *alloc_object(void *arg, size_t size)
{
    (void)arg;
    return malloc(size);
}

static void free_object(void *arg, struct model_object *object)
{
    (void)arg;
    free(object);
}

static const struct exec_alloc heap = {.alloc = alloc_object, .free = free_object};

static struct slot *find(const struct svm_id *id)
{
    for (size_t i = slot_count; i-- > 0;)
        if (memcmp(slots[i].id.b, id->b, sizeof id->b) == 0)
            return &slots[i];
    return NULL;
}

static void store(const struct svm_id *id, struct model_object *object)
{
    struct slot *slot = find(id);
    if (slot == NULL) {
        ck_assert_uint_lt(slot_count, OBJECTS_MAX);
        slot = &slots[slot_count++];
        *slot = (struct slot){.id = *id};
    }
    free(slot->object);
    slot->object = object;
}

/* ---- transactions ------------------------------------------------------------------------------------------ */

static struct svm_input pick_input(struct random *r)
{
    const struct slot *slot = &slots[random_below(r, (uint32_t)slot_count)];
    struct svm_input input = {.id = slot->id, .kind = (enum svm_kind)slot->object->kind};
    if (random_one_in(r, 40))
        input.kind = (enum svm_kind)random_below(r, 3);
    if (random_one_in(r, 200))
        input.id.b[7] ^= 1;
    input.writable =
        input.kind == SVM_KIND_OWNED || (input.kind == SVM_KIND_SHARED && !random_one_in(r, 4));
    if (input.kind == SVM_KIND_OWNED && random_one_in(r, 2)) {
        input.exact = true;
        input.version = slot->object->version - (random_one_in(r, 30) ? 1 : 0);
    }
    return input;
}

/* pick_sender: mostly the owner of the first owned input. */
static struct svm_address pick_sender(struct random *r, const struct random_tx *t)
{
    for (size_t i = 0; i < t->tx.input_count && !random_one_in(r, 20); i++) {
        const struct slot *slot = find(&t->tx.inputs[i].id);
        if (slot != NULL && slot->object->kind == SVM_KIND_OWNED && !slot->object->deleted)
            return slot->object->party;
    }
    return senders[random_below(r, SENDERS)].address;
}

static void pick_inputs(struct random *r, struct random_tx *t)
{
    const uint32_t count = random_below(r, INPUTS);
    t->tx.input_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct svm_input input = pick_input(r);
        bool twice = false;
        for (size_t k = 0; k < t->tx.input_count; k++)
            twice = twice || memcmp(t->space.inputs[k].id.b, input.id.b, 32) == 0;
        if (!twice)
            t->space.inputs[t->tx.input_count++] = input;
    }
    qsort(t->space.inputs, t->tx.input_count, sizeof t->space.inputs[0], random_compare_inputs);
    t->tx.inputs = t->space.inputs;
}

/* tame: numbers near what the objects hold, and addresses that somebody has. */
static void tame(struct random *r, struct svm_op *op)
{
    const struct svm_address to = senders[random_below(r, SENDERS)].address;
    const uint64_t amount = random_one_in(r, 15) ? random_u64(r) | 1 : 1 + random_below(r, 300);
    if (op->kind == SVM_OP_TRANSFER)
        op->u.transfer.to = to;
    if (op->kind == SVM_OP_PAY) {
        op->u.pay.to = to;
        op->u.pay.amount.units = amount;
    }
    if (op->kind == SVM_OP_MOVE)
        op->u.move.amount.units = amount;
    if (op->kind == SVM_OP_CREATE && op->u.create.owner.kind == SVM_KIND_OWNED)
        op->u.create.owner.address = to;
    if (op->kind == SVM_OP_ADD && !random_one_in(r, 4))
        op->u.add.offset = (uint16_t)random_below(r, 20);
    if (op->kind == SVM_OP_EXPECT && op->u.expect.kind != SVM_CHECK_DATA_HASH)
        op->u.expect.value = random_below(r, 20);
}

static void pick_tx(struct random *r, struct random_tx *t)
{
    memset(&t->tx, 0, sizeof t->tx);
    memset(t->closed, 0, sizeof t->closed);
    t->pool_used = 0;
    t->tx.nonce = random_next(r);
    t->tx.gas_limit = random_one_in(r, 8) ? 800 + random_below(r, 6000) : 1000000;
    pick_inputs(r, t);
    t->tx.sender = pick_sender(r, t);
    const uint32_t count = random_below(r, OPS);
    for (uint32_t i = 0; i < count; i++) {
        random_op(r, t, &t->space.ops[i]);
        tame(r, &t->space.ops[i]);
    }
    t->tx.ops = t->space.ops;
    t->tx.op_count = (uint16_t)count;
    ck_assert_int_eq(svm_tx_check(&t->tx, NULL), SVM_OK);
}

/* ---- the other side ---------------------------------------------------------------------------------------- */

static enum svm_err apply(const struct svm_tx *tx, const struct svm_digest *digest,
                          uint64_t node_ms, uint64_t seq, struct svm_receipt **receipt_out)
{
    static struct model_write writes[MODEL_WRITES_MAX];
    const struct model_object *inputs[SVM_TX_INPUTS_MAX];
    struct svm_refusal refusal;
    if (tx->gas_limit < exec_gas_base(tx))
        return SVM_E_GAS_TOO_LOW;
    for (uint16_t i = 0; i < tx->input_count; i++) {
        const struct slot *slot = find(&tx->inputs[i].id);
        inputs[i] = slot != NULL ? slot->object : NULL;
        const enum svm_err err = exec_check_input(tx, i, inputs[i], &refusal);
        if (err != SVM_OK)
            return err;
    }
    ck_assert_int_eq(exec_apply(&result, tx, digest, inputs, node_ms, &heap), SVM_OK);
    for (size_t i = 0; i < result.write_count; i++)
        writes[i] = (struct model_write){.id = result.writes[i].id,
                                         .prior = result.writes[i].prior,
                                         .object = result.writes[i].object};
    const struct model_effects effects = {
        .digest = *digest,
        .sender = tx->sender,
        .seq = seq,
        .node_ms = node_ms,
        .gas_used = result.gas_used,
        .failure = result.failure,
        .failed_op = result.failed_op,
        .transfers = result.transfers,
        .write_count = result.write_count,
        .writes = writes,
    };
    *receipt_out = model_receipt_of(&effects);
    for (size_t i = 0; i < result.write_count; i++)
        store(&result.writes[i].id, result.writes[i].object);
    return SVM_OK;
}

static void assert_same_receipt(const struct svm_receipt *a, const struct svm_receipt *b)
{
    ck_assert_uint_eq(a->seq, b->seq);
    ck_assert_uint_eq(a->gas_used, b->gas_used);
    ck_assert_str_eq(svm_failure_name(a->failure), svm_failure_name(b->failure));
    if (a->failure != SVM_FAILURE_NONE)
        ck_assert_uint_eq(a->failed_op, b->failed_op);
    ck_assert_uint_eq(a->change_count, b->change_count);
    for (size_t i = 0; i < a->change_count; i++) {
        ck_assert_mem_eq(a->changes[i].id.b, b->changes[i].id.b, 32);
        ck_assert_uint_eq(a->changes[i].version, b->changes[i].version);
        ck_assert_mem_eq(a->changes[i].owner.b, b->changes[i].owner.b, 32);
        ck_assert_int_eq(a->changes[i].change, b->changes[i].change);
        ck_assert_int_eq(a->changes[i].kind, b->changes[i].kind);
    }
}

static void assert_same_state(const struct ref *ref)
{
    ck_assert_uint_eq(ref_count(ref), slot_count);
    for (size_t i = 0; i < slot_count; i++) {
        const struct ref_object *want = ref_get(ref, &slots[i].id);
        ck_assert_ptr_nonnull(want);
        ck_assert_int_eq(want->deleted, slots[i].object->deleted);
        const struct svm_object a = ref_object_view(want);
        struct svm_object b;
        struct svm_digest a_digest, b_digest;
        model_object_view(&b, &slots[i].id, slots[i].object, 0);
        ck_assert_uint_eq(a.created_ms, b.created_ms);
        ck_assert_uint_eq(a.modified_ms, b.modified_ms);
        ck_assert_mem_eq(a.last_tx.b, b.last_tx.b, 32);
        svm_object_digest(&a_digest, &a);
        svm_object_digest(&b_digest, &b);
        ck_assert_mem_eq(a_digest.b, b_digest.b, 32);
    }
}

static void start(struct model_genesis *genesis)
{
    char reason[120];
    ck_assert_int_eq(model_genesis_parse(genesis, model_genesis_dev(), reason), SVM_OK);
    for (unsigned i = 0; i < SENDERS; i++)
        model_dev_account(&senders[i], i);
    for (size_t i = 0; i < genesis->object_count; i++) {
        const struct model_object *from = genesis->objects[i].object;
        const size_t size = model_object_size(from->type_len, from->data_len);
        struct model_object *copy = malloc(size);
        memcpy(copy, from, size);
        store(&genesis->objects[i].id, copy);
    }
}

START_TEST(exec_does_what_the_reference_does)
{
    static struct random_tx t;
    struct random r = random_seeded("exec_does_what_the_reference_does");
    struct model_genesis genesis;
    start(&genesis);
    struct ref *ref = ref_create(&genesis);
    const uint64_t sum = ref_sum_of_balances(ref);
    unsigned good = 0, failed = 0, refused = 0, by_failure[SVM_FAILURE_COUNT] = {0};
    uint64_t transfers = 0;
    const unsigned rounds = random_rounds(8000);
    for (unsigned round = 0; round < rounds; round++) {
        struct svm_digest digest;
        struct svm_receipt *want, *got;
        pick_tx(&r, &t);
        random_bytes(&r, digest.b, sizeof digest.b);
        const enum svm_err err = ref_apply(ref, &t.tx, &digest, round, &want, NULL);
        const enum svm_err err_got = apply(&t.tx, &digest, round, ref_seq(ref), &got);
        ck_assert_msg(err == err_got, "round %u: %s, exec says %s", round, svm_err_name(err),
                      svm_err_name(err_got));
        refused += err != SVM_OK;
        if (err != SVM_OK)
            continue;
        assert_same_receipt(want, got);
        by_failure[want->failure]++;
        failed += want->failure != SVM_FAILURE_NONE;
        good += want->failure == SVM_FAILURE_NONE;
        transfers += result.failure == SVM_FAILURE_NONE ? result.transfers : 0;
        free(want);
        free(got);
        if (round % 500 == 0)
            assert_same_state(ref);
    }
    assert_same_state(ref);
    ck_assert_uint_eq(ref_sum_of_balances(ref), sum);
    ck_assert_uint_eq(ref_transfers(ref), transfers);
    printf("%u ok, %u failed, %u refused, %zu objects\n", good, failed, refused, slot_count);
    for (int f = 1; f < SVM_FAILURE_COUNT && getenv("SVM_SHORT") == NULL; f++)
        ck_assert_msg(by_failure[f] > 0, "no %s in %u rounds",
                      svm_failure_name((enum svm_failure)f), rounds);
    for (size_t i = 0; i < slot_count; i++)
        free(slots[i].object);
    slot_count = 0;
    ref_destroy(ref);
    model_genesis_deinit(&genesis);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oracle_exec");
    TCase *tcase = tcase_create("exec");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, exec_does_what_the_reference_does);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
