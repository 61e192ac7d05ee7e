#include "demos/compare.h"

#include <stdlib.h>

static enum svm_err add_fast(void *arg, struct svm_cell_txn *txn)
{
    const struct closure *closure = arg;
    const struct text key = text_make("fast:", closure->n, "");
    return cell_add(txn, text_bytes(&key), 1);
}

static enum svm_err add_shares(void *arg, struct svm_cell_txn *txn)
{
    (void)arg;
    return cell_add(txn, text_literal("pool_shares"), 1);
}

void compare_create(struct compare *compare, struct demo *demo, size_t each)
{
    const struct svm_owner owners[] = {demo_owned(&demo->accounts[ALICE].address),
                                       demo_owned(&demo->accounts[BOB].address)};
    const struct svm_owner all = demo_shared();
    compare->each = each;
    compare->closures = calloc(2 * each, sizeof *compare->closures);
    if (compare->closures == NULL)
        demo_die("out of memory");
    demo_create(demo, compare->owned, 2, owners, 2, "demo.token");
    demo_create(demo, &compare->pool, 1, &all, 1, "demo.pool");
    for (size_t i = 0; i < 2 * each; i++) {
        const bool fast = i < each;
        compare->closures[i] =
            (struct closure){.fn = fast ? add_fast : add_shares,
                             .n = i,
                             .object_count = 1,
                             .objects = {fast ? &compare->owned[i % 2] : &compare->pool},
                             .sender = &demo->accounts[i % 2].address};
    }
}

void compare_destroy(struct compare *compare)
{
    free(compare->closures);
}

void compare_check(const struct compare *compare, const struct demo *demo, uint64_t rounds)
{
    demo_expect("keys fast:{i}, sum", (uint64_t)cells_sum(demo->engine, "fast:", compare->each, ""),
                rounds * compare->each);
    demo_expect("pool_shares",
                (uint64_t)cell_read_number(demo->engine, text_literal("pool_shares")),
                rounds * compare->each);
}
