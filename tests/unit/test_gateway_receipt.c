/* The receipt's own writer against the tables: the same bytes for whatever it takes. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/receipt_json.h"
#include "gateway/schema.h"

static uint64_t seed;

static uint64_t next_random(void)
{
    seed += 0x9e3779b97f4a7c15;
    uint64_t z = seed;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void fill(void *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)out)[i] = (uint8_t)next_random();
    }
}

/* Numbers of every length, the largest among them. */
static uint64_t random_number(void)
{
    return next_random() % 16 == 0 ? UINT64_MAX : next_random() >> next_random() % 64;
}

static bool mostly(bool value)
{
    return next_random() % 32 == 0 ? !value : value;
}

enum { CHANGES = 5 };

static void random_receipt(struct rpc_receipt *receipt, struct rpc_change changes[3 * CHANGES])
{
    memset(receipt, 0, sizeof *receipt);
    for (unsigned i = 0; i < 3 * CHANGES; i++) {
        memset(&changes[i], 0, sizeof changes[i]);
        fill(&changes[i].id, sizeof changes[i].id);
        fill(&changes[i].owner, sizeof changes[i].owner);
        changes[i].version = random_number();
        changes[i].kind = (enum rpc_kind)(next_random() % 3);
        changes[i].has_owner = next_random() % 2 == 0;
    }
    fill(&receipt->digest, sizeof receipt->digest);
    fill(&receipt->sender, sizeof receipt->sender);
    receipt->status = mostly(true) ? (enum rpc_status)(1 + next_random() % 2)
                                   : (enum rpc_status)(next_random() % 4);
    receipt->duplicate = next_random() % 2 == 0;
    receipt->path = (enum rpc_path)(next_random() % 3);
    receipt->has_path = mostly(true);
    receipt->fallback = (struct rpc_fallback){.reason = "CONTENDED"};
    receipt->has_fallback = mostly(false);
    receipt->seq = random_number();
    receipt->has_seq = mostly(true);
    receipt->durable_seq = random_number();
    receipt->gas_used = random_number();
    receipt->has_gas_used = mostly(true);
    receipt->latency_us = random_number();
    receipt->has_latency_us = mostly(true);
    receipt->failure = (struct rpc_failure){.name = "OVERFLOW", .op = 3};
    receipt->has_failure = mostly(false);
    receipt->effects = (struct rpc_effects){.created = changes,
                                            .created_count = next_random() % (CHANGES + 1),
                                            .mutated = changes + CHANGES,
                                            .mutated_count = next_random() % (CHANGES + 1),
                                            .deleted = changes + 2 * CHANGES,
                                            .deleted_count = next_random() % (CHANGES + 1)};
    receipt->has_effects = mostly(true);
    receipt->has_sender = mostly(false);
    receipt->executed_ms = random_number();
    receipt->has_executed_ms = mostly(false);
}

START_TEST(the_text_is_that_of_the_tables)
{
    const unsigned rounds = getenv("SVM_SHORT") != NULL ? 2000 : 20000;
    unsigned taken = 0;
    for (unsigned round = 0; round < rounds; round++) {
        struct rpc_receipt receipt;
        struct rpc_change changes[3 * CHANGES];
        struct text quick, general;
        random_receipt(&receipt, changes);
        /* limits around what is needed: a text that overflows does so whichever way it was written */
        const size_t limit = round % 4 == 0 ? next_random() % 5000 : 100000;
        text_init(&quick, limit);
        text_init(&general, limit);
        taken += receipt_json_write(&quick, &receipt);
        text_truncate(&quick, 0);
        schema_write(&quick, &rpc_schema_receipt, &receipt);
        schema_write_general(&general, &rpc_schema_receipt, &receipt);
        ck_assert_int_eq(quick.overflow, general.overflow);
        if (!general.overflow) {
            ck_assert_uint_eq(quick.len, general.len);
            ck_assert_mem_eq(quick.ptr, general.ptr, general.len);
        }
        text_deinit(&quick);
        text_deinit(&general);
    }
    ck_assert_uint_gt(taken, rounds / 4);
    ck_assert_uint_lt(taken, rounds - rounds / 20);
}
END_TEST

START_TEST(it_is_appended)
{
    struct rpc_receipt receipt;
    struct rpc_change changes[3 * CHANGES];
    struct text text, alone;
    do {
        random_receipt(&receipt, changes);
        text_init(&alone, 100000);
    } while (!receipt_json_write(&alone, &receipt));
    text_init(&text, 100000);
    text_puts(&text, "before ");
    ck_assert(receipt_json_write(&text, &receipt));
    ck_assert_uint_eq(text.len, alone.len + 7);
    ck_assert_mem_eq(text.ptr, "before ", 7);
    ck_assert_mem_eq(text.ptr + 7, alone.ptr, alone.len);
    text_deinit(&text);
    text_deinit(&alone);
}
END_TEST

int main(void)
{
    const char *given = getenv("SVM_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SVM_SEED=%" PRIu64 "\n", seed);
    Suite *suite = suite_create("gateway_receipt");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, the_text_is_that_of_the_tables);
    tcase_add_test(tcase, it_is_appended);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
