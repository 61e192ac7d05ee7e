/* POST /v1/tx: many transactions in one body, without JSON. docs/rpc/binary.md is the format. */
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

static void refuse(struct http_request *request, enum svm_err err, const char *message,
                   uint64_t limit, uint64_t got)
{
    const struct rpc_error error = {
        .err = err,
        .message = message,
        .notes = {{.key = limit > 0 ? "limit" : "offset", .number = limit > 0 ? limit : got},
                  {.key = limit > 0 ? "got" : NULL, .number = got}}};
    http_reply_error(request,
                     err == SVM_E_OVERLOADED ? MHD_HTTP_SERVICE_UNAVAILABLE
                     : limit > 0             ? MHD_HTTP_CONTENT_TOO_LARGE
                                             : MHD_HTTP_BAD_REQUEST,
                     &error);
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

static bool query_wait(struct http_request *request, enum svm_wait *wait_out,
                       uint32_t *timeout_ms_out)
{
    static const char *const names[] = {"none", "executed", "durable"};
    const char *value;
    *wait_out = SVM_WAIT_DURABLE;
    *timeout_ms_out = request->listener->gateway->config.request_timeout_ms;
    if (http_query(request, "wait", &value)) {
        int i = 0;
        while (i < 3 && (value == NULL || strcmp(names[i], value) != 0)) {
            i++;
        }
        if (i == 3) {
            return false;
        }
        *wait_out = (enum svm_wait)i;
    }
    if (http_query(request, "timeoutMs", &value)) {
        if (value == NULL || value[0] == '\0' || strlen(value) > 9 ||
            strspn(value, "0123456789") != strlen(value)) {
            return false;
        }
        const uint32_t asked = (uint32_t)strtoul(value, NULL, 10);
        *timeout_ms_out = asked < *timeout_ms_out ? asked : *timeout_ms_out;
    }
    return true;
}

static void submit(struct http_request *request, size_t count, enum svm_wait wait,
                   uint32_t timeout_ms)
{
    struct gateway *gateway = request->listener->gateway;
    if (!replies_have_room(gateway, count * RECORD_BYTES)) {
        const struct rpc_error error = replies_overloaded(gateway);
        http_reply_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, &error);
        return;
    }
    struct stream *stream = calloc(1, sizeof *stream + count * sizeof stream->txs[0]);
    struct wait_group *group = stream != NULL && gateway->calls < gateway->config.calls_max
                                   ? waits_create(gateway, count, WAIT_BRIEF)
                                   : NULL;
    if (group == NULL) {
        free(stream);
        refuse(request, SVM_E_OVERLOADED, NULL, 0, 0);
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
    enum svm_wait wait;
    uint32_t timeout_ms;
    size_t count = 0, offset = 0;
    if (!query_wait(request, &wait, &timeout_ms)) {
        refuse(request, SVM_E_INVALID_PARAMS,
               "wait is none, executed or durable; timeoutMs is a number", 0, 0);
    } else if (!count_frames(&count, &offset, (const uint8_t *)request->body, request->body_len)) {
        refuse(request, SVM_E_INVALID_REQUEST, "the body ends inside a length-prefixed transaction",
               0, offset);
    } else if (count > config->stream_items_max) {
        refuse(request, SVM_E_LIMIT_EXCEEDED, "the body has more transactions than the limit",
               config->stream_items_max, count);
    } else {
        submit(request, count, wait, timeout_ms);
    }
}
