#include "gateway/http.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "gateway/exchange.h"
#include "gateway/replies.h"
#include "gateway/state.h"

#define TYPE_JSON   "application/json"
#define TYPE_STREAM "application/vnd.supervm.txs+bcs"

struct route {
    const char *path;
    bool post;
    const char *content_type; /* POST */
};
static const struct route routes[HTTP_ROUTES] = {
    [HTTP_RPC] = {.path = "/", .post = true, .content_type = TYPE_JSON},
    [HTTP_STREAM] = {.path = "/v1/tx", .post = true, .content_type = TYPE_STREAM},
    [HTTP_ROUTING] = {.path = "/v1/stats/routing"},
    [HTTP_LIVEZ] = {.path = "/livez"},
    [HTTP_READYZ] = {.path = "/readyz"},
    [HTTP_METRICS] = {.path = "/metrics"},
};

/* ---- framing ---------------------------------------------------------------------------------------------- */

struct framing {
    unsigned lengths, encodings, hosts;
    bool odd_length, odd_encoding, odd_value;
    uint64_t length;
};

/* A NUL is one: what stands behind it would be there for one reader only. */
static bool has_control(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

static enum MHD_Result note_header(void *closure, enum MHD_ValueKind kind, const char *key,
                                   size_t key_len, const char *value, size_t value_len)
{
    struct framing *framing = closure;
    (void)kind;
    framing->odd_value |= strpbrk(key, " \t") != NULL || has_control(key, key_len) ||
                          (value != NULL && has_control(value, value_len));
    if (strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        char *end = NULL;
        framing->lengths++;
        framing->odd_length |= value == NULL || value[0] == '\0' ||
                               strspn(value, "0123456789") != strlen(value) || strlen(value) > 18;
        framing->length = value != NULL ? strtoull(value, &end, 10) : 0;
    } else if (strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        framing->encodings++;
        framing->odd_encoding |= value == NULL || strcasecmp(value, "chunked") != 0;
    } else if (strcasecmp(key, MHD_HTTP_HEADER_HOST) == 0) {
        framing->hosts++;
    }
    return MHD_YES;
}

/* What two parsers could read differently is refused, so that nothing can be smuggled past a proxy. NULL = nothing. */
static const char *framing_flaw(const struct framing *framing, const char *version)
{
    if (framing->odd_value) {
        return "a header has a space in its name or a control character";
    }
    if (framing->lengths > 1) {
        return "more than one Content-Length";
    }
    if (framing->odd_length) {
        return "Content-Length must be decimal digits";
    }
    if (framing->encodings > 1 || framing->odd_encoding) {
        return "Transfer-Encoding must be exactly: chunked";
    }
    if (framing->encodings > 0 && framing->lengths > 0) {
        return "Content-Length and Transfer-Encoding together";
    }
    if (framing->hosts > 1 || (framing->hosts == 0 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0)) {
        return "exactly one Host is needed";
    }
    return NULL;
}

/* ---- who may ask ------------------------------------------------------------------------------------------ */

static const char *header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

/* HOST without its port and brackets. */
static void host_name(char *name, size_t size, const char *host)
{
    const char *end = host + strcspn(host, ":");
    if (host[0] == '[') {
        host++;
        end = host + strcspn(host, "]");
    }
    const size_t len = (size_t)(end - host) < size ? (size_t)(end - host) : size - 1;
    memcpy(name, host, len);
    name[len] = '\0';
}

/* Names can be made to point here by anybody (DNS rebinding); address literals and localhost cannot. */
static bool host_is_allowed(const struct gateway_config *config, const char *host)
{
    char name[256];
    struct in6_addr address;
    if (host == NULL) {
        return true; /* HTTP/1.0: no browser */
    }
    host_name(name, sizeof name, host);
    if (strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &address) == 1 ||
        inet_pton(AF_INET6, name, &address) == 1) {
        return true;
    }
    for (size_t i = 0; i < config->hosts_count; i++) {
        if (strcmp(config->hosts[i], "*") == 0 || strcasecmp(config->hosts[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The origin to allow in the answer; NULL = none. */
static const char *cors_origin(const struct http_request *request)
{
    const struct gateway_config *config = &request->listener->gateway->config;
    const char *origin =
        config->cors_origins_count > 0 ? header(request, MHD_HTTP_HEADER_ORIGIN) : NULL;
    for (size_t i = 0; origin != NULL && i < config->cors_origins_count; i++) {
        if (strcmp(config->cors_origins[i], "*") == 0 ||
            strcmp(config->cors_origins[i], origin) == 0) {
            return origin;
        }
    }
    return NULL;
}

static bool content_type_is(const char *value, const char *type)
{
    const size_t len = strlen(type);
    if (value == NULL || strncasecmp(value, type, len) != 0) {
        return false;
    }
    while (value[len] != '\0' && value[len] != ';') {
        if (value[len] != ' ' && value[len] != '\t') {
            return false;
        }
        value++;
    }
    return true;
}

/* ---- replies ---------------------------------------------------------------------------------------------- */

void http_reply(struct http_request *request, unsigned status, const char *type, struct text *reply)
{
    if (reply->overflow) {
        text_deinit(reply);
        text_init(reply, RPC_ERROR_BYTES_MAX);
        rpc_error_response(reply, &(struct rpc_error){.err = SVM_E_NO_MEMORY});
        status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        type = TYPE_JSON;
    }
    request->status = status;
    request->reply_type = type;
    request->reply = *reply;
    replies_hold(request);
    request->state = HTTP_READY;
    text_init(reply, 0);
    if (request->suspended) {
        request->suspended = false;
        MHD_resume_connection(request->connection);
        request->listener->due = true;
    }
}

void http_reply_error(struct http_request *request, unsigned status, const struct rpc_error *error)
{
    struct text text;
    text_init(&text, 8192);
    rpc_error_response(&text, error);
    request->listener->gateway->counters.http_refused++;
    if (svm_err_retry(rpc_error_public(error->err)) == SVM_RETRY_LATER) {
        request->retry_after_ms = RPC_RETRY_AFTER_MS;
    }
    http_reply(request, status, TYPE_JSON, &text);
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value);
}

static void add_cors(struct MHD_Response *response, const struct http_request *request)
{
    const char *origin = cors_origin(request);
    if (origin == NULL) {
        return;
    }
    add_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    add_header(response, MHD_HTTP_HEADER_VARY, "Origin");
    if (request->preflight) {
        add_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS");
        add_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type");
        add_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_MAX_AGE, "600");
    }
}

/* From here on it is the client's turn. */
static void await_client(const struct http_request *request)
{
    struct connection *connection = listener_connection(request->connection);
    if (connection != NULL) {
        connection->reply_bytes = request->reply_held;
        connections_wait(&request->listener->connections, connection,
                         uv_now(request->listener->gateway->loop));
    }
}

/* Hand the reply to the library. */
static enum MHD_Result queue_reply(struct http_request *request)
{
    const size_t len = request->reply.len;
    char *bytes = text_take(&request->reply);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        len, bytes, bytes != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        free(bytes);
        return MHD_NO;
    }
    if (len > 0 && request->reply_type != NULL) {
        add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->reply_type);
    }
    if (request->allow != NULL) {
        add_header(response, MHD_HTTP_HEADER_ALLOW, request->allow);
    }
    if (request->retry_after_ms > 0) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", (request->retry_after_ms + 999) / 1000);
        add_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    if (request->status == MHD_HTTP_BAD_REQUEST) {
        add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
    add_cors(response, request);
    const enum MHD_Result result =
        MHD_queue_response(request->connection, request->status, response);
    MHD_destroy_response(response);
    await_client(request);
    return result;
}

/* ---- admission by headers --------------------------------------------------------------------------------- */

static struct rpc_error invalid(const char *reason)
{
    return (struct rpc_error){.err = SVM_E_INVALID_REQUEST,
                              .message = "the HTTP request is not acceptable",
                              .notes = {{.key = "reason", .text = reason}}};
}

static bool refuse(struct http_request *request, unsigned status, struct rpc_error error)
{
    http_reply_error(request, status, &error);
    return false;
}

static bool check_host(struct http_request *request)
{
    const char *host = header(request, MHD_HTTP_HEADER_HOST);
    char shown[128];
    if (request->listener->is_unix || host_is_allowed(&request->listener->gateway->config, host)) {
        return true;
    }
    snprintf(shown, sizeof shown, "%s", host);
    return refuse(
        request, MHD_HTTP_FORBIDDEN,
        (struct rpc_error){
            .err = SVM_E_FORBIDDEN,
            .message = "this Host is not allowed; name it in rpc.hosts (--rpc.hosts)",
            .notes = {{.key = "host", .text = shown}, {.key = "needed", .text = "rpc.hosts"}}});
}

static bool check_route(struct http_request *request, const char *url, const char *method)
{
    size_t i = 0;
    while (i < HTTP_ROUTES && strcmp(routes[i].path, url) != 0) {
        i++;
    }
    if (i == HTTP_ROUTES) {
        return refuse(
            request, MHD_HTTP_NOT_FOUND,
            (struct rpc_error){.err = SVM_E_NOT_FOUND,
                               .message = "nothing is served at this path; JSON-RPC is at POST /",
                               .notes = {{.key = "kind", .text = "path"}}});
    }
    request->route = (enum http_route)i;
    if (strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0 && cors_origin(request) != NULL) {
        struct text none;
        text_init(&none, 0);
        request->preflight = true;
        http_reply(request, MHD_HTTP_NO_CONTENT, NULL, &none);
        return false;
    }
    const bool fits = routes[i].post ? strcmp(method, MHD_HTTP_METHOD_POST) == 0
                                     : strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
                                           strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    if (!fits) {
        request->allow = routes[i].post ? "POST" : "GET, HEAD";
        return refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED,
                      invalid(routes[i].post ? "this path takes POST" : "this path takes GET"));
    }
    return true;
}

static struct rpc_error body_too_large(uint64_t limit, uint64_t got)
{
    return (struct rpc_error){.err = SVM_E_LIMIT_EXCEEDED,
                              .message = "the body is larger than the limit",
                              .notes = {{.key = "scope", .text = "body"},
                                        {.key = "limit", .number = limit},
                                        {.key = "got", .number = got}}};
}

static bool check_body(struct http_request *request, const struct framing *framing)
{
    const uint64_t limit = request->listener->gateway->config.body_bytes_max;
    const struct route *route = &routes[request->route];
    if (route->post &&
        !content_type_is(header(request, MHD_HTTP_HEADER_CONTENT_TYPE), route->content_type)) {
        return refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                      invalid(request->route == HTTP_RPC ? "Content-Type must be " TYPE_JSON
                                                         : "Content-Type must be " TYPE_STREAM));
    }
    if (framing->length > limit) {
        return refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, body_too_large(limit, framing->length));
    }
    if (framing->length > 0) {
        request->body = malloc(framing->length);
        if (request->body == NULL) {
            return refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE,
                          (struct rpc_error){.err = SVM_E_OVERLOADED});
        }
        request->body_cap = framing->length;
    }
    return true;
}

/* A refused body of reasonable size is read to its end, so that the client sees the answer and not a reset. */
static bool worth_swallowing(const struct http_request *request, const struct framing *framing)
{
    const uint64_t limit = request->listener->gateway->config.body_bytes_max;
    return request->status != MHD_HTTP_BAD_REQUEST &&
           header(request, MHD_HTTP_HEADER_EXPECT) == NULL &&
           (framing->encodings > 0 || (framing->length > 0 && framing->length <= 2 * limit));
}

static struct http_request *request_create(struct listener *listener,
                                           struct MHD_Connection *connection)
{
    struct gateway *gateway = listener->gateway;
    struct http_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return NULL;
    }
    request->listener = listener;
    request->connection = connection;
    request->next = gateway->requests;
    if (gateway->requests != NULL) {
        gateway->requests->prev = request;
    }
    gateway->requests = request;
    gateway->requests_count++;
    struct connection *known = listener_connection(connection);
    if (known != NULL) {
        known->request = request;
    }
    return request;
}

static enum MHD_Result begin(struct listener *listener, struct MHD_Connection *connection,
                             const char *url, const char *method, const char *version,
                             void **context)
{
    struct framing framing = {0};
    struct http_request *request = request_create(listener, connection);
    if (request == NULL) {
        return MHD_NO;
    }
    *context = request;
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, note_header, &framing);
    const char *flaw = framing_flaw(&framing, version);
    const bool taken = flaw != NULL ? refuse(request, MHD_HTTP_BAD_REQUEST, invalid(flaw))
                                    : check_host(request) && check_route(request, url, method) &&
                                          check_body(request, &framing);
    if (taken) {
        return MHD_YES;
    }
    if (worth_swallowing(request, &framing)) {
        request->state = HTTP_SWALLOWING;
        return MHD_YES;
    }
    return queue_reply(request);
}

/* ---- the body --------------------------------------------------------------------------------------------- */

static void body_release(struct http_request *request)
{
    request->listener->gateway->body_bytes -= request->body_len;
    free(request->body);
    request->body = NULL;
    request->body_len = request->body_cap = 0;
}

static void body_refuse(struct http_request *request, size_t len, unsigned status,
                        const struct rpc_error *error)
{
    http_reply_error(request, status, error);
    request->state = HTTP_SWALLOWING;
    request->swallowed = request->body_len + len;
    body_release(request);
}

static bool body_grow(struct http_request *request, size_t len)
{
    const size_t need = request->body_len + len;
    if (need <= request->body_cap) {
        return true;
    }
    size_t cap = request->body_cap < 4096 ? 4096 : request->body_cap * 2;
    cap = cap < need ? need : cap;
    char *body = realloc(request->body, cap);
    if (body == NULL) {
        return false;
    }
    request->body = body;
    request->body_cap = cap;
    return true;
}

static enum MHD_Result receive(struct http_request *request, const char *upload, size_t len)
{
    struct gateway *gateway = request->listener->gateway;
    const uint64_t limit = gateway->config.body_bytes_max;
    if (request->state == HTTP_SWALLOWING) {
        request->swallowed += len;
        return request->swallowed <= 2 * limit ? MHD_YES : MHD_NO;
    }
    if (request->body_len + len > limit) { /* chunked: the length was not known before */
        const struct rpc_error error = body_too_large(limit, request->body_len + len);
        body_refuse(request, len, MHD_HTTP_CONTENT_TOO_LARGE, &error);
        return MHD_YES;
    }
    if (gateway->body_bytes + len > limit * GATEWAY_BODIES_MAX) {
        const struct rpc_error error = {
            .err = SVM_E_OVERLOADED,
            .notes = {{.key = "scope", .text = "bodies"},
                      {.key = "limit", .number = limit * GATEWAY_BODIES_MAX}}};
        body_refuse(request, len, MHD_HTTP_SERVICE_UNAVAILABLE, &error);
        return MHD_YES;
    }
    if (!body_grow(request, len)) {
        return MHD_NO;
    }
    memcpy(request->body + request->body_len, upload, len);
    request->body_len += len;
    gateway->body_bytes += len;
    return MHD_YES;
}

/* ---- JSON-RPC --------------------------------------------------------------------------------------------- */

static void exchange_reply(struct http_request *request, struct rpc_exchange *exchange)
{
    struct text text;
    exchange_take(exchange, &text);
    exchange_end(exchange);
    request->exchange = NULL;
    const unsigned status = text.len > 0 || text.overflow ? MHD_HTTP_OK : MHD_HTTP_NO_CONTENT;
    http_reply(request, status, TYPE_JSON, &text);
}

static void exchange_done(void *arg, struct rpc_exchange *exchange)
{
    exchange_reply(arg, exchange);
}

bool http_is_batch(const struct http_request *request)
{
    size_t i = 0;
    while (i < request->body_len && memchr(" \t\r\n", request->body[i], 4) != NULL) {
        i++;
    }
    return request->route == HTTP_RPC && i < request->body_len && request->body[i] == '[';
}

/* Is there room for the reply to a body of that length and kind, before anything of it is done? Errors echo ids, which are as long as the
 * client likes; afterwards the reply is sent whatever it has become. */
static bool has_room(const struct http_request *request)
{
    const size_t least = http_is_batch(request) ? REPLY_SMALL + 1 : 0;
    return replies_have_room(request->listener->gateway,
                             request->body_len > least ? request->body_len : least);
}

static void begin_rpc(struct http_request *request)
{
    bool finished = false;
    struct listener *listener = request->listener;
    if (!has_room(request)) {
        const struct rpc_error error = replies_overloaded(listener->gateway);
        body_release(request);
        http_reply_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, &error);
        return;
    }
    struct rpc_exchange *exchange =
        exchange_begin(listener->gateway, request->body, request->body_len, listener->is_unix,
                       exchange_done, request, &finished);
    body_release(request); /* parameters were copied */
    if (exchange == NULL) {
        const struct rpc_error error = {.err = SVM_E_OVERLOADED};
        http_reply_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, &error);
    } else if (finished) {
        exchange_reply(request, exchange);
    } else {
        request->exchange = exchange;
    }
}

/* From here on it is the client that waits. */
static void await_node(const struct http_request *request)
{
    struct connection *connection = listener_connection(request->connection);
    if (connection != NULL) {
        connections_work(&request->listener->connections, connection);
    }
}

void http_work(struct http_request *request)
{
    replies_cut(request->listener->gateway);
    request->state = HTTP_WORKING;
    switch (request->route) {
    case HTTP_RPC:
        begin_rpc(request);
        break;
    case HTTP_STREAM:
        stream_begin(request);
        break;
    case HTTP_ROUTING:
        routing_reply(request);
        break;
    case HTTP_LIVEZ:
        probes_livez(request);
        break;
    case HTTP_READYZ:
        probes_readyz(request);
        break;
    case HTTP_METRICS:
        metrics_reply(request);
        break;
    case HTTP_ROUTES:
        break;
    }
}

/* ---- the library's callbacks ------------------------------------------------------------------------------ */

enum MHD_Result http_access(void *closure, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload,
                            size_t *upload_len, void **context)
{
    struct listener *listener = closure;
    struct http_request *request = *context;
    if (request == NULL) {
        return begin(listener, connection, url, method, version, context);
    }
    if (*upload_len > 0) {
        const enum MHD_Result result = receive(request, upload, *upload_len);
        *upload_len = 0;
        return result;
    }
    if (listener->gateway->closing || request->state == HTTP_LEFT) {
        return MHD_NO;
    }
    if (request->state == HTTP_RECEIVING) {
        await_node(request);
        if (turns_take(request)) {
            http_work(request);
        }
        if (request->state != HTTP_READY) {
            request->suspended = true;
            MHD_suspend_connection(connection);
            return MHD_YES;
        }
    }
    SVM_ASSERT(request->state == HTTP_READY || request->state == HTTP_SWALLOWING);
    return queue_reply(request);
}

void http_completed(void *closure, struct MHD_Connection *connection, void **context,
                    enum MHD_RequestTerminationCode reason)
{
    struct http_request *request = *context;
    (void)closure;
    (void)reason;
    if (request == NULL) {
        return;
    }
    struct gateway *gateway = request->listener->gateway;
    http_abandon(request);
    replies_release(request);
    await_client(request);
    if (request->next != NULL) {
        request->next->prev = request->prev;
    }
    if (request->prev != NULL) {
        request->prev->next = request->next;
    } else {
        gateway->requests = request->next;
    }
    gateway->requests_count--;
    struct connection *known = listener_connection(connection);
    if (known != NULL) {
        known->request = NULL;
    }
    text_deinit(&request->reply);
    body_release(request);
    free(request);
    *context = NULL;
    gateway_settle(gateway);
}

void http_forget(struct MHD_Connection *connection, const struct connection *known)
{
    void *context = known->request;
    if (context != NULL) {
        struct http_request *request = context;
        request->suspended = false;
        http_completed(request->listener, connection, &context, MHD_REQUEST_TERMINATED_WITH_ERROR);
    }
}

void http_abandon(struct http_request *request)
{
    turns_leave(request);
    if (request->exchange != NULL) {
        exchange_end(request->exchange);
        request->exchange = NULL;
    }
    if (request->stream != NULL) {
        stream_abandon(request->stream);
        request->stream = NULL;
    }
    if (request->suspended) {
        request->suspended = false;
        MHD_resume_connection(request->connection);
    }
}

bool http_has_left(const struct http_request *request)
{
    const struct connection *connection = listener_connection(request->connection);
    return connection != NULL && connections_has_left(connection);
}

void http_drop(struct http_request *request)
{
    request->state = HTTP_LEFT;
    http_abandon(request);
    request->listener->due = true;
}

void http_look(struct gateway *gateway)
{
    if (gateway->blocking == 0) {
        return;
    }
    for (struct http_request *request = gateway->requests; request != NULL;
         request = request->next) {
        if (request->suspended && request->exchange != NULL &&
            exchange_is_on_pool(request->exchange) && http_has_left(request) &&
            exchange_cancel(request->exchange)) {
            http_drop(request);
        }
    }
}

bool http_query(const struct http_request *request, const char *name, const char **value_out)
{
    size_t len = 0;
    *value_out = NULL;
    return MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name,
                                         strlen(name), value_out, &len) == MHD_YES;
}
