/* high_contention_fallback_demo [THREADS]: 100 transactions of alice's and bob's, each under an object of its own, and all
 * of them add to one counter. The original, Debug: fast 82, failed 18, of these 16 by consensus: the counter ends at 98.
 * Here it ends at 100, every time: first as closures, then with a pause in the middle of each, so that they do collide,
 * then as signed transactions that all name one object of alice's in its latest version. */
#include <sched.h>
#include <stdlib.h>

#include "demos/closures.h"
#include "demos/demo.h"

enum { TRANSACTIONS = 100 };

static enum svm_err count_up(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    return cell_add(txn, text_literal("global_counter"), 1);
}

/* The same, with a pause between the read and the write in which the others run. */
static enum svm_err count_up_slowly(void *arg, struct svm_cell_txn *txn)
{
    int64_t number;
    (void)arg;
    const enum svm_err err = cell_number(&number, txn, text_literal("global_counter"));
    if (err != SVM_OK)
        return err;
    for (unsigned i = 0; i < 20; i++)
        sched_yield();
    const struct text value = text_make("", (uint64_t)number + 1, "");
    return svm_cell_put(txn, text_literal("global_counter"), text_bytes(&value));
}

static void as_closures(struct demo *demo, const struct svm_id owned[2], svm_cell_fn *fn,
                        unsigned threads, const char *heading)
{
    struct closure batch[TRANSACTIONS];
    struct closures_result result;
    demo_step("%s", heading);
    cell_store(demo->engine, text_literal("global_counter"), text_literal("0"));
    for (unsigned i = 0; i < TRANSACTIONS; i++)
        batch[i] = (struct closure){.fn = fn,
                                    .n = i,
                                    .object_count = 1,
                                    .objects = {&owned[i % 2]},
                                    .sender = &demo->accounts[i % 2].address};
    closures_run(&result, demo->engine, batch, TRANSACTIONS, threads, CLOSURES_ROUTED);
    demo_say("%-52s %10llu", "fast, done at the first attempt", (unsigned long long)result.fast);
    demo_say("%-52s %10llu", "defeated, done by consensus", (unsigned long long)result.consensus);
    demo_say("%-52s %10llu", "further retries there", (unsigned long long)result.retries);
    demo_expect("every fallback was finished by consensus", result.fallbacks, result.consensus);
    demo_expect("done", result.ok, TRANSACTIONS);
    demo_expect("failed", result.failed + result.refused, 0);
    demo_expect("global_counter",
                (uint64_t)cell_read_number(demo->engine, text_literal("global_counter")),
                TRANSACTIONS);
}

static void as_transactions(struct demo *demo, const struct svm_id *counter)
{
    struct demo_signed *batch = calloc(TRANSACTIONS, sizeof *batch);
    struct demo_answer *answers = calloc(TRANSACTIONS, sizeof *answers);
    uint64_t fast = 0, consensus = 0, fallbacks = 0;
    if (batch == NULL || answers == NULL)
        demo_die("out of memory");
    demo_step("As signed transactions on one object of alice's, each naming its latest version");
    for (unsigned i = 0; i < TRANSACTIONS; i++)
        demo_sign(&batch[i], demo, ALICE, demo_add_tx(demo, ALICE, counter, SVM_KIND_OWNED, 0, 1));
    demo_send_all(demo, answers, batch, TRANSACTIONS);
    for (unsigned i = 0; i < TRANSACTIONS; i++) {
        demo_must(answers[i].err, &answers[i].refusal, "a transaction of the batch");
        fast += answers[i].path == SVM_PATH_FAST;
        consensus += answers[i].path == SVM_PATH_CONSENSUS;
        fallbacks += answers[i].fallback == SVM_FALLBACK_CONTENDED;
    }
    demo_say("%-52s %10llu", "fast", (unsigned long long)fast);
    demo_say("%-52s %10llu", "met a claim, done by consensus", (unsigned long long)consensus);
    demo_expect("every fallback was finished by consensus", fallbacks, consensus);
    demo_expect("done", fast + consensus, TRANSACTIONS);
    demo_expect("the counter", demo_counter(demo, counter), TRANSACTIONS);
    free(batch);
    free(answers);
}

int main(int argc, char **argv)
{
    const unsigned threads = (unsigned)demo_argument(argc, argv, 1, 4, 1, CLOSURE_THREADS_MAX);
    struct demo demo;
    struct svm_id owned[2], counter;
    demo_open(&demo, "High contention: 100 transactions, one counter");
    const struct svm_owner owners[] = {demo_owned(&demo.accounts[ALICE].address),
                                       demo_owned(&demo.accounts[BOB].address)};
    demo_create(&demo, owned, 2, owners, 2, "demo.token");
    demo_create(&demo, &counter, 1, owners, 1, "demo.counter");
    as_closures(&demo, owned, count_up, threads, "As closures");
    as_closures(&demo, owned, count_up_slowly, threads,
                "As closures that pause between read and write");
    as_transactions(&demo, &counter);
    demo_step("The original");
    demo_say("fast 82, defeated 18, of these 16 done by consensus: global_counter 98");
    demo_close(&demo, "high_contention_fallback_demo");
    return 0;
}
