/* Races of submitted transactions: waves over many objects at once, so that one round costs microseconds. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "traffic.h"

enum { PAIRS = 128, COINS = 16 };

static const uint64_t zero, one = 1;

struct pairs {
    struct bank bank;
    struct svm_id ids[2 * PAIRS]; /* pair I: ids[2 I] < ids[2 I + 1] */
    struct slip slips[2][PAIRS];
    struct wave waves[2];
    struct svm_address owners[PAIRS];
    uint64_t versions[PAIRS];
    bool saw[PAIRS]; /* what a reader must not see together with a success of the first slip */
    uint64_t anomalies;
    void (*fill)(struct pairs *pairs, struct slip *slip, unsigned thread, unsigned pair,
                 uint64_t round);
    bool (*wrong)(struct pairs *pairs, unsigned pair, uint64_t round);
    bool resets;
};

static void pairs_setup(void *arg, uint64_t round)
{
    struct pairs *pairs = arg;
    memset(pairs->saw, 0, sizeof pairs->saw);
    if (round == 0 || !pairs->resets)
        return;
    for (unsigned i = 0; i < PAIRS; i++) {
        struct slip *slip = &pairs->slips[0][i];
        slip_init(slip, &pairs->bank.alice.address);
        slip_put(slip, slip_shared(slip, &pairs->ids[2 * i], true), &zero);
        slip_put(slip, slip_shared(slip, &pairs->ids[2 * i + 1], true), &zero);
        slip_send(&pairs->bank, &pairs->waves[0], slip);
    }
    wave_wait(&pairs->waves[0]);
}

static void pairs_watch(struct pairs *pairs)
{
    for (unsigned i = 0; i < PAIRS; i++) {
        struct svm_snapshot *snapshot = bank_look(&pairs->bank);
        uint64_t x = bank_value(snapshot, &pairs->ids[2 * i]);
        uint64_t y = bank_value(snapshot, &pairs->ids[2 * i + 1]);
        pairs->saw[i] |= x == 0 && y == 20;
        svm_snapshot_close(snapshot);
    }
}

static void pairs_body(void *arg, unsigned thread, struct rng *rng, uint64_t round)
{
    struct pairs *pairs = arg;
    if (thread == 2) {
        pairs_watch(pairs);
        return;
    }
    unsigned first = (unsigned)rng_below(rng, PAIRS);
    for (unsigned k = 0; k < PAIRS; k++) {
        unsigned i = (first + k) % PAIRS;
        struct slip *slip = &pairs->slips[thread][i];
        slip_init(slip, &pairs->bank.alice.address);
        pairs->fill(pairs, slip, thread, i, round);
        slip_send(&pairs->bank, &pairs->waves[thread], slip);
    }
    wave_wait(&pairs->waves[thread]);
}

static bool pairs_anomaly(void *arg, uint64_t round)
{
    struct pairs *pairs = arg;
    for (unsigned i = 0; i < PAIRS; i++)
        pairs->anomalies += pairs->wrong(pairs, i, round);
    return false;
}

/* ROUNDS rounds, PAIRS at once. */
static uint64_t run_pairs(uint64_t rounds, const struct pairs *shape, bool shared, unsigned threads)
{
    struct pairs *pairs = malloc(sizeof *pairs);
    LITMUS_MUST(pairs != NULL);
    *pairs = *shape;
    bank_open(&pairs->bank, 4, NULL);
    bank_create(&pairs->bank, pairs->ids, 2 * PAIRS, shared);
    for (unsigned i = 0; i < 2; i++)
        wave_init(&pairs->waves[i]);
    for (unsigned i = 0; i < PAIRS; i++) {
        pairs->owners[i] = pairs->bank.alice.address;
        pairs->versions[i] = 1;
    }
    struct litmus_race race = {.threads = threads,
                               .setup = pairs_setup,
                               .body = pairs_body,
                               .anomaly = pairs_anomaly,
                               .arg = pairs};
    litmus_race(&race, rounds / PAIRS + 1);
    uint64_t anomalies = pairs->anomalies;
    for (unsigned i = 0; i < 2; i++)
        wave_deinit(&pairs->waves[i]);
    bank_close(&pairs->bank);
    free(pairs);
    return anomalies;
}

/* ---- write skew: each writes one of two, if the other is untouched ------------------------------------------------------- */

static void skew_fill(struct pairs *pairs, struct slip *slip, unsigned thread, unsigned pair,
                      uint64_t round)
{
    (void)round;
    uint16_t a = slip_shared(slip, &pairs->ids[2 * pair], thread == 1);
    uint16_t b = slip_shared(slip, &pairs->ids[2 * pair + 1], thread == 0);
    slip_expect(slip, thread == 0 ? a : b, &zero);
    slip_put(slip, thread == 0 ? b : a, &one);
}

static bool skew_wrong(struct pairs *pairs, unsigned pair, uint64_t round)
{
    (void)round;
    const struct slip *s = &pairs->slips[0][pair], *t = &pairs->slips[1][pair];
    return slip_ok(s) == slip_ok(t) || s->err != SVM_OK || t->err != SVM_OK;
}

static uint64_t write_skew(uint64_t rounds)
{
    return run_pairs(
        rounds, &(struct pairs){.fill = skew_fill, .wrong = skew_wrong, .resets = true}, true, 2);
}

/* ---- read-only anomaly: a reader sees the deposit alone, yet the withdrawal did not ---------------------------------------- */

static void bank_fill(struct pairs *pairs, struct slip *slip, unsigned thread, unsigned pair,
                      uint64_t round)
{
    (void)round;
    if (thread == 1) {
        slip_add(slip, slip_shared(slip, &pairs->ids[2 * pair + 1], true), 20);
        return;
    }
    uint16_t x = slip_shared(slip, &pairs->ids[2 * pair], true);
    slip_expect(slip, slip_shared(slip, &pairs->ids[2 * pair + 1], false), &zero);
    slip_add(slip, x, 11);
}

static bool bank_wrong(struct pairs *pairs, unsigned pair, uint64_t round)
{
    (void)round;
    const struct slip *withdrawal = &pairs->slips[0][pair], *deposit = &pairs->slips[1][pair];
    bool before = withdrawal->receipt.seq < deposit->receipt.seq;
    return !slip_ok(deposit) || withdrawal->err != SVM_OK || slip_ok(withdrawal) != before ||
           (pairs->saw[pair] && slip_ok(withdrawal));
}

static uint64_t read_only_anomaly(uint64_t rounds)
{
    return run_pairs(
        rounds, &(struct pairs){.fill = bank_fill, .wrong = bank_wrong, .resets = true}, true, 3);
}

/* ---- double transfer: two name the same version, to themselves or to others ------------------------------------------------- */

static void exact_fill(struct pairs *pairs, struct slip *slip, unsigned thread, unsigned pair,
                       uint64_t round)
{
    slip->tx.sender = pairs->owners[pair];
    uint16_t input = slip_owned(slip, &pairs->ids[2 * pair], pairs->versions[pair]);
    slip_op(slip, SVM_OP_TRANSFER, input)->u.transfer.to =
        round % 2 ? (thread == 0 ? pairs->bank.bob.address : pairs->bank.carol.address)
                  : pairs->owners[pair];
}

static bool exact_wrong(struct pairs *pairs, unsigned pair, uint64_t round)
{
    const struct slip *s = &pairs->slips[0][pair], *t = &pairs->slips[1][pair];
    const struct slip *won = slip_ok(s) ? s : t, *lost = slip_ok(s) ? t : s;
    if (slip_ok(s) == slip_ok(t))
        return true;
    pairs->owners[pair] = won->change.owner;
    pairs->versions[pair]++;
    bool named = lost->err == SVM_E_VERSION_CONFLICT &&
                 memcmp(lost->refusal.winner.b, won->digest.b, sizeof won->digest.b) == 0;
    bool gone = round % 2 == 1 && lost->err == SVM_E_NOT_OWNER;
    return won->change.version != pairs->versions[pair] || lost->answers != 1 || (!named && !gone);
}

static uint64_t double_transfer(uint64_t rounds)
{
    return run_pairs(rounds, &(struct pairs){.fill = exact_fill, .wrong = exact_wrong}, false, 2);
}

/* ---- two `latest`: both execute, one after the other ---------------------------------------------------------------------- */

static void latest_fill(struct pairs *pairs, struct slip *slip, unsigned thread, unsigned pair,
                        uint64_t round)
{
    (void)thread;
    (void)round;
    slip_add(slip, slip_owned(slip, &pairs->ids[2 * pair], 0), 1);
}

static bool latest_wrong(struct pairs *pairs, unsigned pair, uint64_t round)
{
    const struct slip *s = &pairs->slips[0][pair], *t = &pairs->slips[1][pair];
    struct svm_snapshot *snapshot = bank_look(&pairs->bank);
    uint64_t value = bank_value(snapshot, &pairs->ids[2 * pair]);
    svm_snapshot_close(snapshot);
    bool in_order = (s->receipt.seq < t->receipt.seq) == (s->change.version < t->change.version);
    return !slip_ok(s) || !slip_ok(t) || !in_order || s->change.version == t->change.version ||
           value != 2 * (round + 1);
}

static uint64_t double_latest(uint64_t rounds)
{
    return run_pairs(rounds, &(struct pairs){.fill = latest_fill, .wrong = latest_wrong}, false, 2);
}

/* ---- snapshots under traffic ------------------------------------------------------------------------------------------------- */

enum { WRITERS = 2, READERS = 2, WAVE = 64 };

struct sight {
    uint64_t seq, x, y;
};

struct watch {
    struct bank bank;
    struct svm_id ids[COINS];
    uint64_t sum;
    void (*fill)(struct watch *watch, struct slip *slip, struct rng *rng);
    bool (*wrong)(struct watch *watch, struct svm_snapshot *snapshot, struct sight *sight_out);
    struct sight *sights;
    uint64_t rounds; /* of one reader */
    _Atomic uint64_t anomalies, sent, succeeded;
    _Atomic unsigned readers;
};

struct watcher {
    struct watch *watch;
    unsigned index;
    pthread_t thread;
};

static void *writer_main(void *arg)
{
    struct watcher *watcher = arg;
    struct watch *watch = watcher->watch;
    struct slip *slips = calloc(WAVE, sizeof *slips);
    struct wave wave;
    struct rng rng;
    LITMUS_MUST(slips != NULL);
    wave_init(&wave);
    rng_init(&rng, litmus_options.seed + watcher->index);
    while (atomic_load(&watch->readers) > 0) {
        for (unsigned i = 0; i < WAVE; i++) {
            slip_init(&slips[i], &watch->bank.alice.address);
            watch->fill(watch, &slips[i], &rng);
            slip_send(&watch->bank, &wave, &slips[i]);
        }
        wave_wait(&wave);
        for (unsigned i = 0; i < WAVE; i++) {
            LITMUS_MUST(slips[i].err == SVM_OK);
            atomic_fetch_add(&watch->succeeded, slip_ok(&slips[i]));
        }
        atomic_fetch_add(&watch->sent, WAVE);
    }
    wave_deinit(&wave);
    free(slips);
    return NULL;
}

static void *reader_main(void *arg)
{
    struct watcher *watcher = arg;
    struct watch *watch = watcher->watch;
    struct sight *sights = watch->sights + watcher->index * watch->rounds;
    while (atomic_load(&watch->sent) == 0)
        sched_yield(); /* until there is traffic */
    /* That many snapshots, and that many transactions meanwhile. */
    for (uint64_t i = 0; i < watch->rounds || atomic_load(&watch->sent) < watch->rounds; i++) {
        struct svm_snapshot *snapshot = bank_look(&watch->bank);
        struct sight *sight = &sights[i % watch->rounds];
        sight->seq = svm_snapshot_seq(snapshot);
        atomic_fetch_add(&watch->anomalies, watch->wrong(watch, snapshot, sight));
        svm_snapshot_close(snapshot);
    }
    atomic_fetch_sub(&watch->readers, 1);
    return NULL;
}

static int by_seq(const void *a, const void *b)
{
    const struct sight *x = a, *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Counters only grow: in order of seq no snapshot may lack what an earlier one has. */
static uint64_t forks(struct sight *sights, uint64_t count)
{
    uint64_t found = 0;
    qsort(sights, count, sizeof *sights, by_seq);
    for (uint64_t i = 1; i < count; i++) {
        const struct sight *a = &sights[i - 1], *b = &sights[i];
        found += b->x < a->x || b->y < a->y || (a->seq == b->seq && (a->x != b->x || a->y != b->y));
    }
    return found;
}

static void watch_open(struct watch *watch, uint64_t rounds)
{
    memset(watch, 0, sizeof *watch);
    bank_open(&watch->bank, 2, NULL);
    watch->rounds = rounds / READERS + 1;
    watch->sights = calloc(READERS * watch->rounds, sizeof *watch->sights);
    LITMUS_MUST(watch->sights != NULL);
    atomic_store(&watch->readers, READERS);
}

static uint64_t run_watch(struct watch *watch)
{
    struct watcher watchers[READERS + WRITERS];
    for (unsigned i = 0; i < READERS + WRITERS; i++) {
        watchers[i] = (struct watcher){watch, i, 0};
        LITMUS_MUST(pthread_create(&watchers[i].thread, NULL,
                                   i < READERS ? reader_main : writer_main, &watchers[i]) == 0);
    }
    for (unsigned i = 0; i < READERS + WRITERS; i++)
        pthread_join(watchers[i].thread, NULL);
    uint64_t anomalies =
        atomic_load(&watch->anomalies) + forks(watch->sights, READERS * watch->rounds);
    return anomalies;
}

static void watch_close(struct watch *watch)
{
    bank_close(&watch->bank);
    free(watch->sights);
}

/* ---- long fork and lost update ------------------------------------------------------------------------------------------------- */

static void count_fill(struct watch *watch, struct slip *slip, struct rng *rng)
{
    slip_add(slip, slip_shared(slip, &watch->ids[rng_below(rng, 2)], true), 1);
}

static bool count_wrong(struct watch *watch, struct svm_snapshot *snapshot, struct sight *sight_out)
{
    sight_out->x = bank_value(snapshot, &watch->ids[0]);
    sight_out->y = bank_value(snapshot, &watch->ids[1]);
    return false;
}

static uint64_t long_fork(uint64_t rounds)
{
    struct watch watch;
    watch_open(&watch, rounds);
    watch.fill = count_fill;
    watch.wrong = count_wrong;
    bank_create(&watch.bank, watch.ids, 2, true);
    uint64_t anomalies = run_watch(&watch);
    struct svm_snapshot *snapshot = bank_look(&watch.bank);
    uint64_t total = bank_value(snapshot, &watch.ids[0]) + bank_value(snapshot, &watch.ids[1]);
    svm_snapshot_close(snapshot);
    anomalies += total != atomic_load(&watch.sent) || total != atomic_load(&watch.succeeded);
    watch_close(&watch);
    return anomalies;
}

/* Every round an update: ROUNDS of them, none lost. */
static void update_body(void *arg, unsigned thread, struct rng *rng, uint64_t round)
{
    struct pairs *pairs = arg;
    (void)round;
    for (unsigned i = 0; i < PAIRS; i++) {
        struct slip *slip = &pairs->slips[thread][i];
        slip_init(slip, &pairs->bank.alice.address);
        slip_add(slip, slip_shared(slip, &pairs->ids[rng_below(rng, 4)], true), 1);
        slip_send(&pairs->bank, &pairs->waves[thread], slip);
    }
    wave_wait(&pairs->waves[thread]);
}

static bool update_anomaly(void *arg, uint64_t round)
{
    struct pairs *pairs = arg;
    uint64_t sum = 0;
    struct svm_snapshot *snapshot = bank_look(&pairs->bank);
    for (unsigned i = 0; i < 4; i++)
        sum += bank_value(snapshot, &pairs->ids[i]);
    svm_snapshot_close(snapshot);
    return sum != 2 * PAIRS * (round + 1);
}

static uint64_t lost_update(uint64_t rounds)
{
    struct pairs *pairs = calloc(1, sizeof *pairs);
    LITMUS_MUST(pairs != NULL);
    bank_open(&pairs->bank, 4, NULL);
    bank_create(&pairs->bank, pairs->ids, 4, true);
    wave_init(&pairs->waves[0]);
    wave_init(&pairs->waves[1]);
    const struct litmus_race race = {
        .threads = 2, .body = update_body, .anomaly = update_anomaly, .arg = pairs};
    uint64_t anomalies = litmus_race(&race, rounds / (2 * PAIRS) + 1);
    bank_close(&pairs->bank);
    wave_deinit(&pairs->waves[0]);
    wave_deinit(&pairs->waves[1]);
    free(pairs);
    return anomalies;
}

/* ---- torn snapshot --------------------------------------------------------------------------------------------------------------- */

static void move_fill(struct watch *watch, struct slip *slip, struct rng *rng)
{
    size_t a = rng_below(rng, COINS), b = (a + 1 + rng_below(rng, COINS - 1)) % COINS;
    size_t low = a < b ? a : b, high = a < b ? b : a;
    uint16_t first = slip_owned(slip, &watch->ids[low], 0);
    uint16_t second = slip_owned(slip, &watch->ids[high], 0);
    struct svm_op *op = slip_op(slip, SVM_OP_MOVE, a < b ? first : second);
    op->u.move.into = a < b ? second : first;
    op->u.move.amount.units = 1 + rng_below(rng, 20);
}

static bool sum_wrong(struct watch *watch, struct svm_snapshot *snapshot, struct sight *sight_out)
{
    uint64_t sum = 0;
    (void)sight_out;
    for (unsigned i = 0; i < COINS; i++)
        sum += bank_balance(snapshot, &watch->ids[i]);
    return sum != watch->sum;
}

static uint64_t torn_snapshot(uint64_t rounds)
{
    enum { EACH = 100 };
    struct watch watch;
    watch_open(&watch, rounds);
    watch.fill = move_fill;
    watch.wrong = sum_wrong;
    bank_create(&watch.bank, watch.ids, COINS, false);
    for (unsigned i = 0; i < COINS; i++) { /* from alice's coin into each */
        struct slip slip;
        struct wave wave;
        wave_init(&wave);
        slip_init(&slip, &watch.bank.alice.address);
        bool before = memcmp(watch.bank.alice.coin.b, watch.ids[i].b, sizeof watch.ids[i].b) < 0;
        slip_owned(&slip, before ? &watch.bank.alice.coin : &watch.ids[i], 0);
        slip_owned(&slip, before ? &watch.ids[i] : &watch.bank.alice.coin, 0);
        struct svm_op *op = slip_op(&slip, SVM_OP_MOVE, before ? 0 : 1);
        op->u.move.into = before ? 1 : 0;
        op->u.move.amount.units = EACH;
        slip_send(&watch.bank, &wave, &slip);
        wave_wait(&wave);
        wave_deinit(&wave);
        LITMUS_MUST(slip_ok(&slip));
    }
    watch.sum = COINS * EACH;
    uint64_t anomalies = run_watch(&watch);
    LITMUS_MUST(atomic_load(&watch.succeeded) > 0);
    watch_close(&watch);
    return anomalies;
}

/* ---- dirty read: a transaction that fails has never written ------------------------------------------------------------------------ */

static void failing_fill(struct watch *watch, struct slip *slip, struct rng *rng)
{
    uint16_t input = rng_below(rng, 2) ? slip_shared(slip, &watch->ids[0], true)
                                       : slip_owned(slip, &watch->ids[1], 0);
    slip_add(slip, input, 1);
    slip_expect(slip, input, &zero);
}

static bool dirty_wrong(struct watch *watch, struct svm_snapshot *snapshot, struct sight *sight_out)
{
    (void)sight_out;
    return bank_value(snapshot, &watch->ids[0]) != 0 || bank_value(snapshot, &watch->ids[1]) != 0;
}

static uint64_t dirty_read(uint64_t rounds)
{
    struct watch watch;
    watch_open(&watch, rounds);
    watch.fill = failing_fill;
    watch.wrong = dirty_wrong;
    bank_create(&watch.bank, &watch.ids[0], 1, true);
    bank_create(&watch.bank, &watch.ids[1], 1, false);
    uint64_t anomalies = run_watch(&watch) + atomic_load(&watch.succeeded);
    watch_close(&watch);
    return anomalies;
}

const struct litmus_case litmus_objects[] = {
    {"objects: lost update", lost_update},
    {"objects: write skew", write_skew},
    {"objects: long fork", long_fork},
    {"objects: torn snapshot", torn_snapshot},
    {"objects: read-only anomaly", read_only_anomaly},
    {"objects: dirty read", dirty_read},
    {"objects: double transfer of one version", double_transfer},
    {"objects: two transfers of the latest", double_latest},
    {NULL, NULL},
};
