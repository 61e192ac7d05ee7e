/* base/log: what stands in the lines, read back from a pipe. */
#include "base/log.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int ends[2];
static char text[1 << 20];

static void start(enum log_format format, uint32_t repeats_max)
{
    struct log_config config;
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), 0);
    ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    log_config_init(&config);
    config.fd = ends[1];
    config.format = format;
    config.repeats_max = repeats_max;
    config.repeats_window_ms = 60000;
    log_init(&config);
}

/* What was written since start. */
static const char *written(void)
{
    size_t len = 0;
    ssize_t n;
    while ((n = read(ends[0], text + len, sizeof text - 1 - len)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    return text;
}

START_TEST(text_lines)
{
    const uint8_t bytes[2] = {0xab, 0x01};
    start(LOG_FORMAT_TEXT, 0);
    log_event(LOG_LEVEL_WARN, "a.b", log_u64("n", UINT64_MAX), log_i64("i", -5),
              log_bool("yes", true), log_str("plain", "x/y"), log_str("odd", "say \"hi\"\n"),
              log_str("none", NULL), log_hex("id", bytes, 2));
    const char *line = written();
    ck_assert_int_eq(line[23], 'Z');
    ck_assert_str_eq(line + 25, "warn  a.b n=18446744073709551615 i=-5 yes=true plain=x/y "
                                "odd=\"say \\\"hi\\\"\\n\" none=\"\" id=0xab01\n");
}
END_TEST

START_TEST(json_lines)
{
    start(LOG_FORMAT_JSON, 0);
    log_event(LOG_LEVEL_ERROR, "a.b", log_str("k", "tab\tquote\"back\\"), log_bool("no", false));
    const char *line = written();
    ck_assert_ptr_nonnull(strstr(line, "\"level\":\"error\",\"event\":\"a.b\",\"k\":"
                                       "\"tab\\u0009quote\\\"back\\\\\",\"no\":false}\n"));
    ck_assert_int_eq(strncmp(line, "{\"ts\":\"20", 9), 0);
}
END_TEST

START_TEST(utf8_passes_and_other_bytes_are_escaped)
{
    start(LOG_FORMAT_TEXT, 0);
    log_event(LOG_LEVEL_INFO, "a",
              log_str("good", "gr\xc3\xb6\xc3\x9f"
                              "e \xf0\x9f\xa6\x80"),
              log_str("bad", "\xff\xc3(\xed\xa0\x80"));
    ck_assert_ptr_nonnull(strstr(written(), "good=\"gr\xc3\xb6\xc3\x9f"
                                            "e \xf0\x9f\xa6\x80\" "
                                            "bad=\"\\u00ff\\u00c3(\\u00ed\\u00a0\\u0080\"\n"));
}
END_TEST

START_TEST(levels_filter_and_change)
{
    start(LOG_FORMAT_TEXT, 0);
    log_note(LOG_LEVEL_DEBUG, "hidden");
    ck_assert_str_eq(written(), "");
    log_level_set(LOG_LEVEL_DEBUG);
    ck_assert(log_enabled(LOG_LEVEL_DEBUG));
    log_note(LOG_LEVEL_DEBUG, "shown");
    ck_assert_ptr_nonnull(strstr(written(), "debug shown\n"));
    log_level_set(LOG_LEVEL_ERROR);
    log_note(LOG_LEVEL_WARN, "hidden");
    ck_assert_str_eq(written(), "");
    enum log_level level = LOG_LEVEL_INFO;
    ck_assert(log_level_parse(&level, "error"));
    ck_assert_int_eq(level, LOG_LEVEL_ERROR);
    ck_assert(!log_level_parse(&level, "fatal"));
}
END_TEST

static unsigned count_lines(const char *lines)
{
    unsigned n = 0;
    for (; *lines != '\0'; lines++) {
        n += *lines == '\n';
    }
    return n;
}

START_TEST(repeats_are_counted_not_written)
{
    start(LOG_FORMAT_TEXT, 3);
    for (unsigned i = 0; i < 10; i++) {
        log_event(LOG_LEVEL_WARN, "again", log_u64("i", i));
    }
    log_note(LOG_LEVEL_WARN, "other");
    ck_assert_uint_eq(count_lines(written()), 4);
    log_flush();
    ck_assert_ptr_nonnull(strstr(written(), "warn  again suppressed=7\n"));
    log_flush();
    ck_assert_str_eq(written(), "");
}
END_TEST

START_TEST(a_line_is_cut_and_stays_whole)
{
    static char big[3 * LOG_LINE_MAX];
    memset(big, '"', sizeof big - 1);
    start(LOG_FORMAT_JSON, 0);
    log_event(LOG_LEVEL_INFO, "big", log_str("big", big), log_u64("lost", 1));
    const char *line = written();
    const size_t len = strlen(line);
    ck_assert_uint_le(len, LOG_LINE_MAX);
    ck_assert_str_eq(line + len - 3, "\"}\n");
    ck_assert_int_eq(line[len - 4], '"'); /* of the last whole escape */
    ck_assert_int_eq(line[len - 5], '\\');
}
END_TEST

START_TEST(the_journal_gets_priorities)
{
    struct stat st;
    char stream[64];
    start(LOG_FORMAT_TEXT, 0);
    ck_assert_int_eq(fstat(ends[1], &st), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    struct log_config config;
    log_config_init(&config);
    config.fd = ends[1];
    log_init(&config);
    log_note(LOG_LEVEL_ERROR, "bad");
    ck_assert_str_eq(written(), "<3>error bad\n");
    unsetenv("JOURNAL_STREAM");
}
END_TEST

static void *write_many(void *arg)
{
    for (unsigned i = 0; i < 500; i++) {
        log_event(LOG_LEVEL_INFO, "many", log_str("who", arg), log_u64("i", i));
    }
    return NULL;
}

START_TEST(threads_do_not_mix_lines)
{
    pthread_t threads[4];
    char names[4][60];
    start(LOG_FORMAT_TEXT, 0);
    for (unsigned i = 0; i < 4; i++) {
        memset(names[i], (int)('a' + i), sizeof names[i] - 1);
        names[i][sizeof names[i] - 1] = '\0';
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, names[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    char *rest = NULL;
    unsigned lines = 0;
    written();
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        const char *who = strstr(line, "who=");
        ck_assert_ptr_nonnull(who);
        ck_assert_uint_eq(strspn(who + 4, (const char[2]){who[4], '\0'}), 59);
        lines++;
    }
    ck_assert_uint_eq(lines, 2000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base_log");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, text_lines);
    tcase_add_test(tcase, json_lines);
    tcase_add_test(tcase, utf8_passes_and_other_bytes_are_escaped);
    tcase_add_test(tcase, levels_filter_and_change);
    tcase_add_test(tcase, repeats_are_counted_not_written);
    tcase_add_test(tcase, a_line_is_cut_and_stays_whole);
    tcase_add_test(tcase, the_journal_gets_priorities);
    tcase_add_test(tcase, threads_do_not_mix_lines);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
