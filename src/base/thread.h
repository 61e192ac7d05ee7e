/* base/thread.h - start and join a named thread. Signals are blocked in it: they belong to the main loop. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef void thread_run_fn(void *arg);

struct thread {
    pthread_t handle;
    thread_run_fn *run;
    void *arg;
    char name[16]; /* what ps and a debugger show; cut at 15 characters */
};
/* thread_start: THREAD must stay where it is until thread_join. ARG is kept. Returns false when the system has no more. */
bool thread_start(struct thread *thread, const char *name, thread_run_fn *run, void *arg);
void thread_join(struct thread *thread);

uint32_t thread_cpus(void); /* processors this process may use, at least 1 */

#endif
