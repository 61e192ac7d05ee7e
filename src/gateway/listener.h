/* gateway/listener.h - a listening socket, its HTTP daemon (libmicrohttpd without a thread of its own), and their place in
 * the loop: the daemon's epoll descriptor in a uv_poll_t, its timeout in a uv_timer_t.
 *
 * Thread   L. */
#ifndef GATEWAY_LISTENER_H
#define GATEWAY_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include <microhttpd.h>
#include <uv.h>

#include "gateway/connections.h"
#include <svm/error.h>

struct gateway;

struct listener {
    struct gateway *gateway;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer;
    struct connections connections;
    int fd; /* until the daemon has it */
    bool is_unix;
    bool due;      /* something was resumed: run the daemon before the loop sleeps */
    bool quiesced; /* takes no new connection */
    bool knocked;  /* at the last tick somebody was waiting to be accepted, */
    uint64_t accepted, accepted_then; /* and so many had been */
    char address[300];                /* "127.0.0.1:7878", or the path */
};

/* listener_open: bind, listen, serve.
 *   listener_out  out  gives: listener_close
 * Returns SVM_OK, SVM_E_BAD_CONFIG, SVM_E_IO or SVM_E_NO_MEMORY with REASON filled. */
SVM_MUST_USE enum svm_err listener_open_tcp(struct listener **listener_out, struct gateway *gateway,
                                            char *reason, size_t reason_size);
SVM_MUST_USE enum svm_err listener_open_unix(struct listener **listener_out,
                                             struct gateway *gateway, char *reason,
                                             size_t reason_size);

/* listener_run: let the daemon do what is due now. */
void listener_run(struct listener *listener);

/* listener_quiesce: accept nothing more; connections go on. */
void listener_quiesce(struct listener *listener);

/* listener_tick: cut whoever lets the node wait too long; about once in a second. */
void listener_tick(struct listener *listener);

/* listener_connection: what is known of CONNECTION; NULL = nothing. */
struct connection *listener_connection(struct MHD_Connection *connection);

unsigned listener_connections(const struct listener *listener);

/* listener_close: end every connection and begin closing the handles; the memory goes with the last of them. No request
 * may be suspended. */
void listener_close(struct listener *listener);

#endif
