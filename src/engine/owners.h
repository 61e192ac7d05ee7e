/* engine/owners.h - the owner index of what `state` does not say: candidates for a listing, each verified by a snapshot read.
 *
 *     touch (before seq)  -->  the owner's set of ids, in a shard by owner      lock held for nanoseconds
 *     settle (with seq)   -->  the toucher's log  -->  owner_log_step, owners_sweep: out of the set, when nobody needs it
 *
 * In memory mode there is no `state`: this is the owner index, entries stay until the owner has lost the object. With a disk an entry
 * stays until the change that made it is materialised. Either way it stays as long as a snapshot can see the owner hold it.
 *
 * An entry's word is {from, EARLIER}: the owner holds the object from no earlier than position `from` on; EARLIER: or has held it before,
 * nobody knows from when. A change of the log with position S takes its entry away when S is applied (and materialised), no snapshot lies
 * in [from, S) (EARLIER: below S), and `from` <= S: a later change of the same pair has a higher `from` and a record of its own.
 * So nothing is walked that has not changed, and a reader that stays long keeps back only what it can see.
 *
 * Whoever touches (OWNER, ID) holds the claim on ID. Locks: a shard's, a log's; no two together. */
#ifndef ENGINE_OWNERS_H
#define ENGINE_OWNERS_H

#include "mvcc/mvcc.h"

struct owners;
struct owner_log;

/* LOGS: how many of them there can be. NULL = no memory. */
struct owners *owners_create(const struct mvcc *mvcc, bool memory_mode, uint32_t logs);
void owners_destroy(struct owners *owners); /* with its logs */
/* owner_log_create: of one worker. NULL = no memory. */
struct owner_log *owner_log_create(struct owners *owners);

/* One hand that changes, from before seq until it is settled or undone. */
struct owner_touch {
    const struct svm_address *owner; /* borrowed */
    const struct svm_id *id;
    uint64_t
        from; /* in: behind the position of the version that is overwritten; 0 when there is none. Then: the entry's */
    uint64_t before; /* the entry's word, 0: there was none */
    bool gains;      /* else the owner loses it */
};
/* owners_touch: before seq. false = no memory, nothing has changed. */
bool owners_touch(struct owner_log *log, struct owner_touch *touch);
/* owners_settle: it has position SEQ. owners_undo: it did not happen. Neither allocates or fails. */
void owners_settle(struct owner_log *log, const struct owner_touch *touch, uint64_t seq);
void owners_undo(struct owner_log *log, const struct owner_touch *touch);
/* owners_put: OWNER has held ID since before the first position. false = no memory. */
bool owners_put(struct owners *owners, const struct svm_address *owner, const struct svm_id *id);

/* owners_prefetch: ask for the memory that a touch will need, one STEP (0 ..) after the other with other work between. ID may be NULL: not known
 * yet. A hint: changes nothing, may be left out. Any thread. */
enum { OWNERS_PREFETCH_STEPS = 4 };
void owners_prefetch(struct owners *owners, const struct svm_address *owner,
                     const struct svm_id *id, unsigned step);

/* owner_log_step: W, its own log, online: work off what has become due, in proportion to what was settled.
 *   materialised   position up to which `state` says it; not looked at in memory mode */
void owner_log_step(struct owner_log *log, uint64_t materialised);
/* owners_sweep: G, online: the same for all logs, as those of workers who sleep, and for what snapshots had kept back. */
void owners_sweep(struct owners *owners, uint64_t materialised);

/* owners_list: ids of OWNER > AFTER, ascending, at most LIMIT. Returns how many. */
size_t owners_list(struct owners *owners, const struct svm_address *owner,
                   const struct svm_id *after, struct svm_id *ids_out, size_t limit);

struct owners_counts {
    uint64_t owners, entries, bytes;
};
void owners_counts(struct owners *owners, struct owners_counts *counts_out);
/* owners_bytes: memory that sets and logs take. O(1). */
uint64_t owners_bytes(const struct owners *owners);

/* ---- what owners.c and owner_log.c share ---------------------------------------------------------------------- */

/* One settled change, until it has left the index. */
struct owner_change {
    struct svm_address owner;
    struct svm_id id;
    uint64_t seq;
};
enum owners_dropped { OWNERS_GONE, OWNERS_KEPT_BACK };
/* owners_drop: take the entry of CHANGE away, unless a snapshot needs it or a later change stands for it. Online. */
enum owners_dropped owners_drop(struct owners *owners, const struct owner_change *change);
const struct mvcc *owners_mvcc(const struct owners *owners);
bool owners_in_memory(const struct owners *owners);
struct owner_logs;
struct owner_logs *owners_logs(struct owners *owners);
void owners_count_bytes(struct owners *owners, uint64_t delta);
struct owner_logs *owner_logs_create(struct owners *owners, uint32_t logs);
void owner_logs_destroy(struct owner_logs *logs);
/* owner_log_reserve: room for one more change than was promised before. false = no memory. owner_log_unreserve: it is not needed. */
bool owner_log_reserve(struct owner_log *log);
void owner_log_unreserve(struct owner_log *log);
struct owners *owner_log_owners(const struct owner_log *log);
/* owner_log_add: into the room that was reserved. */
void owner_log_add(struct owner_log *log, const struct svm_address *owner, const struct svm_id *id,
                   uint64_t seq);

#endif
