/* Every call of the store to the system may fail: memory, files, syncs. Whichever of them does, the store says so with a typed error and
 * goes on, or ends for good; what it had promised is there when it is opened again; nothing is left allocated (BUILD=asan).
 *
 * The linker leads the calls of our own objects here (--wrap); those of RocksDB are its own business. SVM_LONG=1 fails every
 * call of a life, alone and with all behind it; otherwise a sample. */
#include "store_bed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "store/dir.h"

/* ---- the calls that fail ------------------------------------------------------------------------------------- */

static bool armed;       /* within a call of the store */
static uint64_t calls;   /* so far in this life */
static uint64_t failing; /* this one fails; 0 = none */
static uint64_t after;   /* and so many behind it */

/* Places from which calls are made, told apart by who called whom: the first call of each is noted. */
enum { PLACES_MAX = 4096, CALLERS = 5 };
static uint64_t places[PLACES_MAX], place_calls[PLACES_MAX];
static size_t place_count;
static bool noting;

/* note: by the frames that lie above this one (-fno-omit-frame-pointer); whoever keeps none ends the walk. */
static __attribute__((noinline)) void note(void)
{
    uint64_t hash = 0;
    void *const *frame = __builtin_frame_address(0);
    for (unsigned i = 0; i < CALLERS; i++) {
        void *const *above = frame[0];
        hash = (hash ^ (uint64_t)(uintptr_t)frame[1]) * UINT64_C(0x9e3779b97f4a7c15);
        if (above <= frame || above > frame + (64 << 10) / sizeof *frame)
            break;
        frame = above;
    }
    for (size_t i = 0; i < place_count; i++)
        if (places[i] == hash)
            return;
    SVM_ASSERT(place_count < PLACES_MAX); /* libcheck allocates */
    places[place_count] = hash;
    place_calls[place_count++] = calls;
}

static int disk_says = EIO; /* when a sync or a rename fails */

static bool fails(void)
{
    if (!armed)
        return false;
    calls++;
    if (noting)
        note();
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
WRAP(int, fsync, (int fd), (fd), -1, disk_says)
WRAP(int, fdatasync, (int fd), (fd), -1, EIO)
WRAP(int, ftruncate, (int fd, off_t len), (fd, len), -1, EIO)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), -1, EACCES)
WRAP(int, rename, (const char *from, const char *to), (from, to), -1, disk_says)
WRAP(int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
     (from_fd, from, to_fd, to), -1, EIO)
WRAP(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags), -1, EIO)
WRAP(ssize_t, write, (int fd, const void *bytes, size_t len), (fd, bytes, len), -1, ENOSPC)
WRAP(ssize_t, pwritev, (int fd, const struct iovec *iov, int count, off_t at), (fd, iov, count, at),
     -1, ENOSPC)
WRAP(ssize_t, pread, (int fd, void *bytes, size_t len, off_t at), (fd, bytes, len, at), -1, EIO)
WRAP(void *, aligned_alloc, (size_t align, size_t size), (align, size), NULL, ENOMEM)
WRAP(char *, strdup, (const char *text), (text), NULL, ENOMEM)
WRAP(int, stat, (const char *path, struct stat *info), (path, info), -1, EACCES)
WRAP(int, fstat, (int fd, struct stat *info), (fd, info), -1, EIO)
WRAP(int, flock, (int fd, int how), (fd, how), -1, ENOLCK)
WRAP(int, chmod, (const char *path, mode_t mode), (path, mode), -1, EPERM)
WRAP(DIR *, opendir, (const char *path), (path), NULL, EMFILE)
WRAP(FILE *, fopen, (const char *path, const char *how), (path, how), NULL, EMFILE)
WRAP(ssize_t, pwrite, (int fd, const void *bytes, size_t len, off_t at), (fd, bytes, len, at), -1,
     ENOSPC)

/* Those with parameters that vary; the second of each pair is what a fortified build calls. */
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (fails()) {
        errno = EMFILE;
        return -1;
    }
    return openat(AT_FDCWD, path, flags, mode);
}
int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (dir != AT_FDCWD && fails()) {
        errno = EMFILE;
        return -1;
    }
    return __real_openat(dir, path, flags, mode);
}
static int __attribute__((format(printf, 2, 0)))
print(char **text_out, const char *format, va_list args)
{
    return fails() ? -1 : vasprintf(text_out, format, args);
}
int __wrap_asprintf(char **text_out, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **text_out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int len = print(text_out, format, args);
    va_end(args);
    return len;
}
int __wrap___asprintf_chk(char **text_out, int flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int __wrap___asprintf_chk(char **text_out, int flag, const char *format, ...)
{
    va_list args;
    (void)flag;
    va_start(args, format);
    const int len = print(text_out, format, args);
    va_end(args);
    return len;
}

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

/* Of a copy. */
static bool copy_typed(enum svm_err err)
{
    return typed(err) || err == SVM_E_STORAGE_FULL;
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
    ck_assert_msg(copy_typed(err), "%s", svm_err_name(err));
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
    ck_assert_msg(typed(err) || err == SVM_E_STORAGE_FULL, "%s", svm_err_name(err));
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

/* ---- parts of it, each call from each place ------------------------------------------------------------------------ */

/* each_place: LIFE with a call that fails, once for the first call from every place: alone, and with BOTH with all behind it too. */
static void each_place(void (*life)(uint64_t seed), const char *name, size_t least, bool both)
{
    const uint64_t seed = bed_seed(name);
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    noting = true;
    failing = calls = 0;
    life(seed);
    noting = false;
    const size_t count = place_count;
    ck_assert_uint_ge(count, least);
    for (size_t i = 0; i < 2 * count; i += both ? 1 : 2) {
        failing = place_calls[i / 2];
        after = i % 2 == 0 ? 0 : UINT64_MAX / 2;
        calls = 0;
        life(seed);
        armed = false;
    }
    printf("%s: %zu places\n", name, count);
}

static bool frame_seen(void *arg, const struct model_frame *frame)
{
    (void)frame;
    ++*(uint64_t *)arg;
    return true;
}

static enum svm_err work(struct bed *bed)
{
    uint64_t did, seen = 0;
    enum svm_err err = SVM_OK;
    for (unsigned group = 0; err == SVM_OK && group < 3 * GROUPS; group++) {
        err = commit(bed);
        armed = true;
        if (err == SVM_OK && group % 2 == 1)
            err = store_materialise(bed->store, SIZE_MAX, &did);
        if (err == SVM_OK && group == 11)
            err = store_log_visit(bed->store, 1, frame_seen, &seen);
        if (err == SVM_OK && group == 12)
            err = store_trim(bed->store);
        armed = false;
    }
    for (unsigned i = 0; err == SVM_OK && i < 3; i++) {
        armed = true;
        store_retention(bed->store, 1, 2, 1);
        err = store_sweep(bed->store, WORLD_TIME_MS + (UINT64_C(1) << 40), 1000);
        armed = false;
    }
    ck_assert(typed(err));
    return err;
}

static void read_more(struct bed *bed)
{
    struct svm_address owner;
    struct svm_id ids[4];
    uint64_t seq, version;
    size_t len, count;
    bool deleted;
    for (unsigned i = 0; i < WORLD_CELLS; i++) {
        const struct world_cell *cell = &bed->world->cells[i];
        void *memory = NULL;
        armed = true;
        enum svm_err err = store_cell_get(bed->store, (struct svm_bytes){cell->key, cell->key_len},
                                          &seq, &version, &deleted, memory_of, &memory, &len);
        armed = false;
        ck_assert(typed(err));
        free(memory);
    }
    world_owner(&owner, 1);
    armed = true;
    enum svm_err err = store_owned(bed->store, &owner, NULL, ids, 4, &count);
    armed = false;
    ck_assert(typed(err));
}

/* Databases in memory assert theirs where they write: there nothing fails. */
static struct svm_kv_ops ram;

static enum svm_err ram_write(void *self, const struct svm_kv_op *ops, size_t count, bool sync)
{
    const bool was = armed;
    armed = false;
    enum svm_err err = ram.write(self, ops, count, sync);
    armed = was;
    return err;
}

static enum svm_err ram_ingest(void *self, const struct svm_kv_op *ops, size_t count, size_t tail)
{
    const bool was = armed;
    armed = false;
    enum svm_err err = ram.ingest(self, ops, count, tail);
    armed = was;
    return err;
}

static enum svm_err ram_del_range(void *self, struct svm_bytes from, struct svm_bytes to)
{
    const bool was = armed;
    armed = false;
    enum svm_err err = ram.del_range(self, from, to);
    armed = was;
    return err;
}

static enum svm_err ram_flush(void *self)
{
    const bool was = armed;
    armed = false;
    enum svm_err err = ram.flush(self);
    armed = was;
    return err;
}

static void ram_make(struct svm_kv_ops *ops)
{
    ram = *ops;
    ops->write = ram_write;
    ops->ingest = ram_ingest;
    ops->del_range = ram_del_range;
    ops->flush = ops->sync = ram_flush;
}

/* The store above databases in memory. */
static void store_life(uint64_t seed)
{
    struct bed bed;
    bed_init_ram(&bed, seed, STORE_SYNC);
    ram_make(&bed.log_ops);
    ram_make(&bed.state_ops);
    if (open_armed(&bed) && work(&bed) == SVM_OK)
        read_some(&bed), read_more(&bed);
    const uint64_t promised = bed.store == NULL ? 0 : store_synced(bed.store);
    const uint64_t attempted = bed.world->seq;
    if (bed.store != NULL) {
        bed_close(&bed);
        if (open_armed(&bed))
            bed_close(&bed);
    }
    const uint64_t failed_at = failing;
    failing = 0;
    bed_open(&bed);
    const uint64_t end = bed.opened.next_seq - 1;
    ck_assert(end >= promised && end <= attempted);
    bed_rewind(&bed, end);
    bed_commit(&bed, 2);
    bed_deinit(&bed);
    failing = failed_at;
}

START_TEST(a_store_without_memory_says_so_and_loses_nothing)
{
    each_place(store_life, "a_store_without_memory_says_so_and_loses_nothing", 40, true);
}
END_TEST

/* The files of the log: appended, cut, trimmed into spares, copied, read. What was written with success is read, or an error. */
static void segments_life(uint64_t seed)
{
    enum { VALUE_BYTES = 1 << 20, VALUES = 72, CUT = 68 };
    static uint8_t value[VALUE_BYTES];
    struct bed bed;
    struct svm_kv_ops kv = {0};
    char path[100], copy[100], reason[120] = "";
    uint8_t key[8], above[9];
    uint64_t written = 0, from = 1;
    bed_init_dir(&bed, seed, STORE_SYNC);
    snprintf(path, sizeof path, "%s/log", bed.dir);
    snprintf(copy, sizeof copy, "%s/copy", bed.dir);
    memset(above, 0xff, sizeof above);
    for (unsigned life = 0; life < 2; life++) {
        armed = true;
        enum svm_err err = store_kv_segments_open(&kv, path, reason);
        armed = false;
        ck_assert(typed(err));
        ck_assert(err == SVM_OK || reason[0] != '\0');
        if (err != SVM_OK)
            continue;
        while (life == 0 && err == SVM_OK && written < VALUES) {
            bytes_put_u64be(key, written + 1);
            bytes_put_u64be(value, written + 1);
            const struct svm_kv_op op = {.key = {key, 8}, .value = {value, VALUE_BYTES}};
            armed = true;
            err = kv.write(kv.self, &op, 1, written % 10 == 0);
            armed = false;
            written += err == SVM_OK;
            if (err == SVM_OK && written == 70) {
                bytes_put_u64be(key, 66);
                armed = true;
                err = kv.del_range(kv.self, (struct svm_bytes){key, 0}, (struct svm_bytes){key, 8});
                armed = false;
                from = 66;
            }
        }
        bytes_put_u64be(key, CUT);
        armed = true;
        enum svm_err copied = err;
        if (err == SVM_OK) /* a copy that fails is no failure of what is copied */
            copied = kv.checkpoint(kv.self, copy, reason);
        if (err == SVM_OK)
            err = kv.del_range(kv.self, (struct svm_bytes){key, 8}, (struct svm_bytes){above, 9});
        armed = false;
        ck_assert(copy_typed(copied));
        ck_assert(typed(err));
        ck_assert(err != SVM_E_IO || kv.failure(kv.self) != NULL);
        bed_remove(copy);
        for (uint64_t want = from; want < CUT && want <= written; want += 7) {
            uint8_t *have;
            size_t len;
            bytes_put_u64be(key, want);
            armed = true;
            err = kv.get(kv.self, (struct svm_bytes){key, 8}, &have, &len);
            armed = false;
            ck_assert_msg(typed(err) && err != SVM_E_NOT_FOUND && err != SVM_E_CORRUPT, "%s",
                          svm_err_name(err));
            if (err != SVM_OK)
                continue;
            ck_assert_uint_eq(len, VALUE_BYTES);
            ck_assert_uint_eq(bytes_get_u64be(have), want);
            free(have);
        }
        armed = true;
        kv.close(kv.self);
        armed = false;
    }
    bed_deinit(&bed);
}

START_TEST(files_of_the_log_that_fail_say_so)
{
    each_place(segments_life, "files_of_the_log_that_fail_say_so", 30, false);
}
END_TEST

static enum svm_err put_one(const struct svm_kv_ops *kv, uint64_t number, uint8_t byte)
{
    uint8_t key[8], value[100];
    bytes_put_u64be(key, number);
    memset(value, byte, sizeof value);
    const struct svm_kv_op op = {.key = {key, 8}, .value = {value, sizeof value}};
    return kv->write(kv->self, &op, 1, true);
}

static enum svm_err get_one(const struct svm_kv_ops *kv, uint64_t number, uint8_t byte)
{
    uint8_t key[8], *value;
    size_t len;
    bytes_put_u64be(key, number);
    const enum svm_err err = kv->get(kv->self, (struct svm_bytes){key, 8}, &value, &len);
    if (err != SVM_OK)
        return err;
    ck_assert_uint_eq(len, 100);
    ck_assert_uint_eq(value[0], byte);
    ck_assert_uint_eq(value[99], byte);
    free(value);
    return SVM_OK;
}

/* A power cut has torn the last record: what is appended takes its place, or fails and ends the log; what was whole stays. */
static void torn_life(uint64_t seed)
{
    enum { BEFORE = 7, TORN = 8, AFTER = 9, TORN_BYTES = 10 };
    struct bed bed;
    struct svm_kv_ops kv = {0};
    struct stat info;
    char path[100], file[140], reason[120] = "";
    bed_init_dir(&bed, seed, STORE_SYNC);
    snprintf(path, sizeof path, "%s/log", bed.dir);
    ck_assert_int_eq(store_kv_segments_open(&kv, path, reason), SVM_OK);
    for (uint64_t number = 1; number <= 3; number++)
        ck_assert_int_eq(put_one(&kv, number, number < 3 ? BEFORE : TORN), SVM_OK);
    kv.close(kv.self);
    snprintf(file, sizeof file, "%s/%016d.log", path, 1);
    ck_assert_msg(stat(file, &info) == 0, "%s", file);
    ck_assert_int_eq(truncate(file, info.st_size - TORN_BYTES), 0);

    armed = true;
    enum svm_err err = store_kv_segments_open(&kv, path, reason);
    const bool opened = err == SVM_OK;
    if (opened)
        err = put_one(&kv, 3, AFTER);
    armed = false;
    ck_assert(typed(err));
    ck_assert(err == SVM_OK || failing != 0);
    if (opened && err == SVM_E_IO) {
        ck_assert_ptr_nonnull(kv.failure(kv.self));
        ck_assert_int_eq(put_one(&kv, 3, AFTER), SVM_E_IO); /* it is over, whatever the disk does */
        ck_assert_int_eq(kv.sync(kv.self), SVM_E_IO);
        uint8_t above[9];
        memset(above, 0xff, sizeof above);
        ck_assert_int_eq(
            kv.del_range(kv.self, (struct svm_bytes){above, 8}, (struct svm_bytes){above, 9}),
            SVM_E_IO);
    }
    if (opened)
        kv.close(kv.self);
    ck_assert_int_eq(store_kv_segments_open(&kv, path, reason), SVM_OK);
    for (uint64_t number = 1; number < 3; number++)
        ck_assert_int_eq(get_one(&kv, number, BEFORE), SVM_OK);
    const enum svm_err third = get_one(&kv, 3, AFTER);
    ck_assert(third == SVM_OK || (err != SVM_OK && third == SVM_E_NOT_FOUND));
    ck_assert_int_eq(put_one(&kv, 4, AFTER), SVM_OK);
    ck_assert_int_eq(get_one(&kv, 4, AFTER), SVM_OK);
    kv.close(kv.self);
    bed_deinit(&bed);
}

START_TEST(a_torn_end_that_cannot_be_cut_ends_the_log)
{
    each_place(torn_life, "a_torn_end_that_cannot_be_cut_ends_the_log", 8, true);
}
END_TEST

/* The directory: it is made whole or says why not; a second try always makes it. */
static void directory_life(uint64_t seed)
{
    static const struct svm_digest genesis = {{1}};
    struct bed bed;
    struct store_dir dir, other;
    char path[100], reason[120] = "";
    bool is_new;
    bed_init_dir(&bed, seed, STORE_SYNC);
    snprintf(path, sizeof path, "%s/data", bed.dir);
    const uint64_t failed_at = failing;
    for (unsigned life = 0; life < 3; life++) {
        if (life == 2)
            failing = 0;
        reason[0] = '\0';
        is_new = false;
        enum svm_err locked = SVM_E_LOCKED;
        uint64_t synced = 7 + life;
        armed = true;
        enum svm_err err = store_dir_open(&dir, path, &genesis, &is_new, reason);
        if (err == SVM_OK) {
            bool other_new = false;
            locked = store_dir_open(&other, path, &genesis, &other_new, reason);
            store_dir_close(&other);
        }
        if (err == SVM_OK && store_dir_free_bytes(&dir) > 0 && is_new)
            err = store_dir_finish(path, "{}", &genesis, reason);
        if (err == SVM_OK) {
            store_dir_synced_put(&dir, 7 + life);
            synced = store_dir_synced_get(&dir);
        }
        armed = false;
        ck_assert_int_ne(locked, SVM_OK);
        ck_assert(synced == 7 + life || failing != 0);
        store_dir_close(&dir);
        ck_assert_msg(err == SVM_OK || (failing != 0 && reason[0] != '\0'), "call %llu: %s: %s",
                      (unsigned long long)failing, svm_err_name(err), reason);
    }
    failing = failed_at;
    bed_deinit(&bed);
}

START_TEST(a_directory_that_fails_is_made_by_the_next_try)
{
    each_place(directory_life, "a_directory_that_fails_is_made_by_the_next_try", 20, true);
}
END_TEST

/* A checkpoint: it is whole or not there, with a reason; the store it is made of goes on, and the next try makes it. */
static void checkpoint_life(uint64_t seed)
{
    struct bed bed, copy;
    char path[100], slashed[104], partial[112], reason[120] = "";
    uint64_t seq = 0;
    struct stat info;
    bed_init_dir(&bed, seed, STORE_SYNC);
    bed_open(&bed);
    bed_commit(&bed, 5);
    bed_materialise(&bed, SIZE_MAX);
    bed_commit(&bed, 5);
    snprintf(path, sizeof path, "%s-copy", bed.dir);
    snprintf(slashed, sizeof slashed, "%s//", path);
    snprintf(partial, sizeof partial, "%s.partial", path);
    armed = true;
    disk_says = ENOSPC;
    enum svm_err err = store_checkpoint(bed.store, slashed, &seq, reason);
    disk_says = EIO;
    armed = false;
    const uint64_t failed_at = failing;
    failing = 0;
    ck_assert_msg(copy_typed(err), "%s", svm_err_name(err));
    ck_assert_msg((err == SVM_E_STORAGE_FULL) == (strstr(reason, strerror(ENOSPC)) != NULL),
                  "%s: %s", svm_err_name(err), reason);
    ck_assert_msg(err == SVM_OK || (failed_at != 0 && reason[0] != '\0'), "call %llu: %s",
                  (unsigned long long)failed_at, svm_err_name(err));
    ck_assert_msg(stat(partial, &info) != 0, "call %llu: %s, and a part of it is left",
                  (unsigned long long)failed_at, svm_err_name(err));
    ck_assert_ptr_null(
        store_failure(bed.store)); /* a copy that fails is no failure of what is copied */
    if (stat(path, &info) != 0) {
        ck_assert_int_ne(err, SVM_OK);
        err = store_checkpoint(bed.store, path, &seq, reason);
        ck_assert_msg(err == SVM_OK, "%s", reason);
    }
    bed_commit(&bed, 2);
    ck_assert_uint_eq(seq, 10);
    bed_init_dir(&copy, seed, STORE_SYNC);
    bed_remove(copy.dir);
    memcpy(copy.dir, path, sizeof copy.dir);
    bed_open(&copy);
    ck_assert(!copy.opened.created);
    ck_assert_uint_eq(copy.opened.next_seq, 11);
    bed_check(&copy, 10);
    bed_deinit(&copy);
    bed_check(&bed, 5); /* no more is materialised */
    bed_deinit(&bed);
    failing = failed_at;
}

START_TEST(a_checkpoint_that_fails_is_made_by_the_next_try)
{
    each_place(checkpoint_life, "a_checkpoint_that_fails_is_made_by_the_next_try", 15, true);
}
END_TEST

/* A store that has failed is not copied: what it could not write is not in it. */
START_TEST(a_store_that_has_failed_makes_no_checkpoint)
{
    struct bed bed;
    char path[100], reason[120];
    uint64_t seq;
    struct stat info;
    bed_init_dir(&bed, 6, STORE_SYNC);
    bed_open(&bed);
    bed_commit(&bed, 5);
    failing = 1;
    after = calls = 0;
    ck_assert_int_eq(commit(&bed), SVM_E_IO);
    failing = 0;
    snprintf(path, sizeof path, "%s-copy", bed.dir);
    ck_assert_int_eq(store_checkpoint(bed.store, path, &seq, reason), SVM_E_IO);
    ck_assert_str_eq(reason, store_failure(bed.store));
    ck_assert_int_ne(stat(path, &info), 0);
    bed_close(&bed);
    bed_open(&bed);
    ck_assert_uint_eq(bed.opened.next_seq, 6);
    bed_deinit(&bed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_failing");
    TCase *tcase = tcase_create("calls");
    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, whatever_call_fails_nothing_promised_is_lost);
    tcase_add_test(tcase, a_store_without_memory_says_so_and_loses_nothing);
    tcase_add_test(tcase, files_of_the_log_that_fail_say_so);
    tcase_add_test(tcase, a_torn_end_that_cannot_be_cut_ends_the_log);
    tcase_add_test(tcase, a_directory_that_fails_is_made_by_the_next_try);
    tcase_add_test(tcase, a_checkpoint_that_fails_is_made_by_the_next_try);
    tcase_add_test(tcase, a_store_that_has_failed_makes_no_checkpoint);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
