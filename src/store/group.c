#include "store/group.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/fault.h"
#include "crypto/sha256.h"

enum {
    AT_VERSION = 4,
    AT_ZERO = 6,
    AT_FIRST = 8,
    AT_LAST = 16,
    AT_NODE_MS = 24,
    AT_SYNCED = 32,
    AT_FRAMES_LEN = 40,
    AT_PREV = 48,
    AT_FRAMES_HASH = 80,
    AT_HASH = 112,
    GROUP_VERSION = 1
};

static const uint8_t group_magic[4] = {'S', 'V', 'M', 'G'};

void store_group_seal(struct store_group *group, uint8_t *header)
{
    SVM_ASSERT(group->first > 0);
    SVM_ASSERT(group->last >= group->first);
    SVM_ASSERT(group->synced < group->first);

    crypto_sha256(group->frames_hash.b, group->frames.ptr, group->frames.len);
    memcpy(header, group_magic, sizeof group_magic);
    bytes_put_u16le(header + AT_VERSION, GROUP_VERSION);
    bytes_put_u16le(header + AT_ZERO, 0);
    bytes_put_u64le(header + AT_FIRST, group->first);
    bytes_put_u64le(header + AT_LAST, group->last);
    bytes_put_u64le(header + AT_NODE_MS, group->node_ms);
    bytes_put_u64le(header + AT_SYNCED, group->synced);
    bytes_put_u64le(header + AT_FRAMES_LEN, group->frames.len);
    memcpy(header + AT_PREV, group->prev.b, 32);
    memcpy(header + AT_FRAMES_HASH, group->frames_hash.b, 32);
    crypto_sha256(group->hash.b, header, AT_HASH);
    memcpy(header + AT_HASH, group->hash.b, 32);
}

bool store_group_parse(struct store_group *group_out, struct svm_bytes key, struct svm_bytes value)
{
    const uint8_t *header = value.ptr;
    if (key.len != STORE_LOG_KEY_BYTES || value.len < STORE_GROUP_HEADER_BYTES)
        return false;
    if (memcmp(header, group_magic, sizeof group_magic) != 0)
        return false;
    if (bytes_get_u16le(header + AT_VERSION) != GROUP_VERSION)
        return false;

    crypto_sha256(group_out->hash.b, header, AT_HASH);
    if (memcmp(group_out->hash.b, header + AT_HASH, 32) != 0)
        return false;

    group_out->first = bytes_get_u64le(header + AT_FIRST);
    group_out->last = bytes_get_u64le(header + AT_LAST);
    group_out->node_ms = bytes_get_u64le(header + AT_NODE_MS);
    group_out->synced = bytes_get_u64le(header + AT_SYNCED);
    memcpy(group_out->prev.b, header + AT_PREV, 32);
    memcpy(group_out->frames_hash.b, header + AT_FRAMES_HASH, 32);
    group_out->frames.ptr = header + STORE_GROUP_HEADER_BYTES;
    group_out->frames.len = value.len - STORE_GROUP_HEADER_BYTES;
    return bytes_get_u64le(header + AT_FRAMES_LEN) == group_out->frames.len &&
           bytes_get_u64be(key.ptr) == group_out->first && group_out->first > 0 &&
           group_out->last >= group_out->first && group_out->synced < group_out->first;
}

bool store_group_frames_intact(const struct store_group *group)
{
    uint8_t hash[32];
    crypto_sha256(hash, group->frames.ptr, group->frames.len);
    return FAULT_BUG("log-unchecked") || memcmp(hash, group->frames_hash.b, 32) == 0;
}
