/* The builder, and signing what it builds. */
#include <check.h>

#include "model_random.h"

static uint8_t buf[SVM_TX_BYTES_MAX];
static struct svm_tx_space space;
static const struct svm_address sender = {{0x51}};

static struct svm_id id_of(unsigned n)
{
    struct svm_id id = {{0}};
    id.b[0] = (uint8_t)(n * 37);
    id.b[1] = (uint8_t)n;
    return id;
}

START_TEST(inputs_are_sorted_and_operations_follow)
{
    struct svm_tx_builder *b = svm_tx_builder_create(9, &sender);
    int handles[20];
    for (unsigned i = 0; i < 20; i++) {
        const struct svm_id id = id_of(i);
        handles[i] = i % 4 == 0   ? svm_tx_builder_owned(b, &id, 100 + i)
                     : i % 4 == 1 ? svm_tx_builder_owned_latest(b, &id)
                     : i % 4 == 2 ? svm_tx_builder_shared(b, &id, true)
                                  : svm_tx_builder_shared(b, &id, false);
        ck_assert_int_ge(handles[i], 0);
    }
    const struct svm_id stone = id_of(21);
    ck_assert_int_ge(svm_tx_builder_immutable(b, &stone), 0);
    for (unsigned i = 0; i < 20; i++) {
        const struct svm_op op = {.kind = SVM_OP_EXPECT,
                                  .input = (uint16_t)handles[i],
                                  .u.expect = {.kind = SVM_CHECK_VERSION, .value = i}};
        ck_assert_int_eq(svm_tx_builder_op(b, &op), (int)i);
    }
    const struct svm_op move = {
        .kind = SVM_OP_MOVE, .input = (uint16_t)handles[0], .u.move = {{5}, (uint16_t)handles[10]}};
    ck_assert_int_eq(svm_tx_builder_op(b, &move), 20);
    svm_tx_builder_nonce(b, 1);
    svm_tx_builder_expires(b, 2);
    svm_tx_builder_gas_limit(b, 3);
    size_t len;
    struct svm_refusal refusal;
    ck_assert_int_eq(svm_tx_builder_finish(b, buf, sizeof buf, &len, &refusal), SVM_OK);

    struct svm_tx tx;
    ck_assert_int_eq(svm_tx_decode(&tx, &space, (struct svm_bytes){buf, len}, &refusal), SVM_OK);
    ck_assert_uint_eq(tx.chain, 9);
    ck_assert_uint_eq(tx.nonce, 1);
    ck_assert_uint_eq(tx.expires_ms, 2);
    ck_assert_uint_eq(tx.gas_limit, 3);
    ck_assert_uint_eq(tx.input_count, 21);
    for (unsigned i = 0; i < 20; i++) {
        const struct svm_id id = id_of(i);
        const struct svm_input *input = &tx.inputs[tx.ops[i].input];
        ck_assert_mem_eq(input->id.b, id.b, 32);
        ck_assert_int_eq(input->exact, i % 4 == 0);
        ck_assert_uint_eq(input->version, i % 4 == 0 ? 100 + i : 0);
        ck_assert_int_eq(input->writable, i % 4 != 3);
    }
    const struct svm_id into = id_of(10);
    ck_assert_mem_eq(tx.inputs[tx.ops[20].u.move.into].id.b, into.b, 32);
    svm_tx_builder_destroy(b);
}
END_TEST

START_TEST(bytes_are_copied_and_the_builder_can_go_on)
{
    struct svm_tx_builder *b = svm_tx_builder_create(1, &sender);
    char type[] = "note", data[] = "first";
    struct svm_op op = {.kind = SVM_OP_CREATE,
                        .u.create = {.owner.kind = SVM_KIND_IMMUTABLE,
                                     .type = {(const uint8_t *)type, 4},
                                     .data = {(const uint8_t *)data, 5}}};
    ck_assert_int_eq(svm_tx_builder_op(b, &op), 0);
    memset(type, 'X', 4);
    memset(data, 'X', 5);
    size_t len;
    struct svm_tx tx;
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(svm_tx_builder_finish(b, buf, sizeof buf, &len, NULL), SVM_OK);
        ck_assert_int_eq(svm_tx_decode(&tx, &space, (struct svm_bytes){buf, len}, NULL), SVM_OK);
        ck_assert_int_eq(tx.op_count, round + 1);
        ck_assert_mem_eq(tx.ops[0].u.create.type.ptr, "note", 4);
        ck_assert_mem_eq(tx.ops[0].u.create.data.ptr, "first", 5);
        memcpy(type, "more", 4);
        ck_assert_int_eq(svm_tx_builder_op(b, &op), round + 1);
        memset(type, 'X', 4);
    }
    svm_tx_builder_destroy(b);
    svm_tx_builder_destroy(NULL);
}
END_TEST

START_TEST(mistakes_are_reported_by_finish)
{
    size_t len;
    struct svm_refusal refusal;
    const struct svm_id id = id_of(3);
    struct svm_tx_builder *b = svm_tx_builder_create(1, &sender);
    svm_tx_builder_owned(b, &id, 1);
    svm_tx_builder_shared(b, &id, true);
    ck_assert_int_eq(svm_tx_builder_finish(b, buf, sizeof buf, &len, &refusal), SVM_E_OP_INVALID);
    ck_assert_mem_eq(refusal.object.b, id.b, 32);
    svm_tx_builder_destroy(b);

    b = svm_tx_builder_create(1, &sender);
    const struct svm_op stray = {.kind = SVM_OP_DELETE, .input = 0};
    svm_tx_builder_op(b, &stray);
    ck_assert_int_eq(svm_tx_builder_finish(b, buf, sizeof buf, &len, &refusal), SVM_E_OP_INVALID);
    ck_assert_uint_eq(refusal.op, 0);
    svm_tx_builder_destroy(b);

    b = svm_tx_builder_create(1, &sender);
    for (unsigned i = 0; i < SVM_TX_INPUTS_MAX; i++) {
        const struct svm_id next = {{(uint8_t)i}};
        ck_assert_int_eq(svm_tx_builder_owned(b, &next, 1), (int)i);
    }
    ck_assert_int_eq(svm_tx_builder_finish(b, buf, 100, &len, &refusal), SVM_E_TX_TOO_LARGE);
    ck_assert_uint_eq(refusal.limit, 100);
    ck_assert_uint_eq(refusal.got, len);
    ck_assert_int_eq(svm_tx_builder_owned(b, &id, 1), -1);
    ck_assert_int_eq(svm_tx_builder_finish(b, buf, sizeof buf, &len, &refusal), SVM_E_OP_INVALID);
    ck_assert_str_eq(refusal.reason, "more than 256 inputs");
    svm_tx_builder_destroy(b);
}
END_TEST

/* ---- signing ----------------------------------------------------------------------------------------------- */

static struct random_tx original;

/* sign_random: a signed random transaction of KEY in buf; its length. */
static size_t sign_random(struct random *r, const struct svm_secret_key *key)
{
    struct svm_public_key public_key;
    size_t tx_len, len;
    random_tx(r, &original);
    svm_key_public(&public_key, key);
    svm_key_address(&original.tx.sender, &public_key);
    ck_assert_int_eq(svm_tx_encode(buf, sizeof buf, &tx_len, &original.tx), SVM_OK);
    ck_assert_int_eq(svm_tx_sign(buf, sizeof buf, &len, (struct svm_bytes){buf, tx_len}, key),
                     SVM_OK);
    ck_assert_uint_eq(len, tx_len + 98);
    return len;
}

START_TEST(what_is_signed_verifies_and_nothing_else)
{
    struct random r = random_seeded("what_is_signed_verifies_and_nothing_else");
    const unsigned rounds = random_rounds(400);
    for (unsigned round = 0; round < rounds; round++) {
        struct svm_secret_key key;
        struct svm_signed_tx stx;
        struct svm_refusal refusal;
        struct svm_digest digest;
        random_bytes(&r, key.seed, sizeof key.seed);
        const size_t len = sign_random(&r, &key);
        const struct svm_bytes bytes = {buf, len};
        ck_assert_int_eq(svm_signed_tx_decode(&stx, &space, bytes, &refusal), SVM_OK);
        ck_assert_int_eq(svm_signed_tx_verify(&stx, &refusal), SVM_OK);
        ck_assert_uint_eq(stx.tx_bytes.len, len - 98);
        ck_assert_ptr_eq(stx.tx_bytes.ptr, buf);
        svm_tx_digest(&digest, stx.tx_bytes);

        const size_t at = random_below(&r, (uint32_t)len);
        buf[at] ^= (uint8_t)(1u << random_below(&r, 8));
        const enum svm_err err = svm_signed_tx_decode(&stx, &space, bytes, &refusal);
        if (err == SVM_OK) {
            ck_assert_int_eq(svm_signed_tx_verify(&stx, &refusal), SVM_E_BAD_SIGNATURE);
            ck_assert_int_eq(refusal.err, SVM_E_BAD_SIGNATURE);
        }
    }
}
END_TEST

/* A good signature, but of somebody else. */
START_TEST(only_the_sender_signs)
{
    const struct svm_secret_key key = {{1}};
    const struct svm_tx tx = {.sender = {{0x51}}};
    struct svm_signed_tx stx;
    struct svm_refusal refusal;
    size_t len;
    ck_assert_int_eq(svm_tx_encode(buf, sizeof buf, &len, &tx), SVM_OK);
    ck_assert_int_eq(svm_tx_sign(buf, sizeof buf, &len, (struct svm_bytes){buf, len}, &key),
                     SVM_OK);
    ck_assert_int_eq(svm_signed_tx_decode(&stx, &space, (struct svm_bytes){buf, len}, NULL),
                     SVM_OK);
    ck_assert_int_eq(svm_signed_tx_verify(&stx, &refusal), SVM_E_BAD_SIGNATURE);
    ck_assert_ptr_nonnull(strstr(refusal.reason, "address of the public key"));
}
END_TEST

START_TEST(auths_are_strict)
{
    struct random r = {1};
    struct svm_secret_key key = {{1}};
    struct svm_signed_tx stx;
    struct svm_refusal refusal;
    const size_t len = sign_random(&r, &key), at_count = len - 98;
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {{0, 0}, {0, 2}, {1, 1}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const uint8_t before = buf[at_count + changes[i].at];
        buf[at_count + changes[i].at] = changes[i].value;
        ck_assert_int_eq(svm_signed_tx_decode(&stx, &space, (struct svm_bytes){buf, len}, &refusal),
                         SVM_E_TX_DECODE);
        ck_assert_uint_eq(refusal.offset, at_count + changes[i].at);
        buf[at_count + changes[i].at] = before;
    }
    for (size_t cut = 0; cut < len; cut++)
        ck_assert_int_eq(svm_signed_tx_decode(&stx, &space, (struct svm_bytes){buf, cut}, NULL),
                         SVM_E_TX_DECODE);
    size_t too_long;
    ck_assert_int_eq(svm_tx_sign(buf, len - 1, &too_long, (struct svm_bytes){buf, len - 98}, &key),
                     SVM_E_TX_TOO_LARGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_build");
    TCase *tcase = tcase_create("build");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, inputs_are_sorted_and_operations_follow);
    tcase_add_test(tcase, bytes_are_copied_and_the_builder_can_go_on);
    tcase_add_test(tcase, mistakes_are_reported_by_finish);
    tcase_add_test(tcase, what_is_signed_verifies_and_nothing_else);
    tcase_add_test(tcase, only_the_sender_signs);
    tcase_add_test(tcase, auths_are_strict);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
