/* The log: segments, records and groups with any damage, before a recovery. What comes back is a prefix of what was written, or a
 * typed refusal; and where it came back, life goes on.
 *
 *     input    a program: operation 1, arguments; see `damage`
 *
 * Some operations forge: hashes are made to fit again, so that what lies behind them is reached. A forged log may hold anything;
 * then only the manners count. */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "crypto/sha256.h"
#include "store/group.h"
#include "store/segment.h"
#include "unit/store_bed.h"

enum { RECORDS = 12, RECORDS_MAX = 24, FILES_MAX = 4, SEED = 7, FILE_BYTES_MAX = 1 << 18 };

/* ---- without libcheck's runner ------------------------------------------------------------------------------- */

/* store_bed.c states what must hold by ck_assert; here that is this. */
void _ck_assert_failed(const char *file, int line, const char *expr, const char *msg, ...)
{
    fprintf(stderr, "%s:%d: %s %s\n", file, line, expr, msg == NULL ? "" : msg);
    abort();
}
void _mark_point(const char *file, int line)
{
    (void)file;
    (void)line;
}

/* ---- what was written ---------------------------------------------------------------------------------------- */

struct record {
    uint64_t key;
    uint8_t *value; /* owned */
    size_t len;
};
static struct record written[RECORDS];
static uint64_t last_of[RECORDS]; /* position at which a record ends */

static void keep_records(const struct svm_kv_ops *log)
{
    struct svm_bytes key, value;
    struct svm_kv_iter *iter = log->iter_open(log->self);
    size_t count = 0;
    log->iter_seek(iter, (struct svm_bytes){(const uint8_t *)"", 0});
    for (; log->iter_valid(iter, &key, &value); log->iter_next(iter), count++) {
        FUZZ_CHECK(count < RECORDS, "records");
        written[count] =
            (struct record){bytes_get_u64be(key.ptr), fuzz_copy(value.ptr, value.len), value.len};
        last_of[count] = bytes_get_u64le(value.ptr + 16);
    }
    FUZZ_CHECK(log->iter_close(iter) == SVM_OK && count == RECORDS, "%zu records", count);
}

static char log_dir[96];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct bed bed;
    (void)argc;
    (void)argv;
    snprintf(log_dir, sizeof log_dir, "%s/log", fuzz_dir());
    bed_init_ram(&bed, SEED, STORE_WRITE);
    bed_open(&bed);
    for (unsigned i = 0; i < RECORDS; i++) {
        if (i == RECORDS / 2)
            FUZZ_CHECK(store_log_sync(bed.store) == SVM_OK, "sync");
        bed_commit(&bed, 1 + i % 4);
    }
    keep_records(&bed.log_ops);
    bed_deinit(&bed);
    return 0;
}

/* ---- damage -------------------------------------------------------------------------------------------------- */

struct damaged {
    struct record records[RECORDS_MAX];
    size_t count;
    bool begins_file[RECORDS_MAX];
    bool forged;
    unsigned materialised; /* records that `state` holds already */
};

static void drop(struct damaged *log, size_t at)
{
    free(log->records[at].value);
    memmove(&log->records[at], &log->records[at + 1],
            (log->count - at - 1) * sizeof log->records[0]);
    log->count--;
}

/* reseal: the hashes of a record fit its contents again, and its neighbour's LINK, if asked for. */
static void reseal(struct damaged *log, size_t at, bool frames, bool links)
{
    log->forged = true;
    for (size_t i = at; i < log->count; i++) {
        struct record *record = &log->records[i];
        if (record->len < STORE_GROUP_HEADER_BYTES)
            return;
        if (frames && i == at)
            crypto_sha256(record->value + 80, record->value + STORE_GROUP_HEADER_BYTES,
                          record->len - STORE_GROUP_HEADER_BYTES);
        if (i > at && links && log->records[i - 1].len >= STORE_GROUP_HEADER_BYTES)
            memcpy(record->value + 48, log->records[i - 1].value + 112, 32);
        crypto_sha256(record->value + 112, record->value, 112);
        if (!links)
            return;
    }
}

static void put_bytes(struct record *record, size_t at, struct svm_bytes bytes)
{
    if (record->len == 0 || bytes.len == 0)
        return;
    at %= record->len;
    memcpy(record->value + at, bytes.ptr,
           bytes.len < record->len - at ? bytes.len : record->len - at);
}

static void add(struct damaged *log, size_t at, const struct record *record)
{
    if (log->count == RECORDS_MAX)
        return;
    memmove(&log->records[at + 1], &log->records[at], (log->count - at) * sizeof log->records[0]);
    log->records[at] = *record;
    log->records[at].value = fuzz_copy(record->value, record->len);
    log->count++;
}

static void damage(struct damaged *log, struct fuzz_in *in)
{
    const uint8_t what = fuzz_u8(in);
    const size_t i = log->count == 0 ? 0 : fuzz_u8(in) % log->count;
    struct record *record = &log->records[i];
    if (log->count == 0 || record->len == 0)
        return;
    const size_t at = (size_t)fuzz_uint(in, 2);
    switch (what % 12) {
    case 0:
        record->value[at % record->len] ^= (uint8_t)(fuzz_u8(in) | 1);
        break;
    case 1:
        record->len = at % record->len;
        break;
    case 2:
        drop(log, i);
        break;
    case 3:
        log->begins_file[i] = true;
        break;
    case 4:
        record->key = fuzz_uint(in, 2);
        break;
    case 5: /* a field of the header */
        bytes_put_u64le(record->value + 8 + 8 * (at % 5), fuzz_uint(in, 8));
        reseal(log, i, false, fuzz_u8(in) & 1);
        break;
    case 6: /* other frames */
        if (record->len > STORE_GROUP_HEADER_BYTES) {
            const size_t body = record->len - STORE_GROUP_HEADER_BYTES;
            record->value[STORE_GROUP_HEADER_BYTES + at % body] = fuzz_u8(in);
            reseal(log, i, true, fuzz_u8(in) & 1);
        }
        break;
    case 7: /* other frames, many bytes */
        put_bytes(record, STORE_GROUP_HEADER_BYTES + at, fuzz_slice(in, fuzz_u8(in)));
        reseal(log, i, true, fuzz_u8(in) & 1);
        break;
    case 8: /* fewer */
        if (record->len > STORE_GROUP_HEADER_BYTES) {
            const size_t body = at % (record->len - STORE_GROUP_HEADER_BYTES);
            record->len = STORE_GROUP_HEADER_BYTES + body;
            bytes_put_u64le(record->value + 40, body);
            reseal(log, i, true, fuzz_u8(in) & 1);
        }
        break;
    case 9:
        add(log, at % (log->count + 1), record);
        break;
    case 10:
        log->materialised = (unsigned)(at % (RECORDS + 1));
        break;
    default:
        put_bytes(record, at, fuzz_slice(in, fuzz_u8(in)));
    }
}

/* ---- files --------------------------------------------------------------------------------------------------- */

static uint64_t check_of(uint64_t number, uint64_t a, uint64_t b)
{
    uint8_t bytes[24], hash[32];
    bytes_put_u64le(bytes, number);
    bytes_put_u64le(bytes + 8, a);
    bytes_put_u64le(bytes + 16, b);
    crypto_sha256(hash, bytes, sizeof bytes);
    return bytes_get_u64le(hash);
}

static uint8_t file[FILE_BYTES_MAX];
static size_t file_len;

static void file_begin(uint64_t number)
{
    memset(file, 0, STORE_SEGMENT_HEAD_BYTES);
    memcpy(file, "SVML", 4);
    bytes_put_u32le(file + 4, 1);
    bytes_put_u64le(file + 8, number);
    bytes_put_u64le(file + 24, check_of(number, 1, 0));
    file_len = STORE_SEGMENT_HEAD_BYTES;
}

static void file_add(uint64_t number, const struct record *record)
{
    if (file_len + STORE_RECORD_HEAD_BYTES + record->len > sizeof file)
        return;
    bytes_put_u64le(file + file_len, record->key);
    bytes_put_u64le(file + file_len + 8, record->len);
    bytes_put_u64le(file + file_len + 16, check_of(number, record->key, record->len));
    memcpy(file + file_len + STORE_RECORD_HEAD_BYTES, record->value, record->len);
    file_len += STORE_RECORD_HEAD_BYTES + record->len;
}

/* file_end: write the file, after so much more damage as IN says: a byte, the length, more behind it. */
static void file_end(uint64_t number, struct fuzz_in *in)
{
    char name[STORE_SEGMENT_NAME_BYTES], path[sizeof log_dir + sizeof name];
    const uint8_t what = fuzz_u8(in);
    const size_t at = what == 0 ? 0 : (size_t)fuzz_uint(in, 2);
    if (what % 4 == 1)
        file[at % file_len] ^= (uint8_t)(fuzz_u8(in) | 1);
    if (what % 4 == 2)
        file_len = at % file_len;
    if (what % 4 == 3) {
        const struct svm_bytes more = fuzz_slice(in, at);
        if (more.len > 0 && more.len <= sizeof file - file_len) {
            memcpy(file + file_len, more.ptr, more.len);
            file_len += more.len;
        }
    }
    store_segment_name(name, number);
    snprintf(path, sizeof path, "%s/%s", log_dir, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, file, file_len) == (ssize_t)file_len, "%s", path);
    close(fd);
}

static void write_files(const struct damaged *log, struct fuzz_in *in)
{
    uint64_t number = 1;
    file_begin(number);
    for (size_t i = 0; i < log->count; i++) {
        if (log->begins_file[i] && number < FILES_MAX) {
            file_end(number++, in);
            file_begin(number);
        }
        file_add(number, &log->records[i]);
    }
    file_end(number, in);
}

static void remove_files(void)
{
    DIR *listing = opendir(log_dir);
    FUZZ_CHECK(listing != NULL, "%s", log_dir);
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(listing), entry->d_name, 0);
    closedir(listing);
}

/* ---- recovery ------------------------------------------------------------------------------------------------ */

/* state_upto: a state that holds the first COUNT records, as an intact log makes it. */
static void state_upto(struct bed *bed, unsigned count)
{
    bed_open(bed);
    bed_close(bed);
    for (unsigned i = 0; i < count; i++) {
        uint8_t key[8];
        bytes_put_u64be(key, written[i].key);
        const struct svm_kv_op op = {.key = {key, 8}, .value = {written[i].value, written[i].len}};
        FUZZ_CHECK(bed->log_ops.write(bed->log_ops.self, &op, 1, true) == SVM_OK, "write");
    }
    bed_open(bed);
    bed_close(bed);
}

static enum svm_err open_damaged(struct bed *bed)
{
    const enum svm_err err = store_kv_segments_open(&bed->log_ops, log_dir, bed->reason);
    /* Files are readable: what is in them comes later, but for their order. */
    FUZZ_CHECK(err == SVM_OK || err == SVM_E_CORRUPT, "%s", bed->reason);
    return err == SVM_OK ? bed_try_open(bed) : err;
}

static bool count_frame(void *arg, const struct model_frame *frame)
{
    (void)frame;
    ++*(uint64_t *)arg;
    return true;
}

/* go_on: what was recovered is whole, and more can be written and recovered. */
static void go_on(struct bed *bed, const struct damaged *log)
{
    const uint64_t end = bed->opened.next_seq - 1;
    uint64_t frames = 0;
    FUZZ_CHECK(store_materialised(bed->store) == end, "materialised");
    (void)!store_log_visit(bed->store, 1, count_frame, &frames);
    if (log->forged)
        return;
    FUZZ_CHECK(log->materialised == 0 || end >= last_of[log->materialised - 1], "%llu is lost",
               (unsigned long long)end);
    FUZZ_CHECK(end <= last_of[RECORDS - 1], "%llu", (unsigned long long)end);
    bed_check(bed, end);
    bed_rewind(bed, end);
    bed_commit(bed, 2);
    bed_close(bed);
    FUZZ_CHECK(open_damaged(bed) == SVM_OK, "%s", bed->reason);
    FUZZ_CHECK(bed->opened.next_seq == end + 3 && bed->opened.cut_groups == 0, "%llu",
               (unsigned long long)bed->opened.next_seq);
    bed_check(bed, end + 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};
    struct damaged log = {.count = RECORDS};
    struct bed bed;
    for (unsigned i = 0; i < RECORDS; i++) {
        log.records[i] = written[i];
        log.records[i].value = fuzz_copy(written[i].value, written[i].len);
    }
    for (unsigned steps = fuzz_u8(&in) % 12; steps > 0; steps--)
        damage(&log, &in);
    (void)!mkdir(log_dir, 0700);
    write_files(&log, &in);
    bed_init_ram(&bed, SEED, STORE_WRITE);
    state_upto(&bed, log.materialised);
    const enum svm_err err = open_damaged(&bed);
    FUZZ_CHECK(err == SVM_OK || err == SVM_E_CORRUPT, "%s: %s", svm_err_name(err), bed.reason);
    FUZZ_CHECK((err == SVM_OK) == (bed.reason[0] == '\0'), "%s: %s", svm_err_name(err), bed.reason);
    if (err == SVM_OK)
        go_on(&bed, &log);
    bed_deinit(&bed);
    for (size_t i = 0; i < log.count; i++)
        free(log.records[i].value);
    remove_files();
    return 0;
}
