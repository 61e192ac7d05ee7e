#include "app/daemon.h"

#include "app/dev.h"
#include "app/notify.h"
#include "base/assert.h"
#include "base/version.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { REASON_MAX = 512 };

/* ---- what the engine says ------------------------------------------------------------------------------------- */

_Static_assert((int)SVM_LOG_ERROR == LOG_LEVEL_ERROR && (int)SVM_LOG_DEBUG == LOG_LEVEL_DEBUG,
               "the engine's levels are the log's");

static void write_engine_log(void *arg, enum svm_log_level level, const char *event,
                             const char *text)
{
    (void)arg;
    log_event((enum log_level)level, event, log_str("text", text));
}

/* The disk has failed: what was acknowledged is safe, nothing more will be. There is nothing to drain into, so the process
 * ends here; recovery does the rest. Runs on a thread of the engine. */
static void end_on_fatal(void *arg, enum svm_err err, const char *reason)
{
    (void)arg;
    log_event(LOG_LEVEL_ERROR, "engine.fatal", log_str("error", svm_err_name(err)),
              log_str("reason", reason));
    log_flush();
    notify_stopping(reason);
    _exit(1);
}

/* ---- opening -------------------------------------------------------------------------------------------------- */

bool daemon_init(struct daemon *daemon)
{
    struct rlimit files;
    daemon_configure_log(&daemon->options);
    signal(SIGPIPE, SIG_IGN);
    if (daemon->options.warning[0] != '\0') {
        log_event(LOG_LEVEL_WARN, "config.odd", log_str("text", daemon->options.warning));
    }
    if (!notify_init()) {
        log_note(LOG_LEVEL_WARN, "notify.unusable_socket");
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    const int err = uv_loop_init(&daemon->loop);
    if (err != 0) {
        log_event(LOG_LEVEL_ERROR, "loop.failed", log_str("reason", uv_strerror(err)));
        return false;
    }
    const struct options *options = &daemon->options;
    log_event(LOG_LEVEL_INFO, "node.starting", log_str("version", VERSION_TEXT),
              log_str("build", VERSION_KIND),
              log_str("config", options->config_path == NULL ? "none" : options->config_path),
              log_str("datadir", options->node.datadir),
              log_str("durability", svm_durability_name(options->engine.durability)),
              log_bool("dev", options->node.dev));
    return true;
}

bool daemon_open_engine(struct daemon *daemon)
{
    struct svm_refusal detail = {.err = SVM_OK};
    struct svm_chain_info chain;
    notify_status("opening the data directory");
    daemon->options.engine.log = write_engine_log;
    daemon->options.engine.log_arg = daemon;
    const enum svm_err err = svm_engine_open(&daemon->engine, &daemon->options.engine, &detail);
    if (err != SVM_OK) {
        const char *reason = detail.reason[0] != '\0' ? detail.reason : svm_err_text(err);
        log_event(LOG_LEVEL_ERROR, "engine.refused", log_str("error", svm_err_name(err)),
                  log_str("reason", reason), log_str("datadir", daemon->options.node.datadir));
        notify_status(reason);
        daemon->engine = NULL;
        return false;
    }
    svm_on_fatal(daemon->engine, end_on_fatal, daemon);
    svm_chain_info(daemon->engine, &chain);
    log_event(LOG_LEVEL_INFO, "engine.opened", log_u64("chain", chain.chain),
              log_hex("genesis", chain.genesis.b, sizeof chain.genesis.b),
              log_u64("applied_seq", svm_applied_seq(daemon->engine)),
              log_u64("durable_seq", svm_durable_seq(daemon->engine)));
    return true;
}

/* A chain in memory has no directory for its socket: build/ when run from the tree, else a fresh directory. */
static bool choose_temporary_socket(struct daemon *daemon)
{
    char cwd[sizeof daemon->socket_path];
    const size_t size = sizeof daemon->socket_path;
    if (access("build/bin", W_OK) == 0 && getcwd(cwd, sizeof cwd) != NULL) {
        const int n =
            snprintf(daemon->socket_path, size, "%s/build/supervmd-%ld.sock", cwd, (long)getpid());
        if (n > 0 && (size_t)n < size) {
            return true;
        }
    }
    const char *tmp = getenv("TMPDIR");
    const size_t dir_size = sizeof daemon->socket_dir;
    int n = snprintf(daemon->socket_dir, dir_size, "%s/supervm-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    if (n < 0 || (size_t)n >= dir_size) {
        snprintf(daemon->socket_dir, dir_size, "/tmp/supervm-XXXXXX");
    }
    if (mkdtemp(daemon->socket_dir) == NULL) {
        log_event(LOG_LEVEL_ERROR, "socket.no_directory", log_str("path", daemon->socket_dir),
                  log_str("reason", strerror(errno)));
        daemon->socket_dir[0] = '\0';
        return false;
    }
    snprintf(daemon->socket_path, size, "%s/supervmd.sock", daemon->socket_dir);
    return true;
}

static bool choose_socket(struct daemon *daemon)
{
    const struct options_node *node = &daemon->options.node;
    const size_t size = sizeof daemon->socket_path;
    int n = 0;
    if (strcmp(node->socket, "none") == 0) {
        return true;
    }
    if (node->socket[0] == '\0' && node->datadir[0] == '\0') {
        return choose_temporary_socket(daemon);
    }
    if (node->socket[0] != '\0') {
        n = snprintf(daemon->socket_path, size, "%s", node->socket);
    } else {
        n = snprintf(daemon->socket_path, size, "%s/supervmd.sock", node->datadir);
    }
    if (n < 0 || (size_t)n >= size) {
        log_event(LOG_LEVEL_ERROR, "socket.path_too_long", log_u64("bytes_max", size - 1),
                  log_str("cure", "set rpc.socket to a shorter path, or to none"));
        daemon->socket_path[0] = '\0';
        return false;
    }
    return true;
}

static void admin_stop(void *arg)
{
    daemon_stop(arg, "admin_stop");
}

static void admin_drain(void *arg)
{
    daemon_drain(arg);
}

static enum svm_err admin_reload(void *arg, char **changes_out, char *reason, size_t reason_size)
{
    return daemon_reload(arg, changes_out, reason, reason_size);
}

static enum svm_err admin_set_log_level(void *arg, const char *name, char *reason,
                                        size_t reason_size)
{
    enum log_level level;
    (void)arg;
    if (!log_level_parse(&level, name)) {
        snprintf(reason, reason_size, "level is one of error, warn, info, debug");
        return SVM_E_INVALID_PARAMS;
    }
    /* before the change and at a level that is still written, so that the log tells why it falls silent */
    const enum log_level before = log_level_get();
    log_event(before < LOG_LEVEL_INFO ? before : LOG_LEVEL_INFO, "log.level_set",
              log_str("from", log_level_name(before)), log_str("to", name));
    log_level_set(level);
    return SVM_OK;
}

static char *admin_config_json(void *arg)
{
    const struct daemon *daemon = arg;
    return options_json(&daemon->options);
}

bool daemon_open_gateway(struct daemon *daemon)
{
    struct gateway_config *config = &daemon->options.gateway;
    char reason[REASON_MAX] = "";
    if (!choose_socket(daemon)) {
        return false;
    }
    config->unix_path = daemon->socket_path[0] == '\0' ? NULL : daemon->socket_path;
    config->admin = (struct gateway_admin){.arg = daemon,
                                           .stop = admin_stop,
                                           .drain = admin_drain,
                                           .reload = admin_reload,
                                           .set_log_level = admin_set_log_level,
                                           .config_json = admin_config_json};
    config->build = (struct gateway_build){.version = VERSION_TEXT,
                                           .commit = VERSION_COMMIT,
                                           .compiler = VERSION_COMPILER,
                                           .kind = VERSION_KIND};
    const enum svm_err err = gateway_open(&daemon->gateway, config, daemon->engine, &daemon->loop,
                                          reason, sizeof reason);
    if (err != SVM_OK) {
        log_event(LOG_LEVEL_ERROR, "gateway.refused", log_str("error", svm_err_name(err)),
                  log_str("reason", reason));
        notify_status(reason);
        daemon->gateway = NULL;
        return false;
    }
    return true;
}

void daemon_announce(struct daemon *daemon)
{
    const char *address = gateway_bound_address(daemon->gateway);
    const char *path = gateway_unix_path(daemon->gateway);
    daemon->phase = DAEMON_SERVING;
    gateway_set_ready(daemon->gateway, true);
    if (daemon->options.node.dev) {
        dev_print_banner(stdout, daemon->engine, address, path,
                         daemon->options.engine.datadir == NULL);
    }
    log_event(LOG_LEVEL_INFO, "node.ready", log_str("address", address), log_str("socket", path));
    fprintf(stderr, "supervmd ready http://%s%s%s\n", address, *path == '\0' ? "" : " unix:", path);
    notify_ready("serving");
}

/* ---- signals and the watchdog --------------------------------------------------------------------------------- */

static void on_end_signal(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;
    if (daemon->phase >= DAEMON_DRAINING) {
        log_event(LOG_LEVEL_WARN, "node.cut_short", log_i64("signal", number));
        daemon->gateway_drained = true; /* a second signal: wait for no client any more */
    }
    daemon_stop(daemon, number == SIGINT ? "SIGINT" : "SIGTERM");
}

static void on_hangup(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;
    char reason[REASON_MAX] = "";
    char *changes = NULL;
    (void)number;
    if (daemon->phase == DAEMON_SERVING) {
        (void)daemon_reload(daemon, &changes, reason, sizeof reason); /* it has logged all */
        free(changes);
    }
}

static void on_watchdog(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    const char *names[WATCHDOG_THREADS_MAX];
    uint64_t ticks[WATCHDOG_THREADS_MAX];
    size_t stalled = 0;
    const size_t count = svm_progress(daemon->engine, names, ticks, WATCHDOG_THREADS_MAX);
    if (watchdog_check(&daemon->watchdog, &stalled, ticks, count)) {
        notify_alive();
    } else {
        log_event(LOG_LEVEL_WARN, "watchdog.stalled", log_str("thread", names[stalled]),
                  log_u64("index", stalled));
    }
}

bool daemon_watch(struct daemon *daemon)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        uv_signal_t *handle = &daemon->signals[i];
        uv_signal_init(&daemon->loop, handle);
        handle->data = daemon;
        const int err =
            uv_signal_start(handle, numbers[i] == SIGHUP ? on_hangup : on_end_signal, numbers[i]);
        if (err != 0) {
            log_event(LOG_LEVEL_ERROR, "signal.failed", log_str("reason", uv_strerror(err)));
            return false;
        }
    }
    uv_timer_init(&daemon->loop, &daemon->drain_timer);
    daemon->drain_timer.data = daemon;
    uv_timer_init(&daemon->loop, &daemon->watchdog_timer);
    daemon->watchdog_timer.data = daemon;
    if (notify_watchdog_ms() > 0) {
        const uint64_t period_ms = notify_watchdog_ms() / 3 + 1;
        uv_timer_start(&daemon->watchdog_timer, on_watchdog, 0, period_ms);
    }
    return true;
}

/* ---- the orderly end ------------------------------------------------------------------------------------------ */

static void close_if_drained(struct daemon *daemon);

static void on_gateway_closed(void *arg)
{
    struct daemon *daemon = arg;
    daemon->gateway = NULL;
    for (size_t i = 0; i < sizeof daemon->signals / sizeof daemon->signals[0]; i++) {
        uv_close((uv_handle_t *)&daemon->signals[i], NULL);
    }
    uv_close((uv_handle_t *)&daemon->watchdog_timer, NULL);
    uv_close((uv_handle_t *)&daemon->drain_timer, NULL);
}

static void run_engine_drain(uv_work_t *work)
{
    const struct daemon *daemon = work->data;
    svm_engine_drain(daemon->engine);
}

static void on_engine_drained(uv_work_t *work, int status)
{
    struct daemon *daemon = work->data;
    (void)status;
    daemon->engine_drained = true;
    log_event(LOG_LEVEL_INFO, "engine.drained",
              log_u64("applied_seq", svm_applied_seq(daemon->engine)));
    close_if_drained(daemon);
}

static void on_gateway_drained(void *arg)
{
    struct daemon *daemon = arg;
    daemon->gateway_drained = true;
    close_if_drained(daemon);
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    log_event(LOG_LEVEL_WARN, "node.drain_timeout",
              log_bool("engine_drained", daemon->engine_drained));
    on_gateway_drained(daemon);
}

static void on_close_time(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    gateway_close(daemon->gateway, on_gateway_closed, daemon);
}

/* The last word of drain may come out of the gateway's own code: it is closed from a fresh turn of the loop. */
static void close_if_drained(struct daemon *daemon)
{
    if (daemon->phase == DAEMON_DRAINING && daemon->engine_drained && daemon->gateway_drained) {
        daemon->phase = DAEMON_CLOSING;
        uv_timer_start(&daemon->drain_timer, on_close_time, 0, 0);
    }
}

void daemon_drain(struct daemon *daemon)
{
    if (!daemon->drain_started) {
        daemon->drain_started = true;
        daemon->drain_work.data = daemon;
        log_note(LOG_LEVEL_INFO, "node.draining");
        notify_status("draining: nothing more is admitted");
        const int err =
            uv_queue_work(&daemon->loop, &daemon->drain_work, run_engine_drain, on_engine_drained);
        SVM_ASSERT(err == 0);
    }
}

void daemon_stop(struct daemon *daemon, const char *why)
{
    if (daemon->phase < DAEMON_DRAINING) {
        daemon->phase = DAEMON_DRAINING;
        log_event(LOG_LEVEL_INFO, "node.stopping", log_str("why", why));
        notify_stopping("finishing what is admitted");
        uv_timer_start(&daemon->drain_timer, on_drain_timeout,
                       daemon->options.node.drain_timeout_ms, 0);
        daemon_drain(daemon);
        gateway_drain(daemon->gateway, on_gateway_drained, daemon);
    }
    close_if_drained(daemon);
}

void daemon_deinit(struct daemon *daemon)
{
    if (daemon->engine != NULL) {
        svm_engine_close(daemon->engine);
        log_note(LOG_LEVEL_INFO, "engine.closed");
    }
    if (daemon->socket_dir[0] != '\0') {
        (void)rmdir(daemon->socket_dir);
    }
    (void)uv_loop_close(&daemon->loop);
    options_free(&daemon->options);
    log_flush();
}
