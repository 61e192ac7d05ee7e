/* crypto/lanes/lane.h - eight computations at once, one in each 64-bit lane of an AVX-512 register.
 *
 *      lane.h     registers, and how eight rows of memory become eight lanes
 *      fe.h       numbers mod 2^255 - 19
 *      ge.h       points of edwards25519, multiples, tables
 *      sc.h       numbers mod the order of the base point
 *      sha512.h   SHA-512
 *      verify.h   Ed25519 verification, the one customer today
 *
 * Everything here is for public values: addresses and branches depend on the data. Nothing secret may come near it.
 * The code is compiled for AVX-512-IFMA by attributes on its functions, whatever the build's flags, and may run only where
 * crypto_cpu_has_ifma(). On other architectures LANES is 0 and the files are empty. */
#ifndef CRYPTO_LANES_LANE_H
#define CRYPTO_LANES_LANE_H

#if defined __x86_64__
#define LANES 8
#else
#define LANES 0
#endif

#if LANES

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANES_TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512ifma")))
/* A step of a computation: it must melt into its caller, or its operands travel through memory. */
#define LANES_STEP static inline __attribute__((always_inline)) LANES_TARGET
/* A computation of its own, too large to be copied into its callers. */
#define LANES_CALL __attribute__((noinline)) LANES_TARGET

/* Before a loop over limbs: written out, so that the limbs stay in registers. */
#if defined __clang__
#define LANES_UNROLL
#else
#define LANES_UNROLL _Pragma("GCC unroll 16")
#endif

/* One bit for each lane. */
typedef __mmask8 lane_mask;
enum { LANES_ALL = 0xff };

LANES_STEP __m512i lane_set(uint64_t value)
{
    return _mm512_set1_epi64((long long)value);
}

LANES_STEP __m512i lane_load(const void *from)
{
    return _mm512_loadu_si512(from);
}

LANES_STEP void lane_store(void *to, __m512i value)
{
    _mm512_storeu_si512(to, value);
}

/* lane_transpose: word W of row L becomes lane L of r[W], in place. */
LANES_STEP void lane_transpose(__m512i r[8])
{
    const __m512i a0 = _mm512_unpacklo_epi64(r[0], r[1]), a1 = _mm512_unpackhi_epi64(r[0], r[1]);
    const __m512i a2 = _mm512_unpacklo_epi64(r[2], r[3]), a3 = _mm512_unpackhi_epi64(r[2], r[3]);
    const __m512i a4 = _mm512_unpacklo_epi64(r[4], r[5]), a5 = _mm512_unpackhi_epi64(r[4], r[5]);
    const __m512i a6 = _mm512_unpacklo_epi64(r[6], r[7]), a7 = _mm512_unpackhi_epi64(r[6], r[7]);
    const __m512i b0 = _mm512_shuffle_i64x2(a0, a2, 0x88), b1 = _mm512_shuffle_i64x2(a1, a3, 0x88);
    const __m512i b2 = _mm512_shuffle_i64x2(a0, a2, 0xdd), b3 = _mm512_shuffle_i64x2(a1, a3, 0xdd);
    const __m512i b4 = _mm512_shuffle_i64x2(a4, a6, 0x88), b5 = _mm512_shuffle_i64x2(a5, a7, 0x88);
    const __m512i b6 = _mm512_shuffle_i64x2(a4, a6, 0xdd), b7 = _mm512_shuffle_i64x2(a5, a7, 0xdd);
    r[0] = _mm512_shuffle_i64x2(b0, b4, 0x88);
    r[1] = _mm512_shuffle_i64x2(b1, b5, 0x88);
    r[2] = _mm512_shuffle_i64x2(b2, b6, 0x88);
    r[3] = _mm512_shuffle_i64x2(b3, b7, 0x88);
    r[4] = _mm512_shuffle_i64x2(b0, b4, 0xdd);
    r[5] = _mm512_shuffle_i64x2(b1, b5, 0xdd);
    r[6] = _mm512_shuffle_i64x2(b2, b6, 0xdd);
    r[7] = _mm512_shuffle_i64x2(b3, b7, 0xdd);
}

/* lane_words: 256-bit little-endian numbers, one at each of eight addresses, as four words. */
LANES_STEP void lane_words(__m512i words_out[4], const uint8_t *const from[8])
{
    __m512i low[4];
    LANES_UNROLL
    for (int l = 0; l < 4; l++) {
        const __m256i a = _mm256_loadu_si256((const void *)from[l]);
        const __m256i b = _mm256_loadu_si256((const void *)from[l + 4]);
        low[l] = _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
    }
    /* low[L] holds row L in its lower half and row L + 4 in its upper half. */
    const __m512i a0 = _mm512_unpacklo_epi64(low[0], low[1]);
    const __m512i a1 = _mm512_unpackhi_epi64(low[0], low[1]);
    const __m512i a2 = _mm512_unpacklo_epi64(low[2], low[3]);
    const __m512i a3 = _mm512_unpackhi_epi64(low[2], low[3]);
    const __m512i even = _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0);
    const __m512i odd = _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2);
    words_out[0] = _mm512_permutex2var_epi64(a0, even, a2);
    words_out[1] = _mm512_permutex2var_epi64(a1, even, a3);
    words_out[2] = _mm512_permutex2var_epi64(a0, odd, a2);
    words_out[3] = _mm512_permutex2var_epi64(a1, odd, a3);
}

#endif
#endif
