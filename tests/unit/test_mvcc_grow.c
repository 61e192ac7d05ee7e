/* mvcc: the index grows under the eyes of a reader. Needs a library built with its points (BUILD=prove); without them it says so. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "base/thread.h"
#include "mvcc_bed.h"

enum { KEYS = 100000 };

static struct mvcc_bed bed;
static _Atomic bool filling, go;
static _Atomic uint32_t resident; /* keys below are in the index */

static void hook(void *arg, const char *point)
{
    (void)arg;
    if (strcmp(point, "mvcc.index.filling") != 0 || atomic_exchange(&filling, true))
        return;
    while (!atomic_load(&go))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void insert_in_thread(void *arg)
{
    struct mvcc_thread *thread = mvcc_thread_create(bed.mvcc);
    (void)arg;
    mvcc_online(thread);
    for (uint32_t i = 0; i < KEYS && !atomic_load(&go); i++) {
        struct mvcc_head *head;
        uint8_t key[32];
        mvcc_bed_key(key, i);
        ck_assert_int_eq(mvcc_hold(bed.objects, thread, key, sizeof key, &head), MVCC_HELD_LOAD);
        mvcc_load_finish(bed.objects, thread, head, NULL, 0);
        mvcc_unhold(head);
        atomic_store(&resident, i + 1);
    }
    mvcc_offline(thread);
    mvcc_thread_destroy(thread);
}

/* The larger array is there and empty, or half full: whoever looks meanwhile finds what was in the old one. */
START_TEST(what_is_resident_is_found_while_the_index_grows)
{
    static struct thread inserter;
    if (!fault_enabled()) {
        printf("fault points are off: not tested\n");
        return;
    }
    mvcc_bed_init(&bed);
    fault_hook_set(hook, NULL);
    ck_assert(thread_start(&inserter, "inserter", insert_in_thread, NULL));
    while (!atomic_load(&filling))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    uint32_t count = atomic_load(&resident), missed = 0;
    ck_assert_uint_gt(count, 0);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t key[32];
        mvcc_bed_key(key, i);
        missed += mvcc_find(bed.objects, key, sizeof key) == NULL;
    }
    atomic_store(&go, true);
    thread_join(&inserter);
    ck_assert_uint_eq(missed, 0);
    fault_hook_set(NULL, NULL);
    mvcc_bed_deinit(&bed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mvcc_grow");
    TCase *tcase = tcase_create("grow");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, what_is_resident_is_found_while_the_index_grows);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
