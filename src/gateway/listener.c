#include "gateway/listener.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "gateway/http.h"
#include "gateway/state.h"

/* What the kernel keeps of a reply that is not read: without a limit it takes megabytes for each connection, and the node does not see
 * them. Connections have it from the listening socket. */
enum { SEND_BUFFER_BYTES = 128 * 1024 };

/* The library accepts so many connections in a run and leaves the others to the next. There may be a turn of the long ones in between (turns.h):
 * a crowd is taken in several runs, but in TURN_MS; others wait too. */
enum { ACCEPT_SERIES = 10, ACCEPT_RUNS = 16 };

enum { BACKLOG = 1024, DRAIN_WAIT_MS = 2000, CROWDED_WAIT_MS = 1000 };

/* ---- the loop --------------------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    listener_run(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    listener_run(poll->data);
}

void listener_run(struct listener *listener)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
    if (listener->daemon == NULL) {
        return;
    }
    listener->due = false;
    const uint64_t until_ns = uv_hrtime() + TURN_MS * 1000000u;
    for (unsigned i = 0; i < ACCEPT_RUNS; i++) {
        const uint64_t before = listener->accepted;
        (void)MHD_run(listener->daemon);
        if (listener->accepted - before < ACCEPT_SERIES || uv_hrtime() >= until_ns) {
            break;
        }
    }
    waits_flush(listener->gateway);
    if (MHD_get_timeout(listener->daemon, &timeout_ms) == MHD_YES) {
        uv_timer_start(&listener->timer, on_timer, timeout_ms, 0);
    } else {
        uv_timer_stop(&listener->timer);
    }
}

/* ---- sockets ---------------------------------------------------------------------------------------------- */

static enum svm_err fail(struct listener *listener, char *reason, size_t reason_size,
                         const char *what, const char *cure)
{
    const int error = errno;
    snprintf(reason, reason_size, "cannot listen on %s: %s: %s%s", listener->address, what,
             strerror(error), cure);
    if (listener->fd >= 0) {
        close(listener->fd);
        listener->fd = -1;
    }
    return SVM_E_IO;
}

static const char *cure_for(int error)
{
    return error == EADDRINUSE      ? "; choose another port, or 0 for a free one"
           : error == EADDRNOTAVAIL ? "; this machine has no such address"
           : error == EACCES        ? "; ports below 1024 need a privilege"
                                    : "";
}

static bool format_bound(struct listener *listener)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    char host[256], port[16];
    if (getsockname(listener->fd, (struct sockaddr *)&address, &len) != 0 ||
        getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return false;
    }
    snprintf(listener->address, sizeof listener->address,
             address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return true;
}

static enum svm_err bind_tcp(struct listener *listener, const struct addrinfo *info, char *reason,
                             size_t reason_size)
{
    const int on = 1, send_buffer = SEND_BUFFER_BYTES;
    listener->fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0) {
        return fail(listener, reason, reason_size, "socket", "");
    }
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    if (bind(listener->fd, info->ai_addr, info->ai_addrlen) != 0) {
        return fail(listener, reason, reason_size, "bind", cure_for(errno));
    }
    if (listen(listener->fd, BACKLOG) != 0) {
        return fail(listener, reason, reason_size, "listen", cure_for(errno));
    }
    if (!format_bound(listener)) { /* nobody would learn the port */
        return fail(listener, reason, reason_size, "getsockname", "");
    }
    return SVM_OK;
}

/* A socket file that nobody answers on is left from a node that was killed. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool dead = fd >= 0 &&
                      connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                      errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    return dead;
}

static enum svm_err bind_unix(struct listener *listener, const char *path, uint32_t mode,
                              char *reason, size_t reason_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        snprintf(reason, reason_size, "the path of the unix socket is longer than %zu bytes: %s",
                 sizeof address.sun_path - 1, path);
        return SVM_E_BAD_CONFIG;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (is_stale(&address)) {
        (void)unlink(path);
    }
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0) {
        return fail(listener, reason, reason_size, "socket", "");
    }
    /* nobody but us may connect before the mode is set */
    const mode_t mask = umask(0177);
    const int bound = bind(listener->fd, (struct sockaddr *)&address, sizeof address);
    const int error = errno;
    (void)umask(mask);
    errno = error;
    if (bound != 0) {
        return fail(listener, reason, reason_size, "bind",
                    error == EADDRINUSE ? "; another node answers there, or the path is no socket"
                                        : "");
    }
    if (chmod(path, mode) != 0 || listen(listener->fd, BACKLOG) != 0) {
        const enum svm_err err = fail(listener, reason, reason_size, "listen", "");
        (void)unlink(path);
        return err;
    }
    return SVM_OK;
}

/* ---- life ------------------------------------------------------------------------------------------------- */

static void log_http(void *arg, const char *format, va_list args)
{
    char text[256];
    (void)arg;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    vsnprintf(text, sizeof text, format, args);
#pragma GCC diagnostic pop
    text[strcspn(text, "\n")] = '\0';
    log_event(LOG_LEVEL_DEBUG, "gateway.http", log_str("text", text));
}

static void note_connection(void *arg, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode code)
{
    struct listener *listener = arg;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        listener->accepted++;
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = connections_add(&listener->connections, info->connect_fd,
                                   uv_now(listener->gateway->loop));
    } else if (*context != NULL) {
        http_forget(connection, *context);
        connections_remove(&listener->connections, *context);
        *context = NULL;
        listener->due =
            true; /* a place is free: whoever is in the backlog brings no event of his own */
    }
}

struct connection *listener_connection(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

/* When accept has failed for want of memory or descriptors the library does not try again before a connection ends, and those that
 * there are may be idle for long. So while somebody knocks in vain from one tick to the next, the one that has waited longest ends. */
static unsigned make_room(struct listener *listener, uint64_t now_ms)
{
    if (listener->quiesced ||
        listener->connections.count >= listener->gateway->config.connections_max) {
        return 0; /* or the house is full: that is looked after above */
    }
    struct pollfd knock = {
        .fd = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd,
        .events = POLLIN};
    const bool in_vain = listener->knocked && listener->accepted == listener->accepted_then;
    listener->knocked = poll(&knock, 1, 0) == 1;
    listener->accepted_then = listener->accepted;
    return in_vain && listener->knocked ? connections_cut(&listener->connections, now_ms, 1) : 0;
}

/* Silence is the library's business (idle_timeout_ms); here a wait as a whole has twice that time, and little of it while
 * draining, when whoever has not asked by now comes too late. With every place taken, half makes room. */
void listener_tick(struct listener *listener)
{
    const struct gateway_config *config = &listener->gateway->config;
    const uint64_t now_ms = uv_now(listener->gateway->loop);
    const uint64_t limit_ms =
        listener->quiesced ? DRAIN_WAIT_MS : 2 * (uint64_t)config->idle_timeout_ms;
    unsigned cut = 0;
    if (now_ms > limit_ms) {
        cut += connections_cut(&listener->connections, now_ms - limit_ms, UINT_MAX);
    }
    if (listener->connections.count - cut >= config->connections_max && now_ms > CROWDED_WAIT_MS) {
        cut += connections_cut(&listener->connections, now_ms - CROWDED_WAIT_MS,
                               config->connections_max / 2 + 1);
    }
    cut += make_room(listener, now_ms);
    if (cut > 0) {
        log_event(LOG_LEVEL_DEBUG, "gateway.cut", log_str("address", listener->address),
                  log_u64("connections", cut));
    }
}

/* A URL is compared as it came: %00 ends no path here, and what a proxy refuses by name has no second spelling. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
}

static enum svm_err start(struct listener *listener, char *reason, size_t reason_size)
{
    const struct gateway_config *config = &listener->gateway->config;
    listener->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        http_access, listener, MHD_OPTION_EXTERNAL_LOGGER, log_http, NULL, MHD_OPTION_LISTEN_SOCKET,
        listener->fd, MHD_OPTION_NOTIFY_COMPLETED, http_completed, listener,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)((config->idle_timeout_ms + 999) / 1000),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)config->header_bytes_max,
        MHD_OPTION_NOTIFY_CONNECTION, note_connection, listener, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_escapes, NULL, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (listener->daemon == NULL) {
        errno = ENOMEM;
        (void)fail(listener, reason, reason_size, "HTTP",
                   "; too few file descriptors for rpc.connections_max?");
        return SVM_E_IO;
    }
    listener->fd = -1;
    uv_loop_t *loop = listener->gateway->loop;
    const int epoll_fd = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    const int error = uv_poll_init(loop, &listener->poll, epoll_fd);
    if (error != 0) {
        MHD_stop_daemon(listener->daemon);
        errno = -error;
        return fail(listener, reason, reason_size, "watch", "");
    }
    (void)uv_timer_init(loop, &listener->timer);
    listener->timer.data = listener;
    listener->poll.data = listener;
    listener->gateway->handles += 2;
    (void)uv_poll_start(&listener->poll, UV_READABLE, on_poll);
    listener_run(listener);
    return SVM_OK;
}

static struct listener *listener_create(struct gateway *gateway, bool is_unix)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener != NULL) {
        listener->gateway = gateway;
        listener->fd = -1;
        listener->is_unix = is_unix;
    }
    return listener;
}

enum svm_err listener_open_tcp(struct listener **listener_out, struct gateway *gateway,
                               char *reason, size_t reason_size)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    char port[8];
    struct listener *listener = listener_create(gateway, false);
    if (listener == NULL) {
        return SVM_E_NO_MEMORY;
    }
    const char *host = gateway->config.host;
    snprintf(port, sizeof port, "%u", (unsigned)gateway->config.port);
    snprintf(listener->address, sizeof listener->address,
             strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
    const int error = getaddrinfo(host, port, &hints, &info);
    enum svm_err err;
    if (error != 0) {
        snprintf(reason, reason_size, "cannot listen on %s: %s", listener->address,
                 gai_strerror(error));
        err = SVM_E_BAD_CONFIG;
    } else {
        err = bind_tcp(listener, info, reason, reason_size);
        freeaddrinfo(info);
    }
    if (err == SVM_OK) {
        err = start(listener, reason, reason_size);
    }
    if (err != SVM_OK) {
        free(listener);
        return err;
    }
    *listener_out = listener;
    return SVM_OK;
}

enum svm_err listener_open_unix(struct listener **listener_out, struct gateway *gateway,
                                char *reason, size_t reason_size)
{
    const char *path = gateway->config.unix_path;
    struct listener *listener = listener_create(gateway, true);
    if (listener == NULL) {
        return SVM_E_NO_MEMORY;
    }
    snprintf(listener->address, sizeof listener->address, "%s", path);
    enum svm_err err = bind_unix(listener, path, gateway->config.unix_mode, reason, reason_size);
    if (err == SVM_OK) {
        err = start(listener, reason, reason_size);
        if (err != SVM_OK) {
            (void)unlink(path);
        }
    }
    if (err != SVM_OK) {
        free(listener);
        return err;
    }
    *listener_out = listener;
    return SVM_OK;
}

void listener_quiesce(struct listener *listener)
{
    if (listener->daemon != NULL && !listener->quiesced) {
        const int fd = MHD_quiesce_daemon(listener->daemon);
        listener->quiesced = true;
        if (fd >= 0) {
            close(fd);
        }
    }
}

unsigned listener_connections(const struct listener *listener)
{
    const union MHD_DaemonInfo *info =
        listener->daemon != NULL
            ? MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
            : NULL;
    return info != NULL ? info->num_connections : 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    struct gateway *gateway = listener->gateway;
    /* the two handles close in one turn of the loop: the second one frees */
    if (listener->due) {
        free(listener);
    } else {
        listener->due = true;
    }
    gateway->handles--;
    gateway_settle(gateway);
}

void listener_close(struct listener *listener)
{
    if (listener->is_unix) {
        (void)unlink(listener->gateway->config.unix_path);
    }
    uv_poll_stop(&listener->poll);
    uv_timer_stop(&listener->timer);
    MHD_stop_daemon(listener->daemon);
    listener->daemon = NULL;
    listener->due = false; /* from here on: one handle has closed */
    uv_close((uv_handle_t *)&listener->poll, on_closed);
    uv_close((uv_handle_t *)&listener->timer, on_closed);
}
