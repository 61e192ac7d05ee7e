/* Both implementations of svm_kv_ops against one naive twin; the crashes of the one in memory. */
#include "store_bed.h"

#include <dirent.h>
#include <unistd.h>

enum { KEYS = 40, CACHE_BYTES = 1 << 20 };

struct twin {
    bool present[KEYS];
    uint32_t value[KEYS];
};

static struct svm_bytes key_of(unsigned index, uint8_t buf[4])
{
    buf[0] = 'k';
    buf[1] = (uint8_t)(index * 5);
    buf[2] = (uint8_t)index;
    return (struct svm_bytes){buf, index % 3 == 0 ? 2 : 3};
}

static void compare(const struct svm_kv_ops *kv, struct svm_kv_iter *iter, const struct twin *twin)
{
    struct svm_bytes key, value;
    uint8_t buf[4];
    kv->iter_seek(iter, (struct svm_bytes){(const uint8_t *)"", 0});
    for (unsigned i = 0; i < KEYS; i++) {
        if (!twin->present[i])
            continue;
        struct svm_bytes want = key_of(i, buf);
        ck_assert(kv->iter_valid(iter, &key, &value));
        ck_assert_uint_eq(key.len, want.len);
        ck_assert_mem_eq(key.ptr, want.ptr, want.len);
        ck_assert_uint_eq(value.len, sizeof twin->value[i]);
        ck_assert_mem_eq(value.ptr, &twin->value[i], sizeof twin->value[i]);
        kv->iter_next(iter);
    }
    ck_assert(!kv->iter_valid(iter, &key, &value));
}

static void compare_now(const struct svm_kv_ops *kv, const struct twin *twin)
{
    uint8_t buf[4], *value;
    size_t len;
    for (unsigned i = 0; i < KEYS; i++) {
        enum svm_err err = kv->get(kv->self, key_of(i, buf), &value, &len);
        ck_assert_int_eq(err, twin->present[i] ? SVM_OK : SVM_E_NOT_FOUND);
        if (err != SVM_OK)
            continue;
        ck_assert_uint_eq(len, sizeof twin->value[i]);
        ck_assert_mem_eq(value, &twin->value[i], len);
        free(value);
    }
    struct svm_kv_iter *iter = kv->iter_open(kv->self);
    ck_assert_ptr_nonnull(iter);
    compare(kv, iter, twin);

    struct svm_bytes key, last_value;
    unsigned last = KEYS;
    while (last > 0 && !twin->present[last - 1])
        last--;
    kv->iter_seek_last(iter);
    ck_assert_int_eq(kv->iter_valid(iter, &key, &last_value), last > 0);
    if (last > 0)
        ck_assert_mem_eq(key.ptr, key_of(last - 1, buf).ptr, key.len);
    ck_assert_int_eq(kv->iter_close(iter), SVM_OK);
}

static void random_write(const struct svm_kv_ops *kv, struct rng *rng, struct twin *twin)
{
    struct svm_kv_op ops[8];
    uint8_t keys[8][4];
    uint32_t values[8];
    size_t count = 1 + rng_below(rng, 8);
    for (size_t i = 0; i < count; i++) {
        unsigned index = (unsigned)rng_below(rng, KEYS);
        values[i] = (uint32_t)rng_next(rng);
        bool del = rng_below(rng, 3) == 0;
        ops[i] = (struct svm_kv_op){
            .key = key_of(index, keys[i]), .value = {(uint8_t *)&values[i], 4}, .del = del};
        twin->present[index] = !del;
        twin->value[index] = values[i];
    }
    ck_assert_int_eq(kv->write(kv->self, ops, count, rng_below(rng, 4) == 0), SVM_OK);
}

/* A batch as files: ascending keys, each once, split anywhere. */
static void random_ingest(const struct svm_kv_ops *kv, struct rng *rng, struct twin *twin)
{
    struct svm_kv_op ops[KEYS];
    uint8_t keys[KEYS][4];
    uint32_t values[KEYS];
    size_t count = 0;
    for (unsigned index = 0; index < KEYS; index++) {
        if (rng_below(rng, 4) != 0)
            continue;
        values[count] = (uint32_t)rng_next(rng);
        bool del = rng_below(rng, 3) == 0;
        ops[count] = (struct svm_kv_op){
            .key = key_of(index, keys[count]), .value = {(uint8_t *)&values[count], 4}, .del = del};
        twin->present[index] = !del;
        twin->value[index] = values[count++];
    }
    ck_assert_int_eq(kv->ingest(kv->self, ops, count, rng_below(rng, count + 1)), SVM_OK);
}

static void random_del_range(const struct svm_kv_ops *kv, struct rng *rng, struct twin *twin)
{
    uint8_t from[4], to[4];
    unsigned begin = (unsigned)rng_below(rng, KEYS), end = (unsigned)rng_below(rng, KEYS);
    if (begin > end)
        return;
    ck_assert_int_eq(kv->del_range(kv->self, key_of(begin, from), key_of(end, to)), SVM_OK);
    for (unsigned i = begin; i < end; i++)
        twin->present[i] = false;
}

static void conform(const struct svm_kv_ops *kv, uint64_t seed, unsigned rounds)
{
    struct rng rng;
    struct twin twin = {0}, then = {0};
    struct svm_kv_iter *view = NULL;
    rng_init(&rng, seed);
    for (unsigned round = 0; round < rounds; round++) {
        if (rng_below(&rng, 10) == 0)
            random_del_range(kv, &rng, &twin);
        else if (kv->ingest != NULL && rng_below(&rng, 8) == 0)
            random_ingest(kv, &rng, &twin);
        else
            random_write(kv, &rng, &twin);
        compare_now(kv, &twin);
        if (rng_below(&rng, 20) == 0)
            ck_assert_int_eq(kv->flush(kv->self), SVM_OK);
        if (rng_below(&rng, 20) == 0)
            ck_assert_int_eq(kv->sync(kv->self), SVM_OK);
        if (rng_below(&rng, 5) != 0)
            continue;
        if (view != NULL) { /* a view does not move */
            compare(kv, view, &then);
            ck_assert_int_eq(kv->iter_close(view), SVM_OK);
        }
        view = kv->iter_open(kv->self);
        then = twin;
    }
    if (view != NULL)
        ck_assert_int_eq(kv->iter_close(view), SVM_OK);
    ck_assert_int_eq(kv->compact(kv->self), SVM_OK);
    compare_now(kv, &twin);
    ck_assert_ptr_null(kv->failure(kv->self));
}

START_TEST(ram_is_an_ordered_map)
{
    struct svm_kv_ops kv;
    struct store_kv_ram *ram = store_kv_ram_create();
    store_kv_ram_ops(&kv, ram);
    conform(&kv, bed_seed("ram_is_an_ordered_map"), 800);
    kv.close(kv.self);
    store_kv_ram_destroy(ram);
}
END_TEST

START_TEST(rocks_is_an_ordered_map)
{
    struct svm_kv_ops kv;
    char dir[] = "/tmp/svm-kv-XXXXXX", path[64], reason[120];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/state", dir);
    enum svm_err err = store_kv_rocks_open(&kv, path, CACHE_BYTES, reason);
    ck_assert_msg(err == SVM_OK, "%s", reason);
    conform(&kv, bed_seed("rocks_is_an_ordered_map"), 100);
    kv.close(kv.self);
    ck_assert_int_eq(store_kv_rocks_open(&kv, "/proc/none/such", CACHE_BYTES, reason), SVM_E_IO);
    ck_assert_uint_gt(strlen(reason), 0);
    bed_remove(dir);
}
END_TEST

/* After each write the content is one of a known row of contents; a crash returns to the one asked for. */
static void ingest_one(const struct svm_kv_ops *kv, struct twin *twin, unsigned index)
{
    uint8_t buf[4];
    struct svm_kv_op put = {.key = key_of(index, buf),
                            .value = {(uint8_t *)&twin->value[index], 4}};
    twin->present[index] = true;
    twin->value[index] = 1000 + index;
    ck_assert_int_eq(kv->ingest(kv->self, &put, 1, 1), SVM_OK);
}

/* A crash after an ingestion leaves the name of its file as a second link to what is live now. */
START_TEST(a_name_left_behind_is_no_way_into_a_live_file)
{
    char dir[] = "/tmp/svm-store-kv-XXXXXX", from[600], to[64], reason[120];
    struct svm_kv_ops kv;
    struct twin twin = {0};
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(to, sizeof to, "%s/ingest-0", dir);
    for (unsigned round = 0; round < 8; round++) {
        ck_assert_int_eq(store_kv_rocks_open(&kv, dir, CACHE_BYTES, reason), SVM_OK);
        compare_now(&kv, &twin);
        ingest_one(&kv, &twin, round);
        compare_now(&kv, &twin);
        kv.close(kv.self);
        DIR *entries = opendir(dir);
        ck_assert_ptr_nonnull(entries);
        unsigned linked = 0;
        for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
            size_t len = strlen(entry->d_name);
            if (len < 4 || strcmp(entry->d_name + len - 4, ".sst") != 0 || linked > 0)
                continue;
            snprintf(from, sizeof from, "%s/%s", dir, entry->d_name);
            unlink(to);
            ck_assert_int_eq(link(from, to), 0);
            linked++;
        }
        closedir(entries);
        ck_assert_uint_eq(linked, 1);
    }
    bed_remove(dir);
}
END_TEST

START_TEST(a_crash_keeps_what_it_must)
{
    struct rng rng;
    struct svm_kv_ops kv;
    rng_init(&rng, bed_seed("a_crash_keeps_what_it_must"));
    struct store_kv_ram *ram = store_kv_ram_create();
    store_kv_ram_ops(&kv, ram);
    struct twin durable = {0};
    for (unsigned round = 0; round < 200; round++) {
        struct twin history[9];
        size_t writes = rng_below(&rng, 8);
        history[0] = durable;
        for (size_t i = 0; i < writes; i++) {
            uint8_t buf[4];
            unsigned index = (unsigned)rng_below(&rng, KEYS);
            history[i + 1] = history[i];
            history[i + 1].present[index] = true;
            history[i + 1].value[index] = (uint32_t)rng_next(&rng);
            struct svm_kv_op put = {.key = key_of(index, buf),
                                    .value = {(uint8_t *)&history[i + 1].value[index], 4}};
            ck_assert_int_eq(kv.write(kv.self, &put, 1, false), SVM_OK);
        }
        ck_assert_uint_eq(store_kv_ram_unsynced(ram), writes);
        size_t keep = rng_below(&rng, writes + 2);
        if (rng_below(&rng, 3) == 0) {
            ck_assert_int_eq(kv.sync(kv.self), SVM_OK);
            keep = writes;
        }
        store_kv_ram_crash(ram, keep);
        durable = history[keep > writes ? writes : keep];
        compare_now(&kv, &durable);
    }
    store_kv_ram_destroy(ram);
}
END_TEST

START_TEST(an_injected_failure_lasts)
{
    struct svm_kv_ops kv;
    struct store_kv_ram *ram = store_kv_ram_create();
    store_kv_ram_ops(&kv, ram);
    struct svm_kv_op put = {.key = {(const uint8_t *)"k", 1}, .value = {(const uint8_t *)"v", 1}};
    store_kv_ram_fail_at(ram, 3);
    ck_assert_int_eq(kv.write(kv.self, &put, 1, false), SVM_OK);
    ck_assert_int_eq(kv.sync(kv.self), SVM_OK);
    ck_assert_ptr_null(kv.failure(kv.self));
    ck_assert_int_eq(kv.flush(kv.self), SVM_E_IO);
    ck_assert_int_eq(kv.write(kv.self, &put, 1, false), SVM_E_IO);
    ck_assert_int_eq(kv.del_range(kv.self, put.key, put.value), SVM_E_IO);
    ck_assert_ptr_nonnull(kv.failure(kv.self));
    store_kv_ram_crash(ram, 0);
    ck_assert_int_eq(kv.write(kv.self, &put, 1, false), SVM_OK);
    store_kv_ram_destroy(ram);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_kv");
    TCase *tcase = tcase_create("kv");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, ram_is_an_ordered_map);
    tcase_add_test(tcase, rocks_is_an_ordered_map);
    tcase_add_test(tcase, a_name_left_behind_is_no_way_into_a_live_file);
    tcase_add_test(tcase, a_crash_keeps_what_it_must);
    tcase_add_test(tcase, an_injected_failure_lasts);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
