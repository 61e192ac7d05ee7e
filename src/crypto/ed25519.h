/* crypto/ed25519.h - Ed25519 signatures (RFC 8032, PureEdDSA, no context), by libsodium.
 *
 * A verification accepts exactly what libsodium 1.0.18's crypto_sign_verify_detached accepts: canonical S, no small-order
 * public key or R, the equation without the cofactor. Signing is deterministic. */
#ifndef CRYPTO_ED25519_H
#define CRYPTO_ED25519_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* crypto_ed25519_public: the public key of a 32-byte SEED. Thread any. */
void crypto_ed25519_public(uint8_t public_out[32], const uint8_t seed[32]);

/* crypto_ed25519_sign: SIGNATURE of LEN bytes of MESSAGE under SEED. Expands the seed each time and wipes it: about 50 us. */
void crypto_ed25519_sign(uint8_t signature_out[64], const uint8_t seed[32], const void *message,
                         size_t len);

/* crypto_ed25519_verify: whether SIGNATURE is PUBLIC_KEY's over MESSAGE. Thread any. Allocates nothing. */
bool crypto_ed25519_verify(const uint8_t public_key[32], const uint8_t signature[64],
                           const void *message, size_t len);

#endif
