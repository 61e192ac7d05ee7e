/* RFC 8785: no white space, members sorted by name, strings with the shortest escapes. */
#include <stdlib.h>
#include <string.h>

#include "model/json.h"

/* Counts always, writes when there is somewhere to write: run twice, once for the size. */
struct sink {
    char *at; /* NULL = only count */
    size_t len;
};

static void put(struct sink *sink, const char *text, size_t len)
{
    if (sink->at != NULL) {
        memcpy(sink->at, text, len);
        sink->at += len;
    }
    sink->len += len;
}

static void put_text(struct sink *sink, const char *text)
{
    put(sink, text, strlen(text));
}

static void put_escaped(struct sink *sink, char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char plain[] = "\"\\\b\f\n\r\t";
    static const char letter[] = "\"\\bfnrt";
    const char *found = strchr(plain, c);
    if (found != NULL) {
        put(sink, (const char[2]){'\\', letter[found - plain]}, 2);
        return;
    }
    const char digits[6] = {'\\', 'u', '0', '0', hex[c >> 4 & 1], hex[c & 15]};
    put(sink, digits, sizeof digits);
}

static void put_string(struct sink *sink, const char *text, size_t len)
{
    put_text(sink, "\"");
    size_t run = 0; /* bytes before i that need no escape and are not written yet */
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            run++;
            continue;
        }
        put(sink, text + i - run, run);
        put_escaped(sink, text[i]);
        run = 0;
    }
    put(sink, text + len - run, run);
    put_text(sink, "\"");
}

static void put_value(struct sink *sink, const struct json_document *document, uint32_t index);

static void put_array(struct sink *sink, const struct json_document *document, uint32_t first)
{
    put_text(sink, "[");
    for (uint32_t i = first; i != JSON_NONE; i = json_at(document, i)->next) {
        put_value(sink, document, i);
        if (json_at(document, i)->next != JSON_NONE)
            put_text(sink, ",");
    }
    put_text(sink, "]");
}

/* sorted_members: insertion sort; JSON_MEMBERS_MAX is small. */
static size_t sorted_members(uint32_t members[JSON_MEMBERS_MAX],
                             const struct json_document *document, uint32_t first)
{
    size_t count = 0;
    for (uint32_t i = first; i != JSON_NONE; i = json_at(document, i)->next) {
        const char *name = json_name(document, json_at(document, i));
        size_t to = count++;
        while (to > 0 &&
               strcmp(json_name(document, json_at(document, members[to - 1])), name) > 0) {
            members[to] = members[to - 1];
            to--;
        }
        members[to] = i;
    }
    return count;
}

static void put_object(struct sink *sink, const struct json_document *document, uint32_t first)
{
    uint32_t members[JSON_MEMBERS_MAX];
    const size_t count = sorted_members(members, document, first);
    put_text(sink, "{");
    for (size_t i = 0; i < count; i++) {
        const struct json_value *member = json_at(document, members[i]);
        if (i > 0)
            put_text(sink, ",");
        put_string(sink, json_name(document, member), member->name_len);
        put_text(sink, ":");
        put_value(sink, document, members[i]);
    }
    put_text(sink, "}");
}

static void put_value(struct sink *sink, const struct json_document *document, uint32_t index)
{
    const struct json_value *value = json_at(document, index);
    switch ((enum json_type)value->type) {
    case JSON_FALSE:
        put_text(sink, "false");
        break;
    case JSON_TRUE:
        put_text(sink, "true");
        break;
    case JSON_STRING:
        put_string(sink, json_string(document, value), value->len);
        break;
    case JSON_ARRAY:
        put_array(sink, document, value->first);
        break;
    case JSON_OBJECT:
        put_object(sink, document, value->first);
        break;
    }
}

char *model_json_canonical(const struct json_document *document)
{
    struct sink count = {.at = NULL};
    put_value(&count, document, JSON_ROOT);
    char *text = malloc(count.len + 1);
    if (text == NULL)
        return NULL;
    struct sink sink = {.at = text};
    put_value(&sink, document, JSON_ROOT);
    text[count.len] = '\0';
    return text;
}
