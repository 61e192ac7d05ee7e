/* crypto/lanes/sc.h - eight numbers mod L = 2^252 + 27742317777372353535851937790883648493, the order of the base point, and
 * their digits. Limbs of 52 bits, the multiplier's own width. */
#ifndef CRYPTO_LANES_SC_H
#define CRYPTO_LANES_SC_H

#include "crypto/lanes/lane.h"

#if LANES

/* l[0] + 2^52 l[1] + ...; every limb below 2^52. */
struct sc {
    __m512i l[5];
};

enum { SC_DIGITS_MAX = 51 };

/* A scalar as a sum of SIZE * 2^(WIDTH * i), negative where there is a bit. */
struct sc_digits {
    uint16_t size[SC_DIGITS_MAX][LANES];
    lane_mask negative[SC_DIGITS_MAX];
};

/* lanes_sc_from_words: a 256-bit number as it is, not reduced. BELOW_L_OUT gets a bit where it is below L. */
void lanes_sc_from_words(struct sc *out, lane_mask *below_l_out, const __m512i words[4]);

/* lanes_sc_reduce: a 512-bit number mod L. */
void lanes_sc_reduce(struct sc *out, const __m512i words[8]);

/* lanes_sc_digits5, _digits10: SCALAR < 2^253 in 51 digits of -16 .. 15, in 26 digits of -512 .. 511. Of a larger scalar the
 * digits are in the same range, and their sum is wrong. */
void lanes_sc_digits5(struct sc_digits *out, const struct sc *scalar);
void lanes_sc_digits10(struct sc_digits *out, const struct sc *scalar);

#endif
#endif
