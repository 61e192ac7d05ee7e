#include "store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "crypto/sha256.h"

enum { SEGMENT_VERSION = 1 };

static const uint8_t segment_magic[4] = {'S', 'V', 'M', 'L'};

void store_segment_name(char name[STORE_SEGMENT_NAME_BYTES], uint64_t number)
{
    snprintf(name, STORE_SEGMENT_NAME_BYTES, "%016llx.log", (unsigned long long)number);
}

bool store_segment_number(const char *name, uint64_t *number_out)
{
    char again[STORE_SEGMENT_NAME_BYTES];
    *number_out = strtoull(name, NULL, 16);
    store_segment_name(again, *number_out);
    return strcmp(again, name) == 0;
}

/* ---- bytes --------------------------------------------------------------------------------------------------- */

static bool read_all(int fd, uint8_t *out, size_t len, uint64_t at)
{
    while (len > 0) {
        ssize_t did = pread(fd, out, len, (off_t)at);
        if (did < 0 && errno == EINTR)
            continue;
        if (did <= 0) {
            if (did == 0)
                errno = 0;
            return false;
        }
        out += did;
        len -= (size_t)did;
        at += (uint64_t)did;
    }
    return true;
}

/* write_all: HEAD, then VALUE (may be empty). */
static bool write_all(int fd, uint64_t at, const uint8_t *head, size_t head_len,
                      struct svm_bytes value)
{
    size_t done = 0;
    while (done < head_len + value.len) {
        size_t in_head = done < head_len ? done : head_len, in_value = done - in_head;
        struct iovec iov[2] = {{(void *)(uintptr_t)(head + in_head), head_len - in_head},
                               {(void *)(uintptr_t)(value.ptr + in_value), value.len - in_value}};
        ssize_t did = pwritev(fd, iov, value.len > 0 ? 2 : 1, (off_t)(at + done));
        if (did < 0 && errno == EINTR)
            continue;
        if (did <= 0)
            return false;
        done += (size_t)did;
    }
    return true;
}

static uint64_t check_of(uint64_t number, uint64_t a, uint64_t b)
{
    uint8_t bytes[24], hash[32];
    bytes_put_u64le(bytes, number);
    bytes_put_u64le(bytes + 8, a);
    bytes_put_u64le(bytes + 16, b);
    crypto_sha256(hash, bytes, sizeof bytes);
    return bytes_get_u64le(hash);
}

static void head_encode(uint8_t head[STORE_SEGMENT_HEAD_BYTES], uint64_t number)
{
    memset(head, 0, STORE_SEGMENT_HEAD_BYTES);
    memcpy(head, segment_magic, sizeof segment_magic);
    bytes_put_u32le(head + 4, SEGMENT_VERSION);
    bytes_put_u64le(head + 8, number);
    bytes_put_u64le(head + 24, check_of(number, SEGMENT_VERSION, 0));
}

/* ---- records ------------------------------------------------------------------------------------------------- */

bool store_segment_note(struct store_segment *segment, const struct store_record *record)
{
    SVM_ASSERT(segment->count == 0 || segment->records[segment->count - 1].key < record->key);
    if (segment->count == segment->cap) {
        size_t cap = segment->cap == 0 ? 64 : 2 * segment->cap;
        struct store_record *grown = realloc(segment->records, cap * sizeof *grown);
        if (grown == NULL)
            return false;
        segment->records = grown;
        segment->cap = cap;
    }
    segment->records[segment->count++] = *record;
    segment->end = record->at + record->len;
    return true;
}

bool store_segment_begin(struct store_segment *segment)
{
    uint8_t head[STORE_SEGMENT_HEAD_BYTES];
    head_encode(head, segment->number);
    if (!write_all(segment->fd, 0, head, sizeof head, (struct svm_bytes){head, 0}) ||
        fdatasync(segment->fd) != 0)
        return false;
    segment->end = STORE_SEGMENT_HEAD_BYTES;
    return true;
}

enum svm_err store_segment_scan(struct store_segment *segment, uint64_t size)
{
    uint8_t head[STORE_SEGMENT_HEAD_BYTES], want[STORE_SEGMENT_HEAD_BYTES];
    segment->ragged = true;
    if (size < sizeof head)
        return SVM_OK;
    head_encode(want, segment->number);
    if (!read_all(segment->fd, head, sizeof head, 0))
        return SVM_E_IO;
    if (memcmp(head, want, sizeof head) != 0)
        return SVM_OK;
    segment->end = STORE_SEGMENT_HEAD_BYTES;
    while (size - segment->end >= STORE_RECORD_HEAD_BYTES) {
        if (!read_all(segment->fd, head, STORE_RECORD_HEAD_BYTES, segment->end))
            return SVM_E_IO;
        const struct store_record record = {.key = bytes_get_u64le(head),
                                            .at = segment->end + STORE_RECORD_HEAD_BYTES,
                                            .len = bytes_get_u64le(head + 8)};
        if (bytes_get_u64le(head + 16) != check_of(segment->number, record.key, record.len) ||
            record.len > STORE_RECORD_BYTES_MAX || record.len > size - record.at)
            break;
        if (segment->count > 0 && record.key <= segment->records[segment->count - 1].key)
            break;
        if (!store_segment_note(segment, &record))
            return SVM_E_NO_MEMORY;
    }
    segment->ragged = segment->end < size;
    return SVM_OK;
}

bool store_segment_write(const struct store_segment *segment, struct store_record *record_out,
                         uint64_t key, struct svm_bytes value)
{
    SVM_ASSERT(segment->end >= STORE_SEGMENT_HEAD_BYTES);
    SVM_ASSERT(value.len <= STORE_RECORD_BYTES_MAX);
    uint8_t head[STORE_RECORD_HEAD_BYTES];
    bytes_put_u64le(head, key);
    bytes_put_u64le(head + 8, value.len);
    bytes_put_u64le(head + 16, check_of(segment->number, key, value.len));
    *record_out = (struct store_record){
        .key = key, .at = segment->end + STORE_RECORD_HEAD_BYTES, .len = value.len};
    return write_all(segment->fd, segment->end, head, sizeof head, value);
}

bool store_segment_read(const struct store_segment *segment, uint8_t *out,
                        const struct store_record *record)
{
    return read_all(segment->fd, out, (size_t)record->len, record->at);
}

bool store_segment_rewrite(const struct store_segment *segment)
{
    enum { PART_BYTES = 1 << 18 }; /* whole pages */
    uint8_t *part = malloc(PART_BYTES);
    bool good =
        part != NULL && fdatasync(segment->fd) == 0; /* pages that are dirty are not dropped */
    for (uint64_t at = 0; good && at < segment->end; at += PART_BYTES) {
        size_t len = segment->end - at < PART_BYTES ? (size_t)(segment->end - at) : PART_BYTES;
        good = read_all(segment->fd, part, len, at);
        if (!good)
            break; /* what is there may be all there is */
        (void)posix_fadvise(segment->fd, (off_t)at, PART_BYTES, POSIX_FADV_DONTNEED);
        good = write_all(segment->fd, at, part, len, (struct svm_bytes){part, 0});
    }
    const int why = errno;
    free(part);
    errno = why;
    return good && fdatasync(segment->fd) == 0;
}

size_t store_segment_lower(const struct store_segment *segment, size_t first, size_t count,
                           uint64_t key)
{
    size_t low = first, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segment->records[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
