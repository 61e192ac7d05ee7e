#include <stdlib.h>

#include <svm/engine.h>

#include "model/model.h"

/* What the engine gives away is one block each: the struct and behind it what it points to (model_receipt_of,
 * model_receipt_decode and model_object_give make them so). */

struct svm_receipt *svm_receipt_copy(const struct svm_receipt *receipt)
{
    return model_receipt_copy(receipt);
}

void svm_receipt_free(struct svm_receipt *receipt)
{
    free(receipt);
}

void svm_object_free(struct svm_object *object)
{
    free(object);
}
