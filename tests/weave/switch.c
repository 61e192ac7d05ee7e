#include "switch.h"

#include <stdint.h>

/* The callee-saved registers are pushed, the stack pointers exchanged, the others' popped. Elsewhere ucontext does it, at the price of
 * a system call each. */

#if defined(__x86_64__)

__asm__(".text\n"
        ".globl switch_to\n"
        ".type switch_to, @function\n"
        "switch_to:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size switch_to, . - switch_to\n");

void *switch_make(void *stack, size_t bytes, void (*entry)(void))
{
    uintptr_t top = ((uintptr_t)stack + bytes) & ~(uintptr_t)15;
    void **at = (void **)top;
    *--at = NULL; /* entry's return address: there is none */
    *--at = (void *)(uintptr_t)entry;
    for (int i = 0; i < 6; i++)
        *--at = NULL;
    return at;
}

#elif defined(__aarch64__)

__asm__(".text\n"
        ".globl switch_to\n"
        ".type switch_to, %function\n"
        "switch_to:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size switch_to, . - switch_to\n");

void *switch_make(void *stack, size_t bytes, void (*entry)(void))
{
    uintptr_t top = ((uintptr_t)stack + bytes) & ~(uintptr_t)15;
    void **at = (void **)(top - 160);
    for (int i = 0; i < 20; i++)
        at[i] = NULL;
    at[11] = (void *)(uintptr_t)entry;
    return at;
}

#else

#include <ucontext.h>

struct place {
    ucontext_t context;
};

void *switch_make(void *stack, size_t bytes, void (*entry)(void))
{
    struct place *place = stack;
    getcontext(&place->context);
    place->context.uc_stack.ss_sp = (char *)stack + sizeof *place;
    place->context.uc_stack.ss_size = bytes - sizeof *place;
    place->context.uc_link = NULL;
    makecontext(&place->context, entry, 0);
    return place;
}

void switch_to(void **from_out, void *to)
{
    struct place here;
    *from_out = &here;
    swapcontext(&here.context, &((struct place *)to)->context);
}

#endif
