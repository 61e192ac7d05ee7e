#include "cli/cli.h"

#include "base/bytes.h"
#include <svm/engine.h>
#include <svm/tx.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cli_fail(int code, const char *form, ...)
{
    va_list args;
    va_start(args, form);
    fputs("supervm: ", stderr);
    vfprintf(stderr, form, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}

/* ---- flags ---------------------------------------------------------------------------------------------------- */

static void remove_at(struct args *args, int index, int count)
{
    for (int i = index; i + count < args->argc; i++) {
        args->argv[i] = args->argv[i + count];
    }
    args->argc -= count;
}

bool args_take(struct args *args, const char *flag)
{
    for (int i = 0; i < args->argc; i++) {
        if (strcmp(args->argv[i], flag) == 0) {
            remove_at(args, i, 1);
            return true;
        }
    }
    return false;
}

const char *args_take_value(struct args *args, const char *flag)
{
    const size_t len = strlen(flag);
    for (int i = 0; i < args->argc; i++) {
        char *argument = args->argv[i];
        if (strncmp(argument, flag, len) != 0) {
            continue;
        }
        if (argument[len] == '=') {
            remove_at(args, i, 1);
            return argument + len + 1;
        }
        if (argument[len] == '\0') {
            if (i + 1 == args->argc) {
                exit(cli_fail(CLI_USAGE, "%s needs a value", flag));
            }
            const char *value = args->argv[i + 1];
            remove_at(args, i, 2);
            return value;
        }
    }
    return NULL;
}

int args_check(const struct args *args, int min, int max, const char *usage)
{
    for (int i = 0; i < args->argc; i++) {
        if (strncmp(args->argv[i], "--", 2) == 0) {
            cli_fail(CLI_USAGE, "%s is unknown here", args->argv[i]);
            return cli_usage(usage);
        }
    }
    return args->argc < min || args->argc > max ? cli_usage(usage) : CLI_OK;
}

/* ---- values --------------------------------------------------------------------------------------------------- */

bool parse_u64(uint64_t *value_out, const char *text)
{
    uint64_t value = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value)) {
            return false;
        }
    }
    *value_out = value;
    return true;
}

bool parse_i64(int64_t *value_out, const char *text)
{
    uint64_t magnitude = 0;
    const bool negative = *text == '-';
    if (!parse_u64(&magnitude, text + (negative || *text == '+')) ||
        magnitude > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *value_out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

static bool dev_account(struct svm_dev_account *account_out, const char *name)
{
    for (unsigned i = 0; i < SVM_DEV_ACCOUNTS; i++) {
        svm_dev_account(account_out, i);
        if (strcmp(account_out->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Labels of the development genesis: "faucet", "counter", "pool", "notice", or "<account> coin", "<account> spare N". */
static bool is_dev_label(const char *text)
{
    static const char *const labels[] = {"faucet", "counter", "pool", "notice"};
    struct svm_dev_account account;
    char name[32];
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        if (strcmp(text, labels[i]) == 0) {
            return true;
        }
    }
    const char *space = strchr(text, ' ');
    if (space == NULL || (size_t)(space - text) >= sizeof name) {
        return false;
    }
    memcpy(name, text, (size_t)(space - text));
    name[space - text] = '\0';
    return dev_account(&account, name) &&
           (strcmp(space, " coin") == 0 || (strncmp(space, " spare ", 7) == 0 && space[7] >= '0' &&
                                            space[7] <= '4' && space[8] == '\0'));
}

bool parse_id(struct svm_id *id_out, const char *text)
{
    if (is_dev_label(text)) {
        svm_dev_object_id(id_out, text);
        return true;
    }
    if (svm_hex32_parse(id_out->b, text) == SVM_OK) {
        return true;
    }
    cli_fail(CLI_USAGE, "\"%s\" is neither an object id (0x and 64 digits) nor a dev object", text);
    return false;
}

bool load_key(struct svm_secret_key *key_out, const char *text)
{
    struct svm_dev_account account;
    if (dev_account(&account, text)) {
        *key_out = account.key;
        return true;
    }
    const enum svm_err err = svm_key_load(key_out, text);
    if (err == SVM_E_IO) {
        cli_fail(CLI_USAGE, "%s: %s (no dev account of that name, either)", text, strerror(errno));
    } else if (err != SVM_OK) {
        cli_fail(CLI_USAGE, "%s: %s; a key file is one line, 0x and 64 digits, mode 0600", text,
                 svm_err_text(err));
    }
    return err == SVM_OK;
}

bool parse_address(struct svm_address *address_out, const char *text)
{
    struct svm_dev_account account;
    struct svm_secret_key key;
    struct svm_public_key public_key;
    if (svm_hex32_parse(address_out->b, text) == SVM_OK) {
        return true;
    }
    if (dev_account(&account, text)) {
        *address_out = account.address;
        return true;
    }
    if (!load_key(&key, text)) {
        return false;
    }
    svm_key_public(&public_key, &key);
    svm_key_address(address_out, &public_key);
    svm_key_wipe(&key);
    return true;
}

char *read_bytes(size_t *len_out, const char *argument)
{
    enum { BYTES_MAX = 64 << 20 };
    const bool is_stdin = strcmp(argument, "-") == 0;
    if (!is_stdin && *argument != '@') {
        *len_out = strlen(argument);
        return strdup(argument);
    }
    FILE *file = is_stdin ? stdin : fopen(argument + 1, "re");
    if (file == NULL) {
        cli_fail(CLI_USAGE, "%s: %s", argument + 1, strerror(errno));
        return NULL;
    }
    size_t len = 0;
    size_t cap = 4096;
    char *text = malloc(cap);
    while (text != NULL) {
        const size_t n = fread(text + len, 1, cap - len - 1, file);
        len += n;
        if (n == 0) {
            break;
        }
        if (len + 1 == cap) {
            cap *= 2;
            char *bigger = cap > BYTES_MAX ? NULL : realloc(text, cap);
            if (bigger == NULL) {
                free(text);
            }
            text = bigger;
        }
    }
    if (text == NULL) {
        cli_fail(CLI_USAGE, "the input is too large");
    } else {
        text[len] = '\0';
        *len_out = len;
    }
    if (!is_stdin) {
        fclose(file);
    }
    return text;
}

uint8_t *read_base64(size_t *len_out, const char *argument)
{
    size_t len = 0;
    char *text = read_bytes(&len, argument);
    if (text == NULL) {
        return NULL;
    }
    const char *start = text + strspn(text, " \t\r\n");
    size_t n = strlen(start);
    while (n > 0 && strchr(" \t\r\n", start[n - 1]) != NULL) {
        n--;
    }
    uint8_t *bytes = malloc(base64_bytes_max(n) + 1);
    if (bytes == NULL || !base64_decode(bytes, base64_bytes_max(n), len_out, start, n) || n == 0) {
        cli_fail(CLI_USAGE, "this is not base64 (padded, without white space)");
        free(bytes);
        bytes = NULL;
    }
    free(text);
    return bytes;
}
