#include "crypto/lanes/ge.h"

#include <pthread.h>

#include "base/assert.h"

#if LANES

static const struct fe_constant constant_d = {
    {0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff}};
static const struct fe_constant constant_2d = {
    {0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff}};
/* 2^((p - 1) / 4) */
static const struct fe_constant constant_root = {
    {0x61b274a0ea0b0, 0x0d5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};
/* y of the base point: 4 / 5; its x is even. */
static const struct fe_constant constant_base_y = {
    {0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333, 0x6666666666666}};

/* ---- the group ------------------------------------------------------------------------------------------------ */

/* What both formulas end with: X = E F, Y = G H, Z = F G, T = E H. */
struct quadruple {
    struct fe e, f, g, h;
};

LANES_STEP void finish(struct ge *out, const struct quadruple *q, bool with_t)
{
    fe_mul(&out->X, &q->e, &q->f);
    fe_mul(&out->Y, &q->g, &q->h);
    fe_mul(&out->Z, &q->f, &q->g);
    if (with_t)
        fe_mul(&out->T, &q->e, &q->h);
}

/* Doubling: E = 2 X Y, H = X^2 + Y^2, G = Y^2 - X^2, F = 2 Z^2 - G. F and H are those of the paper negated, which changes the sign
 * of X, Y and Z together. Sums are made of products before their carries. */
LANES_STEP void twice(struct ge *out, const struct ge *in, bool with_t)
{
    struct wide xx, yy, zz, xy, sum;
    struct quadruple q;
    fe_sq_wide(&xx, &in->X);
    fe_sq_wide(&yy, &in->Y);
    fe_sq_wide(&zz, &in->Z);
    fe_mul_wide(&xy, &in->X, &in->Y);
    wide_add(&sum, &xy, &xy);
    fe_carry(&q.e, &sum);
    wide_add(&sum, &xx, &yy);
    fe_carry(&q.h, &sum);
    wide_sub(&sum, &yy, &xx);
    fe_carry(&q.g, &sum);
    wide_add(&zz, &zz, &zz);
    wide_add(&sum, &zz, &xx);
    wide_sub(&sum, &sum, &yy);
    fe_carry(&q.f, &sum);
    finish(out, &q, with_t);
}

/* Addition: A = (Y - X) q.difference, B = (Y + X) q.sum, C = T q.t2d, D = Z q.z2; E = B - A, F = D - C, G = D + C, H = B + A. */
LANES_STEP void plus(struct ge *out, const struct ge *p, const struct ge_ready *by, bool by_affine,
                     bool with_t)
{
    struct fe t;
    struct wide a, b, c, d, sum;
    struct quadruple q;
    fe_sub(&t, &p->Y, &p->X);
    fe_mul_wide(&a, &t, &by->difference);
    fe_add(&t, &p->Y, &p->X);
    fe_mul_wide(&b, &t, &by->sum);
    fe_mul_wide(&c, &p->T, &by->t2d);
    if (by_affine) { /* by->z2 is 2 */
        LANES_UNROLL
        for (int i = 0; i < 5; i++)
            d.l[i] = fe_twice(p->Z.l[i]);
    } else {
        fe_mul_wide(&d, &p->Z, &by->z2);
    }
    wide_sub(&sum, &b, &a);
    fe_carry(&q.e, &sum);
    wide_sub(&sum, &d, &c);
    fe_carry(&q.f, &sum);
    wide_add(&sum, &d, &c);
    fe_carry(&q.g, &sum);
    wide_add(&sum, &b, &a);
    fe_carry(&q.h, &sum);
    finish(out, &q, with_t);
}

static LANES_CALL void double_without_t(struct ge *p)
{
    twice(p, p, false);
}

static LANES_CALL void double_with_t(struct ge *p)
{
    twice(p, p, true);
}

static LANES_CALL void add_with_t(struct ge *p, const struct ge_ready *by)
{
    plus(p, p, by, false, true);
}

static LANES_CALL void add_without_t(struct ge *p, const struct ge_ready *by)
{
    plus(p, p, by, false, false);
}

static LANES_CALL void add_affine_without_t(struct ge *p, const struct ge_ready *by)
{
    plus(p, p, by, true, false);
}

static LANES_CALL void make_ready(struct ge_ready *out, const struct ge *p)
{
    struct fe factor;
    fe_add(&out->sum, &p->Y, &p->X);
    fe_sub(&out->difference, &p->Y, &p->X);
    fe_add(&out->z2, &p->Z, &p->Z);
    fe_set(&factor, &constant_2d);
    fe_mul(&out->t2d, &p->T, &factor);
}

/* ---- decoding ------------------------------------------------------------------------------------------------- */

/* What has to be known of y: u = y^2 - 1 and v = d y^2 + 1, x^2 = u / v; and u v^3, u v^7. */
struct fraction {
    struct fe u, v, uv3;
};

LANES_STEP void fraction_of(struct fraction *out, struct fe *uv7_out, const struct fe *y)
{
    struct fe one, d, yy, v2, v4;
    fe_set_small(&one, 1);
    fe_set(&d, &constant_d);
    fe_sq(&yy, y);
    fe_sub(&out->u, &yy, &one);
    fe_mul(&out->v, &yy, &d);
    fe_add(&out->v, &out->v, &one);
    fe_sq(&v2, &out->v);
    fe_sq(&v4, &v2);
    fe_mul(&out->uv3, &out->u, &v2);
    fe_mul(&out->uv3, &out->uv3, &out->v);
    fe_mul(uv7_out, &out->uv3, &v4);
}

/* The root out of POWER = (u v^7)^((p - 5) / 8); where there is one. */
LANES_STEP lane_mask root_of(struct fe *x_out, const struct fraction *f, const struct fe *power)
{
    struct fe x, other, factor, vxx, difference, sum;
    fe_mul(&x, power, &f->uv3);
    fe_sq(&vxx, &x);
    fe_mul(&vxx, &vxx, &f->v);
    fe_sub(&difference, &vxx, &f->u);
    fe_add(&sum, &vxx, &f->u);
    const lane_mask straight = fe_is_zero(&difference), turned = fe_is_zero(&sum);
    fe_set(&factor, &constant_root);
    fe_mul(&other, &x, &factor);
    fe_select(x_out, straight, &x, &other);
    return straight | turned;
}

LANES_CALL void lanes_ge_decode(struct ge *out, lane_mask *on_curve_out, const struct fe *y,
                                const lane_mask *sign, int count)
{
    struct fraction f[2];
    struct fe power[2];
    SVM_ASSERT(count == 1 || count == 2);
    for (int n = 0; n < count; n++)
        fraction_of(&f[n], &power[n], &y[n]);
    lanes_fe_pow_p58(power, power, count);
    for (int n = 0; n < count; n++) {
        struct ge point, identity;
        struct fe negated;
        const lane_mask good = root_of(&point.X, &f[n], &power[n]);
        const lane_mask turn = fe_is_odd(&point.X) ^ sign[n];
        fe_neg(&negated, &point.X);
        fe_select(&point.X, turn, &negated, &point.X);
        fe_set_small(&point.Z, 0);
        fe_add(&point.X, &point.X, &point.Z); /* tight again */
        point.Y = y[n];
        fe_set_small(&point.Z, 1);
        fe_mul(&point.T, &point.X, &point.Y);
        ge_set_identity(&identity);
        ge_select(&out[n], good, &point, &identity);
        on_curve_out[n] = good;
    }
}

/* ---- tables --------------------------------------------------------------------------------------------------- */

/* The base point's multiples 0 .. 512 with Z = 1: five words each of sum, difference and t2d, and one of padding. */
static _Alignas(128) uint64_t base_table[GE_BASE_ROWS][16];

/* to_rows: 8 * GROUPS numbers, the same of eight lanes each, into eight rows that begin at TO, STRIDE words apart. */
LANES_STEP void to_rows(uint64_t *to, size_t stride, const __m512i *numbers, int groups)
{
    for (int g = 0; g < groups; g++) {
        __m512i r[8];
        LANES_UNROLL
        for (int i = 0; i < 8; i++)
            r[i] = numbers[8 * g + i];
        lane_transpose(r);
        LANES_UNROLL
        for (int i = 0; i < 8; i++)
            lane_store(to + (size_t)i * stride + 8 * (size_t)g, r[i]);
    }
}

static LANES_CALL void table_put(struct ge_table *table, int multiple, const struct ge_ready *p)
{
    __m512i numbers[24];
    LANES_UNROLL
    for (int i = 0; i < 5; i++) {
        numbers[i] = p->sum.l[i];
        numbers[5 + i] = p->difference.l[i];
        numbers[10 + i] = p->z2.l[i];
        numbers[15 + i] = p->t2d.l[i];
    }
    LANES_UNROLL
    for (int i = 20; i < 24; i++)
        numbers[i] = _mm512_setzero_si512();
    to_rows(table->row[0][multiple], sizeof table->row[0] / sizeof(uint64_t), numbers, 3);
}

LANES_CALL void lanes_ge_table(struct ge_table *table_out, const struct ge *point)
{
    struct ge_ready first, ready;
    struct ge multiple;
    ge_set_identity(&multiple);
    make_ready(&ready, &multiple);
    table_put(table_out, 0, &ready);
    make_ready(&first, point);
    table_put(table_out, 1, &first);
    multiple = *point;
    for (int i = 2; i < GE_ROWS; i++) {
        if (i == 2)
            double_with_t(&multiple);
        else
            add_with_t(&multiple, &first);
        make_ready(&ready, &multiple);
        table_put(table_out, i, &ready);
    }
}

/* negate_ready: -P where NEGATIVE has a bit: sum and difference change places, t2d its sign. */
LANES_STEP void negate_ready(struct ge_ready *p, lane_mask negative)
{
    struct fe sum, t2d;
    fe_select(&sum, negative, &p->difference, &p->sum);
    fe_select(&p->difference, negative, &p->sum, &p->difference);
    p->sum = sum;
    fe_neg(&t2d, &p->t2d);
    fe_select(&p->t2d, negative, &t2d, &p->t2d);
}

/* columns: words 8 G .. 8 G + 7 of each lane's row. */
LANES_STEP void columns(__m512i r[8], const uint64_t *const rows[LANES], int g)
{
    LANES_UNROLL
    for (int l = 0; l < LANES; l++)
        r[l] = _mm512_load_si512(rows[l] + 8 * g);
    lane_transpose(r);
}

LANES_STEP void look_up(struct ge_ready *out, const struct ge_table *table,
                        const struct sc_digits *digits, int i)
{
    const uint64_t *rows[LANES];
    __m512i a[8], b[8], c[8];
    LANES_UNROLL
    for (int l = 0; l < LANES; l++)
        rows[l] = table->row[l][digits->size[i][l]];
    columns(a, rows, 0);
    columns(b, rows, 1);
    columns(c, rows, 2);
    out->sum = (struct fe){{a[0], a[1], a[2], a[3], a[4]}};
    out->difference = (struct fe){{a[5], a[6], a[7], b[0], b[1]}};
    out->z2 = (struct fe){{b[2], b[3], b[4], b[5], b[6]}};
    out->t2d = (struct fe){{b[7], c[0], c[1], c[2], c[3]}};
    negate_ready(out, digits->negative[i]);
}

LANES_STEP void look_up_base(struct ge_ready *out, const struct sc_digits *digits, int i)
{
    const uint64_t *rows[LANES];
    __m512i a[8], b[8];
    LANES_UNROLL
    for (int l = 0; l < LANES; l++)
        rows[l] = base_table[digits->size[i][l]];
    columns(a, rows, 0);
    columns(b, rows, 1);
    out->sum = (struct fe){{a[0], a[1], a[2], a[3], a[4]}};
    out->difference = (struct fe){{a[5], a[6], a[7], b[0], b[1]}};
    out->t2d = (struct fe){{b[2], b[3], b[4], b[5], b[6]}};
    negate_ready(out, digits->negative[i]);
}

/* broadcast: the last lane's point in every lane. */
LANES_STEP void broadcast_last(struct ge_ready *p)
{
    const __m512i last = lane_set(LANES - 1);
    struct fe *const numbers[4] = {&p->sum, &p->difference, &p->z2, &p->t2d};
    for (int n = 0; n < 4; n++) {
        LANES_UNROLL
        for (int i = 0; i < 5; i++)
            numbers[n]->l[i] = _mm512_permutexvar_epi64(last, numbers[n]->l[i]);
    }
}

/* Eight multiples in a row into base_table from row FIRST on. */
static LANES_CALL void base_rows_put(int first, const struct ge *multiples)
{
    struct ge affine;
    struct ge_ready ready;
    __m512i numbers[16];
    lanes_ge_affine(&affine.X, &affine.Y, multiples, 1);
    fe_set_small(&affine.Z, 1);
    fe_mul(&affine.T, &affine.X, &affine.Y);
    make_ready(&ready, &affine);
    for (int i = 0; i < 5; i++) {
        numbers[i] = ready.sum.l[i];
        numbers[5 + i] = ready.difference.l[i];
        numbers[10 + i] = ready.t2d.l[i];
    }
    numbers[15] = _mm512_setzero_si512();
    to_rows(base_table[first], sizeof base_table[0] / sizeof(uint64_t), numbers, 2);
}

/* Lane l of the first group gets (l + 1) B; each further group is the one before plus 8 B. About 200 us, once per process. */
static LANES_CALL void base_table_make(void)
{
    struct ge base, identity, multiples;
    struct ge_ready step, no_step, ready;
    const lane_mask even = 0;
    lane_mask on_curve;
    struct fe y;
    fe_set(&y, &constant_base_y);
    lanes_ge_decode(&base, &on_curve, &y, &even, 1);
    SVM_ASSERT(on_curve == LANES_ALL);
    ge_set_identity(&identity);
    make_ready(&no_step, &identity);
    make_ready(&step, &base);
    base_table[0][0] = base_table[0][5] = 1; /* the identity: sum 1, difference 1, t2d 0 */

    multiples = base;
    for (int i = 1; i < LANES; i++) {
        struct ge_ready some = no_step;
        const lane_mask from = (lane_mask)(LANES_ALL << i);
        fe_select(&some.sum, from, &step.sum, &no_step.sum);
        fe_select(&some.difference, from, &step.difference, &no_step.difference);
        fe_select(&some.t2d, from, &step.t2d, &no_step.t2d);
        add_with_t(&multiples, &some);
    }
    make_ready(&ready, &multiples);
    broadcast_last(&ready);
    for (int first = 1; first < GE_BASE_ROWS; first += LANES) {
        base_rows_put(first, &multiples);
        add_with_t(&multiples, &ready);
    }
}

static void base_table_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    SVM_ASSERT(pthread_once(&once, base_table_make) == 0);
}

/* ---- multiples ------------------------------------------------------------------------------------------------ */

LANES_CALL void lanes_ge_double_mul(struct ge *out, const struct sc_digits *a,
                                    const struct ge_table *table, const struct sc_digits *b)
{
    struct ge sum;
    struct ge_ready ready;
    base_table_once();
    ge_set_identity(&sum);
    for (int i = GE_DIGITS - 1; i >= 0; i--) {
        if (i < GE_DIGITS - 1) {
            for (int bit = 0; bit < GE_WIDTH - 1; bit++)
                double_without_t(&sum);
            double_with_t(&sum);
        }
        look_up(&ready, table, a, i);
        if (i % 2 != 0) {
            add_without_t(&sum, &ready);
        } else {
            add_with_t(&sum, &ready);
            look_up_base(&ready, b, i / 2);
            add_affine_without_t(&sum, &ready);
        }
    }
    *out = sum;
}

LANES_CALL void lanes_ge_affine(struct fe *x_out, struct fe *y_out, const struct ge *points,
                                int count)
{
    struct fe before[GE_AFFINE_MAX], inverse, z;
    SVM_ASSERT(count >= 1 && count <= GE_AFFINE_MAX);
    before[0] = points[0].Z; /* before[n]: the product of Z 0 .. n */
    for (int n = 1; n < count; n++)
        fe_mul(&before[n], &before[n - 1], &points[n].Z);
    lanes_fe_invert(&inverse, &before[count - 1]);
    for (int n = count - 1; n >= 0; n--) {
        if (n > 0) {
            fe_mul(&z, &inverse, &before[n - 1]);
            fe_mul(&inverse, &inverse, &points[n].Z);
        } else {
            z = inverse;
        }
        fe_mul(&x_out[n], &points[n].X, &z);
        fe_mul(&y_out[n], &points[n].Y, &z);
        fe_canonical(&x_out[n], &x_out[n]);
        fe_canonical(&y_out[n], &y_out[n]);
    }
}

#endif
