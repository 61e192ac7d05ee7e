/* The streaming hash of the door, for rooms that do not know crypto's. */
#include <string.h>

#include "crypto/sha256.h"
#include "model/model.h"

_Static_assert(sizeof(struct model_hash) >= sizeof(struct crypto_sha256),
               "struct model_hash must hold a running SHA-256");

void model_hash_init(struct model_hash *hash)
{
    struct crypto_sha256 sha;
    crypto_sha256_init(&sha);
    memcpy(hash->opaque, &sha, sizeof sha);
}

void model_hash_add(struct model_hash *hash, const void *bytes, size_t len)
{
    struct crypto_sha256 sha;
    memcpy(&sha, hash->opaque, sizeof sha);
    crypto_sha256_add(&sha, bytes, len);
    memcpy(hash->opaque, &sha, sizeof sha);
}

void model_hash_final(struct model_hash *hash, struct svm_digest *digest_out)
{
    struct crypto_sha256 sha;
    memcpy(&sha, hash->opaque, sizeof sha);
    crypto_sha256_final(&sha, digest_out->b);
}
