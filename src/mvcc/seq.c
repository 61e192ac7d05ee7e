#include "mvcc/internal.h"

#include <stdlib.h>

#include "base/fault.h"

/* The sequence: one counter, and a slot for each number in flight in which it is marked finished. Numbers taken together are finished
 * together: the slot of the first says how many.
 *
 * `applied` is the end of the contiguous finished prefix. It is never left behind: a thread that marks its seq and stops because some
 * earlier j is not finished has looked at j's slot after marking its own (both sequentially consistent); so whoever finishes j
 * marks it after that look, looks after that, and finds this thread's mark. By induction the last to finish carries applied
 * over all. A thread whose CAS fails starts over: somebody else moved it.
 *
 * A slot is not cleared: what stands in it is at least a whole ring older than what is looked for, because a number is taken only with
 * a credit, and a credit comes back when its number has been taken (mvcc_seq_take). */

enum { SLOTS_PER_LINE_PAIR = 8, SLOTS_PER_LINE_PAIR_SHIFT = 3 };

bool mvcc_seq_init(struct mvcc_seq *seq, uint32_t inflight_max, uint64_t first_seq,
                   bool records_kept)
{
    SVM_ASSERT(inflight_max >= 2);
    SVM_ASSERT((inflight_max & (inflight_max - 1)) == 0);
    SVM_ASSERT(first_seq >= 1);
    size_t bytes = inflight_max * sizeof(struct mvcc_seq_slot);
    seq->slots = aligned_alloc(128, (bytes + 127) & ~(size_t)127);
    seq->records = records_kept ? calloc(inflight_max, sizeof *seq->records) : NULL;
    if (seq->slots == NULL || (records_kept && seq->records == NULL)) {
        mvcc_seq_deinit(seq);
        return false;
    }
    for (uint32_t i = 0; i < inflight_max; i++) {
        atomic_init(&seq->slots[i].tag, 0); /* numbers begin at 1 */
        atomic_init(&seq->slots[i].run, 0);
    }
    atomic_init(&seq->next, first_seq);
    atomic_init(&seq->applied, first_seq - 1);
    atomic_init(&seq->taken, first_seq - 1);
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
    free(seq->records);
    seq->slots = NULL;
    seq->records = NULL;
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
    return mvcc_seq_next_many(mvcc, 1);
}

uint64_t mvcc_seq_next_many(struct mvcc *mvcc, uint32_t count)
{
    FAULT_POINT("mvcc.seq.before");
    uint64_t seq = atomic_fetch_add_explicit(&mvcc->seq.next, count, memory_order_seq_cst);
    FAULT_POINT("mvcc.seq.after");
    return seq;
}

/* What stands up to here needs its places no more. */
static uint64_t consumed(const struct mvcc_seq *s)
{
    return atomic_load_explicit(s->records != NULL ? &s->taken : &s->applied, memory_order_acquire);
}

void mvcc_seq_hand_over(struct mvcc *mvcc, uint64_t seq, void *record)
{
    mvcc_seq_hand_over_many(mvcc, seq, &record, 1);
}

void mvcc_seq_hand_over_many(struct mvcc *mvcc, uint64_t seq, void *const *records, uint32_t count)
{
    struct mvcc_seq *s = &mvcc->seq;
    struct mvcc_seq_slot *slot = slot_of(s, seq);
    /* Free, since the caller had credits. The acquire takes the places over from mvcc_seq_take. */
    SVM_ASSERT(count > 0 && seq + count - 1 - consumed(s) <= s->mask + 1);
    FAULT_POINT("mvcc.hand_over.before");
    for (uint32_t i = 0; s->records != NULL && i < count; i++) {
        s->records[(seq + i) & s->mask] = records[i];
    }
    atomic_store_explicit(&slot->run, count, memory_order_relaxed);
    atomic_store_explicit(&slot->tag, seq, memory_order_seq_cst);
    FAULT_POINT("mvcc.hand_over.after");
    /* Mostly everything before it is finished. A guess takes the line at once for writing; a look first would fetch it twice from the
     * processor that wrote it last. */
    uint64_t before = FAULT_BUG("applied-gap") ? mvcc_applied(mvcc) : seq - 1;
    (void)atomic_compare_exchange_strong_explicit(&s->applied, &before, seq + count - 1,
                                                  memory_order_seq_cst, memory_order_relaxed);
    for (;;) {
        uint64_t applied = atomic_load_explicit(&s->applied, memory_order_seq_cst);
        uint64_t end = applied;
        for (slot = slot_of(s, end + 1);
             atomic_load_explicit(&slot->tag, memory_order_seq_cst) == end + 1;
             slot = slot_of(s, end + 1)) {
            end += atomic_load_explicit(&slot->run, memory_order_relaxed);
        }
        if (end == applied) {
            return;
        }
        FAULT_POINT("mvcc.hand_over.scanned");
        (void)atomic_compare_exchange_strong_explicit(&s->applied, &applied, end,
                                                      memory_order_seq_cst, memory_order_relaxed);
    }
}

uint64_t mvcc_seq_outstanding(const struct mvcc *mvcc)
{
    uint64_t applied = mvcc_applied(mvcc); /* first: it never passes the others */
    return atomic_load_explicit(&mvcc->seq.next, memory_order_relaxed) - 1 - applied;
}

uint64_t mvcc_applied(const struct mvcc *mvcc)
{
    return atomic_load_explicit(&mvcc->seq.applied, memory_order_acquire);
}

void *mvcc_seq_peek(const struct mvcc *mvcc, uint64_t seq)
{
    SVM_ASSERT(seq <= mvcc_applied(mvcc));
    SVM_ASSERT(seq > atomic_load_explicit(&mvcc->seq.taken, memory_order_relaxed));
    return mvcc->seq.records[seq & mvcc->seq.mask];
}

void *mvcc_seq_take(struct mvcc *mvcc, uint64_t seq)
{
    SVM_ASSERT(seq == atomic_load_explicit(&mvcc->seq.taken, memory_order_relaxed) + 1);
    void *record = mvcc_seq_peek(mvcc, seq);
    atomic_store_explicit(&mvcc->seq.taken, seq, memory_order_release);
    return record;
}
