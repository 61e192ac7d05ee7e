#include "gateway/deadlines.h"

#include "base/assert.h"

void deadlines_init(struct deadlines *deadlines, uint64_t now_ms)
{
    *deadlines = (struct deadlines){.tick = now_ms / DEADLINES_TICK_MS};
    for (size_t i = 0; i < DEADLINES_SLOTS; i++) {
        struct deadline *head = &deadlines->slots[i];
        head->next = head;
        head->prev = head;
    }
}

void deadlines_set(struct deadlines *deadlines, struct deadline *deadline, uint64_t now_ms,
                   uint64_t after_ms, deadline_fn *passed)
{
    SVM_ASSERT(deadline->next == NULL);
    if (deadlines->count == 0) {
        deadlines->tick = now_ms / DEADLINES_TICK_MS; /* nobody was looking */
    }
    /* the tick that is over when now_ms + after_ms is */
    deadline->tick = (now_ms + after_ms) / DEADLINES_TICK_MS + 1;
    if (deadline->tick <= deadlines->tick) {
        deadline->tick = deadlines->tick + 1;
    }
    deadline->passed = passed;
    struct deadline *head = &deadlines->slots[deadline->tick % DEADLINES_SLOTS];
    deadline->next = head;
    deadline->prev = head->prev;
    head->prev->next = deadline;
    head->prev = deadline;
    deadlines->count++;
}

void deadlines_unset(struct deadlines *deadlines, struct deadline *deadline)
{
    if (deadline->next == NULL) {
        return;
    }
    deadline->prev->next = deadline->next;
    deadline->next->prev = deadline->prev;
    deadline->next = NULL;
    deadline->prev = NULL;
    SVM_ASSERT(deadlines->count > 0);
    deadlines->count--;
}

/* Those of HEAD that are due move to DUE; a callback may set and unset what it likes. */
static void collect_due(struct deadline *due, struct deadline *head, uint64_t tick)
{
    for (struct deadline *at = head->next; at != head;) {
        struct deadline *next = at->next;
        if (at->tick <= tick) {
            at->prev->next = at->next;
            at->next->prev = at->prev;
            at->next = due;
            at->prev = due->prev;
            due->prev->next = at;
            due->prev = at;
        }
        at = next;
    }
}

void deadlines_run(struct deadlines *deadlines, uint64_t now_ms)
{
    const uint64_t now = now_ms / DEADLINES_TICK_MS;
    if (now <= deadlines->tick) {
        return;
    }
    const uint64_t behind = now - deadlines->tick;
    const uint64_t steps = behind < DEADLINES_SLOTS ? behind : DEADLINES_SLOTS;
    struct deadline due = {.next = &due, .prev = &due};
    for (uint64_t i = 0; i < steps; i++) {
        collect_due(&due, &deadlines->slots[(now - i) % DEADLINES_SLOTS], now);
    }
    deadlines->tick = now;
    while (due.next != &due) {
        struct deadline *at = due.next;
        deadlines_unset(deadlines, at);
        at->passed(at);
    }
}
