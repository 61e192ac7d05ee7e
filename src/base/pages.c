#include "base/pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"

void *pages_take(size_t bytes)
{
    SVM_ASSERT(bytes > 0 && bytes <= SIZE_MAX - PAGES_ALIGN);
    if (PAGES_OWN) {
        void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return pages == MAP_FAILED ? NULL : pages;
    }
    void *block = aligned_alloc(PAGES_ALIGN, (bytes + PAGES_ALIGN - 1) / PAGES_ALIGN * PAGES_ALIGN);
    return block ? memset(block, 0, bytes) : NULL;
}

void *pages_take_large(size_t bytes)
{
    if (!PAGES_OWN || bytes < PAGES_LARGE)
        return pages_take(bytes);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    SVM_ASSERT(bytes <= SIZE_MAX - PAGES_LARGE - page);
    bytes = (bytes + page - 1) / page * page;
    uint8_t *start = pages_take(bytes + PAGES_LARGE);
    if (!start)
        return NULL;
    /* What stands out on either side goes back. */
    const size_t before = (PAGES_LARGE - (uintptr_t)start % PAGES_LARGE) % PAGES_LARGE;
    if (before > 0)
        munmap(start, before);
    if (before < PAGES_LARGE)
        munmap(start + before + bytes, PAGES_LARGE - before);
    start += before;
    (void)madvise(start, bytes / PAGES_LARGE * PAGES_LARGE, MADV_HUGEPAGE); /* a wish */
    return start;
}

void pages_give(void *pages, size_t bytes)
{
    if (!PAGES_OWN)
        free(pages);
    else if (pages)
        munmap(pages, bytes);
}
