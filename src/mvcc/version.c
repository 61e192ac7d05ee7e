#include "mvcc/internal.h"

#include <stdlib.h>

#include "base/fault.h"

/* Versions: their memory, and the chains they form.
 *
 * A retired version goes to the free list of the thread that reclaims it, which is the thread that trimmed it, which is the one
 * that published its successor and will need another soon. Under AddressSanitizer every version is a malloc of its own. */

#if defined(__SANITIZE_ADDRESS__)
#define KEEP_VERSIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEP_VERSIONS 0
#endif
#endif
#ifndef KEEP_VERSIONS
#define KEEP_VERSIONS 1
#endif

enum {
    TRIM_MAX = 1024
}; /* versions unlinked under one claim; a chain with more is finished by the next publications */

/* ---- memory ------------------------------------------------------------------------------------------------- */

/* Blocks of a class are of 16 * class - 8 bytes: with its own word beside it that is what malloc would take anyway. */
static size_t class_of(uint32_t size)
{
    return (mvcc_version_block_bytes(size) + 8 + MVCC_CLASS_STEP - 1) / MVCC_CLASS_STEP;
}

static size_t block_bytes(uint32_t size)
{
    size_t size_class = class_of(size);
    return KEEP_VERSIONS && size_class < MVCC_CLASSES ? size_class * MVCC_CLASS_STEP - 8
                                                      : mvcc_version_block_bytes(size);
}

struct mvcc_version *mvcc_version_create(struct mvcc_thread *thread, uint32_t size)
{
    struct mvcc_version *version;
    size_t size_class = class_of(size);
    if (KEEP_VERSIONS && size_class < MVCC_CLASSES && thread->kept[size_class] != NULL) {
        version = thread->kept[size_class];
        thread->kept[size_class] = atomic_load_explicit(&version->older, memory_order_relaxed);
        thread->kept_count[size_class]--;
    } else {
        struct qsbr_entry *entry = malloc(block_bytes(size));
        if (entry == NULL) {
            return NULL;
        }
        version = mvcc_entry_block(entry);
    }
    atomic_init(&version->older, NULL);
    version->begin_seq = 0;
    version->version = 0;
    version->size = size;
    version->tombstone = false;
    return version;
}

void mvcc_version_reclaim(void *arg, struct qsbr_entry *entry)
{
    struct mvcc_thread *thread = arg;
    struct mvcc_version *version = mvcc_entry_block(entry);
    size_t size_class = class_of(version->size);
    if (!KEEP_VERSIONS || thread == NULL || size_class >= MVCC_CLASSES ||
        thread->kept_count[size_class] >= MVCC_CLASS_KEPT_MAX) {
        free(entry);
        return;
    }
    atomic_store_explicit(&version->older, thread->kept[size_class], memory_order_relaxed);
    thread->kept[size_class] = version;
    thread->kept_count[size_class]++;
}

void mvcc_version_destroy(struct mvcc_thread *thread, struct mvcc_version *version)
{
    if (version != NULL) {
        SVM_ASSERT(atomic_load_explicit(&version->older, memory_order_relaxed) == NULL);
        mvcc_version_reclaim(thread, mvcc_version_entry(version));
    }
}

void mvcc_version_retire(struct mvcc_thread *thread, struct mvcc_version *version)
{
    qsbr_retire(thread->qsbr, MVCC_BLOCK_VERSION, mvcc_version_entry(version),
                mvcc_version_block_bytes(version->size));
}

void mvcc_versions_free_kept(struct mvcc_thread *thread)
{
    for (size_t size_class = 0; size_class < MVCC_CLASSES; size_class++) {
        while (thread->kept[size_class] != NULL) {
            struct mvcc_version *version = thread->kept[size_class];
            thread->kept[size_class] = atomic_load_explicit(&version->older, memory_order_relaxed);
            free(mvcc_version_entry(version));
        }
        thread->kept_count[size_class] = 0;
    }
}

/* ---- chains ------------------------------------------------------------------------------------------------- */

const struct mvcc_version *mvcc_read_at(const struct mvcc_head *head, uint64_t seq)
{
    const struct mvcc_version *version = mvcc_newest(head);
    while (version != NULL && version->begin_seq > seq) {
        version = atomic_load_explicit(&version->older, memory_order_acquire);
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
    if (successor_begin > floor->applied) {
        return true;
    }
    while (*pins_left > 0 && floor->pins[*pins_left - 1] >= successor_begin) {
        (*pins_left)--;
    }
    return *pins_left > 0 && floor->pins[*pins_left - 1] >= begin;
}

/* The walk is bounded: what it passes is at most the versions published since the floor (few: the first publication after a new
 * floor trims), one per pin, and TRIM_MAX that it unlinks. Each version is unlinked once, so the cost is O(1) per publication and
 * one walk over the pinned ones per head and floor. */
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
    struct mvcc_version *version = atomic_load_explicit(&kept->older, memory_order_relaxed);
    while (version != NULL && trimmed < TRIM_MAX) {
        struct mvcc_version *older = atomic_load_explicit(&version->older, memory_order_relaxed);
        uint64_t begin = version->begin_seq;
        if (version_needed(floor, &pins_left, begin, successor_begin)) {
            kept = version;
        } else {
            atomic_store_explicit(&kept->older, older, memory_order_release);
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
