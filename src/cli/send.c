#include "cli/cli.h"

#include "base/bytes.h"
#include <svm/tx.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* supervm send FROM TO AMOUNT: list the sender's coins, take the largest ones until they suffice, merge them into the first
 * and pay out of it. The coins are named by exact version, so that the transaction can execute once only and needs no
 * expiry; when a coin has moved meanwhile, everything is built anew, a few times. */

enum { COINS_MAX = 255, ATTEMPTS_MAX = 5, PAGE_ITEMS = 1000, GAS_LIMIT = 1000000 };

struct coin {
    struct svm_id id;
    uint64_t version;
    uint64_t balance;
};

struct purse {
    struct coin *coins;
    size_t count, cap;
};

struct sending {
    struct svm_secret_key key;
    struct svm_address from;
    struct svm_address to;
    uint64_t chain;
    uint64_t amount;
    const char *wait;
};

static bool read_coin(struct coin *coin, const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    const char *id = json_string_value(json_object_get(object, "id"));
    const char *version = json_string_value(json_object_get(object, "version"));
    const char *balance = json_string_value(json_object_get(object, "balance"));
    return type != NULL && id != NULL && version != NULL && balance != NULL &&
           strcmp(type, "coin") == 0 && svm_hex32_parse(coin->id.b, id) == SVM_OK &&
           parse_u64(&coin->version, version) && parse_u64(&coin->balance, balance) &&
           coin->balance > 0;
}

static bool keep_page(struct purse *purse, const json_t *items)
{
    size_t index;
    json_t *object;
    json_array_foreach(items, index, object)
    {
        struct coin coin;
        if (!read_coin(&coin, object)) {
            continue;
        }
        if (purse->count == purse->cap) {
            const size_t cap = purse->cap == 0 ? 64 : purse->cap * 2;
            struct coin *bigger = realloc(purse->coins, cap * sizeof *bigger);
            if (bigger == NULL) {
                return false;
            }
            purse->coins = bigger;
            purse->cap = cap;
        }
        purse->coins[purse->count++] = coin;
    }
    return true;
}

static int larger_first(const void *a, const void *b)
{
    const struct coin *left = a;
    const struct coin *right = b;
    return left->balance < right->balance ? 1 : left->balance > right->balance ? -1 : 0;
}

static int list_coins(const struct cli *cli, struct purse *purse, const struct svm_address *owner)
{
    char owner_text[67];
    char cursor[300] = "";
    svm_hex32_format(owner_text, owner->b);
    purse->count = 0;
    do {
        json_t *page = NULL;
        json_t *params = json_pack("{s:s, s:s, s:i}", "owner", owner_text, "kind", "owned", "limit",
                                   (int)PAGE_ITEMS);
        if (cursor[0] != '\0') {
            json_object_set_new(params, "cursor", json_string(cursor));
        }
        const int code = client_call(cli, "object_listByOwner", params, &page, NULL);
        if (code != CLI_OK) {
            return code;
        }
        const bool ok = keep_page(purse, json_object_get(page, "items"));
        const char *next = json_string_value(json_object_get(page, "nextCursor"));
        snprintf(cursor, sizeof cursor, "%s", next == NULL ? "" : next);
        json_decref(page);
        if (!ok) {
            return cli_fail(CLI_RPC_ERROR, "out of memory");
        }
    } while (cursor[0] != '\0');
    qsort(purse->coins, purse->count, sizeof *purse->coins, larger_first);
    return CLI_OK;
}

/* How many of the largest coins hold AMOUNT; 0 = all of them do not. */
static size_t coins_needed(const struct purse *purse, uint64_t amount, uint64_t *sum_out)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < purse->count; i++) {
        sum += purse->coins[i].balance; /* cannot overflow: the sum over all objects is a u64 */
        *sum_out = sum;
        if (sum >= amount) {
            return i + 1;
        }
    }
    *sum_out = sum;
    return 0;
}

static enum svm_err build(const struct sending *sending, const struct purse *purse, size_t used,
                          uint8_t *out, size_t cap, size_t *len_out)
{
    static uint8_t bytes[SVM_TX_BYTES_MAX];
    int handles[COINS_MAX];
    size_t len = 0;
    struct svm_tx_builder *builder = svm_tx_builder_create(sending->chain, &sending->from);
    if (builder == NULL) {
        return SVM_E_NO_MEMORY;
    }
    svm_tx_builder_gas_limit(builder, GAS_LIMIT);
    for (size_t i = 0; i < used; i++) {
        handles[i] = svm_tx_builder_owned(builder, &purse->coins[i].id, purse->coins[i].version);
    }
    for (size_t i = 1; i < used; i++) {
        const struct svm_op move = {
            .kind = SVM_OP_MOVE,
            .input = (uint16_t)handles[i],
            .u.move = {.amount = {purse->coins[i].balance}, .into = (uint16_t)handles[0]},
        };
        svm_tx_builder_op(builder, &move);
    }
    const struct svm_op pay = {
        .kind = SVM_OP_PAY,
        .input = (uint16_t)handles[0],
        .u.pay = {.to = sending->to, .amount = {sending->amount}},
    };
    svm_tx_builder_op(builder, &pay);
    enum svm_err err = svm_tx_builder_finish(builder, bytes, sizeof bytes, &len, NULL);
    svm_tx_builder_destroy(builder);
    if (err == SVM_OK) {
        err = svm_tx_sign(out, cap, len_out, (struct svm_bytes){bytes, len}, &sending->key);
    }
    return err;
}

static int submit(const struct cli *cli, const struct sending *sending, const struct purse *purse,
                  size_t used, json_t **error_out)
{
    static uint8_t bytes[SVM_TX_BYTES_MAX];
    size_t len = 0;
    json_t *receipt = NULL;
    const enum svm_err err = build(sending, purse, used, bytes, sizeof bytes, &len);
    char *text = err == SVM_OK ? malloc(base64_text_len(len) + 1) : NULL;
    if (text == NULL) {
        return cli_fail(CLI_RPC_ERROR, "%s", svm_err_text(err == SVM_OK ? SVM_E_NO_MEMORY : err));
    }
    base64_encode(text, bytes, len);
    json_t *params = json_pack("{s:s, s:s}", "tx", text, "wait", sending->wait);
    free(text);
    int code = client_call(cli, "tx_submit", params, &receipt, error_out);
    if (code == CLI_OK) {
        code = print_receipt(cli, receipt);
    }
    json_decref(receipt);
    return code;
}

static int attempt(const struct cli *cli, const struct sending *sending, struct purse *purse,
                   json_t **error_out)
{
    uint64_t sum = 0;
    const int code = list_coins(cli, purse, &sending->from);
    if (code != CLI_OK) {
        return code;
    }
    const size_t used = coins_needed(purse, sending->amount, &sum);
    if (used == 0) {
        return cli_fail(CLI_RPC_ERROR, "the sender's %zu coins hold %llu, which is less than %llu",
                        purse->count, (unsigned long long)sum, (unsigned long long)sending->amount);
    }
    if (used > COINS_MAX) {
        return cli_fail(CLI_RPC_ERROR,
                        "the amount needs %zu coins and one transaction takes %d; merge some first",
                        used, (int)COINS_MAX);
    }
    return submit(cli, sending, purse, used, error_out);
}

static int send_with_retries(const struct cli *cli, const struct sending *sending)
{
    struct purse purse = {.coins = NULL};
    int code = CLI_OK;
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        json_t *error = NULL;
        code = attempt(cli, sending, &purse, &error);
        const char *retry =
            json_string_value(json_object_get(json_object_get(error, "data"), "retry"));
        const bool again = retry != NULL && strcmp(retry, "rebuild") == 0 && i + 1 < ATTEMPTS_MAX;
        if (error != NULL && !again) {
            print_rpc_error(error);
        }
        json_decref(error);
        if (!again) {
            break;
        }
    }
    free(purse.coins);
    return code;
}

int command_send(struct cli *cli, struct args *args)
{
    struct sending sending;
    struct svm_public_key public_key;
    const char *wait = args_take_value(args, "--wait");
    sending.wait = wait == NULL ? "durable" : wait;
    if (args_check(args, 3, 3, "send") != CLI_OK) {
        return CLI_USAGE;
    }
    if (!parse_u64(&sending.amount, args->argv[2]) || sending.amount == 0) {
        return cli_fail(CLI_USAGE, "\"%s\" is not an amount", args->argv[2]);
    }
    if (!parse_address(&sending.to, args->argv[1]) || !load_key(&sending.key, args->argv[0])) {
        return CLI_USAGE;
    }
    svm_key_public(&public_key, &sending.key);
    svm_key_address(&sending.from, &public_key);
    int code = client_chain(cli, &sending.chain);
    if (code == CLI_OK) {
        code = send_with_retries(cli, &sending);
    }
    svm_key_wipe(&sending.key);
    return code;
}
