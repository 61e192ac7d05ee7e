/* base/qsbr.h - reclamation of memory that other threads may still be reading (quiescent-state based).
 *
 *     unlink the block, qsbr_retire  -->  open list  -->  closed batch, tag = epoch++  -->  freed when every online thread
 *                                                                                           has announced an epoch > tag
 *
 * A thread is offline (holds no pointer into shared structures) or online. An online thread says qsbr_quiesce whenever it
 * holds none: between batches of work. Announcements are one load and, when the epoch has moved, one store.
 *
 * Orderings. Closing a batch is a read-modify-write of the epoch after the unlinking; an announcement reads the epoch with
 * acquire. So a thread that announced more than the tag has read the epoch from the release sequence that the closing heads, and
 * sees the unlinking in all it reads afterwards. Going online stores the announcement, then loads the epoch; closing a batch adds to
 * the epoch, then loads the announcements; all four are sequentially consistent. So either the closer sees the announcement, or the
 * newcomer's load has read from the release sequence that the closing heads and it sees the unlinking. No fences and no inline
 * assembly: ThreadSanitizer follows every step. Going online writes no line that others write.
 *
 * Limits. Retiring never blocks, allocates or fails. What is retired and not yet freed is bounded by the rate of retiring times
 * the longest time that an online thread goes without announcing: a slow reader costs memory for as long as it is slow, and the
 * memory comes back at the first announcements after it. A thread that goes offline keeps what is open (less than QSBR_KEPT_ENTRIES) and
 * at most QSBR_LEFT_ENTRIES and QSBR_KEPT_BYTES of what is closed for its next turn, when it will probably use the blocks again;
 * more than that goes to the domain, where qsbr_drain of any thread frees it.
 *
 * Source   QSBR as in Hart, McKenney, Demke Brown and Walpole, "Performance of memory reclamation for lockless synchronization"
 *          (2007), section 2.1; deviation: one epoch per closed batch instead of a fixed cycle of three. */
#ifndef BASE_QSBR_H
#define BASE_QSBR_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QSBR_KINDS = 8,
    QSBR_KEPT_ENTRIES = 64, /* a batch is closed with so many */
    QSBR_LEFT_ENTRIES = 2048,
    QSBR_KEPT_BYTES = 256 * 1024
};

/* The link inside every block that is to be retired: a pointer, and the kind in its low three bits. Until qsbr_retire the word is the caller's,
 * and whoever still looks at it afterwards (it is atomic for them) finds those bits. What is above a pointer's 48 bits stays the caller's. */
enum { QSBR_LINK_BITS = 48 };
struct qsbr_entry {
    _Atomic uintptr_t link;
};
/* Frees the block of ENTRY. ARG is that of the thread which reclaims, or of the domain in qsbr_destroy. */
typedef void qsbr_reclaim_fn(void *arg, struct qsbr_entry *entry);

struct qsbr;
struct qsbr_thread;

/* qsbr_create: RECLAIM has a function for each kind that will be used. NULL = no memory. */
struct qsbr *qsbr_create(uint32_t threads_max, qsbr_reclaim_fn *const reclaim[QSBR_KINDS],
                         void *arg);
/* qsbr_destroy: all threads were destroyed before; frees what is left. */
void qsbr_destroy(struct qsbr *qsbr);

/* qsbr_thread_create: registers, offline. NULL = threads_max reached or no memory. */
struct qsbr_thread *qsbr_thread_create(struct qsbr *qsbr, void *arg);
/* qsbr_thread_destroy: must be offline. What it has not freed goes to the domain. */
void qsbr_thread_destroy(struct qsbr_thread *thread);

void qsbr_online(struct qsbr_thread *thread);
/* qsbr_offline, qsbr_quiesce: "I hold no pointer"; also free what has become free. */
void qsbr_offline(struct qsbr_thread *thread);
void qsbr_quiesce(struct qsbr_thread *thread);

/* qsbr_retire: ENTRY (8-byte aligned, its word initialised, unlinked: no new reader can find it) is to be freed later. BYTES: its size. */
void qsbr_retire(struct qsbr_thread *thread, uint32_t kind, struct qsbr_entry *entry, size_t bytes);
/* qsbr_drain: close what THREAD has open, take what threads left to the domain, free all that can be freed. For a thread that
 * comes by regularly; online or offline. */
void qsbr_drain(struct qsbr_thread *thread);
size_t qsbr_pending(const struct qsbr_thread *thread); /* entries of THREAD not yet freed */

#endif
