/* app/heap: what was freed goes back to the system by itself, soon, also from between blocks that stay. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BLOCKS = 16384,
    BLOCK_BYTES = 4096,
    KEPT = 64,
    WAIT_MS = 60000,
    STEP_MS = 100,
    MIB = 1 << 20
};

extern const char *malloc_conf; /* what jemalloc reads */

START_TEST(it_has_a_configuration)
{
    ck_assert_ptr_nonnull(malloc_conf);
}
END_TEST

/* Some sanitizers have a heap of their own. */
#ifdef HEAP_IS_JEMALLOC
int mallctl(const char *name, void *old, size_t *old_size, void *next, size_t next_size);

START_TEST(its_configuration_is_read)
{
    bool by_thread = false;
    ssize_t dirty_ms = -1, muzzy_ms = -1;
    size_t size = sizeof by_thread;
    ck_assert_int_eq(mallctl("opt.background_thread", &by_thread, &size, NULL, 0), 0);
    size = sizeof dirty_ms;
    ck_assert_int_eq(mallctl("opt.dirty_decay_ms", &dirty_ms, &size, NULL, 0), 0);
    ck_assert_int_eq(mallctl("opt.muzzy_decay_ms", &muzzy_ms, &size, NULL, 0), 0);
    ck_assert(by_thread);
    ck_assert_int_eq(dirty_ms, 1000);
    ck_assert_int_eq(muzzy_ms, 0);
}
END_TEST

static size_t resident(void)
{
    size_t size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%zu %zu", &size, &pages), 2);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Nothing is allocated or freed meanwhile, as in a node that is idle. */
static bool falls_below(size_t bytes)
{
    for (int ms = 0; ms < WAIT_MS; ms += STEP_MS) {
        if (resident() < bytes) {
            return true;
        }
        usleep(STEP_MS * 1000);
    }
    return false;
}

START_TEST(holes_go_back)
{
    static void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK_BYTES);
        ck_assert_ptr_nonnull(blocks[i]);
        memset(blocks[i], 1, BLOCK_BYTES);
    }
    const size_t full = resident();
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % KEPT != 0) {
            free(blocks[i]);
        }
    }
    ck_assert(falls_below(full - (size_t)BLOCKS * BLOCK_BYTES * 3 / 4));
    for (size_t i = 0; i < BLOCKS; i += KEPT) {
        free(blocks[i]);
    }
}
END_TEST

START_TEST(large_blocks_go_back)
{
    const size_t before = resident();
    for (size_t mib = 32; mib >= 2; mib /= 2) {
        char *large = malloc(mib * MIB), *above = malloc(64);
        ck_assert_ptr_nonnull(large);
        memset(large, 1, mib * MIB);
        free(large);
        free(above);
    }
    ck_assert(falls_below(before + MIB));
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("app_heap");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 2 * WAIT_MS / 1000);
    tcase_add_test(tcase, it_has_a_configuration);
#ifdef HEAP_IS_JEMALLOC
    const char *preload = getenv("LD_PRELOAD"); /* valgrind has its own too */
    if (preload == NULL || strstr(preload, "vgpreload") == NULL) {
        tcase_add_test(tcase, its_configuration_is_read);
        tcase_add_test(tcase, holes_go_back);
        tcase_add_test(tcase, large_blocks_go_back);
    }
#endif
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK); /* a child has no thread that gives back */
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
