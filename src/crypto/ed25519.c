#include "crypto/ed25519.h"

#include <sodium.h>

#include "base/assert.h"
#include "crypto/cpu.h"
#include "crypto/lanes/verify.h"
#include "crypto/secret.h"

void crypto_ed25519_public(uint8_t public_out[32], const uint8_t seed[32])
{
    uint8_t expanded[crypto_sign_SECRETKEYBYTES];
    SVM_ASSERT(crypto_sign_seed_keypair(public_out, expanded, seed) == 0);
    crypto_wipe(expanded, sizeof expanded);
}

void crypto_ed25519_sign(uint8_t signature_out[64], const uint8_t seed[32], const void *message,
                         size_t len)
{
    uint8_t expanded[crypto_sign_SECRETKEYBYTES];
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    SVM_ASSERT(crypto_sign_seed_keypair(public_key, expanded, seed) == 0);
    SVM_ASSERT(crypto_sign_detached(signature_out, NULL, message, len, expanded) == 0);
    crypto_wipe(expanded, sizeof expanded);
}

bool crypto_ed25519_verify(const uint8_t public_key[32], const uint8_t signature[64],
                           const void *message, size_t len)
{
    return crypto_sign_verify_detached(signature, message, len, public_key) == 0;
}

#if LANES

static bool lanes_run(void)
{
    return crypto_cpu_has_ifma();
}

static void verify_by_lanes(bool *verdicts_out, const struct crypto_ed25519_job *jobs, size_t count)
{
    for (size_t done = 0; done < count; done += LANES_VERIFY_MAX) {
        const size_t left = count - done;
        lanes_verify(verdicts_out + done, jobs + done,
                     left < LANES_VERIFY_MAX ? left : LANES_VERIFY_MAX);
    }
}

#else

static bool lanes_run(void)
{
    return false;
}

static void verify_by_lanes(bool *verdicts_out, const struct crypto_ed25519_job *jobs, size_t count)
{
    (void)verdicts_out;
    (void)jobs;
    SVM_ASSERT(count == SIZE_MAX && "there are no lanes here");
}

#endif

void crypto_ed25519_verify_batch(bool *verdicts_out, const struct crypto_ed25519_job *jobs,
                                 size_t count)
{
    if (lanes_run()) {
        verify_by_lanes(verdicts_out, jobs, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        verdicts_out[i] = crypto_ed25519_verify(jobs[i].public_key, jobs[i].signature,
                                                jobs[i].message, jobs[i].len);
}

const char *crypto_ed25519_lanes(void)
{
    return lanes_run() ? "ifma" : "portable";
}

unsigned crypto_ed25519_together(void)
{
    return lanes_run() ? 8 : 1;
}
