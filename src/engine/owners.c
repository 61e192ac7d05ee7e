#include "engine/owners.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/nh.h"
#include "base/rng.h"
#include "engine/owner_tree.h"

enum { SHARDS = 512, SLOTS_MIN = 4 };
#define EARLIER UINT64_C(1) /* of a word: `from` is above it */

struct owner {
    struct svm_address address;
    struct owner_tree ids;
};

/* Open addressing with linear probing; the hash decides, the owner is looked at to be sure. */
struct slot {
    uint64_t hash;
    struct owner *owner; /* NULL = empty */
};

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    _Atomic(struct slot *) slots; /* under the lock; owners_prefetch reads the address alone */
    _Atomic uint32_t mask;
    uint32_t owners;
    uint64_t entries;
    struct owner_pool pool;
};

struct owners {
    const struct mvcc *mvcc;
    bool memory_mode;
    struct owner_logs *logs;
    uint64_t hash_key[NH_KEY_WORDS]; /* of the process: anybody may name any owner */
    _Alignas(64) _Atomic uint64_t bytes;
    struct shard shards[SHARDS];
};

/* ---- shards ------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(const struct owners *owners, const struct svm_address *owner)
{
    return nh_hash32(owners->hash_key, owner->b);
}

static struct shard *shard_of(struct owners *owners, uint64_t hash)
{
    return &owners->shards[hash % SHARDS];
}

static uint32_t place_of(const struct shard *shard, uint64_t hash)
{
    return (uint32_t)(hash >> 32) & atomic_load_explicit(&shard->mask, memory_order_relaxed);
}

static struct slot *slots_of(const struct shard *shard)
{
    return atomic_load_explicit(&shard->slots, memory_order_relaxed);
}

/* The slot of OWNER, or the empty one where it would stand. */
static struct slot *slot_seek_locked(const struct shard *shard, uint64_t hash,
                                     const struct svm_address *owner)
{
    struct slot *slots = slots_of(shard);
    const uint32_t mask = atomic_load_explicit(&shard->mask, memory_order_relaxed);
    for (uint32_t at = place_of(shard, hash);; at = (at + 1) & mask) {
        struct slot *slot = &slots[at];
        if (!slot->owner ||
            (slot->hash == hash && memcmp(slot->owner->address.b, owner->b, sizeof owner->b) == 0))
            return slot;
    }
}

static struct owner *owner_find_locked(const struct shard *shard, uint64_t hash,
                                       const struct svm_address *owner)
{
    return slot_seek_locked(shard, hash, owner)->owner;
}

/* Twice the slots when three quarters are taken. */
static bool shard_reserve_locked(struct owners *owners, struct shard *shard)
{
    struct slot *old = slots_of(shard);
    const uint32_t size = atomic_load_explicit(&shard->mask, memory_order_relaxed) + 1;
    if (shard->owners + 1 <= size / 4 * 3)
        return true;
    struct slot *slots = calloc((size_t)size * 2, sizeof *slots);
    if (!slots)
        return false;
    atomic_store_explicit(&shard->slots, slots, memory_order_relaxed);
    atomic_store_explicit(&shard->mask, 2 * size - 1, memory_order_relaxed);
    for (uint32_t i = 0; i < size; i++)
        if (old[i].owner) {
            uint32_t at = place_of(shard, old[i].hash);
            while (slots[at].owner)
                at = (at + 1) & (2 * size - 1);
            slots[at] = old[i];
        }
    free(old);
    owners_count_bytes(owners, (uint64_t)size * sizeof *slots);
    return true;
}

static struct owner *owner_make_locked(struct owners *owners, struct shard *shard, uint64_t hash,
                                       const struct svm_address *address)
{
    struct owner *owner = owner_find_locked(shard, hash, address);
    if (owner)
        return owner;
    if (!shard_reserve_locked(owners, shard))
        return NULL;
    owner = malloc(sizeof *owner);
    if (!owner)
        return NULL;
    *owner = (struct owner){.address = *address};
    *slot_seek_locked(shard, hash, address) = (struct slot){.hash = hash, .owner = owner};
    shard->owners++;
    owners_count_bytes(owners, sizeof *owner);
    return owner;
}

/* OWNER holds nothing: it goes, and those behind it that a probe would no longer find move up. */
static void owner_drop_locked(struct owners *owners, struct shard *shard, uint64_t hash,
                              struct owner *owner)
{
    struct slot *slots = slots_of(shard);
    const uint32_t mask = atomic_load_explicit(&shard->mask, memory_order_relaxed);
    uint32_t hole = (uint32_t)(slot_seek_locked(shard, hash, &owner->address) - slots);
    for (uint32_t at = (hole + 1) & mask; slots[at].owner; at = (at + 1) & mask) {
        uint32_t home = place_of(shard, slots[at].hash);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            slots[hole] = slots[at];
            hole = at;
        }
    }
    slots[hole] = (struct slot){0};
    shard->owners--;
    owners_count_bytes(owners, 0 - (uint64_t)sizeof *owner);
    free(owner);
}

static bool entry_put_locked(struct owners *owners, struct shard *shard, struct owner *owner,
                             const struct svm_id *id, uint64_t word)
{
    const uint64_t before = shard->pool.bytes;
    if (!owner_tree_put(&owner->ids, &shard->pool, id, word))
        return false;
    shard->entries++;
    if (shard->pool.bytes != before)
        owners_count_bytes(owners, shard->pool.bytes - before);
    return true;
}

static void entry_del_locked(struct owners *owners, struct shard *shard, uint64_t hash,
                             struct owner *owner, const struct svm_id *id)
{
    const uint64_t before = shard->pool.bytes;
    owner_tree_del(&owner->ids, &shard->pool, id);
    shard->entries--;
    if (shard->pool.bytes != before)
        owners_count_bytes(owners, shard->pool.bytes - before);
    if (!owner->ids.root)
        owner_drop_locked(owners, shard, hash, owner);
}

/* ---- life --------------------------------------------------------------------------------------------------- */

struct owners *owners_create(const struct mvcc *mvcc, bool memory_mode, uint32_t logs)
{
    struct owners *owners = aligned_alloc(64, sizeof *owners);
    if (!owners)
        return NULL;
    memset(owners, 0, sizeof *owners);
    owners->mvcc = mvcc;
    owners->memory_mode = memory_mode;
    rng_os(owners->hash_key, sizeof owners->hash_key);
    bool ok = true;
    for (size_t i = 0; i < SHARDS; i++) {
        struct slot *slots = calloc(SLOTS_MIN, sizeof *slots);
        ok = ok && slots;
        atomic_init(&owners->shards[i].slots, slots);
        atomic_init(&owners->shards[i].mask, SLOTS_MIN - 1);
        pthread_mutex_init(&owners->shards[i].lock, NULL);
    }
    owners->logs = owner_logs_create(owners, logs);
    if (!ok || !owners->logs) {
        owners_destroy(owners);
        return NULL;
    }
    return owners;
}

void owners_destroy(struct owners *owners)
{
    if (!owners)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &owners->shards[i];
        struct slot *slots = slots_of(shard);
        for (uint32_t at = 0; slots && at <= atomic_load(&shard->mask); at++)
            if (slots[at].owner) {
                owner_tree_clear(&slots[at].owner->ids, &shard->pool);
                free(slots[at].owner);
            }
        owner_pool_clear(&shard->pool);
        SVM_ASSERT(shard->pool.bytes == 0);
        free(slots);
        pthread_mutex_destroy(&shard->lock);
    }
    owner_logs_destroy(owners->logs);
    free(owners);
}

const struct mvcc *owners_mvcc(const struct owners *owners)
{
    return owners->mvcc;
}

bool owners_in_memory(const struct owners *owners)
{
    return owners->memory_mode;
}

struct owner_logs *owners_logs(struct owners *owners)
{
    return owners->logs;
}

void owners_count_bytes(struct owners *owners, uint64_t delta)
{
    atomic_fetch_add_explicit(&owners->bytes, delta, memory_order_relaxed);
}

uint64_t owners_bytes(const struct owners *owners)
{
    return atomic_load_explicit(&owners->bytes, memory_order_relaxed);
}

void owners_counts(struct owners *owners, struct owners_counts *counts_out)
{
    *counts_out = (struct owners_counts){.bytes = owners_bytes(owners)};
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &owners->shards[i];
        pthread_mutex_lock(&shard->lock);
        counts_out->owners += shard->owners;
        counts_out->entries += shard->entries;
        pthread_mutex_unlock(&shard->lock);
    }
}

/* ---- changes ------------------------------------------------------------------------------------------------- */

static uint64_t word_of(uint64_t from, bool earlier)
{
    return from << 1 | (earlier ? EARLIER : 0);
}

/* In memory mode the loser's entry is there and stays as it is: losing is told to the log alone. */
static bool only_logged(const struct owners *owners, const struct owner_touch *touch)
{
    return owners->memory_mode && !touch->gains;
}

static bool touch_locked(struct owners *owners, struct shard *shard, uint64_t hash,
                         struct owner_touch *touch)
{
    struct owner *owner = owner_make_locked(owners, shard, hash, touch->owner);
    if (!owner)
        return false;
    struct owner_entry *entry = owner_tree_find(&owner->ids, touch->id);
    if (entry) { /* lost and had again, or gained and now lost, before the log was worked off */
        touch->before = entry->word;
        entry->word = word_of(touch->from, true);
        return true;
    }
    touch->before = 0;
    if (entry_put_locked(owners, shard, owner, touch->id, word_of(touch->from, !touch->gains)))
        return true;
    if (!owner->ids.root)
        owner_drop_locked(owners, shard, hash, owner);
    return false;
}

bool owners_touch(struct owner_log *log, struct owner_touch *touch)
{
    struct owners *owners = owner_log_owners(log);
    /* The position it will have is above all that is applied now. */
    uint64_t floor = mvcc_floor(owners->mvcc);
    if (touch->from <= floor)
        touch->from = floor + 1;
    if (!owner_log_reserve(log))
        return false;
    if (only_logged(owners, touch))
        return true;
    uint64_t hash = hash_of(owners, touch->owner);
    struct shard *shard = shard_of(owners, hash);
    pthread_mutex_lock(&shard->lock);
    bool ok = touch_locked(owners, shard, hash, touch);
    pthread_mutex_unlock(&shard->lock);
    if (!ok)
        owner_log_unreserve(log);
    return ok;
}

void owners_settle(struct owner_log *log, const struct owner_touch *touch, uint64_t seq)
{
    const struct owners *owners = owner_log_owners(log);
    if (owners->memory_mode && touch->gains)
        owner_log_unreserve(log); /* it stays */
    else
        owner_log_add(log, touch->owner, touch->id, seq);
}

/* An entry that was there may have been passed over by the change it waited for: that is told again, for the position that touch started from,
 * which is not below it. */
void owners_undo(struct owner_log *log, const struct owner_touch *touch)
{
    struct owners *owners = owner_log_owners(log);
    if (only_logged(owners, touch)) {
        owner_log_unreserve(log);
        return;
    }
    uint64_t hash = hash_of(owners, touch->owner);
    struct shard *shard = shard_of(owners, hash);
    pthread_mutex_lock(&shard->lock);
    struct owner *owner = owner_find_locked(shard, hash, touch->owner);
    struct owner_entry *entry = owner ? owner_tree_find(&owner->ids, touch->id) : NULL;
    if (entry && touch->before)
        entry->word = touch->before;
    else if (entry)
        entry_del_locked(owners, shard, hash, owner, touch->id);
    pthread_mutex_unlock(&shard->lock);
    if (touch->before)
        owner_log_add(log, touch->owner, touch->id, touch->from - 1);
    else
        owner_log_unreserve(log);
}

bool owners_put(struct owners *owners, const struct svm_address *owner, const struct svm_id *id)
{
    uint64_t hash = hash_of(owners, owner);
    struct shard *shard = shard_of(owners, hash);
    pthread_mutex_lock(&shard->lock);
    struct owner *o = owner_make_locked(owners, shard, hash, owner);
    bool ok = o && (owner_tree_find(&o->ids, id) ||
                    entry_put_locked(owners, shard, o, id, word_of(0, true)));
    pthread_mutex_unlock(&shard->lock);
    return ok;
}

enum owners_dropped owners_drop(struct owners *owners, const struct owner_change *change)
{
    uint64_t hash = hash_of(owners, &change->owner);
    struct shard *shard = shard_of(owners, hash);
    enum owners_dropped result = OWNERS_GONE;
    pthread_mutex_lock(&shard->lock);
    struct owner *owner = owner_find_locked(shard, hash, &change->owner);
    const struct owner_entry *entry = owner ? owner_tree_find(&owner->ids, &change->id) : NULL;
    if (entry && entry->word >> 1 <= change->seq) {
        uint64_t from = (entry->word & EARLIER) ? 0 : entry->word >> 1;
        if (mvcc_needed(owners->mvcc, from, change->seq))
            result = OWNERS_KEPT_BACK;
        else
            entry_del_locked(owners, shard, hash, owner, &change->id);
    }
    pthread_mutex_unlock(&shard->lock);
    return result;
}

/* ---- questions ----------------------------------------------------------------------------------------------- */

void owners_prefetch(struct owners *owners, const struct svm_address *owner,
                     const struct svm_id *id, unsigned step)
{
    uint64_t hash = hash_of(owners, owner);
    struct shard *shard = shard_of(owners, hash);
    if (step == 0) {
        __builtin_prefetch(slots_of(shard) + place_of(shard, hash));
        return;
    }
    if (pthread_mutex_trylock(&shard->lock) != 0)
        return;
    if (step == 1) {
        const struct slot *slot = slots_of(shard) + place_of(shard, hash);
        __builtin_prefetch(slot->owner); /* whose it is, is seen later */
    } else {
        const struct owner *o = owner_find_locked(shard, hash, owner);
        if (o)
            owner_tree_prefetch(&o->ids, step == 2 ? NULL : id);
    }
    pthread_mutex_unlock(&shard->lock);
}

size_t owners_list(struct owners *owners, const struct svm_address *owner,
                   const struct svm_id *after, struct svm_id *ids_out, size_t limit)
{
    uint64_t hash = hash_of(owners, owner);
    struct shard *shard = shard_of(owners, hash);
    pthread_mutex_lock(&shard->lock);
    const struct owner *o = owner_find_locked(shard, hash, owner);
    size_t n = o ? owner_tree_list(&o->ids, after, ids_out, limit) : 0;
    pthread_mutex_unlock(&shard->lock);
    return n;
}
