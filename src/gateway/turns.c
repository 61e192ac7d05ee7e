#include "gateway/turns.h"

#include "gateway/http.h"
#include "gateway/state.h"

static bool is_long(const struct http_request *request)
{
    return request->body_len > TURN_BODY_SMALL || http_is_batch(request);
}

static bool time_is_left(struct turns *turns)
{
    const uint64_t now_ns = uv_hrtime();
    if (turns->until_ns == 0) {
        turns->until_ns = now_ns + TURN_MS * 1000000u;
    }
    return now_ns < turns->until_ns;
}

static void on_idle(uv_idle_t *idle)
{
    turns_run(idle->data);
}

bool turns_take(struct http_request *request)
{
    struct gateway *gateway = request->listener->gateway;
    struct turns *turns = &gateway->turns;
    if (!is_long(request) || (turns->first == NULL && time_is_left(turns))) {
        return true;
    }
    request->in_line = true;
    request->line_next = NULL;
    request->line_prev = turns->last;
    if (turns->last != NULL) {
        turns->last->line_next = request;
    } else {
        turns->first = request;
        (void)uv_idle_start(&gateway->idle, on_idle);
    }
    turns->last = request;
    return false;
}

void turns_leave(struct http_request *request)
{
    struct gateway *gateway = request->listener->gateway;
    struct turns *turns = &gateway->turns;
    if (!request->in_line) {
        return;
    }
    if (request->line_next != NULL) {
        request->line_next->line_prev = request->line_prev;
    } else {
        turns->last = request->line_prev;
    }
    if (request->line_prev != NULL) {
        request->line_prev->line_next = request->line_next;
    } else {
        turns->first = request->line_next;
    }
    request->in_line = false;
    if (turns->first == NULL) {
        (void)uv_idle_stop(&gateway->idle);
    }
}

void turns_run(struct gateway *gateway)
{
    gateway->turns.until_ns = 0;
    do {
        struct http_request *request = gateway->turns.first;
        if (request == NULL) {
            return;
        }
        turns_leave(request);
        if (http_has_left(request)) {
            http_drop(request);
        } else {
            http_work(request);
        }
    } while (time_is_left(&gateway->turns));
}

void turns_end(struct gateway *gateway)
{
    gateway->turns.until_ns = 0;
}
