/* The development chain: the same keys, objects and digest on every machine. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/sha256.h"
#include "model/model.h"

#define DEV_TIME_MS "1767225600000" /* 2026-01-01 00:00:00 UTC */

enum { SPARES = 5, TEXT_BYTES_MAX = 32 * 1024 };

static const char *const names[MODEL_DEV_ACCOUNTS + 1] = {
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "faucet",
};

/* hash_labelled: SHA-256(PREFIX || LABEL). */
static void hash_labelled(uint8_t hash_out[32], const char *prefix, const char *label)
{
    struct crypto_sha256 sha;
    crypto_sha256_init(&sha);
    crypto_sha256_add(&sha, prefix, strlen(prefix));
    crypto_sha256_add(&sha, label, strlen(label));
    crypto_sha256_final(&sha, hash_out);
}

void model_dev_object_id(struct svm_id *id_out, const char *label)
{
    hash_labelled(id_out->b, "supervm dev object ", label);
}

void model_dev_account(struct model_dev_account *account_out, unsigned index)
{
    SVM_ASSERT(index <= MODEL_DEV_FAUCET);
    account_out->name = names[index];
    hash_labelled(account_out->key.seed, "supervm dev key ", names[index]);
    svm_key_public(&account_out->public_key, &account_out->key);
    svm_key_address(&account_out->address, &account_out->public_key);
    char label[32];
    snprintf(label, sizeof label, index == MODEL_DEV_FAUCET ? "%s" : "%s coin", names[index]);
    model_dev_object_id(&account_out->coin, label);
}

/* ---- text -------------------------------------------------------------------------------------------------- */

static char text[TEXT_BYTES_MAX];
static size_t text_len;
static pthread_once_t text_once = PTHREAD_ONCE_INIT;

__attribute__((format(printf, 1, 2))) static void put(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(text + text_len, sizeof text - text_len, format, args);
    va_end(args);
    SVM_ASSERT(len >= 0 && (size_t)len < sizeof text - text_len);
    text_len += (size_t)len;
}

/* What differs between the objects. Members are written in the order of their names: that is the canonical form. */
struct dev_object {
    const char *label;
    const char *kind;
    const struct svm_address *party; /* NULL: immutable */
    const char *type;
    const char *balance;
    struct svm_bytes data;
    bool open_withdraw;
};

static void put_object(struct dev_object object)
{
    char party[67], id[67], data[64];
    struct svm_id object_id;
    model_dev_object_id(&object_id, object.label);
    svm_hex32_format(id, object_id.b);
    if (object.party != NULL)
        svm_hex32_format(party, object.party->b);
    SVM_ASSERT(base64_text_len(object.data.len) < sizeof data);
    base64_encode(data, object.data.ptr, object.data.len);
    const bool shared = strcmp(object.kind, "shared") == 0;
    const bool owned = strcmp(object.kind, "owned") == 0;

    put("%s{\"balance\":\"%s\",", text[text_len - 1] == '[' ? "" : ",", object.balance);
    if (shared)
        put("\"controller\":\"%s\",", party);
    put("\"data\":\"%s\",\"id\":\"%s\",\"kind\":\"%s\",", data, id, object.kind);
    if (shared)
        put("\"openWithdraw\":%s,", object.open_withdraw ? "true" : "false");
    if (owned)
        put("\"owner\":\"%s\",", party);
    put("\"type\":\"%s\"}", object.type);
}

static void put_coin(const char *label, const struct svm_address *owner, const char *balance)
{
    put_object((struct dev_object){.label = label,
                                   .kind = "owned",
                                   .party = owner,
                                   .type = "coin",
                                   .balance = balance,
                                   .data = {(const uint8_t *)"", 0}});
}

static void put_accounts(void)
{
    for (unsigned i = 0; i < MODEL_DEV_ACCOUNTS; i++) {
        struct model_dev_account account;
        char label[32];
        model_dev_account(&account, i);
        snprintf(label, sizeof label, "%s coin", account.name);
        put_coin(label, &account.address, "1000000");
        for (unsigned spare = 0; spare < SPARES; spare++) {
            snprintf(label, sizeof label, "%s spare %u", account.name, spare);
            put_coin(label, &account.address, "1000");
        }
    }
}

static void build_text(void)
{
    static const uint8_t zeros[16];
    static const char notice[] = "SuperVM dev chain";
    struct model_dev_account alice, faucet;
    model_dev_account(&alice, 0);
    model_dev_account(&faucet, MODEL_DEV_FAUCET);
    put("{\"name\":\"supervm-dev\",\"objects\":[");
    put_accounts();
    put_coin("faucet", &faucet.address, "1000000000000");
    put_object((struct dev_object){.label = "counter",
                                   .kind = "shared",
                                   .party = &alice.address,
                                   .type = "counter",
                                   .balance = "0",
                                   .data = {zeros, sizeof zeros}});
    put_object((struct dev_object){.label = "pool",
                                   .kind = "shared",
                                   .party = &alice.address,
                                   .type = "pool",
                                   .balance = "1000000",
                                   .data = {zeros, 0},
                                   .open_withdraw = true});
    put_object((struct dev_object){.label = "notice",
                                   .kind = "immutable",
                                   .type = "notice",
                                   .balance = "0",
                                   .data = {(const uint8_t *)notice, sizeof notice - 1}});
    put("],\"timeMs\":\"" DEV_TIME_MS "\"}");
}

const char *model_genesis_dev(void)
{
    SVM_ASSERT(pthread_once(&text_once, build_text) == 0);
    return text;
}
