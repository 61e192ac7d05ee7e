/* The log grows no faster than the state: the rule against a model of a materialiser, millisecond by millisecond, and an engine whose
 * materialiser is held. Nothing is timed. */
#include <check.h>
#include <pthread.h>

#include "engine/internal.h"
#include "engine_rig.h"

/* ---- the rule ---------------------------------------------------------------------------------------------------- */

static const double MIB = 1 << 20;
enum { MS = 1000000, SECOND = 1000 };

/* Callers who want DEMAND bytes a second, of which WINDOW are in flight at most, and a materialiser that takes batches at RATE. */
struct model {
    double demand, window, rate;
    unsigned stall_every_ms, stall_ms; /* it stands still at the end of each such time */
    double limit;                      /* storage.dirty_bytes_max */
    struct pace pace;
    uint64_t now_ms, logged, dirty;
    double waiting, batch, made;
    uint64_t held_ms;                  /* the group at hand */
    uint64_t waits, refused, held_max; /* ms; bytes; ms */
    double drained, capacity;
    uint64_t dirty_max;
};

static double batch_of(const struct model *m)
{
    return m->limit / 4 < STORE_PACE_BYTES ? m->limit / 4 : STORE_PACE_BYTES;
}

static void start(struct model *m)
{
    m->now_ms = 1000;
    pace_init(&m->pace, m->now_ms * MS, 0, 0, (uint64_t)m->limit);
}

static void materialise(struct model *m)
{
    if (m->stall_every_ms > 0 && m->now_ms % m->stall_every_ms >= m->stall_every_ms - m->stall_ms)
        return;
    m->capacity += m->rate / SECOND;
    if (m->batch == 0 && (double)m->dirty >= batch_of(m))
        m->batch = (double)m->dirty < STORE_PACE_BYTES ? (double)m->dirty : STORE_PACE_BYTES;
    if (m->batch == 0)
        return;
    m->made += m->rate / SECOND;
    if (m->made < m->batch)
        return;
    m->dirty -= (uint64_t)m->batch;
    m->drained += m->batch;
    m->batch = m->made = 0;
}

static void tick(struct model *m)
{
    m->now_ms++;
    materialise(m);
    if ((double)m->dirty > m->limit)
        m->refused += (uint64_t)(m->demand / SECOND);
    else if (m->waiting < m->window)
        m->waiting += m->demand / SECOND;
    if (pace_look(&m->pace, m->now_ms * MS, m->logged, m->dirty, (uint64_t)m->limit) > 0) {
        m->waits++;
        m->held_ms++;
        if (m->held_ms > m->held_max)
            m->held_max = m->held_ms;
        return;
    }
    m->logged += (uint64_t)m->waiting;
    m->dirty += (uint64_t)m->waiting;
    m->waiting = 0;
    m->held_ms = 0;
    if (m->dirty > m->dirty_max)
        m->dirty_max = m->dirty;
}

static void run(struct model *m, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++)
        tick(m);
}

START_TEST(whoever_is_slower_than_the_state_is_never_held_up)
{
    struct model m = {
        .demand = 150 * MIB, .window = 5 * MIB, .rate = 200 * MIB, .limit = 512 * MIB};
    start(&m);
    run(&m, 60 * SECOND);
    ck_assert_uint_eq(m.waits, 0);
    ck_assert_double_ge_tol((double)m.logged, 149.9 * 60 * MIB, 1);
}
END_TEST

START_TEST(the_log_grows_as_the_state_does)
{
    const double rates[] = {40 * MIB, 80 * MIB, 200 * MIB, 350 * MIB};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct model m = {
            .demand = 500 * MIB, .window = 5 * MIB, .rate = rates[i], .limit = 4096 * MIB};
        start(&m);
        run(&m, 30 * SECOND); /* what is known of the materialiser becomes true */
        m.dirty_max = 0;
        for (unsigned part = 0; part < 5; part++) {
            const uint64_t before = m.logged;
            run(&m, 10 * SECOND);
            const double rate = (double)(m.logged - before) / 10;
            ck_assert_double_gt(rate, rates[i] * 0.85);
            ck_assert_double_lt(rate, rates[i] * 1.15);
        }
        ck_assert_double_lt((double)m.dirty_max, 176 * MIB);
        ck_assert_double_gt(m.drained, m.capacity * 0.97); /* it was never short of work */
        ck_assert_uint_lt(m.held_max, 251);
        ck_assert_uint_eq(m.refused, 0);
    }
}
END_TEST

START_TEST(a_disk_that_stands_still_for_a_while_is_ridden_out)
{
    struct model m = {.demand = 300 * MIB,
                      .window = 5 * MIB,
                      .rate = 250 * MIB,
                      .stall_every_ms = 5 * SECOND,
                      .stall_ms = 1500,
                      .limit = 512 * MIB};
    start(&m);
    run(&m, 100 * SECOND);
    ck_assert_uint_eq(m.refused, 0);
    ck_assert_double_lt((double)m.dirty_max, 256 * MIB);
    ck_assert_double_gt(m.drained, m.capacity * 0.8);
}
END_TEST

START_TEST(a_state_that_has_stopped_slows_the_log_down_before_anybody_is_refused)
{
    struct model m = {.demand = 200 * MIB, .window = 1 * MIB, .rate = 0, .limit = 512 * MIB};
    start(&m);
    run(&m, 10 * SECOND);
    ck_assert_double_lt((double)m.dirty_max, 300 * MIB);
    for (unsigned second = 0; second < 40; second++) {
        const uint64_t before = m.logged;
        run(&m, SECOND);
        ck_assert_uint_gt(m.logged, before); /* it goes on */
        ck_assert_double_lt((double)(m.logged - before), 6 * MIB);
    }
    ck_assert_uint_eq(m.refused, 0);
    ck_assert_uint_le(m.held_max, PACE_WAIT_MAX_NS / MS);
    m.rate = 200 * MIB; /* it comes back: in a while nobody is held who asks for less */
    m.demand = 100 * MIB;
    run(&m, 20 * SECOND);
    const uint64_t waits = m.waits;
    run(&m, 10 * SECOND);
    ck_assert_uint_eq(m.waits, waits);
}
END_TEST

START_TEST(who_writes_little_is_hardly_held_up_by_a_state_that_has_stopped)
{
    struct model m = {.demand = 1 * MIB, .window = 1 * MIB, .rate = 0, .limit = 512 * MIB};
    start(&m);
    run(&m, 180 * SECOND);
    ck_assert_double_gt((double)m.dirty, 179 * MIB);
    ck_assert_uint_le(m.held_max, 2); /* ms */
    ck_assert_uint_eq(m.refused, 0);
}
END_TEST

START_TEST(a_small_limit_is_kept_too)
{
    struct model m = {.demand = 100 * MIB, .window = MIB / 4, .rate = 20 * MIB, .limit = 16 * MIB};
    start(&m);
    run(&m, 60 * SECOND);
    ck_assert_uint_eq(m.refused, 0);
    ck_assert_double_lt((double)m.dirty_max, 16 * MIB);
    ck_assert_double_gt(m.drained, m.capacity * 0.95);
}
END_TEST

START_TEST(a_log_that_an_earlier_life_left_counts_as_dirty)
{
    struct pace pace;
    const uint64_t left = 100u << 20, limit = 512u << 20;
    pace_init(&pace, 0, 0, left, limit);
    ck_assert_uint_eq(pace_look(&pace, 1, 0, left, limit), 0); /* nothing was written yet */
    ck_assert_uint_gt(pace_look(&pace, 2, 4u << 20, left + (4u << 20), limit), 0);
    /* It has become state: at once nobody waits. */
    ck_assert_uint_eq(pace_look(&pace, 3, 4u << 20, 0, limit), 0);
}
END_TEST

/* ---- an engine ----------------------------------------------------------------------------------------------------- */

static struct rig rig;

START_TEST(an_engine_whose_state_is_held_answers_later_and_refuses_nobody)
{
    enum { MAX = 4000, PER_ROUND = 32 };
    static struct support_tx txs[PER_ROUND];
    struct svm_stats stats = {0};
    uint64_t nonce = 0;
    rig_init(&rig, SVM_SYNC);
    rig.config.dirty_bytes_max = 1 << 20;
    rig_open(&rig);
    pthread_mutex_lock(&rig.engine->state_lock);
    for (; stats.log_paced_us == 0 && nonce < MAX;) {
        struct support_wait wait;
        support_wait_init(&wait, PER_ROUND);
        for (size_t i = 0; i < PER_ROUND; i++) {
            struct svm_refusal refusal;
            support_add(&txs[i], rig.engine, "alice", "counter", 1, nonce++);
            ck_assert_int_eq(svm_submit(rig.engine, txs[i].bytes, SVM_WAIT_DURABLE,
                                        support_wait_one, &wait, &refusal),
                             SVM_OK);
        }
        support_wait_all(&wait);
        ck_assert_uint_eq(wait.ok, PER_ROUND); /* although nothing becomes state */
        svm_stats(rig.engine, &stats);
    }
    ck_assert_uint_gt(stats.log_paced_us, 0);
    ck_assert_uint_eq(stats.materialised_seq, 0);
    ck_assert_uint_gt(stats.dirty_bytes, rig.config.dirty_bytes_max / 4);
    ck_assert_uint_lt(stats.dirty_bytes, rig.config.dirty_bytes_max);
    pthread_mutex_unlock(&rig.engine->state_lock);

    struct rig_call call = {0};
    support_add(&txs[0], rig.engine, "alice", "counter", 1, nonce++);
    rig_submit(&rig, &call, &txs[0], SVM_WAIT_DURABLE);
    ck_assert(rig_answered(&call, 5000));
    ck_assert_int_eq(call.err, SVM_OK);
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), nonce);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pace");
    TCase *rule = tcase_create("rule"), *engine = tcase_create("engine");
    tcase_add_test(rule, whoever_is_slower_than_the_state_is_never_held_up);
    tcase_add_test(rule, the_log_grows_as_the_state_does);
    tcase_add_test(rule, a_disk_that_stands_still_for_a_while_is_ridden_out);
    tcase_add_test(rule, a_state_that_has_stopped_slows_the_log_down_before_anybody_is_refused);
    tcase_add_test(rule, who_writes_little_is_hardly_held_up_by_a_state_that_has_stopped);
    tcase_add_test(rule, a_small_limit_is_kept_too);
    tcase_add_test(rule, a_log_that_an_earlier_life_left_counts_as_dirty);
    tcase_add_test(engine, an_engine_whose_state_is_held_answers_later_and_refuses_nobody);
    tcase_set_timeout(rule, 60);
    tcase_set_timeout(engine, 120);
    suite_add_tcase(suite, rule);
    suite_add_tcase(suite, engine);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
