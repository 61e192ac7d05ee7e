/* exec/scheduler.c - dependency scheduler: one queue per object.
 *
 *      object A:  [w job 1] [r job 4] [r job 5] [w job 9]        granted: what nothing in the same queue stands before
 *      object B:  [r job 4] [r job 7]                            ready:   granted in every queue it stands in
 *
 * The edges of the dependency graph are not stored: they are the neighbours in the queues. A reference is granted when it
 * enters if only readers are before it (a reader) or nobody is (a writer), else when those leave. Each reference enters,
 * is granted and leaves once, so a job costs O(references) over its whole life, whatever it waits for.
 *
 * A run is a piece of a queue that one worker does from its first job to its last, so what stands behind the first is granted
 * ahead of time: "nothing before it that is not of the same run". A queue's granted references are then the readers or the writers of
 * one run at its front, and whoever leaves from between them grants nothing.
 *
 * Ids are hashes that somebody may have ground to collide, so the table's hash is keyed with randomness; the order of
 * anything answered depends on the order of insertion alone.
 *
 * Memory: nodes come from chunks that grow to the peak and stay until destroy. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/secret.h"
#include "exec/exec.h"

enum { CHUNK_ITEMS = 512, BUCKETS_MIN = 1024 };

/* One reference of one job, a link of its object's queue. */
struct node {
    struct object *object;
    struct node *before;  /* in the queue of the object */
    struct node *after;   /* likewise; in the pool: the next free node */
    struct node *sibling; /* next reference of the same job */
    uint32_t job;
    bool write;
    bool granted;
};

struct object {
    struct svm_id id;
    struct object *next; /* in the bucket; in the pool: the next free object */
    struct node *first;
    struct node *last;
    uint32_t hash;
    uint32_t count; /* nodes */
    uint32_t writers;
    uint32_t depth; /* transactions */
};

struct job {
    uint64_t order; /* of insertion, from 1; 0 = not in the scheduler */
    struct node *refs;
    uint64_t run;   /* 0 = none */
    uint32_t waits; /* references not granted yet */
    uint32_t more;  /* transactions that it stands for besides its first */
};

struct chunk {
    struct chunk *next;
};
struct node_chunk {
    struct chunk head;
    struct node items[CHUNK_ITEMS];
};
struct object_chunk {
    struct chunk head;
    struct object items[CHUNK_ITEMS];
};

struct exec_scheduler {
    uint64_t key[2];
    uint64_t order;
    uint64_t runs; /* how many there were */
    uint32_t jobs_max;
    uint32_t transactions;
    struct job *jobs;
    struct object **buckets;
    size_t bucket_count; /* a power of two */
    size_t object_count;
    struct node *free_nodes;
    size_t free_node_count;
    struct object *free_objects;
    size_t free_object_count;
    struct chunk *chunks;
};

/* ---- pools -------------------------------------------------------------------------------------------------- */

static bool reserve_nodes(struct exec_scheduler *s, size_t count)
{
    while (s->free_node_count < count) {
        struct node_chunk *chunk = malloc(sizeof *chunk);
        if (chunk == NULL)
            return false;
        chunk->head.next = s->chunks;
        s->chunks = &chunk->head;
        for (size_t i = CHUNK_ITEMS; i-- > 0;) {
            chunk->items[i].after = s->free_nodes;
            s->free_nodes = &chunk->items[i];
        }
        s->free_node_count += CHUNK_ITEMS;
    }
    return true;
}

static bool reserve_objects(struct exec_scheduler *s, size_t count)
{
    while (s->free_object_count < count) {
        struct object_chunk *chunk = malloc(sizeof *chunk);
        if (chunk == NULL)
            return false;
        chunk->head.next = s->chunks;
        s->chunks = &chunk->head;
        for (size_t i = CHUNK_ITEMS; i-- > 0;) {
            chunk->items[i].next = s->free_objects;
            s->free_objects = &chunk->items[i];
        }
        s->free_object_count += CHUNK_ITEMS;
    }
    return true;
}

static struct node *take_node(struct exec_scheduler *s)
{
    struct node *node = s->free_nodes;
    SVM_ASSERT(node != NULL);
    s->free_nodes = node->after;
    s->free_node_count--;
    return node;
}

static void give_node(struct exec_scheduler *s, struct node *node)
{
    node->after = s->free_nodes;
    s->free_nodes = node;
    s->free_node_count++;
}

/* ---- table: id -> queue ------------------------------------------------------------------------------------- */

static uint32_t hash_id(const struct exec_scheduler *s, const struct svm_id *id)
{
    uint64_t hash = s->key[0];
    for (size_t i = 0; i < sizeof id->b; i += 8) {
        hash = (hash ^ bytes_get_u64le(id->b + i)) * s->key[1];
        hash ^= hash >> 32;
    }
    return (uint32_t)(hash ^ hash >> 29);
}

static struct object *find(const struct exec_scheduler *s, const struct svm_id *id, uint32_t hash)
{
    struct object *object = s->buckets[hash & (s->bucket_count - 1)];
    while (object != NULL && (object->hash != hash || memcmp(&object->id, id, sizeof *id) != 0))
        object = object->next;
    return object;
}

/* find_or_put: the queue of ID; a new one comes from the pool, which has one. */
static struct object *find_or_put(struct exec_scheduler *s, const struct svm_id *id)
{
    const uint32_t hash = hash_id(s, id);
    struct object *object = find(s, id, hash);
    if (object != NULL)
        return object;
    object = s->free_objects;
    SVM_ASSERT(object != NULL);
    s->free_objects = object->next;
    s->free_object_count--;
    struct object **bucket = &s->buckets[hash & (s->bucket_count - 1)];
    *object = (struct object){.id = *id, .next = *bucket, .hash = hash};
    *bucket = object;
    s->object_count++;
    return object;
}

static void del_object(struct exec_scheduler *s, struct object *object)
{
    struct object **link = &s->buckets[object->hash & (s->bucket_count - 1)];
    while (*link != object)
        link = &(*link)->next;
    *link = object->next;
    s->object_count--;
    object->next = s->free_objects;
    s->free_objects = object;
    s->free_object_count++;
}

/* grow: keep chains short; without memory for that they are longer, which is no failure. */
static void grow(struct exec_scheduler *s)
{
    const size_t count = s->bucket_count * 2;
    struct object **buckets = calloc(count, sizeof(struct object *));
    if (buckets == NULL)
        return;
    for (size_t i = 0; i < s->bucket_count; i++) {
        struct object *object = s->buckets[i];
        while (object != NULL) {
            struct object *next = object->next;
            object->next = buckets[object->hash & (count - 1)];
            buckets[object->hash & (count - 1)] = object;
            object = next;
        }
    }
    free(s->buckets);
    s->buckets = buckets;
    s->bucket_count = count;
}

/* ---- queues ------------------------------------------------------------------------------------------------- */

/* enter: JOB's reference goes to the end of OBJECT's queue; granted at once when nothing there stands before it. */
static struct node *enter(struct exec_scheduler *s, struct object *object, uint32_t job, bool write)
{
    struct node *node = take_node(s);
    *node = (struct node){.object = object, .before = object->last, .job = job, .write = write};
    node->granted = write ? object->count == 0 : object->writers == 0;
    if (object->last != NULL)
        object->last->after = node;
    else
        object->first = node;
    object->last = node;
    object->count++;
    object->depth++;
    object->writers += write ? 1 : 0;
    return node;
}

/* grant: NODE's queue no longer holds its job back. Returns whether nothing else does. */
static bool grant(struct exec_scheduler *s, struct node *node)
{
    struct job *job = &s->jobs[node->job];
    SVM_ASSERT(!node->granted && job->waits > 0);
    node->granted = true;
    return --job->waits == 0;
}

/* grant_next: after a departure: the first in the queue, and if it reads, the readers right behind it. */
static size_t grant_next(struct exec_scheduler *s, const struct object *object, uint32_t *ready_out)
{
    size_t ready = 0;
    struct node *node = object->first;
    if (node->write) {
        if (!node->granted && grant(s, node))
            ready_out[ready++] = node->job;
        return ready;
    }
    for (; node != NULL && !node->write && !node->granted; node = node->after) {
        if (grant(s, node))
            ready_out[ready++] = node->job;
    }
    return ready;
}

/* leave: take the granted NODE out of its queue. Returns how many jobs became ready. */
static size_t leave(struct exec_scheduler *s, struct node *node, uint32_t *ready_out)
{
    struct object *object = node->object;
    SVM_ASSERT(node->granted);
    if (node->before != NULL)
        node->before->after = node->after;
    else
        object->first = node->after;
    if (node->after != NULL)
        node->after->before = node->before;
    else
        object->last = node->before;
    object->count--;
    object->depth -= 1 + s->jobs[node->job].more;
    object->writers -= node->write ? 1 : 0;
    give_node(s, node);
    if (object->count == 0) {
        del_object(s, object);
        return 0;
    }
    return grant_next(s, object, ready_out);
}

/* ---- order -------------------------------------------------------------------------------------------------- */

static void sift_down(const struct job *jobs, uint32_t *heap, size_t count, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && jobs[heap[child]].order < jobs[heap[child + 1]].order)
            child++;
        if (jobs[heap[at]].order >= jobs[heap[child]].order)
            return;
        const uint32_t job = heap[at];
        heap[at] = heap[child];
        heap[child] = job;
        at = child;
    }
}

/* sort_by_order: heapsort, after a look whether anything is to be done: the jobs of one queue come in order. */
static void sort_by_order(const struct job *jobs, uint32_t *list, size_t count)
{
    size_t sorted = 1;
    while (sorted < count && jobs[list[sorted - 1]].order < jobs[list[sorted]].order)
        sorted++;
    if (sorted >= count)
        return;
    for (size_t i = count / 2; i-- > 0;)
        sift_down(jobs, list, count, i);
    for (size_t end = count - 1; end > 0; end--) {
        const uint32_t job = list[0];
        list[0] = list[end];
        list[end] = job;
        sift_down(jobs, list, end, 0);
    }
}

/* ---- door --------------------------------------------------------------------------------------------------- */

struct exec_scheduler *exec_scheduler_create(uint32_t jobs_max)
{
    struct exec_scheduler *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    crypto_random(s->key, sizeof s->key);
    s->key[1] |= 1;
    s->jobs_max = jobs_max;
    s->bucket_count = BUCKETS_MIN;
    s->jobs = calloc(jobs_max > 0 ? jobs_max : 1, sizeof *s->jobs);
    s->buckets = calloc(s->bucket_count, sizeof(struct object *));
    if (s->jobs == NULL || s->buckets == NULL) {
        exec_scheduler_destroy(s);
        return NULL;
    }
    return s;
}

void exec_scheduler_destroy(struct exec_scheduler *s)
{
    if (s == NULL)
        return;
    while (s->chunks != NULL) {
        struct chunk *chunk = s->chunks;
        s->chunks = chunk->next;
        free(chunk);
    }
    free(s->buckets);
    free(s->jobs);
    free(s);
}

enum svm_err exec_scheduler_insert(struct exec_scheduler *s, uint32_t job,
                                   const struct exec_ref *refs, size_t ref_count, bool *ready_out)
{
    SVM_ASSERT(job < s->jobs_max && s->jobs[job].order == 0);
    SVM_ASSERT(ref_count <= SVM_TX_INPUTS_MAX);
    if (!reserve_nodes(s, ref_count) || !reserve_objects(s, ref_count))
        return SVM_E_NO_MEMORY;
    struct job *entry = &s->jobs[job];
    *entry = (struct job){.order = ++s->order};
    for (size_t i = ref_count; i-- > 0;) {
        SVM_ASSERT(i == 0 || memcmp(&refs[i - 1].id, &refs[i].id, sizeof refs[i].id) < 0);
        struct node *node = enter(s, find_or_put(s, &refs[i].id), job, refs[i].write);
        node->sibling = entry->refs;
        entry->refs = node;
        entry->waits += node->granted ? 0 : 1;
    }
    if (s->object_count > s->bucket_count)
        grow(s);
    s->transactions++;
    *ready_out = entry->waits == 0;
    return SVM_OK;
}

/* Is NODE held back by nothing but a writer of RUN? All that stands before that one left long ago or is of RUN too. */
static bool behind_run(const struct exec_scheduler *s, const struct node *node, uint64_t run)
{
    return node->write && node->before->write && node->before->granted &&
           s->jobs[node->before->job].run == run;
}

/* extend: the job of at most MAX transactions that may follow LAST, the last one of RUN; granted. NULL = there is none. */
static const struct node *extend(struct exec_scheduler *s, uint32_t last, uint64_t run, size_t max)
{
    for (const struct node *at = s->jobs[last].refs; at != NULL; at = at->sibling) {
        const struct node *next = at->after;
        if (next == NULL || next->granted || s->jobs[next->job].more >= max)
            continue;
        struct node *ref = s->jobs[next->job].refs;
        while (ref != NULL && (ref->granted || behind_run(s, ref, run)))
            ref = ref->sibling;
        if (ref != NULL)
            continue;
        for (ref = s->jobs[next->job].refs; ref != NULL; ref = ref->sibling) {
            if (!ref->granted)
                (void)grant(s, ref);
        }
        s->jobs[next->job].run = run;
        return next;
    }
    return NULL;
}

size_t exec_scheduler_run(struct exec_scheduler *s, uint32_t job, uint32_t *run_out, size_t max)
{
    SVM_ASSERT(job < s->jobs_max && s->jobs[job].order != 0);
    SVM_ASSERT(s->jobs[job].waits == 0 && s->jobs[job].run == 0);
    const uint64_t run = s->jobs[job].run = ++s->runs;
    size_t count = 0, transactions = s->jobs[job].more;
    while (transactions < max) {
        const struct node *next = extend(s, job, run, max - transactions);
        if (next == NULL)
            break;
        job = run_out[count++] = next->job;
        transactions += 1 + s->jobs[job].more;
    }
    return count;
}

bool exec_scheduler_more(struct exec_scheduler *s, uint32_t job, uint32_t depth_max)
{
    SVM_ASSERT(job < s->jobs_max && s->jobs[job].order != 0 && s->jobs[job].run == 0);
    for (const struct node *node = s->jobs[job].refs; node != NULL; node = node->sibling) {
        SVM_ASSERT(node->write && node->after == NULL);
        if (node->object->depth >= depth_max)
            return false;
    }
    for (const struct node *node = s->jobs[job].refs; node != NULL; node = node->sibling)
        node->object->depth++;
    s->jobs[job].more++;
    s->transactions++;
    return true;
}

uint32_t exec_scheduler_depth(const struct exec_scheduler *s, const struct svm_id *id)
{
    const struct object *object = find(s, id, hash_id(s, id));
    return object != NULL ? object->depth : 0;
}

size_t exec_scheduler_finish(struct exec_scheduler *s, uint32_t job, uint32_t *ready_out)
{
    SVM_ASSERT(job < s->jobs_max && s->jobs[job].order != 0);
    SVM_ASSERT(s->jobs[job].waits == 0);
    size_t ready = 0;
    struct node *node = s->jobs[job].refs;
    while (node != NULL) {
        struct node *sibling = node->sibling;
        ready += leave(s, node, ready_out + ready);
        node = sibling;
    }
    s->transactions -= 1 + s->jobs[job].more;
    s->jobs[job] = (struct job){0};
    sort_by_order(s->jobs, ready_out, ready);
    return ready;
}

size_t exec_scheduler_count(const struct exec_scheduler *s)
{
    return s->transactions;
}
