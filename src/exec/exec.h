/* exec/exec.h - door of the exec room: what a transaction does, and which ordered transactions may run together.
 *
 *     exec_apply      (transaction, inputs as read, node time) -> status, gas, new versions.  Pure.
 *     exec_scheduler  ordered transactions -> those whose declared inputs nobody before them still needs
 *
 * The room refuses to know: tables, claims, sequence numbers, threads, the disk. Nothing here locks; the scheduler's caller
 * serialises. Rules: docs/protocol.md section "Execution"; gas schedule likewise. */
#ifndef EXEC_EXEC_H
#define EXEC_EXEC_H

#include "model/model.h"

/* ---- apply -------------------------------------------------------------------------------------------------- */

/* exec_gas_base: 5000 when an input is shared, else 1000: a function of the declaration, never of the path. */
uint64_t exec_gas_base(const struct svm_tx *tx);

/* exec_check_input: may TX use the newest version OBJECT (NULL = unknown) as its input INDEX? The refusals that rest on state:
 * OBJECT_NOT_FOUND, OBJECT_DELETED, OBJECT_IMMUTABLE, WRONG_INPUT_KIND, NOT_OWNER, VERSION_CONFLICT, in this order, with REFUSAL filled
 * (object, given, current, winner, owner, sender, kinds, seq is the caller's). SVM_OK otherwise. */
SVM_MUST_USE enum svm_err exec_check_input(const struct svm_tx *tx, uint16_t index,
                                           const struct model_object *object,
                                           struct svm_refusal *refusal);

struct exec_result {
    enum svm_failure failure;
    uint16_t failed_op;
    uint16_t transfers;
    uint16_t write_count;
    uint64_t gas_used;
    uint64_t version; /* Lamport version of every write */
    struct model_write *
        writes; /* ascending ids; the caller's, room for inputs + operations; objects are from `alloc` */
};
/* Gives memory for one struct model_object of SIZE bytes; NULL = no memory. FREE takes back what a failed run does not keep. */
struct exec_alloc {
    struct model_object *(*alloc)(void *arg, size_t size);
    void (*free)(void *arg, struct model_object *object);
    void *arg;
};
/* exec_apply: run all operations, or none: a failed one leaves the owned inputs with a new version and nothing else.
 *   tx       has passed svm_tx_check, and its gas_limit is at least exec_gas_base: anything else is an assertion
 *   inputs   the newest version of each input, in order; all passed exec_check_input
 *   digest   of the transaction; created ids and last_tx follow from it
 * Returns SVM_OK (RESULT complete, ok or failed) or SVM_E_NO_MEMORY (everything given back). O(inputs + ops + bytes). */
SVM_MUST_USE enum svm_err exec_apply(struct exec_result *result, const struct svm_tx *tx,
                                     const struct svm_digest *digest,
                                     const struct model_object *const *inputs, uint64_t node_ms,
                                     const struct exec_alloc *alloc);

/* ---- scheduler ---------------------------------------------------------------------------------------------- */

/* A job is a number below jobs_max, in at most once at a time. Per object: the last writer and the readers since. A reader waits for the
 * last writer; a writer waits for the readers since, or for the last writer when there are none. */
struct exec_ref {
    struct svm_id id;
    bool write;
};
struct exec_scheduler;
struct exec_scheduler *exec_scheduler_create(uint32_t jobs_max); /* NULL = no memory */
void exec_scheduler_destroy(struct exec_scheduler *scheduler);
/* exec_scheduler_insert: JOB is next in the order.
 *   ready_out      nothing stands before it: run it
 * Returns SVM_OK or SVM_E_NO_MEMORY (not inserted). */
SVM_MUST_USE enum svm_err exec_scheduler_insert(struct exec_scheduler *scheduler, uint32_t job,
                                                const struct exec_ref *refs, size_t ref_count,
                                                bool *ready_out);
/* exec_scheduler_more: JOB, which only writes and was inserted last of all, stands for one transaction more, of the same references: its caller does
 * them one after the other, and JOB is done with the last of them. false = one of the objects has DEPTH_MAX already. */
bool exec_scheduler_more(struct exec_scheduler *scheduler, uint32_t job, uint32_t depth_max);
/* exec_scheduler_run: JOB is ready. Those who would be ready one after the other as soon as the one before is done, and who
 * write what holds them back, are handed out behind it: RUN_OUT receives those, in their order, that with what JOB stands for are at most MAX
 * transactions beside the first, and whoever has JOB does them, each after the one before it. They are ready by that, and
 * exec_scheduler_finish will not tell of them. */
size_t exec_scheduler_run(struct exec_scheduler *scheduler, uint32_t job, uint32_t *run_out,
                          size_t max);
/* exec_scheduler_depth: transactions in the scheduler that name ID. */
uint32_t exec_scheduler_depth(const struct exec_scheduler *scheduler, const struct svm_id *id);
/* exec_scheduler_finish: JOB is done. READY_OUT (room for jobs_max) receives those that became ready, in their order. */
size_t exec_scheduler_finish(struct exec_scheduler *scheduler, uint32_t job, uint32_t *ready_out);
size_t exec_scheduler_count(
    const struct exec_scheduler *scheduler); /* transactions inserted and not finished */

#endif
