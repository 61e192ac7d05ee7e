/* oracle/gen.h - random transactions: every operation, every failure, every refusal, aimed at few objects so that they fight.
 *
 * The generator looks at the reference's state as it was after the last batch, so most of what it makes is right or nearly
 * right, and it guesses what the batch's own transactions will do to the objects they share, so that chains of exact versions
 * come about. What a transaction must be refused for whatever the state is planned: `planned`. */
#ifndef ORACLE_GEN_H
#define ORACLE_GEN_H

#include <stdatomic.h>

#include <svm/engine.h>

#include "base/rng.h"
#include "ref.h"

enum {
    GEN_INPUTS = 6,
    GEN_OPS = 6,
    GEN_HOT = 8,
    GEN_BYTES = 8192,
    GEN_TX_BYTES_MAX = 6000,  /* the engine's tx.bytes_max */
    GEN_DATA_BYTES_MAX = 512, /* its tx.data_bytes_max */
    GEN_EFFECTS_MAX = 2048    /* its tx.effects_bytes_max */
};

struct gen_tx {
    struct svm_tx tx; /* inputs and ops point below, their bytes too */
    struct svm_input inputs[GEN_INPUTS];
    struct svm_op ops[GEN_OPS];
    uint8_t *data; /* of the operations */
    uint8_t *bytes;
    size_t len;
    struct svm_digest digest;
    enum svm_err planned;                    /* SVM_OK: the state decides */
    bool shared;                             /* an input is declared shared */
    struct gen_tx *next;                     /* in the judge's bucket */
    _Atomic(struct svm_receipt *) committed; /* what the committer showed; the judge's */
    uint32_t batch_executed;                 /* 1 + batch in which it was; 0 = not yet */
};

struct gen {
    struct rng rng;
    const struct ref *ref;
    uint64_t chain, now_ms, nonce;
    bool sign;         /* signatures are verified */
    bool ordered_only; /* shared inputs alone: all that happens is the scheduler's doing */
    struct model_dev_account accounts[MODEL_DEV_ACCOUNTS + 1];
    struct gen_hot {
        struct svm_id id;
        uint64_t version; /* what it will be once the batch's transactions so far have run */
    } hot[GEN_HOT];
    size_t hot_count;
    struct svm_id fresh[16]; /* may be created in this batch */
    size_t fresh_count;
};

void gen_init(struct gen *gen, uint64_t seed, const struct ref *ref, uint64_t chain);
/* gen_batch: chooses what the next transactions will fight about. */
void gen_batch(struct gen *gen, uint64_t now_ms);
struct gen_tx *gen_make(struct gen *gen); /* gives: gen_free */
void gen_free(struct gen_tx *tx);

#endif
