/* Log, sync, materialise, trim, crash, recover: src/store/log.c, materialise.c, retain.c, recover.c; src/engine/commit.c, maintain.c.
 *
 * A node executes DIGESTS different transactions, each sent as often as its client likes, into at most SEQS positions; the committer puts
 * groups of one or two into the log; the materialiser carries synced groups into the state and trims the log; and CRASHES times, at any
 * moment, recovery included, the process is killed or the power fails. MODE: 0 write, 1 sync, 2 interval.
 *
 * The disks. `log`: what is put is seen at once and durable after a sync. A power cut takes any of the unsynced puts, also from the
 * middle, whole or torn (an entry that cannot be read); a deletion is durable only with all that was written before it. `state`: without a
 * log of its own: a crash of either kind throws it back to the last flush, and it may flush by itself at any time.
 *
 * Proved, after every recovery: it does not refuse; what was acknowledged as durable is there (write mode: unless the power failed before
 * a sync); the positions are a prefix of what was executed before; no digest stands at two; the state is not ahead of what the log
 * can tell, and nothing is missing between the two. */
#ifndef MODE
#define MODE 1
#endif
#ifndef SEQS
#define SEQS 3
#endif
#ifndef DIGESTS
#define DIGESTS SEQS
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#define GROUPS (SEQS + CRASHES)
#define TORN 255
#define P (SEQS + 2)

/* Groups that were ever made; their number is their hash. 0 = the genesis, which the first group follows. */
byte g_last[GROUPS + 1], g_prev[GROUPS + 1], g_synced[GROUPS + 1], g_a[GROUPS + 1], g_b[GROUPS + 1];
byte groups;

/* The disks. A log entry's key is its first position. */
byte seen_log[P], durable_log[P];
chan unsynced = [2 * SEQS + 2] of { byte, byte, byte }; /* what, first, group or last */
#define PUT 1
#define DEL 2
byte M, state_hash, state[P];
byte flushed_M, flushed_hash, flushed[P];
byte marked; /* the SYNCED file: never synced itself */

/* The node: gone with the process. */
byte phase = 1; /* 0 = up, 1.. = recovering */
byte next, logged, synced, log_hash, trimmed;
byte executed[P];
byte c_phase, c_last;
byte s_phase, s_logged;
byte t_phase;
byte end, end_hash, behind;

/* What really happened. */
byte before[P], before_end;
byte acked[DIGESTS + 1];
byte really_synced;
byte used; /* digests ever sent: they are alike, so the first time they come in order */
byte crashes;

#if MODE == 0
#define DURABLE logged
#else
#ifdef MUTANT_ACK_AT_LOGGED
#define DURABLE logged
#else
#define DURABLE synced
#endif
#endif
#ifdef MUTANT_ACK_AT_EXECUTED
#undef DURABLE
#define DURABLE (next - 1)
#endif

inline position_of(d, s) /* where the node knows that D was executed; 0 = it does not */
{
    s = next - 1;
    do
    :: s > 0 && executed[s] != d -> s--
    :: else -> break
    od
}

inline log_sync()
{
    do
    :: unsynced?what, a, b
    :: empty(unsynced) -> break
    od;
    i = 1;
    do
    :: i <= SEQS ->
        durable_log[i] = seen_log[i];
        if :: seen_log[i] > 0 && seen_log[i] != TORN && g_last[seen_log[i]] > really_synced -> really_synced = g_last[seen_log[i]] :: else fi;
        i++
    :: else -> break
    od;
    what = 0; a = 0; b = 0; i = 0
}

inline log_delete(from, to)
{
    i = from;
    do
    :: i <= to -> seen_log[i] = 0; i++
    :: else -> break
    od;
    i = 0;
    unsynced!DEL, from, to
}

inline state_flush()
{
    flushed_M = M;
    flushed_hash = state_hash;
    i = 1;
    do
    :: i <= SEQS -> flushed[i] = state[i]; i++
    :: else -> break
    od;
    i = 0
}

inline state_apply() /* the group at M + 1 */
{
    a = seen_log[M + 1];
    assert(a > 0 && a != TORN);
    assert(g_prev[a] == state_hash);
    state[M + 1] = g_a[a];
    if :: g_last[a] > M + 1 -> state[M + 2] = g_b[a] :: else fi;
    M = g_last[a];
    state_hash = a;
    a = 0
}

inline process_dies()
{
    crashes++;
    if
    :: phase == 0 ->
        before_end = next - 1;
        i = 1;
        do
        :: i <= SEQS -> before[i] = executed[i]; executed[i] = 0; i++
        :: else -> break
        od
    :: else
    fi;
    M = flushed_M;
    state_hash = flushed_hash;
    i = 1;
    do
    :: i <= SEQS -> state[i] = flushed[i]; i++
    :: else -> break
    od;
    i = 0;
    phase = 1;
    next = 0; logged = 0; synced = 0; log_hash = 0; trimmed = 0;
    c_phase = 0; c_last = 0; s_phase = 0; s_logged = 0; t_phase = 0;
    end = 0; end_hash = 0; behind = 0
}

/* What a power cut leaves of the unsynced writes; nondeterministic, so in steps of one atomic sequence. */
inline power_cut()
{
    do
    :: unsynced?what, a, b ->
        if
        :: what == PUT -> durable_log[a] = b
        :: what == PUT -> lost = true
        :: what == PUT -> durable_log[a] = TORN; lost = true
        :: what == DEL && lost
        :: what == DEL -> lost = true
        :: what == DEL && !lost ->
            i = a;
            do
            :: i <= b -> durable_log[i] = 0; i++
            :: else -> break
            od
        fi
    :: empty(unsynced) -> break
    od;
    if
    :: marked = 0
    :: true
    fi;
    d_step {
        lost = false; what = 0; a = 0; b = 0;
        i = 1;
        do
        :: i <= SEQS -> seen_log[i] = durable_log[i]; i++
        :: else -> break
        od;
#if MODE == 0
        i = 1;
        do
        :: i <= DIGESTS -> if :: acked[i] > really_synced -> acked[i] = 0 :: else fi; i++
        :: else -> break
        od;
#endif
        i = 0
    }
}

#ifdef VARIANT_NO_CHAIN
#define LINKS(g) (g) != TORN
#else
#define LINKS(g) (g) != TORN && g_prev[g] == end_hash
#endif

/* scan_log and judge. The key of an unreadable entry is readable. */
inline scan()
{
    end = M;
    end_hash = state_hash;
    s = M; /* highest position known to have been synced */
    behind = 0;
    a = 1; /* up to M: the last one seen fits */
    i = 1;
    do
    :: i <= SEQS ->
        b = seen_log[i];
        if
        :: b > 0 ->
            if :: b != TORN && g_synced[b] > s -> s = g_synced[b] :: else fi;
            if
            :: i <= M -> a = (b != TORN && g_last[b] == M && b == state_hash)
            :: else ->
                if
                :: behind == 0 && i == end + 1 && LINKS(b) -> end = g_last[b]; end_hash = b
                :: else -> behind++
                fi
            fi
        :: else
        fi;
        i++
    :: else -> break
    od;
    if :: marked > s -> s = marked :: else fi;
    assert(a == 1);   /* log and state fit */
    assert(end >= s); /* nothing that was synced is gone */
    a = 0; b = 0; s = 0; i = 0
}

inline check()
{
    assert(M == end && end <= before_end);
    i = 1;
    do
    :: i <= end -> assert(state[i] == before[i]); executed[i] = state[i]; i++
    :: else -> break
    od;
    do
    :: i <= SEQS -> executed[i] = 0; state[i] = 0; before[i] = 0; i++
    :: else -> break
    od;
    i = 1;
    do
    :: i <= DIGESTS -> assert(acked[i] == 0 || (acked[i] <= end && executed[acked[i]] == i)); i++
    :: else -> break
    od;
    i = 1;
    do
    :: i < end ->
        a = i + 1;
        do
        :: a <= end -> assert(executed[i] != executed[a]); a++
        :: else -> break
        od;
        i++
    :: else -> break
    od;
    before_end = 0; i = 0; a = 0
}

active proctype node()
{
    byte what, a, b, i, s, d;
    bool lost;
    next = 1;
    phase = 0;
end_node:
    do
    /* workers */
    :: atomic {
        phase == 0 && next <= SEQS ->
        d = 1;
        do
        :: d < DIGESTS && d <= used -> d++
        :: break
        od;
        d_step {
            if :: d > used -> used = d :: else fi;
            position_of(d, s);
#ifdef MUTANT_RECEIPTS_FORGOTTEN
            if :: s <= end -> s = 0 :: else fi; /* those of before the start */
#endif
            if :: s == 0 -> executed[next] = d; next++ :: else fi;
            s = 0; d = 0
        } }
    :: atomic {
        phase == 0 ->
        d = 1;
        do
        :: d < DIGESTS -> d++
        :: break
        od;
        d_step {
            position_of(d, s);
            if :: s > 0 && s <= DURABLE -> acked[d] = s :: else fi;
            s = 0; d = 0
        } }

    /* committer: put, sync, say so */
    :: atomic {
        phase == 0 && c_phase == 0 && logged < next - 1 && groups < GROUPS ->
        if
        :: c_last = logged + 1
        :: logged + 2 < next -> c_last = logged + 2
        fi;
        d_step {
            groups++;
            g_last[groups] = c_last;
            g_prev[groups] = log_hash;
            g_synced[groups] = synced;
            g_a[groups] = executed[logged + 1];
            if :: c_last > logged + 1 -> g_b[groups] = executed[c_last] :: else fi;
            seen_log[logged + 1] = groups;
            log_hash = groups;
            unsynced!PUT, logged + 1, groups;
            c_phase = 1
        } }
    :: d_step { phase == 0 && c_phase == 1 && MODE == 1 -> log_sync(); c_phase = 2 }
    :: d_step {
        phase == 0 && c_phase == (MODE == 1 -> 2 : 1) ->
        logged = c_last;
        if
        :: MODE == 1 -> synced = (synced > c_last -> synced : c_last); marked = synced
        :: else
        fi;
        c_phase = 0; c_last = 0
    }

    /* interval, and the materialiser in write mode: beside the committer */
    :: d_step { phase == 0 && MODE != 1 && s_phase == 0 && synced < logged -> s_logged = logged; s_phase = 1 }
    :: d_step { phase == 0 && s_phase == 1 -> log_sync(); s_phase = 2 }
    :: d_step {
        phase == 0 && s_phase == 2 ->
#ifdef MUTANT_SYNCED_READ_LATE
        s_logged = logged;
#endif
        synced = (synced > s_logged -> synced : s_logged);
        marked = synced;
        s_phase = 0; s_logged = 0
    }

    /* materialiser */
#ifdef MUTANT_MATERIALISE_UNSYNCED
    :: d_step { phase == 0 && t_phase == 0 && M < logged -> state_apply() }
#else
    :: d_step { phase == 0 && t_phase == 0 && M < synced -> assert(g_last[seen_log[M + 1]] <= synced); state_apply() }
#endif
    :: d_step { (phase == 0 || phase == 5) && flushed_M < M -> state_flush() } /* by itself, or a batch that was a file */
#ifdef MUTANT_TRIM_BEFORE_FLUSH
    :: d_step { phase == 0 && t_phase == 0 && trimmed < M -> t_phase = 1 }
#else
    :: d_step { phase == 0 && t_phase == 0 && trimmed < M -> state_flush(); t_phase = 1 }
#endif
    :: d_step { phase == 0 && t_phase == 1 && nfull(unsynced) -> log_delete(trimmed + 1, M); trimmed = M; t_phase = 0 }

    /* crashes */
    :: d_step { crashes < CRASHES -> process_dies() }
    :: atomic { crashes < CRASHES -> process_dies(); power_cut() }

    /* recovery */
    :: d_step { phase == 1 -> scan(); phase = 2 }
    :: d_step {
        phase == 2 && nfull(unsynced) ->
#ifndef MUTANT_NO_CUT
        if :: behind > 0 -> log_delete(end + 1, SEQS) :: else fi;
#endif
        behind = 0;
        phase = 3
    }
    :: d_step {
        phase == 3 ->
#ifndef MUTANT_RECOVER_WITHOUT_SYNC
        log_sync();
#endif
        phase = 4
    }
    :: d_step {
        phase == 4 ->
        log_hash = end_hash;
        trimmed = M;
        i = SEQS;
        do
        :: i > 0 -> if :: seen_log[i] > 0 && i <= M -> trimmed = i - 1 :: else fi; i--
        :: else -> break
        od;
        logged = end;
        synced = end;
        marked = end;
        phase = 5
    }
    :: d_step { phase == 5 && M < end -> state_apply() }
    :: d_step {
        phase == 5 && M == end ->
        check();
#ifdef MUTANT_NEXT_AFTER_FLUSHED
        next = flushed_M + 1;
#else
        next = end + 1;
#endif
        end_hash = 0;
        phase = 0
    }
    od
}
