#include "crypto/sha256.h"

#include <string.h>

#include <sodium.h>

#include "crypto/cpu.h"
#include "crypto/sha256_ni.h"

/* Two implementations over one state: the processor's SHA instructions where it has them, else libsodium's portable C. The two
 * states have the same fields in the same order; sodium's header stays out of ours all the same, so its streaming calls copy
 * 104 bytes in and out. */
_Static_assert(sizeof(struct crypto_sha256) == sizeof(crypto_hash_sha256_state),
               "struct crypto_sha256 must be able to hold libsodium's state");

enum { BLOCK = 64, LENGTH_AT = 56 };

/* ---- with the SHA instructions -------------------------------------------------------------------------------- */

static void ni_add(struct crypto_sha256 *sha, const uint8_t *bytes, size_t len)
{
    const size_t filled = (size_t)(sha->bits / 8 % BLOCK);
    sha->bits += (uint64_t)len * 8;
    if (len < BLOCK - filled) {
        if (len > 0)
            memcpy(sha->block + filled, bytes, len);
        return;
    }
    if (filled > 0) {
        memcpy(sha->block + filled, bytes, BLOCK - filled);
        sha256_ni_compress(sha->state, sha->block, 1);
        bytes += BLOCK - filled;
        len -= BLOCK - filled;
    }
    sha256_ni_compress(sha->state, bytes, len / BLOCK);
    if (len % BLOCK > 0)
        memcpy(sha->block, bytes + len - len % BLOCK, len % BLOCK);
}

static void put_be32(uint8_t out[4], uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(out, &value, sizeof value);
}

static void ni_final(struct crypto_sha256 *sha, uint8_t hash_out[32])
{
    uint8_t tail[2 * BLOCK];
    const size_t filled = (size_t)(sha->bits / 8 % BLOCK);
    const size_t size = filled < LENGTH_AT ? BLOCK : 2 * BLOCK;
    memcpy(tail, sha->block, filled);
    tail[filled] = 0x80;
    memset(tail + filled + 1, 0, size - 8 - filled - 1);
    put_be32(tail + size - 8, (uint32_t)(sha->bits >> 32));
    put_be32(tail + size - 4, (uint32_t)sha->bits);
    sha256_ni_compress(sha->state, tail, size / BLOCK);
    for (unsigned i = 0; i < 8; i++)
        put_be32(hash_out + 4 * i, sha->state[i]);
}

/* ---- the door ------------------------------------------------------------------------------------------------- */

void crypto_sha256(uint8_t hash_out[32], const void *bytes, size_t len)
{
    if (!crypto_cpu_has_sha()) {
        crypto_hash_sha256(hash_out, bytes, len);
        return;
    }
    struct crypto_sha256 sha;
    crypto_sha256_init(&sha);
    ni_add(&sha, bytes, len);
    ni_final(&sha, hash_out);
}

void crypto_sha256_init(struct crypto_sha256 *sha)
{
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(sha->state, initial, sizeof initial);
    sha->bits = 0;
}

void crypto_sha256_add(struct crypto_sha256 *sha, const void *bytes, size_t len)
{
    if (crypto_cpu_has_sha()) {
        ni_add(sha, bytes, len);
        return;
    }
    crypto_hash_sha256_state sodium;
    memcpy(&sodium, sha, sizeof sodium);
    crypto_hash_sha256_update(&sodium, bytes, len);
    memcpy(sha, &sodium, sizeof sodium);
}

void crypto_sha256_final(struct crypto_sha256 *sha, uint8_t hash_out[32])
{
    if (crypto_cpu_has_sha()) {
        ni_final(sha, hash_out);
        return;
    }
    crypto_hash_sha256_state sodium;
    memcpy(&sodium, sha, sizeof sodium);
    crypto_hash_sha256_final(&sodium, hash_out);
}
