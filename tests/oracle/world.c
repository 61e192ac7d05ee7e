#include "world.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "cellwork.h"
#include "engine/internal.h"

enum {
    SUBMITTERS = 4,
    BATCH_MAX = 96,
    INFLIGHT = 64,
    SIGHTINGS = 3,
    TINY_CACHE = 16 << 10,
    PATIENCE_S = 20
};

struct world {
    const struct world_plan *plan;
    struct svm_engine *engine;
    struct store_kv_ram *log_ram, *state_ram;
    struct svm_kv_ops log_ops, state_ops;
    struct engine_hooks hooks;
    _Atomic uint64_t pauses;
    struct model_genesis genesis;
    struct judge judge;
    struct gen gen;
    struct cellwork cells;
    struct gen_tx **all;
    size_t all_count, all_cap;
    uint64_t sum;
    pthread_t keeper;
    _Atomic bool keeper_stop;
};

struct batch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t unanswered;
    struct submission submissions[BATCH_MAX];
    size_t count;
    uint8_t *copies[BATCH_MAX];
    size_t copy_count;
    struct sighting sightings[SIGHTINGS];
    size_t sighting_count;
};

struct submitter {
    struct world *world;
    struct batch *batch;
    pthread_t thread;
    struct rng rng;
    size_t from, step;
};

static void sleep_us(long us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

/* ---- hooks ---------------------------------------------------------------------------------------------------------- */

/* Holds claims a moment now and then, so that others meet them. */
static void on_claimed(void *arg, const struct svm_digest *digest, enum svm_path path)
{
    struct world *world = arg;
    (void)digest;
    (void)path;
    uint64_t roll = (atomic_fetch_add(&world->pauses, 1) * UINT64_C(0x9e3779b97f4a7c15)) >> 58;
    if (world->plan->ordered || roll == 0)
        sleep_us(20);
    else if (roll < 12)
        sched_yield();
}

static void on_committed(void *arg, const struct svm_receipt *receipt, const struct svm_tx *tx)
{
    struct world *world = arg;
    (void)tx;
    judge_committed(&world->judge, receipt);
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

static void configure(struct world *world, struct svm_config *config)
{
    const struct world_plan *plan = world->plan;
    svm_config_init(config);
    config->durability = plan->disk == WORLD_MEMORY ? SVM_MEMORY : SVM_WRITE;
    config->workers = plan->workers;
    config->inflight_max = INFLIGHT;
    config->waiters_max = 1024;
    config->sessions_max = 8;
    config->busy_attempts_max = 24;
    config->tx_bytes_max = GEN_TX_BYTES_MAX;
    config->tx_data_bytes_max = GEN_DATA_BYTES_MAX;
    config->tx_effects_bytes_max = GEN_EFFECTS_MAX;
    config->cell_value_bytes_max = 256;
    config->cache_bytes = 64u << 20;
    config->verify_signatures = plan->sign;
    config->gc_enabled = plan->gc != WORLD_GC_OFF;
    if (plan->gc == WORLD_GC_FRANTIC) {
        config->gc_adaptive = 0;
        config->gc_interval_ms = config->gc_interval_min_ms = config->gc_interval_max_ms = 1;
        config->gc_threshold = config->gc_threshold_min = config->gc_threshold_max = 1;
    }
    if (plan->disk == WORLD_DISK_TINY) {
        config->cache_bytes = TINY_CACHE;
        config->tx_dedupe_bytes = 8 << 10;
    }
    world->hooks.claimed = on_claimed;
    world->hooks.committed = on_committed;
    world->hooks.arg = world;
    if (plan->disk != WORLD_MEMORY) {
        store_kv_ram_ops(&world->log_ops, world->log_ram);
        store_kv_ram_ops(&world->state_ops, world->state_ram);
        world->hooks.log_ops = &world->log_ops;
        world->hooks.state_ops = &world->state_ops;
    }
    config->test_hooks = &world->hooks;
}

static void open_engine(struct world *world)
{
    struct svm_config config;
    struct svm_refusal detail;
    configure(world, &config);
    if (svm_engine_open(&world->engine, &config, &detail) != SVM_OK) {
        printf("the engine does not open: %s\n", detail.reason);
        exit(1);
    }
}

/* Carries everything to the disk and evicts what it may, all the time: transactions meet LOADING and evicted objects. */
static void *keeper_main(void *arg)
{
    struct world *world = arg;
    while (!atomic_load(&world->keeper_stop)) {
        uint64_t did;
        pthread_mutex_lock(&world->engine->state_lock);
        enum svm_err err = store_materialise(world->engine->store, 1 << 20, &did);
        pthread_mutex_unlock(&world->engine->state_lock);
        SVM_ASSERT(err == SVM_OK);
        svm_gc_run(world->engine);
        sleep_us(200);
    }
    return NULL;
}

static void start(struct world *world)
{
    const struct world_plan *plan = world->plan;
    char reason[120];
    enum svm_err err = model_genesis_parse(&world->genesis, model_genesis_dev(), reason);
    SVM_ASSERT(err == SVM_OK);
    judge_init(&world->judge, &world->genesis);
    world->sum = ref_sum_of_balances(world->judge.ref);
    world->log_ram = store_kv_ram_create();
    world->state_ram = store_kv_ram_create();
    open_engine(world);
    gen_init(&world->gen, plan->seed, world->judge.ref, world->genesis.chain);
    world->gen.sign = plan->sign;
    world->gen.ordered_only = plan->ordered;
    unsigned pause_us = plan->seed % 2 ? 50 : 0;
    cellwork_start(&world->cells, world->engine, plan->seed ^ 0xce11,
                   plan->ordered ? 0 : plan->seed % 3 + 1, pause_us);
    if (plan->disk == WORLD_DISK_TINY) {
        int failed = pthread_create(&world->keeper, NULL, keeper_main, world);
        SVM_ASSERT(failed == 0);
    }
}

/* ---- a batch: make ----------------------------------------------------------------------------------------------------- */

static uint64_t below(struct world *world, uint64_t bound)
{
    return rng_below(&world->gen.rng, bound);
}

static struct gen_tx *some_transaction(struct world *world, const struct batch *batch)
{
    uint64_t roll = below(world, 100);
    if (roll < 6 && world->all_count > 0)
        return world->all[below(world, world->all_count)];
    if (roll < 12 && batch->count > 0)
        return batch->submissions[below(world, batch->count)].t;
    struct gen_tx *t = gen_make(&world->gen);
    if (!judge_know(&world->judge, t)) {
        gen_free(t);
        return NULL;
    }
    if (world->all_count == world->all_cap) {
        world->all_cap = world->all_cap ? 2 * world->all_cap : 1024;
        world->all = realloc(world->all, world->all_cap * sizeof(struct gen_tx *));
        SVM_ASSERT(world->all != NULL);
    }
    world->all[world->all_count++] = t;
    return t;
}

static void make_submission(struct world *world, struct batch *batch)
{
    static const enum svm_wait waits[] = {SVM_WAIT_DURABLE, SVM_WAIT_DURABLE, SVM_WAIT_EXECUTED,
                                          SVM_WAIT_NONE};
    struct gen_tx *t = some_transaction(world, batch);
    if (!t)
        return;
    struct submission *s = &batch->submissions[batch->count++];
    *s = (struct submission){.t = t,
                             .bytes = t->bytes,
                             .len = t->len,
                             .wait = waits[below(world, 4)],
                             .lock = &batch->lock,
                             .changed = &batch->changed,
                             .unanswered = &batch->unanswered};
    if (t->planned != SVM_OK)
        return;
    if (world->gen.sign && below(world, 100) < 3) {
        uint8_t *copy = malloc(t->len);
        SVM_ASSERT(copy != NULL);
        memcpy(copy, t->bytes, t->len);
        copy[t->len - 1 - below(world, 64)] ^= 2;
        batch->copies[batch->copy_count++] = copy;
        s->bytes = copy;
        s->bad_copy = true;
        s->wait = SVM_WAIT_EXECUTED;
    } else {
        s->decoded = below(world, 10) == 0;
    }
}

/* ---- a batch: hand in --------------------------------------------------------------------------------------------------- */

static void note_refused(struct submission *s, enum svm_err err)
{
    pthread_mutex_lock(s->lock);
    s->at_once = true;
    s->err = err;
    --*s->unanswered;
    pthread_mutex_unlock(s->lock);
}

static void hand_in_one(struct world *world, struct submission *s)
{
    enum svm_err err = s->decoded ? svm_submit_decoded(world->engine, &s->t->tx, &s->t->digest,
                                                       s->wait, submission_answered, s, NULL)
                                  : svm_submit(world->engine, (struct svm_bytes){s->bytes, s->len},
                                               s->wait, submission_answered, s, NULL);
    if (err != SVM_OK)
        note_refused(s, err);
}

/* Those of COUNT that are bytes with the wait of the first go in together. */
static void hand_in_many(struct world *world, struct submission **some, size_t count)
{
    struct svm_submission subs[8];
    struct submission *together[8];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (some[i]->decoded || some[i]->wait != some[0]->wait) {
            hand_in_one(world, some[i]);
            continue;
        }
        together[n] = some[i];
        subs[n++] =
            (struct svm_submission){.bytes = {some[i]->bytes, some[i]->len}, .arg = some[i]};
    }
    enum svm_wait wait = some[0]->wait;
    svm_submit_batch(world->engine, subs, n, wait, submission_answered);
    for (size_t i = 0; i < n; i++)
        if (subs[i].err != SVM_OK)
            note_refused(together[i], subs[i].err);
}

static void *submitter_main(void *arg)
{
    struct submitter *submitter = arg;
    struct batch *batch = submitter->batch;
    size_t i = submitter->from;
    while (i < batch->count) {
        struct submission *some[8];
        size_t n = 0, wanted = 1 + rng_below(&submitter->rng, 8);
        for (; n < wanted && i < batch->count; i += submitter->step)
            some[n++] = &batch->submissions[i];
        if (n == 1)
            hand_in_one(submitter->world, some[0]);
        else
            hand_in_many(submitter->world, some, n);
        if (rng_below(&submitter->rng, 4) == 0)
            sched_yield();
    }
    return NULL;
}

static void see(struct world *world, struct batch *batch)
{
    struct svm_snapshot *snapshot;
    if (svm_snapshot_open(world->engine, &snapshot) != SVM_OK)
        return;
    struct sighting *sighting = &batch->sightings[batch->sighting_count++];
    sighting->seq = svm_snapshot_seq(snapshot);
    if (svm_state_hash(snapshot, &sighting->hash) != SVM_OK)
        judge_fail(&world->judge, "a state hash fails");
    svm_snapshot_close(snapshot);
}

static void hand_in(struct world *world, struct batch *batch)
{
    struct submitter submitters[SUBMITTERS];
    size_t threads = 1 + below(world, SUBMITTERS);
    bool looking = below(world, 8) == 0;
    for (size_t i = 0; i < threads; i++) {
        submitters[i] =
            (struct submitter){.world = world, .batch = batch, .from = i, .step = threads};
        rng_init(&submitters[i].rng, below(world, UINT64_MAX));
        if (i > 0 || looking) {
            int failed =
                pthread_create(&submitters[i].thread, NULL, submitter_main, &submitters[i]);
            SVM_ASSERT(failed == 0);
        }
    }
    if (!looking)
        submitter_main(&submitters[0]);
    for (size_t i = 0; looking && i < SIGHTINGS; i++)
        see(world, batch);
    for (size_t i = looking ? 0 : 1; i < threads; i++)
        pthread_join(submitters[i].thread, NULL);
}

/* ---- a batch: wait -------------------------------------------------------------------------------------------------------- */

static void stuck(struct world *world, const char *what)
{
    printf("  batch %u: no answer for %d s: %s\n", world->judge.batch, PATIENCE_S, what);
    fflush(stdout);
    _Exit(1);
}

static void show_unanswered(const struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct submission *s = &batch->submissions[i];
        if (s->answers > 0 || s->at_once)
            continue;
        printf("  unanswered: wait %d, planned %s, %s%s%u inputs, %u ops\n", (int)s->wait,
               svm_err_name(s->t->planned), s->decoded ? "decoded, " : "",
               s->t->shared ? "shared, " : "", s->t->tx.input_count, s->t->tx.op_count);
        for (uint16_t k = 0; k < s->t->tx.input_count; k++)
            printf("    %s %s exact %d version %llu writable %d\n",
                   svm_kind_name(s->t->inputs[k].kind),
                   (char[3]){(char)('a' + s->t->inputs[k].id.b[0] % 26),
                             (char)('a' + s->t->inputs[k].id.b[1] % 26), 0},
                   s->t->inputs[k].exact, (unsigned long long)s->t->inputs[k].version,
                   s->t->inputs[k].writable);
    }
}

static void wait_answers(struct world *world, struct batch *batch)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&batch->lock);
    while (batch->unanswered > 0)
        if (pthread_cond_timedwait(&batch->changed, &batch->lock, &until) != 0) {
            show_unanswered(batch);
            stuck(world, "submissions");
        }
    pthread_mutex_unlock(&batch->lock);
}

/* Until the engine knows what became of S, and the committer has shown it. */
static void settle(struct world *world, const struct submission *s)
{
    struct svm_receipt *receipt;
    enum svm_err err;
    for (unsigned i = 0;
         (err = svm_receipt_get(world->engine, &s->t->digest, &receipt)) == SVM_E_BUSY; i++) {
        if (i > PATIENCE_S * 10000)
            stuck(world, "a receipt");
        sleep_us(20);
    }
    if (err == SVM_E_NOT_FOUND) {
        if (atomic_load(&s->t->committed))
            judge_fail(&world->judge, "the receipt of an executed transaction is not found");
        return;
    }
    if (err != SVM_OK) {
        judge_fail(&world->judge, "svm_receipt_get: %s", svm_err_name(err));
        return;
    }
    for (unsigned i = 0; !atomic_load(&s->t->committed); i++) {
        if (i > PATIENCE_S * 10000)
            stuck(world, "the committer");
        sleep_us(20);
    }
    if (!judge_same_receipt(receipt, atomic_load(&s->t->committed)))
        judge_fail(&world->judge, "seq %llu: the receipt found is not what was committed",
                   (unsigned long long)receipt->seq);
    svm_receipt_free(receipt);
}

static void run_batch(struct world *world)
{
    struct batch *batch = calloc(1, sizeof *batch);
    SVM_ASSERT(batch != NULL);
    pthread_mutex_init(&batch->lock, NULL);
    pthread_cond_init(&batch->changed, NULL);
    gen_batch(&world->gen, svm_now_ms(world->engine));
    size_t wanted = below(world, 100) < 3 ? BATCH_MAX : 4 + below(world, 36);
    while (batch->count < wanted)
        make_submission(world, batch);
    batch->unanswered = batch->count;
    hand_in(world, batch);
    wait_answers(world, batch);
    for (size_t i = 0; i < batch->count; i++)
        if (batch->submissions[i].t->planned == SVM_OK)
            settle(world, &batch->submissions[i]);
    judge_batch(&world->judge, batch->submissions, batch->count, batch->sightings,
                batch->sighting_count);
    for (size_t i = 0; i < batch->count; i++)
        svm_receipt_free(batch->submissions[i].receipt);
    for (size_t i = 0; i < batch->copy_count; i++)
        free(batch->copies[i]);
    pthread_mutex_destroy(&batch->lock);
    pthread_cond_destroy(&batch->changed);
    free(batch);
}

/* ---- comparisons ---------------------------------------------------------------------------------------------------------- */

static bool add_balance(void *arg, const struct svm_object *object)
{
    *(uint64_t *)arg += object->balance.units;
    return true;
}

static bool same_object(const struct svm_object *got, const struct ref_object *want)
{
    struct svm_object view = ref_object_view(want);
    struct svm_digest a, b;
    svm_object_digest(&a, got);
    svm_object_digest(&b, &view);
    return memcmp(a.b, b.b, sizeof a.b) == 0 && got->created_ms == want->created_ms &&
           got->modified_ms == want->modified_ms &&
           memcmp(got->last_tx.b, want->last_tx.b, sizeof got->last_tx.b) == 0;
}

/* The list of OWNER's objects, page by page, against the reference's. */
static void compare_list(struct world *world, struct svm_snapshot *snapshot,
                         const struct svm_address *owner)
{
    enum { PAGE = 7 };
    const struct ref *ref = world->judge.ref;
    struct svm_object *page[PAGE];
    struct svm_id after;
    size_t at = 0, got = 0;
    bool more = true, good = true;
    for (bool first = true; more && good; first = false) {
        good = svm_object_list(snapshot, owner, first ? NULL : &after, page, PAGE, &got, &more) ==
                   SVM_OK &&
               (got > 0 || !more);
        for (size_t i = 0; good && i < got; i++) {
            while (at < ref_count(ref) &&
                   (ref_at(ref, at)->deleted || ref_at(ref, at)->kind != SVM_KIND_OWNED ||
                    memcmp(ref_at(ref, at)->party.b, owner->b, 32) != 0))
                at++;
            good = at < ref_count(ref) && same_object(page[i], ref_at(ref, at));
            at++;
            after = page[i]->id;
        }
        for (size_t i = 0; i < got; i++)
            svm_object_free(page[i]);
    }
    for (; good && at < ref_count(ref); at++)
        good = ref_at(ref, at)->deleted || ref_at(ref, at)->kind != SVM_KIND_OWNED ||
               memcmp(ref_at(ref, at)->party.b, owner->b, 32) != 0;
    if (!good)
        judge_fail(&world->judge, "the list of an owner's objects differs");
}

/* Only cell transactions are under way: the state of the objects stands still. */
static void compare(struct world *world)
{
    struct svm_snapshot *snapshot;
    struct svm_digest got, want;
    uint64_t sum = 0;
    if (svm_snapshot_open(world->engine, &snapshot) != SVM_OK) {
        judge_fail(&world->judge, "no snapshot");
        return;
    }
    ref_state_hash(world->judge.ref, &want);
    if (svm_state_hash(snapshot, &got) != SVM_OK || memcmp(got.b, want.b, sizeof got.b) != 0)
        judge_fail(&world->judge, "the state hash differs");
    if (svm_state_scan(snapshot, add_balance, &sum) != SVM_OK || sum != world->sum ||
        ref_sum_of_balances(world->judge.ref) != world->sum)
        judge_fail(&world->judge, "the sum of balances is %llu, not %llu", (unsigned long long)sum,
                   (unsigned long long)world->sum);
    compare_list(world, snapshot, &world->gen.accounts[below(world, MODEL_DEV_ACCOUNTS)].address);
    svm_snapshot_close(snapshot);
}

/* ---- the log ---------------------------------------------------------------------------------------------------------------- */

struct audit {
    struct world *world;
    uint64_t next_seq;
    uint64_t materialised;
    bool begun;
    size_t txs, cells;
};

/* Each start trims what the state holds, so the log may begin at SEQ after the first; what lies before it must be in the state. */
static bool audit_begin(struct audit *audit, uint64_t seq)
{
    const struct judge *judge = &audit->world->judge;
    const struct cellwork *cells = &audit->world->cells;
    while (audit->txs < judge->log_count &&
           atomic_load(&judge->log[audit->txs]->committed)->seq < seq)
        audit->txs++;
    while (audit->cells < cells->sorted_count && cells->sorted[audit->cells]->seq < seq)
        audit->cells++;
    audit->begun = true;
    audit->next_seq = seq;
    return seq <= audit->materialised + 1;
}

static bool audit_cells(const struct audit *audit, const struct model_frame *frame)
{
    const struct cell_record *record = cellwork_logged(&audit->world->cells, frame->seq);
    if (!record)
        return false;
    for (uint16_t i = 0; i < frame->cells.write_count; i++) {
        const struct model_cell_write *w = &frame->cells.writes[i];
        uint64_t stamp = 0;
        bool found = false;
        if (!w->deleted)
            memcpy(&stamp, w->value.ptr, sizeof stamp);
        for (uint8_t k = 0; k < record->count; k++)
            found |= record->accesses[k].write && record->accesses[k].stamp == stamp;
        if (!found)
            return false;
    }
    return true;
}

static bool audit_frame(void *arg, const struct model_frame *frame)
{
    struct audit *audit = arg;
    struct judge *judge = &audit->world->judge;
    bool good = audit->begun || audit_begin(audit, frame->seq);
    good &= frame->seq == audit->next_seq++;
    if (frame->kind == MODEL_FRAME_TX) {
        const struct svm_receipt *receipt =
            audit->txs < judge->log_count ? atomic_load(&judge->log[audit->txs]->committed) : NULL;
        good &= receipt && receipt->seq == frame->seq &&
                memcmp(receipt->digest.b, frame->tx.digest.b, 32) == 0 &&
                receipt->node_ms == frame->tx.node_ms && receipt->gas_used == frame->tx.gas_used &&
                receipt->change_count == frame->tx.write_count;
        audit->txs++;
    } else if (frame->kind == MODEL_FRAME_CELLS) {
        good &= audit_cells(audit, frame);
        audit->cells++;
    }
    if (!good)
        judge_fail(judge, "the log differs at seq %llu", (unsigned long long)frame->seq);
    return good;
}

static void audit_log(struct world *world)
{
    struct store *store;
    struct store_opened opened;
    char reason[120];
    store_kv_ram_ops(&world->log_ops, world->log_ram);
    store_kv_ram_ops(&world->state_ops, world->state_ram);
    const struct store_config config = {.mode = STORE_WRITE,
                                        .log_ops = &world->log_ops,
                                        .state_ops = &world->state_ops,
                                        .receipts_seconds = 86400};
    if (store_open(&store, &config, &world->genesis, &opened, reason) != SVM_OK) {
        judge_fail(&world->judge, "the log does not open again: %s", reason);
        return;
    }
    struct audit audit = {.world = world, .materialised = store_materialised(store)};
    bool read = store_log_visit(store, 1, audit_frame, &audit) == SVM_OK;
    if (!audit.begun)
        audit_begin(&audit, audit.materialised + 1);
    if (!read || audit.txs != world->judge.log_count || audit.cells != world->cells.sorted_count)
        judge_fail(&world->judge, "the log holds %zu transactions of %zu, %zu cell ones of %zu",
                   audit.txs, world->judge.log_count, audit.cells, world->cells.sorted_count);
    store_close(store);
}

/* ---- all of it ----------------------------------------------------------------------------------------------------------------- */

static void finish(struct world *world, struct world_result *result)
{
    struct svm_stats *stats = malloc(sizeof *stats);
    SVM_ASSERT(stats != NULL);
    svm_stats(world->engine, stats);
    result->loads = stats->loads;
    result->evictions = stats->evictions;
    result->gc_removed = stats->gc_versions_removed;
    result->retries = stats->retries;
    result->conflicts = stats->conflicts;
    free(stats);
    if (world->plan->ordered && (result->retries > 0 || result->conflicts > 0))
        judge_fail(&world->judge,
                   "what the scheduler let run together met: %llu retries, %llu conflicts",
                   (unsigned long long)result->retries, (unsigned long long)result->conflicts);
    svm_engine_close(world->engine);
    if (world->plan->disk == WORLD_MEMORY)
        return;
    audit_log(world);
    if (world->plan->reopen) {
        open_engine(world);
        compare(world);
        for (size_t i = 0; i < world->all_count; i += 17) {
            const struct submission s = {.t = world->all[i]};
            if (s.t->planned == SVM_OK)
                settle(world, &s);
        }
        svm_engine_close(world->engine);
    }
}

void world_run(struct world_result *result, const struct world_plan *plan)
{
    enum { COMPARE_EVERY = 25 };
    static struct fault_jitter jitter;
    struct world *world = calloc(1, sizeof *world);
    SVM_ASSERT(world != NULL);
    /* With -DSVM_FAULTS every thread is delayed at any point of the claim protocol. */
    jitter = (struct fault_jitter){.seed = plan->seed, .one_in = 64, .sleep_us_max = 20};
    fault_hook_set(fault_jitter, &jitter);
    memset(result, 0, sizeof *result);
    world->plan = plan;
    start(world);
    for (unsigned i = 0; i < plan->batches; i++) {
        run_batch(world);
        if (i % COMPARE_EVERY == COMPARE_EVERY - 1)
            compare(world);
    }
    cellwork_stop(&world->cells);
    if (plan->disk == WORLD_DISK_TINY) {
        atomic_store(&world->keeper_stop, true);
        pthread_join(world->keeper, NULL);
    }
    result->cell_txns = cellwork_judge(&world->cells, &world->judge);
    compare(world);
    finish(world, result);
    result->counts = world->judge.counts;
    result->failures = world->judge.failures;
    judge_deinit(&world->judge);
    cellwork_deinit(&world->cells);
    model_genesis_deinit(&world->genesis);
    store_kv_ram_destroy(world->log_ram);
    store_kv_ram_destroy(world->state_ram);
    free(world->all);
    free(world);
}
