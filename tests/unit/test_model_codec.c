/* The transaction codec: one encoding per value, every malformation refused at its byte. */
#include <check.h>

#include "model_random.h"

/* ---- equality ---------------------------------------------------------------------------------------------- */

static void assert_same_bytes(struct svm_bytes a, struct svm_bytes b)
{
    ck_assert_uint_eq(a.len, b.len);
    if (a.len > 0)
        ck_assert_mem_eq(a.ptr, b.ptr, a.len);
}

static void assert_same_input(const struct svm_input *a, const struct svm_input *b)
{
    ck_assert_mem_eq(a->id.b, b->id.b, 32);
    ck_assert_int_eq(a->kind, b->kind);
    ck_assert_int_eq(a->exact, b->exact);
    ck_assert_int_eq(a->writable, b->writable);
    ck_assert_uint_eq(a->version, b->version);
}

static void assert_same_create(const struct svm_op *a, const struct svm_op *b)
{
    ck_assert_int_eq(a->u.create.owner.kind, b->u.create.owner.kind);
    ck_assert_mem_eq(a->u.create.owner.address.b, b->u.create.owner.address.b, 32);
    ck_assert_int_eq(a->u.create.owner.open_withdraw, b->u.create.owner.open_withdraw);
    assert_same_bytes(a->u.create.type, b->u.create.type);
    assert_same_bytes(a->u.create.data, b->u.create.data);
}

static void assert_same_expect(const struct svm_op *a, const struct svm_op *b)
{
    ck_assert_int_eq(a->u.expect.kind, b->u.expect.kind);
    if (a->u.expect.kind == SVM_CHECK_DATA_HASH)
        ck_assert_mem_eq(a->u.expect.hash, b->u.expect.hash, 32);
    else
        ck_assert_uint_eq(a->u.expect.value, b->u.expect.value);
}

static void assert_same_op(const struct svm_op *a, const struct svm_op *b)
{
    ck_assert_int_eq(a->kind, b->kind);
    ck_assert_uint_eq(a->input, b->input);
    switch (a->kind) {
    case SVM_OP_TRANSFER:
        ck_assert_mem_eq(a->u.transfer.to.b, b->u.transfer.to.b, 32);
        break;
    case SVM_OP_PAY:
        ck_assert_mem_eq(a->u.pay.to.b, b->u.pay.to.b, 32);
        ck_assert_uint_eq(a->u.pay.amount.units, b->u.pay.amount.units);
        break;
    case SVM_OP_MOVE:
        ck_assert_uint_eq(a->u.move.into, b->u.move.into);
        ck_assert_uint_eq(a->u.move.amount.units, b->u.move.amount.units);
        break;
    case SVM_OP_CREATE:
        assert_same_create(a, b);
        break;
    case SVM_OP_UPDATE:
        assert_same_bytes(a->u.update.data, b->u.update.data);
        break;
    case SVM_OP_ADD:
        ck_assert_uint_eq(a->u.add.offset, b->u.add.offset);
        ck_assert_int_eq(a->u.add.delta, b->u.add.delta);
        break;
    case SVM_OP_EXPECT:
        assert_same_expect(a, b);
        break;
    case SVM_OP_SHARE:
        ck_assert_int_eq(a->u.share.open_withdraw, b->u.share.open_withdraw);
        break;
    case SVM_OP_DELETE:
    case SVM_OP_FREEZE:
    case SVM_OP_COUNT:
        break;
    }
}

static void assert_same_tx(const struct svm_tx *a, const struct svm_tx *b)
{
    ck_assert_uint_eq(a->chain, b->chain);
    ck_assert_mem_eq(a->sender.b, b->sender.b, 32);
    ck_assert_uint_eq(a->nonce, b->nonce);
    ck_assert_uint_eq(a->expires_ms, b->expires_ms);
    ck_assert_uint_eq(a->gas_limit, b->gas_limit);
    ck_assert_uint_eq(a->privacy, b->privacy);
    ck_assert_uint_eq(a->input_count, b->input_count);
    ck_assert_uint_eq(a->op_count, b->op_count);
    for (size_t i = 0; i < a->input_count; i++)
        assert_same_input(&a->inputs[i], &b->inputs[i]);
    for (size_t i = 0; i < a->op_count; i++)
        assert_same_op(&a->ops[i], &b->ops[i]);
}

/* ---- properties -------------------------------------------------------------------------------------------- */

static struct random_tx original;
static struct svm_tx_space space;
static uint8_t encoded[SVM_TX_BYTES_MAX];

/* exact_copy: BYTES at the end of their own allocation, so that a read beyond them is seen. */
static struct svm_bytes exact_copy(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, len);
    return (struct svm_bytes){copy, len};
}

static void free_copy(struct svm_bytes bytes)
{
    free((void *)(uintptr_t)bytes.ptr);
}

START_TEST(decode_undoes_encode)
{
    struct random r = random_seeded("decode_undoes_encode");
    const unsigned rounds = random_rounds(20000);
    for (unsigned round = 0; round < rounds; round++) {
        size_t len, len_again;
        struct svm_tx decoded;
        struct svm_refusal refusal;
        random_tx(&r, &original);
        ck_assert_int_eq(svm_tx_encode(encoded, sizeof encoded, &len, &original.tx), SVM_OK);
        const struct svm_bytes bytes = exact_copy(encoded, len);
        const enum svm_err err = svm_tx_decode(&decoded, &space, bytes, &refusal);
        ck_assert_msg(err == SVM_OK, "round %u: %s %s", round, svm_err_name(err), refusal.reason);
        assert_same_tx(&original.tx, &decoded);

        memset(encoded, 0xaa, sizeof encoded);
        ck_assert_int_eq(svm_tx_encode(encoded, len, &len_again, &decoded), SVM_OK);
        ck_assert_uint_eq(len, len_again);
        ck_assert_mem_eq(encoded, bytes.ptr, len);
        free_copy(bytes);
    }
}
END_TEST

/* A mutated byte string is refused, or it is the one encoding of what it decodes to. */
static void assert_canonical_or_refused(struct svm_bytes bytes)
{
    static uint8_t again[SVM_TX_BYTES_MAX];
    struct svm_tx decoded;
    struct svm_refusal refusal;
    const enum svm_err err = svm_tx_decode(&decoded, &space, bytes, &refusal);
    if (err == SVM_E_TX_DECODE) {
        ck_assert_uint_eq(refusal.err, err);
        ck_assert((refusal.has & SVM_HAS_OFFSET) != 0);
        ck_assert_uint_le(refusal.offset, bytes.len);
        ck_assert_uint_gt(strlen(refusal.reason), 0);
    }
    if (err != SVM_OK)
        return;
    size_t len;
    ck_assert_int_eq(svm_tx_encode(again, sizeof again, &len, &decoded), SVM_OK);
    assert_same_bytes((struct svm_bytes){again, len}, bytes);
}

START_TEST(every_byte_value_is_canonical_or_refused)
{
    struct random r = random_seeded("every_byte_value_is_canonical_or_refused");
    const unsigned rounds = random_rounds(20);
    for (unsigned round = 0; round < rounds; round++) {
        size_t len;
        do {
            random_tx(&r, &original);
            ck_assert_int_eq(svm_tx_encode(encoded, sizeof encoded, &len, &original.tx), SVM_OK);
        } while (len > 1000);
        const struct svm_bytes bytes = exact_copy(encoded, len);
        for (size_t at = 0; at < len; at++)
            for (unsigned value = 0; value < 256; value++) {
                ((uint8_t *)(uintptr_t)bytes.ptr)[at] = (uint8_t)value;
                assert_canonical_or_refused(bytes);
                ((uint8_t *)(uintptr_t)bytes.ptr)[at] = encoded[at];
            }
        free_copy(bytes);
    }
}
END_TEST

START_TEST(every_truncation_and_extension_is_refused)
{
    struct random r = random_seeded("every_truncation_and_extension_is_refused");
    const unsigned rounds = random_rounds(300);
    for (unsigned round = 0; round < rounds; round++) {
        size_t len;
        struct svm_tx decoded;
        random_tx(&r, &original);
        ck_assert_int_eq(svm_tx_encode(encoded, sizeof encoded, &len, &original.tx), SVM_OK);
        const size_t step = len > 2000 ? 97 : 1;
        for (size_t cut = 0; cut < len; cut += step) {
            const struct svm_bytes bytes = exact_copy(encoded, cut);
            ck_assert_int_eq(svm_tx_decode(&decoded, &space, bytes, NULL), SVM_E_TX_DECODE);
            free_copy(bytes);
        }
        encoded[len] = 0;
        struct svm_refusal refusal;
        ck_assert_int_eq(
            svm_tx_decode(&decoded, &space, (struct svm_bytes){encoded, len + 1}, &refusal),
            SVM_E_TX_DECODE);
        ck_assert_uint_eq(refusal.offset, len);
    }
}
END_TEST

/* ---- each malformation at its byte ------------------------------------------------------------------------- */

/* The smallest transaction with an input and an operation: where its fields are. */
enum {
    AT_PRIVACY = 1 + 8 + 32 + 24,
    AT_INPUTS = AT_PRIVACY + 1,
    AT_INPUT = AT_INPUTS + 1,
    AT_OPTION = AT_INPUT + 33,
    AT_OPS = AT_OPTION + 9,
    AT_OP = AT_OPS + 1,
    AT_END = AT_OP + 3 + 1
};

static size_t share_one(uint8_t *out)
{
    struct svm_input input = {
        .kind = SVM_KIND_OWNED, .exact = true, .writable = true, .version = 7};
    struct svm_op op = {.kind = SVM_OP_SHARE};
    struct svm_tx tx = {
        .gas_limit = 5, .input_count = 1, .op_count = 1, .inputs = &input, .ops = &op};
    size_t len;
    ck_assert_int_eq(svm_tx_encode(out, SVM_TX_BYTES_MAX, &len, &tx), SVM_OK);
    ck_assert_uint_eq(len, AT_END);
    return len;
}

struct malformation {
    const char *what;
    size_t at; /* the byte that is replaced ... */
    size_t del;
    const char *by; /* ... by these */
    size_t by_len;
    enum svm_err err;
    size_t offset; /* that the refusal names */
};

#define AT(what, at, del, by, err, offset)                                                         \
    {                                                                                              \
        what, at, del, by, sizeof(by) - 1, err, offset                                             \
    }

static const struct malformation malformations[] = {
    AT("nothing wrong", 0, 0, "", SVM_OK, 0),
    AT("transaction tag in two bytes", 0, 1, "\x80\x00", SVM_E_TX_DECODE, 0),
    AT("private", 0, 1, "\x01", SVM_E_PRIVACY_UNAVAILABLE, 0),
    AT("unknown variant", 0, 1, "\x02", SVM_E_UNSUPPORTED_VERSION, 0),
    AT("privacy 1", AT_PRIVACY, 1, "\x01", SVM_E_PRIVACY_UNAVAILABLE, 0),
    AT("privacy 2", AT_PRIVACY, 1, "\x02", SVM_E_TX_DECODE, AT_PRIVACY),
    AT("input count not minimal", AT_INPUTS, 1, "\x81\x00", SVM_E_TX_DECODE, AT_INPUTS),
    AT("input count of 257", AT_INPUTS, 1, "\x81\x02", SVM_E_TX_DECODE, AT_INPUTS),
    AT("input count of 2^32", AT_INPUTS, 1, "\x80\x80\x80\x80\x10", SVM_E_TX_DECODE, AT_INPUTS),
    AT("input count without end", AT_INPUTS, 1, "\xff\xff\xff\xff\xff", SVM_E_TX_DECODE, AT_INPUTS),
    AT("input count beyond the rest", AT_INPUTS, 1, "\x7f", SVM_E_TX_DECODE, AT_INPUTS),
    AT("unknown input", AT_INPUT, 1, "\x03", SVM_E_TX_DECODE, AT_INPUT),
    AT("option of 2", AT_OPTION, 1, "\x02", SVM_E_TX_DECODE, AT_OPTION),
    AT("operation count of 257", AT_OPS, 1, "\x81\x02", SVM_E_TX_DECODE, AT_OPS),
    AT("unknown operation", AT_OP, 1, "\x0a", SVM_E_TX_DECODE, AT_OP),
    AT("bool of 2", AT_END - 1, 1, "\x02", SVM_E_TX_DECODE, AT_END - 1),
    AT("one byte too many", AT_END, 0, "\x00", SVM_E_TX_DECODE, AT_END),
    AT("one byte too few", AT_END - 1, 1, "", SVM_E_TX_DECODE, AT_END - 1),
    AT("an index out of range", AT_OP + 1, 1, "\x01", SVM_E_OP_INVALID, 0),
};

START_TEST(malformations_are_named)
{
    const struct malformation *m = &malformations[_i];
    uint8_t good[AT_END + 8], bad[AT_END + 16];
    struct svm_tx decoded;
    struct svm_refusal refusal = {.err = SVM_OK};
    const size_t len = share_one(encoded);
    memcpy(good, encoded, len);
    memcpy(bad, good, m->at);
    memcpy(bad + m->at, m->by, m->by_len);
    memcpy(bad + m->at + m->by_len, good + m->at + m->del, len - m->at - m->del);
    const struct svm_bytes bytes = exact_copy(bad, len - m->del + m->by_len);
    const enum svm_err err = svm_tx_decode(&decoded, &space, bytes, &refusal);
    ck_assert_msg(err == m->err, "%s: %s, %s", m->what, svm_err_name(err), refusal.reason);
    if (err == SVM_E_TX_DECODE)
        ck_assert_msg(refusal.offset == m->offset, "%s: offset %d, not %d (%s)", m->what,
                      (int)refusal.offset, (int)m->offset, refusal.reason);
    free_copy(bytes);
}
END_TEST

START_TEST(inputs_must_ascend)
{
    struct svm_input inputs[2] = {{.kind = SVM_KIND_IMMUTABLE}, {.kind = SVM_KIND_IMMUTABLE}};
    struct svm_tx tx = {.input_count = 2, .inputs = inputs};
    struct svm_tx decoded;
    struct svm_refusal refusal;
    size_t len;
    ck_assert_int_eq(svm_tx_encode(encoded, sizeof encoded, &len, &tx),
                     SVM_E_OP_INVALID); /* equal */
    inputs[1].id.b[31] = 1;
    ck_assert_int_eq(svm_tx_encode(encoded, sizeof encoded, &len, &tx), SVM_OK);
    encoded[AT_INPUT + 33 + 32] = 0; /* equal again, behind the encoder's back */
    ck_assert_int_eq(svm_tx_decode(&decoded, &space, (struct svm_bytes){encoded, len}, &refusal),
                     SVM_E_TX_DECODE);
    ck_assert_uint_eq(refusal.offset, AT_INPUT + 33);
    encoded[AT_INPUT + 32] = 1; /* descending */
    ck_assert_int_eq(svm_tx_decode(&decoded, &space, (struct svm_bytes){encoded, len}, &refusal),
                     SVM_E_TX_DECODE);
}
END_TEST

/* Lengths of type and data beyond their own limits, though the bytes are there. */
START_TEST(long_types_and_data_are_refused)
{
    static uint8_t long_data[SVM_DATA_BYTES_MAX + 1];
    struct svm_op op = {.kind = SVM_OP_CREATE, .u.create = {.owner.kind = SVM_KIND_IMMUTABLE}};
    struct svm_tx tx = {.op_count = 1, .ops = &op};
    struct svm_tx decoded;
    size_t len;
    op.u.create.type = (struct svm_bytes){(const uint8_t *)"t", 1};
    op.u.create.data = (struct svm_bytes){long_data, SVM_DATA_BYTES_MAX};
    ck_assert_int_eq(svm_tx_encode(encoded, sizeof encoded, &len, &tx), SVM_OK);
    ck_assert_int_eq(svm_tx_decode(&decoded, &space, (struct svm_bytes){encoded, len}, NULL),
                     SVM_OK);
    const size_t at_data = AT_INPUTS + 1 + 1 + 2 + 2;
    encoded[at_data] |= 1; /* one more */
    struct svm_refusal refusal;
    ck_assert_int_eq(
        svm_tx_decode(&decoded, &space, (struct svm_bytes){encoded, len + 1}, &refusal),
        SVM_E_TX_DECODE);
    ck_assert_str_eq(refusal.reason, "data of more than 65536 bytes");
    ck_assert_uint_eq(refusal.offset, at_data);
    op.u.create.data.len++;
    ck_assert_int_eq(svm_tx_encode(encoded, sizeof encoded, &len, &tx), SVM_E_OP_INVALID);

    op.u.create.data.len = 0;
    op.u.create.type = (struct svm_bytes){
        (const uint8_t *)"a23456789b123456789c123456789d123456789e123456789f123456789g1234", 64};
    ck_assert_int_eq(svm_tx_encode(encoded, sizeof encoded, &len, &tx), SVM_OK);
    encoded[at_data - 2] = 65;
    ck_assert_int_eq(
        svm_tx_decode(&decoded, &space, (struct svm_bytes){encoded, len + 1}, &refusal),
        SVM_E_TX_DECODE);
    ck_assert_str_eq(refusal.reason, "a type of more than 64 bytes");
}
END_TEST

START_TEST(sizes_are_reported_and_limited)
{
    static uint8_t data[SVM_DATA_BYTES_MAX], big[SVM_TX_BYTES_MAX + 1];
    struct svm_op ops[3];
    struct svm_tx tx = {.op_count = 3, .ops = ops};
    struct svm_tx decoded;
    struct svm_signed_tx stx;
    struct svm_refusal refusal;
    size_t len;
    for (size_t i = 0; i < 3; i++)
        ops[i] = (struct svm_op){.kind = SVM_OP_CREATE,
                                 .u.create = {.owner.kind = SVM_KIND_IMMUTABLE,
                                              .type = {(const uint8_t *)"t", 1},
                                              .data = {data, sizeof data}}};
    ck_assert_int_eq(svm_tx_encode(encoded, sizeof encoded, &len, &tx), SVM_E_TX_TOO_LARGE);
    ck_assert_uint_eq(len, AT_INPUTS + 2 + 3 * (1 + 1 + 2 + 3 + sizeof data));
    tx.op_count = 1;
    ck_assert_int_eq(svm_tx_encode(encoded, 10, &len, &tx), SVM_E_TX_TOO_LARGE);
    ck_assert_int_eq(svm_tx_encode(encoded, len, &len, &tx), SVM_OK);
    ck_assert_int_eq(svm_tx_decode(&decoded, &space, (struct svm_bytes){big, sizeof big}, &refusal),
                     SVM_E_TX_TOO_LARGE);
    ck_assert_uint_eq(refusal.got, sizeof big);
    ck_assert_int_eq(
        svm_signed_tx_decode(&stx, &space, (struct svm_bytes){big, sizeof big}, &refusal),
        SVM_E_TX_TOO_LARGE);
    ck_assert_uint_eq(refusal.limit, SVM_TX_BYTES_MAX);
    ck_assert((refusal.has & SVM_HAS_LIMIT) != 0);
}
END_TEST

START_TEST(nothing_is_malformed)
{
    struct svm_tx decoded;
    struct svm_signed_tx stx;
    struct svm_refusal refusal;
    ck_assert_int_eq(svm_tx_decode(&decoded, &space, (struct svm_bytes){NULL, 0}, &refusal),
                     SVM_E_TX_DECODE);
    ck_assert_uint_eq(refusal.offset, 0);
    ck_assert_int_eq(svm_signed_tx_decode(&stx, &space, (struct svm_bytes){NULL, 0}, NULL),
                     SVM_E_TX_DECODE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_codec");
    TCase *tcase = tcase_create("codec");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, decode_undoes_encode);
    tcase_add_test(tcase, every_byte_value_is_canonical_or_refused);
    tcase_add_test(tcase, every_truncation_and_extension_is_refused);
    tcase_add_loop_test(tcase, malformations_are_named, 0,
                        sizeof malformations / sizeof malformations[0]);
    tcase_add_test(tcase, inputs_must_ascend);
    tcase_add_test(tcase, long_types_and_data_are_refused);
    tcase_add_test(tcase, sizes_are_reported_and_limited);
    tcase_add_test(tcase, nothing_is_malformed);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
