/* What an owner holds: lists against a world that moves on while they are made. */
#include <check.h>
#include <string.h>

#include "engine_rig.h"

static struct rig rig;

static bool holds(struct svm_snapshot *snapshot, const char *owner, const char *label)
{
    struct svm_dev_account account;
    struct svm_object *objects[64];
    struct svm_id id;
    size_t count;
    bool more, found = false;
    svm_dev_account(&account, support_account(owner));
    svm_dev_object_id(&id, label);
    ck_assert_int_eq(svm_object_list(snapshot, &account.address, NULL, objects, 64, &count, &more),
                     SVM_OK);
    ck_assert(!more);
    for (size_t i = 0; i < count; i++) {
        found |= memcmp(objects[i]->id.b, id.b, sizeof id.b) == 0;
        ck_assert(i == 0 || memcmp(objects[i - 1]->id.b, objects[i]->id.b, sizeof id.b) < 0);
    }
    for (size_t i = 0; i < count; i++)
        svm_object_free(objects[i]);
    return found;
}

static void give_and_materialise(struct rig *r)
{
    struct support_tx tx;
    struct rig_call call;
    struct svm_stats stats;
    rig_transfer(&tx, r, "alice", "alice spare 0", 1, "bob");
    rig_do(r, &tx, SVM_WAIT_DURABLE, SVM_OK, &call);
    do {
        rig_sleep(5);
        svm_stats(r->engine, &stats);
    } while (stats.materialised_seq < call.seq);
}

/* Between the looks at what is new and at the disk, the object changes hands, all the way to the disk. */
START_TEST(nothing_slips_between_overlay_and_disk)
{
    rig_init(&rig, SVM_SYNC);
    rig_open(&rig);
    struct svm_snapshot *snapshot;
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    rig.on_state_iter = give_and_materialise;
    ck_assert(holds(snapshot, "alice", "alice spare 0"));
    ck_assert(rig.on_state_iter == NULL);
    ck_assert(holds(snapshot, "alice", "alice spare 0"));
    ck_assert(!holds(snapshot, "bob", "alice spare 0"));
    svm_snapshot_close(snapshot);
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    ck_assert(!holds(snapshot, "alice", "alice spare 0"));
    ck_assert(holds(snapshot, "bob", "alice spare 0"));
    svm_snapshot_close(snapshot);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("list");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, nothing_slips_between_overlay_and_disk);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
