#include "crypto/cpu.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

enum capability { CAN_SHA = 1, CAN_IFMA = 2, ASKED = 4 };

#if defined __x86_64__

/* Intel SDM, volume 2, CPUID: leaf 1 ECX, leaf 7 EBX. */
enum { LEAF1_SSSE3 = 1 << 9, LEAF1_SSE41 = 1 << 19, LEAF1_OSXSAVE = 1 << 27 };
static const uint32_t LEAF7_SHA = UINT32_C(1) << 29;
/* F 16, DQ 17, IFMA 21, BW 30, VL 31 */
static const uint32_t LEAF7_AVX512 = UINT32_C(1) << 16 | UINT32_C(1) << 17 | UINT32_C(1) << 21 |
                                     UINT32_C(1) << 30 | UINT32_C(1) << 31;
/* XCR0: SSE, AVX, opmask, the upper halves of ZMM0-15, ZMM16-31. */
enum { XCR0_AVX512 = 0xe6 };

__attribute__((target("xsave"))) static uint64_t xcr0(void)
{
    return (uint64_t)_xgetbv(0);
}

static int ask_processor(void)
{
    unsigned a, b, c1, c, d;
    int can = 0;
    if (!__get_cpuid(1, &a, &b, &c1, &d) || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    if ((b & LEAF7_SHA) && (c1 & LEAF1_SSSE3) && (c1 & LEAF1_SSE41))
        can |= CAN_SHA;
    if ((c1 & LEAF1_OSXSAVE) && (b & LEAF7_AVX512) == LEAF7_AVX512 &&
        (xcr0() & XCR0_AVX512) == XCR0_AVX512)
        can |= CAN_IFMA;
    return can;
}

#else

static int ask_processor(void)
{
    return 0;
}

#endif

static int ask(void)
{
    const char *sha = getenv("SVM_SHA"), *lanes = getenv("SVM_LANES");
    int can = ask_processor();
    if (sha && strcmp(sha, "off") == 0)
        can &= ~CAN_SHA;
    if (lanes && strcmp(lanes, "ifma") == 0 && !(can & CAN_IFMA)) {
        fputs("SVM_LANES=ifma: this processor has no AVX-512-IFMA\n", stderr);
        abort();
    }
    if (lanes && strcmp(lanes, "off") == 0)
        can &= ~CAN_IFMA;
    return can | ASKED;
}

/* Relaxed: the value is all there is, and two threads that ask at once find the same. */
static int capabilities(void)
{
    static _Atomic int known;
    int can = atomic_load_explicit(&known, memory_order_relaxed);
    if (can == 0) {
        can = ask();
        atomic_store_explicit(&known, can, memory_order_relaxed);
    }
    return can;
}

bool crypto_cpu_has_sha(void)
{
    return capabilities() & CAN_SHA;
}

bool crypto_cpu_has_ifma(void)
{
    return capabilities() & CAN_IFMA;
}
