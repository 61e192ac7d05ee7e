#include "gateway/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"

enum { TEXT_CAP_MIN = 512 };

void text_init(struct text *text, size_t limit)
{
    *text = (struct text){.limit = limit};
}

void text_deinit(struct text *text)
{
    free(text->ptr);
    *text = (struct text){.limit = text->limit};
}

char *text_take(struct text *text)
{
    char *ptr = text->ptr;
    *text = (struct text){.limit = text->limit};
    return ptr;
}

void text_truncate(struct text *text, size_t len)
{
    if (len < text->len) {
        text->len = len;
    }
    text->overflow = false;
}

bool text_room_slow(struct text *text, size_t len)
{
    if (text->overflow || len > text->limit || text->len > text->limit - len) {
        text->overflow = true;
        return false;
    }
    size_t cap = text->cap < TEXT_CAP_MIN ? TEXT_CAP_MIN : text->cap;
    while (cap < text->len + len) {
        cap *= 2;
    }
    if (cap > text->limit) {
        cap = text->limit;
    }
    char *ptr = realloc(text->ptr, cap);
    if (ptr == NULL) {
        text->overflow = true;
        return false;
    }
    text->ptr = ptr;
    text->cap = cap;
    return true;
}

void text_put(struct text *text, const char *bytes, size_t len)
{
    if (len > 0 && text_room(text, len)) {
        memcpy(text->ptr + text->len, bytes, len);
        text->len += len;
    }
}

void text_put_char(struct text *text, char c)
{
    text_put(text, &c, 1);
}

void text_put_u64(struct text *text, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    text_put(text, digits + at, sizeof digits - at);
}

void text_put_i64(struct text *text, int64_t value)
{
    if (value < 0) {
        text_put_char(text, '-');
        text_put_u64(text, 0 - (uint64_t)value);
    } else {
        text_put_u64(text, (uint64_t)value);
    }
}

void text_put_hex(struct text *text, const uint8_t *bytes, size_t len)
{
    /* the encoder ends with a NUL, where the closing quote goes */
    if (text_room(text, 2 * len + 4)) {
        char *at = text->ptr + text->len;
        memcpy(at, "\"0x", 3);
        hex_encode(at + 3, bytes, len);
        at[3 + 2 * len] = '"';
        text->len += 2 * len + 4;
    }
}

void text_put_base64(struct text *text, const uint8_t *bytes, size_t len)
{
    const size_t need = base64_text_len(len) + 2;
    if (text_room(text, need)) {
        char *at = text->ptr + text->len;
        at[0] = '"';
        (void)base64_encode(at + 1, bytes, len);
        at[need - 1] = '"';
        text->len += need;
    }
}

/* Length of the well-formed UTF-8 sequence at BYTES (Unicode 15, table 3-7), 0 = none. */
static size_t utf8_sequence(const unsigned char *bytes, size_t len)
{
    const unsigned char b0 = bytes[0];
    if (b0 < 0x80) {
        return 1;
    }
    const size_t need = b0 >= 0xc2 && b0 <= 0xdf   ? 2
                        : b0 >= 0xe0 && b0 <= 0xef ? 3
                        : b0 >= 0xf0 && b0 <= 0xf4 ? 4
                                                   : 0;
    if (need == 0 || len < need) {
        return 0;
    }
    const unsigned char low = b0 == 0xe0 ? 0xa0 : b0 == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = b0 == 0xed ? 0x9f : b0 == 0xf4 ? 0x8f : 0xbf;
    if (bytes[1] < low || bytes[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < need; i++) {
        if (bytes[i] < 0x80 || bytes[i] > 0xbf) {
            return 0;
        }
    }
    return need;
}

static void put_escaped(struct text *text, unsigned char c)
{
    static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof names; i += 2) {
        if ((unsigned char)names[i] == c) {
            text_put_char(text, '\\');
            text_put_char(text, names[i + 1]);
            return;
        }
    }
    text_printf(text, "\\u%04x", c);
}

void text_put_string(struct text *text, const char *bytes, size_t len)
{
    const unsigned char *at = (const unsigned char *)bytes;
    text_put_char(text, '"');
    size_t plain = 0; /* bytes before I that can be copied as they are */
    for (size_t i = 0; i < len;) {
        const size_t sequence = utf8_sequence(at + i, len - i);
        if (sequence > 0 && at[i] >= 0x20 && at[i] != '"' && at[i] != '\\' && at[i] != 0x7f) {
            plain += sequence;
            i += sequence;
            continue;
        }
        text_put(text, bytes + i - plain, plain);
        plain = 0;
        if (sequence == 0) {
            text_puts(text, "\\ufffd");
        } else {
            put_escaped(text, at[i]);
        }
        i++;
    }
    text_put(text, bytes + len - plain, plain);
    text_put_char(text, '"');
}

void text_printf(struct text *text, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof line) {
        text->overflow = true;
        return;
    }
    text_put(text, line, (size_t)len);
}
