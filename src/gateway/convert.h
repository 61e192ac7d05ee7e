/* gateway/convert.h - what the engine says, as results of the contracts; and back.
 *
 * Thread   any. Memory  lists and texts of a result live in ARENA; the functions return false when it is empty. */
#ifndef GATEWAY_CONVERT_H
#define GATEWAY_CONVERT_H

#include "gateway/arena.h"
#include "gateway/gen/rpc_types.h"
#include "gateway/waits.h"
#include <svm/engine.h>
#include <svm/tx.h>

/* convert_receipt: DURABLE says that the position is durable as far as the engine knows. */
bool convert_receipt(struct rpc_receipt *out, struct arena *arena,
                     const struct svm_receipt *receipt, uint64_t durable_seq, bool durable);
/* convert_with_sender: add what tx_get and tx_wait tell besides. */
void convert_with_sender(struct rpc_receipt *out, const struct svm_receipt *receipt);
/* convert_pending: admitted, not (known to be) executed. */
void convert_pending(struct rpc_receipt *out, const struct svm_digest *digest,
                     uint64_t durable_seq);
/* convert_object: TYPE is copied, the data is borrowed. */
bool convert_object(struct rpc_object *out, struct arena *arena, const struct svm_object *object);

/* convert_signed_digest: the digest of SignedTransaction BYTES; false = they are none. */
bool convert_signed_digest(struct svm_digest *digest_out, struct svm_bytes bytes);
/* convert_is_signed: do BYTES decode as a SignedTransaction? What decodes as neither counts as signed. */
bool convert_is_signed(struct svm_bytes bytes);

/* convert_transaction: a decoded transaction as the contract's Transaction. */
bool convert_transaction(struct rpc_transaction *out, struct arena *arena, const struct svm_tx *tx);
/* convert_encode: BCS of the contract's Transaction, with CHAIN where it names none.
 * Returns SVM_OK or what svm_tx_builder_finish returns, with REFUSAL filled. */
enum svm_err convert_encode(struct svm_bytes *out, struct arena *arena,
                            const struct rpc_transaction *in, uint64_t chain,
                            struct svm_refusal *refusal);

#endif
