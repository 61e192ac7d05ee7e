/* crash/idmap.h - from 32 bytes that are a hash to what the checker knows of them. Grows; never forgets. */
#ifndef CRASH_IDMAP_H
#define CRASH_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idmap_entry {
    uint8_t key[32];
    uint64_t seq;     /* of the last write; of the transaction */
    uint64_t version; /* of an object */
    uint32_t index;   /* of a record */
    bool used, deleted, seen;
};
struct idmap {
    struct idmap_entry *entries;
    size_t cap, count;
};
void idmap_init(struct idmap *map);
void idmap_deinit(struct idmap *map);
struct idmap_entry *idmap_find(const struct idmap *map, const uint8_t key[32]); /* or NULL */
/* idmap_put: the entry of KEY, made when it is not there (then all zero but for the key). Valid until the next put. */
struct idmap_entry *idmap_put(struct idmap *map, const uint8_t key[32]);

#endif
