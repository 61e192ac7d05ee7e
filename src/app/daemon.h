/* app/daemon.h - the parts of a running node, in the order in which main.c connects them.
 *
 * Thread   the loop (L), which is the main thread. Only the engine's callbacks come from elsewhere. */
#ifndef APP_DAEMON_H
#define APP_DAEMON_H

#include <uv.h>

#include "app/options.h"
#include "app/watchdog.h"

enum daemon_phase { DAEMON_STARTING, DAEMON_SERVING, DAEMON_DRAINING, DAEMON_CLOSING };

struct daemon {
    int argc;
    char *const *argv;
    char *const *env;
    struct options options;
    enum daemon_phase phase;

    struct svm_engine *engine;
    struct gateway *gateway;
    uv_loop_t loop;
    uv_signal_t signals[3]; /* TERM, INT, HUP */
    uv_timer_t watchdog_timer;
    uv_timer_t drain_timer;
    uv_work_t drain_work;
    bool drain_started;
    bool engine_drained;
    bool gateway_drained; /* or out of patience */
    struct watchdog watchdog;

    char socket_path[108]; /* "" = none */
    char socket_dir[64];   /* made by us for the socket, removed at the end; "" = none */
};

/* daemon_init: log, descriptor limit, loop. daemon->options are loaded. Returns false after saying why. */
bool daemon_init(struct daemon *daemon);
/* daemon_open_engine / daemon_open_gateway: false after saying why on the log. */
bool daemon_open_engine(struct daemon *daemon);
bool daemon_open_gateway(struct daemon *daemon);
/* daemon_watch: signals, the watchdog's timer. */
bool daemon_watch(struct daemon *daemon);
/* daemon_announce: READY=1, the line `supervmd ready ...`, the banner of a development chain. */
void daemon_announce(struct daemon *daemon);
/* daemon_stop: begin the orderly end; may be called again. The loop ends by itself when it is done. */
void daemon_stop(struct daemon *daemon, const char *why);
/* daemon_drain: admit nothing more, keep serving reads. */
void daemon_drain(struct daemon *daemon);
/* daemon_reload: take over the reloadable settings, all or nothing (daemon_reload.c).
 *   changes_out  out  gives (free): JSON array of {"name", "from", "to", "applied"}; NULL = no memory */
enum svm_err daemon_reload(struct daemon *daemon, char **changes_out, char *reason,
                           size_t reason_size);
/* daemon_configure_log: what the options say of the log holds from now on. */
void daemon_configure_log(const struct options *options);
/* daemon_deinit: after the loop: close the engine (syncs), free, remove what was made. */
void daemon_deinit(struct daemon *daemon);

#endif
