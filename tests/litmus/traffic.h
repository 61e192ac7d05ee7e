/* litmus/traffic.h - transactions of the dev accounts by the thousand: build, hand in, wait for the wave. Nothing is signed. */
#ifndef LITMUS_TRAFFIC_H
#define LITMUS_TRAFFIC_H

#include <pthread.h>

#include "litmus.h"

enum { SLIP_INPUTS = 2, SLIP_OPS = 2 };

struct bank {
    struct svm_engine *engine;
    uint64_t chain;
    struct svm_dev_account alice, bob, carol;
    _Atomic uint64_t nonce;
};

/* One transaction and what became of it. */
struct slip {
    struct svm_tx tx;
    struct svm_input inputs[SLIP_INPUTS];
    struct svm_op ops[SLIP_OPS];
    struct svm_digest digest;
    enum svm_err err;
    struct svm_refusal refusal;
    struct svm_receipt receipt; /* its changes: only the first */
    struct svm_change change;
    unsigned answers;
    struct wave *wave;
};

struct wave {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t open;
};

void bank_open(struct bank *bank, unsigned workers, struct engine_hooks *hooks);
void bank_close(struct bank *bank);

void wave_init(struct wave *wave);
void wave_wait(struct wave *wave);
void wave_deinit(struct wave *wave);

void slip_init(struct slip *slip, const struct svm_address *sender);
/* Inputs in ascending order of ids. Return the index. */
uint16_t slip_owned(struct slip *slip, const struct svm_id *id, uint64_t version); /* 0 = latest */
uint16_t slip_shared(struct slip *slip, const struct svm_id *id, bool writable);
struct svm_op *slip_op(struct slip *slip, enum svm_op_kind kind, uint16_t input);
void slip_add(struct slip *slip, uint16_t input, int64_t delta);
void slip_put(struct slip *slip, uint16_t input, const uint64_t *value);
void slip_expect(struct slip *slip, uint16_t input, const uint64_t *value);
/* slip_send: SLIP stays where it is until the wave is over. */
void slip_send(struct bank *bank, struct wave *wave, struct slip *slip);
bool slip_ok(const struct slip *slip); /* executed, and not failed */

/* bank_create: COUNT objects of eight zero bytes, alice's or shared, ids ascending. */
void bank_create(struct bank *bank, struct svm_id *ids_out, size_t count, bool shared);
uint64_t bank_value(struct svm_snapshot *snapshot,
                    const struct svm_id *id); /* the u64 in the data */
uint64_t bank_balance(struct svm_snapshot *snapshot, const struct svm_id *id); /* its coins */
struct svm_snapshot *bank_look(struct bank *bank);

#endif
