/* The first state of a chain, from its genesis file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/sha256.h"
#include "model/json.h"
#include "model/model.h"
#include "model/tx.h"

enum { REASON_BYTES = JSON_REASON_BYTES };

/* What the readers of members share; `where` is the object that is read, for the reason. */
struct reading {
    const struct json_document *document;
    char *reason;
    char where[40];
    enum svm_err err;
};

/* refuse: the reason becomes "WHERE NAME WHAT"; always false. */
static bool refuse(struct reading *reading, const char *name, const char *what)
{
    reading->err = SVM_E_BAD_GENESIS;
    snprintf(reading->reason, REASON_BYTES, "%s%s%s %s", reading->where,
             reading->where[0] != '\0' ? "." : "", name, what);
    return false;
}

static bool out_of_memory(struct reading *reading)
{
    reading->err = SVM_E_NO_MEMORY;
    snprintf(reading->reason, REASON_BYTES, "out of memory");
    return false;
}

/* ---- members ----------------------------------------------------------------------------------------------- */

/* only_members: every member of OBJECT is one of NAMES (ended by NULL). */
static bool only_members(struct reading *reading, uint32_t object, const char *const *names)
{
    const struct json_document *d = reading->document;
    for (uint32_t i = json_at(d, object)->first; i != JSON_NONE; i = json_at(d, i)->next) {
        const char *name = json_name(d, json_at(d, i));
        const char *const *known = names;
        while (*known != NULL && strcmp(*known, name) != 0)
            known++;
        if (*known == NULL)
            return refuse(reading, name, "is not a member that exists here");
    }
    return true;
}

/* get_string: the string NAME of OBJECT; FALLBACK (may be NULL: the member is required) when it is absent. */
static bool get_string(struct reading *reading, const char **out, uint32_t object, const char *name,
                       const char *fallback)
{
    const uint32_t index = model_json_member(reading->document, object, name);
    *out = fallback;
    if (index == JSON_NONE)
        return fallback != NULL || refuse(reading, name, "is missing");
    const struct json_value *value = json_at(reading->document, index);
    if (value->type != JSON_STRING)
        return refuse(reading, name, "must be a string");
    *out = json_string(reading->document, value);
    return true;
}

static bool get_u64(struct reading *reading, uint64_t *out, uint32_t object, const char *name,
                    const char *fallback)
{
    const char *text;
    if (!get_string(reading, &text, object, name, fallback))
        return false;
    uint64_t value = 0;
    const char *c = text;
    for (; *c >= '0' && *c <= '9'; c++) {
        const uint64_t digit = (uint64_t)(*c - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return refuse(reading, name, "does not fit in 64 bits");
        value = value * 10 + digit;
    }
    if (*c != '\0' || c == text || (text[0] == '0' && text[1] != '\0'))
        return refuse(reading, name, "must be a decimal string without leading zeros");
    *out = value;
    return true;
}

static bool get_hex32(struct reading *reading, uint8_t out[32], uint32_t object, const char *name)
{
    const char *text;
    if (!get_string(reading, &text, object, name, NULL))
        return false;
    return svm_hex32_parse(out, text) == SVM_OK ||
           refuse(reading, name, "must be 0x and 64 hexadecimal digits");
}

static bool get_bool(struct reading *reading, bool *out, uint32_t object, const char *name)
{
    const uint32_t index = model_json_member(reading->document, object, name);
    *out = false;
    if (index == JSON_NONE)
        return true;
    const uint8_t type = json_at(reading->document, index)->type;
    *out = type == JSON_TRUE;
    return type == JSON_TRUE || type == JSON_FALSE ||
           refuse(reading, name, "must be true or false");
}

/* ---- objects ----------------------------------------------------------------------------------------------- */

static bool get_kind(struct reading *reading, struct model_object *head, uint32_t object)
{
    static const char *const members_of[] = {
        [SVM_KIND_OWNED] = "owner", [SVM_KIND_SHARED] = "controller", [SVM_KIND_IMMUTABLE] = NULL};
    const char *text;
    if (!get_string(reading, &text, object, "kind", NULL))
        return false;
    unsigned kind = SVM_KIND_OWNED;
    while (kind <= SVM_KIND_IMMUTABLE && strcmp(text, svm_kind_name((enum svm_kind)kind)) != 0)
        kind++;
    if (kind > SVM_KIND_IMMUTABLE)
        return refuse(reading, "kind", "must be owned, shared or immutable");
    model_object_kind_set(head, (enum svm_kind)kind);
    for (unsigned other = SVM_KIND_OWNED; other <= SVM_KIND_SHARED; other++)
        if (other != kind &&
            model_json_member(reading->document, object, members_of[other]) != JSON_NONE)
            return refuse(reading, members_of[other], "does not belong to this kind of object");
    if (kind != SVM_KIND_SHARED &&
        model_json_member(reading->document, object, "openWithdraw") != JSON_NONE)
        return refuse(reading, "openWithdraw", "does not belong to this kind of object");
    if (kind != SVM_KIND_IMMUTABLE && !get_hex32(reading, head->party.b, object, members_of[kind]))
        return false;
    bool open_withdraw;
    if (!get_bool(reading, &open_withdraw, object, "openWithdraw"))
        return false;
    head->open_withdraw = open_withdraw;
    return true;
}

/* get_object: one element of "objects". */
static bool get_object(struct reading *reading, struct model_genesis_object *out, uint32_t object,
                       uint64_t time_ms)
{
    static const char *const members[] = {"id",      "kind", "owner", "controller", "openWithdraw",
                                          "balance", "type", "data",  NULL};
    struct model_object head = {.version = 1};
    const char *type, *data;
    if (json_at(reading->document, object)->type != JSON_OBJECT)
        return refuse(reading, "", "must be an object");
    if (!only_members(reading, object, members) || !get_hex32(reading, out->id.b, object, "id") ||
        !get_kind(reading, &head, object) ||
        !get_u64(reading, &head.balance, object, "balance", "0") ||
        !get_string(reading, &type, object, "type", NULL) ||
        !get_string(reading, &data, object, "data", ""))
        return false;
    const struct svm_bytes type_bytes = {(const uint8_t *)type, strlen(type)};
    if (!model_type_is_good(type_bytes))
        return refuse(reading, "type", "must be 1 to 64 of a-z 0-9 . _ : -");
    const size_t cap = base64_bytes_max(strlen(data));
    out->object = malloc(model_object_size(type_bytes.len, cap));
    if (out->object == NULL)
        return out_of_memory(reading);
    size_t data_len = 0;
    if (!base64_decode(out->object->bytes + type_bytes.len, cap, &data_len, data, strlen(data)))
        return refuse(reading, "data", "must be base64 with padding");
    if (data_len > SVM_DATA_BYTES_MAX)
        return refuse(reading, "data", "has more than 65536 bytes");
    model_object_times_set(&head, time_ms, time_ms);
    model_object_lens_set(&head, type_bytes.len, data_len);
    *out->object = head;
    memcpy(out->object->bytes, type, type_bytes.len);
    return true;
}

static int compare_objects(const void *left, const void *right)
{
    const struct model_genesis_object *l = left, *r = right;
    return memcmp(l->id.b, r->id.b, sizeof l->id.b);
}

static size_t count_children(const struct json_document *document, uint32_t array)
{
    size_t count = 0;
    for (uint32_t i = json_at(document, array)->first; i != JSON_NONE;
         i = json_at(document, i)->next)
        count++;
    return count;
}

/* check_all: ids distinct (the objects are sorted), the sum of balances within 64 bits. */
static bool check_all(struct reading *reading, const struct model_genesis *genesis)
{
    uint64_t sum = 0;
    reading->where[0] = '\0';
    for (size_t i = 0; i < genesis->object_count; i++) {
        const struct model_genesis_object *o = &genesis->objects[i];
        if (o->object->balance > UINT64_MAX - sum)
            return refuse(reading, "objects", "have balances whose sum does not fit in 64 bits");
        sum += o->object->balance;
        if (i > 0 && compare_objects(o - 1, o) == 0) {
            char text[67];
            svm_hex32_format(text, o->id.b);
            reading->err = SVM_E_BAD_GENESIS;
            snprintf(reading->reason, REASON_BYTES, "objects has the id %s twice", text);
            return false;
        }
    }
    return true;
}

static bool get_objects(struct reading *reading, struct model_genesis *genesis)
{
    const struct json_document *d = reading->document;
    const uint32_t array = model_json_member(d, JSON_ROOT, "objects");
    if (array == JSON_NONE || json_at(d, array)->type != JSON_ARRAY)
        return refuse(reading, "objects", "must be an array");
    const size_t count = count_children(d, array);
    genesis->objects = calloc(count + 1, sizeof genesis->objects[0]);
    if (genesis->objects == NULL)
        return out_of_memory(reading);
    for (uint32_t i = json_at(d, array)->first; i != JSON_NONE; i = json_at(d, i)->next) {
        snprintf(reading->where, sizeof reading->where, "objects[%zu]", genesis->object_count);
        struct model_genesis_object *next = &genesis->objects[genesis->object_count++];
        if (!get_object(reading, next, i, genesis->time_ms))
            return false;
    }
    qsort(genesis->objects, count, sizeof genesis->objects[0], compare_objects);
    return check_all(reading, genesis);
}

/* ---- the whole --------------------------------------------------------------------------------------------- */

static bool get_genesis(struct reading *reading, struct model_genesis *genesis)
{
    static const char *const members[] = {"name", "timeMs", "objects", NULL};
    const char *name;
    if (json_at(reading->document, JSON_ROOT)->type != JSON_OBJECT)
        return refuse(reading, "the genesis", "must be an object");
    if (!only_members(reading, JSON_ROOT, members) ||
        !get_string(reading, &name, JSON_ROOT, "name", NULL) ||
        !get_u64(reading, &genesis->time_ms, JSON_ROOT, "timeMs", NULL) ||
        (genesis->time_ms > MODEL_MS_MAX && !refuse(reading, "timeMs", "is too far away")) ||
        !get_objects(reading, genesis))
        return false;
    genesis->canonical = model_json_canonical(reading->document);
    if (genesis->canonical == NULL)
        return out_of_memory(reading);
    crypto_sha256(genesis->digest.b, genesis->canonical, strlen(genesis->canonical));
    genesis->chain = bytes_get_u64le(genesis->digest.b);
    return true;
}

enum svm_err model_genesis_parse(struct model_genesis *genesis_out, const char *text,
                                 char reason[120])
{
    struct json_document document;
    *genesis_out = (struct model_genesis){.chain = 0};
    reason[0] = '\0';
    const enum svm_err err = model_json_parse(&document, text, reason);
    if (err != SVM_OK)
        return err;
    struct reading reading = {.document = &document, .reason = reason, .err = SVM_OK};
    if (!get_genesis(&reading, genesis_out))
        model_genesis_deinit(genesis_out);
    model_json_deinit(&document);
    return reading.err;
}

void model_genesis_deinit(struct model_genesis *genesis)
{
    for (size_t i = 0; i < genesis->object_count; i++)
        free(genesis->objects[i].object);
    free(genesis->objects);
    free(genesis->canonical);
    *genesis = (struct model_genesis){.chain = 0};
}
