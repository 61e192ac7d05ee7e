/* app/options: the table against the documented defaults of engine and gateway, every type and bound, precedence, the file,
 * reload, and what is printed read back. */
#include "app/options.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

static char error[1024];
static struct options options;
static char *no_env[] = {NULL};

static char
    *words[64]; /* like main's, arguments live as long as the process: config_path points to one */
static size_t words_count;

/* Up to four arguments after the program's name. */
static enum options_status load_with(char *const *env, const char *a, const char *b, const char *c,
                                     const char *d)
{
    char *argv[6] = {(char[]){"supervmd"}, NULL};
    const char *given[4] = {a, b, c, d};
    int argc = 1;
    for (unsigned i = 0; i < 4 && given[i] != NULL; i++) {
        ck_assert_uint_lt(words_count, sizeof words / sizeof words[0]);
        words[words_count] = strdup(given[i]);
        argv[argc++] = words[words_count++];
    }
    error[0] = '\0';
    return options_load(&options, error, sizeof error, argc, argv, env);
}

static enum options_status load(const char *a, const char *b, const char *c, const char *d)
{
    return load_with(no_env, a, b, c, d);
}

static const char *write_file(const char *text)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/test_app_options.%ld", (long)getpid());
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    return path;
}

#define expect_error(status, part)                                                                 \
    do {                                                                                           \
        ck_assert_msg((status) != OPTIONS_OK, "accepted; expected: %s", part);                     \
        ck_assert_msg(strstr(error, part) != NULL, "%s", error);                                   \
        options_free(&options);                                                                    \
    } while (0)

/* ---- table ---- */

START_TEST(the_table_is_in_order)
{
    const struct option *option = &options_table[_i];
    const char *dot = strchr(option->name, '.');
    ck_assert_ptr_nonnull(dot);
    ck_assert_ptr_null(strchr(dot + 1, '.'));
    ck_assert_uint_ge(strlen(option->why), 15);
    ck_assert_int_eq(option->why[strlen(option->why) - 1], '.');
    for (unsigned i = 0; i < options_count; i++) {
        if (i != (unsigned)_i) {
            ck_assert_str_ne(options_table[i].name, option->name);
            const bool apart = options_table[i].offset + options_table[i].size <= option->offset ||
                               option->offset + option->size <= options_table[i].offset;
            ck_assert_msg(apart, "%s and %s share a member", option->name, options_table[i].name);
        }
    }
}
END_TEST

static bool is_number(const struct option *option)
{
    return option->type == OPTION_COUNT || option->type == OPTION_BYTES ||
           option->type == OPTION_MS || option->type == OPTION_SECONDS;
}

START_TEST(bounds_are_bounds)
{
    const struct option *option = &options_table[_i];
    char text[40];
    char why[256];
    if (!is_number(option)) {
        return;
    }
    ck_assert_int_eq(load("--dev", NULL, NULL, NULL), OPTIONS_OK);
    const char *unit = option->type == OPTION_MS ? "ms" : option->type == OPTION_SECONDS ? "s" : "";
    const struct {
        uint64_t value;
        bool good;
    } cases[] = {{option->min, true},
                 {option->max, true},
                 {option->max + 1, false},
                 {option->min - 1, option->min == 0 ? option->max == UINT64_MAX : false}};
    for (unsigned i = 0; i < 4; i++) {
        snprintf(text, sizeof text, "%llu%s", (unsigned long long)cases[i].value, unit);
        ck_assert_msg(option_set(&options, option, text, OPTION_FLAG, 0, why, sizeof why) ==
                          cases[i].good,
                      "%s = %s", option->name, text);
    }
    option_format_number(text, sizeof text, option, option->max);
    ck_assert_msg(option_set(&options, option, text, OPTION_FLAG, 0, why, sizeof why),
                  "%s = %s: %s", option->name, text, why);
    options_free(&options);
}
END_TEST

/* Each default of the table is the documented default of whoever owns the setting. */
START_TEST(defaults_agree_with_their_owners)
{
    const struct option *option = &options_table[_i];
    struct options other;
    memset(&other, 0, sizeof other);
    svm_config_init(&other.engine);
    gateway_config_init(&other.gateway);
    const size_t engine = offsetof(struct options, engine);
    const size_t gateway = offsetof(struct options, gateway);
    const bool theirs =
        (option->offset >= engine && option->offset < engine + sizeof other.engine) ||
        (option->offset >= gateway && option->offset < gateway + sizeof other.gateway);
    /* --durability: without it a chain in memory would have another default */
    ck_assert_int_eq(load("--dev", "--datadir", "/nonexistent", NULL), OPTIONS_OK);
    if (theirs) {
        ck_assert_msg(memcmp((char *)&other + option->offset, (char *)&options + option->offset,
                             option->size) == 0,
                      "%s: default %s is not that of its owner", option->name, option->initial);
    }
    options_free(&options);
}
END_TEST

/* The other way round: every byte of struct svm_config is set by an option, or is on this short list. */
START_TEST(every_setting_of_the_engine_is_an_option)
{
    static unsigned char covered[sizeof(struct svm_config)];
    const size_t engine = offsetof(struct options, engine);
#define BESIDES(m) memset(covered + offsetof(struct svm_config, m), 1, sizeof options.engine.m)
    BESIDES(datadir);
    BESIDES(genesis_json);
    BESIDES(log);
    BESIDES(log_arg);
    BESIDES(test_hooks);
    for (unsigned i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (option->offset >= engine && option->offset < engine + sizeof(struct svm_config)) {
            memset(covered + option->offset - engine, 1, option->size);
        }
    }
    size_t run =
        0; /* padding comes in runs of at most 7, and never aligned to 4 with 4 bytes of a member */
    for (size_t i = 0; i < sizeof covered; i++) {
        run = covered[i] ? 0 : run + 1;
        ck_assert_msg(run < 4 || (i + 1) % 8 == 0, "byte %zu of struct svm_config is no option", i);
        ck_assert_uint_lt(run, 8);
    }
}
END_TEST

/* ---- values ---- */

START_TEST(values_have_units)
{
    ck_assert_int_eq(
        load("--dev", "--cache.bytes=64MiB", "--gc.interval=250ms", "--receipts.seconds=36h"),
        OPTIONS_OK);
    ck_assert_uint_eq(options.engine.cache_bytes, 64u << 20);
    ck_assert_uint_eq(options.engine.gc_interval_ms, 250);
    ck_assert_uint_eq(options.engine.receipts_seconds, 36 * 3600);
    options_free(&options);
    ck_assert_int_eq(load("--dev", "--cache.bytes", "4000000", "--receipts.seconds=7200"),
                     OPTIONS_OK);
    ck_assert_uint_eq(options.engine.cache_bytes, 4000000);
    ck_assert_uint_eq(options.engine.receipts_seconds, 7200);
    options_free(&options);
    ck_assert_int_eq(load("--dev", "--rpc.socket_mode=0600", "--cache.bytes", "10MB"), OPTIONS_OK);
    ck_assert_uint_eq(options.gateway.unix_mode, 0600);
    ck_assert_uint_eq(options.engine.cache_bytes, 10000000);
    options_free(&options);
}
END_TEST

static const struct {
    const char *argument, *part;
} bad_arguments[] = {
    {"--gc.interval=10", "unit"},
    {"--gc.interval=10 parsecs", "unit"},
    {"--gc.interval=-1s", "unit"},
    {"--gc.interval=99999999999999999999s", "unit"},
    {"--gc.interval=18446744073709551615d", "unit"},
    {"--cache.bytes=12Mib", "size"},
    {"--cache.bytes=", "size"},
    {"--cache.bytes=1.5GiB", "size"},
    {"--engine.workers=two", "whole number"},
    {"--engine.workers=65", "0 to 64"},
    {"--tx.bytes_max=129KiB", "1KiB to 128KiB"},
    {"--durability=fast", "memory|write|sync|interval"},
    {"--node.dev=maybe", "neither on nor off"},
    {"--listen=localhost", "HOST:PORT"},
    {"--listen=::1:80", "[::1]:7878"},
    {"--listen=127.0.0.1:65536", "HOST:PORT"},
    {"--rpc.socket_mode=999", "octal"},
    {"--rpc.socket_mode=1777", "0777"},
    {"--gc.intervall=1s", "did you mean --gc.interval?"},
    {"--engine.interval=1s", "did you mean --gc.interval?"},
    {"--datadir=/tmp/\xff", "not UTF-8"},
    {"--datdir=x", "did you mean --node.datadir?"},
    {"--listen", "needs a value"},
    {"--config", "needs a value"},
    {"stray", "unexpected argument"},
    {"-x", "unexpected argument"},
};

START_TEST(bad_arguments_are_usage_errors)
{
    const enum options_status status = load("--dev", bad_arguments[_i].argument, NULL, NULL);
    ck_assert_int_eq(status, OPTIONS_USAGE);
    expect_error(status, bad_arguments[_i].part);
}
END_TEST

static const struct {
    const char *a, *b, *c, *part;
} bad_together[] = {
    {NULL, NULL, NULL, "--genesis FILE"},
    {"--dev", "--durability=sync", NULL, "--datadir DIR"},
    {"--dev", "--genesis=x.json", NULL, "brings its own genesis"},
    {"--genesis=/nonexistent.json", "--datadir=x", NULL, "/nonexistent.json: No such file"},
    {"--dev", "--listen=0.0.0.0:7878", NULL, "not loopback"},
    {"--dev", "--listen=[::]:7878", NULL, "not loopback"},
    {"--dev", "--listen=example.org:7878", NULL, "not loopback"},
    {"--dev", "--engine.inflight_max=1000", NULL, "power of two"},
    {"--dev", "--receipts.seconds=60", NULL, "tx.expiry_max"},
    {"--dev", "--gc.interval_min=1h", NULL, "gc.interval_min"},
    {"--dev", "--gc.threshold_max=1", NULL, "gc.threshold_max"},
    {"--dev", "--rpc.idle_timeout=1500ms", NULL, "whole seconds"},
    {"--dev", "--config=/nonexistent.conf", NULL, "/nonexistent.conf: No such file"},
};

START_TEST(bad_combinations_are_config_errors)
{
    const enum options_status status =
        load(bad_together[_i].a, bad_together[_i].b, bad_together[_i].c, NULL);
    ck_assert_int_eq(status, OPTIONS_BAD);
    expect_error(status, bad_together[_i].part);
}
END_TEST

START_TEST(addresses)
{
    ck_assert_int_eq(load("--dev", "--listen", "[::1]:0", NULL), OPTIONS_OK);
    ck_assert_str_eq(options.gateway.host, "::1");
    ck_assert_uint_eq(options.gateway.port, 0);
    options_free(&options);
    ck_assert_int_eq(load("--dev", "--listen=0.0.0.0:99", "--listen-public-confirm", NULL),
                     OPTIONS_OK);
    ck_assert_str_eq(options.gateway.host, "0.0.0.0");
    ck_assert_uint_eq(options.gateway.port, 99);
    options_free(&options);
    ck_assert_int_eq(load("--dev", "--listen=127.9.9.9:1", NULL, NULL), OPTIONS_OK);
    options_free(&options);
}
END_TEST

START_TEST(a_development_chain)
{
    ck_assert_int_eq(load("--dev", NULL, NULL, NULL), OPTIONS_OK);
    ck_assert_ptr_null(options.engine.datadir);
    ck_assert_int_eq(options.engine.durability, SVM_MEMORY);
    ck_assert(options.gateway.dev);
    options_free(&options);
    ck_assert_int_eq(load("--dev", "--datadir=/some/where", NULL, NULL), OPTIONS_OK);
    ck_assert_str_eq(options.engine.datadir, "/some/where");
    ck_assert_int_eq(options.engine.durability, SVM_SYNC);
    options_free(&options);
}
END_TEST

/* ---- precedence, file ---- */

START_TEST(flag_beats_environment_beats_file_beats_default)
{
    const char *path = write_file("[gc]\ninterval = 200ms\ninterval_min = 2ms ; why not\n"
                                  "# a comment\n[log]\nlevel = debug\n[node]\ndev = yes\n");
    char *env[] = {(char[]){"SUPERVM_GC_INTERVAL=300ms"}, (char[]){"SUPERVM_GC_INTERVAL_MIN=3ms"},
                   (char[]){"HOME=/"}, NULL};
    ck_assert_int_eq(load_with(env, "--gc.interval=400ms", "--config", path, NULL), OPTIONS_OK);
    ck_assert_uint_eq(options.engine.gc_interval_ms, 400);
    ck_assert_uint_eq(options.engine.gc_interval_min_ms, 3);
    ck_assert_int_eq(options.node.log_level, LOG_LEVEL_DEBUG);
    ck_assert(options.node.dev);
    ck_assert_str_eq(options.warning, "");
    const unsigned level = (unsigned)(option_find("log.level") - options_table);
    ck_assert_int_eq(options.values[level].origin, OPTION_FILE);
    ck_assert_uint_eq(options.values[level].line, 6);
    options_free(&options);
    unlink(path);
}
END_TEST

START_TEST(the_environment_is_checked)
{
    char *bad[] = {(char[]){"SUPERVM_GC_INTERVAL=soon"}, NULL};
    const enum options_status status = load_with(bad, "--dev", NULL, NULL, NULL);
    ck_assert_int_eq(status, OPTIONS_BAD);
    expect_error(status, "environment SUPERVM_GC_INTERVAL");
    char *odd[] = {(char[]){"SUPERVM_GC_INTERVALL=1s"}, (char[]){"SUPERVM_URL=x"}, NULL};
    ck_assert_int_eq(load_with(odd, "--dev", NULL, NULL, NULL), OPTIONS_OK);
    ck_assert_ptr_nonnull(strstr(options.warning, "SUPERVM_GC_INTERVALL"));
    options_free(&options);
}
END_TEST

static const struct {
    const char *text, *part;
} bad_files[] = {
    {"[gc]\n\ninterval = 1s\nintervall = 1s\n",
     ":4: gc.intervall is unknown; did you mean gc.interval?"},
    {"[gc]\ninterval = 1x\n", ":2: gc.interval: \"1x\""},
    {"[gc]\ninterval = 1s\n[gc]\ninterval = 2s\n", ":4: gc.interval was already set in line 2"},
    {"interval = 1s\n", ":1: interval is unknown"},
    {"[gc]\nnonsense\n", ":2: neither"},
    {"[gc\ninterval = 1s\n", ":1: neither"},
    {"[gc]\ninterval = 1s\n  continued\n", ":3: "},
};

START_TEST(the_file_is_strict)
{
    const char *path = write_file(bad_files[_i].text);
    const enum options_status status = load("--dev", "--config", path, NULL);
    unlink(path);
    ck_assert_int_eq(status, OPTIONS_BAD);
    expect_error(status, bad_files[_i].part);
}
END_TEST

START_TEST(long_lines)
{
    static char text[6000];
    snprintf(text, sizeof text, "[node]\ndev = on\n[rpc]\nhosts = %0*d\n", 3000, 7);
    const char *path = write_file(text);
    ck_assert_int_eq(load("--config", path, NULL, NULL), OPTIONS_OK);
    ck_assert_uint_eq(strlen(options.gateway.hosts[0]), 3000);
    options_free(&options);
    snprintf(text, sizeof text, "[rpc]\nhosts = %0*d\n", 5000, 7);
    write_file(text);
    const enum options_status status = load("--dev", "--config", path, NULL);
    unlink(path);
    expect_error(status, ":2: the line is too long");
}
END_TEST

START_TEST(lists)
{
    ck_assert_int_eq(load("--dev", "--rpc.hosts=a.example, b.example,c", NULL, NULL), OPTIONS_OK);
    ck_assert_uint_eq(options.gateway.hosts_count, 3);
    ck_assert_str_eq(options.gateway.hosts[1], "b.example");
    ck_assert_uint_eq(options.gateway.cors_origins_count, 0);
    options_free(&options);
}
END_TEST

/* ---- printing ---- */

static char *printed(bool sample)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (sample) {
        options_print_sample(out);
    } else {
        options_print(out, &options);
    }
    fclose(out);
    return text;
}

START_TEST(what_is_printed_can_be_read)
{
    ck_assert_int_eq(load("--dev", "--gc.interval=400ms", "--rpc.hosts=x,y", "--log.format=json"),
                     OPTIONS_OK);
    char *first = printed(false);
    options_free(&options);
    ck_assert_ptr_nonnull(strstr(first, "interval = 400ms ; flag\n"));
    ck_assert_int_eq(load("--config", write_file(first), NULL, NULL), OPTIONS_OK);
    ck_assert_uint_eq(options.engine.gc_interval_ms, 400);
    ck_assert_uint_eq(options.gateway.hosts_count, 2);
    ck_assert_int_eq(options.node.log_format, LOG_FORMAT_JSON);
    options_free(&options);
    free(first);
}
END_TEST

/* The sample with its comment signs removed sets everything to its default. */
START_TEST(the_sample_is_a_configuration)
{
    char *sample = printed(true);
    char *plain = calloc(1, strlen(sample) + 1);
    char *rest = NULL;
    unsigned set = 0;
    for (char *line = strtok_r(sample, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        const bool setting = line[0] == '#' && line[1] != ' ';
        set += setting;
        strcat(plain, line + setting);
        strcat(plain, "\n");
    }
    ck_assert_uint_eq(set, options_count);
    ck_assert_int_eq(load("--config", write_file(plain), "--dev", "--datadir=/x"), OPTIONS_OK);
    for (unsigned i = 0; i < options_count; i++) {
        if (options.values[i].origin != OPTION_FLAG) {
            ck_assert_int_eq(options.values[i].origin, OPTION_FILE);
            ck_assert_str_eq(options.values[i].text, options_table[i].initial);
        }
    }
    options_free(&options);
    free(plain);
    free(sample);
}
END_TEST

START_TEST(json_names_the_origin)
{
    ck_assert_int_eq(load("--dev", NULL, NULL, NULL), OPTIONS_OK);
    char *text = options_json(&options);
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_uint_eq(json_object_size(json), options_count);
    const json_t *dev = json_object_get(json, "node.dev");
    ck_assert_str_eq(json_string_value(json_object_get(dev, "value")), "on");
    ck_assert_str_eq(json_string_value(json_object_get(dev, "origin")), "flag");
    json_decref(json);
    free(text);
    options_free(&options);
}
END_TEST

/* ---- reload ---- */

static char trace[1024];

static void note(void *arg, const struct option *option, const char *old_text, const char *new_text,
                 bool applies)
{
    (void)arg;
    const size_t len = strlen(trace);
    snprintf(trace + len, sizeof trace - len, "%s %s>%s%s\n", option->name, old_text, new_text,
             applies ? "" : " later");
}

START_TEST(a_reload_takes_what_it_can)
{
    struct options live;
    trace[0] = '\0';
    const char *path = write_file(
        "[node]\ndev = on\n[engine]\nworkers = 2\n[gc]\ninterval = 100ms\n[rpc]\nhosts = a\n");
    ck_assert_int_eq(load("--config", path, NULL, NULL), OPTIONS_OK);
    live = options;
    live.gateway.host = live.listen_host;
    live.gateway.hosts = live.hosts.items;
    const char *datadir = live.node.datadir;
    write_file(
        "[node]\ndev = on\n[engine]\nworkers = 4\n[gc]\ninterval = 300ms\n[rpc]\nhosts = b,c\n");
    ck_assert_int_eq(load("--config", path, NULL, NULL), OPTIONS_OK);
    ck_assert_int_eq(options_reload(&options, &live, error, sizeof error, note, NULL), OPTIONS_OK);
    ck_assert_str_eq(trace, "rpc.hosts a>b,c\nengine.workers 2>4 later\ngc.interval 100ms>300ms\n");
    options_adopt(&live, &options);
    options_free(&options);
    ck_assert_uint_eq(live.engine.workers, 2);
    ck_assert_uint_eq(live.engine.gc_interval_ms, 300);
    ck_assert_uint_eq(live.gateway.hosts_count, 2);
    ck_assert_str_eq(live.gateway.hosts[1], "c");
    ck_assert_ptr_eq(live.node.datadir, datadir); /* others borrow it */
    options_free(&live);
    unlink(path);
}
END_TEST

/* Each of two files is valid; the mixture of one's restart-only settings with the other's reloadable ones is not. */
START_TEST(a_mixture_that_is_not_valid_changes_nothing)
{
    struct options live;
    trace[0] = '\0';
    ck_assert_int_eq(load("--dev", "--receipts.seconds=600", "--tx.expiry_max=10m", NULL),
                     OPTIONS_OK);
    live = options;
    ck_assert_int_eq(load("--dev", "--receipts.seconds=900", "--tx.expiry_max=15m", NULL),
                     OPTIONS_OK);
    char why[256];
    ck_assert(option_set(&options, option_find("receipts.seconds"), "600", OPTION_FILE, 1, why,
                         sizeof why));
    const enum options_status status =
        options_reload(&options, &live, error, sizeof error, note, NULL);
    ck_assert_int_eq(status, OPTIONS_BAD);
    ck_assert_str_eq(trace, "");
    expect_error(status, "tx.expiry_max");
    options_free(&live);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("app_options");
    TCase *tcase = tcase_create("all");
    const int all = (int)options_count;
    tcase_add_loop_test(tcase, the_table_is_in_order, 0, all);
    tcase_add_loop_test(tcase, bounds_are_bounds, 0, all);
    tcase_add_loop_test(tcase, defaults_agree_with_their_owners, 0, all);
    tcase_add_test(tcase, every_setting_of_the_engine_is_an_option);
    tcase_add_test(tcase, values_have_units);
    tcase_add_loop_test(tcase, bad_arguments_are_usage_errors, 0,
                        sizeof bad_arguments / sizeof bad_arguments[0]);
    tcase_add_loop_test(tcase, bad_combinations_are_config_errors, 0,
                        sizeof bad_together / sizeof bad_together[0]);
    tcase_add_test(tcase, addresses);
    tcase_add_test(tcase, a_development_chain);
    tcase_add_test(tcase, flag_beats_environment_beats_file_beats_default);
    tcase_add_test(tcase, the_environment_is_checked);
    tcase_add_loop_test(tcase, the_file_is_strict, 0, sizeof bad_files / sizeof bad_files[0]);
    tcase_add_test(tcase, long_lines);
    tcase_add_test(tcase, lists);
    tcase_add_test(tcase, what_is_printed_can_be_read);
    tcase_add_test(tcase, the_sample_is_a_configuration);
    tcase_add_test(tcase, json_names_the_origin);
    tcase_add_test(tcase, a_reload_takes_what_it_can);
    tcase_add_test(tcase, a_mixture_that_is_not_valid_changes_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
