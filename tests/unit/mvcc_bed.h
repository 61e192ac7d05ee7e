/* mvcc_bed: one domain and one thread, online, for tests that need no more. */
#ifndef TESTS_UNIT_MVCC_BED_H
#define TESTS_UNIT_MVCC_BED_H

#include "mvcc/mvcc.h"

struct mvcc_bed {
    struct mvcc *mvcc;
    struct mvcc_table *objects, *cells;
    struct mvcc_thread *thread;
};
void mvcc_bed_init(struct mvcc_bed *bed);
void mvcc_bed_deinit(struct mvcc_bed *bed);

/* 32 bytes that differ by N. */
void mvcc_bed_key(uint8_t key[32], uint64_t n);
/* Hold object N; when it is not resident, load it with VERSION (0 = absent) and BEGIN_SEQ. */
struct mvcc_head *mvcc_bed_hold(struct mvcc_bed *bed, uint64_t n, uint64_t version,
                                uint64_t begin_seq);
/* A version with an 8-byte payload. */
struct mvcc_version *mvcc_bed_version(struct mvcc_bed *bed, uint64_t version, uint64_t payload);
/* Claim, publish VERSION with the next seq, hand over. Returns the seq. */
/* mvcc_bed_number: the version number of what mvcc_bed_version made. */
uint64_t mvcc_bed_number(const struct mvcc_version *version);
uint64_t mvcc_bed_write(struct mvcc_bed *bed, struct mvcc_head *head, uint64_t version);
uint64_t mvcc_bed_chain(const struct mvcc_head *head); /* versions in it */

#endif
