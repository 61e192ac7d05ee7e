#include "compare/compare.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/latency.h"
#include "compare/server.h"

struct workload {
    const char *name;
    enum compare_workload workload;
    uint32_t objects;
};
static const struct workload WORKLOADS[] = {
    {"transfer-10k", COMPARE_TRANSFER, 10000},
    {"transfer-1m", COMPARE_TRANSFER, 1000000},
    {"counter-1m", COMPARE_COUNTER, 1000000},
    {"counter-hot", COMPARE_COUNTER, 1},
};

static struct compare_client clients[COMPARE_CLIENTS_MAX];
static _Atomic uint32_t clients_ready;
static _Atomic bool clients_go, clients_timed, clients_stop;

/* ---- what to do ------------------------------------------------------------------------------------------------ */

static struct compare_pick draw(struct random *random, const struct compare *compare)
{
    const uint64_t bits = random_next(random);
    struct compare_pick pick = {.from = (uint32_t)((bits >> 32) * compare->objects >> 32), .to = 0};
    if (compare->workload == COMPARE_TRANSFER) {
        const uint32_t step = 1 + (uint32_t)((bits & UINT32_MAX) * (compare->objects - 1) >> 32);
        pick.to = (uint32_t)(((uint64_t)pick.from + step) % compare->objects);
    }
    return pick;
}

struct compare_pick compare_draw(struct compare_client *client)
{
    if (client->drawn % COMPARE_TIMED_EACH == 0)
        client->drawn_ns[client->drawn / COMPARE_TIMED_EACH % COMPARE_TIMED] = now_ns();
    client->drawn++;
    return draw(&client->random, client->compare);
}

static struct random first_random(const struct compare *compare, uint32_t client)
{
    return (struct random){compare->seed + ((uint64_t)(client + 1) << 40)};
}

int64_t compare_initial(const struct compare *compare)
{
    return compare->workload == COMPARE_TRANSFER ? COMPARE_BALANCE : 0;
}

/* ---- clients --------------------------------------------------------------------------------------------------- */

/* MORE were acknowledged, after the first DONE. */
static void count_latency(struct compare_client *client, uint64_t done, uint64_t more)
{
    const uint64_t first = (done + COMPARE_TIMED_EACH - 1) / COMPARE_TIMED_EACH;
    const uint64_t end = (done + more + COMPARE_TIMED_EACH - 1) / COMPARE_TIMED_EACH;
    if (first == end || !atomic_load_explicit(&clients_timed, memory_order_relaxed))
        return;
    if (client->drawn - done > (uint64_t)COMPARE_TIMED * COMPARE_TIMED_EACH)
        die("more is under way than the benchmark has clocks for");
    const uint64_t now = now_ns();
    for (uint64_t i = first; i < end; i++)
        hist_add(&client->latency, now - client->drawn_ns[i % COMPARE_TIMED]);
}

static void count(struct compare_client *client, uint64_t more)
{
    const uint64_t done = atomic_load_explicit(&client->done, memory_order_relaxed);
    count_latency(client, done, more);
    atomic_store_explicit(&client->done, done + more, memory_order_relaxed);
}

/* Takes COUNT of what is under way, and counts it: each is acknowledged when it is taken. */
static uint64_t take_some(struct compare_client *client, const struct compare_system *system,
                          uint32_t count_taken)
{
    for (uint32_t i = 0; i < count_taken; i++) {
        system->take(client);
        count(client, 1);
    }
    client->under_way -= count_taken;
    return 0;
}

/* step: of a pipelining system the window is refilled and half of it taken. */
static uint64_t step(struct compare_client *client, const struct compare_system *system)
{
    const uint32_t window = client->compare->window;
    if (system->step != NULL)
        return system->step(client);
    for (; client->under_way < window; client->under_way++)
        system->send(client);
    return take_some(client, system, (window + 1) / 2);
}

static uint64_t drain(struct compare_client *client, const struct compare_system *system)
{
    if (system->take != NULL)
        return take_some(client, system, client->under_way);
    return system->drain != NULL ? system->drain(client) : 0;
}

static void *run_client(void *arg)
{
    struct compare_client *client = arg;
    const struct compare_system *system = client->compare->system;
    if (system->begin != NULL)
        system->begin(client);
    atomic_fetch_add(&clients_ready, 1);
    while (!atomic_load(&clients_go))
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    while (!atomic_load_explicit(&clients_stop, memory_order_relaxed))
        count(client, step(client, system));
    count(client, drain(client, system));
    if (system->end != NULL)
        system->end(client);
    return NULL;
}

/* A moment of the run. */
struct sample {
    double at_s, cpu_s;
    uint64_t done;
};

static struct sample sample(struct compare *compare)
{
    struct sample sample = {.at_s = now_s()};
    struct timespec cpu;
    for (uint32_t i = 0; i < compare->clients; i++)
        sample.done += atomic_load_explicit(&clients[i].done, memory_order_relaxed);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    sample.cpu_s = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
    if (compare->system->cpu_s != NULL)
        sample.cpu_s += compare->system->cpu_s(compare);
    return sample;
}

static void sleep_s(double seconds)
{
    const time_t whole = (time_t)seconds;
    nanosleep(&(struct timespec){whole, (long)((seconds - (double)whole) * 1e9)}, NULL);
}

static void run_clients(struct compare *compare, struct sample *begin, struct sample *end)
{
    pthread_t threads[COMPARE_CLIENTS_MAX];
    for (uint32_t i = 0; i < compare->clients; i++) {
        clients[i].compare = compare;
        clients[i].index = i;
        clients[i].random = first_random(compare, i);
        if (pthread_create(&threads[i], NULL, run_client, &clients[i]) != 0)
            die("cannot start a client");
    }
    while (atomic_load(&clients_ready) < compare->clients)
        sleep_s(0.001);
    atomic_store(&clients_go, true);
    sleep_s(compare->seconds < 5 ? compare->seconds / 5 : 1); /* warm-up */
    *begin = sample(compare);
    atomic_store(&clients_timed, true);
    sleep_s(compare->seconds);
    *end = sample(compare);
    atomic_store(&clients_timed, false);
    atomic_store(&clients_stop, true);
    for (uint32_t i = 0; i < compare->clients; i++)
        pthread_join(threads[i], NULL);
}

/* ---- check ----------------------------------------------------------------------------------------------------- */

void compare_saw(struct compare *compare, uint64_t index, int64_t value)
{
    if (index >= compare->objects)
        die("the check fails: there is an object %llu", (unsigned long long)index);
    if (value != compare->expected[index])
        die("the check fails: object %llu holds %lld and must hold %lld", (unsigned long long)index,
            (long long)value, (long long)compare->expected[index]);
    compare->seen++;
}

/* check: draw everything again, and compare each object with what was done to it. */
static void check(struct compare *compare)
{
    int64_t *expected = malloc(compare->objects * sizeof *expected);
    if (expected == NULL)
        die("out of memory");
    for (uint32_t i = 0; i < compare->objects; i++)
        expected[i] = compare_initial(compare);
    for (uint32_t i = 0; i < compare->clients; i++) {
        struct random random = first_random(compare, i);
        if (clients[i].drawn != clients[i].done)
            die("the check fails: client %u began %llu transactions and finished %llu", i,
                (unsigned long long)clients[i].drawn, (unsigned long long)clients[i].done);
        for (uint64_t n = 0; n < clients[i].drawn; n++) {
            const struct compare_pick pick = draw(&random, compare);
            if (compare->workload == COMPARE_TRANSFER) {
                expected[pick.from]--;
                expected[pick.to]++;
            } else {
                expected[pick.from]++;
            }
        }
    }
    compare->expected = expected;
    compare->system->scan(compare);
    if (compare->seen != compare->objects)
        die("the check fails: %u objects of %u are there", compare->seen, compare->objects);
    free(expected);
}

/* ---- the program ------------------------------------------------------------------------------------------------ */

/* take_suffix: cut "-SUFFIX" off TEXT if it ends so. */
static bool take_suffix(char *text, const char *suffix)
{
    const size_t length = strlen(text), cut = strlen(suffix);
    if (length <= cut + 1 || text[length - cut - 1] != '-' ||
        strcmp(text + length - cut, suffix) != 0)
        return false;
    text[length - cut - 1] = '\0';
    return true;
}

static void parse_row(struct compare *compare, const char *row,
                      const struct compare_system *systems, size_t count_systems)
{
    char name[128];
    snprintf(name, sizeof name, "%s", strncmp(row, "compare-", 8) == 0 ? row + 8 : row);
    compare->synced = take_suffix(name, "fsynced");
    if (!compare->synced && !take_suffix(name, "unsynced"))
        die("%s: a row ends in -unsynced or -fsynced", row);
    for (size_t i = 0; i < sizeof WORKLOADS / sizeof WORKLOADS[0] && compare->objects == 0; i++) {
        if (take_suffix(name, WORKLOADS[i].name)) {
            compare->workload = WORKLOADS[i].workload;
            compare->objects = WORKLOADS[i].objects;
        }
    }
    if (compare->objects == 0)
        die("%s: no workload of that name", row);
    for (size_t i = 0; i < count_systems; i++) {
        if (strcmp(systems[i].name, name) == 0)
            compare->system = &systems[i];
    }
    if (compare->system == NULL)
        die("this program has no system %s", name);
}

static const char *parse_options(struct compare *compare, int argc, char **argv)
{
    const char *base = "build/bench";
    for (int i = 2; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value == NULL)
            die("%s needs a value", name);
        const unsigned long long number = strtoull(value, NULL, 10);
        if (strcmp(name, "--seconds") == 0)
            compare->seconds = strtod(value, NULL);
        else if (strcmp(name, "--threads") == 0)
            compare->threads = (uint32_t)number;
        else if (strcmp(name, "--window") == 0)
            compare->window = (uint32_t)number;
        else if (strcmp(name, "--seed") == 0)
            compare->seed = number;
        else if (strcmp(name, "--dir") == 0)
            base = value;
        else
            die("unknown option %s", name);
    }
    if (compare->threads < 1 || compare->threads > COMPARE_CLIENTS_MAX)
        die("--threads must be 1 to %d", COMPARE_CLIENTS_MAX);
    return base;
}

static void print_result(const struct compare *compare, const char *row, const struct sample *begin,
                         const struct sample *end)
{
    const uint64_t timed = end->done - begin->done;
    const double seconds = end->at_s - begin->at_s, cpu = end->cpu_s - begin->cpu_s;
    uint64_t done = 0, retries = 0;
    static struct hist latency;
    for (uint32_t i = 0; i < compare->clients; i++) {
        done += clients[i].done;
        retries += clients[i].retries;
        hist_merge(&latency, &clients[i].latency);
    }
    if (timed == 0)
        die("nothing was done within the timed part");
    printf("{\"row\":\"compare-%s\",\"value\":%.0f,\"unit\":\"tx/s\",\"threads\":%u,\"clients\":%u,"
           "\"objects\":%u,\"seconds\":%.2f,\"timed\":%llu,\"done\":%llu,\"retries\":%llu,"
           "\"cpu_s\":%.2f,\"cpu_us\":%.3f,\"seed\":%llu,\"settings\":\"%s\"",
           row, (double)timed / seconds, compare->threads, compare->clients, compare->objects,
           seconds, (unsigned long long)timed, (unsigned long long)done,
           (unsigned long long)retries, cpu, cpu * 1e6 / (double)timed,
           (unsigned long long)compare->seed, compare->settings);
    latency_print("", &latency);
    printf("}\n");
}

int compare_main(int argc, char **argv, const struct compare_system *systems, size_t count_systems)
{
    struct compare compare = {.threads = 2, .seconds = 10, .seed = (uint64_t)time(NULL)};
    if (argc < 2)
        die("usage: %s SYSTEM-WORKLOAD-MODE [OPTIONS]; scripts/compare runs them all", argv[0]);
    const char *row = strncmp(argv[1], "compare-", 8) == 0 ? argv[1] + 8 : argv[1];
    const char *seed = getenv("SVM_SEED");
    if (seed != NULL)
        compare.seed = strtoull(seed, NULL, 10);
    parse_row(&compare, row, systems, count_systems);
    const char *base = parse_options(&compare, argc, argv);
    const char *missing = compare.system->missing != NULL ? compare.system->missing() : NULL;
    if (missing != NULL) {
        printf("{\"row\":\"compare-%s\",\"skip\":\"needs %s: scripts/setup bench\"}\n", row,
               missing);
        return 0;
    }
    if (compare.window == 0)
        compare.window = compare.system->window;
    compare.clients = compare.threads;
    printf("seed %llu\n", (unsigned long long)compare.seed);
    fflush(stdout);
    server_scratch(compare.dir, sizeof compare.dir, base, compare.system->user);

    struct sample begin, end;
    compare.system->open(&compare);
    run_clients(&compare, &begin, &end);
    check(&compare);
    compare.system->close(&compare);
    server_scratch_remove();
    print_result(&compare, row, &begin, &end);
    return 0;
}
