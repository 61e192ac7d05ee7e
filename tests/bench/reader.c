#include "bench/reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"

enum { KEPT = 256, NAP_NS = 1000 * 1000 };

struct reader {
    pthread_t thread;
    struct svm_snapshot *snapshot;
    const struct population *population;
    uint64_t versions[KEPT], counters[KEPT], reads;
    _Atomic bool stop;
};

static void read_one(struct reader *reader, unsigned at, uint64_t *version, uint64_t *counter)
{
    struct svm_object *object;
    const struct population *population = reader->population;
    const uint32_t index = (uint32_t)((uint64_t)population->count * at / KEPT);
    const enum svm_err err = svm_object_get(reader->snapshot, &population->ids[index], &object);
    if (err != SVM_OK)
        die("the long reader: %s", svm_err_name(err));
    *version = object->version;
    *counter = object->data.len == COUNTER_BYTES ? bytes_get_u64le(object->data.ptr) : 0;
    svm_object_free(object);
    reader->reads++;
}

static void *read_on(void *arg)
{
    struct reader *reader = arg;
    for (unsigned at = 0; !atomic_load(&reader->stop); at = (at + 1) % KEPT) {
        uint64_t version, counter;
        read_one(reader, at, &version, &counter);
        if (version != reader->versions[at] || counter != reader->counters[at])
            die("the long reader: what the snapshot holds has changed: no figure");
        nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
    return NULL;
}

struct reader *reader_start(struct rig *rig, const struct population *population)
{
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL || svm_snapshot_open(rig->engine, &reader->snapshot) != SVM_OK)
        die("the long reader has no snapshot");
    reader->population = population;
    for (unsigned at = 0; at < KEPT; at++)
        read_one(reader, at, &reader->versions[at], &reader->counters[at]);
    if (pthread_create(&reader->thread, NULL, read_on, reader) != 0)
        die("cannot start a thread");
    return reader;
}

uint64_t reader_stop(struct reader *reader)
{
    atomic_store(&reader->stop, true);
    pthread_join(reader->thread, NULL);
    const uint64_t reads = reader->reads;
    svm_snapshot_close(reader->snapshot);
    free(reader);
    return reads;
}
