/* compare/server.h - a private server process, and the directory it lives in. Neither outlives this process, however it ends. */
#ifndef COMPARE_SERVER_H
#define COMPARE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* server_scratch: a fresh directory below BASE, absolute, removed when the process ends, however it ends.
 * PostgreSQL refuses to run as root, so with USER (its account; NULL = ours) the directory is given to it. Below /var/tmp instead when
 * that account cannot reach BASE, or when a socket in it would have too long a name. Called once. */
void server_scratch(char *dir_out, size_t cap, const char *base, const char *user);

/* server_scratch_remove: now; the server has been stopped. */
void server_scratch_remove(void);

/* server_run: ARGV (absolute path first) as the scratch directory's owner, its output into LOG; ends the process unless it succeeds. */
void server_run(char *const argv[], const char *log);
/* server_start: the same in the background. Should this process die, the server gets DEATH_SIGNAL. One at a time. */
void server_start(char *const argv[], const char *log, int death_signal);
/* server_is_alive: false once it has ended; a server that ends by itself has said why in its log. */
bool server_is_alive(void);
/* server_stop: SIGNAL, ten seconds, SIGKILL. */
void server_stop(int signal);
/* server_cpu_s: processor time of the server and its children so far. */
double server_cpu_s(void);

#endif
