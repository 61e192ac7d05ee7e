/* Receipts: what a transaction did, without the contents of what it wrote. */
#include <stdlib.h>

#include "model/outcome.h"
#include "model/row.h"

enum { CHANGES_MAX = MODEL_WRITES_MAX };

/* alloc_receipt: room for a receipt and COUNT changes in one piece; change_count and changes are set. */
static struct svm_receipt *alloc_receipt(size_t count, struct svm_change **changes_out)
{
    struct svm_receipt *receipt = malloc(sizeof *receipt + count * sizeof(struct svm_change));
    if (receipt == NULL)
        return NULL;
    *changes_out = (struct svm_change *)(receipt + 1);
    receipt->change_count = (uint16_t)count;
    receipt->changes = *changes_out;
    return receipt;
}

size_t model_receipt_bytes(const struct svm_receipt *receipt)
{
    return sizeof *receipt + receipt->change_count * sizeof(struct svm_change);
}

struct svm_receipt *model_receipt_copy(const struct svm_receipt *receipt)
{
    struct svm_change *changes;
    struct svm_receipt *copy = alloc_receipt(receipt->change_count, &changes);
    if (copy == NULL)
        return NULL;
    *copy = *receipt;
    copy->changes = changes;
    for (size_t i = 0; i < receipt->change_count; i++)
        changes[i] = receipt->changes[i];
    return copy;
}

/* ---- from effects ------------------------------------------------------------------------------------------ */

/* head_of: what the row of write I says, or would say. */
static struct model_row_head head_of(const struct model_effects *effects, size_t i)
{
    const struct model_object *object = effects->writes[i].object;
    if (object == NULL) {
        SVM_ASSERT(effects->heads != NULL);
        return effects->heads[i];
    }
    return (struct model_row_head){.version = object->version,
                                   .party = object->party.b,
                                   .kind = object->kind,
                                   .deleted = object->deleted};
}

static enum svm_change_kind change_kind_of(const struct model_effects *effects, size_t i)
{
    const struct model_write *write = &effects->writes[i];
    const bool deleted = write->object != NULL ? write->object->deleted : effects->heads[i].deleted;
    return deleted                                 ? SVM_CHANGE_DELETED
           : write->prior.kind == MODEL_PRIOR_NONE ? SVM_CHANGE_CREATED
                                                   : SVM_CHANGE_MUTATED;
}

/* Only owned objects can be deleted, and nobody owns them any more. */
static struct svm_change change_of(const struct model_effects *effects, size_t i)
{
    const struct model_row_head head = head_of(effects, i);
    struct svm_change change = {.id = effects->writes[i].id,
                                .version = head.version,
                                .change = change_kind_of(effects, i),
                                .kind = head.deleted ? SVM_KIND_OWNED : (enum svm_kind)head.kind};
    if (!head.deleted && head.kind == SVM_KIND_OWNED)
        memcpy(change.owner.b, head.party, sizeof change.owner.b);
    return change;
}

/* sort_changes: writes are in id order; placing each behind those of its kind that came before keeps that. */
static void sort_changes(struct svm_change *changes, const struct model_effects *effects)
{
    size_t count[3] = {0};
    for (size_t i = 0; i < effects->write_count; i++)
        count[change_kind_of(effects, i)]++;
    size_t at[3] = {0, count[0], count[0] + count[1]};
    for (size_t i = 0; i < effects->write_count; i++)
        changes[at[change_kind_of(effects, i)]++] = change_of(effects, i);
    SVM_ASSERT(at[2] == effects->write_count);
}

size_t model_receipt_need(const struct model_effects *effects)
{
    return sizeof(struct svm_receipt) + effects->write_count * sizeof(struct svm_change);
}

struct svm_receipt *model_receipt_make(void *memory, const struct model_effects *effects)
{
    struct svm_receipt *receipt = memory;
    struct svm_change *changes = (struct svm_change *)(receipt + 1);
    *receipt = (struct svm_receipt){
        .digest = effects->digest,
        .sender = effects->sender,
        .seq = effects->seq,
        .node_ms = effects->node_ms,
        .gas_used = effects->gas_used,
        .failure = effects->failure,
        .failed_op = effects->failed_op,
        .change_count = effects->write_count,
        .path = effects->path,
        .fallback = effects->fallback,
        .fallback_object = effects->fallback_object,
        .latency_us = effects->latency_us,
        .changes = changes,
    };
    sort_changes(changes, effects);
    return receipt;
}

struct svm_receipt *model_receipt_of(const struct model_effects *effects)
{
    void *memory = malloc(model_receipt_need(effects));
    return memory ? model_receipt_make(memory, effects) : NULL;
}

/* ---- encode ------------------------------------------------------------------------------------------------ */

static struct outcome outcome_of(const struct svm_receipt *receipt)
{
    return (struct outcome){
        .digest = receipt->digest,
        .sender = receipt->sender,
        .seq = receipt->seq,
        .node_ms = receipt->node_ms,
        .gas_used = receipt->gas_used,
        .failure = receipt->failure,
        .failed_op = receipt->failed_op,
        .path = receipt->path,
        .fallback = receipt->fallback,
        .fallback_object = receipt->fallback_object,
        .latency_us = receipt->latency_us,
    };
}

static size_t change_size(const struct svm_change *change)
{
    const size_t owner = change->kind == SVM_KIND_OWNED ? sizeof change->owner.b : 0;
    return sizeof change->id.b + 8 + 1 + 1 + owner;
}

static uint8_t *put_change(uint8_t *p, const struct svm_change *change)
{
    SVM_ASSERT((unsigned)change->change <= SVM_CHANGE_DELETED);
    SVM_ASSERT((unsigned)change->kind <= SVM_KIND_IMMUTABLE);
    p = bcs_put_array(p, change->id.b, sizeof change->id.b);
    p = bcs_put_u64(p, change->version);
    p = bcs_put_u8(p, (uint8_t)change->change);
    p = bcs_put_u8(p, (uint8_t)change->kind);
    if (change->kind == SVM_KIND_OWNED)
        p = bcs_put_array(p, change->owner.b, sizeof change->owner.b);
    return p;
}

size_t model_receipt_size(const struct svm_receipt *receipt)
{
    const struct outcome outcome = outcome_of(receipt);
    size_t size = model_outcome_size(&outcome) + bcs_uleb_size(receipt->change_count);
    for (size_t i = 0; i < receipt->change_count; i++)
        size += change_size(&receipt->changes[i]);
    return size;
}

uint8_t *model_receipt_encode(uint8_t *out, const struct svm_receipt *receipt)
{
    const struct outcome outcome = outcome_of(receipt);
    uint8_t *p = model_outcome_encode(out, &outcome);
    p = bcs_put_uleb(p, receipt->change_count);
    for (size_t i = 0; i < receipt->change_count; i++)
        p = put_change(p, &receipt->changes[i]);
    return p;
}

/* ---- right from a frame to the row ------------------------------------------------------------------------- */

static bool has_owner(const struct model_row_head *head)
{
    return head->deleted || head->kind == SVM_KIND_OWNED;
}

size_t model_receipt_row_size(const struct model_effects *effects)
{
    SVM_ASSERT(effects->outcome.len > 0);
    size_t size = effects->outcome.len + bcs_uleb_size(effects->write_count);
    for (size_t i = 0; i < effects->write_count; i++)
        size += sizeof(struct svm_id) + 8 + 1 + 1 +
                (has_owner(&effects->heads[i]) ? sizeof(struct svm_address) : 0);
    return size;
}

static uint8_t *put_head(uint8_t *p, const struct svm_id *id, const struct model_row_head *head,
                         enum svm_change_kind change)
{
    static const struct svm_address nobody = {{0}};
    p = bcs_put_array(p, id->b, sizeof id->b);
    p = bcs_put_u64(p, head->version);
    p = bcs_put_u8(p, (uint8_t)change);
    p = bcs_put_u8(p, head->deleted ? SVM_KIND_OWNED : head->kind);
    if (has_owner(head))
        p = bcs_put_array(p, head->deleted ? nobody.b : head->party, sizeof nobody.b);
    return p;
}

uint8_t *model_receipt_row_encode(uint8_t *out, const struct model_effects *effects)
{
    uint8_t *p = bcs_put_array(out, effects->outcome.ptr, effects->outcome.len);
    p = bcs_put_uleb(p, effects->write_count);
    for (int change = SVM_CHANGE_CREATED; change <= SVM_CHANGE_DELETED; change++)
        for (size_t i = 0; i < effects->write_count; i++)
            if (change_kind_of(effects, i) == (enum svm_change_kind)change)
                p = put_head(p, &effects->writes[i].id, &effects->heads[i],
                             (enum svm_change_kind)change);
    return p;
}

/* ---- decode ------------------------------------------------------------------------------------------------ */

static bool get_change(struct bcs_reader *r, struct svm_change *change)
{
    uint8_t kind_of_change, kind;
    memset(change, 0, sizeof *change);
    if (!bcs_get_array(r, change->id.b, sizeof change->id.b) || !bcs_get_u64(r, &change->version) ||
        !bcs_get_u8(r, &kind_of_change) || !bcs_get_u8(r, &kind))
        return false;
    if (kind_of_change > SVM_CHANGE_DELETED || kind > SVM_KIND_IMMUTABLE)
        return bcs_fail(r, r->at - 2, "an unknown variant");
    change->change = (enum svm_change_kind)kind_of_change;
    change->kind = (enum svm_kind)kind;
    return kind != SVM_KIND_OWNED || bcs_get_array(r, change->owner.b, sizeof change->owner.b);
}

static bool changes_ascend(const struct svm_change *left, const struct svm_change *right)
{
    if (left->change != right->change)
        return left->change < right->change;
    return memcmp(left->id.b, right->id.b, sizeof left->id.b) < 0;
}

static bool get_changes(struct bcs_reader *r, struct svm_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!get_change(r, &changes[i]))
            return false;
        if (i > 0 && !changes_ascend(&changes[i - 1], &changes[i]))
            return bcs_fail(r, r->at, "changes out of order");
    }
    return bcs_get_end(r);
}

enum svm_err model_receipt_decode(struct svm_receipt **receipt_out, struct svm_bytes row)
{
    struct bcs_reader r;
    struct outcome outcome;
    uint32_t count;
    bcs_reader_init(&r, row);
    if (!model_outcome_get(&r, &outcome) ||
        !bcs_get_len(&r, &count, CHANGES_MAX, "too many changes"))
        return SVM_E_CORRUPT;
    struct svm_change *changes;
    struct svm_receipt *receipt = alloc_receipt(count, &changes);
    if (receipt == NULL)
        return SVM_E_NO_MEMORY;
    if (!get_changes(&r, changes, count)) {
        free(receipt);
        return SVM_E_CORRUPT;
    }
    *receipt = (struct svm_receipt){
        .digest = outcome.digest,
        .sender = outcome.sender,
        .seq = outcome.seq,
        .node_ms = outcome.node_ms,
        .gas_used = outcome.gas_used,
        .failure = outcome.failure,
        .failed_op = outcome.failed_op,
        .change_count = (uint16_t)count,
        .path = outcome.path,
        .fallback = outcome.fallback,
        .fallback_object = outcome.fallback_object,
        .latency_us = outcome.latency_us,
        .changes = changes,
    };
    *receipt_out = receipt;
    return SVM_OK;
}
