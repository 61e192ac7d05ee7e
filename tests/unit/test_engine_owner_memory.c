/* The owner index without memory: what cannot be entered changes nothing, what is taken out goes all the same, and nothing is lost. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "engine/owner_tree.h"
#include "engine/owners.h"
#include "failing_memory.h"

static struct rng rng;
static uint64_t seed;

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

enum { IDS = 5000 };
static struct svm_id ids[IDS];
static bool in[IDS];
static struct svm_id listed[IDS + 1];

static void check_tree(const struct owner_tree *tree)
{
    size_t count = 0;
    for (unsigned i = 0; i < IDS; i++) {
        struct owner_entry *entry = owner_tree_find(tree, &ids[i]);
        must((entry != NULL) == in[i], "what is in is found");
        must(!entry || entry->word == i, "with its word");
        count += in[i];
    }
    must(owner_tree_list(tree, NULL, listed, IDS + 1) == count, "all are listed");
    for (size_t i = 1; i < count; i++)
        must(memcmp(listed[i - 1].b, listed[i].b, sizeof listed[i].b) < 0, "in order");
}

/* put: with the Nth call for memory failing. Returns how many had failed before it went in. */
static unsigned put(struct owner_tree *tree, struct owner_pool *pool, unsigned i, bool for_good)
{
    unsigned failures = 0;
    for (unsigned n = 1;; n++) {
        const uint64_t bytes = pool->bytes;
        memory_fail(MEMORY_OF_ME, n, for_good);
        bool ok = owner_tree_put(tree, pool, &ids[i], i);
        unsigned failed = memory_back();
        must(ok == (failed == 0), "it goes in when there is memory");
        if (ok)
            break;
        failures++;
        must(owner_tree_find(tree, &ids[i]) == NULL, "nothing has changed");
        /* what was had for nothing is kept for the next, or given back */
        must(pool->bytes <= bytes + 2000, "nothing is lost");
    }
    in[i] = true;
    return failures;
}

START_TEST(a_tree_without_memory_stays_as_it_was)
{
    struct owner_tree tree = {0};
    struct owner_pool pool = {0};
    unsigned failures = 0, refused = 0;
    for (unsigned i = 0; i < IDS; i++) {
        memset(&ids[i], 0, sizeof ids[i]);
        uint64_t word = _i ? i : rng_next(&rng);
        for (unsigned k = 0; k < 8; k++)
            ids[i].b[_i ? 24 + k : k] = (uint8_t)(word >> (56 - 8 * k));
        in[i] = false;
    }
    for (unsigned i = 0; i < IDS; i++) {
        failures += put(&tree, &pool, i, i % 2);
        if (i % 1000 == 0)
            check_tree(&tree);
    }
    check_tree(&tree);
    must(failures > IDS / 22, "each leaf was asked for in vain");
    memory_fail(MEMORY_OF_ME, 1, true);
    for (unsigned i = 0; i < IDS; i++) /* taking out needs no memory */
        if (_i ? i / 300 % 2 : i % 7 != 0) {
            owner_tree_del(&tree, &pool, &ids[i]);
            in[i] = false;
        }
    refused = memory_back();
    check_tree(&tree);
    for (unsigned i = 0; i < IDS; i++)
        if (!in[i])
            (void)put(&tree, &pool, i, false);
    check_tree(&tree);
    owner_tree_clear(&tree, &pool);
    owner_tree_clear(&tree, &pool); /* an empty one */
    owner_pool_clear(&pool);
    ck_assert_uint_eq(pool.bytes, 0);
    ck_assert_uint_gt(refused + failures, 0);
}
END_TEST

/* ---- the index ------------------------------------------------------------------------------------------------ */

struct world {
    struct mvcc *mvcc;
    struct mvcc_thread *thread;
    struct owners *owners;
    struct owner_log *log;
};

static void world_init(struct world *w, bool memory_mode)
{
    const struct mvcc_config config = {
        .records_kept = true, .inflight_max = 16, .pins_max = 4, .threads_max = 2, .first_seq = 1};
    w->mvcc = mvcc_create(&config);
    w->thread = mvcc_thread_create(w->mvcc);
    w->owners = owners_create(w->mvcc, memory_mode, 1);
    w->log = owner_log_create(w->owners);
    mvcc_online(w->thread);
}

static void world_deinit(struct world *w)
{
    mvcc_offline(w->thread);
    owners_destroy(w->owners);
    mvcc_thread_destroy(w->thread);
    mvcc_destroy(w->mvcc);
}

static uint64_t settle(struct world *w, const struct owner_touch *touch)
{
    uint64_t seq = mvcc_seq_next(w->mvcc);
    owners_settle(w->log, touch, seq);
    mvcc_seq_hand_over(w->mvcc, seq, NULL);
    (void)mvcc_seq_take(w->mvcc, seq);
    return seq;
}

static void random_bytes(uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)rng_next(&rng);
}

START_TEST(an_index_is_there_or_not)
{
    struct world w;
    unsigned n = 0, failed;
    world_init(&w, true);
    do {
        memory_fail(MEMORY_OF_ME, ++n, false);
        struct owners *owners = owners_create(w.mvcc, true, 2);
        failed = memory_back();
        must((owners == NULL) == (failed > 0), "an index is there or not");
        owners_destroy(owners);
    } while (failed > 0);
    struct owners *owners = owners_create(w.mvcc, false, 2);
    n = 0;
    do {
        memory_fail(MEMORY_OF_ME, ++n, false);
        struct owner_log *log = owner_log_create(owners);
        failed = memory_back();
        must((log == NULL) == (failed > 0), "a log is there or not");
    } while (failed > 0);
    ck_assert_uint_eq(n, 3);
    owners_destroy(owners);
    world_deinit(&w);
}
END_TEST

/* Each hand that changes asks in vain first: for the owner, for the room of it, for the log. */
START_TEST(a_hand_changes_or_not)
{
    enum { OWNERS = 9000, EACH = 3 };
    struct world w;
    struct owners_counts before, after;
    struct svm_address address;
    struct svm_id id, found[EACH + 1];
    unsigned failures = 0;
    world_init(&w, _i == 0);
    for (unsigned i = 0; i < OWNERS; i++) {
        random_bytes(address.b, sizeof address.b);
        for (unsigned k = 0; k < EACH; k++) {
            random_bytes(id.b, sizeof id.b);
            for (unsigned n = 1;; n++) {
                struct owner_touch touch = {.owner = &address, .id = &id, .gains = true};
                if (i % 512 == 0)
                    owners_counts(w.owners, &before);
                memory_fail(MEMORY_OF_ME, n, false);
                bool ok = owners_touch(w.log, &touch);
                must(ok == (memory_back() == 0), "it changes when there is memory");
                if (ok) {
                    (void)settle(&w, &touch);
                    break;
                }
                failures++;
                must(owners_list(w.owners, &address, NULL, found, EACH + 1) == k, "or it does not");
                if (i % 512 == 0) {
                    owners_counts(w.owners, &after);
                    must(after.owners == before.owners && after.entries == before.entries,
                         "nothing has changed");
                }
            }
        }
        must(owners_list(w.owners, &address, NULL, found, EACH + 1) == EACH, "all are there");
        mvcc_quiesce(w.thread);
    }
    owners_counts(w.owners, &after);
    ck_assert_uint_eq(after.owners, OWNERS);
    ck_assert_uint_eq(after.entries, (uint64_t)OWNERS * EACH);
    ck_assert_uint_gt(failures, 2 * OWNERS);
    world_deinit(&w);
}
END_TEST

/* A large transaction that is given up: what was promised for it is given back, and what it had touched is as before. */
START_TEST(what_is_given_up_is_as_before)
{
    enum { MANY = 900 };
    static struct svm_id many[MANY];
    static struct owner_touch touches[2 * MANY];
    struct world w;
    struct owners_counts before, after;
    struct svm_address from, to;
    struct svm_id found[4];
    world_init(&w, _i == 0);
    random_bytes(from.b, sizeof from.b);
    random_bytes(to.b, sizeof to.b);
    for (unsigned i = 0; i < MANY; i++) {
        random_bytes(many[i].b, sizeof many[i].b);
        if (_i == 0)
            must(owners_put(w.owners, &from, &many[i]), "room");
    }
    owners_counts(w.owners, &before);
    for (unsigned i = 0; i < MANY; i++) {
        touches[2 * i] = (struct owner_touch){.owner = &from, .id = &many[i], .from = 1};
        touches[2 * i + 1] =
            (struct owner_touch){.owner = &to, .id = &many[i], .from = 1, .gains = true};
    }
    for (unsigned i = 0; i < 2 * MANY; i++)
        must(owners_touch(w.log, &touches[i]), "room");
    for (unsigned i = 2 * MANY; i-- > 0;)
        owners_undo(w.log, &touches[i]);
    ck_assert_uint_eq(owners_list(w.owners, &to, NULL, found, 4), 0);
    ck_assert_uint_eq(owners_list(w.owners, &from, NULL, found, 4), _i == 0 ? 4 : 0);
    owners_counts(w.owners, &after);
    ck_assert_uint_eq(after.entries, before.entries);
    ck_assert_uint_eq(after.owners, before.owners);
    uint64_t promised = after.bytes;
    owner_log_step(w.log, 0); /* spares that nobody needs go */
    ck_assert_uint_lt(owners_bytes(w.owners), promised);
    world_deinit(&w);
}
END_TEST

/* The open chunk of the log cannot be closed for want of another: what is in it waits, and goes when there is memory. */
START_TEST(changes_wait_for_memory)
{
    struct world w;
    struct owners_counts counts;
    struct svm_address address;
    struct svm_id id;
    world_init(&w, false);
    random_bytes(address.b, sizeof address.b);
    random_bytes(id.b, sizeof id.b);
    struct owner_touch touch = {.owner = &address, .id = &id, .gains = true};
    must(owners_touch(w.log, &touch), "room");
    uint64_t seq = settle(&w, &touch);
    memory_fail(MEMORY_OF_ME, 1, true);
    (void)mvcc_floor_advance(w.mvcc, w.thread, 0);
    memory_back();
    (void)mvcc_floor_advance(w.mvcc, w.thread, 0);
    memory_fail(MEMORY_OF_ME, 1, true);
    for (unsigned i = 0; i < 5000; i++)
        owner_log_step(w.log, seq);
    ck_assert_uint_gt(memory_back(), 0);
    owners_counts(w.owners, &counts);
    ck_assert_uint_eq(counts.entries, 1);
    for (unsigned i = 0; i < 5000; i++)
        owner_log_step(w.log, seq);
    owners_counts(w.owners, &counts);
    ck_assert_uint_eq(counts.entries, 0);
    world_deinit(&w);
}
END_TEST

int main(void)
{
    seed_rng();
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("owner memory");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, a_tree_without_memory_stays_as_it_was, 0, 2);
    tcase_add_test(tc, an_index_is_there_or_not);
    tcase_add_loop_test(tc, a_hand_changes_or_not, 0, 2);
    tcase_add_loop_test(tc, what_is_given_up_is_as_before, 0, 2);
    tcase_add_test(tc, changes_wait_for_memory);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
