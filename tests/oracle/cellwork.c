#include "cellwork.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct svm_bytes key_bytes(uint8_t index)
{
    static const char *const keys[CELL_KEYS] = {"a", "b", "key/of/some/length", "d", "ab", "z"};
    return (struct svm_bytes){(const uint8_t *)keys[index], strlen(keys[index])};
}

static enum svm_err read_one(struct cell_worker *worker, struct cell_record *record,
                             struct svm_cell_txn *txn)
{
    struct cell_access *access = &record->accesses[record->count];
    struct svm_bytes value;
    *access = (struct cell_access){.key = (uint8_t)rng_below(&worker->rng, CELL_KEYS)};
    enum svm_err err = svm_cell_get(txn, key_bytes(access->key), &value);
    if (err != SVM_OK && err != SVM_E_NOT_FOUND)
        return err;
    if (err == SVM_OK) {
        SVM_ASSERT(value.len >= sizeof access->stamp);
        memcpy(&access->stamp, value.ptr, sizeof access->stamp);
    }
    record->count++;
    return SVM_OK;
}

static enum svm_err write_one(struct cell_worker *worker, struct cell_record *record,
                              struct svm_cell_txn *txn)
{
    struct cell_access *access = &record->accesses[record->count++];
    uint8_t value[40] = {0};
    *access =
        (struct cell_access){.key = (uint8_t)rng_below(&worker->rng, CELL_KEYS), .write = true};
    record->writes = true;
    if (rng_below(&worker->rng, 5) == 0)
        return svm_cell_del(txn, key_bytes(access->key));
    access->stamp = worker->next_stamp += CELL_THREADS;
    memcpy(value, &access->stamp, sizeof access->stamp);
    return svm_cell_put(txn, key_bytes(access->key),
                        (struct svm_bytes){value, 8 + rng_below(&worker->rng, 32)});
}

static enum svm_err closure(void *arg, struct svm_cell_txn *txn)
{
    struct cell_worker *worker = arg;
    struct cell_record *record = &worker->records[worker->count];
    record->count = 0;
    record->writes = false;
    size_t wanted = 1 + rng_below(&worker->rng, CELL_ACCESSES);
    for (size_t i = 0; i < wanted; i++) {
        enum svm_err err = rng_below(&worker->rng, 100) < 60 ? read_one(worker, record, txn)
                                                             : write_one(worker, record, txn);
        if (err != SVM_OK)
            return err;
        if (rng_below(&worker->rng, 4) == 0)
            sched_yield();
    }
    return SVM_OK;
}

static bool may_happen(enum svm_err err)
{
    return err == SVM_OK || err == SVM_E_RETRIES_EXHAUSTED || err == SVM_E_OVERLOADED;
}

static void *work_main(void *arg)
{
    struct cell_worker *worker = arg;
    struct cellwork *work = worker->work;
    while (!atomic_load(&work->stop) && worker->count < CELL_RECORDS_MAX) {
        uint64_t seq;
        enum svm_err err =
            svm_cell_run(work->engine, closure, worker, SVM_WAIT_EXECUTED, &seq, NULL);
        if (err == SVM_OK)
            worker->records[worker->count++].seq = seq;
        if (!may_happen(err))
            atomic_fetch_add(&work->unexpected, 1);
        if (work->pause_us)
            nanosleep(&(struct timespec){.tv_nsec = work->pause_us * 1000L}, NULL);
    }
    return NULL;
}

void cellwork_start(struct cellwork *work, struct svm_engine *engine, uint64_t seed, size_t threads,
                    unsigned pause_us)
{
    memset(work, 0, sizeof *work);
    work->engine = engine;
    work->threads = threads;
    work->pause_us = pause_us;
    for (size_t i = 0; i < threads; i++) {
        struct cell_worker *worker = &work->workers[i];
        worker->work = work;
        worker->next_stamp = i + 1;
        rng_init(&worker->rng, seed + i);
        worker->records = calloc(CELL_RECORDS_MAX, sizeof *worker->records);
        SVM_ASSERT(worker->records != NULL);
        SVM_ASSERT(pthread_create(&worker->thread, NULL, work_main, worker) == 0);
    }
}

void cellwork_stop(struct cellwork *work)
{
    atomic_store(&work->stop, true);
    for (size_t i = 0; i < work->threads; i++)
        pthread_join(work->workers[i].thread, NULL);
}

/* ---- the order of seq explains it ---------------------------------------------------------------------------------- */

/* Readers come after the writer of their snapshot's seq. */
static int by_seq(const void *a, const void *b)
{
    const struct cell_record *x = *(struct cell_record *const *)a,
                             *y = *(struct cell_record *const *)b;
    if (x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    return (int)y->writes - (int)x->writes;
}

static bool explained(const struct cell_record *record, uint64_t map[CELL_KEYS])
{
    for (uint8_t i = 0; i < record->count; i++) {
        const struct cell_access *access = &record->accesses[i];
        if (access->write)
            map[access->key] = access->stamp;
        else if (map[access->key] != access->stamp)
            return false;
    }
    return true;
}

size_t cellwork_judge(struct cellwork *work, struct judge *judge)
{
    uint64_t map[CELL_KEYS] = {0};
    size_t total = 0, n = 0;
    for (size_t i = 0; i < work->threads; i++)
        total += work->workers[i].count;
    struct cell_record **all = calloc(total + 1, sizeof *all);
    SVM_ASSERT(all != NULL);
    for (size_t i = 0; i < work->threads; i++)
        for (size_t k = 0; k < work->workers[i].count; k++)
            all[n++] = &work->workers[i].records[k];
    qsort(all, total, sizeof(struct cell_record *), by_seq);
    for (size_t i = 0; i < total; i++) {
        if (i > 0 && all[i]->writes && all[i]->seq == all[i - 1]->seq)
            judge_fail(judge, "two cell transactions have seq %llu",
                       (unsigned long long)all[i]->seq);
        if (!explained(all[i], map))
            judge_fail(judge, "the cell transaction at %llu read what the order does not explain",
                       (unsigned long long)all[i]->seq);
        if (all[i]->writes)
            all[work->sorted_count++] = all[i];
    }
    if (atomic_load(&work->unexpected) > 0)
        judge_fail(judge, "%llu cell transactions ended with an error that cannot be",
                   (unsigned long long)atomic_load(&work->unexpected));
    work->sorted = all;
    return total;
}

const struct cell_record *cellwork_logged(const struct cellwork *work, uint64_t seq)
{
    size_t low = 0, high = work->sorted_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (work->sorted[middle]->seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low < work->sorted_count && work->sorted[low]->seq == seq ? work->sorted[low] : NULL;
}

void cellwork_deinit(struct cellwork *work)
{
    for (size_t i = 0; i < work->threads; i++)
        free(work->workers[i].records);
    free(work->sorted);
}
