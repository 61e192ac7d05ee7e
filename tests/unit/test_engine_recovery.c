/* The engine on disks that fail: full, cut off, torn, flipped, locked, foreign. What tests/unit/test_store_*.c prove of the store,
 * here seen through <svm/engine.h>: every answer stays true, and every caller gets one. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <svm.h>

#include "base/rng.h"
#include "engine/hooks.h"
#include "engine_support.h"
#include "store/group.h"

/* ---- an engine on databases in memory ---------------------------------------------------------------------------- */

struct disk {
    struct store_kv_ram *log, *state;
    struct svm_kv_ops log_ops, state_ops;
};

static struct engine_hooks hooks;

static void disk_init(struct disk *disk)
{
    disk->log = store_kv_ram_create();
    disk->state = store_kv_ram_create();
    store_kv_ram_ops(&disk->log_ops, disk->log);
    store_kv_ram_ops(&disk->state_ops, disk->state);
}

static void disk_deinit(struct disk *disk)
{
    store_kv_ram_destroy(disk->log);
    store_kv_ram_destroy(disk->state);
}

static void small_config(struct svm_config *config, enum svm_durability mode)
{
    svm_config_init(config);
    config->durability = mode;
    config->durability_interval_ms = 2;
    config->workers = 2;
    config->inflight_max = 64;
    config->sessions_max = 4;
    config->disk_free_min_bytes = 0;
}

static enum svm_err disk_open(struct svm_engine **engine_out, const struct disk *disk,
                              struct svm_config *config, struct svm_refusal *detail)
{
    hooks.log_ops = &disk->log_ops;
    hooks.state_ops = &disk->state_ops;
    config->test_hooks = &hooks;
    return svm_engine_open(engine_out, config, detail);
}

static uint64_t seed_of(const char *test)
{
    const char *text = getenv("SVM_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);
    printf("%s: SVM_SEED=%llu\n", test, (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

static void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000},
              NULL);
}

/* wait_answers: every callback has run, within ten seconds. */
static void wait_answers(struct support_wait *wait)
{
    for (unsigned i = 0; i < 1000; i++) {
        pthread_mutex_lock(&wait->lock);
        uint64_t open = wait->expected;
        pthread_mutex_unlock(&wait->lock);
        if (open == 0)
            return;
        sleep_ms(10);
    }
    ck_abort_msg("%llu callers were never answered", (unsigned long long)wait->expected);
}

static void hash_now(struct svm_digest *hash_out, struct svm_engine *engine)
{
    struct svm_snapshot *snapshot;
    ck_assert_int_eq(svm_snapshot_open(engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_state_hash(snapshot, hash_out), SVM_OK);
    svm_snapshot_close(snapshot);
}

static enum svm_err add_one(struct svm_engine *engine, uint64_t nonce)
{
    struct support_tx tx;
    struct svm_receipt *receipt;
    support_add(&tx, engine, "alice", "counter", 1, nonce);
    enum svm_err err = svm_submit_wait(engine, tx.bytes, SVM_WAIT_DURABLE, &receipt, NULL, NULL);
    svm_receipt_free(receipt);
    return err;
}

/* ---- damage in the log ------------------------------------------------------------------------------------------- */

/* A life of one group per transaction: its log, the state before it, and what the state was after each transaction. */
enum { LIFE = 10, ROWS_MAX = 512 };
struct row {
    uint8_t *key, *value;
    size_t key_len, value_len;
};
struct life {
    struct row log[LIFE], state[ROWS_MAX];
    size_t log_count, state_count;
    struct svm_digest hashes[LIFE + 1];
};

static size_t rows_read(struct row *rows, size_t cap, const struct svm_kv_ops *kv)
{
    size_t count = 0;
    struct svm_bytes key, value;
    struct svm_kv_iter *iter = kv->iter_open(kv->self);
    kv->iter_seek(iter, (struct svm_bytes){(const uint8_t *)"", 0});
    for (; kv->iter_valid(iter, &key, &value); kv->iter_next(iter)) {
        ck_assert_uint_lt(count, cap);
        struct row *row = &rows[count++];
        *row = (struct row){malloc(key.len), malloc(value.len + 1), key.len, value.len};
        memcpy(row->key, key.ptr, key.len);
        if (value.len > 0)
            memcpy(row->value, value.ptr, value.len);
    }
    ck_assert_int_eq(kv->iter_close(iter), SVM_OK);
    return count;
}

static void rows_write(const struct svm_kv_ops *kv, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct svm_kv_op put = {.key = {rows[i].key, rows[i].key_len},
                                      .value = {rows[i].value, rows[i].value_len}};
        ck_assert_int_eq(kv->write(kv->self, &put, 1, true), SVM_OK);
    }
    ck_assert_int_eq(kv->flush(kv->self), SVM_OK);
}

static void rows_free(struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(rows[i].key);
        free(rows[i].value);
    }
}

static void life_record(struct life *life, enum svm_durability mode)
{
    struct disk disk;
    struct svm_config config;
    struct svm_engine *engine;
    disk_init(&disk);
    small_config(&config, mode);
    ck_assert_int_eq(disk_open(&engine, &disk, &config, NULL), SVM_OK);
    life->state_count = rows_read(life->state, ROWS_MAX, &disk.state_ops);
    hash_now(&life->hashes[0], engine);
    for (unsigned i = 0; i < LIFE; i++) {
        struct support_tx tx;
        struct svm_receipt *receipt;
        if (i % 2)
            support_add(&tx, engine, "alice", "counter", 3, i);
        else
            support_pay(&tx, engine, "bob", "bob coin", 0, "carol", 1 + i);
        ck_assert_int_eq(svm_submit_wait(engine, tx.bytes, SVM_WAIT_DURABLE, &receipt, NULL, NULL),
                         SVM_OK);
        ck_assert_uint_eq(receipt->seq, i + 1);
        svm_receipt_free(receipt);
        hash_now(&life->hashes[i + 1], engine);
    }
    life->log_count = rows_read(life->log, LIFE, &disk.log_ops);
    ck_assert_uint_eq(life->log_count, LIFE);
    svm_engine_close(engine);
    disk_deinit(&disk);
}

static void life_free(struct life *life)
{
    rows_free(life->log, life->log_count);
    rows_free(life->state, life->state_count);
}

/* synced_without: the highest position that the other groups know to have been synced. */
static uint64_t synced_without(const struct life *life, unsigned damaged)
{
    uint64_t synced = 0;
    for (unsigned i = 0; i < LIFE; i++) {
        struct store_group group;
        const struct row *row = &life->log[i];
        if (i == damaged)
            continue;
        ck_assert(store_group_parse(&group, (struct svm_bytes){row->key, row->key_len},
                                    (struct svm_bytes){row->value, row->value_len}));
        if (group.synced > synced)
            synced = group.synced;
    }
    return synced;
}

/* life_with: group DAMAGED is VALUE of LEN bytes now. Either refused, because something synced is gone, or exactly the state before it.
 * Returns whether it was refused. */
static bool life_with(const struct life *life, enum svm_durability mode, unsigned damaged,
                      const uint8_t *value, size_t len)
{
    struct disk disk;
    struct svm_config config;
    struct svm_engine *engine;
    struct svm_refusal detail;
    struct svm_digest hash;
    disk_init(&disk);
    rows_write(&disk.state_ops, life->state, life->state_count);
    rows_write(&disk.log_ops, life->log, life->log_count);
    const struct svm_kv_op put = {.key = {life->log[damaged].key, life->log[damaged].key_len},
                                  .value = {value, len}};
    ck_assert_int_eq(disk.log_ops.write(disk.log_ops.self, &put, 1, true), SVM_OK);
    small_config(&config, mode);
    config.workers = 1;
    enum svm_err err = disk_open(&engine, &disk, &config, &detail);
    bool refuse = damaged < synced_without(life, damaged);
    ck_assert_msg(err == (refuse ? SVM_E_CORRUPT : SVM_OK), "group %u, %zu bytes: %s, %s", damaged,
                  len, svm_err_name(err), detail.reason);
    if (err == SVM_OK) {
        ck_assert_uint_eq(svm_applied_seq(engine), damaged);
        hash_now(&hash, engine);
        ck_assert_mem_eq(hash.b, life->hashes[damaged].b, sizeof hash.b);
        svm_engine_close(engine);
    } else {
        ck_assert_uint_gt(strlen(detail.reason), 0);
    }
    disk_deinit(&disk);
    return refuse;
}

START_TEST(a_log_cut_at_any_byte_of_its_last_group_is_the_state_before)
{
    static const enum svm_durability modes[] = {SVM_WRITE, SVM_SYNC, SVM_INTERVAL};
    struct life life;
    life_record(&life, modes[_i]);
    const struct row *last = &life.log[LIFE - 1];
    size_t step = getenv("SVM_SHORT") != NULL ? 37 : 1;
    for (size_t len = 0; len < last->value_len; len += step)
        ck_assert(!life_with(&life, modes[_i], LIFE - 1, last->value, len));
    life_free(&life);
}
END_TEST

START_TEST(a_flipped_bit_is_never_a_wrong_state)
{
    static const enum svm_durability modes[] = {SVM_WRITE, SVM_SYNC, SVM_INTERVAL};
    struct life life;
    struct rng rng;
    unsigned refused = 0;
    rng_init(&rng, seed_of("a_flipped_bit_is_never_a_wrong_state"));
    life_record(&life, modes[_i]);
    for (unsigned round = 0; round < 120; round++) {
        unsigned damaged = (unsigned)rng_below(&rng, LIFE);
        const struct row *row = &life.log[damaged];
        size_t bit = rng_below(&rng, 8 * row->value_len);
        row->value[bit / 8] ^= (uint8_t)(1u << bit % 8);
        uint8_t *value = malloc(row->value_len);
        memcpy(value, row->value, row->value_len);
        row->value[bit / 8] ^= (uint8_t)(1u << bit % 8);
        refused += life_with(&life, modes[_i], damaged, value, row->value_len);
        free(value);
    }
    if (modes[_i] == SVM_SYNC)
        ck_assert_uint_gt(refused, 60);
    life_free(&life);
}
END_TEST

/* ---- power cuts under load --------------------------------------------------------------------------------------- */

enum { LOAD = 400 };
struct told {
    struct support_wait *wait;
    struct svm_digest digest;
    _Atomic uint64_t seq; /* durable at; 0 = nobody said so */
};

static void note(void *arg, const struct svm_outcome *outcome)
{
    struct told *told = arg;
    if (outcome->err == SVM_OK && outcome->durable)
        atomic_store(&told->seq, outcome->receipt->seq);
    support_wait_one(told->wait, outcome);
}

/* load: LOAD transactions; the power goes at a random moment, and each is answered all the same. */
static unsigned load(struct svm_engine *engine, struct told *told, const struct disk *disk,
                     struct rng *rng)
{
    struct support_wait wait;
    uint64_t cut_at = rng_below(rng, LOAD);
    unsigned kept = 0;
    support_wait_init(&wait, LOAD);
    for (unsigned i = 0; i < LOAD; i++) {
        struct support_tx tx;
        support_add(&tx, engine, i % 3 ? "alice" : "bob", "counter", 1, i);
        told[i].wait = &wait;
        told[i].digest = tx.digest;
        atomic_store(&told[i].seq, 0);
        enum svm_err err;
        while ((err = svm_submit(engine, tx.bytes, SVM_WAIT_DURABLE, note, &told[i], NULL)) ==
               SVM_E_OVERLOADED)
            sched_yield();
        if (err != SVM_OK)
            note(&told[i], &(struct svm_outcome){.err = err});
        if (i == cut_at)
            store_kv_ram_fail_at(disk->log, 1 + rng_below(rng, 6));
    }
    wait_answers(&wait);
    for (unsigned i = 0; i < LOAD; i++)
        kept += atomic_load(&told[i].seq) != 0;
    return kept;
}

static void check_told(struct svm_engine *engine, struct told *told, bool all)
{
    uint64_t found = 0;
    for (unsigned i = 0; i < LOAD; i++) {
        struct svm_receipt *receipt = NULL;
        uint64_t seq = atomic_load(&told[i].seq);
        enum svm_err err = svm_receipt_get(engine, &told[i].digest, &receipt);
        ck_assert(err == SVM_OK || err == SVM_E_NOT_FOUND);
        if (err == SVM_OK) {
            ck_assert(seq == 0 || receipt->seq == seq);
            ck_assert_uint_le(receipt->seq, svm_applied_seq(engine));
            found++;
        } else if (all) {
            ck_assert_msg(seq == 0, "lost: durable at %llu", (unsigned long long)seq);
        }
        svm_receipt_free(receipt);
    }
    ck_assert_uint_eq(support_counter(engine, "counter"), found);
    ck_assert_uint_eq(svm_applied_seq(engine), found); /* a prefix, without a hole */
}

START_TEST(a_power_cut_keeps_what_was_durable)
{
    static const enum svm_durability modes[] = {SVM_WRITE, SVM_SYNC, SVM_INTERVAL};
    static struct told told[LOAD];
    struct rng rng;
    unsigned promised = 0;
    rng_init(&rng, seed_of("a_power_cut_keeps_what_was_durable"));
    for (unsigned round = 0; round < 12; round++) {
        struct disk disk;
        struct svm_config config;
        struct svm_engine *engine;
        struct svm_refusal detail;
        disk_init(&disk);
        small_config(&config, modes[_i]);
        ck_assert_int_eq(disk_open(&engine, &disk, &config, NULL), SVM_OK);
        promised += load(engine, told, &disk, &rng);
        store_kv_ram_fail_at(disk.log, 1);
        svm_engine_close(engine);
        size_t unsynced = store_kv_ram_unsynced(disk.log);
        size_t keep = (size_t)rng_below(&rng, unsynced + 1);
        store_kv_ram_crash(disk.log, keep);
        store_kv_ram_crash(disk.state,
                           (size_t)rng_below(&rng, store_kv_ram_unsynced(disk.state) + 1));
        ck_assert_msg(disk_open(&engine, &disk, &config, &detail) == SVM_OK, "%s", detail.reason);
        check_told(engine, told, modes[_i] != SVM_WRITE || keep == unsynced);
        svm_engine_close(engine);
        disk_deinit(&disk);
    }
    ck_assert_uint_gt(promised, 0);
}
END_TEST

/* ---- trimming ---------------------------------------------------------------------------------------------------- */

static bool log_is_empty(const struct disk *disk)
{
    struct svm_bytes key, value;
    struct svm_kv_iter *iter = disk->log_ops.iter_open(disk->log_ops.self);
    disk->log_ops.iter_seek_last(iter);
    bool empty = !disk->log_ops.iter_valid(iter, &key, &value);
    ck_assert_int_eq(disk->log_ops.iter_close(iter), SVM_OK);
    return empty;
}

/* Lives too short to be trimmed must not add up to a log without bounds. */
START_TEST(each_start_trims_what_the_state_holds)
{
    struct disk disk;
    struct svm_config config;
    struct svm_engine *engine;
    struct svm_digest before, after;
    disk_init(&disk);
    small_config(&config, SVM_SYNC);
    ck_assert_int_eq(disk_open(&engine, &disk, &config, NULL), SVM_OK);
    for (uint64_t i = 0; i < 20; i++)
        ck_assert_int_eq(add_one(engine, i), SVM_OK);
    hash_now(&before, engine);
    svm_engine_close(engine);
    ck_assert(!log_is_empty(&disk));

    ck_assert_int_eq(disk_open(&engine, &disk, &config, NULL), SVM_OK);
    for (unsigned i = 0; i < 500 && !log_is_empty(&disk); i++)
        sleep_ms(10);
    ck_assert(log_is_empty(&disk));
    svm_engine_close(engine);
    store_kv_ram_crash(disk.state, 0); /* what was trimmed is durable in the state */
    store_kv_ram_crash(disk.log, 0);
    ck_assert_int_eq(disk_open(&engine, &disk, &config, NULL), SVM_OK);
    hash_now(&after, engine);
    ck_assert_mem_eq(after.b, before.b, sizeof after.b);
    ck_assert_uint_eq(support_counter(engine, "counter"), 20);
    svm_engine_close(engine);
    disk_deinit(&disk);
}
END_TEST

/* ---- resubmission over a restart --------------------------------------------------------------------------------- */

static uint64_t fake_ms = UINT64_C(1800000000000);
static uint64_t fake_wall(void *self)
{
    (void)self;
    return __atomic_load_n(&fake_ms, __ATOMIC_SEQ_CST);
}
static uint64_t fake_boot(void *self)
{
    return fake_wall(self) * 1000000u;
}
static const struct clock fake_clock = {fake_wall, fake_boot, NULL};

/* Executed in a life that allowed a far expiry, sent again in one that does not: it must not be executed anew. */
START_TEST(a_lower_expiry_limit_executes_nothing_twice)
{
    struct disk disk;
    struct svm_config config;
    struct svm_engine *engine;
    struct support_tx tx;
    struct svm_receipt *receipt;
    struct svm_outcome outcome;
    disk_init(&disk);
    small_config(&config, SVM_SYNC);
    hooks.clock = &fake_clock;
    ck_assert_int_eq(disk_open(&engine, &disk, &config, NULL), SVM_OK);
    support_add(&tx, engine, "alice", "counter", 1, 1); /* expires in 60 s */
    ck_assert_int_eq(svm_submit_wait(engine, tx.bytes, SVM_WAIT_DURABLE, &receipt, NULL, NULL),
                     SVM_OK);
    svm_receipt_free(receipt);
    svm_engine_close(engine);

    config.tx_expiry_max_ms = 10000;
    __atomic_add_fetch(&fake_ms, 40000, __ATOMIC_SEQ_CST);
    ck_assert_int_eq(disk_open(&engine, &disk, &config, NULL), SVM_OK);
    __atomic_add_fetch(&fake_ms, 15000, __ATOMIC_SEQ_CST);
    ck_assert_int_eq(svm_submit_wait(engine, tx.bytes, SVM_WAIT_DURABLE, &receipt, &outcome, NULL),
                     SVM_OK);
    ck_assert(outcome.duplicate);
    ck_assert_uint_eq(receipt->seq, 1);
    ck_assert_uint_eq(support_counter(engine, "counter"), 1);
    svm_receipt_free(receipt);
    svm_engine_close(engine);
    disk_deinit(&disk);
    hooks.clock = NULL;
}
END_TEST

/* ---- refusals that rest on others --------------------------------------------------------------------------------- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static void pass_gate(void *arg, uint32_t worker)
{
    (void)arg;
    (void)worker;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

struct conflict {
    struct support_wait *wait;
    _Atomic uint64_t seq, durable_seq;
};

static void note_conflict(void *arg, const struct svm_outcome *outcome)
{
    struct conflict *conflict = arg;
    ck_assert_int_eq(outcome->err, SVM_E_VERSION_CONFLICT);
    ck_assert(outcome->refusal->has & SVM_HAS_SEQ);
    atomic_store(&conflict->seq, outcome->refusal->seq);
    atomic_store(&conflict->durable_seq, outcome->durable_seq);
    support_wait_one(conflict->wait, outcome);
}

/* Two send the same bytes, one in a hurry, the other waiting for durability: the refusal names a winner that is not durable yet, and
 * the second is told only when it is. */
START_TEST(a_durable_refusal_waits_though_its_twin_did_not)
{
    struct disk disk;
    struct svm_config config;
    struct svm_engine *engine;
    struct support_tx winner, loser;
    struct svm_receipt *receipt;
    struct support_wait wait;
    struct conflict hasty = {.wait = &wait}, patient = {.wait = &wait};
    disk_init(&disk);
    small_config(&config, SVM_INTERVAL);
    config.durability_interval_ms = 1000;
    config.workers = 1;
    hooks.worker_step = pass_gate;
    ck_assert_int_eq(disk_open(&engine, &disk, &config, NULL), SVM_OK);
    ck_assert_int_eq(add_one(engine, 1), SVM_OK); /* synced: the interval begins */
    support_pay(&winner, engine, "alice", "alice spare 0", 1, "bob", 1);
    support_pay(&loser, engine, "alice", "alice spare 0", 1, "carol", 2);
    ck_assert_int_eq(svm_submit_wait(engine, winner.bytes, SVM_WAIT_EXECUTED, &receipt, NULL, NULL),
                     SVM_OK);
    uint64_t seq = receipt->seq;
    svm_receipt_free(receipt);

    support_wait_init(&wait, 2);
    pthread_mutex_lock(&gate); /* both are there before either is looked at */
    ck_assert_int_eq(
        svm_submit(engine, loser.bytes, SVM_WAIT_EXECUTED, note_conflict, &hasty, NULL), SVM_OK);
    ck_assert_int_eq(
        svm_submit(engine, loser.bytes, SVM_WAIT_DURABLE, note_conflict, &patient, NULL), SVM_OK);
    pthread_mutex_unlock(&gate);
    wait_answers(&wait);
    ck_assert_uint_eq(atomic_load(&hasty.seq), seq);
    ck_assert_uint_lt(atomic_load(&hasty.durable_seq), seq);
    ck_assert_uint_eq(atomic_load(&patient.seq), seq);
    ck_assert_uint_ge(atomic_load(&patient.durable_seq), seq);
    svm_engine_close(engine);
    disk_deinit(&disk);
    hooks.worker_step = NULL;
}
END_TEST

/* ---- disks without room ------------------------------------------------------------------------------------------ */

/* tiny_disk: a file system of SIZE at a fresh DIR, seen by this process alone. false = not allowed here. */
static bool tiny_disk(char dir[64], const char *size)
{
    char options[32];
    support_temp_dir(dir);
    snprintf(options, sizeof options, "size=%s,mode=700", size);
    bool good = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    good = good && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", dir, "tmpfs", 0, options) == 0;
    if (!good) {
        printf("SKIP: no file system of one's own here: %s\n", strerror(errno));
        rmdir(dir);
    }
    return good;
}

static void tiny_disk_drop(const char *dir)
{
    ck_assert_int_eq(umount2(dir, MNT_DETACH), 0);
    rmdir(dir);
}

/* ballast: a file that leaves about LEAVE bytes free. */
static void ballast(const char *dir, long leave)
{
    static const char zeros[1 << 16];
    char path[128];
    snprintf(path, sizeof path, "%s/supervm-ballast", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    while (write(fd, zeros, sizeof zeros) > 0)
        continue;
    off_t end = lseek(fd, 0, SEEK_END);
    ck_assert_int_ge(end, leave);
    ck_assert_int_eq(ftruncate(fd, end - leave), 0);
    close(fd);
}

static void ballast_drop(const char *dir)
{
    char path[128];
    snprintf(path, sizeof path, "%s/supervm-ballast", dir);
    ck_assert_int_eq(unlink(path), 0);
}

START_TEST(below_the_mark_writes_are_refused_and_reads_served)
{
    char dir[64];
    struct svm_config config;
    struct svm_engine *engine;
    if (!tiny_disk(dir, "512m"))
        return;
    small_config(&config, SVM_SYNC);
    config.datadir = dir;
    config.disk_free_min_bytes = 64 << 20;
    ck_assert_int_eq(svm_engine_open(&engine, &config, NULL), SVM_OK);
    ck_assert_int_eq(add_one(engine, 1), SVM_OK);

    ballast(dir, 32 << 20);
    enum svm_err err = SVM_OK;
    uint64_t nonce = 2, done = 1;
    for (unsigned i = 0; i < 300 && err == SVM_OK; i++) {
        err = add_one(engine, nonce++);
        done += err == SVM_OK;
        sleep_ms(10);
    }
    ck_assert_int_eq(err, SVM_E_STORAGE_READ_ONLY);
    ck_assert_int_eq(svm_health(engine, NULL), SVM_E_STORAGE_READ_ONLY);
    ck_assert_uint_eq(support_counter(engine, "counter"), done);

    ballast_drop(dir);
    for (unsigned i = 0; i < 300 && err != SVM_OK; i++) {
        sleep_ms(10);
        err = add_one(engine, nonce++);
    }
    ck_assert_int_eq(err, SVM_OK);
    ck_assert_int_eq(svm_health(engine, NULL), SVM_OK);
    svm_engine_close(engine);
    ck_assert_int_eq(svm_engine_open(&engine, &config, NULL), SVM_OK);
    ck_assert_uint_eq(support_counter(engine, "counter"), done + 1);
    svm_engine_close(engine);
    tiny_disk_drop(dir);
}
END_TEST

static _Atomic unsigned fatal_calls;
static void on_fatal(void *arg, enum svm_err err, const char *reason)
{
    (void)arg;
    ck_assert_int_eq(err, SVM_E_IO);
    ck_assert_uint_gt(strlen(reason), 0);
    atomic_fetch_add(&fatal_calls, 1);
}

/* Without a mark, ENOSPC reaches the database: that is final, everybody is told, and what was durable is there afterwards. */
START_TEST(a_disk_that_runs_full_is_final_and_loses_nothing)
{
    char dir[64];
    struct svm_config config;
    struct svm_engine *engine;
    struct svm_refusal detail;
    static const enum svm_durability modes[] = {SVM_WRITE, SVM_SYNC, SVM_INTERVAL};
    if (!tiny_disk(dir, "256m"))
        return;
    small_config(&config, modes[_i]);
    config.datadir = dir;
    ck_assert_int_eq(svm_engine_open(&engine, &config, NULL), SVM_OK);
    svm_on_fatal(engine, on_fatal, NULL);
    ballast(dir, 1 << 20);
    enum svm_err err = SVM_OK;
    uint64_t done = 0;
    static const uint8_t data[2000];
    struct svm_dev_account alice;
    struct svm_chain_info info;
    svm_dev_account(&alice, support_account("alice"));
    svm_chain_info(engine, &info);
    for (unsigned i = 0; i < 400000 && err == SVM_OK; i++) {
        if (i % 8) {
            err = add_one(engine, i);
            done += err == SVM_OK;
            continue;
        }
        uint8_t raw[4096], bytes[4096];
        struct svm_bytes tx = {bytes, 0};
        size_t len;
        struct svm_receipt *receipt;
        struct svm_tx_builder *builder = svm_tx_builder_create(info.chain, &alice.address);
        struct svm_op op = {.kind = SVM_OP_CREATE};
        op.u.create.owner.address = alice.address;
        op.u.create.type = (struct svm_bytes){(const uint8_t *)"doc", 3};
        op.u.create.data = (struct svm_bytes){data, sizeof data};
        svm_tx_builder_nonce(builder, i);
        svm_tx_builder_gas_limit(builder, 1000000);
        svm_tx_builder_expires(builder, svm_now_ms(engine) + 60000);
        svm_tx_builder_op(builder, &op);
        ck_assert_int_eq(svm_tx_builder_finish(builder, raw, sizeof raw, &len, NULL), SVM_OK);
        svm_tx_builder_destroy(builder);
        ck_assert_int_eq(
            svm_tx_sign(bytes, sizeof bytes, &tx.len, (struct svm_bytes){raw, len}, &alice.key),
            SVM_OK);
        err = svm_submit_wait(engine, tx, SVM_WAIT_DURABLE, &receipt, NULL, NULL);
        svm_receipt_free(receipt);
    }
    printf("%s: full after %llu additions\n", svm_durability_name(modes[_i]),
           (unsigned long long)done);
    ck_assert_int_eq(err, SVM_E_STORAGE_READ_ONLY);
    ck_assert_int_eq(svm_health(engine, &detail), SVM_E_IO);
    ck_assert_uint_eq(atomic_load(&fatal_calls), 1);
    svm_engine_close(engine);

    ballast_drop(dir);
    ck_assert_msg(svm_engine_open(&engine, &config, &detail) == SVM_OK, "%s", detail.reason);
    ck_assert_uint_ge(support_counter(engine, "counter"), done);
    ck_assert_uint_le(support_counter(engine, "counter"), done + 1);
    ck_assert_int_eq(add_one(engine, UINT64_MAX), SVM_OK);
    svm_engine_close(engine);
    tiny_disk_drop(dir);
}
END_TEST

/* ---- somebody else's directory ----------------------------------------------------------------------------------- */

START_TEST(one_engine_per_directory)
{
    char dir[64], pid[32];
    struct svm_config config;
    struct svm_engine *engine;
    struct svm_refusal detail;
    int ready[2];
    support_temp_dir(dir);
    small_config(&config, SVM_SYNC);
    config.datadir = dir;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t other = fork();
    ck_assert_int_ge(other, 0);
    if (other == 0) {
        char good = svm_engine_open(&engine, &config, NULL) == SVM_OK;
        if (write(ready[1], &good, 1) == 1)
            pause();
        _exit(1);
    }
    char good = 0;
    ck_assert_int_eq(read(ready[0], &good, 1), 1);
    ck_assert(good);
    ck_assert_int_eq(svm_engine_open(&engine, &config, &detail), SVM_E_LOCKED);
    snprintf(pid, sizeof pid, "pid %ld)", (long)other);
    ck_assert_msg(strstr(detail.reason, pid) != NULL, "%s", detail.reason);

    kill(other, SIGKILL);
    ck_assert_int_eq(waitpid(other, NULL, 0), other);
    ck_assert_int_eq(svm_engine_open(&engine, &config, &detail), SVM_OK);
    ck_assert_int_eq(add_one(engine, 1), SVM_OK);
    svm_engine_close(engine);

    config.genesis_json = "{\"name\":\"other\",\"timeMs\":\"1\",\"objects\":[]}";
    ck_assert_int_eq(svm_engine_open(&engine, &config, &detail), SVM_E_FOREIGN_DATA);
    ck_assert_uint_gt(strlen(detail.reason), 0);
    config.genesis_json = NULL;
    ck_assert_int_eq(svm_engine_open(&engine, &config, &detail), SVM_OK);
    ck_assert_uint_eq(support_counter(engine, "counter"), 1);
    svm_engine_close(engine);
    support_remove_dir(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine_recovery");
    TCase *tcase = tcase_create("recovery");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, a_log_cut_at_any_byte_of_its_last_group_is_the_state_before, 0, 3);
    tcase_add_loop_test(tcase, a_flipped_bit_is_never_a_wrong_state, 0, 3);
    tcase_add_loop_test(tcase, a_power_cut_keeps_what_was_durable, 0, 3);
    tcase_add_test(tcase, each_start_trims_what_the_state_holds);
    tcase_add_test(tcase, a_durable_refusal_waits_though_its_twin_did_not);
    tcase_add_test(tcase, a_lower_expiry_limit_executes_nothing_twice);
    tcase_add_test(tcase, below_the_mark_writes_are_refused_and_reads_served);
    tcase_add_loop_test(tcase, a_disk_that_runs_full_is_final_and_loses_nothing, 0, 3);
    tcase_add_test(tcase, one_engine_per_directory);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
