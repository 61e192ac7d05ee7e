#include "gateway/probes.h"

#include <stdio.h>

#include "gateway/gen/rpc_types.h"
#include "gateway/http.h"
#include "gateway/routing.h"
#include "gateway/state.h"

#define TYPE_TEXT "text/plain; charset=utf-8"

void probes_tick(struct gateway *gateway)
{
    struct probes *probes = &gateway->probes;
    const char *names[PROBES_THREADS_MAX];
    uint64_t ticks[PROBES_THREADS_MAX];
    const uint64_t now_ms = uv_now(gateway->loop);
    const size_t count = svm_progress(gateway->engine, names, ticks, PROBES_THREADS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (i >= probes->count || ticks[i] != probes->ticks[i]) {
            probes->ticks[i] = ticks[i];
            probes->moved_ms[i] = now_ms;
        }
    }
    probes->count = count;
}

/* A thread of the engine that has not moved for PROBES_STALL_MS makes the node as good as dead. */
static void check_threads(struct gateway *gateway, struct probe_check *check)
{
    const struct probes *probes = &gateway->probes;
    const char *names[PROBES_THREADS_MAX];
    uint64_t ticks[PROBES_THREADS_MAX];
    const size_t count = svm_progress(gateway->engine, names, ticks, PROBES_THREADS_MAX);
    *check = (struct probe_check){.name = "threads", .ok = true};
    snprintf(check->text, sizeof check->text, "%zu threads move", probes->count);
    for (size_t i = 0; i < probes->count && i < count; i++) {
        const uint64_t still_ms = uv_now(gateway->loop) - probes->moved_ms[i];
        if (ticks[i] == probes->ticks[i] && still_ms > PROBES_STALL_MS) {
            check->ok = false;
            snprintf(check->text, sizeof check->text, "a %s thread has not moved for %llu ms",
                     names[i], (unsigned long long)still_ms);
        }
    }
}

static void check_engine(struct gateway *gateway, struct probe_check *check)
{
    struct svm_refusal detail = {0};
    const enum svm_err err = svm_health(gateway->engine, &detail);
    *check = (struct probe_check){.name = "engine", .ok = err == SVM_OK};
    snprintf(check->text, sizeof check->text, "%s",
             err == SVM_OK              ? "accepts transactions"
             : detail.reason[0] != '\0' ? detail.reason
                                        : svm_err_text(err));
}

/* What the engine refuses is not admitted, whatever the gateway thinks. */
static void check_admission(struct gateway *gateway, struct probe_check *check)
{
    const enum svm_err err = svm_health(gateway->engine, NULL);
    const bool open = gateway->ready && !gateway->draining;
    *check = (struct probe_check){.name = "admission", .ok = open && err == SVM_OK};
    if (open && err != SVM_OK) {
        snprintf(check->text, sizeof check->text, "%s: see engine",
                 svm_err_name(rpc_error_public(err)));
        return;
    }
    snprintf(check->text, sizeof check->text, "%s",
             gateway->draining ? "draining: nothing new is admitted"
             : open            ? "open"
                               : "the node is starting or stopping");
}

static void check_calls(struct gateway *gateway, struct probe_check *check)
{
    *check =
        (struct probe_check){.name = "calls", .ok = gateway->calls < gateway->config.calls_max};
    snprintf(check->text, sizeof check->text, "%zu of %u in flight", gateway->calls,
             gateway->config.calls_max);
}

size_t probes_run(struct gateway *gateway, struct probe_check checks[PROBE_CHECKS_MAX])
{
    check_threads(gateway, &checks[0]);
    check_engine(gateway, &checks[1]);
    check_admission(gateway, &checks[2]);
    check_calls(gateway, &checks[3]);
    return 4;
}

void probes_livez(struct http_request *request)
{
    struct probe_check check;
    struct text text;
    text_init(&text, 1024);
    check_threads(request->listener->gateway, &check);
    text_puts(&text, check.ok ? "ok" : check.text);
    text_put_char(&text, '\n');
    http_reply(request, check.ok ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, TYPE_TEXT, &text);
}

void probes_readyz(struct http_request *request)
{
    struct probe_check checks[PROBE_CHECKS_MAX];
    struct text text;
    const char *value;
    bool ready = true;
    const bool verbose = http_query(request, "verbose", &value);
    const size_t count = probes_run(request->listener->gateway, checks);
    text_init(&text, 4096);
    for (size_t i = 0; i < count; i++) {
        ready = ready && checks[i].ok;
    }
    for (size_t i = 0; i < count; i++) {
        if (verbose || !checks[i].ok) {
            text_printf(&text, "[%c]%s: %s\n", checks[i].ok ? '+' : '-', checks[i].name,
                        checks[i].text);
        }
    }
    text_puts(&text, ready ? "ready\n" : "not ready\n");
    if (!ready) {
        request->retry_after_ms = RPC_RETRY_AFTER_MS;
    }
    http_reply(request, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, TYPE_TEXT, &text);
}

void routing_reply(struct http_request *request)
{
    struct gateway *gateway = request->listener->gateway;
    struct svm_stats stats;
    struct routing_counts counts;
    struct rpc_stats_routing_result result;
    struct text text;
    svm_stats(gateway->engine, &stats);
    routing_result(&result, &counts, &stats);
    text_init(&text, gateway->config.response_bytes_max);
    schema_write(&text, &rpc_schema_stats_routing_result, &result);
    text_put_char(&text, '\n');
    http_reply(request, MHD_HTTP_OK, "application/json", &text);
}
