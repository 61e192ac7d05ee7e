/* oracle/ref.h - the sequential reference: what any history of transactions must come to.
 *
 * Deliberately naive: one sorted array of objects, deep copies, one transaction at a time, rules written down in the order
 * of docs/protocol.md. It shares the model room (decoding, digests) with the engine and nothing else; in particular it
 * does not know src/exec. When the engine and this file differ, one of them is wrong. */
#ifndef ORACLE_REF_H
#define ORACLE_REF_H

#include "model/model.h"

struct ref;

/* One object, deleted ones included. */
struct ref_object {
    struct svm_id id;
    uint64_t version;
    enum svm_kind kind;
    struct svm_address party; /* owner or controller */
    bool open_withdraw;
    bool deleted;
    uint64_t balance;
    uint8_t *type;
    size_t type_len;
    uint8_t *data;
    size_t data_len;
    uint64_t created_ms;
    uint64_t modified_ms;
    struct svm_digest last_tx;
    uint64_t seq; /* position of the transaction that wrote this version; 0 = genesis */
};

/* ref_create: the state after GENESIS. Memory: ends the process when there is none, here and below. */
struct ref *ref_create(const struct model_genesis *genesis);
void ref_destroy(struct ref *ref);

/* ref_apply: execute TX (which has passed svm_tx_check) on the current state.
 *   node_ms      the time that the new versions are stamped with
 *   receipt_out  out  only with SVM_OK, may be NULL; gives: free. Its seq counts executed transactions from 1, its path is
 *                     FAST unless an input is shared, its fallback NONE, its latency 0.
 * Returns SVM_OK (executed, ok or failed), or why it is refused (nothing changed; REFUSAL, may be NULL, has the object). */
enum svm_err ref_apply(struct ref *ref, const struct svm_tx *tx, const struct svm_digest *digest,
                       uint64_t node_ms, struct svm_receipt **receipt_out,
                       struct svm_refusal *refusal);

/* ref_get: the object ID, deleted ones included; NULL = never existed. Borrowed until the next ref_apply. */
const struct ref_object *ref_get(const struct ref *ref, const struct svm_id *id);
/* ref_at, ref_count: all of them in id order. */
size_t ref_count(const struct ref *ref);
const struct ref_object *ref_at(const struct ref *ref, size_t index);

/* ref_object_view: the public form, bytes borrowed. */
struct svm_object ref_object_view(const struct ref_object *object);

void ref_state_hash(const struct ref *ref, struct svm_digest *hash_out);
uint64_t ref_sum_of_balances(const struct ref *ref);
uint64_t ref_seq(const struct ref *ref); /* transactions executed */
uint64_t ref_transfers(
    const struct ref *ref); /* successful Transfer and Pay operations of ok transactions */

#endif
