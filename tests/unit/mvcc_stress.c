#include "mvcc_stress_world.h"

#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"

void stress_violation(struct world *w, const char *format, ...)
{
    pthread_mutex_lock(&w->mutex);
    if (atomic_fetch_add(&w->violations, 1) == 0) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(w->result->first, sizeof w->result->first, format, args);
        va_end(args);
    }
    pthread_mutex_unlock(&w->mutex);
    if (w->config->stop_at_violation) {
        atomic_store(&w->stop, true);
    }
}

static void key_of(uint8_t key[32], uint32_t index)
{
    memset(key, 0, 32);
    key[0] = (uint8_t)(index >> 8);
    key[1] = (uint8_t)index;
}

/* Let another thread in, often enough that every window is hit on a machine with few processors. */
static void jitter(struct actor *a)
{
    if (rng_below(&a->rng, 24) == 0) {
        sched_yield();
    }
}

struct row stress_row_of(const struct mvcc_version *version)
{
    struct row row = {0};
    if (version != NULL) {
        row = (struct row){.begin_seq = version->begin_seq, .tombstone = version->tombstone};
        memcpy(&row.balance, version->payload, sizeof row.balance);
        memcpy(&row.version, version->payload + sizeof row.balance, sizeof row.version);
    }
    return row;
}

static struct mvcc_version *version_of(struct actor *a, const struct row *row)
{
    /* Sizes vary, so that blocks of different classes come and go. */
    struct mvcc_version *version =
        mvcc_version_create(a->mt, 16 + (uint32_t)rng_below(&a->rng, 3) * 60);
    SVM_ASSERT(version != NULL);
    version->tombstone = row->tombstone;
    memcpy(version->payload, &row->balance, sizeof row->balance);
    memcpy(version->payload + sizeof row->balance, &row->version, sizeof row->version);
    mvcc_version_number_set(version, row->version);
    return version;
}

/* ---- residence ---------------------------------------------------------------------------------------------- */

/* False: the load failed, the hold is gone. */
static bool load(struct actor *a, struct mvcc_head *head, uint32_t key)
{
    struct world *w = a->world;
    jitter(a);
    if (rng_below(&a->rng, 64) == 0) {
        mvcc_load_abort(w->table, a->mt, head);
        return false;
    }
    pthread_mutex_lock(&w->mutex);
    struct row row = w->disk[key];
    pthread_mutex_unlock(&w->mutex);
    jitter(a);
    struct mvcc_version *version = row.version == 0 ? NULL : version_of(a, &row);
    if (version != NULL) {
        mvcc_version_begin_set(version, row.begin_seq);
    }
    mvcc_load_finish(w->table, a->mt, head, version, row.version);
    return true;
}

/* Hold KEY, resident. May quiesce. */
static struct mvcc_head *hold(struct actor *a, uint32_t key)
{
    uint8_t bytes[32];
    key_of(bytes, key);
    for (;;) {
        struct mvcc_head *head;
        switch (mvcc_hold(a->world->table, a->mt, bytes, 32, &head)) {
        case MVCC_HELD:
            return head;
        case MVCC_HELD_LOAD:
            if (load(a, head, key)) {
                return head;
            }
            break;
        case MVCC_HELD_LOADING:
            while (mvcc_state_status(mvcc_state(head)) == MVCC_LOADING) {
                mvcc_quiesce(a->mt);
                sched_yield();
            }
            if (mvcc_state_status(mvcc_state(head)) != MVCC_DEAD) {
                return head;
            }
            mvcc_unhold(head);
            break;
        case MVCC_HOLD_NO_MEMORY:
            abort();
        }
    }
}

/* ---- transactions ------------------------------------------------------------------------------------------- */

/* Keys in ascending order, the first always written; a fresh one comes last, being the highest. */
static void choose(struct actor *a, struct record *r)
{
    struct world *w = a->world;
    uint32_t known = atomic_load(&w->next_fresh);
    r->count = 2 + (uint32_t)rng_below(&a->rng, 3);
    for (uint32_t i = 0; i < r->count; i++) {
        /* Half of all accesses go to four hot keys; a few to keys that do not exist yet. */
        uint32_t key = (uint32_t)rng_below(&a->rng, rng_below(&a->rng, 2) == 0 ? 4 : known + 2);
        uint32_t at = i;
        key = key < KEYS ? key : KEYS - 1;
        for (uint32_t j = 0; j < i; j++) {
            if (r->accesses[j].key == key) {
                key = (key + 1) % KEYS;
                j = UINT32_MAX; /* compare with all again */
            }
        }
        while (at > 0 && r->accesses[at - 1].key > key) {
            r->accesses[at] = r->accesses[at - 1];
            at--;
        }
        r->accesses[at] = (struct access){.key = key};
    }
    bool any = false;
    for (uint32_t i = 0; i < r->count; i++) {
        struct access *x = &r->accesses[i];
        x->write = atomic_load(&w->writable[x->key]) && rng_below(&a->rng, 2) == 0;
        any = any || x->write;
    }
    if (!any && atomic_load(&w->writable[r->accesses[0].key])) {
        r->accesses[0].write = true;
    }
    if (rng_below(&a->rng, 64) == 0) {
        uint32_t key = atomic_load(&w->next_fresh);
        if (key < KEYS && key > r->accesses[r->count - 1].key &&
            atomic_compare_exchange_strong(&w->next_fresh, &key, key + 1)) {
            r->accesses[r->count++] = (struct access){.key = key, .write = true, .fresh = true};
        }
    }
}

static bool read_one(struct access *x)
{
    for (;;) {
        uint64_t state = mvcc_state(x->head);
        if (mvcc_state_claimed(state)) {
            return false;
        }
        struct row row = stress_row_of(mvcc_newest(x->head));
        if (mvcc_state(x->head) == state) {
            x->state = state;
            x->seen = row;
            return mvcc_state_version(state) == row.version;
        }
    }
}

static bool claim_all(struct actor *a, struct record *r, bool already_read)
{
    enum stress_sabotage sabotage = a->world->config->sabotage;
    for (uint32_t i = 0; i < r->count; i++) {
        struct access *x = &r->accesses[i];
        if (!x->write || x->claimed) {
            continue;
        }
        uint64_t state;
        if (!mvcc_try_claim(x->head, &state)) {
            if (sabotage != STRESS_NO_CLAIM) {
                return false;
            }
            continue;
        }
        if (already_read && state != x->state && !x->fresh) {
            mvcc_release(x->head, state);
            return false;
        }
        x->claimed = true;
        x->state = state;
        x->seen = stress_row_of(mvcc_newest(x->head));
        jitter(a);
    }
    return true;
}

static bool validate(const struct record *r)
{
    bool ok = true;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct access *x = &r->accesses[i];
        ok = ok && mvcc_unchanged(x->head, x->state, x->write);
    }
    return ok;
}

/* What the transaction does: spread the balance of what it writes anew, delete what is empty now and then. */
static void compute(struct actor *a, struct record *r)
{
    uint64_t version = 0;
    uint64_t total = 0;
    uint32_t writes = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        struct access *x = &r->accesses[i];
        version = x->seen.version > version ? x->seen.version : version;
        total += x->write ? x->seen.balance : 0;
        writes += x->write;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        struct access *x = &r->accesses[i];
        if (!x->write) {
            continue;
        }
        uint64_t part = --writes == 0 ? total : rng_below(&a->rng, total + 1);
        part = writes > 0 && rng_below(&a->rng, 8) == 0 ? 0 : part;
        total -= part;
        x->next = (struct row){.version = version + 1,
                               .balance = part,
                               .tombstone = part == 0 && rng_below(&a->rng, 2) == 0};
        x->version = version_of(a, &x->next);
    }
}

static void let_go(struct actor *a, struct record *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        struct access *x = &r->accesses[i];
        if (x->claimed) {
            mvcc_release(x->head, x->state);
        }
        mvcc_version_destroy(a->mt, x->version);
        x->version = NULL;
    }
}

/* Everything up to the second validation; false: nothing happened. */
static bool prepare(struct actor *a, struct record *r)
{
    struct world *w = a->world;
    bool read_first = rng_below(&a->rng, 2) == 0;
    for (uint32_t i = 0; i < r->count; i++) {
        struct access *x = &r->accesses[i];
        if (!x->fresh && (read_first || !x->write) && !read_one(x)) {
            return false;
        }
        jitter(a);
    }
    if (!claim_all(a, r, read_first)) {
        return false;
    }
    compute(a, r);
    if (w->config->sabotage != STRESS_NO_CLAIM && !validate(r)) {
        return false;
    }
    jitter(a);
    return true;
}

static void commit(struct actor *a, struct record *r)
{
    struct world *w = a->world;
    uint64_t seq = mvcc_seq_next(w->mvcc);
    jitter(a);
    r->published = w->config->sabotage == STRESS_NO_CLAIM ||
                   w->config->sabotage == STRESS_NO_VALIDATION || validate(r);
    jitter(a);
    if (!r->published) {
        let_go(a, r);
    }
    for (uint32_t i = 0; i < r->count && r->published; i++) {
        struct access *x = &r->accesses[i];
        if (x->write) {
            x->next.begin_seq = seq;
            mvcc_publish(w->table, a->mt, x->head, x->version, seq);
            a->created += x->fresh;
            jitter(a);
        }
    }
    a->commits += r->published;
    a->voids += !r->published;
    mvcc_seq_hand_over(w->mvcc, seq, r);
    if (rng_below(&a->rng, 64) == 0) { /* what one has committed, one sees */
        while (mvcc_applied(w->mvcc) < seq && !atomic_load(&w->stop)) {
            sched_yield();
        }
        struct mvcc_pin pin;
        if (mvcc_applied(w->mvcc) >= seq && mvcc_pin(w->mvcc, UINT64_MAX, &pin)) {
            if (pin.seq < seq) {
                stress_violation(w, "pinned %" PRIu64 " after %" PRIu64 " was applied", pin.seq,
                                 seq);
            }
            mvcc_unpin(w->mvcc, &pin);
        }
    }
}

static void transact(struct actor *a)
{
    struct world *w = a->world;
    struct record *r = calloc(1, sizeof *r);
    SVM_ASSERT(r != NULL);
    choose(a, r);
    for (uint32_t i = 0; i < r->count; i++) {
        struct access *x = &r->accesses[i];
        uint8_t key[32];
        key_of(key, x->key);
        if (x->fresh) {
            if (!mvcc_hold_new(w->table, a->mt, key, 32, &x->head)) {
                stress_violation(w, "fresh key %u exists", x->key);
                abort();
            }
            x->claimed = true;
        } else {
            x->head = hold(a, x->key);
        }
    }
    struct mvcc_head *heads[ACCESS_MAX];
    uint32_t count = r->count;
    uint32_t fresh = r->accesses[count - 1].fresh ? r->accesses[count - 1].key : 0;
    for (uint32_t i = 0; i < count; i++) {
        heads[i] = r->accesses[i].head;
    }
    if (!prepare(a, r)) {
        let_go(a, r);
        free(r);
        a->retries++;
        sched_yield();
    } else {
        commit(a, r); /* the record is the committer's now */
    }
    atomic_store(&w->writable[fresh], true);
    for (uint32_t i = 0; i < count; i++) {
        mvcc_unhold(heads[i]);
    }
}

static bool take_credit(struct world *w)
{
    int credits = atomic_load(&w->credits);
    while (credits > 0 && !atomic_compare_exchange_weak(&w->credits, &credits, credits - 1)) {
    }
    return credits > 0;
}

static void worker(void *arg)
{
    struct actor *a = arg;
    struct world *w = a->world;
    mvcc_online(a->mt);
    while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
        if (!take_credit(w)) {
            mvcc_quiesce(a->mt);
            sched_yield();
            continue;
        }
        uint64_t done = a->commits + a->voids;
        transact(a);
        if (a->commits + a->voids == done) {
            atomic_fetch_add(&w->credits, 1);
        }
        mvcc_quiesce(a->mt);
        if (rng_below(&a->rng, 256) == 0) {
            mvcc_offline(a->mt);
            sched_yield();
            mvcc_online(a->mt);
        }
    }
    mvcc_offline(a->mt);
    atomic_fetch_sub(&w->workers_left, 1);
}

/* ---- snapshots ---------------------------------------------------------------------------------------------- */

static void reader(void *arg)
{
    struct actor *a = arg;
    struct world *w = a->world;
    uint64_t total = (uint64_t)w->config->base_keys * BALANCE;
    while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
        struct mvcc_pin pin;
        mvcc_online(a->mt);
        bool pinned = mvcc_pin(w->mvcc, clock_system.wall_ms(NULL), &pin);
        SVM_ASSERT(pinned);
        if (w->config->sabotage == STRESS_NO_PIN) {
            mvcc_unpin(w->mvcc, &pin);
        }
        struct observation seen = {.seq = pin.seq};
        uint64_t sum = 0;
        for (uint32_t key = 0; key < KEYS; key++) {
            struct mvcc_head *head = hold(a, key);
            struct row row = stress_row_of(mvcc_read_at(head, pin.seq));
            sum += row.balance;
            seen.versions[key] = row.version;
            mvcc_unhold(head);
            mvcc_quiesce(a->mt);
            jitter(a);
        }
        bool cancelled = false;
        if (w->config->sabotage != STRESS_NO_PIN) {
            cancelled = mvcc_pin_cancelled(w->mvcc, &pin);
            mvcc_unpin(w->mvcc, &pin);
        }
        mvcc_offline(a->mt);
        a->cancelled += cancelled;
        if (cancelled) {
            continue;
        }
        a->snapshots++;
        if (sum != total) {
            stress_violation(w, "snapshot at %" PRIu64 " sums to %" PRIu64, pin.seq, sum);
        }
        if (a->observed_count < OBSERVED_MAX) {
            a->observed[a->observed_count++] = seen;
        }
    }
}

/* ---- collector and committer -------------------------------------------------------------------------------- */

static void collector(void *arg)
{
    struct actor *a = arg;
    struct world *w = a->world;
    mvcc_online(a->mt);
    while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
        /* Now and then every pin older than 2 ms is cancelled. */
        uint64_t oldest_ms = rng_below(&a->rng, 100) == 0 ? clock_system.wall_ms(NULL) - 2 : 0;
        uint64_t before = mvcc_floor(w->mvcc);
        uint64_t floor = mvcc_floor_advance(w->mvcc, a->mt, oldest_ms);
        if (floor < before) {
            stress_violation(w, "the floor fell from %" PRIu64 " to %" PRIu64, before, floor);
        }
        struct mvcc_collected collected = {0};
        uint64_t cache_bytes = rng_below(&a->rng, 4) == 0 ? 0 : KEYS * 100;
        (void)mvcc_collect(w->table, a->mt, atomic_load(&w->materialised), cache_bytes,
                           1 + rng_below(&a->rng, 200), &collected);
        mvcc_quiesce(a->mt);
        sched_yield();
    }
    mvcc_offline(a->mt);
}

static void replay_record(struct world *w, const struct record *r, uint64_t seq)
{
    uint64_t before = 0;
    uint64_t after = 0;
    for (uint32_t i = 0; i < r->count && r->published; i++) {
        const struct access *x = &r->accesses[i];
        struct row *row = &w->replay[x->key];
        if (x->seen.version != row->version || x->seen.balance != row->balance) {
            stress_violation(w, "seq %" PRIu64 " saw version %" PRIu64 " of key %u, not %" PRIu64,
                             seq, x->seen.version, x->key, row->version);
        }
        before += x->write ? row->balance : 0;
        after += x->write ? x->next.balance : 0;
        if (x->write) {
            *row = x->next;
        }
    }
    if (before != after) {
        stress_violation(w, "seq %" PRIu64 " turned %" PRIu64 " into %" PRIu64, seq, before, after);
    }
}

static void materialise(struct world *w, uint64_t from, uint64_t to)
{
    pthread_mutex_lock(&w->mutex);
    for (uint64_t seq = from; seq <= to; seq++) {
        const struct record *r = w->log[seq - 1];
        for (uint32_t i = 0; i < r->count && r->published; i++) {
            if (r->accesses[i].write) {
                w->disk[r->accesses[i].key] = r->accesses[i].next;
            }
        }
    }
    pthread_mutex_unlock(&w->mutex);
    atomic_store(&w->materialised, to);
}

static void committer(void *arg)
{
    struct actor *a = arg;
    struct world *w = a->world;
    uint64_t written = 0;
    for (;;) {
        bool last = atomic_load(&w->workers_left) == 0;
        uint64_t applied = mvcc_applied(w->mvcc);
        while (w->log_len < applied) {
            if (w->log_len == w->log_cap) {
                w->log_cap = w->log_cap == 0 ? 4096 : w->log_cap * 2;
                w->log = realloc(w->log, w->log_cap * sizeof(struct record *));
                SVM_ASSERT(w->log != NULL);
            }
            struct record *r = mvcc_seq_take(w->mvcc, w->log_len + 1);
            w->log[w->log_len++] = r;
            replay_record(w, r, w->log_len);
            atomic_fetch_add(&w->credits, 1);
        }
        if (rng_below(&a->rng, 8) == 0 && written < w->log_len) {
            uint64_t to = written + 1 + rng_below(&a->rng, w->log_len - written);
            materialise(w, written + 1, to);
            written = to;
        }
        if (last) {
            return;
        }
        sched_yield();
    }
}

static void world_start(struct world *w, struct actor *actors, uint32_t count)
{
    const struct mvcc_config config = {.records_kept = true,
                                       .inflight_max = INFLIGHT,
                                       .pins_max = 2 * THREADS,
                                       .threads_max = THREADS,
                                       .first_seq = 1};
    w->mvcc = mvcc_create(&config);
    SVM_ASSERT(w->mvcc != NULL);
    w->table = mvcc_table(w->mvcc, MVCC_OBJECTS);
    for (uint32_t key = 0; key < w->config->base_keys; key++) {
        w->disk[key] = (struct row){.version = 1, .balance = BALANCE};
        w->replay[key] = w->disk[key];
        atomic_store(&w->writable[key], true);
    }
    atomic_store(&w->next_fresh, w->config->base_keys);
    atomic_store(&w->credits, INFLIGHT);
    atomic_store(&w->workers_left, w->config->workers);
    for (uint32_t i = 0; i < count; i++) {
        actors[i].world = w;
        actors[i].mt = mvcc_thread_create(w->mvcc);
        SVM_ASSERT(actors[i].mt != NULL);
        rng_init(&actors[i].rng, w->config->seed * 1000 + i);
        actors[i].observed = calloc(OBSERVED_MAX, sizeof(struct observation));
        SVM_ASSERT(actors[i].observed != NULL);
    }
}

void stress_run(const struct stress_config *config, struct stress_result *result)
{
    static struct actor actors[THREADS];
    static struct world world;
    uint32_t count = config->workers + config->readers + 2;
    SVM_ASSERT(count <= THREADS);
    memset(actors, 0, sizeof actors);
    memset(&world, 0, sizeof world);
    memset(result, 0, sizeof *result);
    world.config = config;
    world.result = result;
    pthread_mutex_init(&world.mutex, NULL);
    world_start(&world, actors, count);
    static struct fault_jitter library_jitter;
    library_jitter = (struct fault_jitter){.seed = config->seed, .one_in = 50, .sleep_us_max = 20};
    fault_hook_set(fault_jitter, &library_jitter);

    struct actor *readers = &actors[config->workers];
    for (uint32_t i = 0; i < count; i++) {
        thread_run_fn *run = i < config->workers                     ? worker
                             : i < config->workers + config->readers ? reader
                             : i + 2 == count                        ? collector
                                                                     : committer;
        bool started = thread_start(&actors[i].thread, "stress", run, &actors[i]);
        SVM_ASSERT(started);
    }
    for (uint32_t ms = 0; ms < config->duration_ms && !atomic_load(&world.stop); ms++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    atomic_store(&world.stop, true);
    for (uint32_t i = 0; i < count; i++) {
        thread_join(&actors[i].thread);
    }
    fault_hook_set(NULL, NULL);

    stress_judge_snapshots(&world, readers, config->readers);
    stress_judge_table(&world);
    stress_judge_eviction(&world, &actors[0]);
    for (uint32_t i = 0; i < count; i++) {
        result->commits += actors[i].commits;
        result->voids += actors[i].voids;
        result->retries += actors[i].retries;
        result->snapshots += actors[i].snapshots;
        result->cancelled += actors[i].cancelled;
        result->created += actors[i].created;
        mvcc_thread_destroy(actors[i].mt);
        free(actors[i].observed);
    }
    if (mvcc_applied(world.mvcc) != result->commits + result->voids ||
        world.log_len != result->commits + result->voids) {
        stress_violation(&world, "applied %" PRIu64 " of %" PRIu64, mvcc_applied(world.mvcc),
                         result->commits + result->voids);
    }
    result->violations = atomic_load(&world.violations);
    for (uint64_t i = 0; i < world.log_len; i++) {
        free(world.log[i]);
    }
    free(world.log);
    mvcc_destroy(world.mvcc);
    pthread_mutex_destroy(&world.mutex);
}
