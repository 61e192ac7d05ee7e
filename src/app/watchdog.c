#include "app/watchdog.h"

#include "base/assert.h"

#include <string.h>

bool watchdog_check(struct watchdog *watchdog, size_t *stalled_out, const uint64_t *ticks,
                    size_t count)
{
    SVM_ASSERT(count <= WATCHDOG_THREADS_MAX);
    if (watchdog->count == count) {
        for (size_t i = 0; i < count; i++) {
            if (ticks[i] == watchdog->ticks[i]) {
                *stalled_out = i;
                return false;
            }
        }
    }
    memcpy(watchdog->ticks, ticks, count * sizeof *ticks);
    watchdog->count = count;
    return true;
}
