/* app/heap.h - what the process has freed goes back to the system, so that resident memory is what is in use.
 *
 * The database's caches and compactions take and give blocks of all sizes on their own threads; left to itself, malloc keeps
 * the holes, a little more each hour (docs/decisions/0022). A library must not set malloc's habits for its program, so this is the daemon's.
 *
 * Thread   the loop (L); the work is done in libuv's pool. Only with glibc; elsewhere nothing is done. */
#ifndef APP_HEAP_H
#define APP_HEAP_H

#include <stdint.h>
#include <uv.h>

struct heap {
    uv_timer_t timer;
    uv_work_t work;
    uint64_t took_ns; /* of the last one */
};

/* heap_init: blocks of 1 MiB and more are the system's own from now on. Before the first thread. */
void heap_init(void);
/* heap_watch: give back what is free, every 10 s, or less often where that costs much (heap_pause_ms). HEAP stays where it is until the loop ends. */
void heap_watch(struct heap *heap, uv_loop_t *loop);
/* heap_close: closes its handle; work under way still ends, on the loop. */
void heap_close(struct heap *heap);

/* heap_trim: once, now. Any thread. Returns the processor time that it took, ns. */
uint64_t heap_trim(void);
/* heap_pause_ms: until the next time, when the last one took so much: a thousandth of a processor at most, and an hour after one of more than
 * 20 ms, which the threads of an arena would notice. */
uint64_t heap_pause_ms(uint64_t took_ns);

#endif
