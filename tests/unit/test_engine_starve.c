/* What a seat leaves in `ready` is taken up by the only worker within a few steps, also while that has a long chain in its hands which is
 * kept fed: there is more of it than a step executes, so the worker's `local` is never empty. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine_rig.h"

/* A step executes some 256 links and takes 64 new ones, which answers bring: the chain, of DEPTH links when the other one comes,
 * lasts for 85 steps. That one is answered after FEW links: all is counted, nothing is timed. */
enum { DEPTH = 16384, FEW = DEPTH / 8, LIMIT = 4 * DEPTH };

static struct rig rig;
static uint64_t chain;
static struct svm_address alice, bob, carol;
static struct svm_id counter, pool, coin;
static _Atomic uint64_t fed, answered, refused;

/* All is done on the worker's own thread, so it comes to pass the same way each time. */
enum phase { WAIT, START, LEAVE, DONE };
static _Atomic int phase;

static struct rig_call left; /* the one that is left behind the chain */
static bool was_left;    /* it lay in `ready`, without an answer, when its seat was done with it, */
static uint64_t left_at; /* after so many answers of the chain; */
static uint64_t answered_at; /* it was answered after so many, */
static bool went_on;         /* and the chain was in the worker's hands then */

typedef void submit_fn(struct svm_engine *engine, struct svm_submission *submissions, size_t count,
                       enum svm_wait wait, svm_submit_fn *callback);

/* What OP does to INPUTS, as the transaction number N of SENDER. */
static enum svm_err submit(submit_fn *how, const struct svm_address *sender, uint64_t n,
                           const struct svm_input *inputs, uint16_t input_count,
                           const struct svm_op *op, svm_submit_fn *callback)
{
    const struct svm_tx tx = {.chain = chain,
                              .sender = *sender,
                              .nonce = n,
                              .expires_ms = svm_now_ms(rig.engine) + 60000,
                              .gas_limit = 100000,
                              .input_count = input_count,
                              .op_count = 1,
                              .inputs = inputs,
                              .ops = op};
    struct svm_digest digest;
    svm_tx_digest(&digest, (struct svm_bytes){(const uint8_t *)&n, sizeof n});
    struct svm_submission s = {.tx = &tx, .digest = &digest, .arg = &left};
    how(rig.engine, &s, 1, SVM_WAIT_EXECUTED, callback);
    return s.err;
}

static void link_answered(void *arg, const struct svm_outcome *outcome);

/* One link more: the counter goes up. */
static void feed(submit_fn *how)
{
    const struct svm_input input = {.id = counter, .kind = SVM_KIND_SHARED, .writable = true};
    const struct svm_op op = {.kind = SVM_OP_ADD, .u.add.delta = 1};
    const uint64_t n = 1 + atomic_fetch_add(&fed, 1);
    if (submit(how, &carol, n, &input, 1, &op, link_answered) != SVM_OK)
        atomic_fetch_add(&refused, 1);
}

/* Fed by way of the worker's ring: a seat would look into `ready` itself. */
static void link_answered(void *arg, const struct svm_outcome *outcome)
{
    (void)arg;
    if (outcome->err != SVM_OK)
        atomic_fetch_add(&refused, 1);
    if (atomic_load(&fed) < LIMIT && atomic_load(&left.calls) == 0)
        feed(svm_submit_batch);
    atomic_fetch_add(&answered, 1); /* last: no more is fed when as many are answered as were fed */
}

static void left_answered(void *arg, const struct svm_outcome *outcome)
{
    answered_at = atomic_load(&answered);
    went_on = rig.engine->workers[0].local.head != NULL;
    rig_called(arg, outcome);
}

/* It is ordered, for it reads the pool, and meets a claim, for it pays out of the coin. */
static void leave(void)
{
    const struct svm_input inputs[] = {
        {.id = coin, .kind = SVM_KIND_OWNED, .writable = true},
        {.id = pool, .kind = SVM_KIND_SHARED},
    };
    const struct svm_op op = {.kind = SVM_OP_PAY, .u.pay = {.to = bob, .amount.units = 1}};
    left_at = atomic_load(&answered);
    const enum svm_err err = submit(svm_run_batch, &alice, 0, inputs, 2, &op, left_answered);
    was_left = err == SVM_OK && atomic_load(&left.calls) == 0 && ring_depth(rig.engine->ready) == 1;
}

/* Runs FN while ID is claimed. */
static void under_claim(const struct svm_id *id, void (*fn)(void))
{
    uint64_t state;
    struct mvcc_head *head = mvcc_find(rig.engine->objects, id->b, sizeof id->b);
    ck_assert_ptr_nonnull(head);
    ck_assert(mvcc_try_claim(head, &state));
    fn();
    mvcc_release(head, state);
}

/* The first link meets a claim, so its seat leaves it, and all behind it, to the worker. */
static void feed_first(void)
{
    for (unsigned i = 0; i < DEPTH; i++)
        feed(svm_run_batch);
}

static void step(void *arg, uint32_t worker)
{
    (void)arg;
    if (atomic_load(&phase) == START) {
        under_claim(&counter, feed_first);
        atomic_store(&phase, LEAVE);
    } else if (atomic_load(&phase) == LEAVE && rig.engine->workers[worker].local.head) {
        under_claim(&coin, leave);
        atomic_store(&phase, DONE);
    }
}

static void open_engine(void)
{
    struct svm_chain_info info;
    struct svm_dev_account account;
    rig_init(&rig, SVM_MEMORY);
    rig.config.workers = 1;
    rig.config.inflight_max = 2 * DEPTH;
    rig.config.object_queue_max = 2 * DEPTH;
    rig.config.busy_attempts_max = 1000000;
    rig.hooks.claimed = NULL;
    rig.hooks.worker_step = step;
    rig_open(&rig);
    svm_chain_info(rig.engine, &info);
    chain = info.chain;
    svm_dev_account(&account, support_account("alice"));
    alice = account.address;
    svm_dev_account(&account, support_account("bob"));
    bob = account.address;
    svm_dev_account(&account, support_account("carol"));
    carol = account.address;
    svm_dev_object_id(&counter, "counter");
    svm_dev_object_id(&pool, "pool");
    svm_dev_object_id(&coin, "alice spare 0");
}

START_TEST(a_fed_chain_starves_nobody)
{
    open_engine();
    atomic_store(&phase, START);
    ck_assert(rig_answered(&left, 100000));
    for (unsigned ms = 0; atomic_load(&answered) < atomic_load(&fed) && ms < 20000; ms++)
        rig_sleep(1);
    ck_assert(was_left);
    ck_assert_msg(went_on && answered_at - left_at <= FEW,
                  "left after %llu links, answered after %llu of %llu", (unsigned long long)left_at,
                  (unsigned long long)answered_at, (unsigned long long)atomic_load(&fed));
    ck_assert_int_eq(left.err, SVM_OK);
    ck_assert_int_eq(left.path, SVM_PATH_CONSENSUS);
    ck_assert_uint_eq(atomic_load(&refused), 0);
    ck_assert_uint_eq(atomic_load(&answered), atomic_load(&fed));
    ck_assert_uint_eq(support_counter(rig.engine, "counter"), atomic_load(&fed));
    ck_assert_uint_eq(rig_balance(&rig, "alice spare 0"), 999);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine_starve");
    TCase *tcase = tcase_create("starve");
    tcase_set_timeout(tcase, 180);
    tcase_add_test(tcase, a_fed_chain_starves_nobody);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
