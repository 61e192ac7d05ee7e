#include "gateway/exchange.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/quick.h"
#include "gateway/replies.h"
#include "gateway/state.h"

/* A parsed value costs some hundred bytes: a body may hold one per so many bytes of the limit of bodies, and a few. */
enum { BODY_BYTES_PER_VALUE = 16, VALUES_MIN = 1024 };

void rpc_error_response(struct text *text, const struct rpc_error *error)
{
    text_puts(text, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":");
    rpc_error_write(text, error);
    text_put_char(text, '}');
}

/* ---- calls ------------------------------------------------------------------------------------------------ */

void call_init(struct rpc_call *call, struct rpc_exchange *exchange)
{
    *call = (struct rpc_call){.exchange = exchange, .gateway = exchange->gateway};
    arena_init(&call->arena);
    text_init(&call->out, exchange->gateway->config.response_bytes_max);
}

void call_deinit(struct rpc_call *call)
{
    arena_deinit(&call->arena);
    free(call->id_text);
    text_deinit(&call->out);
}

/* The shortest decimal form that reads back as the same number. */
static void put_real(struct text *text, double value)
{
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) {
            break;
        }
    }
    text_puts(text, digits);
    if (strpbrk(digits, ".eE") == NULL) {
        text_puts(text, ".0"); /* it came with a fraction or an exponent: it stays a real */
    }
}

static void put_id(struct text *text, const json_t *id)
{
    if (json_is_string(id)) {
        text_put_string(text, json_string_value(id), json_string_length(id));
    } else if (json_is_integer(id)) {
        text_put_i64(text, json_integer_value(id));
    } else if (json_is_real(id)) {
        put_real(text, json_real_value(id));
    } else {
        text_puts(text, "null");
    }
}

void call_set_id(struct rpc_call *call, const json_t *id)
{
    struct text text;
    text_init(&text, 6 * call->gateway->config.body_bytes_max + 64);
    put_id(&text, id);
    text_put_char(&text, '\0');
    call->id_text = text.overflow ? NULL : text_take(&text);
    /* no memory: the answer cannot be told apart, but it is one */
    call->id = call->id_text != NULL ? call->id_text : "null";
    text_deinit(&text);
}

static void call_refuse(struct rpc_call *call, const struct rpc_error *error)
{
    (void)rpc_fail_error(call, error);
    call->gateway->counters.requests[RPC_METHODS_MAX][call->err]++;
}

static void refuse_request(struct rpc_call *call, const char *reason)
{
    call_refuse(call, &(struct rpc_error){.err = SVM_E_INVALID_REQUEST,
                                          .notes = {{.key = "reason", .text = reason}}});
}

static bool id_is_valid(const json_t *id)
{
    return json_is_string(id) || json_is_number(id) || json_is_null(id);
}

/* What is wrong with ITEM as a request; NULL = nothing. */
static const char *request_flaw(const json_t *item)
{
    const json_t *version = json_object_get(item, "jsonrpc");
    const json_t *id = json_object_get(item, "id");
    const json_t *params = json_object_get(item, "params");
    if (!json_is_object(item)) {
        return "a request is an object";
    }
    if (id != NULL && !id_is_valid(id)) {
        return "id must be a string, a number or null";
    }
    if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0) {
        return "jsonrpc must be \"2.0\"";
    }
    if (!json_is_string(json_object_get(item, "method"))) {
        return "method must be a string";
    }
    if (params != NULL && !json_is_object(params) && !json_is_array(params) &&
        !json_is_null(params)) {
        return "params must be an object or an array";
    }
    return NULL;
}

static void run_item(struct rpc_call *call, const json_t *item)
{
    const json_t *id = json_object_get(item, "id");
    const char *flaw = request_flaw(item);
    if (flaw != NULL) {
        call_set_id(call, id);
        refuse_request(call, flaw);
        return;
    }
    if (id != NULL) {
        call_set_id(call, id);
    }
    const json_t *params = json_object_get(item, "params");
    call_run(call, json_string_value(json_object_get(item, "method")),
             json_is_null(params) ? NULL : params);
}

/* ---- bodies ----------------------------------------------------------------------------------------------- */

/* Nesting and number of values of BODY, counted without parsing: brackets and commas outside strings. What is deep never
 * reaches the parser's stack, and what is small on the wire and large as values never its memory. */
static bool shape_is_fine(size_t *values_out, const char *body, size_t len)
{
    size_t depth = 0;
    bool in_string = false;
    *values_out = 1;
    for (size_t i = 0; i < len; i++) {
        const char c = body[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == ',') {
            ++*values_out;
        } else if (c == '[' || c == '{') {
            ++*values_out;
            if (++depth > RPC_JSON_DEPTH_MAX) {
                return false;
            }
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return true;
}

static struct rpc_exchange *exchange_create(struct gateway *gateway, size_t count)
{
    struct rpc_exchange *exchange = calloc(1, sizeof *exchange + count * sizeof exchange->calls[0]);
    if (exchange == NULL) {
        return NULL;
    }
    exchange->gateway = gateway;
    exchange->count = count;
    exchange->waiting = 1;
    for (size_t i = 0; i < count; i++) {
        call_init(&exchange->calls[i], exchange);
    }
    return exchange;
}

/* An exchange that is one error, of no call. */
static struct rpc_exchange *exchange_refused(struct gateway *gateway, const struct rpc_error *error)
{
    struct rpc_exchange *exchange = exchange_create(gateway, 1);
    if (exchange != NULL) {
        call_set_id(&exchange->calls[0], NULL);
        call_refuse(&exchange->calls[0], error);
    }
    return exchange;
}

static struct rpc_exchange *refuse_parse(struct gateway *gateway, const json_error_t *error)
{
    return exchange_refused(
        gateway,
        &(struct rpc_error){.err = SVM_E_PARSE_ERROR,
                            .notes = {{.key = "line", .number = (uint64_t)error->line},
                                      {.key = "column", .number = (uint64_t)error->column},
                                      {.key = "offset", .number = (uint64_t)error->position},
                                      {.key = "reason", .text = error->text}}});
}

/* Every call of a batch that is too long is told so, so that no client waits for a missing id: as one text, not as calls,
 * and only while it fits into a response. */
static struct rpc_exchange *refuse_batch(struct gateway *gateway, const json_t *batch)
{
    const size_t count = json_array_size(batch);
    const struct rpc_error error = {
        .err = SVM_E_LIMIT_EXCEEDED,
        .message = "the batch has more calls than the limit; send it in parts",
        .notes = {{.key = "scope", .text = "batch"},
                  {.key = "limit", .number = gateway->config.batch_items_max},
                  {.key = "got", .number = count}}};
    struct rpc_exchange *exchange = exchange_create(gateway, 1);
    if (exchange == NULL) {
        return NULL;
    }
    struct text *out = &exchange->calls[0].out;
    uint64_t told = 0;
    for (size_t i = 0; i < count && !out->overflow; i++) {
        const json_t *item = json_array_get(batch, i);
        const json_t *id = json_object_get(item, "id");
        if (id == NULL && request_flaw(item) == NULL) {
            continue;
        }
        text_puts(out, told++ == 0 ? "[" : ",");
        text_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
        put_id(out, id_is_valid(id) ? id : NULL);
        text_puts(out, ",\"error\":");
        rpc_error_write(out, &error);
        text_put_char(out, '}');
    }
    text_puts(out, told > 0 ? "]" : "");
    if (out->overflow) {
        call_set_id(&exchange->calls[0], NULL);
        call_refuse(&exchange->calls[0], &error);
        return exchange;
    }
    gateway->counters.requests[RPC_METHODS_MAX][error.err] += told;
    return exchange;
}

static struct rpc_exchange *begin_batch(struct gateway *gateway, const json_t *batch,
                                        struct rpc_exchange like)
{
    const size_t count = json_array_size(batch);
    if (count > gateway->config.batch_items_max) {
        return refuse_batch(gateway, batch);
    }
    struct rpc_exchange *exchange = exchange_create(gateway, count);
    if (exchange == NULL) {
        return NULL;
    }
    exchange->done = like.done;
    exchange->arg = like.arg;
    exchange->over_unix = like.over_unix;
    exchange->is_batch = true;
    for (size_t i = 0; i < count; i++) {
        run_item(&exchange->calls[i], json_array_get(batch, i));
    }
    return exchange;
}

static struct rpc_exchange *begin_single(struct gateway *gateway, const json_t *item,
                                         struct rpc_exchange like)
{
    struct rpc_exchange *exchange = exchange_create(gateway, 1);
    if (exchange == NULL) {
        return NULL;
    }
    exchange->done = like.done;
    exchange->arg = like.arg;
    exchange->over_unix = like.over_unix;
    run_item(&exchange->calls[0], item);
    return exchange;
}

/* ---- the short way ---------------------------------------------------------------------------------------- */

/* A call is an object with an object and perhaps an array in it, and so many commas beside those between transactions. */
enum { CALL_VALUES_MAX = 16, QUICK_LOOK_BYTES = 256 };

static size_t values_limit(const struct gateway *gateway)
{
    return gateway->config.body_bytes_max / BODY_BYTES_PER_VALUE + VALUES_MIN;
}

static bool looks_quick(const char *body, size_t len)
{
    static const char name[] = "\"tx_submit";
    return memmem(body, len < QUICK_LOOK_BYTES ? len : QUICK_LOOK_BYTES, name, sizeof name - 1) !=
           NULL;
}

/* Calls of a batch that quick_call_parse takes: each has two braces that open. */
static size_t count_calls(const char *body, size_t len)
{
    size_t braces = 0;
    const char *end = body + len;
    while ((body = memchr(body, '{', (size_t)(end - body))) != NULL) {
        braces++;
        body++;
    }
    return braces / 2;
}

/* Read the calls of EXCHANGE, all of them or false. Their parameters are left in `params`. */
static bool read_calls(struct rpc_exchange *exchange, struct quick *in)
{
    const size_t items_max = exchange->gateway->config.batch_items_max;
    size_t values_left = values_limit(exchange->gateway);
    bool more = true;
    for (size_t i = 0; i < exchange->count; i++) {
        struct rpc_call *call = &exchange->calls[i];
        struct quick_call *quick = arena_get(&call->arena, sizeof *quick);
        if (quick == NULL || !more || values_left < CALL_VALUES_MAX) {
            return false;
        }
        values_left -= CALL_VALUES_MAX;
        if (!quick_call_parse(quick, &call->arena, in,
                              items_max < values_left ? items_max : values_left)) {
            return false;
        }
        values_left -= quick->is_batch ? quick->params.batch.txs_count : 0;
        if (exchange->is_batch && !quick_more(in, &more)) {
            return false;
        }
        call->id = quick->id;
        call->params = quick;
    }
    return quick_is_end(in) && (!exchange->is_batch || !more);
}

static void run_quick(struct rpc_call *call)
{
    struct quick_call *quick = call->params;
    call_run_typed(call, quick->method,
                   quick->is_batch ? (void *)&quick->params.batch : (void *)&quick->params.single);
}

/* The exchange of BODY, if it is one of those that are read in one pass; NULL = read it as any other. */
static struct rpc_exchange *begin_quick(struct gateway *gateway, const char *body, size_t len,
                                        struct rpc_exchange like)
{
    if (len == 0 || !looks_quick(body, len)) { /* of nothing, BODY may be NULL */
        return NULL;
    }
    struct quick in = {.at = body, .end = body + len};
    const bool is_batch = quick_is_array(&in);
    const size_t count = is_batch ? count_calls(body, len) : 1;
    if (count == 0 || count > gateway->config.batch_items_max) {
        return NULL;
    }
    struct rpc_exchange *exchange = exchange_create(gateway, count);
    if (exchange == NULL) {
        return NULL;
    }
    exchange->done = like.done;
    exchange->arg = like.arg;
    exchange->over_unix = like.over_unix;
    exchange->is_batch = is_batch;
    if (!read_calls(exchange, &in)) {
        exchange->waiting = 0;
        exchange_end(exchange);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        run_quick(&exchange->calls[i]);
    }
    return exchange;
}

static struct rpc_exchange *begin_body(struct gateway *gateway, const char *body, size_t len,
                                       struct rpc_exchange like)
{
    json_error_t error = {.line = 1, .column = 1, .text = "nested more than 32 deep"};
    const size_t values_max = values_limit(gateway);
    size_t values;
    struct rpc_exchange *quick = begin_quick(gateway, body, len, like);
    if (quick != NULL) {
        return quick;
    }
    if (!shape_is_fine(&values, body, len)) {
        return refuse_parse(gateway, &error);
    }
    if (values > values_max) {
        return exchange_refused(
            gateway, &(struct rpc_error){.err = SVM_E_LIMIT_EXCEEDED,
                                         .message = "the body has more JSON values than the limit",
                                         .notes = {{.key = "scope", .text = "values"},
                                                   {.key = "limit", .number = values_max},
                                                   {.key = "got", .number = values}}});
    }
    if (len == 0) {
        memcpy(error.text, "the body is empty", sizeof "the body is empty");
        return refuse_parse(gateway, &error);
    }
    json_t *root = json_loadb(body, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (root == NULL) {
        return refuse_parse(gateway, &error);
    }
    struct rpc_exchange *exchange;
    if (json_is_array(root) && json_array_size(root) == 0) {
        exchange = exchange_refused(
            gateway,
            &(struct rpc_error){.err = SVM_E_INVALID_REQUEST,
                                .notes = {{.key = "reason", .text = "the batch is empty"}}});
    } else if (json_is_array(root)) {
        exchange = begin_batch(gateway, root, like);
    } else {
        exchange = begin_single(gateway, root, like);
    }
    json_decref(root);
    return exchange;
}

struct rpc_exchange *exchange_begin(struct gateway *gateway, const char *body, size_t len,
                                    bool over_unix, rpc_exchange_done_fn *done, void *arg,
                                    bool *finished_out)
{
    const struct rpc_exchange like = {.done = done, .arg = arg, .over_unix = over_unix};
    struct rpc_exchange *exchange = begin_body(gateway, body, len, like);
    *finished_out = true;
    if (exchange != NULL) {
        *finished_out = --exchange->waiting == 0;
    }
    return exchange;
}

/* ---- the answer ------------------------------------------------------------------------------------------- */

/* Append CALL's response, or that it does not fit, so that the whole stays near the limit. */
static void take_item(struct text *text, struct rpc_call *call, size_t limit)
{
    if (text->len + call->out.len > limit) {
        (void)rpc_fail_error(call,
                             &(struct rpc_error){.err = SVM_E_RESPONSE_TOO_LARGE,
                                                 .notes = {{.key = "limit", .number = limit}}});
    }
    text_put(text, call->out.ptr, call->out.len);
}

void exchange_take(struct rpc_exchange *exchange, struct text *text)
{
    SVM_ASSERT(exchange->waiting == 0);
    const size_t limit = exchange->gateway->config.response_bytes_max;
    if (!exchange->is_batch) {
        *text = exchange->calls[0].out; /* moved: the one answer is the response */
        text_init(&exchange->calls[0].out, limit);
        return;
    }
    text_init(text, limit + exchange->count * RPC_ERROR_BYTES_MAX +
                        exchange->gateway->config.body_bytes_max); /* ids */
    if (exchange->answered > 0) {
        (void)text_room(text, exchange->answered + exchange->count); /* most of it at once */
    }
    for (size_t i = 0; i < exchange->count; i++) {
        struct rpc_call *call = &exchange->calls[i];
        if (call->id == NULL) {
            continue;
        }
        text_put_char(text, text->len == 0 ? '[' : ',');
        take_item(text, call, limit);
        text_deinit(&call->out);
    }
    if (text->len > 0) {
        text_put_char(text, ']');
    }
}

bool exchange_is_on_pool(const struct rpc_exchange *exchange)
{
    for (size_t i = 0; i < exchange->count; i++) {
        if (exchange->calls[i].on_pool) {
            return true;
        }
    }
    return false;
}

bool exchange_cancel(struct rpc_exchange *exchange)
{
    bool cancelled = false;
    for (size_t i = 0; i < exchange->count; i++) {
        struct rpc_call *call = &exchange->calls[i];
        cancelled |= call->on_pool && uv_cancel((uv_req_t *)&call->work) == 0;
    }
    return cancelled;
}

void exchange_end(struct rpc_exchange *exchange)
{
    exchange->done = NULL;
    if (exchange->waiting > 0) {
        return; /* the last call to end comes here again */
    }
    for (size_t i = 0; i < exchange->count; i++) {
        call_deinit(&exchange->calls[i]);
    }
    replies_drop(exchange->gateway, exchange->answered);
    free(exchange);
}
