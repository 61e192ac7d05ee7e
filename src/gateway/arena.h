/* gateway/arena.h - memory that lives as long as one call: taken piece by piece, given back at once.
 *
 * Thread   one at a time. Memory  arena_deinit frees everything that arena_get gave. */
#ifndef GATEWAY_ARENA_H
#define GATEWAY_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used, cap;           /* of the newest */
};

void arena_init(struct arena *arena);
void arena_deinit(struct arena *arena);
/* arena_get: SIZE bytes, aligned for anything, not cleared; NULL = no memory. SIZE may be 0. */
void *arena_get(struct arena *arena, size_t size);
void *arena_get_zeroed(struct arena *arena, size_t count, size_t size);
/* arena_string: LEN bytes and a NUL; NULL = no memory. */
char *arena_string(struct arena *arena, const char *bytes, size_t len);

#endif
