/* The disk cannot be read for a while: nobody is told what is not known, nothing is executed twice, and it works again afterwards. */
#include <check.h>
#include <string.h>

#include "engine_rig.h"

static struct rig rig;
static _Atomic bool unreadable; /* rows of the state */
static _Atomic unsigned refused_reads;
static enum svm_err (*state_get)(void *self, struct svm_bytes key, uint8_t **value_out,
                                 size_t *len_out);

static enum svm_err get(void *self, struct svm_bytes key, uint8_t **value_out, size_t *len_out)
{
    if (atomic_load(&unreadable)) {
        atomic_fetch_add(&refused_reads, 1);
        return SVM_E_IO;
    }
    return state_get(self, key, value_out, len_out);
}

static void init(enum svm_durability mode)
{
    rig_init(&rig, mode);
    state_get = rig.state_ops.get;
    rig.state_ops.get = get;
    atomic_store(&unreadable, false);
    atomic_store(&refused_reads, 0);
}

/* Its receipt is in the state only: a copy that cannot be compared with it is not executed. */
START_TEST(a_copy_is_not_executed_when_its_receipt_cannot_be_read)
{
    struct support_tx tx;
    struct rig_call first, copy;
    init(SVM_SYNC);
    rig_open(&rig);
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 0, "bob", 10);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, &first);
    rig_reopen(&rig);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990); /* which is resident now */
    atomic_store(&unreadable, true);
    rig_do(&rig, &tx, _i ? SVM_WAIT_DURABLE : SVM_WAIT_EXECUTED, SVM_E_INTERNAL, &copy);
    ck_assert_uint_gt(atomic_load(&refused_reads), 0);
    atomic_store(&unreadable, false);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, &copy);
    ck_assert(copy.duplicate);
    ck_assert_uint_eq(copy.seq, first.seq);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    rig_deinit(&rig);
}
END_TEST

/* The version has moved, perhaps by this very transaction: that is not called a conflict by who cannot look. */
START_TEST(no_conflict_is_told_when_the_receipt_cannot_be_read)
{
    struct support_tx tx;
    struct rig_call first, copy;
    init(SVM_SYNC);
    rig_open(&rig);
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, &first);
    rig_reopen(&rig);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 990);
    atomic_store(&unreadable, true);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_E_INTERNAL, &copy);
    atomic_store(&unreadable, false);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, &copy);
    ck_assert(copy.duplicate);
    ck_assert_uint_eq(copy.seq, first.seq);
    rig_deinit(&rig);
}
END_TEST

/* Who asks for it is told that it cannot be looked up, not that there is nothing of the kind. */
START_TEST(what_cannot_be_read_is_not_called_unknown)
{
    struct support_tx tx;
    struct rig_call first, waited = {0};
    struct svm_receipt *receipt;
    init(SVM_SYNC);
    rig_open(&rig);
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, &first);
    rig_reopen(&rig);
    atomic_store(&unreadable, true);
    ck_assert_int_eq(svm_receipt_get(rig.engine, &tx.digest, &receipt), SVM_E_IO);
    ck_assert_int_eq(svm_wait(rig.engine, &tx.digest, SVM_WAIT_DURABLE, rig_called, &waited),
                     SVM_OK);
    ck_assert(rig_answered(&waited, 2000));
    ck_assert_int_eq(waited.err, SVM_E_IO);
    atomic_store(&unreadable, false);
    memset(&waited, 0, sizeof waited);
    ck_assert_int_eq(svm_wait(rig.engine, &tx.digest, SVM_WAIT_DURABLE, rig_called, &waited),
                     SVM_OK);
    ck_assert(rig_answered(&waited, 2000));
    ck_assert_int_eq(waited.err, SVM_OK);
    ck_assert_uint_eq(waited.seq, first.seq);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("lookup");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_copy_is_not_executed_when_its_receipt_cannot_be_read, 0, 2);
    tcase_add_test(tc, no_conflict_is_told_when_the_receipt_cannot_be_read);
    tcase_add_test(tc, what_cannot_be_read_is_not_called_unknown);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
