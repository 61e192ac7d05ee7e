/* base/fault.h - named points where a test may step in: delay a thread between two instructions, end the process there, or
 * put a defect in that some test has to find.
 *
 *     FAULT_POINT("mvcc.claim.after");
 *     if (!FAULT_BUG("skip-claim"))
 *         claim();
 *
 * Nothing is compiled in unless the build defines SVM_FAULTS (BUILD=prove does); then each point calls the hook, if one is
 * set, and the one seeded defect that SVM_BUG names in the environment is there. SVM_JITTER=N in the environment is fault_jitter as the hook
 * from the start, at one point in N.
 * Names of points are room.noun.moment and may be matched by prefix.
 *
 * Thread   points and bugs: any. fault_hook_set, fault_bug_set: while no thread of the library runs. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* The hook may sleep, yield, count or end the process; it must not call the room that the point is in. */
typedef void fault_hook_fn(void *arg, const char *point);

#ifdef SVM_FAULTS
#define FAULT_POINT(name) fault_point(name)
#define FAULT_BUG(name)   fault_bug(name)
#else
#define FAULT_POINT(name) ((void)0)
#define FAULT_BUG(name)   false
#endif

/* fault_enabled: was the library built with its points? A test that needs them and has none must say so. */
int fault_enabled(void);
void fault_hook_set(fault_hook_fn *hook, void *arg); /* NULL = none; ARG is kept */
void fault_point(const char *name);

/* fault_bug: is NAME the seeded defect of this process? It is the value of SVM_BUG, or what fault_bug_set said after (NULL = none; NAME is kept). */
bool fault_bug(const char *name);
void fault_bug_set(const char *name);
/* fault_seeded: has this process a seeded defect by name? (Only a build with SVM_FAULTS has any code for it.) */
bool fault_seeded(void);

/* fault_jitter: a ready hook. ARG is a struct fault_jitter: at one point in `one_in` the thread yields or sleeps up to `sleep_us_max`. */
struct fault_jitter {
    uint64_t seed;
    uint32_t one_in;       /* >= 1 */
    uint32_t sleep_us_max; /* 0 = yield only */
};
fault_hook_fn fault_jitter;

#endif
