/* bench_redis: Redis, a private server on a unix socket, append-only file on, clients that pipeline.
 *
 *   transfer   a Lua script by EVALSHA: MGET, check, MSET
 *   counter    INCR, which is what Redis has for it
 *   unsynced   appendfsync everysec: replies leave after the write, a sync follows within a second
 *   fsynced    appendfsync always: one sync for all that a turn of the server's loop has taken in, before the replies leave */
#include "compare/compare.h"

#if __has_include(<hiredis/hiredis.h>)
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "compare/server.h"

enum { WINDOW = 256, FILL_BATCH = 1000, START_S = 20 };

static const char SERVER[] = "/usr/bin/redis-server";
static const char TRANSFER[] =
    "local v = redis.call('MGET', KEYS[1], KEYS[2])\n"
    "local from = tonumber(v[1])\n"
    "if from < 1 then return 0 end\n"
    "redis.call('MSET', KEYS[1], from - 1, KEYS[2], tonumber(v[2]) + 1)\n"
    "return 1";

struct state {
    char socket[PATH_MAX + 16];
    char script[64]; /* its SHA-1 */
};
struct session {
    redisContext *context;
};

static redisContext *connect_now(const struct state *state)
{
    redisContext *context = redisConnectUnix(state->socket);
    if (context != NULL && context->err == 0)
        return context;
    if (context != NULL)
        redisFree(context);
    return NULL;
}

/* take_reply: the next reply; the caller frees it. An error ends the run. */
static redisReply *take_reply(redisContext *context)
{
    redisReply *reply = NULL;
    if (redisGetReply(context, (void **)&reply) != REDIS_OK)
        die("redis: %s", context->errstr);
    if (reply->type == REDIS_REPLY_ERROR)
        die("redis: %s", reply->str);
    return reply;
}

static void fill(const struct compare *compare, redisContext *context)
{
    static char text[2 * FILL_BATCH + 1][24];
    static const char *words[2 * FILL_BATCH + 1];
    for (uint32_t first = 0; first < compare->objects; first += FILL_BATCH) {
        int count = 1;
        words[0] = "MSET";
        for (uint32_t i = first; i < compare->objects && i < first + FILL_BATCH; i++, count += 2) {
            snprintf(text[count], sizeof text[0], "%u", i);
            snprintf(text[count + 1], sizeof text[0], "%lld", (long long)compare_initial(compare));
            words[count] = text[count];
            words[count + 1] = text[count + 1];
        }
        redisAppendCommandArgv(context, count, words, NULL);
        freeReplyObject(take_reply(context));
    }
}

static redisContext *wait_for_server(const struct state *state, const char *log)
{
    const double until = now_s() + START_S;
    for (;;) {
        redisContext *context = connect_now(state);
        if (context != NULL)
            return context;
        if (!server_is_alive() || now_s() > until)
            die("redis does not start: see %s", log);
        nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
    }
}

static void open_redis(struct compare *compare)
{
    static struct state state;
    char log[PATH_MAX + 16];
    compare->state = &state;
    snprintf(state.socket, sizeof state.socket, "%s/socket", compare->dir);
    snprintf(log, sizeof log, "%s/log", compare->dir);
    char *argv[] = {(char *)(uintptr_t)SERVER,
                    "--port",
                    "0",
                    "--unixsocket",
                    state.socket,
                    "--dir",
                    compare->dir,
                    "--save",
                    "",
                    "--appendonly",
                    "yes",
                    "--appendfsync",
                    compare->synced ? "always" : "everysec",
                    "--auto-aof-rewrite-percentage",
                    "0",
                    "--daemonize",
                    "no",
                    "--latency-tracking",
                    "no",
                    NULL};
    server_start(argv, log, SIGKILL);
    redisContext *context = wait_for_server(&state, log);
    fill(compare, context);
    redisReply *reply = redisCommand(context, "SCRIPT LOAD %s", TRANSFER);
    if (reply == NULL || reply->type != REDIS_REPLY_STRING)
        die("redis: the script is not taken");
    snprintf(state.script, sizeof state.script, "%s", reply->str);
    freeReplyObject(reply);
    redisFree(context);
    snprintf(compare->settings, sizeof compare->settings,
             "appendonly yes, appendfsync %s, save off, no rewrites, unix socket, %u commands in "
             "flight per client, %s",
             compare->synced ? "always" : "everysec", compare->window,
             compare->workload == COMPARE_TRANSFER ? "Lua by EVALSHA" : "INCR");
}

static void begin(struct compare_client *client)
{
    struct session *session = client->session = calloc(1, sizeof *session);
    if (session == NULL || (session->context = connect_now(client->compare->state)) == NULL)
        die("redis: cannot connect");
}

static void send_one(struct compare_client *client)
{
    const struct state *state = client->compare->state;
    struct session *session = client->session;
    const struct compare_pick pick = compare_draw(client);
    char from[16], to[16];
    snprintf(from, sizeof from, "%u", pick.from);
    snprintf(to, sizeof to, "%u", pick.to);
    const char *transfer[] = {"EVALSHA", state->script, "2", from, to}, *counter[] = {"INCR", from};
    const bool is_transfer = client->compare->workload == COMPARE_TRANSFER;
    if (redisAppendCommandArgv(session->context, is_transfer ? 5 : 2,
                               is_transfer ? transfer : counter, NULL) != REDIS_OK)
        die("redis: %s", session->context->errstr);
}

static void take_one(struct compare_client *client)
{
    struct session *session = client->session;
    redisReply *reply = take_reply(session->context);
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 1)
        die("redis: a transaction did not succeed");
    freeReplyObject(reply);
}

static void end(struct compare_client *client)
{
    struct session *session = client->session;
    redisFree(session->context);
    free(session);
}

static void scan(struct compare *compare)
{
    static char text[FILL_BATCH + 1][16];
    static const char *words[FILL_BATCH + 1];
    redisContext *context = connect_now(compare->state);
    if (context == NULL)
        die("redis: cannot connect");
    for (uint32_t first = 0; first < compare->objects; first += FILL_BATCH) {
        int count = 1;
        words[0] = "MGET";
        for (uint32_t i = first; i < compare->objects && i < first + FILL_BATCH; i++, count++) {
            snprintf(text[count], sizeof text[0], "%u", i);
            words[count] = text[count];
        }
        redisAppendCommandArgv(context, count, words, NULL);
        redisReply *reply = take_reply(context);
        for (size_t i = 0; i < reply->elements; i++) {
            if (reply->element[i]->type != REDIS_REPLY_STRING)
                die("redis: object %zu is not there", first + i);
            compare_saw(compare, first + i, strtoll(reply->element[i]->str, NULL, 10));
        }
        freeReplyObject(reply);
    }
    redisFree(context);
}

static void close_redis(struct compare *compare)
{
    (void)compare;
    server_stop(SIGTERM);
}

static double cpu_s(struct compare *compare)
{
    (void)compare;
    return server_cpu_s();
}

static const char *missing(void)
{
    return access(SERVER, X_OK) != 0 ? "libhiredis-dev and redis-server" : NULL;
}

static const struct compare_system systems[] = {{.name = "redis",
                                                 .missing = missing,
                                                 .window = WINDOW,
                                                 .open = open_redis,
                                                 .begin = begin,
                                                 .send = send_one,
                                                 .take = take_one,
                                                 .end = end,
                                                 .scan = scan,
                                                 .close = close_redis,
                                                 .cpu_s = cpu_s}};
#else
static const char *missing(void)
{
    return "libhiredis-dev and redis-server";
}
static const struct compare_system systems[] = {{.name = "redis", .missing = missing}};
#endif

int main(int argc, char **argv)
{
    return compare_main(argc, argv, systems, sizeof systems / sizeof systems[0]);
}
