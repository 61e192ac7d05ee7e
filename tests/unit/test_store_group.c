/* The values of the log: round trip, and not one bit may change unseen. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "store/group.h"

enum { FRAMES = 50 };

static uint8_t value[STORE_GROUP_HEADER_BYTES + FRAMES];
static uint8_t key[8];

static struct store_group make(void)
{
    for (size_t i = 0; i < FRAMES; i++)
        value[STORE_GROUP_HEADER_BYTES + i] = (uint8_t)(i * 7);
    struct store_group group = {
        .first = 0x0102030405060708,
        .last = 0x0102030405060710,
        .node_ms = 1767225600000,
        .synced = 0x0102030405060707,
        .frames = {value + STORE_GROUP_HEADER_BYTES, FRAMES},
    };
    memset(group.prev.b, 0xab, 32);
    store_group_seal(&group, value);
    bytes_put_u64be(key, group.first);
    return group;
}

static bool intact(const uint8_t *key_bytes, const uint8_t *bytes, size_t len)
{
    struct store_group group;
    return store_group_parse(&group, (struct svm_bytes){key_bytes, 8},
                             (struct svm_bytes){bytes, len}) &&
           store_group_frames_intact(&group);
}

START_TEST(groups_come_back)
{
    struct store_group want = make(), have;
    ck_assert(store_group_parse(&have, (struct svm_bytes){key, 8},
                                (struct svm_bytes){value, sizeof value}));
    ck_assert(store_group_frames_intact(&have));
    ck_assert_uint_eq(have.first, want.first);
    ck_assert_uint_eq(have.last, want.last);
    ck_assert_uint_eq(have.node_ms, want.node_ms);
    ck_assert_uint_eq(have.synced, want.synced);
    ck_assert_mem_eq(have.prev.b, want.prev.b, 32);
    ck_assert_mem_eq(have.hash.b, want.hash.b, 32);
    ck_assert_uint_eq(have.frames.len, FRAMES);
    ck_assert_ptr_eq(have.frames.ptr, value + STORE_GROUP_HEADER_BYTES);
}
END_TEST

START_TEST(every_flipped_bit_is_seen)
{
    make();
    ck_assert(intact(key, value, sizeof value));
    for (size_t bit = 0; bit < 8 * sizeof value; bit++) {
        value[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(!intact(key, value, sizeof value), "bit %zu", bit);
        value[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 64; bit++) {
        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(!intact(key, value, sizeof value), "key bit %zu", bit);
        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(every_cut_is_seen)
{
    make();
    for (size_t len = 0; len < sizeof value; len++) {
        uint8_t *cut = malloc(len + 1); /* exact, so that a sanitizer sees a read beyond */
        memcpy(cut, value, len);
        ck_assert(!intact(key, cut, len));
        free(cut);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_group");
    TCase *tcase = tcase_create("group");
    tcase_add_test(tcase, groups_come_back);
    tcase_add_test(tcase, every_flipped_bit_is_seen);
    tcase_add_test(tcase, every_cut_is_seen);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
