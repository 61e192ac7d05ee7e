#include "bench/rig.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

const char COUNTER_TYPE[] = "bench.counter";

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

uint64_t process_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*u %llu", &pages) != 1)
        die("cannot read the process's size");
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

uint64_t random_next(struct random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* ---- engine ------------------------------------------------------------------------------------------------- */

static void log_line(void *arg, enum svm_log_level level, const char *event, const char *text)
{
    (void)arg;
    if (level <= SVM_LOG_WARN)
        fprintf(stderr, "engine: %s: %s\n", event, text);
}

static void find_faucet(struct rig *rig)
{
    struct svm_snapshot *snapshot;
    struct svm_object *faucet;
    svm_dev_object_id(&rig->faucet, "faucet");
    if (svm_snapshot_open(rig->engine, &snapshot) != SVM_OK ||
        svm_object_get(snapshot, &rig->faucet, &faucet) != SVM_OK)
        die("the development chain has no faucet");
    rig->faucet_owner = faucet->owner;
    svm_object_free(faucet);
    svm_snapshot_close(snapshot);
}

struct rig *rig_open(const struct settings *settings)
{
    struct rig *rig = aligned_alloc(64, (sizeof *rig + 63) / 64 * 64);
    if (rig == NULL)
        die("out of memory");
    memset(rig, 0, sizeof *rig);
    rig->settings = *settings;
    /* a directory may be opened twice by one run: no digest may come again */
    static uint64_t opened;
    rig->random.state = settings->seed + (opened++ << 32);
    rig->wait = settings->durability == SVM_MEMORY ? SVM_WAIT_EXECUTED : SVM_WAIT_DURABLE;

    struct svm_config config;
    struct svm_refusal why = {.reason = ""};
    svm_config_init(&config);
    config.durability = settings->durability;
    config.datadir = settings->datadir;
    config.workers = settings->workers;
    config.inflight_max = settings->inflight;
    config.cache_bytes = settings->cache_bytes ? settings->cache_bytes : RIG_CACHE_BYTES;
    config.dirty_bytes_max = (uint64_t)4 << 30;
    if (settings->durability == SVM_MEMORY) /* there, receipts have no other place */
        config.tx_dedupe_bytes = (uint64_t)512 << 20;
    config.gc_snapshot_age_max_ms = 600 * 1000; /* an audit reads everything in one snapshot */
    if (settings->gc_ms > 0) {
        config.gc_adaptive = 0;
        config.gc_interval_ms = config.gc_interval_min_ms = config.gc_interval_max_ms =
            settings->gc_ms;
        /* as early as a walk can be worth it */
        config.gc_threshold = config.gc_threshold_min = config.gc_threshold_max = 1;
    }
    config.verify_signatures = false;
    config.log = log_line;
    const enum svm_err err = svm_engine_open(&rig->engine, &config, &why);
    if (err != SVM_OK)
        die("cannot open the engine: %s: %s", svm_err_name(err), why.reason);
    struct svm_chain_info chain;
    svm_chain_info(rig->engine, &chain);
    rig->chain = chain.chain;
    find_faucet(rig);
    return rig;
}

void rig_close(struct rig *rig)
{
    svm_engine_close(rig->engine);
    free(rig);
}

void rig_digest(struct rig *rig, struct svm_digest *digest_out)
{
    for (size_t i = 0; i < sizeof digest_out->b; i += 8)
        bytes_put_u64le(digest_out->b + i, random_next(&rig->random));
}

/* ---- outcomes ------------------------------------------------------------------------------------------------ */

static _Thread_local struct tally *my_tally;

static struct tally *tally_of_thread(struct rig *rig)
{
    if (my_tally == NULL || my_tally < rig->tallies || my_tally >= rig->tallies + TALLIES_MAX) {
        const uint32_t index = atomic_fetch_add(&rig->tally_count, 1);
        if (index >= TALLIES_MAX)
            die("more threads call back than the rig counts");
        my_tally = &rig->tallies[index];
    }
    return my_tally;
}

static void count(_Atomic uint64_t *counter)
{
    const uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + 1, memory_order_release);
}

/* on_outcome: only what was executed, has succeeded, and is as durable as was asked for counts as done. */
static void on_outcome(void *arg, const struct svm_outcome *outcome)
{
    struct rig *rig = arg;
    struct tally *tally = tally_of_thread(rig);
    if (outcome->err != SVM_OK || outcome->pending || outcome->receipt == NULL) {
        if (atomic_load_explicit(&tally->refused, memory_order_relaxed) == 0)
            fprintf(stderr, "bench: refused: %s: %s\n", svm_err_name(outcome->err),
                    outcome->refusal != NULL ? outcome->refusal->reason : "");
        count(&tally->refused);
    } else if (outcome->duplicate) {
        count(&tally->duplicate);
    } else if (outcome->receipt->failure != SVM_FAILURE_NONE ||
               (rig->wait == SVM_WAIT_DURABLE && !outcome->durable)) {
        count(&tally->failed);
    } else {
        count(&tally->ok);
    }
}

void rig_sum(const struct rig *rig, uint64_t *ok, uint64_t *bad)
{
    uint32_t threads = atomic_load(&rig->tally_count);
    *ok = *bad = 0;
    for (uint32_t i = 0; i < threads && i < TALLIES_MAX; i++) {
        const struct tally *tally = &rig->tallies[i];
        *ok += atomic_load_explicit(&tally->ok, memory_order_acquire);
        *bad += atomic_load_explicit(&tally->failed, memory_order_acquire) +
                atomic_load_explicit(&tally->refused, memory_order_acquire) +
                atomic_load_explicit(&tally->duplicate, memory_order_acquire);
    }
}

bool rig_submit(struct rig *rig, const struct svm_tx *tx, const struct svm_digest *digest)
{
    struct svm_refusal why;
    const enum svm_err err =
        svm_submit_decoded(rig->engine, tx, digest, rig->wait, on_outcome, rig, &why);
    if (err == SVM_OK)
        return true;
    if (err != SVM_E_OVERLOADED)
        die("a submission was refused: %s: %s", svm_err_name(err), why.reason);
    return false;
}

void rig_settle(const struct rig *rig, uint64_t submitted)
{
    const double started = now_s();
    for (;;) {
        uint64_t ok, bad;
        rig_sum(rig, &ok, &bad);
        if (ok + bad == submitted)
            return;
        if (now_s() - started > 60)
            die("%llu transactions were not answered within a minute",
                (unsigned long long)(submitted - ok - bad));
        nanosleep(&(struct timespec){.tv_nsec = 200 * 1000}, NULL);
    }
}

/* ---- population ----------------------------------------------------------------------------------------------- */

struct svm_address account_address(uint64_t index)
{
    struct svm_address address;
    struct random random = {index % ACCOUNTS};
    for (size_t i = 0; i < sizeof address.b; i += 8)
        bytes_put_u64le(address.b + i, random_next(&random));
    return address;
}

enum { CREATE_OPS = 250, CREATE_WINDOW = 16 };

static void coin_ops(struct svm_op *ops, uint16_t count_ops, uint32_t first)
{
    for (uint16_t i = 0; i < count_ops; i++) {
        ops[i] = (struct svm_op){.kind = SVM_OP_PAY, .input = 0};
        ops[i].u.pay.to = account_address(first + i);
        ops[i].u.pay.amount.units = 1;
    }
}

static void counter_ops(struct svm_op *ops, uint16_t count_ops, uint32_t first, enum svm_kind kind)
{
    static const uint8_t zeros[COUNTER_BYTES];
    for (uint16_t i = 0; i < count_ops; i++) {
        ops[i] = (struct svm_op){.kind = SVM_OP_CREATE};
        ops[i].u.create.owner.kind = kind;
        if (kind == SVM_KIND_OWNED)
            ops[i].u.create.owner.address = account_address(first + i);
        ops[i].u.create.type =
            (struct svm_bytes){(const uint8_t *)COUNTER_TYPE, strlen(COUNTER_TYPE)};
        ops[i].u.create.data = (struct svm_bytes){zeros, sizeof zeros};
    }
}

/* faucet_version: coins come out of one object, each transaction one version after the other. */
static uint64_t faucet_version(struct rig *rig)
{
    struct svm_snapshot *snapshot;
    struct svm_object *faucet;
    if (svm_snapshot_open(rig->engine, &snapshot) != SVM_OK ||
        svm_object_get(snapshot, &rig->faucet, &faucet) != SVM_OK)
        die("the faucet has gone");
    const uint64_t version = faucet->version;
    svm_object_free(faucet);
    svm_snapshot_close(snapshot);
    return version;
}

static void wait_for(struct rig *rig, uint64_t submitted, uint64_t window)
{
    for (;;) {
        uint64_t ok, bad;
        rig_sum(rig, &ok, &bad);
        if (bad > 0)
            die("making the population failed");
        if (submitted - ok < window)
            return;
        sched_yield();
    }
}

void population_create(struct population *population, struct rig *rig, enum population_kind kind,
                       uint32_t count_wanted)
{
    memset(population, 0, sizeof *population);
    population->count = count_wanted;
    population->ids = aligned_alloc(64, (count_wanted * sizeof *population->ids + 63) / 64 * 64);
    population->versions = malloc(count_wanted * sizeof *population->versions);
    struct svm_op *ops = malloc(CREATE_OPS * sizeof *ops);
    if (population->ids == NULL || population->versions == NULL || ops == NULL)
        die("out of memory");
    uint64_t version = kind == POPULATION_COINS ? faucet_version(rig) : 0;
    uint64_t before, bad, submitted = 0;
    const enum svm_wait wait = rig->wait; /* restored below: making the objects is not measured */
    rig->wait = SVM_WAIT_EXECUTED;
    rig_sum(rig, &before, &bad);
    for (uint32_t made = 0; made < count_wanted; submitted++) {
        const uint32_t rest = count_wanted - made;
        const uint16_t ops_count = (uint16_t)(rest < CREATE_OPS ? rest : CREATE_OPS);
        const struct svm_input input = {.id = rig->faucet,
                                        .kind = SVM_KIND_OWNED,
                                        .exact = true,
                                        .writable = true,
                                        .version = version};
        struct svm_tx tx = {.chain = rig->chain,
                            .sender = rig->faucet_owner,
                            .gas_limit = UINT64_MAX,
                            .op_count = ops_count,
                            .ops = ops,
                            .inputs = &input};
        if (kind == POPULATION_COINS) {
            coin_ops(ops, ops_count, made);
            tx.input_count = 1;
            version++;
        } else {
            counter_ops(ops, ops_count, made,
                        kind == POPULATION_OWNED ? SVM_KIND_OWNED : SVM_KIND_SHARED);
            tx.expires_ms = svm_now_ms(rig->engine) + EXPIRY_MS;
        }
        struct svm_digest digest;
        rig_digest(rig, &digest);
        for (uint16_t i = 0; i < ops_count; i++, made++) {
            svm_tx_new_object_id(&population->ids[made], &digest, i);
            population->versions[made] = kind == POPULATION_COINS ? version : 1;
        }
        wait_for(rig, before + submitted, kind == POPULATION_COINS ? 1 : CREATE_WINDOW);
        while (!rig_submit(rig, &tx, &digest))
            sched_yield();
    }
    wait_for(rig, before + submitted, 1);
    rig->wait = wait;
    free(ops);
}

void population_destroy(struct population *population)
{
    free(population->ids);
    free(population->versions);
}

/* ---- audit ---------------------------------------------------------------------------------------------------- */

uint64_t address_word(const struct svm_address *address)
{
    return bytes_get_u64le(address->b);
}

bool object_is_counter(const struct svm_object *object)
{
    return object->type.len == strlen(COUNTER_TYPE) && object->data.len == COUNTER_BYTES &&
           memcmp(object->type.ptr, COUNTER_TYPE, object->type.len) == 0;
}

static bool add_up(void *arg, const struct svm_object *object)
{
    struct audit *audit = arg;
    audit->objects++;
    audit->owners += address_word(&object->owner);
    audit->balance += object->balance.units;
    audit->versions += object->version;
    audit->payload += object->type.len + object->data.len;
    if (object_is_counter(object))
        audit->counters += bytes_get_u64le(object->data.ptr);
    return true;
}

void audit_state(struct audit *audit, struct rig *rig)
{
    memset(audit, 0, sizeof *audit);
    struct svm_snapshot *snapshot;
    if (svm_snapshot_open(rig->engine, &snapshot) != SVM_OK ||
        svm_state_scan(snapshot, add_up, audit) != SVM_OK)
        die("the state cannot be scanned");
    svm_snapshot_close(snapshot);
}
