#include "cli/cli.h"

#include "base/bytes.h"
#include <svm/tx.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_base64(const uint8_t *bytes, size_t len)
{
    char *text = malloc(base64_text_len(len) + 1);
    if (text == NULL) {
        return cli_fail(CLI_RPC_ERROR, "out of memory");
    }
    base64_encode(text, bytes, len);
    puts(text);
    free(text);
    return CLI_OK;
}

static int tx_sign(struct args *args)
{
    static uint8_t out[SVM_TX_BYTES_MAX];
    static struct svm_tx_space space;
    struct svm_tx tx;
    struct svm_refusal refusal = {.err = SVM_OK};
    struct svm_secret_key key;
    size_t len = 0;
    size_t out_len = 0;
    const char *key_text = args_take_value(args, "--key");
    if (key_text == NULL || args_check(args, 1, 2, "tx") != CLI_OK) {
        return cli_usage("tx");
    }
    uint8_t *bytes = read_base64(&len, args->argc > 1 ? args->argv[1] : "-");
    if (bytes == NULL) {
        return CLI_USAGE;
    }
    /* Nothing is signed that could not be read: the signer would not know what it stands for. */
    enum svm_err err = svm_tx_decode(&tx, &space, (struct svm_bytes){bytes, len}, &refusal);
    if (err != SVM_OK) {
        free(bytes);
        return cli_fail(CLI_USAGE, "%s: %s", svm_err_name(err),
                        refusal.reason[0] != '\0' ? refusal.reason : svm_err_text(err));
    }
    if (!load_key(&key, key_text)) {
        free(bytes);
        return CLI_USAGE;
    }
    err = svm_tx_sign(out, sizeof out, &out_len, (struct svm_bytes){bytes, len}, &key);
    svm_key_wipe(&key);
    free(bytes);
    return err == SVM_OK ? print_base64(out, out_len)
                         : cli_fail(CLI_RPC_ERROR, "%s", svm_err_text(err));
}

static int tx_submit(const struct cli *cli, struct args *args)
{
    const char *wait = args_take_value(args, "--wait");
    const char *timeout = args_take_value(args, "--timeout-ms");
    uint64_t timeout_ms = 0;
    size_t len = 0;
    json_t *receipt = NULL;
    if (args_check(args, 1, 2, "tx") != CLI_OK) {
        return CLI_USAGE;
    }
    if (timeout != NULL && (!parse_u64(&timeout_ms, timeout) || timeout_ms > 600000)) {
        return cli_fail(CLI_USAGE, "--timeout-ms: a number up to 600000");
    }
    uint8_t *bytes = read_base64(&len, args->argc > 1 ? args->argv[1] : "-");
    if (bytes == NULL) {
        return CLI_USAGE;
    }
    char *text = malloc(base64_text_len(len) + 1);
    if (text == NULL) {
        free(bytes);
        return cli_fail(CLI_RPC_ERROR, "out of memory");
    }
    base64_encode(text, bytes, len);
    free(bytes);
    json_t *params = json_pack("{s:s, s:s}", "tx", text, "wait", wait == NULL ? "durable" : wait);
    free(text);
    if (timeout != NULL) {
        json_object_set_new(params, "timeoutMs", json_integer((json_int_t)timeout_ms));
    }
    int code = client_call(cli, "tx_submit", params, &receipt, NULL);
    if (code == CLI_OK) {
        code = print_receipt(cli, receipt);
    }
    json_decref(receipt);
    return code;
}

static int tx_show(const struct cli *cli, struct args *args)
{
    const char *wait = args_take_value(args, "--wait");
    json_t *receipt = NULL;
    if (args_check(args, 1, 1, "tx") != CLI_OK) {
        return CLI_USAGE;
    }
    json_t *params = json_pack("{s:s}", "digest", args->argv[0]);
    if (wait != NULL) {
        json_object_set_new(params, "wait", json_string(wait));
    }
    int code = client_call(cli, wait == NULL ? "tx_get" : "tx_wait", params, &receipt, NULL);
    if (code == CLI_OK) {
        code = print_receipt(cli, receipt);
    }
    json_decref(receipt);
    return code;
}

int command_tx(struct cli *cli, struct args *args)
{
    const char *verb = args->argc > 0 ? args->argv[0] : "";
    if (strcmp(verb, "build") == 0) {
        return command_tx_build(cli, args);
    }
    if (strcmp(verb, "decode") == 0) {
        return command_tx_decode(cli, args);
    }
    if (strcmp(verb, "sign") == 0) {
        return tx_sign(args);
    }
    if (strcmp(verb, "submit") == 0) {
        return tx_submit(cli, args);
    }
    if (strncmp(verb, "0x", 2) == 0) {
        return tx_show(cli, args);
    }
    return cli_usage("tx");
}
