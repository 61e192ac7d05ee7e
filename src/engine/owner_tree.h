/* engine/owner_tree.h - what one owner holds: an ordered set of ids, each with a word. A B+ tree whose leaves grow with what is in them.
 *
 *      tree -> leaf                          one object: 48 bytes; up to 22 in a leaf, in no order, found by a byte of the id each
 *      tree -> branch -> branch -> leaf      more: branches of up to 64 children; a leaf is put in order only when it is split or listed
 *
 * An insertion touches a line of the leaf's bytes and the place of the entry: two cache misses below the branches, which stay in the
 * cache. Nothing is locked here: the owner's shard is (owners.c). */
#ifndef ENGINE_OWNER_TREE_H
#define ENGINE_OWNER_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include <svm/types.h>

struct owner_entry {
    struct svm_id id;
    uint64_t word; /* the caller's */
};

struct owner_tree {
    void *root; /* NULL = empty; a leaf when height is 0 */
    uint32_t height;
};

/* Where trees under one lock have their memory from: what one leaf gives back, another takes. */
enum { OWNER_POOL_CLASSES = 6, OWNER_POOL_KEPT = 16 };
struct owner_pool {
    uint64_t bytes; /* that trees take and the pool keeps */
    void *kept[OWNER_POOL_CLASSES];
    uint8_t kept_count[OWNER_POOL_CLASSES];
};
/* owner_pool_clear: the trees are cleared. */
void owner_pool_clear(struct owner_pool *pool);

/* owner_tree_find: valid until the next put or del. */
struct owner_entry *owner_tree_find(const struct owner_tree *tree, const struct svm_id *id);
/* owner_tree_put: ID, which is not there. false = no memory, nothing has changed. O(log n). */
bool owner_tree_put(struct owner_tree *tree, struct owner_pool *pool, const struct svm_id *id,
                    uint64_t word);
/* owner_tree_del: ID, which is there. Never fails: what it cannot make smaller without memory stays large. */
void owner_tree_del(struct owner_tree *tree, struct owner_pool *pool, const struct svm_id *id);
/* owner_tree_list: ids > AFTER (NULL: all), ascending, at most LIMIT. Returns how many. O(log n + LIMIT). */
size_t owner_tree_list(const struct owner_tree *tree, const struct svm_id *after,
                       struct svm_id *ids_out, size_t limit);
/* owner_tree_prefetch: ask for the leaf that ID belongs to. */
void owner_tree_prefetch(const struct owner_tree *tree, const struct svm_id *id);
void owner_tree_clear(struct owner_tree *tree, struct owner_pool *pool);

#endif
