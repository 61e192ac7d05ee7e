/* crypto/ed25519.h - Ed25519 signatures (RFC 8032, PureEdDSA, no context).
 *
 * A verification accepts exactly what libsodium 1.0.18's crypto_sign_verify_detached accepts: canonical S, no small-order
 * public key or R, the equation without the cofactor. Signing is deterministic.
 *
 * One signature is libsodium's work; a batch is verified eight at a time where the processor has AVX-512-IFMA (crypto/lanes/),
 * each signature by itself: not a sum over all of them, which would accept what a single verification does not. */
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

/* One signature to verify; everything is borrowed. */
struct crypto_ed25519_job {
    const uint8_t *public_key; /* 32 bytes */
    const uint8_t *signature;  /* 64 bytes */
    const void *message;
    size_t len;
};

/* crypto_ed25519_verify_batch: what crypto_ed25519_verify says of each of COUNT jobs, any number, in the same order. Fastest for
 * multiples of eight, best 64. SVM_LANES=off in the environment: one by one, by libsodium; SVM_LANES=ifma: end the process
 * where the processor lacks the instructions.
 * Thread any. Allocates nothing; about 64 KiB of stack. The time depends on the data: it is for public values. */
void crypto_ed25519_verify_batch(bool *verdicts_out, const struct crypto_ed25519_job *jobs,
                                 size_t count);

/* crypto_ed25519_lanes: the name of what verifies batches on this machine: "ifma" or "portable". */
const char *crypto_ed25519_lanes(void);

/* crypto_ed25519_together: how many signatures a batch verifies in the time of one: 8 or 1. */
unsigned crypto_ed25519_together(void);

#endif
