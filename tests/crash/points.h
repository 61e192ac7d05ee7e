/* crash/points.h - the end at every named point of base/fault.h, not at any moment. */
#ifndef CRASH_POINTS_H
#define CRASH_POINTS_H

#include "crash/driver.h"

/* points_run: every point in FILE (a name on each line) is met HITS times, in every mode in turn; what was promised is looked for after every
 * few of them. Of the points, those with a number of SHARE modulo SHARES only. Prints how often each was met; one that was not is a failure.
 * The library must have been built with points. */
void points_run(struct driver *driver, const char *file, unsigned hits, unsigned share,
                unsigned shares);

#endif
