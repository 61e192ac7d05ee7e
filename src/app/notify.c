#include "app/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int sock = -1;
static struct sockaddr_un address;
static socklen_t address_len;
static uint64_t watchdog_ms;

static void init_watchdog(void)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    if (usec != NULL && (pid == NULL || strtoll(pid, NULL, 10) == (long long)getpid())) {
        watchdog_ms = strtoull(usec, NULL, 10) / 1000;
    }
}

bool notify_init(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || *path == '\0') {
        return true;
    }
    const size_t len = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || len >= sizeof address.sun_path) {
        return false;
    }
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path, len);
    address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* the abstract namespace: no NUL at the end */
    } else {
        address_len++;
    }
    sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    init_watchdog();
    return sock >= 0;
}

uint64_t notify_watchdog_ms(void)
{
    return watchdog_ms;
}

/* The manager may be slow or gone; the node goes on either way. */
static void send_state(const char *state)
{
    if (sock >= 0) {
        (void)sendto(sock, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                     address_len);
    }
}

static void send_with_status(const char *state, const char *status)
{
    char text[512];
    snprintf(text, sizeof text, "%sSTATUS=%.400s\n", state, status);
    send_state(text);
}

void notify_ready(const char *status)
{
    send_with_status("READY=1\n", status);
}

void notify_status(const char *status)
{
    send_with_status("", status);
}

void notify_reloading(void)
{
    struct timespec now;
    char text[96];
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu\n",
             (unsigned long long)now.tv_sec * 1000000ull +
                 (unsigned long long)now.tv_nsec / 1000ull);
    send_state(text);
}

void notify_stopping(const char *status)
{
    send_with_status("STOPPING=1\n", status);
}

void notify_alive(void)
{
    send_state("WATCHDOG=1\n");
}
