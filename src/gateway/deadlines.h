/* gateway/deadlines.h - many timeouts on one timer: a wheel of lists, 10 ms a slot. Adding and removing are O(1).
 *
 * Thread   L. Memory  the entries are their owners'. */
#ifndef GATEWAY_DEADLINES_H
#define GATEWAY_DEADLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deadline;
typedef void deadline_fn(struct deadline *deadline);
struct deadline {
    struct deadline *next, *prev; /* NULL = not set */
    uint64_t tick;
    deadline_fn *passed;
};

enum { DEADLINES_SLOTS = 1024, DEADLINES_TICK_MS = 10 };

struct deadlines {
    struct deadline slots[DEADLINES_SLOTS]; /* heads of rings */
    uint64_t tick;                          /* last one looked at */
    size_t count;
};

void deadlines_init(struct deadlines *deadlines, uint64_t now_ms);
/* deadlines_set: PASSED runs from deadlines_run, not before AFTER_MS from NOW_MS, at most two ticks later. */
void deadlines_set(struct deadlines *deadlines, struct deadline *deadline, uint64_t now_ms,
                   uint64_t after_ms, deadline_fn *passed);
void deadlines_unset(struct deadlines *deadlines,
                     struct deadline *deadline); /* nothing if not set */
void deadlines_run(struct deadlines *deadlines, uint64_t now_ms);

#endif
