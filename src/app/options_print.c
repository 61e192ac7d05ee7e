#include "app/options.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

static const char *origin_name(const struct option_value *value)
{
    switch (value->origin) {
    case OPTION_DEFAULT:
        return "default";
    case OPTION_FILE:
        return "file";
    case OPTION_ENVIRONMENT:
        return "environment";
    case OPTION_FLAG:
        return "flag";
    }
    return "";
}

static int section_len(const struct option *option)
{
    return (int)(strchr(option->name, '.') - option->name);
}

static const char *key_of(const struct option *option)
{
    return strchr(option->name, '.') + 1;
}

static bool starts_section(unsigned i)
{
    return i == 0 || section_len(&options_table[i]) != section_len(&options_table[i - 1]) ||
           strncmp(options_table[i].name, options_table[i - 1].name,
                   (size_t)section_len(&options_table[i])) != 0;
}

/* TEXT in lines of at most WIDTH columns, each after PREFIX. */
static void print_wrapped(FILE *out, const char *prefix, const char *text, int width)
{
    const int room = width - (int)strlen(prefix);
    while (*text != '\0') {
        int len = (int)strlen(text);
        if (len > room) {
            for (len = room; len > 0 && text[len] != ' '; len--) {
            }
            len = len == 0 ? room : len;
        }
        fprintf(out, "%s%.*s\n", prefix, len, text);
        text += len;
        while (*text == ' ') {
            text++;
        }
    }
}

/* "size 1KiB to 1GiB", "on|off", ... */
static void print_type(char *text, size_t size, const struct option *option)
{
    char low[32];
    char high[32];
    snprintf(text, size, "%s", option_unit(option));
    if (option->type == OPTION_COUNT || option->type == OPTION_BYTES || option->type == OPTION_MS ||
        option->type == OPTION_SECONDS) {
        option_format_number(low, sizeof low, option, option->min);
        option_format_number(high, sizeof high, option, option->max);
        snprintf(text, size, "%s %s to %s", option_unit(option), low, high);
    }
}

static void print_about(char *text, size_t size, const struct option *option)
{
    char type[96];
    print_type(type, sizeof type, option);
    snprintf(text, size, "%s; default %s; %s", type,
             option->initial[0] == '\0' ? "empty" : option->initial,
             option->reloadable ? "reload" : "restart");
}

void options_print_help(FILE *out)
{
    fputs("supervmd - the SuperVM node\n\n"
          "usage: supervmd --dev [OPTION...]\n"
          "       supervmd --config FILE [OPTION...]\n"
          "       supervmd --genesis FILE --datadir DIR [OPTION...]\n\n"
          "  --config FILE             read settings from FILE ([section] key = value)\n"
          "  --check-config            read everything, say whether it is valid, exit 0, 1 or 2 (a "
          "flag)\n"
          "  --print-config            print every setting with its origin\n"
          "  --print-dev-curl          print the pre-signed requests of the development chain\n"
          "  --print-sample-config     print conf/supervm.conf\n"
          "  --print-config-reference  print docs/configuration.md\n"
          "  --version                 print version and build\n"
          "  -h, --help                this text\n\n"
          "Each setting may be given as flag --section.key VALUE, as environment variable\n"
          "SUPERVM_SECTION_KEY, or in the file; in this order of precedence. Some have a short\n"
          "flag. SIGHUP reloads the settings marked reload.\n",
          out);
    for (unsigned i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        char about[192];
        if (starts_section(i)) {
            fprintf(out, "\n[%.*s]\n", section_len(option), option->name);
        }
        print_about(about, sizeof about, option);
        if (option->flag != NULL) {
            fprintf(out, "  --%s, --%s  (%s)\n", option->flag, option->name, about);
        } else {
            fprintf(out, "  --%s  (%s)\n", option->name, about);
        }
        print_wrapped(out, "      ", option->why, 92);
    }
    fputs("\nSignals: TERM, INT  finish what is admitted, sync, exit 0; HUP  reload.\n"
          "Exit status: 0 orderly end, 1 a failure that was told on standard error, 2 usage.\n",
          out);
}

void options_print(FILE *out, const struct options *options)
{
    for (unsigned i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        const struct option_value *value = &options->values[i];
        if (starts_section(i)) {
            fprintf(out, "%s[%.*s]\n", i == 0 ? "" : "\n", section_len(option), option->name);
        }
        fprintf(out, "%s = %s ; %s", key_of(option), value->text, origin_name(value));
        if (value->origin == OPTION_FILE) {
            fprintf(out, " %s:%u", options->config_path, value->line);
        }
        fputc('\n', out);
    }
}

void options_print_sample(FILE *out)
{
    fputs("# supervm.conf - settings of supervmd, all at their defaults.\n"
          "# Generated from the daemon's own table: supervmd --print-sample-config.\n"
          "# A flag beats an environment variable (SUPERVM_SECTION_KEY), which beats this file.\n"
          "# Sizes: 64MiB. Durations: 500ms, 10s, 5m, 24h, 7d. Unknown keys are errors.\n"
          "# SIGHUP takes over what is marked \"reload\", all or nothing.\n",
          out);
    for (unsigned i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        char about[192];
        if (starts_section(i)) {
            fprintf(out, "\n[%.*s]\n", section_len(option), option->name);
        }
        fputc('\n', out);
        print_wrapped(out, "# ", option->why, 92);
        print_about(about, sizeof about, option);
        fprintf(out, "# (%s)\n#%s =%s%s\n", about, key_of(option),
                option->initial[0] == '\0' ? "" : " ", option->initial);
    }
}

void options_print_reference(FILE *out)
{
    fputs(
        "# Configuration\n\n"
        "Generated from the table in `src/app/options_table.c` by `scripts/gen-conf`; do not "
        "edit.\n\n"
        "Precedence: flag `--section.key VALUE`, then environment `SUPERVM_SECTION_KEY`, then the\n"
        "file given with `--config FILE` (`[section]`, `key = value`, `#` or `;` comments), then "
        "the\n"
        "default. Unknown names are errors that tell the nearest right one; nothing is ignored.\n\n"
        "* `supervmd --check-config` reads everything and exits 0, 1, or 2 for a flag; a service "
        "unit runs it "
        "first.\n"
        "* `supervmd --print-config` prints every value with its origin, in the form of the file.\n"
        "* SIGHUP and `admin_reload` take over what is marked *reload*: all or nothing, and the "
        "log\n"
        "  says what changed and what waits for a restart.\n\n"
        "Sizes: `64MiB` (B, KiB, MiB, GiB, TiB; kB, MB, GB are decimal; a bare number is bytes).\n"
        "Durations: `500ms`, `10s`, `5m`, `24h`, `7d`; the unit is needed except where the name "
        "of\n"
        "the key says seconds.\n",
        out);
    for (unsigned i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (starts_section(i)) {
            fprintf(out,
                    "\n## [%.*s]\n\n| key | type | default | takes effect | what it is for |\n"
                    "|---|---|---|---|---|\n",
                    section_len(option), option->name);
        }
        fprintf(out, "| `%s`", key_of(option));
        if (option->flag != NULL) {
            fprintf(out, "<br>`--%s`", option->flag);
        }
        char type[96];
        print_type(type, sizeof type, option);
        fputs(" | ", out);
        for (const char *p = type; *p != '\0'; p++) {
            fputs(*p == '|' ? ", " : (const char[2]){*p, '\0'}, out);
        }
        fprintf(out, " | %s%s%s | %s | %s |\n", option->initial[0] == '\0' ? "" : "`",
                option->initial[0] == '\0' ? "empty" : option->initial,
                option->initial[0] == '\0' ? "" : "`", option->reloadable ? "reload" : "restart",
                option->why);
    }
}

char *options_json(const struct options *options)
{
    json_t *all = json_object();
    for (unsigned i = 0; all != NULL && i < options_count; i++) {
        const struct option_value *value = &options->values[i];
        json_t *entry =
            json_pack("{s:s, s:s, s:b}", "value", value->text, "origin", origin_name(value),
                      "reloadable", (int)options_table[i].reloadable);
        if (entry == NULL || json_object_set_new(all, options_table[i].name, entry) != 0) {
            json_decref(all);
            all = NULL;
        }
    }
    char *text = all == NULL ? NULL : json_dumps(all, JSON_COMPACT);
    json_decref(all);
    return text;
}
