#include "bench/latency.h"

#include <stdio.h>
#include <time.h>

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void tickets_init(struct tickets *tickets, void *owner)
{
    tickets->untimed.owner = owner;
    for (unsigned i = 0; i < TICKETS; i++)
        tickets->ring[i].owner = owner;
    for (unsigned i = 0; i < TICKET_KINDS; i++)
        hist_init(&tickets->kinds[i]);
}

/* False: it is out, and not answered yet. */
static bool settle(struct tickets *tickets, struct ticket *ticket)
{
    const uint64_t to_ns = atomic_load_explicit(&ticket->to_ns, memory_order_acquire);
    if (ticket->from_ns == 0)
        return true;
    if (to_ns == 0)
        return false;
    hist_add(&tickets->kinds[ticket->kind], to_ns - ticket->from_ns);
    ticket->from_ns = 0;
    atomic_store_explicit(&ticket->to_ns, 0, memory_order_relaxed);
    return true;
}

struct ticket *tickets_take(struct tickets *tickets, bool timed, unsigned kind)
{
    struct ticket *ticket = &tickets->ring[tickets->next % TICKETS];
    if (!timed || ++tickets->taken % TICKET_EVERY != 0 || !settle(tickets, ticket))
        return &tickets->untimed;
    tickets->next++;
    ticket->kind = kind;
    return ticket;
}

void tickets_hand_in(struct tickets *tickets)
{
    const uint64_t now = tickets->handed_in == tickets->next ? 0 : now_ns();
    for (; tickets->handed_in < tickets->next; tickets->handed_in++)
        tickets->ring[tickets->handed_in % TICKETS].from_ns = now;
}

void tickets_count(struct tickets *tickets)
{
    for (unsigned i = 0; i < TICKETS; i++)
        settle(tickets, &tickets->ring[i]);
}

void latency_print(const char *prefix, const struct hist *hist)
{
    static const struct {
        const char *name;
        uint32_t ppm;
    } marks[] = {{"p50", 500000}, {"p95", 950000}, {"p99", 990000}, {"p999", 999000}};
    if (hist_count(hist) == 0)
        return;
    for (unsigned i = 0; i < sizeof marks / sizeof marks[0]; i++)
        printf(",\"%s%s_us\":%.1f", prefix, marks[i].name,
               (double)hist_percentile(hist, marks[i].ppm) / 1000);
    printf(",\"%smax_us\":%.1f", prefix, (double)hist_max(hist) / 1000);
}
