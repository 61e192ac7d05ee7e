/* The log's files: what is appended comes back, what is cut or trimmed does not, what is written over was there never. */
#include "store_bed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bytes.h"
#include "store/segment.h"

enum { BIG_BYTES = 1 << 20, BIG_COUNT = 70, SMALL_BYTES = 100 };

struct fixture {
    char dir[64], path[80];
    struct svm_kv_ops kv;
    uint64_t first, next; /* keys that are there: first .. next - 1, each KEY_STEP apart */
};

static uint8_t big[BIG_BYTES];

static void fill(uint64_t key, size_t len)
{
    struct rng rng;
    rng_init(&rng, key);
    for (size_t at = 0; at + 8 <= len; at += 8)
        bytes_put_u64le(big + at, rng_next(&rng));
    memset(big + len / 8 * 8, (int)key, len % 8);
}

static size_t len_of(uint64_t key)
{
    return key % 5 == 0 ? 0 : SMALL_BYTES + (size_t)key % 50;
}

static void reopen(struct fixture *fixture)
{
    char reason[120];
    if (fixture->kv.self != NULL)
        fixture->kv.close(fixture->kv.self);
    enum svm_err err = store_kv_segments_open(&fixture->kv, fixture->path, reason);
    ck_assert_msg(err == SVM_OK, "%s", reason);
}

static void start(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/svm-segments-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fixture->dir));
    snprintf(fixture->path, sizeof fixture->path, "%s/log", fixture->dir);
    fixture->first = fixture->next = 1;
    reopen(fixture);
}

static void end(struct fixture *fixture)
{
    ck_assert_ptr_null(fixture->kv.failure(fixture->kv.self));
    fixture->kv.close(fixture->kv.self);
    bed_remove(fixture->dir);
}

static void put(struct fixture *fixture, size_t len, bool sync)
{
    uint8_t key[8];
    bytes_put_u64be(key, fixture->next);
    fill(fixture->next, len);
    struct svm_kv_op op = {.key = {key, sizeof key}, .value = {big, len}};
    ck_assert_int_eq(fixture->kv.write(fixture->kv.self, &op, 1, sync), SVM_OK);
    fixture->next++;
}

static void del(struct fixture *fixture, uint64_t from, uint64_t to)
{
    uint8_t a[8], b[9];
    memset(b, 0xff, sizeof b);
    bytes_put_u64be(a, from);
    if (to != UINT64_MAX)
        bytes_put_u64be(b, to);
    struct svm_bytes end_key = {b, to == UINT64_MAX ? sizeof b : 8};
    ck_assert_int_eq(
        fixture->kv.del_range(fixture->kv.self, (struct svm_bytes){a, sizeof a}, end_key), SVM_OK);
}

/* check: keys from SEEK on are FIRST or SEEK .. next - 1 with their values; LEN 0 = as len_of says. */
static void check_view(struct fixture *fixture, struct svm_kv_iter *iter, uint64_t seek,
                       uint64_t first, uint64_t next, size_t len)
{
    uint8_t key[8];
    struct svm_bytes have, value;
    bytes_put_u64be(key, seek);
    fixture->kv.iter_seek(iter, (struct svm_bytes){key, sizeof key});
    for (uint64_t want = seek > first ? seek : first; want < next; want++) {
        ck_assert_msg(fixture->kv.iter_valid(iter, &have, &value), "%llu is missing",
                      (unsigned long long)want);
        ck_assert_uint_eq(bytes_get_u64be(have.ptr), want);
        size_t size = len == 0 ? len_of(want) : len;
        ck_assert_uint_eq(value.len, size);
        fill(want, size);
        ck_assert(size == 0 || memcmp(value.ptr, big, size) == 0);
        fixture->kv.iter_next(iter);
    }
    ck_assert(!fixture->kv.iter_valid(iter, &have, &value));
    fixture->kv.iter_seek_last(iter);
    ck_assert_int_eq(fixture->kv.iter_valid(iter, &have, &value), first < next);
    if (first < next)
        ck_assert_uint_eq(bytes_get_u64be(have.ptr), next - 1);
}

static void check_log(struct fixture *fixture, uint64_t seek, size_t len)
{
    struct svm_kv_iter *iter = fixture->kv.iter_open(fixture->kv.self);
    ck_assert_ptr_nonnull(iter);
    check_view(fixture, iter, seek, fixture->first, fixture->next, len);
    ck_assert_int_eq(fixture->kv.iter_close(iter), SVM_OK);
    uint8_t key[8], *value;
    bytes_put_u64be(key, seek);
    size_t size;
    enum svm_err err =
        fixture->kv.get(fixture->kv.self, (struct svm_bytes){key, sizeof key}, &value, &size);
    bool there = seek >= fixture->first && seek < fixture->next;
    ck_assert_int_eq(err, there ? SVM_OK : SVM_E_NOT_FOUND);
    if (there)
        free(value);
}

static unsigned count_files(const struct fixture *fixture, const char *part)
{
    unsigned count = 0;
    DIR *listing = opendir(fixture->path);
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;)
        count += strstr(entry->d_name, part) != NULL;
    closedir(listing);
    return count;
}

START_TEST(what_is_appended_comes_back)
{
    struct fixture fixture;
    struct rng rng;
    rng_init(&rng, bed_seed("what_is_appended_comes_back"));
    start(&fixture);
    struct svm_kv_iter *view = NULL;
    uint64_t view_first = 0, view_next = 0;
    for (unsigned round = 0; round < 200; round++) {
        for (uint64_t i = rng_below(&rng, 10); i > 0; i--)
            put(&fixture, len_of(fixture.next), rng_below(&rng, 4) == 0);
        uint64_t dice = rng_below(&rng, 12);
        if (dice < 2) { /* from the front: out of sight now, perhaps back after a restart */
            uint64_t to = fixture.first + rng_below(&rng, fixture.next - fixture.first + 1);
            del(&fixture, fixture.first, to);
            fixture.first = to;
        } else if (dice == 2) { /* the tail: for good */
            if (view != NULL)
                ck_assert_int_eq(fixture.kv.iter_close(view), SVM_OK);
            view = NULL;
            uint64_t from = fixture.first + rng_below(&rng, fixture.next - fixture.first + 1);
            del(&fixture, from, UINT64_MAX);
            fixture.next = from;
        } else if (dice == 3) {
            if (view != NULL)
                ck_assert_int_eq(fixture.kv.iter_close(view), SVM_OK);
            view = NULL;
            uint64_t first = fixture.first, next = fixture.next;
            reopen(&fixture);
            struct svm_kv_iter *iter = fixture.kv.iter_open(fixture.kv.self);
            struct svm_bytes key, value;
            fixture.kv.iter_seek(iter, (struct svm_bytes){(const uint8_t *)"", 0});
            if (fixture.kv.iter_valid(iter, &key, &value))
                fixture.first = bytes_get_u64be(key.ptr);
            ck_assert_uint_le(fixture.first, first);
            ck_assert_uint_eq(fixture.next, next);
            ck_assert_int_eq(fixture.kv.iter_close(iter), SVM_OK);
        } else if (dice == 4) {
            ck_assert_int_eq(fixture.kv.sync(fixture.kv.self), SVM_OK);
        } else if (dice == 5) { /* a view does not move */
            if (view != NULL) {
                check_view(&fixture, view, 0, view_first, view_next, 0);
                ck_assert_int_eq(fixture.kv.iter_close(view), SVM_OK);
            }
            view = fixture.kv.iter_open(fixture.kv.self);
            view_first = fixture.first;
            view_next = fixture.next;
        }
        check_log(&fixture, rng_below(&rng, fixture.next + 2), 0);
    }
    if (view != NULL)
        ck_assert_int_eq(fixture.kv.iter_close(view), SVM_OK);
    end(&fixture);
}
END_TEST

START_TEST(trimmed_segments_are_written_over)
{
    struct fixture fixture;
    start(&fixture);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < BIG_COUNT; i++)
            put(&fixture, BIG_BYTES, false);
        check_log(&fixture, 0, BIG_BYTES);
        struct svm_kv_iter *view = fixture.kv.iter_open(fixture.kv.self);
        uint64_t first = fixture.first;
        fixture.first = fixture.next - 2;
        if (round == 2) { /* who reads keeps a segment from being written over */
            del(&fixture, 1, fixture.first);
            check_log(&fixture, 0, BIG_BYTES);
            check_view(&fixture, view, 0, first, fixture.next, BIG_BYTES);
            ck_assert_int_eq(fixture.kv.iter_close(view), SVM_OK);
        } else {
            ck_assert_int_eq(fixture.kv.iter_close(view), SVM_OK);
            del(&fixture, 1, fixture.first);
            check_log(&fixture, 0, BIG_BYTES);
            ck_assert_uint_ge(count_files(&fixture, "spare"), 1);
        }
        ck_assert_uint_eq(count_files(&fixture, ".log"), 1);
        if (round == 1) {
            uint64_t next = fixture.next;
            reopen(&fixture);
            ck_assert_uint_eq(fixture.next, next);
            fixture.first = 1; /* what was only out of sight is back */
            struct svm_kv_iter *iter = fixture.kv.iter_open(fixture.kv.self);
            struct svm_bytes key, value;
            fixture.kv.iter_seek(iter, (struct svm_bytes){(const uint8_t *)"", 0});
            ck_assert(fixture.kv.iter_valid(iter, &key, &value));
            fixture.first = bytes_get_u64be(key.ptr);
            ck_assert_int_eq(fixture.kv.iter_close(iter), SVM_OK);
            check_log(&fixture, 0, BIG_BYTES);
        }
    }
    end(&fixture);
}
END_TEST

/* In a spare that is written over, old records stand at the very places where new ones would. None of them comes back. */
START_TEST(what_was_there_before_does_not_shine_through)
{
    struct fixture fixture;
    start(&fixture);
    for (unsigned i = 0; i < BIG_COUNT; i++)
        put(&fixture, BIG_BYTES, false);
    fixture.first = fixture.next;
    del(&fixture, 1, fixture.next);
    for (unsigned i = 0; i < BIG_COUNT; i++) /* into the spare in the end */
        put(&fixture, BIG_BYTES, false);
    ck_assert_uint_eq(count_files(&fixture, "spare"), 0);
    uint64_t next = fixture.next;
    reopen(&fixture);
    struct svm_kv_iter *iter = fixture.kv.iter_open(fixture.kv.self);
    struct svm_bytes key, value;
    fixture.kv.iter_seek_last(iter);
    ck_assert(fixture.kv.iter_valid(iter, &key, &value));
    ck_assert_uint_eq(bytes_get_u64be(key.ptr), next - 1);
    ck_assert_int_eq(fixture.kv.iter_close(iter), SVM_OK);
    end(&fixture);
}
END_TEST

/* The power fails when a spare has got its new head and no record yet. */
START_TEST(a_spare_with_a_new_head_is_empty)
{
    struct fixture fixture;
    char name[STORE_SEGMENT_NAME_BYTES], from[128], to[128];
    start(&fixture);
    for (unsigned i = 0; i < BIG_COUNT; i++)
        put(&fixture, BIG_BYTES, false);
    fixture.first = fixture.next;
    del(&fixture, 1, fixture.next);
    ck_assert_uint_eq(count_files(&fixture, "spare"), 1);
    struct store_segment segment = {.number = 3}; /* 2 is the last one */
    snprintf(from, sizeof from, "%s/spare-0", fixture.path);
    store_segment_name(name, segment.number);
    snprintf(to, sizeof to, "%s/%s", fixture.path, name);
    ck_assert_int_eq(rename(from, to), 0);
    segment.fd = open(to, O_RDWR | O_CLOEXEC);
    ck_assert(store_segment_begin(&segment));
    close(segment.fd);
    reopen(&fixture);
    uint8_t key[8] = {0};
    struct svm_bytes have, value;
    struct svm_kv_iter *iter = fixture.kv.iter_open(fixture.kv.self);
    fixture.kv.iter_seek(iter, (struct svm_bytes){key, sizeof key});
    for (; fixture.kv.iter_valid(iter, &have, &value); fixture.kv.iter_next(iter))
        ck_assert_uint_gt(bytes_get_u64be(have.ptr), BIG_COUNT - 8); /* of segment 2 */
    ck_assert_int_eq(fixture.kv.iter_close(iter), SVM_OK);
    end(&fixture);
}
END_TEST

/* A record that is half written, or whose head is damaged, ends its segment; the next one takes its place. */
START_TEST(a_torn_record_is_overwritten)
{
    struct rng rng;
    rng_init(&rng, bed_seed("a_torn_record_is_overwritten"));
    for (unsigned round = 0; round < 60; round++) {
        struct fixture fixture;
        char file[128];
        struct stat info;
        start(&fixture);
        for (unsigned i = 0; i < 10; i++)
            put(&fixture, SMALL_BYTES, true);
        snprintf(file, sizeof file, "%s/0000000000000001.log", fixture.path);
        ck_assert_int_eq(stat(file, &info), 0);
        const size_t each = SMALL_BYTES + 24;
        uint64_t hit = rng_below(&rng, 10); /* this many stay */
        if (round % 2 == 0) {
            off_t cut = info.st_size - (off_t)((10 - hit) * each) + (off_t)rng_below(&rng, each);
            ck_assert_int_eq(truncate(file, cut), 0);
        } else {
            int fd = open(file, O_RDWR | O_CLOEXEC);
            off_t at = info.st_size - (off_t)((10 - hit) * each) + (off_t)rng_below(&rng, 24);
            uint8_t byte;
            ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
            byte ^= (uint8_t)(1u << rng_below(&rng, 8));
            ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
            close(fd);
        }
        reopen(&fixture);
        fixture.next = 1 + hit;
        check_log(&fixture, 0, SMALL_BYTES);
        put(&fixture, SMALL_BYTES, true);
        reopen(&fixture); /* nothing of what stood behind has come back */
        check_log(&fixture, 0, SMALL_BYTES);
        end(&fixture);
    }
}
END_TEST

/* In place of libc's: what the log asks the disk for is counted, and can fail. */
static unsigned syncs;
static bool syncs_fail;

int fdatasync(int fd)
{
    syncs++;
    if (!syncs_fail)
        return (int)syscall(SYS_fdatasync, fd);
    errno = EIO;
    return -1;
}

START_TEST(what_is_synced_has_reached_the_disk)
{
    struct fixture fixture;
    start(&fixture);
    put(&fixture, SMALL_BYTES, false);
    unsigned before = syncs;
    put(&fixture, SMALL_BYTES, false);
    ck_assert_uint_eq(syncs, before);
    put(&fixture, SMALL_BYTES, true);
    ck_assert_uint_eq(syncs, before + 1);
    ck_assert_int_eq(fixture.kv.sync(fixture.kv.self), SVM_OK);
    ck_assert_uint_eq(syncs, before + 2);

    /* A sync that failed is an error, and after it nothing is taken any more: what the disk has is not known. */
    uint8_t key[8];
    bytes_put_u64be(key, fixture.next);
    const struct svm_kv_op op = {.key = {key, sizeof key}, .value = {big, SMALL_BYTES}};
    syncs_fail = true;
    ck_assert_int_eq(fixture.kv.write(fixture.kv.self, &op, 1, true), SVM_E_IO);
    syncs_fail = false;
    ck_assert_ptr_nonnull(fixture.kv.failure(fixture.kv.self));
    ck_assert_int_eq(fixture.kv.write(fixture.kv.self, &op, 1, true), SVM_E_IO);
    fixture.kv.close(fixture.kv.self);
    bed_remove(fixture.dir);
}
END_TEST

/* A segment of the log in FIXTURE with the one record KEY. */
static void make_segment(const struct fixture *fixture, uint64_t number, uint64_t key)
{
    struct store_segment segment = {.number = number};
    struct store_record record;
    char name[STORE_SEGMENT_NAME_BYTES], path[sizeof fixture->path + sizeof name];
    store_segment_name(name, number);
    snprintf(path, sizeof path, "%s/%s", fixture->path, name);
    segment.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(segment.fd, 0);
    ck_assert(store_segment_begin(&segment));
    ck_assert(store_segment_write(&segment, &record, key, (struct svm_bytes){big, SMALL_BYTES}));
    close(segment.fd);
}

/* Nothing that this program writes, and no crash, has a key stand behind a higher one. What was appended behind would be read behind the break. */
START_TEST(segments_out_of_order_are_refused)
{
    static const struct {
        uint64_t keys[3];
        const char *named; /* NULL = they are in order */
    } cases[] = {{{4, 14, 15}, NULL},
                 {{14, 4, 15}, "0000000000000002.log"},
                 {{4, 4, 5}, "0000000000000002.log"},
                 {{4, 14, 5}, "0000000000000003.log"}};
    struct fixture fixture;
    start(&fixture);
    fixture.kv.close(fixture.kv.self);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char reason[120] = "";
        for (uint64_t k = 0; k < 3; k++)
            make_segment(&fixture, k + 1, cases[i].keys[k]);
        enum svm_err err = store_kv_segments_open(&fixture.kv, fixture.path, reason);
        ck_assert_int_eq(err, cases[i].named == NULL ? SVM_OK : SVM_E_CORRUPT);
        if (err == SVM_OK)
            fixture.kv.close(fixture.kv.self);
        else
            ck_assert_msg(strstr(reason, cases[i].named) != NULL, "%s", reason);
    }
    bed_remove(fixture.dir);
}
END_TEST

START_TEST(an_error_is_said_and_final)
{
    struct svm_kv_ops kv;
    char reason[120];
    ck_assert_int_eq(store_kv_segments_open(&kv, "/proc/none/such", reason), SVM_E_IO);
    ck_assert_ptr_nonnull(strstr(reason, "/proc/none/such"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_segments");
    TCase *tcase = tcase_create("segments");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, what_is_appended_comes_back);
    tcase_add_test(tcase, trimmed_segments_are_written_over);
    tcase_add_test(tcase, what_was_there_before_does_not_shine_through);
    tcase_add_test(tcase, a_spare_with_a_new_head_is_empty);
    tcase_add_test(tcase, a_torn_record_is_overwritten);
    tcase_add_test(tcase, what_is_synced_has_reached_the_disk);
    tcase_add_test(tcase, segments_out_of_order_are_refused);
    tcase_add_test(tcase, an_error_is_said_and_final);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
