/* exec_apply on random transactions: what must hold whatever they do; and on the largest one. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "unit/exec_bed.h"
#include "unit/exec_random.h"

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
        const struct model_write *write = &result->writes[i];
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
    for (enum svm_failure failure = SVM_FAILURE_NONE; failure < SVM_FAILURE_COUNT; failure++)
        ck_assert_msg(seen[failure] > 50, "%s was hardly met", svm_failure_name(failure));
}
END_TEST

/* The largest transaction: every write the result has room for, created ids merged with inputs. */
START_TEST(largest)
{
    static struct svm_input inputs[SVM_TX_INPUTS_MAX];
    static struct svm_op ops[SVM_TX_OPS_MAX];
    static const struct model_object *objects[SVM_TX_INPUTS_MAX];
    static struct model_write room[MODEL_WRITES_MAX];
    static struct exec_result result = {.writes = room};
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
    Suite *suite = suite_create("exec random");
    TCase *tcase = tcase_create("random");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, random_transactions);
    tcase_add_test(tcase, largest);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
