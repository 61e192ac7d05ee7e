#include "cli/cli.h"

#include "base/version.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static json_int_t number(const json_t *object, const char *a, const char *b)
{
    const json_t *member = json_object_get(object, a);
    return json_integer_value(b == NULL ? member : json_object_get(member, b));
}

static const char *string(const json_t *object, const char *a, const char *b)
{
    const json_t *member = json_object_get(object, a);
    const char *text = json_string_value(b == NULL ? member : json_object_get(member, b));
    return text == NULL ? "" : text;
}

/* ---- stats ----------------------------------------------------------------------------------------------------- */

static void print_path(const json_t *stats, const char *path)
{
    const json_t *latency = json_object_get(json_object_get(stats, "latency"), path);
    const json_t *total = json_object_get(latency, "total");
    printf("%-10s %12lld %12lld %12lld %10lld %10lld %10lld\n", path,
           (long long)number(stats, "routed", path), (long long)number(stats, "completed", path),
           (long long)number(stats, "failed", path), (long long)number(total, "p50Us", NULL),
           (long long)number(total, "p95Us", NULL), (long long)number(total, "p99Us", NULL));
}

static void print_counts(const char *title, const json_t *counts)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)counts, key, value)
    {
        if (json_integer_value(value) != 0) {
            printf("%s %s %lld\n", title, key, (long long)json_integer_value(value));
        }
    }
}

static void print_stats(const json_t *stats)
{
    printf("submitted %lld  duplicates %lld  conflicts %lld  retries %lld  transfers %lld\n",
           (long long)number(stats, "submitted", NULL),
           (long long)number(stats, "duplicates", NULL),
           (long long)number(stats, "conflicts", NULL), (long long)number(stats, "retries", NULL),
           (long long)number(stats, "transfers", NULL));
    printf("%-10s %12s %12s %12s %10s %10s %10s\n", "path", "routed", "completed", "failed",
           "p50 us", "p95 us", "p99 us");
    print_path(stats, "fast");
    print_path(stats, "consensus");
    print_path(stats, "private");
    printf("share      fast %.2f %%  consensus %.2f %%  private %.2f %%  fallback %.2f %%\n",
           (double)number(stats, "fastPpm", NULL) / 1e4,
           (double)number(stats, "consensusPpm", NULL) / 1e4,
           (double)number(stats, "privatePpm", NULL) / 1e4,
           (double)number(stats, "fallbackPpm", NULL) / 1e4);
    printf("rate/s     1s %.1f  10s %.1f  60s %.1f\n",
           (double)number(stats, "ratesMilli", "last1s") / 1e3,
           (double)number(stats, "ratesMilli", "last10s") / 1e3,
           (double)number(stats, "ratesMilli", "last60s") / 1e3);
    printf("objects    owned %lld  shared %lld  immutable %lld\n",
           (long long)number(stats, "objects", "owned"),
           (long long)number(stats, "objects", "shared"),
           (long long)number(stats, "objects", "immutable"));
    print_counts("fallback  ", json_object_get(stats, "fallbacks"));
    print_counts("refused   ", json_object_get(stats, "refused"));
}

int command_stats(struct cli *cli, struct args *args)
{
    const bool watch = args_take(args, "--watch");
    int code = CLI_OK;
    if (args_check(args, 0, 0, "stats") != CLI_OK) {
        return CLI_USAGE;
    }
    do {
        json_t *stats = NULL;
        code = client_call(cli, "stats_routing", NULL, &stats, NULL);
        if (code == CLI_OK && cli->json) {
            char *text = json_dumps(stats, watch ? JSON_COMPACT : JSON_INDENT(2));
            puts(text == NULL ? "" : text);
            free(text);
        } else if (code == CLI_OK) {
            if (watch && isatty(STDOUT_FILENO)) {
                fputs("\033[H\033[2J", stdout);
            }
            print_stats(stats);
        }
        json_decref(stats);
        fflush(stdout);
        if (watch && code == CLI_OK) {
            sleep(1);
        }
    } while (watch && code == CLI_OK && !ferror(stdout));
    return code;
}

/* ---- status ---------------------------------------------------------------------------------------------------- */

static void print_status(const struct cli *cli, const json_t *info, const json_t *health)
{
    size_t index;
    json_t *check;
    printf("node      %s, version %s (%s)\n", client_where(cli), string(info, "versions", "node"),
           string(info, "versions", "build"));
    printf("health    %s\n", string(health, "status", NULL));
    json_array_foreach(json_object_get(health, "checks"), index, check)
    {
        printf("  [%c] %-10s %s\n", json_is_true(json_object_get(check, "ok")) ? '+' : '-',
               string(check, "name", NULL), string(check, "text", NULL));
    }
    printf("chain     %s%s\ndurable   %s, durability %s\napplied   %s\nworkers   %lld\n",
           string(info, "chain", "id"),
           json_is_true(json_object_get(json_object_get(info, "chain"), "dev")) ? " (dev)" : "",
           string(info, "durableSeq", NULL), string(info, "durability", NULL),
           string(info, "appliedSeq", NULL), (long long)number(info, "workers", NULL));
}

int command_status(struct cli *cli, struct args *args)
{
    json_t *info = NULL;
    json_t *health = NULL;
    if (args_check(args, 0, 0, "status") != CLI_OK) {
        return CLI_USAGE;
    }
    int code = client_call(cli, "node_info", NULL, &info, NULL);
    if (code == CLI_OK) {
        code = client_call(cli, "node_health", NULL, &health, NULL);
    }
    if (code == CLI_OK && cli->json) {
        json_t *both = json_pack("{s:O, s:O}", "info", info, "health", health);
        print_json(both);
        json_decref(both);
    } else if (code == CLI_OK) {
        print_status(cli, info, health);
    }
    if (code == CLI_OK && strcmp(string(health, "status", NULL), "ok") != 0) {
        code = CLI_RPC_ERROR;
    }
    json_decref(info);
    json_decref(health);
    return code;
}

/* ---- doctor ---------------------------------------------------------------------------------------------------- */

enum finding { FINDING_OK, FINDING_WARN, FINDING_BAD };

static int worst;

__attribute__((format(printf, 2, 3))) static void find(enum finding finding, const char *form, ...)
{
    static const char *const marks[] = {"[ok]  ", "[warn]", "[BAD] "};
    va_list args;
    va_start(args, form);
    printf("%s ", marks[finding]);
    vprintf(form, args);
    putchar('\n');
    va_end(args);
    worst = (int)finding > worst ? (int)finding : worst;
}

static void examine_clock(const json_t *info)
{
    uint64_t node_ms = 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t here_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (!parse_u64(&node_ms, string(info, "nowMs", NULL))) {
        find(FINDING_BAD, "node_info tells no time");
        return;
    }
    const int64_t skew_ms = (int64_t)node_ms - here_ms;
    find(skew_ms > 2000 || skew_ms < -2000 ? FINDING_WARN : FINDING_OK,
         "the node's clock is %lld ms ahead of this machine's", (long long)skew_ms);
}

static void examine_node(const struct cli *cli, const json_t *info)
{
    json_t *health = NULL;
    json_t *storage = NULL;
    size_t index;
    json_t *check;
    const char *version = string(info, "versions", "node");
    find(strcmp(version, VERSION_TEXT) == 0 ? FINDING_OK : FINDING_WARN,
         "the node is version %s, this client %s", version, VERSION_TEXT);
    examine_clock(info);
    if (client_call(cli, "node_health", NULL, &health, NULL) == CLI_OK) {
        json_array_foreach(json_object_get(health, "checks"), index, check)
        {
            find(json_is_true(json_object_get(check, "ok")) ? FINDING_OK : FINDING_BAD, "%s: %s",
                 string(check, "name", NULL), string(check, "text", NULL));
        }
    }
    if (client_call(cli, "stats_storage", NULL, &storage, NULL) == CLI_OK) {
        const bool read_only =
            json_is_true(json_object_get(storage, "readOnly")) &&
            strcmp(string(info, "durability", NULL), "memory") != 0; /* node_health told that */
        find(read_only ? FINDING_BAD : FINDING_OK, "the disk has %lld MiB free%s",
             (long long)(number(storage, "diskFreeBytes", NULL) >> 20),
             read_only ? ", which is too little: writes are refused" : "");
    }
    const bool memory = strcmp(string(info, "durability", NULL), "memory") == 0;
    const bool dev = json_is_true(json_object_get(json_object_get(info, "chain"), "dev"));
    find(memory && !dev ? FINDING_WARN : FINDING_OK, "durability is %s",
         string(info, "durability", NULL));
    json_decref(health);
    json_decref(storage);
}

int command_doctor(struct cli *cli, struct args *args)
{
    json_t *info = NULL;
    struct rlimit files = {0, 0};
    if (args_check(args, 0, 0, "doctor") != CLI_OK) {
        return CLI_USAGE;
    }
    const int code = client_call(cli, "node_info", NULL, &info, NULL);
    if (code != CLI_OK) {
        find(FINDING_BAD, "no node answers at %s", client_where(cli));
        return code;
    }
    find(FINDING_OK, "a node answers at %s", client_where(cli));
    examine_node(cli, info);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        find(files.rlim_max < 4096 ? FINDING_WARN : FINDING_OK,
             "a process here may open %llu files", (unsigned long long)files.rlim_max);
    }
    json_decref(info);
    return worst == FINDING_BAD ? CLI_RPC_ERROR : CLI_OK;
}
