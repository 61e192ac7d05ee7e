#include "store/batch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/bytes.h"

enum {
    CHUNK_BYTES = 2 << 20,
    SPARES_MAX = 64,
    LATELY = 16, /* unit of what was used lately, and how slowly that sinks */
    CAP_MIN = 4096,
    CAP_WIDE = 8, /* times what was used lately: too much */
    PLACE_BITS = 14,
    ID_BYTES = 32,
    RADIX_BITS = 11,
    RADIX_SIZE = 1 << RADIX_BITS,
    AHEAD = 16
};

struct store_batch_chunk {
    struct store_batch_chunk *next;
    size_t used, size;
    uint8_t bytes[];
};

void store_batch_init(struct store_batch *batch)
{
    memset(batch, 0, sizeof *batch);
}

static void chunks_free(struct store_batch_chunk *chunk)
{
    while (chunk != NULL) {
        struct store_batch_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

static void arrays_free(struct store_batch *batch)
{
    free(batch->ops);
    free(batch->sorted);
    free(batch->ranks);
    free(batch->ranks_other);
    batch->ops = batch->sorted = NULL;
    batch->ranks = batch->ranks_other = NULL;
    batch->cap = 0;
}

void store_batch_deinit(struct store_batch *batch)
{
    chunks_free(batch->chunks);
    chunks_free(batch->spare);
    arrays_free(batch);
    free(batch->places);
    memset(batch, 0, sizeof *batch);
}

void store_batch_trim(struct store_batch *batch)
{
    SVM_ASSERT(batch->count == 0);
    SVM_ASSERT(batch->chunks == NULL);
    store_batch_deinit(batch);
}

/* lately: the most that was used, sinking by a little with each batch that needs less. */
static size_t lately(size_t most, size_t used)
{
    const size_t sunk = most - (most + LATELY * LATELY - 1) / (LATELY * LATELY);
    return used * LATELY > sunk ? used * LATELY : sunk;
}

/* arrays_shrink: what one long batch has needed, after a stall perhaps, is not kept for many short ones. */
static void arrays_shrink(struct store_batch *batch)
{
    batch->count_lately = lately(batch->count_lately, batch->count);
    if (batch->cap <= CAP_MIN || batch->cap / CAP_WIDE <= batch->count_lately / LATELY)
        return;
    arrays_free(batch);
}

void store_batch_clear(struct store_batch *batch)
{
    size_t used = 0, kept = 0;
    for (struct store_batch_chunk *chunk = batch->chunks; chunk != NULL; chunk = chunk->next)
        used++;
    if (used > 0)
        batch->chunks_lately = lately(batch->chunks_lately, used);
    size_t keep = (batch->chunks_lately + LATELY - 1) / LATELY;
    keep = keep < SPARES_MAX ? keep : SPARES_MAX;
    for (struct store_batch_chunk *spare = batch->spare; spare != NULL; spare = spare->next)
        kept++;
    while (batch->chunks != NULL) {
        struct store_batch_chunk *chunk = batch->chunks;
        batch->chunks = chunk->next;
        if (chunk->size < CHUNK_BYTES && kept < keep) {
            chunk->next = batch->spare;
            batch->spare = chunk;
            kept++;
        } else {
            free(chunk);
        }
    }
    for (; kept > keep; kept--) {
        struct store_batch_chunk *spare = batch->spare;
        batch->spare = spare->next;
        free(spare);
    }
    if (batch->places != NULL && batch->count > 0)
        memset(batch->places, 0, sizeof *batch->places << PLACE_BITS);
    if (batch->count > 0)
        arrays_shrink(batch);
    batch->count = 0;
    batch->no_memory = false;
}

static struct store_batch_chunk *chunk_open(struct store_batch *batch, size_t size)
{
    struct store_batch_chunk *chunk = batch->spare;
    if (chunk != NULL && size <= chunk->size) {
        batch->spare = chunk->next;
    } else {
        const size_t room = (sizeof *chunk + size + CHUNK_BYTES - 1) / CHUNK_BYTES * CHUNK_BYTES;
        chunk = aligned_alloc(CHUNK_BYTES, room);
        if (chunk == NULL)
            return NULL;
        (void)madvise(chunk, room, MADV_HUGEPAGE); /* rows are read all over it, in order of keys */
        chunk->size = room - sizeof *chunk;
    }
    chunk->used = 0;
    chunk->next = batch->chunks;
    batch->chunks = chunk;
    return chunk;
}

uint8_t *store_batch_alloc(struct store_batch *batch, size_t size)
{
    struct store_batch_chunk *chunk = batch->chunks;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        chunk = chunk_open(batch, size);
        if (chunk == NULL) {
            batch->no_memory = true;
            return NULL;
        }
    }
    uint8_t *memory = chunk->bytes + chunk->used;
    chunk->used += size;
    return memory;
}

static bool grow_to(void **array, size_t count, size_t size)
{
    void *grown = realloc(*array, count * size);
    if (grown == NULL)
        return false;
    *array = grown;
    return true;
}

static bool grow(struct store_batch *batch)
{
    size_t cap = batch->cap == 0 ? CAP_MIN : 2 * batch->cap;
    void *ops = batch->ops, *sorted = batch->sorted;
    void *ranks = batch->ranks, *ranks_other = batch->ranks_other;
    bool good = grow_to(&ops, cap, sizeof *batch->ops) &&
                grow_to(&sorted, cap, sizeof *batch->sorted) &&
                grow_to(&ranks, cap, sizeof *batch->ranks) &&
                grow_to(&ranks_other, cap, sizeof *batch->ranks_other);
    batch->ops = ops; /* what did grow has moved */
    batch->sorted = sorted;
    batch->ranks = ranks;
    batch->ranks_other = ranks_other;
    if (good)
        batch->cap = cap;
    return good;
}

static void add(struct store_batch *batch, const struct svm_kv_op *op)
{
    SVM_ASSERT(op->key.len > 0);
    if (batch->no_memory)
        return;
    if (batch->count == batch->cap && !grow(batch)) {
        batch->no_memory = true;
        return;
    }
    SVM_ASSERT(batch->count < UINT32_MAX);
    uint8_t head[8] = {0};
    memcpy(head, op->key.ptr, op->key.len < sizeof head ? op->key.len : sizeof head);
    batch->ranks[batch->count].rank = bytes_get_u64be(head);
    batch->ranks[batch->count].index = (uint32_t)batch->count;
    batch->ops[batch->count++] = *op;
}

void store_batch_put(struct store_batch *batch, struct svm_bytes key, struct svm_bytes value)
{
    add(batch, &(struct svm_kv_op){.key = key, .value = value, .del = false});
}

void store_batch_del(struct store_batch *batch, struct svm_bytes key)
{
    add(batch, &(struct svm_kv_op){.key = key, .del = true});
}

/* ---- rows that are written again ---------------------------------------------------------------------------- */

static struct store_batch_place *place_of(struct store_batch *batch, uint64_t rank)
{
    if (batch->places == NULL)
        batch->places = calloc((size_t)1 << PLACE_BITS, sizeof *batch->places);
    /* the first bytes of an id are a hash's; a multiplication, as those of a test need not be */
    return batch->places == NULL
               ? NULL
               : &batch->places[rank * UINT64_C(0x9e3779b97f4a7c15) >> (64 - PLACE_BITS)];
}

/* take_again: the room of the row's value at PLACE, if that is the row and has room for LEN bytes. */
static uint8_t *take_again(struct store_batch *batch, const struct store_batch_place *place,
                           const uint8_t id[ID_BYTES], uint64_t rank, size_t len)
{
    if (place == NULL || place->cap < len || place->rank != rank)
        return NULL;
    SVM_ASSERT(place->index < batch->count);
    struct svm_kv_op *op = &batch->ops[place->index];
    if (op->key.len != 1 + ID_BYTES || memcmp(op->key.ptr + 1, id, ID_BYTES) != 0)
        return NULL;
    op->value.len = len;
    return (uint8_t *)(uintptr_t)op->value.ptr;
}

uint8_t *store_batch_row(struct store_batch *batch, uint8_t kind, const uint8_t id[ID_BYTES],
                         size_t len)
{
    SVM_ASSERT(len > 0);
    const uint64_t rank = (uint64_t)kind << 56 | bytes_get_u64be(id) >> 8;
    struct store_batch_place *place = place_of(batch, rank);
    uint8_t *value = take_again(batch, place, id, rank, len);
    if (value != NULL)
        return value;
    uint8_t *key = store_batch_alloc(batch, 1 + ID_BYTES + len);
    if (key == NULL)
        return NULL;
    value = key + 1 + ID_BYTES;
    key[0] = kind;
    memcpy(key + 1, id, ID_BYTES);
    store_batch_put(batch, (struct svm_bytes){key, 1 + ID_BYTES}, (struct svm_bytes){value, len});
    if (place != NULL && !batch->no_memory && len <= UINT32_MAX)
        *place = (struct store_batch_place){rank, (uint32_t)(batch->count - 1), (uint32_t)len};
    return value;
}

/* ---- sort: radix by rank, then by whole key within equal ranks ---------------------------------------------- */

static void radix_sort(struct store_batch *batch)
{
    for (unsigned shift = 0; shift < 64; shift += RADIX_BITS) {
        size_t starts[RADIX_SIZE] = {0};
        const struct store_batch_rank *from = batch->ranks;
        struct store_batch_rank *to = batch->ranks_other;
        for (size_t i = 0; i < batch->count; i++)
            starts[from[i].rank >> shift & (RADIX_SIZE - 1)]++;
        if (starts[from[0].rank >> shift & (RADIX_SIZE - 1)] == batch->count)
            continue;
        for (size_t digit = 0, at = 0; digit < RADIX_SIZE; digit++) {
            size_t count = starts[digit];
            starts[digit] = at;
            at += count;
        }
        for (size_t i = 0; i < batch->count; i++)
            to[starts[from[i].rank >> shift & (RADIX_SIZE - 1)]++] = from[i];
        batch->ranks_other = batch->ranks;
        batch->ranks = to;
    }
}

static int key_order(const struct svm_kv_op *left, const struct svm_kv_op *right)
{
    size_t shared = left->key.len < right->key.len ? left->key.len : right->key.len;
    int order = memcmp(left->key.ptr, right->key.ptr, shared);
    if (order != 0)
        return order;
    return left->key.len < right->key.len ? -1 : left->key.len > right->key.len;
}

static int rank_order(const void *left, const void *right, void *arg)
{
    const struct store_batch *batch = arg;
    uint32_t a = ((const struct store_batch_rank *)left)->index;
    uint32_t b = ((const struct store_batch_rank *)right)->index;
    int order = key_order(&batch->ops[a], &batch->ops[b]);
    if (order != 0)
        return order;
    return a < b ? -1 : a > b;
}

static void sort_equal_ranks(struct store_batch *batch)
{
    struct store_batch_rank *ranks = batch->ranks;
    for (size_t begin = 0, end; begin < batch->count; begin = end) {
        bool sorted = true; /* rows by position come in order already */
        for (end = begin + 1; end < batch->count && ranks[end].rank == ranks[begin].rank; end++)
            sorted = sorted && rank_order(&ranks[end - 1], &ranks[end], batch) < 0;
        if (!sorted)
            qsort_r(ranks + begin, end - begin, sizeof *ranks, rank_order, batch);
    }
}

enum svm_err store_batch_sort(struct store_batch *batch, const struct svm_kv_op **ops_out,
                              size_t *count_out)
{
    if (batch->no_memory)
        return SVM_E_NO_MEMORY;
    *ops_out = batch->sorted;
    *count_out = 0;
    if (batch->count == 0)
        return SVM_OK;

    radix_sort(batch);
    sort_equal_ranks(batch);
    const struct store_batch_rank *ranks = batch->ranks;
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (i + AHEAD < batch->count) /* in order of keys they lie all over the memory */
            __builtin_prefetch(&batch->ops[ranks[i + AHEAD].index]);
        const struct svm_kv_op *op = &batch->ops[ranks[i].index];
        if (count > 0 && ranks[i].rank == ranks[i - 1].rank &&
            key_order(&batch->sorted[count - 1], op) == 0)
            count--;
        batch->sorted[count++] = *op;
    }
    *count_out = count;
    return SVM_OK;
}

size_t store_batch_tail(const struct svm_kv_op *ops, size_t count, uint8_t kind)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ops[middle].key.ptr[0] < kind)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
