/* exec/run.h - one execution in progress: what it reads, and its private versions of what it writes. Private to the room.
 *
 * An input is copied into a private version when the first operation writes it, and operations work on the copy; what no
 * operation has written is still seen as it was read. Nothing outside the run changes, so failing is throwing the copies
 * away.
 *
 * Every operation names inputs that may be written as it writes them: svm_tx_check has seen to that, and the assertions
 * here pair with it. Functions that give an object answer NULL, and set `no_memory`, when the caller's alloc has none. */
#ifndef EXEC_RUN_H
#define EXEC_RUN_H

#include "exec/exec.h"

struct exec_created {
    struct svm_id id;
    struct model_object *object;
};

/* One execution. Arrays are filled up to their counts only: clearing them would cost more than a payment. */
struct exec_run {
    const struct svm_tx *tx;
    const struct svm_digest *digest;
    const struct model_object *const *inputs;
    const struct exec_alloc *alloc;
    uint64_t node_ms;
    uint64_t version;
    uint64_t gas_used;
    uint16_t transfers;
    uint16_t created_count;
    bool no_memory;
    enum svm_failure failure;                     /* NONE so far */
    struct model_object *mine[SVM_TX_INPUTS_MAX]; /* by input; NULL = not written */
    struct exec_created created[SVM_TX_OPS_MAX];
};

/* exec_run_see: input INDEX as the operations so far have left it. */
const struct model_object *exec_run_see(const struct exec_run *run, uint16_t index);
/* exec_run_own: the private version of input INDEX, made at the first call. */
struct model_object *exec_run_own(struct exec_run *run, uint16_t index);
/* exec_run_resize: as exec_run_own, with the first TYPE_LEN bytes kept and DATA_LEN bytes behind them that the caller sets. */
struct model_object *exec_run_resize(struct exec_run *run, uint16_t index, uint8_t type_len,
                                     uint32_t data_len);
/* exec_run_create: the new object of operation OP_INDEX: OWNED, no party, balance 0; TYPE and DATA are copied. */
struct model_object *exec_run_create(struct exec_run *run, uint16_t op_index, struct svm_bytes type,
                                     struct svm_bytes data);
/* exec_run_give_back: forget every private version and created object. */
void exec_run_give_back(struct exec_run *run);

/* exec_run_op: take the price of operation OP_INDEX, then do it. False = `failure` or `no_memory` is set. */
SVM_MUST_USE bool exec_run_op(struct exec_run *run, uint16_t op_index);

#endif
