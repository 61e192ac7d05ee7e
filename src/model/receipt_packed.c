/* A receipt as it is kept in memory: a third of its struct. */
#include <stddef.h>

#include "model/outcome.h"
#include "model/row.h"

struct packed {
    uint64_t node_ms, gas_used;
    uint32_t latency_us;
    uint16_t failed_op;
    uint8_t change_count, failure, path, fallback;
    uint8_t sender[sizeof(struct svm_address)];
    uint8_t rest[]; /* the changes; then the object of a fallback */
};
enum { PACKED_BYTES = offsetof(struct packed, rest), CHANGE_BYTES = 1 + 8 + sizeof(struct svm_id) };

/* Whose it is: the upper bits of a change's first byte. Below them are its kind (2 bits) and what has changed (2). */
enum { OWNER_NOBODY, OWNER_SENDER, OWNER_GIVEN };

size_t model_packed_size(size_t changes, size_t owners)
{
    return PACKED_BYTES + changes * CHANGE_BYTES + owners * sizeof(struct svm_address);
}

static enum svm_change_kind change_of(const struct model_write *write)
{
    return write->object->deleted                  ? SVM_CHANGE_DELETED
           : write->prior.kind == MODEL_PRIOR_NONE ? SVM_CHANGE_CREATED
                                                   : SVM_CHANGE_MUTATED;
}

/* Only owned objects can be deleted, and nobody owns them any more. NULL = it does not fit before END. */
static uint8_t *put_change(uint8_t *p, const uint8_t *end, const struct model_write *write,
                           const struct svm_address *sender)
{
    const struct model_object *object = write->object;
    unsigned kind = object->deleted ? SVM_KIND_OWNED : object->kind, owner = OWNER_NOBODY;
    if (!object->deleted && object->kind == SVM_KIND_OWNED)
        owner =
            memcmp(object->party.b, sender->b, sizeof sender->b) == 0 ? OWNER_SENDER : OWNER_GIVEN;
    const size_t given = owner == OWNER_GIVEN ? sizeof object->party.b : 0;
    if ((size_t)(end - p) < CHANGE_BYTES + given)
        return NULL;
    *p++ = (uint8_t)(owner << 4 | kind << 2 | (unsigned)change_of(write));
    memcpy(p, &object->version, 8);
    memcpy(p + 8, write->id.b, sizeof write->id.b);
    p += 8 + sizeof write->id.b;
    memcpy(p, object->party.b, given);
    return p + given;
}

bool model_receipt_pack(uint8_t *out, size_t room, const struct model_effects *effects)
{
    const uint8_t *end = out + room;
    const bool fell_back = effects->fallback != SVM_FALLBACK_NONE;
    if (room < PACKED_BYTES || effects->write_count > MODEL_PACKED_CHANGES)
        return false;
    struct packed *packed = (struct packed *)(void *)out;
    packed->node_ms = effects->node_ms;
    packed->gas_used = effects->gas_used;
    packed->latency_us = effects->latency_us;
    packed->failed_op = effects->failed_op;
    packed->change_count = (uint8_t)effects->write_count;
    packed->failure = (uint8_t)effects->failure;
    packed->path = (uint8_t)effects->path;
    packed->fallback = (uint8_t)effects->fallback;
    memcpy(packed->sender, effects->sender.b, sizeof packed->sender);
    uint8_t *p = packed->rest;
    for (int change = SVM_CHANGE_CREATED; change <= SVM_CHANGE_DELETED; change++)
        for (size_t i = 0; i < effects->write_count; i++)
            if (change_of(&effects->writes[i]) == (enum svm_change_kind)change) {
                p = put_change(p, end, &effects->writes[i], &effects->sender);
                if (!p)
                    return false;
            }
    if (fell_back && (size_t)(end - p) < sizeof effects->fallback_object)
        return false;
    if (fell_back)
        memcpy(p, effects->fallback_object.b, sizeof effects->fallback_object);
    return true;
}

static const uint8_t *get_change(struct svm_change *change, const uint8_t *p,
                                 const struct svm_address *sender)
{
    const unsigned owner = *p >> 4;
    change->change = (enum svm_change_kind)(*p & 3);
    change->kind = (enum svm_kind)(*p >> 2 & 3);
    memcpy(&change->version, p + 1, 8);
    memcpy(change->id.b, p + 9, sizeof change->id.b);
    p += CHANGE_BYTES;
    if (owner == OWNER_NOBODY)
        memset(change->owner.b, 0, sizeof change->owner.b);
    else if (owner == OWNER_SENDER)
        change->owner = *sender;
    else
        memcpy(change->owner.b, p, sizeof change->owner.b);
    return owner == OWNER_GIVEN ? p + sizeof change->owner.b : p;
}

const struct svm_receipt *model_receipt_unpack(struct model_receipt_space *space,
                                               const uint8_t *bytes,
                                               const struct svm_digest *digest, uint64_t seq)
{
    const struct packed *packed = (const struct packed *)(const void *)bytes;
    struct svm_receipt *receipt = &space->receipt;
    receipt->digest = *digest;
    memcpy(receipt->sender.b, packed->sender, sizeof packed->sender);
    receipt->seq = seq;
    receipt->node_ms = packed->node_ms;
    receipt->gas_used = packed->gas_used;
    receipt->failure = (enum svm_failure)packed->failure;
    receipt->failed_op = packed->failed_op;
    receipt->change_count = packed->change_count;
    receipt->path = (enum svm_path)packed->path;
    receipt->fallback = (enum svm_fallback)packed->fallback;
    receipt->latency_us = packed->latency_us;
    receipt->changes = space->changes;
    const uint8_t *p = packed->rest;
    for (size_t i = 0; i < packed->change_count; i++)
        p = get_change(&space->changes[i], p, &receipt->sender);
    if (receipt->fallback == SVM_FALLBACK_NONE)
        memset(receipt->fallback_object.b, 0, sizeof receipt->fallback_object.b);
    else
        memcpy(receipt->fallback_object.b, p, sizeof receipt->fallback_object.b);
    return receipt;
}
