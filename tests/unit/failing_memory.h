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

enum memory_of { MEMORY_OF_ME, MEMORY_OF_OTHERS, MEMORY_OF_ALL };

static _Atomic bool memory_armed;
static _Atomic unsigned memory_calls, memory_failures;
static unsigned memory_failing; /* this call fails; 0 = none */
static bool memory_for_good;    /* and all behind it */
static size_t memory_least;     /* calls for less are neither counted nor failed */
static enum memory_of memory_whose;
static pthread_t memory_me;

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
    memory_least = 0;
    return atomic_load(&memory_failures);
}

static inline bool memory_fails(size_t size)
{
    if (!atomic_load(&memory_armed) || size < memory_least)
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

/* The linker gives the names. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wreserved-identifier"
#endif
#define MEMORY_WRAP(name, size, fresh, parameters, arguments)                                      \
    void *__real_##name parameters;                                                                \
    void *__wrap_##name parameters;                                                                \
    void *__wrap_##name parameters                                                                 \
    {                                                                                              \
        if (memory_fails(size))                                                                    \
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

#endif
