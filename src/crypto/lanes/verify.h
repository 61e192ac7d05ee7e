/* crypto/lanes/verify.h - Ed25519 verification of up to 64 signatures together; behind crypto_ed25519_verify_batch. */
#ifndef CRYPTO_LANES_VERIFY_H
#define CRYPTO_LANES_VERIFY_H

#include "crypto/ed25519.h"
#include "crypto/lanes/lane.h"

#if LANES

enum { LANES_VERIFY_MAX = 64 };

/* lanes_verify: VERDICTS on COUNT jobs, 1 .. LANES_VERIFY_MAX. Only where crypto_cpu_has_ifma(). About 60 KiB of stack. */
void lanes_verify(bool *verdicts_out, const struct crypto_ed25519_job *jobs, size_t count);

#endif
#endif
