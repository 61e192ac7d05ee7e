/* lanes/cases.h - signatures of every kind on which verifiers have disagreed, made in about a microsecond each.
 *
 * Keys and nonces are drawn once, A = a B + T1 and R = r B + T2 for every torsion point T, so that a case costs one hash and
 * S = r + h a. The cofactorless equation holds just when T2 = -h T1. */
#ifndef LANES_CASES_H
#define LANES_CASES_H

#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

enum { CASE_MESSAGE_MAX = 700 };

enum case_kind {
    CASE_VALID,
    CASE_MIXED,          /* torsion in A and R as it comes: one in eight holds */
    CASE_MIXED_HOLDS,    /* torsion that cancels, where some can be found */
    CASE_FLIP_SIGNATURE, /* one bit */
    CASE_FLIP_KEY,
    CASE_FLIP_MESSAGE,
    CASE_SIGN_BIT,       /* of A or R, hashed so */
    CASE_S_PLUS_L,       /* the same S mod L, not canonical */
    CASE_S_EDGE,         /* 0, 1, L - 1, L, L + 1, 2^252, 2^256 - 1 ... */
    CASE_SMALL_A,        /* A of small order, any encoding; the equation holds where it can */
    CASE_SMALL_R,        /* R of small order, likewise */
    CASE_NONCANONICAL_A, /* y + p */
    CASE_NONCANONICAL_R,
    CASE_ANY_KEY, /* 32 random bytes: half of them are no point */
    CASE_NOISE,   /* 96 random bytes */
    CASE_KINDS
};
extern const char *const case_kind_names[CASE_KINDS];

struct example {
    enum case_kind kind;
    uint8_t public_key[32];
    uint8_t signature[64];
    uint8_t message[CASE_MESSAGE_MAX];
    size_t len;
};

/* cases_init: draws keys and nonces from RNG. */
void cases_init(struct rng *rng);
/* case_make: one example of a kind drawn from RNG. */
void case_make(struct example *out, struct rng *rng);

#endif
