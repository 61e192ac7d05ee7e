/* mvcc/mvcc.h - door of the mvcc room: the object table. One primitive serves every path (ARCHITECTURE section 4).
 *
 *     key --index--> head { state word, newest } --> version(begin_seq 90) --> version(57) --> version(12)
 *                      |                                 ^
 *                      claim = CAS of the state word     a snapshot at s reads the first with begin_seq <= s
 *
 * A domain (struct mvcc) holds the sequence, the snapshot pins, the reclamation of memory and up to two tables: objects and
 * cells. A commit is always
 *
 *     mvcc_try_claim the writes in ascending key order;  mvcc_unchanged for each read (early test)
 *     seq = mvcc_seq_next
 *     mvcc_unchanged for each read again
 *     mvcc_publish each write     or mvcc_release each claim
 *     mvcc_seq_hand_over(seq, record or NULL)
 *
 * so the order of seq is the serial order: whoever overwrites what T has read claims it after T's second validation,
 * hence takes a later seq. State words are accessed with sequentially consistent atomics where this argument needs it
 * (claim, seq, validate); the file that implements them explains each ordering.
 *
 * Threads: every caller works through its own struct mvcc_thread (QSBR record, retired memory, counters). Heads and versions
 * found are valid until that thread's next mvcc_quiesce / mvcc_offline, or as long as the head is held (its newest chain parts
 * may still be trimmed: re-read after a quiesce).
 * The room refuses to know: what payloads mean (a version's number is in the head's state word; whoever wants that of an older one has it in
 * the payload), the disk (loading is the caller's), transactions, time. */
#ifndef MVCC_MVCC_H
#define MVCC_MVCC_H

#include <stdatomic.h>

#include <svm/types.h>

#include "base/assert.h"
#include "base/bytes.h"

struct mvcc;
struct mvcc_table;
struct mvcc_thread;

struct mvcc_config {
    uint32_t
        inflight_max; /* credits: most sequence numbers taken and not yet consumed by mvcc_seq_take; a power of two */
    uint32_t pins_max;    /* snapshots open at once */
    uint32_t threads_max; /* struct mvcc_thread at once */
    uint64_t first_seq;   /* the first number to hand out; applied starts at first_seq - 1 */
    bool
        records_kept; /* false: nobody takes records; a number counts as consumed when it is applied */
};
struct mvcc *mvcc_create(const struct mvcc_config *config); /* NULL = no memory */
void mvcc_destroy(struct mvcc *mvcc); /* all threads destroyed before; frees every version */

/* MVCC_OBJECTS: keys of exactly 32 bytes. MVCC_CELLS: keys of 1..64 bytes. */
enum mvcc_space { MVCC_OBJECTS = 0, MVCC_CELLS = 1, MVCC_SPACES = 2 };
struct mvcc_table *mvcc_table(struct mvcc *mvcc, enum mvcc_space space);

/* ---- threads: quiescent-state based reclamation ------------------------------------------------------------ */

/* mvcc_thread_create: registers, offline. NULL = threads_max reached or no memory.
 * online/offline bracket any use of heads and versions; quiesce = "I hold no pointer into the table but held heads". */
struct mvcc_thread *mvcc_thread_create(struct mvcc *mvcc);
void mvcc_thread_destroy(struct mvcc_thread *thread);
void mvcc_online(struct mvcc_thread *thread);
void mvcc_offline(struct mvcc_thread *thread);
void mvcc_quiesce(struct mvcc_thread *thread);

/* ---- versions ----------------------------------------------------------------------------------------------- */

/* Two words: the payload's size, of 25 bits, stands beside the address of the version behind, which has 48, and beside the sequence number,
 * which has 54: enough for 57 years of ten million a second. */
struct mvcc_version {
    _Atomic uintptr_t
        older; /* mvcc_older; above it part of the size, which stays when the rest is reclamation's */
    uint64_t
        begin_seq : 54; /* from mvcc_publish on; the caller's for mvcc_load_finish. Before that: the caller's number, which
                                mvcc_publish puts into the state word */
    uint64_t size_low : 9;
    uint64_t tombstone : 1;
    uint8_t payload[];
};
#define MVCC_SEQ_MAX (((uint64_t)1 << 54) - 1)
#define MVCC_OLDER_LEFT                                                                            \
    ((uintptr_t)7)            /* any of these bits in `older`: the version has left its chain */
#define MVCC_OLDER_BITS    48 /* the size's upper part begins there */
#define MVCC_OLDER_MASK    (((uintptr_t)1 << MVCC_OLDER_BITS) - 1)
#define MVCC_SIZE_LOW_BITS 9
enum { MVCC_PAYLOAD_MAX = (1 << (64 - MVCC_OLDER_BITS + MVCC_SIZE_LOW_BITS)) - 1 };

static inline uint32_t mvcc_version_size(const struct mvcc_version *version)
{
    uintptr_t older = atomic_load_explicit(&version->older, memory_order_relaxed);
    return (uint32_t)(older >> MVCC_OLDER_BITS) << MVCC_SIZE_LOW_BITS | (uint32_t)version->size_low;
}
/* mvcc_version_number_set, mvcc_version_begin_set: NUMBER, SEQ <= MVCC_SEQ_MAX. */
static inline void mvcc_version_begin_set(struct mvcc_version *version, uint64_t seq)
{
    SVM_ASSERT(seq <= MVCC_SEQ_MAX);
    version->begin_seq = seq & MVCC_SEQ_MAX;
}
static inline void mvcc_version_number_set(struct mvcc_version *version, uint64_t number)
{
    mvcc_version_begin_set(version, number);
}
/* mvcc_older: the version behind VERSION, NULL = none. Of one that has left its chain meanwhile there is no telling: NULL. Who must know walks
 * from the head (mvcc_read_at). */
static inline struct mvcc_version *mvcc_older(const struct mvcc_version *version)
{
    uintptr_t older = atomic_load_explicit(&version->older, memory_order_acquire);
    return (older & MVCC_OLDER_LEFT) != 0 ? NULL : (struct mvcc_version *)(older & MVCC_OLDER_MASK);
}
/* mvcc_private_chain: VERSION, private, in front of OLDER: lists of the caller's own. NULL again before mvcc_version_destroy or mvcc_publish. */
static inline void mvcc_private_chain(struct mvcc_version *version, struct mvcc_version *older)
{
    uintptr_t size = atomic_load_explicit(&version->older, memory_order_relaxed) & ~MVCC_OLDER_MASK;
    atomic_store_explicit(&version->older, size | (uintptr_t)older, memory_order_relaxed);
}
/* mvcc_version_create: private until published. NULL = no memory, or more than MVCC_PAYLOAD_MAX bytes. destroy: only what was never published. */
struct mvcc_version *mvcc_version_create(struct mvcc_thread *thread, uint32_t size);
void mvcc_version_destroy(struct mvcc_thread *thread, struct mvcc_version *version);

/* ---- heads -------------------------------------------------------------------------------------------------- */

/* State word: status in bits 0-2, transaction claim in bit 3, maintenance claim (GC, eviction: gone within microseconds) in
 * bit 4, version above. */
enum mvcc_status {
    MVCC_ABSENT = 0,  /* known not to exist */
    MVCC_LOADING = 1, /* somebody reads it from the disk */
    MVCC_LIVE = 2,
    MVCC_TOMBSTONE = 3, /* deleted; version is the tombstone's */
    MVCC_DEAD = 4       /* evicted: look it up again */
};
static inline enum mvcc_status mvcc_state_status(uint64_t state)
{
    return (enum mvcc_status)(state & 7u);
}
static inline bool mvcc_state_claimed(uint64_t state)
{
    return (state & 8u) != 0;
}
static inline bool mvcc_state_maintained(uint64_t state)
{
    return (state & 16u) != 0;
}
static inline uint64_t mvcc_state_version(uint64_t state)
{
    return state >> 5;
}

struct mvcc_head {
    _Atomic uint64_t state;                /* DEAD: the bits above the status are reclamation's */
    _Atomic(struct mvcc_version *) newest; /* NULL while ABSENT or LOADING */
    _Atomic uint32_t holds;
    uint32_t hash;
    _Atomic uint32_t trimmed_at; /* floor epoch of the last trim: one walk per head and floor */
    uint8_t key_len;
    _Atomic uint8_t referenced; /* second chance for eviction */
    uint8_t key[];
};

/* mvcc_key_is: is KEY (at least one byte) the head's? By words: keys are short, and a call would cost more than the comparison. */
static inline bool mvcc_key_is(const struct mvcc_head *head, const uint8_t *key, size_t key_len)
{
    if (head->key_len != key_len) {
        return false;
    }
    uint64_t differ = 0;
    if (key_len >= 8) {
        for (size_t i = 0; i + 8 < key_len; i += 8) {
            differ |= bytes_get_u64le(head->key + i) ^ bytes_get_u64le(key + i);
        }
        differ |= bytes_get_u64le(head->key + key_len - 8) ^ bytes_get_u64le(key + key_len - 8);
    } else if (key_len >= 4) {
        differ = (bytes_get_u32le(head->key) ^ bytes_get_u32le(key)) |
                 (bytes_get_u32le(head->key + key_len - 4) ^ bytes_get_u32le(key + key_len - 4));
    } else {
        differ = (uint64_t)((head->key[0] ^ key[0]) | (head->key[key_len / 2] ^ key[key_len / 2]) |
                            (head->key[key_len - 1] ^ key[key_len - 1]));
    }
    return differ == 0;
}
/* Where a key stands in the index. mvcc_hash_key: of KEY (objects: 32 bytes), under the secret of this process. */
struct mvcc_hash {
    uint32_t shard;
    uint32_t place; /* head->hash */
    uint16_t tag;
};
struct mvcc_hash mvcc_hash_key(const struct mvcc_table *table, const uint8_t *key, size_t key_len);
/* mvcc_prefetch: touch the index bucket. mvcc_prefetch_head: a step later, when the bucket has come: touch the head that stands there.
 * For batches: prefetch all buckets, then all heads, then work. Both need the thread online, like every access to a table. */
void mvcc_prefetch(const struct mvcc_table *table, struct mvcc_hash hash);
void mvcc_prefetch_head(const struct mvcc_table *table, struct mvcc_hash hash);
/* mvcc_key_hash: what a head of KEY has in `hash`, for tables of the caller's own. */
uint32_t mvcc_key_hash(const struct mvcc_table *table, const uint8_t *key, size_t key_len);
/* mvcc_prefetch_keys: all of it for COUNT keys at once, down to the newest versions: as long as three misses, whatever COUNT, up to MVCC_PREFETCH_MAX. */
enum { MVCC_PREFETCH_MAX = 16 };
void mvcc_prefetch_keys(const struct mvcc_table *table, const struct svm_bytes *keys, size_t count);
/* mvcc_find: resident head of KEY or NULL, not held. O(1), lock free. */
struct mvcc_head *mvcc_find(struct mvcc_table *table, const uint8_t *key, size_t key_len);

enum mvcc_hold_result {
    MVCC_HELD, /* resident: ABSENT, LIVE or TOMBSTONE; perhaps claimed */
    MVCC_HELD_LOAD, /* this caller inserted it LOADING: read the disk, then mvcc_load_finish (holds stays) */
    MVCC_HELD_LOADING, /* somebody else is loading: held; look at the state again later */
    MVCC_HOLD_NO_MEMORY
};
/* mvcc_hold: find or insert KEY and count a hold: a held head is neither evicted nor freed. */
enum mvcc_hold_result mvcc_hold(struct mvcc_table *table, struct mvcc_thread *thread,
                                const uint8_t *key, size_t key_len, struct mvcc_head **head_out);
/* mvcc_hold_resident: the same when there is a head for KEY, whose HASH is given: lock free, inserts nothing. NULL = there is none, or it
 * is leaving just now. */
struct mvcc_head *mvcc_hold_resident(const struct mvcc_table *table, struct mvcc_hash hash,
                                     const uint8_t *key, size_t key_len);
void mvcc_unhold(struct mvcc_head *head);
/* mvcc_hold_more: COUNT holds more, for who has one. mvcc_unhold_many: COUNT at once. */
static inline void mvcc_hold_more(struct mvcc_head *head, uint32_t count)
{
    atomic_fetch_add_explicit(&head->holds, count, memory_order_acq_rel);
}
void mvcc_unhold_many(struct mvcc_head *head, uint32_t count);
/* mvcc_hold_new: for a key that cannot exist anywhere (a fresh object id): inserts it ABSENT, claimed and held.
 * A head that somebody's question for the key left ABSENT is had, one that is LOADING is taken over (its loader's answer is dropped).
 * false = it exists after all (a caller's bug for objects), is claimed, or no memory. */
bool mvcc_hold_new(struct mvcc_table *table, struct mvcc_thread *thread, const uint8_t *key,
                   size_t key_len, struct mvcc_head **head_out);
/* mvcc_load_finish: ends LOADING. VERSION (taken; begin_seq, tombstone set by the caller) with its NUMBER, or NULL = absent. */
void mvcc_load_finish(struct mvcc_table *table, struct mvcc_thread *thread, struct mvcc_head *head,
                      struct mvcc_version *version, uint64_t number);
/* mvcc_load_abort: the disk could not be read: the head goes, waiters look it up again. Drops the caller's hold. */
void mvcc_load_abort(struct mvcc_table *table, struct mvcc_thread *thread, struct mvcc_head *head);

/* mvcc_state: the state word now (acquire). A caller that reads state then newest then state again and sees the same
 * unclaimed word has a consistent pair. */
static inline uint64_t mvcc_state(const struct mvcc_head *head)
{
    return atomic_load_explicit(&head->state, memory_order_acquire);
}
static inline struct mvcc_version *mvcc_newest(const struct mvcc_head *head)
{
    return atomic_load_explicit(&head->newest, memory_order_acquire);
}
/* mvcc_read_at: the version that a snapshot at SEQ sees, or NULL (did not exist). A tombstone is returned as such. */
const struct mvcc_version *mvcc_read_at(const struct mvcc_head *head, uint64_t seq);

/* mvcc_try_claim: ABSENT / LIVE / TOMBSTONE and unclaimed -> claimed. STATE_OUT: the word before (true), or the word that stood in
 * the way (false: claimed, maintained, LOADING or DEAD). Never waits. */
bool mvcc_try_claim(struct mvcc_head *head, uint64_t *state_out);
/* mvcc_release: drop the claim, nothing changed. STATE: what mvcc_try_claim gave (mvcc_hold_new: ABSENT, 0). */
void mvcc_release(struct mvcc_head *head, uint64_t state);
/* mvcc_unchanged: the word is still STATE (an unclaimed one), or STATE plus a claim when MINE. A maintenance claim changes nothing that
 * was read and is looked through. */
bool mvcc_unchanged(const struct mvcc_head *head, uint64_t state, bool mine);
/* mvcc_publish: under the claim: VERSION (taken; payload, number, tombstone set) becomes the newest with begin_seq = SEQ, the claim
 * goes, and the chain is trimmed when the floor has moved. Allocates nothing, never fails. */
void mvcc_publish(struct mvcc_table *table, struct mvcc_thread *thread, struct mvcc_head *head,
                  struct mvcc_version *version, uint64_t seq);

/* ---- sequence ----------------------------------------------------------------------------------------------- */

/* mvcc_seq_next: the next position of the serial order. The caller must have a credit and hand over soon, come what may. */
uint64_t mvcc_seq_next(struct mvcc *mvcc);
/* mvcc_seq_next_many: COUNT positions in a row, the first of them. For transactions whose claims are all held at the same time. */
uint64_t mvcc_seq_next_many(struct mvcc *mvcc, uint32_t count);
/* mvcc_seq_hand_over: position SEQ is finished: published (RECORD, not NULL) or void (RECORD as the caller likes; it is what
 * mvcc_seq_take gives). Also advances applied over every finished position: any thread does, lock free. */
void mvcc_seq_hand_over(struct mvcc *mvcc, uint64_t seq, void *record);
/* mvcc_seq_hand_over_many: the same for SEQ .. SEQ + COUNT - 1, which mvcc_seq_next_many gave, in one step. */
void mvcc_seq_hand_over_many(struct mvcc *mvcc, uint64_t seq, void *const *records, uint32_t count);
/* mvcc_seq_outstanding: numbers taken and not yet applied, as of a moment ago. */
uint64_t mvcc_seq_outstanding(const struct mvcc *mvcc);
uint64_t mvcc_applied(const struct mvcc *mvcc); /* end of the contiguous finished prefix */
/* mvcc_seq_peek: the record of SEQ <= applied that has not been taken. mvcc_seq_take: C only, in order: frees the slot. */
void *mvcc_seq_peek(const struct mvcc *mvcc, uint64_t seq);
void *mvcc_seq_take(struct mvcc *mvcc, uint64_t seq);

/* ---- snapshots ---------------------------------------------------------------------------------------------- */

struct mvcc_pin {
    uint32_t slot;
    uint64_t seq;
};
/* mvcc_pin: a snapshot at `applied`. false = pins_max reached. NOW_MS dates it. */
bool mvcc_pin(struct mvcc *mvcc, uint64_t now_ms, struct mvcc_pin *pin_out);
/* mvcc_pin_again: the same; the slot that *PIN names is tried first, so that who keeps it in mind shares no line with others. */
bool mvcc_pin_again(struct mvcc *mvcc, uint64_t now_ms, struct mvcc_pin *pin);
void mvcc_unpin(struct mvcc *mvcc, const struct mvcc_pin *pin);
/* mvcc_pin_cancelled: to be asked after reading: what was read may have been collected. */
bool mvcc_pin_cancelled(const struct mvcc *mvcc, const struct mvcc_pin *pin);
uint32_t mvcc_pins_open(const struct mvcc *mvcc);

/* ---- collection --------------------------------------------------------------------------------------------- */

/* mvcc_floor_advance: G: take H = applied, fence, read the pins (cancelling those dated before OLDEST_MS), publish {H, pins}.
 * Returns min(H, pins). From then on a version may go when its successor began at or before H and no pin lies between. */
uint64_t mvcc_floor_advance(struct mvcc *mvcc, struct mvcc_thread *thread, uint64_t oldest_ms);
uint64_t mvcc_floor(const struct mvcc *mvcc); /* min(H, pins) as last published */
/* mvcc_floor_applied: H as last published; 0 before the first advance. mvcc_needed: may a snapshot lie in [BEGIN, END), that is: is there such a
 * pin, or is END above H? What was true from BEGIN until END may be forgotten when it does not. Both need the thread online. */
uint64_t mvcc_floor_applied(const struct mvcc *mvcc);
bool mvcc_needed(const struct mvcc *mvcc, uint64_t begin, uint64_t end);
/* mvcc_collect: G: visit up to BUDGET heads from where the last call stopped: trim cold chains; while the table holds more than CACHE_BYTES
 * evict single-version unheld heads with begin_seq <= min(floor, MATERIALISED), and ABSENT ones. MATERIALISED = 0: only ABSENT ones go.
 * Adds to the counts. Returns false when a whole round was completed. */
struct mvcc_collected {
    uint64_t versions, evicted;
};
bool mvcc_collect(struct mvcc_table *table, struct mvcc_thread *thread, uint64_t materialised,
                  uint64_t cache_bytes, size_t budget, struct mvcc_collected *collected);

struct mvcc_counts {
    uint64_t heads, versions, bytes, trimmed, evicted, loads;
    uint64_t garbage; /* versions behind the newest */
};
void mvcc_counts(const struct mvcc_table *table, struct mvcc_counts *counts_out);

/* mvcc_visit: every resident head, for audits and scans; concurrent inserts may be missed. Stops when VISIT returns false. */
typedef bool mvcc_visit_fn(void *arg, struct mvcc_head *head);
void mvcc_visit(struct mvcc_table *table, mvcc_visit_fn *visit, void *arg);
/* mvcc_visit_shard: the part SHARD < MVCC_SHARDS of it, so that a long scan can quiesce between parts (not within VISIT). Returns false
 * when VISIT did. */
enum { MVCC_SHARDS = 256 };
bool mvcc_visit_shard(struct mvcc_table *table, uint32_t shard, mvcc_visit_fn *visit, void *arg);

#endif
