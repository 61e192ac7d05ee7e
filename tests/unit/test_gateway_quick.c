/* The short way of tx_submit and tx_submitBatch against the general parser: whatever it takes means the same there. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/quick.h"
#include "gateway/schema.h"

static uint64_t seed;

static uint64_t next_random(void)
{
    seed += 0x9e3779b97f4a7c15;
    uint64_t z = seed;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static bool chance(unsigned of)
{
    return next_random() % of == 0;
}

/* ---- bodies ------------------------------------------------------------------------------------------------- */

enum { BODY_MAX = 8192, ITEMS_MAX = 40 };

static void put_space(struct text *text)
{
    while (chance(6)) {
        text_put_char(text, " \n\t\r"[next_random() % 4]);
    }
}

static const char *pick(const char *const *from, size_t count)
{
    return from[next_random() % count];
}
#define PICK(list) pick(list, sizeof(list) / sizeof *(list))

static void put_tx(struct text *text)
{
    static const char *const odd[] = {"\"AB==\"",  "\"A\"", "\"AA=A\"",  "\"\\u0041AA=\"",
                                      "1",         "null",  "\"AA AA\"", "[]",
                                      "\"AAAA]\"", "\"{\""};
    uint8_t bytes[48];
    if (chance(100)) {
        text_puts(text, PICK(odd));
        return;
    }
    const size_t len = next_random() % sizeof bytes;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)next_random();
    }
    text_put_base64(text, bytes, len);
}

static void put_txs(struct text *text)
{
    const unsigned count = chance(8) ? 0 : (unsigned)(next_random() % (ITEMS_MAX + 2));
    text_put_char(text, '[');
    put_space(text);
    for (unsigned i = 0; i < count; i++) {
        if (i > 0) {
            text_put_char(text, ',');
            put_space(text);
        }
        put_tx(text);
        put_space(text);
    }
    text_put_char(text, ']');
}

/* Members NAMES[i] with a value from PUT, in any order, mostly each once. */
static void put_members(struct text *text, const char *const *names, size_t count,
                        void (*put)(struct text *text, const char *name))
{
    const size_t start = next_random() % count;
    bool first = true;
    text_put_char(text, '{');
    for (size_t i = 0; i < count; i++) {
        const char *name = names[(start + i) % count];
        for (unsigned times = chance(60) ? (unsigned)(next_random() % 3) : 1; times > 0; times--) {
            put_space(text);
            text_puts(text, first ? "" : ",");
            first = false;
            put_space(text);
            text_printf(text, "\"%s\"", name);
            put_space(text);
            text_put_char(text, ':');
            put_space(text);
            put(text, name);
            put_space(text);
        }
    }
    text_put_char(text, '}');
}

static void put_param(struct text *text, const char *name)
{
    static const char *const waits[] = {"\"none\"", "\"executed\"", "\"durable\""};
    static const char *const odd_waits[] = {"\"durabl\"", "null", "1", "\"\"", "\"\\u006eone\""};
    static const char *const times[] = {"1", "30000", "600000", "77"};
    static const char *const odd_times[] = {
        "0", "600001", "-1", "1.0", "1e3", "01", "\"1\"", "null", "9999999999999999999"};
    if (strcmp(name, "tx") == 0) {
        put_tx(text);
    } else if (strcmp(name, "txs") == 0) {
        put_txs(text);
    } else if (strcmp(name, "wait") == 0) {
        text_puts(text, chance(40) ? PICK(odd_waits) : PICK(waits));
    } else {
        text_puts(text, chance(40) ? PICK(odd_times) : PICK(times));
    }
}

static bool is_batch; /* of the body that is being written */

static void put_call_member(struct text *text, const char *name)
{
    static const char *const single[] = {"tx", "wait", "timeoutMs"};
    static const char *const batch[] = {"txs", "wait", "timeoutMs"};
    static const char *const ids[] = {"1", "0", "999999999999999", "\"\"", "\"a b{}[],:~\""};
    static const char *const odd_ids[] = {
        "null", "-1",      "1.5",      "01",           "9999999999999999", "{}",
        "true", "\"\\n\"", "\"\x7f\"", "\"\xc3\xa4\"", "\"\xff\"",         "\"\t\""};
    static const char *const odd_methods[] = {"\"tx_simulate\"", "\"tx_Submit\"", "\"\"", "1"};
    if (strcmp(name, "id") == 0) {
        text_puts(text, chance(40) ? PICK(odd_ids) : PICK(ids));
    } else if (strcmp(name, "jsonrpc") == 0) {
        text_puts(text, chance(100) ? "2.0" : chance(100) ? "\"1.0\"" : "\"2.0\"");
    } else if (strcmp(name, "method") == 0) {
        const bool wrong = chance(60);
        text_puts(text, chance(60)          ? PICK(odd_methods)
                        : is_batch != wrong ? "\"tx_submitBatch\""
                                            : "\"tx_submit\"");
    } else if (chance(80)) {
        text_puts(text, chance(2) ? "[]" : "{}");
    } else {
        const size_t count = chance(2) ? 3 : chance(2) ? 2 : 1;
        put_members(text, is_batch ? batch : single, count, put_param);
    }
}

static void put_call(struct text *text)
{
    static const char *const names[] = {"jsonrpc", "id", "method", "params"};
    is_batch = chance(2);
    put_space(text);
    put_members(text, names, 4, put_call_member);
    put_space(text);
}

/* Change, drop or add a byte somewhere. */
static void mutate(struct text *text)
{
    static const char bytes[] = "{}[]\",:\\ 0123456789ABab=+/\n\x01\x7f\xff";
    const size_t at = next_random() % (text->len + 1);
    const char c = bytes[next_random() % (sizeof bytes)]; /* the NUL too */
    switch (next_random() % 3) {
    case 0:
        text->ptr[at < text->len ? at : 0] = c;
        break;
    case 1:
        if (at < text->len) {
            memmove(text->ptr + at, text->ptr + at + 1, text->len - at - 1);
            text->len--;
        }
        break;
    default:
        if (text_room(text, 1)) {
            memmove(text->ptr + at + 1, text->ptr + at, text->len - at);
            text->ptr[at] = c;
            text->len++;
        }
    }
}

/* ---- the comparison ----------------------------------------------------------------------------------------- */

static void must_be_same_bytes(struct svm_bytes a, struct svm_bytes b)
{
    ck_assert_uint_eq(a.len, b.len);
    if (a.len > 0) {
        ck_assert_mem_eq(a.ptr, b.ptr, a.len);
    }
}

/* ID is what the general way answers for JSON. */
static void must_be_id(const char *id, const json_t *json)
{
    struct text text;
    text_init(&text, 10000);
    if (json_is_string(json)) {
        text_put_string(&text, json_string_value(json), json_string_length(json));
    } else {
        ck_assert(json_is_integer(json));
        text_put_i64(&text, json_integer_value(json));
    }
    ck_assert_uint_eq(strlen(id), text.len);
    ck_assert_mem_eq(id, text.ptr, text.len);
    text_deinit(&text);
}

static void must_mean(const struct quick_call *quick, const json_t *json, const struct text *body)
{
    struct arena arena;
    struct rpc_error error;
    union {
        struct rpc_tx_submit_params single;
        struct rpc_tx_submit_batch_params batch;
    } params;
    ck_assert_msg(json_is_object(json), "%.*s", (int)body->len, body->ptr);
    ck_assert_uint_eq(json_object_size(json), 4);
    ck_assert_str_eq(json_string_value(json_object_get(json, "jsonrpc")), "2.0");
    ck_assert_str_eq(json_string_value(json_object_get(json, "method")), quick->method);
    must_be_id(quick->id, json_object_get(json, "id"));
    arena_init(&arena);
    ck_assert_msg(schema_parse_params(&params, &error, &arena,
                                      quick->is_batch ? &rpc_schema_tx_submit_batch_params
                                                      : &rpc_schema_tx_submit_params,
                                      json_object_get(json, "params")),
                  "%.*s", (int)body->len, body->ptr);
    if (quick->is_batch) {
        const struct rpc_tx_submit_batch_params *a = &quick->params.batch, *b = &params.batch;
        ck_assert_str_eq(quick->method, "tx_submitBatch");
        ck_assert_uint_eq(a->txs_count, b->txs_count);
        ck_assert_uint_le(a->txs_count, ITEMS_MAX);
        for (size_t i = 0; i < a->txs_count; i++) {
            must_be_same_bytes(a->txs[i], b->txs[i]);
        }
        ck_assert_int_eq(a->wait, b->wait);
        ck_assert_int_eq(a->has_timeout_ms, b->has_timeout_ms);
        ck_assert_uint_eq(a->timeout_ms, b->timeout_ms);
    } else {
        const struct rpc_tx_submit_params *a = &quick->params.single, *b = &params.single;
        ck_assert_str_eq(quick->method, "tx_submit");
        must_be_same_bytes(a->tx, b->tx);
        ck_assert_int_eq(a->wait, b->wait);
        ck_assert_int_eq(a->has_timeout_ms, b->has_timeout_ms);
        ck_assert_uint_eq(a->timeout_ms, b->timeout_ms);
    }
    arena_deinit(&arena);
}

/* Is BODY taken? Then it is valid JSON of a single call, or of a batch, that means the same. The body is given without anything
 * behind its end, so that the sanitizers see whoever reads on. */
static bool compare(const struct text *body)
{
    char *exact = malloc(body->len > 0 ? body->len : 1);
    struct arena arena;
    memcpy(exact, body->ptr, body->len);
    struct quick in = {.at = exact, .end = exact + body->len};
    json_t *root = json_loadb(exact, body->len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    const bool array = quick_is_array(&in);
    bool more = true, taken = true;
    size_t calls = 0;
    arena_init(&arena);
    while (more && taken) {
        struct quick_call quick;
        taken = quick_call_parse(&quick, &arena, &in, ITEMS_MAX);
        more = false;
        if (taken && array) {
            taken = quick_more(&in, &more);
        }
        if (taken && root != NULL) {
            must_mean(&quick, array ? json_array_get(root, calls) : root, body);
        }
        calls++;
    }
    taken = taken && quick_is_end(&in);
    if (taken) {
        ck_assert_msg(root != NULL, "taken, but no JSON: %.*s", (int)body->len, body->ptr);
        ck_assert(!array || json_array_size(root) == calls);
    }
    json_decref(root);
    arena_deinit(&arena);
    free(exact);
    return taken;
}

START_TEST(what_is_taken_means_the_same)
{
    const unsigned rounds = getenv("SVM_SHORT") != NULL ? 3000 : 20000;
    unsigned taken = 0;
    for (unsigned round = 0; round < rounds; round++) {
        struct text body;
        text_init(&body, 100000);
        const unsigned calls = chance(3) ? (unsigned)(next_random() % 4) : 0;
        text_puts(&body, calls > 0 ? "[" : "");
        put_call(&body);
        for (unsigned i = 1; i < calls; i++) {
            text_put_char(&body, ',');
            put_call(&body);
        }
        text_puts(&body, calls > 0 ? "]" : "");
        for (unsigned i = chance(2) ? (unsigned)(next_random() % 4) : 0; i > 0; i--) {
            mutate(&body);
        }
        taken += compare(&body);
        text_deinit(&body);
    }
    ck_assert_uint_gt(taken, rounds / 10);
    ck_assert_uint_lt(taken, rounds - rounds / 10);
}
END_TEST

/* What clients send. */
static const char *const usual[] = {
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tx_submit\",\"params\":{\"tx\":\"AAAA\"}}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"tx_submit\",\"params\":{\"tx\":\"AA==\",\"wait\":"
    "\"executed\","
    "\"timeoutMs\":500},\"id\":\"7\"}",
    "{ \"id\" : 0, \"jsonrpc\" : \"2.0\", \"method\" : \"tx_submitBatch\",\n \"params\" : { "
    "\"txs\" : "
    "[ \"AAAA\" , \"\" ] } }\n",
    "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tx_submitBatch\",\"params\":{\"wait\":\"none\","
    "\"txs\":"
    "[]}}]",
};

START_TEST(what_clients_send_is_taken)
{
    struct text body;
    text_init(&body, 1000);
    text_puts(&body, usual[_i]);
    ck_assert(compare(&body));
    /* and no beginning of it */
    for (body.len--; body.len > 0; body.len--) {
        ck_assert(body.ptr[body.len] == '\n' || !compare(&body));
    }
    text_deinit(&body);
}
END_TEST

int main(void)
{
    const char *given = getenv("SVM_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SVM_SEED=%" PRIu64 "\n", seed);
    Suite *suite = suite_create("gateway_quick");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, what_is_taken_means_the_same);
    tcase_add_loop_test(tcase, what_clients_send_is_taken, 0, sizeof usual / sizeof usual[0]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
