/* mvcc_stress: threads against one object table, judged by a replay in the order of seq.
 *
 * Workers commit transactions (reads, writes, deletions, creations), snapshot readers add up all balances, a collector advances the
 * floor, trims and evicts, a committer takes the records in order, replays them and writes a simulated disk from which evicted
 * objects are loaded again. Judged: every read saw the last write before it in the order of seq; the sum never changes, in the replay and
 * in every snapshot; a snapshot at s equals the replay up to s; the table's counts are those of a recount. */
#ifndef TESTS_UNIT_MVCC_STRESS_H
#define TESTS_UNIT_MVCC_STRESS_H

#include <stdbool.h>
#include <stdint.h>

/* What is left out: the claim of the writes, the second validation (after seq; the first stays), the pin of a snapshot. */
enum stress_sabotage { STRESS_HONEST, STRESS_NO_CLAIM, STRESS_NO_VALIDATION, STRESS_NO_PIN };

struct stress_config {
    uint64_t seed;
    uint32_t workers;
    uint32_t readers;
    uint32_t base_keys; /* exist from the start */
    uint32_t duration_ms;
    bool stop_at_violation;
    enum stress_sabotage sabotage;
};
struct stress_result {
    uint64_t commits, voids, retries, snapshots, cancelled, loads, evicted, trimmed, created;
    uint64_t violations;
    char first[160]; /* what was wrong first */
};
void stress_run(const struct stress_config *config, struct stress_result *result);

#endif
