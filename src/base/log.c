#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- state -------------------------------------------------------------------------------------------------- */

enum { REPEAT_SLOTS = 64, EVENT_NAME_MAX = 47 };

/* One event name under observation. Two names may share a slot; the newer takes it over and the older one's limit
 * starts anew, which errs on the side of writing. */
struct repeat {
    char name[EVENT_NAME_MAX + 1];
    enum log_level level;
    uint64_t window_start_ms;
    uint32_t written;
    uint64_t suppressed;
};

static const char *const level_names[LOG_LEVEL_COUNT] = {"error", "warn", "info", "debug"};

static _Atomic int current_level = LOG_LEVEL_INFO;
static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* guards everything below and the descriptor */
static enum log_format format = LOG_FORMAT_TEXT;
static int out_fd = STDERR_FILENO;
static bool journal;
static uint32_t repeats_max = 20;
static uint32_t repeats_window_ms = 10000;
static struct repeat repeats[REPEAT_SLOTS];

const char *log_level_name(enum log_level level)
{
    return (unsigned)level < LOG_LEVEL_COUNT ? level_names[level] : "error";
}

bool log_level_parse(enum log_level *level_out, const char *name)
{
    for (unsigned i = 0; i < LOG_LEVEL_COUNT; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level_out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_config_init(struct log_config *config)
{
    *config = (struct log_config){.level = LOG_LEVEL_INFO,
                                  .format = LOG_FORMAT_TEXT,
                                  .fd = -1,
                                  .repeats_max = 20,
                                  .repeats_window_ms = 10000};
}

/* Is FD the stream that systemd announced as "device:inode" in JOURNAL_STREAM? */
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    if (stream == NULL || fstat(fd, &st) != 0) {
        return false;
    }
    char text[64];
    snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return strcmp(text, stream) == 0;
}

void log_init(const struct log_config *config)
{
    pthread_mutex_lock(&lock);
    format = config->format;
    out_fd = config->fd < 0 ? STDERR_FILENO : config->fd;
    journal = is_journal(out_fd);
    repeats_max = config->repeats_max;
    repeats_window_ms = config->repeats_window_ms;
    pthread_mutex_unlock(&lock);
    log_level_set(config->level);
}

void log_level_set(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum log_level log_level_get(void)
{
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

/* ---- a line ------------------------------------------------------------------------------------------------- */

struct line {
    size_t len;
    size_t cap; /* what may still be used; lower than LOG_LINE_MAX by what must follow */
    char text[LOG_LINE_MAX];
};

static void put_char(struct line *line, char c)
{
    if (line->len < line->cap) {
        line->text[line->len++] = c;
    }
}

static void put_text(struct line *line, const char *text)
{
    for (; *text != '\0'; text++) {
        put_char(line, *text);
    }
}

/* Bytes of the UTF-8 character at P (RFC 3629), 0 = it is none. ASCII is not asked. */
static size_t utf8_len(const unsigned char *p)
{
    const size_t len = *p >= 0xc2 && *p <= 0xdf   ? 2
                       : *p >= 0xe0 && *p <= 0xef ? 3
                       : *p >= 0xf0 && *p <= 0xf4 ? 4
                                                  : 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    const bool bad = (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
                     (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f);
    return bad ? 0 : len;
}

static void put_quoted(struct line *line, const char *text)
{
    size_t whole = 0; /* bytes left of a UTF-8 character */
    put_char(line, '"');
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (whole == 0 && line->cap - line->len < 8) {
            break; /* never cut an escape or a character in two, and always close the quote */
        }
        if (whole == 0 && *p >= 0x80) {
            whole = utf8_len(p);
        }
        if (whole > 0) {
            put_char(line, (char)*p);
            whole--;
        } else if (*p == '"' || *p == '\\') {
            put_char(line, '\\');
            put_char(line, (char)*p);
        } else if (*p == '\n') {
            put_text(line, "\\n");
        } else if (*p < 0x20 || *p >= 0x7f) {
            char escape[8];
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*p);
            put_text(line, escape);
        } else {
            put_char(line, (char)*p);
        }
    }
    put_char(line, '"');
}

/* Text mode leaves plain words unquoted, so that a line greps well. */
static bool is_plain(const char *text)
{
    if (*text == '\0') {
        return false;
    }
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p <= ' ' || *p >= 0x7f || *p == '"' || *p == '=' || *p == '\\') {
            return false;
        }
    }
    return true;
}

static void put_value(struct line *line, const struct log_field *field, bool json)
{
    char text[32];
    const char *str = field->value.str;
    switch (field->kind) {
    case LOG_FIELD_STR:
        str = str == NULL ? "" : str;
        if (!json && is_plain(str)) {
            put_text(line, str);
        } else {
            put_quoted(line, str);
        }
        break;
    case LOG_FIELD_U64:
        snprintf(text, sizeof text, "%llu", (unsigned long long)field->value.u64);
        put_text(line, text);
        break;
    case LOG_FIELD_I64:
        snprintf(text, sizeof text, "%lld", (long long)field->value.i64);
        put_text(line, text);
        break;
    case LOG_FIELD_BOOL:
        put_text(line, field->value.boolean ? "true" : "false");
        break;
    case LOG_FIELD_HEX:
        put_text(line, json ? "\"0x" : "0x");
        for (uint32_t i = 0; i < field->len && line->cap - line->len > 4; i++) {
            snprintf(text, sizeof text, "%02x", field->value.bytes[i]);
            put_text(line, text);
        }
        put_text(line, json ? "\"" : "");
        break;
    case LOG_FIELD_END:
        break;
    }
}

static void put_field(struct line *line, const struct log_field *field, bool json)
{
    if (line->cap - line->len < strlen(field->key) + 80) {
        return; /* a whole field or none: the line stays well formed */
    }
    if (json) {
        put_char(line, ',');
        put_quoted(line, field->key);
        put_char(line, ':');
    } else {
        put_char(line, ' ');
        put_text(line, field->key);
        put_char(line, '=');
    }
    put_value(line, field, json);
}

static void put_time(struct line *line)
{
    struct timespec now;
    struct tm tm;
    char text[40];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    const size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03uZ", (unsigned)(now.tv_nsec / 1000000));
    put_text(line, text);
}

/* Needs the lock. */
static void write_line_locked(enum log_level level, const char *event,
                              const struct log_field *fields, uint64_t suppressed)
{
    static const char *const priorities[LOG_LEVEL_COUNT] = {"<3>", "<4>", "<6>", "<7>"};
    static const char *const padded[LOG_LEVEL_COUNT] = {"error ", "warn  ", "info  ", "debug "};
    const bool json = format == LOG_FORMAT_JSON;
    struct line line;
    line.len = 0;
    line.cap = sizeof line.text - 2; /* room for "}\n" */
    if (journal) {
        put_text(&line, priorities[level]);
    }
    if (json) {
        put_text(&line, "{\"ts\":\"");
        put_time(&line);
        put_text(&line, "\",\"level\":\"");
        put_text(&line, level_names[level]);
        put_text(&line, "\",\"event\":");
        put_quoted(&line, event);
    } else {
        if (!journal) {
            put_time(&line);
            put_char(&line, ' ');
        }
        put_text(&line, padded[level]);
        put_text(&line, event);
    }
    for (const struct log_field *field = fields; field->kind != LOG_FIELD_END; field++) {
        put_field(&line, field, json);
    }
    if (suppressed > 0) {
        const struct log_field field = log_u64("suppressed", suppressed);
        put_field(&line, &field, json);
    }
    line.cap = sizeof line.text;
    put_text(&line, json ? "}\n" : "\n");
    for (size_t at = 0; at < line.len;) {
        const ssize_t n = write(out_fd, line.text + at, line.len - at);
        if (n < 0 && errno != EINTR) {
            return;
        }
        at += n > 0 ? (size_t)n : 0;
    }
}

/* ---- repeats ------------------------------------------------------------------------------------------------ */

static uint64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct repeat *repeat_slot_locked(const char *event)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *p = event; *p != '\0'; p++) {
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    }
    return &repeats[hash % REPEAT_SLOTS];
}

static void flush_slot_locked(struct repeat *slot)
{
    static const struct log_field none = {.kind = LOG_FIELD_END};
    if (slot->suppressed > 0) {
        write_line_locked(slot->level, slot->name, &none, slot->suppressed);
        slot->suppressed = 0;
    }
}

/* May a line of EVENT be written now? If so *SUPPRESSED_OUT is how many were not since the last one. */
static bool admit_locked(enum log_level level, const char *event, uint64_t *suppressed_out)
{
    *suppressed_out = 0;
    if (repeats_max == 0 || strlen(event) > EVENT_NAME_MAX) {
        return true;
    }
    struct repeat *slot = repeat_slot_locked(event);
    const uint64_t now_ms = monotonic_ms();
    if (strcmp(slot->name, event) != 0) {
        flush_slot_locked(slot);
        *slot = (struct repeat){.level = level, .window_start_ms = now_ms};
        strcpy(slot->name, event);
    }
    if (now_ms - slot->window_start_ms >= repeats_window_ms) {
        slot->window_start_ms = now_ms;
        slot->written = 0;
    }
    if (slot->written >= repeats_max) {
        slot->suppressed++;
        return false;
    }
    slot->written++;
    *suppressed_out = slot->suppressed;
    slot->suppressed = 0;
    return true;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    if ((unsigned)level >= LOG_LEVEL_COUNT) {
        level = LOG_LEVEL_ERROR;
    }
    if (!log_enabled(level)) {
        return;
    }
    pthread_mutex_lock(&lock);
    uint64_t suppressed = 0;
    if (admit_locked(level, event, &suppressed)) {
        write_line_locked(level, event, fields, suppressed);
    }
    pthread_mutex_unlock(&lock);
}

void log_flush(void)
{
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < REPEAT_SLOTS; i++) {
        flush_slot_locked(&repeats[i]);
    }
    pthread_mutex_unlock(&lock);
}
