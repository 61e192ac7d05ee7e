#include "engine_rig.h"

#include <check.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

void rig_sleep(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000},
              NULL);
}

static bool on_worker(void)
{
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    return strncmp(name, "svm-work", 8) == 0;
}

static uint64_t wall_ms(void *self)
{
    struct rig *rig = self;
    uint64_t now = atomic_load(&rig->wall_ms);
    uint64_t leap = atomic_exchange(&rig->leap_ms, 0);
    if (leap > 0)
        rig_pass(rig, leap);
    bool yes = true;
    if (atomic_load(&rig->stall_worker) && on_worker() &&
        atomic_compare_exchange_strong(&rig->stall_worker, &yes, false)) {
        atomic_store(&rig->stalled, true);
        while (atomic_load(&rig->stalled))
            rig_sleep(1);
    }
    return now;
}

/* Pauses must end, so this one runs; rig_pass adds to it. */
static uint64_t boot_ns(void *self)
{
    struct rig *rig = self;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec +
           atomic_load(&rig->boot_ms) * 1000000u;
}

static struct rig *current; /* the disks know only themselves */

static enum svm_err log_write(void *self, const struct svm_kv_op *ops, size_t count, bool sync)
{
    while (atomic_load(&current->log_held))
        rig_sleep(1);
    return current->log_inner.write(self, ops, count, sync);
}

static struct svm_kv_iter *state_iter_open(void *self)
{
    void (*fn)(struct rig *) = NULL;
    if (pthread_equal(pthread_self(), current->thread)) {
        fn = current->on_state_iter;
        current->on_state_iter = NULL;
    }
    if (fn)
        fn(current);
    return current->state_iter_open(self);
}

static void claimed(void *arg, const struct svm_digest *digest, enum svm_path path)
{
    struct rig *rig = arg;
    (void)digest;
    (void)path;
    atomic_fetch_add(&rig->at_claims, 1);
    while (atomic_load(&rig->claims_held))
        rig_sleep(1);
}

void rig_init(struct rig *rig, enum svm_durability mode)
{
    memset(rig, 0, sizeof *rig);
    atomic_store(&rig->wall_ms, 1800000000000u);
    atomic_store(&rig->boot_ms, 1000000u);
    rig->clock = (struct clock){wall_ms, boot_ns, rig};
    rig->log = store_kv_ram_create();
    rig->state = store_kv_ram_create();
    store_kv_ram_ops(&rig->log_inner, rig->log);
    store_kv_ram_ops(&rig->state_ops, rig->state);
    rig->log_ops = rig->log_inner;
    rig->log_ops.write = log_write;
    rig->state_iter_open = rig->state_ops.iter_open;
    rig->state_ops.iter_open = state_iter_open;
    rig->thread = pthread_self();
    current = rig;
    rig->hooks.clock = &rig->clock;
    rig->hooks.claimed = claimed;
    rig->hooks.arg = rig;
    if (mode != SVM_MEMORY) {
        rig->hooks.log_ops = &rig->log_ops;
        rig->hooks.state_ops = &rig->state_ops;
    }
    svm_config_init(&rig->config);
    rig->config.durability = mode;
    rig->config.workers = 2;
    rig->config.inflight_max = 256;
    rig->config.disk_free_min_bytes = 0;
    rig->config.test_hooks = &rig->hooks;
}

void rig_open(struct rig *rig)
{
    struct svm_refusal detail;
    ck_assert_msg(svm_engine_open(&rig->engine, &rig->config, &detail) == SVM_OK, "%s",
                  detail.reason);
}

void rig_close(struct rig *rig)
{
    svm_engine_close(rig->engine);
    rig->engine = NULL;
}

void rig_reopen(struct rig *rig)
{
    rig_close(rig);
    rig_open(rig);
}

void rig_deinit(struct rig *rig)
{
    rig_close(rig);
    store_kv_ram_destroy(rig->log);
    store_kv_ram_destroy(rig->state);
}

void rig_pass(struct rig *rig, uint64_t ms)
{
    atomic_fetch_add(&rig->boot_ms, ms);
    atomic_fetch_add(&rig->wall_ms, ms);
}

void rig_called(void *arg, const struct svm_outcome *outcome)
{
    struct rig_call *call = arg;
    call->err = outcome->err;
    call->pending = outcome->pending;
    call->duplicate = outcome->duplicate;
    call->digest_known = outcome->digest_known;
    call->digest = outcome->digest;
    if (outcome->refusal)
        call->refusal = *outcome->refusal;
    if (outcome->receipt) {
        call->seq = outcome->receipt->seq;
        call->failure = outcome->receipt->failure;
        call->path = outcome->receipt->path;
        call->fallback = outcome->receipt->fallback;
    }
    atomic_fetch_add(&call->calls, 1);
}

void rig_submit(struct rig *rig, struct rig_call *call, const struct support_tx *tx,
                enum svm_wait wait)
{
    memset(call, 0, sizeof *call);
    struct svm_refusal refusal;
    ck_assert_msg(svm_submit(rig->engine, tx->bytes, wait, rig_called, call, &refusal) == SVM_OK,
                  "%s %s", svm_err_name(refusal.err), refusal.reason);
}

bool rig_answered(struct rig_call *call, unsigned ms)
{
    for (unsigned i = 0; i < ms && atomic_load(&call->calls) == 0; i++)
        rig_sleep(1);
    ck_assert_int_le(atomic_load(&call->calls), 1);
    return atomic_load(&call->calls) == 1;
}

void rig_until(_Atomic bool *flag)
{
    for (unsigned i = 0; i < 5000 && !atomic_load(flag); i++)
        rig_sleep(1);
    ck_assert(atomic_load(flag));
}

void rig_do(struct rig *rig, const struct support_tx *tx, enum svm_wait wait, enum svm_err err,
            struct rig_call *call_out)
{
    struct rig_call own, *call = call_out ? call_out : &own;
    rig_submit(rig, call, tx, wait);
    ck_assert(rig_answered(call, 5000));
    ck_assert_msg(call->err == err, "%s %s", svm_err_name(call->err), call->refusal.reason);
}

void rig_transfer(struct support_tx *tx, struct rig *rig, const char *from, const char *label,
                  uint64_t version, const char *to)
{
    struct svm_dev_account sender, receiver;
    struct svm_chain_info info;
    struct svm_id id;
    svm_dev_account(&sender, support_account(from));
    svm_dev_account(&receiver, support_account(to));
    svm_dev_object_id(&id, label);
    svm_chain_info(rig->engine, &info);
    struct svm_tx_builder *builder = svm_tx_builder_create(info.chain, &sender.address);
    svm_tx_builder_gas_limit(builder, 100000);
    struct svm_op op = {.kind = SVM_OP_TRANSFER,
                        .input = (uint16_t)svm_tx_builder_owned(builder, &id, version)};
    op.u.transfer.to = receiver.address;
    svm_tx_builder_op(builder, &op);
    support_finish(tx, builder, &sender.key);
}

uint64_t rig_balance(struct rig *rig, const char *label)
{
    struct svm_snapshot *snapshot;
    struct svm_object *object;
    struct svm_id id;
    svm_dev_object_id(&id, label);
    ck_assert_int_eq(svm_snapshot_open(rig->engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_object_get(snapshot, &id, &object), SVM_OK);
    uint64_t units = object->balance.units;
    svm_object_free(object);
    svm_snapshot_close(snapshot);
    return units;
}
