/* The load that is killed: three threads of transactions, two of interactive ones, one that reads and keeps house. */
#include "crash/role.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/rng.h"
#include "crash/at.h"
#include "crash/driver.h"
#include "crash/tx.h"

enum { PAYERS = 3, WINDOW = 96, WINDOW_SMALL = 24, DOCS = 16, FILL = 64 };

struct payer {
    const struct role_args *args;
    struct svm_engine *engine;
    unsigned index;
    struct rng rng;
    _Atomic uint32_t waiting;
    struct svm_id
        docs[DOCS]; /* objects it has made; what became of them is for the engine to say */
};

struct answer {
    struct payer *payer;
    struct record *record;
    enum svm_wait wait;
};

void role_config(struct svm_config *config, const struct role_args *args)
{
    svm_config_init(config);
    config->datadir = args->datadir;
    config->durability = args->mode;
    config->durability_interval_ms = 5;
    config->workers = 2;
    config->inflight_max = 1024;
    config->disk_free_min_bytes = 0;
    config->history_versions = 3;
    config->tx_dedupe_bytes = 1 << 20; /* receipts are read back from the disk */
    config->cache_bytes = 1 << 20;
    config->gc_snapshot_age_max_ms =
        3600000; /* a check that was stopped for a while is none the wiser */
}

static void die(const char *what)
{
    fprintf(stderr, "worker: %s\n", what);
    _exit(3);
}

/* ---- transactions ---------------------------------------------------------------------------------------------- */

static void answered(void *arg, const struct svm_outcome *outcome)
{
    struct answer *answer = arg;
    journal_answered(answer->payer->args->journal, answer->record, answer->wait, outcome);
    if (answer->wait == SVM_WAIT_DURABLE && outcome->err == SVM_OK && !outcome->durable &&
        !answer->payer->args->ack_early) {
        fprintf(stderr, "an answer that waited for durability says it is not durable\n");
        atomic_fetch_add(&answer->payer->args->journal->wrong, 1);
    }
    atomic_fetch_sub(&answer->payer->waiting, 1);
    free(answer);
}

static void hand_in(struct payer *payer, struct record *record)
{
    struct answer *answer = malloc(sizeof *answer);
    if (answer == NULL)
        die("no memory");
    uint64_t dice = rng_below(&payer->rng, 10);
    *answer = (struct answer){.payer = payer,
                              .record = record,
                              .wait = dice == 0   ? SVM_WAIT_NONE
                                      : dice == 1 ? SVM_WAIT_EXECUTED
                                                  : SVM_WAIT_DURABLE};
    atomic_fetch_add(&payer->waiting, 1);
    atomic_fetch_add(&record->submits, 1);
    if (svm_submit(payer->engine, (struct svm_bytes){record->bytes, record->len}, answer->wait,
                   answered, answer, NULL) == SVM_OK)
        return;
    atomic_fetch_add(&record->refusals, 1);
    atomic_fetch_sub(&payer->waiting, 1);
    free(answer);
}

/* again: something that was handed in before, in this life or in an earlier one. */
static struct record *again(struct payer *payer)
{
    uint32_t count = atomic_load(&payer->args->journal->next);
    if (count == 0)
        return NULL;
    uint32_t near = count < 200 ? count : 200;
    uint32_t back = rng_below(&payer->rng, 4) ? near : count;
    struct record *record =
        &payer->args->journal->records[count - 1 - rng_below(&payer->rng, back)];
    return atomic_load(&record->submits) > 0 ? record : NULL;
}

static bool pay_step(struct payer *payer)
{
    struct crash_tx tx;
    if (rng_below(&payer->rng, 12) == 0) {
        struct record *record = again(payer);
        if (record != NULL)
            hand_in(payer, record);
        return true;
    }
    unsigned doc = (unsigned)rng_below(&payer->rng, DOCS);
    crash_tx_random(&tx, payer->engine, &payer->rng, payer->index, &payer->docs[doc]);
    struct record *record = journal_begin(payer->args->journal, &tx.digest,
                                          (struct svm_bytes){tx.bytes, tx.len}, tx.delta);
    if (record == NULL)
        return false;
    hand_in(payer, record);
    return true;
}

static void *pay_main(void *arg)
{
    struct payer *payer = arg;
    const uint32_t window = payer->args->at[0] != '\0' ? WINDOW_SMALL : WINDOW;
    for (;;) {
        if (atomic_load(&payer->waiting) < window && pay_step(payer))
            continue;
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    return NULL;
}

/* ---- interactive transactions ---------------------------------------------------------------------------------- */

struct counting {
    const struct role_args *args;
    struct svm_engine *engine;
    unsigned index;
    uint64_t value; /* of its own cell, after the transaction */
};

static struct svm_bytes text_key(const char *text)
{
    return (struct svm_bytes){(const uint8_t *)text, strlen(text)};
}

uint64_t crash_cell_number(struct svm_cell_txn *txn, const char *key)
{
    struct svm_bytes value;
    uint64_t number = 0;
    enum svm_err err = svm_cell_get(txn, text_key(key), &value);
    if (err == SVM_E_NOT_FOUND)
        return 0;
    if (err != SVM_OK || value.len != sizeof number)
        return UINT64_MAX;
    memcpy(&number, value.ptr, sizeof number);
    return number;
}

/* count_up: own cell and the common one go up by one; a flag is there when the own one is odd. */
static enum svm_err count_up(void *arg, struct svm_cell_txn *txn)
{
    struct counting *counting = arg;
    char own[16], flag[16];
    snprintf(own, sizeof own, "own %u", counting->index);
    snprintf(flag, sizeof flag, "flag %u", counting->index);
    uint64_t mine = crash_cell_number(txn, own), all = crash_cell_number(txn, "all");
    if (mine == UINT64_MAX || all == UINT64_MAX)
        return SVM_E_SNAPSHOT_TOO_OLD; /* tried anew */
    mine++;
    all++;
    counting->value = mine;
    atomic_store(&counting->args->journal->cells[counting->index].tried, mine);
    enum svm_err err =
        svm_cell_put(txn, text_key(own), (struct svm_bytes){(const uint8_t *)&mine, sizeof mine});
    if (err == SVM_OK)
        err = svm_cell_put(txn, text_key("all"),
                           (struct svm_bytes){(const uint8_t *)&all, sizeof all});
    if (err == SVM_OK)
        err = mine % 2 ? svm_cell_put(txn, text_key(flag), text_key("odd"))
                       : svm_cell_del(txn, text_key(flag));
    return err;
}

static void *count_main(void *arg)
{
    struct counting *counting = arg;
    struct cell_record *record = &counting->args->journal->cells[counting->index];
    for (;;) {
        uint64_t seq;
        enum svm_err err =
            svm_cell_run(counting->engine, count_up, counting, SVM_WAIT_DURABLE, &seq, NULL);
        if (err != SVM_OK)
            continue; /* another round; what is told counts */
        atomic_store(&record->seq, seq);
        atomic_store(&record->answered, counting->value);
        journal_told(counting->args->journal, seq);
    }
    return NULL;
}

/* fill_main: more and more cells, until the index has to grow. */
static void *fill_main(void *arg)
{
    struct counting *counting = arg;
    struct rng rng;
    rng_init(&rng, counting->args->seed);
    for (;;) {
        struct svm_cell_txn *txn;
        uint64_t seq;
        if (svm_cell_begin(counting->engine, &txn) != SVM_OK)
            continue;
        for (unsigned i = 0; i < FILL; i++) {
            char key[40];
            snprintf(key, sizeof key, "fill %" PRIx64, rng_next(&rng));
            if (svm_cell_put(txn, text_key(key), text_key("")) != SVM_OK)
                break;
        }
        if (svm_cell_commit(txn, SVM_WAIT_EXECUTED, &seq, NULL) != SVM_OK)
            continue;
    }
    return NULL;
}

/* ---- reads and housekeeping ------------------------------------------------------------------------------------ */

/* take_checkpoint: beside the data; what was there is not needed any more. */
static void take_checkpoint(struct payer *payer)
{
    char path[300], partial[320], old[320];
    uint64_t seq;
    struct svm_refusal detail;
    snprintf(path, sizeof path, "%s/../checkpoint", payer->args->datadir);
    snprintf(partial, sizeof partial, "%s.partial", path);
    snprintf(old, sizeof old, "%s.old", path);
    driver_remove(old);
    rename(path, old); /* or it would be half of one in between */
    driver_remove(old);
    driver_remove(partial);
    if (svm_checkpoint(payer->engine, path, &seq, &detail) != SVM_OK)
        die(detail.reason);
}

static void keep_house(struct payer *payer)
{
    journal_told(payer->args->journal, svm_durable_seq(payer->engine));
    if (payer->args->busy_house && rng_below(&payer->rng, 8) == 0)
        take_checkpoint(payer);
    switch (rng_below(&payer->rng, payer->args->busy_house ? 10 : 40)) {
    case 0:
        svm_gc_run(payer->engine);
        break;
    case 1:
        if (svm_compact(payer->engine) != SVM_OK)
            die("compaction failed");
        break;
    default:
        break;
    }
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

int role_work(const struct role_args *args)
{
    static struct payer payers[PAYERS + 1];
    static struct counting countings[JOURNAL_CELLS];
    struct svm_config config;
    struct svm_refusal detail;
    struct svm_engine *engine;
    role_config(&config, args);
    if (args->ack_early)
        fault_bug_set("ack-early");
    if (!at_set(args->journal, args->at))
        return 5;
    if (svm_engine_open(&engine, &config, &detail) != SVM_OK) {
        fprintf(stderr, "worker: %s\n", detail.reason);
        return 3;
    }
    atomic_fetch_add(&args->journal->lives, 1);
    atomic_store(&args->journal->ready, 1);
    for (unsigned i = 0; i <= PAYERS; i++) {
        pthread_t thread;
        payers[i] = (struct payer){.args = args, .engine = engine, .index = i};
        rng_init(&payers[i].rng, args->seed + i);
        if (i < PAYERS && pthread_create(&thread, NULL, pay_main, &payers[i]) != 0)
            die("no thread");
    }
    for (unsigned i = 0; i < JOURNAL_CELLS; i++) {
        pthread_t thread;
        countings[i] = (struct counting){.args = args, .engine = engine, .index = i};
        if (pthread_create(&thread, NULL, count_main, &countings[i]) != 0)
            die("no thread");
    }
    pthread_t filler;
    if (strncmp(args->at, "mvcc.index.", 11) == 0 &&
        pthread_create(&filler, NULL, fill_main, &countings[0]) != 0)
        die("no thread");
    for (;;)
        keep_house(&payers[PAYERS]);
}
