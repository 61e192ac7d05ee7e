/* app/heap: what is free between blocks that are kept goes back, at intervals that it may cost. */
#include "app/heap.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 16384, BLOCK_BYTES = 4096, KEPT = 16, MIB = 1 << 20 };

START_TEST(it_rests_by_what_it_took)
{
    ck_assert_uint_eq(heap_pause_ms(0), 10000);
    ck_assert_uint_eq(heap_pause_ms(10000000), 10000);
    ck_assert_uint_eq(heap_pause_ms(15000000), 15000);
    ck_assert_uint_eq(heap_pause_ms(20999999), 20000);
    ck_assert_uint_eq(heap_pause_ms(21000000), 3600000); /* long for the threads of one arena */
}
END_TEST

/* The sanitizers have a heap of their own. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static size_t resident(void)
{
    size_t size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%zu %zu", &size, &pages), 2);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

START_TEST(holes_go_back)
{
    static void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK_BYTES);
        ck_assert_ptr_nonnull(blocks[i]);
        memset(blocks[i], 1, BLOCK_BYTES);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % KEPT != 0) {
            free(blocks[i]);
        }
    }
    const size_t before = resident();
    (void)heap_trim();
    const size_t after = resident();
    ck_assert_uint_lt(after + (size_t)BLOCKS * BLOCK_BYTES / 2, before);
    for (size_t i = 0; i < BLOCKS; i += KEPT) {
        free(blocks[i]);
    }
}
END_TEST

START_TEST(large_blocks_are_the_systems)
{
    heap_init();
    for (size_t mib = 32; mib >= 2; mib /= 2) { /* malloc would raise its bound at the first */
        const size_t before = resident();
        char *large = malloc(mib * MIB), *above = malloc(64);
        ck_assert_ptr_nonnull(large);
        memset(large, 1, mib * MIB);
        free(large);
        ck_assert_uint_lt(resident(), before + MIB);
        free(above);
    }
}
END_TEST
#endif

static void stop(uv_timer_t *timer)
{
    heap_close(timer->data);
    uv_close((uv_handle_t *)timer, NULL);
}

START_TEST(the_loop_ends)
{
    uv_loop_t loop;
    uv_timer_t timer;
    struct heap heap;
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    heap_watch(&heap, &loop);
    uv_timer_init(&loop, &timer);
    timer.data = &heap;
    uv_timer_start(&timer, stop, 1, 0);
    ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("app_heap");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, it_rests_by_what_it_took);
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const char *preload = getenv("LD_PRELOAD"); /* and so has valgrind */
    if (preload == NULL || strstr(preload, "vgpreload") == NULL) {
        tcase_add_test(tcase, holes_go_back);
        tcase_add_test(tcase, large_blocks_are_the_systems);
    }
#endif
    tcase_add_test(tcase, the_loop_ends);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
