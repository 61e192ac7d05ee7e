/* routed_batch_demo: one batch, three transactions, each on its own route: alice's counter + 1, bob's counter + 2, both
 * owned, and the pool's shares + 1, shared. First as the original does it, as closures; then as signed transactions on
 * objects. The original: fast 2 of 2, consensus 1 of 1. */
#include <string.h>

#include "demos/closures.h"
#include "demos/demo.h"

enum { THREADS = 2 };
static struct svm_id alice_counter, bob_counter, pool_shares;

static enum svm_err add_to(void *arg, struct svm_cell_txn *txn)
{
    static const char *const keys[] = {"alice_counter", "bob_counter", "pool_shares"};
    const struct closure *closure = arg;
    return cell_add(txn, text_literal(keys[closure->n]), closure->amount);
}

static void as_closures(struct demo *demo)
{
    const struct svm_address *alice = &demo->accounts[ALICE].address,
                             *bob = &demo->accounts[BOB].address;
    struct closure batch[] = {{.fn = add_to, .n = 0, .amount = 1, .sender = alice},
                              {.fn = add_to, .n = 1, .amount = 2, .sender = bob},
                              {.fn = add_to, .n = 2, .amount = 1, .sender = alice}};
    const struct svm_id *objects[] = {&alice_counter, &bob_counter, &pool_shares};
    struct closures_result result;
    for (size_t i = 0; i < 3; i++) {
        batch[i].objects[0] = objects[i];
        batch[i].object_count = 1;
    }
    demo_step("As closures over a key space");
    closures_run(&result, demo->engine, batch, 3, THREADS, CLOSURES_ROUTED);
    demo_expect("fast, done", result.fast, 2);
    demo_expect("consensus, done", result.consensus, 1);
    demo_expect("fallbacks", result.fallbacks, 0);
    demo_expect("failed or refused", result.failed + result.refused, 0);
    demo_expect("alice_counter",
                (uint64_t)cell_read_number(demo->engine, text_literal("alice_counter")), 1);
    demo_expect("bob_counter",
                (uint64_t)cell_read_number(demo->engine, text_literal("bob_counter")), 2);
    demo_expect("pool_shares",
                (uint64_t)cell_read_number(demo->engine, text_literal("pool_shares")), 1);

    demo_step("The same batch with somebody else's object in it");
    batch[1].objects[0] = &alice_counter;
    closures_run(&result, demo->engine, batch, 3, THREADS, CLOSURES_ROUTED);
    demo_expect("done", result.ok, 2);
    demo_expect_err("bob's closure on alice's object", batch[1].err, SVM_E_NOT_OWNER);
}

static void as_transactions(struct demo *demo)
{
    struct demo_signed batch[3];
    struct demo_answer answers[3];
    uint64_t by_path[3] = {0};
    demo_step("As signed transactions on objects");
    demo_sign(&batch[0], demo, ALICE,
              demo_add_tx(demo, ALICE, &alice_counter, SVM_KIND_OWNED, 1, 1));
    demo_sign(&batch[1], demo, BOB, demo_add_tx(demo, BOB, &bob_counter, SVM_KIND_OWNED, 1, 2));
    demo_sign(&batch[2], demo, ALICE,
              demo_add_tx(demo, ALICE, &pool_shares, SVM_KIND_SHARED, 0, 1));
    demo_send_all(demo, answers, batch, 3);
    for (size_t i = 0; i < 3; i++) {
        demo_must(answers[i].err, &answers[i].refusal, "a transaction of the batch");
        by_path[answers[i].path] += answers[i].failure == SVM_FAILURE_NONE;
    }
    demo_expect("fast, done", by_path[SVM_PATH_FAST], 2);
    demo_expect("consensus, done", by_path[SVM_PATH_CONSENSUS], 1);
    demo_expect("alice's counter", demo_counter(demo, &alice_counter), 1);
    demo_expect("bob's counter", demo_counter(demo, &bob_counter), 2);
    demo_expect("the pool's shares", demo_counter(demo, &pool_shares), 1);
}

int main(void)
{
    struct demo demo;
    demo_open(&demo, "A routed batch: two owned counters, one shared pool");
    const struct svm_owner alice = demo_owned(&demo.accounts[ALICE].address);
    const struct svm_owner bob = demo_owned(&demo.accounts[BOB].address), all = demo_shared();
    demo_create(&demo, &alice_counter, 1, &alice, 1, "demo.counter");
    demo_create(&demo, &bob_counter, 1, &bob, 1, "demo.counter");
    demo_create(&demo, &pool_shares, 1, &all, 1, "demo.pool");
    as_closures(&demo);
    as_transactions(&demo);
    demo_close(&demo, "routed_batch_demo");
    return 0;
}
