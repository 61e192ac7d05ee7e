/* crash/driver.h - the process that starts the others, kills them and counts.
 *
 *     driver --exec--> worker (load; killed)    the driver never opens an engine itself: RocksDB does not survive a fork
 *            --exec--> recoverer (killed)       opens and trims the store without end
 *            --exec--> checker                  exit code 0 = everything is there */
#ifndef CRASH_DRIVER_H
#define CRASH_DRIVER_H

#include <sys/types.h>

#include "base/rng.h"
#include "crash/role.h"

struct driver {
    enum svm_durability mode;
    unsigned cycles;
    uint64_t seed;
    bool ack_early;
    bool busy_house;
    bool spoil;     /* the next child appends to the log what a torn write could have left */
    bool power;     /* the next child comes after a power cut */
    const char *at; /* where the next child is to end, or NULL */
    _Atomic uint64_t *calling; /* nobody is killed while it is not 0; NULL: at any moment */
    char top[256];             /* data/ and journal lie in it */
    bool given;                /* by the caller: it stays */
    struct rng rng;
    struct journal *journal;
    unsigned passed, failed, kills, kills_opening, dirs;
    uint64_t checked, answers;
};

/* driver_init: everything at its default, the seed from SVM_SEED or the clock. */
void driver_init(struct driver *driver);
/* driver_arg: take the argument NAME VALUE, one of those that all drivers have. False = it is none of them. */
bool driver_arg(struct driver *driver, const char *name, const char *value);
/* driver_begin: the directory is there and the seed at work. driver_end: prints the sums and leaves nothing behind, unless something
 * failed; exit code. */
void driver_begin(struct driver *driver);
int driver_end(struct driver *driver);

void driver_path(char path[300], const struct driver *driver, const char *name);
/* driver_fresh: an empty data directory, a new journal. */
void driver_fresh(struct driver *driver);
/* driver_remove: PATH and all in it. */
void driver_remove(const char *path);
void driver_die(const char *what) __attribute__((noreturn));
void driver_sleep_us(uint64_t us);

/* driver_spawn: a child in ROLE ("work", "recover", "check"). driver_finish: its exit code; -1 = killed; -2 = by something
 * else than SIGKILL. driver_kill: false = it had ended by itself, which no worker does. */
pid_t driver_spawn(struct driver *driver, const char *role);
int driver_finish(pid_t child);
bool driver_kill(struct driver *driver, pid_t child, const char *role);
/* driver_wait: until CHILD has ended (true), or LIMIT_MS are over. It stays to be waited for. */
bool driver_wait(pid_t child, unsigned limit_ms);
/* driver_kill_early: a child is killed while it opens, most likely. driver_kill_loaded: a worker, under load. */
bool driver_kill_early(struct driver *driver);
bool driver_kill_loaded(struct driver *driver, uint64_t span_us);
/* driver_check: the checker's verdict. */
bool driver_check(struct driver *driver);

#endif
