/* What is refused, when it is said, and what is said with it. */
#include <check.h>
#include <string.h>

#include "engine_rig.h"

static struct rig rig;

static void edit(struct support_tx *to, const struct support_tx *from, size_t at, uint8_t value)
{
    *to = *from;
    to->bytes.ptr = to->buf;
    to->buf[at] = value;
}

/* The place in the engine's memory was another transaction's before. */
START_TEST(no_stranger_s_digest)
{
    static const size_t places[] = {0, 65, 66, 67};
    rig_init(&rig, SVM_MEMORY);
    rig.config.workers = 1;
    rig_open(&rig);
    struct support_tx good, bad;
    struct rig_call call;
    support_pay(&good, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    rig_do(&rig, &good, SVM_WAIT_EXECUTED, SVM_OK, NULL);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        edit(&bad, &good, places[i], 1 + (uint8_t)i);
        rig_submit(&rig, &call, &bad, SVM_WAIT_EXECUTED);
        ck_assert(rig_answered(&call, 2000));
        ck_assert_int_ne(call.err, SVM_OK);
        ck_assert_msg(!call.digest_known || memcmp(call.digest.b, good.digest.b, 32) != 0, "%s",
                      svm_err_name(call.err));
    }
    rig_deinit(&rig);
}
END_TEST

START_TEST(waits_for_what_it_rests_on)
{
    rig_init(&rig, _i ? SVM_SYNC : SVM_MEMORY);
    rig_open(&rig);
    struct support_tx first, second;
    struct rig_call winner, hasty, patient;
    support_pay(&first, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    support_pay(&second, rig.engine, "alice", "alice spare 0", 1, "bob", 11);
    atomic_store(&rig.log_held, true);
    rig_do(&rig, &first, SVM_WAIT_EXECUTED, SVM_OK, &winner);
    rig_do(&rig, &second, SVM_WAIT_EXECUTED, SVM_E_VERSION_CONFLICT, &hasty);
    ck_assert_mem_eq(hasty.refusal.winner.b, first.digest.b, 32);
    rig_submit(&rig, &patient, &second, SVM_WAIT_DURABLE);
    ck_assert_int_eq(rig_answered(&patient, 100), _i == 0);
    atomic_store(&rig.log_held, false);
    ck_assert(rig_answered(&patient, 2000));
    ck_assert_int_eq(patient.err, SVM_E_VERSION_CONFLICT);
    rig_deinit(&rig);
}
END_TEST

/* Two copies that wait for different things, ahead of what is known until the object has gone to somebody else. */
START_TEST(each_copy_as_it_asked)
{
    rig_init(&rig, SVM_SYNC);
    rig.config.busy_attempts_max = 1000000;
    rig_open(&rig);
    struct support_tx ahead, gift;
    struct rig_call hasty, patient;
    support_pay(&ahead, rig.engine, "alice", "alice spare 0", 2, "bob", 10);
    rig_transfer(&gift, &rig, "alice", "alice spare 0", 1, "bob");
    rig_submit(&rig, &hasty, &ahead, SVM_WAIT_EXECUTED);
    rig_sleep(30);
    rig_submit(&rig, &patient, &ahead, SVM_WAIT_DURABLE);
    rig_sleep(30);
    atomic_store(&rig.log_held, true);
    rig_do(&rig, &gift, SVM_WAIT_EXECUTED, SVM_OK, NULL);
    ck_assert(rig_answered(&hasty, 2000));
    ck_assert_int_eq(hasty.err, SVM_E_NOT_OWNER);
    ck_assert_msg(!rig_answered(&patient, 100), "%s was told before it was durable",
                  svm_err_name(patient.err));
    atomic_store(&rig.log_held, false);
    ck_assert(rig_answered(&patient, 2000));
    ck_assert_int_eq(patient.err, SVM_E_NOT_OWNER);
    rig_deinit(&rig);
}
END_TEST

START_TEST(ahead_is_requeued_until_its_time)
{
    rig_init(&rig, SVM_MEMORY);
    rig.config.busy_attempts_max = 1000000;
    rig_open(&rig);
    struct support_tx ahead, before;
    struct rig_call call;
    support_pay(&ahead, rig.engine, "alice", "alice spare 0", 2, "bob", 10);
    support_pay(&before, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    rig_submit(&rig, &call, &ahead, SVM_WAIT_EXECUTED);
    ck_assert(!rig_answered(&call, 30));
    rig_do(&rig, &before, SVM_WAIT_EXECUTED, SVM_OK, NULL);
    ck_assert(rig_answered(&call, 2000));
    ck_assert_int_eq(call.err, SVM_OK);
    ck_assert_uint_eq(call.seq, 2);

    struct svm_config config = rig.config;
    config.busy_attempts_max = 5;
    svm_reconfigure(rig.engine, &config);
    support_pay(&ahead, rig.engine, "alice", "alice spare 0", 9, "bob", 10);
    rig_do(&rig, &ahead, SVM_WAIT_EXECUTED, SVM_E_BUSY, &call);
    ck_assert(call.refusal.has & SVM_HAS_ATTEMPTS);
    ck_assert_uint_eq(call.refusal.attempts, 5);
    ck_assert_uint_eq(call.refusal.given, 9);
    ck_assert_uint_eq(call.refusal.current, 3);
    rig_deinit(&rig);
}
END_TEST

START_TEST(wrong_chain_and_expired)
{
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    struct support_tx tx, other;
    struct rig_call call;
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 0, "bob", 10);
    edit(&other, &tx, 1, (uint8_t)(tx.buf[1] ^ 1));
    rig_do(&rig, &other, SVM_WAIT_EXECUTED, SVM_E_WRONG_CHAIN, &call);
    ck_assert(call.refusal.has & SVM_HAS_CHAIN);
    rig_pass(&rig, 61000);
    rig_sleep(5);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_E_EXPIRED, &call);
    ck_assert(call.refusal.has & SVM_HAS_TIME);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 1000);
    rig_deinit(&rig);
}
END_TEST

/* A contended input that names no version: once to the consensus path, and done there. */
START_TEST(falls_back_once)
{
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    struct support_tx first, second;
    struct rig_call one, two;
    support_pay(&first, rig.engine, "alice", "alice spare 0", 0, "bob", 10);
    support_pay(&second, rig.engine, "alice", "alice spare 0", 0, "bob", 11);
    atomic_store(&rig.claims_held, true);
    rig_submit(&rig, &one, &first, SVM_WAIT_EXECUTED);
    while (atomic_load(&rig.at_claims) == 0)
        rig_sleep(1);
    rig_submit(&rig, &two, &second, SVM_WAIT_EXECUTED);
    struct svm_stats stats;
    do {
        rig_sleep(1);
        svm_stats(rig.engine, &stats);
    } while (stats.fallbacks[SVM_FALLBACK_CONTENDED] == 0);
    ck_assert(!rig_answered(&two, 20));
    atomic_store(&rig.claims_held, false);
    ck_assert(rig_answered(&one, 2000));
    ck_assert(rig_answered(&two, 2000));
    ck_assert_int_eq(one.path, SVM_PATH_FAST);
    ck_assert_int_eq(two.path, SVM_PATH_CONSENSUS);
    ck_assert_int_eq(two.fallback, SVM_FALLBACK_CONTENDED);
    ck_assert_int_eq(two.err, SVM_OK);
    svm_stats(rig.engine, &stats);
    ck_assert_uint_eq(stats.fallbacks[SVM_FALLBACK_CONTENDED], 1);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 979);
    rig_deinit(&rig);
}
END_TEST

static bool refused_as(struct support_wait *wait, enum svm_err err, uint64_t count)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 2000 && n < count; i++) {
        rig_sleep(1);
        pthread_mutex_lock(&wait->lock);
        n = wait->by_error[err];
        pthread_mutex_unlock(&wait->lock);
    }
    return n == count;
}

START_TEST(inflight_and_queue_are_limited)
{
    enum { N = 64 };
    rig_init(&rig, SVM_MEMORY);
    rig.config.inflight_max = N;
    rig.config.object_queue_max = 8;
    rig_open(&rig);
    struct support_tx tx;
    struct support_wait wait;
    struct svm_refusal refusal;
    support_wait_init(&wait, N);
    atomic_store(&rig.claims_held, true);
    for (unsigned i = 0; i < N; i++) {
        support_add(&tx, rig.engine, "alice", "counter", 1, i);
        ck_assert_int_eq(
            svm_submit(rig.engine, tx.bytes, SVM_WAIT_EXECUTED, support_wait_one, &wait, NULL),
            SVM_OK);
        if (i == 0)
            while (atomic_load(&rig.at_claims) == 0)
                rig_sleep(1);
    }
    /* The queue holds eight, one of them under its claims; the other worker refuses the rest. */
    ck_assert(refused_as(&wait, SVM_E_BUSY, N - 8));

    struct rig_call calls[N];
    unsigned more = 0;
    for (;; more++) {
        ck_assert_uint_lt(more, N);
        support_pay(&tx, rig.engine, "bob", "bob coin", 2 + more, "carol", 1);
        memset(&calls[more], 0, sizeof calls[more]);
        if (svm_submit(rig.engine, tx.bytes, SVM_WAIT_EXECUTED, rig_called, &calls[more],
                       &refusal) != SVM_OK)
            break;
    }
    ck_assert_uint_eq(more, N - 8);
    ck_assert_int_eq(refusal.err, SVM_E_OVERLOADED);
    ck_assert_uint_eq(refusal.limit, N);
    atomic_store(&rig.claims_held, false);
    support_wait_all(&wait);
    ck_assert_uint_eq(wait.ok, 8);
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), 8);
    rig_deinit(&rig);
    for (unsigned i = 0; i < more; i++)
        ck_assert_int_eq(calls[i].err, SVM_E_BUSY);
}
END_TEST

/* What a refused submission is told; 0 = it was taken. */
static uint32_t told(uint64_t version)
{
    static struct rig_call calls[4096];
    static struct support_tx tx; /* signing is slow, and refused bytes may be sent again */
    static uint64_t made;
    struct svm_refusal refusal;
    if (made != version)
        support_pay(&tx, rig.engine, "bob", "bob coin", version, "carol", 1);
    made = version;
    ck_assert_uint_lt(version, 4096);
    if (svm_submit(rig.engine, tx.bytes, SVM_WAIT_EXECUTED, rig_called, &calls[version],
                   &refusal) == SVM_OK)
        return 0;
    ck_assert_int_eq(refusal.err, SVM_E_OVERLOADED);
    ck_assert(refusal.has & SVM_HAS_RETRY_AFTER);
    return refusal.retry_after_ms;
}

/* As long as many are refused the time they are told grows; afterwards it shrinks again. Everybody is told another. */
START_TEST(the_crowd_is_told_to_come_later)
{
    enum { N = 64, MAX_MS = 3000, PATIENCE = 600 };
    rig_init(&rig, SVM_MEMORY);
    rig.config.inflight_max = N;
    rig_open(&rig);
    atomic_store(&rig.claims_held, true);
    uint64_t version = 2;
    while (told(version) == 0)
        version++;
    uint32_t first = told(version), most = 0, kinds = 0, last = 0;
    ck_assert_uint_le(first, 10);
    for (unsigned round = 0; most < 1500; round++) {
        ck_assert_uint_lt(round, PATIENCE);
        for (unsigned i = 0; i < 200; i++) {
            uint32_t ms = told(version);
            ck_assert_uint_le(ms, MAX_MS);
            most = ms > most ? ms : most;
            kinds += ms != last;
            last = ms;
        }
        rig_sleep(10);
    }
    ck_assert_uint_gt(kinds, 100);
    uint32_t least = most;
    for (unsigned round = 0; least > 10; round++) { /* one now and then is no crowd */
        ck_assert_uint_lt(round, PATIENCE);
        rig_sleep(20);
        uint32_t ms = told(version);
        least = ms < least ? ms : least;
    }
    atomic_store(&rig.claims_held, false);
    rig_deinit(&rig);
}
END_TEST

START_TEST(simulate_and_explain_say_the_same)
{
    rig_init(&rig, SVM_MEMORY);
    rig_open(&rig);
    struct support_tx tx;
    struct svm_receipt *receipt;
    struct svm_refusal refusal;
    struct svm_route route;
    support_pay(&tx, rig.engine, "alice", "alice spare 0", 1, "bob", 10);
    ck_assert_int_eq(svm_simulate(rig.engine, tx.bytes, true, &receipt, &refusal), SVM_OK);
    ck_assert_uint_eq(receipt->gas_used, 1300);
    ck_assert_uint_eq(receipt->change_count, 2);
    svm_receipt_free(receipt);
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 1000);
    ck_assert_int_eq(svm_explain_route(rig.engine, tx.bytes, true, &route, &refusal), SVM_OK);
    ck_assert_int_eq(route.path, SVM_PATH_FAST);
    ck_assert_int_eq(route.rule, SVM_RULE_ALL_OWNED);
    ck_assert_int_eq(route.err, SVM_OK);
    rig_do(&rig, &tx, SVM_WAIT_EXECUTED, SVM_OK, NULL);

    struct support_tx stale;
    support_pay(&stale, rig.engine, "alice", "alice spare 0", 1, "bob", 12);
    ck_assert_int_eq(svm_simulate(rig.engine, stale.bytes, true, &receipt, &refusal),
                     SVM_E_VERSION_CONFLICT);
    ck_assert_int_eq(refusal.err, SVM_E_VERSION_CONFLICT);
    ck_assert(refusal.has & SVM_HAS_WINNER);
    ck_assert_mem_eq(refusal.winner.b, tx.digest.b, 32);
    ck_assert_int_eq(svm_explain_route(rig.engine, stale.bytes, true, &route, &refusal), SVM_OK);
    ck_assert_int_eq(route.rule, SVM_RULE_REFUSED);
    ck_assert_int_eq(route.err, SVM_E_VERSION_CONFLICT);
    ck_assert_uint_eq(route.inputs[0].current, 2);
    ck_assert_uint_eq(route.inputs[0].given, 1);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("refusal");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, no_stranger_s_digest);
    tcase_add_loop_test(tc, waits_for_what_it_rests_on, 0, 2);
    tcase_add_test(tc, each_copy_as_it_asked);
    tcase_add_test(tc, ahead_is_requeued_until_its_time);
    tcase_add_test(tc, wrong_chain_and_expired);
    tcase_add_test(tc, falls_back_once);
    tcase_add_test(tc, inflight_and_queue_are_limited);
    tcase_add_test(tc, the_crowd_is_told_to_come_later);
    tcase_add_test(tc, simulate_and_explain_say_the_same);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
