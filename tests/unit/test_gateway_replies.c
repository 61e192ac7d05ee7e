/* Replies that nobody reads: what is counted, when it is too much, and who makes room. */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/http.h"
#include "gateway/replies.h"
#include "gateway/state.h"

enum { CLIENTS = 6, KIB = 1024, RESPONSE = 100 * KIB, LIMIT = GATEWAY_REPLIES_MAX * RESPONSE };

static uv_loop_t loop;
static struct gateway gateway;
static struct listener listeners[2];
static struct http_request requests[CLIENTS];
static struct connection *connections[CLIENTS];
static int clients[CLIENTS];

static void begin(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    while (uv_now(&loop) <= 10 * REPLY_WAIT_MS) { /* a machine that has just started */
        usleep(100000);
        uv_update_time(&loop);
    }
    gateway = (struct gateway){.loop = &loop, .tcp = &listeners[0], .local = &listeners[1]};
    gateway.config.response_bytes_max = RESPONSE;
    listeners[0] = listeners[1] = (struct listener){.gateway = &gateway};
}

static void end(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (connections[i] != NULL) {
            replies_release(&requests[i]);
            connections_remove(&requests[i].listener->connections, connections[i]);
            close(clients[i]);
            connections[i] = NULL;
        }
    }
    ck_assert_uint_eq(gateway.replies.bytes, 0);
    ck_assert_uint_eq(gateway.replies.leaving, 0);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

/* Client I of the listener has had AGE_MS for a reply of BYTES. */
static void answer(int i, struct listener *listener, size_t bytes, uint64_t age_ms)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    clients[i] = pair[1];
    connections[i] = connections_add(&listener->connections, pair[0], uv_now(&loop) - age_ms);
    ck_assert_ptr_nonnull(connections[i]);
    requests[i] = (struct http_request){.listener = listener, .reply = {.len = bytes}};
    replies_hold(&requests[i]);
    connections[i]->request = &requests[i];
    connections[i]->reply_bytes = bytes;
}

static bool is_cut(int i)
{
    char byte;
    return recv(clients[i], &byte, 1, MSG_DONTWAIT) == 0;
}

START_TEST(a_sum_has_a_limit)
{
    ck_assert_uint_eq(replies_limit(&gateway), LIMIT);
    ck_assert(replies_add(&gateway, LIMIT - 1, LIMIT - 1));
    ck_assert(replies_add(&gateway, 1, RESPONSE));
    ck_assert(!replies_add(&gateway, 1, RESPONSE));
    ck_assert(!replies_have_room(&gateway, REPLY_SMALL + 1));
    ck_assert_uint_eq(gateway.replies.bytes, LIMIT);
    const struct rpc_error error = replies_overloaded(&gateway);
    ck_assert_int_eq(error.err, SVM_E_OVERLOADED);
    ck_assert_str_eq(error.notes[0].text, "replies");
    ck_assert_uint_eq(error.notes[1].number, LIMIT);
    replies_drop(&gateway, RESPONSE);
    ck_assert(replies_have_room(&gateway, RESPONSE));
    ck_assert(replies_add(&gateway, RESPONSE, RESPONSE));
    replies_drop(&gateway, LIMIT);
}
END_TEST

START_TEST(what_is_small_is_never_refused)
{
    ck_assert(replies_add(&gateway, LIMIT, RESPONSE));
    ck_assert(replies_have_room(&gateway, REPLY_SMALL));
    ck_assert(replies_add(&gateway, REPLY_SMALL, REPLY_SMALL));
    ck_assert(!replies_add(&gateway, 1, REPLY_SMALL + 1));
    replies_drop(&gateway, LIMIT + REPLY_SMALL);
}
END_TEST

START_TEST(the_largest_makes_room)
{
    ck_assert(replies_add(&gateway, LIMIT / 2, RESPONSE)); /* of results that are being made */
    answer(0, &listeners[0], 30 * KIB, 5000);
    answer(1, &listeners[1], 90 * KIB, 4000);
    answer(2, &listeners[0], 60 * KIB, 3000);
    answer(3, &listeners[0], 90 * KIB, 2000);
    replies_drop(&gateway, 100 * KIB);
    replies_cut(&gateway);
    ck_assert(is_cut(1) && is_cut(3)); /* equals: the longest first, but both are needed */
    ck_assert(!is_cut(0) && !is_cut(2));
    ck_assert_uint_eq(gateway.replies.leaving, 180 * KIB);
    ck_assert_uint_eq(gateway.counters.http_cut, 2);
    replies_drop(&gateway, LIMIT / 2 - 100 * KIB);
}
END_TEST

START_TEST(of_equals_the_longest_makes_room)
{
    ck_assert(replies_add(&gateway, LIMIT / 2 - 100 * KIB, RESPONSE));
    answer(0, &listeners[0], 90 * KIB, 2000);
    answer(1, &listeners[0], 90 * KIB, 1500);
    replies_cut(&gateway);
    ck_assert(is_cut(0) && !is_cut(1));
    replies_drop(&gateway, LIMIT / 2 - 100 * KIB);
}
END_TEST

START_TEST(who_had_no_time_to_read_is_not_cut)
{
    ck_assert(replies_add(&gateway, LIMIT, RESPONSE));
    answer(0, &listeners[0], 90 * KIB, REPLY_WAIT_MS);
    answer(1, &listeners[1], 90 * KIB, 0);
    replies_cut(&gateway);
    ck_assert(!is_cut(0) && !is_cut(1));
    replies_drop(&gateway, LIMIT);
}
END_TEST

START_TEST(nobody_is_cut_below_half)
{
    answer(0, &listeners[0], LIMIT / 2, 60000);
    replies_cut(&gateway);
    ck_assert(!is_cut(0));
}
END_TEST

START_TEST(who_works_or_is_idle_is_not_cut)
{
    ck_assert(replies_add(&gateway, LIMIT, RESPONSE));
    answer(0, &listeners[0], 0, 60000);
    answer(1, &listeners[0], 90 * KIB, 60000);
    connections_work(&listeners[0].connections, connections[1]);
    replies_cut(&gateway);
    ck_assert(!is_cut(0) && !is_cut(1));
    replies_drop(&gateway, LIMIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway replies");
    TCase *tcase = tcase_create("replies");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_sum_has_a_limit);
    tcase_add_test(tcase, what_is_small_is_never_refused);
    tcase_add_test(tcase, the_largest_makes_room);
    tcase_add_test(tcase, of_equals_the_longest_makes_room);
    tcase_add_test(tcase, who_had_no_time_to_read_is_not_cut);
    tcase_add_test(tcase, nobody_is_cut_below_half);
    tcase_add_test(tcase, who_works_or_is_idle_is_not_cut);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
