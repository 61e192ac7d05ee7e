#include "gateway/waits.h"

#include <stdlib.h>

#include "base/assert.h"
#include "gateway/state.h"

struct wait_group *waits_create(struct gateway *gateway, size_t count)
{
    if (count > GATEWAY_WAITERS_MAX - gateway->waiters) {
        return NULL;
    }
    struct wait_group *group = calloc(1, sizeof *group + count * sizeof group->items[0]);
    if (group == NULL) {
        return NULL;
    }
    group->gateway = gateway;
    group->count = count;
    for (size_t i = 0; i < count; i++) {
        group->items[i].group = group;
    }
    gateway->waiters += count;
    return group;
}

static void group_free(struct wait_group *group)
{
    SVM_ASSERT(group->outstanding == 0);
    for (size_t i = 0; i < group->count; i++) {
        if (group->items[i].receipt != NULL) {
            svm_receipt_free(group->items[i].receipt);
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

/* On a thread of the engine. Everything is written before the push, and read after the pop. */
static void submit_callback(void *arg, const struct svm_outcome *outcome)
{
    struct wait_item *item = arg;
    struct gateway *gateway = item->group->gateway;
    item->err = outcome->err;
    item->pending = outcome->pending;
    item->duplicate = outcome->duplicate;
    item->durable = outcome->durable;
    item->digest_known = outcome->digest_known;
    item->digest = outcome->digest;
    item->durable_seq = outcome->durable_seq;
    if (outcome->receipt != NULL) {
        item->receipt = svm_receipt_copy(outcome->receipt);
        if (item->receipt == NULL) {
            item->err = SVM_E_NO_MEMORY;
        }
    } else if (outcome->refusal != NULL) {
        item->refusal = refusal_copy(outcome->refusal);
    }
    ring_push(gateway->completions, item);
    uv_async_send(&gateway->wake);
}

static void item_refuse(struct wait_item *item, enum svm_err err, const struct svm_refusal *refusal)
{
    item->err = err;
    item->refusal = refusal != NULL ? refusal_copy(refusal) : NULL;
    item->finished = true;
}

void waits_submit(struct wait_group *group, size_t index, struct svm_bytes bytes,
                  enum svm_wait wait)
{
    struct wait_item *item = &group->items[index];
    struct svm_refusal refusal = {0};
    if (group->gateway->draining) {
        item_refuse(item, SVM_E_SHUTTING_DOWN, NULL);
        return;
    }
    const enum svm_err err =
        svm_submit(group->gateway->engine, bytes, wait, submit_callback, item, &refusal);
    if (err == SVM_OK) {
        group->outstanding++;
    } else {
        item_refuse(item, err, &refusal);
    }
}

void waits_await(struct wait_group *group, size_t index, const struct svm_digest *digest,
                 enum svm_wait wait)
{
    struct wait_item *item = &group->items[index];
    const enum svm_err err = svm_wait(group->gateway->engine, digest, wait, submit_callback, item);
    if (err == SVM_OK) {
        group->outstanding++;
    } else {
        item_refuse(item, err, NULL);
    }
}

void waits_submit_all(struct wait_group *group, const struct svm_bytes *txs, enum svm_wait wait)
{
    const size_t count = group->count;
    struct svm_submission *submissions = calloc(count > 0 ? count : 1, sizeof *submissions);
    struct svm_refusal *refusals = calloc(count > 0 ? count : 1, sizeof *refusals);
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
        submissions[i].bytes = txs[i];
        submissions[i].arg = &group->items[i];
        submissions[i].refusal = &refusals[i];
    }
    svm_submit_batch(group->gateway->engine, submissions, count, wait, submit_callback);
    for (size_t i = 0; i < count; i++) {
        if (submissions[i].err == SVM_OK) {
            group->outstanding++;
        } else {
            item_refuse(&group->items[i], submissions[i].err, &refusals[i]);
        }
    }
    free(refusals);
    free(submissions);
}

/* Tell the owner; then the group is gone, or a tombstone. */
static void group_answer(struct wait_group *group)
{
    wait_done_fn *done = group->done;
    deadlines_unset(&group->gateway->deadlines, &group->deadline);
    group->done = NULL;
    done(group->arg, group);
    if (group->outstanding == 0) {
        group_free(group);
    }
}

static void group_late(struct deadline *deadline)
{
    struct wait_group *group =
        (struct wait_group *)(void *)((char *)deadline - offsetof(struct wait_group, deadline));
    group_answer(group);
}

bool waits_start(struct wait_group *group, uint32_t timeout_ms, wait_done_fn *done, void *arg)
{
    if (group->outstanding == 0) {
        return true;
    }
    struct gateway *gateway = group->gateway;
    group->done = done;
    group->arg = arg;
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
    struct wait_item *item;
    while ((item = ring_try_pop(gateway->completions)) != NULL) {
        struct wait_group *group = item->group;
        item->finished = true;
        SVM_ASSERT(group->outstanding > 0);
        if (--group->outstanding > 0) {
            continue;
        }
        if (group->done != NULL) {
            group_answer(group);
        } else {
            group_free(group);
        }
    }
}
