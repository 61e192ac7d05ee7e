/* gateway/gateway.h - the node's face to the network: JSON-RPC 2.0, the binary submit path, probes and metrics over HTTP.
 *
 *      TCP listener --+                                   +--> engine callbacks --> completion ring --+
 *                     +--> HTTP --> JSON-RPC --> method --+--> thread pool (reads that may block) ----+--> reply
 *      unix socket ---+            (contracts in rpc/)    +--> at once -------------------------------+
 *
 * One loop thread (L) does HTTP and JSON. Submissions are handed to the engine, whose callbacks only push onto a bounded
 * ring and wake the loop. Calls that may touch the disk run on libuv's pool, bounded in number. Every queue, body, batch,
 * response and wait has a limit, and meeting one is a typed answer.
 *
 * Thread   L alone, unless a function says otherwise.
 * Refuses to know: how the engine works inside, how options are read, what a signal is. It sees <svm/...> and base. */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include <svm/engine.h>

struct gateway;

/* What the admin methods do is the daemon's business. All run on L and must not block; NULL = the method answers
 * METHOD_DISABLED. A function that fails writes one sentence into REASON. */
struct gateway_admin {
    void *arg;
    void (*stop)(void *arg);  /* begin the orderly end, as SIGTERM does; the answer is sent first */
    void (*drain)(void *arg); /* admit nothing more, finish what is admitted, keep serving reads */
    /* Re-read the configuration, all or nothing.
     *   changes_out  out  gives (free): JSON array of {"name", "from", "to", "applied"}; NULL = no memory
     * Returns SVM_OK or SVM_E_BAD_CONFIG. */
    enum svm_err (*reload)(void *arg, char **changes_out, char *reason, size_t reason_size);
    enum svm_err (*set_log_level)(void *arg, const char *level, char *reason, size_t reason_size);
    char *(*config_json)(void *arg); /* gives (free): a JSON object; NULL = no memory */
};

/* Static strings for node_info and supervm_build_info. */
struct gateway_build {
    const char *version; /* "0.1.0" */
    const char *commit;  /* "" = unknown */
    const char *compiler;
    const char *kind; /* "release", "debug", ... */
};

/* Everything is borrowed until gateway_close has finished; gateway_reconfigure takes the reloadable part anew. */
struct gateway_config {
    const char *host; /* TCP: an address or name; NULL = no TCP listener */
    uint16_t port;    /* 0 = a free one */
    const char *
        unix_path; /* unix socket; NULL = none. A stale socket file is replaced, a live one is an error. */
    uint32_t unix_mode; /* file mode, 0660 */

    uint32_t connections_max;  /* per listener */
    uint32_t header_bytes_max; /* request line and headers */
    uint64_t body_bytes_max;   /* reloadable, as all below down to `dev` */
    uint64_t response_bytes_max;
    uint32_t batch_items_max;    /* calls of a JSON-RPC batch; transactions of tx_submitBatch */
    uint32_t stream_items_max;   /* transactions of one POST /v1/tx */
    uint32_t calls_max;          /* JSON-RPC calls in flight, all connections together */
    uint32_t blocking_max;       /* of them on the thread pool */
    uint32_t idle_timeout_ms;    /* a connection without traffic; whole seconds; not reloadable */
    uint32_t request_timeout_ms; /* longest and default wait of tx_submit, tx_wait, ... */
    const char *const
        *hosts; /* names accepted in Host besides localhost and address literals; "*" = all */
    size_t hosts_count;
    const char *const *cors_origins; /* exact origins, or "*"; none = CORS off */
    size_t cors_origins_count;

    bool dev;                        /* the dev_ methods answer */
    const struct svm_config *engine; /* limits that node_info tells */
    struct gateway_admin admin;
    struct gateway_build build;
};

/* Transactions awaited at once, over all calls, batches and streams. */
enum { GATEWAY_WAITERS_MAX = 1u << 17 };

/* gateway_config_init: the documented defaults: 127.0.0.1:7878, no unix socket, limits as in docs. */
void gateway_config_init(struct gateway_config *config);

/* gateway_open: listen and serve.
 *   gateway_out  out  gives: gateway_close
 *   loop         in   keeps: until the callback of gateway_close
 *   reason       out  one sentence when it fails: which address or path, and what to do
 * Returns SVM_OK, SVM_E_BAD_CONFIG (an address or limit makes no sense), SVM_E_IO (cannot listen: in use, no right, ...),
 *         SVM_E_NO_MEMORY. */
SVM_MUST_USE enum svm_err gateway_open(struct gateway **gateway_out,
                                       const struct gateway_config *config,
                                       struct svm_engine *engine, uv_loop_t *loop, char *reason,
                                       size_t reason_size);

/* gateway_bound_address: "127.0.0.1:41234" or "[::1]:7878" as bound; "" without a TCP listener. gateway_unix_path: the
 * path, or "". Static until gateway_close. */
const char *gateway_bound_address(const struct gateway *gateway);
const char *gateway_unix_path(const struct gateway *gateway);

/* gateway_reconfigure: take over the reloadable settings of CONFIG. */
void gateway_reconfigure(struct gateway *gateway, const struct gateway_config *config);

/* gateway_drain: take no new connection and answer SHUTTING_DOWN to new submissions; DRAINED runs once, on L, when no call
 * is in flight any more (perhaps before gateway_drain returns). Waits end by request_timeout_ms at the latest. */
typedef void gateway_drained_fn(void *arg);
void gateway_drain(struct gateway *gateway, gateway_drained_fn *drained, void *arg);

/* gateway_set_ready: what /readyz and node_health say of the node as a whole; true after gateway_open. Refuses nothing. */
void gateway_set_ready(struct gateway *gateway, bool ready);

/* gateway_close: stop listening, cut what is still connected, remove the socket file, free.
 *   before   svm_engine_drain has returned: no callback of the engine can come any more
 *   after    CLOSED runs on L when the loop's handles are closed; the loop must run until then. Then svm_engine_close. */
typedef void gateway_closed_fn(void *arg);
void gateway_close(struct gateway *gateway, gateway_closed_fn *closed, void *arg);

#endif
