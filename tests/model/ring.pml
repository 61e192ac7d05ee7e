/* The bounded queue: src/base/ring.c. PRODUCERS threads push EACH items in order into a ring of two cells, CONSUMERS pop them. Who meets a
 * full or an empty ring tries again when that cell's turn has changed: nothing else could change the answer.
 *
 * Proved: every item comes out once, those of a producer in their order; nobody pops what was not pushed; nobody is
 * left behind. */
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#ifndef EACH
#define EACH 2
#endif
#define CELLS 2
#define ITEMS (PRODUCERS * EACH)
#define THREADS (PRODUCERS + CONSUMERS)
#define WORDS (2 + 2 * CELLS)
#define PUSH_AT 0
#define POP_AT 1
#define TURN(c) (2 + (c))
#define ITEM(c) (2 + CELLS + (c))

#define FLUSH_CELLS(t) FLUSH(t, TURN(0)) FLUSH(t, TURN(1)) FLUSH(t, ITEM(0)) FLUSH(t, ITEM(1))
#define FLUSH_INDEX(t) FLUSH(t, PUSH_AT)
#ifdef MUTANT_NO_CAS
#define BUFFERS FLUSH_CELLS(0) FLUSH_CELLS(1) FLUSH_CELLS(2) FLUSH_CELLS(3) FLUSH_INDEX(0) FLUSH_INDEX(1)
#else
#if THREADS == 2
#define BUFFERS FLUSH_CELLS(0) FLUSH_CELLS(1)
#elif THREADS == 3
#define BUFFERS FLUSH_CELLS(0) FLUSH_CELLS(1) FLUSH_CELLS(2)
#else
#define BUFFERS FLUSH_CELLS(0) FLUSH_CELLS(1) FLUSH_CELLS(2) FLUSH_CELLS(3)
#endif
#endif
#include "weak.inc"

#ifdef MUTANT_RELAXED_TURN
#define STORE_TURN(t, w, v) STORE_RELAXED(t, w, v)
#else
#define STORE_TURN(t, w, v) STORE_RELEASE(t, w, v)
#endif

byte popped;              /* how many */
byte out[ITEMS];          /* by position */
byte seen[PRODUCERS + 1]; /* bit per item of the producer */

proctype producer(byte t)
{
    byte at, turn, n;
    do
    :: n < EACH ->
        at = LOAD(t, PUSH_AT);
        do
        :: turn = LOAD(t, TURN(at % CELLS));
            if
            :: turn == at ->
                if
#ifdef MUTANT_NO_CAS
                :: STORE_RELAXED(t, PUSH_AT, at + 1);
#else
                :: d_step { FENCE_RELAXED(t, PUSH_AT) && memory[PUSH_AT] == at -> memory[PUSH_AT] = at + 1 }
#endif
#ifdef MUTANT_TURN_FIRST
                    STORE_TURN(t, TURN(at % CELLS), at + 1);
                    STORE_RELAXED(t, ITEM(at % CELLS), 1 + t * EACH + n);
#else
                    STORE_RELAXED(t, ITEM(at % CELLS), 1 + t * EACH + n);
                    STORE_TURN(t, TURN(at % CELLS), at + 1);
#endif
                    break
                :: d_step { FENCE_RELAXED(t, PUSH_AT) && memory[PUSH_AT] != at -> at = memory[PUSH_AT] } /* the failing CAS gives it */
                fi
            :: turn < at -> LOAD(t, TURN(at % CELLS)) != turn; at = LOAD(t, PUSH_AT) /* full */
            :: else -> at = LOAD(t, PUSH_AT)
            fi
        od;
        n++;
        at = 0;
        turn = 0
    :: else -> break
    od
}

proctype consumer(byte t)
{
    byte at, turn, item;
    do
    :: popped < ITEMS ->
        at = LOAD(t, POP_AT);
        do
        :: turn = LOAD(t, TURN(at % CELLS));
            if
            :: turn == at + 1 ->
                if
                :: d_step { FENCE_RELAXED(t, POP_AT) && memory[POP_AT] == at -> memory[POP_AT] = at + 1 }
                    item = LOAD(t, ITEM(at % CELLS));
#ifdef MUTANT_TURN_SHORT
                    STORE_TURN(t, TURN(at % CELLS), at + CELLS - 1);
#else
                    STORE_TURN(t, TURN(at % CELLS), at + CELLS);
#endif
                    d_step {
                        assert(item > 0);
                        item--;
                        assert(((seen[item / EACH] >> (item % EACH)) & 1) == 0); /* once */
                        seen[item / EACH] = seen[item / EACH] | (1 << (item % EACH));
                        assert(out[at] == 0);
                        out[at] = item + 1;
                        item = 0;
                        popped++
                    }
                    break
                :: d_step { FENCE_RELAXED(t, POP_AT) && memory[POP_AT] != at -> at = memory[POP_AT] }
                fi
            :: turn < at + 1 -> LOAD(t, TURN(at % CELLS)) != turn || popped == ITEMS; break /* empty */
            :: else -> at = LOAD(t, POP_AT)
            fi
        od;
        at = 0;
        turn = 0
    :: else -> break
    od
}

init
{
    byte i, j;
    atomic {
        memory[TURN(1)] = 1;
        do
        :: i < PRODUCERS -> run producer(i); i++
        :: else -> break
        od;
        do
        :: i < THREADS -> run consumer(i); i++
        :: else -> break
        od;
        i = 0
    }
    d_step {
        _nr_pr == 2 && popped == ITEMS -> /* the memory system never ends */
        do
        :: i < ITEMS ->
            j = i + 1;
            do
            :: j < ITEMS ->
                assert((out[i] - 1) / EACH != (out[j] - 1) / EACH || out[i] < out[j]); /* a producer's in order */
                j++
            :: else -> break
            od;
            i++
        :: else -> break
        od
    }
}
