/* The points of crypto/lanes against affine addition by GMP: decoding, tables, multiples, small and mixed order included. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "crypto/cpu.h"
#include "crypto/lanes/ge.h"
#include "unit/crypto_reference.h"

#if LANES

static struct rng rng;

/* y of a point of order 8; its x is even. */
static const char *const order8_y =
    "2707385501144840649318225287225658788936804267575313519463743609750303402022";

static void random_below(mpz_t out, const mpz_t bound)
{
    uint64_t words[5];
    for (int i = 0; i < 5; i++)
        words[i] = rng_next(&rng);
    ref_from_words(out, words, 5);
    mpz_mod(out, out, bound);
}

/* put, get: a number in one lane. */
LANES_TARGET static void put(struct fe *to, int lane, const mpz_t value)
{
    mpz_t rest, limb;
    mpz_init_set(rest, value);
    mpz_init(limb);
    for (int i = 0; i < 5; i++) {
        uint64_t limbs[LANES];
        lane_store(limbs, to->l[i]);
        mpz_fdiv_r_2exp(limb, rest, 51);
        ref_to_words(&limbs[lane], 1, limb);
        mpz_fdiv_q_2exp(rest, rest, 51);
        to->l[i] = lane_load(limbs);
    }
    mpz_clears(rest, limb, NULL);
}

LANES_TARGET static void get(mpz_t out, const struct fe *from, int lane)
{
    struct fe canonical;
    fe_canonical(&canonical, from);
    mpz_set_ui(out, 0);
    for (int i = 4; i >= 0; i--) {
        uint64_t limbs[LANES];
        lane_store(limbs, canonical.l[i]);
        mpz_mul_2exp(out, out, 51);
        mpz_add_ui(out, out, limbs[lane]);
    }
}

/* A point of any order: a multiple of B, of a point of order 8, or their sum. */
static void random_point(struct ref_point *out)
{
    struct ref_point base, torsion;
    mpz_t scalar, y;
    mpz_inits(scalar, y, NULL);
    ref_point_init(&base);
    ref_point_init(&torsion);
    ref_base(&base);
    mpz_set_str(y, order8_y, 10);
    ck_assert(ref_decode(&torsion, y, 0));
    random_below(scalar, ref_l);
    const uint64_t kind = rng_below(&rng, 4);
    if (kind == 0)
        mpz_set_ui(scalar, rng_below(&rng, 3));
    ref_multiply(&base, scalar, &base);
    mpz_set_ui(scalar, kind == 1 ? 0 : rng_below(&rng, 8));
    ref_multiply(&torsion, scalar, &torsion);
    ref_add(out, &base, &torsion);
    ref_point_clear(&base);
    ref_point_clear(&torsion);
    mpz_clears(scalar, y, NULL);
}

/* Edges of the digits: their runs of carries, both ends. */
static void random_scalar(mpz_t out)
{
    random_below(out, ref_l);
    switch (rng_below(&rng, 5)) {
    case 0:
        mpz_set_ui(out, rng_below(&rng, 40));
        break;
    case 1:
        mpz_sub_ui(out, ref_l, 1 + rng_below(&rng, 40));
        break;
    case 2:
        mpz_set_ui(out, 0);
        for (unsigned i = 0; i < 252; i++)
            if (rng_below(&rng, 16))
                mpz_setbit(out, i);
        break;
    default:
        break;
    }
}

LANES_TARGET static void digits_of(struct sc_digits *five, struct sc_digits *ten,
                                   mpz_t scalars[LANES])
{
    uint64_t words[4][LANES];
    __m512i in[4];
    struct sc scalar;
    lane_mask below;
    for (int lane = 0; lane < LANES; lane++) {
        uint64_t row[4];
        ref_to_words(row, 4, scalars[lane]);
        for (int i = 0; i < 4; i++)
            words[i][lane] = row[i];
    }
    for (int i = 0; i < 4; i++)
        in[i] = lane_load(words[i]);
    lanes_sc_from_words(&scalar, &below, in);
    REQUIRE(below == LANES_ALL);
    lanes_sc_digits5(five, &scalar);
    lanes_sc_digits10(ten, &scalar);
}

LANES_TARGET static void multiply_once(void)
{
    struct ref_point base, want;
    mpz_t a[LANES], b[LANES], got;
    struct ref_point points[LANES];
    struct ge point, sum;
    struct ge_table table;
    struct sc_digits a_digits, b_digits, unused;
    struct fe x, y;
    ge_set_identity(&point);
    for (int lane = 0; lane < LANES; lane++) {
        mpz_inits(a[lane], b[lane], NULL);
        random_scalar(a[lane]);
        random_scalar(b[lane]);
        ref_point_init(&points[lane]);
        random_point(&points[lane]);
        put(&point.X, lane, points[lane].x);
        put(&point.Y, lane, points[lane].y);
    }
    fe_mul(&point.T, &point.X, &point.Y);
    digits_of(&a_digits, &unused, a);
    digits_of(&unused, &b_digits, b);
    lanes_ge_table(&table, &point);
    lanes_ge_double_mul(&sum, &a_digits, &table, &b_digits);
    lanes_ge_affine(&x, &y, &sum, 1);

    mpz_init(got);
    ref_point_init(&base);
    ref_point_init(&want);
    ref_base(&base);
    for (int lane = 0; lane < LANES; lane++) {
        ref_multiply(&want, b[lane], &base);
        ref_multiply(&points[lane], a[lane], &points[lane]);
        ref_add(&want, &want, &points[lane]);
        get(got, &x, lane);
        REQUIRE_AT(mpz_cmp(got, want.x) == 0, "x of lane %d", lane);
        get(got, &y, lane);
        REQUIRE_AT(mpz_cmp(got, want.y) == 0, "y of lane %d", lane);
        mpz_clears(a[lane], b[lane], NULL);
        ref_point_clear(&points[lane]);
    }
    mpz_clear(got);
    ref_point_clear(&base);
    ref_point_clear(&want);
}

START_TEST(multiples)
{
    rng_init(&rng, seed_of("multiples", 71));
    for (int i = 0; i < rounds_of(10); i++)
        multiply_once();
}
END_TEST

/* Every row of the base point's table, both signs: b = digit * 1024^place, and nothing else. */
LANES_TARGET static void base_rows(void)
{
    struct ref_point base, want;
    struct ge point, sum;
    struct ge_table table;
    struct sc_digits zero = {0}, digits;
    struct fe x, y;
    mpz_t got, size;
    mpz_inits(got, size, NULL);
    ref_point_init(&base);
    ref_point_init(&want);
    ref_base(&base);
    ge_set_identity(&point);
    lanes_ge_table(&table, &point);
    for (unsigned first = 0; first < GE_BASE_ROWS; first += LANES) {
        memset(&digits, 0, sizeof digits);
        for (unsigned lane = 0; lane < LANES; lane++) {
            const unsigned row = first + lane < GE_BASE_ROWS ? first + lane : 0;
            digits.size[0][lane] = (uint16_t)row;
        }
        digits.negative[0] = 0xaa;
        lanes_ge_double_mul(&sum, &zero, &table, &digits);
        lanes_ge_affine(&x, &y, &sum, 1);
        for (int lane = 0; lane < LANES; lane++) {
            mpz_set_ui(size, digits.size[0][lane]);
            ref_multiply(&want, size, &base);
            if (lane % 2 != 0 && mpz_sgn(want.x) != 0)
                mpz_sub(want.x, ref_p, want.x);
            get(got, &x, lane);
            REQUIRE(mpz_cmp(got, want.x) == 0);
            get(got, &y, lane);
            REQUIRE(mpz_cmp(got, want.y) == 0);
        }
    }
    mpz_clears(got, size, NULL);
    ref_point_clear(&base);
    ref_point_clear(&want);
}

START_TEST(base_multiples)
{
    base_rows();
}
END_TEST

/* Any 255 bits with any sign: the same point, or none. Half of them are no points, which get the identity. */
LANES_TARGET static void decode_once(int count)
{
    struct fe y[2];
    struct ge points[2];
    mpz_t values[2][LANES], got, bound;
    lane_mask sign[2], on_curve[2];
    struct ref_point want;
    mpz_inits(got, bound, NULL);
    mpz_ui_pow_ui(bound, 2, 255);
    ref_point_init(&want);
    for (int n = 0; n < count; n++) {
        fe_set_small(&y[n], 0);
        sign[n] = (lane_mask)rng_next(&rng);
        for (int lane = 0; lane < LANES; lane++) {
            mpz_init(values[n][lane]);
            random_below(values[n][lane], bound);
            const uint64_t kind = rng_below(&rng, 8);
            if (kind == 0) /* p - 20 .. p + 18 */
                mpz_sub_ui(values[n][lane], bound, 1 + rng_below(&rng, 39));
            else if (kind == 1)
                mpz_set_ui(values[n][lane], rng_below(&rng, 20));
            put(&y[n], lane, values[n][lane]);
        }
    }
    lanes_ge_decode(points, on_curve, y, sign, count);
    for (int n = 0; n < count; n++)
        for (int lane = 0; lane < LANES; lane++) {
            const int good = ref_decode(&want, values[n][lane], sign[n] >> lane & 1);
            REQUIRE((on_curve[n] >> lane & 1) == good);
            if (!good) {
                mpz_set_ui(want.x, 0);
                mpz_set_ui(want.y, 1);
            }
            get(got, &points[n].X, lane);
            REQUIRE(mpz_cmp(got, want.x) == 0);
            get(got, &points[n].Y, lane);
            REQUIRE(mpz_cmp(got, want.y) == 0);
            get(got, &points[n].Z, lane);
            REQUIRE(mpz_cmp_ui(got, 1) == 0);
            mpz_mul(want.x, want.x, want.y);
            mpz_mod(want.x, want.x, ref_p);
            get(got, &points[n].T, lane);
            REQUIRE(mpz_cmp(got, want.x) == 0);
            mpz_clear(values[n][lane]);
        }
    mpz_clears(got, bound, NULL);
    ref_point_clear(&want);
}

START_TEST(decode)
{
    rng_init(&rng, seed_of("decode", 72));
    for (int i = 0; i < rounds_of(100); i++) {
        decode_once(1);
        decode_once(2);
    }
}
END_TEST

/* One inversion for COUNT groups: every x and y is its own. */
LANES_TARGET static void affine_once(int count)
{
    struct ge points[GE_AFFINE_MAX];
    struct fe x[GE_AFFINE_MAX], y[GE_AFFINE_MAX];
    mpz_t values[3], got;
    mpz_inits(values[0], values[1], values[2], got, NULL);
    for (int n = 0; n < count; n++) {
        ge_set_identity(&points[n]);
        for (int lane = 0; lane < LANES; lane++)
            for (int c = 0; c < 3; c++) {
                random_below(values[c], ref_p);
                if (c == 2 && mpz_sgn(values[c]) == 0)
                    mpz_set_ui(values[c], 1);
                put(c == 0 ? &points[n].X : c == 1 ? &points[n].Y : &points[n].Z, lane, values[c]);
            }
    }
    lanes_ge_affine(x, y, points, count);
    for (int n = 0; n < count; n++)
        for (int lane = 0; lane < LANES; lane++) {
            get(values[2], &points[n].Z, lane);
            for (int c = 0; c < 2; c++) {
                get(values[c], c == 0 ? &points[n].X : &points[n].Y, lane);
                get(got, c == 0 ? &x[n] : &y[n], lane);
                mpz_mul(got, got, values[2]);
                mpz_mod(got, got, ref_p);
                REQUIRE(mpz_cmp(got, values[c]) == 0);
            }
        }
    mpz_clears(values[0], values[1], values[2], got, NULL);
}

START_TEST(affine)
{
    rng_init(&rng, seed_of("affine", 73));
    for (int count = 1; count <= GE_AFFINE_MAX; count++)
        affine_once(count);
}
END_TEST

#endif

START_TEST(there_are_no_lanes)
{
    puts("SKIP crypto_lanes_ge: no AVX-512-IFMA, or SVM_LANES=off");
    ck_assert(!crypto_cpu_has_ifma());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crypto_lanes_ge");
    TCase *tcase = tcase_create("ge");
#if LANES
    if (crypto_cpu_has_ifma()) {
        reference_init();
        tcase_set_timeout(tcase, 120);
        tcase_add_test(tcase, multiples);
        tcase_add_test(tcase, base_multiples);
        tcase_add_test(tcase, decode);
        tcase_add_test(tcase, affine);
    } else
#endif
        tcase_add_test(tcase, there_are_no_lanes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
