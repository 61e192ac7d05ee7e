/* power/tape.h - what processes have asked of the files below one directory, in order: the shim writes it, the driver makes
 * of it what a disk without power could hold (disk.h).
 *
 *     process --open, write, fsync, ...--> shim --real call, without the syncs--> files (what the page cache would show)
 *                                            +--> tape (a shared mapping: it survives the process)
 *
 * Names are relative to the directory. Files go by their inode number; CREATE gives it a new meaning. */
#ifndef POWER_TAPE_H
#define POWER_TAPE_H

#include <stdatomic.h>
#include <stdint.h>

enum tape_kind {
    TAPE_CREATE = 1, /* file A, name FROM */
    TAPE_WRITE,      /* file A, at B: data */
    TAPE_SIZE,       /* file A is B bytes long */
    TAPE_SYNC,       /* file A: everything before place B of the tape is durable */
    TAPE_SYNC_DIR,   /* directory FROM ("" = the top), before place B */
    TAPE_RENAME,     /* FROM -> TO */
    TAPE_LINK,
    TAPE_UNLINK,
    TAPE_MKDIR,
    TAPE_RMDIR
};
/* What follows it: DATA_LEN bytes, filled up to a multiple of 8. Names: FROM and TO, each with its zero byte. */
struct tape_entry {
    uint32_t kind, data_len;
    uint64_t a, b;
};

enum { TAPE_BYTES = 1 << 30, TAPE_HEAD_BYTES = 64 };
struct tape {
    _Atomic uint64_t used;  /* bytes of entries behind this head */
    _Atomic uint64_t calls; /* made since the driver set it to 0 */
    _Atomic uint64_t cut;   /* the call before which the power fails; 0 = it does not */
    _Atomic uint64_t rare;  /* 1: only calls that are no writes count */
    _Atomic uint64_t
        calling; /* 1: a call is under way: what it has done may not be on the tape yet */
};

/* Environment of the shim: the tape, the directory (absolute, no links in it), and, "1", the seeded defect: the log's syncs do nothing. */
#define TAPE_ENV      "SVM_POWER_TAPE"
#define TAPE_ENV_TOP  "SVM_POWER_TOP"
#define TAPE_ENV_LIAR "SVM_POWER_LIAR"

#endif
