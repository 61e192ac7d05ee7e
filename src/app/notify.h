/* app/notify.h - what the service manager is told: the datagrams of sd_notify(3), without its library.
 *
 * Thread   any, after notify_init. Without NOTIFY_SOCKET every call does nothing.
 * Source   sd_notify(3), sd_watchdog_enabled(3). */
#ifndef APP_NOTIFY_H
#define APP_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* notify_init: read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. Returns false when NOTIFY_SOCKET is set and of no use. */
bool notify_init(void);
/* notify_watchdog_ms: the manager expects a ping at least this often; 0 = it does not. */
uint64_t notify_watchdog_ms(void);

void notify_ready(const char *status);
void notify_status(const char *status);
/* notify_reloading: begins a reload; notify_ready ends it. */
void notify_reloading(void);
void notify_stopping(const char *status);
void notify_alive(void); /* WATCHDOG=1 */

#endif
