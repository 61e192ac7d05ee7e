#include "cli/cli.h"

#include "base/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

enum { RESPONSE_BYTES_MAX = 256 << 20, CALL_TIMEOUT_S = 120 };

struct body {
    char *text; /* NUL at text[len] */
    size_t len, cap;
};

static size_t take_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct body *body = arg;
    const size_t n = size * count;
    if (n > RESPONSE_BYTES_MAX - body->len) {
        return 0;
    }
    if (body->len + n + 1 > body->cap) {
        const size_t cap = (body->len + n + 1) * 2;
        char *bigger = realloc(body->text, cap);
        if (bigger == NULL) {
            return 0;
        }
        body->text = bigger;
        body->cap = cap;
    }
    memcpy(body->text + body->len, bytes, n);
    body->len += n;
    body->text[body->len] = '\0';
    return n;
}

const char *client_where(const struct cli *cli)
{
    static char text[512];
    snprintf(text, sizeof text, "%s%s",
             cli->socket == NULL ? "" : "unix:", cli->socket == NULL ? cli->url : cli->socket);
    return text;
}

/* One handle for the life of the program, so that its connection is reused. */
static CURL *handle_get(const struct cli *cli, struct body *body, const char *path)
{
    static CURL *handle;
    char url[1024];
    if (handle == NULL) {
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
            return NULL;
        }
        handle = curl_easy_init();
    }
    if (handle == NULL) {
        return NULL;
    }
    curl_easy_reset(handle);
    snprintf(url, sizeof url, "%s%s", cli->socket == NULL ? cli->url : "http://localhost", path);
    curl_easy_setopt(handle, CURLOPT_URL, url);
    if (cli->socket != NULL) {
        curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, cli->socket);
    }
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "supervm/" VERSION_TEXT);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT, (long)CALL_TIMEOUT_S);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, body);
    return handle;
}

static int perform(const struct cli *cli, CURL *handle, long *status_out)
{
    char detail[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, detail);
    const CURLcode code = curl_easy_perform(handle);
    if (code != CURLE_OK) {
        cli_fail(CLI_NO_CONNECTION, "cannot reach a node at %s: %s", client_where(cli),
                 detail[0] != '\0' ? detail : curl_easy_strerror(code));
        fputs("  is it running? `supervmd --dev`, or `systemctl status supervmd`; another place: "
              "--url or --socket\n",
              stderr);
        return CLI_NO_CONNECTION;
    }
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, status_out);
    return CLI_OK;
}

int client_get(const struct cli *cli, const char *path, char **body_out, long *status_out)
{
    struct body body = {.text = NULL};
    CURL *handle = handle_get(cli, &body, path);
    *body_out = NULL;
    if (handle == NULL) {
        return cli_fail(CLI_NO_CONNECTION, "libcurl cannot be used");
    }
    const int code = perform(cli, handle, status_out);
    if (code != CLI_OK) {
        free(body.text);
        return code;
    }
    *body_out = body.text != NULL ? body.text : strdup("");
    return CLI_OK;
}

void print_rpc_error(const json_t *error)
{
    const char *name = json_string_value(json_object_get(json_object_get(error, "data"), "name"));
    const char *message = json_string_value(json_object_get(error, "message"));
    fprintf(stderr, "supervm: %s: %s\n", name == NULL ? "error" : name,
            message == NULL ? "" : message);
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(error, "data"), key, value)
    {
        if (strcmp(key, "name") != 0) {
            char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
            fprintf(stderr, "  %s: %s\n", key, text == NULL ? "" : text);
            free(text);
        }
    }
}

/* The answer's result or error, moved out of RESPONSE. */
static int take_answer(const struct cli *cli, const json_t *response, long status,
                       json_t **result_out, json_t **error_out)
{
    json_t *result = json_object_get(response, "result");
    json_t *error = json_object_get(response, "error");
    if (result != NULL) {
        *result_out = json_incref(result);
        return CLI_OK;
    }
    if (error == NULL) {
        return cli_fail(CLI_RPC_ERROR, "%s answered with HTTP status %ld and no JSON-RPC response",
                        client_where(cli), status);
    }
    if (error_out != NULL) {
        *error_out = json_incref(error);
    } else {
        print_rpc_error(error);
    }
    return CLI_RPC_ERROR;
}

int client_call(const struct cli *cli, const char *method, json_t *params, json_t **result_out,
                json_t **error_out)
{
    struct body body = {.text = NULL};
    long status = 0;
    *result_out = NULL;
    if (error_out != NULL) {
        *error_out = NULL;
    }
    json_t *request = json_pack("{s:s, s:i, s:s, s:o}", "jsonrpc", "2.0", "id", 1, "method", method,
                                "params", params == NULL ? json_object() : params);
    char *text = request == NULL ? NULL : json_dumps(request, JSON_COMPACT);
    json_decref(request);
    CURL *handle = handle_get(cli, &body, "/");
    if (text == NULL || handle == NULL) {
        free(text);
        return cli_fail(CLI_NO_CONNECTION, "out of memory");
    }
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, text);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(text));
    int code = perform(cli, handle, &status);
    if (code == CLI_OK) {
        json_t *response = body.text == NULL ? NULL : json_loads(body.text, 0, NULL);
        code = take_answer(cli, response, status, result_out, error_out);
        json_decref(response);
    }
    curl_slist_free_all(headers);
    free(text);
    free(body.text);
    return code;
}

int client_chain(const struct cli *cli, uint64_t *chain_out)
{
    json_t *info = NULL;
    const int code = client_call(cli, "node_info", NULL, &info, NULL);
    if (code != CLI_OK) {
        return code;
    }
    const char *id = json_string_value(json_object_get(json_object_get(info, "chain"), "id"));
    const bool ok = id != NULL && parse_u64(chain_out, id);
    json_decref(info);
    return ok ? CLI_OK : cli_fail(CLI_RPC_ERROR, "node_info has no chain id");
}
