#include "unit/crypto_reference.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

mpz_t ref_p, ref_l, ref_d;

void reference_init(void)
{
    mpz_inits(ref_p, ref_l, ref_d, NULL);
    mpz_ui_pow_ui(ref_p, 2, 255);
    mpz_sub_ui(ref_p, ref_p, 19);
    mpz_set_str(ref_l, "27742317777372353535851937790883648493", 10);
    mpz_t power;
    mpz_init(power);
    mpz_ui_pow_ui(power, 2, 252);
    mpz_add(ref_l, ref_l, power);
    mpz_set_ui(power, 121666);
    mpz_invert(ref_d, power, ref_p);
    mpz_mul_si(ref_d, ref_d, -121665);
    mpz_mod(ref_d, ref_d, ref_p);
    mpz_clear(power);
}

void ref_point_init(struct ref_point *point)
{
    mpz_inits(point->x, point->y, NULL);
    mpz_set_ui(point->y, 1);
}

void ref_point_clear(struct ref_point *point)
{
    mpz_clears(point->x, point->y, NULL);
}

void ref_base(struct ref_point *point_out)
{
    mpz_t y;
    mpz_init_set_ui(y, 5);
    mpz_invert(y, y, ref_p);
    mpz_mul_ui(y, y, 4);
    mpz_mod(y, y, ref_p);
    ref_decode(point_out, y, 0);
    mpz_clear(y);
}

void ref_add(struct ref_point *out, const struct ref_point *a, const struct ref_point *b)
{
    mpz_t x, y, product, below;
    mpz_inits(x, y, product, below, NULL);
    mpz_mul(product, a->x, b->x);
    mpz_mul(product, product, a->y);
    mpz_mul(product, product, b->y);
    mpz_mul(product, product, ref_d); /* d x1 x2 y1 y2 */
    mpz_mod(product, product, ref_p);

    mpz_mul(x, a->x, b->y);
    mpz_addmul(x, a->y, b->x);
    mpz_add_ui(below, product, 1);
    mpz_invert(below, below, ref_p);
    mpz_mul(x, x, below);

    mpz_mul(y, a->y, b->y);
    mpz_addmul(y, a->x, b->x);
    mpz_ui_sub(below, 1, product);
    mpz_mod(below, below, ref_p);
    mpz_invert(below, below, ref_p);
    mpz_mul(y, y, below);

    mpz_mod(out->x, x, ref_p);
    mpz_mod(out->y, y, ref_p);
    mpz_clears(x, y, product, below, NULL);
}

void ref_multiply(struct ref_point *out, const mpz_t scalar, const struct ref_point *point)
{
    struct ref_point sum;
    ref_point_init(&sum);
    for (size_t i = mpz_sizeinbase(scalar, 2); i-- > 0;) {
        ref_add(&sum, &sum, &sum);
        if (mpz_tstbit(scalar, i))
            ref_add(&sum, &sum, point);
    }
    mpz_set(out->x, sum.x);
    mpz_set(out->y, sum.y);
    ref_point_clear(&sum);
}

int ref_decode(struct ref_point *out, const mpz_t y, unsigned sign)
{
    mpz_t u, v, x, t;
    mpz_inits(u, v, x, t, NULL);
    mpz_mul(u, y, y);
    mpz_mul(v, u, ref_d);
    mpz_sub_ui(u, u, 1);
    mpz_add_ui(v, v, 1);
    mpz_invert(v, v, ref_p);
    mpz_mul(u, u, v);
    mpz_mod(u, u, ref_p); /* x^2 */
    mpz_add_ui(t, ref_p, 3);
    mpz_fdiv_q_2exp(t, t, 3);
    mpz_powm(x, u, t, ref_p);
    mpz_mul(t, x, x);
    mpz_sub(t, t, u);
    if (!mpz_divisible_p(t, ref_p)) {
        mpz_set_ui(v, 2);
        mpz_sub_ui(t, ref_p, 1);
        mpz_fdiv_q_2exp(t, t, 2);
        mpz_powm(v, v, t, ref_p);
        mpz_mul(x, x, v);
        mpz_mod(x, x, ref_p);
        mpz_mul(t, x, x);
        mpz_sub(t, t, u);
    }
    const int good = mpz_divisible_p(t, ref_p) != 0;
    if (good) {
        if (mpz_sgn(x) != 0 && (unsigned)mpz_tstbit(x, 0) != sign)
            mpz_sub(x, ref_p, x);
        mpz_set(out->x, x);
        mpz_mod(out->y, y, ref_p);
    }
    mpz_clears(u, v, x, t, NULL);
    return good;
}

void ref_from_words(mpz_t out, const uint64_t *words, size_t count)
{
    mpz_import(out, count, -1, sizeof *words, 0, 0, words);
}

void ref_to_words(uint64_t *words_out, size_t count, const mpz_t in)
{
    for (size_t i = 0; i < count; i++)
        words_out[i] = 0;
    mpz_export(words_out, NULL, -1, sizeof *words_out, 0, 0, in);
}

int rounds_of(int count)
{
    return getenv("SVM_SHORT") ? (count + 9) / 10 : count;
}

uint64_t seed_of(const char *test, uint64_t otherwise)
{
    const char *text = getenv("SVM_SEED");
    const uint64_t seed = text ? strtoull(text, NULL, 10) : otherwise;
    printf("%s: SVM_SEED=%" PRIu64 "\n", test, seed);
    return seed;
}
