/* base/pages.h - memory straight from the kernel: zero, and given back to it as soon as it goes.
 *
 * For what is large and lives long or is replaced as a whole. As a block of malloc's it would, by its going, let blocks of its size come out of
 * the heap and stay there (mallopt(3), M_MMAP_THRESHOLD). Any thread; no state. */
#ifndef BASE_PAGES_H
#define BASE_PAGES_H

#include <stddef.h>

/* 0 where each block has to be one of malloc's: AddressSanitizer watches its bounds and its end, the weaver its reuse. Pools and slabs
 * then carve nothing, and pages are malloc's too. */
#if defined(__SANITIZE_ADDRESS__) || defined(SVM_WEAVE)
#define PAGES_OWN 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PAGES_OWN 0
#endif
#endif
#ifndef PAGES_OWN
#define PAGES_OWN 1
#endif

/* PAGES_ALIGN: two lines, which the processor brings in pairs. */
enum { PAGES_ALIGN = 128, PAGES_LARGE = 2 << 20 };

/* BYTES of zeros, 1 at least, at a multiple of PAGES_ALIGN; NULL without memory. */
void *pages_take(size_t bytes);

/* The same for what is touched in no order: from PAGES_LARGE bytes on it lies at a multiple of them, and the kernel is asked for large pages. Less
 * than that must not become a large page. */
void *pages_take_large(size_t bytes);

/* BYTES as they were taken. PAGES may be NULL. */
void pages_give(void *pages, size_t bytes);

#endif
