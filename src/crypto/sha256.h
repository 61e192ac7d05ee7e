/* crypto/sha256.h - SHA-256 (FIPS 180-4), in one call or streaming.
 *
 * The only way into SHA-256 for the rest of the house, so that the implementation can be replaced in one file. */
#ifndef CRYPTO_SHA256_H
#define CRYPTO_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* State of one running hash; a plain value that may be copied. Its fields are private to sha256.c. */
struct crypto_sha256 {
    uint32_t state[8];
    uint64_t bits;
    uint8_t block[64];
};

/* crypto_sha256: HASH of LEN BYTES. Thread any. Allocates nothing. */
void crypto_sha256(uint8_t hash_out[32], const void *bytes, size_t len);

/* crypto_sha256_init, _add (any number of times), _final: the same, piece by piece. */
void crypto_sha256_init(struct crypto_sha256 *sha);
void crypto_sha256_add(struct crypto_sha256 *sha, const void *bytes, size_t len);
void crypto_sha256_final(struct crypto_sha256 *sha, uint8_t hash_out[32]);

#endif
