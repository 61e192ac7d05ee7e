/* app/watchdog and app/notify: the decision, and the datagrams as a service manager would receive them. */
#include "app/notify.h"
#include "app/watchdog.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

START_TEST(all_threads_must_move)
{
    struct watchdog watchdog = {.count = 0};
    uint64_t ticks[3] = {1, 10, 100};
    size_t stalled = 99;
    ck_assert(watchdog_check(&watchdog, &stalled, ticks, 3)); /* the first reading */
    ck_assert(!watchdog_check(&watchdog, &stalled, ticks, 3));
    ck_assert_uint_eq(stalled, 0);
    ticks[0]++;
    ticks[2]++;
    ck_assert(!watchdog_check(&watchdog, &stalled, ticks, 3));
    ck_assert_uint_eq(stalled, 1);
    /* 0 and 2 have moved since the last yes, though not since the last question */
    ticks[1]++;
    ck_assert(watchdog_check(&watchdog, &stalled, ticks, 3));
    ck_assert(!watchdog_check(&watchdog, &stalled, ticks, 3));
}
END_TEST

static int manager_open(struct sockaddr_un *address, const char *name)
{
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    ck_assert_int_ge(fd, 0);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    const size_t len = strlen(name);
    memcpy(address->sun_path, name, len);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    if (name[0] == '@') {
        address->sun_path[0] = '\0';
        size--;
    } else {
        unlink(name);
    }
    ck_assert_int_eq(bind(fd, (struct sockaddr *)address, size), 0);
    return fd;
}

static const char *receive(int fd)
{
    static char text[1024];
    const ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

static void converse(const char *name)
{
    struct sockaddr_un address;
    const int fd = manager_open(&address, name);
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    ck_assert(notify_init());
    ck_assert_uint_eq(notify_watchdog_ms(), 3000);
    notify_ready("serving");
    ck_assert_str_eq(receive(fd), "READY=1\nSTATUS=serving\n");
    notify_status("busy");
    ck_assert_str_eq(receive(fd), "STATUS=busy\n");
    notify_alive();
    ck_assert_str_eq(receive(fd), "WATCHDOG=1\n");
    notify_stopping("bye");
    ck_assert_str_eq(receive(fd), "STOPPING=1\nSTATUS=bye\n");

    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const long long before = (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    notify_reloading();
    long long told = 0;
    ck_assert_int_eq(sscanf(receive(fd), "RELOADING=1\nMONOTONIC_USEC=%lld\n", &told), 1);
    ck_assert(told >= before && told < before + 1000000);

    close(fd); /* a manager that is gone hurts nobody */
    notify_alive();
    if (name[0] != '@') {
        unlink(name);
    }
}

START_TEST(datagrams_to_a_path)
{
    char name[64];
    snprintf(name, sizeof name, "/tmp/test_app_notify.%ld", (long)getpid());
    converse(name);
}
END_TEST

START_TEST(datagrams_to_an_abstract_name)
{
    char name[64];
    snprintf(name, sizeof name, "@test_app_notify.%ld", (long)getpid());
    converse(name);
}
END_TEST

START_TEST(no_manager_is_no_trouble)
{
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "3000000", 1);
    ck_assert(notify_init());
    ck_assert_uint_eq(notify_watchdog_ms(), 0);
    notify_ready("serving");
    setenv("NOTIFY_SOCKET", "relative", 1);
    ck_assert(!notify_init());
}
END_TEST

START_TEST(the_watchdog_may_be_meant_for_another)
{
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getppid());
    setenv("NOTIFY_SOCKET", "@nobody", 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    ck_assert(notify_init());
    ck_assert_uint_eq(notify_watchdog_ms(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("app_watchdog");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, all_threads_must_move);
    tcase_add_test(tcase, datagrams_to_a_path);
    tcase_add_test(tcase, datagrams_to_an_abstract_name);
    tcase_add_test(tcase, no_manager_is_no_trouble);
    tcase_add_test(tcase, the_watchdog_may_be_meant_for_another);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
