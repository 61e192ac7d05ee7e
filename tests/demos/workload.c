#include "demos/workload.h"

#include <stdlib.h>
#include <string.h>

void workload_create(struct workload *workload, struct demo *demo, size_t fast, size_t consensus,
                     uint32_t owned, uint32_t pools)
{
    const struct svm_owner all = demo_shared();
    *workload =
        (struct workload){.fast = fast, .consensus = consensus, .owned = owned, .pools = pools};
    workload->owners = calloc(WORKLOAD_OWNERS, sizeof *workload->owners);
    workload->objects = calloc((size_t)owned + pools, sizeof *workload->objects);
    workload->closures = calloc(fast + consensus, sizeof *workload->closures);
    if (!workload->owners || !workload->objects || !workload->closures)
        demo_die("out of memory");
    for (unsigned i = 0; i < WORKLOAD_OWNERS; i++) {
        workload->owners[i].kind = SVM_KIND_OWNED;
        memset(&workload->owners[i].address, (int)i, sizeof workload->owners[i].address);
    }
    demo_create(demo, workload->objects, owned, workload->owners, WORKLOAD_OWNERS, "demo.owned");
    demo_create(demo, workload->objects + owned, pools, &all, 1, "demo.pool");

    for (size_t i = 0; i < fast; i++)
        workload->closures[i] =
            (struct closure){.fn = closure_blind_write,
                             .n = i,
                             .object_count = 1,
                             .objects = {&workload->objects[i % owned]},
                             .sender = &workload->owners[i % owned % WORKLOAD_OWNERS].address};
    for (size_t i = 0; i < consensus; i++)
        workload->closures[fast + i] =
            (struct closure){.fn = closure_pool_add,
                             .from = (uint32_t)(i % pools),
                             .object_count = 1,
                             .objects = {&workload->objects[owned + i % pools]},
                             .sender = &workload->owners[i % WORKLOAD_OWNERS].address};
}

void workload_destroy(struct workload *workload)
{
    free(workload->owners);
    free(workload->objects);
    free(workload->closures);
}

uint64_t workload_check(const struct workload *workload, const struct demo *demo,
                        const struct closures_result *result)
{
    if (result->ok != workload->fast + workload->consensus)
        demo_die("%llu of %zu were executed; failed %llu, refused %llu",
                 (unsigned long long)result->ok, workload->fast + workload->consensus,
                 (unsigned long long)result->failed, (unsigned long long)result->refused);
    for (size_t i = 0; i < workload->fast; i++) {
        const struct text key = text_make("fast_", i, ""), value = text_make("val_", i, "");
        if (!cell_holds(demo->engine, text_bytes(&key), text_bytes(&value)))
            demo_die("fast_%zu does not hold val_%zu", i, i);
    }
    const int64_t sum = cells_sum(demo->engine, "pool_", workload->pools, "_counter");
    if (sum != (int64_t)workload->consensus)
        demo_die("the pools hold %lld after %zu additions", (long long)sum, workload->consensus);
    return (uint64_t)sum;
}

void workload_tell(struct workload *workload, struct demo *demo, unsigned threads,
                   const struct workload_theirs *theirs)
{
    struct closures_result result;
    demo_say("%zu blind writes under %u owned objects", workload->fast, workload->owned);
    demo_say("%zu additions to the counters of %u shared pools", workload->consensus,
             workload->pools);
    demo_say("%u thread%s, one batch", threads, threads == 1 ? "" : "s");

    demo_step("Executed");
    closures_run(&result, demo->engine, workload->closures, workload->fast + workload->consensus,
                 threads, CLOSURES_ROUTED);
    demo_say("%-52s %10.2f", "milliseconds", result.seconds * 1000);
    demo_say("%-52s %10.0f", "transactions per second", (double)result.ok / result.seconds);
    demo_say("%-52s %10llu", "fallbacks (fast, defeated, finished by consensus)",
             (unsigned long long)result.fallbacks);
    demo_say("%-52s %10llu", "retries", (unsigned long long)result.retries);
    demo_expect("successful", result.ok, workload->fast + workload->consensus);
    demo_expect("failed", result.failed + result.refused, 0);
    demo_expect("pool counters, sum", workload_check(workload, demo, &result), workload->consensus);

    demo_step("The original");
    demo_say("%s", theirs->claimed);
    demo_say("%s", theirs->measured);
}
