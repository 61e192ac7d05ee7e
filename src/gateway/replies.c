#include "gateway/replies.h"

#include "base/assert.h"
#include "base/log.h"
#include "gateway/http.h"
#include "gateway/state.h"

uint64_t replies_limit(const struct gateway *gateway)
{
    return GATEWAY_REPLIES_MAX * gateway_response_max(gateway);
}

bool replies_add(struct gateway *gateway, size_t bytes, size_t whole)
{
    const uint64_t before =
        atomic_fetch_add_explicit(&gateway->replies.bytes, bytes, memory_order_relaxed);
    if (whole <= REPLY_SMALL || before + bytes <= replies_limit(gateway)) {
        return true;
    }
    replies_drop(gateway, bytes);
    return false;
}

void replies_drop(struct gateway *gateway, size_t bytes)
{
    const uint64_t before =
        atomic_fetch_sub_explicit(&gateway->replies.bytes, bytes, memory_order_relaxed);
    SVM_ASSERT(before >= bytes);
}

static uint64_t held(const struct gateway *gateway)
{
    return atomic_load_explicit(&gateway->replies.bytes, memory_order_relaxed);
}

bool replies_have_room(const struct gateway *gateway, size_t bytes)
{
    return bytes <= REPLY_SMALL || held(gateway) + bytes <= replies_limit(gateway);
}

void replies_hold(struct http_request *request)
{
    replies_release(request);
    request->reply_held = request->reply.len;
    (void)replies_add(request->listener->gateway, request->reply_held, 0);
}

void replies_release(struct http_request *request)
{
    struct gateway *gateway = request->listener->gateway;
    replies_drop(gateway, request->reply_held);
    if (request->cut) {
        gateway->replies.leaving -= request->reply_held;
        request->cut = false;
    }
    request->reply_held = 0;
}

/* ---- making room ------------------------------------------------------------------------------------------ */

/* The connection of either listener that had the time since SINCE_MS and holds most. */
static struct connection *find_largest(const struct gateway *gateway, struct connections **list_out,
                                       uint64_t since_ms)
{
    struct listener *const listeners[] = {gateway->tcp, gateway->local};
    struct connection *largest = NULL;
    for (size_t i = 0; i < sizeof listeners / sizeof listeners[0]; i++) {
        struct connection *found =
            listeners[i] != NULL ? connections_largest(&listeners[i]->connections, since_ms) : NULL;
        if (found != NULL && (largest == NULL || found->reply_bytes > largest->reply_bytes)) {
            largest = found;
            *list_out = &listeners[i]->connections;
        }
    }
    return largest;
}

static void cut(struct gateway *gateway, struct connections *list, struct connection *connection)
{
    struct http_request *request = connection->request;
    request->cut = true;
    gateway->replies.leaving += request->reply_held;
    gateway->counters.http_cut++;
    log_event(LOG_LEVEL_DEBUG, "gateway.cut", log_str("address", request->listener->address),
              log_u64("reply_bytes", request->reply_held));
    connections_shut(list, connection);
}

void replies_cut(struct gateway *gateway)
{
    const uint64_t now_ms = uv_now(gateway->loop);
    if (now_ms == gateway->replies.looked_ms || now_ms < REPLY_WAIT_MS) {
        return;
    }
    gateway->replies.looked_ms = now_ms;
    while (held(gateway) - gateway->replies.leaving > replies_limit(gateway) / 2) {
        struct connections *list = NULL;
        struct connection *largest = find_largest(gateway, &list, now_ms - REPLY_WAIT_MS);
        if (largest == NULL) {
            return;
        }
        cut(gateway, list, largest);
    }
}

struct rpc_error replies_overloaded(const struct gateway *gateway)
{
    return (struct rpc_error){.err = SVM_E_OVERLOADED,
                              .notes = {{.key = "scope", .text = "replies"},
                                        {.key = "limit", .number = replies_limit(gateway)}}};
}
