#include "mvcc/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/pages.h"
#include "base/rng.h"

/* The index: 256 shards, each an array of 8-byte slots found by linear probing, line by line. Readers take no lock: they load the array, then
 * slots, with acquire. Writers hold the shard's mutex. A probe that ends in a line with an empty slot is right at some moment during it: a key
 * is never moved within an array, no key lies behind a line that has an empty slot, and a key that was put into a slot that the probe had
 * passed was absent before.
 * An array that is replaced stays as it was, for the readers in it, until they have all quiesced.
 *
 * Both tables hash under a secret key of the process. Object ids are no exception: they are SHA-256 outputs when created, but
 * anybody may name any 32 bytes as an input and so cause an ABSENT head. The hash is NH, a tenth of the work of SipHash: two ids fall
 * together with probability 2^-64 whoever chose them, as long as the key is not known; and nothing that a caller sees depends on it but time.
 * Cells, whose keys have 1 to 64 bytes: NH over as many pairs of words as the key fills, plus its length, folded by a second NH of the
 * two halves of the sum. Keys of one length differ in some word, and fall together in the sum with probability 2^-64 over that word's
 * partner in the hash key. Keys of two lengths that fill the same pairs: likewise, as the lengths differ by a constant (NH is delta-universal). Of keys
 * that fill different pairs one has a term more, whose two parts of the hash key occur nowhere else: 2^-63. The fold adds 2^-63. */

enum {
    PAGES_BYTES = 16 << 10
}; /* an array of so much has pages of its own: they are given back when it goes */

/* ---- hash --------------------------------------------------------------------------------------------------- */

__extension__ typedef unsigned __int128 wide;

/* Source: NH of UMAC (Black, Halevi, Krawczyk, Krovetz, Rogaway, CRYPTO 1999) with 64-bit words; then folded by a multiplication
 * so that all bits of the sum reach the high ones. */
static uint64_t nh32(const uint64_t key[5], const uint8_t *in)
{
    wide sum = (wide)(bytes_get_u64le(in) + key[0]) * (bytes_get_u64le(in + 8) + key[1]);
    sum += (wide)(bytes_get_u64le(in + 16) + key[2]) * (bytes_get_u64le(in + 24) + key[3]);
    wide folded = (wide)((uint64_t)sum ^ (uint64_t)(sum >> 64)) * (key[4] | 1);
    return (uint64_t)folded ^ (uint64_t)(folded >> 64);
}

/* The last 1 to 16 bytes of a key as two words; of keys of one length no two give the same. */
static void last_words(uint64_t words[2], const uint8_t *in, size_t len)
{
    if (len >= 8) {
        words[0] = bytes_get_u64le(in);
        words[1] = bytes_get_u64le(in + len - 8);
    } else if (len >= 4) {
        words[0] = bytes_get_u32le(in);
        words[1] = bytes_get_u32le(in + len - 4);
    } else {
        words[0] = (uint64_t)in[0] << 8 | in[len / 2];
        words[1] = in[len - 1];
    }
}

static uint64_t nh_cell(const uint64_t key[MVCC_HASH_WORDS], const uint8_t *in, size_t len)
{
    const uint64_t *at = key;
    wide sum = len;
    for (; len > 16; len -= 16, in += 16, at += 2) {
        sum += (wide)(bytes_get_u64le(in) + at[0]) * (bytes_get_u64le(in + 8) + at[1]);
    }
    uint64_t words[2];
    last_words(words, in, len);
    sum += (wide)(words[0] + at[0]) * (words[1] + at[1]);
    wide folded = (wide)((uint64_t)sum + key[8]) * ((uint64_t)(sum >> 64) + key[9]);
    return (uint64_t)folded ^ (uint64_t)(folded >> 64);
}

struct mvcc_hash mvcc_hash_key(const struct mvcc_table *table, const uint8_t *key, size_t key_len)
{
    SVM_ASSERT(table->space == MVCC_CELLS ? key_len - 1 < SVM_CELL_KEY_MAX : key_len == 32);
    uint64_t hash = table->space == MVCC_CELLS ? nh_cell(table->hash_key, key, key_len)
                                               : nh32(table->hash_key, key);
    return (struct mvcc_hash){.shard = (uint32_t)(hash >> (64 - MVCC_SHARD_BITS)),
                              .place = (uint32_t)hash,
                              .tag = (uint16_t)(hash >> 32)};
}

uint32_t mvcc_key_hash(const struct mvcc_table *table, const uint8_t *key, size_t key_len)
{
    return mvcc_hash_key(table, key, key_len).place;
}

static uint64_t slot_of(const struct mvcc_head *head, uint16_t tag)
{
    uint64_t address = (uint64_t)(uintptr_t)head;
    SVM_ASSERT(address >> 48 == 0);
    return (uint64_t)tag << 48 | address;
}

/* ---- arrays ------------------------------------------------------------------------------------------------- */

static size_t array_bytes(uint32_t lines)
{
    _Static_assert(sizeof(struct mvcc_array) == MVCC_LINE_SLOTS * sizeof(uint64_t), "its own line");
    return ((size_t)lines + 1) * sizeof(struct mvcc_array);
}

static void *zeroed_take(size_t bytes)
{
    _Static_assert(PAGES_ALIGN % MVCC_ARRAY_ALIGN == 0, "a size class stands in the low bits");
    if (bytes >= PAGES_BYTES) {
        return pages_take(bytes);
    }
    void *memory = aligned_alloc(MVCC_ARRAY_ALIGN, bytes);
    return memory == NULL ? NULL : memset(memory, 0, bytes);
}

/* With at least ROOM slots to be used. */
static struct mvcc_array *array_create(uint64_t room, uintptr_t *word_out)
{
    uint32_t size_class = 0;
    while (mvcc_array_room(mvcc_array_lines(size_class) - 1) < room) {
        if (mvcc_array_lines(++size_class) > UINT32_MAX / 32) {
            return NULL;
        }
    }
    const uint32_t lines = mvcc_array_lines(size_class) - 1;
    struct mvcc_array *array = zeroed_take(array_bytes(lines));
    if (array != NULL) {
        array->lines = lines;
        *word_out = (uintptr_t)array | size_class;
    }
    return array;
}

static void array_free(struct mvcc_array *array)
{
    const size_t bytes = array_bytes(array->lines);
    if (bytes >= PAGES_BYTES) {
        pages_give(array, bytes);
    } else {
        free(array);
    }
}

void mvcc_array_reclaim(void *arg, struct qsbr_entry *entry)
{
    (void)arg;
    array_free((struct mvcc_array *)(void *)entry);
}

static struct mvcc_array *array_locked(const struct mvcc_shard *shard)
{
    uintptr_t word = atomic_load_explicit(&shard->array_word, memory_order_relaxed);
    return (struct mvcc_array *)(word & ~(uintptr_t)(MVCC_ARRAY_ALIGN - 1));
}

static uint64_t slot_get(const struct mvcc_array *array, size_t at)
{
    return atomic_load_explicit(&array->slots[at], memory_order_relaxed);
}

/* For a new array, or one whose mutex is held: the first slot of the probe that is not taken. */
static size_t array_vacancy(const struct mvcc_array *array, uint32_t place)
{
    for (uint32_t line = mvcc_line(array->lines, place);;
         line = mvcc_line_next(array->lines, line)) {
        for (uint32_t i = 0; i < MVCC_LINE_SLOTS; i++) {
            size_t at = mvcc_slot_at(line, place, i);
            if (slot_get(array, at) <= MVCC_SLOT_REMOVED) {
                return at;
            }
        }
    }
}

/* For an array that nobody else sees. The heads come from everywhere: those of the line after next are asked for. */
static void array_fill(struct mvcc_array *array, const struct mvcc_array *from)
{
    const size_t slots = (size_t)from->lines * MVCC_LINE_SLOTS, ahead = (size_t)2 * MVCC_LINE_SLOTS;
    for (size_t i = 0; i < slots; i++) {
        const uint64_t slot = slot_get(from, i);
        if (i + ahead < slots && slot_get(from, i + ahead) > MVCC_SLOT_REMOVED) {
            __builtin_prefetch(&mvcc_slot_head(slot_get(from, i + ahead))->hash);
        }
        if (slot > MVCC_SLOT_REMOVED) {
            size_t at = array_vacancy(array, mvcc_slot_head(slot)->hash);
            atomic_store_explicit(&array->slots[at], slot, memory_order_relaxed);
        }
    }
}

/* Room for one more: a new array when 13/16 of the slots are in use (removed ones count: they lengthen probes), of the least size that
 * leaves a sixth of that free. Without memory the old one serves to 15/16. */
static bool shard_reserve_locked(struct mvcc_shard *shard, struct mvcc_thread *thread)
{
    struct mvcc_array *old = array_locked(shard);
    if (shard->used < mvcc_array_room(old->lines)) {
        return true;
    }
    uintptr_t word;
    struct mvcc_array *array = array_create((uint64_t)shard->live + shard->live / 5 + 1, &word);
    if (array == NULL) {
        return (uint64_t)shard->used + 1 <= (uint64_t)old->lines * MVCC_LINE_SLOTS * 15 / 16;
    }
    if (FAULT_BUG("grow-early"))
        atomic_store_explicit(&shard->array_word, word, memory_order_release);
    FAULT_POINT("mvcc.index.filling");
    array_fill(array, old);
    shard->used = shard->live;
    atomic_store_explicit(&shard->array_word, word, memory_order_release);
    FAULT_POINT("mvcc.index.grown");
    qsbr_retire(thread->qsbr, MVCC_BLOCK_ARRAY, &old->entry, array_bytes(old->lines));
    return true;
}

/* ---- get, put, del ------------------------------------------------------------------------------------------ */

struct mvcc_head *mvcc_index_get(const struct mvcc_table *table, struct mvcc_hash hash,
                                 const uint8_t *key, size_t key_len)
{
    const struct mvcc_array *array = mvcc_shard_array(&table->shards[hash.shard]);
    for (uint32_t line = mvcc_line(array->lines, hash.place);;
         line = mvcc_line_next(array->lines, line)) {
        bool full = true;
        for (uint32_t i = 0; i < MVCC_LINE_SLOTS; i++) {
            uint64_t slot = atomic_load_explicit(&array->slots[mvcc_slot_at(line, hash.place, i)],
                                                 memory_order_acquire);
            struct mvcc_head *head = slot >> 48 == hash.tag ? mvcc_slot_head(slot) : NULL;
            if (head != NULL && head->hash == hash.place && mvcc_key_is(head, key, key_len)) {
                return head;
            }
            full = full && slot != MVCC_SLOT_EMPTY;
        }
        if (!full) {
            return NULL;
        }
    }
}

bool mvcc_index_put_locked(struct mvcc_table *table, struct mvcc_thread *thread,
                           struct mvcc_hash hash, struct mvcc_head *head)
{
    struct mvcc_shard *shard = &table->shards[hash.shard];
    if (!shard_reserve_locked(shard, thread)) {
        return false;
    }
    struct mvcc_array *array = array_locked(shard);
    size_t at = array_vacancy(array, hash.place);
    if (slot_get(array, at) == MVCC_SLOT_EMPTY) {
        shard->used++;
    }
    shard->live++;
    atomic_store_explicit(&array->slots[at], slot_of(head, hash.tag), memory_order_release);
    return true;
}

/* Where HEAD is, and in LINE_OUT the first slot of that line. */
static size_t slot_find(const struct mvcc_array *array, uint32_t place,
                        const struct mvcc_head *head, size_t *line_out)
{
    uint32_t line = mvcc_line(array->lines, place);
    for (uint32_t passed = 0; passed < array->lines; passed++) {
        for (uint32_t i = 0; i < MVCC_LINE_SLOTS; i++) {
            size_t at = mvcc_slot_at(line, place, i);
            if (mvcc_slot_head(slot_get(array, at)) == head) {
                *line_out = (size_t)line * MVCC_LINE_SLOTS;
                return at;
            }
        }
        line = mvcc_line_next(array->lines, line);
    }
    SVM_ASSERT(false); /* it is not in the index */
    return 0;
}

/* A line that has an empty slot was never full: no probe goes past it, and one more empty slot ends none early. */
void mvcc_index_del_locked(struct mvcc_table *table, struct mvcc_hash hash,
                           const struct mvcc_head *head)
{
    struct mvcc_shard *shard = &table->shards[hash.shard];
    struct mvcc_array *array = array_locked(shard);
    size_t line;
    size_t at = slot_find(array, hash.place, head, &line);
    bool full = true;
    for (uint32_t i = 0; i < MVCC_LINE_SLOTS; i++) {
        full = full && slot_get(array, line + i) != MVCC_SLOT_EMPTY;
    }
    shard->live--;
    shard->used -= !full;
    atomic_store_explicit(&array->slots[at], full ? MVCC_SLOT_REMOVED : MVCC_SLOT_EMPTY,
                          memory_order_release);
}

/* ---- tables ------------------------------------------------------------------------------------------------- */

bool mvcc_table_init(struct mvcc_table *table, struct mvcc *mvcc, enum mvcc_space space)
{
    table->mvcc = mvcc;
    table->space = space;
    rng_os(table->hash_key, sizeof table->hash_key);
    pthread_mutex_init(&table->aborted_mutex, NULL);
    atomic_init(&table->aborted_count, 0);
    bool ok = true;
    for (uint32_t i = 0; i < MVCC_SHARDS; i++) {
        uintptr_t word = 0;
        ok = array_create(1, &word) != NULL && ok;
        atomic_init(&table->shards[i].array_word, word);
        pthread_mutex_init(&table->shards[i].mutex, NULL);
    }
    return ok;
}

static void head_free(struct mvcc_head *head)
{
    struct mvcc_version *version = atomic_load_explicit(&head->newest, memory_order_relaxed);
    while (version != NULL) {
        struct mvcc_version *older = mvcc_older(version);
        mvcc_version_reclaim(NULL, mvcc_version_entry(version));
        version = older;
    }
    mvcc_head_reclaim(NULL, mvcc_head_entry(head));
}

void mvcc_table_deinit(struct mvcc_table *table)
{
    while (table->aborted != NULL) {
        struct mvcc_head *head = table->aborted;
        table->aborted = mvcc_aborted_next(head);
        head_free(head);
    }
    pthread_mutex_destroy(&table->aborted_mutex);
    for (uint32_t i = 0; i < MVCC_SHARDS; i++) {
        struct mvcc_array *array = array_locked(&table->shards[i]);
        for (size_t at = 0; array != NULL && at < (size_t)array->lines * MVCC_LINE_SLOTS; at++) {
            struct mvcc_head *head = mvcc_slot_head(slot_get(array, at));
            if (head != NULL) {
                head_free(head);
            }
        }
        if (array != NULL) {
            array_free(array);
        }
        pthread_mutex_destroy(&table->shards[i].mutex);
    }
}
