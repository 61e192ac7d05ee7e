#include <stdio.h>

#include "sim.h"

static bool one_in(struct rng *rng, uint64_t n)
{
    return rng_below(rng, n) == 0;
}

static struct weave_options make_weave(struct rng *rng)
{
    static const uint32_t gaps[] = {1, 4, 15, 60, 250};
    static const uint32_t step_ns[] = {50, 1000, 20000};
    struct weave_options options = {.seed = rng_next(rng),
                                    .policy = (enum weave_policy)rng_below(rng, WEAVE_ALL),
                                    .gap = gaps[1 + rng_below(rng, 4)],
                                    .step_ns = step_ns[rng_below(rng, 3)],
                                    .steps_max = 3000000};
    if (one_in(rng, 12))
        options.gap = 1;
    if (one_in(rng, 4))
        options.weak_one_in = 20;
    return options;
}

void sim_plan_make(struct sim_plan *plan, uint64_t seed)
{
    static const enum svm_durability modes[] = {SVM_SYNC,     SVM_SYNC,  SVM_WRITE,
                                                SVM_INTERVAL, SVM_WRITE, SVM_MEMORY};
    struct rng rng;
    rng_init(&rng, seed);
    *plan = (struct sim_plan){.seed = seed,
                              .mode = modes[rng_below(&rng, 6)],
                              .workers = 1 + (uint32_t)rng_below(&rng, 3),
                              .lives = 1 + (uint32_t)rng_below(&rng, 4),
                              .batches = 1 + (uint32_t)rng_below(&rng, 3),
                              .batch_max = 4 + (uint32_t)rng_below(&rng, SIM_BATCH_MAX - 4),
                              .submitters = 1 + (uint32_t)rng_below(&rng, SIM_SUBMITTERS),
                              .weave = make_weave(&rng),
                              .sign = one_in(&rng, 20),
                              .ordered = one_in(&rng, 10),
                              .tiny_cache = one_in(&rng, 3),
                              .keeper = one_in(&rng, 2),
                              .gc_off = one_in(&rng, 6),
                              .gc_frantic = one_in(&rng, 3),
                              .history = one_in(&rng, 4),
                              .run_batch = one_in(&rng, 4),
                              .cell_threads = (uint32_t)rng_below(&rng, SIM_CELL_THREADS + 1),
                              .power = one_in(&rng, 2),
                              .breaking = one_in(&rng, 5),
                              .torn = one_in(&rng, 2),
                              .cut_chance = one_in(&rng, 5) ? 0 : 75,
                              .busy_attempts = one_in(&rng, 3) ? 3 : 24};
    if (one_in(&rng, 3))
        plan->short_one_in = 1 + (uint32_t)rng_below(&rng, 4);
    if (plan->mode == SVM_MEMORY)
        plan->tiny_cache = false; /* there it is the limit */
    if (plan->ordered) { /* nothing is in the way of what the scheduler lets run together */
        plan->mode = SVM_MEMORY;
        plan->tiny_cache = false;
        plan->gc_off = true;
        plan->keeper = false;
        plan->cell_threads = 0;
        plan->workers = 2 + (uint32_t)rng_below(&rng, 2);
    }
}

void sim_plan_say(const struct sim_plan *plan)
{
    static const char *const policies[] = {"uniform", "priority", "starve", ""};
    printf("  plan: %s, workers %u, lives %u, batches %u of %u, submitters %u, cells %u, %s, gap "
           "%u, step %u ns%s%s%s%s%s%s%s%s%s%s\n",
           svm_durability_name(plan->mode), plan->workers, plan->lives, plan->batches,
           plan->batch_max, plan->submitters, plan->cell_threads, policies[plan->weave.policy],
           plan->weave.gap, plan->weave.step_ns, plan->sign ? ", signed" : "",
           plan->ordered ? ", shared only" : "", plan->tiny_cache ? ", tiny cache" : "",
           plan->keeper ? ", keeper" : "", plan->gc_off ? ", no collector" : "",
           plan->gc_frantic ? ", frantic collector" : "", plan->power ? ", power cuts" : "",
           plan->torn ? ", torn blocks" : "", plan->short_one_in ? ", short writes" : "",
           plan->breaking ? ", failing disks" : "");
}

void sim_configure(struct sim *sim, struct svm_config *config)
{
    const struct sim_plan *plan = &sim->plan;
    svm_config_init(config);
    config->durability = plan->mode;
    config->durability_interval_ms = 3;
    config->workers = plan->workers;
    config->inflight_max = 64;
    config->waiters_max = 128;
    config->sessions_max = 4;
    config->busy_attempts_max = plan->busy_attempts;
    config->tx_bytes_max = GEN_TX_BYTES_MAX;
    config->tx_data_bytes_max = GEN_DATA_BYTES_MAX;
    config->tx_effects_bytes_max = GEN_EFFECTS_MAX;
    config->cell_value_bytes_max = 256;
    config->cache_bytes = plan->tiny_cache ? 4 << 10 : 64u << 20;
    config->tx_dedupe_bytes = plan->tiny_cache ? 2 << 10 : 64u << 20;
    config->disk_free_min_bytes = 0;
    config->history_versions = plan->history ? 2 : 0;
    config->verify_signatures = plan->sign;
    config->gc_enabled = !plan->gc_off;
    if (plan->gc_frantic) {
        config->gc_adaptive = 0;
        config->gc_interval_ms = config->gc_interval_min_ms = config->gc_interval_max_ms = 1;
        config->gc_threshold = config->gc_threshold_min = config->gc_threshold_max = 1;
    }
    sim->hooks.log_ops = plan->mode == SVM_MEMORY ? NULL : &sim->log_ops;
    sim->hooks.state_ops = plan->mode == SVM_MEMORY ? NULL : &sim->state_ops;
    config->test_hooks = &sim->hooks;
}
