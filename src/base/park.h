/* base/park.h - a thread sleeps until somebody has work for it (an event count on a futex).
 *
 *     sleeper                                   waker
 *     ticket = park_prepare(p)                  put the work where the sleeper looks
 *     look for work: found -> park_cancel       park_wake(p)       (one relaxed load when nobody sleeps)
 *     park_wait(p, ticket, timeout)
 *
 * No wake-up is lost: prepare and wake are sequentially consistent, so either the sleeper sees the work or the waker sees
 * the sleeper. Any number of either. */
#ifndef BASE_PARK_H
#define BASE_PARK_H

#include <stdatomic.h>
#include <stdint.h>

struct park {
    _Atomic uint32_t epoch;
    _Atomic uint32_t sleepers;
};
void park_init(struct park *park);
uint32_t park_prepare(struct park *park);
void park_cancel(struct park *park);
/* park_wait: returns after a wake since TICKET, a spurious one, or TIMEOUT_US (0 = for ever). */
void park_wait(struct park *park, uint32_t ticket, uint32_t timeout_us);
void park_wake(struct park *park); /* one sleeper */
void park_wake_all(struct park *park);

#endif
