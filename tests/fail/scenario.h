/* fail/scenario.h - what an engine does while a call fails, and what it must not have forgotten afterwards. */
#ifndef FAIL_SCENARIO_H
#define FAIL_SCENARIO_H

#include <stdbool.h>

#include <svm/engine.h>

#include "calls.h"

enum { TASK_TXS = 24, TASK_CELLS = 6 };

/* In memory that the driver shares. */
struct report {
    unsigned counts[CALLS_COUNT], failed;
    unsigned acked, refused;
    bool opened;
    char text[256]; /* what was wrong; empty = nothing */
};

struct task {
    const struct scenario *scenario;
    enum calls_kind kind;
    unsigned n;
    bool for_good;
    char dir[64];
    struct report *report;
};

struct scenario {
    const char *name;
    bool from_open; /* calls fail from before the engine opens */
    bool to_close;  /* and until it is closed */
    bool left_open; /* the directory has been left by a process that was killed */
    void (*work)(struct task *task, struct svm_engine *engine); /* may be NULL */
};
extern const struct scenario scenarios[];
extern const unsigned scenario_count;

/* scenario_run: in a process of its own: work while the call fails, close, open again without, look for what was acknowledged. */
void scenario_run(struct task *task);
/* scenario_full_disk: writes refused, reads served, and again as before when there is room. */
void scenario_full_disk(struct task *task);

#endif
