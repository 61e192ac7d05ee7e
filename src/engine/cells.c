#include "engine/cells.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Interactive transactions: reads and writes, on the embedder's threads. Reads come from a pinned snapshot, or from the own writes. Every head read or
 * written is held until the end, so validation only looks at words. */

/* ---- entries ---------------------------------------------------------------------------------------------------------- */

static void index_add(struct svm_cell_txn *txn, uint32_t place)
{
    uint32_t at = txn->entries[place].head->hash & txn->index_mask;
    while (txn->index[at] != 0)
        at = (at + 1) & txn->index_mask;
    txn->index[at] = (uint16_t)(place + 1);
}

/* An index over all entries with room for NEED of them, at most half full. */
static bool index_make(struct svm_cell_txn *txn, uint32_t need)
{
    uint32_t slots = 4 * CELL_ENTRIES_OWN;
    while (slots < 2 * need)
        slots *= 2;
    if (slots > txn->index_cap) {
        uint16_t *index = malloc(slots * sizeof *index);
        if (!index)
            return false;
        free(txn->index);
        txn->index = index;
        txn->index_cap = slots;
    }
    txn->index_mask = slots - 1;
    memset(txn->index, 0, slots * sizeof *txn->index);
    for (uint32_t i = 0; i < txn->count; i++)
        index_add(txn, i);
    return true;
}

static bool entries_grow(struct svm_cell_txn *txn)
{
    uint32_t cap = 2 * txn->cap;
    struct cell_entry *entries = malloc(cap * sizeof *entries);
    uint16_t *writes = malloc(cap * sizeof *writes);
    if (!entries || !writes) {
        free(entries);
        free(writes);
        return false;
    }
    memcpy(entries, txn->entries, txn->count * sizeof *entries);
    memcpy(writes, txn->writes, txn->write_count * sizeof *writes);
    if (txn->entries != txn->own_entries) {
        free(txn->entries);
        free(txn->writes);
    }
    txn->entries = entries;
    txn->writes = writes;
    txn->cap = cap;
    return true;
}

static bool key_fits(struct svm_bytes key)
{
    return key.len - 1 < SVM_CELL_KEY_MAX;
}

/* The entry of KEY or NULL. */
static struct cell_entry *find(struct svm_cell_txn *txn, struct svm_bytes key)
{
    if (txn->count <= CELL_ENTRIES_OWN) {
        for (uint32_t i = 0; i < txn->count; i++)
            if (mvcc_key_is(txn->entries[i].head, key.ptr, key.len))
                return &txn->entries[i];
        return NULL;
    }
    uint32_t at = mvcc_key_hash(txn->engine->cells, key.ptr, key.len) & txn->index_mask;
    for (; txn->index[at] != 0; at = (at + 1) & txn->index_mask) {
        struct cell_entry *entry = &txn->entries[txn->index[at] - 1];
        if (mvcc_key_is(entry->head, key.ptr, key.len))
            return entry;
    }
    return NULL;
}

/* Room for one more. */
static bool reserve(struct svm_cell_txn *txn)
{
    if (txn->count == txn->cap && !entries_grow(txn))
        return false;
    if (txn->count < CELL_ENTRIES_OWN)
        return true;
    bool fresh = txn->count == CELL_ENTRIES_OWN; /* what there is, is of an earlier transaction */
    return (!fresh && 2 * (txn->count + 1) <= txn->index_mask + 1) ||
           index_make(txn, 2 * txn->count);
}

/* Makes the head of KEY resident and held. */
static enum svm_err hold(struct svm_cell_txn *txn, struct svm_bytes key,
                         struct mvcc_head **head_out)
{
    struct svm_engine *engine = txn->engine;
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

/* A new entry for KEY, which has none. */
static enum svm_err add(struct svm_cell_txn *txn, struct svm_bytes key,
                        struct cell_entry **entry_out)
{
    struct mvcc_head *head;
    if (!reserve(txn))
        return SVM_E_OVERLOADED;
    enum svm_err err = hold(txn, key, &head);
    if (err != SVM_OK)
        return err;
    uint32_t place = txn->count++;
    txn->entries[place] = (struct cell_entry){.head = head};
    if (place >= CELL_ENTRIES_OWN)
        index_add(txn, place);
    *entry_out = &txn->entries[place];
    return SVM_OK;
}

/* ---- reads ------------------------------------------------------------------------------------------------------------ */

/* The unclaimed word that VERSION (NULL = absent) stands for: validation compares with it. */
static uint64_t word_of(const struct mvcc_version *version)
{
    if (!version)
        return MVCC_ABSENT;
    return cell_version_number(version) << 5 | (version->tombstone ? MVCC_TOMBSTONE : MVCC_LIVE);
}

/* The cell of ENTRY at the snapshot, tracked. The thread is online. */
static enum svm_err read_entry(struct svm_cell_txn *txn, struct cell_entry *entry)
{
    const struct mvcc_version *version = mvcc_read_at(entry->head, txn->pin.seq);
    enum svm_err err = SVM_OK;
    entry->read_state = word_of(version);
    entry->found = version && !version->tombstone;
    if (version) /* whoever overwrites it will probably unlink the one below */
        __builtin_prefetch(mvcc_older(version));
    if (entry->found)
        err = cell_copy(txn, cell_version_value(version), &entry->value);
    if (err == SVM_OK && mvcc_pin_cancelled(txn->engine->mvcc, &txn->pin))
        err = SVM_E_SNAPSHOT_TOO_OLD;
    if (err != SVM_OK)
        return err;
    entry->read = true;
    txn->read_count++;
    return SVM_OK;
}

/* An entry for KEY that is neither read nor written may stay: it holds the head, no more. */
static enum svm_err read_new(struct svm_cell_txn *txn, struct svm_bytes key,
                             struct cell_entry **entry_out)
{
    if (txn->read_count == CELL_KEYS_MAX)
        return SVM_E_LIMIT_EXCEEDED;
    if (!cell_pin(txn))
        return SVM_E_OVERLOADED;
    mvcc_online(txn->thread);
    enum svm_err err = *entry_out ? SVM_OK : add(txn, key, entry_out);
    if (err == SVM_OK)
        err = read_entry(txn, *entry_out);
    mvcc_offline(txn->thread);
    return err;
}

enum svm_err svm_cell_get(struct svm_cell_txn *txn, struct svm_bytes key,
                          struct svm_bytes *value_out)
{
    if (!key_fits(key))
        return SVM_E_LIMIT_EXCEEDED;
    struct cell_entry *entry = find(txn, key);
    if (entry && entry->version) {
        *value_out = cell_version_value(entry->version);
        return entry->version->tombstone ? SVM_E_NOT_FOUND : SVM_OK;
    }
    if (!entry || !entry->read) {
        enum svm_err err = read_new(txn, key, &entry);
        if (err != SVM_OK)
            return err;
    }
    if (!entry->found)
        return SVM_E_NOT_FOUND;
    *value_out = entry->value;
    return SVM_OK;
}

void svm_cell_prefetch(struct svm_cell_txn *txn, const struct svm_bytes *keys, size_t count)
{
    struct svm_bytes fit[MVCC_PREFETCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < count && n < MVCC_PREFETCH_MAX; i++)
        if (key_fits(keys[i]))
            fit[n++] = keys[i];
    mvcc_online(txn->thread);
    mvcc_prefetch_keys(txn->engine->cells, fit, n);
    mvcc_offline(txn->thread);
}

/* ---- writes ----------------------------------------------------------------------------------------------------------- */

/* The entry of KEY, to be written. */
static enum svm_err entry_to_write(struct svm_cell_txn *txn, struct svm_bytes key,
                                   struct cell_entry **entry_out)
{
    *entry_out = find(txn, key);
    if (*entry_out && (*entry_out)->version)
        return SVM_OK;
    if (txn->write_count == CELL_KEYS_MAX)
        return SVM_E_LIMIT_EXCEEDED;
    if (*entry_out)
        return SVM_OK;
    mvcc_online(txn->thread);
    enum svm_err err = add(txn, key, entry_out);
    if (err == SVM_OK)
        __builtin_prefetch(mvcc_newest((*entry_out)->head));
    mvcc_offline(txn->thread);
    return err;
}

/* The version that commit will publish is made here and now, outside of all claims. */
static enum svm_err write_cell(struct svm_cell_txn *txn, struct svm_bytes key,
                               struct svm_bytes value, bool deleted)
{
    struct cell_entry *entry;
    if (!key_fits(key) || value.len > config_of(txn->engine)->cell_value_bytes_max ||
        !cell_bytes_fit(txn, value.len))
        return SVM_E_LIMIT_EXCEEDED;
    enum svm_err err = entry_to_write(txn, key, &entry);
    if (err != SVM_OK)
        return err;
    struct mvcc_version *version = cell_version_create(txn->thread, value.len);
    if (!version)
        return SVM_E_OVERLOADED;
    version->tombstone = deleted;
    if (value.len)
        memcpy(version->payload + CELL_NUMBER_BYTES, value.ptr, value.len);
    txn->bytes += value.len;
    if (entry->version) {
        mvcc_private_chain(entry->version, txn->discarded);
        txn->discarded = entry->version;
    } else {
        txn->writes[txn->write_count++] = (uint16_t)(entry - txn->entries);
    }
    entry->version = version;
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
