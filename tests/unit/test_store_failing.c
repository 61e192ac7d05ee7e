/* Every call of the store to the system may fail: memory, files, syncs. Whichever of them does, the store says so with a typed error and
 * goes on, or ends for good; what it had promised is there when it is opened again; nothing is left allocated (BUILD=asan).
 *
 * The linker leads the calls of our own objects here (--wrap); those of RocksDB are its own business. SVM_LONG=1 fails every
 * call of a life, alone and with all behind it; otherwise a sample. */
#include "store_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- the calls that fail ------------------------------------------------------------------------------------- */

static bool armed;       /* within a call of the store */
static uint64_t calls;   /* so far in this life */
static uint64_t failing; /* this one fails; 0 = none */
static uint64_t after;   /* and so many behind it */

static bool fails(void)
{
    if (!armed)
        return false;
    calls++;
    return failing != 0 && calls >= failing && calls <= failing + after;
}

/* WRAP: NAME with these parameters; when it fails it returns BAD with errno WHY. */
#define WRAP(type, name, parameters, arguments, bad, why)                                          \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        if (fails()) {                                                                             \
            errno = (why);                                                                         \
            return bad;                                                                            \
        }                                                                                          \
        return __real_##name arguments;                                                            \
    }
WRAP(void *, malloc, (size_t size), (size), NULL, ENOMEM)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), NULL, ENOMEM)
WRAP(void *, realloc, (void *old, size_t size), (old, size), NULL, ENOMEM)
WRAP(int, fsync, (int fd), (fd), -1, EIO)
WRAP(int, fdatasync, (int fd), (fd), -1, EIO)
WRAP(int, ftruncate, (int fd, off_t len), (fd, len), -1, EIO)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), -1, EACCES)
WRAP(int, rename, (const char *from, const char *to), (from, to), -1, EIO)
WRAP(int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
     (from_fd, from, to_fd, to), -1, EIO)
WRAP(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags), -1, EIO)
WRAP(ssize_t, write, (int fd, const void *bytes, size_t len), (fd, bytes, len), -1, ENOSPC)
WRAP(ssize_t, pwritev, (int fd, const struct iovec *iov, int count, off_t at), (fd, iov, count, at),
     -1, ENOSPC)
WRAP(ssize_t, pread, (int fd, void *bytes, size_t len, off_t at), (fd, bytes, len, at), -1, EIO)

/* ---- a life -------------------------------------------------------------------------------------------------- */

enum { GROUPS = 8 };

static enum svm_err commit(struct bed *bed)
{
    uint64_t first = bed->world->seq + 1;
    for (unsigned i = 0; i < 3; i++) {
        size_t len;
        uint8_t *frame = world_step(bed->world, &len);
        uint8_t *room = store_group_reserve(bed->store, len);
        ck_assert_ptr_nonnull(room); /* it is made at the start */
        memcpy(room, frame, len);
        free(frame);
    }
    armed = true;
    enum svm_err err = store_group_commit(bed->store, first, bed->world->seq, bed->world->node_ms);
    armed = false;
    return err;
}

/* typed: ERR is one of those that the contract of these calls names. */
static bool typed(enum svm_err err)
{
    return err == SVM_OK || err == SVM_E_IO || err == SVM_E_NO_MEMORY || err == SVM_E_CORRUPT ||
           err == SVM_E_NOT_FOUND || err == SVM_E_INVALID_PARAMS;
}

static void *memory_of(void *arg, size_t size)
{
    return *(void **)arg = malloc(size);
}

static void read_some(struct bed *bed)
{
    struct model_object *object;
    struct svm_receipt *receipt;
    struct svm_id ids[4];
    void *memory = NULL;
    uint64_t seq;
    size_t count;
    armed = true;
    enum svm_err err =
        store_object_get(bed->store, &bed->world->objects[0].id, &seq, memory_of, &memory, &object);
    armed = false;
    ck_assert(typed(err));
    free(memory);
    for (seq = 1; seq <= bed->world->seq; seq++) {
        armed = true;
        err = store_receipt_get(bed->store, &bed->world->digests[seq], &receipt);
        armed = false;
        ck_assert(typed(err));
        if (err == SVM_OK)
            free(receipt);
    }
    armed = true;
    err = store_objects(bed->store, NULL, ids, 4, &count);
    armed = false;
    ck_assert(typed(err));
}

static bool keep_house(struct bed *bed, unsigned group)
{
    char reason[120] = "", path[100];
    uint64_t did, seq;
    enum svm_err err = SVM_OK;
    armed = true;
    if (group % 3 == 1)
        err = store_materialise(bed->store, 1 << 20, &did);
    if (err == SVM_OK && group == 5)
        err = store_trim(bed->store);
    if (err == SVM_OK && group == 6)
        err = store_sweep(bed->store, WORLD_TIME_MS + (UINT64_C(1) << 40), 1000);
    armed = false;
    ck_assert(typed(err));
    if (err != SVM_OK || group != 6)
        return err == SVM_OK;
    snprintf(path, sizeof path, "%s.copy", bed->dir);
    armed = true;
    err = store_checkpoint(bed->store, path, &seq, reason);
    armed = false;
    ck_assert_msg(typed(err), "%s", svm_err_name(err));
    ck_assert(err == SVM_OK || reason[0] != '\0');
    bed_remove(path);
    return true;
}

static bool open_armed(struct bed *bed)
{
    const struct model_genesis *genesis = bed_genesis();
    armed = true;
    enum svm_err err = store_open(&bed->store, &bed->config, genesis, &bed->opened, bed->reason);
    armed = false;
    ck_assert_msg(typed(err), "%s", svm_err_name(err));
    ck_assert_msg(err == SVM_OK || bed->reason[0] != '\0', "call %llu: %s without a reason",
                  (unsigned long long)failing, svm_err_name(err));
    return err == SVM_OK;
}

static void live(struct bed *bed)
{
    if (!open_armed(bed))
        return;
    for (unsigned group = 0; group < GROUPS; group++) {
        if (commit(bed) != SVM_OK || !keep_house(bed, group))
            break;
        if (group % 3 == 2)
            read_some(bed);
    }
}

/* live_and_return: with the FAILING-th call, and so many AFTER it. Returns the calls of the life. */
static uint64_t live_and_return(uint64_t seed, uint64_t which, uint64_t more)
{
    struct bed bed;
    bed_init_dir(&bed, seed, STORE_SYNC);
    bed.config.receipts_seconds = 1;
    calls = 0;
    failing = which;
    after = more;
    live(&bed);
    const uint64_t promised = bed.store == NULL ? 0 : store_synced(bed.store);
    const uint64_t attempted = bed.world->seq;
    if (bed.store != NULL) {
        armed = true;
        store_close(bed.store);
        armed = false;
        bed.store = NULL;
        if (open_armed(&bed)) /* some fail here */
            bed_close(&bed);
    }
    failing = 0;
    bed_open(&bed);
    const uint64_t end = bed.opened.next_seq - 1;
    ck_assert_msg(end >= promised && end <= attempted, "call %llu: %llu is not in %llu .. %llu",
                  (unsigned long long)which, (unsigned long long)end, (unsigned long long)promised,
                  (unsigned long long)attempted);
    bed_rewind(&bed, end);
    bed_commit(&bed, 2);
    bed_deinit(&bed);
    return calls;
}

START_TEST(whatever_call_fails_nothing_promised_is_lost)
{
    uint64_t seed = bed_seed("whatever_call_fails_nothing_promised_is_lost");
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    const uint64_t total = live_and_return(seed, 0, 0);
    const uint64_t rounds = getenv("SVM_LONG") != NULL    ? 2 * total
                            : getenv("SVM_SHORT") != NULL ? 30
                                                          : 120;
    printf("%llu calls\n", (unsigned long long)total);
    ck_assert_uint_gt(total, 100);
    struct rng rng;
    rng_init(&rng, seed);
    for (uint64_t i = 0; i < rounds; i++) {
        const uint64_t which = rounds == 2 * total ? i / 2 : rng_below(&rng, total);
        (void)live_and_return(seed, 1 + which, i % 2 == 0 ? 0 : UINT64_MAX / 2);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_failing");
    TCase *tcase = tcase_create("calls");
    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, whatever_call_fails_nothing_promised_is_lost);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
