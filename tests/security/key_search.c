/* A library put before the C library's (LD_PRELOAD): when the program ends, its memory is searched for a secret. KEY_HIDDEN has the secret's
 * bytes in hexadecimal, each with all bits turned, so that the search is not what is found. KEY_FOUND names the file to which a line goes for
 * each place: of 16 bytes as they are, or of 32 digits. main runs far below on the stack, so that the search does not overwrite what it left. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET = 32, PIECE = 16 };

static unsigned char hidden[SECRET];

static bool is_raw(const unsigned char *at, const unsigned char *piece)
{
    for (unsigned i = 0; i < PIECE; i++)
        if ((at[i] ^ 0xff) != piece[i])
            return false;
    return true;
}

static bool is_digits(const unsigned char *at, const unsigned char *piece)
{
    for (unsigned i = 0; i < 2 * PIECE; i++) {
        unsigned value = (piece[i / 2] ^ 0xff) >> (i % 2 ? 0 : 4) & 15;
        if (at[i] != (unsigned char)"0123456789abcdef"[value])
            return false;
    }
    return true;
}

static void search(FILE *found, const unsigned char *begin, const unsigned char *end,
                   const char *line)
{
    for (const unsigned char *at = begin; at + 2 * PIECE <= end; at++) {
        for (unsigned from = 0; from < SECRET; from += PIECE) {
            if (is_raw(at, hidden + from))
                fprintf(found, "bytes, %s", line);
            if (is_digits(at, hidden + from))
                fprintf(found, "digits, %s", line);
        }
    }
}

static void search_all(void)
{
    const char *text = getenv("KEY_HIDDEN"), *path = getenv("KEY_FOUND");
    if (text == NULL || path == NULL || strlen(text) != 2 * SECRET)
        return;
    for (unsigned i = 0; i < SECRET; i++)
        sscanf(text + 2 * i, "%2hhx", &hidden[i]);
    FILE *maps = fopen("/proc/self/maps", "r"), *found = fopen(path, "a");
    char line[512];
    while (maps != NULL && found != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long begin, end;
        char access[5];
        if (sscanf(line, "%lx-%lx %4s", &begin, &end, access) == 3 && strncmp(access, "rw", 2) == 0)
            search(found, (const unsigned char *)begin, (const unsigned char *)end, line);
    }
    if (found != NULL) {
        fprintf(found, "searched\n");
        fclose(found);
    }
    if (maps != NULL)
        fclose(maps);
}

enum { GAP = 256 << 10 };

typedef int main_like(int argc, char **argv, char **env);
static main_like *program;

static int run(int argc, char **argv, char **env)
{
    volatile char gap[GAP];
    gap[0] = 0;
    int code = program(argc, argv, env);
    return code + gap[0];
}

static int run_and_search(int argc, char **argv, char **env)
{
    int code = run(argc, argv, env);
    search_all();
    return code;
}

int __libc_start_main(main_like *main, int argc, char **argv, main_like *init, void (*fini)(void),
                      void (*end)(void), void *stack);

int __libc_start_main(main_like *main, int argc, char **argv, main_like *init, void (*fini)(void),
                      void (*end)(void), void *stack)
{
    int (*real)(main_like *, int, char **, main_like *, void (*)(void), void (*)(void), void *);
    *(void **)&real = dlsym(RTLD_NEXT, "__libc_start_main");
    program = main;
    return real(run_and_search, argc, argv, init, fini, end, stack);
}
