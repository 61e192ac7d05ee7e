/* app/watchdog.h - may the service manager be told that the node is alive?
 *
 * A pure decision: every engine thread must have moved since the last time the answer was yes. That the loop moves is shown
 * by its asking. One stuck worker holds the answer back, the manager restarts the node, and recovery does the rest. */
#ifndef APP_WATCHDOG_H
#define APP_WATCHDOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WATCHDOG_THREADS_MAX = 128 };

struct watchdog {
    uint64_t ticks[WATCHDOG_THREADS_MAX]; /* when the answer was last yes */
    size_t count;                         /* 0 = never asked */
};

/* watchdog_check: TICKS as svm_progress gives them. The first reading, and one with another number of threads, is yes.
 *   stalled_out  out  index of the first thread that has not moved; written only when false */
bool watchdog_check(struct watchdog *watchdog, size_t *stalled_out, const uint64_t *ticks,
                    size_t count);

#endif
