/* POST /v1/tx: many transactions in one body, without JSON. docs/rpc/binary.md is the format. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "gateway/convert.h"
#include "gateway/http.h"
#include "gateway/replies.h"
#include "gateway/state.h"

enum { RECORD_BYTES = 48, NO_PATH = 0xff };
enum record_status {
    RECORD_PENDING,
    RECORD_EXECUTED,
    RECORD_DURABLE,
    RECORD_FAILED,
    RECORD_REFUSED = 0xff
};
enum record_flag { RECORD_DUPLICATE = 1, RECORD_DIGEST = 2, RECORD_FALLBACK = 4 };

#define TYPE_RECORDS "application/vnd.supervm.receipts"

struct stream {
    struct http_request *request; /* NULL = nobody waits any more */
    struct gateway *gateway;
    size_t count;
    struct svm_bytes txs[]; /* in the request's body */
};

/* ---- records ---------------------------------------------------------------------------------------------- */

static void put_receipt(uint8_t record[RECORD_BYTES], const struct wait_item *item)
{
    const struct svm_receipt *receipt = item->receipt;
    const bool durable = item->durable && item->durable_seq >= receipt->seq;
    const bool failed = receipt->failure != SVM_FAILURE_NONE;
    record[4] = failed ? RECORD_FAILED : durable ? RECORD_DURABLE : RECORD_EXECUTED;
    record[5] = (uint8_t)receipt->path;
    record[6] |= RECORD_DIGEST;
    record[6] |= receipt->fallback != SVM_FALLBACK_NONE ? RECORD_FALLBACK : 0;
    record[7] = (uint8_t)receipt->failure;
    bytes_put_u64le(record + 8, receipt->seq);
    memcpy(record + 16, receipt->digest.b, 32);
}

static void put_digest(uint8_t record[RECORD_BYTES], const struct svm_digest *digest)
{
    record[6] |= RECORD_DIGEST;
    memcpy(record + 16, digest->b, 32);
}

static void put_record(uint8_t record[RECORD_BYTES], const struct wait_item *item,
                       struct svm_bytes tx)
{
    struct svm_digest digest;
    memset(record, 0, RECORD_BYTES);
    record[5] = NO_PATH;
    if (!item->finished || (item->err == SVM_OK && item->receipt == NULL)) {
        record[4] = RECORD_PENDING;
        if (convert_signed_digest(&digest, tx)) {
            put_digest(record, &digest);
        }
        return;
    }
    record[6] = item->duplicate ? RECORD_DUPLICATE : 0;
    if (item->err != SVM_OK) {
        bytes_put_u32le(record, (uint32_t)rpc_error_code(item->err));
        bytes_put_u64le(record + 8, rpc_error_retry_after_ms(item->err, item->refusal));
        record[4] = RECORD_REFUSED;
        if (item->digest_known) {
            put_digest(record, &item->digest);
        }
        return;
    }
    put_receipt(record, item);
}

static void stream_reply(struct stream *stream, const struct wait_group *group)
{
    struct text text;
    text_init(&text, stream->count * RECORD_BYTES);
    if (stream->request == NULL) {
        return;
    }
    if (text_room(&text, stream->count * RECORD_BYTES)) {
        for (size_t i = 0; i < stream->count; i++) {
            put_record((uint8_t *)text.ptr + i * RECORD_BYTES, &group->items[i], stream->txs[i]);
        }
        text.len = stream->count * RECORD_BYTES;
    }
    stream->request->stream = NULL;
    http_reply(stream->request, MHD_HTTP_OK, TYPE_RECORDS, &text);
}

static void stream_done(void *arg, const struct wait_group *group)
{
    struct stream *stream = arg;
    struct gateway *gateway = stream->gateway;
    stream_reply(stream, group);
    free(stream);
    gateway->calls--;
    gateway_settle(gateway);
}

void stream_abandon(void *arg)
{
    struct stream *stream = arg;
    stream->request = NULL;
}

/* ---- the body --------------------------------------------------------------------------------------------- */

static void refuse_cut(struct http_request *request, size_t offset)
{
    const struct rpc_error error = {.err = SVM_E_INVALID_REQUEST,
                                    .message = "the body ends inside a length-prefixed transaction",
                                    .notes = {{.key = "offset", .number = offset}}};
    http_reply_error(request, MHD_HTTP_BAD_REQUEST, &error);
}

static void refuse_many(struct http_request *request, uint64_t limit, size_t count)
{
    const struct rpc_error error = {.err = SVM_E_LIMIT_EXCEEDED,
                                    .message = "the body has more transactions than the limit",
                                    .notes = {{.key = "scope", .text = "txs"},
                                              {.key = "limit", .number = limit},
                                              {.key = "got", .number = count}}};
    http_reply_error(request, MHD_HTTP_CONTENT_TOO_LARGE, &error);
}

static void refuse_busy(struct http_request *request, const char *scope, uint64_t limit)
{
    const struct rpc_error error = {
        .err = SVM_E_OVERLOADED,
        .notes = {{.key = "scope", .text = scope}, {.key = "limit", .number = limit}}};
    http_reply_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, &error);
}

/* Count the frames of the body; false = the last one is cut, at OFFSET_OUT. */
static bool count_frames(size_t *count_out, size_t *offset_out, const uint8_t *body, size_t len)
{
    size_t at = 0, count = 0;
    while (at < len) {
        *offset_out = at;
        if (len - at < 4 || len - at - 4 < bytes_get_u32le(body + at)) {
            return false;
        }
        at += 4 + bytes_get_u32le(body + at);
        count++;
    }
    *count_out = count;
    return true;
}

static void cut_frames(struct stream *stream, const uint8_t *body)
{
    for (size_t i = 0; i < stream->count; i++) {
        const uint32_t len = bytes_get_u32le(body);
        stream->txs[i] = (struct svm_bytes){.ptr = body + 4, .len = len};
        body += 4 + len;
    }
}

/* ---- the query -------------------------------------------------------------------------------------------- */

enum { QUERY_SHOWN_MAX = 64, TIMEOUT_MS_MAX = 600000 /* as in rpc/methods/tx_submit.json */ };

struct query {
    enum svm_wait wait;
    uint32_t timeout_ms; /* at most, until the query names less */
    bool has_wait, has_timeout;
    const char *expected; /* what is wrong; NULL = nothing */
    char param[QUERY_SHOWN_MAX + 1], got[QUERY_SHOWN_MAX + 1];
};

static enum MHD_Result query_fail(struct query *query, const char *param, const char *expected,
                                  const char *got)
{
    query->expected = expected;
    snprintf(query->param, sizeof query->param, "%s", param);
    snprintf(query->got, sizeof query->got, "%s", got != NULL ? got : "nothing");
    return MHD_NO;
}

static enum MHD_Result query_wait(struct query *query, const char *name, const char *value)
{
    static const char *const names[] = {"none", "executed", "durable"};
    int i = 0;
    while (i < 3 && (value == NULL || strcmp(names[i], value) != 0)) {
        i++;
    }
    if (i == 3) {
        return query_fail(query, name, "one of none executed durable", value);
    }
    query->wait = (enum svm_wait)i;
    return MHD_YES;
}

static enum MHD_Result query_timeout(struct query *query, const char *name, const char *value)
{
    const bool digits =
        value != NULL && strlen(value) <= 9 && strspn(value, "0123456789") == strlen(value);
    const uint32_t asked = digits ? (uint32_t)strtoul(value, NULL, 10) : 0;
    if (asked < 1 || asked > TIMEOUT_MS_MAX) {
        return query_fail(query, name, "integer from 1 to 600000", value);
    }
    query->timeout_ms = asked < query->timeout_ms ? asked : query->timeout_ms;
    return MHD_YES;
}

static enum MHD_Result query_take(void *arg, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct query *query = arg;
    (void)kind;
    const bool is_wait = strcmp(name, "wait") == 0;
    if (!is_wait && strcmp(name, "timeoutMs") != 0) {
        return query_fail(query, name, "a parameter of this path: wait, timeoutMs",
                          "an unknown name");
    }
    bool *seen = is_wait ? &query->has_wait : &query->has_timeout;
    if (*seen) {
        return query_fail(query, name, "once", "twice");
    }
    *seen = true;
    return is_wait ? query_wait(query, name, value) : query_timeout(query, name, value);
}

static void refuse_query(struct http_request *request, const struct query *query)
{
    const struct rpc_error error = {.err = SVM_E_INVALID_PARAMS,
                                    .notes = {{.key = "param", .text = query->param},
                                              {.key = "expected", .text = query->expected},
                                              {.key = "got", .text = query->got}}};
    http_reply_error(request, MHD_HTTP_BAD_REQUEST, &error);
}

/* ---- running ---------------------------------------------------------------------------------------------- */

static void submit(struct http_request *request, size_t count, enum svm_wait wait,
                   uint32_t timeout_ms)
{
    struct gateway *gateway = request->listener->gateway;
    if (!replies_have_room(gateway, count * RECORD_BYTES)) {
        refuse_busy(request, "replies", replies_limit(gateway));
        return;
    }
    if (gateway->calls >= gateway->config.calls_max) {
        refuse_busy(request, "calls", gateway->config.calls_max);
        return;
    }
    struct stream *stream = calloc(1, sizeof *stream + count * sizeof stream->txs[0]);
    struct wait_group *group = stream != NULL ? waits_create(gateway, count, WAIT_BRIEF) : NULL;
    if (group == NULL) {
        free(stream);
        refuse_busy(request, "waiters", GATEWAY_WAITERS_MAX);
        return;
    }
    *stream = (struct stream){.request = request, .gateway = gateway, .count = count};
    cut_frames(stream, (const uint8_t *)request->body);
    gateway->counters.submitted[GATEWAY_STREAM] += count;
    request->stream = stream;
    waits_submit_all(group, stream->txs, wait);
    if (waits_start(group, timeout_ms, stream_done, stream)) {
        stream_reply(stream, group);
        waits_release(group);
        free(stream);
    } else {
        gateway->calls++;
    }
}

void stream_begin(struct http_request *request)
{
    const struct gateway_config *config = &request->listener->gateway->config;
    struct query query = {.wait = SVM_WAIT_DURABLE, .timeout_ms = config->request_timeout_ms};
    size_t count = 0, offset = 0;
    (void)MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, query_take, &query);
    if (query.expected != NULL) {
        refuse_query(request, &query);
    } else if (!count_frames(&count, &offset, (const uint8_t *)request->body, request->body_len)) {
        refuse_cut(request, offset);
    } else if (count > config->stream_items_max) {
        refuse_many(request, config->stream_items_max, count);
    } else {
        submit(request, count, query.wait, query.timeout_ms);
    }
}
