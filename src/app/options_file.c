#include "app/options.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

#include <ini.h>

enum { LINE_MAX_LEN = 4096 };

/* libinih keeps no line numbers as Debian builds it, so the reader counts. It reads one line, then calls the handler for
 * it; the count is therefore that of the handler's line. */
struct reading {
    struct options *options;
    FILE *file;
    const char *path;
    unsigned line;
    bool failed;
    char *error;
    size_t error_size;
};

static void fail(struct reading *reading, const char *what)
{
    if (!reading->failed) {
        snprintf(reading->error, reading->error_size, "%s:%u: %s", reading->path, reading->line,
                 what);
        reading->failed = true;
    }
}

static char *read_line(char *buffer, int size, void *arg)
{
    struct reading *reading = arg;
    if (reading->failed || fgets(buffer, size, reading->file) == NULL) {
        return NULL;
    }
    reading->line++;
    const size_t len = strlen(buffer);
    if (len + 1 == (size_t)size && buffer[len - 1] != '\n') {
        fail(reading, "the line is too long");
        return NULL;
    }
    return buffer;
}

static int handle(void *arg, const char *section, const char *key, const char *value)
{
    struct reading *reading = arg;
    char name[128];
    char why[512];
    if (reading->failed) {
        return 0;
    }
    snprintf(name, sizeof name, "%s.%s", section, key);
    const struct option *option = option_find(name);
    if (option == NULL) {
        snprintf(why, sizeof why, "%s is unknown; did you mean %s?", *section == '\0' ? key : name,
                 option_nearest(name));
        fail(reading, why);
        return 0;
    }
    const struct option_value *before = &reading->options->values[option - options_table];
    if (before->origin == OPTION_FILE) {
        snprintf(why, sizeof why, "%s was already set in line %u", name, before->line);
        fail(reading, why);
        return 0;
    }
    char what[384];
    if (!option_set(reading->options, option, value, OPTION_FILE, reading->line, what,
                    sizeof what)) {
        snprintf(why, sizeof why, "%.60s: %s", name, what);
        fail(reading, why);
        return 0;
    }
    return 1;
}

bool options_read_file(struct options *options, const char *path, char *error, size_t error_size)
{
    struct reading reading = {
        .options = options, .path = path, .error = error, .error_size = error_size};
    reading.file = fopen(path, "re");
    if (reading.file == NULL) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return false;
    }
    ini_allow_multiline = false;
    ini_use_stack = false;
    ini_max_line = LINE_MAX_LEN;
    ini_initial_alloc = LINE_MAX_LEN;
    ini_stop_on_first_error = true;
    const int line = ini_parse_stream(read_line, &reading, handle, &reading);
    if (line != 0 && !reading.failed) {
        if (line > 0) {
            reading.line = (unsigned)line;
        }
        fail(&reading, line > 0 ? "neither [section] nor key = value" : "out of memory");
    }
    if (!reading.failed && ferror(reading.file)) {
        fail(&reading, "cannot be read");
    }
    fclose(reading.file);
    return !reading.failed;
}
