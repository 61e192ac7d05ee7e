/* Rings, parking, reclamation. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/park.h"
#include "base/qsbr.h"
#include "base/ring.h"
#include "cases.h"

/* ---- the weaver itself: two threads of six steps each at one place, then at two -------------------------------------------- */

enum { TOY_STEPS = 6 };
static _Atomic int toy[2];

static void toy_setup(void) {}

static void *toy_add(void *arg)
{
    (void)arg;
    for (int i = 0; i < TOY_STEPS; i++)
        atomic_fetch_add(&toy[0], 1);
    return NULL;
}

/* The defect: a load and a store. */
static void *toy_add_torn(void *arg)
{
    (void)arg;
    for (int i = 0; i < TOY_STEPS / 2; i++)
        if (case_wrong)
            atomic_store(&toy[0], atomic_load(&toy[0]) + 2);
        else
            atomic_fetch_add(&toy[0], 2);
    return NULL;
}

static void toy_one_place(void *arg)
{
    static void *(*const right[])(void *) = {toy_add, toy_add};
    static void *(*const torn[])(void *) = {toy_add, toy_add_torn};
    (void)arg;
    atomic_init(&toy[0], 0);
    case_threads(case_wrong ? torn : right, 2);
    CASE_CHECK(atomic_load(&toy[0]) == 2 * TOY_STEPS);
}

/* ---- a ring of two cells --------------------------------------------------------------------------------------------- */

enum { ITEMS = 4 };
static struct ring *ring;
static int taken[ITEMS]; /* how often each item was */
static bool pushed[ITEMS];

static void ring_setup(void)
{
    ring = ring_create(2);
}

static void take(void)
{
    int *got = ring_try_pop(ring);
    if (got != NULL)
        ++*got;
}

static void *push_first(void *arg)
{
    (void)arg;
    pushed[0] = ring_try_push(ring, &taken[0]);
    pushed[1] = ring_try_push(ring, &taken[1]);
    return NULL;
}

static void *push_second(void *arg)
{
    (void)arg;
    pushed[2] = ring_try_push(ring, &taken[2]);
    return NULL;
}

static void *pop_one(void *arg)
{
    (void)arg;
    take();
    return NULL;
}

static void *pop_two(void *arg)
{
    (void)arg;
    take();
    take();
    return NULL;
}

/* Of three items two have room at first; what is pushed comes out once. */
static void ring_two_producers(void *arg)
{
    static void *(*const runs[])(void *) = {push_first, push_second, pop_one};
    (void)arg;
    memset(taken, 0, sizeof taken);
    case_threads(runs, 3);
    take();
    take();
    for (int i = 0; i < 3; i++)
        CASE_CHECK(taken[i] == pushed[i]);
    CASE_CHECK(ring_try_pop(ring) == NULL);
}

static void ring_two_consumers(void *arg)
{
    static void *(*const runs[])(void *) = {push_first, pop_two, pop_one};
    (void)arg;
    memset(taken, 0, sizeof taken);
    case_threads(runs, 3);
    take();
    take();
    CASE_CHECK(taken[0] == 1);
    CASE_CHECK(taken[1] == 1);
}

/* ---- parking: two who have put work wake one who sleeps until it is there --------------------------------------------- */

static struct park park;
static _Atomic uint32_t work;

static void park_setup(void) {}

static void park_threads(void *(*const *runs)(void *), size_t count)
{
    park_init(&park);
    atomic_init(&work, 0);
    case_threads(runs, count);
}

static void *sleep_until_work(void *arg)
{
    (void)arg;
    for (;;) {
        bool there = case_wrong && atomic_load(&work) > 0;
        uint32_t ticket = park_prepare(&park);
        if (!case_wrong)
            there = atomic_load(&work) > 0;
        if (there) {
            park_cancel(&park);
            return NULL;
        }
        park_wait(&park, ticket, 0);
    }
}

static void *put_work(void *arg)
{
    (void)arg;
    atomic_fetch_add(&work, 1);
    park_wake(&park);
    return NULL;
}

static void park_two_wakers(void *arg)
{
    static void *(*const runs[])(void *) = {sleep_until_work, put_work, put_work};
    (void)arg;
    park_threads(runs, 3);
}

static void *put_work_for_all(void *arg)
{
    (void)arg;
    atomic_fetch_add(&work, 1);
    park_wake_all(&park);
    return NULL;
}

static void park_two_sleepers(void *arg)
{
    static void *(*const runs[])(void *) = {sleep_until_work, sleep_until_work, put_work_for_all};
    (void)arg;
    park_threads(runs, 3);
}

/* ---- reclamation: a reader of a pointer that is replaced ----------------------------------------------------------------- */

struct block {
    struct qsbr_entry entry;
    _Atomic uint64_t value; /* 1 while it may be read */
};
static struct qsbr *domain;
static struct qsbr_thread *reader_thread, *writer_thread;
static _Atomic(struct block *) shared;
static struct block *first;

static void reclaim(void *arg, struct qsbr_entry *entry)
{
    (void)arg;
    atomic_store(&((struct block *)entry)->value, 0);
    free(entry);
}

static struct block *make_block(void)
{
    struct block *block = calloc(1, sizeof *block);
    atomic_init(&block->value, 1);
    return block;
}

static void qsbr_setup(void)
{
    qsbr_reclaim_fn *const kinds[QSBR_KINDS] = {reclaim, reclaim, reclaim, reclaim};
    domain = qsbr_create(2, kinds, NULL);
    reader_thread = qsbr_thread_create(domain, NULL);
    writer_thread = qsbr_thread_create(domain, NULL);
    first = make_block();
}

static void *read_twice(void *arg)
{
    (void)arg;
    qsbr_online(reader_thread);
    for (int i = 0; i < 2; i++) {
        struct block *block = atomic_load(&shared);
        if (case_wrong)
            qsbr_quiesce(reader_thread); /* while it holds the pointer */
        CASE_CHECK(atomic_load(&block->value) == 1);
        if (!case_wrong)
            qsbr_quiesce(reader_thread);
    }
    qsbr_offline(reader_thread);
    return NULL;
}

static void *replace(void *arg)
{
    (void)arg;
    struct block *old = atomic_exchange(&shared, make_block());
    qsbr_retire(writer_thread, 0, &old->entry, sizeof *old);
    qsbr_drain(writer_thread);
    qsbr_drain(writer_thread);
    return NULL;
}

static void qsbr_threads(void *(*const *runs)(void *))
{
    atomic_init(&shared, first);
    case_threads(runs, 2);
}

static void qsbr_reader_writer(void *arg)
{
    static void *(*const runs[])(void *) = {read_twice, replace};
    (void)arg;
    qsbr_threads(runs);
    qsbr_drain(writer_thread);
    qsbr_drain(writer_thread);
    CASE_CHECK(qsbr_pending(writer_thread) == 0);
}

/* One goes offline and online again between two reads, and the writer leaves what it has to the domain. */
static void *come_and_go(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        qsbr_online(reader_thread);
        struct block *block = atomic_load(&shared);
        if (case_wrong)
            qsbr_offline(reader_thread);
        CASE_CHECK(atomic_load(&block->value) == 1);
        if (!case_wrong)
            qsbr_offline(reader_thread);
    }
    return NULL;
}

static void qsbr_come_and_go(void *arg)
{
    static void *(*const runs[])(void *) = {come_and_go, replace};
    (void)arg;
    qsbr_threads(runs);
}

const struct case_of cases_base[] = {
    {{"the weaver: twelve steps", toy_setup, toy_one_place}, "a load and a store", NULL},
    {{"ring: two producers, consumer", ring_setup, ring_two_producers},
     "no compare-and-swap",
     "ring-no-cas"},
    {{"ring: producer, two consumers", ring_setup, ring_two_consumers},
     "no compare-and-swap",
     "ring-no-cas"},
    {{"park: sleeper, two wakers", park_setup, park_two_wakers}, "no look after the ticket", NULL},
    {{"park: two sleepers, waker", park_setup, park_two_sleepers},
     "no look after the ticket",
     NULL},
    {{"qsbr: reader, writer", qsbr_setup, qsbr_reader_writer},
     "quiet while holding a pointer",
     NULL},
    {{"qsbr: offline and online", qsbr_setup, qsbr_come_and_go},
     "offline while holding a pointer",
     NULL},
    {{NULL, NULL, NULL}, NULL, NULL}};
