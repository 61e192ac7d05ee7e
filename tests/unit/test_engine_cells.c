/* Interactive transactions: what one sees of itself, big ones, sessions, and batches that several threads run. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "engine/internal.h"
#include "engine_rig.h"

static struct rig rig;

static struct svm_bytes bytes_of(const char *text)
{
    return (struct svm_bytes){(const uint8_t *)text, strlen(text)};
}

/* ---- one transaction ---------------------------------------------------------------------------------------- */

START_TEST(own_writes_are_seen_and_stay)
{
    struct svm_cell_txn *txn;
    struct svm_bytes first, second, value;
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_put(txn, bytes_of("k"), bytes_of("one")), SVM_OK);
    ck_assert_int_eq(svm_cell_get(txn, bytes_of("k"), &first), SVM_OK);
    ck_assert_int_eq(svm_cell_put(txn, bytes_of("k"), bytes_of("two")), SVM_OK);
    ck_assert_int_eq(svm_cell_get(txn, bytes_of("k"), &second), SVM_OK);
    ck_assert_int_eq(svm_cell_del(txn, bytes_of("k")), SVM_OK);
    ck_assert_int_eq(svm_cell_get(txn, bytes_of("k"), &value), SVM_E_NOT_FOUND);
    ck_assert_mem_eq(first.ptr, "one", 3); /* borrowed until the end */
    ck_assert_mem_eq(second.ptr, "two", 3);
    ck_assert_int_eq(svm_cell_put(txn, bytes_of("k"), bytes_of("")), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL), SVM_OK);

    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_get(txn, bytes_of("k"), &value), SVM_OK);
    ck_assert_uint_eq(value.len, 0);
    svm_cell_abort(txn);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_snapshot_stands_still)
{
    struct svm_cell_txn *txn, *other;
    struct svm_bytes value;
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &other), SVM_OK);
    ck_assert_int_eq(svm_cell_put(other, bytes_of("k"), bytes_of("new")), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(other, SVM_WAIT_EXECUTED, NULL, NULL), SVM_OK);
    ck_assert_int_eq(svm_cell_get(txn, bytes_of("k"), &value), SVM_E_NOT_FOUND);
    ck_assert_int_eq(svm_cell_get(txn, bytes_of("k"), &value), SVM_E_NOT_FOUND);
    ck_assert_int_eq(svm_cell_put(txn, bytes_of("other"), bytes_of("x")), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL), SVM_E_CONFLICT);
    rig_deinit(&rig);
}
END_TEST

START_TEST(keys_have_limits)
{
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    uint8_t key[SVM_CELL_KEY_MAX + 1] = {1};
    const struct svm_bytes longest = {key, SVM_CELL_KEY_MAX}, longer = {key, SVM_CELL_KEY_MAX + 1},
                           empty = {key, 0};
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    for (size_t len = 1; len <= SVM_CELL_KEY_MAX; len++) /* keys that are each other's beginning */
        ck_assert_int_eq(
            svm_cell_put(txn, (struct svm_bytes){key, len}, (struct svm_bytes){key, len}), SVM_OK);
    ck_assert_int_eq(svm_cell_put(txn, longer, empty), SVM_E_LIMIT_EXCEEDED);
    ck_assert_int_eq(svm_cell_put(txn, empty, empty), SVM_E_LIMIT_EXCEEDED);
    ck_assert_int_eq(svm_cell_get(txn, longer, &value), SVM_E_LIMIT_EXCEEDED);
    ck_assert_int_eq(svm_cell_get(txn, empty, &value), SVM_E_LIMIT_EXCEEDED);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL), SVM_OK);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    for (size_t len = 1; len <= SVM_CELL_KEY_MAX; len++) {
        ck_assert_int_eq(svm_cell_get(txn, (struct svm_bytes){key, len}, &value), SVM_OK);
        ck_assert_uint_eq(value.len, len);
    }
    ck_assert_int_eq(svm_cell_get(txn, longest, &value), SVM_OK);
    svm_cell_abort(txn);
    rig_deinit(&rig);
}
END_TEST

/* ---- big ones, against a map ----------------------------------------------------------------------------------- */

enum { MAP_KEYS = 3000, MAP_STEPS = 12000 };

struct map {
    uint64_t value[MAP_KEYS]; /* 0 = absent */
};

static struct svm_bytes map_key(char text[24], uint64_t i)
{
    snprintf(text, 24, "%llx key %llu", (unsigned long long)(i * 7919 % 256),
             (unsigned long long)i);
    return bytes_of(text);
}

static void map_check(struct svm_cell_txn *txn, const struct map *map, uint64_t i)
{
    char text[24];
    struct svm_bytes value;
    enum svm_err err = svm_cell_get(txn, map_key(text, i), &value);
    ck_assert_int_eq(err, map->value[i] ? SVM_OK : SVM_E_NOT_FOUND);
    if (err == SVM_OK)
        ck_assert_mem_eq(value.ptr, &map->value[i], sizeof map->value[i]);
}

static void map_write(struct svm_cell_txn *txn, struct map *map, uint64_t i, uint64_t value)
{
    char text[24];
    const struct svm_bytes bytes = {(const uint8_t *)&value, sizeof value};
    map->value[i] = value;
    ck_assert_int_eq(value ? svm_cell_put(txn, map_key(text, i), bytes)
                           : svm_cell_del(txn, map_key(text, i)),
                     SVM_OK);
}

static uint64_t seed_of(const char *test)
{
    const char *text = getenv("SVM_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : clock_system.boot_ns(NULL);
    printf("%s: SVM_SEED=%llu\n", test, (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

/* Transactions of all sizes, aborted and committed, over an orderly restart: the log's frames are in order of key, whatever the order of writing. */
START_TEST(transactions_of_any_size)
{
    static struct map map, tried;
    struct rng rng;
    rng_init(&rng, seed_of("transactions_of_any_size"));
    memset(&map, 0, sizeof map);
    rig_init(&rig, SVM_WRITE);
    rig_open(&rig);
    for (unsigned round = 0; round < 60; round++) {
        struct svm_cell_txn *txn;
        uint64_t steps = rng_below(&rng, round % 3 == 0 ? MAP_STEPS : 20);
        tried = map;
        ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
        for (uint64_t i = 0; i < steps; i++) {
            uint64_t at = rng_below(&rng, MAP_KEYS);
            if (rng_below(&rng, 3) == 0)
                map_write(txn, &tried, at, rng_below(&rng, 4) ? rng_next(&rng) : 0);
            else
                map_check(txn, &tried, at);
        }
        if (rng_below(&rng, 4) == 0) {
            svm_cell_abort(txn);
            continue;
        }
        ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_DURABLE, NULL, NULL), SVM_OK);
        map = tried;
        if (round % 20 == 19)
            rig_reopen(&rig);
    }
    rig_deinit(&rig);
}
END_TEST

START_TEST(too_many_keys)
{
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    char text[24];
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    for (uint64_t i = 0; i < MODEL_CELL_WRITES_MAX; i++)
        ck_assert_int_eq(svm_cell_put(txn, map_key(text, i), bytes_of("v")), SVM_OK);
    ck_assert_int_eq(svm_cell_put(txn, map_key(text, 0), bytes_of("w")), SVM_OK);
    ck_assert_int_eq(svm_cell_put(txn, bytes_of("one more"), bytes_of("v")), SVM_E_LIMIT_EXCEEDED);
    ck_assert_int_eq(svm_cell_get(txn, bytes_of("one more"), &value), SVM_E_NOT_FOUND);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL), SVM_OK);
    rig_deinit(&rig);
}
END_TEST

/* ---- sessions --------------------------------------------------------------------------------------------------- */

START_TEST(sessions_are_bounded)
{
    struct svm_cell_txn *one, *two, *three;
    rig_init(&rig, SVM_MEMORY);
    rig.config.sessions_max = 2;
    rig_open(&rig);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(svm_cell_begin(rig.engine, &one), SVM_OK);
        ck_assert_int_eq(svm_cell_begin(rig.engine, &two), SVM_OK);
        ck_assert_ptr_ne(one, two);
        ck_assert_int_eq(svm_cell_begin(rig.engine, &three), SVM_E_OVERLOADED);
        svm_cell_abort(i % 2 ? one : two);
        ck_assert_int_eq(svm_cell_begin(rig.engine, &three), SVM_OK);
        svm_cell_abort(three);
        svm_cell_abort(i % 2 ? two : one);
    }
    rig_deinit(&rig);
}
END_TEST

/* ---- batches ---------------------------------------------------------------------------------------------------- */

enum { COUNTERS = 10, JOBS = 6000 };

static enum svm_err increment(void *arg, struct svm_cell_txn *txn)
{
    const char *key = arg;
    struct svm_bytes value;
    uint32_t n = 0;
    enum svm_err err = svm_cell_get(txn, bytes_of(key), &value);
    if (err == SVM_OK)
        memcpy(&n, value.ptr, sizeof n);
    else if (err != SVM_E_NOT_FOUND)
        return err;
    n++;
    return svm_cell_put(txn, bytes_of(key), (struct svm_bytes){(const uint8_t *)&n, sizeof n});
}

static enum svm_err refuse(void *arg, struct svm_cell_txn *txn)
{
    enum svm_err err = svm_cell_put(txn, bytes_of(arg), bytes_of("never"));
    return err == SVM_OK ? SVM_E_BAD_CONFIG : err;
}

static int by_seq(const void *a, const void *b)
{
    uint64_t x = ((const struct svm_cell_job *)a)->seq, y = ((const struct svm_cell_job *)b)->seq;
    return x < y ? -1 : x > y;
}

/* Every third is fast, one in a hundred gives up by itself. Counters are exact, positions are distinct, everything is durable. */
static void run_batch(uint32_t keys, size_t count, uint32_t expected[COUNTERS])
{
    static const char *const names[COUNTERS] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    static struct svm_cell_job jobs[JOBS];
    struct svm_cell_batch_stats stats;
    uint64_t refused = 0;
    for (size_t i = 0; i < count; i++) {
        bool refusing = i % 100 == 99;
        jobs[i] = (struct svm_cell_job){.fn = refusing ? refuse : increment,
                                        .arg = (void *)(uintptr_t)names[i % keys],
                                        .fast = i % 3 == 0};
        expected[i % keys] += !refusing;
        refused += refusing;
    }
    svm_cell_run_batch(rig.engine, jobs, count, SVM_WAIT_DURABLE, &stats);
    ck_assert_uint_eq(stats.failed, refused);
    ck_assert_uint_eq(stats.fast + stats.consensus + stats.failed, count);
    ck_assert_uint_eq(stats.fast + stats.fallbacks,
                      (count + 2) / 3 - (refused ? (count / 100 + 2) / 3 : 0));
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(jobs[i].err, i % 100 == 99 ? SVM_E_BAD_CONFIG : SVM_OK);
    for (size_t i = 0; i < count; i++)
        if (jobs[i].err != SVM_OK)
            jobs[i].seq = 0;
    qsort(jobs, count, sizeof jobs[0], by_seq);
    for (size_t i = refused + 1; i < count; i++)
        ck_assert_uint_lt(jobs[i - 1].seq, jobs[i].seq);
    ck_assert_uint_ge(svm_durable_seq(rig.engine), jobs[count - 1].seq);
}

START_TEST(batches_are_exact)
{
    uint32_t expected[COUNTERS] = {0};
    struct svm_cell_txn *txn;
    rig_init(&rig, SVM_WRITE);
    rig.config.workers = 3;
    rig.config.cell_attempts_max = 100000;
    rig.config.busy_attempts_max = 100000;
    rig_open(&rig);
    for (unsigned round = 0; round < 4; round++) {
        run_batch(COUNTERS, JOBS, expected);
        run_batch(1, JOBS, expected); /* all defeat each other */
        run_batch(COUNTERS, 1 + round, expected);
    }
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    for (unsigned i = 0; i < COUNTERS; i++) {
        struct svm_bytes value;
        const char key[] = {(char)('a' + i), 0};
        ck_assert_int_eq(svm_cell_get(txn, bytes_of(key), &value), SVM_OK);
        ck_assert_mem_eq(value.ptr, &expected[i], sizeof expected[i]);
    }
    svm_cell_abort(txn);
    rig_deinit(&rig);
}
END_TEST

/* Several callers hand in batches at once: one has the helpers, the others do without. */
static void *batch_caller(void *arg)
{
    struct svm_cell_job *jobs = calloc(JOBS, sizeof *jobs);
    struct svm_cell_batch_stats stats;
    uint64_t *done = arg;
    for (size_t i = 0; i < JOBS; i++)
        jobs[i] = (struct svm_cell_job){.fn = increment, .arg = (void *)(uintptr_t) "shared"};
    svm_cell_run_batch(rig.engine, jobs, JOBS, SVM_WAIT_EXECUTED, &stats);
    *done = stats.consensus;
    free(jobs);
    return NULL;
}

START_TEST(batches_at_once)
{
    enum { CALLERS = 3 };
    pthread_t threads[CALLERS];
    uint64_t done[CALLERS];
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    uint32_t n;
    rig_init(&rig, SVM_MEMORY);
    rig.config.workers = 3;
    rig.config.cell_attempts_max = 100000;
    rig.config.busy_attempts_max = 100000;
    rig_open(&rig);
    for (unsigned i = 0; i < CALLERS; i++)
        pthread_create(&threads[i], NULL, batch_caller, &done[i]);
    for (unsigned i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(done[i], JOBS);
    }
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_get(txn, bytes_of("shared"), &value), SVM_OK);
    memcpy(&n, value.ptr, sizeof n);
    ck_assert_uint_eq(n, CALLERS * JOBS);
    svm_cell_abort(txn);
    rig_deinit(&rig);
}
END_TEST

/* More positions than the sequence has places for, and nobody but the callers to take them. */
START_TEST(positions_are_taken)
{
    rig_init(&rig, SVM_MEMORY);
    rig.config.inflight_max = 64;
    rig.config.sessions_max = 200;
    rig_open(&rig);
    uint64_t before = svm_applied_seq(rig.engine);
    char key[] = "k";
    for (unsigned i = 0; i < 5000; i++)
        ck_assert_int_eq(svm_cell_run(rig.engine, increment, key, SVM_WAIT_NONE, NULL, NULL),
                         SVM_OK);
    ck_assert_uint_eq(svm_applied_seq(rig.engine), before + 5000);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine_cells");
    TCase *tcase = tcase_create("cells");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, own_writes_are_seen_and_stay);
    tcase_add_test(tcase, a_snapshot_stands_still);
    tcase_add_test(tcase, keys_have_limits);
    tcase_add_test(tcase, transactions_of_any_size);
    tcase_add_test(tcase, too_many_keys);
    tcase_add_test(tcase, sessions_are_bounded);
    tcase_add_test(tcase, batches_are_exact);
    tcase_add_test(tcase, batches_at_once);
    tcase_add_test(tcase, positions_are_taken);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
