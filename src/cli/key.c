#include "cli/cli.h"

#include "base/bytes.h"
#include <svm/tx.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_key(const struct cli *cli, const struct svm_secret_key *key)
{
    struct svm_public_key public_key;
    struct svm_address address;
    char public_text[67];
    char address_text[67];
    svm_key_public(&public_key, key);
    svm_key_address(&address, &public_key);
    svm_hex32_format(public_text, public_key.b);
    svm_hex32_format(address_text, address.b);
    json_t *answer = json_pack("{s:s, s:s}", "address", address_text, "publicKey", public_text);
    print_result(cli, answer);
    json_decref(answer);
    return CLI_OK;
}

static int key_new(const struct cli *cli, const struct args *args)
{
    struct svm_secret_key key;
    svm_key_generate(&key);
    const enum svm_err err = svm_key_save(&key, args->argv[1]);
    int code = CLI_OK;
    if (err != SVM_OK) {
        code = cli_fail(CLI_RPC_ERROR, "%s: %s (key files are never overwritten)", args->argv[1],
                        strerror(errno));
    } else {
        code = print_key(cli, &key);
    }
    svm_key_wipe(&key);
    return code;
}

static int key_show(const struct cli *cli, const struct args *args)
{
    struct svm_secret_key key;
    if (!load_key(&key, args->argv[1])) {
        return CLI_USAGE;
    }
    const int code = print_key(cli, &key);
    svm_key_wipe(&key);
    return code;
}

static int key_sign(const struct args *args)
{
    struct svm_secret_key key;
    struct svm_signature signature;
    char text[2 * sizeof signature.b + 1];
    size_t len = 0;
    if (!load_key(&key, args->argv[1])) {
        return CLI_USAGE;
    }
    char *message = read_bytes(&len, args->argc > 2 ? args->argv[2] : "-");
    if (message == NULL) {
        svm_key_wipe(&key);
        return CLI_USAGE;
    }
    svm_sign(&signature, &key, (struct svm_bytes){(const uint8_t *)message, len});
    svm_key_wipe(&key);
    free(message);
    hex_encode(text, signature.b, sizeof signature.b);
    printf("0x%s\n", text);
    return CLI_OK;
}

static int key_verify(const struct args *args)
{
    struct svm_public_key public_key;
    struct svm_signature signature;
    const char *text = args->argv[2];
    size_t len = 0;
    if (svm_hex32_parse(public_key.b, args->argv[1]) != SVM_OK) {
        return cli_fail(CLI_USAGE, "the public key is 0x and 64 digits");
    }
    if (strncmp(text, "0x", 2) != 0 ||
        !hex_decode(signature.b, sizeof signature.b, &len, text + 2, strlen(text + 2)) ||
        len != sizeof signature.b) {
        return cli_fail(CLI_USAGE, "the signature is 0x and 128 digits");
    }
    char *message = read_bytes(&len, args->argc > 3 ? args->argv[3] : "-");
    if (message == NULL) {
        return CLI_USAGE;
    }
    const bool good =
        svm_verify(&public_key, &signature, (struct svm_bytes){(const uint8_t *)message, len});
    free(message);
    puts(good ? "the signature is good" : "the signature is BAD");
    return good ? CLI_OK : CLI_RPC_ERROR;
}

int command_key(struct cli *cli, struct args *args)
{
    const char *verb = args->argc > 0 ? args->argv[0] : "";
    if (strcmp(verb, "new") == 0 && args_check(args, 2, 2, "key") == CLI_OK) {
        return key_new(cli, args);
    }
    if (strcmp(verb, "show") == 0 && args_check(args, 2, 2, "key") == CLI_OK) {
        return key_show(cli, args);
    }
    if (strcmp(verb, "sign") == 0 && args_check(args, 2, 3, "key") == CLI_OK) {
        return key_sign(args);
    }
    if (strcmp(verb, "verify") == 0 && args_check(args, 3, 4, "key") == CLI_OK) {
        return key_verify(args);
    }
    return cli_usage("key");
}
