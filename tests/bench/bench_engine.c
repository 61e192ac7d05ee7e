/* bench_engine: one measured run of the engine alone, its callers doing the work (svm_run_batch): decoded transactions in, receipts
 * out, in memory, no signatures.
 *
 * Usage: bench_engine ROW [--threads N] [--seconds S] [--objects N] [--batch N] [--seed N]
 *   fast        one Add on an owned object of 8 bytes, the exact version named
 *   bytes       the same as SignedTransaction bytes: decoded and hashed by the engine (not verified)
 *   consensus   one Add on a shared object
 *   mixed       70 % fast, 30 % consensus, in turn
 *   blocks      the same transactions in blocks of 700 and 300, to see what switching costs
 *   hot         one Add on the one shared counter
 *   transfer    one Transfer of a coin to the next of 10,000 accounts, the exact version named
 *
 * Every thread walks its own part of the population in turn. Prints one line of JSON, and only after the state has been checked
 * against what was done. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/rig.h"

/* Without a disk a receipt stays in memory until its transaction has expired: LIFE_MS is short, and the receipts of those that made the
 * population have gone before the timed part begins. */
enum { BATCH_MAX = 1024, ROWS = 7, BLOCK = 1000, LIFE_MS = 500 };
enum row { FAST, BYTES, CONSENSUS, MIXED, BLOCKS, HOT, TRANSFER };
static const char *const ROW_NAMES[ROWS] = {"fast",   "bytes", "consensus", "mixed",
                                            "blocks", "hot",   "transfer"};

struct run {
    struct rig *rig;
    enum row row;
    uint32_t threads, batch;
    struct population owned, shared;
    double begin, end; /* of the timed part */
    _Atomic bool stop;
};

/* One thread: its part of the populations, what it has under way, and what it has counted. */
struct caller {
    struct run *run;
    pthread_t thread;
    uint32_t index;
    struct random random;
    uint32_t owned_from, owned_count, owned_at, round;
    uint32_t shared_from, shared_count, shared_at;
    uint32_t step;
    uint64_t fast, consensus;
    _Alignas(128) _Atomic uint64_t ok;
    _Atomic uint64_t bad;
    struct svm_submission submissions[BATCH_MAX];
    struct svm_digest digests[BATCH_MAX];
    struct svm_tx txs[BATCH_MAX];
    struct svm_input inputs[BATCH_MAX];
    struct svm_op ops[BATCH_MAX];
    uint8_t bytes[BATCH_MAX][320];
};

static void on_outcome(void *arg, const struct svm_outcome *outcome)
{
    struct caller *caller = arg;
    const bool ok = outcome->err == SVM_OK && !outcome->pending && !outcome->duplicate &&
                    outcome->receipt != NULL && outcome->receipt->failure == SVM_FAILURE_NONE;
    if (!ok && atomic_load(&caller->bad) == 0)
        fprintf(stderr, "bench: %s: %s\n", svm_err_name(outcome->err),
                outcome->refusal != NULL ? outcome->refusal->reason : "");
    atomic_fetch_add_explicit(ok ? &caller->ok : &caller->bad, 1, memory_order_relaxed);
}

static bool next_is_fast(struct caller *caller)
{
    const uint32_t step = caller->step++;
    switch (caller->run->row) {
    case CONSENSUS:
    case HOT:
        return false;
    case MIXED: /* spread evenly: 70 of 100 means at most 3 of a kind in a row */
        return step % 10 * 7 % 10 < 7;
    case BLOCKS:
        return step % BLOCK < BLOCK * 7 / 10;
    case FAST:
    case BYTES:
    case TRANSFER:
        break;
    }
    return true;
}

static void make_fast(struct caller *caller, uint32_t i)
{
    const bool transfer = caller->run->row == TRANSFER;
    struct population *owned = &caller->run->owned;
    if (caller->owned_at == caller->owned_count) {
        caller->owned_at = 0;
        caller->round++;
    }
    const uint32_t at = caller->owned_from + caller->owned_at++;
    const uint64_t round = transfer ? caller->round : 0; /* what is not transferred stays */
    caller->inputs[i] = (struct svm_input){.id = owned->ids[at],
                                           .kind = SVM_KIND_OWNED,
                                           .exact = true,
                                           .writable = true,
                                           .version = owned->versions[at]++};
    caller->ops[i] = (struct svm_op){.kind = transfer ? SVM_OP_TRANSFER : SVM_OP_ADD};
    if (transfer)
        caller->ops[i].u.transfer.to = account_address(at + round + 1);
    else
        caller->ops[i].u.add.delta = 1;
    caller->txs[i].sender = account_address(at + round);
    caller->txs[i].expires_ms = 0;
    caller->fast++;
}

static void make_consensus(struct caller *caller, uint32_t i, uint64_t expires_ms)
{
    if (caller->shared_at == caller->shared_count)
        caller->shared_at = 0;
    const uint32_t at = caller->shared_from + caller->shared_at++;
    caller->inputs[i] = (struct svm_input){
        .id = caller->run->shared.ids[at], .kind = SVM_KIND_SHARED, .writable = true};
    caller->ops[i] = (struct svm_op){.kind = SVM_OP_ADD};
    caller->ops[i].u.add.delta = 1;
    caller->txs[i].sender = caller->run->rig->faucet_owner;
    caller->txs[i].expires_ms = expires_ms;
    caller->consensus++;
}

/* The signature is not looked at: 64 bytes of anything. */
static void make_bytes(struct caller *caller, uint32_t i)
{
    static const uint8_t auth[3 + 32] = {1, 0, 0};
    size_t len;
    uint8_t *out = caller->bytes[i];
    caller->txs[i].nonce = random_next(&caller->random);
    if (svm_tx_encode(out, sizeof caller->bytes[i] - 98, &len, &caller->txs[i]) != SVM_OK)
        die("a transaction of the benchmark cannot be encoded");
    struct svm_secret_key key = {{1}};
    static uint8_t signed_bytes[98];
    static size_t signed_len;
    (void)auth;
    if (signed_len == 0) {
        uint8_t whole[512];
        if (svm_tx_sign(whole, sizeof whole, &signed_len, (struct svm_bytes){out, len}, &key) !=
            SVM_OK)
            die("cannot sign");
        memcpy(signed_bytes, whole + len, sizeof signed_bytes);
    }
    memcpy(out + len, signed_bytes, sizeof signed_bytes);
    caller->submissions[i].bytes = (struct svm_bytes){out, len + sizeof signed_bytes};
    caller->submissions[i].tx = NULL;
}

static void make(struct caller *caller, uint32_t i, uint64_t expires_ms)
{
    struct svm_tx *tx = &caller->txs[i];
    *tx = (struct svm_tx){.chain = caller->run->rig->chain,
                          .gas_limit = 10000,
                          .input_count = 1,
                          .op_count = 1,
                          .inputs = &caller->inputs[i],
                          .ops = &caller->ops[i]};
    if (next_is_fast(caller))
        make_fast(caller, i);
    else
        make_consensus(caller, i, expires_ms);
    for (size_t b = 0; b < sizeof caller->digests[i].b; b += 8) {
        const uint64_t word = random_next(&caller->random);
        memcpy(caller->digests[i].b + b, &word, sizeof word);
    }
    caller->submissions[i] =
        (struct svm_submission){.tx = tx, .digest = &caller->digests[i], .arg = caller};
    if (caller->run->row == BYTES)
        make_bytes(caller, i);
}

static void *call(void *arg)
{
    struct caller *caller = arg;
    struct run *run = caller->run;
    uint64_t made = 0;
    while (!atomic_load_explicit(&run->stop, memory_order_relaxed)) {
        const uint64_t expires_ms = svm_now_ms(run->rig->engine) + LIFE_MS;
        for (uint32_t i = 0; i < run->batch; i++)
            make(caller, i, expires_ms);
        svm_run_batch(run->rig->engine, caller->submissions, run->batch, SVM_WAIT_EXECUTED,
                      on_outcome);
        for (uint32_t i = 0; i < run->batch; i++)
            if (caller->submissions[i].err != SVM_OK)
                die("refused at admission: %s", svm_err_name(caller->submissions[i].err));
        made += run->batch;
        /* What waits in order behind another thread's may be unanswered still: not more than a few batches. */
        while (made - atomic_load_explicit(&caller->ok, memory_order_relaxed) > 32 * run->batch) {
            if (atomic_load_explicit(&caller->bad, memory_order_relaxed) > 0)
                die("a transaction did not succeed: no figure");
            nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
        }
    }
    return NULL;
}

static uint64_t done(const struct caller *callers, uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += atomic_load_explicit(&callers[i].ok, memory_order_relaxed);
    return sum;
}

static double cpu_s(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void part(uint32_t count, uint32_t index, uint32_t of, uint32_t *from, uint32_t *n)
{
    *from = (uint32_t)((uint64_t)count * index / of);
    *n = (uint32_t)((uint64_t)count * (index + 1) / of) - *from;
}

static void must_be(const char *what, uint64_t seen, uint64_t expected)
{
    if (seen != expected)
        die("the audit fails: %s is %llu and must be %llu", what, (unsigned long long)seen,
            (unsigned long long)expected);
}

static void measure(struct run *run)
{
    struct caller *callers = aligned_alloc(128, run->threads * sizeof *callers);
    if (callers == NULL)
        die("out of memory");
    memset(callers, 0, run->threads * sizeof *callers);
    struct audit before, after;
    audit_state(&before, run->rig);
    nanosleep(&(struct timespec){.tv_sec = EXPIRY_MS / 1000 + 1}, NULL);
    for (uint32_t i = 0; i < run->threads; i++) {
        struct caller *c = &callers[i];
        c->run = run;
        c->index = i;
        c->random.state = run->rig->settings.seed * 1000003 + i + ((uint64_t)1 << 60);
        part(run->owned.count, i, run->threads, &c->owned_from, &c->owned_count);
        part(run->shared.count, i, run->threads, &c->shared_from, &c->shared_count);
        if (run->row == HOT) {
            c->shared_from = 0;
            c->shared_count = 1;
        }
        if (pthread_create(&c->thread, NULL, call, c) != 0)
            die("cannot start a thread");
    }
    const double seconds = run->rig->settings.seconds;
    const double warm_s = seconds < 5 ? seconds / 5 : 3;
    nanosleep(&(struct timespec){.tv_sec = (time_t)warm_s,
                                 .tv_nsec = (long)((warm_s - (double)(time_t)warm_s) * 1e9)},
              NULL);
    fputs("bench: the timed part begins\n", stderr);
    const double from = now_s(), cpu_from = cpu_s();
    const uint64_t done_from = done(callers, run->threads);
    nanosleep(&(struct timespec){.tv_sec = (time_t)seconds,
                                 .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)},
              NULL);
    const uint64_t timed = done(callers, run->threads) - done_from;
    const double took = now_s() - from, cpu = cpu_s() - cpu_from;
    atomic_store(&run->stop, true);
    uint64_t fast = 0, consensus = 0;
    for (uint32_t i = 0; i < run->threads; i++) {
        pthread_join(callers[i].thread, NULL);
        fast += callers[i].fast;
        consensus += callers[i].consensus;
    }
    for (int i = 0; i < 10000 && done(callers, run->threads) < fast + consensus; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    must_be("the number of successes", done(callers, run->threads), fast + consensus);
    audit_state(&after, run->rig);
    must_be("the number of objects", after.objects, before.objects);
    must_be("the sum of balances", after.balance, before.balance);
    must_be("the sum of counters", after.counters,
            before.counters + consensus + (run->row == TRANSFER ? 0 : fast));
    must_be("the sum of versions", after.versions, before.versions + fast + consensus);
    printf("{\"row\":\"engine-%s\",\"value\":%.0f,\"unit\":\"tx/s\",\"threads\":%u,\"batch\":%u,"
           "\"seconds\":%.2f,\"cpu_ns\":%.0f,\"done\":%llu,\"fast\":%llu,\"consensus\":%llu,"
           "\"objects\":%u,\"seed\":%llu}\n",
           ROW_NAMES[run->row], (double)timed / took, run->threads, run->batch, took,
           cpu * 1e9 / (double)(timed > 0 ? timed : 1), (unsigned long long)timed,
           (unsigned long long)fast, (unsigned long long)consensus, run->rig->settings.objects,
           (unsigned long long)run->rig->settings.seed);
    free(callers);
}

static uint64_t number(const char *name, const char *text)
{
    char *end;
    const uint64_t value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0')
        die("%s needs a number", name);
    return value;
}

int main(int argc, char **argv)
{
    struct settings settings = {.durability = SVM_MEMORY,
                                .workers = 1,
                                .inflight = 16384,
                                .window = 4096,
                                .objects = 1000000,
                                .seconds = 10,
                                .seed = (uint64_t)time(NULL)};
    struct run run = {.threads = 2, .batch = 256};
    bool known = false;
    for (int i = 0; argc > 1 && i < ROWS; i++)
        if (strcmp(argv[1], ROW_NAMES[i]) == 0)
            run.row = (enum row)i, known = true;
    if (!known)
        die("usage: bench_engine fast|bytes|consensus|mixed|blocks|hot|transfer [OPTIONS]");
    for (int i = 2; i < argc; i += 2) {
        const char *name = argv[i], *text = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(name, "--threads") == 0)
            run.threads = (uint32_t)number(name, text);
        else if (strcmp(name, "--batch") == 0)
            run.batch = (uint32_t)number(name, text);
        else if (strcmp(name, "--objects") == 0)
            settings.objects = (uint32_t)number(name, text);
        else if (strcmp(name, "--seconds") == 0)
            settings.seconds = atof(text);
        else if (strcmp(name, "--seed") == 0)
            settings.seed = number(name, text);
        else
            die("unknown option %s", name);
    }
    if (run.batch == 0 || run.batch > BATCH_MAX || run.threads == 0 || run.threads > 16)
        die("--batch is 1 to %d, --threads 1 to 16", BATCH_MAX);
    run.rig = rig_open(&settings);
    const bool mixed = run.row == MIXED || run.row == BLOCKS;
    const uint32_t shared = run.row == CONSENSUS || run.row == HOT ? settings.objects
                            : mixed                                ? settings.objects / 10 * 3
                                                                   : 0;
    if (shared < settings.objects)
        population_create(&run.owned, run.rig,
                          run.row == TRANSFER ? POPULATION_COINS : POPULATION_OWNED,
                          settings.objects - shared);
    if (shared > 0)
        population_create(&run.shared, run.rig, POPULATION_SHARED, shared);
    measure(&run);
    population_destroy(&run.owned);
    population_destroy(&run.shared);
    rig_close(run.rig);
    return 0;
}
