#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- objects --------------------------------------------------------------------------------------------------- */

int command_object(struct cli *cli, struct args *args)
{
    struct svm_id id;
    char text[67];
    json_t *answer = NULL;
    if (args_check(args, 1, 1, "object") != CLI_OK || !parse_id(&id, args->argv[0])) {
        return CLI_USAGE;
    }
    svm_hex32_format(text, id.b);
    const int code = client_call(cli, "object_get", json_pack("{s:s}", "id", text), &answer, NULL);
    if (code == CLI_OK) {
        print_result(cli, answer);
    }
    json_decref(answer);
    return code;
}

int command_owned(struct cli *cli, struct args *args)
{
    struct svm_address owner;
    char text[67];
    char cursor[300] = "";
    int code = CLI_OK;
    if (args_check(args, 1, 1, "owned") != CLI_OK || !parse_address(&owner, args->argv[0])) {
        return CLI_USAGE;
    }
    svm_hex32_format(text, owner.b);
    json_t *all = json_array();
    do {
        json_t *page = NULL;
        json_t *params = json_pack("{s:s, s:i}", "owner", text, "limit", 1000);
        if (cursor[0] != '\0') {
            json_object_set_new(params, "cursor", json_string(cursor));
        }
        code = client_call(cli, "object_listByOwner", params, &page, NULL);
        const char *next = json_string_value(json_object_get(page, "nextCursor"));
        snprintf(cursor, sizeof cursor, "%s", next == NULL ? "" : next);
        json_array_extend(all, json_object_get(page, "items"));
        json_decref(page);
    } while (code == CLI_OK && cursor[0] != '\0');
    if (code == CLI_OK && cli->json) {
        print_json(all);
    } else if (code == CLI_OK) {
        print_objects(all);
    }
    json_decref(all);
    return code;
}

/* ---- rpc ------------------------------------------------------------------------------------------------------- */

/* What looks like JSON is JSON: digits, true, false, null, and what begins with { [ or ". The rest is a string; so are
 * numbers that no JSON integer can hold, such as chain ids. */
static json_t *value_of(const char *text, bool *ok)
{
    const size_t digits = strspn(text + (*text == '-'), "0123456789");
    const bool number = digits > 0 && text[(*text == '-') + digits] == '\0';
    *ok = true;
    if (number && digits > 15) {
        return json_string(text);
    }
    if (number || strcmp(text, "true") == 0 || strcmp(text, "false") == 0 ||
        strcmp(text, "null") == 0 || *text == '{' || *text == '[' || *text == '"') {
        json_error_t error;
        json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
        *ok = value != NULL;
        if (value == NULL) {
            cli_fail(CLI_USAGE, "%s is not JSON: %s", text, error.text);
        }
        return value;
    }
    return json_string(text);
}

int command_rpc(struct cli *cli, struct args *args)
{
    json_t *answer = NULL;
    if (args->argc < 1) {
        return cli_usage("rpc");
    }
    json_t *params = json_object();
    for (int i = 1; i < args->argc; i++) {
        const char *text = args->argv[i];
        const char *equals = strchr(text, '=');
        bool ok = equals != NULL && equals != text;
        json_t *value = ok ? value_of(equals + 1, &ok) : NULL;
        if (!ok) {
            json_decref(params);
            return cli_fail(CLI_USAGE, "\"%s\": a parameter is key=value", text);
        }
        json_object_setn_new_nocheck(params, text, (size_t)(equals - text), value);
    }
    if (!cli->json_given) {
        cli->json = true;
    }
    const int code = client_call(cli, args->argv[0], params, &answer, NULL);
    if (code == CLI_OK) {
        print_result(cli, answer);
    }
    json_decref(answer);
    return code;
}
