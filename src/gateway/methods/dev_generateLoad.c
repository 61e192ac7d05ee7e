#include "gateway/gen/rpc_methods.h"
#include <stdatomic.h>
#include <stdlib.h>

#include <uv.h>

#include "gateway/dev.h"
#include "gateway/state.h"

/* A load runs on one thread of the pool: it keeps `concurrency` transactions in flight, counted by a semaphore. */
struct load {
    uv_sem_t slots;
    _Atomic uint64_t completed, failed, refused, fallbacks;
};

static void add(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void on_outcome(void *arg, const struct svm_outcome *outcome)
{
    struct load *load = arg;
    if (outcome->err != SVM_OK || outcome->receipt == NULL) {
        add(&load->refused);
    } else {
        add(outcome->receipt->failure == SVM_FAILURE_NONE ? &load->completed : &load->failed);
        if (outcome->receipt->fallback != SVM_FALLBACK_NONE) {
            add(&load->fallbacks);
        }
    }
    uv_sem_post(&load->slots); /* the last touch: the load may be gone now */
}

/* Transaction I of the load: account I pays its neighbour. The shared ones are spread evenly. */
static enum svm_err submit_one(struct load *load, const struct gateway *gateway,
                               struct dev_payment *payment,
                               const struct rpc_dev_generate_load_params *params, uint64_t i)
{
    const struct svm_dev_account *from = &gateway->dev_accounts[i % SVM_DEV_ACCOUNTS];
    const struct svm_dev_account *to = &gateway->dev_accounts[(i + 1) % SVM_DEV_ACCOUNTS];
    struct svm_id counter;
    struct svm_bytes tx;
    struct arena arena;
    svm_dev_object_id(&counter, "counter");
    payment->from = from;
    payment->to = &to->address;
    payment->coin = from->coin;
    payment->counter =
        (i + 1) * params->shared_ppm / 1000000 > i * params->shared_ppm / 1000000 ? &counter : NULL;
    payment->nonce++;
    payment->expires_ms = svm_now_ms(gateway->engine) + DEV_EXPIRY_MS;
    arena_init(&arena);
    enum svm_err err = dev_payment_sign(&tx, &arena, payment, NULL);
    if (err == SVM_OK) {
        err = svm_submit(gateway->engine, tx, SVM_WAIT_EXECUTED, on_outcome, load, NULL);
    }
    arena_deinit(&arena);
    return err;
}

static const struct rpc_answer *
run(struct rpc_call *call, const struct rpc_dev_generate_load_params *params, struct load *load)
{
    const struct gateway *gateway = rpc_gateway(call);
    const uint64_t start_ns = uv_hrtime();
    struct dev_payment payment = {.amount = 1,
                                  .chain = gateway->chain.chain,
                                  .nonce = gateway->started_ms * 1000000 + start_ns};
    uint64_t i = 0;
    for (; i < params->transactions; i++) {
        uv_sem_wait(&load->slots);
        if (submit_one(load, gateway, &payment, params, i) != SVM_OK) {
            add(&load->refused);
            uv_sem_post(&load->slots);
        }
    }
    for (uint64_t slot = 0; slot < params->concurrency; slot++) {
        uv_sem_wait(&load->slots);
    }
    const struct rpc_dev_generate_load_result result = {.submitted = i,
                                                        .completed = atomic_load(&load->completed),
                                                        .failed = atomic_load(&load->failed),
                                                        .refused = atomic_load(&load->refused),
                                                        .fallbacks = atomic_load(&load->fallbacks),
                                                        .elapsed_us =
                                                            (uv_hrtime() - start_ns) / 1000};
    return rpc_ok_dev_generate_load(call, &result);
}

const struct rpc_answer *dev_generate_load_handle(struct rpc_call *call,
                                                  const struct rpc_dev_generate_load_params *params)
{
    struct gateway *gateway = rpc_gateway(call);
    struct load load = {0};
    if (atomic_exchange(&gateway->load_running, true)) {
        return rpc_fail_error(
            call, &(struct rpc_error){.err = SVM_E_BUSY, .message = "another load is running"});
    }
    const struct rpc_answer *answer;
    if (uv_sem_init(&load.slots, (unsigned)params->concurrency) != 0) {
        answer = rpc_fail(call, SVM_E_NO_MEMORY);
    } else {
        answer = run(call, params, &load);
        uv_sem_destroy(&load.slots);
    }
    atomic_store(&gateway->load_running, false);
    return answer;
}
