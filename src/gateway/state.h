/* gateway/state.h - the gateway's own state, shared by its files. Everything is L's unless it says otherwise. */
#ifndef GATEWAY_STATE_H
#define GATEWAY_STATE_H

#include <stdatomic.h>

#include <uv.h>

#include "base/ring.h"
#include "gateway/deadlines.h"
#include "gateway/gateway.h"
#include "gateway/rpc.h"
#include "gateway/turns.h"
#include "gateway/waits.h"

struct listener;
struct http_request;

enum gateway_transport { GATEWAY_HTTP, GATEWAY_UNIX, GATEWAY_STREAM, GATEWAY_TRANSPORTS };

enum { PROBES_THREADS_MAX = 72, PROBES_STALL_MS = 10000, PROBES_TICK_MS = 1000 };

/* So many bodies of the largest size may be held at once; what is received beyond that is OVERLOADED. */
enum { GATEWAY_BODIES_MAX = 64 };

/* What the probes remember of the engine's threads. */
struct probes {
    uint64_t ticks[PROBES_THREADS_MAX];
    uint64_t moved_ms[PROBES_THREADS_MAX]; /* uv_now of the last movement */
    size_t count;
};

/* Bytes of replies that are made and not taken (replies.h). */
struct replies {
    _Atomic uint64_t bytes; /* any thread */
    uint64_t leaving;       /* of them, of connections that are cut */
    uint64_t looked_ms;     /* when room was made last */
};

/* Counters of the gateway; index RPC_METHODS_MAX stands for unknown methods. */
struct gateway_counters {
    uint64_t requests[RPC_METHODS_MAX + 1][SVM_ERR_COUNT]; /* by public error, SVM_OK = answered */
    uint64_t durations[RPC_METHODS_MAX + 1][SVM_HISTOGRAM_BOUNDS + 1];
    uint64_t duration_us[RPC_METHODS_MAX + 1];
    uint64_t submitted[GATEWAY_TRANSPORTS];
    uint64_t http_refused; /* requests refused before they reached a method */
    uint64_t http_cut;     /* connections cut because their reply was not taken */
};

/* The accounts of the development genesis, and behind them the faucet. */
enum { GATEWAY_FAUCET = SVM_DEV_ACCOUNTS, GATEWAY_DEV_ACCOUNTS };

struct gateway {
    struct gateway_config config; /* `hosts` and `cors_origins` are borrowed */
    struct svm_engine *engine;    /* constant */
    uv_loop_t *loop;
    struct listener *tcp, *local; /* NULL = none */

    struct ring *completions; /* any thread pushes */
    uv_async_t wake;          /* any thread sends */
    uv_prepare_t prepare;
    uv_timer_t deadline_timer;
    uv_timer_t probe_timer;
    uv_idle_t idle;   /* runs while batches are in line */
    unsigned handles; /* not yet closed */
    struct deadlines deadlines;
    struct wait_queue queue; /* empty between two turns of the loop */
    struct turns turns;

    struct http_request *requests; /* all, for the end */
    size_t requests_count;
    uint64_t body_bytes; /* received and not yet parsed, all connections together */
    struct replies replies;
    size_t calls;    /* in flight */
    size_t blocking; /* of them on the pool */
    size_t waiters;  /* items of wait groups */

    bool draining, ready, closing, stopped;
    gateway_drained_fn *drained;
    void *drained_arg;
    gateway_closed_fn *closed;
    void *closed_arg;

    struct svm_chain_info chain;                               /* constant */
    struct svm_dev_account dev_accounts[GATEWAY_DEV_ACCOUNTS]; /* constant; with `dev` only */
    uint64_t started_ms;
    uint64_t dev_nonce;
    _Atomic bool load_running; /* dev_generateLoad */
    char *openrpc;             /* constant */
    size_t openrpc_len;
    struct probes probes;
    struct gateway_counters counters;
};

/* gateway_settle: something has ended; tell the drainer or go on closing if that was the last. */
void gateway_settle(struct gateway *gateway);

/* gateway_watch_deadlines: see that the wheel turns while it holds something. */
void gateway_watch_deadlines(struct gateway *gateway);

/* gateway_begin_drain: as gateway_drain without a callback, for admin_drain. */
void gateway_begin_drain(struct gateway *gateway);

/* gateway_response_max: rpc.response_bytes_max as of now. Any thread: a reload may write it meanwhile. */
static inline uint64_t gateway_response_max(const struct gateway *gateway)
{
    return __atomic_load_n(&gateway->config.response_bytes_max, __ATOMIC_RELAXED);
}

#endif
