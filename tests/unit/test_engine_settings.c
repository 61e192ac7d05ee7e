/* Settings: what is out of range is refused by name, what may change changes, and what the engine says about itself. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "engine/internal.h"
#include "engine_rig.h"

static struct rig rig;

/* ---- refused at the start ---------------------------------------------------------------------------------------- */

static void no_datadir(struct svm_config *c)
{
    c->durability = SVM_SYNC;
    c->test_hooks = NULL;
}

static void hooks_without_disks(struct svm_config *c)
{
    c->durability = SVM_SYNC;
}

static void inflight_small(struct svm_config *c)
{
    c->inflight_max = 32;
}

static void inflight_odd(struct svm_config *c)
{
    c->inflight_max = 96;
}

static void workers_many(struct svm_config *c)
{
    c->workers = 65;
}

static void tx_long(struct svm_config *c)
{
    c->tx_bytes_max = SVM_TX_BYTES_MAX + 1;
}

static void inputs_many(struct svm_config *c)
{
    c->tx_inputs_max = SVM_TX_INPUTS_MAX + 1;
}

static void ops_many(struct svm_config *c)
{
    c->tx_ops_max = SVM_TX_OPS_MAX + 1;
}

static void data_long(struct svm_config *c)
{
    c->tx_data_bytes_max = SVM_DATA_BYTES_MAX + 1;
}

static void expiry_far(struct svm_config *c)
{
    c->tx_expiry_max_ms = 86400001;
    c->receipts_seconds = 100000;
}

static void dedupe_huge(struct svm_config *c)
{
    c->tx_dedupe_bytes = (UINT64_C(1) << 40) + 1;
}

static void receipts_short(struct svm_config *c)
{
    c->receipts_seconds = c->tx_expiry_max_ms / 1000 - 1;
}

static void no_queue(struct svm_config *c)
{
    c->object_queue_max = 0;
}

static void no_busy_attempts(struct svm_config *c)
{
    c->busy_attempts_max = 0;
}

static void no_cell_attempts(struct svm_config *c)
{
    c->cell_attempts_max = 0;
}

static void effects_small(struct svm_config *c)
{
    c->tx_effects_bytes_max = 1023;
}

static void intervals_crossed(struct svm_config *c)
{
    c->gc_interval_min_ms = c->gc_interval_max_ms + 1;
}

static void thresholds_crossed(struct svm_config *c)
{
    c->gc_threshold_min = c->gc_threshold_max + 1;
}

static const struct {
    void (*spoil)(struct svm_config *config);
    const char *said;
} spoilers[] = {{no_datadir, "data directory"},
                {hooks_without_disks, "data directory"},
                {inflight_small, "engine.inflight_max"},
                {inflight_odd, "engine.inflight_max"},
                {workers_many, "engine.workers"},
                {tx_long, "tx limit"},
                {inputs_many, "tx limit"},
                {ops_many, "tx limit"},
                {data_long, "tx limit"},
                {expiry_far, "tx.expiry_max"},
                {dedupe_huge, "tx.dedupe_bytes"},
                {receipts_short, "receipts.seconds"},
                {no_queue, "engine.object_queue_max"},
                {no_busy_attempts, "engine.busy_attempts_max"},
                {no_cell_attempts, "cells.attempts_max"},
                {effects_small, "tx.effects_bytes_max"},
                {intervals_crossed, "gc minimum"},
                {thresholds_crossed, "gc minimum"}};
enum { SPOILERS = sizeof spoilers / sizeof spoilers[0] };

START_TEST(what_is_out_of_range_is_named)
{
    struct svm_engine *engine;
    struct svm_refusal detail;
    rig_init(&rig, SVM_MEMORY);
    struct svm_config config = rig.config;
    spoilers[_i].spoil(&config);
    ck_assert_int_eq(svm_engine_open(&engine, &config, &detail), SVM_E_BAD_CONFIG);
    ck_assert_int_eq(detail.err, SVM_E_BAD_CONFIG);
    ck_assert_msg(strstr(detail.reason, spoilers[_i].said) != NULL, "%s", detail.reason);
    ck_assert_ptr_null(engine);
    ck_assert_int_eq(svm_engine_open(&engine, &config, NULL), SVM_E_BAD_CONFIG);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_bad_genesis_is_refused)
{
    struct svm_engine *engine;
    struct svm_refusal detail;
    rig_init(&rig, SVM_MEMORY);
    rig.config.genesis_json = "{\"format\": 1";
    ck_assert_int_eq(svm_engine_open(&engine, &rig.config, &detail), SVM_E_BAD_GENESIS);
    ck_assert_uint_gt(strlen(detail.reason), 0);
    rig.config.genesis_json = svm_genesis_dev();
    rig_open(&rig);
    struct svm_chain_info info;
    svm_chain_info(rig.engine, &info);
    ck_assert(info.dev);
    rig_deinit(&rig);
}
END_TEST

/* ---- changed while it runs ----------------------------------------------------------------------------------------- */

static _Atomic unsigned errors_said, lines_said;
static char last_error[64];

static void log_line(void *arg, enum svm_log_level level, const char *event, const char *text)
{
    ck_assert_ptr_eq(arg, &rig);
    ck_assert_uint_gt(strlen(text), 0);
    if (level == SVM_LOG_ERROR) {
        snprintf(last_error, sizeof last_error, "%s", event);
        atomic_fetch_add(&errors_said, 1);
    }
    atomic_fetch_add(&lines_said, 1);
}

START_TEST(a_reload_is_taken_as_a_whole_or_not)
{
    struct support_tx tx;
    struct rig_call call;
    rig_init(&rig, _i ? SVM_SYNC : SVM_MEMORY);
    rig.config.log = log_line;
    rig.config.log_arg = &rig;
    atomic_store(&errors_said, 0);
    atomic_store(&lines_said, 0);
    rig_open(&rig);
    ck_assert_uint_gt(atomic_load(&lines_said), 0); /* that it has recovered */
    struct svm_config config = rig.config;
    config.tx_expiry_max_ms = 700000; /* longer than before: receipts stay as long */
    config.tx_bytes_max = 100;
    config.gc_adaptive = 0;
    config.gc_interval_ms = 3;
    config.gc_threshold = 2000;
    svm_reconfigure(rig.engine, &config);
    support_add(&tx, rig.engine, "alice", "counter", 1, 1);
    struct svm_refusal refusal;
    ck_assert_int_eq(
        svm_submit(rig.engine, tx.bytes, SVM_WAIT_EXECUTED, rig_called, &call, &refusal),
        SVM_E_TX_TOO_LARGE);
    ck_assert_uint_eq(refusal.limit, 100);
    struct svm_stats stats;
    for (unsigned i = 0; i < 2000; i++) {
        svm_stats(rig.engine, &stats);
        if (stats.gc_interval_ms == 3 && stats.gc_threshold == 2000)
            break;
        rig_sleep(1);
    }
    ck_assert_uint_eq(stats.gc_interval_ms, 3);
    ck_assert_uint_eq(stats.gc_threshold, 2000);
    ck_assert_uint_eq(atomic_load(&errors_said), 0);

    config.tx_bytes_max = SVM_TX_BYTES_MAX;
    config.gc_threshold_min = config.gc_threshold_max + 1;
    svm_reconfigure(rig.engine, &config);
    ck_assert_uint_eq(atomic_load(&errors_said), 1);
    ck_assert_str_eq(last_error, "config.refused");
    ck_assert_int_eq(
        svm_submit(rig.engine, tx.bytes, SVM_WAIT_EXECUTED, rig_called, &call, &refusal),
        SVM_E_TX_TOO_LARGE);
    config.gc_threshold_min = 1;
    svm_reconfigure(rig.engine, &config);
    rig_do(&rig, &tx, SVM_WAIT_DURABLE, SVM_OK, NULL);
    rig_deinit(&rig);
}
END_TEST

START_TEST(limits_of_a_transaction)
{
    struct support_tx tx;
    struct rig_call call;
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    struct svm_config config = rig.config;
    support_add(&tx, rig.engine, "alice", "counter", 1, 1);
    config.tx_inputs_max = 0;
    svm_reconfigure(rig.engine, &config);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_E_LIMIT_EXCEEDED, &call);
    ck_assert_uint_eq(call.refusal.got, 1);
    config.tx_inputs_max = 1;
    config.tx_ops_max = 0;
    svm_reconfigure(rig.engine, &config);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_E_LIMIT_EXCEEDED, &call);
    ck_assert_msg(strstr(call.refusal.reason, "tx.ops_max") != NULL, "%s", call.refusal.reason);
    config.tx_ops_max = 1;
    svm_reconfigure(rig.engine, &config);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, NULL);
    rig_deinit(&rig);
}
END_TEST

/* Without collection garbage stays; when it is asked for it goes. */
START_TEST(nothing_is_collected_unasked)
{
    struct support_tx tx;
    struct svm_stats stats;
    rig_init(&rig, SVM_MEMORY);
    rig.config.gc_enabled = 0;
    rig_open(&rig);
    for (unsigned i = 0; i < 20; i++) {
        support_add(&tx, rig.engine, "alice", "counter", 1, i);
        rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, NULL);
    }
    rig_sleep(20);
    svm_stats(rig.engine, &stats);
    ck_assert_uint_eq(stats.gc_runs, 0);
    ck_assert_uint_eq(stats.gc_versions_removed, 0);
    ck_assert_uint_gt(svm_gc_run(rig.engine), 0);
    svm_stats(rig.engine, &stats);
    ck_assert_uint_eq(stats.gc_runs, 1);
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), 20);
    rig_deinit(&rig);
}
END_TEST

/* ---- what it says of itself ---------------------------------------------------------------------------------------- */

START_TEST(names_are_total)
{
    static const char *const modes[] = {"memory", "write", "sync", "interval", ""};
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(svm_durability_name((enum svm_durability)i), modes[i]);
    static const char *const rules[] = {"PRIVATE",  "SHARED_INPUT", "ALL_OWNED",
                                        "NO_INPUT", "REFUSED",      ""};
    for (int i = 0; i < 6; i++)
        ck_assert_str_eq(svm_route_rule_name((enum svm_route_rule)i), rules[i]);
    static const char *const stages[] = {"total", "queue", "execute", "durable", "", ""};
    for (int i = 0; i < 6; i++)
        ck_assert_str_eq(svm_stage_name((enum svm_stage)i), stages[i]);
    enum svm_path path;
    struct svm_tx tx = {.privacy = 1};
    ck_assert_int_eq(route_decide(&tx, &path), SVM_RULE_PRIVATE);
    ck_assert_int_eq(path, SVM_PATH_PRIVATE);
    tx.privacy = 0;
    ck_assert_int_eq(route_decide(&tx, &path), SVM_RULE_NO_INPUT);
    ck_assert_int_eq(path, SVM_PATH_FAST);
}
END_TEST

START_TEST(every_thread_makes_progress)
{
    const char *names[16];
    uint64_t before[16], after[16];
    rig_init(&rig, SVM_SYNC);
    rig_open(&rig);
    ck_assert_uint_eq(svm_progress(rig.engine, names, before, 1), 1);
    ck_assert_uint_eq(svm_progress(rig.engine, names, before, 3), 3);
    size_t n = svm_progress(rig.engine, names, before, 16);
    ck_assert_uint_eq(n, rig.config.workers + 3);
    ck_assert_str_eq(names[0], "worker");
    ck_assert_str_eq(names[n - 1], "materialiser");
    for (size_t i = 0; i < n; i++) {
        after[i] = before[i];
        for (unsigned ms = 0; ms < 5000 && after[i] == before[i]; ms++) {
            uint64_t now[16];
            rig_sleep(1);
            (void)svm_progress(rig.engine, names, now, 16);
            after[i] = now[i];
        }
        ck_assert_uint_gt(after[i], before[i]);
    }
    rig_deinit(&rig);
}
END_TEST

START_TEST(health_says_that_it_drains)
{
    struct svm_refusal detail;
    struct svm_cell_txn *txn;
    struct support_tx tx;
    struct rig_call call;
    rig_init(&rig, SVM_SYNC);
    rig_open(&rig);
    ck_assert_int_eq(svm_health(rig.engine, &detail), SVM_OK);
    support_add(&tx, rig.engine, "alice", "counter", 1, 1);
    svm_engine_drain(rig.engine);
    ck_assert_int_eq(svm_health(rig.engine, &detail), SVM_E_SHUTTING_DOWN);
    ck_assert_int_eq(svm_health(rig.engine, NULL), SVM_E_SHUTTING_DOWN);
    ck_assert_int_eq(
        svm_submit(rig.engine, tx.bytes, SVM_WAIT_EXECUTED, rig_called, &call, &detail),
        SVM_E_SHUTTING_DOWN);
    ck_assert_int_eq(svm_cell_begin(rig.engine, &txn), SVM_E_SHUTTING_DOWN);
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), 0); /* reads are served */
    rig_deinit(&rig);
}
END_TEST

/* The thread that looked at the clocks was stopped between them: it says nothing about a leap. */
START_TEST(a_stop_between_two_clocks_is_no_leap)
{
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    uint64_t before = svm_now_ms(rig.engine);
    for (unsigned i = 0; i < 20; i++) {
        rig_pass(&rig, 10);
        atomic_store(&rig.leap_ms, 90000); /* the next look takes a minute and a half */
        (void)svm_now_ms(rig.engine);
        ck_assert_int_eq(svm_health(rig.engine, NULL), SVM_OK);
    }
    rig_pass(&rig, 1);
    ck_assert_uint_ge(svm_now_ms(rig.engine), before);
    struct support_tx tx;
    support_add(&tx, rig.engine, "alice", "counter", 1, 1);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, NULL);
    rig_deinit(&rig);
}
END_TEST

START_TEST(in_memory_there_is_nothing_to_copy)
{
    struct svm_refusal detail;
    uint64_t seq;
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    ck_assert_int_eq(svm_checkpoint(rig.engine, "/nonexistent/x", &seq, &detail),
                     SVM_E_METHOD_DISABLED);
    ck_assert_int_eq(svm_checkpoint(rig.engine, "/nonexistent/x", &seq, NULL),
                     SVM_E_METHOD_DISABLED);
    ck_assert_int_eq(svm_compact(rig.engine), SVM_E_METHOD_DISABLED);
    rig_deinit(&rig);

    rig_init(&rig, SVM_SYNC);
    rig_open(&rig);
    ck_assert_int_eq(svm_checkpoint(rig.engine, "/nonexistent/x", &seq, &detail),
                     SVM_E_METHOD_DISABLED); /* there is no directory */
    ck_assert_int_eq(svm_compact(rig.engine), SVM_OK);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("settings");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, what_is_out_of_range_is_named, 0, SPOILERS);
    tcase_add_test(tc, a_bad_genesis_is_refused);
    tcase_add_loop_test(tc, a_reload_is_taken_as_a_whole_or_not, 0, 2);
    tcase_add_test(tc, limits_of_a_transaction);
    tcase_add_test(tc, nothing_is_collected_unasked);
    tcase_add_test(tc, names_are_total);
    tcase_add_test(tc, every_thread_makes_progress);
    tcase_add_test(tc, health_says_that_it_drains);
    tcase_add_test(tc, a_stop_between_two_clocks_is_no_leap);
    tcase_add_test(tc, in_memory_there_is_nothing_to_copy);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
