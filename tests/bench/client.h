/* bench/client.h - one keep-alive connection to a node: signed transactions, one at a time, each with its latency. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

struct client_result {
    uint32_t count;
    double p50_us, p95_us, p99_us, p999_us, max_us;
};
/* client_run: COUNT calls of tx_submit over one connection to 127.0.0.1:PORT of a node on the development chain; WAIT is "executed"
 * or "durable". FAST: payments out of alice's coin; else Add on the shared counter. Ends the process unless each of them succeeds and the coin
 * or the counter shows all of them afterwards. */
void client_run(struct client_result *result, uint16_t port, uint32_t count, const char *wait,
                bool fast);

#endif
