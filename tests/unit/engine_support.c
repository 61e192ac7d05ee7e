#include "engine_support.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

unsigned support_account(const char *name)
{
    struct svm_dev_account account;
    for (unsigned i = 0; i < SVM_DEV_ACCOUNTS; i++) {
        svm_dev_account(&account, i);
        if (strcmp(account.name, name) == 0)
            return i;
    }
    ck_abort_msg("no account %s", name);
}

void support_finish(struct support_tx *tx, struct svm_tx_builder *builder,
                    const struct svm_secret_key *key)
{
    uint8_t raw[4096];
    size_t len;
    struct svm_refusal refusal;
    ck_assert_msg(svm_tx_builder_finish(builder, raw, sizeof raw, &len, &refusal) == SVM_OK, "%s",
                  refusal.reason);
    svm_tx_digest(&tx->digest, (struct svm_bytes){raw, len});
    ck_assert_int_eq(
        svm_tx_sign(tx->buf, sizeof tx->buf, &tx->bytes.len, (struct svm_bytes){raw, len}, key),
        SVM_OK);
    tx->bytes.ptr = tx->buf;
    svm_tx_builder_destroy(builder);
}

static struct svm_tx_builder *start(struct svm_engine *engine, const struct svm_dev_account *from,
                                    bool expires)
{
    struct svm_chain_info info;
    svm_chain_info(engine, &info);
    struct svm_tx_builder *builder = svm_tx_builder_create(info.chain, &from->address);
    svm_tx_builder_gas_limit(builder, 100000);
    svm_tx_builder_expires(builder, expires ? svm_now_ms(engine) + 60000 : 0);
    return builder;
}

void support_pay(struct support_tx *tx, struct svm_engine *engine, const char *from,
                 const char *label, uint64_t version, const char *to, uint64_t amount)
{
    struct svm_id id;
    svm_dev_object_id(&id, label);
    support_pay_from(tx, engine, from, &id, version, to, amount);
}

void support_pay_from(struct support_tx *tx, struct svm_engine *engine, const char *from,
                      const struct svm_id *id, uint64_t version, const char *to, uint64_t amount)
{
    struct svm_dev_account sender, receiver;
    svm_dev_account(&sender, support_account(from));
    svm_dev_account(&receiver, support_account(to));
    struct svm_tx_builder *builder = start(engine, &sender, version == 0);
    int input = version ? svm_tx_builder_owned(builder, id, version)
                        : svm_tx_builder_owned_latest(builder, id);
    struct svm_op op = {.kind = SVM_OP_PAY, .input = (uint16_t)input};
    op.u.pay.to = receiver.address;
    op.u.pay.amount.units = amount;
    svm_tx_builder_op(builder, &op);
    support_finish(tx, builder, &sender.key);
}

void support_add(struct support_tx *tx, struct svm_engine *engine, const char *from,
                 const char *label, int64_t delta, uint64_t nonce)
{
    struct svm_dev_account sender;
    struct svm_id id;
    svm_dev_account(&sender, support_account(from));
    svm_dev_object_id(&id, label);
    struct svm_tx_builder *builder = start(engine, &sender, true);
    svm_tx_builder_nonce(builder, nonce);
    int input = svm_tx_builder_shared(builder, &id, true);
    struct svm_op op = {.kind = SVM_OP_ADD, .input = (uint16_t)input};
    op.u.add.delta = delta;
    svm_tx_builder_op(builder, &op);
    support_finish(tx, builder, &sender.key);
}

uint64_t support_counter(struct svm_engine *engine, const char *label)
{
    struct svm_id id;
    struct svm_snapshot *snapshot;
    struct svm_object *object;
    uint64_t n = 0;
    svm_dev_object_id(&id, label);
    ck_assert_int_eq(svm_snapshot_open(engine, &snapshot), SVM_OK);
    ck_assert_int_eq(svm_object_get(snapshot, &id, &object), SVM_OK);
    for (unsigned i = 0; i < 8; i++)
        n |= (uint64_t)object->data.ptr[i] << 8 * i;
    svm_object_free(object);
    svm_snapshot_close(snapshot);
    return n;
}

void support_wait_init(struct support_wait *wait, uint64_t expected)
{
    memset(wait, 0, sizeof *wait);
    pthread_mutex_init(&wait->lock, NULL);
    pthread_cond_init(&wait->changed, NULL);
    wait->expected = expected;
}

void support_wait_one(void *arg, const struct svm_outcome *outcome)
{
    struct support_wait *wait = arg;
    pthread_mutex_lock(&wait->lock);
    if (outcome->err != SVM_OK) {
        wait->refused++;
        wait->by_error[outcome->err]++;
    } else if (outcome->pending) {
        wait->pending++;
    } else {
        const struct svm_receipt *receipt = outcome->receipt;
        wait->ok += receipt->failure == SVM_FAILURE_NONE;
        wait->failed += receipt->failure != SVM_FAILURE_NONE;
        wait->duplicates += outcome->duplicate;
        wait->fast += receipt->path == SVM_PATH_FAST;
        wait->consensus += receipt->path == SVM_PATH_CONSENSUS;
        wait->fallbacks += receipt->fallback != SVM_FALLBACK_NONE;
    }
    wait->expected--;
    if (wait->expected == 0)
        pthread_cond_broadcast(&wait->changed);
    pthread_mutex_unlock(&wait->lock);
}

void support_wait_all(struct support_wait *wait)
{
    pthread_mutex_lock(&wait->lock);
    while (wait->expected > 0)
        pthread_cond_wait(&wait->changed, &wait->lock);
    pthread_mutex_unlock(&wait->lock);
}

void support_temp_dir(char path[64])
{
    strcpy(path, "/tmp/supervm-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void support_remove_dir(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
