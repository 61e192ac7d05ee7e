/* fallback_demo: a closure that was thought to be alone and is not. The original's four single executions (an owned
 * balance, the shared liquidity, a token's owner written before and changed then), in which no fallback ever happens;
 * then the same change with somebody else's commit in the middle of it, made to happen, so that the fast attempt is
 * defeated and the consensus path finishes the work on what is true by then. A refusal is no contention: it is final. */
#include <string.h>

#include "demos/closures.h"
#include "demos/demo.h"

enum { RETURNED = 42 };

static enum svm_err write_balance(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    return svm_cell_put(txn, text_literal("balance_alice"), text_literal("100"));
}

static enum svm_err add_liquidity(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    return cell_add(txn, text_literal("pool_liquidity"), 50);
}

/* nft_owner becomes what it was plus "_v2"; between the read and the write somebody may come in. */
struct change {
    struct svm_engine *engine;
    bool interrupted; /* the next attempt is */
    unsigned attempts;
    int returned;
};

static enum svm_err change_owner(void *arg, struct svm_cell_txn *txn)
{
    struct change *change = arg;
    struct svm_bytes owner;
    uint8_t text[32];
    const enum svm_err err = svm_cell_get(txn, text_literal("nft_owner"), &owner);
    change->attempts++;
    if (err != SVM_OK || owner.len + 3 > sizeof text)
        return err != SVM_OK ? err : SVM_E_LIMIT_EXCEEDED;
    memcpy(text, owner.ptr, owner.len);
    memcpy(text + owner.len, "_v2", 3);
    if (change->interrupted) {
        change->interrupted = false;
        cell_store(change->engine, text_literal("nft_owner"), text_literal("carol"));
    }
    change->returned = RETURNED;
    return svm_cell_put(txn, text_literal("nft_owner"), (struct svm_bytes){text, owner.len + 3});
}

static void run_one(struct demo *demo, const char *what, svm_cell_fn *fn, void *arg, bool fast,
                    uint64_t fallbacks)
{
    struct svm_cell_job job = {.fn = fn, .arg = arg, .fast = fast};
    struct svm_cell_batch_stats stats;
    svm_cell_run_batch(demo->engine, &job, 1, SVM_WAIT_EXECUTED, &stats);
    demo_must(job.err, NULL, what);
    demo_say("%-40s %s%s", what, stats.fast ? "fast" : "consensus",
             stats.fallbacks ? ", after a fallback" : "");
    if (stats.fallbacks != fallbacks || stats.fast != (fast && fallbacks == 0))
        demo_die("%s: %llu fallbacks", what, (unsigned long long)stats.fallbacks);
}

static void expect_cell(struct demo *demo, const char *key, const char *value)
{
    demo_say("%-40s %s", key, value);
    if (!cell_holds(demo->engine, text_literal(key), text_literal(value)))
        demo_die("%s does not hold %s", key, value);
}

static void nobody_in_the_way(struct demo *demo)
{
    struct change change = {.engine = demo->engine};
    demo_step("Nobody is in the way");
    run_one(demo, "alice's balance, owned", write_balance, NULL, true, 0);
    run_one(demo, "the pool's liquidity + 50, shared", add_liquidity, NULL, false, 0);
    cell_store(demo->engine, text_literal("nft_owner"), text_literal("bob"));
    run_one(demo, "the token's owner, owned", change_owner, &change, true, 0);
    expect_cell(demo, "balance_alice", "100");
    expect_cell(demo, "pool_liquidity", "50");
    expect_cell(demo, "nft_owner", "bob_v2");
    demo_expect("attempts of the last one", change.attempts, 1);
    demo_expect("what it returned", (uint64_t)change.returned, RETURNED);
}

static void somebody_in_the_way(struct demo *demo)
{
    struct change change = {.engine = demo->engine, .interrupted = true};
    demo_step("Carol commits between the read and the write");
    run_one(demo, "the token's owner, owned", change_owner, &change, true, 1);
    demo_expect("attempts", change.attempts, 2);
    expect_cell(demo, "nft_owner", "carol_v2");
    demo_expect("what it returned", (uint64_t)change.returned, RETURNED);
}

static void refusals_are_final(struct demo *demo)
{
    struct svm_id token;
    struct svm_stats before, after;
    const struct svm_owner alice = demo_owned(&demo->accounts[ALICE].address);
    demo_step("A refusal is no contention");
    demo_create(demo, &token, 1, &alice, 1, "demo.token");
    svm_stats(demo->engine, &before);
    const struct demo_answer answer =
        demo_send(demo, BOB, demo_add_tx(demo, BOB, &token, SVM_KIND_OWNED, 0, 1));
    svm_stats(demo->engine, &after);
    demo_expect_err("bob signs for alice's token", answer.err, SVM_E_NOT_OWNER);
    demo_expect("fallbacks of it",
                after.fallbacks[SVM_FALLBACK_CONTENDED] - before.fallbacks[SVM_FALLBACK_CONTENDED],
                0);
    demo_expect("the token is at", demo_counter(demo, &token), 0);
}

int main(void)
{
    struct demo demo;
    demo_open(&demo,
              "Fallback: from the fast path to the consensus path, once, by contention only");
    nobody_in_the_way(&demo);
    somebody_in_the_way(&demo);
    refusals_are_final(&demo);
    demo_close(&demo, "fallback_demo");
    return 0;
}
