#include "base/fault.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"

static fault_hook_fn *hook_fn;
static void *hook_arg;

int fault_enabled(void)
{
#ifdef SVM_FAULTS
    return 1;
#else
    return 0;
#endif
}

void fault_hook_set(fault_hook_fn *hook, void *arg)
{
    hook_fn = hook;
    hook_arg = arg;
}

void fault_point(const char *name)
{
    if (hook_fn != NULL) {
        hook_fn(hook_arg, name);
    }
}

static const char *bug_name;
static bool bug_is_set;

__attribute__((constructor)) static void from_environment(void)
{
    const char *name = getenv("SVM_BUG");
    if (!bug_is_set)
        bug_name = name != NULL && name[0] != 0 ? name : NULL;
    static struct fault_jitter jitter = {.seed = 1, .sleep_us_max = 50};
    const char *one_in = getenv("SVM_JITTER");
    jitter.one_in = one_in != NULL ? (uint32_t)strtoul(one_in, NULL, 10) : 0;
    if (jitter.one_in > 0)
        fault_hook_set(fault_jitter, &jitter);
}

void fault_bug_set(const char *name)
{
    bug_name = name;
    bug_is_set = true;
}

bool fault_seeded(void)
{
    return bug_name != NULL;
}

bool fault_bug(const char *name)
{
    return bug_name != NULL && strcmp(bug_name, name) == 0;
}

void fault_jitter(void *arg, const char *point)
{
    static _Atomic uint64_t threads;
    static _Thread_local struct rng rng;
    static _Thread_local bool seeded;
    (void)point;
    const struct fault_jitter *jitter = arg;
    if (!seeded) {
        seeded = true;
        rng_init(&rng, jitter->seed + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed));
    }
    if (rng_below(&rng, jitter->one_in) != 0) {
        return;
    }
    uint64_t sleep_us = rng_below(&rng, (uint64_t)jitter->sleep_us_max + 1);
    if (sleep_us == 0) {
        sched_yield();
        return;
    }
    struct timespec pause = {.tv_sec = (time_t)(sleep_us / 1000000u),
                             .tv_nsec = (long)(sleep_us % 1000000u) * 1000};
    nanosleep(&pause, NULL);
}
