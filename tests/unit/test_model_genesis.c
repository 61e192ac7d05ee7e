/* Genesis files: what is refused and where; the development chain is the same everywhere. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

#define ID_A "0xaa00000000000000000000000000000000000000000000000000000000000000"
#define ID_B "0xbb00000000000000000000000000000000000000000000000000000000000000"
#define COIN(id, balance)                                                                          \
    "{\"id\":\"" id "\",\"kind\":\"owned\",\"owner\":\"" ID_B                                      \
    "\",\"type\":\"coin\",\"balance\":\"" balance "\"}"
#define WITH(objects)   "{\"name\":\"t\",\"timeMs\":\"5\",\"objects\":[" objects "]}"
#define OBJECT(members) WITH("{\"id\":\"" ID_A "\"," members "}")

START_TEST(objects_are_read_and_sorted)
{
    struct model_genesis g;
    char reason[120];
    const char *text =
        " { \"timeMs\" : \"42\", \"name\":\"caf\\u00e9 \\ud83d\\ude00\\n\",\"objects\":[\n"
        "{\"kind\":\"shared\",\"id\":\"" ID_B "\",\"controller\":\"" ID_A
        "\",\"openWithdraw\":true,"
        "\"type\":\"pool\",\"balance\":\"18446744073709551610\"},"
        "{\"kind\":\"immutable\",\"id\":\"" ID_A "\",\"type\":\"note\",\"data\":\"aGVsbG8=\"}]}\t";
    ck_assert_msg(model_genesis_parse(&g, text, reason) == SVM_OK, "%s", reason);
    ck_assert_uint_eq(g.time_ms, 42);
    ck_assert_uint_eq(g.object_count, 2);
    const struct model_object *note = g.objects[0].object, *pool = g.objects[1].object;
    ck_assert_uint_eq(g.objects[0].id.b[0], 0xaa);
    ck_assert_uint_eq(note->kind, SVM_KIND_IMMUTABLE);
    ck_assert_uint_eq(note->version, 1);
    ck_assert_uint_eq(note->created_ms, 42);
    ck_assert_uint_eq(note->data_len, 5);
    ck_assert_mem_eq(model_object_type(note), "note", 4);
    ck_assert_mem_eq(model_object_data(note), "hello", 5);
    ck_assert_uint_eq(pool->kind, SVM_KIND_SHARED);
    ck_assert_uint_eq(pool->balance, UINT64_MAX - 5);
    ck_assert(pool->open_withdraw);
    ck_assert_uint_eq(pool->party.b[0], 0xaa);
    ck_assert_str_eq(g.canonical,
                     "{\"name\":\"caf\xc3\xa9 \xf0\x9f\x98\x80\\n\",\"objects\":["
                     "{\"balance\":\"18446744073709551610\",\"controller\":\"" ID_A
                     "\",\"id\":\"" ID_B
                     "\",\"kind\":\"shared\",\"openWithdraw\":true,\"type\":\"pool\"},"
                     "{\"data\":\"aGVsbG8=\",\"id\":\"" ID_A
                     "\",\"kind\":\"immutable\",\"type\":\"note\"}],\"timeMs\":\"42\"}");
    struct model_genesis again;
    ck_assert_int_eq(model_genesis_parse(&again, g.canonical, reason), SVM_OK);
    ck_assert_str_eq(again.canonical, g.canonical);
    ck_assert_uint_eq(again.chain, g.chain);
    model_genesis_deinit(&again);
    model_genesis_deinit(&g);
}
END_TEST

struct bad {
    const char *text;
    const char *reason; /* a part of it */
};

static const struct bad bads[] = {
    {"", "line 1, column 1: a value was expected"},
    {"[]", "must be an object"},
    {"{", "a member name was expected"},
    {"{\n \"name\" \"x\"}", "line 2, column 9: ':' was expected"},
    {WITH("") "x", "something follows"},
    {"{\"name\":\"a\",\"name\":\"b\"}", "the same member twice"},
    {"{\"name\":1}", "numbers are written as decimal strings"},
    {"{\"name\":-1.5}", "numbers are written as decimal strings"},
    {"{\"name\":null}", "a value was expected"},
    {"{\"n\xc3\xa4me\":\"a\"}", "plain ASCII"},
    {"{\"\":\"a\"}", "1 to 64"},
    {"{\"name\":\"a\x01\"}", "control character"},
    {"{\"name\":\"\\x\"}", "unknown escape"},
    {"{\"name\":\"\\u12\"}", "four hexadecimal digits"},
    {"{\"name\":\"\\u0000\"}", "NUL"},
    {"{\"name\":\"\\ud800\"}", "lone high surrogate"},
    {"{\"name\":\"\\ud800\\u0041\"}", "lone high surrogate"},
    {"{\"name\":\"\\udc00\"}", "lone low surrogate"},
    {"{\"name\":\"\xff\"}", "malformed UTF-8"},
    {"{\"name\":\"\xc0\x80\"}", "malformed UTF-8"},
    {"{\"name\":\"\xe0\x80\x80\"}", "malformed UTF-8"},
    {"{\"name\":\"\xf0\x80\x80\x80\"}", "malformed UTF-8"},
    {"{\"name\":\"\xed\xa0\x80\"}", "malformed UTF-8"},
    {"{\"name\":\"\xf4\x90\x80\x80\"}", "malformed UTF-8"},
    {"{\"name\":\"\xe2\x82\"}", "malformed UTF-8"},
    {"{\"name\":\"abc", "ends inside a string"},
    {"{\"name\":\"abc\\", "ends inside a string"},
    {"{\"name\":\"abc\",}", "a member name was expected"},
    {"[[[[[[[[[[[]]]]]]]]]]]", "nested too deeply"},
    {"{\"timeMs\":\"5\",\"objects\":[]}", "name is missing"},
    {"{\"name\":\"t\",\"objects\":[]}", "timeMs is missing"},
    {"{\"name\":\"t\",\"timeMs\":\"5\"}", "objects must be an array"},
    {"{\"name\":\"t\",\"timeMs\":\"5\",\"objects\":[],\"extra\":true}", "extra is not a member"},
    {"{\"name\":\"t\",\"timeMs\":\"05\",\"objects\":[]}", "without leading zeros"},
    {"{\"name\":\"t\",\"timeMs\":\"\",\"objects\":[]}", "decimal string"},
    {"{\"name\":\"t\",\"timeMs\":\"18446744073709551616\",\"objects\":[]}",
     "does not fit in 64 bits"},
    {"{\"name\":\"t\",\"timeMs\":\"140737488355328\",\"objects\":[]}", "timeMs is too far away"},
    {WITH("\"x\""), "objects[0]. must be an object"},
    {WITH("{}"), "objects[0].id is missing"},
    {WITH("{\"id\":\"0x12\"}"), "objects[0].id must be 0x and 64"},
    {OBJECT("\"kind\":\"stolen\""), "kind must be owned, shared or immutable"},
    {OBJECT("\"kind\":\"owned\""), "owner is missing"},
    {OBJECT("\"kind\":\"shared\",\"owner\":\"" ID_A "\""), "owner does not belong"},
    {OBJECT("\"kind\":\"owned\",\"owner\":\"" ID_A "\",\"openWithdraw\":true"),
     "openWithdraw does not belong"},
    {OBJECT("\"kind\":\"shared\",\"controller\":\"" ID_A "\",\"openWithdraw\":\"yes\""),
     "must be true or false"},
    {OBJECT("\"kind\":\"immutable\""), "type is missing"},
    {OBJECT("\"kind\":\"immutable\",\"type\":\"Coin\""), "type must be 1 to 64"},
    {OBJECT("\"kind\":\"immutable\",\"type\":\"c\",\"data\":\"a\""), "data must be base64"},
    {OBJECT("\"kind\":\"immutable\",\"type\":\"c\",\"balance\":\"-1\""),
     "balance must be a decimal"},
    {OBJECT("\"kind\":\"immutable\",\"type\":\"c\",\"version\":\"1\""), "version is not a member"},
    {WITH(COIN(ID_A, "1") "," COIN(ID_A, "1")), "has the id " ID_A " twice"},
    {WITH(COIN(ID_A, "18446744073709551615") "," COIN(ID_B, "1")), "sum does not fit"},
};

START_TEST(mistakes_are_named)
{
    struct model_genesis g;
    char reason[120];
    ck_assert_msg(model_genesis_parse(&g, bads[_i].text, reason) == SVM_E_BAD_GENESIS, "%s",
                  bads[_i].text);
    ck_assert_msg(strstr(reason, bads[_i].reason) != NULL, "%s\n  says: %s\n  not: %s",
                  bads[_i].text, reason, bads[_i].reason);
    ck_assert_ptr_null(g.objects);
}
END_TEST

START_TEST(truncated_genesis_is_refused)
{
    const char *text = model_genesis_dev();
    const size_t len = strlen(text);
    struct model_genesis g;
    char reason[120];
    for (size_t cut = 0; cut < len; cut += 1 + cut / 40) {
        char *part = malloc(cut + 1);
        memcpy(part, text, cut);
        part[cut] = '\0';
        ck_assert_int_eq(model_genesis_parse(&g, part, reason), SVM_E_BAD_GENESIS);
        free(part);
    }
}
END_TEST

/* ---- the development chain --------------------------------------------------------------------------------- */

static const struct model_object *find(const struct model_genesis *g, const char *label)
{
    struct svm_id id;
    model_dev_object_id(&id, label);
    for (size_t i = 0; i < g->object_count; i++)
        if (memcmp(g->objects[i].id.b, id.b, 32) == 0)
            return g->objects[i].object;
    ck_abort_msg("no object %s", label);
    return NULL;
}

START_TEST(dev_chain_is_what_is_documented)
{
    struct model_genesis g;
    char reason[120], digest[67];
    ck_assert_msg(model_genesis_parse(&g, model_genesis_dev(), reason) == SVM_OK, "%s", reason);
    ck_assert_str_eq(g.canonical, model_genesis_dev());
    svm_hex32_format(digest, g.digest.b);
    /* pre-signed transactions in the documentation name this chain: it never changes */
    ck_assert_str_eq(digest, "0xb58be518052f1c8303f50fd7e3f50936f53d0a20ccc2b882bef89e000aa7676e");
    ck_assert_uint_eq(g.chain, UINT64_C(9447477817255496629));
    ck_assert_uint_eq(g.object_count, 64);
    uint64_t sum = 0;
    for (size_t i = 0; i < g.object_count; i++)
        sum += g.objects[i].object->balance;
    ck_assert_uint_eq(sum, UINT64_C(1000000000000) + 10 * (1000000 + 5 * 1000) + 1000000);
    for (unsigned i = 0; i <= MODEL_DEV_FAUCET; i++) {
        struct model_dev_account account;
        char label[32];
        model_dev_account(&account, i);
        snprintf(label, sizeof label, "%s%s", account.name, i == MODEL_DEV_FAUCET ? "" : " coin");
        const struct model_object *coin = find(&g, label);
        ck_assert_mem_eq(coin->party.b, account.address.b, 32);
        snprintf(label, sizeof label, "%s spare 4", account.name);
        if (i != MODEL_DEV_FAUCET)
            ck_assert_uint_eq(find(&g, label)->balance, 1000);
    }
    ck_assert_uint_eq(find(&g, "alice coin")->balance, 1000000);
    ck_assert_uint_eq(find(&g, "faucet")->balance, UINT64_C(1000000000000));
    ck_assert_uint_eq(find(&g, "counter")->data_len, 16);
    ck_assert_uint_eq(find(&g, "counter")->kind, SVM_KIND_SHARED);
    ck_assert(!find(&g, "counter")->open_withdraw);
    ck_assert(find(&g, "pool")->open_withdraw);
    ck_assert_uint_eq(find(&g, "notice")->kind, SVM_KIND_IMMUTABLE);
    ck_assert_mem_eq(model_object_data(find(&g, "notice")), "SuperVM dev chain", 17);
    model_genesis_deinit(&g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_genesis");
    TCase *tcase = tcase_create("genesis");
    tcase_add_test(tcase, objects_are_read_and_sorted);
    tcase_add_loop_test(tcase, mistakes_are_named, 0, sizeof bads / sizeof bads[0]);
    tcase_add_test(tcase, truncated_genesis_is_refused);
    tcase_add_test(tcase, dev_chain_is_what_is_documented);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
