/* The field of crypto/lanes against GMP: limbs at their bounds, every lane with numbers of its own. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "crypto/cpu.h"
#include "crypto/lanes/fe.h"
#include "unit/crypto_reference.h"

#if LANES

#define BIT(n) (UINT64_C(1) << (n))

/* Bounds of fe.h: what is multiplied, added or subtracted; what comes out. */
static const uint64_t operand_max = BIT(52) - 1, tight_max = BIT(51) + BIT(18) - 1;

static struct rng rng;

/* Five limbs of each lane in memory, and back. */
struct limbs {
    uint64_t l[5][LANES];
};

LANES_TARGET static void to_fe(struct fe *out, const struct limbs *in)
{
    for (int i = 0; i < 5; i++)
        out->l[i] = lane_load(in->l[i]);
}

LANES_TARGET static void from_fe(struct limbs *out, const struct fe *in)
{
    for (int i = 0; i < 5; i++)
        lane_store(out->l[i], in->l[i]);
}

static void value_of(mpz_t out, const struct limbs *in, int lane)
{
    mpz_t limb;
    mpz_init(limb);
    mpz_set_ui(out, 0);
    for (int i = 4; i >= 0; i--) {
        ref_from_words(limb, &in->l[i][lane], 1);
        mpz_mul_2exp(out, out, 51);
        mpz_add(out, out, limb);
    }
    mpz_clear(limb);
}

/* A limb up to MAX, most often at an edge. */
static uint64_t edge(uint64_t max)
{
    const uint64_t edges[] = {0,       1,       18,          19,          20,
                              max - 1, max - 1, BIT(51) - 1, BIT(51) - 2, BIT(51) - 19,
                              BIT(51), max,     max,         BIT(50),     BIT(26)};
    const uint64_t pick = rng_below(&rng, 20);
    if (pick < sizeof edges / sizeof edges[0])
        return edges[pick] <= max ? edges[pick] : max;
    return rng_next(&rng) & max;
}

static void fill(struct limbs *out, uint64_t max)
{
    const uint64_t kind = rng_below(&rng, 8);
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < 5; i++)
            out->l[i][lane] = kind == 0 ? max : kind == 1 ? rng_below(&rng, max + 1) : edge(max);
}

static void assert_max(const struct limbs *limbs, uint64_t max, const char *what)
{
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < 5; i++)
            REQUIRE_AT(limbs->l[i][lane] <= max, "%s: lane %d limb %d", what, lane, i);
}

enum operation { MUL, SQ, ADD, SUB, NEG, MUL_WIDE_SUB, OPERATIONS };
static const char *const names[] = {"mul", "sq", "add", "sub", "neg", "wide_sub of products"};

static void reference(mpz_t out, enum operation op, const mpz_t a, const mpz_t b)
{
    switch (op) {
    case MUL:
        mpz_mul(out, a, b);
        break;
    case SQ:
        mpz_mul(out, a, a);
        break;
    case ADD:
        mpz_add(out, a, b);
        break;
    case SUB:
        mpz_sub(out, a, b);
        break;
    case NEG:
        mpz_neg(out, a);
        break;
    case MUL_WIDE_SUB:
        mpz_mul(out, b, b);
        mpz_submul(out, a, b);
        break;
    case OPERATIONS:
    default:
        ck_abort();
    }
    mpz_mod(out, out, ref_p);
}

LANES_TARGET static void compute(struct fe *out, enum operation op, const struct fe *a,
                                 const struct fe *b)
{
    struct wide x, y;
    switch (op) {
    case MUL:
        fe_mul(out, a, b);
        break;
    case SQ:
        fe_sq(out, a);
        break;
    case ADD:
        fe_add(out, a, b);
        break;
    case SUB:
        fe_sub(out, a, b);
        break;
    case NEG:
        fe_neg(out, a);
        break;
    case MUL_WIDE_SUB:
        fe_sq_wide(&x, b);
        fe_mul_wide(&y, a, b);
        wide_sub(&x, &x, &y);
        fe_carry(out, &x);
        break;
    case OPERATIONS:
    default:
        ck_abort();
    }
}

LANES_TARGET static void compare(enum operation op, const struct limbs *a, const struct limbs *b)
{
    struct fe x, y, result;
    struct limbs raw, canonical;
    mpz_t want, u, v;
    mpz_inits(want, u, v, NULL);
    to_fe(&x, a);
    to_fe(&y, b);
    compute(&result, op, &x, &y);
    from_fe(&raw, &result);
    fe_canonical(&result, &result);
    from_fe(&canonical, &result);
    assert_max(&raw, op == NEG ? operand_max : tight_max, names[op]);
    assert_max(&canonical, BIT(51) - 1, names[op]);
    for (int lane = 0; lane < LANES; lane++) {
        value_of(u, a, lane);
        value_of(v, b, lane);
        reference(want, op, u, v);
        value_of(u, &canonical, lane);
        REQUIRE_AT(mpz_cmp(u, want) == 0, "%s: lane %d", names[op], lane);
        value_of(u, &raw, lane);
        mpz_mod(u, u, ref_p);
        REQUIRE_AT(mpz_cmp(u, want) == 0, "%s: lane %d, before fe_canonical", names[op], lane);
    }
    mpz_clears(want, u, v, NULL);
}

START_TEST(operations)
{
    rng_init(&rng, seed_of("operations", 51));
    for (int i = 0; i < rounds_of(1000); i++)
        for (int op = 0; op < OPERATIONS; op++) {
            struct limbs a, b;
            fill(&a, op == NEG ? tight_max : operand_max);
            fill(&b, operand_max);
            compare((enum operation)op, &a, &b);
        }
}
END_TEST

/* fe_mul_wide promises 267 * 2^52 at most, on which wide_sub relies. */
LANES_TARGET static void widest(void)
{
    struct limbs all;
    struct fe x;
    struct wide product, square;
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < 5; i++)
            all.l[i][lane] = operand_max;
    to_fe(&x, &all);
    fe_mul_wide(&product, &x, &x);
    fe_sq_wide(&square, &x);
    for (int i = 0; i < 5; i++) {
        uint64_t a[LANES], b[LANES];
        lane_store(a, product.l[i]);
        lane_store(b, square.l[i]);
        REQUIRE(a[3] <= 267 * BIT(52));
        REQUIRE(b[3] <= 267 * BIT(52));
    }
}

START_TEST(widest_products)
{
    widest();
}
END_TEST

/* Numbers around multiples of p, and limbs as large as fe_canonical takes them. */
LANES_TARGET static void canonical_edges(void)
{
    mpz_t want, v;
    mpz_inits(want, v, NULL);
    for (int multiple = 0; multiple <= 2; multiple++)
        for (int around = -40; around <= 40; around++) {
            struct limbs in = {0}, out;
            struct fe x;
            for (int lane = 0; lane < LANES; lane++) {
                mpz_mul_si(v, ref_p, multiple);
                if (around < 0 && multiple == 0)
                    continue;
                mpz_add_ui(v, v, 41);
                mpz_sub_ui(v, v, (unsigned)(41 - around));
                for (int i = 0; i < 5; i++) {
                    mpz_fdiv_r_2exp(want, v, i < 4 ? 51 : 60);
                    ref_to_words(&in.l[i][lane], 1, want);
                    mpz_fdiv_q_2exp(v, v, 51);
                }
            }
            to_fe(&x, &in);
            const unsigned zero = fe_is_zero(&x), odd = fe_is_odd(&x);
            fe_canonical(&x, &x);
            from_fe(&out, &x);
            for (int lane = 0; lane < LANES; lane++) {
                value_of(want, &in, lane);
                mpz_mod(want, want, ref_p);
                value_of(v, &out, lane);
                REQUIRE(mpz_cmp(v, want) == 0);
                REQUIRE((zero >> lane & 1) == (mpz_sgn(want) == 0));
                REQUIRE((odd >> lane & 1) == (unsigned)mpz_tstbit(want, 0));
            }
        }
    for (int i = 0; i < rounds_of(1000); i++) {
        struct limbs in, out;
        struct fe x;
        fill(&in, BIT(63) - 1);
        to_fe(&x, &in);
        fe_canonical(&x, &x);
        from_fe(&out, &x);
        for (int lane = 0; lane < LANES; lane++) {
            value_of(want, &in, lane);
            mpz_mod(want, want, ref_p);
            value_of(v, &out, lane);
            REQUIRE(mpz_cmp(v, want) == 0);
        }
    }
    mpz_clears(want, v, NULL);
}

START_TEST(canonical)
{
    rng_init(&rng, seed_of("canonical", 52));
    canonical_edges();
}
END_TEST

LANES_TARGET static void powers_agree(void)
{
    mpz_t p58, inverse, want, v;
    mpz_inits(p58, inverse, want, v, NULL);
    mpz_sub_ui(p58, ref_p, 5);
    mpz_fdiv_q_2exp(p58, p58, 3);
    mpz_sub_ui(inverse, ref_p, 2);
    for (int round = 0; round < rounds_of(20); round++) {
        struct limbs in[2], out;
        struct fe x[2], power[2], single, inverted;
        fill(&in[0], operand_max);
        fill(&in[1], operand_max);
        to_fe(&x[0], &in[0]);
        to_fe(&x[1], &in[1]);
        lanes_fe_pow_p58(power, x, 2);
        lanes_fe_pow_p58(&single, x, 1);
        lanes_fe_invert(&inverted, x);
        const struct fe *const results[4] = {&power[0], &power[1], &single, &inverted};
        for (int r = 0; r < 4; r++) {
            struct fe canon;
            fe_canonical(&canon, results[r]);
            from_fe(&out, &canon);
            for (int lane = 0; lane < LANES; lane++) {
                value_of(want, &in[r == 1], lane);
                mpz_powm(want, want, r == 3 ? inverse : p58, ref_p);
                value_of(v, &out, lane);
                REQUIRE(mpz_cmp(v, want) == 0);
            }
        }
    }
    mpz_clears(p58, inverse, want, v, NULL);
}

START_TEST(powers)
{
    rng_init(&rng, seed_of("powers", 53));
    powers_agree();
}
END_TEST

/* Words into limbs, and rows into lanes: each word of each lane lands where it belongs. */
LANES_TARGET static void words_land(void)
{
    uint8_t bytes[LANES][32];
    const uint8_t *from[LANES];
    __m512i words[4], square[8];
    struct fe x;
    struct limbs limbs;
    mpz_t want, v;
    mpz_inits(want, v, NULL);
    for (int lane = 0; lane < LANES; lane++) {
        for (int i = 0; i < 32; i++)
            bytes[lane][i] = (uint8_t)rng_next(&rng);
        from[lane] = bytes[lane];
    }
    lane_words(words, from);
    fe_from_words(&x, words);
    from_fe(&limbs, &x);
    for (int lane = 0; lane < LANES; lane++) {
        mpz_import(want, 32, -1, 1, 0, 0, bytes[lane]);
        mpz_fdiv_r_2exp(want, want, 255);
        value_of(v, &limbs, lane);
        REQUIRE(mpz_cmp(v, want) == 0);
    }
    for (uint64_t row = 0; row < 8; row++) {
        uint64_t numbers[8];
        for (uint64_t i = 0; i < 8; i++)
            numbers[i] = 100 * row + i;
        square[row] = lane_load(numbers);
    }
    lane_transpose(square);
    for (uint64_t column = 0; column < 8; column++) {
        uint64_t numbers[8];
        lane_store(numbers, square[column]);
        for (uint64_t i = 0; i < 8; i++)
            REQUIRE(numbers[i] == 100 * i + column);
    }
    mpz_clears(want, v, NULL);
}

START_TEST(words)
{
    rng_init(&rng, seed_of("words", 54));
    for (int i = 0; i < 500; i++)
        words_land();
}
END_TEST

#endif

START_TEST(there_are_no_lanes)
{
    puts("SKIP crypto_lanes_fe: no AVX-512-IFMA, or SVM_LANES=off");
    ck_assert(!crypto_cpu_has_ifma());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crypto_lanes_fe");
    TCase *tcase = tcase_create("fe");
#if LANES
    if (crypto_cpu_has_ifma()) {
        reference_init();
        tcase_set_timeout(tcase, 120);
        tcase_add_test(tcase, operations);
        tcase_add_test(tcase, widest_products);
        tcase_add_test(tcase, canonical);
        tcase_add_test(tcase, powers);
        tcase_add_test(tcase, words);
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
