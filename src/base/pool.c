#include "base/pool.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/pages.h"

/* A pool that has come to a large page's worth goes on in large pages: a fault for two MiB instead of one for each four KiB. */
enum {
    CLASS_BYTES = 64,
    CLASSES = POOL_BLOCK_MAX / CLASS_BYTES,
    CHUNK_BYTES = 256 << 10,
    LARGE_BYTES = 2 << 20,
    SMALL_CHUNKS = LARGE_BYTES / CHUNK_BYTES
};

/* In front of each block; `next` is in use only while the block is free. */
struct block {
    struct pool *owner; /* NULL: malloc's */
    struct block *next;
};

struct chunk {
    struct chunk *next;
    uint64_t size;                         /* of `bytes` */
    _Alignas(CLASS_BYTES) uint8_t bytes[]; /* a block of N lines lies in N of them */
};

struct pool {
    struct block *local[CLASSES];
    struct chunk *chunks;
    size_t chunk_count, chunk_used;
    _Alignas(64) _Atomic(struct block *) returned[CLASSES];
};

/* A block's class is not in its header: it stands in the low bits of `owner`, which is aligned to 64. */
_Static_assert(CLASSES <= 64, "the class fits beside the owner");

static struct pool *owner_of(const struct block *block, size_t *class_out)
{
    uintptr_t word = (uintptr_t)block->owner;
    *class_out = word & 63;
    return (struct pool *)(word & ~(uintptr_t)63);
}

struct pool *pool_create(void)
{
    struct pool *pool = aligned_alloc(64, (sizeof *pool + 63) / 64 * 64);
    if (!pool)
        return NULL;
    for (size_t c = 0; c < CLASSES; c++) {
        pool->local[c] = NULL;
        atomic_init(&pool->returned[c], NULL);
    }
    pool->chunks = NULL;
    pool->chunk_count = pool->chunk_used = 0;
    return pool;
}

void pool_destroy(struct pool *pool)
{
    if (!pool)
        return;
    while (pool->chunks) {
        struct chunk *chunk = pool->chunks;
        pool->chunks = chunk->next;
        free(chunk);
    }
    free(pool);
}

static void *take_malloc(size_t size)
{
    struct block *block = malloc(sizeof *block + size);
    if (!block)
        return NULL;
    block->owner = NULL;
    return block + 1;
}

static bool chunk_add(struct pool *pool)
{
    const bool large = pool->chunk_count >= SMALL_CHUNKS;
    const size_t size = large ? LARGE_BYTES : CHUNK_BYTES;
    struct chunk *chunk = aligned_alloc(large ? LARGE_BYTES : CLASS_BYTES, size);
    if (!chunk)
        return false;
    if (large)
        (void)madvise(chunk, size, MADV_HUGEPAGE); /* a wish */
    chunk->size = size - sizeof *chunk;
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    pool->chunk_count++;
    pool->chunk_used = 0;
    return true;
}

static struct block *carve(struct pool *pool, size_t size)
{
    if ((!pool->chunks || pool->chunks->size - pool->chunk_used < size) && !chunk_add(pool))
        return NULL;
    struct block *block = (struct block *)(void *)(pool->chunks->bytes + pool->chunk_used);
    pool->chunk_used += size;
    return block;
}

void *pool_take(struct pool *pool, size_t size)
{
    size += sizeof(struct block);
    if (!PAGES_OWN || size > POOL_BLOCK_MAX)
        return take_malloc(size);
    size_t c = (size - 1) / CLASS_BYTES;
    if (!pool->local[c])
        pool->local[c] = atomic_exchange_explicit(&pool->returned[c], NULL, memory_order_acquire);
    struct block *block = pool->local[c];
    if (block) {
        pool->local[c] = block->next;
        __builtin_prefetch(block->next, 1); /* it was given back long ago */
        return block + 1;
    }
    block = carve(pool, (c + 1) * CLASS_BYTES);
    if (!block)
        return NULL;
    block->owner = (struct pool *)((uintptr_t)pool | c);
    return block + 1;
}

void pool_give(void *memory)
{
    if (!memory)
        return;
    struct block *block = (struct block *)memory - 1;
    if (!block->owner) {
        free(block);
        return;
    }
    size_t c;
    struct pool *pool = owner_of(block, &c);
    struct block *top = atomic_load_explicit(&pool->returned[c], memory_order_relaxed);
    do
        block->next = top;
    while (!atomic_compare_exchange_weak_explicit(&pool->returned[c], &top, block,
                                                  memory_order_release, memory_order_relaxed));
}

void pool_give_own(struct pool *own, void *memory)
{
    struct block *block = memory && own ? (struct block *)memory - 1 : NULL;
    size_t c;
    if (!block || !block->owner || owner_of(block, &c) != own) {
        pool_give(memory);
        return;
    }
    block->next = own->local[c];
    own->local[c] = block;
}
