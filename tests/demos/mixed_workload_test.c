/* mixed_workload_test [TRANSACTIONS [THREADS]]: 70 % fast, 30 % consensus; 700 owned objects, 30 shared pools, one batch.
 * Unlike the original's, whose line "fast path transactions" said 0, the counts are of what was executed. */
#include <unistd.h>

#include "demos/workload.h"

int main(int argc, char **argv)
{
    static const struct workload_theirs theirs = {
        "claimed: 245,427 tx/s (9,999 of 10,000 succeed)",
        "on the reference machine of two cores: at most 1.41 M tx/s",
    };
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const uint64_t count = demo_argument(argc, argv, 1, 10000, 10, 10 * 1000 * 1000);
    const uint64_t threads = demo_argument(
        argc, argv, 2, cores > CLOSURE_THREADS_MAX ? CLOSURE_THREADS_MAX : (uint64_t)cores, 1,
        CLOSURE_THREADS_MAX);
    const uint64_t fast = count * 7 / 10;
    struct demo demo;
    struct workload workload;
    demo_open(&demo, "Mixed workload: 70 % fast, 30 % consensus");
    workload_create(&workload, &demo, fast, count - fast, 700, 30);
    workload_tell(&workload, &demo, (unsigned)threads, &theirs);
    workload_destroy(&workload);
    demo_close(&demo, "mixed_workload_test");
    return 0;
}
