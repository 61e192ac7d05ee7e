/* The router's rules without bytes: svm_route_objects in a snapshot. */
#include <check.h>
#include <string.h>

#include "engine_rig.h"

static struct rig rig;

/* SENDER with the objects of LABELS (NULL ends them): "unknown" is none of the chain's. */
static enum svm_err route(struct svm_snapshot *snapshot, const char *sender,
                          const char *const *labels, enum svm_path *path_out)
{
    struct svm_dev_account account;
    struct svm_id ids[8];
    const struct svm_id *pointers[8];
    size_t count = 0;
    svm_dev_account(&account, support_account(sender));
    for (; labels[count]; count++) {
        svm_dev_object_id(&ids[count], labels[count]);
        pointers[count] = &ids[count];
    }
    return svm_route_objects(snapshot, &account.address, pointers, count, path_out);
}

static enum svm_err route_one(struct svm_snapshot *snapshot, const char *sender, const char *label)
{
    enum svm_path path = SVM_PATH_PRIVATE;
    const enum svm_err err = route(snapshot, sender, (const char *[]){label, NULL}, &path);
    ck_assert_int_eq(path, err == SVM_OK ? SVM_PATH_FAST : SVM_PATH_PRIVATE);
    return err;
}

static struct svm_snapshot *snapshot_open(void)
{
    struct svm_snapshot *snapshot;
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    return snapshot;
}

static void rules(void)
{
    struct svm_snapshot *snapshot = snapshot_open();
    enum svm_path path = SVM_PATH_PRIVATE;
    ck_assert_int_eq(route(snapshot, "alice", (const char *[]){NULL}, &path), SVM_OK);
    ck_assert_int_eq(path, SVM_PATH_FAST);
    ck_assert_int_eq(route_one(snapshot, "alice", "alice coin"), SVM_OK);
    ck_assert_int_eq(route_one(snapshot, "alice", "notice"), SVM_OK);
    ck_assert_int_eq(route_one(snapshot, "alice", "bob coin"), SVM_E_NOT_OWNER);
    ck_assert_int_eq(route_one(snapshot, "alice", "unknown"), SVM_E_OBJECT_NOT_FOUND);
    ck_assert_int_eq(
        route(snapshot, "bob", (const char *[]){"bob coin", "notice", "counter", NULL}, &path),
        SVM_OK);
    ck_assert_int_eq(path, SVM_PATH_CONSENSUS);
    path = SVM_PATH_PRIVATE;
    ck_assert_int_eq(route(snapshot, "bob", (const char *[]){"counter", "alice coin", NULL}, &path),
                     SVM_E_NOT_OWNER);
    ck_assert_int_eq(path, SVM_PATH_PRIVATE);
    svm_snapshot_close(snapshot);
}

/* alice's spare coin is emptied into her coin and deleted. */
static void delete_spare(struct support_tx *tx)
{
    struct svm_chain_info chain;
    struct svm_dev_account alice;
    struct svm_id spare;
    uint8_t raw[1024];
    size_t len;
    svm_chain_info(rig.engine, &chain);
    svm_dev_account(&alice, 0);
    svm_dev_object_id(&spare, "alice spare 1");
    struct svm_tx_builder *builder = svm_tx_builder_create(chain.chain, &alice.address);
    struct svm_op move = {.kind = SVM_OP_MOVE};
    move.input = (uint16_t)svm_tx_builder_owned(builder, &spare, 1);
    move.u.move.into = (uint16_t)svm_tx_builder_owned_latest(builder, &alice.coin);
    move.u.move.amount.units = 1000;
    const struct svm_op delete = {.kind = SVM_OP_DELETE, .input = move.input};
    svm_tx_builder_op(builder, &move);
    svm_tx_builder_op(builder, &delete);
    svm_tx_builder_gas_limit(builder, 100000);
    ck_assert_int_eq(svm_tx_builder_finish(builder, raw, sizeof raw, &len, NULL), SVM_OK);
    const struct svm_bytes bytes = {raw, len};
    svm_tx_digest(&tx->digest, bytes);
    ck_assert_int_eq(svm_tx_sign(tx->buf, sizeof tx->buf, &tx->bytes.len, bytes, &alice.key),
                     SVM_OK);
    tx->bytes.ptr = tx->buf;
    svm_tx_builder_destroy(builder);
}

/* What changes hands or goes away does so in later snapshots, and in earlier ones not. */
static void changes(void)
{
    struct support_tx tx;
    struct rig_call call;
    struct svm_snapshot *before = snapshot_open();
    rig_transfer(&tx, &rig, "alice", "alice spare 0", 1, "bob");
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, &call);
    delete_spare(&tx);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, &call);
    ck_assert_int_eq(call.failure, SVM_FAILURE_NONE);
    struct svm_snapshot *after = snapshot_open();
    ck_assert_int_eq(route_one(before, "alice", "alice spare 0"), SVM_OK);
    ck_assert_int_eq(route_one(before, "bob", "alice spare 0"), SVM_E_NOT_OWNER);
    ck_assert_int_eq(route_one(before, "alice", "alice spare 1"), SVM_OK);
    ck_assert_int_eq(route_one(after, "alice", "alice spare 0"), SVM_E_NOT_OWNER);
    ck_assert_int_eq(route_one(after, "bob", "alice spare 0"), SVM_OK);
    ck_assert_int_eq(route_one(after, "alice", "alice spare 1"), SVM_E_OBJECT_DELETED);
    svm_snapshot_close(before);
    svm_snapshot_close(after);
}

START_TEST(in_memory)
{
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    rules();
    changes();
    rules();
    rig_deinit(&rig);
}
END_TEST

/* After a restart nothing is resident: what is looked at comes from the disk, deleted and unknown objects too. */
START_TEST(from_the_disk)
{
    rig_init(&rig, SVM_SYNC);
    rig_open(&rig);
    changes();
    rig_reopen(&rig);
    rules();
    struct svm_snapshot *snapshot = snapshot_open();
    ck_assert_int_eq(route_one(snapshot, "bob", "alice spare 0"), SVM_OK);
    ck_assert_int_eq(route_one(snapshot, "alice", "alice spare 1"), SVM_E_OBJECT_DELETED);
    svm_snapshot_close(snapshot);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine_route_objects");
    TCase *tc = tcase_create("route");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, in_memory);
    tcase_add_test(tc, from_the_disk);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
