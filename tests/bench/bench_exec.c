/* bench_exec: nanoseconds of exec_apply and of the scheduler alone. Prints one line per figure; no argument. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/rig.h"
#include "exec/exec.h"

enum { RUNS = 5, APPLY_CALLS = 1000000, JOBS = 65536, IN_FLIGHT = 1024, SCHEDULER_CALLS = 1 << 20 };

/* The caller's allocator costs nothing here: a stack of blocks. */
struct blocks {
    struct model_object *free[64];
    size_t count;
};

static struct model_object *take(void *arg, size_t size)
{
    struct blocks *blocks = arg;
    return blocks->count > 0 ? blocks->free[--blocks->count] : malloc(size + 1024);
}

static void give(void *arg, struct model_object *object)
{
    struct blocks *blocks = arg;
    blocks->free[blocks->count++] = object;
}

static void print(const char *what, double *ns)
{
    for (size_t i = 1; i < RUNS; i++) {
        for (size_t j = i; j > 0 && ns[j] < ns[j - 1]; j--) {
            const double swap = ns[j];
            ns[j] = ns[j - 1];
            ns[j - 1] = swap;
        }
    }
    printf("%-44s %7.1f ns (%.1f .. %.1f)\n", what, ns[RUNS / 2], ns[0], ns[RUNS - 1]);
}

static double run_apply(const struct svm_op *op)
{
    static struct model_write room[MODEL_WRITES_MAX];
    static struct exec_result result = {.writes = room};
    struct blocks blocks = {.count = 0};
    struct model_object *coin = calloc(1, model_object_size(4, 16));
    if (coin == NULL)
        die("out of memory");
    coin->type_len = 4;
    coin->data_len = 16;
    coin->version = 1;
    coin->balance = 1000;
    const struct svm_input input = {.kind = SVM_KIND_OWNED, .writable = true};
    const struct svm_tx tx = {
        .gas_limit = 10000, .input_count = 1, .op_count = 1, .inputs = &input, .ops = op};
    const struct svm_digest digest = {{1}};
    const struct model_object *inputs[1] = {coin};
    const double begin = now_s();
    for (int i = 0; i < APPLY_CALLS; i++) {
        if (exec_apply(&result, &tx, &digest, inputs, 1,
                       &(struct exec_alloc){take, give, &blocks}) != SVM_OK ||
            result.failure != SVM_FAILURE_NONE)
            die("the transaction does not succeed");
        for (uint16_t w = 0; w < result.write_count; w++)
            give(&blocks, result.writes[w].object);
    }
    const double ns = (now_s() - begin) * 1e9 / APPLY_CALLS;
    while (blocks.count > 0)
        free(blocks.free[--blocks.count]);
    free(coin);
    return ns;
}

static double run_new_id(void)
{
    const struct svm_digest digest = {{1}};
    struct svm_id id;
    const double begin = now_s();
    for (int i = 0; i < APPLY_CALLS; i++)
        svm_tx_new_object_id(&id, &digest, (uint16_t)i);
    return (now_s() - begin) * 1e9 / APPLY_CALLS;
}

/* run_scheduler: insert and finish with IN_FLIGHT jobs standing; HOT of 100 write one object, the others one of their own. */
static double run_scheduler(unsigned hot)
{
    struct exec_scheduler *scheduler = exec_scheduler_create(JOBS);
    uint32_t *ready = malloc(JOBS * sizeof *ready), *runnable = malloc(JOBS * sizeof *runnable);
    struct random random = {1};
    if (scheduler == NULL || ready == NULL || runnable == NULL)
        die("out of memory");
    uint32_t head = 0, tail = 0; /* of the runnable ones, a ring of JOBS */
    const double begin = now_s();
    for (uint32_t i = 0; i < SCHEDULER_CALLS; i++) {
        if (exec_scheduler_count(scheduler) >= IN_FLIGHT) {
            const uint32_t job = runnable[head++ % JOBS];
            const size_t count = exec_scheduler_finish(scheduler, job, ready);
            for (size_t r = 0; r < count; r++)
                runnable[tail++ % JOBS] = ready[r];
        }
        const uint64_t number = i % 100 < hot ? 0 : random_next(&random);
        struct exec_ref ref = {.write = true};
        memcpy(ref.id.b, &number, sizeof number);
        bool now = false;
        /* at most IN_FLIGHT stand, and they leave roughly in order: the number is free again */
        if (exec_scheduler_insert(scheduler, i % JOBS, &ref, 1, &now) != SVM_OK)
            die("out of memory");
        if (now)
            runnable[tail++ % JOBS] = i % JOBS;
    }
    const double ns = (now_s() - begin) * 1e9 / SCHEDULER_CALLS;
    exec_scheduler_destroy(scheduler);
    free(runnable);
    free(ready);
    return ns;
}

int main(void)
{
    static const struct svm_op add = {.kind = SVM_OP_ADD, .u.add.delta = 1};
    static const struct svm_op pay = {.kind = SVM_OP_PAY, .u.pay.amount.units = 1};
    static const struct svm_op transfer = {.kind = SVM_OP_TRANSFER};
    double ns[6][RUNS];
    for (int run = 0; run < RUNS; run++) {
        ns[0][run] = run_apply(&add);
        ns[1][run] = run_apply(&transfer);
        ns[2][run] = run_apply(&pay);
        ns[3][run] = run_new_id();
        ns[4][run] = run_scheduler(0);
        ns[5][run] = run_scheduler(50);
    }
    print("exec_apply, one Add", ns[0]);
    print("exec_apply, one Transfer", ns[1]);
    print("exec_apply, one Pay (with its new id)", ns[2]);
    print("new object id alone (SHA-256)", ns[3]);
    print("scheduler, insert and finish, no conflicts", ns[4]);
    print("scheduler, the same, half on one object", ns[5]);
    return 0;
}
