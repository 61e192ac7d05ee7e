/* exec/apply.c - run one transaction: a pure function from (transaction, inputs as read, node time) to new versions. */
#include <string.h>

#include "base/fault.h"
#include "exec/run.h"

/* consume_owned: declared owned inputs get the new version, touched or not. */
static bool consume_owned(struct exec_run *run)
{
    for (uint16_t i = 0; i < run->tx->input_count; i++) {
        if (run->tx->inputs[i].kind == SVM_KIND_OWNED && exec_run_own(run, i) == NULL)
            return false;
    }
    return true;
}

/* sort_created: by id. Binary insertion: ids are hashes, at most 256 of them, mostly one. */
static void sort_created(uint16_t order[SVM_TX_OPS_MAX], const struct exec_run *run)
{
    for (uint16_t i = 0; i < run->created_count; i++) {
        size_t low = 0, high = i;
        while (low < high) {
            const size_t middle = (low + high) / 2;
            if (memcmp(run->created[order[middle]].id.b, run->created[i].id.b, 32) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        memmove(&order[low + 1], &order[low], (i - low) * sizeof order[0]);
        order[low] = i;
    }
}

static void put_created(struct exec_result *result, const struct exec_created *created)
{
    struct model_write *write = &result->writes[result->write_count++];
    write->id = created->id;
    write->input = -1;
    write->prior.kind = MODEL_PRIOR_NONE;
    memset(&write->prior.owner, 0, sizeof write->prior.owner);
    write->object = created->object;
}

static void put_input(struct exec_result *result, const struct exec_run *run, uint16_t index)
{
    const struct model_object *read = run->inputs[index];
    struct model_write *write = &result->writes[result->write_count++];
    write->id = run->tx->inputs[index].id;
    write->input = index;
    if (read->kind == SVM_KIND_OWNED) {
        write->prior.kind = MODEL_PRIOR_OWNED;
        write->prior.owner = read->party;
    } else {
        write->prior.kind = MODEL_PRIOR_SHARED;
        memset(&write->prior.owner, 0, sizeof write->prior.owner);
    }
    write->object = run->mine[index];
}

/* put_writes: merge written inputs (sorted as declared) and created objects into ascending ids. */
static void put_writes(struct exec_result *result, const struct exec_run *run)
{
    uint16_t order[SVM_TX_OPS_MAX];
    sort_created(order, run);
    uint16_t next = 0;
    result->write_count = 0;
    for (uint16_t i = 0; i < run->tx->input_count; i++) {
        if (run->mine[i] == NULL)
            continue;
        const uint8_t *id = run->tx->inputs[i].id.b;
        while (next < run->created_count && memcmp(run->created[order[next]].id.b, id, 32) < 0)
            put_created(result, &run->created[order[next++]]);
        put_input(result, run, i);
    }
    while (next < run->created_count)
        put_created(result, &run->created[order[next++]]);
}

/* lamport: one more than the newest of all inputs, written or not. */
static uint64_t lamport(const struct svm_tx *tx, const struct model_object *const *inputs)
{
    uint64_t newest = 0;
    for (uint16_t i = 0; i < tx->input_count; i++) {
        SVM_ASSERT(inputs[i] != NULL && !inputs[i]->deleted);
        if (FAULT_BUG("forget-lamport") && !tx->inputs[i].writable)
            continue;
        if (inputs[i]->version > newest)
            newest = inputs[i]->version;
    }
    SVM_ASSERT(newest < UINT64_MAX);
    return newest + !FAULT_BUG("reuse-version");
}

enum svm_err exec_apply(struct exec_result *result, const struct svm_tx *tx,
                        const struct svm_digest *digest, const struct model_object *const *inputs,
                        uint64_t node_ms, const struct exec_alloc *alloc)
{
    SVM_ASSERT(tx->input_count <= SVM_TX_INPUTS_MAX && tx->op_count <= SVM_TX_OPS_MAX);
    struct exec_run run;
    run.tx = tx;
    run.digest = digest;
    run.inputs = inputs;
    run.alloc = alloc;
    run.node_ms = node_ms;
    run.version = lamport(tx, inputs);
    run.gas_used = exec_gas_base(tx);
    run.transfers = 0;
    run.created_count = 0;
    run.no_memory = false;
    run.failure = SVM_FAILURE_NONE;
    for (uint16_t i = 0; i < tx->input_count; i++)
        run.mine[i] = NULL;
    SVM_ASSERT(tx->gas_limit >= run.gas_used);

    uint16_t op = 0;
    while (op < tx->op_count && exec_run_op(&run, op))
        op++;
    if (run.failure != SVM_FAILURE_NONE && !FAULT_BUG("half-done"))
        exec_run_give_back(&run);
    if (run.no_memory || !consume_owned(&run)) {
        exec_run_give_back(&run);
        return SVM_E_NO_MEMORY;
    }
    result->failure = run.failure;
    result->failed_op = run.failure != SVM_FAILURE_NONE ? op : 0;
    result->transfers = run.transfers;
    result->gas_used = run.gas_used;
    result->version = run.version;
    put_writes(result, &run);
    return SVM_OK;
}
