/* A small log cut at every byte, with every bit flipped, and a data directory without each of its files: what opens is a
 * prefix of what was written and has its state; anything else is refused with a typed error.
 *
 *     1. every byte and bit: the real log files over a state in memory, opened by the store
 *     2. some of them, and every file missing, empty or damaged: a whole data directory, opened by the engine */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "crash/driver.h"
#include "crash/tx.h"
#include "crypto/sha256.h"
#include "store/group.h"
#include "store/segment.h"
#include "store/store.h"

enum { RECORDS_MAX = 64, FILES_MAX = 64, SAMPLES = 48 };

/* A file of the directory that was written. */
struct part {
    char name[120]; /* relative */
    uint8_t *bytes;
    size_t len;
};

struct cuts {
    char top[64], log[96], data[96];
    uint64_t seed;
    struct rng rng;
    unsigned records; /* asked for */
    uint8_t *bytes;   /* of the log */
    size_t len;
    size_t ends[RECORDS_MAX + 1]; /* behind each record; the first: behind the head */
    uint64_t last[RECORDS_MAX + 1];
    unsigned count;
    struct svm_digest rows[RECORDS_MAX + 1];   /* of the state after so many records */
    struct svm_digest states[RECORDS_MAX + 1]; /* the same as the engine says it */
    struct part parts[FILES_MAX];
    unsigned part_count;
    struct model_genesis genesis;
    unsigned passed, failed;
    unsigned prefixes, refusals; /* how the cases ended */
};

static void die(const char *what)
{
    fprintf(stderr, "cuts: %s: %s\n", what, strerror(errno));
    exit(2);
}

__attribute__((format(printf, 2, 3))) static void bad(struct cuts *cuts, const char *format, ...)
{
    va_list ap;
    if (++cuts->failed > 20)
        return;
    va_start(ap, format);
    fputs("     ", stdout);
    vprintf(format, ap);
    putchar('\n');
    va_end(ap);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static void file_write(const char *path, const uint8_t *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
        die(path);
    close(fd);
}

static uint8_t *file_read(const char *path, size_t *len_out)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0)
        die(path);
    uint8_t *bytes = malloc((size_t)info.st_size + 1);
    if (bytes == NULL || read(fd, bytes, (size_t)info.st_size) != info.st_size)
        die(path);
    close(fd);
    *len_out = (size_t)info.st_size;
    return bytes;
}

static void parts_read(struct cuts *cuts, const char *dir)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", cuts->data, dir);
    DIR *listing = opendir(path);
    if (listing == NULL)
        die(path);
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        if (entry->d_type != DT_REG)
            continue;
        SVM_ASSERT(cuts->part_count < FILES_MAX);
        struct part *part = &cuts->parts[cuts->part_count++];
        snprintf(part->name, sizeof part->name, "%s%s%.90s", dir, dir[0] == '\0' ? "" : "/",
                 entry->d_name);
        snprintf(path, sizeof path, "%s/%s", cuts->data, part->name);
        part->bytes = file_read(path, &part->len);
    }
    closedir(listing);
}

/* data_write: the whole directory anew. */
static void data_write(struct cuts *cuts)
{
    static const char *const dirs[] = {"", "/log", "/state"};
    char path[400];
    driver_remove(cuts->data);
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        snprintf(path, sizeof path, "%s%s", cuts->data, dirs[i]);
        if (mkdir(path, 0700) != 0)
            die(path);
    }
    for (unsigned i = 0; i < cuts->part_count; i++) {
        snprintf(path, sizeof path, "%s/%s", cuts->data, cuts->parts[i].name);
        file_write(path, cuts->parts[i].bytes, cuts->parts[i].len);
    }
}

/* ---- the log that is cut --------------------------------------------------------------------------------------- */

static enum svm_err engine_open(const struct cuts *cuts, struct svm_engine **engine_out,
                                struct svm_refusal *detail)
{
    struct svm_config config;
    svm_config_init(&config);
    config.datadir = cuts->data;
    config.durability = SVM_SYNC;
    config.workers = 1;
    config.inflight_max = 64;
    config.disk_free_min_bytes = 0;
    config.tx_dedupe_bytes = 1 << 20;
    config.cache_bytes = 1 << 20;
    return svm_engine_open(engine_out, &config, detail);
}

static struct svm_engine *engine_open_sure(const struct cuts *cuts)
{
    struct svm_engine *engine;
    struct svm_refusal detail;
    if (engine_open(cuts, &engine, &detail) == SVM_OK)
        return engine;
    printf("%s\n", detail.reason);
    die("the engine does not open");
    return NULL;
}

static enum svm_err state_of(struct svm_engine *engine, struct svm_digest *hash_out)
{
    struct svm_snapshot *snapshot;
    enum svm_err err = svm_snapshot_open(engine, &snapshot);
    if (err != SVM_OK)
        return err;
    err = svm_state_hash(snapshot, hash_out);
    svm_snapshot_close(snapshot);
    return err;
}

/* submit_one: a transaction with a record of its own; false = it was refused, and leaves none. */
static bool submit_one(struct cuts *cuts, struct svm_engine *engine, struct svm_id *doc)
{
    struct crash_tx tx;
    struct svm_receipt *receipt = NULL;
    struct svm_outcome outcome;
    crash_tx_random(&tx, engine, &cuts->rng, 0, doc);
    enum svm_err err = svm_submit_wait(engine, (struct svm_bytes){tx.bytes, tx.len},
                                       SVM_WAIT_DURABLE, &receipt, &outcome, NULL);
    svm_receipt_free(receipt);
    return err == SVM_OK;
}

/* records_find: where each record of the log ends. */
static void records_find(struct cuts *cuts)
{
    struct store_segment segment = {.number = 1};
    char path[300], name[STORE_SEGMENT_NAME_BYTES];
    store_segment_name(name, 1);
    snprintf(path, sizeof path, "%s/log/%s", cuts->data, name);
    cuts->bytes = file_read(path, &cuts->len);
    segment.fd = open(path, O_RDONLY | O_CLOEXEC);
    SVM_ASSERT(segment.fd >= 0);
    SVM_ASSERT(store_segment_scan(&segment, cuts->len) == SVM_OK);
    SVM_ASSERT(segment.count <= RECORDS_MAX && segment.count >= 3);
    cuts->ends[0] = STORE_SEGMENT_HEAD_BYTES;
    for (size_t i = 0; i < segment.count; i++) {
        struct store_group group;
        const struct store_record *record = &segment.records[i];
        uint8_t key[8];
        bytes_put_u64be(key, record->key);
        SVM_ASSERT(store_group_parse(&group, (struct svm_bytes){key, sizeof key},
                                     (struct svm_bytes){cuts->bytes + record->at, record->len}));
        cuts->ends[i + 1] = record->at + record->len;
        cuts->last[i + 1] = group.last;
    }
    cuts->count = (unsigned)segment.count;
    cuts->len = cuts->ends[cuts->count];
    free(segment.records);
    close(segment.fd);
}

/* log_make: a directory whose state is that of the beginning, and whose log holds everything: as after a crash before any flush. */
static void log_make(struct cuts *cuts)
{
    struct svm_id doc = {{0}};
    svm_engine_close(engine_open_sure(cuts));
    parts_read(cuts, "state");
    struct svm_engine *engine = engine_open_sure(cuts);
    SVM_ASSERT(state_of(engine, &cuts->states[0]) == SVM_OK);
    for (unsigned made = 0; made < cuts->records;)
        if (submit_one(cuts, engine, &doc))
            SVM_ASSERT(state_of(engine, &cuts->states[++made]) == SVM_OK);
    svm_engine_close(engine);
    parts_read(cuts, "");
    parts_read(cuts, "log");
    records_find(cuts);
    SVM_ASSERT(cuts->count == cuts->records);
    for (unsigned i = 0; i < cuts->part_count; i++)
        if (strncmp(cuts->parts[i].name, "log/", 4) == 0)
            cuts->parts[i].len = cuts->len;
}

/* ---- the store over a state in memory -------------------------------------------------------------------------- */

static struct svm_digest rows_of(const struct svm_kv_ops *kv)
{
    struct crypto_sha256 sha;
    struct svm_digest hash;
    struct svm_bytes key, value;
    uint8_t lens[16];
    struct svm_kv_iter *iter = kv->iter_open(kv->self);
    SVM_ASSERT(iter != NULL);
    crypto_sha256_init(&sha);
    kv->iter_seek(iter, (struct svm_bytes){(const uint8_t *)"", 0});
    for (; kv->iter_valid(iter, &key, &value); kv->iter_next(iter)) {
        bytes_put_u64le(lens, key.len);
        bytes_put_u64le(lens + 8, value.len);
        crypto_sha256_add(&sha, lens, sizeof lens);
        crypto_sha256_add(&sha, key.ptr, key.len);
        crypto_sha256_add(&sha, value.ptr, value.len);
    }
    SVM_ASSERT(kv->iter_close(iter) == SVM_OK);
    crypto_sha256_final(&sha, hash.b);
    return hash;
}

/* open_over: the log's files over the state in RAM. */
static enum svm_err open_over(struct cuts *cuts, struct store_kv_ram *ram, struct store **store_out,
                              struct svm_kv_ops *state, uint64_t *end_out)
{
    struct svm_kv_ops log;
    struct store_opened opened;
    char reason[120];
    enum svm_err err = store_kv_segments_open(&log, cuts->log, reason);
    if (err != SVM_OK)
        return err;
    store_kv_ram_ops(state, ram);
    const struct store_config config = {
        .mode = STORE_SYNC, .log_ops = &log, .state_ops = state, .history_versions = 2};
    err = store_open(store_out, &config, &cuts->genesis, &opened, reason);
    *end_out = opened.next_seq - 1;
    return err;
}

/* ram_make: a state that holds the genesis and no more. */
static struct store_kv_ram *ram_make(const struct cuts *cuts)
{
    struct store_kv_ram *ram = store_kv_ram_create(), *empty = store_kv_ram_create();
    struct svm_kv_ops log, state;
    struct store_opened opened;
    struct store *store;
    char reason[120];
    SVM_ASSERT(ram != NULL && empty != NULL);
    store_kv_ram_ops(&log, empty);
    store_kv_ram_ops(&state, ram);
    const struct store_config config = {
        .mode = STORE_SYNC, .log_ops = &log, .state_ops = &state, .history_versions = 2};
    enum svm_err err = store_open(&store, &config, &cuts->genesis, &opened, reason);
    SVM_ASSERT(err == SVM_OK);
    store_close(store);
    store_kv_ram_destroy(empty);
    return ram;
}

static void log_write(struct cuts *cuts, const uint8_t *bytes, size_t len)
{
    char path[300], name[STORE_SEGMENT_NAME_BYTES];
    for (uint64_t number = 2; number > 0;
         number--) { /* a second one, if the case before has begun it */
        store_segment_name(name, number);
        snprintf(path, sizeof path, "%s/%s", cuts->log, name);
        if (number == 2)
            unlink(path);
    }
    file_write(path, bytes, len);
}

/* go_on: what was recovered can be built upon: a position more, and it is there the next time. */
static void go_on(struct cuts *cuts, struct store *store, struct store_kv_ram *ram, uint64_t end,
                  const char *what, size_t at)
{
    struct svm_kv_ops state;
    uint64_t again = 0;
    uint8_t *frame = store_group_reserve(store, model_void_size(end + 1));
    SVM_ASSERT(frame != NULL);
    model_void_encode(frame, end + 1);
    enum svm_err err = store_group_commit(store, end + 1, end + 1, 0);
    store_close(store);
    if (err == SVM_OK)
        err = open_over(cuts, ram, &store, &state, &again);
    if (err == SVM_OK)
        store_close(store);
    if (err != SVM_OK || again != end + 1)
        bad(cuts, "%s %zu: what follows %" PRIu64 " is lost: %s", what, at, end, svm_err_name(err));
}

/* try_log: the log is BYTES; of it the first WANT records may be there, or, if REFUSE, it may be refused. */
static void try_log(struct cuts *cuts, const uint8_t *bytes, size_t len, unsigned want, bool refuse,
                    const char *what, size_t at)
{
    struct store *store;
    struct svm_kv_ops state;
    uint64_t end = 0;
    unsigned before = cuts->failed;
    struct store_kv_ram *ram = ram_make(cuts);
    log_write(cuts, bytes, len);
    enum svm_err err = open_over(cuts, ram, &store, &state, &end);
    if (err == SVM_OK) {
        struct svm_digest rows = rows_of(&state);
        cuts->prefixes++;
        if (end != cuts->last[want])
            bad(cuts, "%s %zu: recovered is %" PRIu64 ", not %" PRIu64, what, at, end,
                cuts->last[want]);
        else if (memcmp(rows.b, cuts->rows[want].b, sizeof rows.b) != 0)
            bad(cuts, "%s %zu: the state is not that of %" PRIu64, what, at, end);
        if (!refuse || at % 8 == 0)
            go_on(cuts, store, ram, end, what, at);
        else
            store_close(store);
    } else {
        cuts->refusals++;
        if (!refuse || err != SVM_E_CORRUPT)
            bad(cuts, "%s %zu: refused: %s", what, at, svm_err_name(err));
    }
    store_kv_ram_destroy(ram);
    cuts->passed += cuts->failed == before;
}

/* rows_learn: the state after each number of records, from logs that are whole. */
static void rows_learn(struct cuts *cuts)
{
    for (unsigned i = 0; i <= cuts->count; i++) {
        struct store *store;
        struct svm_kv_ops state;
        uint64_t end;
        struct store_kv_ram *ram = ram_make(cuts);
        log_write(cuts, cuts->bytes, cuts->ends[i]);
        SVM_ASSERT(open_over(cuts, ram, &store, &state, &end) == SVM_OK);
        SVM_ASSERT(end == cuts->last[i]);
        cuts->rows[i] = rows_of(&state);
        store_close(store);
        store_kv_ram_destroy(ram);
        SVM_ASSERT(i == 0 || memcmp(cuts->rows[i].b, cuts->rows[i - 1].b, 32) != 0);
    }
}

/* whole_before: how many records are whole in the first LEN bytes. */
static unsigned whole_before(const struct cuts *cuts, size_t len)
{
    unsigned count = 0;
    while (count < cuts->count && cuts->ends[count + 1] <= len)
        count++;
    return count;
}

static void every_byte(struct cuts *cuts)
{
    uint8_t *bytes = malloc(cuts->len);
    SVM_ASSERT(bytes != NULL);
    for (size_t at = 0; at <= cuts->len; at++) {
        try_log(cuts, cuts->bytes, at, whole_before(cuts, at), false, "cut at byte", at);
        /* as long as it was, but what has not arrived is zero */
        memcpy(bytes, cuts->bytes, at);
        memset(bytes + at, 0, cuts->len - at);
        unsigned whole = whole_before(cuts, at);
        while (whole < cuts->count &&
               memcmp(bytes, cuts->bytes, cuts->ends[whole + 1]) == 0) /* zeros anyway */
            whole++;
        try_log(cuts, bytes, cuts->len, whole, false, "zeros from byte", at);
    }
    free(bytes);
}

static void every_bit(struct cuts *cuts)
{
    uint8_t *bytes = malloc(cuts->len);
    SVM_ASSERT(bytes != NULL);
    memcpy(bytes, cuts->bytes, cuts->len);
    for (size_t bit = 0; bit < 8 * cuts->len; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        try_log(cuts, bytes, cuts->len, bit / 8 < cuts->ends[0] ? 0 : whole_before(cuts, bit / 8),
                true, "bit", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
}

/* ---- a whole directory, by the engine -------------------------------------------------------------------------- */

/* try_data: the directory as it is now opens with the state after WANT records, or is refused. MUST: it is refused. */
static void try_data(struct cuts *cuts, unsigned want, bool must, const char *what,
                     const char *name)
{
    struct svm_engine *engine;
    struct svm_refusal detail;
    struct svm_digest state;
    enum svm_err err = engine_open(cuts, &engine, &detail);
    if (err == SVM_OK) {
        uint64_t end = svm_applied_seq(engine);
        err = state_of(engine, &state);
        if (must || (err == SVM_OK && memcmp(state.b, cuts->states[want].b, sizeof state.b) != 0)) {
            bad(cuts, "%s %s: opens, with what is not the state of %u records, at %" PRIu64, what,
                name, want, end);
            cuts->passed--;
        }
        svm_engine_close(engine);
    } else if (detail.reason[0] == '\0') {
        bad(cuts, "%s %s: refused without a reason", what, name);
        cuts->passed--;
    }
    cuts->passed++;
    if (err == SVM_OK)
        cuts->prefixes++;
    else
        cuts->refusals++;
}

static void part_path(char path[400], const struct cuts *cuts, const struct part *part)
{
    snprintf(path, 400, "%s/%s", cuts->data, part->name);
}

/* each_file: missing, empty, halved, with a bit flipped somewhere. */
static void each_file(struct cuts *cuts)
{
    char path[400];
    for (unsigned i = 0; i < cuts->part_count; i++) {
        const struct part *part = &cuts->parts[i];
        /* A log that is shorter than what SYNCED says has lost something. */
        bool must = strncmp(part->name, "log/", 4) == 0;
        part_path(path, cuts, part);
        data_write(cuts);
        unlink(path);
        try_data(cuts, cuts->count, must, "without", part->name);
        if (part->len == 0)
            continue;
        data_write(cuts);
        file_write(path, part->bytes, 0);
        try_data(cuts, cuts->count, must, "emptied", part->name);
        data_write(cuts);
        file_write(path, part->bytes, part->len / 2);
        try_data(cuts, cuts->count, must, "halved", part->name);
        data_write(cuts);
        uint8_t *bytes = malloc(part->len);
        SVM_ASSERT(bytes != NULL);
        memcpy(bytes, part->bytes, part->len);
        bytes[rng_below(&cuts->rng, part->len)] ^= (uint8_t)(1u << rng_below(&cuts->rng, 8));
        file_write(path, bytes, part->len);
        free(bytes);
        try_data(cuts, cuts->count, must, "a bit flipped in", part->name);
    }
    static const char *const dirs[] = {"log", "state"};
    for (size_t i = 0; i < 2; i++) {
        data_write(cuts);
        snprintf(path, sizeof path, "%s/%s", cuts->data, dirs[i]);
        driver_remove(path);
        try_data(cuts, cuts->count, true, "without the directory", dirs[i]);
    }
}

/* with_mark: the log cut or flipped anywhere, beside the mark that says how far it was synced: always refused; without the mark,
 * a prefix. */
static void with_mark(struct cuts *cuts)
{
    char path[400], mark[400], name[STORE_SEGMENT_NAME_BYTES], text[40];
    store_segment_name(name, 1);
    for (unsigned i = 0; i < SAMPLES; i++) {
        size_t at = cuts->ends[0] + rng_below(&cuts->rng, cuts->len - cuts->ends[0]);
        data_write(cuts);
        snprintf(path, sizeof path, "%s/log/%s", cuts->data, name);
        snprintf(mark, sizeof mark, "%s/SYNCED", cuts->data);
        snprintf(text, sizeof text, "%zu", at);
        if (i % 3 == 0) {
            uint8_t *bytes = malloc(cuts->len);
            SVM_ASSERT(bytes != NULL);
            memcpy(bytes, cuts->bytes, cuts->len);
            bytes[at] ^= (uint8_t)(1u << i % 8);
            file_write(path, bytes, cuts->len);
            free(bytes);
            try_data(cuts, 0, true, "marked, a bit flipped at byte", text);
            continue;
        }
        file_write(path, cuts->bytes, at);
        if (i % 3 == 1) {
            try_data(cuts, 0, true, "marked, cut at byte", text);
        } else {
            unlink(mark);
            try_data(cuts, whole_before(cuts, at), false, "cut at byte", text);
        }
    }
}

static void section(struct cuts *cuts, void (*run)(struct cuts *), const char *what)
{
    unsigned prefixes = cuts->prefixes, refusals = cuts->refusals;
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    run(cuts);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%s: %u opened as a prefix, %u refused, %.1f s\n", what, cuts->prefixes - prefixes,
           cuts->refusals - refusals,
           (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct cuts cuts = {.records = 5};
    const char *seed = getenv("SVM_SEED");
    char reason[120];
    if (argc == 3 && strcmp(argv[1], "--records") == 0)
        cuts.records = (unsigned)strtoul(argv[2], NULL, 10);
    if (argc == 2 || argc > 3 || cuts.records < 3 || cuts.records > RECORDS_MAX) {
        fprintf(stderr, "usage: main_cuts [--records 3..%d]\n", RECORDS_MAX);
        return 2;
    }
    cuts.seed = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    printf("seed %" PRIu64 "\n", cuts.seed);
    rng_init(&cuts.rng, cuts.seed);
    /* A file system in memory syncs at once; the files are small. */
    strcpy(cuts.top,
           access("/dev/shm", W_OK) == 0 ? "/dev/shm/svm-cuts-XXXXXX" : "/tmp/svm-cuts-XXXXXX");
    if (mkdtemp(cuts.top) == NULL)
        die(cuts.top);
    snprintf(cuts.log, sizeof cuts.log, "%s/log", cuts.top);
    snprintf(cuts.data, sizeof cuts.data, "%s/data", cuts.top);
    if (mkdir(cuts.log, 0700) != 0)
        die(cuts.log);
    SVM_ASSERT(model_genesis_parse(&cuts.genesis, svm_genesis_dev(), reason) == SVM_OK);
    log_make(&cuts);
    rows_learn(&cuts);
    section(&cuts, every_byte, "cut and zeroed at every byte");
    section(&cuts, every_bit, "every bit flipped");
    section(&cuts, each_file, "every file of a data directory missing or damaged");
    section(&cuts, with_mark, "a data directory with the log damaged");
    printf("log of %u records, %zu bytes: %u opened as a prefix, %u refused, %u wrong\n",
           cuts.count, cuts.len, cuts.prefixes, cuts.refusals, cuts.failed);
    driver_remove(cuts.top);
    printf("%u passed, %u failed\n", cuts.passed, cuts.failed);
    return cuts.failed > 0;
}
