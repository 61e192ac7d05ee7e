/* Settings: a configuration file, arguments and environment of any bytes.
 *
 *     input    file 0x01 file after a reload 0x00 word 0x00 word ...     a word with SUPERVM in front is of the environment
 *
 * What is wrong is said in one line; what is taken can be printed and read back; a reload leaves something valid or nothing. */
#include "fuzz.h"

#include <jansson.h>

#include "app/options.h"

enum { WORDS_MAX = 8 };

static struct options live, next, again;
static char path[2][128];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    for (int i = 0; i < 2; i++)
        snprintf(path[i], sizeof path[i], "%s/%d.conf", fuzz_dir(), i);
    return 0;
}

static void write_file(const char *name, const void *bytes, size_t len)
{
    FILE *file = fopen(name, "wb");
    if (file == NULL || fwrite(bytes, 1, len, file) != len)
        abort();
    fclose(file);
}

struct words {
    char *argv[WORDS_MAX + 3], *env[WORDS_MAX + 1];
    int argc, envc;
};

static void split_words(struct words *words, char *config, char *text, const char *end)
{
    *words = (struct words){.argv = {(char[]){"supervmd"}, config}, .argc = 2};
    for (int i = 0; i < WORDS_MAX && text < end; i++) {
        char *word = text;
        text += strlen(text) + 1;
        if (strncmp(word, "SUPERVM", 7) == 0)
            words->env[words->envc++] = word;
        else if (strstr(word, "config") == NULL && strstr(word, "genesis") == NULL)
            words->argv[words->argc++] = word;
    }
}

static enum options_status load(struct options *options, char *error, struct words *words)
{
    error[0] = '\0';
    const enum options_status status =
        options_load(options, error, 1024, words->argc, words->argv, words->env);
    FUZZ_CHECK((status == OPTIONS_OK) == (error[0] == '\0'), "%d: %s", status, error);
    return status;
}

/* Could VALUE stand in a file? It may hold what begins a comment there. */
static bool is_plain(const char *value)
{
    const size_t len = strlen(value);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)value[i] < ' ' || value[i] == ';')
            return false;
    return len == 0 || (value[0] != ' ' && value[len - 1] != ' ' && len < 2000);
}

static void check_printed(const struct options *options)
{
    char *text = NULL, error[1024], config[160];
    size_t len = 0;
    for (unsigned i = 0; i < options_count; i++)
        if (!is_plain(options->values[i].text))
            return;
    FILE *file = open_memstream(&text, &len);
    if (file == NULL)
        abort();
    options_print(file, options);
    fclose(file);
    write_file(path[1], text, len);
    free(text);
    snprintf(config, sizeof config, "--config=%s", path[1]);
    struct words words = {.argv = {(char[]){"supervmd"}, config}, .argc = 2};
    FUZZ_CHECK(load(&again, error, &words) == OPTIONS_OK, "%s", error);
    for (unsigned i = 0; i < options_count; i++)
        FUZZ_CHECK(strcmp(again.values[i].text, options->values[i].text) == 0, "%s: %s",
                   options_table[i].name, again.values[i].text);
    options_free(&again);
}

static void check_json(const struct options *options)
{
    char *text = options_json(options);
    FUZZ_CHECK(text != NULL, "no JSON");
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_CHECK(json != NULL && json_object_size(json) == options_count, "%s", text);
    json_decref(json);
    free(text);
}

static void on_change(void *arg, const struct option *option, const char *old_text,
                      const char *new_text, bool applies)
{
    FUZZ_CHECK(strcmp(old_text, new_text) != 0, "%s: no change", option->name);
    FUZZ_CHECK(!applies || option->reloadable, "%s: is not reloadable", option->name);
    ++*(unsigned *)arg;
}

static void reload(struct words *words, const void *bytes, size_t len)
{
    char error[1024];
    unsigned changes = 0;
    write_file(path[0], bytes, len);
    if (load(&next, error, words) == OPTIONS_OK && next.action == OPTIONS_RUN) {
        error[0] = '\0';
        const enum options_status status =
            options_reload(&next, &live, error, sizeof error, on_change, &changes);
        FUZZ_CHECK((status == OPTIONS_OK) == (error[0] == '\0'), "%d: %s", status, error);
        if (status == OPTIONS_OK) {
            options_adopt(&live, &next);
            check_json(&live);
        }
    }
    options_free(&next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[1024], config[160];
    struct words words;
    char *text = malloc(size + 1);
    if (text == NULL)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    const size_t files = strlen(text);
    const char *second = memchr(text, 1, files);
    const size_t first_len = second == NULL ? files : (size_t)(second - text);
    write_file(path[0], text, first_len);
    snprintf(config, sizeof config, "--config=%s", path[0]);
    split_words(&words, config, text + files + 1, text + size);
    if (load(&live, error, &words) == OPTIONS_OK && live.action == OPTIONS_RUN) {
        check_printed(&live);
        check_json(&live);
        if (second != NULL)
            reload(&words, second + 1, files - first_len - 1);
    }
    options_free(&live);
    free(text);
    return 0;
}
