#include "mvcc/internal.h"

#include "base/fault.h"

/* The claim protocol, written down once.
 *
 * THEOREM. The order of seq is a serial order: what transaction T read is, for everything it read, the last version published by
 * a transaction with a lower seq.
 *
 * Five kinds of step matter:
 *
 *     R(x)   the load of the word that T's read began and ended with          mvcc_state       acquire
 *     C(x)   claim: the CAS of x's state word from unclaimed to claimed       mvcc_try_claim   sequentially consistent
 *     N      the fetch_add that gives a seq                                   mvcc_seq_next    sequentially consistent
 *     V(x)   the load of x's state word for T's validation                    mvcc_unchanged   sequentially consistent
 *     P(x)   the store of x's new unclaimed word                              mvcc_publish     release
 *
 * A transaction does  R(each read), C(each write), then N, then V(each read), then P(each write). C, N and V stand in one order S
 * that agrees with the order in each thread; "<" below is S or happens-before, and for the N, all read-modify-writes of one counter,
 * either means the order of seq.
 *
 * 1. Writers of one x. Between C_T(x) and P_T(x) nobody else's CAS of x succeeds, so claims of x do not overlap. If W claims x
 *    after T, C_W(x) has acquired P_T(x) or something later: N_T < P_T(x) < C_W(x) < N_W, and seq_T < seq_W. Versions of x are
 *    chained in order of seq.
 * 2. T reads x, W overwrites it, T did not see W's version. V_T(x) found the word that T had read, unclaimed (or claimed by T itself:
 *    case 1): a word that stood before C_W(x), and that C_W(x) had acquired. Were C_W(x) before V_T(x) in S, V could not have
 *    returned it. So N_T < V_T(x) < C_W(x) < N_W: seq_T < seq_W. Whoever overwrites what T read takes a later seq.
 *    (Without V after N: W could claim and take its seq between T's read and N_T, and be earlier though T has not seen it.)
 *    For an x that T has claimed itself V_T(x) needs no load: from C_T(x) to P_T(x) the word is the one that C_T(x) replaced, plus the
 *    claim, so that word is compared with the one read, once, at any time after C_T(x). With case 1: T read the version that it overwrites.
 * 3. T reads x as published by W. R_T(x), which comes before N_T, acquired P_W(x): N_W < P_W(x) < R_T(x) < N_T. seq_W < seq_T.
 *
 * 2 and 3 together: T sees of x exactly the versions with a lower seq. QED. An absent read is the same with the word ABSENT, which is
 * why an absent key has a head, and a new key is inserted claimed before N.
 *
 * Several transactions of one thread may take their numbers with one step (mvcc_seq_next_many), when all of them have done R and C, and
 * then do V and P one after the other: each of them has C before N before V as above, and their claims do not overlap.
 *
 * Words are not repeated: a published version is greater than the head's last (asserted), so LIVE(v) comes once. ABSENT may go to
 * claimed and back when a writer gives up, and then nothing has changed. A head that was read is held, so it is not evicted and
 * loaded anew under the same key. Maintenance claims (bit 4) change neither word nor newest version and take no seq: validation
 * looks through them.
 *
 * Snapshots. mvcc_seq_hand_over(s) comes after the last P of s, and applied reaches s only after every seq up to s was handed
 * over. A reader that loaded applied = s (acquire) sees all versions with begin_seq <= s, and skips those above: the
 * state after the transactions up to s, whole.
 *
 * The validation before N is only there to make a failure after N (a VOID in the log) rare. The one after N is the proof. */

bool mvcc_try_claim(struct mvcc_head *head, uint64_t *state_out)
{
    uint64_t state = atomic_load_explicit(&head->state, memory_order_relaxed);
    for (;;) {
        enum mvcc_status status = mvcc_state_status(state);
        if ((state & (MVCC_CLAIM | MVCC_MAINTENANCE)) != 0 || status == MVCC_LOADING ||
            status == MVCC_DEAD) {
            *state_out = state;
            return false;
        }
        FAULT_POINT("mvcc.claim.before");
        /* A failure gives the word that stands there now: somebody else made progress. */
        if (atomic_compare_exchange_strong_explicit(&head->state, &state, state | MVCC_CLAIM,
                                                    memory_order_seq_cst, memory_order_relaxed)) {
            *state_out = state;
            FAULT_POINT("mvcc.claim.after");
            return true;
        }
    }
}

void mvcc_release(struct mvcc_head *head, uint64_t state)
{
    SVM_ASSERT(atomic_load_explicit(&head->state, memory_order_relaxed) == (state | MVCC_CLAIM));
    FAULT_POINT("mvcc.release.before");
    atomic_store_explicit(&head->state, state, memory_order_release);
}

bool mvcc_unchanged(const struct mvcc_head *head, uint64_t state, bool mine)
{
    FAULT_POINT("mvcc.validate.before");
    uint64_t now = atomic_load_explicit(&head->state, memory_order_seq_cst);
    uint64_t want = mine ? state | MVCC_CLAIM : state;
    return ((now ^ want) & ~(uint64_t)MVCC_MAINTENANCE) == 0;
}

void mvcc_publish(struct mvcc_table *table, struct mvcc_thread *thread, struct mvcc_head *head,
                  struct mvcc_version *version, uint64_t seq)
{
    uint64_t state = atomic_load_explicit(&head->state, memory_order_relaxed);
    struct mvcc_version *older = atomic_load_explicit(&head->newest, memory_order_relaxed);
    SVM_ASSERT(mvcc_state_claimed(state));
    SVM_ASSERT(mvcc_state_status(state) != MVCC_LOADING);
    const uint64_t number = version->begin_seq;
    SVM_ASSERT(number > mvcc_state_version(state));
    SVM_ASSERT((older == NULL) == (mvcc_state_status(state) == MVCC_ABSENT));
    SVM_ASSERT(older == NULL || older->begin_seq < seq);

    mvcc_version_begin_set(version, seq);
    if (FAULT_BUG("release-early"))
        atomic_store_explicit(&head->state, mvcc_state_of(MVCC_LIVE, number), memory_order_release);
    mvcc_private_chain(version, older);
    FAULT_POINT("mvcc.publish.before");
    atomic_store_explicit(&head->newest, version, memory_order_release);
    FAULT_POINT("mvcc.publish.newest");

    mvcc_count(table, thread, MVCC_COUNT_VERSIONS, 1);
    mvcc_count(table, thread, MVCC_COUNT_BYTES, mvcc_version_bytes(version));
    if (older != NULL) {
        mvcc_count(table, thread, MVCC_COUNT_GARBAGE, 1);
        (void)mvcc_chain_trim(table, thread, head);
    }
    enum mvcc_status status = version->tombstone ? MVCC_TOMBSTONE : MVCC_LIVE;
    atomic_store_explicit(&head->state, mvcc_state_of(status, number), memory_order_release);
    FAULT_POINT("mvcc.publish.after");
}
