/* gateway/submit.h - what the methods that submit or await a transaction have in common.
 *
 * Thread   L. */
#ifndef GATEWAY_SUBMIT_H
#define GATEWAY_SUBMIT_H

#include "gateway/gen/rpc_types.h"
#include "gateway/rpc.h"

/* submit_transaction: hand TX to the engine; the receipt, a refusal, or `pending` answers the call.
 *   tx          keeps (until the answer): from the call's arena
 *   timeout_ms  0 = the node's request timeout, which is also the longest */
const struct rpc_answer *submit_transaction(struct rpc_call *call, struct svm_bytes tx,
                                            enum rpc_wait wait, uint64_t timeout_ms);

/* submit_timeout: the wait that TIMEOUT_MS asks for, within the node's. */
uint32_t submit_timeout(const struct rpc_call *call, uint64_t timeout_ms);

/* submit_overloaded: the answer when no more waits fit. */
const struct rpc_answer *submit_overloaded(struct rpc_call *call);

/* submit_not_found: NOT_FOUND about the KIND of thing with ID. */
const struct rpc_answer *submit_not_found(struct rpc_call *call, const char *kind,
                                          const uint8_t id[32]);

/* submit_item: what became of ITEM, as a receipt.
 *   tx  its bytes, for the digest when the engine has not told one
 * Returns SVM_OK with OUT filled, or the error to answer (with the item's refusal, if the item has finished). */
enum svm_err submit_item(struct rpc_receipt *out, struct rpc_call *call,
                         const struct wait_item *item, struct svm_bytes tx);

#endif
