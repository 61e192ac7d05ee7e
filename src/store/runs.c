#include "store/runs.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "store/rows.h"

enum {
    HEAD_BYTES = 29,
    HEAD_VERSION = 1,
    ENTRY_BYTES = 16,
    PAGE_ENTRIES = 254, /* 4064 bytes: with its key it fits a block of the database */
    LINE_BYTES = 64,
    LINE_ENTRIES = 48, /* 10.7 bits each, six of them set: one in a hundred lookups reads in vain */
    LINE_BITS = 6,
    FAN_IN = 8,
    MERGED_MAX = 64,
    RUN_ENTRIES_MAX = 1 << 22,
    RADIX_BITS = 11,
    RADIX_SIZE = 1 << RADIX_BITS,
    RADIX_PASSES = 3
};

__extension__ typedef unsigned __int128 wide;

struct run_map {
    uint32_t pages;
    uint64_t lines;
    uint8_t *bytes; /* the value of the row, from the allocator */
};

struct store_run {
    uint64_t id, first, last, entries;
    uint32_t pages;
    size_t replaces;               /* published: takes the place of so many ... */
    size_t replaces_at;            /* ... from here on */
    _Atomic(struct run_map *) map; /* NULL = not asked for yet */
};

/* ---- life ---------------------------------------------------------------------------------------------------- */

bool store_runs_init(struct store_runs *runs)
{
    memset(runs, 0, sizeof *runs);
    runs->next_id = 1;
    return pthread_rwlock_init(&runs->lock, NULL) == 0;
}

static void map_free(struct run_map *map)
{
    if (map != NULL)
        free(map->bytes);
    free(map);
}

static void run_free(struct store_run *run)
{
    if (run != NULL)
        map_free(atomic_load_explicit(&run->map, memory_order_relaxed));
    free(run);
}

static void entries_free(struct store_runs *runs)
{
    free(runs->entries);
    free(runs->other);
    runs->entries = runs->other = NULL;
    runs->entry_count = runs->entry_cap = 0;
}

void store_runs_deinit(struct store_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++)
        run_free(runs->runs[i]);
    run_free(runs->made);
    entries_free(runs);
    free(runs->runs);
    free(runs->gone);
    pthread_rwlock_destroy(&runs->lock);
}

static bool run_reserve(struct store_runs *runs)
{
    if (runs->count < runs->cap)
        return true;
    size_t cap = runs->cap == 0 ? 64 : 2 * runs->cap;
    pthread_rwlock_wrlock(&runs->lock); /* who reads must not see it move */
    struct store_run **grown = realloc(runs->runs, cap * sizeof(struct store_run *));
    if (grown != NULL) {
        runs->runs = grown;
        runs->cap = cap;
    }
    pthread_rwlock_unlock(&runs->lock);
    return grown != NULL;
}

void store_runs_trim(struct store_runs *runs)
{
    SVM_ASSERT(runs->entry_count == 0);
    SVM_ASSERT(runs->made == NULL);
    entries_free(runs);
}

/* gone_reserve: room to note COUNT more runs as gone. */
static bool gone_reserve(struct store_runs *runs, size_t count)
{
    if (runs->gone_count + count <= runs->gone_cap)
        return true;
    size_t cap = 2 * (runs->gone_count + count);
    struct store_runs_gone *grown = realloc(runs->gone, cap * sizeof *grown);
    if (grown == NULL)
        return false;
    runs->gone = grown;
    runs->gone_cap = cap;
    return true;
}

static void gone_add(struct store_runs *runs, const struct store_run *run)
{
    SVM_ASSERT(runs->gone_count < runs->gone_cap);
    runs->gone[runs->gone_count++] = (struct store_runs_gone){run->id, run->pages};
}

/* ---- load ---------------------------------------------------------------------------------------------------- */

static enum svm_err head_read(struct store_runs *runs, struct svm_bytes key, struct svm_bytes value)
{
    if (key.len != 1 + 8 || value.len != HEAD_BYTES || value.ptr[0] != HEAD_VERSION)
        return SVM_E_CORRUPT;
    struct store_run *run = calloc(1, sizeof *run);
    if (run == NULL || !run_reserve(runs)) {
        free(run);
        return SVM_E_NO_MEMORY;
    }
    run->id = bytes_get_u64be(key.ptr + 1);
    run->first = bytes_get_u64le(value.ptr + 1);
    run->last = bytes_get_u64le(value.ptr + 9);
    run->entries = bytes_get_u64le(value.ptr + 17);
    run->pages = bytes_get_u32le(value.ptr + 25);
    runs->runs[runs->count++] = run;
    if (run->id >= runs->next_id)
        runs->next_id = run->id + 1;
    return run->first <= run->last ? SVM_OK : SVM_E_CORRUPT;
}

/* By position; of two that begin together the longer and then the younger one first. */
static int run_order(const void *left, const void *right)
{
    const struct store_run *a = *(struct store_run *const *)left,
                           *b = *(struct store_run *const *)right;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    if (a->last != b->last)
        return a->last > b->last ? -1 : 1;
    return a->id > b->id ? -1 : a->id < b->id;
}

/* leftovers_drop: runs that lie within another were merged into it. */
static enum svm_err leftovers_drop(struct store_runs *runs)
{
    size_t kept = 0;
    if (!gone_reserve(runs, runs->count))
        return SVM_E_NO_MEMORY;
    for (size_t i = 0; i < runs->count; i++) {
        struct store_run *run = runs->runs[i];
        struct store_run *before = kept == 0 ? NULL : runs->runs[kept - 1];
        if (before == NULL || run->first > before->last) {
            runs->runs[kept++] = run;
            continue;
        }
        bool within = run->last <= before->last && run->id < before->id;
        gone_add(runs, run);
        run_free(run);
        if (!within) {
            memmove(&runs->runs[kept], &runs->runs[i + 1],
                    (runs->count - i - 1) * sizeof(struct store_run *));
            runs->count -= i + 1 - kept;
            return SVM_E_CORRUPT;
        }
    }
    runs->count = kept;
    return SVM_OK;
}

enum svm_err store_runs_load(struct store_runs *runs, const struct svm_kv_ops *kv)
{
    static const uint8_t heads = ROW_RUN;
    struct svm_bytes key, value;
    struct svm_kv_iter *iter = kv->iter_open(kv->self);
    if (iter == NULL)
        return SVM_E_NO_MEMORY;
    enum svm_err err = SVM_OK;
    kv->iter_seek(iter, (struct svm_bytes){&heads, 1});
    for (; err == SVM_OK && kv->iter_valid(iter, &key, &value) && key.ptr[0] == heads;
         kv->iter_next(iter))
        err = head_read(runs, key, value);
    enum svm_err closed = kv->iter_close(iter);
    if (closed != SVM_OK || err != SVM_OK)
        return closed != SVM_OK ? closed : err;
    if (runs->count > 0)
        qsort(runs->runs, runs->count, sizeof(struct store_run *), run_order);
    return leftovers_drop(runs);
}

/* ---- the run under way --------------------------------------------------------------------------------------- */

void store_runs_begin(struct store_runs *runs)
{
    run_free(runs->made);
    runs->made = NULL;
    runs->entry_count = 0;
    runs->gone_taken = 0;
}

static bool entry_reserve(struct store_runs *runs, size_t cap)
{
    if (cap <= runs->entry_cap)
        return true;
    struct store_run_entry *entries = realloc(runs->entries, cap * sizeof *entries);
    if (entries != NULL)
        runs->entries = entries;
    struct store_run_entry *other = realloc(runs->other, cap * sizeof *other);
    if (other != NULL)
        runs->other = other;
    if (entries == NULL || other == NULL)
        return false;
    runs->entry_cap = cap;
    return true;
}

enum svm_err store_runs_add(struct store_runs *runs, const struct svm_digest *digest,
                            uint64_t place)
{
    if (runs->entry_count == runs->entry_cap &&
        !entry_reserve(runs, runs->entry_cap == 0 ? 1024 : 2 * runs->entry_cap))
        return SVM_E_NO_MEMORY;
    runs->entries[runs->entry_count++] =
        (struct store_run_entry){bytes_get_u64be(digest->b), place};
    return SVM_OK;
}

static bool entry_less(const struct store_run_entry *a, const struct store_run_entry *b)
{
    return a->prefix != b->prefix ? a->prefix < b->prefix : a->place < b->place;
}

/* entries_sort: by the upper bits in three passes, then by insertion what these leave equal: with digests, next to nothing. */
static void entries_sort(struct store_runs *runs)
{
    for (unsigned pass = 0; pass < RADIX_PASSES && runs->entry_count > RADIX_SIZE / 8; pass++) {
        const unsigned shift = 64 - RADIX_BITS * (RADIX_PASSES - pass);
        uint32_t starts[RADIX_SIZE] = {0};
        const struct store_run_entry *from = runs->entries;
        struct store_run_entry *to = runs->other;
        for (size_t i = 0; i < runs->entry_count; i++)
            starts[from[i].prefix >> shift & (RADIX_SIZE - 1)]++;
        for (uint32_t digit = 0, at = 0; digit < RADIX_SIZE; digit++) {
            uint32_t count = starts[digit];
            starts[digit] = at;
            at += count;
        }
        for (size_t i = 0; i < runs->entry_count; i++)
            to[starts[from[i].prefix >> shift & (RADIX_SIZE - 1)]++] = from[i];
        runs->other = runs->entries;
        runs->entries = to;
    }
    struct store_run_entry *entries = runs->entries;
    for (size_t i = 1; i < runs->entry_count; i++) {
        struct store_run_entry entry = entries[i];
        size_t at = i;
        for (; at > 0 && entry_less(&entry, &entries[at - 1]); at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

/* pair: the sorted entries [LEFT, MIDDLE) and [MIDDLE, RIGHT) of FROM into TO, without a branch that cannot be foreseen. */
static void pair(struct store_run_entry *to, const struct store_run_entry *from, size_t left,
                 size_t middle, size_t right)
{
    size_t a = left, b = middle;
    while (a < middle && b < right) {
        const bool second = entry_less(&from[b], &from[a]);
        *to++ = from[second ? b : a];
        a += !second;
        b += second;
    }
    memcpy(to, &from[a], (middle - a) * sizeof *to);
    memcpy(to + (middle - a), &from[b], (right - b) * sizeof *to);
}

/* entries_merge: as entries_sort, of COUNT sorted parts that end at ENDS. */
static void entries_merge(struct store_runs *runs, size_t *ends, size_t count)
{
    while (count > 1) {
        size_t begin = 0, pairs = 0;
        for (size_t i = 0; i < count; i += 2, pairs++) {
            size_t middle = ends[i], end = i + 1 < count ? ends[i + 1] : middle;
            pair(runs->other + begin, runs->entries, begin, middle, end);
            ends[pairs] = begin = end;
        }
        struct store_run_entry *entries = runs->other;
        runs->other = runs->entries;
        runs->entries = entries;
        count = pairs;
    }
}

/* ---- filter -------------------------------------------------------------------------------------------------- */

/* The line follows from the prefix's magnitude, so a sorted run fills its filter from front to back; the bits within it from a
 * mix of all of it. */
static uint64_t line_of(uint64_t prefix, uint64_t lines)
{
    return (uint64_t)((wide)prefix * lines >> 64);
}

static uint64_t bits_of(uint64_t prefix)
{
    prefix = (prefix ^ prefix >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return prefix ^ prefix >> 29;
}

static void line_set(uint8_t line[LINE_BYTES], uint64_t prefix)
{
    uint64_t bits = bits_of(prefix);
    for (unsigned i = 0; i < LINE_BITS; i++, bits >>= 9)
        line[bits >> 3 & (LINE_BYTES - 1)] |= (uint8_t)(1u << (bits & 7));
}

static bool line_has(const uint8_t line[LINE_BYTES], uint64_t prefix)
{
    uint64_t bits = bits_of(prefix);
    for (unsigned i = 0; i < LINE_BITS; i++, bits >>= 9)
        if ((line[bits >> 3 & (LINE_BYTES - 1)] >> (bits & 7) & 1) == 0)
            return false;
    return true;
}

static uint64_t lines_for(uint64_t entries)
{
    return (entries + LINE_ENTRIES - 1) / LINE_ENTRIES;
}

/* ---- seal ---------------------------------------------------------------------------------------------------- */

static size_t run_key(uint8_t key[1 + 8 + 4], uint8_t kind, uint64_t id)
{
    key[0] = kind;
    bytes_put_u64be(key + 1, id);
    return 1 + 8;
}

static uint8_t *put_row(struct store_batch *batch, uint8_t kind, uint64_t id, uint32_t page,
                        size_t value_len)
{
    uint8_t *key = store_batch_alloc(batch, 1 + 8 + 4);
    uint8_t *value = store_batch_alloc(batch, value_len);
    if (key == NULL || value == NULL)
        return NULL;
    size_t len = run_key(key, kind, id);
    if (kind == ROW_RECEIPT) {
        bytes_put_u32be(key + len, page);
        len += 4;
    }
    store_batch_put(batch, (struct svm_bytes){key, len}, (struct svm_bytes){value, value_len});
    return value;
}

static bool put_pages(struct store_runs *runs, struct store_batch *batch,
                      const struct store_run *run)
{
    for (uint32_t page = 0; page < run->pages; page++) {
        const struct store_run_entry *entry = &runs->entries[(size_t)page * PAGE_ENTRIES];
        size_t count = runs->entry_count - (size_t)page * PAGE_ENTRIES;
        if (count > PAGE_ENTRIES)
            count = PAGE_ENTRIES;
        uint8_t *value = put_row(batch, ROW_RECEIPT, run->id, page, count * ENTRY_BYTES);
        if (value == NULL)
            return false;
        for (size_t i = 0; i < count; i++, entry++) {
            bytes_put_u64le(value + i * ENTRY_BYTES, entry->prefix);
            bytes_put_u64le(value + i * ENTRY_BYTES + 8, entry->place);
        }
    }
    return true;
}

/* put_map: the map as a row, and as RUN's own. */
static bool put_map(struct store_runs *runs, struct store_batch *batch, struct store_run *run)
{
    const uint64_t lines = lines_for(run->entries);
    const size_t fences = (size_t)run->pages * 8, size = fences + lines * LINE_BYTES;
    struct run_map *map = calloc(1, sizeof *map);
    uint8_t *bytes = map == NULL ? NULL : calloc(1, size);
    uint8_t *value = put_row(batch, ROW_RUN_MAP, run->id, 0, size);
    if (bytes == NULL || value == NULL) {
        free(bytes);
        free(map);
        return false;
    }
    for (uint32_t page = 0; page < run->pages; page++)
        bytes_put_u64le(bytes + (size_t)page * 8,
                        runs->entries[(size_t)page * PAGE_ENTRIES].prefix);
    for (size_t i = 0; i < runs->entry_count; i++)
        line_set(bytes + fences + line_of(runs->entries[i].prefix, lines) * LINE_BYTES,
                 runs->entries[i].prefix);
    memcpy(value, bytes, size);
    *map = (struct run_map){.pages = run->pages, .lines = lines, .bytes = bytes};
    atomic_store_explicit(&run->map, map, memory_order_relaxed);
    return true;
}

static bool put_gone(struct store_runs *runs, struct store_batch *batch)
{
    for (size_t i = 0; i < runs->gone_count; i++) {
        const struct store_runs_gone *gone = &runs->gone[i];
        static const uint8_t kinds[] = {ROW_RUN, ROW_RUN_MAP, ROW_RECEIPT};
        for (size_t k = 0; k < sizeof kinds; k++) {
            uint32_t rows = kinds[k] == ROW_RECEIPT ? gone->pages : 1;
            for (uint32_t page = 0; page < rows; page++) {
                uint8_t *key = store_batch_alloc(batch, 1 + 8 + 4);
                if (key == NULL)
                    return false;
                size_t len = run_key(key, kinds[k], gone->id);
                if (kinds[k] == ROW_RECEIPT) {
                    bytes_put_u32be(key + len, page);
                    len += 4;
                }
                store_batch_del(batch, (struct svm_bytes){key, len});
            }
        }
    }
    runs->gone_taken = runs->gone_count;
    return true;
}

/* make: the entries, which are sorted, as a run of FIRST..LAST. */
static enum svm_err make(struct store_runs *runs, struct store_batch *batch, uint64_t first,
                         uint64_t last)
{
    SVM_ASSERT(runs->made == NULL);
    SVM_ASSERT(runs->entry_count > 0);
    struct store_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return SVM_E_NO_MEMORY;
    run->id = runs->next_id++;
    run->first = first;
    run->last = last;
    run->entries = runs->entry_count;
    run->pages = (uint32_t)((runs->entry_count + PAGE_ENTRIES - 1) / PAGE_ENTRIES);
    uint8_t *head = put_row(batch, ROW_RUN, run->id, 0, HEAD_BYTES);
    if (head == NULL || !put_pages(runs, batch, run) || !put_map(runs, batch, run)) {
        run_free(run);
        return SVM_E_NO_MEMORY;
    }
    head[0] = HEAD_VERSION;
    bytes_put_u64le(head + 1, run->first);
    bytes_put_u64le(head + 9, run->last);
    bytes_put_u64le(head + 17, run->entries);
    bytes_put_u32le(head + 25, run->pages);
    runs->made = run;
    return SVM_OK;
}

enum svm_err store_runs_seal(struct store_runs *runs, struct store_batch *batch, uint64_t first,
                             uint64_t last)
{
    if (!put_gone(runs, batch))
        return SVM_E_NO_MEMORY;
    if (runs->entry_count == 0)
        return SVM_OK;
    if (!run_reserve(runs))
        return SVM_E_NO_MEMORY;
    entries_sort(runs);
    enum svm_err err = make(runs, batch, first, last);
    if (err == SVM_OK)
        runs->made->replaces_at = runs->count;
    return err;
}

void store_runs_publish(struct store_runs *runs)
{
    struct store_run *run = runs->made;
    if (runs->gone_taken > 0)
        memmove(runs->gone, runs->gone + runs->gone_taken,
                (runs->gone_count - runs->gone_taken) * sizeof *runs->gone);
    runs->gone_count -= runs->gone_taken;
    runs->gone_taken = 0;
    runs->entry_count = 0;
    runs->made = NULL;
    if (run == NULL)
        return;
    const size_t at = run->replaces_at, old = run->replaces;
    pthread_rwlock_wrlock(&runs->lock);
    for (size_t i = at; i < at + old; i++) {
        gone_add(runs, runs->runs[i]);
        run_free(runs->runs[i]);
    }
    size_t behind = runs->count - at - old;
    memmove(&runs->runs[at + 1], &runs->runs[at + old], behind * sizeof(struct store_run *));
    runs->runs[at] = run;
    runs->count = at + 1 + behind;
    pthread_rwlock_unlock(&runs->lock);
}

/* ---- merge --------------------------------------------------------------------------------------------------- */

static unsigned level_of(const struct store_run *run)
{
    unsigned level = 0;
    for (uint64_t entries = run->entries; entries >= FAN_IN; entries /= FAN_IN)
        level++;
    return level;
}

static bool is_full(const struct store_run *run)
{
    return run->entries > RUN_ENTRIES_MAX / 2;
}

/* plan: neighbours that make one: at least FAN_IN of a level or below, up to the youngest. Their number, 0 = there are none. */
static size_t plan(const struct store_runs *runs, size_t *at_out)
{
    for (unsigned level = 0; (UINT64_C(1) << 3 * level) <= RUN_ENTRIES_MAX; level++) {
        size_t at = runs->count;
        while (at > 0 && level_of(runs->runs[at - 1]) <= level && !is_full(runs->runs[at - 1]))
            at--;
        if (runs->count - at < FAN_IN)
            continue;
        uint64_t entries = 0;
        size_t count = 0;
        for (; at + count < runs->count && count < MERGED_MAX; count++) {
            entries += runs->runs[at + count]->entries;
            if (entries > RUN_ENTRIES_MAX)
                break;
        }
        *at_out = at;
        SVM_ASSERT(count >= 2); /* two that are not full fit into one */
        return count;
    }
    return 0;
}

/* page_add: the entries of a page that lead to FLOOR or above. */
static enum svm_err page_add(struct store_runs *runs, struct svm_bytes value, uint64_t floor)
{
    if (value.len % ENTRY_BYTES != 0)
        return SVM_E_CORRUPT;
    for (size_t at = 0; at < value.len; at += ENTRY_BYTES) {
        struct store_run_entry entry = {bytes_get_u64le(value.ptr + at),
                                        bytes_get_u64le(value.ptr + at + 8)};
        if (entry.place >> STORE_PLACE_BITS < floor)
            continue;
        if (runs->entry_count == runs->entry_cap)
            return SVM_E_CORRUPT; /* more than the head says */
        runs->entries[runs->entry_count++] = entry;
    }
    return SVM_OK;
}

static enum svm_err run_read(struct store_runs *runs, const struct svm_kv_ops *kv,
                             struct svm_kv_iter *iter, const struct store_run *run, uint64_t floor)
{
    uint8_t prefix[1 + 8 + 4];
    struct svm_bytes key, value;
    uint32_t pages = 0;
    size_t len = run_key(prefix, ROW_RECEIPT, run->id);
    enum svm_err err = SVM_OK;
    kv->iter_seek(iter, (struct svm_bytes){prefix, len});
    for (; err == SVM_OK && kv->iter_valid(iter, &key, &value); kv->iter_next(iter)) {
        if (key.len != len + 4 || memcmp(key.ptr, prefix, len) != 0)
            break;
        err = page_add(runs, value, floor);
        pages++;
    }
    return err == SVM_OK && pages != run->pages ? SVM_E_CORRUPT : err;
}

enum svm_err store_runs_merge(struct store_runs *runs, const struct svm_kv_ops *kv,
                              struct store_batch *batch, uint64_t floor, bool *merged_out)
{
    size_t at = 0, count = plan(runs, &at);
    *merged_out = false;
    store_runs_begin(runs);
    if (count == 0)
        return SVM_OK;
    uint64_t entries = 0;
    for (size_t i = at; i < at + count; i++)
        entries += runs->runs[i]->entries;
    if (!entry_reserve(runs, (size_t)entries) || !gone_reserve(runs, count))
        return SVM_E_NO_MEMORY;
    struct svm_kv_iter *iter = kv->iter_open(kv->self);
    if (iter == NULL)
        return SVM_E_NO_MEMORY;
    size_t ends[MERGED_MAX];
    enum svm_err err = SVM_OK;
    for (size_t i = 0; err == SVM_OK && i < count; i++) {
        err = run_read(runs, kv, iter, runs->runs[at + i], floor);
        ends[i] = runs->entry_count;
    }
    enum svm_err closed = kv->iter_close(iter);
    if (err == SVM_OK)
        err = closed;
    if (err == SVM_OK)
        entries_merge(runs, ends, count);
    if (err == SVM_OK && runs->entry_count > 0)
        err = make(runs, batch, runs->runs[at]->first, runs->runs[at + count - 1]->last);
    if (err != SVM_OK || runs->entry_count == 0) {
        store_runs_begin(runs);
        return err;
    }
    runs->made->replaces_at = at;
    runs->made->replaces = count;
    *merged_out = true;
    return SVM_OK;
}

void store_runs_drop(struct store_runs *runs, uint64_t seq)
{
    size_t count = 0;
    while (count < runs->count && runs->runs[count]->last < seq)
        count++;
    if (count == 0 || !gone_reserve(runs, count))
        return; /* no memory: another time */
    pthread_rwlock_wrlock(&runs->lock);
    for (size_t i = 0; i < count; i++) {
        gone_add(runs, runs->runs[i]);
        run_free(runs->runs[i]);
    }
    memmove(runs->runs, runs->runs + count, (runs->count - count) * sizeof(struct store_run *));
    runs->count -= count;
    pthread_rwlock_unlock(&runs->lock);
}

/* ---- find ---------------------------------------------------------------------------------------------------- */

/* map_get: RUN's map, read when first asked for. Two may read it at once; one stays. */
static enum svm_err map_get(const struct svm_kv_ops *kv, struct store_run *run,
                            struct run_map **map_out)
{
    struct run_map *map = atomic_load_explicit(&run->map, memory_order_acquire);
    *map_out = map;
    if (map != NULL)
        return SVM_OK;
    uint8_t key[1 + 8 + 4], *bytes;
    size_t len = run_key(key, ROW_RUN_MAP, run->id), size;
    enum svm_err err = kv->get(kv->self, (struct svm_bytes){key, len}, &bytes, &size);
    if (err != SVM_OK)
        return err == SVM_E_NOT_FOUND ? SVM_E_CORRUPT : err;
    const uint64_t lines = lines_for(run->entries);
    map = size == (size_t)run->pages * 8 + lines * LINE_BYTES ? malloc(sizeof *map) : NULL;
    if (map == NULL) {
        free(bytes);
        return SVM_E_CORRUPT;
    }
    *map = (struct run_map){.pages = run->pages, .lines = lines, .bytes = bytes};
    if (!atomic_compare_exchange_strong_explicit(&run->map, map_out, map, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        map_free(map);
        return SVM_OK; /* *map_out is the other one's */
    }
    *map_out = map;
    return SVM_OK;
}

static uint64_t fence(const struct run_map *map, uint32_t page)
{
    return bytes_get_u64le(map->bytes + (size_t)page * 8);
}

/* first_page: the first one that can hold PREFIX. */
static uint32_t first_page(const struct run_map *map, uint64_t prefix)
{
    uint32_t low = 0, high = map->pages; /* pages below LOW begin below PREFIX, from HIGH on not */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (fence(map, middle) < prefix)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? 0 : low - 1;
}

static enum svm_err page_find(const struct svm_kv_ops *kv, const struct store_run *run,
                              uint32_t page, uint64_t prefix, store_place_fn *visit, void *arg)
{
    uint8_t key[1 + 8 + 4], *value;
    size_t key_len = run_key(key, ROW_RECEIPT, run->id), len;
    bytes_put_u32be(key + key_len, page);
    enum svm_err err = kv->get(kv->self, (struct svm_bytes){key, key_len + 4}, &value, &len);
    if (err != SVM_OK)
        return err == SVM_E_NOT_FOUND ? SVM_E_CORRUPT : err;
    size_t low = 0, high = len / ENTRY_BYTES;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_get_u64le(value + middle * ENTRY_BYTES) < prefix)
            low = middle + 1;
        else
            high = middle;
    }
    err = SVM_E_NOT_FOUND;
    for (size_t at = low * ENTRY_BYTES;
         err == SVM_E_NOT_FOUND && at + ENTRY_BYTES <= len && bytes_get_u64le(value + at) == prefix;
         at += ENTRY_BYTES)
        err = visit(arg, bytes_get_u64le(value + at + 8));
    free(value);
    return err;
}

static enum svm_err run_find(const struct svm_kv_ops *kv, struct store_run *run, uint64_t prefix,
                             store_place_fn *visit, void *arg)
{
    struct run_map *map;
    enum svm_err err = map_get(kv, run, &map);
    if (err != SVM_OK)
        return err;
    const uint8_t *filter = map->bytes + (size_t)map->pages * 8;
    if (!line_has(filter + line_of(prefix, map->lines) * LINE_BYTES, prefix))
        return SVM_E_NOT_FOUND;
    err = SVM_E_NOT_FOUND;
    for (uint32_t page = first_page(map, prefix);
         err == SVM_E_NOT_FOUND && page < map->pages && fence(map, page) <= prefix; page++)
        err = page_find(kv, run, page, prefix, visit, arg);
    return err;
}

enum svm_err store_runs_find(struct store_runs *runs, const struct svm_kv_ops *kv,
                             const struct svm_digest *digest, store_place_fn *visit, void *arg)
{
    const uint64_t prefix = bytes_get_u64be(digest->b);
    enum svm_err err = SVM_E_NOT_FOUND;
    pthread_rwlock_rdlock(&runs->lock);
    for (size_t i = runs->count; err == SVM_E_NOT_FOUND && i-- > 0;)
        err = run_find(kv, runs->runs[i], prefix, visit, arg);
    pthread_rwlock_unlock(&runs->lock);
    return err;
}

size_t store_runs_count(struct store_runs *runs)
{
    pthread_rwlock_rdlock(&runs->lock);
    size_t count = runs->count;
    pthread_rwlock_unlock(&runs->lock);
    return count;
}
