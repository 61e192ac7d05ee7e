/* Hand-over: src/mvcc/seq.c. WORKERS threads take runs of one or two numbers with as many credits, finish the runs in any order and carry
 * `applied` over the finished prefix. The slot of a run's first number says that it is finished and how long it is; no slot is ever cleared.
 * With records the committer takes them in order and gives the credits back; without (MEMORY) what is applied is gone. SLOTS slots, EACH
 * numbers per thread: they wrap.
 *
 * Proved: `applied` covers finished numbers only, and at rest all of them; a place is free when its number comes; the committer gets the
 * record of the number it asks for. */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef EACH
#define EACH 2
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#define LAST (WORKERS * EACH)

byte next = 1;
byte applied;
byte tag[SLOTS]; /* numbers begin at 1 */
byte run_of[SLOTS];
byte record[SLOTS];
byte credits = SLOTS;
byte taken;
bool finished[LAST + 1];
#ifdef MEMORY
#define CONSUMED applied
#else
#define CONSUMED taken
#endif

#ifdef MUTANT_CREDIT_WITHOUT_SLOT
#define CREDITS_ENOUGH true
#else
#define CREDITS_ENOUGH (credits >= count)
#endif

/* From HERE to THERE, unless it has moved meanwhile. What it comes to cover is finished. */
inline move(here, there)
{
    d_step {
        if
        :: applied == here ->
            applied = there;
            i = here;
            do
            :: i < there -> i++; assert(finished[i])
            :: else -> break
            od
#ifdef MEMORY
            credits = credits + (there) - (here)
#endif
        :: else
        fi;
        i = 0
    }
}

inline carry()
{
    do
    :: at = applied;
        end = at;
        do
#ifdef MUTANT_RUN_READ_FIRST
        :: length = run_of[(end + 1) % SLOTS];
            if
            :: tag[(end + 1) % SLOTS] == end + 1 -> end = end + length
            :: else -> break
            fi
#else
        :: tag[(end + 1) % SLOTS] == end + 1 -> end = end + run_of[(end + 1) % SLOTS]
        :: else -> break
#endif
        od;
        length = 0;
        if
        :: end == at -> break
        :: else
        fi;
        move(at, end)
#ifdef MUTANT_CARRY_ONCE
        break
#endif
    od;
    end = 0;
    at = 0
}

inline write_record()
{
    d_step {
        i = seq;
        do
        :: i < seq + count -> record[i % SLOTS] = i; finished[i] = true; i++
        :: else -> break
        od;
        i = 0
    }
}

inline mark()
{
#ifdef MUTANT_MARK_BEFORE_RUN
    tag[seq % SLOTS] = seq;
    run_of[seq % SLOTS] = count
#else
    run_of[seq % SLOTS] = count;
    tag[seq % SLOTS] = seq
#endif
}

/* Mostly everything before it is finished. */
inline guess()
{
#ifdef MUTANT_GUESS_INTO_RUN
    move(seq - 1, seq)
#else
    move(seq - 1, seq + count - 1)
#endif
}

proctype worker()
{
    byte seq, at, end, length, count, n, i;
    do
    :: n < EACH ->
        if
        :: count = 1
        :: n + 2 <= EACH -> count = 2
        fi;
        d_step { CREDITS_ENOUGH -> credits = credits - count }
        d_step { seq = next; next = next + count }
        assert(seq + count - 1 - CONSUMED <= SLOTS);
#ifdef MUTANT_LOOK_BEFORE_MARK
        at = applied;
        write_record();
        mark();
        if
        :: at + 1 == seq -> carry()
        :: else
        fi;
#else
#ifdef MUTANT_MARK_BEFORE_RECORD
        mark();
        guess();
        write_record();
#else
        write_record();
        mark();
        guess();
#endif
        carry();
#endif
        n = n + count;
        seq = 0;
        count = 0
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
        r = record[seq % SLOTS];
        assert(r == seq);
        r = 0;
#ifdef MUTANT_CREDIT_FIRST
        credits++;
        taken = seq;
#else
        taken = seq;
        credits++;
#endif
        seq = 0
    :: else -> break
    od
}

init
{
    byte i;
    atomic {
        do
        :: i < WORKERS -> run worker(); i++
        :: else -> break
        od;
        i = 0;
#ifdef MEMORY
        taken = LAST
#else
        run committer()
#endif
    }
    d_step { _nr_pr == 1 -> assert(applied == LAST && taken == LAST) }
}
