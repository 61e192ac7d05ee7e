#include "litmus.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct litmus_options litmus_options;

void litmus_must(bool ok, const char *what, const char *file, int line)
{
    if (ok)
        return;
    printf("%s:%d: %s\n", file, line, what);
    fflush(stdout);
    _Exit(1);
}

struct svm_engine *litmus_open(unsigned workers, struct engine_hooks *hooks)
{
    struct svm_config config;
    struct svm_engine *engine;
    struct svm_refusal detail;
    svm_config_init(&config);
    config.durability = SVM_MEMORY;
    config.workers = workers;
    config.inflight_max = 1024;
    config.sessions_max = 16;
    config.verify_signatures = false;
    config.cell_attempts_max = 100000;
    config.busy_attempts_max = 100000;
    config.cache_bytes = UINT64_C(4) << 30;
    config.test_hooks = hooks;
    LITMUS_MUST(svm_engine_open(&engine, &config, &detail) == SVM_OK);
    return engine;
}

void litmus_jitter(struct rng *rng)
{
    uint64_t roll = rng_next(rng);
    if (roll % 16 == 0)
        sched_yield();
    for (volatile unsigned i = 0; i < (roll >> 8) % 64; i++) {
    }
}

/* ---- rounds ------------------------------------------------------------------------------------------------------- */

/* A barrier that spins: all start within a microsecond of each other. */
struct barrier {
    unsigned threads;
    _Atomic unsigned waiting, turn;
};

static void barrier_wait(struct barrier *barrier)
{
    enum { SPINS = 200 };
    unsigned turn = atomic_load(&barrier->turn);
    if (atomic_fetch_add(&barrier->waiting, 1) + 1 == barrier->threads) {
        atomic_store(&barrier->waiting, 0);
        atomic_store(&barrier->turn, turn + 1);
        return;
    }
    for (unsigned i = 0; atomic_load(&barrier->turn) == turn; i++)
        if (i > SPINS)
            sched_yield();
}

static _Atomic uint64_t moves;

static void *watch_main(void *arg)
{
    enum { QUIET_S = 90 };
    uint64_t seen = 0;
    (void)arg;
    for (unsigned quiet = 0; quiet < QUIET_S; quiet++) {
        const uint64_t now = atomic_load(&moves);
        if (now != seen)
            quiet = 0;
        seen = now;
        sleep(1); /* a stop of the whole process is one */
    }
    litmus_must(false, "nothing has moved for a minute and a half", __FILE__, __LINE__);
    return NULL;
}

void litmus_moves(void)
{
    atomic_fetch_add(&moves, 1);
}

void litmus_watch(void)
{
    pthread_t thread;
    LITMUS_MUST(pthread_create(&thread, NULL, watch_main, NULL) == 0);
    LITMUS_MUST(pthread_detach(thread) == 0);
}

struct runner {
    const struct litmus_race *race;
    struct barrier *barrier;
    uint64_t rounds, anomalies;
    unsigned index;
    pthread_t thread;
};

static void *run_main(void *arg)
{
    struct runner *runner = arg;
    const struct litmus_race *race = runner->race;
    struct rng rng;
    rng_init(&rng, litmus_options.seed + runner->index);
    for (uint64_t round = 0; round < runner->rounds; round++) {
        if (runner->index == 0 && race->setup)
            race->setup(race->arg, round);
        barrier_wait(runner->barrier);
        race->body(race->arg, runner->index, &rng, round);
        barrier_wait(runner->barrier);
        if (runner->index == 0 && race->anomaly)
            runner->anomalies += race->anomaly(race->arg, round);
        if (runner->index == 0)
            litmus_moves();
    }
    return NULL;
}

uint64_t litmus_race(const struct litmus_race *race, uint64_t rounds)
{
    struct runner runners[LITMUS_THREADS_MAX];
    struct barrier barrier = {.threads = race->threads};
    for (unsigned i = 0; i < race->threads; i++) {
        runners[i] = (struct runner){race, &barrier, rounds, 0, i, 0};
        LITMUS_MUST(pthread_create(&runners[i].thread, NULL, run_main, &runners[i]) == 0);
    }
    for (unsigned i = 0; i < race->threads; i++)
        pthread_join(runners[i].thread, NULL);
    return runners[0].anomalies;
}
