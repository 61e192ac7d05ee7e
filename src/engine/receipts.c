#include "engine/internal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Many shards, so that a lock that was asked for ahead of time is still here when it is taken. */
enum { SHARD_BITS = 12, SHARDS = 1 << SHARD_BITS, SLOTS_MIN = 16 };

/* Open addressing, linear probing; at most half of the slots in use. A slot is 0 (empty: a probe ends), 1 (removed: it goes on), or 16 bits of the
 * hash above the 48 of an entry's address, so that a probe looks into an entry only when it is very likely the one. */
#define SLOT_REMOVED UINT64_C(1)
#define SLOT_ADDRESS UINT64_C(0xffffffffffff)

__extension__ typedef unsigned __int128 wide;

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    /* Written under the lock; atomic because a prefetch computes an address from them without it. */
    _Atomic(uint64_t *) slots;
    _Atomic size_t mask;
    uint32_t live, used; /* entries; slots that are not empty */
};
_Static_assert(sizeof(struct shard) == 64, "one line: with the lock comes what it guards");

struct receipt_table {
    struct shard shards[SHARDS];
    uint64_t seed; /* nobody outside can tell which digests fall together */
    struct receipt_line *lines;
    _Atomic uint64_t evicted_expires;
    _Atomic uint32_t waiters;
    uint32_t waiters_max;
};

/* Digests are SHA-256 outputs; the seed is against those who grind them. */
static uint64_t hash_of(const struct receipt_table *table, const struct svm_digest *digest)
{
    uint64_t a, b;
    memcpy(&a, digest->b, sizeof a);
    memcpy(&b, digest->b + 8, sizeof b);
    wide product = (wide)(a ^ table->seed) * (b | 1);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static struct shard *shard_of(struct receipt_table *table, uint64_t hash)
{
    return &table->shards[hash >> 32 & (SHARDS - 1)];
}

static struct receipt_entry *slot_entry(uint64_t slot)
{
    return (struct receipt_entry *)(uintptr_t)(slot & SLOT_ADDRESS);
}

static uint64_t slot_of(const struct receipt_entry *entry, uint64_t hash)
{
    return (hash >> 48) << 48 | (uint64_t)(uintptr_t)entry;
}

struct receipt_table *receipts_create(uint32_t waiters_max)
{
    struct receipt_table *table = aligned_alloc(64, (sizeof *table + 63) / 64 * 64);
    if (!table)
        return NULL;
    memset(table, 0, sizeof *table);
    table->waiters_max = waiters_max;
    rng_os(&table->seed, sizeof table->seed);
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &table->shards[i];
        pthread_mutex_init(&shard->lock, NULL);
        shard->mask = SLOTS_MIN - 1;
        shard->slots = calloc(SLOTS_MIN, sizeof(uint64_t));
        if (!shard->slots) {
            receipts_destroy(table);
            return NULL;
        }
    }
    return table;
}

/* Receipts that list no more than this get their room with the entry: a guess that is too large costs memory for as long as the receipt is kept. */
enum { ROOM_CHANGES_MAX = 8 };

static size_t room_for(uint32_t changes)
{
    return changes > ROOM_CHANGES_MAX
               ? 0
               : sizeof(struct svm_receipt) + changes * sizeof(struct svm_change);
}

void *receipts_memory(struct receipt_entry *entry, struct pool *pool, size_t bytes)
{
    return bytes <= entry->room_bytes ? entry->room : pool_take(pool, bytes);
}

void receipts_memory_give(const struct receipt_entry *entry, void *memory)
{
    if (memory != entry->room)
        pool_give(memory);
}

static void entry_free(struct receipt_entry *entry)
{
    receipts_memory_give(entry, atomic_load_explicit(&entry->receipt, memory_order_relaxed));
    pool_give(entry);
}

void receipts_destroy(struct receipt_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &table->shards[i];
        for (size_t s = 0; shard->slots && s <= shard->mask; s++) {
            if (shard->slots[s] <= SLOT_REMOVED)
                continue;
            struct receipt_entry *entry = slot_entry(shard->slots[s]);
            while (entry->waiters) {
                struct engine_waiter *waiter = entry->waiters;
                entry->waiters = waiter->next;
                free(waiter);
            }
            entry_free(entry);
        }
        free(shard->slots);
        pthread_mutex_destroy(&shard->lock);
    }
    free(table);
}

/* The slot of DIGEST, or NULL. */
static uint64_t *lookup(struct shard *shard, uint64_t hash, const struct svm_digest *digest)
{
    uint64_t *slots = shard->slots;
    size_t mask = shard->mask;
    for (size_t at = (size_t)hash & mask; slots[at]; at = (at + 1) & mask)
        if (slots[at] >> 48 == hash >> 48 && slots[at] != SLOT_REMOVED &&
            memcmp(slot_entry(slots[at])->digest.b, digest->b, sizeof digest->b) == 0)
            return &slots[at];
    return NULL;
}

static void place(uint64_t *slots, size_t mask, uint64_t hash, struct receipt_entry *entry)
{
    size_t at = (size_t)hash & mask;
    while (slots[at])
        at = (at + 1) & mask;
    slots[at] = slot_of(entry, hash);
}

/* Room for one more: larger when the entries need it, else the same without the removed ones. Without memory the old ones serve while an empty
 * one is left. */
static bool reserve(struct receipt_table *table, struct shard *shard)
{
    size_t mask = shard->mask;
    if (2 * ((size_t)shard->used + 1) <= mask)
        return true;
    size_t fresh_mask = 4 * (size_t)shard->live > mask ? 2 * mask + 1 : mask;
    uint64_t *fresh = calloc(fresh_mask + 1, sizeof *fresh), *slots = shard->slots;
    if (!fresh)
        return (size_t)shard->used + 2 < mask;
    for (size_t s = 0; s <= mask; s++)
        if (slots[s] > SLOT_REMOVED)
            place(fresh, fresh_mask, hash_of(table, &slot_entry(slots[s])->digest),
                  slot_entry(slots[s]));
    shard->slots = fresh;
    shard->mask = fresh_mask;
    shard->used = shard->live;
    free(slots);
    return true;
}

enum receipts_enter_result receipts_enter(struct receipt_table *table, struct pool *pool,
                                          const struct svm_digest *digest, uint64_t expires_ms,
                                          uint32_t changes, struct receipt_entry **entry_out)
{
    const size_t room_bytes = room_for(changes);
    struct receipt_entry *fresh = pool_take(pool, sizeof *fresh + room_bytes);
    if (!fresh)
        return RECEIPTS_NO_MEMORY;
    /* The receipt is written under claims, each of which waits for what was written before it. */
    for (size_t at = 64; at < sizeof *fresh + room_bytes; at += 64)
        __builtin_prefetch((const uint8_t *)fresh + at, 1);
    *fresh = (struct receipt_entry){
        .digest = *digest, .expires_ms = expires_ms, .room_bytes = (uint16_t)room_bytes};

    uint64_t hash = hash_of(table, digest);
    struct shard *shard = shard_of(table, hash);
    pthread_mutex_lock(&shard->lock);
    uint64_t *slot = FAULT_BUG("dedupe-skip") ? NULL : lookup(shard, hash, digest);
    if (slot) {
        pool_give(fresh);
        *entry_out = slot_entry(*slot);
        return RECEIPTS_FOUND;
    }
    bool room = reserve(table, shard);
    if (room) {
        place(shard->slots, shard->mask, hash, fresh);
        shard->live++;
        shard->used++;
    }
    pthread_mutex_unlock(&shard->lock);
    if (!room) {
        pool_give(fresh);
        return RECEIPTS_NO_MEMORY;
    }
    *entry_out = fresh;
    return RECEIPTS_ENTERED;
}

struct receipt_entry *receipts_find(struct receipt_table *table, const struct svm_digest *digest)
{
    uint64_t hash = hash_of(table, digest);
    struct shard *shard = shard_of(table, hash);
    pthread_mutex_lock(&shard->lock);
    uint64_t *slot = lookup(shard, hash, digest);
    if (slot)
        return slot_entry(*slot);
    pthread_mutex_unlock(&shard->lock);
    return NULL;
}

void receipts_unlock(struct receipt_table *table, struct receipt_entry *entry)
{
    pthread_mutex_unlock(&shard_of(table, hash_of(table, &entry->digest))->lock);
}

void receipts_await(struct receipt_entry *entry)
{
    atomic_store_explicit(&entry->awaited, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

void receipts_prefetch_lock(struct receipt_table *table, const struct svm_digest *digest)
{
    __builtin_prefetch(shard_of(table, hash_of(table, digest)), 1);
}

void receipts_prefetch(struct receipt_table *table, const struct svm_digest *digest)
{
    uint64_t hash = hash_of(table, digest);
    struct shard *shard = shard_of(table, hash);
    const uint64_t *slots = atomic_load_explicit(&shard->slots, memory_order_relaxed);
    size_t mask = atomic_load_explicit(&shard->mask, memory_order_relaxed);
    __builtin_prefetch(&slots[(size_t)hash & mask], 1);
}

bool receipts_wait(struct receipt_table *table, struct receipt_entry *entry,
                   const struct engine_waiter *waiter)
{
    if (atomic_fetch_add(&table->waiters, 1) >= table->waiters_max) {
        atomic_fetch_sub(&table->waiters, 1);
        return false;
    }
    struct engine_waiter *queued = malloc(sizeof *queued);
    if (!queued) {
        atomic_fetch_sub(&table->waiters, 1);
        return false;
    }
    *queued = *waiter;
    queued->next = entry->waiters;
    entry->waiters = queued;
    return true;
}

struct engine_waiter *receipts_detach(struct receipt_table *table, struct receipt_entry *entry,
                                      enum svm_wait wait)
{
    struct shard *shard = shard_of(table, hash_of(table, &entry->digest));
    struct engine_waiter *taken = NULL;
    pthread_mutex_lock(&shard->lock);
    for (struct engine_waiter **at = &entry->waiters; *at;) {
        struct engine_waiter *waiter = *at;
        if (waiter->wait <= wait) {
            *at = waiter->next;
            waiter->next = taken;
            taken = waiter;
        } else {
            at = &waiter->next;
        }
    }
    pthread_mutex_unlock(&shard->lock);
    return taken;
}

static struct engine_waiter *take_durable_locked(struct receipt_entry *entry)
{
    struct engine_waiter *taken = NULL;
    for (struct engine_waiter **at = &entry->waiters; *at;) {
        struct engine_waiter *waiter = *at;
        if (waiter->wait < SVM_WAIT_DURABLE) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        waiter->next = taken;
        taken = waiter;
    }
    return taken;
}

struct engine_waiter *receipts_strand(struct receipt_table *table, uint64_t durable,
                                      size_t *shard_at, struct svm_digest *digest_out)
{
    for (; *shard_at < SHARDS; ++*shard_at) {
        struct shard *shard = &table->shards[*shard_at];
        struct engine_waiter *taken = NULL;
        pthread_mutex_lock(&shard->lock);
        for (size_t s = 0; !taken && s <= shard->mask; s++) {
            struct receipt_entry *entry =
                shard->slots[s] > SLOT_REMOVED ? slot_entry(shard->slots[s]) : NULL;
            const struct svm_receipt *receipt = entry ? atomic_load(&entry->receipt) : NULL;
            if (!receipt || receipt->seq <= durable)
                continue;
            taken = take_durable_locked(entry);
            *digest_out = entry->digest;
        }
        pthread_mutex_unlock(&shard->lock);
        if (taken)
            return taken;
    }
    return NULL;
}

void receipts_waiter_free(struct receipt_table *table, struct engine_waiter *waiter)
{
    free(waiter);
    atomic_fetch_sub(&table->waiters, 1);
}

static void unlink_locked(struct shard *shard, uint64_t hash, struct receipt_entry *entry)
{
    uint64_t *slots = shard->slots, wanted = slot_of(entry, hash);
    size_t mask = shard->mask, at = (size_t)hash & mask;
    while (slots[at] != wanted) {
        SVM_ASSERT(slots[at] != 0);
        at = (at + 1) & mask;
    }
    bool last = slots[(at + 1) & mask] == 0; /* nobody probes over it: it may be empty again */
    slots[at] = last ? 0 : SLOT_REMOVED;
    shard->used -= last;
    shard->live--;
}

struct engine_waiter *receipts_refuse(struct receipt_table *table, struct receipt_entry *entry)
{
    uint64_t hash = hash_of(table, &entry->digest);
    struct shard *shard = shard_of(table, hash);
    SVM_ASSERT(atomic_load(&entry->receipt) == NULL);
    pthread_mutex_lock(&shard->lock);
    unlink_locked(shard, hash, entry);
    struct engine_waiter *waiters = entry->waiters;
    pthread_mutex_unlock(&shard->lock);
    pool_give(entry);
    return waiters;
}

/* With what the pool and the table need for it. */
static uint32_t entry_bytes(const struct receipt_entry *entry)
{
    const struct svm_receipt *receipt = atomic_load_explicit(&entry->receipt, memory_order_relaxed);
    const size_t outside = model_receipt_bytes(receipt);
    return (uint32_t)(sizeof *entry + 40 + entry->room_bytes +
                      ((const void *)receipt == entry->room ? 0 : outside));
}

void receipts_line_init(struct receipt_table *table, struct receipt_line *line)
{
    pthread_mutex_init(&line->lock, NULL);
    line->next = table->lines;
    table->lines = line;
}

/* One writer at a time: the holder of the line. */
static void line_grow(struct receipt_line *line, uint64_t bytes)
{
    atomic_store_explicit(&line->bytes,
                          atomic_load_explicit(&line->bytes, memory_order_relaxed) + bytes,
                          memory_order_relaxed);
}

void receipts_finished(struct receipt_line *line, struct receipt_entry *entry)
{
    SVM_ASSERT(atomic_load_explicit(&entry->receipt, memory_order_relaxed) != NULL);
    if (line->tail)
        line->tail->fifo_next = entry;
    else
        line->head = entry;
    line->tail = entry;
    entry->bytes = entry_bytes(entry);
    line_grow(line, entry->bytes);
}

struct receipt_entry *receipts_next_durable(struct receipt_line *line, uint64_t durable)
{
    struct receipt_entry *next = line->walked ? line->walked->fifo_next : line->head;
    if (!next || atomic_load(&next->receipt)->seq > durable)
        return NULL;
    line->walked = next;
    return next;
}

static bool evictable(const struct receipt_entry *entry, uint64_t materialised, bool memory_mode,
                      uint64_t now_ms)
{
    if (memory_mode)
        return entry->expires_ms < now_ms; /* 0 too: its exact input has moved on */
    return atomic_load(&entry->receipt)->seq <= materialised;
}

/* Takes ENTRY, the head of LINE, out of the table. False = somebody waits for its durability. */
static bool forget(struct receipt_table *table, struct receipt_entry *entry)
{
    uint64_t hash = hash_of(table, &entry->digest);
    struct shard *shard = shard_of(table, hash);
    pthread_mutex_lock(&shard->lock);
    bool waited_for = entry->waiters != NULL;
    if (!waited_for) {
        /* Up before it goes: see `enter` in worker.c. */
        uint64_t seen = atomic_load_explicit(&table->evicted_expires, memory_order_relaxed);
        while (entry->expires_ms > seen &&
               !atomic_compare_exchange_weak(&table->evicted_expires, &seen, entry->expires_ms))
            ;
        unlink_locked(shard, hash, entry);
    }
    pthread_mutex_unlock(&shard->lock);
    return !waited_for;
}

/* One step ahead of forgetting, in two passes: the lock, then what the lock guards. */
static void look_ahead(struct receipt_table *table, struct receipt_entry *ahead[2], bool both)
{
    if (ahead[0]) {
        receipts_prefetch_lock(table, &ahead[0]->digest);
        ahead[0] = ahead[0]->fifo_next;
        if (ahead[0]) {
            __builtin_prefetch(ahead[0], 1);
            __builtin_prefetch((const uint8_t *)ahead[0] + offsetof(struct receipt_entry, bytes));
        }
    }
    if (both && ahead[1]) {
        receipts_prefetch(table, &ahead[1]->digest);
        ahead[1] = ahead[1]->fifo_next;
    }
}

void receipts_evict(struct receipt_table *table, struct receipt_line *line, uint64_t bytes_max,
                    uint64_t materialised, bool memory_mode, uint64_t now_ms)
{
    uint64_t held = receipts_bytes(table);
    struct receipt_entry *ahead[2] = {line->head,
                                      line->head}; /* its lock is asked for; its slot too */
    for (uint32_t i = 0; held > bytes_max && i < 8; i++)
        look_ahead(table, ahead, i >= 4);
    while (held > bytes_max && line->head) {
        struct receipt_entry *entry = line->head;
        /* With a disk the last one walked stays: it is the cursor. */
        if (!memory_mode && (!line->walked || entry == line->walked))
            return;
        if (!evictable(entry, materialised, memory_mode, now_ms) || !forget(table, entry))
            return;
        look_ahead(table, ahead, true);
        line->head = entry->fifo_next;
        if (!line->head)
            line->tail = NULL;
        uint64_t bytes = entry->bytes;
        held -= bytes < held ? bytes : held;
        line_grow(line, 0 - bytes);
        entry_free(entry);
    }
}

uint64_t receipts_evicted_expires(const struct receipt_table *table)
{
    return atomic_load(&table->evicted_expires);
}

uint64_t receipts_bytes(const struct receipt_table *table)
{
    uint64_t bytes = 0;
    for (const struct receipt_line *line = table->lines; line; line = line->next)
        bytes += atomic_load_explicit(&line->bytes, memory_order_relaxed);
    return bytes;
}

uint32_t receipts_waiters(const struct receipt_table *table)
{
    return atomic_load_explicit(&table->waiters, memory_order_acquire); /* drain: they were told */
}
