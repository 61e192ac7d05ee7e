/* The engine through its public interface: submit, receipts, duplicates, refusals, snapshots, lists, in every durability mode. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <svm.h>

#include "engine_support.h"

static struct svm_engine *engine;
static char dir[64];

static void open_mode(enum svm_durability mode)
{
    struct svm_config config;
    struct svm_refusal detail;
    svm_config_init(&config);
    config.durability = mode;
    config.workers = 2;
    config.disk_free_min_bytes = 0;
    if (mode != SVM_MEMORY) {
        support_temp_dir(dir);
        config.datadir = dir;
    }
    ck_assert_msg(svm_engine_open(&engine, &config, &detail) == SVM_OK, "%s", detail.reason);
}

static void close_mode(void)
{
    svm_engine_close(engine);
    if (dir[0])
        support_remove_dir(dir);
    dir[0] = 0;
}

static void sum_visit(uint64_t *sum, const struct svm_object *object)
{
    *sum += object->balance.units;
}

static bool sum_object(void *arg, const struct svm_object *object)
{
    sum_visit(arg, object);
    return true;
}

static uint64_t sum_of_balances(void)
{
    struct svm_snapshot *snapshot;
    uint64_t sum = 0;
    ck_assert_int_eq(svm_snapshot_open(engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_state_scan(snapshot, sum_object, &sum), SVM_OK);
    svm_snapshot_close(snapshot);
    return sum;
}

static const enum svm_durability modes[] = {SVM_MEMORY, SVM_WRITE, SVM_SYNC, SVM_INTERVAL};

START_TEST(pay_is_fast)
{
    open_mode(modes[_i]);
    struct support_tx tx;
    uint64_t before = sum_of_balances();
    support_pay(&tx, engine, "alice", "alice spare 0", 1, "bob", 10);
    struct svm_receipt *receipt;
    struct svm_outcome outcome;
    struct svm_refusal refusal;
    ck_assert_msg(
        svm_submit_wait(engine, tx.bytes, SVM_WAIT_DURABLE, &receipt, &outcome, &refusal) == SVM_OK,
        "%s", refusal.reason);
    ck_assert_int_eq(receipt->failure, SVM_FAILURE_NONE);
    ck_assert_int_eq(receipt->path, SVM_PATH_FAST);
    ck_assert_uint_eq(receipt->seq, 1);
    ck_assert_uint_eq(receipt->gas_used, 1300);
    ck_assert_uint_eq(receipt->change_count, 2);
    ck_assert(outcome.durable == (modes[_i] != SVM_MEMORY));
    ck_assert(!outcome.duplicate);
    svm_receipt_free(receipt);

    ck_assert_int_eq(
        svm_submit_wait(engine, tx.bytes, SVM_WAIT_DURABLE, &receipt, &outcome, &refusal), SVM_OK);
    ck_assert(outcome.duplicate);
    ck_assert_uint_eq(receipt->seq, 1);
    svm_receipt_free(receipt);
    ck_assert_uint_eq(sum_of_balances(), before);
    close_mode();
}
END_TEST

START_TEST(counter_is_ordered)
{
    enum { N = 200 };
    open_mode(modes[_i]);
    struct support_wait wait;
    support_wait_init(&wait, N);
    for (unsigned i = 0; i < N; i++) {
        struct support_tx tx;
        support_add(&tx, engine, "alice", "counter", 1, i);
        ck_assert_int_eq(
            svm_submit(engine, tx.bytes, SVM_WAIT_EXECUTED, support_wait_one, &wait, NULL), SVM_OK);
    }
    support_wait_all(&wait);
    ck_assert_uint_eq(wait.ok, N);
    ck_assert_uint_eq(wait.consensus, N);
    ck_assert_uint_eq(support_counter(engine, "counter"), N);
    close_mode();
}
END_TEST

START_TEST(stale_version_names_the_winner)
{
    open_mode(modes[_i]);
    struct support_tx first, second;
    struct svm_receipt *receipt;
    struct svm_refusal refusal;
    support_pay(&first, engine, "alice", "alice spare 1", 1, "bob", 10);
    support_pay(&second, engine, "alice", "alice spare 1", 1, "carol", 10);
    ck_assert_int_eq(svm_submit_wait(engine, first.bytes, SVM_WAIT_EXECUTED, &receipt, NULL, NULL),
                     SVM_OK);
    svm_receipt_free(receipt);
    ck_assert_int_eq(
        svm_submit_wait(engine, second.bytes, SVM_WAIT_DURABLE, &receipt, NULL, &refusal),
        SVM_E_VERSION_CONFLICT);
    ck_assert_uint_eq(refusal.given, 1);
    ck_assert_uint_eq(refusal.current, 2);
    ck_assert_mem_eq(refusal.winner.b, first.digest.b, 32);
    close_mode();
}
END_TEST

START_TEST(list_follows_owners)
{
    open_mode(modes[_i]);
    struct svm_dev_account bob;
    svm_dev_account(&bob, 1);
    struct svm_snapshot *before, *after;
    struct svm_object *objects[64];
    size_t count;
    bool more;
    ck_assert_int_eq(svm_snapshot_open(engine, &before), SVM_OK);
    struct support_tx tx;
    struct svm_receipt *receipt;
    for (unsigned i = 0; i < 5; i++) {
        char label[32];
        snprintf(label, sizeof label, "alice spare %u", i);
        support_pay(&tx, engine, "alice", label, 1, "bob", 1 + i);
        ck_assert_int_eq(svm_submit_wait(engine, tx.bytes, SVM_WAIT_EXECUTED, &receipt, NULL, NULL),
                         SVM_OK);
        svm_receipt_free(receipt);
    }
    ck_assert_int_eq(svm_object_list(before, &bob.address, NULL, objects, 64, &count, &more),
                     SVM_OK);
    ck_assert_uint_eq(count, 6);
    for (size_t i = 0; i < count; i++)
        svm_object_free(objects[i]);
    svm_snapshot_close(before);
    ck_assert_int_eq(svm_snapshot_open(engine, &after), SVM_OK);
    ck_assert_int_eq(svm_object_list(after, &bob.address, NULL, objects, 7, &count, &more), SVM_OK);
    ck_assert_uint_eq(count, 7);
    ck_assert(more);
    struct svm_id last = objects[6]->id;
    for (size_t i = 0; i < count; i++)
        svm_object_free(objects[i]);
    ck_assert_int_eq(svm_object_list(after, &bob.address, &last, objects, 64, &count, &more),
                     SVM_OK);
    ck_assert_uint_eq(count, 4);
    ck_assert(!more);
    for (size_t i = 0; i < count; i++)
        svm_object_free(objects[i]);
    svm_snapshot_close(after);
    close_mode();
}
END_TEST

START_TEST(survives_reopening)
{
    if (modes[_i] == SVM_MEMORY)
        return;
    open_mode(modes[_i]);
    struct support_tx tx;
    struct svm_receipt *receipt;
    struct svm_outcome outcome;
    support_pay(&tx, engine, "alice", "alice coin", 1, "bob", 77);
    ck_assert_int_eq(svm_submit_wait(engine, tx.bytes, SVM_WAIT_DURABLE, &receipt, NULL, NULL),
                     SVM_OK);
    svm_receipt_free(receipt);
    uint64_t before = sum_of_balances();
    svm_engine_close(engine);

    struct svm_config config;
    svm_config_init(&config);
    config.durability = modes[_i];
    config.datadir = dir;
    config.disk_free_min_bytes = 0;
    struct svm_refusal detail;
    ck_assert_msg(svm_engine_open(&engine, &config, &detail) == SVM_OK, "%s", detail.reason);
    ck_assert_uint_eq(sum_of_balances(), before);
    ck_assert_int_eq(svm_submit_wait(engine, tx.bytes, SVM_WAIT_DURABLE, &receipt, &outcome, NULL),
                     SVM_OK);
    ck_assert(outcome.duplicate);
    ck_assert_uint_eq(receipt->seq, 1);
    svm_receipt_free(receipt);
    close_mode();
}
END_TEST

static enum svm_err increment(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    const struct svm_bytes key = {(const uint8_t *)"hits", 4};
    struct svm_bytes value;
    uint64_t n = 0;
    enum svm_err err = svm_cell_get(txn, key, &value);
    if (err == SVM_OK)
        memcpy(&n, value.ptr, sizeof n);
    else if (err != SVM_E_NOT_FOUND)
        return err;
    n++;
    return svm_cell_put(txn, key, (struct svm_bytes){(const uint8_t *)&n, sizeof n});
}

static void *increment_many(void *arg)
{
    for (unsigned i = 0; i < 500; i++)
        ck_assert_int_eq(svm_cell_run(engine, increment, arg, SVM_WAIT_EXECUTED, NULL, NULL),
                         SVM_OK);
    return NULL;
}

START_TEST(cells_count_exactly)
{
    open_mode(modes[_i]);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, increment_many, NULL);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    uint64_t n;
    ck_assert_int_eq(svm_cell_begin(engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_get(txn, (struct svm_bytes){(const uint8_t *)"hits", 4}, &value),
                     SVM_OK);
    memcpy(&n, value.ptr, sizeof n);
    ck_assert_uint_eq(n, 2000);
    svm_cell_abort(txn);
    close_mode();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("submit");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, pay_is_fast, 0, 4);
    tcase_add_loop_test(tc, counter_is_ordered, 0, 4);
    tcase_add_loop_test(tc, stale_version_names_the_winner, 0, 4);
    tcase_add_loop_test(tc, list_follows_owners, 0, 4);
    tcase_add_loop_test(tc, survives_reopening, 0, 4);
    tcase_add_loop_test(tc, cells_count_exactly, 0, 4);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
