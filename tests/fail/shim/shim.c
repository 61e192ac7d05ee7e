/* shim.so - loaded before the C library: the N-th of a kind of socket call of the process fails, whoever makes it: the node, libmicrohttpd
 * or libuv. What fails, and how often it was called, is in a file that the driver maps too (FAIL_PAGE names it).
 *
 * Only errors that the kernel has for such a descriptor. Reads and writes of files are tests/fail/calls.c's business, and pass. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* As in tests/fail/sockets.py. */
enum kind {
    ACCEPT,
    RECEIVE,
    SEND,
    WATCH, /* epoll_ctl, of what is new */
    WAIT,  /* epoll_wait, epoll_pwait */
    MAKE,  /* eventfd, epoll_create1, pipe2, socketpair */
    SOCKET,
    BIND,
    LISTEN,
    OPTION, /* setsockopt, getsockopt, getsockname */
    CONNECT,
    SHUTDOWN,
    WAKE,  /* write to an eventfd or a pipe */
    WOKEN, /* read from one */
    KINDS
};

struct page {
    _Atomic uint32_t armed, kind, n, for_good, error;
    _Atomic uint32_t failed;
    _Atomic uint32_t counts[KINDS];
};
static struct page *page;

static void __attribute__((constructor)) begin(void)
{
    const char *path = getenv("FAIL_PAGE");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED)
        page = map;
    close(fd);
}

/* fails: counts a call of KIND; true with errno when it is one that has to fail. */
static bool fails(enum kind kind)
{
    if (page == NULL || !atomic_load(&page->armed))
        return false;
    uint32_t n = atomic_fetch_add(&page->counts[kind], 1) + 1, chosen = atomic_load(&page->n);
    if (kind != atomic_load(&page->kind) || chosen == 0 ||
        (atomic_load(&page->for_good) ? n < chosen : n != chosen))
        return false;
    atomic_fetch_add(&page->failed, 1);
    errno = (int)atomic_load(&page->error);
    return true;
}

/* The call behind this one, found at its first use. */
static void *next(_Atomic(void *) *at, const char *name)
{
    void *found = atomic_load_explicit(at, memory_order_relaxed);
    if (found == NULL) {
        found = dlsym(RTLD_NEXT, name);
        atomic_store_explicit(at, found, memory_order_relaxed);
    }
    return found;
}

#define CALL(kind, type, name, params, args)                                                       \
    type name params                                                                               \
    {                                                                                              \
        static _Atomic(void *) at;                                                                 \
        type(*real) params = (type(*) params)(uintptr_t)next(&at, #name);                          \
        return fails(kind) ? -1 : real args;                                                       \
    }

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

CALL(ACCEPT, int, accept4, (int fd, __SOCKADDR_ARG to, socklen_t *restrict len, int flags),
     (fd, to, len, flags))
CALL(RECEIVE, ssize_t, recv, (int fd, void *to, size_t len, int flags), (fd, to, len, flags))
CALL(SEND, ssize_t, send, (int fd, const void *from, size_t len, int flags), (fd, from, len, flags))
CALL(SEND, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),
     (fd, message, flags))
CALL(SEND, ssize_t, sendto,
     (int fd, const void *from, size_t len, int flags, __CONST_SOCKADDR_ARG to, socklen_t to_len),
     (fd, from, len, flags, to, to_len))
CALL(SEND, ssize_t, sendfile64, (int to, int from, off64_t *offset, size_t len),
     (to, from, offset, len))
CALL(WAIT, int, epoll_wait, (int fd, struct epoll_event *events, int n, int timeout_ms),
     (fd, events, n, timeout_ms))
CALL(WAIT, int, epoll_pwait,
     (int fd, struct epoll_event *events, int n, int timeout_ms, const sigset_t *mask),
     (fd, events, n, timeout_ms, mask))
CALL(MAKE, int, eventfd, (unsigned count, int flags), (count, flags))
CALL(MAKE, int, epoll_create1, (int flags), (flags))
CALL(MAKE, int, pipe2, (int fds[2], int flags), (fds, flags))
CALL(MAKE, int, socketpair, (int domain, int type, int protocol, int fds[2]),
     (domain, type, protocol, fds))
CALL(SOCKET, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
CALL(BIND, int, bind, (int fd, __CONST_SOCKADDR_ARG to, socklen_t len), (fd, to, len))
CALL(LISTEN, int, listen, (int fd, int backlog), (fd, backlog))
CALL(OPTION, int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len),
     (fd, level, name, value, len))
CALL(OPTION, int, getsockopt,
     (int fd, int level, int name, void *restrict value, socklen_t *restrict len),
     (fd, level, name, value, len))
CALL(OPTION, int, getsockname, (int fd, __SOCKADDR_ARG to, socklen_t *restrict len), (fd, to, len))
CALL(CONNECT, int, connect, (int fd, __CONST_SOCKADDR_ARG to, socklen_t len), (fd, to, len))
CALL(SHUTDOWN, int, shutdown, (int fd, int how), (fd, how))

/* Only what is new can want memory. */
int epoll_ctl(int fd, int op, int of, struct epoll_event *event)
{
    static _Atomic(void *) at;
    int (*real)(int, int, int, struct epoll_event *) =
        (int (*)(int, int, int, struct epoll_event *))(uintptr_t)next(&at, "epoll_ctl");
    return op == EPOLL_CTL_ADD && fails(WATCH) ? -1 : real(fd, op, of, event);
}

enum sort { FILES, SOCKETS, OTHERS };

static enum sort sort_of(int fd)
{
    struct stat st;
    int error = errno;
    enum sort sort = fstat(fd, &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? FILES
                     : S_ISSOCK(st.st_mode)                                            ? SOCKETS
                                                                                       : OTHERS;
    errno = error;
    return sort;
}

ssize_t read(int fd, void *to, size_t len)
{
    static _Atomic(void *) at;
    ssize_t (*real)(int, void *, size_t) =
        (ssize_t(*)(int, void *, size_t))(uintptr_t)next(&at, "read");
    enum sort sort = page == NULL ? FILES : sort_of(fd);
    return sort != FILES && fails(sort == SOCKETS ? RECEIVE : WOKEN) ? -1 : real(fd, to, len);
}

/* What goes to stderr is no wake. */
ssize_t write(int fd, const void *from, size_t len)
{
    static _Atomic(void *) at;
    ssize_t (*real)(int, const void *, size_t) =
        (ssize_t(*)(int, const void *, size_t))(uintptr_t)next(&at, "write");
    enum sort sort = page == NULL || fd <= STDERR_FILENO ? FILES : sort_of(fd);
    return sort != FILES && fails(sort == SOCKETS ? SEND : WAKE) ? -1 : real(fd, from, len);
}

ssize_t writev(int fd, const struct iovec *from, int n)
{
    static _Atomic(void *) at;
    ssize_t (*real)(int, const struct iovec *, int) =
        (ssize_t(*)(int, const struct iovec *, int))(uintptr_t)next(&at, "writev");
    enum sort sort = page == NULL ? FILES : sort_of(fd);
    return sort == SOCKETS && fails(SEND) ? -1 : real(fd, from, n);
}
