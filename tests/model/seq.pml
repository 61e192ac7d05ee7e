/* Hand-over: src/mvcc/seq.c. WORKERS threads take numbers with a credit, finish them in any order and carry `applied` over the finished
 * prefix; the committer takes the records in order and gives slot and credit back. SLOTS slots, EACH numbers per thread: they wrap.
 *
 * Proved: `applied` covers finished numbers only, and at rest all of them; a slot is free when its number comes; the committer gets the
 * record of the number it asks for. */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef EACH
#define EACH 2
#endif
#define SLOTS 2
#define LAST (WORKERS * EACH)
#define FREE 255

byte next = 1;
byte applied;
byte tag[SLOTS];
byte record[SLOTS];
byte credits = SLOTS;
byte taken;
bool finished[LAST + 1];

#ifdef MUTANT_CREDIT_WITHOUT_SLOT
#define CREDITS_ENOUGH true
#else
#define CREDITS_ENOUGH (credits > 0)
#endif

inline carry()
{
    do
    :: at = applied;
        end = at;
        do
        :: tag[(end + 1) % SLOTS] == end + 1 -> end++
        :: else -> break
        od;
        if
        :: end == at -> break
        :: else
        fi;
        d_step {
            if
            :: applied == at ->
                applied = end;
                do
                :: at < end -> at++; assert(finished[at])
                :: else -> break
                od
            :: else
            fi;
            at = 0
        }
#ifdef MUTANT_CARRY_ONCE
        break
#endif
    od;
    end = 0;
    at = 0
}

proctype worker()
{
    byte seq, at, end, n;
    do
    :: n < EACH ->
        d_step { CREDITS_ENOUGH -> credits-- }
        d_step { seq = next; next++ }
        assert(tag[seq % SLOTS] == FREE);
#ifdef MUTANT_LOOK_BEFORE_MARK
        at = applied;
        if
        :: at + 1 == seq -> d_step { record[seq % SLOTS] = seq; finished[seq] = true; tag[seq % SLOTS] = seq }; carry()
        :: else -> d_step { record[seq % SLOTS] = seq; finished[seq] = true; tag[seq % SLOTS] = seq }
        fi;
#else
#ifdef MUTANT_MARK_BEFORE_RECORD
        tag[seq % SLOTS] = seq;
        record[seq % SLOTS] = seq;
        finished[seq] = true;
#else
        record[seq % SLOTS] = seq;
        finished[seq] = true;
        tag[seq % SLOTS] = seq;
#endif
        carry();
#endif
        n++;
        seq = 0
    :: else -> break
    od
}

proctype committer()
{
    byte seq, r;
    do
    :: taken < LAST ->
        seq = taken + 1;
        applied >= seq; /* at rest this must have come true: else nothing moves any more */
        assert(tag[seq % SLOTS] == seq);
        r = record[seq % SLOTS];
        assert(r == seq);
        d_step { record[seq % SLOTS] = 0; r = 0 }
#ifdef MUTANT_CREDIT_FIRST
        credits++;
        tag[seq % SLOTS] = FREE;
#else
        tag[seq % SLOTS] = FREE;
        credits++;
#endif
        taken = seq;
        seq = 0
    :: else -> break
    od
}

init
{
    byte i;
    atomic {
        do
        :: i < SLOTS -> tag[i] = FREE; i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < WORKERS -> run worker(); i++
        :: else -> break
        od;
        i = 0;
        run committer()
    }
    d_step { _nr_pr == 1 -> assert(applied == LAST && taken == LAST) }
}
