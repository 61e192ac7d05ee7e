/* gateway/waits.h - transactions handed to the engine, and what comes back.
 *
 *      L                                      engine threads
 *      waits_create                           callback: copy the outcome into the item;
 *      waits_submit.. --- bytes ------------>           the last one of the group pushes it and wakes the loop
 *      waits_start    <-- completion ring ---
 *      done(group)        when every item has finished, or the time is up
 *
 * So a batch of a thousand costs the loop one wake-up. A group whose time is up is answered and then waits as a tombstone for
 * its late callbacks. Items are counted against GATEWAY_WAITERS_MAX from creation to the last callback, and the ring holds that
 * many, so a push never fails.
 *
 * Single transactions that arrive in one turn of the loop are handed over together: the engine is woken once, and verifies their
 * signatures in one pass.
 *
 * Thread   L, but for the callback. */
#ifndef GATEWAY_WAITS_H
#define GATEWAY_WAITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/deadlines.h"
#include <svm/engine.h>

struct gateway;
struct wait_group;

/* What is known of one transaction. Of what stands below `finished` nothing may be read before it is true. */
struct wait_item {
    struct wait_group *group;
    bool finished; /* L's */
    _Atomic bool
        reached; /* by the callback, after all else was written; L turns it into `finished` */
    bool pending, duplicate, durable, digest_known;
    enum svm_err err;
    uint64_t durable_seq;
    struct svm_digest digest;
    struct svm_receipt *receipt; /* own; NULL = none */
    struct svm_refusal *refusal; /* own; NULL = none */
};

/* What an owner needs of receipts: all, or all but the changes. */
enum wait_detail { WAIT_WHOLE, WAIT_BRIEF };

typedef void wait_done_fn(void *arg, const struct wait_group *group);

struct wait_place; /* where a small receipt lies without an allocation of its own */

struct wait_group {
    struct gateway *gateway;
    wait_done_fn *done; /* NULL = tombstone */
    void *arg;
    struct deadline deadline;
    enum wait_detail detail;
    _Atomic size_t
        outstanding; /* callbacks to come, and one until waits_start; whoever ends it gives the group to L */
    size_t count;
    struct wait_place *places; /* behind the items */
    struct wait_item items[];
};

/* waits_create: a group of COUNT items, none of them submitted. waits_submit or waits_await for each, or waits_submit_all, and
 * then waits_start must follow.
 * Returns NULL when the limit of waits is met or memory has ended: answer OVERLOADED. */
struct wait_group *waits_create(struct gateway *gateway, size_t count, enum wait_detail detail);

enum { WAITS_QUEUE_MAX = 16 };
struct wait_queued {
    struct wait_item *item;
    struct svm_bytes bytes;
    enum svm_wait wait;
};
/* What this turn has submitted and the engine has not seen. */
struct wait_queue {
    size_t count;
    struct wait_queued entries[WAITS_QUEUE_MAX];
};

/* Hand item INDEX to the engine: waits_submit at the next waits_flush, until when BYTES stay; waits_await now. A refusal finishes the item. */
void waits_submit(struct wait_group *group, size_t index, struct svm_bytes bytes,
                  enum svm_wait wait);
void waits_await(struct wait_group *group, size_t index, const struct svm_digest *digest,
                 enum svm_wait wait);
/* waits_submit_all: item i gets TXS[i]; one wake-up of the engine for all. */
void waits_submit_all(struct wait_group *group, const struct svm_bytes *txs, enum svm_wait wait);

/* waits_flush: hand over what waits_submit has queued. Before the loop does anything else than read requests. */
void waits_flush(struct gateway *gateway);

/* waits_start: call DONE once, when everything has finished or after TIMEOUT_MS; the group is gone when DONE returns.
 * Returns true if everything has finished already: then DONE is not called, and the caller calls waits_release. */
bool waits_start(struct wait_group *group, uint32_t timeout_ms, wait_done_fn *done, void *arg);
void waits_release(struct wait_group *group);

/* waits_collect: take what the engine has pushed. Called by the loop's wake-up. */
void waits_collect(struct gateway *gateway);

#endif
