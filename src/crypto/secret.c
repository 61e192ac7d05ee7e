#include "crypto/secret.h"

#include <sodium.h>

#include "base/assert.h"

void crypto_random(void *out, size_t len)
{
    SVM_ASSERT(sodium_init() >= 0); /* idempotent and safe from several threads at once */
    randombytes_buf(out, len);
}

void crypto_wipe(void *secret, size_t len)
{
    sodium_memzero(secret, len);
}

bool crypto_equal(const void *left, const void *right, size_t len)
{
    return sodium_memcmp(left, right, len) == 0;
}
