/* JSON-RPC from the body to the answer, by the gateway's handler over an engine. Two nodes get each body; one of them with so much
 * white space in front that the short way of reading submissions (gateway/quick.h) does not look at it. Both must say the same.
 *
 *     input    a body, with the tokens of node.h; the first byte is '!' for a call from the unix socket */
#include "fuzz.h"

#include <jansson.h>

#include "gateway/exchange.h"
#include "gateway/state.h"
#include "node.h"

enum { SPACE = 300 };

static struct node short_way, long_way;
static uint64_t round_no;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    node_open(&short_way);
    node_open(&long_way);
    return 0;
}

static void on_done(void *arg, struct rpc_exchange *exchange)
{
    (void)exchange;
    *(bool *)arg = true;
}

/* ask: what NODE answers to BODY; free. */
static char *ask(struct node *node, const char *body, size_t len, bool over_unix, size_t *len_out)
{
    bool finished = false, done = false;
    struct text text;
    struct rpc_exchange *exchange =
        exchange_begin(node->gateway, body, len, over_unix, on_done, &done, &finished);
    FUZZ_CHECK(exchange != NULL, "no memory");
    while (!finished && !done)
        uv_run(&node->loop, UV_RUN_ONCE);
    uv_run(&node->loop, UV_RUN_NOWAIT); /* what is due, not what comes */
    text_init(&text, 0);
    exchange_take(exchange, &text);
    exchange_end(exchange);
    FUZZ_CHECK(!text.overflow, "an answer beyond its limit");
    text.limit = SIZE_MAX;
    FUZZ_CHECK(node->gateway->calls == 0 && node->gateway->blocking == 0, "a call is left");
    *len_out = text.len;
    text_put_char(&text, '\0');
    return text_take(&text);
}

/* ---- what holds for an answer -------------------------------------------------------------------------------- */

static void check_response(const json_t *response)
{
    const json_t *id = json_object_get(response, "id");
    const json_t *error = json_object_get(response, "error");
    const json_t *version = json_object_get(response, "jsonrpc");
    FUZZ_CHECK(json_is_object(response) && json_object_size(response) == 3, "members");
    FUZZ_CHECK(json_is_string(version) && strcmp(json_string_value(version), "2.0") == 0,
               "jsonrpc");
    FUZZ_CHECK(json_is_string(id) || json_is_number(id) || json_is_null(id), "id");
    FUZZ_CHECK((error == NULL) == (json_object_get(response, "result") != NULL), "neither or both");
    if (error != NULL) {
        FUZZ_CHECK(json_is_integer(json_object_get(error, "code")), "code");
        FUZZ_CHECK(json_is_string(json_object_get(error, "message")), "message");
        FUZZ_CHECK(json_integer_value(json_object_get(error, "code")) != -32603, "internal error");
    }
}

static json_t *check_answer(const char *text, size_t len)
{
    json_error_t error;
    if (len == 0)
        return NULL; /* notifications */
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    FUZZ_CHECK(root != NULL, "the answer is no JSON: %s: %.*s", error.text, (int)len, text);
    if (!json_is_array(root))
        check_response(root);
    FUZZ_CHECK(!json_is_array(root) || json_array_size(root) > 0, "an empty batch");
    for (size_t i = 0; json_is_array(root) && i < json_array_size(root); i++)
        check_response(json_array_get(root, i));
    return root;
}

/* What must be the same: who is answered, with what kind of answer, about which transaction. Not when it was done, nor in which
 * order transactions that race were. */
static void check_same(const json_t *a, const json_t *b, const char *text)
{
    static const char *const kept[] = {"id",   "error", "result",  "code",
                                       "name", "items", "results", "digest"};
    FUZZ_CHECK(json_typeof(a) == json_typeof(b), "%s", text);
    FUZZ_CHECK(json_is_object(a) || json_is_array(a) ||
                   json_equal((json_t *)(uintptr_t)a, (json_t *)(uintptr_t)b),
               "%s", text);
    FUZZ_CHECK(json_array_size(a) == json_array_size(b), "%s", text);
    for (size_t i = 0; i < json_array_size(a); i++)
        check_same(json_array_get(a, i), json_array_get(b, i), text);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0] && json_is_object(a); i++) {
        const json_t *left = json_object_get(a, kept[i]), *right = json_object_get(b, kept[i]);
        FUZZ_CHECK((left == NULL) == (right == NULL), "%s: %s", kept[i], text);
        if (left != NULL)
            check_same(left, right, text);
    }
}

static bool is_submission(const char *body, size_t len)
{
    return memmem(body, len, "\"tx_submit", 10) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const bool over_unix = size > 0 && data[0] == '!';
    size_t len, short_len, long_len;
    if (memmem(data, size, "generateLoad", 12) != NULL) /* as long as it is told to be */
        return 0;
    char *body = node_expand(&len, data + over_unix, size - over_unix, ++round_no);
    char *short_answer = ask(&short_way, body, len, over_unix, &short_len);
    json_t *left = check_answer(short_answer, short_len);
    if (is_submission(body, len)) {
        char *spaced = malloc(len + SPACE);
        if (spaced == NULL)
            abort();
        memset(spaced, ' ', SPACE);
        memcpy(spaced + SPACE, body, len);
        char *long_answer = ask(&long_way, spaced, len + SPACE, over_unix, &long_len);
        json_t *right = check_answer(long_answer, long_len);
        FUZZ_CHECK((left == NULL) == (right == NULL), "one of them says nothing");
        if (left != NULL)
            check_same(left, right, short_answer);
        json_decref(right);
        free(long_answer);
        free(spaced);
    }
    json_decref(left);
    free(short_answer);
    free(body);
    return 0;
}
