/* How fast the store is by itself: append groups, materialise them, recover.
 *
 *     bench_store [transactions] [objects] [directory]        default 1000000 1000000 and a fresh one under TMPDIR or /tmp
 *
 * Each transaction writes one object of about 250 bytes of frame and has one receipt. Everything on one thread; RocksDB
 * flushes and compacts on its own. Rows: what was done, transactions, seconds, transactions per second; then the
 * same by the processor time of the thread alone. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "crypto/sha256.h"
#include "store/store.h"

enum {
    DATA_BYTES = 16,
    GROUP_BYTES = STORE_GROUP_BYTES_GOOD,
    MATERIALISE_BYTES = 32 << 20,
    TRIM_BYTES = 64 << 20
};

struct bench {
    struct store *store;
    struct rng rng;
    uint64_t objects;
    uint64_t seq;
    uint64_t *versions; /* of each object; 0 = not there yet */
    struct model_object *object;
    size_t frame_bytes;
};

/* Time on the wall and of this thread on the processor: on a busy machine only the latter means something. */
struct span {
    double wall_s, cpu_s;
};

static double clock_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct span now(void)
{
    return (struct span){clock_s(CLOCK_MONOTONIC), clock_s(CLOCK_THREAD_CPUTIME_ID)};
}

/* span_add: what has passed since SINCE. */
static void span_add(struct span *span, struct span since)
{
    struct span until = now();
    span->wall_s += until.wall_s - since.wall_s;
    span->cpu_s += until.cpu_s - since.cpu_s;
}

static void die(const char *what, enum svm_err err, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", what, svm_err_name(err), why == NULL ? "" : why);
    exit(1);
}

static void row(const char *what, uint64_t count, struct span span)
{
    printf("%-38s %9llu tx %8.3f s %9.0f tx/s | thread %8.3f s %9.0f tx/s\n", what,
           (unsigned long long)count, span.wall_s, (double)count / span.wall_s, span.cpu_s,
           (double)count / span.cpu_s);
    fflush(stdout);
}

/* The id of object I: as good as random, so rows do not come in order. */
static void id_of(struct svm_id *id_out, uint64_t i)
{
    struct rng rng;
    rng_init(&rng, i + 1);
    for (size_t at = 0; at < 32; at += 8) {
        uint64_t word = rng_next(&rng);
        memcpy(id_out->b + at, &word, 8);
    }
}

static void put_transaction(struct bench *bench)
{
    uint64_t index = rng_below(&bench->rng, bench->objects);
    struct model_write write = {.object = bench->object};
    struct model_effects effects = {
        .seq = ++bench->seq,
        .node_ms = 1000 + bench->seq / 100,
        .gas_used = 1000,
        .transfers = 1,
        .write_count = 1,
        .writes = &write,
    };
    for (size_t at = 0; at < 32; at += 8) {
        uint64_t word = rng_next(&bench->rng);
        memcpy(effects.digest.b + at, &word, 8);
    }
    id_of(&write.id, index);
    if (bench->versions[index] > 0) {
        write.prior.kind = MODEL_PRIOR_OWNED;
        write.prior.owner = bench->object->party;
    }
    bench->object->version = ++bench->versions[index];
    bench->object->last_tx = effects.digest;
    bench->frame_bytes = model_effects_size(&effects);
    uint8_t *room = store_group_reserve(bench->store, bench->frame_bytes);
    if (room == NULL)
        die("reserve", SVM_E_INTERNAL, "the group is full");
    model_effects_encode(room, &effects);
}

/* append: COUNT transactions in groups; the time of the commits alone. */
static struct span append(struct bench *bench, uint64_t count)
{
    struct span span = {0, 0};
    while (count > 0) {
        uint64_t first = bench->seq + 1;
        size_t bytes = 0;
        for (; count > 0 && bytes < GROUP_BYTES; count--, bytes += bench->frame_bytes)
            put_transaction(bench);
        struct span since = now();
        enum svm_err err =
            store_group_commit(bench->store, first, bench->seq, 1000 + bench->seq / 100);
        span_add(&span, since);
        if (err != SVM_OK)
            die("commit", err, store_failure(bench->store));
    }
    return span;
}

/* materialise: all that is synced; the time with the trimming that goes with it. */
static struct span materialise(struct bench *bench)
{
    struct span span = {0, 0}, since = now();
    uint64_t bytes = 0, did;
    do {
        uint64_t before = store_dirty_bytes(bench->store);
        enum svm_err err = store_materialise(bench->store, MATERIALISE_BYTES, &did);
        if (err != SVM_OK)
            die("materialise", err, store_failure(bench->store));
        bytes += before - store_dirty_bytes(bench->store);
        if (bytes >= TRIM_BYTES) {
            err = store_trim(bench->store);
            if (err != SVM_OK)
                die("trim", err, store_failure(bench->store));
            bytes = 0;
        }
    } while (did > 0);
    span_add(&span, since);
    return span;
}

static void open_store(struct bench *bench, const char *dir, enum store_mode mode, uint64_t history)
{
    static char canonical[] = "{\"name\":\"bench\"}";
    struct model_genesis genesis = {.canonical = canonical};
    struct store_config config = {.datadir = dir,
                                  .mode = mode,
                                  .receipts_seconds = 86400,
                                  .history_versions = history,
                                  .history_seconds = 86400};
    struct store_opened opened;
    char reason[120];
    struct span since = now();
    enum svm_err err = store_open(&bench->store, &config, &genesis, &opened, reason);
    if (err != SVM_OK)
        die("open", err, reason);
    struct span span = {0, 0};
    span_add(&span, since);
    if (opened.replayed > 0)
        row("recover (verify, replay)", opened.replayed, span);
    bench->seq = opened.next_seq - 1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    uint64_t objects = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    const char *tmp = getenv("TMPDIR");
    char fresh[200];
    snprintf(fresh, sizeof fresh, "%s/svm-bench-store-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    const char *dir = argc > 3 ? argv[3] : mkdtemp(fresh);
    struct bench bench = {.objects = objects};
    bench.versions = calloc(objects, sizeof *bench.versions);
    bench.object = calloc(1, model_object_size(4, DATA_BYTES));
    if (dir == NULL || bench.versions == NULL || bench.object == NULL)
        die("start", SVM_E_NO_MEMORY, NULL);
    rng_init(&bench.rng, 1);
    memset(bench.object->party.b, 7, 32);
    memcpy(bench.object->bytes, "coin", 4);
    bench.object->type_len = 4;
    bench.object->data_len = DATA_BYTES;

    open_store(&bench, dir, STORE_WRITE, 0);
    struct span span = append(&bench, count);
    printf("%llu transactions, %llu objects, %zu bytes per frame, groups of %d KiB, %s\n",
           (unsigned long long)count, (unsigned long long)objects, bench.frame_bytes,
           GROUP_BYTES >> 10, dir);
    row("append, unsynced", count, span);
    row("materialise, new objects, no history", count, materialise(&bench));
    append(&bench, count);
    row("materialise, again, no history", count, materialise(&bench));
    store_close(bench.store);

    open_store(&bench, dir, STORE_SYNC, 10);
    row("append, synced", count, append(&bench, count));
    struct store_counts counts;
    store_counts(bench.store, &counts);
    printf("%-38s %9llu syncs, %.0f us each\n", "", (unsigned long long)counts.syncs,
           (double)counts.sync_us / (double)counts.syncs);
    row("materialise, with history", count, materialise(&bench));
    append(&bench, count / 4);
    store_close(bench.store);
    open_store(&bench, dir, STORE_SYNC, 10);
    store_close(bench.store);

    free(bench.object);
    free(bench.versions);
    if (argc <= 3)
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
