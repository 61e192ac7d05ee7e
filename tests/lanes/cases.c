#include "cases.h"

#include <string.h>

#include <sodium.h>

#include "base/assert.h"

const char *const case_kind_names[CASE_KINDS] = {"valid",
                                                 "mixed torsion",
                                                 "mixed torsion that cancels",
                                                 "bit of the signature",
                                                 "bit of the key",
                                                 "bit of the message",
                                                 "sign bit",
                                                 "S + k L",
                                                 "S at an edge",
                                                 "A of small order",
                                                 "R of small order",
                                                 "A not canonical",
                                                 "R not canonical",
                                                 "any key",
                                                 "noise"};

enum { POOL = 64, ORDERS = 8 };

/* The order of the base point. */
static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                                  0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
/* A point E of order 8; K E for each K. */
static const uint8_t order8[32] = {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
                                   0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
                                   0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05};
static uint8_t torsion[ORDERS][32];

/* x B + K E for each K. */
struct drawn {
    uint8_t scalar[32];
    uint8_t point[ORDERS][32];
};
static struct drawn keys[POOL], nonces[POOL];

static void fill(uint8_t *out, size_t len, struct rng *rng)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)rng_next(rng);
}

static void add(uint8_t out[32], const uint8_t a[32], const uint8_t b[32])
{
    SVM_ASSERT(crypto_core_ed25519_add(out, a, b) == 0);
}

static void draw(struct drawn *out, struct rng *rng)
{
    uint8_t wide[64];
    fill(wide, sizeof wide, rng);
    crypto_core_ed25519_scalar_reduce(out->scalar, wide);
    SVM_ASSERT(crypto_scalarmult_ed25519_base_noclamp(out->point[0], out->scalar) == 0);
    for (int k = 1; k < ORDERS; k++)
        add(out->point[k], out->point[0], torsion[k]);
}

void cases_init(struct rng *rng)
{
    torsion[0][0] = 1;
    for (int k = 1; k < ORDERS; k++)
        add(torsion[k], torsion[k - 1], order8);
    for (int i = 0; i < POOL; i++) {
        draw(&keys[i], rng);
        draw(&nonces[i], rng);
    }
}

/* h = SHA-512(R, A, M) mod L */
static void hash(uint8_t h_out[32], const struct example *e)
{
    crypto_hash_sha512_state state;
    uint8_t wide[64];
    crypto_hash_sha512_init(&state);
    crypto_hash_sha512_update(&state, e->signature, 32);
    crypto_hash_sha512_update(&state, e->public_key, 32);
    crypto_hash_sha512_update(&state, e->message, e->len);
    crypto_hash_sha512_final(&state, wide);
    crypto_core_ed25519_scalar_reduce(h_out, wide);
}

/* S = r + h a for the R and A that E has. */
static void finish(struct example *e, const uint8_t r[32], const uint8_t a[32])
{
    uint8_t h[32], ha[32];
    hash(h, e);
    crypto_core_ed25519_scalar_mul(ha, h, a);
    crypto_core_ed25519_scalar_add(e->signature + 32, r, ha);
}

/* holds: whether h t1 + t2 = 0 mod 8. */
static int holds(const struct example *e, int t1, int t2)
{
    uint8_t h[32];
    hash(h, e);
    return ((h[0] & 7) * t1 + t2) % ORDERS == 0;
}

static void sign(struct example *e, struct rng *rng, int t1, int t2)
{
    const struct drawn *key = &keys[rng_below(rng, POOL)], *nonce = &nonces[rng_below(rng, POOL)];
    memcpy(e->public_key, key->point[t1], 32);
    memcpy(e->signature, nonce->point[t2], 32);
    finish(e, nonce->scalar, key->scalar);
}

/* -A or -R in the place of A or R, before the hash is taken: all fits but one bit. */
static void sign_turned(struct example *e, struct rng *rng)
{
    const struct drawn *key = &keys[rng_below(rng, POOL)], *nonce = &nonces[rng_below(rng, POOL)];
    memcpy(e->public_key, key->point[0], 32);
    memcpy(e->signature, nonce->point[0], 32);
    (rng_below(rng, 2) ? e->public_key : e->signature)[31] ^= 0x80;
    finish(e, nonce->scalar, key->scalar);
}

static void sign_mixed_that_holds(struct example *e, struct rng *rng)
{
    const struct drawn *key = &keys[rng_below(rng, POOL)], *nonce = &nonces[rng_below(rng, POOL)];
    const int t1 = 1 + (int)rng_below(rng, ORDERS - 1);
    memcpy(e->public_key, key->point[t1], 32);
    for (int t2 = 0; t2 < ORDERS; t2++) {
        memcpy(e->signature, nonce->point[t2], 32);
        if (holds(e, t1, t2))
            break;
    }
    finish(e, nonce->scalar, key->scalar);
}

/* small: any encoding of K E: p more where that fits into 255 bits, and either sign bit. */
static void small(uint8_t out[32], struct rng *rng, int k)
{
    memcpy(out, torsion[k], 32);
    /* y = 0 (orders 4) and y = 1 (the identity) have a second encoding. */
    if ((k == 0 || k == 2 || k == 6) && rng_below(rng, 2)) {
        memset(out + 1, 0xff, 30);
        out[0] = k == 0 ? 0xee : 0xed;
        out[31] = (uint8_t)(0x7f | (torsion[k][31] & 0x80));
    }
    if (rng_below(rng, 4) == 0)
        out[31] ^= 0x80;
}

/* A = T1 and R = r B + T2, S = r: holds where T2 = -h T1. */
static void small_key(struct example *e, struct rng *rng)
{
    const struct drawn *nonce = &nonces[rng_below(rng, POOL)];
    const int t1 = (int)rng_below(rng, ORDERS);
    small(e->public_key, rng, t1);
    for (int t2 = 0; t2 < ORDERS; t2++) {
        memcpy(e->signature, nonce->point[t2], 32);
        if (holds(e, t1, t2))
            break;
    }
    memcpy(e->signature + 32, nonce->scalar, 32);
}

/* A = a B + T1, R = T2, S = h a. */
static void small_nonce(struct example *e, struct rng *rng)
{
    static const uint8_t zero[32];
    const struct drawn *key = &keys[rng_below(rng, POOL)];
    const int t1 = (int)rng_below(rng, ORDERS);
    memcpy(e->public_key, key->point[t1], 32);
    for (int t2 = 0; t2 < ORDERS; t2++) {
        small(e->signature, rng, t2);
        if (holds(e, t1, t2))
            break;
    }
    finish(e, zero, key->scalar);
}

/* Any 32 bytes as A, R = r B, S = r: an implementation that goes on without a point may add nothing to S B. */
static void any_key(struct example *e, struct rng *rng)
{
    const struct drawn *nonce = &nonces[rng_below(rng, POOL)];
    fill(e->public_key, 32, rng);
    memcpy(e->signature, nonce->point[0], 32);
    memcpy(e->signature + 32, nonce->scalar, 32);
}

/* An encoding of y + p, y = 0 .. 18. */
static void not_canonical(uint8_t out[32], struct rng *rng)
{
    memset(out, 0xff, 32);
    out[0] = (uint8_t)(0xed + rng_below(rng, 19));
    out[31] = rng_below(rng, 2) ? 0xff : 0x7f;
}

static void s_plus_l(uint8_t s[32], struct rng *rng)
{
    for (uint64_t k = 1 + rng_below(rng, 14); k > 0; k--) {
        unsigned carry = 0;
        for (int i = 0; i < 32; i++) {
            carry += (unsigned)s[i] + order[i];
            s[i] = (uint8_t)carry;
            carry >>= 8;
        }
    }
}

static void s_edge(uint8_t s[32], struct rng *rng)
{
    memset(s, 0, 32);
    switch (rng_below(rng, 8)) {
    case 0:
        break;
    case 1:
        s[0] = 1;
        break;
    case 2:
    case 3:
    case 4: /* L - 1, L, L + 1 */
        memcpy(s, order, 32);
        s[0] = (uint8_t)(order[0] - 1 + rng_below(rng, 3));
        break;
    case 5:
        s[31] = 0x10;
        break;
    case 6:
        memset(s, 0xff, 32);
        s[31] = (uint8_t)((1u << (4 + rng_below(rng, 5))) - 1);
        break;
    default:
        memcpy(s, order, 32);
        s[rng_below(rng, 32)] ^= (uint8_t)(1u << rng_below(rng, 8));
        break;
    }
}

static void flip(uint8_t *bytes, size_t len, struct rng *rng)
{
    bytes[rng_below(rng, len)] ^= (uint8_t)(1u << rng_below(rng, 8));
}

static void spoil(struct example *e, struct rng *rng)
{
    switch (e->kind) {
    case CASE_FLIP_SIGNATURE:
        flip(e->signature, 64, rng);
        break;
    case CASE_FLIP_KEY:
        flip(e->public_key, 32, rng);
        break;
    case CASE_FLIP_MESSAGE:
        if (e->len == 0 || rng_below(rng, 4) == 0)
            e->len = e->len > 0 ? e->len - 1 : 1;
        else
            flip(e->message, e->len, rng);
        break;
    case CASE_S_PLUS_L:
        s_plus_l(e->signature + 32, rng);
        break;
    case CASE_S_EDGE:
        s_edge(e->signature + 32, rng);
        break;
    case CASE_NONCANONICAL_A:
        not_canonical(e->public_key, rng);
        break;
    case CASE_NONCANONICAL_R:
        not_canonical(e->signature, rng);
        break;
    case CASE_NOISE:
        fill(e->public_key, 32, rng);
        fill(e->signature, 64, rng);
        e->signature[63] &= 0x1f;
        break;
    case CASE_VALID:
    case CASE_MIXED:
    case CASE_MIXED_HOLDS:
    case CASE_SMALL_A:
    case CASE_SMALL_R:
    case CASE_SIGN_BIT:
    case CASE_ANY_KEY:
    case CASE_KINDS:
    default:
        break;
    }
}

void case_make(struct example *out, struct rng *rng)
{
    out->kind = (enum case_kind)rng_below(rng, CASE_KINDS);
    out->len = rng_below(rng, 8) ? rng_below(rng, 250) : rng_below(rng, CASE_MESSAGE_MAX);
    fill(out->message, out->len < 40 ? out->len : 40, rng);
    if (out->kind == CASE_MIXED)
        sign(out, rng, (int)rng_below(rng, ORDERS), (int)rng_below(rng, ORDERS));
    else if (out->kind == CASE_MIXED_HOLDS)
        sign_mixed_that_holds(out, rng);
    else if (out->kind == CASE_SMALL_A)
        small_key(out, rng);
    else if (out->kind == CASE_SMALL_R)
        small_nonce(out, rng);
    else if (out->kind == CASE_SIGN_BIT)
        sign_turned(out, rng);
    else if (out->kind == CASE_ANY_KEY)
        any_key(out, rng);
    else
        sign(out, rng, 0, 0);
    spoil(out, rng);
}
