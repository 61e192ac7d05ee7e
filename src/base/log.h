/* base/log.h - the log of the process: one line per event, on one descriptor.
 *
 *   2026-01-31T12:00:00.123Z info  engine.opened workers=2 datadir="/var/lib/supervm"
 *   {"ts":"2026-01-31T12:00:00.123Z","level":"info","event":"engine.opened","workers":2,"datadir":"/var/lib/supervm"}
 *
 * An event has a stable name (lowercase, dotted) and typed fields. A name that repeats faster than the limit is counted
 * instead of written; the count goes out as `suppressed` with the next line of that name. When the descriptor is the
 * journal of systemd (JOURNAL_STREAM), lines begin with a `<N>` priority and have no time of their own.
 *
 * The log knows nothing of what it is told: no keys, no payloads unless a caller hands them in.
 *
 * Thread   any, at any time; a line is written with one write(2) and lines never mix.
 * Memory   allocates nothing; a line is cut at LOG_LINE_MAX bytes. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_COUNT
};
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum { LOG_LINE_MAX = 4096 };

const char *log_level_name(enum log_level level); /* "error", "warn", "info", "debug" */
/* log_level_parse: the level of that name; false when there is none. */
bool log_level_parse(enum log_level *level_out, const char *name);

struct log_config {
    enum log_level level;
    enum log_format format;
    int fd;               /* borrowed; -1 = standard error */
    uint32_t repeats_max; /* lines of one event name per window; 0 = no limit */
    uint32_t repeats_window_ms;
};
/* The state before log_init: info, text, standard error, 20 lines per name in 10 s. */
void log_config_init(struct log_config *config);
/* log_init: take over CONFIG. May be called again (a reload). */
void log_init(const struct log_config *config);

/* Thread any; takes effect at once. */
void log_level_set(enum log_level level);
enum log_level log_level_get(void);
/* log_enabled: would a line of LEVEL be written? For callers whose fields cost something. */
bool log_enabled(enum log_level level);

enum log_field_kind {
    LOG_FIELD_END,
    LOG_FIELD_STR,
    LOG_FIELD_U64,
    LOG_FIELD_I64,
    LOG_FIELD_BOOL,
    LOG_FIELD_HEX
};
struct log_field {
    const char *key;
    union {
        const char *str;
        uint64_t u64;
        int64_t i64;
        bool boolean;
        const uint8_t *bytes;
    } value;
    enum log_field_kind kind;
    uint32_t len; /* LOG_FIELD_HEX: bytes; LOG_FIELD_STR: unused */
};

/* Field makers. NULL strings are written as "". */
static inline struct log_field log_str(const char *key, const char *value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_STR, .value.str = value};
}

static inline struct log_field log_u64(const char *key, uint64_t value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_U64, .value.u64 = value};
}

static inline struct log_field log_i64(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_I64, .value.i64 = value};
}

static inline struct log_field log_bool(const char *key, bool value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_BOOL, .value.boolean = value};
}

/* log_hex: LEN bytes as 0x and lowercase digits; log_hex("object", id.b, 32). */
static inline struct log_field log_hex(const char *key, const uint8_t *bytes, uint32_t len)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_HEX, .value.bytes = bytes, .len = len};
}

/* log_event(level, event, field, ...): write a line, with at least one field.
 *     log_event(LOG_LEVEL_WARN, "gateway.slow_client", log_u64("waited_ms", waited_ms)); */
#define log_event(level, event, ...)                                                               \
    log_write((level), (event), (const struct log_field[]){__VA_ARGS__, {.kind = LOG_FIELD_END}})
/* log_note(level, event): a line without fields. */
#define log_note(level, event)                                                                     \
    log_write((level), (event), (const struct log_field[]){{.kind = LOG_FIELD_END}})

/* log_write: what the macros call. FIELDS end with one of kind LOG_FIELD_END. Errors of write(2) are ignored: there is
 * nobody left to tell. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);

/* log_flush: write a line for every name with suppressed repeats. Called before the process ends. */
void log_flush(void);

#endif
