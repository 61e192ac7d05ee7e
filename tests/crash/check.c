/* What was promised is there, once, in order, and the state is what the receipts say it is. */
#include "crash/role.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "crash/at.h"
#include "crash/driver.h"
#include "crash/idmap.h"
#include "crash/spoil.h"
#include "crash/tx.h"
#include "store/store.h"

struct check {
    const struct role_args *args;
    struct journal *journal;
    struct rng rng;
    struct svm_engine *engine;
    uint32_t records;
    unsigned failures;

    struct idmap by_digest; /* index of the record; seq as the log has it */
    struct idmap objects;   /* last effects, from receipts */
    uint64_t log_begin, log_end;
    uint64_t cell_seqs[JOURNAL_CELLS]; /* positions answered that the log shows as cells */
    int64_t counter;                   /* what executed transactions have added */
};

__attribute__((format(printf, 2, 3))) static void bad(struct check *check, const char *format, ...)
{
    va_list ap;
    if (++check->failures > 8)
        return;
    va_start(ap, format);
    fputs("     ", stdout);
    vprintf(format, ap);
    putchar('\n');
    va_end(ap);
}

static const char *name_of(char text[67], const uint8_t digest[32])
{
    svm_hex32_format(text, digest);
    text[18] = '\0';
    return text;
}

/* ---- the log --------------------------------------------------------------------------------------------------- */

static void fold_frame(struct check *check, const struct model_effects *tx)
{
    char text[67];
    struct idmap_entry *entry = idmap_find(&check->by_digest, tx->digest.b);
    if (entry == NULL)
        bad(check, "the log holds %s, which nobody handed in", name_of(text, tx->digest.b));
    else if (entry->seq != 0)
        bad(check, "%s was executed twice: %" PRIu64 ", %" PRIu64, name_of(text, tx->digest.b),
            entry->seq, tx->seq);
    else
        entry->seq = tx->seq;
}

static bool visit_frame(void *arg, const struct model_frame *frame)
{
    struct check *check = arg;
    if (check->log_begin == 0)
        check->log_begin = frame->seq;
    else if (frame->seq != check->log_end + 1)
        bad(check, "the log goes from %" PRIu64 " to %" PRIu64, check->log_end, frame->seq);
    check->log_end = frame->seq;
    if (frame->kind == MODEL_FRAME_TX)
        fold_frame(check, &frame->tx);
    for (unsigned i = 0; i < JOURNAL_CELLS && frame->kind == MODEL_FRAME_CELLS; i++)
        if (atomic_load(&check->journal->cells[i].seq) == frame->seq)
            check->cell_seqs[i] = frame->seq;
    return true;
}

/* forgive: what lies behind END was never on the disk, and in mode write nobody has said so. */
static void forgive(struct check *check, uint64_t end)
{
    if (atomic_load(&check->journal->told_seq) > end)
        atomic_store(&check->journal->told_seq, end);
    for (uint32_t i = 0; i < check->records; i++)
        if (atomic_load(&check->journal->records[i].seq) > end)
            atomic_store(&check->journal->records[i].promised, 0);
    for (unsigned i = 0; i < JOURNAL_CELLS; i++) {
        struct cell_record *record = &check->journal->cells[i];
        if (atomic_load(&record->seq) <= end)
            continue;
        atomic_store(&record->seq, 0);
        atomic_store(&record->answered, 0);
    }
}

static void check_log_end(struct check *check, uint64_t end)
{
    if (check->args->power && check->args->mode == SVM_WRITE)
        forgive(check, end);
    uint64_t told = atomic_load(&check->journal->told_seq);
    if (end < told)
        bad(check, "%" PRIu64 " was said to be durable, recovered is %" PRIu64, told, end);
    if (check->log_begin != 0 && check->log_end != end)
        bad(check, "the log ends at %" PRIu64 ", recovery at %" PRIu64, check->log_end, end);
    for (unsigned i = 0; i < JOURNAL_CELLS; i++) {
        uint64_t seq = atomic_load(&check->journal->cells[i].seq);
        if (check->log_begin != 0 && seq >= check->log_begin && check->cell_seqs[i] != seq)
            bad(check, "cells of thread %u were durable at %" PRIu64 ", the log has not got them",
                i, seq);
    }
}

static struct store *open_store(struct check *check, const char *datadir,
                                struct store_opened *opened)
{
    static const enum store_mode modes[] = {STORE_MEMORY, STORE_WRITE, STORE_SYNC, STORE_INTERVAL};
    struct svm_config config;
    struct model_genesis genesis;
    struct store *store = NULL;
    char reason[120];
    role_config(&config, check->args);
    SVM_ASSERT(model_genesis_parse(&genesis, svm_genesis_dev(), reason) == SVM_OK);
    const struct store_config sc = {.datadir = datadir,
                                    .mode = modes[config.durability],
                                    .receipts_seconds = config.receipts_seconds,
                                    .history_versions = config.history_versions,
                                    .history_seconds = config.history_seconds,
                                    .ingest_bytes = check->args->busy_house ? 4096 : 0};
    enum svm_err err = store_open(&store, &sc, &genesis, opened, reason);
    model_genesis_deinit(&genesis);
    if (err == SVM_OK)
        return store;
    bad(check, "the store does not open: %s, %s", svm_err_name(err), reason);
    return NULL;
}

static bool visit_nothing(void *arg, const struct model_frame *frame)
{
    (void)arg;
    (void)frame;
    return true;
}

/* A checkpoint is whole or not there; whole, it opens and is a prefix of what is here, which ends at END. */
static void check_checkpoint(struct check *check, uint64_t end)
{
    char path[300];
    struct store_opened opened;
    snprintf(path, sizeof path, "%s/../checkpoint", check->args->datadir);
    if (access(path, F_OK) != 0)
        return;
    struct store *store = open_store(check, path, &opened);
    if (store == NULL)
        return;
    if (opened.created || opened.next_seq - 1 > end)
        bad(check, "the checkpoint ends at %" PRIu64 ", what it was taken of at %" PRIu64,
            opened.next_seq - 1, end);
    enum svm_err err = store_log_visit(store, 0, visit_nothing, NULL);
    if (err != SVM_OK)
        bad(check, "the log of the checkpoint cannot be read: %s", svm_err_name(err));
    store_close(store);
    driver_remove(path);
}

static void check_log(struct check *check)
{
    struct store_opened opened;
    struct store *store = open_store(check, check->args->datadir, &opened);
    if (store == NULL)
        return;
    enum svm_err err = store_log_visit(store, 0, visit_frame, check);
    if (err != SVM_OK)
        bad(check, "the log cannot be read: %s", svm_err_name(err));
    check_log_end(check, opened.next_seq - 1);
    if (rng_below(&check->rng, 3) == 0 && store_trim(store) != SVM_OK)
        bad(check, "the log cannot be trimmed");
    store_close(store);
    check_checkpoint(check, opened.next_seq - 1);
}

int role_recover(const struct role_args *args)
{
    struct check check = {.args = args, .journal = args->journal};
    rng_init(&check.rng, args->seed);
    if (args->spoil)
        spoil_log(args->datadir, rng_below(&check.rng, 2));
    if (!at_set(args->journal, args->at))
        return 5;
    for (;;) {
        struct store_opened opened;
        uint64_t did;
        struct store *store = open_store(&check, args->datadir, &opened);
        if (store == NULL)
            return 3;
        atomic_store(&args->journal->ready, 1);
        if (store_materialise(store, 1 << 20, &did) != SVM_OK ||
            (rng_below(&check.rng, 2) && store_trim(store) != SVM_OK) ||
            store_sweep(store, opened.node_ms, 10000) != SVM_OK)
            return 3;
        store_close(store);
    }
}

/* ---- receipts -------------------------------------------------------------------------------------------------- */

static void fold_receipt(struct check *check, const struct svm_receipt *receipt, int64_t delta)
{
    if (receipt->failure == SVM_FAILURE_NONE)
        check->counter += delta;
    for (uint16_t i = 0; i < receipt->change_count; i++) {
        const struct svm_change *change = &receipt->changes[i];
        struct idmap_entry *entry = idmap_put(&check->objects, change->id.b);
        if (entry->seq > receipt->seq)
            continue;
        if (entry->seq == receipt->seq)
            bad(check, "two transactions wrote one object at %" PRIu64, receipt->seq);
        entry->seq = receipt->seq;
        entry->version = change->version;
        entry->deleted = change->change == SVM_CHANGE_DELETED;
    }
}

/* compare: RECORD has this receipt, or none (NULL). */
static void compare(struct check *check, struct record *record, const struct svm_receipt *receipt)
{
    char text[67];
    const char *name = name_of(text, record->digest.b);
    const struct idmap_entry *logged = idmap_find(&check->by_digest, record->digest.b);
    uint64_t seq = atomic_load(&record->seq);
    uint32_t submits = atomic_load(&record->submits);
    if (receipt == NULL) {
        if (atomic_load(&record->promised))
            bad(check, "lost: %s was answered durable at %" PRIu64, name, seq);
        else if (record->settled)
            bad(check, "lost: %s survived a recovery before", name);
        if (logged->seq != 0)
            bad(check, "%s is in the log at %" PRIu64 " and has no receipt", name, logged->seq);
        atomic_store(&record->seq, 0); /* its position went to another */
        return;
    }
    if (seq != 0 && receipt->seq != seq && journal_binds(check->journal, record))
        bad(check, "%s was answered at %" PRIu64 " and is at %" PRIu64, name, seq, receipt->seq);
    if (logged->seq != 0 && logged->seq != receipt->seq)
        bad(check, "%s is in the log at %" PRIu64 ", its receipt says %" PRIu64, name, logged->seq,
            receipt->seq);
    if (logged->seq == 0 && check->log_begin != 0 && receipt->seq >= check->log_begin &&
        receipt->seq <= check->log_end)
        bad(check, "%s has a receipt for %" PRIu64 " and is not in the log", name, receipt->seq);
    if (submits == 0)
        bad(check, "%s was never handed in", name);
    else if (!record->settled && atomic_load(&record->refusals) == submits)
        bad(check, "%s was refused each time, and executed", name);
    record->settled = 1;
    atomic_store(&record->seq, receipt->seq);
    fold_receipt(check, receipt, record->delta);
}

static void check_receipts(struct check *check)
{
    for (uint32_t i = 0; i < check->records; i++) {
        struct record *record = &check->journal->records[i];
        struct svm_receipt *receipt = NULL;
        if (record->len == 0)
            continue;
        enum svm_err err = svm_receipt_get(check->engine, &record->digest, &receipt);
        if (err != SVM_OK && err != SVM_E_NOT_FOUND)
            bad(check, "a receipt cannot be read: %s", svm_err_name(err));
        else
            compare(check, record, receipt);
        svm_receipt_free(receipt);
    }
}

/* Every position belongs to one transaction only. */
static void check_positions(struct check *check)
{
    struct idmap seqs;
    idmap_init(&seqs);
    for (uint32_t i = 0; i < check->records; i++) {
        uint64_t seq = atomic_load(&check->journal->records[i].seq);
        uint8_t key[32] = {0};
        if (seq == 0)
            continue;
        memcpy(key, &seq, sizeof seq);
        struct idmap_entry *entry = idmap_put(&seqs, key);
        if (entry->seq != 0)
            bad(check, "two transactions have the position %" PRIu64, seq);
        entry->seq = seq;
    }
    idmap_deinit(&seqs);
}

/* ---- state ----------------------------------------------------------------------------------------------------- */

struct scan {
    struct check *check;
    uint64_t sum, count, kinds[3];
};

static bool scan_object(void *arg, const struct svm_object *object)
{
    struct scan *scan = arg;
    struct check *check = scan->check;
    char text[67];
    struct idmap_entry *entry = idmap_find(&check->objects, object->id.b);
    uint64_t seq = entry == NULL ? 0 : entry->seq, version = entry == NULL ? 1 : entry->version;
    scan->sum += object->balance.units;
    scan->count++;
    scan->kinds[object->kind]++;
    if (object->seq != seq || object->version != version || (entry != NULL && entry->deleted))
        bad(check,
            "object %s: version %" PRIu64 " of %" PRIu64 ", the receipts say %" PRIu64
            " of %" PRIu64,
            name_of(text, object->id.b), object->version, object->seq, version, seq);
    if (entry != NULL)
        entry->seen = true;
    return true;
}

static void check_counter(struct check *check, struct svm_snapshot *snapshot)
{
    struct svm_id id;
    struct svm_object *object;
    uint64_t counter;
    svm_dev_object_id(&id, "counter");
    if (svm_object_get(snapshot, &id, &object) != SVM_OK) {
        bad(check, "the counter is gone");
        return;
    }
    memcpy(&counter, object->data.ptr, sizeof counter);
    if (counter != (uint64_t)check->counter)
        bad(check, "the counter is %" PRIu64 ", executed transactions make %" PRIi64, counter,
            check->counter);
    svm_object_free(object);
}

/* The owner index finds as many objects as the scan has seen. */
static uint64_t count_owned(struct check *check, struct svm_snapshot *snapshot)
{
    enum { PAGE = 256 };
    uint64_t total = 0;
    for (unsigned i = 0; i <= SVM_DEV_ACCOUNTS; i++) {
        struct svm_dev_account account;
        struct svm_object *objects[PAGE];
        struct svm_id after;
        size_t count;
        bool more = true;
        svm_dev_account(&account, i);
        for (bool first = true; more; first = false) {
            if (svm_object_list(snapshot, &account.address, first ? NULL : &after, objects, PAGE,
                                &count, &more) != SVM_OK) {
                bad(check, "objects cannot be listed");
                return total;
            }
            total += count;
            for (size_t k = 0; k < count; k++) {
                after = objects[k]->id;
                svm_object_free(objects[k]);
            }
        }
    }
    return total;
}

static void check_state(struct check *check)
{
    struct svm_snapshot *snapshot;
    struct model_genesis genesis;
    char reason[120], text[67];
    struct scan scan = {.check = check};
    uint64_t sum = 0;
    SVM_ASSERT(svm_snapshot_open(check->engine, &snapshot) == SVM_OK);
    if (svm_state_scan(snapshot, scan_object, &scan) != SVM_OK)
        bad(check, "the state cannot be scanned");
    SVM_ASSERT(model_genesis_parse(&genesis, svm_genesis_dev(), reason) == SVM_OK);
    for (size_t i = 0; i < genesis.object_count; i++)
        sum += genesis.objects[i].object->balance;
    model_genesis_deinit(&genesis);
    if (scan.sum != sum)
        bad(check, "balances sum to %" PRIu64 ", the genesis to %" PRIu64, scan.sum, sum);
    for (size_t i = 0; i < check->objects.cap; i++) {
        const struct idmap_entry *entry = &check->objects.entries[i];
        if (entry->used && !entry->deleted && !entry->seen)
            bad(check, "object %s of %" PRIu64 " is gone", name_of(text, entry->key), entry->seq);
    }
    check_counter(check, snapshot);
    uint64_t owned = count_owned(check, snapshot);
    if (owned != scan.kinds[SVM_KIND_OWNED])
        bad(check, "%" PRIu64 " objects are owned, the index knows %" PRIu64,
            scan.kinds[SVM_KIND_OWNED], owned);
    struct svm_stats *stats = malloc(sizeof *stats);
    SVM_ASSERT(stats != NULL);
    svm_stats(check->engine, stats);
    for (unsigned kind = 0; kind < 3; kind++)
        if (stats->objects[kind] != scan.kinds[kind])
            bad(check, "%" PRIu64 " objects are %s, counted are %" PRIu64, scan.kinds[kind],
                svm_kind_name((enum svm_kind)kind), stats->objects[kind]);
    free(stats);
    svm_snapshot_close(snapshot);
}

static void check_cells(struct check *check)
{
    struct svm_cell_txn *txn;
    uint64_t sum = 0;
    SVM_ASSERT(svm_cell_begin(check->engine, &txn) == SVM_OK);
    for (unsigned i = 0; i < JOURNAL_CELLS; i++) {
        const struct cell_record *record = &check->journal->cells[i];
        char own[16], flag[16];
        struct svm_bytes value;
        snprintf(own, sizeof own, "own %u", i);
        snprintf(flag, sizeof flag, "flag %u", i);
        uint64_t number = crash_cell_number(txn, own);
        if (number < atomic_load(&record->answered) || number > atomic_load(&record->tried))
            bad(check, "cell \"%s\" is %" PRIu64 ", durable was %" PRIu64 ", tried %" PRIu64, own,
                number, atomic_load(&record->answered), atomic_load(&record->tried));
        enum svm_err err =
            svm_cell_get(txn, (struct svm_bytes){(const uint8_t *)flag, strlen(flag)}, &value);
        if ((err == SVM_OK) != (number % 2 == 1))
            bad(check, "cell \"%s\" does not go with %" PRIu64, flag, number);
        sum += number;
    }
    if (crash_cell_number(txn, "all") != sum)
        bad(check, "the common cell is %" PRIu64 ", the others sum to %" PRIu64,
            crash_cell_number(txn, "all"), sum);
    svm_cell_abort(txn);
}

/* ---- once more ------------------------------------------------------------------------------------------------- */

/* resubmit: what was executed answers with its old receipt; what was lost is executed or refused, as if it were new. */
static void resubmit(struct check *check, struct record *record)
{
    struct svm_receipt *receipt = NULL;
    struct svm_outcome outcome;
    char text[67];
    uint64_t before = atomic_load(&record->seq);
    atomic_fetch_add(&record->submits, 1);
    enum svm_err err =
        svm_submit_wait(check->engine, (struct svm_bytes){record->bytes, record->len},
                        SVM_WAIT_DURABLE, &receipt, &outcome, NULL);
    if (before != 0 && (err != SVM_OK || !outcome.duplicate || receipt->seq != before))
        bad(check, "%s is at %" PRIu64 "; once more: %s, position %" PRIu64 "%s",
            name_of(text, record->digest.b), before, svm_err_name(err),
            receipt == NULL ? 0 : receipt->seq, outcome.duplicate ? ", duplicate" : "");
    if (before == 0 && err == SVM_OK) {
        if (outcome.duplicate)
            bad(check, "%s was lost, and is a duplicate", name_of(text, record->digest.b));
        atomic_store(&record->seq, receipt->seq);
        atomic_store(&record->promised, 1);
        journal_told(check->journal, receipt->seq);
    }
    if (err != SVM_OK)
        atomic_fetch_add(&record->refusals, 1);
    svm_receipt_free(receipt);
}

static void check_once_more(struct check *check)
{
    enum { RECENT = 120, OLD = 60 };
    for (uint32_t i = 0; i < RECENT + OLD && i < check->records; i++) {
        uint32_t index =
            i < RECENT ? check->records - 1 - i : (uint32_t)rng_below(&check->rng, check->records);
        struct record *record = &check->journal->records[index];
        if (record->len > 0)
            resubmit(check, record);
    }
}

int role_check(const struct role_args *args)
{
    struct check check = {.args = args, .journal = args->journal};
    struct svm_config config;
    struct svm_refusal detail;
    rng_init(&check.rng, args->seed);
    idmap_init(&check.by_digest);
    idmap_init(&check.objects);
    check.records = atomic_load(&check.journal->next);
    for (uint32_t i = 0; i < check.records; i++)
        if (check.journal->records[i].len > 0)
            idmap_put(&check.by_digest, check.journal->records[i].digest.b)->index = i;

    check_log(&check);
    role_config(&config, args);
    if (svm_engine_open(&check.engine, &config, &detail) != SVM_OK) {
        bad(&check, "the engine does not open: %s", detail.reason);
        return 1;
    }
    check_receipts(&check);
    check_positions(&check);
    check_state(&check);
    check_cells(&check);
    if (atomic_load(&check.journal->wrong) > 0)
        bad(&check, "the worker saw %" PRIu64 " answers that cannot be",
            atomic_load(&check.journal->wrong));
    check_once_more(&check);
    check_positions(&check);
    fflush(stdout);
    if (rng_below(&check.rng, 2) == 0)
        _exit(check.failures > 0); /* not closed: the next one recovers again */
    svm_engine_close(check.engine);
    idmap_deinit(&check.by_digest);
    idmap_deinit(&check.objects);
    return check.failures > 0;
}
