/* Reads of `state`, from any thread: point reads and short scans of what is materialised. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "store/parts.h"
#include "store/rows.h"

static enum svm_err get_row(struct store *store, const struct row_key *key, uint8_t **value_out,
                            size_t *len_out)
{
    if (store->mode == STORE_MEMORY)
        return SVM_E_NOT_FOUND;
    return store->state_kv.get(store->state_kv.self, row_key_bytes(key), value_out, len_out);
}

static enum svm_err object_decode(struct svm_bytes value, uint64_t *seq_out, store_alloc_fn *alloc,
                                  void *arg, struct model_object **object_out)
{
    if (value.len < ROW_SEQ_BYTES)
        return SVM_E_CORRUPT;
    struct svm_bytes row = {value.ptr + ROW_SEQ_BYTES, value.len - ROW_SEQ_BYTES};
    size_t size = model_row_object_size(row);
    if (size == 0)
        return SVM_E_CORRUPT;
    struct model_object *object = alloc(arg, size);
    if (object == NULL)
        return SVM_E_NO_MEMORY;
    enum svm_err err = model_row_decode(object, row);
    if (err != SVM_OK)
        return err;
    *seq_out = bytes_get_u64le(value.ptr);
    *object_out = object;
    return SVM_OK;
}

enum svm_err store_object_get(struct store *store, const struct svm_id *id, uint64_t *seq_out,
                              store_alloc_fn *alloc, void *arg, struct model_object **object_out)
{
    struct row_key key;
    uint8_t *value;
    size_t len;
    row_key_set(&key, ROW_OBJECT, id->b, 32, NULL, 0);
    enum svm_err err = get_row(store, &key, &value, &len);
    if (err != SVM_OK)
        return err;
    err = object_decode((struct svm_bytes){value, len}, seq_out, alloc, arg, object_out);
    free(value);
    return err;
}

enum svm_err store_cell_get(struct store *store, struct svm_bytes cell, uint64_t *seq_out,
                            uint64_t *version_out, bool *deleted_out, store_alloc_fn *alloc,
                            void *arg, size_t *len_out)
{
    SVM_ASSERT(cell.len > 0 && cell.len <= SVM_CELL_KEY_MAX);
    struct row_key key;
    uint8_t *value;
    size_t len;
    row_key_set(&key, ROW_CELL, cell.ptr, cell.len, NULL, 0);
    enum svm_err err = get_row(store, &key, &value, &len);
    if (err != SVM_OK)
        return err;
    if (len < ROW_CELL_HEAD_BYTES || value[16] > 1) {
        free(value);
        return SVM_E_CORRUPT;
    }
    size_t size = len - ROW_CELL_HEAD_BYTES;
    uint8_t *copy = alloc(arg, size);
    if (copy == NULL && size > 0) {
        err = SVM_E_NO_MEMORY;
    } else {
        if (size > 0)
            memcpy(copy, value + ROW_CELL_HEAD_BYTES, size);
        *seq_out = bytes_get_u64le(value);
        *version_out = bytes_get_u64le(value + 8);
        *deleted_out = value[16] == 1;
        *len_out = size;
    }
    free(value);
    return err;
}

enum svm_err store_receipt_get(struct store *store, const struct svm_digest *digest,
                               struct svm_receipt **receipt_out)
{
    if (store->mode == STORE_MEMORY)
        return SVM_E_NOT_FOUND;
    return store_receipts_get(&store->receipts, &store->state_kv, digest, receipt_out);
}

/* list_ids: the last 32 bytes of each key that begins with PREFIX, those > AFTER, at most LIMIT. */
static enum svm_err list_ids(struct store *store, const struct row_key *prefix,
                             const struct svm_id *after, struct svm_id *ids_out, size_t limit,
                             size_t *count_out)
{
    *count_out = 0;
    if (store->mode == STORE_MEMORY || limit == 0)
        return SVM_OK;
    const struct svm_kv_ops *kv = &store->state_kv;
    struct svm_kv_iter *iter = kv->iter_open(kv->self);
    if (iter == NULL)
        return SVM_E_NO_MEMORY;

    struct row_key from = *prefix;
    if (after != NULL) {
        memcpy(from.b + from.len, after->b, 32);
        from.len += 32;
    }
    size_t count = 0;
    enum svm_err err = SVM_OK;
    struct svm_bytes key, value;
    kv->iter_seek(iter, row_key_bytes(&from));
    for (; count < limit && kv->iter_valid(iter, &key, &value); kv->iter_next(iter)) {
        if (key.len < prefix->len || memcmp(key.ptr, prefix->b, prefix->len) != 0)
            break;
        if (key.len != prefix->len + 32) {
            err = SVM_E_CORRUPT;
            break;
        }
        const uint8_t *id = key.ptr + prefix->len;
        if (after != NULL && memcmp(id, after->b, 32) == 0)
            continue;
        memcpy(ids_out[count++].b, id, 32);
    }
    enum svm_err closed = kv->iter_close(iter);
    if (closed != SVM_OK)
        return closed;
    if (err == SVM_OK)
        *count_out = count;
    return err;
}

enum svm_err store_owned(struct store *store, const struct svm_address *owner,
                         const struct svm_id *after, struct svm_id *ids_out, size_t limit,
                         size_t *count_out)
{
    struct row_key prefix;
    row_key_set(&prefix, ROW_OWNED, owner->b, 32, NULL, 0);
    return list_ids(store, &prefix, after, ids_out, limit, count_out);
}

enum svm_err store_objects(struct store *store, const struct svm_id *after, struct svm_id *ids_out,
                           size_t limit, size_t *count_out)
{
    struct row_key prefix;
    row_key_set(&prefix, ROW_OBJECT, NULL, 0, NULL, 0);
    return list_ids(store, &prefix, after, ids_out, limit, count_out);
}
