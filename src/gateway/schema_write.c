#include "base/assert.h"
#include "gateway/receipt_json.h"
#include "gateway/schema.h"
#include <svm/types.h>

static void write_object(struct text *text, const struct schema *schema, const unsigned char *in);

/* The one kind of object that has a writer of its own. */
static void write_struct(struct text *text, const struct schema *schema, const unsigned char *in)
{
    if (schema != &rpc_schema_receipt ||
        !receipt_json_write(text, (const struct rpc_receipt *)(const void *)in)) {
        write_object(text, schema, in);
    }
}

static void write_quoted_u64(struct text *text, uint64_t value)
{
    text_put_char(text, '"');
    text_put_u64(text, value);
    text_put_char(text, '"');
}

static void write_bytes(struct text *text, const struct schema_field *field,
                        const unsigned char *at)
{
    const struct svm_bytes *bytes = (const struct svm_bytes *)(const void *)at;
    if (field->kind == SCHEMA_BASE64) {
        text_put_base64(text, bytes->ptr, bytes->len);
    } else {
        text_put(text, (const char *)bytes->ptr, bytes->len);
    }
}

static void write_value(struct text *text, const struct schema_field *field,
                        const unsigned char *at)
{
    const void *value = at;
    switch ((enum schema_kind)field->kind) {
    case SCHEMA_BOOL:
        text_puts(text, *(const bool *)value ? "true" : "false");
        break;
    case SCHEMA_INT:
        text_put_u64(text, *(const uint64_t *)value);
        break;
    case SCHEMA_U64:
        write_quoted_u64(text, *(const uint64_t *)value);
        break;
    case SCHEMA_I64:
        text_put_char(text, '"');
        text_put_i64(text, *(const int64_t *)value);
        text_put_char(text, '"');
        break;
    case SCHEMA_TEXT: {
        const char *string = *(const char *const *)value;
        text_put_string(text, string, strlen(string));
        break;
    }
    case SCHEMA_BASE64:
    case SCHEMA_JSON:
        write_bytes(text, field, at);
        break;
    case SCHEMA_HEX32:
        text_put_hex(text, at, 32);
        break;
    case SCHEMA_HEX64:
        text_put_hex(text, at, 64);
        break;
    case SCHEMA_ENUM: {
        const int index = *(const int *)value;
        SVM_ASSERT(index >= 0 && index < (int)field->names_count);
        text_put_char(text, '"');
        text_puts(text, field->names[index]);
        text_put_char(text, '"');
        break;
    }
    case SCHEMA_STRUCT:
        write_struct(text, field->type, at);
        break;
    case SCHEMA_ERROR:
        rpc_error_write(text, *(const struct rpc_error *const *)value);
        break;
    case SCHEMA_COUNTS:
        SVM_ASSERT(false); /* write_field has written it */
    }
}

static void write_counts(struct text *text, const struct schema_count *counts, size_t count)
{
    text_put_char(text, '{');
    for (size_t i = 0; i < count; i++) {
        text_puts(text, i > 0 ? ",\"" : "\"");
        text_puts(text, counts[i].name);
        text_puts(text, "\":");
        text_put_u64(text, counts[i].value);
    }
    text_put_char(text, '}');
}

static void write_field(struct text *text, const struct schema_field *field,
                        const unsigned char *in)
{
    const unsigned char *at = in + field->offset;
    if (field->count_offset == SCHEMA_NO_OFFSET) {
        write_value(text, field, at);
        return;
    }
    const size_t count = *(const size_t *)(const void *)(in + field->count_offset);
    const unsigned char *items = *(const unsigned char *const *)(const void *)at;
    if (field->kind == SCHEMA_COUNTS) {
        write_counts(text, (const struct schema_count *)(const void *)items, count);
        return;
    }
    text_put_char(text, '[');
    for (size_t i = 0; i < count && !text->overflow; i++) {
        if (i > 0) {
            text_put_char(text, ',');
        }
        write_value(text, field, items + i * field->element);
    }
    text_put_char(text, ']');
}

static bool is_there(const struct schema_field *field, const unsigned char *in)
{
    if (field->kind == SCHEMA_ERROR) {
        return *(const void *const *)(const void *)(in + field->offset) != NULL;
    }
    return field->has_offset == SCHEMA_NO_OFFSET || *(const bool *)(in + field->has_offset);
}

static bool belongs(const struct schema *schema, const struct schema_field *field,
                    const unsigned char *in)
{
    if (field->only == 0) {
        return true;
    }
    const int tag = *(const int *)(const void *)(in + schema->fields[0].offset);
    return (field->only >> tag & 1) != 0;
}

static void write_object(struct text *text, const struct schema *schema, const unsigned char *in)
{
    char open = '{';
    for (size_t i = 0; i < schema->fields_count && !text->overflow; i++) {
        const struct schema_field *field = &schema->fields[i];
        const bool there = is_there(field, in);
        if (!belongs(schema, field, in) || (!there && !field->required)) {
            continue;
        }
        text_put_char(text, open);
        open = ',';
        text_put_char(text, '"');
        text_puts(text, field->name);
        text_put(text, "\":", 2);
        if (there) {
            write_field(text, field, in);
        } else {
            text_put(text, "null", 4);
        }
    }
    text_puts(text, open == '{' ? "{}" : "}");
}

void schema_write(struct text *text, const struct schema *schema, const void *in)
{
    write_struct(text, schema, in);
}

void schema_write_general(struct text *text, const struct schema *schema, const void *in)
{
    write_object(text, schema, in);
}
