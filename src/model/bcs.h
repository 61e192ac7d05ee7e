/* model/bcs.h - reader and writer for Binary Canonical Serialization.
 *
 * Integers are little-endian, lengths and variant tags ULEB128 in the shortest form. The reader is strict: exactly one
 * byte string decodes to each value. It fails once and stays failed; the first failure keeps its place and its reason.
 * The writer trusts its caller to have sized the buffer: every structure here has an exact _size function. */
#ifndef MODEL_BCS_H
#define MODEL_BCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <svm/types.h>

#include "base/bytes.h"

struct bcs_reader {
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *begin;
    const uint8_t *bad_at; /* with a reason: the first byte that is wrong */
    const char *reason;    /* NULL = good so far */
};

static inline void bcs_reader_init(struct bcs_reader *r, struct svm_bytes bytes)
{
    static const uint8_t nothing[1];
    r->begin = bytes.len > 0 ? bytes.ptr : nothing;
    r->at = r->begin;
    r->end = r->begin + bytes.len;
    r->bad_at = NULL;
    r->reason = NULL;
}

static inline size_t bcs_rest(const struct bcs_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* bcs_fail: note that the byte at BAD_AT is wrong; always false. */
static inline bool bcs_fail(struct bcs_reader *r, const uint8_t *bad_at, const char *reason)
{
    if (r->reason == NULL) {
        r->bad_at = bad_at;
        r->reason = reason;
    }
    return false;
}

static inline bool bcs_need(struct bcs_reader *r, size_t len)
{
    return bcs_rest(r) >= len || bcs_fail(r, r->end, "the bytes end too early");
}

static inline bool bcs_get_u8(struct bcs_reader *r, uint8_t *out)
{
    if (!bcs_need(r, 1))
        return false;
    *out = *r->at++;
    return true;
}

static inline bool bcs_get_u16(struct bcs_reader *r, uint16_t *out)
{
    if (!bcs_need(r, 2))
        return false;
    *out = bytes_get_u16le(r->at);
    r->at += 2;
    return true;
}

static inline bool bcs_get_u32(struct bcs_reader *r, uint32_t *out)
{
    if (!bcs_need(r, 4))
        return false;
    *out = bytes_get_u32le(r->at);
    r->at += 4;
    return true;
}

static inline bool bcs_get_u64(struct bcs_reader *r, uint64_t *out)
{
    if (!bcs_need(r, 8))
        return false;
    *out = bytes_get_u64le(r->at);
    r->at += 8;
    return true;
}

static inline bool bcs_get_bool(struct bcs_reader *r, bool *out)
{
    if (!bcs_need(r, 1))
        return false;
    if (*r->at > 1)
        return bcs_fail(r, r->at, "a bool is neither 0 nor 1");
    *out = *r->at++ == 1;
    return true;
}

/* bcs_get_option: the tag of an Option; SOME_OUT tells whether a value follows. */
static inline bool bcs_get_option(struct bcs_reader *r, bool *some_out)
{
    if (!bcs_need(r, 1))
        return false;
    if (*r->at > 1)
        return bcs_fail(r, r->at, "an option tag is neither 0 nor 1");
    *some_out = *r->at++ == 1;
    return true;
}

/* bcs_get_array: LEN raw bytes (ids, addresses, keys). */
static inline bool bcs_get_array(struct bcs_reader *r, uint8_t *out, size_t len)
{
    if (!bcs_need(r, len))
        return false;
    memcpy(out, r->at, len);
    r->at += len;
    return true;
}

static inline bool bcs_get_uleb_long(struct bcs_reader *r, uint32_t *out)
{
    const uint8_t *start = r->at;
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte;
        if (!bcs_get_u8(r, &byte))
            return false;
        if (shift == 28 && byte > 0x0f)
            return bcs_fail(r, start, "a length or tag does not fit in 32 bits");
        value |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (byte == 0 && shift > 0)
                return bcs_fail(r, start, "a length or tag is not in its shortest form");
            *out = value;
            return true;
        }
    }
    return bcs_fail(r, start, "a length or tag does not fit in 32 bits");
}

static inline bool bcs_get_uleb(struct bcs_reader *r, uint32_t *out)
{
    if (r->at < r->end && *r->at < 0x80) {
        *out = *r->at++;
        return true;
    }
    return bcs_get_uleb_long(r, out);
}

/* bcs_get_len: the length of a vector of at most MAX elements, each of at least one byte. */
static inline bool bcs_get_len(struct bcs_reader *r, uint32_t *out, uint32_t max,
                               const char *over_max)
{
    const uint8_t *start = r->at;
    if (!bcs_get_uleb(r, out))
        return false;
    if (*out > max)
        return bcs_fail(r, start, over_max);
    if (*out > bcs_rest(r))
        return bcs_fail(r, start, "a length goes beyond the end of the bytes");
    return true;
}

/* bcs_get_bytes: a byte string of at most MAX bytes, borrowed from what is read. */
static inline bool bcs_get_bytes(struct bcs_reader *r, struct svm_bytes *out, uint32_t max,
                                 const char *over_max)
{
    uint32_t len;
    if (!bcs_get_len(r, &len, max, over_max))
        return false;
    *out = (struct svm_bytes){r->at, len};
    r->at += len;
    return true;
}

/* bcs_get_end: nothing may follow. */
static inline bool bcs_get_end(struct bcs_reader *r)
{
    return r->at == r->end || bcs_fail(r, r->at, "bytes follow the end of the value");
}

/* ---- writer ------------------------------------------------------------------------------------------------ */

static inline size_t bcs_uleb_size(size_t value)
{
    size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

static inline size_t bcs_bytes_size(size_t len)
{
    return bcs_uleb_size(len) + len;
}

static inline uint8_t *bcs_put_u8(uint8_t *p, uint8_t value)
{
    *p = value;
    return p + 1;
}

static inline uint8_t *bcs_put_u16(uint8_t *p, uint16_t value)
{
    bytes_put_u16le(p, value);
    return p + 2;
}

static inline uint8_t *bcs_put_u32(uint8_t *p, uint32_t value)
{
    bytes_put_u32le(p, value);
    return p + 4;
}

static inline uint8_t *bcs_put_u64(uint8_t *p, uint64_t value)
{
    bytes_put_u64le(p, value);
    return p + 8;
}

static inline uint8_t *bcs_put_array(uint8_t *p, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(p, bytes, len);
    return p + len;
}

static inline uint8_t *bcs_put_uleb(uint8_t *p, size_t value)
{
    while (value >= 0x80) {
        *p++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *p++ = (uint8_t)value;
    return p;
}

static inline uint8_t *bcs_put_bytes(uint8_t *p, const void *bytes, size_t len)
{
    return bcs_put_array(bcs_put_uleb(p, len), bytes, len);
}

#endif
