/* base/nh.h - a keyed hash of 32 bytes: for tables whose keys anybody may choose.
 *
 * Two keys fall together with probability 2^-64 whoever chose them, as long as the hash key, five random words of the process, is not
 * known. A tenth of SipHash's work. All bits of the result are good.
 * Source   NH of UMAC (Black, Halevi, Krawczyk, Krovetz, Rogaway, CRYPTO 1999) with 64-bit words; then folded by a multiplication
 *          so that all bits of the sum reach the high ones. */
#ifndef BASE_NH_H
#define BASE_NH_H

#include <stdint.h>

#include "base/bytes.h"

enum { NH_KEY_WORDS = 5 };
__extension__ typedef unsigned __int128 nh_wide;

static inline uint64_t nh_hash32(const uint64_t key[NH_KEY_WORDS], const uint8_t in[32])
{
    nh_wide sum = (nh_wide)(bytes_get_u64le(in) + key[0]) * (bytes_get_u64le(in + 8) + key[1]);
    sum += (nh_wide)(bytes_get_u64le(in + 16) + key[2]) * (bytes_get_u64le(in + 24) + key[3]);
    nh_wide folded = (nh_wide)((uint64_t)sum ^ (uint64_t)(sum >> 64)) * (key[4] | 1);
    return (uint64_t)folded ^ (uint64_t)(folded >> 64);
}

#endif
