/* power/disk.h - what a disk holds when the power comes back.
 *
 *     tape --disk_play--> what is durable, and what was asked for since --disk_cut--> one of the states that these allow
 *                                                                                      --disk_write--> files
 *
 * Of a file, what was written since its last sync is there or not, sector by sector; of the names, what was done since their
 * directory was synced is there or not. */
#ifndef POWER_DISK_H
#define POWER_DISK_H

#include <stdbool.h>
#include <stdio.h>

#include "base/rng.h"
#include "power/tape.h"

/* How forgetful the disk is. JOURNALLED: as ext4 with ordered data: names go back to a moment, a sync of anything keeps all names done
 * before it, and a file is no longer than what was written of it. LOOSE: each directory goes back to a moment of its own, which only a sync of
 * itself moves; a file is as long as it was at any moment, each sector for itself, zeros where nothing was written; and sectors tear. */
enum disk_kind { DISK_JOURNALLED, DISK_LOOSE };

struct disk;
struct disk *disk_create(void); /* empty; aborts without memory, as everything here */
void disk_destroy(struct disk *disk);

/* disk_play: what TAPE holds, which began when the files were as the disk is now. */
void disk_play(struct disk *disk, enum disk_kind kind, const struct tape *tape);
/* disk_cut: the power fails: what was not durable is decided by RNG. Afterwards everything is durable. */
void disk_cut(struct disk *disk, enum disk_kind kind, struct rng *rng);
/* disk_write: the files, into the directory TOP, which is made anew. False with errno. Their inode numbers are what the next tape
 * means. */
bool disk_write(struct disk *disk, const char *top);

struct disk_counts {
    uint64_t entries, syncs;           /* played */
    uint64_t names_kept, names_undone; /* not durable at a cut */
    uint64_t sectors_kept, sectors_undone, torn;
};
struct disk_counts disk_counts(const struct disk *disk);

#endif
