/* store_kv_ram: an ordered map in memory behind svm_kv_ops, for tests and simulation.
 *
 * The map is a persistent treap: a write copies the path from the root and shares the rest, so a consistent view is one
 * counted reference to a root. Iterators hold one; so do "what was durable at the last sync" and the state after each write
 * since, from which store_kv_ram_crash picks. Priorities are a hash of the key: the same keys make the same tree.
 *
 * Thread   one writer at a time beside any number of readers is what a store does; writers are serialised anyway.
 * Memory   out of memory ends the process: no production path allocates here. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "store/store.h"

struct entry {
    _Atomic size_t refs;
    size_t key_len, value_len;
    uint8_t bytes[]; /* key, then value */
};

struct node {
    _Atomic size_t refs;
    uint64_t priority;
    struct entry *entry;
    struct node *left, *right;
};

struct store_kv_ram {
    pthread_mutex_t writer; /* held by a write; taken before `lock` */
    pthread_mutex_t lock;   /* guards what follows */
    struct node *root;
    struct node *durable;
    struct node **since; /* root after each write since the last sync or flush */
    size_t since_count, since_cap;
    uint64_t steps;     /* writes, syncs, flushes and range deletions so far */
    uint64_t fail_step; /* the step that fails, and all after it; 0 = none */
    bool failed;
};

struct svm_kv_iter {
    struct node *root;
    const struct entry *at; /* part of root; NULL = past the end */
};

/* ---- treap ------------------------------------------------------------------------------------------------- */

static void *must_alloc(size_t size)
{
    void *memory = malloc(size);
    SVM_ASSERT(memory != NULL);
    return memory;
}

static int key_compare(const uint8_t *left, size_t left_len, const uint8_t *right, size_t right_len)
{
    size_t shared = left_len < right_len ? left_len : right_len;
    int order = shared == 0 ? 0 : memcmp(left, right, shared);
    if (order != 0)
        return order;
    return left_len < right_len ? -1 : left_len > right_len;
}

static int entry_compare(struct svm_bytes key, const struct entry *entry)
{
    return key_compare(key.ptr, key.len, entry->bytes, entry->key_len);
}

static uint64_t key_priority(struct svm_bytes key)
{
    uint64_t hash =
        14695981039346656037u; /* FNV-1a, then a finaliser: near keys must not have near priorities */
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ key.ptr[i]) * 1099511628211u;
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
    return hash ^ hash >> 31;
}

static struct node *node_keep(struct node *node)
{
    if (node != NULL)
        atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
    return node;
}

static struct entry *entry_keep(struct entry *entry)
{
    atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
    return entry;
}

static void node_drop(struct node *node)
{
    if (node == NULL || atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) != 1)
        return;
    node_drop(node->left);
    node_drop(node->right);
    if (atomic_fetch_sub_explicit(&node->entry->refs, 1, memory_order_acq_rel) == 1)
        free(node->entry);
    free(node);
}

/* node_make: takes the three references. */
static struct node *node_make(struct entry *entry, uint64_t priority, struct node *left,
                              struct node *right)
{
    struct node *node = must_alloc(sizeof *node);
    atomic_init(&node->refs, 1);
    node->priority = priority;
    node->entry = entry;
    node->left = left;
    node->right = right;
    return node;
}

static struct node *node_copy(const struct node *node, struct node *left, struct node *right)
{
    return node_make(entry_keep(node->entry), node->priority, left, right);
}

/* split: the entries of NODE below KEY and those not below it; NODE itself is only borrowed. */
static void split(const struct node *node, struct svm_bytes key, struct node **below_out,
                  struct node **rest_out)
{
    if (node == NULL) {
        *below_out = *rest_out = NULL;
        return;
    }
    struct node *middle;
    if (entry_compare(key, node->entry) <= 0) {
        split(node->left, key, below_out, &middle);
        *rest_out = node_copy(node, middle, node_keep(node->right));
    } else {
        split(node->right, key, &middle, rest_out);
        *below_out = node_copy(node, node_keep(node->left), middle);
    }
}

/* join: every key of LEFT is below every key of RIGHT. Takes both references. */
static struct node *join(struct node *left, struct node *right)
{
    if (left == NULL)
        return right;
    if (right == NULL)
        return left;
    struct node *top;
    if (left->priority >= right->priority) {
        top = node_copy(left, node_keep(left->left), join(node_keep(left->right), right));
        node_drop(left);
    } else {
        top = node_copy(right, join(left, node_keep(right->left)), node_keep(right->right));
        node_drop(right);
    }
    return top;
}

/* without: TREE minus the keys in [FROM, TO); TO of length 0 = no upper bound. Takes the reference. */
static struct node *without(struct node *tree, struct svm_bytes from, struct svm_bytes to)
{
    struct node *below, *rest, *middle = NULL, *above = NULL;
    split(tree, from, &below, &rest);
    node_drop(tree);
    if (to.len > 0)
        split(rest, to, &middle, &above);
    node_drop(rest);
    node_drop(middle);
    return join(below, above);
}

static struct node *without_key(struct node *tree, struct svm_bytes key)
{
    uint8_t next[256]; /* the key right after KEY is KEY with a zero behind it */
    SVM_ASSERT(key.len < sizeof next);
    if (key.len > 0)
        memcpy(next, key.ptr, key.len);
    next[key.len] = 0;
    return without(tree, key, (struct svm_bytes){next, key.len + 1});
}

static struct node *with(struct node *tree, const struct svm_kv_op *op)
{
    struct node *below, *rest;
    tree = without_key(tree, op->key);
    struct entry *entry = must_alloc(sizeof *entry + op->key.len + op->value.len);
    atomic_init(&entry->refs, 1);
    entry->key_len = op->key.len;
    entry->value_len = op->value.len;
    if (op->key.len > 0)
        memcpy(entry->bytes, op->key.ptr, op->key.len);
    if (op->value.len > 0)
        memcpy(entry->bytes + op->key.len, op->value.ptr, op->value.len);
    split(tree, op->key, &below, &rest);
    node_drop(tree);
    return join(join(below, node_make(entry, key_priority(op->key), NULL, NULL)), rest);
}

/* first_from: the entry with the smallest key >= KEY (STRICT: > KEY), or NULL. */
static const struct entry *first_from(const struct node *node, struct svm_bytes key, bool strict)
{
    const struct entry *best = NULL;
    while (node != NULL) {
        int order = entry_compare(key, node->entry);
        if (order < 0 || (order == 0 && !strict)) {
            best = node->entry;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return best;
}

/* ---- durability -------------------------------------------------------------------------------------------- */

static struct node *root_keep(struct store_kv_ram *ram)
{
    pthread_mutex_lock(&ram->lock);
    struct node *root = node_keep(ram->root);
    pthread_mutex_unlock(&ram->lock);
    return root;
}

static void since_clear_locked(struct store_kv_ram *ram)
{
    for (size_t i = 0; i < ram->since_count; i++)
        node_drop(ram->since[i]);
    ram->since_count = 0;
}

static void durable_set_locked(struct store_kv_ram *ram)
{
    node_drop(ram->durable);
    ram->durable = node_keep(ram->root);
    since_clear_locked(ram);
}

/* root_set: ROOT (a reference, taken) is the map now. */
static void root_set(struct store_kv_ram *ram, struct node *root, bool durable)
{
    pthread_mutex_lock(&ram->lock);
    node_drop(ram->root);
    ram->root = root;
    if (durable) {
        durable_set_locked(ram);
    } else {
        if (ram->since_count == ram->since_cap) {
            ram->since_cap = ram->since_cap == 0 ? 64 : 2 * ram->since_cap;
            ram->since = realloc(ram->since, ram->since_cap * sizeof(struct node *));
            SVM_ASSERT(ram->since != NULL);
        }
        ram->since[ram->since_count++] = node_keep(root);
    }
    pthread_mutex_unlock(&ram->lock);
}

/* step: count one step; false = it fails. */
static bool step(struct store_kv_ram *ram)
{
    pthread_mutex_lock(&ram->lock);
    ram->steps++;
    if (ram->fail_step != 0 && ram->steps >= ram->fail_step)
        ram->failed = true;
    bool good = !ram->failed;
    pthread_mutex_unlock(&ram->lock);
    return good;
}

/* ---- svm_kv_ops -------------------------------------------------------------------------------------------- */

static enum svm_err ram_write(void *self, const struct svm_kv_op *ops, size_t count, bool sync)
{
    struct store_kv_ram *ram = self;
    if (!step(ram))
        return SVM_E_IO;
    pthread_mutex_lock(&ram->writer);
    struct node *root = root_keep(ram);
    for (size_t i = 0; i < count; i++)
        root = ops[i].del ? without_key(root, ops[i].key) : with(root, &ops[i]);
    root_set(ram, root, sync);
    pthread_mutex_unlock(&ram->writer);
    return SVM_OK;
}

static enum svm_err ram_ingest(void *self, const struct svm_kv_op *ops, size_t count, size_t tail)
{
    SVM_ASSERT(tail <= count);
    return ram_write(self, ops, count, true); /* true: what was written before is durable with it */
}

static enum svm_err ram_sync(void *self)
{
    struct store_kv_ram *ram = self;
    if (!step(ram))
        return SVM_E_IO;
    pthread_mutex_lock(&ram->lock);
    durable_set_locked(ram);
    pthread_mutex_unlock(&ram->lock);
    return SVM_OK;
}

static enum svm_err ram_del_range(void *self, struct svm_bytes from, struct svm_bytes to)
{
    struct store_kv_ram *ram = self;
    if (!step(ram))
        return SVM_E_IO;
    if (key_compare(from.ptr, from.len, to.ptr, to.len) >= 0)
        return SVM_OK;
    pthread_mutex_lock(&ram->writer);
    root_set(ram, without(root_keep(ram), from, to), false);
    pthread_mutex_unlock(&ram->writer);
    return SVM_OK;
}

static enum svm_err ram_get(void *self, struct svm_bytes key, uint8_t **value_out, size_t *len_out)
{
    struct node *root = root_keep(self);
    const struct entry *entry = first_from(root, key, false);
    enum svm_err err = SVM_E_NOT_FOUND;
    if (entry != NULL && entry_compare(key, entry) == 0) {
        uint8_t *value = malloc(entry->value_len + 1);
        err = value == NULL ? SVM_E_NO_MEMORY : SVM_OK;
        if (value != NULL) {
            memcpy(value, entry->bytes + entry->key_len, entry->value_len);
            *value_out = value;
            *len_out = entry->value_len;
        }
    }
    node_drop(root);
    return err;
}

static struct svm_kv_iter *ram_iter_open(void *self)
{
    struct svm_kv_iter *iter = malloc(sizeof *iter);
    if (iter == NULL)
        return NULL;
    iter->root = root_keep(self);
    iter->at = NULL;
    return iter;
}

static void ram_iter_seek(struct svm_kv_iter *iter, struct svm_bytes key)
{
    iter->at = first_from(iter->root, key, false);
}

static void ram_iter_seek_last(struct svm_kv_iter *iter)
{
    const struct node *node = iter->root;
    iter->at = NULL;
    for (; node != NULL; node = node->right)
        iter->at = node->entry;
}

static bool ram_iter_valid(struct svm_kv_iter *iter, struct svm_bytes *key_out,
                           struct svm_bytes *value_out)
{
    if (iter->at == NULL)
        return false;
    *key_out = (struct svm_bytes){iter->at->bytes, iter->at->key_len};
    *value_out = (struct svm_bytes){iter->at->bytes + iter->at->key_len, iter->at->value_len};
    return true;
}

static void ram_iter_next(struct svm_kv_iter *iter)
{
    SVM_ASSERT(iter->at != NULL);
    iter->at = first_from(iter->root, (struct svm_bytes){iter->at->bytes, iter->at->key_len}, true);
}

static enum svm_err ram_iter_close(struct svm_kv_iter *iter)
{
    node_drop(iter->root);
    free(iter);
    return SVM_OK;
}

/* There is no directory to link files from; store_checkpoint says so before it comes here. */
static enum svm_err ram_checkpoint(void *self, const char *dir, char reason[120])
{
    (void)self;
    (void)dir;
    reason[0] = '\0';
    return SVM_E_METHOD_DISABLED;
}

static enum svm_err ram_compact(void *self)
{
    (void)self;
    return SVM_OK;
}

static void ram_close(void *self)
{
    (void)self;
}

static const char *ram_failure(void *self)
{
    struct store_kv_ram *ram = self;
    pthread_mutex_lock(&ram->lock);
    bool failed = ram->failed;
    pthread_mutex_unlock(&ram->lock);
    return failed ? "the injected failure of a test" : NULL;
}

/* ---- life -------------------------------------------------------------------------------------------------- */

struct store_kv_ram *store_kv_ram_create(void)
{
    struct store_kv_ram *ram = calloc(1, sizeof *ram);
    if (ram == NULL)
        return NULL;
    pthread_mutex_init(&ram->writer, NULL);
    pthread_mutex_init(&ram->lock, NULL);
    return ram;
}

void store_kv_ram_ops(struct svm_kv_ops *ops_out, struct store_kv_ram *ram)
{
    *ops_out = (struct svm_kv_ops){
        .self = ram,
        .write = ram_write,
        .sync = ram_sync,
        .flush = ram_sync,
        .ingest = ram_ingest,
        .del_range = ram_del_range,
        .get = ram_get,
        .iter_open = ram_iter_open,
        .iter_seek = ram_iter_seek,
        .iter_seek_last = ram_iter_seek_last,
        .iter_valid = ram_iter_valid,
        .iter_next = ram_iter_next,
        .iter_close = ram_iter_close,
        .checkpoint = ram_checkpoint,
        .compact = ram_compact,
        .close = ram_close,
        .failure = ram_failure,
    };
}

void store_kv_ram_destroy(struct store_kv_ram *ram)
{
    if (ram == NULL)
        return;
    node_drop(ram->root);
    node_drop(ram->durable);
    since_clear_locked(ram);
    free(ram->since);
    pthread_mutex_destroy(&ram->writer);
    pthread_mutex_destroy(&ram->lock);
    free(ram);
}

void store_kv_ram_crash(struct store_kv_ram *ram, size_t keep_unsynced_log_writes)
{
    pthread_mutex_lock(&ram->lock);
    size_t keep = keep_unsynced_log_writes;
    if (keep > ram->since_count)
        keep = ram->since_count;
    struct node *left = node_keep(keep == 0 ? ram->durable : ram->since[keep - 1]);
    node_drop(ram->root);
    ram->root = left;
    durable_set_locked(ram);
    ram->failed = false;
    ram->fail_step = 0;
    pthread_mutex_unlock(&ram->lock);
}

size_t store_kv_ram_unsynced(struct store_kv_ram *ram)
{
    pthread_mutex_lock(&ram->lock);
    size_t count = ram->since_count;
    pthread_mutex_unlock(&ram->lock);
    return count;
}

void store_kv_ram_fail_at(struct store_kv_ram *ram, uint64_t step_count)
{
    pthread_mutex_lock(&ram->lock);
    ram->failed = false;
    ram->fail_step = step_count == 0 ? 0 : ram->steps + step_count;
    pthread_mutex_unlock(&ram->lock);
}
