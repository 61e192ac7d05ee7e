#include "heap.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "weave.h"

enum { CLASSES = 160, LINEAR = 64, GRAIN = 16, FREED = 0xdb, FILLED_MAX = 64 << 10, CHECKED = 48 };
#define HEAP_BYTES ((size_t)1 << 32)
#define MAGIC      UINT32_C(0x57454156)

/* In front of each block. */
struct header {
    uint32_t magic;
    uint32_t class; /* CLASSES: too big or too aligned to be used again */
    size_t size;
};
_Static_assert(sizeof(struct header) == GRAIN, "blocks keep their alignment");

struct free_block {
    struct free_block *next;
};
struct arena {
    uint8_t *base;
    size_t used;
    struct {
        struct free_block *first, *last;
    } free[CLASSES];
};

static struct arena arenas[3];
static struct {
    uint8_t *bytes;
    struct arena arena;
} saved[3];

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __wrap_free(void *block);
char *__wrap_strdup(const char *text);

/* ---- size classes: multiples of 16, then four steps for each power of two --------------------------------------- */

static size_t class_bytes(uint32_t class)
{
    if (class < LINEAR)
        return ((size_t) class + 1) * GRAIN;
    uint32_t above = class - LINEAR;
    return ((size_t)LINEAR * GRAIN << (above / 4)) / 4 * (5 + above % 4);
}

static uint32_t class_of(size_t size)
{
    if (size <= (size_t)LINEAR * GRAIN)
        return size == 0 ? 0 : (uint32_t)((size - 1) / GRAIN);
    uint32_t class = LINEAR;
    while (class < CLASSES && class_bytes(class) < size)
        class ++;
    return class;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static void *fresh(struct arena *arena, size_t align, size_t size, uint32_t class)
{
    size_t at = (arena->used + sizeof(struct header) + align - 1) & ~(align - 1);
    SVM_ASSERT(at + size <= HEAP_BYTES);
    struct header *header = (struct header *)(void *)(arena->base + at) - 1;
    *header = (struct header){.magic = MAGIC, .class = class, .size = size};
    arena->used = at + size;
    return header + 1;
}

static bool still_freed(const struct free_block *block, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)block;
    for (size_t i = sizeof *block; i < size && i < CHECKED; i++)
        if (bytes[i] != FREED)
            return false;
    return true;
}

/* ZERO_OUT: whether the block is all zeros. */
static void *take(struct arena *arena, size_t align, size_t size, bool *zero_out)
{
    uint32_t class = align > GRAIN ? CLASSES : class_of(size);
    size_t bytes = class < CLASSES ? class_bytes(class) : size;
    struct free_block *block = class < CLASSES ? arena->free[class].first : NULL;
    *zero_out = block == NULL;
    if (block == NULL)
        return fresh(arena, align < GRAIN ? GRAIN : align, bytes, class);
    if (!still_freed(block, bytes))
        weave_fail("memory was written to after it had been freed");
    arena->free[class].first = block->next;
    if (block->next == NULL)
        arena->free[class].last = NULL;
    ((struct header *)(void *)block - 1)->magic = MAGIC;
    return block;
}

static void give(struct arena *arena, void *memory)
{
    struct header *header = (struct header *)memory - 1;
    if (header->magic != MAGIC) {
        weave_fail("what is freed is no block, or not any more");
        return;
    }
    header->magic = ~MAGIC;
    memset(memory, FREED, header->size < FILLED_MAX ? header->size : FILLED_MAX);
    if (header->class == CLASSES)
        return;
    struct free_block *block = memory, *last = arena->free[header->class].last;
    block->next = NULL;
    if (last != NULL)
        last->next = block;
    else
        arena->free[header->class].first = block;
    arena->free[header->class].last = block;
}

static struct arena *arena_of(const void *block)
{
    uintptr_t at = (uintptr_t)block;
    for (int i = WEAVE_WORLD; i <= WEAVE_LIFE; i++)
        if (at - (uintptr_t)arenas[i].base < HEAP_BYTES && arenas[i].base != NULL)
            return &arenas[i];
    return NULL;
}

/* ---- what the program calls ---------------------------------------------------------------------------------------- */

void *__wrap_malloc(size_t size)
{
    bool zero;
    enum weave_heap heap = weave_heap_now();
    return heap == WEAVE_SYSTEM ? __real_malloc(size) : take(&arenas[heap], GRAIN, size, &zero);
}

void *__wrap_calloc(size_t count, size_t size)
{
    bool zero;
    enum weave_heap heap = weave_heap_now();
    if (heap == WEAVE_SYSTEM)
        return __real_calloc(count, size);
    SVM_ASSERT(size == 0 || count <= HEAP_BYTES / size);
    void *block = take(&arenas[heap], GRAIN, count * size, &zero);
    return zero ? block : memset(block, 0, count * size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    bool zero;
    enum weave_heap heap = weave_heap_now();
    return heap == WEAVE_SYSTEM ? __real_aligned_alloc(align, size)
                                : take(&arenas[heap], align, size, &zero);
}

void __wrap_free(void *block)
{
    struct arena *arena = arena_of(block);
    if (arena != NULL)
        give(arena, block);
    else
        __real_free(block);
}

void *__wrap_realloc(void *block, size_t size)
{
    struct arena *arena = arena_of(block);
    if (arena == NULL && (block != NULL || weave_heap_now() == WEAVE_SYSTEM))
        return __real_realloc(block, size);
    bool zero;
    void *moved = take(arena != NULL ? arena : &arenas[weave_heap_now()], GRAIN, size, &zero);
    if (block != NULL) {
        size_t had = ((struct header *)block - 1)->size;
        memcpy(moved, block, had < size ? had : size);
        give(arena, block);
    }
    return moved;
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(__wrap_malloc(size), text, size);
}

/* ---- whole heaps ----------------------------------------------------------------------------------------------------- */

void weave_heap_reset(enum weave_heap heap)
{
    SVM_ASSERT(heap != WEAVE_SYSTEM);
    struct arena *arena = &arenas[heap];
    uint8_t *base = arena->base;
    if (base == NULL) {
        /* The same place in every process, so that a replay has the same addresses. */
        void *wanted = (void *)(uintptr_t)(UINT64_C(0x100000000000) * (unsigned)heap);
        base = mmap(wanted, HEAP_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        SVM_ASSERT(base != MAP_FAILED);
    } else if (arena->used > 0) {
        madvise(base, arena->used, MADV_DONTNEED);
    }
    *arena = (struct arena){.base = base};
}

void weave_heap_save(enum weave_heap heap)
{
    __real_free(saved[heap].bytes);
    saved[heap].arena = arenas[heap];
    saved[heap].bytes = __real_malloc(arenas[heap].used + 1);
    SVM_ASSERT(saved[heap].bytes != NULL);
    memcpy(saved[heap].bytes, arenas[heap].base, arenas[heap].used);
}

/* What was touched behind the saved part is zero again, as fresh memory must be. */
void weave_heap_restore(enum weave_heap heap)
{
    struct arena *arena = &arenas[heap];
    size_t had = saved[heap].arena.used;
    memcpy(arena->base, saved[heap].bytes, had);
    if (arena->used > had)
        memset(arena->base + had, 0, arena->used - had);
    *arena = saved[heap].arena;
}

size_t weave_heap_bytes(enum weave_heap heap)
{
    return arenas[heap].used;
}
