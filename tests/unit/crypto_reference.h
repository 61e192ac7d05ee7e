/* crypto_reference.h - the field, the curve and the scalars by GMP, as slowly and plainly as the definitions read. */
#ifndef UNIT_CRYPTO_REFERENCE_H
#define UNIT_CRYPTO_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include <check.h>
#include <gmp.h>

/* p = 2^255 - 19; L, the order of the base point; d of the curve. Set by reference_init. */
extern mpz_t ref_p, ref_l, ref_d;
void reference_init(void);

/* Affine points of -x^2 + y^2 = 1 + d x^2 y^2. */
struct ref_point {
    mpz_t x, y;
};
void ref_point_init(struct ref_point *point);
void ref_point_clear(struct ref_point *point);
void ref_base(struct ref_point *point_out);
/* ref_add: OUT may be one of the summands. */
void ref_add(struct ref_point *out, const struct ref_point *a, const struct ref_point *b);
void ref_multiply(struct ref_point *out, const mpz_t scalar, const struct ref_point *point);
/* ref_decode: the point of Y and the parity of x; 0 if there is none. */
int ref_decode(struct ref_point *out, const mpz_t y, unsigned sign);

/* ref_from_words, ref_to_words: little-endian 64-bit words. */
void ref_from_words(mpz_t out, const uint64_t *words, size_t count);
void ref_to_words(uint64_t *words_out, size_t count, const mpz_t in);

/* REQUIRE: ck_assert for inner loops; libcheck's own writes a mark to a file each time, whether it holds or not. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("%s", #condition);                                                        \
    } while (0)
#define REQUIRE_AT(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg(__VA_ARGS__);                                                             \
    } while (0)

/* rounds_of: COUNT, or a tenth of it under SVM_SHORT=1. */
int rounds_of(int count);
/* seed_of: SVM_SEED or the given one; printed with the test's name. */
uint64_t seed_of(const char *test, uint64_t otherwise);

#endif
