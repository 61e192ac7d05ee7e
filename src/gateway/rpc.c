/*~ The dispatcher.
 *
 * A request has become a struct rpc_call with an id. From here: find the method in the table, see whether it may be called
 * from where the caller is, turn the JSON parameters into the method's C struct, and run it - at once on the loop, or on a
 * thread of libuv's pool when it may block. The method's answer is written as JSON by whichever thread it ran on, so that
 * a page of a thousand objects costs the loop nothing but sending it. */
#include "gateway/rpc.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/exchange.h"
#include "gateway/replies.h"
#include "gateway/state.h"

/* What the three kinds of answer point to. Nobody else can make one. */
struct rpc_answer {
    bool later;
};
static const struct rpc_answer answer_now = {.later = false};
static const struct rpc_answer answer_later = {.later = true};

struct gateway *rpc_gateway(const struct rpc_call *call)
{
    return call->gateway;
}

struct svm_engine *rpc_engine(const struct rpc_call *call)
{
    return call->gateway->engine;
}

struct arena *rpc_arena(struct rpc_call *call)
{
    return &call->arena;
}

/* ---- answers ---------------------------------------------------------------------------------------------- */

static void put_head(struct rpc_call *call, const char *member)
{
    text_puts(&call->out, "{\"jsonrpc\":\"2.0\",\"id\":");
    text_puts(&call->out, call->id);
    text_puts(&call->out, ",\"");
    text_puts(&call->out, member);
    text_puts(&call->out, "\":");
}

static void put_error(struct rpc_call *call, const struct rpc_error *error)
{
    call->err = rpc_error_public(error->err);
    if (call->id == NULL) {
        return;
    }
    text_truncate(&call->out, 0);
    call->out.limit = RPC_ERROR_BYTES_MAX + strlen(call->id); /* an error always fits */
    put_head(call, "error");
    rpc_error_write(&call->out, error);
    text_put_char(&call->out, '}');
}

/* The result cannot be kept. */
static void unseal(struct rpc_call *call, const struct rpc_error *error)
{
    atomic_fetch_sub_explicit(&call->exchange->answered, call->out.len, memory_order_relaxed);
    text_deinit(&call->out);
    put_error(call, error);
}

/* The result has been written: close the object, or say that it was too large. */
static const struct rpc_answer *seal(struct rpc_call *call)
{
    const size_t limit = gateway_response_max(call->gateway);
    text_put_char(&call->out, '}');
    /* a batch is one response: what its other calls have answered counts */
    const size_t before =
        atomic_fetch_add_explicit(&call->exchange->answered, call->out.len, memory_order_relaxed);
    if (call->out.overflow || before > limit - call->out.len) {
        unseal(call, &(struct rpc_error){.err = SVM_E_RESPONSE_TOO_LARGE,
                                         .notes = {{.key = "limit", .number = limit}}});
    } else if (!replies_add(call->gateway, call->out.len,
                            call->method->read_only ? before + call->out.len : 0)) {
        /* what has changed something is not refused any more */
        const struct rpc_error error = replies_overloaded(call->gateway);
        unseal(call, &error);
    }
    return &answer_now;
}

const struct rpc_answer *rpc_answer_value(struct rpc_call *call, const struct schema *schema,
                                          const void *value)
{
    call->err = SVM_OK;
    if (call->id == NULL) {
        return &answer_now;
    }
    put_head(call, "result");
    schema_write(&call->out, schema, value);
    return seal(call);
}

const struct rpc_answer *rpc_answer_json(struct rpc_call *call, struct svm_bytes json)
{
    call->err = SVM_OK;
    if (call->id == NULL) {
        return &answer_now;
    }
    put_head(call, "result");
    text_put(&call->out, (const char *)json.ptr, json.len);
    return seal(call);
}

const struct rpc_answer *rpc_fail_error(struct rpc_call *call, const struct rpc_error *error)
{
    put_error(call, error);
    return &answer_now;
}

const struct rpc_answer *rpc_fail(struct rpc_call *call, enum svm_err err)
{
    return rpc_fail_error(call, &(struct rpc_error){.err = err});
}

const struct rpc_answer *rpc_fail_refusal(struct rpc_call *call, enum svm_err err,
                                          const struct svm_refusal *refusal)
{
    return rpc_fail_error(call, &(struct rpc_error){.err = err, .refusal = refusal});
}

const struct rpc_answer *rpc_fail_param(struct rpc_call *call, const char *param,
                                        const char *expected, const char *got)
{
    return rpc_fail_error(
        call, &(struct rpc_error){.err = SVM_E_INVALID_PARAMS,
                                  .notes = {{.key = "param", .text = param},
                                            {.key = "expected", .text = expected},
                                            {.key = got != NULL ? "got" : NULL, .text = got}}});
}

/* ---- the end of a call ------------------------------------------------------------------------------------ */

static void count_call(struct rpc_call *call)
{
    struct gateway_counters *counters = &call->gateway->counters;
    const size_t index =
        call->method != NULL ? (size_t)(call->method - rpc_methods) : RPC_METHODS_MAX;
    const uint64_t us = (uv_hrtime() - call->started_ns) / 1000;
    size_t bucket = 0;
    while (bucket < SVM_HISTOGRAM_BOUNDS && us > svm_histogram_le_us[bucket]) {
        bucket++;
    }
    counters->requests[index][call->err]++;
    counters->durations[index][bucket]++;
    counters->duration_us[index] += us;
}

/* CALL is answered: what it was worked with is not kept until the others of its batch are. */
static void call_answered(struct rpc_call *call)
{
    if (call->id_text != NULL) { /* else the id is in there, too */
        arena_deinit(&call->arena);
        call->params = NULL;
    }
}

static void exchange_call_ended(struct rpc_exchange *exchange)
{
    SVM_ASSERT(exchange->waiting > 0);
    if (--exchange->waiting == 0) {
        if (exchange->done != NULL) {
            exchange->done(exchange->arg, exchange);
        } else {
            exchange_end(exchange);
        }
    }
}

/* A call that was in flight ends here, later than its dispatch. */
static void call_ended_late(struct rpc_call *call)
{
    struct gateway *gateway = call->gateway;
    SVM_ASSERT(gateway->calls > 0);
    gateway->calls--;
    exchange_call_ended(call->exchange);
    gateway_settle(gateway);
}

static void group_done(void *arg, const struct wait_group *group)
{
    struct rpc_call *call = arg;
    const struct rpc_answer *answer = call->finish(call, group, call->finish_arg);
    SVM_ASSERT(!answer->later);
    count_call(call);
    call_ended_late(call);
}

const struct rpc_answer *rpc_later_group(struct rpc_call *call, struct wait_group *group,
                                         uint32_t timeout_ms, rpc_finish_fn *finish, void *arg)
{
    call->finish = finish;
    call->finish_arg = arg;
    if (waits_start(group, timeout_ms, group_done, call)) {
        const struct rpc_answer *answer = finish(call, group, arg);
        SVM_ASSERT(!answer->later);
        waits_release(group);
        return answer;
    }
    return &answer_later;
}

/* ---- running ---------------------------------------------------------------------------------------------- */

static void pool_run(uv_work_t *work)
{
    struct rpc_call *call = work->data;
    const struct rpc_answer *answer = call->method->run(call, call->params);
    SVM_ASSERT(!answer->later); /* a method of the pool blocks instead */
}

static void pool_done(uv_work_t *work, int status)
{
    struct rpc_call *call = work->data;
    SVM_ASSERT(call->gateway->blocking > 0);
    call->gateway->blocking--;
    call->on_pool = false;
    call_answered(call);
    if (status != UV_ECANCELED) {
        count_call(call);
    }
    call_ended_late(call);
}

static const struct rpc_answer *overloaded(struct rpc_call *call, const char *scope, uint64_t limit)
{
    return rpc_fail_error(call, &(struct rpc_error){.err = SVM_E_OVERLOADED,
                                                    .notes = {{.key = "scope", .text = scope},
                                                              {.key = "limit", .number = limit}}});
}

static const struct rpc_answer *start(struct rpc_call *call)
{
    struct gateway *gateway = call->gateway;
    /* A batch is told before more of it is done. */
    const size_t answered = call->exchange->answered;
    if (answered >= gateway->config.response_bytes_max) {
        return rpc_fail_error(
            call, &(struct rpc_error){
                      .err = SVM_E_RESPONSE_TOO_LARGE,
                      .notes = {{.key = "limit", .number = gateway->config.response_bytes_max}}});
    }
    if (!replies_have_room(gateway, answered)) {
        const struct rpc_error error = replies_overloaded(gateway);
        return rpc_fail_error(call, &error);
    }
    if (gateway->calls >= gateway->config.calls_max) {
        return overloaded(call, "calls", gateway->config.calls_max);
    }
    if (!call->method->on_pool) {
        return call->method->run(call, call->params);
    }
    if (gateway->blocking >= gateway->config.blocking_max) {
        return overloaded(call, "blockingCalls", gateway->config.blocking_max);
    }
    call->work.data = call;
    if (uv_queue_work(gateway->loop, &call->work, pool_run, pool_done) != 0) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    gateway->blocking++;
    call->on_pool = true;
    return &answer_later;
}

static const struct rpc_method *find_method(const char *name)
{
    size_t low = 0, high = rpc_methods_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(name, rpc_methods[middle].name);
        if (order == 0) {
            return &rpc_methods[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

static const struct rpc_answer *no_method(struct rpc_call *call, const char *name)
{
    const char *names[RPC_METHODS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < rpc_methods_count; i++) {
        if (rpc_methods[i].exposure == RPC_PUBLIC ||
            (rpc_methods[i].exposure == RPC_DEV && call->gateway->config.dev)) {
            names[count++] = rpc_methods[i].name;
        }
    }
    const char *nearest = schema_nearest(name, names, count);
    return rpc_fail_error(
        call, &(struct rpc_error){
                  .err = SVM_E_METHOD_NOT_FOUND,
                  .notes = {{.key = nearest != NULL ? "didYouMean" : NULL, .text = nearest}}});
}

/* May the method be called from where the caller is? NULL = yes. */
static const struct rpc_answer *check_exposure(struct rpc_call *call)
{
    switch (call->method->exposure) {
    case RPC_PUBLIC:
        return NULL;
    case RPC_ADMIN:
        if (call->exchange->over_unix) {
            return NULL;
        }
        return rpc_fail_error(
            call, &(struct rpc_error){.err = SVM_E_FORBIDDEN,
                                      .message = "admin methods answer on the unix socket only",
                                      .notes = {{.key = "namespace", .text = "admin"},
                                                {.key = "needed", .text = "the unix socket"}}});
    case RPC_DEV:
        if (call->gateway->config.dev) {
            return NULL;
        }
        return rpc_fail_error(
            call, &(struct rpc_error){.err = SVM_E_METHOD_DISABLED,
                                      .message = "dev methods answer on a development chain only",
                                      .notes = {{.key = "namespace", .text = "dev"},
                                                {.key = "enableWith", .text = "--dev"}}});
    }
    return NULL;
}

static const struct rpc_answer *dispatch(struct rpc_call *call, const json_t *params)
{
    struct rpc_error error;
    call->params = arena_get(&call->arena, call->method->params->size);
    if (call->params == NULL) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    if (!schema_parse_params(call->params, &error, &call->arena, call->method->params, params)) {
        return rpc_fail_error(call, &error);
    }
    return start(call);
}

/* PARAMS as JSON, unless the call has its parameters already. */
static void run(struct rpc_call *call, const char *method, const json_t *params)
{
    call->started_ns = uv_hrtime();
    call->exchange->waiting++;
    call->method = find_method(method);
    const struct rpc_answer *answer =
        call->method == NULL ? no_method(call, method) : check_exposure(call);
    if (answer == NULL) {
        answer = call->params != NULL ? start(call) : dispatch(call, params);
    }
    if (answer->later) {
        call->gateway->calls++;
    } else {
        count_call(call);
        call_answered(call);
        exchange_call_ended(call->exchange);
    }
}

void call_run(struct rpc_call *call, const char *method, const json_t *params)
{
    run(call, method, params);
}

void call_run_typed(struct rpc_call *call, const char *method, void *params)
{
    call->params = params;
    run(call, method, NULL);
}
