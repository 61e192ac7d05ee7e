/* unit/engine_support.h - what the engine's tests share: signed transactions of the dev chain, waiting for many, folders. */
#ifndef UNIT_ENGINE_SUPPORT_H
#define UNIT_ENGINE_SUPPORT_H

#include <pthread.h>
#include <stdio.h>

#include <svm.h>

/* A signed transaction with its digest. */
struct support_tx {
    uint8_t buf[4096];
    struct svm_bytes bytes;
    struct svm_digest digest;
};
/* support_finish: TX is what BUILDER, which ends, has been told, signed with KEY. */
void support_finish(struct support_tx *tx, struct svm_tx_builder *builder,
                    const struct svm_secret_key *key);
/* FROM's object LABEL at VERSION (0 = latest) pays AMOUNT to TO. */
void support_pay(struct support_tx *tx, struct svm_engine *engine, const char *from,
                 const char *label, uint64_t version, const char *to, uint64_t amount);
/* The same with the object ID. */
void support_pay_from(struct support_tx *tx, struct svm_engine *engine, const char *from,
                      const struct svm_id *id, uint64_t version, const char *to, uint64_t amount);
/* FROM adds DELTA to the u64 at offset 0 of the shared object LABEL; NONCE makes it unique. */
void support_add(struct support_tx *tx, struct svm_engine *engine, const char *from,
                 const char *label, int64_t delta, uint64_t nonce);
unsigned support_account(const char *name);
/* The u64 at offset 0 of the object LABEL. */
uint64_t support_counter(struct svm_engine *engine, const char *label);

/* Counts the outcomes of many submissions. */
struct support_wait {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t expected, ok, failed, refused, pending, duplicates, fast, consensus, fallbacks;
    uint64_t by_error[SVM_ERR_COUNT];
};
void support_wait_init(struct support_wait *wait, uint64_t expected);
svm_submit_fn support_wait_one; /* arg: struct support_wait */
void support_wait_all(struct support_wait *wait);

void support_temp_dir(char path[64]);
void support_remove_dir(const char *path);

#endif
