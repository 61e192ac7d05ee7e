/* unit/exec_bed.h - a test bed for exec_apply: one transaction of ALICE over a few objects, an allocator that counts, the result. */
#ifndef UNIT_EXEC_BED_H
#define UNIT_EXEC_BED_H

#include "exec/exec.h"

enum { NOW_MS = 7000, INPUTS = 6, BASE = 1000, BASE_SHARED = 5000, GAS = 1000000 };

extern const struct svm_address ALICE, BOB;

/* Allocation that counts, and fails when told. New memory is filled with rubbish. */
struct heap {
    long live;   /* given and not taken back */
    long budget; /* allocations until it fails; < 0 = never */
};

struct model_object *heap_alloc(void *arg, size_t size);
void heap_free(void *arg, struct model_object *object);

struct bed {
    struct svm_tx tx;
    struct svm_input inputs[INPUTS];
    struct svm_op ops[16];
    struct model_object *objects[INPUTS];
    struct svm_digest digest;
    struct heap heap;
    struct exec_result result;
    struct model_write writes[MODEL_WRITES_MAX];
    enum svm_err err;
};

/* object_new: a version as a table would hold it, of type "coin"; free(). */
struct model_object *object_new(enum svm_kind kind, const struct svm_address *party,
                                uint64_t version, uint64_t balance, const char *data,
                                size_t data_len);

void bed_init(struct bed *bed);
void bed_deinit(struct bed *bed);

/* bed_input: OBJECT (taken) becomes the next input, declared as what it is (SHARED: writable). */
uint16_t bed_input(struct bed *bed, struct model_object *object);
uint16_t bed_owned(struct bed *bed, uint64_t version, uint64_t balance);
uint16_t bed_shared(struct bed *bed, uint64_t version, uint64_t balance,
                    const struct svm_address *controller, bool open);

/* bed_op: the next operation, to be filled. */
struct svm_op *bed_op(struct bed *bed, enum svm_op_kind kind, uint16_t input);
void bed_pay(struct bed *bed, uint16_t from, uint64_t amount);
void bed_move(struct bed *bed, uint16_t from, uint16_t into, uint64_t amount);
void bed_add(struct bed *bed, uint16_t input, uint16_t offset, int64_t delta);

/* bed_run: apply; bed_run_ok and bed_run_fail also look at the outcome. A bed may run again. */
void bed_run(struct bed *bed);
void bed_run_ok(struct bed *bed, uint16_t writes, uint64_t gas);
void bed_run_fail(struct bed *bed, enum svm_failure failure, uint16_t op, uint64_t gas);

/* bed_written: the new version of input INDEX (-1: the first created object), or NULL. */
const struct model_object *bed_written(const struct bed *bed, int32_t index);
void check_stamp(const struct bed *bed, const struct model_object *object, uint64_t version,
                 uint64_t created_ms);

#endif
