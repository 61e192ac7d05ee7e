/* gateway/exchange.h - one JSON-RPC body and its answer: a single call, a batch, or something that is neither.
 *
 *      body --> exchange_begin --> calls, each: parameters, method --> answers --> exchange_take --> text
 *
 * Calls of a batch run side by side; their answers are in the order of the requests. What is exact about JSON-RPC 2.0 is
 * here: ids, notifications, empty and oversized batches, errors of the envelope.
 *
 * Thread   L; a call is the pool's while its method runs there. */
#ifndef GATEWAY_EXCHANGE_H
#define GATEWAY_EXCHANGE_H

#include <stdatomic.h>

#include <uv.h>

#include "gateway/rpc.h"

struct rpc_exchange;
typedef void rpc_exchange_done_fn(void *arg, struct rpc_exchange *exchange);

struct rpc_call {
    struct rpc_exchange *exchange;
    struct gateway *gateway;
    const struct rpc_method *method; /* NULL = none of that name */
    const char *id; /* JSON text, of id_text or in the arena; NULL = a notification */
    char *id_text;  /* owned */
    void *params;   /* in the arena */
    rpc_finish_fn *finish;
    void *finish_arg;
    enum svm_err err; /* SVM_OK = answered with a result */
    struct arena arena;
    struct text out; /* the response object */
    uint64_t started_ns;
    bool on_pool; /* WORK is queued, or runs */
    uv_work_t work;
};

struct rpc_exchange {
    struct gateway *gateway;
    rpc_exchange_done_fn *done; /* NULL = nobody listens any more */
    void *arg;
    bool is_batch, over_unix;
    _Atomic size_t
        answered; /* bytes of results so far, from any thread; counted in the gateway's `replies` */
    size_t waiting; /* calls that are not answered, and one while beginning */
    size_t count;
    struct rpc_call calls[];
};

/* exchange_begin: parse BODY and start its calls.
 *   finished_out  out  true: everything is answered and DONE will not be called
 * Returns the exchange (exchange_end), or NULL without memory. */
struct rpc_exchange *exchange_begin(struct gateway *gateway, const char *body, size_t len,
                                    bool over_unix, rpc_exchange_done_fn *done, void *arg,
                                    bool *finished_out);

/* exchange_take: the whole response into TEXT; empty = there is nothing to say (notifications). */
void exchange_take(struct rpc_exchange *exchange, struct text *text);

/* exchange_end: free, or, while calls are in flight, forget whoever listens and free when they have ended. */
void exchange_end(struct rpc_exchange *exchange);

/* exchange_is_on_pool: is a call of it on the pool, or waiting for it? */
bool exchange_is_on_pool(const struct rpc_exchange *exchange);

/* exchange_cancel: what the pool has not begun is not run. False: there was nothing of that kind, and all will be answered. Else only
 * exchange_end makes sense. */
bool exchange_cancel(struct rpc_exchange *exchange);

/* A call that answers an error of the envelope: not a request, or beyond a limit. ITEM is what was sent, if anything. */
void call_init(struct rpc_call *call, struct rpc_exchange *exchange);
void call_set_id(struct rpc_call *call, const json_t *id); /* NULL = "null" */
/* call_run: look up the method, check the parameters, run it. PARAMS may be NULL. */
void call_run(struct rpc_call *call, const char *method, const json_t *params);
/* call_run_typed: the same with parameters that have been checked, in the call's arena. */
void call_run_typed(struct rpc_call *call, const char *method, void *params);
void call_deinit(struct rpc_call *call);

/* rpc_error_response: {"jsonrpc","id":null,"error"} for bodies that belong to no call. */
void rpc_error_response(struct text *text, const struct rpc_error *error);

#endif
