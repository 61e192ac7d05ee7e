/* bench/load_wire.h - requests as bytes, responses as verdicts: the three ways to hand transactions to a node.
 *
 *      single   POST /       tx_submit, one transaction
 *      batch    POST /       tx_submitBatch, many
 *      binary   POST /v1/tx  frames, many
 *
 * Thread: one at a time. */
#ifndef BENCH_LOAD_WIRE_H
#define BENCH_LOAD_WIRE_H

#include "bench/load_set.h"

enum load_mode { LOAD_SINGLE, LOAD_BATCH, LOAD_BINARY };

/* Growing bytes. */
struct wire_bytes {
    char *ptr;
    size_t len, cap;
};
void wire_room(struct wire_bytes *bytes, size_t len); /* for LEN more */
void wire_put(struct wire_bytes *bytes, const void *from, size_t len);

/* wire_request: append the request for the COUNT transactions INDICES of SET; WAIT is "executed" or "durable". */
void wire_request(struct wire_bytes *out, const struct load_set *set, enum load_mode mode,
                  const char *wait, const uint32_t *indices, uint32_t count);
/* wire_post: append any POST to PATH. */
void wire_post(struct wire_bytes *out, const char *path, const char *type, const void *body,
               size_t len);

/* One HTTP response. */
struct wire_response {
    unsigned status;
    uint32_t retry_after_ms; /* of the header; 0 = none */
    const char *body;
    size_t body_len;
    size_t bytes; /* of the whole */
};
/* wire_parse: the response that IN begins with; false = more bytes are needed. */
bool wire_parse(struct wire_response *response, const char *in, size_t len);

/* What became of one transaction. */
struct wire_verdict {
    enum { WIRE_DONE, WIRE_RETRY, WIRE_BAD } kind;
    uint32_t retry_after_ms;
};
/* wire_verdicts: one per transaction of the request that RESPONSE answers. DONE is a receipt without a failure, no duplicate, as
 * far as WAIT asks; RETRY is OVERLOADED or BUSY.
 *   why  out  what was wrong with the last that is not DONE */
void wire_verdicts(struct wire_verdict *verdicts, uint32_t count, char why[256],
                   const struct wire_response *response, enum load_mode mode, const char *wait);

/* wire_dial: connect to "HOST:PORT" (an IPv4 address) or "unix:PATH". */
int wire_dial(const char *address);
/* wire_call: one request over FD and its response, which borrows from IN. */
void wire_call(struct wire_response *response, struct wire_bytes *in, int fd,
               const struct wire_bytes *request);

#endif
