/* crash/role.h - what a child of the crash driver does. Each runs in a process of its own. */
#ifndef CRASH_ROLE_H
#define CRASH_ROLE_H

#include "crash/journal.h"

struct role_args {
    const char *datadir;
    struct journal *journal;
    enum svm_durability mode;
    uint64_t seed;
    bool ack_early;  /* the seeded defect */
    bool busy_house; /* housekeeping all the time, checkpoints too: its points are to be met */
    bool spoil;      /* recover: the log gets what a torn write leaves, first */
    bool
        power; /* check: the power has failed; in mode write that may have taken what was answered */
    const char *at; /* where to end (at.h), or "" */
};

/* role_config: the settings that all roles share. */
void role_config(struct svm_config *config, const struct role_args *args);
/* work: open, set journal->ready, load without end. Returns only on failure (exit code). */
int role_work(const struct role_args *args);
/* recover: the store alone: open, materialise, trim, sweep, close, again and again. Returns only on failure. */
int role_recover(const struct role_args *args);
/* check: everything that was promised is there. 0 = yes; prints what is not. */
int role_check(const struct role_args *args);

/* role_main: ARGV is what driver_spawn gave behind `--role`. Exit code. */
int role_main(char **argv);

#endif
