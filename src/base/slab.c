#include "base/slab.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/pages.h"

enum {
    BATCH = 32,
    CHUNK_BYTES = 256 << 10,
    REGION_BYTES = 4 << 20,
    FIRST_AT = 64, /* in a chunk: blocks of 64 bytes have a cache line each */
    TRIM_BYTES =
        1
        << 20 /* free ones of a size are looked through when they are twice what they were, and so much more */
};

/* A free block. The first of a batch says more. */
struct block {
    struct block *next;
    struct block *next_batch;
    uint64_t count;
};

/* At the start of its 256 KiB. */
struct chunk {
    struct chunk *next; /* in depot->chunks, when nobody's */
    uint32_t blocks;    /* carved */
    uint32_t free;      /* counted by slab_depot_trim */
};

struct region {
    struct region *next;
    uint8_t *start;
};

struct bin {
    struct block *batches;
    size_t free;       /* blocks in batches */
    size_t blocks;     /* carved, in all chunks */
    size_t trimmed_at; /* free, after the last trim */
    uint8_t *carve, *carve_end;
};

struct slab_depot {
    pthread_mutex_t lock;
    struct bin bins[SLAB_CLASSES];
    struct chunk *chunks; /* nobody's */
    struct region *regions;
    uint8_t *region_at, *region_end;
    _Atomic uint64_t bytes;
};

static size_t class_of(size_t size)
{
    SVM_ASSERT(size > 0 && size <= SLAB_BYTES_MAX);
    return slab_bytes(size) / SLAB_STEP;
}

static struct chunk *chunk_of(const void *block)
{
    return (struct chunk *)((uintptr_t)block & ~((uintptr_t)CHUNK_BYTES - 1));
}

/* ---- life --------------------------------------------------------------------------------------------------- */

struct slab_depot *slab_depot_create(void)
{
    struct slab_depot *depot = calloc(1, sizeof *depot);
    if (depot)
        pthread_mutex_init(&depot->lock, NULL);
    return depot;
}

void slab_depot_destroy(struct slab_depot *depot)
{
    if (!depot)
        return;
    while (depot->regions) {
        struct region *region = depot->regions;
        depot->regions = region->next;
        pages_give(region->start, REGION_BYTES);
        free(region);
    }
    pthread_mutex_destroy(&depot->lock);
    free(depot);
}

uint64_t slab_depot_bytes(const struct slab_depot *depot)
{
    return atomic_load_explicit(&depot->bytes, memory_order_relaxed);
}

/* ---- chunks ------------------------------------------------------------------------------------------------- */

static bool region_add_locked(struct slab_depot *depot)
{
    struct region *region = malloc(sizeof *region);
    if (!region)
        return false;
    uint8_t *start = pages_take_large(REGION_BYTES);
    if (!start) {
        free(region);
        return false;
    }
    *region = (struct region){.next = depot->regions, .start = start};
    depot->regions = region;
    depot->region_at = start;
    depot->region_end = start + REGION_BYTES;
    return true;
}

static bool chunk_add_locked(struct slab_depot *depot, struct bin *bin)
{
    struct chunk *chunk = depot->chunks;
    if (chunk) {
        depot->chunks = chunk->next;
    } else {
        if (depot->region_at == depot->region_end && !region_add_locked(depot))
            return false;
        chunk = (struct chunk *)(void *)depot->region_at;
        depot->region_at += CHUNK_BYTES;
    }
    *chunk = (struct chunk){0};
    bin->carve = (uint8_t *)chunk + FIRST_AT;
    bin->carve_end = (uint8_t *)chunk + CHUNK_BYTES;
    atomic_fetch_add_explicit(&depot->bytes, CHUNK_BYTES, memory_order_relaxed);
    return true;
}

/* Up to BATCH new blocks of SIZE. */
static struct slab_list carve_locked(struct slab_depot *depot, struct bin *bin, size_t size)
{
    struct slab_list list = {0};
    if ((size_t)(bin->carve_end - bin->carve) < size && !chunk_add_locked(depot, bin))
        return list;
    struct chunk *chunk = chunk_of(bin->carve);
    struct block **end = (struct block **)&list.first;
    while (list.count < BATCH && (size_t)(bin->carve_end - bin->carve) >= size) {
        struct block *block = (struct block *)(void *)bin->carve;
        bin->carve += size;
        block->next = NULL;
        *end = block;
        end = &block->next;
        list.count++;
    }
    chunk->blocks += list.count;
    bin->blocks += list.count;
    return list;
}

/* ---- batches ------------------------------------------------------------------------------------------------ */

static struct slab_list batch_pop(struct slab_depot *depot, size_t size_class)
{
    struct bin *bin = &depot->bins[size_class];
    struct slab_list list = {0};
    pthread_mutex_lock(&depot->lock);
    if (bin->batches) {
        struct block *batch = bin->batches;
        bin->batches = batch->next_batch;
        list = (struct slab_list){batch, (uint32_t)batch->count};
        bin->free -= list.count;
    } else {
        list = carve_locked(depot, bin, size_class * SLAB_STEP);
    }
    pthread_mutex_unlock(&depot->lock);
    return list;
}

static void batch_push_locked(struct bin *bin, struct block *batch, uint32_t count)
{
    batch->count = count;
    batch->next_batch = bin->batches;
    bin->batches = batch;
    bin->free += count;
}

/* COUNT blocks of LIST go to the depot. */
static void batch_push(struct slab_depot *depot, size_t size_class, struct slab_list *list,
                       uint32_t count)
{
    struct block *batch = list->first, *last = batch;
    for (uint32_t i = 1; i < count; i++)
        last = last->next;
    list->first = last->next;
    list->count -= count;
    last->next = NULL;
    pthread_mutex_lock(&depot->lock);
    batch_push_locked(&depot->bins[size_class], batch, count);
    pthread_mutex_unlock(&depot->lock);
}

/* ---- caches ------------------------------------------------------------------------------------------------- */

void slab_cache_init(struct slab_cache *cache, struct slab_depot *depot)
{
    memset(cache, 0, sizeof *cache);
    cache->depot = depot;
}

void slab_cache_deinit(struct slab_cache *cache)
{
    for (size_t c = 0; c < SLAB_CLASSES; c++)
        if (cache->lists[c].count > 0)
            batch_push(cache->depot, c, &cache->lists[c], cache->lists[c].count);
}

void *slab_take(struct slab_cache *cache, size_t size)
{
    if (!PAGES_OWN)
        return malloc(size);
    struct slab_list *list = &cache->lists[class_of(size)];
    if (list->count == 0) {
        *list = batch_pop(cache->depot, class_of(size));
        if (list->count == 0)
            return NULL;
    }
    struct block *block = list->first;
    list->first = block->next;
    list->count--;
    return block;
}

void slab_give(struct slab_cache *cache, void *memory, size_t size)
{
    if (!PAGES_OWN) {
        free(memory);
        return;
    }
    struct slab_list *list = &cache->lists[class_of(size)];
    struct block *block = memory;
    block->next = list->first;
    list->first = block;
    if (++list->count == 8 * BATCH)
        while (list->count > 4 * BATCH)
            batch_push(cache->depot, class_of(size), list, BATCH);
}

void slab_drop(void *block)
{
    if (!PAGES_OWN)
        free(block);
}

/* ---- trim --------------------------------------------------------------------------------------------------- */

/* Counts the free blocks of each chunk, or (DONE) forgets the count. */
static void count_free(struct block *batches, bool done)
{
    for (struct block *batch = batches; batch; batch = batch->next_batch)
        for (struct block *block = batch; block; block = block->next)
            chunk_of(block)->free = done ? 0 : chunk_of(block)->free + 1;
}

#define GONE UINT32_MAX /* in `free` */

/* Is CHUNK all free? The first time it is said of one, it joins *GONE_OUT. */
static bool chunk_goes(struct chunk *chunk, const struct chunk *carving, struct chunk **gone_out)
{
    if (chunk == carving || (chunk->free != GONE && chunk->free != chunk->blocks))
        return false;
    if (chunk->free != GONE) {
        chunk->free = GONE;
        chunk->next = *gone_out;
        *gone_out = chunk;
    }
    return true;
}

/* The blocks of BATCHES whose chunks have others in use, as batches again; the other chunks in *GONE_OUT. */
static struct block *sort_out(struct block *batches, const struct chunk *carving,
                              struct chunk **gone_out, size_t *kept_out)
{
    struct block *kept = NULL, *next_batch;
    for (struct block *from = batches; from; from = next_batch) {
        next_batch = from->next_batch;
        for (struct block *block = from, *next; block; block = next) {
            next = block->next;
            if (chunk_goes(chunk_of(block), carving, gone_out))
                continue;
            ++*kept_out;
            if (kept && kept->count < BATCH) {
                block->next = kept->next;
                kept->next = block;
            } else {
                block->next_batch = kept;
                block->next = NULL;
                block->count = 0;
                kept = block;
            }
            kept->count++;
        }
    }
    return kept;
}

static void chunks_give(struct slab_depot *depot, struct chunk *gone)
{
    while (gone) {
        struct chunk *chunk = gone;
        gone = chunk->next;
        (void)madvise(chunk, CHUNK_BYTES, MADV_DONTNEED);
        atomic_fetch_sub_explicit(&depot->bytes, CHUNK_BYTES, memory_order_relaxed);
        pthread_mutex_lock(&depot->lock);
        chunk->next = depot->chunks;
        depot->chunks = chunk;
        pthread_mutex_unlock(&depot->lock);
    }
}

/* The free blocks are out of the depot meanwhile: whoever needs one has it carved. */
static void bin_trim(struct slab_depot *depot, struct bin *bin, size_t size)
{
    pthread_mutex_lock(&depot->lock);
    struct block *batches = NULL;
    const struct chunk *carving = bin->carve_end ? chunk_of(bin->carve_end - 1) : NULL;
    const size_t step = bin->blocks / 8 > TRIM_BYTES / size ? bin->blocks / 8 : TRIM_BYTES / size;
    /* When hardly any is in use, each that comes back may be the last of its chunk. */
    const size_t enough = bin->free > bin->blocks / 16 * 15 ? 0 : step;
    if (bin->free > TRIM_BYTES / size && bin->free > bin->trimmed_at + enough) {
        batches = bin->batches;
        bin->batches = NULL;
        bin->free = 0;
    }
    pthread_mutex_unlock(&depot->lock);
    if (!batches)
        return;

    struct chunk *gone = NULL;
    size_t kept_count = 0;
    count_free(batches, false);
    struct block *kept = sort_out(batches, carving, &gone, &kept_count);
    count_free(kept, true);
    size_t gone_blocks = 0;
    for (const struct chunk *chunk = gone; chunk; chunk = chunk->next)
        gone_blocks += chunk->blocks;
    chunks_give(depot, gone);
    pthread_mutex_lock(&depot->lock);
    bin->trimmed_at = kept_count;
    bin->blocks -= gone_blocks;
    while (kept) {
        struct block *batch = kept;
        kept = batch->next_batch;
        batch_push_locked(bin, batch, (uint32_t)batch->count);
    }
    pthread_mutex_unlock(&depot->lock);
}

void slab_depot_trim(struct slab_depot *depot)
{
    for (size_t c = 1; c < SLAB_CLASSES; c++)
        bin_trim(depot, &depot->bins[c], c * SLAB_STEP);
}
