/* gateway/dev.h - what the dev_ methods have in common: the accounts of the development genesis and a payment by one of
 * them, built and signed here. Their keys are public knowledge; no other key ever comes into the node.
 *
 * Thread   any, but for dev_nonce (L). */
#ifndef GATEWAY_DEV_H
#define GATEWAY_DEV_H

#include "gateway/arena.h"
#include "gateway/rpc.h"
#include <svm/engine.h>
#include <svm/tx.h>

/* dev_account_find: by name, or by address as 0x and hex; NULL = none. Not the faucet. */
const struct svm_dev_account *dev_account_find(const struct gateway *gateway,
                                               const char *name_or_address);
/* dev_address_parse: the address of a dev account by name, or any address. */
bool dev_address_parse(struct svm_address *address_out, const struct gateway *gateway,
                       const char *name_or_address);

/* A payment from an owned coin at its latest version. */
struct dev_payment {
    const struct svm_dev_account *from;
    const struct svm_address *to;
    struct svm_id coin;
    uint64_t amount;
    const struct svm_id
        *counter; /* also add 1 to the first u64 of this shared object; NULL = not */
    uint64_t chain, nonce, expires_ms;
};

/* dev_payment_sign: SignedTransaction bytes of PAYMENT, in ARENA.
 * Returns SVM_OK, SVM_E_NO_MEMORY, or what svm_tx_builder_finish returns with REFUSAL filled. */
enum svm_err dev_payment_sign(struct svm_bytes *out, struct arena *arena,
                              const struct dev_payment *payment, struct svm_refusal *refusal);

enum { DEV_EXPIRY_MS = 60000 };

/* dev_nonce: a number that makes equal payments different transactions, also after a restart. */
uint64_t dev_nonce(struct gateway *gateway);

#endif
