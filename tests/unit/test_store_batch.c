/* Batches: sorted, each key once, the last operation wins. Compared with a quadratic twin. */
#include "store_bed.h"

#include "base/bytes.h"
#include "store/batch.h"

enum { OPS = 3000, KEY_MAX = 24 };

static struct {
    uint8_t key[KEY_MAX];
    size_t len;
} keys[OPS];

/* Keys with long equal beginnings, prefixes of each other, and many repeats. */
static size_t random_key(struct rng *rng, uint8_t out[KEY_MAX])
{
    size_t len = 1 + rng_below(rng, KEY_MAX);
    memset(out, rng_below(rng, 2) ? 'o' : 'w', len);
    if (len > 1)
        out[len - 1] = (uint8_t)rng_below(rng, 256);
    if (rng_below(rng, 2) == 0)
        for (size_t i = 1; i < len; i++)
            out[i] = (uint8_t)rng_below(rng, 3);
    return len;
}

START_TEST(the_last_operation_on_a_key_wins)
{
    struct rng rng;
    rng_init(&rng, bed_seed("the_last_operation_on_a_key_wins"));
    struct store_batch batch;
    store_batch_init(&batch);
    for (unsigned round = 0; round < 5; round++) { /* the memory is used again */
        store_batch_clear(&batch);
        for (uint32_t i = 0; i < OPS; i++) {
            keys[i].len = random_key(&rng, keys[i].key);
            uint8_t *key = store_batch_alloc(&batch, keys[i].len);
            memcpy(key, keys[i].key, keys[i].len);
            uint8_t *value = store_batch_alloc(&batch, sizeof i);
            memcpy(value, &i, sizeof i);
            if (i % 5 == 0)
                store_batch_del(&batch, (struct svm_bytes){key, keys[i].len});
            else
                store_batch_put(&batch, (struct svm_bytes){key, keys[i].len},
                                (struct svm_bytes){value, sizeof i});
        }
        const struct svm_kv_op *ops;
        size_t count, distinct = 0;
        ck_assert_int_eq(store_batch_sort(&batch, &ops, &count), SVM_OK);
        for (size_t i = 0; i < OPS; i++) {
            size_t later = i + 1;
            while (later < OPS && (keys[later].len != keys[i].len ||
                                   memcmp(keys[later].key, keys[i].key, keys[i].len) != 0))
                later++;
            if (later < OPS)
                continue;
            distinct++;
            size_t at = 0;
            while (at < count && (ops[at].key.len != keys[i].len ||
                                  memcmp(ops[at].key.ptr, keys[i].key, keys[i].len) != 0))
                at++;
            ck_assert_uint_lt(at, count);
            ck_assert_int_eq(ops[at].del, i % 5 == 0);
            uint32_t writer = (uint32_t)i;
            if (!ops[at].del)
                ck_assert_mem_eq(ops[at].value.ptr, &writer, sizeof writer);
        }
        ck_assert_uint_eq(count, distinct);
        for (size_t i = 1; i < count; i++) {
            size_t shared =
                ops[i - 1].key.len < ops[i].key.len ? ops[i - 1].key.len : ops[i].key.len;
            int order = memcmp(ops[i - 1].key.ptr, ops[i].key.ptr, shared);
            ck_assert(order < 0 || (order == 0 && ops[i - 1].key.len < ops[i].key.len));
        }
    }
    store_batch_deinit(&batch);
}
END_TEST

/* Rows of few ids, written again and again with values of any length, among others that share their first bytes. */
START_TEST(rows_written_again_hold_the_last_value)
{
    enum { IDS = 200, WRITES = 20000, LONGEST = 300 };
    static struct {
        uint8_t id[32], value[LONGEST];
        size_t len;
    } rows[IDS];
    struct rng rng;
    rng_init(&rng, bed_seed("rows_written_again_hold_the_last_value"));
    struct store_batch batch;
    store_batch_init(&batch);
    for (int round = 0; round < 3; round++) {
        store_batch_clear(&batch);
        for (size_t i = 0; i < IDS; i++) {
            memset(rows[i].id, (int)(i / 4), 32);
            rows[i].id[31] = (uint8_t)(i % 4);
            rows[i].len = 0;
        }
        for (size_t w = 0; w < WRITES; w++) {
            const size_t i = rng_below(&rng, IDS - 1), len = 1 + rng_below(&rng, LONGEST);
            uint8_t *value = store_batch_row(&batch, 'o', rows[i].id, len);
            ck_assert_ptr_nonnull(value);
            memset(rows[i].value, (int)w, len);
            memset(value, (int)w, len);
            rows[i].len = len;
        }
        ck_assert_uint_lt(batch.count, WRITES);
        const struct svm_kv_op *ops;
        size_t count, at = 0;
        ck_assert_int_eq(store_batch_sort(&batch, &ops, &count), SVM_OK);
        for (size_t i = 0; i < IDS; i++) {
            if (rows[i].len == 0)
                continue;
            ck_assert_uint_lt(at, count);
            ck_assert_uint_eq(ops[at].key.len, 33);
            ck_assert_mem_eq(ops[at].key.ptr + 1, rows[i].id, 32);
            ck_assert_uint_eq(ops[at].value.len, rows[i].len);
            ck_assert_mem_eq(ops[at].value.ptr, rows[i].value, rows[i].len);
            at++;
        }
        ck_assert_uint_eq(at, count);
        if (round == 1) {
            store_batch_clear(&batch);
            store_batch_trim(&batch);
        }
    }
    store_batch_deinit(&batch);
}
END_TEST

START_TEST(large_values_have_room)
{
    struct store_batch batch;
    store_batch_init(&batch);
    for (size_t size = 1; size < 8u << 20; size = size * 3 + 1) {
        uint8_t *memory = store_batch_alloc(&batch, size);
        ck_assert_ptr_nonnull(memory);
        memset(memory, 1, size);
    }
    const struct svm_kv_op *ops;
    size_t count;
    ck_assert_int_eq(store_batch_sort(&batch, &ops, &count), SVM_OK);
    ck_assert_uint_eq(count, 0);
    store_batch_deinit(&batch);
}
END_TEST

/* fill: COUNT rows of 300 bytes with different keys, sorted, looked at, cleared. */
static void fill(struct store_batch *batch, size_t count)
{
    enum { KEY_BYTES = 8, VALUE_BYTES = 300 };
    const struct svm_kv_op *ops;
    size_t sorted;
    for (size_t i = 0; i < count; i++) {
        uint8_t *key = store_batch_alloc(batch, KEY_BYTES + VALUE_BYTES);
        if (key == NULL)
            ck_abort_msg("no memory");
        bytes_put_u64be(key, count - i);
        memset(key + KEY_BYTES, (int)i & 0xff, VALUE_BYTES);
        store_batch_put(batch, (struct svm_bytes){key, KEY_BYTES},
                        (struct svm_bytes){key + KEY_BYTES, VALUE_BYTES});
    }
    ck_assert_int_eq(store_batch_sort(batch, &ops, &sorted), SVM_OK);
    ck_assert_uint_eq(sorted, count);
    size_t good = 0;
    for (size_t i = 0; i < count; i++)
        good += bytes_get_u64be(ops[i].key.ptr) == i + 1 &&
                ops[i].value.ptr[VALUE_BYTES - 1] == (uint8_t)(count - 1 - i);
    ck_assert_uint_eq(good, count);
    store_batch_clear(batch);
}

/* After a stall one batch is long; the short ones that follow do not keep its memory. */
START_TEST(a_long_batch_is_forgotten)
{
    enum { LONG = 20000, SHORT = 100, FEW = 20, MANY = 600 };
    struct store_batch batch;
    store_batch_init(&batch);
    fill(&batch, LONG);
    const size_t cap = batch.cap, chunks = batch.chunks_lately;
    ck_assert_uint_ge(cap, LONG);
    for (unsigned i = 0; i < FEW; i++) { /* long ones may come again */
        fill(&batch, SHORT);
        store_batch_clear(&batch); /* empty: says nothing of what is needed */
    }
    ck_assert_uint_eq(batch.cap, cap);
    ck_assert_ptr_nonnull(batch.spare);
    fill(&batch, LONG);
    ck_assert_uint_eq(batch.cap, cap);
    ck_assert_uint_eq(batch.chunks_lately, chunks);
    for (unsigned i = 0; i < MANY; i++)
        fill(&batch, SHORT);
    ck_assert_uint_lt(batch.cap, cap / 2);
    ck_assert_uint_le(batch.chunks_lately, chunks / 2);
    fill(&batch, LONG);
    store_batch_deinit(&batch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_batch");
    TCase *tcase = tcase_create("batch");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_last_operation_on_a_key_wins);
    tcase_add_test(tcase, rows_written_again_hold_the_last_value);
    tcase_add_test(tcase, large_values_have_room);
    tcase_add_test(tcase, a_long_batch_is_forgotten);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
