/* Retention: receipts and history go when they may, never sooner, whatever the budget. */
#include "store_bed.h"

#include "base/bytes.h"
#include "store/receipts.h"
#include "store/rows.h"

enum { PAGE_RECEIPTS = 40 }; /* more than go on a page here */

static uint64_t count_rows(struct bed *bed, uint8_t kind)
{
    uint64_t count = 0;
    struct svm_bytes key, value;
    struct svm_kv_iter *iter = bed->state_ops.iter_open(bed->state_ops.self);
    bed->state_ops.iter_seek(iter, (struct svm_bytes){&kind, 1});
    for (; bed->state_ops.iter_valid(iter, &key, &value) && key.ptr[0] == kind;
         bed->state_ops.iter_next(iter))
        count++;
    ck_assert_int_eq(bed->state_ops.iter_close(iter), SVM_OK);
    return count;
}

static bool has_receipt(const struct bed *bed, uint64_t seq)
{
    static const struct svm_digest none;
    return memcmp(bed->world->digests[seq].b, none.b, 32) != 0;
}

static uint64_t receipts_on_pages(struct bed *bed)
{
    static const uint8_t kind = ROW_ORDER;
    uint64_t count = 0;
    struct svm_bytes key, value;
    struct store_page page;
    struct svm_kv_iter *iter = bed->state_ops.iter_open(bed->state_ops.self);
    bed->state_ops.iter_seek(iter, (struct svm_bytes){&kind, 1});
    for (; bed->state_ops.iter_valid(iter, &key, &value); bed->state_ops.iter_next(iter)) {
        ck_assert(store_page_parse(&page, value));
        count += page.count;
    }
    ck_assert_int_eq(bed->state_ops.iter_close(iter), SVM_OK);
    return count;
}

static void bed_with_history(struct bed *bed, uint64_t seed)
{
    bed_init_ram(bed, seed, STORE_SYNC);
    bed->config.history_versions = UINT64_MAX;
    bed->config.history_seconds = UINT32_MAX;
    bed_open(bed);
    for (unsigned i = 0; i < 100; i++)
        bed_commit(bed, 5);
    bed_materialise(bed, SIZE_MAX);
}

/* sweep: enough calls with BUDGET to go around at least once. */
static void sweep(struct bed *bed, uint64_t now_ms, size_t budget)
{
    for (size_t visited = 0; visited < 8000; visited += budget)
        ck_assert_int_eq(store_sweep(bed->store, now_ms, budget), SVM_OK);
}

START_TEST(receipts_go_by_age)
{
    uint64_t seed = bed_seed("receipts_go_by_age");
    static const size_t budgets[] = {1, 7, 100000};
    for (unsigned variant = 0; variant < 3; variant++) {
        struct bed bed;
        bed_with_history(&bed, seed);
        uint64_t before = 0;
        for (uint64_t seq = 1; seq <= bed.world->seq; seq++)
            before += has_receipt(&bed, seq);
        store_retention(bed.store, 100, UINT64_MAX, UINT32_MAX);
        uint64_t now_ms = WORLD_TIME_MS + 200 * 1000;
        sweep(&bed, now_ms, budgets[variant]);

        uint64_t kept = 0, old = 0;
        for (uint64_t seq = 1; seq <= bed.world->seq; seq++) {
            struct svm_receipt *receipt;
            if (!has_receipt(&bed, seq))
                continue;
            enum svm_err err = store_receipt_get(bed.store, &bed.world->digests[seq], &receipt);
            if (err == SVM_OK) {
                old += receipt->node_ms + 100 * 1000 <= now_ms;
                free(receipt);
                kept++;
            } else {
                ck_assert_int_eq(err, SVM_E_NOT_FOUND);
                ck_assert_uint_eq(kept, 0); /* the old ones come first */
                ck_assert_uint_le(bed.world->times_ms[seq] + 100 * 1000,
                                  now_ms); /* and none too soon */
            }
        }
        ck_assert(kept > 0 && kept < before);
        ck_assert_uint_le(old, PAGE_RECEIPTS); /* on the page with the first young one */
        ck_assert_uint_eq(receipts_on_pages(&bed), kept);
        struct store_counts counts;
        store_counts(bed.store, &counts);
        ck_assert_uint_eq(counts.receipts_pruned, before - kept);
        ck_assert_uint_eq(counts.history_pruned, 0);
        bed_deinit(&bed);
    }
}
END_TEST

/* On a disk the swept receipts leave as whole files once the sweep is flushed; those that stay are whole, after a restart too. */
static void leave_the_disk(uint64_t seed)
{
    struct bed bed;
    bed_init_dir(&bed, seed, STORE_SYNC);
    bed_open(&bed);
    for (unsigned i = 0; i < 40; i++) {
        bed_commit(&bed, 10);
        bed_materialise(&bed, SIZE_MAX);
    }
    store_retention(bed.store, 100, 0, 0);
    uint64_t now_ms = WORLD_TIME_MS + 200 * 1000;
    for (unsigned i = 0; i < 200; i++) {
        ck_assert_int_eq(store_sweep(bed.store, now_ms, 10), SVM_OK);
        if (i % 20 == 19) {
            bed_commit(&bed, 1); /* or there is nothing to trim */
            bed_materialise(&bed, SIZE_MAX);
            ck_assert_int_eq(store_trim(bed.store), SVM_OK);
        }
    }
    for (unsigned pass = 0; pass < 2; pass++) {
        uint64_t kept = 0, gone = 0, late = 0;
        for (uint64_t seq = 1; seq <= bed.world->seq; seq++) {
            static const struct svm_digest none;
            struct svm_receipt *receipt;
            if (memcmp(bed.world->digests[seq].b, none.b, 32) == 0)
                continue;
            enum svm_err err = store_receipt_get(bed.store, &bed.world->digests[seq], &receipt);
            bool old = now_ms > bed.world->times_ms[seq] &&
                       (now_ms - bed.world->times_ms[seq]) / 1000 >= 100;
            ck_assert_msg(err == SVM_OK || (old && err == SVM_E_NOT_FOUND),
                          "%s seq %llu old %d pass %u", svm_err_name(err), (unsigned long long)seq,
                          old, pass);
            if (err == SVM_OK)
                free(receipt);
            late += err == SVM_OK && old;
            err == SVM_OK ? kept++ : gone++;
        }
        ck_assert(kept > 0 && gone > 0);
        ck_assert_uint_le(late, PAGE_RECEIPTS);
        bed_close(&bed);
        bed_open(&bed);
    }
    bed_deinit(&bed);
}

START_TEST(receipts_leave_the_disk)
{
    leave_the_disk(bed_seed("receipts_leave_the_disk"));
}
END_TEST

/* Here the sweep ends between two pages that are files of their own: the second one is kept. */
START_TEST(the_file_behind_the_last_old_one_stays)
{
    leave_the_disk(1795380862);
}
END_TEST

/* versions_of: what history holds of an object, newest first. */
static size_t versions_of(struct bed *bed, const struct svm_id *id,
                          uint64_t versions_out[WORLD_SEQS_MAX])
{
    size_t count = 0;
    struct svm_bytes key, value;
    struct row_key prefix;
    row_key_set(&prefix, ROW_HISTORY, id->b, 32, NULL, 0);
    struct svm_kv_iter *iter = bed->state_ops.iter_open(bed->state_ops.self);
    bed->state_ops.iter_seek(iter, row_key_bytes(&prefix));
    for (; bed->state_ops.iter_valid(iter, &key, &value) &&
           memcmp(key.ptr, prefix.b, prefix.len) == 0;
         bed->state_ops.iter_next(iter))
        versions_out[count++] = row_version_get(key.ptr + prefix.len);
    ck_assert_int_eq(bed->state_ops.iter_close(iter), SVM_OK);
    return count;
}

START_TEST(history_goes_by_number)
{
    uint64_t seed = bed_seed("history_goes_by_number");
    static const size_t budgets[] = {1, 2, 13, 100000};
    static uint64_t before[WORLD_OBJECTS][WORLD_SEQS_MAX], after[WORLD_SEQS_MAX];
    for (unsigned variant = 0; variant < 4; variant++)
        for (uint64_t keep = 0; keep < 6; keep += 2) {
            struct bed bed;
            size_t count[WORLD_OBJECTS];
            bed_with_history(&bed, seed);
            for (unsigned i = 0; i < WORLD_OBJECTS; i++) {
                count[i] = versions_of(&bed, &bed.world->objects[i].id, before[i]);
                if (bed.world->objects[i].object != NULL)
                    ck_assert_uint_eq(before[i][0], bed.world->objects[i].object->version);
            }
            store_retention(bed.store, UINT32_MAX, keep, UINT32_MAX);
            sweep(&bed, WORLD_TIME_MS, budgets[variant]);
            for (unsigned i = 0; i < WORLD_OBJECTS; i++) {
                size_t limit = keep == 0 ? 0 : (size_t)keep + 1;
                size_t left = versions_of(&bed, &bed.world->objects[i].id, after);
                ck_assert_uint_eq(left, count[i] < limit ? count[i] : limit);
                ck_assert(left == 0 || memcmp(before[i], after, left * sizeof after[0]) == 0);
            }
            bed_check(&bed, bed.world->seq); /* the state itself is not touched */
            bed_deinit(&bed);
        }
}
END_TEST

START_TEST(history_goes_by_age_of_its_successor)
{
    struct bed bed;
    static uint64_t left[WORLD_SEQS_MAX];
    bed_with_history(&bed, bed_seed("history_goes_by_age_of_its_successor"));
    uint64_t before = count_rows(&bed, ROW_HISTORY), kept = 0;
    uint64_t now_ms = WORLD_TIME_MS + 200 * 1000, horizon_ms = WORLD_TIME_MS + 100 * 1000;
    store_retention(bed.store, UINT32_MAX, UINT64_MAX, 100);
    sweep(&bed, now_ms, 11);

    /* the state at the horizon can still be told: replay the world and see which versions were current since */
    struct world *world = malloc(sizeof *world);
    world_init(world, bed.seed);
    uint64_t needed[WORLD_OBJECTS] = {0};
    for (unsigned i = 0; i < 3; i++)
        needed[i] = 1;
    while (world->seq < bed.world->seq) {
        size_t len;
        free(world_step(world, &len));
        if (world->node_ms > horizon_ms)
            break;
        for (unsigned i = 0; i < WORLD_OBJECTS; i++)
            if (world->objects[i].object != NULL)
                needed[i] = world->objects[i].object->version;
    }
    for (unsigned i = 0; i < WORLD_OBJECTS; i++) {
        size_t count = versions_of(&bed, &bed.world->objects[i].id, left);
        kept += count;
        if (needed[i] != 0)
            ck_assert_uint_eq(left[count - 1], needed[i]);
    }
    ck_assert(kept > 0 && kept < before);
    ck_assert_uint_eq(count_rows(&bed, ROW_HISTORY), kept);
    world_deinit(world);
    free(world);
    bed_deinit(&bed);
}
END_TEST

START_TEST(without_history_none_is_written)
{
    struct bed bed;
    bed_init_ram(&bed, 4, STORE_SYNC);
    bed.config.history_versions = 0;
    bed_open(&bed);
    bed_commit(&bed, 50);
    bed_materialise(&bed, SIZE_MAX);
    ck_assert_uint_eq(count_rows(&bed, ROW_HISTORY), 0);
    bed_check(&bed, 50);
    bed_deinit(&bed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_retain");
    for (int files = 0; files < 2; files++) {
        TCase *tcase = tcase_create(files ? "retain, as files" : "retain");
        tcase_set_timeout(tcase, 120);
        tcase_add_test(tcase, receipts_go_by_age);
        tcase_add_test(tcase, receipts_leave_the_disk);
        tcase_add_test(tcase, the_file_behind_the_last_old_one_stays);
        tcase_add_test(tcase, history_goes_by_number);
        tcase_add_test(tcase, history_goes_by_age_of_its_successor);
        tcase_add_test(tcase, without_history_none_is_written);
        if (files)
            tcase_add_checked_fixture(tcase, bed_files, NULL);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
