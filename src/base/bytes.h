/* base/bytes.h - integers in bytes, and bytes in text.
 *
 * Loads and stores of unaligned integers in a named byte order, and the two text forms of binary data that the protocol
 * uses: hexadecimal (ids, addresses, digests) and base64 (transactions, data). Decoders are strict: one text per value.
 * svm_hex32_format and svm_hex32_parse of <svm/types.h> are implemented here.
 *
 * Thread   any; everything is pure.
 * Memory   the caller's; nothing is allocated. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <svm/types.h>

/* ---- integers: bytes_get_<type><order>(p), bytes_put_<type><order>(p, value); P needs no alignment --------- */

static inline uint16_t bytes_get_u16le(const uint8_t *p)
{
    return (uint16_t)(p[0] | (unsigned)p[1] << 8);
}

static inline uint32_t bytes_get_u32le(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t bytes_get_u64le(const uint8_t *p)
{
    return (uint64_t)bytes_get_u32le(p) | (uint64_t)bytes_get_u32le(p + 4) << 32;
}

static inline uint16_t bytes_get_u16be(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t bytes_get_u32be(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static inline uint64_t bytes_get_u64be(const uint8_t *p)
{
    return (uint64_t)bytes_get_u32be(p) << 32 | (uint64_t)bytes_get_u32be(p + 4);
}

static inline void bytes_put_u16le(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void bytes_put_u32le(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

static inline void bytes_put_u64le(uint8_t *p, uint64_t v)
{
    bytes_put_u32le(p, (uint32_t)v);
    bytes_put_u32le(p + 4, (uint32_t)(v >> 32));
}

static inline void bytes_put_u16be(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void bytes_put_u32be(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline void bytes_put_u64be(uint8_t *p, uint64_t v)
{
    bytes_put_u32be(p, (uint32_t)(v >> 32));
    bytes_put_u32be(p + 4, (uint32_t)v);
}

/* ---- hexadecimal -------------------------------------------------------------------------------------------- */

/* hex_text_size: bytes of text for LEN bytes, the NUL included, no "0x". */
static inline size_t hex_text_size(size_t len)
{
    return 2 * len + 1;
}

/* hex_encode: LEN bytes as 2*LEN lowercase digits and a NUL into TEXT (hex_text_size(LEN)). No "0x". */
void hex_encode(char *text, const uint8_t *bytes, size_t len);

/* hex_decode: exactly TEXT_LEN digits (an even number, either case, no "0x") into BYTES.
 *   len_out  out  bytes written: TEXT_LEN / 2; only when true
 * Returns false when a character is no digit, the number is odd, or CAP is too small. BYTES may then be half written. */
SVM_MUST_USE bool hex_decode(uint8_t *bytes, size_t cap, size_t *len_out, const char *text,
                             size_t text_len);

/* ---- base64 (RFC 4648 section 4: '+' and '/', padded) ------------------------------------------------------- */

/* base64_text_len: characters for LEN bytes, without a NUL. */
static inline size_t base64_text_len(size_t len)
{
    return (len / 3 + (len % 3 != 0)) * 4;
}

/* base64_bytes_max: no text of TEXT_LEN characters decodes to more bytes than this. */
static inline size_t base64_bytes_max(size_t text_len)
{
    return text_len / 4 * 3;
}

/* base64_encode: LEN bytes into TEXT (base64_text_len(LEN) + 1), with a NUL. Returns the length without the NUL. */
size_t base64_encode(char *text, const uint8_t *bytes, size_t len);

/* base64_decode: TEXT_LEN characters into BYTES. Padding is required, white space and non-zero trailing bits are refused,
 * so that each byte string has exactly one text.
 *   len_out  out  bytes written; only when true
 * Returns false when the text is not of that form, or CAP is too small. BYTES may then be half written. */
SVM_MUST_USE bool base64_decode(uint8_t *bytes, size_t cap, size_t *len_out, const char *text,
                                size_t text_len);

#endif
