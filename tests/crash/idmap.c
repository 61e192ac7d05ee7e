#include "crash/idmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

void idmap_init(struct idmap *map)
{
    *map = (struct idmap){.cap = 1024};
    map->entries = calloc(map->cap, sizeof *map->entries);
    SVM_ASSERT(map->entries != NULL);
}

void idmap_deinit(struct idmap *map)
{
    free(map->entries);
}

static struct idmap_entry *slot(const struct idmap *map, const uint8_t key[32])
{
    uint64_t hash;
    memcpy(&hash, key, sizeof hash);
    for (size_t i = hash & (map->cap - 1);; i = (i + 1) & (map->cap - 1)) {
        struct idmap_entry *entry = &map->entries[i];
        if (!entry->used || memcmp(entry->key, key, sizeof entry->key) == 0)
            return entry;
    }
}

struct idmap_entry *idmap_find(const struct idmap *map, const uint8_t key[32])
{
    struct idmap_entry *entry = slot(map, key);
    return entry->used ? entry : NULL;
}

static void grow(struct idmap *map)
{
    struct idmap old = *map;
    map->cap *= 2;
    map->entries = calloc(map->cap, sizeof *map->entries);
    SVM_ASSERT(map->entries != NULL);
    for (size_t i = 0; i < old.cap; i++)
        if (old.entries[i].used)
            *slot(map, old.entries[i].key) = old.entries[i];
    free(old.entries);
}

struct idmap_entry *idmap_put(struct idmap *map, const uint8_t key[32])
{
    if (2 * map->count >= map->cap)
        grow(map);
    struct idmap_entry *entry = slot(map, key);
    if (!entry->used) {
        entry->used = true;
        memcpy(entry->key, key, sizeof entry->key);
        map->count++;
    }
    return entry;
}
