/* Verification of signed transactions, one or many. */
#include <string.h>

#include "base/assert.h"
#include "crypto/ed25519.h"
#include "model/bcs.h"
#include "model/model.h"
#include "model/tx.h"

/* Signing messages have to be contiguous for Ed25519. Those of a usual batch fit here together. */
struct messages {
    uint8_t bytes[32 * 1024];
    size_t len;
};

/* message_put: the signing message of TX_BYTES behind those that are there; NULL when there is no room. */
static const uint8_t *message_put(struct messages *messages, struct svm_bytes tx_bytes)
{
    uint8_t *begin = messages->bytes + messages->len;
    if (tx_bytes.len > sizeof messages->bytes - messages->len ||
        TX_PREFIX_BYTES > sizeof messages->bytes - messages->len - tx_bytes.len)
        return NULL;
    uint8_t *p = bcs_put_array(begin, model_tx_prefix, TX_PREFIX_BYTES);
    p = bcs_put_array(p, tx_bytes.ptr, tx_bytes.len);
    messages->len += (size_t)(p - begin);
    return begin;
}

static bool is_sender(const struct model_signed *tx)
{
    struct svm_address address;
    svm_key_address(&address, tx->public_key);
    return memcmp(address.b, tx->sender->b, sizeof address.b) == 0;
}

/* A message too long to share the room with others. */
__attribute__((noinline)) static bool verify_long(const struct model_signed *tx)
{
    uint8_t bytes[TX_PREFIX_BYTES + TX_UNSIGNED_BYTES_MAX];
    SVM_ASSERT(tx->tx_bytes.len <= TX_UNSIGNED_BYTES_MAX);
    memcpy(bytes, model_tx_prefix, TX_PREFIX_BYTES);
    bcs_put_array(bytes + TX_PREFIX_BYTES, tx->tx_bytes.ptr, tx->tx_bytes.len);
    return crypto_ed25519_verify(tx->public_key->b, tx->signature->b, bytes,
                                 TX_PREFIX_BYTES + tx->tx_bytes.len);
}

void model_verify(enum model_verdict *verdicts_out, const struct model_signed *txs, size_t count)
{
    struct messages messages;
    struct crypto_ed25519_job jobs[MODEL_VERIFY_MAX];
    bool good[MODEL_VERIFY_MAX];
    size_t place[MODEL_VERIFY_MAX], job_count = 0;
    SVM_ASSERT(count <= MODEL_VERIFY_MAX);
    messages.len = 0;
    for (size_t i = 0; i < count; i++) {
        const struct model_signed *tx = &txs[i];
        const uint8_t *message;
        if (!is_sender(tx)) {
            verdicts_out[i] = MODEL_OTHER_SENDER;
        } else if ((message = message_put(&messages, tx->tx_bytes)) != NULL) {
            jobs[job_count] = (struct crypto_ed25519_job){
                tx->public_key->b, tx->signature->b, message, TX_PREFIX_BYTES + tx->tx_bytes.len};
            place[job_count++] = i;
        } else {
            verdicts_out[i] = verify_long(tx) ? MODEL_SIGNED : MODEL_BAD_SIGNATURE;
        }
    }
    if (job_count > 0)
        crypto_ed25519_verify_batch(good, jobs, job_count);
    for (size_t j = 0; j < job_count; j++)
        verdicts_out[place[j]] = good[j] ? MODEL_SIGNED : MODEL_BAD_SIGNATURE;
}

enum svm_err model_verdict_err(enum model_verdict verdict, struct svm_refusal *refusal)
{
    switch (verdict) {
    case MODEL_SIGNED:
        return SVM_OK;
    case MODEL_OTHER_SENDER:
        return model_tx_refuse(
            refusal, SVM_E_BAD_SIGNATURE,
            "the sender is not the address of the public key; sign with the sender's key");
    case MODEL_BAD_SIGNATURE:
        break;
    }
    return model_tx_refuse(
        refusal, SVM_E_BAD_SIGNATURE,
        "the signature does not verify; sign 00 00 53 followed by the transaction bytes");
}

enum svm_err svm_signed_tx_verify(const struct svm_signed_tx *stx, struct svm_refusal *refusal)
{
    const struct model_signed tx = {&stx->tx.sender, &stx->public_key, &stx->signature,
                                    stx->tx_bytes};
    enum model_verdict verdict;
    model_verify(&verdict, &tx, 1);
    return model_verdict_err(verdict, refusal);
}
