/* gateway/connections.h - the connections of a listener that the node waits for, so that nobody holds one for ever.
 *
 *      connected, or answered --> waiting: the request is not whole --> working --> waiting: the reply is not taken --> ...
 *
 * The HTTP library ends connections that are silent. A client that sends or takes a byte now and then is not: here the whole
 * wait has a limit. And when every connection is taken, those that have waited longest make room for others.
 *
 * Thread   L. */
#ifndef GATEWAY_CONNECTIONS_H
#define GATEWAY_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection {
    struct connection *next, *prev; /* in the order of since_ms */
    uint64_t since_ms;              /* waiting since */
    void *request;                  /* http.c's, not completed yet */
    size_t reply_bytes;             /* of a reply that the client has not taken */
    int fd;
    bool waiting; /* in the list */
};

struct connections {
    struct connection *first, *last; /* the first has waited longest */
    unsigned count;                  /* all, waiting or not */
};

/* connections_add: a new connection on FD; it waits. NULL = no memory. connections_remove: it has ended; frees. */
struct connection *connections_add(struct connections *list, int fd, uint64_t now_ms);
void connections_remove(struct connections *list, struct connection *connection);

/* connections_wait: from NOW_MS on the node waits for the client (again). connections_work: the client waits for the node. */
void connections_wait(struct connections *list, struct connection *connection, uint64_t now_ms);
void connections_work(struct connections *list, struct connection *connection);

/* connections_has_left: has the client closed CONNECTION, or its side of it? The library does not look at a connection that is suspended. */
bool connections_has_left(const struct connection *connection);

/* connections_cut: shut those that have waited since before SINCE_MS, at most COUNT, the longest first. The library then sees
 * their end, and removes them. Returns how many. */
unsigned connections_cut(struct connections *list, uint64_t since_ms, unsigned count);

/* connections_largest: of those that have waited since before SINCE_MS, the one with the largest reply, of equals the one that has waited
 * longest; NULL = none has a reply. connections_shut: cut this one. */
struct connection *connections_largest(const struct connections *list, uint64_t since_ms);
void connections_shut(struct connections *list, struct connection *connection);

#endif
