/* unit/exec_naive.h - the scheduler's naive twin: the order as a list, and the definition of "ready" looked up in it.
 *
 * A job is ready when no earlier unfinished job conflicts with it, and two jobs conflict when they name an id that at least
 * one of them writes. O(n^2) and nothing to get wrong: the oracle for exec_scheduler. */
#ifndef UNIT_EXEC_NAIVE_H
#define UNIT_EXEC_NAIVE_H

#include "exec/exec.h"

enum { NAIVE_JOBS_MAX = 512, NAIVE_REFS_MAX = 256 };

struct naive_job {
    uint32_t job;
    size_t ref_count;
    struct exec_ref refs[NAIVE_REFS_MAX];
};
struct naive {
    size_t count; /* unfinished jobs, in order */
    struct naive_job *jobs[NAIVE_JOBS_MAX];
    bool blind_to_readers; /* on purpose wrong: a writer does not wait for readers */
};

void naive_init(struct naive *naive);
void naive_deinit(struct naive *naive);
/* naive_insert: JOB is next in the order; returns whether it is ready. */
bool naive_insert(struct naive *naive, uint32_t job, const struct exec_ref *refs, size_t ref_count);
/* naive_finish: JOB is done; the newly ready ones, in their order, into READY_OUT. */
size_t naive_finish(struct naive *naive, uint32_t job, uint32_t *ready_out);
uint32_t naive_depth(const struct naive *naive, const struct svm_id *id);

#endif
