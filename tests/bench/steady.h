/* bench/steady.h - whether an engine that writes to a disk keeps up: dirty bytes and the materialiser's lag, over a run.
 *
 *      steady_start -> the run -> steady_stop(from, to): the means of the first and the last quarter between the two
 *
 * A thread of its own asks the engine's statistics twenty times a second. Thread: start and stop, the main thread. */
#ifndef BENCH_STEADY_H
#define BENCH_STEADY_H

#include "bench/rig.h"

struct steady;
struct steady_result {
    double seconds;
    double dirty_first,
        dirty_last; /* bytes of log not yet materialised: means of the first and of the last quarter */
    double lag_first, lag_last; /* transactions executed and not yet materialised */
    double log_bytes;           /* written in the time asked for */
    double bytes_each;          /* of log for one transaction */
    double syncs_s;             /* in a second */
    double versions_max,
        resident_max; /* most that was seen: versions in memory, bytes of what is resident */
    double gc_us_s;   /* processor time of the collector's thread, microseconds in a second */
};
struct steady *steady_start(struct rig *rig);
/* steady_stop: what was seen between FROM and TO (now_s). Ends the sampling; STEADY is gone. */
void steady_stop(struct steady_result *result, struct steady *steady, double from, double to);
/* steady_require: ends the process unless the dirty bytes and the lag have stayed where they were: a run in which either grows by more than
 * a quarter, and by more than one batch of 64 MiB of log, has borrowed its figure from the time after it. Runs of less than 5 s are looks, and pass. */
void steady_require(const struct steady_result *result);
/* steady_print: the members of a JSON object, each with a comma before it: of memory, and with ON_DISK of the log, whose bytes are told
 * for each of DONE transactions. */
void steady_print(const struct steady_result *result, uint64_t done, bool on_disk);

#endif
