/* compare/compare.h - one workload on one database, driven, timed and checked the same way for each of them.
 *
 *      open, fill -> clients run until told to stop -> drain -> scan: every object against what was done -> close
 *
 * A client draws what to do from its own seeded sequence and repeats a transaction until it has succeeded. So afterwards the sequences
 * are drawn once more, and say what each single object must hold: a lost, doubled or invented transaction shows, and then there is
 * no figure. Any error ends the process with one sentence. */
#ifndef COMPARE_COMPARE_H
#define COMPARE_COMPARE_H

#include <limits.h>
#include <stdatomic.h>

#include "base/hist.h"
#include "bench/rig.h"

enum compare_workload {
    COMPARE_TRANSFER, /* move 1 from one object to another: both read, the first checked, both written */
    COMPARE_COUNTER /* read one object's number, add 1, write it back */
};
enum { COMPARE_BALANCE = 100000, COMPARE_CLIENTS_MAX = 64 };
/* To read a clock for each would be a part of what is measured. A client has fewer than the product of both under way. */
enum { COMPARE_TIMED = 16384, COMPARE_TIMED_EACH = 17 };

struct compare {
    const struct compare_system *system;
    enum compare_workload workload;
    bool synced; /* acknowledged = on the disk; else = handed to the operating system, or nearest */
    uint32_t objects; /* numbered from 0; a balance of COMPARE_BALANCE each, or a counter at 0 */
    uint32_t threads; /* asked for */
    uint32_t clients; /* threads that issue transactions: open may lower it */
    uint32_t
        window; /* of a pipelining client: transactions it has under way; 0 = the system's own choice */
    double seconds; /* of the timed part */
    uint64_t seed;
    char dir[PATH_MAX]; /* fresh, absolute, gone at the end */
    char settings[512]; /* printed: filled by open */
    void *state;        /* the system's */
    const int64_t *expected;
    uint32_t seen;
};

/* What one transaction touches; `to` with COMPARE_TRANSFER only, and then never `from`. */
struct compare_pick {
    uint32_t from, to;
};

struct compare_client {
    _Alignas(128) struct compare *compare;
    uint32_t index;
    struct random random;
    uint64_t drawn;
    uint64_t retries;   /* attempts that were defeated and repeated */
    void *session;      /* the system's */
    uint32_t under_way; /* of a pipelining system: sent and not taken */
    uint64_t
        drawn_ns[COMPARE_TIMED]; /* when every COMPARE_TIMED_EACHth was drawn, the latest of them */
    struct hist latency;         /* ns, from there to its acknowledgement, in the timed part */
    _Alignas(64) _Atomic uint64_t done;
};

/* A system under comparison: it has `step`, or, when it pipelines through a connection, `send` and `take`. Every other function may be NULL
 * where there is nothing to do. */
struct compare_system {
    const char *name;
    const char *(*missing)(void); /* the Debian packages that it lacks here, or NULL */
    const char *user; /* the account its server runs under when we are root; NULL = ours */
    uint32_t window;  /* default of `window` */
    void (*open)(struct compare *compare);        /* and fill */
    void (*begin)(struct compare_client *client); /* on the client's thread, as the next three */
    uint64_t (*step)(struct compare_client
                         *client); /* some transactions; returns how many were acknowledged, which
                                         * are taken for those drawn first */
    uint64_t (*drain)(struct compare_client *client); /* what is under way; returns the same */
    void (*send)(struct compare_client *client);      /* one transaction */
    void (*take)(struct compare_client *client);      /* the answer to the oldest one */
    void (*end)(struct compare_client *client);
    void (*scan)(struct compare *compare); /* compare_saw for each object */
    void (*close)(struct compare *compare);
    double (*cpu_s)(struct compare *compare); /* used by other processes of the system */
};

struct compare_pick compare_draw(struct compare_client *client);
void compare_saw(struct compare *compare, uint64_t index, int64_t value);
/* compare_initial: what each object holds at first. */
int64_t compare_initial(const struct compare *compare);

/* compare_main: a program that offers COUNT systems.
 *     PROGRAM SYSTEM-WORKLOAD-MODE [--threads N] [--seconds S] [--seed N] [--window N] [--dir BASE]
 *     WORKLOAD  transfer-10k, transfer-1m, counter-1m, counter-hot      MODE  unsynced, fsynced
 * Its last line is one JSON object; with "skip" when a package is missing. */
int compare_main(int argc, char **argv, const struct compare_system *systems, size_t count);

#endif
