/* When the collector walks: a snapshot that stays open must not keep it walking, and when that goes, so does what it kept. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "engine/internal.h"
#include "engine_rig.h"

enum { KEYS = 300 };
static struct rig rig;

static void write_key(unsigned n)
{
    char key[16];
    struct svm_cell_txn *txn;
    const struct svm_bytes name = {(const uint8_t *)key,
                                   (size_t)snprintf(key, sizeof key, "key %u", n)};
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_put(txn, name, name), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL), SVM_OK);
}

static void write_all(void)
{
    for (unsigned n = 0; n < KEYS; n++)
        write_key(n);
}

static uint64_t runs(void)
{
    return atomic_load(&rig.engine->gc_runs);
}

static uint64_t garbage(void)
{
    struct mvcc_counts counts;
    mvcc_counts(rig.engine->cells, &counts);
    return counts.garbage;
}

/* As if the last walk had taken so long, and ended just now. */
static void walk_took(uint64_t ns)
{
    pthread_mutex_lock(&rig.engine->gc_lock);
    rig.engine->gc_walk.took_ns = ns;
    rig.engine->gc_walk.ended_ns = engine_now_ns(rig.engine);
    pthread_mutex_unlock(&rig.engine->gc_lock);
}

static void look(void)
{
    walk_took(0); /* it has rested */
    (void)gc_step(rig.engine, false);
}

/* As if nothing had been published for a second. */
static void second_passes(void)
{
    atomic_store(&rig.engine->sampled_at, 1);
    for (unsigned i = 0; i < 2; i++)
        atomic_store(&rig.engine->applied_then[i], mvcc_applied(rig.engine->mvcc));
}

static void setup(void)
{
    rig_init(&rig, SVM_MEMORY);
    rig.config.gc_threshold = rig.config.gc_threshold_min = rig.config.gc_threshold_max = 1;
    rig_open(&rig);
    write_all();
}

static void teardown(void)
{
    rig_deinit(&rig);
}

/* What a snapshot needs is found once. The collector's own thread looks all the time, too. */
START_TEST(a_snapshot_does_not_keep_it_walking)
{
    enum { ROUNDS = 100, LOOKS = 10, FEW = 8 };
    struct svm_snapshot *snapshot;
    ck_assert_int_eq(svm_snapshot_open(rig.engine, &snapshot), SVM_OK);
    uint64_t before = runs();
    for (unsigned i = 0; i < ROUNDS; i++)
        for (unsigned n = 0; n < KEYS; n++) {
            write_key(n);
            if (n % (KEYS / LOOKS) == 0)
                look();
        }
    ck_assert_uint_ge(garbage(), KEYS); /* one each */
    ck_assert_uint_ge(runs() - before, 1);
    ck_assert_uint_le(runs() - before, FEW);

    second_passes();
    before = runs();
    for (unsigned i = 0; i < 10 * FEW; i++)
        look();
    ck_assert_uint_le(runs() - before, FEW);
    ck_assert_uint_eq(garbage(), KEYS);
    svm_snapshot_close(snapshot);
    look();
    ck_assert_uint_eq(garbage(), 0);
}
END_TEST

/* A walk takes no more than a share of the time, however much there is to be found, unless it is asked for. */
START_TEST(it_rests)
{
    const uint64_t hour_ns = UINT64_C(3600) * 1000000000;
    walk_took(hour_ns);
    const uint64_t before = runs();
    for (unsigned i = 0; i < 10; i++) {
        walk_took(hour_ns);
        write_all();
        second_passes();
        ck_assert(!gc_step(rig.engine, false));
    }
    ck_assert_uint_eq(runs(), before);
    ck_assert_uint_gt(garbage(), 0);
    ck_assert_uint_gt(svm_gc_run(rig.engine), 0);
    ck_assert_uint_eq(runs(), before + 1);
    write_all();
    second_passes();
    look();
    ck_assert_uint_eq(garbage(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("collect");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_snapshot_does_not_keep_it_walking);
    tcase_add_test(tc, it_rests);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
