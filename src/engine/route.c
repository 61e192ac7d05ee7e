#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

/* The routing table of ARCHITECTURE section 5, as far as it is a matter of the declaration. What an input really is, is found
 * under the claims. */
enum svm_route_rule route_decide(const struct svm_tx *tx, enum svm_path *path_out)
{
    if (tx->privacy) {
        *path_out = SVM_PATH_PRIVATE;
        return SVM_RULE_PRIVATE;
    }
    for (uint16_t i = 0; i < tx->input_count; i++)
        if (tx->inputs[i].kind == SVM_KIND_SHARED) {
            *path_out = SVM_PATH_CONSENSUS;
            return SVM_RULE_SHARED_INPUT;
        }
    *path_out = SVM_PATH_FAST;
    return tx->input_count ? SVM_RULE_ALL_OWNED : SVM_RULE_NO_INPUT;
}

const char *svm_route_rule_name(enum svm_route_rule rule)
{
    switch (rule) {
    case SVM_RULE_PRIVATE:
        return "PRIVATE";
    case SVM_RULE_SHARED_INPUT:
        return "SHARED_INPUT";
    case SVM_RULE_ALL_OWNED:
        return "ALL_OWNED";
    case SVM_RULE_NO_INPUT:
        return "NO_INPUT";
    case SVM_RULE_REFUSED:
        return "REFUSED";
    }
    return "";
}

static bool has_exact(const struct svm_tx *tx)
{
    for (uint16_t i = 0; i < tx->input_count; i++)
        if (tx->inputs[i].exact)
            return true;
    return false;
}

static enum svm_err admit_expiry(struct svm_engine *engine, const struct svm_tx *tx,
                                 uint64_t now_ms, struct svm_refusal *refusal)
{
    if (tx->expires_ms == 0) {
        if (has_exact(tx))
            return SVM_OK;
        refusal_because(refusal, SVM_E_EXPIRY_TOO_FAR,
                        "expires_ms 0 needs an owned input with an exact version; set an expiry");
    } else if (tx->expires_ms <= now_ms) {
        refusal_because(refusal, SVM_E_EXPIRED,
                        "the transaction expired; sign it anew with a later expires_ms");
    } else if (tx->expires_ms - now_ms > config_of(engine)->tx_expiry_max_ms) {
        refusal_because(refusal, SVM_E_EXPIRY_TOO_FAR,
                        "expires_ms is more than tx.expiry_max ahead");
        refusal->has |= SVM_HAS_LIMIT;
        refusal->limit = config_of(engine)->tx_expiry_max_ms;
        refusal->got = tx->expires_ms - now_ms;
    } else {
        return SVM_OK;
    }
    refusal->has |= SVM_HAS_TIME;
    refusal->expires_ms = tx->expires_ms;
    refusal->now_ms = now_ms;
    return refusal->err;
}

static enum svm_err over_limit(struct svm_refusal *refusal, const char *name, uint64_t limit,
                               uint64_t got)
{
    refusal_because(refusal, SVM_E_LIMIT_EXCEEDED, "the transaction exceeds %s", name);
    refusal->has |= SVM_HAS_LIMIT;
    refusal->limit = limit;
    refusal->got = got;
    return SVM_E_LIMIT_EXCEEDED;
}

static uint64_t op_data_bytes(const struct svm_op *op)
{
    if (op->kind == SVM_OP_CREATE)
        return op->u.create.data.len;
    return op->kind == SVM_OP_UPDATE ? op->u.update.data.len : 0;
}

enum svm_err route_admit(struct svm_engine *engine, const struct svm_tx *tx, uint64_t now_ms,
                         struct svm_refusal *refusal)
{
    const struct svm_config *config = config_of(engine);
    if (tx->chain != engine->genesis.chain) {
        refusal_because(refusal, SVM_E_WRONG_CHAIN,
                        "the transaction is for another chain; see node_info for this one");
        refusal->has |= SVM_HAS_CHAIN;
        refusal->given = tx->chain;
        refusal->current = engine->genesis.chain;
        return SVM_E_WRONG_CHAIN;
    }
    if (tx->input_count > config->tx_inputs_max)
        return over_limit(refusal, "tx.inputs_max", config->tx_inputs_max, tx->input_count);
    if (tx->op_count > config->tx_ops_max)
        return over_limit(refusal, "tx.ops_max", config->tx_ops_max, tx->op_count);
    for (uint16_t i = 0; i < tx->op_count; i++)
        if (op_data_bytes(&tx->ops[i]) > config->tx_data_bytes_max)
            return over_limit(refusal, "tx.data_bytes_max", config->tx_data_bytes_max,
                              op_data_bytes(&tx->ops[i]));
    uint64_t base = exec_gas_base(tx);
    if (tx->gas_limit < base) {
        refusal_because(refusal, SVM_E_GAS_TOO_LOW,
                        "gas_limit is below the base price of this transaction");
        refusal->has |= SVM_HAS_LIMIT;
        refusal->limit = base;
        refusal->got = tx->gas_limit;
        return SVM_E_GAS_TOO_LOW;
    }
    return admit_expiry(engine, tx, now_ms, refusal);
}

/* ---- simulate and explain ------------------------------------------------------------------------------------ */

/* A transaction decoded apart from any job. */
struct parsed {
    struct svm_tx_space space;
    struct svm_signed_tx stx;
    struct svm_digest digest;
};

static enum svm_err parse(struct parsed *parsed, struct svm_bytes bytes, bool is_signed,
                          struct svm_refusal *refusal)
{
    refusal_init(refusal, SVM_OK);
    enum svm_err err;
    if (is_signed) {
        err = svm_signed_tx_decode(&parsed->stx, &parsed->space, bytes, refusal);
    } else {
        err = svm_tx_decode(&parsed->stx.tx, &parsed->space, bytes, refusal);
        parsed->stx.tx_bytes = bytes;
    }
    if (err == SVM_OK && is_signed)
        err = svm_signed_tx_verify(&parsed->stx, refusal);
    refusal->err = err;
    if (err == SVM_OK)
        svm_tx_digest(&parsed->digest, parsed->stx.tx_bytes);
    return err;
}

/* The inputs of TX as a snapshot sees them. */
struct seen {
    struct svm_object *views[SVM_TX_INPUTS_MAX];
    struct model_object *objects[SVM_TX_INPUTS_MAX];
    uint16_t count;
};

/* The engine's form of a public object; tombstones too. */
static struct model_object *object_of_view(const struct svm_object *view, bool deleted)
{
    struct model_object *object = calloc(1, model_object_size(view->type.len, view->data.len));
    if (!object)
        return NULL;
    object->party = view->kind == SVM_KIND_OWNED ? view->owner : view->controller;
    object->last_tx = view->last_tx;
    object->version = view->version;
    object->balance = view->balance.units;
    model_object_times_set(object, view->created_ms, view->modified_ms);
    model_object_lens_set(object, view->type.len, view->data.len);
    model_object_kind_set(object, view->kind);
    object->open_withdraw = view->open_withdraw;
    object->deleted = deleted;
    if (view->type.len)
        memcpy(object->bytes, view->type.ptr, view->type.len);
    if (view->data.len)
        memcpy(object->bytes + view->type.len, view->data.ptr, view->data.len);
    return object;
}

static void seen_deinit(struct seen *seen)
{
    for (uint16_t i = 0; i < seen->count; i++) {
        svm_object_free(seen->views[i]);
        free(seen->objects[i]);
    }
}

static enum svm_err seen_init(struct seen *seen, struct svm_engine *engine, const struct svm_tx *tx,
                              const struct svm_snapshot *snapshot)
{
    uint64_t seq = svm_snapshot_seq(snapshot);
    memset(seen, 0, sizeof *seen);
    struct mvcc_thread *thread = reader_take(engine);
    enum svm_err err = SVM_OK;
    for (uint16_t i = 0; i < tx->input_count && err == SVM_OK; i++) {
        err = query_object(engine, thread, &tx->inputs[i].id, seq, &seen->views[i], true);
        seen->count = (uint16_t)(i + 1);
        if (err == SVM_E_NOT_FOUND) {
            err = SVM_OK;
            continue;
        }
        if (err == SVM_OK || err == SVM_E_OBJECT_DELETED) {
            seen->objects[i] = object_of_view(seen->views[i], err == SVM_E_OBJECT_DELETED);
            err = seen->objects[i] ? SVM_OK : SVM_E_NO_MEMORY;
        }
    }
    reader_give(engine, thread);
    return snapshot_cancelled(snapshot) ? SVM_E_SNAPSHOT_TOO_OLD : err;
}

static enum svm_err check_seen(const struct svm_tx *tx, const struct seen *seen,
                               struct svm_refusal *refusal)
{
    for (uint16_t i = 0; i < tx->input_count; i++) {
        enum svm_err err = exec_check_input(tx, i, seen->objects[i], refusal);
        if (err != SVM_OK) {
            if (seen->views[i]) {
                refusal->has |= SVM_HAS_SEQ;
                refusal->seq = seen->views[i]->seq;
            }
            return err;
        }
    }
    return SVM_OK;
}

static struct model_object *heap_alloc(void *arg, size_t size)
{
    (void)arg;
    return malloc(size);
}

static void heap_free(void *arg, struct model_object *object)
{
    (void)arg;
    free(object);
}

static enum svm_err run_seen(const struct parsed *parsed, const struct seen *seen, uint64_t seq,
                             uint64_t node_ms, struct svm_receipt **receipt_out)
{
    const struct exec_alloc alloc = {heap_alloc, heap_free, NULL};
    struct exec_result *result = malloc(sizeof *result);
    struct model_write *writes = malloc(MODEL_WRITES_MAX * sizeof *writes);
    enum svm_err err = result && writes ? SVM_OK : SVM_E_NO_MEMORY;
    if (err == SVM_OK) {
        result->writes = writes;
        err = exec_apply(result, &parsed->stx.tx, &parsed->digest,
                         (const struct model_object *const *)seen->objects, node_ms, &alloc);
    }
    if (err == SVM_OK) {
        struct model_effects effects = {.digest = parsed->digest,
                                        .sender = parsed->stx.tx.sender,
                                        .seq = seq,
                                        .node_ms = node_ms,
                                        .gas_used = result->gas_used,
                                        .failure = result->failure,
                                        .failed_op = result->failed_op,
                                        .write_count = result->write_count,
                                        .writes = writes};
        route_decide(&parsed->stx.tx, &effects.path);
        *receipt_out = model_receipt_of(&effects);
        err = *receipt_out ? SVM_OK : SVM_E_NO_MEMORY;
        for (uint16_t i = 0; i < result->write_count; i++)
            free(result->writes[i].object);
    }
    free(writes);
    free(result);
    return err;
}

enum svm_err svm_simulate(struct svm_engine *engine, struct svm_bytes bytes, bool is_signed,
                          struct svm_receipt **receipt_out, struct svm_refusal *refusal)
{
    struct svm_refusal local;
    struct svm_snapshot *snapshot = NULL;
    struct parsed *parsed = malloc(sizeof *parsed);
    struct seen *seen = malloc(sizeof *seen);
    *receipt_out = NULL;
    refusal_init(&local, SVM_E_NO_MEMORY);
    enum svm_err err = parsed && seen ? parse(parsed, bytes, is_signed, &local) : SVM_E_NO_MEMORY;
    uint64_t now_ms = engine_node_ms(engine);
    if (err == SVM_OK)
        err = route_admit(engine, &parsed->stx.tx, now_ms, &local);
    if (err == SVM_OK && (err = svm_snapshot_open(engine, &snapshot)) == SVM_OK) {
        err = seen_init(seen, engine, &parsed->stx.tx, snapshot);
        if (err == SVM_OK)
            err = check_seen(&parsed->stx.tx, seen, &local);
        if (err == SVM_OK)
            err = run_seen(parsed, seen, svm_snapshot_seq(snapshot), now_ms, receipt_out);
        seen_deinit(seen);
        svm_snapshot_close(snapshot);
    }
    if (local.err != err)
        refusal_init(&local, err);
    if (refusal)
        *refusal = local;
    free(seen);
    free(parsed);
    return err;
}

static void explain_inputs(struct svm_route *route, const struct svm_tx *tx,
                           const struct seen *seen)
{
    route->input_count = tx->input_count;
    for (uint16_t i = 0; i < tx->input_count; i++) {
        const struct model_object *object = seen->objects[i];
        struct svm_route_input *input = &route->inputs[i];
        *input = (struct svm_route_input){.id = tx->inputs[i].id,
                                          .known = object != NULL,
                                          .declared = tx->inputs[i].kind,
                                          .exact = tx->inputs[i].exact,
                                          .given = tx->inputs[i].version};
        if (object) {
            input->deleted = object->deleted;
            input->actual = (enum svm_kind)object->kind;
            input->current = object->version;
            if (object->kind == SVM_KIND_OWNED)
                input->owner = object->party;
        }
    }
}

enum svm_err svm_explain_route(struct svm_engine *engine, struct svm_bytes bytes, bool is_signed,
                               struct svm_route *route_out, struct svm_refusal *refusal)
{
    struct svm_refusal local;
    struct svm_snapshot *snapshot = NULL;
    struct parsed *parsed = malloc(sizeof *parsed);
    struct seen *seen = malloc(sizeof *seen);
    memset(route_out, 0, sizeof *route_out);
    refusal_init(&local, SVM_E_NO_MEMORY);
    enum svm_err err = parsed && seen ? parse(parsed, bytes, is_signed, &local) : SVM_E_NO_MEMORY;
    if (err == SVM_OK && (err = svm_snapshot_open(engine, &snapshot)) != SVM_OK)
        refusal_init(&local, err);
    if (err == SVM_OK) {
        const struct svm_tx *tx = &parsed->stx.tx;
        route_out->rule = route_decide(tx, &route_out->path);
        route_out->seq = svm_snapshot_seq(snapshot);
        err = seen_init(seen, engine, tx, snapshot);
        if (err == SVM_OK) {
            explain_inputs(route_out, tx, seen);
            route_out->err = route_admit(engine, tx, engine_node_ms(engine), &route_out->refusal);
            if (route_out->err == SVM_OK)
                route_out->err = check_seen(tx, seen, &route_out->refusal);
            if (route_out->err != SVM_OK)
                route_out->rule = SVM_RULE_REFUSED;
        } else {
            refusal_init(&local, err);
        }
        seen_deinit(seen);
        svm_snapshot_close(snapshot);
    }
    if (refusal)
        *refusal = local;
    free(seen);
    free(parsed);
    return err;
}
