/* crypto/lanes/fe.h - eight numbers mod p = 2^255 - 19.
 *
 * A number is five limbs of 51 bits: l[0] + 2^51 l[1] + ... + 2^204 l[4], not unique. The multiplier of AVX-512-IFMA takes the
 * lower 52 bits of each operand, so what is multiplied must have every limb below 2^52:
 *
 *      struct fe     "tight": every limb below 2^51 + 2^18. Every function below gives this form, but for fe_neg, which gives limbs
 *                    below 2^52: good to multiply, add or subtract, not to negate again.
 *      struct wide   a sum of products before its carries: every limb below 2^63. Sums of products are added up in this form, and
 *                    carried once.
 *
 * fe_carry makes any limbs below 2^64 tight: what leaves a limb is below 2^13, and 19 * 2^13 < 2^18.
 * Source  the radix is that of Bernstein et al., "High-speed high-security signatures" (2012), section 4; IFMA's halves after
 *         de Valence's parallel formulas in curve25519-dalek (2018). */
#ifndef CRYPTO_LANES_FE_H
#define CRYPTO_LANES_FE_H

#include "crypto/lanes/lane.h"

#if LANES

struct fe {
    __m512i l[5];
};

struct wide {
    __m512i l[5];
};

enum { FE_LIMB_BITS = 51 };
#define FE_LIMB_MASK ((UINT64_C(1) << FE_LIMB_BITS) - 1)

/* A constant of the field, the same in every lane. */
struct fe_constant {
    uint64_t l[5];
};

LANES_STEP void fe_set(struct fe *out, const struct fe_constant *value)
{
    LANES_UNROLL
    for (int i = 0; i < 5; i++)
        out->l[i] = lane_set(value->l[i]);
}

LANES_STEP void fe_set_small(struct fe *out, uint64_t value)
{
    out->l[0] = lane_set(value);
    out->l[1] = out->l[2] = out->l[3] = out->l[4] = _mm512_setzero_si512();
}

/* fe_from_words: the lower 255 bits of a 256-bit number. Numbers from p on are taken mod p. */
LANES_STEP void fe_from_words(struct fe *out, const __m512i words[4])
{
    const __m512i mask = lane_set(FE_LIMB_MASK);
    const __m512i w0 = words[0], w1 = words[1], w2 = words[2], w3 = words[3];
    out->l[0] = _mm512_and_si512(w0, mask);
    out->l[1] = _mm512_and_si512(
        _mm512_or_si512(_mm512_srli_epi64(w0, 51), _mm512_slli_epi64(w1, 13)), mask);
    out->l[2] = _mm512_and_si512(
        _mm512_or_si512(_mm512_srli_epi64(w1, 38), _mm512_slli_epi64(w2, 26)), mask);
    out->l[3] = _mm512_and_si512(
        _mm512_or_si512(_mm512_srli_epi64(w2, 25), _mm512_slli_epi64(w3, 39)), mask);
    out->l[4] = _mm512_and_si512(_mm512_srli_epi64(w3, 12), mask);
}

/* fe_carry: the tight form of limbs below 2^64. */
LANES_STEP void fe_carry(struct fe *out, const struct wide *in)
{
    const __m512i mask = lane_set(FE_LIMB_MASK);
    const __m512i c0 = _mm512_srli_epi64(in->l[0], FE_LIMB_BITS);
    const __m512i c1 = _mm512_srli_epi64(in->l[1], FE_LIMB_BITS);
    const __m512i c2 = _mm512_srli_epi64(in->l[2], FE_LIMB_BITS);
    const __m512i c3 = _mm512_srli_epi64(in->l[3], FE_LIMB_BITS);
    const __m512i c4 = _mm512_srli_epi64(in->l[4], FE_LIMB_BITS);
    out->l[0] = _mm512_madd52lo_epu64(_mm512_and_si512(in->l[0], mask), c4, lane_set(19));
    out->l[1] = _mm512_add_epi64(_mm512_and_si512(in->l[1], mask), c0);
    out->l[2] = _mm512_add_epi64(_mm512_and_si512(in->l[2], mask), c1);
    out->l[3] = _mm512_add_epi64(_mm512_and_si512(in->l[3], mask), c2);
    out->l[4] = _mm512_add_epi64(_mm512_and_si512(in->l[4], mask), c3);
}

/* 19, where the compiler cannot see it: GCC would make five instructions out of one multiplication. */
extern const uint64_t lanes_fe_nineteen;

LANES_STEP __m512i fe_twice(__m512i a)
{
    return _mm512_add_epi64(a, a);
}

/* fe_fold: ten columns of radix 2^51 into five; 2^255 = 19. Column I < 5 is below 13 * 2^52 and column I + 5 below 14 * 2^52 at
 * most, so nothing reaches 2^61. */
LANES_STEP void fe_fold(struct wide *out, const __m512i column[10])
{
    const __m512i nineteen = lane_set(lanes_fe_nineteen);
    LANES_UNROLL
    for (int i = 0; i < 5; i++)
        out->l[i] = _mm512_add_epi64(column[i], _mm512_mullo_epi64(column[i + 5], nineteen));
}

/* fe_mul_wide: A * B; limbs below 2^52 in, below 2^61 out.
 * The lower 52 bits of the product of limbs I and J belong to column I + J, the upper ones, twice, to the next. */
LANES_STEP void fe_mul_wide(struct wide *out, const struct fe *a, const struct fe *b)
{
    __m512i lo[9], hi[9], column[10];
    LANES_UNROLL
    for (int i = 0; i < 9; i++)
        lo[i] = hi[i] = _mm512_setzero_si512();
#define FE_PRODUCT(i, j)                                                                           \
    lo[(i) + (j)] = _mm512_madd52lo_epu64(lo[(i) + (j)], a->l[i], b->l[j]);                        \
    hi[(i) + (j)] = _mm512_madd52hi_epu64(hi[(i) + (j)], a->l[i], b->l[j])
#define FE_ROW(i)                                                                                  \
    FE_PRODUCT(i, 0);                                                                              \
    FE_PRODUCT(i, 1);                                                                              \
    FE_PRODUCT(i, 2);                                                                              \
    FE_PRODUCT(i, 3);                                                                              \
    FE_PRODUCT(i, 4)
    FE_ROW(0);
    FE_ROW(1);
    FE_ROW(2);
    FE_ROW(3);
    FE_ROW(4);
#undef FE_ROW
#undef FE_PRODUCT
    column[0] = lo[0];
    LANES_UNROLL
    for (int i = 1; i < 9; i++)
        column[i] = _mm512_add_epi64(lo[i], fe_twice(hi[i - 1]));
    column[9] = fe_twice(hi[8]);
    fe_fold(out, column);
}

/* fe_sq_wide: A * A, with 30 products instead of 50. Column K is 2 (lo + sq_hi + 2 hi) + sq_lo: the products of two different
 * limbs count twice, and the upper half of a square's bits lands with them one column on. */
LANES_STEP void fe_sq_wide(struct wide *out, const struct fe *a)
{
    __m512i lo[10], hi[10], column[10];
    LANES_UNROLL
    for (int i = 0; i < 10; i++)
        lo[i] = hi[i] = _mm512_setzero_si512();
#define FE_PRODUCT(i, j)                                                                           \
    lo[(i) + (j)] = _mm512_madd52lo_epu64(lo[(i) + (j)], a->l[i], a->l[j]);                        \
    hi[(i) + (j)] = _mm512_madd52hi_epu64(hi[(i) + (j)], a->l[i], a->l[j])
    FE_PRODUCT(0, 1);
    FE_PRODUCT(0, 2);
    FE_PRODUCT(0, 3);
    FE_PRODUCT(0, 4);
    FE_PRODUCT(1, 2);
    FE_PRODUCT(1, 3);
    FE_PRODUCT(1, 4);
    FE_PRODUCT(2, 3);
    FE_PRODUCT(2, 4);
    FE_PRODUCT(3, 4);
#undef FE_PRODUCT
#define FE_SQUARE(i) lo[2 * (i) + 1] = _mm512_madd52hi_epu64(lo[2 * (i) + 1], a->l[i], a->l[i])
    FE_SQUARE(0);
    FE_SQUARE(1);
    FE_SQUARE(2);
    FE_SQUARE(3);
    FE_SQUARE(4);
#undef FE_SQUARE
    column[0] = _mm512_setzero_si512();
    column[1] = fe_twice(lo[1]);
    LANES_UNROLL
    for (int i = 2; i < 9; i++)
        column[i] = fe_twice(_mm512_add_epi64(lo[i], fe_twice(hi[i - 1])));
    column[9] = fe_twice(lo[9]);
    LANES_UNROLL
    for (int i = 0; i < 5; i++)
        column[2 * i] = _mm512_madd52lo_epu64(column[2 * i], a->l[i], a->l[i]);
    fe_fold(out, column);
}

LANES_STEP void fe_mul(struct fe *out, const struct fe *a, const struct fe *b)
{
    struct wide product;
    fe_mul_wide(&product, a, b);
    fe_carry(out, &product);
}

LANES_STEP void fe_sq(struct fe *out, const struct fe *a)
{
    struct wide product;
    fe_sq_wide(&product, a);
    fe_carry(out, &product);
}

/* wide_add: limbs below 2^63 out when the sum of their bounds is. */
LANES_STEP void wide_add(struct wide *out, const struct wide *a, const struct wide *b)
{
    LANES_UNROLL
    for (int i = 0; i < 5; i++)
        out->l[i] = _mm512_add_epi64(a->l[i], b->l[i]);
}

/* wide_sub: A - B + 1024 p, where B's limbs are those of one product (below 2^61 - 2^15: 267 * 2^52 by fe_fold). */
LANES_STEP void wide_sub(struct wide *out, const struct wide *a, const struct wide *b)
{
    const uint64_t bias0 = (FE_LIMB_MASK - 18) << 10, bias = FE_LIMB_MASK << 10;
    LANES_UNROLL
    for (int i = 0; i < 5; i++)
        out->l[i] =
            _mm512_sub_epi64(_mm512_add_epi64(a->l[i], lane_set(i == 0 ? bias0 : bias)), b->l[i]);
}

/* fe_add, fe_sub: limbs below 2^52 in, tight out. fe_sub adds 4 p first. */
LANES_STEP void fe_add(struct fe *out, const struct fe *a, const struct fe *b)
{
    struct wide sum;
    LANES_UNROLL
    for (int i = 0; i < 5; i++)
        sum.l[i] = _mm512_add_epi64(a->l[i], b->l[i]);
    fe_carry(out, &sum);
}

LANES_STEP void fe_sub(struct fe *out, const struct fe *a, const struct fe *b)
{
    const uint64_t bias0 = (FE_LIMB_MASK - 18) << 2, bias = FE_LIMB_MASK << 2;
    struct wide sum;
    LANES_UNROLL
    for (int i = 0; i < 5; i++)
        sum.l[i] =
            _mm512_sub_epi64(_mm512_add_epi64(a->l[i], lane_set(i == 0 ? bias0 : bias)), b->l[i]);
    fe_carry(out, &sum);
}

/* fe_neg: 2 p - A of a tight A, limbs below 2^52 out. */
LANES_STEP void fe_neg(struct fe *out, const struct fe *a)
{
    const uint64_t bias0 = (FE_LIMB_MASK - 18) << 1, bias = FE_LIMB_MASK << 1;
    LANES_UNROLL
    for (int i = 0; i < 5; i++)
        out->l[i] = _mm512_sub_epi64(lane_set(i == 0 ? bias0 : bias), a->l[i]);
}

/* fe_select: YES where MASK has a bit, else NO. */
LANES_STEP void fe_select(struct fe *out, lane_mask mask, const struct fe *yes, const struct fe *no)
{
    LANES_UNROLL
    for (int i = 0; i < 5; i++)
        out->l[i] = _mm512_mask_blend_epi64(mask, no->l[i], yes->l[i]);
}

/* fe_canonical: the one form with A < p and every limb below 2^51; limbs below 2^63 in. */
LANES_STEP void fe_canonical(struct fe *out, const struct fe *a)
{
    const __m512i mask = lane_set(FE_LIMB_MASK);
    struct fe t = *a;
    LANES_UNROLL
    for (int i = 0; i < 4; i++) {
        t.l[i + 1] = _mm512_add_epi64(t.l[i + 1], _mm512_srli_epi64(t.l[i], FE_LIMB_BITS));
        t.l[i] = _mm512_and_si512(t.l[i], mask);
    }
    const __m512i over = _mm512_srli_epi64(t.l[4], FE_LIMB_BITS);
    t.l[4] = _mm512_and_si512(t.l[4], mask);
    t.l[0] = _mm512_madd52lo_epu64(t.l[0], over, lane_set(19));
    /* Now t < 2^255 + 2^17, hence below 2 p. t + 19 reaches 2^255 just when t >= p, and t + 19 - 2^255 is t - p. */
    __m512i reaches = lane_set(19);
    LANES_UNROLL
    for (int i = 0; i < 5; i++)
        reaches = _mm512_srli_epi64(_mm512_add_epi64(t.l[i], reaches), FE_LIMB_BITS);
    t.l[0] = _mm512_madd52lo_epu64(t.l[0], reaches, lane_set(19));
    LANES_UNROLL
    for (int i = 0; i < 4; i++) {
        t.l[i + 1] = _mm512_add_epi64(t.l[i + 1], _mm512_srli_epi64(t.l[i], FE_LIMB_BITS));
        t.l[i] = _mm512_and_si512(t.l[i], mask);
    }
    t.l[4] = _mm512_and_si512(t.l[4], mask);
    *out = t;
}

/* fe_same: where two canonical numbers are equal. */
LANES_STEP lane_mask fe_same(const struct fe *a, const struct fe *b)
{
    __m512i differ = _mm512_xor_si512(a->l[0], b->l[0]);
    LANES_UNROLL
    for (int i = 1; i < 5; i++)
        differ = _mm512_or_si512(differ, _mm512_xor_si512(a->l[i], b->l[i]));
    return _mm512_testn_epi64_mask(differ, differ);
}

/* fe_is_zero, fe_is_odd ("negative" in RFC 8032): of the canonical value of A. */
LANES_STEP lane_mask fe_is_zero(const struct fe *a)
{
    struct fe canonical, zero;
    fe_canonical(&canonical, a);
    fe_set_small(&zero, 0);
    return fe_same(&canonical, &zero);
}

LANES_STEP lane_mask fe_is_odd(const struct fe *a)
{
    struct fe canonical;
    fe_canonical(&canonical, a);
    return _mm512_test_epi64_mask(canonical.l[0], lane_set(1));
}

/* lanes_fe_pow_p58: A^((p - 5) / 8) = A^(2^252 - 3), of COUNT times eight numbers, COUNT 1 or 2. A chain of squarings waits for
 * itself; two of them fill each other's gaps. IN and OUT may be the same. */
void lanes_fe_pow_p58(struct fe *out, const struct fe *in, int count);

/* lanes_fe_invert: A^(p - 2), the inverse of A; 0 of 0. */
void lanes_fe_invert(struct fe *out, const struct fe *in);

#endif
#endif
