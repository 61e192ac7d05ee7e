#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

enum { SHARDS = 64, LEVELS = 16 };

/* A skip list per shard (Pugh, CACM 1990), ordered by owner, then id. An owner's ids are spread over all shards, so that one with many objects is
 * no bottleneck; a listing, which is rare, takes from each and merges. */
struct owner_node {
    struct svm_address owner;
    struct svm_id id;
    _Atomic uint64_t seq; /* UINT64_MAX while a transaction is about to change it */
    uint64_t before;      /* what it was then; of the one who changes it */
    _Atomic bool owned;
    uint8_t level;
    struct owner_node *next[];
};

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    struct owner_node *head[LEVELS];
    struct svm_address sweep_owner;
    struct svm_id sweep_id;
    uint64_t random;
    size_t count;
};

struct owners {
    struct shard shards[SHARDS];
    size_t sweep_shard;
    _Atomic uint64_t touched; /* since the last sweep */
};

static struct shard *shard_of(struct owners *owners, const struct svm_address *owner,
                              const struct svm_id *id)
{
    return &owners->shards[(owner->b[5] ^ id->b[7]) % SHARDS];
}

struct owners *owners_create(void)
{
    struct owners *owners = aligned_alloc(64, (sizeof *owners + 63) / 64 * 64);
    if (!owners)
        return NULL;
    memset(owners, 0, sizeof *owners);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&owners->shards[i].lock, NULL);
        owners->shards[i].random = 0x9e3779b97f4a7c15u * (i + 1);
    }
    return owners;
}

void owners_destroy(struct owners *owners)
{
    if (!owners)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct owner_node *node = owners->shards[i].head[0];
        while (node) {
            struct owner_node *next = node->next[0];
            free(node);
            node = next;
        }
        pthread_mutex_destroy(&owners->shards[i].lock);
    }
    free(owners);
}

static int compare(const struct owner_node *node, const struct svm_address *owner,
                   const struct svm_id *id)
{
    int c = memcmp(node->owner.b, owner->b, sizeof owner->b);
    return c ? c : memcmp(node->id.b, id->b, sizeof id->b);
}

/* PATH[l]: the link at level l behind the last node below (OWNER, ID). Returns the first node at or above. */
static struct owner_node *seek(struct shard *shard, const struct svm_address *owner,
                               const struct svm_id *id, struct owner_node **path[LEVELS])
{
    struct owner_node **links = shard->head;
    for (int level = LEVELS - 1; level >= 0; level--) {
        while (links[level] && compare(links[level], owner, id) < 0)
            links = links[level]->next;
        path[level] = &links[level];
    }
    return links[0];
}

static uint8_t random_level(struct shard *shard)
{
    shard->random ^= shard->random << 13;
    shard->random ^= shard->random >> 7;
    shard->random ^= shard->random << 17;
    uint8_t level = 1;
    for (uint64_t r = shard->random; level < LEVELS && (r & 3) == 0; r >>= 2)
        level++;
    return level;
}

struct owner_node *owners_touch(struct owners *owners, const struct svm_address *owner,
                                const struct svm_id *id)
{
    struct shard *shard = shard_of(owners, owner, id);
    struct owner_node **path[LEVELS];
    pthread_mutex_lock(&shard->lock);
    struct owner_node *node = seek(shard, owner, id, path);
    if (!node || compare(node, owner, id) != 0) {
        uint8_t level = random_level(shard);
        node = malloc(sizeof *node + level * sizeof node->next[0]);
        if (!node) {
            pthread_mutex_unlock(&shard->lock);
            return NULL;
        }
        node->owner = *owner;
        node->id = *id;
        node->level = level;
        atomic_init(&node->owned, false);
        atomic_init(&node->seq, 0);
        for (uint8_t l = 0; l < level; l++) {
            node->next[l] = *path[l];
            *path[l] = node;
        }
        shard->count++;
    }
    node->before = atomic_exchange(&node->seq, UINT64_MAX);
    atomic_fetch_add_explicit(&owners->touched, 1, memory_order_relaxed);
    pthread_mutex_unlock(&shard->lock);
    return node;
}

void owners_settle(struct owner_node *node, uint64_t seq, bool owned)
{
    if (seq == 0 && !owned) {
        atomic_store(&node->seq, node->before);
        return;
    }
    atomic_store(&node->owned, owned);
    atomic_store(&node->seq, seq);
}

static size_t shard_list(struct shard *shard, const struct svm_address *owner,
                         const struct svm_id *after, struct svm_id *ids_out, size_t limit)
{
    static const struct svm_id zero;
    struct owner_node **path[LEVELS];
    size_t n = 0;
    pthread_mutex_lock(&shard->lock);
    struct owner_node *node = seek(shard, owner, after ? after : &zero, path);
    if (node && after && compare(node, owner, after) == 0)
        node = node->next[0];
    for (; node && n < limit && memcmp(node->owner.b, owner->b, sizeof owner->b) == 0;
         node = node->next[0])
        ids_out[n++] = node->id;
    pthread_mutex_unlock(&shard->lock);
    return n;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct svm_id));
}

/* The LIMIT lowest of all are among the LIMIT lowest of each shard. */
bool owners_list(struct owners *owners, const struct svm_address *owner, const struct svm_id *after,
                 struct svm_id *ids_out, size_t limit, size_t *count_out)
{
    struct svm_id *all = malloc(SHARDS * limit * sizeof *all);
    size_t n = 0;
    if (!all)
        return false;
    for (size_t i = 0; i < SHARDS; i++)
        n += shard_list(&owners->shards[i], owner, after, all + n, limit);
    qsort(all, n, sizeof *all, by_id);
    *count_out = n < limit ? n : limit;
    memcpy(ids_out, all, *count_out * sizeof *all);
    free(all);
    return true;
}

static bool settled(const struct owner_node *node, uint64_t floor, uint64_t materialised,
                    bool memory_mode)
{
    uint64_t seq = atomic_load(&node->seq);
    if (seq == UINT64_MAX || seq > floor)
        return false;
    return memory_mode ? !atomic_load(&node->owned) : seq <= materialised;
}

/* Visits up to BUDGET nodes of SHARD from where the last visit stopped. */
static size_t sweep_shard(struct shard *shard, uint64_t floor, uint64_t materialised,
                          bool memory_mode, size_t budget)
{
    struct owner_node **path[LEVELS];
    size_t visited = 0;
    pthread_mutex_lock(&shard->lock);
    struct owner_node *node = seek(shard, &shard->sweep_owner, &shard->sweep_id, path);
    while (node && visited < budget) {
        struct owner_node *next = node->next[0];
        if (settled(node, floor, materialised, memory_mode)) {
            for (uint8_t l = 0; l < node->level; l++) {
                SVM_ASSERT(*path[l] == node);
                *path[l] = node->next[l];
            }
            free(node);
            shard->count--;
        } else {
            for (uint8_t l = 0; l < node->level; l++)
                path[l] = &node->next[l];
        }
        node = next;
        visited++;
    }
    memset(&shard->sweep_owner, 0, sizeof shard->sweep_owner);
    memset(&shard->sweep_id, 0, sizeof shard->sweep_id);
    if (node) {
        shard->sweep_owner = node->owner;
        shard->sweep_id = node->id;
    }
    pthread_mutex_unlock(&shard->lock);
    return visited;
}

/* Work in proportion to what was touched: a quiet index costs nothing, a busy one is walked as fast as it grows, four times over. */
void owners_sweep(struct owners *owners, uint64_t floor, uint64_t materialised, bool memory_mode)
{
    enum { LEAST = 256 };
    size_t budget =
        LEAST + 4 * (size_t)atomic_exchange_explicit(&owners->touched, 0, memory_order_relaxed);
    for (size_t i = 0; i < SHARDS && budget > 0; i++) {
        size_t visited = sweep_shard(&owners->shards[owners->sweep_shard], floor, materialised,
                                     memory_mode, budget);
        budget -= visited;
        if (budget > 0)
            owners->sweep_shard = (owners->sweep_shard + 1) % SHARDS;
    }
}
