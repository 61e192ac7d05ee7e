/* Interactive transactions beside the others: each leaves a record of what it read and wrote. In order of seq the records must explain all
 * that was read; after a crash also what is there, with those whose end nobody was told at any place or at none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim.h"

enum { EACH_MAX = 12, UNKNOWN_MAX = 8 };

struct attempt {
    struct sim *sim;
    size_t record;
    struct rng rng; /* the same again in every attempt */
};

static struct svm_bytes key_bytes(uint8_t key)
{
    static const char *const keys[SIM_CELL_KEYS] = {"a", "b", "key/of/some/length", "z"};
    return (struct svm_bytes){(const uint8_t *)keys[key], strlen(keys[key])};
}

static enum svm_err access_one(struct attempt *attempt, struct svm_cell_txn *txn)
{
    struct sim *sim = attempt->sim;
    struct sim_access access = {.key = (uint8_t)rng_below(&attempt->rng, SIM_CELL_KEYS),
                                .write = rng_below(&attempt->rng, 100) < 40};
    struct svm_bytes value = {NULL, 0};
    uint8_t bytes[24] = {0};
    enum svm_err err;
    if (!access.write) {
        err = svm_cell_get(txn, key_bytes(access.key), &value);
        if (err == SVM_OK)
            memcpy(&access.stamp, value.ptr, sizeof access.stamp);
        else if (err == SVM_E_NOT_FOUND)
            err = SVM_OK;
    } else if (rng_below(&attempt->rng, 5) == 0) {
        err = svm_cell_del(txn, key_bytes(access.key));
    } else {
        access.stamp = ++sim->next_stamp;
        memcpy(bytes, &access.stamp, sizeof access.stamp);
        err = svm_cell_put(txn, key_bytes(access.key), (struct svm_bytes){bytes, sizeof bytes});
    }
    struct sim_cell_record *record = &sim->records[attempt->record];
    record->writes |= access.write;
    record->accesses[record->count++] = access;
    return err;
}

static enum svm_err closure(void *arg, struct svm_cell_txn *txn)
{
    struct attempt *attempt = arg;
    struct rng before = attempt->rng;
    attempt->sim->records[attempt->record].count = 0;
    attempt->sim->records[attempt->record].writes = false;
    uint64_t wanted = 1 + rng_below(&attempt->rng, SIM_CELL_ACCESSES);
    enum svm_err err = SVM_OK;
    for (uint64_t i = 0; err == SVM_OK && i < wanted; i++)
        err = access_one(attempt, txn);
    attempt->rng = before;
    return err;
}

static size_t record_new(struct sim *sim)
{
    if (sim->record_count == sim->record_cap) {
        sim->record_cap = sim->record_cap == 0 ? 64 : 2 * sim->record_cap;
        sim->records = realloc(sim->records, sim->record_cap * sizeof *sim->records);
        SVM_ASSERT(sim->records != NULL);
    }
    sim->records[sim->record_count] = (struct sim_cell_record){0};
    return sim->record_count++;
}

static void *cells_main(void *arg)
{
    struct sim *sim = arg;
    weave_name("cells");
    for (unsigned i = 0; i < EACH_MAX && !sim->stop; i++) {
        struct attempt attempt = {.sim = sim, .record = record_new(sim)};
        rng_init(&attempt.rng, rng_next(&sim->rng));
        enum svm_wait wait = weave_random(2) == 0 ? SVM_WAIT_EXECUTED : SVM_WAIT_DURABLE;
        uint64_t seq = 0;
        enum weave_heap heap = weave_heap_enter(WEAVE_LIFE);
        enum svm_err err = svm_cell_run(sim->engine, closure, &attempt, wait, &seq, NULL);
        weave_heap_enter(heap);
        struct sim_cell_record *record = &sim->records[attempt.record];
        if (err == SVM_E_IO || disk_failed())
            break; /* it may be there or not */
        record->done = true;
        record->seq = seq;
        record->lost = err != SVM_OK;
        sim->counts.cells += err == SVM_OK;
        if (err == SVM_OK && record->writes && wait == SVM_WAIT_DURABLE)
            sim_audit_told(sim, seq);
        if (err != SVM_OK && err != SVM_E_RETRIES_EXHAUSTED && err != SVM_E_BUSY &&
            err != SVM_E_OVERLOADED)
            weave_fail("a closure over cells ended with %s", svm_err_name(err));
        weave_note("cells: seq %llu %s", (unsigned long long)seq, svm_err_name(err));
        nanosleep(&(struct timespec){.tv_nsec = (long)weave_random(2000000)}, NULL);
    }
    return NULL;
}

void sim_cells_start(struct sim *sim, pthread_t *threads)
{
    for (uint32_t i = 0; i < sim->plan.cell_threads; i++)
        SVM_ASSERT(pthread_create(&threads[i], NULL, cells_main, sim) == 0);
}

/* ---- the order explains it -------------------------------------------------------------------------------------------------- */

struct order {
    const struct sim_cell_record **records;
    size_t count;
    const struct sim_cell_record *unknown[UNKNOWN_MAX];
    size_t unknown_count;
    uint64_t *base, *want; /* maps before; after, NULL = not known */
};

/* Readers come after the writer of their snapshot. */
static int by_seq(const void *a, const void *b)
{
    const struct sim_cell_record *x = *(struct sim_cell_record *const *)a,
                                 *y = *(struct sim_cell_record *const *)b;
    if (x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    return (int)y->writes - (int)x->writes;
}

static bool explains(const struct order *order)
{
    uint64_t map[SIM_CELL_KEYS];
    memcpy(map, order->base, sizeof map);
    for (size_t i = 0; i < order->count; i++)
        for (uint8_t k = 0; k < order->records[i]->count; k++) {
            const struct sim_access *access = &order->records[i]->accesses[k];
            if (access->write)
                map[access->key] = access->stamp;
            else if (map[access->key] != access->stamp)
                return false;
        }
    return order->want == NULL || memcmp(map, order->want, sizeof map) == 0;
}

/* With the unknown ones from AT on at any place, or at none. */
static bool explained(struct order *order, size_t at)
{
    if (at == order->unknown_count)
        return explains(order);
    if (explained(order, at + 1))
        return true;
    for (size_t place = 0; place <= order->count; place++) {
        size_t after = order->count - place;
        memmove(&order->records[place + 1], &order->records[place],
                after * sizeof order->records[0]);
        order->records[place] = order->unknown[at];
        order->count++;
        bool good = explained(order, at + 1);
        order->count--;
        memmove(&order->records[place], &order->records[place + 1],
                after * sizeof order->records[0]);
        if (good)
            return true;
    }
    return false;
}

static enum svm_err read_all(void *arg, struct svm_cell_txn *txn)
{
    uint64_t *map = arg;
    for (uint8_t key = 0; key < SIM_CELL_KEYS; key++) {
        struct svm_bytes value;
        enum svm_err err = svm_cell_get(txn, key_bytes(key), &value);
        map[key] = 0;
        if (err == SVM_OK)
            memcpy(&map[key], value.ptr, sizeof map[key]);
        else if (err != SVM_E_NOT_FOUND)
            return err;
    }
    return SVM_OK;
}

/* All records up to END, against what is there. FORGET: they are history then, for they cannot be lost any more. */
static void settle(struct sim *sim, uint64_t end, bool forget)
{
    uint64_t map[SIM_CELL_KEYS];
    struct order order = {.base = sim->cells, .want = map};
    order.records = calloc(sim->record_count + UNKNOWN_MAX, sizeof(struct sim_cell_record *));
    SVM_ASSERT(order.records != NULL);
    for (size_t i = 0; i < sim->record_count; i++) {
        const struct sim_cell_record *record = &sim->records[i];
        if (record->done && !record->lost && record->seq <= end)
            order.records[order.count++] = record;
        if (!record->done && record->writes && order.unknown_count < UNKNOWN_MAX)
            order.unknown[order.unknown_count++] = record;
    }
    if (order.count > 0)
        qsort(order.records, order.count, sizeof(struct sim_cell_record *), by_seq);
    enum weave_heap heap = weave_heap_enter(WEAVE_LIFE);
    enum svm_err err = svm_cell_run(sim->engine, read_all, map, SVM_WAIT_EXECUTED, NULL, NULL);
    weave_heap_enter(heap);
    if (err == SVM_OK && !explained(&order, 0))
        weave_fail("the cells do not follow from what was done to them (%zu records, %zu unknown)",
                   order.count, order.unknown_count);
    if (err != SVM_OK && !disk_failed())
        weave_fail("the cells cannot be read: %s", svm_err_name(err));
    free(order.records);
    if (err != SVM_OK || !forget)
        return;
    memcpy(sim->cells, map, sizeof sim->cells);
    sim->record_count = 0;
}

void sim_cells_recovered(struct sim *sim, uint64_t end)
{
    if (sim->plan.mode == SVM_MEMORY) {
        memset(sim->cells, 0, sizeof sim->cells);
        sim->record_count = 0;
    }
    settle(sim, end, true);
}

void sim_cells_check(struct sim *sim)
{
    settle(sim, UINT64_MAX, false);
}
