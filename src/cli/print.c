#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);
    puts(text == NULL ? "" : text);
    free(text);
}

/* ---- flat ----------------------------------------------------------------------------------------------------- */

enum { PATH_LEN_MAX = 256 };

/* Visits every leaf; WIDTH is the longest path. With PRINT false it is only measured. */
static void walk(const json_t *value, char *path, size_t len, size_t *width, bool print)
{
    const char *key;
    json_t *child;
    size_t index;
    if (json_is_object(value) && json_object_size(value) > 0) {
        json_object_foreach((json_t *)value, key, child)
        {
            const int n =
                snprintf(path + len, PATH_LEN_MAX - len, "%s%s", len == 0 ? "" : ".", key);
            if (n > 0 && len + (size_t)n < PATH_LEN_MAX) {
                walk(child, path, len + (size_t)n, width, print);
            }
        }
    } else if (json_is_array(value) && json_array_size(value) > 0) {
        json_array_foreach(value, index, child)
        {
            const int n = snprintf(path + len, PATH_LEN_MAX - len, "[%zu]", index);
            if (n > 0 && len + (size_t)n < PATH_LEN_MAX) {
                walk(child, path, len + (size_t)n, width, print);
            }
        }
    } else if (!print) {
        *width = len > *width ? len : *width;
    } else {
        char *text = json_is_string(value) ? strdup(json_string_value(value))
                                           : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        printf("%-*.*s  %s\n", (int)*width, (int)len, path, text == NULL ? "" : text);
        free(text);
    }
    path[len] = '\0';
}

void print_flat(const json_t *value)
{
    char path[PATH_LEN_MAX] = "";
    size_t width = 0;
    walk(value, path, 0, &width, false);
    walk(value, path, 0, &width, true);
}

void print_result(const struct cli *cli, const json_t *value)
{
    if (cli->json) {
        print_json(value);
    } else {
        print_flat(value);
    }
}

/* ---- tables --------------------------------------------------------------------------------------------------- */

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

void print_objects(const json_t *items)
{
    size_t index;
    json_t *object;
    printf("%-66s  %8s  %-9s  %20s  %s\n", "id", "version", "kind", "balance", "type");
    json_array_foreach(items, index, object)
    {
        printf("%-66s  %8s  %-9s  %20s  %s\n", member(object, "id"), member(object, "version"),
               member(object, "kind"), member(object, "balance"), member(object, "type"));
    }
}

static void print_changes(const json_t *effects, const char *what)
{
    size_t index;
    json_t *change;
    json_array_foreach(json_object_get(effects, what), index, change)
    {
        if (json_is_string(change)) {
            printf("%-10s%s\n", what, json_string_value(change));
        } else {
            printf("%-10s%s version %s %s\n", what, member(change, "id"), member(change, "version"),
                   member(change, "kind"));
        }
    }
}

int print_receipt(const struct cli *cli, const json_t *receipt)
{
    const char *status = member(receipt, "status");
    const json_t *failure = json_object_get(receipt, "failure");
    const json_t *fallback = json_object_get(receipt, "fallback");
    const json_t *latency = json_object_get(receipt, "latencyUs");
    if (cli->json) {
        print_json(receipt);
    } else {
        printf("status    %s%s\ndigest    %s\n", status,
               json_is_true(json_object_get(receipt, "duplicate")) ? " (duplicate)" : "",
               member(receipt, "digest"));
        if (json_is_object(failure)) {
            printf("failure   %s (operation %lld)\n", member(failure, "name"),
                   (long long)json_integer_value(json_object_get(failure, "op")));
        }
        if (*member(receipt, "path") != '\0') {
            printf("path      %s%s%s\n", member(receipt, "path"),
                   json_is_object(fallback) ? ", fallback " : "",
                   json_is_object(fallback) ? member(fallback, "reason") : "");
            printf("seq       %s (durable %s)\ngas       %s\n", member(receipt, "seq"),
                   member(receipt, "durableSeq"), member(receipt, "gasUsed"));
        }
        if (json_is_integer(latency)) {
            printf("latency   %lld us\n", (long long)json_integer_value(latency));
        }
        const json_t *effects = json_object_get(receipt, "effects");
        print_changes(effects, "created");
        print_changes(effects, "mutated");
        print_changes(effects, "deleted");
    }
    return strcmp(status, "failed") == 0    ? CLI_TX_FAILED
           : strcmp(status, "pending") == 0 ? CLI_TX_PENDING
                                            : CLI_OK;
}
