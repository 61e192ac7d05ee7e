/* fail/calls.h - calls that fail: those of our own objects alone stand behind the linker's --wrap, not those of RocksDB.
 *
 * Thread   calls_arm, calls_disarm: the test's own. The calls themselves: any. */
#ifndef FAIL_CALLS_H
#define FAIL_CALLS_H

#include <stdbool.h>

enum calls_kind {
    CALLS_MEMORY, /* ENOMEM */
    CALLS_THREAD, /* pthread_create: EAGAIN */
    CALLS_NAME,   /* open, rename, mkdir, ...: EMFILE */
    CALLS_READ,   /* EIO */
    CALLS_WRITE,  /* ENOSPC */
    CALLS_SYNC,   /* EIO */
    CALLS_COUNT
};
extern const char *const calls_names[CALLS_COUNT];

/* calls_arm: from now on calls are counted, and the Nth of KIND fails (0 = none), with all that follow when FOR_GOOD. */
void calls_arm(enum calls_kind kind, unsigned n, bool for_good);
/* calls_disarm: all succeed again. */
void calls_disarm(void);
/* Since calls_arm: how many there were of KIND; how many failed; did a write or sync of the log's own thread fail? */
unsigned calls_count(enum calls_kind kind);
unsigned calls_failed(void);
bool calls_log_failed(void);
/* calls_disk_full: statvfs says that nothing is free. */
void calls_disk_full(bool full);

#endif
