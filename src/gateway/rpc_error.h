/* gateway/rpc_error.h - an error as a remote caller sees it: {code, message, data: {name, retry, ...}}.
 *
 * Everything comes from <svm/error.h> and from what the engine put into its refusal; a few notes may be added. Errors of
 * the C library alone are told as INTERNAL with an errorId that the log has too, never with their reason.
 *
 * Thread   any. */
#ifndef GATEWAY_RPC_ERROR_H
#define GATEWAY_RPC_ERROR_H

#include "gateway/text.h"
#include <svm/error.h>
#include <svm/types.h>

enum { RPC_NOTES_MAX = 6, RPC_ERROR_BYTES_MAX = 4096 };

/* A member of `data`. Exactly one of text, list and number is used: text if not NULL. */
struct rpc_note {
    const char *key; /* NULL ends the list */
    const char *text;
    uint64_t number;
    bool is_list; /* text as a list of one */
};

struct rpc_error {
    enum svm_err err;
    const struct svm_refusal *refusal; /* may be NULL; borrowed */
    const char *message;               /* NULL = the refusal's reason, else the text of the error */
    struct rpc_note notes[RPC_NOTES_MAX];
};

/* rpc_error_write: the JSON object. Logs errors that are told as INTERNAL. */
void rpc_error_write(struct text *text, const struct rpc_error *error);
/* rpc_error_code: what goes out as `code`. rpc_error_public: ERR, or INTERNAL for those of the library alone. */
int rpc_error_code(enum svm_err err);
enum svm_err rpc_error_public(enum svm_err err);

enum { RPC_RETRY_AFTER_MS = 1000 }; /* what `later` errors advise when the engine names no time */
/* rpc_error_retry_after_ms: when to send again what was refused with ERR; 0 = not by itself. REFUSAL may be NULL. */
uint32_t rpc_error_retry_after_ms(enum svm_err err, const struct svm_refusal *refusal);

#endif
