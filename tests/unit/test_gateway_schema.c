/* gateway/schema: JSON to C and back by the generated tables. */
#include <check.h>
#include <string.h>

#include "gateway/gen/rpc_types.h"

static struct arena arena;
static struct rpc_error error;

static bool parse(void *out, const struct schema *schema, const char *json)
{
    json_t *params = json_loads(json, JSON_DECODE_ANY, NULL);
    ck_assert_ptr_nonnull(params);
    const bool ok = schema_parse_params(out, &error, &arena, schema, params);
    json_decref(params);
    return ok;
}

static const char *note(const char *key)
{
    for (int i = 0; i < RPC_NOTES_MAX && error.notes[i].key != NULL; i++) {
        if (strcmp(error.notes[i].key, key) == 0) {
            return error.notes[i].text;
        }
    }
    return "";
}

static void setup(void)
{
    arena_init(&arena);
    memset(&error, 0, sizeof error);
}

static void teardown(void)
{
    arena_deinit(&arena);
}

START_TEST(test_by_name_and_by_position)
{
    struct rpc_dev_send_params params;
    ck_assert(parse(&params, &rpc_schema_dev_send_params,
                    "{\"to\":\"bob\",\"amount\":\"7\",\"from\":\"alice\"}"));
    ck_assert_str_eq(params.from, "alice");
    ck_assert_uint_eq(params.amount, 7);
    ck_assert(!params.has_coin);
    ck_assert_int_eq((int)params.wait, (int)RPC_WAIT_DURABLE);
    ck_assert(parse(&params, &rpc_schema_dev_send_params, "[\"alice\",\"bob\",7,null,\"none\"]"));
    ck_assert_int_eq((int)params.wait, (int)RPC_WAIT_NONE);
    ck_assert(!params.has_coin);
}
END_TEST

struct u64_case {
    const char *json;
    bool ok;
    uint64_t value;
};

START_TEST(test_u64_forms)
{
    static const struct u64_case cases[] = {
        {"\"0\"", true, 0},
        {"\"18446744073709551615\"", true, UINT64_MAX},
        {"9007199254740991", true, 9007199254740991},
        {"\"18446744073709551616\"", false, 0},
        {"\"99999999999999999999\"", false, 0},
        {"\"184467440737095516150\"", false, 0},
        {"9007199254740992", false, 0},
        {"-1", false, 0},
        {"1.0", false, 0},
        {"\"\"", false, 0},
        {"\"01\"", false, 0},
        {"\"+1\"", false, 0},
        {"\" 1\"", false, 0},
        {"\"0x1\"", false, 0},
        {"null", false, 0},
        {"true", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rpc_dev_send_params params;
        char json[128];
        snprintf(json, sizeof json, "{\"from\":\"a\",\"to\":\"b\",\"amount\":%s}", cases[i].json);
        ck_assert_msg(parse(&params, &rpc_schema_dev_send_params, json) == cases[i].ok, "%s", json);
        if (cases[i].ok) {
            ck_assert_uint_eq(params.amount, cases[i].value);
        } else {
            ck_assert_int_eq(error.err, SVM_E_INVALID_PARAMS);
            ck_assert_str_eq(note("param"), "amount");
        }
    }
}
END_TEST

#define TX(ops) "{\"transaction\":{\"sender\":\"0x" A32 "\",\"inputs\":[],\"ops\":[" ops "]}}"
#define A32     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

START_TEST(test_tagged_objects)
{
    struct rpc_tx_encode_params params;
    ck_assert(
        parse(&params, &rpc_schema_tx_encode_params,
              TX("{\"op\":\"add\",\"input\":1,\"offset\":8,\"delta\":\"-9223372036854775808\"}")));
    ck_assert_uint_eq(params.transaction.ops_count, 1);
    ck_assert_int_eq(params.transaction.ops[0].delta, INT64_MIN);
    ck_assert(
        !parse(&params, &rpc_schema_tx_encode_params,
               TX("{\"op\":\"add\",\"input\":1,\"offset\":8,\"delta\":\"-9223372036854775809\"}")));
    ck_assert_str_eq(note("param"), "transaction.ops[0].delta");
    /* a field of another tag, whatever the order in the text */
    ck_assert(!parse(&params, &rpc_schema_tx_encode_params,
                     TX("{\"amount\":\"1\",\"input\":0,\"op\":\"freeze\"}")));
    ck_assert_str_eq(note("param"), "transaction.ops[0].amount");
    ck_assert(!parse(&params, &rpc_schema_tx_encode_params, TX("{\"op\":\"pay\",\"from\":0}")));
    ck_assert_str_eq(note("param"), "transaction.ops[0].to");
    ck_assert(
        !parse(&params, &rpc_schema_tx_encode_params, TX("{\"op\":\"freeze\",\"input\":65536}")));
    ck_assert(!parse(&params, &rpc_schema_tx_encode_params,
                     TX("{\"op\":\"freeze\",\"input\":0,\"x\":1}")));
    ck_assert_str_eq(note("unknown"), "x");
}
END_TEST

START_TEST(test_there_and_back)
{
    static const char json[] =
        "{\"sender\":\"0x" A32 "\",\"nonce\":\"5\",\"inputs\":[{\"kind\":\"owned\",\"id\":\"0x" A32
        "\",\"version\":\"3\"},{\"kind\":\"shared\",\"id\":\"0x" A32
        "\",\"mutable\":true}],\"ops\":[{\"op\":\"create\","
        "\"owner\":{\"kind\":\"owned\",\"address\":\"0x" A32
        "\"},\"type\":\"a\\\"b\",\"data\":\"AQID\"},{\"op\":\"expect\","
        "\"input\":0,\"check\":{\"kind\":\"balanceAtLeast\",\"amount\":\"1\"}}]}";
    struct rpc_tx_encode_params params;
    char whole[1024];
    struct text text;
    snprintf(whole, sizeof whole, "{\"transaction\":%s}", json);
    ck_assert(parse(&params, &rpc_schema_tx_encode_params, whole));
    text_init(&text, 4096);
    schema_write(&text, &rpc_schema_transaction, &params.transaction);
    text_put_char(&text, '\0');
    ck_assert_str_eq(text.ptr, json);
    text_deinit(&text);
}
END_TEST

START_TEST(test_limits)
{
    struct rpc_object_get_many_params params;
    struct text text;
    text_init(&text, 64 * 1024);
    text_puts(&text, "{\"ids\":[");
    for (int i = 0; i < 257; i++) {
        text_puts(&text, i > 0 ? ",\"0x" A32 "\"" : "\"0x" A32 "\"");
    }
    text_put(&text, "]}", 3);
    ck_assert(!parse(&params, &rpc_schema_object_get_many_params, text.ptr));
    ck_assert_int_eq(error.err, SVM_E_LIMIT_EXCEEDED);
    text_deinit(&text);
    ck_assert(parse(&params, &rpc_schema_object_get_many_params, "{\"ids\":[]}"));
    ck_assert_uint_eq(params.ids_count, 0);
}
END_TEST

START_TEST(test_nearest)
{
    static const char *const names[] = {"amount", "from", "to", "timeoutMs"};
    ck_assert_str_eq(schema_nearest("ammount", names, 4), "amount");
    ck_assert_str_eq(schema_nearest("form", names, 4), "from");
    ck_assert_str_eq(schema_nearest("timeoutms", names, 4), "timeoutMs");
    ck_assert_ptr_null(schema_nearest("elephant", names, 4));
    ck_assert_ptr_null(schema_nearest("", names, 4));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_schema");
    TCase *tcase = tcase_create("schema");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_by_name_and_by_position);
    tcase_add_test(tcase, test_u64_forms);
    tcase_add_test(tcase, test_tagged_objects);
    tcase_add_test(tcase, test_there_and_back);
    tcase_add_test(tcase, test_limits);
    tcase_add_test(tcase, test_nearest);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
