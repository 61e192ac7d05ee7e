/* crypto/sha256_ni.h - SHA-256's compression by the SHA extensions of x86 processors. For sha256.c alone. */
#ifndef CRYPTO_SHA256_NI_H
#define CRYPTO_SHA256_NI_H

#include <stddef.h>
#include <stdint.h>

/* sha256_ni_compress: STATE after COUNT blocks of 64 bytes at BLOCKS, of any alignment. Only where crypto_cpu_has_sha().
 * Source  FIPS 180-4, section 6.2.2; Gulley et al., Intel SHA Extensions (2013). */
void sha256_ni_compress(uint32_t state[8], const uint8_t *blocks, size_t count);

#endif
