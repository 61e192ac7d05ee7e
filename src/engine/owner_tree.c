#include "engine/owner_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

enum {
    CLASSES = OWNER_POOL_CLASSES,
    LEAF_MAX = 22,
    LEAF_FEW = 5,
    BRANCH_MIN = 16,
    BRANCH_MAX = 64,
    BRANCH_FEW = 12,
    HEIGHT_MAX = 12
};

/* Sizes that malloc takes without loss, but for the smallest. */
static const uint8_t class_cap[CLASSES] = {1, 2, 4, 8, 14, LEAF_MAX};

struct leaf {
    uint8_t count;
    uint8_t size_class;
    uint8_t tags[]; /* the last byte of each id; then, aligned, the entries */
};

/* Child I holds the ids from low I on; child 0 also those below. Behind the children stand the lows. */
struct child {
    uint64_t prefix; /* of low: what is compared mostly */
    void *node;
};
struct branch {
    uint32_t count, cap; /* BRANCH_MIN or BRANCH_MAX */
    struct child child[];
};

struct path {
    struct branch *branch[HEIGHT_MAX]; /* [0] is the root */
    uint32_t at[HEIGHT_MAX];
};

/* ---- leaves ------------------------------------------------------------------------------------------------- */

static size_t leaf_offset(uint8_t size_class)
{
    return (offsetof(struct leaf, tags) + class_cap[size_class] + 7u) & ~(size_t)7;
}

static size_t leaf_bytes(uint8_t size_class)
{
    return leaf_offset(size_class) + class_cap[size_class] * sizeof(struct owner_entry);
}

static struct owner_entry *leaf_entries(const struct leaf *leaf)
{
    return (struct owner_entry *)(void *)((uint8_t *)(uintptr_t)leaf +
                                          leaf_offset(leaf->size_class));
}

static uint8_t tag_of(const struct svm_id *id)
{
    return id->b[sizeof id->b - 1];
}

static uint64_t prefix_of(const struct svm_id *id)
{
    return bytes_get_u64be(id->b);
}

static struct leaf *leaf_create(uint8_t size_class, struct owner_pool *pool)
{
    struct leaf *leaf = pool->kept[size_class];
    if (leaf) {
        memcpy(&pool->kept[size_class], leaf, sizeof(void *));
        pool->kept_count[size_class]--;
    } else {
        leaf = malloc(leaf_bytes(size_class));
        if (!leaf)
            return NULL;
        pool->bytes += leaf_bytes(size_class);
    }
    leaf->count = 0;
    leaf->size_class = size_class;
    return leaf;
}

static void leaf_free(struct leaf *leaf, struct owner_pool *pool)
{
    const uint8_t size_class = leaf->size_class;
    if (pool->kept_count[size_class] < OWNER_POOL_KEPT) {
        memcpy(leaf, &pool->kept[size_class], sizeof(void *));
        pool->kept[size_class] = leaf;
        pool->kept_count[size_class]++;
        return;
    }
    pool->bytes -= leaf_bytes(size_class);
    free(leaf);
}

void owner_pool_clear(struct owner_pool *pool)
{
    for (uint8_t size_class = 0; size_class < CLASSES; size_class++)
        while (pool->kept[size_class]) {
            void *leaf = pool->kept[size_class];
            memcpy(&pool->kept[size_class], leaf, sizeof(void *));
            pool->kept_count[size_class]--;
            pool->bytes -= leaf_bytes(size_class);
            free(leaf);
        }
}

static void leaf_add(struct leaf *leaf, const struct owner_entry *entry)
{
    SVM_ASSERT(leaf->count < class_cap[leaf->size_class]);
    leaf->tags[leaf->count] = tag_of(&entry->id);
    leaf_entries(leaf)[leaf->count++] = *entry;
}

static void leaf_add_all(struct leaf *leaf, const struct leaf *from)
{
    for (uint8_t i = 0; i < from->count; i++)
        leaf_add(leaf, &leaf_entries(from)[i]);
}

/* The place of ID, or count. */
static uint8_t leaf_seek(const struct leaf *leaf, const struct svm_id *id)
{
    const struct owner_entry *entries = leaf_entries(leaf);
    const uint8_t *at = leaf->tags, *end = leaf->tags + leaf->count;
    while ((at = memchr(at, tag_of(id), (size_t)(end - at))) != NULL) {
        if (memcmp(entries[at - leaf->tags].id.b, id->b, sizeof id->b) == 0)
            return (uint8_t)(at - leaf->tags);
        at++;
    }
    return leaf->count;
}

struct rank {
    uint64_t prefix;
    const struct owner_entry *entry;
};

static bool rank_below(const struct rank *a, const struct rank *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix;
    return memcmp(a->entry->id.b, b->entry->id.b, sizeof a->entry->id.b) < 0;
}

/* The entries in order; of a leaf, so few that insertion is best. */
static uint8_t leaf_rank(const struct leaf *leaf, struct rank ranks[LEAF_MAX])
{
    for (uint8_t i = 0; i < leaf->count; i++) {
        const struct owner_entry *entry = &leaf_entries(leaf)[i];
        const struct rank rank = {prefix_of(&entry->id), entry};
        uint8_t at = i;
        for (; at > 0 && rank_below(&rank, &ranks[at - 1]); at--)
            ranks[at] = ranks[at - 1];
        ranks[at] = rank;
    }
    return leaf->count;
}

/* ---- branches ----------------------------------------------------------------------------------------------- */

static size_t branch_bytes(uint32_t cap)
{
    return sizeof(struct branch) + cap * (sizeof(struct child) + sizeof(struct svm_id));
}

static struct svm_id *branch_low(const struct branch *branch)
{
    return (struct svm_id *)(uintptr_t)&branch->child[branch->cap];
}

static struct branch *branch_create(uint32_t cap, struct owner_pool *pool)
{
    struct branch *branch = malloc(branch_bytes(cap));
    if (branch) {
        branch->count = 0;
        branch->cap = cap;
        pool->bytes += branch_bytes(cap);
    }
    return branch;
}

static void branch_free(struct branch *branch, struct owner_pool *pool)
{
    pool->bytes -= branch_bytes(branch->cap);
    free(branch);
}

static void branch_move(struct branch *to, uint32_t to_at, const struct branch *from,
                        uint32_t from_at, uint32_t count)
{
    memmove(&to->child[to_at], &from->child[from_at], count * sizeof to->child[0]);
    memmove(branch_low(to) + to_at, branch_low(from) + from_at, count * sizeof(struct svm_id));
}

static void branch_insert(struct branch *branch, uint32_t at, void *node, const struct svm_id *low)
{
    SVM_ASSERT(branch->count < branch->cap);
    SVM_ASSERT(at <= branch->count);
    branch_move(branch, at + 1, branch, at, branch->count - at);
    branch->child[at] = (struct child){.prefix = prefix_of(low), .node = node};
    branch_low(branch)[at] = *low;
    branch->count++;
}

static void branch_remove(struct branch *branch, uint32_t at)
{
    branch_move(branch, at, branch, at + 1, branch->count - at - 1);
    branch->count--;
}

/* ---- descent ------------------------------------------------------------------------------------------------ */

/* The child that ID belongs to: the last whose low is not above it. */
static uint32_t branch_seek(const struct branch *branch, const struct svm_id *id)
{
    const uint64_t prefix = prefix_of(id);
    uint32_t from = 1, to = branch->count;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        bool below = branch->child[mid].prefix != prefix
                         ? branch->child[mid].prefix < prefix
                         : memcmp(branch_low(branch)[mid].b, id->b, sizeof id->b) <= 0;
        if (below)
            from = mid + 1;
        else
            to = mid;
    }
    return from - 1;
}

static struct leaf *descend(const struct owner_tree *tree, const struct svm_id *id,
                            struct path *path)
{
    void *node = tree->root;
    for (uint32_t level = 0; level < tree->height; level++) {
        path->branch[level] = node;
        path->at[level] = branch_seek(node, id);
        node = path->branch[level]->child[path->at[level]].node;
    }
    return node;
}

struct owner_entry *owner_tree_find(const struct owner_tree *tree, const struct svm_id *id)
{
    struct path path;
    struct leaf *leaf = descend(tree, id, &path);
    if (!leaf)
        return NULL;
    uint8_t at = leaf_seek(leaf, id);
    return at == leaf->count ? NULL : &leaf_entries(leaf)[at];
}

void owner_tree_prefetch(const struct owner_tree *tree, const struct svm_id *id)
{
    const uint8_t *node = tree->root;
    if (id && node) {
        struct path path;
        node = (const uint8_t *)descend(tree, id, &path);
    }
    __builtin_prefetch(node);
    __builtin_prefetch(node + 64);
}

/* The leaf of FROM in the caller's place: is there one behind it, and from where on? */
static bool behind(const struct owner_tree *tree, const struct path *path, struct svm_id *low_out)
{
    for (uint32_t level = tree->height; level-- > 0;) {
        const struct branch *branch = path->branch[level];
        if (path->at[level] + 1 < branch->count) {
            *low_out = branch_low(branch)[path->at[level] + 1];
            return true;
        }
    }
    return false;
}

size_t owner_tree_list(const struct owner_tree *tree, const struct svm_id *after,
                       struct svm_id *ids_out, size_t limit)
{
    struct svm_id from = after ? *after : (struct svm_id){{0}};
    struct rank ranks[LEAF_MAX];
    struct path path;
    size_t n = 0;
    bool more = tree->root != NULL;
    while (more && n < limit) {
        uint8_t count = leaf_rank(descend(tree, &from, &path), ranks);
        for (uint8_t i = 0; i < count && n < limit; i++)
            if (!after || memcmp(ranks[i].entry->id.b, after->b, sizeof after->b) > 0)
                ids_out[n++] = ranks[i].entry->id;
        more = behind(tree, &path, &from);
    }
    return n;
}

/* ---- growth ------------------------------------------------------------------------------------------------- */

/* Everything that a split may need, taken before anything changes: a branch for each that is split or becomes larger, and one for a new
 * root. */
struct spare {
    struct leaf *leaf;
    struct branch *branches[HEIGHT_MAX];
    uint32_t count;
};

static void spare_give(struct spare *spare, struct owner_pool *pool)
{
    if (spare->leaf)
        leaf_free(spare->leaf, pool);
    while (spare->count > 0)
        branch_free(spare->branches[--spare->count], pool);
}

static bool spare_take(struct spare *spare, const struct owner_tree *tree, const struct path *path,
                       struct owner_pool *pool)
{
    SVM_ASSERT(tree->height + 1 < HEIGHT_MAX);
    uint32_t level = tree->height, needed = 0;
    while (level > 0 && path->branch[level - 1]->count == BRANCH_MAX) {
        needed++;
        level--;
    }
    const bool larger = level > 0 && path->branch[level - 1]->count == path->branch[level - 1]->cap;
    *spare = (struct spare){.leaf = leaf_create(CLASSES - 1, pool)};
    bool ok = spare->leaf != NULL;
    if (ok && level == 0)
        ok = (spare->branches[spare->count++] = branch_create(BRANCH_MIN, pool)) != NULL;
    for (needed += larger; ok && needed > 0; needed--)
        ok = (spare->branches[spare->count++] = branch_create(BRANCH_MAX, pool)) != NULL;
    if (!ok) {
        spare->count -= spare->leaf != NULL; /* the last one that was not had */
        spare_give(spare, pool);
    }
    return ok;
}

static void node_replace(struct owner_tree *tree, const struct path *path, uint32_t level, void *by)
{
    if (level == 0)
        tree->root = by;
    else
        path->branch[level - 1]->child[path->at[level - 1]].node = by;
}

/* BRANCH, on LEVEL of PATH, with room for more. */
static struct branch *branch_enlarge(struct owner_tree *tree, const struct path *path,
                                     uint32_t level, struct spare *spare, struct owner_pool *pool)
{
    struct branch *old = path->branch[level], *larger = spare->branches[--spare->count];
    branch_move(larger, 0, old, 0, old->count);
    larger->count = old->count;
    node_replace(tree, path, level, larger);
    branch_free(old, pool);
    return larger;
}

/* NODE, from LOW on, is new beside the one at the end of PATH. */
static void insert_above(struct owner_tree *tree, const struct path *path, struct spare *spare,
                         struct owner_pool *pool, void *node, struct svm_id low)
{
    for (uint32_t level = tree->height; level-- > 0;) {
        struct branch *branch = path->branch[level];
        uint32_t at = path->at[level] + 1;
        if (branch->count < BRANCH_MAX) {
            if (branch->count == branch->cap)
                branch = branch_enlarge(tree, path, level, spare, pool);
            branch_insert(branch, at, node, &low);
            return;
        }
        struct branch *right = spare->branches[--spare->count];
        const uint32_t half = BRANCH_MAX / 2;
        right->count = BRANCH_MAX - half;
        branch_move(right, 0, branch, half, right->count);
        branch->count = half;
        if (at <= half)
            branch_insert(branch, at, node, &low);
        else
            branch_insert(right, at - half, node, &low);
        node = right;
        low = branch_low(right)[0];
    }
    struct branch *root = spare->branches[--spare->count];
    branch_insert(root, 0, tree->root, &(struct svm_id){{0}});
    branch_insert(root, 1, node, &low);
    tree->root = root;
    tree->height++;
}

/* Full LEAF gives its upper half to a new one beside it. Returns the one that ID belongs to. */
static struct leaf *leaf_split(struct owner_tree *tree, struct owner_pool *pool, struct path *path,
                               struct leaf *leaf, const struct svm_id *id)
{
    struct spare spare;
    struct rank ranks[LEAF_MAX];
    struct owner_entry lower[LEAF_MAX / 2];
    if (!spare_take(&spare, tree, path, pool))
        return NULL;
    leaf_rank(leaf, ranks);
    for (uint8_t i = LEAF_MAX / 2; i < LEAF_MAX; i++)
        leaf_add(spare.leaf, ranks[i].entry);
    for (uint8_t i = 0; i < LEAF_MAX / 2; i++)
        lower[i] = *ranks[i].entry;
    const struct svm_id low = leaf_entries(spare.leaf)[0].id;
    leaf->count = 0;
    for (uint8_t i = 0; i < LEAF_MAX / 2; i++)
        leaf_add(leaf, &lower[i]);
    insert_above(tree, path, &spare, pool, spare.leaf, low);
    SVM_ASSERT(spare.count == 0);
    return memcmp(id->b, low.b, sizeof low.b) < 0 ? leaf : spare.leaf;
}

/* LEAF in another size, or NULL: no memory. */
static struct leaf *leaf_resize(struct owner_tree *tree, struct owner_pool *pool,
                                const struct path *path, struct leaf *leaf, uint8_t size_class)
{
    struct leaf *other = leaf_create(size_class, pool);
    if (!other)
        return NULL;
    leaf_add_all(other, leaf);
    leaf_free(leaf, pool);
    node_replace(tree, path, tree->height, other);
    return other;
}

bool owner_tree_put(struct owner_tree *tree, struct owner_pool *pool, const struct svm_id *id,
                    uint64_t word)
{
    struct path path;
    struct leaf *leaf = descend(tree, id, &path);
    if (!leaf)
        leaf = tree->root = leaf_create(0, pool);
    else if (leaf->count == LEAF_MAX)
        leaf = leaf_split(tree, pool, &path, leaf, id);
    else if (leaf->count == class_cap[leaf->size_class])
        leaf = leaf_resize(tree, pool, &path, leaf, (uint8_t)(leaf->size_class + 1));
    if (!leaf)
        return false;
    leaf_add(leaf, &(struct owner_entry){.id = *id, .word = word});
    return true;
}

/* ---- removal ------------------------------------------------------------------------------------------------ */

/* The branch at AT of ABOVE has few children left: a neighbour takes them, or is taken in. Returns whether ABOVE has one child less. */
static bool branch_join(struct branch *above, uint32_t at, struct owner_pool *pool)
{
    struct branch *branch = above->child[at].node;
    if (branch->count > 0) {
        if (branch->count > BRANCH_FEW || above->count < 2)
            return false;
        uint32_t left = at + 1 < above->count ? at : at - 1;
        struct branch *into = above->child[left].node, *from = above->child[left + 1].node;
        if (into->count + from->count > into->cap - into->cap / 4)
            return false;
        branch_move(into, into->count, from, 0, from->count);
        /* what stood for "and below" stands for a bound now */
        into->child[into->count].prefix = above->child[left + 1].prefix;
        branch_low(into)[into->count] = branch_low(above)[left + 1];
        into->count += from->count;
        branch = from;
        at = left + 1;
    }
    branch_remove(above, at);
    branch_free(branch, pool);
    return true;
}

/* A leaf has gone from the branch at the end of PATH. A root with one child is its child. */
static void branches_shrink(struct owner_tree *tree, struct owner_pool *pool,
                            const struct path *path)
{
    uint32_t level = tree->height - 1;
    while (level > 0 && branch_join(path->branch[level - 1], path->at[level - 1], pool))
        level--;
    while (tree->height > 0 && ((struct branch *)tree->root)->count <= 1) {
        struct branch *root = tree->root;
        SVM_ASSERT(root->count == 1); /* it had two at least, and loses one at a time */
        tree->height--;
        tree->root = root->child[0].node;
        branch_free(root, pool);
    }
}

/* LEAF has few entries left: its neighbour under the same branch takes them, or it is in a smaller size. Returns whether a leaf went. */
static bool leaf_join(struct owner_tree *tree, struct owner_pool *pool, struct path *path,
                      struct leaf *leaf)
{
    struct branch *above = path->branch[tree->height - 1];
    uint32_t at = path->at[tree->height - 1];
    if (leaf->count > 0) {
        if (leaf->count > LEAF_FEW || above->count < 2)
            return false;
        uint32_t left = at + 1 < above->count ? at : at - 1;
        struct leaf *into = above->child[left].node, *from = above->child[left + 1].node;
        uint8_t sum = (uint8_t)(into->count + from->count);
        if (sum > LEAF_MAX - 2 * LEAF_FEW)
            return false;
        uint8_t size_class = into->size_class;
        while (class_cap[size_class] < sum)
            size_class++;
        if (size_class != into->size_class) {
            path->at[tree->height - 1] = left;
            into = leaf_resize(tree, pool, path, into, size_class);
            path->at[tree->height - 1] = at;
            if (!into)
                return false;
        }
        leaf_add_all(into, from);
        leaf = from;
        at = left + 1;
    }
    branch_remove(above, at);
    leaf_free(leaf, pool);
    return true;
}

void owner_tree_del(struct owner_tree *tree, struct owner_pool *pool, const struct svm_id *id)
{
    struct path path;
    struct leaf *leaf = descend(tree, id, &path);
    SVM_ASSERT(leaf != NULL);
    uint8_t at = leaf_seek(leaf, id);
    SVM_ASSERT(at < leaf->count);
    leaf->count--;
    leaf->tags[at] = leaf->tags[leaf->count];
    leaf_entries(leaf)[at] = leaf_entries(leaf)[leaf->count];
    if (tree->height > 0 && leaf_join(tree, pool, &path, leaf)) {
        branches_shrink(tree, pool, &path);
    } else if (leaf->count == 0) {
        leaf_free(leaf, pool);
        tree->root = NULL;
    } else if (leaf->size_class >= 2 && leaf->count <= class_cap[leaf->size_class - 2]) {
        leaf_resize(tree, pool, &path, leaf, (uint8_t)(leaf->size_class - 1));
    }
}

static void clear(void *node, uint32_t height, struct owner_pool *pool)
{
    if (height == 0) {
        leaf_free(node, pool);
        return;
    }
    struct branch *branch = node;
    for (uint32_t i = 0; i < branch->count; i++)
        clear(branch->child[i].node, height - 1, pool);
    branch_free(branch, pool);
}

void owner_tree_clear(struct owner_tree *tree, struct owner_pool *pool)
{
    if (tree->root)
        clear(tree->root, tree->height, pool);
    *tree = (struct owner_tree){0};
}
