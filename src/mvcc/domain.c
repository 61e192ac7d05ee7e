#include "mvcc/internal.h"

#include <stdlib.h>
#include <string.h>

/* The domain: creation and destruction, threads, counts. */

static void plain_reclaim(void *arg, struct qsbr_entry *entry)
{
    (void)arg;
    free(entry);
}

struct mvcc *mvcc_create(const struct mvcc_config *config)
{
    SVM_ASSERT(config->threads_max > 0);
    struct mvcc *mvcc = aligned_alloc(128, sizeof *mvcc);
    if (mvcc == NULL) {
        return NULL;
    }
    memset(mvcc, 0, sizeof *mvcc);
    pthread_mutex_init(&mvcc->mutex, NULL);
    mvcc->threads_max = config->threads_max;
    mvcc->threads = calloc(config->threads_max, sizeof(struct mvcc_thread *));

    qsbr_reclaim_fn *const reclaim[QSBR_KINDS] = {[MVCC_BLOCK_VERSION] = mvcc_version_reclaim,
                                                  [MVCC_BLOCK_HEAD] = mvcc_head_reclaim,
                                                  [MVCC_BLOCK_ARRAY] = mvcc_array_reclaim,
                                                  [MVCC_BLOCK_PLAIN] = plain_reclaim};
    mvcc->qsbr = qsbr_create(config->threads_max, reclaim, NULL);
    mvcc->blocks = slab_depot_create();
    bool ok = mvcc->threads != NULL && mvcc->qsbr != NULL && mvcc->blocks != NULL;
    ok = mvcc_seq_init(&mvcc->seq, config->inflight_max, config->first_seq, config->records_kept) &&
         ok;
    ok = mvcc_pins_init(&mvcc->pins, config->pins_max) && ok;
    for (int i = 0; i < MVCC_SPACES; i++) {
        ok = mvcc_table_init(&mvcc->tables[i], mvcc, (enum mvcc_space)i) && ok;
    }
    if (!ok) {
        mvcc_destroy(mvcc);
        return NULL;
    }
    return mvcc;
}

/* Also takes what mvcc_create could not finish. */
void mvcc_destroy(struct mvcc *mvcc)
{
    if (mvcc == NULL) {
        return;
    }
    for (uint32_t i = 0; mvcc->threads != NULL && i < mvcc->threads_max; i++) {
        SVM_ASSERT(mvcc->threads[i] == NULL);
    }
    qsbr_destroy(mvcc->qsbr);
    for (int i = 0; i < MVCC_SPACES; i++) {
        mvcc_table_deinit(&mvcc->tables[i]);
    }
    mvcc_pins_deinit(&mvcc->pins);
    mvcc_seq_deinit(&mvcc->seq);
    slab_depot_destroy(mvcc->blocks);
    free(mvcc->threads);
    pthread_mutex_destroy(&mvcc->mutex);
    free(mvcc);
}

struct mvcc_table *mvcc_table(struct mvcc *mvcc, enum mvcc_space space)
{
    SVM_ASSERT(space < MVCC_SPACES);
    return &mvcc->tables[space];
}

/* ---- threads ------------------------------------------------------------------------------------------------ */

struct mvcc_thread *mvcc_thread_create(struct mvcc *mvcc)
{
    struct mvcc_thread *thread = aligned_alloc(128, sizeof *thread);
    if (thread == NULL) {
        return NULL;
    }
    memset(thread, 0, sizeof *thread);
    thread->mvcc = mvcc;
    slab_cache_init(&thread->blocks, mvcc->blocks);
    thread->qsbr = qsbr_thread_create(mvcc->qsbr, thread);
    if (thread->qsbr == NULL) {
        free(thread);
        return NULL;
    }
    pthread_mutex_lock(&mvcc->mutex);
    while (mvcc->threads[thread->index] != NULL) {
        thread->index++;
        SVM_ASSERT(thread->index < mvcc->threads_max); /* the reclamation has as many places */
    }
    mvcc->threads[thread->index] = thread;
    pthread_mutex_unlock(&mvcc->mutex);
    return thread;
}

void mvcc_thread_destroy(struct mvcc_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    struct mvcc *mvcc = thread->mvcc;
    pthread_mutex_lock(&mvcc->mutex);
    for (int space = 0; space < MVCC_SPACES; space++) {
        for (int i = 0; i < MVCC_COUNTERS; i++) {
            mvcc->tables[space].departed[i] +=
                atomic_load_explicit(&thread->counters[space][i], memory_order_relaxed);
        }
    }
    mvcc->threads[thread->index] = NULL;
    pthread_mutex_unlock(&mvcc->mutex);
    qsbr_thread_destroy(thread->qsbr);
    slab_cache_deinit(&thread->blocks);
    free(thread);
}

void mvcc_online(struct mvcc_thread *thread)
{
    qsbr_online(thread->qsbr);
}

void mvcc_offline(struct mvcc_thread *thread)
{
    qsbr_offline(thread->qsbr);
}

void mvcc_quiesce(struct mvcc_thread *thread)
{
    qsbr_quiesce(thread->qsbr);
}

/* ---- counts ------------------------------------------------------------------------------------------------- */

void mvcc_counts(const struct mvcc_table *table, struct mvcc_counts *counts_out)
{
    struct mvcc *mvcc = table->mvcc;
    uint64_t sums[MVCC_COUNTERS];
    pthread_mutex_lock(&mvcc->mutex);
    memcpy(sums, table->departed, sizeof sums);
    for (uint32_t i = 0; i < mvcc->threads_max; i++) {
        const struct mvcc_thread *thread = mvcc->threads[i];
        for (int j = 0; thread != NULL && j < MVCC_COUNTERS; j++) {
            sums[j] +=
                atomic_load_explicit(&thread->counters[table->space][j], memory_order_relaxed);
        }
    }
    pthread_mutex_unlock(&mvcc->mutex);
    /* A moment's sum of counters that move may fall below zero, by what is under way. */
    for (int j = 0; j < MVCC_COUNTERS; j++) {
        sums[j] = sums[j] > UINT64_MAX / 2 ? 0 : sums[j];
    }
    *counts_out = (struct mvcc_counts){.heads = sums[MVCC_COUNT_HEADS],
                                       .versions = sums[MVCC_COUNT_VERSIONS],
                                       .bytes = sums[MVCC_COUNT_BYTES],
                                       .trimmed = sums[MVCC_COUNT_TRIMMED],
                                       .evicted = sums[MVCC_COUNT_EVICTED],
                                       .loads = sums[MVCC_COUNT_LOADS],
                                       .garbage = sums[MVCC_COUNT_GARBAGE]};
}
