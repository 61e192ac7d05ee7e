/* oracle/cellwork.h - interactive transactions on a few keys, and whether the order of seq explains all they read.
 *
 * Every committed closure leaves a record: what it read, what it wrote, its seq. In order of seq, over an empty map, each read
 * must find what the map holds; a read-only one must fit behind its snapshot. Every written value is unique, so nothing is
 * explained by accident. */
#ifndef ORACLE_CELLWORK_H
#define ORACLE_CELLWORK_H

#include "judge.h"

enum { CELL_KEYS = 6, CELL_ACCESSES = 5, CELL_THREADS = 3, CELL_RECORDS_MAX = 6000 };

struct cell_access {
    uint8_t key;
    bool write;
    uint64_t stamp; /* what was read or written; 0 = absent or deleted */
};
struct cell_record {
    uint64_t seq;
    bool writes;
    uint8_t count;
    struct cell_access accesses[CELL_ACCESSES];
};

struct cell_worker {
    struct cellwork *work;
    pthread_t thread;
    struct rng rng;
    uint64_t next_stamp;
    struct cell_record *records;
    size_t count;
};

struct cellwork {
    struct svm_engine *engine;
    _Atomic bool stop;
    unsigned pause_us; /* between two transactions */
    struct cell_worker workers[CELL_THREADS];
    size_t threads;
    struct cell_record **sorted; /* writing ones in order of seq, after cellwork_judge */
    size_t sorted_count;
    _Atomic uint64_t unexpected; /* errors that a closure must not end with */
};

void cellwork_start(struct cellwork *work, struct svm_engine *engine, uint64_t seed, size_t threads,
                    unsigned pause_us);
void cellwork_stop(struct cellwork *work);
/* cellwork_judge: after stop. Returns committed transactions. */
size_t cellwork_judge(struct cellwork *work, struct judge *judge);
/* cellwork_logged: the writing record of SEQ, or NULL. */
const struct cell_record *cellwork_logged(const struct cellwork *work, uint64_t seq);
void cellwork_deinit(struct cellwork *work);

#endif
