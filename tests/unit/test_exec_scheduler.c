/* The dependency scheduler against its naive twin, and its bounds. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "unit/exec_naive.h"
#include "unit/exec_random.h"

enum { GRAPHS_SMALL = 120000, GRAPHS_WIDE = 400, GRAPHS_BLIND = 2000 };

static struct svm_id id_of(uint32_t number)
{
    struct svm_id id = {{0}};
    for (unsigned i = 0; i < 4; i++)
        id.b[i] = (uint8_t)(number >> (24 - 8 * i));
    return id;
}

/* The shape of one random run. */
struct shape {
    uint32_t jobs;  /* inserted in all */
    uint32_t slots; /* job numbers */
    uint32_t ids;
    uint32_t refs; /* at most, of one job */
    uint32_t write_percent;
    uint32_t insert_percent; /* chance that the next step inserts rather than finishes */
};

struct twins {
    struct exec_scheduler *real;
    struct naive naive;
    const struct shape *shape;
    bool busy[NAIVE_JOBS_MAX];
    uint32_t ready[NAIVE_JOBS_MAX];
    size_t ready_count;
    bool runs;                    /* jobs are handed out in runs, one at a time */
    uint32_t run[NAIVE_JOBS_MAX]; /* what stands behind the job that is under way, next one last */
    size_t run_count;
    bool same;
};

static size_t random_refs(struct random *r, const struct shape *shape, struct exec_ref *refs)
{
    const uint32_t wanted = random_below(r, shape->refs + 1);
    size_t count = 0;
    for (uint32_t id = 0; id < shape->ids && count < wanted; id++) {
        if (random_below(r, shape->ids - id) >= wanted - count)
            continue;
        refs[count].id = id_of(id);
        refs[count++].write = random_below(r, 100) < shape->write_percent;
    }
    return count;
}

static void step_insert(struct twins *t, struct random *r)
{
    struct exec_ref refs[NAIVE_REFS_MAX];
    const size_t count = random_refs(r, t->shape, refs);
    uint32_t job = random_below(r, t->shape->slots);
    while (t->busy[job])
        job = (job + 1) % t->shape->slots;
    bool ready = false;
    ck_assert_int_eq(exec_scheduler_insert(t->real, job, refs, count, &ready), SVM_OK);
    if (ready != naive_insert(&t->naive, job, refs, count))
        t->same = false;
    t->busy[job] = true;
    if (ready)
        t->ready[t->ready_count++] = job;
}

/* The next job to finish: any that is ready, or, when a run is under way, the next of it. RUN_OUT: the ready one begins a run. */
static uint32_t next_job(struct twins *t, struct random *r)
{
    const size_t choices = t->ready_count + (t->run_count > 0 ? 1 : 0);
    const size_t at = random_below(r, (uint32_t)choices);
    if (at == t->ready_count)
        return t->run[--t->run_count];
    const uint32_t job = t->ready[at];
    t->ready[at] = t->ready[--t->ready_count];
    if (t->runs && t->run_count == 0) {
        uint32_t run[NAIVE_JOBS_MAX];
        t->run_count = exec_scheduler_run(t->real, job, run, random_below(r, 6));
        for (size_t i = 0; i < t->run_count; i++)
            t->run[t->run_count - 1 - i] = run[i];
    }
    return job;
}

/* What the naive twin has made ready and the run had already: taken out of READY. */
static size_t without_run(const struct twins *t, uint32_t *ready, size_t count)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++)
        if (t->run_count == 0 || ready[i] != t->run[t->run_count - 1])
            ready[left++] = ready[i];
    return left;
}

static void step_finish(struct twins *t, struct random *r)
{
    uint32_t real[NAIVE_JOBS_MAX], naive[NAIVE_JOBS_MAX];
    const size_t run_left = t->run_count;
    const uint32_t job = next_job(t, r);
    const bool of_run = t->run_count > 0 && (t->run_count != run_left || run_left == 0);
    const size_t real_count = exec_scheduler_finish(t->real, job, real);
    const size_t naive_ready = naive_finish(&t->naive, job, naive);
    const size_t naive_count = without_run(t, naive, naive_ready);
    if (naive_ready - naive_count != (of_run ? 1u : 0u)) /* each is ready when its turn comes */
        t->same = false;
    t->busy[job] = false;
    if (real_count != naive_count || memcmp(real, naive, real_count * sizeof real[0]) != 0) {
        t->same = false;
        return;
    }
    memcpy(&t->ready[t->ready_count], real, real_count * sizeof real[0]);
    t->ready_count += real_count;
}

/* run_graph: insert and finish at random, comparing ready sets, depths and counts at every step; whether all agreed. */
static bool run_graph(struct exec_scheduler *real, struct random *r, const struct shape *shape,
                      bool blind, bool runs)
{
    static struct twins t; /* large */
    memset(&t, 0, sizeof t);
    t.real = real;
    t.shape = shape;
    t.same = true;
    naive_init(&t.naive);
    t.naive.blind_to_readers = blind;
    t.runs = runs;
    uint32_t inserted = 0;
    while (t.same && (inserted < shape->jobs || t.naive.count > 0)) {
        const bool room = inserted < shape->jobs && t.naive.count < shape->slots;
        if (room &&
            (t.ready_count + t.run_count == 0 || random_below(r, 100) < shape->insert_percent)) {
            step_insert(&t, r);
            inserted++;
        } else {
            ck_assert_msg(t.ready_count + t.run_count > 0,
                          "nothing is ready and nothing can be inserted");
            step_finish(&t, r);
        }
        const struct svm_id id = id_of(random_below(r, shape->ids));
        t.same = t.same && exec_scheduler_depth(real, &id) == naive_depth(&t.naive, &id) &&
                 exec_scheduler_count(real) == t.naive.count;
    }
    naive_deinit(&t.naive);
    return t.same;
}

START_TEST(same_as_naive_twin_small)
{
    struct random r = random_seeded("scheduler, small graphs");
    struct exec_scheduler *s = exec_scheduler_create(NAIVE_JOBS_MAX);
    ck_assert_ptr_nonnull(s);
    for (int graph = 0; graph < GRAPHS_SMALL; graph++) {
        const struct shape shape = {.jobs = 2 + random_below(&r, 14),
                                    .slots = 2 + random_below(&r, 12),
                                    .ids = 1 + random_below(&r, 6),
                                    .refs = 1 + random_below(&r, 4),
                                    .write_percent = random_below(&r, 101),
                                    .insert_percent = 30 + random_below(&r, 60)};
        ck_assert_msg(run_graph(s, &r, &shape, false, graph % 2 == 1), "graph %d differs", graph);
        ck_assert_uint_eq(exec_scheduler_count(s), 0);
    }
    exec_scheduler_destroy(s);
}
END_TEST

START_TEST(same_as_naive_twin_wide)
{
    struct random r = random_seeded("scheduler, wide graphs");
    struct exec_scheduler *s = exec_scheduler_create(NAIVE_JOBS_MAX);
    ck_assert_ptr_nonnull(s);
    for (int graph = 0; graph < GRAPHS_WIDE; graph++) {
        const struct shape shape = {.jobs = 40 + random_below(&r, 40),
                                    .slots = 40,
                                    .ids = 1 + random_below(&r, 300),
                                    .refs = 1 + random_below(&r, 40),
                                    .write_percent = random_below(&r, 60),
                                    .insert_percent = 60 + random_below(&r, 40)};
        ck_assert_msg(run_graph(s, &r, &shape, false, graph % 2 == 1), "graph %d differs", graph);
    }
    exec_scheduler_destroy(s);
}
END_TEST

/* The comparison can fail: a twin that has lost the edges from readers to writers is found out. */
START_TEST(a_dropped_edge_is_seen)
{
    struct random r = random_seeded("scheduler, dropped edge");
    int differ = 0;
    for (int graph = 0; graph < GRAPHS_BLIND; graph++) {
        struct exec_scheduler *s = exec_scheduler_create(NAIVE_JOBS_MAX);
        ck_assert_ptr_nonnull(s);
        const struct shape shape = {
            .jobs = 12, .slots = 8, .ids = 3, .refs = 2, .write_percent = 40, .insert_percent = 70};
        differ += !run_graph(s, &r, &shape, true, graph % 2 == 1);
        exec_scheduler_destroy(s); /* the runs that differ leave jobs behind */
    }
    ck_assert_int_gt(differ, GRAPHS_BLIND / 4);
}
END_TEST

static bool insert(struct exec_scheduler *s, uint32_t job, uint32_t id, bool write)
{
    const struct exec_ref ref = {id_of(id), write};
    bool ready = false;
    ck_assert_int_eq(exec_scheduler_insert(s, job, &ref, 1, &ready), SVM_OK);
    return ready;
}

START_TEST(readers_run_together_and_writers_alone)
{
    struct exec_scheduler *s = exec_scheduler_create(8);
    uint32_t ready[8];
    ck_assert(insert(s, 0, 7, true));
    ck_assert(!insert(s, 1, 7, false));
    ck_assert(!insert(s, 2, 7, false));
    ck_assert(!insert(s, 3, 7, true));
    ck_assert(!insert(s, 4, 7, false));
    ck_assert(insert(s, 5, 8, true));
    const struct svm_id id = id_of(7), unknown = id_of(9);
    ck_assert_uint_eq(exec_scheduler_depth(s, &id), 5);
    ck_assert_uint_eq(exec_scheduler_depth(s, &unknown), 0);
    ck_assert_uint_eq(exec_scheduler_finish(s, 0, ready), 2);
    ck_assert_uint_eq(ready[0], 1);
    ck_assert_uint_eq(ready[1], 2);
    ck_assert_uint_eq(exec_scheduler_finish(s, 2, ready), 0);
    ck_assert_uint_eq(exec_scheduler_finish(s, 1, ready), 1);
    ck_assert_uint_eq(ready[0], 3);
    ck_assert_uint_eq(exec_scheduler_finish(s, 3, ready), 1);
    ck_assert_uint_eq(ready[0], 4);
    ck_assert_uint_eq(exec_scheduler_finish(s, 4, ready), 0);
    ck_assert_uint_eq(exec_scheduler_finish(s, 5, ready), 0);
    ck_assert_uint_eq(exec_scheduler_count(s), 0);
    ck_assert_uint_eq(exec_scheduler_depth(s, &id), 0);
    exec_scheduler_destroy(s);
}
END_TEST

/* What a job stands for counts as so many transactions, for the depth of its objects and the length of a run. */
START_TEST(one_job_stands_for_many)
{
    struct exec_scheduler *s = exec_scheduler_create(8);
    uint32_t ready[8], run[8];
    const struct svm_id id = id_of(7);
    ck_assert(insert(s, 0, 7, true));
    ck_assert(exec_scheduler_more(s, 0, 3));
    ck_assert(exec_scheduler_more(s, 0, 3));
    ck_assert(!exec_scheduler_more(s, 0, 3));
    ck_assert(!insert(s, 1, 7, true));
    ck_assert(exec_scheduler_more(s, 1, 5));
    ck_assert(!insert(s, 2, 7, true));
    ck_assert_uint_eq(exec_scheduler_depth(s, &id), 6);
    ck_assert_uint_eq(exec_scheduler_count(s), 6);
    ck_assert_uint_eq(exec_scheduler_run(s, 0, run, 4), 1);
    ck_assert_uint_eq(run[0], 1);
    ck_assert_uint_eq(exec_scheduler_finish(s, 0, ready), 0);
    ck_assert_uint_eq(exec_scheduler_count(s), 3);
    ck_assert_uint_eq(exec_scheduler_depth(s, &id), 3);
    ck_assert_uint_eq(exec_scheduler_finish(s, 1, ready), 1);
    ck_assert_uint_eq(ready[0], 2);
    ck_assert_uint_eq(exec_scheduler_depth(s, &id), 1);

    ck_assert(!insert(s, 3, 7, true)); /* two more than there is room for: no run */
    ck_assert(exec_scheduler_more(s, 3, 9));
    ck_assert_uint_eq(exec_scheduler_run(s, 2, run, 1), 0);
    ck_assert_uint_eq(exec_scheduler_finish(s, 2, ready), 1);
    ck_assert_uint_eq(ready[0], 3);
    ck_assert_uint_eq(exec_scheduler_finish(s, 3, ready), 0);
    ck_assert_uint_eq(exec_scheduler_depth(s, &id), 0);
    exec_scheduler_destroy(s);
}
END_TEST

START_TEST(newly_ready_come_in_order_of_insertion)
{
    struct exec_scheduler *s = exec_scheduler_create(64);
    uint32_t ready[64];
    const struct exec_ref both[2] = {{id_of(1), true}, {id_of(2), true}};
    bool now = false;
    ck_assert_int_eq(exec_scheduler_insert(s, 63, both, 2, &now), SVM_OK);
    ck_assert(now);
    /* alternating objects and falling job numbers: neither queue alone has them all in order */
    for (uint32_t i = 0; i < 40; i++)
        ck_assert(!insert(s, 50 - i, 1 + i % 2, false));
    ck_assert_uint_eq(exec_scheduler_finish(s, 63, ready), 40);
    for (uint32_t i = 0; i < 40; i++)
        ck_assert_uint_eq(ready[i], 50 - i);
    exec_scheduler_destroy(s);
}
END_TEST

START_TEST(no_reference_is_ready_at_once)
{
    struct exec_scheduler *s = exec_scheduler_create(2);
    uint32_t ready[2];
    bool now = false;
    ck_assert_int_eq(exec_scheduler_insert(s, 1, NULL, 0, &now), SVM_OK);
    ck_assert(now);
    ck_assert_uint_eq(exec_scheduler_finish(s, 1, ready), 0);
    exec_scheduler_destroy(s);
}
END_TEST

/* Bounds: as many jobs as it may have, all references of a transaction, one hot object; work that would be quadratic
 * anywhere does not end within the limit of a test. */
START_TEST(full_house)
{
    enum { JOBS = 65536, WIDE = 2048 };
    struct exec_scheduler *s = exec_scheduler_create(JOBS);
    uint32_t *ready = malloc(JOBS * sizeof *ready);
    struct exec_ref *refs = malloc(SVM_TX_INPUTS_MAX * sizeof *refs);
    ck_assert(s != NULL && ready != NULL && refs != NULL);

    for (uint32_t job = 0; job < JOBS; job++)
        ck_assert(insert(s, job, 5, true) == (job == 0));
    for (uint32_t job = 0; job < JOBS; job++) {
        ck_assert_uint_eq(exec_scheduler_finish(s, job, ready), job + 1 < JOBS ? 1 : 0);
        ck_assert(job + 1 == JOBS || ready[0] == job + 1);
    }
    ck_assert(insert(s, 0, 5, true));
    for (uint32_t job = 1; job < JOBS; job++)
        ck_assert(!insert(s, job, 5, false));
    ck_assert_uint_eq(exec_scheduler_finish(s, 0, ready), JOBS - 1);
    for (uint32_t job = 1; job < JOBS; job++)
        ck_assert_uint_eq(exec_scheduler_finish(s, job, ready), 0);

    for (uint32_t job = 0; job < WIDE; job++) {
        bool now = false;
        for (uint32_t i = 0; i < SVM_TX_INPUTS_MAX; i++)
            refs[i] = (struct exec_ref){id_of((job % 2 + 2 * i) + (job / 2) * 1000), true};
        ck_assert_int_eq(exec_scheduler_insert(s, job, refs, SVM_TX_INPUTS_MAX, &now), SVM_OK);
        ck_assert(now);
    }
    ck_assert_uint_eq(exec_scheduler_count(s), WIDE);
    for (uint32_t job = WIDE; job-- > 0;)
        ck_assert_uint_eq(exec_scheduler_finish(s, job, ready), 0);
    ck_assert_uint_eq(exec_scheduler_count(s), 0);
    free(refs);
    free(ready);
    exec_scheduler_destroy(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exec scheduler");
    TCase *tcase = tcase_create("scheduler");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, same_as_naive_twin_small);
    tcase_add_test(tcase, same_as_naive_twin_wide);
    tcase_add_test(tcase, a_dropped_edge_is_seen);
    tcase_add_test(tcase, readers_run_together_and_writers_alone);
    tcase_add_test(tcase, one_job_stands_for_many);
    tcase_add_test(tcase, newly_ready_come_in_order_of_insertion);
    tcase_add_test(tcase, no_reference_is_ready_at_once);
    tcase_add_test(tcase, full_house);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
