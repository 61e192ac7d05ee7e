/* bench_lmdb: LMDB. One writer at a time by its design; each transaction is a write transaction of its own.
 *
 *   unsynced   MDB_NOSYNC with MDB_WRITEMAP: its fastest that survives the death of the process
 *   fsynced    its default: data, then the meta page, both synced at each commit
 *
 * Keys are integers (MDB_INTEGERKEY), values 8 bytes. */
#include "compare/compare.h"

#if __has_include(<lmdb.h>)
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lmdb.h>

enum { FILL_BATCH = 100000 };

struct state {
    MDB_env *env;
    MDB_dbi dbi;
};

static void must(int rc, const char *what)
{
    if (rc != MDB_SUCCESS)
        die("lmdb: %s: %s", what, mdb_strerror(rc));
}

static void put(MDB_txn *txn, const struct state *state, uint64_t object, uint64_t number,
                unsigned flags)
{
    MDB_val key = {sizeof object, &object}, value = {sizeof number, &number};
    must(mdb_put(txn, state->dbi, &key, &value, flags), "put");
}

static uint64_t get(MDB_txn *txn, const struct state *state, uint64_t object)
{
    MDB_val key = {sizeof object, &object}, value;
    uint64_t number;
    must(mdb_get(txn, state->dbi, &key, &value), "get");
    memcpy(&number, value.mv_data, sizeof number);
    return number;
}

static void open_lmdb(struct compare *compare)
{
    struct state *state = compare->state = calloc(1, sizeof *state);
    MDB_txn *txn = NULL;
    if (state == NULL)
        die("out of memory");
    must(mdb_env_create(&state->env), "create");
    must(mdb_env_set_mapsize(state->env, (size_t)4 << 30), "map");
    must(mdb_env_open(state->env, compare->dir, compare->synced ? 0 : MDB_NOSYNC | MDB_WRITEMAP,
                      0644),
         "open");
    for (uint64_t i = 0; i < compare->objects; i++) {
        if (txn == NULL)
            must(mdb_txn_begin(state->env, NULL, 0, &txn), "begin");
        if (i == 0)
            must(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &state->dbi), "open");
        put(txn, state, i, (uint64_t)compare_initial(compare), MDB_APPEND);
        if ((i + 1) % FILL_BATCH == 0 || i + 1 == compare->objects) {
            must(mdb_txn_commit(txn), "commit");
            txn = NULL;
        }
    }
    snprintf(compare->settings, sizeof compare->settings,
             "%s, integer keys, values 8 bytes, map 4 GiB, %s",
             compare->synced ? "default (two syncs a commit)" : "MDB_NOSYNC | MDB_WRITEMAP",
             mdb_version(NULL, NULL, NULL));
}

static uint64_t step(struct compare_client *client)
{
    const struct state *state = client->compare->state;
    const struct compare_pick pick = compare_draw(client);
    MDB_txn *txn;
    must(mdb_txn_begin(state->env, NULL, 0, &txn), "begin");
    const uint64_t from = get(txn, state, pick.from);
    if (client->compare->workload == COMPARE_TRANSFER) {
        const uint64_t to = get(txn, state, pick.to);
        if (from < 1)
            die("object %u has nothing to give", pick.from);
        put(txn, state, pick.from, from - 1, 0);
        put(txn, state, pick.to, to + 1, 0);
    } else {
        put(txn, state, pick.from, from + 1, 0);
    }
    must(mdb_txn_commit(txn), "commit");
    return 1;
}

static void scan(struct compare *compare)
{
    const struct state *state = compare->state;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    must(mdb_txn_begin(state->env, NULL, MDB_RDONLY, &txn), "begin");
    must(mdb_cursor_open(txn, state->dbi, &cursor), "cursor");
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
        uint64_t object;
        int64_t number;
        memcpy(&object, key.mv_data, sizeof object);
        memcpy(&number, value.mv_data, sizeof number);
        compare_saw(compare, object, number);
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
}

static void close_lmdb(struct compare *compare)
{
    struct state *state = compare->state;
    mdb_env_close(state->env);
    free(state);
}

static const struct compare_system systems[] = {
    {.name = "lmdb", .open = open_lmdb, .step = step, .scan = scan, .close = close_lmdb}};
#else
static const char *missing(void)
{
    return "liblmdb-dev";
}
static const struct compare_system systems[] = {{.name = "lmdb", .missing = missing}};
#endif

int main(int argc, char **argv)
{
    return compare_main(argc, argv, systems, sizeof systems / sizeof systems[0]);
}
