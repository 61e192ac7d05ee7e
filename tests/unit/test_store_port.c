/* Below the store lies the port of its databases (struct svm_kv_ops). Whatever call of it fails, and whatever it gives back that cannot be
 * right, the store says so with a typed error, tells nothing that is not so, and has what it promised when the port works again. Every
 * call of a life is tried; nothing is timed. */
#include "store_bed.h"

#include "base/bytes.h"

/* ---- a port that fails or lies --------------------------------------------------------------------------------- */

enum fault { FAULT_NONE, FAULT_FAIL, FAULT_SHORT, FAULT_LONG, FAULT_FIRST, FAULT_KEY, FAULT_COUNT };

static struct svm_kv_ops ram; /* both databases are of one kind */
static bool armed, mute;      /* mute: it does not say why */
static enum fault fault;
static uint64_t calls,
    at; /* calls of this life that could be at fault; the one that is, 0 = none */
static uint8_t lie[1 << 16];

static bool hit(bool reads)
{
    if (!armed || (fault == FAULT_FAIL) == reads)
        return false;
    return ++calls == at;
}

static enum svm_err port_write(void *self, const struct svm_kv_op *ops, size_t count, bool sync)
{
    return hit(false) ? SVM_E_IO : ram.write(self, ops, count, sync);
}

static enum svm_err port_sync(void *self)
{
    return hit(false) ? SVM_E_IO : ram.sync(self);
}

static enum svm_err port_flush(void *self)
{
    return hit(false) ? SVM_E_IO : ram.flush(self);
}

static enum svm_err port_ingest(void *self, const struct svm_kv_op *ops, size_t count, size_t tail)
{
    return hit(false) ? SVM_E_IO : ram.ingest(self, ops, count, tail);
}

static enum svm_err port_del_range(void *self, struct svm_bytes from, struct svm_bytes to)
{
    return hit(false) ? SVM_E_IO : ram.del_range(self, from, to);
}

static enum svm_err port_drop(void *self, struct svm_bytes from, struct svm_bytes to)
{
    (void)self, (void)from, (void)to; /* keys may stay */
    return hit(false) ? SVM_E_IO : SVM_OK;
}

static enum svm_err port_compact(void *self)
{
    return hit(false) ? SVM_E_IO : ram.compact(self);
}

/* What is told instead of BYTES. */
static struct svm_bytes told(struct svm_bytes bytes)
{
    ck_assert_uint_lt(bytes.len, sizeof lie);
    if (bytes.len > 0)
        memcpy(lie, bytes.ptr, bytes.len);
    lie[bytes.len] = 0x5a;
    switch (fault) {
    case FAULT_SHORT:
        return (struct svm_bytes){lie, bytes.len / 2};
    case FAULT_LONG:
        return (struct svm_bytes){lie, bytes.len + 1};
    case FAULT_FIRST:
        lie[0] ^= 0x40;
        return (struct svm_bytes){lie, bytes.len};
    case FAULT_KEY:
        return (struct svm_bytes){lie, bytes.len - 1};
    case FAULT_NONE:
    case FAULT_FAIL:
    case FAULT_COUNT:
        break;
    }
    return bytes;
}

static enum svm_err port_get(void *self, struct svm_bytes key, uint8_t **value_out, size_t *len_out)
{
    if (hit(false))
        return SVM_E_IO;
    enum svm_err err = ram.get(self, key, value_out, len_out);
    if (err != SVM_OK || fault == FAULT_KEY || !hit(true))
        return err;
    struct svm_bytes other = told((struct svm_bytes){*value_out, *len_out});
    free(*value_out);
    *value_out = malloc(other.len + 1);
    ck_assert_ptr_nonnull(*value_out);
    memcpy(*value_out, other.ptr, other.len);
    *len_out = other.len;
    return SVM_OK;
}

static struct svm_kv_iter *port_iter_open(void *self)
{
    return hit(false) ? NULL : ram.iter_open(self);
}

static bool port_iter_valid(struct svm_kv_iter *iter, struct svm_bytes *key_out,
                            struct svm_bytes *value_out)
{
    if (!ram.iter_valid(iter, key_out, value_out))
        return false;
    if (!hit(true))
        return true;
    if (fault == FAULT_KEY)
        *key_out = told(*key_out);
    else
        *value_out = told(*value_out);
    return true;
}

static enum svm_err port_iter_close(struct svm_kv_iter *iter)
{
    enum svm_err err = ram.iter_close(iter);
    return hit(false) ? SVM_E_IO : err;
}

static const char *port_failure(void *self)
{
    (void)self;
    return mute ? NULL : "the port fails";
}

static void port_make(struct svm_kv_ops *ops)
{
    ram = *ops;
    ops->write = port_write;
    ops->sync = port_sync;
    ops->flush = port_flush;
    if (ops->ingest != NULL)
        ops->ingest = port_ingest;
    ops->del_range = port_del_range;
    ops->drop = port_drop;
    ops->get = port_get;
    ops->iter_open = port_iter_open;
    ops->iter_valid = port_iter_valid;
    ops->iter_close = port_iter_close;
    ops->compact = port_compact;
    ops->failure = port_failure;
}

/* ---- a life ------------------------------------------------------------------------------------------------------ */

static void *memory_of(void *arg, size_t size)
{
    return *(void **)arg = malloc(size + 1);
}

static bool typed(enum svm_err err)
{
    return err == SVM_OK || err == SVM_E_IO || err == SVM_E_NO_MEMORY || err == SVM_E_CORRUPT ||
           err == SVM_E_NOT_FOUND;
}

static enum svm_err first_of(enum svm_err a, enum svm_err b)
{
    ck_assert_msg(typed(b), "%s", svm_err_name(b));
    return a == SVM_OK || a == SVM_E_NOT_FOUND ? b : a;
}

static bool every_frame(void *arg, const struct model_frame *frame)
{
    uint64_t *next = arg;
    ck_assert_uint_eq(frame->seq, *next);
    ++*next;
    return true;
}

/* Everything is asked for; what is told is so. Returns the first error. */
static enum svm_err read_all(struct bed *bed)
{
    enum svm_err all = SVM_OK;
    struct model_object *object;
    struct svm_receipt *receipt;
    struct svm_id ids[WORLD_OBJECTS];
    struct svm_address owner;
    uint64_t seq, version, next = store_materialised(bed->store) + 1;
    size_t len, count;
    bool deleted;
    for (unsigned i = 0; i < WORLD_OBJECTS; i++) {
        void *memory = NULL;
        enum svm_err err = store_object_get(bed->store, &bed->world->objects[i].id, &seq, memory_of,
                                            &memory, &object);
        ck_assert(err != SVM_OK || bed->world->objects[i].object != NULL);
        all = first_of(all, err);
        free(memory);
    }
    for (unsigned i = 0; i < WORLD_CELLS; i++) {
        const struct world_cell *cell = &bed->world->cells[i];
        void *memory = NULL;
        enum svm_err err = store_cell_get(bed->store, (struct svm_bytes){cell->key, cell->key_len},
                                          &seq, &version, &deleted, memory_of, &memory, &len);
        ck_assert(err != SVM_OK || cell->version > 0);
        all = first_of(all, err);
        free(memory);
    }
    for (seq = 1; seq <= bed->world->seq; seq++) {
        enum svm_err err = store_receipt_get(bed->store, &bed->world->digests[seq], &receipt);
        if (err == SVM_OK) {
            ck_assert_mem_eq(receipt->digest.b, bed->world->digests[seq].b, 32);
            free(receipt);
        }
        all = first_of(all, err);
    }
    for (unsigned i = 0; i < WORLD_OWNERS; i++) {
        world_owner(&owner, i);
        all = first_of(all, store_owned(bed->store, &owner, NULL, ids, WORLD_OBJECTS, &count));
    }
    all = first_of(all, store_objects(bed->store, NULL, ids, WORLD_OBJECTS, &count));
    return first_of(all, store_log_visit(bed->store, next, every_frame, &next));
}

enum { GROUPS = 30, PER_GROUP = 4 };

/* Commits, batches, merges of runs, trims, sweeps, reads. Ends with the first error. Returns it. */
static enum svm_err work(struct bed *bed)
{
    enum svm_err err = SVM_OK;
    uint64_t did;
    for (unsigned group = 0; err == SVM_OK && group < GROUPS; group++) {
        err = first_of(err, bed_try_commit(bed, PER_GROUP));
        if (err == SVM_OK && group % 2 == 1)
            err = first_of(err, store_materialise(bed->store, SIZE_MAX, &did));
        if (err == SVM_OK && group == 10)
            err = first_of(err, store_trim(bed->store));
        if (err == SVM_OK && group % 12 == 11)
            err = first_of(err, read_all(bed));
        if (err == SVM_E_NOT_FOUND)
            err = SVM_OK;
    }
    if (err != SVM_OK)
        return err;
    store_retention(bed->store, 1, 2, 1);
    for (unsigned i = 0; err == SVM_OK && i < 3; i++)
        err = store_sweep(bed->store, WORLD_TIME_MS + (UINT64_C(1) << 40), 1000);
    if (err == SVM_OK)
        err = first_of(err, store_compact(bed->store));
    return err;
}

static void start(struct bed *bed, uint64_t seed, enum store_mode mode)
{
    bed_init_ram(bed, seed, mode);
    port_make(&bed->log_ops);
    port_make(&bed->state_ops);
}

/* The port works again: what was promised is there, no more than was asked for, and it goes on. */
static void recover(struct bed *bed, uint64_t promised, uint64_t attempted)
{
    armed = false;
    bed_open(bed);
    const uint64_t end = bed->opened.next_seq - 1;
    ck_assert_msg(end >= promised && end <= attempted, "call %llu: %llu is not in %llu .. %llu",
                  (unsigned long long)at, (unsigned long long)end, (unsigned long long)promised,
                  (unsigned long long)attempted);
    bed_rewind(bed, end);
    bed_commit(bed, 3);
    bed_materialise(bed, SIZE_MAX);
}

static uint64_t life_that_fails(uint64_t seed, enum store_mode mode, uint64_t which)
{
    struct bed bed;
    start(&bed, seed, mode);
    fault = FAULT_FAIL;
    calls = 0;
    at = which;
    mute = which % 2 == 0;
    armed = true;
    enum svm_err err = bed_try_open(&bed);
    ck_assert(typed(err));
    ck_assert(err == SVM_OK || bed.reason[0] != '\0');
    if (err == SVM_OK)
        err = work(&bed);
    const uint64_t promised = bed.store == NULL ? 0 : store_durable(bed.store);
    const uint64_t attempted = bed.world->seq;
    if (bed.store != NULL)
        bed_close(&bed);
    err = bed_try_open(&bed);
    ck_assert(typed(err));
    if (err == SVM_OK)
        bed_close(&bed);
    ck_assert(which == 0 || calls >= which);
    const uint64_t total = calls;
    recover(&bed, mode == STORE_SYNC ? promised : 0, attempted);
    bed_deinit(&bed);
    return total;
}

START_TEST(whatever_call_of_the_port_fails_nothing_promised_is_lost)
{
    uint64_t seed = bed_seed("whatever_call_of_the_port_fails_nothing_promised_is_lost");
    static const enum store_mode modes[] = {STORE_SYNC, STORE_WRITE, STORE_INTERVAL};
    if (_i % 2 == 1)
        bed_files();
    const enum store_mode mode = modes[_i / 2];
    const uint64_t total = life_that_fails(seed, mode, 0);
    ck_assert_uint_gt(total, 200);
    const uint64_t brief = getenv("SVM_SHORT") != NULL ? 10 : 1, step = (_i < 2 ? 1 : 7) * brief;
    for (uint64_t which = 1; which <= total; which += step)
        (void)life_that_fails(seed, mode, which);
}
END_TEST

/* A compaction that fails, of the state or of the log, ends the store as any other write: nothing of what is there is lost. */
START_TEST(a_compaction_that_fails_is_final)
{
    uint64_t seed = bed_seed("a_compaction_that_fails_is_final");
    for (uint64_t which = 1; which <= 2; which++) {
        struct bed bed;
        armed = false;
        start(&bed, seed, STORE_SYNC);
        bed_open(&bed);
        bed_commit(&bed, PER_GROUP);
        bed_materialise(&bed, SIZE_MAX);
        bed_commit(&bed, PER_GROUP);
        fault = FAULT_FAIL;
        calls = 0;
        at = which;
        mute = false;
        armed = true;
        ck_assert_int_eq(store_compact(bed.store), SVM_E_IO);
        armed = false;
        ck_assert_uint_eq(calls, which);
        ck_assert_ptr_nonnull(
            strstr(store_failure(bed.store), "compaction failed: the port fails"));
        ck_assert_int_eq(bed_try_commit(&bed, 1), SVM_E_IO);
        bed_close(&bed);
        bed_open(&bed);
        ck_assert_uint_eq(bed.opened.next_seq, 2 * PER_GROUP + 1);
        bed_check(&bed, 2 * PER_GROUP);
        bed_deinit(&bed);
    }
}
END_TEST

/* ---- lies ---------------------------------------------------------------------------------------------------------- */

START_TEST(what_cannot_be_right_is_not_told)
{
    uint64_t seed = bed_seed("what_cannot_be_right_is_not_told"), found = 0;
    struct bed bed;
    armed = false;
    start(&bed, seed, STORE_SYNC);
    bed_open(&bed);
    for (unsigned i = 0; i < 25; i++) {
        bed_commit(&bed, PER_GROUP);
        bed_materialise(&bed, SIZE_MAX);
    }
    bed_commit(&bed, PER_GROUP);
    bed_commit(&bed, PER_GROUP);
    fault = (enum fault)_i;
    at = calls = 0;
    armed = true;
    (void)read_all(&bed);
    const uint64_t total = calls;
    ck_assert_uint_gt(total, 50);
    for (at = 1; at <= total; at++) {
        calls = 0;
        armed = true;
        const enum svm_err err = read_all(&bed);
        armed = false;
        found += err == SVM_E_CORRUPT;
        ck_assert_ptr_null(store_failure(bed.store)); /* who reads ends nothing */
    }
    ck_assert_uint_gt(found, total / 20);
    at = 0;
    bed_check(&bed, store_materialised(bed.store));
    bed_deinit(&bed);
}
END_TEST

/* Opening, materialising and sweeping with one lie: an error that says so, or no harm. */
static uint64_t life_with_a_lie(uint64_t seed, uint64_t which, uint64_t *corrupt)
{
    struct bed bed;
    armed = false;
    start(&bed, seed, STORE_SYNC);
    bed_open(&bed);
    for (unsigned i = 0; i < 20; i++) {
        bed_commit(&bed, PER_GROUP);
        if (i % 2 == 0)
            bed_materialise(&bed, SIZE_MAX);
    }
    bed_commit(&bed, PER_GROUP);
    bed_close(&bed);
    calls = 0;
    at = which;
    armed = true;
    enum svm_err err = bed_try_open(&bed);
    ck_assert(typed(err));
    ck_assert(err == SVM_OK || bed.reason[0] != '\0');
    if (err == SVM_OK) {
        bed_rewind(&bed, bed.opened.next_seq - 1);
        err = work(&bed);
        ck_assert(typed(err));
        ck_assert(err != SVM_E_IO || store_failure(bed.store) != NULL);
        bed_close(&bed);
    }
    *corrupt += err == SVM_E_CORRUPT;
    const uint64_t total = calls;
    armed = false;
    bed_deinit(&bed);
    return total;
}

START_TEST(a_store_that_is_lied_to_says_so)
{
    uint64_t seed = bed_seed("a_store_that_is_lied_to_says_so"), corrupt = 0;
    fault = (enum fault)_i;
    const uint64_t total = life_with_a_lie(seed, 0, &corrupt);
    ck_assert_uint_eq(corrupt, 0);
    ck_assert_uint_gt(total, 300);
    const bool brief = getenv("SVM_SHORT") != NULL;
    const uint64_t step = getenv("SVM_LONG") != NULL ? 1 : brief ? 50 : 5;
    for (uint64_t which = 1; which <= total; which += which < (brief ? 60 : 200) ? 1 : step)
        (void)life_with_a_lie(seed, which, &corrupt);
    ck_assert_uint_gt(corrupt, brief ? 2 : 20);
}
END_TEST

/* ---- what a failed sync has left --------------------------------------------------------------------------------- */

static uint64_t found_from;
static unsigned read_before;

static enum svm_err found_sync(void *self, uint64_t from)
{
    found_from = from;
    return ram.sync(self);
}

static struct svm_kv_iter *found_iter(void *self)
{
    read_before += found_from == 0;
    return ram.iter_open(self);
}

static enum svm_err found_fails(void *self, uint64_t from)
{
    (void)self, (void)from;
    return SVM_E_IO;
}

/* The log that is found is made durable from behind the state on, before a group of it is read; if that fails, there is no opening. */
START_TEST(what_is_found_is_made_durable_before_it_is_judged)
{
    struct bed bed;
    bed_init_ram(&bed, 3, STORE_SYNC);
    ram = bed.log_ops;
    bed_open(&bed);
    bed_commit(&bed, 5);
    bed_materialise(&bed, SIZE_MAX);
    bed_commit(&bed, 5);
    bed_close(&bed);
    bed.log_ops.sync_found = found_sync;
    bed.log_ops.iter_open = found_iter;
    found_from = read_before = 0;
    bed_open(&bed);
    ck_assert(found_from >= 1 && found_from <= bed.opened.next_seq - 5);
    ck_assert_uint_eq(read_before, 0);
    bed_close(&bed);
    bed.log_ops.sync_found = found_fails;
    ck_assert_int_eq(bed_try_open(&bed), SVM_E_IO);
    ck_assert_ptr_nonnull(strstr(bed.reason, "the log cannot be synced"));
    bed.log_ops.sync_found = NULL;
    bed_open(&bed);
    bed_deinit(&bed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_port");
    TCase *tcase = tcase_create("port");
    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase, whatever_call_of_the_port_fails_nothing_promised_is_lost, 0, 6);
    tcase_add_test(tcase, a_compaction_that_fails_is_final);
    tcase_add_test(tcase, what_is_found_is_made_durable_before_it_is_judged);
    tcase_add_loop_test(tcase, what_cannot_be_right_is_not_told, FAULT_SHORT, FAULT_COUNT);
    tcase_add_loop_test(tcase, a_store_that_is_lied_to_says_so, FAULT_SHORT, FAULT_COUNT);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
