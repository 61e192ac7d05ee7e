/* crypto/cpu.h - what this processor can do beyond the instructions that every build may use, asked once per process.
 *
 * The environment can take a capability away, never add one: SVM_SHA=off, SVM_LANES=off. It is read at the first call. */
#ifndef CRYPTO_CPU_H
#define CRYPTO_CPU_H

#include <stdbool.h>

/* crypto_cpu_has_sha: the SHA extensions, with SSSE3 and SSE4.1. Thread any. */
bool crypto_cpu_has_sha(void);

/* crypto_cpu_has_ifma: AVX-512 F, DQ, BW, VL and IFMA, with registers that the operating system saves. SVM_LANES=ifma ends the
 * process with a sentence when they are missing, so that a measurement cannot be of something else. Thread any. */
bool crypto_cpu_has_ifma(void);

#endif
