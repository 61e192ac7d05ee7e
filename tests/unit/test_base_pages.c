/* Pages come as zeros, where they were asked for, and are the kernel's again when they go. */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/pages.h"

static const size_t sizes[] = {1,           64,      4095,          16 << 10,         (2 << 20) - 1,
                               PAGES_LARGE, 2097153, (4 << 20) + 1, (32 << 20) + 4097};

static void check_zero(const uint8_t *pages, size_t bytes)
{
    ck_assert_msg(pages[0] == 0 && memcmp(pages, pages + 1, bytes - 1) == 0, "%zu bytes", bytes);
}

START_TEST(they_are_zero_and_aligned)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *small = pages_take(sizes[i]);
        uint8_t *large = pages_take_large(sizes[i]);
        ck_assert(small && large);
        ck_assert_uint_eq((uintptr_t)small % PAGES_ALIGN, 0);
        ck_assert_uint_eq((uintptr_t)large % PAGES_ALIGN, 0);
        if (PAGES_OWN && sizes[i] >= PAGES_LARGE)
            ck_assert_uint_eq((uintptr_t)large % PAGES_LARGE, 0);
        check_zero(small, sizes[i]);
        check_zero(large, sizes[i]);
        memset(small, 0xa5, sizes[i]);
        memset(large, 0x5a, sizes[i]);
        pages_give(small, sizes[i]);
        pages_give(large, sizes[i]);
    }
}
END_TEST

/* ENOMEM from mincore(2): nothing is mapped there. */
static bool is_mapped(const void *page)
{
    unsigned char in;
    return mincore((void *)(uintptr_t)page, 1, &in) == 0 || errno != ENOMEM;
}

static unsigned long mapped_pages(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    ck_assert(f != NULL && fscanf(f, "%lu", &pages) == 1);
    (void)fclose(f);
    return pages;
}

/* It keeps something of its own for each mapping that goes. */
static bool below_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload && strstr(preload, "vgpreload");
}

START_TEST(nothing_of_them_stays)
{
    if (!PAGES_OWN)
        return;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t held = (sizes[i] + page - 1) / page * page;
        (void)mapped_pages(); /* what the C library keeps for the next time */
        const unsigned long before = mapped_pages();
        uint8_t *large = pages_take_large(sizes[i]);
        ck_assert(mapped_pages() - before == held / page || below_valgrind());
        ck_assert(large && is_mapped(large) && is_mapped(large + held - page));
        pages_give(large, sizes[i]);
        for (size_t at = 0; at < held; at += page)
            ck_assert_msg(!is_mapped(large + at), "page %zu of %zu bytes", at / page, sizes[i]);
        ck_assert(mapped_pages() == before || below_valgrind());
        pages_give(NULL, sizes[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base");
    TCase *tc = tcase_create("pages");
    tcase_add_test(tc, they_are_zero_and_aligned);
    tcase_add_test(tc, nothing_of_them_stays);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
