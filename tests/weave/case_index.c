/* The index: insertion that makes the array grow, against lookups and other insertions. */
#include <string.h>

#include "cases.h"
#include "mvcc/internal.h"

enum { THREADS = 2, KEY_BYTES = 8, FULL = 45, KEYS = FULL + 2 };

static struct mvcc *domain;
static struct mvcc_table *table;
static struct mvcc_thread *threads[THREADS];
static uint8_t keys[KEYS][KEY_BYTES]; /* of one shard; the first FULL are there */

static void setup(void)
{
    const struct mvcc_config config = {
        .inflight_max = 8, .pins_max = 2, .threads_max = THREADS, .first_seq = 1};
    domain = mvcc_create(&config);
    table = mvcc_table(domain, MVCC_CELLS);
    for (int i = 0; i < THREADS; i++)
        threads[i] = mvcc_thread_create(domain);
    uint32_t shard = 0;
    mvcc_online(threads[0]);
    for (uint64_t number = 0, count = 0; count < KEYS; number++) {
        struct mvcc_head *head;
        memcpy(keys[count], &number, sizeof number);
        uint32_t its = mvcc_hash_key(table, keys[count], KEY_BYTES).shard;
        shard = count == 0 ? its : shard;
        if (its != shard)
            continue;
        if (count < FULL) {
            CASE_CHECK(mvcc_hold(table, threads[0], keys[count], KEY_BYTES, &head) ==
                       MVCC_HELD_LOAD);
            mvcc_load_finish(table, threads[0], head, NULL, 0);
        }
        count++;
    }
    mvcc_offline(threads[0]);
}

static bool hold_and_load(struct mvcc_thread *thread, int key)
{
    struct mvcc_head *head;
    mvcc_online(thread);
    enum mvcc_hold_result result = mvcc_hold(table, thread, keys[key], KEY_BYTES, &head);
    if (result == MVCC_HELD_LOAD)
        mvcc_load_finish(table, thread, head, NULL, 0);
    CASE_CHECK(mvcc_key_is(head, keys[key], KEY_BYTES));
    mvcc_offline(thread);
    return result == MVCC_HELD_LOAD;
}

static int inserted;

static void *insert_first(void *arg)
{
    (void)arg;
    inserted += hold_and_load(threads[0], FULL);
    return NULL;
}

static void *insert_same(void *arg)
{
    (void)arg;
    inserted += hold_and_load(threads[1], FULL);
    return NULL;
}

static void *find_old_ones(void *arg)
{
    (void)arg;
    mvcc_online(threads[1]);
    for (int i = 0; i < FULL; i += 16)
        CASE_CHECK(mvcc_find(table, keys[i], KEY_BYTES) != NULL);
    mvcc_offline(threads[1]);
    return NULL;
}

static void quiet_counters(void)
{
    for (int i = 0; i < THREADS; i++)
        weave_quiet(threads[i]->counters, sizeof threads[i]->counters);
}

static void check_all(int last)
{
    mvcc_online(threads[0]);
    for (int i = 0; i <= last; i++)
        CASE_CHECK(mvcc_find(table, keys[i], KEY_BYTES) != NULL);
    mvcc_offline(threads[0]);
}

static void run_find(void *arg)
{
    static void *(*const runs[])(void *) = {insert_first, find_old_ones};
    (void)arg;
    quiet_counters();
    case_threads(runs, 2);
    check_all(FULL);
}

static void run_same(void *arg)
{
    static void *(*const runs[])(void *) = {insert_first, insert_same};
    (void)arg;
    inserted = 0;
    quiet_counters();
    case_threads(runs, 2);
    CASE_CHECK(inserted == 1);
    check_all(FULL);
}

const struct case_of cases_index[] = {
    {{"index: growth against lookup", setup, run_find}, "the array before its slots", "grow-early"},
    {{"index: two insert one key", setup, run_same},
     "no second look under the lock",
     "insert-blind"},
    {{NULL, NULL, NULL}, NULL, NULL}};
