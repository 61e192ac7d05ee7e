#include "mvcc/internal.h"

#include "base/fault.h"

/* The collector's walk through a table, and visits.
 *
 * Both read the array of a shard without its mutex. An array that was replaced meanwhile still serves: heads inserted since are missed, heads
 * evicted since are DEAD, and as the walker is online since before, none of it is freed. */

/* Visiting an empty slot costs an eighth of visiting a head: a budget bounds the work in empty tables too. A part of a long chain costs as
 * many heads as it has versions. */
enum { COST_HEAD = 8, COST_SLOT = 1, COST_PART = MVCC_TRIM_MAX * COST_HEAD };

struct collection {
    struct mvcc_table *table;
    struct mvcc_thread *thread;
    uint64_t evict_below; /* begin_seq at or below it may be evicted */
    bool may_evict;       /* there is a disk to load from; without one only ABSENT heads go */
    uint64_t excess;      /* bytes that the table holds too many */
    struct mvcc_collected *collected;
};

static bool maintenance_try_claim(struct mvcc_head *head, uint64_t *state_out)
{
    uint64_t state = atomic_load_explicit(&head->state, memory_order_relaxed);
    enum mvcc_status status = mvcc_state_status(state);
    if ((state & (MVCC_CLAIM | MVCC_MAINTENANCE)) != 0 || status == MVCC_LOADING ||
        status == MVCC_DEAD) {
        return false;
    }
    *state_out = state;
    bool claimed = atomic_compare_exchange_strong_explicit(
        &head->state, &state, state | MVCC_MAINTENANCE, memory_order_seq_cst, memory_order_relaxed);
    if (claimed) {
        FAULT_POINT("mvcc.maintenance.claimed");
    }
    return claimed;
}

static void maintenance_release(struct mvcc_head *head, uint64_t state)
{
    atomic_store_explicit(&head->state, state, memory_order_release);
}

/* Returns how many versions it has unlinked. */
static uint64_t head_trim(struct collection *c, struct mvcc_head *head)
{
    const struct mvcc_floor *floor =
        atomic_load_explicit(&c->table->mvcc->pins.floor, memory_order_acquire);
    const struct mvcc_version *newest = mvcc_newest(head);
    uint64_t state;
    if (newest == NULL || mvcc_older_is_none(newest) || floor == NULL ||
        atomic_load_explicit(&head->trimmed_at, memory_order_relaxed) == floor->epoch ||
        !maintenance_try_claim(head, &state)) {
        return 0;
    }
    const uint64_t trimmed = mvcc_chain_trim(c->table, c->thread, head);
    maintenance_release(head, state);
    c->collected->versions += trimmed;
    return trimmed;
}

/* Under a maintenance claim: is this head's one version on the disk and of no use to a snapshot that would not find it there? */
static bool head_evictable(const struct collection *c, const struct mvcc_head *head, uint64_t state)
{
    if (mvcc_state_status(state) == MVCC_ABSENT) {
        return true;
    }
    const struct mvcc_version *newest = mvcc_newest(head);
    return c->may_evict && mvcc_older_is_none(newest) &&
           (newest->begin_seq <= c->evict_below || FAULT_BUG("evict-unstored"));
}

static void head_evict_locked(struct collection *c, struct mvcc_hash hash, struct mvcc_head *head)
{
    uint64_t state;
    if (!maintenance_try_claim(head, &state)) {
        return;
    }
    uint32_t none = 0;
    if (!head_evictable(c, head, state) ||
        !atomic_compare_exchange_strong_explicit(&head->holds, &none, MVCC_HOLDS_CLOSED,
                                                 memory_order_acq_rel, memory_order_relaxed)) {
        maintenance_release(head, state);
        return;
    }
    FAULT_POINT("mvcc.evict.closed");
    mvcc_index_del_locked(c->table, hash, head);
    atomic_store_explicit(&head->state, mvcc_state_of(MVCC_DEAD, 0), memory_order_release);
    FAULT_POINT("mvcc.evict.dead");

    struct mvcc_version *version = atomic_load_explicit(&head->newest, memory_order_relaxed);
    uint64_t bytes = mvcc_head_bytes(head);
    if (version != NULL) {
        bytes += mvcc_version_bytes(version);
        mvcc_count(c->table, c->thread, MVCC_COUNT_VERSIONS, 0 - (uint64_t)1);
        mvcc_version_retire(c->thread, version);
    }
    mvcc_count(c->table, c->thread, MVCC_COUNT_HEADS, 0 - (uint64_t)1);
    mvcc_count(c->table, c->thread, MVCC_COUNT_BYTES, 0 - bytes);
    mvcc_count(c->table, c->thread, MVCC_COUNT_EVICTED, 1);
    qsbr_retire(c->thread->qsbr, MVCC_BLOCK_HEAD, mvcc_head_entry(head),
                mvcc_head_block_bytes(head->key_len));
    c->excess -= bytes < c->excess ? bytes : c->excess;
    c->collected->evicted++;
}

/* The cheap questions first, without the mutex; they are asked again under the claim. */
static void head_try_evict(struct collection *c, uint32_t shard_index, uint64_t slot)
{
    struct mvcc_head *head = mvcc_slot_head(slot);
    uint64_t state = mvcc_state(head);
    if (!c->table->collect_pressed &&
        atomic_load_explicit(&head->referenced, memory_order_relaxed) != 0) {
        atomic_store_explicit(&head->referenced, 0, memory_order_relaxed); /* second chance */
        return;
    }
    if (atomic_load_explicit(&head->holds, memory_order_relaxed) != 0 ||
        (mvcc_state_status(state) != MVCC_ABSENT && mvcc_newest(head) == NULL) ||
        !head_evictable(c, head, state)) {
        return;
    }
    struct mvcc_shard *shard = &c->table->shards[shard_index];
    struct mvcc_hash hash = {
        .shard = shard_index, .place = head->hash, .tag = (uint16_t)(slot >> 48)};
    pthread_mutex_lock(&shard->mutex);
    head_evict_locked(c, hash, head);
    pthread_mutex_unlock(&shard->mutex);
}

/* From the cursor to the end of the shard, while the budget lasts. Returns what is left of it; 0: the shard is not finished. */
static size_t shard_collect(struct collection *c, size_t budget)
{
    struct mvcc_table *table = c->table;
    uint32_t index = table->collect_shard;
    const struct mvcc_array *array = mvcc_shard_array(&table->shards[index]);
    while (table->collect_slot < (uint64_t)array->lines * MVCC_LINE_SLOTS) {
        if (budget < COST_HEAD) {
            return 0;
        }
        uint64_t slot =
            atomic_load_explicit(&array->slots[table->collect_slot], memory_order_acquire);
        if (mvcc_slot_head(slot) == NULL) {
            budget -= COST_SLOT;
            table->collect_slot++;
            continue;
        }
        budget -= COST_HEAD;
        if (head_trim(c, mvcc_slot_head(slot)) == MVCC_TRIM_MAX) {
            budget -= budget < COST_PART ? budget : COST_PART;
            continue; /* a writer may have it in between; then the rest is his */
        }
        if (c->excess > 0) {
            head_try_evict(c, index, slot);
        }
        table->collect_slot++;
    }
    return budget;
}

bool mvcc_collect(struct mvcc_table *table, struct mvcc_thread *thread, uint64_t materialised,
                  uint64_t cache_bytes, size_t budget, struct mvcc_collected *collected)
{
    SVM_ASSERT(budget > 0);
    struct mvcc_counts counts;
    mvcc_counts(table, &counts);
    uint64_t floor = mvcc_floor(table->mvcc);
    struct collection c = {.table = table,
                           .thread = thread,
                           .evict_below = floor < materialised ? floor : materialised,
                           .may_evict = materialised != 0,
                           .excess = counts.bytes > cache_bytes ? counts.bytes - cache_bytes : 0,
                           .collected = collected};
    mvcc_heads_aborted_collect(table, thread);
    size_t left = budget > SIZE_MAX / COST_HEAD ? SIZE_MAX : budget * COST_HEAD;
    bool more = true;
    for (;;) {
        left = shard_collect(&c, left);
        if (left == 0) {
            break;
        }
        table->collect_slot = 0;
        table->collect_shard = (table->collect_shard + 1) % MVCC_SHARDS;
        if (table->collect_shard == 0) {
            table->collect_pressed = c.excess > 0;
            more = false;
            break;
        }
    }
    qsbr_drain(thread->qsbr);
    if (!more) {
        slab_depot_trim(table->mvcc->blocks);
    }
    return more;
}

bool mvcc_visit_shard(struct mvcc_table *table, uint32_t shard, mvcc_visit_fn *visit, void *arg)
{
    SVM_ASSERT(shard < MVCC_SHARDS);
    const struct mvcc_array *array = mvcc_shard_array(&table->shards[shard]);
    for (uint64_t at = 0; at < (uint64_t)array->lines * MVCC_LINE_SLOTS; at++) {
        struct mvcc_head *head =
            mvcc_slot_head(atomic_load_explicit(&array->slots[at], memory_order_acquire));
        if (head != NULL && mvcc_state_status(mvcc_state(head)) != MVCC_DEAD && !visit(arg, head)) {
            return false;
        }
    }
    return true;
}

void mvcc_visit(struct mvcc_table *table, mvcc_visit_fn *visit, void *arg)
{
    for (uint32_t i = 0; i < MVCC_SHARDS; i++) {
        if (!mvcc_visit_shard(table, i, visit, arg)) {
            return;
        }
    }
}
