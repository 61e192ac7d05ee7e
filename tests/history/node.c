#include "history/node.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *kept; /* the directory, to be looked at after a failure */

enum { READY_MS = 60000, ANSWER_S = 90 };

_Noreturn void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("FAILED ");
    vprintf(format, args);
    if (kept != NULL)
        printf("\nkept: %s", kept);
    printf("\n0 passed, 1 failed\n");
    va_end(args);
    fflush(stdout);
    _exit(1);
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static void path_in(char path[160], const struct node *node, const char *name)
{
    snprintf(path, 160, "%s/%s", node->dir, name);
}

static _Noreturn void become(const struct node *node, int log)
{
    char data[160], socket_path[160];
    path_in(data, node, "data");
    path_in(socket_path, node, "s");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(log, 1);
    dup2(log, 2);
    execl(node->program, "supervmd", "--dev", "--datadir", data, "--durability", node->durability,
          "--listen", "127.0.0.1:0", "--rpc-socket", socket_path, (char *)NULL);
    _exit(127);
}

static bool says_ready(const char *path)
{
    char text[4096];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    bool ready = false;
    while (!ready && fgets(text, sizeof text, file) != NULL)
        ready = strstr(text, "supervmd ready") != NULL;
    fclose(file);
    return ready;
}

bool node_start(struct node *node)
{
    char path[160];
    kept = node->dir;
    path_in(path, node, "log");
    int log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (log < 0)
        return false;
    fflush(stdout);
    node->pid = fork();
    if (node->pid == 0)
        become(node, log);
    close(log);
    for (unsigned i = 0; node->pid > 0 && i < READY_MS / 5 && node_alive(node); i++) {
        if (says_ready(path))
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return false;
}

bool node_alive(struct node *node)
{
    return waitpid(node->pid, NULL, WNOHANG) == 0;
}

void node_kill(struct node *node)
{
    kill(node->pid, SIGKILL);
    waitpid(node->pid, NULL, 0);
}

int node_stop(struct node *node)
{
    int status = 0;
    kill(node->pid, SIGTERM);
    if (waitpid(node->pid, &status, 0) != node->pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void node_remove(struct node *node)
{
    nftw(node->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

bool link_open(struct link *link, const struct node *node)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s/s", node->dir);
    *link = (struct link){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = ANSWER_S},
               sizeof(struct timeval));
    if (connect(link->fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return true;
    close(link->fd);
    link->fd = -1;
    return false;
}

void link_close(struct link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    free(link->in);
    *link = (struct link){.fd = -1};
}

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static size_t content_length(const char *response, const char *body)
{
    for (const char *line = response; line < body;) {
        if (strncasecmp(line, "content-length:", 15) == 0)
            return strtoull(line + 15, NULL, 10);
        const char *end = strstr(line, "\r\n");
        line = end != NULL ? end + 2 : body;
    }
    fail("a response has no Content-Length");
}

/* The body of the next response; NULL = the connection is gone. */
static const char *receive(struct link *link, size_t *len_out)
{
    size_t have = 0, want = 0;
    const char *body = NULL;
    for (;;) {
        if (link->cap < have + 65536 + 1) {
            link->cap = 2 * have + 131072;
            link->in = realloc(link->in, link->cap);
            if (link->in == NULL)
                fail("out of memory");
        }
        ssize_t n = recv(link->fd, link->in + have, link->cap - have - 1, 0);
        if (n < 0 && errno == EAGAIN)
            fail("no answer within %d s", ANSWER_S);
        if (n <= 0)
            return NULL;
        have += (size_t)n;
        link->in[have] = 0;
        body = strstr(link->in, "\r\n\r\n");
        if (body == NULL)
            continue;
        body += 4;
        want = content_length(link->in, body);
        if (have - (size_t)(body - link->in) >= want)
            break;
    }
    *len_out = want;
    return body;
}

json_t *link_call(struct link *link, const char *method, const char *params, size_t params_len)
{
    char head[256], call[128];
    size_t len;
    int call_len = snprintf(call, sizeof call,
                            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":", method);
    int head_len = snprintf(head, sizeof head,
                            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
                            "\r\nContent-Length: %zu\r\n\r\n%s",
                            (size_t)call_len + params_len + 1, call);
    if (!send_all(link->fd, head, (size_t)head_len) || !send_all(link->fd, params, params_len) ||
        !send_all(link->fd, "}", 1))
        return NULL;
    const char *body = receive(link, &len);
    if (body == NULL)
        return NULL;
    json_error_t error;
    json_t *answer = json_loadb(body, len, 0, &error);
    if (answer == NULL)
        fail("an answer is no JSON: %s", error.text);
    return answer;
}
