#include "cli/cli.h"

#include "base/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_DEFAULT "http://127.0.0.1:7878"

const struct command cli_commands[] = {
    {"send", "send FROM TO AMOUNT [--wait none|executed|durable]",
     "pay: FROM is a dev account or key file, TO one of these or an address", command_send},
    {"object", "object ID", "show an object; dev objects also by name (\"counter\")",
     command_object},
    {"owned", "owned WHO", "list what an address, dev account or key file owns", command_owned},
    {"tx",
     "tx DIGEST [--wait executed|durable]\n"
     "       supervm tx build --from WHO [...]      (supervm tx build alone explains itself)\n"
     "       supervm tx decode [BASE64|@FILE|-]\n"
     "       supervm tx sign --key KEY [BASE64|@FILE|-]\n"
     "       supervm tx submit [--wait W] [--timeout-ms N] [BASE64|@FILE|-]",
     "show a receipt; build, decode, sign (all offline), submit a transaction", command_tx},
    {"key",
     "key new FILE\n"
     "       supervm key show KEY\n"
     "       supervm key sign KEY [TEXT|@FILE|-]\n"
     "       supervm key verify PUBLICKEY SIGNATURE [TEXT|@FILE|-]",
     "make, show and use key files; never touches the network", command_key},
    {"stats", "stats [--watch]", "routing statistics, once or every second", command_stats},
    {"status", "status", "is the node well? exit 0 if so", command_status},
    {"doctor", "doctor", "look for what is wrong, here and at the node", command_doctor},
    {"rpc", "rpc METHOD [key=value ...]",
     "any method; digits, true, false, null and what begins with { [ \" are JSON", command_rpc},
};
const size_t cli_commands_count = sizeof cli_commands / sizeof cli_commands[0];

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < cli_commands_count; i++) {
        if (strcmp(cli_commands[i].name, name) == 0) {
            return &cli_commands[i];
        }
    }
    return NULL;
}

int cli_usage(const char *name)
{
    const struct command *command = find_command(name);
    fprintf(stderr, "usage: supervm %s\n", command == NULL ? "COMMAND" : command->usage);
    return CLI_USAGE;
}

static void print_help(FILE *out)
{
    fputs("supervm - client of a SuperVM node\n\n"
          "usage: supervm [--url URL | --socket PATH] [-o json|table] COMMAND ...\n\n",
          out);
    for (size_t i = 0; i < cli_commands_count; i++) {
        fprintf(out, "  %-8s %s\n", cli_commands[i].name, cli_commands[i].about);
    }
    fputs("\n  supervm help COMMAND   how to use it\n\n"
          "  --url URL      the node (default " URL_DEFAULT ", or SUPERVM_URL)\n"
          "  --socket PATH  the node's unix socket, needed for admin_ methods (or SUPERVM_SOCKET)\n"
          "  -o FORM        json or table\n"
          "  --version\n\n"
          "Exit status: 0 ok, 1 the node refused, 2 usage, 3 no connection, 4 the transaction\n"
          "failed, 5 it is still pending.\n",
          out);
}

/* A trailing slash would double the one of the path. */
static const char *without_slash(const char *url)
{
    static char text[512];
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    snprintf(text, sizeof text, "%.*s", (int)len, url);
    return text;
}

/* The global flags stand before the command, or behind it. */
static int take_globals(struct cli *cli, struct args *args)
{
    const char *form = args_take_value(args, "-o");
    const char *url = args_take_value(args, "--url");
    const char *socket = args_take_value(args, "--socket");
    if (form != NULL && strcmp(form, "json") != 0 && strcmp(form, "table") != 0) {
        return cli_fail(CLI_USAGE, "-o %s: json or table", form);
    }
    cli->json_given = form != NULL;
    cli->json = form != NULL && strcmp(form, "json") == 0;
    if (socket == NULL && url == NULL) {
        socket = getenv("SUPERVM_SOCKET");
        url = getenv("SUPERVM_URL");
    }
    cli->socket = socket == NULL || *socket == '\0' ? NULL : socket;
    cli->url = without_slash(url == NULL || *url == '\0' ? URL_DEFAULT : url);
    return CLI_OK;
}

static int dispatch(struct cli *cli, struct args *args)
{
    const char *name = args->argc > 0 ? args->argv[0] : "--help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        if (args->argc > 1 && find_command(args->argv[1]) != NULL) {
            printf("usage: supervm %s\n%s\n", find_command(args->argv[1])->usage,
                   find_command(args->argv[1])->about);
            return CLI_OK;
        }
        print_help(args->argc > 0 ? stdout : stderr);
        return args->argc > 0 ? CLI_OK : CLI_USAGE;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("supervm %s (%s)\n", VERSION_TEXT, VERSION_KIND);
        return CLI_OK;
    }
    const struct command *command = find_command(name);
    if (command == NULL) {
        return cli_fail(CLI_USAGE, "\"%s\" is no command; see supervm help", name);
    }
    struct args rest = {.argv = args->argv + 1, .argc = args->argc - 1};
    if (args_take(&rest, "--help")) {
        printf("usage: supervm %s\n%s\n", command->usage, command->about);
        return CLI_OK;
    }
    return command->run(cli, &rest);
}

int cli_run(int argc, char **argv)
{
    struct cli cli;
    struct args args = {.argc = argc - 1, .argv = NULL};
    args.argv = calloc((size_t)argc, sizeof *args.argv);
    if (args.argv == NULL) {
        return cli_fail(CLI_USAGE, "out of memory");
    }
    memcpy(args.argv, argv + 1, (size_t)(argc - 1) * sizeof *args.argv);
    int code = take_globals(&cli, &args);
    if (code == CLI_OK) {
        code = dispatch(&cli, &args);
    }
    free(args.argv);
    if (fflush(stdout) != 0 && code == CLI_OK) {
        code = cli_fail(CLI_RPC_ERROR, "cannot write to standard output");
    }
    return code;
}
