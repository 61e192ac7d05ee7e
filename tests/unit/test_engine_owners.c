/* The owner index against a naive one: every holder that a snapshot may see is found, and nothing else stays. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "engine/owner_tree.h"
#include "engine/owners.h"

static struct rng rng;
static uint64_t seed;

static unsigned scale(unsigned n)
{
    return getenv("SVM_SHORT") ? n / 10 : n;
}

static void seed_rng(void)
{
    const char *given = getenv("SVM_SEED");
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    rng_init(&rng, seed);
}

/* ck_assert writes a file each time: not in the inner loops. */
static void must(bool ok, const char *what)
{
    if (!ok)
        ck_abort_msg("seed %llu: %s", (unsigned long long)seed, what);
}

/* ---- the tree ------------------------------------------------------------------------------------------------- */

enum { TREE_IDS = 6000 };

/* Shapes that a tree by prefixes may fear: spread, in a row, alike in their first 24 bytes. */
static void make_ids(struct svm_id *ids, unsigned shape)
{
    memset(ids, 0, TREE_IDS * sizeof *ids);
    for (uint32_t i = 0; i < TREE_IDS; i++) {
        if (shape == 0)
            for (size_t k = 0; k < sizeof ids[i].b; k++)
                ids[i].b[k] = (uint8_t)rng_next(&rng);
        const size_t at = shape == 1 ? 0 : 24;
        if (shape > 0)
            for (size_t k = 0; k < 4; k++)
                ids[i].b[at + k] = (uint8_t)(i >> (24 - 8 * k));
    }
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct svm_id));
}

static size_t naive_list(const struct svm_id *ids, const bool *in, const struct svm_id *after,
                         struct svm_id *out, size_t limit)
{
    size_t n = 0;
    for (uint32_t i = 0; i < TREE_IDS; i++)
        if (in[i] && (!after || memcmp(ids[i].b, after->b, sizeof after->b) > 0))
            out[n++] = ids[i];
    qsort(out, n, sizeof *out, by_id);
    return n < limit ? n : limit;
}

static void check_lists(const struct owner_tree *tree, const struct svm_id *ids, const bool *in)
{
    static struct svm_id expected[TREE_IDS], found[TREE_IDS];
    const size_t limits[] = {1, 7, 256, TREE_IDS};
    for (size_t k = 0; k < 4; k++) {
        const struct svm_id *after = k % 2 ? &ids[rng_below(&rng, TREE_IDS)] : NULL;
        size_t want = naive_list(ids, in, after, expected, limits[k]);
        size_t got = owner_tree_list(tree, after, found, limits[k]);
        ck_assert_uint_eq(got, want);
        ck_assert(memcmp(found, expected, want * sizeof *found) == 0);
    }
}

START_TEST(a_tree_is_an_ordered_set)
{
    static struct svm_id ids[TREE_IDS];
    static bool in[TREE_IDS];
    struct owner_tree tree = {0};
    struct owner_pool pool = {0};
    make_ids(ids, (unsigned)_i);
    memset(in, 0, sizeof in);
    /* fills to different depths, and empties again */
    static const unsigned grow_percent[] = {95, 3, 60, 30, 97, 0, 90, 1, 50};
    for (unsigned phase = 0; phase < 9; phase++) {
        for (unsigned k = 0; k < scale(20000); k++) {
            /* anywhere, or in a place that moves on: whole leaves and branches go empty */
            uint32_t i = (uint32_t)rng_below(&rng, phase % 2 ? 40 : TREE_IDS);
            if (phase % 2)
                i = (i + k / 4 + phase * 1000) % TREE_IDS;
            struct owner_entry *entry = owner_tree_find(&tree, &ids[i]);
            must((entry != NULL) == in[i], "found what is there");
            if (entry) {
                must(entry->word == i, "the word");
                must(memcmp(entry->id.b, ids[i].b, sizeof ids[i].b) == 0, "the id");
            }
            bool grow = rng_below(&rng, 100) < grow_percent[phase];
            if (grow && !in[i]) {
                must(owner_tree_put(&tree, &pool, &ids[i], i), "room");
                in[i] = true;
            } else if (!grow && in[i]) {
                owner_tree_del(&tree, &pool, &ids[i]);
                in[i] = false;
            }
        }
        check_lists(&tree, ids, in);
    }
    for (uint32_t i = 0; i < TREE_IDS; i++)
        if (in[i])
            owner_tree_del(&tree, &pool, &ids[i]);
    ck_assert(tree.root == NULL);
    ck_assert_uint_eq(tree.height, 0);
    owner_pool_clear(&pool);
    ck_assert_uint_eq(pool.bytes, 0);
}
END_TEST

/* Whatever is taken away, the tree does not stay much larger than what is in it. */
START_TEST(a_tree_shrinks_with_its_contents)
{
    static struct svm_id ids[TREE_IDS];
    struct owner_tree tree = {0};
    struct owner_pool pool = {0};
    make_ids(ids, 0);
    for (uint32_t i = 0; i < TREE_IDS; i++)
        ck_assert(owner_tree_put(&tree, &pool, &ids[i], 0));
    ck_assert_uint_lt(pool.bytes, TREE_IDS * 90);
    for (uint32_t i = 0; i < TREE_IDS; i++)
        if (i % 20)
            owner_tree_del(&tree, &pool, &ids[i]);
    owner_pool_clear(&pool);
    ck_assert_uint_lt(pool.bytes, TREE_IDS / 20 * 250);
    owner_tree_clear(&tree, &pool);
    owner_pool_clear(&pool);
    ck_assert_uint_eq(pool.bytes, 0);
}
END_TEST

/* ---- the index ------------------------------------------------------------------------------------------------ */

enum { OWNERS = 5, IDS = 60, PINS = 6, HISTORY = 1 << 16, LIST = 256 };

/* A world of objects that change hands, and every position of it. */
struct world {
    struct mvcc *mvcc;
    struct mvcc_thread *thread;
    struct owners *owners;
    struct owner_log *log;
    bool memory;
    struct svm_address addresses[OWNERS];
    struct svm_id ids[IDS];
    int8_t holder[HISTORY][IDS]; /* at each position; -1: nobody */
    uint64_t written[IDS];       /* position of the newest version */
    uint64_t seq, materialised;
    struct mvcc_pin pins[PINS];
    bool pinned[PINS];
};

static struct world world;

static void world_init(struct world *w, bool memory)
{
    memset(w, 0, sizeof *w);
    const struct mvcc_config config = {.records_kept = true,
                                       .inflight_max = 16,
                                       .pins_max = PINS,
                                       .threads_max = 2,
                                       .first_seq = 1};
    w->mvcc = mvcc_create(&config);
    w->thread = mvcc_thread_create(w->mvcc);
    w->owners = owners_create(w->mvcc, memory, 1);
    w->log = owner_log_create(w->owners);
    w->memory = memory;
    mvcc_online(w->thread);
    for (unsigned i = 0; i < OWNERS; i++)
        rng_os(&w->addresses[i], sizeof w->addresses[i]);
    for (unsigned i = 0; i < IDS; i++)
        rng_os(&w->ids[i], sizeof w->ids[i]);
    memset(w->holder[0], -1, sizeof w->holder[0]);
    for (unsigned i = 0; i < IDS / 2; i++) { /* a genesis; with a disk, `state` has it */
        w->holder[0][i] = (int8_t)(i % OWNERS);
        if (memory)
            ck_assert(owners_put(w->owners, &w->addresses[i % OWNERS], &w->ids[i]));
    }
}

static void world_deinit(struct world *w)
{
    mvcc_offline(w->thread);
    owners_destroy(w->owners);
    mvcc_thread_destroy(w->thread);
    mvcc_destroy(w->mvcc);
}

/* One transaction: COUNT objects get a new version, most of them a new holder too; or it is given up before it has a position. */
static void transact(struct world *w, unsigned count, bool give_up)
{
    struct owner_touch touches[2 * IDS];
    int8_t now[IDS];
    size_t n = 0;
    memcpy(now, w->holder[w->seq], sizeof now);
    for (unsigned k = 0; k < count; k++) {
        unsigned id = (unsigned)(rng_below(&rng, IDS / count) + k * (IDS / count));
        int8_t was = now[id], is = (int8_t)((int)rng_below(&rng, OWNERS + 2) - 1);
        const uint64_t from = w->written[id] + (w->seq > 0);
        if (is == OWNERS)
            is = was; /* written, not given away */
        now[id] = is;
        if (!give_up)
            w->written[id] = w->seq + 1;
        if (was == is)
            continue;
        if (was >= 0)
            touches[n++] =
                (struct owner_touch){.owner = &w->addresses[was], .id = &w->ids[id], .from = from};
        if (is >= 0)
            touches[n++] = (struct owner_touch){
                .owner = &w->addresses[is], .id = &w->ids[id], .from = from, .gains = true};
    }
    for (size_t i = 0; i < n; i++)
        must(owners_touch(w->log, &touches[i]), "room");
    if (give_up) {
        if (rng_below(&rng, 2)) { /* G comes by meanwhile */
            mvcc_floor_advance(w->mvcc, w->thread, 0);
            owners_sweep(w->owners, w->materialised);
        }
        for (size_t i = 0; i < n; i++)
            owners_undo(w->log, &touches[i]);
        return;
    }
    uint64_t seq = mvcc_seq_next(w->mvcc);
    for (size_t i = 0; i < n; i++)
        owners_settle(w->log, &touches[i], seq);
    mvcc_seq_hand_over(w->mvcc, seq, NULL);
    mvcc_seq_take(w->mvcc, seq);
    w->seq = seq;
    memcpy(w->holder[seq], now, sizeof now);
}

/* What a snapshot at SEQ sees in OWNER's hands is in the index, or in `state` as it is now. */
static void check_seen(struct world *w, uint64_t seq, unsigned owner)
{
    struct svm_id found[LIST];
    size_t n = owners_list(w->owners, &w->addresses[owner], NULL, found, LIST);
    for (size_t i = 1; i < n; i++)
        must(memcmp(found[i - 1].b, found[i].b, sizeof found[i].b) < 0, "ascending");
    for (unsigned id = 0; id < IDS; id++) {
        if (w->holder[seq][id] != (int8_t)owner ||
            (!w->memory && w->holder[w->materialised][id] == (int8_t)owner))
            continue;
        bool in = bsearch(&w->ids[id], found, n, sizeof *found, by_id) != NULL;
        must(in, "every holder is seen");
    }
}

static void check_all(struct world *w)
{
    for (unsigned owner = 0; owner < OWNERS; owner++) {
        check_seen(w, w->seq, owner);
        for (unsigned i = 0; i < PINS; i++)
            if (w->pinned[i])
                check_seen(w, w->pins[i].seq, owner);
    }
}

static void turn_pin(struct world *w)
{
    unsigned i = (unsigned)rng_below(&rng, PINS);
    if (w->pinned[i])
        mvcc_unpin(w->mvcc, &w->pins[i]);
    else
        must(mvcc_pin(w->mvcc, 0, &w->pins[i]), "a pin");
    w->pinned[i] = !w->pinned[i];
}

/* Everything is applied, materialised and unpinned, and the changes have been worked off. */
static void settle_down(struct world *w)
{
    for (unsigned i = 0; i < PINS; i++)
        if (w->pinned[i]) {
            mvcc_unpin(w->mvcc, &w->pins[i]);
            w->pinned[i] = false;
        }
    w->materialised = w->seq;
    for (unsigned i = 0; i < 40; i++) {
        mvcc_floor_advance(w->mvcc, w->thread, 0);
        owner_log_step(w->log, w->materialised);
        owners_sweep(w->owners, w->materialised);
        mvcc_quiesce(w->thread);
    }
}

static uint64_t held(const struct world *w)
{
    uint64_t n = 0;
    for (unsigned id = 0; id < IDS; id++)
        n += w->holder[w->seq][id] >= 0;
    return n;
}

START_TEST(nothing_is_missed_and_nothing_stays)
{
    struct world *w = &world;
    struct owners_counts counts;
    const bool memory = _i == 0;
    world_init(w, memory);
    const unsigned rounds = scale(30000);
    for (unsigned round = 0; round < rounds && w->seq + 1 < HISTORY; round++) {
        unsigned what = (unsigned)rng_below(&rng, 100);
        if (what < 70)
            transact(w, what < 5 ? 20 : 1 + what % 3, what % 6 == 0);
        else if (what < 80)
            turn_pin(w);
        else if (what < 88)
            mvcc_floor_advance(w->mvcc, w->thread, 0);
        else if (what < 92)
            w->materialised += rng_below(&rng, w->seq - w->materialised + 1);
        else if (what < 97)
            owner_log_step(w->log, w->materialised);
        else
            owners_sweep(w->owners, w->materialised);
        check_all(w);
        mvcc_quiesce(w->thread);
        if (round % 5000 == 4999 || round + 1 == rounds) {
            settle_down(w);
            check_all(w);
            owners_counts(w->owners, &counts);
            must(counts.entries == (memory ? held(w) : 0), "nothing stays");
            ck_assert(counts.owners <= OWNERS);
        }
    }
    world_deinit(w);
}
END_TEST

/* A reader that stays keeps back what it can see, not what came and went behind it. */
START_TEST(a_long_reader_keeps_back_what_it_sees)
{
    struct world *w = &world;
    struct owners_counts counts;
    world_init(w, true);
    ck_assert(mvcc_pin(w->mvcc, 0, &w->pins[0]));
    w->pinned[0] = true;
    for (unsigned round = 0; round < 20000; round++) {
        transact(w, 1, false);
        if (round % 16 == 0) {
            mvcc_floor_advance(w->mvcc, w->thread, 0);
            owner_log_step(w->log, 0);
        }
        if (round % 64 == 0)
            owners_sweep(w->owners, 0);
        mvcc_quiesce(w->thread);
    }
    check_all(w);
    owners_counts(w->owners, &counts);
    /* every pair of owner and object that the reader sees or that is there now, and what is under way */
    ck_assert_uint_le(counts.entries, OWNERS * IDS);
    ck_assert_uint_le(counts.bytes, (uint64_t)1 << 20);
    settle_down(w);
    owners_counts(w->owners, &counts);
    ck_assert_uint_eq(counts.entries, held(w));
    world_deinit(w);
}
END_TEST

/* Many owners with an object each, and one with many: they come and go without a trace. */
START_TEST(owners_come_and_go)
{
    enum { MANY = 20000 };
    struct world *w = &world;
    struct owners_counts counts;
    static struct svm_address addresses[MANY];
    static struct svm_id ids[MANY];
    world_init(w, true);
    owners_counts(w->owners, &counts);
    const uint64_t entries = counts.entries, owners = counts.owners;
    for (unsigned i = 0; i < MANY; i++) {
        for (size_t k = 0; k < 32; k += 8) {
            uint64_t a = rng_next(&rng), b = rng_next(&rng);
            memcpy(addresses[i].b + k, &a, 8);
            memcpy(ids[i].b + k, &b, 8);
        }
        must(owners_put(w->owners, &addresses[i], &ids[i]), "room");
        must(owners_put(w->owners, &addresses[0], &ids[i]), "room");
    }
    owners_counts(w->owners, &counts);
    ck_assert_uint_eq(counts.owners, owners + MANY);
    ck_assert_uint_eq(counts.entries, entries + 2 * MANY - 1);
    ck_assert_uint_le(counts.bytes, (uint64_t)MANY * 260 + ((uint64_t)1 << 20));
    struct svm_id page[LIST], last, *after = NULL;
    size_t n, seen = 0;
    while ((n = owners_list(w->owners, &addresses[0], after, page, LIST)) > 0) {
        seen += n;
        last = page[n - 1];
        after = &last;
    }
    ck_assert_uint_eq(seen, MANY);
    transact(w, 1, false);
    for (unsigned i = 0; i < MANY; i++)
        for (unsigned k = 0; k < 2; k++) {
            if (i == 0 && k == 1)
                continue;
            struct owner_touch touch = {.owner = &addresses[k ? 0 : i], .id = &ids[i]};
            must(owners_touch(w->log, &touch), "room");
            owners_settle(w->log, &touch, w->seq);
        }
    for (unsigned i = 0; i < MANY / 100; i++)
        settle_down(w);
    owners_counts(w->owners, &counts);
    ck_assert_uint_le(counts.owners, OWNERS);
    ck_assert_uint_eq(counts.entries, held(w));
    world_deinit(w);
}
END_TEST

int main(void)
{
    seed_rng();
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("owners");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, a_tree_is_an_ordered_set, 0, 3);
    tcase_add_test(tc, a_tree_shrinks_with_its_contents);
    tcase_add_loop_test(tc, nothing_is_missed_and_nothing_stays, 0, 2);
    tcase_add_test(tc, a_long_reader_keeps_back_what_it_sees);
    tcase_add_test(tc, owners_come_and_go);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
