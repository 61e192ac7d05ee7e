#include "gateway/waits.h"

#include <stdlib.h>

#include "base/assert.h"
#include "gateway/state.h"

/* Most receipts fit: one change for what was paid from, one for what it became. */
enum { PLACE_CHANGES = 2 };
struct wait_place {
    struct svm_receipt receipt;
    struct svm_change changes[PLACE_CHANGES];
};

struct wait_group *waits_create(struct gateway *gateway, size_t count, enum wait_detail detail)
{
    if (count > GATEWAY_WAITERS_MAX - gateway->waiters) {
        return NULL;
    }
    struct wait_group *group =
        malloc(sizeof *group + count * (sizeof group->items[0] + sizeof(struct wait_place)));
    if (group == NULL) {
        return NULL;
    }
    *group = (struct wait_group){.gateway = gateway,
                                 .detail = detail,
                                 .count = count,
                                 .places = (struct wait_place *)(void *)&group->items[count]};
    atomic_init(&group->outstanding, count + 1);
    for (size_t i = 0; i < count; i++) {
        group->items[i] = (struct wait_item){.group = group};
    }
    gateway->waiters += count;
    return group;
}

static void group_free(struct wait_group *group)
{
    SVM_ASSERT(atomic_load_explicit(&group->outstanding, memory_order_relaxed) == 0);
    for (size_t i = 0; i < group->count; i++) {
        struct svm_receipt *receipt = group->items[i].receipt;
        if (receipt != NULL && receipt != &group->places[i].receipt) {
            svm_receipt_free(receipt);
        }
        free(group->items[i].refusal);
    }
    group->gateway->waiters -= group->count;
    free(group);
}

static struct svm_refusal *refusal_copy(const struct svm_refusal *refusal)
{
    struct svm_refusal *copy = malloc(sizeof *copy);
    if (copy != NULL) {
        *copy = *refusal;
    }
    return copy;
}

static struct svm_receipt *receipt_keep(struct wait_item *item, const struct svm_receipt *receipt)
{
    const struct wait_group *group = item->group;
    struct wait_place *place = &group->places[item - group->items];
    const uint16_t changes = group->detail == WAIT_BRIEF ? 0 : receipt->change_count;
    if (changes > PLACE_CHANGES) {
        return svm_receipt_copy(receipt);
    }
    place->receipt = *receipt;
    place->receipt.change_count = changes;
    place->receipt.changes = place->changes;
    for (uint16_t i = 0; i < changes; i++) {
        place->changes[i] = receipt->changes[i];
    }
    return &place->receipt;
}

/* COUNT of the group's callbacks have come, or will not come. True: they were the last ones. */
static bool group_count_down(struct wait_group *group, size_t count)
{
    /* release: what was written of the items; acquire, of the last: what all others have written */
    return atomic_fetch_sub_explicit(&group->outstanding, count, memory_order_acq_rel) == count;
}

/* One of the group's callbacks has come. The last one gives the group to L. */
static void group_give(struct wait_group *group)
{
    struct gateway *gateway = group->gateway;
    if (group_count_down(group, 1)) {
        ring_push(gateway->completions, group);
        uv_async_send(&gateway->wake);
    }
}

/* On a thread of the engine. */
static void submit_callback(void *arg, const struct svm_outcome *outcome)
{
    struct wait_item *item = arg;
    struct wait_group *group = item->group;
    item->err = outcome->err;
    item->pending = outcome->pending;
    item->duplicate = outcome->duplicate;
    item->durable = outcome->durable;
    item->digest_known = outcome->digest_known;
    item->digest = outcome->digest;
    item->durable_seq = outcome->durable_seq;
    if (outcome->receipt != NULL) {
        item->receipt = receipt_keep(item, outcome->receipt);
        if (item->receipt == NULL) {
            item->err = SVM_E_NO_MEMORY;
        }
    } else if (outcome->refusal != NULL) {
        item->refusal = refusal_copy(outcome->refusal);
    }
    /* release: L may look at a group whose time is up while others of its callbacks are still to come */
    atomic_store_explicit(&item->reached, true, memory_order_release);
    group_give(group);
}

/* No callback will come: it was refused at once. */
static void item_refuse(struct wait_item *item, enum svm_err err, const struct svm_refusal *refusal)
{
    item->err = err;
    item->refusal = refusal != NULL ? refusal_copy(refusal) : NULL;
    atomic_store_explicit(&item->reached, true, memory_order_relaxed);
    group_give(item->group);
}

void waits_submit(struct wait_group *group, size_t index, struct svm_bytes bytes,
                  enum svm_wait wait)
{
    struct wait_item *item = &group->items[index];
    struct wait_queue *queue = &group->gateway->queue;
    if (group->gateway->draining) {
        item_refuse(item, SVM_E_SHUTTING_DOWN, NULL);
        return;
    }
    if (queue->count == WAITS_QUEUE_MAX) {
        waits_flush(group->gateway);
    }
    queue->entries[queue->count++] = (struct wait_queued){item, bytes, wait};
}

/* Entries BEGIN .. END - 1, which wait for the same. */
static void flush_alike(struct gateway *gateway, size_t begin, size_t end)
{
    struct svm_submission submissions[WAITS_QUEUE_MAX];
    struct svm_refusal refusals[WAITS_QUEUE_MAX];
    const struct wait_queued *entries = &gateway->queue.entries[begin];
    const size_t count = end - begin;
    for (size_t i = 0; i < count; i++) {
        submissions[i] = (struct svm_submission){
            .bytes = entries[i].bytes, .arg = entries[i].item, .refusal = &refusals[i]};
    }
    svm_submit_batch(gateway->engine, submissions, count, entries[0].wait, submit_callback);
    for (size_t i = 0; i < count; i++) {
        if (submissions[i].err != SVM_OK) {
            item_refuse(submissions[i].arg, submissions[i].err, &refusals[i]);
        }
    }
}

void waits_flush(struct gateway *gateway)
{
    const struct wait_queue *queue = &gateway->queue;
    size_t end;
    for (size_t begin = 0; begin < queue->count; begin = end) {
        end = begin + 1;
        while (end < queue->count && queue->entries[end].wait == queue->entries[begin].wait) {
            end++;
        }
        flush_alike(gateway, begin, end);
    }
    gateway->queue.count = 0;
}

void waits_await(struct wait_group *group, size_t index, const struct svm_digest *digest,
                 enum svm_wait wait)
{
    struct wait_item *item = &group->items[index];
    waits_flush(group->gateway); /* perhaps it waits for one of those */
    const enum svm_err err = svm_wait(group->gateway->engine, digest, wait, submit_callback, item);
    if (err != SVM_OK) {
        item_refuse(item, err, NULL);
    }
}

void waits_submit_all(struct wait_group *group, const struct svm_bytes *txs, enum svm_wait wait)
{
    const size_t count = group->count;
    waits_flush(group->gateway); /* they came before */
    struct svm_submission *submissions = malloc((count > 0 ? count : 1) * sizeof *submissions);
    struct svm_refusal *refusals = malloc((count > 0 ? count : 1) * sizeof *refusals);
    if (submissions == NULL || refusals == NULL || group->gateway->draining) {
        for (size_t i = 0; i < count; i++) {
            item_refuse(&group->items[i],
                        submissions == NULL || refusals == NULL ? SVM_E_NO_MEMORY
                                                                : SVM_E_SHUTTING_DOWN,
                        NULL);
        }
        free(refusals);
        free(submissions);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        submissions[i] = (struct svm_submission){
            .bytes = txs[i], .arg = &group->items[i], .refusal = &refusals[i]};
    }
    svm_submit_batch(group->gateway->engine, submissions, count, wait, submit_callback);
    for (size_t i = 0; i < count; i++) {
        if (submissions[i].err != SVM_OK) {
            item_refuse(&group->items[i], submissions[i].err, &refusals[i]);
        }
    }
    free(refusals);
    free(submissions);
}

/* What the callbacks have brought so far becomes L's. */
static void group_look(struct wait_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        group->items[i].finished =
            atomic_load_explicit(&group->items[i].reached, memory_order_acquire);
    }
}

static void group_answer(struct wait_group *group)
{
    wait_done_fn *done = group->done;
    group->done = NULL;
    group_look(group);
    done(group->arg, group);
}

/* The time is up: the group is a tombstone from here on. Perhaps it lies in the ring already; who takes it from there frees it. */
static void group_late(struct deadline *deadline)
{
    struct wait_group *group =
        (struct wait_group *)(void *)((char *)deadline - offsetof(struct wait_group, deadline));
    waits_flush(group->gateway); /* the bytes of one that is queued go with its answer */
    group_answer(group);
}

bool waits_start(struct wait_group *group, uint32_t timeout_ms, wait_done_fn *done, void *arg)
{
    struct gateway *gateway = group->gateway;
    group->done = done;
    group->arg = arg;
    if (group_count_down(group, 1)) {
        group->done = NULL;
        group_look(group);
        return true;
    }
    deadlines_set(&gateway->deadlines, &group->deadline, uv_now(gateway->loop), timeout_ms,
                  group_late);
    gateway_watch_deadlines(gateway);
    return false;
}

void waits_release(struct wait_group *group)
{
    SVM_ASSERT(group->done == NULL);
    group_free(group);
}

void waits_collect(struct gateway *gateway)
{
    struct wait_group *group;
    while ((group = ring_try_pop(gateway->completions)) != NULL) {
        if (group->done != NULL) {
            deadlines_unset(&gateway->deadlines, &group->deadline);
            group_answer(group);
        }
        group_free(group);
    }
}
