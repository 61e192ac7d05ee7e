/* base/fault.h - named points where a test may step in: delay a thread between two instructions, or end the process there.
 *
 *     FAULT_POINT("mvcc.claim.after");
 *
 * Nothing is compiled in unless the build defines SVM_FAULTS; then each point calls the hook, if one is set.
 * Names are room.noun.moment and may be matched by prefix.
 *
 * Thread   points: any. fault_hook_set: while no thread of the library runs. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdint.h>

/* The hook may sleep, yield, count or end the process; it must not call the room that the point is in. */
typedef void fault_hook_fn(void *arg, const char *point);

#ifdef SVM_FAULTS
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) ((void)0)
#endif

/* fault_enabled: was the library built with its points? A test that needs them and has none must say so. */
int fault_enabled(void);
void fault_hook_set(fault_hook_fn *hook, void *arg); /* NULL = none; ARG is kept */
void fault_point(const char *name);

/* fault_jitter: a ready hook. ARG is a struct fault_jitter: at one point in `one_in` the thread yields or sleeps up to `sleep_us_max`. */
struct fault_jitter {
    uint64_t seed;
    uint32_t one_in;       /* >= 1 */
    uint32_t sleep_us_max; /* 0 = yield only */
};
fault_hook_fn fault_jitter;

#endif
