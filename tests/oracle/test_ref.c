/* The reference itself: each rule of execution by an example, worked out by hand from docs/protocol.md. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ref.h"

static struct model_genesis genesis;
static struct ref *ref;
static struct model_dev_account alice, bob;
static struct svm_digest digest;
static struct svm_receipt *receipt;
static uint64_t gas_limit;

enum { NOW = 4242 };

static void set_up(void)
{
    char reason[120];
    ck_assert_int_eq(model_genesis_parse(&genesis, model_genesis_dev(), reason), SVM_OK);
    ref = ref_create(&genesis);
    model_dev_account(&alice, 0);
    model_dev_account(&bob, 1);
    memset(&digest, 0x11, sizeof digest);
    gas_limit = 1000000;
}

static void tear_down(void)
{
    free(receipt);
    receipt = NULL;
    ref_destroy(ref);
    model_genesis_deinit(&genesis);
}

static struct svm_id id_of(const char *label)
{
    struct svm_id id;
    model_dev_object_id(&id, label);
    return id;
}

static const struct ref_object *get(const char *label)
{
    const struct svm_id id = id_of(label);
    return ref_get(ref, &id);
}

static struct svm_input own(const char *label)
{
    return (struct svm_input){.id = id_of(label), .kind = SVM_KIND_OWNED, .writable = true};
}

static struct svm_input exact(const char *label, uint64_t version)
{
    return (struct svm_input){.id = id_of(label),
                              .kind = SVM_KIND_OWNED,
                              .writable = true,
                              .exact = true,
                              .version = version};
}

static struct svm_input shared(const char *label, bool writable)
{
    return (struct svm_input){.id = id_of(label), .kind = SVM_KIND_SHARED, .writable = writable};
}

/* run: one transaction of SENDER with up to two inputs, which stand in id order, and up to two operations. */
static enum svm_err run(const struct model_dev_account *sender, size_t input_count,
                        const struct svm_input *inputs, size_t op_count, const struct svm_op *ops)
{
    const struct svm_tx tx = {
        .sender = sender->address,
        .gas_limit = gas_limit,
        .input_count = (uint16_t)input_count,
        .inputs = inputs,
        .op_count = (uint16_t)op_count,
        .ops = ops,
    };
    digest.b[0]++;
    free(receipt);
    receipt = NULL;
    const uint64_t sum = ref_sum_of_balances(ref);
    const enum svm_err err = ref_apply(ref, &tx, &digest, NOW, &receipt, NULL);
    ck_assert_uint_eq(ref_sum_of_balances(ref), sum);
    return err;
}

static enum svm_err run_one(const struct model_dev_account *sender, struct svm_input input,
                            struct svm_op op)
{
    return run(sender, 1, &input, 1, &op);
}

static struct svm_op pay(const struct model_dev_account *to, uint64_t amount)
{
    return (struct svm_op){.kind = SVM_OP_PAY, .u.pay = {.to = to->address, .amount = {amount}}};
}

static void expect_failure(enum svm_failure failure, uint16_t op)
{
    ck_assert_int_eq(receipt->failure, failure);
    ck_assert_uint_eq(receipt->failed_op, op);
}

START_TEST(pay_makes_a_coin)
{
    ck_assert_int_eq(run_one(&alice, exact("alice coin", 1), pay(&bob, 300)), SVM_OK);
    ck_assert_int_eq(receipt->failure, SVM_FAILURE_NONE);
    ck_assert_uint_eq(receipt->gas_used, 1300);
    ck_assert_uint_eq(receipt->seq, 1);
    ck_assert_int_eq(receipt->path, SVM_PATH_FAST);
    ck_assert_uint_eq(receipt->change_count, 2);
    ck_assert_int_eq(receipt->changes[0].change, SVM_CHANGE_CREATED);
    ck_assert_uint_eq(get("alice coin")->balance, 999700);
    ck_assert_uint_eq(get("alice coin")->version, 2);
    ck_assert_uint_eq(get("alice coin")->modified_ms, NOW);
    struct svm_id id;
    svm_tx_new_object_id(&id, &digest, 0);
    const struct ref_object *coin = ref_get(ref, &id);
    ck_assert_ptr_nonnull(coin);
    ck_assert_uint_eq(coin->balance, 300);
    ck_assert_uint_eq(coin->version, 2);
    ck_assert_uint_eq(coin->created_ms, NOW);
    ck_assert_mem_eq(coin->party.b, bob.address.b, 32);
    ck_assert_mem_eq(coin->type, "coin", 4);
    ck_assert_mem_eq(coin->last_tx.b, digest.b, 32);
    ck_assert_uint_eq(ref_transfers(ref), 1);
}
END_TEST

START_TEST(failure_consumes_owned_inputs_only)
{
    ck_assert_int_eq(run_one(&alice, exact("alice coin", 1), pay(&bob, 1000001)), SVM_OK);
    expect_failure(SVM_FAILURE_INSUFFICIENT_BALANCE, 0);
    ck_assert_uint_eq(receipt->gas_used, 1300);
    ck_assert_uint_eq(receipt->change_count, 1);
    ck_assert_uint_eq(get("alice coin")->balance, 1000000);
    ck_assert_uint_eq(get("alice coin")->version, 2);
    ck_assert_uint_eq(ref_transfers(ref), 0);
    ck_assert_int_eq(run_one(&alice, exact("alice coin", 1), pay(&bob, 1)), SVM_E_VERSION_CONFLICT);
    ck_assert_ptr_null(receipt);
    ck_assert_uint_eq(ref_seq(ref), 1);
    const struct svm_op expect = {.kind = SVM_OP_EXPECT,
                                  .u.expect = {.kind = SVM_CHECK_VERSION, .value = 9}};
    ck_assert_int_eq(run_one(&alice, shared("pool", true), expect), SVM_OK);
    expect_failure(SVM_FAILURE_EXPECT_FAILED, 0);
    ck_assert_uint_eq(receipt->gas_used, 5050);
    ck_assert_uint_eq(receipt->change_count, 0);
    ck_assert_uint_eq(get("pool")->version, 1);
    ck_assert_int_eq(receipt->path, SVM_PATH_CONSENSUS);
}
END_TEST

START_TEST(versions_follow_the_newest_input)
{
    const struct svm_op none = {.kind = SVM_OP_EXPECT};
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(run_one(&alice, own("alice coin"), none), SVM_OK);
    ck_assert_uint_eq(get("alice coin")->version, 5);
    struct svm_input inputs[2] = {own("alice coin"), own("alice spare 0")};
    if (memcmp(inputs[0].id.b, inputs[1].id.b, 32) > 0) {
        const struct svm_input swap = inputs[0];
        inputs[0] = inputs[1];
        inputs[1] = swap;
    }
    ck_assert_int_eq(run(&alice, 2, inputs, 0, NULL), SVM_OK);
    ck_assert_uint_eq(get("alice coin")->version, 6);
    ck_assert_uint_eq(get("alice spare 0")->version, 6);
    const struct svm_op create = {
        .kind = SVM_OP_CREATE,
        .u.create = {.owner.kind = SVM_KIND_SHARED, .type = {(const uint8_t *)"x", 1}}};
    ck_assert_int_eq(run(&bob, 0, NULL, 1, &create), SVM_OK);
    ck_assert_uint_eq(receipt->gas_used, 1301);
    ck_assert_uint_eq(receipt->changes[0].version, 1);
    const struct ref_object *made = ref_get(ref, &receipt->changes[0].id);
    ck_assert_mem_eq(made->party.b, bob.address.b, 32); /* the controller */
}
END_TEST

START_TEST(shared_inputs_move_only_when_written)
{
    const struct svm_op expect = {.kind = SVM_OP_EXPECT};
    const struct svm_op add = {.kind = SVM_OP_ADD, .u.add = {.delta = 5, .offset = 8}};
    ck_assert_int_eq(run_one(&bob, shared("counter", true), expect), SVM_OK);
    ck_assert_uint_eq(get("counter")->version, 1);
    ck_assert_int_eq(run_one(&bob, shared("counter", true), add), SVM_OK);
    ck_assert_uint_eq(get("counter")->version, 2);
    ck_assert_uint_eq(get("counter")->data[8], 5);
    ck_assert_uint_eq(receipt->gas_used, 5100);
    const struct svm_op sub = {.kind = SVM_OP_ADD, .u.add = {.delta = -6, .offset = 8}};
    ck_assert_int_eq(run_one(&bob, shared("counter", true), sub), SVM_OK);
    expect_failure(SVM_FAILURE_OVERFLOW, 0);
    const struct svm_op far = {.kind = SVM_OP_ADD, .u.add = {.delta = 1, .offset = 9}};
    ck_assert_int_eq(run_one(&bob, shared("counter", true), far), SVM_OK);
    expect_failure(SVM_FAILURE_OUT_OF_BOUNDS, 0);
    ck_assert_uint_eq(get("counter")->version, 2);
}
END_TEST

START_TEST(only_the_controller_withdraws)
{
    const struct svm_op share = {.kind = SVM_OP_SHARE, .u.share.open_withdraw = false};
    ck_assert_int_eq(run_one(&alice, own("alice spare 0"), share), SVM_OK);
    ck_assert_int_eq(get("alice spare 0")->kind, SVM_KIND_SHARED);
    ck_assert_int_eq(run_one(&bob, shared("alice spare 0", true), pay(&bob, 1)), SVM_OK);
    expect_failure(SVM_FAILURE_WITHDRAW_DENIED, 0);
    ck_assert_int_eq(run_one(&alice, shared("alice spare 0", true), pay(&bob, 1)), SVM_OK);
    ck_assert_int_eq(receipt->failure, SVM_FAILURE_NONE);
    ck_assert_int_eq(run_one(&bob, shared("pool", true), pay(&bob, 1)), SVM_OK);
    ck_assert_int_eq(receipt->failure, SVM_FAILURE_NONE);
    ck_assert_int_eq(run_one(&alice, own("alice spare 0"), pay(&bob, 1)), SVM_E_WRONG_INPUT_KIND);
}
END_TEST

START_TEST(deleted_and_frozen_objects_stay_so)
{
    const struct svm_op del = {.kind = SVM_OP_DELETE};
    ck_assert_int_eq(run_one(&alice, own("alice coin"), del), SVM_OK);
    expect_failure(SVM_FAILURE_BALANCE_NOT_ZERO, 0);
    const struct svm_op both[] = {pay(&bob, 1000000), {.kind = SVM_OP_DELETE}};
    const struct svm_input coin = own("alice coin");
    ck_assert_int_eq(run(&alice, 1, &coin, 2, both), SVM_OK);
    ck_assert_int_eq(receipt->failure, SVM_FAILURE_NONE);
    ck_assert_int_eq(receipt->changes[1].change, SVM_CHANGE_DELETED);
    ck_assert(get("alice coin")->deleted);
    ck_assert_int_eq(run_one(&alice, own("alice coin"), del), SVM_E_OBJECT_DELETED);
    const struct svm_op freeze = {.kind = SVM_OP_FREEZE};
    ck_assert_int_eq(run_one(&alice, own("alice spare 1"), freeze), SVM_OK);
    ck_assert_int_eq(get("alice spare 1")->kind, SVM_KIND_IMMUTABLE);
    ck_assert_int_eq(run_one(&alice, own("alice spare 1"), freeze), SVM_E_OBJECT_IMMUTABLE);
    const struct svm_op expect = {.kind = SVM_OP_EXPECT};
    ck_assert_int_eq(run_one(&alice, shared("alice spare 1", false), expect),
                     SVM_E_WRONG_INPUT_KIND);
    ck_assert_int_eq(run_one(&alice, own("nowhere"), expect), SVM_E_OBJECT_NOT_FOUND);
    ck_assert_int_eq(run_one(&bob, own("alice spare 2"), expect), SVM_E_NOT_OWNER);
}
END_TEST

START_TEST(gas_is_metered_before_each_operation)
{
    const struct svm_op two[] = {pay(&bob, 1), pay(&bob, 1)};
    const struct svm_input coin = own("alice coin");
    gas_limit = 999;
    ck_assert_int_eq(run(&alice, 1, &coin, 2, two), SVM_E_GAS_TOO_LOW);
    gas_limit = 1599;
    ck_assert_int_eq(run(&alice, 1, &coin, 2, two), SVM_OK);
    expect_failure(SVM_FAILURE_GAS_TOO_LOW, 1);
    ck_assert_uint_eq(receipt->gas_used, 1599);
    ck_assert_uint_eq(get("alice coin")->balance, 1000000);
    gas_limit = 1600;
    ck_assert_int_eq(run(&alice, 1, &coin, 2, two), SVM_OK);
    ck_assert_int_eq(receipt->failure, SVM_FAILURE_NONE);
    ck_assert_uint_eq(receipt->gas_used, 1600);
}
END_TEST

START_TEST(the_hash_covers_the_live_objects)
{
    struct svm_digest before, after;
    ref_state_hash(ref, &before);
    const struct svm_op expect = {.kind = SVM_OP_EXPECT};
    ck_assert_int_eq(run_one(&alice, own("alice coin"), expect), SVM_OK);
    ref_state_hash(ref, &after);
    ck_assert_mem_ne(before.b, after.b, 32);
    ck_assert_uint_eq(ref_count(ref), 64);
    for (size_t i = 1; i < ref_count(ref); i++)
        ck_assert_int_lt(memcmp(ref_at(ref, i - 1)->id.b, ref_at(ref, i)->id.b, 32), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oracle_ref");
    TCase *tcase = tcase_create("ref");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, pay_makes_a_coin);
    tcase_add_test(tcase, failure_consumes_owned_inputs_only);
    tcase_add_test(tcase, versions_follow_the_newest_input);
    tcase_add_test(tcase, shared_inputs_move_only_when_written);
    tcase_add_test(tcase, only_the_controller_withdraws);
    tcase_add_test(tcase, deleted_and_frozen_objects_stay_so);
    tcase_add_test(tcase, gas_is_metered_before_each_operation);
    tcase_add_test(tcase, the_hash_covers_the_live_objects);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
