#include "unit/exec_bed.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct model_object *heap_alloc(void *arg, size_t size)
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

void heap_free(void *arg, struct model_object *object)
{
    struct heap *heap = arg;
    heap->live--;
    free(object);
}

const struct svm_address ALICE = {{0xa1, 1}}, BOB = {{0xb0, 2}};

struct model_object *object_new(enum svm_kind kind, const struct svm_address *party,
                                uint64_t version, uint64_t balance, const char *data,
                                size_t data_len)
{
    struct model_object *object = calloc(1, model_object_size(4, data_len));
    ck_assert_ptr_nonnull(object);
    model_object_kind_set(object, kind);
    if (kind != SVM_KIND_IMMUTABLE)
        object->party = *party;
    object->version = version;
    object->balance = balance;
    object->created_ms = 10;
    object->modified_ms = 20;
    object->last_tx.b[0] = 0x77;
    model_object_lens_set(object, 4, data_len);
    memcpy(object->bytes, "coin", 4);
    if (data_len > 0)
        memcpy(object->bytes + 4, data, data_len);
    return object;
}

void bed_init(struct bed *bed)
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

void bed_deinit(struct bed *bed)
{
    bed_clear_result(bed);
    for (uint16_t i = 0; i < bed->tx.input_count; i++)
        free(bed->objects[i]);
}

uint16_t bed_input(struct bed *bed, struct model_object *object)
{
    const uint16_t index = bed->tx.input_count++;
    struct svm_input *input = &bed->inputs[index];
    input->id.b[0] = (uint8_t)(0x20 * (index + 1));
    input->kind = (enum svm_kind)object->kind;
    input->writable = object->kind != SVM_KIND_IMMUTABLE;
    bed->objects[index] = object;
    return index;
}

uint16_t bed_owned(struct bed *bed, uint64_t version, uint64_t balance)
{
    return bed_input(bed,
                     object_new(SVM_KIND_OWNED, &ALICE, version, balance, "\1\0\0\0\0\0\0\0", 8));
}

uint16_t bed_shared(struct bed *bed, uint64_t version, uint64_t balance,
                    const struct svm_address *controller, bool open)
{
    struct model_object *object =
        object_new(SVM_KIND_SHARED, controller, version, balance, "\5\0\0\0\0\0\0\0", 8);
    object->open_withdraw = open;
    return bed_input(bed, object);
}

struct svm_op *bed_op(struct bed *bed, enum svm_op_kind kind, uint16_t input)
{
    struct svm_op *op = &bed->ops[bed->tx.op_count++];
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->input = input;
    return op;
}

void bed_pay(struct bed *bed, uint16_t from, uint64_t amount)
{
    struct svm_op *op = bed_op(bed, SVM_OP_PAY, from);
    op->u.pay.to = BOB;
    op->u.pay.amount.units = amount;
}

void bed_move(struct bed *bed, uint16_t from, uint16_t into, uint64_t amount)
{
    struct svm_op *op = bed_op(bed, SVM_OP_MOVE, from);
    op->u.move.into = into;
    op->u.move.amount.units = amount;
}

void bed_add(struct bed *bed, uint16_t input, uint16_t offset, int64_t delta)
{
    struct svm_op *op = bed_op(bed, SVM_OP_ADD, input);
    op->u.add.offset = offset;
    op->u.add.delta = delta;
}

void bed_run(struct bed *bed)
{
    const struct model_object *inputs[INPUTS];
    for (uint16_t i = 0; i < bed->tx.input_count; i++)
        inputs[i] = bed->objects[i];
    bed_clear_result(bed);
    bed->result.writes = bed->writes;
    bed->err = exec_apply(&bed->result, &bed->tx, &bed->digest, inputs, NOW_MS,
                          &(struct exec_alloc){heap_alloc, heap_free, &bed->heap});
}

void bed_run_ok(struct bed *bed, uint16_t writes, uint64_t gas)
{
    bed_run(bed);
    ck_assert_int_eq(bed->err, SVM_OK);
    ck_assert_str_eq(svm_failure_name(bed->result.failure), "");
    ck_assert_uint_eq(bed->result.write_count, writes);
    ck_assert_uint_eq(bed->result.gas_used, gas);
    ck_assert_int_eq(bed->heap.live, writes);
}

void bed_run_fail(struct bed *bed, enum svm_failure failure, uint16_t op, uint64_t gas)
{
    bed_run(bed);
    ck_assert_int_eq(bed->err, SVM_OK);
    ck_assert_str_eq(svm_failure_name(bed->result.failure), svm_failure_name(failure));
    ck_assert_uint_eq(bed->result.failed_op, op);
    ck_assert_uint_eq(bed->result.gas_used, gas);
    ck_assert_uint_eq(bed->result.transfers, 0);
}

const struct model_object *bed_written(const struct bed *bed, int32_t index)
{
    for (uint16_t i = 0; i < bed->result.write_count; i++) {
        if (bed->result.writes[i].input == index)
            return bed->result.writes[i].object;
    }
    return NULL;
}

void check_stamp(const struct bed *bed, const struct model_object *object, uint64_t version,
                 uint64_t created_ms)
{
    ck_assert_ptr_nonnull(object);
    ck_assert_uint_eq(object->version, version);
    ck_assert_uint_eq(object->created_ms, created_ms);
    ck_assert_uint_eq(object->modified_ms, NOW_MS);
    ck_assert_mem_eq(&object->last_tx, &bed->digest, 32);
}
