#include "fuzz.h"

#include <ftw.h>
#include <stdarg.h>
#include <unistd.h>

_Noreturn void fuzz_fail(const char *file, int line, const char *condition, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "%s:%d: does not hold: %s: ", file, line, condition);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

uint8_t *fuzz_copy(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL)
        abort();
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

void fuzz_neighbours(struct svm_bytes bytes, void (*visit)(struct svm_bytes bytes))
{
    uint8_t longer[512 + 1];
    if (bytes.len == 0 || bytes.len >= sizeof longer)
        return;
    for (size_t i = 0; i < bytes.len; i++) {
        memcpy(longer, bytes.ptr, i);
        longer[i] = bytes.ptr[i] | 0x80;
        longer[i + 1] = bytes.ptr[i] >> 7; /* of a byte that is the last of its length: 0 */
        memcpy(longer + i + 2, bytes.ptr + i + 1, bytes.len - i - 1);
        visit((struct svm_bytes){longer, bytes.len + 1});
    }
    memcpy(longer, bytes.ptr, bytes.len);
    visit((struct svm_bytes){longer, bytes.len - 1});
    longer[bytes.len] = 0;
    visit((struct svm_bytes){longer, bytes.len + 1});
}

/* Asked by the leak checker: the table's versions hang on pointers with marks in them, and the engines of node.h stay open. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:mvcc_block_take\n";
}

static char dir[64];

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void remove_dir(void)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_dir(void)
{
    if (dir[0] == '\0') {
        snprintf(dir, sizeof dir, "%s/svm-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (mkdtemp(dir) == NULL)
            abort();
        atexit(remove_dir);
    }
    return dir;
}
