/* large_scale_tps_bench [FAST [CONSENSUS [THREADS]]]: the original's headline. 1000 owned objects, 10 shared pools, one
 * batch. build/release/bench/bench_original measures it properly: here it runs once. */
#include <unistd.h>

#include "demos/workload.h"

int main(int argc, char **argv)
{
    static const struct workload_theirs theirs = {
        "claimed: 366,887 tx/s at 5000 5000 (9,999 succeed), 225,155 at 10000 10000 (19,964 "
        "succeed)",
        "on the reference machine of two cores: at most 1.28 M and 1.17 M tx/s",
    };
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const uint64_t fast = demo_argument(argc, argv, 1, 5000, 1, 10 * 1000 * 1000);
    const uint64_t consensus = demo_argument(argc, argv, 2, fast, 0, 10 * 1000 * 1000);
    const uint64_t threads = demo_argument(
        argc, argv, 3, cores > CLOSURE_THREADS_MAX ? CLOSURE_THREADS_MAX : (uint64_t)cores, 1,
        CLOSURE_THREADS_MAX);
    struct demo demo;
    struct workload workload;
    demo_open(&demo, "Large scale: spread keys and hot pools in one batch");
    workload_create(&workload, &demo, fast, consensus, 1000, 10);
    workload_tell(&workload, &demo, (unsigned)threads, &theirs);
    workload_destroy(&workload);
    demo_close(&demo, "large_scale_tps_bench");
    return 0;
}
