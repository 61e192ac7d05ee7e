#include "cli/cli.h"

#include "base/bytes.h"
#include <svm/tx.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* supervm tx build: flags in order, an input or an operation each. An operation names inputs by their place in that order;
 * the builder sorts them. Nothing here needs the network, unless --chain is left out. */

enum { FIELDS_MAX = 3, GAS_LIMIT_DEFAULT = 1000000, EXPIRY_DEFAULT_MS = 300000 };

struct build {
    struct svm_tx_builder *builder;
    int handles[SVM_TX_INPUTS_MAX];
    size_t input_count;
    bool has_exact;
    char *fields[FIELDS_MAX]; /* of the argument at hand, cut at its commas */
    size_t field_count;
};

static bool split(struct build *build, char *text, size_t min, size_t max)
{
    build->field_count = 0;
    while (build->field_count < max) {
        build->fields[build->field_count++] = text;
        char *comma = build->field_count < max ? strchr(text, ',') : NULL;
        if (comma == NULL) {
            break;
        }
        *comma = '\0';
        text = comma + 1;
    }
    return build->field_count >= min;
}

static bool take_handle(const struct build *build, uint16_t *handle_out, const char *text)
{
    uint64_t index = 0;
    if (!parse_u64(&index, text) || index >= build->input_count) {
        cli_fail(CLI_USAGE, "\"%s\" is not the place of an input given before (0 = the first)",
                 text);
        return false;
    }
    *handle_out = (uint16_t)build->handles[index];
    return true;
}

/* ---- inputs --------------------------------------------------------------------------------------------------- */

static bool keep_handle(struct build *build, int handle)
{
    if (handle < 0) {
        cli_fail(CLI_USAGE, "at most %u inputs", SVM_TX_INPUTS_MAX);
        return false;
    }
    build->handles[build->input_count++] = handle;
    return true;
}

static bool add_owned(struct build *build, char *text)
{
    struct svm_id id;
    uint64_t version = 0;
    char *at = strchr(text, '@');
    if (at != NULL) {
        *at = '\0';
        if (!parse_u64(&version, at + 1)) {
            cli_fail(CLI_USAGE, "--owned ID@VERSION: \"%s\" is no version", at + 1);
            return false;
        }
        build->has_exact = true;
    }
    return parse_id(&id, text) &&
           keep_handle(build, at != NULL ? svm_tx_builder_owned(build->builder, &id, version)
                                         : svm_tx_builder_owned_latest(build->builder, &id));
}

static bool add_shared(struct build *build, char *text)
{
    struct svm_id id;
    return parse_id(&id, text) &&
           keep_handle(build, svm_tx_builder_shared(build->builder, &id, true));
}

static bool add_shared_read(struct build *build, char *text)
{
    struct svm_id id;
    return parse_id(&id, text) &&
           keep_handle(build, svm_tx_builder_shared(build->builder, &id, false));
}

static bool add_immutable(struct build *build, char *text)
{
    struct svm_id id;
    return parse_id(&id, text) && keep_handle(build, svm_tx_builder_immutable(build->builder, &id));
}

/* ---- operations ------------------------------------------------------------------------------------------------ */

static bool push(struct build *build, const struct svm_op *op)
{
    if (svm_tx_builder_op(build->builder, op) < 0) {
        cli_fail(CLI_USAGE, "at most %u operations", SVM_TX_OPS_MAX);
        return false;
    }
    return true;
}

/* "text", "@path" or "0x..": the bytes of an object; gives (free). */
static uint8_t *take_data(size_t *len_out, const char *text)
{
    if (strncmp(text, "0x", 2) != 0) {
        return (uint8_t *)read_bytes(len_out, text);
    }
    const size_t cap = strlen(text) / 2 + 1;
    uint8_t *bytes = malloc(cap);
    if (bytes != NULL && !hex_decode(bytes, cap, len_out, text + 2, strlen(text + 2))) {
        cli_fail(CLI_USAGE, "\"%s\" is not hexadecimal", text);
        free(bytes);
        bytes = NULL;
    }
    return bytes;
}

static bool op_transfer(struct build *build, char *text)
{
    struct svm_op op = {.kind = SVM_OP_TRANSFER};
    return split(build, text, 2, 2) && take_handle(build, &op.input, build->fields[0]) &&
           parse_address(&op.u.transfer.to, build->fields[1]) && push(build, &op);
}

static bool op_pay(struct build *build, char *text)
{
    struct svm_op op = {.kind = SVM_OP_PAY};
    return split(build, text, 3, 3) && take_handle(build, &op.input, build->fields[0]) &&
           parse_address(&op.u.pay.to, build->fields[1]) &&
           parse_u64(&op.u.pay.amount.units, build->fields[2]) && push(build, &op);
}

static bool op_move(struct build *build, char *text)
{
    struct svm_op op = {.kind = SVM_OP_MOVE};
    return split(build, text, 3, 3) && take_handle(build, &op.input, build->fields[0]) &&
           take_handle(build, &op.u.move.into, build->fields[1]) &&
           parse_u64(&op.u.move.amount.units, build->fields[2]) && push(build, &op);
}

static bool take_owner(struct svm_owner *owner, const char *text)
{
    *owner = (struct svm_owner){.kind = SVM_KIND_SHARED};
    if (strcmp(text, "shared") == 0) {
        return true;
    }
    if (strcmp(text, "shared-open") == 0) {
        owner->open_withdraw = true;
        return true;
    }
    owner->kind = strcmp(text, "immutable") == 0 ? SVM_KIND_IMMUTABLE : SVM_KIND_OWNED;
    return owner->kind == SVM_KIND_IMMUTABLE || parse_address(&owner->address, text);
}

static bool op_create(struct build *build, char *text)
{
    struct svm_op op = {.kind = SVM_OP_CREATE};
    size_t len = 0;
    if (!split(build, text, 3, 3) || !take_owner(&op.u.create.owner, build->fields[0])) {
        return false;
    }
    uint8_t *data = take_data(&len, build->fields[2]);
    op.u.create.type =
        (struct svm_bytes){(const uint8_t *)build->fields[1], strlen(build->fields[1])};
    op.u.create.data = (struct svm_bytes){data, len};
    const bool ok = data != NULL && push(build, &op);
    free(data);
    return ok;
}

static bool op_update(struct build *build, char *text)
{
    struct svm_op op = {.kind = SVM_OP_UPDATE};
    size_t len = 0;
    if (!split(build, text, 2, 2) || !take_handle(build, &op.input, build->fields[0])) {
        return false;
    }
    uint8_t *data = take_data(&len, build->fields[1]);
    op.u.update.data = (struct svm_bytes){data, len};
    const bool ok = data != NULL && push(build, &op);
    free(data);
    return ok;
}

static bool op_add(struct build *build, char *text)
{
    struct svm_op op = {.kind = SVM_OP_ADD};
    uint64_t offset = 0;
    if (!split(build, text, 3, 3) || !take_handle(build, &op.input, build->fields[0]) ||
        !parse_u64(&offset, build->fields[1]) || offset > UINT16_MAX ||
        !parse_i64(&op.u.add.delta, build->fields[2])) {
        return false;
    }
    op.u.add.offset = (uint16_t)offset;
    return push(build, &op);
}

static bool expect(struct build *build, char *text, enum svm_check_kind kind)
{
    struct svm_op op = {.kind = SVM_OP_EXPECT, .u.expect.kind = kind};
    if (!split(build, text, 2, 2) || !take_handle(build, &op.input, build->fields[0])) {
        return false;
    }
    const bool ok = kind == SVM_CHECK_DATA_HASH
                        ? svm_hex32_parse(op.u.expect.hash, build->fields[1]) == SVM_OK
                        : parse_u64(&op.u.expect.value, build->fields[1]);
    return ok && push(build, &op);
}

static bool op_expect_balance(struct build *build, char *text)
{
    return expect(build, text, SVM_CHECK_BALANCE_AT_LEAST);
}

static bool op_expect_hash(struct build *build, char *text)
{
    return expect(build, text, SVM_CHECK_DATA_HASH);
}

static bool op_expect_version(struct build *build, char *text)
{
    return expect(build, text, SVM_CHECK_VERSION);
}

static bool op_on_input(struct build *build, const char *text, enum svm_op_kind kind, bool open)
{
    struct svm_op op = {.kind = kind};
    op.u.share.open_withdraw = open;
    return take_handle(build, &op.input, text) && push(build, &op);
}

static bool op_delete(struct build *build, char *text)
{
    return op_on_input(build, text, SVM_OP_DELETE, false);
}

static bool op_share(struct build *build, char *text)
{
    return op_on_input(build, text, SVM_OP_SHARE, false);
}

static bool op_share_open(struct build *build, char *text)
{
    return op_on_input(build, text, SVM_OP_SHARE, true);
}

static bool op_freeze(struct build *build, char *text)
{
    return op_on_input(build, text, SVM_OP_FREEZE, false);
}

struct part {
    const char *flag;
    const char *form;
    bool (*add)(struct build *build, char *text);
};

static const struct part parts[] = {
    {"--owned", "ID[@VERSION]", add_owned},
    {"--shared", "ID", add_shared},
    {"--shared-read", "ID", add_shared_read},
    {"--immutable", "ID", add_immutable},
    {"--transfer", "INPUT,TO", op_transfer},
    {"--pay", "INPUT,TO,AMOUNT", op_pay},
    {"--move", "INPUT,INTO,AMOUNT", op_move},
    {"--create", "OWNER|shared|shared-open|immutable,TYPE,DATA", op_create},
    {"--update", "INPUT,DATA", op_update},
    {"--add", "INPUT,OFFSET,DELTA", op_add},
    {"--expect-balance", "INPUT,AMOUNT", op_expect_balance},
    {"--expect-hash", "INPUT,SHA256", op_expect_hash},
    {"--expect-version", "INPUT,VERSION", op_expect_version},
    {"--delete", "INPUT", op_delete},
    {"--share", "INPUT", op_share},
    {"--share-open", "INPUT", op_share_open},
    {"--freeze", "INPUT", op_freeze},
};

static int build_usage(void)
{
    fputs("usage: supervm tx build --from WHO [--chain ID] [--nonce N] [--expires-ms T] "
          "[--gas-limit N] INPUTS OPERATIONS\n",
          stderr);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        fprintf(stderr, "  %-17s %s\n", parts[i].flag, parts[i].form);
    }
    fputs("INPUT counts the inputs from 0 in the order given; DATA is text, @file or 0x digits.\n",
          stderr);
    return CLI_USAGE;
}

static bool add_parts(struct build *build, const struct args *args)
{
    for (int i = 1; i < args->argc; i += 2) {
        const struct part *part = NULL;
        for (size_t j = 0; j < sizeof parts / sizeof parts[0]; j++) {
            part = strcmp(parts[j].flag, args->argv[i]) == 0 ? &parts[j] : part;
        }
        if (part == NULL || i + 1 == args->argc) {
            cli_fail(CLI_USAGE, part == NULL ? "%s is unknown" : "%s needs a value", args->argv[i]);
            return false;
        }
        char *text = strdup(args->argv[i + 1]);
        const bool ok = text != NULL && part->add(build, text);
        free(text);
        if (!ok) {
            cli_fail(CLI_USAGE, "%s %s: expected %s", args->argv[i], args->argv[i + 1], part->form);
            return false;
        }
    }
    return true;
}

/* ---- header ---------------------------------------------------------------------------------------------------- */

struct header {
    struct svm_address sender;
    uint64_t chain, nonce, expires_ms, gas_limit;
    bool chain_given, expires_given;
};

static bool take_number(struct args *args, const char *flag, uint64_t *value, bool *given)
{
    const char *text = args_take_value(args, flag);
    *given = text != NULL;
    if (text != NULL && !parse_u64(value, text)) {
        cli_fail(CLI_USAGE, "%s: \"%s\" is not a number", flag, text);
        return false;
    }
    return true;
}

static bool take_header(struct header *header, struct args *args)
{
    bool given = false;
    const char *from = args_take_value(args, "--from");
    *header = (struct header){.gas_limit = GAS_LIMIT_DEFAULT};
    if (getrandom(&header->nonce, sizeof header->nonce, 0) != (ssize_t)sizeof header->nonce) {
        header->nonce = (uint64_t)time(NULL);
    }
    return from != NULL && parse_address(&header->sender, from) &&
           take_number(args, "--chain", &header->chain, &header->chain_given) &&
           take_number(args, "--nonce", &header->nonce, &given) &&
           take_number(args, "--expires-ms", &header->expires_ms, &header->expires_given) &&
           take_number(args, "--gas-limit", &header->gas_limit, &given);
}

static int print_built(const struct build *build)
{
    static uint8_t bytes[SVM_TX_BYTES_MAX];
    struct svm_refusal refusal = {.err = SVM_OK};
    size_t len = 0;
    const enum svm_err err =
        svm_tx_builder_finish(build->builder, bytes, sizeof bytes, &len, &refusal);
    if (err != SVM_OK) {
        return cli_fail(CLI_USAGE, "%s: %s", svm_err_name(err),
                        refusal.reason[0] != '\0' ? refusal.reason : svm_err_text(err));
    }
    char *text = malloc(base64_text_len(len) + 1);
    if (text == NULL) {
        return cli_fail(CLI_RPC_ERROR, "out of memory");
    }
    base64_encode(text, bytes, len);
    puts(text);
    free(text);
    return CLI_OK;
}

int command_tx_build(struct cli *cli, struct args *args)
{
    struct header header;
    struct build build = {.builder = NULL};
    struct timespec now;
    if (!take_header(&header, args)) {
        return build_usage();
    }
    if (!header.chain_given) {
        const int code = client_chain(cli, &header.chain);
        if (code != CLI_OK) {
            return code;
        }
    }
    build.builder = svm_tx_builder_create(header.chain, &header.sender);
    if (build.builder == NULL) {
        return cli_fail(CLI_RPC_ERROR, "out of memory");
    }
    int code = CLI_USAGE;
    if (add_parts(&build, args)) {
        clock_gettime(CLOCK_REALTIME, &now);
        if (!header.expires_given && !build.has_exact) {
            header.expires_ms = (uint64_t)now.tv_sec * 1000 + EXPIRY_DEFAULT_MS;
        }
        svm_tx_builder_nonce(build.builder, header.nonce);
        svm_tx_builder_expires(build.builder, header.expires_ms);
        svm_tx_builder_gas_limit(build.builder, header.gas_limit);
        code = print_built(&build);
    }
    svm_tx_builder_destroy(build.builder);
    return code;
}
