/* A checkpoint: a second data directory that shares its files with this one until either changes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fault.h"
#include "store/group.h"
#include "store/parts.h"
#include "store/segment.h"

enum { REASON_BYTES = 120 };

#define SAY(reason, ...) ((void)snprintf((reason), REASON_BYTES, __VA_ARGS__))

static enum svm_err copy_file(const char *from, const char *to, const char *name, char reason[120])
{
    struct stat info;
    char *path = store_dir_join(from, name);
    enum svm_err err = SVM_E_IO;
    char *text = NULL;
    if (path != NULL && stat(path, &info) == 0)
        text = malloc((size_t)info.st_size + 1);
    if (text != NULL)
        err = store_dir_read(from, name, text, (size_t)info.st_size + 1);
    if (err == SVM_OK)
        err = store_dir_write(to, name, text, reason);
    else
        SAY(reason, "cannot read %s of the data directory", name);
    free(text);
    free(path);
    return err;
}

static enum svm_err copy_database(const struct svm_kv_ops *kv, const char *to, const char *name,
                                  char reason[120])
{
    char *path = store_dir_join(to, name);
    if (path == NULL) {
        SAY(reason, "out of memory");
        return SVM_E_NO_MEMORY;
    }
    char why[120];
    enum svm_err err = kv->checkpoint(kv->self, path, why);
    if (err == SVM_OK && chmod(path, 0700) != 0) {
        err = store_dir_errno(errno);
        snprintf(why, sizeof why, "%s", strerror(errno));
    }
    free(path);
    if (err != SVM_OK)
        SAY(reason, "%s: %.110s", name, why);
    return err;
}

/* log_end: the newest group that a checkpoint taken from now on is sure to hold. */
static enum svm_err log_end(struct store *store, uint64_t *seq_out, struct svm_digest *hash_out)
{
    const struct svm_kv_ops *kv = &store->log_kv;
    struct svm_bytes key, value;
    struct store_group group;
    struct svm_kv_iter *iter = kv->iter_open(kv->self);
    if (iter == NULL)
        return SVM_E_NO_MEMORY;
    enum svm_err err = SVM_OK;
    *seq_out = store->meta.seq;
    *hash_out = store->meta.hash;
    kv->iter_seek_last(iter);
    if (kv->iter_valid(iter, &key, &value)) {
        err = store_group_parse(&group, key, value) ? SVM_OK : SVM_E_CORRUPT;
        if (err == SVM_OK && group.last > *seq_out) {
            *seq_out = group.last;
            *hash_out = group.hash;
        }
    }
    enum svm_err closed = kv->iter_close(iter);
    return closed != SVM_OK ? closed : err;
}

static enum svm_err manifest_write(const struct store *store, const char *dir, uint64_t seq,
                                   const struct svm_digest *hash, char reason[120])
{
    char genesis[67], state_hash[67], log_hash[67], text[512];
    svm_hex32_format(genesis, store->meta.genesis.b);
    svm_hex32_format(state_hash, store->meta.hash.b);
    svm_hex32_format(log_hash, hash->b);
    int len = snprintf(text, sizeof text,
                       "supervm checkpoint 1\n"
                       "genesis %s\n"
                       "state_seq %llu\n"
                       "state_group %s\n"
                       "seq %llu\n"
                       "group %s\n",
                       genesis, (unsigned long long)store->meta.seq, state_hash,
                       (unsigned long long)seq, log_hash);
    SVM_ASSERT(len > 0 && (size_t)len < sizeof text);
    return store_dir_write(dir, "MANIFEST", text, reason);
}

static enum svm_err checkpoint_fill(struct store *store, const char *dir, uint64_t *seq_out,
                                    char reason[120])
{
    struct svm_digest hash;
    enum svm_err err = copy_database(&store->state_kv, dir, "state", reason);
    FAULT_POINT("store.checkpoint.after_state");
    if (err != SVM_OK)
        return err;
    err = log_end(store, seq_out, &hash);
    if (err != SVM_OK) {
        SAY(reason, "the log cannot be read");
        return err;
    }
    err = copy_database(&store->log_kv, dir, "log", reason);
    FAULT_POINT("store.checkpoint.after_log");
    if (err == SVM_OK)
        err = copy_file(store->dir.path, dir, "genesis.json", reason);
    if (err == SVM_OK)
        err = manifest_write(store, dir, *seq_out, &hash, reason);
    FAULT_POINT("store.checkpoint.after_manifest");
    if (err == SVM_OK)
        err = copy_file(store->dir.path, dir, "FORMAT", reason);
    return err;
}

/* ---- the place ------------------------------------------------------------------------------------------------ */

/* An entry that cannot be made because of what the caller has asked for: says what to do about it. NULL: it is the disk. */
static const char *cure_of(int why)
{
    switch (why) {
    case EEXIST:
        return "dir with .partial is there, of an interrupted checkpoint: remove it";
    case ENOENT:
        return "the folder that dir is to be in does not exist: create it";
    case ENOTDIR:
        return "something above dir is not a folder: name a path below folders";
    case ELOOP:
        return "symbolic links above dir lead in a circle: name another path";
    case ENAMETOOLONG:
        return "dir is too long: with .partial its last part may have 255 bytes, all of it 4,095";
    case EACCES:
    case EPERM:
    case EROFS:
        return "the node may not write where dir is to be: name a folder it may write to";
    default:
        return NULL;
    }
}

static enum svm_err refuse_place(const char *path, int why, char reason[120])
{
    const char *cure = cure_of(why);
    if (cure == NULL) {
        SAY(reason, "cannot create %.60s: %s", path, strerror(why));
        return store_dir_errno(why);
    }
    SAY(reason, "%s", cure);
    return SVM_E_INVALID_PARAMS;
}

/* place_make: the directory PARTIAL, beside DIR, which is not there in any form. */
static enum svm_err place_make(const char *dir, const char *partial, char reason[120])
{
    struct stat info;
    if (lstat(dir, &info) == 0) {
        SAY(reason, "dir is there already: name one that is not, or remove it");
        return SVM_E_INVALID_PARAMS;
    }
    if (errno != ENOENT)
        return refuse_place(dir, errno, reason);
    return mkdir(partial, 0700) == 0 ? SVM_OK : refuse_place(partial, errno, reason);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    (void)remove(path); /* as much as can be */
    return 0;
}

static void place_remove(const char *partial)
{
    enum { DESCRIPTORS = 4 };
    (void)nftw(partial, remove_entry, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}

/* What a copy of the log takes at most: its segments. What cannot be seen, nothing. */
static uint64_t log_bytes(const char *path)
{
    uint64_t bytes = 0, number;
    char *full = store_dir_join(path, "log");
    DIR *dir = full == NULL ? NULL : opendir(full);
    free(full);
    if (dir == NULL)
        return 0;
    struct stat info;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (store_segment_number(entry->d_name, &number) &&
            fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode))
            bytes += (uint64_t)info.st_size;
    (void)closedir(dir);
    return bytes;
}

/* Can the state be linked, and is there room for the log, which is copied? It is asked first: a database whose assertions are built in
 * aborts when it meets a full disk in a copy. */
static enum svm_err room_for_copy(const struct store *store, const char *partial, char reason[120])
{
    enum { BESIDE = 16 << 20 }; /* what is flushed first, and what the database writes anew */
    struct stat here, there;
    struct statvfs disk;
    if (stat(store->dir.path, &here) != 0 || stat(partial, &there) != 0 ||
        statvfs(partial, &disk) != 0)
        return refuse_place(partial, EIO, reason);
    /* A copy of all takes its time, and the materialiser waits for it. */
    if (here.st_dev != there.st_dev) {
        SAY(reason,
            "dir is on another file system: name one beside the data directory and copy that");
        return SVM_E_INVALID_PARAMS;
    }
    uint64_t need = BESIDE + log_bytes(store->dir.path);
    uint64_t have = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (have >= need)
        return SVM_OK;
    SAY(reason, "no room for the copy of the log: %llu KiB are needed, %llu KiB free: make room",
        (unsigned long long)(need >> 10), (unsigned long long)(have >> 10));
    return SVM_E_STORAGE_FULL;
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

/* The directory that the directory PATH is in. */
static enum svm_err sync_parent(const char *path, char reason[120])
{
    char *parent = store_dir_join(path, "..");
    enum svm_err err = SVM_E_NO_MEMORY;
    if (parent == NULL)
        SAY(reason, "out of memory");
    else
        err = store_dir_sync(parent, reason);
    free(parent);
    return err;
}

/* It is made beside DIR and renamed, so that DIR is a whole checkpoint or not there. */
static enum svm_err checkpoint_make(struct store *store, const char *dir, const char *partial,
                                    uint64_t *seq_out, char reason[120])
{
    enum svm_err err = place_make(dir, partial, reason);
    if (err != SVM_OK)
        return err;
    err = room_for_copy(store, partial, reason);
    if (err == SVM_OK)
        err = checkpoint_fill(store, partial, seq_out, reason);
    if (err == SVM_OK) /* asked first: afterwards only the disk can fail */
        err = sync_parent(partial, reason);
    FAULT_POINT("store.checkpoint.before_rename");
    if (err == SVM_OK && rename(partial, dir) != 0) {
        err = store_dir_errno(errno);
        SAY(reason, "cannot rename %.60s: %s", partial, strerror(errno));
    }
    if (err == SVM_OK)
        return sync_parent(dir, reason);
    place_remove(partial);
    return err;
}

enum svm_err store_checkpoint(struct store *store, const char *dir, uint64_t *seq_out,
                              char reason[120])
{
    reason[0] = '\0';
    if (store->mode == STORE_MEMORY || store->dir.path == NULL) {
        SAY(reason, "there is no data directory to checkpoint");
        return SVM_E_METHOD_DISABLED;
    }
    if (store_has_failed(store)) {
        SAY(reason, "%.119s", store_failure(store));
        return SVM_E_IO;
    }
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    char *path = strndup(dir, len), *partial = NULL;
    enum svm_err err = SVM_E_NO_MEMORY;
    if (path == NULL || asprintf(&partial, "%s.partial", path) < 0)
        SAY(reason, "out of memory");
    else
        err = checkpoint_make(store, path, partial, seq_out, reason);
    free(partial);
    free(path);
    return err;
}
