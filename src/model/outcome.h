/* model/outcome.h - the part that Effects and Receipt have in common on the wire: what became of a transaction, without
 * what it wrote. Inside the room only. */
#ifndef MODEL_OUTCOME_H
#define MODEL_OUTCOME_H

#include "model/bcs.h"
#include "model/model.h"

struct outcome {
    struct svm_digest digest;
    struct svm_address sender;
    uint64_t seq;
    uint64_t node_ms;
    uint64_t gas_used;
    enum svm_failure failure;
    uint16_t failed_op;
    enum svm_path path;
    enum svm_fallback fallback;
    struct svm_id fallback_object; /* with a fallback; zero otherwise */
    uint32_t latency_us;
};

/* model_outcome_size, _encode, _get: BCS(Outcome). See bcs.h for the manners of the three. */
size_t model_outcome_size(const struct outcome *outcome);
uint8_t *model_outcome_encode(uint8_t *out, const struct outcome *outcome);
SVM_MUST_USE bool model_outcome_get(struct bcs_reader *r, struct outcome *outcome_out);

#endif
