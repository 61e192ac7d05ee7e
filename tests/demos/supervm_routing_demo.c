/* supervm_routing_demo: the three routes. What the router would do is asked first and done then. The original: (alice,
 * owned) fast, (alice, owned and shared) consensus, (bob, alice's object, private) private and accepted, though nothing
 * was run and nobody looked whose object it was. Here a private transaction is refused until there is something that
 * can check it, and bob does not get at alice's object on any route. */
#include <stdio.h>
#include <string.h>

#include "demos/demo.h"

static struct svm_id token, pool;

/* The transaction in its unsigned bytes: what explaining needs. */
static struct svm_bytes encode(uint8_t *buf, size_t cap, struct svm_tx_builder *builder)
{
    struct svm_bytes bytes = {buf, 0};
    struct svm_refusal why = {.reason = ""};
    demo_must(svm_tx_builder_finish(builder, buf, cap, &bytes.len, &why), &why, "encoding");
    return bytes;
}

static void expect_route(struct demo *demo, const char *what, struct svm_tx_builder *builder,
                         enum svm_err err, enum svm_path path, enum svm_route_rule rule)
{
    static struct svm_route route;
    uint8_t buf[512];
    struct svm_refusal why = {.reason = ""};
    const struct svm_bytes bytes = encode(buf, sizeof buf, builder);
    demo_must(svm_explain_route(demo->engine, bytes, false, &route, &why), &why, "explaining");
    if (route.err != err || route.rule != rule || (err == SVM_OK && route.path != path))
        demo_die("%s: explained as %s, %s, %s", what, svm_err_name(route.err),
                 svm_path_name(route.path), svm_route_rule_name(route.rule));
    if (err == SVM_OK)
        demo_say("%-40s %s, because %s", what, svm_path_name(route.path),
                 svm_route_rule_name(route.rule));
    else
        demo_say("%-40s refused: %s", what, svm_err_name(route.err));
}

static void expect_done(struct demo *demo, const char *what, unsigned account,
                        struct svm_tx_builder *builder, enum svm_err err, enum svm_path path,
                        uint64_t gas_least)
{
    const struct demo_answer answer = demo_send(demo, account, builder);
    if (answer.err != err || (err == SVM_OK && answer.path != path))
        demo_die("%s: %s on the %s path", what, svm_err_name(answer.err),
                 svm_path_name(answer.path));
    if (err != SVM_OK) {
        demo_say("%-40s refused: %s", what, svm_err_name(err));
        return;
    }
    demo_say("%-40s %s, gas %llu", what, svm_path_name(answer.path),
             (unsigned long long)answer.gas_used);
    if (answer.failure != SVM_FAILURE_NONE || answer.gas_used < gas_least)
        demo_die("%s: gas %llu", what, (unsigned long long)answer.gas_used);
}

static struct svm_tx_builder *both(struct demo *demo, unsigned account)
{
    struct svm_tx_builder *builder = demo_add_tx(demo, account, &token, SVM_KIND_OWNED, 0, 1);
    struct svm_op op = demo_op(SVM_OP_ADD, svm_tx_builder_shared(builder, &pool, true));
    op.u.add.delta = 1;
    svm_tx_builder_op(builder, &op);
    return builder;
}

/* A private transaction is variant 1 of the wire format; its content is nothing to the router. */
static void expect_private_refused(struct demo *demo)
{
    struct svm_tx_builder *builder = demo_add_tx(demo, ALICE, &token, SVM_KIND_OWNED, 0, 1);
    struct demo_signed tx;
    struct demo_answer answer;
    demo_sign(&tx, demo, ALICE, builder);
    tx.bytes[0] = 1;
    demo_send_all(demo, &answer, &tx, 1);
    demo_expect_err("a private transaction", answer.err, SVM_E_PRIVACY_UNAVAILABLE);
}

int main(void)
{
    struct demo demo;
    struct svm_stats stats;
    demo_open(&demo, "Routing: fast, consensus, private");
    const struct svm_owner alice = demo_owned(&demo.accounts[ALICE].address), all = demo_shared();
    demo_create(&demo, &token, 1, &alice, 1, "demo.token");
    demo_create(&demo, &pool, 1, &all, 1, "demo.pool");
    svm_stats(demo.engine, &stats);
    const uint64_t private_before = stats.routed[SVM_PATH_PRIVATE];

    demo_step("What the router says");
    struct svm_tx_builder *builder = demo_add_tx(&demo, ALICE, &token, SVM_KIND_OWNED, 0, 1);
    expect_route(&demo, "alice, her token", builder, SVM_OK, SVM_PATH_FAST, SVM_RULE_ALL_OWNED);
    svm_tx_builder_destroy(builder);
    builder = both(&demo, ALICE);
    expect_route(&demo, "alice, her token and the pool", builder, SVM_OK, SVM_PATH_CONSENSUS,
                 SVM_RULE_SHARED_INPUT);
    svm_tx_builder_destroy(builder);
    builder = demo_add_tx(&demo, BOB, &token, SVM_KIND_OWNED, 0, 1);
    expect_route(&demo, "bob, alice's token", builder, SVM_E_NOT_OWNER, 0, SVM_RULE_REFUSED);
    svm_tx_builder_destroy(builder);

    demo_step("What then happens");
    expect_done(&demo, "alice, her token", ALICE,
                demo_add_tx(&demo, ALICE, &token, SVM_KIND_OWNED, 0, 1), SVM_OK, SVM_PATH_FAST,
                1000);
    expect_done(&demo, "alice, her token and the pool", ALICE, both(&demo, ALICE), SVM_OK,
                SVM_PATH_CONSENSUS, 5000);
    expect_done(&demo, "bob, alice's token", BOB,
                demo_add_tx(&demo, BOB, &token, SVM_KIND_OWNED, 0, 1), SVM_E_NOT_OWNER, 0, 0);
    expect_done(&demo, "bob, alice's token and the pool", BOB, both(&demo, BOB), SVM_E_NOT_OWNER, 0,
                0);
    demo_expect("the token has been counted up to", demo_counter(&demo, &token), 2);
    demo_expect("the pool up to", demo_counter(&demo, &pool), 1);

    demo_step("The private route");
    expect_private_refused(&demo);
    svm_stats(demo.engine, &stats);
    demo_expect("routed to private, as counted", stats.routed[SVM_PATH_PRIVATE] - private_before,
                1);
    demo_expect("the token is still at", demo_counter(&demo, &token), 2);
    demo_close(&demo, "supervm_routing_demo");
    return 0;
}
