/* Rows, frames and receipts: bytes and back, and nothing but. */
#include <check.h>

#include "model/model.h"
#include "model_random.h"

/* ---- random objects and effects ---------------------------------------------------------------------------- */

static struct model_object *random_object(struct random *r)
{
    const bool deleted = random_one_in(r, 5);
    const uint8_t type_len = deleted ? 0 : (uint8_t)random_below(r, 65);
    uint32_t data_len = deleted ? 0 : random_below(r, random_one_in(r, 10) ? 70000 : 200);
    if (data_len > SVM_DATA_BYTES_MAX)
        data_len = SVM_DATA_BYTES_MAX;
    struct model_object *object = calloc(1, model_object_size(type_len, data_len));
    ck_assert_ptr_nonnull(object);
    object->version = random_u64(r);
    const uint64_t last = random_one_in(r, 8) ? MODEL_MS_MAX : random_u64(r) & MODEL_MS_MAX;
    model_object_times_set(object, random_u64(r) & MODEL_MS_MAX, last);
    random_bytes(r, object->last_tx.b, 32);
    object->deleted = deleted;
    if (deleted)
        return object;
    model_object_kind_set(object, (enum svm_kind)random_below(r, 3));
    object->balance = random_u64(r);
    model_object_lens_set(object, type_len, data_len);
    if (object->kind != SVM_KIND_IMMUTABLE)
        random_bytes(r, object->party.b, 32);
    object->open_withdraw = object->kind == SVM_KIND_SHARED && random_one_in(r, 2);
    random_bytes(r, object->bytes, type_len + data_len);
    return object;
}

static void assert_same_object(const struct model_object *a, const struct model_object *b)
{
    ck_assert_mem_eq(a->party.b, b->party.b, 32);
    ck_assert_mem_eq(a->last_tx.b, b->last_tx.b, 32);
    ck_assert_uint_eq(a->version, b->version);
    ck_assert_uint_eq(a->balance, b->balance);
    ck_assert_uint_eq(a->created_ms, b->created_ms);
    ck_assert_uint_eq(a->modified_ms, b->modified_ms);
    ck_assert_uint_eq(a->kind, b->kind);
    ck_assert_int_eq(a->open_withdraw, b->open_withdraw);
    ck_assert_int_eq(a->deleted, b->deleted);
    ck_assert_uint_eq(a->type_len, b->type_len);
    ck_assert_uint_eq(a->data_len, b->data_len);
    if (a->type_len + a->data_len > 0)
        ck_assert_mem_eq(a->bytes, b->bytes, a->type_len + a->data_len);
}

START_TEST(rows_come_back)
{
    struct random r = random_seeded("rows_come_back");
    const unsigned rounds = random_rounds(5000);
    for (unsigned round = 0; round < rounds; round++) {
        struct model_object *object = random_object(&r);
        const size_t size = model_row_size(object);
        uint8_t *row = malloc(size);
        ck_assert_ptr_eq(model_row_encode(row, object), row + size);
        const size_t object_size = model_row_object_size((struct svm_bytes){row, size});
        ck_assert_uint_eq(object_size, model_object_size(object->type_len, object->data_len));
        struct model_object *back = malloc(object_size);
        ck_assert_int_eq(model_row_decode(back, (struct svm_bytes){row, size}), SVM_OK);
        assert_same_object(object, back);
        const size_t cut = random_below(&r, (uint32_t)size);
        ck_assert_uint_eq(model_row_object_size((struct svm_bytes){row, cut}), 0);
        ck_assert_int_eq(model_row_decode(back, (struct svm_bytes){row, cut}), SVM_E_CORRUPT);
        free(back);
        free(row);
        free(object);
    }
}
END_TEST

START_TEST(rows_are_strict)
{
    struct model_object *object = calloc(1, model_object_size(1, 1));
    object->kind = SVM_KIND_SHARED;
    object->type_len = 1;
    object->data_len = 1;
    uint8_t row[256];
    const size_t size = model_row_size(object);
    model_row_encode(row, object);
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = {{0, 2},    {9, 3},     {42, 2}, {51, 0x81}, {51, 65},
               {53, 200}, {60, 0x80}, {62, 1}, {68, 0x80}, {70, 1}}; /* times: of 47 bits */
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const uint8_t before = row[bad[i].at];
        row[bad[i].at] = bad[i].value;
        ck_assert_msg(model_row_object_size((struct svm_bytes){row, size}) == 0, "byte %d",
                      (int)bad[i].at);
        row[bad[i].at] = before;
    }
    ck_assert_uint_gt(model_row_object_size((struct svm_bytes){row, size}), 0);
    row[size] = 0;
    ck_assert_uint_eq(model_row_object_size((struct svm_bytes){row, size + 1}), 0);
    ck_assert_uint_eq(model_row_object_size((struct svm_bytes){NULL, 0}), 0);
    free(object);
}
END_TEST

/* A row whose head can be got is one that can be decoded, whatever has become of it. */
START_TEST(heads_are_as_strict_as_rows)
{
    struct random r = random_seeded("heads_are_as_strict_as_rows");
    const unsigned rounds = random_rounds(300);
    for (unsigned round = 0; round < rounds; round++) {
        struct model_object *object = random_object(&r);
        struct model_row_head head;
        const size_t size = model_row_size(object);
        uint8_t *row = malloc(size + 1);
        model_row_encode(row, object);
        row[size] = 0;
        ck_assert(model_row_head_get(&head, (struct svm_bytes){row, size}));
        ck_assert_uint_eq(head.version, object->version);
        ck_assert_int_eq(head.deleted, object->deleted);
        if (!object->deleted) {
            ck_assert_uint_eq(head.kind, object->kind);
            if (object->kind != SVM_KIND_IMMUTABLE)
                ck_assert_mem_eq(head.party, object->party.b, 32);
        }
        for (size_t at = 0; at < size; at++) {
            const uint8_t before = row[at];
            const struct svm_bytes bytes[3] = {{row, size}, {row, at}, {row, size + 1}};
            row[at] = (uint8_t)random_next(&r);
            for (size_t i = 0; i < 3; i++)
                ck_assert_int_eq(model_row_head_get(&head, bytes[i]),
                                 model_row_object_size(bytes[i]) != 0);
            row[at] = before;
        }
        free(row);
        free(object);
    }
}
END_TEST

enum { WRITES = 12 };
static struct model_write writes[WRITES];

static void random_effects(struct random *r, struct model_effects *effects)
{
    memset(effects, 0, sizeof *effects);
    random_bytes(r, effects->digest.b, 32);
    random_bytes(r, effects->sender.b, 32);
    effects->seq = random_u64(r);
    effects->node_ms = random_u64(r);
    effects->gas_used = random_u64(r);
    effects->failure = (enum svm_failure)random_below(r, SVM_FAILURE_COUNT);
    effects->failed_op = (uint16_t)random_next(r);
    effects->path = (enum svm_path)random_below(r, 3);
    effects->fallback = (enum svm_fallback)random_below(r, SVM_FALLBACK_COUNT);
    if (effects->fallback != SVM_FALLBACK_NONE)
        random_bytes(r, effects->fallback_object.b, 32);
    effects->latency_us = (uint32_t)random_next(r);
    effects->transfers = (uint16_t)random_next(r);
    effects->write_count = (uint16_t)random_below(r, WRITES + 1);
    effects->writes = writes;
    for (size_t i = 0; i < effects->write_count; i++) {
        struct model_write *write = &writes[i];
        *write = (struct model_write){.object = random_object(r)};
        random_bytes(r, write->id.b, 32);
        write->id.b[0] = (uint8_t)i;
        write->prior.kind = (enum model_prior_kind)random_below(r, 4);
        if (write->object->deleted)
            write->prior.kind = MODEL_PRIOR_OWNED;
        if (write->prior.kind == MODEL_PRIOR_OWNED)
            random_bytes(r, write->prior.owner.b, 32);
    }
}

static void free_effects(const struct model_effects *effects)
{
    for (size_t i = 0; i < effects->write_count; i++)
        free((void *)(uintptr_t)effects->writes[i].object);
}

static void assert_same_receipt(const struct svm_receipt *a, const struct svm_receipt *b)
{
    ck_assert_mem_eq(a->digest.b, b->digest.b, 32);
    ck_assert_mem_eq(a->sender.b, b->sender.b, 32);
    ck_assert_uint_eq(a->seq, b->seq);
    ck_assert_uint_eq(a->node_ms, b->node_ms);
    ck_assert_uint_eq(a->gas_used, b->gas_used);
    ck_assert_int_eq(a->failure, b->failure);
    ck_assert_uint_eq(a->failed_op, b->failed_op);
    ck_assert_int_eq(a->path, b->path);
    ck_assert_int_eq(a->fallback, b->fallback);
    ck_assert_mem_eq(a->fallback_object.b, b->fallback_object.b, 32);
    ck_assert_uint_eq(a->latency_us, b->latency_us);
    ck_assert_uint_eq(a->change_count, b->change_count);
    for (size_t i = 0; i < a->change_count; i++) {
        ck_assert_mem_eq(a->changes[i].id.b, b->changes[i].id.b, 32);
        ck_assert_mem_eq(a->changes[i].owner.b, b->changes[i].owner.b, 32);
        ck_assert_uint_eq(a->changes[i].version, b->changes[i].version);
        ck_assert_int_eq(a->changes[i].change, b->changes[i].change);
        ck_assert_int_eq(a->changes[i].kind, b->changes[i].kind);
    }
}

/* ---- frames ------------------------------------------------------------------------------------------------ */

static struct model_frame frame;

static void assert_frame_is(const struct model_effects *effects)
{
    ck_assert_int_eq(frame.kind, MODEL_FRAME_TX);
    ck_assert_uint_eq(frame.seq, effects->seq);
    ck_assert_uint_eq(frame.tx.transfers, effects->transfers);
    ck_assert_uint_eq(frame.tx.write_count, effects->write_count);
    for (size_t i = 0; i < effects->write_count; i++) {
        const struct model_write *want = &effects->writes[i], *got = &frame.tx.writes[i];
        ck_assert_mem_eq(want->id.b, got->id.b, 32);
        ck_assert_int_eq(want->prior.kind, got->prior.kind);
        ck_assert_mem_eq(want->prior.owner.b, got->prior.owner.b, 32);
        ck_assert_ptr_null(got->object);
        struct model_object *object = malloc(model_row_object_size(got->row));
        ck_assert_int_eq(model_row_decode(object, got->row), SVM_OK);
        assert_same_object(want->object, object);
        free(object);
    }
    struct svm_receipt *before = model_receipt_of(effects), *after = model_receipt_of(&frame.tx);
    assert_same_receipt(before, after);
    const size_t size = model_receipt_size(before);
    ck_assert_uint_eq(model_receipt_row_size(&frame.tx), size);
    uint8_t *row = malloc(size), *direct = malloc(size);
    ck_assert_ptr_eq(model_receipt_encode(row, before), row + size);
    ck_assert_ptr_eq(model_receipt_row_encode(direct, &frame.tx), direct + size);
    ck_assert_mem_eq(row, direct, size);
    free(direct);
    free(row);
    free(before);
    free(after);
}

START_TEST(frames_come_back)
{
    struct random r = random_seeded("frames_come_back");
    const unsigned rounds = random_rounds(2000);
    for (unsigned round = 0; round < rounds; round++) {
        struct model_effects effects;
        random_effects(&r, &effects);
        const size_t size = model_effects_size(&effects);
        uint8_t *bytes = malloc(size + model_void_size(5));
        ck_assert_ptr_eq(model_effects_encode(bytes, &effects), bytes + size);
        model_void_encode(bytes + size, 5);
        struct svm_bytes rest = {bytes, size + model_void_size(5)};
        ck_assert_int_eq(model_frame_decode(&frame, &rest), SVM_OK);
        ck_assert_uint_eq(rest.len, model_void_size(5));
        assert_frame_is(&effects);

        uint8_t *again = malloc(size);
        ck_assert_uint_eq(model_effects_size(&frame.tx), size);
        ck_assert_ptr_eq(model_effects_encode(again, &frame.tx), again + size);
        ck_assert_mem_eq(again, bytes, size);
        ck_assert_int_eq(model_frame_decode(&frame, &rest), SVM_OK);
        ck_assert_int_eq(frame.kind, MODEL_FRAME_VOID);
        ck_assert_uint_eq(frame.seq, 5);
        ck_assert_uint_eq(rest.len, 0);
        ck_assert_int_eq(model_frame_decode(&frame, &rest), SVM_E_CORRUPT);
        free(again);
        free(bytes);
        free_effects(&effects);
    }
}
END_TEST

/* A damaged frame is CORRUPT, or it is the one encoding of what it says. */
START_TEST(damaged_frames_do_no_harm)
{
    struct random r = random_seeded("damaged_frames_do_no_harm");
    const unsigned rounds = random_rounds(30);
    for (unsigned round = 0; round < rounds; round++) {
        struct model_effects effects;
        size_t size;
        for (;;) {
            random_effects(&r, &effects);
            size = model_effects_size(&effects);
            if (size < 4000)
                break;
            free_effects(&effects);
        }
        uint8_t *bytes = malloc(size), *again = malloc(size * 2);
        model_effects_encode(bytes, &effects);
        for (size_t at = 0; at < size; at++) {
            const uint8_t before = bytes[at];
            bytes[at] = (uint8_t)random_next(&r);
            struct svm_bytes rest = {bytes, size};
            if (model_frame_decode(&frame, &rest) == SVM_OK && frame.kind == MODEL_FRAME_TX) {
                const size_t used = size - rest.len;
                ck_assert_uint_eq(model_effects_size(&frame.tx), used);
                model_effects_encode(again, &frame.tx);
                ck_assert_mem_eq(again, bytes, used);
                free(model_receipt_of(&frame.tx));
            }
            bytes[at] = before;
            uint8_t *cut = malloc(at + 1);
            memcpy(cut, bytes, at);
            rest = (struct svm_bytes){cut, at};
            ck_assert_int_eq(model_frame_decode(&frame, &rest), SVM_E_CORRUPT);
            free(cut);
        }
        free(again);
        free(bytes);
        free_effects(&effects);
    }
}
END_TEST

START_TEST(writes_must_ascend)
{
    struct model_object *object = calloc(1, model_object_size(0, 0));
    struct model_write some[] = {{.id = {{1}}, .object = object}, {.id = {{2}}, .object = object}};
    const struct model_effects effects = {.write_count = 2, .writes = some};
    uint8_t bytes[512];
    static const enum svm_err want[] = {SVM_OK, SVM_E_CORRUPT, SVM_E_CORRUPT};
    for (uint8_t first = 1; first <= 3; first++) {
        some[0].id.b[0] = first;
        model_effects_encode(bytes, &effects);
        struct svm_bytes rest = {bytes, model_effects_size(&effects)};
        ck_assert_int_eq(model_frame_decode(&frame, &rest), want[first - 1]);
    }
    free(object);
}
END_TEST

START_TEST(cell_frames_come_back)
{
    static const struct model_cell_write cells[] = {
        {.key = {(const uint8_t *)"a", 1}, .version = 1, .value = {(const uint8_t *)"one", 3}},
        {.key = {(const uint8_t *)"a\0", 2}, .version = 2, .deleted = true},
        {.key = {(const uint8_t *)"b", 1},
         .version = UINT64_MAX,
         .value = {(const uint8_t *)"", 0}},
    };
    const struct model_cell_effects effects = {
        .seq = 7, .node_ms = 8, .write_count = 3, .writes = cells};
    uint8_t bytes[256];
    const size_t size = model_cell_effects_size(&effects);
    ck_assert_ptr_eq(model_cell_effects_encode(bytes, &effects), bytes + size);
    struct svm_bytes rest = {bytes, size};
    ck_assert_int_eq(model_frame_decode(&frame, &rest), SVM_OK);
    ck_assert_int_eq(frame.kind, MODEL_FRAME_CELLS);
    ck_assert_uint_eq(frame.seq, 7);
    ck_assert_uint_eq(frame.cells.node_ms, 8);
    ck_assert_uint_eq(frame.cells.write_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct model_cell_write *got = &frame.cells.writes[i];
        ck_assert_uint_eq(got->key.len, cells[i].key.len);
        ck_assert_mem_eq(got->key.ptr, cells[i].key.ptr, cells[i].key.len);
        ck_assert_uint_eq(got->version, cells[i].version);
        ck_assert_int_eq(got->deleted, cells[i].deleted);
        ck_assert_uint_eq(got->value.len, cells[i].value.len);
    }
    for (size_t cut = 0; cut < size; cut++) {
        rest = (struct svm_bytes){bytes, cut};
        ck_assert_int_eq(model_frame_decode(&frame, &rest), SVM_E_CORRUPT);
    }
    bytes[1 + 8 + 8 + 1 + 1] = 'b'; /* keys no longer ascend */
    rest = (struct svm_bytes){bytes, size};
    ck_assert_int_eq(model_frame_decode(&frame, &rest), SVM_E_CORRUPT);
}
END_TEST

/* ---- receipts ---------------------------------------------------------------------------------------------- */

START_TEST(receipts_come_back)
{
    struct random r = random_seeded("receipts_come_back");
    const unsigned rounds = random_rounds(2000);
    for (unsigned round = 0; round < rounds; round++) {
        struct model_effects effects;
        random_effects(&r, &effects);
        struct svm_receipt *receipt = model_receipt_of(&effects), *back, *copy;
        const size_t size = model_receipt_size(receipt);
        uint8_t *row = malloc(size + 1);
        ck_assert_ptr_eq(model_receipt_encode(row, receipt), row + size);
        ck_assert_int_eq(model_receipt_decode(&back, (struct svm_bytes){row, size}), SVM_OK);
        assert_same_receipt(receipt, back);
        copy = model_receipt_copy(back);
        free(back);
        assert_same_receipt(receipt, copy);
        ck_assert_uint_eq(model_receipt_bytes(copy),
                          sizeof *copy + copy->change_count * sizeof(struct svm_change));
        row[size] = 0;
        ck_assert_int_eq(model_receipt_decode(&back, (struct svm_bytes){row, size + 1}),
                         SVM_E_CORRUPT);
        const size_t cut = random_below(&r, (uint32_t)size);
        ck_assert_int_eq(model_receipt_decode(&back, (struct svm_bytes){row, cut}), SVM_E_CORRUPT);
        free(copy);
        free(receipt);
        free(row);
        free_effects(&effects);
    }
}
END_TEST

/* In as much room as is said, and not in less. */
START_TEST(packed_receipts_are_the_same)
{
    struct random r = random_seeded("packed_receipts_are_the_same");
    const unsigned rounds = random_rounds(2000);
    for (unsigned round = 0; round < rounds; round++) {
        struct model_effects effects;
        struct model_receipt_space space;
        size_t owners = 0;
        random_effects(&r, &effects);
        for (size_t i = 0; i < effects.write_count; i++) {
            const struct model_object *object = effects.writes[i].object;
            if (random_one_in(&r, 2)) {
                struct model_object *mine = (struct model_object *)(uintptr_t)object;
                memcpy(mine->party.b, effects.sender.b, sizeof mine->party.b);
            }
            owners += object->kind == SVM_KIND_OWNED && !object->deleted &&
                      memcmp(object->party.b, effects.sender.b, 32) != 0;
        }
        size_t size = model_packed_size(effects.write_count, owners) +
                      (effects.fallback != SVM_FALLBACK_NONE ? sizeof effects.fallback_object : 0);
        uint8_t *packed = malloc(size);
        bool fits = model_receipt_pack(packed, size, &effects);
        ck_assert(fits == (effects.write_count <= MODEL_PACKED_CHANGES));
        if (fits) {
            struct svm_receipt *whole = model_receipt_of(&effects);
            memset(&space, 0xff, sizeof space);
            assert_same_receipt(model_receipt_unpack(&space, packed, &effects.digest, effects.seq),
                                whole);
            free(whole);
        }
        free(packed);
        packed = malloc(size - 1);
        ck_assert(!model_receipt_pack(packed, size - 1, &effects));
        free(packed);
        free_effects(&effects);
    }
}
END_TEST

START_TEST(changes_are_created_then_mutated_then_deleted)
{
    struct model_object *live = calloc(1, model_object_size(0, 0)),
                        *dead = calloc(1, model_object_size(0, 0));
    live->version = dead->version = 4;
    live->party.b[0] = 0xaa;
    dead->deleted = true;
    const struct model_write some[] = {
        {.id = {{1}}, .prior = {.kind = MODEL_PRIOR_OWNED}, .object = dead},
        {.id = {{2}}, .prior = {.kind = MODEL_PRIOR_OWNED}, .object = live},
        {.id = {{3}}, .prior = {.kind = MODEL_PRIOR_NONE}, .object = live},
        {.id = {{4}}, .prior = {.kind = MODEL_PRIOR_NONE}, .object = live},
    };
    const struct model_effects effects = {.write_count = 4, .writes = some};
    struct svm_receipt *receipt = model_receipt_of(&effects);
    static const uint8_t ids[] = {3, 4, 2, 1};
    static const enum svm_change_kind kinds[] = {SVM_CHANGE_CREATED, SVM_CHANGE_CREATED,
                                                 SVM_CHANGE_MUTATED, SVM_CHANGE_DELETED};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(receipt->changes[i].id.b[0], ids[i]);
        ck_assert_int_eq(receipt->changes[i].change, kinds[i]);
        ck_assert_uint_eq(receipt->changes[i].owner.b[0],
                          kinds[i] == SVM_CHANGE_DELETED ? 0 : 0xaa);
        ck_assert_uint_eq(receipt->changes[i].version, 4);
    }
    free(receipt);
    free(live);
    free(dead);
}
END_TEST

START_TEST(views_are_the_object)
{
    struct random r = random_seeded("views_are_the_object");
    const struct svm_id id = {{9}};
    for (unsigned round = 0; round < 200; round++) {
        struct model_object *object = random_object(&r);
        struct svm_object view, *given = model_object_give(&id, object, 77);
        model_object_view(&view, &id, object, 77);
        struct svm_digest a, b;
        svm_object_digest(&a, &view);
        svm_object_digest(&b, given);
        ck_assert_mem_eq(a.b, b.b, 32);
        ck_assert_uint_eq(view.seq, 77);
        ck_assert_ptr_ne(given->type.ptr, view.type.ptr);
        static const uint8_t zero[32];
        ck_assert_int_eq(memcmp(view.owner.b, zero, 32) == 0,
                         object->deleted || object->kind != SVM_KIND_OWNED);
        ck_assert_int_eq(memcmp(view.controller.b, zero, 32) == 0, object->kind != SVM_KIND_SHARED);
        free(given);
        free(object);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_effects");
    TCase *tcase = tcase_create("effects");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, rows_come_back);
    tcase_add_test(tcase, rows_are_strict);
    tcase_add_test(tcase, heads_are_as_strict_as_rows);
    tcase_add_test(tcase, frames_come_back);
    tcase_add_test(tcase, damaged_frames_do_no_harm);
    tcase_add_test(tcase, writes_must_ascend);
    tcase_add_test(tcase, cell_frames_come_back);
    tcase_add_test(tcase, receipts_come_back);
    tcase_add_test(tcase, packed_receipts_are_the_same);
    tcase_add_test(tcase, changes_are_created_then_mutated_then_deleted);
    tcase_add_test(tcase, views_are_the_object);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
