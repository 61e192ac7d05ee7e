/* gateway/probes.h - is the node alive, is it well: the checks behind /livez, /readyz and node_health.
 *
 * Thread   L. */
#ifndef GATEWAY_PROBES_H
#define GATEWAY_PROBES_H

#include <stdbool.h>
#include <stddef.h>

struct gateway;

struct probe_check {
    const char *name;
    bool ok;
    char text[160];
};
enum { PROBE_CHECKS_MAX = 4 };

/* probes_tick: look whether the engine's threads have moved. Once a second. */
void probes_tick(struct gateway *gateway);

/* probes_run: all checks. Returns how many; the node is ready when all are ok. */
size_t probes_run(struct gateway *gateway, struct probe_check checks[PROBE_CHECKS_MAX]);

#endif
