/* The table of digests and what is kept with them: many in a bucket, taken out in any order, hashes that are equal, lines of finished ones. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "engine/internal.h"

static const uint64_t ALL = UINT64_MAX / 2;
static struct receipt_table *table;
static struct pool *pool;
static struct receipt_line line;

static void setup(void)
{
    table = receipts_create(1, 8); /* as few buckets as there are */
    pool = pool_create();
    ck_assert(table && pool);
    memset(&line, 0, sizeof line);
    receipts_line_init(table, &line);
}

static void teardown(void)
{
    receipts_destroy(table);
    pool_destroy(pool);
}

static struct svm_digest digest_of(uint64_t n)
{
    struct svm_digest digest;
    struct rng rng;
    rng_init(&rng, n);
    for (size_t k = 0; k < sizeof digest.b; k += 8) {
        uint64_t word = rng_next(&rng);
        memcpy(digest.b + k, &word, 8);
    }
    return digest;
}

/* The hash is that of the first half. */
static struct svm_digest digest_alike(uint64_t n)
{
    struct svm_digest digest = digest_of(1);
    memcpy(digest.b + 24, &n, 8);
    return digest;
}

static struct receipt_entry *enter(const struct svm_digest *digest, uint64_t expires_ms)
{
    struct receipt_entry *entry = NULL;
    ck_assert_int_eq(
        receipts_enter(table, pool, digest, expires_ms, model_packed_size(1, 0), &entry),
        RECEIPTS_ENTERED);
    return entry;
}

static bool known(const struct svm_digest *digest, const struct receipt_entry *entry)
{
    struct receipt_entry *found = receipts_find(table, digest);
    if (!found)
        return false;
    receipts_unlock(table, found);
    ck_assert_ptr_eq(found, entry);
    ck_assert_mem_eq(found->digest.b, digest->b, sizeof digest->b);
    return true;
}

/* Forty and more in each bucket: six lines. Some go, from anywhere, some come back; the others stay as they were. */
static void come_and_go(struct svm_digest (*of)(uint64_t n), unsigned count)
{
    struct receipt_entry **entries = calloc(count, sizeof(struct receipt_entry *)), *found;
    struct rng rng;
    rng_init(&rng, 7);
    for (unsigned i = 0; i < count; i++) {
        struct svm_digest digest = of(i);
        entries[i] = enter(&digest, i + 1);
    }
    for (unsigned round = 0; round < 6 * count; round++) {
        unsigned i = (unsigned)(rng_next(&rng) % count), k = (unsigned)(rng_next(&rng) % count);
        struct svm_digest digest = of(i), other = of(k);
        if (entries[i]) {
            ck_assert_int_eq(receipts_enter(table, pool, &digest, 0, 64, &found), RECEIPTS_FOUND);
            ck_assert_ptr_eq(found, entries[i]);
            receipts_unlock(table, found);
            ck_assert_ptr_null(receipts_refuse(table, entries[i]));
            entries[i] = NULL;
        } else {
            entries[i] = enter(&digest, i + 1);
        }
        ck_assert(known(&digest, entries[i]) == (entries[i] != NULL));
        ck_assert(known(&other, entries[k]) == (entries[k] != NULL));
    }
    for (unsigned i = 0; i < count; i++) {
        struct svm_digest digest = of(i);
        ck_assert(known(&digest, entries[i]) == (entries[i] != NULL));
    }
    for (unsigned i = 0; i < count; i++) /* every line goes but the first */
        if (entries[i])
            ck_assert_ptr_null(receipts_refuse(table, entries[i]));
    for (unsigned i = 0; i < count; i++) {
        struct svm_digest digest = of(i);
        ck_assert_ptr_null(receipts_find(table, &digest));
    }
    free(entries);
}

START_TEST(digests_come_and_go)
{
    come_and_go(digest_of, 40000);
}
END_TEST

START_TEST(digests_with_one_hash_come_and_go)
{
    come_and_go(digest_alike, 200);
}
END_TEST

/* Nine hundred in one line: given once each, in order, as they become durable; let go in order, as they become material, and none that has
 * not been given. */
START_TEST(finished_ones_keep_their_order)
{
    enum { COUNT = 900 };
    struct receipt_limits limits = {.most = ALL};
    uint64_t given = 0, joined = 0, left = 0;
    struct rng rng;
    rng_init(&rng, 3);
    while (left < COUNT) {
        for (uint64_t n = rng_next(&rng) % 20; n > 0 && joined < COUNT; n--) {
            struct svm_digest digest = digest_of(++joined);
            struct receipt_entry *entry = enter(&digest, joined);
            receipts_publish(entry, joined);
            receipts_finished(&line, entry, 0);
        }
        uint64_t durable = given + rng_next(&rng) % (joined - given + 1);
        for (struct receipt_entry *entry; (entry = receipts_next_durable(&line, durable));)
            ck_assert_uint_eq(receipts_seq(entry), ++given);
        ck_assert_uint_eq(given, durable);
        limits.materialised = left + rng_next(&rng) % (joined - left + 1);
        receipts_evict(table, &line, rng_next(&rng) % 2 ? pool : NULL, &limits);
        left = limits.materialised < given ? limits.materialised : given > left ? given : left;
        for (uint64_t i = left > 5 ? left - 5 : 0; i < joined; i++) {
            struct svm_digest digest = digest_of(i + 1);
            struct receipt_entry *entry = receipts_find(table, &digest);
            ck_assert((entry != NULL) == (i >= left));
            if (entry)
                receipts_unlock(table, entry);
        }
    }
    ck_assert_uint_eq(receipts_bytes(table), 0);
    ck_assert_uint_eq(receipts_evicted_expires(table), COUNT);
}
END_TEST

/* In memory mode who can execute again stays, and who stands behind it in its class; also who is waited for, and who fits. */
START_TEST(what_is_needed_is_kept)
{
    struct receipt_limits limits = {.memory_mode = true, .now_ms = 100, .most = ALL};
    struct receipt_entry *entries[20];
    struct svm_digest digests[20];
    for (uint64_t i = 0; i < 20; i++) {
        digests[i] = digest_of(i);
        entries[i] = enter(&digests[i], i == 10 ? 100 : i % 2 * 99);
        receipts_publish(entries[i], i + 1);
        receipts_finished(&line, entries[i], receipts_class(entries[i], limits.now_ms));
    }
    struct engine_waiter waiter = {.wait = SVM_WAIT_DURABLE};
    ck_assert_ptr_eq(receipts_find(table, &digests[5]), entries[5]);
    ck_assert(receipts_wait(table, entries[5], &waiter));
    receipts_unlock(table, entries[5]);
    limits.bytes_max = receipts_bytes(table) - 1;
    receipts_evict(table, &line, pool, &limits);
    ck_assert(!known(&digests[1], NULL) && known(&digests[3], entries[3]));
    ck_assert(known(&digests[0], entries[0]));
    limits.bytes_max = 0;
    receipts_evict(table, &line, pool, &limits);
    ck_assert(!known(&digests[3], NULL) && known(&digests[5], entries[5]));
    ck_assert(!known(&digests[0], NULL) && !known(&digests[18], NULL)); /* they are guarded */
    struct engine_waiter *taken = receipts_detach(table, entries[5], SVM_WAIT_DURABLE);
    ck_assert_ptr_nonnull(taken);
    receipts_waiter_free(table, taken);
    receipts_evict(table, &line, pool, &limits);
    ck_assert(!known(&digests[9], NULL) && known(&digests[10], entries[10]));
    ck_assert(known(&digests[11], entries[11]));
    limits.now_ms = 101;
    receipts_evict(table, &line, pool, &limits);
    ck_assert_uint_eq(receipts_bytes(table), 0);
    ck_assert_uint_eq(receipts_evicted_expires(table), 100);
}
END_TEST

/* COUNT that expire at EXPIRES_MS; it is NOW_MS. */
static void finish_many(uint64_t *made, unsigned count, uint64_t expires_ms, uint64_t now_ms)
{
    for (; count > 0; count--) {
        struct svm_digest digest = digest_of(++*made);
        struct receipt_entry *entry = enter(&digest, expires_ms);
        receipts_publish(entry, *made);
        receipts_finished(&line, entry, receipts_class(entry, now_ms));
    }
}

/* Those of a burst that expire together are forgotten in parts, and those that come meanwhile do not make them more. */
START_TEST(a_burst_is_forgotten_in_parts)
{
    enum { BURST = 20000, MOST = 128, STEP = 64 };
    struct receipt_limits limits = {.memory_mode = true, .now_ms = 100, .most = MOST};
    const struct receipt_queue *queue = &line.queues[1];
    uint64_t made = 1, count = BURST;
    finish_many(&made, BURST, 200, 100);
    ck_assert(!receipts_evict(table, &line, pool, &limits)); /* none is old */
    ck_assert_uint_eq(queue->left, 0);
    limits.now_ms = 201;
    for (unsigned i = 0; i < 10; i++, count -= MOST) {
        ck_assert_uint_eq(queue->joined - queue->left, count);
        ck_assert(receipts_evict(table, &line, i % 2 ? pool : NULL, &limits));
    }
    ck_assert_uint_eq(queue->joined - queue->left, count);
    for (unsigned calls = 0; queue->joined != queue->left; calls++) {
        ck_assert_uint_le(calls, count / (MOST + STEP) + 1);
        const uint64_t left = queue->left;
        finish_many(&made, STEP, 1, 201);
        (void)receipts_evict(table, &line, pool, &limits);
        ck_assert_uint_le(queue->left - left, MOST + 2 * STEP);
    }
    ck_assert_uint_eq(receipts_bytes(table), 0);
    /* However many come between two looks. */
    finish_many(&made, BURST, 300, 201);
    ck_assert(!receipts_evict(table, &line, pool, &limits));
    limits.now_ms = 301;
    finish_many(&made, BURST, 1, 301);
    ck_assert(!receipts_evict(table, &line, pool, &limits));
    ck_assert_uint_eq(queue->joined - queue->left, 0);
}
END_TEST

static uint64_t standing(void)
{
    uint64_t n = 0;
    for (unsigned class = 0; class < RECEIPT_CLASSES; class ++)
        n += line.queues[class].joined - line.queues[class].left;
    return n;
}

/* Lives of each kind in turn, the longest first: each goes in its time, whoever stays. */
START_TEST(who_stays_holds_up_no_others)
{
    enum { EACH = 500 };
    static const uint64_t lives_ms[] = {600000, 200000, 20000, 2000, 0};
    struct receipt_limits limits = {.memory_mode = true, .now_ms = 1000, .most = ALL};
    uint64_t made = 0;
    for (unsigned i = 0; i < EACH; i++)
        for (unsigned k = 0; k < 5; k++)
            finish_many(&made, 1, lives_ms[k] ? limits.now_ms + lives_ms[k] : 0, limits.now_ms);
    for (unsigned k = 5; k-- > 0;) {
        limits.now_ms = 1000 + lives_ms[k] + (lives_ms[k] != 0);
        ck_assert(!receipts_evict(table, &line, pool, &limits));
        ck_assert_uint_eq(standing(), k * EACH);
        for (unsigned n = 1; n <= 5 * EACH; n++) {
            struct svm_digest digest = digest_of(n);
            struct receipt_entry *entry = receipts_find(table, &digest);
            ck_assert((entry != NULL) == ((n - 1) % 5 < k));
            if (entry)
                receipts_unlock(table, entry);
        }
    }
    ck_assert_uint_eq(receipts_bytes(table), 0);
}
END_TEST

/* The last ones that are guarded may be asked for, though there is too much that must stay. */
START_TEST(the_last_guarded_ones_stay)
{
    struct receipt_limits limits = {.memory_mode = true, .now_ms = 1000, .most = ALL};
    uint64_t made = 0;
    limits.bytes_max = 1 << 20;
    finish_many(&made, 10000, 601000, limits.now_ms);
    finish_many(&made, 1000, 0, limits.now_ms);
    ck_assert(!receipts_evict(table, &line, pool, &limits));
    ck_assert_uint_eq(standing(), 10000 + 128);
    struct svm_digest last = digest_of(made), first = digest_of(made - 128);
    ck_assert_ptr_null(receipts_find(table, &first));
    struct receipt_entry *entry = receipts_find(table, &last);
    ck_assert_ptr_nonnull(entry);
    receipts_unlock(table, entry);
}
END_TEST

/* However much each of them is: of what may stay they have half at most. */
START_TEST(guarded_ones_leave_room)
{
    enum { LINES = 4, EACH = 300, WRITES = 256, HALF = RECEIPTS_MEMORY_FACTOR / 2 };
    static struct receipt_line lines[LINES];
    static struct model_object object;
    static struct model_write writes[WRITES];
    struct receipt_limits limits = {.memory_mode = true, .now_ms = 1000, .most = ALL};
    limits.bytes_max = 1 << 20;
    for (unsigned i = 0; i < WRITES; i++)
        writes[i] = (struct model_write){.id = {{(uint8_t)i}}, .object = &object};
    uint64_t made = 0;
    memset(lines, 0, sizeof lines);
    for (unsigned k = 0; k < LINES; k++) {
        receipts_line_init(table, &lines[k]);
        for (unsigned i = 0; i < EACH; i++) {
            struct model_effects effects = {.write_count = WRITES, .writes = writes};
            effects.digest = digest_of(++made);
            struct receipt_entry *entry = enter(&effects.digest, 0);
            ck_assert(receipts_keep(entry, pool, &effects));
            receipts_publish(entry, made);
            receipts_finished(&lines[k], entry, 0);
        }
    }
    ck_assert_uint_gt(receipts_bytes(table), RECEIPTS_MEMORY_FACTOR * limits.bytes_max);
    for (unsigned k = 0; k < LINES; k++)
        (void)receipts_evict(table, &lines[k], pool, &limits);
    ck_assert_uint_le(receipts_bytes(table), HALF * limits.bytes_max);
    ck_assert_uint_gt(receipts_bytes(table), limits.bytes_max / 2);
    limits.bytes_max = 0;
    for (unsigned k = 0; k < LINES; k++)
        (void)receipts_evict(table, &lines[k], pool, &limits);
    ck_assert_uint_eq(receipts_bytes(table), 0);
}
END_TEST

/* ---- what is kept ------------------------------------------------------------------------------------------------ */

/* Up to eight changes lie with the entry if they were foreseen; others in a block of their own. What is read is the same. */
START_TEST(a_receipt_is_read_as_it_was_made)
{
    static union {
        struct model_object object;
        uint8_t bytes[1024];
    } made;
    struct model_write writes[12];
    for (unsigned i = 0; i < 12; i++)
        writes[i] = (struct model_write){.id = {{(uint8_t)i}}, .object = &made.object};
    made.object.version = 7;
    made.object.party.b[0] = 9; /* the sender's */
    for (uint16_t count = 0; count <= 12; count++) {
        struct model_effects effects = {.sender = {{9}}, .write_count = count, .writes = writes};
        struct svm_receipt *want = model_receipt_of(&effects);
        struct model_receipt_space space;
        struct receipt_entry *entry = NULL;
        effects.digest = want->digest = digest_of(count);
        ck_assert_int_eq(
            receipts_enter(table, pool, &want->digest, 0, model_packed_size(3, 0), &entry),
            RECEIPTS_ENTERED);
        receipts_let_go(entry); /* of nothing */
        ck_assert(receipts_keep(entry, pool, &effects));
        ck_assert(entry->whole == (count > 3));
        receipts_let_go(entry);
        ck_assert(!entry->whole);
        ck_assert_ptr_null(receipts_read(entry, &space));
        ck_assert(receipts_keep(entry, pool, &effects));
        receipts_publish(entry, 77);
        const struct svm_receipt *got = receipts_read(entry, &space);
        ck_assert_uint_eq(got->seq, 77);
        ck_assert_mem_eq(got->digest.b, want->digest.b, 32);
        ck_assert_mem_eq(got->sender.b, want->sender.b, 32);
        ck_assert_uint_eq(got->change_count, count);
        ck_assert_mem_eq(got->changes, want->changes, count * sizeof *want->changes);
        free(want);
        receipts_finished(&line, entry, 0);
    }
    const struct receipt_limits limits = {.memory_mode = true, .now_ms = 1, .most = ALL};
    receipts_evict(table, &line, pool, &limits);
    ck_assert_uint_eq(receipts_bytes(table), 0);
}
END_TEST

/* ---- threads ------------------------------------------------------------------------------------------------------ */

enum { TURNS = 100000, SHARED = 16 };
static _Atomic unsigned inside[SHARED];

/* Each takes digests that the others take too: one at a time has it. */
static void *contend(void *arg)
{
    struct pool *own = pool_create();
    struct rng rng;
    rng_init(&rng, (uintptr_t)arg);
    for (unsigned i = 0; i < TURNS; i++) {
        unsigned n = (unsigned)(rng_next(&rng) % SHARED);
        struct svm_digest digest = n % 2 ? digest_of(n) : digest_alike(n);
        struct receipt_entry *entry = NULL;
        enum receipts_enter_result result = receipts_enter(table, own, &digest, 0, 0, &entry);
        if (result == RECEIPTS_FOUND) {
            receipts_unlock(table, entry);
            continue;
        }
        ck_assert_uint_eq(atomic_fetch_add(&inside[n], 1), 0);
        atomic_fetch_sub(&inside[n], 1);
        ck_assert_ptr_null(receipts_refuse(table, entry));
    }
    return own;
}

START_TEST(one_at_a_time)
{
    pthread_t threads[4];
    void *pools[4];
    for (uintptr_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, contend, (void *)i), 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], &pools[i]);
    for (unsigned i = 0; i < 4; i++)
        pool_destroy(pools[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("receipts");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, digests_come_and_go);
    tcase_add_test(tc, digests_with_one_hash_come_and_go);
    tcase_add_test(tc, finished_ones_keep_their_order);
    tcase_add_test(tc, what_is_needed_is_kept);
    tcase_add_test(tc, a_burst_is_forgotten_in_parts);
    tcase_add_test(tc, who_stays_holds_up_no_others);
    tcase_add_test(tc, the_last_guarded_ones_stay);
    tcase_add_test(tc, guarded_ones_leave_room);
    tcase_add_test(tc, a_receipt_is_read_as_it_was_made);
    tcase_add_test(tc, one_at_a_time);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
