/* exec_apply, rule by rule. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/sha256.h"
#include "unit/exec_bed.h"

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
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
