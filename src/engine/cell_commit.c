#include "engine/cells.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* The commit of an interactive transaction: the protocol of mvcc/claim.c over its entries, then the wait for what lies before it. */

/* ---- claims ----------------------------------------------------------------------------------------------------------- */

static int compare_keys(const struct mvcc_head *x, const struct mvcc_head *y)
{
    size_t n = x->key_len < y->key_len ? x->key_len : y->key_len;
    if (n >= 8 && bytes_get_u64be(x->key) != bytes_get_u64be(y->key)) /* mostly the end of it */
        return bytes_get_u64be(x->key) < bytes_get_u64be(y->key) ? -1 : 1;
    int c = memcmp(x->key, y->key, n);
    return c ? c : (int)x->key_len - (int)y->key_len;
}

/* Sifts the heap of COUNT places down from AT. */
static void sift(struct svm_cell_txn *txn, uint32_t at, uint32_t count)
{
    uint16_t *heap = txn->writes, top = heap[at];
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count &&
            compare_keys(txn->entries[heap[child]].head, txn->entries[heap[child + 1]].head) < 0)
            child++;
        if (compare_keys(txn->entries[top].head, txn->entries[heap[child]].head) >= 0)
            break;
        heap[at] = heap[child];
    }
    heap[at] = top;
}

/* The writes in ascending order of their keys: few by insertion, many by a heap. */
static void sort_writes(struct svm_cell_txn *txn)
{
    uint16_t *writes = txn->writes;
    if (txn->write_count > 16) {
        for (uint32_t i = txn->write_count / 2; i-- > 0;)
            sift(txn, i, txn->write_count);
        for (uint32_t n = txn->write_count; n-- > 1;) {
            uint16_t last = writes[n];
            writes[n] = writes[0];
            writes[0] = last;
            sift(txn, 0, n);
        }
        return;
    }
    for (uint32_t i = 1; i < txn->write_count; i++) {
        uint16_t one = writes[i];
        uint32_t at = i;
        for (;
             at > 0 && compare_keys(txn->entries[one].head, txn->entries[writes[at - 1]].head) < 0;
             at--)
            writes[at] = writes[at - 1];
        writes[at] = one;
    }
}

static void name_key(struct svm_cell_key *key_out, const struct mvcc_head *head)
{
    if (!key_out)
        return;
    memcpy(key_out->b, head->key, head->key_len);
    key_out->len = head->key_len;
}

static void release(struct svm_cell_txn *txn)
{
    for (uint32_t i = 0; i < txn->write_count; i++) {
        struct cell_entry *entry = &txn->entries[txn->writes[i]];
        if (entry->claimed)
            mvcc_release(entry->head, entry->state);
        entry->claimed = false;
    }
}

/* Claims in key order. A maintenance claim that is in the way goes within microseconds, a transaction's soon; after some patience this one gives way. A
 * read that is claimed is validated here once and for all: the word that the claim replaced is the one that was read, or is not (mvcc/claim.c). */
static enum svm_err claim(struct svm_cell_txn *txn, struct svm_cell_key *key_out)
{
    enum { PATIENCE = 64 };
    bool validate = !FAULT_BUG("skip-validation");
    for (uint32_t i = 0; i < txn->write_count; i++) {
        struct cell_entry *entry = &txn->entries[txn->writes[i]];
        unsigned tries = 0;
        while (!mvcc_try_claim(entry->head, &entry->state)) {
            if (mvcc_state_claimed(entry->state) || ++tries > PATIENCE) {
                name_key(key_out, entry->head);
                return SVM_E_BUSY; /* nothing waits while it holds a claim */
            }
            sched_yield();
        }
        entry->claimed = true;
        if (entry->read && entry->state != entry->read_state && validate) {
            name_key(key_out, entry->head);
            return SVM_E_CONFLICT;
        }
    }
    return SVM_OK;
}

/* The reads that are not claimed. BUSY: one is claimed by somebody who has published nothing yet, and may never do. */
static enum svm_err reads_hold(struct svm_cell_txn *txn, struct svm_cell_key *key_out)
{
    if (txn->read_count == 0 || FAULT_BUG("skip-validation"))
        return SVM_OK;
    for (uint32_t i = 0; i < txn->count; i++) {
        const struct cell_entry *entry = &txn->entries[i];
        if (entry->read && !entry->claimed &&
            !mvcc_unchanged(entry->head, entry->read_state, false)) {
            uint64_t now = mvcc_state(entry->head);
            bool same = mvcc_state_status(now) == mvcc_state_status(entry->read_state) &&
                        mvcc_state_version(now) == mvcc_state_version(entry->read_state);
            name_key(key_out, entry->head);
            return same ? SVM_E_BUSY : SVM_E_CONFLICT;
        }
    }
    return SVM_OK;
}

/* The new versions: one more than the highest of everything read and written. */
static void number_versions(struct svm_cell_txn *txn)
{
    uint64_t highest = 0;
    for (uint32_t i = 0; i < txn->count; i++) {
        const struct cell_entry *entry = &txn->entries[i];
        uint64_t word = entry->claimed ? entry->state : entry->read ? entry->read_state : 0;
        if (mvcc_state_version(word) > highest)
            highest = mvcc_state_version(word);
    }
    for (uint32_t i = 0; i < txn->write_count; i++)
        cell_version_number_set(txn->entries[txn->writes[i]].version, highest + 1);
}

/* ---- the record ------------------------------------------------------------------------------------------------------- */

/* In memory mode nobody reads what is handed over: there is one for all. */
static struct engine_record nothing = {.kind = RECORD_VOID};

static struct engine_record *record_try_take(struct svm_engine *engine)
{
    uint32_t index;
    return stack_try_pop(&engine->free_cells, &index) ? &engine->cell_records[index] : NULL;
}

void record_give(struct svm_engine *engine, struct engine_record *record)
{
    stack_push(&engine->free_cells, (uint32_t)(record - engine->cell_records));
}

/* Room for a position. With a log: a record, which comes back when it is written; while there is none the log is behind, and this waits for
 * it until nothing has been written for two seconds (a group waits a quarter of one for the state, and a disk stalls), and not for
 * ever. In memory mode a position is free again once it is applied: not more than inflight_max may be taken and not yet there. */
static enum svm_err credit_take(struct svm_cell_txn *txn)
{
    enum { WAIT_US = 1000, STUCK_MAX = 2000, TRIES_MAX = 20000 };
    struct svm_engine *engine = txn->engine;
    txn->record = &nothing;
    if (engine->memory) {
        while (mvcc_seq_outstanding(engine->mvcc) > config_of(engine)->inflight_max)
            sched_yield();
        return SVM_OK;
    }
    unsigned stuck = 0;
    for (unsigned i = 0; !(txn->record = record_try_take(engine)); i++) {
        if (stuck == STUCK_MAX || i == TRIES_MAX || atomic_load(&engine->fatal) != SVM_OK)
            return SVM_E_OVERLOADED;
        const uint64_t committed = atomic_load(&engine->committed);
        complete_executed(engine);
        commit_hurry(engine);
        uint32_t ticket = park_prepare(&engine->durable_park);
        park_wait(&engine->durable_park, ticket, WAIT_US);
        stuck = atomic_load(&engine->committed) == committed ? stuck + 1 : 0;
    }
    return SVM_OK;
}

static void credit_give(struct svm_cell_txn *txn)
{
    if (txn->record != &nothing)
        record_give(txn->engine, txn->record);
}

static bool frame_reserve(struct svm_cell_txn *txn)
{
    if (txn->frame_cap >= txn->write_count)
        return true;
    struct model_cell_write *writes =
        realloc(txn->frame_writes, txn->cap * sizeof *txn->frame_writes);
    if (!writes)
        return false;
    txn->frame_writes = writes;
    txn->frame_cap = txn->cap;
    return true;
}

static enum svm_err encode(struct svm_cell_txn *txn, uint64_t node_ms)
{
    struct engine_record *record = txn->record;
    if (!frame_reserve(txn))
        return SVM_E_OVERLOADED;
    for (uint32_t i = 0; i < txn->write_count; i++) {
        const struct cell_entry *entry = &txn->entries[txn->writes[i]];
        const struct mvcc_version *version = entry->version;
        txn->frame_writes[i] =
            (struct model_cell_write){.key = {entry->head->key, entry->head->key_len},
                                      .version = cell_version_number(version),
                                      .deleted = version->tombstone,
                                      .value = cell_version_value(version)};
    }
    const struct model_cell_effects effects = {
        .node_ms = node_ms, .write_count = (uint16_t)txn->write_count, .writes = txn->frame_writes};
    size_t size = model_cell_effects_size(&effects);
    if (size > config_of(txn->engine)->tx_effects_bytes_max)
        return SVM_E_LIMIT_EXCEEDED;
    if (record->frame_cap < size) {
        uint8_t *frame = realloc(record->frame, size);
        if (!frame)
            return SVM_E_OVERLOADED;
        record->frame = frame;
        record->frame_cap = (uint32_t)size;
    }
    record->frame_len =
        (uint32_t)(model_cell_effects_encode(record->frame, &effects) - record->frame);
    return SVM_OK;
}

/* The frame was encoded before seq was known; seq stands at a fixed place in it (variant byte, then u64). A void position has a frame of its own. */
static void stamp(struct svm_cell_txn *txn, uint64_t seq, bool is_void)
{
    struct engine_record *record = txn->record;
    if (record == &nothing)
        return;
    record->kind = RECORD_CELLS;
    record->seq = seq;
    if (is_void)
        record->frame_len = (uint32_t)(model_void_encode(record->frame, seq) - record->frame);
    for (unsigned i = 0; i < 8 && !is_void; i++)
        record->frame[1 + i] = (uint8_t)(seq >> 8 * i);
}

/* ---- one attempt ------------------------------------------------------------------------------------------------------ */

/* Do TXN's writes, which are claimed, leave less in memory than they find? */
static bool frees(const struct svm_cell_txn *txn)
{
    uint64_t found = 0, left = 0;
    for (uint32_t i = 0; i < txn->write_count; i++) {
        const struct cell_entry *entry = &txn->entries[txn->writes[i]];
        const struct mvcc_version *was = mvcc_newest(entry->head);
        left += mvcc_version_size(entry->version);
        if (was)
            found += mvcc_version_size(was) + (entry->version->tombstone && !was->tombstone);
        else
            left += ROOM_ENTRY_BYTES;
    }
    return left < found;
}

static enum svm_err prepare(struct svm_cell_txn *txn, struct svm_cell_key *key_out)
{
    struct svm_engine *engine = txn->engine;
    uint64_t node_ms = engine->memory ? 0 : engine_node_ms(engine);
    enum svm_err err = claim(txn, key_out);
    if (err == SVM_OK)
        err = reads_hold(txn, key_out);
    if (err == SVM_OK && txn->must_free && !frees(txn))
        err = SVM_E_STORAGE_READ_ONLY;
    if (err != SVM_OK)
        return err;
    number_versions(txn);
    if (engine->memory)
        return SVM_OK;
    txn->record->node_ms = node_ms;
    return encode(txn, node_ms);
}

static enum svm_err attempt(struct svm_cell_txn *txn, uint64_t *seq_out,
                            struct svm_cell_key *key_out)
{
    struct svm_engine *engine = txn->engine;
    enum svm_err err = prepare(txn, key_out);
    if (err != SVM_OK) {
        release(txn);
        credit_give(txn);
        return err;
    }
    uint64_t seq = mvcc_seq_next(engine->mvcc);
    if (!FAULT_BUG("validate-early"))
        err = reads_hold(txn, key_out);
    stamp(txn, seq, err != SVM_OK);
    if (err != SVM_OK) {
        release(txn);
        mvcc_seq_hand_over(engine->mvcc, seq, txn->record);
        return err;
    }
    for (uint32_t i = 0; i < txn->write_count; i++) {
        struct cell_entry *entry = &txn->entries[txn->writes[i]];
        mvcc_publish(engine->cells, txn->thread, entry->head, entry->version, seq);
        entry->version = NULL;
        entry->claimed = false;
    }
    mvcc_seq_hand_over(engine->mvcc, seq, txn->record);
    *seq_out = seq;
    return SVM_OK;
}

/* A position was handed over. It may have been the gap that answers waited for: they are given now. In memory mode workers look for themselves, and who sleeps
 * for `applied` does so for a bounded time. */
static void complete_some(struct svm_engine *engine)
{
    if (!engine->memory || atomic_load(&engine->applied_park.sleepers) > 0)
        complete_executed(engine);
}

void cell_back_off(struct svm_engine *engine, struct rng *rng, uint32_t attempts)
{
    uint64_t until = engine_now_ns(engine) +
                     (rng_next(rng) & ((UINT64_C(1000) << (attempts < 10 ? attempts : 10)) - 1));
    while (engine_now_ns(engine) < until)
        sched_yield();
}

/* Commits the writes; while somebody's claim is in the way, which may come to nothing, again and again, but not for ever. */
static enum svm_err commit_patiently(struct svm_cell_txn *txn, uint64_t *seq_out,
                                     struct svm_cell_key *key_out)
{
    struct svm_engine *engine = txn->engine;
    sort_writes(txn);
    for (uint32_t attempts = 0;; attempts++) {
        enum svm_err err = credit_take(txn);
        if (err != SVM_OK)
            return err;
        mvcc_online(txn->thread);
        err = attempt(txn, seq_out, key_out);
        mvcc_offline(txn->thread);
        complete_some(engine);
        if (err != SVM_E_BUSY || attempts + 1 >= config_of(engine)->busy_attempts_max)
            return err;
        cell_back_off(engine, &txn->rng, attempts);
    }
}

enum svm_err cell_commit(struct svm_cell_txn *txn, uint64_t *seq_out, struct svm_cell_key *key_out)
{
    uint64_t seq = txn->pinned ? txn->pin.seq : mvcc_applied(txn->engine->mvcc);
    enum svm_err err = SVM_OK;
    if (txn->pinned && mvcc_pin_cancelled(txn->engine->mvcc, &txn->pin))
        err = SVM_E_SNAPSHOT_TOO_OLD;
    else if (txn->write_count > 0)
        err = commit_patiently(txn, &seq, key_out);
    cell_end(txn);
    cell_count(err == SVM_OK ? &txn->counters.committed : &txn->counters.aborted);
    if (err == SVM_E_CONFLICT)
        cell_count(&txn->counters.conflicts);
    if (err == SVM_OK)
        *seq_out = seq;
    return err;
}

/* ---- waiting ---------------------------------------------------------------------------------------------------------- */

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Whoever has a lower position and has not handed over does so within a microsecond, unless it has lost its processor. */
void cell_await(struct svm_engine *engine, uint64_t seq)
{
    enum { SPINS = 400, YIELDS = 8, WAIT_US = 100 };
    for (unsigned i = 0; mvcc_applied(engine->mvcc) < seq; i++) {
        if (i < SPINS) {
            relax();
        } else if (i < SPINS + YIELDS) {
            sched_yield();
        } else {
            uint32_t ticket = park_prepare(&engine->applied_park);
            if (mvcc_applied(engine->mvcc) >= seq)
                park_cancel(&engine->applied_park);
            else
                park_wait(&engine->applied_park, ticket, WAIT_US);
        }
    }
}

enum svm_err cell_await_durable(struct svm_engine *engine, uint64_t seq)
{
    cell_await(engine, seq);
    if (engine->memory)
        return SVM_OK;
    complete_executed(engine);
    while (engine_durable(engine) < seq && atomic_load(&engine->fatal) == SVM_OK) {
        commit_hurry(engine);
        uint32_t ticket = park_prepare(&engine->durable_park);
        if (engine_durable(engine) >= seq)
            park_cancel(&engine->durable_park);
        else
            park_wait(&engine->durable_park, ticket, 10000);
    }
    return engine_durable(engine) >= seq ? SVM_OK : SVM_E_IO;
}

enum svm_err svm_cell_commit(struct svm_cell_txn *txn, enum svm_wait wait, uint64_t *seq_out,
                             struct svm_cell_key *key_out)
{
    struct svm_engine *engine = txn->engine;
    uint64_t seq;
    atomic_store_explicit(&txn->session, SESSION_INSIDE, memory_order_release);
    enum svm_err err = cell_commit(txn, &seq, key_out);
    if (err == SVM_OK && wait == SVM_WAIT_DURABLE && !engine->memory) {
        atomic_fetch_add(&engine->calls, 1); /* the session is free for others meanwhile */
        session_give(txn);
        err = cell_await_durable(engine, seq);
        atomic_fetch_sub(&engine->calls, 1);
    } else {
        if (err == SVM_OK)
            cell_await(engine, seq);
        session_give(txn);
    }
    if (err == SVM_OK && seq_out)
        *seq_out = seq;
    return err;
}
