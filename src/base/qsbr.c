#include "base/qsbr.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/fault.h"

enum { BATCHES_MAX = 32, KIND_MASK = QSBR_KINDS - 1 };
#define LINK_MASK (((uintptr_t)1 << QSBR_LINK_BITS) - 1)

/* A singly linked list with its end known, so that lists are joined in O(1). */
struct list {
    struct qsbr_entry *first;
    struct qsbr_entry *last;
    size_t count;
    size_t bytes;
};

struct batch {
    uint64_t tag;
    struct list list;
};

struct slot {
    _Alignas(128) _Atomic uint64_t announced; /* 0 = offline */
    _Atomic bool used;
};

struct qsbr {
    _Alignas(128) _Atomic uint64_t epoch;
    _Alignas(128) qsbr_reclaim_fn *reclaim[QSBR_KINDS];
    void *arg;
    uint32_t threads_max;
    _Atomic uint32_t slots_high; /* slots ever used: the scan goes no further */
    pthread_mutex_t mutex;       /* registration and left */
    struct batch left;           /* what threads left behind, under the newest of their tags */
    struct batch
        waiting; /* what was left when qsbr_drain last looked: its tag does not move any more */
    _Atomic bool any_left;
    struct slot slots[];
};

struct qsbr_thread {
    struct qsbr *qsbr;
    struct slot *slot;
    void *arg;
    struct list open;
    uint32_t first; /* closed batches in order of tag: a ring */
    uint32_t count;
    struct batch closed[BATCHES_MAX];
};

/* ---- lists -------------------------------------------------------------------------------------------------- */

static uintptr_t link_of(const struct qsbr_entry *entry)
{
    return atomic_load_explicit(&entry->link, memory_order_relaxed);
}

/* Release: whoever sees by the link that a block is retired sees that it was unlinked. */
static void link_set(struct qsbr_entry *entry, uintptr_t link)
{
    atomic_store_explicit(&entry->link, (link_of(entry) & ~LINK_MASK) | link, memory_order_release);
}

static struct qsbr_entry *entry_next(const struct qsbr_entry *entry)
{
    return (struct qsbr_entry *)(link_of(entry) & LINK_MASK & ~(uintptr_t)KIND_MASK);
}

static void list_join(struct list *into, struct list *from)
{
    if (from->count == 0) {
        return;
    }
    if (into->count == 0) {
        *into = *from;
    } else {
        link_set(into->last, (uintptr_t)from->first | (link_of(into->last) & KIND_MASK));
        into->last = from->last;
        into->count += from->count;
        into->bytes += from->bytes;
    }
    *from = (struct list){0};
}

static void list_reclaim(const struct qsbr *qsbr, struct list *list, void *arg)
{
    struct qsbr_entry *entry = list->first;
    for (size_t i = list->count; i > 0; i--) {
        struct qsbr_entry *next = entry_next(entry);
        qsbr->reclaim[link_of(entry) & KIND_MASK](arg, entry);
        entry = next;
    }
    *list = (struct list){0};
}

/* ---- the domain --------------------------------------------------------------------------------------------- */

struct qsbr *qsbr_create(uint32_t threads_max, qsbr_reclaim_fn *const reclaim[QSBR_KINDS],
                         void *arg)
{
    SVM_ASSERT(threads_max > 0);
    size_t bytes = sizeof(struct qsbr) + threads_max * sizeof(struct slot);
    struct qsbr *qsbr = aligned_alloc(128, bytes);
    if (qsbr == NULL) {
        return NULL;
    }
    atomic_init(&qsbr->epoch, 1);
    for (uint32_t i = 0; i < QSBR_KINDS; i++) {
        qsbr->reclaim[i] = reclaim[i];
    }
    qsbr->arg = arg;
    qsbr->threads_max = threads_max;
    atomic_init(&qsbr->slots_high, 0);
    int rc = pthread_mutex_init(&qsbr->mutex, NULL);
    SVM_ASSERT(rc == 0);
    qsbr->left = (struct batch){0};
    qsbr->waiting = (struct batch){0};
    atomic_init(&qsbr->any_left, false);
    for (uint32_t i = 0; i < threads_max; i++) {
        atomic_init(&qsbr->slots[i].announced, 0);
        atomic_init(&qsbr->slots[i].used, false);
    }
    return qsbr;
}

void qsbr_destroy(struct qsbr *qsbr)
{
    if (qsbr == NULL) {
        return;
    }
    for (uint32_t i = 0; i < qsbr->threads_max; i++) {
        SVM_ASSERT(!atomic_load_explicit(&qsbr->slots[i].used, memory_order_acquire));
    }
    list_reclaim(qsbr, &qsbr->left.list, qsbr->arg);
    list_reclaim(qsbr, &qsbr->waiting.list, qsbr->arg);
    pthread_mutex_destroy(&qsbr->mutex);
    free(qsbr);
}

/* The least epoch an online thread has announced; UINT64_MAX when all are offline. */
static uint64_t least_announced(const struct qsbr *qsbr)
{
    uint64_t least = UINT64_MAX;
    uint32_t high = atomic_load_explicit(&qsbr->slots_high, memory_order_seq_cst);
    for (uint32_t i = 0; i < high; i++) {
        uint64_t at = atomic_load_explicit(&qsbr->slots[i].announced, memory_order_seq_cst);
        if (at != 0 && at < least) {
            least = at;
        }
    }
    return least;
}

/* ---- threads ------------------------------------------------------------------------------------------------ */

struct qsbr_thread *qsbr_thread_create(struct qsbr *qsbr, void *arg)
{
    struct qsbr_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL) {
        return NULL;
    }
    thread->qsbr = qsbr;
    thread->arg = arg;
    pthread_mutex_lock(&qsbr->mutex);
    for (uint32_t i = 0; i < qsbr->threads_max && thread->slot == NULL; i++) {
        if (!atomic_load_explicit(&qsbr->slots[i].used, memory_order_relaxed)) {
            thread->slot = &qsbr->slots[i];
            atomic_store_explicit(&thread->slot->used, true, memory_order_relaxed);
            if (i >= atomic_load_explicit(&qsbr->slots_high, memory_order_relaxed)) {
                /* In one order with the announcements: who misses this missed those too. */
                atomic_store_explicit(&qsbr->slots_high, i + 1, memory_order_seq_cst);
            }
        }
    }
    pthread_mutex_unlock(&qsbr->mutex);
    if (thread->slot == NULL) {
        free(thread);
        return NULL;
    }
    return thread;
}

/* Give the closed batches to the domain, under one tag that is newer than theirs. */
static void batches_leave(struct qsbr_thread *thread)
{
    struct qsbr *qsbr = thread->qsbr;
    pthread_mutex_lock(&qsbr->mutex);
    for (; thread->count > 0; thread->count--) {
        struct batch *batch = &thread->closed[thread->first];
        if (batch->tag > qsbr->left.tag) {
            qsbr->left.tag = batch->tag;
        }
        list_join(&qsbr->left.list, &batch->list);
        thread->first = (thread->first + 1) % BATCHES_MAX;
    }
    if (qsbr->left.list.count > 0) {
        atomic_store_explicit(&qsbr->any_left, true, memory_order_relaxed);
    }
    pthread_mutex_unlock(&qsbr->mutex);
}

static void batch_close(struct qsbr_thread *thread)
{
    if (thread->open.count == 0) {
        return;
    }
    uint64_t tag = atomic_fetch_add_explicit(&thread->qsbr->epoch, 1, memory_order_seq_cst);
    if (thread->count ==
        BATCHES_MAX) { /* somebody is slow: join the newest, which waits a little longer for it */
        struct batch *last = &thread->closed[(thread->first + BATCHES_MAX - 1) % BATCHES_MAX];
        last->tag = tag;
        list_join(&last->list, &thread->open);
        return;
    }
    struct batch *batch = &thread->closed[(thread->first + thread->count) % BATCHES_MAX];
    thread->count++;
    batch->tag = tag;
    batch->list = thread->open;
    thread->open = (struct list){0};
}

static void batches_reclaim(struct qsbr_thread *thread)
{
    if (thread->count == 0) {
        return;
    }
    uint64_t least = least_announced(thread->qsbr);
    while (thread->count > 0 && thread->closed[thread->first].tag < least) {
        list_reclaim(thread->qsbr, &thread->closed[thread->first].list, thread->arg);
        thread->first = (thread->first + 1) % BATCHES_MAX;
        thread->count--;
    }
}

void qsbr_thread_destroy(struct qsbr_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    SVM_ASSERT(atomic_load_explicit(&thread->slot->announced, memory_order_relaxed) == 0);
    batch_close(thread);
    batches_reclaim(thread);
    batches_leave(thread);
    pthread_mutex_lock(&thread->qsbr->mutex);
    atomic_store_explicit(&thread->slot->used, false, memory_order_release);
    pthread_mutex_unlock(&thread->qsbr->mutex);
    free(thread);
}

void qsbr_online(struct qsbr_thread *thread)
{
    struct qsbr *qsbr = thread->qsbr;
    SVM_ASSERT(atomic_load_explicit(&thread->slot->announced, memory_order_relaxed) == 0);
    uint64_t epoch = atomic_load_explicit(&qsbr->epoch, memory_order_acquire);
    /* Store, then look, both sequentially consistent, against batch_close, then least_announced: see the header. */
    atomic_store_explicit(&thread->slot->announced, epoch, memory_order_seq_cst);
    FAULT_POINT("base.qsbr.announced");
    (void)atomic_load_explicit(&qsbr->epoch, memory_order_seq_cst);
}

void qsbr_offline(struct qsbr_thread *thread)
{
    SVM_ASSERT(atomic_load_explicit(&thread->slot->announced, memory_order_relaxed) != 0);
    atomic_store_explicit(&thread->slot->announced, 0, memory_order_release);
    if (thread->count == 0) {
        return;
    }
    batches_reclaim(thread);
    size_t entries = 0;
    size_t bytes = 0;
    for (uint32_t i = 0; i < thread->count; i++) {
        entries += thread->closed[(thread->first + i) % BATCHES_MAX].list.count;
        bytes += thread->closed[(thread->first + i) % BATCHES_MAX].list.bytes;
    }
    if (entries > QSBR_LEFT_ENTRIES || bytes > QSBR_KEPT_BYTES) {
        batches_leave(thread);
    }
}

void qsbr_quiesce(struct qsbr_thread *thread)
{
    uint64_t before = atomic_load_explicit(&thread->slot->announced, memory_order_relaxed);
    SVM_ASSERT(before != 0);
    uint64_t epoch = atomic_load_explicit(&thread->qsbr->epoch, memory_order_acquire);
    if (epoch != before) {
        atomic_store_explicit(&thread->slot->announced, epoch, memory_order_release);
    }
    batches_reclaim(thread);
}

void qsbr_retire(struct qsbr_thread *thread, uint32_t kind, struct qsbr_entry *entry, size_t bytes)
{
    SVM_ASSERT(kind < QSBR_KINDS);
    SVM_ASSERT(((uintptr_t)entry & ~(LINK_MASK & ~(uintptr_t)KIND_MASK)) == 0);
    struct list *open = &thread->open;
    link_set(entry, kind);
    struct list one = {entry, entry, 1, bytes};
    list_join(open, &one);
    if (open->count >= QSBR_KEPT_ENTRIES || open->bytes >= QSBR_KEPT_BYTES) {
        batch_close(thread);
    }
}

void qsbr_drain(struct qsbr_thread *thread)
{
    struct qsbr *qsbr = thread->qsbr;
    batch_close(thread);
    batches_reclaim(thread);
    if (!atomic_load_explicit(&qsbr->any_left, memory_order_relaxed)) {
        return;
    }
    struct list ready = {0};
    pthread_mutex_lock(&qsbr->mutex);
    uint64_t least = least_announced(qsbr);
    for (int i = 0; i < 2; i++) { /* what waits; then what was left since, if that was free too */
        if (qsbr->waiting.tag < least) {
            list_join(&ready, &qsbr->waiting.list);
            qsbr->waiting = qsbr->left;
            qsbr->left = (struct batch){0};
        }
    }
    atomic_store_explicit(&qsbr->any_left, qsbr->left.list.count + qsbr->waiting.list.count > 0,
                          memory_order_relaxed);
    pthread_mutex_unlock(&qsbr->mutex);
    list_reclaim(qsbr, &ready, thread->arg);
}

size_t qsbr_pending(const struct qsbr_thread *thread)
{
    size_t entries = thread->open.count;
    for (uint32_t i = 0; i < thread->count; i++) {
        entries += thread->closed[(thread->first + i) % BATCHES_MAX].list.count;
    }
    return entries;
}
