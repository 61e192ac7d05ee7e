/* bench/rig.h - an engine under measurement: opened with printed settings, filled with objects, asked what it holds.
 *
 *      rig_open -> population_create -> load_run (load.h) -> audit_state -> rig_close
 *
 * Any error ends the process with one sentence: a benchmark that limps has no figures. Thread: the main thread. */
#ifndef BENCH_RIG_H
#define BENCH_RIG_H

#include <stdatomic.h>

#include <svm.h>

/* die: one sentence to stderr, exit code 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* process_bytes: what this process holds of main memory. */
uint64_t process_bytes(void);
/* now_s: monotonic seconds. */
double now_s(void);
/* Pseudo-random, seeded, printed with the results. SplitMix64. */
struct random {
    uint64_t state;
};
uint64_t random_next(struct random *random);

/* Life of a transaction without an exact input: as long as a receipt must stay in memory when there is no disk. */
enum { EXPIRY_MS = 5000 };

#define RIG_CACHE_BYTES ((uint64_t)2 << 30)

struct settings {
    enum svm_durability durability;
    const char *datadir; /* NULL = memory */
    uint32_t workers;    /* 0 = one per core */
    uint32_t inflight;   /* power of two */
    uint32_t window;     /* transactions that the generator keeps in flight */
    uint32_t objects;
    double seconds;
    uint64_t seed;
    uint32_t gc_ms;       /* collect so often and no other way; 0 = as by default */
    uint64_t cache_bytes; /* 0 = RIG_CACHE_BYTES */
};

/* Outcomes by thread of the engine, each slot written by one thread. */
struct tally {
    _Alignas(64) _Atomic uint64_t ok;
    _Atomic uint64_t failed, refused, duplicate;
};
enum { TALLIES_MAX = 80 };

struct rig {
    struct svm_engine *engine;
    struct settings settings;
    uint64_t chain;
    struct svm_id faucet;
    struct svm_address faucet_owner;
    struct random random;
    enum svm_wait wait; /* what counts as done */
    struct tally tallies[TALLIES_MAX];
    _Atomic uint32_t tally_count;
};

struct rig *rig_open(const struct settings *settings);
void rig_close(struct rig *rig);
/* rig_digest: random, hence unique, as svm_submit_decoded asks of its caller. */
void rig_digest(struct rig *rig, struct svm_digest *digest_out);
/* rig_sum: outcomes so far. */
void rig_sum(const struct rig *rig, uint64_t *ok, uint64_t *bad);
/* rig_submit: hand in TX; it is tallied when it is done as `wait` says. False = at capacity, nothing was taken. */
bool rig_submit(struct rig *rig, const struct svm_tx *tx, const struct svm_digest *digest);
/* rig_settle: wait until everything that was taken (SUBMITTED) has been answered. */
void rig_settle(const struct rig *rig, uint64_t submitted);

/* Accounts that hold the coins: account_address(I) for any I, ACCOUNTS of them in turn. */
enum { ACCOUNTS = 10000 };
struct svm_address account_address(uint64_t index);
/* address_word: a number to add up, of all that are owners. */
uint64_t address_word(const struct svm_address *address);

/* ---- population --------------------------------------------------------------------------------------------- */

/* COUNT objects of one kind made by transactions; the table the generator walks. */
struct population {
    uint32_t count;
    struct svm_id *ids;
    uint64_t *versions;
};
enum population_kind {
    POPULATION_COINS, /* owned by account I, balance 1, out of the faucet */
    POPULATION_OWNED, /* counters owned by account I: type COUNTER_TYPE, COUNTER_BYTES of data, zero */
    POPULATION_SHARED /* the same, shared */
};
enum { COUNTER_BYTES = 8 }; /* one number, little endian */
extern const char COUNTER_TYPE[];
void population_create(struct population *population, struct rig *rig, enum population_kind kind,
                       uint32_t count);
void population_destroy(struct population *population);

/* ---- audit -------------------------------------------------------------------------------------------------- */

/* object_is_counter: one of POPULATION_OWNED or POPULATION_SHARED. */
bool object_is_counter(const struct svm_object *object);

/* What a scan over every live object says. */
struct audit {
    uint64_t objects;
    uint64_t owners;   /* sum of their words */
    uint64_t balance;  /* sum over all */
    uint64_t versions; /* sum over all */
    uint64_t counters; /* sum of the numbers in counters */
    uint64_t payload;  /* bytes of types and data */
};
void audit_state(struct audit *audit, struct rig *rig);

#endif
