#include <stdlib.h>
#include <string.h>

#include <svm/engine.h>

/* What the engine gives away is one block each: the struct and behind it what it points to (model_receipt_of,
 * model_receipt_decode and model_object_give make them so). */

struct svm_receipt *svm_receipt_copy(const struct svm_receipt *receipt)
{
    size_t changes = receipt->change_count * sizeof *receipt->changes;
    struct svm_receipt *copy = malloc(sizeof *copy + changes);
    if (!copy)
        return NULL;
    *copy = *receipt;
    struct svm_change *own = (struct svm_change *)(copy + 1);
    if (changes)
        memcpy(own, receipt->changes, changes);
    copy->changes = own;
    return copy;
}

void svm_receipt_free(struct svm_receipt *receipt)
{
    free(receipt);
}

void svm_object_free(struct svm_object *object)
{
    free(object);
}
