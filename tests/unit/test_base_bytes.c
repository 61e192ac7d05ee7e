/* base/bytes: integers, hexadecimal and base64 against fixed vectors, and a random round trip (SVM_SEED). */
#include "base/bytes.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t seed;

static uint64_t next_random(void)
{
    seed += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

START_TEST(integers_have_the_order_their_name_says)
{
    const uint8_t bytes[9] = {0xff, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x87, 0x98};
    const uint8_t *p = bytes + 1; /* not aligned */
    uint8_t out[8];
    ck_assert_uint_eq(bytes_get_u16le(p), 0x0201);
    ck_assert_uint_eq(bytes_get_u16be(p), 0x0102);
    ck_assert_uint_eq(bytes_get_u32le(p), 0x04030201);
    ck_assert_uint_eq(bytes_get_u32be(p), 0x01020304);
    ck_assert(bytes_get_u64le(p) == UINT64_C(0x9887060504030201));
    ck_assert(bytes_get_u64be(p) == UINT64_C(0x0102030405068798));
    bytes_put_u64le(out, UINT64_C(0x9887060504030201));
    ck_assert_mem_eq(out, p, 8);
    bytes_put_u64be(out, UINT64_C(0x0102030405068798));
    ck_assert_mem_eq(out, p, 8);
    bytes_put_u32le(out, 0x04030201);
    ck_assert_mem_eq(out, p, 4);
    bytes_put_u32be(out, 0x01020304);
    ck_assert_mem_eq(out, p, 4);
    bytes_put_u16le(out, 0x0201);
    ck_assert_mem_eq(out, p, 2);
    bytes_put_u16be(out, 0x0102);
    ck_assert_mem_eq(out, p, 2);
}
END_TEST

/* RFC 4648, section 10 */
static const struct {
    const char *plain, *base64, *hex;
} vectors[] = {
    {"", "", ""},
    {"f", "Zg==", "66"},
    {"fo", "Zm8=", "666f"},
    {"foo", "Zm9v", "666f6f"},
    {"foob", "Zm9vYg==", "666f6f62"},
    {"fooba", "Zm9vYmE=", "666f6f6261"},
    {"foobar", "Zm9vYmFy", "666f6f626172"},
};

START_TEST(rfc_4648_vectors)
{
    const char *plain = vectors[_i].plain;
    const size_t len = strlen(plain);
    char text[32];
    uint8_t bytes[32];
    size_t n = 99;
    ck_assert_uint_eq(base64_encode(text, (const uint8_t *)plain, len), strlen(vectors[_i].base64));
    ck_assert_str_eq(text, vectors[_i].base64);
    ck_assert(base64_decode(bytes, sizeof bytes, &n, text, strlen(text)));
    ck_assert_uint_eq(n, len);
    ck_assert_mem_eq(bytes, plain, len);
    hex_encode(text, (const uint8_t *)plain, len);
    ck_assert_str_eq(text, vectors[_i].hex);
    ck_assert(hex_decode(bytes, sizeof bytes, &n, text, strlen(text)));
    ck_assert_uint_eq(n, len);
    ck_assert_mem_eq(bytes, plain, len);
}
END_TEST

static const char *const not_base64[] = {
    "Z",
    "Zg",
    "Zg=",
    "Zg===",
    "=",
    "====",
    "Z===",
    "Zh==" /* bits that no byte has */,
    "Zm9=" /* likewise */,
    "Zm9v ",
    " Zm9v",
    "Zm9v\n",
    "Zm9v====",
    "Zg==Zg==",
    "Zm-v",
    "Zm_v",
    "Zm\2009v",
    "Z=g=",
    "=Zg=",
    "Zg=a",
};

START_TEST(base64_is_strict)
{
    uint8_t bytes[32];
    size_t n = 0;
    const char *text = not_base64[_i];
    ck_assert_msg(!base64_decode(bytes, sizeof bytes, &n, text, strlen(text)), "%s", text);
}
END_TEST

START_TEST(decoders_respect_the_capacity)
{
    uint8_t bytes[4] = {0, 0, 0, 0xaa};
    size_t n = 0;
    ck_assert(!base64_decode(bytes, 2, &n, "Zm9v", 4));
    ck_assert(base64_decode(bytes, 3, &n, "Zm9v", 4));
    ck_assert(!hex_decode(bytes, 2, &n, "666f6f", 6));
    ck_assert(hex_decode(bytes, 3, &n, "666F6f", 6));
    ck_assert_uint_eq(bytes[3], 0xaa);
    ck_assert(!hex_decode(bytes, 3, &n, "666", 3));
    ck_assert(!hex_decode(bytes, 3, &n, "6g", 2));
    ck_assert(!hex_decode(bytes, 3, &n, "0x", 2));
}
END_TEST

START_TEST(hex32_is_strict)
{
    uint8_t bytes[32];
    uint8_t back[32];
    char text[67];
    char longer[80];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 9 + 1);
    }
    svm_hex32_format(text, bytes);
    ck_assert_uint_eq(strlen(text), 66);
    ck_assert_int_eq(svm_hex32_parse(back, text), SVM_OK);
    ck_assert_mem_eq(back, bytes, 32);
    text[65] = 'G';
    ck_assert_int_eq(svm_hex32_parse(back, text), SVM_E_INVALID_PARAMS);
    ck_assert_mem_eq(back, bytes, 32); /* untouched */
    text[65] = 'F';
    ck_assert_int_eq(svm_hex32_parse(back, text), SVM_OK);
    ck_assert_int_eq(svm_hex32_parse(back, text + 1), SVM_E_INVALID_PARAMS);
    ck_assert_int_eq(svm_hex32_parse(back, ""), SVM_E_INVALID_PARAMS);
    snprintf(longer, sizeof longer, "%s0", text);
    ck_assert_int_eq(svm_hex32_parse(back, longer), SVM_E_INVALID_PARAMS);
    text[1] = 'X';
    ck_assert_int_eq(svm_hex32_parse(back, text), SVM_E_INVALID_PARAMS);
}
END_TEST

/* Every text that decodes is the text that its bytes encode to, and the reverse. */
START_TEST(base64_is_one_to_one)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    unsigned accepted = 0;
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t bytes[64];
        char text[16];
        char back[16];
        size_t n = 0;
        const size_t len = 4 * (next_random() % 3);
        for (size_t i = 0; i < len; i++) {
            /* few digits, so that padding and zero bits are met often */
            text[i] = round % 2 == 0 ? digits[next_random() % 65] : "AQgw=="[next_random() % 6];
        }
        text[len] = '\0';
        if (base64_decode(bytes, sizeof bytes, &n, text, len)) {
            accepted++;
            ck_assert_uint_eq(base64_encode(back, bytes, n), len);
            ck_assert_str_eq(back, text);
        }
        const size_t plain_len = next_random() % 33;
        char long_text[64];
        for (size_t i = 0; i < plain_len; i++) {
            bytes[i] = (uint8_t)next_random();
        }
        const size_t text_len = base64_encode(long_text, bytes, plain_len);
        uint8_t decoded[64];
        ck_assert(base64_decode(decoded, base64_bytes_max(text_len), &n, long_text, text_len));
        ck_assert_uint_eq(n, plain_len);
        ck_assert_mem_eq(decoded, bytes, plain_len);
    }
    ck_assert_uint_gt(accepted, 1000);
}
END_TEST

int main(void)
{
    const char *given = getenv("SVM_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SVM_SEED=%" PRIu64 "\n", seed);
    Suite *suite = suite_create("base_bytes");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, integers_have_the_order_their_name_says);
    tcase_add_loop_test(tcase, rfc_4648_vectors, 0, sizeof vectors / sizeof vectors[0]);
    tcase_add_loop_test(tcase, base64_is_strict, 0, sizeof not_base64 / sizeof not_base64[0]);
    tcase_add_test(tcase, decoders_respect_the_capacity);
    tcase_add_test(tcase, hex32_is_strict);
    tcase_add_test(tcase, base64_is_one_to_one);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
