/* exec_apply and exec_check_input: every rule by itself, then random transactions against what must hold for all of them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/sha256.h"
#include "exec/exec.h"
#include "unit/exec_random.h"

enum { NOW_MS = 7000, INPUTS = 6, BASE = 1000, BASE_SHARED = 5000, GAS = 1000000 };

/* ---- allocation that counts, and fails when told ------------------------------------------------------------- */

struct heap {
    long live;   /* given and not taken back */
    long budget; /* allocations until it fails; < 0 = never */
};

static struct model_object *heap_alloc(void *arg, size_t size)
{
    struct heap *heap = arg;
    if (heap->budget == 0)
        return NULL;
    heap->budget -= heap->budget > 0;
    heap->live++;
    struct model_object *object = malloc(size);
    if (object != NULL)
        memset(object, 0xa5, size);
    return object;
}

static void heap_free(void *arg, struct model_object *object)
{
    struct heap *heap = arg;
    heap->live--;
    free(object);
}

/* ---- a transaction over a few objects ------------------------------------------------------------------------ */

struct bed {
    struct svm_tx tx;
    struct svm_input inputs[INPUTS];
    struct svm_op ops[16];
    struct model_object *objects[INPUTS];
    struct svm_digest digest;
    struct heap heap;
    struct exec_result result;
    enum svm_err err;
};

static const struct svm_address ALICE = {{0xa1, 1}}, BOB = {{0xb0, 2}};

static struct model_object *object_new(enum svm_kind kind, const struct svm_address *party,
                                       uint64_t version, uint64_t balance, const char *data,
                                       size_t data_len)
{
    struct model_object *object = calloc(1, model_object_size(4, data_len));
    ck_assert_ptr_nonnull(object);
    object->kind = (uint8_t)kind;
    if (kind != SVM_KIND_IMMUTABLE)
        object->party = *party;
    object->version = version;
    object->balance = balance;
    object->created_ms = 10;
    object->modified_ms = 20;
    object->last_tx.b[0] = 0x77;
    object->type_len = 4;
    object->data_len = (uint32_t)data_len;
    memcpy(object->bytes, "coin", 4);
    if (data_len > 0)
        memcpy(object->bytes + 4, data, data_len);
    return object;
}

static void bed_init(struct bed *bed)
{
    memset(bed, 0, sizeof *bed);
    bed->tx.sender = ALICE;
    bed->tx.gas_limit = GAS;
    bed->tx.inputs = bed->inputs;
    bed->tx.ops = bed->ops;
    bed->heap.budget = -1;
    memset(bed->digest.b, 0xd1, sizeof bed->digest.b);
}

static void bed_clear_result(struct bed *bed)
{
    if (bed->err == SVM_OK) {
        for (uint16_t i = 0; i < bed->result.write_count; i++)
            heap_free(&bed->heap, bed->result.writes[i].object);
    }
    bed->result.write_count = 0;
    ck_assert_int_eq(bed->heap.live, 0);
}

static void bed_deinit(struct bed *bed)
{
    bed_clear_result(bed);
    for (uint16_t i = 0; i < bed->tx.input_count; i++)
        free(bed->objects[i]);
}

/* bed_input: the object becomes the next input, declared as what it is (SHARED: writable). */
static uint16_t bed_input(struct bed *bed, struct model_object *object)
{
    const uint16_t index = bed->tx.input_count++;
    struct svm_input *input = &bed->inputs[index];
    input->id.b[0] = (uint8_t)(0x20 * (index + 1));
    input->kind = (enum svm_kind)object->kind;
    input->writable = object->kind != SVM_KIND_IMMUTABLE;
    bed->objects[index] = object;
    return index;
}

static uint16_t bed_owned(struct bed *bed, uint64_t version, uint64_t balance)
{
    return bed_input(bed,
                     object_new(SVM_KIND_OWNED, &ALICE, version, balance, "\1\0\0\0\0\0\0\0", 8));
}

static uint16_t bed_shared(struct bed *bed, uint64_t version, uint64_t balance,
                           const struct svm_address *controller, bool open)
{
    struct model_object *object =
        object_new(SVM_KIND_SHARED, controller, version, balance, "\5\0\0\0\0\0\0\0", 8);
    object->open_withdraw = open;
    return bed_input(bed, object);
}

static struct svm_op *bed_op(struct bed *bed, enum svm_op_kind kind, uint16_t input)
{
    struct svm_op *op = &bed->ops[bed->tx.op_count++];
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->input = input;
    return op;
}

static void bed_pay(struct bed *bed, uint16_t from, uint64_t amount)
{
    struct svm_op *op = bed_op(bed, SVM_OP_PAY, from);
    op->u.pay.to = BOB;
    op->u.pay.amount.units = amount;
}

static void bed_move(struct bed *bed, uint16_t from, uint16_t into, uint64_t amount)
{
    struct svm_op *op = bed_op(bed, SVM_OP_MOVE, from);
    op->u.move.into = into;
    op->u.move.amount.units = amount;
}

static void bed_add(struct bed *bed, uint16_t input, uint16_t offset, int64_t delta)
{
    struct svm_op *op = bed_op(bed, SVM_OP_ADD, input);
    op->u.add.offset = offset;
    op->u.add.delta = delta;
}

static void bed_run(struct bed *bed)
{
    const struct model_object *inputs[INPUTS];
    for (uint16_t i = 0; i < bed->tx.input_count; i++)
        inputs[i] = bed->objects[i];
    bed_clear_result(bed);
    bed->err = exec_apply(&bed->result, &bed->tx, &bed->digest, inputs, NOW_MS,
                          &(struct exec_alloc){heap_alloc, heap_free, &bed->heap});
}

/* bed_run_ok / bed_run_fail: run and look at the outcome. */
static void bed_run_ok(struct bed *bed, uint16_t writes, uint64_t gas)
{
    bed_run(bed);
    ck_assert_int_eq(bed->err, SVM_OK);
    ck_assert_str_eq(svm_failure_name(bed->result.failure), "");
    ck_assert_uint_eq(bed->result.write_count, writes);
    ck_assert_uint_eq(bed->result.gas_used, gas);
    ck_assert_int_eq(bed->heap.live, writes);
}

static void bed_run_fail(struct bed *bed, enum svm_failure failure, uint16_t op, uint64_t gas)
{
    bed_run(bed);
    ck_assert_int_eq(bed->err, SVM_OK);
    ck_assert_str_eq(svm_failure_name(bed->result.failure), svm_failure_name(failure));
    ck_assert_uint_eq(bed->result.failed_op, op);
    ck_assert_uint_eq(bed->result.gas_used, gas);
    ck_assert_uint_eq(bed->result.transfers, 0);
}

/* bed_written: the new version of input INDEX (-1: the first created object), or NULL. */
static const struct model_object *bed_written(const struct bed *bed, int32_t index)
{
    for (uint16_t i = 0; i < bed->result.write_count; i++) {
        if (bed->result.writes[i].input == index)
            return bed->result.writes[i].object;
    }
    return NULL;
}

static void check_stamp(const struct bed *bed, const struct model_object *object, uint64_t version,
                        uint64_t created_ms)
{
    ck_assert_ptr_nonnull(object);
    ck_assert_uint_eq(object->version, version);
    ck_assert_uint_eq(object->created_ms, created_ms);
    ck_assert_uint_eq(object->modified_ms, NOW_MS);
    ck_assert_mem_eq(&object->last_tx, &bed->digest, 32);
}

/* ---- operations ------------------------------------------------------------------------------------------------ */

START_TEST(transfer)
{
    struct bed bed;
    bed_init(&bed);
    bed_owned(&bed, 4, 100);
    bed_op(&bed, SVM_OP_TRANSFER, 0)->u.transfer.to = BOB;
    bed_run_ok(&bed, 1, BASE + 100);
    const struct model_object *object = bed_written(&bed, 0);
    check_stamp(&bed, object, 5, 10);
    ck_assert_mem_eq(&object->party, &BOB, 32);
    ck_assert_uint_eq(object->balance, 100);
    ck_assert_uint_eq(bed.result.transfers, 1);
    ck_assert_int_eq(bed.result.writes[0].prior.kind, MODEL_PRIOR_OWNED);
    ck_assert_mem_eq(&bed.result.writes[0].prior.owner, &ALICE, 32);
    ck_assert_mem_eq(&bed.result.writes[0].id, &bed.inputs[0].id, 32);
    bed_deinit(&bed);
}
END_TEST

START_TEST(pay)
{
    struct bed bed;
    bed_init(&bed);
    bed_owned(&bed, 4, 100);
    bed_pay(&bed, 0, 30);
    bed_pay(&bed, 0, 70);
    bed_run_ok(&bed, 3, BASE + 600);
    ck_assert_uint_eq(bed.result.version, 5);
    ck_assert_uint_eq(bed.result.transfers, 2);
    ck_assert_uint_eq(bed_written(&bed, 0)->balance, 0);
    for (uint16_t i = 0, op = 0; op < 2; op++) {
        struct svm_id id;
        svm_tx_new_object_id(&id, &bed.digest, op);
        for (i = 0; memcmp(&bed.result.writes[i].id, &id, 32) != 0; i++)
            ck_assert_uint_lt(i, 2);
        const struct model_object *coin = bed.result.writes[i].object;
        check_stamp(&bed, coin, 5, NOW_MS);
        ck_assert_int_eq(bed.result.writes[i].input, -1);
        ck_assert_int_eq(bed.result.writes[i].prior.kind, MODEL_PRIOR_NONE);
        ck_assert_uint_eq(coin->balance, op == 0 ? 30 : 70);
        ck_assert_int_eq(coin->kind, SVM_KIND_OWNED);
        ck_assert_mem_eq(&coin->party, &BOB, 32);
        ck_assert_uint_eq(coin->type_len, 4);
        ck_assert_uint_eq(coin->data_len, 0);
        ck_assert_mem_eq(coin->bytes, "coin", 4);
    }
    bed_deinit(&bed);

    bed_init(&bed);
    bed_owned(&bed, 4, 100);
    bed_pay(&bed, 0, 60);
    bed_pay(&bed, 0, 41);
    bed_run_fail(&bed, SVM_FAILURE_INSUFFICIENT_BALANCE, 1, BASE + 600);
    bed_deinit(&bed);
}
END_TEST

START_TEST(move)
{
    struct bed bed;
    bed_init(&bed);
    bed_owned(&bed, 4, 100);
    bed_shared(&bed, 9, 5, &BOB, false);
    bed_move(&bed, 0, 1, 40);
    bed_run_ok(&bed, 2, BASE_SHARED + 150);
    ck_assert_uint_eq(bed.result.version, 10);
    ck_assert_uint_eq(bed_written(&bed, 0)->balance, 60);
    ck_assert_uint_eq(bed_written(&bed, 1)->balance, 45);
    ck_assert_uint_eq(bed_written(&bed, 0)->version, 10);
    ck_assert_uint_eq(bed_written(&bed, 1)->version, 10);
    ck_assert_int_eq(bed.result.writes[1].prior.kind, MODEL_PRIOR_SHARED);
    ck_assert_uint_eq(bed.result.transfers, 0);

    bed.ops[0].u.move.amount.units = 101;
    bed_run_fail(&bed, SVM_FAILURE_INSUFFICIENT_BALANCE, 0, BASE_SHARED + 150);
    bed.objects[1]->balance = UINT64_MAX - 39;
    bed.ops[0].u.move.amount.units = 40;
    bed_run_fail(&bed, SVM_FAILURE_OVERFLOW, 0, BASE_SHARED + 150);
    /* balance stands before overflow */
    bed.objects[0]->balance = 39;
    bed_run_fail(&bed, SVM_FAILURE_INSUFFICIENT_BALANCE, 0, BASE_SHARED + 150);
    bed_deinit(&bed);
}
END_TEST

START_TEST(withdraw_from_shared)
{
    for (int variant = 0; variant < 3; variant++) {
        struct bed bed;
        bed_init(&bed);
        bed_shared(&bed, 3, 50, variant == 1 ? &ALICE : &BOB, variant == 2);
        bed_pay(&bed, 0, 60);
        /* the right stands before the balance */
        bed_run_fail(&bed,
                     variant == 0 ? SVM_FAILURE_WITHDRAW_DENIED : SVM_FAILURE_INSUFFICIENT_BALANCE,
                     0, BASE_SHARED + 300);
        ck_assert_uint_eq(bed.result.write_count, 0);
        bed.ops[0].u.pay.amount.units = 50;
        if (variant == 0)
            bed_run_fail(&bed, SVM_FAILURE_WITHDRAW_DENIED, 0, BASE_SHARED + 300);
        else
            bed_run_ok(&bed, 2, BASE_SHARED + 300);
        bed_deinit(&bed);
    }
}
END_TEST

START_TEST(create)
{
    const enum svm_kind kinds[] = {SVM_KIND_OWNED, SVM_KIND_SHARED, SVM_KIND_IMMUTABLE};
    static const struct svm_address nobody;
    for (int i = 0; i < 3; i++) {
        struct bed bed;
        bed_init(&bed);
        struct svm_op *op = bed_op(&bed, SVM_OP_CREATE, 0);
        op->u.create.owner.kind = kinds[i];
        op->u.create.owner.address = BOB;
        op->u.create.owner.open_withdraw = true;
        op->u.create.type = (struct svm_bytes){(const uint8_t *)"note", 4};
        op->u.create.data = (struct svm_bytes){(const uint8_t *)"hello", 5};
        bed_run_ok(&bed, 1, BASE + 300 + 9);
        ck_assert_uint_eq(bed.result.version, 1);
        const struct model_object *object = bed.result.writes[0].object;
        check_stamp(&bed, object, 1, NOW_MS);
        ck_assert_int_eq(object->kind, kinds[i]);
        ck_assert_mem_eq(&object->party, i == 0 ? &BOB : i == 1 ? &ALICE : &nobody, 32);
        ck_assert(object->open_withdraw == (i == 1));
        ck_assert_uint_eq(object->balance, 0);
        ck_assert(!object->deleted);
        ck_assert_uint_eq(object->type_len, 4);
        ck_assert_uint_eq(object->data_len, 5);
        ck_assert_mem_eq(object->bytes, "notehello", 9);
        bed_deinit(&bed);
    }
}
END_TEST

START_TEST(update_sizes)
{
    static const char *const texts[] = {"12345678", "", "a longer text than before", "xy"};
    struct bed bed;
    bed_init(&bed);
    bed_owned(&bed, 1, 5);
    uint64_t gas = BASE;
    for (size_t i = 0; i < 4; i++) {
        struct svm_op *op = bed_op(&bed, SVM_OP_UPDATE, 0);
        op->u.update.data = (struct svm_bytes){(const uint8_t *)texts[i], strlen(texts[i])};
        gas += 100 + strlen(texts[i]);
        bed_run_ok(&bed, 1, gas);
        const struct model_object *object = bed_written(&bed, 0);
        check_stamp(&bed, object, 2, 10);
        ck_assert_uint_eq(object->balance, 5);
        ck_assert_mem_eq(&object->party, &ALICE, 32);
        ck_assert_uint_eq(object->type_len, 4);
        ck_assert_mem_eq(object->bytes, "coin", 4);
        ck_assert_uint_eq(object->data_len, strlen(texts[i]));
        ck_assert(memcmp(model_object_data(object), texts[i], strlen(texts[i])) == 0);
    }
    bed_deinit(&bed);
}
END_TEST

START_TEST(add)
{
    static const struct {
        uint64_t before;
        int64_t delta;
        uint64_t after;
        bool overflows;
    } cases[] = {
        {0, 0, 0, false},
        {5, -5, 0, false},
        {5, -6, 0, true},
        {UINT64_MAX, 1, 0, true},
        {UINT64_MAX - 1, 1, UINT64_MAX, false},
        {UINT64_MAX, INT64_MIN, INT64_MAX, false},
        {(uint64_t)1 << 63, INT64_MIN, 0, false},
        {INT64_MAX, INT64_MIN, 0, true},
        {(uint64_t)1 << 63, INT64_MAX, UINT64_MAX, false},
        {((uint64_t)1 << 63) + 1, INT64_MAX, 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bed bed;
        bed_init(&bed);
        bed_shared(&bed, 3, 0, &BOB, false);
        bytes_put_u64le(bed.objects[0]->bytes + 4, cases[i].before);
        bed_add(&bed, 0, 0, cases[i].delta);
        if (cases[i].overflows) {
            bed_run_fail(&bed, SVM_FAILURE_OVERFLOW, 0, BASE_SHARED + 100);
        } else {
            bed_run_ok(&bed, 1, BASE_SHARED + 100);
            ck_assert_uint_eq(bytes_get_u64le(model_object_data(bed_written(&bed, 0))),
                              cases[i].after);
        }
        bed_deinit(&bed);
    }
}
END_TEST

START_TEST(add_bounds)
{
    struct bed bed;
    bed_init(&bed);
    bed_input(&bed, object_new(SVM_KIND_OWNED, &ALICE, 1, 0, "0123456789", 10));
    bed_add(&bed, 0, 2, 1);
    bed_run_ok(&bed, 1, BASE + 100);
    ck_assert_mem_eq(model_object_data(bed_written(&bed, 0)), "0133456789", 10);
    const uint16_t beyond[] = {3, 10, UINT16_MAX};
    for (size_t i = 0; i < 3; i++) {
        bed.ops[0].u.add.offset = beyond[i];
        bed_run_fail(&bed, SVM_FAILURE_OUT_OF_BOUNDS, 0, BASE + 100);
    }
    bed_deinit(&bed);
}
END_TEST

START_TEST(expect)
{
    struct bed bed;
    bed_init(&bed);
    bed_owned(&bed, 4, 100);
    bed_pay(&bed, 0, 30);
    struct svm_op *op = bed_op(&bed, SVM_OP_EXPECT, 0);

    op->u.expect.kind = SVM_CHECK_BALANCE_AT_LEAST; /* sees the payment before it */
    op->u.expect.value = 70;
    bed_run_ok(&bed, 2, BASE + 350);
    op->u.expect.value = 71;
    bed_run_fail(&bed, SVM_FAILURE_EXPECT_FAILED, 1, BASE + 350);

    op->u.expect.kind = SVM_CHECK_VERSION; /* as it was read */
    op->u.expect.value = 4;
    bed_run_ok(&bed, 2, BASE + 350);
    op->u.expect.value = 5;
    bed_run_fail(&bed, SVM_FAILURE_EXPECT_FAILED, 1, BASE + 350);

    op->u.expect.kind = SVM_CHECK_DATA_HASH;
    crypto_sha256(op->u.expect.hash, "\1\0\0\0\0\0\0\0", 8);
    bed_run_ok(&bed, 2, BASE + 350);
    op->u.expect.hash[31] ^= 1;
    bed_run_fail(&bed, SVM_FAILURE_EXPECT_FAILED, 1, BASE + 350);

    bed.ops[0].kind = SVM_OP_UPDATE; /* sees the update before it */
    bed.ops[0].u.update.data = (struct svm_bytes){(const uint8_t *)"new", 3};
    crypto_sha256(op->u.expect.hash, "new", 3);
    bed_run_ok(&bed, 1, BASE + 103 + 50);
    bed_deinit(&bed);
}
END_TEST

START_TEST(expect_writes_nothing)
{
    struct bed bed;
    bed_init(&bed);
    bed_shared(&bed, 4, 100, &BOB, false);
    bed_input(&bed, object_new(SVM_KIND_IMMUTABLE, NULL, 11, 3, "", 0));
    for (uint16_t i = 0; i < 2; i++)
        bed_op(&bed, SVM_OP_EXPECT, i)->u.expect.value = 3;
    bed_run_ok(&bed, 0, BASE_SHARED + 100);
    ck_assert_uint_eq(bed.result.version, 12);
    bed_deinit(&bed);
}
END_TEST

START_TEST(delete)
{
    static const struct svm_address nobody;
    struct bed bed;
    bed_init(&bed);
    bed_owned(&bed, 4, 0);
    bed_op(&bed, SVM_OP_DELETE, 0);
    bed_run_ok(&bed, 1, BASE + 100);
    const struct model_object *tomb = bed_written(&bed, 0);
    check_stamp(&bed, tomb, 5, 10);
    ck_assert(tomb->deleted);
    ck_assert_uint_eq(tomb->type_len + tomb->data_len, 0);
    ck_assert_mem_eq(&tomb->party, &nobody, 32);
    ck_assert_int_eq(bed.result.writes[0].prior.kind, MODEL_PRIOR_OWNED);

    /* what the row keeps of it is all there is */
    uint8_t bytes[256];
    const size_t len = (size_t)(model_row_encode(bytes, tomb) - bytes);
    struct model_object *again = malloc(sizeof *again);
    ck_assert_int_eq(model_row_decode(again, (struct svm_bytes){bytes, len}), SVM_OK);
    ck_assert(again->kind == tomb->kind && again->open_withdraw == tomb->open_withdraw);
    ck_assert(again->created_ms == tomb->created_ms && again->deleted);
    free(again);

    bed.objects[0]->balance = 1;
    bed_run_fail(&bed, SVM_FAILURE_BALANCE_NOT_ZERO, 0, BASE + 100);
    bed_deinit(&bed);

    bed_init(&bed); /* emptied and updated in the same transaction */
    bed_owned(&bed, 4, 10);
    bed_pay(&bed, 0, 10);
    bed_op(&bed, SVM_OP_UPDATE, 0)->u.update.data = (struct svm_bytes){(const uint8_t *)"gone", 4};
    bed_op(&bed, SVM_OP_DELETE, 0);
    bed_run_ok(&bed, 2, BASE + 300 + 104 + 100);
    ck_assert(bed_written(&bed, 0)->deleted);
    ck_assert_uint_eq(bed_written(&bed, 0)->data_len, 0);
    bed_deinit(&bed);
}
END_TEST

START_TEST(share_and_freeze)
{
    static const struct svm_address nobody;
    struct bed bed;
    bed_init(&bed);
    bed_owned(&bed, 4, 7);
    bed_owned(&bed, 6, 8);
    bed_op(&bed, SVM_OP_SHARE, 0)->u.share.open_withdraw = true;
    bed_op(&bed, SVM_OP_FREEZE, 1);
    bed_run_ok(&bed, 2, BASE + 200);
    const struct model_object *shared = bed_written(&bed, 0), *frozen = bed_written(&bed, 1);
    check_stamp(&bed, shared, 7, 10);
    ck_assert_int_eq(shared->kind, SVM_KIND_SHARED);
    ck_assert_mem_eq(&shared->party, &ALICE, 32);
    ck_assert(shared->open_withdraw && shared->balance == 7);
    check_stamp(&bed, frozen, 7, 10);
    ck_assert_int_eq(frozen->kind, SVM_KIND_IMMUTABLE);
    ck_assert_mem_eq(&frozen->party, &nobody, 32);
    ck_assert(!frozen->open_withdraw && frozen->balance == 8);
    ck_assert_uint_eq(bed.result.transfers, 0);
    bed_deinit(&bed);
}
END_TEST

/* ---- versions, failure, gas --------------------------------------------------------------------------------------- */

START_TEST(owned_inputs_are_consumed_untouched)
{
    struct bed bed;
    bed_init(&bed);
    bed_owned(&bed, 4, 7);
    bed_input(&bed, object_new(SVM_KIND_IMMUTABLE, NULL, 30, 0, "", 0));
    bed_shared(&bed, 20, 1, &BOB, true);
    bed_run_ok(&bed, 1, BASE_SHARED);
    check_stamp(&bed, bed_written(&bed, 0), 31, 10);
    ck_assert_uint_eq(bed_written(&bed, 0)->balance, 7);
    ck_assert_mem_eq(model_object_data(bed_written(&bed, 0)), "\1\0\0\0\0\0\0\0", 8);
    bed_deinit(&bed);
}
END_TEST

START_TEST(failure_undoes_everything_but_versions)
{
    struct bed bed;
    bed_init(&bed);
    bed_owned(&bed, 4, 100);
    bed_shared(&bed, 20, 50, &ALICE, false);
    bed_owned(&bed, 6, 0);
    bed_pay(&bed, 0, 1);
    bed_pay(&bed, 1, 1);
    bed_op(&bed, SVM_OP_UPDATE, 0)->u.update.data = (struct svm_bytes){(const uint8_t *)"new", 3};
    bed_op(&bed, SVM_OP_TRANSFER, 2)->u.transfer.to = BOB;
    bed_pay(&bed, 0, 1000);
    bed_run_fail(&bed, SVM_FAILURE_INSUFFICIENT_BALANCE, 4,
                 BASE_SHARED + 300 + 300 + 103 + 100 + 300);
    ck_assert_uint_eq(bed.result.write_count, 2);
    ck_assert_int_eq(bed.heap.live, 2);
    const struct model_object *object = bed_written(&bed, 0);
    check_stamp(&bed, object, 21, 10);
    ck_assert_uint_eq(object->balance, 100);
    ck_assert_uint_eq(object->data_len, 8);
    check_stamp(&bed, bed_written(&bed, 2), 21, 10);
    ck_assert_mem_eq(&bed_written(&bed, 2)->party, &ALICE, 32);
    ck_assert_ptr_null(bed_written(&bed, 1));
    bed_deinit(&bed);
}
END_TEST

START_TEST(gas)
{
    struct bed bed;
    bed_init(&bed);
    bed_owned(&bed, 4, 100);
    ck_assert_uint_eq(exec_gas_base(&bed.tx), BASE);
    bed_pay(&bed, 0, 1);
    bed_pay(&bed, 0, 1);
    bed.tx.gas_limit = BASE + 600;
    bed_run_ok(&bed, 3, BASE + 600);
    bed.tx.gas_limit = BASE + 599;
    bed_run_fail(&bed, SVM_FAILURE_GAS_TOO_LOW, 1, BASE + 599);
    ck_assert_uint_eq(bed.result.write_count, 1);
    bed.tx.gas_limit = BASE;
    bed_run_fail(&bed, SVM_FAILURE_GAS_TOO_LOW, 0, BASE);
    /* gas stands before every other rule */
    bed.ops[0].u.pay.amount.units = 101;
    bed_run_fail(&bed, SVM_FAILURE_GAS_TOO_LOW, 0, BASE);
    bed.tx.op_count = 0;
    bed_run_ok(&bed, 1, BASE);
    bed_deinit(&bed);

    bed_init(&bed); /* a shared input that is only read costs as much */
    bed_owned(&bed, 4, 100);
    bed_shared(&bed, 4, 100, &BOB, false);
    bed.inputs[1].writable = false;
    ck_assert_uint_eq(exec_gas_base(&bed.tx), BASE_SHARED);
    bed_deinit(&bed);
}
END_TEST

START_TEST(no_memory_gives_everything_back)
{
    for (long budget = 0;; budget++) {
        struct bed bed;
        bed_init(&bed);
        bed_owned(&bed, 4, 100);
        bed_owned(&bed, 4, 0);
        bed_pay(&bed, 0, 1);
        bed_op(&bed, SVM_OP_UPDATE, 0)->u.update.data = (struct svm_bytes){(const uint8_t *)"n", 1};
        bed_pay(&bed, 0, budget % 2 == 0 ? 1 : 1000); /* failing runs need memory too */
        bed.heap.budget = budget;
        bed_run(&bed);
        if (bed.err == SVM_OK) {
            ck_assert_int_ge(budget, 5);
            bed_deinit(&bed);
            return;
        }
        ck_assert_int_eq(bed.err, SVM_E_NO_MEMORY);
        ck_assert_int_eq(bed.heap.live, 0);
        bed_deinit(&bed);
    }
}
END_TEST

/* ---- checks ----------------------------------------------------------------------------------------------------- */

START_TEST(check_input)
{
    struct bed bed;
    bed_init(&bed);
    bed_owned(&bed, 4, 100);
    struct svm_input *input = &bed.inputs[0];
    struct model_object *object = bed.objects[0];
    struct svm_refusal refusal;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, &refusal), SVM_OK);
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, NULL, &refusal), SVM_E_OBJECT_NOT_FOUND);
    ck_assert_uint_eq(refusal.has, SVM_HAS_OBJECT);
    ck_assert_mem_eq(&refusal.object, &input->id, 32);

    input->exact = true;
    input->version = 3;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, &refusal), SVM_E_VERSION_CONFLICT);
    ck_assert_uint_eq(refusal.has,
                      SVM_HAS_OBJECT | SVM_HAS_GIVEN | SVM_HAS_CURRENT | SVM_HAS_WINNER);
    ck_assert_uint_eq(refusal.given, 3);
    ck_assert_uint_eq(refusal.current, 4);
    ck_assert_mem_eq(&refusal.winner, &object->last_tx, 32);
    input->version = 5;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, NULL), SVM_E_VERSION_CONFLICT);

    /* each rule stands before the next */
    object->party = BOB;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, &refusal), SVM_E_NOT_OWNER);
    ck_assert_mem_eq(&refusal.owner, &BOB, 32);
    ck_assert_mem_eq(&refusal.sender, &ALICE, 32);
    object->kind = SVM_KIND_SHARED;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, &refusal), SVM_E_WRONG_INPUT_KIND);
    ck_assert_int_eq(refusal.declared, SVM_KIND_OWNED);
    ck_assert_int_eq(refusal.actual, SVM_KIND_SHARED);
    object->kind = SVM_KIND_IMMUTABLE;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, &refusal), SVM_E_OBJECT_IMMUTABLE);
    ck_assert_uint_ne(refusal.has & SVM_HAS_KINDS, 0);
    object->deleted = true;
    ck_assert_int_eq(exec_check_input(&bed.tx, 0, object, &refusal), SVM_E_OBJECT_DELETED);
    bed_deinit(&bed);
}
END_TEST

/* Every pair of declared and actual kind. */
START_TEST(check_kinds)
{
    for (int declared = 0; declared < 4; declared++) { /* 3: shared, read only */
        for (int actual = 0; actual < 3; actual++) {
            struct bed bed;
            bed_init(&bed);
            bed_input(&bed, object_new((enum svm_kind)actual, &ALICE, 4, 0, "", 0));
            bed.inputs[0].kind = declared == 3 ? SVM_KIND_SHARED : (enum svm_kind)declared;
            bed.inputs[0].writable = declared < 2;
            enum svm_err expected = SVM_E_WRONG_INPUT_KIND;
            if ((int)bed.inputs[0].kind == actual)
                expected = SVM_OK;
            else if (actual == SVM_KIND_IMMUTABLE && declared < 2)
                expected = SVM_E_OBJECT_IMMUTABLE;
            ck_assert_int_eq(exec_check_input(&bed.tx, 0, bed.objects[0], NULL), expected);
            bed_deinit(&bed);
        }
    }
}
END_TEST

/* ---- random transactions ----------------------------------------------------------------------------------------- */

static void random_op(struct bed *bed, struct random *r, bool closed[INPUTS])
{
    static uint8_t data[40];
    const uint16_t input = (uint16_t)random_below(r, bed->tx.input_count);
    const uint16_t into = (uint16_t)random_below(r, bed->tx.input_count);
    const enum svm_op_kind kind = (enum svm_op_kind)random_below(r, SVM_OP_COUNT);
    const bool closes = kind == SVM_OP_TRANSFER || kind >= SVM_OP_DELETE;
    const enum svm_kind held = bed->inputs[input].kind;
    if (kind != SVM_OP_CREATE && closed[input])
        return;
    if (kind != SVM_OP_CREATE && kind != SVM_OP_EXPECT && held == SVM_KIND_IMMUTABLE)
        return;
    if (closes && held != SVM_KIND_OWNED)
        return;
    if (kind == SVM_OP_MOVE &&
        (into == input || closed[into] || bed->inputs[into].kind == SVM_KIND_IMMUTABLE))
        return;
    closed[input] = closed[input] || closes;
    struct svm_op *op = bed_op(bed, kind, kind == SVM_OP_CREATE ? 0 : input);
    const struct svm_bytes bytes = {data, random_below(r, sizeof data)};
    if (kind == SVM_OP_PAY) {
        op->u.pay.amount.units = 1 + random_below(r, 60);
        op->u.pay.to = BOB;
    } else if (kind == SVM_OP_MOVE) {
        op->u.move.amount.units = 1 + random_below(r, 60);
        op->u.move.into = into;
    } else if (kind == SVM_OP_CREATE) {
        op->u.create.owner.kind = (enum svm_kind)random_below(r, 3);
        op->u.create.type = (struct svm_bytes){(const uint8_t *)"t", 1};
        op->u.create.data = bytes;
    } else if (kind == SVM_OP_UPDATE) {
        op->u.update.data = bytes;
    } else if (kind == SVM_OP_ADD) {
        op->u.add.delta = (int64_t)random_below(r, 9) - 2;
    } else if (kind == SVM_OP_EXPECT) {
        op->u.expect.value = random_below(r, 40);
    }
}

static void random_bed(struct bed *bed, struct random *r)
{
    bool closed[INPUTS] = {false};
    bed_init(bed);
    const uint32_t inputs = 1 + random_below(r, INPUTS);
    for (uint32_t i = 0; i < inputs; i++) {
        const uint64_t version = 1 + random_below(r, 50), balance = random_below(r, 200);
        const uint32_t kind = random_below(r, 10);
        if (kind < 5)
            bed_owned(bed, version, balance);
        else if (kind < 9)
            bed_shared(bed, version, balance, random_below(r, 2) != 0 ? &ALICE : &BOB,
                       random_below(r, 2) != 0);
        else
            bed_input(bed, object_new(SVM_KIND_IMMUTABLE, NULL, version, balance, "", 0));
    }
    for (uint32_t i = random_below(r, 12); i > 0; i--)
        random_op(bed, r, closed);
    for (size_t i = 0; i < 32; i++)
        bed->digest.b[i] = (uint8_t)random_next(r);
    bed->tx.gas_limit = BASE_SHARED + random_below(r, 4000);
}

static void check_invariants(const struct bed *bed)
{
    const struct exec_result *result = &bed->result;
    uint64_t before = 0, after = 0, newest = 0;
    bool written[INPUTS] = {false};
    for (uint16_t i = 0; i < bed->tx.input_count; i++)
        newest = bed->objects[i]->version > newest ? bed->objects[i]->version : newest;
    ck_assert_uint_eq(result->version, newest + 1);
    ck_assert_uint_le(result->gas_used, bed->tx.gas_limit);
    ck_assert_int_eq(bed->heap.live, result->write_count);
    for (uint16_t i = 0; i < result->write_count; i++) {
        const struct exec_write *write = &result->writes[i];
        ck_assert(i == 0 || memcmp(&write[-1].id, &write->id, 32) < 0);
        ck_assert_uint_eq(write->object->version, result->version);
        ck_assert_uint_eq(write->object->modified_ms, NOW_MS);
        after += write->object->balance;
        if (write->input < 0) {
            ck_assert_int_eq(result->failure, SVM_FAILURE_NONE);
            continue;
        }
        const struct model_object *read = bed->objects[write->input];
        written[write->input] = true;
        before += read->balance;
        ck_assert_uint_eq(write->object->created_ms, read->created_ms);
        ck_assert_mem_eq(&write->id, &bed->inputs[write->input].id, 32);
        ck_assert_int_ne(read->kind, SVM_KIND_IMMUTABLE);
        if (result->failure != SVM_FAILURE_NONE) {
            ck_assert_int_eq(read->kind, SVM_KIND_OWNED);
            ck_assert_uint_eq(write->object->balance, read->balance);
            ck_assert_mem_eq(&write->object->party, &read->party, 32);
            ck_assert_mem_eq(write->object->bytes, read->bytes, 4 + read->data_len);
        }
    }
    ck_assert_uint_eq(before, after);
    for (uint16_t i = 0; i < bed->tx.input_count; i++)
        ck_assert(written[i] || bed->inputs[i].kind != SVM_KIND_OWNED);
}

START_TEST(random_transactions)
{
    struct random r = random_seeded("apply, random transactions");
    unsigned seen[SVM_FAILURE_COUNT] = {0};
    for (int i = 0; i < 50000; i++) {
        struct bed bed;
        random_bed(&bed, &r);
        ck_assert_int_eq(svm_tx_check(&bed.tx, NULL), SVM_OK);
        bed_run(&bed);
        ck_assert_int_eq(bed.err, SVM_OK);
        check_invariants(&bed);
        seen[bed.result.failure]++;
        bed_deinit(&bed);
    }
    for (int failure = 0; failure < SVM_FAILURE_COUNT; failure++)
        ck_assert_msg(seen[failure] > 50, "%s was hardly met", svm_failure_name(failure));
}
END_TEST

/* The largest transaction: every write the result has room for, created ids merged with inputs. */
START_TEST(largest)
{
    static struct svm_input inputs[SVM_TX_INPUTS_MAX];
    static struct svm_op ops[SVM_TX_OPS_MAX];
    static const struct model_object *objects[SVM_TX_INPUTS_MAX];
    static struct exec_result result;
    struct heap heap = {.budget = -1};
    struct model_object *object = object_new(SVM_KIND_OWNED, &ALICE, 1, 1000, "", 0);
    for (unsigned i = 0; i < SVM_TX_INPUTS_MAX; i++) {
        inputs[i] = (struct svm_input){.kind = SVM_KIND_OWNED, .writable = true};
        inputs[i].id.b[0] = (uint8_t)i;
        objects[i] = object;
        ops[i] = (struct svm_op){.kind = SVM_OP_PAY, .input = (uint16_t)i};
        ops[i].u.pay.amount.units = 1;
    }
    const struct svm_tx tx = {.sender = ALICE,
                              .gas_limit = GAS,
                              .input_count = SVM_TX_INPUTS_MAX,
                              .op_count = SVM_TX_OPS_MAX,
                              .inputs = inputs,
                              .ops = ops};
    const struct svm_digest digest = {{9}};
    ck_assert_int_eq(exec_apply(&result, &tx, &digest, objects, NOW_MS,
                                &(struct exec_alloc){heap_alloc, heap_free, &heap}),
                     SVM_OK);
    ck_assert_uint_eq(result.write_count, MODEL_WRITES_MAX);
    for (unsigned i = 0; i < result.write_count; i++) {
        ck_assert(i == 0 || memcmp(&result.writes[i - 1].id, &result.writes[i].id, 32) < 0);
        heap_free(&heap, result.writes[i].object);
    }
    ck_assert_int_eq(heap.live, 0);
    free(object);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exec apply");
    TCase *tcase = tcase_create("apply");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, transfer);
    tcase_add_test(tcase, pay);
    tcase_add_test(tcase, move);
    tcase_add_test(tcase, withdraw_from_shared);
    tcase_add_test(tcase, create);
    tcase_add_test(tcase, update_sizes);
    tcase_add_test(tcase, add);
    tcase_add_test(tcase, add_bounds);
    tcase_add_test(tcase, expect);
    tcase_add_test(tcase, expect_writes_nothing);
    tcase_add_test(tcase, delete);
    tcase_add_test(tcase, share_and_freeze);
    tcase_add_test(tcase, owned_inputs_are_consumed_untouched);
    tcase_add_test(tcase, failure_undoes_everything_but_versions);
    tcase_add_test(tcase, gas);
    tcase_add_test(tcase, no_memory_gives_everything_back);
    tcase_add_test(tcase, check_input);
    tcase_add_test(tcase, check_kinds);
    tcase_add_test(tcase, random_transactions);
    tcase_add_test(tcase, largest);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
