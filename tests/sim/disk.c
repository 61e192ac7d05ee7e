#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "weave/weave.h"

enum {
    INODES = 512,
    NAMES = 64,
    NAME_BYTES = 24,
    PASTS = 64,
    BLOCK = 512,
    DIR_FD = 10000,
    FIRST_FD = DIR_FD + 1
};
#define DIR_PATH "simulated"

struct bytes {
    uint8_t *at;
    size_t len, cap;
};
struct inode {
    struct bytes seen, held; /* by readers; by the platter */
    /* for each block: 1 = the platter has refused it, and takes nothing there, written anew or not, before readers have let it go */
    struct bytes clean;
};
/* name -> inode */
struct names {
    struct {
        char name[NAME_BYTES];
        int inode; /* -1 = no entry */
    } entries[NAMES];
};

static struct disk {
    struct inode inodes[INODES];
    int inode_count;
    struct names now;
    struct names pasts[PASTS]; /* since the directory was synced: what a power cut may bring back */
    int past_count;
    struct disk_faults faults;
    uint64_t changes;
    struct store_kv_ram *state;
    struct svm_kv_ops state_ram;
    struct disk_counts counts;
    bool failed;
    int listed;
} * disk;

/* ---- bytes ---------------------------------------------------------------------------------------------------------- */

static void bytes_resize(struct bytes *bytes, size_t len)
{
    if (len > bytes->cap) {
        bytes->cap = (len | 4095) + 1;
        bytes->at = realloc(bytes->at, bytes->cap);
    }
    if (len > bytes->len)
        memset(bytes->at + bytes->len, 0, len - bytes->len);
    bytes->len = len;
}

static void bytes_copy(struct bytes *to, const struct bytes *from)
{
    bytes_resize(to, from->len);
    if (from->len > 0)
        memcpy(to->at, from->at, from->len);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------------ */

static bool is_known(const struct inode *inode, size_t at)
{
    return at / BLOCK < inode->clean.len;
}

static bool is_clean(const struct inode *inode, size_t at)
{
    return is_known(inode, at) && inode->clean.at[at / BLOCK] != 0;
}

static void clean_set(struct inode *inode, size_t at, bool clean)
{
    if (at / BLOCK >= inode->clean.len)
        bytes_resize(&inode->clean, at / BLOCK + 1);
    inode->clean.at[at / BLOCK] = clean;
}

/* block_hold: the platter takes the block at AT. */
static void block_hold(struct inode *inode, size_t at)
{
    size_t len = inode->seen.len - at < BLOCK ? inode->seen.len - at : BLOCK;
    if (inode->held.len < at + len)
        bytes_resize(&inode->held, at + len);
    memcpy(inode->held.at + at, inode->seen.at + at, len);
}

static void hold_all(struct inode *inode)
{
    bytes_resize(&inode->held, inode->seen.len);
    for (size_t at = 0; at < inode->seen.len; at += BLOCK)
        if (!is_clean(inode, at))
            block_hold(inode, at);
}

/* forget_clean: readers see what the platter has, where nothing is to be written. */
static void forget_clean(struct inode *inode, size_t from, size_t to)
{
    for (size_t at = from; at < to && at < inode->seen.len; at += BLOCK) {
        if (!is_clean(inode, at))
            continue;
        size_t len = inode->seen.len - at < BLOCK ? inode->seen.len - at : BLOCK;
        size_t held = inode->held.len <= at        ? 0
                      : inode->held.len - at < len ? inode->held.len - at
                                                   : len;
        memset(inode->seen.at + at, 0, len);
        if (held > 0)
            memcpy(inode->seen.at + at, inode->held.at + at, held);
        clean_set(inode, at, false);
    }
}

/* refuse: a write-back that fails: some blocks have come through, the others count as written from now on. */
static void refuse(struct inode *inode)
{
    for (size_t at = 0; at < inode->seen.len; at += BLOCK) {
        size_t len = inode->seen.len - at < BLOCK ? inode->seen.len - at : BLOCK;
        if (at + len <= inode->held.len &&
            memcmp(inode->held.at + at, inode->seen.at + at, len) == 0)
            continue;
        if (weave_random(2) == 1) {
            if (!is_clean(inode, at))
                block_hold(inode, at);
        } else if (!is_clean(inode, at)) {
            clean_set(inode, at, true);
            disk->counts.blocks_refused++;
        }
    }
}

/* ---- calls ------------------------------------------------------------------------------------------------------------ */

static bool is_ours(int fd)
{
    return fd >= DIR_FD;
}

static struct inode *inode_of(int fd)
{
    SVM_ASSERT(fd >= FIRST_FD && fd - FIRST_FD < disk->inode_count);
    return &disk->inodes[fd - FIRST_FD];
}

/* begin: the world's memory, nobody else in between. end: another one's turn, perhaps. */
static enum weave_heap begin(void)
{
    weave_mask();
    return weave_heap_enter(WEAVE_WORLD);
}

static void end(enum weave_heap heap, const char *what)
{
    weave_heap_enter(heap);
    weave_unmask();
    int saved = errno;
    weave_point(what);
    errno = saved;
}

/* changing: false = this call fails. */
static bool changing(void)
{
    disk->changes++;
    disk->counts.changes++;
    if (disk->faults.fail_at == 0 || disk->changes < disk->faults.fail_at)
        return true;
    if (!disk->failed)
        weave_note("the disk fails: %s", strerror(disk->faults.fail_errno));
    disk->failed = true;
    errno = disk->faults.fail_errno;
    return false;
}

static int find(const struct names *names, const char *name)
{
    for (int i = 0; i < NAMES; i++)
        if (names->entries[i].inode >= 0 && strcmp(names->entries[i].name, name) == 0)
            return i;
    return -1;
}

static int vacancy(const struct names *names)
{
    for (int i = 0; i < NAMES; i++)
        if (names->entries[i].inode < 0)
            return i;
    SVM_ASSERT(false);
    return -1;
}

static void names_change(void)
{
    if (disk->past_count == PASTS) {
        memmove(disk->pasts, disk->pasts + 1, (PASTS - 1) * sizeof disk->pasts[0]);
        disk->past_count--;
    }
    disk->pasts[disk->past_count++] = disk->now;
}

#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

WRAP(int, mkdir, const char *path, mode_t mode)
{
    if (strcmp(path, DIR_PATH) != 0)
        return __real_mkdir(path, mode);
    errno = EEXIST;
    return -1;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    if (strcmp(path, DIR_PATH) == 0)
        return DIR_FD;
    va_list ap;
    va_start(ap, flags);
    int mode = va_arg(ap, int);
    va_end(ap);
    return __real_open(path, flags, mode);
}

static int file_open(const char *name, bool may_create)
{
    int at = find(&disk->now, name);
    if (at < 0 && !may_create) {
        errno = ENOENT;
        return -1;
    }
    if (at < 0) {
        if (!changing())
            return -1;
        SVM_ASSERT(disk->inode_count < INODES);
        names_change();
        at = vacancy(&disk->now);
        snprintf(disk->now.entries[at].name, NAME_BYTES, "%s", name);
        disk->now.entries[at].inode = disk->inode_count;
        disk->inodes[disk->inode_count++] = (struct inode){0};
    }
    return FIRST_FD + disk->now.entries[at].inode;
}

int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
    SVM_ASSERT(dir == DIR_FD);
    enum weave_heap heap = begin();
    int fd = file_open(path, (flags & O_CREAT) != 0);
    end(heap, "disk.open");
    return fd;
}

WRAP(int, close, int fd)
{
    return is_ours(fd) ? 0 : __real_close(fd);
}

WRAP(int, fstat, int fd, struct stat *info)
{
    if (!is_ours(fd))
        return __real_fstat(fd, info);
    memset(info, 0, sizeof *info);
    info->st_size = (off_t)inode_of(fd)->seen.len;
    return 0;
}

WRAP(ssize_t, pread, int fd, void *out, size_t len, off_t at)
{
    if (!is_ours(fd))
        return __real_pread(fd, out, len, at);
    const struct bytes *seen = &inode_of(fd)->seen;
    if ((size_t)at >= seen->len)
        return 0;
    size_t count = seen->len - (size_t)at < len ? seen->len - (size_t)at : len;
    memcpy(out, seen->at + at, count);
    return (ssize_t)count;
}

static ssize_t file_write(int fd, const struct iovec *iov, int count, size_t at)
{
    if (!changing())
        return -1;
    struct bytes *seen = &inode_of(fd)->seen;
    size_t total = 0, done = 0;
    for (int i = 0; i < count; i++)
        total += iov[i].iov_len;
    size_t wanted = total;
    if (disk->faults.short_one_in > 0 && weave_random(disk->faults.short_one_in) == 0)
        wanted = 1 + weave_random(total);
    if (at + wanted > seen->len)
        bytes_resize(seen, at + wanted);
    for (int i = 0; i < count && done < wanted; i++) {
        size_t part = iov[i].iov_len < wanted - done ? iov[i].iov_len : wanted - done;
        memcpy(seen->at + at + done, iov[i].iov_base, part);
        done += part;
    }
    return (ssize_t)done;
}

WRAP(ssize_t, pwritev, int fd, const struct iovec *iov, int count, off_t at)
{
    SVM_ASSERT(is_ours(fd));
    enum weave_heap heap = begin();
    ssize_t did = file_write(fd, iov, count, (size_t)at);
    end(heap, "disk.write");
    return did;
}

WRAP(int, ftruncate, int fd, off_t len)
{
    if (!is_ours(fd))
        return __real_ftruncate(fd, len);
    enum weave_heap heap = begin();
    bool good = changing();
    if (good) {
        struct inode *inode = inode_of(fd);
        bytes_resize(&inode->seen, (size_t)len);
        for (size_t at = ((size_t)len + BLOCK - 1) / BLOCK * BLOCK; is_known(inode, at);
             at += BLOCK)
            clean_set(inode, at, false); /* those blocks are gone */
    }
    end(heap, "disk.truncate");
    return good ? 0 : -1;
}

static int file_sync(int fd)
{
    if (!is_ours(fd))
        return 0;
    weave_point("disk.sync begins");
    enum weave_heap heap = begin();
    bool good = changing();
    disk->counts.syncs++;
    if (good && fd == DIR_FD)
        disk->past_count = 0;
    else if (good)
        hold_all(inode_of(fd));
    else if (fd != DIR_FD)
        refuse(inode_of(fd));
    end(heap, "disk.sync");
    return good ? 0 : -1;
}

WRAP(int, fdatasync, int fd)
{
    return file_sync(fd);
}

WRAP(int, fsync, int fd)
{
    return file_sync(fd);
}

WRAP(int, posix_fadvise, int fd, off_t from, off_t len, int advice)
{
    if (!is_ours(fd))
        return __real_posix_fadvise(fd, from, len, advice);
    SVM_ASSERT(from % BLOCK == 0 && advice == POSIX_FADV_DONTNEED);
    enum weave_heap heap = begin();
    forget_clean(inode_of(fd), (size_t)from, (size_t)(from + len));
    end(heap, "disk.advise");
    return 0;
}

WRAP(int, renameat, int from_dir, const char *from, int to_dir, const char *to)
{
    SVM_ASSERT(from_dir == DIR_FD && to_dir == DIR_FD);
    enum weave_heap heap = begin();
    int at = find(&disk->now, from), over = find(&disk->now, to);
    bool good = at >= 0 && changing();
    if (at < 0)
        errno = ENOENT;
    if (good) {
        names_change();
        if (over >= 0)
            disk->now.entries[over].inode = -1;
        snprintf(disk->now.entries[at].name, NAME_BYTES, "%s", to);
    }
    end(heap, "disk.rename");
    return good ? 0 : -1;
}

WRAP(int, unlinkat, int dir, const char *name, int flags)
{
    SVM_ASSERT(dir == DIR_FD && flags == 0);
    enum weave_heap heap = begin();
    int at = find(&disk->now, name);
    bool good = at >= 0 && changing();
    if (at < 0)
        errno = ENOENT;
    if (good) {
        names_change();
        disk->now.entries[at].inode = -1;
    }
    end(heap, "disk.unlink");
    return good ? 0 : -1;
}

/* One listing at a time, while the log is opened. */
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_opendir(const char *path)
{
    SVM_ASSERT(strcmp(path, DIR_PATH) == 0);
    disk->listed = 0;
    return (DIR *)(void *)disk;
}

WRAP(struct dirent *, readdir, DIR *dir)
{
    static struct dirent entry;
    (void)dir;
    while (disk->listed < NAMES && disk->now.entries[disk->listed].inode < 0)
        disk->listed++;
    if (disk->listed == NAMES)
        return NULL;
    snprintf(entry.d_name, sizeof entry.d_name, "%s", disk->now.entries[disk->listed++].name);
    return &entry;
}

WRAP(int, closedir, DIR *dir)
{
    (void)dir;
    return 0;
}

/* ---- the state: store_kv_ram, each call at once and in the world's heap -------------------------------------------------- */

static bool state_failing(void)
{
    if (disk->faults.state_fail_at == 0)
        return false;
    disk->failed = true; /* as good as: the engine may have been told */
    return true;
}

#define STATE_CALL(what, call)                                                                     \
    weave_point("state." what " begins");                                                          \
    enum weave_heap heap = begin();                                                                \
    enum svm_err err = (call);                                                                     \
    if (err == SVM_E_IO)                                                                           \
        (void)state_failing();                                                                     \
    end(heap, "state." what);                                                                      \
    return err

static enum svm_err state_write(void *self, const struct svm_kv_op *ops, size_t count, bool sync)
{
    STATE_CALL("write", disk->state_ram.write(self, ops, count, sync));
}

static enum svm_err state_ingest(void *self, const struct svm_kv_op *ops, size_t count, size_t tail)
{
    STATE_CALL("ingest", disk->state_ram.ingest(self, ops, count, tail));
}

static enum svm_err state_flush(void *self)
{
    STATE_CALL("flush", disk->state_ram.flush(self));
}

static enum svm_err state_del_range(void *self, struct svm_bytes from, struct svm_bytes to)
{
    STATE_CALL("delete", disk->state_ram.del_range(self, from, to));
}

static enum svm_err state_get(void *self, struct svm_bytes key, uint8_t **value_out,
                              size_t *len_out)
{
    STATE_CALL("get", disk->state_ram.get(self, key, value_out, len_out));
}

static struct svm_kv_iter *state_iter_open(void *self)
{
    enum weave_heap heap = begin();
    struct svm_kv_iter *iter = disk->state_ram.iter_open(self);
    end(heap, "state.iterate");
    return iter;
}

static enum svm_err state_iter_close(struct svm_kv_iter *iter)
{
    STATE_CALL("iterated", disk->state_ram.iter_close(iter));
}

static const char *state_failure(void *self)
{
    enum weave_heap heap = begin();
    const char *why = disk->state_ram.failure(self);
    end(heap, "state.failure");
    return why;
}

/* ---- lives ------------------------------------------------------------------------------------------------------------------ */

void disk_create(void)
{
    enum weave_heap heap = weave_heap_enter(WEAVE_WORLD);
    disk = calloc(1, sizeof *disk);
    for (int i = 0; i < NAMES; i++)
        disk->now.entries[i].inode = -1;
    disk->state = store_kv_ram_create();
    weave_heap_enter(heap);
}

enum svm_err disk_open(struct svm_kv_ops *log_out, struct svm_kv_ops *state_out,
                       const struct disk_faults *faults, char reason[120])
{
    disk->faults = *faults;
    disk->changes = 0;
    disk->failed = false;
    weave_mask();
    store_kv_ram_ops(&disk->state_ram, disk->state);
    store_kv_ram_fail_at(disk->state, faults->state_fail_at);
    weave_unmask();
    *state_out = disk->state_ram;
    state_out->write = state_write;
    state_out->ingest = state_ingest;
    state_out->flush = state_flush;
    state_out->sync = state_flush;
    state_out->del_range = state_del_range;
    state_out->get = state_get;
    state_out->iter_open = state_iter_open;
    state_out->iter_close = state_iter_close;
    state_out->failure = state_failure;
    return store_kv_segments_open(log_out, DIR_PATH, reason);
}

/* A block that was not synced: what was there, what should be, or half of each. CHANCE: of a hundred that are written. */
static void block_settle(struct rng *rng, struct inode *inode, size_t at, uint64_t chance)
{
    size_t end_at = at + BLOCK < inode->seen.len ? at + BLOCK : inode->seen.len;
    uint8_t before[BLOCK] = {0};
    size_t len = end_at - at;
    if (at < inode->held.len)
        memcpy(before, inode->held.at + at,
               inode->held.len - at < len ? inode->held.len - at : len);
    const bool refused = is_clean(inode, at);
    if (memcmp(before, inode->seen.at + at, len) == 0 || (!refused && rng_below(rng, 100) < chance))
        return;
    size_t lost_from = 0;
    if (!refused && disk->faults.torn && rng_below(rng, 2) == 0) {
        lost_from = rng_below(rng, len);
        disk->counts.blocks_torn++;
    }
    memcpy(inode->seen.at + at + lost_from, before + lost_from, len - lost_from);
    disk->counts.blocks_lost++;
}

static void file_settle(struct rng *rng, struct inode *inode)
{
    static const uint64_t chances[] = {0, 20, 50, 90, 100};
    uint64_t chance = chances[rng_below(rng, 5)];
    if (inode->seen.len < inode->held.len) { /* a truncation that was not synced */
        if (rng_below(rng, 2) == 0)
            bytes_copy(&inode->seen, &inode->held);
        return;
    }
    if (inode->seen.len > inode->held.len && rng_below(rng, 2) == 0) { /* the new length is lost */
        size_t len = inode->held.len + rng_below(rng, inode->seen.len - inode->held.len + 1);
        bytes_resize(&inode->seen, len);
    }
    for (size_t at = 0; at < inode->seen.len; at += BLOCK)
        block_settle(rng, inode, at, chance);
}

void disk_life_ends(struct rng *rng, bool power)
{
    enum weave_heap heap = weave_heap_enter(WEAVE_WORLD);
    store_kv_ram_crash(disk->state, rng_below(rng, store_kv_ram_unsynced(disk->state) + 1));
    if (power) {
        if (disk->past_count > 0 && rng_below(rng, 2) == 0) {
            uint64_t past = rng_below(rng, (uint64_t)disk->past_count);
            disk->counts.names_lost += (uint64_t)disk->past_count - past;
            disk->now = disk->pasts[past];
        }
        disk->past_count = 0;
        for (int i = 0; i < disk->inode_count; i++) {
            file_settle(rng, &disk->inodes[i]);
            bytes_copy(&disk->inodes[i].held, &disk->inodes[i].seen);
            bytes_resize(&disk->inodes[i].clean, 0);
        }
    }
    weave_heap_enter(heap);
}

bool disk_failed(void)
{
    return disk->failed;
}

void disk_counts(struct disk_counts *counts_out)
{
    *counts_out = disk->counts;
}
