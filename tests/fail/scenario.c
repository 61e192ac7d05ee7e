#include "scenario.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <svm.h>

#include "base/assert.h"

/* A signed transaction with its digest. */
struct sent_tx {
    uint8_t buf[1024];
    struct svm_bytes bytes;
    struct svm_digest digest;
};
/* Shared with the process of left_open: they name the time when they expire. */
static struct txs {
    bool made;
    struct sent_tx tx[TASK_TXS];
} * sent;
static bool tx_acked[TASK_TXS], cell_acked[TASK_CELLS];

__attribute__((format(printf, 2, 3))) static void wrong(struct task *task, const char *format, ...)
{
    if (task->report->text[0] != '\0')
        return;
    va_list more;
    va_start(more, format);
    vsnprintf(task->report->text, sizeof task->report->text, format, more);
    va_end(more);
}

static void pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000},
              NULL);
}

/* answer: is ERR one that a caller may be told? */
static bool answer(struct task *task, const char *what, enum svm_err err)
{
    if (err == SVM_OK)
        return true;
    if ((unsigned)err >= SVM_ERR_COUNT || svm_err_name(err)[0] == '\0')
        wrong(task, "%s: no such error: %d", what, (int)err);
    task->report->refused++;
    return false;
}

static void config_make(struct svm_config *config, const struct task *task)
{
    svm_config_init(config);
    config->datadir = task->dir;
    config->durability = SVM_SYNC;
    config->workers = 2;
    config->inflight_max = 64;
    config->disk_free_min_bytes = 0;
}

/* tx_make: transaction I. Even ones pay from an object of the sender's own (fast), odd ones add to the shared counter (consensus). */
static void tx_make(struct sent_tx *tx, struct svm_engine *engine, unsigned i)
{
    struct svm_chain_info info;
    struct svm_dev_account from, to;
    struct svm_refusal refusal;
    struct svm_op op = {.kind = i % 2 == 0 ? SVM_OP_PAY : SVM_OP_ADD};
    struct svm_id id;
    uint8_t raw[sizeof tx->buf];
    char label[32];
    size_t len;
    svm_chain_info(engine, &info);
    svm_dev_account(&from, i / 2 % 6);
    svm_dev_account(&to, 9);
    snprintf(label, sizeof label, "%s spare %u", from.name, i / 12);
    svm_dev_object_id(&id, i % 2 == 0 ? label : "counter");
    struct svm_tx_builder *builder = svm_tx_builder_create(info.chain, &from.address);
    svm_tx_builder_gas_limit(builder, 100000);
    svm_tx_builder_expires(builder, svm_now_ms(engine) + 60000);
    svm_tx_builder_nonce(builder, i);
    op.input = (uint16_t)(i % 2 == 0 ? svm_tx_builder_owned_latest(builder, &id)
                                     : svm_tx_builder_shared(builder, &id, true));
    if (i % 2 == 0) {
        op.u.pay.to = to.address;
        op.u.pay.amount.units = 1 + i;
    } else {
        op.u.add.delta = 1;
    }
    svm_tx_builder_op(builder, &op);
    SVM_ASSERT(svm_tx_builder_finish(builder, raw, sizeof raw, &len, &refusal) == SVM_OK);
    svm_tx_digest(&tx->digest, (struct svm_bytes){raw, len});
    enum svm_err err = svm_tx_sign(tx->buf, sizeof tx->buf, &tx->bytes.len,
                                   (struct svm_bytes){raw, len}, &from.key);
    SVM_ASSERT(err == SVM_OK);
    tx->bytes.ptr = tx->buf;
    svm_tx_builder_destroy(builder);
}

static void txs_make(struct svm_engine *engine)
{
    if (sent->made)
        return;
    sent->made = true;
    for (unsigned i = 0; i < TASK_TXS; i++)
        tx_make(&sent->tx[i], engine, i);
}

/* ---- work ------------------------------------------------------------------------------------------------- */

/* Answers of batches: which transaction it was comes as the argument. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned answered;
    unsigned times[TASK_TXS];
    enum svm_err err[TASK_TXS];
    bool durable[TASK_TXS];
} batch = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void batch_answer(void *arg, const struct svm_outcome *outcome)
{
    size_t i = (size_t)((struct sent_tx *)arg - sent->tx);
    pthread_mutex_lock(&batch.lock);
    batch.times[i]++;
    batch.err[i] = outcome->err;
    batch.durable[i] = outcome->err == SVM_OK && outcome->receipt != NULL && outcome->durable;
    batch.answered++;
    pthread_cond_signal(&batch.changed);
    pthread_mutex_unlock(&batch.lock);
}

static void batch_send(struct task *task, struct svm_engine *engine, unsigned from, unsigned count,
                       bool run)
{
    static struct svm_submission all[TASK_TXS];
    static struct svm_refusal refusals[TASK_TXS];
    for (unsigned i = 0; i < count; i++)
        all[i] = (struct svm_submission){
            .bytes = sent->tx[from + i].bytes, .arg = &sent->tx[from + i], .refusal = &refusals[i]};
    unsigned before = batch.answered, taken = 0;
    if (run)
        svm_run_batch(engine, all, count, SVM_WAIT_DURABLE, batch_answer);
    else
        svm_submit_batch(engine, all, count, SVM_WAIT_DURABLE, batch_answer);
    for (unsigned i = 0; i < count; i++)
        taken += answer(task, "batch", all[i].err);
    pthread_mutex_lock(&batch.lock);
    while (batch.answered < before + taken)
        pthread_cond_wait(&batch.changed, &batch.lock);
    for (unsigned i = 0; i < count; i++) {
        if (batch.times[from + i] != (all[i].err == SVM_OK))
            wrong(task, "transaction %u answered %u times", from + i, batch.times[from + i]);
        tx_acked[from + i] = all[i].err == SVM_OK && batch.durable[from + i];
        if (all[i].err == SVM_OK)
            answer(task, "outcome", batch.err[from + i]);
    }
    pthread_mutex_unlock(&batch.lock);
}

/* submit: transaction I, to be durable. */
static enum svm_err submit(struct svm_engine *engine, unsigned i, bool *durable_out)
{
    struct svm_refusal refusal;
    struct svm_receipt *receipt = NULL;
    struct svm_outcome outcome = {0};
    enum svm_err err =
        svm_submit_wait(engine, sent->tx[i].bytes, SVM_WAIT_DURABLE, &receipt, &outcome, &refusal);
    *durable_out = err == SVM_OK && outcome.durable;
    svm_receipt_free(receipt);
    return err;
}

static void work_submit(struct task *task, struct svm_engine *engine)
{
    for (unsigned i = 0; i < 8; i++) {
        bool durable;
        answer(task, "submit_wait", submit(engine, i, &durable));
        tx_acked[i] = tx_acked[i] || durable;
    }
}

static void work_batch(struct task *task, struct svm_engine *engine)
{
    batch_send(task, engine, 0, 8, false);
    batch_send(task, engine, 8, 8, true);
}

static enum svm_err cell_write(void *arg, struct svm_cell_txn *txn)
{
    uint8_t i = *(uint8_t *)arg, key[2] = {'k', i}, value[300] = {i};
    struct svm_bytes have;
    enum svm_err err = svm_cell_get(txn, (struct svm_bytes){key, sizeof key}, &have);
    if (err != SVM_OK && err != SVM_E_NOT_FOUND)
        return err;
    return svm_cell_put(txn, (struct svm_bytes){key, sizeof key},
                        (struct svm_bytes){value, sizeof value});
}

static void work_cells(struct task *task, struct svm_engine *engine)
{
    static uint8_t which[TASK_CELLS];
    static struct svm_cell_job jobs[TASK_CELLS];
    unsigned half = TASK_CELLS / 2;
    for (uint8_t i = 0; i < TASK_CELLS; i++)
        which[i] = i;
    for (unsigned i = 0; i < half; i++)
        cell_acked[i] =
            answer(task, "cell_run",
                   svm_cell_run(engine, cell_write, &which[i], SVM_WAIT_DURABLE, NULL, NULL));
    struct svm_cell_batch_stats stats;
    for (unsigned i = half; i < TASK_CELLS; i++)
        jobs[i] = (struct svm_cell_job){.fn = cell_write, .arg = &which[i], .fast = i % 2 == 0};
    svm_cell_run_batch(engine, jobs + half, TASK_CELLS - half, SVM_WAIT_DURABLE, &stats);
    for (unsigned i = half; i < TASK_CELLS; i++)
        cell_acked[i] = answer(task, "cell_run_batch", jobs[i].err);
}

static bool visit(void *arg, const struct svm_object *object)
{
    (void)object;
    ++*(unsigned *)arg;
    return true;
}

static void work_query(struct task *task, struct svm_engine *engine)
{
    static struct svm_stats stats;
    static struct svm_route route;
    struct svm_refusal refusal;
    struct svm_snapshot *snapshot;
    struct svm_receipt *receipt = NULL;
    if (answer(task, "simulate", svm_simulate(engine, sent->tx[1].bytes, true, &receipt, &refusal)))
        svm_receipt_free(receipt);
    answer(task, "explain", svm_explain_route(engine, sent->tx[0].bytes, true, &route, &refusal));
    if (answer(task, "receipt", svm_receipt_get(engine, &sent->tx[0].digest, &receipt)))
        svm_receipt_free(receipt);
    svm_stats(engine, &stats);
    if (!answer(task, "snapshot", svm_snapshot_open(engine, &snapshot)))
        return;
    struct svm_dev_account alice;
    svm_dev_account(&alice, 0);
    struct svm_object *objects[8];
    size_t count = 0;
    bool more;
    unsigned seen = 0;
    struct svm_digest hash;
    if (answer(task, "get", svm_object_get(snapshot, &alice.coin, &objects[0])))
        svm_object_free(objects[0]);
    if (answer(task, "list",
               svm_object_list(snapshot, &alice.address, NULL, objects, 8, &count, &more)))
        for (size_t i = 0; i < count; i++)
            svm_object_free(objects[i]);
    answer(task, "scan", svm_state_scan(snapshot, visit, &seen));
    answer(task, "hash", svm_state_hash(snapshot, &hash));
    svm_snapshot_close(snapshot);
}

static void work_maintain(struct task *task, struct svm_engine *engine)
{
    char copy[80];
    struct svm_refusal refusal;
    uint64_t seq;
    work_batch(task, engine);
    svm_gc_run(engine);
    snprintf(copy, sizeof copy, "%s/copy", task->dir);
    answer(task, "checkpoint", svm_checkpoint(engine, copy, &seq, &refusal));
    answer(task, "compact", svm_compact(engine));
    work_submit(task, engine); /* once more: duplicates */
}

const struct scenario scenarios[] = {
    {"create", true, true, false, work_submit},      {"recover", true, true, true, NULL},
    {"submit", false, false, false, work_submit},    {"batch", false, true, false, work_batch},
    {"cells", false, false, false, work_cells},      {"query", false, false, false, work_query},
    {"maintain", false, true, false, work_maintain},
};
const unsigned scenario_count = sizeof scenarios / sizeof scenarios[0];

/* begin: before anything of an engine is there. */
static void begin(void)
{
    sent = mmap(NULL, sizeof *sent, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    SVM_ASSERT(sent != MAP_FAILED);
}

/* ---- one life ----------------------------------------------------------------------------------------------- */

/* left_open: somebody worked here and was killed. What was acknowledged is all that can be. */
static void left_open(struct task *task)
{
    pid_t child = fork();
    if (child == 0) {
        struct svm_config config;
        struct svm_engine *engine;
        config_make(&config, task);
        if (svm_engine_open(&engine, &config, NULL) != SVM_OK)
            _exit(1);
        txs_make(engine);
        work_batch(task, engine);
        work_cells(task, engine);
        _exit(0);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        wrong(task, "the directory could not be prepared");
    for (unsigned i = 0; i < 16; i++)
        tx_acked[i] = true;
    for (unsigned i = 0; i < TASK_CELLS; i++)
        cell_acked[i] = true;
}

static void check_cell(struct task *task, struct svm_engine *engine, uint8_t i)
{
    struct svm_cell_txn *txn;
    struct svm_bytes value;
    uint8_t key[2] = {'k', i};
    if (svm_cell_begin(engine, &txn) != SVM_OK) {
        wrong(task, "no cell transaction afterwards");
        return;
    }
    if (svm_cell_get(txn, (struct svm_bytes){key, sizeof key}, &value) != SVM_OK ||
        value.len != 300 || value.ptr[0] != i)
        wrong(task, "cell %u was acknowledged and is gone", i);
    svm_cell_abort(txn);
}

/* check: without faults, everything acknowledged is there, and more can be done. */
static void check(struct task *task)
{
    struct svm_config config;
    struct svm_engine *engine;
    struct svm_refusal refusal = {0};
    config_make(&config, task);
    enum svm_err err = svm_engine_open(&engine, &config, &refusal);
    if (err != SVM_OK) {
        wrong(task, "does not open afterwards: %s %s", svm_err_name(err), refusal.reason);
        return;
    }
    txs_make(engine);
    for (unsigned i = 0; i < TASK_TXS; i++) {
        struct svm_receipt *receipt = NULL;
        if (!tx_acked[i])
            continue;
        task->report->acked++;
        err = svm_receipt_get(engine, &sent->tx[i].digest, &receipt);
        if (err != SVM_OK)
            wrong(task, "transaction %u was acknowledged: %s", i, svm_err_name(err));
        svm_receipt_free(receipt);
    }
    for (uint8_t i = 0; i < TASK_CELLS; i++)
        if (cell_acked[i])
            check_cell(task, engine, i);
    bool durable;
    err = submit(engine, TASK_TXS - 1, &durable);
    if (err != SVM_OK)
        wrong(task, "no work afterwards: %s", svm_err_name(err));
    svm_engine_close(engine);
}

/* log_final: an error of the log is final. */
static void log_final(struct task *task, struct svm_engine *engine)
{
    struct svm_refusal refusal;
    if (!calls_log_failed())
        return;
    if (svm_health(engine, &refusal) == SVM_OK)
        wrong(task, "a write of the log failed, and the engine says it is well");
    bool durable;
    enum svm_err err = submit(engine, TASK_TXS - 2, &durable);
    if (err == SVM_OK)
        wrong(task, "a write of the log failed, and more was acknowledged");
}

void scenario_run(struct task *task)
{
    const struct scenario *s = task->scenario;
    struct svm_config config;
    struct svm_engine *engine = NULL;
    struct svm_refusal refusal = {0};
    begin();
    if (s->left_open)
        left_open(task);
    config_make(&config, task);
    if (s->from_open)
        calls_arm(task->kind, task->n, task->for_good);
    if (answer(task, "open", svm_engine_open(&engine, &config, &refusal))) {
        task->report->opened = true;
        if (s->from_open)
            calls_disarm();
        if (!s->left_open)
            txs_make(engine);
        if (!s->from_open)
            calls_arm(task->kind, task->n, task->for_good);
        if (s->work != NULL)
            s->work(task, engine);
        log_final(task, engine);
        if (!s->to_close)
            calls_disarm();
        svm_engine_close(engine);
    }
    calls_disarm();
    for (int i = 0; i < CALLS_COUNT; i++)
        task->report->counts[i] = calls_count((enum calls_kind)i);
    task->report->failed = calls_failed();
    check(task);
}

/* ---- a full disk ---------------------------------------------------------------------------------------------- */

/* until: health says ERR, at the latest after ten seconds. */
static void until(struct task *task, struct svm_engine *engine, enum svm_err err)
{
    struct svm_refusal refusal;
    for (unsigned i = 0; i < 1000 && svm_health(engine, &refusal) != err; i++)
        pause_ms(10);
    if (svm_health(engine, &refusal) != err)
        wrong(task, "health never said %s", svm_err_name(err));
}

void scenario_full_disk(struct task *task)
{
    struct svm_config config;
    struct svm_engine *engine;
    bool none;
    begin();
    config_make(&config, task);
    config.disk_free_min_bytes = 1 << 20;
    if (svm_engine_open(&engine, &config, NULL) != SVM_OK) {
        wrong(task, "does not open");
        return;
    }
    txs_make(engine);
    for (unsigned round = 0; round < 2; round++) {
        if (submit(engine, round, &tx_acked[round]) != SVM_OK || !tx_acked[round])
            wrong(task, "refused with room on the disk");
        calls_disk_full(true);
        until(task, engine, SVM_E_STORAGE_READ_ONLY);
        if (submit(engine, 2 + round, &none) != SVM_E_STORAGE_READ_ONLY)
            wrong(task, "taken without room on the disk");
        unsigned refused = task->report->refused;
        work_query(task, engine);
        if (task->report->refused != refused)
            wrong(task, "reads refused while the disk was full");
        calls_disk_full(false);
        until(task, engine, SVM_OK);
    }
    if (submit(engine, 4, &tx_acked[4]) != SVM_OK || !tx_acked[4])
        wrong(task, "refused though there is room again");
    svm_engine_close(engine);
    check(task);
}
