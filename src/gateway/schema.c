#include "gateway/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

/* Where the parser is, for the error's `param`: a list from the innermost name outwards. */
struct place {
    const struct place *outer;
    const char *name; /* NULL = index */
    size_t index;
};

struct parser {
    struct arena *arena;
    struct rpc_error *error;
};

static bool parse_object(struct parser *parser, const struct place *place,
                         const struct schema *schema, const json_t *json, unsigned char *out);

/* ---- errors ----------------------------------------------------------------------------------------------- */

static size_t format_place(char *text, size_t size, const struct place *place)
{
    const size_t at = place->outer != NULL ? format_place(text, size, place->outer) : 0;
    int len = 0;
    if (at < size) {
        len = place->name != NULL
                  ? snprintf(text + at, size - at, "%s%s", at > 0 ? "." : "", place->name)
                  : snprintf(text + at, size - at, "[%zu]", place->index);
    }
    return at + (size_t)(len > 0 ? len : 0);
}

static const char *place_text(struct parser *parser, const struct place *place)
{
    char text[256];
    (void)format_place(text, sizeof text, place);
    const char *copy = arena_string(parser->arena, text, strlen(text));
    return copy != NULL ? copy : "";
}

/* What the caller sent, short enough to show. */
static const char *describe(struct parser *parser, const json_t *json)
{
    char text[96] = "";
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    case JSON_INTEGER:
        snprintf(text, sizeof text, "integer %" JSON_INTEGER_FORMAT, json_integer_value(json));
        break;
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_STRING:
        if (json_string_length(json) > 48) {
            snprintf(text, sizeof text, "string of %zu bytes", json_string_length(json));
        } else {
            snprintf(text, sizeof text, "string \"%s\"", json_string_value(json));
        }
        break;
    }
    const char *copy = arena_string(parser->arena, text, strlen(text));
    return copy != NULL ? copy : "";
}

static bool fail(struct parser *parser, const struct place *place, const char *expected,
                 const json_t *got)
{
    *parser->error = (struct rpc_error){
        .err = SVM_E_INVALID_PARAMS,
        .notes = {{.key = "param", .text = place_text(parser, place)},
                  {.key = "expected", .text = expected},
                  {.key = "got", .text = got != NULL ? describe(parser, got) : "nothing"}}};
    return false;
}

static bool fail_memory(struct parser *parser)
{
    *parser->error = (struct rpc_error){.err = SVM_E_NO_MEMORY};
    return false;
}

static bool fail_too_many(struct parser *parser, const struct place *place, uint64_t limit,
                          size_t got)
{
    *parser->error =
        (struct rpc_error){.err = SVM_E_LIMIT_EXCEEDED,
                           .notes = {{.key = "scope", .text = place_text(parser, place)},
                                     {.key = "limit", .number = limit},
                                     {.key = "got", .number = got}}};
    return false;
}

static bool fail_unknown(struct parser *parser, const struct place *outer,
                         const struct schema *schema, const char *name)
{
    const char *names[64] = {0};
    size_t count = 0;
    for (size_t i = 0; i < schema->fields_count && count < sizeof names / sizeof names[0]; i++) {
        names[count++] = schema->fields[i].name;
    }
    /* the name may be long or odd: it is shown, but not believed */
    const char *shown = arena_string(parser->arena, name, strnlen(name, 64));
    const struct place place = {.outer = outer, .name = shown != NULL ? shown : ""};
    const char *nearest = schema_nearest(name, names, count);
    *parser->error = (struct rpc_error){
        .err = SVM_E_INVALID_PARAMS,
        .message = "there is no such parameter",
        .notes = {
            {.key = "param", .text = place_text(parser, &place)},
            {.key = "expected", .text = count > 0 ? "a parameter of this method" : "no parameters"},
            {.key = "got", .text = "an unknown name"},
            {.key = "unknown", .text = place.name, .is_list = true},
            {.key = nearest != NULL ? "didYouMean" : NULL, .text = nearest}}};
    return false;
}

/* ---- scalars ---------------------------------------------------------------------------------------------- */

#define JSON_EXACT_MAX 9007199254740991 /* 2^53-1: beyond it other parsers round */

static bool parse_digits(uint64_t *value_out, const char *text, size_t len)
{
    uint64_t value = 0;
    if (len == 0 || len > 20 || (len > 1 && text[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        const unsigned digit = (unsigned)(text[i] - '0');
        if (text[i] < '0' || text[i] > '9' || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *value_out = value;
    return true;
}

static bool parse_u64(uint64_t *value_out, const json_t *json)
{
    if (json_is_integer(json)) {
        const json_int_t value = json_integer_value(json);
        *value_out = (uint64_t)value;
        return value >= 0 && value <= JSON_EXACT_MAX;
    }
    return json_is_string(json) &&
           parse_digits(value_out, json_string_value(json), json_string_length(json));
}

static bool parse_i64(int64_t *value_out, const json_t *json)
{
    if (json_is_integer(json)) {
        const json_int_t value = json_integer_value(json);
        *value_out = value;
        return value >= -JSON_EXACT_MAX && value <= JSON_EXACT_MAX;
    }
    if (!json_is_string(json)) {
        return false;
    }
    const char *text = json_string_value(json);
    const bool negative = text[0] == '-';
    uint64_t size = 0;
    if (!parse_digits(&size, text + negative, json_string_length(json) - negative)) {
        return false;
    }
    if (size > (uint64_t)INT64_MAX + (negative ? 1 : 0) || (negative && size == 0)) {
        return false;
    }
    *value_out = negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}

static bool parse_int(struct parser *parser, const struct place *place,
                      const struct schema_field *field, const json_t *json, uint64_t *out)
{
    const json_int_t value = json_is_integer(json) ? json_integer_value(json) : -1;
    const bool limited = field->max > 0;
    if (value < 0 || (limited && ((uint64_t)value < field->min || (uint64_t)value > field->max))) {
        char text[80];
        if (limited) {
            snprintf(text, sizeof text, "integer from %" PRIu64 " to %" PRIu64, field->min,
                     field->max);
        } else {
            snprintf(text, sizeof text, "integer, not negative");
        }
        const char *expected = arena_string(parser->arena, text, strlen(text));
        return fail(parser, place, expected != NULL ? expected : "integer", json);
    }
    *out = (uint64_t)value;
    return true;
}

static bool parse_text(struct parser *parser, const struct place *place,
                       const struct schema_field *field, const json_t *json, const char **out)
{
    if (!json_is_string(json) || (field->max > 0 && json_string_length(json) > field->max)) {
        char text[48];
        snprintf(text, sizeof text, "string of at most %" PRIu64 " bytes", field->max);
        const char *expected = arena_string(parser->arena, text, strlen(text));
        return fail(parser, place, field->max > 0 && expected != NULL ? expected : "string", json);
    }
    *out = arena_string(parser->arena, json_string_value(json), json_string_length(json));
    return *out != NULL || fail_memory(parser);
}

static bool parse_base64(struct parser *parser, const struct place *place,
                         const struct schema_field *field, const json_t *json,
                         struct svm_bytes *out)
{
    static const char expected[] = "base64 (RFC 4648, padded, no white space)";
    if (!json_is_string(json)) {
        return fail(parser, place, expected, json);
    }
    const size_t len = json_string_length(json);
    const size_t cap = base64_bytes_max(len);
    uint8_t *bytes = arena_get(parser->arena, cap);
    if (bytes == NULL) {
        return fail_memory(parser);
    }
    size_t bytes_len = 0;
    if (!base64_decode(bytes, cap, &bytes_len, json_string_value(json), len)) {
        return fail(parser, place, expected, json);
    }
    if (field->max > 0 && bytes_len > field->max) {
        return fail_too_many(parser, place, field->max, bytes_len);
    }
    *out = (struct svm_bytes){.ptr = bytes, .len = bytes_len};
    return true;
}

static bool parse_hex(unsigned char *out, size_t bytes, const json_t *json)
{
    const char *text = json_string_value(json);
    size_t len = 0;
    return text != NULL && json_string_length(json) == 2 + 2 * bytes && text[0] == '0' &&
           text[1] == 'x' && hex_decode(out, bytes, &len, text + 2, 2 * bytes);
}

static bool parse_enum(struct parser *parser, const struct place *place,
                       const struct schema_field *field, const json_t *json, int *out)
{
    struct text names;
    for (int i = 0; json_is_string(json) && i < (int)field->names_count; i++) {
        if (strcmp(field->names[i], json_string_value(json)) == 0) {
            *out = i;
            return true;
        }
    }
    text_init(&names, 512);
    text_puts(&names, "one of");
    for (size_t i = 0; i < field->names_count; i++) {
        text_put_char(&names, ' ');
        text_puts(&names, field->names[i]);
    }
    const char *expected = arena_string(parser->arena, names.ptr, names.len);
    text_deinit(&names);
    (void)fail(parser, place, expected != NULL ? expected : "one of a few names", json);
    const char *nearest = json_is_string(json) ? schema_nearest(json_string_value(json),
                                                                field->names, field->names_count)
                                               : NULL;
    if (nearest != NULL) {
        parser->error->notes[3] = (struct rpc_note){.key = "didYouMean", .text = nearest};
    }
    return false;
}

static bool parse_value(struct parser *parser, const struct place *place,
                        const struct schema_field *field, const json_t *json, unsigned char *at)
{
    void *out = at;
    switch ((enum schema_kind)field->kind) {
    case SCHEMA_BOOL:
        *(bool *)out = json_is_true(json);
        return json_is_boolean(json) || fail(parser, place, "true or false", json);
    case SCHEMA_INT:
        return parse_int(parser, place, field, json, out);
    case SCHEMA_U64:
        return parse_u64(out, json) ||
               fail(parser, place, "decimal string of 0 to 2^64-1, or integer up to 2^53-1", json);
    case SCHEMA_I64:
        return parse_i64(out, json) ||
               fail(parser, place, "decimal string of -2^63 to 2^63-1, or integer up to 2^53-1",
                    json);
    case SCHEMA_TEXT:
        return parse_text(parser, place, field, json, out);
    case SCHEMA_BASE64:
        return parse_base64(parser, place, field, json, out);
    case SCHEMA_HEX32:
        return parse_hex(at, 32, json) || fail(parser, place, "0x and 64 hex digits", json);
    case SCHEMA_HEX64:
        return parse_hex(at, 64, json) || fail(parser, place, "0x and 128 hex digits", json);
    case SCHEMA_ENUM:
        return parse_enum(parser, place, field, json, out);
    case SCHEMA_STRUCT:
        return json_is_object(json) ? parse_object(parser, place, field->type, json, at)
                                    : fail(parser, place, "object", json);
    case SCHEMA_COUNTS:
    case SCHEMA_JSON:
    case SCHEMA_ERROR:
        break;
    }
    SVM_ASSERT(false); /* kinds of results alone: the generator lets no parameter have them */
    return false;
}

/* ---- fields and objects ----------------------------------------------------------------------------------- */

static bool parse_array(struct parser *parser, const struct place *place,
                        const struct schema_field *field, const json_t *json, unsigned char *out)
{
    if (!json_is_array(json)) {
        return fail(parser, place, "array", json);
    }
    const size_t count = json_array_size(json);
    if (field->max > 0 && count > field->max) {
        return fail_too_many(parser, place, field->max, count);
    }
    unsigned char *items = arena_get_zeroed(parser->arena, count, field->element);
    if (items == NULL) {
        return fail_memory(parser);
    }
    struct schema_field item = *field;
    item.max = 0; /* the limit was that of the array */
    for (size_t i = 0; i < count; i++) {
        const struct place inner = {.outer = place, .index = i};
        if (!parse_value(parser, &inner, &item, json_array_get(json, i),
                         items + i * field->element)) {
            return false;
        }
    }
    *(void **)(void *)(out + field->offset) = items;
    *(size_t *)(void *)(out + field->count_offset) = count;
    return true;
}

static void set_initial(const struct schema_field *field, unsigned char *at)
{
    void *out = at;
    if (field->kind == SCHEMA_BOOL) {
        *(bool *)out = field->initial != 0;
    } else if (field->kind == SCHEMA_ENUM) {
        *(int *)out = (int)field->initial;
    } else {
        *(uint64_t *)out = field->initial;
    }
}

/* One field of an object; JSON is NULL when it is absent. */
static bool parse_field(struct parser *parser, const struct place *outer,
                        const struct schema_field *field, const json_t *json, unsigned char *out)
{
    const struct place place = {.outer = outer, .name = field->name};
    if (json == NULL) {
        if (field->required) {
            return fail(parser, &place, "a value: the parameter is required", NULL);
        }
        if (field->has_initial) {
            set_initial(field, out + field->offset);
        }
        return true;
    }
    if (field->has_offset != SCHEMA_NO_OFFSET) {
        *(bool *)(out + field->has_offset) = true;
    }
    return field->array ? parse_array(parser, &place, field, json, out)
                        : parse_value(parser, &place, field, json, out + field->offset);
}

static const struct schema_field *find_field(const struct schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->fields_count; i++) {
        if (strcmp(schema->fields[i].name, name) == 0) {
            return &schema->fields[i];
        }
    }
    return NULL;
}

static bool parse_object(struct parser *parser, const struct place *place,
                         const struct schema *schema, const json_t *json, unsigned char *out)
{
    const char *key;
    json_t *value;
    size_t found = 0;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        if (find_field(schema, key) == NULL) {
            return fail_unknown(parser, place, schema, key);
        }
    }
    for (size_t i = 0; i < schema->fields_count; i++) {
        const struct schema_field *field = &schema->fields[i];
        const json_t *member = json_object_get(json, field->name);
        found += member != NULL;
        const int tag =
            schema->tagged && i > 0 ? *(const int *)(void *)(out + schema->fields[0].offset) : 0;
        if (field->only != 0 && (field->only >> tag & 1) == 0) {
            const struct place inner = {.outer = place, .name = field->name};
            if (member != NULL) {
                return fail(parser, &inner, "nothing: it does not belong to this kind", member);
            }
            continue;
        }
        if (!parse_field(parser, place, field, member, out)) {
            return false;
        }
    }
    SVM_ASSERT(found == json_object_size(json));
    return true;
}

static bool parse_positions(struct parser *parser, const struct schema *schema, const json_t *json,
                            unsigned char *out)
{
    const size_t given = json_array_size(json);
    if (given > schema->fields_count) {
        const struct place place = {.name = NULL, .index = schema->fields_count};
        return fail(parser, &place, "no further parameter",
                    json_array_get(json, schema->fields_count));
    }
    for (size_t i = 0; i < schema->fields_count; i++) {
        const struct schema_field *field = &schema->fields[i];
        const json_t *value = i < given ? json_array_get(json, i) : NULL;
        /* a null leaves an optional parameter out, so that a later one can be given */
        if (value != NULL && json_is_null(value) && !field->required) {
            value = NULL;
        }
        if (!parse_field(parser, NULL, field, value, out)) {
            return false;
        }
    }
    return true;
}

bool schema_parse_params(void *out, struct rpc_error *error, struct arena *arena,
                         const struct schema *schema, const json_t *params)
{
    struct parser parser = {.arena = arena, .error = error};
    memset(out, 0, schema->size);
    if (params != NULL && json_is_array(params)) {
        return parse_positions(&parser, schema, params, out);
    }
    SVM_ASSERT(params == NULL || json_is_object(params));
    return parse_object(&parser, NULL, schema, params, out);
}

/* ---- nearest name ----------------------------------------------------------------------------------------- */

enum { NEAREST_NAME_MAX = 48 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance; both are shorter than NEAREST_NAME_MAX. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][NEAREST_NAME_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_len; j++) {
        last[j] = (unsigned)j;
        before[j] = 0;
    }
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            const unsigned cost = a[i - 1] == b[j - 1] ? 0 : 1;
            now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = least(now[j], before[j - 2] + 1);
            }
        }
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

const char *schema_nearest(const char *name, const char *const *names, size_t count)
{
    const size_t len = strlen(name);
    const char *nearest = NULL;
    unsigned best = len / 3 < 2 ? 2 : (unsigned)(len / 3);
    if (len == 0 || len >= NEAREST_NAME_MAX) {
        return NULL;
    }
    best++; /* strictly nearer than this */
    for (size_t i = 0; i < count; i++) {
        const size_t other = strlen(names[i]);
        const unsigned d = other < NEAREST_NAME_MAX ? distance(name, len, names[i], other) : best;
        if (d < best && d < other) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}
