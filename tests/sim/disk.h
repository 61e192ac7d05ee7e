/* sim/disk.h - the disks of a simulated life: a directory of files for the log, under the real store/kv_segments.c, and a map for the state.
 *
 * The file calls of the log are wrapped. A file has what a reader sees and what the platter holds; fdatasync makes them one, fsync of
 * the directory does so for names. When the power fails, of what was not synced any 512-byte block may be old, new, or half of each,
 * and any number of the last changes of names undone. When only the process dies everything written is there.
 * Of a fdatasync that fails any block may be refused: readers go on seeing it, but no later sync writes it, not even written anew, before they
 * have let it go (posix_fadvise): Linux and ext4 have it so.
 *
 * The state's writes come back in order up to some point after its last flush, whichever way the life ended: RocksDB
 * without a write-ahead log. Everything here lives in the world's heap. */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "base/rng.h"
#include "store/store.h"

struct disk_faults {
    uint32_t short_one_in; /* writes that write less than asked; 0 = none */
    uint64_t fail_at; /* the n-th call that changes something fails, and all after it; 0 = none */
    int fail_errno;
    uint64_t state_fail_at; /* the same of the state */
    bool torn;              /* blocks may be half written */
};
struct disk_counts {
    uint64_t changes, syncs, blocks_lost, blocks_torn, blocks_refused, names_lost;
};

void disk_create(void);
/* disk_open: databases for a life. false: the log does not open (REASON). */
enum svm_err disk_open(struct svm_kv_ops *log_out, struct svm_kv_ops *state_out,
                       const struct disk_faults *faults, char reason[120]);
/* disk_life_ends: the files are closed. POWER: what was not synced is at the mercy of RNG. */
void disk_life_ends(struct rng *rng, bool power);
bool disk_failed(void); /* a fault was injected in this life */
void disk_counts(struct disk_counts *counts_out);

#endif
