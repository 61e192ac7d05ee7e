#include "gateway/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/assert.h"
#include "base/log.h"
#include "gateway/http.h"
#include "gateway/listener.h"
#include "gateway/probes.h"
#include "gateway/replies.h"
#include "gateway/state.h"

void gateway_config_init(struct gateway_config *config)
{
    *config = (struct gateway_config){
        .host = "127.0.0.1",
        .port = 7878,
        .unix_mode = 0660,
        .connections_max = 1024,
        .header_bytes_max = 32 * 1024,
        .body_bytes_max = 5 * 1024 * 1024,
        .response_bytes_max = 16 * 1024 * 1024,
        .batch_items_max = 1000,
        .stream_items_max = 16384,
        .calls_max = 16384,
        .blocking_max = 4096,
        .idle_timeout_ms = 75000,
        .request_timeout_ms = 30000,
        .build = {.version = "", .commit = "", .compiler = "", .kind = ""},
    };
}

/* ---- the loop --------------------------------------------------------------------------------------------- */

static void on_wake(uv_async_t *wake)
{
    waits_collect(wake->data);
}

/* Before the loop sleeps: connections that were resumed since are served in one go. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct gateway *gateway = prepare->data;
    waits_flush(gateway);
    if (gateway->tcp != NULL && gateway->tcp->due) {
        listener_run(gateway->tcp);
    }
    if (gateway->local != NULL && gateway->local->due) {
        listener_run(gateway->local);
    }
    turns_end(gateway);
}

static void on_deadlines(uv_timer_t *timer)
{
    struct gateway *gateway = timer->data;
    deadlines_run(&gateway->deadlines, uv_now(gateway->loop));
    if (gateway->deadlines.count == 0) {
        uv_timer_stop(timer);
    }
}

void gateway_watch_deadlines(struct gateway *gateway)
{
    if (!uv_is_active((uv_handle_t *)&gateway->deadline_timer)) {
        uv_timer_start(&gateway->deadline_timer, on_deadlines, DEADLINES_TICK_MS,
                       DEADLINES_TICK_MS);
    }
}

static void on_probe(uv_timer_t *timer)
{
    struct gateway *gateway = timer->data;
    probes_tick(gateway);
    replies_cut(gateway);
    http_look(gateway);
    if (gateway->tcp != NULL) {
        listener_tick(gateway->tcp);
    }
    if (gateway->local != NULL) {
        listener_tick(gateway->local);
    }
}

static void open_handles(struct gateway *gateway)
{
    uv_loop_t *loop = gateway->loop;
    (void)uv_async_init(loop, &gateway->wake, on_wake);
    (void)uv_prepare_init(loop, &gateway->prepare);
    (void)uv_timer_init(loop, &gateway->deadline_timer);
    (void)uv_timer_init(loop, &gateway->probe_timer);
    (void)uv_idle_init(loop, &gateway->idle);
    gateway->wake.data = gateway;
    gateway->prepare.data = gateway;
    gateway->deadline_timer.data = gateway;
    gateway->probe_timer.data = gateway;
    gateway->idle.data = gateway;
    gateway->handles += 5;
    (void)uv_prepare_start(&gateway->prepare, on_prepare);
    (void)uv_timer_start(&gateway->probe_timer, on_probe, 0, PROBES_TICK_MS);
}

/* ---- opening ---------------------------------------------------------------------------------------------- */

static const char *config_flaw(const struct gateway_config *config)
{
    if (config->host == NULL && config->unix_path == NULL) {
        return "there is neither an address nor a unix socket to listen on";
    }
    if (config->connections_max == 0 || config->calls_max == 0 || config->blocking_max == 0 ||
        config->batch_items_max == 0 || config->stream_items_max == 0 ||
        config->request_timeout_ms == 0) {
        return "a limit of the gateway is 0";
    }
    if (config->body_bytes_max < 1024 || config->response_bytes_max < 16384 ||
        config->header_bytes_max < 4096) {
        return "a byte limit of the gateway is too small: body 1 KiB, response 16 KiB, headers 4 "
               "KiB";
    }
    return NULL;
}

static bool join_openrpc(struct gateway *gateway)
{
    struct text text;
    text_init(&text, SIZE_MAX);
    for (size_t i = 0; i < rpc_openrpc_count; i++) {
        text_puts(&text, rpc_openrpc[i]);
    }
    gateway->openrpc_len = text.len;
    const bool whole = !text.overflow;
    gateway->openrpc = text_take(&text);
    return whole;
}

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static enum svm_err open_listeners(struct gateway *gateway, char *reason, size_t reason_size)
{
    if (gateway->config.host != NULL) {
        const enum svm_err err = listener_open_tcp(&gateway->tcp, gateway, reason, reason_size);
        if (err != SVM_OK) {
            return err;
        }
    }
    if (gateway->config.unix_path != NULL) {
        return listener_open_unix(&gateway->local, gateway, reason, reason_size);
    }
    return SVM_OK;
}

static void gateway_free(struct gateway *gateway)
{
    ring_destroy(gateway->completions);
    free(gateway->openrpc);
    free(gateway);
}

/* Close what a failed open has opened: the loop has not seen the handles, so a few turns end them. */
static void undo_open(struct gateway *gateway)
{
    uv_loop_t *loop = gateway->loop;
    gateway_close(gateway, NULL, NULL);
    (void)uv_run(loop, UV_RUN_NOWAIT);
    (void)uv_run(loop, UV_RUN_NOWAIT);
}

enum svm_err gateway_open(struct gateway **gateway_out, const struct gateway_config *config,
                          struct svm_engine *engine, uv_loop_t *loop, char *reason,
                          size_t reason_size)
{
    const char *flaw = config_flaw(config);
    if (flaw != NULL) {
        snprintf(reason, reason_size, "%s", flaw);
        return SVM_E_BAD_CONFIG;
    }
    snprintf(reason, reason_size, "out of memory");
    json_object_seed(0);
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (gateway == NULL) {
        return SVM_E_NO_MEMORY;
    }
    gateway->config = *config;
    gateway->engine = engine;
    gateway->loop = loop;
    gateway->ready = true;
    gateway->started_ms = wall_ms();
    gateway->completions = ring_create(GATEWAY_WAITERS_MAX);
    if (gateway->completions == NULL || !join_openrpc(gateway)) {
        gateway_free(gateway);
        return SVM_E_NO_MEMORY;
    }
    deadlines_init(&gateway->deadlines, uv_now(loop));
    svm_chain_info(engine, &gateway->chain);
    for (unsigned i = 0; config->dev && i < GATEWAY_DEV_ACCOUNTS; i++) {
        svm_dev_account(&gateway->dev_accounts[i], i);
    }
    open_handles(gateway);
    const enum svm_err err = open_listeners(gateway, reason, reason_size);
    if (err != SVM_OK) {
        undo_open(gateway);
        return err;
    }
    *gateway_out = gateway;
    return SVM_OK;
}

const char *gateway_bound_address(const struct gateway *gateway)
{
    return gateway->tcp != NULL ? gateway->tcp->address : "";
}

const char *gateway_unix_path(const struct gateway *gateway)
{
    return gateway->local != NULL ? gateway->local->address : "";
}

void gateway_reconfigure(struct gateway *gateway, const struct gateway_config *config)
{
    struct gateway_config *mine = &gateway->config;
    mine->body_bytes_max = config->body_bytes_max;
    __atomic_store_n(&mine->response_bytes_max, config->response_bytes_max, __ATOMIC_RELAXED);
    mine->batch_items_max = config->batch_items_max;
    mine->stream_items_max = config->stream_items_max;
    mine->calls_max = config->calls_max;
    mine->blocking_max = config->blocking_max;
    mine->request_timeout_ms = config->request_timeout_ms;
    mine->hosts = config->hosts;
    mine->hosts_count = config->hosts_count;
    mine->cors_origins = config->cors_origins;
    mine->cors_origins_count = config->cors_origins_count;
    mine->engine = config->engine;
}

/* ---- the end ---------------------------------------------------------------------------------------------- */

void gateway_set_ready(struct gateway *gateway, bool ready)
{
    gateway->ready = ready;
}

void gateway_begin_drain(struct gateway *gateway)
{
    gateway->draining = true;
}

void gateway_drain(struct gateway *gateway, gateway_drained_fn *drained, void *arg)
{
    gateway->draining = true;
    gateway->drained = drained;
    gateway->drained_arg = arg;
    if (gateway->tcp != NULL) {
        listener_quiesce(gateway->tcp);
    }
    if (gateway->local != NULL) {
        listener_quiesce(gateway->local);
    }
    gateway_settle(gateway);
}

static void stop_listener(struct listener **listener)
{
    if (*listener != NULL) {
        listener_close(*listener);
        *listener = NULL;
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct gateway *gateway = handle->data;
    gateway->handles--;
    gateway_settle(gateway);
}

/* Nothing of ours is on another thread any more: the handles may go. */
static void close_handles(struct gateway *gateway)
{
    gateway->stopped = true;
    uv_close((uv_handle_t *)&gateway->wake, on_closed);
    uv_close((uv_handle_t *)&gateway->prepare, on_closed);
    uv_close((uv_handle_t *)&gateway->deadline_timer, on_closed);
    uv_close((uv_handle_t *)&gateway->probe_timer, on_closed);
    uv_close((uv_handle_t *)&gateway->idle, on_closed);
}

/* Requests of which the reply is being sent count as well: an answer that was given is delivered. */
static bool is_idle(const struct gateway *gateway)
{
    return gateway->calls == 0 && gateway->requests_count == 0;
}

void gateway_settle(struct gateway *gateway)
{
    if (gateway->drained != NULL && is_idle(gateway)) {
        gateway_drained_fn *drained = gateway->drained;
        gateway->drained = NULL;
        drained(gateway->drained_arg);
        return;
    }
    if (!gateway->closing) {
        return;
    }
    if (!gateway->stopped) {
        if (gateway->tcp == NULL && gateway->local == NULL && gateway->calls == 0 &&
            gateway->waiters == 0) {
            close_handles(gateway);
        }
        return;
    }
    if (gateway->handles == 0) {
        gateway_closed_fn *closed = gateway->closed;
        void *arg = gateway->closed_arg;
        gateway_free(gateway);
        if (closed != NULL) {
            closed(arg);
        }
    }
}

void gateway_close(struct gateway *gateway, gateway_closed_fn *closed, void *arg)
{
    SVM_ASSERT(!gateway->closing);
    gateway->closed = closed;
    gateway->closed_arg = arg;
    gateway->drained = NULL;
    waits_collect(gateway);
    gateway->closing = true;
    for (struct http_request *request = gateway->requests; request != NULL;
         request = request->next) {
        http_abandon(request);
    }
    stop_listener(&gateway->tcp);
    stop_listener(&gateway->local);
    gateway_settle(gateway);
}
