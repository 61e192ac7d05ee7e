/* Objects in memory, in their row, and as the public sees them. */
#include <stdlib.h>

#include "model/row.h"

enum row_tag { ROW_LIVE = 0, ROW_TOMBSTONE = 1 };

/* ---- public form ------------------------------------------------------------------------------------------- */

void model_object_view(struct svm_object *view_out, const struct svm_id *id,
                       const struct model_object *object, uint64_t seq)
{
    *view_out = (struct svm_object){
        .id = *id,
        .version = object->version,
        .kind = (enum svm_kind)object->kind,
        .open_withdraw = object->open_withdraw,
        .balance = {object->balance},
        .type = {model_object_type(object), object->type_len},
        .data = {model_object_data(object), object->data_len},
        .created_ms = object->created_ms,
        .modified_ms = object->modified_ms,
        .last_tx = object->last_tx,
        .seq = seq,
    };
    if (object->kind == SVM_KIND_OWNED)
        view_out->owner = object->party;
    if (object->kind == SVM_KIND_SHARED)
        view_out->controller = object->party;
}

struct svm_object *model_object_give(const struct svm_id *id, const struct model_object *object,
                                     uint64_t seq)
{
    const size_t bytes_len = (size_t)object->type_len + object->data_len;
    struct svm_object *given = malloc(sizeof *given + bytes_len);
    if (given == NULL)
        return NULL;
    model_object_view(given, id, object, seq);
    uint8_t *bytes = (uint8_t *)(given + 1);
    bcs_put_array(bytes, object->bytes, bytes_len);
    given->type.ptr = bytes;
    given->data.ptr = bytes + object->type_len;
    return given;
}

/* ---- encode ------------------------------------------------------------------------------------------------ */

static size_t holder_size(const struct model_object *object)
{
    switch ((enum svm_kind)object->kind) {
    case SVM_KIND_OWNED:
        return 1 + sizeof object->party.b;
    case SVM_KIND_SHARED:
        return 1 + sizeof object->party.b + 1;
    case SVM_KIND_IMMUTABLE:
        break;
    }
    return 1;
}

size_t model_row_size(const struct model_object *object)
{
    const size_t fixed = 1 + 8 + 8 + 8 + sizeof object->last_tx.b;
    if (object->deleted)
        return fixed;
    return fixed + holder_size(object) + 8 + bcs_bytes_size(object->type_len) +
           bcs_bytes_size(object->data_len);
}

static uint8_t *put_live(uint8_t *p, const struct model_object *object)
{
    SVM_ASSERT(object->kind <= SVM_KIND_IMMUTABLE);
    p = bcs_put_u8(p, (uint8_t)object->kind);
    if (object->kind != SVM_KIND_IMMUTABLE)
        p = bcs_put_array(p, object->party.b, sizeof object->party.b);
    if (object->kind == SVM_KIND_SHARED)
        p = bcs_put_u8(p, object->open_withdraw);
    p = bcs_put_u64(p, object->balance);
    p = bcs_put_bytes(p, model_object_type(object), object->type_len);
    return bcs_put_bytes(p, model_object_data(object), object->data_len);
}

uint8_t *model_row_encode(uint8_t *out, const struct model_object *object)
{
    uint8_t *p = bcs_put_u8(out, object->deleted ? ROW_TOMBSTONE : ROW_LIVE);
    p = bcs_put_u64(p, object->version);
    if (object->deleted)
        SVM_ASSERT(object->balance == 0 && object->type_len == 0 && object->data_len == 0);
    else
        p = put_live(p, object);
    p = bcs_put_u64(p, object->created_ms);
    p = bcs_put_u64(p, object->modified_ms);
    return bcs_put_array(p, object->last_tx.b, sizeof object->last_tx.b);
}

/* ---- decode ------------------------------------------------------------------------------------------------ */

static bool get_live(struct bcs_reader *r, struct row *row)
{
    uint8_t kind;
    if (!bcs_get_u8(r, &kind))
        return false;
    if (kind > SVM_KIND_IMMUTABLE)
        return bcs_fail(r, r->at - 1, "an object of an unknown kind");
    row->kind = (enum svm_kind)kind;
    if (kind != SVM_KIND_IMMUTABLE && !bcs_get_array(r, row->party.b, sizeof row->party.b))
        return false;
    if (kind == SVM_KIND_SHARED && !bcs_get_bool(r, &row->open_withdraw))
        return false;
    return bcs_get_u64(r, &row->balance) &&
           bcs_get_bytes(r, &row->type, SVM_TYPE_BYTES_MAX, "a type that is too long") &&
           bcs_get_bytes(r, &row->data, SVM_DATA_BYTES_MAX, "data that is too long");
}

bool model_row_parse(struct row *row_out, struct svm_bytes bytes)
{
    struct bcs_reader r;
    bcs_reader_init(&r, bytes);
    *row_out = (struct row){.kind = SVM_KIND_OWNED};
    uint8_t tag;
    if (!bcs_get_u8(&r, &tag) || tag > ROW_TOMBSTONE || !bcs_get_u64(&r, &row_out->version))
        return false;
    row_out->deleted = tag == ROW_TOMBSTONE;
    if (!row_out->deleted && !get_live(&r, row_out))
        return false;
    return model_row_get_ms(&r, &row_out->created_ms) &&
           model_row_get_ms(&r, &row_out->modified_ms) &&
           bcs_get_array(&r, row_out->last_tx.b, sizeof row_out->last_tx.b) && bcs_get_end(&r);
}

size_t model_row_object_size(struct svm_bytes row)
{
    struct row parsed;
    return model_row_parse(&parsed, row) ? model_object_size(parsed.type.len, parsed.data.len) : 0;
}

enum svm_err model_row_decode(struct model_object *object, struct svm_bytes row)
{
    struct row parsed;
    if (!model_row_parse(&parsed, row))
        return SVM_E_CORRUPT;
    *object = (struct model_object){
        .party = parsed.party,
        .last_tx = parsed.last_tx,
        .version = parsed.version,
        .balance = parsed.balance,
        .open_withdraw = parsed.open_withdraw,
        .deleted = parsed.deleted,
    };
    model_object_times_set(object, parsed.created_ms, parsed.modified_ms);
    model_object_kind_set(object, parsed.kind);
    model_object_lens_set(object, parsed.type.len, parsed.data.len);
    uint8_t *p = bcs_put_array(object->bytes, parsed.type.ptr, parsed.type.len);
    bcs_put_array(p, parsed.data.ptr, parsed.data.len);
    return SVM_OK;
}
