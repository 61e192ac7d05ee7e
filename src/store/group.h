/* store/group.h - one value of the log: a header that commits to the frames behind it, and the frames.
 *
 *     offset  bytes
 *          0      4  "SVMG"
 *          4      2  version = 1            (integers are little-endian)
 *          6      2  zero
 *          8      8  first                  the key of the value, there big-endian
 *         16      8  last
 *         24      8  node_ms                latest node time of the group
 *         32      8  synced                 what was known to be durable when the group was written
 *         40      8  bytes of frames
 *         48     32  prev                   hash of the group before; of the first group: the genesis digest
 *         80     32  SHA-256 of the frames
 *        112     32  hash of this group = SHA-256 of the 112 bytes before
 *        144      -  frames
 *
 * The hash of a group thus covers all of it by way of the frames' hash, each group proves itself without its successor,
 * and the chain can be followed by headers alone. */
#ifndef STORE_GROUP_H
#define STORE_GROUP_H

#include <svm/types.h>

enum { STORE_GROUP_HEADER_BYTES = 144, STORE_LOG_KEY_BYTES = 8 };

struct store_group {
    uint64_t first, last;
    uint64_t node_ms;
    uint64_t synced;
    struct svm_digest prev;
    struct svm_digest frames_hash;
    struct svm_digest hash;
    struct svm_bytes frames; /* parsed: borrowed from the value */
};

/* store_group_seal: write the header of GROUP (first, last, node_ms, synced, prev, frames) to HEADER
 * (STORE_GROUP_HEADER_BYTES) and set its frames_hash and hash. */
void store_group_seal(struct store_group *group, uint8_t *header);

/* store_group_parse: the header of VALUE, stored under KEY. True when the header is intact and fits key and length; the
 * frames are not looked at. */
bool store_group_parse(struct store_group *group_out, struct svm_bytes key, struct svm_bytes value);

/* store_group_frames_intact: whether the frames are those that the header commits to. */
bool store_group_frames_intact(const struct store_group *group);

#endif
