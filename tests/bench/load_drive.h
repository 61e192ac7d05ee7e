/* bench/load_drive.h - the timed part: one thread, epoll, many connections.
 *
 *   closed loop   every connection keeps `window` requests in flight; latency counts from the sending
 *   open loop     requests become due at `rate`, whether or not the node has answered; latency counts from that moment, so a node
 *                 that stalls cannot make the generator omit the requests that would have felt it
 *
 * A transaction that the node asks to send again (OVERLOADED, BUSY) is sent again after the time it is told, and its latency goes
 * on from its first moment. Anything else than success ends the process. */
#ifndef BENCH_LOAD_DRIVE_H
#define BENCH_LOAD_DRIVE_H

#include "base/hist.h"
#include "bench/load_wire.h"

struct load_plan {
    const char *address;
    enum load_mode mode;
    const char *wait;
    uint32_t connections, window, batch;
    double rate; /* transactions in a second; 0 = closed loop */
    double warm_s, seconds;
    long pid; /* of the node, for its processor time; 0 = unknown */
};

struct load_outcome {
    uint64_t timed; /* succeeded within the timed part */
    double seconds;
    uint32_t
        sent; /* transactions of the set used up: 0 .. sent - 1, all of which have succeeded in the end */
    uint64_t retries; /* transactions sent again */
    char why[256];    /* the first of them, as the node said it */
    uint64_t requests;
    bool exhausted;                /* the set ended before the time */
    double self_cpu_s, node_cpu_s; /* of the timed part */
    struct hist latency;           /* ns */
};

/* load_drive: play SET as PLAN says. Returns when everything sent has been answered with success. */
void load_drive(struct load_outcome *outcome, const struct load_set *set,
                const struct load_plan *plan);

/* load_settle: waits until process PID (0 = do not wait) uses no processor: what the set-up has left to do is no part of what is timed. */
void load_settle(long pid);

#endif
