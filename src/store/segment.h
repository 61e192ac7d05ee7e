/* store/segment.h - one file of the log: a head, then records one behind the other.
 *
 *     head     "SVML", version 4, number 8, zero 8, check 8           (integers are little-endian)
 *     record   key 8, bytes of value 8, check 8, value                check: of number, key and length, by SHA-256
 *
 * The check tells a record of this segment from what stood there before, when the file was another one; whether the value is
 * whole, the group in it says itself. Keys ascend.
 *
 * Thread   the caller's lock guards records; the file is written by one thread (C) and read by any. */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <svm/error.h>
#include <svm/types.h>

enum {
    STORE_SEGMENT_NAME_BYTES = 32,
    STORE_SEGMENT_HEAD_BYTES = 32,
    STORE_RECORD_HEAD_BYTES = 24,
    STORE_RECORD_BYTES_MAX = 1 << 30
};

struct store_record {
    uint64_t key, at; /* AT: of the value, in the file */
    uint64_t len;
};
struct store_segment {
    uint64_t number;
    int fd;
    size_t refs;
    struct store_record *records;
    size_t first, count, cap; /* records below FIRST were deleted */
    uint64_t end; /* behind the last good record; below the head's length: there is no head */
    bool ragged;  /* the file goes on behind END */
};

/* store_segment_name: "0000000000000007.log". store_segment_number: true when NAME is such a name. */
void store_segment_name(char name[STORE_SEGMENT_NAME_BYTES], uint64_t number);
bool store_segment_number(const char *name, uint64_t *number_out);

/* store_segment_begin: write the head and make it durable; there are no records. False with errno. */
SVM_MUST_USE bool store_segment_begin(struct store_segment *segment);
/* store_segment_scan: the records in the file of SIZE bytes, up to the first that is none. SVM_OK, SVM_E_IO with errno, SVM_E_NO_MEMORY. */
SVM_MUST_USE enum svm_err store_segment_scan(struct store_segment *segment, uint64_t size);
/* store_segment_write: RECORD_OUT with VALUE behind the last one; not noted yet. False with errno.
 * store_segment_note: the record is there. False = no memory. */
SVM_MUST_USE bool store_segment_write(const struct store_segment *segment,
                                      struct store_record *record_out, uint64_t key,
                                      struct svm_bytes value);
SVM_MUST_USE bool store_segment_note(struct store_segment *segment,
                                     const struct store_record *record);
/* store_segment_read: the value of RECORD. False with errno; 0 = the file ends too soon. */
SVM_MUST_USE bool store_segment_read(const struct store_segment *segment, uint8_t *out,
                                     const struct store_record *record);
/* store_segment_rewrite: what reads see of it is on the disk. Of a write-back that has failed the kernel keeps
 * the pages as if they were written, and no later sync offers them again; some file systems leave the place in the file without a block, too, as
 * long as the page stays. So it is read, dropped from the page cache, and written where it stands. False with errno; 0 = the file ends too soon, ENOMEM = nothing was begun.
 * (A. Rebello et al., Can Applications Recover from fsync Failures?, USENIX ATC 2020.) */
SVM_MUST_USE bool store_segment_rewrite(const struct store_segment *segment);
/* store_segment_lower: the first of the records FIRST..COUNT with a key of KEY or above; COUNT = none. */
size_t store_segment_lower(const struct store_segment *segment, size_t first, size_t count,
                           uint64_t key);

#endif
