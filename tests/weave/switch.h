/* weave/switch.h - from one stack to another. */
#ifndef WEAVE_SWITCH_H
#define WEAVE_SWITCH_H

#include <stddef.h>

/* switch_make: a context that will run ENTRY, which must not return, on STACK. switch_to: leave *FROM_OUT, go on in TO. */
void *switch_make(void *stack, size_t bytes, void (*entry)(void));
void switch_to(void **from_out, void *to);

#endif
