/* A program around a target where there is no libFuzzer: the given files, then simple mutations of them.
 *
 *     fuzz_codec [-runs=N] [-seed=N] FOLDER|FILE...
 *
 * N mutations are tried on top of the files, from a seed that is printed. An input that ends the process is left in the working
 * directory as crash-<target>. */
#include "fuzz.h"

#ifdef FUZZ_LIBFUZZER
extern int replay_is_empty; /* a file must declare something */
#else

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"

enum { INPUT_MAX = 1 << 20, FILES_MAX = 8192, STACKED_MAX = 5 };

static struct input {
    uint8_t *bytes;
    size_t len;
} files[FILES_MAX];
static size_t file_count;

static const uint8_t *now;
static size_t now_len;
static char crash_path[256];

static void on_end(int number)
{
    static const char text[] = "the input is in ";
    const int fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0) {
        (void)!write(fd, now, now_len);
        close(fd);
    }
    (void)!write(2, text, sizeof text - 1);
    (void)!write(2, crash_path, strlen(crash_path));
    (void)!write(2, "\n", 1);
    signal(number, SIG_DFL);
    raise(number);
}

static void try_input(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = fuzz_copy(bytes, len);
    now = copy;
    now_len = len;
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

/* ---- files --------------------------------------------------------------------------------------------------- */

static void read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(INPUT_MAX);
    if (file == NULL || bytes == NULL || file_count == FILES_MAX) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    const size_t len = fread(bytes, 1, INPUT_MAX, file);
    fclose(file);
    files[file_count++] = (struct input){fuzz_copy(bytes, len), len};
    free(bytes);
}

static int by_name(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static void read_path(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return; /* a corpus may not be there yet */
    if (!S_ISDIR(info.st_mode)) {
        read_file(path);
        return;
    }
    struct dirent **entries;
    const int count = scandir(path, &entries, NULL, by_name);
    for (int i = 0; i < count; i++) {
        char inner[1024];
        snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            read_file(inner);
        free(entries[i]);
    }
    free(entries);
}

/* ---- mutations ----------------------------------------------------------------------------------------------- */

static size_t mix_in(uint8_t *bytes, size_t len, size_t cap, struct rng *rng)
{
    const struct input *from = &files[rng_below(rng, file_count)];
    if (from->len == 0)
        return len;
    const size_t start = rng_below(rng, from->len), at = rng_below(rng, len + 1);
    size_t count = 1 + rng_below(rng, from->len - start);
    if (count > cap - at)
        count = cap - at;
    memcpy(bytes + at, from->bytes + start, count);
    return at + count > len ? at + count : len;
}

static size_t mutate(uint8_t *bytes, size_t len, size_t cap, struct rng *rng)
{
    static const uint8_t edges[] = {0, 1, 2, 0x7f, 0x80, 0xff, '0', '"', '\n', '{'};
    const size_t at = len > 0 ? rng_below(rng, len) : 0;
    size_t count;
    switch (rng_below(rng, len > 0 ? 7 : 1)) {
    case 0:
        return mix_in(bytes, len, cap, rng);
    case 1:
        bytes[at] ^= (uint8_t)(1u << rng_below(rng, 8));
        return len;
    case 2:
        bytes[at] = edges[rng_below(rng, sizeof edges)];
        return len;
    case 3:
        bytes[at] = (uint8_t)rng_next(rng);
        return len;
    case 4: /* drop some */
        count = 1 + rng_below(rng, len - at < 16 ? len - at : 16);
        memmove(bytes + at, bytes + at + count, len - at - count);
        return len - count;
    case 5: /* a byte more */
        if (len == cap)
            return len;
        memmove(bytes + at + 1, bytes + at, len - at);
        bytes[at] = (uint8_t)rng_next(rng);
        return len + 1;
    default:
        return at;
    }
}

static void try_mutations(uint64_t runs, struct rng *rng)
{
    static uint8_t bytes[INPUT_MAX];
    for (uint64_t run = 0; run < runs; run++) {
        const struct input *from = &files[rng_below(rng, file_count)];
        size_t len = from->len;
        if (len > 0)
            memcpy(bytes, from->bytes, len);
        for (uint64_t i = 1 + rng_below(rng, STACKED_MAX); i > 0; i--)
            len = mutate(bytes, len, sizeof bytes, rng);
        try_input(bytes, len);
    }
}

int main(int argc, char **argv)
{
    static const int ends[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    const char *slash = strrchr(argv[0], '/');
    const char *seed_text = getenv("SVM_SEED");
    uint64_t runs = 0, seed = seed_text != NULL ? strtoull(seed_text, NULL, 0) : 1;
    snprintf(crash_path, sizeof crash_path, "crash-%s", slash == NULL ? argv[0] : slash + 1);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        signal(ends[i], on_end);
    (void)LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-runs=", 6) == 0)
            runs = strtoull(argv[i] + 6, NULL, 0);
        else if (strncmp(argv[i], "-seed=", 6) == 0)
            seed = strtoull(argv[i] + 6, NULL, 0);
        else if (argv[i][0] != '-')
            read_path(argv[i]);
    }
    files[file_count++] = (struct input){fuzz_copy(NULL, 0), 0};
    printf("SVM_SEED=%llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    for (size_t i = 0; i < file_count; i++)
        try_input(files[i].bytes, files[i].len);
    try_mutations(runs, &rng);
    for (size_t i = 0; i < file_count; i++)
        free(files[i].bytes);
    printf("%llu inputs\n", (unsigned long long)(file_count + runs));
    printf("1 passed, 0 failed\n");
    return 0;
}
#endif
