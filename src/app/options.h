/* app/options.h - every setting of supervmd, from one table.
 *
 *   flag  >  environment SUPERVM_SECTION_KEY  >  file ([section] key = value)  >  default
 *
 * The table (options_table.c) is the only place where a setting's name, type, bounds, default and reason are written. The
 * parser, --help, --check-config, --print-config, conf/supervm.conf and docs/configuration.md follow from it. Whatever is
 * unknown, malformed or out of range is an error that names the place and the nearest right name; nothing is ignored.
 *
 * Thread   start-up and the loop (L).
 * Memory   struct options owns its texts; the engine's and the gateway's settings in it borrow them. */
#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H

#include <stdio.h>

#include "base/log.h"
#include "gateway/gateway.h"
#include <svm/engine.h>

enum option_type {
    OPTION_BOOL,
    OPTION_COUNT, /* a plain number */
    OPTION_BYTES,
    OPTION_MS, /* a duration, kept in milliseconds */
    OPTION_SECONDS, /* a duration, kept in seconds; the key says so, hence a bare number is one of seconds */
    OPTION_MODE, /* an octal file mode */
    OPTION_CHOICE,
    OPTION_TEXT,
    OPTION_PATH,
    OPTION_LIST,   /* comma separated */
    OPTION_ADDRESS /* HOST:PORT */
};

struct option {
    const char *name; /* "section.key" */
    const char *flag; /* short flag without the dashes; NULL = only --section.key */
    enum option_type type;
    size_t offset, size; /* of the member of struct options */
    uint64_t min, max;   /* numbers only */
    const char *initial; /* default, as one would write it in the file */
    const char *choices; /* OPTION_CHOICE: "a|b|c", in the order of the enum */
    bool reloadable;
    const char *why;
};

enum { OPTIONS_MAX = 96 };
extern const struct option options_table[];
extern const unsigned options_count;

enum option_origin { OPTION_DEFAULT, OPTION_FILE, OPTION_ENVIRONMENT, OPTION_FLAG };

struct option_value {
    char *text;
    enum option_origin origin;
    unsigned line; /* OPTION_FILE */
};

enum options_action {
    OPTIONS_RUN,
    OPTIONS_CHECK,
    OPTIONS_PRINT,
    OPTIONS_PRINT_DEV_CURL,
    OPTIONS_PRINT_SAMPLE,
    OPTIONS_PRINT_REFERENCE,
    OPTIONS_VERSION,
    OPTIONS_HELP
};

enum { OPTIONS_LIST_MAX = 32 };
struct options_list {
    char *text; /* owned, cut at the commas */
    const char *items[OPTIONS_LIST_MAX];
    size_t count;
};

/* The settings that are the daemon's own. */
struct options_node {
    bool dev;
    const char *datadir; /* "" = none */
    const char *genesis; /* path; "" = none */
    uint64_t drain_timeout_ms;
    const char *listen;
    bool listen_public;
    const char *socket;       /* "" = the default place, "none" = no socket */
    const char *hosts;        /* comma separated; gateway.hosts is the array */
    const char *cors_origins; /* likewise */
    enum log_level log_level;
    enum log_format log_format;
    uint32_t log_repeats_max;
    uint32_t log_repeats_window_ms;
};

struct options {
    enum options_action action;
    const char *config_path; /* NULL = no file */
    struct options_node node;
    struct svm_config engine;
    struct gateway_config gateway;
    char listen_host[256]; /* gateway.host points here */
    char *genesis_json;    /* engine.genesis_json points here */
    struct options_list hosts;
    struct options_list cors_origins;
    char warning[256];                       /* something odd that is no error; "" = nothing */
    struct option_value values[OPTIONS_MAX]; /* by index in options_table */
};

enum options_status {
    OPTIONS_OK,
    OPTIONS_USAGE, /* the command line is wrong: exit 2 */
    OPTIONS_BAD    /* a value, the file or their combination is wrong: exit 1 */
};

/* options_load: read everything, check everything.
 *   options  out  gives: options_free, whatever is returned
 *   error    out  one line, unless OPTIONS_OK
 *   env      as main's third argument */
enum options_status options_load(struct options *options, char *error, size_t error_size, int argc,
                                 char *const *argv, char *const *env);
void options_free(struct options *options);

/* options_reload: NEXT, loaded afresh, becomes what a running daemon may take over: settings that need a restart go back
 * to their values in LIVE. CHANGED is told of each difference.
 * Returns OPTIONS_BAD with ERROR when the mixture is not valid; nothing is to be applied then. */
typedef void options_changed_fn(void *arg, const struct option *option, const char *old_text,
                                const char *new_text, bool applies);
enum options_status options_reload(struct options *next, const struct options *live, char *error,
                                   size_t error_size, options_changed_fn *changed, void *arg);

/* options_adopt: after a successful options_reload, LIVE takes NEXT's reloadable settings; what others borrow from LIVE's
 * settings that need a restart stays where it is. The former values are left in NEXT, for options_free. */
void options_adopt(struct options *live, struct options *next);

/* option_set: parse TEXT as OPTION's value into OPTIONS (a copy is kept).
 * Returns false with WHY filled: what is wrong with TEXT and what would be right. */
bool option_set(struct options *options, const struct option *option, const char *text,
                enum option_origin origin, unsigned line, char *why, size_t why_size);
/* option_find: by "section.key"; NULL = none. option_nearest: the name most like it, never NULL. */
const struct option *option_find(const char *name);
const char *option_nearest(const char *name);
/* option_unit: "bytes", "duration", "on|off", ... for people. */
const char *option_unit(const struct option *option);
/* option_format_number: VALUE as one would write it for OPTION, in the largest unit that divides it. */
void option_format_number(char *text, size_t size, const struct option *option, uint64_t value);

/* options_read_file: PATH into OPTIONS; ERROR names the file and the line. */
bool options_read_file(struct options *options, const char *path, char *error, size_t error_size);

/* Printing. options_json gives malloc'd JSON text: {"section.key": {"value", "origin", "reloadable"}}; NULL = no memory. */
void options_print_help(FILE *out);
void options_print(FILE *out, const struct options *options);
void options_print_sample(FILE *out);
void options_print_reference(FILE *out);
char *options_json(const struct options *options);

#endif
