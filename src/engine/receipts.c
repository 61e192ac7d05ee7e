#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

enum { SHARDS = 256, BUCKETS_MIN = 64 };

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    /* Written under the lock; atomic because a prefetch computes an address from them without it. */
    _Atomic(struct receipt_entry **) buckets;
    _Atomic size_t bucket_count;
    size_t entry_count;
};

struct receipt_table {
    struct shard shards[SHARDS];
    struct receipt_entry *fifo_head, *fifo_tail; /* C only */
    struct receipt_entry *walked; /* C only: last one given by receipts_next_durable */
    _Atomic uint64_t bytes;
    _Atomic uint64_t evicted_expires;
    _Atomic uint32_t waiters;
    uint32_t waiters_max;
};

/* Digests are SHA-256 outputs: any eight bytes of them are a hash. */
static size_t hash_of(const struct svm_digest *digest)
{
    uint64_t h;
    memcpy(&h, digest->b + 8, sizeof h);
    return (size_t)h;
}

static struct shard *shard_of(struct receipt_table *table, const struct svm_digest *digest)
{
    return &table->shards[digest->b[0] % SHARDS];
}

struct receipt_table *receipts_create(uint32_t waiters_max)
{
    struct receipt_table *table = aligned_alloc(64, (sizeof *table + 63) / 64 * 64);
    if (!table)
        return NULL;
    memset(table, 0, sizeof *table);
    table->waiters_max = waiters_max;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&table->shards[i].lock, NULL);
        table->shards[i].bucket_count = BUCKETS_MIN;
        table->shards[i].buckets = calloc(BUCKETS_MIN, sizeof *table->shards[i].buckets);
        if (!table->shards[i].buckets) {
            receipts_destroy(table);
            return NULL;
        }
    }
    return table;
}

static void entry_free(struct receipt_entry *entry)
{
    pool_give(atomic_load(&entry->receipt));
    pool_give(entry);
}

void receipts_destroy(struct receipt_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &table->shards[i];
        for (size_t b = 0; shard->buckets && b < shard->bucket_count; b++)
            while (shard->buckets[b]) {
                struct receipt_entry *entry = shard->buckets[b];
                shard->buckets[b] = entry->next;
                while (entry->waiters) {
                    struct engine_waiter *waiter = entry->waiters;
                    entry->waiters = waiter->next;
                    free(waiter);
                }
                entry_free(entry);
            }
        free(shard->buckets);
        pthread_mutex_destroy(&shard->lock);
    }
    free(table);
}

static struct receipt_entry *lookup(const struct shard *shard, const struct svm_digest *digest)
{
    struct receipt_entry *entry = shard->buckets[hash_of(digest) & (shard->bucket_count - 1)];
    while (entry && memcmp(entry->digest.b, digest->b, sizeof digest->b) != 0)
        entry = entry->next;
    return entry;
}

/* Doubles the buckets; without memory the chains only get longer. */
static void grow(struct shard *shard)
{
    size_t count = shard->bucket_count * 2;
    struct receipt_entry **buckets = calloc(count, sizeof *buckets);
    if (!buckets)
        return;
    for (size_t b = 0; b < shard->bucket_count; b++)
        while (shard->buckets[b]) {
            struct receipt_entry *entry = shard->buckets[b];
            shard->buckets[b] = entry->next;
            size_t to = hash_of(&entry->digest) & (count - 1);
            entry->next = buckets[to];
            buckets[to] = entry;
        }
    free(shard->buckets);
    shard->buckets = buckets;
    shard->bucket_count = count;
}

enum receipts_enter_result receipts_enter(struct receipt_table *table, struct pool *pool,
                                          const struct svm_digest *digest, uint64_t expires_ms,
                                          struct receipt_entry **entry_out)
{
    struct receipt_entry *fresh = pool_take(pool, sizeof *fresh);
    if (!fresh)
        return RECEIPTS_NO_MEMORY;
    *fresh = (struct receipt_entry){.digest = *digest, .expires_ms = expires_ms};

    struct shard *shard = shard_of(table, digest);
    pthread_mutex_lock(&shard->lock);
    struct receipt_entry *entry = lookup(shard, digest);
    if (entry) {
        pool_give(fresh);
        *entry_out = entry;
        return RECEIPTS_FOUND;
    }
    if (shard->entry_count >= shard->bucket_count)
        grow(shard);
    size_t b = hash_of(digest) & (shard->bucket_count - 1);
    fresh->next = shard->buckets[b];
    shard->buckets[b] = fresh;
    shard->entry_count++;
    pthread_mutex_unlock(&shard->lock);
    *entry_out = fresh;
    return RECEIPTS_ENTERED;
}

struct receipt_entry *receipts_find(struct receipt_table *table, const struct svm_digest *digest)
{
    struct shard *shard = shard_of(table, digest);
    pthread_mutex_lock(&shard->lock);
    struct receipt_entry *entry = lookup(shard, digest);
    if (!entry)
        pthread_mutex_unlock(&shard->lock);
    return entry;
}

void receipts_unlock(struct receipt_table *table, struct receipt_entry *entry)
{
    pthread_mutex_unlock(&shard_of(table, &entry->digest)->lock);
}

void receipts_await(struct receipt_entry *entry)
{
    atomic_store_explicit(&entry->awaited, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

void receipts_prefetch(struct receipt_table *table, const struct svm_digest *digest)
{
    struct shard *shard = shard_of(table, digest);
    struct receipt_entry **buckets = atomic_load_explicit(&shard->buckets, memory_order_relaxed);
    size_t count = atomic_load_explicit(&shard->bucket_count, memory_order_relaxed);
    __builtin_prefetch((const uint8_t *)buckets +
                       (hash_of(digest) & (count - 1)) * sizeof *buckets);
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
    struct shard *shard = shard_of(table, &entry->digest);
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

void receipts_waiter_free(struct receipt_table *table, struct engine_waiter *waiter)
{
    free(waiter);
    atomic_fetch_sub(&table->waiters, 1);
}

static void unlink_locked(struct shard *shard, struct receipt_entry *entry)
{
    struct receipt_entry **at =
        &shard->buckets[hash_of(&entry->digest) & (shard->bucket_count - 1)];
    while (*at != entry) {
        SVM_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = entry->next;
    shard->entry_count--;
}

struct engine_waiter *receipts_refuse(struct receipt_table *table, struct receipt_entry *entry)
{
    struct shard *shard = shard_of(table, &entry->digest);
    SVM_ASSERT(atomic_load(&entry->receipt) == NULL);
    pthread_mutex_lock(&shard->lock);
    unlink_locked(shard, entry);
    struct engine_waiter *waiters = entry->waiters;
    pthread_mutex_unlock(&shard->lock);
    pool_give(entry);
    return waiters;
}

static uint64_t entry_bytes(const struct receipt_entry *entry)
{
    return sizeof *entry + 32 + model_receipt_bytes(atomic_load(&entry->receipt));
}

void receipts_finished(struct receipt_table *table, struct receipt_entry *entry)
{
    SVM_ASSERT(atomic_load(&entry->receipt) != NULL);
    if (table->fifo_tail)
        table->fifo_tail->fifo_next = entry;
    else
        table->fifo_head = entry;
    table->fifo_tail = entry;
    atomic_fetch_add_explicit(&table->bytes, entry_bytes(entry), memory_order_relaxed);
}

struct receipt_entry *receipts_next_durable(struct receipt_table *table, uint64_t durable)
{
    struct receipt_entry *next = table->walked ? table->walked->fifo_next : table->fifo_head;
    if (!next || atomic_load(&next->receipt)->seq > durable)
        return NULL;
    table->walked = next;
    return next;
}

static bool evictable(const struct receipt_entry *entry, uint64_t materialised, bool memory_mode,
                      uint64_t now_ms)
{
    if (memory_mode)
        return entry->expires_ms < now_ms; /* 0 too: its exact input has moved on */
    return atomic_load(&entry->receipt)->seq <= materialised;
}

void receipts_evict(struct receipt_table *table, uint64_t bytes_max, uint64_t materialised,
                    bool memory_mode, uint64_t now_ms)
{
    /* The last one walked stays: it is the cursor. */
    while (table->walked && table->fifo_head != table->walked &&
           atomic_load_explicit(&table->bytes, memory_order_relaxed) > bytes_max) {
        struct receipt_entry *entry = table->fifo_head;
        struct shard *shard = shard_of(table, &entry->digest);
        if (!evictable(entry, materialised, memory_mode, now_ms))
            return;
        pthread_mutex_lock(&shard->lock);
        if (entry->waiters) { /* somebody waits for its durability */
            pthread_mutex_unlock(&shard->lock);
            return;
        }
        if (entry->expires_ms > atomic_load(&table->evicted_expires))
            atomic_store(&table->evicted_expires, entry->expires_ms);
        unlink_locked(shard, entry);
        table->fifo_head = entry->fifo_next;
        pthread_mutex_unlock(&shard->lock);
        atomic_fetch_sub_explicit(&table->bytes, entry_bytes(entry), memory_order_relaxed);
        entry_free(entry);
    }
}

uint64_t receipts_evicted_expires(const struct receipt_table *table)
{
    return atomic_load(&table->evicted_expires);
}

uint64_t receipts_bytes(const struct receipt_table *table)
{
    return atomic_load_explicit(&table->bytes, memory_order_relaxed);
}

uint32_t receipts_waiters(const struct receipt_table *table)
{
    return atomic_load_explicit(&table->waiters, memory_order_relaxed);
}
