/* bench_svm: SuperVM under the workloads of the others, through <svm.h>.
 *
 *   supervm         declared transactions on shared objects: Move between two, Add on one; the consensus path
 *   supervm-owned   the same on objects of the sender's, latest version: the fast path, falling back where two meet
 *   supervm-cells   interactive transactions on cells: read, decide, write, commit, repeated when defeated
 *
 *   unsynced        durability `write`: acknowledged when the log has been handed to the operating system
 *   fsynced         durability `sync`: acknowledged after the fsync
 *
 * --threads is the number of threads that call, as with the others; they do the work themselves (svm_run_batch, svm_cell_run). A transaction
 * counts when its receipt says it succeeded and is durable; of an interactive one, when the durable position has reached it. */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "compare/compare.h"

enum {
    WINDOW = 4096,
    INFLIGHT = 16384,
    BATCH = 128,
    CREATE_OPS = 250,
    CELLS_AT_ONCE = 200,
    NAP_NS = 50 * 1000
};
enum { OBJECT_BYTES = 16 }; /* the counter, then the object's number */
static const char OBJECT_TYPE[] = "compare.object";

struct state {
    struct rig *rig;
    struct svm_id *ids; /* NULL with cells */
    enum svm_kind kind;
};

/* Declared: a batch, and how many of its picks the engine has not taken yet. */
struct declared {
    enum svm_wait wait;
    struct random random; /* of digests */
    uint32_t held;
    struct compare_pick picks[BATCH];
    struct svm_input inputs[BATCH][2];
    struct svm_op ops[BATCH];
    struct svm_tx txs[BATCH];
    struct svm_digest digests[BATCH];
    struct svm_submission submissions[BATCH];
    uint64_t submitted, acknowledged;
    _Alignas(64) _Atomic uint64_t ok, bad; /* counted by whoever answers */
};
/* Interactive: positions not yet durable, a ring. */
struct interactive {
    uint64_t seqs[WINDOW];
    uint64_t begun, acknowledged;
};

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
}

/* ---- filling ---------------------------------------------------------------------------------------------------- */

/* submit_now: TX, and wait until it is executed. Filling is not measured. */
static void submit_now(struct rig *rig, const struct svm_tx *tx, const struct svm_digest *digest)
{
    uint64_t before, ok, bad;
    rig_sum(rig, &before, &bad);
    while (!rig_submit(rig, tx, digest))
        nap();
    do {
        sched_yield();
        rig_sum(rig, &ok, &bad);
    } while (ok == before && bad == 0);
    if (bad > 0)
        die("filling failed");
}

static void create_objects(const struct compare *compare)
{
    static struct svm_op ops[CREATE_OPS];
    static uint8_t data[CREATE_OPS][OBJECT_BYTES];
    const struct state *state = compare->state;
    struct rig *rig = state->rig;
    for (uint32_t made = 0; made < compare->objects;) {
        uint16_t count = 0;
        struct svm_digest digest;
        rig_digest(rig, &digest);
        for (; count < CREATE_OPS && made < compare->objects; count++, made++) {
            bytes_put_u64le(data[count], 0);
            bytes_put_u64le(data[count] + 8, made);
            ops[count] = (struct svm_op){.kind = SVM_OP_CREATE};
            ops[count].u.create.owner.kind = state->kind;
            if (state->kind == SVM_KIND_OWNED)
                ops[count].u.create.owner.address = rig->faucet_owner;
            ops[count].u.create.type =
                (struct svm_bytes){(const uint8_t *)OBJECT_TYPE, strlen(OBJECT_TYPE)};
            ops[count].u.create.data = (struct svm_bytes){data[count], OBJECT_BYTES};
            svm_tx_new_object_id(&state->ids[made], &digest, count);
        }
        const struct svm_tx tx = {.chain = rig->chain,
                                  .sender = rig->faucet_owner,
                                  .expires_ms = svm_now_ms(rig->engine) + EXPIRY_MS,
                                  .gas_limit = UINT64_MAX,
                                  .op_count = count,
                                  .ops = ops};
        submit_now(rig, &tx, &digest);
    }
}

static int compare_inputs(const void *left, const void *right)
{
    return memcmp(&((const struct svm_input *)left)->id, &((const struct svm_input *)right)->id,
                  sizeof(struct svm_id));
}

/* fund_objects: COMPARE_BALANCE out of the faucet into each. */
static void fund_objects(const struct compare *compare)
{
    static struct svm_input inputs[SVM_TX_INPUTS_MAX];
    static struct svm_op ops[SVM_TX_OPS_MAX];
    const struct state *state = compare->state;
    struct rig *rig = state->rig;
    for (uint32_t funded = 0; funded < compare->objects;) {
        uint16_t count = 1, faucet = 0;
        inputs[0] = (struct svm_input){.id = rig->faucet, .kind = SVM_KIND_OWNED, .writable = true};
        for (; count < SVM_TX_INPUTS_MAX && funded < compare->objects; count++, funded++)
            inputs[count] =
                (struct svm_input){.id = state->ids[funded], .kind = state->kind, .writable = true};
        qsort(inputs, count, sizeof inputs[0], compare_inputs);
        while (memcmp(&inputs[faucet].id, &rig->faucet, sizeof rig->faucet) != 0)
            faucet++;
        uint16_t op = 0;
        for (uint16_t i = 0; i < count; i++) {
            if (i == faucet)
                continue;
            ops[op] = (struct svm_op){.kind = SVM_OP_MOVE, .input = faucet};
            ops[op].u.move.amount.units = COMPARE_BALANCE;
            ops[op++].u.move.into = i;
        }
        const struct svm_tx tx = {.chain = rig->chain,
                                  .sender = rig->faucet_owner,
                                  .expires_ms = svm_now_ms(rig->engine) + EXPIRY_MS,
                                  .gas_limit = UINT64_MAX,
                                  .input_count = count,
                                  .op_count = op,
                                  .inputs = inputs,
                                  .ops = ops};
        struct svm_digest digest;
        rig_digest(rig, &digest);
        submit_now(rig, &tx, &digest);
    }
}

static struct state *open_engine(struct compare *compare, const char *what, uint32_t workers)
{
    struct state *state = compare->state = calloc(1, sizeof *state);
    char data[PATH_MAX + 16];
    if (state == NULL)
        die("out of memory");
    snprintf(data, sizeof data, "%s/data", compare->dir);
    state->rig = rig_open(&(struct settings){.durability = compare->synced ? SVM_SYNC : SVM_WRITE,
                                             .datadir = data,
                                             .workers = workers,
                                             .inflight = INFLIGHT,
                                             .window = compare->window,
                                             .seed = compare->seed});
    snprintf(compare->settings, sizeof compare->settings,
             "durability %s, %s, %u threads, %u in flight each, workers %u, cache.bytes 2 GiB, "
             "signatures not checked, receipts and "
             "owner index written",
             compare->synced ? "sync" : "write", what, compare->threads, compare->window, workers);
    return state;
}

static void open_objects(struct compare *compare, enum svm_kind kind, const char *what)
{
    struct state *state = open_engine(compare, what, 1); /* the clients do the work */
    uint32_t share = INFLIGHT / 2 / compare->threads;
    compare->window = compare->window < share ? compare->window : share;
    if (compare->window < BATCH)
        die("--window must be %d or more", BATCH);
    state->kind = kind;
    state->ids = malloc(compare->objects * sizeof *state->ids);
    if (state->ids == NULL)
        die("out of memory");
    const enum svm_wait wait = state->rig->wait;
    state->rig->wait = SVM_WAIT_EXECUTED;
    create_objects(compare);
    if (compare->workload == COMPARE_TRANSFER)
        fund_objects(compare);
    state->rig->wait = wait;
}

static void open_shared(struct compare *compare)
{
    open_objects(compare, SVM_KIND_SHARED, "declared, shared objects, consensus path");
}

static void open_owned(struct compare *compare)
{
    open_objects(compare, SVM_KIND_OWNED, "declared, owned objects, latest version, fast path");
}

static void open_cells(struct compare *compare)
{
    /* together they stay within what the engine admits: beyond it every commit would be told to come again */
    const uint32_t share = INFLIGHT / 2 / compare->threads;
    compare->window = compare->window < share ? compare->window : share;
    compare->window = compare->window < WINDOW ? compare->window : WINDOW;
    const struct state *state =
        open_engine(compare, "interactive transactions on cells", compare->threads);
    uint8_t key[8], value[8];
    bytes_put_u64le(value, (uint64_t)compare_initial(compare));
    for (uint32_t made = 0; made < compare->objects;) {
        struct svm_cell_txn *txn;
        if (svm_cell_begin(state->rig->engine, &txn) != SVM_OK)
            die("no interactive transaction");
        for (int i = 0; i < CELLS_AT_ONCE && made < compare->objects; i++, made++) {
            bytes_put_u64be(key, made);
            if (svm_cell_put(txn, (struct svm_bytes){key, 8}, (struct svm_bytes){value, 8}) !=
                SVM_OK)
                die("a cell cannot be written");
        }
        if (svm_cell_commit(txn, SVM_WAIT_EXECUTED, NULL, NULL) != SVM_OK)
            die("filling failed");
    }
}

static void close_engine(struct compare *compare)
{
    struct state *state = compare->state;
    rig_close(state->rig);
    free(state->ids);
    free(state);
}

/* ---- declared ----------------------------------------------------------------------------------------------------- */

static void begin_declared(struct compare_client *client)
{
    struct declared *session = client->session = aligned_alloc(64, sizeof *session);
    if (session == NULL)
        die("out of memory");
    memset(session, 0, sizeof *session);
    session->random.state = ~client->random.state; /* the draws are repeated by the check */
    session->wait = ((const struct state *)client->compare->state)->rig->wait;
}

/* on_outcome: only what was executed, has succeeded and is durable counts as done. */
static void on_outcome(void *arg, const struct svm_outcome *outcome)
{
    struct declared *session = arg;
    const bool good = outcome->err == SVM_OK && !outcome->duplicate && outcome->receipt != NULL &&
                      outcome->receipt->failure == SVM_FAILURE_NONE &&
                      (outcome->durable || session->wait != SVM_WAIT_DURABLE);
    atomic_fetch_add_explicit(good ? &session->ok : &session->bad, 1, memory_order_relaxed);
}

/* make: transaction I of the batch, which moves or adds as PICK says. */
static void make(struct compare_client *client, uint32_t i, struct compare_pick pick,
                 uint64_t expires_ms)
{
    const struct compare *compare = client->compare;
    const struct state *state = compare->state;
    struct declared *session = client->session;
    const bool is_transfer = compare->workload == COMPARE_TRANSFER;
    struct svm_input *inputs = session->inputs[i];
    struct svm_op *op = &session->ops[i];
    const bool ascending = !is_transfer || memcmp(&state->ids[pick.from], &state->ids[pick.to],
                                                  sizeof state->ids[0]) < 0;
    inputs[!ascending] =
        (struct svm_input){.id = state->ids[pick.from], .kind = state->kind, .writable = true};
    inputs[ascending] =
        (struct svm_input){.id = state->ids[pick.to], .kind = state->kind, .writable = true};
    *op = (struct svm_op){.kind = is_transfer ? SVM_OP_MOVE : SVM_OP_ADD};
    if (is_transfer) {
        op->input = ascending ? 0 : 1;
        op->u.move.into = ascending ? 1 : 0;
        op->u.move.amount.units = 1;
    } else {
        op->u.add.delta = 1;
    }
    session->txs[i] = (struct svm_tx){.chain = state->rig->chain,
                                      .sender = state->rig->faucet_owner,
                                      .expires_ms = expires_ms,
                                      .gas_limit = 20000,
                                      .input_count = is_transfer ? 2 : 1,
                                      .op_count = 1,
                                      .inputs = inputs,
                                      .ops = op};
    for (size_t at = 0; at < sizeof session->digests[i].b; at += 8)
        bytes_put_u64le(session->digests[i].b + at, random_next(&session->random));
    session->submissions[i] = (struct svm_submission){
        .tx = &session->txs[i], .digest = &session->digests[i], .arg = session};
}

static uint64_t acknowledged_now(struct declared *session)
{
    const uint64_t bad = atomic_load_explicit(&session->bad, memory_order_relaxed);
    if (bad > 0)
        die("%llu transactions did not succeed: no figure", (unsigned long long)bad);
    const uint64_t more =
        atomic_load_explicit(&session->ok, memory_order_relaxed) - session->acknowledged;
    session->acknowledged += more;
    return more;
}

/* run: the first COUNT picks as a batch, on this thread. What the engine has no room for stays. */
static void run(struct compare_client *client, uint32_t count)
{
    const struct state *state = client->compare->state;
    struct declared *session = client->session;
    const uint64_t expires_ms = svm_now_ms(state->rig->engine) + EXPIRY_MS;
    for (uint32_t i = 0; i < count; i++)
        make(client, i, session->picks[i], expires_ms);
    svm_run_batch(state->rig->engine, session->submissions, count, session->wait, on_outcome);
    session->held = 0;
    for (uint32_t i = 0; i < count; i++) {
        const enum svm_err err = session->submissions[i].err;
        if (err == SVM_E_OVERLOADED)
            session->picks[session->held++] = session->picks[i];
        else if (err != SVM_OK)
            die("a submission was refused: %s", svm_err_name(err));
    }
    client->retries += session->held;
    session->submitted += count - session->held;
}

static uint64_t step_declared(struct compare_client *client)
{
    struct declared *session = client->session;
    const uint64_t more = acknowledged_now(session);
    if (session->submitted - session->acknowledged + BATCH > client->compare->window) {
        nap(); /* rather than spin: with few cores that would take what the engine needs */
        return more;
    }
    for (uint32_t i = session->held; i < BATCH; i++)
        session->picks[i] = compare_draw(client);
    run(client, BATCH);
    if (session->held > 0)
        nap();
    return more;
}

static uint64_t drain_declared(struct compare_client *client)
{
    struct declared *session = client->session;
    uint64_t more = 0;
    while (session->held > 0 || session->acknowledged < session->submitted) {
        if (session->held > 0)
            run(client, session->held);
        nap();
        more += acknowledged_now(session);
    }
    return more;
}

static void end_session(struct compare_client *client)
{
    free(client->session);
}

static bool visit(void *arg, const struct svm_object *object)
{
    struct compare *compare = arg;
    if (object->data.len == OBJECT_BYTES && object->type.len == strlen(OBJECT_TYPE) &&
        memcmp(object->type.ptr, OBJECT_TYPE, object->type.len) == 0)
        compare_saw(compare, bytes_get_u64le(object->data.ptr + 8),
                    compare->workload == COMPARE_TRANSFER
                        ? (int64_t)object->balance.units
                        : (int64_t)bytes_get_u64le(object->data.ptr));
    return true;
}

static void scan_objects(struct compare *compare)
{
    const struct state *state = compare->state;
    struct svm_snapshot *snapshot;
    if (svm_snapshot_open(state->rig->engine, &snapshot) != SVM_OK ||
        svm_state_scan(snapshot, visit, compare) != SVM_OK)
        die("the state cannot be scanned");
    svm_snapshot_close(snapshot);
}

/* ---- interactive --------------------------------------------------------------------------------------------------- */

static void begin_interactive(struct compare_client *client)
{
    client->session = calloc(1, sizeof(struct interactive));
    if (client->session == NULL)
        die("out of memory");
}

static enum svm_err get_number(struct svm_cell_txn *txn, uint32_t cell, uint64_t *number_out)
{
    uint8_t key[8];
    struct svm_bytes value;
    bytes_put_u64be(key, cell);
    const enum svm_err err = svm_cell_get(txn, (struct svm_bytes){key, 8}, &value);
    if (err == SVM_OK)
        *number_out = bytes_get_u64le(value.ptr);
    return err;
}

static enum svm_err put_number(struct svm_cell_txn *txn, uint32_t cell, uint64_t number)
{
    uint8_t key[8], value[8];
    bytes_put_u64be(key, cell);
    bytes_put_u64le(value, number);
    return svm_cell_put(txn, (struct svm_bytes){key, 8}, (struct svm_bytes){value, 8});
}

struct attempt {
    struct compare_pick pick;
    enum compare_workload workload;
    uint64_t count;
};

static enum svm_err attempt(void *arg, struct svm_cell_txn *txn)
{
    struct attempt *this = arg;
    uint64_t from, to;
    this->count++;
    enum svm_err err = get_number(txn, this->pick.from, &from);
    if (err != SVM_OK)
        return err;
    if (this->workload == COMPARE_COUNTER)
        return put_number(txn, this->pick.from, from + 1);
    if ((err = get_number(txn, this->pick.to, &to)) != SVM_OK)
        return err;
    if (from < 1)
        die("cell %u has nothing to give", this->pick.from);
    if ((err = put_number(txn, this->pick.from, from - 1)) != SVM_OK)
        return err;
    return put_number(txn, this->pick.to, to + 1);
}

static uint64_t durable_now(const struct state *state, struct interactive *session)
{
    const uint64_t durable = svm_durable_seq(state->rig->engine), before = session->acknowledged;
    while (session->acknowledged < session->begun &&
           session->seqs[session->acknowledged % WINDOW] <= durable)
        session->acknowledged++;
    return session->acknowledged - before;
}

static uint64_t step_interactive(struct compare_client *client)
{
    const struct compare *compare = client->compare;
    const struct state *state = compare->state;
    struct interactive *session = client->session;
    uint64_t more = durable_now(state, session), seq;
    if (session->begun - session->acknowledged >= compare->window) {
        nap();
        return more;
    }
    for (int i = 0; i < 32 && session->begun - session->acknowledged < compare->window; i++) {
        struct attempt this = {.pick = compare_draw(client), .workload = compare->workload};
        enum svm_err err;
        do {
            err = svm_cell_run(state->rig->engine, attempt, &this, SVM_WAIT_EXECUTED, &seq, NULL);
        } while (err != SVM_OK && svm_err_class(err) == SVM_CLASS_RETRY);
        if (err != SVM_OK)
            die("an interactive transaction failed: %s", svm_err_name(err));
        client->retries += this.count - 1;
        session->seqs[session->begun++ % WINDOW] = seq;
    }
    return more;
}

static uint64_t drain_interactive(struct compare_client *client)
{
    struct interactive *session = client->session;
    uint64_t more = 0;
    for (;;) {
        more += durable_now(client->compare->state, session);
        if (session->acknowledged == session->begun)
            return more;
        nap();
    }
}

static void scan_cells(struct compare *compare)
{
    const struct state *state = compare->state;
    for (uint32_t at = 0; at < compare->objects;) {
        struct svm_cell_txn *txn;
        if (svm_cell_begin(state->rig->engine, &txn) != SVM_OK)
            die("no interactive transaction");
        for (int i = 0; i < CELLS_AT_ONCE && at < compare->objects; i++, at++) {
            uint64_t number;
            if (get_number(txn, at, &number) != SVM_OK)
                die("cell %u cannot be read", at);
            compare_saw(compare, at, (int64_t)number);
        }
        svm_cell_abort(txn);
    }
}

#define OBJECTS(text, opener)                                                                      \
    {                                                                                              \
        .name = text, .window = WINDOW, .open = opener, .begin = begin_declared,                   \
        .step = step_declared, .drain = drain_declared, .end = end_session, .scan = scan_objects,  \
        .close = close_engine                                                                      \
    }

int main(int argc, char **argv)
{
    static const struct compare_system systems[] = {
        OBJECTS("supervm", open_shared),
        OBJECTS("supervm-owned", open_owned),
        {.name = "supervm-cells",
         .window = WINDOW,
         .open = open_cells,
         .begin = begin_interactive,
         .step = step_interactive,
         .drain = drain_interactive,
         .end = end_session,
         .scan = scan_cells,
         .close = close_engine},
    };
    return compare_main(argc, argv, systems, sizeof systems / sizeof systems[0]);
}
