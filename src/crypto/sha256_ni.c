#include "crypto/sha256_ni.h"

#include "base/assert.h"

#if defined __x86_64__

#include <immintrin.h>

#define WITH_SHA __attribute__((target("sha,ssse3,sse4.1")))

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* The instructions keep the eight words as (A,B,E,F) and (C,D,G,H), A and C in the highest place. */
struct halves {
    __m128i abef, cdgh;
};

WITH_SHA static inline __m128i load(const void *from)
{
    return _mm_loadu_si128((const __m128i *)from);
}

WITH_SHA static inline struct halves halves_of(const uint32_t state[8])
{
    const __m128i badc = _mm_shuffle_epi32(load(state), 0xb1);
    const __m128i hgfe = _mm_shuffle_epi32(load(state + 4), 0x1b);
    return (struct halves){_mm_alignr_epi8(badc, hgfe, 8), _mm_blend_epi16(hgfe, badc, 0xf0)};
}

WITH_SHA static inline void halves_put(uint32_t state[8], struct halves h)
{
    const __m128i feba = _mm_shuffle_epi32(h.abef, 0x1b);
    const __m128i dchg = _mm_shuffle_epi32(h.cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* Four rounds with the schedule's words W and the constants from T on. */
WITH_SHA static inline struct halves rounds4(struct halves h, __m128i w, const uint32_t *t)
{
    const __m128i wk = _mm_add_epi32(w, load(t));
    h.cdgh = _mm_sha256rnds2_epu32(h.cdgh, h.abef, wk);
    h.abef = _mm_sha256rnds2_epu32(h.abef, h.cdgh, _mm_shuffle_epi32(wk, 0x0e));
    return h;
}

/* The schedule's next four words: W[t] = s1(W[t-2]) + W[t-7] + s0(W[t-15]) + W[t-16], W0 the oldest four. */
WITH_SHA static inline __m128i schedule4(__m128i w0, __m128i w1, __m128i w2, __m128i w3)
{
    const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
    return _mm_sha256msg2_epu32(sum, w3);
}

WITH_SHA static struct halves compress_block(struct halves before, const uint8_t *block)
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i w0 = _mm_shuffle_epi8(load(block), big_endian);
    __m128i w1 = _mm_shuffle_epi8(load(block + 16), big_endian);
    __m128i w2 = _mm_shuffle_epi8(load(block + 32), big_endian);
    __m128i w3 = _mm_shuffle_epi8(load(block + 48), big_endian);
    struct halves h = before;
    h = rounds4(h, w0, round_constants);
    h = rounds4(h, w1, round_constants + 4);
    h = rounds4(h, w2, round_constants + 8);
    h = rounds4(h, w3, round_constants + 12);
    for (unsigned t = 16; t < 64; t += 16) {
        w0 = schedule4(w0, w1, w2, w3);
        h = rounds4(h, w0, round_constants + t);
        w1 = schedule4(w1, w2, w3, w0);
        h = rounds4(h, w1, round_constants + t + 4);
        w2 = schedule4(w2, w3, w0, w1);
        h = rounds4(h, w2, round_constants + t + 8);
        w3 = schedule4(w3, w0, w1, w2);
        h = rounds4(h, w3, round_constants + t + 12);
    }
    return (struct halves){_mm_add_epi32(h.abef, before.abef), _mm_add_epi32(h.cdgh, before.cdgh)};
}

WITH_SHA void sha256_ni_compress(uint32_t state[8], const uint8_t *blocks, size_t count)
{
    struct halves h = halves_of(state);
    for (size_t i = 0; i < count; i++)
        h = compress_block(h, blocks + 64 * i);
    halves_put(state, h);
}

#else

void sha256_ni_compress(uint32_t state[8], const uint8_t *blocks, size_t count)
{
    (void)state;
    (void)blocks;
    SVM_ASSERT(count == SIZE_MAX && "crypto_cpu_has_sha() is false here");
}

#endif
