#include "mvcc/internal.h"

#include <stdlib.h>

#include "base/fault.h"

/* Versions: their memory, and the chains they form.
 *
 * A retired version goes to the cache of the thread that reclaims it, which is the thread that trimmed it, which is the one that
 * published its successor and will need another soon; what the collector trims comes back to the writers through the depot. */

/* ---- memory ------------------------------------------------------------------------------------------------- */

void *mvcc_block_take(struct mvcc_thread *thread, size_t bytes)
{
    return bytes <= SLAB_BYTES_MAX ? slab_take(&thread->blocks, bytes) : malloc(bytes);
}

void mvcc_block_give(struct mvcc_thread *thread, void *block, size_t bytes)
{
    if (bytes > SLAB_BYTES_MAX) {
        free(block);
    } else if (thread != NULL) {
        slab_give(&thread->blocks, block, bytes);
    } else {
        slab_drop(block);
    }
}

struct mvcc_version *mvcc_version_create(struct mvcc_thread *thread, uint32_t size)
{
    if (size > MVCC_PAYLOAD_MAX) {
        return NULL;
    }
    struct mvcc_version *version = mvcc_block_take(thread, mvcc_version_block_bytes(size));
    if (version == NULL) {
        return NULL;
    }
    atomic_init(&version->older, (uintptr_t)(size >> MVCC_SIZE_LOW_BITS) << MVCC_OLDER_BITS);
    version->begin_seq = 0;
    version->size_low = size & ((1 << MVCC_SIZE_LOW_BITS) - 1);
    version->tombstone = false;
    return version;
}

void mvcc_version_reclaim(void *arg, struct qsbr_entry *entry)
{
    const struct mvcc_version *version = (const void *)entry;
    mvcc_block_give(arg, entry, mvcc_version_block_bytes(mvcc_version_size(version)));
}

void mvcc_version_destroy(struct mvcc_thread *thread, struct mvcc_version *version)
{
    if (version != NULL) {
        SVM_ASSERT(mvcc_older_is_none(version));
        mvcc_version_reclaim(thread, mvcc_version_entry(version));
    }
}

void mvcc_version_retire(struct mvcc_thread *thread, struct mvcc_version *version)
{
    qsbr_retire(thread->qsbr, MVCC_BLOCK_VERSION, mvcc_version_entry(version),
                mvcc_version_block_bytes(mvcc_version_size(version)));
}

/* ---- chains ------------------------------------------------------------------------------------------------- */

/* A version that is retired under the walk's feet no longer says what was behind it: the walk starts again. That happens once per version retired
 * meanwhile at most, and versions are retired by one walk per head and floor. The newest one is retired only with its head, when nothing was behind
 * it. What is returned has not been retired if a pin stands at SEQ: version_needed. */
const struct mvcc_version *mvcc_read_at(const struct mvcc_head *head, uint64_t seq)
{
    const struct mvcc_version *version = mvcc_newest(head);
    while (version != NULL && version->begin_seq > seq && !FAULT_BUG("snapshot-newest")) {
        FAULT_POINT("mvcc.walk.step");
        uintptr_t older = atomic_load_explicit(&version->older, memory_order_acquire);
        if ((older & MVCC_OLDER_LEFT) == 0) {
            version = (const struct mvcc_version *)(older & MVCC_OLDER_MASK);
        } else {
            const struct mvcc_version *newest = mvcc_newest(head);
            version = newest == version ? NULL : newest;
        }
    }
    return version;
}

/* A snapshot at s sees VERSION when begin <= s < its successor's begin. Nobody needs it when no snapshot can be there: the
 * successor began at or before H, so no pin that stands later is below it, and no pin of the floor is in between. What had been
 * unlinked in between before had no pin in its interval either, so the successor that is linked now may stand for all of them.
 * *PINS_LEFT: pins of the floor below the successor's begin; falls as the walk goes on. */
static bool version_needed(const struct mvcc_floor *floor, uint32_t *pins_left, uint64_t begin,
                           uint64_t successor_begin)
{
    if (successor_begin > floor->applied + FAULT_BUG("gc-early")) {
        return true;
    }
    while (*pins_left > 0 && floor->pins[*pins_left - 1] >= successor_begin) {
        (*pins_left)--;
    }
    return *pins_left > 0 && floor->pins[*pins_left - 1] >= begin;
}

/* The walk is bounded: what it passes is at most the versions published since the floor (few: the first publication after a new
 * floor trims), one per pin, and MVCC_TRIM_MAX that it unlinks. Each version is unlinked once, so the cost is O(1) per publication and
 * one walk over the pinned ones per head and floor.
 *
 * So no chain outgrows the collector, whatever a reader has kept and for how long. Under an open snapshot a chain has one version per pin, not all
 * since. It is long only where the floor has stood still: while the collector walks, or is switched off. Afterwards a publication adds one version
 * and unlinks MVCC_TRIM_MAX; what gets no more publications, the next walk finishes (collect.c). */
uint64_t mvcc_chain_trim(struct mvcc_table *table, struct mvcc_thread *thread,
                         struct mvcc_head *head)
{
    const struct mvcc_floor *floor =
        atomic_load_explicit(&table->mvcc->pins.floor, memory_order_acquire);
    if (floor == NULL ||
        atomic_load_explicit(&head->trimmed_at, memory_order_relaxed) == floor->epoch) {
        return 0;
    }
    uint64_t trimmed = 0;
    uint64_t bytes = 0;
    uint32_t pins_left = floor->count;
    struct mvcc_version *kept = atomic_load_explicit(&head->newest, memory_order_relaxed);
    uint64_t successor_begin = kept->begin_seq;
    struct mvcc_version *version = mvcc_older(kept);
    while (version != NULL && trimmed < MVCC_TRIM_MAX) {
        struct mvcc_version *older = mvcc_older(version);
        uint64_t begin = version->begin_seq;
        if (version_needed(floor, &pins_left, begin, successor_begin)) {
            kept = version;
        } else {
            uintptr_t size =
                atomic_load_explicit(&kept->older, memory_order_relaxed) & ~MVCC_OLDER_MASK;
            atomic_store_explicit(&kept->older, size | (uintptr_t)older, memory_order_release);
            bytes += mvcc_version_bytes(version);
            trimmed++;
            mvcc_version_retire(thread, version);
        }
        successor_begin = begin;
        version = older;
    }
    if (version == NULL) {
        atomic_store_explicit(&head->trimmed_at, floor->epoch, memory_order_relaxed);
    }
    if (trimmed > 0) {
        mvcc_count(table, thread, MVCC_COUNT_VERSIONS, 0 - trimmed);
        mvcc_count(table, thread, MVCC_COUNT_GARBAGE, 0 - trimmed);
        mvcc_count(table, thread, MVCC_COUNT_BYTES, 0 - bytes);
        mvcc_count(table, thread, MVCC_COUNT_TRIMMED, trimmed);
    }
    return trimmed;
}
