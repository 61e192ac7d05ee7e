/* engine/hooks.h - what a test may put into an engine: time, disks, and pauses at chosen places.
 * Given through svm_config.test_hooks; every member may be NULL. */
#ifndef ENGINE_HOOKS_H
#define ENGINE_HOOKS_H

#include "base/clock.h"
#include "model/model.h"
#include "store/store.h"

struct engine_hooks {
    const struct clock *clock;
    const struct svm_kv_ops *log_ops,
        *state_ops; /* both or none; then datadir may be NULL in every mode */
    /* Runs on a worker, under all claims of the transaction, before its sequence number. */
    void (*claimed)(void *arg, const struct svm_digest *digest, enum svm_path path);
    /* Runs on a worker before each step; may block to play a stalled worker. */
    void (*worker_step)(void *arg, uint32_t worker);
    /* Runs on the committer with every finished transaction in order of seq, before it is logged; in memory mode on the worker that
     * executed it, in order of seq for each. Void positions are not shown. */
    void (*committed)(void *arg, const struct svm_receipt *receipt, const struct svm_tx *tx);
    void *arg;
};

#endif
