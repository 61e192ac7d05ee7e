/* What stands in the log and in the state: frames of effects, receipts, object rows, and the store's own heads. The first byte of
 * an input says which decoder gets the rest. Decoded and encoded again, the bytes are the same. */
#include "fuzz.h"

#include <svm/engine.h>

#include "base/bytes.h"
#include "model/model.h"
#include "store/group.h"
#include "store/meta.h"
#include "store/receipts.h"

static struct model_frame frame;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

static struct model_object *object_of(struct svm_bytes row)
{
    const size_t size = model_row_object_size(row);
    if (size == 0)
        return NULL;
    struct model_object *object = malloc(size);
    if (object == NULL)
        abort();
    if (model_row_decode(object, row) != SVM_OK) {
        free(object);
        return NULL;
    }
    FUZZ_CHECK(model_object_size(object->type_len, object->data_len) == size, "size of an object");
    return object;
}

static void try_row(struct svm_bytes row)
{
    struct model_object *object = object_of(row);
    if (object == NULL)
        return;
    FUZZ_CHECK(model_row_size(object) == row.len, "%zu, %zu", model_row_size(object), row.len);
    uint8_t *again = malloc(row.len);
    if (again == NULL)
        abort();
    FUZZ_CHECK(model_row_encode(again, object) == again + row.len, "length of a row");
    FUZZ_CHECK(memcmp(again, row.ptr, row.len) == 0, "a second encoding of a row");
    free(again);
    free(object);
}

static void try_receipt(struct svm_bytes row)
{
    struct svm_receipt *receipt, *copy;
    const enum svm_err err = model_receipt_decode(&receipt, row);
    FUZZ_CHECK(err == SVM_OK || err == SVM_E_CORRUPT || err == SVM_E_NO_MEMORY, "%s",
               svm_err_name(err));
    if (err != SVM_OK)
        return;
    uint8_t *again = malloc(row.len);
    if (again == NULL)
        abort();
    FUZZ_CHECK(model_receipt_size(receipt) == row.len, "%zu", model_receipt_size(receipt));
    FUZZ_CHECK(model_receipt_encode(again, receipt) == again + row.len, "length of a receipt");
    FUZZ_CHECK(memcmp(again, row.ptr, row.len) == 0, "a second encoding of a receipt");
    copy = model_receipt_copy(receipt);
    FUZZ_CHECK(copy != NULL && model_receipt_bytes(copy) == model_receipt_bytes(receipt), "copy");
    svm_receipt_free(copy);
    svm_receipt_free(receipt);
    free(again);
}

/* The effects in `frame` again, of objects that were decoded from their rows. */
static void check_effects(struct svm_bytes bytes)
{
    static struct model_write writes[MODEL_WRITES_MAX];
    struct model_effects effects = frame.tx;
    bool whole = true;
    for (unsigned i = 0; i < effects.write_count; i++) {
        writes[i] = frame.tx.writes[i];
        writes[i].object = object_of(writes[i].row);
        whole = whole && writes[i].object != NULL;
    }
    effects.writes = writes;
    if (whole) {
        uint8_t *again = malloc(bytes.len);
        FUZZ_CHECK(again != NULL && model_effects_size(&effects) == bytes.len, "size of effects");
        FUZZ_CHECK(model_effects_encode(again, &effects) == again + bytes.len, "their length");
        FUZZ_CHECK(memcmp(again, bytes.ptr, bytes.len) == 0, "a second encoding of effects");
        free(again);
        struct svm_receipt *receipt = model_receipt_of(&effects);
        FUZZ_CHECK(receipt != NULL && receipt->seq == effects.seq, "receipt");
        svm_receipt_free(receipt);
    }
    for (unsigned i = 0; i < effects.write_count; i++)
        free(writes[i].object);
}

static void check_cells(struct svm_bytes bytes)
{
    uint8_t *again = malloc(bytes.len);
    FUZZ_CHECK(again != NULL && model_cell_effects_size(&frame.cells) == bytes.len,
               "size of cells");
    FUZZ_CHECK(model_cell_effects_encode(again, &frame.cells) == again + bytes.len, "their length");
    FUZZ_CHECK(memcmp(again, bytes.ptr, bytes.len) == 0, "a second encoding of cells");
    free(again);
}

static void check_void(struct svm_bytes bytes)
{
    uint8_t again[16];
    FUZZ_CHECK(model_void_size(frame.seq) == bytes.len && bytes.len <= sizeof again, "void");
    FUZZ_CHECK(model_void_encode(again, frame.seq) == again + bytes.len, "length of a void");
    FUZZ_CHECK(memcmp(again, bytes.ptr, bytes.len) == 0, "a second encoding of a void");
}

static void try_frames(struct svm_bytes bytes)
{
    while (bytes.len > 0) {
        const struct svm_bytes before = bytes;
        const enum svm_err err = model_frame_decode(&frame, &bytes);
        FUZZ_CHECK(err == SVM_OK || err == SVM_E_CORRUPT, "%s", svm_err_name(err));
        if (err != SVM_OK)
            return;
        FUZZ_CHECK(bytes.len < before.len && bytes.ptr + bytes.len == before.ptr + before.len,
                   "the decoder does not advance");
        const struct svm_bytes read = {before.ptr, before.len - bytes.len};
        if (frame.kind == MODEL_FRAME_TX)
            check_effects(read);
        else if (frame.kind == MODEL_FRAME_CELLS)
            check_cells(read);
        else
            check_void(read);
    }
}

static void try_heads(struct svm_bytes bytes)
{
    struct store_meta meta;
    struct store_group group;
    struct store_page page;
    uint8_t again[STORE_META_BYTES], key[8];
    if (store_meta_decode(&meta, bytes) == SVM_OK) {
        store_meta_encode(again, &meta);
        FUZZ_CHECK(bytes.len == sizeof again && memcmp(again, bytes.ptr, sizeof again) == 0,
                   "meta");
    }
    if (store_page_parse(&page, bytes))
        FUZZ_CHECK(bytes.len >= STORE_PAGE_HEAD_BYTES, "a page without its head");
    if (bytes.len >= 16) {
        bytes_put_u64be(key, bytes_get_u64le(bytes.ptr + 8));
        if (store_group_parse(&group, (struct svm_bytes){key, 8}, bytes)) {
            FUZZ_CHECK(group.frames.len + STORE_GROUP_HEADER_BYTES == bytes.len, "group");
            (void)store_group_frames_intact(&group);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t *copy = fuzz_copy(data + 1, size - 1);
    const struct svm_bytes bytes = {copy, size - 1};
    static void (*const decoders[])(struct svm_bytes) = {try_frames, try_receipt, try_row,
                                                         try_heads};
    decoders[data[0] % 4](bytes);
    if (data[0] & 4)
        fuzz_neighbours(bytes, decoders[data[0] % 4]);
    free(copy);
    return 0;
}
