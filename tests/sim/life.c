/* The lives of one seed. The main coroutine is the director: it opens, hands in batch after batch, and asks the auditor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "engine/internal.h"
#include "sim.h"

enum { PATIENCE_MS = 600000 };

static void sleep_us(uint64_t us)
{
    nanosleep(&(struct timespec){.tv_sec = (time_t)(us / 1000000),
                                 .tv_nsec = (long)(us % 1000000) * 1000},
              NULL);
}

/* ---- what the engine tells --------------------------------------------------------------------------------------------- */

static void on_committed(void *arg, const struct svm_receipt *receipt, const struct svm_tx *tx)
{
    (void)tx;
    enum weave_heap heap = weave_heap_enter(WEAVE_WORLD);
    sim_audit_shown(arg, receipt);
    weave_heap_enter(heap);
}

static void on_claimed(void *arg, const struct svm_digest *digest, enum svm_path path)
{
    const struct sim *sim = arg;
    (void)digest;
    (void)path;
    if (sim->plan.ordered || weave_random(20) == 0)
        sleep_us(30);
}

static struct sim *the_sim; /* callbacks have the submission for argument */

static void on_answer(void *arg, const struct svm_outcome *outcome)
{
    struct sim_submission *s = arg;
    struct sim *sim = the_sim;
    enum weave_heap heap = weave_heap_enter(WEAVE_WORLD);
    if (s->told)
        weave_fail("a second answer to one submission");
    s->told = true;
    s->err = outcome->err;
    s->pending = outcome->pending;
    s->duplicate = outcome->duplicate;
    if (outcome->refusal != NULL)
        s->refusal = *outcome->refusal;
    if (outcome->receipt != NULL)
        s->receipt = svm_receipt_copy(outcome->receipt);
    unsigned long long seq = s->receipt != NULL ? s->receipt->seq : 0;
    weave_note("answer: %s seq %llu%s%s", svm_err_name(s->err), seq,
               outcome->durable ? " durable" : "", s->duplicate ? " duplicate" : "");
    if (s->wait != SVM_WAIT_NONE && seq > svm_applied_seq(sim->engine))
        weave_fail("seq %llu: told before it can be read", seq);
    sim_audit_told(sim, outcome->durable_seq);
    if (outcome->durable && s->receipt != NULL)
        sim_audit_told(sim, seq);
    if (s->wait == SVM_WAIT_DURABLE && s->receipt != NULL && sim->plan.mode != SVM_MEMORY) {
        if (!outcome->durable)
            weave_fail("seq %llu: who waited for durability was told without", seq);
        sim_audit_told(sim, seq);
    }
    if (outcome->err != SVM_OK && s->wait == SVM_WAIT_DURABLE &&
        (s->refusal.has & SVM_HAS_SEQ) != 0 &&
        !disk_failed()) /* what the refusal rests on is durable too */
        sim_audit_told(sim, s->refusal.seq);
    s->answered = true; /* last: what looks on makes the next batch in its place */
    weave_heap_enter(heap);
}

/* ---- a batch ------------------------------------------------------------------------------------------------------------- */

static struct gen_tx *some_transaction(struct sim *sim)
{
    uint64_t roll = rng_below(&sim->rng, 100);
    if (roll < 10 && sim->tx_count > 0)
        return sim->txs[rng_below(&sim->rng, sim->tx_count)];
    if (roll < 20 && sim->batch_count > 0)
        return sim->batch[rng_below(&sim->rng, sim->batch_count)].t;
    struct gen_tx *t = gen_make(&sim->gen);
    for (size_t i = 0; i < sim->tx_count; i++)
        if (memcmp(sim->txs[i]->digest.b, t->digest.b, sizeof t->digest.b) == 0)
            return sim->txs[i];
    if (sim->tx_count == sim->tx_cap) {
        sim->tx_cap = sim->tx_cap == 0 ? 64 : 2 * sim->tx_cap;
        sim->txs = realloc(sim->txs, sim->tx_cap * sizeof(struct gen_tx *));
        SVM_ASSERT(sim->txs != NULL);
    }
    return sim->txs[sim->tx_count++] = t;
}

static void make_batch(struct sim *sim)
{
    static const enum svm_wait waits[] = {SVM_WAIT_DURABLE, SVM_WAIT_DURABLE, SVM_WAIT_EXECUTED,
                                          SVM_WAIT_NONE};
    uint64_t now_ms = svm_now_ms(sim->engine);
    size_t wanted = 2 + rng_below(&sim->rng, sim->plan.batch_max - 2);
    gen_batch(&sim->gen, now_ms);
    for (sim->batch_count = 0; sim->batch_count < wanted;) {
        struct gen_tx *t = some_transaction(sim);
        struct sim_submission *s = &sim->batch[sim->batch_count++];
        *s = (struct sim_submission){.t = t, .wait = waits[rng_below(&sim->rng, 4)]};
        s->decoded = t->planned == SVM_OK && rng_below(&sim->rng, 10) == 0;
    }
}

struct submitter {
    struct sim *sim;
    size_t from, step;
};

static void refused_at_once(struct sim_submission *s, enum svm_err err)
{
    if (err == SVM_OK)
        return;
    s->at_once = s->told = s->answered = true;
    s->err = err;
}

static void hand_in_one(struct sim *sim, struct sim_submission *s)
{
    enum svm_err err = s->decoded
                           ? svm_submit_decoded(sim->engine, &s->t->tx, &s->t->digest, s->wait,
                                                on_answer, s, &s->refusal)
                           : svm_submit(sim->engine, (struct svm_bytes){s->t->bytes, s->t->len},
                                        s->wait, on_answer, s, &s->refusal);
    refused_at_once(s, err);
}

/* Several of one kind of waiting together. */
static void hand_in_some(struct sim *sim, struct sim_submission *const *some, size_t count)
{
    struct svm_submission subs[SIM_BATCH_MAX] = {0};
    for (size_t i = 0; i < count; i++) {
        subs[i] = (struct svm_submission){.bytes = {some[i]->t->bytes, some[i]->t->len},
                                          .arg = some[i],
                                          .refusal = &some[i]->refusal};
        if (some[i]->decoded) {
            subs[i].tx = &some[i]->t->tx;
            subs[i].digest = &some[i]->t->digest;
        }
    }
    if (sim->plan.run_batch)
        svm_run_batch(sim->engine, subs, count, some[0]->wait, on_answer);
    else
        svm_submit_batch(sim->engine, subs, count, some[0]->wait, on_answer);
    for (size_t i = 0; i < count; i++)
        refused_at_once(some[i], subs[i].err);
}

static void *submitter_main(void *arg)
{
    const struct submitter *submitter = arg;
    struct sim *sim = submitter->sim;
    struct sim_submission *some[SIM_BATCH_MAX];
    size_t count = 0;
    weave_name("submitter");
    weave_heap_enter(WEAVE_LIFE);
    bool together = weave_random(2) == 0;
    for (size_t i = submitter->from; i < sim->batch_count; i += submitter->step) {
        struct sim_submission *s = &sim->batch[i];
        if (!together) {
            hand_in_one(sim, s);
        } else if (count == 0 || some[0]->wait == s->wait) {
            some[count++] = s;
        } else {
            hand_in_some(sim, some, count);
            count = 0;
            some[count++] = s;
        }
    }
    if (count > 0)
        hand_in_some(sim, some, count);
    return NULL;
}

static void look(struct sim *sim)
{
    struct svm_snapshot *snapshot;
    struct sim_sighting sighting;
    enum weave_heap heap = weave_heap_enter(WEAVE_LIFE);
    bool good = svm_snapshot_open(sim->engine, &snapshot) == SVM_OK;
    if (good) {
        sighting.seq = svm_snapshot_seq(snapshot);
        good = svm_state_hash(snapshot, &sighting.hash) == SVM_OK;
        svm_snapshot_close(snapshot);
    }
    weave_heap_enter(heap);
    if (good)
        sim->sightings[sim->sighting_count++] = sighting;
}

/* answered: by everybody, within a time that is long when nobody sleeps. */
static void wait_answers(struct sim *sim)
{
    for (unsigned ms = 0; ms < PATIENCE_MS; ms++) {
        size_t open = 0;
        for (size_t i = 0; i < sim->batch_count; i++)
            open += !sim->batch[i].answered;
        if (open == 0)
            return;
        sleep_us(1000);
    }
    weave_fail("there is no answer after %d s", PATIENCE_MS / 1000);
}

/* Until the committer has shown what became of T. */
static void settle(struct sim *sim, const struct gen_tx *t)
{
    for (unsigned ms = 0; ms < PATIENCE_MS && !disk_failed(); ms++) {
        struct svm_receipt *receipt = NULL;
        enum weave_heap heap = weave_heap_enter(WEAVE_LIFE);
        enum svm_err err = svm_receipt_get(sim->engine, &t->digest, &receipt);
        weave_heap_enter(heap);
        svm_receipt_free(receipt);
        if (err == SVM_E_NOT_FOUND || (err == SVM_OK && t->committed != NULL))
            return;
        if (err != SVM_OK && err != SVM_E_BUSY && !disk_failed())
            weave_fail("a receipt cannot be had: %s", svm_err_name(err));
        sleep_us(500);
    }
    if (!disk_failed())
        weave_fail("a transaction is neither finished nor forgotten");
}

static void run_batch(struct sim *sim)
{
    struct submitter submitters[SIM_SUBMITTERS];
    pthread_t threads[SIM_SUBMITTERS];
    make_batch(sim);
    for (uint32_t i = 0; i < sim->plan.submitters; i++) {
        submitters[i] = (struct submitter){.sim = sim, .from = i, .step = sim->plan.submitters};
        SVM_ASSERT(pthread_create(&threads[i], NULL, submitter_main, &submitters[i]) == 0);
    }
    if (rng_below(&sim->rng, 3) == 0)
        for (int i = 0; i < SIM_SIGHTINGS && sim->sighting_count < SIM_SIGHTINGS; i++)
            look(sim);
    for (uint32_t i = 0; i < sim->plan.submitters; i++)
        pthread_join(threads[i], NULL);
    wait_answers(sim);
    for (size_t i = 0; i < sim->batch_count; i++)
        if (sim->batch[i].t->planned == SVM_OK)
            settle(sim, sim->batch[i].t);
    sim_audit_told(sim, disk_failed() ? 0 : svm_durable_seq(sim->engine));
    if (!disk_failed())
        sim_audit_batch(sim);
}

/* ---- beside the batches ----------------------------------------------------------------------------------------------------- */

/* Carries everything to the disk, trims, sweeps, collects, all the time. */
static void *keeper_main(void *arg)
{
    struct sim *sim = arg;
    struct svm_engine *engine = sim->engine;
    weave_name("keeper");
    weave_heap_enter(WEAVE_LIFE);
    while (!sim->stop && !disk_failed()) {
        uint64_t did;
        enum svm_err err = SVM_OK;
        svm_gc_run(engine);
        if (sim->plan.mode != SVM_MEMORY) {
            pthread_mutex_lock(&engine->state_lock);
            err = store_materialise(engine->store, weave_random(2) == 0 ? 1 : 1 << 20, &did);
            if (err == SVM_OK && weave_random(3) == 0)
                err = store_trim(engine->store);
            if (err == SVM_OK && weave_random(3) == 0)
                err = store_sweep(engine->store, svm_now_ms(engine), 50);
            pthread_mutex_unlock(&engine->state_lock);
        }
        if (err != SVM_OK && !disk_failed())
            weave_fail("the state cannot be kept: %s", svm_err_name(err));
        sleep_us(100 + weave_random(3000));
    }
    return NULL;
}

/* ---- a life ------------------------------------------------------------------------------------------------------------------- */

static void make_faults(struct sim *sim, struct disk_faults *faults)
{
    static const int why[] = {5 /* EIO */, 28 /* ENOSPC */};
    const struct sim_plan *plan = &sim->plan;
    *faults = (struct disk_faults){.short_one_in = plan->short_one_in, .torn = plan->torn};
    if (!plan->breaking || rng_below(&sim->rng, 2) == 0)
        return;
    faults->fail_errno = why[rng_below(&sim->rng, 2)];
    if (rng_below(&sim->rng, 3) > 0)
        faults->fail_at = 1 + rng_below(&sim->rng, 60);
    else
        faults->state_fail_at = 1 + rng_below(&sim->rng, 12);
}

static bool open_engine(struct sim *sim)
{
    struct disk_faults faults;
    struct svm_config config;
    struct svm_refusal detail;
    char reason[120] = "";
    make_faults(sim, &faults);
    sim_configure(sim, &config);
    weave_heap_enter(WEAVE_LIFE);
    enum svm_err err = SVM_OK;
    if (sim->plan.mode != SVM_MEMORY)
        err = disk_open(&sim->log_ops, &sim->state_ops, &faults, reason);
    if (err == SVM_OK) {
        err = svm_engine_open(&sim->engine, &config, &detail);
        snprintf(reason, sizeof reason, "%s", detail.reason);
    }
    weave_heap_enter(WEAVE_WORLD);
    if (err != SVM_OK && !disk_failed())
        weave_fail("it does not open: %s: %s", svm_err_name(err), reason);
    return err == SVM_OK;
}

static void close_engine(struct sim *sim)
{
    struct svm_stats *stats = malloc(sizeof *stats);
    SVM_ASSERT(stats != NULL);
    weave_heap_enter(WEAVE_LIFE);
    svm_stats(sim->engine, stats);
    uint64_t last = svm_applied_seq(sim->engine);
    svm_engine_close(sim->engine);
    weave_heap_enter(WEAVE_WORLD);
    if (sim->plan.ordered && (stats->retries > 0 || stats->conflicts > 0))
        weave_fail("what the scheduler let run together met: %llu retries, %llu conflicts",
                   (unsigned long long)stats->retries, (unsigned long long)stats->conflicts);
    free(stats);
    if (sim->plan.mode == SVM_MEMORY || disk_failed())
        return;
    sim_audit_told(sim, last);
    sim->synced = last;
}

static void life_main(void *arg)
{
    struct sim *sim = arg;
    pthread_t cells[SIM_CELL_THREADS], keeper;
    weave_heap_enter(WEAVE_WORLD);
    if (!open_engine(sim))
        weave_cut();
    sim_audit_recovered(sim);
    sim->stop = false;
    sim_cells_start(sim, cells);
    if (sim->plan.keeper)
        SVM_ASSERT(pthread_create(&keeper, NULL, keeper_main, sim) == 0);
    for (uint32_t i = 0; i < sim->plan.batches && !disk_failed(); i++)
        run_batch(sim);
    sim->stop = true;
    for (uint32_t i = 0; i < sim->plan.cell_threads; i++)
        pthread_join(cells[i], NULL);
    if (sim->plan.keeper)
        pthread_join(keeper, NULL);
    if (!disk_failed()) {
        sim_audit_state(sim);
        sim_cells_check(sim);
    }
    close_engine(sim);
}

static void forget(struct sim *sim)
{
    sim->told = sim->synced = 0; /* memory mode: nothing is left, as promised */
}

static bool run_life(struct sim *sim, struct weave_options *options)
{
    const struct sim_plan *plan = &sim->plan;
    options->seed = rng_next(&sim->rng);
    options->stop_at = 0;
    if (rng_below(&sim->rng, 100) < plan->cut_chance) {
        /* As likely early as late, whatever the length of a life. */
        uint64_t magnitude = 5 + rng_below(&sim->rng, 10);
        options->stop_at = 1 + rng_below(&sim->rng, UINT64_C(1) << magnitude);
    }
    weave_note("life %u", sim->life);
    weave_heap_reset(WEAVE_LIFE);
    enum weave_end end = weave_run(options, life_main, sim);
    sim->counts.steps += weave_steps();
    sim->counts.lives++;
    sim->counts.cut += end == WEAVE_CUT;
    options->time_ns = weave_now_ns() + rng_below(&sim->rng, 5000000000u);
    options->wall_shift_ms += (int64_t)rng_below(&sim->rng, 3) * 1500 - 1500;
    if (end == WEAVE_FAILED)
        return false;
    bool power = plan->power && rng_below(&sim->rng, 3) > 0;
    sim->counts.power_cuts += power;
    sim->counts.disk_failures += disk_failed();
    weave_note("%s; %s", end == WEAVE_CUT ? "cut off" : "closed",
               power ? "the power fails" : "the disks stay");
    if (power && plan->mode == SVM_WRITE)
        sim->told = sim->synced;
    if (plan->mode == SVM_MEMORY)
        forget(sim);
    disk_life_ends(&sim->rng, power);
    return true;
}

bool sim_run(uint64_t seed, struct sim_counts *counts)
{
    weave_heap_reset(WEAVE_WORLD);
    weave_heap_reset(WEAVE_LIFE);
    weave_transcript_clear();
    enum weave_heap heap = weave_heap_enter(WEAVE_WORLD);
    struct sim *sim = calloc(1, sizeof *sim);
    the_sim = sim;
    sim_plan_make(&sim->plan, seed);
    rng_init(&sim->rng, seed ^ 0x51317);
    sim->hooks =
        (struct engine_hooks){.committed = on_committed, .claimed = on_claimed, .arg = sim};
    disk_create();
    sim_audit_begin(sim);
    struct weave_options options = sim->plan.weave;
    bool good = true;
    for (sim->life = 0; good && sim->life < sim->plan.lives; sim->life++)
        good = run_life(sim, &options);
    *counts = sim->counts;
    weave_heap_enter(heap);
    return good;
}
