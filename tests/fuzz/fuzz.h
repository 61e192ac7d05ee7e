/* fuzz/fuzz.h - what the targets share. A target is one file fuzz_<name>.c with LLVMFuzzerTestOneInput; BUILD=fuzz CC=clang gives it
 * libFuzzer, every other kind of build gives it replay.c, which needs no clang.
 *
 * A target looks for more than crashes: it states what holds for every input, with FUZZ_CHECK. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <svm/types.h>

/* The names and types are libFuzzer's. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* FUZZ_CHECK: CONDITION holds, or the input is a finding; the rest is printed as printf would. */
#define FUZZ_CHECK(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_fail(__FILE__, __LINE__, #condition, __VA_ARGS__);                                \
    } while (0)
_Noreturn void fuzz_fail(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* An input that is read piece by piece; behind its end it goes on with zeros. */
struct fuzz_in {
    const uint8_t *at;
    size_t left;
};
static inline uint8_t fuzz_u8(struct fuzz_in *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}
static inline uint64_t fuzz_uint(struct fuzz_in *in, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)fuzz_u8(in) << (8 * i);
    return value;
}
static inline struct svm_bytes fuzz_slice(struct fuzz_in *in, size_t len)
{
    struct svm_bytes slice = {in->at, len < in->left ? len : in->left};
    in->at += slice.len;
    in->left -= slice.len;
    return slice;
}
/* fuzz_copy: BYTES in memory of their own with nothing behind them, so that the sanitizers see who reads on; free. */
uint8_t *fuzz_copy(const uint8_t *bytes, size_t len);
/* fuzz_neighbours: VISIT what a lax decoder might take for BYTES: each byte that may be a length or a tag in a longer form, a byte less
 * at the end, a byte more. For BYTES of at most 512. */
void fuzz_neighbours(struct svm_bytes bytes, void (*visit)(struct svm_bytes bytes));
/* fuzz_dir: a directory of this process's own, in memory where there is such a file system; gone at the end. */
const char *fuzz_dir(void);

#endif
