#include "engine/pace.h"

#include "base/assert.h"
#include "store/store.h"

static const double LATELY_S = 4, ROOM_S = 300, NS = 1e9;
static const double FIRST_S = 1, FIRST_BATCHES = 4; /* a second, until it is known */
static const double LEAST_RATE = 64 << 10;
static const double EARLY_S = 0.01; /* a group may be written so long before its time */

static uint64_t batch_of(uint64_t dirty_max)
{
    return dirty_max / 4 < STORE_PACE_BYTES ? dirty_max / 4 : STORE_PACE_BYTES;
}

void pace_init(struct pace *pace, uint64_t now_ns, uint64_t logged, uint64_t dirty,
               uint64_t dirty_max)
{
    *pace = (struct pace){.looked_ns = now_ns,
                          .wrote_ns = now_ns,
                          .logged = logged,
                          .drained = logged - dirty,
                          .busy_s = FIRST_S,
                          .busy_bytes = FIRST_S * FIRST_BATCHES * (double)batch_of(dirty_max)};
}

/* The materialiser has taken DID bytes in SECONDS. Only while there is a batch to make does that say how fast it can be. Batches come in
 * lumps: four seconds hold several. */
static void learn(struct pace *pace, double seconds, double did)
{
    if (!pace->busy)
        return;
    const double keep = seconds < LATELY_S ? 1 - seconds / LATELY_S : 0;
    pace->busy_s = pace->busy_s * keep + seconds;
    pace->busy_bytes = pace->busy_bytes * keep + did;
}

/* Right after a batch, all that is dirty waits. Before the next one is done, what it holds does not; it has had its time once more than a
 * batch has come behind it. */
static void look_behind(struct pace *pace, bool made, uint64_t dirty, uint64_t batch)
{
    if (made)
        pace->behind = dirty;
    else if (dirty > batch && dirty - batch > pace->behind)
        pace->behind = dirty - batch;
}

/* Bytes a second; 0 = as they come. */
static double rate_of(const struct pace *pace, uint64_t dirty, uint64_t dirty_max, uint64_t batch)
{
    if (pace->behind <= batch / 2)
        return 0;
    const double waiting = (double)pace->behind / (double)batch; /* more than a half */
    const double share = waiting < 1 ? 3 - 2 * waiting : waiting < 3 ? 1.5 - waiting / 2 : 0;
    const double follows = pace->busy_bytes / pace->busy_s * share;
    const double room = dirty < dirty_max ? (double)(dirty_max - dirty) / ROOM_S : 0;
    const double rate = follows > room ? follows : room;
    return rate > LEAST_RATE ? rate : LEAST_RATE;
}

uint64_t pace_look(struct pace *pace, uint64_t now_ns, uint64_t logged, uint64_t dirty,
                   uint64_t dirty_max)
{
    SVM_ASSERT(now_ns >= pace->looked_ns);
    const uint64_t batch = batch_of(dirty_max);
    const double seconds = (double)(now_ns - pace->looked_ns) / NS;
    const uint64_t drained = logged - dirty, did = drained - pace->drained;
    learn(pace, seconds, (double)did);
    look_behind(pace, did > 0, dirty, batch);
    if (logged != pace->logged)
        pace->wrote_ns = now_ns;
    pace->debt += (double)(logged - pace->logged);
    pace->looked_ns = now_ns;
    pace->logged = logged;
    pace->drained = drained;
    pace->busy = dirty >= batch;

    const double rate = rate_of(pace, dirty, dirty_max, batch);
    const uint64_t waited_ns = now_ns - pace->wrote_ns;
    if (rate == 0) {
        pace->debt = 0;
        return 0;
    }
    pace->debt -= rate * seconds;
    if (pace->debt < -rate * EARLY_S)
        pace->debt = -rate * EARLY_S;
    if (waited_ns >= PACE_WAIT_MAX_NS)
        pace->debt = 0;
    if (pace->debt <= 0)
        return 0;
    const double wait_ns = pace->debt / rate * NS;
    const double left_ns = (double)(PACE_WAIT_MAX_NS - waited_ns);
    return (uint64_t)(wait_ns < left_ns ? wait_ns : left_ns);
}
