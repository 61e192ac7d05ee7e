#include "app/daemon.h"

#include "app/notify.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

void daemon_configure_log(const struct options *options)
{
    struct log_config config;
    log_config_init(&config);
    config.level = options->node.log_level;
    config.format = options->node.log_format;
    config.repeats_max = options->node.log_repeats_max;
    config.repeats_window_ms = options->node.log_repeats_window_ms;
    log_init(&config);
}

static void note_change(void *arg, const struct option *option, const char *old_text,
                        const char *new_text, bool applies)
{
    json_t *changes = arg;
    log_event(applies ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
              applies ? "config.changed" : "config.needs_restart", log_str("name", option->name),
              log_str("from", old_text), log_str("to", new_text));
    json_t *change = json_pack("{s:s, s:s, s:s, s:b}", "name", option->name, "from", old_text, "to",
                               new_text, "applied", (int)applies);
    if (change != NULL) {
        json_array_append_new(changes, change);
    }
}

enum svm_err daemon_reload(struct daemon *daemon, char **changes_out, char *reason,
                           size_t reason_size)
{
    struct options next;
    json_t *changes = json_array();
    *changes_out = NULL;
    notify_reloading();
    enum options_status status =
        options_load(&next, reason, reason_size, daemon->argc, daemon->argv, daemon->env);
    if (status == OPTIONS_OK) {
        status = options_reload(&next, &daemon->options, reason, reason_size, note_change, changes);
    }
    if (status == OPTIONS_OK) {
        options_adopt(&daemon->options, &next);
        daemon_configure_log(&daemon->options);
        svm_reconfigure(daemon->engine, &daemon->options.engine);
        gateway_reconfigure(daemon->gateway, &daemon->options.gateway);
        log_event(LOG_LEVEL_INFO, "config.reloaded", log_u64("changes", json_array_size(changes)));
        *changes_out = json_dumps(changes, JSON_COMPACT);
    } else {
        log_event(LOG_LEVEL_ERROR, "config.rejected", log_str("reason", reason));
    }
    json_decref(changes);
    options_free(&next);
    notify_ready(status == OPTIONS_OK ? "serving" : "serving; the last reload was refused");
    return status == OPTIONS_OK ? SVM_OK : SVM_E_BAD_CONFIG;
}
