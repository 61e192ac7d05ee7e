/* history/node.h - a node to be asked and killed, and a connection to it.
 *
 * The node is a supervmd on the development chain with a data directory; clients reach it by its unix socket, whose path outlives it. */
#ifndef HISTORY_NODE_H
#define HISTORY_NODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct node {
    const char *program, *durability;
    char dir[128];
    pid_t pid;
};
/* node_start: a life of NODE in its directory; ready when this returns. false = it ended or is not ready within a minute. */
bool node_start(struct node *node);
void node_kill(struct node *node); /* SIGKILL, and gone */
/* node_stop: SIGTERM; its exit code, or 128 + signal. */
int node_stop(struct node *node);
bool node_alive(struct node *node);
void node_remove(struct node *node); /* its directory */

struct link {
    int fd;
    char *in;
    size_t cap;
};
bool link_open(struct link *link, const struct node *node);
void link_close(struct link *link);
/* link_call: METHOD with PARAMS (JSON text). Gives (json_decref) the whole answer; NULL = the connection is gone. */
json_t *link_call(struct link *link, const char *method, const char *params, size_t params_len);

uint64_t now_ns(void);
/* fail: one sentence to stdout, exit code 1. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
