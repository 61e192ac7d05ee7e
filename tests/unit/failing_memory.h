/* unit/failing_memory.h - memory that is not to be had. For a test program that the linker gives --wrap (WRAPPED_MEMORY in the Makefile): it
 * leads the calls of our own objects here, and those of libcheck: nothing is asserted while memory of the own thread fails. Included
 * by one file of the program. */
#ifndef UNIT_FAILING_MEMORY_H
#define UNIT_FAILING_MEMORY_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/slab.h"

enum memory_of { MEMORY_OF_ME, MEMORY_OF_OTHERS, MEMORY_OF_ALL };

static _Atomic bool memory_armed;
static _Atomic unsigned memory_calls, memory_failures;
static _Atomic unsigned memory_failing; /* this call fails; 0 = none */
static _Atomic bool memory_for_good;    /* and all behind it */
static _Atomic bool memory_blocks_only,
    memory_blocks_not; /* of slab.h and pool.h, or all but those */
static _Atomic enum memory_of memory_whose;
static _Atomic pthread_t memory_me;

/* memory_fail: from now on the Nth call for memory of WHOSE threads fails, with all behind it when FOR_GOOD; N = 0: they are counted.
 * MEMORY_OF_ME: the thread that says so. */
static inline void memory_fail(enum memory_of whose, unsigned n, bool for_good)
{
    memory_me = pthread_self();
    memory_whose = whose;
    memory_failing = n;
    memory_for_good = for_good;
    atomic_store(&memory_calls, 0);
    atomic_store(&memory_failures, 0);
    atomic_store(&memory_armed, true);
}

/* memory_back: all succeed again. Returns how many have failed. */
static inline unsigned memory_back(void)
{
    atomic_store(&memory_armed, false);
    memory_blocks_only = memory_blocks_not = false;
    return atomic_load(&memory_failures);
}

static inline bool memory_fails(void)
{
    if (!atomic_load(&memory_armed))
        return false;
    bool mine = pthread_equal(pthread_self(), memory_me);
    if (memory_whose != MEMORY_OF_ALL && mine != (memory_whose == MEMORY_OF_ME))
        return false;
    unsigned n = atomic_fetch_add(&memory_calls, 1) + 1;
    if (memory_failing == 0 || (memory_for_good ? n < memory_failing : n != memory_failing))
        return false;
    atomic_fetch_add(&memory_failures, 1);
    errno = ENOMEM;
    return true;
}

static _Thread_local bool memory_inside; /* an allocator of our own, which asks for more */

static inline bool memory_calls_fail(void)
{
    return !memory_inside && !memory_blocks_only && memory_fails();
}

static inline bool memory_blocks_fail(void)
{
    return !memory_blocks_not && memory_fails();
}

/* The linker gives the names. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wreserved-identifier"
#endif
#define MEMORY_WRAP(name, size, fresh, parameters, arguments)                                      \
    void *__real_##name parameters;                                                                \
    void *__wrap_##name parameters;                                                                \
    void *__wrap_##name parameters                                                                 \
    {                                                                                              \
        if (memory_calls_fail())                                                                   \
            return NULL;                                                                           \
        void *memory = __real_##name arguments;                                                    \
        if ((fresh) && memory != NULL && atomic_load(&memory_armed))                               \
            memset(memory, 0xa5, size); /* nobody may rely on what is in it */                     \
        return memory;                                                                             \
    }
MEMORY_WRAP(malloc, bytes, true, (size_t bytes), (bytes))
MEMORY_WRAP(calloc, n *bytes, false, (size_t n, size_t bytes), (n, bytes))
MEMORY_WRAP(realloc, bytes, false, (void *at, size_t bytes), (at, bytes))
MEMORY_WRAP(aligned_alloc, bytes, true, (size_t align, size_t bytes), (align, bytes))

/* What our own allocators give: mostly without a call of malloc's. */
#define MEMORY_WRAP_BLOCKS(name, parameters, arguments)                                            \
    void *__real_##name parameters;                                                                \
    void *__wrap_##name parameters;                                                                \
    void *__wrap_##name parameters                                                                 \
    {                                                                                              \
        if (memory_blocks_fail())                                                                  \
            return NULL;                                                                           \
        memory_inside = true;                                                                      \
        void *memory = __real_##name arguments;                                                    \
        memory_inside = false;                                                                     \
        return memory;                                                                             \
    }
MEMORY_WRAP_BLOCKS(slab_take, (struct slab_cache * cache, size_t size), (cache, size))
MEMORY_WRAP_BLOCKS(pool_take, (struct pool * pool, size_t size), (pool, size))

#endif
