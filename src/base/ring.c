#include "base/ring.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/fault.h"

/* A cell whose turn equals a position is free for the push of that position; turn = position + 1 means filled, to be taken by the
 * pop of that position, which sets it to position + capacity. The release of `turn` publishes `item`, its acquire reads it. */
struct cell {
    _Atomic size_t turn;
    void *item;
};

struct ring {
    _Alignas(128) _Atomic size_t push_at;
    _Alignas(128) _Atomic size_t pop_at;
    _Alignas(128) size_t mask;
    struct cell cells[];
};

struct ring *ring_create(size_t capacity)
{
    SVM_ASSERT(capacity >= 2);
    SVM_ASSERT((capacity & (capacity - 1)) == 0);
    if (capacity > SIZE_MAX / 2 / sizeof(struct cell)) {
        return NULL;
    }
    size_t bytes = sizeof(struct ring) + capacity * sizeof(struct cell);
    struct ring *ring = aligned_alloc(128, (bytes + 127) & ~(size_t)127);
    if (ring == NULL) {
        return NULL;
    }
    atomic_init(&ring->push_at, 0);
    atomic_init(&ring->pop_at, 0);
    ring->mask = capacity - 1;
    for (size_t i = 0; i < capacity; i++) {
        atomic_init(&ring->cells[i].turn, i);
        ring->cells[i].item = NULL;
    }
    return ring;
}

void ring_destroy(struct ring *ring)
{
    free(ring);
}

/* advance: *WORD from *AT to the next, unless somebody else has; then *AT is what stands there. */
static bool advance(_Atomic size_t *word, size_t *at)
{
    if (FAULT_BUG("ring-no-cas")) {
        atomic_store_explicit(word, *at + 1, memory_order_relaxed);
        return true;
    }
    return atomic_compare_exchange_weak_explicit(word, at, *at + 1, memory_order_relaxed,
                                                 memory_order_relaxed);
}

bool ring_try_push(struct ring *ring, void *item)
{
    SVM_ASSERT(item != NULL);
    size_t at = atomic_load_explicit(&ring->push_at, memory_order_relaxed);
    for (;;) {
        struct cell *cell = &ring->cells[at & ring->mask];
        size_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
        if (turn == at) {
            if (advance(&ring->push_at, &at)) {
                cell->item = item;
                atomic_store_explicit(&cell->turn, at + 1, memory_order_release);
                return true;
            }
        } else if ((ptrdiff_t)(turn - at) < 0) {
            return false;
        } else {
            at = atomic_load_explicit(&ring->push_at, memory_order_relaxed);
        }
    }
}

void ring_push(struct ring *ring, void *item)
{
    while (!ring_try_push(ring, item)) {
        sched_yield();
    }
}

void *ring_try_pop(struct ring *ring)
{
    size_t at = atomic_load_explicit(&ring->pop_at, memory_order_relaxed);
    for (;;) {
        struct cell *cell = &ring->cells[at & ring->mask];
        size_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
        if (turn == at + 1) {
            if (advance(&ring->pop_at, &at)) {
                void *item = cell->item;
                atomic_store_explicit(&cell->turn, at + ring->mask + 1, memory_order_release);
                return item;
            }
        } else if ((ptrdiff_t)(turn - (at + 1)) < 0) {
            return NULL;
        } else {
            at = atomic_load_explicit(&ring->pop_at, memory_order_relaxed);
        }
    }
}

size_t ring_depth(const struct ring *ring)
{
    size_t pop_at = atomic_load_explicit(&ring->pop_at, memory_order_relaxed);
    size_t push_at = atomic_load_explicit(&ring->push_at, memory_order_relaxed);
    size_t depth = push_at - pop_at;
    return depth > ring->mask + 1 ? 0 : depth;
}
