#include "engine/internal.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Interactive transactions run on the embedder's threads. Each takes a session: its registration with the table, its scratch. Reads come from a
 * pinned snapshot, or from the own writes; every head read or written is held until the end, so validation only looks at words. */

struct cell_read {
    struct mvcc_head *head;
    uint64_t state; /* the word that the read saw or stands for */
};

struct cell_write {
    struct mvcc_head *head;
    struct mvcc_version *version; /* made at commit */
    uint64_t state;               /* before the claim */
    struct svm_bytes value;       /* in the arena */
    bool deleted, claimed;
};

/* Values read and written, copied: they stay where they are until the transaction ends. */
struct chunk {
    struct chunk *next;
    size_t len, cap;
    uint8_t bytes[];
};

struct svm_cell_txn {
    struct svm_engine *engine;
    struct mvcc_thread *thread;
    struct mvcc_pin pin;
    struct cell_read *reads;
    struct cell_write *writes;
    size_t read_count, read_cap, write_count, write_cap;
    struct chunk *arena;
    size_t arena_bytes;
    struct engine_record *record;
    struct rng rng;
};

enum { SESSION_KEYS_MAX = MODEL_CELL_WRITES_MAX, CHUNK_BYTES = 16384 };

static void arena_reset(struct svm_cell_txn *txn, bool all)
{
    while (txn->arena && (all || txn->arena->next)) {
        struct chunk *chunk = txn->arena;
        txn->arena = chunk->next;
        free(chunk);
    }
    if (txn->arena)
        txn->arena->len = 0;
    txn->arena_bytes = 0;
}

/* A copy of BYTES that lasts as long as the transaction. Together at most 16 times the effects limit. */
static enum svm_err arena_copy(struct svm_cell_txn *txn, struct svm_bytes bytes,
                               struct svm_bytes *copy_out)
{
    if (txn->arena_bytes + bytes.len > 16 * (size_t)config_of(txn->engine)->tx_effects_bytes_max)
        return SVM_E_LIMIT_EXCEEDED;
    if (!txn->arena || txn->arena->cap - txn->arena->len < bytes.len) {
        size_t cap = bytes.len > CHUNK_BYTES ? bytes.len : CHUNK_BYTES;
        struct chunk *chunk = malloc(sizeof *chunk + cap);
        if (!chunk)
            return SVM_E_OVERLOADED;
        *chunk = (struct chunk){.next = txn->arena, .cap = cap};
        txn->arena = chunk;
    }
    uint8_t *at = txn->arena->bytes + txn->arena->len;
    if (bytes.len)
        memcpy(at, bytes.ptr, bytes.len);
    txn->arena->len += bytes.len;
    txn->arena_bytes += bytes.len;
    *copy_out = (struct svm_bytes){at, bytes.len};
    return SVM_OK;
}

enum svm_err sessions_create(struct svm_engine *engine)
{
    uint32_t n = config_of(engine)->sessions_max;
    engine->session_array = calloc(n, sizeof *engine->session_array);
    if (!engine->session_array)
        return SVM_E_NO_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        struct svm_cell_txn *txn = &engine->session_array[i];
        txn->engine = engine;
        txn->thread = mvcc_thread_create(engine->mvcc);
        if (!txn->thread)
            return SVM_E_NO_MEMORY;
        rng_init(&txn->rng, engine_now_ns(engine) + i);
        stack_push(&engine->sessions, i);
    }
    return SVM_OK;
}

void sessions_destroy(struct svm_engine *engine)
{
    for (uint32_t i = 0; engine->session_array && i < config_of(engine)->sessions_max; i++) {
        struct svm_cell_txn *txn = &engine->session_array[i];
        if (txn->thread)
            mvcc_thread_destroy(txn->thread);
        free(txn->reads);
        free(txn->writes);
        arena_reset(txn, true);
    }
    free(engine->session_array);
}

static struct engine_record *record_take(struct svm_engine *engine)
{
    uint32_t index;
    return stack_try_pop(&engine->free_cells, &index) ? &engine->cell_records[index] : NULL;
}

void record_give(struct svm_engine *engine, struct engine_record *record)
{
    stack_push(&engine->free_cells, (uint32_t)(record - engine->cell_records));
}

/* ---- begin and end -------------------------------------------------------------------------------------------------- */

static enum svm_err begin(struct svm_engine *engine, struct svm_cell_txn **txn_out)
{
    if (atomic_load(&engine->draining))
        return SVM_E_SHUTTING_DOWN;
    if (atomic_load(&engine->fatal) != SVM_OK || atomic_load(&engine->read_only))
        return SVM_E_STORAGE_READ_ONLY;
    if (store_dirty_bytes(engine->store) > config_of(engine)->dirty_bytes_max)
        return SVM_E_OVERLOADED;
    uint32_t index;
    if (!stack_try_pop(&engine->sessions, &index))
        return SVM_E_OVERLOADED;
    struct svm_cell_txn *txn = &engine->session_array[index];
    atomic_fetch_add(&engine->sessions_open, 1);
    if (!mvcc_pin(engine->mvcc, engine_node_ms(engine), &txn->pin)) {
        atomic_fetch_sub(&engine->sessions_open, 1);
        stack_push(&engine->sessions, index);
        return SVM_E_OVERLOADED;
    }
    txn->read_count = txn->write_count = 0;
    count_add(&engine->counters.cell_started, 1);
    *txn_out = txn;
    return SVM_OK;
}

/* `calls` keeps the engine there until the call has returned, whoever closes it meanwhile. */
enum svm_err svm_cell_begin(struct svm_engine *engine, struct svm_cell_txn **txn_out)
{
    atomic_fetch_add(&engine->calls, 1);
    enum svm_err err = begin(engine, txn_out);
    atomic_fetch_sub(&engine->calls, 1);
    return err;
}

static void end(struct svm_cell_txn *txn)
{
    struct svm_engine *engine = txn->engine;
    for (size_t i = 0; i < txn->read_count; i++)
        mvcc_unhold(txn->reads[i].head);
    for (size_t i = 0; i < txn->write_count; i++)
        mvcc_unhold(txn->writes[i].head);
    if (mvcc_pin_cancelled(engine->mvcc, &txn->pin))
        count_add(&engine->counters.snapshots_cancelled, 1);
    mvcc_unpin(engine->mvcc, &txn->pin);
    arena_reset(txn, false);
    stack_push(&engine->sessions, (uint32_t)(txn - engine->session_array));
    atomic_fetch_sub(&engine->sessions_open, 1);
}

void svm_cell_abort(struct svm_cell_txn *txn)
{
    count_add(&txn->engine->counters.cell_aborted, 1);
    end(txn);
}

/* ---- reads and writes ----------------------------------------------------------------------------------------------- */

static enum svm_err hold(struct svm_cell_txn *txn, struct svm_bytes key,
                         struct mvcc_head **head_out)
{
    struct svm_engine *engine = txn->engine;
    if (key.len == 0 || key.len > SVM_CELL_KEY_MAX)
        return SVM_E_LIMIT_EXCEEDED;
    for (;;) {
        switch (mvcc_hold(engine->cells, txn->thread, key.ptr, key.len, head_out)) {
        case MVCC_HELD:
            return SVM_OK;
        case MVCC_HELD_LOAD:
            return engine_load(engine, engine->cells, txn->thread, *head_out) == SVM_OK ? SVM_OK
                                                                                        : SVM_E_IO;
        case MVCC_HELD_LOADING:
            while (mvcc_state_status(mvcc_state(*head_out)) == MVCC_LOADING)
                sched_yield();
            if (mvcc_state_status(mvcc_state(*head_out)) != MVCC_DEAD)
                return SVM_OK;
            mvcc_unhold(*head_out);
            break;
        case MVCC_HOLD_NO_MEMORY:
            return SVM_E_OVERLOADED;
        }
    }
}

static bool grow(void **array, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return true;
    size_t wanted = *cap ? 2 * *cap : 16;
    void *bigger = realloc(*array, wanted * size);
    if (!bigger)
        return false;
    *array = bigger;
    *cap = wanted;
    return true;
}

static struct cell_write *find_write(struct svm_cell_txn *txn, struct svm_bytes key)
{
    for (size_t i = 0; i < txn->write_count; i++) {
        const struct mvcc_head *head = txn->writes[i].head;
        if (head->key_len == key.len && memcmp(head->key, key.ptr, key.len) == 0)
            return &txn->writes[i];
    }
    return NULL;
}

/* The unclaimed word that VERSION (NULL = absent) stands for: validation compares with it. */
static uint64_t word_of(const struct mvcc_version *version)
{
    if (!version)
        return MVCC_ABSENT;
    return version->version << 5 | (version->tombstone ? MVCC_TOMBSTONE : MVCC_LIVE);
}

static enum svm_err read_cell(struct svm_cell_txn *txn, struct svm_bytes key,
                              struct svm_bytes *value_out)
{
    if (txn->read_count == SESSION_KEYS_MAX)
        return SVM_E_LIMIT_EXCEEDED;
    if (!grow((void **)&txn->reads, &txn->read_cap, txn->read_count, sizeof *txn->reads))
        return SVM_E_OVERLOADED;
    struct mvcc_head *head;
    enum svm_err err = hold(txn, key, &head);
    if (err != SVM_OK)
        return err;
    const struct mvcc_version *version = mvcc_read_at(head, txn->pin.seq);
    bool found = version && !version->tombstone;
    uint64_t word = word_of(version);
    if (found)
        err = arena_copy(txn, (struct svm_bytes){version->payload, version->size}, value_out);
    if (err == SVM_OK && mvcc_pin_cancelled(txn->engine->mvcc, &txn->pin))
        err = SVM_E_SNAPSHOT_TOO_OLD;
    if (err != SVM_OK) {
        mvcc_unhold(head);
        return err;
    }
    txn->reads[txn->read_count++] = (struct cell_read){head, word};
    return found ? SVM_OK : SVM_E_NOT_FOUND;
}

enum svm_err svm_cell_get(struct svm_cell_txn *txn, struct svm_bytes key,
                          struct svm_bytes *value_out)
{
    struct cell_write *write = find_write(txn, key);
    if (write) {
        *value_out = write->value;
        return write->deleted ? SVM_E_NOT_FOUND : SVM_OK;
    }
    mvcc_online(txn->thread);
    enum svm_err err = read_cell(txn, key, value_out);
    mvcc_offline(txn->thread);
    return err;
}

static enum svm_err write_cell(struct svm_cell_txn *txn, struct svm_bytes key,
                               struct svm_bytes value, bool deleted)
{
    if (value.len > config_of(txn->engine)->cell_value_bytes_max)
        return SVM_E_LIMIT_EXCEEDED;
    struct svm_bytes copy;
    enum svm_err copied = arena_copy(txn, value, &copy);
    if (copied != SVM_OK)
        return copied;
    struct cell_write *write = find_write(txn, key);
    if (!write) {
        if (txn->write_count == SESSION_KEYS_MAX)
            return SVM_E_LIMIT_EXCEEDED;
        if (!grow((void **)&txn->writes, &txn->write_cap, txn->write_count, sizeof *txn->writes))
            return SVM_E_OVERLOADED;
        struct mvcc_head *head;
        mvcc_online(txn->thread);
        enum svm_err err = hold(txn, key, &head);
        mvcc_offline(txn->thread);
        if (err != SVM_OK)
            return err;
        write = &txn->writes[txn->write_count++];
        *write = (struct cell_write){.head = head};
    }
    write->value = copy;
    write->deleted = deleted;
    return SVM_OK;
}

enum svm_err svm_cell_put(struct svm_cell_txn *txn, struct svm_bytes key, struct svm_bytes value)
{
    return write_cell(txn, key, value, false);
}

enum svm_err svm_cell_del(struct svm_cell_txn *txn, struct svm_bytes key)
{
    return write_cell(txn, key, (struct svm_bytes){0}, true);
}

/* ---- commit --------------------------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    const struct mvcc_head *x = ((const struct cell_write *)a)->head,
                           *y = ((const struct cell_write *)b)->head;
    size_t n = x->key_len < y->key_len ? x->key_len : y->key_len;
    int c = memcmp(x->key, y->key, n);
    return c ? c : (int)x->key_len - (int)y->key_len;
}

static void name_key(struct svm_cell_key *key_out, const struct mvcc_head *head)
{
    if (!key_out)
        return;
    memcpy(key_out->b, head->key, head->key_len);
    key_out->len = head->key_len;
}

static struct cell_write *write_of(struct svm_cell_txn *txn, const struct mvcc_head *head)
{
    for (size_t i = 0; i < txn->write_count; i++)
        if (txn->writes[i].head == head)
            return &txn->writes[i];
    return NULL;
}

/* BUSY: one is claimed by somebody who has published nothing yet, and may never do. */
static enum svm_err reads_hold(struct svm_cell_txn *txn, struct svm_cell_key *key_out)
{
    if (txn->engine->hooks.bug == ENGINE_BUG_SKIP_VALIDATION)
        return SVM_OK;
    for (size_t i = 0; i < txn->read_count; i++) {
        const struct cell_write *own = write_of(txn, txn->reads[i].head);
        if (!mvcc_unchanged(txn->reads[i].head, txn->reads[i].state, own != NULL)) {
            uint64_t now = mvcc_state(txn->reads[i].head);
            bool same = mvcc_state_status(now) == mvcc_state_status(txn->reads[i].state) &&
                        mvcc_state_version(now) == mvcc_state_version(txn->reads[i].state);
            name_key(key_out, txn->reads[i].head);
            return same ? SVM_E_BUSY : SVM_E_CONFLICT;
        }
    }
    return SVM_OK;
}

static void undo(struct svm_cell_txn *txn)
{
    for (size_t i = 0; i < txn->write_count; i++) {
        struct cell_write *write = &txn->writes[i];
        if (write->claimed)
            mvcc_release(write->head, write->state);
        if (write->version)
            mvcc_version_destroy(txn->thread, write->version);
        write->claimed = false;
        write->version = NULL;
    }
}

/* Claims in key order. A claim that is in the way goes within microseconds; after some patience the transaction gives way. */
static enum svm_err claim(struct svm_cell_txn *txn, struct svm_cell_key *key_out)
{
    enum { PATIENCE = 64 };
    qsort(txn->writes, txn->write_count, sizeof *txn->writes, by_key);
    for (size_t i = 0; i < txn->write_count; i++) {
        struct cell_write *write = &txn->writes[i];
        unsigned tries = 0;
        while (!mvcc_try_claim(write->head, &write->state)) {
            if (mvcc_state_claimed(write->state) || ++tries > PATIENCE) {
                name_key(key_out, write->head);
                return SVM_E_BUSY; /* nothing waits while it holds a claim */
            }
            sched_yield();
        }
        write->claimed = true;
    }
    return SVM_OK;
}

/* The new versions: one more than the highest of everything read and written. */
static enum svm_err make_versions(struct svm_cell_txn *txn)
{
    uint64_t highest = 0;
    for (size_t i = 0; i < txn->read_count; i++)
        if (mvcc_state_version(txn->reads[i].state) > highest)
            highest = mvcc_state_version(txn->reads[i].state);
    for (size_t i = 0; i < txn->write_count; i++)
        if (mvcc_state_version(txn->writes[i].state) > highest)
            highest = mvcc_state_version(txn->writes[i].state);
    for (size_t i = 0; i < txn->write_count; i++) {
        struct cell_write *write = &txn->writes[i];
        write->version = mvcc_version_create(txn->thread, (uint32_t)write->value.len);
        if (!write->version)
            return SVM_E_OVERLOADED;
        write->version->version = highest + 1;
        write->version->tombstone = write->deleted;
        if (write->value.len)
            memcpy(write->version->payload, write->value.ptr, write->value.len);
    }
    return SVM_OK;
}

static enum svm_err encode(struct svm_cell_txn *txn, uint64_t node_ms)
{
    struct engine_record *record = txn->record;
    struct model_cell_write *writes = malloc((txn->write_count + 1) * sizeof *writes);
    if (!writes)
        return SVM_E_OVERLOADED;
    for (size_t i = 0; i < txn->write_count; i++) {
        const struct cell_write *w = &txn->writes[i];
        writes[i] = (struct model_cell_write){.key = {w->head->key, w->head->key_len},
                                              .version = w->version->version,
                                              .deleted = w->deleted,
                                              .value = w->value};
    }
    const struct model_cell_effects effects = {
        .node_ms = node_ms, .write_count = (uint16_t)txn->write_count, .writes = writes};
    enum svm_err err = SVM_OK;
    size_t size = model_cell_effects_size(&effects);
    if (size > config_of(txn->engine)->tx_effects_bytes_max) {
        err = SVM_E_LIMIT_EXCEEDED;
    } else if (record->frame_cap < size) {
        uint8_t *frame = realloc(record->frame, size);
        if (frame) {
            record->frame = frame;
            record->frame_cap = (uint32_t)size;
        } else {
            err = SVM_E_OVERLOADED;
        }
    }
    if (err == SVM_OK)
        record->frame_len =
            (uint32_t)(model_cell_effects_encode(record->frame, &effects) - record->frame);
    free(writes);
    return err;
}

/* The frame was encoded before seq was known; seq stands at a fixed place in it (variant byte, then u64). */
static void stamp(struct engine_record *record, uint64_t seq)
{
    for (unsigned i = 0; i < 8; i++)
        record->frame[1 + i] = (uint8_t)(seq >> 8 * i);
}

static void wait_for(struct svm_engine *engine, uint64_t seq, enum svm_wait wait)
{
    complete_executed(engine);
    while (mvcc_applied(engine->mvcc) < seq) {
        uint32_t ticket = park_prepare(&engine->applied_park);
        if (mvcc_applied(engine->mvcc) >= seq)
            park_cancel(&engine->applied_park);
        else
            park_wait(&engine->applied_park, ticket, 1000);
        complete_executed(engine);
    }
    while (wait == SVM_WAIT_DURABLE && !engine->memory && engine_durable(engine) < seq &&
           atomic_load(&engine->fatal) == SVM_OK) {
        uint32_t ticket = park_prepare(&engine->durable_park);
        if (engine_durable(engine) >= seq)
            park_cancel(&engine->durable_park);
        else
            park_wait(&engine->durable_park, ticket, 10000);
    }
}

static enum svm_err commit_writes(struct svm_cell_txn *txn, uint64_t *seq_out,
                                  struct svm_cell_key *key_out)
{
    struct svm_engine *engine = txn->engine;
    uint64_t node_ms = engine_node_ms(engine);
    enum svm_err err = claim(txn, key_out);
    if (err == SVM_OK)
        err = make_versions(txn);
    if (err == SVM_OK)
        err = reads_hold(txn, key_out);
    if (err == SVM_OK && !engine->memory)
        err = encode(txn, node_ms);
    if (err != SVM_OK) {
        undo(txn);
        record_give(engine, txn->record);
        return err;
    }
    uint64_t seq = mvcc_seq_next(engine->mvcc);
    struct engine_record *record = txn->record;
    record->seq = seq;
    record->node_ms = node_ms;
    err = reads_hold(txn, key_out);
    if (err != SVM_OK) {
        undo(txn);
        record->kind = RECORD_CELLS;
        if (!engine->memory)
            record->frame_len = (uint32_t)(model_void_encode(record->frame, seq) - record->frame);
        mvcc_seq_hand_over(engine->mvcc, seq, record);
        return err;
    }
    for (size_t i = 0; i < txn->write_count; i++) {
        struct cell_write *write = &txn->writes[i];
        mvcc_publish(engine->cells, txn->thread, write->head, write->version, seq);
        write->version = NULL;
        write->claimed = false;
    }
    record->kind = RECORD_CELLS;
    if (!engine->memory)
        stamp(record, seq);
    mvcc_seq_hand_over(engine->mvcc, seq, record);
    *seq_out = seq;
    return SVM_OK;
}

/* A defeated transaction comes back after a random, growing pause: 1 us .. 1 ms. */
static void back_off(struct svm_engine *engine, struct rng *rng, uint32_t attempt)
{
    uint64_t until = engine_now_ns(engine) +
                     (rng_next(rng) & ((UINT64_C(1000) << (attempt < 10 ? attempt : 10)) - 1));
    while (engine_now_ns(engine) < until)
        sched_yield();
}

/* Commits the writes; while somebody's claim is in the way, which may come to nothing, again and again, but not for ever. */
static enum svm_err commit_patiently(struct svm_cell_txn *txn, uint64_t *seq_out,
                                     struct svm_cell_key *key_out)
{
    struct svm_engine *engine = txn->engine;
    for (uint32_t attempt = 0;; attempt++) {
        if (!(txn->record = record_take(engine)))
            return SVM_E_OVERLOADED;
        mvcc_online(txn->thread);
        enum svm_err err = commit_writes(txn, seq_out, key_out);
        mvcc_offline(txn->thread);
        if (err == SVM_OK)
            return SVM_OK;
        complete_executed(engine); /* the position that it gave up may have been the last gap */
        if (err != SVM_E_BUSY || attempt + 1 >= config_of(engine)->busy_attempts_max)
            return err;
        back_off(engine, &txn->rng, attempt);
    }
}

enum svm_err svm_cell_commit(struct svm_cell_txn *txn, enum svm_wait wait, uint64_t *seq_out,
                             struct svm_cell_key *key_out)
{
    struct svm_engine *engine = txn->engine;
    uint64_t seq = txn->pin.seq;
    enum svm_err err = SVM_OK;
    atomic_fetch_add(&engine->calls, 1);
    if (mvcc_pin_cancelled(engine->mvcc, &txn->pin))
        err = SVM_E_SNAPSHOT_TOO_OLD;
    else if (txn->write_count > 0)
        err = commit_patiently(txn, &seq, key_out);
    end(txn);
    if (err == SVM_OK)
        wait_for(engine, seq, wait);
    if (err == SVM_OK && wait == SVM_WAIT_DURABLE && !engine->memory &&
        engine_durable(engine) < seq)
        err = SVM_E_IO;
    if (err == SVM_OK)
        count_add(&engine->counters.cell_committed, 1);
    else
        count_add(&engine->counters.cell_aborted, 1);
    if (err == SVM_E_CONFLICT)
        count_add(&engine->counters.cell_conflicts, 1);
    if (err == SVM_OK && seq_out)
        *seq_out = seq;
    atomic_fetch_sub(&engine->calls, 1);
    return err;
}

/* ---- closures -------------------------------------------------------------------------------------------------------- */

static enum svm_err run_once(struct svm_engine *engine, svm_cell_fn *fn, void *arg,
                             enum svm_wait wait, uint64_t *seq_out, struct svm_cell_key *key_out)
{
    struct svm_cell_txn *txn;
    enum svm_err err = svm_cell_begin(engine, &txn);
    if (err != SVM_OK)
        return err;
    err = fn(arg, txn);
    if (err != SVM_OK) {
        svm_cell_abort(txn);
        return err;
    }
    return svm_cell_commit(txn, wait, seq_out, key_out);
}

static enum svm_err run(struct svm_engine *engine, svm_cell_fn *fn, void *arg, enum svm_wait wait,
                        uint64_t *seq_out, struct svm_cell_key *key_out, uint32_t attempts,
                        uint64_t *retries)
{
    struct rng rng;
    bool seeded = false;
    for (uint32_t attempt = 0; attempt < attempts; attempt++) {
        enum svm_err err = run_once(engine, fn, arg, wait, seq_out, key_out);
        if (err != SVM_E_CONFLICT)
            return err;
        if (!seeded)
            rng_init(&rng, engine_now_ns(engine) ^ (uint64_t)(uintptr_t)&rng);
        seeded = true;
        count_add(&engine->counters.cell_retries, 1);
        ++*retries;
        back_off(engine, &rng, attempt);
    }
    return SVM_E_RETRIES_EXHAUSTED;
}

enum svm_err svm_cell_run(struct svm_engine *engine, svm_cell_fn *fn, void *arg, enum svm_wait wait,
                          uint64_t *seq_out, struct svm_cell_key *key_out)
{
    uint64_t retries = 0;
    atomic_fetch_add(&engine->calls, 1);
    enum svm_err err = run(engine, fn, arg, wait, seq_out, key_out,
                           config_of(engine)->cell_attempts_max, &retries);
    atomic_fetch_sub(&engine->calls, 1);
    return err;
}

void svm_cell_run_batch(struct svm_engine *engine, struct svm_cell_job *jobs, size_t count,
                        enum svm_wait wait, struct svm_cell_batch_stats *stats_out)
{
    struct svm_cell_batch_stats stats = {0};
    atomic_fetch_add(&engine->calls, 1);
    for (size_t i = 0; i < count; i++) {
        struct svm_cell_job *job = &jobs[i];
        if (job->fast) {
            job->err = run_once(engine, job->fn, job->arg, wait, &job->seq, NULL);
            stats.fast += job->err == SVM_OK;
            stats.fallbacks += job->err == SVM_E_CONFLICT;
            if (job->err != SVM_E_CONFLICT) {
                stats.failed += job->err != SVM_OK;
                continue;
            }
        }
        job->err = run(engine, job->fn, job->arg, wait, &job->seq, NULL,
                       config_of(engine)->cell_attempts_max, &stats.retries);
        stats.consensus += job->err == SVM_OK;
        stats.failed += job->err != SVM_OK;
    }
    atomic_fetch_sub(&engine->calls, 1);
    if (stats_out)
        *stats_out = stats;
}
