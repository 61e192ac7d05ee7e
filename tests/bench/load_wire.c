#include "bench/load_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "bench/rig.h"

enum { RECORD_BYTES = 48, STATUS_EXECUTED = 1, STATUS_DURABLE = 2, STATUS_FAILED = 3 };
enum { CODE_OVERLOADED = -32006, CODE_BUSY = 1204, RETRY_BUSY_MS = 1 };

void wire_room(struct wire_bytes *bytes, size_t len)
{
    if (bytes->cap - bytes->len >= len)
        return;
    size_t cap = bytes->cap == 0 ? 4096 : bytes->cap;
    while (cap - bytes->len < len)
        cap *= 2;
    bytes->ptr = realloc(bytes->ptr, cap);
    if (bytes->ptr == NULL)
        die("out of memory");
    bytes->cap = cap;
}

void wire_put(struct wire_bytes *bytes, const void *from, size_t len)
{
    wire_room(bytes, len);
    if (len > 0)
        memcpy(bytes->ptr + bytes->len, from, len);
    bytes->len += len;
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

static void put_head(struct wire_bytes *out, const char *path, const char *type, size_t len)
{
    char head[512];
    const int n = snprintf(head, sizeof head,
                           "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
                           "Content-Length: %zu\r\n\r\n",
                           path, type, len);
    wire_put(out, head, (size_t)n);
}

void wire_post(struct wire_bytes *out, const char *path, const char *type, const void *body,
               size_t len)
{
    put_head(out, path, type, len);
    wire_put(out, body, len);
}

static void put_binary(struct wire_bytes *out, const struct load_set *set, const char *wait,
                       const uint32_t *indices, uint32_t count)
{
    const size_t stride = 4 + set->tx_bytes;
    char path[64];
    snprintf(path, sizeof path, "/v1/tx?wait=%s", wait);
    put_head(out, path, "application/vnd.supervm.txs+bcs", count * stride);
    wire_room(out, count * stride);
    for (uint32_t i = 0; i < count; i++)
        wire_put(out, load_set_frame(set, indices[i]), stride);
}

static void put_json(struct wire_bytes *out, const struct load_set *set, bool batch,
                     const char *wait, const uint32_t *indices, uint32_t count)
{
    char head[128], tail[64];
    const int head_len = snprintf(
        head, sizeof head, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"%s\",\"params\":{\"%s",
        indices[0], batch ? "tx_submitBatch" : "tx_submit", batch ? "txs\":[" : "tx\":");
    const int tail_len =
        snprintf(tail, sizeof tail, "%s,\"wait\":\"%s\"}}", batch ? "]" : "", wait);
    const size_t items = (size_t)count * set->text_bytes - 1; /* no comma behind the last */
    put_head(out, "/", "application/json", (size_t)head_len + items + (size_t)tail_len);
    wire_put(out, head, (size_t)head_len);
    wire_room(out, items + 1);
    for (uint32_t i = 0; i < count; i++)
        wire_put(out, load_set_json(set, indices[i]), set->text_bytes);
    out->len--;
    wire_put(out, tail, (size_t)tail_len);
}

void wire_request(struct wire_bytes *out, const struct load_set *set, enum load_mode mode,
                  const char *wait, const uint32_t *indices, uint32_t count)
{
    if (mode == LOAD_BINARY)
        put_binary(out, set, wait, indices, count);
    else
        put_json(out, set, mode == LOAD_BATCH, wait, indices, count);
}

/* ---- responses ----------------------------------------------------------------------------------------------- */

/* The number behind header NAME ("\r\nname:"), or 0; HEAD is LEN bytes. */
static uint64_t header_number(const char *head, size_t len, const char *name, bool *found)
{
    const size_t name_len = strlen(name);
    for (size_t i = 0; i + name_len < len; i++) {
        const char *line = memchr(head + i, '\r', len - i);
        if (line == NULL || (size_t)(head + len - line) <= name_len)
            break;
        if (strncasecmp(line, name, name_len) == 0) {
            *found = true;
            return strtoull(line + name_len, NULL, 10);
        }
        i = (size_t)(line - head);
    }
    *found = false;
    return 0;
}

bool wire_parse(struct wire_response *response, const char *in, size_t len)
{
    const char *end = memmem(in, len, "\r\n\r\n", 4);
    bool found;
    if (end == NULL)
        return false;
    const size_t head_len = (size_t)(end - in) + 4;
    response->body_len = header_number(in, head_len, "\r\nContent-Length:", &found);
    if (!found || len < 12 || memcmp(in, "HTTP/1.1 ", 9) != 0)
        die("a response cannot be read: %.*s", (int)head_len, in);
    if (len - head_len < response->body_len)
        return false;
    response->status = (unsigned)strtoul(in + 9, NULL, 10);
    response->body = in + head_len;
    response->bytes = head_len + response->body_len;
    response->retry_after_ms = 0;
    if (response->status != 200)
        response->retry_after_ms =
            (uint32_t)header_number(in, head_len, "\r\nRetry-After:", &found) * 1000;
    return true;
}

static void tell(char why[256], const char *text, size_t len)
{
    snprintf(why, 256, "%.*s", (int)(len > 255 ? 255 : len), text);
}

static void verdict_record(struct wire_verdict *verdict, char why[256], const uint8_t *record,
                           bool durable)
{
    const int32_t code = (int32_t)bytes_get_u32le(record);
    const bool done = record[4] == STATUS_DURABLE || (!durable && record[4] == STATUS_EXECUTED);
    *verdict = (struct wire_verdict){.kind = WIRE_DONE};
    if (code == 0 && done && (record[6] & 1) == 0)
        return;
    snprintf(why, 256, "code %d, status %u, flags %u, failure %u", code, record[4], record[6],
             record[7]);
    if (code == CODE_OVERLOADED || code == CODE_BUSY) {
        const uint64_t after_ms = bytes_get_u64le(record + 8);
        *verdict =
            (struct wire_verdict){WIRE_RETRY, after_ms > 0 ? (uint32_t)after_ms : RETRY_BUSY_MS};
        return;
    }
    verdict->kind = WIRE_BAD;
}

/* verdict_json: of one receipt or error, as text of LEN bytes. */
static void verdict_json(struct wire_verdict *verdict, char why[256], const char *text, size_t len,
                         bool durable)
{
    static const char after[] = "\"retryAfterMs\":";
    const char *at;
    *verdict = (struct wire_verdict){.kind = WIRE_DONE};
    if ((memmem(text, len, "\"status\":\"durable\",\"duplicate\":false", 36) != NULL ||
         (!durable &&
          memmem(text, len, "\"status\":\"executed\",\"duplicate\":false", 37) != NULL)))
        return;
    tell(why, text, len);
    if (memmem(text, len, "\"OVERLOADED\"", 12) != NULL ||
        memmem(text, len, "\"BUSY\"", 6) != NULL) {
        at = memmem(text, len, after, sizeof after - 1);
        verdict->kind = WIRE_RETRY;
        verdict->retry_after_ms =
            at != NULL ? (uint32_t)strtoul(at + sizeof after - 1, NULL, 10) : RETRY_BUSY_MS;
        return;
    }
    verdict->kind = WIRE_BAD;
}

/* The end of the JSON object that TEXT begins with. */
static const char *object_end(const char *text, const char *end)
{
    unsigned depth = 0;
    bool in_string = false;
    for (const char *at = text; at < end; at++) {
        if (in_string) {
            if (*at == '\\')
                at++;
            else if (*at == '"')
                in_string = false;
        } else if (*at == '"') {
            in_string = true;
        } else if (*at == '{') {
            depth++;
        } else if (*at == '}' && --depth == 0) {
            return at + 1;
        }
    }
    return NULL;
}

/* The usual answer of a batch: nothing but receipts. False = look at each. */
static bool batch_is_done(const char *at, const char *end, uint32_t count, bool durable)
{
    static const char head[] = "{\"result\":{\"digest\":\"0x";
    static const char durably[] = "\",\"status\":\"durable\",\"duplicate\":false";
    static const char executed[] = "\",\"status\":\"executed\",\"duplicate\":false";
    for (uint32_t i = 0; i < count; i++) {
        at = memmem(at, (size_t)(end - at), head, sizeof head - 1);
        if (at == NULL || (size_t)(end - at) < 256)
            return false;
        at += sizeof head - 1 + 64;
        if (memcmp(at, durably, sizeof durably - 1) != 0 &&
            (durable || memcmp(at, executed, sizeof executed - 1) != 0))
            return false;
    }
    return true;
}

static void verdicts_all(struct wire_verdict *verdicts, uint32_t count, struct wire_verdict verdict)
{
    for (uint32_t i = 0; i < count; i++)
        verdicts[i] = verdict;
}

static void verdicts_batch(struct wire_verdict *verdicts, uint32_t count, char why[256],
                           const struct wire_response *response, bool durable)
{
    static const char items[] = "\"items\":[";
    const char *end = response->body + response->body_len;
    const char *at = memmem(response->body, response->body_len, items, sizeof items - 1);
    if (at == NULL) { /* an error of the whole call */
        struct wire_verdict verdict;
        verdict_json(&verdict, why, response->body, response->body_len, durable);
        verdicts_all(verdicts, count, verdict);
        return;
    }
    at += sizeof items - 1;
    verdicts_all(verdicts, count, (struct wire_verdict){.kind = WIRE_DONE});
    if (batch_is_done(at, end, count, durable))
        return;
    for (uint32_t i = 0; i < count; i++) {
        const char *stop = object_end(at, end);
        if (stop == NULL)
            die("a batch is answered with fewer entries than it had: %.200s", response->body);
        verdict_json(&verdicts[i], why, at, (size_t)(stop - at), durable);
        at = stop + 1;
    }
}

void wire_verdicts(struct wire_verdict *verdicts, uint32_t count, char why[256],
                   const struct wire_response *response, enum load_mode mode, const char *wait)
{
    const bool durable = strcmp(wait, "durable") == 0;
    if (response->status != 200) {
        const bool later = response->status == 503;
        tell(why, response->body, response->body_len);
        verdicts_all(
            verdicts, count,
            (struct wire_verdict){later ? WIRE_RETRY : WIRE_BAD, response->retry_after_ms});
    } else if (mode == LOAD_BATCH) {
        verdicts_batch(verdicts, count, why, response, durable);
    } else if (mode == LOAD_SINGLE) {
        verdict_json(verdicts, why, response->body, response->body_len, durable);
    } else if (response->body_len != (size_t)count * RECORD_BYTES) {
        die("a body of %u transactions is answered with %zu bytes", count, response->body_len);
    } else {
        for (uint32_t i = 0; i < count; i++)
            verdict_record(&verdicts[i], why,
                           (const uint8_t *)response->body + (size_t)i * RECORD_BYTES, durable);
    }
}

/* ---- connections --------------------------------------------------------------------------------------------- */

static int dial_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(path) >= sizeof address.sun_path)
        die("the path of the socket is too long: %s", path);
    memcpy(address.sun_path, path, strlen(path));
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        die("cannot connect to %s: %s", path, strerror(errno));
    return fd;
}

int wire_dial(const char *address)
{
    if (strncmp(address, "unix:", 5) == 0)
        return dial_unix(address + 5);
    char host[64];
    const char *colon = strrchr(address, ':');
    struct sockaddr_in in = {.sin_family = AF_INET};
    const int one = 1;
    if (colon == NULL || (size_t)(colon - address) >= sizeof host)
        die("an address is HOST:PORT or unix:PATH");
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    in.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &in.sin_addr) != 1)
        die("%s is no IPv4 address", host);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&in, sizeof in) != 0)
        die("cannot connect to %s: %s", address, strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

void wire_call(struct wire_response *response, struct wire_bytes *in, int fd,
               const struct wire_bytes *request)
{
    for (size_t sent = 0; sent < request->len;) {
        const ssize_t n = send(fd, request->ptr + sent, request->len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            die("the node closed the connection");
        sent += (size_t)n;
    }
    in->len = 0;
    do {
        wire_room(in, 65536);
        const ssize_t n = recv(fd, in->ptr + in->len, in->cap - in->len, 0);
        if (n <= 0)
            die("the node closed the connection");
        in->len += (size_t)n;
    } while (!wire_parse(response, in->ptr, in->len));
}
