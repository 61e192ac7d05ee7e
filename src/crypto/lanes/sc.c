#include "crypto/lanes/sc.h"

#if LANES

enum { LIMB_BITS = 52, LIMBS = 5 };
static const uint64_t LIMB_MASK = (UINT64_C(1) << LIMB_BITS) - 1;

static const uint64_t order[LIMBS] = {0x2631a5cf5d3ed, 0xdea2f79cd6581, 0x000000014def9,
                                      0x0000000000000, 0x0100000000000};
/* floor(2^520 / L) */
static const uint64_t reciprocal[6] = {0x5a30a2c131b39, 0x086329a7ed9ce, 0xfffeb2106215d,
                                       0xfffffffffffff, 0xfffffffffffff, 0x00000000000ff};
/* The sum of 16 * 32^i over 51 digits; of 512 * 1024^i over 26. */
static const uint64_t offset5[LIMBS] = {0x2108421084210, 0x0842108421084, 0x4210842108421,
                                        0x1084210842108, 0x0421084210842};
static const uint64_t offset10[LIMBS] = {0x2008020080200, 0x0802008020080, 0x0200802008020,
                                         0x0080200802008, 0x8020080200802};

/* limbs_of: COUNT limbs of 52 bits out of WORD_COUNT words of 64. */
LANES_STEP void limbs_of(__m512i *limbs_out, int count, const __m512i *words, int word_count)
{
    LANES_UNROLL
    for (int i = 0; i < count; i++) {
        const int word = i * LIMB_BITS / 64, shift = i * LIMB_BITS % 64;
        __m512i limb = _mm512_srli_epi64(words[word], (unsigned)shift);
        if (shift + LIMB_BITS > 64 && word + 1 < word_count)
            limb =
                _mm512_or_si512(limb, _mm512_slli_epi64(words[word + 1], (unsigned)(64 - shift)));
        limbs_out[i] = _mm512_and_si512(limb, lane_set(LIMB_MASK));
    }
}

/* carry: limbs of any sign back into 0 .. 2^52 - 1; what leaves the last one. */
LANES_STEP __m512i carry(__m512i *limbs, int count)
{
    __m512i c = _mm512_setzero_si512();
    LANES_UNROLL
    for (int i = 0; i < count; i++) {
        limbs[i] = _mm512_add_epi64(limbs[i], c);
        c = _mm512_srai_epi64(limbs[i], LIMB_BITS);
        limbs[i] = _mm512_and_si512(limbs[i], lane_set(LIMB_MASK));
    }
    return c;
}

/* multiply: columns of A times B, before their carries; the sum of at most 12 numbers below 2^52 in each. */
LANES_STEP void multiply(__m512i *columns_out, int columns, const __m512i *a, int a_count,
                         const uint64_t *b, int b_count)
{
    LANES_UNROLL
    for (int i = 0; i < columns; i++)
        columns_out[i] = _mm512_setzero_si512();
    LANES_UNROLL
    for (int i = 0; i < a_count; i++) {
        LANES_UNROLL
        for (int j = 0; j < b_count; j++) {
            const __m512i by = lane_set(b[j]);
            if (i + j < columns)
                columns_out[i + j] = _mm512_madd52lo_epu64(columns_out[i + j], a[i], by);
            if (i + j + 1 < columns)
                columns_out[i + j + 1] = _mm512_madd52hi_epu64(columns_out[i + j + 1], a[i], by);
        }
    }
}

/* subtract_order: LIMBS - L where that is not negative; a bit where it was. */
LANES_STEP lane_mask subtract_order(__m512i limbs[LIMBS])
{
    __m512i less[LIMBS];
    LANES_UNROLL
    for (int i = 0; i < LIMBS; i++)
        less[i] = _mm512_sub_epi64(limbs[i], lane_set(order[i]));
    const lane_mask negative = _mm512_movepi64_mask(carry(less, LIMBS));
    LANES_UNROLL
    for (int i = 0; i < LIMBS; i++)
        limbs[i] = _mm512_mask_blend_epi64(negative, less[i], limbs[i]);
    return negative;
}

LANES_CALL void lanes_sc_from_words(struct sc *out, lane_mask *below_l_out, const __m512i words[4])
{
    struct sc rest;
    limbs_of(out->l, LIMBS, words, 4);
    rest = *out;
    *below_l_out = subtract_order(rest.l);
}

/* Barrett's reduction: Menezes et al., Handbook of Applied Cryptography, algorithm 14.42, with b = 2^52 and k = 5. There the
 * quotient may be two too small. Here what is cut off is worth at most 2^512 / b^10 + b^4 / L, less than one, so it is
 * right or one too small. */
LANES_CALL void lanes_sc_reduce(struct sc *out, const __m512i words[8])
{
    __m512i x[10], q[12], product[6], rest[6];
    limbs_of(x, 10, words, 8);
    multiply(q, 12, x + 4, 6, reciprocal, 6);
    carry(q, 12);
    multiply(product, 6, q + 6, 6, order, LIMBS);
    LANES_UNROLL
    for (int i = 0; i < 6; i++)
        rest[i] = _mm512_sub_epi64(x[i], product[i]);
    carry(rest, 6); /* mod b^6, where the difference is below 2 L */
    subtract_order(rest);
    LANES_UNROLL
    for (int i = 0; i < LIMBS; i++)
        out->l[i] = rest[i];
}

/* digits: with OFFSET added, which has half of the base in every place, each place of the sum is a digit plus half of the base. No
 * carry runs from digit to digit. */
LANES_STEP void digits(struct sc_digits *out, const struct sc *scalar, const uint64_t offset[LIMBS],
                       int width, int count)
{
    __m512i sum[LIMBS + 1];
    const __m512i half = lane_set(UINT64_C(1) << (width - 1));
    const __m512i mask = lane_set((UINT64_C(1) << width) - 1);
    LANES_UNROLL
    for (int i = 0; i < LIMBS; i++)
        sum[i] = _mm512_add_epi64(scalar->l[i], lane_set(offset[i]));
    sum[LIMBS] = carry(sum, LIMBS);
    for (int i = 0; i < count; i++) {
        const int limb = i * width / LIMB_BITS, shift = i * width % LIMB_BITS;
        const __m512i low = _mm512_srl_epi64(sum[limb], _mm_cvtsi32_si128(shift));
        const __m512i high = _mm512_sll_epi64(sum[limb + 1], _mm_cvtsi32_si128(LIMB_BITS - shift));
        const __m512i place = _mm512_and_si512(_mm512_or_si512(low, high), mask);
        const __m512i digit = _mm512_sub_epi64(place, half);
        out->negative[i] = _mm512_movepi64_mask(digit);
        _mm_storeu_si128((void *)out->size[i], _mm512_cvtepi64_epi16(_mm512_abs_epi64(digit)));
    }
}

LANES_CALL void lanes_sc_digits5(struct sc_digits *out, const struct sc *scalar)
{
    digits(out, scalar, offset5, 5, 51);
}

LANES_CALL void lanes_sc_digits10(struct sc_digits *out, const struct sc *scalar)
{
    digits(out, scalar, offset10, 10, 26);
}

#endif
