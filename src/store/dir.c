#include "store/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/fault.h"
#include "crypto/sha256.h"

enum { REASON_BYTES = 120, SYNCED_BYTES = 16 };
static const char format_line[] = "supervm data 2\n";

#define SAY(reason, ...) ((void)snprintf((reason), REASON_BYTES, __VA_ARGS__))

static enum svm_err io_error(char reason[120], const char *verb, const char *path)
{
    SAY(reason, "cannot %s %s: %s", verb, path, strerror(errno));
    return SVM_E_IO;
}

/* write_error: as io_error, and a full disk is told apart. */
static enum svm_err write_error(char reason[120], const char *verb, const char *path)
{
    const enum svm_err err = store_dir_errno(errno);
    (void)io_error(reason, verb, path);
    return err;
}

static enum svm_err no_memory(char reason[120])
{
    SAY(reason, "out of memory");
    return SVM_E_NO_MEMORY;
}

char *store_dir_join(const char *path, const char *name)
{
    char *joined = NULL;
    return asprintf(&joined, "%s/%s", path, name) < 0 ? NULL : joined;
}

/* ---- files that survive ------------------------------------------------------------------------------------ */

enum svm_err store_dir_sync(const char *path, char reason[120])
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return write_error(reason, "open", path);
    int bad = fsync(fd);
    enum svm_err err = bad ? write_error(reason, "sync", path) : SVM_OK;
    close(fd);
    return err;
}

enum svm_err store_dir_make(const char *path, const char *name, char reason[120])
{
    char *full = store_dir_join(path, name);
    if (full == NULL)
        return no_memory(reason);
    enum svm_err err = SVM_OK;
    if (mkdir(full, 0700) != 0 && errno != EEXIST)
        err = io_error(reason, "create", full);
    free(full);
    return err;
}

static bool write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t did = write(fd, text, len);
        if (did < 0 && errno == EINTR)
            continue;
        if (did <= 0)
            return false;
        text += did;
        len -= (size_t)did;
    }
    return true;
}

static enum svm_err write_synced(const char *path, const char *text, char reason[120])
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return write_error(reason, "create", path);
    enum svm_err err = SVM_OK;
    if (!write_all(fd, text, strlen(text)) || fsync(fd) != 0)
        err = write_error(reason, "write", path);
    if (close(fd) != 0 && err == SVM_OK)
        err = write_error(reason, "close", path);
    return err;
}

enum svm_err store_dir_write(const char *path, const char *name, const char *text, char reason[120])
{
    char *full = store_dir_join(path, name);
    char *fresh = NULL;
    if (full == NULL || asprintf(&fresh, "%s.new", full) < 0) {
        free(full);
        return no_memory(reason);
    }
    enum svm_err err = write_synced(fresh, text, reason);
    FAULT_POINT("store.dir.before_rename");
    if (err == SVM_OK && rename(fresh, full) != 0)
        err = write_error(reason, "rename", fresh);
    if (err == SVM_OK)
        err = store_dir_sync(path, reason);
    free(fresh);
    free(full);
    return err;
}

enum svm_err store_dir_read(const char *path, const char *name, char *text, size_t cap)
{
    SVM_ASSERT(cap > 0);
    char *full = store_dir_join(path, name);
    if (full == NULL)
        return SVM_E_NO_MEMORY;
    FILE *file = fopen(full, "re");
    int why = errno;
    free(full);
    if (file == NULL)
        return why == ENOENT ? SVM_E_NOT_FOUND : SVM_E_IO;
    size_t len = fread(text, 1, cap - 1, file);
    text[len] = '\0';
    enum svm_err err = ferror(file) ? SVM_E_IO : SVM_OK;
    fclose(file);
    return err;
}

/* ---- lock and format --------------------------------------------------------------------------------------- */

static enum svm_err lock(struct store_dir *dir, char reason[120])
{
    char *path = store_dir_join(dir->path, "LOCK");
    if (path == NULL)
        return no_memory(reason);
    enum svm_err err = SVM_OK;
    char pid[32] = {0};
    dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (dir->lock_fd < 0) {
        err = io_error(reason, "open", path);
    } else if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            if (pread(dir->lock_fd, pid, sizeof pid - 1, 0) < 0)
                pid[0] = '\0';
            pid[strcspn(pid, "\n")] = '\0';
            SAY(reason, "another supervmd (pid %s) uses this directory", pid[0] ? pid : "unknown");
            err = SVM_E_LOCKED;
        } else {
            err = io_error(reason, "lock", path);
        }
        close(dir->lock_fd);
        dir->lock_fd = -1;
    } else {
        int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
        if (ftruncate(dir->lock_fd, 0) != 0 || pwrite(dir->lock_fd, pid, (size_t)len, 0) != len)
            err = io_error(reason, "write", path);
    }
    free(path);
    return err;
}

static void format_text(char text[96], const struct svm_digest *genesis)
{
    char hex[67];
    svm_hex32_format(hex, genesis->b);
    int len = snprintf(text, 96, "%sgenesis %s\n", format_line, hex);
    SVM_ASSERT(len > 0 && len < 96);
}

static enum svm_err format_check(const char *path, const struct svm_digest *genesis,
                                 bool *found_out, char reason[120])
{
    char have[256], want[96];
    *found_out = false;
    enum svm_err err = store_dir_read(path, "FORMAT", have, sizeof have);
    if (err == SVM_E_NOT_FOUND)
        return SVM_OK;
    if (err != SVM_OK) {
        SAY(reason, "cannot read FORMAT in %s", path);
        return err;
    }
    *found_out = true;
    format_text(want, genesis);
    if (strcmp(have, want) == 0)
        return SVM_OK;
    if (strncmp(have, format_line, sizeof format_line - 1) != 0) {
        have[strcspn(have, "\n")] = '\0';
        SAY(reason, "the format of the data is \"%.40s\", this program knows \"supervm data 2\"",
            have);
    } else {
        const size_t second = sizeof format_line - 1; /* a damaged file may end there */
        have[second + strcspn(have + second, "\n")] = '\0';
        SAY(reason, "the data is of another chain: its %.26s.., this genesis is %.18s..",
            have + second, want + second + 8);
    }
    return SVM_E_FOREIGN_DATA;
}

/* known_name: may lie in a directory that counts as new. */
static bool known_name(const char *name)
{
    static const char *const names[] = {
        ".",   "..",    "LOCK",       "genesis.json", "genesis.json.new",
        "log", "state", "FORMAT.new", "SYNCED",       "lost+found"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return strncmp(name, "supervm", 7) == 0; /* socket, pid file, configuration */
}

static enum svm_err look_for_strangers(const char *path, char reason[120])
{
    DIR *listing = opendir(path);
    if (listing == NULL)
        return io_error(reason, "list", path);
    enum svm_err err = SVM_OK;
    for (const struct dirent *entry; err == SVM_OK && (entry = readdir(listing)) != NULL;) {
        if (known_name(entry->d_name))
            continue;
        SAY(reason, "the directory holds \"%.40s\" and no FORMAT: name an empty one",
            entry->d_name);
        err = SVM_E_FOREIGN_DATA;
    }
    closedir(listing);
    return err;
}

/* ---- life -------------------------------------------------------------------------------------------------- */

void store_dir_init(struct store_dir *dir)
{
    *dir = (struct store_dir){.path = NULL, .lock_fd = -1, .synced_fd = -1};
}

static enum svm_err make_top(const char *path, char reason[120])
{
    struct stat info;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return io_error(reason, "create", path);
    if (stat(path, &info) != 0)
        return io_error(reason, "look at", path);
    if (!S_ISDIR(info.st_mode)) {
        SAY(reason, "%s is not a directory", path);
        return SVM_E_IO;
    }
    /* Who can swap a file can say what the state is. Reading is the operator's business. */
    if (info.st_uid != geteuid()) {
        SAY(reason, "%.60s belongs to user %u, not to this process's", path, info.st_uid);
        return SVM_E_FOREIGN_DATA;
    }
    if (info.st_mode & (S_IWGRP | S_IWOTH)) {
        SAY(reason, "others may write to %.50s (mode %o): chmod 700 it", path,
            info.st_mode & 07777);
        return SVM_E_FOREIGN_DATA;
    }
    return SVM_OK;
}

enum svm_err store_dir_open(struct store_dir *dir, const char *path,
                            const struct svm_digest *genesis, bool *is_new_out, char reason[120])
{
    store_dir_init(dir);
    enum svm_err err = make_top(path, reason);
    if (err != SVM_OK)
        return err;
    dir->path = strdup(path);
    if (dir->path == NULL)
        return no_memory(reason);

    bool found = false;
    err = lock(dir, reason);
    if (err == SVM_OK)
        err = format_check(path, genesis, &found, reason);
    if (err == SVM_OK && !found)
        err = look_for_strangers(path, reason);
    if (err == SVM_OK)
        err = store_dir_make(path, "log", reason);
    if (err == SVM_OK)
        err = store_dir_make(path, "state", reason);
    if (err != SVM_OK)
        return err;
    *is_new_out = !found;

    char *synced = store_dir_join(path, "SYNCED");
    if (synced == NULL)
        return no_memory(reason);
    dir->synced_fd = open(synced, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (dir->synced_fd < 0)
        err = io_error(reason, "open", synced);
    free(synced);
    return err;
}

void store_dir_close(struct store_dir *dir)
{
    if (dir->synced_fd >= 0)
        close(dir->synced_fd);
    if (dir->lock_fd >= 0)
        close(dir->lock_fd); /* unlocks; the file stays: removing it would race */
    free(dir->path);
    store_dir_init(dir);
}

enum svm_err store_dir_finish(const char *path, const char *genesis_json,
                              const struct svm_digest *genesis, char reason[120])
{
    char text[96];
    format_text(text, genesis);
    enum svm_err err = store_dir_write(path, "genesis.json", genesis_json, reason);
    FAULT_POINT("store.create.before_format");
    if (err == SVM_OK)
        err = store_dir_write(path, "FORMAT", text, reason);
    if (err != SVM_OK)
        return err;

    /* The directory itself may be new in its parent. */
    char *parent = store_dir_join(path, "..");
    if (parent == NULL)
        return no_memory(reason);
    err = store_dir_sync(parent, reason);
    free(parent);
    return err;
}

/* ---- SYNCED ------------------------------------------------------------------------------------------------ */

static void synced_encode(uint8_t out[SYNCED_BYTES], uint64_t seq)
{
    uint8_t hash[32];
    bytes_put_u64le(out, seq);
    crypto_sha256(hash, out, 8);
    memcpy(out + 8, hash, 8); /* a torn or damaged mark counts as none */
}

void store_dir_synced_put(struct store_dir *dir, uint64_t seq)
{
    uint8_t mark[SYNCED_BYTES];
    if (dir->synced_fd < 0)
        return;
    synced_encode(mark, seq);
    ssize_t did = pwrite(dir->synced_fd, mark, sizeof mark, 0);
    (void)did;
}

uint64_t store_dir_synced_get(struct store_dir *dir)
{
    uint8_t have[SYNCED_BYTES], want[SYNCED_BYTES];
    if (dir->synced_fd < 0 || pread(dir->synced_fd, have, sizeof have, 0) != sizeof have)
        return 0;
    uint64_t seq = bytes_get_u64le(have);
    synced_encode(want, seq);
    return memcmp(have, want, sizeof have) == 0 ? seq : 0;
}

enum svm_err store_dir_errno(int why)
{
    return why == ENOSPC || why == EDQUOT ? SVM_E_STORAGE_FULL : SVM_E_IO;
}

uint64_t store_dir_free_bytes(const struct store_dir *dir)
{
    struct statvfs info;
    if (dir->path == NULL || statvfs(dir->path, &info) != 0)
        return UINT64_MAX;
    return (uint64_t)info.f_bavail * info.f_frsize;
}
