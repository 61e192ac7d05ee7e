/* crypto/lanes/sha512.h - SHA-512 (FIPS 180-4) of eight messages at once. */
#ifndef CRYPTO_LANES_SHA512_H
#define CRYPTO_LANES_SHA512_H

#include "crypto/lanes/lane.h"

#if LANES

/* A message of 64 bytes and LEN more. */
struct sha512_message {
    uint8_t head[64];
    const uint8_t *body; /* borrowed; not looked at when LEN is 0 */
    size_t len;
};

/* lanes_sha512: eight digests as they are read as little-endian numbers, the lowest word first: the form of which Ed25519 makes a
 * scalar. Takes as long as the longest of the eight. */
void lanes_sha512(__m512i words_out[8], const struct sha512_message messages[LANES]);

#endif
#endif
