/* base/stack.h - a bounded stack of small numbers, lock free: what was put back last is taken first, so it is still in the cache.
 *
 *     top = (index + 1) | tag << 32;  next[index] = the one below
 *
 * The tag counts every change, so a CAS that saw an old top fails even if the same index is back (ABA).
 * Source   Treiber, 1986, with the counted pointer of Michael and Scott, 1996. */
#ifndef BASE_STACK_H
#define BASE_STACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct stack {
    _Alignas(64) _Atomic uint64_t top;
    _Atomic uint32_t *next;
    uint32_t capacity;
};
bool stack_init(struct stack *stack, uint32_t capacity); /* empty; false = no memory */
void stack_deinit(struct stack *stack);
/* stack_push: INDEX < capacity, and not in the stack. */
void stack_push(struct stack *stack, uint32_t index);
/* stack_push_all: all of them with one atomic step; the last of INDICES comes out first. */
void stack_push_all(struct stack *stack, const uint32_t *indices, uint32_t count);
bool stack_try_pop(struct stack *stack, uint32_t *index_out); /* false = empty */
/* stack_pop_some: up to COUNT of them with one atomic step, the top first. Returns how many; 0 = empty. */
uint32_t stack_pop_some(struct stack *stack, uint32_t *indices_out, uint32_t count);

#endif
