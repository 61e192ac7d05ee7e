/* fuzz/node.h - gateways over engines in memory, driven by the caller's thread, and transactions that they execute. */
#ifndef FUZZ_NODE_H
#define FUZZ_NODE_H

#include "fuzz.h"

#include "base/clock.h"
#include "engine/hooks.h"
#include "gateway/gateway.h"

struct node {
    uv_loop_t loop;
    struct svm_engine *engine;
    struct svm_config config;
    struct gateway_config gateway_config;
    struct engine_hooks hooks;
    struct clock clock;
    struct gateway *gateway;
};

/* node_open: a development chain whose clock stands still. */
void node_open(struct node *node);

/* node_expand: DATA with "$0" .. "$9" replaced by transactions, base64, no two expansions with the same: fast, consensus, failing,
 * unsigned ...; and "#0" .. "#9" by ids and addresses of the development chain. Gives (free). Expansions with equal ROUND are equal. */
char *node_expand(size_t *len_out, const uint8_t *data, size_t size, uint64_t round);

#endif
