/* The object table: claim, seq, validate, publish, hand over, pin, prune, load, evict.
 *
 *   TXNS transactions, each of any kind, each tried TRIES times     src/mvcc/claim.c, src/engine/execute.c, cells.c
 *   READERS snapshots that read both objects                        src/mvcc/pin.c, version.c, src/engine/query.c
 *   a collector: ROUNDS times floor, trim, evict                    src/mvcc/pin.c, version.c, collect.c
 *   a materialiser that follows `applied`, when EVICT               what src/store promises: disk = state at M
 *
 * Object 0 exists at the beginning (version 1, on the disk), object 1 is absent. A version is known by the seq that made it: words and
 * begins rise together in the code too. One step is one access to shared memory, in the order of the code, sequentially consistent (the
 * accesses that carry the argument are; qsbr.pml, ring.pml and park.pml look at weaker ones). hand_over's scan is one step here and taken apart in
 * seq.pml. Not here: cancelled snapshots, failed loads, tombstones, the index's own growth, reclamation (qsbr.pml).
 *
 * Proved at the end of every run: what a committed transaction saw of each object it read or wrote is what the last committed one before
 * it in the order of seq had made (no lost update, no double spend, no write skew; order of seq = serial order). On every read of a
 * snapshot at s: exactly the newest version made at or before s (whole, never pruned, never hidden by eviction and load). */
#ifndef TXNS
#define TXNS 2
#endif
#ifndef TRIES
#define TRIES 1
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef EVICT
#define EVICT 1
#endif
#ifndef TRIM
#define TRIM 1
#endif

#define OBJECTS 2
#define SEQS (2 + TXNS * TRIES) /* 0 = nothing, 1 = genesis, 2.. */
#define INCARNATIONS (1 + EVICT * ROUNDS)
#define PINS (TXNS + READERS)
#define HEADS (OBJECTS * INCARNATIONS)
#define HEAD(x, i) ((x) * INCARNATIONS + (i))
#define NODE(x, v) ((x) * SEQS + (v))

/* Words: 0 = ABSENT, 1.. = LIVE(version) */
#define LOADING 100
#define DEAD 101
#define CLAIM 1
#define MAINTENANCE 2
#define CLOSED 128
#define LEFT 255 /* in `older`: the version has left its chain, its word is reclamation's */

byte word[HEADS];
byte claim[HEADS];
byte newest[HEADS]; /* begin of the newest version; 0 = NULL */
byte holds[HEADS];
byte index[OBJECTS]; /* 1 + incarnation of the head that is in the index; 0 = none */
byte made[OBJECTS];  /* incarnations used */
bool mutex;          /* the shard's */
byte older[OBJECTS * SEQS];

byte next = 2;
byte applied = 1;
bool done[SEQS];

byte pin[PINS]; /* 0 = free, else seq + 1; 255 = being taken */
byte pending;
byte floor_applied;
byte floor_pins; /* bit s: a pin at s */
byte floor_min;

byte disk[OBJECTS]; /* version in `state` */
byte M = 1;

/* What really happened; nobody decides by it. */
byte wrote[OBJECTS]; /* bit s: seq s committed a version of x */
byte saw[OBJECTS * SEQS];
byte touched[SEQS]; /* bit x: the transaction at s read or wrote x */
byte spent;

inline expected(x, s, v) /* v = the newest version of x made at or before s */
{
    v = s;
    do
    :: v > 0 && ((wrote[x] >> v) & 1) == 0 -> v--
    :: else -> break
    od
}

/* ---- heads: src/mvcc/hold.c ---- */

/* Which prefix is on the disk is anybody's guess, never ahead of `applied`. Nobody sees it but who looks: it is guessed then. */
inline disk_read(x, v)
{
    atomic {
        do
        :: M < applied ->
            M++;
            if :: (wrote[0] >> M) & 1 -> disk[0] = M :: else fi;
            if :: (wrote[1] >> M) & 1 -> disk[1] = M :: else fi
        :: break
        od;
        v = disk[x]
    }
}

inline load(x, h, v) /* the head is ours, LOADING */
{
#ifndef MUTANT_LOAD_READ_FIRST
    disk_read(x, v);
#endif
    d_step { newest[h] = v; word[h] = v; if :: v > 0 -> older[NODE(x, v)] = 0 :: else fi }
}

inline insert(x, h) /* under the mutex; the index has no head for x */
{
    h = HEAD(x, made[x]);
    made[x]++;
    index[x] = made[x];
    word[h] = LOADING;
    claim[h] = 0;
    holds[h] = 1
}

/* Finding a head and trying to hold it are two steps in the code. Who has found one that goes meanwhile fails to hold it, as here who
 * finds it going; both then look again under the mutex. */
#ifdef MUTANT_HOLD_CLOSED
#define OPEN(h) true
#else
#define OPEN(h) (holds[h] < CLOSED)
#endif

inline hold(x, h, v)
{
#ifdef MUTANT_LOAD_READ_FIRST
    disk_read(x, v);
#endif
    if
    :: d_step { index[x] > 0 && OPEN(HEAD(x, index[x] - 1)) -> h = HEAD(x, index[x] - 1); holds[h]++ }
    :: d_step { index[x] == 0 && !mutex -> insert(x, h) };
        load(x, h, v)
    fi; /* else: the mutex is somebody's, who is evicting */
    word[h] != LOADING;
    assert(word[h] != DEAD)
}

/* ---- snapshots: src/mvcc/pin.c ---- */

inline take_pin(p, s)
{
    pin[p] = 255;
    do
    :: s = applied;
#ifdef MUTANT_PIN_LOOKS_FIRST
        pending <= s;
        pin[p] = s + 1;
        break
#else
        pin[p] = s + 1;
#ifdef MUTANT_PIN_LOOKS_NEVER
        break
#else
        if
        :: pending <= s -> break
        :: else
        fi
#endif
#endif
    od
}

inline read_at(x, h, s, v)
{
    v = newest[h];
    do
    :: v > s && v != LEFT -> v = older[NODE(x, v)]
#ifdef MUTANT_WALK_ENDS
    :: v == LEFT -> v = 0
#else
    :: v == LEFT -> v = newest[h]
#endif
    :: else -> break
    od
}

/* ---- trim: src/mvcc/version.c, under a claim of either kind ---- */

#ifdef MUTANT_PRUNE_ONE_EARLY
#define NEEDED(begin, successor) ((successor) > floor_applied + 1 || PINNED(begin, successor))
#else
#define NEEDED(begin, successor) ((successor) > floor_applied || PINNED(begin, successor))
#endif
#ifdef MUTANT_PRUNE_PINNED
#define PINNED(begin, successor) false
#else
#define PINNED(begin, successor) ((floor_pins >> (begin)) & ((1 << ((successor) - (begin))) - 1)) != 0
#endif

inline trim(x, h, kept, successor, v)
{
#if TRIM
    d_step { kept = newest[h]; successor = kept; v = older[NODE(x, kept)] }
    do
    :: d_step { v > 0 && NEEDED(v, successor) -> kept = v; successor = v; v = older[NODE(x, v)] }
    :: d_step { v > 0 && !(NEEDED(v, successor)) -> older[NODE(x, kept)] = older[NODE(x, v)] }
        d_step { successor = v; v = older[NODE(x, v)]; older[NODE(x, successor)] = LEFT }
    :: v == 0 -> break
    od
#else
    skip
#endif
}

/* ---- a transaction ---- */

inline release_all()
{
    d_step {
        x = 0;
        do
        :: x < OBJECTS -> if :: (claimed >> x) & 1 -> claim[head[x]] = claim[head[x]] & MAINTENANCE :: else fi; x++
        :: else -> break
        od;
        claimed = 0; x = 0
    }
}

inline valid(ok)
{
    ok = true;
    x = 0;
    do
    :: x < OBJECTS && ok ->
        if
        :: (rs >> x) & 1 ->
            ok = (word[head[x]] == seen[x] && (claim[head[x]] & CLAIM) == ((ws >> x) & 1)) /* maintenance is looked through */
        :: else
        fi;
        x++
    :: else -> break
    od;
    x = 0
}

inline hand_over()
{
    d_step {
        done[seq] = true;
        do
        :: applied + 1 < next && done[applied + 1] -> applied++
        :: else -> break
        od
    }
}

inline publish()
{
    x = 0;
    do
    :: x < OBJECTS ->
        if
        :: (ws >> x) & 1 ->
            d_step { older[NODE(x, seq)] = newest[head[x]]; newest[head[x]] = seq; wrote[x] = wrote[x] | (1 << seq) }
            trim(x, head[x], a, b, v);
            v = 0;
            d_step { word[head[x]] = seq; claim[head[x]] = 0; a = 0; b = 0; v = 0 }
        :: else
        fi;
        x++
    :: else -> break
    od;
    x = 0;
    claimed = 0
}

inline attempt()
{
    ok = true;
    if
    :: rs != 0 -> /* interactive: reads at a snapshot */
        take_pin(t, s);
        do
        :: x < OBJECTS ->
            if
            :: (rs >> x) & 1 -> read_at(x, head[x], s, v); seen[x] = v
            :: else
            fi;
            x++
        :: else -> break
        od;
        x = 0; s = 0; v = 0
    :: else
    fi;
#ifdef MUTANT_SEQ_BEFORE_CLAIM
    d_step { seq = next; next++ }
#endif
    do
    :: x < OBJECTS && ok ->
        if
        :: (ws >> x) & 1 ->
#ifdef MUTANT_SKIP_CLAIM
            if
            :: word[head[x]] != LOADING ->
#else
            if
            :: d_step { claim[head[x]] == 0 && word[head[x]] < LOADING -> claim[head[x]] = CLAIM; claimed = claimed | (1 << x) }
#endif
                if
                :: ((rs >> x) & 1) == 0 -> seen[x] = newest[head[x]]
                :: else
                fi
            :: claim[head[x]] != 0 || word[head[x]] >= LOADING -> ok = false
            fi
        :: else
        fi;
        x++
    :: else -> break
    od;
    x = 0;
    if
    :: ok && exact && seen[0] != 1 -> ok = false /* VERSION_CONFLICT */
    :: else
    fi;
#ifdef MUTANT_VALIDATE_BEFORE_SEQ_ONLY
    if :: ok -> valid(ok) :: else fi;
#endif
    if
    :: ok ->
#ifndef MUTANT_SEQ_BEFORE_CLAIM
        d_step { seq = next; next++ }
#endif
#ifdef MUTANT_HAND_OVER_FIRST
        hand_over();
#endif
#ifdef MUTANT_PUBLISH_BEFORE_VALIDATE
        publish();
#endif
#if !defined(MUTANT_SKIP_VALIDATE) && !defined(MUTANT_VALIDATE_BEFORE_SEQ_ONLY)
        valid(ok);
#endif
        if
        :: ok ->
            d_step {
                touched[seq] = rs | ws;
                saw[NODE(0, seq)] = seen[0];
                saw[NODE(1, seq)] = seen[1];
                if :: exact -> spent++ :: else fi;
            }
#ifndef MUTANT_PUBLISH_BEFORE_VALIDATE
            publish()
#endif
        :: else -> release_all() /* VOID */
        fi;
#ifndef MUTANT_HAND_OVER_FIRST
        hand_over()
#endif
    :: else ->
        release_all();
#ifdef MUTANT_SEQ_BEFORE_CLAIM
        hand_over()
#endif
    fi;
    d_step { pin[t] = 0; seen[0] = 0; seen[1] = 0; seq = 0 }
}

#ifndef KIND_SET
#define KIND_SET 127
#endif
inline is(r, w, e) { rs = r; ws = w; exact = e }

proctype transaction(byte t; byte kind)
{
    byte rs, ws, x, v, s, a, b, seq, claimed, try;
    byte head[OBJECTS], seen[OBJECTS];
    bool ok, exact;
    d_step {
        if
        :: kind == 0 -> is(0, 1, true)  /* spends version 1 of object 0: twice is a double spend */
        :: kind == 1 -> is(0, 2, false) /* creates, or changes without a look */
        :: kind == 2 -> is(0, 3, false) /* a transfer: claims both */
        :: kind == 3 -> is(1, 2, false) /* reads one, writes the other; with the next one: write skew */
        :: kind == 4 -> is(2, 1, false)
        :: kind == 5 -> is(1, 1, false) /* reads at a snapshot, writes the same: a lost update when it goes wrong */
        :: kind == 6 -> is(3, 2, false)
        fi;
        kind = 0
    }
    do
    :: x < OBJECTS ->
        if
        :: ((rs | ws) >> x) & 1 -> hold(x, head[x], v)
        :: else
        fi;
        x++
    :: else -> break
    od;
    x = 0; v = 0;
    do
    :: try < TRIES -> attempt(); try++; if :: ok -> break :: else fi
    :: else -> break
    od;
    x = 0;
    d_step {
        if :: (rs | ws) & 1 -> holds[head[0]]-- :: else fi;
        if :: (rs | ws) & 2 -> holds[head[1]]-- :: else fi;
        rs = 0; ws = 0; exact = 0; ok = 0; try = 0; head[0] = 0; head[1] = 0
    }
}

proctype reader(byte p)
{
    byte x, h, v, s, e;
    take_pin(p, s);
    do
    :: x < OBJECTS ->
        hold(x, h, v);
        read_at(x, h, s, v);
        e = 0;
        d_step { expected(x, s, e); assert(v == e); e = 0; v = 0 }
        d_step { holds[h]--; h = 0 }
        x++
    :: else -> break
    od;
    x = 0;
    d_step { pin[p] = 0; s = 0 }
}

/* ---- the collector: src/mvcc/pin.c, collect.c ---- */

inline floor_advance()
{
    a = applied;
#ifndef MUTANT_FLOOR_HIDES_H
    pending = a;
#endif
    b = 0;
    v = 0;
    do
    :: b < PINS ->
        d_step {
            if
            :: pin[b] == 0 || pin[b] == 255 || pin[b] - 1 > a
            :: else ->
                if
                :: floor_applied > 0 && pin[b] - 1 < floor_applied && ((floor_pins >> (pin[b] - 1)) & 1) == 0
                :: else -> v = v | (1 << (pin[b] - 1))
                fi
            fi;
            b++
        }
    :: else -> break
    od;
    b = 0;
    d_step {
        floor_applied = a;
        floor_pins = v;
        floor_min = a;
        b = 0;
        do
        :: b < a && ((v >> b) & 1) == 0 -> b++
        :: else -> break
        od;
        floor_min = b;
        a = 0; b = 0; v = 0
    }
}

#ifdef MUTANT_EVICT_UNMATERIALISED
#define EVICTABLE(h) (older[NODE(x, newest[h])] == 0 && newest[h] <= floor_min)
#else
#ifdef VARIANT_EVICT_ABOVE_FLOOR
#define EVICTABLE(h) (older[NODE(x, newest[h])] == 0 && newest[h] <= m)
#else
#define EVICTABLE(h) (older[NODE(x, newest[h])] == 0 && newest[h] <= m && newest[h] <= floor_min)
#endif
#endif

#ifdef MUTANT_EVICT_HELD
#define UNHELD(h) true
#else
#define UNHELD(h) (holds[h] == 0)
#endif

inline evict()
{
    if
    :: d_step { index[x] > 0 && holds[HEAD(x, index[x] - 1)] == 0 && claim[HEAD(x, index[x] - 1)] == 0 &&
                word[HEAD(x, index[x] - 1)] < LOADING && made[x] < INCARNATIONS && !mutex ->
                mutex = true; h = HEAD(x, index[x] - 1); claim[h] = MAINTENANCE }
        if
        :: d_step { (word[h] == 0 || EVICTABLE(h)) && UNHELD(h) -> holds[h] = holds[h] | CLOSED }
            index[x] = 0;
            d_step { word[h] = DEAD; claim[h] = 0; newest[h] = 0; mutex = false }
        :: else -> d_step { claim[h] = 0; mutex = false }
        fi
    :: else
    fi
}

proctype collector()
{
    byte round, x, h, a, b, v, m;
    do
    :: round < ROUNDS ->
#if EVICT
        disk_read(0, m);
        m = M;
#endif
        floor_advance();
        x = 0;
        do
        :: x < OBJECTS ->
#if TRIM
            if
            :: d_step { index[x] > 0 && claim[HEAD(x, index[x] - 1)] == 0 && word[HEAD(x, index[x] - 1)] < LOADING &&
                        newest[HEAD(x, index[x] - 1)] > 0 && older[NODE(x, newest[HEAD(x, index[x] - 1)])] > 0 ->
                        h = HEAD(x, index[x] - 1); claim[h] = MAINTENANCE }
                trim(x, h, a, b, v);
                v = 0;
                d_step { claim[h] = 0; a = 0; b = 0; h = 0 }
            :: else
            fi;
#endif
#if EVICT
            evict();
#endif
            x++
        :: else -> break
        od;
        x = 0;
        d_step { h = 0; m = 0; round++ }
    :: else -> break
    od
}

init
{
    byte i, x, v;
    atomic {
        disk[0] = 1;
        wrote[0] = 2;
        index[0] = 1; made[0] = 1; word[HEAD(0, 0)] = 1; newest[HEAD(0, 0)] = 1;
        index[1] = 1; made[1] = 1;
        do
        :: i < TXNS ->
            do /* all transactions are alike: the kinds ascend */
            :: (KIND_SET >> (v + 1)) > 0 -> v++
            :: (KIND_SET >> v) & 1 -> break
            od;
            run transaction(i, v);
            i++
        :: else -> break
        od;
        do
        :: i < TXNS + READERS -> run reader(i); i++
        :: else -> break
        od;
        i = 0; v = 0;
        run collector()
    }
    d_step {
        _nr_pr == 1 -> /* all have come to their end */
        assert(applied == next - 1);
        assert(spent <= 1);
        i = 2;
        do
        :: i < next ->
            x = 0;
            do
            :: x < OBJECTS ->
                if
                :: (touched[i] >> x) & 1 -> expected(x, i - 1, v); assert(saw[NODE(x, i)] == v)
                :: else -> assert(((wrote[x] >> i) & 1) == 0) /* nothing of a void position is there */
                fi;
                x++
            :: else -> break
            od;
            i++
        :: else -> break
        od
    }
}
