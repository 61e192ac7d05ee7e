/* shim.so - loaded before the C library: everything that a process asks of the files below one directory goes onto the tape
 * (power/tape.h), and the power fails at the call that the tape names. Nothing is really synced: what is durable is for the
 * driver to say.
 *
 * Calls that change something are made under one lock, so that the tape has them in their order. Files that fopen opens are not
 * seen (the database's own LOG is one), and are not there after a cut. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "power/tape.h"

enum { FILES_MAX = 1 << 16, NAME_BYTES = 256, NONE = 0, DIRECTORY = 1, SYNC_NS = 100000 };

/* By descriptor: the inode of a file below the top, NONE, or DIRECTORY. */
static _Atomic uint64_t files[FILES_MAX];
static struct tape *tape;
static const char *top;
static size_t top_len;
static bool liar;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The calls behind these. */
static struct {
    int (*open)(const char *, int, ...);
    int (*openat)(int, const char *, int, ...);
    int (*close)(int);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*pwrite)(int, const void *, size_t, off_t);
    ssize_t (*writev)(int, const struct iovec *, int);
    ssize_t (*pwritev)(int, const struct iovec *, int, off_t);
    int (*fsync)(int);
    int (*fdatasync)(int);
    int (*ftruncate)(int, off_t);
    int (*fallocate)(int, int, off_t, off_t);
    int (*rename)(const char *, const char *);
    int (*renameat)(int, const char *, int, const char *);
    int (*link)(const char *, const char *);
    int (*unlink)(const char *);
    int (*unlinkat)(int, const char *, int);
    int (*mkdir)(const char *, mode_t);
    int (*rmdir)(const char *);
} next;

static void *find(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv(TAPE_ENV), *lies = getenv(TAPE_ENV_LIAR);
#define FIND(name) *(void **)&next.name = find(#name)
    FIND(open);
    FIND(openat);
    FIND(close);
    FIND(write);
    FIND(pwrite);
    FIND(writev);
    FIND(pwritev);
    FIND(fsync);
    FIND(fdatasync);
    FIND(ftruncate);
    FIND(fallocate);
    FIND(rename);
    FIND(renameat);
    FIND(link);
    FIND(unlink);
    FIND(unlinkat);
    FIND(mkdir);
    FIND(rmdir);
#undef FIND
    top = getenv(TAPE_ENV_TOP);
    liar = lies != NULL && strcmp(lies, "1") == 0;
    if (path == NULL || top == NULL)
        return;
    top_len = strlen(top);
    int fd = next.open(path, O_RDWR | O_CLOEXEC);
    void *at =
        fd < 0 ? MAP_FAILED : mmap(NULL, TAPE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        abort();
    next.close(fd);
    tape = at;
}

/* ---- the tape -------------------------------------------------------------------------------------------------- */

/* call_begin: the lock is held; the power fails here, if it is to. */
static void call_begin(bool is_write)
{
    pthread_mutex_lock(&lock);
    if (tape != NULL)
        atomic_store(&tape->calling, 1);
    if (tape == NULL || (is_write && atomic_load(&tape->rare) != 0))
        return;
    uint64_t call = atomic_fetch_add(&tape->calls, 1) + 1;
    uint64_t cut = atomic_load(&tape->cut);
    if (cut == 0 || call < cut)
        return;
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void call_end(void)
{
    int error = errno;
    if (tape != NULL)
        atomic_store(&tape->calling, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
}

/* note_locked: room for an entry with LEN bytes, which are given to be filled in; note_done makes it part of the tape. */
static uint8_t *note_locked(enum tape_kind kind, uint64_t a, uint64_t b, size_t len)
{
    uint64_t used = atomic_load(&tape->used),
             size = sizeof(struct tape_entry) + ((len + 7) & ~7ull);
    if (used + size > TAPE_BYTES - TAPE_HEAD_BYTES)
        abort();
    uint8_t *at = (uint8_t *)tape + TAPE_HEAD_BYTES + used;
    const struct tape_entry entry = {
        .kind = (uint32_t)kind, .data_len = (uint32_t)len, .a = a, .b = b};
    memcpy(at, &entry, sizeof entry);
    return at + sizeof entry;
}

static void note_done(size_t len)
{
    atomic_fetch_add(&tape->used, sizeof(struct tape_entry) + ((len + 7) & ~7ull));
}

static void note_names(enum tape_kind kind, uint64_t a, uint64_t b, const char *from,
                       const char *to)
{
    size_t from_len = strlen(from) + 1, to_len = to == NULL ? 0 : strlen(to) + 1;
    uint8_t *at = note_locked(kind, a, b, from_len + to_len);
    memcpy(at, from, from_len);
    if (to != NULL)
        memcpy(at + from_len, to, to_len);
    note_done(from_len + to_len);
}

/* note_write: LEN bytes of the vector, written to file INO at AT. */
static void note_write(uint64_t ino, uint64_t at, const struct iovec *iov, int count, size_t len)
{
    uint8_t *out = note_locked(TAPE_WRITE, ino, at, len);
    size_t left = len;
    for (int i = 0; i < count && left > 0; i++) {
        size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
        memcpy(out, iov[i].iov_base, part);
        out += part;
        left -= part;
    }
    note_done(len);
}

/* ---- names ----------------------------------------------------------------------------------------------------- */

/* inside: PATH, seen from directory DIR_FD, as a name relative to the top. False = it lies elsewhere. */
static bool inside(char name[NAME_BYTES], int dir_fd, const char *path)
{
    char whole[2 * PATH_MAX], parent[PATH_MAX], proc[64];
    if (tape == NULL)
        return false;
    if (path[0] == '/' || dir_fd == AT_FDCWD) {
        if (path[0] != '/')
            return false; /* everything here has absolute names */
        snprintf(whole, sizeof whole, "%s", path);
    } else {
        char dir[PATH_MAX];
        snprintf(proc, sizeof proc, "/proc/self/fd/%d", dir_fd);
        ssize_t len = readlink(proc, dir, sizeof dir - 1);
        if (len <= 0)
            return false;
        dir[len] = '\0';
        snprintf(whole, sizeof whole, "%s/%s", dir, path);
    }
    size_t len = strlen(whole);
    while (len > 1 && whole[len - 1] == '/')
        whole[--len] = '\0';
    char *slash = strrchr(whole, '/');
    char last[NAME_BYTES];
    snprintf(last, sizeof last, "%s", slash + 1);
    *slash = '\0';
    if (realpath(slash == whole ? "/" : whole, parent) == NULL || strcmp(last, "..") == 0)
        return false;
    snprintf(whole, sizeof whole, "%s/%s", parent, last);
    if (strncmp(whole, top, top_len) != 0 || (whole[top_len] != '/' && whole[top_len] != '\0'))
        return false;
    snprintf(name, NAME_BYTES, "%s", whole[top_len] == '\0' ? "" : whole + top_len + 1);
    return true;
}

static uint64_t file_of(int fd)
{
    return fd < 0 || fd >= FILES_MAX ? NONE : atomic_load(&files[fd]);
}

static bool is_file(int fd)
{
    return file_of(fd) > DIRECTORY;
}

/* ---- open, close ----------------------------------------------------------------------------------------------- */

static int open_seen(int dir_fd, const char *path, int flags, mode_t mode)
{
    char name[NAME_BYTES];
    struct stat info;
    if (!inside(name, dir_fd, path)) {
        int other = next.openat(dir_fd, path, flags, mode);
        if (other >= 0 && other < FILES_MAX)
            atomic_store(&files[other], NONE);
        return other;
    }
    bool writes = (flags & (O_CREAT | O_TRUNC)) != 0;
    if (writes)
        call_begin(false);
    bool there = !writes || fstatat(dir_fd, path, &info, AT_SYMLINK_NOFOLLOW) == 0;
    int fd = next.openat(dir_fd, path, flags, mode);
    if (fd >= 0 && fd < FILES_MAX && fstat(fd, &info) == 0) {
        atomic_store(&files[fd], S_ISREG(info.st_mode)   ? info.st_ino
                                 : S_ISDIR(info.st_mode) ? DIRECTORY
                                                         : NONE);
        if (!there)
            note_names(TAPE_CREATE, info.st_ino, 0, name, NULL);
        else if ((flags & O_TRUNC) != 0) {
            note_locked(TAPE_SIZE, info.st_ino, 0, 0);
            note_done(0);
        }
    }
    if (writes)
        call_end();
    return fd;
}

static mode_t mode_of(int flags, va_list ap)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? (mode_t)va_arg(ap, unsigned) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return open_seen(AT_FDCWD, path, flags, mode);
}

int openat(int dir_fd, const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return open_seen(dir_fd, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
    return open_seen(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

int close(int fd)
{
    if (fd >= 0 && fd < FILES_MAX)
        atomic_store(&files[fd], NONE);
    return next.close(fd);
}

/* ---- bytes ----------------------------------------------------------------------------------------------------- */

/* wrote: what a write of DID bytes returned; AT < 0 = where the file stands. */
static ssize_t wrote(int fd, const struct iovec *iov, int count, off_t at, ssize_t did)
{
    if (did > 0) {
        off_t from = at >= 0 ? at : lseek(fd, 0, SEEK_CUR) - did;
        note_write(file_of(fd), (uint64_t)from, iov, count, (size_t)did);
    }
    call_end();
    return did;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    const struct iovec iov = {(void *)(uintptr_t)bytes, len};
    if (!is_file(fd))
        return next.write(fd, bytes, len);
    call_begin(true);
    return wrote(fd, &iov, 1, -1, next.write(fd, bytes, len));
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    const struct iovec iov = {(void *)(uintptr_t)bytes, len};
    if (!is_file(fd))
        return next.pwrite(fd, bytes, len, at);
    call_begin(true);
    return wrote(fd, &iov, 1, at, next.pwrite(fd, bytes, len, at));
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    if (!is_file(fd))
        return next.writev(fd, iov, count);
    call_begin(true);
    return wrote(fd, iov, count, -1, next.writev(fd, iov, count));
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
    if (!is_file(fd))
        return next.pwritev(fd, iov, count, at);
    call_begin(true);
    return wrote(fd, iov, count, at, next.pwritev(fd, iov, count, at));
}

static int sized(int fd, off_t len, int result)
{
    if (result == 0) {
        note_locked(TAPE_SIZE, file_of(fd), (uint64_t)len, 0);
        note_done(0);
    }
    call_end();
    return result;
}

int ftruncate(int fd, off_t len)
{
    if (!is_file(fd))
        return next.ftruncate(fd, len);
    call_begin(false);
    return sized(fd, len, next.ftruncate(fd, len));
}

/* Room alone is nothing that a cut could show; a longer file is. */
int fallocate(int fd, int mode, off_t at, off_t len)
{
    struct stat info;
    if (!is_file(fd) || mode != 0)
        return is_file(fd) && (mode & ~FALLOC_FL_KEEP_SIZE) != 0
                   ? (errno = EOPNOTSUPP, -1)
                   : next.fallocate(fd, mode, at, len);
    call_begin(false);
    int result = next.fallocate(fd, mode, at, len);
    return sized(fd, fstat(fd, &info) == 0 ? info.st_size : at + len, result);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
    return fallocate(fd, 0, at, len) == 0 ? 0 : errno;
}

/* ---- syncs ----------------------------------------------------------------------------------------------------- */

/* What was asked for before it began is durable when it returns; what comes meanwhile may be. */
static int synced(int fd)
{
    char name[NAME_BYTES], proc[64], path[PATH_MAX];
    uint64_t ino = file_of(fd);
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(proc, path, sizeof path - 1);
    path[len < 0 ? 0 : len] = '\0';
    bool seen = len > 0 && inside(name, AT_FDCWD, path);
    call_begin(false);
    uint64_t cover = atomic_load(&tape->used);
    call_end();
    nanosleep(&(struct timespec){.tv_nsec = SYNC_NS}, NULL);
    call_begin(false);
    if (ino == DIRECTORY && seen) {
        note_names(TAPE_SYNC_DIR, 0, cover, name, NULL);
    } else if (ino != DIRECTORY && !(liar && seen && strncmp(name, "log/", 4) == 0)) {
        note_locked(TAPE_SYNC, ino, cover, 0);
        note_done(0);
    }
    call_end();
    return 0;
}

int fsync(int fd)
{
    return file_of(fd) == NONE ? next.fsync(fd) : synced(fd);
}

int fdatasync(int fd)
{
    return file_of(fd) == NONE ? next.fdatasync(fd) : synced(fd);
}

/* ---- entries --------------------------------------------------------------------------------------------------- */

/* named: RESULT of a call on the names FROM and TO, begun if FROM is below the top. */
static int named(enum tape_kind kind, bool seen, const char *from, const char *to, int result)
{
    if (!seen)
        return result;
    if (result == 0)
        note_names(kind, 0, 0, from, to);
    call_end();
    return result;
}

static bool named_begin(char name[NAME_BYTES], int dir_fd, const char *path)
{
    if (!inside(name, dir_fd, path))
        return false;
    call_begin(false);
    return true;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    char a[NAME_BYTES], b[NAME_BYTES];
    bool both = inside(b, to_fd, to) && named_begin(a, from_fd, from);
    return named(TAPE_RENAME, both, a, b, next.renameat(from_fd, from, to_fd, to));
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int link(const char *from, const char *to)
{
    char a[NAME_BYTES], b[NAME_BYTES];
    bool both = inside(b, AT_FDCWD, to) && named_begin(a, AT_FDCWD, from);
    return named(TAPE_LINK, both, a, b, next.link(from, to));
}

int unlinkat(int dir_fd, const char *path, int flags)
{
    char name[NAME_BYTES];
    bool seen = named_begin(name, dir_fd, path);
    enum tape_kind kind = (flags & AT_REMOVEDIR) != 0 ? TAPE_RMDIR : TAPE_UNLINK;
    return named(kind, seen, name, NULL, next.unlinkat(dir_fd, path, flags));
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdir(const char *path, mode_t mode)
{
    char name[NAME_BYTES];
    bool seen = named_begin(name, AT_FDCWD, path);
    return named(TAPE_MKDIR, seen, name, NULL, next.mkdir(path, mode));
}

/* Writes through a mapping would not be seen: nobody here makes them. */
void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t from)
{
    if ((flags & MAP_SHARED) != 0 && (prot & PROT_WRITE) != 0 && is_file(fd))
        abort();
    return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, from);
}

/* Other names of the same calls: files here are large on this machine anyway. */
#define ALIAS(name, of) __typeof__(of) name __attribute__((alias(#of)))
ALIAS(open64, open);
ALIAS(openat64, openat);
ALIAS(creat64, creat);
ALIAS(mmap64, mmap);
ALIAS(pwrite64, pwrite);
ALIAS(pwritev64, pwritev);
ALIAS(ftruncate64, ftruncate);
ALIAS(fallocate64, fallocate);
ALIAS(posix_fallocate64, posix_fallocate);
