/* tps_compare_demo [EACH [THREADS]]: EACH (200) fast transactions, then as many consensus ones, timed apart. As closures,
 * as the original does it, and as signed transactions on objects: decoded, verified, routed, executed, answered. */
#include <stdlib.h>

#include "demos/compare.h"

static double closures(struct demo *demo, struct closure *batch, size_t count, unsigned threads,
                       enum svm_path path)
{
    struct closures_result result;
    closures_run(&result, demo->engine, batch, count, threads, CLOSURES_ROUTED);
    demo_say("%-52s %10.0f", svm_path_name(path), (double)result.ok / result.seconds);
    if (result.ok != count || (path == SVM_PATH_CONSENSUS && result.consensus != count))
        demo_die("%s: %llu of %zu were executed", svm_path_name(path),
                 (unsigned long long)result.ok, count);
    return result.seconds;
}

/* COUNT signed transactions in one batch; all of them must go PATH and succeed. */
static void transactions(struct demo *demo, const struct demo_signed *batch, size_t count,
                         enum svm_path path)
{
    struct demo_answer *answers = calloc(count, sizeof *answers);
    if (answers == NULL)
        demo_die("out of memory");
    const double begin = demo_now_s();
    demo_send_all(demo, answers, batch, count);
    const double seconds = demo_now_s() - begin;
    for (size_t i = 0; i < count; i++) {
        demo_must(answers[i].err, &answers[i].refusal, "a transaction of the batch");
        if (answers[i].path != path || answers[i].failure != SVM_FAILURE_NONE)
            demo_die("a transaction went the %s path", svm_path_name(answers[i].path));
    }
    demo_say("%-52s %10.0f", svm_path_name(path), (double)count / seconds);
    free(answers);
}

static void tell_transactions(struct demo *demo, size_t each)
{
    struct svm_id *counters = calloc(each, sizeof *counters), pool;
    struct demo_signed *batch = calloc(2 * each, sizeof *batch);
    const struct svm_owner owners[] = {demo_owned(&demo->accounts[ALICE].address),
                                       demo_owned(&demo->accounts[BOB].address)};
    const struct svm_owner all = demo_shared();
    uint64_t sum = 0;
    if (counters == NULL || batch == NULL)
        demo_die("out of memory");
    demo_create(demo, counters, each, owners, 2, "demo.counter");
    demo_create(demo, &pool, 1, &all, 1, "demo.pool");
    for (size_t i = 0; i < each; i++) {
        const unsigned who = i % 2;
        demo_sign(&batch[i], demo, who, demo_add_tx(demo, who, &counters[i], SVM_KIND_OWNED, 1, 1));
        demo_sign(&batch[each + i], demo, who,
                  demo_add_tx(demo, who, &pool, SVM_KIND_SHARED, 0, 1));
    }
    demo_step("As signed transactions, per second, signatures checked");
    transactions(demo, batch, each, SVM_PATH_FAST);
    transactions(demo, batch + each, each, SVM_PATH_CONSENSUS);
    for (size_t i = 0; i < each; i++)
        sum += demo_counter(demo, &counters[i]);
    demo_expect("owned counters, sum", sum, each);
    demo_expect("the pool's counter", demo_counter(demo, &pool), each);
    free(counters);
    free(batch);
}

int main(int argc, char **argv)
{
    const size_t each = demo_argument(argc, argv, 1, 200, 1, 100 * 1000);
    const unsigned threads = (unsigned)demo_argument(argc, argv, 2, 2, 1, CLOSURE_THREADS_MAX);
    struct demo demo;
    struct compare compare;
    demo_open(&demo, "Fast and consensus, compared");
    compare_create(&compare, &demo, each);
    demo_say("%zu of each, %u threads", each, threads);

    demo_step("As closures, per second");
    closures(&demo, compare.closures, each, threads, SVM_PATH_FAST);
    closures(&demo, compare.closures + each, each, threads, SVM_PATH_CONSENSUS);
    compare_check(&compare, &demo, 1);
    tell_transactions(&demo, each);

    demo_step("The original, closures, 200 of each");
    demo_say("claimed: fast 37,144, consensus 26,934 (Debug, 178 of 200 succeed)");
    demo_say("         fast 274,198, consensus 183,891 (Release, 195 of 200 succeed)");
    demo_say("on the reference machine: fast 794,695, consensus 944,488");
    compare_destroy(&compare);
    demo_close(&demo, "tps_compare_demo");
    return 0;
}
