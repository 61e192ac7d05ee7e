/* model/row.h - a parsed ObjectRow, as the files of effects and receipts need it. Inside the room only. */
#ifndef MODEL_ROW_H
#define MODEL_ROW_H

#include "model/bcs.h"
#include "model/model.h"

/* One row; type and data are borrowed from its bytes. A tombstone has only version, times and last_tx. */
struct row {
    uint64_t version;
    struct svm_address party;
    uint64_t balance;
    struct svm_bytes type;
    struct svm_bytes data;
    uint64_t created_ms;
    uint64_t modified_ms;
    struct svm_digest last_tx;
    enum svm_kind kind;
    bool open_withdraw;
    bool deleted;
};

/* model_row_get_ms: a time that an object can have. */
SVM_MUST_USE static inline bool model_row_get_ms(struct bcs_reader *r, uint64_t *ms_out)
{
    return bcs_get_u64(r, ms_out) &&
           (*ms_out <= MODEL_MS_MAX || bcs_fail(r, r->at - 8, "a time that is too far away"));
}

/* model_row_parse: all of BYTES as one ObjectRow. False = malformed. */
SVM_MUST_USE bool model_row_parse(struct row *row_out, struct svm_bytes bytes);

#endif
