/* Parking: src/base/park.c. SLEEPERS threads take work, wait for it when there is none; WAKERS threads each put one piece where the sleepers
 * look, then wake one. The work is put by a plain store; nobody has a timeout here, though in the code everybody has one.
 *
 * Proved: when nothing moves any more, all the work was taken. */
#ifndef SLEEPERS
#define SLEEPERS 2
#endif
#ifndef WAKERS
#define WAKERS 2
#endif
#define THREADS (SLEEPERS + WAKERS)
#define WORDS (2 + WAKERS)
#define EPOCH 0
#define ASLEEP 1 /* sleepers: how many announced themselves */
#define WORK(n) (2 + (n))

#if WAKERS == 1
#define BUFFERS FLUSH(SLEEPERS, WORK(0))
#else
#define BUFFERS FLUSH(SLEEPERS, WORK(0)) FLUSH(SLEEPERS + 1, WORK(1))
#endif
#include "weak.inc"

byte taken;
bool queued[SLEEPERS]; /* in the kernel's queue */
byte finished;

inline try_take(found)
{
    found = false;
    w = 0;
    do
    :: w < WAKERS && !found ->
        if
        :: d_step { memory[WORK(w)] == 1 -> memory[WORK(w)] = 0; taken++; found = true }
        :: else
        fi;
        w++
    :: else -> break
    od;
    w = 0
}

proctype sleeper(byte t)
{
    byte ticket, w;
    bool found;
    do
    :: try_take(found);
        if
        :: found -> found = false; goto again
        :: else
        fi;
        d_step { FENCE(t); memory[ASLEEP] = memory[ASLEEP] + 1 }
#ifdef MUTANT_TICKET_LATE
        try_take(found);
        ticket = memory[EPOCH];
#else
        ticket = memory[EPOCH];
#ifdef MUTANT_NO_LOOK
        found = false;
#else
        try_take(found);
#endif
#endif
        if
        :: found -> memory[ASLEEP] = memory[ASLEEP] - 1; found = false
        :: else ->
            if /* futex(2): compared and queued in one step */
            :: d_step { memory[EPOCH] == ticket -> queued[t] = true }
end:            !queued[t]
            :: memory[EPOCH] != ticket
            fi;
            memory[ASLEEP] = memory[ASLEEP] - 1
        fi;
again:  ticket = 0
    od
}

proctype waker(byte t; byte n)
{
    byte s;
    STORE_RELEASE(t, WORK(n), 1);
#ifndef MUTANT_NO_FENCE
    FENCE(t);
#endif
    if
    :: LOAD(t, ASLEEP) == 0
    :: else ->
#ifndef MUTANT_NO_EPOCH
        d_step { FENCE(t); memory[EPOCH] = memory[EPOCH] + 1 }
#endif
        if
        :: d_step { queued[0] -> queued[0] = false }
#if SLEEPERS > 1
        :: d_step { queued[1] -> queued[1] = false }
#endif
        :: else
        fi
    fi;
    finished++
}

init
{
    byte i;
    atomic {
        do
        :: i < SLEEPERS -> run sleeper(i); i++
        :: else -> break
        od;
        do
        :: i < SLEEPERS + WAKERS -> run waker(i, i - SLEEPERS); i++
        :: else -> break
        od
    }
    timeout -> assert(finished == WAKERS && taken == WAKERS)
}
