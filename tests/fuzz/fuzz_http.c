/* HTTP: any bytes on a connection to a gateway, cut into pieces of any size.
 *
 *     input    size of the pieces 1, then the bytes, with the tokens of node.h
 *
 * What comes back is a sequence of whole responses; when the client has gone nothing is left behind in the gateway, and the next
 * client is served. */
#include "fuzz.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gateway/http.h"
#include "gateway/state.h"
#include "node.h"

enum { ANSWER_MAX = 1 << 20, PATIENCE_S = 20, TURNS = 8 };

static struct node node;
static char answer[ANSWER_MAX + 1];
static uint64_t round_no;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    node_open(&node);
    return 0;
}

static int connect_client(void)
{
    const char *colon = strrchr(gateway_bound_address(node.gateway), ':');
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(colon + 1)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger abortive = {1, 0}; /* leaves no port behind */
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FUZZ_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "%s",
               strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &abortive, sizeof abortive);
    return fd;
}

/* take: what is there of the answer; false = it has ended. */
static bool take(int fd, size_t *len)
{
    char spill[4096];
    for (;;) {
        const bool full = *len == ANSWER_MAX;
        const ssize_t n = recv(fd, full ? spill : answer + *len,
                               full ? sizeof spill : ANSWER_MAX - *len, MSG_DONTWAIT);
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        *len += full ? 0 : (size_t)n;
    }
}

static uint64_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

static bool is_working(void)
{
    for (const struct http_request *request = node.gateway->requests; request != NULL;
         request = request->next)
        if (request->state == HTTP_WORKING)
            return true;
    return node.gateway->calls > 0;
}

/* leave: the client goes without a word; so must what it had asked for. */
static void leave(int fd, uint64_t begun)
{
    close(fd);
    for (unsigned turn = 0; node.gateway->requests_count > 0 || is_working(); turn++) {
        uv_run(&node.loop, UV_RUN_NOWAIT);
        if (turn > TURNS)
            usleep(100);
        FUZZ_CHECK(now_s() - begun < PATIENCE_S, "a request is left");
    }
    FUZZ_CHECK(node.gateway->body_bytes == 0, "%zu bytes of bodies are held",
               (size_t)node.gateway->body_bytes);
    FUZZ_CHECK(node.gateway->replies.bytes == 0, "%zu bytes of replies are held",
               (size_t)node.gateway->replies.bytes);
}

/* talk: send BYTES in PIECES and take the answer, until there is nothing more to come. */
static size_t talk(const char *bytes, size_t size, size_t piece)
{
    const int fd = connect_client();
    const uint64_t begun = now_s();
    size_t sent = 0, len = 0;
    for (unsigned idle = 0; idle < TURNS; idle++) {
        const size_t left = size - sent, before = len;
        const ssize_t n = left == 0 ? 0
                                    : send(fd, bytes + sent, left < piece ? left : piece,
                                           MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        uv_run(&node.loop, UV_RUN_NOWAIT);
        if (!take(fd, &len))
            break;
        if (n > 0 || len > before || is_working())
            idle = 0;
        FUZZ_CHECK(now_s() - begun < PATIENCE_S, "a request without an end");
    }
    leave(fd, begun);
    answer[len] = '\0';
    return len;
}

/* ---- what came back ------------------------------------------------------------------------------------------ */

static bool status_is_known(int status)
{
    static const int known[] = {100, 200, 202, 204, 400, 403, 404, 405, 406, 408, 411,
                                413, 414, 415, 417, 421, 429, 431, 501, 503, 505};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i] == status)
            return true;
    return false;
}

/* check_one: the response at AT; returns what is behind it. HEAD has the length of a body that does not come. */
static const char *check_one(const char *at, const char *end)
{
    FUZZ_CHECK(strncmp(at, "HTTP/1.1 ", 9) == 0, "no response: %.60s", at);
    const int status = atoi(at + 9);
    FUZZ_CHECK(status_is_known(status), "status %d", status);
    const char *body = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
    FUZZ_CHECK(body != NULL, "headers without an end: %s", at);
    body += 4;
    const char *length = memmem(at, (size_t)(body - at), "Content-Length: ", 16);
    const size_t len = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
    if (len == 0 || body == end || strncmp(body, "HTTP/1.1 ", 9) == 0)
        return body;
    FUZZ_CHECK((size_t)(end - body) >= len, "%zu bytes of %zu", (size_t)(end - body), len);
    return body + len;
}

static size_t check_all(size_t len)
{
    const char *at = answer, *end = answer + len;
    size_t count = 0;
    for (; at < end && len < ANSWER_MAX; count++)
        at = check_one(at, end);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char good[] = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    if (size == 0 || memmem(data, size, "generateLoad", 12) != NULL)
        return 0;
    size_t len, lines = 1;
    char *bytes = node_expand(&len, data + 1, size - 1, ++round_no);
    for (size_t i = 0; i < len; i++)
        lines += bytes[i] == '\n';
    const size_t count = check_all(talk(bytes, len, data[0] == 0 ? SIZE_MAX : data[0]));
    FUZZ_CHECK(count <= lines, "%zu responses to %zu lines", count, lines);
    free(bytes);
    if (round_no % 16 == 0) {
        FUZZ_CHECK(check_all(talk(good, sizeof good - 1, SIZE_MAX)) == 1, "the next client");
        FUZZ_CHECK(strncmp(answer, "HTTP/1.1 200", 12) == 0, "%.60s", answer);
    }
    return 0;
}
