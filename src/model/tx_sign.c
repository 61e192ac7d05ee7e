/* Digests, signatures and the ids that follow from them. */
#include "base/assert.h"
#include "crypto/ed25519.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"
#include "model/bcs.h"
#include "model/tx.h"

const uint8_t model_tx_prefix[TX_PREFIX_BYTES] = {0x00, 0x00, 'S'};

/* The signing message has to be contiguous for Ed25519; a legal one fits. */
struct message {
    uint8_t bytes[TX_PREFIX_BYTES + TX_UNSIGNED_BYTES_MAX];
};

static struct svm_bytes message_of(struct message *message, struct svm_bytes tx_bytes)
{
    SVM_ASSERT(tx_bytes.len <= TX_UNSIGNED_BYTES_MAX);
    memcpy(message->bytes, model_tx_prefix, TX_PREFIX_BYTES);
    bcs_put_array(message->bytes + TX_PREFIX_BYTES, tx_bytes.ptr, tx_bytes.len);
    return (struct svm_bytes){message->bytes, TX_PREFIX_BYTES + tx_bytes.len};
}

void svm_tx_digest(struct svm_digest *digest_out, struct svm_bytes tx_bytes)
{
    struct crypto_sha256 sha;
    crypto_sha256_init(&sha);
    crypto_sha256_add(&sha, model_tx_prefix, TX_PREFIX_BYTES);
    crypto_sha256_add(&sha, tx_bytes.ptr, tx_bytes.len);
    crypto_sha256_final(&sha, digest_out->b);
}

enum svm_err svm_tx_sign(uint8_t *buf, size_t cap, size_t *len_out, struct svm_bytes tx_bytes,
                         const struct svm_secret_key *key)
{
    *len_out = tx_bytes.len + TX_AUTHS_BYTES;
    if (tx_bytes.len > TX_UNSIGNED_BYTES_MAX || *len_out > cap)
        return SVM_E_TX_TOO_LARGE;
    struct svm_public_key public_key;
    struct svm_signature signature;
    struct message message;
    svm_key_public(&public_key, key);
    svm_sign(&signature, key, message_of(&message, tx_bytes));

    memmove(buf, tx_bytes.ptr, tx_bytes.len); /* the caller may have encoded into the same buffer */
    uint8_t *p = buf + tx_bytes.len;
    p = bcs_put_uleb(p, 1);
    p = bcs_put_u8(p, TX_AUTH_ED25519);
    p = bcs_put_array(p, public_key.b, sizeof public_key.b);
    p = bcs_put_array(p, signature.b, sizeof signature.b);
    SVM_ASSERT(p == buf + *len_out);
    return SVM_OK;
}

void svm_tx_new_object_id(struct svm_id *id_out, const struct svm_digest *digest, uint16_t op_index)
{
    uint8_t bytes[sizeof digest->b + 2];
    uint8_t *p = bcs_put_array(bytes, digest->b, sizeof digest->b);
    bcs_put_u16(p, op_index);
    crypto_sha256(id_out->b, bytes, sizeof bytes);
}

void svm_object_digest(struct svm_digest *digest_out, const struct svm_object *object)
{
    uint8_t head[32 + 8 + 1 + 32 + 1 + 8 + 5];
    uint8_t *p = bcs_put_array(head, object->id.b, sizeof object->id.b);
    p = bcs_put_u64(p, object->version);
    p = bcs_put_u8(p, (uint8_t)object->kind);
    if (object->kind == SVM_KIND_OWNED)
        p = bcs_put_array(p, object->owner.b, sizeof object->owner.b);
    if (object->kind == SVM_KIND_SHARED) {
        p = bcs_put_array(p, object->controller.b, sizeof object->controller.b);
        p = bcs_put_u8(p, object->open_withdraw);
    }
    p = bcs_put_u64(p, object->balance.units);
    p = bcs_put_uleb(p, object->type.len);

    uint8_t data_len[5];
    const uint8_t *data_len_end = bcs_put_uleb(data_len, object->data.len);
    struct crypto_sha256 sha;
    crypto_sha256_init(&sha);
    crypto_sha256_add(&sha, head, (size_t)(p - head));
    crypto_sha256_add(&sha, object->type.ptr, object->type.len);
    crypto_sha256_add(&sha, data_len, (size_t)(data_len_end - data_len));
    crypto_sha256_add(&sha, object->data.ptr, object->data.len);
    crypto_sha256_final(&sha, digest_out->b);
}
