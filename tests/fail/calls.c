#include "calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

const char *const calls_names[CALLS_COUNT] = {"memory", "thread", "name", "read", "write", "sync"};

static const int errors[CALLS_COUNT] = {ENOMEM, EAGAIN, EMFILE, EIO, ENOSPC, EIO};
static _Atomic bool armed, full, log_failed;
static _Atomic unsigned counts[CALLS_COUNT], failures;
static enum calls_kind chosen;
static unsigned chosen_n;
static bool chosen_for_good;

void calls_arm(enum calls_kind kind, unsigned n, bool for_good)
{
    chosen = kind;
    chosen_n = n;
    chosen_for_good = for_good;
    for (int i = 0; i < CALLS_COUNT; i++)
        atomic_store(&counts[i], 0);
    atomic_store(&failures, 0);
    atomic_store(&log_failed, false);
    atomic_store(&armed, true);
}

void calls_disarm(void)
{
    atomic_store(&armed, false);
}

unsigned calls_count(enum calls_kind kind)
{
    return atomic_load(&counts[kind]);
}

unsigned calls_failed(void)
{
    return atomic_load(&failures);
}

bool calls_log_failed(void)
{
    return atomic_load(&log_failed);
}

void calls_disk_full(bool is)
{
    atomic_store(&full, is);
}

/* fails: counts a call of KIND; true with errno when it is one that has to fail. */
static bool fails(enum calls_kind kind)
{
    if (!atomic_load(&armed))
        return false;
    unsigned n = atomic_fetch_add(&counts[kind], 1) + 1;
    if (kind != chosen || chosen_n == 0 || (chosen_for_good ? n < chosen_n : n != chosen_n))
        return false;
    atomic_fetch_add(&failures, 1);
    errno = errors[kind];
    return true;
}

/* log_fails: the same, of a call that nothing may be acknowledged after when the committer makes it. (pwrite is not: its one use is the
 * mark of what is synced, which a recovery only looks at.) */
static bool log_fails(enum calls_kind kind)
{
    if (!fails(kind))
        return false;
    int error = errno;
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    if (strncmp(name, "svm-commit", 10) == 0)
        atomic_store(&log_failed, true);
    errno = error;
    return true;
}

/* The linker gives the names: --wrap=f sends calls of f to __wrap_f, and __real_f is f. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#ifdef __clang__
#pragma clang diagnostic ignored "-Wreserved-identifier"
#endif

#define WRAP(kind, bad, type, name, params, args)                                                  \
    WRAP_BY(fails, kind, bad, type, name, params, args)
#define WRAP_BY(by, kind, bad, type, name, params, args)                                           \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return by(kind) ? (bad) : __real_##name args;                                              \
    }

WRAP(CALLS_MEMORY, NULL, void *, malloc, (size_t size), (size))
WRAP(CALLS_MEMORY, NULL, void *, calloc, (size_t n, size_t size), (n, size))
WRAP(CALLS_MEMORY, NULL, void *, realloc, (void *at, size_t size), (at, size))
WRAP(CALLS_MEMORY, NULL, void *, aligned_alloc, (size_t align, size_t size), (align, size))
WRAP(CALLS_MEMORY, NULL, char *, strdup, (const char *text), (text))
WRAP(CALLS_MEMORY, MAP_FAILED, void *, mmap,
     (void *at, size_t len, int prot, int flags, int fd, off_t offset),
     (at, len, prot, flags, fd, offset))
WRAP(CALLS_THREAD, EAGAIN, int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg),
     (thread, attr, fn, arg))
WRAP(CALLS_NAME, -1, int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(CALLS_NAME, -1, int, rename, (const char *from, const char *to), (from, to))
WRAP(CALLS_NAME, -1, int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
     (from_fd, from, to_fd, to))
WRAP(CALLS_NAME, -1, int, unlinkat, (int fd, const char *name, int flags), (fd, name, flags))
WRAP(CALLS_NAME, NULL, DIR *, opendir, (const char *path), (path))
WRAP(CALLS_NAME, NULL, FILE *, fopen, (const char *path, const char *mode), (path, mode))
WRAP(CALLS_READ, -1, ssize_t, read, (int fd, void *to, size_t len), (fd, to, len))
WRAP(CALLS_READ, -1, ssize_t, pread, (int fd, void *to, size_t len, off_t at), (fd, to, len, at))
WRAP(CALLS_READ, -1, ssize_t, __pread_chk, (int fd, void *to, size_t len, off_t at, size_t room),
     (fd, to, len, at, room))
WRAP(CALLS_READ, -1, int, fstat, (int fd, struct stat *out), (fd, out))
WRAP(CALLS_WRITE, -1, ssize_t, write, (int fd, const void *from, size_t len), (fd, from, len))
WRAP(CALLS_WRITE, -1, ssize_t, pwrite, (int fd, const void *from, size_t len, off_t at),
     (fd, from, len, at))
WRAP_BY(log_fails, CALLS_WRITE, -1, ssize_t, pwritev,
        (int fd, const struct iovec *from, int n, off_t at), (fd, from, n, at))
WRAP_BY(log_fails, CALLS_WRITE, -1, int, ftruncate, (int fd, off_t len), (fd, len))
WRAP_BY(log_fails, CALLS_SYNC, -1, int, fdatasync, (int fd), (fd))
WRAP_BY(log_fails, CALLS_SYNC, -1, int, fsync, (int fd), (fd))

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return fails(CALLS_NAME) ? -1 : __real_open(path, flags, mode);
}

int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return fails(CALLS_NAME) ? -1 : __real_openat(dir, path, flags, mode);
}

int __real_statvfs(const char *path, struct statvfs *out);
int __wrap_statvfs(const char *path, struct statvfs *out);
int __wrap_statvfs(const char *path, struct statvfs *out)
{
    if (fails(CALLS_READ))
        return -1;
    int rc = __real_statvfs(path, out);
    if (rc == 0 && atomic_load(&full))
        out->f_bavail = 0;
    return rc;
}
