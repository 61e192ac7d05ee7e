#include "base/bytes.h"

#include <string.h>

static const char hex_digits[16] = {'0', '1', '2', '3', '4', '5', '6', '7',
                                    '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

void hex_encode(char *text, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = hex_digits[bytes[i] >> 4];
        text[2 * i + 1] = hex_digits[bytes[i] & 15];
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

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
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
    const size_t digits = text_len - padding;
    uint32_t bits = 0; /* the last digits read; the low `held` of them are not written yet */
    unsigned held = 0;
    size_t at = 0;
    for (size_t i = 0; i < digits; i++) {
        const int value = base64_value(text[i]);
        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes[at++] = (uint8_t)(bits >> held);
        }
    }
    if ((bits & ((1u << held) - 1)) != 0) {
        return false; /* another text of the same bytes */
    }
    *len_out = len;
    return true;
}
