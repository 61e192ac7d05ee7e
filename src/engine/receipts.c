#include "engine/internal.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/pages.h"

/*~ The table of digests: buckets of one cache line, so that a digest is looked for, entered and taken out where its lock is.
 *
 *     bucket:  next | slot slot slot slot slot slot slot     `next`: bit 0 is the lock, the rest the address of a further line
 *     line:    next | slot ..                                of entries that found no slot, in no order
 *
 * A slot is 0 (empty), or 16 bits of the hash above the 48 of an entry's address, so that an entry is looked into only when it is very likely the one.
 * There are as many buckets for good as make a second line rare while what is kept stays within tx.dedupe_bytes, or in memory mode within half of
 * what is allowed there; at its whole two buckets in five have one. Further lines come and go with their entries. */
enum { SLOTS = 7, BUCKET_ENTRIES = 3, BUCKETS_MIN = 1 << 10, BUCKETS_MAX = 1 << 28 };
#define LOCKED       UINT64_C(1)
#define SLOT_ADDRESS UINT64_C(0xffffffffffff)

__extension__ typedef unsigned __int128 wide;

struct bucket {
    _Alignas(64) _Atomic uint64_t next; /* written under the lock */
    uint64_t slots[SLOTS];
};
_Static_assert(sizeof(struct bucket) == 64, "one line: with the lock comes what it guards");

struct receipt_table {
    struct bucket *buckets; /* pages of their own: most are never touched */
    uint64_t bucket_count;
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

/* By the upper bits; the lowest are in the slots. */
static struct bucket *bucket_of(const struct receipt_table *table, uint64_t hash)
{
    return &table->buckets[(uint64_t)((wide)hash * table->bucket_count >> 64)];
}

static struct receipt_entry *slot_entry(uint64_t slot)
{
    return (struct receipt_entry *)(uintptr_t)(slot & SLOT_ADDRESS);
}

static uint64_t slot_of(const struct receipt_entry *entry, uint64_t hash)
{
    uint64_t address = (uint64_t)(uintptr_t)entry;
    SVM_ASSERT(address >> 48 == 0);
    return hash << 48 | address;
}

/* The line behind LINE of a bucket, or NULL. */
static struct bucket *line_behind(const struct bucket *line)
{
    uint64_t next = atomic_load_explicit(&line->next, memory_order_relaxed);
    return (struct bucket *)(uintptr_t)(next & ~LOCKED);
}

static void line_set_behind(struct bucket *line, const struct bucket *behind)
{
    uint64_t lock = atomic_load_explicit(&line->next, memory_order_relaxed) & LOCKED;
    atomic_store_explicit(&line->next, (uint64_t)(uintptr_t)behind | lock, memory_order_relaxed);
}

/* Who holds a lock lets it go within a microsecond, unless it has lost its processor, perhaps to this thread, or waits for malloc. */
static void back_off(unsigned tries)
{
    enum { SPINS = 100, YIELDS = 8, SLEEP_NS = 50000 };
    if (tries < SPINS) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    } else if (tries < SPINS + YIELDS) {
        sched_yield();
    } else {
        nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
    }
}

static void bucket_lock(struct bucket *bucket)
{
    unsigned tries = 0;
    while (atomic_fetch_or_explicit(&bucket->next, LOCKED, memory_order_acquire) & LOCKED)
        do
            back_off(tries++);
        while (atomic_load_explicit(&bucket->next, memory_order_relaxed) & LOCKED);
}

static void bucket_unlock(struct bucket *bucket)
{
    uint64_t next = atomic_load_explicit(&bucket->next, memory_order_relaxed);
    atomic_store_explicit(&bucket->next, next & ~LOCKED, memory_order_release);
}

struct receipt_table *receipts_create(uint64_t entries, uint32_t waiters_max)
{
    struct receipt_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    uint64_t count = entries / BUCKET_ENTRIES;
    table->bucket_count = count < BUCKETS_MIN   ? BUCKETS_MIN
                          : count > BUCKETS_MAX ? BUCKETS_MAX
                                                : count;
    table->waiters_max = waiters_max;
    rng_os(&table->seed, sizeof table->seed);
    /* Buckets are met in no order: with small pages nearly each of a large table's is one the processor has to look up in memory. */
    table->buckets = pages_take_large(table->bucket_count * sizeof *table->buckets);
    if (!table->buckets) {
        free(table);
        return NULL;
    }
    return table;
}

/* ---- what is kept of a receipt ---------------------------------------------------------------------------------- */

static struct svm_receipt *whole_of(const struct receipt_entry *entry)
{
    struct svm_receipt *receipt = NULL;
    if (entry->whole)
        memcpy(&receipt, entry->room, sizeof receipt);
    return receipt;
}

bool receipts_keep(struct receipt_entry *entry, struct pool *pool,
                   const struct model_effects *effects)
{
    if (model_receipt_pack(entry->room, entry->room_bytes, effects))
        return true;
    void *memory = pool_take(pool, model_receipt_need(effects));
    if (!memory)
        return false;
    struct svm_receipt *receipt = model_receipt_make(memory, effects);
    memcpy(entry->room, &receipt, sizeof receipt);
    entry->whole = true;
    return true;
}

void receipts_let_go(struct receipt_entry *entry)
{
    pool_give(whole_of(entry));
    entry->whole = false;
}

void receipts_publish(struct receipt_entry *entry, uint64_t seq)
{
    if (entry->whole)
        whole_of(entry)->seq = seq;
    atomic_store_explicit(&entry->seq, seq, memory_order_release);
}

const struct svm_receipt *receipts_read(const struct receipt_entry *entry,
                                        struct model_receipt_space *space)
{
    uint64_t seq = receipts_seq(entry);
    if (seq == 0)
        return NULL;
    return entry->whole ? whole_of(entry)
                        : model_receipt_unpack(space, entry->room, &entry->digest, seq);
}

/* POOL is this thread's, or NULL. */
static void entry_free(struct receipt_entry *entry, struct pool *pool)
{
    receipts_let_go(entry);
    pool_give_own(pool, entry);
}

static void entry_drop(struct receipt_entry *entry)
{
    while (entry->waiters) {
        struct engine_waiter *waiter = entry->waiters;
        entry->waiters = waiter->next;
        free(waiter);
    }
    entry_free(entry, NULL);
}

void receipts_destroy(struct receipt_table *table)
{
    if (!table)
        return;
    for (uint64_t i = 0; i < table->bucket_count; i++)
        for (struct bucket *line = &table->buckets[i], *behind; line; line = behind) {
            behind = line_behind(line);
            for (size_t k = 0; k < SLOTS; k++)
                if (line->slots[k])
                    entry_drop(slot_entry(line->slots[k]));
            if (line != &table->buckets[i])
                free(line);
        }
    pages_give(table->buckets, table->bucket_count * sizeof *table->buckets);
    free(table);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* The slot of DIGEST, or NULL; EMPTY_OUT (may be NULL): where it may be put, or NULL. */
static uint64_t *lookup(struct bucket *bucket, uint64_t hash, const struct svm_digest *digest,
                        uint64_t **empty_out)
{
    uint64_t *empty = NULL;
    for (struct bucket *line = bucket; line; line = line_behind(line))
        for (size_t i = 0; i < SLOTS; i++) {
            uint64_t *slot = &line->slots[i];
            if (*slot == 0)
                empty = empty ? empty : slot;
            else if (*slot >> 48 == (hash & 0xffff) &&
                     memcmp(slot_entry(*slot)->digest.b, digest->b, sizeof digest->b) == 0)
                return slot;
        }
    if (empty_out)
        *empty_out = empty;
    return NULL;
}

/* An empty slot in a further line; NULL = no memory. */
static uint64_t *line_add(struct bucket *bucket)
{
    struct bucket *line = aligned_alloc(sizeof *line, sizeof *line);
    if (!line)
        return NULL;
    memset(line, 0, sizeof *line);
    line_set_behind(line, line_behind(bucket));
    line_set_behind(bucket, line);
    return &line->slots[0];
}

/* A guess that is too large costs memory for as long as the receipt is kept. */
enum { ROOM_MAX = 512 };

enum receipts_enter_result receipts_enter(struct receipt_table *table, struct pool *pool,
                                          const struct svm_digest *digest, uint64_t expires_ms,
                                          size_t room, struct receipt_entry **entry_out)
{
    const size_t room_bytes = room > ROOM_MAX                       ? sizeof(struct svm_receipt *)
                              : room < sizeof(struct svm_receipt *) ? sizeof(struct svm_receipt *)
                                                                    : room;
    struct receipt_entry *fresh = pool_take(pool, sizeof *fresh + room_bytes);
    if (!fresh)
        return RECEIPTS_NO_MEMORY;
    /* The receipt is written under claims, each of which waits for what was written before it. */
    for (size_t at = 64; at < sizeof *fresh + room_bytes; at += 64)
        __builtin_prefetch((const uint8_t *)fresh + at, 1);
    *fresh = (struct receipt_entry){
        .digest = *digest, .expires_ms = expires_ms, .room_bytes = (uint16_t)room_bytes};

    uint64_t hash = hash_of(table, digest), *empty = NULL;
    struct bucket *bucket = bucket_of(table, hash);
    bucket_lock(bucket);
    uint64_t *slot = lookup(bucket, hash, digest, &empty);
    if (slot && !FAULT_BUG("dedupe-skip")) {
        pool_give_own(pool, fresh);
        *entry_out = slot_entry(*slot);
        return RECEIPTS_FOUND;
    }
    if (!empty)
        empty = line_add(bucket);
    if (empty)
        *empty = slot_of(fresh, hash);
    bucket_unlock(bucket);
    if (!empty) {
        pool_give_own(pool, fresh);
        return RECEIPTS_NO_MEMORY;
    }
    *entry_out = fresh;
    return RECEIPTS_ENTERED;
}

struct receipt_entry *receipts_find(struct receipt_table *table, const struct svm_digest *digest)
{
    uint64_t hash = hash_of(table, digest);
    struct bucket *bucket = bucket_of(table, hash);
    bucket_lock(bucket);
    uint64_t *slot = lookup(bucket, hash, digest, NULL);
    if (slot)
        return slot_entry(*slot);
    bucket_unlock(bucket);
    return NULL;
}

static struct bucket *entry_bucket(const struct receipt_table *table,
                                   const struct receipt_entry *entry)
{
    return bucket_of(table, hash_of(table, &entry->digest));
}

void receipts_unlock(struct receipt_table *table, struct receipt_entry *entry)
{
    bucket_unlock(entry_bucket(table, entry));
}

void receipts_await(struct receipt_entry *entry)
{
    atomic_store_explicit(&entry->awaited, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

void receipts_prefetch(struct receipt_table *table, const struct svm_digest *digest)
{
    __builtin_prefetch(bucket_of(table, hash_of(table, digest)), 1);
}

void receipts_prefetch_behind(struct receipt_table *table, const struct svm_digest *digest)
{
    const struct bucket *behind = line_behind(bucket_of(table, hash_of(table, digest)));
    if (behind)
        __builtin_prefetch(behind, 1);
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
    struct bucket *bucket = entry_bucket(table, entry);
    struct engine_waiter *taken = NULL;
    bucket_lock(bucket);
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
    bucket_unlock(bucket);
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

/* Of one transaction in LINE and those behind it, which are locked. */
static struct engine_waiter *strand_locked(const struct bucket *line, uint64_t durable,
                                           struct svm_digest *digest_out)
{
    struct engine_waiter *taken = NULL;
    for (; line && !taken; line = line_behind(line))
        for (size_t i = 0; i < SLOTS && !taken; i++) {
            struct receipt_entry *entry = slot_entry(line->slots[i]);
            if (!entry || receipts_seq(entry) <= durable)
                continue;
            taken = take_durable_locked(entry);
            *digest_out = entry->digest;
        }
    return taken;
}

struct engine_waiter *receipts_strand(struct receipt_table *table, uint64_t durable,
                                      size_t *bucket_at, struct svm_digest *digest_out)
{
    for (; *bucket_at < table->bucket_count; ++*bucket_at) {
        struct bucket *bucket = &table->buckets[*bucket_at];
        bucket_lock(bucket);
        struct engine_waiter *taken = strand_locked(bucket, durable, digest_out);
        bucket_unlock(bucket);
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

/* Returns the line that nothing is left in, which is the caller's, or NULL. */
static struct bucket *unlink_locked(struct bucket *bucket, uint64_t hash,
                                    const struct receipt_entry *entry)
{
    uint64_t wanted = slot_of(entry, hash), others = 0;
    struct bucket *line = bucket, *before = NULL;
    size_t i = 0;
    while (line->slots[i] != wanted)
        if (++i == SLOTS) {
            before = line;
            line = line_behind(line);
            i = 0;
            SVM_ASSERT(line);
        }
    line->slots[i] = 0;
    for (i = 0; i < SLOTS; i++)
        others |= line->slots[i];
    if (!before || others)
        return NULL;
    line_set_behind(before, line_behind(line));
    return line;
}

struct engine_waiter *receipts_refuse(struct receipt_table *table, struct receipt_entry *entry)
{
    uint64_t hash = hash_of(table, &entry->digest);
    struct bucket *bucket = bucket_of(table, hash);
    SVM_ASSERT(receipts_seq(entry) == 0);
    bucket_lock(bucket);
    struct bucket *left = unlink_locked(bucket, hash, entry);
    struct engine_waiter *waiters = entry->waiters;
    bucket_unlock(bucket);
    free(left);
    entry_free(entry, NULL);
    return waiters;
}

/* With what the pool and the table need for it. */
static uint32_t entry_bytes(const struct receipt_entry *entry)
{
    const size_t outside = entry->whole ? model_receipt_bytes(whole_of(entry)) + 16 : 0;
    return (uint32_t)(sizeof *entry + 40 + entry->room_bytes + outside);
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

unsigned receipts_class(const struct receipt_entry *entry, uint64_t now_ms)
{
    /* Each is eight times as long as the one before, so that who stands behind another waits no longer than about eight times its own life. */
    enum { SHORT_MS = 1 << 12, MIDDLE_MS = 1 << 15, LONG_MS = 1 << 18 };
    if (entry->expires_ms == 0)
        return 0;
    const uint64_t life = entry->expires_ms > now_ms ? entry->expires_ms - now_ms : 0;
    return life <= SHORT_MS ? 1 : life <= MIDDLE_MS ? 2 : life <= LONG_MS ? 3 : 4;
}

void receipts_finished(struct receipt_line *line, struct receipt_entry *entry, unsigned class)
{
    struct receipt_queue *queue = &line->queues[class];
    struct receipt_lane *lane = &queue->lanes[queue->joined++ % RECEIPT_LANES];
    SVM_ASSERT(receipts_seq(entry) != 0);
    if (lane->head)
        lane->tail->fifo_next = entry;
    else
        lane->head = entry;
    if (!lane->walk)
        lane->walk = entry;
    lane->tail = entry;
    entry->bytes = entry_bytes(entry);
    line->fresh++;
    line_grow(line, entry->bytes);
}

struct receipt_entry *receipts_next_durable(struct receipt_line *line, uint64_t durable)
{
    struct receipt_queue *queue = &line->queues[0];
    struct receipt_lane *lane = &queue->lanes[queue->walked % RECEIPT_LANES];
    struct receipt_entry *next = lane->walk;
    if (queue->walked == queue->joined || receipts_seq(next) > durable)
        return NULL;
    lane->walk = next->fifo_next;
    queue->walked++;
    return next;
}

static bool evictable(const struct receipt_entry *entry, const struct receipt_limits *limits)
{
    if (limits->memory_mode)
        return entry->expires_ms < limits->now_ms; /* 0 too: its exact input has moved on */
    return receipts_seq(entry) <= limits->materialised;
}

/* Takes ENTRY, the oldest of its queue, out of the table. False = somebody waits for its durability. */
static bool forget(struct receipt_table *table, struct receipt_entry *entry)
{
    uint64_t hash = hash_of(table, &entry->digest);
    struct bucket *bucket = bucket_of(table, hash), *left = NULL;
    bucket_lock(bucket);
    bool waited_for = entry->waiters != NULL;
    if (!waited_for) {
        /* Up before it goes: see `enter` in worker.c. */
        uint64_t seen = atomic_load_explicit(&table->evicted_expires, memory_order_relaxed);
        while (entry->expires_ms > seen &&
               !atomic_compare_exchange_weak(&table->evicted_expires, &seen, entry->expires_ms))
            ;
        left = unlink_locked(bucket, hash, entry);
    }
    bucket_unlock(bucket);
    free(left);
    return !waited_for;
}

/* The bucket of the entry that is to be forgotten AHEAD after the oldest. */
static void look_ahead(struct receipt_table *table, const struct receipt_queue *queue,
                       uint64_t ahead)
{
    const struct receipt_entry *entry = queue->lanes[(queue->left + ahead) % RECEIPT_LANES].head;
    if (entry)
        receipts_prefetch(table, &entry->digest);
}

/* What is still to be forgotten: while more than bytes_max are HELD, and no more than MOST. */
struct forgetting {
    struct receipt_table *table;
    struct receipt_line *line;
    struct pool *pool;
    const struct receipt_limits *limits;
    uint64_t held, down_to; /* bytes of all lines */
    uint64_t most;
};

static bool too_much(const struct forgetting *f)
{
    return f->held > f->down_to;
}

/* True = there is more in QUEUE that may be forgotten. */
static bool queue_evict(struct forgetting *f, struct receipt_queue *queue, uint64_t end)
{
    enum { AHEAD = RECEIPT_LANES / 2 };
    if (!too_much(f) || queue->left >= end ||
        (f->limits->memory_mode && f->limits->now_ms < queue->until_ms))
        return false;
    for (uint64_t i = 0; i < AHEAD; i++)
        look_ahead(f->table, queue, i);
    for (; too_much(f) && queue->left < end; queue->left++, f->most--) {
        struct receipt_lane *lane = &queue->lanes[queue->left % RECEIPT_LANES];
        struct receipt_entry *entry = lane->head, *next = entry->fifo_next;
        look_ahead(f->table, queue, AHEAD);
        if (!evictable(entry, f->limits)) {
            queue->until_ms = entry->expires_ms;
            return false;
        }
        if (f->most == 0)
            return true;
        if (!forget(f->table, entry))
            return false;
        lane->head = next;
        if (next) {
            __builtin_prefetch(next, 1);
            __builtin_prefetch(&next->bytes);
        }
        uint64_t bytes = entry->bytes;
        f->held -= bytes < f->held ? bytes : f->held;
        line_grow(f->line, 0 - bytes);
        entry_free(entry, f->pool);
    }
    return false;
}

/* The last ones that an exact input guards stay for a while: if they are small, no more than half of what may stay at all, in all lines together. */
static uint64_t guarded_end(const struct receipt_queue *queue, const struct receipt_limits *limits)
{
    enum { LINES = 32 };
    const uint64_t kept = limits->bytes_max / ((uint64_t)LINES * RECEIPT_BYTES);
    return queue->joined > kept ? queue->joined - kept : 0;
}

bool receipts_evict(struct receipt_table *table, struct receipt_line *line, struct pool *pool,
                    const struct receipt_limits *limits)
{
    struct forgetting f = {.table = table, .line = line, .pool = pool, .limits = limits};
    bool more = false;
    f.held = receipts_bytes(table);
    f.down_to = limits->bytes_max;
    f.most = limits->most + 2 * line->fresh;
    line->fresh = 0;
    if (!limits->memory_mode)
        return queue_evict(&f, &line->queues[0], line->queues[0].walked);
    for (struct receipt_queue *queue = line->queues + 1; queue < line->queues + RECEIPT_CLASSES;
         queue++)
        more |= queue_evict(&f, queue, queue->joined);
    more |= queue_evict(&f, &line->queues[0], guarded_end(&line->queues[0], limits));
    /* Whatever they weigh, and whatever else there is: they never expire, and a node that has no room takes nothing that would move them on. */
    f.down_to = RECEIPTS_MEMORY_FACTOR / 2 * limits->bytes_max;
    more |= queue_evict(&f, &line->queues[0], line->queues[0].joined);
    return more;
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

uint64_t receipts_table_bytes(const struct receipt_table *table)
{
    return table->bucket_count * sizeof(struct bucket);
}

uint32_t receipts_waiters(const struct receipt_table *table)
{
    return atomic_load_explicit(&table->waiters, memory_order_acquire); /* drain: they were told */
}
