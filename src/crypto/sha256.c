#include "crypto/sha256.h"

#include <string.h>

#include <sodium.h>

/* The two states have the same fields in the same order; sodium's header stays out of ours all the same, so the
 * streaming calls copy 104 bytes in and out. */
_Static_assert(sizeof(struct crypto_sha256) == sizeof(crypto_hash_sha256_state),
               "struct crypto_sha256 must be able to hold libsodium's state");

void crypto_sha256(uint8_t hash_out[32], const void *bytes, size_t len)
{
    crypto_hash_sha256(hash_out, bytes, len);
}

void crypto_sha256_init(struct crypto_sha256 *sha)
{
    crypto_hash_sha256_state sodium;
    crypto_hash_sha256_init(&sodium);
    memcpy(sha, &sodium, sizeof sodium);
}

void crypto_sha256_add(struct crypto_sha256 *sha, const void *bytes, size_t len)
{
    crypto_hash_sha256_state sodium;
    memcpy(&sodium, sha, sizeof sodium);
    crypto_hash_sha256_update(&sodium, bytes, len);
    memcpy(sha, &sodium, sizeof sodium);
}

void crypto_sha256_final(struct crypto_sha256 *sha, uint8_t hash_out[32])
{
    crypto_hash_sha256_state sodium;
    memcpy(&sodium, sha, sizeof sodium);
    crypto_hash_sha256_final(&sodium, hash_out);
}
