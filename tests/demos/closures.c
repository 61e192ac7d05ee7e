#include "demos/closures.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "demos/demo.h"

/* ---- text ------------------------------------------------------------------------------------------------------- */

static size_t put_number(char *at, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (size_t i = 0; i < count; i++)
        at[i] = digits[count - 1 - i];
    return count;
}

struct text text_make(const char *prefix, uint64_t number, const char *suffix)
{
    struct text text;
    const size_t before = strlen(prefix), after = strlen(suffix);
    if (before + 20 + after > sizeof text.s)
        demo_die("a key of %zu bytes does not fit", before + 20 + after);
    memcpy(text.s, prefix, before);
    text.len = before + put_number(text.s + before, number);
    memcpy(text.s + text.len, suffix, after);
    text.len += after;
    return text;
}

struct svm_bytes text_bytes(const struct text *text)
{
    return (struct svm_bytes){(const uint8_t *)text->s, text->len};
}

struct svm_bytes text_literal(const char *literal)
{
    return (struct svm_bytes){(const uint8_t *)literal, strlen(literal)};
}

static int64_t parse_number(struct svm_bytes bytes)
{
    const bool negative = bytes.len > 0 && bytes.ptr[0] == '-';
    int64_t number = 0;
    for (size_t i = negative; i < bytes.len; i++) {
        if (bytes.ptr[i] < '0' || bytes.ptr[i] > '9')
            demo_die("a cell holds \"%.*s\", which is no number", (int)bytes.len,
                     (const char *)bytes.ptr);
        number = 10 * number + (bytes.ptr[i] - '0');
    }
    return negative ? -number : number;
}

static struct text number_text(int64_t number)
{
    return number < 0 ? text_make("-", (uint64_t)-number, "") : text_make("", (uint64_t)number, "");
}

/* ---- cells ------------------------------------------------------------------------------------------------------ */

enum svm_err cell_number(int64_t *number_out, struct svm_cell_txn *txn, struct svm_bytes key)
{
    struct svm_bytes value;
    const enum svm_err err = svm_cell_get(txn, key, &value);
    *number_out = err == SVM_OK ? parse_number(value) : 0;
    return err == SVM_E_NOT_FOUND ? SVM_OK : err;
}

enum svm_err cell_add(struct svm_cell_txn *txn, struct svm_bytes key, int64_t delta)
{
    int64_t number;
    const enum svm_err err = cell_number(&number, txn, key);
    if (err != SVM_OK)
        return err;
    const struct text value = number_text(number + delta);
    return svm_cell_put(txn, key, text_bytes(&value));
}

int64_t cell_read_number(struct svm_engine *engine, struct svm_bytes key)
{
    struct svm_cell_txn *txn;
    int64_t number;
    demo_must(svm_cell_begin(engine, &txn), NULL, "beginning a transaction");
    demo_must(cell_number(&number, txn, key), NULL, "reading a cell");
    svm_cell_abort(txn);
    return number;
}

bool cell_holds(struct svm_engine *engine, struct svm_bytes key, struct svm_bytes value)
{
    struct svm_cell_txn *txn;
    struct svm_bytes found;
    demo_must(svm_cell_begin(engine, &txn), NULL, "beginning a transaction");
    const enum svm_err err = svm_cell_get(txn, key, &found);
    const bool same =
        err == SVM_OK && found.len == value.len && memcmp(found.ptr, value.ptr, value.len) == 0;
    if (err != SVM_OK && err != SVM_E_NOT_FOUND)
        demo_must(err, NULL, "reading a cell");
    svm_cell_abort(txn);
    return same;
}

void cell_store(struct svm_engine *engine, struct svm_bytes key, struct svm_bytes value)
{
    struct svm_cell_txn *txn;
    demo_must(svm_cell_begin(engine, &txn), NULL, "beginning a transaction");
    demo_must(svm_cell_put(txn, key, value), NULL, "writing a cell");
    demo_must(svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL), NULL, "writing a cell");
}

int64_t cells_sum(struct svm_engine *engine, const char *prefix, uint64_t count, const char *suffix)
{
    int64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        const struct text key = text_make(prefix, i, suffix);
        sum += cell_read_number(engine, text_bytes(&key));
    }
    return sum;
}

/* ---- closures --------------------------------------------------------------------------------------------------- */

enum svm_err closure_blind_write(void *arg, struct svm_cell_txn *txn)
{
    const struct closure *closure = arg;
    const struct text key = text_make("fast_", closure->n, "");
    const struct text value = text_make("val_", closure->n, "");
    return svm_cell_put(txn, text_bytes(&key), text_bytes(&value));
}

enum svm_err closure_pool_add(void *arg, struct svm_cell_txn *txn)
{
    const struct closure *closure = arg;
    const struct text key = text_make("pool_", closure->from, "_counter");
    return cell_add(txn, text_bytes(&key), 1);
}

enum svm_err closure_transfer(void *arg, struct svm_cell_txn *txn)
{
    const struct closure *closure = arg;
    const struct text from = text_make("account_", closure->from, "");
    const struct text to = text_make("account_", closure->to, "");
    int64_t have, there;
    enum svm_err err = cell_number(&have, txn, text_bytes(&from));
    if (err == SVM_OK)
        err = cell_number(&there, txn, text_bytes(&to));
    if (err != SVM_OK || have < closure->amount)
        return err;
    const struct text left = number_text(have - closure->amount);
    const struct text now = number_text(there + closure->amount);
    err = svm_cell_put(txn, text_bytes(&from), text_bytes(&left));
    return err == SVM_OK ? svm_cell_put(txn, text_bytes(&to), text_bytes(&now)) : err;
}

/* ---- routing ---------------------------------------------------------------------------------------------------- */

enum svm_err closure_route(enum svm_path *path_out, struct svm_snapshot *snapshot,
                           const struct closure *closure)
{
    return svm_route_objects(snapshot, closure->sender, closure->objects, closure->object_count,
                             path_out);
}

/* ---- the batch -------------------------------------------------------------------------------------------------- */

/* A chunk is small enough that every thread gets several. */
enum { CHUNK = 256, CHUNKS_PER_THREAD = 4 };

struct run {
    struct svm_engine *engine;
    struct closure *closures;
    size_t count, chunk;
    enum closures_routing routing;
    _Alignas(64) _Atomic size_t next;
    _Alignas(64) pthread_mutex_t mutex;
    struct closures_result result;
};

void closures_run_jobs(struct svm_engine *engine, struct svm_cell_job *jobs, size_t count,
                       struct svm_cell_batch_stats *stats_out)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000};
    svm_cell_run_batch(engine, jobs, count, SVM_WAIT_EXECUTED, stats_out);
    for (size_t i = 0; i < count && stats_out->failed > 0; i++)
        while (jobs[i].err == SVM_E_OVERLOADED) {
            struct svm_cell_batch_stats once;
            nanosleep(&pause, NULL);
            svm_cell_run_batch(engine, &jobs[i], 1, SVM_WAIT_EXECUTED, &once);
            stats_out->failed -= once.failed == 0;
            stats_out->fast += once.fast;
            stats_out->consensus += once.consensus;
            stats_out->fallbacks += once.fallbacks;
            stats_out->retries += 1 + once.retries;
        }
}

/* Refused ones never become jobs; INDEX tells which closure a job is. */
static size_t make_jobs(struct run *run, struct svm_cell_job *jobs, uint16_t *index, size_t begin,
                        size_t count, uint64_t *refused)
{
    struct svm_snapshot *snapshot = NULL;
    size_t made = 0;
    if (run->routing == CLOSURES_ROUTED)
        demo_must(svm_snapshot_open(run->engine, &snapshot), NULL, "opening a snapshot");
    for (size_t i = 0; i < count; i++) {
        struct closure *closure = &run->closures[begin + i];
        enum svm_path path = SVM_PATH_CONSENSUS;
        closure->err = snapshot ? closure_route(&path, snapshot, closure) : SVM_OK;
        if (closure->err != SVM_OK) {
            ++*refused;
            continue;
        }
        index[made] = (uint16_t)i;
        jobs[made++] =
            (struct svm_cell_job){.fn = closure->fn, .arg = closure, .fast = path == SVM_PATH_FAST};
    }
    svm_snapshot_close(snapshot);
    return made;
}

static void *run_chunks(void *arg)
{
    struct run *run = arg;
    struct closures_result sum = {0};
    struct svm_cell_job jobs[CHUNK];
    uint16_t index[CHUNK];
    for (;;) {
        const size_t begin = atomic_fetch_add(&run->next, run->chunk);
        if (begin >= run->count)
            break;
        const size_t count = run->count - begin < run->chunk ? run->count - begin : run->chunk;
        struct svm_cell_batch_stats stats;
        const size_t made = make_jobs(run, jobs, index, begin, count, &sum.refused);
        closures_run_jobs(run->engine, jobs, made, &stats);
        for (size_t i = 0; i < made; i++)
            run->closures[begin + index[i]].err = jobs[i].err;
        sum.fast += stats.fast;
        sum.consensus += stats.consensus;
        sum.fallbacks += stats.fallbacks;
        sum.failed += stats.failed;
        sum.retries += stats.retries;
    }
    pthread_mutex_lock(&run->mutex);
    run->result.fast += sum.fast;
    run->result.consensus += sum.consensus;
    run->result.fallbacks += sum.fallbacks;
    run->result.failed += sum.failed;
    run->result.refused += sum.refused;
    run->result.retries += sum.retries;
    pthread_mutex_unlock(&run->mutex);
    return NULL;
}

void closures_run(struct closures_result *result_out, struct svm_engine *engine,
                  struct closure *closures, size_t count, unsigned threads,
                  enum closures_routing routing)
{
    struct run run = {.engine = engine,
                      .closures = closures,
                      .count = count,
                      .routing = routing,
                      .mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t others[CLOSURE_THREADS_MAX];
    if (threads == 0 || threads > CLOSURE_THREADS_MAX)
        demo_die("%u threads: 1 to %d are possible", threads, CLOSURE_THREADS_MAX);
    run.chunk = count / (threads * CHUNKS_PER_THREAD);
    run.chunk = run.chunk == 0 ? 1 : run.chunk > CHUNK ? CHUNK : run.chunk;
    const double begin = demo_now_s();
    for (unsigned i = 1; i < threads; i++)
        if (pthread_create(&others[i], NULL, run_chunks, &run) != 0)
            demo_die("a thread could not be started");
    run_chunks(&run);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(others[i], NULL);
    *result_out = run.result;
    result_out->seconds = demo_now_s() - begin;
    result_out->ok = result_out->fast + result_out->consensus;
}
