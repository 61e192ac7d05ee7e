/* crypto/lanes/ge.h - eight points of edwards25519: -x^2 + y^2 = 1 + d x^2 y^2 (RFC 8032, section 5.1).
 *
 *      decode -> table of multiples -> double_mul: a P + b B -> x, y
 *
 * The group is the whole curve, points of small and mixed order included: the formulas are complete, and nothing is done to a
 * scalar but writing it in another base, so that a P is exact for every P.
 * Source  Hisil, Wong, Carter, Dawson, "Twisted Edwards curves revisited" (2008), sections 3.1 and 3.3. */
#ifndef CRYPTO_LANES_GE_H
#define CRYPTO_LANES_GE_H

#include "crypto/lanes/fe.h"
#include "crypto/lanes/sc.h"

#if LANES

/* Extended coordinates: x = X / Z, y = Y / Z, T = X Y / Z. */
struct ge {
    struct fe X, Y, Z, T;
};

/* A point made ready to be added: Y + X, Y - X, 2 Z, 2 d T. */
struct ge_ready {
    struct fe sum, difference, z2, t2d;
};

enum {
    GE_WIDTH = 5,       /* bits of a digit of the scalar of a variable point */
    GE_DIGITS = 51,     /* 255 bits */
    GE_ROWS = 17,       /* multiples 0 .. 2^(GE_WIDTH - 1) */
    GE_BASE_WIDTH = 10, /* twice GE_WIDTH, so that both are added at the same places */
    GE_BASE_DIGITS = 26,
    GE_BASE_ROWS = 513
};

/* Multiples 0 .. 16 of eight points. A row is one lane's: a lookup takes eight rows and turns them (lane_transpose), which is
 * four times as fast as gathering. Five words each of sum, difference, z2, t2d, then padding to whole cache lines. */
struct ge_table {
    _Alignas(64) uint64_t row[LANES][GE_ROWS][24];
};

LANES_STEP void ge_set_identity(struct ge *out)
{
    fe_set_small(&out->X, 0);
    fe_set_small(&out->Y, 1);
    fe_set_small(&out->Z, 1);
    fe_set_small(&out->T, 0);
}

/* ge_negate: tight coordinates in; X and T come with limbs below 2^52. */
LANES_STEP void ge_negate(struct ge *out, const struct ge *in)
{
    fe_neg(&out->X, &in->X);
    out->Y = in->Y;
    out->Z = in->Z;
    fe_neg(&out->T, &in->T);
}

LANES_STEP void ge_select(struct ge *out, lane_mask mask, const struct ge *yes, const struct ge *no)
{
    fe_select(&out->X, mask, &yes->X, &no->X);
    fe_select(&out->Y, mask, &yes->Y, &no->Y);
    fe_select(&out->Z, mask, &yes->Z, &no->Z);
    fe_select(&out->T, mask, &yes->T, &no->T);
}

/* lanes_ge_decode: the points whose encoding is Y (below 2^255, taken mod p) with the sign bit SIGN, of COUNT times eight, 1 or 2.
 * Z is 1. ON_CURVE gets a bit where there is such a point; other lanes get the identity. Where x is 0 the sign is not looked at.
 * Source  RFC 8032, section 5.1.3. */
void lanes_ge_decode(struct ge *out, lane_mask *on_curve_out, const struct fe *y,
                     const lane_mask *sign, int count);

/* lanes_ge_table: TABLE of POINT's multiples; limbs below 2^52 in. */
void lanes_ge_table(struct ge_table *table_out, const struct ge *point);

/* lanes_ge_double_mul: A P + B G, where TABLE is P's, G the base point, and A and B are given by their digits: GE_DIGITS of
 * GE_WIDTH bits and GE_BASE_DIGITS of GE_BASE_WIDTH. T is not computed.
 * Source  Straus's method ("Shamir's trick") with signed windows. */
void lanes_ge_double_mul(struct ge *out, const struct sc_digits *a, const struct ge_table *table,
                         const struct sc_digits *b);

/* lanes_ge_affine: x and y, canonical, of COUNT points by one inversion; COUNT <= 8.
 * Source  Montgomery, "Speeding the Pollard and elliptic curve methods" (1987), section 10.3.1. */
enum { GE_AFFINE_MAX = 8 };
void lanes_ge_affine(struct fe *x_out, struct fe *y_out, const struct ge *points, int count);

#endif
#endif
