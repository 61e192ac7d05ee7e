#include "app/dev.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/version.h"
#include "crypto/sha256.h"
#include <svm/tx.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ALICE = 0, BOB = 1 };

enum {
    DEV_PAY_AMOUNT = 5,
    DEV_GAS_LIMIT = 100000,
    DEV_FIRST_VERSION = 1 /* of every genesis object */
};

uint64_t dev_chain(void)
{
    const char *genesis = svm_genesis_dev();
    uint8_t hash[32];
    crypto_sha256(hash, genesis, strlen(genesis));
    return bytes_get_u64le(hash);
}

/* ---- pre-signed requests -------------------------------------------------------------------------------------- */

static void add_operations(struct svm_tx_builder *builder, enum dev_request request)
{
    struct svm_dev_account bob;
    struct svm_id coin;
    struct svm_id counter;
    svm_dev_account(&bob, BOB);
    svm_dev_object_id(&coin, request == DEV_REQUEST_FAST ? "alice spare 0" : "alice spare 1");
    const int coin_input = svm_tx_builder_owned(builder, &coin, DEV_FIRST_VERSION);
    SVM_ASSERT(coin_input >= 0);
    if (request == DEV_REQUEST_FAST) {
        const struct svm_op pay = {
            .kind = SVM_OP_PAY,
            .input = (uint16_t)coin_input,
            .u.pay = {.to = bob.address, .amount = {DEV_PAY_AMOUNT}},
        };
        svm_tx_builder_op(builder, &pay);
        return;
    }
    svm_dev_object_id(&counter, "counter");
    const int counter_input = svm_tx_builder_shared(builder, &counter, true);
    SVM_ASSERT(counter_input >= 0);
    const struct svm_op add = {
        .kind = SVM_OP_ADD,
        .input = (uint16_t)counter_input,
        .u.add = {.delta = 1, .offset = 0},
    };
    svm_tx_builder_op(builder, &add);
}

char *dev_request_base64(enum dev_request request)
{
    enum { CAP = 1024 };
    struct svm_dev_account alice;
    uint8_t unsigned_bytes[CAP];
    uint8_t signed_bytes[CAP];
    size_t unsigned_len = 0;
    size_t signed_len = 0;
    svm_dev_account(&alice, ALICE);
    struct svm_tx_builder *builder = svm_tx_builder_create(dev_chain(), &alice.address);
    if (builder == NULL) {
        return NULL;
    }
    svm_tx_builder_nonce(builder, (uint64_t)request);
    svm_tx_builder_expires(builder, 0);
    svm_tx_builder_gas_limit(builder, DEV_GAS_LIMIT);
    add_operations(builder, request);
    enum svm_err err = svm_tx_builder_finish(builder, unsigned_bytes, CAP, &unsigned_len, NULL);
    svm_tx_builder_destroy(builder);
    SVM_ASSERT(err == SVM_OK);
    err = svm_tx_sign(signed_bytes, CAP, &signed_len,
                      (struct svm_bytes){unsigned_bytes, unsigned_len}, &alice.key);
    SVM_ASSERT(err == SVM_OK);
    char *text = malloc(base64_text_len(signed_len) + 1);
    if (text != NULL) {
        base64_encode(text, signed_bytes, signed_len);
    }
    return text;
}

static void print_curl_line(FILE *out, const char *address, enum dev_request request)
{
    char *tx = dev_request_base64(request);
    if (tx == NULL) {
        return;
    }
    fprintf(
        out,
        "curl -s http://%s -H 'content-type: application/json' -d "
        "'{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"tx_submit\",\"params\":{\"tx\":\"%s\"}}'\n",
        address, (int)request + 1, tx);
    free(tx);
}

void dev_print_curl(FILE *out, const char *address)
{
    for (int request = 0; request < DEV_REQUEST_COUNT; request++) {
        print_curl_line(out, address, (enum dev_request)request);
    }
}

/* ---- banner --------------------------------------------------------------------------------------------------- */

static void print_account(FILE *out, struct svm_snapshot *snapshot, unsigned index)
{
    struct svm_dev_account account;
    struct svm_object *coin = NULL;
    char address[67];
    svm_dev_account(&account, index);
    svm_hex32_format(address, account.address.b);
    const bool known = svm_object_get(snapshot, &account.coin, &coin) == SVM_OK;
    fprintf(out, "  %-6s %s  %" PRIu64 "\n", account.name, address,
            known ? coin->balance.units : 0);
    if (known) {
        svm_object_free(coin);
    }
    svm_key_wipe(&account.key);
}

static void print_object(FILE *out, const char *label, const char *about)
{
    struct svm_id id;
    char text[67];
    svm_dev_object_id(&id, label);
    svm_hex32_format(text, id.b);
    fprintf(out, "  %-10s %s  %s\n", label, text, about);
}

void dev_print_banner(FILE *out, struct svm_engine *engine, const char *address, const char *socket,
                      bool in_memory)
{
    struct svm_chain_info chain;
    struct svm_snapshot *snapshot = NULL;
    svm_chain_info(engine, &chain);
    SVM_ASSERT(chain.chain == dev_chain());
    fprintf(out, "SuperVM %s  dev chain %" PRIu64 "  http://%s\n", VERSION_TEXT, chain.chain,
            address);
    if (*socket != '\0') {
        fprintf(out, "admin over %s\n", socket);
    }
    fprintf(out, "DEV MODE: the keys are public.%s\n",
            in_memory ? " State is in memory and vanishes on exit (--datadir DIR keeps it)." : "");
    fputs("accounts (coin balance)\n", out);
    if (svm_snapshot_open(engine, &snapshot) == SVM_OK) {
        for (unsigned i = 0; i < SVM_DEV_ACCOUNTS; i++) {
            print_account(out, snapshot, i);
        }
        svm_snapshot_close(snapshot);
    }
    fputs("objects\n", out);
    print_object(out, "alice coin", "owned by alice");
    print_object(out, "counter", "shared: any transaction may add to it");
    print_object(out, "pool", "shared, anyone may withdraw");
    print_object(out, "notice", "immutable");
    fputs("try: alice pays bob 5, fast path\n  ", out);
    print_curl_line(out, address, DEV_REQUEST_FAST);
    fputs("try: count one up, shared object, consensus path\n  ", out);
    print_curl_line(out, address, DEV_REQUEST_CONSENSUS);
    fprintf(out,
            "try: which way did they go?\n  curl -s http://%s/v1/stats/routing\n"
            "or:  supervm --url http://%s send alice bob 5\n",
            address, address);
    fflush(out);
}
