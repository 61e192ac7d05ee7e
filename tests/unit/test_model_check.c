/* The static rules of operations: which are allowed, and which operation a refusal names. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include <svm/tx.h>

/* Inputs of every test: two owned, a mutable shared, a readable shared, an immutable one. */
enum { OWN, OWN2, POOL, VIEW, STONE, NO_SUCH };

static const struct svm_input inputs[5] = {
    [OWN] = {.id = {{1}}, .kind = SVM_KIND_OWNED, .writable = true},
    [OWN2] = {.id = {{2}}, .kind = SVM_KIND_OWNED, .writable = true},
    [POOL] = {.id = {{3}}, .kind = SVM_KIND_SHARED, .writable = true},
    [VIEW] = {.id = {{4}}, .kind = SVM_KIND_SHARED},
    [STONE] = {.id = {{5}}, .kind = SVM_KIND_IMMUTABLE},
};

#define TRANSFER(i)                                                                                \
    {                                                                                              \
        .kind = SVM_OP_TRANSFER, .input = (i)                                                      \
    }
#define PAY(i, n)                                                                                  \
    {                                                                                              \
        .kind = SVM_OP_PAY, .input = (i), .u.pay.amount = { n }                                    \
    }
#define MOVE(i, j, n)                                                                              \
    {                                                                                              \
        .kind = SVM_OP_MOVE, .input = (i), .u.move = { {n}, j }                                    \
    }
#define CREATE(text)                                                                               \
    {                                                                                              \
        .kind = SVM_OP_CREATE, .u.create.type = {(const uint8_t *)(text), sizeof(text) - 1 }       \
    }
#define PLAIN(op, i)                                                                               \
    {                                                                                              \
        .kind = SVM_OP_##op, .input = (i)                                                          \
    }

struct rule {
    const char *what;
    bool good;
    uint16_t bad_op;
    uint16_t count;
    struct svm_op ops[3];
};

static const struct rule rules[] = {
    {"nothing to do", true, 0, 0, {{0}}},
    {"transfer of one's own", true, 0, 1, {TRANSFER(OWN)}},
    {"transfer of a shared one", false, 0, 1, {TRANSFER(POOL)}},
    {"transfer of an immutable one", false, 0, 1, {TRANSFER(STONE)}},
    {"input out of range", false, 0, 1, {TRANSFER(NO_SUCH)}},
    {"pay from one's own", true, 0, 1, {PAY(OWN, 1)}},
    {"pay from the pool", true, 0, 1, {PAY(POOL, 1)}},
    {"pay from a read-only share", false, 0, 1, {PAY(VIEW, 1)}},
    {"pay from stone", false, 0, 1, {PAY(STONE, 1)}},
    {"pay nothing", false, 0, 1, {PAY(OWN, 0)}},
    {"second operation is the bad one", false, 1, 2, {PAY(OWN, 1), PAY(OWN, 0)}},
    {"deposit", true, 0, 1, {MOVE(OWN, POOL, 1)}},
    {"withdraw", true, 0, 1, {MOVE(POOL, OWN, 1)}},
    {"deposit into a read-only share", false, 0, 1, {MOVE(OWN, VIEW, 1)}},
    {"deposit into stone", false, 0, 1, {MOVE(OWN, STONE, 1)}},
    {"move into itself", false, 0, 1, {MOVE(OWN, OWN, 1)}},
    {"move nothing", false, 0, 1, {MOVE(OWN, OWN2, 0)}},
    {"move into nowhere", false, 0, 1, {MOVE(OWN, NO_SUCH, 1)}},
    {"create", true, 0, 1, {CREATE("a-z_0:9.")}},
    {"create without a type", false, 0, 1, {CREATE("")}},
    {"create with upper case", false, 0, 1, {CREATE("Coin")}},
    {"create with a space", false, 0, 1, {CREATE("a b")}},
    {"create with a slash", false, 0, 1, {CREATE("a/b")}},
    {"create with a semicolon", false, 0, 1, {CREATE("a;b")}},
    {"create with a backquote", false, 0, 1, {CREATE("`")}},
    {"create with a brace", false, 0, 1, {CREATE("{")}},
    {"create with a comma", false, 0, 1, {CREATE(",")}},
    {"update", true, 0, 1, {PLAIN(UPDATE, OWN)}},
    {"update of the pool", true, 0, 1, {PLAIN(UPDATE, POOL)}},
    {"update of a read-only share", false, 0, 1, {PLAIN(UPDATE, VIEW)}},
    {"update of stone", false, 0, 1, {PLAIN(UPDATE, STONE)}},
    {"add", true, 0, 1, {PLAIN(ADD, POOL)}},
    {"add to a read-only share", false, 0, 1, {PLAIN(ADD, VIEW)}},
    {"expect of stone", true, 0, 1, {PLAIN(EXPECT, STONE)}},
    {"expect of a read-only share", true, 0, 1, {PLAIN(EXPECT, VIEW)}},
    {"expect of nothing", false, 0, 1, {PLAIN(EXPECT, NO_SUCH)}},
    {"delete", true, 0, 1, {PLAIN(DELETE, OWN)}},
    {"delete of the pool", false, 0, 1, {PLAIN(DELETE, POOL)}},
    {"delete of stone", false, 0, 1, {PLAIN(DELETE, STONE)}},
    {"share", true, 0, 1, {PLAIN(SHARE, OWN)}},
    {"share of the pool", false, 0, 1, {PLAIN(SHARE, POOL)}},
    {"freeze", true, 0, 1, {PLAIN(FREEZE, OWN)}},
    {"freeze of the pool", false, 0, 1, {PLAIN(FREEZE, POOL)}},
    {"pay after transfer", false, 1, 2, {TRANSFER(OWN), PAY(OWN, 1)}},
    {"expect after delete", false, 1, 2, {PLAIN(DELETE, OWN), PLAIN(EXPECT, OWN)}},
    {"update after share", false, 1, 2, {PLAIN(SHARE, OWN), PLAIN(UPDATE, OWN)}},
    {"add after freeze", false, 1, 2, {PLAIN(FREEZE, OWN), PLAIN(ADD, OWN)}},
    {"deposit after transfer", false, 1, 2, {TRANSFER(OWN2), MOVE(OWN, OWN2, 1)}},
    {"closing twice", false, 1, 2, {TRANSFER(OWN), TRANSFER(OWN)}},
    {"another one stays open", true, 0, 2, {TRANSFER(OWN), PAY(OWN2, 1)}},
    {"operations before closing", true, 0, 3, {PAY(OWN, 1), PLAIN(ADD, OWN), PLAIN(FREEZE, OWN)}},
};

START_TEST(rule_holds)
{
    const struct rule *rule = &rules[_i];
    struct svm_refusal refusal = {.err = SVM_OK};
    const struct svm_tx tx = {
        .input_count = 5, .inputs = inputs, .op_count = rule->count, .ops = rule->ops};
    const enum svm_err err = svm_tx_check(&tx, &refusal);
    ck_assert_msg(err == (rule->good ? SVM_OK : SVM_E_OP_INVALID), "%s: %s %s", rule->what,
                  svm_err_name(err), refusal.reason);
    if (err == SVM_OK)
        return;
    ck_assert_int_eq(refusal.err, SVM_E_OP_INVALID);
    ck_assert((refusal.has & SVM_HAS_OP) != 0);
    ck_assert_uint_eq(refusal.op, rule->bad_op);
    ck_assert_uint_gt(strlen(refusal.reason), 10);
    ck_assert_int_eq(svm_tx_check(&tx, NULL), SVM_E_OP_INVALID);
}
END_TEST

/* What only a struct can be, never bytes. */
START_TEST(form_is_checked)
{
    static struct svm_input many_inputs[SVM_TX_INPUTS_MAX + 1];
    static struct svm_op many_ops[SVM_TX_OPS_MAX + 1];
    for (unsigned i = 0; i <= SVM_TX_INPUTS_MAX; i++) {
        many_inputs[i] = (struct svm_input){.kind = SVM_KIND_IMMUTABLE};
        many_inputs[i].id.b[0] = (uint8_t)(i >> 8);
        many_inputs[i].id.b[1] = (uint8_t)i;
        many_ops[i] = (struct svm_op){.kind = SVM_OP_EXPECT};
    }
    struct svm_tx tx = {.input_count = SVM_TX_INPUTS_MAX,
                        .inputs = many_inputs,
                        .op_count = SVM_TX_OPS_MAX,
                        .ops = many_ops};
    ck_assert_int_eq(svm_tx_check(&tx, NULL), SVM_OK);
    tx.input_count++;
    ck_assert_int_eq(svm_tx_check(&tx, NULL), SVM_E_OP_INVALID);
    tx.input_count = 1;
    tx.op_count++;
    ck_assert_int_eq(svm_tx_check(&tx, NULL), SVM_E_OP_INVALID);
    tx.op_count = 1;
    ck_assert_int_eq(svm_tx_check(&tx, NULL), SVM_OK);
    tx.privacy = 2;
    ck_assert_int_eq(svm_tx_check(&tx, NULL), SVM_E_OP_INVALID);
    tx.privacy = 0;
    many_ops[0].kind = SVM_OP_COUNT;
    ck_assert_int_eq(svm_tx_check(&tx, NULL), SVM_E_OP_INVALID);
    many_ops[0] = (struct svm_op){.kind = SVM_OP_EXPECT, .u.expect.kind = (enum svm_check_kind)3};
    ck_assert_int_eq(svm_tx_check(&tx, NULL), SVM_E_OP_INVALID);
    many_ops[0] = (struct svm_op){.kind = SVM_OP_EXPECT};
    many_inputs[0].kind = (enum svm_kind)3;
    ck_assert_int_eq(svm_tx_check(&tx, NULL), SVM_E_OP_INVALID);
    many_inputs[0].exact = true; /* which is of owned ones alone */
    many_inputs[0].kind = SVM_KIND_OWNED;
    ck_assert_int_eq(svm_tx_check(&tx, NULL), SVM_OK);
    many_inputs[0].kind = SVM_KIND_SHARED;
    ck_assert_int_eq(svm_tx_check(&tx, NULL), SVM_E_OP_INVALID);
    many_inputs[0].kind = SVM_KIND_IMMUTABLE;
    ck_assert_int_eq(svm_tx_check(&tx, NULL), SVM_E_OP_INVALID);
    many_inputs[0].exact = false;
    tx.input_count = 2;
    many_inputs[1].id = many_inputs[0].id;
    struct svm_refusal refusal;
    ck_assert_int_eq(svm_tx_check(&tx, &refusal), SVM_E_OP_INVALID);
    ck_assert((refusal.has & SVM_HAS_OBJECT) != 0);
}
END_TEST

/* The 65th and 130th input: the set of closed inputs is more than one word. */
START_TEST(closing_works_for_every_input)
{
    static struct svm_input many[SVM_TX_INPUTS_MAX];
    for (unsigned i = 0; i < SVM_TX_INPUTS_MAX; i++) {
        many[i] = (struct svm_input){.kind = SVM_KIND_OWNED, .writable = true};
        many[i].id.b[0] = (uint8_t)i;
    }
    for (uint16_t closed = 0; closed < SVM_TX_INPUTS_MAX; closed++)
        for (uint16_t used = 0; used < SVM_TX_INPUTS_MAX; used = (uint16_t)(used + 1 + used % 7)) {
            const struct svm_op ops[2] = {PLAIN(FREEZE, closed), PLAIN(ADD, used)};
            const struct svm_tx tx = {
                .input_count = SVM_TX_INPUTS_MAX, .inputs = many, .op_count = 2, .ops = ops};
            ck_assert_int_eq(svm_tx_check(&tx, NULL), used == closed ? SVM_E_OP_INVALID : SVM_OK);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_check");
    TCase *tcase = tcase_create("check");
    tcase_add_loop_test(tcase, rule_holds, 0, sizeof rules / sizeof rules[0]);
    tcase_add_test(tcase, form_is_checked);
    tcase_add_test(tcase, closing_works_for_every_input);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
