/* Errors that only an embedder can meet: those of interactive transactions, of old snapshots, of a bad configuration. */
#include <check.h>
#include <string.h>
#include <time.h>

#include <svm.h>

static struct svm_engine *engine;

static void configure(struct svm_config *config)
{
    svm_config_init(config);
    config->durability = SVM_MEMORY;
    config->workers = 1;
    config->disk_free_min_bytes = 0;
}

static void open_with(const struct svm_config *config)
{
    struct svm_refusal detail = {0};
    ck_assert_msg(svm_engine_open(&engine, config, &detail) == SVM_OK, "%s", detail.reason);
}

static const struct svm_bytes key = {(const uint8_t *)"k", 1};

static enum svm_err read_key(struct svm_cell_txn *txn)
{
    struct svm_bytes value;
    return svm_cell_get(txn, key, &value);
}

/* Put one byte under the key, in a transaction of its own. */
static void overwrite(void)
{
    static uint8_t byte;
    struct svm_cell_txn *txn;
    byte++;
    ck_assert_int_eq(svm_cell_begin(engine, &txn), SVM_OK);
    ck_assert_int_eq(svm_cell_put(txn, key, (struct svm_bytes){&byte, 1}), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL), SVM_OK);
}

static bool is_key(const struct svm_cell_key *lost)
{
    return lost->len == 1 && lost->b[0] == 'k';
}

START_TEST(a_lost_race_is_a_conflict)
{
    struct svm_config config;
    struct svm_cell_txn *txn;
    struct svm_cell_key lost = {.len = 0};
    configure(&config);
    open_with(&config);
    ck_assert_int_eq(svm_cell_begin(engine, &txn), SVM_OK);
    ck_assert_int_eq(read_key(txn), SVM_E_NOT_FOUND);
    overwrite();
    ck_assert_int_eq(svm_cell_put(txn, key, key), SVM_OK);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, &lost), SVM_E_CONFLICT);
    ck_assert(is_key(&lost));
    svm_engine_close(engine);
}
END_TEST

static enum svm_err lose(void *arg, struct svm_cell_txn *txn)
{
    unsigned *attempts = arg;
    (void)read_key(txn);
    overwrite();
    ++*attempts;
    return svm_cell_put(txn, key, key);
}

START_TEST(attempts_are_bounded)
{
    struct svm_config config;
    struct svm_cell_key lost = {.len = 0};
    unsigned attempts = 0;
    configure(&config);
    config.cell_attempts_max = 5;
    open_with(&config);
    ck_assert_int_eq(svm_cell_run(engine, lose, &attempts, SVM_WAIT_EXECUTED, NULL, &lost),
                     SVM_E_RETRIES_EXHAUSTED);
    ck_assert_uint_eq(attempts, 5);
    ck_assert(is_key(&lost));
    svm_engine_close(engine);
}
END_TEST

static void sleep_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&pause, NULL);
}

static bool stop_at_once(void *arg, const struct svm_object *object)
{
    (void)arg;
    (void)object;
    return true;
}

START_TEST(a_snapshot_grows_too_old)
{
    struct svm_config config;
    struct svm_snapshot *snapshot;
    struct svm_cell_txn *txn;
    enum svm_err err = SVM_OK;
    configure(&config);
    config.gc_snapshot_age_max_ms = 100;
    config.gc_interval_ms = config.gc_interval_min_ms = 1;
    open_with(&config);
    ck_assert_int_eq(svm_snapshot_open(engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_state_scan(snapshot, stop_at_once, NULL), SVM_OK);
    ck_assert_int_eq(svm_cell_begin(engine, &txn), SVM_OK);
    for (int i = 0; err == SVM_OK && i < 500; i++) {
        sleep_ms(10);
        err = svm_state_scan(snapshot, stop_at_once, NULL);
    }
    ck_assert_int_eq(err, SVM_E_SNAPSHOT_TOO_OLD);
    svm_snapshot_close(snapshot);
    for (int i = 0; read_key(txn) != SVM_E_SNAPSHOT_TOO_OLD && i < 500; i++)
        sleep_ms(10); /* it is younger */
    ck_assert_int_eq(read_key(txn), SVM_E_SNAPSHOT_TOO_OLD);
    ck_assert_int_eq(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL), SVM_E_SNAPSHOT_TOO_OLD);
    ck_assert_int_eq(svm_snapshot_open(engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_state_scan(snapshot, stop_at_once, NULL), SVM_OK);
    svm_snapshot_close(snapshot);
    svm_engine_close(engine);
}
END_TEST

START_TEST(a_setting_out_of_range)
{
    struct svm_config config;
    struct svm_refusal detail = {0};
    configure(&config);
    config.sessions_max = 0;
    ck_assert_int_eq(svm_engine_open(&engine, &config, &detail), SVM_E_BAD_CONFIG);
    ck_assert_msg(strstr(detail.reason, "sessions.max") != NULL, "%s", detail.reason);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine errors");
    TCase *tc = tcase_create("errors");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_lost_race_is_a_conflict);
    tcase_add_test(tc, attempts_are_bounded);
    tcase_add_test(tc, a_snapshot_grows_too_old);
    tcase_add_test(tc, a_setting_out_of_range);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
