#include "crypto/ed25519.h"
#include "engine/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"

/* ---- settings ----------------------------------------------------------------------------------------------------- */

void svm_config_init(struct svm_config *config)
{
    *config = (struct svm_config){
        .durability = SVM_SYNC,
        .durability_interval_ms = 10,
        .workers = 0,
        .inflight_max = 16384,
        .object_queue_max = 8192,
        .busy_attempts_max = 1000,
        .waiters_max = 16384,
        .tx_bytes_max = SVM_TX_BYTES_MAX,
        .tx_inputs_max = SVM_TX_INPUTS_MAX,
        .tx_ops_max = SVM_TX_OPS_MAX,
        .tx_data_bytes_max = SVM_DATA_BYTES_MAX,
        .tx_effects_bytes_max = 1u << 20,
        .tx_expiry_max_ms = 600000,
        .tx_dedupe_bytes = 64u << 20,
        .cache_bytes = 512u << 20,
        .block_cache_bytes = 64u << 20,
        .dirty_bytes_max = 512u << 20,
        .disk_free_min_bytes = 1u << 30,
        .receipts_seconds = 86400,
        .history_versions = 0,
        .history_seconds = 7 * 86400,
        .gc_enabled = 1,
        .gc_adaptive = 1,
        .gc_interval_ms = 10,
        .gc_interval_min_ms = 1,
        .gc_interval_max_ms = 1000,
        .gc_threshold = 10000,
        .gc_threshold_min = 1000,
        .gc_threshold_max = 100000,
        .gc_snapshot_age_max_ms = 30000,
        .sessions_max = 256,
        .cell_value_bytes_max = 64u << 10,
        .cell_attempts_max = 256,
        .verify_signatures = true,
        .clock_jump_max_ms = 60000,
    };
}

const char *svm_durability_name(enum svm_durability mode)
{
    switch (mode) {
    case SVM_MEMORY:
        return "memory";
    case SVM_WRITE:
        return "write";
    case SVM_SYNC:
        return "sync";
    case SVM_INTERVAL:
        return "interval";
    }
    return "";
}

static enum svm_err bad(struct svm_refusal *detail, const char *what)
{
    refusal_because(detail, SVM_E_BAD_CONFIG, "%s", what);
    return SVM_E_BAD_CONFIG;
}

static enum svm_err check_config(const struct svm_config *config, struct svm_refusal *detail)
{
    const struct engine_hooks *hooks = config->test_hooks;
    if (!config->datadir && config->durability != SVM_MEMORY && !(hooks && hooks->log_ops))
        return bad(detail, "a data directory is needed unless durability is memory");
    if (config->inflight_max < 64 || (config->inflight_max & (config->inflight_max - 1)))
        return bad(detail, "engine.inflight_max must be a power of two, at least 64");
    if (config->workers > ENGINE_WORKERS_MAX)
        return bad(detail, "engine.workers is at most 64");
    if (config->tx_bytes_max > SVM_TX_BYTES_MAX || config->tx_inputs_max > SVM_TX_INPUTS_MAX ||
        config->tx_ops_max > SVM_TX_OPS_MAX || config->tx_data_bytes_max > SVM_DATA_BYTES_MAX)
        return bad(detail, "a tx limit exceeds what protocol version 1 allows");
    if (config->tx_effects_bytes_max > ENGINE_EFFECTS_MAX)
        return bad(detail, "tx.effects_bytes_max is at most 1 MiB: a frame of the log");
    if (config->tx_expiry_max_ms > ENGINE_EXPIRY_MAX_MS)
        return bad(detail, "tx.expiry_max is at most 24 hours");
    if (config->tx_dedupe_bytes > ENGINE_DEDUPE_BYTES_MAX)
        return bad(detail, "tx.dedupe_bytes is at most 1 TiB");
    if (config->receipts_seconds * 1000 < config->tx_expiry_max_ms)
        return bad(detail, "receipts.seconds must not be shorter than tx.expiry_max: receipts are "
                           "the dedupe table");
    const char *zero = config->sessions_max == 0        ? "sessions.max must not be 0"
                       : config->object_queue_max == 0  ? "engine.object_queue_max must not be 0"
                       : config->busy_attempts_max == 0 ? "engine.busy_attempts_max must not be 0"
                       : config->cell_attempts_max == 0 ? "cells.attempts_max must not be 0"
                       : config->tx_effects_bytes_max < 1024
                           ? "tx.effects_bytes_max must be at least 1 KiB"
                           : NULL;
    if (zero)
        return bad(detail, zero);
    if (config->gc_interval_min_ms > config->gc_interval_max_ms ||
        config->gc_threshold_min > config->gc_threshold_max)
        return bad(detail, "a gc minimum exceeds its maximum");
    return SVM_OK;
}

/* Settings in force and those before them: a thread may still be reading one. */
struct config_node {
    struct config_node *next;
    struct svm_config config;
};

/* Receipts are the dedupe table: none goes before what was admitted under an earlier, longer limit has expired. */
static void set_retention(struct svm_engine *engine)
{
    const struct svm_config *config = config_of(engine);
    if (config->tx_expiry_max_ms > engine->expiry_max_seen_ms)
        engine->expiry_max_seen_ms = config->tx_expiry_max_ms;
    uint64_t least = (engine->expiry_max_seen_ms + 999) / 1000;
    store_retention(engine->store,
                    config->receipts_seconds > least ? config->receipts_seconds : least,
                    config->history_versions, config->history_seconds);
}

void svm_reconfigure(struct svm_engine *engine, const struct svm_config *config)
{
    struct config_node *node = malloc(sizeof *node);
    if (!node)
        return; /* the old settings stay */
    pthread_mutex_lock(&engine->config_lock);
    node->config = *config_of(engine);
    struct svm_config *own = &node->config;
    own->object_queue_max = config->object_queue_max;
    own->busy_attempts_max = config->busy_attempts_max;
    own->tx_bytes_max = config->tx_bytes_max;
    own->tx_inputs_max = config->tx_inputs_max;
    own->tx_ops_max = config->tx_ops_max;
    own->tx_data_bytes_max = config->tx_data_bytes_max;
    own->tx_expiry_max_ms = config->tx_expiry_max_ms;
    own->tx_dedupe_bytes = config->tx_dedupe_bytes;
    own->cache_bytes = config->cache_bytes;
    own->dirty_bytes_max = config->dirty_bytes_max;
    own->disk_free_min_bytes = config->disk_free_min_bytes;
    own->gc_enabled = config->gc_enabled;
    own->gc_adaptive = config->gc_adaptive;
    own->gc_interval_ms = config->gc_interval_ms;
    own->gc_interval_min_ms = config->gc_interval_min_ms;
    own->gc_interval_max_ms = config->gc_interval_max_ms;
    own->gc_threshold = config->gc_threshold;
    own->gc_threshold_min = config->gc_threshold_min;
    own->gc_threshold_max = config->gc_threshold_max;
    own->gc_snapshot_age_max_ms = config->gc_snapshot_age_max_ms;
    own->cell_value_bytes_max = config->cell_value_bytes_max;
    own->cell_attempts_max = config->cell_attempts_max;
    own->receipts_seconds = config->receipts_seconds;
    own->history_versions = config->history_versions;
    own->history_seconds = config->history_seconds;
    struct svm_refusal detail;
    if (check_config(own, &detail) != SVM_OK) {
        pthread_mutex_unlock(&engine->config_lock);
        engine_log(engine, SVM_LOG_ERROR, "config.refused", "the old settings stay: %s",
                   detail.reason);
        free(node);
        return;
    }
    node->next = engine->configs;
    engine->configs = node;
    atomic_store_explicit(&engine->config, own, memory_order_release);
    set_retention(engine);
    pthread_mutex_unlock(&engine->config_lock);
}

/* ---- log, failure, time ---------------------------------------------------------------------------------------------- */

void engine_log(struct svm_engine *engine, enum svm_log_level level, const char *event,
                const char *format, ...)
{
    char text[256];
    va_list ap;
    if (!config_of(engine)->log)
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    config_of(engine)->log(config_of(engine)->log_arg, level, event, text);
}

static void store_log(void *arg, int level, const char *event, const char *text)
{
    engine_log(arg, (enum svm_log_level)level, event, "%s", text);
}

void engine_fail(struct svm_engine *engine, enum svm_err err, const char *reason)
{
    int ok = SVM_OK;
    if (!atomic_compare_exchange_strong(&engine->fatal, &ok, (int)err))
        return;
    pthread_mutex_lock(&engine->fatal_lock);
    snprintf(engine->fatal_reason, sizeof engine->fatal_reason, "%s",
             reason ? reason : svm_err_text(err));
    svm_fatal_fn *fn = engine->fatal_fn;
    void *arg = engine->fatal_arg;
    pthread_mutex_unlock(&engine->fatal_lock);
    engine_log(engine, SVM_LOG_ERROR, "storage.failed", "%s", engine->fatal_reason);
    park_wake_all(&engine->durable_park);
    if (fn)
        fn(arg, err, engine->fatal_reason);
}

void svm_on_fatal(struct svm_engine *engine, svm_fatal_fn *fn, void *arg)
{
    pthread_mutex_lock(&engine->fatal_lock);
    engine->fatal_fn = fn;
    engine->fatal_arg = arg;
    pthread_mutex_unlock(&engine->fatal_lock);
}

enum svm_err svm_health(struct svm_engine *engine, struct svm_refusal *detail)
{
    struct svm_refusal local;
    const enum engine_room room = room_now(engine);
    refusal_init(&local, SVM_OK);
    if (atomic_load(&engine->fatal) != SVM_OK) {
        pthread_mutex_lock(&engine->fatal_lock);
        refusal_because(&local, SVM_E_IO, "%s", engine->fatal_reason);
        pthread_mutex_unlock(&engine->fatal_lock);
    } else if (atomic_load(&engine->draining)) {
        refusal_because(&local, SVM_E_SHUTTING_DOWN, "the node is draining");
    } else if (room != ROOM_ENOUGH) {
        room_refuse(&local, room);
    } else if (atomic_load(&engine->clock_fault)) {
        refusal_because(&local, SVM_E_OVERLOADED,
                        "the wall clock leapt; waiting until the clocks agree");
    }
    if (detail)
        *detail = local;
    return local.err;
}

/* Latencies are taken from the monotonic clock, which is cheaper than the one that counts suspends. */
uint64_t engine_now_ns(const struct svm_engine *engine)
{
    if (engine->hooks.clock)
        return engine->clock->boot_ns(engine->clock->self);
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Objects know no later time. */
static uint64_t clock_stopped(uint64_t ms)
{
    return ms < MODEL_MS_MAX ? ms : MODEL_MS_MAX;
}

/* A leap is the wall clock running ahead of the time since boot. The distance of the two is remembered while it is small. */
static bool leapt(struct svm_engine *engine, uint64_t *wall_ms)
{
    enum { SAME_MOMENT_NS = 1000000000 };
    uint64_t before_ns = engine->clock->boot_ns(engine->clock->self);
    uint64_t wall = engine->clock->wall_ms(engine->clock->self);
    uint64_t after_ns = engine->clock->boot_ns(engine->clock->self);
    if (after_ns - before_ns > SAME_MOMENT_NS) /* stopped in between: they cannot be compared */
        return true;
    *wall_ms = clock_stopped(wall);
    int64_t distance = (int64_t)wall - (int64_t)(after_ns / 1000000u);
    int64_t known = atomic_load_explicit(&engine->wall_minus_boot_ms, memory_order_relaxed);
    bool is = distance - known > (int64_t)config_of(engine)->clock_jump_max_ms;
    if (!is && distance != known)
        atomic_store_explicit(&engine->wall_minus_boot_ms, distance, memory_order_relaxed);
    if (is != atomic_load_explicit(&engine->clock_fault, memory_order_relaxed)) {
        atomic_store(&engine->clock_fault, is);
        engine_log(engine, is ? SVM_LOG_ERROR : SVM_LOG_INFO, is ? "clock.leapt" : "clock.agrees",
                   "wall clock against boot clock: %lld ms", (long long)(distance - known));
    }
    return is;
}

uint64_t engine_node_ms(struct svm_engine *engine)
{
    uint64_t wall = engine->clock->wall_ms(engine->clock->self);
    uint64_t last = atomic_load_explicit(&engine->node_ms, memory_order_relaxed);
    if (wall <= last && !atomic_load_explicit(&engine->clock_fault, memory_order_relaxed))
        return last;
    if (leapt(engine, &wall))
        return last;
    while (wall > last)
        if (atomic_compare_exchange_weak(&engine->node_ms, &last, wall))
            return wall;
    return last;
}

uint64_t svm_now_ms(struct svm_engine *engine)
{
    return engine_node_ms(engine);
}

uint64_t svm_applied_seq(struct svm_engine *engine)
{
    return mvcc_applied(engine->mvcc);
}

uint64_t svm_durable_seq(struct svm_engine *engine)
{
    return engine_durable(engine);
}

void svm_chain_info(struct svm_engine *engine, struct svm_chain_info *info_out)
{
    *info_out = (struct svm_chain_info){
        .chain = engine->genesis.chain, .genesis = engine->genesis.digest, .dev = engine->dev};
}

const char *svm_genesis_dev(void)
{
    return model_genesis_dev();
}

void svm_dev_account(struct svm_dev_account *account_out, unsigned index)
{
    struct model_dev_account account;
    model_dev_account(&account, index);
    *account_out = (struct svm_dev_account){.name = account.name,
                                            .key = account.key,
                                            .public_key = account.public_key,
                                            .address = account.address,
                                            .coin = account.coin};
}

void svm_dev_object_id(struct svm_id *id_out, const char *label)
{
    model_dev_object_id(id_out, label);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

static bool make_jobs(struct svm_engine *engine)
{
    uint32_t n = config_of(engine)->inflight_max;
    engine->jobs = calloc(n, sizeof *engine->jobs);
    engine->cell_records = calloc(n, sizeof *engine->cell_records);
    engine->ready = ring_create(2u * n);
    engine->park_ring = ring_create(n);
    if (!engine->jobs || !engine->cell_records || !stack_init(&engine->free_jobs, n) ||
        !stack_init(&engine->free_cells, n) || !engine->ready || !engine->park_ring)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        engine->jobs[i].engine = engine;
        engine->jobs[i].index = i;
        stack_push(&engine->free_jobs, i);
        stack_push(&engine->free_cells, i);
    }
    return true;
}

static bool make_order(struct svm_engine *engine)
{
    engine->order_slots = 2 * config_of(engine)->inflight_max;
    engine->scheduler = exec_scheduler_create(engine->order_slots);
    engine->free_slots = malloc(engine->order_slots * sizeof *engine->free_slots);
    engine->slot_jobs = calloc(engine->order_slots, sizeof(struct engine_job *));
    if (!engine->scheduler || !engine->free_slots || !engine->slot_jobs)
        return false;
    for (uint32_t i = 0; i < engine->order_slots; i++)
        engine->free_slots[engine->free_slot_count++] = engine->order_slots - 1 - i;
    order_solo_init(&engine->order);
    return true;
}

static bool make_workers(struct svm_engine *engine)
{
    engine->worker_count = config_of(engine)->workers ? config_of(engine)->workers : thread_cpus();
    if (engine->worker_count > ENGINE_WORKERS_MAX)
        engine->worker_count = ENGINE_WORKERS_MAX;
    uint32_t count = engine->worker_count + ENGINE_SEATS;
    engine->workers =
        aligned_alloc(_Alignof(struct engine_worker), count * sizeof *engine->workers);
    if (!engine->workers)
        return false;
    memset(engine->workers, 0, count * sizeof *engine->workers);
    if (!stack_init(&engine->seats, ENGINE_SEATS))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct engine_worker *worker = &engine->workers[i];
        worker->engine = engine;
        worker->index = i;
        worker->mvcc = mvcc_thread_create(engine->mvcc);
        worker->group = execute_group_create();
        worker->pool = pool_create();
        worker->owner_log = owner_log_create(engine->owners);
        worker->ready = malloc(engine->order_slots * sizeof *worker->ready);
        park_init(&worker->park);
        rng_init(&worker->rng, engine_now_ns(engine) + i);
        if (!worker->mvcc || !worker->pool || !worker->owner_log || !worker->group ||
            !worker->ready)
            return false;
        receipts_line_init(engine->receipts, &worker->line);
        if (i >= engine->worker_count)
            stack_push(&engine->seats, i - engine->worker_count);
        else if (!(worker->ring = ring_create(config_of(engine)->inflight_max)))
            return false;
    }
    return true;
}

static bool make_readers(struct svm_engine *engine)
{
    engine->reader_threads = calloc(ENGINE_READERS, sizeof(struct mvcc_thread *));
    engine->gc_mvcc = mvcc_thread_create(engine->mvcc);
    if (!stack_init(&engine->readers, ENGINE_READERS) || !engine->reader_threads ||
        !engine->gc_mvcc)
        return false;
    for (; engine->reader_count < ENGINE_READERS; engine->reader_count++) {
        struct mvcc_thread *thread = mvcc_thread_create(engine->mvcc);
        if (!thread)
            return false;
        engine->reader_threads[engine->reader_count] = thread;
        stack_push(&engine->readers, engine->reader_count);
    }
    return sessions_create(engine) == SVM_OK;
}

/* In memory mode there is no `state`: the genesis goes straight into the table. */
static bool load_genesis(struct svm_engine *engine)
{
    struct mvcc_thread *thread = engine->gc_mvcc;
    mvcc_online(thread);
    bool ok = true;
    for (size_t i = 0; ok && i < engine->genesis.object_count; i++) {
        const struct model_genesis_object *g = &engine->genesis.objects[i];
        size_t size = model_object_size(g->object->type_len, g->object->data_len);
        struct mvcc_version *version = mvcc_version_create(thread, (uint32_t)size);
        struct mvcc_head *head;
        ok = version && mvcc_hold_new(engine->objects, thread, g->id.b, sizeof g->id.b, &head);
        if (!ok) {
            mvcc_version_destroy(thread, version);
            break;
        }
        memcpy(version->payload, g->object, size);
        mvcc_version_number_set(version, g->object->version);
        version->tombstone = false;
        mvcc_publish(engine->objects, thread, head, version, 0);
        mvcc_unhold(head);
        engine->objects_at_open[g->object->kind]++;
        if (g->object->kind == SVM_KIND_OWNED)
            ok = owners_put(engine->owners, &g->object->party, &g->id);
    }
    mvcc_offline(thread);
    return ok;
}

/* ---- open -------------------------------------------------------------------------------------------------------------- */

static enum svm_err open_store(struct svm_engine *engine, struct store_opened *opened,
                               char reason[120])
{
    const struct svm_config *config = config_of(engine);
    static const enum store_mode modes[] = {STORE_MEMORY, STORE_WRITE, STORE_SYNC, STORE_INTERVAL};
    const struct store_config sc = {.datadir = config->datadir,
                                    .mode = modes[config->durability],
                                    .log_ops = engine->hooks.log_ops,
                                    .state_ops = engine->hooks.state_ops,
                                    .block_cache_bytes = config->block_cache_bytes,
                                    .receipts_seconds = config->receipts_seconds,
                                    .history_versions = config->history_versions,
                                    .history_seconds = config->history_seconds,
                                    .log = store_log,
                                    .log_arg = engine};
    return store_open(&engine->store, &sc, &engine->genesis, opened, reason);
}

static bool make_tables(struct svm_engine *engine, uint64_t first_seq)
{
    const struct svm_config *config = config_of(engine);
    uint32_t workers = config->workers ? config->workers : thread_cpus();
    /* A position for every credit and one that it gave up; inflight_max for interactive transactions, and one more for each session. */
    uint32_t positions = 4 * config->inflight_max;
    while (positions < 3 * config->inflight_max + config->sessions_max)
        positions *= 2;
    const struct mvcc_config mc = {.inflight_max = positions,
                                   .pins_max = config->sessions_max + 256,
                                   .threads_max = workers + ENGINE_SEATS + ENGINE_READERS +
                                                  config->sessions_max + 8,
                                   .first_seq = first_seq,
                                   .records_kept = !engine->memory};
    engine->mvcc = mvcc_create(&mc);
    if (!engine->mvcc)
        return false;
    engine->objects = mvcc_table(engine->mvcc, MVCC_OBJECTS);
    engine->cells = mvcc_table(engine->mvcc, MVCC_CELLS);
    const uint64_t kept_bytes =
        config->tx_dedupe_bytes * (engine->memory ? RECEIPTS_MEMORY_FACTOR / 2 : 1);
    engine->receipts =
        receipts_create(kept_bytes / RECEIPT_BYTES + config->inflight_max, config->waiters_max);
    engine->owners = owners_create(engine->mvcc, engine->memory, workers + ENGINE_SEATS);
    engine->seat_credits = config->inflight_max >= 4 * ENGINE_SEATS * ENGINE_SEAT_CREDITS;
    atomic_store(&engine->completed, first_seq - 1);
    atomic_store(&engine->committed, first_seq - 1);
    if (engine->receipts)
        receipts_line_init(engine->receipts, &engine->line);
    return engine->receipts && engine->owners && make_jobs(engine) && make_order(engine) &&
           make_workers(engine) && make_readers(engine);
}

static void start_time(struct svm_engine *engine, uint64_t logged_ms)
{
    uint64_t wall = engine->clock->wall_ms(engine->clock->self);
    atomic_store(&engine->wall_minus_boot_ms,
                 (int64_t)wall - (int64_t)(engine->clock->boot_ns(engine->clock->self) / 1000000u));
    atomic_store(&engine->node_ms, clock_stopped(wall > logged_ms ? wall : logged_ms));
    engine->opened_ms = atomic_load(&engine->node_ms);
}

/* start: one thread more, which stop_threads joins. */
static bool start(struct svm_engine *engine, struct thread *thread, const char *name,
                  thread_run_fn *run, void *arg)
{
    bool ok = thread_start(thread, name, run, arg);
    engine->threads_started += ok;
    return ok;
}

static bool start_threads(struct svm_engine *engine)
{
    bool ok = start(engine, &engine->committer, "svm-commit", committer_main, engine) &&
              start(engine, &engine->gc, "svm-gc", gc_main, engine) &&
              start(engine, &engine->materialiser, "svm-state", materialiser_main, engine);
    for (uint32_t i = 0; ok && i < engine->worker_count; i++) {
        char name[24];
        snprintf(name, sizeof name, "svm-work-%u", i);
        ok = start(engine, &engine->workers[i].thread, name, worker_main, &engine->workers[i]);
    }
    return ok && cell_pool_start(engine, engine->worker_count - 1);
}

static void stop_threads(struct svm_engine *engine);
static void free_engine(struct svm_engine *engine);

static struct svm_engine *make(const struct svm_config *config)
{
    struct svm_engine *engine = aligned_alloc(64, (sizeof *engine + 63) / 64 * 64);
    struct config_node *node = malloc(sizeof *node);
    if (!engine || !node) {
        free(engine);
        free(node);
        return NULL;
    }
    memset(engine, 0, sizeof *engine);
    *node = (struct config_node){.config = *config};
    node->config.genesis_json = NULL; /* borrowed for the time of opening only */
    engine->configs = node;
    atomic_init(&engine->config, &node->config);
    pthread_mutex_init(&engine->config_lock, NULL);
    if (config->test_hooks)
        engine->hooks = *(const struct engine_hooks *)config->test_hooks;
    engine->clock = engine->hooks.clock ? engine->hooks.clock : &clock_system;
    engine->memory = config->durability == SVM_MEMORY;
    engine->together = config->verify_signatures ? crypto_ed25519_together() : 1;
    /* Held for a microsecond at a time by threads that have nothing else to do: it is spun for before it is slept for. */
    pthread_mutexattr_t spins;
    pthread_mutexattr_init(&spins);
    pthread_mutexattr_settype(&spins, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&engine->order_lock, &spins);
    pthread_mutexattr_destroy(&spins);
    pthread_mutex_init(&engine->complete_lock, NULL);
    pthread_mutex_init(&engine->gc_lock, NULL);
    pthread_mutex_init(&engine->state_lock, NULL);
    pthread_mutex_init(&engine->fatal_lock, NULL);
    park_init(&engine->commit_park);
    park_init(&engine->pace_park);
    park_init(&engine->applied_park);
    park_init(&engine->durable_park);
    park_init(&engine->gc_park);
    park_init(&engine->materialise_park);
    atomic_store(&engine->gc_interval_ms, config->gc_interval_ms);
    atomic_store(&engine->retry_ms, ENGINE_RETRY_MS);
    atomic_store(&engine->gc_threshold, config->gc_threshold);
    engine->expiry_max_seen_ms = config->tx_expiry_max_ms;
    return engine;
}

enum svm_err svm_engine_open(struct svm_engine **engine_out, const struct svm_config *config,
                             struct svm_refusal *detail)
{
    struct svm_refusal local;
    struct store_opened opened = {.next_seq = 1};
    refusal_init(&local, SVM_OK);
    *engine_out = NULL;
    enum svm_err err = check_config(config, &local);
    struct svm_engine *engine = err == SVM_OK ? make(config) : NULL;
    if (err == SVM_OK && !engine)
        err = SVM_E_NO_MEMORY;
    if (err == SVM_OK) {
        const char *text = config->genesis_json ? config->genesis_json : model_genesis_dev();
        err = model_genesis_parse(&engine->genesis, text, local.reason);
        engine->dev = err == SVM_OK && strcmp(engine->genesis.canonical, model_genesis_dev()) == 0;
    }
    if (err == SVM_OK)
        err = open_store(engine, &opened, local.reason);
    if (err == SVM_OK && opened.next_seq > MVCC_SEQ_MAX / 2) {
        snprintf(local.reason, sizeof local.reason, "a position that no chain comes to");
        err = SVM_E_CORRUPT;
    }
    FAULT_POINT("engine.open.recovered");
    if (err == SVM_OK) {
        start_time(engine, opened.node_ms);
        engine->receipts_before_start = opened.receipts_seen != 0;
        memcpy(engine->objects_at_open, opened.objects, sizeof opened.objects);
        engine->transfers_at_open = opened.transfers;
        if (!make_tables(engine, opened.next_seq))
            err = SVM_E_NO_MEMORY;
    }
    if (err == SVM_OK && engine->memory) {
        memset(engine->objects_at_open, 0, sizeof engine->objects_at_open);
        err = load_genesis(engine) ? SVM_OK : SVM_E_NO_MEMORY;
    }
    if (err == SVM_OK && !start_threads(engine)) {
        stop_threads(engine);
        err = SVM_E_NO_MEMORY;
        snprintf(local.reason, sizeof local.reason, "the system has no more threads");
    }
    local.err = err;
    if (detail)
        *detail = local;
    if (err != SVM_OK) {
        free_engine(engine);
        return err;
    }
    engine_log(engine, SVM_LOG_INFO, "engine.recovered",
               "chain %llu, next seq %llu, replayed %llu, workers %u, durability %s",
               (unsigned long long)engine->genesis.chain, (unsigned long long)opened.next_seq,
               (unsigned long long)opened.replayed, engine->worker_count,
               svm_durability_name(config->durability));
    *engine_out = engine;
    return SVM_OK;
}

/* ---- close ------------------------------------------------------------------------------------------------------------- */

static void pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
}

void svm_engine_drain(struct svm_engine *engine)
{
    atomic_store(&engine->draining, true);
    park_wake(&engine->commit_park); /* an interval need not pass for who waits */
    while (sessions_open(engine, true) > 0 || atomic_load(&engine->calls) > 0 ||
           engine_inflight(engine) > 0 || receipts_waiters(engine->receipts) > 0)
        pause_ms(1);
}

static void stop_threads(struct svm_engine *engine)
{
    unsigned started = engine->threads_started; /* in the order of start_threads */
    cell_pool_stop(engine);
    atomic_store(&engine->stop_workers, true);
    for (uint32_t i = 0; i < engine->worker_count; i++)
        park_wake_all(&engine->workers[i].park);
    for (uint32_t i = 0; i + 3 < started; i++)
        thread_join(&engine->workers[i].thread);
    atomic_store(&engine->stop_committer, true);
    park_wake_all(&engine->commit_park);
    if (started > 0)
        thread_join(&engine->committer);
    atomic_store(&engine->stop_maintenance, true);
    park_wake_all(&engine->gc_park);
    park_wake_all(&engine->materialise_park);
    if (started > 1)
        thread_join(&engine->gc);
    if (started > 2)
        thread_join(&engine->materialiser);
}

static void free_workers(struct svm_engine *engine)
{
    for (uint32_t i = 0; engine->workers && i < engine->worker_count + ENGINE_SEATS; i++) {
        struct engine_worker *worker = &engine->workers[i];
        if (worker->mvcc)
            mvcc_thread_destroy(worker->mvcc);
        ring_destroy(worker->ring);
        pool_destroy(worker->pool);
        execute_group_destroy(worker->group);
        free(worker->ready);
    }
    stack_deinit(&engine->seats);
    free(engine->workers);
}

static void free_engine(struct svm_engine *engine)
{
    if (!engine)
        return;
    receipts_destroy(engine->receipts);
    free_workers(engine);
    sessions_destroy(engine);
    for (uint32_t i = 0; i < engine->reader_count; i++)
        mvcc_thread_destroy(engine->reader_threads[i]);
    free(engine->reader_threads);
    if (engine->gc_mvcc)
        mvcc_thread_destroy(engine->gc_mvcc);
    for (uint32_t i = 0; engine->jobs && i < config_of(engine)->inflight_max; i++)
        free(engine->jobs[i].record.frame);
    for (uint32_t i = 0; engine->cell_records && i < config_of(engine)->inflight_max; i++)
        free(engine->cell_records[i].frame);
    free(engine->jobs);
    free(engine->cell_records);
    stack_deinit(&engine->free_jobs);
    stack_deinit(&engine->free_cells);
    ring_destroy(engine->ready);
    ring_destroy(engine->park_ring);
    stack_deinit(&engine->readers);
    exec_scheduler_destroy(engine->scheduler);
    free(engine->free_slots);
    free(engine->slot_jobs);
    owners_destroy(engine->owners);
    if (engine->mvcc)
        mvcc_destroy(engine->mvcc);
    if (engine->store)
        store_close(engine->store);
    model_genesis_deinit(&engine->genesis);
    while (engine->configs) {
        struct config_node *node = engine->configs;
        engine->configs = node->next;
        free(node);
    }
    free(engine);
}

void svm_engine_close(struct svm_engine *engine)
{
    if (!engine)
        return;
    svm_engine_drain(engine);
    while (sessions_open(engine, false) > 0 || atomic_load(&engine->calls) > 0)
        pause_ms(1);
    stop_threads(engine);
    free_engine(engine);
}
