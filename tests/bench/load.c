#include "bench/load.h"

#include <stdio.h>
#include <time.h>

enum { CLOCK_EVERY = 256, NAP_NS = 50 * 1000 };

/* The walk over a population: every object in turn, so that no two transactions in flight meet. */
struct walk {
    struct population *population;
    uint32_t at;
    unsigned round;
};

static uint32_t walk_next(struct walk *walk)
{
    const uint32_t at = walk->at++;
    if (walk->at == walk->population->count) {
        walk->at = 0;
        walk->round++;
    }
    return at;
}

static bool submit_fast(struct rig *rig, struct walk *walk, bool transfer)
{
    struct walk before = *walk;
    const uint64_t round = transfer ? walk->round : 0; /* what is not transferred stays */
    const uint32_t at = walk_next(walk);
    struct population *owned = walk->population;
    const struct svm_input input = {.id = owned->ids[at],
                                    .kind = SVM_KIND_OWNED,
                                    .exact = true,
                                    .writable = true,
                                    .version = owned->versions[at]};
    struct svm_op op = {.kind = transfer ? SVM_OP_TRANSFER : SVM_OP_ADD, .input = 0};
    if (transfer)
        op.u.transfer.to = account_address(at + round + 1);
    else
        op.u.add.delta = 1;
    const struct svm_tx tx = {.chain = rig->chain,
                              .sender = account_address(at + round),
                              .gas_limit = 10000,
                              .input_count = 1,
                              .op_count = 1,
                              .inputs = &input,
                              .ops = &op};
    struct svm_digest digest;
    rig_digest(rig, &digest);
    if (!rig_submit(rig, &tx, &digest)) {
        *walk = before;
        return false;
    }
    owned->versions[at]++;
    return true;
}

static bool submit_consensus(struct rig *rig, struct walk *walk, uint64_t expires_ms)
{
    struct walk before = *walk;
    const uint32_t at = walk_next(walk);
    const struct svm_input input = {
        .id = walk->population->ids[at], .kind = SVM_KIND_SHARED, .writable = true};
    struct svm_op op = {.kind = SVM_OP_ADD, .input = 0};
    op.u.add.delta = 1;
    const struct svm_tx tx = {.chain = rig->chain,
                              .sender = rig->faucet_owner,
                              .expires_ms = expires_ms,
                              .gas_limit = 10000,
                              .input_count = 1,
                              .op_count = 1,
                              .inputs = &input,
                              .ops = &op};
    struct svm_digest digest;
    rig_digest(rig, &digest);
    if (!rig_submit(rig, &tx, &digest)) {
        *walk = before;
        return false;
    }
    return true;
}

/* wait_for_room: until the window is open again; returns what is done. Sleeps rather than spins: with few cores the generator
 * would take what the engine needs. */
static uint64_t wait_for_room(const struct rig *rig, uint64_t submitted)
{
    for (;;) {
        uint64_t ok, bad;
        rig_sum(rig, &ok, &bad);
        if (submitted - ok - bad < rig->settings.window)
            return ok;
        nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
}

/* cpu_s: processor time that this process has used. */
static double cpu_s(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

void load_run(struct load_result *result, struct rig *rig, const struct load *load)
{
    struct walk owned = {load->owned, 0, 0}, shared = {load->shared, 0, 0};
    uint64_t base, bad, submitted = 0, timed_from = 0, done = 0;
    rig_sum(rig, &base, &bad);
    *result = (struct load_result){0};
    const double warm_s = rig->settings.seconds < 5 ? rig->settings.seconds / 5 : 1;
    const double begin = now_s() + warm_s;
    double timed_at = 0, now = 0, cpu_from = 0;
    unsigned percent = 0;
    while (timed_at == 0 || now < timed_at + rig->settings.seconds) {
        done = wait_for_room(rig, base + submitted) - base;
        now = now_s();
        if (timed_at == 0 && now >= begin) {
            timed_at = now;
            timed_from = done;
            cpu_from = cpu_s();
        }
        const uint64_t expires_ms = svm_now_ms(rig->engine) + EXPIRY_MS;
        for (unsigned i = 0; i < CLOCK_EVERY; i++) {
            /* spread evenly: 70 of 100 means at most 3 of a kind in a row */
            const bool fast = percent + load->fast_percent >= 100;
            if (!(fast ? submit_fast(rig, &owned, load->transfer)
                       : submit_consensus(rig, &shared, expires_ms)))
                break;
            percent = (percent + load->fast_percent) % 100;
            submitted++;
            result->fast += fast;
            result->consensus += !fast;
            /* A worker that the system has put aside must not be overtaken by a whole round. */
            if (fast && owned.at == 0 && load->owned->count / 64 < rig->settings.window)
                rig_settle(rig, base + submitted);
        }
    }
    result->timed_at = timed_at;
    result->seconds = now - timed_at;
    result->timed = done - timed_from;
    result->cpu_ns = (cpu_s() - cpu_from) * 1e9 / (double)(result->timed > 0 ? result->timed : 1);
    rig_settle(rig, base + submitted);
    rig_sum(rig, &done, &bad);
    if (bad > 0 || done - base != submitted)
        die("%llu transactions did not succeed: no figure", (unsigned long long)bad);
}

static void must_be(const char *what, uint64_t seen, uint64_t expected)
{
    if (seen != expected)
        die("the audit fails: %s is %llu and must be %llu", what, (unsigned long long)seen,
            (unsigned long long)expected);
}

void load_check(const struct load_result *result, const struct load *load,
                const struct audit *before, const struct audit *after)
{
    must_be("the number of objects", after->objects, before->objects);
    must_be("the sum of balances", after->balance, before->balance);
    must_be("the sum of counters", after->counters,
            before->counters + result->consensus + (load->transfer ? 0 : result->fast));
    /* each has one input, so each moves one object by one version */
    must_be("the sum of versions", after->versions,
            before->versions + result->fast + result->consensus);
}
