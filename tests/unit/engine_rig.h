/* unit/engine_rig.h - an engine whose wall clock stands still, whose disks are in memory and can be held or broken, and whose
 * transactions can be stopped under their claims. One at a time. */
#ifndef UNIT_ENGINE_RIG_H
#define UNIT_ENGINE_RIG_H

#include <stdatomic.h>

#include <svm.h>

#include "engine/hooks.h"
#include "engine_support.h"

struct rig {
    struct svm_engine *engine;
    struct svm_config config;
    struct engine_hooks hooks;
    struct clock clock;
    struct svm_kv_ops log_ops, state_ops, log_inner;
    struct svm_kv_iter *(*state_iter_open)(void *self);
    struct store_kv_ram *log, *state;
    _Atomic uint64_t wall_ms, boot_ms;   /* rig_pass moves both */
    _Atomic bool log_held;               /* writes of the log wait */
    void (*on_state_iter)(struct rig *); /* once, when the test's own thread walks the state */
    pthread_t thread;
    _Atomic bool claims_held;   /* transactions wait under their claims */
    _Atomic uint32_t at_claims; /* how many have been there */
    _Atomic uint64_t leap_ms;   /* the next look at the wall clock takes this long */
    _Atomic bool stall_worker;  /* the next worker that looks at the clock waits */
    _Atomic bool stalled;
};

/* rig_init: settings for MODE that a test may change before rig_open. */
void rig_init(struct rig *rig, enum svm_durability mode);
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);
void rig_reopen(struct rig *rig); /* an orderly stop, and a start with what `config` says now */
void rig_deinit(struct rig *rig); /* close and free */
void rig_pass(struct rig *rig, uint64_t ms);

/* One submission and what came of it. */
struct rig_call {
    _Atomic int calls;
    enum svm_err err;
    bool pending, duplicate, digest_known;
    struct svm_digest digest;
    struct svm_refusal refusal;
    uint64_t seq;
    enum svm_failure failure;
    enum svm_path path;
    enum svm_fallback fallback;
};
svm_submit_fn rig_called;
void rig_submit(struct rig *rig, struct rig_call *call, const struct support_tx *tx,
                enum svm_wait wait);
/* rig_answered: CALL has been answered, at the latest after MS. */
bool rig_answered(struct rig_call *call, unsigned ms);
/* rig_until: *FLAG is true, at the latest after five seconds. */
void rig_until(_Atomic bool *flag);
void rig_sleep(unsigned ms);
/* rig_do: submit, wait for WAIT, expect ERR. */
void rig_do(struct rig *rig, const struct support_tx *tx, enum svm_wait wait, enum svm_err err,
            struct rig_call *call_out);

/* FROM's object LABEL at VERSION goes to TO. */
void rig_transfer(struct support_tx *tx, struct rig *rig, const char *from, const char *label,
                  uint64_t version, const char *to);
/* What LABEL holds now. */
uint64_t rig_balance(struct rig *rig, const char *label);

#endif
