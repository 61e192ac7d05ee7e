/* tps_compare_fallback_demo [EACH [THREADS]]: the transactions of tps_compare_demo in one batch, so that what is fast and
 * what is consensus run side by side and fallbacks are possible. The original prints 200 / total time twice; here the
 * total is of all that were executed. */
#include "demos/compare.h"

int main(int argc, char **argv)
{
    const size_t each = demo_argument(argc, argv, 1, 200, 1, 100 * 1000);
    const unsigned threads = (unsigned)demo_argument(argc, argv, 2, 2, 1, CLOSURE_THREADS_MAX);
    struct demo demo;
    struct compare compare;
    struct closures_result result;
    demo_open(&demo, "Fast and consensus in one batch, with fallback");
    compare_create(&compare, &demo, each);
    demo_say("%zu of each, %u threads", each, threads);

    demo_step("Executed");
    closures_run(&result, demo.engine, compare.closures, 2 * each, threads, CLOSURES_ROUTED);
    demo_say("%-52s %10.2f", "milliseconds", result.seconds * 1000);
    demo_say("%-52s %10.0f", "transactions per second", (double)result.ok / result.seconds);
    demo_say("%-52s %10llu", "retries", (unsigned long long)result.retries);
    demo_expect("fast, done", result.fast, each);
    demo_expect("consensus, done", result.consensus, each);
    demo_expect("fallbacks (each fast one has a key of its own)", result.fallbacks, 0);
    demo_expect("failed", result.failed + result.refused, 0);
    compare_check(&compare, &demo, 1);

    demo_step("The original, 200 of each");
    demo_say("claimed: 17,541 twice, 11.40 ms, fallbacks 0 (Debug)");
    demo_say("on the reference machine: 474,752 twice, of all 400: 949,504");
    compare_destroy(&compare);
    demo_close(&demo, "tps_compare_fallback_demo");
    return 0;
}
