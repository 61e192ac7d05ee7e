#include "crash/points.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

enum {
    POINTS_MAX = 256,
    NAME_BYTES = 56,
    PASS_MAX = 300,     /* the latest pass at which a life ends */
    LIFE_MS = 900,      /* what has not come to its point by then is killed where it is, ... */
    RECOVERY_MS = 400,  /* ... and sooner when no load will bring it there */
    LIVES_CHECKED = 6,  /* lives between two looks at what was promised */
    LIVES_OF_DIR = 24,  /* lives of one directory */
    ROUNDS_PER_HIT = 3, /* a point that is met in one life of three at least is met often enough */
    ROUNDS_MORE = 8
};

/* Where a point is met. */
enum place {
    PLACE_WORK,    /* under load, housekeeping included */
    PLACE_NEW,     /* the same, in a new data directory */
    PLACE_CREATE,  /* when a data directory is made */
    PLACE_RECOVER, /* when the store opens what a kill has left */
    PLACE_SPOILED  /* when the log ends in what a torn write has left */
};
static const struct {
    const char *prefix;
    enum place place;
} places[] = {
    {"store.create.", PLACE_CREATE},
    {"store.dir.", PLACE_CREATE},
    {"store.segment.before_create", PLACE_NEW},
    {"store.segment.after_create", PLACE_NEW},
    {"store.segment.before_remove", PLACE_SPOILED},
    {"store.recover.after_cut", PLACE_SPOILED},
    {"store.cut.", PLACE_SPOILED},
    {"store.recover.", PLACE_RECOVER},
    {"store.ingest.", PLACE_RECOVER},
    {"store.sweep.", PLACE_RECOVER},
};

struct point {
    char name[NAME_BYTES];
    enum place place;
    unsigned hits, lives;
    uint64_t range; /* a life ends at one of that many passes */
};

struct points {
    struct driver *driver;
    struct point list[POINTS_MAX];
    unsigned count, wanted;
    unsigned unchecked, lives; /* since the last check; of this directory */
};

static enum place place_of(const char *name)
{
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (strncmp(name, places[i].prefix, strlen(places[i].prefix)) == 0)
            return places[i].place;
    return PLACE_WORK;
}

static void read_points(struct points *points, const char *path, unsigned share, unsigned shares)
{
    char line[128];
    unsigned number = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        driver_die(path);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || number++ % shares != share)
            continue;
        if (points->count == POINTS_MAX || strlen(line) >= NAME_BYTES)
            driver_die("too many points, or too long a name");
        struct point *point = &points->list[points->count++];
        *point = (struct point){.place = place_of(line), .range = 1};
        strcpy(point->name, line);
    }
    fclose(file);
}

/* ---- lives ----------------------------------------------------------------------------------------------------- */

static void next_directory(struct points *points)
{
    struct driver *driver = points->driver;
    driver->mode = driver->mode == SVM_INTERVAL ? SVM_WRITE : driver->mode + 1;
    driver_fresh(driver);
    points->lives = points->unchecked = 0;
}

static bool look(struct points *points)
{
    points->unchecked = 0;
    return driver_check(points->driver);
}

static const char *role_of(const struct point *point)
{
    switch (point->place) {
    case PLACE_WORK:
    case PLACE_NEW:
        return "work";
    case PLACE_CREATE:
        return point->lives % 2 == 0 ? "work" : "recover";
    case PLACE_RECOVER:
    case PLACE_SPOILED:
        break;
    }
    return "recover";
}

/* end_at: one life that ends at POINT, if it comes there. */
static bool end_at(struct points *points, struct point *point)
{
    struct driver *driver = points->driver;
    char at[NAME_BYTES + 24];
    const char *role = role_of(point);
    snprintf(at, sizeof at, "%s:%" PRIu64, point->name, 1 + rng_below(&driver->rng, point->range));
    driver->at = at;
    driver->spoil = point->place == PLACE_SPOILED;
    pid_t child = driver_spawn(driver, role);
    driver->at = NULL;
    driver->spoil = false;
    bool ended = driver_wait(child, role[0] == 'w' ? LIFE_MS : RECOVERY_MS);
    bool good = ended ? driver_finish(child) == -1 : driver_kill(driver, child, role);
    point->lives++;
    points->lives++;
    points->unchecked++;
    if (atomic_load(&driver->journal->hit) != 0) {
        driver->kills += ended;
        point->hits++;
        point->range = point->range >= PASS_MAX ? PASS_MAX : 2 * point->range;
        return good;
    }
    uint64_t passes = atomic_load(&driver->journal->passes);
    point->range = passes < 2 ? 1 : passes / 2;
    if (ended)
        printf("     the %s ended before it came to %s\n", role, at);
    return good && !ended;
}

static bool meet(struct points *points, struct point *point)
{
    struct driver *driver = points->driver;
    bool good = true;
    if (point->place == PLACE_CREATE || point->place == PLACE_NEW ||
        points->lives >= LIVES_OF_DIR ||
        atomic_load(&driver->journal->next) > JOURNAL_RECORDS / 2) {
        if (points->unchecked > 0)
            good = look(points);
        next_directory(points);
    }
    if (point->place == PLACE_RECOVER || point->place == PLACE_SPOILED)
        good = good && driver_kill_loaded(driver, 25000);
    good = good && end_at(points, point);
    if (good && (points->unchecked >= LIVES_CHECKED || point->place == PLACE_CREATE))
        good = look(points);
    if (!good)
        printf("FAIL at %s, %s, directory %u, %u lives\n", point->name,
               svm_durability_name(driver->mode), driver->dirs,
               atomic_load(&driver->journal->lives));
    return good;
}

static bool round_of(struct points *points, bool *more)
{
    *more = false;
    for (unsigned i = 0; i < points->count; i++) {
        struct point *point = &points->list[i];
        if (point->hits >= points->wanted)
            continue;
        if (!meet(points, point))
            return false;
        *more |= point->hits < points->wanted;
    }
    return true;
}

void points_run(struct driver *driver, const char *file, unsigned hits, unsigned share,
                unsigned shares)
{
    static struct points points;
    bool more = true, good = true;
    if (!fault_enabled()) {
        printf("the library has no points: BUILD=prove\n");
        driver->failed++;
        return;
    }
    points = (struct points){.driver = driver, .wanted = hits};
    read_points(&points, file, share, shares);
    driver->busy_house = true;
    next_directory(&points);
    for (unsigned i = 0; more && good && i < ROUNDS_PER_HIT * hits + ROUNDS_MORE; i++)
        good = round_of(&points, &more);
    good = good && look(&points);
    driver->failed += !good;
    unsigned least = hits, all = 0;
    for (unsigned i = 0; i < points.count; i++) {
        const struct point *point = &points.list[i];
        printf("%5u of %5u lives ended at %s\n", point->hits, point->lives, point->name);
        all += point->hits;
        if (point->hits < least)
            least = point->hits;
        if (point->hits >= hits)
            driver->passed++;
        else
            driver->failed++;
    }
    printf("points: %u, met at least %u times each, %u in all\n", points.count, least, all);
}
