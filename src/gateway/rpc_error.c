#include "gateway/rpc_error.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"

/* Errors from here on have meaning inside the C library only. */
#define FIRST_LOCAL_CODE 2000

enum svm_err rpc_error_public(enum svm_err err)
{
    return err == SVM_OK || svm_err_rpc_code(err) >= FIRST_LOCAL_CODE ? SVM_E_INTERNAL : err;
}

int rpc_error_code(enum svm_err err)
{
    return svm_err_rpc_code(rpc_error_public(err));
}

uint32_t rpc_error_retry_after_ms(enum svm_err err, const struct svm_refusal *refusal)
{
    if (svm_err_retry(rpc_error_public(err)) != SVM_RETRY_LATER) {
        return 0;
    }
    const bool timed = refusal != NULL && (refusal->has & SVM_HAS_RETRY_AFTER) != 0;
    return timed ? refusal->retry_after_ms : RPC_RETRY_AFTER_MS;
}

static void put_key(struct text *text, const char *key)
{
    text_puts(text, ",\"");
    text_puts(text, key);
    text_puts(text, "\":");
}

static void put_text(struct text *text, const char *key, const char *value)
{
    put_key(text, key);
    text_put_string(text, value, strlen(value));
}

static void put_number(struct text *text, const char *key, uint64_t value)
{
    put_key(text, key);
    text_put_u64(text, value);
}

static void put_decimal(struct text *text, const char *key, uint64_t value)
{
    put_key(text, key);
    text_put_char(text, '"');
    text_put_u64(text, value);
    text_put_char(text, '"');
}

static void put_hex(struct text *text, const char *key, const uint8_t bytes[32])
{
    put_key(text, key);
    text_put_hex(text, bytes, 32);
}

static void put_object_details(struct text *text, enum svm_err err, const struct svm_refusal *r)
{
    if (r->has & SVM_HAS_OBJECT) {
        put_hex(text, "id", r->object.b);
    }
    if (r->has & SVM_HAS_GIVEN) {
        put_decimal(text, "given", r->given);
    }
    if (r->has & SVM_HAS_CURRENT) {
        put_decimal(text, "current", r->current);
    }
    if (r->has & SVM_HAS_WINNER) {
        put_hex(text, err == SVM_E_OBJECT_DELETED ? "deletedBy" : "consumedBy", r->winner.b);
    }
    if (r->has & SVM_HAS_OWNER) {
        put_hex(text, "owner", r->owner.b);
    }
    if (r->has & SVM_HAS_SENDER) {
        put_hex(text, "sender", r->sender.b);
    }
    if (r->has & SVM_HAS_KINDS) {
        put_text(text, "declared", svm_kind_name(r->declared));
        put_text(text, "actual", svm_kind_name(r->actual));
    }
}

/* A limit is called after what it limits, where a client computes with it. */
static void put_limit(struct text *text, enum svm_err err, const struct svm_refusal *r)
{
    if (err == SVM_E_GAS_TOO_LOW) {
        put_decimal(text, "needed", r->limit);
        put_decimal(text, "got", r->got);
    } else if (err == SVM_E_EXPIRY_TOO_FAR) {
        put_number(text, "max", r->limit);
        put_number(text, "got", r->got);
    } else {
        put_number(text, "limit", r->limit);
        put_number(text, "got", r->got);
    }
}

static void put_details(struct text *text, enum svm_err err, const struct svm_refusal *r)
{
    if (r->has & SVM_HAS_CHAIN) {
        put_decimal(text, "expected", r->current);
        put_decimal(text, "got", r->given);
    } else {
        put_object_details(text, err, r);
    }
    if (r->has & SVM_HAS_LIMIT) {
        put_limit(text, err, r);
    }
    if (r->has & SVM_HAS_OP) {
        put_number(text, "op", r->op);
    }
    if (r->has & SVM_HAS_OFFSET) {
        put_number(text, "offset", r->offset);
    }
    if (r->has & SVM_HAS_TIME) {
        put_decimal(text, "expiresMs", r->expires_ms);
        put_decimal(text, "nowMs", r->now_ms);
    }
    if (r->has & SVM_HAS_ATTEMPTS) {
        put_number(text, "attempts", r->attempts);
    }
    if (r->has & SVM_HAS_SEQ) {
        put_decimal(text, "seq", r->seq);
    }
    if (r->reason[0] != '\0') {
        put_text(text, "reason", r->reason);
    }
}

static void put_notes(struct text *text, const struct rpc_note *notes)
{
    for (size_t i = 0; i < RPC_NOTES_MAX && notes[i].key != NULL; i++) {
        put_key(text, notes[i].key);
        if (notes[i].text == NULL) {
            text_put_u64(text, notes[i].number);
            continue;
        }
        text_puts(text, notes[i].is_list ? "[" : "");
        text_put_string(text, notes[i].text, strlen(notes[i].text));
        text_puts(text, notes[i].is_list ? "]" : "");
    }
}

/* The id that ties an INTERNAL answer to its line in the log. */
static void put_error_id(struct text *text, const struct rpc_error *error)
{
    static _Atomic uint32_t counter;
    char id[40];
    snprintf(id, sizeof id, "e%llx-%x", (unsigned long long)time(NULL),
             atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed) + 1);
    log_event(LOG_LEVEL_ERROR, "gateway.internal_error", log_str("error_id", id),
              log_str("error", svm_err_name(error->err)),
              log_str("reason", error->refusal != NULL ? error->refusal->reason : error->message));
    put_text(text, "errorId", id);
}

static const char *message_of(const struct rpc_error *error, enum svm_err told)
{
    if (told == SVM_E_INTERNAL) {
        return svm_err_text(told);
    }
    if (error->message != NULL) {
        return error->message;
    }
    if (error->refusal != NULL && error->refusal->reason[0] != '\0') {
        return error->refusal->reason;
    }
    return svm_err_text(told);
}

void rpc_error_write(struct text *text, const struct rpc_error *error)
{
    const enum svm_err told = rpc_error_public(error->err);
    const char *message = message_of(error, told);
    text_puts(text, "{\"code\":");
    text_put_i64(text, svm_err_rpc_code(told));
    text_puts(text, ",\"message\":");
    text_put_string(text, message, strlen(message));
    text_puts(text, ",\"data\":{\"name\":\"");
    text_puts(text, svm_err_name(told));
    text_puts(text, "\"");
    put_text(text, "retry", svm_retry_name(svm_err_retry(told)));
    if (told == SVM_E_INTERNAL) {
        put_error_id(text, error);
    } else {
        put_notes(text, error->notes);
        if (error->refusal != NULL) {
            put_details(text, told, error->refusal);
        }
    }
    if (svm_err_retry(told) == SVM_RETRY_LATER) {
        put_number(text, "retryAfterMs", rpc_error_retry_after_ms(told, error->refusal));
    }
    text_puts(text, "}}");
}
