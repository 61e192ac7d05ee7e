/* crash/spoil.h - a log as a torn write leaves it. */
#ifndef CRASH_SPOIL_H
#define CRASH_SPOIL_H

#include <stdbool.h>

/* spoil_log: behind the last record of the log in DATADIR, the head of another whose bytes have not arrived; in the next segment if NEXT. No log: nothing. */
void spoil_log(const char *datadir, bool next);

#endif
