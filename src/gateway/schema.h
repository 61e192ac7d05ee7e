/* gateway/schema.h - typed values and their JSON, as tables that scripts/gen-rpc writes from the contracts in rpc/.
 *
 *      contract --gen-rpc--> C struct + struct schema     JSON --schema_parse--> C struct --> method
 *                                                         method --> C struct --schema_write--> JSON
 *
 * A schema says where each field of a JSON object lies in a C struct. Methods thus see C alone, and what they are given has
 * been checked: every required field is there, no unknown one is, each has its form and is within its limits.
 *
 * A tagged object has an enum as its first field; a field with `only` belongs to the tags in that mask. */
#ifndef GATEWAY_SCHEMA_H
#define GATEWAY_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "gateway/arena.h"
#include "gateway/rpc_error.h"
#include "gateway/text.h"

enum schema_kind {
    SCHEMA_BOOL,   /* bool */
    SCHEMA_INT,    /* uint64_t; a JSON integer */
    SCHEMA_U64,    /* uint64_t; a decimal string, in: or an integer up to 2^53-1 */
    SCHEMA_I64,    /* int64_t; likewise */
    SCHEMA_TEXT,   /* const char *, UTF-8 */
    SCHEMA_BASE64, /* struct svm_bytes */
    SCHEMA_HEX32,  /* 32 bytes: ids, addresses, digests, keys */
    SCHEMA_HEX64,  /* 64 bytes: signatures */
    SCHEMA_ENUM,   /* an enum, as int */
    SCHEMA_STRUCT, /* a struct of its own schema */
    SCHEMA_COUNTS, /* const struct schema_count * with a length; an object of integers. Results only. */
    SCHEMA_JSON, /* struct svm_bytes of JSON text, as it is. Results only. */
    SCHEMA_ERROR /* const struct rpc_error *. Results only. */
};

struct schema_count {
    const char *name;
    uint64_t value;
};

enum { SCHEMA_NO_OFFSET = 0xffff };

struct schema;
struct schema_field {
    const char *name;
    const struct schema *type; /* SCHEMA_STRUCT */
    const char *const *names;  /* SCHEMA_ENUM */
    uint64_t min,
        max; /* SCHEMA_INT: value; TEXT, BASE64: bytes, arrays: items (max only); 0,0 = no limit */
    uint64_t initial; /* value when absent (BOOL, INT, U64, ENUM), if has_initial */
    uint32_t only;    /* mask of tags; 0 = all */
    uint16_t offset;
    uint16_t has_offset;   /* of the bool that says whether it is there, or SCHEMA_NO_OFFSET */
    uint16_t count_offset; /* arrays and COUNTS: of the size_t; else SCHEMA_NO_OFFSET */
    uint16_t element;      /* bytes of one value */
    uint16_t names_count;
    uint8_t kind; /* of enum schema_kind */
    bool array;
    bool required; /* params: must be given. Results: written even when it is not there, as null. */
    bool has_initial;
};

struct schema {
    const char *name;
    const struct schema_field *fields;
    uint16_t fields_count;
    uint16_t size; /* of the C struct */
    bool tagged;   /* fields[0] is the tag */
};

/* schema_parse_params: PARAMS (NULL, array by position, or object by name) into OUT.
 *   arena  texts, bytes and arrays of OUT live there
 *   error  out  INVALID_PARAMS naming the parameter, what was expected and what was got; LIMIT_EXCEEDED for an array that is
 *               too long; NO_MEMORY. Its texts live in ARENA. Written only when false. */
bool schema_parse_params(void *out, struct rpc_error *error, struct arena *arena,
                         const struct schema *schema, const json_t *params);

/* schema_write: IN as JSON to the end of TEXT. schema_write_general: the same text, whatever IN is by the tables alone, while
 * schema_write takes a shorter way where there is one (receipt_json.h). */
void schema_write(struct text *text, const struct schema *schema, const void *in);
void schema_write_general(struct text *text, const struct schema *schema, const void *in);

/* schema_nearest: the one of COUNT names most like NAME (Damerau-Levenshtein distance of at most a third of its length, at
 * least 2), or NULL. */
const char *schema_nearest(const char *name, const char *const *names, size_t count);

#endif
