/* store/dir.h - the data directory: who may use it, what it belongs to, and files that survive a power cut.
 *
 *     FORMAT        "supervm data 2" and the genesis digest; its rename into place ends the creation
 *     genesis.json  canonical text
 *     LOCK          held with flock while open; holds the pid
 *     SYNCED        how far the log is known to be durable: a hint that only ever turns silent loss into a refusal
 *     log/ state/   the databases
 *
 * Modes 0700 and 0600. */
#ifndef STORE_DIR_H
#define STORE_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <svm/types.h>

struct store_dir {
    char *path;    /* NULL = there is none */
    int lock_fd;   /* -1 = not locked */
    int synced_fd; /* -1 = not open */
};
void store_dir_init(struct store_dir *dir);

/* store_dir_open: make PATH if it is missing, lock it, tell whether FORMAT is there.
 *   is_new_out  out  nothing is there but what an interrupted creation may have left
 * Returns SVM_OK, SVM_E_LOCKED, SVM_E_FOREIGN_DATA (other files and no FORMAT, another format or GENESIS, another owner, or
 *         others may write), SVM_E_IO, SVM_E_NO_MEMORY. Whatever it returns, store_dir_close cleans up. */
SVM_MUST_USE enum svm_err store_dir_open(struct store_dir *dir, const char *path,
                                         const struct svm_digest *genesis, bool *is_new_out,
                                         char reason[120]);
void store_dir_close(struct store_dir *dir);

/* store_dir_finish: the databases hold the genesis durably: write genesis.json and FORMAT into PATH. Errors as of store_dir_write. */
SVM_MUST_USE enum svm_err store_dir_finish(const char *path, const char *genesis_json,
                                           const struct svm_digest *genesis, char reason[120]);

/* store_dir_join: "path/name"; gives (free); NULL = no memory. */
char *store_dir_join(const char *path, const char *name);
/* store_dir_make: mkdir 0700 of path/name unless it is there. */
SVM_MUST_USE enum svm_err store_dir_make(const char *path, const char *name, char reason[120]);
/* store_dir_sync: fsync the directory PATH. SVM_E_STORAGE_FULL, SVM_E_IO. */
SVM_MUST_USE enum svm_err store_dir_sync(const char *path, char reason[120]);
/* store_dir_write: path/NAME holds TEXT, durably, or is as before. SVM_E_STORAGE_FULL, SVM_E_IO, SVM_E_NO_MEMORY. */
SVM_MUST_USE enum svm_err store_dir_write(const char *path, const char *name, const char *text,
                                          char reason[120]);
/* store_dir_read: at most CAP - 1 bytes of path/NAME, NUL-terminated. SVM_E_NOT_FOUND, SVM_E_IO. */
SVM_MUST_USE enum svm_err store_dir_read(const char *path, const char *name, char *text,
                                         size_t cap);

/* store_dir_synced_put: note that everything up to SEQ is durable. Not synced itself, and errors do not matter.
 * store_dir_synced_get: 0 when nothing is known. */
void store_dir_synced_put(struct store_dir *dir, uint64_t seq);
uint64_t store_dir_synced_get(struct store_dir *dir);

/* store_dir_errno: what WHY, an errno of a write to a disk, is: SVM_E_STORAGE_FULL or SVM_E_IO. */
enum svm_err store_dir_errno(int why);

/* UINT64_MAX when it cannot be told. */
uint64_t store_dir_free_bytes(const struct store_dir *dir);

#endif
