#include "bench/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "bench/rig.h"

enum { REQUEST_MAX = 4096, RESPONSE_MAX = 65536, WARM_UP = 200 };

struct connection {
    int fd;
    char response[RESPONSE_MAX];
};

static void dial(struct connection *connection, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int one = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (const struct sockaddr *)&address, sizeof address) != 0)
        die("cannot connect to 127.0.0.1:%u: %s", port, strerror(errno));
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* format_request: one POST with BODY. Returns its length. */
static size_t format_request(char request[REQUEST_MAX], const char *body)
{
    const int len = snprintf(request, REQUEST_MAX,
                             "POST / HTTP/1.1\r\nHost: localhost\r\n"
                             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                             strlen(body), body);
    if (len < 0 || len >= REQUEST_MAX)
        die("a request does not fit in its buffer");
    return (size_t)len;
}

/* content_length: of the response whose headers end at BODY. */
static size_t content_length(const char *response, const char *body)
{
    for (const char *line = response; line < body;) {
        if (strncasecmp(line, "content-length:", 15) == 0)
            return strtoull(line + 15, NULL, 10);
        const char *end = strstr(line, "\r\n");
        line = end != NULL ? end + 2 : body;
    }
    die("a response has no Content-Length");
}

/* exchange: send, and read exactly one response; returns its body. */
static const char *exchange(struct connection *connection, const char *request, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        const ssize_t n = send(connection->fd, request + sent, len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            die("the node closed the connection");
        sent += (size_t)n;
    }
    size_t have = 0;
    for (;;) {
        const ssize_t n =
            recv(connection->fd, connection->response + have, RESPONSE_MAX - 1 - have, 0);
        if (n <= 0)
            die("the node closed the connection");
        have += (size_t)n;
        connection->response[have] = '\0';
        const char *body = strstr(connection->response, "\r\n\r\n");
        if (body == NULL)
            continue;
        body += 4;
        if (have - (size_t)(body - connection->response) >=
            content_length(connection->response, body))
            return body;
    }
}

static const char *call(struct connection *connection, const char *body)
{
    char request[REQUEST_MAX];
    return exchange(connection, request, format_request(request, body));
}

/* member: the string value of NAME in JSON text written without spaces. */
static void member(char *out, size_t size, const char *json, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *at = strstr(json, key);
    if (at == NULL)
        die("an answer has no member %s: %s", name, json);
    at += strlen(key);
    const size_t len = strcspn(at, "\"");
    if (len >= size)
        die("member %s is too long", name);
    memcpy(out, at, len);
    out[len] = '\0';
}

/* ---- what is submitted ----------------------------------------------------------------------------------------- */

struct subject {
    bool fast;
    uint64_t chain;
    struct svm_dev_account alice, bob;
    struct svm_id id; /* alice's coin, or the counter */
    uint64_t version; /* as it is now */
    uint64_t number;  /* its balance, or what it counts */
};

static void look(struct subject *subject, struct connection *connection)
{
    char id[67], body[256], text[256];
    uint8_t data[64];
    size_t len;
    svm_hex32_format(id, subject->id.b);
    snprintf(body, sizeof body,
             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"object_get\",\"params\":{\"id\":\"%s\"}}",
             id);
    const char *answer = call(connection, body);
    member(text, sizeof text, answer, "version");
    subject->version = strtoull(text, NULL, 10);
    if (subject->fast) {
        member(text, sizeof text, answer, "balance");
        subject->number = strtoull(text, NULL, 10);
        return;
    }
    member(text, sizeof text, answer, "data");
    if (!base64_decode(data, sizeof data, &len, text, strlen(text)) || len < 8)
        die("the counter holds no number");
    subject->number = bytes_get_u64le(data);
}

static void look_first(struct subject *subject, struct connection *connection, bool fast)
{
    char chain[32];
    memset(subject, 0, sizeof *subject);
    subject->fast = fast;
    const char *answer =
        call(connection, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"node_info\"}");
    const char *object = strstr(answer, "\"chain\":{");
    if (object == NULL)
        die("node_info names no chain: %s", answer);
    member(chain, sizeof chain, object, "id");
    subject->chain = strtoull(chain, NULL, 10);
    svm_dev_account(&subject->alice, 0);
    svm_dev_account(&subject->bob, 1);
    if (fast)
        subject->id = subject->alice.coin;
    else
        svm_dev_object_id(&subject->id, "counter");
    look(subject, connection);
}

/* sign_request: the request for transaction number INDEX from now. Returns its length; gives (free) the text. */
static char *sign_request(const struct subject *subject, uint32_t index, const char *wait,
                          size_t *len_out)
{
    uint8_t bytes[1024], wire[1200];
    size_t len, wire_len;
    char base64[2048], body[3072];
    struct svm_refusal why = {.reason = ""};
    struct svm_tx_builder *builder = svm_tx_builder_create(subject->chain, &subject->alice.address);
    struct svm_op op = {.kind = SVM_OP_ADD, .input = 0};
    svm_tx_builder_nonce(builder, (uint64_t)time(NULL) << 32 | index);
    svm_tx_builder_gas_limit(builder, 100000);
    if (subject->fast) {
        svm_tx_builder_owned(builder, &subject->id, subject->version + index);
        op.kind = SVM_OP_PAY;
        op.u.pay.to = subject->bob.address;
        op.u.pay.amount.units = 1;
    } else {
        svm_tx_builder_expires(builder, ((uint64_t)time(NULL) + 300) * 1000);
        svm_tx_builder_shared(builder, &subject->id, true);
        op.u.add.delta = 1;
    }
    svm_tx_builder_op(builder, &op);
    if (svm_tx_builder_finish(builder, bytes, sizeof bytes, &len, &why) != SVM_OK ||
        svm_tx_sign(wire, sizeof wire, &wire_len, (struct svm_bytes){bytes, len},
                    &subject->alice.key) != SVM_OK)
        die("cannot build a transaction: %s", why.reason);
    svm_tx_builder_destroy(builder);
    base64_encode(base64, wire, wire_len);
    snprintf(body, sizeof body,
             "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"tx_submit\",\"params\":{\"tx\":\"%s\","
             "\"wait\":\"%s\"}}",
             index, base64, wait);
    char *request = malloc(REQUEST_MAX);
    if (request == NULL)
        die("out of memory");
    *len_out = format_request(request, body);
    return request;
}

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

void client_run(struct client_result *result, uint16_t port, uint32_t count, const char *wait,
                bool fast)
{
    const uint32_t all = count + WARM_UP;
    struct connection *connection = malloc(sizeof *connection);
    char **requests = malloc(all * sizeof *requests);
    size_t *lens = malloc(all * sizeof *lens);
    double *us = malloc(all * sizeof *us);
    if (connection == NULL || requests == NULL || lens == NULL || us == NULL)
        die("out of memory");
    struct subject subject;
    char status[64], expected[64];
    dial(connection, port);
    look_first(&subject, connection, fast);
    for (uint32_t i = 0; i < all; i++)
        requests[i] = sign_request(&subject, i, wait, &lens[i]);
    snprintf(expected, sizeof expected, "%s", wait);
    for (uint32_t i = 0; i < all; i++) {
        const double start = now_s();
        const char *answer = exchange(connection, requests[i], lens[i]);
        us[i] = (now_s() - start) * 1e6;
        member(status, sizeof status, answer, "status");
        if (strcmp(status, expected) != 0 && strcmp(status, "durable") != 0)
            die("transaction %u is not %s: %s", i, expected, answer);
        if (strstr(answer, "\"failure\":null") == NULL)
            die("transaction %u has failed: %s", i, answer);
        free(requests[i]);
    }
    const uint64_t before = subject.number;
    look(&subject, connection);
    if (subject.number != (fast ? before - all : before + all))
        die("the audit fails: %llu became %llu after %u transactions", (unsigned long long)before,
            (unsigned long long)subject.number, all);
    close(connection->fd);
    double *timed = us + WARM_UP;
    qsort(timed, count, sizeof *timed, compare_doubles);
    *result = (struct client_result){.count = count,
                                     .p50_us = timed[count / 2],
                                     .p95_us = timed[(size_t)count * 95 / 100],
                                     .p99_us = timed[(size_t)count * 99 / 100],
                                     .p999_us = timed[(size_t)count * 999 / 1000],
                                     .max_us = timed[count - 1]};
    free(us);
    free(lens);
    free(requests);
    free(connection);
}
