#include "crypto/ed25519.h"

#include <sodium.h>

#include "base/assert.h"
#include "crypto/secret.h"

void crypto_ed25519_public(uint8_t public_out[32], const uint8_t seed[32])
{
    uint8_t expanded[crypto_sign_SECRETKEYBYTES];
    SVM_ASSERT(crypto_sign_seed_keypair(public_out, expanded, seed) == 0);
    crypto_wipe(expanded, sizeof expanded);
}

void crypto_ed25519_sign(uint8_t signature_out[64], const uint8_t seed[32], const void *message,
                         size_t len)
{
    uint8_t expanded[crypto_sign_SECRETKEYBYTES];
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    SVM_ASSERT(crypto_sign_seed_keypair(public_key, expanded, seed) == 0);
    SVM_ASSERT(crypto_sign_detached(signature_out, NULL, message, len, expanded) == 0);
    crypto_wipe(expanded, sizeof expanded);
}

bool crypto_ed25519_verify(const uint8_t public_key[32], const uint8_t signature[64],
                           const void *message, size_t len)
{
    return crypto_sign_verify_detached(signature, message, len, public_key) == 0;
}
