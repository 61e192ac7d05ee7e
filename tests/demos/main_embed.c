/* demos/main_embed.c - the engine in sixty lines: open it in memory, pay, count, read, all in this process.
 * Compiles as C and as C++:   cc|c++ main_embed.c -Iinclude libsupervm.a $(pkg-config --libs rocksdb libsodium) -pthread */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <svm.h>

static void must(enum svm_err err, const struct svm_refusal *why)
{
    if (err == SVM_OK)
        return;
    fprintf(stderr, "%s: %s\n", svm_err_name(err),
            why && why->reason[0] ? why->reason : svm_err_text(err));
    exit(1);
}

/* A closure over cells: retried by the engine until it commits without a conflict. */
static enum svm_err count_visit(void *arg, struct svm_cell_txn *txn)
{
    struct svm_bytes key = {(const uint8_t *)"visits", 6}, value;
    uint64_t *visits = (uint64_t *)arg;
    enum svm_err err = svm_cell_get(txn, key, &value);
    *visits = 0;
    if (err == SVM_OK)
        memcpy(visits, value.ptr, sizeof *visits);
    ++*visits;
    value.ptr = (const uint8_t *)visits;
    value.len = sizeof *visits;
    return err == SVM_OK || err == SVM_E_NOT_FOUND ? svm_cell_put(txn, key, value) : err;
}

int main(void)
{
    struct svm_config config;
    struct svm_engine *engine;
    struct svm_refusal why;
    svm_config_init(&config);
    config.durability = SVM_MEMORY; /* with a datadir: SVM_SYNC */
    must(svm_engine_open(&engine, &config, &why), &why);

    struct svm_dev_account alice, bob;
    struct svm_chain_info chain;
    svm_dev_account(&alice, 0);
    svm_dev_account(&bob, 1);
    svm_chain_info(engine, &chain);

    struct svm_tx_builder *builder = svm_tx_builder_create(chain.chain, &alice.address);
    struct svm_op pay;
    uint8_t raw[512], signed_tx[640];
    struct svm_bytes bytes = {raw, 0};
    memset(&pay, 0, sizeof pay);
    pay.kind = SVM_OP_PAY;
    pay.input = (uint16_t)svm_tx_builder_owned(builder, &alice.coin, 1);
    pay.u.pay.to = bob.address;
    pay.u.pay.amount.units = 25;
    svm_tx_builder_gas_limit(builder, 10000);
    svm_tx_builder_op(builder, &pay);
    must(svm_tx_builder_finish(builder, raw, sizeof raw, &bytes.len, &why), &why);
    must(svm_tx_sign(signed_tx, sizeof signed_tx, &bytes.len, bytes, &alice.key), NULL);
    bytes.ptr = signed_tx;

    struct svm_receipt *receipt;
    must(svm_submit_wait(engine, bytes, SVM_WAIT_DURABLE, &receipt, NULL, &why), &why);
    printf("paid: seq %llu, path %s, gas %llu\n", (unsigned long long)receipt->seq,
           svm_path_name(receipt->path), (unsigned long long)receipt->gas_used);

    uint64_t visits, seq;
    must(svm_cell_run(engine, count_visit, &visits, SVM_WAIT_EXECUTED, &seq, NULL), NULL);
    printf("visit %llu at seq %llu\n", (unsigned long long)visits, (unsigned long long)seq);

    svm_receipt_free(receipt);
    svm_tx_builder_destroy(builder);
    svm_engine_close(engine);
    return 0;
}
