/* The gateway over an engine in memory, with clients on threads of their own: for the sanitizers, and for the end. */
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/gateway.h"

enum { CLIENTS = 4, ROUNDS = 60 };

static uv_loop_t loop;
static uv_async_t finished;
static struct gateway *gateway;
static struct svm_engine *engine;
static _Atomic unsigned clients_left;
static _Atomic unsigned answers;
static bool closed;
static uint16_t port;

static const char *const bodies[] = {
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"dev_send\",\"params\":[\"alice\",\"bob\",\"1\"]}",
    "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"dev_faucet\",\"params\":[\"carol\"]},{\"jsonrpc\":"
    "\"2.0\",\"id\":2,"
    "\"method\":\"stats_summary\"},{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"rpc.discover\"}]",
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"dev_send\",\"params\":{\"from\":\"alice\",\"to\":"
    "\"bob\",\"amount\":\"1\","
    "\"wait\":\"durable\",\"timeoutMs\":1}}",
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tx_get\",\"params\":[\"0x"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}",
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"dev_generateLoad\",\"params\":{\"transactions\":20}"
    "}",
};

static int connect_client(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* One exchange on a connection of its own; the server closes it. */
static void ask(const char *body, bool wait_for_answer)
{
    char buf[4096];
    const int fd = connect_client();
    snprintf(buf, sizeof buf,
             "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: "
             "application/json\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    ck_assert_int_eq(send(fd, buf, strlen(buf), MSG_NOSIGNAL), (ssize_t)strlen(buf));
    if (wait_for_answer) {
        ssize_t len = recv(fd, buf, 12, MSG_WAITALL);
        ck_assert_int_eq(len, 12);
        ck_assert(memcmp(buf, "HTTP/1.1 200", 12) == 0);
        while (recv(fd, buf, sizeof buf, 0) > 0) {
        }
        answers++;
    }
    close(fd);
}

static void *client(void *arg)
{
    const unsigned first = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        /* every seventh leaves without waiting */
        ask(bodies[(first + i) % (sizeof bodies / sizeof bodies[0])], i % 7 != 6);
    }
    if (--clients_left == 0) {
        uv_async_send(&finished);
    }
    return NULL;
}

static void on_closed(void *arg)
{
    (void)arg;
    closed = true;
}

static void on_drained(void *arg)
{
    (void)arg;
    svm_engine_drain(engine);
    gateway_close(gateway, on_closed, NULL);
    uv_close((uv_handle_t *)&finished, NULL);
}

static void on_finished(uv_async_t *async)
{
    (void)async;
    gateway_drain(gateway, on_drained, NULL);
}

static void open_node(struct svm_config *config, struct gateway_config *gateway_config)
{
    char reason[256];
    svm_config_init(config);
    config->durability = SVM_MEMORY;
    config->workers = 2;
    ck_assert_int_eq(svm_engine_open(&engine, config, NULL), SVM_OK);
    gateway_config_init(gateway_config);
    gateway_config->port = 0;
    gateway_config->dev = true;
    gateway_config->engine = config;
    gateway_config->connections_max = 64;
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(gateway_open(&gateway, gateway_config, engine, &loop, reason, sizeof reason),
                     SVM_OK);
    port = (uint16_t)atoi(strrchr(gateway_bound_address(gateway), ':') + 1);
}

START_TEST(test_serve_and_end)
{
    struct svm_config config;
    struct gateway_config gateway_config;
    pthread_t threads[CLIENTS];
    open_node(&config, &gateway_config);
    ck_assert_int_eq(uv_async_init(&loop, &finished, on_finished), 0);
    clients_left = CLIENTS;
    for (unsigned i = 0; i < CLIENTS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, client, (void *)(uintptr_t)i), 0);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert(closed);
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(answers, CLIENTS * (ROUNDS - ROUNDS / 7));
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    svm_engine_close(engine);
}
END_TEST

/* A port that is taken is an error that names it, and leaves nothing in the loop. */
START_TEST(test_port_in_use)
{
    struct svm_config config;
    struct gateway_config second;
    struct gateway *other = NULL;
    char reason[256] = "";
    open_node(&config, &second);
    second.port = port;
    ck_assert_int_eq(gateway_open(&other, &second, engine, &loop, reason, sizeof reason), SVM_E_IO);
    ck_assert_ptr_null(other);
    ck_assert_ptr_nonnull(strstr(reason, gateway_bound_address(gateway)));
    svm_engine_drain(engine);
    gateway_close(gateway, on_closed, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert(closed);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    svm_engine_close(engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_serve");
    TCase *tcase = tcase_create("serve");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_serve_and_end);
    tcase_add_test(tcase, test_port_in_use);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
