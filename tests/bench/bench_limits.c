/* bench_limits: what this machine gives for its single parts: the limits that docs/performance.md holds beside what is measured.
 *
 * Usage: bench_limits all | list | ROW [--seconds S] [--dir DIR]     S of one row, default 0.5; `list` names the rows
 *
 * Each row prints one line of JSON; its figure is the median of at least nine passes, their least and most beside it. A row
 * that needs two processors is skipped where there is one. DIR (default .) is where the disk is measured, in a file that
 * is gone afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/rig.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"

enum { PASSES_MIN = 9, PASSES_MAX = 10000, LINE = 64 };
#define MIB ((size_t)1 << 20)

static double row_seconds = 0.5;
static const char *disk_dir = ".";
static volatile uint64_t sink; /* results that nobody needs, so that they are computed */

/* ---- measuring ------------------------------------------------------------------------------------------------ */

struct figure {
    double median, least, most, p99;
};

static int by_value(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* A pass does some operations and tells the seconds of one. */
typedef double pass_fn(void *arg);

static void passes(struct figure *figure, pass_fn *pass, void *arg)
{
    static double values[PASSES_MAX];
    size_t count = 0;
    pass(arg); /* warm */
    for (const double begin = now_s();
         count < PASSES_MIN || (now_s() - begin < row_seconds && count < PASSES_MAX);)
        values[count++] = pass(arg);
    qsort(values, count, sizeof values[0], by_value);
    *figure =
        (struct figure){values[count / 2], values[0], values[count - 1], values[count * 99 / 100]};
}

static void *must_map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die("out of memory");
    return memory;
}

/* ---- one core -------------------------------------------------------------------------------------------------- */

static _Alignas(128) _Atomic uint64_t atom;

static double pass_atomic(void *arg)
{
    (void)arg;
    enum { N = 100000 };
    const double begin = now_s();
    for (int i = 0; i < N; i++)
        atomic_fetch_add(&atom, 1);
    return (now_s() - begin) / N;
}

static double pass_cas(void *arg)
{
    (void)arg;
    enum { N = 100000 };
    uint64_t seen = atomic_load(&atom);
    const double begin = now_s();
    for (int i = 0; i < N; i++)
        atomic_compare_exchange_strong(&atom, &seen, seen + 1);
    return (now_s() - begin) / N;
}

static double pass_clock(void *arg)
{
    (void)arg;
    enum { N = 20000 };
    const double begin = now_s();
    double last = 0;
    for (int i = 0; i < N; i++)
        last = now_s();
    sink = (uint64_t)last;
    return (last - begin) / N;
}

static double pass_syscall(void *arg)
{
    (void)arg;
    enum { N = 10000 };
    const double begin = now_s();
    for (int i = 0; i < N; i++)
        sink = (uint64_t)syscall(SYS_getppid);
    return (now_s() - begin) / N;
}

static double pass_malloc(void *arg)
{
    (void)arg;
    enum { N = 1024 };
    static void *blocks[N];
    const double begin = now_s();
    for (int i = 0; i < N; i++)
        blocks[i] = malloc(64 + (size_t)(i & 63));
    for (int i = 0; i < N; i++)
        free(blocks[(i * 769 + 1) % N]);
    return (now_s() - begin) / N;
}

static double pass_fault(void *arg)
{
    (void)arg;
    enum { PAGES = 1024, PAGE = 4096 };
    uint8_t *memory = must_map((size_t)PAGES * PAGE);
    madvise(memory, (size_t)PAGES * PAGE, MADV_NOHUGEPAGE);
    const double begin = now_s();
    for (size_t i = 0; i < PAGES; i++)
        memory[i * PAGE] = 1;
    const double took = now_s() - begin;
    munmap(memory, (size_t)PAGES * PAGE);
    return took / PAGES;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Lines in one random circle, so that each load waits for the one before it. */
struct chase {
    void **lines;
    size_t count;
    uint32_t chains;
};

static void chase_open(struct chase *chase, size_t bytes, uint32_t chains)
{
    struct random random = {.state = 7};
    uint8_t *memory = must_map(bytes);
    madvise(memory, bytes, MADV_HUGEPAGE); /* the memory, not the page tables, is in question */
    *chase = (struct chase){(void **)memory, bytes / LINE, chains};
    uint32_t *order = must_map(chase->count * sizeof *order);
    for (size_t i = 0; i < chase->count; i++)
        order[i] = (uint32_t)i;
    for (size_t i = chase->count - 1; i > 0; i--) {
        const size_t j = random_next(&random) % (i + 1);
        const uint32_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (size_t i = 0; i < chase->count; i++)
        *(void **)(memory + (size_t)order[i] * LINE) =
            memory + (size_t)order[(i + 1) % chase->count] * LINE;
    munmap(order, chase->count * sizeof *order);
}

static double pass_chase(void *arg)
{
    const struct chase *chase = arg;
    enum { STEPS = 20000, CHAINS_MAX = 16 };
    static struct random random = {.state = 11};
    void *at[CHAINS_MAX];
    for (uint32_t c = 0; c < chase->chains; c++)
        at[c] = (uint8_t *)chase->lines + random_next(&random) % chase->count * LINE;
    const double begin = now_s();
    for (int i = 0; i < STEPS; i++)
        for (uint32_t c = 0; c < chase->chains; c++)
            at[c] = *(void **)at[c];
    const double took = now_s() - begin;
    for (uint32_t c = 0; c < chase->chains; c++)
        sink = (uint64_t)(uintptr_t)at[c];
    return took / STEPS / chase->chains;
}

static void run_chase(struct figure *figure, size_t bytes, uint32_t chains)
{
    struct chase chase;
    chase_open(&chase, bytes, chains);
    void *at = chase.lines;
    for (size_t i = 0; i < chase.count && i < 8 * MIB / LINE;
         i++) /* a lap: what fits into a cache is there */
        at = *(void **)at;
    sink = (uint64_t)(uintptr_t)at;
    passes(figure, pass_chase, &chase);
    munmap(chase.lines, bytes);
}

struct copy {
    uint8_t *from, *to;
    size_t bytes, times;
};

static double pass_copy(void *arg)
{
    const struct copy *copy = arg;
    const double begin = now_s();
    for (size_t i = 0; i < copy->times; i++) {
        copy->from[i % copy->bytes]++;
        memcpy(copy->to, copy->from, copy->bytes);
        sink = copy->to[copy->bytes - 1];
    }
    return (now_s() - begin) / (double)copy->times;
}

static void run_copy(struct figure *figure, size_t bytes, size_t times)
{
    struct copy copy = {must_map(bytes), must_map(bytes), bytes, times};
    memset(copy.from, 1, bytes);
    passes(figure, pass_copy, &copy);
    munmap(copy.from, bytes);
    munmap(copy.to, bytes);
}

/* ---- cryptography -------------------------------------------------------------------------------------------------- */

static double pass_sha256(void *arg)
{
    enum { N = 2000 };
    const size_t bytes = *(const size_t *)arg;
    static uint8_t message[1024], hash[32];
    const double begin = now_s();
    for (int i = 0; i < N; i++) {
        crypto_sha256(hash, message, bytes);
        memcpy(message, hash, sizeof hash);
    }
    return (now_s() - begin) / N;
}

static double pass_verify(void *arg)
{
    (void)arg;
    enum { N = 50 };
    static const uint8_t seed[32] = {1}, message[200] = {2};
    static uint8_t public_key[32], signature[64];
    if (public_key[0] == 0) {
        crypto_ed25519_public(public_key, seed);
        crypto_ed25519_sign(signature, seed, message, sizeof message);
    }
    const double begin = now_s();
    for (int i = 0; i < N; i++)
        if (!crypto_ed25519_verify(public_key, signature, message, sizeof message))
            die("a good signature is refused");
    return (now_s() - begin) / N;
}

/* ---- two cores ----------------------------------------------------------------------------------------------------- */

static _Alignas(128) _Atomic int turn; /* 0 mine, 1 the other's, 2 end */
static _Alignas(128) _Atomic bool running;
static int call_fd, answer_fd;

static void *line_answer(void *arg)
{
    (void)arg;
    for (;;) {
        int now;
        while ((now = atomic_load(&turn)) == 0) {
        }
        if (now == 2)
            return NULL;
        atomic_store(&turn, 0);
    }
}

static double pass_line(void *arg)
{
    (void)arg;
    enum { N = 10000 };
    const double begin = now_s();
    for (int i = 0; i < N; i++) {
        atomic_store(&turn, 1);
        while (atomic_load(&turn) != 0) {
        }
    }
    return (now_s() - begin) / N;
}

static void *shared_adds(void *arg)
{
    (void)arg;
    while (atomic_load_explicit(&running, memory_order_relaxed))
        for (int i = 0; i < 64; i++)
            atomic_fetch_add(&atom, 1);
    return NULL;
}

static void *wake_answer(void *arg)
{
    (void)arg;
    for (uint64_t word; read(call_fd, &word, sizeof word) == sizeof word && word < 1000;)
        if (write(answer_fd, &word, sizeof word) != sizeof word)
            die("eventfd: %s", strerror(errno));
    return NULL;
}

static double pass_wake(void *arg)
{
    (void)arg;
    enum { N = 1000 };
    uint64_t word = 1;
    const double begin = now_s();
    for (int i = 0; i < N; i++)
        if (write(call_fd, &word, sizeof word) != sizeof word ||
            read(answer_fd, &word, sizeof word) != sizeof word)
            die("eventfd: %s", strerror(errno));
    return (now_s() - begin) / N;
}

/* Pinned apart: the host may move the processors, the guest must not move the threads. */
static void pin(pthread_t thread, size_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_setaffinity_np(thread, sizeof set, &set);
}

static pthread_t other_start(void *(*main_fn)(void *))
{
    pthread_t other;
    if (pthread_create(&other, NULL, main_fn, NULL) != 0)
        die("cannot start a thread");
    pin(pthread_self(), 0);
    pin(other, 1);
    return other;
}

static void run_line(struct figure *figure)
{
    const pthread_t other = other_start(line_answer);
    passes(figure, pass_line, NULL);
    atomic_store(&turn, 2);
    pthread_join(other, NULL);
}

static void run_shared(struct figure *figure)
{
    atomic_store(&running, true);
    const pthread_t other = other_start(shared_adds);
    passes(figure, pass_atomic, NULL);
    atomic_store(&running, false);
    pthread_join(other, NULL);
}

static void run_wake(struct figure *figure)
{
    call_fd = eventfd(0, 0);
    answer_fd = eventfd(0, 0);
    if (call_fd < 0 || answer_fd < 0)
        die("eventfd: %s", strerror(errno));
    const pthread_t other = other_start(wake_answer);
    passes(figure, pass_wake, NULL);
    const uint64_t end = 1000;
    if (write(call_fd, &end, sizeof end) != sizeof end)
        die("eventfd: %s", strerror(errno));
    pthread_join(other, NULL);
}

/* ---- system ---------------------------------------------------------------------------------------------------------- */

static double pass_socket(void *arg)
{
    enum { N = 1000, BYTES = 256 };
    const int *pair = arg;
    static char text[BYTES];
    const double begin = now_s();
    for (int i = 0; i < N; i++)
        if (send(pair[0], text, sizeof text, 0) != BYTES ||
            recv(pair[1], text, sizeof text, MSG_WAITALL) != BYTES)
            die("socket: %s", strerror(errno));
    return (now_s() - begin) / N;
}

static void run_socket(struct figure *figure)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        die("socketpair: %s", strerror(errno));
    passes(figure, pass_socket, pair);
    close(pair[0]);
    close(pair[1]);
}

struct disk {
    int fd;
    size_t group;
    off_t at, size;
    bool sync;
};

static double pass_disk(void *arg)
{
    struct disk *disk = arg;
    static uint8_t group[1 << 20];
    if (disk->at + (off_t)disk->group > disk->size)
        disk->at = 0;
    group[0]++;
    const double begin = now_s();
    if (pwrite(disk->fd, group, disk->group, disk->at) != (ssize_t)disk->group ||
        (disk->sync && fdatasync(disk->fd) != 0))
        die("the disk: %s", strerror(errno));
    disk->at += (off_t)disk->group;
    return now_s() - begin;
}

/* The file is written once before, as a log that uses its segments again: no metadata changes. */
static void run_disk(struct figure *figure, size_t group, bool sync)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/bench-limits-XXXXXX", disk_dir);
    struct disk disk = {.fd = mkstemp(path), .group = group, .size = 32 << 20};
    if (disk.fd < 0)
        die("%s: %s", path, strerror(errno));
    unlink(path);
    for (off_t at = 0; at < disk.size; at += (off_t)group)
        pass_disk(&disk);
    fdatasync(disk.fd);
    disk.sync = sync;
    passes(figure, pass_disk, &disk);
    close(disk.fd);
}

/* ---- rows ------------------------------------------------------------------------------------------------------------ */

static void row_atomic(struct figure *f)
{
    passes(f, pass_atomic, NULL);
}
static void row_cas(struct figure *f)
{
    passes(f, pass_cas, NULL);
}
static void row_clock(struct figure *f)
{
    passes(f, pass_clock, NULL);
}
static void row_syscall(struct figure *f)
{
    passes(f, pass_syscall, NULL);
}
static void row_malloc(struct figure *f)
{
    passes(f, pass_malloc, NULL);
}
static void row_fault(struct figure *f)
{
    passes(f, pass_fault, NULL);
}
static void row_l2(struct figure *f)
{
    run_chase(f, MIB / 2, 1);
}
static void row_l3(struct figure *f)
{
    run_chase(f, 8 * MIB, 1);
}
static void row_dram(struct figure *f)
{
    run_chase(f, 256 * MIB, 1);
}
static void row_dram_16(struct figure *f)
{
    run_chase(f, 256 * MIB, 16);
}
static void row_copy(struct figure *f)
{
    run_copy(f, 64 * MIB, 1);
}
static void row_copy_256(struct figure *f)
{
    run_copy(f, 256, 100000);
}
static void row_sha256(struct figure *f)
{
    size_t bytes = 200;
    passes(f, pass_sha256, &bytes);
}
static void row_verify(struct figure *f)
{
    passes(f, pass_verify, NULL);
}
static void row_write(struct figure *f)
{
    run_disk(f, 64 << 10, false);
}
static void row_sync_4k(struct figure *f)
{
    run_disk(f, 4 << 10, true);
}
static void row_sync_256k(struct figure *f)
{
    run_disk(f, 256 << 10, true);
}

struct row {
    const char *name, *unit;
    double scale; /* seconds to units; 0: the bytes of the row in a second */
    unsigned cores;
    void (*run)(struct figure *figure_out);
    const char *what;
};
static const struct row rows[] = {
    {"atomic", "ns", 1e9, 1, row_atomic, "an atomic addition, the line in this core's cache"},
    {"cas", "ns", 1e9, 1, row_cas, "a compare and swap, likewise"},
    {"line", "ns", 1e9, 2, run_line, "a cache line to the other core and back"},
    {"shared", "ns", 1e9, 2, run_shared,
     "an atomic addition on a line that the other core adds to"},
    {"l2", "ns", 1e9, 1, row_l2, "a load that depends on the last, within 512 KiB"},
    {"l3", "ns", 1e9, 1, row_l3, "the same within 8 MiB"},
    {"dram", "ns", 1e9, 1, row_dram, "the same within 256 MiB: a miss"},
    {"dram-16", "ns", 1e9, 1, row_dram_16, "a miss when sixteen are under way"},
    {"copy", "GB/s", 0, 1, row_copy, "memcpy of 64 MiB"},
    {"copy-256", "ns", 1e9, 1, row_copy_256, "memcpy of 256 bytes in the cache"},
    {"malloc", "ns", 1e9, 1, row_malloc, "malloc and free of 64 to 127 bytes"},
    {"fault", "ns", 1e9, 1, row_fault, "the first touch of a page"},
    {"sha256-200", "ns", 1e9, 1, row_sha256, "SHA-256 of 200 bytes"},
    {"verify", "us", 1e6, 1, row_verify, "one Ed25519 verification, libsodium"},
    {"clock", "ns", 1e9, 1, row_clock, "clock_gettime"},
    {"syscall", "ns", 1e9, 1, row_syscall, "the smallest system call"},
    {"wake", "us", 1e6, 2, run_wake, "waking a thread on the other core, and being woken by it"},
    {"socket-256", "us", 1e6, 1, run_socket, "256 bytes through a unix socket, sent and received"},
    {"write-64k", "us", 1e6, 1, row_write, "a write of 64 KiB to the page cache"},
    {"sync-4k", "us", 1e6, 1, row_sync_4k, "a write of 4 KiB and fdatasync, file in place"},
    {"sync-256k", "us", 1e6, 1, row_sync_256k, "a write of 256 KiB and fdatasync, file in place"},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static void run_row(const struct row *row)
{
    if ((long)row->cores > sysconf(_SC_NPROCESSORS_ONLN)) {
        printf("{\"row\":\"limit-%s\",\"skip\":\"needs %u processors\"}\n", row->name, row->cores);
        return;
    }
    struct figure figure;
    row->run(&figure);
    const bool rate = row->scale == 0;
    const double bytes = (double)(64 * MIB) / 1e9;
    const double median = rate ? bytes / figure.median : figure.median * row->scale;
    const double least = rate ? bytes / figure.most : figure.least * row->scale;
    const double most = rate ? bytes / figure.least : figure.most * row->scale;
    printf("{\"row\":\"limit-%s\",\"value\":%.2f,\"unit\":\"%s\",\"least\":%.2f,\"most\":%.2f,",
           row->name, median, row->unit, least, most);
    if (!rate)
        printf("\"p99\":%.2f,", figure.p99 * row->scale);
    printf("\"what\":\"%s\"}\n", row->what);
    fflush(stdout);
}

/* The threads of a row are pinned; the next begins anew. */
static void unpin(const cpu_set_t *all)
{
    pthread_setaffinity_np(pthread_self(), sizeof *all, all);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (int i = 2; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0)
            row_seconds = strtod(argv[i + 1], NULL);
        else if (i + 1 < argc && strcmp(argv[i], "--dir") == 0)
            disk_dir = argv[i + 1];
        else
            die("usage: bench_limits all | list | ROW [--seconds S] [--dir DIR]");
    }
    bool known = false;
    cpu_set_t all;
    pthread_getaffinity_np(pthread_self(), sizeof all, &all);
    for (int i = 0; i < ROWS; i++) {
        const bool wanted = strcmp(name, "all") == 0 || strcmp(name, rows[i].name) == 0;
        if (strcmp(name, "list") == 0)
            printf("%-12s %-5s %s\n", rows[i].name, rows[i].unit, rows[i].what);
        else if (wanted)
            run_row(&rows[i]);
        unpin(&all);
        known = known || wanted || strcmp(name, "list") == 0;
    }
    if (!known)
        die("no row %s; `bench_limits list` names them", name);
    return 0;
}
