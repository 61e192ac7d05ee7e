#include "mvcc_bed.h"

#include <string.h>

enum { INFLIGHT = 1 << 14 };

void mvcc_bed_init(struct mvcc_bed *bed)
{
    const struct mvcc_config config = {.records_kept = true,
                                       .inflight_max = INFLIGHT,
                                       .pins_max = 40,
                                       .threads_max = 4,
                                       .first_seq = 1};
    bed->mvcc = mvcc_create(&config);
    SVM_ASSERT(bed->mvcc != NULL);
    bed->objects = mvcc_table(bed->mvcc, MVCC_OBJECTS);
    bed->cells = mvcc_table(bed->mvcc, MVCC_CELLS);
    bed->thread = mvcc_thread_create(bed->mvcc);
    SVM_ASSERT(bed->thread != NULL);
    mvcc_online(bed->thread);
}

void mvcc_bed_deinit(struct mvcc_bed *bed)
{
    mvcc_offline(bed->thread);
    mvcc_thread_destroy(bed->thread);
    mvcc_destroy(bed->mvcc);
}

void mvcc_bed_key(uint8_t key[32], uint64_t n)
{
    memset(key, 0x5a, 32);
    memcpy(key + 24, &n, 8);
}

struct mvcc_version *mvcc_bed_version(struct mvcc_bed *bed, uint64_t version, uint64_t payload)
{
    struct mvcc_version *v = mvcc_version_create(bed->thread, sizeof payload + sizeof version);
    SVM_ASSERT(v != NULL);
    mvcc_version_number_set(v, version);
    memcpy(v->payload, &payload, sizeof payload);
    memcpy(v->payload + sizeof payload, &version, sizeof version);
    return v;
}

struct mvcc_head *mvcc_bed_hold(struct mvcc_bed *bed, uint64_t n, uint64_t version,
                                uint64_t begin_seq)
{
    uint8_t key[32];
    struct mvcc_head *head;
    mvcc_bed_key(key, n);
    if (mvcc_hold(bed->objects, bed->thread, key, 32, &head) == MVCC_HELD_LOAD) {
        struct mvcc_version *v = NULL;
        if (version != 0) {
            v = mvcc_bed_version(bed, version, n);
            mvcc_version_begin_set(v, begin_seq);
        }
        mvcc_load_finish(bed->objects, bed->thread, head, v, version);
    }
    return head;
}

uint64_t mvcc_bed_number(const struct mvcc_version *version)
{
    uint64_t number;
    memcpy(&number, version->payload + sizeof number, sizeof number);
    return number;
}

uint64_t mvcc_bed_write(struct mvcc_bed *bed, struct mvcc_head *head, uint64_t version)
{
    uint64_t state;
    bool claimed = mvcc_try_claim(head, &state);
    SVM_ASSERT(claimed);
    struct mvcc_version *v = mvcc_bed_version(bed, version, version);
    uint64_t seq = mvcc_seq_next(bed->mvcc);
    mvcc_publish(bed->objects, bed->thread, head, v, seq);
    mvcc_seq_hand_over(bed->mvcc, seq, NULL);
    (void)mvcc_seq_take(bed->mvcc, seq);
    return seq;
}

uint64_t mvcc_bed_chain(const struct mvcc_head *head)
{
    uint64_t count = 0;
    for (const struct mvcc_version *v = mvcc_newest(head); v != NULL; v = mvcc_older(v)) {
        count++;
    }
    return count;
}
