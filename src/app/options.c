#include "app/options.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ENV_PREFIX "SUPERVM_"

__attribute__((format(printf, 3, 4))) static enum options_status
refuse(char *error, size_t error_size, const char *form, ...)
{
    va_list args;
    va_start(args, form);
    vsnprintf(error, error_size, form, args);
    va_end(args);
    return OPTIONS_BAD;
}

/* ---- command line ------------------------------------------------------------------------------------------- */

struct verb {
    const char *flag;
    enum options_action action;
};

static const struct verb verbs[] = {
    {"check-config", OPTIONS_CHECK},
    {"print-config", OPTIONS_PRINT},
    {"print-dev-curl", OPTIONS_PRINT_DEV_CURL},
    {"print-sample-config", OPTIONS_PRINT_SAMPLE},
    {"print-config-reference", OPTIONS_PRINT_REFERENCE},
    {"version", OPTIONS_VERSION},
    {"help", OPTIONS_HELP},
};

static bool find_verb(enum options_action *action_out, const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].flag, name) == 0) {
            *action_out = verbs[i].action;
            return true;
        }
    }
    return false;
}

static const struct option *find_flag(const char *name)
{
    for (unsigned i = 0; i < options_count; i++) {
        if (options_table[i].flag != NULL && strcmp(options_table[i].flag, name) == 0) {
            return &options_table[i];
        }
    }
    return option_find(name);
}

/* One walk over the arguments. The first one (apply = false) only finds --config and the verb, so that the file can be
 * read before the flags that beat it. */
static enum options_status walk_arguments(struct options *options, char *error, size_t error_size,
                                          int argc, char *const *argv, bool apply)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        char name[64];
        if (strcmp(argument, "-h") == 0) {
            argument = "--help";
        }
        if (strncmp(argument, "--", 2) != 0) {
            (void)refuse(error, error_size, "unexpected argument \"%s\"; see supervmd --help",
                         argument);
            return OPTIONS_USAGE;
        }
        const char *equals = strchr(argument, '=');
        const size_t len = equals == NULL ? strlen(argument) - 2 : (size_t)(equals - argument) - 2;
        snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1),
                 argument + 2);
        enum options_action action;
        if (equals == NULL && find_verb(&action, name)) {
            options->action = action;
            continue;
        }
        const bool is_config = strcmp(name, "config") == 0;
        const struct option *option = is_config ? NULL : find_flag(name);
        if (!is_config && option == NULL) {
            (void)refuse(error, error_size, "--%s is unknown; did you mean --%s?", name,
                         option_nearest(name));
            return OPTIONS_USAGE;
        }
        const char *value = equals == NULL ? NULL : equals + 1;
        if (value == NULL && !is_config && option->type == OPTION_BOOL) {
            value = "on";
        } else if (value == NULL && i + 1 < argc) {
            value = argv[++i];
        } else if (value == NULL) {
            (void)refuse(error, error_size, "--%s needs a value (%s)", name,
                         is_config ? "path" : option_unit(option));
            return OPTIONS_USAGE;
        }
        if (is_config) {
            options->config_path = value;
            continue;
        }
        char why[384];
        if (apply && !option_set(options, option, value, OPTION_FLAG, 0, why, sizeof why)) {
            (void)refuse(error, error_size, "--%s: %s", name, why);
            return OPTIONS_USAGE;
        }
    }
    return OPTIONS_OK;
}

/* ---- environment -------------------------------------------------------------------------------------------- */

/* "SUPERVM_GC_INTERVAL_MIN" of "gc.interval_min" */
static void env_name(char *text, size_t size, const char *name)
{
    size_t n = (size_t)snprintf(text, size, ENV_PREFIX "%s", name);
    for (size_t i = 0; i < n && i < size; i++) {
        text[i] = text[i] == '.' ? '_' : (char)toupper((unsigned char)text[i]);
    }
}

/* Variables with our prefix that are nobody's are warned of and not refused: service managers of clusters set such
 * variables by themselves for whatever is called supervm. */
static bool is_known_variable(const char *variable, size_t len)
{
    static const char *const others[] = {"SUPERVM_CONFIG", "SUPERVM_URL", "SUPERVM_SOCKET"};
    char text[96];
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strlen(others[i]) == len && strncmp(others[i], variable, len) == 0) {
            return true;
        }
    }
    for (unsigned i = 0; i < options_count; i++) {
        env_name(text, sizeof text, options_table[i].name);
        if (strlen(text) == len && strncmp(text, variable, len) == 0) {
            return true;
        }
    }
    return false;
}

static const char *env_get(char *const *env, const char *name)
{
    const size_t len = strlen(name);
    for (; env != NULL && *env != NULL; env++) {
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=') {
            return *env + len + 1;
        }
    }
    return NULL;
}

static enum options_status read_environment(struct options *options, char *error, size_t error_size,
                                            char *const *env)
{
    for (unsigned i = 0; i < options_count; i++) {
        char name[96];
        char why[384];
        env_name(name, sizeof name, options_table[i].name);
        const char *value = env_get(env, name);
        if (value != NULL && !option_set(options, &options_table[i], value, OPTION_ENVIRONMENT, 0,
                                         why, sizeof why)) {
            return refuse(error, error_size, "environment %s: %s", name, why);
        }
    }
    for (; env != NULL && *env != NULL; env++) {
        const char *equals = strchr(*env, '=');
        if (equals != NULL && strncmp(*env, ENV_PREFIX, strlen(ENV_PREFIX)) == 0 &&
            !is_known_variable(*env, (size_t)(equals - *env))) {
            snprintf(options->warning, sizeof options->warning,
                     "environment variable %.*s is no setting and is ignored",
                     (int)(equals - *env < 100 ? equals - *env : 100), *env);
        }
    }
    return OPTIONS_OK;
}

/* ---- what the values mean together ---------------------------------------------------------------------------- */

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return (ntohl(v4.s_addr) >> 24) == 127;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&v6);
    }
    return strcmp(host, "localhost") == 0;
}

static enum options_status finish_listen(struct options *options, char *error, size_t error_size)
{
    const char *listen = options->node.listen;
    const char *colon = strrchr(listen, ':');
    SVM_ASSERT(colon != NULL);
    const char *host = listen;
    size_t len = (size_t)(colon - listen);
    if (*host == '[') {
        host++;
        len -= 2;
    }
    if (len >= sizeof options->listen_host) {
        return refuse(error, error_size, "rpc.listen: the host name is too long");
    }
    memcpy(options->listen_host, host, len);
    options->listen_host[len] = '\0';
    options->gateway.host = options->listen_host;
    options->gateway.port = (uint16_t)strtoul(colon + 1, NULL, 10);
    if (!is_loopback(options->listen_host) && !options->node.listen_public) {
        return refuse(error, error_size,
                      "rpc.listen: %s is not loopback and the API has no authentication of its "
                      "own; put a proxy in front, or confirm with --listen-public-confirm",
                      listen);
    }
    return OPTIONS_OK;
}

static bool finish_list(struct options_list *list, const char *text)
{
    char *rest = NULL;
    free(list->text);
    list->count = 0;
    list->text = strdup(text);
    if (list->text == NULL) {
        return false;
    }
    for (char *item = strtok_r(list->text, ", ", &rest); item != NULL;
         item = strtok_r(NULL, ", ", &rest)) {
        if (list->count == OPTIONS_LIST_MAX) {
            return false;
        }
        list->items[list->count++] = item;
    }
    return true;
}

static char *read_whole(const char *path, char *error, size_t error_size)
{
    enum { GENESIS_BYTES_MAX = 64 << 20 };
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t len = 0;
    size_t cap = 64 << 10;
    if (file == NULL) {
        (void)refuse(error, error_size, "node.genesis: %s: %s", path, strerror(errno));
        return NULL;
    }
    for (;;) {
        char *bigger = cap <= GENESIS_BYTES_MAX ? realloc(text, cap) : NULL;
        if (bigger == NULL) {
            (void)refuse(error, error_size, "node.genesis: %s is too large", path);
            free(text);
            text = NULL;
            break;
        }
        text = bigger;
        const size_t n = fread(text + len, 1, cap - len - 1, file);
        len += n;
        if (n == 0) {
            text[len] = '\0';
            break;
        }
        if (len + 1 == cap) {
            cap *= 2;
        }
    }
    if (text != NULL && (ferror(file) || strlen(text) != len)) {
        (void)refuse(error, error_size, "node.genesis: %s is not a readable text file", path);
        free(text);
        text = NULL;
    }
    fclose(file);
    return text;
}

/* Which chain, where, and how durable: node.dev, node.genesis, node.datadir and node.durability are one question. */
static enum options_status finish_chain(struct options *options, char *error, size_t error_size)
{
    const struct option *durability = option_find("node.durability");
    struct option_value *mode = &options->values[durability - options_table];
    const bool datadir = options->node.datadir[0] != '\0';
    char why[128];
    if (options->node.dev && options->node.genesis[0] != '\0') {
        return refuse(error, error_size,
                      "node.genesis: node.dev brings its own genesis; leave one of them out");
    }
    if (!options->node.dev && options->node.genesis[0] == '\0') {
        return refuse(error, error_size,
                      "node.genesis: a genesis file is needed (--genesis FILE), or --dev for a "
                      "development chain");
    }
    if (!datadir && mode->origin == OPTION_DEFAULT && options->node.dev &&
        !option_set(options, durability, "memory", OPTION_DEFAULT, 0, why, sizeof why)) {
        return refuse(error, error_size, "node.durability: %s", why);
    }
    if (!datadir && options->engine.durability != SVM_MEMORY) {
        return refuse(error, error_size,
                      "node.datadir: a data directory is needed for durability %s (--datadir DIR)",
                      mode->text);
    }
    if (!options->engine.verify_signatures && !options->node.dev) {
        return refuse(error, error_size, "engine.verify_signatures: off needs node.dev");
    }
    options->engine.datadir = datadir ? options->node.datadir : NULL;
    free(options->genesis_json);
    options->genesis_json = NULL;
    if (options->node.genesis[0] != '\0') {
        options->genesis_json = read_whole(options->node.genesis, error, error_size);
        if (options->genesis_json == NULL) {
            return OPTIONS_BAD;
        }
    }
    options->engine.genesis_json = options->genesis_json;
    return OPTIONS_OK;
}

static enum options_status finish_limits(const struct options *options, char *error,
                                         size_t error_size)
{
    const struct svm_config *e = &options->engine;
    if ((e->inflight_max & (e->inflight_max - 1)) != 0) {
        return refuse(error, error_size, "engine.inflight_max: %u is not a power of two",
                      e->inflight_max);
    }
    if (e->receipts_seconds < (e->tx_expiry_max_ms + 999) / 1000) {
        return refuse(error, error_size,
                      "receipts.seconds: receipts guard against replay and must be kept at least "
                      "tx.expiry_max");
    }
    if (e->gc_interval_min_ms > e->gc_interval_ms || e->gc_interval_ms > e->gc_interval_max_ms) {
        return refuse(error, error_size,
                      "gc.interval: must lie between gc.interval_min and gc.interval_max");
    }
    if (e->gc_threshold_min > e->gc_threshold || e->gc_threshold > e->gc_threshold_max) {
        return refuse(error, error_size,
                      "gc.threshold: must lie between gc.threshold_min and gc.threshold_max");
    }
    if (options->gateway.idle_timeout_ms % 1000 != 0) {
        return refuse(error, error_size, "rpc.idle_timeout: only whole seconds are possible");
    }
    return OPTIONS_OK;
}

static enum options_status finish(struct options *options, char *error, size_t error_size)
{
    enum options_status status = finish_listen(options, error, error_size);
    status = status != OPTIONS_OK ? status : finish_chain(options, error, error_size);
    status = status != OPTIONS_OK ? status : finish_limits(options, error, error_size);
    if (status != OPTIONS_OK) {
        return status;
    }
    if (!finish_list(&options->hosts, options->node.hosts) ||
        !finish_list(&options->cors_origins, options->node.cors_origins)) {
        return refuse(error, error_size, "rpc.hosts, rpc.cors_origins: at most %d entries",
                      OPTIONS_LIST_MAX);
    }
    options->gateway.hosts = options->hosts.items;
    options->gateway.hosts_count = options->hosts.count;
    options->gateway.cors_origins = options->cors_origins.items;
    options->gateway.cors_origins_count = options->cors_origins.count;
    options->gateway.dev = options->node.dev;
    options->gateway.engine = &options->engine;
    return OPTIONS_OK;
}

/* ---- life --------------------------------------------------------------------------------------------------- */

enum options_status options_load(struct options *options, char *error, size_t error_size, int argc,
                                 char *const *argv, char *const *env)
{
    char why[384];
    *options = (struct options){.action = OPTIONS_RUN};
    svm_config_init(&options->engine);
    gateway_config_init(&options->gateway);
    options->gateway.unix_path = NULL;
    for (unsigned i = 0; i < options_count; i++) {
        if (!option_set(options, &options_table[i], options_table[i].initial, OPTION_DEFAULT, 0,
                        why, sizeof why)) {
            return refuse(error, error_size, "%s: default: %s", options_table[i].name, why);
        }
    }
    options->config_path = env_get(env, "SUPERVM_CONFIG");
    enum options_status status = walk_arguments(options, error, error_size, argc, argv, false);
    if (status != OPTIONS_OK || options->action >= OPTIONS_PRINT_SAMPLE) {
        return status;
    }
    if (options->config_path != NULL &&
        !options_read_file(options, options->config_path, error, error_size)) {
        return OPTIONS_BAD;
    }
    status = read_environment(options, error, error_size, env);
    status = status != OPTIONS_OK ? status
                                  : walk_arguments(options, error, error_size, argc, argv, true);
    return status != OPTIONS_OK ? status : finish(options, error, error_size);
}

void options_free(struct options *options)
{
    for (unsigned i = 0; i < options_count; i++) {
        free(options->values[i].text);
    }
    free(options->genesis_json);
    free(options->hosts.text);
    free(options->cors_origins.text);
    *options = (struct options){.action = OPTIONS_RUN};
}

enum options_status options_reload(struct options *next, const struct options *live, char *error,
                                   size_t error_size, options_changed_fn *changed, void *arg)
{
    char why[384];
    char *wanted[OPTIONS_MAX] = {NULL}; /* what the file says now of settings that need a restart */
    for (unsigned i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        const struct option_value *old = &live->values[i];
        if (option->reloadable || strcmp(old->text, next->values[i].text) == 0) {
            continue;
        }
        wanted[i] = strdup(next->values[i].text);
        const bool ok = wanted[i] != NULL && option_set(next, option, old->text, old->origin,
                                                        old->line, why, sizeof why);
        SVM_ASSERT(ok); /* the old text was good before */
    }
    const enum options_status status = finish(next, error, error_size);
    for (unsigned i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        const char *old = live->values[i].text;
        if (status == OPTIONS_OK && wanted[i] != NULL) {
            changed(arg, option, old, wanted[i], false);
        } else if (status == OPTIONS_OK && strcmp(old, next->values[i].text) != 0) {
            changed(arg, option, old, next->values[i].text, true);
        }
        free(wanted[i]);
    }
    return status;
}

void options_adopt(struct options *live, struct options *next)
{
    for (unsigned i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (!option->reloadable) {
            continue;
        }
        const struct option_value value = live->values[i];
        live->values[i] = next->values[i];
        next->values[i] = value;
        memcpy((char *)live + option->offset, (const char *)next + option->offset, option->size);
    }
    const struct options_list hosts = live->hosts;
    const struct options_list cors_origins = live->cors_origins;
    live->hosts = next->hosts;
    live->cors_origins = next->cors_origins;
    next->hosts = hosts;
    next->cors_origins = cors_origins;
    live->gateway.hosts_count = live->hosts.count;
    live->gateway.cors_origins_count = live->cors_origins.count;
}
