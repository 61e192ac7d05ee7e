#include "crypto/lanes/fe.h"

#include "base/assert.h"

#if LANES

const uint64_t lanes_fe_nineteen = 19;

/* square_times: each of COUNT numbers squared TIMES times. */
LANES_STEP void square_times(struct fe *numbers, int count, int times)
{
    for (int i = 0; i < times; i++)
        for (int n = 0; n < count; n++)
            fe_sq(&numbers[n], &numbers[n]);
}

LANES_STEP void multiply(struct fe *out, const struct fe *a, const struct fe *b, int count)
{
    for (int n = 0; n < count; n++)
        fe_mul(&out[n], &a[n], &b[n]);
}

/* out = in^(2^TIMES) * by */
LANES_STEP void square_multiply(struct fe *out, const struct fe *in, int times, const struct fe *by,
                                int count)
{
    struct fe t[2];
    for (int n = 0; n < count; n++)
        t[n] = in[n];
    square_times(t, count, times);
    multiply(out, t, by, count);
}

/* power_250: A^(2^250 - 1), and A^11 on the way. The addition chain of ref10 (Bernstein et al.). */
LANES_STEP void power_250(struct fe *out, struct fe *eleventh_out, const struct fe *in, int count)
{
    struct fe a2[2], a9[2], t[2], x5[2], x10[2], x20[2], x50[2], x100[2];
    for (int n = 0; n < count; n++)
        fe_sq(&a2[n], &in[n]);
    square_multiply(a9, a2, 2, in, count);
    multiply(eleventh_out, a9, a2, count);
    square_multiply(x5, eleventh_out, 1, a9, count); /* 2^5 - 1 = 31 = 22 + 9 */
    square_multiply(x10, x5, 5, x5, count);
    square_multiply(x20, x10, 10, x10, count);
    square_multiply(t, x20, 20, x20, count); /* 2^40 - 1 */
    square_multiply(x50, t, 10, x10, count);
    square_multiply(x100, x50, 50, x50, count);
    square_multiply(t, x100, 100, x100, count); /* 2^200 - 1 */
    square_multiply(out, t, 50, x50, count);
}

LANES_STEP void power_p58(struct fe *out, const struct fe *in, int count)
{
    struct fe power[2], eleventh[2];
    power_250(power, eleventh, in, count);
    square_multiply(out, power, 2, in, count); /* 2^252 - 4 + 1 */
}

static LANES_CALL void power_p58_single(struct fe *out, const struct fe *in)
{
    power_p58(out, in, 1);
}

static LANES_CALL void power_p58_double(struct fe *out, const struct fe *in)
{
    power_p58(out, in, 2);
}

void lanes_fe_pow_p58(struct fe *out, const struct fe *in, int count)
{
    SVM_ASSERT(count == 1 || count == 2);
    if (count == 1)
        power_p58_single(out, in);
    else
        power_p58_double(out, in);
}

LANES_CALL void lanes_fe_invert(struct fe *out, const struct fe *in)
{
    struct fe power, eleventh;
    power_250(&power, &eleventh, in, 1);
    square_multiply(out, &power, 5, &eleventh, 1); /* 2^255 - 32 + 11 = p - 2 */
}

#endif
