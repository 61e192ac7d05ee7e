/* weave/atomics.h - every atomic access is a step (BUILD=weave compiles all sources with this header in front).
 *
 * The macros of <stdatomic.h> say who accesses what to the weaver, which may let another coroutine go first, and then do what they
 * always do. One coroutine runs at a time, so what is seen is sequentially consistent whatever the memory order says: weaker
 * orders are the business of tests/model. */
#ifndef WEAVE_ATOMICS_H
#define WEAVE_ATOMICS_H
#pragma GCC system_header

#include <stdatomic.h>
#include <stdbool.h>

extern int weave_gap; /* accesses until the next one that is a step */
void weave_step(const volatile void *at, bool write);
bool weave_weak_fails(void); /* shall a weak compare-and-swap fail for no reason? */

#define WEAVE_ACCESS(at, write) ((void)(--weave_gap > 0 || (weave_step((at), (write)), 0)))

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_weak_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and
#undef atomic_fetch_and_explicit
#undef atomic_fetch_xor
#undef atomic_fetch_xor_explicit

#ifdef __clang__
#define WEAVE_LOAD(mo)     __c11_atomic_load(weave_p, (mo))
#define WEAVE_STORE(mo)    __c11_atomic_store(weave_p, weave_v, (mo))
#define WEAVE_EXCHANGE(mo) __c11_atomic_exchange(weave_p, weave_v, (mo))
#define WEAVE_CAS(won, not )                                                                       \
    __c11_atomic_compare_exchange_strong(weave_p, weave_w, weave_v, won, not )
#define WEAVE_FETCH(op, mo) __c11_atomic_fetch_##op(weave_p, weave_v, (mo))
#else
#define WEAVE_LOAD(mo)                                                                             \
    __extension__({                                                                                \
        __typeof__((void)0, *weave_p) weave_got;                                                   \
        __atomic_load(weave_p, &weave_got, (mo));                                                  \
        weave_got;                                                                                 \
    })
#define WEAVE_STORE(mo) __atomic_store(weave_p, &weave_v, (mo))
#define WEAVE_EXCHANGE(mo)                                                                         \
    __extension__({                                                                                \
        __typeof__((void)0, *weave_p) weave_old;                                                   \
        __atomic_exchange(weave_p, &weave_v, &weave_old, (mo));                                    \
        weave_old;                                                                                 \
    })
#define WEAVE_CAS(won, not ) __atomic_compare_exchange(weave_p, weave_w, &weave_v, 0, won, not )
#define WEAVE_FETCH(op, mo)  __atomic_fetch_##op(weave_p, weave_v, (mo))
#endif

/* Whatever the arguments do comes before the step. */
#define atomic_load_explicit(p, mo)                                                                \
    __extension__({                                                                                \
        __auto_type weave_p = (p);                                                                 \
        WEAVE_ACCESS(weave_p, false);                                                              \
        WEAVE_LOAD(mo);                                                                            \
    })
#define atomic_store_explicit(p, v, mo)                                                            \
    __extension__({                                                                                \
        __auto_type weave_p = (p);                                                                 \
        __typeof__((void)0, *weave_p) weave_v = (v);                                               \
        WEAVE_ACCESS(weave_p, true);                                                               \
        WEAVE_STORE(mo);                                                                           \
    })
#define atomic_exchange_explicit(p, v, mo)                                                         \
    __extension__({                                                                                \
        __auto_type weave_p = (p);                                                                 \
        __typeof__((void)0, *weave_p) weave_v = (v);                                               \
        WEAVE_ACCESS(weave_p, true);                                                               \
        WEAVE_EXCHANGE(mo);                                                                        \
    })
#define atomic_compare_exchange_strong_explicit(p, want, v, won, not )                             \
    __extension__({                                                                                \
        __auto_type weave_p = (p);                                                                 \
        __auto_type weave_w = (want);                                                              \
        __typeof__((void)0, *weave_p) weave_v = (v);                                               \
        WEAVE_ACCESS(weave_p, true);                                                               \
        WEAVE_CAS(won, not );                                                                      \
    })
#define atomic_compare_exchange_weak_explicit(p, want, v, won, not )                               \
    __extension__({                                                                                \
        __auto_type weave_p = (p);                                                                 \
        __auto_type weave_w = (want);                                                              \
        __typeof__((void)0, *weave_p) weave_v = (v);                                               \
        WEAVE_ACCESS(weave_p, true);                                                               \
        bool weave_swapped = false;                                                                \
        if (weave_weak_fails())                                                                    \
            *weave_w = WEAVE_LOAD(not );                                                           \
        else                                                                                       \
            weave_swapped = WEAVE_CAS(won, not );                                                  \
        weave_swapped;                                                                             \
    })
#define WEAVE_FETCH_STEP(op, p, v, mo)                                                             \
    __extension__({                                                                                \
        __auto_type weave_p = (p);                                                                 \
        __auto_type weave_v = (v);                                                                 \
        WEAVE_ACCESS(weave_p, true);                                                               \
        WEAVE_FETCH(op, mo);                                                                       \
    })
#define atomic_fetch_add_explicit(p, v, mo) WEAVE_FETCH_STEP(add, p, v, mo)
#define atomic_fetch_sub_explicit(p, v, mo) WEAVE_FETCH_STEP(sub, p, v, mo)
#define atomic_fetch_or_explicit(p, v, mo)  WEAVE_FETCH_STEP(or, p, v, mo)
#define atomic_fetch_and_explicit(p, v, mo) WEAVE_FETCH_STEP(and, p, v, mo)
#define atomic_fetch_xor_explicit(p, v, mo) WEAVE_FETCH_STEP(xor, p, v, mo)

#define atomic_load(p)        atomic_load_explicit(p, memory_order_seq_cst)
#define atomic_store(p, v)    atomic_store_explicit(p, v, memory_order_seq_cst)
#define atomic_exchange(p, v) atomic_exchange_explicit(p, v, memory_order_seq_cst)
#define atomic_compare_exchange_strong(p, want, v)                                                 \
    atomic_compare_exchange_strong_explicit(p, want, v, memory_order_seq_cst, memory_order_seq_cst)
#define atomic_compare_exchange_weak(p, want, v)                                                   \
    atomic_compare_exchange_weak_explicit(p, want, v, memory_order_seq_cst, memory_order_seq_cst)
#define atomic_fetch_add(p, v) atomic_fetch_add_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_sub(p, v) atomic_fetch_sub_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_or(p, v)  atomic_fetch_or_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_and(p, v) atomic_fetch_and_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_xor(p, v) atomic_fetch_xor_explicit(p, v, memory_order_seq_cst)

#endif
