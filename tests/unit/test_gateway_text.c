/* gateway/text: whatever comes in, what goes out is JSON, and never more than the limit. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/text.h"

static void expect_text(struct text *text, const char *expected)
{
    text_put_char(text, '\0');
    ck_assert(!text->overflow);
    ck_assert_str_eq(text->ptr, expected);
    text_deinit(text);
}

START_TEST(test_numbers)
{
    struct text text;
    text_init(&text, 1000);
    text_put_u64(&text, 0);
    text_put_char(&text, ' ');
    text_put_u64(&text, UINT64_MAX);
    text_put_char(&text, ' ');
    text_put_i64(&text, INT64_MIN);
    text_put_char(&text, ' ');
    text_put_i64(&text, -1);
    expect_text(&text, "0 18446744073709551615 -9223372036854775808 -1");
}
END_TEST

START_TEST(test_bytes)
{
    struct text text;
    const uint8_t bytes[] = {0x00, 0xfe, 0x10};
    text_init(&text, 1000);
    text_put_hex(&text, bytes, 3);
    text_put_base64(&text, bytes, 3);
    text_put_base64(&text, bytes, 1);
    text_put_base64(&text, bytes, 0);
    expect_text(&text, "\"0x00fe10\"\"AP4Q\"\"AA==\"\"\"");
}
END_TEST

START_TEST(test_strings)
{
    struct text text;
    text_init(&text, 1000);
    text_put_string(&text, "a\"\\\n\x01\x7f\xc3\xa9\xff\xc3(\xed\xa0\x80", 14);
    expect_text(&text,
                "\"a\\\"\\\\\\n\\u0001\\u007f\xc3\xa9\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd\"");
}
END_TEST

/* Random bytes become a JSON string that a strict parser takes. */
START_TEST(test_random_strings_are_json)
{
    const char *given = getenv("SVM_SEED");
    unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : 1;
    printf("SVM_SEED=%u\n", seed);
    for (int round = 0; round < 2000; round++) {
        char bytes[64];
        const size_t len = (size_t)(rand_r(&seed) % 64);
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (char)rand_r(&seed);
        }
        struct text text;
        text_init(&text, 4096);
        text_put_string(&text, bytes, len);
        json_t *json = json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        ck_assert_ptr_nonnull(json);
        json_decref(json);
        text_deinit(&text);
    }
}
END_TEST

START_TEST(test_limit)
{
    struct text text;
    text_init(&text, 600);
    for (int i = 0; i < 100; i++) {
        text_put(&text, "0123456789", 10);
    }
    ck_assert(text.overflow);
    ck_assert_uint_eq(text.len, 600);
    text_put(&text, "x", 1); /* stays as it is */
    ck_assert_uint_eq(text.len, 600);
    text_truncate(&text, 0);
    text_put(&text, "again", 5);
    ck_assert(!text.overflow);
    ck_assert_uint_eq(text.len, 5);
    text_deinit(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_text");
    TCase *tcase = tcase_create("text");
    tcase_add_test(tcase, test_numbers);
    tcase_add_test(tcase, test_bytes);
    tcase_add_test(tcase, test_strings);
    tcase_add_test(tcase, test_random_strings_are_json);
    tcase_add_test(tcase, test_limit);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
