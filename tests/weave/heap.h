/* weave/heap.h - where the memory of a woven program comes from: heaps that can be put back to what they were, or thrown away whole.
 *
 * malloc and its kin are wrapped. A coroutine allocates from the heap it stands in; free finds the heap by the address. What is freed
 * is filled with a pattern and used again as late as possible, so that use after free shows. All is deterministic: the same
 * calls give the same addresses. */
#ifndef WEAVE_HEAP_H
#define WEAVE_HEAP_H

#include <stddef.h>

enum weave_heap {
    WEAVE_SYSTEM, /* the C library's */
    WEAVE_WORLD,  /* the test's own: lives until the end of a run */
    WEAVE_LIFE    /* of the code under test: gone at a crash */
};

/* weave_heap_enter: the running coroutine (outside of a run: everybody) allocates from HEAP now. Returns where it was before. */
enum weave_heap weave_heap_enter(enum weave_heap heap);
/* weave_heap_reset: HEAP (not SYSTEM) is empty. save: what it holds now is what restore brings back. */
void weave_heap_reset(enum weave_heap heap);
void weave_heap_save(enum weave_heap heap);
void weave_heap_restore(enum weave_heap heap);
size_t weave_heap_bytes(enum weave_heap heap); /* ever touched since the reset */

#endif
