#include "model/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    struct json_document *document;
    const char *text;
    const char *at;
    const char *failure; /* NULL = good so far; `at` is where */
    enum svm_err err;
};

static bool fail(struct parser *p, const char *failure)
{
    if (p->failure == NULL) {
        p->failure = failure;
        p->err = SVM_E_BAD_GENESIS;
    }
    return false;
}

static void skip_space(struct parser *p)
{
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')
        p->at++;
}

static bool expect(struct parser *p, char c, const char *failure)
{
    skip_space(p);
    if (*p->at != c)
        return fail(p, failure);
    p->at++;
    return true;
}

/* new_value: index of a fresh value, JSON_NONE = no memory. Pointers to values do not survive it. */
static uint32_t new_value(struct parser *p, enum json_type type)
{
    struct json_document *d = p->document;
    if (d->count == d->cap) {
        const uint32_t cap = d->cap == 0 ? 256 : d->cap * 2;
        struct json_value *values = realloc(d->values, cap * sizeof values[0]);
        if (values == NULL) {
            fail(p, "out of memory");
            p->err = SVM_E_NO_MEMORY;
            return JSON_NONE;
        }
        d->values = values;
        d->cap = cap;
    }
    d->values[d->count] = (struct json_value){.type = (uint8_t)type};
    return d->count++;
}

/* ---- strings ----------------------------------------------------------------------------------------------- */

static void put_char(struct parser *p, unsigned byte)
{
    p->document->strings[p->document->strings_len++] = (char)byte;
}

static void put_utf8(struct parser *p, uint32_t code)
{
    if (code < 0x80) {
        put_char(p, code);
    } else if (code < 0x800) {
        put_char(p, 0xc0 | code >> 6);
        put_char(p, 0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        put_char(p, 0xe0 | code >> 12);
        put_char(p, 0x80 | (code >> 6 & 0x3f));
        put_char(p, 0x80 | (code & 0x3f));
    } else {
        put_char(p, 0xf0 | code >> 18);
        put_char(p, 0x80 | (code >> 12 & 0x3f));
        put_char(p, 0x80 | (code >> 6 & 0x3f));
        put_char(p, 0x80 | (code & 0x3f));
    }
}

static bool get_hex4(struct parser *p, uint32_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < 4; i++) {
        const char c = *p->at;
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A') + 10;
        else
            return fail(p, "\\u needs four hexadecimal digits");
        *out = *out << 4 | digit;
        p->at++;
    }
    return true;
}

static bool get_unicode_escape(struct parser *p)
{
    uint32_t code, low;
    if (!get_hex4(p, &code))
        return false;
    if (code == 0)
        return fail(p, "NUL in a string");
    if (code >= 0xdc00 && code <= 0xdfff)
        return fail(p, "a lone low surrogate");
    if (code >= 0xd800 && code <= 0xdbff) {
        if (p->at[0] != '\\' || p->at[1] != 'u')
            return fail(p, "a lone high surrogate");
        p->at += 2;
        if (!get_hex4(p, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return fail(p, "a lone high surrogate");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    put_utf8(p, code);
    return true;
}

static bool get_escape(struct parser *p)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char c = *p->at;
    if (c == '\0')
        return fail(p, "the text ends inside a string");
    p->at++;
    if (c == 'u')
        return get_unicode_escape(p);
    const char *found = strchr(from, c);
    if (found == NULL)
        return fail(p, "an unknown escape");
    put_char(p, (unsigned char)to[found - from]);
    return true;
}

/* get_utf8: one character beyond ASCII, in its shortest form, no surrogate. */
static bool get_utf8(struct parser *p)
{
    const unsigned char *s = (const unsigned char *)p->at;
    const unsigned more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return fail(p, "malformed UTF-8");
    uint32_t code = s[0] & (0x3fu >> more);
    for (unsigned i = 1; i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return fail(p, "malformed UTF-8");
        code = code << 6 | (s[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return fail(p, "malformed UTF-8");
    put_utf8(p, code);
    p->at += more + 1;
    return true;
}

/* get_string: behind the opening quote; decoded bytes are never more than what was read, so `strings` has the room. */
static bool get_string(struct parser *p, uint32_t *offset_out, uint32_t *len_out)
{
    *offset_out = p->document->strings_len;
    while (*p->at != '"') {
        const unsigned char c = (unsigned char)*p->at;
        bool good = true;
        if (c == '\0')
            return fail(p, "the text ends inside a string");
        if (c < 0x20)
            return fail(p, "a control character in a string");
        if (c >= 0x80) {
            good = get_utf8(p);
        } else {
            p->at++;
            if (c == '\\')
                good = get_escape(p);
            else
                put_char(p, c);
        }
        if (!good)
            return false;
    }
    p->at++;
    *len_out = p->document->strings_len - *offset_out;
    put_char(p, '\0');
    return true;
}

/* ---- values ------------------------------------------------------------------------------------------------ */

static uint32_t get_value(struct parser *p, unsigned depth);

static bool get_name(struct parser *p, uint32_t *offset_out, uint32_t *len_out)
{
    if (!expect(p, '"', "a member name was expected") || !get_string(p, offset_out, len_out))
        return false;
    if (*len_out == 0 || *len_out > JSON_NAME_MAX)
        return fail(p, "a member name must have 1 to 64 characters");
    for (uint32_t i = 0; i < *len_out; i++) {
        const unsigned char c = (unsigned char)p->document->strings[*offset_out + i];
        if (c <= 0x20 || c >= 0x7f)
            return fail(p, "a member name must be plain ASCII");
    }
    return expect(p, ':', "':' was expected");
}

static uint32_t get_member(struct parser *p, uint32_t object, unsigned depth)
{
    uint32_t name, name_len;
    if (!get_name(p, &name, &name_len))
        return JSON_NONE;
    if (model_json_member(p->document, object, p->document->strings + name) != JSON_NONE) {
        fail(p, "the same member twice");
        return JSON_NONE;
    }
    const uint32_t value = get_value(p, depth);
    if (value != JSON_NONE) {
        p->document->values[value].name = name;
        p->document->values[value].name_len = (uint8_t)name_len;
    }
    return value;
}

/* get_children: the rest of an array or object, behind its opening bracket. */
static bool get_children(struct parser *p, uint32_t parent, char close, unsigned depth)
{
    if (depth > JSON_DEPTH_MAX)
        return fail(p, "nested too deeply");
    skip_space(p);
    if (*p->at == close) {
        p->at++;
        return true;
    }
    const bool is_object = close == '}';
    uint32_t last = JSON_NONE;
    for (unsigned count = 1;; count++) {
        if (is_object && count > JSON_MEMBERS_MAX)
            return fail(p, "too many members");
        const uint32_t child = is_object ? get_member(p, parent, depth) : get_value(p, depth);
        if (child == JSON_NONE)
            return false;
        if (last == JSON_NONE)
            p->document->values[parent].first = child;
        else
            p->document->values[last].next = child;
        last = child;
        skip_space(p);
        if (*p->at == close) {
            p->at++;
            return true;
        }
        if (!expect(p, ',', is_object ? "',' or '}' was expected" : "',' or ']' was expected"))
            return false;
    }
}

static uint32_t get_word(struct parser *p, const char *word, enum json_type type)
{
    const size_t len = strlen(word);
    if (strncmp(p->at, word, len) != 0) {
        fail(p, "a value was expected");
        return JSON_NONE;
    }
    p->at += len;
    return new_value(p, type);
}

static uint32_t get_value(struct parser *p, unsigned depth)
{
    skip_space(p);
    const char c = *p->at;
    if (c == 't')
        return get_word(p, "true", JSON_TRUE);
    if (c == 'f')
        return get_word(p, "false", JSON_FALSE);
    if (c != '"' && c != '[' && c != '{') {
        const bool number = c == '-' || (c >= '0' && c <= '9');
        fail(p, number ? "numbers are written as decimal strings" : "a value was expected");
        return JSON_NONE;
    }
    p->at++;
    const uint32_t value = new_value(p, c == '"'   ? JSON_STRING
                                        : c == '[' ? JSON_ARRAY
                                                   : JSON_OBJECT);
    if (value == JSON_NONE)
        return JSON_NONE;
    if (c != '"')
        return get_children(p, value, c == '[' ? ']' : '}', depth + 1) ? value : JSON_NONE;
    uint32_t offset, len;
    if (!get_string(p, &offset, &len))
        return JSON_NONE;
    p->document->values[value].string = offset;
    p->document->values[value].len = len;
    return value;
}

static void say_where(const struct parser *p, char reason[JSON_REASON_BYTES])
{
    size_t line = 1, column = 1;
    for (const char *c = p->text; c < p->at; c++) {
        column++;
        if (*c == '\n') {
            line++;
            column = 1;
        }
    }
    snprintf(reason, JSON_REASON_BYTES, "line %zu, column %zu: %s", line, column, p->failure);
}

enum svm_err model_json_parse(struct json_document *document_out, const char *text,
                              char reason[JSON_REASON_BYTES])
{
    const size_t len = strlen(text);
    *document_out = (struct json_document){.values = NULL};
    if (len >= UINT32_MAX / 2) {
        snprintf(reason, JSON_REASON_BYTES, "the text is longer than 2 GiB");
        return SVM_E_BAD_GENESIS;
    }
    struct parser p = {.document = document_out, .text = text, .at = text};
    document_out->strings = malloc(len + 1);
    if (document_out->strings == NULL)
        return SVM_E_NO_MEMORY;
    document_out->count = 0;
    const bool good =
        (new_value(&p, JSON_FALSE), p.failure == NULL) && get_value(&p, 0) == JSON_ROOT;
    skip_space(&p);
    if (good && *p.at != '\0')
        fail(&p, "something follows the end of the value");
    if (p.failure == NULL)
        return SVM_OK;
    say_where(&p, reason);
    model_json_deinit(document_out);
    return p.err;
}

void model_json_deinit(struct json_document *document)
{
    free(document->values);
    free(document->strings);
    *document = (struct json_document){.values = NULL};
}

uint32_t model_json_member(const struct json_document *document, uint32_t object, const char *name)
{
    for (uint32_t i = json_at(document, object)->first; i != JSON_NONE;
         i = json_at(document, i)->next)
        if (strcmp(json_name(document, json_at(document, i)), name) == 0)
            return i;
    return JSON_NONE;
}
