/* exec/check.c - what stands before execution: the rules that rest on state, and the price of running at all. */
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "exec/exec.h"

enum { GAS_BASE_OWNED = 1000, GAS_BASE_SHARED = 5000 };

uint64_t exec_gas_base(const struct svm_tx *tx)
{
    for (uint16_t i = 0; i < tx->input_count; i++) {
        if (tx->inputs[i].kind == SVM_KIND_SHARED)
            return GAS_BASE_SHARED;
    }
    return GAS_BASE_OWNED;
}

/* refuse: fill REFUSAL (may be NULL) with ERR about INPUT and the facts that every such refusal shares. */
static enum svm_err refuse(struct svm_refusal *refusal, enum svm_err err,
                           const struct svm_input *input, const struct model_object *object)
{
    if (refusal == NULL)
        return err;
    memset(refusal, 0, sizeof *refusal);
    refusal->err = err;
    refusal->has = SVM_HAS_OBJECT;
    refusal->object = input->id;
    if (object != NULL) {
        refusal->has |= SVM_HAS_CURRENT | SVM_HAS_WINNER;
        refusal->current = object->version;
        refusal->winner = object->last_tx;
    }
    if (input->exact) {
        refusal->has |= SVM_HAS_GIVEN;
        refusal->given = input->version;
    }
    return err;
}

static enum svm_err refuse_kind(struct svm_refusal *refusal, const struct svm_input *input,
                                const struct model_object *object)
{
    const bool writes = input->kind == SVM_KIND_OWNED || input->writable;
    const bool frozen = object->kind == SVM_KIND_IMMUTABLE && writes;
    const enum svm_err err = frozen ? SVM_E_OBJECT_IMMUTABLE : SVM_E_WRONG_INPUT_KIND;
    (void)refuse(refusal, err, input, object);
    if (refusal != NULL) {
        refusal->has |= SVM_HAS_KINDS;
        refusal->declared = input->kind;
        refusal->actual = (enum svm_kind)object->kind;
        snprintf(refusal->reason, sizeof refusal->reason, "the input is declared %s and is %s",
                 svm_kind_name(refusal->declared), svm_kind_name(refusal->actual));
    }
    return err;
}

static enum svm_err refuse_owner(struct svm_refusal *refusal, const struct svm_tx *tx,
                                 const struct svm_input *input, const struct model_object *object)
{
    (void)refuse(refusal, SVM_E_NOT_OWNER, input, object);
    if (refusal != NULL) {
        refusal->has |= SVM_HAS_OWNER | SVM_HAS_SENDER;
        refusal->owner = object->party;
        refusal->sender = tx->sender;
    }
    return SVM_E_NOT_OWNER;
}

enum svm_err exec_check_input(const struct svm_tx *tx, uint16_t index,
                              const struct model_object *object, struct svm_refusal *refusal)
{
    SVM_ASSERT(index < tx->input_count);
    const struct svm_input *input = &tx->inputs[index];

    if (object == NULL)
        return refuse(refusal, SVM_E_OBJECT_NOT_FOUND, input, NULL);
    if (object->deleted)
        return refuse(refusal, SVM_E_OBJECT_DELETED, input, object);
    if (object->kind != input->kind)
        return refuse_kind(refusal, input, object);
    if (input->kind != SVM_KIND_OWNED)
        return SVM_OK;
    if (memcmp(object->party.b, tx->sender.b, sizeof tx->sender.b) != 0 &&
        !FAULT_BUG("forget-owner"))
        return refuse_owner(refusal, tx, input, object);
    if (input->exact && input->version != object->version)
        return refuse(refusal, SVM_E_VERSION_CONFLICT, input, object);
    return SVM_OK;
}
