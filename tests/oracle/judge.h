/* oracle/judge.h - is what the engine did what one transaction after the other would have done?
 *
 *     committer --(hook `committed`)--> log of (transaction, receipt) in order of seq
 *                                            |
 *     after each batch, with nothing in flight: the reference executes the log in this order, at the logged times.
 *     Every receipt, every refusal and every snapshot taken meanwhile must agree with the reference at its position.
 *
 * Threads: judge_committed on the engine's committer; everything else on the test's own thread between batches. */
#ifndef ORACLE_JUDGE_H
#define ORACLE_JUDGE_H

#include <pthread.h>

#include "gen.h"

/* One handing-in of a transaction; a transaction may be handed in many times. */
struct submission {
    struct gen_tx *t;
    const uint8_t *bytes; /* t->bytes, or a copy with a bad signature */
    size_t len;
    enum svm_wait wait;
    bool bad_copy, decoded;
    pthread_mutex_t *lock; /* of the batch: guards what follows */
    pthread_cond_t *changed;
    size_t *unanswered;
    bool at_once; /* svm_submit itself refused */
    bool pending, duplicate;
    unsigned answers;
    enum svm_err err;
    struct svm_receipt *receipt;
    struct svm_refusal refusal;
    bool justified;
};
svm_submit_fn submission_answered; /* arg: struct submission */

/* The state hash that a snapshot gave. */
struct sighting {
    uint64_t seq;
    struct svm_digest hash;
};

struct judge_counts {
    uint64_t executed, duplicates, fallbacks, refused[SVM_ERR_COUNT], failed[SVM_FAILURE_COUNT],
        ops[SVM_OP_COUNT], fast, consensus, sightings;
};

enum { JUDGE_BUCKETS = 1 << 14 };
struct judge {
    struct ref *ref;
    struct gen_tx *buckets[JUDGE_BUCKETS];
    pthread_mutex_t lock; /* log */
    struct gen_tx **log;
    size_t log_count, log_cap, replayed;
    uint64_t last_seq;
    uint64_t *seqs; /* engine's position by the reference's */
    size_t seqs_cap;
    uint32_t batch;
    uint64_t failures;
    struct judge_counts counts;
};

void judge_init(struct judge *judge, const struct model_genesis *genesis);
void judge_deinit(struct judge *judge);
void judge_fail(struct judge *judge, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* judge_know: T may be handed in from now on. false: there is one of its digest. */
bool judge_know(struct judge *judge, struct gen_tx *t);
void judge_committed(struct judge *judge, const struct svm_receipt *receipt);
/* judge_batch: everything of the batch has been answered, executed and shown by the committer. */
void judge_batch(struct judge *judge, struct submission *submissions, size_t count,
                 const struct sighting *sightings, size_t sighting_count);
bool judge_same_receipt(const struct svm_receipt *a, const struct svm_receipt *b);

#endif
