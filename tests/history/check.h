/* history/check.h - is what clients saw of a node one serial order? Elle's question with the versions known, hence exact.
 *
 * A history is what clients sent and were told: of each operation when it began and ended by the clients' clock, which versions it read and
 * which it wrote. Versions of an object are in order by their numbers, 0 being what was there before. From them follow edges:
 *
 *     ww   wrote the version before the one that the other wrote
 *     wr   wrote what the other read
 *     rw   read what the other overwrote
 *     rt   had ended when the other began (real time)
 *
 * and a cycle is an anomaly: of ww alone G0, with wr G1c, with one rw G-single, with more G2, only with rt real-time. Adya's names.
 * Cycles are exact: there is none if and only if some order of the operations explains all that was seen.
 *
 * Thread: any, one at a time. */
#ifndef HISTORY_CHECK_H
#define HISTORY_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct history_read {
    uint32_t object;
    uint64_t version;
    int64_t value; /* the number read; -1 = not looked at */
};
struct history_write {
    uint32_t object;
    uint64_t version;
    uint32_t adds; /* to the number that the object holds */
};

enum history_type {
    HISTORY_OK,
    HISTORY_FAIL, /* refused or failed: nothing of it may be seen */
    HISTORY_INFO  /* nobody knows; its writes may be seen */
};

struct history_op {
    uint64_t invoked, returned; /* returned is looked at for OK only */
    uint64_t position; /* in the order that the node claims: 2 * seq, + 1 for a query; 0 = none */
    uint32_t client;
    uint32_t reads, writes; /* the first ones, in the arrays of the history */
    uint16_t read_count, write_count;
    uint8_t type; /* enum history_type */
};

struct history {
    struct history_op *ops;
    size_t op_count;
    struct history_read *reads;
    struct history_write *writes;
    size_t read_count, write_count;
    uint32_t objects, clients;
    bool real_time; /* with rt edges */
    bool lamport;   /* a written version is above all that were read */
};

enum history_anomaly {
    HISTORY_G0,
    HISTORY_G1A, /* read what a failed operation wrote, or nobody */
    HISTORY_G1B, /* read what its writer overwrote itself */
    HISTORY_G1C,
    HISTORY_G_SINGLE,
    HISTORY_G2,
    HISTORY_REAL_TIME,
    HISTORY_LOST_UPDATE, /* two read one version and both overwrote it */
    HISTORY_DUPLICATE,   /* two wrote one version, or hold one position */
    HISTORY_SESSION,     /* a client saw an object older than it had seen it */
    HISTORY_VALUE,       /* a number is not the sum of what was added to it */
    HISTORY_LAMPORT,
    HISTORY_POSITION, /* an edge goes against the order that the node claims */
    HISTORY_ANOMALIES
};
const char *history_anomaly_name(enum history_anomaly anomaly);

struct history_verdict {
    uint64_t found[HISTORY_ANOMALIES];
    uint64_t edges[4]; /* ww, wr, rw, rt */
};

/* history_check: look for everything above. The first of each kind is told on stdout, cycles edge by edge.
 *   say   false = count only
 * Returns the number of anomalies. */
uint64_t history_check(struct history_verdict *verdict, const struct history *history, bool say);

#endif
