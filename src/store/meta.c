#include "store/meta.h"

#include <string.h>

#include "base/bytes.h"

static const uint8_t meta_magic[8] = {'S', 'V', 'M', 'M', 1, 0, 0, 0};

void store_meta_encode(uint8_t out[STORE_META_BYTES], const struct store_meta *meta)
{
    memcpy(out, meta_magic, sizeof meta_magic);
    memcpy(out + 8, meta->genesis.b, 32);
    bytes_put_u64le(out + 40, meta->seq);
    memcpy(out + 48, meta->hash.b, 32);
    bytes_put_u64le(out + 80, meta->node_ms);
    for (size_t kind = 0; kind < 3; kind++)
        bytes_put_u64le(out + 88 + 8 * kind, meta->objects[kind]);
    bytes_put_u64le(out + 112, meta->transfers);
}

enum svm_err store_meta_decode(struct store_meta *meta_out, struct svm_bytes row)
{
    if (row.len != STORE_META_BYTES || memcmp(row.ptr, meta_magic, sizeof meta_magic) != 0)
        return SVM_E_CORRUPT;
    memcpy(meta_out->genesis.b, row.ptr + 8, 32);
    meta_out->seq = bytes_get_u64le(row.ptr + 40);
    memcpy(meta_out->hash.b, row.ptr + 48, 32);
    meta_out->node_ms = bytes_get_u64le(row.ptr + 80);
    for (size_t kind = 0; kind < 3; kind++)
        meta_out->objects[kind] = bytes_get_u64le(row.ptr + 88 + 8 * kind);
    meta_out->transfers = bytes_get_u64le(row.ptr + 112);
    return SVM_OK;
}
