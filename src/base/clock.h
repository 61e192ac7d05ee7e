/* base/clock.h - time as an argument: the real clock or a simulated one. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t (*wall_ms)(void *self); /* Unix time */
    uint64_t (*boot_ns)(void *self); /* monotonic, counts suspend */
    void *self;
};
extern const struct clock clock_system;

#endif
