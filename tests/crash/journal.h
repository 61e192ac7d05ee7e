/* crash/journal.h - what the world outside knows of an engine that is killed again and again.
 *
 *     worker --submitted, answered--> journal (a shared mapping of a file: it survives the process) <--compared-- checker
 *
 * A record is written before its transaction is handed in, so nothing can be executed that is not in here. */
#ifndef CRASH_JOURNAL_H
#define CRASH_JOURNAL_H

#include <stdatomic.h>

#include <svm.h>

enum { JOURNAL_RECORDS = 1 << 16, JOURNAL_TX_BYTES = 448, JOURNAL_CELLS = 2 };

struct record {
    struct svm_digest digest;
    _Atomic uint64_t seq;  /* as last answered; 0 = no receipt was answered */
    _Atomic uint32_t life; /* in which that was; without a promise, the next life owes it nothing */
    _Atomic uint32_t submits;  /* how often it was handed in */
    _Atomic uint32_t refusals; /* how often it was refused */
    _Atomic uint32_t promised; /* an answer said: durable, with `seq` */
    uint32_t settled;          /* checker: it was found, and has to stay */
    int64_t delta;             /* what it adds to the counter */
    uint32_t len;
    uint8_t bytes[JOURNAL_TX_BYTES];
};

/* One thread's interactive transactions: its own cell counts them. */
struct cell_record {
    _Atomic uint64_t tried, answered, seq; /* value to be written; durable value; its position */
};

struct journal {
    _Atomic uint32_t ready;    /* the worker's engine is open */
    _Atomic uint32_t lives;    /* engines opened on this directory */
    _Atomic uint32_t next;     /* records begun */
    _Atomic uint64_t told_seq; /* highest position that anybody was told to be durable */
    _Atomic uint64_t answers;  /* durable answers */
    _Atomic uint64_t wrong;    /* answers that contradict each other, seen by the worker itself */
    _Atomic uint64_t passes;   /* of the point at which this life is to end (at.h) */
    _Atomic uint32_t hit;      /* it did end there */
    struct cell_record cells[JOURNAL_CELLS];
    struct record records[JOURNAL_RECORDS];
};

/* journal_map: the journal in file PATH, made when it is not there. NULL with errno. */
struct journal *journal_map(const char *path);
/* journal_begin: a record for TX (signed bytes), or NULL when it is full. */
struct record *journal_begin(struct journal *journal, const struct svm_digest *digest,
                             struct svm_bytes tx, int64_t delta);
/* journal_told: somebody was told that SEQ is durable. */
void journal_told(struct journal *journal, uint64_t seq);
/* journal_binds: the position that RECORD was answered with may not change: it was durable, or the engine of this life gave it. */
bool journal_binds(struct journal *journal, struct record *record);
/* journal_answered: OUTCOME of a submission that waited for WAIT. */
void journal_answered(struct journal *journal, struct record *record, enum svm_wait wait,
                      const struct svm_outcome *outcome);

#endif
