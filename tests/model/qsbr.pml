/* Reclamation: src/base/qsbr.c. A writer replaces what PTR points to BLOCKS times and retires what was there; it reclaims by itself, or leaves
 * its batches to the domain, where a drainer finds them. READERS go online, read PTR, use the block, quiesce or go offline, ROUNDS times.
 *
 * Proved: no block is used after it was freed, in either machine of weak.inc. At the end, with all offline, a last drain frees everything. */
#ifndef READERS
#define READERS 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef BLOCKS
#define BLOCKS 2
#endif
#define WRITER READERS
#define DRAINER (READERS + 1)
#define THREADS (READERS + 2)
#define WORDS (2 + READERS)
#define PTR 0
#define EPOCH 1
#define ANNOUNCED(r) (2 + (r))
#define NEVER 255

#if READERS == 1
#define BUFFERS FLUSH(0, ANNOUNCED(0)) FLUSH(WRITER, PTR)
#else
#define BUFFERS FLUSH(0, ANNOUNCED(0)) FLUSH(1, ANNOUNCED(1)) FLUSH(WRITER, PTR)
#endif
#include "weak.inc"

bool freed[BLOCKS + 1];

/* The domain's lists, under its mutex: blocks as bits. */
bool mutex;
byte left, left_tag, held_back, held_tag; /* qsbr->left, qsbr->waiting */
bool writer_gone;
byte readers_gone;

proctype reader(byte t)
{
    byte epoch, p, round;
    do
    :: round < ROUNDS ->
        epoch = LOAD(t, EPOCH);
        STORE_RELEASE(t, ANNOUNCED(t), epoch);
#ifndef MUTANT_ONLINE_UNORDERED
        FENCE(t); /* fetch_add(epoch, 0), seq_cst */
#endif
        do
        :: p = LOAD(t, PTR);
            assert(!freed[p]); /* used; and used once more below */
#ifdef MUTANT_QUIESCE_HOLDING
            if
            :: epoch != LOAD(t, EPOCH) -> epoch = LOAD(t, EPOCH); STORE_RELEASE(t, ANNOUNCED(t), epoch)
            :: else
            fi;
#endif
            assert(!freed[p]);
            p = 0;
            round++;
            if
            :: round < ROUNDS -> /* quiesce */
                if
                :: epoch != LOAD(t, EPOCH) -> epoch = LOAD(t, EPOCH); STORE_RELEASE(t, ANNOUNCED(t), epoch)
                :: else
                fi
            :: break
            fi
        od;
        STORE_RELEASE(t, ANNOUNCED(t), 0);
        epoch = 0
    :: else -> break
    od;
    FENCE(t);
    readers_gone++
}

#ifdef MUTANT_FREE_AT_TAG
#define OLDER(tag, least) ((tag) <= (least))
#else
#define OLDER(tag, least) ((tag) < (least))
#endif

inline least_announced(t)
{
    least = NEVER;
    r = 0;
    do
    :: r < READERS ->
        d_step { at = LOAD(t, ANNOUNCED(r)); if :: at != 0 && at < least -> least = at :: else fi; at = 0; r++ }
    :: else -> break
    od;
    r = 0
}

inline reclaim(blocks)
{
    d_step {
        r = 0;
        do
        :: r <= BLOCKS -> if :: (blocks >> r) & 1 -> assert(!freed[r]); freed[r] = true :: else fi; r++
        :: else -> break
        od;
        r = 0;
        blocks = 0
    }
}

inline join_left(blocks, tag)
{
    atomic { !mutex -> mutex = true }
#ifdef MUTANT_LEFT_KEEPS_TAG
    if :: left == 0 -> left_tag = tag :: else fi;
#else
    if :: tag > left_tag -> left_tag = tag :: else fi;
#endif
    left = left | blocks;
    blocks = 0;
    mutex = false
}

proctype writer()
{
    byte n, retired, tag, least, r, at;
    do
    :: n < BLOCKS ->
        retired = retired | (1 << n); /* still in its hands: the batch that could not be freed, joined by this block */
#ifdef MUTANT_CLOSE_FIRST
        d_step { FENCE(WRITER); tag = memory[EPOCH]; memory[EPOCH] = memory[EPOCH] + 1 }
#endif
        n++;
        STORE_RELEASE(WRITER, PTR, n); /* the old block is unlinked */
#ifndef MUTANT_CLOSE_FIRST
        d_step { FENCE(WRITER); tag = memory[EPOCH]; memory[EPOCH] = memory[EPOCH] + 1 } /* the batch is closed */
#endif
        if
        :: least_announced(WRITER);
            if
            :: OLDER(tag, least) -> reclaim(retired)
            :: else
            fi
        :: join_left(retired, tag) /* offline with too much */
        fi
    :: else -> break
    od;
    if
    :: retired > 0 -> join_left(retired, tag)
    :: else
    fi;
    writer_gone = true
}

inline drain()
{
    atomic { !mutex -> mutex = true }
    least_announced(DRAINER);
    n = 0;
    do
    :: n < 2 ->
        d_step {
            if
            :: OLDER(held_tag, least) -> ready = ready | held_back; held_back = left; held_tag = left_tag; left = 0; left_tag = 0
            :: else
            fi;
            n++
        }
    :: else -> break
    od;
    mutex = false;
    reclaim(ready)
}

proctype drainer()
{
    byte n, ready, least, r, at;
    do
    :: !writer_gone && left > 0 -> drain()
    :: writer_gone -> break
    od;
    readers_gone == READERS;
    drain();
    drain();
    assert(left == 0 && held_back == 0);
    n = 0;
    do
    :: n < BLOCKS -> assert(freed[n]); n++
    :: else -> break
    od;
    assert(!freed[BLOCKS])
}

init
{
    byte i;
    atomic {
        memory[EPOCH] = 1;
        do
        :: i < READERS -> run reader(i); i++
        :: else -> break
        od;
        run writer();
        run drainer();
        i = 0
    }
}
