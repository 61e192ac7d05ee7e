/* oracle/world.h - one engine with its disks in memory, a judge, and batch after batch of random transactions.
 *
 *     plan -> open -> { generate -> hand in from several threads -> wait -> judge } x batches -> compare hashes
 *          -> close -> audit the log -> (sometimes) open again: the recovered state is the same */
#ifndef ORACLE_WORLD_H
#define ORACLE_WORLD_H

#include "engine/hooks.h"
#include "judge.h"

enum world_gc { WORLD_GC_OFF, WORLD_GC_NORMAL, WORLD_GC_FRANTIC, WORLD_GCS };
enum world_disk {
    WORLD_MEMORY,
    WORLD_DISK,
    WORLD_DISK_TINY,
    WORLD_DISKS
}; /* TINY: cache of a few objects */

struct world_plan {
    uint64_t seed;
    unsigned batches, workers;
    enum world_gc gc;
    enum world_disk disk;
    bool sign;
    bool ordered; /* shared objects alone, nothing in the way of what the scheduler lets run */
    bool reopen;
};

struct world_result {
    struct judge_counts counts;
    uint64_t failures, cell_txns, loads, evictions, gc_removed, retries, conflicts;
};
/* world_run: ends the process when the engine does not answer. */
void world_run(struct world_result *result, const struct world_plan *plan);

#endif
