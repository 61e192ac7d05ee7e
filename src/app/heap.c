/* The daemon's malloc is jemalloc (the Makefile links it, but where a sanitizer has one), and this is its configuration, read before main.
 *
 *   background_thread  what is free is given back by a thread, also when nothing is freed any more
 *   dirty_decay_ms     within about a second, not at once: the next transactions want the same pages
 *   muzzy_decay_ms     given back for good (MADV_DONTNEED), so that resident memory says what is in use
 *
 * Why: docs/decisions/0027. A library must not choose malloc for its program, so this is the daemon's. */
extern const char *malloc_conf;
const char *malloc_conf = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0";
