/* gateway/http.h - HTTP requests: what is accepted, where it goes, what goes back.
 *
 *      headers --> checks: framing, Host, route, method, content type, size --> body --> (in line) --> route --> reply
 *
 * A request that is refused by its headers is answered with the right status and a JSON-RPC error. Replies that take time
 * suspend the connection; the route calls http_reply later.
 *
 * Thread   L. */
#ifndef GATEWAY_HTTP_H
#define GATEWAY_HTTP_H

#include <microhttpd.h>

#include "gateway/listener.h"
#include "gateway/rpc_error.h"
#include "gateway/text.h"

struct rpc_exchange;

enum http_route {
    HTTP_RPC,     /* POST / */
    HTTP_STREAM,  /* POST /v1/tx */
    HTTP_ROUTING, /* GET /v1/stats/routing */
    HTTP_LIVEZ,
    HTTP_READYZ,
    HTTP_METRICS,
    HTTP_ROUTES
};

enum http_state {
    HTTP_RECEIVING,
    HTTP_SWALLOWING, /* refused; the rest of the body is read and dropped */
    HTTP_WORKING,    /* suspended */
    HTTP_READY,      /* the reply is there */
    HTTP_LEFT        /* the client has gone: the connection is to be closed */
};

struct http_request {
    struct http_request *next, *prev; /* of the gateway's list */
    struct listener *listener;
    struct MHD_Connection *connection;
    struct rpc_exchange *exchange; /* HTTP_RPC, while it works */
    void *stream;                  /* HTTP_STREAM, while it works */
    enum http_route route;
    enum http_state state;
    bool suspended, preflight;
    unsigned status;
    uint64_t swallowed;
    char *body;
    size_t body_len, body_cap;
    struct text reply;
    const char *reply_type;
    const char *allow; /* 405 */
    uint32_t retry_after_ms;
    size_t reply_held; /* counted in the gateway's `replies` */
    bool cut;          /* to make room there */
    bool in_line;      /* turns.c's: suspended, its body is whole */
    struct http_request *line_next, *line_prev;
};

/* Callbacks of the HTTP library; CLOSURE is the listener. */
enum MHD_Result http_access(void *closure, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload,
                            size_t *upload_len, void **context);
void http_completed(void *closure, struct MHD_Connection *connection, void **context,
                    enum MHD_RequestTerminationCode reason);

/* http_forget: the library drops CONNECTION, of which KNOWN is what listener_connection gives. When it could not watch the connection
 * again after a wait it has not said that the request is over. */
void http_forget(struct MHD_Connection *connection, const struct connection *known);

/* http_reply: the answer to REQUEST, now or after it was suspended. Takes what REPLY holds. */
void http_reply(struct http_request *request, unsigned status, const char *type,
                struct text *reply);
void http_reply_error(struct http_request *request, unsigned status, const struct rpc_error *error);

/* http_work: the body is whole and it is REQUEST's turn. */
void http_work(struct http_request *request);

/* http_has_left: has the client of REQUEST, which is suspended, gone? http_drop: then it is over. */
bool http_has_left(const struct http_request *request);
void http_drop(struct http_request *request);

/* http_look: drop those whose clients have gone while calls of theirs wait for the pool; about once in a second. */
void http_look(struct gateway *gateway);

/* http_is_batch: is the body, which is whole, that of a batch of calls? */
bool http_is_batch(const struct http_request *request);

/* http_query: is there a parameter NAME in the URL? VALUE_OUT is NULL when it has no value. */
bool http_query(const struct http_request *request, const char *name, const char **value_out);

/* http_abandon: the gateway is closing: cut REQUEST from its work and let its connection be closed. */
void http_abandon(struct http_request *request);

/* stream.c: POST /v1/tx. Answers through http_reply, at once or later. stream_abandon: nobody waits any more. */
void stream_begin(struct http_request *request);
void stream_abandon(void *stream);

/* probes.c and metrics.c: write the reply of a GET. */
void probes_livez(struct http_request *request);
void probes_readyz(struct http_request *request);
void metrics_reply(struct http_request *request);
void routing_reply(struct http_request *request);

#endif
