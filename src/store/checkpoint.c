/* A checkpoint: a second data directory that shares its files with this one until either changes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "store/group.h"
#include "store/parts.h"

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
    enum svm_err err = kv->checkpoint(kv->self, path);
    if (err == SVM_OK && chmod(path, 0700) != 0)
        err = SVM_E_IO;
    free(path);
    if (err == SVM_OK)
        return SVM_OK;
    const char *why = kv->failure(kv->self);
    SAY(reason, "%s: %.100s", name, why == NULL ? strerror(errno) : why);
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

/* It is made beside DIR and renamed, so that DIR is a whole checkpoint or not there. */
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
    if (access(dir, F_OK) == 0) {
        SAY(reason, "%s is there already", dir);
        return SVM_E_INVALID_PARAMS;
    }
    char *partial = NULL;
    if (asprintf(&partial, "%s.partial", dir) < 0) {
        SAY(reason, "out of memory");
        return SVM_E_NO_MEMORY;
    }
    enum svm_err err = SVM_OK;
    if (mkdir(partial, 0700) != 0) {
        SAY(reason, "cannot create %s: %s", partial, strerror(errno));
        err = errno == EEXIST || errno == ENOENT ? SVM_E_INVALID_PARAMS : SVM_E_IO;
    }
    if (err == SVM_OK)
        err = checkpoint_fill(store, partial, seq_out, reason);
    FAULT_POINT("store.checkpoint.before_rename");
    if (err == SVM_OK && rename(partial, dir) != 0) {
        SAY(reason, "cannot rename %s: %s", partial, strerror(errno));
        err = SVM_E_IO;
    }
    if (err == SVM_OK) {
        char *parent = store_dir_join(dir, "..");
        err = SVM_E_NO_MEMORY;
        if (parent == NULL)
            SAY(reason, "out of memory");
        else
            err = store_dir_sync(parent, reason);
        free(parent);
    }
    free(partial);
    return err;
}
