/* gateway/text.h - a growing piece of text with a limit, and the JSON and hex that replies are made of.
 *
 * A text that meets its limit, or the end of memory, stops growing and says so in `overflow`; whoever reads it must look.
 * Thread   one at a time. Memory  text_deinit frees; text_take gives the buffer away (free). */
#ifndef GATEWAY_TEXT_H
#define GATEWAY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    char *ptr; /* NULL until something was put */
    size_t len, cap;
    size_t limit; /* most bytes */
    bool overflow;
};

void text_init(struct text *text, size_t limit);
void text_deinit(struct text *text);
char *text_take(struct text *text);                /* gives: free; NULL = empty */
void text_truncate(struct text *text, size_t len); /* to LEN bytes; clears `overflow` */

/* text_room: make room for LEN bytes behind the end; false = overflow. The caller writes them and adds to `len`. */
bool text_room_slow(struct text *text, size_t len);
static inline bool text_room(struct text *text, size_t len)
{
    return text->cap - text->len >= len || text_room_slow(text, len);
}

void text_put(struct text *text, const char *bytes, size_t len);
static inline void text_puts(struct text *text, const char *string)
{
    text_put(text, string, strlen(string));
}
void text_put_char(struct text *text, char c);
void text_put_u64(struct text *text, uint64_t value); /* decimal digits */
void text_put_i64(struct text *text, int64_t value);
void text_put_hex(struct text *text, const uint8_t *bytes, size_t len);    /* "0x.." in quotes */
void text_put_base64(struct text *text, const uint8_t *bytes, size_t len); /* in quotes */

/* text_put_string: a JSON string of BYTES. Valid UTF-8 passes; control characters, quotes and bytes that are not UTF-8 are
 * escaped (the latter as U+FFFD), so the result is valid JSON whatever comes in. */
void text_put_string(struct text *text, const char *bytes, size_t len);

__attribute__((format(printf, 2, 3))) void text_printf(struct text *text, const char *format, ...);

#endif
