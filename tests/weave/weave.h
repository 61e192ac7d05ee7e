/* weave/weave.h - the weaver: the threads of real code as coroutines, one of which runs at a time, in an order that a seed or a search
 * chooses.
 *
 *     code under test --pthread_*, sched_yield, nanosleep, futex, clock_gettime--> wrap.c \
 *                     --atomic_*--> atomics.h -----------------------------------------> a step: who goes next?  (choose.c)
 *                     --FAULT_POINT--> weave_point ------------------------------------/
 *
 * Time is virtual: each step takes a little, and when nobody can run it leaps to the next timer. Nobody can run and no timer is set:
 * a deadlock, which is a failure. A run with the same options is the same run, step by step.
 *
 * Memory is seen sequentially consistent, whatever the orders say. Code between two steps is taken as one with the first of them, which is
 * right as long as it has no data race (ThreadSanitizer's business). */
#ifndef WEAVE_WEAVE_H
#define WEAVE_WEAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "heap.h"

enum { WEAVE_THREADS_MAX = 64 };

enum weave_policy {
    WEAVE_UNIFORM,  /* anybody who can run */
    WEAVE_PRIORITY, /* the first in a random order that changes now and then */
    WEAVE_STARVE,   /* as uniform, but one or two hardly ever run */
    WEAVE_ALL       /* weave_search asks */
};
struct weave_options {
    uint64_t seed;
    enum weave_policy policy;
    uint32_t gap;     /* about so many accesses make one step; 1 = each */
    uint32_t step_ns; /* virtual time of a step */
    uint32_t
        weak_one_in; /* a weak compare-and-swap fails for no reason one time in so many; 0 = never */
    uint64_t steps_max;    /* a run with more has failed: it does not get on */
    uint64_t stop_at;      /* the step at which the run is cut off; 0 = never */
    uint64_t time_ns;      /* virtual time at the start */
    int64_t wall_shift_ms; /* of the wall clock against the other */
};
enum weave_end {
    WEAVE_DONE,   /* every coroutine has ended */
    WEAVE_CUT,    /* at stop_at, or by weave_cut */
    WEAVE_FAILED, /* weave_fail, deadlock, too many steps */
    WEAVE_PRUNED  /* WEAVE_ALL: another run stands for this one */
};
/* weave_run: FN and all threads that it starts, to an end. What was abandoned is in the life heap, for the caller to reset. */
typedef void weave_fn(void *arg);
enum weave_end weave_run(const struct weave_options *options, weave_fn *fn, void *arg);
const char *weave_failure(void); /* of the last run that failed */
uint64_t weave_steps(void);      /* of the last run, or so far */
uint64_t weave_now_ns(void);

/* From within a run. weave_fail and weave_cut do not return there; outside weave_fail ends the process. */
void weave_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void weave_cut(void);
void weave_point(const char *name); /* a step of its own, for the transcript too */
void weave_mask(void);              /* no step until as many unmasks */
void weave_unmask(void);
void weave_name(const char *name); /* of the running coroutine, for the transcript */
/* weave_quiet: accesses to these bytes are no steps: only for what one coroutine alone uses, or what nobody changes. */
void weave_quiet(const volatile void *at, size_t len);
bool weave_inside(void);

/* What happened, the last of it; said when a run fails. */
void weave_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void weave_transcript(int last);
void weave_transcript_clear(void);

/* ---- all orders --------------------------------------------------------------------------------------------------- */

/* weave_search: run TEST in every order of steps, from the life heap that its SETUP has left. Of runs that
 * differ only in the order of independent steps (other addresses, or both reading) one is run (sleep sets, Godefroid 1996).
 * LIMIT runs at most. Stops at the first failure. */
struct weave_found {
    uint64_t runs, pruned, steps_most;
    bool complete; /* there is no other order */
    bool failed;
};
struct weave_case {
    const char *name;
    void (*setup)(void);
    weave_fn *run; /* gets NULL; checks what has come out, with weave_fail */
};
void weave_search(struct weave_found *found, const struct weave_case *test, uint64_t limit);
/* weave_sample: RUNS runs with seeds SEED, SEED + 1, ... */
void weave_sample(struct weave_found *found, const struct weave_case *test, uint64_t seed,
                  uint64_t runs);

/* ---- for wrap.c, heap.c, choose.c ---------------------------------------------------------------------------------- */

#define WEAVE_NEVER UINT64_MAX
struct weave_op {
    const volatile void *at; /* NULL: touches nothing */
    bool write;
};
enum weave_heap weave_heap_now(void);
/* weave_access: a step that will touch AT; true when there are steps now. */
bool weave_access(const volatile void *at, bool write);
/* weave_block: until somebody wakes AT or UNTIL has come (false). weave_wake: at most COUNT who wait for AT. */
bool weave_block(const volatile void *at, uint64_t until_ns);
uint32_t weave_wake(const volatile void *at, uint32_t count);
void weave_give_way(void);                        /* let others go first */
int weave_spawn(void *(*run)(void *), void *arg); /* its number, or -1 */
bool weave_ended(int number, void **result_out);
void weave_title(int number, const char *name);
int weave_number(void); /* of the running coroutine; -1 = outside */
uint64_t weave_wall_ms(void);
uint64_t weave_random(uint64_t below);
/* weave_choose_all: who goes next of those in RUNNABLE; -1 = prune. OPS: what each would do. */
int weave_choose_all(uint64_t runnable, int current, const struct weave_op *ops);

#endif
