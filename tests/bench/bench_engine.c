/* bench_engine: one measured run of the engine alone, its callers doing the work (svm_run_batch): decoded transactions in, receipts
 * out, in memory, no signatures.
 *
 * Usage: bench_engine ROW [--threads N] [--seconds S] [--objects N] [--batch N] [--seed N] [--zipf T]
 *                         [--durability MODE --datadir DIR] [--gc-ms N] [--reader 0|1]
 *   fast        one Add on an owned object of 8 bytes, the exact version named
 *   bytes       the same as SignedTransaction bytes: decoded and hashed by the engine (not verified)
 *   consensus   one Add on a shared object
 *   mixed       70 % fast, 30 % consensus, in turn
 *   blocks      the same transactions in blocks of 700 and 300
 *   switching   both in turn: how much slower `mixed` is than `blocks`, in percent
 *   hot         one Add on the one shared counter; by one thread none may be aborted
 *   transfer    one Transfer of a coin to the next of 10,000 accounts, the exact version named
 *
 *   --zipf T        objects are drawn by Zipf's law with exponent T (0 = evenly): owned ones by each thread from its part, at their latest
 *                   version; shared ones by all from all
 *   --durability    write, sync or interval, in a fresh DIR: a transaction counts when it is durable, and no figure is told unless the
 *                   dirty bytes have stayed where they were
 *   --gc-ms N       collect every N ms, neither more nor less often;  --reader 1: one snapshot stays open all the time
 *
 * Without --zipf every thread walks its own part of the population in turn, owned and shared ones alike: each thread has objects of its own, and
 * but for `hot` no two meet at one. Drawn owned ones are not named in an exact version, so that, unlike those in turn, their receipts stay until
 * they expire. `switching` has an engine for each pattern, and runs them in the order A B B A: the machine's speed changes by more
 * than the loss from one process to the next, and what either leaves behind (receipts, the order of free blocks) is its own.
 * Prints one line of JSON, and only after the state has been checked against what was done. Latency is the caller's (bench/latency.h). */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/latency.h"
#include "bench/reader.h"
#include "bench/rig.h"
#include "bench/steady.h"
#include "bench/zipf.h"

/* Without a disk a receipt stays in memory until its transaction has expired: LIFE_MS is short, and the receipts of those that made the
 * population have gone before the timed part begins. A slice of `switching` is counted when those of the one before have gone as well. */
enum {
    BATCH_MAX = 1024,
    ROWS = 8,
    BLOCK = 1000,
    LIFE_MS = 2000,
    DURABLE_LIFE_MS = 20000,
    SLICES = 4,
    SLICE_WARM_MS = LIFE_MS + 1000,
    WARM_S = 5,
    DRAWS = 1 << 20,
    DRAWS_AHEAD =
        16 /* their ids are asked for, as they are for those in turn by the processor itself */
};
enum row { FAST, BYTES, CONSENSUS, MIXED, BLOCKS, SWITCHING, HOT, TRANSFER };
static const char *const ROW_NAMES[ROWS] = {"fast",   "bytes",     "consensus", "mixed",
                                            "blocks", "switching", "hot",       "transfer"};

/* What has been counted, over one drive or several. */
struct told {
    double from, took, cpu_s; /* of the timed parts; FROM of the last one */
    uint64_t timed;
    uint64_t fast, consensus; /* of all: the warm-ups' too */
    uint64_t retries, conflicts, fallbacks;
};

struct run {
    struct rig *rig;
    enum row row;
    uint32_t threads, batch;
    uint32_t backlog; /* of one thread: taken and not yet answered */
    struct population owned, shared;
    struct caller *callers;
    struct audit before;
    struct svm_stats stats_before;
    double zipf; /* below 0: in turn */
    bool durable, reader;
    uint8_t suffix[128]; /* of signed bytes: scheme, key, signature */
    size_t suffix_len;
    _Atomic bool timed, stop;
    struct told told;
};

/* One thread: its part of the populations, what it has under way, and what it has counted. What others read lies apart from what it
 * writes for each transaction. */
struct caller {
    struct run *run;
    pthread_t thread;
    uint32_t index;
    uint32_t owned_from, owned_count;
    uint32_t shared_from, shared_count;
    uint32_t *owned_draws, *shared_draws; /* DRAWS each, walked in a circle; NULL: in turn */
    _Alignas(128) struct random random;
    uint32_t owned_at, round, shared_at, step;
    uint32_t owned_draw, shared_draw;
    uint64_t fast, consensus;
    struct tickets tickets; /* by whether it was ordered */
    _Alignas(128) _Atomic uint64_t ok;
    _Atomic uint64_t bad;
    _Atomic enum svm_err bad_err; /* of one of them */
    struct svm_submission submissions[BATCH_MAX];
    struct svm_digest digests[BATCH_MAX];
    struct svm_tx txs[BATCH_MAX];
    struct svm_input inputs[BATCH_MAX];
    struct svm_op ops[BATCH_MAX];
    uint8_t bytes[BATCH_MAX][320];
};

static void on_outcome(void *arg, const struct svm_outcome *outcome)
{
    struct ticket *ticket = arg;
    struct caller *caller = ticket->owner;
    ticket_answered(ticket);
    const bool ok = outcome->err == SVM_OK && !outcome->pending && !outcome->duplicate &&
                    outcome->receipt != NULL && outcome->receipt->failure == SVM_FAILURE_NONE &&
                    (outcome->durable || !caller->run->durable);
    if (!ok && atomic_load(&caller->bad) == 0) {
        fprintf(stderr, "bench: %s: %s\n", svm_err_name(outcome->err),
                outcome->refusal != NULL ? outcome->refusal->reason : "");
        atomic_store(&caller->bad_err, outcome->err);
    }
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
    case SWITCHING:
        break;
    }
    return true;
}

/* The next one drawn, of those that begin at FROM. */
static uint32_t drawn(const struct population *population, const uint32_t *draws, uint32_t *at,
                      uint32_t from)
{
    __builtin_prefetch(&population->ids[from + draws[(*at + DRAWS_AHEAD) % DRAWS]]);
    return from + draws[(*at)++ % DRAWS];
}

/* The next owned object: of the draws, or in turn. */
static uint32_t next_owned(struct caller *caller)
{
    if (caller->owned_draws != NULL)
        return drawn(&caller->run->owned, caller->owned_draws, &caller->owned_draw,
                     caller->owned_from);
    if (caller->owned_at == caller->owned_count) {
        caller->owned_at = 0;
        caller->round++;
    }
    return caller->owned_from + caller->owned_at++;
}

static uint32_t next_shared(struct caller *caller)
{
    if (caller->shared_draws != NULL)
        return drawn(&caller->run->shared, caller->shared_draws, &caller->shared_draw, 0);
    if (caller->shared_at == caller->shared_count)
        caller->shared_at = 0;
    return caller->shared_from + caller->shared_at++;
}

static void make_fast(struct caller *caller, uint32_t i, uint64_t expires_ms)
{
    const bool transfer = caller->run->row == TRANSFER;
    struct population *owned = &caller->run->owned;
    const bool exact = caller->owned_draws == NULL;
    const uint32_t at = next_owned(caller);
    const uint64_t round = transfer ? caller->round : 0; /* what is not transferred stays */
    caller->inputs[i] = (struct svm_input){.id = owned->ids[at],
                                           .kind = SVM_KIND_OWNED,
                                           .exact = exact,
                                           .writable = true,
                                           .version = exact ? owned->versions[at]++ : 0};
    caller->ops[i] = (struct svm_op){.kind = transfer ? SVM_OP_TRANSFER : SVM_OP_ADD};
    if (transfer)
        caller->ops[i].u.transfer.to = account_address(at + round + 1);
    else
        caller->ops[i].u.add.delta = 1;
    caller->txs[i].sender = account_address(at + round);
    caller->txs[i].expires_ms = exact ? 0 : expires_ms;
    caller->fast++;
}

static void make_consensus(struct caller *caller, uint32_t i, uint64_t expires_ms)
{
    const uint32_t at = next_shared(caller);
    caller->inputs[i] = (struct svm_input){
        .id = caller->run->shared.ids[at], .kind = SVM_KIND_SHARED, .writable = true};
    caller->ops[i] = (struct svm_op){.kind = SVM_OP_ADD};
    caller->ops[i].u.add.delta = 1;
    caller->txs[i].sender = caller->run->rig->faucet_owner;
    caller->txs[i].expires_ms = expires_ms;
    caller->consensus++;
}

/* What stands behind the bytes of a transaction when it is signed. Made once, before there is a second thread: a signature that is not
 * looked at may be that of another transaction. */
static void make_suffix(struct run *run)
{
    const struct svm_secret_key key = {{1}};
    uint8_t bytes[256], whole[512];
    size_t len, whole_len;
    const struct svm_tx tx = {.chain = run->rig->chain,
                              .gas_limit = 10000,
                              .input_count = 1,
                              .op_count = 1,
                              .inputs = &(struct svm_input){.kind = SVM_KIND_OWNED},
                              .ops = &(struct svm_op){.kind = SVM_OP_ADD}};
    if (svm_tx_encode(bytes, sizeof bytes, &len, &tx) != SVM_OK ||
        svm_tx_sign(whole, sizeof whole, &whole_len, (struct svm_bytes){bytes, len}, &key) !=
            SVM_OK)
        die("cannot sign");
    run->suffix_len = whole_len - len;
    if (run->suffix_len > sizeof run->suffix)
        die("a signature is longer than it was");
    memcpy(run->suffix, whole + len, run->suffix_len);
}

static void make_bytes(struct caller *caller, uint32_t i)
{
    size_t len;
    uint8_t *out = caller->bytes[i];
    const struct run *run = caller->run;
    caller->txs[i].nonce = random_next(&caller->random);
    if (svm_tx_encode(out, sizeof caller->bytes[i] - run->suffix_len, &len, &caller->txs[i]) !=
        SVM_OK)
        die("a transaction of the benchmark cannot be encoded");
    memcpy(out + len, run->suffix, run->suffix_len);
    caller->submissions[i].bytes = (struct svm_bytes){out, len + run->suffix_len};
    caller->submissions[i].tx = NULL;
}

static void make(struct caller *caller, uint32_t i, uint64_t expires_ms, bool timed)
{
    const bool fast = next_is_fast(caller);
    struct svm_tx *tx = &caller->txs[i];
    *tx = (struct svm_tx){.chain = caller->run->rig->chain,
                          .gas_limit = 10000,
                          .input_count = 1,
                          .op_count = 1,
                          .inputs = &caller->inputs[i],
                          .ops = &caller->ops[i]};
    if (fast)
        make_fast(caller, i, expires_ms);
    else
        make_consensus(caller, i, expires_ms);
    for (size_t b = 0; b < sizeof caller->digests[i].b; b += 8) {
        const uint64_t word = random_next(&caller->random);
        memcpy(caller->digests[i].b + b, &word, sizeof word);
    }
    caller->submissions[i] =
        (struct svm_submission){.tx = tx,
                                .digest = &caller->digests[i],
                                .arg = tickets_take(&caller->tickets, timed, !fast)};
    if (caller->run->row == BYTES)
        make_bytes(caller, i);
}

/* Nothing that has not succeeded: the line that the ledger keeps says why. */
static void require_good(struct caller *caller)
{
    const uint64_t bad = atomic_load(&caller->bad);
    if (bad > 0)
        die("%llu transactions did not succeed (%s): no figure", (unsigned long long)bad,
            svm_err_name(atomic_load(&caller->bad_err)));
}

static void *call(void *arg)
{
    struct caller *caller = arg;
    struct run *run = caller->run;
    while (!atomic_load_explicit(&run->stop, memory_order_relaxed)) {
        const uint64_t expires_ms =
            svm_now_ms(run->rig->engine) + (run->durable ? DURABLE_LIFE_MS : LIFE_MS);
        const bool timed = atomic_load_explicit(&run->timed, memory_order_relaxed);
        for (uint32_t i = 0; i < run->batch; i++)
            make(caller, i, expires_ms, timed);
        tickets_hand_in(&caller->tickets);
        svm_run_batch(run->rig->engine, caller->submissions, run->batch,
                      run->durable ? SVM_WAIT_DURABLE : SVM_WAIT_EXECUTED, on_outcome);
        for (uint32_t i = 0; i < run->batch; i++)
            if (caller->submissions[i].err != SVM_OK)
                die("refused at admission: %s", svm_err_name(caller->submissions[i].err));
        const uint64_t made = caller->fast + caller->consensus;
        /* What waits in order behind another thread's may be unanswered still: not more than a few batches, and few for one
         * object. */
        const uint64_t most = run->row == HOT ? run->batch : run->backlog;
        while (made > atomic_load_explicit(&caller->ok, memory_order_relaxed) + most) {
            require_good(caller);
            nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
        }
    }
    return NULL;
}

static uint64_t done(const struct run *run)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < run->threads; i++)
        sum += atomic_load_explicit(&run->callers[i].ok, memory_order_relaxed);
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

static void nap(double seconds)
{
    nanosleep(&(struct timespec){.tv_sec = (time_t)seconds,
                                 .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)},
              NULL);
}

static void callers_create(struct run *run)
{
    struct caller *callers = aligned_alloc(128, run->threads * sizeof *callers);
    if (callers == NULL)
        die("out of memory");
    memset(callers, 0, run->threads * sizeof *callers);
    for (uint32_t i = 0; i < run->threads; i++) {
        struct caller *c = &callers[i];
        c->run = run;
        c->index = i;
        tickets_init(&c->tickets, c);
        c->random.state = run->rig->settings.seed * 1000003 + i + ((uint64_t)1 << 60);
        part(run->owned.count, i, run->threads, &c->owned_from, &c->owned_count);
        part(run->shared.count, i, run->threads, &c->shared_from, &c->shared_count);
        if (run->row == HOT) {
            c->shared_from = 0;
            c->shared_count = 1;
        }
        if (run->zipf >= 0 && c->owned_count > 0)
            c->owned_draws = zipf_draw(DRAWS, c->owned_count, run->zipf, &c->random);
        if (run->zipf >= 0 && run->shared.count > 0)
            c->shared_draws = zipf_draw(DRAWS, run->shared.count, run->zipf, &c->random);
    }
    run->callers = callers;
}

static void callers_destroy(struct run *run)
{
    for (uint32_t i = 0; i < run->threads; i++) {
        free(run->callers[i].owned_draws);
        free(run->callers[i].shared_draws);
    }
    free(run->callers);
}

/* The callers are started, warmed up and timed; then everything is answered. */
static void drive(struct run *run, double warm_s, double seconds)
{
    struct told *told = &run->told;
    atomic_store(&run->stop, false);
    for (uint32_t i = 0; i < run->threads; i++)
        if (pthread_create(&run->callers[i].thread, NULL, call, &run->callers[i]) != 0)
            die("cannot start a thread");
    nap(warm_s);
    fputs("bench: the timed part begins\n", stderr);
    atomic_store(&run->timed, true);
    told->from = now_s();
    const double cpu_from = cpu_s();
    const uint64_t done_from = done(run);
    nap(seconds);
    told->timed += done(run) - done_from;
    told->took += now_s() - told->from;
    told->cpu_s += cpu_s() - cpu_from;
    atomic_store(&run->timed, false);
    atomic_store(&run->stop, true);
    told->fast = told->consensus = 0;
    for (uint32_t i = 0; i < run->threads; i++) {
        pthread_join(run->callers[i].thread, NULL);
        told->fast += run->callers[i].fast;
        told->consensus += run->callers[i].consensus;
    }
    for (int i = 0; i < 10000 && done(run) < told->fast + told->consensus; i++)
        nap(0.001);
    for (uint32_t i = 0; i < run->threads; i++)
        require_good(&run->callers[i]);
    must_be("the number of successes", done(run), told->fast + told->consensus);
}

/* What the engine has begun again since the callers began. */
static void count_aborts(struct run *run)
{
    struct told *told = &run->told;
    struct svm_stats stats;
    svm_stats(run->rig->engine, &stats);
    told->retries = stats.retries - run->stats_before.retries;
    told->conflicts = stats.conflicts - run->stats_before.conflicts;
    for (int i = 0; i < SVM_FALLBACK_COUNT; i++)
        told->fallbacks += stats.fallbacks[i] - run->stats_before.fallbacks[i];
    if (run->row == HOT && run->threads == 1)
        must_be("the number of aborts", told->retries + told->conflicts + told->fallbacks, 0);
}

/* TRANSFER: by how much the words of all owners together have changed; each round an object goes to the next account. */
static uint64_t owners_moved(const struct run *run)
{
    uint64_t sum = 0;
    for (uint32_t t = 0; t < run->threads; t++) {
        const struct caller *caller = &run->callers[t];
        for (uint32_t i = 0; i < caller->owned_count; i++) {
            const uint32_t at = caller->owned_from + i;
            const struct svm_address from = account_address(at);
            const struct svm_address to =
                account_address((uint64_t)at + caller->round + (i < caller->owned_at));
            sum += address_word(&to) - address_word(&from);
        }
    }
    return sum;
}

/* The state is what it was and what was done, neither more nor less. */
static void check(struct run *run)
{
    const struct told *told = &run->told;
    const struct audit *before = &run->before;
    struct audit after;
    audit_state(&after, run->rig);
    must_be("the number of objects", after.objects, before->objects);
    must_be("the sum of owners", after.owners,
            before->owners + (run->row == TRANSFER ? owners_moved(run) : 0));
    must_be("the sum of balances", after.balance, before->balance);
    must_be("the sum of counters", after.counters,
            before->counters + told->consensus + (run->row == TRANSFER ? 0 : told->fast));
    must_be("the sum of versions", after.versions, before->versions + told->fast + told->consensus);
    if (run->durable) { /* what was answered durable is there after a restart */
        const struct settings settings = run->rig->settings;
        struct audit again;
        rig_close(run->rig);
        run->rig = rig_open(&settings);
        audit_state(&again, run->rig);
        if (memcmp(&again, &after, sizeof again) != 0)
            die("the audit fails: the state after a restart is not the one before it");
    }
}

static void print_told(const struct run *run, const struct told *told)
{
    const struct settings *settings = &run->rig->settings;
    printf(",\"threads\":%u,\"batch\":%u,"
           "\"seconds\":%.2f,\"cpu_ns\":%.0f,\"done\":%llu,\"fast\":%llu,\"consensus\":%llu,"
           "\"aborts\":%llu,\"retries\":%llu,\"conflicts\":%llu,\"fallbacks\":%llu,"
           "\"objects\":%u,\"durability\":\"%s\",\"seed\":%llu",
           run->threads, run->batch, told->took,
           told->cpu_s * 1e9 / (double)(told->timed > 0 ? told->timed : 1),
           (unsigned long long)told->timed, (unsigned long long)told->fast,
           (unsigned long long)told->consensus,
           (unsigned long long)(told->retries + told->conflicts + told->fallbacks),
           (unsigned long long)told->retries, (unsigned long long)told->conflicts,
           (unsigned long long)told->fallbacks, settings->objects,
           svm_durability_name(settings->durability), (unsigned long long)settings->seed);
    if (run->zipf >= 0)
        printf(",\"zipf\":%.2f", run->zipf);
}

/* Of both paths together, and where there are two of each. */
static void print_latency(struct run *run)
{
    static struct hist all, paths[TICKET_KINDS];
    for (uint32_t i = 0; i < run->threads; i++) {
        struct tickets *tickets = &run->callers[i].tickets;
        tickets_count(tickets);
        for (unsigned kind = 0; kind < TICKET_KINDS; kind++) {
            hist_merge(&all, &tickets->kinds[kind]);
            hist_merge(&paths[kind], &tickets->kinds[kind]);
        }
    }
    latency_print("", &all);
    if (hist_count(&paths[0]) > 0 && hist_count(&paths[1]) > 0) {
        latency_print("fast_", &paths[0]);
        latency_print("consensus_", &paths[1]);
    }
}

/* Before the timed part: MOST, or less before a short one. */
static double warm_s(const struct run *run, double most)
{
    const double seconds = run->rig->settings.seconds;
    return seconds < 5 ? seconds / 5 : most;
}

static void measure(struct run *run)
{
    const double seconds = run->rig->settings.seconds;
    struct steady_result seen;
    struct steady *steady = steady_start(run->rig);
    struct reader *reader =
        run->reader ? reader_start(run->rig, run->owned.count > 0 ? &run->owned : &run->shared)
                    : NULL;
    drive(run, warm_s(run, WARM_S), seconds);
    steady_stop(&seen, steady, run->told.from, run->told.from + run->told.took);
    if (reader != NULL)
        reader_stop(reader);
    count_aborts(run);
    if (run->durable)
        steady_require(&seen);
    check(run);
    printf("{\"row\":\"engine-%s\",\"value\":%.0f,\"unit\":\"tx/s\"", ROW_NAMES[run->row],
           (double)run->told.timed / run->told.took);
    print_told(run, &run->told);
    print_latency(run);
    steady_print(&seen, run->told.timed, run->durable);
    printf("}\n");
}

/* Both patterns in the order A B B A: what drifts meets both alike. What one leaves to be forgotten is forgotten while the other one warms up. */
static void measure_switching(struct run *mixed, struct run *blocks)
{
    const double seconds = mixed->rig->settings.seconds;
    const double warm = warm_s(mixed, SLICE_WARM_MS / 1000.0);
    for (uint32_t i = 0; i < SLICES; i++)
        drive(i == 0 || i == SLICES - 1 ? mixed : blocks, warm, seconds / SLICES);
    count_aborts(mixed);
    count_aborts(blocks);
    check(mixed);
    check(blocks);
    const struct told *a = &mixed->told, *b = &blocks->told;
    const double mixed_s = (double)a->timed / a->took, blocks_s = (double)b->timed / b->took;
    const struct told both = {.took = a->took + b->took,
                              .cpu_s = a->cpu_s + b->cpu_s,
                              .timed = a->timed + b->timed,
                              .fast = a->fast + b->fast,
                              .consensus = a->consensus + b->consensus,
                              .retries = a->retries + b->retries,
                              .conflicts = a->conflicts + b->conflicts,
                              .fallbacks = a->fallbacks + b->fallbacks};
    printf("{\"row\":\"engine-switching\",\"value\":%.2f,\"unit\":\"%%\",\"mixed\":%.0f,"
           "\"blocks\":%.0f",
           100 * (blocks_s - mixed_s) / blocks_s, mixed_s, blocks_s);
    print_told(mixed, &both);
    printf("}\n");
}

/* An engine, its objects, and what they add up to. */
static void run_open(struct run *run, const struct settings *settings)
{
    const bool mixed = run->row == MIXED || run->row == BLOCKS;
    const uint32_t objects = settings->objects;
    const uint32_t shared = run->row == CONSENSUS || run->row == HOT ? objects
                            : mixed                                  ? objects / 10 * 3
                                                                     : 0;
    run->rig = rig_open(settings);
    make_suffix(run);
    if (shared < objects)
        population_create(&run->owned, run->rig,
                          run->row == TRANSFER ? POPULATION_COINS : POPULATION_OWNED,
                          objects - shared);
    if (shared > 0)
        population_create(&run->shared, run->rig, POPULATION_SHARED, shared);
    audit_state(&run->before, run->rig);
    callers_create(run);
    svm_stats(run->rig->engine, &run->stats_before);
}

static void run_close(struct run *run)
{
    callers_destroy(run);
    population_destroy(&run->owned);
    population_destroy(&run->shared);
    rig_close(run->rig);
}

static enum svm_durability durability_of(const char *text)
{
    for (enum svm_durability mode = SVM_MEMORY; mode <= SVM_INTERVAL; mode++)
        if (strcmp(text, svm_durability_name(mode)) == 0)
            return mode;
    die("--durability is memory, write, sync or interval");
}

static uint64_t number(const char *name, const char *text)
{
    char *end;
    const uint64_t value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0')
        die("%s needs a number", name);
    return value;
}

static void parse(struct run *run, struct settings *settings, int argc, char **argv)
{
    bool known = false;
    for (int i = 0; argc > 1 && i < ROWS; i++)
        if (strcmp(argv[1], ROW_NAMES[i]) == 0)
            run->row = (enum row)i, known = true;
    if (!known)
        die("usage: bench_engine fast|bytes|consensus|mixed|blocks|switching|hot|transfer "
            "[OPTIONS]");
    for (int i = 2; i < argc; i += 2) {
        const char *name = argv[i], *text = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(name, "--threads") == 0)
            run->threads = (uint32_t)number(name, text);
        else if (strcmp(name, "--batch") == 0)
            run->batch = (uint32_t)number(name, text);
        else if (strcmp(name, "--objects") == 0)
            settings->objects = (uint32_t)number(name, text);
        else if (strcmp(name, "--seconds") == 0)
            settings->seconds = atof(text);
        else if (strcmp(name, "--seed") == 0)
            settings->seed = number(name, text);
        else if (strcmp(name, "--zipf") == 0)
            run->zipf = atof(text);
        else if (strcmp(name, "--durability") == 0)
            settings->durability = durability_of(text);
        else if (strcmp(name, "--datadir") == 0)
            settings->datadir = text;
        else if (strcmp(name, "--gc-ms") == 0)
            settings->gc_ms = (uint32_t)number(name, text);
        else if (strcmp(name, "--reader") == 0)
            run->reader = number(name, text) != 0;
        else
            die("unknown option %s", name);
    }
    if (run->batch == 0 || run->batch > BATCH_MAX || run->threads == 0 || run->threads > 16)
        die("--batch is 1 to %d, --threads 1 to 16", BATCH_MAX);
    run->durable = settings->durability != SVM_MEMORY;
    if (run->durable != (settings->datadir != NULL))
        die("--durability and --datadir go together");
    if (run->zipf >= 0 && (run->row == TRANSFER || run->row == BYTES))
        die("--zipf is for rows whose objects stay where they are");
    if (run->row == SWITCHING && (run->durable || run->reader))
        die("switching is measured in memory, and without a reader");
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
    struct run run = {.threads = 2, .batch = 256, .zipf = -1};
    parse(&run, &settings, argc, argv);
    /* the engine admits so many at once, whoever brings them */
    const uint32_t share = settings.inflight / run.threads;
    run.backlog = share > 3 * run.batch ? share - 2 * run.batch : run.batch;
    if (run.backlog > 32 * run.batch)
        run.backlog = 32 * run.batch;
    if (run.row == SWITCHING) {
        struct run patterns[2] = {run, run};
        const unsigned first = settings.seed % 2; /* where it lies in memory is neither's luck */
        patterns[0].row = MIXED;
        patterns[1].row = BLOCKS;
        run_open(&patterns[first], &settings);
        run_open(&patterns[!first], &settings);
        nap(EXPIRY_MS / 1000.0 + 1 - warm_s(&patterns[0], SLICE_WARM_MS / 1000.0));
        measure_switching(&patterns[0], &patterns[1]);
        run_close(&patterns[0]);
        run_close(&patterns[1]);
        return 0;
    }
    run_open(&run, &settings);
    nap(EXPIRY_MS / 1000.0 + 1 - warm_s(&run, WARM_S));
    measure(&run);
    run_close(&run);
    return 0;
}
