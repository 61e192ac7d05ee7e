#include "gateway/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK_BYTES = 2048 };

struct arena_block {
    struct arena_block *next;
    alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_deinit(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    *arena = (struct arena){0};
}

void *arena_get(struct arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    const size_t need = (size + align - 1) / align * align;
    if (arena->blocks == NULL || arena->cap - arena->used < need) {
        const size_t cap = need > ARENA_BLOCK_BYTES ? need : ARENA_BLOCK_BYTES;
        struct arena_block *block = malloc(sizeof *block + cap);
        if (block == NULL) {
            return NULL;
        }
        block->next = arena->blocks;
        arena->blocks = block;
        arena->used = 0;
        arena->cap = cap;
    }
    void *at = arena->blocks->bytes + arena->used;
    arena->used += need;
    return at;
}

void *arena_get_zeroed(struct arena *arena, size_t count, size_t size)
{
    if (size > 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    void *at = arena_get(arena, count * size);
    if (at != NULL) {
        memset(at, 0, count * size);
    }
    return at;
}

char *arena_string(struct arena *arena, const char *bytes, size_t len)
{
    char *at = arena_get(arena, len + 1);
    if (at != NULL) {
        if (len > 0) {
            memcpy(at, bytes, len);
        }
        at[len] = '\0';
    }
    return at;
}
