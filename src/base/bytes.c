#include "base/bytes.h"

#include <string.h>

/* Tables are filled by the preprocessor: a row of 16, and 16 rows. */
#define ROW(f, high)                                                                               \
    f(high, 0), f(high, 1), f(high, 2), f(high, 3), f(high, 4), f(high, 5), f(high, 6),            \
        f(high, 7), f(high, 8), f(high, 9), f(high, 10), f(high, 11), f(high, 12), f(high, 13),    \
        f(high, 14), f(high, 15)
#define ROWS(f)                                                                                    \
    ROW(f, 0), ROW(f, 1), ROW(f, 2), ROW(f, 3), ROW(f, 4), ROW(f, 5), ROW(f, 6), ROW(f, 7),        \
        ROW(f, 8), ROW(f, 9), ROW(f, 10), ROW(f, 11), ROW(f, 12), ROW(f, 13), ROW(f, 14),          \
        ROW(f, 15)

#define HEX_DIGIT(n) ((n) < 10 ? '0' + (n) : 'a' + (n)-10)
#define HEX_PAIR(high, low)                                                                        \
    {                                                                                              \
        HEX_DIGIT(high), HEX_DIGIT(low)                                                            \
    }

static const char hex_pairs[256][2] = {ROWS(HEX_PAIR)};

#define BETWEEN(c, first, last) ((c) >= (first) && (c) <= (last))
#define HEX_VALUE_OF(c)                                                                            \
    (BETWEEN(c, '0', '9')   ? (c) - '0'                                                            \
     : BETWEEN(c, 'a', 'f') ? (c) - 'a' + 10                                                       \
     : BETWEEN(c, 'A', 'F') ? (c) - 'A' + 10                                                       \
                            : -1)
#define HEX_VALUE(high, low) (int8_t) HEX_VALUE_OF((high)*16 + (low))

static const int8_t hex_values[256] = {ROWS(HEX_VALUE)};

static int hex_value(char c)
{
    return hex_values[(unsigned char)c];
}

void hex_encode(char *text, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        memcpy(text + 2 * i, hex_pairs[bytes[i]], 2);
    }
    text[2 * len] = '\0';
}

bool hex_decode(uint8_t *bytes, size_t cap, size_t *len_out, const char *text, size_t text_len)
{
    if (text_len % 2 != 0 || text_len / 2 > cap) {
        return false;
    }
    for (size_t i = 0; i < text_len / 2; i++) {
        const int high = hex_value(text[2 * i]);
        const int low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    *len_out = text_len / 2;
    return true;
}

void svm_hex32_format(char text[67], const uint8_t bytes[32])
{
    text[0] = '0';
    text[1] = 'x';
    hex_encode(text + 2, bytes, 32);
}

enum svm_err svm_hex32_parse(uint8_t bytes[32], const char *text)
{
    size_t len = 0;
    uint8_t value[32];
    if (strlen(text) != 66 || text[0] != '0' || text[1] != 'x' ||
        !hex_decode(value, sizeof value, &len, text + 2, 64)) {
        return SVM_E_INVALID_PARAMS;
    }
    memcpy(bytes, value, sizeof value);
    return SVM_OK;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(char *text, const uint8_t *bytes, size_t len)
{
    char *out = text;
    for (size_t i = 0; i < len; i += 3) {
        const size_t rest = len - i;
        const uint32_t triple = (uint32_t)bytes[i] << 16 |
                                (rest > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                                (rest > 2 ? (uint32_t)bytes[i + 2] : 0);
        *out++ = base64_digits[triple >> 18];
        *out++ = base64_digits[triple >> 12 & 63];
        *out++ = rest > 1 ? base64_digits[triple >> 6 & 63] : '=';
        *out++ = rest > 2 ? base64_digits[triple & 63] : '=';
    }
    *out = '\0';
    return (size_t)(out - text);
}

#define BASE64_VALUE_OF(c)                                                                         \
    (BETWEEN(c, 'A', 'Z')   ? (c) - 'A'                                                            \
     : BETWEEN(c, 'a', 'z') ? (c) - 'a' + 26                                                       \
     : BETWEEN(c, '0', '9') ? (c) - '0' + 52                                                       \
     : (c) == '+'           ? 62                                                                   \
     : (c) == '/'           ? 63                                                                   \
                            : 0xff)
#define BASE64_VALUE(high, low) (uint8_t) BASE64_VALUE_OF((high)*16 + (low))

/* 0 .. 63; what is no digit has bits above them, which survive an OR. */
static const uint8_t base64_values[256] = {ROWS(BASE64_VALUE)};

/* Four digits as 24 bits; above 2^24 when one of them is none. */
static uint32_t base64_quad(const char *text)
{
    const uint32_t a = base64_values[(unsigned char)text[0]];
    const uint32_t b = base64_values[(unsigned char)text[1]];
    const uint32_t c = base64_values[(unsigned char)text[2]];
    const uint32_t d = base64_values[(unsigned char)text[3]];
    return (a << 18 | b << 12 | c << 6 | d) | ((a | b | c | d) & 0xc0) << 24;
}

bool base64_decode(uint8_t *bytes, size_t cap, size_t *len_out, const char *text, size_t text_len)
{
    if (text_len % 4 != 0) {
        return false;
    }
    size_t padding = 0;
    if (text_len > 0) {
        padding = text[text_len - 1] != '=' ? 0 : text[text_len - 2] != '=' ? 1 : 2;
    }
    const size_t len = text_len / 4 * 3 - padding;
    if (len > cap) {
        return false;
    }
    const size_t whole = len / 3 * 4; /* characters that make three bytes each */
    uint32_t seen = 0;
    uint8_t *out = bytes;
    for (size_t i = 0; i < whole; i += 4) {
        const uint32_t quad = base64_quad(text + i);
        seen |= quad;
        *out++ = (uint8_t)(quad >> 16);
        *out++ = (uint8_t)(quad >> 8);
        *out++ = (uint8_t)quad;
    }
    if (padding > 0) {
        char last[4] = {text[whole], text[whole + 1], padding == 1 ? text[whole + 2] : 'A', 'A'};
        const uint32_t quad = base64_quad(last);
        seen |= quad;
        *out++ = (uint8_t)(quad >> 16);
        if (padding == 1) {
            *out++ = (uint8_t)(quad >> 8);
        }
        if ((quad & (padding == 1 ? 0xffu : 0xffffu)) != 0) {
            return false; /* another text of the same bytes */
        }
    }
    if (seen >> 24 != 0) {
        return false;
    }
    *len_out = len;
    return true;
}
