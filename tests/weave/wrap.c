/* What the library calls of pthreads, the kernel and the clock, for coroutines. The linker puts these in front (-Wl,--wrap).
 * Outside of a run the threads' calls must not have to wait; time stands still there. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

#include "base/assert.h"
#include "base/rng.h"
#include "weave.h"

/* A mutex or a rwlock, in the memory of the original, which begins as zeros. */
struct lock {
    int holder;  /* 1 + number of the coroutine; 0 = free; OUTSIDE; rwlock: of the writer */
    int readers; /* rwlock */
};
enum { OUTSIDE = 1000 };
_Static_assert(sizeof(struct lock) <= sizeof(pthread_mutex_t), "it fits");
_Static_assert(sizeof(struct lock) <= sizeof(pthread_rwlock_t), "it fits");

#define WRAP(type, name, ...)                                                                      \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

static int me(void)
{
    return weave_inside() ? 1 + weave_number() : OUTSIDE;
}

/* ---- threads ------------------------------------------------------------------------------------------------------ */

WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
     void *arg)
{
    (void)attr;
    SVM_ASSERT(weave_inside());
    int number = weave_spawn(run, arg);
    if (number < 0)
        return EAGAIN;
    *thread = (pthread_t)number;
    weave_access(NULL, false);
    return 0;
}

WRAP(int, pthread_join, pthread_t thread, void **result)
{
    weave_ended((int)thread, result);
    return 0;
}

WRAP(int, pthread_setname_np, pthread_t thread, const char *name)
{
    weave_title((int)thread, name);
    return 0;
}

int __real_pthread_once(pthread_once_t *once, void (*init)(void));
WRAP(int, pthread_once, pthread_once_t *once, void (*init)(void))
{
    weave_mask();
    enum weave_heap heap = weave_heap_enter(WEAVE_SYSTEM);
    int rc = __real_pthread_once(once, init);
    weave_heap_enter(heap);
    weave_unmask();
    return rc;
}

WRAP(int, sched_yield, void)
{
    weave_give_way();
    return 0;
}

/* ---- locks -------------------------------------------------------------------------------------------------------- */

/* acquire: as soon as nobody stands in the way. */
static void lock_write(struct lock *lock)
{
    weave_access(lock, true);
    while (lock->holder != 0 || lock->readers > 0) {
        SVM_ASSERT(weave_inside());
        SVM_ASSERT(lock->holder != me());
        weave_block(lock, WEAVE_NEVER);
    }
    lock->holder = me();
}

WRAP(int, pthread_mutex_lock, pthread_mutex_t *mutex)
{
    lock_write((struct lock *)(void *)mutex);
    return 0;
}

WRAP(int, pthread_mutex_trylock, pthread_mutex_t *mutex)
{
    struct lock *lock = (struct lock *)(void *)mutex;
    weave_access(lock, true);
    if (lock->holder != 0)
        return EBUSY;
    lock->holder = me();
    return 0;
}

WRAP(int, pthread_mutex_unlock, pthread_mutex_t *mutex)
{
    struct lock *lock = (struct lock *)(void *)mutex;
    weave_access(lock, true);
    SVM_ASSERT(lock->holder == me());
    lock->holder = 0;
    weave_wake(lock, UINT32_MAX);
    return 0;
}

WRAP(int, pthread_rwlock_wrlock, pthread_rwlock_t *rwlock)
{
    lock_write((struct lock *)(void *)rwlock);
    return 0;
}

WRAP(int, pthread_rwlock_rdlock, pthread_rwlock_t *rwlock)
{
    struct lock *lock = (struct lock *)(void *)rwlock;
    weave_access(lock, true);
    while (lock->holder != 0)
        weave_block(lock, WEAVE_NEVER);
    lock->readers++;
    return 0;
}

WRAP(int, pthread_rwlock_unlock, pthread_rwlock_t *rwlock)
{
    struct lock *lock = (struct lock *)(void *)rwlock;
    weave_access(lock, true);
    if (lock->holder == me())
        lock->holder = 0;
    else
        lock->readers--;
    SVM_ASSERT(lock->readers >= 0);
    weave_wake(lock, UINT32_MAX);
    return 0;
}

/* ---- condition variables -------------------------------------------------------------------------------------------- */

static bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t until_ns)
{
    struct lock *lock = (struct lock *)(void *)mutex;
    weave_access(lock, true);
    SVM_ASSERT(lock->holder == me());
    lock->holder = 0;
    weave_wake(lock, UINT32_MAX);
    bool woken = weave_block(cond, until_ns);
    lock_write(lock);
    return woken;
}

WRAP(int, pthread_cond_wait, pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    cond_wait_until(cond, mutex, WEAVE_NEVER);
    return 0;
}

WRAP(int, pthread_cond_timedwait, pthread_cond_t *cond, pthread_mutex_t *mutex,
     const struct timespec *until)
{
    uint64_t until_ms = (uint64_t)until->tv_sec * 1000u + (uint64_t)until->tv_nsec / 1000000u;
    uint64_t now_ms = weave_wall_ms();
    uint64_t left_ms = until_ms > now_ms ? until_ms - now_ms : 0;
    return cond_wait_until(cond, mutex, weave_now_ns() + left_ms * 1000000u) ? 0 : ETIMEDOUT;
}

WRAP(int, pthread_cond_signal, pthread_cond_t *cond)
{
    weave_access(cond, true);
    weave_wake(cond, 1);
    return 0;
}

WRAP(int, pthread_cond_broadcast, pthread_cond_t *cond)
{
    weave_access(cond, true);
    weave_wake(cond, UINT32_MAX);
    return 0;
}

/* ---- the kernel ------------------------------------------------------------------------------------------------------- */

static uint64_t ns_of(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
}

static long futex(uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
    SVM_ASSERT(weave_inside());
    weave_access(word, true);
    if (op == FUTEX_WAKE_PRIVATE)
        return (long)weave_wake(word, value);
    SVM_ASSERT(op == FUTEX_WAIT_PRIVATE);
    if (*word != value) {
        errno = EAGAIN;
        return -1;
    }
    if (!weave_block(word, timeout == NULL ? WEAVE_NEVER : weave_now_ns() + ns_of(timeout))) {
        errno = ETIMEDOUT;
        return -1;
    }
    return 0;
}

WRAP(long, syscall, long number, ...)
{
    va_list ap;
    va_start(ap, number);
    SVM_ASSERT(number == SYS_futex);
    uint32_t *word = va_arg(ap, uint32_t *);
    int op = va_arg(ap, int);
    uint32_t value = va_arg(ap, uint32_t);
    const struct timespec *timeout = va_arg(ap, const struct timespec *);
    va_end(ap);
    return futex(word, op, value, timeout);
}

WRAP(int, nanosleep, const struct timespec *time, struct timespec *left)
{
    (void)left;
    SVM_ASSERT(weave_inside());
    weave_block(NULL, weave_now_ns() + ns_of(time));
    return 0;
}

WRAP(int, clock_gettime, clockid_t clock, struct timespec *time)
{
    enum { UP_S = 1000 };
    uint64_t ns = weave_now_ns() + UP_S * UINT64_C(1000000000);
    if (clock == CLOCK_REALTIME)
        ns = weave_wall_ms() * 1000000u;
    time->tv_sec = (time_t)(ns / 1000000000u);
    time->tv_nsec = (long)(ns % 1000000000u);
    return 0;
}

WRAP(ssize_t, getrandom, void *out, size_t len, unsigned flags)
{
    static const uint64_t outside = 0x5eed;
    (void)flags;
    struct rng rng;
    rng_init(&rng, weave_inside() ? weave_random(UINT64_MAX) : outside);
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)rng_next(&rng);
    return (ssize_t)len;
}
