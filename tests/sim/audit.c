/* The auditor: keeps the timeline of what was executed, does it again with the sequential reference, and holds every answer against it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/judge.h"
#include "sim.h"

static void *must(void *memory)
{
    SVM_ASSERT(memory != NULL);
    return memory;
}

static void ref_begin(struct sim *sim)
{
    if (sim->ref != NULL)
        ref_destroy(sim->ref);
    sim->ref = ref_create(&sim->genesis);
    sim->gen.ref = sim->ref;
    sim->replayed = 0;
}

void sim_audit_begin(struct sim *sim)
{
    char reason[120];
    enum svm_err err = model_genesis_parse(&sim->genesis, model_genesis_dev(), reason);
    SVM_ASSERT(err == SVM_OK);
    ref_begin(sim);
    sim->sum = ref_sum_of_balances(sim->ref);
    gen_init(&sim->gen, sim->plan.seed, sim->ref, sim->genesis.chain);
    sim->gen.sign = sim->plan.sign;
    sim->gen.ordered_only = sim->plan.ordered;
}

/* ---- what is told while the engine runs -------------------------------------------------------------------------------- */

void sim_audit_told(struct sim *sim, uint64_t seq)
{
    if (sim->plan.mode != SVM_MEMORY && seq > sim->told)
        sim->told = seq;
}

static struct gen_tx *tx_of(const struct sim *sim, const struct svm_digest *digest)
{
    for (size_t i = sim->tx_count; i > 0; i--)
        if (memcmp(sim->txs[i - 1]->digest.b, digest->b, sizeof digest->b) == 0)
            return sim->txs[i - 1];
    return NULL;
}

/* In memory mode several threads show, each in order of seq. */
void sim_audit_shown(struct sim *sim, const struct svm_receipt *receipt)
{
    struct gen_tx *t = tx_of(sim, &receipt->digest);
    unsigned long long seq = receipt->seq;
    weave_note("shown: seq %llu", seq);
    if (t == NULL) {
        weave_fail("seq %llu: executed, and nobody has handed it in", seq);
        return;
    }
    if (t->committed != NULL)
        weave_fail("seq %llu: executed a second time, first at %llu", seq,
                   (unsigned long long)t->committed->seq);
    if (sim->deed_count == sim->deed_cap) {
        sim->deed_cap = sim->deed_cap == 0 ? 64 : 2 * sim->deed_cap;
        sim->deeds = must(realloc(sim->deeds, sim->deed_cap * sizeof *sim->deeds));
        sim->seqs = must(realloc(sim->seqs, (sim->deed_cap + 1) * sizeof *sim->seqs));
    }
    size_t at = sim->deed_count++;
    for (; at > 0 && sim->deeds[at - 1].seq > receipt->seq; at--)
        sim->deeds[at] = sim->deeds[at - 1];
    if (at < sim->replayed || (sim->plan.mode != SVM_MEMORY && at + 1 < sim->deed_count))
        weave_fail("seq %llu: shown after a later one", seq);
    sim->deeds[at] = (struct sim_deed){.seq = receipt->seq, .t = t};
    t->committed = must(svm_receipt_copy(receipt));
    sim->counts.executed++;
}

/* ---- refusals -------------------------------------------------------------------------------------------------------------- */

/* What OBJECT, the newest, says to INPUT. */
static enum svm_err verdict(const struct ref_object *object, const struct svm_input *input,
                            const struct svm_address *sender)
{
    if (object == NULL)
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

static bool names_state(const struct sim_submission *s)
{
    return (s->refusal.has & (SVM_HAS_SEQ | SVM_HAS_OBJECT)) == (SVM_HAS_SEQ | SVM_HAS_OBJECT);
}

/* Refusals that rest on an object as it is now. */
static void justify(struct sim *sim)
{
    for (size_t i = 0; i < sim->batch_count; i++) {
        struct sim_submission *s = &sim->batch[i];
        if (s->err == SVM_OK || s->justified || !names_state(s))
            continue;
        const struct ref_object *object = ref_get(sim->ref, &s->refusal.object);
        if (object == NULL || (object->seq == 0 ? 0 : sim->seqs[object->seq]) != s->refusal.seq)
            continue;
        for (uint16_t k = 0; k < s->t->tx.input_count; k++)
            if (memcmp(s->t->inputs[k].id.b, s->refusal.object.b, 32) == 0)
                s->justified = verdict(object, &s->t->inputs[k], &s->t->tx.sender) == s->err;
    }
}

/* Refusals that rest on no position; before the batch is done by the reference. */
static bool justified_alone(const struct sim *sim, const struct sim_submission *s)
{
    if (s->t->planned != SVM_OK)
        return s->err == s->t->planned || (s->at_once && s->err == SVM_E_OVERLOADED);
    switch ((int)s->err) {
    case SVM_E_OBJECT_NOT_FOUND:
        return ref_get(sim->ref, &s->refusal.object) == NULL;
    case SVM_E_EXPIRED:
        return s->t->tx.expires_ms != 0;
    case SVM_E_EXPIRY_TOO_FAR: /* the wall clock was put back between two lives */
    case SVM_E_BUSY:
    case SVM_E_OVERLOADED:
        return true;
    case SVM_E_LIMIT_EXCEEDED:
        return s->refusal.limit == GEN_EFFECTS_MAX && s->refusal.got > s->refusal.limit;
    default:
        return false;
    }
}

/* ---- the reference does it again --------------------------------------------------------------------------------------------- */

static void see_sightings(struct sim *sim, uint64_t from, uint64_t next)
{
    for (size_t i = 0; i < sim->sighting_count; i++) {
        struct svm_digest want;
        if (sim->sightings[i].seq < from || sim->sightings[i].seq >= next)
            continue;
        ref_state_hash(sim->ref, &want);
        if (memcmp(want.b, sim->sightings[i].hash.b, sizeof want.b) != 0)
            weave_fail("the snapshot at %llu is not the state after it",
                       (unsigned long long)sim->sightings[i].seq);
    }
}

static void replay_one(struct sim *sim, const struct sim_deed *deed)
{
    const struct gen_tx *t = deed->t;
    const struct svm_receipt *got = t->committed;
    unsigned long long seq = deed->seq;
    struct svm_receipt *want = NULL;
    struct svm_refusal refusal;
    if (t->planned != SVM_OK)
        weave_fail("seq %llu: executed what must be refused with %s", seq,
                   svm_err_name(t->planned));
    if (t->tx.expires_ms != 0 && t->tx.expires_ms <= got->node_ms)
        weave_fail("seq %llu: executed after its expiry", seq);
    enum svm_err err = ref_apply(sim->ref, &t->tx, &t->digest, got->node_ms, &want, &refusal);
    if (err != SVM_OK) {
        weave_fail("seq %llu: executed; in this order it is refused with %s", seq,
                   svm_err_name(err));
        return;
    }
    sim->seqs[ref_seq(sim->ref)] = deed->seq;
    want->seq = got->seq;
    want->path = got->path;
    want->fallback = got->fallback;
    if (!judge_same_receipt(got, want))
        weave_fail("seq %llu: the reference differs: %s/%s, gas %llu/%llu, changes %u/%u", seq,
                   svm_failure_name(got->failure), svm_failure_name(want->failure),
                   (unsigned long long)got->gas_used, (unsigned long long)want->gas_used,
                   got->change_count, want->change_count);
    free(want);
}

static void replay(struct sim *sim)
{
    uint64_t at = sim->replayed == 0 ? 0 : sim->deeds[sim->replayed - 1].seq;
    justify(sim);
    while (sim->replayed < sim->deed_count) {
        const struct sim_deed *deed = &sim->deeds[sim->replayed];
        see_sightings(sim, at, deed->seq);
        replay_one(sim, deed);
        sim->replayed++;
        justify(sim);
        at = deed->seq;
    }
    see_sightings(sim, at, UINT64_MAX);
    sim->sighting_count = 0;
}

/* ---- a batch ------------------------------------------------------------------------------------------------------------------- */

static void audit_answer(struct sim *sim, const struct sim_submission *s)
{
    if (s->err != SVM_OK) {
        sim->counts.refused++;
        if (!s->justified)
            weave_fail("refused with %s (planned %s), which nothing justifies: seq %llu %s",
                       svm_err_name(s->err), svm_err_name(s->t->planned),
                       (unsigned long long)s->refusal.seq, s->refusal.reason);
        return;
    }
    sim->counts.duplicates += s->duplicate;
    if (s->pending ? s->wait != SVM_WAIT_NONE : s->receipt == NULL)
        weave_fail("an answer without a receipt");
    if (s->receipt != NULL &&
        (s->t->committed == NULL || !judge_same_receipt(s->receipt, s->t->committed)))
        weave_fail("seq %llu: the answer is not what was executed",
                   (unsigned long long)s->receipt->seq);
}

void sim_audit_batch(struct sim *sim)
{
    for (size_t i = 0; i < sim->batch_count; i++)
        if (sim->batch[i].err != SVM_OK)
            sim->batch[i].justified = justified_alone(sim, &sim->batch[i]);
    replay(sim);
    for (size_t i = 0; i < sim->batch_count; i++)
        audit_answer(sim, &sim->batch[i]);
    sim->batch_count = 0;
}

/* ---- a state, a life ------------------------------------------------------------------------------------------------------------- */

static bool add_balance(void *arg, const struct svm_object *object)
{
    *(uint64_t *)arg += object->balance.units;
    return true;
}

/* The engine's objects now are the reference's. Nothing but interactive transactions is under way. */
void sim_audit_state(struct sim *sim)
{
    struct svm_snapshot *snapshot;
    struct svm_digest got, want;
    uint64_t sum = 0;
    enum weave_heap heap = weave_heap_enter(WEAVE_LIFE);
    enum svm_err err = svm_snapshot_open(sim->engine, &snapshot);
    if (err == SVM_OK) {
        err = svm_state_hash(snapshot, &got);
        if (err == SVM_OK)
            err = svm_state_scan(snapshot, add_balance, &sum);
        svm_snapshot_close(snapshot);
    }
    weave_heap_enter(heap);
    if (err != SVM_OK) {
        if (!disk_failed())
            weave_fail("the state cannot be read: %s", svm_err_name(err));
        return;
    }
    ref_state_hash(sim->ref, &want);
    if (memcmp(got.b, want.b, sizeof got.b) != 0)
        weave_fail("the state is not that of the reference");
    if (sum != sim->sum)
        weave_fail("the sum of balances is %llu, not %llu", (unsigned long long)sum,
                   (unsigned long long)sim->sum);
}

static void audit_receipt(struct sim *sim, const struct gen_tx *t)
{
    struct svm_receipt *receipt = NULL;
    enum weave_heap heap = weave_heap_enter(WEAVE_LIFE);
    enum svm_err err = svm_receipt_get(sim->engine, &t->digest, &receipt);
    weave_heap_enter(heap);
    if (disk_failed())
        return;
    if (t->committed == NULL ? err != SVM_E_NOT_FOUND
                             : err != SVM_OK || !judge_same_receipt(receipt, t->committed))
        weave_fail("after recovery the receipt of seq %llu: %s",
                   t->committed == NULL ? 0 : (unsigned long long)t->committed->seq,
                   svm_err_name(err));
    svm_receipt_free(receipt);
}

/* A life has begun: what is there is a prefix of what was shown, and no shorter than what was promised. */
void sim_audit_recovered(struct sim *sim)
{
    uint64_t end = svm_applied_seq(sim->engine);
    weave_note(
        "recovered up to %llu; told %llu, synced %llu, shown %llu", (unsigned long long)end,
        (unsigned long long)sim->told, (unsigned long long)sim->synced,
        (unsigned long long)(sim->deed_count == 0 ? 0 : sim->deeds[sim->deed_count - 1].seq));
    if (end < sim->told)
        weave_fail("recovered up to %llu, but %llu was told to be durable", (unsigned long long)end,
                   (unsigned long long)sim->told);
    while (sim->deed_count > 0 && sim->deeds[sim->deed_count - 1].seq > end) {
        struct gen_tx *t = sim->deeds[--sim->deed_count].t;
        svm_receipt_free(t->committed);
        t->committed = NULL;
        sim->counts.lost++;
    }
    sim->batch_count = 0;
    size_t kept = 0;
    for (size_t i = 0; i < sim->sighting_count; i++)
        if (sim->sightings[i].seq <= end)
            sim->sightings[kept++] = sim->sightings[i];
    sim->sighting_count = kept;
    if (sim->replayed > sim->deed_count)
        ref_begin(sim);
    replay(sim);
    sim_audit_state(sim);
    for (size_t i = 0; i < sim->tx_count; i += 1 + rng_below(&sim->rng, 4))
        if (sim->txs[i]->planned == SVM_OK)
            audit_receipt(sim, sim->txs[i]);
    sim_cells_recovered(sim, end);
    if (sim->plan.mode != SVM_MEMORY)
        sim->told = sim->synced = end;
}
