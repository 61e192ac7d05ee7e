/* What is committed can be read once it is materialised: objects, cells, index, receipts, positions. */
#include "store_bed.h"

#include <pthread.h>
#include <stdatomic.h>

#include "store/rows.h"

START_TEST(creation_holds_the_genesis)
{
    struct bed bed;
    bed_init_ram(&bed, 1, STORE_SYNC);
    bed_open(&bed);
    ck_assert(bed.opened.created);
    ck_assert_uint_eq(bed.opened.next_seq, 1);
    ck_assert_uint_eq(bed.opened.node_ms, WORLD_TIME_MS);
    ck_assert_uint_eq(bed.opened.receipts_seen, 0);
    for (unsigned kind = 0; kind < 3; kind++)
        ck_assert_uint_eq(bed.opened.objects[kind], 1);
    bed_check(&bed, 0);
    bed_close(&bed);
    bed_open(&bed);
    ck_assert(!bed.opened.created);
    bed_check(&bed, 0);
    bed_deinit(&bed);
}
END_TEST

/* Whatever the cut into groups and batches, the rows are the same. */
START_TEST(state_follows_the_log)
{
    uint64_t seed = bed_seed("state_follows_the_log");
    static const size_t bytes_max[] = {1, 700, 5000, 1 << 20};
    for (unsigned variant = 0; variant < 4; variant++) {
        struct bed bed;
        bed_init_ram(&bed, seed, STORE_SYNC);
        bed_open(&bed);
        for (unsigned i = 0; i < 40; i++) {
            bed_commit(&bed, 1 + i * variant % 9);
            if (i % 7 != 6)
                continue;
            uint64_t before = store_materialised(bed.store);
            uint64_t did = bed_materialise(&bed, bytes_max[variant]);
            ck_assert_uint_gt(did, 0);
            if (bytes_max[variant] == 1)
                ck_assert_uint_eq(did, 1);
            ck_assert_uint_gt(store_materialised(bed.store), before);
            bed_check(&bed, store_materialised(bed.store));
        }
        while (bed_materialise(&bed, bytes_max[variant]) > 0)
            continue;
        ck_assert_uint_eq(store_materialised(bed.store), bed.world->seq);
        ck_assert_uint_eq(store_dirty_bytes(bed.store), 0);
        bed_check(&bed, bed.world->seq);

        bed_close(&bed);
        bed_open(&bed);
        ck_assert_uint_eq(bed.opened.next_seq, bed.world->seq + 1);
        ck_assert_uint_eq(bed.opened.node_ms, bed.world->node_ms);
        ck_assert_uint_eq(bed.opened.transfers, bed.world->transfers);
        for (unsigned kind = 0; kind < 3; kind++)
            ck_assert_uint_eq(bed.opened.objects[kind], bed.world->live[kind]);
        bed_deinit(&bed);
    }
}
END_TEST

/* Ten thousand changes of owner within one batch leave one object row and one index row. */
START_TEST(a_batch_is_coalesced_but_history_is_not)
{
    struct bed bed;
    bed_init_ram(&bed, bed_seed("a_batch_is_coalesced_but_history_is_not"), STORE_SYNC);
    bed_open(&bed);
    for (unsigned i = 0; i < 60; i++)
        bed_commit(&bed, 10);
    bed_materialise(&bed, SIZE_MAX);
    bed_check(&bed, 600);

    uint64_t rows[256] = {0};
    struct svm_kv_iter *iter = bed.state_ops.iter_open(bed.state_ops.self);
    struct svm_bytes key, value;
    bed.state_ops.iter_seek(iter, (struct svm_bytes){(const uint8_t *)"", 0});
    for (; bed.state_ops.iter_valid(iter, &key, &value); bed.state_ops.iter_next(iter))
        rows[key.ptr[0]]++;
    ck_assert_int_eq(bed.state_ops.iter_close(iter), SVM_OK);
    uint64_t receipts = 0, objects = 0;
    static const struct svm_digest none;
    for (unsigned seq = 1; seq <= 600; seq++)
        receipts += memcmp(bed.world->digests[seq].b, none.b, 32) != 0;
    for (unsigned i = 0; i < WORLD_OBJECTS; i++)
        objects += bed.world->objects[i].object != NULL;
    ck_assert_uint_eq(rows[ROW_OBJECT], objects);
    ck_assert_uint_eq(rows[ROW_HISTORY], bed.world->versions);
    ck_assert_uint_eq(rows[ROW_RUN], 1); /* receipts are packed: one run, ... */
    ck_assert_uint_eq(rows[ROW_RUN_MAP], 1);
    ck_assert_uint_eq(rows[ROW_RECEIPT], (receipts + 253) / 254);
    ck_assert_uint_lt(rows[ROW_ORDER], receipts / 8); /* ... and pages of four KiB */
    ck_assert_uint_eq(rows[ROW_OWNED], bed.world->live[SVM_KIND_OWNED]);
    ck_assert_uint_eq(rows[ROW_META], 1);

    struct store_counts counts;
    store_counts(bed.store, &counts);
    ck_assert_uint_eq(counts.groups, 60);
    ck_assert_uint_eq(counts.syncs, 60);
    ck_assert_uint_lt(counts.rows,
                      3 + 60 + 600 * 3 + bed.world->versions); /* fewer than were written */
    bed_deinit(&bed);
}
END_TEST

START_TEST(each_mode_keeps_its_positions)
{
    static const enum store_mode modes[] = {STORE_WRITE, STORE_SYNC, STORE_INTERVAL};
    for (unsigned i = 0; i < 3; i++) {
        struct bed bed;
        bool at_once = modes[i] == STORE_SYNC;
        bed_init_ram(&bed, 7, modes[i]);
        bed_open(&bed);
        bed_commit(&bed, 5);
        ck_assert_uint_eq(store_logged(bed.store), 5);
        ck_assert_uint_eq(store_synced(bed.store), at_once ? 5 : 0);
        ck_assert_uint_eq(store_durable(bed.store), modes[i] == STORE_INTERVAL ? 0 : 5);
        ck_assert_uint_gt(store_dirty_bytes(bed.store), 0);
        ck_assert_int_eq(store_log_sync(bed.store), SVM_OK);
        ck_assert_uint_eq(store_synced(bed.store), 5);
        ck_assert_uint_eq(store_durable(bed.store), 5);
        bed_commit(&bed, 5);
        /* only what is synced becomes state; with nothing synced left it syncs by itself */
        ck_assert_uint_eq(bed_materialise(&bed, SIZE_MAX), at_once ? 2 : 1);
        ck_assert_uint_eq(store_materialised(bed.store), at_once ? 10 : 5);
        ck_assert_uint_eq(bed_materialise(&bed, SIZE_MAX), at_once ? 0 : 1);
        ck_assert_uint_eq(store_materialised(bed.store), 10);
        ck_assert_uint_eq(store_synced(bed.store), 10);
        ck_assert_uint_eq(store_disk_free(bed.store), UINT64_MAX);
        bed_deinit(&bed);
    }
}
END_TEST

struct visited {
    uint64_t from, next, limit;
};

static bool visit(void *arg, const struct model_frame *frame)
{
    struct visited *visited = arg;
    ck_assert_uint_eq(frame->seq, visited->next);
    visited->next++;
    return visited->next < visited->limit;
}

START_TEST(memory_keeps_nothing)
{
    struct bed bed;
    struct svm_id ids[4];
    size_t count;
    bed_init_ram(&bed, 3, STORE_MEMORY);
    bed_open(&bed);
    ck_assert_uint_eq(bed.opened.next_seq, 1);
    bed_commit(&bed, 5);
    ck_assert_int_eq(store_group_commit(bed.store, 6, 9, 1), SVM_OK); /* without frames */
    ck_assert_uint_eq(store_logged(bed.store), 9);
    ck_assert_uint_eq(store_synced(bed.store), 9);
    ck_assert_uint_eq(store_durable(bed.store), 0);
    ck_assert_uint_eq(bed_materialise(&bed, SIZE_MAX), 0);
    ck_assert_uint_eq(store_materialised(bed.store), 0);
    ck_assert_uint_eq(store_dirty_bytes(bed.store), 0);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t seq;
        struct model_object *object;
        ck_assert_int_eq(
            store_object_get(bed.store, &bed.world->objects[i].id, &seq, NULL, NULL, &object),
            SVM_E_NOT_FOUND);
    }
    ck_assert_int_eq(store_objects(bed.store, NULL, ids, 4, &count), SVM_OK);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(store_trim(bed.store), SVM_OK);
    ck_assert_int_eq(store_sweep(bed.store, 1, 100), SVM_OK);
    ck_assert_int_eq(store_compact(bed.store), SVM_OK);
    for (unsigned i = 0; i < WORLD_CELLS; i++) {
        const struct world_cell *cell = &bed.world->cells[i];
        uint64_t at, version;
        bool deleted;
        void *value;
        ck_assert_int_eq(store_cell_get(bed.store, (struct svm_bytes){cell->key, cell->key_len},
                                        &at, &version, &deleted, NULL, &value, &count),
                         SVM_E_NOT_FOUND);
    }
    struct visited none = {1, 1, UINT64_MAX};
    ck_assert_int_eq(store_log_visit(bed.store, 1, visit, &none), SVM_OK);
    ck_assert_uint_eq(none.next, 1);
    char reason[120];
    uint64_t seq;
    ck_assert_int_eq(store_checkpoint(bed.store, "/nowhere", &seq, reason), SVM_E_METHOD_DISABLED);
    bed_deinit(&bed);
}
END_TEST

START_TEST(a_group_is_full_before_it_overflows)
{
    struct bed bed;
    bed_init_ram(&bed, 3, STORE_MEMORY);
    bed_open(&bed);
    size_t frame = 1 << 20, room = 0;
    for (uint8_t *at; (at = store_group_reserve(bed.store, frame)) != NULL; room += frame)
        memset(at, 1, frame);
    ck_assert_uint_eq(room, STORE_GROUP_BYTES_MAX);
    ck_assert_ptr_null(store_group_reserve(bed.store, 1));
    ck_assert_int_eq(store_group_commit(bed.store, 1, 4, 1), SVM_OK);
    ck_assert_ptr_nonnull(store_group_reserve(bed.store, frame));
    bed_deinit(&bed);
}
END_TEST

START_TEST(the_log_can_be_audited)
{
    struct bed bed;
    bed_init_ram(&bed, bed_seed("the_log_can_be_audited"), STORE_SYNC);
    bed_open(&bed);
    for (unsigned i = 0; i < 10; i++)
        bed_commit(&bed, 5);
    for (uint64_t from = 1; from <= 50; from += 3) {
        struct visited all = {from, from, UINT64_MAX}, some = {from, from, from + 2};
        ck_assert_int_eq(store_log_visit(bed.store, from, visit, &all), SVM_OK);
        ck_assert_uint_eq(all.next, 51);
        ck_assert_int_eq(store_log_visit(bed.store, from, visit, &some), SVM_OK);
        ck_assert_uint_le(some.next, from + 2);
    }
    while (bed_materialise(&bed, 1) > 0 && store_materialised(bed.store) < 20)
        continue;
    ck_assert_int_eq(store_trim(bed.store), SVM_OK);
    struct visited rest = {1, 21, UINT64_MAX};
    ck_assert_int_eq(store_log_visit(bed.store, 1, visit, &rest), SVM_OK);
    ck_assert_uint_eq(rest.next, 51);

    /* a group goes missing in the middle */
    uint8_t key[8] = {0, 0, 0, 0, 0, 0, 0, 31};
    struct svm_kv_op del = {.key = {key, 8}, .del = true};
    ck_assert_int_eq(bed.log_ops.write(bed.log_ops.self, &del, 1, true), SVM_OK);
    rest = (struct visited){1, 21, UINT64_MAX};
    ck_assert_int_eq(store_log_visit(bed.store, 1, visit, &rest), SVM_E_CORRUPT);
    ck_assert_uint_eq(rest.next, 31);
    bed_deinit(&bed);
}
END_TEST

START_TEST(an_error_is_final)
{
    for (unsigned where = 0; where < 2; where++) {
        struct bed bed;
        bed_init_ram(&bed, 5, STORE_SYNC);
        bed_open(&bed);
        bed_commit(&bed, 5);
        ck_assert_ptr_null(store_failure(bed.store));
        store_kv_ram_fail_at(where == 0 ? bed.log_ram : bed.state_ram, 1);
        uint64_t did;
        if (where == 0)
            ck_assert_int_eq(bed_try_commit(&bed, 5), SVM_E_IO);
        else
            ck_assert_int_eq(store_materialise(bed.store, SIZE_MAX, &did), SVM_E_IO);
        ck_assert_ptr_nonnull(strstr(store_failure(bed.store), "the injected failure"));
        ck_assert_uint_eq(store_logged(bed.store), 5);
        ck_assert_uint_eq(store_durable(bed.store), 5);
        ck_assert_uint_eq(store_materialised(bed.store), 0);

        /* the disk works again, the store does not */
        store_kv_ram_fail_at(where == 0 ? bed.log_ram : bed.state_ram, 0);
        ck_assert_int_eq(store_group_commit(bed.store, 6, 6, 1), SVM_E_IO);
        ck_assert_int_eq(store_log_sync(bed.store), SVM_E_IO);
        ck_assert_int_eq(store_materialise(bed.store, SIZE_MAX, &did), SVM_E_IO);
        ck_assert_int_eq(store_trim(bed.store), SVM_E_IO);
        ck_assert_int_eq(store_sweep(bed.store, 1, 10), SVM_E_IO);
        ck_assert_int_eq(store_compact(bed.store), SVM_E_IO);
        bed_deinit(&bed);
    }
}
END_TEST

/* Receipts are filed by the first eight bytes of their digest: what shares them is not taken for it. */
START_TEST(a_digest_that_begins_alike_is_another)
{
    struct bed bed;
    unsigned seen = 0;
    bed_init_ram(&bed, bed_seed("a_digest_that_begins_alike_is_another"), STORE_SYNC);
    bed_open(&bed);
    for (unsigned i = 0; i < 4; i++) {
        bed_commit(&bed, 10);
        bed_materialise(&bed, SIZE_MAX);
    }
    for (uint64_t seq = 1; seq <= bed.world->seq; seq++) {
        struct svm_digest digest = bed.world->digests[seq];
        struct svm_receipt *receipt;
        if (store_receipt_get(bed.store, &digest, &receipt) != SVM_OK)
            continue; /* cells, or void */
        seen++;
        free(receipt);
        digest.b[8 + seq % 24] ^= 1;
        ck_assert_int_eq(store_receipt_get(bed.store, &digest, &receipt), SVM_E_NOT_FOUND);
    }
    ck_assert_uint_gt(seen, 5);
    bed_deinit(&bed);
}
END_TEST

static enum svm_err write_without_memory(void *self, const struct svm_kv_op *ops, size_t count,
                                         bool sync)
{
    (void)self;
    (void)ops;
    (void)count;
    (void)sync;
    return SVM_E_NO_MEMORY;
}

static const char *failure_of_old(void *self)
{
    (void)self;
    return "cannot read a segment of the log: Input/output error";
}

/* What a store died of is told, not what went wrong before and ended nothing: a read of the log, then an append without memory. */
START_TEST(the_cause_of_a_failure_is_told)
{
    struct bed bed;
    bed_init_ram(&bed, 8, STORE_SYNC);
    bed.log_ops.write = write_without_memory;
    bed.log_ops.failure = failure_of_old;
    bed_open(&bed);
    ck_assert_int_eq(bed_try_commit(&bed, 1), SVM_E_IO);
    ck_assert_ptr_nonnull(strstr(store_failure(bed.store), svm_err_text(SVM_E_NO_MEMORY)));
    bed_deinit(&bed);
}
END_TEST

static unsigned memory_asked;

static void memory_of_state(void *self, struct svm_kv_memory *memory_out)
{
    (void)self;
    memory_asked++;
    *memory_out = (struct svm_kv_memory){memory_asked, 20, 30};
}

/* The database takes its lock to tell its memory: whoever reads it does not wait for that. */
START_TEST(memory_is_read_without_the_database)
{
    struct bed bed;
    struct svm_kv_memory memory;
    bed_init_ram(&bed, 9, STORE_SYNC);
    bed.state_ops.memory = memory_of_state;
    memory_asked = 0;
    bed_open(&bed);
    for (unsigned i = 0; i < 2; i++) {
        store_memory(bed.store, &memory);
        ck_assert_uint_eq(memory_asked, 1); /* when it was opened */
        ck_assert_uint_eq(memory.block_cache, 1);
        ck_assert_uint_eq(memory.write_buffers, 20);
        ck_assert_uint_eq(memory.table_readers, 30);
    }
    store_memory_sample(bed.store);
    store_memory(bed.store, &memory);
    ck_assert_uint_eq(memory_asked, 2);
    ck_assert_uint_eq(memory.block_cache, 2);
    bed_deinit(&bed);
}
END_TEST

/* ---- the roles at once ------------------------------------------------------------------------------------- */

struct roles {
    struct bed bed;
    _Atomic bool done;
};

static void *role_materialiser(void *arg)
{
    struct roles *roles = arg;
    uint64_t did = 1;
    bool last = false; /* all was committed before the last look */
    for (unsigned i = 0; did > 0 || !last; i++) {
        last = atomic_load(&roles->done);
        if (store_materialise(roles->bed.store, 1500, &did) != SVM_OK)
            break;
        if (i % 8 == 7 && store_trim(roles->bed.store) != SVM_OK)
            break;
        if (i % 16 == 15 && store_sweep(roles->bed.store, WORLD_TIME_MS, 50) != SVM_OK)
            break;
    }
    return NULL;
}

static bool visit_all(void *arg, const struct model_frame *frame)
{
    bool ordered = *(uint64_t *)arg < frame->seq;
    *(uint64_t *)arg = frame->seq;
    return ordered;
}

static void *alloc_any(void *arg, size_t size)
{
    (void)arg;
    return malloc(size);
}

/* Versions that a reader sees never go back, and M covers what was read before it. */
static void *role_reader(void *arg)
{
    struct roles *roles = arg;
    struct store *store = roles->bed.store;
    uint64_t newest = 0, bad = 0;
    struct svm_id id = bed_genesis()->objects[0].id;
    while (!atomic_load(&roles->done)) {
        uint64_t seq, at = 0;
        struct model_object *object;
        if (store_object_get(store, &id, &seq, alloc_any, NULL, &object) != SVM_OK)
            return "not found";
        bad += object->version < newest;
        newest = object->version;
        free(object);
        struct svm_id ids[WORLD_OBJECTS];
        size_t count;
        bad += store_objects(store, NULL, ids, WORLD_OBJECTS, &count) != SVM_OK || count < 3;
        bad += store_log_visit(store, 1, visit_all, &at) != SVM_OK;
        uint64_t synced = store_synced(store);
        bad += synced > store_logged(store);
    }
    return bad == 0 ? NULL : "went back";
}

START_TEST(the_roles_work_at_once)
{
    static const enum store_mode modes[] = {STORE_WRITE, STORE_SYNC, STORE_INTERVAL};
    uint64_t seed = bed_seed("the_roles_work_at_once");
    for (unsigned mode = 0; mode < 3; mode++) {
        struct roles roles = {.done = false};
        pthread_t materialiser, reader;
        void *complaint;
        bed_init_ram(&roles.bed, seed, modes[mode]);
        bed_open(&roles.bed);
        ck_assert_int_eq(pthread_create(&materialiser, NULL, role_materialiser, &roles), 0);
        ck_assert_int_eq(pthread_create(&reader, NULL, role_reader, &roles), 0);
        for (unsigned i = 0; i < 800; i++) {
            bed_commit(&roles.bed, 1 + i % 4);
            if (i % 20 == 19)
                ck_assert_int_eq(store_log_sync(roles.bed.store), SVM_OK);
        }
        atomic_store(&roles.done, true);
        ck_assert_int_eq(pthread_join(reader, &complaint), 0);
        ck_assert_msg(complaint == NULL, "%s", (const char *)complaint);
        ck_assert_int_eq(pthread_join(materialiser, NULL), 0);
        ck_assert_ptr_null(store_failure(roles.bed.store));
        ck_assert_uint_eq(store_materialised(roles.bed.store), roles.bed.world->seq);
        ck_assert_uint_eq(store_dirty_bytes(roles.bed.store), 0);
        bed_check(&roles.bed, roles.bed.world->seq);
        bed_deinit(&roles.bed);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_state");
    for (int files = 0; files < 2; files++) {
        TCase *tcase = tcase_create(files ? "state, as files" : "state");
        tcase_set_timeout(tcase, 120);
        tcase_add_test(tcase, creation_holds_the_genesis);
        tcase_add_test(tcase, state_follows_the_log);
        tcase_add_test(tcase, a_batch_is_coalesced_but_history_is_not);
        tcase_add_test(tcase, each_mode_keeps_its_positions);
        tcase_add_test(tcase, memory_keeps_nothing);
        tcase_add_test(tcase, a_group_is_full_before_it_overflows);
        tcase_add_test(tcase, the_log_can_be_audited);
        tcase_add_test(tcase, an_error_is_final);
        tcase_add_test(tcase, a_digest_that_begins_alike_is_another);
        tcase_add_test(tcase, the_cause_of_a_failure_is_told);
        tcase_add_test(tcase, memory_is_read_without_the_database);
        tcase_add_test(tcase, the_roles_work_at_once);
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
