/* The log's files across two ends: the process dies anywhere, on a disk that fails there or not; the next one syncs what it finds, writes and syncs;
 * then the power fails. What was synced is there, under whatever name: no file is written to that the directory may not know. So is what the
 * second life has found: a sync that failed in the first has left it to be seen, and no sync would write it by itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "sim.h"

enum { RECORD_BYTES = 5000, RECORDS = 4, CALLS = 24, CUTS = 40, LATER_KEY = 100 };

static struct svm_kv_ops log_ops, state_ops;

static bool open_log(const struct disk_faults *faults)
{
    char reason[120];
    return disk_open(&log_ops, &state_ops, faults, reason) == SVM_OK;
}

static enum svm_err put(uint64_t number)
{
    static uint8_t value[RECORD_BYTES];
    uint8_t key[8];
    bytes_put_u64be(key, number);
    memset(value, (int)number, sizeof value);
    const struct svm_kv_op op = {.key = {key, sizeof key}, .value = {value, sizeof value}};
    return log_ops.write(log_ops.self, &op, 1, true);
}

static bool is_there(uint64_t number)
{
    uint8_t key[8], *value = NULL;
    size_t len = 0;
    bytes_put_u64be(key, number);
    enum svm_err err = log_ops.get(log_ops.self, (struct svm_bytes){key, sizeof key}, &value, &len);
    bool good = err == SVM_OK && len == RECORD_BYTES;
    for (size_t i = 0; good && i < len; i++)
        good = value[i] == number;
    free(value);
    return good;
}

/* The FAIL_AT-th call of the first life fails. */
static bool survives(uint64_t fail_at, uint64_t seed)
{
    const struct disk_faults none = {.torn = true};
    const struct disk_faults failing = {.torn = true, .fail_at = fail_at, .fail_errno = EIO};
    struct rng rng;
    uint64_t synced = 0;
    rng_init(&rng, seed);
    weave_heap_reset(WEAVE_WORLD);
    weave_heap_enter(WEAVE_WORLD);
    disk_create();
    if (open_log(&failing)) {
        while (synced < RECORDS && put(synced + 1) == SVM_OK)
            synced++;
        log_ops.close(log_ops.self);
    }
    disk_life_ends(&rng, false);

    SVM_ASSERT(open_log(&none));
    uint64_t seen = 0;
    while (is_there(seen + 1))
        seen++;
    bool good = seen >= synced && log_ops.sync_found(log_ops.self, 1) == SVM_OK;
    good &= put(LATER_KEY) == SVM_OK;
    log_ops.close(log_ops.self);
    disk_life_ends(&rng, true);

    SVM_ASSERT(open_log(&none));
    for (uint64_t i = 1; i <= seen; i++)
        good &= is_there(i);
    good &= is_there(LATER_KEY);
    log_ops.close(log_ops.self);
    weave_heap_enter(WEAVE_SYSTEM);
    return good;
}

int main(void)
{
    unsigned passed = 0, failed = 0;
    for (uint64_t fail_at = 1; fail_at <= CALLS; fail_at++)
        for (uint64_t seed = 1; seed <= CUTS; seed++) {
            bool good = survives(fail_at, seed);
            passed += good;
            if (!good && failed++ < 5)
                printf("FAILED: the call %llu fails, power cut %llu: what was synced is gone\n",
                       (unsigned long long)fail_at, (unsigned long long)seed);
        }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}
