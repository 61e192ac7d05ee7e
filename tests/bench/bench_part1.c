/* bench_part1: one measured run of one row of the table "Speed and size"; scripts/bench runs them all and makes the table.
 *
 * Usage: bench_part1 ROW [--seconds S] [--objects N] [--workers N] [--window N] [--inflight N] [--seed N]
 *                        [--datadir DIR] [--port PORT] [--count N] [--wait executed|durable]
 *   fast, transfer, consensus, mixed
 *                            the engine alone, in memory, decoded transactions, no signatures
 *   durable                  fast, with the data directory DIR on a disk and an fsync before anything counts
 *   memory                   bytes of memory per further resident object, and where they go; DIR holds them on disk
 *   fill                     make DIR and N objects in it, and close
 *   rpc-fast, rpc-consensus  signed tx_submit to a running development node, one at a time
 *
 * Prints one line of JSON, and only after the state has been checked against what was done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/client.h"
#include "bench/load.h"
#include "bench/rig.h"
#include "bench/steady.h"
#include "model/model.h"
#include "mvcc/internal.h"

struct options {
    struct settings rig;
    const char *row;
    const char *wait;
    uint16_t port;
    uint32_t count;
};

static void print_rate(const struct options *options, const struct load_result *result,
                       const struct steady_result *steady)
{
    printf("{\"row\":\"%s\",\"value\":%.0f,\"unit\":\"tx/s\",\"seconds\":%.2f,\"cpu_ns\":%.0f,"
           "\"done\":%llu,\"fast\":%llu,\"consensus\":%llu,\"objects\":%u,\"seed\":%llu",
           options->row, (double)result->timed / result->seconds, result->seconds, result->cpu_ns,
           (unsigned long long)result->timed, (unsigned long long)result->fast,
           (unsigned long long)result->consensus, options->rig.objects,
           (unsigned long long)options->rig.seed);
    steady_print(steady, result->timed, options->rig.datadir != NULL);
    printf("}\n");
}

static void make_populations(struct load *load, struct population *owned, struct population *shared,
                             struct rig *rig)
{
    const uint32_t objects = rig->settings.objects;
    const uint32_t owned_count = (uint32_t)((uint64_t)objects * load->fast_percent / 100);
    if (load->fast_percent > 0) {
        population_create(owned, rig, load->transfer ? POPULATION_COINS : POPULATION_OWNED,
                          owned_count);
        load->owned = owned;
    }
    if (load->fast_percent < 100) {
        population_create(shared, rig, POPULATION_SHARED, objects - owned_count);
        load->shared = shared;
    }
}

/* reopen: what was answered durable is there after a restart. */
static void check_reopened(const struct options *options, const struct audit *closed)
{
    struct audit again;
    struct rig *rig = rig_open(&options->rig);
    audit_state(&again, rig);
    rig_close(rig);
    if (memcmp(&again, closed, sizeof again) != 0)
        die("the audit fails: the state after a restart is not the one before it");
}

static void run_load(const struct options *options, unsigned fast_percent, bool transfer)
{
    struct load load = {.fast_percent = fast_percent, .transfer = transfer};
    struct population owned = {0}, shared = {0};
    struct load_result result;
    struct audit before, after;
    struct rig *rig = rig_open(&options->rig);
    make_populations(&load, &owned, &shared, rig);
    audit_state(&before, rig);
    struct steady_result seen;
    struct steady *steady = steady_start(rig);
    load_run(&result, rig, &load);
    steady_stop(&seen, steady, result.timed_at, result.timed_at + result.seconds);
    if (options->rig.datadir != NULL)
        steady_require(&seen);
    audit_state(&after, rig);
    load_check(&result, &load, &before, &after);
    rig_close(rig);
    if (options->rig.datadir != NULL)
        check_reopened(options, &after);
    population_destroy(&owned);
    population_destroy(&shared);
    print_rate(options, &result, &seen);
}

static void run_fill(const struct options *options)
{
    struct population counters;
    struct audit audit;
    struct rig *rig = rig_open(&options->rig);
    population_create(&counters, rig, POPULATION_SHARED, options->rig.objects);
    audit_state(&audit, rig);
    if (audit.objects < options->rig.objects)
        die("the audit fails: %llu objects", (unsigned long long)audit.objects);
    rig_close(rig);
    population_destroy(&counters);
    printf("{\"row\":\"fill\",\"value\":%llu}\n", (unsigned long long)audit.objects);
}

static int compare_ids(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct svm_id));
}

/* load_objects: make every counter resident by transactions that read 256 of them and write nothing. */
static void load_objects(struct rig *rig, const struct population *population)
{
    static struct svm_input inputs[SVM_TX_INPUTS_MAX];
    uint64_t base, bad, submitted = 0;
    rig_sum(rig, &base, &bad);
    for (uint32_t at = 0; at < population->count; submitted++) {
        uint16_t count = 0;
        for (; count < SVM_TX_INPUTS_MAX && at < population->count; count++, at++)
            inputs[count] = (struct svm_input){.id = population->ids[at], .kind = SVM_KIND_SHARED};
        const struct svm_tx tx = {.chain = rig->chain,
                                  .sender = rig->faucet_owner,
                                  .expires_ms = svm_now_ms(rig->engine) + EXPIRY_MS,
                                  .gas_limit = 10000,
                                  .input_count = count,
                                  .inputs = inputs};
        struct svm_digest digest;
        rig_digest(rig, &digest);
        if (!rig_submit(rig, &tx, &digest))
            die("a read was refused");
        rig_settle(rig, base + submitted + 1);
    }
    rig_sum(rig, &base, &bad);
    if (bad > 0)
        die("%llu reads failed", (unsigned long long)bad);
}

/* The objects are made by a process of its own: what that leaves behind in the heap is not in this one's growth. */
static void make_apart(const struct options *options, struct svm_id *ids)
{
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        struct population counters;
        struct rig *rig = rig_open(&options->rig);
        population_create(&counters, rig, POPULATION_SHARED, options->rig.objects);
        rig_close(rig);
        memcpy(ids, counters.ids, counters.count * sizeof ids[0]);
        _exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        die("the objects were not made");
}

/* Where the bytes of one counter go: what the table counts, and what the process has beyond it. */
static void print_parts(double each, double data)
{
    const size_t type_len = strlen(COUNTER_TYPE), object = sizeof(struct model_object);
    const size_t head = mvcc_block_bytes(mvcc_head_block_bytes(sizeof(struct svm_id)));
    const size_t version = offsetof(struct mvcc_version, payload);
    const uint32_t size = (uint32_t)model_object_size(type_len, COUNTER_BYTES);
    const size_t block = mvcc_block_bytes(mvcc_version_block_bytes(size));
    const size_t counted = MVCC_SLOT_BYTES_PER_HEAD + head + block;
    printf(
        "\"slots\":%d,\"head\":%zu,\"version\":%zu,\"object\":%zu,\"data\":%.0f,\"rounding\":%zu,"
        "\"uncounted\":%.0f",
        MVCC_SLOT_BYTES_PER_HEAD, head, version, object, data, block - version - size,
        each - (double)counted);
}

/* run_memory: the growth of the whole process while objects that lie on the disk become resident. The first half of them fills what has a fixed
 * size, as the caches of the database; the second half is the figure. */
static void run_memory(const struct options *options)
{
    struct svm_stats stats;
    const uint32_t count = options->rig.objects, half = count / 2;
    struct svm_id *ids =
        mmap(NULL, count * sizeof *ids, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ids == MAP_FAILED)
        die("out of memory");
    make_apart(options, ids);
    qsort(ids, count, sizeof ids[0], compare_ids);
    const struct population first = {.count = half, .ids = ids};
    const struct population second = {.count = count - half, .ids = ids + half};

    struct settings again = options->rig;
    again.seed = ~again.seed; /* other digests than those of the making */
    struct rig *rig = rig_open(&again);
    const uint64_t before = process_bytes();
    load_objects(rig, &first);
    const uint64_t between = process_bytes();
    load_objects(rig, &second);
    const uint64_t after = process_bytes();
    svm_stats(rig->engine, &stats);
    if (stats.resident_objects < count)
        die("only %llu objects are resident", (unsigned long long)stats.resident_objects);
    const double data = COUNTER_BYTES + (double)strlen(COUNTER_TYPE);
    const double each = (double)(after - between) / second.count;
    rig_close(rig);
    munmap(ids, count * sizeof *ids);
    printf(
        "{\"row\":\"memory\",\"value\":%.0f,\"unit\":\"bytes\",\"each\":%.0f,\"first_half\":%.0f,"
        "\"objects\":%u,\"engine_says\":%.0f,",
        each - data, each, (double)(between - before) / first.count, count,
        (double)stats.resident_bytes / (double)stats.resident_objects);
    print_parts(each, data);
    printf("}\n");
}

static void run_rpc(const struct options *options, bool fast)
{
    struct client_result result;
    client_run(&result, options->port, options->count, options->wait, fast);
    printf("{\"row\":\"%s-%s\",\"value\":%.1f,\"unit\":\"us\",\"p50_us\":%.1f,\"p95_us\":%.1f,"
           "\"p99_us\":"
           "%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,\"count\":%u}\n",
           options->row, options->wait, result.p50_us, result.p50_us, result.p95_us, result.p99_us,
           result.p999_us, result.max_us, result.count);
}

static void parse(struct options *options, int argc, char **argv)
{
    for (int i = 2; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value == NULL)
            die("%s needs a value", name);
        const unsigned long long number = strtoull(value, NULL, 10);
        if (strcmp(name, "--seconds") == 0)
            options->rig.seconds = strtod(value, NULL);
        else if (strcmp(name, "--objects") == 0)
            options->rig.objects = (uint32_t)number;
        else if (strcmp(name, "--workers") == 0)
            options->rig.workers = (uint32_t)number;
        else if (strcmp(name, "--window") == 0)
            options->rig.window = (uint32_t)number;
        else if (strcmp(name, "--inflight") == 0)
            options->rig.inflight = (uint32_t)number;
        else if (strcmp(name, "--seed") == 0)
            options->rig.seed = number;
        else if (strcmp(name, "--datadir") == 0)
            options->rig.datadir = value;
        else if (strcmp(name, "--port") == 0)
            options->port = (uint16_t)number;
        else if (strcmp(name, "--count") == 0)
            options->count = (uint32_t)number;
        else if (strcmp(name, "--wait") == 0)
            options->wait = value;
        else
            die("unknown option %s", name);
    }
}

int main(int argc, char **argv)
{
    struct options options = {
        .rig = {.objects = 1000000,
                .window = 4096,
                .inflight = 16384,
                .seconds = 10,
                .seed = (uint64_t)time(NULL)},
        .row = argc > 1 ? argv[1] : "",
        .wait = "executed",
        .count = 5000,
    };
    parse(&options, argc, argv);
    const bool on_disk = strcmp(options.row, "durable") == 0 ||
                         strcmp(options.row, "memory") == 0 || strcmp(options.row, "fill") == 0;
    if (on_disk && options.rig.datadir == NULL)
        die("%s needs --datadir", options.row);
    options.rig.durability = on_disk ? SVM_SYNC : SVM_MEMORY;
    if (strcmp(options.row, "fast") == 0 || strcmp(options.row, "durable") == 0)
        run_load(&options, 100, false);
    else if (strcmp(options.row, "transfer") == 0)
        run_load(&options, 100, true);
    else if (strcmp(options.row, "consensus") == 0)
        run_load(&options, 0, false);
    else if (strcmp(options.row, "mixed") == 0)
        run_load(&options, 70, false);
    else if (strcmp(options.row, "memory") == 0)
        run_memory(&options);
    else if (strcmp(options.row, "fill") == 0)
        run_fill(&options);
    else if (strcmp(options.row, "rpc-fast") == 0)
        run_rpc(&options, true);
    else if (strcmp(options.row, "rpc-consensus") == 0)
        run_rpc(&options, false);
    else
        die("usage: bench_part1 "
            "fast|transfer|consensus|mixed|durable|memory|fill|rpc-fast|rpc-consensus "
            "[OPTIONS]; scripts/bench runs them all");
    return 0;
}
