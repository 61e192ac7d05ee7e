/* base/slab.h - many small blocks of few sizes, taken and given back by any thread, without a word beside each.
 *
 *     thread: slab_take <-- its cache <--(32 at once)-- depot <-- chunks of 256 KiB of one size <-- regions of 4 MiB
 *             slab_give --> its cache --(32 at once)--> depot        (asked of the system as huge pages: fewer TLB misses)
 *
 * Sizes go in steps of 8 up to SLAB_BYTES_MAX. A block's size is not kept anywhere: who gives it back says it. slab_depot_trim finds
 * chunks that are all free and gives their memory to the system; other sizes may have them then.
 * Under AddressSanitizer every block is a malloc, so that use after giving back is seen.
 * Thread   a cache: its owner. The depot: any. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

enum { SLAB_BYTES_MAX = 640, SLAB_STEP = 8, SLAB_CLASSES = SLAB_BYTES_MAX / SLAB_STEP + 1 };

struct slab_depot;
struct slab_depot *slab_depot_create(void); /* NULL = no memory */
/* slab_depot_destroy: with all blocks, whoever has them. */
void slab_depot_destroy(struct slab_depot *depot);
/* slab_depot_trim: give back chunks that are all free; does little unless much has become free since the last time. */
void slab_depot_trim(struct slab_depot *depot);
/* slab_depot_bytes: memory that is in chunks. */
uint64_t slab_depot_bytes(const struct slab_depot *depot);

struct slab_list {
    void *first;
    uint32_t count;
};
struct slab_cache {
    struct slab_depot *depot;
    struct slab_list lists[SLAB_CLASSES];
};
void slab_cache_init(struct slab_cache *cache, struct slab_depot *depot);
void slab_cache_deinit(
    struct slab_cache *cache); /* what it has goes to the depot; it may be used again */

/* slab_take: SIZE bytes in 1 .. SLAB_BYTES_MAX, aligned to 8, those of 64 to 64. NULL = no memory. slab_give: of the same SIZE. */
void *slab_take(struct slab_cache *cache, size_t size);
void slab_give(struct slab_cache *cache, void *block, size_t size);
/* slab_drop: instead of slab_give when the depot is about to be destroyed and no cache is left. */
void slab_drop(void *block);
/* slab_bytes: what a block of SIZE takes. */
static inline size_t slab_bytes(size_t size)
{
    size_t bytes = (size + SLAB_STEP - 1) / SLAB_STEP * SLAB_STEP;
    return bytes < 32 ? 32 : bytes;
}

#endif
