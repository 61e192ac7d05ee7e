/* bench/latency.h - how long a caller has waited: from the moment it hands a batch in until it is told what became of a transaction.
 *
 *      tickets_take for each transaction -> tickets_hand_in -> svm_run_batch, whose callback calls ticket_answered
 *
 * To read a clock for each would be a part of what is measured: every seventeenth has a ticket that tells the time, so that over some
 * batches each place in a batch has one; the others share one that does not.
 * Thread: the caller takes, hands in and counts; whichever thread answers only stamps the ticket. */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hist.h"

enum { TICKETS = 1024, TICKET_EVERY = 17, TICKET_KINDS = 2 };

struct ticket {
    void *owner;
    uint64_t from_ns; /* 0: tells no time */
    _Atomic uint64_t to_ns;
    unsigned kind;
};

struct tickets {
    _Alignas(128) struct ticket untimed; /* read by whoever answers */
    _Alignas(128) struct ticket ring[TICKETS];
    _Alignas(128) uint64_t taken, next, handed_in;
    struct hist kinds[TICKET_KINDS]; /* ns */
};

uint64_t now_ns(void);
/* tickets_init: TICKETS are zeroed; OWNER is what each of them names. */
void tickets_init(struct tickets *tickets, void *owner);
/* tickets_take: for the next transaction, of KIND; with TIMED false, or while the ring is full of what is not answered yet, one that tells no
 * time. It stays valid until it is answered. */
struct ticket *tickets_take(struct tickets *tickets, bool timed, unsigned kind);
/* tickets_hand_in: what was taken since the last time begins to wait now. */
void tickets_hand_in(struct tickets *tickets);
/* tickets_count: what was answered goes into `kinds`; call it when all was. */
void tickets_count(struct tickets *tickets);

static inline void ticket_answered(struct ticket *ticket)
{
    if (ticket->from_ns != 0)
        atomic_store_explicit(&ticket->to_ns, now_ns(), memory_order_release);
}

/* latency_print: members of a JSON object, a comma before each: PREFIXp50_us and so on; nothing when HIST is empty. */
void latency_print(const char *prefix, const struct hist *hist);

#endif
