/* Clients against a running node that is killed now and then: is what they saw one serial order, in real time?
 *
 *     main_history [--ops N] [--kills N] [--durability write|sync|interval] [--daemon PATH] [--seed N]
 *
 * The seed comes from SVM_SEED, else from the clock, and is printed first. Ends with `N passed, N failed`. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "history/graph.h"
#include "history/work.h"

struct options {
    uint64_t ops, seed;
    unsigned kills;
    const char *durability, *daemon;
};

static unsigned passed, failed;

static void verdict(bool good, const char *what)
{
    passed += good;
    failed += !good;
    printf("%s %s\n", good ? "ok  " : "FAIL", what);
}

/* ---- kills ----------------------------------------------------------------------------------------------------------- */

/* The position at which the node stands, asked before anybody else asks anything of this life. */
static uint64_t position(struct world *world)
{
    static const uint32_t first[1] = {0};
    struct client asker = {.world = world};
    if (!link_open(&asker.link, &world->node) || !client_query(&asker, first, 1))
        fail("the node does not answer");
    uint64_t at = asker.log.ops[0].position / 2;
    link_close(&asker.link);
    free(asker.log.ops);
    free(asker.log.lives);
    free(asker.log.reads);
    return at;
}

static void kill_and_restart(struct world *world)
{
    node_kill(&world->node);
    if (!node_start(&world->node))
        fail("the node does not start again");
    uint32_t life = atomic_load(&world->life) + 1;
    world->recovered[life] = position(world);
    atomic_store(&world->life, life);
}

static void play(struct world *world, struct client clients[CLIENTS], unsigned kills)
{
    pthread_t threads[CLIENTS];
    for (uint32_t i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.world = world, .index = i};
        if (pthread_create(&threads[i], NULL, client_main, &clients[i]) != 0)
            fail("no thread");
    }
    for (unsigned k = 1; k <= kills; k++) {
        while (atomic_load(&world->done) < world->goal / (kills + 1) * k) {
            if (!node_alive(&world->node))
                fail("the node has ended by itself");
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        }
        kill_and_restart(world);
    }
    while (atomic_load(&world->done) < world->goal) {
        if (!node_alive(&world->node))
            fail("the node has ended by itself");
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    for (uint32_t i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- the history ------------------------------------------------------------------------------------------------------ */

static void append(struct history *history, const struct log *log)
{
    for (size_t i = 0; i < log->op_count; i++) {
        struct history_op *op = &history->ops[history->op_count++];
        *op = log->ops[i];
        op->reads += (uint32_t)history->read_count;
        op->writes += (uint32_t)history->write_count;
    }
    if (log->read_count > 0)
        memcpy(history->reads + history->read_count, log->reads,
               log->read_count * sizeof *log->reads);
    if (log->write_count > 0)
        memcpy(history->writes + history->write_count, log->writes,
               log->write_count * sizeof *log->writes);
    history->read_count += log->read_count;
    history->write_count += log->write_count;
}

/* What a life has answered beyond the position at which the next began is gone: that may be so for queries, which see what is executed,
 * and they are taken out; never for what was told durable. */
static void take_back(const struct world *world, struct log *log, uint64_t *queries, uint64_t *lost)
{
    uint32_t last = atomic_load(&world->life);
    for (size_t i = 0; i < log->op_count; i++) {
        struct history_op *op = &log->ops[i];
        if (op->type != HISTORY_OK || log->lives[i] >= last ||
            op->position / 2 <= world->recovered[log->lives[i] + 1])
            continue;
        if (op->position % 2) {
            op->type = HISTORY_INFO;
            ++*queries;
        } else {
            ++*lost;
        }
    }
}

static void gather(struct history *history, struct world *world, struct log *logs, size_t count)
{
    uint64_t queries = 0, lost = 0, sums[3] = {0};
    for (size_t i = 0; i < count; i++) {
        take_back(world, &logs[i], &queries, &lost);
        sums[0] += logs[i].op_count;
        sums[1] += logs[i].read_count;
        sums[2] += logs[i].write_count;
    }
    *history = (struct history){.objects = OBJECTS,
                                .clients = CLIENTS + 1,
                                .real_time = true,
                                .lamport = true,
                                .ops = memory_or_die(malloc(sums[0] * sizeof *history->ops)),
                                .reads = memory_or_die(malloc(sums[1] * sizeof *history->reads)),
                                .writes = memory_or_die(malloc(sums[2] * sizeof *history->writes))};
    for (size_t i = 0; i < count; i++)
        append(history, &logs[i]);
    printf("%llu queries saw what a kill took back; %llu answers said durable what it took back\n",
           (unsigned long long)queries, (unsigned long long)lost);
    verdict(lost == 0, "what was told durable is there after every kill");
}

static void judge(const struct history *history, uint64_t goal)
{
    struct history_verdict v;
    uint64_t good = 0, began = now_ns();
    for (size_t i = 0; i < history->op_count; i++)
        good += history->ops[i].type == HISTORY_OK;
    uint64_t anomalies = history_check(&v, history, true);
    printf(
        "%zu operations, %llu of them succeeded, %zu reads, %zu writes; edges: ww %llu, wr %llu, "
        "rw %llu, rt %llu; checked in %.1f s\n",
        history->op_count, (unsigned long long)good, history->read_count, history->write_count,
        (unsigned long long)v.edges[0], (unsigned long long)v.edges[1],
        (unsigned long long)v.edges[2], (unsigned long long)v.edges[3],
        (double)(now_ns() - began) / 1e9);
    for (int i = 0; i < HISTORY_ANOMALIES; i++)
        if (v.found[i] > 0)
            printf("  %s: %llu\n", history_anomaly_name((enum history_anomaly)i),
                   (unsigned long long)v.found[i]);
    verdict(anomalies == 0, "one serial order explains all that the clients saw, in real time");
    verdict(history->op_count >= goal && good > goal / 3, "there was enough to see");
}

static void run(const struct options *options)
{
    static struct world world;
    static struct client clients[CLIENTS], last;
    struct log logs[CLIENTS + 2] = {0};
    struct history history;
    struct link link;
    uint32_t all[OBJECTS];
    world.goal = options->ops;
    world.seed = options->seed;
    world.node = (struct node){.program = options->daemon, .durability = options->durability};
    snprintf(world.node.dir, sizeof world.node.dir, "/tmp/supervm-history-XXXXXX");
    if (mkdtemp(world.node.dir) == NULL || !node_start(&world.node) ||
        !link_open(&link, &world.node))
        fail("the node does not start: %s/log", world.node.dir);
    world_create_objects(&world, &link, &logs[CLIENTS]);
    link_close(&link);
    uint64_t began = now_ns();
    play(&world, clients, options->kills);
    printf("played in %.1f s\n", (double)(now_ns() - began) / 1e9);

    /* Once more, after one kill more: what is there now is what was there. */
    kill_and_restart(&world);
    last = (struct client){.world = &world, .index = CLIENTS, .life = atomic_load(&world.life)};
    for (uint32_t i = 0; i < OBJECTS; i++)
        all[i] = i;
    if (!link_open(&last.link, &world.node))
        fail("cannot connect");
    for (uint32_t i = 0; i < OBJECTS; i += OBJECTS / 2)
        if (!client_query(&last, all + i, OBJECTS / 2))
            fail("the node does not answer");
    link_close(&last.link);
    verdict(node_stop(&world.node) == 0, "the node stops in order");

    uint64_t fast = 0, ordered = 0, fallbacks = 0, again = 0, resent = 0;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        logs[i] = clients[i].log;
        fast += clients[i].fast;
        ordered += clients[i].ordered;
        fallbacks += clients[i].fallbacks;
        again += clients[i].again;
        resent += clients[i].resent;
    }
    logs[CLIENTS + 1] = last.log;
    printf(
        "fast %llu, ordered %llu, of them fallbacks %llu; %u kills, %llu requests sent again; %llu "
        "transactions sent again after their answer\n",
        (unsigned long long)fast, (unsigned long long)ordered, (unsigned long long)fallbacks,
        options->kills + 1, (unsigned long long)again, (unsigned long long)resent);
    gather(&history, &world, logs, CLIENTS + 2);
    judge(&history, options->ops);
    if (failed == 0)
        node_remove(&world.node);
    else
        printf("kept: %s\n", world.node.dir);
}

int main(int argc, char **argv)
{
    const char *seed = getenv("SVM_SEED");
    struct options options = {.ops = 100000,
                              .kills = 3,
                              .durability = "write",
                              .daemon = "build/bin/supervmd",
                              .seed = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL)};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            options.ops = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--kills") == 0)
            options.kills = (unsigned)strtoul(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--durability") == 0)
            options.durability = argv[i + 1];
        else if (strcmp(argv[i], "--daemon") == 0)
            options.daemon = argv[i + 1];
        else if (strcmp(argv[i], "--seed") == 0)
            options.seed = strtoull(argv[i + 1], NULL, 0);
        else
            argc = 0;
    }
    if (argc % 2 == 0 || options.kills > LIVES_MAX - 2) {
        fprintf(stderr, "usage: main_history [--ops N] [--kills N] [--durability MODE] [--daemon "
                        "PATH] [--seed N]\n");
        return 2;
    }
    printf("SVM_SEED=%llu, %llu operations, %u kills, durability %s\n",
           (unsigned long long)options.seed, (unsigned long long)options.ops, options.kills,
           options.durability);
    fflush(stdout);
    run(&options);
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}
