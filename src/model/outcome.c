#include "model/outcome.h"

size_t model_outcome_size(const struct outcome *outcome)
{
    const size_t fixed =
        sizeof outcome->digest.b + sizeof outcome->sender.b + 8 + 8 + 8 + 1 + 2 + 1 + 1 + 4;
    return fixed + (outcome->fallback == SVM_FALLBACK_NONE ? 0 : sizeof outcome->fallback_object.b);
}

uint8_t *model_outcome_encode(uint8_t *out, const struct outcome *outcome)
{
    SVM_ASSERT((unsigned)outcome->failure < SVM_FAILURE_COUNT);
    SVM_ASSERT((unsigned)outcome->fallback < SVM_FALLBACK_COUNT);
    SVM_ASSERT((unsigned)outcome->path <= SVM_PATH_PRIVATE);
    uint8_t *p = bcs_put_array(out, outcome->digest.b, sizeof outcome->digest.b);
    p = bcs_put_array(p, outcome->sender.b, sizeof outcome->sender.b);
    p = bcs_put_u64(p, outcome->seq);
    p = bcs_put_u64(p, outcome->node_ms);
    p = bcs_put_u64(p, outcome->gas_used);
    p = bcs_put_u8(p, (uint8_t)outcome->failure);
    p = bcs_put_u16(p, outcome->failed_op);
    p = bcs_put_u8(p, (uint8_t)outcome->path);
    p = bcs_put_u8(p, (uint8_t)outcome->fallback);
    if (outcome->fallback != SVM_FALLBACK_NONE)
        p = bcs_put_array(p, outcome->fallback_object.b, sizeof outcome->fallback_object.b);
    return bcs_put_u32(p, outcome->latency_us);
}

/* get_variant: the tag of an enumeration without content, below COUNT (at most 128). */
static bool get_variant(struct bcs_reader *r, uint8_t *out, unsigned count)
{
    if (!bcs_get_u8(r, out))
        return false;
    return *out < count || bcs_fail(r, r->at - 1, "an unknown variant");
}

bool model_outcome_get(struct bcs_reader *r, struct outcome *outcome_out)
{
    struct outcome *o = outcome_out;
    uint8_t failure, path, fallback;
    memset(o, 0, sizeof *o);
    if (!bcs_get_array(r, o->digest.b, sizeof o->digest.b) ||
        !bcs_get_array(r, o->sender.b, sizeof o->sender.b) || !bcs_get_u64(r, &o->seq) ||
        !bcs_get_u64(r, &o->node_ms) || !bcs_get_u64(r, &o->gas_used) ||
        !get_variant(r, &failure, SVM_FAILURE_COUNT) || !bcs_get_u16(r, &o->failed_op) ||
        !get_variant(r, &path, SVM_PATH_PRIVATE + 1) ||
        !get_variant(r, &fallback, SVM_FALLBACK_COUNT))
        return false;
    o->failure = (enum svm_failure)failure;
    o->path = (enum svm_path)path;
    o->fallback = (enum svm_fallback)fallback;
    if (fallback != SVM_FALLBACK_NONE &&
        !bcs_get_array(r, o->fallback_object.b, sizeof o->fallback_object.b))
        return false;
    return bcs_get_u32(r, &o->latency_us);
}
