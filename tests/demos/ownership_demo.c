/* ownership_demo: what owners may do, and nobody else. A coin-like token changes hands, a pool belongs to all, a map is
 * frozen for ever; the same object list decides the path. The original: owned 1, shared 1, immutable 1, fast 2,
 * consensus 2, transfers 1, ratio 50 %. */
#include <string.h>

#include "demos/demo.h"

static struct svm_id nft, pool, map;

static struct svm_tx_builder *update(struct demo *demo, unsigned account, const struct svm_id *id,
                                     const char *text)
{
    struct svm_tx_builder *builder = demo_tx(demo, account);
    struct svm_op op = demo_op(SVM_OP_UPDATE, svm_tx_builder_owned_latest(builder, id));
    op.u.update.data = (struct svm_bytes){(const uint8_t *)text, strlen(text)};
    svm_tx_builder_op(builder, &op);
    return builder;
}

static struct svm_tx_builder *on_owned(struct demo *demo, unsigned account, const struct svm_id *id,
                                       enum svm_op_kind kind, const struct svm_address *to)
{
    struct svm_tx_builder *builder = demo_tx(demo, account);
    struct svm_op op = demo_op(kind, svm_tx_builder_owned_latest(builder, id));
    if (kind == SVM_OP_TRANSFER)
        op.u.transfer.to = *to;
    svm_tx_builder_op(builder, &op);
    return builder;
}

static void expect(struct demo *demo, const char *what, unsigned account,
                   struct svm_tx_builder *builder, enum svm_err err, enum svm_path path)
{
    const struct demo_answer answer = demo_send(demo, account, builder);
    demo_expect_err(what, answer.err, err);
    if (err == SVM_OK && answer.failure != SVM_FAILURE_NONE)
        demo_die("%s: %s", what, svm_failure_text(answer.failure));
    if (err == SVM_OK && answer.path != path)
        demo_die("%s: went the %s path", what, svm_path_name(answer.path));
}

static void tell_owned(struct demo *demo)
{
    demo_step("An owned object: alice's token");
    struct svm_object *object = demo_object(demo, &nft);
    demo_say("everybody reads it; its owner is %s", demo_name(demo, &object->owner));
    svm_object_free(object);
    expect(demo, "bob writes it", BOB, update(demo, BOB, &nft, "bob was here"), SVM_E_NOT_OWNER, 0);
    expect(demo, "alice transfers it to bob", ALICE,
           on_owned(demo, ALICE, &nft, SVM_OP_TRANSFER, &demo->accounts[BOB].address), SVM_OK,
           SVM_PATH_FAST);
    expect(demo, "alice transfers it once more", ALICE,
           on_owned(demo, ALICE, &nft, SVM_OP_TRANSFER, &demo->accounts[CAROL].address),
           SVM_E_NOT_OWNER, 0);
    object = demo_object(demo, &nft);
    demo_say("its owner is %s, its version %llu", demo_name(demo, &object->owner),
             (unsigned long long)object->version);
    if (memcmp(&object->owner, &demo->accounts[BOB].address, sizeof object->owner) != 0)
        demo_die("the token is not bob's");
    svm_object_free(object);
}

static void tell_shared(struct demo *demo)
{
    demo_step("A shared object: the pool");
    expect(demo, "alice adds 1", ALICE, demo_add_tx(demo, ALICE, &pool, SVM_KIND_SHARED, 0, 1),
           SVM_OK, SVM_PATH_CONSENSUS);
    expect(demo, "bob adds 1", BOB, demo_add_tx(demo, BOB, &pool, SVM_KIND_SHARED, 0, 1), SVM_OK,
           SVM_PATH_CONSENSUS);
    demo_expect("it holds", demo_counter(demo, &pool), 2);
    expect(demo, "alice transfers it", ALICE,
           on_owned(demo, ALICE, &pool, SVM_OP_TRANSFER, &demo->accounts[BOB].address),
           SVM_E_WRONG_INPUT_KIND, 0);
}

static void tell_immutable(struct demo *demo)
{
    demo_step("An immutable object: the map");
    expect(demo, "alice, its owner, freezes it", ALICE,
           on_owned(demo, ALICE, &map, SVM_OP_FREEZE, NULL), SVM_OK, SVM_PATH_FAST);
    expect(demo, "alice writes it", ALICE, update(demo, ALICE, &map, "another road"),
           SVM_E_OBJECT_IMMUTABLE, 0);
    expect(demo, "bob writes it", BOB, update(demo, BOB, &map, "another road"),
           SVM_E_OBJECT_IMMUTABLE, 0);
}

static void tell_paths(struct demo *demo)
{
    demo_step("The objects decide the path");
    struct svm_tx_builder *builder = demo_tx(demo, BOB);
    const int token = svm_tx_builder_owned_latest(builder, &nft);
    svm_tx_builder_immutable(builder, &map);
    struct svm_op op = demo_op(SVM_OP_ADD, token);
    op.u.add.delta = 1;
    svm_tx_builder_op(builder, &op);
    expect(demo, "bob: his token and the map, fast", BOB, builder, SVM_OK, SVM_PATH_FAST);

    builder = demo_tx(demo, BOB);
    svm_tx_builder_owned_latest(builder, &nft);
    op.input = (uint16_t)svm_tx_builder_shared(builder, &pool, true);
    svm_tx_builder_op(builder, &op);
    expect(demo, "bob: his token and the pool, consensus", BOB, builder, SVM_OK,
           SVM_PATH_CONSENSUS);
}

int main(void)
{
    struct demo demo;
    struct svm_stats before, after;
    demo_open(&demo, "Ownership: one token, one pool, one map");
    const struct svm_owner alice = demo_owned(&demo.accounts[ALICE].address), all = demo_shared();
    svm_stats(demo.engine, &before);
    demo_create(&demo, &nft, 1, &alice, 1, "demo.nft");
    demo_create(&demo, &pool, 1, &all, 1, "demo.pool");
    demo_create(&demo, &map, 1, &alice, 1, "demo.map");

    tell_owned(&demo);
    tell_shared(&demo);
    tell_immutable(&demo);
    tell_paths(&demo);

    demo_step("What the engine has counted");
    svm_stats(demo.engine, &after);
    demo_expect("new owned objects", after.objects[SVM_KIND_OWNED] - before.objects[SVM_KIND_OWNED],
                1);
    demo_expect("new shared objects",
                after.objects[SVM_KIND_SHARED] - before.objects[SVM_KIND_SHARED], 1);
    demo_expect("new immutable objects",
                after.objects[SVM_KIND_IMMUTABLE] - before.objects[SVM_KIND_IMMUTABLE], 1);
    demo_expect("transfers", after.transfers - before.transfers, 1);
    demo_expect("completed on the fast path (3 made the objects)",
                after.completed[SVM_PATH_FAST] - before.completed[SVM_PATH_FAST], 6);
    demo_expect("completed on the consensus path",
                after.completed[SVM_PATH_CONSENSUS] - before.completed[SVM_PATH_CONSENSUS], 3);
    demo_expect("refused: NOT_OWNER", after.refused[SVM_E_NOT_OWNER], 2);
    demo_expect("refused: OBJECT_IMMUTABLE", after.refused[SVM_E_OBJECT_IMMUTABLE], 2);
    demo_close(&demo, "ownership_demo");
    return 0;
}
