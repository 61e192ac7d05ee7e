/* The same transactions, one after the other, on an engine whose wall clock stands still: what comes of them is printed as two hashes, which
 * are the same whatever compiled this program. Compared with the sequential reference too.
 *
 *     main_hash [TRANSACTIONS]
 *
 * Prints "state <hash> receipts <hash> ..." and ends with 0 when the reference agrees. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <svm.h>

#include "base/clock.h"
#include "engine/hooks.h"
#include "oracle/gen.h"

enum { NODE_S = 1767225600, PER_BATCH = 20, SEED = 20260101, JUMP_MS = 3600000 };

struct tally {
    struct model_hash hash;
    unsigned executed, failed, refused;
};

static uint64_t wall_ms(void *self)
{
    (void)self;
    return (uint64_t)NODE_S * 1000;
}

static uint64_t boot_ns(void *self)
{
    struct timespec now;
    (void)self;
    clock_gettime(CLOCK_MONOTONIC, &now); /* pauses before another attempt must end */
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "main_hash: %s\n", what);
    exit(2);
}

static void print_hash(const char *name, const struct svm_digest *digest)
{
    char text[67];
    svm_hex32_format(text, digest->b);
    printf("%s %s ", name, text);
}

/* add: the receipt, without how long it took; or why there is none. */
static void add(struct tally *tally, enum svm_err err, struct svm_receipt *receipt)
{
    const uint8_t code[2] = {(uint8_t)err, (uint8_t)(err >> 8)};
    model_hash_add(&tally->hash, code, sizeof code);
    if (receipt == NULL) {
        tally->refused++;
        return;
    }
    receipt->latency_us = 0;
    const size_t len = model_receipt_size(receipt);
    uint8_t *bytes = malloc(len);
    if (bytes == NULL)
        give_up("out of memory");
    model_receipt_encode(bytes, receipt);
    model_hash_add(&tally->hash, bytes, len);
    free(bytes);
    tally->executed++;
    tally->failed += receipt->failure != SVM_FAILURE_NONE;
}

static void run(struct tally *tally, struct svm_engine *engine, struct gen *gen, struct ref *ref,
                unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct svm_receipt *receipt = NULL;
        if (i % PER_BATCH == 0)
            gen_batch(gen, svm_now_ms(engine));
        struct gen_tx *tx = gen_make(gen);
        const enum svm_err err = svm_submit_wait(engine, (struct svm_bytes){tx->bytes, tx->len},
                                                 SVM_WAIT_EXECUTED, &receipt, NULL, NULL);
        model_hash_add(&tally->hash, tx->digest.b, sizeof tx->digest.b);
        add(tally, err, receipt);
        if (err == SVM_OK && receipt != NULL && receipt->seq > ref_seq(ref))
            (void)!ref_apply(ref, &tx->tx, &tx->digest, receipt->node_ms, NULL, NULL);
        svm_receipt_free(receipt);
        gen_free(tx);
    }
}

static struct svm_engine *open_engine(struct svm_config *config, struct engine_hooks *hooks)
{
    struct svm_engine *engine;
    svm_config_init(config);
    config->durability = SVM_MEMORY;
    config->workers = 1;
    config->clock_jump_max_ms = JUMP_MS;
    config->test_hooks = hooks;
    config->tx_bytes_max = GEN_TX_BYTES_MAX;
    config->tx_data_bytes_max = GEN_DATA_BYTES_MAX;
    config->tx_effects_bytes_max = GEN_EFFECTS_MAX;
    if (svm_engine_open(&engine, config, NULL) != SVM_OK)
        give_up("the engine does not open");
    return engine;
}

int main(int argc, char **argv)
{
    const unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 600;
    const struct clock clock = {wall_ms, boot_ns, NULL};
    struct engine_hooks hooks = {.clock = &clock};
    struct model_genesis genesis;
    struct svm_config config;
    struct tally tally = {.executed = 0};
    struct svm_snapshot *snapshot;
    struct svm_digest state, receipts, want;
    struct gen gen;
    char reason[120];
    if (model_genesis_parse(&genesis, model_genesis_dev(), reason) != SVM_OK)
        give_up(reason);
    struct svm_engine *engine = open_engine(&config, &hooks);
    struct ref *ref = ref_create(&genesis);
    gen_init(&gen, SEED, ref, genesis.chain);
    gen.sign = true;
    model_hash_init(&tally.hash);
    run(&tally, engine, &gen, ref, count);
    model_hash_final(&tally.hash, &receipts);
    if (svm_snapshot_open(engine, &snapshot) != SVM_OK ||
        svm_state_hash(snapshot, &state) != SVM_OK)
        give_up("no hash of the state");
    svm_snapshot_close(snapshot);
    ref_state_hash(ref, &want);
    print_hash("state", &state);
    print_hash("receipts", &receipts);
    printf("executed %u failed %u refused %u\n", tally.executed, tally.failed, tally.refused);
    svm_engine_close(engine);
    ref_destroy(ref);
    model_genesis_deinit(&genesis);
    if (memcmp(state.b, want.b, sizeof want.b) == 0)
        return 0;
    fprintf(stderr, "main_hash: the reference has another state\n");
    return 1;
}
