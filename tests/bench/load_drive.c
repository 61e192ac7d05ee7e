#include "bench/load_drive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/rig.h"

enum { EVENTS = 64, IN_STEP = 65536, DRAIN_S = 60, SLEEP_NS = 10 * 1000 * 1000 };

/* One request in flight, and what it carries. */
struct flight {
    uint32_t count;
    uint32_t *indices;
    uint64_t *since_ns; /* when each was due for the first time */
};

struct link {
    int fd;
    bool waits_to_write;
    struct wire_bytes out, in;
    size_t out_at, in_at;
    struct flight *flights; /* a ring of `window` */
    uint32_t first, used;
};

/* Transactions to send again, in the order in which they came back. */
struct again {
    uint32_t index;
    uint64_t since_ns, due_ns;
};

struct drive {
    const struct load_set *set;
    const struct load_plan *plan;
    struct load_outcome *outcome;
    struct link *links;
    int epoll_fd;
    uint32_t next; /* of the set */
    struct again *again;
    uint32_t again_first, again_count, again_cap;
    uint64_t start_ns, timed_from_ns, timed_to_ns;
    uint64_t arrivals; /* open loop: requests taken from the schedule */
    uint64_t in_flight;
    uint32_t turn; /* the link to try first */
    double self_from_s, node_from_s;
    struct wire_verdict *verdicts;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- processor time ------------------------------------------------------------------------------------------ */

static double self_cpu_s(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* User and system time of process PID, from /proc. */
static double node_cpu_s(long pid)
{
    char path[64], text[1024];
    if (pid == 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    const size_t len = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file != NULL)
        fclose(file);
    text[len] = '\0';
    char *at = strrchr(text, ')'); /* the name may hold anything */
    unsigned long long user = 0, system = 0;
    if (at == NULL || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                             &user, &system) != 2)
        die("there is no process %ld", pid);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

void load_settle(long pid)
{
    enum { LOOK_US = 200000, LOOKS_MAX = 150, QUIET_LOOKS = 3 };
    const double rest_s = 0.011; /* of a look: a tick of the clock that tells it */
    const uint64_t start = now_ns();
    double before = node_cpu_s(pid);
    for (int looks = 0, quiet = 0; pid != 0 && looks < LOOKS_MAX && quiet < QUIET_LOOKS; looks++) {
        usleep(LOOK_US);
        const double used = node_cpu_s(pid);
        quiet = used - before <= rest_s ? quiet + 1 : 0;
        before = used;
    }
    if (pid != 0)
        fprintf(stderr, "load: the node rests after %.1f s\n", (double)(now_ns() - start) / 1e9);
}

/* ---- sending ------------------------------------------------------------------------------------------------- */

static void watch(struct drive *drive, struct link *link, bool write)
{
    struct epoll_event event = {.events = EPOLLIN | (write ? (uint32_t)EPOLLOUT : 0),
                                .data.ptr = link};
    if (link->waits_to_write != write &&
        epoll_ctl(drive->epoll_fd, EPOLL_CTL_MOD, link->fd, &event) != 0)
        die("epoll: %s", strerror(errno));
    link->waits_to_write = write;
}

static void flush(struct drive *drive, struct link *link)
{
    while (link->out_at < link->out.len) {
        const ssize_t n = send(link->fd, link->out.ptr + link->out_at, link->out.len - link->out_at,
                               MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            watch(drive, link, true);
            return;
        }
        if (n <= 0)
            die("the node closed a connection");
        link->out_at += (size_t)n;
    }
    link->out.len = link->out_at = 0;
    watch(drive, link, false);
}

static bool again_is_due(const struct drive *drive, uint64_t now)
{
    return drive->again_count > 0 && drive->again[drive->again_first].due_ns <= now;
}

static void again_grow(struct drive *drive)
{
    const uint32_t cap = 2 * drive->again_cap;
    struct again *again = calloc(cap, sizeof *again);
    if (again == NULL)
        die("out of memory");
    for (uint32_t i = 0; i < drive->again_count; i++)
        again[i] = drive->again[(drive->again_first + i) % drive->again_cap];
    free(drive->again);
    drive->again = again;
    drive->again_cap = cap;
    drive->again_first = 0;
}

static void again_push(struct drive *drive, struct again item)
{
    if (drive->again_count == drive->again_cap)
        again_grow(drive);
    drive->again[(drive->again_first + drive->again_count++) % drive->again_cap] = item;
}

/* Fill FLIGHT: first what is to be sent again, then what is new, due since SINCE_NS. */
static void load_flight(struct drive *drive, struct flight *flight, uint64_t now, uint64_t since_ns,
                        bool fresh)
{
    flight->count = 0;
    while (flight->count < drive->plan->batch && again_is_due(drive, now)) {
        const struct again item = drive->again[drive->again_first];
        drive->again_first = (drive->again_first + 1) % drive->again_cap;
        drive->again_count--;
        flight->indices[flight->count] = item.index;
        flight->since_ns[flight->count++] = item.since_ns;
        drive->outcome->retries++;
    }
    while (fresh && flight->count < drive->plan->batch && drive->next < drive->set->spec.count) {
        flight->indices[flight->count] = drive->next++;
        flight->since_ns[flight->count++] = since_ns;
    }
}

static void send_flight(struct drive *drive, struct link *link, uint64_t now, uint64_t since_ns,
                        bool fresh)
{
    struct flight *flight = &link->flights[(link->first + link->used) % drive->plan->window];
    load_flight(drive, flight, now, since_ns, fresh);
    if (flight->count == 0)
        return;
    wire_request(&link->out, drive->set, drive->plan->mode, drive->plan->wait, flight->indices,
                 flight->count);
    link->used++;
    drive->in_flight++;
    drive->outcome->requests++;
    flush(drive, link);
}

/* In the closed loop who was refused sends nothing else before it has been taken: what waits to be sent again has its place. */
static bool is_fresh(const struct drive *drive, uint64_t now)
{
    const uint64_t places = (uint64_t)drive->plan->connections * drive->plan->window;
    const uint64_t waiting = drive->plan->rate > 0 ? 0 : drive->again_count / drive->plan->batch;
    return drive->next < drive->set->spec.count && now < drive->timed_to_ns &&
           drive->in_flight + waiting < places;
}

/* The moment at which request NUMBER of the open loop is due. */
static uint64_t due_ns(const struct drive *drive, uint64_t number)
{
    return drive->start_ns +
           (uint64_t)((double)number * drive->plan->batch * 1e9 / drive->plan->rate);
}

static struct link *free_link(struct drive *drive)
{
    for (uint32_t i = 0; i < drive->plan->connections; i++) {
        struct link *link = &drive->links[(drive->turn + i) % drive->plan->connections];
        if (link->used < drive->plan->window) {
            drive->turn = (drive->turn + i + 1) % drive->plan->connections;
            return link;
        }
    }
    return NULL;
}

/* Send whatever may be sent now. */
static void pump(struct drive *drive)
{
    for (;;) {
        const uint64_t now = now_ns();
        const bool open = drive->plan->rate > 0;
        const uint64_t due = open ? due_ns(drive, drive->arrivals) : now;
        const bool fresh = is_fresh(drive, now) && due <= now;
        struct link *link = fresh || again_is_due(drive, now) ? free_link(drive) : NULL;
        if (link == NULL)
            return;
        const uint32_t before = drive->next;
        send_flight(drive, link, now, due, fresh);
        drive->arrivals += drive->next != before;
    }
}

/* ---- receiving ----------------------------------------------------------------------------------------------- */

static void land(struct drive *drive, struct link *link, const struct wire_response *response,
                 uint64_t now)
{
    char why[256] = "";
    if (link->used == 0)
        die("a response came without a request");
    struct flight *flight = &link->flights[link->first];
    wire_verdicts(drive->verdicts, flight->count, why, response, drive->plan->mode,
                  drive->plan->wait);
    for (uint32_t i = 0; i < flight->count; i++) {
        const struct wire_verdict *verdict = &drive->verdicts[i];
        const uint64_t since = flight->since_ns[i];
        if (verdict->kind == WIRE_BAD)
            die("transaction %u has not succeeded: %s", flight->indices[i], why);
        if (verdict->kind == WIRE_RETRY) {
            if (drive->outcome->why[0] == '\0')
                memcpy(drive->outcome->why, why, sizeof why);
            again_push(drive, (struct again){flight->indices[i], since,
                                             now + (uint64_t)verdict->retry_after_ms * 1000000});
        } else if (now >= drive->timed_from_ns && now < drive->timed_to_ns) {
            drive->outcome->timed++;
            hist_add(&drive->outcome->latency, now - since);
        }
    }
    link->first = (link->first + 1) % drive->plan->window;
    link->used--;
    drive->in_flight--;
}

static void receive(struct drive *drive, struct link *link)
{
    struct wire_response response;
    wire_room(&link->in, IN_STEP);
    const ssize_t n = recv(link->fd, link->in.ptr + link->in.len, link->in.cap - link->in.len, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("the node closed a connection");
    link->in.len += (size_t)n;
    const uint64_t now = now_ns();
    while (wire_parse(&response, link->in.ptr + link->in_at, link->in.len - link->in_at)) {
        land(drive, link, &response, now);
        link->in_at += response.bytes;
    }
    if (link->in_at == link->in.len) {
        link->in.len = link->in_at = 0;
    } else if (link->in_at > 0) {
        memmove(link->in.ptr, link->in.ptr + link->in_at, link->in.len - link->in_at);
        link->in.len -= link->in_at;
        link->in_at = 0;
    }
}

/* ---- the loop ------------------------------------------------------------------------------------------------ */

/* How long to sleep: until what is to be sent again, or the next arrival, becomes due, if a link is free to take it. */
static struct timespec sleep_time(const struct drive *drive, uint64_t now)
{
    uint64_t at = now + SLEEP_NS;
    if (drive->in_flight < (uint64_t)drive->plan->connections * drive->plan->window) {
        if (drive->again_count > 0 && drive->again[drive->again_first].due_ns < at)
            at = drive->again[drive->again_first].due_ns;
        if (drive->plan->rate > 0 && is_fresh(drive, now) && due_ns(drive, drive->arrivals) < at)
            at = due_ns(drive, drive->arrivals);
    }
    return (struct timespec){.tv_nsec = at > now ? (long)(at - now) : 0};
}

static void turn(struct drive *drive)
{
    struct epoll_event events[EVENTS];
    pump(drive);
    const struct timespec timeout = sleep_time(drive, now_ns());
    const int n = epoll_pwait2(drive->epoll_fd, events, EVENTS, &timeout, NULL);
    for (int i = 0; i < n; i++) {
        struct link *link = events[i].data.ptr;
        if (events[i].events & EPOLLOUT)
            flush(drive, link);
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            receive(drive, link);
    }
}

static void open_links(struct drive *drive)
{
    const struct load_plan *plan = drive->plan;
    for (uint32_t i = 0; i < plan->connections; i++) {
        struct link *link = &drive->links[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};
        link->fd = wire_dial(plan->address);
        link->flights = calloc(plan->window, sizeof *link->flights);
        for (uint32_t w = 0; link->flights != NULL && w < plan->window; w++) {
            link->flights[w].indices = calloc(plan->batch, sizeof(uint32_t));
            link->flights[w].since_ns = calloc(plan->batch, sizeof(uint64_t));
            if (link->flights[w].indices == NULL || link->flights[w].since_ns == NULL)
                die("out of memory");
        }
        if (link->flights == NULL)
            die("out of memory");
        if (fcntl(link->fd, F_SETFL, O_NONBLOCK) != 0 ||
            epoll_ctl(drive->epoll_fd, EPOLL_CTL_ADD, link->fd, &event) != 0)
            die("epoll: %s", strerror(errno));
    }
}

static void close_links(struct drive *drive)
{
    for (uint32_t i = 0; i < drive->plan->connections; i++) {
        struct link *link = &drive->links[i];
        for (uint32_t w = 0; w < drive->plan->window; w++) {
            free(link->flights[w].indices);
            free(link->flights[w].since_ns);
        }
        free(link->flights);
        free(link->out.ptr);
        free(link->in.ptr);
        close(link->fd);
    }
}

static void drive_open(struct drive *drive)
{
    const struct load_plan *plan = drive->plan;
    drive->links = calloc(plan->connections, sizeof *drive->links);
    drive->verdicts = calloc(plan->batch, sizeof *drive->verdicts);
    drive->again_cap = plan->connections * plan->window * plan->batch + 1;
    drive->again = calloc(drive->again_cap, sizeof *drive->again);
    drive->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (drive->links == NULL || drive->verdicts == NULL || drive->again == NULL ||
        drive->epoll_fd < 0)
        die("cannot start: %s", strerror(errno));
    open_links(drive);
}

static void drive_close(struct drive *drive)
{
    close_links(drive);
    close(drive->epoll_fd);
    free(drive->again);
    free(drive->verdicts);
    free(drive->links);
}

/* The timed part begins. */
static void begin_timing(struct drive *drive, uint64_t now)
{
    drive->timed_from_ns = now;
    drive->timed_to_ns = now + (uint64_t)(drive->plan->seconds * 1e9);
    drive->self_from_s = self_cpu_s();
    drive->node_from_s = node_cpu_s(drive->plan->pid);
}

static void end_timing(struct drive *drive, uint64_t now)
{
    struct load_outcome *outcome = drive->outcome;
    outcome->exhausted = now < drive->timed_to_ns;
    drive->timed_to_ns = now;
    outcome->seconds = (double)(now - drive->timed_from_ns) / 1e9;
    outcome->self_cpu_s = self_cpu_s() - drive->self_from_s;
    outcome->node_cpu_s = node_cpu_s(drive->plan->pid) - drive->node_from_s;
}

void load_drive(struct load_outcome *outcome, const struct load_set *set,
                const struct load_plan *plan)
{
    struct drive drive = {.set = set, .plan = plan, .outcome = outcome};
    *outcome = (struct load_outcome){0};
    hist_init(&outcome->latency);
    drive_open(&drive);
    drive.start_ns = now_ns();
    drive.timed_from_ns = drive.timed_to_ns = UINT64_MAX;
    const uint64_t warm_to = drive.start_ns + (uint64_t)(plan->warm_s * 1e9);
    for (uint64_t now = drive.start_ns; now < drive.timed_to_ns && drive.next < set->spec.count;
         now = now_ns()) {
        if (drive.timed_from_ns == UINT64_MAX && now >= warm_to)
            begin_timing(&drive, now);
        turn(&drive);
    }
    if (drive.timed_from_ns == UINT64_MAX)
        die("the set ended during the warm-up: --count is too small");
    end_timing(&drive, now_ns());
    const uint64_t give_up = now_ns() + (uint64_t)DRAIN_S * 1000000000;
    while (drive.in_flight > 0 || drive.again_count > 0) {
        if (now_ns() > give_up)
            die("the node does not answer");
        turn(&drive);
    }
    outcome->sent = drive.next;
    drive_close(&drive);
}
