/* All orders of the steps of a small test, depth first, each once: and seeded samples of them. */
#include <string.h>

#include "base/assert.h"
#include "weave.h"

enum { DEPTH_MAX = 4000, SEARCH_STEPS_MAX = DEPTH_MAX };

/* A moment of the run that is being searched: who could go on, with what, and who need not be tried: somebody who was tried here or before and
 * whose step nobody's has touched since. */
struct node {
    uint64_t runnable, sleep, done;
    int chosen;
    struct weave_op ops[WEAVE_THREADS_MAX];
};

static struct {
    struct node *path[DEPTH_MAX];
    int length; /* decided ones */
    int depth;  /* of the run now */
} search;

static bool independent(const struct weave_op *a, const struct weave_op *b)
{
    return a->at == NULL || b->at == NULL || a->at != b->at || (!a->write && !b->write);
}

/* Who sleeps after CHOSEN has gone on from NODE. */
static uint64_t sleep_after(const struct node *node)
{
    uint64_t sleep = 0;
    for (uint64_t rest = node->sleep | node->done; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctzll(rest);
        if (i != node->chosen && independent(&node->ops[i], &node->ops[node->chosen]))
            sleep |= UINT64_C(1) << i;
    }
    return sleep;
}

static int first_of(uint64_t bits, int preferred)
{
    if (preferred >= 0 && (bits >> preferred & 1) != 0)
        return preferred;
    return __builtin_ctzll(bits);
}

int weave_choose_all(uint64_t runnable, int current, const struct weave_op *ops)
{
    /* Alone: no choice, and whoever sleeps cannot run. */
    SVM_ASSERT(search.depth < DEPTH_MAX);
    struct node *node = search.path[search.depth];
    if (search.depth < search.length) {
        SVM_ASSERT(node->runnable == runnable); /* the same choices lead to the same place */
        search.depth++;
        return node->chosen;
    }
    enum weave_heap heap = weave_heap_enter(WEAVE_SYSTEM);
    if (node == NULL)
        node = search.path[search.depth] = __builtin_malloc(sizeof *node);
    weave_heap_enter(heap);
    uint64_t sleep = search.depth == 0 ? 0 : sleep_after(search.path[search.depth - 1]);
    if ((runnable & ~sleep) == 0)
        return -1;
    node->runnable = runnable;
    node->sleep = sleep;
    node->done = 0;
    node->chosen = first_of(runnable & ~sleep, current);
    memcpy(node->ops, ops, sizeof node->ops);
    search.length = ++search.depth;
    return node->chosen;
}

/* next: the last moment with somebody left to try. false = there is none. */
static bool next(void)
{
    while (search.length > 0) {
        struct node *node = search.path[search.length - 1];
        node->done |= UINT64_C(1) << node->chosen;
        uint64_t left = node->runnable & ~node->sleep & ~node->done;
        if (left != 0) {
            node->chosen = __builtin_ctzll(left);
            return true;
        }
        search.length--;
    }
    return false;
}

static void prepare(const struct weave_case *test)
{
    weave_heap_reset(WEAVE_LIFE);
    enum weave_heap heap = weave_heap_enter(WEAVE_LIFE);
    test->setup();
    weave_heap_save(WEAVE_LIFE);
    weave_heap_enter(heap);
}

static enum weave_end run_once(const struct weave_case *test, const struct weave_options *options,
                               struct weave_found *found)
{
    weave_heap_restore(WEAVE_LIFE);
    weave_transcript_clear();
    enum weave_heap heap = weave_heap_enter(WEAVE_LIFE);
    enum weave_end end = weave_run(options, test->run, NULL);
    weave_heap_enter(heap);
    found->runs++;
    found->pruned += end == WEAVE_PRUNED;
    found->failed |= end == WEAVE_FAILED;
    if (weave_steps() > found->steps_most)
        found->steps_most = weave_steps();
    return end;
}

void weave_search(struct weave_found *found, const struct weave_case *test, uint64_t limit)
{
    *found = (struct weave_found){0};
    const struct weave_options options = {
        .policy = WEAVE_ALL, .gap = 1, .steps_max = SEARCH_STEPS_MAX};
    search.length = 0;
    prepare(test);
    do {
        search.depth = 0;
        run_once(test, &options, found);
        found->complete = !found->failed && !next();
    } while (!found->failed && !found->complete && found->runs < limit);
}

void weave_sample(struct weave_found *found, const struct weave_case *test, uint64_t seed,
                  uint64_t runs)
{
    *found = (struct weave_found){0};
    prepare(test);
    for (uint64_t i = 0; i < runs && !found->failed; i++) {
        struct weave_options options = {.seed = seed + i,
                                        .policy = i % 3 == 0 ? WEAVE_PRIORITY : WEAVE_UNIFORM,
                                        .gap = i % 2 == 0 ? 1 : 3,
                                        .step_ns = 100,
                                        .weak_one_in = i % 5 == 0 ? 10 : 0,
                                        .steps_max = 100000};
        run_once(test, &options, found);
    }
}
