#include "engine/internal.h"

#include <string.h>

#include "base/fault.h"

/* Two threads keep house. G collects versions, moves the floor, watches disk and clock: short steps, always on time. The
 * materialiser carries the log into the state and may wait for the disk; it is apart so that its waits never hold the floor. */

enum {
    COLLECT_BUDGET = 1 << 13, /* heads visited between two quiescent states: a millisecond or so */
    MATERIALISE_WORTH = 4 << 20, /* dirty bytes that start a batch before its time */
    MATERIALISE_MS = 100,
    TRIM_BYTES =
        64
        << 20, /* of log, between two trims; nearly free behind a file, else a flush of the state */
    SWEEP_ROWS = 20000, /* visited at once */
    SWEEPS = 25,        /* a second, at most, while much is found to drop */
    SECOND_NS = 1000000000,
    WALK_REST = 10,   /* a walk rests so many times as long as it took; one for memory, as long */
    WALK_REST_S = 10, /* and no longer */
    ADVICE_NS = 100000000, /* between two looks at how many were refused */
    ADVICE_FEW = 16
};

struct advice {
    uint64_t at_ns, refused, executed; /* at the last look */
};

/* ---- G ---------------------------------------------------------------------------------------------------------- */

/* Versions behind the newest, and how many of them are worth a walk over all heads. Writers trim what they touch, and use the memory again, so under load
 * the garbage stays by itself at about one version per head plus what was published since the floor moved last; the walk is for what has gone cold. What
 * the last one has left, for a snapshot that is still open (FLOOR is its), the next would leave too. When the order has stood still for a second everything
 * else is worth it. Under gc_lock. */
static uint64_t garbage(struct svm_engine *engine, uint64_t floor, uint64_t *worth_out,
                        uint64_t *fresh_out)
{
    const struct table_sums tables = stats_tables(engine);
    uint64_t threshold = atomic_load(&engine->gc_threshold);
    uint64_t kept = engine->gc_walk.floor == floor ? engine->gc_walk.kept : 0;
    uint64_t second = atomic_load(&engine->applied_then[0]);
    bool quiet = atomic_load(&engine->sampled_at) > 0 && second == mvcc_applied(engine->mvcc) &&
                 second == atomic_load(&engine->applied_then[1]);
    uint64_t applied = mvcc_applied(engine->mvcc), fresh = applied - engine->gc_applied;
    engine->gc_applied = applied;
    if (quiet) /* it may have left more than snapshots need: what was claimed just then */
        *worth_out = engine->gc_walk.removed > 0 ? 1 : kept + 1;
    else
        *worth_out = (tables.heads > threshold ? tables.heads + tables.heads / 2 : threshold) +
                     kept + 4 * fresh;
    *fresh_out = fresh;
    return tables.garbage;
}

/* Has the collector rested TIMES as long as its last walk took? */
static bool rested(struct svm_engine *engine, uint64_t times)
{
    const uint64_t rest_ns = times * engine->gc_walk.took_ns,
                   most_ns = WALK_REST_S * (uint64_t)SECOND_NS;
    return engine_now_ns(engine) - engine->gc_walk.ended_ns >=
           (rest_ns < most_ns ? rest_ns : most_ns);
}

/* Is a walk for memory due? In memory mode the owner index counts too, and whoever frees waits for what is collected: also while others go on, and
 * long before there is as much of it as is worth a walk otherwise. FOUND versions are behind the newest. */
static bool wants_memory(struct svm_engine *engine, uint64_t found)
{
    if (stats_tables(engine).bytes > config_of(engine)->cache_bytes)
        return true;
    const enum engine_room room = room_now(engine);
    return found > 0 && (room == ROOM_TO_FREE || room == ROOM_UNCOLLECTED);
}

/* One round over both tables, at FLOOR. */
static void collect(struct svm_engine *engine, uint64_t floor)
{
    struct mvcc_collected collected = {0};
    uint64_t started = engine_now_ns(engine);
    uint64_t materialised = engine->memory ? 0 : store_materialised(engine->store);
    uint64_t cache =
        engine->memory ? config_of(engine)->cache_bytes : config_of(engine)->cache_bytes / 2;
    struct mvcc_table *tables[] = {engine->objects, engine->cells};
    for (size_t t = 0; t < 2; t++)
        while (mvcc_collect(tables[t], engine->gc_mvcc, materialised, cache, COLLECT_BUDGET,
                            &collected) &&
               !atomic_load(&engine->stop_maintenance))
            mvcc_quiesce(engine->gc_mvcc);
    /* What was published since the floor stands until it moves: a version for each, more or less. */
    uint64_t left = stats_tables(engine).garbage;
    uint64_t since = mvcc_applied(engine->mvcc) - mvcc_floor_applied(engine->mvcc);
    mvcc_quiesce(engine->gc_mvcc);
    engine->gc_walk.ended_ns = engine_now_ns(engine);
    engine->gc_walk.took_ns = engine->gc_walk.ended_ns - started;
    engine->gc_walk.kept = left > since ? left - since : 0;
    engine->gc_walk.floor = floor;
    engine->gc_walk.removed = collected.versions;
    uint64_t us = engine->gc_walk.took_ns / 1000;
    atomic_fetch_add(&engine->gc_runs, 1);
    atomic_fetch_add(&engine->gc_removed, collected.versions);
    atomic_store(&engine->gc_last_us, us);
    atomic_fetch_add(&engine->gc_total_us, us);
}

static uint32_t clamp(uint64_t value, uint32_t min, uint32_t max)
{
    return value < min ? min : value > max ? max : (uint32_t)value;
}

/* Much published since the last look, or garbage that was worth a walk: look more often, from less on. Little: the other way. A look moves the
 * floor, and what is published between two looks cannot be trimmed before the second. The bounds are the operator's. */
static void adapt(struct svm_engine *engine, bool worth_it, uint64_t fresh)
{
    const struct svm_config *config = config_of(engine);
    uint32_t interval = atomic_load(&engine->gc_interval_ms),
             threshold = atomic_load(&engine->gc_threshold);
    if (!config->gc_adaptive) {
        interval = config->gc_interval_ms;
        threshold = config->gc_threshold;
    } else if (worth_it || fresh > 2 * (uint64_t)config->gc_threshold_min) {
        interval = interval - interval / 4 - 1;
        threshold -= threshold / 8;
    } else if (fresh < config->gc_threshold_min / 2) {
        interval += interval / 8 + 1;
        threshold += threshold / 8;
    }
    atomic_store(&engine->gc_interval_ms,
                 clamp(interval, config->gc_interval_min_ms, config->gc_interval_max_ms));
    atomic_store(&engine->gc_threshold,
                 clamp(threshold, config->gc_threshold_min, config->gc_threshold_max));
}

bool gc_step(struct svm_engine *engine, bool forced)
{
    if (!config_of(engine)->gc_enabled && !forced)
        return false;
    pthread_mutex_lock(&engine->gc_lock);
    mvcc_online(engine->gc_mvcc);
    uint64_t now_ms = engine_node_ms(engine);
    uint64_t age = config_of(engine)->gc_snapshot_age_max_ms;
    uint64_t floor =
        mvcc_floor_advance(engine->mvcc, engine->gc_mvcc, now_ms > age ? now_ms - age : 0);
    uint64_t worth, fresh, found = garbage(engine, floor, &worth, &fresh);
    FAULT_POINT("engine.gc.before");
    bool worth_it = found >= worth && rested(engine, WALK_REST);
    bool ran = forced || worth_it || (wants_memory(engine, found) && rested(engine, 1));
    if (ran)
        collect(engine, floor);
    FAULT_POINT("engine.gc.after");
    owners_sweep(engine->owners, store_materialised(engine->store));
    adapt(engine, worth_it, fresh);
    mvcc_offline(engine->gc_mvcc);
    pthread_mutex_unlock(&engine->gc_lock);
    return ran;
}

uint64_t svm_gc_run(struct svm_engine *engine)
{
    uint64_t before = atomic_load(&engine->gc_removed);
    gc_step(engine, true);
    return atomic_load(&engine->gc_removed) - before;
}

/* A refusal costs as much as an eighth of a transaction and more, and who is refused comes back: so the time they are told grows while more
 * are refused than a quarter of what is done, and shrinks again when hardly any are. Who keeps to it cannot take the node's time from what it has admitted. */
static void advise(struct svm_engine *engine, struct advice *then, uint64_t now_ns)
{
    if (now_ns - then->at_ns < ADVICE_NS)
        return;
    uint64_t refused =
        atomic_load_explicit(&engine->counters.refused[SVM_E_OVERLOADED], memory_order_relaxed);
    uint64_t executed = stats_executed_total(engine);
    uint64_t turned_away = refused - then->refused, done = executed - then->executed;
    uint32_t ms = atomic_load(&engine->retry_ms);
    if (turned_away > done / 4 + ADVICE_FEW)
        ms *= clamp(turned_away / (done / 4 + ADVICE_FEW), 2, 16);
    else if (turned_away < done / 32 + ADVICE_FEW)
        ms /= 2;
    atomic_store(&engine->retry_ms, clamp(ms, ENGINE_RETRY_MS, ENGINE_RETRY_MAX_MS));
    *then = (struct advice){.at_ns = now_ns, .refused = refused, .executed = executed};
}

static void every_second(struct svm_engine *engine)
{
    uint32_t at = atomic_load(&engine->sampled_at) + 1;
    atomic_store(&engine->sampled[at % 64], stats_executed_total(engine));
    atomic_store(&engine->sampled_at, at);
    atomic_store(&engine->applied_then[1], atomic_load(&engine->applied_then[0]));
    atomic_store(&engine->applied_then[0], mvcc_applied(engine->mvcc));
}

void gc_main(void *arg)
{
    struct svm_engine *engine = arg;
    uint64_t second_ns = engine_now_ns(engine);
    struct advice advice = {.at_ns = second_ns};
    while (!atomic_load(&engine->stop_maintenance)) {
        atomic_fetch_add_explicit(&engine->gc_ticks, 1, memory_order_relaxed);
        engine_node_ms(engine);
        gc_step(engine, false);
        room_watch(engine);
        uint64_t now_ns = engine_now_ns(engine);
        advise(engine, &advice, now_ns);
        if (now_ns - second_ns >= SECOND_NS) {
            second_ns += (now_ns - second_ns) / SECOND_NS * SECOND_NS;
            every_second(engine);
        }
        uint32_t ticket = park_prepare(&engine->gc_park);
        if (atomic_load(&engine->stop_maintenance)) {
            park_cancel(&engine->gc_park);
            break;
        }
        uint32_t pause_us = atomic_load(&engine->gc_interval_ms) * 1000u;
        park_wait(&engine->gc_park, ticket, clamp(pause_us, 100, 250000));
    }
}

/* ---- the materialiser -------------------------------------------------------------------------------------------- */

static bool state_failed(struct svm_engine *engine, enum svm_err err)
{
    if (err == SVM_OK)
        return false;
    engine_fail(engine, err, store_failure(engine->store));
    return true;
}

/* Only synced groups may enter the state, and store_materialise syncs the log when none are left. Where nobody else syncs (write), or another
 * one does at its own pace (interval), that is put off until it is worth an fsync. */
static bool worth_a_batch(struct svm_engine *engine)
{
    if (store_synced(engine->store) > store_materialised(engine->store))
        return true;
    uint64_t dirty = store_dirty_bytes(engine->store);
    if (dirty == 0)
        return false;
    if (config_of(engine)->durability != SVM_WRITE)
        return dirty > MATERIALISE_WORTH;
    uint64_t now_ns = engine_now_ns(engine);
    if (dirty <= MATERIALISE_WORTH && now_ns - engine->state_synced_ns < SECOND_NS)
        return false;
    engine->state_synced_ns = now_ns;
    return true;
}

bool materialiser_step(struct svm_engine *engine)
{
    uint64_t did = 0;
    if (engine->memory || atomic_load(&engine->fatal) != SVM_OK || !worth_a_batch(engine))
        return false;
    /* As the store likes best, but not up to where transactions would be refused. */
    bool hurry = store_dirty_bytes(engine->store) >= config_of(engine)->dirty_bytes_max / 4;
    size_t bytes_max = hurry ? STORE_PACE_BYTES : STORE_PACED;
    pthread_mutex_lock(&engine->state_lock);
    bool failed = state_failed(engine, store_materialise(engine->store, bytes_max, &did));
    FAULT_POINT("engine.materialise.after");
    pthread_mutex_unlock(&engine->state_lock);
    return !failed && did > 0;
}

static uint64_t log_bytes(struct svm_engine *engine)
{
    struct store_counts counts;
    store_counts(engine->store, &counts);
    return counts.log_bytes;
}

static void trim(struct svm_engine *engine)
{
    pthread_mutex_lock(&engine->state_lock);
    state_failed(engine, store_trim(engine->store));
    FAULT_POINT("engine.trim.after");
    pthread_mutex_unlock(&engine->state_lock);
}

static uint64_t swept(struct svm_engine *engine)
{
    struct store_counts counts;
    store_counts(engine->store, &counts);
    return counts.receipts_pruned + counts.history_pruned;
}

/* Retention, once a second: a little when little is due, as fast as transactions come when much is. */
static void sweep(struct svm_engine *engine)
{
    for (unsigned i = 0; i < SWEEPS && !atomic_load(&engine->stop_maintenance); i++) {
        uint64_t before = swept(engine);
        pthread_mutex_lock(&engine->state_lock);
        bool failed =
            state_failed(engine, store_sweep(engine->store, engine_node_ms(engine), SWEEP_ROWS));
        pthread_mutex_unlock(&engine->state_lock);
        if (failed || swept(engine) - before < SWEEP_ROWS / 4)
            return;
    }
}

void materialiser_main(void *arg)
{
    struct svm_engine *engine = arg;
    uint64_t trimmed_at = log_bytes(engine), swept_ns = engine_now_ns(engine);
    trim(engine); /* what recovery has left: lives too short for TRIM_BYTES must not add up */
    while (!atomic_load(&engine->stop_maintenance)) {
        atomic_fetch_add_explicit(&engine->materialiser_ticks, 1, memory_order_relaxed);
        bool busy = materialiser_step(engine);
        if (!engine->memory && atomic_load(&engine->fatal) == SVM_OK) {
            if (log_bytes(engine) - trimmed_at > TRIM_BYTES) {
                trim(engine);
                trimmed_at = log_bytes(engine);
            }
            if (engine_now_ns(engine) - swept_ns > SECOND_NS) {
                swept_ns = engine_now_ns(engine);
                store_memory_sample(engine->store);
                sweep(engine);
            }
        }
        if (busy && store_dirty_bytes(engine->store) > MATERIALISE_WORTH)
            continue;
        uint32_t ticket = park_prepare(&engine->materialise_park);
        if (atomic_load(&engine->stop_maintenance)) {
            park_cancel(&engine->materialise_park);
            break;
        }
        park_wait(&engine->materialise_park, ticket, MATERIALISE_MS * 1000);
    }
}

/* ---- operation --------------------------------------------------------------------------------------------------- */

enum svm_err svm_checkpoint(struct svm_engine *engine, const char *dir, uint64_t *seq_out,
                            struct svm_refusal *detail)
{
    struct svm_refusal local;
    refusal_init(&local, SVM_OK);
    if (engine->memory) {
        refusal_because(&local, SVM_E_METHOD_DISABLED,
                        "there is nothing on disk to copy in durability mode memory");
    } else {
        pthread_mutex_lock(&engine->state_lock);
        local.err = store_checkpoint(engine->store, dir, seq_out, local.reason);
        pthread_mutex_unlock(&engine->state_lock);
    }
    if (detail)
        *detail = local;
    return local.err;
}

enum svm_err svm_compact(struct svm_engine *engine)
{
    if (engine->memory)
        return SVM_E_METHOD_DISABLED;
    pthread_mutex_lock(&engine->state_lock);
    enum svm_err err = store_compact(engine->store);
    pthread_mutex_unlock(&engine->state_lock);
    return err;
}
