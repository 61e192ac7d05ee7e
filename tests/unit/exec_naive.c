#include "unit/exec_naive.h"

#include <stdlib.h>
#include <string.h>

void naive_init(struct naive *naive)
{
    memset(naive, 0, sizeof *naive);
}

void naive_deinit(struct naive *naive)
{
    for (size_t i = 0; i < naive->count; i++)
        free(naive->jobs[i]);
    naive->count = 0;
}

static bool conflict(const struct naive *naive, const struct naive_job *before,
                     const struct naive_job *after)
{
    for (size_t i = 0; i < before->ref_count; i++) {
        for (size_t j = 0; j < after->ref_count; j++) {
            if (memcmp(&before->refs[i].id, &after->refs[j].id, sizeof(struct svm_id)) != 0)
                continue;
            if (before->refs[i].write || (after->refs[j].write && !naive->blind_to_readers))
                return true;
        }
    }
    return false;
}

static bool is_ready(const struct naive *naive, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (conflict(naive, naive->jobs[i], naive->jobs[at]))
            return false;
    }
    return true;
}

bool naive_insert(struct naive *naive, uint32_t job, const struct exec_ref *refs, size_t ref_count)
{
    SVM_ASSERT(naive->count < NAIVE_JOBS_MAX && ref_count <= NAIVE_REFS_MAX);
    struct naive_job *entry = malloc(sizeof *entry);
    SVM_ASSERT(entry != NULL);
    entry->job = job;
    entry->ref_count = ref_count;
    memcpy(entry->refs, refs, ref_count * sizeof *refs);
    naive->jobs[naive->count++] = entry;
    return is_ready(naive, naive->count - 1);
}

size_t naive_finish(struct naive *naive, uint32_t job, uint32_t *ready_out)
{
    bool was_ready[NAIVE_JOBS_MAX];
    size_t at = naive->count, ready = 0;
    for (size_t i = 0; i < naive->count; i++) {
        was_ready[i] = is_ready(naive, i);
        if (naive->jobs[i]->job == job)
            at = i;
    }
    SVM_ASSERT(at < naive->count && was_ready[at]);
    free(naive->jobs[at]);
    naive->count--;
    memmove(&naive->jobs[at], &naive->jobs[at + 1], (naive->count - at) * sizeof naive->jobs[0]);
    memmove(&was_ready[at], &was_ready[at + 1], (naive->count - at) * sizeof was_ready[0]);
    for (size_t i = 0; i < naive->count; i++) {
        if (!was_ready[i] && is_ready(naive, i))
            ready_out[ready++] = naive->jobs[i]->job;
    }
    return ready;
}

uint32_t naive_depth(const struct naive *naive, const struct svm_id *id)
{
    uint32_t depth = 0;
    for (size_t i = 0; i < naive->count; i++) {
        for (size_t j = 0; j < naive->jobs[i]->ref_count; j++)
            depth += memcmp(&naive->jobs[i]->refs[j].id, id, sizeof *id) == 0;
    }
    return depth;
}
