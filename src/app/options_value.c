#include "app/options.h"

#include "base/assert.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* ---- names -------------------------------------------------------------------------------------------------- */

const struct option *option_find(const char *name)
{
    for (unsigned i = 0; i < options_count; i++) {
        if (strcmp(options_table[i].name, name) == 0) {
            return &options_table[i];
        }
    }
    return NULL;
}

enum { NAME_MAX_LEN = 63 };

/* Levenshtein distance, of the first NAME_MAX_LEN characters. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_MAX_LEN + 1];
    const size_t a_len = strnlen(a, NAME_MAX_LEN);
    const size_t b_len = strnlen(b, NAME_MAX_LEN);
    for (unsigned j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            const unsigned above = row[j];
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[b_len];
}

const char *option_nearest(const char *name)
{
    const char *best = options_table[0].name;
    unsigned best_distance = ~0u;
    const char *dot = strchr(name, '.');
    for (unsigned i = 0; i < options_count; i++) {
        const char *candidate = options_table[i].name;
        const char *key = strchr(candidate, '.') + 1;
        unsigned d = 2 * distance(name, candidate);
        /* The right key in a wrong section is nearer than a similar section with another key. */
        if (strcmp(dot == NULL ? name : dot + 1, key) == 0) {
            d = 1;
        }
        if (options_table[i].flag != NULL) {
            const unsigned f = 2 * distance(name, options_table[i].flag);
            d = f < d ? f : d;
        }
        if (d < best_distance) {
            best_distance = d;
            best = candidate;
        }
    }
    return best;
}

const char *option_unit(const struct option *option)
{
    switch (option->type) {
    case OPTION_BOOL:
        return "on|off";
    case OPTION_COUNT:
        return "number";
    case OPTION_BYTES:
        return "size";
    case OPTION_MS:
    case OPTION_SECONDS:
        return "duration";
    case OPTION_MODE:
        return "octal mode";
    case OPTION_CHOICE:
        return option->choices;
    case OPTION_TEXT:
        return "text";
    case OPTION_PATH:
        return "path";
    case OPTION_LIST:
        return "list";
    case OPTION_ADDRESS:
        return "host:port";
    }
    return "";
}

/* ---- values ------------------------------------------------------------------------------------------------- */

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"B", 1},
    {"KiB", (uint64_t)1 << 10},
    {"MiB", (uint64_t)1 << 20},
    {"GiB", (uint64_t)1 << 30},
    {"TiB", (uint64_t)1 << 40},
    {"kB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {NULL, 0},
};
static const struct unit ms_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};
static const struct unit second_units[] = {
    {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {NULL, 0},
};
static const struct unit no_units[] = {{NULL, 0}};

static bool parse_number(uint64_t *value_out, const char *text, const struct unit *units, bool bare)
{
    uint64_t value = 0;
    const char *p = text;
    for (; isdigit((unsigned char)*p); p++) {
        const uint64_t digit = (uint64_t)(*p - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (p == text) {
        return false;
    }
    while (*p == ' ') {
        p++;
    }
    *value_out = value;
    if (*p == '\0') {
        return bare || value == 0;
    }
    for (; units->name != NULL; units++) {
        if (strcmp(p, units->name) == 0) {
            return !__builtin_mul_overflow(value, units->factor, value_out);
        }
    }
    return false;
}

static bool parse_mode(uint64_t *value_out, const char *text)
{
    uint64_t value = 0;
    if (*text == '\0' || strlen(text) > 4) {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '7') {
            return false;
        }
        value = value * 8 + (uint64_t)(*text - '0');
    }
    *value_out = value;
    return true;
}

void option_format_number(char *text, size_t size, const struct option *option, uint64_t value)
{
    const struct unit *units = option->type == OPTION_BYTES     ? size_units
                               : option->type == OPTION_MS      ? ms_units
                               : option->type == OPTION_SECONDS ? second_units
                                                                : no_units;
    const struct unit *best = NULL;
    for (const struct unit *u = units; u->name != NULL; u++) {
        if (value != 0 && value % u->factor == 0 && (best == NULL || u->factor > best->factor) &&
            (option->type != OPTION_BYTES || (u->factor & (u->factor - 1)) == 0)) {
            best = u;
        }
    }
    snprintf(text, size, "%llu%s",
             (unsigned long long)(best == NULL ? value : value / best->factor),
             best == NULL ? "" : best->name);
}

static bool set_number(void *member, const struct option *option, const char *text, char *why,
                       size_t why_size)
{
    uint64_t value = 0;
    bool ok = false;
    const char *expected = "";
    switch (option->type) {
    case OPTION_BYTES:
        ok = parse_number(&value, text, size_units, true);
        expected = "a size such as 64MiB (B, KiB, MiB, GiB, TiB, kB, MB, GB)";
        break;
    case OPTION_MS:
        ok = parse_number(&value, text, ms_units, false);
        expected = "a duration with its unit, such as 500ms or 10s (ms, s, m, h, d)";
        break;
    case OPTION_SECONDS:
        ok = parse_number(&value, text, second_units, true);
        expected = "seconds, or a duration such as 90s, 24h or 7d";
        break;
    case OPTION_MODE:
        ok = parse_mode(&value, text);
        expected = "an octal file mode such as 0660";
        break;
    case OPTION_BOOL:
    case OPTION_COUNT:
    case OPTION_CHOICE:
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_LIST:
    case OPTION_ADDRESS:
        ok = parse_number(&value, text, no_units, true);
        expected = "a whole number";
        break;
    }
    if (!ok) {
        snprintf(why, why_size, "\"%s\" is not %s", text, expected);
        return false;
    }
    if (value < option->min || value > option->max) {
        if (option->type == OPTION_MODE) {
            snprintf(why, why_size, "%s is out of range, 0000 to 0777 are allowed", text);
            return false;
        }
        char low[32];
        char high[32];
        option_format_number(low, sizeof low, option, option->min);
        option_format_number(high, sizeof high, option, option->max);
        snprintf(why, why_size, "%s is out of range, %s to %s are allowed", text, low, high);
        return false;
    }
    if (option->size == sizeof(uint32_t)) {
        SVM_ASSERT(option->max <= UINT32_MAX);
        const uint32_t narrow = (uint32_t)value;
        memcpy(member, &narrow, sizeof narrow);
    } else {
        SVM_ASSERT(option->size == sizeof value);
        memcpy(member, &value, sizeof value);
    }
    return true;
}

static bool set_bool(void *member, const struct option *option, const char *text, char *why,
                     size_t why_size)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes", "0", "1"};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) != 0) {
            continue;
        }
        if (option->size == sizeof(bool)) {
            const bool value = i % 2 == 1;
            memcpy(member, &value, sizeof value);
        } else {
            SVM_ASSERT(option->size == sizeof(uint32_t));
            const uint32_t value = i % 2;
            memcpy(member, &value, sizeof value);
        }
        return true;
    }
    snprintf(why, why_size, "\"%s\" is neither on nor off", text);
    return false;
}

static bool set_choice(void *member, const struct option *option, const char *text, char *why,
                       size_t why_size)
{
    const size_t len = strlen(text);
    uint32_t index = 0;
    SVM_ASSERT(option->size == sizeof index);
    for (const char *p = option->choices; p != NULL; index++) {
        const char *end = strchr(p, '|');
        const size_t n = end == NULL ? strlen(p) : (size_t)(end - p);
        if (n == len && memcmp(p, text, n) == 0) {
            memcpy(member, &index, sizeof index);
            return true;
        }
        p = end == NULL ? NULL : end + 1;
    }
    snprintf(why, why_size, "\"%s\" is none of %s", text, option->choices);
    return false;
}

static bool check_address(const char *text, char *why, size_t why_size)
{
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    const bool bracketed = text[0] == '[';
    if (colon == NULL || colon == text || !parse_number(&port, colon + 1, no_units, true) ||
        port > 65535 || (bracketed && colon[-1] != ']') ||
        (!bracketed && memchr(text, ':', (size_t)(colon - text)) != NULL)) {
        snprintf(why, why_size, "\"%s\" is not HOST:PORT (for IPv6: [::1]:7878)", text);
        return false;
    }
    return true;
}

/* Settings are told as JSON, which holds nothing but UTF-8. */
static bool check_text(const char *text, char *why, size_t why_size)
{
    json_t *string = json_string(text);
    if (string == NULL) {
        snprintf(why, why_size, "the value is not UTF-8");
    }
    json_decref(string);
    return string != NULL;
}

bool option_set(struct options *options, const struct option *option, const char *text,
                enum option_origin origin, unsigned line, char *why, size_t why_size)
{
    void *member = (char *)options + option->offset;
    bool ok = true;
    switch (option->type) {
    case OPTION_BOOL:
        ok = set_bool(member, option, text, why, why_size);
        break;
    case OPTION_COUNT:
    case OPTION_BYTES:
    case OPTION_MS:
    case OPTION_SECONDS:
    case OPTION_MODE:
        ok = set_number(member, option, text, why, why_size);
        break;
    case OPTION_CHOICE:
        ok = set_choice(member, option, text, why, why_size);
        break;
    case OPTION_ADDRESS:
        ok = check_address(text, why, why_size) && check_text(text, why, why_size);
        break;
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_LIST:
        ok = check_text(text, why, why_size);
        break;
    }
    if (!ok) {
        return false;
    }
    struct option_value *value = &options->values[option - options_table];
    char *copy = strdup(text);
    if (copy == NULL) {
        snprintf(why, why_size, "out of memory");
        return false;
    }
    if (option->type >= OPTION_TEXT) {
        SVM_ASSERT(option->size == sizeof copy);
        memcpy(member, &copy, sizeof copy);
    }
    free(value->text);
    *value = (struct option_value){.text = copy, .origin = origin, .line = line};
    return true;
}
