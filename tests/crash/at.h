/* crash/at.h - the process ends itself at a named point of base/fault.h, at its n-th pass: `at` "store.sync.after:3". */
#ifndef CRASH_AT_H
#define CRASH_AT_H

#include <stdbool.h>

#include "crash/journal.h"

/* at_set: from now on. The journal counts the passes and says whether it came to that. False = TEXT is none, or the library was built
 * without points. "" = no point, true. Call before the engine is opened, once. */
bool at_set(struct journal *journal, const char *text);

#endif
