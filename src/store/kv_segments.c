/* store_kv_segments: the log as files that are appended to, behind svm_kv_ops.
 *
 *     log/0000000000000007.log      a segment: records one behind the other
 *     log/spare-3                   a segment that was trimmed, to be written over
 *
 * Keys are eight bytes, big-endian numbers, and ascend, from file to file too; a put is one write and one fdatasync. What a file holds
 * behind its last good record (segment.h) is cut off before the next one is written.
 *
 * Why not RocksDB: a put there goes through a write-ahead log and a memtable, and is written again when that is flushed; its fdatasync must each time
 * make a longer file durable. A segment is written once, and a trimmed one is written over: then the sync takes half the time (docs/decisions/0014).
 *
 * Deletion: of a range from the front, whole segments leave the disk, and the rest is only out of sight: it may come back
 * after a crash, which recovery allows. Of a range to the very end, durably.
 *
 * Thread   write: one at a time (C). del_range, checkpoint: one at a time (G), not to the end while writes come. Reads: any. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/fault.h"
#include "store/dir.h"
#include "store/segment.h"
#include "store/store.h"

/* A new segment is begun behind so many. In the short lives of tests/sim there shall be several too. */
#ifdef SVM_WEAVE
enum { SEGMENT_BYTES = 8 << 10 };
#else
enum { SEGMENT_BYTES = 64 << 20 };
#endif
enum { KEY_BYTES = 8, SPARES_MAX = 4, FAILURE_TEXT_BYTES = 200 };

struct segments {
    char *dir;
    int dir_fd;
    pthread_mutex_t lock;    /* guards the list, records, refs, spares, failure */
    pthread_mutex_t syncing; /* held around a sync and the look at FAILED; before `lock` */
    struct store_segment **list;
    size_t count, cap;
    uint64_t next_number;
    bool spare_there[SPARES_MAX];
    _Atomic bool failed; /* nothing more is written */
    /* What the first failed write or sync said, and the first failed read; once they are there they do not change. */
    char failure[FAILURE_TEXT_BYTES], misread[FAILURE_TEXT_BYTES];
};

/* What an iterator sees: so many records of each segment that was there. */
struct span {
    struct store_segment *segment;
    size_t first, count;
};
struct svm_kv_iter {
    struct segments *log;
    struct span *spans;
    size_t span_count;
    size_t span, index; /* the record it stands on; SPAN = SPAN_COUNT: behind the last */
    bool loaded;        /* it is in KEY and VALUE */
    enum svm_err err;
    uint8_t key[KEY_BYTES];
    uint8_t *value;
    size_t len, cap;
};

/* tell: what failed, by errno, unless TEXT is there already. */
static enum svm_err tell(struct segments *log, char text[FAILURE_TEXT_BYTES], const char *verb,
                         const char *what)
{
    int why = errno;
    pthread_mutex_lock(&log->lock);
    if (text[0] == '\0')
        snprintf(text, FAILURE_TEXT_BYTES, "cannot %s %.80s: %s", verb, what,
                 why == 0 ? "short" : strerror(why));
    pthread_mutex_unlock(&log->lock);
    return SVM_E_IO;
}

/* fail: it ends the log. A read does not: what becomes of it is the reader's affair. */
static enum svm_err fail(struct segments *log, const char *verb, const char *what)
{
    enum svm_err err = tell(log, log->failure, verb, what);
    log->failed = true;
    return err;
}

/* ---- segments ------------------------------------------------------------------------------------------------ */

static void segment_release_locked(struct store_segment *segment)
{
    SVM_ASSERT(segment->refs > 0);
    if (--segment->refs > 0)
        return;
    close(segment->fd);
    free(segment->records);
    free(segment);
}

static bool segment_add(struct segments *log, struct store_segment *segment)
{
    if (log->count == log->cap) {
        size_t cap = log->cap == 0 ? 16 : 2 * log->cap;
        struct store_segment **grown = realloc(log->list, cap * sizeof(struct store_segment *));
        if (grown == NULL)
            return false;
        log->list = grown;
        log->cap = cap;
    }
    log->list[log->count++] = segment;
    return true;
}

/* Do the keys of SEGMENT, the last one, ascend from those before it? No crash leaves it otherwise; cutting and appending rely on it. */
static bool continues(const struct segments *log, const struct store_segment *segment)
{
    for (size_t i = log->count - 1; segment->count > 0 && i-- > 0;) {
        const struct store_segment *before = log->list[i];
        if (before->count > 0)
            return before->records[before->count - 1].key < segment->records[0].key;
    }
    return true;
}

static enum svm_err segment_load(struct segments *log, uint64_t number)
{
    char name[STORE_SEGMENT_NAME_BYTES];
    struct stat info;
    store_segment_name(name, number);
    struct store_segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL)
        return SVM_E_NO_MEMORY;
    segment->number = number;
    segment->refs = 1;
    segment->fd = openat(log->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (segment->fd < 0 || fstat(segment->fd, &info) != 0 || !segment_add(log, segment)) {
        enum svm_err err = fail(log, "open", name);
        if (segment->fd >= 0)
            close(segment->fd);
        free(segment);
        return err;
    }
    enum svm_err err = store_segment_scan(segment, (uint64_t)info.st_size);
    if (err == SVM_OK && !continues(log, segment)) {
        snprintf(log->failure, sizeof log->failure,
                 "%s begins before the end of the segment before it: restore a checkpoint", name);
        return SVM_E_CORRUPT;
    }
    return err == SVM_E_IO ? fail(log, "read", name) : err;
}

static void spare_name(char name[STORE_SEGMENT_NAME_BYTES], unsigned index)
{
    snprintf(name, STORE_SEGMENT_NAME_BYTES, "spare-%u", index);
}

/* spare_find: the first place from FROM on with a spare, or without; SPARES_MAX = none. C takes them, G puts them there. */
static unsigned spare_find(struct segments *log, unsigned from, bool there)
{
    pthread_mutex_lock(&log->lock);
    while (from < SPARES_MAX && log->spare_there[from] != there)
        from++;
    pthread_mutex_unlock(&log->lock);
    return from;
}

static void spare_set(struct segments *log, unsigned index, bool there)
{
    pthread_mutex_lock(&log->lock);
    log->spare_there[index] = there;
    pthread_mutex_unlock(&log->lock);
}

/* segment_create: the next one, durably: over a spare, or new. */
static enum svm_err segment_create(struct segments *log)
{
    char name[STORE_SEGMENT_NAME_BYTES], spare[STORE_SEGMENT_NAME_BYTES];
    struct store_segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL)
        return SVM_E_NO_MEMORY;
    segment->number = log->next_number;
    segment->refs = 1;
    store_segment_name(name, segment->number);
    for (unsigned i = 0; (i = spare_find(log, i, true)) < SPARES_MAX; i++) {
        spare_set(log, i, false);
        spare_name(spare, i);
        if (renameat(log->dir_fd, spare, log->dir_fd, name) == 0)
            break;
    }
    FAULT_POINT("store.segment.before_create");
    segment->fd = openat(log->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (segment->fd < 0 || !store_segment_begin(segment) || fsync(log->dir_fd) != 0) {
        enum svm_err err = fail(log, "create", name);
        if (segment->fd >= 0)
            close(segment->fd);
        free(segment);
        return err;
    }
    FAULT_POINT("store.segment.after_create");
    pthread_mutex_lock(&log->lock);
    bool good = segment_add(log, segment);
    log->next_number += good;
    pthread_mutex_unlock(&log->lock);
    if (!good) {
        close(segment->fd);
        free(segment);
        return SVM_E_NO_MEMORY;
    }
    return SVM_OK;
}

/* segment_remove: the file of SEGMENT, which is out of the list, becomes a spare or goes. Not synced: it may be back after a crash. */
static enum svm_err segment_remove(struct segments *log, struct store_segment *segment, bool reuse)
{
    char name[STORE_SEGMENT_NAME_BYTES], spare[STORE_SEGMENT_NAME_BYTES];
    store_segment_name(name, segment->number);
    pthread_mutex_lock(&log->lock);
    bool alone = segment->refs == 1;
    segment_release_locked(segment);
    pthread_mutex_unlock(&log->lock);
    unsigned index = alone && reuse ? spare_find(log, 0, false) : SPARES_MAX;
    FAULT_POINT("store.segment.before_remove");
    if (index < SPARES_MAX) {
        spare_name(spare, index);
        if (renameat(log->dir_fd, name, log->dir_fd, spare) != 0)
            return fail(log, "rename", name);
        spare_set(log, index, true);
        return SVM_OK;
    }
    return unlinkat(log->dir_fd, name, 0) == 0 ? SVM_OK : fail(log, "remove", name);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static struct store_segment *current_locked(struct segments *log)
{
    return log->count == 0 ? NULL : log->list[log->count - 1];
}

/* current: the last segment. It stays: G removes others only. */
static struct store_segment *current(struct segments *log)
{
    pthread_mutex_lock(&log->lock);
    struct store_segment *segment = current_locked(log);
    pthread_mutex_unlock(&log->lock);
    return segment;
}

/* segment_sync: the segment is durable. A write-back that fails is told once: whoever syncs the same file at the same time or later hears that
 * all is well, though what was lost is lost. So one at a time, and none after the first failure. */
static enum svm_err segment_sync(struct segments *log, const struct store_segment *segment)
{
    enum svm_err err = SVM_E_IO;
    pthread_mutex_lock(&log->syncing);
    if (!log->failed)
        err = fdatasync(segment->fd) == 0 ? SVM_OK : fail(log, "sync", "a segment of the log");
    pthread_mutex_unlock(&log->syncing);
    return err;
}

/* room: a segment to append to. The one before it is durable when another is begun. */
static enum svm_err room(struct segments *log, struct store_segment **segment_out)
{
    struct store_segment *segment = current(log);
    if (segment != NULL && segment->end < STORE_SEGMENT_HEAD_BYTES) {
        pthread_mutex_lock(&log->lock);
        log->count--; /* it was never begun: nothing can be in it */
        pthread_mutex_unlock(&log->lock);
        enum svm_err err = segment_remove(log, segment, false);
        if (err != SVM_OK)
            return err;
        segment = NULL;
    }
    if (segment != NULL && segment->ragged) {
        if (ftruncate(segment->fd, (off_t)segment->end) != 0)
            return fail(log, "truncate", "a segment of the log");
        enum svm_err err = segment_sync(log, segment);
        if (err != SVM_OK)
            return err;
        segment->ragged = false;
    }
    if (segment == NULL || segment->end >= SEGMENT_BYTES) {
        enum svm_err err = segment == NULL ? SVM_OK : segment_sync(log, segment);
        if (err == SVM_OK)
            err = segment_create(log);
        if (err != SVM_OK)
            return err;
        segment = current(log);
    }
    *segment_out = segment;
    return SVM_OK;
}

static enum svm_err append(struct segments *log, const struct svm_kv_op *op)
{
    struct store_segment *segment = NULL;
    struct store_record record;
    SVM_ASSERT(!op->del);
    SVM_ASSERT(op->key.len == KEY_BYTES);
    enum svm_err err = room(log, &segment);
    if (err != SVM_OK)
        return err;
    if (!store_segment_write(segment, &record, bytes_get_u64be(op->key.ptr), op->value))
        return fail(log, "write", "a segment of the log");
    pthread_mutex_lock(&log->lock);
    bool good = store_segment_note(segment, &record);
    pthread_mutex_unlock(&log->lock);
    return good ? SVM_OK : SVM_E_NO_MEMORY;
}

static enum svm_err segments_sync(void *self)
{
    struct segments *log = self;
    pthread_mutex_lock(&log->lock);
    struct store_segment *segment = current_locked(log);
    if (segment != NULL)
        segment->refs++;
    pthread_mutex_unlock(&log->lock);
    if (segment == NULL)
        return SVM_OK;
    enum svm_err err = segment_sync(log, segment);
    pthread_mutex_lock(&log->lock);
    segment_release_locked(segment);
    pthread_mutex_unlock(&log->lock);
    return err;
}

static enum svm_err segments_write(void *self, const struct svm_kv_op *ops, size_t count, bool sync)
{
    struct segments *log = self;
    SVM_ASSERT(count == 1); /* one put is atomic, several would not be */
    if (log->failed)
        return SVM_E_IO; /* what was not written must not be followed by what is */
    enum svm_err err = append(log, &ops[0]);
    FAULT_POINT("store.segment.before_sync");
    return err == SVM_OK && sync ? segments_sync(log) : err;
}

/* ---- deleting ------------------------------------------------------------------------------------------------ */

static uint64_t bound(struct svm_bytes key)
{
    if (key.len > KEY_BYTES)
        return UINT64_MAX; /* above all keys */
    uint8_t full[KEY_BYTES] = {0};
    if (key.len > 0)
        memcpy(full, key.ptr, key.len);
    return bytes_get_u64be(full);
}

/* cut: everything from key FROM on goes, durably, the last segment first. */
static enum svm_err cut(struct segments *log, uint64_t from)
{
    while (log->count > 0) {
        struct store_segment *segment = current(log);
        size_t keep = store_segment_lower(segment, segment->first, segment->count, from);
        if (keep == segment->count && segment->count > 0)
            break;
        if (keep > 0 || segment->count == 0) {
            uint64_t end =
                keep == 0 ? segment->end : segment->records[keep].at - STORE_RECORD_HEAD_BYTES;
            if (ftruncate(segment->fd, (off_t)end) != 0 || fdatasync(segment->fd) != 0)
                return fail(log, "truncate", "a segment of the log");
            FAULT_POINT("store.cut.after_truncate");
            pthread_mutex_lock(&log->lock);
            segment->count = keep;
            segment->end = end;
            segment->ragged = false;
            pthread_mutex_unlock(&log->lock);
            if (keep > 0)
                break;
        }
        pthread_mutex_lock(&log->lock);
        log->count--;
        pthread_mutex_unlock(&log->lock);
        enum svm_err err = segment_remove(log, segment, false);
        if (err != SVM_OK)
            return err;
        if (fsync(log->dir_fd) != 0)
            return fail(log, "sync", log->dir);
    }
    return SVM_OK;
}

/* hide: the records of segment I in [FROM, TO) are out of sight. If it has no others and is not the last one it leaves the list, and is
 * given. */
static struct store_segment *hide(struct segments *log, size_t i, uint64_t from, uint64_t to,
                                  bool *end_out)
{
    pthread_mutex_lock(&log->lock);
    struct store_segment *segment = i < log->count ? log->list[i] : NULL;
    bool gone = false;
    *end_out = segment == NULL;
    if (segment != NULL) {
        if (segment->first < segment->count && segment->records[segment->first].key >= from)
            segment->first = store_segment_lower(segment, segment->first, segment->count, to);
        gone = segment->first == segment->count && i + 1 < log->count;
    }
    if (gone) {
        memmove(&log->list[i], &log->list[i + 1],
                (log->count - i - 1) * sizeof(struct store_segment *));
        log->count--;
    }
    pthread_mutex_unlock(&log->lock);
    return gone ? segment : NULL;
}

/* trim: whole segments leave the disk; of others, records leave the sight. */
static enum svm_err trim(struct segments *log, uint64_t from, uint64_t to)
{
    enum svm_err err = SVM_OK;
    bool end = false;
    for (size_t i = 0; err == SVM_OK && !end;) {
        struct store_segment *gone = hide(log, i, from, to, &end);
        if (gone != NULL)
            err = segment_remove(log, gone, true);
        else
            i++;
    }
    return err;
}

/* A record is found by the heads of all before it in its segment, and the last segment will be appended to: whole segments, and the last one always. */
static enum svm_err segments_sync_found(void *self, uint64_t from)
{
    struct segments *log = self;
    for (size_t i = 0; i < log->count; i++) { /* nobody else is there yet */
        const struct store_segment *segment = log->list[i];
        bool wanted = i + 1 == log->count ||
                      (segment->count > 0 && segment->records[segment->count - 1].key >= from);
        if (wanted && segment->end >= STORE_SEGMENT_HEAD_BYTES && !store_segment_rewrite(segment))
            return errno == ENOMEM ? SVM_E_NO_MEMORY
                                   : fail(log, "write again", "a segment of the log");
    }
    return SVM_OK;
}

static enum svm_err segments_del_range(void *self, struct svm_bytes from, struct svm_bytes to)
{
    struct segments *log = self;
    if (log->failed)
        return SVM_E_IO;
    return to.len > KEY_BYTES ? cut(log, bound(from)) : trim(log, bound(from), bound(to));
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

static struct svm_kv_iter *segments_iter_open(void *self)
{
    struct segments *log = self;
    struct svm_kv_iter *iter = calloc(1, sizeof *iter);
    if (iter == NULL)
        return NULL;
    iter->log = log;
    pthread_mutex_lock(&log->lock);
    iter->spans = malloc((log->count + 1) * sizeof *iter->spans);
    if (iter->spans != NULL) {
        for (size_t i = 0; i < log->count; i++) {
            struct store_segment *segment = log->list[i];
            segment->refs++;
            iter->spans[i] = (struct span){segment, segment->first, segment->count};
        }
        iter->span_count = iter->span = log->count;
    }
    pthread_mutex_unlock(&log->lock);
    if (iter->spans == NULL) {
        free(iter);
        return NULL;
    }
    return iter;
}

/* settle: if it stands behind the last record of a segment, on to the next that has one. */
static void settle(struct svm_kv_iter *iter)
{
    iter->loaded = false;
    while (iter->span < iter->span_count && iter->index >= iter->spans[iter->span].count) {
        iter->span++;
        iter->index = iter->span < iter->span_count ? iter->spans[iter->span].first : 0;
    }
}

static void segments_iter_seek(struct svm_kv_iter *iter, struct svm_bytes key)
{
    const uint64_t from = bound(key);
    pthread_mutex_lock(&iter->log->lock);
    for (iter->span = 0; iter->span < iter->span_count; iter->span++) {
        const struct span *span = &iter->spans[iter->span];
        iter->index = store_segment_lower(span->segment, span->first, span->count, from);
        if (iter->index < span->count)
            break;
    }
    pthread_mutex_unlock(&iter->log->lock);
    settle(iter);
}

static void segments_iter_seek_last(struct svm_kv_iter *iter)
{
    iter->loaded = false;
    for (iter->span = iter->span_count; iter->span-- > 0;) {
        const struct span *span = &iter->spans[iter->span];
        if (span->first < span->count) {
            iter->index = span->count - 1;
            return;
        }
    }
    iter->span = iter->span_count;
}

static enum svm_err load(struct svm_kv_iter *iter)
{
    struct store_segment *segment = iter->spans[iter->span].segment;
    pthread_mutex_lock(&iter->log->lock);
    const struct store_record record = segment->records[iter->index];
    pthread_mutex_unlock(&iter->log->lock);
    if (record.len > iter->cap || iter->value == NULL) {
        free(iter->value);
        iter->cap = (size_t)record.len + 1;
        iter->value = malloc(iter->cap);
        if (iter->value == NULL)
            return SVM_E_NO_MEMORY;
    }
    if (!store_segment_read(segment, iter->value, &record))
        return tell(iter->log, iter->log->misread, "read", "a segment of the log");
    bytes_put_u64be(iter->key, record.key);
    iter->len = (size_t)record.len;
    iter->loaded = true;
    return SVM_OK;
}

static bool segments_iter_valid(struct svm_kv_iter *iter, struct svm_bytes *key_out,
                                struct svm_bytes *value_out)
{
    if (iter->err != SVM_OK || iter->span == iter->span_count)
        return false;
    if (!iter->loaded)
        iter->err = load(iter);
    if (iter->err != SVM_OK)
        return false;
    *key_out = (struct svm_bytes){iter->key, sizeof iter->key};
    *value_out = (struct svm_bytes){iter->value, iter->len};
    return true;
}

static void segments_iter_next(struct svm_kv_iter *iter)
{
    SVM_ASSERT(iter->span < iter->span_count);
    iter->index++;
    settle(iter);
}

static enum svm_err segments_iter_close(struct svm_kv_iter *iter)
{
    enum svm_err err = iter->err;
    pthread_mutex_lock(&iter->log->lock);
    for (size_t i = 0; i < iter->span_count; i++)
        segment_release_locked(iter->spans[i].segment);
    pthread_mutex_unlock(&iter->log->lock);
    free(iter->spans);
    free(iter->value);
    free(iter);
    return err;
}

static enum svm_err segments_get(void *self, struct svm_bytes key, uint8_t **value_out,
                                 size_t *len_out)
{
    struct svm_kv_iter *iter = segments_iter_open(self);
    struct svm_bytes have, value;
    if (iter == NULL)
        return SVM_E_NO_MEMORY;
    segments_iter_seek(iter, key);
    bool found = segments_iter_valid(iter, &have, &value) && key.len == KEY_BYTES &&
                 memcmp(have.ptr, key.ptr, KEY_BYTES) == 0;
    if (found) {
        *value_out = iter->value;
        *len_out = iter->len;
        iter->value = NULL;
    }
    enum svm_err err = segments_iter_close(iter);
    return err == SVM_OK && !found ? SVM_E_NOT_FOUND : err;
}

/* ---- operation ----------------------------------------------------------------------------------------------- */

/* Up to LEN bytes of FROM at *AT, which moves on, to the end of TO. Not copy_file_range: not every file system has it. */
static bool copy_some(int from, loff_t *at, int to, uint64_t len)
{
    uint8_t bytes[16384];
    ssize_t have = pread(from, bytes, len < sizeof bytes ? (size_t)len : sizeof bytes, *at);
    if (have == 0)
        errno = 0;
    if (have <= 0)
        return have < 0 && errno == EINTR;
    ssize_t did = write(to, bytes, (size_t)have);
    if (did == 0)
        errno = 0;
    if (did <= 0)
        return did < 0 && errno == EINTR;
    *at += did;
    return true;
}

/* copy: the first LEN bytes of FROM, durably, as NAME in the directory TO. */
static bool copy(int from, int to, const char *name, uint64_t len)
{
    int fd = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool good = true;
    loff_t at = 0;
    while (good && (uint64_t)at < len)
        good = copy_some(from, &at, fd, len - (uint64_t)at);
    good = good && fsync(fd) == 0;
    int why = errno;
    close(fd);
    errno = why;
    return good;
}

static enum svm_err copy_failed(char reason[120], const char *verb, const char *what)
{
    int why = errno;
    snprintf(reason, 120, "cannot %s %.60s: %.40s", verb, what, why == 0 ? "short" : strerror(why));
    return store_dir_errno(why);
}

/* Copies, not links: a trimmed segment is written over. */
static enum svm_err segments_checkpoint(void *self, const char *dir, char reason[120])
{
    struct segments *log = self;
    if (mkdir(dir, 0700) != 0)
        return copy_failed(reason, "create", dir);
    int to = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to < 0)
        return copy_failed(reason, "open", dir);
    struct svm_kv_iter *iter = segments_iter_open(log);
    enum svm_err err = SVM_OK;
    if (iter == NULL) {
        snprintf(reason, 120, "out of memory");
        err = SVM_E_NO_MEMORY;
    }
    for (size_t i = 0; err == SVM_OK && i < iter->span_count; i++) {
        const struct span *span = &iter->spans[i];
        char name[STORE_SEGMENT_NAME_BYTES];
        store_segment_name(name, span->segment->number);
        pthread_mutex_lock(&log->lock);
        uint64_t end = STORE_SEGMENT_HEAD_BYTES;
        if (span->count > 0)
            end = span->segment->records[span->count - 1].at +
                  span->segment->records[span->count - 1].len;
        pthread_mutex_unlock(&log->lock);
        if (!copy(span->segment->fd, to, name, end))
            err = copy_failed(reason, "copy", name);
    }
    if (err == SVM_OK && fsync(to) != 0)
        err = copy_failed(reason, "sync", dir);
    if (iter != NULL)
        (void)segments_iter_close(iter);
    close(to);
    return err;
}

static enum svm_err segments_compact(void *self)
{
    (void)self;
    return SVM_OK;
}

static const char *segments_failure(void *self)
{
    struct segments *log = self;
    pthread_mutex_lock(&log->lock);
    const char *text = log->failure[0] != '\0'   ? log->failure
                       : log->misread[0] != '\0' ? log->misread
                                                 : NULL;
    pthread_mutex_unlock(&log->lock);
    return text;
}

static void segments_close(void *self)
{
    struct segments *log = self;
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->count; i++)
        segment_release_locked(log->list[i]);
    pthread_mutex_unlock(&log->lock);
    if (log->dir_fd >= 0)
        close(log->dir_fd);
    free(log->list);
    free(log->dir);
    pthread_mutex_destroy(&log->lock);
    pthread_mutex_destroy(&log->syncing);
    free(log);
}

/* ---- open ---------------------------------------------------------------------------------------------------- */

static int number_order(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* list: the numbers of the segments in the directory, ascending; gives (free). Notes the spares. */
static enum svm_err list(struct segments *log, uint64_t **numbers_out, size_t *count_out)
{
    DIR *listing = opendir(log->dir);
    if (listing == NULL)
        return fail(log, "list", log->dir);
    uint64_t *numbers = NULL, number;
    size_t count = 0;
    enum svm_err err = SVM_OK;
    for (const struct dirent *entry; err == SVM_OK && (entry = readdir(listing)) != NULL;) {
        unsigned spare;
        char behind;
        if (sscanf(entry->d_name, "spare-%u%c", &spare, &behind) == 1 && spare < SPARES_MAX)
            log->spare_there[spare] = true;
        if (!store_segment_number(entry->d_name, &number))
            continue;
        uint64_t *grown = realloc(numbers, (count + 1) * sizeof *numbers);
        if (grown == NULL) {
            err = SVM_E_NO_MEMORY;
            break;
        }
        numbers = grown;
        numbers[count++] = number;
    }
    closedir(listing);
    if (count > 0)
        qsort(numbers, count, sizeof *numbers, number_order);
    *numbers_out = numbers;
    *count_out = count;
    return err;
}

static enum svm_err open_all(struct segments *log)
{
    if (mkdir(log->dir, 0700) != 0 && errno != EEXIST)
        return fail(log, "create", log->dir);
    log->dir_fd = open(log->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (log->dir_fd < 0)
        return fail(log, "open", log->dir);
    uint64_t *numbers = NULL;
    size_t count = 0;
    enum svm_err err = list(log, &numbers, &count);
    for (size_t i = 0; err == SVM_OK && i < count; i++)
        err = segment_load(log, numbers[i]);
    /* The last life may have ended between the making of a file and the sync of its name. */
    if (err == SVM_OK && fsync(log->dir_fd) != 0)
        err = fail(log, "sync", log->dir);
    log->next_number = count == 0 ? 1 : numbers[count - 1] + 1;
    free(numbers);
    return err;
}

enum svm_err store_kv_segments_open(struct svm_kv_ops *ops_out, const char *dir, char reason[120])
{
    struct segments *log = calloc(1, sizeof *log);
    if (log != NULL) {
        pthread_mutex_init(&log->lock, NULL);
        pthread_mutex_init(&log->syncing, NULL);
        log->dir_fd = -1;
        log->dir = strdup(dir);
    }
    enum svm_err err = log == NULL || log->dir == NULL ? SVM_E_NO_MEMORY : open_all(log);
    if (err != SVM_OK) {
        const bool told = log != NULL && log->failure[0] != '\0';
        snprintf(reason, 120, "log: %.110s", told ? log->failure : svm_err_text(err));
        if (log != NULL)
            segments_close(log);
        return err;
    }
    *ops_out = (struct svm_kv_ops){
        .self = log,
        .write = segments_write,
        .sync = segments_sync,
        .sync_found = segments_sync_found,
        .flush = segments_sync,
        .del_range = segments_del_range,
        .get = segments_get,
        .iter_open = segments_iter_open,
        .iter_seek = segments_iter_seek,
        .iter_seek_last = segments_iter_seek_last,
        .iter_valid = segments_iter_valid,
        .iter_next = segments_iter_next,
        .iter_close = segments_iter_close,
        .checkpoint = segments_checkpoint,
        .compact = segments_compact,
        .close = segments_close,
        .failure = segments_failure,
    };
    return SVM_OK;
}
