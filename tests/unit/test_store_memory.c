/* A start that has no memory to write the log again with says that, and not that the disk has failed. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "failing_memory.h"
#include "store_bed.h"

START_TEST(without_memory_a_log_is_not_written_again)
{
    struct bed bed;
    struct svm_kv_ops kv = {0};
    char path[100], reason[120] = "";
    uint8_t key[8], value[100], *got;
    size_t len;
    bytes_put_u64be(key, 1);
    memset(value, 7, sizeof value);
    const struct svm_kv_op op = {.key = {key, 8}, .value = {value, sizeof value}};
    bed_init_dir(&bed, 1, STORE_SYNC);
    snprintf(path, sizeof path, "%s/log", bed.dir);
    ck_assert_int_eq(store_kv_segments_open(&kv, path, reason), SVM_OK);
    ck_assert_int_eq(kv.write(kv.self, &op, 1, true), SVM_OK);
    memory_fail(MEMORY_OF_ME, 1, false);
    const enum svm_err err = kv.sync_found(kv.self, 1);
    ck_assert_uint_eq(memory_back(), 1);
    ck_assert_int_eq(err, SVM_E_NO_MEMORY);
    ck_assert_int_eq(kv.sync_found(kv.self, 1), SVM_OK); /* nothing had been begun */
    ck_assert_int_eq(kv.get(kv.self, (struct svm_bytes){key, 8}, &got, &len), SVM_OK);
    ck_assert_uint_eq(len, sizeof value);
    ck_assert_int_eq(memcmp(got, value, len), 0);
    free(got);
    kv.close(kv.self);
    bed_deinit(&bed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_memory");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, without_memory_a_log_is_not_written_again);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
