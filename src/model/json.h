/* model/json.h - the part of JSON that a genesis file may use: objects, arrays, strings and booleans. Inside the room only.
 *
 * No numbers and no null: amounts are decimal strings, so nothing can be read in two ways. Duplicate members, names that are
 * not plain ASCII, lone surrogates, NUL and malformed UTF-8 are refused. A document is one flat array of values linked by
 * index; writing it out again is RFC 8785 (JCS), because sorting ASCII names by byte is sorting them by UTF-16 unit. */
#ifndef MODEL_JSON_H
#define MODEL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <svm/error.h>

enum json_type { JSON_FALSE, JSON_TRUE, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
enum {
    JSON_NONE = 0,
    JSON_ROOT = 1,
    JSON_DEPTH_MAX = 8,
    JSON_MEMBERS_MAX = 32,
    JSON_NAME_MAX = 64
};
enum { JSON_REASON_BYTES = 120 };

struct json_value {
    uint32_t string; /* STRING: offset in strings */
    uint32_t len;    /* STRING: bytes */
    uint32_t name;   /* member of an object: offset of its name in strings */
    uint32_t first;  /* ARRAY, OBJECT: first child, or JSON_NONE */
    uint32_t next;   /* next child of the same parent, or JSON_NONE */
    uint8_t name_len;
    uint8_t type; /* enum json_type */
};

struct json_document {
    struct json_value *values; /* [JSON_ROOT] is the whole; [0] is not used */
    uint32_t count;
    uint32_t cap;
    char *strings; /* decoded, each followed by a NUL */
    uint32_t strings_len;
};

/* json_parse: TEXT (ended by a NUL) -> DOCUMENT_OUT, freed by json_deinit.
 * Returns SVM_OK, SVM_E_BAD_GENESIS (REASON: line, column and what is wrong), SVM_E_NO_MEMORY. */
SVM_MUST_USE enum svm_err model_json_parse(struct json_document *document_out, const char *text,
                                           char reason[JSON_REASON_BYTES]);
void model_json_deinit(struct json_document *document);

/* model_json_canonical: the document as RFC 8785 text, ended by a NUL. Gives (free). NULL = no memory. */
char *model_json_canonical(const struct json_document *document);

/* model_json_member: the value of OBJECT's member NAME, or JSON_NONE. */
uint32_t model_json_member(const struct json_document *document, uint32_t object, const char *name);

static inline const struct json_value *json_at(const struct json_document *document, uint32_t index)
{
    return &document->values[index];
}
static inline const char *json_name(const struct json_document *document,
                                    const struct json_value *value)
{
    return document->strings + value->name;
}
static inline const char *json_string(const struct json_document *document,
                                      const struct json_value *value)
{
    return document->strings + value->string;
}

#endif
