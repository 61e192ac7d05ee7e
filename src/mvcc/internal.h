/* mvcc/internal.h - what the files of the mvcc room share. The door is mvcc.h.
 *
 *      struct mvcc ---- tables[2] ---- shards[256] ---- array of slots ---- head ---- version ---- version
 *         |  |  `------ sequence: next, applied, hand-over slots                      (versions and heads are blocks with
 *         |  `--------- pins, pending floor, floor                                     a word that becomes a link)
 *         `------------ threads: reclamation record, free blocks, counters
 *
 * Lock order: a shard's mutex, then the domain's. No claim is taken while a mutex is held but in collect.c (an attempt, never a wait).
 */
#ifndef MVCC_INTERNAL_H
#define MVCC_INTERNAL_H

#include "mvcc/mvcc.h"

#include <pthread.h>
#include <stddef.h>

#include "base/qsbr.h"
#include "base/slab.h"

/* ---- blocks ------------------------------------------------------------------------------------------------- */

/* The link that qsbr_retire needs is the first word of each block, and the kind in its low three bits says so to those who still look there:
 * a head that is retired reads DEAD, as it did before; a version that is retired has some of MVCC_OLDER_LEFT in `older`, and whoever was on his
 * way through it starts from the head again (mvcc_read_at). */
enum mvcc_block_kind {
    MVCC_BLOCK_PLAIN, /* one malloc that begins with its link: floors */
    MVCC_BLOCK_VERSION,
    MVCC_BLOCK_ARRAY, /* of the index: knows its size */
    MVCC_BLOCK_HEAD = MVCC_DEAD
};

static inline struct qsbr_entry *mvcc_version_entry(struct mvcc_version *version)
{
    return (struct qsbr_entry *)(void *)version;
}

static inline struct qsbr_entry *mvcc_head_entry(struct mvcc_head *head)
{
    return (struct qsbr_entry *)(void *)head;
}

static inline size_t mvcc_version_block_bytes(uint32_t size)
{
    return offsetof(struct mvcc_version, payload) + size;
}

static inline size_t mvcc_head_block_bytes(size_t key_len)
{
    return offsetof(struct mvcc_head, key) + key_len;
}

_Static_assert(offsetof(struct mvcc_version, older) == 0, "begins with its link");
_Static_assert(offsetof(struct mvcc_version, payload) == 16, "two words");
_Static_assert(MVCC_OLDER_BITS == QSBR_LINK_BITS, "the size stays when a version is retired");
_Static_assert(offsetof(struct mvcc_head, state) == 0, "begins with its link");
_Static_assert(sizeof(uintptr_t) == sizeof(uint64_t), "a link is as wide as a state word");

/* What a block of BYTES takes: a slab's, or malloc's with a word beside it, in steps of 16. This is what counts towards cache_bytes. */
static inline uint64_t mvcc_block_bytes(size_t bytes)
{
    return bytes <= SLAB_BYTES_MAX ? slab_bytes(bytes) : ((uint64_t)bytes + 8 + 15) & ~(uint64_t)15;
}

enum { MVCC_SLOT_BYTES_PER_HEAD = 11 }; /* 8-byte slots of the index, 5/8 to 13/16 of them in use */

static inline uint64_t mvcc_version_bytes(const struct mvcc_version *version)
{
    return mvcc_block_bytes(mvcc_version_block_bytes(mvcc_version_size(version)));
}

static inline uint64_t mvcc_head_bytes(const struct mvcc_head *head)
{
    return mvcc_block_bytes(mvcc_head_block_bytes(head->key_len)) + MVCC_SLOT_BYTES_PER_HEAD;
}

/* ---- state words -------------------------------------------------------------------------------------------- */

#define MVCC_CLAIM       8u /* a transaction's */
#define MVCC_MAINTENANCE 16u

static inline uint64_t mvcc_state_of(enum mvcc_status status, uint64_t version)
{
    return version << 5 | (uint64_t)status;
}

/* mvcc_aborted_next: the head behind HEAD in table->aborted. */
static inline struct mvcc_head *mvcc_aborted_next(const struct mvcc_head *head)
{
    return (struct mvcc_head *)(uintptr_t)(mvcc_state(head) & ~(uint64_t)7);
}

/* holds: a head that is being evicted or was aborted carries this bit and can gain no more holds. */
#define MVCC_HOLDS_CLOSED 0x80000000u

/* ---- index (index.c) ---------------------------------------------------------------------------------------- */

enum { MVCC_SHARD_BITS = 8, MVCC_HASH_WORDS = 10 };
_Static_assert(MVCC_SHARDS == 1u << MVCC_SHARD_BITS, "the door says how many shards there are");

/* Open addressing by cache lines of eight slots: a key is in the line where its place says, or, if that was full, in the next one. A slot is
 * 0 (empty), 1 (removed), or 16 bits of the hash above the 48 of a head's address. A probe ends with a line that has an empty slot; a line that
 * once had none never has one again, so that what went past it is found. */
struct mvcc_array {
    struct qsbr_entry entry;
    uint32_t lines;
    _Alignas(64) _Atomic uint64_t slots[];
};
enum { MVCC_ARRAY_ALIGN = 128, MVCC_LINE_SLOTS = 8, MVCC_SLOT_EMPTY = 0, MVCC_SLOT_REMOVED = 1 };
struct mvcc_shard {
    /* The array, and in the low bits its size class: who only prefetches needs not look into it. */
    _Alignas(64) _Atomic uintptr_t array_word;
    uint32_t live; /* heads; these and the mutex: writers only */
    uint32_t used; /* slots that are not empty */
    pthread_mutex_t mutex;
};

static inline const struct mvcc_array *mvcc_shard_array(const struct mvcc_shard *shard)
{
    uintptr_t word = atomic_load_explicit(&shard->array_word, memory_order_acquire);
    return (const struct mvcc_array *)(word & ~(uintptr_t)(MVCC_ARRAY_ALIGN - 1));
}

/* mvcc_array_lines: of SIZE_CLASS: four classes to a doubling. The line in front of them is the array's own: together they fill whole pages,
 * once there are some. */
static inline uint32_t mvcc_array_lines(uint32_t size_class)
{
    return (8 + 2 * (size_class & 3)) << (size_class >> 2);
}
/* mvcc_array_room: slots that may be in use before a larger array is made. */
static inline uint32_t mvcc_array_room(uint32_t lines)
{
    return lines / 2 * 13 + lines % 2 * 6;
}
/* mvcc_line: of LINES, the first that a key of PLACE may be in. Within a line its slots are gone through from PLACE's low bits on. */
static inline uint32_t mvcc_line(uint32_t lines, uint32_t place)
{
    return (uint32_t)((uint64_t)place * lines >> 32);
}
static inline uint32_t mvcc_line_next(uint32_t lines, uint32_t line)
{
    return line + 1 == lines ? 0 : line + 1;
}
static inline size_t mvcc_slot_at(uint32_t line, uint32_t place, uint32_t i)
{
    return (size_t)line * MVCC_LINE_SLOTS + ((place + i) & (MVCC_LINE_SLOTS - 1));
}

enum mvcc_counter {
    MVCC_COUNT_HEADS,
    MVCC_COUNT_VERSIONS,
    MVCC_COUNT_BYTES,
    MVCC_COUNT_TRIMMED,
    MVCC_COUNT_EVICTED,
    MVCC_COUNT_LOADS,
    MVCC_COUNT_GARBAGE,
    MVCC_COUNTERS
};

struct mvcc_table {
    struct mvcc *mvcc;
    enum mvcc_space space;
    uint64_t hash_key[MVCC_HASH_WORDS]; /* of the process: random */
    struct mvcc_head *aborted; /* loads that failed, still held by waiters; under aborted_mutex */
    pthread_mutex_t aborted_mutex;
    _Atomic uint32_t aborted_count;
    uint32_t collect_shard; /* where mvcc_collect goes on; G only */
    uint32_t collect_slot;
    bool collect_pressed; /* the last round could not evict enough: no second chances in this one */
    uint64_t departed[MVCC_COUNTERS]; /* counts of destroyed threads; under the domain's mutex */
    struct mvcc_shard shards[MVCC_SHARDS];
};

/* mvcc_array_reclaim: QSBR's. */
void mvcc_array_reclaim(void *arg, struct qsbr_entry *entry);
bool mvcc_table_init(struct mvcc_table *table, struct mvcc *mvcc, enum mvcc_space space);
void mvcc_table_deinit(
    struct mvcc_table *table); /* frees heads and versions too: no thread is left */

/* mvcc_index_get: lock free; the caller is online or holds the shard's mutex. */
struct mvcc_head *mvcc_index_get(const struct mvcc_table *table, struct mvcc_hash hash,
                                 const uint8_t *key, size_t key_len);
/* _locked: under the shard's mutex. Insert: the key is not there; false = no memory. */
bool mvcc_index_put_locked(struct mvcc_table *table, struct mvcc_thread *thread,
                           struct mvcc_hash hash, struct mvcc_head *head);
void mvcc_index_del_locked(struct mvcc_table *table, struct mvcc_hash hash,
                           const struct mvcc_head *head);

static inline struct mvcc_head *mvcc_slot_head(uint64_t slot)
{
    return slot <= MVCC_SLOT_REMOVED ? NULL
                                     : (struct mvcc_head *)(uintptr_t)(slot & 0xffffffffffffu);
}

/* ---- threads (domain.c) ------------------------------------------------------------------------------------- */

struct mvcc_thread {
    _Alignas(128) _Atomic uint64_t
        counters[MVCC_SPACES][MVCC_COUNTERS]; /* written by the owner, summed by anyone */
    struct mvcc *mvcc;
    struct qsbr_thread *qsbr;
    uint32_t index; /* in mvcc->threads */
    struct slab_cache blocks;
};

/* mvcc_count: add DELTA (may be a negative number as unsigned: the sums over all threads are right). */
static inline void mvcc_count(const struct mvcc_table *table, struct mvcc_thread *thread,
                              enum mvcc_counter counter, uint64_t delta)
{
    _Atomic uint64_t *field = &thread->counters[table->space][counter];
    uint64_t old = atomic_load_explicit(field, memory_order_relaxed);
    atomic_store_explicit(field, old + delta, memory_order_relaxed);
}

/* ---- pins and floor (pin.c) --------------------------------------------------------------------------------- */

/* What may be trimmed: immutable once published, retired when replaced. */
struct mvcc_floor {
    struct qsbr_entry entry;
    uint64_t applied; /* H */
    uint32_t epoch;   /* 1, 2, ...: head->trimmed_at of heads that were trimmed by it */
    uint32_t count;
    uint64_t pins[]; /* ascending */
};
struct mvcc_pin_slot {
    _Alignas(64) _Atomic uint64_t word; /* 0 free, UINT64_MAX being taken, else seq + 1 */
    _Atomic uint64_t date_ms;           /* written before word */
};
struct mvcc_pins {
    struct mvcc_pin_slot *slots;
    uint32_t max;
    _Alignas(64) _Atomic uint32_t high;              /* slots ever used */
    _Atomic uint64_t pending;                        /* H of the advance under way or last done */
    _Atomic uint64_t oldest_ms;                      /* pins dated before it are cancelled */
    _Atomic uint64_t floor_min;                      /* min(H, pins) of the floor */
    _Alignas(64) _Atomic(struct mvcc_floor *) floor; /* NULL before the first advance */
};
bool mvcc_pins_init(struct mvcc_pins *pins, uint32_t pins_max);
void mvcc_pins_deinit(struct mvcc_pins *pins);

/* ---- sequence (seq.c) --------------------------------------------------------------------------------------- */

struct mvcc_seq_slot {
    _Atomic uint64_t tag; /* the last finished seq that stands here: the first of a run */
    _Atomic uint64_t run; /* how many, from there on, were finished together; written before tag */
};
struct mvcc_seq {
    _Alignas(128) _Atomic uint64_t next;
    _Alignas(128) _Atomic uint64_t applied;
    _Alignas(128) _Atomic uint64_t taken; /* last seq taken; written by who completes */
    _Alignas(128) struct mvcc_seq_slot *slots;
    void **records; /* by seq, in order: whoever takes them reads along; NULL = not kept */
    uint64_t mask;
    uint32_t line_shift; /* log2 of the number of cache line pairs */
};
bool mvcc_seq_init(struct mvcc_seq *seq, uint32_t inflight_max, uint64_t first_seq,
                   bool records_kept);
void mvcc_seq_deinit(struct mvcc_seq *seq);

/* ---- domain ------------------------------------------------------------------------------------------------- */

struct mvcc {
    struct mvcc_seq seq;
    struct mvcc_pins pins;
    struct qsbr *qsbr;
    struct slab_depot *blocks;    /* heads and versions */
    struct mvcc_thread **threads; /* registered; under mutex */
    uint32_t threads_max;
    pthread_mutex_t mutex;
    struct mvcc_table tables[MVCC_SPACES];
};

/* ---- versions and chains (version.c) ------------------------------------------------------------------------ */

/* mvcc_version_reclaim, mvcc_head_reclaim: QSBR's; ARG is the struct mvcc_thread that takes the block, or NULL. */
void mvcc_version_reclaim(void *arg, struct qsbr_entry *entry);
void mvcc_head_reclaim(void *arg, struct qsbr_entry *entry);
void mvcc_version_retire(struct mvcc_thread *thread, struct mvcc_version *version);
/* mvcc_block_take, mvcc_block_give: of BYTES; large ones are malloc's. THREAD may be NULL for give when the domain ends: the depot goes with all
 * that is in it. */
void *mvcc_block_take(struct mvcc_thread *thread, size_t bytes);
void mvcc_block_give(struct mvcc_thread *thread, void *block, size_t bytes);
/* mvcc_older_is_none: nothing is behind VERSION, and it has not left its chain. */
static inline bool mvcc_older_is_none(const struct mvcc_version *version)
{
    return (atomic_load_explicit(&version->older, memory_order_acquire) & MVCC_OLDER_MASK) == 0;
}
/* mvcc_chain_trim: under a claim of either kind: unlink what the floor allows, unless this head has been trimmed by it. Returns how many:
 * MVCC_TRIM_MAX of a chain that may have more, for which the claim is let go first. */
enum { MVCC_TRIM_MAX = 1024 };
uint64_t mvcc_chain_trim(struct mvcc_table *table, struct mvcc_thread *thread,
                         struct mvcc_head *head);

/* ---- heads (hold.c) ----------------------------------------------------------------------------------------- */

/* mvcc_heads_aborted_collect: retire the heads of failed loads that nobody holds any more. */
void mvcc_heads_aborted_collect(struct mvcc_table *table, struct mvcc_thread *thread);

#endif
