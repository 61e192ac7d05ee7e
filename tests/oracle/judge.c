#include "judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void judge_fail(struct judge *judge, const char *format, ...)
{
    enum { SHOWN = 20 };
    va_list ap;
    pthread_mutex_lock(&judge->lock);
    if (judge->failures++ < SHOWN) {
        printf("  batch %u: ", judge->batch);
        va_start(ap, format);
        vprintf(format, ap);
        va_end(ap);
        printf("\n");
    }
    pthread_mutex_unlock(&judge->lock);
}

void judge_init(struct judge *judge, const struct model_genesis *genesis)
{
    memset(judge, 0, sizeof *judge);
    pthread_mutex_init(&judge->lock, NULL);
    judge->ref = ref_create(genesis);
}

void judge_deinit(struct judge *judge)
{
    for (size_t i = 0; i < JUDGE_BUCKETS; i++)
        while (judge->buckets[i]) {
            struct gen_tx *t = judge->buckets[i];
            judge->buckets[i] = t->next;
            gen_free(t);
        }
    ref_destroy(judge->ref);
    free(judge->log);
    free(judge->seqs);
    pthread_mutex_destroy(&judge->lock);
}

/* ---- what was handed in ------------------------------------------------------------------------------------------- */

static struct gen_tx **bucket_of(struct judge *judge, const struct svm_digest *digest)
{
    return &judge->buckets[(digest->b[0] | digest->b[1] << 8) % JUDGE_BUCKETS];
}

static struct gen_tx *find(struct judge *judge, const struct svm_digest *digest)
{
    struct gen_tx *t = *bucket_of(judge, digest);
    while (t && memcmp(t->digest.b, digest->b, sizeof digest->b) != 0)
        t = t->next;
    return t;
}

bool judge_know(struct judge *judge, struct gen_tx *t)
{
    pthread_mutex_lock(&judge->lock);
    bool is_new = find(judge, &t->digest) == NULL;
    if (is_new) {
        struct gen_tx **bucket = bucket_of(judge, &t->digest);
        t->next = *bucket;
        *bucket = t;
    }
    pthread_mutex_unlock(&judge->lock);
    return is_new;
}

void submission_answered(void *arg, const struct svm_outcome *outcome)
{
    struct submission *s = arg;
    pthread_mutex_lock(s->lock);
    s->answers++;
    s->err = outcome->err;
    s->pending = outcome->pending;
    s->duplicate = outcome->duplicate;
    if (outcome->refusal)
        s->refusal = *outcome->refusal;
    if (outcome->receipt && !s->receipt)
        s->receipt = svm_receipt_copy(outcome->receipt);
    --*s->unanswered;
    pthread_cond_signal(s->changed);
    pthread_mutex_unlock(s->lock);
}

void judge_committed(struct judge *judge, const struct svm_receipt *receipt)
{
    pthread_mutex_lock(&judge->lock);
    struct gen_tx *t = find(judge, &receipt->digest);
    bool again = t && atomic_load(&t->committed);
    if (t && !again) {
        if (judge->log_count == judge->log_cap) {
            judge->log_cap = judge->log_cap ? 2 * judge->log_cap : 1024;
            judge->log = realloc(judge->log, judge->log_cap * sizeof(struct gen_tx *));
            SVM_ASSERT(judge->log != NULL);
        }
        /* In memory mode several threads report, each in order of seq. */
        size_t at = judge->log_count++;
        for (; at > 0 && atomic_load(&judge->log[at - 1]->committed)->seq > receipt->seq; at--)
            judge->log[at] = judge->log[at - 1];
        judge->log[at] = t;
        atomic_store(&t->committed, svm_receipt_copy(receipt));
    }
    pthread_mutex_unlock(&judge->lock);
    if (!t)
        judge_fail(judge, "seq %llu: executed, and nobody handed it in",
                   (unsigned long long)receipt->seq);
    if (again)
        judge_fail(judge, "seq %llu: executed a second time", (unsigned long long)receipt->seq);
}

/* ---- receipts ------------------------------------------------------------------------------------------------------ */

static bool same_changes(const struct svm_receipt *a, const struct svm_receipt *b)
{
    if (a->change_count != b->change_count)
        return false;
    for (uint16_t i = 0; i < a->change_count; i++) {
        const struct svm_change *x = &a->changes[i], *y = &b->changes[i];
        if (memcmp(x->id.b, y->id.b, 32) != 0 || x->version != y->version ||
            memcmp(x->owner.b, y->owner.b, 32) != 0 || x->change != y->change || x->kind != y->kind)
            return false;
    }
    return true;
}

/* What is a function of the log: all but position, path and latency. */
static bool same_deed(const struct svm_receipt *a, const struct svm_receipt *b)
{
    return memcmp(a->digest.b, b->digest.b, 32) == 0 && memcmp(a->sender.b, b->sender.b, 32) == 0 &&
           a->node_ms == b->node_ms && a->gas_used == b->gas_used && a->failure == b->failure &&
           a->failed_op == b->failed_op && same_changes(a, b);
}

bool judge_same_receipt(const struct svm_receipt *a, const struct svm_receipt *b)
{
    return same_deed(a, b) && a->seq == b->seq && a->path == b->path && a->fallback == b->fallback;
}

static bool path_is_right(const struct gen_tx *t, const struct svm_receipt *receipt)
{
    if (receipt->fallback == SVM_FALLBACK_NONE)
        return receipt->path == (t->shared ? SVM_PATH_CONSENSUS : SVM_PATH_FAST);
    for (uint16_t i = 0; i < t->tx.input_count; i++)
        if (memcmp(t->inputs[i].id.b, receipt->fallback_object.b, 32) == 0)
            return receipt->path == SVM_PATH_CONSENSUS && !t->shared &&
                   t->inputs[i].kind == SVM_KIND_OWNED && !t->inputs[i].exact;
    return false;
}

/* ---- refusals ------------------------------------------------------------------------------------------------------ */

/* What the newest version OBJECT says to INPUT. */
static enum svm_err verdict(const struct ref_object *object, const struct svm_input *input,
                            const struct svm_address *sender)
{
    if (!object)
        return SVM_E_OBJECT_NOT_FOUND;
    if (object->deleted)
        return SVM_E_OBJECT_DELETED;
    if (object->kind != input->kind)
        return input->writable && object->kind == SVM_KIND_IMMUTABLE ? SVM_E_OBJECT_IMMUTABLE
                                                                     : SVM_E_WRONG_INPUT_KIND;
    if (object->kind != SVM_KIND_OWNED)
        return SVM_OK;
    if (memcmp(object->party.b, sender->b, 32) != 0)
        return SVM_E_NOT_OWNER;
    return input->exact && input->version != object->version ? SVM_E_VERSION_CONFLICT : SVM_OK;
}

static uint64_t engine_seq(const struct judge *judge, const struct ref_object *object)
{
    return object->seq == 0 ? 0 : judge->seqs[object->seq];
}

/* Does refusal S hold now, with the object's newest version that of its seq? */
static bool justified_now(struct judge *judge, const struct submission *s)
{
    const struct svm_refusal *r = &s->refusal;
    const struct ref_object *object = ref_get(judge->ref, &r->object);
    for (uint16_t i = 0; i < s->t->tx.input_count; i++) {
        if (memcmp(s->t->inputs[i].id.b, r->object.b, 32) != 0)
            continue;
        if (verdict(object, &s->t->inputs[i], &s->t->tx.sender) != s->err)
            return false;
        if (s->err == SVM_E_VERSION_CONFLICT)
            return r->current == object->version && r->given == s->t->inputs[i].version &&
                   r->given < r->current && memcmp(r->winner.b, object->last_tx.b, 32) == 0;
        return s->err != SVM_E_NOT_OWNER || memcmp(r->owner.b, object->party.b, 32) == 0;
    }
    return false;
}

static bool names_state(const struct submission *s)
{
    return (s->refusal.has & (SVM_HAS_SEQ | SVM_HAS_OBJECT)) == (SVM_HAS_SEQ | SVM_HAS_OBJECT);
}

/* All refusals that rest on what was written at SEQ and is the newest now. */
static void justify(struct judge *judge, struct submission *submissions, size_t count, uint64_t seq)
{
    for (size_t i = 0; i < count; i++) {
        struct submission *s = &submissions[i];
        if (s->err == SVM_OK || s->justified || s->at_once || !names_state(s))
            continue;
        const struct ref_object *object = ref_get(judge->ref, &s->refusal.object);
        if (object && engine_seq(judge, object) == s->refusal.seq &&
            (seq == UINT64_MAX || s->refusal.seq == seq))
            s->justified = justified_now(judge, s);
    }
}

/* Refusals that rest on no position. Judged before the batch is replayed. */
static bool justified_alone(struct judge *judge, const struct submission *s)
{
    const struct svm_refusal *r = &s->refusal;
    if (s->at_once && s->err == SVM_E_OVERLOADED)
        return true;
    if (s->bad_copy || s->t->planned != SVM_OK)
        return s->err == (s->bad_copy ? SVM_E_BAD_SIGNATURE : s->t->planned);
    switch ((int)s->err) {
    case SVM_E_OBJECT_NOT_FOUND:
        return ref_get(judge->ref, &r->object) == NULL;
    case SVM_E_BUSY:
        return (r->has & (SVM_HAS_ATTEMPTS | SVM_HAS_LIMIT)) != 0;
    case SVM_E_LIMIT_EXCEEDED:
        return r->limit == GEN_EFFECTS_MAX && r->got > r->limit;
    default:
        return false;
    }
}

static void judge_refusal(struct judge *judge, struct submission *s)
{
    const struct svm_receipt *receipt = atomic_load(&s->t->committed);
    judge->counts.refused[s->err]++;
    if (!s->justified) {
        char id[67];
        svm_hex32_format(id, s->refusal.object.b);
        judge_fail(judge, "refused with %s (planned %s), which nothing justifies: %s %s seq %llu",
                   svm_err_name(s->err), svm_err_name(s->t->planned), s->refusal.reason,
                   s->refusal.has & SVM_HAS_OBJECT ? id : "", (unsigned long long)s->refusal.seq);
    }
    if (s->bad_copy || s->at_once || !receipt)
        return;
    if (s->t->batch_executed != judge->batch + 1)
        judge_fail(judge, "refused with %s, though executed in batch %u", svm_err_name(s->err),
                   s->t->batch_executed - 1);
    else if (names_state(s) && s->refusal.seq >= receipt->seq)
        judge_fail(judge, "refused with %s for its own deed", svm_err_name(s->err));
}

/* ---- replay --------------------------------------------------------------------------------------------------------- */

static void note_seq(struct judge *judge, uint64_t seq)
{
    size_t at = ref_seq(judge->ref);
    if (at >= judge->seqs_cap) {
        judge->seqs_cap = judge->seqs_cap ? 2 * judge->seqs_cap : 1024;
        judge->seqs = realloc(judge->seqs, judge->seqs_cap * sizeof *judge->seqs);
        SVM_ASSERT(judge->seqs != NULL);
    }
    judge->seqs[at] = seq;
}

static void count(struct judge *judge, const struct gen_tx *t, const struct svm_receipt *receipt)
{
    struct judge_counts *counts = &judge->counts;
    counts->executed++;
    counts->failed[receipt->failure]++;
    counts->fallbacks += receipt->fallback != SVM_FALLBACK_NONE;
    counts->fast += receipt->path == SVM_PATH_FAST;
    counts->consensus += receipt->path == SVM_PATH_CONSENSUS;
    for (uint16_t i = 0; receipt->failure == SVM_FAILURE_NONE && i < t->tx.op_count; i++)
        counts->ops[t->ops[i].kind]++;
}

static void replay_one(struct judge *judge, struct gen_tx *t)
{
    const struct svm_receipt *got = atomic_load(&t->committed);
    struct svm_receipt *want = NULL;
    struct svm_refusal refusal;
    unsigned long long seq = got->seq;
    t->batch_executed = judge->batch + 1;
    if (got->seq <= judge->last_seq)
        judge_fail(judge, "seq %llu is shown after %llu", seq, (unsigned long long)judge->last_seq);
    judge->last_seq = got->seq;
    if (t->planned != SVM_OK)
        judge_fail(judge, "seq %llu: executed what must be refused with %s", seq,
                   svm_err_name(t->planned));
    if (t->tx.expires_ms && t->tx.expires_ms <= got->node_ms)
        judge_fail(judge, "seq %llu: executed after its expiry", seq);
    enum svm_err err = ref_apply(judge->ref, &t->tx, &t->digest, got->node_ms, &want, &refusal);
    if (err != SVM_OK) {
        judge_fail(judge, "seq %llu: executed; in this order it is refused with %s", seq,
                   svm_err_name(err));
        return;
    }
    note_seq(judge, got->seq);
    if (!same_deed(got, want))
        judge_fail(judge,
                   "seq %llu: the reference differs: failure %s/%s op %u/%u gas %llu/%llu changes "
                   "%u/%u",
                   seq, svm_failure_name(got->failure), svm_failure_name(want->failure),
                   got->failed_op, want->failed_op, (unsigned long long)got->gas_used,
                   (unsigned long long)want->gas_used, got->change_count, want->change_count);
    if (!path_is_right(t, got))
        judge_fail(judge, "seq %llu: path %s fallback %s", seq, svm_path_name(got->path),
                   svm_fallback_name(got->fallback));
    count(judge, t, got);
    free(want);
}

/* The sightings between the last replayed transaction and the next one, at NEXT. */
static void judge_sightings(struct judge *judge, const struct sighting *sightings, size_t count,
                            uint64_t next)
{
    for (size_t i = 0; i < count; i++) {
        if (sightings[i].seq < judge->last_seq || sightings[i].seq >= next)
            continue;
        struct svm_digest want;
        ref_state_hash(judge->ref, &want);
        judge->counts.sightings++;
        if (memcmp(want.b, sightings[i].hash.b, sizeof want.b) != 0)
            judge_fail(judge, "the snapshot at %llu is not the state after it",
                       (unsigned long long)sightings[i].seq);
    }
}

static void judge_answer(struct judge *judge, struct submission *s)
{
    const struct svm_receipt *receipt = atomic_load(&s->t->committed);
    if (s->at_once ? s->answers != 0 : s->answers != 1)
        judge_fail(judge, "%u answers to one submission", s->answers);
    if (s->err != SVM_OK) {
        judge_refusal(judge, s);
        return;
    }
    judge->counts.duplicates += s->duplicate;
    if (s->bad_copy && !s->duplicate)
        judge_fail(judge, "a bad signature was taken");
    if (s->pending ? s->wait != SVM_WAIT_NONE : !s->receipt)
        judge_fail(judge, "an answer without a receipt");
    if (s->receipt && (!receipt || !judge_same_receipt(s->receipt, receipt)))
        judge_fail(judge, "seq %llu: the answer is not what was committed",
                   (unsigned long long)s->receipt->seq);
    if (receipt && !s->duplicate && !s->pending && s->t->batch_executed != judge->batch + 1)
        judge_fail(judge, "a duplicate of batch %u is not marked as one", s->t->batch_executed - 1);
}

void judge_batch(struct judge *judge, struct submission *submissions, size_t count,
                 const struct sighting *sightings, size_t sighting_count)
{
    for (size_t i = 0; i < count; i++)
        if (submissions[i].err != SVM_OK)
            submissions[i].justified = justified_alone(judge, &submissions[i]);
    justify(judge, submissions, count, UINT64_MAX);
    while (judge->replayed < judge->log_count) {
        struct gen_tx *t = judge->log[judge->replayed++];
        const uint64_t seq = atomic_load(&t->committed)->seq;
        judge_sightings(judge, sightings, sighting_count, seq);
        replay_one(judge, t);
        justify(judge, submissions, count, seq);
    }
    judge_sightings(judge, sightings, sighting_count, UINT64_MAX);
    for (size_t i = 0; i < count; i++)
        judge_answer(judge, &submissions[i]);
    judge->batch++;
}
