/* bench_rocksdb: RocksDB's two kinds of transactions, through its C interface.
 *
 *   rocksdb-occ     OptimisticTransactionDB: reads are tracked, validated at commit, repeated when defeated
 *   rocksdb-locks   TransactionDB: keys are locked as they are read, in ascending order, so there is no deadlock
 *   ...-group       the same, with what an expert would add to either when each commit must be on the disk: transactions write the WAL
 *                   without a sync, one thread syncs it in a loop, and a transaction counts when a sync that began after it has ended
 *
 * Keys are 8 bytes big endian, values 8 bytes: less than the objects of SuperVM carry. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rocksdb/c.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "compare/compare.h"

enum { FILL_BATCH = 10000, GROUP_WINDOW = 65536, GENERATIONS = 2 };

struct state {
    rocksdb_optimistictransactiondb_t *optimistic; /* one of these two */
    rocksdb_transactiondb_t *locking;
    rocksdb_t *base; /* of the optimistic one */
    rocksdb_options_t *options;
    rocksdb_readoptions_t *reads;
    rocksdb_writeoptions_t *writes;
    bool grouped;
    pthread_t syncer;
    _Atomic bool stop;
    _Atomic uint64_t syncs_begun, syncs_ended;
};

struct session {
    rocksdb_transaction_t *transaction; /* reused */
    rocksdb_optimistictransaction_options_t *optimistic;
    rocksdb_transaction_options_t *locking;
    uint64_t waiting[GENERATIONS]; /* grouped: committed after sync number [generation] had begun */
    uint64_t generation[GENERATIONS];
};

static void must(char *error, const char *what)
{
    if (error != NULL)
        die("rocksdb: %s: %s", what, error);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static void fill(struct compare *compare)
{
    struct state *state = compare->state;
    char *error = NULL;
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    uint8_t value[8];
    bytes_put_u64le(value, (uint64_t)compare_initial(compare));
    for (uint64_t i = 0; i < compare->objects; i++) {
        uint8_t key[8];
        bytes_put_u64be(key, i);
        rocksdb_writebatch_put(batch, (char *)key, sizeof key, (char *)value, sizeof value);
        if ((i + 1) % FILL_BATCH != 0 && i + 1 != compare->objects)
            continue;
        if (state->locking != NULL)
            rocksdb_transactiondb_write(state->locking, options, batch, &error);
        else
            rocksdb_write(state->base, options, batch, &error);
        must(error, "fill");
        rocksdb_writebatch_clear(batch);
    }
    rocksdb_writebatch_destroy(batch);
    rocksdb_writeoptions_destroy(options);
}

static void *sync_in_a_loop(void *arg)
{
    struct state *state = arg;
    while (!atomic_load(&state->stop)) {
        char *error = NULL;
        const uint64_t number = atomic_fetch_add(&state->syncs_begun, 1) + 1;
        if (state->locking != NULL)
            rocksdb_transactiondb_flush_wal(state->locking, 1, &error);
        else
            rocksdb_flush_wal(state->base, 1, &error);
        must(error, "sync");
        atomic_store(&state->syncs_ended, number);
    }
    return NULL;
}

/* set_options: much memory, no compression, filters: what such a workload is best served by. */
static void set_options(struct state *state)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru((size_t)1 << 30);
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_cache_destroy(cache); /* the table keeps it */
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom_full(10));
    state->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(state->options, 1);
    rocksdb_options_set_block_based_table_factory(state->options, table);
    rocksdb_options_set_write_buffer_size(state->options, (size_t)64 << 20);
    rocksdb_options_set_max_write_buffer_number(state->options, 4);
    rocksdb_options_set_max_background_jobs(state->options, 2);
    rocksdb_options_set_enable_pipelined_write(state->options, 1);
    rocksdb_options_set_compression(state->options, rocksdb_no_compression);
    rocksdb_block_based_options_destroy(table);
}

static void open_any(struct compare *compare, bool locks, bool grouped)
{
    struct state *state = calloc(1, sizeof *state);
    char *error = NULL;
    if (state == NULL)
        die("out of memory");
    if (grouped && !compare->synced)
        die("-group is about syncs: -fsynced only");
    compare->state = state;
    set_options(state);
    if (locks) {
        rocksdb_transactiondb_options_t *options = rocksdb_transactiondb_options_create();
        state->locking = rocksdb_transactiondb_open(state->options, options, compare->dir, &error);
        rocksdb_transactiondb_options_destroy(options);
    } else {
        state->optimistic =
            rocksdb_optimistictransactiondb_open(state->options, compare->dir, &error);
    }
    must(error, "open");
    if (!locks)
        state->base = rocksdb_optimistictransactiondb_get_base_db(state->optimistic);
    state->grouped = grouped;
    state->reads = rocksdb_readoptions_create();
    state->writes = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(state->writes, compare->synced && !grouped);
    fill(compare);
    if (grouped && pthread_create(&state->syncer, NULL, sync_in_a_loop, state) != 0)
        die("no thread to sync");
    snprintf(compare->settings, sizeof compare->settings,
             "%s, %s, key and value 8 bytes, write buffers 4 x 64 MiB, pipelined writes, block "
             "cache 1 GiB, bloom "
             "10, no compression",
             locks ? "TransactionDB, keys locked in ascending order"
                   : "OptimisticTransactionDB, parallel validation",
             !compare->synced ? "WAL on, sync=0"
             : grouped        ? "sync=0 and FlushWAL(sync) in a loop by one thread"
                              : "sync=1");
}

static void open_occ(struct compare *compare)
{
    open_any(compare, false, false);
}
static void open_occ_group(struct compare *compare)
{
    open_any(compare, false, true);
}
static void open_locks(struct compare *compare)
{
    open_any(compare, true, false);
}
static void open_locks_group(struct compare *compare)
{
    open_any(compare, true, true);
}

static void close_any(struct compare *compare)
{
    struct state *state = compare->state;
    if (state->grouped) {
        atomic_store(&state->stop, true);
        pthread_join(state->syncer, NULL);
    }
    if (state->locking != NULL) {
        rocksdb_transactiondb_close(state->locking);
    } else {
        rocksdb_optimistictransactiondb_close_base_db(state->base);
        rocksdb_optimistictransactiondb_close(state->optimistic);
    }
    rocksdb_readoptions_destroy(state->reads);
    rocksdb_writeoptions_destroy(state->writes);
    rocksdb_options_destroy(state->options);
    free(state);
}

/* ---- one transaction --------------------------------------------------------------------------------------------- */

/* A defeat is an answer: Busy, TimedOut, TryAgain ("Resource busy", ...). Anything else ends the run. */
static bool is_defeat(char *error)
{
    if (strncmp(error, "Resource busy", 13) != 0 &&
        strncmp(error, "Operation timed out", 19) != 0 &&
        strncmp(error, "Operation failed. Try again", 27) != 0)
        die("rocksdb: %s", error);
    free(error);
    return true;
}

static bool read_number(const struct state *state, struct session *session, uint32_t object,
                        uint64_t *number_out)
{
    uint8_t key[8];
    char *error = NULL;
    size_t length;
    bytes_put_u64be(key, object);
    rocksdb_pinnableslice_t *slice = rocksdb_transaction_get_pinned_for_update(
        session->transaction, state->reads, (char *)key, sizeof key, 1, &error);
    if (error != NULL)
        return !is_defeat(error);
    const char *value = rocksdb_pinnableslice_value(slice, &length);
    if (value == NULL || length != 8)
        die("rocksdb: object %u is not there", object);
    *number_out = bytes_get_u64le((const uint8_t *)value);
    rocksdb_pinnableslice_destroy(slice);
    return true;
}

static bool write_number(struct session *session, uint32_t object, uint64_t number)
{
    uint8_t key[8], value[8];
    char *error = NULL;
    bytes_put_u64be(key, object);
    bytes_put_u64le(value, number);
    rocksdb_transaction_put(session->transaction, (char *)key, sizeof key, (char *)value,
                            sizeof value, &error);
    return error == NULL || !is_defeat(error);
}

static bool try_transfer(const struct state *state, struct session *session,
                         struct compare_pick pick)
{
    const bool ascending = pick.from < pick.to;
    uint64_t low, high;
    if (!read_number(state, session, ascending ? pick.from : pick.to, &low) ||
        !read_number(state, session, ascending ? pick.to : pick.from, &high))
        return false;
    const uint64_t from = ascending ? low : high, to = ascending ? high : low;
    if (from < 1)
        die("object %u has nothing to give", pick.from);
    return write_number(session, pick.from, from - 1) && write_number(session, pick.to, to + 1);
}

static bool try_counter(const struct state *state, struct session *session,
                        struct compare_pick pick)
{
    uint64_t number;
    return read_number(state, session, pick.from, &number) &&
           write_number(session, pick.from, number + 1);
}

static bool try_once(struct compare *compare, struct session *session, struct compare_pick pick)
{
    const struct state *state = compare->state;
    char *error = NULL;
    session->transaction =
        state->locking != NULL
            ? rocksdb_transaction_begin(state->locking, state->writes, session->locking,
                                        session->transaction)
            : rocksdb_optimistictransaction_begin(state->optimistic, state->writes,
                                                  session->optimistic, session->transaction);
    if (!(compare->workload == COMPARE_TRANSFER ? try_transfer(state, session, pick)
                                                : try_counter(state, session, pick))) {
        rocksdb_transaction_rollback(session->transaction, &error);
        must(error, "rollback");
        return false;
    }
    rocksdb_transaction_commit(session->transaction, &error);
    return error == NULL || !is_defeat(error);
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

/* acknowledged: how many of those that waited are on the disk by now. */
static uint64_t acknowledged(struct state *state, struct session *session)
{
    const uint64_t ended = atomic_load(&state->syncs_ended);
    uint64_t count = 0;
    for (int i = 0; i < GENERATIONS; i++) {
        if (session->waiting[i] > 0 && session->generation[i] < ended) {
            count += session->waiting[i];
            session->waiting[i] = 0;
        }
    }
    return count;
}

/* wait_for_sync: the transaction just committed waits for a sync that begins from now on. At most two numbers are ever waited for: the one
 * under way and the next. */
static uint64_t wait_for_sync(struct state *state, struct session *session)
{
    const uint64_t generation = atomic_load(&state->syncs_begun);
    uint64_t count = acknowledged(state, session);
    const bool is_second = session->waiting[0] > 0 && session->generation[0] != generation
                               ? true
                               : session->waiting[1] > 0 && session->generation[1] == generation;
    const int slot = is_second ? 1 : 0;
    SVM_ASSERT(session->waiting[slot] == 0 || session->generation[slot] == generation);
    session->generation[slot] = generation;
    session->waiting[slot]++;
    while (session->waiting[0] + session->waiting[1] >= GROUP_WINDOW) {
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000}, NULL);
        count += acknowledged(state, session);
    }
    return count;
}

/* ---- clients ----------------------------------------------------------------------------------------------------- */

static void begin(struct compare_client *client)
{
    struct session *session = client->session = calloc(1, sizeof *session);
    if (session == NULL)
        die("out of memory");
    session->optimistic = rocksdb_optimistictransaction_options_create();
    session->locking = rocksdb_transaction_options_create();
}

static uint64_t step(struct compare_client *client)
{
    struct compare *compare = client->compare;
    struct state *state = compare->state;
    struct session *session = client->session;
    const struct compare_pick pick = compare_draw(client);
    while (!try_once(compare, session, pick))
        client->retries++;
    return state->grouped ? wait_for_sync(state, session) : 1;
}

static uint64_t drain(struct compare_client *client)
{
    struct state *state = client->compare->state;
    struct session *session = client->session;
    uint64_t count = 0;
    while (session->waiting[0] + session->waiting[1] > 0) {
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000}, NULL);
        count += acknowledged(state, session);
    }
    return count;
}

static void end(struct compare_client *client)
{
    struct session *session = client->session;
    if (session->transaction != NULL)
        rocksdb_transaction_destroy(session->transaction);
    rocksdb_optimistictransaction_options_destroy(session->optimistic);
    rocksdb_transaction_options_destroy(session->locking);
    free(session);
}

static void scan(struct compare *compare)
{
    struct state *state = compare->state;
    rocksdb_iterator_t *iterator =
        state->locking != NULL ? rocksdb_transactiondb_create_iterator(state->locking, state->reads)
                               : rocksdb_create_iterator(state->base, state->reads);
    char *error = NULL;
    for (rocksdb_iter_seek_to_first(iterator); rocksdb_iter_valid(iterator);
         rocksdb_iter_next(iterator)) {
        size_t key_bytes, value_bytes;
        const char *key = rocksdb_iter_key(iterator, &key_bytes);
        const char *value = rocksdb_iter_value(iterator, &value_bytes);
        if (key_bytes != 8 || value_bytes != 8)
            die("rocksdb: a row of another form");
        compare_saw(compare, bytes_get_u64be((const uint8_t *)key),
                    (int64_t)bytes_get_u64le((const uint8_t *)value));
    }
    rocksdb_iter_get_error(iterator, &error);
    must(error, "scan");
    rocksdb_iter_destroy(iterator);
}

#define SYSTEM(text, opener)                                                                       \
    {                                                                                              \
        .name = text, .open = opener, .begin = begin, .step = step, .drain = drain, .end = end,    \
        .scan = scan, .close = close_any                                                           \
    }

int main(int argc, char **argv)
{
    static const struct compare_system systems[] = {
        SYSTEM("rocksdb-occ", open_occ),
        SYSTEM("rocksdb-occ-group", open_occ_group),
        SYSTEM("rocksdb-locks", open_locks),
        SYSTEM("rocksdb-locks-group", open_locks_group),
    };
    return compare_main(argc, argv, systems, sizeof systems / sizeof systems[0]);
}
