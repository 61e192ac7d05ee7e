/* cli/cli.h - supervm, the client: what its commands share.
 *
 *      main --> command (key, tx, send, object, ...) --> client --> HTTP over TCP or unix socket --> supervmd
 *                                    |
 *                                    +--> <svm/tx.h>: keys, build, sign, decode, all without the network
 *
 * Keys stay here: nothing secret is ever sent. Results go to stdout, everything else to stderr.
 *
 * Thread   one. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <svm/types.h>

enum cli_exit {
    CLI_OK = 0,
    CLI_RPC_ERROR = 1, /* the node refused, or a local check failed */
    CLI_USAGE = 2,
    CLI_NO_CONNECTION = 3,
    CLI_TX_FAILED = 4,
    CLI_TX_PENDING = 5
};

/* What the global flags say. */
struct cli {
    const char *url;
    const char *socket; /* NULL = TCP */
    bool json;
    bool json_given; /* -o was there: a command's own default does not count */
};

/* ---- arguments (args.c) --------------------------------------------------------------------------------------- */

/* The arguments of a command. Taking a flag removes it, so that what remains is positional. */
struct args {
    char **argv; /* owned array of borrowed strings */
    int argc;
};

/* args_take: is FLAG there? args_take_value: its value ("--flag V" or "--flag=V"); NULL = it is not there.
 * A flag without its value ends the program with CLI_USAGE. */
bool args_take(struct args *args, const char *flag);
const char *args_take_value(struct args *args, const char *flag);
/* args_check: CLI_OK when MIN..MAX arguments remain and none of them is a flag; else USAGE is printed. */
int args_check(const struct args *args, int min, int max, const char *usage);

/* cli_fail: one line "supervm: ..." on stderr. Returns CODE. */
__attribute__((format(printf, 2, 3))) int cli_fail(int code, const char *form, ...);

bool parse_u64(uint64_t *value_out, const char *text);
bool parse_i64(int64_t *value_out, const char *text);
/* parse_id: 0x + 64 hex digits, or the label of a development object ("counter", "alice coin"). */
bool parse_id(struct svm_id *id_out, const char *text);
/* parse_address: 0x + 64 hex digits, the name of a development account, or the path of a key file. */
bool parse_address(struct svm_address *address_out, const char *text);
/* load_key: the name of a development account, or the path of a key file. Says why it fails. */
bool load_key(struct svm_secret_key *key_out, const char *text);
/* read_bytes: ARGUMENT itself, "@path", or "-" for stdin; gives (free), a NUL behind it. NULL after saying why. */
char *read_bytes(size_t *len_out, const char *argument);
/* read_base64: as read_bytes, then decoded; white space around the text is fine. gives (free). */
uint8_t *read_base64(size_t *len_out, const char *argument);

/* ---- the node (client.c) -------------------------------------------------------------------------------------- */

/* client_call: one JSON-RPC call.
 *   params      takes
 *   result_out  out  gives (json_decref); NULL unless CLI_OK
 *   error_out   out  gives the error object on CLI_RPC_ERROR; NULL = print it instead
 * Returns CLI_OK, CLI_RPC_ERROR or CLI_NO_CONNECTION (said on stderr: where, why, what to do). */
int client_call(const struct cli *cli, const char *method, json_t *params, json_t **result_out,
                json_t **error_out);
/* client_get: GET PATH; gives (free) the body. */
int client_get(const struct cli *cli, const char *path, char **body_out, long *status_out);
/* client_chain: the id of the node's chain. */
int client_chain(const struct cli *cli, uint64_t *chain_out);
/* client_where: "http://127.0.0.1:7878" or "unix:/path". */
const char *client_where(const struct cli *cli);
void print_rpc_error(const json_t *error);

/* ---- printing (print.c) --------------------------------------------------------------------------------------- */

void print_json(const json_t *value);
/* print_flat: every leaf as "path.to.leaf  value", aligned; gives greppable lines. */
void print_flat(const json_t *value);
void print_objects(const json_t *items);
/* print_receipt: the answer of tx_submit, tx_wait or tx_get. Returns CLI_OK, CLI_TX_FAILED or CLI_TX_PENDING. */
int print_receipt(const struct cli *cli, const json_t *receipt);
/* print_result: as JSON or flat, as the flags say. */
void print_result(const struct cli *cli, const json_t *value);

/* ---- commands ------------------------------------------------------------------------------------------------- */

struct command {
    const char *name;
    const char *usage;
    const char *about;
    int (*run)(struct cli *cli, struct args *args);
};
extern const struct command cli_commands[];
extern const size_t cli_commands_count;
/* cli_usage: "usage: supervm ..." of command NAME on stderr. Returns CLI_USAGE. */
int cli_usage(const char *name);

int command_key(struct cli *cli, struct args *args);
int command_tx(struct cli *cli, struct args *args);
int command_tx_build(struct cli *cli, struct args *args);
int command_tx_decode(struct cli *cli, struct args *args);
int command_send(struct cli *cli, struct args *args);
int command_object(struct cli *cli, struct args *args);
int command_owned(struct cli *cli, struct args *args);
int command_stats(struct cli *cli, struct args *args);
int command_status(struct cli *cli, struct args *args);
int command_doctor(struct cli *cli, struct args *args);
int command_rpc(struct cli *cli, struct args *args);

/* cli_run: the whole program. */
int cli_run(int argc, char **argv);

#endif
