/* sim/sim.h - the real engine on simulated threads, time and disks: lives that end at any step, and an auditor who has seen everything.
 *
 *     plan (a seed) -> { open, recover -> audit -> batches of random transactions -> audit -> close, or cut off at some step
 *                        -> the power fails, or the process alone } x lives
 *
 * Swarm: each seed also picks what there is at all: which durability, which faults of the disks, how many workers, how dense the steps,
 * who is slow, how tiny the caches, whether transactions are signed, interactive, shared only. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <pthread.h>

#include "disk.h"
#include "engine/hooks.h"
#include "oracle/gen.h"
#include "weave/weave.h"

enum {
    SIM_BATCH_MAX = 40,
    SIM_SUBMITTERS = 3,
    SIM_SIGHTINGS = 4,
    SIM_CELL_THREADS = 2,
    SIM_CELL_KEYS = 4,
    SIM_CELL_ACCESSES = 4
};

struct sim_plan {
    uint64_t seed;
    enum svm_durability mode;
    uint32_t workers, lives, batches, batch_max, submitters;
    struct weave_options weave;
    bool sign, ordered, tiny_cache, keeper, gc_off, gc_frantic, history, run_batch;
    uint32_t cell_threads;
    bool power;    /* the power may fail, not the process alone */
    bool breaking; /* a disk may fail */
    uint32_t short_one_in;
    bool torn;
    uint32_t cut_chance; /* of a hundred lives */
    uint32_t busy_attempts;
};

/* One handing-in of a transaction. */
struct sim_submission {
    struct gen_tx *t;
    enum svm_wait wait;
    bool decoded, at_once, pending, duplicate, justified;
    bool told, answered; /* the answer has begun; is through */
    enum svm_err err;
    struct svm_receipt *receipt; /* the world's copy */
    struct svm_refusal refusal;
};
/* What the committer has shown, in order of seq: the timeline of this run, as far as it has not been lost. */
struct sim_deed {
    uint64_t seq;
    struct gen_tx *t;
};
struct sim_sighting {
    uint64_t seq;
    struct svm_digest hash;
};
/* A closure over cells: what it has read and written. seq 0: nobody has told its thread what became of it. */
struct sim_access {
    uint8_t key;
    bool write;
    uint64_t stamp; /* unique; 0 = absent */
};
struct sim_cell_record {
    uint64_t seq;
    bool writes, done, lost;
    uint8_t count;
    struct sim_access accesses[SIM_CELL_ACCESSES];
};

struct sim_counts {
    uint64_t lives, cut, power_cuts, disk_failures, executed, lost, refused, duplicates, cells,
        steps;
};
struct sim {
    struct sim_plan plan;
    struct rng rng;
    struct model_genesis genesis;
    struct ref *ref;
    struct gen gen;
    uint64_t sum;
    struct gen_tx **txs;
    size_t tx_count, tx_cap;
    struct sim_deed *deeds;
    size_t deed_count, deed_cap;
    size_t replayed; /* deeds that the reference has done */
    uint64_t *seqs;  /* position by the reference's */
    uint64_t told;   /* what somebody was told to be durable */
    uint64_t synced; /* what was known to be on the platter when the last life began */
    struct sim_sighting sightings[SIM_SIGHTINGS];
    size_t sighting_count;
    struct sim_submission batch[SIM_BATCH_MAX];
    size_t batch_count;
    struct sim_cell_record *records;
    size_t record_count, record_cap;
    uint64_t next_stamp;
    uint64_t cells[SIM_CELL_KEYS]; /* what they held when the records begin */

    uint32_t life;
    struct svm_engine *engine;
    struct svm_kv_ops log_ops, state_ops;
    struct engine_hooks hooks;
    bool stop; /* the threads beside the batches */
    struct sim_counts counts;
};

/* plan.c */
void sim_plan_make(struct sim_plan *plan, uint64_t seed);
void sim_plan_say(const struct sim_plan *plan);
void sim_configure(struct sim *sim, struct svm_config *config);

/* life.c - sim_run: all lives of SEED, in fresh heaps. false: failed, weave_failure says how. */
bool sim_run(uint64_t seed, struct sim_counts *counts);

/* audit.c - sim_audit_begin: a fresh world; recovered: a life has begun; batch: everything of it was answered; crash: a life has ended. */
void sim_audit_begin(struct sim *sim);
void sim_audit_shown(struct sim *sim, const struct svm_receipt *receipt);
void sim_audit_recovered(struct sim *sim);
void sim_audit_batch(struct sim *sim);
void sim_audit_state(struct sim *sim);
void sim_audit_told(struct sim *sim, uint64_t seq);

/* cells.c */
void sim_cells_start(struct sim *sim, pthread_t *threads);
void sim_cells_recovered(struct sim *sim, uint64_t end);
void sim_cells_check(struct sim *sim);

#endif
