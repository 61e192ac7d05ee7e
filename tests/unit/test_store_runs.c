/* Runs: what was added is found, nothing else, however often runs are merged, dropped, reloaded or cut short by a crash. */
#include "store_bed.h"

#include "base/bytes.h"
#include "store/rows.h"
#include "store/runs.h"

enum { BATCHES = 300, PER_BATCH_MAX = 60, ENTRIES_MAX = BATCHES * PER_BATCH_MAX };

static struct svm_digest digests[ENTRIES_MAX];
static uint64_t positions[ENTRIES_MAX];
static size_t total;

struct hunt {
    uint64_t position;
    unsigned visits;
};

static enum svm_err visit(void *arg, uint64_t place)
{
    struct hunt *hunt = arg;
    hunt->visits++;
    return place >> STORE_PLACE_BITS == hunt->position ? SVM_OK : SVM_E_NOT_FOUND;
}

/* A digest; one in eight shares its first eight bytes with others. */
static void digest_make(struct rng *rng, struct svm_digest *digest_out)
{
    for (size_t i = 0; i < 32; i += 8)
        bytes_put_u64le(digest_out->b + i, rng_next(rng));
    if (rng_below(rng, 8) == 0)
        bytes_put_u64le(digest_out->b, rng_below(rng, 3) * UINT64_C(0x0101010101010101));
}

static void put(struct store_batch *batch, const struct svm_kv_ops *kv)
{
    const struct svm_kv_op *ops;
    size_t count;
    ck_assert_int_eq(store_batch_sort(batch, &ops, &count), SVM_OK);
    if (count > 0)
        ck_assert_int_eq(kv->write(kv->self, ops, count, false), SVM_OK);
    store_batch_clear(batch);
}

static void add_batch(struct store_runs *runs, const struct svm_kv_ops *kv,
                      struct store_batch *batch, struct rng *rng, uint64_t *seq)
{
    uint64_t first = *seq + 1;
    size_t count = rng_below(rng, PER_BATCH_MAX + 1);
    store_runs_begin(runs);
    for (size_t i = 0; i < count; i++) {
        *seq += 1 + rng_below(rng, 3);
        digest_make(rng, &digests[total]);
        positions[total] = *seq;
        ck_assert_int_eq(
            store_runs_add(runs, &digests[total], *seq << STORE_PLACE_BITS | (i & 255)), SVM_OK);
        total++;
    }
    *seq += 1;
    ck_assert_int_eq(store_runs_seal(runs, batch, first, *seq), SVM_OK);
    put(batch, kv);
    store_runs_publish(runs);
}

/* merge: all that is due. */
static void merge(struct store_runs *runs, const struct svm_kv_ops *kv, struct store_batch *batch,
                  uint64_t floor)
{
    for (bool merged = true; merged;) {
        ck_assert_int_eq(store_runs_merge(runs, kv, batch, floor, &merged), SVM_OK);
        if (merged) {
            put(batch, kv);
            store_runs_publish(runs);
        }
    }
}

static void check(struct store_runs *runs, const struct svm_kv_ops *kv, struct rng *rng,
                  uint64_t floor)
{
    for (size_t i = 0; i < total; i++) {
        struct hunt hunt = {.position = positions[i]};
        enum svm_err err = store_runs_find(runs, kv, &digests[i], visit, &hunt);
        if (positions[i] >= floor)
            ck_assert_int_eq(err, SVM_OK);
    }
    unsigned vain = 0;
    for (unsigned i = 0; i < 1000; i++) {
        struct svm_digest digest;
        struct hunt hunt = {.position = UINT64_MAX};
        bytes_put_u64le(digest.b, rng_next(rng) | 1);
        ck_assert_int_eq(store_runs_find(runs, kv, &digest, visit, &hunt), SVM_E_NOT_FOUND);
        vain += hunt.visits;
    }
    ck_assert_uint_eq(vain, 0); /* no place is shown for a prefix that is not there */
}

START_TEST(what_was_added_is_found)
{
    struct rng rng;
    rng_init(&rng, bed_seed("what_was_added_is_found"));
    struct store_kv_ram *ram = store_kv_ram_create();
    struct svm_kv_ops kv;
    struct store_batch batch;
    struct store_runs runs;
    store_kv_ram_ops(&kv, ram);
    store_batch_init(&batch);
    ck_assert(store_runs_init(&runs));
    uint64_t seq = 0, floor = 0;
    total = 0;
    for (unsigned i = 0; i < BATCHES; i++) {
        add_batch(&runs, &kv, &batch, &rng, &seq);
        merge(&runs, &kv, &batch, floor);
        ck_assert_uint_le(store_runs_count(&runs), 8 * 8);
        if (rng_below(&rng, 20) == 0) { /* another life: without what was going to be deleted */
            store_runs_deinit(&runs);
            ck_assert(store_runs_init(&runs));
            ck_assert_int_eq(store_runs_load(&runs, &kv), SVM_OK);
        }
        if (rng_below(&rng, 40) == 0) {
            floor += rng_below(&rng, seq - floor + 1);
            store_runs_drop(&runs, floor);
        }
        if (i % 30 == 29)
            check(&runs, &kv, &rng, floor);
    }
    /* all goes in the end, rows too */
    store_runs_drop(&runs, seq + 1);
    ck_assert_uint_eq(store_runs_count(&runs), 0);
    total = 0;
    store_runs_begin(&runs);
    ck_assert_int_eq(store_runs_seal(&runs, &batch, seq + 1, seq + 1), SVM_OK);
    put(&batch, &kv);
    store_runs_publish(&runs);
    struct svm_bytes key, value;
    struct svm_kv_iter *iter = kv.iter_open(kv.self);
    kv.iter_seek_last(iter);
    ck_assert(!kv.iter_valid(iter, &key, &value));
    ck_assert_int_eq(kv.iter_close(iter), SVM_OK);
    store_runs_deinit(&runs);
    store_batch_deinit(&batch);
    store_kv_ram_destroy(ram);
}
END_TEST

START_TEST(runs_stay_few_and_filters_say_no)
{
    struct rng rng;
    rng_init(&rng, bed_seed("runs_stay_few_and_filters_say_no"));
    struct store_kv_ram *ram = store_kv_ram_create();
    struct svm_kv_ops kv;
    struct store_batch batch;
    struct store_runs runs;
    store_kv_ram_ops(&kv, ram);
    store_batch_init(&batch);
    ck_assert(store_runs_init(&runs));
    uint64_t seq = 0;
    for (unsigned i = 0; i < 100; i++) {
        store_runs_begin(&runs);
        uint64_t first = seq + 1;
        for (unsigned n = 0; n < 5000; n++) {
            struct svm_digest digest;
            bytes_put_u64le(digest.b, rng_next(&rng));
            ck_assert_int_eq(store_runs_add(&runs, &digest, ++seq << STORE_PLACE_BITS), SVM_OK);
        }
        ck_assert_int_eq(store_runs_seal(&runs, &batch, first, seq), SVM_OK);
        put(&batch, &kv);
        store_runs_publish(&runs);
        merge(&runs, &kv, &batch, 0);
    }
    ck_assert_uint_le(store_runs_count(&runs), 15);
    store_runs_deinit(&runs);
    store_batch_deinit(&batch);
    store_kv_ram_destroy(ram);
}
END_TEST

/* Damage is an error, not a shorter answer: a receipt that is not found is a transaction that may run twice. */
START_TEST(damage_is_an_error)
{
    struct rng rng;
    rng_init(&rng, bed_seed("damage_is_an_error"));
    static const uint8_t kinds[] = {ROW_RUN, ROW_RUN_MAP, ROW_RECEIPT};
    for (size_t k = 0; k < sizeof kinds; k++) {
        struct store_kv_ram *ram = store_kv_ram_create();
        struct svm_kv_ops kv;
        struct store_batch batch;
        struct store_runs runs;
        store_kv_ram_ops(&kv, ram);
        store_batch_init(&batch);
        ck_assert(store_runs_init(&runs));
        uint64_t seq = 0;
        total = 0;
        while (total == 0)
            add_batch(&runs, &kv, &batch, &rng, &seq);
        store_runs_deinit(&runs);
        struct svm_bytes key, value;
        struct svm_kv_iter *iter = kv.iter_open(kv.self);
        kv.iter_seek(iter, (struct svm_bytes){&kinds[k], 1});
        ck_assert(kv.iter_valid(iter, &key, &value));
        struct svm_kv_op cut = {.key = key, .value = {value.ptr, value.len - 1}};
        if (kinds[k] == ROW_RECEIPT)
            cut.del = true;
        ck_assert_int_eq(kv.write(kv.self, &cut, 1, true), SVM_OK);
        ck_assert_int_eq(kv.iter_close(iter), SVM_OK);
        ck_assert(store_runs_init(&runs));
        enum svm_err err = store_runs_load(&runs, &kv);
        struct hunt hunt = {.position = positions[0]};
        if (kinds[k] != ROW_RUN)
            err = store_runs_find(&runs, &kv, &digests[0], visit, &hunt);
        ck_assert_int_eq(err, SVM_E_CORRUPT);
        store_runs_deinit(&runs);
        store_batch_deinit(&batch);
        store_kv_ram_destroy(ram);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_runs");
    TCase *tcase = tcase_create("runs");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, what_was_added_is_found);
    tcase_add_test(tcase, runs_stay_few_and_filters_say_no);
    tcase_add_test(tcase, damage_is_an_error);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
