/* litmus/litmus.h - small races that a serializable engine cannot lose, run very many times.
 *
 *     round:   setup (thread 0) | barrier | body (every thread at once) | barrier | check (thread 0): an anomaly?
 *
 * cells.c: interactive transactions. objects.c: submitted transactions, in waves over many objects at once. contention.c: the counter of
 * the original system's demo, and claims held on purpose. */
#ifndef LITMUS_LITMUS_H
#define LITMUS_LITMUS_H

#include <stdatomic.h>

#include <svm.h>

#include "base/rng.h"
#include "engine/hooks.h"

enum { LITMUS_THREADS_MAX = 8 };

struct litmus_case {
    const char *name;
    /* Returns anomalies of ROUNDS rounds; the rest of what goes wrong ends the process. */
    uint64_t (*run)(uint64_t rounds);
};
extern const struct litmus_case litmus_cells[], litmus_objects[],
    litmus_contention[]; /* to name NULL */

/* What main was told. */
struct litmus_options {
    uint64_t seed;
};
extern struct litmus_options litmus_options;

#define LITMUS_MUST(ok) litmus_must((ok), #ok, __FILE__, __LINE__)
void litmus_must(bool ok, const char *what, const char *file, int line);

/* litmus_open: an engine in memory mode. HOOKS may be NULL. */
struct svm_engine *litmus_open(unsigned workers, struct engine_hooks *hooks);

struct litmus_race {
    unsigned threads;
    void (*setup)(void *arg, uint64_t round); /* may be NULL */
    void (*body)(void *arg, unsigned thread, struct rng *rng, uint64_t round);
    bool (*anomaly)(void *arg, uint64_t round);
    void *arg;
};
uint64_t litmus_race(const struct litmus_race *race, uint64_t rounds);
/* litmus_watch: from now on the process fails when nothing moves for a minute and a half: an engine that has lost a transaction waits for
 * ever. litmus_moves: something does; each round of a race says so by itself. */
void litmus_watch(void);
void litmus_moves(void);
/* litmus_jitter: spins a little, gives way now and then. */
void litmus_jitter(struct rng *rng);

#endif
