/* bench/reader.h - a long reader: one snapshot that stays open while others write, and must not move.
 *
 * Thread: start and stop, the main thread; between them a thread of its own reads, a thousand times a second. */
#ifndef BENCH_READER_H
#define BENCH_READER_H

#include "bench/rig.h"

struct reader;
/* reader_start: a snapshot as of now, and what some counters of POPULATION hold in it. POPULATION is kept until the stop. */
struct reader *reader_start(struct rig *rig, const struct population *population);
/* reader_stop: ends the process unless every read found what the first one had. Returns how many there were. */
uint64_t reader_stop(struct reader *reader);

#endif
