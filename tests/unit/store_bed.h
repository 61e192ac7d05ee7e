/* unit/store_bed.h - a small world whose history follows from a seed, written into a store and compared with it. */
#ifndef UNIT_STORE_BED_H
#define UNIT_STORE_BED_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "store/store.h"

enum {
    WORLD_OBJECTS = 24,
    WORLD_OWNERS = 4,
    WORLD_CELLS = 6,
    WORLD_SEQS_MAX = 4096,
    WORLD_TIME_MS = 1000000
};

struct world_object {
    struct svm_id id;
    struct model_object *object; /* NULL = not created yet */
    uint64_t seq;
};
struct world_cell {
    uint8_t key[8];
    size_t key_len;
    uint64_t version; /* 0 = never written */
    uint64_t seq;
    bool deleted;
    uint8_t value[40];
    size_t value_len;
};
/* The naive twin: the state after `seq` steps. */
struct world {
    struct rng rng;
    uint64_t seq;
    uint64_t node_ms;
    uint64_t live[3];
    uint64_t transfers;
    uint64_t versions; /* written so far, genesis included */
    struct world_object objects[WORLD_OBJECTS];
    struct world_cell cells[WORLD_CELLS];
    struct svm_digest digests[WORLD_SEQS_MAX]; /* by seq; zero = no receipt */
    uint16_t changes[WORLD_SEQS_MAX];
    uint64_t times_ms[WORLD_SEQS_MAX]; /* by seq */
};
void world_init(struct world *world, uint64_t seed);
void world_deinit(struct world *world);
/* world_step: one more transaction, cells write or void; gives its frame (free). */
uint8_t *world_step(struct world *world, size_t *len_out);
void world_owner(struct svm_address *owner_out, unsigned index);

/* bed_seed: SVM_SEED or the time; printed. */
uint64_t bed_seed(const char *test);
/* The genesis of every world: the first three objects. */
const struct model_genesis *bed_genesis(void);

struct bed {
    uint64_t seed;
    struct store_kv_ram *log_ram, *state_ram; /* NULL with a datadir */
    struct svm_kv_ops log_ops, state_ops;
    struct store_config config;
    struct store *store;
    struct store_opened opened;
    struct world *world; /* what was committed */
    char reason[120];
    char dir[64];
};
void bed_init_ram(struct bed *bed, uint64_t seed, enum store_mode mode);
void bed_init_dir(struct bed *bed, uint64_t seed,
                  enum store_mode mode); /* a fresh directory; removed by deinit */
void bed_deinit(struct bed *bed);
enum svm_err bed_try_open(struct bed *bed);
void bed_open(struct bed *bed);
void bed_close(struct bed *bed);
/* bed_rewind: the store came back with SEQ transactions: so does the world. */
void bed_rewind(struct bed *bed, uint64_t seq);
/* bed_commit: COUNT more steps as one group. */
enum svm_err bed_try_commit(struct bed *bed, unsigned count);
void bed_commit(struct bed *bed, unsigned count);
uint64_t bed_materialise(struct bed *bed, size_t bytes_max); /* groups */
/* bed_check: what can be read is the world after SEQ steps, no more and no less. */
void bed_check(struct bed *bed, uint64_t seq);
void bed_remove(const char *dir);
/* bed_files: a fixture: in this process and its children every batch enters `state` as a file. */
void bed_files(void);

#endif
