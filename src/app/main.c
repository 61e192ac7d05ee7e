/*~ supervmd: the guided tour starts here.
 *
 * A node is four things and one loop. The things are made in this order and unmade in the other:
 *
 *      options --> log --> engine --> gateway --> READY --> loop --> drain --> gateway --> engine --> exit
 *                            |           |                   ^
 *                            |           +-- L: HTTP, JSON --+-- signals, watchdog timer
 *                            +-- W: workers   C: committer   M: materialiser   G: garbage
 *
 * Nothing below starts a thread but the engine (and libuv's pool, for reads that may block). */
#include "app/daemon.h"

#include "app/dev.h"
#include "base/version.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

extern char **environ;

/*~ Everything that is answered from the table alone, without a node. */
static int print_and_leave(const struct options *options)
{
    switch (options->action) {
    case OPTIONS_HELP:
        options_print_help(stdout);
        break;
    case OPTIONS_VERSION:
        printf("supervmd %s%s%s (%s, %s)\n", VERSION_TEXT, *VERSION_COMMIT == '\0' ? "" : "-",
               VERSION_COMMIT, VERSION_KIND, VERSION_COMPILER);
        break;
    case OPTIONS_CHECK:
        printf("the configuration is valid\n");
        break;
    case OPTIONS_PRINT:
        options_print(stdout, options);
        break;
    case OPTIONS_PRINT_SAMPLE:
        options_print_sample(stdout);
        break;
    case OPTIONS_PRINT_REFERENCE:
        options_print_reference(stdout);
        break;
    case OPTIONS_PRINT_DEV_CURL:
        dev_print_curl(stdout, options->node.listen);
        break;
    case OPTIONS_RUN:
        break;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    static struct daemon daemon;
    char error[1024];
    daemon.argc = argc;
    daemon.argv = argv;
    daemon.env = environ;

    /*~ Settings first: flags, environment, file and defaults become one struct, or one sentence that says what is wrong. */
    const enum options_status status =
        options_load(&daemon.options, error, sizeof error, argc, argv, environ);
    if (status != OPTIONS_OK) {
        fprintf(stderr, "supervmd: %s\n", error);
        options_free(&daemon.options);
        return status == OPTIONS_USAGE ? 2 : 1;
    }
    if (daemon.options.action != OPTIONS_RUN) {
        const int code = print_and_leave(&daemon.options);
        options_free(&daemon.options);
        return code;
    }

    /*~ From here on the log speaks. The engine comes before the network: it takes the lock of the data directory and replays
     * the log behind the state, and only a node that knows its state may answer anybody. */
    umask(0077); /* what the database library creates is nobody else's either */
    if (!daemon_init(&daemon)) {
        return 1;
    }
    if (!daemon_open_engine(&daemon) || !daemon_watch(&daemon) || !daemon_open_gateway(&daemon)) {
        daemon_deinit(&daemon);
        return 1;
    }

    /*~ One turn of the loop puts its watches in place. libuv has no answer but abort() when it gets none: then nobody has been
     * told yet that the node serves. */
    uv_run(&daemon.loop, UV_RUN_NOWAIT);

    /*~ Whoever waits for the node - systemd, a script, a person - learns that it serves, and where. */
    if (daemon.phase == DAEMON_STARTING) {
        daemon_announce(&daemon);
    }

    /*~ The loop turns until the last handle is closed. SIGTERM, SIGINT and admin_stop lead to daemon_stop: the gateway
     * takes nothing new, the engine finishes what it has admitted, every answer that is owed is sent, the handles close. */
    uv_run(&daemon.loop, UV_RUN_DEFAULT);

    /*~ Closing the engine syncs the log. What was answered `durable` was so long before. */
    daemon_deinit(&daemon);
    return 0;
}
