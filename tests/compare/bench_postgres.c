/* bench_postgres: PostgreSQL, a private cluster on a unix socket, prepared statements, clients in pipeline mode, each statement a
 * transaction of its own.
 *
 *   transfer   a stored function: two guarded updates, the lower row first, so there is no deadlock
 *   counter    one update
 *   unsynced   synchronous_commit = off      fsynced    on (group commit across the clients) */
#include "compare/compare.h"

#if __has_include(<libpq-fe.h>)
#include <arpa/inet.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "compare/server.h"

enum { WINDOW = 64, START_S = 60, INT4OID = 23 };

struct session {
    PGconn *connection;
};

static const char TRANSFER[] =
    "create function transfer(giver int, taker int) returns boolean language plpgsql as $$ begin "
    "if giver < taker then "
    "  update objects set number = number - 1 where id = giver and number >= 1; "
    "  if not found then return false; end if; "
    "  update objects set number = number + 1 where id = taker; "
    "else "
    "  update objects set number = number + 1 where id = taker; "
    "  update objects set number = number - 1 where id = giver and number >= 1; "
    "  if not found then raise exception 'nothing to give'; end if; "
    "end if; return true; end $$";

/* ---- the cluster ----------------------------------------------------------------------------------------------- */

/* find_tool: NAME of the newest version that is installed, if there is one. */
static bool find_tool(char *path_out, size_t cap, const char *name)
{
    char pattern[128];
    glob_t found;
    snprintf(pattern, sizeof pattern, "/usr/lib/postgresql/*/bin/%s", name);
    if (glob(pattern, 0, NULL, &found) != 0 || found.gl_pathc == 0)
        return false;
    snprintf(path_out, cap, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return true;
}

static PGconn *connect_now(const struct compare *compare)
{
    char text[PATH_MAX + 64];
    snprintf(text, sizeof text, "host='%s' port=5432 dbname=postgres user=bench", compare->dir);
    PGconn *connection = PQconnectdb(text);
    if (PQstatus(connection) == CONNECTION_OK)
        return connection;
    PQfinish(connection);
    return NULL;
}

/* run: one statement, which must succeed; the caller clears the result. */
static PGresult *run(PGconn *connection, const char *sql)
{
    PGresult *result = PQexec(connection, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        die("postgresql: %s: %s", sql, PQerrorMessage(connection));
    return result;
}

static void start_cluster(const struct compare *compare)
{
    char initdb[PATH_MAX], postgres[PATH_MAX], data[PATH_MAX + 16], log[PATH_MAX + 16],
        socket[PATH_MAX + 64];
    snprintf(data, sizeof data, "%s/data", compare->dir);
    snprintf(log, sizeof log, "%s/log", compare->dir);
    snprintf(socket, sizeof socket, "unix_socket_directories=%s", compare->dir);
    if (!find_tool(initdb, sizeof initdb, "initdb") ||
        !find_tool(postgres, sizeof postgres, "postgres"))
        die("postgresql is missing: scripts/setup bench");
    char *init[] = {initdb,  "-D", data,   "-U",          "bench", "-A",
                    "trust", "-E", "UTF8", "--no-locale", "-N",    NULL};
    server_run(init, log);
    char *serve[] = {postgres,
                     "-D",
                     data,
                     "-c",
                     socket,
                     "-c",
                     "listen_addresses=",
                     "-c",
                     "unix_socket_permissions=0700",
                     "-c",
                     "shared_buffers=1GB",
                     "-c",
                     "wal_level=minimal",
                     "-c",
                     "max_wal_senders=0",
                     "-c",
                     "max_wal_size=8GB",
                     "-c",
                     "checkpoint_timeout=1h",
                     "-c",
                     "wal_buffers=64MB",
                     "-c",
                     "max_connections=80",
                     "-c",
                     "jit=off",
                     "-c",
                     compare->synced ? "synchronous_commit=on" : "synchronous_commit=off",
                     NULL};
    server_start(serve, log, SIGQUIT);
}

static PGconn *wait_for_server(const struct compare *compare)
{
    const double until = now_s() + START_S;
    for (;;) {
        PGconn *connection = connect_now(compare);
        if (connection != NULL)
            return connection;
        if (!server_is_alive() || now_s() > until)
            die("postgresql does not start in %s", compare->dir);
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    }
}

static void open_postgres(struct compare *compare)
{
    char fill[160];
    start_cluster(compare);
    PGconn *connection = wait_for_server(compare);
    /* half-empty pages: updates stay on their page and touch no index */
    PQclear(run(connection, "create table objects (id int primary key, number bigint not null) "
                            "with (fillfactor = 50)"));
    snprintf(fill, sizeof fill, "insert into objects select g, %lld from generate_series(0, %u) g",
             (long long)compare_initial(compare), compare->objects - 1);
    PQclear(run(connection, fill));
    PQclear(run(connection, TRANSFER));
    PQclear(run(connection, "vacuum analyze objects"));
    PQclear(run(connection, "checkpoint"));
    snprintf(compare->settings, sizeof compare->settings,
             "PostgreSQL %d.%d, synchronous_commit=%s, %s, prepared, pipeline mode with %u in "
             "flight per client, shared_buffers "
             "1GB, wal_level=minimal, max_wal_size 8GB, checkpoint_timeout 1h, fillfactor 50, unix "
             "socket",
             PQserverVersion(connection) / 10000, PQserverVersion(connection) % 10000,
             compare->synced ? "on" : "off",
             compare->workload == COMPARE_TRANSFER ? "plpgsql function of two updates"
                                                   : "one update",
             compare->window);
    PQfinish(connection);
}

static void close_postgres(struct compare *compare)
{
    (void)compare;
    server_stop(SIGINT);
}

static double cpu_s(struct compare *compare)
{
    (void)compare;
    return server_cpu_s();
}

/* ---- clients --------------------------------------------------------------------------------------------------- */

static void begin(struct compare_client *client)
{
    static const Oid types[2] = {INT4OID, INT4OID};
    struct session *session = client->session = calloc(1, sizeof *session);
    if (session == NULL || (session->connection = connect_now(client->compare)) == NULL)
        die("postgresql: cannot connect");
    const bool is_transfer = client->compare->workload == COMPARE_TRANSFER;
    PGresult *result =
        PQprepare(session->connection, "one",
                  is_transfer ? "select transfer($1, $2)"
                              : "update objects set number = number + 1 where id = $1",
                  is_transfer ? 2 : 1, types);
    if (PQresultStatus(result) != PGRES_COMMAND_OK || !PQenterPipelineMode(session->connection))
        die("postgresql: %s", PQerrorMessage(session->connection));
    PQclear(result);
}

static void send_one(struct compare_client *client)
{
    struct session *session = client->session;
    const struct compare_pick pick = compare_draw(client);
    const uint32_t from = htonl(pick.from), to = htonl(pick.to);
    const char *values[2] = {(const char *)&from, (const char *)&to};
    static const int lengths[2] = {4, 4}, binary[2] = {1, 1};
    const int count = client->compare->workload == COMPARE_TRANSFER ? 2 : 1;
    /* the sync ends the transaction: without one, all that is in flight would be a single one */
    if (!PQsendQueryPrepared(session->connection, "one", count, values, lengths, binary, 1) ||
        !PQpipelineSync(session->connection))
        die("postgresql: %s", PQerrorMessage(session->connection));
}

static bool has_succeeded(const PGresult *result, enum compare_workload workload)
{
    if (workload == COMPARE_TRANSFER)
        return PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
               PQgetlength(result, 0, 0) == 1 && *PQgetvalue(result, 0, 0) == 1;
    return PQresultStatus(result) == PGRES_COMMAND_OK &&
           strcmp(PQcmdTuples((PGresult *)(uintptr_t)result), "1") == 0;
}

/* take_one: the result, the end of the statement, the end of the transaction. */
static void take_one(struct compare_client *client)
{
    struct session *session = client->session;
    PGresult *result = PQgetResult(session->connection);
    if (!has_succeeded(result, client->compare->workload))
        die("postgresql: a transaction did not succeed: %s", PQerrorMessage(session->connection));
    PQclear(result);
    if (PQgetResult(session->connection) != NULL)
        die("postgresql: more than one result");
    result = PQgetResult(session->connection);
    if (PQresultStatus(result) != PGRES_PIPELINE_SYNC)
        die("postgresql: %s", PQerrorMessage(session->connection));
    PQclear(result);
}

static void end(struct compare_client *client)
{
    struct session *session = client->session;
    PQfinish(session->connection);
    free(session);
}

static void scan(struct compare *compare)
{
    PGconn *connection = connect_now(compare);
    if (connection == NULL)
        die("postgresql: cannot connect");
    PGresult *result = run(connection, "select id, number from objects");
    for (int i = 0; i < PQntuples(result); i++)
        compare_saw(compare, strtoull(PQgetvalue(result, i, 0), NULL, 10),
                    strtoll(PQgetvalue(result, i, 1), NULL, 10));
    PQclear(result);
    PQfinish(connection);
}

static const char *missing(void)
{
    char path[PATH_MAX];
    return !find_tool(path, sizeof path, "initdb") ? "libpq-dev and postgresql" : NULL;
}

static const struct compare_system systems[] = {{.name = "postgres",
                                                 .user = "postgres",
                                                 .missing = missing,
                                                 .window = WINDOW,
                                                 .open = open_postgres,
                                                 .begin = begin,
                                                 .send = send_one,
                                                 .take = take_one,
                                                 .end = end,
                                                 .scan = scan,
                                                 .close = close_postgres,
                                                 .cpu_s = cpu_s}};
#else
static const char *missing(void)
{
    return "libpq-dev and postgresql";
}
static const struct compare_system systems[] = {{.name = "postgres", .missing = missing}};
#endif

int main(int argc, char **argv)
{
    return compare_main(argc, argv, systems, sizeof systems / sizeof systems[0]);
}
