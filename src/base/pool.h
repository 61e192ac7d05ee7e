/* base/pool.h - blocks of memory that one thread takes and any thread gives back, without a lock and, once warm, without malloc.
 *
 *     owner:  take <-- local list <-- (all at once) <-- returned list <-- anybody: give
 *
 * Blocks come in classes of 64 bytes and are carved from chunks that belong to the pool until it is destroyed. A block larger than
 * POOL_BLOCK_MAX is malloc's. Under AddressSanitizer every block is, so that use after giving back is seen.
 * Thread   take, give_own: the owner. give: any. create, destroy: while nobody uses it. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

enum { POOL_BLOCK_MAX = 2048 };
struct pool;
struct pool *pool_create(void);
void pool_destroy(
    struct pool *pool); /* with all its blocks, but for those larger than POOL_BLOCK_MAX */
void *pool_take(struct pool *pool, size_t size); /* aligned to 16; NULL = no memory */
void pool_give(void *block);                     /* NULL is ignored */
/* pool_give_own: the same by the owner of POOL (NULL: by anybody); what is POOL's is at once there to be taken again. */
void pool_give_own(struct pool *pool, void *block);

#endif
