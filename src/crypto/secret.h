/* crypto/secret.h - the handling of secrets: fresh randomness, wiping, comparing without telling by time. */
#ifndef CRYPTO_SECRET_H
#define CRYPTO_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* crypto_random: LEN bytes of the operating system's randomness. Ends the process when there is none. Thread any. */
void crypto_random(void *out, size_t len);

/* crypto_wipe: overwrite with zeros in a way that the compiler may not drop. */
void crypto_wipe(void *secret, size_t len);

/* crypto_equal: compare LEN bytes in a time that depends on LEN alone. */
bool crypto_equal(const void *left, const void *right, size_t len);

#endif
