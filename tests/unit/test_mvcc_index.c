/* mvcc: finding, inserting and evicting heads; keys of every length; what an object costs. */
#include <check.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "mvcc/internal.h"
#include "mvcc_bed.h"

enum { OBJECTS = 60000 };

static uint64_t seed;
static struct mvcc_bed bed;

static void setup(void)
{
    mvcc_bed_init(&bed);
}

static void teardown(void)
{
    mvcc_bed_deinit(&bed);
}

static struct mvcc_head *find(uint64_t n)
{
    uint8_t key[32];
    mvcc_bed_key(key, n);
    mvcc_prefetch(bed.objects, mvcc_hash_key(bed.objects, key, 32));
    mvcc_prefetch_head(bed.objects, mvcc_hash_key(bed.objects, key, 32));
    return mvcc_find(bed.objects, key, 32);
}

static uint64_t collect(uint64_t materialised, uint64_t cache_bytes, int rounds)
{
    struct mvcc_collected collected = {0};
    for (int i = 0; i < rounds; i++) {
        (void)mvcc_floor_advance(bed.mvcc, bed.thread, 0);
        while (mvcc_collect(bed.objects, bed.thread, materialised, cache_bytes, 500, &collected)) {
            mvcc_quiesce(bed.thread);
        }
        mvcc_quiesce(bed.thread);
    }
    return collected.evicted;
}

static bool count_visit(void *arg, struct mvcc_head *head)
{
    (void)head;
    ++*(uint64_t *)arg;
    return true;
}

static bool stop_visit(void *arg, struct mvcc_head *head)
{
    (void)head;
    return ++*(uint64_t *)arg < 10;
}

/* What the index promises its readers and itself: each head is found from its place on without passing a line that has an empty slot, and the
 * counts are right. */
static void check_index(const struct mvcc_table *table)
{
    uint32_t wrong = 0;
    for (uint32_t s = 0; s < MVCC_SHARDS; s++) {
        const struct mvcc_shard *shard = &table->shards[s];
        const struct mvcc_array *array = mvcc_shard_array(shard);
        uint32_t live = 0, used = 0;
        for (uint32_t at = 0; at < array->lines * MVCC_LINE_SLOTS; at++) {
            const uint64_t slot = atomic_load(&array->slots[at]);
            used += slot != MVCC_SLOT_EMPTY;
            if (slot <= MVCC_SLOT_REMOVED)
                continue;
            live++;
            uint32_t line = mvcc_line(array->lines, mvcc_slot_head(slot)->hash);
            for (; line != at / MVCC_LINE_SLOTS; line = mvcc_line_next(array->lines, line))
                for (uint32_t i = 0; i < MVCC_LINE_SLOTS; i++)
                    wrong +=
                        atomic_load(&array->slots[line * MVCC_LINE_SLOTS + i]) == MVCC_SLOT_EMPTY;
        }
        wrong += live != shard->live || used != shard->used || used > mvcc_array_room(array->lines);
    }
    ck_assert_uint_eq(wrong, 0);
}

START_TEST(what_was_inserted_is_found)
{
    for (uint64_t n = 0; n < OBJECTS; n++) {
        ck_assert_ptr_null(find(n));
        struct mvcc_head *head = mvcc_bed_hold(&bed, n, 1, 0);
        ck_assert_ptr_eq(find(n), head);
        mvcc_unhold(head);
    }
    for (uint64_t n = 0; n < OBJECTS; n++) {
        struct mvcc_head *head = find(n);
        ck_assert_ptr_nonnull(head);
        uint64_t payload;
        memcpy(&payload, mvcc_newest(head)->payload, sizeof payload);
        ck_assert_uint_eq(payload, n);
    }
    ck_assert_ptr_null(find(OBJECTS));
    check_index(bed.objects);
    uint64_t visited = 0;
    mvcc_visit(bed.objects, count_visit, &visited);
    ck_assert_uint_eq(visited, OBJECTS);
    visited = 0;
    mvcc_visit(bed.objects, stop_visit, &visited);
    ck_assert_uint_eq(visited, 10);
    struct mvcc_counts counts;
    mvcc_counts(bed.objects, &counts);
    ck_assert_uint_eq(counts.heads, OBJECTS);
    ck_assert_uint_eq(counts.versions, OBJECTS);
    ck_assert_uint_eq(counts.loads, OBJECTS);
    mvcc_counts(bed.cells, &counts);
    ck_assert_uint_eq(counts.heads, 0);
}
END_TEST

/* Insertions and evictions for a long time: removed slots are found and reused, tables shrink and grow. */
START_TEST(the_index_survives_coming_and_going)
{
    struct rng rng;
    rng_init(&rng, seed);
    uint64_t resident = 0;
    for (int round = 0; round < 60; round++) {
        uint64_t base = rng_below(&rng, 1000000);
        uint64_t count = rng_below(&rng, 4000);
        for (uint64_t i = 0; i < count; i++) {
            mvcc_unhold(mvcc_bed_hold(&bed, base + i, 1 + (base + i) % 2, 0));
        }
        for (uint64_t i = 0; i < count; i++) {
            ck_assert_ptr_nonnull(find(base + i));
        }
        uint64_t keep = rng_below(&rng, 300000);
        (void)collect(1, keep, 3);
        struct mvcc_counts counts;
        mvcc_counts(bed.objects, &counts);
        resident = 0;
        mvcc_visit(bed.objects, count_visit, &resident);
        ck_assert_uint_eq(counts.heads, resident);
        ck_assert_uint_le(counts.bytes, keep);
        check_index(bed.objects);
        for (uint64_t i = 0; i < count; i++) { /* one or the other, and it can come back */
            struct mvcc_head *head = mvcc_bed_hold(&bed, base + i, 1 + (base + i) % 2, 0);
            ck_assert_uint_eq(mvcc_bed_number(mvcc_newest(head)), 1 + (base + i) % 2);
            mvcc_unhold(head);
        }
    }
    (void)collect(1, 0, 3);
    struct mvcc_counts counts;
    mvcc_counts(bed.objects, &counts);
    ck_assert_uint_eq(counts.heads, 0);
    ck_assert_uint_eq(counts.bytes, 0);
}
END_TEST

START_TEST(only_what_is_on_the_disk_and_unused_is_evicted)
{
    struct mvcc_head *held = mvcc_bed_hold(&bed, 1, 1, 0);
    struct mvcc_head *chain = mvcc_bed_hold(&bed, 2, 1, 0);
    struct mvcc_head *dirty = mvcc_bed_hold(&bed, 3, 0, 0);
    struct mvcc_head *clean = mvcc_bed_hold(&bed, 4, 1, 0);
    struct mvcc_head *absent = mvcc_bed_hold(&bed, 5, 0, 0);
    struct mvcc_head *claimed = mvcc_bed_hold(&bed, 6, 1, 0);
    uint8_t key[32];
    struct mvcc_head *loading;
    mvcc_bed_key(key, 7);
    ck_assert_int_eq(mvcc_hold(bed.objects, bed.thread, key, 32, &loading), MVCC_HELD_LOAD);
    (void)mvcc_bed_write(&bed, clean, 2);
    uint64_t seq = mvcc_bed_write(&bed, dirty, 1);
    struct mvcc_pin pin;
    ck_assert(mvcc_pin(bed.mvcc, 1, &pin)); /* at seq: holds the chain's old version below */
    (void)mvcc_bed_write(&bed, chain, 2);
    uint64_t state;
    ck_assert(mvcc_try_claim(claimed, &state));
    mvcc_unhold(chain);
    mvcc_unhold(dirty);
    mvcc_unhold(clean);
    mvcc_unhold(absent);
    mvcc_unhold(claimed);

    ck_assert_uint_eq(collect(seq, UINT64_MAX, 3), 0); /* the cache is large enough */
    ck_assert_uint_eq(collect(0, 0, 3), 1);            /* nothing is materialised: the absent one */
    ck_assert_ptr_null(find(5));
    ck_assert_uint_eq(collect(seq - 1, 0, 3), 1); /* the clean one */
    ck_assert_ptr_null(find(4));
    ck_assert_ptr_eq(find(3), dirty);
    ck_assert_uint_eq(collect(seq, 0, 3), 1);
    ck_assert_ptr_null(find(3));
    ck_assert_uint_eq(collect(seq + 1, 0, 3), 0); /* two versions; above the pin; held; claimed */
    mvcc_unpin(bed.mvcc, &pin);
    ck_assert_uint_eq(collect(seq + 1, 0, 3), 1);
    ck_assert_ptr_null(find(2));
    mvcc_release(claimed, state);
    ck_assert_uint_eq(collect(seq + 1, 0, 3), 1);
    ck_assert_ptr_eq(find(1), held);
    ck_assert_ptr_eq(find(7), loading);
    mvcc_load_finish(bed.objects, bed.thread, loading, NULL, 0);
    mvcc_unhold(loading);
    mvcc_unhold(held);
    ck_assert_uint_eq(collect(seq + 1, 0, 3), 2);
}
END_TEST

START_TEST(who_was_used_gets_a_second_chance)
{
    for (uint64_t n = 0; n < 1000; n++) {
        mvcc_unhold(mvcc_bed_hold(&bed, n, 1, 0));
    }
    struct mvcc_counts counts;
    mvcc_counts(bed.objects, &counts);
    (void)collect(1, counts.bytes - 1, 1); /* a round that takes the marks away, evicting nobody */
    mvcc_counts(bed.objects, &counts);
    ck_assert_uint_eq(counts.heads, 1000);
    for (uint64_t n = 0; n < 500; n++) {
        (void)find(n);
    }
    mvcc_counts(bed.objects, &counts);
    uint64_t kept = 0;
    /* Half has to go; the unused half goes when marks count. */
    struct mvcc_collected collected = {0};
    (void)mvcc_collect(bed.objects, bed.thread, 1, UINT64_MAX, SIZE_MAX,
                       &collected); /* enough room: no pressure */
    (void)mvcc_collect(bed.objects, bed.thread, 1, counts.bytes / 2, SIZE_MAX, &collected);
    for (uint64_t n = 0; n < 500; n++) {
        kept += find(n) != NULL;
    }
    ck_assert_uint_eq(collected.evicted, 500);
    ck_assert_uint_eq(kept, 500);
}
END_TEST

/* Keys that fall together in one node do not in another: whoever chooses keys has nothing to choose by. */
START_TEST(the_hash_has_a_key_of_its_own)
{
    static struct mvcc_bed other;
    uint8_t key[32];
    unsigned same = 0;
    mvcc_bed_init(&other);
    for (uint64_t n = 0; n < 64; n++) {
        mvcc_bed_key(key, n);
        same += mvcc_key_hash(bed.objects, key, 32) == mvcc_key_hash(other.objects, key, 32);
        same += mvcc_key_hash(bed.cells, key, 20) == mvcc_key_hash(other.cells, key, 20);
    }
    ck_assert_uint_lt(same, 4); /* of 128, by chance one in 2^32 each */
    mvcc_bed_deinit(&other);
}
END_TEST

START_TEST(cells_have_keys_of_every_length)
{
    struct mvcc_head *heads[SVM_CELL_KEY_MAX + 1];
    uint8_t key[SVM_CELL_KEY_MAX];
    memset(key, 0, sizeof key); /* all prefixes of one another */
    for (size_t len = 1; len <= SVM_CELL_KEY_MAX; len++) {
        ck_assert_int_eq(mvcc_hold(bed.cells, bed.thread, key, len, &heads[len]), MVCC_HELD_LOAD);
        mvcc_load_finish(bed.cells, bed.thread, heads[len], NULL, 0);
    }
    for (size_t len = 1; len <= SVM_CELL_KEY_MAX; len++) {
        ck_assert_ptr_eq(mvcc_find(bed.cells, key, len), heads[len]);
        ck_assert_uint_eq(heads[len]->key_len, len);
        mvcc_unhold(heads[len]);
    }
    ck_assert_ptr_null(mvcc_find(bed.objects, key, 32)); /* the tables are two */
}
END_TEST

/* Beyond its type and data an object may cost 200 bytes: the fixed 96 of the version's payload, version, head, slots. */
START_TEST(an_object_costs_less_than_200_bytes)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return; /* other allocators, other figures */
#else
    const struct slab_depot *depot = bed.mvcc->blocks;
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd + slab_depot_bytes(depot);
    for (uint64_t n = 0; n < OBJECTS; n++) {
        uint8_t key[32];
        struct mvcc_head *head;
        mvcc_bed_key(key, n);
        ck_assert_int_eq(mvcc_hold(bed.objects, bed.thread, key, 32, &head), MVCC_HELD_LOAD);
        struct mvcc_version *version = mvcc_version_create(bed.thread, 96);
        ck_assert_ptr_nonnull(version);
        mvcc_load_finish(bed.objects, bed.thread, head, version, 1);
        mvcc_unhold(head);
        mvcc_quiesce(bed.thread);
    }
    size_t after = mallinfo2().uordblks + mallinfo2().hblkhd + slab_depot_bytes(depot);
    size_t each = (after - before) / OBJECTS;
    struct mvcc_counts counts;
    mvcc_counts(bed.objects, &counts);
    printf("%zu bytes per object, counted as %" PRIu64 "\n", each, counts.bytes / OBJECTS);
    ck_assert_uint_le(each, 200);
    /* What eviction goes by is what is used. */
    ck_assert_uint_ge(counts.bytes / OBJECTS, each * 85 / 100);
    ck_assert_uint_le(counts.bytes / OBJECTS, each * 115 / 100);
#endif
}
END_TEST

/* Arrays grow by at least a seventh and by less than a half, so that little of them is unused; large ones are whole pages. */
START_TEST(arrays_come_in_steps)
{
    for (uint32_t c = 0; c < 90; c++) {
        const uint64_t now = mvcc_array_lines(c), next = mvcc_array_lines(c + 1);
        ck_assert(next * 8 >= now * 9 && next * 4 <= now * 5);
        ck_assert(now * 64 < 16384 || now * 64 % 4096 == 0);
        ck_assert_uint_eq(now * 64 % MVCC_ARRAY_ALIGN, 0);
        const uint32_t lines = (uint32_t)now - 1;
        ck_assert_uint_lt(mvcc_line(lines, UINT32_MAX), lines);
        ck_assert_uint_eq(mvcc_line(lines, 0), 0);
        ck_assert_uint_lt(mvcc_array_room(lines), lines * MVCC_LINE_SLOTS);
    }
}
END_TEST

int main(void)
{
    const char *given = getenv("SVM_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SVM_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    Suite *suite = suite_create("mvcc_index");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_was_inserted_is_found);
    tcase_add_test(tcase, the_index_survives_coming_and_going);
    tcase_add_test(tcase, only_what_is_on_the_disk_and_unused_is_evicted);
    tcase_add_test(tcase, who_was_used_gets_a_second_chance);
    tcase_add_test(tcase, the_hash_has_a_key_of_its_own);
    tcase_add_test(tcase, cells_have_keys_of_every_length);
    tcase_add_test(tcase, arrays_come_in_steps);
    tcase_add_test(tcase, an_object_costs_less_than_200_bytes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
