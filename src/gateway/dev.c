#include "gateway/dev.h"

#include <string.h>

#include "gateway/state.h"

enum { SIGNED_EXTRA_BYTES = 128, DEV_TX_BYTES = 1024, DEV_GAS_LIMIT = 1000000 };

const struct svm_dev_account *dev_account_find(const struct gateway *gateway,
                                               const char *name_or_address)
{
    struct svm_address address;
    const bool by_address = svm_hex32_parse(address.b, name_or_address) == SVM_OK;
    for (unsigned i = 0; i < SVM_DEV_ACCOUNTS; i++) {
        const struct svm_dev_account *account = &gateway->dev_accounts[i];
        if (by_address ? memcmp(&account->address, &address, sizeof address) == 0
                       : strcmp(account->name, name_or_address) == 0) {
            return account;
        }
    }
    return NULL;
}

bool dev_address_parse(struct svm_address *address_out, const struct gateway *gateway,
                       const char *name_or_address)
{
    const struct svm_dev_account *account = dev_account_find(gateway, name_or_address);
    if (account != NULL) {
        *address_out = account->address;
        return true;
    }
    return svm_hex32_parse(address_out->b, name_or_address) == SVM_OK;
}

static void build(struct svm_tx_builder *builder, const struct dev_payment *payment)
{
    svm_tx_builder_nonce(builder, payment->nonce);
    svm_tx_builder_expires(builder, payment->expires_ms);
    svm_tx_builder_gas_limit(builder, DEV_GAS_LIMIT);
    const int coin = svm_tx_builder_owned_latest(builder, &payment->coin);
    const struct svm_op pay = {.kind = SVM_OP_PAY,
                               .input = (uint16_t)coin,
                               .u.pay = {.to = *payment->to, .amount = {.units = payment->amount}}};
    (void)svm_tx_builder_op(builder, &pay);
    if (payment->counter != NULL) {
        const int counter = svm_tx_builder_shared(builder, payment->counter, true);
        const struct svm_op add = {
            .kind = SVM_OP_ADD, .input = (uint16_t)counter, .u.add = {.delta = 1, .offset = 0}};
        (void)svm_tx_builder_op(builder, &add);
    }
}

enum svm_err dev_payment_sign(struct svm_bytes *out, struct arena *arena,
                              const struct dev_payment *payment, struct svm_refusal *refusal)
{
    uint8_t tx[DEV_TX_BYTES];
    size_t len = 0;
    uint8_t *buf = arena_get(arena, DEV_TX_BYTES + SIGNED_EXTRA_BYTES);
    struct svm_tx_builder *builder = svm_tx_builder_create(payment->chain, &payment->from->address);
    if (buf == NULL || builder == NULL) {
        if (builder != NULL) {
            svm_tx_builder_destroy(builder);
        }
        return SVM_E_NO_MEMORY;
    }
    build(builder, payment);
    enum svm_err err = svm_tx_builder_finish(builder, tx, sizeof tx, &len, refusal);
    svm_tx_builder_destroy(builder);
    if (err == SVM_OK) {
        const struct svm_bytes bytes = {.ptr = tx, .len = len};
        err = svm_tx_sign(buf, DEV_TX_BYTES + SIGNED_EXTRA_BYTES, &len, bytes, &payment->from->key);
        *out = (struct svm_bytes){.ptr = buf, .len = len};
    }
    return err;
}

uint64_t dev_nonce(struct gateway *gateway)
{
    return gateway->started_ms * 1000000 + ++gateway->dev_nonce;
}
