#include "base/park.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

/* Why no wake-up is lost. The sleeper announces itself (sleepers), then fences, then looks for work; the waker has put the work,
 * fences, then looks at sleepers. Of the two looks at least one sees the other's store. When the waker sees the sleeper it raises
 * the epoch: either after the sleeper took its ticket, then the kernel finds epoch != ticket and does not sleep; or before, then
 * the acquiring load of the ticket makes the work visible to the look that follows it. */

_Static_assert(sizeof(_Atomic uint32_t) == sizeof(uint32_t), "a futex is a plain 32-bit word");

static void futex_wake(_Atomic uint32_t *word, int count)
{
    long woken = syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
    SVM_ASSERT(woken >= 0);
}

void park_init(struct park *park)
{
    atomic_init(&park->epoch, 0);
    atomic_init(&park->sleepers, 0);
}

uint32_t park_prepare(struct park *park)
{
    atomic_fetch_add_explicit(&park->sleepers, 1, memory_order_seq_cst);
    uint32_t ticket = atomic_load_explicit(&park->epoch, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    return ticket;
}

void park_cancel(struct park *park)
{
    uint32_t before = atomic_fetch_sub_explicit(&park->sleepers, 1, memory_order_relaxed);
    SVM_ASSERT(before > 0);
}

void park_wait(struct park *park, uint32_t ticket, uint32_t timeout_us)
{
    struct timespec timeout = {.tv_sec = (time_t)(timeout_us / 1000000u),
                               .tv_nsec = (long)(timeout_us % 1000000u) * 1000};
    long rc = syscall(SYS_futex, &park->epoch, FUTEX_WAIT_PRIVATE, ticket,
                      timeout_us == 0 ? NULL : &timeout, NULL, 0);
    SVM_ASSERT(rc == 0 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT);
    park_cancel(park);
}

static void wake(struct park *park, int count)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&park->sleepers, memory_order_relaxed) == 0) {
        return;
    }
    atomic_fetch_add_explicit(&park->epoch, 1, memory_order_seq_cst);
    futex_wake(&park->epoch, count);
}

void park_wake(struct park *park)
{
    wake(park, 1);
}

void park_wake_all(struct park *park)
{
    wake(park, INT_MAX);
}
