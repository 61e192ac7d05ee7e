/* engine/pace.h - how fast the log may grow while the state is behind it.
 *
 * Behind the batch that the materialiser is making, more of the log waits. While that is less than half a batch nobody is held up.
 * From there on groups are written at the rate at which the materialiser has worked lately, times
 *
 *      2 where half a batch waits,  1 where one does,  1/2 where two do,  0 where three do
 *
 * so that one batch waits in the long run: the materialiser is never short of work, and the log is not far ahead. Where it does nothing at all
 * the log still grows, by as much as would fill in five minutes what room there is below the limit: who writes little hardly notices, and
 * who writes much is slowed down long before anybody is refused. No group waits for longer than PACE_WAIT_MAX_NS.
 *
 * A batch is STORE_PACE_BYTES, or a quarter of the limit if that is less.
 * Thread   one (C). Time comes in. */
#ifndef ENGINE_PACE_H
#define ENGINE_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum { PACE_WAIT_MAX_NS = 250000000 };

struct pace {
    uint64_t looked_ns, wrote_ns; /* at the last look; at the first one that saw the last group */
    uint64_t logged, drained;     /* bytes, at the last look */
    uint64_t behind;              /* bytes that wait behind the batch under way */
    double busy_s, busy_bytes;    /* of the materialiser, lately */
    double debt;                  /* bytes written before their time */
    bool busy;                    /* at the last look there was a batch to make */
};

/* pace_init: nothing is known of the materialiser. LOGGED and DIRTY as below. */
void pace_init(struct pace *pace, uint64_t now_ns, uint64_t logged, uint64_t dirty,
               uint64_t dirty_max);

/* pace_look: how many nanoseconds the next group has to wait, as far as is known at NOW_NS: 0 = none. LOGGED: bytes ever written to the log;
 * DIRTY: those of them, and of earlier lives, that are not in the state; DIRTY_MAX: where transactions are refused. */
uint64_t pace_look(struct pace *pace, uint64_t now_ns, uint64_t logged, uint64_t dirty,
                   uint64_t dirty_max);

#endif
