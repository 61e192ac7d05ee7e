/* store/rows.h - the rows of `state`: one column family, one prefix byte per kind.
 *
 *     key                                     value (integers of keys big-endian, of values little-endian)
 *     'c' cell key                            seq 8, version 8, deleted 1, value
 *     'h' id 32, ~version 8                   seq 8, object row      every version written, newest first within an id
 *     'm'                                     meta, see meta.h       in every batch, so that it cannot part from the rows
 *     'o' id 32                               seq 8, object row      newest version; tombstones stay for ever
 *     'i' 'j' 'r'                             see runs.h             where the receipt of a digest is
 *     'w' owner 32, id 32                     empty                  who owns what
 *     'x' seq 8                               see receipts.h         receipts in order: appended, never in between, so that
 *                                                                    they are written once; last of all kinds for that */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "store/store.h"

enum {
    ROW_CELL = 'c',
    ROW_HISTORY = 'h',
    ROW_RUN = 'i',
    ROW_RUN_MAP = 'j',
    ROW_META = 'm',
    ROW_OBJECT = 'o',
    ROW_RECEIPT = 'r',
    ROW_OWNED = 'w',
    ROW_ORDER = 'x',

    ROW_SEQ_BYTES = 8,
    ROW_CELL_HEAD_BYTES = 17,
    ROW_KEY_MAX = 1 + 2 * 32
};

/* A key under construction, for reads; writes build theirs in the batch. */
struct row_key {
    uint8_t b[ROW_KEY_MAX];
    size_t len;
};

static inline struct svm_bytes row_key_bytes(const struct row_key *key)
{
    return (struct svm_bytes){key->b, key->len};
}

/* row_key_encode: KIND, then A, then B, into AT; returns the length. Either part may be empty. */
static inline size_t row_key_encode(uint8_t *at, uint8_t kind, const void *a, size_t a_len,
                                    const void *b, size_t b_len)
{
    at[0] = kind;
    if (a_len > 0)
        memcpy(at + 1, a, a_len);
    if (b_len > 0)
        memcpy(at + 1 + a_len, b, b_len);
    return 1 + a_len + b_len;
}

static inline void row_key_set(struct row_key *key, uint8_t kind, const void *a, size_t a_len,
                               const void *b, size_t b_len)
{
    SVM_ASSERT(1 + a_len + b_len <= sizeof key->b);
    key->len = row_key_encode(key->b, kind, a, a_len, b, b_len);
}

static inline void row_version_put(uint8_t at[8], uint64_t version)
{
    bytes_put_u64be(at, ~version); /* newest first */
}

static inline uint64_t row_version_get(const uint8_t at[8])
{
    return ~bytes_get_u64be(at);
}

#endif
