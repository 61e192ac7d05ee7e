/* Frames of the log: the effects of one transaction, of one interactive transaction, or a number nobody used. */
#include "model/outcome.h"
#include "model/row.h"

/* ---- transactions ------------------------------------------------------------------------------------------ */

static struct outcome outcome_of(const struct model_effects *effects)
{
    return (struct outcome){
        .digest = effects->digest,
        .sender = effects->sender,
        .seq = effects->seq,
        .node_ms = effects->node_ms,
        .gas_used = effects->gas_used,
        .failure = effects->failure,
        .failed_op = effects->failed_op,
        .path = effects->path,
        .fallback = effects->fallback,
        .fallback_object = effects->fallback_object,
        .latency_us = effects->latency_us,
    };
}

static size_t row_size(const struct model_write *write)
{
    return write->object != NULL ? model_row_size(write->object) : write->row.len;
}

static size_t write_size(const struct model_write *write)
{
    const size_t owner = write->prior.kind == MODEL_PRIOR_OWNED ? sizeof write->prior.owner.b : 0;
    return sizeof write->id.b + 1 + owner + bcs_bytes_size(row_size(write));
}

static uint8_t *put_write(uint8_t *p, const struct model_write *write)
{
    SVM_ASSERT((unsigned)write->prior.kind <= MODEL_PRIOR_IMMUTABLE);
    p = bcs_put_array(p, write->id.b, sizeof write->id.b);
    p = bcs_put_u8(p, (uint8_t)write->prior.kind);
    if (write->prior.kind == MODEL_PRIOR_OWNED)
        p = bcs_put_array(p, write->prior.owner.b, sizeof write->prior.owner.b);
    if (write->object == NULL)
        return bcs_put_bytes(p, write->row.ptr, write->row.len);
    p = bcs_put_uleb(p, model_row_size(write->object));
    return model_row_encode(p, write->object);
}

size_t model_effects_size(const struct model_effects *effects)
{
    const struct outcome outcome = outcome_of(effects);
    size_t size = 1 + model_outcome_size(&outcome) + 2 + bcs_uleb_size(effects->write_count);
    for (size_t i = 0; i < effects->write_count; i++)
        size += write_size(&effects->writes[i]);
    return size;
}

uint8_t *model_effects_encode(uint8_t *out, const struct model_effects *effects)
{
    SVM_ASSERT(effects->write_count <= MODEL_WRITES_MAX);
    const struct outcome outcome = outcome_of(effects);
    uint8_t *p = bcs_put_u8(out, MODEL_FRAME_TX);
    p = model_outcome_encode(p, &outcome);
    p = bcs_put_u16(p, effects->transfers);
    p = bcs_put_uleb(p, effects->write_count);
    for (size_t i = 0; i < effects->write_count; i++)
        p = put_write(p, &effects->writes[i]);
    return p;
}

/* get_write: one write, its row checked, so that whoever decodes the row later cannot fail. */
static bool get_write(struct bcs_reader *r, struct model_write *write, struct model_row_head *head)
{
    uint8_t prior;
    *write = (struct model_write){.object = NULL};
    if (!bcs_get_array(r, write->id.b, sizeof write->id.b) || !bcs_get_u8(r, &prior))
        return false;
    if (prior > MODEL_PRIOR_IMMUTABLE)
        return bcs_fail(r, r->at - 1, "an unknown prior kind");
    write->prior.kind = (enum model_prior_kind)prior;
    if (prior == MODEL_PRIOR_OWNED &&
        !bcs_get_array(r, write->prior.owner.b, sizeof write->prior.owner.b))
        return false;
    if (!bcs_get_bytes(r, &write->row, UINT32_MAX, "a row that is too long"))
        return false;
    return model_row_head_get(head, write->row) || bcs_fail(r, write->row.ptr, "a malformed row");
}

static bool get_writes(struct bcs_reader *r, struct model_frame *frame)
{
    uint32_t count;
    if (!bcs_get_len(r, &count, MODEL_WRITES_MAX, "too many writes"))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *start = r->at;
        if (!get_write(r, &frame->writes[i], &frame->heads[i]))
            return false;
        if (i > 0 &&
            memcmp(frame->writes[i - 1].id.b, frame->writes[i].id.b, sizeof(struct svm_id)) >= 0)
            return bcs_fail(r, start, "writes out of order");
    }
    frame->tx.writes = frame->writes;
    frame->tx.heads = frame->heads;
    frame->tx.write_count = (uint16_t)count;
    return true;
}

static bool get_effects(struct bcs_reader *r, struct model_frame *frame)
{
    struct outcome outcome;
    uint16_t transfers;
    const uint8_t *start = r->at;
    if (!model_outcome_get(r, &outcome))
        return false;
    const struct svm_bytes bytes = {start, (size_t)(r->at - start)};
    if (!bcs_get_u16(r, &transfers))
        return false;
    frame->seq = outcome.seq;
    frame->tx = (struct model_effects){
        .digest = outcome.digest,
        .sender = outcome.sender,
        .seq = outcome.seq,
        .node_ms = outcome.node_ms,
        .gas_used = outcome.gas_used,
        .failure = outcome.failure,
        .failed_op = outcome.failed_op,
        .path = outcome.path,
        .fallback = outcome.fallback,
        .fallback_object = outcome.fallback_object,
        .latency_us = outcome.latency_us,
        .transfers = transfers,
        .outcome = bytes,
    };
    return get_writes(r, frame);
}

/* ---- cells ------------------------------------------------------------------------------------------------- */

static size_t cell_write_size(const struct model_cell_write *write)
{
    const size_t value = write->deleted ? 0 : bcs_bytes_size(write->value.len);
    return bcs_bytes_size(write->key.len) + 8 + 1 + value;
}

size_t model_cell_effects_size(const struct model_cell_effects *effects)
{
    size_t size = 1 + 8 + 8 + bcs_uleb_size(effects->write_count);
    for (size_t i = 0; i < effects->write_count; i++)
        size += cell_write_size(&effects->writes[i]);
    return size;
}

uint8_t *model_cell_effects_encode(uint8_t *out, const struct model_cell_effects *effects)
{
    SVM_ASSERT(effects->write_count <= MODEL_CELL_WRITES_MAX);
    uint8_t *p = bcs_put_u8(out, MODEL_FRAME_CELLS);
    p = bcs_put_u64(p, effects->seq);
    p = bcs_put_u64(p, effects->node_ms);
    p = bcs_put_uleb(p, effects->write_count);
    for (size_t i = 0; i < effects->write_count; i++) {
        const struct model_cell_write *write = &effects->writes[i];
        SVM_ASSERT(write->key.len >= 1 && write->key.len <= SVM_CELL_KEY_MAX);
        p = bcs_put_bytes(p, write->key.ptr, write->key.len);
        p = bcs_put_u64(p, write->version);
        p = bcs_put_u8(p, !write->deleted);
        if (!write->deleted)
            p = bcs_put_bytes(p, write->value.ptr, write->value.len);
    }
    return p;
}

static int compare_keys(struct svm_bytes left, struct svm_bytes right)
{
    const size_t common = left.len < right.len ? left.len : right.len;
    const int order = memcmp(left.ptr, right.ptr, common);
    if (order != 0)
        return order;
    return (left.len > right.len) - (left.len < right.len);
}

static bool get_cell_write(struct bcs_reader *r, struct model_cell_write *write)
{
    const uint8_t *start = r->at;
    bool has_value;
    if (!bcs_get_bytes(r, &write->key, SVM_CELL_KEY_MAX, "a key that is too long"))
        return false;
    if (write->key.len == 0)
        return bcs_fail(r, start, "an empty key");
    if (!bcs_get_u64(r, &write->version) || !bcs_get_option(r, &has_value))
        return false;
    write->deleted = !has_value;
    write->value = (struct svm_bytes){NULL, 0};
    return !has_value || bcs_get_bytes(r, &write->value, UINT32_MAX, "a value that is too long");
}

static bool get_cell_effects(struct bcs_reader *r, struct model_frame *frame)
{
    uint32_t count;
    frame->cells = (struct model_cell_effects){.writes = frame->cell_writes};
    if (!bcs_get_u64(r, &frame->cells.seq) || !bcs_get_u64(r, &frame->cells.node_ms) ||
        !bcs_get_len(r, &count, MODEL_CELL_WRITES_MAX, "too many writes"))
        return false;
    frame->seq = frame->cells.seq;
    frame->cells.write_count = (uint16_t)count;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *start = r->at;
        if (!get_cell_write(r, &frame->cell_writes[i]))
            return false;
        if (i > 0 && compare_keys(frame->cell_writes[i - 1].key, frame->cell_writes[i].key) >= 0)
            return bcs_fail(r, start, "writes out of order");
    }
    return true;
}

/* ---- frames ------------------------------------------------------------------------------------------------ */

size_t model_void_size(uint64_t seq)
{
    (void)seq;
    return 1 + 8;
}

uint8_t *model_void_encode(uint8_t *out, uint64_t seq)
{
    return bcs_put_u64(bcs_put_u8(out, MODEL_FRAME_VOID), seq);
}

static bool get_frame(struct bcs_reader *r, struct model_frame *frame)
{
    uint8_t tag;
    if (!bcs_get_u8(r, &tag))
        return false;
    switch (tag) {
    case MODEL_FRAME_TX:
        frame->kind = MODEL_FRAME_TX;
        return get_effects(r, frame);
    case MODEL_FRAME_CELLS:
        frame->kind = MODEL_FRAME_CELLS;
        return get_cell_effects(r, frame);
    case MODEL_FRAME_VOID:
        frame->kind = MODEL_FRAME_VOID;
        return bcs_get_u64(r, &frame->seq);
    default:
        return bcs_fail(r, r->at - 1, "a frame of an unknown kind");
    }
}

enum svm_err model_frame_decode(struct model_frame *frame, struct svm_bytes *bytes)
{
    struct bcs_reader r;
    bcs_reader_init(&r, *bytes);
    if (!get_frame(&r, frame))
        return SVM_E_CORRUPT;
    *bytes = (struct svm_bytes){r.at, bcs_rest(&r)};
    return SVM_OK;
}
