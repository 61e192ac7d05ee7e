/* The state's database when its files are damaged, in the way or gone: an error that says why, and no answer that is not so. */
#include "store_bed.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

enum { KEYS = 2000, CACHE_BYTES = 1 << 20, VALUE_BYTES = 200 };

static struct svm_kv_ops kv;
static char dir[64], path[80];
static uint8_t keys[KEYS][8], values[KEYS][VALUE_BYTES];
static struct svm_kv_op ops[KEYS];

static void start(void)
{
    char reason[120];
    snprintf(dir, sizeof dir, "/tmp/svm-rocks-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/state", dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(store_kv_rocks_open(&kv, path, CACHE_BYTES, reason), SVM_OK);
    for (uint64_t i = 0; i < KEYS; i++) {
        bytes_put_u64be(keys[i], i);
        for (size_t at = 0; at < VALUE_BYTES; at += 8)
            bytes_put_u64le(values[i] + at, (i + at) * UINT64_C(0x9e3779b97f4a7c15));
        ops[i] = (struct svm_kv_op){.key = {keys[i], 8}, .value = {values[i], VALUE_BYTES}};
    }
}

static void end(void)
{
    kv.close(kv.self);
    bed_remove(dir);
}

/* Every table file has other bytes in its first half. */
static void damage(void)
{
    char pattern[100];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*.sst", path);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct stat info;
        uint8_t bad[4096];
        memset(bad, 0xee, sizeof bad);
        int fd = open(found.gl_pathv[i], O_WRONLY | O_CLOEXEC);
        ck_assert(fd >= 0 && fstat(fd, &info) == 0);
        for (off_t at = 0; at < info.st_size / 2; at += (off_t)sizeof bad)
            ck_assert_int_eq(pwrite(fd, bad, sizeof bad, at), (ssize_t)sizeof bad);
        close(fd);
    }
    globfree(&found);
}

START_TEST(damaged_files_are_errors)
{
    char reason[120];
    uint8_t *value;
    size_t len;
    struct svm_bytes key, bytes;
    start();
    ck_assert_int_eq(kv.write(kv.self, ops, KEYS, true), SVM_OK);
    ck_assert_ptr_null(kv.failure(kv.self));
    kv.close(kv.self);
    damage();
    ck_assert_int_eq(store_kv_rocks_open(&kv, path, CACHE_BYTES, reason),
                     SVM_OK); /* it does not look yet */
    ck_assert_int_eq(kv.get(kv.self, ops[1].key, &value, &len), SVM_E_IO);
    ck_assert_ptr_nonnull(kv.failure(kv.self));
    ck_assert_ptr_nonnull(strstr(kv.failure(kv.self), "Corruption"));
    struct svm_kv_iter *iter = kv.iter_open(kv.self);
    ck_assert_ptr_nonnull(iter);
    size_t seen = 0;
    for (kv.iter_seek(iter, ops[0].key); kv.iter_valid(iter, &key, &bytes); kv.iter_next(iter))
        seen++;
    ck_assert_uint_lt(seen, KEYS);
    ck_assert_int_eq(kv.iter_close(iter), SVM_E_IO);
    end();
}
END_TEST

/* What the database holds is told, and blocks that were read take no more than they may. */
START_TEST(memory_is_told_and_bounded)
{
    enum { PARTS = 8 };
    struct svm_kv_memory before = {0}, memory = {0};
    start();
    kv.memory(kv.self, &before);
    for (uint8_t part = 0; part < PARTS; part++) { /* 3.2 MB */
        for (size_t i = 0; i < KEYS; i++)
            keys[i][0] = part;
        ck_assert_int_eq(kv.write(kv.self, ops, KEYS, false), SVM_OK);
    }
    kv.memory(kv.self, &memory);
    ck_assert_uint_gt(memory.write_buffers, before.write_buffers + 3000000);
    ck_assert_int_eq(kv.flush(kv.self), SVM_OK);
    for (uint8_t part = 0; part < PARTS; part++) {
        for (size_t i = 0; i < KEYS; i++) {
            uint8_t *value;
            size_t len;
            keys[i][0] = part;
            ck_assert_int_eq(kv.get(kv.self, ops[i].key, &value, &len), SVM_OK);
            ck_assert_uint_eq(len, VALUE_BYTES);
            free(value);
        }
    }
    kv.memory(kv.self, &memory);
    ck_assert_uint_lt(memory.write_buffers, 1000000);
    ck_assert_uint_gt(memory.block_cache, CACHE_BYTES / 2);
    ck_assert_uint_le(memory.block_cache, CACHE_BYTES);
    end();
}
END_TEST

/* What this thread has read from files so far. */
static uint64_t bytes_read(void)
{
    unsigned long long bytes = 0;
    FILE *f = fopen("/proc/thread-self/io", "re");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "rchar: %llu", &bytes), 1);
    ck_assert_int_eq(fclose(f), 0);
    return bytes;
}

/* A table's filter is one block of the cache, here of 560 KiB: it stays there. */
START_TEST(a_large_filter_stays_in_the_cache)
{
    enum { ROWS = 450000, HOT = 64, GETS = 256, SMALL_CACHE_BYTES = 8 << 20 };
    char reason[120];
    start();
    kv.close(kv.self);
    ck_assert_int_eq(store_kv_rocks_open(&kv, path, SMALL_CACHE_BYTES, reason), SVM_OK);
    uint8_t(*many)[8] = calloc(ROWS, sizeof *many);
    struct svm_kv_op *puts = calloc(ROWS, sizeof *puts);
    ck_assert(many != NULL && puts != NULL);
    for (uint64_t i = 0; i < ROWS; i++) {
        bytes_put_u64be(many[i], i);
        puts[i] = (struct svm_kv_op){.key = {many[i], 8}, .value = {many[i], 8}};
    }
    ck_assert_int_eq(kv.ingest(kv.self, puts, ROWS, ROWS), SVM_OK);
    uint64_t before = 0;
    for (size_t i = 0; i < HOT + GETS; i++) {
        const size_t row = i % HOT * (ROWS / HOT);
        uint8_t *value;
        size_t len;
        if (i == HOT)
            before = bytes_read();
        ck_assert_int_eq(kv.get(kv.self, puts[row].key, &value, &len), SVM_OK);
        ck_assert(len == 8 && memcmp(value, many[row], len) == 0);
        free(value);
    }
    ck_assert_uint_lt(bytes_read() - before, 1 << 20); /* with it read at each get: 140 MiB */
    free(puts);
    free(many);
    end();
}
END_TEST

START_TEST(a_damaged_manifest_is_corrupt)
{
    char reason[120] = "", pattern[100];
    glob_t found;
    start();
    ck_assert_int_eq(kv.write(kv.self, ops, KEYS, true), SVM_OK);
    kv.close(kv.self);
    snprintf(pattern, sizeof pattern, "%s/MANIFEST-*", path);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    int fd = open(found.gl_pathv[0], O_WRONLY | O_CLOEXEC);
    ck_assert(fd >= 0 && pwrite(fd, "damage", 6, 8) == 6);
    close(fd);
    globfree(&found);
    ck_assert_int_eq(store_kv_rocks_open(&kv, path, CACHE_BYTES, reason), SVM_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(reason, "state: "));
    bed_remove(dir);
}
END_TEST

START_TEST(what_stands_in_the_way_of_a_file_is_an_error)
{
    char name[100];
    start();
    snprintf(name, sizeof name, "%s/ingest-%d", path, _i);
    ck_assert_int_eq(mkdir(name, 0700),
                     0); /* no file can have this name, nor is it one to remove */
    ck_assert_int_eq(kv.ingest(kv.self, ops, KEYS, KEYS / 2), SVM_E_IO);
    ck_assert_ptr_nonnull(strstr(kv.failure(kv.self), "ingest-"));
    ck_assert_int_eq(rmdir(name), 0);
    uint8_t *value;
    size_t len;
    ck_assert_int_eq(kv.get(kv.self, ops[0].key, &value, &len), SVM_E_NOT_FOUND); /* none of it */
    end();
}
END_TEST

START_TEST(a_directory_that_is_gone_ends_it)
{
    char away[100], copy[100], reason[120];
    start();
    snprintf(away, sizeof away, "%s.away", path);
    snprintf(copy, sizeof copy, "%s/no/copy", dir);
    ck_assert_int_eq(kv.ingest(kv.self, ops, 0, 0), SVM_OK); /* nothing is nothing */
    ck_assert_int_eq(kv.write(kv.self, ops, KEYS, false), SVM_OK);
    ck_assert_int_eq(rename(path, away), 0);
    if (_i == 0)
        ck_assert_int_eq(kv.ingest(kv.self, ops, KEYS, KEYS), SVM_E_IO);
    if (_i == 1)
        ck_assert_int_eq(kv.flush(kv.self), SVM_E_IO);
    if (_i == 2)
        ck_assert_int_eq(kv.checkpoint(kv.self, copy, reason), SVM_E_IO);
    if (_i == 3)
        ck_assert_int_eq(kv.write(kv.self, ops, KEYS, true), SVM_E_IO);
    ck_assert_ptr_nonnull(kv.failure(kv.self));
    ck_assert_int_eq(rename(away, path), 0);
    if (_i > 0) {
        ck_assert_int_ne(kv.flush(kv.self), SVM_OK); /* it does not come back by itself */
        ck_assert_int_ne(kv.compact(kv.self), SVM_OK);
    }
    end();
}
END_TEST

START_TEST(a_copy_needs_a_place)
{
    char copy[100], reason[120];
    start();
    ck_assert_int_eq(kv.write(kv.self, ops, KEYS, false), SVM_OK);
    snprintf(copy, sizeof copy, "%s/no/copy", dir);
    ck_assert_int_eq(kv.checkpoint(kv.self, copy, reason), SVM_E_IO);
    ck_assert_uint_gt(strlen(reason), 0);
    ck_assert_ptr_null(kv.failure(kv.self)); /* the copy has failed */
    ck_assert_int_eq(kv.write(kv.self, ops, KEYS, false), SVM_OK);
    end();
}
END_TEST

/* A bound that ends in zero: what is dropped lies below it. */
START_TEST(only_what_is_asked_for_is_dropped)
{
    uint8_t *value;
    size_t len;
    start();
    ck_assert_int_eq(kv.ingest(kv.self, ops, KEYS, KEYS), SVM_OK);
    ck_assert_int_eq(kv.compact(kv.self), SVM_OK);
    const uint8_t low[8] = {0}, zero[8] = {0, 0, 0, 0, 0, 0, 1, 0};
    ck_assert_int_eq(kv.drop(kv.self, (struct svm_bytes){low, 8}, (struct svm_bytes){zero, 8}),
                     SVM_OK);
    for (size_t i = 256; i < KEYS; i += 100) {
        ck_assert_int_eq(kv.get(kv.self, ops[i].key, &value, &len), SVM_OK);
        ck_assert(len == VALUE_BYTES && memcmp(value, values[i], len) == 0);
        free(value);
    }
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_rocks");
    TCase *tcase = tcase_create("rocks");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, damaged_files_are_errors);
    tcase_add_test(tcase, a_damaged_manifest_is_corrupt);
    tcase_add_test(tcase, memory_is_told_and_bounded);
    tcase_add_test(tcase, a_large_filter_stays_in_the_cache);
    tcase_add_loop_test(tcase, what_stands_in_the_way_of_a_file_is_an_error, 0, 2);
    tcase_add_loop_test(tcase, a_directory_that_is_gone_ends_it, 0, 4);
    tcase_add_test(tcase, a_copy_needs_a_place);
    tcase_add_test(tcase, only_what_is_asked_for_is_dropped);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
