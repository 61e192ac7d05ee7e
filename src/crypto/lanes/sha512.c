#include "crypto/lanes/sha512.h"

#include <string.h>

#if LANES

enum { BLOCK = 128, HEAD = 64, LENGTH_AT = 112 };

static const uint64_t initial[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                                    0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
                                    0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

static const uint64_t round_constants[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
    0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
    0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
    0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
    0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
    0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
    0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
    0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
    0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
    0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
    0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
    0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

/* ---- the compression function --------------------------------------------------------------------------------- */

/* For _mm512_ternarylogic_epi64: bit 4 a + 2 b + c of the constant is the result for those bits. */
enum { XOR3 = 0x96, CHOOSE = 0xca, MAJORITY = 0xe8 };

LANES_STEP __m512i xor3(__m512i a, __m512i b, __m512i c)
{
    return _mm512_ternarylogic_epi64(a, b, c, XOR3);
}

LANES_STEP __m512i schedule(const __m512i w[16], int t)
{
    const __m512i w2 = w[(t + 14) % 16], w15 = w[(t + 1) % 16];
    const __m512i s1 =
        xor3(_mm512_ror_epi64(w2, 19), _mm512_ror_epi64(w2, 61), _mm512_srli_epi64(w2, 6));
    const __m512i s0 =
        xor3(_mm512_ror_epi64(w15, 1), _mm512_ror_epi64(w15, 8), _mm512_srli_epi64(w15, 7));
    return _mm512_add_epi64(_mm512_add_epi64(w[t % 16], w[(t + 9) % 16]), _mm512_add_epi64(s0, s1));
}

/* Round T on S, whose words turn by one place instead of moving: `a` is S[(8 - t) % 8]. */
LANES_STEP void round_step(__m512i s[8], int t, __m512i wk)
{
    const __m512i a = s[(80 - t) % 8], b = s[(81 - t) % 8], c = s[(82 - t) % 8];
    const __m512i e = s[(84 - t) % 8], f = s[(85 - t) % 8], g = s[(86 - t) % 8];
    __m512i *const d = &s[(83 - t) % 8], *const h = &s[(87 - t) % 8];
    const __m512i big1 =
        xor3(_mm512_ror_epi64(e, 14), _mm512_ror_epi64(e, 18), _mm512_ror_epi64(e, 41));
    const __m512i big0 =
        xor3(_mm512_ror_epi64(a, 28), _mm512_ror_epi64(a, 34), _mm512_ror_epi64(a, 39));
    const __m512i t1 =
        _mm512_add_epi64(_mm512_add_epi64(*h, wk),
                         _mm512_add_epi64(big1, _mm512_ternarylogic_epi64(e, f, g, CHOOSE)));
    const __m512i t2 = _mm512_add_epi64(big0, _mm512_ternarylogic_epi64(a, b, c, MAJORITY));
    *d = _mm512_add_epi64(*d, t1);
    *h = _mm512_add_epi64(t1, t2);
}

/* STATE after one block in each lane that ACTIVE names; W is used up. */
static LANES_CALL void compress(__m512i state[8], __m512i w[16], lane_mask active)
{
    __m512i s[8];
    LANES_UNROLL
    for (int i = 0; i < 8; i++)
        s[i] = state[i];
    for (int sixteen = 0; sixteen < 80; sixteen += 16) {
        LANES_UNROLL
        for (int t = 0; t < 16; t++) {
            const __m512i k = lane_set(round_constants[sixteen + t]);
            if (sixteen > 0)
                w[t] = schedule(w, t);
            round_step(s, t, _mm512_add_epi64(w[t], k));
        }
    }
    LANES_UNROLL
    for (int i = 0; i < 8; i++)
        state[i] = _mm512_mask_add_epi64(state[i], active, state[i], s[i]);
}

/* ---- messages ------------------------------------------------------------------------------------------------- */

static size_t blocks_of(const struct sha512_message *message)
{
    return (HEAD + message->len + 1 + 16 + BLOCK - 1) / BLOCK;
}

/* The block's bytes: in the message itself where they lie there in one piece, else put together in ROOM. */
static const uint8_t *block_of(uint8_t room[BLOCK], const struct sha512_message *message,
                               size_t block)
{
    const size_t head = block == 0 ? HEAD : 0;
    const size_t from = block == 0 ? 0 : block * BLOCK - HEAD;
    const size_t left = message->len > from ? message->len - from : 0;
    const size_t whole = left < BLOCK - head ? left : BLOCK - head;
    if (whole == BLOCK)
        return message->body + from;
    memset(room, 0, BLOCK);
    memcpy(room, message->head, head);
    if (whole > 0)
        memcpy(room + head, message->body + from, whole);
    const size_t total = HEAD + message->len;
    if (total >= block * BLOCK && total - block * BLOCK < BLOCK)
        room[total - block * BLOCK] = 0x80;
    if (block + 1 == blocks_of(message)) {
        /* Of 128 bits the uppermost 61 are zero for every length that there is. */
        room[LENGTH_AT + 7] = (uint8_t)((uint64_t)total >> 61);
        const uint64_t bits = __builtin_bswap64((uint64_t)total << 3);
        memcpy(room + LENGTH_AT + 8, &bits, sizeof bits);
    }
    return room;
}

LANES_STEP __m512i big_endian(__m512i words)
{
    const __m512i order =
        _mm512_broadcast_i32x4(_mm_set_epi64x(0x08090a0b0c0d0e0f, 0x0001020304050607));
    return _mm512_shuffle_epi8(words, order);
}

LANES_CALL void lanes_sha512(__m512i words_out[8], const struct sha512_message messages[LANES])
{
    size_t blocks[LANES], most = 0;
    for (int l = 0; l < LANES; l++) {
        blocks[l] = blocks_of(&messages[l]);
        most = blocks[l] > most ? blocks[l] : most;
    }
    LANES_UNROLL
    for (int i = 0; i < 8; i++)
        words_out[i] = lane_set(initial[i]);
    for (size_t block = 0; block < most; block++) {
        uint8_t room[LANES][BLOCK];
        __m512i w[16];
        unsigned active = 0;
        for (int l = 0; l < LANES; l++) {
            const uint8_t *bytes = room[l];
            if (block < blocks[l]) {
                bytes = block_of(room[l], &messages[l], block);
                active |= 1u << l;
            } else {
                memset(room[l], 0, BLOCK);
            }
            w[l] = big_endian(lane_load(bytes));
            w[8 + l] = big_endian(lane_load(bytes + 64));
        }
        lane_transpose(w);
        lane_transpose(w + 8);
        compress(words_out, w, (lane_mask)active);
    }
    LANES_UNROLL
    for (int i = 0; i < 8; i++)
        words_out[i] = big_endian(words_out[i]);
}

#endif
