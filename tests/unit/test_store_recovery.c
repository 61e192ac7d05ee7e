/* Recovery on the databases in memory: a crash before every single step, every legal loss, every kind of damage. */
#include "store_bed.h"

#include "base/bytes.h"
#include "store/group.h"

/* ---- a crash before every step ------------------------------------------------------------------------------ */

/* One life that uses everything. Stops at the first error. */
static bool live(struct bed *bed)
{
    uint64_t did;
    if (bed_try_open(bed) != SVM_OK)
        return false;
    for (unsigned i = 0; i < 12; i++) {
        if (bed_try_commit(bed, 1 + i % 4) != SVM_OK)
            return false;
        if (i % 3 == 1 && store_log_sync(bed->store) != SVM_OK)
            return false;
        if (i % 4 == 2 && store_materialise(bed->store, 600, &did) != SVM_OK)
            return false;
        if (i % 6 == 4 && store_trim(bed->store) != SVM_OK)
            return false;
        if (i == 8 && store_sweep(bed->store, WORLD_TIME_MS, 1000) != SVM_OK)
            return false;
    }
    return store_materialise(bed->store, SIZE_MAX, &did) == SVM_OK &&
           store_trim(bed->store) == SVM_OK;
}

/* die_and_return: LOG_STEP or STATE_STEP fails; the crash keeps some of what was not synced. False = the life ended well. */
static bool die_and_return(uint64_t seed, enum store_mode mode, bool in_log, uint64_t step,
                           size_t keep_log, size_t keep_state, size_t *unsynced_log_out,
                           size_t *unsynced_state_out)
{
    struct bed bed;
    bed_init_ram(&bed, seed, mode);
    store_kv_ram_fail_at(in_log ? bed.log_ram : bed.state_ram, step);
    bool lived = live(&bed);
    uint64_t promised = bed.store == NULL ? 0 : store_synced(bed.store);
    uint64_t attempted = bed.world->seq;
    *unsynced_log_out = store_kv_ram_unsynced(bed.log_ram);
    *unsynced_state_out = store_kv_ram_unsynced(bed.state_ram);

    store_kv_ram_fail_at(bed.log_ram, 1); /* the power goes: nothing is synced by closing */
    store_close(bed.store);
    bed.store = NULL;
    store_kv_ram_crash(bed.log_ram, keep_log);
    store_kv_ram_crash(bed.state_ram, keep_state);

    bed_open(&bed);
    uint64_t end = bed.opened.next_seq - 1;
    ck_assert_msg(end >= promised && end <= attempted, "%s step %llu: %llu is not in %llu .. %llu",
                  in_log ? "log" : "state", (unsigned long long)step, (unsigned long long)end,
                  (unsigned long long)promised, (unsigned long long)attempted);
    ck_assert_uint_eq(store_materialised(bed.store), end);
    bed_check(&bed, end);

    /* and life goes on */
    bed_rewind(&bed, end);
    bed_commit(&bed, 3);
    bed_commit(&bed, 2);
    bed_close(&bed);
    store_kv_ram_crash(bed.state_ram, 0);
    bed_open(&bed);
    ck_assert_uint_eq(bed.opened.next_seq, end + 6);
    ck_assert_uint_eq(bed.opened.cut_groups, 0);
    bed_check(&bed, end + 5);
    bed_deinit(&bed);
    return !lived;
}

START_TEST(a_crash_before_any_step_loses_nothing_promised)
{
    uint64_t seed = bed_seed("a_crash_before_any_step_loses_nothing_promised");
    static const enum store_mode modes[] = {STORE_WRITE, STORE_SYNC, STORE_INTERVAL};
    unsigned lives = 0;
    for (unsigned mode = 0; mode < 3; mode++)
        for (int in_log = 0; in_log < 2; in_log++) {
            bool died = true;
            for (uint64_t step = 1; died; step++) {
                size_t log_max = 0, state_max = 0;
                for (size_t keep_log = 0; keep_log <= log_max; keep_log++)
                    for (size_t keep_state = 0; keep_state <= state_max; keep_state++, lives++)
                        died = die_and_return(seed, modes[mode], in_log, step, keep_log, keep_state,
                                              &log_max, &state_max);
            }
        }
    printf("%u lives\n", lives);
    /* files leave nothing unflushed behind, so there are fewer losses to try */
    ck_assert_uint_gt(lives, getenv("SVM_BED_FILES") != NULL ? 150 : 200);
}
END_TEST

/* ---- gaps -------------------------------------------------------------------------------------------------- */

enum { GROUPS = 8, PER_GROUP = 4, SYNCED_GROUPS = 4 };

/* bed_with_groups: GROUPS groups, the first SYNCED_GROUPS synced before the others were written, MATERIALISED in `state`. */
static void bed_with_groups(struct bed *bed, uint64_t seed, unsigned materialised)
{
    bed_init_ram(bed, seed, STORE_WRITE);
    bed_open(bed);
    for (unsigned i = 0; i < GROUPS; i++) {
        if (i == SYNCED_GROUPS)
            ck_assert_int_eq(store_log_sync(bed->store), SVM_OK);
        bed_commit(bed, PER_GROUP);
    }
    for (unsigned i = 0; i < materialised; i++)
        ck_assert_uint_eq(bed_materialise(bed, 1), 1);
    bed_close(bed);
}

static void group_key(uint8_t key[8], unsigned group)
{
    bytes_put_u64be(key, 1 + (uint64_t)group * PER_GROUP);
}

static void group_remove(struct bed *bed, unsigned group)
{
    uint8_t key[8];
    group_key(key, group);
    struct svm_kv_op del = {.key = {key, 8}, .del = true};
    ck_assert_int_eq(bed->log_ops.write(bed->log_ops.self, &del, 1, true), SVM_OK);
}

START_TEST(a_gap_is_a_power_cut_or_corruption)
{
    uint64_t seed = bed_seed("a_gap_is_a_power_cut_or_corruption");
    for (unsigned materialised = 0; materialised <= SYNCED_GROUPS; materialised++)
        for (unsigned gap = materialised; gap < GROUPS; gap++) {
            struct bed bed;
            bed_with_groups(&bed, seed, materialised);
            group_remove(&bed, gap);
            enum svm_err err = bed_try_open(&bed);
            if (gap < SYNCED_GROUPS) {
                ck_assert_int_eq(err, SVM_E_CORRUPT);
                ck_assert_ptr_nonnull(strstr(bed.reason, "breaks after seq"));
                bed_deinit(&bed);
                continue;
            }
            ck_assert_msg(err == SVM_OK, "%s", bed.reason);
            uint64_t end = gap * PER_GROUP;
            ck_assert_uint_eq(bed.opened.next_seq, end + 1);
            ck_assert_uint_eq(bed.opened.cut_groups, GROUPS - 1 - gap);
            bed_check(&bed, end);

            /* what was behind the gap must not come back, not even after another power cut */
            bed_close(&bed);
            store_kv_ram_crash(bed.log_ram, 0);
            bed_open(&bed);
            ck_assert_uint_eq(bed.opened.next_seq, end + 1);
            ck_assert_uint_eq(bed.opened.cut_groups, 0);
            bed_rewind(&bed, end);
            for (unsigned i = gap; i < GROUPS; i++)
                bed_commit(&bed, PER_GROUP);
            bed_close(&bed);
            bed_open(&bed);
            bed_check(&bed, GROUPS * PER_GROUP);
            bed_deinit(&bed);
        }
}
END_TEST

START_TEST(log_and_state_must_fit)
{
    struct bed bed;
    bed_with_groups(&bed, 11, 3);
    group_remove(&bed, 2); /* the group that ends at M, with an older one still there */
    ck_assert_int_eq(bed_try_open(&bed), SVM_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(bed.reason, "do not fit"));
    bed_deinit(&bed);

    bed_with_groups(&bed, 11, 3); /* an older group is not needed */
    group_remove(&bed, 0);
    bed_open(&bed);
    ck_assert_uint_eq(bed.opened.next_seq, GROUPS * PER_GROUP + 1);
    bed_check(&bed, GROUPS * PER_GROUP);
    bed_deinit(&bed);

    bed_with_groups(&bed, 11, 3); /* another log of the same length: the chain does not link up */
    struct bed other;
    bed_with_groups(&other, 12, 3);
    other.config.state_ops = &bed.state_ops;
    ck_assert_int_eq(bed_try_open(&other), SVM_E_CORRUPT);
    bed_deinit(&other);
    bed_deinit(&bed);

    bed_with_groups(&bed, 11, GROUPS); /* a lost state is not a new one */
    uint8_t meta = 'm';
    struct svm_kv_op del = {.key = {&meta, 1}, .del = true};
    ck_assert_int_eq(bed.state_ops.write(bed.state_ops.self, &del, 1, true), SVM_OK);
    ck_assert_int_eq(bed_try_open(&bed), SVM_E_FOREIGN_DATA);
    bed_deinit(&bed);
}
END_TEST

START_TEST(another_genesis_is_refused)
{
    struct bed bed;
    struct model_genesis other = *bed_genesis();
    bed_with_groups(&bed, 11, 3);
    other.digest.b[5] ^= 1;
    ck_assert_int_eq(store_open(&bed.store, &bed.config, &other, &bed.opened, bed.reason),
                     SVM_E_FOREIGN_DATA);
    bed.store = NULL;
    bed_deinit(&bed);
}
END_TEST

/* ---- flipped bits ------------------------------------------------------------------------------------------ */

static size_t flip(struct bed *bed, unsigned group, size_t bit)
{
    uint8_t key[8], *value;
    size_t len;
    group_key(key, group);
    ck_assert_int_eq(bed->log_ops.get(bed->log_ops.self, (struct svm_bytes){key, 8}, &value, &len),
                     SVM_OK);
    value[bit / 8 % len] ^= (uint8_t)(1u << bit % 8);
    struct svm_kv_op put = {.key = {key, 8}, .value = {value, len}};
    ck_assert_int_eq(bed->log_ops.write(bed->log_ops.self, &put, 1, true), SVM_OK);
    free(value);
    return len;
}

START_TEST(a_flipped_bit_is_refused_or_cut_off)
{
    uint64_t seed = bed_seed("a_flipped_bit_is_refused_or_cut_off");
    struct rng rng;
    rng_init(&rng, seed);
    for (unsigned round = 0; round < 300; round++) {
        struct bed bed;
        unsigned materialised = (unsigned)rng_below(&rng, 3);
        unsigned group = materialised + (unsigned)rng_below(&rng, GROUPS - materialised);
        bed_with_groups(&bed, seed, materialised);
        /* half of the flips in the header */
        size_t bit = rng_below(&rng, rng_below(&rng, 2) ? 8 * STORE_GROUP_HEADER_BYTES : 1 << 16);
        flip(&bed, group, bit);
        enum svm_err err = bed_try_open(&bed);
        if (group < SYNCED_GROUPS) {
            ck_assert_int_eq(err, SVM_E_CORRUPT);
        } else {
            ck_assert_msg(err == SVM_OK, "%s", bed.reason);
            ck_assert_uint_eq(bed.opened.next_seq, group * PER_GROUP + 1);
            bed_check(&bed, group * PER_GROUP);
        }
        bed_deinit(&bed);
    }
}
END_TEST

/* The materialiser meets damage while the store runs: it stops for good, and nothing of the batch is written. */
START_TEST(damage_at_run_time_is_final)
{
    struct bed bed;
    bed_init_ram(&bed, 21, STORE_SYNC);
    bed_open(&bed);
    bed_commit(&bed, PER_GROUP);
    bed_commit(&bed, PER_GROUP);
    flip(&bed, 1, 300);
    uint64_t did;
    ck_assert_int_eq(store_materialise(bed.store, SIZE_MAX, &did), SVM_E_CORRUPT);
    ck_assert_uint_eq(store_materialised(bed.store), 0);
    ck_assert_ptr_nonnull(store_failure(bed.store));
    ck_assert_int_eq(store_group_commit(bed.store, 9, 9, 1), SVM_E_IO);
    bed_check(&bed, 0);
    bed_deinit(&bed);
}
END_TEST

/* ---- groups that lie ----------------------------------------------------------------------------------------- */

/* A group whose header is intact, but what it says cannot be. */
enum lie { LIE_FRAMES, LIE_PREV, LIE_FRAME, LIE_SEQ, LIE_FEWER, LIE_MORE, LIE_COUNT };

/* lie_frames: void frames where those of GROUP were. Returns how many bytes. */
static size_t lie_frames(const struct store_group *group, enum lie lie, uint8_t *out)
{
    uint8_t *end = out;
    for (uint64_t seq = group->first; seq <= group->last; seq++)
        end = model_void_encode(end, seq + (lie == LIE_SEQ && seq == group->last));
    if (lie == LIE_MORE)
        end = model_void_encode(end, group->last + 1);
    if (lie == LIE_FRAME)
        out[0] = 0xff; /* no kind of frame */
    return (size_t)(end - out) - (lie == LIE_FEWER ? model_void_size(group->last) : 0);
}

static void group_lie(struct bed *bed, unsigned number, enum lie lie)
{
    uint8_t key[8], *value, forged[STORE_GROUP_HEADER_BYTES + 256];
    size_t len;
    struct store_group group;
    group_key(key, number);
    ck_assert_int_eq(bed->log_ops.get(bed->log_ops.self, (struct svm_bytes){key, 8}, &value, &len),
                     SVM_OK);
    ck_assert(
        store_group_parse(&group, (struct svm_bytes){key, 8}, (struct svm_bytes){value, len}));
    uint8_t *frames = forged + STORE_GROUP_HEADER_BYTES;
    group.frames = (struct svm_bytes){frames, lie_frames(&group, lie, frames)};
    if (lie == LIE_PREV)
        group.prev.b[7] ^= 1;
    store_group_seal(&group, forged);
    if (lie == LIE_FRAMES)
        frames[group.frames.len - 1] ^= 1; /* not what the header commits to */
    struct svm_kv_op put = {.key = {key, 8},
                            .value = {forged, STORE_GROUP_HEADER_BYTES + group.frames.len}};
    ck_assert_int_eq(bed->log_ops.write(bed->log_ops.self, &put, 1, true), SVM_OK);
    free(value);
}

static bool in_order(void *arg, const struct model_frame *frame)
{
    uint64_t *next = arg;
    ck_assert_uint_eq(frame->seq, *next);
    ++*next;
    return true;
}

/* Who audits is told so, the materialiser stops, a second life is refused; but that the last group is no successor or has other frames is
 * what a power cut leaves, too: it is cut off. */
static void expect_lie_told(enum lie lie, unsigned lying)
{
    struct bed bed;
    uint64_t next = 1, did;
    const bool torn = lie == LIE_FRAMES || lie == LIE_PREV;
    bed_init_ram(&bed, 31, STORE_SYNC);
    bed_open(&bed);
    for (unsigned i = 0; i < GROUPS; i++)
        bed_commit(&bed, PER_GROUP);
    group_lie(&bed, lying, lie);
    ck_assert_int_eq(store_log_visit(bed.store, 1, in_order, &next), SVM_E_CORRUPT);
    ck_assert_uint_gt(next, lying * PER_GROUP);
    ck_assert_uint_le(next, (lying + (torn ? 0 : 1)) * PER_GROUP + 1);
    ck_assert_ptr_null(store_failure(bed.store)); /* who reads ends nothing */
    ck_assert_int_eq(store_materialise(bed.store, SIZE_MAX, &did), SVM_E_CORRUPT);
    ck_assert_uint_eq(store_materialised(bed.store), 0);
    ck_assert_ptr_nonnull(store_failure(bed.store));
    bed_check(&bed, 0);
    bed_close(&bed);
    const enum svm_err err = bed_try_open(&bed);
    if (torn && lying == GROUPS - 1) {
        ck_assert_msg(err == SVM_OK, "%s", bed.reason);
        ck_assert_uint_eq(bed.opened.next_seq, lying * PER_GROUP + 1);
        ck_assert_uint_eq(bed.opened.cut_groups, 1);
        bed_check(&bed, lying * PER_GROUP);
    } else {
        ck_assert_int_eq(err, SVM_E_CORRUPT);
        ck_assert_ptr_nonnull(
            strstr(bed.reason, lying == GROUPS - 1 ? "replay stopped after" : "breaks after seq"));
    }
    bed_deinit(&bed);
}

START_TEST(a_group_that_lies_is_told)
{
    for (enum lie lie = 0; lie < LIE_COUNT; lie++) {
        expect_lie_told(lie, 2);
        expect_lie_told(lie, GROUPS - 1);
    }
}
END_TEST

/* ---- trimming ---------------------------------------------------------------------------------------------- */

/* However often it is trimmed and crashed, with the state as it was at the last flush, nothing is missing. */
START_TEST(trimming_never_loses)
{
    uint64_t seed = bed_seed("trimming_never_loses");
    struct rng rng;
    struct bed bed;
    rng_init(&rng, seed);
    bed_init_ram(&bed, seed, STORE_SYNC);
    bed_open(&bed);
    for (unsigned life = 0; life < 60; life++) {
        for (unsigned i = 0; i < 6; i++) {
            bed_commit(&bed, 1 + (unsigned)rng_below(&rng, 5));
            if (rng_below(&rng, 2))
                bed_materialise(&bed, 1 + rng_below(&rng, 3000));
            if (rng_below(&rng, 4) == 0)
                ck_assert_int_eq(store_trim(bed.store), SVM_OK);
        }
        uint64_t end = bed.world->seq;
        bed_close(&bed);
        store_kv_ram_crash(bed.state_ram, rng_below(&rng, 3));
        store_kv_ram_crash(bed.log_ram, 0);
        bed_open(&bed);
        ck_assert_uint_eq(bed.opened.next_seq, end + 1);
        if (life % 10 == 9)
            bed_check(&bed, end);
    }
    ck_assert_int_eq(store_trim(bed.store), SVM_OK);
    struct svm_kv_iter *iter = bed.log_ops.iter_open(bed.log_ops.self);
    struct svm_bytes key, value;
    bed.log_ops.iter_seek_last(iter);
    ck_assert(!bed.log_ops.iter_valid(iter, &key, &value)); /* all of it is in the state */
    ck_assert_int_eq(bed.log_ops.iter_close(iter), SVM_OK);
    bed_check(&bed, bed.world->seq);
    bed_deinit(&bed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_recovery");
    for (int files = 0; files < 2; files++) {
        TCase *tcase = tcase_create(files ? "recovery, as files" : "recovery");
        tcase_set_timeout(tcase, 200);
        tcase_add_test(tcase, a_crash_before_any_step_loses_nothing_promised);
        tcase_add_test(tcase, a_gap_is_a_power_cut_or_corruption);
        tcase_add_test(tcase, log_and_state_must_fit);
        tcase_add_test(tcase, another_genesis_is_refused);
        tcase_add_test(tcase, a_flipped_bit_is_refused_or_cut_off);
        tcase_add_test(tcase, damage_at_run_time_is_final);
        tcase_add_test(tcase, a_group_that_lies_is_told);
        tcase_add_test(tcase, trimming_never_loses);
        if (files)
            tcase_add_checked_fixture(tcase, bed_files, NULL);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
