/* gateway/quick.h - the usual bodies of tx_submit and tx_submitBatch, read in one pass.
 *
 *      body --quick_parse--> parameters, as the general parser gives them
 *           \--- anything out of the ordinary: false --> jansson, schema_parse_params, and their answers
 *
 * A parser for every JSON makes a tree of the body first: four memory blocks and a copy for each transaction. Here the shape is
 * known, base64 goes straight from the body into the parameters' memory, and nothing is decided that the general parser would
 * decide otherwise: what is taken is valid, and means the same; every refusal is the general parser's.
 *
 * Taken are one call, or a batch of calls: objects whose members are jsonrpc ("2.0"), id (an integer of at most 15 digits, or a
 * string of plain ASCII), method and params, each once, in any order, with any white space; params by name: tx or txs, wait,
 * timeoutMs. No escapes, no notifications.
 *
 * Thread   any; pure but for the arena. */
#ifndef GATEWAY_QUICK_H
#define GATEWAY_QUICK_H

#include "gateway/arena.h"
#include "gateway/gen/rpc_types.h"

struct quick_call {
    const char *id; /* JSON text, in the arena */
    const char *method;
    bool is_batch; /* tx_submitBatch: `batch`; else tx_submit: `single` */
    union {
        struct rpc_tx_submit_params single;
        struct rpc_tx_submit_batch_params batch;
    } params;
};

/* What is left of a body. */
struct quick {
    const char *at, *end;
};

/* quick_call_parse: one call object at the beginning of IN, white space around it included.
 *   items_max  most transactions of a tx_submitBatch
 *   arena      texts and bytes of OUT live there
 * Returns false when the general parser must decide; IN and OUT are then of no use. */
bool quick_call_parse(struct quick_call *out, struct arena *arena, struct quick *in,
                      size_t items_max);

/* quick_is_array: does IN begin with '['? It is then behind it. quick_more: is there a comma (MORE_OUT true) or the closing
 * bracket next? False: neither. */
bool quick_is_array(struct quick *in);
bool quick_more(struct quick *in, bool *more_out);
/* quick_is_end: nothing but white space is left. */
bool quick_is_end(struct quick *in);

#endif
