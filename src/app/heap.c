#include "app/heap.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <time.h>

/* What a compaction reads ahead for each of its files (2 MiB) and the blocks of a write buffer (1 MiB) go back when they are freed. Left alone, malloc
 * raises the bound to the largest that was ever freed, and they lie in its arenas, with small blocks between them. A bound once set stays. */
enum {
    HEAP_LARGE_BYTES = 1 << 20,
    HEAP_TOP_BYTES = 4 << 20, /* free at an arena's end before that shrinks */
    HEAP_PERIOD_MS = 10000,
    HEAP_SHARE = 1000,
    HEAP_LONG_MS = 20, /* a heap so large that its threads would notice */
    HEAP_REST_MS = 3600000,
    NS_PER_MS = 1000000,
    NS_PER_S = 1000000000
};

void heap_init(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_LARGE_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_TOP_BYTES);
#endif
}

uint64_t heap_pause_ms(uint64_t took_ns)
{
    if (took_ns / NS_PER_MS > HEAP_LONG_MS) {
        return HEAP_REST_MS;
    }
    const uint64_t pause_ms = took_ns / NS_PER_MS * HEAP_SHARE;
    return pause_ms < HEAP_PERIOD_MS ? HEAP_PERIOD_MS : pause_ms;
}

static uint64_t cpu_ns(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0
               ? (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec
               : 0;
}

uint64_t heap_trim(void)
{
    const uint64_t begun = cpu_ns();
#ifdef __GLIBC__
    (void)malloc_trim(0); /* whole pages, in all arenas; each is locked meanwhile */
#endif
    return cpu_ns() - begun;
}

static void trim(uv_work_t *work)
{
    struct heap *heap = work->data;
    heap->took_ns = heap_trim();
}

static void on_time(uv_timer_t *timer);

static void on_trimmed(uv_work_t *work, int status)
{
    struct heap *heap = work->data;
    (void)status;
    if (!uv_is_closing((uv_handle_t *)&heap->timer)) {
        uv_timer_start(&heap->timer, on_time, heap_pause_ms(heap->took_ns), 0);
    }
}

static void on_time(uv_timer_t *timer)
{
    struct heap *heap = timer->data;
    (void)uv_queue_work(timer->loop, &heap->work, trim, on_trimmed);
}

void heap_watch(struct heap *heap, uv_loop_t *loop)
{
    uv_timer_init(loop, &heap->timer);
    heap->timer.data = heap->work.data = heap;
    uv_timer_start(&heap->timer, on_time, HEAP_PERIOD_MS, 0);
}

void heap_close(struct heap *heap)
{
    uv_close((uv_handle_t *)&heap->timer, NULL);
}
