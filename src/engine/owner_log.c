#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/owners.h"

/* The changes that were settled, in chunks. A worker fills its open chunk without a lock; full ones stand in a line, oldest first, from which
 * the worker itself takes as many as it fills, and G the rest. */

enum {
    CHUNK = 64,
    SPARES_KEPT = 16,
    STEP_CHUNKS = 4,     /* of a worker's step: it fills one in that time */
    SWEEP_CHUNKS = 4096, /* of G's, all logs together */
    OPEN_STEPS = 16      /* a chunk that is not full after so many joins the line all the same */
};

struct chunk {
    struct chunk *next;
    uint64_t last; /* highest position in it */
    uint32_t count;
    struct owner_change changes[CHUNK];
};

struct line {
    struct chunk *first, *last;
    size_t changes;
};

struct owner_log {
    struct owners *owners;
    struct chunk *open;   /* the worker's */
    struct chunk *spares; /* the worker's: empty ones */
    uint32_t spare_count, promised, steps;
    _Alignas(64) pthread_mutex_t lock;
    struct line line; /* under the lock */
};

struct owner_logs {
    struct owners *owners;
    uint32_t count, max;
    pthread_mutex_t lock;
    struct line kept_back; /* under the lock: a snapshot needs them */
    uint64_t fresh;        /* under the lock: how many have joined since the last sweep */
    uint64_t unseen;       /* G's: how many are still to be looked at */
    uint64_t floor;        /* G's: when they were all to be looked at */
    struct owner_log *logs[];
};

/* ---- life --------------------------------------------------------------------------------------------------- */

struct owner_logs *owner_logs_create(struct owners *owners, uint32_t logs)
{
    struct owner_logs *all = calloc(1, sizeof *all + logs * sizeof all->logs[0]);
    if (all) {
        all->owners = owners;
        all->max = logs;
        pthread_mutex_init(&all->lock, NULL);
    }
    return all;
}

static void chunks_free(struct chunk *chunk)
{
    while (chunk) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void owner_logs_destroy(struct owner_logs *logs)
{
    if (!logs)
        return;
    for (uint32_t i = 0; i < logs->count; i++) {
        struct owner_log *log = logs->logs[i];
        chunks_free(log->line.first);
        chunks_free(log->spares);
        free(log->open);
        pthread_mutex_destroy(&log->lock);
        free(log);
    }
    chunks_free(logs->kept_back.first);
    pthread_mutex_destroy(&logs->lock);
    free(logs);
}

static struct chunk *chunk_create(struct owners *owners)
{
    struct chunk *chunk = malloc(sizeof *chunk);
    if (chunk) {
        chunk->next = NULL;
        chunk->last = 0;
        chunk->count = 0;
        owners_count_bytes(owners, sizeof *chunk);
    }
    return chunk;
}

static void chunk_free(struct owners *owners, struct chunk *chunk)
{
    owners_count_bytes(owners, 0 - (uint64_t)sizeof *chunk);
    free(chunk);
}

struct owner_log *owner_log_create(struct owners *owners)
{
    struct owner_logs *all = owners_logs(owners);
    SVM_ASSERT(all->count < all->max);
    struct owner_log *log = aligned_alloc(64, sizeof *log);
    if (!log)
        return NULL;
    memset(log, 0, sizeof *log);
    log->owners = owners;
    log->open = chunk_create(owners);
    if (!log->open) {
        free(log);
        return NULL;
    }
    pthread_mutex_init(&log->lock, NULL);
    all->logs[all->count++] = log;
    return log;
}

struct owners *owner_log_owners(const struct owner_log *log)
{
    return log->owners;
}

/* ---- the worker's end ---------------------------------------------------------------------------------------- */

static void line_push(struct line *line, struct chunk *chunk)
{
    chunk->next = NULL;
    if (line->last)
        line->last->next = chunk;
    else
        line->first = chunk;
    line->last = chunk;
    line->changes += chunk->count;
}

/* The first chunk, if all in it are due. */
static struct chunk *line_pop(struct line *line, uint64_t due)
{
    struct chunk *chunk = line->first;
    if (!chunk || chunk->last > due)
        return NULL;
    line->first = chunk->next;
    if (!line->first)
        line->last = NULL;
    line->changes -= chunk->count;
    return chunk;
}

bool owner_log_reserve(struct owner_log *log)
{
    uint32_t room = CHUNK - log->open->count + CHUNK * log->spare_count;
    if (log->promised == room) {
        struct chunk *chunk = chunk_create(log->owners);
        if (!chunk)
            return false;
        chunk->next = log->spares;
        log->spares = chunk;
        log->spare_count++;
    }
    log->promised++;
    return true;
}

void owner_log_unreserve(struct owner_log *log)
{
    SVM_ASSERT(log->promised > 0);
    log->promised--;
}

/* The open chunk joins the line, a spare takes its place. */
static void close_open(struct owner_log *log)
{
    struct chunk *next = log->spares;
    log->spares = next->next;
    log->spare_count--;
    next->next = NULL;
    pthread_mutex_lock(&log->lock);
    line_push(&log->line, log->open);
    pthread_mutex_unlock(&log->lock);
    log->open = next;
    log->steps = 0;
}

void owner_log_add(struct owner_log *log, const struct svm_address *owner, const struct svm_id *id,
                   uint64_t seq)
{
    SVM_ASSERT(log->promised > 0);
    log->promised--;
    if (log->open->count == CHUNK)
        close_open(log); /* what was promised is in a spare */
    struct chunk *chunk = log->open;
    chunk->changes[chunk->count++] = (struct owner_change){.owner = *owner, .id = *id, .seq = seq};
    if (seq > chunk->last)
        chunk->last = seq;
}

/* ---- working off ---------------------------------------------------------------------------------------------- */

/* Takes the changes of CHUNK out of the index; those that must wait stay in it. */
static void chunk_drop(struct owners *owners, struct chunk *chunk)
{
    for (unsigned step = 0; step < OWNERS_PREFETCH_STEPS; step++)
        for (uint32_t i = 0; i < chunk->count; i++)
            owners_prefetch(owners, &chunk->changes[i].owner, &chunk->changes[i].id, step);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < chunk->count; i++)
        if (owners_drop(owners, &chunk->changes[i]) == OWNERS_KEPT_BACK)
            chunk->changes[kept++] = chunk->changes[i];
    chunk->count = kept;
}

static uint64_t due_of(const struct owners *owners, uint64_t materialised)
{
    uint64_t applied = mvcc_floor_applied(owners_mvcc(owners));
    return owners_in_memory(owners) || applied < materialised ? applied : materialised;
}

static struct chunk *log_pop(struct owner_log *log, uint64_t due)
{
    pthread_mutex_lock(&log->lock);
    struct chunk *chunk = line_pop(&log->line, due);
    pthread_mutex_unlock(&log->lock);
    return chunk;
}

/* What is left in CHUNK joins what snapshots keep back: first into the room that the last one there has. */
static void keep_back(struct owner_logs *logs, struct chunk *chunk)
{
    struct line *line = &logs->kept_back;
    pthread_mutex_lock(&logs->lock);
    logs->fresh += chunk->count;
    struct chunk *last = line->last;
    while (last && last->count < CHUNK && chunk->count > 0) {
        last->changes[last->count++] = chunk->changes[--chunk->count];
        line->changes++;
    }
    if (chunk->count > 0)
        line_push(line, chunk);
    else
        chunk_free(logs->owners, chunk);
    pthread_mutex_unlock(&logs->lock);
}

/* Closes the open chunk when it has waited long for company. Without memory it waits on. */
static void age_open(struct owner_log *log)
{
    if (log->open->count == 0 || ++log->steps < OPEN_STEPS)
        return;
    if (log->spare_count == 0) {
        log->spares = chunk_create(log->owners);
        log->spare_count += log->spares != NULL;
    }
    if (log->spare_count > 0)
        close_open(log);
}

void owner_log_step(struct owner_log *log, uint64_t materialised)
{
    SVM_ASSERT(log->promised == 0);
    age_open(log);
    uint64_t due = due_of(log->owners, materialised);
    for (unsigned i = 0; i < STEP_CHUNKS; i++) {
        struct chunk *chunk = log_pop(log, due);
        if (!chunk)
            break;
        chunk_drop(log->owners, chunk);
        if (chunk->count > 0) {
            keep_back(owners_logs(log->owners), chunk);
        } else if (log->spare_count < SPARES_KEPT) {
            chunk->last = 0;
            chunk->next = log->spares;
            log->spares = chunk;
            log->spare_count++;
        } else {
            chunk_free(log->owners, chunk);
        }
    }
    while (log->spare_count > SPARES_KEPT) { /* a large transaction's */
        struct chunk *chunk = log->spares;
        log->spares = chunk->next;
        log->spare_count--;
        chunk_free(log->owners, chunk);
    }
}

/* What is kept back is looked at again when the oldest snapshot has gone; else only as much as has newly come, for younger ones that have. */
static void sweep_kept_back(struct owner_logs *logs)
{
    struct owners *owners = logs->owners;
    uint64_t floor = mvcc_floor(owners_mvcc(owners));
    pthread_mutex_lock(&logs->lock);
    if (floor != logs->floor)
        logs->unseen = logs->kept_back.changes;
    logs->floor = floor;
    uint64_t unseen = logs->unseen + 2 * logs->fresh;
    logs->unseen = logs->fresh = 0;
    if (unseen > logs->kept_back.changes)
        unseen = logs->kept_back.changes;
    pthread_mutex_unlock(&logs->lock);
    for (unsigned i = 0; i < SWEEP_CHUNKS && unseen > 0; i++) {
        pthread_mutex_lock(&logs->lock);
        struct chunk *chunk = line_pop(&logs->kept_back, UINT64_MAX);
        pthread_mutex_unlock(&logs->lock);
        if (!chunk)
            return;
        unseen -= chunk->count < unseen ? chunk->count : unseen;
        chunk_drop(owners, chunk);
        const uint32_t still = chunk->count;
        keep_back(logs, chunk);
        pthread_mutex_lock(&logs->lock);
        logs->fresh -= still < logs->fresh ? still : logs->fresh;
        pthread_mutex_unlock(&logs->lock);
    }
    logs->unseen = unseen;
}

void owners_sweep(struct owners *owners, uint64_t materialised)
{
    struct owner_logs *logs = owners_logs(owners);
    uint64_t due = due_of(owners, materialised);
    unsigned chunks = 0;
    for (uint32_t i = 0; i < logs->count; i++) {
        struct chunk *chunk;
        while (chunks++ < SWEEP_CHUNKS && (chunk = log_pop(logs->logs[i], due))) {
            chunk_drop(owners, chunk);
            keep_back(logs, chunk);
        }
    }
    sweep_kept_back(logs);
}
