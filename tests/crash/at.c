#include "crash/at.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

static struct {
    struct journal *journal;
    char name[64];
    const char
        *_Atomic seen; /* an address at which the name was found: most passes compare no text */
    uint64_t pass;
} at;

static void pass(void *arg, const char *point)
{
    (void)arg;
    if (point != atomic_load_explicit(&at.seen, memory_order_relaxed)) {
        if (strcmp(point, at.name) != 0)
            return;
        atomic_store_explicit(&at.seen, point, memory_order_relaxed);
    }
    if (atomic_fetch_add(&at.journal->passes, 1) + 1 != at.pass)
        return;
    atomic_store(&at.journal->hit, 1);
    kill(getpid(), SIGKILL);
    for (;;)
        pause(); /* whatever else this thread would have done, it does not */
}

bool at_set(struct journal *journal, const char *text)
{
    const char *colon = strrchr(text, ':');
    if (text[0] == '\0')
        return true;
    if (colon == NULL || (size_t)(colon - text) >= sizeof at.name || !fault_enabled())
        return false;
    memcpy(at.name, text, (size_t)(colon - text));
    at.pass = strtoull(colon + 1, NULL, 10);
    at.journal = journal;
    atomic_store(&journal->passes, 0);
    atomic_store(&journal->hit, 0);
    fault_hook_set(pass, NULL);
    return at.pass > 0;
}
