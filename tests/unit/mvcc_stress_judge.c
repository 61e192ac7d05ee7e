#include "mvcc_stress_world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint32_t index_of(const struct mvcc_head *head)
{
    return (uint32_t)head->key[0] << 8 | head->key[1];
}

static int by_seq(const void *a, const void *b)
{
    const struct observation *x = *(const struct observation *const *)a;
    const struct observation *y = *(const struct observation *const *)b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void stress_judge_snapshots(struct world *w, const struct actor *readers, uint32_t count)
{
    static const struct observation *all[OBSERVED_MAX * THREADS];
    size_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < readers[i].observed_count; j++) {
            all[n++] = &readers[i].observed[j];
        }
    }
    qsort(all, n, sizeof all[0], by_seq);
    static uint64_t versions[KEYS];
    for (uint32_t key = 0; key < KEYS; key++) {
        versions[key] = key < w->config->base_keys;
    }
    uint64_t seq = 0;
    for (size_t i = 0; i < n; i++) {
        for (; seq < all[i]->seq; seq++) {
            const struct record *r = w->log[seq];
            for (uint32_t j = 0; j < r->count && r->published; j++) {
                if (r->accesses[j].write) {
                    versions[r->accesses[j].key] = r->accesses[j].next.version;
                }
            }
        }
        if (memcmp(versions, all[i]->versions, sizeof versions) != 0) {
            stress_violation(w, "snapshot at %" PRIu64 " is not the state then", all[i]->seq);
        }
    }
}

struct recount {
    struct world *world;
    struct mvcc_counts counts;
};

static bool recount_visit(void *arg, struct mvcc_head *head)
{
    struct recount *c = arg;
    struct world *w = c->world;
    uint32_t key = index_of(head);
    struct row row = stress_row_of(mvcc_newest(head));
    if (row.version != w->replay[key].version || row.balance != w->replay[key].balance) {
        stress_violation(w, "key %u ends at version %" PRIu64 ", not %" PRIu64, key, row.version,
                         w->replay[key].version);
    }
    if (atomic_load(&head->holds) != 0 || mvcc_state_claimed(mvcc_state(head)) ||
        mvcc_state_maintained(mvcc_state(head))) {
        stress_violation(w, "key %u ends held or claimed", key);
    }
    c->counts.heads++;
    uint64_t chain = 0;
    uint64_t above = UINT64_MAX;
    for (const struct mvcc_version *v = mvcc_newest(head); v != NULL; v = mvcc_older(v)) {
        if (v->begin_seq >= above) {
            stress_violation(w, "the chain of key %u is out of order", key);
        }
        above = v->begin_seq;
        chain++;
    }
    c->counts.versions += chain;
    c->counts.garbage += chain > 0 ? chain - 1 : 0;
    return true;
}

void stress_judge_table(struct world *w)
{
    struct recount recount = {.world = w};
    mvcc_visit(w->table, recount_visit, &recount);
    struct mvcc_counts counts;
    mvcc_counts(w->table, &counts);
    if (counts.heads != recount.counts.heads || counts.versions != recount.counts.versions ||
        counts.garbage != recount.counts.garbage) {
        stress_violation(w,
                         "counted %" PRIu64 " %" PRIu64 " %" PRIu64 ", there are %" PRIu64
                         " %" PRIu64 " %" PRIu64,
                         counts.heads, counts.versions, counts.garbage, recount.counts.heads,
                         recount.counts.versions, recount.counts.garbage);
    }
    w->result->loads = counts.loads;
    w->result->evicted = counts.evicted;
    w->result->trimmed = counts.trimmed;
    if (mvcc_pins_open(w->mvcc) != 0) {
        stress_violation(w, "%u pins left open", mvcc_pins_open(w->mvcc));
    }
}

/* Everything goes when the cache may hold nothing and all is materialised. */
void stress_judge_eviction(struct world *w, struct actor *a)
{
    struct mvcc_counts counts;
    mvcc_online(a->mt);
    for (int round = 0; round < 3; round++) {
        struct mvcc_collected collected = {0};
        (void)mvcc_floor_advance(w->mvcc, a->mt, 0);
        while (mvcc_collect(w->table, a->mt, w->log_len + 1, 0, 100, &collected)) {
            mvcc_quiesce(a->mt);
        }
        mvcc_quiesce(a->mt);
    }
    mvcc_offline(a->mt);
    mvcc_counts(w->table, &counts);
    if (counts.heads != 0 || counts.versions != 0 || counts.bytes != 0 || counts.garbage != 0) {
        stress_violation(w, "%" PRIu64 " heads, %" PRIu64 " versions, %" PRIu64 " bytes are left",
                         counts.heads, counts.versions, counts.bytes);
    }
}
