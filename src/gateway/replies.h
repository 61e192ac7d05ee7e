/* gateway/replies.h - the bytes of answers that are made and that their clients have not taken, all connections together.
 *
 *      a call's result --replies_add--> of the exchange --> the whole reply --> the HTTP library --replies_drop--> taken, or cut
 *
 * The sum has a limit, replies_limit. What is small is beside it: a reply of at most REPLY_SMALL is never refused, and there is one to
 * a connection. Above half of the limit those who do not read make room: whoever has had REPLY_WAIT_MS to take a reply may be cut,
 * the largest reply first. So the fewest clients lose theirs, and those that fill the memory before those that use a little of it. When that
 * is not enough, batches and what is not small are OVERLOADED, before they have done anything: what was done is answered.
 *
 * Thread   L, but for replies_add and replies_drop. */
#ifndef GATEWAY_REPLIES_H
#define GATEWAY_REPLIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/rpc_error.h"

struct gateway;
struct http_request;

/* So many replies of the largest size may wait for their clients. */
enum { GATEWAY_REPLIES_MAX = 16, REPLY_SMALL = 64 * 1024, REPLY_WAIT_MS = 1000 };

uint64_t replies_limit(const struct gateway *gateway);

/* replies_add: count BYTES, with which their reply has WHOLE; false = there is no room, and nothing was counted.
 * replies_drop: they are gone. Any thread. */
bool replies_add(struct gateway *gateway, size_t bytes, size_t whole);
void replies_drop(struct gateway *gateway, size_t bytes);

/* replies_have_room: would replies_add take a reply of BYTES more? */
bool replies_have_room(const struct gateway *gateway, size_t bytes);

/* replies_hold: count what REQUEST is answered with, whatever the limit. replies_release: it is taken, or lost. */
void replies_hold(struct http_request *request);
void replies_release(struct http_request *request);

/* replies_cut: above half of the limit, cut those who have had the time to read; once in a turn of the loop. Their bytes are free when
 * the library has seen the end of the connections. */
void replies_cut(struct gateway *gateway);

/* replies_overloaded: what to say when there is no room. */
struct rpc_error replies_overloaded(const struct gateway *gateway);

#endif
