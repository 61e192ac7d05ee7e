#include "weave.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/rng.h"
#include "switch.h"

enum {
    STACK_BYTES = 1 << 20,
    GUARD_BYTES = 4096,
    NOTES = 1024, /* a power of two */
    NOTE_BYTES = 112,
    NAME_BYTES = 16,
    QUIET_MAX = 16,
    MASKED_GAP = INT_MAX / 2
};

enum state { FREE, RUNNABLE, BLOCKED, ENDED };
struct coroutine {
    enum state state;
    void *stack_pointer;
    char *stack;
    void *(*run)(void *);
    void *arg, *result;
    struct weave_op op;          /* what it does when it runs next */
    const volatile char *walked; /* what it read last */
    const volatile void *waits_for;
    uint64_t until_ns;
    bool timed_out, yielding;
    enum weave_heap heap;
    uint32_t masks;
    uint32_t priority;
    int saved_errno;
    char name[NAME_BYTES];
};

static struct {
    struct coroutine coroutines[WEAVE_THREADS_MAX];
    int count, current; /* current: -1 = outside of a run */
    uint64_t runnable;  /* bits */
    uint64_t next_timer_ns;
    void *root;
    struct weave_options options;
    struct rng rng;
    uint64_t steps, now_ns;
    uint64_t slow; /* WEAVE_STARVE: who */
    enum weave_end end;
    char failure[200];
    enum weave_heap outside_heap;
    struct {
        const volatile char *at;
        size_t len;
    } quiet[QUIET_MAX];
    int quiet_count;
} weave = {.current = -1};

int weave_gap = MASKED_GAP;

static struct coroutine *self(void)
{
    return &weave.coroutines[weave.current];
}

/* ---- transcript --------------------------------------------------------------------------------------------------- */

struct note {
    uint64_t step, now_ns;
    char who[NAME_BYTES];
    char text[NOTE_BYTES];
};
/* Points come by so often that what else there was to note would soon be gone. */
static struct {
    struct note notes[NOTES];
    uint64_t count;
} said, passed;

static struct note *note_new(struct note *notes, uint64_t *count)
{
    struct note *note = &notes[(*count)++ % NOTES];
    note->step = weave.steps;
    note->now_ns = weave.now_ns;
    snprintf(note->who, sizeof note->who, "%s", weave.current < 0 ? "-" : self()->name);
    return note;
}

void weave_note(const char *format, ...)
{
    va_list ap;
    struct note *note = note_new(said.notes, &said.count);
    va_start(ap, format);
    vsnprintf(note->text, sizeof note->text, format, ap);
    va_end(ap);
    *note_new(passed.notes, &passed.count) = *note;
}

static void show(const struct note *notes, uint64_t count, uint64_t last)
{
    uint64_t have = count < NOTES ? count : NOTES;
    have = have < last ? have : last;
    for (uint64_t i = count - have; i < count; i++)
        printf("    %9llu %11.6f s  %-12s %s\n", (unsigned long long)notes[i % NOTES].step,
               (double)notes[i % NOTES].now_ns / 1e9, notes[i % NOTES].who, notes[i % NOTES].text);
}

void weave_transcript(int last)
{
    show(said.notes, said.count, (uint64_t)last);
    printf("    ...and every point of the end:\n");
    show(passed.notes, passed.count, (uint64_t)last);
    fflush(stdout);
}

void weave_transcript_clear(void)
{
    said.count = passed.count = 0;
}

/* ---- who goes next -------------------------------------------------------------------------------------------------- */

uint64_t weave_random(uint64_t below)
{
    return rng_below(&weave.rng, below);
}

static int draw_gap(void)
{
    uint32_t mean = weave.options.gap;
    return mean <= 1 ? 1 : 1 + (int)weave_random(2 * (uint64_t)mean - 1);
}

static int pick_bit(uint64_t bits)
{
    uint64_t nth = weave_random((uint64_t)__builtin_popcountll(bits));
    while (nth-- > 0)
        bits &= bits - 1;
    return __builtin_ctzll(bits);
}

static int pick_priority(uint64_t bits)
{
    enum { CHANGE_ONE_IN = 300 };
    int best = -1;
    if (weave.current >= 0 && (self()->yielding || weave_random(CHANGE_ONE_IN) == 0))
        self()->priority = (uint32_t)weave_random(self()->priority + 1); /* falls */
    for (uint64_t rest = bits; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctzll(rest);
        if (best < 0 || weave.coroutines[i].priority > weave.coroutines[best].priority)
            best = i;
    }
    if (weave.coroutines[best].priority == 0) /* all have fallen */
        for (int i = 0; i < weave.count; i++)
            weave.coroutines[i].priority = 1 + (uint32_t)weave_random(1u << 20);
    return best;
}

static int choose(uint64_t bits)
{
    enum { SLOW_ONE_IN = 100 };
    uint64_t others = bits;
    if (weave.current >= 0 && self()->yielding && bits != (UINT64_C(1) << weave.current))
        others &= ~(UINT64_C(1) << weave.current);
    switch (weave.options.policy) {
    case WEAVE_ALL: {
        struct weave_op ops[WEAVE_THREADS_MAX];
        for (int i = 0; i < weave.count; i++)
            ops[i] = weave.coroutines[i].op;
        return weave_choose_all(others, weave.current, ops);
    }
    case WEAVE_PRIORITY:
        return pick_priority(others);
    case WEAVE_STARVE:
        if ((others & ~weave.slow) != 0 && weave_random(SLOW_ONE_IN) != 0)
            others &= ~weave.slow;
        return pick_bit(others);
    case WEAVE_UNIFORM:
        break;
    }
    return pick_bit(others);
}

/* ---- time ------------------------------------------------------------------------------------------------------------ */

static void timers_fire(void)
{
    weave.next_timer_ns = WEAVE_NEVER;
    for (int i = 0; i < weave.count; i++) {
        struct coroutine *c = &weave.coroutines[i];
        if (c->state != BLOCKED || c->until_ns == WEAVE_NEVER)
            continue;
        if (c->until_ns <= weave.now_ns) {
            c->state = RUNNABLE;
            c->timed_out = true;
            weave.runnable |= UINT64_C(1) << i;
        } else if (c->until_ns < weave.next_timer_ns) {
            weave.next_timer_ns = c->until_ns;
        }
    }
}

uint64_t weave_now_ns(void)
{
    return weave.now_ns;
}

uint64_t weave_wall_ms(void)
{
    static const uint64_t start_ms = 1767225600000u;
    return start_ms + weave.now_ns / 1000000u + (uint64_t)weave.options.wall_shift_ms;
}

/* ---- switching --------------------------------------------------------------------------------------------------------- */

static void go(int next)
{
    int before = weave.current;
    if (next == before) {
        self()->yielding = false;
        return;
    }
    void *nowhere;
    void **from = before < 0 ? &weave.root : &self()->stack_pointer;
    if (before >= 0) {
        self()->saved_errno = errno;
        if (self()->state == ENDED)
            from = &nowhere;
    }
    weave.current = next;
    if (next >= 0)
        self()->yielding = false;
    switch_to(from, next < 0 ? weave.root : weave.coroutines[next].stack_pointer);
    if (weave.current >= 0)
        errno = self()->saved_errno;
}

static void leave(enum weave_end end)
{
    weave.end = end;
    go(-1);
}

static void deadlock(void)
{
    size_t at = (size_t)snprintf(weave.failure, sizeof weave.failure, "deadlock:");
    for (int i = 0; i < weave.count && at < sizeof weave.failure; i++)
        if (weave.coroutines[i].state == BLOCKED)
            at += (size_t)snprintf(weave.failure + at, sizeof weave.failure - at, " %s waits",
                                   weave.coroutines[i].name);
    leave(WEAVE_FAILED);
}

static void schedule(void)
{
    if (weave.now_ns >= weave.next_timer_ns && weave.options.policy != WEAVE_ALL)
        timers_fire();
    while (weave.runnable == 0) {
        timers_fire();
        if (weave.runnable != 0)
            break;
        if (weave.next_timer_ns == WEAVE_NEVER) {
            bool all_ended = true;
            for (int i = 0; i < weave.count; i++)
                all_ended &= weave.coroutines[i].state == ENDED;
            if (all_ended)
                leave(WEAVE_DONE);
            deadlock();
        }
        weave.now_ns = weave.next_timer_ns;
    }
    int next = choose(weave.runnable);
    if (next < 0)
        leave(WEAVE_PRUNED);
    go(next);
}

static void step(void)
{
    weave_gap = draw_gap();
    weave.steps++;
    weave.now_ns += weave.options.step_ns;
    if (weave.steps == weave.options.stop_at)
        leave(WEAVE_CUT);
    if (weave.steps > weave.options.steps_max)
        weave_fail("it does not end within %llu steps",
                   (unsigned long long)weave.options.steps_max);
}

/* ---- the door ------------------------------------------------------------------------------------------------------------ */

static bool is_quiet(const volatile void *at)
{
    for (int i = 0; i < weave.quiet_count; i++)
        if ((size_t)((const volatile char *)at - weave.quiet[i].at) < weave.quiet[i].len)
            return true;
    return false;
}

/* Who reads its way through an array is seldom interrupted: a walk through an index would be most of a run. */
static bool walks_on(const volatile char *at)
{
    enum { STRIDE_MAX = 64, STEP_ONE_IN = 32 };
    const volatile char *before = self()->walked;
    self()->walked = at;
    return (uintptr_t)at - (uintptr_t)before <= STRIDE_MAX && weave_random(STEP_ONE_IN) != 0;
}

bool weave_access(const volatile void *at, bool write)
{
    if (weave.current < 0 || self()->masks > 0) {
        weave_gap = MASKED_GAP;
        return false;
    }
    if (weave.quiet_count > 0 && is_quiet(at)) {
        weave_gap = 1;
        return true;
    }
    if (!write && weave.options.policy != WEAVE_ALL && walks_on(at)) {
        weave_gap = 1;
        return true;
    }
    step();
    self()->op = (struct weave_op){at, write};
    schedule();
    return true;
}

void weave_step(const volatile void *at, bool write)
{
    weave_access(at, write);
}

bool weave_weak_fails(void)
{
    return weave.current >= 0 && weave.options.weak_one_in > 0 && self()->masks == 0 &&
           weave_random(weave.options.weak_one_in) == 0;
}

void weave_point(const char *name)
{
    if (weave.current < 0)
        return;
    snprintf(note_new(passed.notes, &passed.count)->text, NOTE_BYTES, "%s", name);
    if (weave.options.policy != WEAVE_ALL)
        weave_access(NULL, false);
}

void weave_mask(void)
{
    if (weave.current >= 0)
        self()->masks++;
}

void weave_unmask(void)
{
    if (weave.current >= 0 && --self()->masks == 0)
        weave_gap = draw_gap();
}

void weave_give_way(void)
{
    if (weave.current < 0 || self()->masks > 0)
        return;
    step();
    self()->op = (struct weave_op){0};
    self()->yielding = true;
    schedule();
}

bool weave_block(const volatile void *at, uint64_t until_ns)
{
    struct coroutine *c = self();
    SVM_ASSERT(weave.current >= 0);
    SVM_ASSERT(c->masks == 0);
    c->state = BLOCKED;
    c->waits_for = at;
    c->until_ns = until_ns;
    c->timed_out = false;
    c->op = (struct weave_op){at, true};
    weave.runnable &= ~(UINT64_C(1) << weave.current);
    if (until_ns < weave.next_timer_ns)
        weave.next_timer_ns = until_ns;
    weave.steps++;
    schedule();
    c->waits_for = NULL;
    return !c->timed_out;
}

uint32_t weave_wake(const volatile void *at, uint32_t count)
{
    uint32_t woken = 0;
    while (woken < count) {
        uint64_t waiting = 0;
        for (int i = 0; i < weave.count; i++)
            if (weave.coroutines[i].state == BLOCKED && weave.coroutines[i].waits_for == at &&
                at != NULL)
                waiting |= UINT64_C(1) << i;
        if (waiting == 0)
            break;
        int i = weave.options.policy == WEAVE_ALL ? __builtin_ctzll(waiting) : pick_bit(waiting);
        weave.coroutines[i].state = RUNNABLE;
        weave.runnable |= UINT64_C(1) << i;
        woken++;
    }
    return woken;
}

void weave_fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(weave.failure, sizeof weave.failure, format, ap);
    va_end(ap);
    if (weave.current < 0) {
        fprintf(stderr, "weave: %s\n", weave.failure);
        abort();
    }
    weave_note("FAILED: %s", weave.failure);
    leave(WEAVE_FAILED);
}

void weave_cut(void)
{
    SVM_ASSERT(weave.current >= 0);
    leave(WEAVE_CUT);
}

const char *weave_failure(void)
{
    return weave.failure;
}

uint64_t weave_steps(void)
{
    return weave.steps;
}

bool weave_inside(void)
{
    return weave.current >= 0;
}

int weave_number(void)
{
    return weave.current;
}

void weave_name(const char *name)
{
    if (weave.current >= 0)
        snprintf(self()->name, NAME_BYTES, "%s", name);
}

void weave_title(int number, const char *name)
{
    snprintf(weave.coroutines[number].name, NAME_BYTES, "%s", name);
}

void weave_quiet(const volatile void *at, size_t len)
{
    SVM_ASSERT(weave.quiet_count < QUIET_MAX);
    weave.quiet[weave.quiet_count].at = at;
    weave.quiet[weave.quiet_count++].len = len;
}

enum weave_heap weave_heap_now(void)
{
    return weave.current < 0 ? weave.outside_heap : self()->heap;
}

enum weave_heap weave_heap_enter(enum weave_heap heap)
{
    enum weave_heap before = weave_heap_now();
    if (weave.current < 0)
        weave.outside_heap = heap;
    else
        self()->heap = heap;
    return before;
}

/* ---- life of coroutines ---------------------------------------------------------------------------------------------------- */

static void entry(void)
{
    struct coroutine *c = self();
    c->result = c->run(c->arg);
    c->state = ENDED;
    weave.runnable &= ~(UINT64_C(1) << weave.current);
    weave_wake(c, UINT32_MAX);
    schedule();
    abort();
}

static char *stack_of(int number)
{
    static char *stacks[WEAVE_THREADS_MAX];
    if (stacks[number] == NULL) {
        char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        SVM_ASSERT(stack != MAP_FAILED);
        SVM_ASSERT(mprotect(stack, GUARD_BYTES, PROT_NONE) == 0);
        stacks[number] = stack;
    }
    return stacks[number];
}

int weave_spawn(void *(*run)(void *), void *arg)
{
    if (weave.count == WEAVE_THREADS_MAX)
        return -1;
    int number = weave.count++;
    struct coroutine *c = &weave.coroutines[number];
    *c = (struct coroutine){.state = RUNNABLE,
                            .stack = stack_of(number),
                            .run = run,
                            .arg = arg,
                            .until_ns = WEAVE_NEVER,
                            .heap = weave_heap_now(),
                            .priority = 1 + (uint32_t)weave_random(1u << 20)};
    snprintf(c->name, sizeof c->name, "t%d", number);
    c->stack_pointer = switch_make(c->stack, STACK_BYTES, entry);
    weave.runnable |= UINT64_C(1) << number;
    if (number > 0 && weave_random(6) == 0)
        weave.slow |= UINT64_C(1) << number;
    return number;
}

bool weave_ended(int number, void **result_out)
{
    struct coroutine *c = &weave.coroutines[number];
    if (c->state != ENDED)
        weave_block(c, WEAVE_NEVER);
    if (result_out != NULL)
        *result_out = c->result;
    return true;
}

static struct {
    weave_fn *fn;
    void *arg;
} first;

static void *first_main(void *arg)
{
    (void)arg;
    weave_name("main");
    first.fn(first.arg);
    return NULL;
}

enum weave_end weave_run(const struct weave_options *options, weave_fn *fn, void *arg)
{
    SVM_ASSERT(weave.current < 0);
    weave.options = *options;
    rng_init(&weave.rng, options->seed);
    weave.count = 0;
    weave.runnable = 0;
    weave.steps = 0;
    weave.slow = 0;
    weave.now_ns = options->time_ns;
    weave.next_timer_ns = WEAVE_NEVER;
    weave.failure[0] = 0;
    weave.quiet_count = 0;
    first.fn = fn;
    first.arg = arg;
    weave_gap = draw_gap();
    weave_spawn(first_main, NULL);
    go(0);
    weave.current = -1;
    weave_gap = MASKED_GAP;
    return weave.end;
}
