#include "base/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include "base/assert.h"

static void *thread_main(void *arg)
{
    struct thread *thread = arg;
    thread->run(thread->arg);
    return NULL;
}

bool thread_start(struct thread *thread, const char *name, thread_run_fn *run, void *arg)
{
    thread->run = run;
    thread->arg = arg;
    (void)snprintf(thread->name, sizeof thread->name, "%s", name);

    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the new thread */
    SVM_ASSERT(rc == 0);
    int created = pthread_create(&thread->handle, NULL, thread_main, thread);
    rc = pthread_sigmask(SIG_SETMASK, &before, NULL);
    SVM_ASSERT(rc == 0);
    if (created != 0) {
        return false;
    }
    (void)pthread_setname_np(thread->handle, thread->name);
    return true;
}

void thread_join(struct thread *thread)
{
    int rc = pthread_join(thread->handle, NULL);
    SVM_ASSERT(rc == 0);
}

uint32_t thread_cpus(void)
{
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) {
        return 1;
    }
    int count = CPU_COUNT(&cpus);
    return count < 1 ? 1 : (uint32_t)count;
}
