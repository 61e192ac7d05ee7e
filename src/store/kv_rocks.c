/* store_kv_rocks: RocksDB 7.8.3 behind svm_kv_ops, for the state. Nothing else in the house includes its header.
 *
 * Options and why (HISTORY.md of RocksDB; versions name the release that fixed it):
 *   no WAL                         the log is the truth: what a crash takes from the memtable is replayed from there
 *   max_bgerror_resume_count = 0   a background error is final: nothing resumes by itself, the store stops
 *   max_background_jobs = 2        two cores; and below 8, where a failed flush was retried out of order (7.9)
 *   paranoid_checks = 1            a damaged file is an error, not a shorter answer
 *   one column family              several with the WAL off lose data (8.1)
 *   no pipelined, no unordered     the latter breaks snapshots
 *   no memtable insert hint        a fifth faster, but its skip list asserts when a key comes out of order (seen in 7.8.3)
 *   files are ingested after a flush   an ingested file has one position, a memtable a span of them; a memtable that began before the
 *                                  file and is flushed after it has a span around the file's, and compaction within L0 can
 *                                  then put them in the wrong order (5913, 10922; 7.9 orders L0 in another way)
 *   names of files to ingest are removed before they are written   after a crash such a name can still be a second link to a file
 *                                  that the database has taken over: to write through it would be the end of that file
 * A checkpoint is preceded by a flush: there is no WAL that could bring the memtable along. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include <rocksdb/c.h>

#include "base/assert.h"
#include "base/fault.h"
#include "store/store.h"

enum {
    MIB = 1 << 20,
    STATE_BUFFER_BYTES = 64 * MIB,
    BUFFERS_MAX = 4,
    SHARD_BYTES_MIN = 16 * MIB, /* of the block cache: many filters, each of which is one block */
    SHARD_BITS_MAX = 6,
    LEVELS = 7,
    PLAIN_LEVELS = 3,    /* not compressed: rows there will be rewritten soon */
    LEVEL0_COMPACT = 12, /* files that start a compaction */
    LEVEL0_SLOW = 24,    /* and throttle writes, ... */
    LEVEL0_STOP = 32,    /* ... and stop them: what a read has to look through at most */
    INGEST_FILES = 2,
    INGEST_PATH_BYTES = 16,
    DROP_KEY_MAX = 64,
    BLOCK_BYTES =
        16 << 10, /* of a table: a read takes one, a compaction all, and a call for each */
    READ_AHEAD_BYTES = 2 * MIB, /* of a compaction */
    SYNC_AHEAD_BYTES = MIB,     /* of a file are handed to the disk while the rest is made */
    AHEAD = 6,                  /* rows fetched into the cache before their turn */
    LINE_BYTES = 64,
    OPEN_FILES_MAX = 512,
    INFO_LEVEL_WARN = 2,
    FAILURE_TEXT_BYTES = 200
};

struct rocks {
    rocksdb_t *db;
    rocksdb_cache_t *block_cache;
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *write_plain;
    rocksdb_readoptions_t *read_point, *read_scan;
    rocksdb_flushoptions_t *flush;
    /* state: files to ingest */
    rocksdb_options_t *file_options;
    rocksdb_envoptions_t *file_env;
    rocksdb_ingestexternalfileoptions_t *ingest;
    char *file_path[INGEST_FILES];
    pthread_mutex_t
        batch_lock; /* writes come from one thread, range deletions perhaps from another */
    rocksdb_writebatch_t *batch; /* reused: it keeps its memory */
    pthread_mutex_t failure_lock;
    bool failed;
    char failure[FAILURE_TEXT_BYTES];
};

struct svm_kv_iter {
    struct rocks *rocks;
    rocksdb_iterator_t *it;
};

/* rocks_check: TEXT is the error of a call (freed) or NULL. */
static enum svm_err rocks_check(struct rocks *rocks, char *text)
{
    if (text == NULL)
        return SVM_OK;
    pthread_mutex_lock(&rocks->failure_lock);
    if (!rocks->failed)
        snprintf(rocks->failure, sizeof rocks->failure, "%s", text);
    rocks->failed = true;
    pthread_mutex_unlock(&rocks->failure_lock);
    rocksdb_free(text);
    return SVM_E_IO;
}

/* rocks_background: errors of flushes and compactions that no call has reported yet. */
static enum svm_err rocks_background(struct rocks *rocks)
{
    uint64_t errors = 0;
    if (rocksdb_property_int(rocks->db, "rocksdb.background-errors", &errors) != 0 || errors == 0)
        return SVM_OK;
    char *text =
        strdup("a flush or compaction in the background failed; see the database's LOG file");
    return text == NULL ? SVM_E_IO : rocks_check(rocks, text);
}

/* ---- svm_kv_ops -------------------------------------------------------------------------------------------- */

static enum svm_err rocks_flush(void *self);
static const char *rocks_failure(void *self);

static enum svm_err rocks_write(void *self, const struct svm_kv_op *ops, size_t count, bool sync)
{
    struct rocks *rocks = self;
    char *text = NULL;
    pthread_mutex_lock(&rocks->batch_lock);
    rocksdb_writebatch_clear(rocks->batch);
    for (size_t i = 0; i < count; i++) {
        const char *key = (const char *)ops[i].key.ptr;
        if (ops[i].del)
            rocksdb_writebatch_delete(rocks->batch, key, ops[i].key.len);
        else
            rocksdb_writebatch_put(rocks->batch, key, ops[i].key.len,
                                   (const char *)ops[i].value.ptr, ops[i].value.len);
    }
    rocksdb_write(rocks->db, rocks->write_plain, rocks->batch, &text);
    pthread_mutex_unlock(&rocks->batch_lock);
    enum svm_err err = rocks_check(rocks, text);
    return err == SVM_OK && sync ? rocks_flush(rocks) : err;
}

static enum svm_err rocks_flush(void *self)
{
    struct rocks *rocks = self;
    char *text = NULL;
    rocksdb_flush(rocks->db, rocks->flush, &text);
    enum svm_err err = rocks_check(rocks, text);
    return err == SVM_OK ? rocks_background(rocks) : err;
}

/* ---- ingestion --------------------------------------------------------------------------------------------- */

static enum svm_err file_remove(struct rocks *rocks, const char *path)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return SVM_OK;
    char text[FAILURE_TEXT_BYTES];
    snprintf(text, sizeof text, "%.120s: %s", path, strerror(errno));
    return rocks_check(rocks, strdup(text));
}

/* file_write: OPS as a table file at PATH, synced. */
static enum svm_err file_write(struct rocks *rocks, const char *path, const struct svm_kv_op *ops,
                               size_t count)
{
    enum svm_err err = file_remove(rocks, path);
    if (err != SVM_OK)
        return err;
    char *text = NULL;
    rocksdb_sstfilewriter_t *writer =
        rocksdb_sstfilewriter_create(rocks->file_env, rocks->file_options);
    rocksdb_sstfilewriter_open(writer, path, &text);
    for (size_t i = 0; i < count && text == NULL; i++) {
        if (i + AHEAD < count) {
            __builtin_prefetch(ops[i + AHEAD].key.ptr);
            for (size_t at = 0; at < ops[i + AHEAD].value.len && at < 4 * LINE_BYTES;
                 at += LINE_BYTES)
                __builtin_prefetch(ops[i + AHEAD].value.ptr + at);
        }
        const char *key = (const char *)ops[i].key.ptr;
        if (ops[i].del)
            rocksdb_sstfilewriter_delete(writer, key, ops[i].key.len, &text);
        else
            rocksdb_sstfilewriter_put(writer, key, ops[i].key.len, (const char *)ops[i].value.ptr,
                                      ops[i].value.len, &text);
    }
    if (text == NULL)
        rocksdb_sstfilewriter_finish(writer, &text); /* syncs */
    rocksdb_sstfilewriter_destroy(writer);
    return rocks_check(rocks, text);
}

static unsigned level0_files(struct rocks *rocks)
{
    char *text = rocksdb_property_value(rocks->db, "rocksdb.num-files-at-level0");
    unsigned files = text == NULL ? 0 : (unsigned)strtoul(text, NULL, 10);
    rocksdb_free(text);
    return files;
}

/* level0_wait: the database throttles writes while L0 is long, but not ingestion: without this, reads would get slower for ever. */
static enum svm_err level0_wait(struct rocks *rocks)
{
    static const struct timespec pause = {.tv_nsec = 2000000};
    while (level0_files(rocks) >= LEVEL0_STOP) {
        enum svm_err err = rocks_background(rocks);
        if (err != SVM_OK)
            return err;
        nanosleep(&pause, NULL);
    }
    return SVM_OK;
}

static enum svm_err rocks_ingest(void *self, const struct svm_kv_op *ops, size_t count, size_t tail)
{
    struct rocks *rocks = self;
    const size_t first[INGEST_FILES] = {0, tail}, end[INGEST_FILES] = {tail, count};
    const char *paths[INGEST_FILES];
    size_t files = 0;
    SVM_ASSERT(tail <= count);
    enum svm_err err = level0_wait(rocks);
    for (size_t i = 0; i < INGEST_FILES && err == SVM_OK; i++) {
        if (first[i] == end[i])
            continue;
        paths[files] = rocks->file_path[i];
        err = file_write(rocks, paths[files++], ops + first[i], end[i] - first[i]);
    }
    FAULT_POINT("store.ingest.before");
    if (err == SVM_OK)
        err = rocks_flush(rocks);
    if (err != SVM_OK || files == 0)
        return err;
    char *text = NULL;
    rocksdb_ingest_external_file(rocks->db, paths, files, rocks->ingest, &text);
    FAULT_POINT("store.ingest.after");
    return rocks_check(rocks, text);
}

/* Whole table files below L0 that lie in the range. The database takes the upper bound as part of it, so it gets one below TO: TO
 * without its last byte if that is zero, else with one less. */
static enum svm_err rocks_drop(void *self, struct svm_bytes from, struct svm_bytes to)
{
    struct rocks *rocks = self;
    uint8_t end[DROP_KEY_MAX];
    size_t len = to.len;
    SVM_ASSERT(len > 0 && len <= sizeof end);
    memcpy(end, to.ptr, len);
    if (end[len - 1] == 0)
        len--;
    else
        end[len - 1]--;
    char *text = NULL;
    rocksdb_delete_file_in_range(rocks->db, (const char *)from.ptr, from.len, (const char *)end,
                                 len, &text);
    return rocks_check(rocks, text);
}

/* ingest_make: what ingestion needs of a state at DIR. False = no memory. */
static bool ingest_make(struct rocks *rocks, const char *dir)
{
    size_t len = strlen(dir) + INGEST_PATH_BYTES;
    for (size_t i = 0; i < INGEST_FILES; i++) {
        rocks->file_path[i] = malloc(len);
        if (rocks->file_path[i] == NULL)
            return false;
        snprintf(rocks->file_path[i], len, "%s/ingest-%zu", dir, i);
    }
    rocks->file_env = rocksdb_envoptions_create();
    rocks->ingest = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(rocks->ingest, 1);
    return true;
}

/* ---- svm_kv_ops, the rest ---------------------------------------------------------------------------------- */

static enum svm_err rocks_del_range(void *self, struct svm_bytes from, struct svm_bytes to)
{
    struct rocks *rocks = self;
    char *text = NULL;
    const char *begin = (const char *)from.ptr, *end = (const char *)to.ptr;
    pthread_mutex_lock(&rocks->batch_lock);
    rocksdb_writebatch_clear(rocks->batch);
    rocksdb_writebatch_delete_range(rocks->batch, begin, from.len, end, to.len);
    rocksdb_write(rocks->db, rocks->write_plain, rocks->batch, &text);
    pthread_mutex_unlock(&rocks->batch_lock);
    return rocks_check(rocks, text);
}

static enum svm_err rocks_get(void *self, struct svm_bytes key, uint8_t **value_out,
                              size_t *len_out)
{
    struct rocks *rocks = self;
    char *text = NULL;
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned(rocks->db, rocks->read_point, (const char *)key.ptr, key.len, &text);
    enum svm_err err = rocks_check(rocks, text);
    if (err != SVM_OK)
        return err;
    if (slice == NULL)
        return SVM_E_NOT_FOUND;

    size_t len;
    const char *bytes = rocksdb_pinnableslice_value(slice, &len);
    uint8_t *value = malloc(len + 1);
    if (value == NULL) {
        err = SVM_E_NO_MEMORY;
    } else {
        memcpy(value, bytes, len);
        *value_out = value;
        *len_out = len;
    }
    rocksdb_pinnableslice_destroy(slice);
    return err;
}

static struct svm_kv_iter *rocks_iter_open(void *self)
{
    struct rocks *rocks = self;
    struct svm_kv_iter *iter = malloc(sizeof *iter);
    if (iter == NULL)
        return NULL;
    iter->rocks = rocks;
    iter->it = rocksdb_create_iterator(rocks->db, rocks->read_scan);
    return iter;
}

static void rocks_iter_seek(struct svm_kv_iter *iter, struct svm_bytes key)
{
    rocksdb_iter_seek(iter->it, (const char *)key.ptr, key.len);
}

static void rocks_iter_seek_last(struct svm_kv_iter *iter)
{
    rocksdb_iter_seek_to_last(iter->it);
}

static bool rocks_iter_valid(struct svm_kv_iter *iter, struct svm_bytes *key_out,
                             struct svm_bytes *value_out)
{
    if (!rocksdb_iter_valid(iter->it))
        return false;
    key_out->ptr = (const uint8_t *)rocksdb_iter_key(iter->it, &key_out->len);
    value_out->ptr = (const uint8_t *)rocksdb_iter_value(iter->it, &value_out->len);
    return true;
}

static void rocks_iter_next(struct svm_kv_iter *iter)
{
    rocksdb_iter_next(iter->it);
}

static enum svm_err rocks_iter_close(struct svm_kv_iter *iter)
{
    char *text = NULL;
    rocksdb_iter_get_error(iter->it, &text);
    enum svm_err err = rocks_check(iter->rocks, text);
    rocksdb_iter_destroy(iter->it);
    free(iter);
    return err;
}

/* Only the flush is the database's own: what fails after it is the copy. */
static enum svm_err rocks_checkpoint(void *self, const char *dir, char reason[120])
{
    struct rocks *rocks = self;
    char *text = NULL;
    enum svm_err err = rocks_flush(rocks);
    if (err != SVM_OK) {
        const char *why = rocks_failure(rocks);
        snprintf(reason, 120, "cannot flush: %.100s", why == NULL ? svm_err_text(err) : why);
        return err;
    }
    rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(rocks->db, &text);
    if (text == NULL) {
        rocksdb_checkpoint_create(checkpoint, dir, 0, &text);
        rocksdb_checkpoint_object_destroy(checkpoint);
    }
    if (text == NULL)
        return SVM_OK;
    /* The C interface has no code for a full disk, only the text. */
    err = strstr(text, "No space left") != NULL ? SVM_E_STORAGE_FULL : SVM_E_IO;
    snprintf(reason, 120, "%s", text);
    rocksdb_free(text);
    return err;
}

static enum svm_err rocks_compact(void *self)
{
    struct rocks *rocks = self;
    rocksdb_compact_range(rocks->db, NULL, 0, NULL, 0);
    return rocks_background(rocks);
}

static void rocks_memory(void *self, struct svm_kv_memory *memory_out)
{
    struct rocks *rocks = self;
    memory_out->block_cache = rocksdb_cache_get_usage(rocks->block_cache);
    rocksdb_property_int(rocks->db, "rocksdb.size-all-mem-tables", &memory_out->write_buffers);
    rocksdb_property_int(rocks->db, "rocksdb.estimate-table-readers-mem",
                         &memory_out->table_readers);
}

static const char *rocks_failure(void *self)
{
    struct rocks *rocks = self;
    pthread_mutex_lock(&rocks->failure_lock);
    bool failed = rocks->failed; /* the text does not change any more */
    pthread_mutex_unlock(&rocks->failure_lock);
    return failed ? rocks->failure : NULL;
}

static void rocks_close(void *self)
{
    struct rocks *rocks = self;
    if (rocks->db != NULL)
        rocksdb_close(rocks->db);
    if (rocks->batch != NULL)
        rocksdb_writebatch_destroy(rocks->batch);
    if (rocks->flush != NULL)
        rocksdb_flushoptions_destroy(rocks->flush);
    if (rocks->read_point != NULL)
        rocksdb_readoptions_destroy(rocks->read_point);
    if (rocks->read_scan != NULL)
        rocksdb_readoptions_destroy(rocks->read_scan);
    if (rocks->write_plain != NULL)
        rocksdb_writeoptions_destroy(rocks->write_plain);
    if (rocks->options != NULL)
        rocksdb_options_destroy(rocks->options);
    if (rocks->file_options != NULL)
        rocksdb_options_destroy(rocks->file_options);
    if (rocks->file_env != NULL)
        rocksdb_envoptions_destroy(rocks->file_env);
    if (rocks->ingest != NULL)
        rocksdb_ingestexternalfileoptions_destroy(rocks->ingest);
    if (rocks->block_cache != NULL)
        rocksdb_cache_destroy(rocks->block_cache);
    for (size_t i = 0; i < INGEST_FILES; i++)
        free(rocks->file_path[i]);
    pthread_mutex_destroy(&rocks->batch_lock);
    pthread_mutex_destroy(&rocks->failure_lock);
    free(rocks);
}

/* ---- options ----------------------------------------------------------------------------------------------- */

static void options_common(rocksdb_options_t *options)
{
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_paranoid_checks(options, 1);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_max_open_files(options, OPEN_FILES_MAX);
    rocksdb_options_set_allow_concurrent_memtable_write(options, 0); /* one writer */
    rocksdb_options_set_use_fsync(options, 0);
    rocksdb_options_set_bytes_per_sync(options, MIB); /* of table files: spreads the write-back */
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_skip_stats_update_on_db_open(options, 1);
    rocksdb_options_set_info_log_level(options, INFO_LEVEL_WARN);
    rocksdb_options_set_max_log_file_size(options, 4 * MIB);
    rocksdb_options_set_keep_log_file_num(options, 2);
    rocksdb_options_set_max_write_buffer_number(options, BUFFERS_MAX);
}

static void options_state(rocksdb_options_t *options, rocksdb_block_based_table_options_t *table,
                          rocksdb_cache_t *block_cache)
{
    rocksdb_block_based_options_set_block_cache(table, block_cache);
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_block_based_options_set_whole_key_filtering(table, 1);
    rocksdb_block_based_options_set_block_size(table, BLOCK_BYTES);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
    int levels[LEVELS];
    for (int i = 0; i < LEVELS; i++)
        levels[i] = i < PLAIN_LEVELS ? rocksdb_no_compression : rocksdb_lz4_compression;
    rocksdb_options_set_num_levels(options, LEVELS);
    rocksdb_options_set_compression_per_level(options, levels, LEVELS);
    rocksdb_options_set_write_buffer_size(options, STATE_BUFFER_BYTES);
    rocksdb_options_compaction_readahead_size(options, READ_AHEAD_BYTES);
    rocksdb_options_set_bytes_per_sync(options, SYNC_AHEAD_BYTES);
    rocksdb_options_set_target_file_size_base(options, 64 * MIB);
    rocksdb_options_set_max_bytes_for_level_base(options, 512 * MIB);
    rocksdb_options_set_level0_file_num_compaction_trigger(options, LEVEL0_COMPACT);
    rocksdb_options_set_level0_slowdown_writes_trigger(options, LEVEL0_SLOW);
    rocksdb_options_set_level0_stop_writes_trigger(options, LEVEL0_STOP + 4);
}

/* cache_make: BYTES, in shards that hold the filter of a whole table (here up to 0.6 MiB): what does not fit into a shard is read again at
 * each get. The database's own choice is 512 KiB a shard. */
static rocksdb_cache_t *cache_make(uint64_t bytes)
{
    int bits = 0;
    while (bits < SHARD_BITS_MAX && bytes >> (bits + 1) >= SHARD_BYTES_MIN)
        bits++;
    rocksdb_lru_cache_options_t *options = rocksdb_lru_cache_options_create();
    rocksdb_lru_cache_options_set_capacity(options, bytes);
    rocksdb_lru_cache_options_set_num_shard_bits(options, bits);
    rocksdb_cache_t *cache = rocksdb_cache_create_lru_opts(options);
    rocksdb_lru_cache_options_destroy(options);
    return cache;
}

/* options_make: what the C API has no setter for goes through the text form. NULL with REASON on failure. */
static rocksdb_options_t *options_make(rocksdb_cache_t *block_cache, char reason[120])
{
    rocksdb_options_t *base = rocksdb_options_create();
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    char *text = NULL;

    options_common(base);
    options_state(base, table, block_cache);
    rocksdb_options_set_block_based_table_factory(base, table);
    rocksdb_block_based_options_destroy(table);

    rocksdb_get_options_from_string(base, "max_bgerror_resume_count=0", options, &text);
    rocksdb_options_destroy(base);
    if (text != NULL) {
        snprintf(reason, 120, "options of the database: %s", text);
        rocksdb_free(text);
        rocksdb_options_destroy(options);
        return NULL;
    }
    return options;
}

enum svm_err store_kv_rocks_open(struct svm_kv_ops *ops_out, const char *dir,
                                 uint64_t block_cache_bytes, char reason[120])
{
    struct rocks *rocks = calloc(1, sizeof *rocks);
    if (rocks == NULL) {
        snprintf(reason, 120, "out of memory");
        return SVM_E_NO_MEMORY;
    }
    pthread_mutex_init(&rocks->batch_lock, NULL);
    pthread_mutex_init(&rocks->failure_lock, NULL);
    rocks->block_cache = cache_make(block_cache_bytes);
    rocks->options = options_make(rocks->block_cache, reason);
    if (rocks->options == NULL) {
        rocks_close(rocks);
        return SVM_E_IO;
    }
    rocks->write_plain = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(rocks->write_plain, 1);
    rocks->read_point = rocksdb_readoptions_create();
    rocks->read_scan = rocksdb_readoptions_create();
    rocksdb_readoptions_set_fill_cache(rocks->read_scan, 0);
    rocks->flush = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(rocks->flush, 1);
    rocks->batch = rocksdb_writebatch_create();

    rocks->file_options = options_make(rocks->block_cache, reason);
    if (rocks->file_options == NULL) {
        rocks_close(rocks);
        return SVM_E_IO;
    }
    if (!ingest_make(rocks, dir)) {
        snprintf(reason, 120, "state: no room for its files in %.50s: %.30s", dir, strerror(errno));
        rocks_close(rocks);
        return SVM_E_IO;
    }
    /* such files are read and rewritten soon: none of their levels is worth compressing */
    rocksdb_options_set_compression_per_level(rocks->file_options, NULL, 0);
    rocksdb_options_set_compression(rocks->file_options, rocksdb_no_compression);

    char *text = NULL;
    rocks->db = rocksdb_open(rocks->options, dir, &text);
    if (text != NULL) {
        bool damaged = strncmp(text, "Corruption", 10) == 0;
        snprintf(reason, 120, "state: %s", text);
        rocksdb_free(text);
        rocks_close(rocks);
        return damaged ? SVM_E_CORRUPT : SVM_E_IO;
    }
    *ops_out = (struct svm_kv_ops){
        .self = rocks,
        .write = rocks_write,
        .sync = rocks_flush,
        .flush = rocks_flush,
        .ingest = rocks_ingest,
        .del_range = rocks_del_range,
        .drop = rocks_drop,
        .get = rocks_get,
        .iter_open = rocks_iter_open,
        .iter_seek = rocks_iter_seek,
        .iter_seek_last = rocks_iter_seek_last,
        .iter_valid = rocks_iter_valid,
        .iter_next = rocks_iter_next,
        .iter_close = rocks_iter_close,
        .checkpoint = rocks_checkpoint,
        .compact = rocks_compact,
        .memory = rocks_memory,
        .close = rocks_close,
        .failure = rocks_failure,
    };
    return SVM_OK;
}
