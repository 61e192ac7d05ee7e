#include "mvcc/internal.h"

#include <stdlib.h>

#include "base/fault.h"

/* The sequence: one counter, and a slot for each number in flight in which it is marked finished.
 *
 * `applied` is the end of the contiguous finished prefix. It is never left behind: a thread that marks its seq and stops because some
 * earlier j is not finished has looked at j's slot after marking its own (both sequentially consistent); so whoever finishes j
 * marks it after that look, looks after that, and finds this thread's mark. By induction the last to finish carries applied
 * over all. A thread whose CAS fails starts over: somebody else moved it. */

#define SLOT_FREE UINT64_MAX
enum { SLOTS_PER_LINE_PAIR = 8, SLOTS_PER_LINE_PAIR_SHIFT = 3 };

bool mvcc_seq_init(struct mvcc_seq *seq, uint32_t inflight_max, uint64_t first_seq)
{
    SVM_ASSERT(inflight_max >= 2);
    SVM_ASSERT((inflight_max & (inflight_max - 1)) == 0);
    SVM_ASSERT(first_seq >= 1);
    size_t bytes = inflight_max * sizeof(struct mvcc_seq_slot);
    seq->slots = aligned_alloc(128, (bytes + 127) & ~(size_t)127);
    if (seq->slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < inflight_max; i++) {
        atomic_init(&seq->slots[i].tag, SLOT_FREE);
        seq->slots[i].record = NULL;
    }
    atomic_init(&seq->next, first_seq);
    atomic_init(&seq->applied, first_seq - 1);
    seq->taken = first_seq - 1;
    seq->mask = inflight_max - 1;
    seq->line_shift = 0;
    while (((uint64_t)SLOTS_PER_LINE_PAIR << seq->line_shift) < inflight_max) {
        seq->line_shift++;
    }
    return true;
}

void mvcc_seq_deinit(struct mvcc_seq *seq)
{
    free(seq->slots);
}

/* Neighbouring numbers are finished by different threads at about the same time: they stand in different pairs of cache lines. */
static struct mvcc_seq_slot *slot_of(const struct mvcc_seq *seq, uint64_t number)
{
    uint64_t i = number & seq->mask;
    uint64_t lines = ((uint64_t)1 << seq->line_shift) - 1;
    uint64_t at = (i & lines) << SLOTS_PER_LINE_PAIR_SHIFT | i >> seq->line_shift;
    return &seq->slots[at & seq->mask];
}

uint64_t mvcc_seq_next(struct mvcc *mvcc)
{
    FAULT_POINT("mvcc.seq.before");
    uint64_t seq = atomic_fetch_add_explicit(&mvcc->seq.next, 1, memory_order_seq_cst);
    FAULT_POINT("mvcc.seq.after");
    return seq;
}

void mvcc_seq_hand_over(struct mvcc *mvcc, uint64_t seq, void *record)
{
    struct mvcc_seq *s = &mvcc->seq;
    struct mvcc_seq_slot *slot = slot_of(s, seq);
    /* Free, since the caller had a credit. The acquire takes the slot over from mvcc_seq_take. */
    SVM_ASSERT(atomic_load_explicit(&slot->tag, memory_order_acquire) == SLOT_FREE);
    FAULT_POINT("mvcc.hand_over.before");
    slot->record = record;
    atomic_store_explicit(&slot->tag, seq, memory_order_seq_cst);
    FAULT_POINT("mvcc.hand_over.after");
    /* Mostly everything before it is finished. A guess takes the line at once for writing; a look first would fetch it twice from the
     * processor that wrote it last. */
    uint64_t before = seq - 1;
    (void)atomic_compare_exchange_strong_explicit(&s->applied, &before, seq, memory_order_seq_cst,
                                                  memory_order_relaxed);
    for (;;) {
        uint64_t applied = atomic_load_explicit(&s->applied, memory_order_seq_cst);
        uint64_t end = applied;
        while (atomic_load_explicit(&slot_of(s, end + 1)->tag, memory_order_seq_cst) == end + 1) {
            end++;
        }
        if (end == applied) {
            return;
        }
        FAULT_POINT("mvcc.hand_over.scanned");
        (void)atomic_compare_exchange_strong_explicit(&s->applied, &applied, end,
                                                      memory_order_seq_cst, memory_order_relaxed);
    }
}

uint64_t mvcc_applied(const struct mvcc *mvcc)
{
    return atomic_load_explicit(&mvcc->seq.applied, memory_order_acquire);
}

void *mvcc_seq_peek(const struct mvcc *mvcc, uint64_t seq)
{
    const struct mvcc_seq_slot *slot = slot_of(&mvcc->seq, seq);
    SVM_ASSERT(seq <= mvcc_applied(mvcc));
    SVM_ASSERT(atomic_load_explicit(&slot->tag, memory_order_acquire) == seq);
    return slot->record;
}

void *mvcc_seq_take(struct mvcc *mvcc, uint64_t seq)
{
    SVM_ASSERT(seq == mvcc->seq.taken + 1);
    void *record = mvcc_seq_peek(mvcc, seq);
    struct mvcc_seq_slot *slot = slot_of(&mvcc->seq, seq);
    mvcc->seq.taken = seq;
    slot->record = NULL;
    atomic_store_explicit(&slot->tag, SLOT_FREE, memory_order_release);
    return record;
}
