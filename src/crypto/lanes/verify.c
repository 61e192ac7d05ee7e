#include "crypto/lanes/verify.h"

#include <string.h>

#include "base/assert.h"
#include "crypto/lanes/ge.h"
#include "crypto/lanes/sc.h"
#include "crypto/lanes/sha512.h"

#if LANES

/* The steps of libsodium 1.0.18's crypto_sign_verify_detached, in its order of meaning, for all lanes at once:
 *
 *      S < L; R and A not among the encodings of small order (whatever the sign bit); y of A below p; A on the curve;
 *      h = SHA-512(R, A, M) mod L;  the encoding of S B - h A is R, byte by byte
 *
 * The last comparison takes R's bytes as they are, so R need not be decoded, and one that is not canonical never fits. */

enum { GROUPS_MAX = LANES_VERIFY_MAX / LANES };

/* Eight jobs on their way. */
struct group {
    lane_mask allowed; /* no step so far has refused it */
    lane_mask a_sign, r_sign;
    struct fe a_y, r_y; /* the other 255 bits of the encodings */
    struct sc_digits h_digits, s_digits;
    struct ge minus_a;
};

/* ---- what the encodings alone decide --------------------------------------------------------------------------- */

/* y of the points of order 4, 1, 8, 8 and 2. The other encodings of the first two, p and p + 1, need no rows: A must be below p,
 * and an R that is not never fits. */
enum { SMALL_ORDER_COUNT = 5 };
static const uint64_t small_order_y[SMALL_ORDER_COUNT][4] = {
    {0, 0, 0, 0},
    {1, 0, 0, 0},
    {0xb027b2c28f95e826, 0xf098eff289f4c345, 0x3933c6d305acdfd5, 0x05fc536d880238b1},
    {0x4fd84d3d706a17c7, 0x0f67100d760b3cba, 0xc6cc392cfa53202a, 0x7a03ac9277fdc74e},
    {0xffffffffffffffec, 0xffffffffffffffff, 0xffffffffffffffff, 0x7fffffffffffffff}};

/* take_sign: the sign bits, taken out of an encoding; what is left is y. */
LANES_STEP lane_mask take_sign(__m512i words[4])
{
    const lane_mask sign = _mm512_movepi64_mask(words[3]);
    words[3] = _mm512_and_si512(words[3], lane_set(UINT64_MAX >> 1));
    return sign;
}

LANES_STEP lane_mask has_small_order(const __m512i y[4])
{
    lane_mask found = 0;
    for (int n = 0; n < SMALL_ORDER_COUNT; n++) {
        lane_mask same = LANES_ALL;
        for (int i = 0; i < 4; i++)
            same &= _mm512_cmpeq_epi64_mask(y[i], lane_set(small_order_y[n][i]));
        found |= same;
    }
    return found;
}

/* below_p: y < 2^255 - 19 of a y below 2^255. */
LANES_STEP lane_mask below_p(const __m512i y[4])
{
    const __m512i ones = lane_set(UINT64_MAX);
    return _mm512_cmplt_epu64_mask(y[0], lane_set(UINT64_MAX - 18)) |
           _mm512_cmpneq_epi64_mask(y[1], ones) | _mm512_cmpneq_epi64_mask(y[2], ones) |
           _mm512_cmpneq_epi64_mask(y[3], lane_set(UINT64_MAX >> 1));
}

/* ---- the steps ------------------------------------------------------------------------------------------------ */

/* The digits of h = SHA-512(R, A, M) mod L. */
static LANES_CALL void hash(struct sc_digits *out, const struct crypto_ed25519_job *const jobs[])
{
    struct sha512_message messages[LANES];
    __m512i digest[8];
    struct sc h;
    for (int l = 0; l < LANES; l++) {
        memcpy(messages[l].head, jobs[l]->signature, 32);
        memcpy(messages[l].head + 32, jobs[l]->public_key, 32);
        messages[l].body = jobs[l]->message;
        messages[l].len = jobs[l]->len;
    }
    lanes_sha512(digest, messages);
    lanes_sc_reduce(&h, digest);
    lanes_sc_digits5(out, &h);
}

/* COUNT jobs, 1 .. 8, into GROUP; the lanes left over do the first job again, and nobody asks for what they find. */
static LANES_CALL void group_begin(struct group *group, const struct crypto_ed25519_job *jobs,
                                   size_t count)
{
    const struct crypto_ed25519_job *job[LANES];
    const uint8_t *a[LANES], *r[LANES], *s[LANES];
    __m512i words[4];
    struct sc scalar;
    lane_mask below_l;
    for (size_t l = 0; l < LANES; l++) {
        job[l] = &jobs[l < count ? l : 0];
        a[l] = job[l]->public_key;
        r[l] = job[l]->signature;
        s[l] = job[l]->signature + 32;
    }
    lane_words(words, s);
    lanes_sc_from_words(&scalar, &below_l, words);
    lanes_sc_digits10(&group->s_digits, &scalar);
    group->allowed = below_l;

    lane_words(words, r);
    group->r_sign = take_sign(words);
    group->allowed &= (lane_mask)~has_small_order(words);
    fe_from_words(&group->r_y, words);

    lane_words(words, a);
    group->a_sign = take_sign(words);
    group->allowed &= below_p(words) & (lane_mask)~has_small_order(words);
    fe_from_words(&group->a_y, words);

    hash(&group->h_digits, job);
}

/* -A of COUNT groups, 1 or 2. A lane whose A is not on the curve goes on with the identity: its Z stays invertible, on which the
 * other groups' inversion in lanes_ge_affine relies. */
static LANES_CALL void groups_decode(struct group *groups, int count)
{
    struct fe y[2];
    struct ge points[2];
    lane_mask sign[2], on_curve[2];
    SVM_ASSERT(count == 1 || count == 2);
    for (int n = 0; n < count; n++) {
        y[n] = groups[n].a_y;
        sign[n] = groups[n].a_sign;
    }
    lanes_ge_decode(points, on_curve, y, sign, count);
    for (int n = 0; n < count; n++) {
        ge_negate(&groups[n].minus_a, &points[n]);
        groups[n].allowed &= on_curve[n];
    }
}

/* Where the encoding of (X, Y) is R. R's y may be p or more; X and Y are canonical, so then it differs. */
LANES_STEP lane_mask encodes_r(const struct group *group, const struct fe *x, const struct fe *y)
{
    const lane_mask odd = _mm512_test_epi64_mask(x->l[0], lane_set(1));
    return fe_same(y, &group->r_y) & (lane_mask) ~(odd ^ group->r_sign);
}

LANES_CALL void lanes_verify(bool *verdicts_out, const struct crypto_ed25519_job *jobs,
                             size_t count)
{
    struct group groups[GROUPS_MAX];
    struct ge sums[GROUPS_MAX];
    struct fe x[GROUPS_MAX], y[GROUPS_MAX];
    struct ge_table table;
    SVM_ASSERT(count >= 1 && count <= LANES_VERIFY_MAX);
    const int group_count = (int)((count + LANES - 1) / LANES);
    for (int g = 0; g < group_count; g++) {
        const size_t from = (size_t)g * LANES, left = count - from;
        group_begin(&groups[g], jobs + from, left < LANES ? left : LANES);
    }
    for (int g = 0; g < group_count; g += 2)
        groups_decode(&groups[g], group_count - g < 2 ? 1 : 2);
    for (int g = 0; g < group_count; g++) {
        lanes_ge_table(&table, &groups[g].minus_a);
        lanes_ge_double_mul(&sums[g], &groups[g].h_digits, &table, &groups[g].s_digits);
    }
    lanes_ge_affine(x, y, sums, group_count);
    for (size_t i = 0; i < count; i++) {
        const struct group *group = &groups[i / LANES];
        const unsigned good = group->allowed & encodes_r(group, &x[i / LANES], &y[i / LANES]);
        verdicts_out[i] = good >> i % LANES & 1;
    }
}

#endif
