#include "mvcc/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

/* Finding, inserting and holding heads.
 *
 * A hold against eviction is decided on one word, `holds`: a holder adds one, an evictor exchanges 0 for HOLDS_CLOSED. Whoever comes second
 * sees it. A holder that finds the bit takes its one back and looks again under the shard's mutex: evictors close, unlink and mark
 * DEAD within one critical section, so a head found there is open.
 *
 * LOADING ends, and a head leaves the index, under the shard's mutex only. */

/* ---- find --------------------------------------------------------------------------------------------------- */

void mvcc_prefetch(const struct mvcc_table *table, struct mvcc_hash hash)
{
    uintptr_t word =
        atomic_load_explicit(&table->shards[hash.shard].array_word, memory_order_relaxed);
    uint32_t lines = mvcc_array_lines(word & (MVCC_ARRAY_ALIGN - 1)) - 1;
    uintptr_t array = word & ~(uintptr_t)(MVCC_ARRAY_ALIGN - 1);
    size_t slot = (size_t)mvcc_line(lines, hash.place) * MVCC_LINE_SLOTS;
    __builtin_prefetch(
        (const void *)(array + offsetof(struct mvcc_array, slots) + slot * sizeof(uint64_t)));
}

/* The head in LINE by HASH's tag, or NULL; FULL_OUT: the probe goes on. Acquire: its `newest` may be looked at. */
static const struct mvcc_head *line_find(const struct mvcc_array *array, uint32_t line,
                                         struct mvcc_hash hash, bool *full_out)
{
    *full_out = true;
    for (uint32_t i = 0; i < MVCC_LINE_SLOTS; i++) {
        uint64_t slot = atomic_load_explicit(&array->slots[mvcc_slot_at(line, hash.place, i)],
                                             memory_order_acquire);
        if (slot >> 48 == hash.tag && mvcc_slot_head(slot) != NULL) {
            return mvcc_slot_head(slot);
        }
        *full_out = *full_out && slot != MVCC_SLOT_EMPTY;
    }
    return NULL;
}

/* The head that stands where HASH points, by its tag, prefetched; or NULL. */
static const struct mvcc_head *prefetch_head(const struct mvcc_table *table, struct mvcc_hash hash,
                                             size_t key_len)
{
    const struct mvcc_array *array = mvcc_shard_array(&table->shards[hash.shard]);
    bool full = true;
    for (uint32_t line = mvcc_line(array->lines, hash.place); full;
         line = mvcc_line_next(array->lines, line)) {
        const struct mvcc_head *head = line_find(array, line, hash, &full);
        if (head != NULL) {
            __builtin_prefetch(head, 1);
            __builtin_prefetch((const uint8_t *)head + offsetof(struct mvcc_head, key) + key_len -
                               1);
            return head;
        }
    }
    return NULL;
}

void mvcc_prefetch_head(const struct mvcc_table *table, struct mvcc_hash hash)
{
    (void)prefetch_head(table, hash, 32);
}

void mvcc_prefetch_keys(const struct mvcc_table *table, const struct svm_bytes *keys, size_t count)
{
    struct mvcc_hash hashes[MVCC_PREFETCH_MAX];
    const struct mvcc_head *heads[MVCC_PREFETCH_MAX];
    SVM_ASSERT(count <= MVCC_PREFETCH_MAX);
    for (size_t i = 0; i < count; i++) {
        hashes[i] = mvcc_hash_key(table, keys[i].ptr, keys[i].len);
        mvcc_prefetch(table, hashes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        heads[i] = prefetch_head(table, hashes[i], keys[i].len);
    }
    for (size_t i = 0; i < count; i++) {
        if (heads[i] != NULL) {
            __builtin_prefetch(mvcc_newest(heads[i]));
        }
    }
}

static void head_touch(struct mvcc_head *head)
{
    if (atomic_load_explicit(&head->referenced, memory_order_relaxed) == 0) {
        atomic_store_explicit(&head->referenced, 1, memory_order_relaxed);
    }
}

struct mvcc_head *mvcc_find(struct mvcc_table *table, const uint8_t *key, size_t key_len)
{
    struct mvcc_head *head =
        mvcc_index_get(table, mvcc_hash_key(table, key, key_len), key, key_len);
    if (head != NULL) {
        head_touch(head);
    }
    return head;
}

/* ---- hold --------------------------------------------------------------------------------------------------- */

static bool head_try_hold(struct mvcc_head *head)
{
    uint32_t before = atomic_fetch_add_explicit(&head->holds, 1, memory_order_acq_rel);
    if ((before & MVCC_HOLDS_CLOSED) != 0) {
        atomic_fetch_sub_explicit(&head->holds, 1, memory_order_release);
        return false;
    }
    head_touch(head);
    return true;
}

struct mvcc_head *mvcc_hold_resident(const struct mvcc_table *table, struct mvcc_hash hash,
                                     const uint8_t *key, size_t key_len)
{
    struct mvcc_head *head = mvcc_index_get(table, hash, key, key_len);
    return head != NULL && head_try_hold(head) ? head : NULL;
}

void mvcc_unhold(struct mvcc_head *head)
{
    mvcc_unhold_many(head, 1);
}

void mvcc_unhold_many(struct mvcc_head *head, uint32_t count)
{
    uint32_t before = atomic_fetch_sub_explicit(&head->holds, count, memory_order_release);
    SVM_ASSERT((before & ~MVCC_HOLDS_CLOSED) >= count);
}

/* A new head with one hold, in the index. NULL = no memory. */
static struct mvcc_head *head_insert_locked(struct mvcc_table *table, struct mvcc_thread *thread,
                                            struct mvcc_hash hash, const uint8_t *key,
                                            size_t key_len, uint64_t state)
{
    struct mvcc_head *head = mvcc_block_take(thread, mvcc_head_block_bytes(key_len));
    if (head == NULL) {
        return NULL;
    }
    atomic_init(&head->state, state);
    atomic_init(&head->newest, NULL);
    atomic_init(&head->holds, 1);
    head->hash = hash.place;
    atomic_init(&head->trimmed_at, 0);
    head->key_len = (uint8_t)key_len;
    atomic_init(&head->referenced, 1);
    memcpy(head->key, key, key_len);
    if (!mvcc_index_put_locked(table, thread, hash, head)) {
        mvcc_block_give(thread, head, mvcc_head_block_bytes(key_len));
        return NULL;
    }
    mvcc_count(table, thread, MVCC_COUNT_HEADS, 1);
    mvcc_count(table, thread, MVCC_COUNT_BYTES, mvcc_head_bytes(head));
    return head;
}

enum mvcc_hold_result mvcc_hold(struct mvcc_table *table, struct mvcc_thread *thread,
                                const uint8_t *key, size_t key_len, struct mvcc_head **head_out)
{
    struct mvcc_hash hash = mvcc_hash_key(table, key, key_len);
    struct mvcc_shard *shard = &table->shards[hash.shard];
    struct mvcc_head *head = mvcc_index_get(table, hash, key, key_len);
    FAULT_POINT("mvcc.hold.found");
    if (head == NULL || !head_try_hold(head)) {
        pthread_mutex_lock(&shard->mutex);
        if (!FAULT_BUG("insert-blind"))
            head = mvcc_index_get(table, hash, key, key_len);
        if (head == NULL) {
            head = head_insert_locked(table, thread, hash, key, key_len,
                                      mvcc_state_of(MVCC_LOADING, 0));
            pthread_mutex_unlock(&shard->mutex);
            *head_out = head;
            return head == NULL ? MVCC_HOLD_NO_MEMORY : MVCC_HELD_LOAD;
        }
        bool held = head_try_hold(head);
        SVM_ASSERT(held);
        pthread_mutex_unlock(&shard->mutex);
    }
    *head_out = head;
    switch (mvcc_state_status(mvcc_state(head))) {
    case MVCC_ABSENT:
    case MVCC_LIVE:
    case MVCC_TOMBSTONE:
        return MVCC_HELD;
    case MVCC_LOADING:
    case MVCC_DEAD: /* its load failed just now: the caller finds out as every waiter does */
        break;
    }
    return MVCC_HELD_LOADING;
}

/* A head that is there already: ABSENT (somebody asked for the id before it existed) can be had when nobody has claimed it, and
 * LOADING is taken over: the loader's answer can only be that there is nothing, or what this caller will publish. */
static bool head_take_over_locked(struct mvcc_head *head)
{
    uint64_t state = mvcc_state(head);
    if (mvcc_state_status(state) == MVCC_LOADING) {
        atomic_store_explicit(&head->state, mvcc_state_of(MVCC_ABSENT, 0) | MVCC_CLAIM,
                              memory_order_seq_cst);
        return true;
    }
    if (mvcc_state_status(state) != MVCC_ABSENT || !mvcc_try_claim(head, &state)) {
        return false;
    }
    if (mvcc_state_status(state) != MVCC_ABSENT) { /* claimed and published in between */
        mvcc_release(head, state);
        return false;
    }
    return true;
}

bool mvcc_hold_new(struct mvcc_table *table, struct mvcc_thread *thread, const uint8_t *key,
                   size_t key_len, struct mvcc_head **head_out)
{
    struct mvcc_hash hash = mvcc_hash_key(table, key, key_len);
    struct mvcc_shard *shard = &table->shards[hash.shard];
    pthread_mutex_lock(&shard->mutex);
    struct mvcc_head *head = mvcc_index_get(table, hash, key, key_len);
    if (head == NULL) {
        head = head_insert_locked(table, thread, hash, key, key_len,
                                  mvcc_state_of(MVCC_ABSENT, 0) | MVCC_CLAIM);
    } else {
        bool held = head_try_hold(head);
        SVM_ASSERT(held);
        if (!head_take_over_locked(head)) {
            mvcc_unhold(head);
            head = NULL;
        }
    }
    pthread_mutex_unlock(&shard->mutex);
    *head_out = head;
    return head != NULL;
}

/* ---- load --------------------------------------------------------------------------------------------------- */

void mvcc_load_finish(struct mvcc_table *table, struct mvcc_thread *thread, struct mvcc_head *head,
                      struct mvcc_version *version, uint64_t number)
{
    struct mvcc_shard *shard = &table->shards[mvcc_hash_key(table, head->key, head->key_len).shard];
    mvcc_count(table, thread, MVCC_COUNT_LOADS, 1);
    uint64_t state = mvcc_state_of(MVCC_ABSENT, 0);
    if (version != NULL) {
        state = mvcc_state_of(version->tombstone ? MVCC_TOMBSTONE : MVCC_LIVE, number);
    }
    FAULT_POINT("mvcc.load.before");
    pthread_mutex_lock(&shard->mutex);
    bool loading = mvcc_state_status(mvcc_state(head)) == MVCC_LOADING;
    if (loading) {
        atomic_store_explicit(&head->newest, version, memory_order_release);
        atomic_store_explicit(&head->state, state, memory_order_release);
    }
    pthread_mutex_unlock(&shard->mutex);
    if (version == NULL) {
        return;
    }
    if (!loading) { /* taken over by mvcc_hold_new */
        mvcc_version_destroy(thread, version);
        return;
    }
    mvcc_count(table, thread, MVCC_COUNT_VERSIONS, 1);
    mvcc_count(table, thread, MVCC_COUNT_BYTES, mvcc_version_bytes(version));
}

void mvcc_head_reclaim(void *arg, struct qsbr_entry *entry)
{
    const struct mvcc_head *head = (const void *)entry;
    mvcc_block_give(arg, entry, mvcc_head_block_bytes(head->key_len));
}

static void head_retire(struct mvcc_thread *thread, struct mvcc_head *head)
{
    qsbr_retire(thread->qsbr, MVCC_BLOCK_HEAD, mvcc_head_entry(head),
                mvcc_head_block_bytes(head->key_len));
}

/* The list of aborted heads goes through their state words, which stay DEAD. */
static void aborted_push_locked(struct mvcc_table *table, struct mvcc_head *head)
{
    atomic_store_explicit(&head->state, (uintptr_t)table->aborted | MVCC_DEAD,
                          memory_order_relaxed);
    table->aborted = head;
}

void mvcc_load_abort(struct mvcc_table *table, struct mvcc_thread *thread, struct mvcc_head *head)
{
    struct mvcc_hash hash = mvcc_hash_key(table, head->key, head->key_len);
    struct mvcc_shard *shard = &table->shards[hash.shard];
    pthread_mutex_lock(&shard->mutex);
    if (mvcc_state_status(mvcc_state(head)) != MVCC_LOADING) { /* taken over by mvcc_hold_new */
        pthread_mutex_unlock(&shard->mutex);
        mvcc_unhold(head);
        return;
    }
    atomic_fetch_or_explicit(&head->holds, MVCC_HOLDS_CLOSED, memory_order_acq_rel);
    mvcc_index_del_locked(table, hash, head);
    atomic_store_explicit(&head->state, mvcc_state_of(MVCC_DEAD, 0), memory_order_release);
    pthread_mutex_unlock(&shard->mutex);
    mvcc_count(table, thread, MVCC_COUNT_HEADS, 0 - (uint64_t)1);
    mvcc_count(table, thread, MVCC_COUNT_BYTES, 0 - mvcc_head_bytes(head));

    /* Waiters may hold it across quiescent states: it waits for them. */
    uint32_t before = atomic_fetch_sub_explicit(&head->holds, 1, memory_order_acq_rel);
    if (before == (MVCC_HOLDS_CLOSED | 1)) {
        head_retire(thread, head);
        return;
    }
    pthread_mutex_lock(&table->aborted_mutex);
    aborted_push_locked(table, head);
    atomic_fetch_add_explicit(&table->aborted_count, 1, memory_order_relaxed);
    pthread_mutex_unlock(&table->aborted_mutex);
}

void mvcc_heads_aborted_collect(struct mvcc_table *table, struct mvcc_thread *thread)
{
    if (atomic_load_explicit(&table->aborted_count, memory_order_relaxed) == 0) {
        return;
    }
    pthread_mutex_lock(&table->aborted_mutex);
    struct mvcc_head *head = table->aborted;
    table->aborted = NULL;
    while (head != NULL) {
        struct mvcc_head *next = mvcc_aborted_next(head);
        if (atomic_load_explicit(&head->holds, memory_order_acquire) == MVCC_HOLDS_CLOSED) {
            atomic_fetch_sub_explicit(&table->aborted_count, 1, memory_order_relaxed);
            head_retire(thread, head);
        } else {
            aborted_push_locked(table, head);
        }
        head = next;
    }
    pthread_mutex_unlock(&table->aborted_mutex);
}
