/* base/ring.h - a bounded queue of pointers, many producers and many consumers (Vyukov's bounded MPMC queue, 2010).
 * Each cell's sequence number says whose turn it is; push and pop never block and never allocate. */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdbool.h>
#include <stddef.h>

struct ring;
struct ring *ring_create(size_t capacity); /* a power of two; NULL = no memory */
void ring_destroy(struct ring *ring);
bool ring_try_push(
    struct ring *ring,
    void *item); /* false = full, or as good as full: a popper stands between its two steps */
/* ring_push: for who knows that there is room, because each item has a credit: yields to such a popper until it has taken its
 * second step. */
void ring_push(struct ring *ring, void *item);
void *ring_try_pop(struct ring *ring);      /* NULL = empty */
size_t ring_depth(const struct ring *ring); /* approximate */

#endif
