/* bench_crypto: what one core verifies and hashes.
 *
 *     bench_crypto [ROW [SECONDS [BYTES]]]      defaults: every row, 1 second each, messages of 128 bytes
 *
 *     ed25519-lanes      batches of 64      ed25519-lanes-8   batches of 8      ed25519-lanes-1    alone, in a batch of one
 *     ed25519-portable   one by one, by libsodium
 *     sha256             one message        sha256-portable   by libsodium
 *
 * Signatures are of 256 keys over messages of their own; one in 256 is bad, and every verdict is looked at: a wrong one ends the run
 * without a figure. Time is this thread's CPU time; the value is the median of 11 slices. One JSON object per row. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "base/rng.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"

enum { SIGNATURES = 256, BYTES_MAX = 4096, SLICES = 11, BAD = 77, BATCH = 64 };

struct work {
    size_t batch; /* 0: one by one, by libsodium */
    size_t bytes;
    struct crypto_ed25519_job jobs[SIGNATURES];
    uint8_t keys[SIGNATURES][32], signatures[SIGNATURES][64];
    uint8_t messages[SIGNATURES][BYTES_MAX];
};

static struct work work;

_Noreturn static void die(const char *sentence)
{
    fprintf(stderr, "bench_crypto: %s\n", sentence);
    exit(1);
}

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void prepare(size_t bytes)
{
    struct rng rng;
    const char *text = getenv("SVM_SEED");
    rng_init(&rng, text ? strtoull(text, NULL, 10) : 20261122);
    work.bytes = bytes;
    for (size_t i = 0; i < SIGNATURES; i++) {
        uint8_t seed[32];
        for (size_t b = 0; b < sizeof seed; b++)
            seed[b] = (uint8_t)rng_next(&rng);
        for (size_t b = 0; b < bytes; b++)
            work.messages[i][b] = (uint8_t)rng_next(&rng);
        crypto_ed25519_public(work.keys[i], seed);
        crypto_ed25519_sign(work.signatures[i], seed, work.messages[i], bytes);
        work.jobs[i] =
            (struct crypto_ed25519_job){work.keys[i], work.signatures[i], work.messages[i], bytes};
    }
    work.signatures[BAD][9] ^= 1;
}

/* Each function does SIGNATURES operations. */
static void verify_batches(void)
{
    bool verdicts[SIGNATURES];
    for (size_t i = 0; i < SIGNATURES; i += work.batch)
        crypto_ed25519_verify_batch(verdicts + i, work.jobs + i, work.batch);
    for (size_t i = 0; i < SIGNATURES; i++)
        if (verdicts[i] != (i != BAD))
            die("a verdict is wrong");
}

static void verify_singly(void)
{
    for (size_t i = 0; i < SIGNATURES; i++)
        if (crypto_ed25519_verify(work.keys[i], work.signatures[i], work.messages[i], work.bytes) !=
            (i != BAD))
            die("a verdict is wrong");
}

static void hash(void)
{
    for (size_t i = 0; i < SIGNATURES; i++)
        crypto_sha256(work.messages[i], work.messages[i], work.bytes);
}

static void hash_portable(void)
{
    for (size_t i = 0; i < SIGNATURES; i++)
        crypto_hash_sha256(work.messages[i], work.messages[i], work.bytes);
}

static const struct row {
    const char *name;
    void (*run)(void);
    size_t batch;
} rows[] = {
    {"ed25519-lanes", verify_batches, BATCH},
    {"ed25519-lanes-8", verify_batches, 8},
    {"ed25519-lanes-1", verify_batches, 1},
    {"ed25519-portable", verify_singly, 0},
    {"sha256", hash, 0},
    {"sha256-portable", hash_portable, 0},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const struct row *row, double seconds)
{
    double rates[SLICES];
    work.batch = row->batch;
    if (row->batch && strcmp(crypto_ed25519_lanes(), "ifma") != 0) {
        printf("{\"row\":\"%s\",\"skip\":\"no AVX-512-IFMA, or SVM_LANES=off\"}\n", row->name);
        return;
    }
    row->run(); /* tables, caches */
    for (size_t slice = 0; slice < SLICES; slice++) {
        uint64_t rounds = 0;
        const double begin = cpu_s();
        double now = begin;
        while (now - begin < seconds / SLICES) {
            row->run();
            rounds++;
            now = cpu_s();
        }
        rates[slice] = (double)(rounds * SIGNATURES) / (now - begin);
    }
    qsort(rates, SLICES, sizeof rates[0], by_size);
    printf("{\"row\":\"%s\",\"value\":%.0f,\"unit\":\"/s\",\"min\":%.0f,\"max\":%.0f,\"bytes\":%zu,"
           "\"batch\":%zu,\"us\":%.3f}\n",
           row->name, rates[SLICES / 2], rates[0], rates[SLICES - 1], work.bytes,
           row->batch ? row->batch : 1, 1e6 / rates[SLICES / 2]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : NULL;
    const double seconds = argc > 2 ? strtod(argv[2], NULL) : 1;
    const size_t bytes = argc > 3 ? strtoull(argv[3], NULL, 10) : 128;
    bool found = false;
    if (bytes < 32 || bytes > BYTES_MAX)
        die("messages have 32 to 4096 bytes");
    for (size_t i = 0; i < ROWS; i++)
        if (!wanted || strcmp(wanted, rows[i].name) == 0) {
            prepare(bytes);
            measure(&rows[i], seconds);
            found = true;
        }
    if (!found)
        die("no such row; see the head of tests/bench/bench_crypto.c");
    return 0;
}
