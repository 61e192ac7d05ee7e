#include "base/stack.h"

#include <stdlib.h>

#include "base/assert.h"

#define INDEX_MASK UINT64_C(0xffffffff)

bool stack_init(struct stack *stack, uint32_t capacity)
{
    SVM_ASSERT(capacity > 0 && capacity < UINT32_MAX);
    atomic_init(&stack->top, 0);
    stack->capacity = capacity;
    stack->next = calloc(capacity, sizeof *stack->next);
    return stack->next != NULL;
}

void stack_deinit(struct stack *stack)
{
    free(stack->next);
    stack->next = NULL;
}

static uint64_t successor(uint64_t top, uint32_t entry)
{
    return ((top >> 32) + 1) << 32 | entry;
}

void stack_push(struct stack *stack, uint32_t index)
{
    stack_push_all(stack, &index, 1);
}

void stack_push_all(struct stack *stack, const uint32_t *indices, uint32_t count)
{
    if (count == 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        SVM_ASSERT(indices[i] < stack->capacity);
        if (i > 0)
            atomic_store_explicit(&stack->next[indices[i]], indices[i - 1] + 1,
                                  memory_order_relaxed);
    }
    uint64_t top = atomic_load_explicit(&stack->top, memory_order_relaxed);
    do
        atomic_store_explicit(&stack->next[indices[0]], (uint32_t)(top & INDEX_MASK),
                              memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&stack->top, &top,
                                                  successor(top, indices[count - 1] + 1),
                                                  memory_order_release, memory_order_relaxed));
}

uint32_t stack_pop_some(struct stack *stack, uint32_t *indices_out, uint32_t count)
{
    uint64_t top = atomic_load_explicit(&stack->top, memory_order_acquire);
    uint32_t taken;
    uint32_t entry;
    do {
        entry = (uint32_t)(top & INDEX_MASK);
        /* What is read here may be outdated; then the tag has moved and the CAS fails. An entry is always 0 or within bounds. */
        for (taken = 0; taken < count && entry != 0; taken++) {
            indices_out[taken] = entry - 1;
            entry = atomic_load_explicit(&stack->next[entry - 1], memory_order_relaxed);
        }
        if (taken == 0)
            return 0;
    } while (!atomic_compare_exchange_weak_explicit(&stack->top, &top, successor(top, entry),
                                                    memory_order_acquire, memory_order_acquire));
    return taken;
}

bool stack_try_pop(struct stack *stack, uint32_t *index_out)
{
    return stack_pop_some(stack, index_out, 1) == 1;
}
